/* The catalogue of planted bugs: what each breaks, and which simulator must find it within how many seeds.
 *
 * Room: test/sim. Static tables and the one choice; thread safety: none. Source: schemas/runtime/planted.h has the names.
 * test/sim/planted_run builds with -DMAITRED_PLANTED=ON and plants one after the other.
 */
#ifndef MAITRED_TEST_SIM_PLANTED_H
#define MAITRED_TEST_SIM_PLANTED_H

#include <stdbool.h>

#include "schemas/runtime/planted.h"

struct planted_entry {
    const char *name;
    const char *trap;    /* of the catalogue of faults, or the part of the product */
    const char *program; /* maitred_sim, maitred_sim_gossip */
    const char *flags;   /* for it; the fault families that matter are left to the seeds where that is quick enough */
    unsigned seeds;      /* within so many it is found */
    const char *breaks;  /* what the missing guard lets happen */
};

/* Chooses the bug that this process plants. False, with a line on standard error: no such name, or an ordinary build. */
bool planted_choose (const char *name);

/* Prints the catalogue, tab-separated. False when a name of the list has no entry. */
bool planted_print (void);

#endif
