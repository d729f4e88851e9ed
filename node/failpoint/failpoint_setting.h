/* What one failpoint does, and when: the words of failpoint.h, parsed, printed and counted.
 *
 * Room: node/failpoint. Ownership: plain values. Thread safety: the caller's.
 */
#ifndef MAITRED_NODE_FAILPOINT_FAILPOINT_SETTING_H
#define MAITRED_NODE_FAILPOINT_FAILPOINT_SETTING_H

#include <stdbool.h>
#include <stdint.h>

#include "node/failpoint/failpoint.h"

enum failpoint_action {
    FAILPOINT_ACTION_OFF, /* zero: a setting of nothing but zeros is off */
    FAILPOINT_ACTION_CRASH,
    FAILPOINT_ACTION_EXIT,
    FAILPOINT_ACTION_PANIC,
    FAILPOINT_ACTION_DELAY,
    FAILPOINT_ACTION_ERROR,
    FAILPOINT_ACTION_DROP,
};

struct failpoint_setting {
    enum failpoint_action action;
    uint64_t argument; /* exit code, milliseconds, errno */
    uint64_t after;    /* passes that do nothing */
    uint64_t every;    /* 0 and 1: each */
    uint64_t chance;   /* in a hundred; 0: always */
    uint64_t seed;     /* of the chance */
    bool once;
    uint64_t passed; /* since it was set */
    uint64_t random; /* state of the chance */
};

/* False: why (160 bytes) says what is wrong and what would be right. */
bool failpoint_setting_parse (struct bytes text, struct failpoint_setting *setting, char *why);

/* The same words again; a parse of them gives the same setting from its beginning. */
void failpoint_setting_format (const struct failpoint_setting *setting, char out[FAILPOINT_SETTING_BYTES_MAX + 1]);

/* Counts one pass; true when the action is due. */
bool failpoint_setting_due (struct failpoint_setting *setting);

#endif
