/* One turn of a simulated shard: step what arrived, then the caller's duties of shard.h, in their order. */
#include "test/sim/sim_engine.h"

#include <stdlib.h>
#include <string.h>

void sim_shard_step (struct sim_replica *replica, struct shard_event event, uint64_t now_ms)
{
    struct sim_shard *self = replica->shard_core;
    event.now_ms = now_ms;
    event.wall_median_ms = replica->node->engine->wall_median_ms;
    self->stepped = true;
    shard_step (self->core, &event);
}

/* Forced campaigns have no event of the shard's own: straight to its Raft. */
static void step_raft (struct sim_shard *self, struct sim_input *input, uint64_t now_ms)
{
    /* opens the turn */
    sim_shard_step (self->replica, (struct shard_event){.type = SHARD_EVENT_COMPACT, .compact_index = 0}, now_ms);
    enum status status = shard_raft_step (self->core, &input->event);
    (void) status; /* refused: it leads, or may not stand */
}

static void step_input (struct sim_shard *self, struct sim_input *input, uint64_t now_ms)
{
    struct shard_event event = {0};
    switch (input->event.type) {
    case RAFT_PERSISTED:
        self->replica->persisted_sequence = input->event.sequence;
        event.type = SHARD_EVENT_PERSISTED;
        event.persist_sequence = input->event.sequence;
        break;
    case RAFT_LINK:
        event.type = SHARD_EVENT_LINK;
        event.link.node = input->event.node;
        event.link.up = input->event.up;
        break;
    case RAFT_TRANSFER:
        event.type = SHARD_EVENT_TRANSFER;
        event.transfer_node = input->event.replica ? sim_node_of (self->sim, input->event.replica) : 0;
        break;
    case RAFT_CAMPAIGN:
        step_raft (self, input, now_ms);
        return;
    default:
        maitre_assert (!"an input that shards do not have");
    }
    sim_shard_step (self->replica, event, now_ms);
}

void sim_shard_inputs (struct sim *sim, struct sim_replica *replica, uint64_t now_ms)
{
    (void) sim;
    struct sim_input *inputs = replica->inputs;
    size_t count = replica->inputs_count;
    replica->inputs = NULL;
    replica->inputs_count = 0;
    replica->inputs_size = 0;
    for (size_t i = 0; i < count; i++)
        step_input (replica->shard_core, &inputs[i], now_ms);
    free (inputs);
}

/* Writes the state back now and then, and cuts the log behind what was written. */
static void write_back (struct sim_shard *self, uint64_t now_ms)
{
    struct sim_replica *replica = self->replica;
    struct sim *sim = self->sim;
    if (now_ms < replica->state_due_ms || replica->state_writing || !(sim->families & (SIM_COMPACT | SIM_SMALL)))
        return;
    replica->state_due_ms = now_ms + sim_between (sim, 100, 3000);
    uint64_t written = replica->stored->state.applied, slack = sim_below (sim, 30);
    struct raft_status status;
    raft_status (replica->raft, &status);
    struct raft_configuration members = {0};
    uint64_t term;
    /* As node/engine does where a log has grown: up to what was written, where an earlier point has no members to begin with. */
    for (; written > slack && written - slack > status.snapshot_index && written - slack <= status.applied; slack = 0) {
        bool known = shard_log_point (self->core, written - slack, &term, &members);
        maitre_assert (known);
        if (members.count > 0 || slack == 0)
            break;
    }
    if (members.count > 0) { /* as node/engine: not where a new replica does not know its members yet */
        struct sim_write *cut = sim_disk_write (replica->node, SIM_WRITE_COMPACT, replica->replica);
        cut->index = written - slack;
        cut->index_term = term;
        cut->configuration = members;
        sim_shard_step (
            replica, (struct shard_event){.type = SHARD_EVENT_COMPACT, .compact_index = cut->index}, now_ms);
    }
    uint64_t applied = replica->machine.applied;
    if (applied <= written || !shard_log_point (self->core, applied, &term, &members) || members.count == 0)
        return;
    replica->state_writing = true;
    struct sim_write *write = sim_disk_write (replica->node, SIM_WRITE_STATE, replica->replica);
    write->state = replica->machine;
    write->state.applied_term = raft_term_at (replica->raft, applied);
    write->image = state_image_of (&self->map);
}

/* What the services did in this turn, entry by entry and as a whole. */
static void look (struct sim_shard *self)
{
    struct sim_replica *replica = self->replica;
    struct shard_status status;
    shard_status_get (self->core, &status);
    if (status.applied_index == self->seen_applied)
        return;
    for (uint64_t i = self->seen_applied + 1; i <= status.applied_index; i++) {
        const struct raft_entry *entry = raft_entry (replica->raft, i);
        maitre_assert (entry != NULL);
        sim_oracle_applied (self->sim, replica, entry);
    }
    self->seen_applied = status.applied_index;
    replica->machine.applied = status.applied_index;
    sim_oracle_state (self->sim, replica, status.applied_index, self->state_hash);
    struct state state = state_map_state (&self->map);
    sim_oracle_log_time (self->sim, replica, status.applied_index, services_log_time (&state));
}

static void persist (struct sim_shard *self, const struct shard_effects *effects)
{
    sim_duty_suspect (self->sim, self->replica, effects->persist.suspect_cleared, effects->persist.suspect);
    if (effects->persist.sequence == 0)
        return;
    struct sim_write what = {
        .sequence = effects->persist.sequence,
        .hard_state = effects->persist.hard_state,
        .term = effects->persist.term,
        .vote = effects->persist.vote,
        .commit = effects->persist.commit,
        .entries = effects->persist.truncate,
        .first = effects->persist.first_index,
        .reset = effects->persist.reset,
        .index = effects->persist.reset_index,
        .index_term = effects->persist.reset_term,
    };
    sim_duty_persist (self->sim, self->replica, &what, effects->persist.entries, effects->persist.entries_count);
}

static void send_bulk (struct sim_shard *self, const struct shard_effects *effects)
{
    struct sim_engine *engine = self->replica->node->engine;
    for (size_t i = 0; i < effects->chunks_count; i++)
        sim_engine_put (engine, sim_node_of (self->sim, effects->chunks[i].to), SIM_CHUNKS, &snapshot_chunk_type,
            &effects->chunks[i], effects->chunks[i].data.len + 1024);
    for (size_t i = 0; i < effects->acks_count; i++)
        sim_engine_put (engine, sim_node_of (self->sim, effects->acks[i].to), SIM_ACKS, &snapshot_ack_type,
            &effects->acks[i], SNAPSHOT_ACK_ENCODED_MAX);
}

static void note_leader (struct sim_shard *self, const struct shard_effects *effects)
{
    struct sim_engine *engine = self->replica->node->engine;
    bool led = self->leader_node == self->replica->node->index;
    self->leader_node = effects->leader_node;
    self->leader_term = effects->leader_term;
    bool leads = self->leader_node == self->replica->node->index;
    engine->hints_changed = engine->hints_changed || led || leads;
    route_map_hint (&engine->map, self->replica->shard, self->leader_node, self->leader_term);
}

/* False: the node died in the middle of its duties. */
bool sim_shard_turn (struct sim *sim, struct sim_replica *replica, uint64_t now_ms)
{
    struct sim_shard *self = replica->shard_core;
    struct sim_engine *engine = replica->node->engine;
    write_back (self, now_ms);
    struct shard_effects effects;
    struct raft_status before;
    raft_status (replica->raft, &before);
    struct raft_configuration members = *raft_configuration (replica->raft);
    self->stepped = false;
    shard_turn_end (self->core, now_ms, engine->wall_median_ms, &effects);
    if (effects.fatal)
        sim_fail (sim, "node %u shard %u gives up: %s", replica->node->index, replica->shard, effects.fatal_reason);
    maitre_assert (effects.jobs_count == 0);
    shard_check (self->core);
    (void) sim_duty_notice (sim, replica);
    sim_place_noted (replica, &before, &members);
    sim_promise_time (self, now_ms, engine->wall_median_ms);
    sim_promise_turn (sim, replica, effects.send_now, effects.send_now_count, now_ms);

    unsigned dies = sim_duty_dies (sim, effects.persist.hard_state);
    if (dies == 1)
        return false;
    for (size_t i = 0; i < effects.send_now_count; i++)
        sim_duty_send (sim, replica, &effects.send_now[i]);
    if (dies == 2)
        return false;
    persist (self, &effects);
    if (dies == 3)
        return false;
    look (self);
    for (size_t i = 0; i < effects.send_after_persist_count; i++)
        sim_duty_hold (sim, replica, &effects.send_after_persist[i], effects.after_sequence);
    if (effects.leader_changed)
        note_leader (self, &effects);
    for (size_t i = 0; i < effects.replies_count; i++)
        sim_engine_shard_reply (engine, &effects.replies[i]);
    if (dies == 4)
        return false;
    sim_duty_release (sim, replica);
    send_bulk (self, &effects);
    return true;
}
