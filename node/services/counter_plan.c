#include "node/services/counter.h"

#include "node/services/counter_page.h"
#include "schemas/runtime/assert.h"

#define ADDITIONS_MAX 128
#define UNITS_MAX 1000000

_Static_assert(ORDER_LINES_COUNT_MAX <= ADDITIONS_MAX, "the longest order is one plan");
_Static_assert(2 * RESERVATION_ITEMS_COUNT_MAX <= ADDITIONS_MAX, "a move gives back and takes");
_Static_assert(ADDITIONS_MAX *(int64_t) UNITS_MAX <= INT32_MAX, "all movements of a bucket add up in 32 bits");

struct plan_page {
    struct plan_page *next; /* ascending numbers */
    uint32_t number;
    struct counter_page stored;
    int32_t held[COUNTER_PAGE_BUCKETS], confirmed[COUNTER_PAGE_BUCKETS]; /* movements */
    int32_t given[COUNTER_PAGE_BUCKETS]; /* what of them gives back, as a positive number */
};

struct plan_counter {
    struct plan_counter *next; /* in the order of first addition */
    struct offer_head head;
    struct plan_page *pages, *recent;
    int64_t usage_delta, usage_given;
};

struct counter_plan {
    struct service_call *call;
    struct id customer;
    struct plan_counter *counters, *last;
    unsigned additions, asked;     /* asked: as many of them as the last check saw */
    bool takes;                    /* an addition takes more than it gives back */
    struct counter_shortage range; /* the first addition that is out of range */
};

struct counter_plan *counter_plan_new (struct service_call *call, const struct id *customer)
{
    struct counter_plan *plan = service_zero (call, sizeof *plan);
    plan->call = call;
    plan->customer = *customer;
    maitre_assert (plan->additions == 0);
    return plan;
}

static struct plan_counter *find_counter (struct counter_plan *plan, const struct id *offer)
{
    struct plan_counter *counter = plan->counters;
    while (counter != NULL && !id_equal (&counter->head.offer, offer))
        counter = counter->next;
    return counter;
}

static struct plan_counter *new_counter (struct counter_plan *plan, const struct offer_head *head)
{
    maitre_assert ((plan->last == NULL) == (plan->counters == NULL));
    struct plan_counter *counter = service_zero (plan->call, sizeof *counter);
    counter->head = *head;
    if (plan->last == NULL)
        plan->counters = counter;
    else
        plan->last->next = counter;
    plan->last = counter;
    maitre_assert (counter->next == NULL);
    return counter;
}

static struct plan_page *page_of (struct counter_plan *plan, struct plan_counter *counter, uint32_t number)
{
    /* Runs are added bucket by bucket, so the page is nearly always the recent one or the one after it. */
    struct plan_page *before = counter->recent != NULL && counter->recent->number <= number ? counter->recent : NULL;
    struct plan_page *at = before != NULL ? before : counter->pages;
    while (at != NULL && at->number < number) {
        before = at;
        at = at->next;
    }
    maitre_assert (before == NULL || before->number <= number);
    if (at == NULL || at->number != number) {
        struct plan_page *page = service_zero (plan->call, sizeof *page);
        page->number = number;
        counter_page_load (plan->call, &counter->head.offer, number, &page->stored);
        page->next = at;
        if (before == NULL)
            counter->pages = page;
        else
            before->next = page;
        at = page;
    }
    maitre_assert (at->number == number);
    maitre_assert (at->next == NULL || at->next->number > number);
    counter->recent = at;
    return at;
}

static void note_range (struct counter_plan *plan, const struct offer_head *head, uint64_t first)
{
    if (plan->range.verdict != COUNTER_FITS)
        return;
    /* Behind the last number that there is no bucket can be named: then the run's first stands for it. */
    bool starts_inside = first >= head->first && first <= head->last && head->last < UINT32_MAX;
    plan->range = (struct counter_shortage){
        .verdict = COUNTER_OUT_OF_RANGE,
        .offer = head->offer,
        .bucket = starts_inside ? head->last + 1 : (uint32_t) first,
    };
}

static void add_to (struct counter_plan *plan, struct plan_counter *counter, uint64_t first, uint64_t count,
    int32_t held, int32_t confirmed)
{
    maitre_assert (count >= 1);
    maitre_assert (held == 0 || confirmed == 0);
    int32_t units = held + confirmed;
    if (!offer_has_range (&counter->head, first, count)) {
        if (units <= 0)
            service_damage (plan->call); /* ranges never shrink below what is committed */
        note_range (plan, &counter->head, first);
        return;
    }
    for (uint64_t bucket = first; bucket < first + count; bucket++) {
        struct plan_page *page = page_of (plan, counter, (uint32_t) (bucket / COUNTER_PAGE_BUCKETS));
        unsigned i = bucket % COUNTER_PAGE_BUCKETS;
        page->held[i] += held;
        page->confirmed[i] += confirmed;
        if (units < 0)
            page->given[i] -= units;
    }
    counter->usage_delta += (int64_t) units * (int64_t) count;
    if (units < 0)
        counter->usage_given -= (int64_t) units * (int64_t) count;
}

void counter_plan_add (struct counter_plan *plan, const struct offer_head *head, uint64_t first, uint64_t count,
    int32_t held, int32_t confirmed)
{
    maitre_assert (plan->additions < ADDITIONS_MAX);
    maitre_assert (held >= -UNITS_MAX && held <= UNITS_MAX);
    maitre_assert (confirmed >= -UNITS_MAX && confirmed <= UNITS_MAX);
    maitre_assert (count >= 1);
    maitre_assert (count <= COUNTER_RUN_BUCKETS_MAX);
    plan->additions++;
    plan->takes = plan->takes || held + confirmed > 0;
    struct plan_counter *counter = find_counter (plan, &head->offer);
    add_to (plan, counter != NULL ? counter : new_counter (plan, head), first, count, held, confirmed);
    if (id_is_zero (&head->quota))
        return;
    counter = find_counter (plan, &head->quota);
    if (counter == NULL) {
        struct offer_head quota;
        if (!offer_head_load (plan->call, &head->quota, &quota)) {
            service_damage (plan->call); /* offers are never deleted */
            return;
        }
        counter = new_counter (plan, &quota);
    }
    add_to (plan, counter, first, count, held, confirmed);
}

static uint64_t usage_load (struct counter_plan *plan, const struct plan_counter *counter)
{
    struct key key = key_pair (TABLE_USAGE, &counter->head.offer, &plan->customer);
    struct bytes stored;
    if (!state_get (plan->call->state, key_of (&key), &stored))
        return 0;
    if (stored.len == 8)
        return bytes_get_u64 (stored.data);
    service_damage (plan->call);
    return 0;
}

static bool over_limit (
    struct counter_plan *plan, const struct plan_counter *counter, struct counter_shortage *shortage)
{
    maitre_assert (counter->usage_given >= 0);
    uint32_t limit = counter->head.customer_limit;
    if (limit == 0 || counter->usage_delta <= 0 || PLANTED (LIMIT_NOT_CHECKED))
        return false;
    int64_t usage = (int64_t) usage_load (plan, counter);
    if (usage + counter->usage_delta <= (int64_t) limit)
        return false;
    int64_t left = (int64_t) limit - usage + counter->usage_given;
    *shortage = (struct counter_shortage){
        .verdict = COUNTER_USER_LIMIT,
        .offer = counter->head.offer,
        .available = left > 0 ? (uint32_t) left : 0,
        .limit = limit,
    };
    return true;
}

static bool sold_out (const struct plan_counter *counter, struct counter_shortage *shortage)
{
    for (const struct plan_page *page = counter->pages; page != NULL; page = page->next) {
        for (unsigned i = 0; i < COUNTER_PAGE_BUCKETS; i++) {
            int64_t delta = (int64_t) page->held[i] + page->confirmed[i];
            if (delta <= 0)
                continue;
            int64_t used = (int64_t) page->stored.held[i] + page->stored.confirmed[i];
            int64_t total = counter_page_total (&page->stored, &counter->head, i);
            if (used + delta <= total || PLANTED (SLOT_SOLD_TWICE))
                continue;
            maitre_assert (page->given[i] >= 0);
            int64_t left = total - used + page->given[i];
            *shortage = (struct counter_shortage){
                .verdict = COUNTER_SOLD_OUT,
                .offer = counter->head.offer,
                .bucket = page->number * COUNTER_PAGE_BUCKETS + i,
                .available = left > 0 ? (uint32_t) left : 0,
            };
            return true;
        }
    }
    return false;
}

enum counter_verdict counter_plan_check (struct counter_plan *plan, struct counter_shortage *shortage)
{
    maitre_assert (plan->additions >= 1);
    maitre_assert (plan->range.verdict == COUNTER_FITS || plan->range.verdict == COUNTER_OUT_OF_RANGE);
    *shortage = plan->range;
    /* The limit comes before the stock: who is over it gains nothing from the next free bucket. */
    for (struct plan_counter *c = plan->counters; c != NULL && shortage->verdict == COUNTER_FITS; c = c->next)
        over_limit (plan, c, shortage);
    for (struct plan_counter *c = plan->counters; c != NULL && shortage->verdict == COUNTER_FITS; c = c->next)
        sold_out (c, shortage);
    plan->asked = plan->additions;
    return shortage->verdict;
}

bool counter_plan_grows (struct counter_plan *plan)
{
    maitre_assert (plan->additions >= 1);
    for (const struct plan_counter *counter = plan->counters; counter != NULL; counter = counter->next) {
        for (const struct plan_page *page = counter->pages; page != NULL; page = page->next) {
            for (unsigned i = 0; i < COUNTER_PAGE_BUCKETS; i++) {
                if (page->held[i] + page->confirmed[i] > 0)
                    return true;
            }
        }
    }
    plan->asked = plan->additions;
    return plan->range.verdict != COUNTER_FITS;
}

/* Adds a movement to a stored count: false when it leaves the range of one. */
static bool move_units (uint32_t *units, int32_t delta)
{
    int64_t moved = (int64_t) *units + delta;
    if (moved < 0 || moved > UINT32_MAX)
        return false;
    *units = (uint32_t) moved;
    return true;
}

static void commit_page (struct counter_plan *plan, const struct id *offer, struct plan_page *page)
{
    bool changed = false;
    for (unsigned i = 0; i < COUNTER_PAGE_BUCKETS; i++) {
        if (page->held[i] == 0 && page->confirmed[i] == 0)
            continue;
        changed = true;
        if (!move_units (&page->stored.held[i], page->held[i]) ||
            !move_units (&page->stored.confirmed[i], page->confirmed[i])) {
            service_damage (plan->call);
            return;
        }
    }
    if (changed)
        counter_page_store (plan->call, offer, page->number, &page->stored);
}

static void commit_usage (struct counter_plan *plan, const struct plan_counter *counter)
{
    if (counter->usage_delta == 0)
        return;
    int64_t usage = (int64_t) usage_load (plan, counter) + counter->usage_delta;
    if (usage < 0) {
        service_damage (plan->call);
        return;
    }
    struct key key = key_pair (TABLE_USAGE, &counter->head.offer, &plan->customer);
    uint8_t packed[8];
    bytes_put_u64 (packed, (uint64_t) usage);
    if (usage == 0)
        service_remove (plan->call, &key);
    else
        state_put (plan->call->state, key_of (&key), bytes_of (packed, sizeof packed));
}

void counter_plan_commit (struct counter_plan *plan)
{
    /* What takes has been asked about, all of it; giving back alone need not be. */
    maitre_assert (!plan->takes || plan->asked == plan->additions);
    for (struct plan_counter *counter = plan->counters; counter != NULL; counter = counter->next) {
        for (struct plan_page *page = counter->pages; page != NULL; page = page->next)
            commit_page (plan, &counter->head.offer, page);
        commit_usage (plan, counter);
    }
}

void counter_refuse (struct service_call *call, const struct counter_shortage *shortage, const uint32_t *earliest_free)
{
    maitre_assert (shortage->verdict != COUNTER_FITS);
    struct refusal refusal = {.has_offer = true, .offer = shortage->offer};
    switch (shortage->verdict) {
    case COUNTER_OUT_OF_RANGE:
        refusal.has_bucket = true;
        refusal.bucket = shortage->bucket;
        service_refuse (call, STATUS_OUT_OF_RANGE, "OUT_OF_RANGE",
            "the offer has no such bucket; ask for one between its first and its last", &refusal);
        return;
    case COUNTER_USER_LIMIT:
        refusal.has_limit = refusal.has_available = true;
        refusal.limit = shortage->limit;
        refusal.available = shortage->available;
        service_refuse (call, STATUS_FAILED_PRECONDITION, "USER_LIMIT",
            "the customer would pass the offer's limit per customer; ask for less, or release something first",
            &refusal);
        return;
    case COUNTER_SOLD_OUT:
        refusal.has_bucket = refusal.has_available = true;
        refusal.bucket = shortage->bucket;
        refusal.available = shortage->available;
        refusal.has_earliest_free = earliest_free != NULL;
        refusal.earliest_free = earliest_free != NULL ? *earliest_free : 0;
        service_refuse (call, STATUS_FAILED_PRECONDITION, "SOLD_OUT",
            earliest_free != NULL ? "sold out there; earliest_free names the earliest place that is not"
                                  : "sold out there; ask for other buckets, or for less",
            &refusal);
        return;
    case COUNTER_FITS:
        break;
    }
    maitre_assert (shortage->verdict != COUNTER_FITS);
}
