/* Committed entries into the services, and the entries that a leader proposes for itself. */
#include "node/shard/shard_internal.h"

/* log-entry's time is read where it is applied: the services keep it in the state. */
static void apply_one (struct shard *self, const struct raft_entry *entry)
{
    if (entry->type != RAFT_ENTRY_COMMAND) {
        struct services_reply none = {.status = STATUS_OK};
        shard_calls_applied (self, entry->index, entry->term, &none);
        return;
    }
    struct services_reply reply = {.status = STATUS_OK};
    arena_reset (self->scratch);
    enum status status =
        services_apply (&self->services, &self->state, entry->payload, entry->index, self->scratch, &reply);
    if (status != STATUS_OK) {
        shard_fail (self, "a committed log entry cannot be understood: it is damaged, or a newer version wrote it");
        return;
    }
    if (state_failed (&self->state)) {
        shard_fail (self, "the state database could not be read");
        return;
    }
    shard_calls_applied (self, entry->index, entry->term, &reply);
}

void shard_apply_committed (struct shard *self)
{
    uint64_t first = self->raft_effects.apply_first, last = self->raft_effects.apply_last;
    if (first == 0 || last < first)
        return;
    maitre_assert (first == self->applied + 1);
    for (uint64_t index = first; index <= last && !self->fatal; index++) {
        const struct raft_entry *entry = raft_entry (self->raft, index);
        maitre_assert (entry != NULL);
        apply_one (self, entry);
        self->applied = index;
    }
    if (self->housekeeping_index != 0 && self->applied >= self->housekeeping_index)
        self->housekeeping_index = 0;
    log_time_applied (
        &self->log_time, services_log_time (&self->state), self->now_ms, self->applied > self->live_after);
}

void shard_housekeeping (struct shard *self)
{
    if (self->now_ms < self->housekeeping_next_ms || self->housekeeping_index != 0 || !shard_ready (self))
        return;
    self->housekeeping_next_ms = self->now_ms + HOUSEKEEPING_CHECK_MS;
    uint64_t log_now_ms = log_time_now (&self->log_time, self->now_ms, self->wall_median_ms);
    if (services_next_deadline (&self->services, &self->state) > log_now_ms)
        return;
    uint8_t payload[512];
    size_t len = 0;
    uint64_t time_ms = log_time_stamp (&self->log_time, self->now_ms, self->wall_median_ms);
    if (!services_encode_due (&self->services, &self->state, time_ms, payload, sizeof payload, &len))
        return;
    struct bytes bytes = bytes_of (payload, len);
    struct raft_event event = {.type = RAFT_PROPOSE, .payloads = &bytes, .payloads_count = 1};
    if (shard_raft_step (self, &event) ==
        STATUS_OK) /* else: not the leader any more, or the log is full; the next check */
        self->housekeeping_index = self->raft_effects.proposed_index;
}
