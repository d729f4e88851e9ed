/* reserve.Move: other items in one step. The old ones count as free for the new ones, and stay when those do not fit. */
#include "node/services/hold.h"
#include "node/services/reserve.h"
#include "schemas/runtime/assert.h"

void reserve_move_apply (struct service_call *call)
{
    const struct reserve_move_request *request = call->request;
    struct reservation old;
    if (!reserve_open (call, &request->reservation, &old))
        return;
    if (old.state != RESERVE_STATE_HELD && old.state != RESERVE_STATE_CONFIRMED) {
        reserve_refuse_state (call, &old);
        return;
    }
    struct reserve_basket *basket = service_alloc (call, sizeof *basket);
    if (!reserve_basket_open (call, request->items, request->items_count, basket))
        return;
    struct counter_plan *plan = counter_plan_new (call, &old.customer);
    if (!reserve_plan_items (call, plan, &old, -1) ||
        !reserve_basket_take (call, basket, plan, (enum reserve_state) old.state, &old))
        return;

    maitre_assert (!call->answered);
    maitre_assert (basket->count == request->items_count);
    struct reservation moved = old;
    moved.items = request->items;
    moved.items_count = request->items_count;
    moved.prices_minor = basket->prices_minor;
    moved.prices_minor_count = basket->count;
    moved.total_minor = basket->total_minor;
    moved.currency = bytes_of (basket->heads[0].currency, sizeof basket->heads[0].currency);
    reserve_enter (call, &moved, (enum reserve_state) old.state, &call->principal.id);
    maitre_assert (moved.state == old.state);
    maitre_assert (moved.prices_minor_count == moved.items_count);
    maitre_assert (id_equal (&moved.reservation, &old.reservation));
    counter_plan_commit (plan);
    if (old.state == RESERVE_STATE_HELD)
        hold_remove (call, &old);
    reserve_store (call, &moved);
    reserve_index (call, &old.reservation, old.items, old.items_count, moved.items, moved.items_count);
    if (old.state == RESERVE_STATE_HELD)
        hold_add (call, &moved);
    reserve_answer (call, &moved);
}
