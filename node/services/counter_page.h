/* Pages of the counters: how 32 buckets are stored. The form is described in counter.h. Internal to the room. */
#ifndef MAITRED_NODE_SERVICES_COUNTER_PAGE_H
#define MAITRED_NODE_SERVICES_COUNTER_PAGE_H

#include "node/services/counter.h"

#define COUNTER_PAGE_HEAD_BYTES 5

struct counter_page {
    uint32_t mask; /* bit i: bucket i has a capacity of its own */
    uint32_t held[COUNTER_PAGE_BUCKETS];
    uint32_t confirmed[COUNTER_PAGE_BUCKETS];
    uint32_t capacity[COUNTER_PAGE_BUCKETS]; /* where mask says so */
};

/* False when the bytes are no page (damage). */
bool counter_page_parse (struct bytes stored, struct counter_page *page);

/* Loads a page; an absent one is empty. Damage is reported to the call, the page is then empty. */
void counter_page_load (struct service_call *call, const struct id *offer, uint32_t number, struct counter_page *page);

/* Puts the page in its canonical form, or removes it when it says nothing. */
void counter_page_store (
    struct service_call *call, const struct id *offer, uint32_t number, const struct counter_page *page);

/* The key range of the pages [from, to] of an offer. */
void counter_page_range (const struct id *offer, uint32_t from, uint32_t to, struct key *start, struct key *end);

/* The page number in the key of a page. */
static inline uint32_t counter_page_number (struct bytes key)
{
    return key.len == 1 + ID_SIZE + 4 ? bytes_get_u32 (key.data + 1 + ID_SIZE) : UINT32_MAX;
}

/* Units that a bucket of this capacity may give: counters are 32 bits wide. */
static inline uint32_t counter_total (uint32_t capacity, uint32_t overbooking)
{
    uint64_t total = (uint64_t) capacity + overbooking;
    return total > UINT32_MAX ? UINT32_MAX : (uint32_t) total;
}

static inline uint32_t counter_page_total (const struct counter_page *page, const struct offer_head *head, unsigned i)
{
    return counter_total ((page->mask >> i & 1) != 0 ? page->capacity[i] : head->capacity, head->overbooking);
}

/* The page as it lies, read in place: for scans. False when the bytes are no page. */
struct counter_view {
    uint32_t mask;
    uint8_t n;
    const uint8_t *units;      /* n x (held, confirmed) */
    const uint8_t *capacities; /* of the buckets in mask */
};

static inline bool counter_view_open (struct bytes stored, struct counter_view *view)
{
    if (stored.len < COUNTER_PAGE_HEAD_BYTES)
        return false;
    view->n = stored.data[0];
    view->mask = bytes_get_u32 (stored.data + 1);
    view->units = stored.data + COUNTER_PAGE_HEAD_BYTES;
    view->capacities = view->units + (size_t) view->n * 8;
    size_t own = (size_t) __builtin_popcount (view->mask);
    return view->n <= COUNTER_PAGE_BUCKETS && stored.len == COUNTER_PAGE_HEAD_BYTES + (size_t) view->n * 8 + own * 4;
}

static inline uint64_t counter_view_used (const struct counter_view *view, unsigned i)
{
    if (i >= view->n)
        return 0;
    return (uint64_t) bytes_get_u32 (view->units + i * 8) + bytes_get_u32 (view->units + i * 8 + 4);
}

static inline uint32_t counter_view_total (
    const struct counter_view *view, uint32_t capacity, uint32_t overbooking, unsigned i)
{
    if ((view->mask >> i & 1) != 0)
        capacity =
            bytes_get_u32 (view->capacities + 4 * (size_t) __builtin_popcount (view->mask & ((UINT32_C (1) << i) - 1)));
    return counter_total (capacity, overbooking);
}

#endif
