/* Orders that nobody accepted in time. The time is the shortest hold_ttl_ms among the policies of the offers ordered; an
 * order of offers without one waits for ever. */
#include "node/services/order.h"

#include "schemas/runtime/assert.h"

#define DUE_KEY_BYTES (1 + 8 + ID_SIZE)

_Static_assert(
    ORDER_EXPIRE_ROWS_MAX *ID_SIZE <= SERVICES_ARENA_BYTES_MIN / 2, "the rows of one entry leave room to expire them");

struct due {
    uint64_t cut_ms;
    size_t count, max;
    struct id *orders;
    uint64_t first_ms;
};

static bool visit_due (void *argument, struct bytes key, struct bytes value)
{
    struct due *due = argument;
    (void) value;
    if (key.len != DUE_KEY_BYTES)
        return false;
    uint64_t at_ms = bytes_get_u64 (key.data + 1);
    if (due->count == 0)
        due->first_ms = at_ms;
    if (at_ms > due->cut_ms || due->count == due->max)
        return false;
    if (due->orders != NULL)
        memcpy (due->orders[due->count].b, key.data + 9, ID_SIZE);
    maitre_assert (due->count < due->max);
    due->count++;
    return due->count < due->max;
}

static void scan_due (struct state *state, struct due *due)
{
    struct key from = key_table (TABLE_ORDER_DUE), to = from;
    key_after_prefix (&to);
    state_scan (state, key_of (&from), key_of (&to), false, visit_due, due);
    maitre_assert (due->count <= due->max);
    maitre_assert (due->count == 0 || due->first_ms <= due->cut_ms);
}

uint64_t order_next_deadline (struct state *state)
{
    struct due due = {.cut_ms = UINT64_MAX, .max = 1, .first_ms = UINT64_MAX};
    scan_due (state, &due);
    return due.first_ms;
}

void order_expire (struct service_call *call, struct order *order)
{
    maitre_assert (order->state == ORDER_STATE_PLACED);
    maitre_assert (order->has_accept_by_ms);
    static const struct id nobody = {{0}};
    order_due_remove (call, order);
    order_return_stock (call, order);
    order_change (call, order, ORDER_STATE_EXPIRED, &nobody, BYTES_LITERAL ("not accepted in time"));
    if (!call->damaged)
        order_store (call, order);
    maitre_assert (call->damaged || order->state == ORDER_STATE_EXPIRED);
    maitre_assert (call->damaged || !order->keeps_stock);
}

void order_expire_shard (struct service_call *call, uint64_t cut_ms)
{
    maitre_assert (cut_ms <= call->time_ms);
    struct due due = {.cut_ms = cut_ms, .max = ORDER_EXPIRE_ROWS_MAX};
    due.orders = service_alloc (call, due.max * sizeof *due.orders);
    scan_due (call->state, &due);
    maitre_assert (due.count <= ORDER_EXPIRE_ROWS_MAX);
    for (size_t i = 0; i < due.count && !call->damaged; i++) {
        size_t mark = call->arena->used;
        struct order order;
        if (order_load (call, &due.orders[i], &order) && order.state == ORDER_STATE_PLACED)
            order_expire (call, &order);
        else
            service_damage (call);
        call->arena->used = mark;
    }
}
