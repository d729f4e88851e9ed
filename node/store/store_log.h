/* The Raft logs of all replicas of a node: packed into turns, one synced write each, read back at start.
 *
 * Room: node/store. Thread safety: a turn is built by one thread at a time (the reactor) and handed to the one writer
 * thread, which commits it and hands it back; with two turn objects one is filled while the other is synced.
 * Source: design.md "Disk" and "The walk of a write"; faults.md R1, R2, facts 1 and 2.
 *
 * Invariants
 *   1. Turn numbers increase by one; a turn is one RocksDB batch: entries, hard states, cuts, marks together or not at
 * all.
 *   2. An append at index i replaces everything of that replica at and above i, as does truncate_from.
 *   3. Each entry has a checksum over (shard, replica, index, term, type, payload), each part of a turn one over all of
 * it.
 *   4. Recovery hands out nothing of a turn that was not read whole, with right checksums. A lost turn with others behind it
 *      (rot) condemns those logs that cannot prove that it held nothing of theirs (registry.h): they must be reset by the
 *      very first turn, which closes the hole; until it is synced every start finds the same. The folder is suspect.
 *   5. A removed replica id never comes back.
 *   6. Turns that no replica needs leave the log within later turns' batches: nothing unsynced enters the WAL for it.
 */
#ifndef MAITRED_NODE_STORE_STORE_LOG_H
#define MAITRED_NODE_STORE_STORE_LOG_H

#include "node/store/store.h"

#define STORE_ENTRY_BYTES_MAX (4 * 1024 * 1024)
#define STORE_CONFIG_BYTES_MAX (64 * 1024)

struct store_entry {
    uint64_t index; /* from 1 */
    uint64_t term;
    uint32_t type; /* up to 255; the store does not look at it */
    struct bytes payload;
};

struct store_turn;

/* A reusable turn, empty. NULL when memory is out. The caller destroys it before store_close. */
struct store_turn *store_turn_new (struct store *store);
void store_turn_destroy (struct store_turn **turn);

/* Empties the turn for the next use (keeps its memory up to 4 MiB). */
void store_turn_reset (struct store_turn *turn);

/* True when nothing was put in since new or reset. Committing an empty turn writes nothing and returns OK. */
bool store_turn_empty (const struct store_turn *turn);

/* Adds entries (ascending, contiguous) of one replica, copied. truncate_from, when not 0, drops everything at and above
 * it first (n may then be 0; with entries, truncate_from <= entries[0].index). Several calls for one replica in a turn
 * act in order. RESOURCE_EXHAUSTED: past turn_bytes_max or out of memory; INVALID_ARGUMENT: a payload over
 * STORE_ENTRY_BYTES_MAX. After either the turn must be reset, not committed. */
WARN_UNUSED enum status store_turn_append (struct store_turn *turn, uint32_t shard, uint64_t replica,
    uint64_t truncate_from, const struct store_entry *entries, size_t n);

/* Term and vote (a replica id, 0 for none) of one replica, together (R1). The last one of a turn counts. */
WARN_UNUSED enum status store_turn_hard_state (
    struct store_turn *turn, uint32_t shard, uint64_t replica, uint64_t term, uint64_t vote);

/* The log of this replica is needed only above `index` (of `term`). `config` is the committed configuration as of
 * index, in the caller's encoding. With index 0 and term 0 it founds the replica with its first configuration. The
 * caller's duty: the state at `index` or later is written back (store_state_applied). */
WARN_UNUSED enum status store_turn_compact (
    struct store_turn *turn, uint32_t shard, uint64_t replica, uint64_t index, uint64_t term, struct bytes config);

/* Makes an imported snapshot live (store_import_finish gave the generation): generation, cut and configuration change
 * together. keep_log: the log holds (index, term), so what is above it stays (R13); else the whole log goes. */
WARN_UNUSED enum status store_turn_install (struct store_turn *turn, uint32_t shard, uint64_t replica,
    uint32_t generation, uint64_t index, uint64_t term, struct bytes config, bool keep_log);

/* The replica is gone for good (invariant 5): its log, term and vote leave; its state is swept later. */
WARN_UNUSED enum status store_turn_remove (struct store_turn *turn, uint32_t shard, uint64_t replica);

/* Writes and syncs the turn. Writer thread only. On OK everything in it survives a power loss, and the turn may be
 * reset. DATA_LOSS: this or an earlier write failed; the outcome is unknown, the store is latched and (if the disk
 * still lets it) suspect: answer nobody and end the process. INVALID_ARGUMENT: an entry leaves a gap behind its
 * replica's log, or names a removed replica, or the first turn leaves a broken log: a bug of the caller; RESOURCE_EXHAUSTED: out of memory. After these two nothing was written and
 * nothing is latched. */
WARN_UNUSED enum status store_turn_commit (struct store_turn *turn, struct store_error *error);

/* Number that the last OK commit of this turn got; 0 before. */
uint64_t store_turn_number (const struct store_turn *turn);

/* What a start finds of one replica. */
struct store_replica {
    uint32_t shard;
    uint64_t replica;
    uint64_t term, vote;
    uint64_t first_index, last_index; /* of the log; first = compact_index + 1, last = compact_index when it is empty */
    uint64_t compact_index, compact_term;
    struct bytes config;                  /* as of compact_index; borrowed for the call */
    uint32_t generation;                  /* live generation of its state */
    uint64_t applied_index, applied_term; /* durably written back */
    const char *damage; /* NULL, or why its state cannot be used: it needs a snapshot from its leader */
    const char *lost;   /* NULL, or why its log cannot be used: store_turn_install must reset it in the first turn */
    bool doubtful; /* it may have acknowledged more than its log holds, or hold what was replaced: suspect at least */
};

/* What rot took out of the log, as the recovery found it. */
struct store_hole {
    uint64_t turns, turn_first,
        turn_last;                      /* lost turns, whole or in part; 0: entries, or turns that were dropped since */
    uint32_t broken, doubtful, certain; /* replicas by what became of their logs */
};

struct store_recovery {
    void *argument;
    /* Once for each replica, by (shard, replica) ascending, before any entry. */
    void (*replica) (void *argument, const struct store_replica *replica);
    /* Entries in ascending index for each replica; replicas interleave. Borrowed for the call. */
    void (*entry) (void *argument, uint32_t shard, uint64_t replica, const struct store_entry *entry);
    /* Return-free: a visitor that cannot go on remembers that itself. */
};

/* Reads and checks the whole log, then hands it out. Once, after store_open and before the first commit (required even
 * for a new folder). May find the store suspect (a lost end, a hole), and make the log anew from what is left of it, where other
 * nodes have the rest (state_from_others). DATA_LOSS: they have not, and nothing of it can be trusted: a mark is damaged, or no
 * turn is left; error->text says what; nothing was handed out. INTERNAL: RocksDB or the disk refused. */
WARN_UNUSED enum status store_log_recover (
    struct store *store, const struct store_recovery *recovery, struct store_error *error);

/* Whether the recovery found holes that no turn has closed yet. The next commit must reset (install) or remove each replica
 * whose row had `lost`, else it is refused. Any thread. */
bool store_log_holed (const struct store *store, struct store_hole *hole);

/* Whether this start made the log database anew, and why; *whole: nothing of it was lost. Any thread, after recovery. */
bool store_log_rebuilt (const struct store *store, const char **why, bool *whole);

/* Reads about bytes_max of the stored turns from *turn on (0: the oldest) and checks their checksums; *over with the end.
 * Any thread, one at a time, after recovery. DATA_LOSS, INTERNAL: error tells. */
WARN_UNUSED enum status store_log_scrub (
    struct store *store, uint64_t *turn, size_t bytes_max, uint64_t *bytes, bool *over, struct store_error *error);

/* Reads the write-ahead files while they are written: DATA_LOSS when something synced rotted. What they hold is in
 * memory still: store_log_renew repairs it. Any thread. */
WARN_UNUSED enum status store_log_scrub_files (struct store *store, struct store_error *error);

/* Writes what is in memory into a new sorted file; the write-ahead files of before go away. Any thread. DATA_LOSS,
 * INTERNAL. */
WARN_UNUSED enum status store_log_renew (struct store *store, struct store_error *error);

/* Term and vote of one replica as they are synced; zeros when there are none. Any thread. */
void store_log_hard_state (struct store *store, uint32_t shard, uint64_t replica, uint64_t *term, uint64_t *vote);

struct store_log_usage {
    uint64_t turn_first, turn_last; /* turns in the log */
    uint64_t bytes;                 /* packed bytes of those */
    uint32_t shard;                 /* the replica whose first entry holds the oldest turn: compacting it frees the */
    uint64_t replica;               /*   most; replica 0 when the log is empty */
    uint64_t first_index;
};

/* Any thread. The engine keeps `bytes` bounded by compacting whom this names. */
void store_log_usage (struct store *store, struct store_log_usage *usage);

#endif
