/* Numbers of the simulators' command lines: what is none, or out of its bounds, is told and never read as another one.
 *
 * Room: test/sim. Pure but for the words on standard error. Ownership: none. Thread safety: none shared.
 *
 * Invariants
 *  1. What is accepted is the whole text, digits only: no sign, no space, nothing behind, no wrapping around.
 */
#ifndef MAITRED_TEST_SIM_NUMBER_H
#define MAITRED_TEST_SIM_NUMBER_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_SEED_MAX UINT64_C (999999999999999999)
#define NUMBER_SEEDS_MAX UINT64_C (1000000000000)
#define NUMBER_DURATION_MAX_MS UINT64_C (86400000)

/* The value of `option` in base 10 or 16, into *value. False: it was told what is wrong with it; text NULL is a missing one. */
static inline bool number_within (
    const char *option, const char *text, int base, uint64_t low, uint64_t high, uint64_t *value)
{
    const char *digits = base == 16 ? "0123456789abcdefABCDEF" : "0123456789";
    if (text != NULL && text[0] != '\0' && text[strspn (text, digits)] == '\0') {
        errno = 0;
        unsigned long long read = strtoull (text, NULL, base);
        if (errno == 0 && read >= low && read <= high) {
            *value = read;
            return true;
        }
    }
    fprintf (stderr,
        base == 16 ? "error: %s must be a hexadecimal number from %llx to %llx, not '%s'; see --help\n"
                   : "error: %s must be a number from %llu to %llu, not '%s'; see --help\n",
        option, (unsigned long long) low, (unsigned long long) high, text != NULL ? text : "");
    return false;
}

#endif
