/* When holds fall due: two indexes of deadlines, and the one way in which a hold expires.
 *
 * Room: node/services, pure; internal to the room.
 *
 * Invariants
 *   1. Every held reservation has one row in TABLE_HOLD_DUE and one per distinct counter that it holds in
 *      TABLE_COUNTER_HOLD (its items' offers and their quotas); nothing else has.
 *   2. meta.next_deadline_ms is the first row of TABLE_HOLD_DUE.
 */
#ifndef MAITRED_NODE_SERVICES_HOLD_H
#define MAITRED_NODE_SERVICES_HOLD_H

#include "node/services/recount.h"
#include "node/services/service.h"
#include "schemas/generated/reserve.h"

#define HOLD_EXPIRE_ROWS_MAX 1000  /* holds that one entry expires */
#define HOLD_EXPIRE_PAGES_MAX 8192 /* and counter pages that it may touch by that */

/* The first deadline of the shard, UINT64_MAX when nothing is held. */
uint64_t hold_first_due (struct state *state);

/* Adds (removes) the rows of a held reservation. */
void hold_add (struct service_call *call, const struct reservation *reservation);
void hold_remove (struct service_call *call, const struct reservation *reservation);

/* Expires the holds of the shard that are due at cut_ms, the earliest first, within the bounds above. */
void hold_expire_shard (struct service_call *call, uint64_t cut_ms);

/* Expires the holds on one counter that are due at the call's time. */
void hold_expire_counter (struct service_call *call, const struct id *offer);

/* Expires this one: the reservation becomes RESERVE_STATE_EXPIRED, in the state and in *reservation. */
void hold_expire (struct service_call *call, struct reservation *reservation);

/* Tells services_check which rows a held reservation must have. */
void hold_recount (struct service_call *call, const struct reservation *reservation, struct recount *recount);

#endif
