/* Who should hold what: the system shard's record of replaced nodes, and the moves that follow from it.
 *
 * Room: node/placement, pure. The record is changed by committed entries of shard 0 alone (services/placement_core.c);
 * every node keeps the last one that it heard of and acts on it. Ownership: records and what they point to belong to the
 * caller; what these functions add lies in the arena given. Thread safety: no shared state.
 * Source: design.md "Raft: Identities", "Shards, ring, placement"; faults.md R7 to R9, R11, R12, R16.
 *
 * How a node is replaced
 *   cluster.ReplaceNode   placement_begin: the node's folder is retired, all its replicas get new ids (epoch + 1)
 *   a new folder speaks   placement_bind: the number now belongs to that folder (epoch + 1); it learns the record, drops
 *                         what it took for its replicas and makes empty ones under the new ids
 *   every shard's leader  placement_plan, again and again: new replica as a learner -> filled -> joint configuration ->
 *                         old replica out. It looks at the shard's configuration as it is and takes the next step, so
 *                         a crash at any point, of anybody, loses nothing but time
 *   as it goes            placement_note: how far each shard is; the last one ends the replacement
 * The members of a shard stand in its own Raft configuration and nowhere else (R16); the record says what they should be.
 *
 * Invariants
 *   1. next_replica never goes down, and is above every id ever given out: no id is given twice (R12).
 *   2. A number belongs to one folder at most; one that it belonged to is refused from then on.
 *   3. One replacement at a time; beginning it again is a no-op until a folder came for it.
 *   4. A phase never goes back within a replacement.
 */
#ifndef MAITRED_NODE_PLACEMENT_PLACEMENT_H
#define MAITRED_NODE_PLACEMENT_PLACEMENT_H

#include "schemas/generated/placement.h"
#include "schemas/runtime/arena.h"
#include "schemas/runtime/status.h"

/* Before anything was ever replaced. */
#define PLACEMENT_EPOCH_FIRST 1
#define PLACEMENT_RETIRED_MAX PLACED_NODE_RETIRED_COUNT_MAX

struct placement placement_none (void);

/* Whether a decoded record can be one of a cluster of that many user shards: what comes from a disk or a peer is asked. */
bool placement_valid (const struct placement *record, uint32_t shard_count);

/* Begins the replacement of request->node, whose optional fields the entry node filled in.
 * OK: the record is changed, or (begun already, invariant 3) as it was. INVALID_ARGUMENT: hosted does not fit the shards.
 * FAILED_PRECONDITION: another node is being replaced. RESOURCE_EXHAUSTED: too many nodes, or no ids are left. */
WARN_UNUSED enum status placement_begin (struct placement *record, const struct replace_node_request *request,
    uint32_t shard_count, uint64_t time_ms, struct arena *arena);

/* Gives the number to a folder. OK: done, or it was its already. NOT_FOUND: not that replacement.
 * FAILED_PRECONDITION: another folder has it, or this one was retired. */
WARN_UNUSED enum status placement_bind (
    struct placement *record, uint64_t node, uint64_t first_replica, const struct id *folder);

/* Notes phases; those of another replacement, of shards without a move and earlier ones change nothing. */
void placement_note (struct placement *record, const struct note_moves_request *request, struct arena *arena);

/* ---- questions */

/* NULL: the node was never replaced. */
const struct placed_node *placement_node (const struct placement *record, uint64_t node);

/* The id of the node's replica of the shard; 0: that of the first placement. */
uint64_t placement_replica (const struct placement *record, uint64_t node, uint32_t shard);

enum placement_folder {
    PLACEMENT_FOLDER_UNSAID,  /* never replaced: the first folder that spoke for the number has it */
    PLACEMENT_FOLDER_OWNER,   /* the number belongs to it */
    PLACEMENT_FOLDER_AWAITED, /* a new one, while a new one is waited for */
    PLACEMENT_FOLDER_REFUSED, /* retired, or the number has another */
};

enum placement_folder placement_folder_of (const struct placement *record, uint64_t node, const struct id *folder);

/* The phase of the shard's move; PLACEMENT_PHASE_NONE: nothing of it moves. */
enum placement_phase placement_phase_of (const struct placement *record, uint32_t shard);

/* Which replacement the shard's leader has to carry out now, by its first replica id (no two have the same): the folder has
 * come, and the shard's move is not done. 0: none. */
uint64_t placement_moves_for (const struct placement *record, uint32_t shard);

/* Moves of the running replacement, and how many of them are done. */
void placement_count (const struct placement *record, uint32_t *moves, uint32_t *done);

/* Asserts the invariants that one record can show. */
void placement_check (const struct placement *record, uint32_t shard_count);

#endif
