/* Log time: the one clock that holds and records age by. A leader stamps entries with it; everyone else only reads it there.
 *
 * Room: node/shard, pure. Owned by one shard.
 *
 * A stamp is the last log time plus the leader's own *monotonic* time since it made or applied that entry, slewed by at most 10 %
 * towards the median of the members' wall clocks. A leader anchors at its own stamps, not at their application: anchoring there would lose
 * the commit latency with every entry, and a busy shard's time would nearly stand still.
 *
 * Invariants
 *   1. Stamps never go back, and never fall below an applied entry's time (faults.md X4).
 *   2. Outside a cold start a stamp is at most 1.1 times the monotonic time since the last one ahead of it: no wall clock can push it.
 *   3. It steps forward only at a cold start (this process has applied no entry since it started), and at most to the median of
 *      a majority of the nodes' clocks: a leader that hears no majority for LOG_TIME_PATIENCE_MS goes on without a step.
 */
#ifndef MAITRED_NODE_SHARD_LOG_TIME_H
#define MAITRED_NODE_SHARD_LOG_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_TIME_OFF_MS 60000     /* further than this from the median: the status says so */
#define LOG_TIME_PATIENCE_MS 2000 /* a cold leader waits so long for a median */

struct log_time {
    uint64_t last_ms;          /* newest stamp made or applied */
    uint64_t anchor_mono_ms;   /* when that was, on this node's monotonic clock */
    uint64_t slew_credit_ms;   /* monotonic time since the anchor moved that has not been used for slewing */
    uint64_t waiting_since_ms; /* a cold leader without a median, 0: not */
    bool cold;
};

/* recovered_ms: log time of the last entry applied before this process started, 0 in a new shard. */
void log_time_init (struct log_time *self, uint64_t recovered_ms, uint64_t mono_ms);

/* An entry was applied. live: it was appended after this process started, so the time since its stamp is short and known. */
void log_time_applied (struct log_time *self, uint64_t time_ms, uint64_t mono_ms, bool live);

/* The present log time, without stamping. wall_median_ms 0: not known, no slew and no step. */
uint64_t log_time_now (const struct log_time *self, uint64_t mono_ms, uint64_t wall_median_ms);

/* Stamps: as log_time_now, and anchors there. Pre: this replica leads. */
uint64_t log_time_stamp (struct log_time *self, uint64_t mono_ms, uint64_t wall_median_ms);

/* A cold clock needs the median before its first stamp. */
bool log_time_ready (const struct log_time *self, uint64_t wall_median_ms);

/* Once a turn. A cold leader that nobody tells the time ends its cold start without a step: holds live a little longer then,
 * and none dies early. A shard that has no time at all yet waits on. */
void log_time_wait (struct log_time *self, uint64_t mono_ms, uint64_t wall_median_ms, bool leads);

bool log_time_off (const struct log_time *self, uint64_t mono_ms, uint64_t wall_median_ms);

#endif
