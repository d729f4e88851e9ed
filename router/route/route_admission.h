/* Who may enter: deadline, queue bound, and a token bucket per principal.
 *
 * Room: router/route, pure: time comes in as an argument. Ownership: heap object, route_admission_new/_destroy.
 * Thread safety: none; the reactor's thread alone. Source: RFC 2697 (token bucket).
 *
 * Invariants (route_admission_check):
 * 1. At most `principals_max` buckets exist; the least recently seen one makes room. A forgotten bucket was idle
 *    longest, so it was the fullest: forgetting gives away at most one burst.
 * 2. 0 <= tokens <= burst in every bucket.
 */
#ifndef MAITRED_ROUTER_ROUTE_ADMISSION_H
#define MAITRED_ROUTER_ROUTE_ADMISSION_H

#include <stddef.h>
#include <stdint.h>

#include "schemas/runtime/ids.h"
#include "schemas/runtime/status.h"

#define ROUTE_PRINCIPALS_MAX 10000
#define ROUTE_RATE_MAX 1000000
#define ROUTE_BURST_MAX 10000000

struct route_admission;

struct route_limits {
    uint64_t hash_key[2];    /* secret and random, so that nobody can choose principals that collide */
    uint32_t rate_per_s;     /* per principal; 0: no limit */
    uint32_t burst;          /* tokens a rested principal has; 0: same as rate_per_s */
    uint32_t principals_max; /* 0: ROUTE_PRINCIPALS_MAX */
    uint32_t queue_max;      /* requests waiting in the whole node; 0: no limit */
    uint32_t queue_retry_ms; /* what a caller is told when the queue is full; 0: 10 */
};

enum route_admission_reason {
    ROUTE_ADMITTED,
    ROUTE_REFUSED_DEADLINE, /* DEADLINE_EXCEEDED: no time remains */
    ROUTE_REFUSED_QUEUE,    /* RESOURCE_EXHAUSTED: the node's queue is full */
    ROUTE_REFUSED_RATE,     /* RESOURCE_EXHAUSTED: the principal's bucket is empty */
};

struct route_admission_verdict {
    enum status status;
    enum route_admission_reason reason;
    uint32_t retry_after_ms; /* > 0 whenever the status is RESOURCE_EXHAUSTED */
};

/* INVALID_ARGUMENT: rate or burst beyond its maximum. RESOURCE_EXHAUSTED: no memory. The caller destroys on OK. */
WARN_UNUSED enum status route_admission_new (const struct route_limits *limits, struct route_admission **admission);
void route_admission_destroy (struct route_admission **admission);

/* Judges one request of `principal` (zero id: the anonymous ones share a bucket). `remaining_ms` 0 means that the
 * deadline has passed; callers without a deadline pass UINT32_MAX. `queued` is the node's queue length now. Takes a
 * token only when everything else admits. A `now_ms` that goes back counts as standing still. */
struct route_admission_verdict route_admit (struct route_admission *admission, uint64_t now_ms,
    const struct id *principal, uint32_t remaining_ms, uint32_t queued);

/* Buckets at hand, for metrics and tests. */
uint32_t route_admission_principals (const struct route_admission *admission);
void route_admission_check (const struct route_admission *admission);

#endif
