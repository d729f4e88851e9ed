/* Finding room: page scans, nothing decoded per bucket, bounded in pages. */
#include "node/services/counter.h"

#include "node/services/counter_page.h"
#include "schemas/runtime/assert.h"

_Static_assert(COUNTER_SEARCH_PAGES_MAX > 0, "a search looks at something");

/* ---- the earliest run in one counter */

struct run {
    const struct counter_demand *demand;
    const struct counter_own *own;
    size_t own_count;
    uint64_t to;    /* inclusive */
    uint64_t count; /* buckets in a row */
    uint64_t start; /* of the run of fitting buckets that ends before `next` */
    uint64_t next;  /* bucket to look at */
    size_t *pages_left;
    bool empty_fits; /* a bucket without a page fits */
    bool found, damaged;
};

static uint64_t own_units (const struct run *run, uint64_t bucket)
{
    uint64_t units = 0;
    for (size_t i = 0; i < run->own_count; i++) {
        const struct counter_own *own = &run->own[i];
        maitre_assert (own->quantity >= 1);
        if (bucket >= own->first && bucket - own->first < own->count &&
            id_equal (&own->offer, &run->demand->head.offer))
            units += own->quantity;
    }
    return units;
}

/* Passes over buckets without a page, up to but not including `until`. */
static void run_gap (struct run *run, uint64_t until)
{
    if (run->next >= until)
        return;
    if (!run->empty_fits)
        run->start = until;
    else if (until - run->start >= run->count)
        run->found = true;
    run->next = until;
    maitre_assert (run->next == until);
    maitre_assert (run->start <= run->next);
}

static bool run_visit (void *argument, struct bytes key, struct bytes value)
{
    struct run *run = argument;
    struct counter_view view;
    if (!counter_view_open (value, &view)) {
        run->damaged = true;
        return false;
    }
    if (*run->pages_left == 0)
        return false;
    --*run->pages_left;
    uint64_t base = (uint64_t) counter_page_number (key) * COUNTER_PAGE_BUCKETS;
    run_gap (run, base < run->to + 1 ? base : run->to + 1);
    maitre_assert (run->found || run->next >= base || run->next > run->to);
    const struct offer_head *head = &run->demand->head;
    for (uint64_t bucket = run->next; !run->found && bucket < base + COUNTER_PAGE_BUCKETS && bucket <= run->to;
         bucket++) {
        unsigned i = (unsigned) (bucket - base);
        uint64_t used = counter_view_used (&view, i);
        if (run->own_count > 0) {
            uint64_t own = own_units (run, bucket);
            used -= own < used ? own : used;
        }
        if (used + run->demand->quantity > counter_view_total (&view, head->capacity, head->overbooking, i))
            run->start = bucket + 1;
        else if (bucket + 1 - run->start >= run->count)
            run->found = true;
        run->next = bucket + 1;
    }
    maitre_assert (run->start <= run->next);
    maitre_assert (run->next <= run->to + 1);
    maitre_assert (run->next <= base + COUNTER_PAGE_BUCKETS || run->found);
    return !run->found && run->next <= run->to;
}

/* The earliest run of this demand alone in [from, to]. */
static bool run_find (struct service_call *call, struct run *run, uint64_t from)
{
    maitre_assert (run->demand->quantity >= 1);
    maitre_assert (from <= run->to);
    const struct offer_head *head = &run->demand->head;
    run->start = run->next = from;
    run->empty_fits = counter_total (head->capacity, head->overbooking) >= run->demand->quantity;
    struct key start, end;
    counter_page_range (&head->offer, (uint32_t) (from / COUNTER_PAGE_BUCKETS),
        (uint32_t) (run->to / COUNTER_PAGE_BUCKETS), &start, &end);
    state_scan (call->state, key_of (&start), key_of (&end), false, run_visit, run);
    if (run->damaged) {
        service_damage (call);
        return false;
    }
    if (!run->found && *run->pages_left > 0)
        run_gap (run, run->to + 1);
    maitre_assert (!run->found || run->start >= from);
    maitre_assert (!run->found || run->to - run->start >= run->count - 1);
    return run->found;
}

bool counter_search (struct service_call *call, const struct counter_demand *demands, size_t demands_count,
    const struct counter_own *own, size_t own_count, uint32_t from, uint32_t count, uint32_t *found)
{
    maitre_assert (demands_count > 0 && demands_count <= COUNTER_DEMANDS_MAX);
    maitre_assert (count >= 1);
    maitre_assert (own_count <= COUNTER_DEMANDS_MAX);
    uint64_t low = from, high = UINT32_MAX;
    for (size_t i = 0; i < demands_count; i++) {
        low = demands[i].head.first > low ? demands[i].head.first : low;
        high = demands[i].head.last < high ? demands[i].head.last : high;
    }
    size_t pages_left = COUNTER_SEARCH_PAGES_MAX;
    /* Each counter in turn moves the start to its own earliest run from there; when all agree, it is common to all. */
    for (size_t agreed = 0, i = 0; agreed < demands_count; i = (i + 1) % demands_count) {
        if (low + count - 1 > high)
            return false;
        struct run run = {
            .demand = &demands[i],
            .own = own,
            .own_count = own_count,
            .to = high,
            .count = count,
            .pages_left = &pages_left,
        };
        if (pages_left == 0 || !run_find (call, &run, low))
            return false;
        maitre_assert (run.start >= low);
        agreed = run.start == low ? agreed + 1 : 1;
        low = run.start;
    }
    *found = (uint32_t) low;
    maitre_assert (*found == low);
    maitre_assert (low + count - 1 <= high);
    return true;
}

/* ---- all free buckets of one counter */

struct listing {
    const struct offer_head *head;
    uint64_t next, to;
    uint32_t quantity;
    uint32_t *out;
    size_t count, max, pages_left;
    bool empty_fits, damaged;
};

static void list_gap (struct listing *list, uint64_t until)
{
    if (!list->empty_fits && list->next < until)
        list->next = until;
    for (; list->next < until && list->count < list->max; list->next++)
        list->out[list->count++] = (uint32_t) list->next;
    maitre_assert (list->count <= list->max);
}

static bool list_visit (void *argument, struct bytes key, struct bytes value)
{
    struct listing *list = argument;
    struct counter_view view;
    if (!counter_view_open (value, &view)) {
        list->damaged = true;
        return false;
    }
    uint64_t base = (uint64_t) counter_page_number (key) * COUNTER_PAGE_BUCKETS;
    list_gap (list, base < list->to + 1 ? base : list->to + 1);
    for (; list->next >= base && list->next < base + COUNTER_PAGE_BUCKETS && list->next <= list->to &&
           list->count < list->max;
         list->next++) {
        unsigned i = (unsigned) (list->next - base);
        maitre_assert (i < COUNTER_PAGE_BUCKETS);
        uint32_t total = counter_view_total (&view, list->head->capacity, list->head->overbooking, i);
        if (counter_view_used (&view, i) + list->quantity <= total)
            list->out[list->count++] = (uint32_t) list->next;
    }
    maitre_assert (list->pages_left > 0);
    maitre_assert (list->count <= list->max);
    list->pages_left--;
    return list->pages_left > 0 && list->count < list->max && list->next <= list->to;
}

size_t counter_list_free (struct service_call *call, const struct offer_head *head, uint32_t from, uint32_t to,
    uint32_t quantity, uint32_t *out, size_t out_max, uint64_t *next)
{
    maitre_assert (out_max >= 1);
    maitre_assert (quantity >= 1);
    struct listing list = {
        .head = head,
        .next = from > head->first ? from : head->first,
        .to = to < head->last ? to : head->last,
        .quantity = quantity,
        .out = out,
        .max = out_max,
        .pages_left = COUNTER_SEARCH_PAGES_MAX,
        .empty_fits = counter_total (head->capacity, head->overbooking) >= quantity,
    };
    *next = UINT64_MAX;
    if (list.next > list.to)
        return 0;
    struct key start, end;
    counter_page_range (&head->offer, (uint32_t) (list.next / COUNTER_PAGE_BUCKETS),
        (uint32_t) (list.to / COUNTER_PAGE_BUCKETS), &start, &end);
    state_scan (call->state, key_of (&start), key_of (&end), false, list_visit, &list);
    if (list.damaged)
        service_damage (call);
    else if (list.pages_left > 0)
        list_gap (&list, list.to + 1);
    if (list.next <= list.to)
        *next = list.next;
    maitre_assert (list.count <= out_max);
    maitre_assert (list.count == 0 || out[list.count - 1] < *next);
    maitre_assert (list.count < 2 || out[0] < out[list.count - 1]);
    return list.count;
}

void counter_read (struct service_call *call, const struct offer_head *head, uint32_t first, uint32_t count,
    struct counter_bucket *out)
{
    maitre_assert (offer_has_range (head, first, count));
    maitre_assert (count <= COUNTER_READ_BUCKETS_MAX);
    struct counter_page page;
    for (uint32_t n = 0; n < count; n++) {
        uint32_t bucket = first + n;
        unsigned i = bucket % COUNTER_PAGE_BUCKETS;
        if (n == 0 || i == 0)
            counter_page_load (call, &head->offer, bucket / COUNTER_PAGE_BUCKETS, &page);
        out[n] = (struct counter_bucket){page.held[i], page.confirmed[i], counter_page_total (&page, head, i)};
    }
}
