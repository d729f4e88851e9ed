#include "router/route/route_admission.h"

#include <stdlib.h>

#include "schemas/runtime/assert.h"
#include "schemas/runtime/placement_hash.h"

#define NONE UINT32_MAX
#define QUEUE_RETRY_MS_DEFAULT 10

_Static_assert(ROUTE_RATE_MAX <= ROUTE_BURST_MAX, "a burst of one second is one that may be asked for");
_Static_assert(ROUTE_PRINCIPALS_MAX < NONE, "no bucket has the number of none");

struct bucket {
    struct id principal;
    uint64_t level_milli; /* tokens x 1000 at filled_ms */
    uint64_t filled_ms;
    uint32_t chain;        /* the next bucket of the same slot */
    uint32_t newer, older; /* by last use */
};

struct route_admission {
    struct route_limits limits;
    uint64_t burst_milli;
    struct bucket *buckets; /* [principals_max]; NULL without a rate */
    uint32_t *slots;        /* heads of the chains; a power of two of them */
    uint32_t slots_mask;
    uint32_t count;
    uint32_t newest, oldest;
};

static enum status allocate_table (struct route_admission *admission)
{
    uint32_t slots = 16;
    while (slots < admission->limits.principals_max)
        slots *= 2;
    admission->slots_mask = slots - 1;
    maitre_assert ((slots & (slots - 1)) == 0);
    maitre_assert (slots >= admission->limits.principals_max);
    admission->buckets = calloc (admission->limits.principals_max, sizeof *admission->buckets);
    admission->slots = malloc (slots * sizeof *admission->slots);
    if (admission->buckets == NULL || admission->slots == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    for (uint32_t i = 0; i < slots; i++)
        admission->slots[i] = NONE;
    return STATUS_OK;
}

enum status route_admission_new (const struct route_limits *limits, struct route_admission **admission)
{
    *admission = NULL;
    if (limits->rate_per_s > ROUTE_RATE_MAX || limits->burst > ROUTE_BURST_MAX ||
        limits->principals_max > ROUTE_PRINCIPALS_MAX)
        return STATUS_INVALID_ARGUMENT;
    struct route_admission *made = calloc (1, sizeof *made);
    if (made == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    made->limits = *limits;
    made->newest = made->oldest = NONE;
    if (made->limits.burst == 0)
        made->limits.burst = limits->rate_per_s;
    if (made->limits.principals_max == 0)
        made->limits.principals_max = ROUTE_PRINCIPALS_MAX;
    if (made->limits.queue_retry_ms == 0)
        made->limits.queue_retry_ms = QUEUE_RETRY_MS_DEFAULT;
    made->burst_milli = (uint64_t) made->limits.burst * 1000;
    if (limits->rate_per_s > 0 && allocate_table (made) != STATUS_OK) {
        route_admission_destroy (&made);
        return STATUS_RESOURCE_EXHAUSTED;
    }
    maitre_assert (made->limits.principals_max >= 1);
    maitre_assert (made->limits.principals_max <= ROUTE_PRINCIPALS_MAX);
    maitre_assert (limits->rate_per_s == 0 || made->burst_milli >= 1000);
    *admission = made;
    return STATUS_OK;
}

void route_admission_destroy (struct route_admission **admission)
{
    if (*admission == NULL)
        return;
    free ((*admission)->buckets);
    free ((*admission)->slots);
    free (*admission);
    *admission = NULL;
}

static uint32_t *slot_of (struct route_admission *admission, const struct id *principal)
{
    const uint64_t *key = admission->limits.hash_key;
    return &admission->slots[siphash24 (key[0], key[1], id_bytes (principal)) & admission->slots_mask];
}

static void unlink_use (struct route_admission *admission, uint32_t at)
{
    struct bucket *bucket = &admission->buckets[at];
    maitre_assert (at < admission->count);
    if (bucket->newer != NONE)
        admission->buckets[bucket->newer].older = bucket->older;
    else
        admission->newest = bucket->older;
    if (bucket->older != NONE)
        admission->buckets[bucket->older].newer = bucket->newer;
    else
        admission->oldest = bucket->newer;
}

static void link_newest (struct route_admission *admission, uint32_t at)
{
    maitre_assert (at < admission->count);
    maitre_assert (at != admission->newest);
    struct bucket *bucket = &admission->buckets[at];
    bucket->newer = NONE;
    bucket->older = admission->newest;
    if (admission->newest != NONE)
        admission->buckets[admission->newest].newer = at;
    else
        admission->oldest = at;
    admission->newest = at;
}

/* Takes the bucket that was used longest ago out of the table and returns its place. */
static uint32_t evict_oldest (struct route_admission *admission)
{
    uint32_t at = admission->oldest;
    maitre_assert (at != NONE);
    maitre_assert (admission->count == admission->limits.principals_max);
    uint32_t *link = slot_of (admission, &admission->buckets[at].principal);
    while (*link != at) {
        maitre_assert (*link != NONE);
        link = &admission->buckets[*link].chain;
    }
    *link = admission->buckets[at].chain;
    unlink_use (admission, at);
    return at;
}

/* The principal's bucket, made full when it is new, and now the newest. */
static struct bucket *touch (struct route_admission *admission, const struct id *principal, uint64_t now_ms)
{
    uint32_t *slot = slot_of (admission, principal);
    uint32_t at = *slot;
    while (at != NONE && !id_equal (&admission->buckets[at].principal, principal))
        at = admission->buckets[at].chain;
    if (at != NONE) {
        unlink_use (admission, at);
    } else {
        at = admission->count < admission->limits.principals_max ? admission->count++ : evict_oldest (admission);
        admission->buckets[at] = (struct bucket){
            .principal = *principal,
            .level_milli = admission->burst_milli,
            .filled_ms = now_ms,
            .chain = *slot,
        };
        *slot = at;
    }
    maitre_assert (at < admission->count);
    maitre_assert (id_equal (&admission->buckets[at].principal, principal));
    link_newest (admission, at);
    return &admission->buckets[at];
}

static void refill (const struct route_admission *admission, struct bucket *bucket, uint64_t now_ms)
{
    maitre_assert (admission->limits.rate_per_s > 0);
    maitre_assert (bucket->level_milli <= admission->burst_milli);
    if (now_ms <= bucket->filled_ms)
        return;
    uint64_t elapsed_ms = now_ms - bucket->filled_ms;
    uint64_t missing = admission->burst_milli - bucket->level_milli;
    /* One token a second is one thousandth a millisecond: rate_per_s thousandths in each. */
    uint64_t full_after_ms = missing / admission->limits.rate_per_s + 1;
    bucket->level_milli = elapsed_ms >= full_after_ms ? admission->burst_milli
                                                      : bucket->level_milli + elapsed_ms * admission->limits.rate_per_s;
    bucket->filled_ms = now_ms;
    maitre_assert (bucket->level_milli <= admission->burst_milli);
}

struct route_admission_verdict route_admit (struct route_admission *admission, uint64_t now_ms,
    const struct id *principal, uint32_t remaining_ms, uint32_t queued)
{
    const struct route_limits *limits = &admission->limits;
    if (remaining_ms == 0)
        return (struct route_admission_verdict){.status = STATUS_DEADLINE_EXCEEDED, .reason = ROUTE_REFUSED_DEADLINE};
    if (limits->queue_max > 0 && queued >= limits->queue_max)
        return (struct route_admission_verdict){
            .status = STATUS_RESOURCE_EXHAUSTED,
            .reason = ROUTE_REFUSED_QUEUE,
            .retry_after_ms = limits->queue_retry_ms,
        };
    if (limits->rate_per_s == 0)
        return (struct route_admission_verdict){.status = STATUS_OK, .reason = ROUTE_ADMITTED};
    struct bucket *bucket = touch (admission, principal, now_ms);
    refill (admission, bucket, now_ms);
    if (bucket->level_milli < 1000) {
        uint64_t missing = 1000 - bucket->level_milli;
        maitre_assert (missing >= 1);
        return (struct route_admission_verdict){
            .status = STATUS_RESOURCE_EXHAUSTED,
            .reason = ROUTE_REFUSED_RATE,
            .retry_after_ms = (uint32_t) ((missing + limits->rate_per_s - 1) / limits->rate_per_s),
        };
    }
    bucket->level_milli -= 1000;
    maitre_assert (bucket->level_milli < admission->burst_milli);
    return (struct route_admission_verdict){.status = STATUS_OK, .reason = ROUTE_ADMITTED};
}

uint32_t route_admission_principals (const struct route_admission *admission)
{
    return admission->count;
}

void route_admission_check (const struct route_admission *admission)
{
    maitre_assert (admission->count <= admission->limits.principals_max);
    uint32_t seen = 0;
    for (uint32_t at = admission->newest; at != NONE; at = admission->buckets[at].older) {
        const struct bucket *bucket = &admission->buckets[at];
        maitre_assert (seen < admission->count);
        maitre_assert (bucket->level_milli <= admission->burst_milli);
        maitre_assert (bucket->older != NONE || at == admission->oldest);
        seen++;
    }
    maitre_assert (seen == admission->count);
    if (admission->slots == NULL)
        return;
    uint32_t chained = 0;
    for (uint32_t slot = 0; slot <= admission->slots_mask; slot++)
        for (uint32_t at = admission->slots[slot]; at != NONE; at = admission->buckets[at].chain)
            chained++;
    maitre_assert (chained == admission->count);
}
