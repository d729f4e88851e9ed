#include "node/services/reserve.h"

#include "node/services/hold.h"
#include "node/services/sessions.h"
#include "schemas/runtime/assert.h"

static void recount_row (struct service_call *call, struct recount *recount, const struct id *id)
{
    struct reservation row;
    if (!reserve_load (call, id, &row)) {
        recount_drift (recount, "a reservation does not read", id);
        return;
    }
    maitre_assert (row.prices_minor_count == row.items_count);
    maitre_assert (row.history_count >= 1);
    bool held = row.state == RESERVE_STATE_HELD, confirmed = row.state == RESERVE_STATE_CONFIRMED;
    if (held != row.has_hold_expires_ms && (held || confirmed))
        recount_drift (recount, "a deadline stands where there is no hold, or is missing", id);
    struct key key = key_pair (TABLE_CUSTOMER_RESERVATION, &row.customer, &row.reservation);
    recount_index (recount, &key);
    for (size_t i = 0; i < row.items_count; i++) {
        const struct reserve_item *item = &row.items[i];
        struct offer_head head;
        if (!offer_head_load (call, &item->offer, &head)) {
            recount_drift (recount, "a reservation names an offer that is not there", id);
            return;
        }
        key = key_pair (TABLE_PROVIDER_RESERVATION, &head.provider, &row.reservation);
        recount_index (recount, &key);
        uint64_t units = reserve_item_quantity (item);
        if (held || confirmed)
            recount_units (recount, &item->offer, item->first, reserve_item_count (item), held ? units : 0,
                held ? 0 : units, &row.customer);
    }
    if (held)
        hold_recount (call, &row, recount);
}

void reserve_recount (struct service_call *call, struct recount *recount)
{
    recount_index_table (recount, TABLE_CUSTOMER_RESERVATION);
    recount_index_table (recount, TABLE_PROVIDER_RESERVATION);
    recount_index_table (recount, TABLE_HOLD_DUE);
    recount_index_table (recount, TABLE_COUNTER_HOLD);
    recount_each (call, recount, TABLE_RESERVATION, recount_row);
    if (hold_first_due (call->state) != call->meta->next_deadline_ms)
        recount_drift (recount, "the bookkeeping row names another deadline than the earliest hold's", NULL);
}
