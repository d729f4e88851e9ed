/* Log time as one replica reads it: it passes as the replica's own clock does, whatever walls and elections say (X4, X5).
 *
 * Slewing may take a tenth of the time since the last stamp, either way, and its credit: a quarter and some is allowed here.
 * A replica that has heard of no time since its start steps once, and an entry from a leader that is ahead takes everybody
 * along: neither is looked at.
 */
#include "test/sim/sim_shard.h"

#define SLACK_MS 250

void sim_promise_time (struct sim_shard *self, uint64_t now_ms, uint64_t wall_median_ms)
{
    const struct log_time *log_time = &self->core->log_time;
    struct sim_time_seen before = self->time_seen;
    struct sim_time_seen *seen = &self->time_seen;
    *seen = (struct sim_time_seen){.warm = !log_time->cold && wall_median_ms != 0,
        .applied = self->core->applied,
        .mono_ms = now_ms,
        .anchor_ms = log_time->anchor_mono_ms,
        .time_ms = log_time_now (log_time, now_ms, wall_median_ms)};
    if (!before.warm || !seen->warm || before.applied != seen->applied || now_ms < before.mono_ms)
        return;
    uint64_t elapsed_ms = now_ms - before.mono_ms;
    uint64_t since_ms = now_ms > before.anchor_ms ? now_ms - before.anchor_ms : 0;
    uint64_t expected_ms = before.time_ms + elapsed_ms, slack_ms = SLACK_MS + since_ms / 4;
    if (seen->time_ms > expected_ms + slack_ms)
        sim_fail (self->sim, "shard %u: log time jumps %lu ms ahead on replica %lu (X4)", self->replica->shard,
            (unsigned long) (seen->time_ms - expected_ms), (unsigned long) self->replica->replica);
    if (seen->time_ms + slack_ms < expected_ms)
        sim_fail (self->sim, "shard %u: %lu ms of log time are lost on replica %lu (X5)", self->replica->shard,
            (unsigned long) (expected_ms - seen->time_ms), (unsigned long) self->replica->replica);
}
