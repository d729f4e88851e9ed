#include "node/services/order.h"

#include "schemas/runtime/assert.h"

static void refuse_state (struct service_call *call, const struct order *order, const char *reason, const char *message)
{
    struct refusal refusal = {.has_state = true, .state = order->state, .has_version = true, .version = order->version};
    service_refuse (call, STATUS_FAILED_PRECONDITION, reason, message, &refusal);
}

/* An order that has ended says how. */
static void refuse_event (struct service_call *call, const struct order *order)
{
    switch (order->state) {
    case ORDER_STATE_DECLINED:
        refuse_state (call, order, "DECLINED", "the provider declined the order; place another one");
        return;
    case ORDER_STATE_CANCELLED:
        refuse_state (call, order, "CANCELLED", "the order was cancelled; place another one");
        return;
    case ORDER_STATE_EXPIRED:
        refuse_state (call, order, "EXPIRED", "nobody accepted the order in time; place another one");
        return;
    default:
        refuse_state (call, order, "WRONG_STATE", "the order's present state has no such event; read it again");
    }
}

/* False after refusing a caller who has no part in the event. */
static bool may (
    struct service_call *call, const struct order *order, const struct order_advance_request *request, unsigned parts)
{
    maitre_assert (parts != 0);
    const struct order_transition *transition = order_transition_find (request->event, order->state);
    if (transition != NULL ? (transition->parts & parts) != 0 : order_event_open_to (request->event, parts))
        return true;
    if ((parts & ORDER_PART_ANY_COURIER) != 0 && order_event_open_to (request->event, ORDER_PART_COURIER))
        service_refuse (call, STATUS_PERMISSION_DENIED, "NOT_CLAIMED",
            "only the courier who claimed the order does this; claim it first", NULL);
    else
        service_refuse (call, STATUS_PERMISSION_DENIED, "WRONG_ROLE",
            "this event is not for your part in the order; leave it to the provider, the customer or the courier",
            NULL);
    return false;
}

static void reply_order (struct service_call *call, const struct order *order)
{
    struct order_reply reply = {.order = order->order,
        .state = order->state,
        .version = order->version,
        .has_total_minor = true,
        .total_minor = order->total_minor,
        .has_currency = true,
        .currency = order->currency};
    service_reply_ok (call, &order_reply_type, &reply);
}

/* False after answering: the order is another courier's, or this one's already. */
static bool claim (struct service_call *call, struct order *order)
{
    if (order->has_courier) {
        if (id_equal (&order->courier, &call->principal.id))
            reply_order (call, order); /* what the caller wants is so */
        else
            refuse_state (call, order, "CLAIMED", "another courier has claimed the order; take another one");
        return false;
    }
    struct key key = key_pair (TABLE_COURIER_ORDER, &call->principal.id, &order->order);
    order->has_courier = true;
    order->courier = call->principal.id;
    service_mark (call, &key);
    maitre_assert (order->has_courier);
    maitre_assert (id_equal (&order->courier, &call->principal.id));
    return true;
}

static void advance (struct service_call *call, struct order *order, const struct order_transition *transition)
{
    maitre_assert (transition->from == order->state);
    const struct order_advance_request *request = call->request;
    maitre_assert (transition->event == request->event);
    if (transition->event == ORDER_EVENT_KIND_CLAIM && !claim (call, order))
        return;
    order_due_remove (call, order);
    if (transition->returns_stock && !PLANTED (STOCK_NOT_RETURNED))
        order_return_stock (call, order);
    struct bytes note = request->has_note ? request->note : bytes_of (NULL, 0);
    order_change (call, order, transition->to, &call->principal.id, note);
    if (call->damaged)
        return;
    maitre_assert (order->state == transition->to);
    maitre_assert (order->version > request->version || !request->has_version);
    order_store (call, order);
    reply_order (call, order);
}

void order_advance_apply (struct service_call *call)
{
    const struct order_advance_request *request = call->request;
    struct order order;
    unsigned parts = 0;
    if (!order_open (call, &request->order, &order, &parts) || !may (call, &order, request, parts))
        return;
    if (order.state == ORDER_STATE_PLACED && order.has_accept_by_ms && order.accept_by_ms <= call->time_ms)
        order_expire (call, &order);
    if (call->damaged)
        return;
    if (request->has_version && request->version != order.version) {
        struct refusal refusal = {
            .has_state = true, .state = order.state, .has_version = true, .version = order.version};
        service_refuse (call, STATUS_ABORTED, "STALE_VERSION",
            "the order has changed since you read it; read it again, then decide", &refusal);
        return;
    }
    maitre_assert (!call->answered);
    maitre_assert (!request->has_version || request->version == order.version);
    const struct order_transition *transition = order_transition_find (request->event, order.state);
    if (transition == NULL)
        refuse_event (call, &order);
    else
        advance (call, &order, transition);
}
