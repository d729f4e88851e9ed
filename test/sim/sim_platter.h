/* What a node's log leaves on the disk: bytes in sectors, in the store's own formats, and what a start makes of them.
 *
 * Room: test/sim. Ownership: the node's sim_disk. Each batch becomes one RocksDB write-ahead record (wal.h has the format) of one turn
 * (pack.h), written when the batch is handed to the disk. A crash keeps, drops or tears each sector that was not synced. A start
 * lets the production wal_inspect tell a torn tail from rot, cuts with wal_cut, and reads back with the production pack_read_*: what
 * the cores get then comes from those bytes alone. From time to time everything synced moves to the base, as a flushed memtable does.
 *
 * Invariants
 *  1. Without damage a start finds exactly what was synced, or that and the one batch that was under way.
 *  2. Damage that a valid batch follows is a hole, a damaged end is cut; both make every replica of the node suspect. The store's
 *     registry judges which logs go on behind a hole: one that it calls certain is what was synced; a broken one starts over.
 */
#ifndef MAITRED_TEST_SIM_SIM_PLATTER_H
#define MAITRED_TEST_SIM_SIM_PLATTER_H

#include "test/sim/sim.h"

#define SIM_SECTOR_BYTES 512

/* Appends the batch under way. */
void sim_platter_write (struct sim *sim, struct sim_node *node);
void sim_platter_synced (struct sim *sim, struct sim_node *node);
/* The power goes: what becomes of the sectors that were not synced. */
void sim_platter_crash (struct sim *sim, struct sim_node *node);
/* Everything synced so far stands in the base, and the write-ahead file is empty. Pre: nothing is being written. */
void sim_platter_rebase (struct sim_node *node);
/* A replica came or went by another way than a batch. */
void sim_platter_created (struct sim_node *node, const struct sim_stored *stored);
void sim_platter_erased (struct sim_node *node, uint64_t replica);
/* Reads everything back into the node's stored replicas. damaged: somebody was at its synced sectors. */
void sim_platter_recover (struct sim *sim, struct sim_node *node, bool damaged);
/* Damage behind the back of a stopped node. */
void sim_platter_cut_tail (struct sim *sim, struct sim_node *node, size_t batches);
bool sim_platter_flip (struct sim *sim, struct sim_node *node);
bool sim_platter_misdirect (struct sim *sim, struct sim_node *node);
/* Within the two files. */
void sim_platter_copy_base (struct sim_platter *platter); /* *platter is a copy: gives it a base of its own */
void sim_platter_free_base (struct sim_platter *platter);
void sim_platter_close (struct sim_disk *disk);

#endif
