/* catalog.AdjustCapacity: of all buckets, or of a run of them. */
#include "node/services/catalog.h"

#include "schemas/runtime/assert.h"

static bool adjust_default (struct service_call *call, struct offer *offer, uint64_t capacity)
{
    struct offer_head head;
    struct counter_shortage shortage;
    bool shrinks = capacity < offer->capacity;
    offer->capacity = capacity;
    offer_head_make (offer, &head);
    maitre_assert (head.capacity == capacity);
    if (!shrinks || counter_fits_head (call, &head, &shortage))
        return true;
    catalog_refuse_committed (call, &shortage);
    return false;
}

static bool adjust_run (
    struct service_call *call, const struct offer *offer, const struct adjust_capacity_request *request)
{
    struct offer_head head;
    struct counter_shortage shortage;
    uint64_t count = request->has_count ? request->count : 1;
    maitre_assert (count >= 1);
    maitre_assert (request->capacity <= UINT32_MAX);
    offer_head_make (offer, &head);
    if (!offer_has_range (&head, request->first, count)) {
        service_refuse_field (call, STATUS_OUT_OF_RANGE, "OUT_OF_RANGE",
            "the offer has no such buckets; name some between its first and its last", "first");
        return false;
    }
    if (counter_set_capacity (
            call, &head, (uint32_t) request->first, (uint32_t) count, (uint32_t) request->capacity, &shortage))
        return true;
    catalog_refuse_committed (call, &shortage);
    return false;
}

void catalog_adjust_capacity_apply (struct service_call *call)
{
    const struct adjust_capacity_request *request = call->request;
    struct offer offer;
    if (!catalog_offer_open (call, &request->offer, 0, &offer))
        return;
    if (request->has_count && !request->has_first) {
        service_refuse_field (call, STATUS_INVALID_ARGUMENT, "BAD_RANGE",
            "a count needs the first bucket; name it, or leave both out for the default of all", "first");
        return;
    }
    bool done =
        request->has_first ? adjust_run (call, &offer, request) : adjust_default (call, &offer, request->capacity);
    if (!done)
        return;
    maitre_assert (!call->answered);
    maitre_assert (request->has_first || offer.capacity == request->capacity);
    offer.version++;
    offer.updated_ms = call->time_ms;
    catalog_offer_store (call, &offer);
    catalog_answer (call, &offer.offer, offer.version);
}
