/* The working state of one shard: a bounded memory table over the state database, behind the services' `struct state`.
 *
 * Room: node/store. Thread safety: none; the shard's thread (the reactor) alone. The batches that it makes are handed
 * to the flush thread. With store NULL it is memory alone, always complete. Source: design.md "The walk of a write",
 * "Disk".
 *
 * Life of an entry:  clean --put/remove--> dirty --write_back_step--> copied --write_back_done--> clean (or gone)
 *                    copied --put/remove--> dirty: what is flushed is the copy, the entry stays dirty
 *
 * Invariants
 *   1. Only clean entries are evicted; dirty or copied ones stay readable in memory.
 *   2. `complete`: nothing was ever evicted and all was loaded: a miss needs no store.
 *   3. Between begin and the last step the batch receives each entry as it was at begin: put and remove save the old
 *      version into the batch first.
 *   4. A store that could not be read latches `failed` (state.h invariant 3).
 */
#ifndef MAITRED_NODE_STORE_TABLE_H
#define MAITRED_NODE_STORE_TABLE_H

#include "node/services/state.h"
#include "node/store/store.h"
#include "node/store/store_batch.h"

struct table;

/* Memory of all tables of a node, counted together; the engine evicts when used > max. Reactor thread. */
struct table_budget {
    size_t used_bytes;
    size_t max_bytes;
};

/* An empty, complete table of (shard, replica, generation). store and budget are borrowed (either may be NULL) and
 * outlive it. complete false: over a generation that already has data, without loading it. NULL when memory is out. */
struct table *table_new (struct store *store, struct table_budget *budget, uint32_t shard, uint64_t replica,
    uint32_t generation, bool complete);
void table_destroy (struct table **table);

/* Loads the whole generation while the budget lasts; the table is complete if it fitted. Before anything else is done
 * with the table. DATA_LOSS, INTERNAL, RESOURCE_EXHAUSTED when memory is out. */
WARN_UNUSED enum status table_load_all (struct table *table);

/* The same, but a little at a time while the table is used: it asks the store for what it does not hold yet. begin before
 * anything else is done with a table that is not complete. step looks at up to `max` keys of the store; true when it is over:
 * the table is complete, or the budget is used up, or something was evicted, or the store could not be read (failed). */
void table_warm_begin (struct table *table);
bool table_warm_step (struct table *table, size_t max);

/* The services' view. Valid as long as the table. */
struct state *table_state (struct table *table);

bool table_complete (const struct table *table);
bool table_failed (const struct table *table);
bool table_damaged (const struct table *table); /* failed, and it was the store that could not be read, not memory */
size_t table_count (const struct table *table); /* entries in memory, tombstones included */
size_t table_bytes (const struct table *table);
size_t table_dirty_bytes (const struct table *table);     /* keys and values changed since the last begin */
uint64_t table_written_index (const struct table *table); /* applied index of the last write-back that is done */

/* Starts a write-back of everything changed up to (applied_index, applied_term). O(1). One at a time:
 * FAILED_PRECONDITION while one is under way. RESOURCE_EXHAUSTED. */
WARN_UNUSED enum status table_write_back_begin (struct table *table, uint64_t applied_index, uint64_t applied_term);

/* Copies up to `max` entries; true when the batch is complete: *batch is then the caller's, to write and to destroy. */
bool table_write_back_step (struct table *table, size_t max, struct store_batch **batch);

/* store_state_write of that batch succeeded: what was not changed since is clean. O(1). */
void table_write_back_done (struct table *table);

/* True from begin to done. */
bool table_write_back_running (const struct table *table);

/* Frees clean entries, coldest first (second chance), looking at no more than `visit_max` entries; returns bytes freed.
 * The table is then no longer complete. Does nothing without a store. Not during a step: borrowed values die. */
size_t table_evict (struct table *table, size_t bytes, size_t visit_max);

/* One hash over all (key, value) in key order: equal content, equal hash. Reads everything; for tests and audits.
 * *hash is valid unless the table failed. */
uint64_t table_hash (struct table *table);

/* Asserts the invariants above and the tree's. O(n). */
void table_check (struct table *table);

#endif
