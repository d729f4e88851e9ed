/* Orders: lines of stock that a provider prepares and a courier or the customer takes away.
 *
 * Room: node/services, pure; internal to the room. Ownership: as service.h says.
 *
 *   order.Place (order_place.c)                       who may, in brackets: p provider's side, c customer, d the courier
 *     |                                               who claimed it; operators may everything but claim
 *     v        decline [p]
 *   PLACED ---------------> DECLINED *
 *     |  |-- cancel [c] --> CANCELLED *               claim [any courier]: a field, not a state; in ACCEPTED, PREPARING
 *     |  `-- order_due.c -> EXPIRED *                 and READY, by the first one only
 *     | accept [p]
 *     v        cancel [c, p]
 *   ACCEPTED -------------> CANCELLED *               * the units go back to the counters
 *     | prepare [p]                                   elsewhere they stay taken: what is being prepared is used up
 *     v        cancel [p]
 *   PREPARING ------------> CANCELLED
 *     | ready [p]
 *     v        collect [p]                return [p, c]
 *   READY ----------------> COLLECTED -------------------> RETURNED
 *     | pick_up [d]                                           ^
 *     v        deliver [d]                return [p, c]       |
 *   IN_TRANSIT -----------> DELIVERED ------------------------'
 *      `------ fail [d] --> FAILED
 *   All of it by order.Advance, order_advance.c, from the table in order_table.c.
 *
 * Invariants (order_recount)
 *   1. An order whose keeps_stock is set stands for `quantity` confirmed units of each line's offer and bucket, and for as much
 *      usage of its customer; keeps_stock is false exactly after the transitions marked *.
 *   2. Every order has one row in the customer's and the provider's index, one in the courier's when it is claimed, and one
 *      in TABLE_ORDER_DUE while it is PLACED and has an accept_by_ms; no other rows exist.
 *   3. version is 1 when placed and grows by one with every change.
 *   4. history is in order of time and holds every change; there are too few transitions to pass its bound.
 */
#ifndef MAITRED_NODE_SERVICES_ORDER_H
#define MAITRED_NODE_SERVICES_ORDER_H

#include "node/services/counter.h"
#include "node/services/recount.h"
#include "node/services/service.h"

#define ORDER_EXPIRE_ROWS_MAX 100 /* orders that one entry expires: up to 64 counters each */

/* ---- order_table.c: pure tables */

/* What the caller is to an order; a set of bits. */
enum order_part {
    ORDER_PART_PROVIDER = 1, /* its owner, staff */
    ORDER_PART_CUSTOMER = 2, /* the customer, or who placed it */
    ORDER_PART_COURIER = 4,  /* who claimed it */
    ORDER_PART_OPERATOR = 8,
    ORDER_PART_ANY_COURIER = 16, /* has the role */
};

struct order_transition {
    uint64_t event;
    uint64_t from;  /* one state */
    uint64_t to;    /* the same state: a claim */
    unsigned parts; /* any of these may */
    bool returns_stock;
};

/* The transition of the table, or NULL when that event does nothing in that state. */
const struct order_transition *order_transition_find (uint64_t event, uint64_t from);

/* True when any transition of the event is open to one of the parts. */
bool order_event_open_to (uint64_t event, unsigned parts);

/* ---- order_core.c: what the handlers share */

bool order_load (struct service_call *call, const struct id *id, struct order *order);
void order_store (struct service_call *call, const struct order *order);

/* What the caller is to this order. */
unsigned order_parts (struct service_call *call, const struct order *order);

/* True when these parts, or a courier who may still claim it, may see it. */
bool order_visible (unsigned parts, const struct order *order);

/* Loads the order and what the caller is to it; refuses (false) when there is none, or none that the caller may see. */
bool order_open (struct service_call *call, const struct id *id, struct order *order, unsigned *parts);

/* Appends to the history and sets state and version; the caller stores. note may be empty. */
void order_change (
    struct service_call *call, struct order *order, uint64_t state, const struct id *actor, struct bytes note);

/* Gives the units of every line back; the caller stores. */
void order_return_stock (struct service_call *call, struct order *order);

/* Adds (removes) the rows of TABLE_ORDER_DUE that an order has. */
void order_due_add (struct service_call *call, const struct order *order);
void order_due_remove (struct service_call *call, const struct order *order);

/* ---- order_due.c */

/* The earliest accept_by_ms of the shard, UINT64_MAX when there is none. */
uint64_t order_next_deadline (struct state *state);

/* Expires the orders that are due at cut_ms, the earliest first, at most ORDER_EXPIRE_ROWS_MAX. */
void order_expire_shard (struct service_call *call, uint64_t cut_ms);

/* Expires this one, in the state and in *order. */
void order_expire (struct service_call *call, struct order *order);

/* ---- handlers */
service_apply order_place_apply;
service_apply order_quote_read;
service_apply order_advance_apply;
service_apply order_get_read;
service_apply order_list_read;

service_recount order_recount;

#endif
