#include "schemas/runtime/assert.h"

#include <stdio.h>
#include <stdlib.h>

void maitre_assert_failed (const char *condition, const char *file, int line)
{
    fprintf (stderr, "maitred: %s:%d: assertion failed: %s\n", file, line, condition);
    fflush (stderr);
    abort ();
}
