/* The catalogue: providers, offers, capacities.
 *
 * Room: node/services, pure; internal to the room.
 *
 * Invariants
 *   1. A provider's id carries the placement hash of its group, or its own; an offer's id carries its provider's. So
 *      everything of one group is on one shard, for ever.
 *   2. Every stored offer has its head (offer.h) and a row in the index of its provider.
 *   3. No change takes away what is committed: capacity, range, quota, currency and kind of bucket are checked against the
 *      counters first.
 */
#ifndef MAITRED_NODE_SERVICES_CATALOG_H
#define MAITRED_NODE_SERVICES_CATALOG_H

#include "node/services/counter.h"
#include "node/services/recount.h"
#include "node/services/service.h"
#include "schemas/generated/catalog.h"

service_apply catalog_put_provider_apply;
service_apply catalog_put_offer_apply;
service_apply catalog_set_offer_state_apply;
service_apply catalog_adjust_capacity_apply;
service_apply catalog_get_read;
service_apply catalog_list_read;
service_recount catalog_recount;

bool catalog_provider_load (struct service_call *call, const struct id *id, struct provider *provider);
bool catalog_offer_load (struct service_call *call, const struct id *id, struct offer *offer);

/* Puts the offer and its head. */
void catalog_offer_store (struct service_call *call, const struct offer *offer);

/* For a Put: whether the version that the caller replaces is the present one (0 when there is none yet). False after
 * refusing with EXISTS or STALE_VERSION. */
bool catalog_check_version (struct service_call *call, uint64_t asked, uint64_t present);

/* For a change of an offer: loads it, expires what is due on it, and refuses (false) without one, to strangers, and on a stale
 * version (0: any). */
bool catalog_offer_open (struct service_call *call, const struct id *id, uint64_t version, struct offer *offer);

/* Refuses with BELOW_COMMITTED. */
void catalog_refuse_committed (struct service_call *call, const struct counter_shortage *shortage);

void catalog_answer (struct service_call *call, const struct id *id, uint64_t version);

#endif
