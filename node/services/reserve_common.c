#include "node/services/reserve.h"

#include "node/services/hold.h"
#include "schemas/runtime/assert.h"

_Static_assert(RESERVATION_PRICES_MINOR_COUNT_MAX == RESERVATION_ITEMS_COUNT_MAX, "a price for each item");
_Static_assert(RESERVATION_ENCODED_MAX <= STATE_VALUE_BYTES_MAX, "a reservation is a value of the state");

bool reserve_load (struct service_call *call, const struct id *id, struct reservation *reservation)
{
    struct key key = key_entity (TABLE_RESERVATION, id);
    if (!service_load (call, &key, &reservation_type, reservation))
        return false;
    if (reservation->prices_minor_count == reservation->items_count && reservation->history_count > 0)
        return true;
    service_damage (call);
    return false;
}

void reserve_store (struct service_call *call, const struct reservation *reservation)
{
    maitre_assert (reservation->prices_minor_count == reservation->items_count);
    maitre_assert (reservation->items_count <= RESERVATION_ITEMS_COUNT_MAX);
    maitre_assert (reservation->history_count >= 1);
    struct key key = key_entity (TABLE_RESERVATION, &reservation->reservation);
    service_store (call, &key, &reservation_type, reservation);
}

bool reserve_is_mine (struct service_call *call, const struct reservation *reservation)
{
    const struct id *caller = &call->principal.id;
    if (id_equal (caller, &reservation->customer) || id_equal (caller, &reservation->actor) ||
        service_is_operator (call))
        return true;
    for (size_t i = 0; i < reservation->items_count; i++) {
        struct offer_head head;
        if (offer_head_load (call, &reservation->items[i].offer, &head) && service_owns_provider (call, &head.provider))
            return true;
    }
    return false;
}

bool reserve_open (struct service_call *call, const struct id *id, struct reservation *reservation)
{
    /* To a stranger a reservation that is not his looks like none: ids must not be worth guessing. */
    if (!reserve_load (call, id, reservation) || !reserve_is_mine (call, reservation)) {
        service_refuse_field (call, STATUS_NOT_FOUND, "NO_RESERVATION",
            "there is no such reservation of yours; check the id", "reservation");
        return false;
    }
    if (reservation->state == RESERVE_STATE_HELD && reservation->hold_expires_ms <= call->time_ms)
        hold_expire (call, reservation);
    maitre_assert (
        call->damaged || reservation->state != RESERVE_STATE_HELD || reservation->hold_expires_ms > call->time_ms);
    return true;
}

void reserve_refuse_state (struct service_call *call, const struct reservation *reservation)
{
    maitre_assert (reservation->state >= RESERVE_STATE_HELD);
    maitre_assert (reservation->state <= RESERVE_STATE_CANCELLED);
    struct refusal refusal = {
        .has_state = true,
        .state = reservation->state,
        .has_version = true,
        .version = reservation->version,
    };
    const char *reason = "NOT_CONFIRMED", *message = "it is only held; release it instead";
    switch ((enum reserve_state) reservation->state) {
    case RESERVE_STATE_HELD:
        break;
    case RESERVE_STATE_CONFIRMED:
        reason = "ALREADY_CONFIRMED";
        message = "it is confirmed already; cancel it to give it back";
        break;
    case RESERVE_STATE_RELEASED:
        reason = "RELEASED";
        message = "it was released; create a new reservation";
        break;
    case RESERVE_STATE_EXPIRED:
        reason = "EXPIRED";
        message = "the hold ran out before it was confirmed; create a new reservation";
        break;
    case RESERVE_STATE_CANCELLED:
        reason = "CANCELLED";
        message = "it was cancelled; create a new reservation";
        break;
    }
    service_refuse (call, STATUS_FAILED_PRECONDITION, reason, message, &refusal);
}

/* The diagram of reserve.h; staying where it is is a move. */
static bool may_enter (const struct reservation *reservation, enum reserve_state state)
{
    if (reservation->history_count == 0)
        return state == RESERVE_STATE_HELD || state == RESERVE_STATE_CONFIRMED;
    switch ((enum reserve_state) reservation->state) {
    case RESERVE_STATE_HELD:
        return state != RESERVE_STATE_CANCELLED;
    case RESERVE_STATE_CONFIRMED:
        return state == RESERVE_STATE_CONFIRMED || state == RESERVE_STATE_CANCELLED;
    case RESERVE_STATE_RELEASED:
    case RESERVE_STATE_EXPIRED:
    case RESERVE_STATE_CANCELLED:
        break;
    }
    return false;
}

void reserve_enter (
    struct service_call *call, struct reservation *reservation, enum reserve_state state, const struct id *actor)
{
    maitre_assert (may_enter (reservation, state));
    struct reserve_event *history = service_alloc (call, RESERVATION_HISTORY_COUNT_MAX * sizeof *history);
    size_t count = reservation->history_count;
    if (count > 0)
        memcpy (history, reservation->history, count * sizeof *history);
    if (count == RESERVATION_HISTORY_COUNT_MAX) {
        /* The first event says who made it and when: the second oldest goes. */
        memmove (history + 1, history + 2, (count - 2) * sizeof *history);
        count--;
    }
    maitre_assert (count < RESERVATION_HISTORY_COUNT_MAX);
    history[count++] = (struct reserve_event){.at_ms = call->time_ms, .state = state, .actor = *actor};
    reservation->history = history;
    reservation->history_count = count;
    reservation->state = state;
    reservation->version++;
    maitre_assert (reservation->history[reservation->history_count - 1].state == reservation->state);
}

void reserve_answer (struct service_call *call, const struct reservation *reservation)
{
    struct reserve_reply reply = {
        .reservation = reservation->reservation,
        .state = reservation->state,
        .version = reservation->version,
        .has_total_minor = true,
        .total_minor = reservation->total_minor,
        .has_currency = true,
        .currency = reservation->currency,
        .has_hold_expires_ms = reservation->state == RESERVE_STATE_HELD,
        .hold_expires_ms = reservation->hold_expires_ms,
        .has_fee_minor = reservation->has_fee_minor,
        .fee_minor = reservation->fee_minor,
    };
    service_reply_ok (call, &reserve_reply_type, &reply);
}

bool reserve_plan_items (
    struct service_call *call, struct counter_plan *plan, const struct reservation *reservation, int sign)
{
    maitre_assert (sign == 1 || sign == -1);
    maitre_assert (reservation->state == RESERVE_STATE_HELD || reservation->state == RESERVE_STATE_CONFIRMED);
    bool held = reservation->state == RESERVE_STATE_HELD;
    for (size_t i = 0; i < reservation->items_count; i++) {
        const struct reserve_item *item = &reservation->items[i];
        struct offer_head head;
        if (!offer_head_load (call, &item->offer, &head)) {
            service_damage (call);
            return false;
        }
        int32_t units = sign * (int32_t) reserve_item_quantity (item);
        counter_plan_add (plan, &head, item->first, reserve_item_count (item), held ? units : 0, held ? 0 : units);
    }
    return !call->damaged;
}

static bool provider_of (struct service_call *call, const struct reserve_item *item, struct id *provider)
{
    struct offer_head head;
    if (!offer_head_load (call, &item->offer, &head)) {
        service_damage (call);
        return false;
    }
    *provider = head.provider;
    return true;
}

void reserve_index (struct service_call *call, const struct id *reservation, const struct reserve_item *old,
    size_t old_count, const struct reserve_item *items, size_t items_count)
{
    maitre_assert (items_count >= 1);
    maitre_assert (items_count <= RESERVATION_ITEMS_COUNT_MAX);
    maitre_assert (old_count <= RESERVATION_ITEMS_COUNT_MAX);
    struct id provider;
    for (size_t i = 0; i < old_count; i++) {
        if (!provider_of (call, &old[i], &provider))
            return;
        struct key key = key_pair (TABLE_PROVIDER_RESERVATION, &provider, reservation);
        service_remove (call, &key);
    }
    for (size_t i = 0; i < items_count; i++) {
        if (!provider_of (call, &items[i], &provider))
            return;
        struct key key = key_pair (TABLE_PROVIDER_RESERVATION, &provider, reservation);
        service_mark (call, &key);
    }
}
