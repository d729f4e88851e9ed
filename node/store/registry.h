/* What the log holds of each replica, in memory: where entries lie, what is cut, which generation is live.
 *
 * Room: node/store, private, pure (memory only). Thread safety: none; the store's lock guards it.
 *
 * Invariants
 *   1. Records are ordered by (shard, replica).
 *   2. Of a record: compact_index <= last_index; the runs' first indexes and (turn, group) places ascend strictly; when
 *      last_index > compact_index the first run begins at or below compact_index + 1.
 *   3. A removed record has no runs and never changes again.
 *   4. A broken record has no runs and takes nothing up until a RESET.
 *
 * Holes: a turn that is lost may have held something of any replica. What of a log was read before a hole is what that log
 * once was, and what was read behind it must prove that nothing in between is missing, or was replaced: entries of one
 * replica that follow the last one before the hole, in the same term, do (Raft's log matching: the leader of that term
 * wrote both), and so do entries that begin at or below the cut, and a RESET. Whatever else goes on behind the hole is
 * broken; a log of which nothing was read behind it may be short or stale, and is only fit for a suspect.
 */
#ifndef MAITRED_NODE_STORE_REGISTRY_H
#define MAITRED_NODE_STORE_REGISTRY_H

#include <stdbool.h>

#include "node/store/store.h"

/* One thing that a turn does to one replica. */
enum registry_kind {
    REGISTRY_APPEND,
    REGISTRY_HARD_STATE,
    REGISTRY_COMPACT,
    REGISTRY_INSTALL,
    REGISTRY_RESET, /* what an install without keep_log does to the log: it is empty, and goes on at first_index */
    REGISTRY_REMOVE,
};

struct registry_change {
    enum registry_kind kind;
    uint32_t shard;
    uint64_t replica;
    uint64_t truncate_from, first_index, count; /* APPEND, RESET (first_index alone) */
    uint32_t group;                             /* APPEND, RESET: place within the turn */
    uint64_t first_term, tail_term;             /* APPEND: of the first and last entry; in recovery alone */
    uint64_t term, vote;                        /* HARD_STATE */
    uint64_t index, index_term;                 /* COMPACT, INSTALL */
    uint32_t generation;                        /* INSTALL */
    uint8_t *config;                            /* COMPACT, INSTALL: owned by whoever holds the change */
    size_t config_len;
};

/* Entries from first_index up to the next run's lie in this group of this turn. */
struct registry_run {
    uint64_t first_index, turn;
    uint32_t group;
};

struct registry_record {
    uint32_t shard;
    uint64_t replica;
    bool removed;
    bool seen; /* something of its log was read or written: last_index means something */
    uint64_t term, vote;
    uint64_t last_index, last_term, compact_index, compact_term;
    uint64_t tail_term; /* in recovery: of the entry at last_index, 0 when not known */
    uint64_t holes;     /* that its log is known to have no part in */
    bool broken;
    uint64_t broken_index, broken_last; /* it goes on at this entry, behind the last one of before */
    uint32_t generation;
    uint8_t *config;
    size_t config_len;
    struct registry_run *runs; /* runs[run_first, run_end) */
    size_t run_first, run_end, run_room;
    /* While a turn is checked: what it would leave behind. */
    uint64_t trial, trial_last, trial_compact;
    uint32_t trial_generation;
    bool trial_removed, trial_broken;
};

struct registry {
    struct registry_record **records;
    size_t count, room;
    uint64_t trials;
    uint64_t holes; /* met so far */
};

void registry_close (struct registry *registry);

/* NULL when there is none (find), or memory is out (make). */
struct registry_record *registry_find (const struct registry *registry, uint32_t shard, uint64_t replica);
struct registry_record *registry_make (struct registry *registry, uint32_t shard, uint64_t replica);

/* Whether the changes, in order, fit what is there: INVALID_ARGUMENT names the first that does not. Makes records of
 * replicas not known yet, which stay empty. */
WARN_UNUSED enum status registry_try (
    struct registry *registry, const struct registry_change *changes, size_t n, struct store_error *error);

/* Whether the changes of the last registry_try leave no broken record. */
bool registry_try_mends (const struct registry *registry);

/* Applies one change of a turn. In recovery the log's base may lie anywhere (`loose`): the first append of a replica
 * is taken as it comes, later ones must follow, and prove that they do behind a hole; else the record is broken. False:
 * it leaves a gap (nothing changed; never in recovery). Aborts when out of memory: the change is on disk already. Takes
 * over the config. */
bool registry_apply (struct registry *registry, struct registry_change *change, uint64_t turn, bool loose);

/* A turn, or a part of one, that ought to stand here is lost. */
void registry_hole (struct registry *registry);

/* The log of this replica cannot be used: it goes on at `index`, or its entry there is damaged. */
void registry_break (struct registry_record *record, uint64_t index);

/* Whether its log may lack, or have kept, something that a lost turn changed. */
bool registry_doubtful (const struct registry *registry, const struct registry_record *record);

/* Drops runs that hold nothing above the compaction point. */
void registry_trim (struct registry_record *record);

/* The place of an entry; NULL when the log does not hold it. */
const struct registry_run *registry_run_of (const struct registry_record *record, uint64_t index);

/* The oldest turn that any replica needs, `none` when no entry is needed; *pinning (may be NULL) whose. */
uint64_t registry_oldest_turn (const struct registry *registry, uint64_t none, struct registry_record **pinning);

void registry_check (const struct registry *registry);

#endif
