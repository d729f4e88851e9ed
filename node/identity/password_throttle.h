/* How often a password may be tried: a token bucket per account and one per address, asked before any hashing (C1).
 *
 * Room: node/identity; pure (time comes in). Ownership: heap object, password_throttle_new/_destroy. Thread safety:
 * none; the reactor's thread alone.
 *
 * Invariants (password_throttle_check):
 *  1. At most `entries_max` buckets exist; the one that was used longest ago makes room, which gives away one burst at
 * most.
 *  2. 0 <= tokens <= burst in every bucket.
 */
#ifndef MAITRED_NODE_IDENTITY_PASSWORD_THROTTLE_H
#define MAITRED_NODE_IDENTITY_PASSWORD_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "schemas/runtime/bytes.h"
#include "schemas/runtime/status.h"

struct password_throttle;

struct password_throttle_limits {
    uint32_t account_burst;      /* tries of one account in a row; 0: 10 */
    uint32_t account_per_minute; /* ... and then; 0: 10 */
    uint32_t address_burst;      /* tries from one address in a row; 0: 100 */
    uint32_t address_per_minute; /* ... and then; 0: 100 */
    uint32_t entries_max;        /* buckets of both kinds together; 0: 20000, at most 1000000 */
    uint64_t seed;               /* random, of the table: names that collide cannot be chosen from outside */
};

/* INVALID_ARGUMENT: a limit beyond 1,000,000. RESOURCE_EXHAUSTED: no memory. The caller destroys on OK. */
WARN_UNUSED enum status password_throttle_new (
    const struct password_throttle_limits *limits, struct password_throttle **throttle);
void password_throttle_destroy (struct password_throttle **throttle);

/* Asks for one try of `account` (the normalised login) from `address` (text without the port; empty: not known, and not
 * counted) and takes a token of each when both have one. RESOURCE_EXHAUSTED and *retry_after_ms > 0 when not: answer
 * RESOURCE_EXHAUSTED / TOO_MANY_ATTEMPTS without hashing. A now_ms (monotonic) that goes back counts as standing still.
 */
WARN_UNUSED enum status password_throttle_try (struct password_throttle *throttle, uint64_t now_ms,
    struct bytes account, struct bytes address, uint32_t *retry_after_ms);

/* The try was a success: gives the tokens back, so that only failures are throttled. */
void password_throttle_succeeded (
    struct password_throttle *throttle, uint64_t now_ms, struct bytes account, struct bytes address);

/* Buckets at hand, for metrics and tests. */
uint32_t password_throttle_entries (const struct password_throttle *throttle);
void password_throttle_check (const struct password_throttle *throttle);

#endif
