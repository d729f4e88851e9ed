/* What the catalogue asks of the counters before it changes what may be sold. */
#include "node/services/counter.h"

#include "node/services/counter_page.h"
#include "schemas/runtime/assert.h"

struct survey {
    const struct offer_head *head; /* as it would become; NULL: is anything committed at all? */
    struct counter_shortage *shortage;
    bool idle, damaged;
};

static bool survey_visit (void *argument, struct bytes key, struct bytes value)
{
    struct survey *survey = argument;
    struct counter_view view;
    if (!counter_view_open (value, &view)) {
        survey->damaged = true;
        return false;
    }
    maitre_assert (view.n <= COUNTER_PAGE_BUCKETS);
    if (survey->head == NULL) {
        survey->idle = view.n == 0;
        return survey->idle;
    }
    const struct offer_head *head = survey->head;
    uint32_t base = counter_page_number (key) * COUNTER_PAGE_BUCKETS;
    for (unsigned i = 0; i < view.n; i++) {
        uint64_t used = counter_view_used (&view, i);
        if (used == 0)
            continue;
        bool inside = offer_has_range (head, base + i, 1);
        if (inside && used <= counter_view_total (&view, head->capacity, head->overbooking, i))
            continue;
        *survey->shortage = (struct counter_shortage){
            .verdict = inside ? COUNTER_SOLD_OUT : COUNTER_OUT_OF_RANGE,
            .offer = head->offer,
            .bucket = base + i,
            .limit = (uint32_t) used,
        };
        return false;
    }
    return true;
}

static void survey_pages (struct service_call *call, const struct id *offer, struct survey *survey)
{
    struct key start = key_entity (TABLE_COUNTER, offer), end = start;
    key_after_prefix (&end);
    maitre_assert (bytes_compare (key_of (&start), key_of (&end)) < 0);
    state_scan (call->state, key_of (&start), key_of (&end), false, survey_visit, survey);
    if (survey->damaged)
        service_damage (call);
}

bool counter_is_idle (struct service_call *call, const struct id *offer)
{
    struct survey survey = {.idle = true};
    survey_pages (call, offer, &survey);
    return survey.idle;
}

bool counter_fits_head (struct service_call *call, const struct offer_head *head, struct counter_shortage *shortage)
{
    *shortage = (struct counter_shortage){.verdict = COUNTER_FITS};
    struct survey survey = {.head = head, .shortage = shortage};
    survey_pages (call, &head->offer, &survey);
    maitre_assert (shortage->verdict == COUNTER_FITS || id_equal (&shortage->offer, &head->offer));
    maitre_assert (shortage->verdict != COUNTER_USER_LIMIT);
    return shortage->verdict == COUNTER_FITS;
}

bool counter_set_capacity (struct service_call *call, const struct offer_head *head, uint32_t first, uint32_t count,
    uint32_t capacity, struct counter_shortage *shortage)
{
    maitre_assert (offer_has_range (head, first, count));
    maitre_assert (count <= COUNTER_SET_BUCKETS_MAX);
    uint32_t first_page = first / COUNTER_PAGE_BUCKETS;
    uint32_t pages_count = (first + (count - 1)) / COUNTER_PAGE_BUCKETS - first_page + 1;
    maitre_assert (pages_count <= count / COUNTER_PAGE_BUCKETS + 2);
    struct counter_page *pages = service_alloc (call, pages_count * sizeof *pages);
    *shortage = (struct counter_shortage){.verdict = COUNTER_FITS};
    for (uint32_t p = 0; p < pages_count; p++)
        counter_page_load (call, &head->offer, first_page + p, &pages[p]);
    for (uint32_t n = 0; n < count; n++) {
        uint32_t bucket = first + n;
        struct counter_page *page = &pages[bucket / COUNTER_PAGE_BUCKETS - first_page];
        unsigned i = bucket % COUNTER_PAGE_BUCKETS;
        uint64_t used = (uint64_t) page->held[i] + page->confirmed[i];
        page->mask |= UINT32_C (1) << i;
        page->capacity[i] = capacity;
        if (used <= counter_page_total (page, head, i))
            continue;
        *shortage = (struct counter_shortage){COUNTER_SOLD_OUT, head->offer, bucket, 0, (uint32_t) used};
        return false;
    }
    for (uint32_t p = 0; p < pages_count; p++)
        counter_page_store (call, &head->offer, first_page + p, &pages[p]);
    return true;
}
