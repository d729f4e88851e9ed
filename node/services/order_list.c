/* order.Get and order.List. */
#include "node/services/order.h"

#include "schemas/runtime/assert.h"

void order_get_read (struct service_call *call)
{
    const struct order_get_request *request = call->request;
    struct order_get_reply reply;
    unsigned parts = 0;
    if (order_open (call, &request->order, &reply.order, &parts))
        service_reply_ok (call, &order_get_reply_type, &reply);
}

struct listing {
    const struct order_list_request *request;
    const struct id *customer; /* NULL: anybody's */
    struct service_page page;
    struct order_list_reply reply;
};

/* One's own, one's provider's, or anybody's for those who act for others. */
static bool may_list (struct service_call *call, const struct listing *list)
{
    const struct order_list_request *request = list->request;
    const struct id *self = &call->principal.id;
    if (service_acts_for_others (call) || (list->customer != NULL && id_equal (list->customer, self)) ||
        (request->has_courier && id_equal (&request->courier, self)))
        return true;
    /* The shards that are not the provider's have nothing to say, not even no. */
    return request->has_provider &&
           (!service_is_local (call, &request->provider) || service_owns_provider (call, &request->provider));
}

/* The narrowest index of what is asked for: a customer has fewer orders than a courier, a courier than a provider. */
static struct key choose_index (const struct listing *list)
{
    const struct order_list_request *request = list->request;
    if (list->customer != NULL)
        return key_entity (TABLE_CUSTOMER_ORDER, list->customer);
    if (request->has_courier)
        return key_entity (TABLE_COURIER_ORDER, &request->courier);
    maitre_assert (request->has_provider);
    return key_entity (TABLE_PROVIDER_ORDER, &request->provider);
}

static bool matches (const struct listing *list, const struct order *order)
{
    const struct order_list_request *request = list->request;
    return (list->customer == NULL || id_equal (list->customer, &order->customer)) &&
           (!request->has_provider || id_equal (&request->provider, &order->provider)) &&
           (!request->has_courier || (order->has_courier && id_equal (&request->courier, &order->courier))) &&
           (!request->has_state || request->state == order->state);
}

static enum service_row list_row (struct service_call *call, void *argument, const struct id *id)
{
    struct listing *list = argument;
    size_t count = list->reply.orders_count;
    maitre_assert (count <= list->page.limit);
    maitre_assert (list->page.limit <= ORDER_LIST_REPLY_ORDERS_COUNT_MAX);
    struct order *row = &list->reply.orders[count];
    size_t before = call->arena->used;
    if (count == list->page.limit)
        return SERVICE_ROW_FULL;
    if (!order_load (call, id, row)) {
        service_damage (call);
        return SERVICE_ROW_FULL;
    }
    if (!matches (list, row))
        return SERVICE_ROW_SKIPPED;
    if (!service_page_room (&list->page, count, call->arena->used - before))
        return SERVICE_ROW_FULL;
    list->reply.orders_count++;
    return SERVICE_ROW_TAKEN;
}

void order_list_read (struct service_call *call)
{
    const struct order_list_request *request = call->request;
    struct listing list = {.request = request};
    if (request->has_customer)
        list.customer = &request->customer;
    else if (!request->has_provider && !request->has_courier)
        list.customer = &call->principal.id;
    if (!may_list (call, &list)) {
        service_refuse (call, STATUS_PERMISSION_DENIED, "NOT_YOURS",
            "only staff, operators, API keys and the provider's owner may list others' orders; leave the filters out "
            "to "
            "list yours",
            NULL);
        return;
    }
    maitre_assert (list.customer != NULL || request->has_provider || request->has_courier);
    if (!service_page_open (call, &list.page))
        return;
    struct key prefix = choose_index (&list);
    list.reply.orders = service_alloc (call, (list.page.limit + 1) * sizeof *list.reply.orders);
    list.reply.page_token = service_list (call, &list.page, &prefix, true, list_row, &list);
    list.reply.has_page_token = list.reply.page_token.len > 0;
    maitre_assert (list.reply.orders_count <= list.page.limit);
    maitre_assert (list.reply.has_page_token == (list.reply.page_token.len > 0));
    service_reply_ok (call, &order_list_reply_type, &list.reply);
}
