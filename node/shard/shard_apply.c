/* Committed entries into the services, and the entries that a leader proposes for itself. */
#include "node/shard/shard_internal.h"
#include "schemas/generated/log.h"
#include "schemas/runtime/assert.h"

/* log-entry's time is read where it is applied: the services keep it in the state. */
static void apply_one (struct shard *self, const struct raft_entry *entry)
{
    maitre_assert (entry->index == self->applied + 1);
    maitre_assert (entry->term <= self->status.term);
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
    maitre_assert (self->scratch->used <= self->scratch->size);
    shard_calls_applied (self, entry->index, entry->term, &reply);
}

static void apply_some (struct shard *self, uint64_t most)
{
    bool live = false; /* only what bears a stamp tells the time: a cold leader's own no-op does not warm its clock */
    maitre_assert (most > 0);
    uint64_t last = self->committed - self->applied > most ? self->applied + most : self->committed;
    self->apply_due_ms = last < self->committed ? self->now_ms + 1 : UINT64_MAX;
    if (self->applied == last)
        return;
    while (self->applied < last && !self->fatal) {
        uint64_t index = self->applied + 1;
        const struct raft_entry *entry = raft_entry (self->raft, index);
        maitre_assert (entry != NULL);
        maitre_assert (entry->index == index);
        apply_one (self, entry);
        live = live || (entry->type == RAFT_ENTRY_COMMAND && index > self->live_after);
        self->applied = index;
    }
    if (self->housekeeping_index != 0 && self->applied >= self->housekeeping_index)
        self->housekeeping_index = 0;
    log_time_applied (&self->log_time, services_log_time (&self->state), self->now_ms, live);
    maitre_assert (self->fatal || self->applied == last);
}

void shard_apply_all (struct shard *self)
{
    apply_some (self, UINT64_MAX);
    maitre_assert (self->fatal || self->applied == self->committed);
}

void shard_apply_committed (struct shard *self)
{
    uint64_t first = self->raft_effects.apply_first, last = self->raft_effects.apply_last;
    if (first != 0 && last >= first) {
        maitre_assert (first == self->committed + 1);
        maitre_assert (last <= self->status.commit);
        self->committed = last;
    }
    if (self->applied == self->committed)
        return;
    maitre_assert (self->applied < self->committed);
    if (self->apply_due_ms == UINT64_MAX)
        self->apply_due_ms = self->now_ms + APPLY_LATER_MS;
    bool leads = self->status.role == RAFT_LEADER;
    if ((leads && self->applied >= self->ready_index) || self->shard == 0)
        shard_apply_all (self);
    else if (leads || self->committed - self->applied >= APPLY_TOGETHER || self->now_ms >= self->apply_due_ms)
        apply_some (self, leads ? self->apply_max * APPLY_LEADER_TIMES : self->apply_max);
}

/* A replica that has started anew learns the time from the first entry that it did not find in its log, and so does one
 * that hears this leader for the first time. Without one it would have to believe the wall clocks once it leads. */
static void note_restarts (struct shard *self)
{
    maitre_assert (self->status.role == RAFT_LEADER);
    const struct raft_configuration *members = raft_configuration (self->raft);
    uint64_t sessions = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        struct raft_peer_status peer;
        if (raft_peer_status (self->raft, members->members[i].replica, &peer))
            sessions += peer.session;
    }
    if (sessions != self->sessions) {
        self->sessions = sessions;
        self->stamp_wanted = true;
        self->stamp_beyond = self->status.last_index;
    } else if (self->status.last_index > self->stamp_beyond) {
        self->stamp_wanted = false;
    }
}

/* When the log needs an entry for the time alone. A replica that was away anchors its clock at the last entry it is sent:
 * one from hours ago would leave it hours behind once it leads. A shard that was never used has nothing that ages. */
static uint64_t stamp_due_ms (struct shard *self, bool wanted)
{
    uint64_t last_ms = services_log_time (&self->state);
    if (last_ms == 0)
        return UINT64_MAX;
    return wanted ? 0 : last_ms + STAMP_AFTER_MS;
}

static bool housekeeping_encode (struct shard *self, uint64_t time_ms, uint8_t *out, size_t out_size, size_t *out_len)
{
    if (services_encode_due (&self->services, &self->state, time_ms, out, out_size, out_len))
        return true;
    struct log_entry entry = {.kind = LOG_KIND_EXPIRE, .time_ms = time_ms, .has_cut = true, .cut = time_ms};
    return codec_encode (&log_entry_type, &entry, out, out_size, out_len) == STATUS_OK;
}

void shard_housekeeping (struct shard *self)
{
    if (self->status.role != RAFT_LEADER || self->now_ms < self->housekeeping_next_ms)
        return;
    self->housekeeping_next_ms = self->now_ms + HOUSEKEEPING_CHECK_MS;
    if (self->housekeeping_index != 0 || !shard_ready (self))
        return;
    bool wanted = self->stamp_wanted;
    note_restarts (self);
    if (self->stamp_wanted && !wanted)
        return; /* the next check is early enough, and most logs will have gone on by then */
    uint64_t log_now_ms = log_time_now (&self->log_time, self->now_ms, self->wall_median_ms);
    uint64_t due_ms = services_next_deadline (&self->services, &self->state);
    uint64_t stamp_ms = stamp_due_ms (self, self->stamp_wanted);
    if (stamp_ms < due_ms)
        due_ms = stamp_ms;
    if (due_ms > log_now_ms) { /* log time runs at most a tenth faster than ours */
        uint64_t wait_ms = (due_ms - log_now_ms) / 11 * 10;
        wait_ms = wait_ms < HOUSEKEEPING_IDLE_MS ? wait_ms : HOUSEKEEPING_IDLE_MS;
        if (wait_ms > HOUSEKEEPING_CHECK_MS)
            self->housekeeping_next_ms = self->now_ms + wait_ms;
        return;
    }
    uint8_t payload[512];
    size_t len = 0;
    uint64_t time_ms = log_time_stamp (&self->log_time, self->now_ms, self->wall_median_ms);
    maitre_assert (time_ms >= log_now_ms);
    if (!housekeeping_encode (self, time_ms, payload, sizeof payload, &len))
        return;
    maitre_assert (len > 0);
    maitre_assert (len <= sizeof payload);
    struct bytes bytes = bytes_of (payload, len);
    struct raft_event event = {.type = RAFT_PROPOSE, .payloads = &bytes, .payloads_count = 1};
    if (shard_raft_step (self, &event) != STATUS_OK)
        return; /* not the leader any more, or the log is full: the next check */
    self->housekeeping_index = self->raft_effects.proposed_index;
    maitre_assert (self->housekeeping_index > self->applied);
    maitre_assert (self->housekeeping_index > self->ready_index);
    self->stamp_wanted = false;
}
