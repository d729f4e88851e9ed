/* How a hold or a booking ends: Confirm, Release, Cancel. */
#include "node/services/hold.h"
#include "node/services/reserve.h"
#include "schemas/runtime/assert.h"

#define DAY_MS 86400000
#define HOUR_MS 3600000

_Static_assert(DAY_MS == 24 * HOUR_MS, "nights and hours are counted in one calendar");

/* ---- Confirm */

/* The price of a unit of that offer when it was held; false when the reservation has no such offer. */
static bool held_price (const struct reservation *reservation, const struct id *offer, uint64_t *price)
{
    maitre_assert (reservation->prices_minor_count == reservation->items_count);
    for (size_t i = 0; i < reservation->items_count; i++) {
        if (!id_equal (&reservation->items[i].offer, offer))
            continue;
        *price = reservation->prices_minor[i];
        return true;
    }
    return false;
}

static void refuse_part (struct service_call *call)
{
    service_refuse_field (call, STATUS_INVALID_ARGUMENT, "NOT_A_PART",
        "the items to confirm are not a part of what is held; confirm less, or leave items out to confirm the whole",
        "items");
}

/* Exchanges the items for the part that is confirmed, at the prices of the hold. The total cannot overflow: it is at most that of
 * the whole. */
static bool take_part (
    struct service_call *call, struct reservation *reservation, const struct reserve_confirm_request *request)
{
    maitre_assert (reservation->state == RESERVE_STATE_HELD);
    maitre_assert (request->items_count >= 1);
    maitre_assert (request->items_count <= RESERVATION_ITEMS_COUNT_MAX);
    uint64_t *prices = service_alloc (call, request->items_count * sizeof *prices);
    uint64_t total = 0;
    for (size_t i = 0; i < request->items_count; i++) {
        const struct reserve_item *item = &request->items[i];
        if (!held_price (reservation, &item->offer, &prices[i]))
            return false;
        total += prices[i] * reserve_item_quantity (item) * reserve_item_count (item);
    }
    reservation->items = request->items;
    reservation->items_count = request->items_count;
    reservation->prices_minor = prices;
    reservation->prices_minor_count = request->items_count;
    reservation->total_minor = total;
    maitre_assert (reservation->prices_minor_count == reservation->items_count);
    return true;
}

void reserve_confirm_apply (struct service_call *call)
{
    const struct reserve_confirm_request *request = call->request;
    struct reservation held;
    if (!reserve_open (call, &request->reservation, &held))
        return;
    if (held.state != RESERVE_STATE_HELD) {
        reserve_refuse_state (call, &held);
        return;
    }
    struct reservation confirmed = held;
    if (request->has_items && !take_part (call, &confirmed, request)) {
        refuse_part (call);
        return;
    }
    confirmed.state = RESERVE_STATE_CONFIRMED;
    struct counter_plan *plan = counter_plan_new (call, &held.customer);
    if (!reserve_plan_items (call, plan, &held, -1))
        return;
    if (!reserve_plan_items (call, plan, &confirmed, 1) || counter_plan_grows (plan)) {
        refuse_part (call);
        return;
    }
    maitre_assert (!call->answered);
    maitre_assert (confirmed.prices_minor_count == confirmed.items_count);
    counter_plan_commit (plan);
    hold_remove (call, &held);
    maitre_assert (held.state == RESERVE_STATE_HELD);
    confirmed.has_hold_expires_ms = false;
    reserve_enter (call, &confirmed, RESERVE_STATE_CONFIRMED, &call->principal.id);
    reserve_store (call, &confirmed);
    if (request->has_items)
        reserve_index (call, &held.reservation, held.items, held.items_count, confirmed.items, confirmed.items_count);
    maitre_assert (confirmed.state == RESERVE_STATE_CONFIRMED);
    maitre_assert (!confirmed.has_hold_expires_ms);
    reserve_answer (call, &confirmed);
}

/* ---- Release and Cancel */

static void give_back (struct service_call *call, struct reservation *reservation, enum reserve_state state)
{
    maitre_assert ((reservation->state == RESERVE_STATE_HELD && state == RESERVE_STATE_RELEASED) ||
                   (reservation->state == RESERVE_STATE_CONFIRMED && state == RESERVE_STATE_CANCELLED));
    struct counter_plan *plan = counter_plan_new (call, &reservation->customer);
    if (!reserve_plan_items (call, plan, reservation, -1))
        return;
    if (!PLANTED (UNITS_NOT_RETURNED))
        counter_plan_commit (plan);
    if (reservation->state == RESERVE_STATE_HELD)
        hold_remove (call, reservation);
    reserve_enter (call, reservation, state, &call->principal.id);
    reserve_store (call, reservation);
    maitre_assert (reservation->state == state);
    reserve_answer (call, reservation);
}

void reserve_release_apply (struct service_call *call)
{
    const struct reserve_release_request *request = call->request;
    struct reservation reservation;
    if (!reserve_open (call, &request->reservation, &reservation))
        return;
    if (reservation.state != RESERVE_STATE_HELD)
        reserve_refuse_state (call, &reservation);
    else
        give_back (call, &reservation, RESERVE_STATE_RELEASED);
}

/* Nights and hours are counted from 1970, so log time has a place among them (in UTC: the provider's calendar may be some
 * hours off). Other buckets have no place in time. */
static bool inside_window (const struct service_call *call, const struct offer_head *head,
    const struct reservation *booked, const struct reserve_item *item)
{
    if (head->cancel_window_ms > 0 && call->time_ms > booked->created_ms &&
        call->time_ms - booked->created_ms > head->cancel_window_ms)
        return true;
    if (head->cancel_window_buckets == 0 ||
        (head->bucket_kind != BUCKET_KIND_NIGHT && head->bucket_kind != BUCKET_KIND_HOUR))
        return false;
    maitre_assert (head->cancel_window_buckets > 0);
    uint64_t now = call->time_ms / (head->bucket_kind == BUCKET_KIND_NIGHT ? DAY_MS : HOUR_MS);
    return item->first < now + head->cancel_window_buckets;
}

/* The fee for cancelling now, never more than the price; false after refusing with WINDOW. */
static bool cancel_fee (struct service_call *call, const struct reservation *reservation, uint64_t *fee)
{
    maitre_assert (reservation->state == RESERVE_STATE_CONFIRMED);
    uint64_t sum = 0; /* at most 16 fees of 10^12 */
    for (size_t i = 0; i < reservation->items_count; i++) {
        const struct reserve_item *item = &reservation->items[i];
        struct offer_head head;
        if (!offer_head_load (call, &item->offer, &head)) {
            service_damage (call);
            return false;
        }
        if (!inside_window (call, &head, reservation, item))
            continue;
        if (head.cancel_fee_minor == 0) {
            struct refusal refusal = {
                .has_offer = true,
                .offer = head.offer,
                .has_bucket = true,
                .bucket = item->first,
                .has_state = true,
                .state = reservation->state,
            };
            service_refuse (call, STATUS_FAILED_PRECONDITION, "WINDOW",
                "it is too late to cancel this offer; ask the provider", &refusal);
            return false;
        }
        sum += head.cancel_fee_minor;
    }
    *fee = sum < reservation->total_minor ? sum : reservation->total_minor;
    *fee = *fee < MINOR_UNITS_MAX ? *fee : MINOR_UNITS_MAX;
    maitre_assert (*fee <= reservation->total_minor);
    maitre_assert (*fee <= MINOR_UNITS_MAX);
    return true;
}

void reserve_cancel_apply (struct service_call *call)
{
    const struct reserve_cancel_request *request = call->request;
    struct reservation reservation;
    uint64_t fee = 0;
    if (!reserve_open (call, &request->reservation, &reservation))
        return;
    if (reservation.state != RESERVE_STATE_CONFIRMED) {
        reserve_refuse_state (call, &reservation);
        return;
    }
    if (!cancel_fee (call, &reservation, &fee))
        return;
    maitre_assert (!call->answered);
    reservation.has_fee_minor = fee > 0;
    reservation.fee_minor = fee;
    give_back (call, &reservation, RESERVE_STATE_CANCELLED);
}
