/* reserve.Create: takes units of every item, or of none. */
#include "node/services/hold.h"
#include "node/services/reserve.h"
#include "schemas/runtime/assert.h"

/* Whose reservation it will be; false after refusing. */
static bool choose_customer (
    struct service_call *call, const struct reserve_create_request *request, struct id *customer)
{
    *customer = request->has_customer ? request->customer : call->principal.id;
    if (id_equal (customer, &call->principal.id) || service_acts_for_others (call))
        return true;
    service_refuse_field (call, STATUS_PERMISSION_DENIED, "NOT_FOR_OTHERS",
        "only staff, operators and API keys may book for another customer; leave customer out to book for yourself",
        "customer");
    maitre_assert (call->answered);
    return false;
}

/* The id routes every later call about the reservation, and is what makes creating it twice impossible. */
static bool check_id (struct service_call *call, const struct reserve_create_request *request)
{
    maitre_assert (request->items_count >= 1);
    if (id_hash (&request->reservation) != id_hash (&request->items[0].offer)) {
        service_refuse_field (call, STATUS_INVALID_ARGUMENT, "WRONG_PLACEMENT",
            "the reservation's id must carry the placement hash of its first offer; make the id from that",
            "reservation");
        return false;
    }
    struct reservation present;
    if (!reserve_load (call, &request->reservation, &present))
        return !call->damaged;
    struct refusal refusal = {
        .has_field = true,
        .field = BYTES_LITERAL ("reservation"),
        .has_state = true,
        .state = present.state,
        .has_version = true,
        .version = present.version,
    };
    service_refuse (call, STATUS_ALREADY_EXISTS, "EXISTS",
        "a reservation with this id exists already; read it, or make a new id", &refusal);
    return false;
}

/* The strictest offer of the basket says how long a hold lasts, and at most. */
static uint64_t hold_ttl_ms (const struct reserve_create_request *request, const struct reserve_basket *basket)
{
    maitre_assert (basket->count >= 1);
    uint64_t usual = UINT64_MAX, most = UINT64_MAX;
    for (size_t i = 0; i < basket->count; i++) {
        uint64_t own = basket->heads[i].hold_ttl_ms;
        uint64_t own_usual = own > 0 ? own : OFFER_HOLD_TTL_MS_DEFAULT;
        uint64_t own_most = own > 0 ? own : OFFER_HOLD_TTL_MS_MAX;
        usual = own_usual < usual ? own_usual : usual;
        most = own_most < most ? own_most : most;
    }
    maitre_assert (usual <= most);
    uint64_t ttl = request->has_hold_ttl_ms ? request->hold_ttl_ms : usual;
    return ttl < most ? ttl : most;
}

void reserve_create_apply (struct service_call *call)
{
    const struct reserve_create_request *request = call->request;
    struct id customer;
    if (!check_id (call, request) || !choose_customer (call, request, &customer))
        return;
    struct reserve_basket *basket = service_alloc (call, sizeof *basket);
    if (!reserve_basket_open (call, request->items, request->items_count, basket))
        return;
    bool hold = request->mode == RESERVE_MODE_HOLD;
    enum reserve_state state = hold ? RESERVE_STATE_HELD : RESERVE_STATE_CONFIRMED;
    struct counter_plan *plan = counter_plan_new (call, &customer);
    if (!reserve_basket_take (call, basket, plan, state, NULL))
        return;

    maitre_assert (basket->count == request->items_count);
    struct reservation reservation = {
        .reservation = request->reservation,
        .customer = customer,
        .items = request->items,
        .items_count = request->items_count,
        .total_minor = basket->total_minor,
        .currency = bytes_of (basket->heads[0].currency, sizeof basket->heads[0].currency),
        .created_ms = call->time_ms,
        .has_hold_expires_ms = hold,
        .hold_expires_ms = hold ? call->time_ms + hold_ttl_ms (request, basket) : 0,
        .has_note = request->has_note,
        .note = request->note,
        .actor = call->principal.id,
        .prices_minor = basket->prices_minor,
        .prices_minor_count = basket->count,
    };
    reserve_enter (call, &reservation, state, &call->principal.id);
    maitre_assert (reservation.version == 1);
    maitre_assert (reservation.history_count == 1);
    maitre_assert (id_hash (&reservation.reservation) == id_hash (&reservation.items[0].offer));
    counter_plan_commit (plan);
    reserve_store (call, &reservation);
    struct key key = key_pair (TABLE_CUSTOMER_RESERVATION, &customer, &reservation.reservation);
    service_mark (call, &key);
    reserve_index (call, &reservation.reservation, NULL, 0, reservation.items, reservation.items_count);
    if (hold)
        hold_add (call, &reservation);
    reserve_answer (call, &reservation);
}
