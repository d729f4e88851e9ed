#include "node/services/order.h"

#include "schemas/runtime/assert.h"

static bool sums_up (const struct order *order)
{
    uint64_t total = 0;
    for (size_t i = 0; i < order->lines_count; i++) {
        if (!order->lines[i].has_bucket || !order->lines[i].has_unit_price_minor)
            return false;
        total += order->lines[i].unit_price_minor * order->lines[i].quantity;
    }
    return total == order->total_minor;
}

static bool was_prepared (const struct order *order)
{
    for (size_t i = 0; i < order->history_count; i++)
        if (order->history[i].state == ORDER_STATE_PREPARING)
            return true;
    return false;
}

static bool should_keep_stock (const struct order *order)
{
    switch (order->state) {
    case ORDER_STATE_DECLINED:
    case ORDER_STATE_EXPIRED:
        return false;
    case ORDER_STATE_CANCELLED:
        return was_prepared (order);
    default:
        return true;
    }
}

static bool is_consistent (const struct order *order)
{
    if (order->history_count == 0 || order->version != order->history_count)
        return false;
    for (size_t i = 1; i < order->history_count; i++)
        if (order->history[i].at_ms < order->history[i - 1].at_ms)
            return false;
    return order->history[order->history_count - 1].state == order->state && sums_up (order) &&
           should_keep_stock (order) == order->keeps_stock;
}

static void name_rows (struct recount *recount, const struct order *order)
{
    struct key customer = key_pair (TABLE_CUSTOMER_ORDER, &order->customer, &order->order);
    struct key provider = key_pair (TABLE_PROVIDER_ORDER, &order->provider, &order->order);
    recount_index (recount, &customer);
    recount_index (recount, &provider);
    if (order->has_courier) {
        struct key courier = key_pair (TABLE_COURIER_ORDER, &order->courier, &order->order);
        recount_index (recount, &courier);
    }
    if (order->has_accept_by_ms && order->state == ORDER_STATE_PLACED) {
        struct key due = key_table (TABLE_ORDER_DUE);
        key_u64 (&due, order->accept_by_ms);
        key_id (&due, &order->order);
        recount_index (recount, &due);
    }
}

static void recount_row (struct service_call *call, struct recount *recount, const struct id *id)
{
    struct order order;
    if (!order_load (call, id, &order)) {
        recount_drift (recount, "an order does not read", id);
        return;
    }
    if (!id_equal (&order.order, id) || !is_consistent (&order))
        recount_drift (recount, "an order contradicts itself", id);
    maitre_assert (order.lines_count >= 1);
    name_rows (recount, &order);
    for (size_t i = 0; order.keeps_stock && i < order.lines_count; i++)
        recount_units (
            recount, &order.lines[i].offer, order.lines[i].bucket, 1, 0, order.lines[i].quantity, &order.customer);
}

void order_recount (struct service_call *call, struct recount *recount)
{
    recount_index_table (recount, TABLE_CUSTOMER_ORDER);
    recount_index_table (recount, TABLE_PROVIDER_ORDER);
    recount_index_table (recount, TABLE_COURIER_ORDER);
    recount_index_table (recount, TABLE_ORDER_DUE);
    recount_each (call, recount, TABLE_ORDER, recount_row);
}
