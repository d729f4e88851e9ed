/* reserve.Get and reserve.List. A hold whose time is up reads as held until the entry that expires it, at most one tick later:
 * an answer never says what no entry has decided. */
#include "node/services/reserve.h"

#include "schemas/runtime/assert.h"

void reserve_get_read (struct service_call *call)
{
    const struct reserve_get_request *request = call->request;
    struct reserve_get_reply reply;
    if (!reserve_load (call, &request->reservation, &reply.reservation) ||
        !reserve_is_mine (call, &reply.reservation)) {
        service_refuse_field (call, STATUS_NOT_FOUND, "NO_RESERVATION",
            "there is no such reservation of yours; check the id", "reservation");
        return;
    }
    service_reply_ok (call, &reserve_get_reply_type, &reply);
}

struct listing {
    const struct reserve_list_request *request;
    struct service_page *page;
    struct reserve_list_reply reply;
};

static enum service_row list_row (struct service_call *call, void *argument, const struct id *id)
{
    struct listing *list = argument;
    struct reservation *row = &list->reply.reservations[list->reply.reservations_count];
    maitre_assert (list->reply.reservations_count <= list->page->limit);
    maitre_assert (list->page->limit <= RESERVE_LIST_REPLY_RESERVATIONS_COUNT_MAX);
    if (list->reply.reservations_count == list->page->limit)
        return SERVICE_ROW_FULL;
    size_t before = call->arena->used;
    if (!reserve_load (call, id, row)) {
        service_damage (call);
        return SERVICE_ROW_FULL;
    }
    const struct reserve_list_request *request = list->request;
    if (request->has_state && row->state != request->state)
        return SERVICE_ROW_SKIPPED;
    if (request->has_provider && request->has_customer && !id_equal (&row->customer, &request->customer))
        return SERVICE_ROW_SKIPPED;
    if (!service_page_room (list->page, list->reply.reservations_count, call->arena->used - before))
        return SERVICE_ROW_FULL;
    list->reply.reservations_count++;
    return SERVICE_ROW_TAKEN;
}

/* The index to walk; false after answering. */
static bool choose_index (struct service_call *call, const struct reserve_list_request *request, struct key *prefix)
{
    const struct id *customer = request->has_customer ? &request->customer : &call->principal.id;
    if (request->has_provider) {
        *prefix = key_entity (TABLE_PROVIDER_RESERVATION, &request->provider);
        /* The shards that are not the provider's have nothing to say, not even no. */
        if (!service_is_local (call, &request->provider) || service_is_operator (call) ||
            service_owns_provider (call, &request->provider))
            return true;
        service_refuse_field (call, STATUS_PERMISSION_DENIED, "NOT_YOURS",
            "only the provider's owner and operators may list its reservations; leave provider out to list yours",
            "provider");
        return false;
    }
    *prefix = key_entity (TABLE_CUSTOMER_RESERVATION, customer);
    if (id_equal (customer, &call->principal.id) || service_acts_for_others (call))
        return true;
    service_refuse_field (call, STATUS_PERMISSION_DENIED, "NOT_YOURS",
        "only staff, operators and API keys may list another customer's; leave customer out to list yours", "customer");
    maitre_assert (call->answered);
    return false;
}

void reserve_list_read (struct service_call *call)
{
    struct service_page page;
    struct listing list = {.request = call->request, .page = &page};
    struct key prefix;
    if (!service_page_open (call, &page) || !choose_index (call, list.request, &prefix))
        return;
    list.reply.reservations = service_alloc (call, page.limit * sizeof *list.reply.reservations);
    list.reply.page_token = service_list (call, &page, &prefix, true, list_row, &list);
    list.reply.has_page_token = list.reply.page_token.len > 0;
    maitre_assert (list.reply.reservations_count <= page.limit);
    maitre_assert (list.reply.has_page_token == (list.reply.page_token.len > 0));
    service_reply_ok (call, &reserve_list_reply_type, &list.reply);
}
