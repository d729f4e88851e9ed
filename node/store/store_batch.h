/* One consistent cut of one replica's changes, on its way from the memory table to the state database.
 *
 * Room: node/store; pure (memory only). Thread safety: none; filled by the reactor, then handed to the flush thread.
 * Ownership: the batch owns copies of everything put in.
 *
 * Invariants
 *   1. A key occurs at most once.
 *   2. The changes are those of log indexes in (last written back, applied_index], none newer.
 */
#ifndef MAITRED_NODE_STORE_STORE_BATCH_H
#define MAITRED_NODE_STORE_STORE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/runtime/bytes.h"
#include "schemas/runtime/status.h"

struct store_batch;

/* NULL when memory is out. */
struct store_batch *store_batch_new (
    uint32_t shard, uint64_t replica, uint32_t generation, uint64_t applied_index, uint64_t applied_term);
void store_batch_destroy (struct store_batch **batch);

/* Each key once. RESOURCE_EXHAUSTED when memory is out. key: 0..STATE_KEY_BYTES_MAX bytes. */
WARN_UNUSED enum status store_batch_put (struct store_batch *batch, struct bytes key, struct bytes value);
WARN_UNUSED enum status store_batch_remove (struct store_batch *batch, struct bytes key);

size_t store_batch_count (const struct store_batch *batch);
size_t store_batch_bytes (const struct store_batch *batch);
uint32_t store_batch_shard (const struct store_batch *batch);
uint64_t store_batch_replica (const struct store_batch *batch);
uint32_t store_batch_generation (const struct store_batch *batch);
uint64_t store_batch_applied_index (const struct store_batch *batch);
uint64_t store_batch_applied_term (const struct store_batch *batch);

/* Sorts by key (asserts invariant 1); after it only store_batch_at, which gives the i-th change. Flush thread. */
void store_batch_sort (struct store_batch *batch);
void store_batch_at (const struct store_batch *batch, size_t i, struct bytes *key, struct bytes *value, bool *removed);

#endif
