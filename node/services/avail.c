#include "node/services/avail.h"

#include "node/services/counter.h"
#include "schemas/generated/catalog.h"
#include "schemas/runtime/assert.h"

#define LIST_FREE_DEFAULT 100

_Static_assert(LIST_FREE_DEFAULT <= AVAIL_LIST_FREE_REPLY_BUCKETS_COUNT_MAX, "the default is a list that may be given");
_Static_assert(2 * AVAIL_FIND_COMMON_REQUEST_OFFERS_COUNT_MAX <= COUNTER_DEMANDS_MAX, "each offer may draw on a quota");

/* The head of an offer of this shard; false after refusing. */
static bool open_offer (struct service_call *call, const struct id *offer, const char *field, struct offer_head *head)
{
    maitre_assert (field[0] != '\0');
    if (!service_is_local (call, offer)) {
        service_refuse_field (call, STATUS_UNIMPLEMENTED, "CROSS_SHARD",
            "the offers are on different shards; ask for those of each provider by themselves", field);
        return false;
    }
    if (offer_head_load (call, offer, head))
        return true;
    struct refusal refusal = {.has_field = true, .field = bytes_text (field), .has_offer = true, .offer = *offer};
    service_refuse (call, STATUS_NOT_FOUND, "NO_OFFER", "there is no such offer; check the id", &refusal);
    return false;
}

static bool load_quota (struct service_call *call, const struct offer_head *head, struct offer_head *quota)
{
    maitre_assert (!id_is_zero (&head->quota));
    if (offer_head_load (call, &head->quota, quota))
        return true;
    service_damage (call);
    return false;
}

/* ---- Check */

static bool check_query (struct service_call *call, const struct avail_query *query, struct avail_check_reply *reply)
{
    struct offer_head head;
    uint64_t count = query->has_count ? query->count : 1;
    maitre_assert (count >= 1);
    maitre_assert (count <= COUNTER_RUN_BUCKETS_MAX);
    if (!open_offer (call, &query->offer, "queries.offer", &head))
        return false;
    if (!offer_has_range (&head, query->first, count)) {
        struct refusal refusal = {.has_offer = true, .offer = head.offer, .has_bucket = true, .bucket = query->first};
        service_refuse (call, STATUS_OUT_OF_RANGE, "OUT_OF_RANGE",
            "the offer has no such bucket; ask for one between its first and its last", &refusal);
        return false;
    }
    if (reply->rows_count + count > AVAIL_CHECK_REPLY_ROWS_COUNT_MAX) {
        service_refuse_field (call, STATUS_INVALID_ARGUMENT, "TOO_MANY",
            "more buckets than one answer holds; ask for fewer, in several calls", "queries.count");
        return false;
    }
    struct counter_bucket *buckets = service_alloc (call, count * sizeof *buckets);
    counter_read (call, &head, (uint32_t) query->first, (uint32_t) count, buckets);
    maitre_assert (reply->rows_count + count <= AVAIL_CHECK_REPLY_ROWS_COUNT_MAX);
    maitre_assert (query->first + count - 1 <= head.last);
    for (uint64_t i = 0; i < count; i++) {
        reply->rows[reply->rows_count++] = (struct avail_row){
            .offer = head.offer,
            .bucket = query->first + i,
            .total = buckets[i].total,
            .held = buckets[i].held,
            .confirmed = buckets[i].confirmed,
        };
    }
    return true;
}

void avail_check_read (struct service_call *call)
{
    const struct avail_check_request *request = call->request;
    struct avail_check_reply reply = {0};
    reply.rows = service_alloc (call, AVAIL_CHECK_REPLY_ROWS_COUNT_MAX * sizeof *reply.rows);
    for (size_t i = 0; i < request->queries_count; i++) {
        if (!check_query (call, &request->queries[i], &reply))
            return;
    }
    maitre_assert (reply.rows_count >= request->queries_count);
    maitre_assert (reply.rows_count <= AVAIL_CHECK_REPLY_ROWS_COUNT_MAX);
    service_reply_ok (call, &avail_check_reply_type, &reply);
}

/* ---- ListFree */

/* Leaves out the buckets in which the quota has too little left. */
static size_t filter_by_quota (
    struct service_call *call, const struct offer_head *quota, uint32_t quantity, uint32_t *buckets, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct counter_bucket units;
        if (!offer_has_range (quota, buckets[i], 1))
            continue;
        counter_read (call, quota, buckets[i], 1, &units);
        if ((uint64_t) units.held + units.confirmed + quantity <= units.total)
            buckets[kept++] = buckets[i];
    }
    maitre_assert (kept <= count);
    return kept;
}

void avail_list_free_read (struct service_call *call)
{
    const struct avail_list_free_request *request = call->request;
    struct avail_list_free_reply reply = {0};
    struct offer_head head, quota;
    if (!open_offer (call, &request->offer, "offer", &head))
        return;
    size_t limit = request->has_limit ? request->limit : LIST_FREE_DEFAULT;
    maitre_assert (limit >= 1);
    maitre_assert (limit <= AVAIL_LIST_FREE_REPLY_BUCKETS_COUNT_MAX);
    uint32_t quantity = request->has_quantity ? (uint32_t) request->quantity : 1;
    uint32_t *found = service_alloc (call, limit * sizeof *found);
    uint64_t next = UINT64_MAX;
    size_t count = 0;
    bool has_quota = !id_is_zero (&head.quota);
    if (has_quota && !load_quota (call, &head, &quota))
        return;
    /* What is paused or closed is not free, whatever its counters say. */
    if (head.state == OFFER_STATE_OPEN && (!has_quota || quota.state == OFFER_STATE_OPEN))
        count = counter_list_free (call, &head, request->has_first ? (uint32_t) request->first : head.first,
            request->has_last ? (uint32_t) request->last : head.last, quantity, found, limit, &next);
    if (has_quota)
        count = filter_by_quota (call, &quota, quantity, found, count);
    maitre_assert (count <= limit);
    maitre_assert (count < 2 || found[0] < found[count - 1]);
    maitre_assert (count == 0 || next > found[count - 1]);
    reply.buckets = service_alloc (call, limit * sizeof *reply.buckets);
    reply.buckets_count = count;
    for (size_t i = 0; i < count; i++)
        reply.buckets[i] = found[i];
    reply.has_next = next != UINT64_MAX;
    reply.next = reply.has_next ? next : 0;
    service_reply_ok (call, &avail_list_free_reply_type, &reply);
}

/* ---- FindCommon */

struct demands {
    struct counter_demand list[2 * AVAIL_FIND_COMMON_REQUEST_OFFERS_COUNT_MAX];
    size_t count;
    bool open;
};

static void demand (struct demands *demands, const struct offer_head *head, uint32_t quantity)
{
    maitre_assert (quantity >= 1);
    demands->open = demands->open && head->state == OFFER_STATE_OPEN;
    for (size_t i = 0; i < demands->count; i++) {
        if (!id_equal (&demands->list[i].head.offer, &head->offer))
            continue;
        demands->list[i].quantity += quantity;
        return;
    }
    maitre_assert (demands->count < sizeof demands->list / sizeof *demands->list);
    demands->list[demands->count++] = (struct counter_demand){.head = *head, .quantity = quantity};
}

void avail_find_common_read (struct service_call *call)
{
    const struct avail_find_common_request *request = call->request;
    struct avail_find_common_reply reply = {0};
    struct demands demands = {.open = true};
    uint32_t quantity = request->has_quantity ? (uint32_t) request->quantity : 1;
    for (size_t i = 0; i < request->offers_count; i++) {
        struct offer_head head, quota;
        if (!open_offer (call, &request->offers[i], "offers", &head))
            return;
        demand (&demands, &head, quantity);
        if (id_is_zero (&head.quota))
            continue;
        if (!load_quota (call, &head, &quota))
            return;
        demand (&demands, &quota, quantity);
    }
    maitre_assert (demands.count >= 1);
    maitre_assert (demands.count <= COUNTER_DEMANDS_MAX);
    uint32_t first = 0;
    reply.found = demands.open && counter_search (call, demands.list, demands.count, NULL, 0,
                                      request->has_first ? (uint32_t) request->first : 0,
                                      request->has_count ? (uint32_t) request->count : 1, &first);
    maitre_assert (!reply.found || !request->has_first || first >= request->first);
    maitre_assert (!reply.found || first >= demands.list[0].head.first);
    reply.has_first = reply.found;
    reply.first = first;
    service_reply_ok (call, &avail_find_common_reply_type, &reply);
}
