/* services_check: everything that is counted or indexed, counted again from the entities themselves.
 *
 * Room: node/services, pure; internal to the room. Slow by design: tests, the simulator, cluster.Reconcile.
 */
#ifndef MAITRED_NODE_SERVICES_RECOUNT_H
#define MAITRED_NODE_SERVICES_RECOUNT_H

#include "node/services/service.h"

/* Where a service's check reports to. */
struct recount;

/* Units that an entity keeps: in each of count buckets of the offer's counter (recount adds the quota's itself), for a
 * customer's usage. */
void recount_units (struct recount *recount, const struct id *offer, uint64_t first, uint64_t count, uint64_t held,
    uint64_t confirmed, const struct id *customer);

/* An index row that must exist (value empty), and no other row of that table may. */
void recount_index (struct recount *recount, const struct key *key);

/* The tables whose rows are exactly those that recount_index named. */
void recount_index_table (struct recount *recount, enum table table);

/* Says what is wrong; parts are joined, id may be NULL. Only the first report is kept. */
void recount_drift (struct recount *recount, const char *what, const struct id *id);

/* For scans of the check: true when nothing has been reported yet. */
bool recount_clean (const struct recount *recount);

/* One service's part of the check: scans its tables with call->state, reports to recount. */
typedef void service_recount (struct service_call *call, struct recount *recount);

#endif
