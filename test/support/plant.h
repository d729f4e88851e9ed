/* In a build with planted bugs (-DMAITRED_PLANTED=ON) a unit test that includes this runs with the one that MAITRED_PLANT
 * names (test/sim/planted_run); exit 2: there is no such bug. Elsewhere it is nothing.
 */
#ifndef MAITRED_TEST_SUPPORT_PLANT_H
#define MAITRED_TEST_SUPPORT_PLANT_H

#include "schemas/runtime/planted.h"

#ifdef MAITRED_PLANTED
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__ ((constructor)) static void plant_chosen (void)
{
#define PLANT_NAME(name) #name,
    static const char *const names[] = {PLANTED_LIST (PLANT_NAME)};
    const char *wanted = getenv ("MAITRED_PLANT");
    for (size_t i = 0; wanted != NULL && i < sizeof names / sizeof *names; i++)
        if (strcmp (names[i], wanted) == 0)
            planted_chosen = (enum planted) (i + 1);
    if (wanted != NULL && planted_chosen == PLANTED_NONE)
        _exit (2);
#undef PLANT_NAME
}
#endif

#endif
