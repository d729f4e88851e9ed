/* Reservations as one would write them without thinking of speed: no counters, no indexes, every question answered by
 * looking at everything. The property test compares the services with it.
 */
#ifndef MAITRED_TEST_SUPPORT_SERVICES_MODEL_H
#define MAITRED_TEST_SUPPORT_SERVICES_MODEL_H

#include "test/support/services_world.h"

#define MODEL_OFFERS 6
#define MODEL_BUCKETS 70
#define MODEL_RESERVATIONS 4096
#define MODEL_ITEMS 3
#define MODEL_NONE SIZE_MAX

struct model_offer {
    struct id id;
    int64_t capacity[MODEL_BUCKETS]; /* with overbooking */
    int64_t limit;                   /* per customer, 0: none */
    size_t quota;                    /* index, or MODEL_NONE */
    bool open;
};

struct model_item {
    size_t offer;
    int64_t first, count, quantity;
};

struct model_reservation {
    struct id id;
    uint64_t state;
    size_t customer;
    uint64_t expires_ms;
    struct model_item items[MODEL_ITEMS];
    size_t count;
};

struct model {
    struct model_offer offers[MODEL_OFFERS];
    struct model_reservation reservations[MODEL_RESERVATIONS];
    size_t count;
};

/* How a taking of items ends. */
struct model_verdict {
    const char *reason; /* NULL: it fits */
    size_t offer;       /* whose counter */
    int64_t bucket;
    int64_t earliest; /* -1: none */
};

static inline uint64_t model_state (const struct model_reservation *r, uint64_t now_ms)
{
    return r->state == RESERVE_STATE_HELD && r->expires_ms <= now_ms ? RESERVE_STATE_EXPIRED : r->state;
}

static inline bool model_counts (const struct model *model, const struct model_item *item, size_t counter)
{
    return item->offer == counter || model->offers[item->offer].quota == counter;
}

/* Units of some items in one bucket of a counter. */
static inline int64_t model_units (
    const struct model *model, const struct model_item *items, size_t count, size_t counter, int64_t bucket)
{
    int64_t units = 0;
    for (size_t i = 0; i < count; i++) {
        if (model_counts (model, &items[i], counter) && bucket >= items[i].first &&
            bucket < items[i].first + items[i].count)
            units += items[i].quantity;
    }
    return units;
}

/* Units that all reservations but `own` keep of a bucket; of a state, or 0 for both. */
static inline int64_t model_used (const struct model *model, size_t counter, int64_t bucket, uint64_t now_ms,
    const struct model_reservation *own, uint64_t of_state)
{
    int64_t units = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct model_reservation *r = &model->reservations[i];
        uint64_t state = model_state (r, now_ms);
        if (r != own && (state == RESERVE_STATE_HELD || state == RESERVE_STATE_CONFIRMED) &&
            (of_state == 0 || of_state == state))
            units += model_units (model, r->items, r->count, counter, bucket);
    }
    return units;
}

static inline int64_t model_item_units (
    const struct model *model, const struct model_item *items, size_t count, size_t counter)
{
    int64_t units = 0;
    for (size_t i = 0; i < count; i++) {
        if (model_counts (model, &items[i], counter))
            units += items[i].count * items[i].quantity;
    }
    return units;
}

static inline int64_t model_usage (
    const struct model *model, size_t counter, size_t customer, uint64_t now_ms, const struct model_reservation *own)
{
    int64_t units = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct model_reservation *r = &model->reservations[i];
        uint64_t state = model_state (r, now_ms);
        if (r != own && r->customer == customer && (state == RESERVE_STATE_HELD || state == RESERVE_STATE_CONFIRMED))
            units += model_item_units (model, r->items, r->count, counter);
    }
    return units;
}

/* Whether the items fit where they are; the counters of `own` come first, as its units go back first. */
static inline bool model_fits (const struct model *model, const struct model_item *items, size_t count, uint64_t now_ms,
    const struct model_reservation *own, struct model_verdict *verdict)
{
    size_t order[4 * MODEL_ITEMS], n = 0;
    for (size_t i = 0; i < (own != NULL ? own->count : 0) + count; i++) {
        size_t own_count = own != NULL ? own->count : 0;
        const struct model_item *item = i < own_count ? &own->items[i] : &items[i - own_count];
        order[n++] = item->offer;
        if (model->offers[item->offer].quota != MODEL_NONE)
            order[n++] = model->offers[item->offer].quota;
    }
    for (size_t k = 0; k < n; k++) {
        for (int64_t bucket = 0; bucket < MODEL_BUCKETS; bucket++) {
            int64_t wanted = model_units (model, items, count, order[k], bucket);
            int64_t before = own != NULL ? model_units (model, own->items, own->count, order[k], bucket) : 0;
            if (wanted <= before)
                continue;
            if (model_used (model, order[k], bucket, now_ms, own, 0) + wanted >
                model->offers[order[k]].capacity[bucket]) {
                *verdict = (struct model_verdict){"SOLD_OUT", order[k], bucket, -1};
                return false;
            }
        }
    }
    return true;
}

static inline bool model_over_limit (const struct model *model, const struct model_item *items, size_t count,
    size_t customer, uint64_t now_ms, const struct model_reservation *own)
{
    for (size_t counter = 0; counter < MODEL_OFFERS; counter++) {
        int64_t wanted = model_item_units (model, items, count, counter);
        int64_t before = own != NULL ? model_item_units (model, own->items, own->count, counter) : 0;
        if (model->offers[counter].limit > 0 && wanted > before &&
            model_usage (model, counter, customer, now_ms, own) + wanted > model->offers[counter].limit)
            return true;
    }
    return false;
}

/* The earliest place for the items that move together. */
static inline int64_t model_earliest (const struct model *model, const struct model_item *items, size_t count,
    uint64_t now_ms, const struct model_reservation *own, const struct model_verdict *short_of)
{
    struct model_item moving[MODEL_ITEMS];
    size_t n = 0;
    bool together = true;
    for (size_t i = 1; i < count; i++)
        together = together && items[i].first == items[0].first && items[i].count == items[0].count;
    for (size_t i = 0; i < count; i++) {
        if (together || (model_counts (model, &items[i], short_of->offer) && short_of->bucket >= items[i].first &&
                            short_of->bucket < items[i].first + items[i].count))
            moving[n++] = items[i];
    }
    int64_t run = moving[0].count;
    for (int64_t start = 0; start + run <= MODEL_BUCKETS; start++) {
        bool fits = true;
        for (size_t i = 0; i < n; i++) {
            moving[i].first = start;
            moving[i].count = run;
        }
        for (size_t counter = 0; counter < MODEL_OFFERS && fits; counter++) {
            for (int64_t bucket = start; bucket < start + run && fits; bucket++) {
                int64_t wanted = model_units (model, moving, n, counter, bucket);
                fits = wanted == 0 || model_used (model, counter, bucket, now_ms, own, 0) + wanted <=
                                          model->offers[counter].capacity[bucket];
            }
        }
        if (fits)
            return start;
    }
    return -1;
}

/* What taking the items must answer. */
static inline struct model_verdict model_take (const struct model *model, const struct model_item *items, size_t count,
    size_t customer, uint64_t now_ms, const struct model_reservation *own)
{
    struct model_verdict verdict = {0};
    for (size_t i = 0; i < count; i++) {
        const struct model_offer *offer = &model->offers[items[i].offer];
        if (!offer->open || (offer->quota != MODEL_NONE && !model->offers[offer->quota].open))
            return (struct model_verdict){.reason = "CLOSED"};
    }
    for (size_t i = 0; i < count; i++) {
        if (items[i].first + items[i].count > MODEL_BUCKETS)
            return (struct model_verdict){.reason = "OUT_OF_RANGE"};
    }
    if (model_over_limit (model, items, count, customer, now_ms, own))
        return (struct model_verdict){.reason = "USER_LIMIT"};
    if (!model_fits (model, items, count, now_ms, own, &verdict))
        verdict.earliest = model_earliest (model, items, count, now_ms, own, &verdict);
    return verdict;
}

#endif
