/* The one counter primitive under every kind of stock: per offer and bucket, units held and units confirmed.
 *
 * Room: node/services, pure; internal to the room. Ownership: a plan lives in the arena of its call. Thread safety: none.
 *
 * A command that moves stock makes one plan: it adds every movement (negative ones too), asks once whether all of it
 * fits, and commits or forgets it. So demand is summed per counter before it is checked, and what the command gives
 * back counts as free for what it takes.
 *
 * Stored form, TABLE_COUNTER: pages of 32 buckets, page = bucket / 32: u8 n, u32 mask of buckets with a capacity of
 * their own, n x (u32 held, u32 confirmed), then those capacities in bucket order, all big-endian; n is as small as can be and
 * an empty page is absent, so that equal contents are equal bytes.
 *
 * Invariants
 *   1. held + confirmed <= capacity + overbooking in every bucket, after every commit.
 *   2. The counters of an offer are the sum over its held and confirmed reservations and stock-keeping orders, and
 *      over those of every offer whose quota it is. So is usage per (counter, customer). services_check recounts both.
 */
#ifndef MAITRED_NODE_SERVICES_COUNTER_H
#define MAITRED_NODE_SERVICES_COUNTER_H

#include <stdbool.h>
#include <stdint.h>

#include "node/services/offer.h"
#include "node/services/service.h"

#define COUNTER_PAGE_BUCKETS 32
#define COUNTER_RUN_BUCKETS_MAX 366  /* buckets of one item; schemas/reserve.cddl */
#define COUNTER_SET_BUCKETS_MAX 3660 /* that get a capacity of their own at once; schemas/catalog.cddl */
#define COUNTER_READ_BUCKETS_MAX 4096
#define COUNTER_PAGE_BYTES_MAX (1 + 4 + COUNTER_PAGE_BUCKETS * 12)

/* ---- plan */

struct counter_plan;

enum counter_verdict {
    COUNTER_FITS = 0,
    COUNTER_OUT_OF_RANGE, /* a bucket is not one of the counter's */
    COUNTER_SOLD_OUT,
    COUNTER_USER_LIMIT,
};

struct counter_shortage {
    enum counter_verdict verdict;
    struct id offer;    /* whose counter: the offer asked for, or its quota */
    uint32_t bucket;    /* the first one that cannot be given */
    uint32_t available; /* SOLD_OUT: units left in it; USER_LIMIT: units the customer may still take */
    uint32_t limit;     /* USER_LIMIT */
};

/* An empty plan for units of `customer`. */
struct counter_plan *counter_plan_new (struct service_call *call, const struct id *customer);

/* Adds `held` and `confirmed` units (either may be negative) to each of count buckets from first, of the offer's counter and of
 * its quota's. |held|, |confirmed| <= 1,000,000; count <= COUNTER_RUN_BUCKETS_MAX. At most 128 additions. */
void counter_plan_add (struct counter_plan *plan, const struct offer_head *head, uint64_t first, uint64_t count,
    int32_t held, int32_t confirmed);

/* Whether everything added so far fits. Only what grows is checked: giving back never fails. Counters in the order of
 * their first addition, the lowest bucket first. Fills *shortage unless it fits. */
enum counter_verdict counter_plan_check (struct counter_plan *plan, struct counter_shortage *shortage);

/* True when any bucket of any counter would have more units than before: what is confirmed must be a part of what was held.
 * An addition that was out of range counts as growth. */
bool counter_plan_grows (struct counter_plan *plan);

/* Writes the pages and the customer's usage. Precondition: it fits, and since the last addition counter_plan_check or
 * counter_plan_grows has been asked; a plan that only gives back need not ask. A counter that would go below zero is damage. */
void counter_plan_commit (struct counter_plan *plan);

/* Refuses the call with OUT_OF_RANGE, SOLD_OUT or USER_LIMIT. earliest_free may be NULL. */
void counter_refuse (struct service_call *call, const struct counter_shortage *shortage, const uint32_t *earliest_free);

/* ---- single buckets */

struct counter_bucket {
    uint32_t held;
    uint32_t confirmed;
    uint32_t total; /* capacity and overbooking */
};

/* The buckets [first, first + count) of a counter, in order. Precondition: they are in range, count <= COUNTER_READ_BUCKETS_MAX. */
void counter_read (struct service_call *call, const struct offer_head *head, uint32_t first, uint32_t count,
    struct counter_bucket *out);

/* ---- search */

#define COUNTER_DEMANDS_MAX 32
#define COUNTER_SEARCH_PAGES_MAX 4096

/* Units wanted of one counter in every bucket of the run that is searched. */
struct counter_demand {
    struct offer_head head;
    uint32_t quantity;
};

/* Units that count as free while searching: a reservation's own, when it is being moved. */
struct counter_own {
    struct id offer; /* the counter */
    uint32_t first, count, quantity;
};

/* The earliest run of count buckets at or after `from` in which every demand fits at once: false when there is none, or
 * none within COUNTER_SEARCH_PAGES_MAX pages. The demands name distinct counters. */
bool counter_search (struct service_call *call, const struct counter_demand *demands, size_t demands_count,
    const struct counter_own *own, size_t own_count, uint32_t from, uint32_t count, uint32_t *found);

/* Visits single free buckets in [from, to] with at least `quantity` units left, up to out_max of them; *next is where to go on, or
 * UINT64_MAX at the end. */
size_t counter_list_free (struct service_call *call, const struct offer_head *head, uint32_t from, uint32_t to,
    uint32_t quantity, uint32_t *out, size_t out_max, uint64_t *next);

/* ---- capacities: for the catalogue */

/* True when nothing is held or confirmed in any bucket of the counter. */
bool counter_is_idle (struct service_call *call, const struct id *offer);

/* Whether every bucket stays within capacity and range if the offer's head became *head (overrides stay as they are). Fills
 * *shortage with the first bucket in the way; its `limit` is what is committed there. */
bool counter_fits_head (struct service_call *call, const struct offer_head *head, struct counter_shortage *shortage);

/* Gives each of count buckets a capacity of its own, or refuses (false, *shortage as above) and changes nothing. Precondition: in
 * range, count <= COUNTER_SET_BUCKETS_MAX. */
bool counter_set_capacity (struct service_call *call, const struct offer_head *head, uint32_t first, uint32_t count,
    uint32_t capacity, struct counter_shortage *shortage);

#endif
