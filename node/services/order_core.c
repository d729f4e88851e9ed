#include "node/services/order.h"

#include "schemas/runtime/assert.h"

_Static_assert(ORDER_ENCODED_MAX <= STATE_VALUE_BYTES_MAX, "an order is a value of the state");
_Static_assert((ORDER_PART_PROVIDER | ORDER_PART_CUSTOMER | ORDER_PART_COURIER | ORDER_PART_OPERATOR |
                   ORDER_PART_ANY_COURIER) == 31,
    "parts are distinct bits");

bool order_load (struct service_call *call, const struct id *id, struct order *order)
{
    struct key key = key_entity (TABLE_ORDER, id);
    return service_load (call, &key, &order_type, order);
}

void order_store (struct service_call *call, const struct order *order)
{
    struct key key = key_entity (TABLE_ORDER, &order->order);
    service_store (call, &key, &order_type, order);
}

unsigned order_parts (struct service_call *call, const struct order *order)
{
    const struct principal *caller = &call->principal;
    unsigned parts = 0;
    if (service_is_operator (call))
        parts |= ORDER_PART_OPERATOR;
    if ((caller->roles & ROLE_STAFF) != 0 || service_owns_provider (call, &order->provider))
        parts |= ORDER_PART_PROVIDER;
    if (id_equal (&caller->id, &order->customer) || id_equal (&caller->id, &order->actor))
        parts |= ORDER_PART_CUSTOMER;
    if (order->has_courier && id_equal (&caller->id, &order->courier))
        parts |= ORDER_PART_COURIER;
    if ((caller->roles & ROLE_COURIER) != 0)
        parts |= ORDER_PART_ANY_COURIER;
    return parts;
}

bool order_visible (unsigned parts, const struct order *order)
{
    maitre_assert (parts <= 31);
    if ((parts & ~(unsigned) ORDER_PART_ANY_COURIER) != 0)
        return true;
    return parts != 0 && !order->has_courier && order_transition_find (ORDER_EVENT_KIND_CLAIM, order->state) != NULL;
}

bool order_open (struct service_call *call, const struct id *id, struct order *order, unsigned *parts)
{
    if (order_load (call, id, order)) {
        *parts = order_parts (call, order);
        if (order_visible (*parts, order)) {
            maitre_assert (*parts != 0);
            return true;
        }
    }
    /* To a stranger an order that is not his looks like none: ids must not be worth guessing. */
    service_refuse_field (call, STATUS_NOT_FOUND, "NO_ORDER", "there is no such order of yours; check the id", "order");
    return false;
}

void order_change (
    struct service_call *call, struct order *order, uint64_t state, const struct id *actor, struct bytes note)
{
    maitre_assert (state >= ORDER_STATE_PLACED);
    maitre_assert (order->history_count <= ORDER_HISTORY_COUNT_MAX);
    if (order->history_count == ORDER_HISTORY_COUNT_MAX) {
        service_damage (call); /* the table has no way that long */
        return;
    }
    struct order_history *history = service_alloc (call, (order->history_count + 1) * sizeof *history);
    if (order->history_count > 0)
        memcpy (history, order->history, order->history_count * sizeof *history);
    history[order->history_count] = (struct order_history){
        .at_ms = call->time_ms, .state = state, .actor = *actor, .has_note = note.len > 0, .note = note};
    order->history = history;
    order->history_count++;
    order->state = state;
    order->version++;
    maitre_assert (order->history[order->history_count - 1].state == order->state);
}

void order_return_stock (struct service_call *call, struct order *order)
{
    maitre_assert (order->lines_count >= 1);
    maitre_assert (order->lines_count <= ORDER_LINES_COUNT_MAX);
    struct offer_head *heads = service_alloc (call, order->lines_count * sizeof *heads);
    for (size_t i = 0; i < order->lines_count; i++) {
        if (!offer_open (call, &order->lines[i].offer, &heads[i])) {
            service_damage (call); /* offers are never deleted */
            return;
        }
    }
    struct counter_plan *plan = counter_plan_new (call, &order->customer);
    for (size_t i = 0; i < order->lines_count; i++)
        counter_plan_add (plan, &heads[i], order->lines[i].bucket, 1, 0, -(int32_t) order->lines[i].quantity);
    counter_plan_commit (plan);
    order->keeps_stock = false;
}

static struct key due_key (const struct order *order)
{
    struct key key = key_table (TABLE_ORDER_DUE);
    key_u64 (&key, order->accept_by_ms);
    key_id (&key, &order->order);
    maitre_assert (key.len == 1 + 8 + ID_SIZE);
    return key;
}

void order_due_add (struct service_call *call, const struct order *order)
{
    struct key key = due_key (order);
    if (order->has_accept_by_ms && order->state == ORDER_STATE_PLACED)
        service_mark (call, &key);
}

void order_due_remove (struct service_call *call, const struct order *order)
{
    struct key key = due_key (order);
    if (order->has_accept_by_ms && order->state == ORDER_STATE_PLACED)
        service_remove (call, &key);
}
