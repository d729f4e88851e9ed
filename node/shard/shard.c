#include "node/shard/shard.h"

#include <stdlib.h>

#include "node/shard/shard_internal.h"

void shard_fail (struct shard *self, const char *reason)
{
    if (self->fatal)
        return;
    self->fatal = true;
    self->fatal_reason = reason;
}

/* ---- Raft ---- */

static void leadership_gained (struct shard *self)
{
    maitre_assert (self->status.role == RAFT_LEADER);
    maitre_assert (self->status.term > 0);
    self->ready_index = self->status.last_index; /* the no-op: nothing can be behind it yet */
    maitre_assert (self->ready_index >= self->committed);
    self->leader_since_ms = self->now_ms;
    bool came_back =
        self->balance_tried_ms != 0 && self->now_ms < self->balance_tried_ms + self->balance_after_ms + BALANCE_BACK_MS;
    if (!came_back)
        self->balance_after_ms = BALANCE_AFTER_MS;
    self->balance_next_ms = self->now_ms + self->balance_after_ms;
    maitre_assert (self->balance_after_ms >= BALANCE_AFTER_MS);
    maitre_assert (self->balance_after_ms <= BALANCE_AFTER_MS_MAX);
    self->housekeeping_index = 0; /* X5: what an earlier term proposed is fenced by that term */
    self->housekeeping_next_ms = self->now_ms;
    self->sessions = 0;
    self->stamp_wanted = false;
    if (PLANTED (X5_ELECTION_RESETS_TIME))
        self->log_time.anchor_mono_ms = self->now_ms;
}

enum status shard_raft_step (struct shard *self, struct raft_event *event)
{
    bool led = self->status.role == RAFT_LEADER;
    uint64_t term = self->status.term, commit = self->status.commit;
    event->now_ms = self->now_ms;
    enum status status = raft_step (self->raft, event, &self->raft_effects);
    raft_status (self->raft, &self->status);
    maitre_assert (self->status.term >= term);
    maitre_assert (self->status.commit >= commit);
    bool leads = self->status.role == RAFT_LEADER;
    if (led && (!leads || self->status.term != term))
        shard_calls_leadership_lost (self);
    if (leads && (!led || self->status.term != term))
        leadership_gained (self);
    return status;
}

/* For events that may be refused without consequence: Raft counts what it does not understand. */
static void raft_tell (struct shard *self, struct raft_event event)
{
    enum status status = shard_raft_step (self, &event);
    (void) status;
}

/* ---- life ---- */

enum status shard_new (const struct shard_config *config, uint64_t now_ms, struct shard **out)
{
    maitre_assert (config->scratch->size >= SHARD_SCRATCH_BYTES);
    maitre_assert (config->snapshot_ops != NULL);
    maitre_assert (config->services.shard == config->raft.shard);
    *out = NULL;
    struct shard *self = calloc (1, sizeof *self);
    if (self == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    enum status status = raft_new (&config->raft, config->stored, now_ms, &self->raft);
    if (status != STATUS_OK) {
        free (self);
        return status;
    }
    self->services = config->services;
    self->state = config->state;
    self->scratch = config->scratch;
    self->replica = config->raft.replica;
    self->shard = config->raft.shard;
    self->snapshot_ops = config->snapshot_ops;
    self->snapshot_context = config->snapshot_context;
    self->calls_max = config->calls_max != 0 ? config->calls_max : SHARD_CALLS_MAX;
    self->apply_max = config->apply_max != 0 ? config->apply_max : APPLY_MAX;
    self->balance = config->balance;
    self->waiting_deadline_ms = UINT64_MAX;
    self->now_ms = now_ms;
    raft_effects_init (&self->raft_effects);
    output_init (&self->output);
    raft_status (self->raft, &self->status);
    self->committed = self->applied = self->applied_told = self->status.applied;
    self->apply_due_ms = UINT64_MAX;
    self->live_after = self->status.last_index;
    self->snapshot_counter = config->raft.session << 20; /* distinct from an earlier life's transfers */
    log_time_init (&self->log_time, services_log_time (&self->state), now_ms);
    maitre_assert (self->calls_max >= 1);
    *out = self;
    return STATUS_OK;
}

void shard_destroy (struct shard **self_p)
{
    struct shard *self = *self_p;
    if (self == NULL)
        return;
    shard_snapshot_send_close (self);
    if (self->in.active)
        self->snapshot_ops->abort (self->snapshot_context, self->shard);
    shard_calls_close (self);
    free (self->replies);
    free (self->jobs);
    free (self->chunks);
    free (self->acks);
    output_close (&self->output);
    raft_effects_close (&self->raft_effects);
    raft_destroy (&self->raft);
    free (self);
    *self_p = NULL;
}

/* ---- a turn ---- */

/* Forgets the last turn's effects, which the caller has carried out. */
static void turn_open (struct shard *self)
{
    if (self->turn_open)
        return;
    self->turn_open = true;
    raft_effects_reset (&self->raft_effects);
    output_reset (&self->output);
    self->replies_count = self->jobs_count = self->chunks_count = self->acks_count = 0;
    if (self->applied_told < self->applied) {
        self->applied_told = self->applied;
        raft_tell (self, (struct raft_event){.type = RAFT_APPLIED, .index = self->applied});
    }
    maitre_assert (self->applied_told == self->applied);
    maitre_assert (self->raft_effects.reads_count == 0);
}

static void transfer (struct shard *self, uint32_t node)
{
    struct raft_event event = {.type = RAFT_TRANSFER};
    if (node != 0) {
        const struct raft_configuration *members = raft_configuration (self->raft);
        for (uint32_t i = 0; i < members->count; i++) {
            if (members->members[i].node == node && (members->members[i].roles & RAFT_VOTER) != 0)
                event.replica = members->members[i].replica;
        }
        if (event.replica == 0 || event.replica == self->replica)
            return;
    }
    maitre_assert (event.replica != self->replica);
    raft_tell (self, event);
}

static void compact (struct shard *self, uint64_t index)
{
    if (index > self->applied_told)
        index = self->applied_told;
    uint64_t floor = shard_snapshot_floor (self); /* else the log no longer reaches to where the snapshot ends */
    if (index > floor && self->status.log_bytes < SNAPSHOT_LOG_BYTES_KEPT)
        index = floor;
    maitre_assert (index <= self->applied);
    raft_compact (self->raft, index);
    raft_status (self->raft, &self->status);
    maitre_assert (self->status.snapshot_index <= self->applied_told);
}

void shard_step (struct shard *self, const struct shard_event *event)
{
    if (self->fatal)
        return;
    self->now_ms = event->now_ms > self->now_ms ? event->now_ms : self->now_ms;
    self->wall_median_ms = event->wall_median_ms;
    turn_open (self);
    maitre_assert (self->turn_open);
    maitre_assert (self->now_ms >= event->now_ms);
    switch (event->type) {
    case SHARD_EVENT_TICK:
        raft_tell (self, (struct raft_event){.type = RAFT_TICK});
        break;
    case SHARD_EVENT_RAFT:
        raft_tell (self, (struct raft_event){.type = RAFT_RECEIVE, .message = event->raft});
        break;
    case SHARD_EVENT_SNAPSHOT_CHUNK:
        shard_snapshot_receive (self, event->chunk);
        break;
    case SHARD_EVENT_SNAPSHOT_ACK:
        shard_snapshot_acked (self, event->ack);
        break;
    case SHARD_EVENT_CALL:
        shard_calls_start (self, &event->call);
        break;
    case SHARD_EVENT_PERSISTED:
        raft_tell (self, (struct raft_event){.type = RAFT_PERSISTED, .sequence = event->persist_sequence});
        break;
    case SHARD_EVENT_LINK:
        raft_tell (self, (struct raft_event){.type = RAFT_LINK, .node = event->link.node, .up = event->link.up});
        break;
    case SHARD_EVENT_TRANSFER:
        transfer (self, event->transfer_node);
        break;
    case SHARD_EVENT_COMPACT:
        compact (self, event->compact_index);
        break;
    case SHARD_EVENT_PLACE:
        shard_members_want (self, event->members);
        break;
    }
}

/* Rank 0 is where placement wants the leader: leaderships spread evenly once everybody has caught up. A rank 0 that does
 * not take over, or gives it back (its disk is full, it drains), is asked less and less often: each try stops writes. */
static void balance (struct shard *self)
{
    if (!self->balance || self->now_ms < self->balance_next_ms || !shard_ready (self))
        return;
    self->balance_next_ms = self->now_ms + BALANCE_AFTER_MS;
    maitre_assert (self->status.role == RAFT_LEADER);
    const struct raft_configuration *members = raft_configuration (self->raft);
    for (uint32_t i = 0; i < members->count; i++) {
        const struct raft_member *member = &members->members[i];
        struct raft_peer_status peer;
        if (member->rank != 0 || member->replica == self->replica || (member->roles & RAFT_VOTER) == 0)
            continue;
        if (!raft_peer_status (self->raft, member->replica, &peer) || peer.link_down || peer.suspect ||
            peer.snapshotting || peer.match + 64 < self->status.last_index ||
            (peer.applied != 0 && peer.applied + BALANCE_APPLY_LAG < self->status.commit))
            continue; /* a leader that first has to apply what it missed would answer nobody meanwhile */
        struct raft_event event = {.type = RAFT_TRANSFER, .replica = member->replica};
        if (shard_raft_step (self, &event) != STATUS_OK)
            return; /* it cannot at the moment; nothing has stopped */
        self->balance_tried_ms = self->now_ms;
        self->balance_after_ms *= 2;
        maitre_assert (self->balance_after_ms >= BALANCE_AFTER_MS);
        if (self->balance_after_ms > BALANCE_AFTER_MS_MAX)
            self->balance_after_ms = BALANCE_AFTER_MS_MAX;
        self->balance_next_ms = self->now_ms + self->balance_after_ms;
        return;
    }
}

static void fill_persist (struct shard *self, struct shard_effects *effects)
{
    const struct raft_effects *from = &self->raft_effects;
    effects->persist.sequence = from->persist.sequence;
    effects->persist.hard_state = from->persist.hard_state;
    effects->persist.term = from->persist.term;
    effects->persist.vote = from->persist.vote;
    effects->persist.commit = from->persist.commit;
    effects->persist.reset = from->persist.reset;
    effects->persist.reset_index = from->persist.reset_index;
    effects->persist.reset_term = from->persist.reset_term;
    effects->persist.suspect = from->became_suspect && !PLANTED (R12_MARK_NOT_KEPT);
    effects->persist.suspect_cleared = from->suspect_cleared;
    if (!from->persist.entries)
        return;
    effects->persist.truncate = true;
    effects->persist.first_index = from->persist.first;
    maitre_assert (effects->persist.first_index > 0);
    maitre_assert (effects->persist.sequence != 0);
    if (from->persist.last >= from->persist.first) {
        effects->persist.entries = raft_entry (self->raft, from->persist.first);
        effects->persist.entries_count = from->persist.last - from->persist.first + 1;
        maitre_assert (effects->persist.entries != NULL);
        maitre_assert (effects->persist.entries[0].index == from->persist.first);
        maitre_assert (from->persist.last <= self->status.last_index);
    }
}

static void fill_leader (struct shard *self, struct shard_effects *effects)
{
    maitre_assert (self->status.term >= self->told_leader_term);
    effects->leader_node = self->status.leader_node;
    effects->leader_term = self->status.term;
    effects->leader_changed =
        self->status.leader_node != self->told_leader_node || self->status.term != self->told_leader_term;
    self->told_leader_node = self->status.leader_node;
    self->told_leader_term = self->status.term;
}

void shard_turn_end (struct shard *self, uint64_t now_ms, uint64_t wall_median_ms, struct shard_effects *effects)
{
    *effects = (struct shard_effects){0};
    self->now_ms = now_ms > self->now_ms ? now_ms : self->now_ms;
    self->wall_median_ms = wall_median_ms;
    uint64_t applied_before = self->applied;
    if (!self->fatal) {
        turn_open (self);
        shard_calls_expire (self);
        log_time_wait (&self->log_time, self->now_ms, self->wall_median_ms, self->status.role == RAFT_LEADER);
        shard_calls_release_ready (self);
        shard_housekeeping (self);
        balance (self);
        shard_members_step (self);
        shard_snapshot_receive_expire (self);
        shard_snapshot_pump (self);
    }
    if (!self->fatal) {
        /* The last Raft step of the turn: from here on the log stays where the effects point to. */
        raft_tell (self, (struct raft_event){.type = RAFT_TURN_END});
        shard_apply_committed (self);
    }
    if (!self->fatal) {
        for (size_t i = 0; i < self->raft_effects.reads_count; i++)
            shard_calls_read_result (self, &self->raft_effects.reads[i]);
        shard_calls_serve_reads (self);
        for (size_t i = 0; i < self->raft_effects.snapshots_count; i++)
            shard_snapshot_begin (self, self->raft_effects.snapshots[i].replica, self->raft_effects.snapshots[i].node);
        if (state_failed (&self->state))
            shard_fail (self, "the state database could not be read");
    }
    maitre_assert (self->applied >= applied_before);
    maitre_assert (self->applied <= self->committed);
    self->turn_open = false;
    if (self->fatal) {
        effects->fatal = true;
        effects->fatal_reason = self->fatal_reason;
        return;
    }
    maitre_assert (self->replies_count <= self->replies_size);
    maitre_assert (self->sending <= RAFT_MEMBERS_MAX);
    fill_persist (self, effects);
    effects->send_now = self->raft_effects.send_now;
    effects->send_now_count = self->raft_effects.send_now_count;
    effects->send_after_persist = self->raft_effects.send_after_persist;
    effects->send_after_persist_count = self->raft_effects.send_after_count;
    effects->after_sequence = self->raft_effects.after_sequence;
    effects->replies = self->replies;
    effects->replies_count = self->replies_count;
    effects->jobs = self->jobs;
    effects->jobs_count = self->jobs_count;
    effects->chunks = self->chunks;
    effects->chunks_count = self->chunks_count;
    effects->acks = self->acks;
    effects->acks_count = self->acks_count;
    effects->applied_changed = self->applied != applied_before;
    fill_leader (self, effects);
}

/* ---- looking in ---- */

static uint64_t earlier (uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t shard_deadline_ms (const struct shard *self)
{
    uint64_t deadline_ms = earlier (raft_deadline_ms (self->raft), self->waiting_deadline_ms);
    deadline_ms = earlier (deadline_ms, self->apply_due_ms);
    if (self->status.role == RAFT_LEADER) { /* whose heartbeats also time its balance */
        deadline_ms = earlier (deadline_ms, self->housekeeping_next_ms);
        deadline_ms = earlier (deadline_ms, shard_snapshot_resend_ms (self));
    }
    return deadline_ms;
}

void shard_balance_set (struct shard *self, bool on)
{
    self->balance = on;
}

bool shard_leads (const struct shard *self)
{
    return self->status.role == RAFT_LEADER && self->status.read_ready;
}

uint32_t shard_node_of (const struct shard *self, uint64_t replica)
{
    const struct raft_member *member = raft_configuration_find (raft_configuration (self->raft), replica);
    return member != NULL ? member->node : 0;
}

void shard_status_get (const struct shard *self, struct shard_status *status)
{
    maitre_assert (self->applied <= self->status.commit);
    maitre_assert (self->status.commit <= self->status.last_index);
    const struct raft_member *member = raft_configuration_find (raft_configuration (self->raft), self->replica);
    *status = (struct shard_status){.shard = self->shard,
        .replica = self->replica,
        .role = self->status.role,
        .term = self->status.term,
        .snapshot_index = self->status.snapshot_index,
        .last_index = self->status.last_index,
        .commit_index = self->status.commit,
        .applied_index = PLANTED (R14_INDEX_AHEAD_OF_STATE) ? self->status.commit : self->applied,
        .leader_node = self->status.leader_node,
        .log_time_ms = log_time_now (&self->log_time, self->now_ms, self->wall_median_ms),
        .log_bytes = self->status.log_bytes,
        .log_time_off = log_time_off (&self->log_time, self->now_ms, self->wall_median_ms),
        .suspect = self->status.suspect,
        .sending_snapshot = shard_snapshot_sending (self),
        .votes = member != NULL && (member->roles & (RAFT_VOTER | RAFT_VOTER_OLD)) != 0,
        .placing = self->placing,
        .calls = shard_calls_count (self)};
}

void shard_check (const struct shard *self)
{
    raft_check (self->raft);
    shard_calls_check (self);
    uint32_t sending = 0;
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        const struct snapshot_out *out = &self->out[i];
        sending += out->replica != 0;
        maitre_assert (out->acked <= out->next);
        maitre_assert (out->next - out->acked <= SNAPSHOT_WINDOW_CHUNKS);
        maitre_assert (out->replica != 0 || out->source == NULL);
    }
    maitre_assert (sending == self->sending);
    maitre_assert (self->applied_told <= self->applied);
    maitre_assert (self->applied <= self->committed);
    maitre_assert (self->committed <= self->status.commit);
    maitre_assert (self->applied == self->committed || self->apply_due_ms != UINT64_MAX);
    maitre_assert (self->status.role == RAFT_LEADER || self->proposed_count == 0);
}
