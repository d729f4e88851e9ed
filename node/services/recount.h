/* services_check: everything that is counted or indexed, counted again from the entities themselves.
 *
 * Room: node/services, pure; internal to the room. Slow by design: tests, the simulator, cluster.Reconcile.
 */
#ifndef MAITRED_NODE_SERVICES_RECOUNT_H
#define MAITRED_NODE_SERVICES_RECOUNT_H

#include "node/services/service.h"

/* Where a service's check reports to. */
struct recount;

/* Units that an entity keeps, in each of count buckets of the offer's counter and of its quota's, for a customer's
 * usage. */
void recount_units (struct recount *recount, const struct id *offer, uint64_t first, uint64_t count, uint64_t held,
    uint64_t confirmed, const struct id *customer);

/* An index row (with an empty value) that must exist. Naming it twice is the same as once. */
void recount_index (struct recount *recount, const struct key *key);

/* Declares a table whose rows must be exactly those that recount_index names. */
void recount_index_table (struct recount *recount, enum table table);

/* Calls `row` for every id of a table whose keys are tag and id. What it allocates is taken back after each. */
void recount_each (struct service_call *call, struct recount *recount, enum table table,
    void (*row) (struct service_call *call, struct recount *recount, const struct id *id));

/* Says what is wrong; id may be NULL. Only the first report is kept. */
void recount_drift (struct recount *recount, const char *what, const struct id *id);

/* One service's part of the check, over call->state; listed in recount.c. */
typedef void service_recount (struct service_call *call, struct recount *recount);

#endif
