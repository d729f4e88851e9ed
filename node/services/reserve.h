/* Reservations: the state machine, and what its commands share.
 *
 * Room: node/services, pure; internal to the room. Ownership: what is loaded lives in the call's arena.
 *
 *                reserve_create_apply (HOLD)
 *                           |
 *                           v
 *      +----------------- HELD -----------------+
 *      | reserve_release_apply | reserve_confirm_apply   | hold_expire: its time is up; an expire entry, or any
 *      v                       v                         v   command that touches one of its counters
 *   RELEASED               CONFIRMED <-- reserve_create_apply (BOOK)        EXPIRED
 *                              | reserve_cancel_apply
 *                              v
 *                          CANCELLED
 *
 *   reserve_move_apply exchanges the items of HELD or CONFIRMED and stays there.
 *
 * Invariants
 *   1. A hold resolves once: every second resolution is refused with how it ended.
 *   2. Everything is checked when units are first taken, so confirming cannot fail for want of stock.
 *   3. A reservation is in the index of its customer, and of the providers of its present items, and in no other.
 */
#ifndef MAITRED_NODE_SERVICES_RESERVE_H
#define MAITRED_NODE_SERVICES_RESERVE_H

#include "node/services/counter.h"
#include "node/services/recount.h"
#include "node/services/service.h"
#include "schemas/generated/reserve.h"

service_apply reserve_create_apply;
service_apply reserve_confirm_apply;
service_apply reserve_release_apply;
service_apply reserve_cancel_apply;
service_apply reserve_move_apply;
service_apply reserve_get_read;
service_apply reserve_list_read;
service_recount reserve_recount;

static inline uint32_t reserve_item_count (const struct reserve_item *item)
{
    return item->has_count ? (uint32_t) item->count : 1;
}

static inline uint32_t reserve_item_quantity (const struct reserve_item *item)
{
    return item->has_quantity ? (uint32_t) item->quantity : 1;
}

/* ---- stored reservations */

bool reserve_load (struct service_call *call, const struct id *id, struct reservation *reservation);
void reserve_store (struct service_call *call, const struct reservation *reservation);

/* For a command: loads it, expires it when its time is up, and refuses (false) when there is none or it is none of the
 * caller's business: the customer, who made it, the owner of a provider in it, and operators may. */
bool reserve_open (struct service_call *call, const struct id *id, struct reservation *reservation);

/* True when the caller may see and change it. */
bool reserve_is_mine (struct service_call *call, const struct reservation *reservation);

/* Refuses with how the reservation ended, or what it is instead: a reason per state, and the state. */
void reserve_refuse_state (struct service_call *call, const struct reservation *reservation);

/* Enters a state at the call's time: version and history. The caller stores. */
void reserve_enter (
    struct service_call *call, struct reservation *reservation, enum reserve_state state, const struct id *actor);

/* Answers with the reservation's present state. */
void reserve_answer (struct service_call *call, const struct reservation *reservation);

/* Adds the units of the reservation's items, times sign, to the plan in the column of its state. False on damage. */
bool reserve_plan_items (
    struct service_call *call, struct counter_plan *plan, const struct reservation *reservation, int sign);

/* Makes the index rows of providers of `items`, and removes those of `old` items that are no longer among them. old may be
 * NULL. */
void reserve_index (struct service_call *call, const struct id *reservation, const struct reserve_item *old,
    size_t old_count, const struct reserve_item *items, size_t items_count);

/* ---- a basket: items that someone wants to take */

struct reserve_basket {
    const struct reserve_item *items;
    size_t count;
    struct offer_head heads[RESERVATION_ITEMS_COUNT_MAX];
    uint64_t prices_minor[RESERVATION_ITEMS_COUNT_MAX];
    uint64_t total_minor;
};

/* Opens the offers of the items, due holds expired, and refuses (false) what is not for sale as asked: CROSS_SHARD,
 * NO_OFFER, CLOSED, OUT_OF_RANGE, NEEDS_APPROVAL, CURRENCY_MIXED, TOTAL_TOO_LARGE. */
bool reserve_basket_open (
    struct service_call *call, const struct reserve_item *items, size_t count, struct reserve_basket *basket);

/* Adds the basket's units to the plan as held or confirmed, then refuses (false) when the plan does not fit. `own` is the
 * reservation that gives its units back in the same plan, or NULL. */
bool reserve_basket_take (struct service_call *call, const struct reserve_basket *basket, struct counter_plan *plan,
    enum reserve_state state, const struct reservation *own);

#endif
