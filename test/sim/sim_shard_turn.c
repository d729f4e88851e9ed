/* One turn of a simulated shard: step what arrived, then the caller's duties of shard.h, in their order. */
#include "test/sim/sim_shard.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/checksum.h"

static void step (struct sim_shard *self, struct shard_event event, uint64_t now_ms)
{
    event.now_ms = now_ms;
    event.wall_median_ms = sim_shard_wall_ms (self->sim);
    shard_step (self->core, &event);
}

/* Membership and forced campaigns have no event of the shard's own yet: straight to its Raft. */
static void step_raft (struct sim_shard *self, struct sim_input *input, uint64_t now_ms)
{
    step (self, (struct shard_event){.type = SHARD_EVENT_COMPACT, .compact_index = 0}, now_ms); /* opens the turn */
    input->event.configuration = &input->configuration;
    if (shard_raft_step (self->core, &input->event) == STATUS_OK && input->event.type == RAFT_CONFIGURE)
        self->sim->oracle.counts.changes++;
}

static void receive (struct sim_shard *self, const struct sim_input *input, uint64_t now_ms)
{
    static uint64_t memory[4096];
    struct bytes body = bytes_of (input->data + SIM_PACKET_HEAD, input->len - SIM_PACKET_HEAD);
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    if (input->data[0] == SIM_TAG_RAFT) {
        struct raft_message message;
        sim_duty_message (self->sim, self->replica, input, &message);
        step (self, (struct shard_event){.type = SHARD_EVENT_RAFT, .raft = &message}, now_ms);
    } else if (input->data[0] == SIM_TAG_CHUNK) {
        struct snapshot_chunk chunk;
        enum status status = codec_decode (&snapshot_chunk_type, body, CODEC_STRICT, &arena, &chunk, NULL);
        maitre_assert (status == STATUS_OK);
        sim_trace (self->sim, "%u.%u < chunk %lu of %lu", self->replica->node->index, self->replica->shard,
            (unsigned long) chunk.sequence, (unsigned long) chunk.snapshot);
        step (self, (struct shard_event){.type = SHARD_EVENT_SNAPSHOT_CHUNK, .chunk = &chunk}, now_ms);
    } else {
        struct snapshot_ack ack;
        enum status status = codec_decode (&snapshot_ack_type, body, CODEC_STRICT, &arena, &ack, NULL);
        maitre_assert (status == STATUS_OK);
        step (self, (struct shard_event){.type = SHARD_EVENT_SNAPSHOT_ACK, .ack = &ack}, now_ms);
    }
}

static void step_input (struct sim_shard *self, struct sim_input *input, uint64_t now_ms)
{
    struct shard_event event = {0};
    switch (input->event.type) {
    case RAFT_RECEIVE:
        receive (self, input, now_ms);
        break;
    case RAFT_PERSISTED:
        self->replica->persisted_sequence = input->event.sequence;
        event.type = SHARD_EVENT_PERSISTED;
        event.persist_sequence = input->event.sequence;
        step (self, event, now_ms);
        break;
    case RAFT_LINK:
        event.type = SHARD_EVENT_LINK;
        event.link.node = input->event.node;
        event.link.up = input->event.up;
        step (self, event, now_ms);
        break;
    case RAFT_TRANSFER:
        event.type = SHARD_EVENT_TRANSFER;
        event.transfer_node = input->event.replica ? sim_node_of (self->sim, input->event.replica) : 0;
        step (self, event, now_ms);
        break;
    case RAFT_PROPOSE:
        sim_shard_call (self->sim, self->replica, input->op);
        break;
    case RAFT_CONFIGURE:
    case RAFT_CAMPAIGN:
        step_raft (self, input, now_ms);
        break;
    default:
        maitre_assert (!"an input that shards do not have");
    }
    free (input->data);
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
    if (written > slack && written - slack > status.snapshot_index && written - slack <= status.applied) {
        struct sim_write *cut = sim_disk_write (replica->node, SIM_WRITE_COMPACT, replica->replica);
        cut->index = written - slack;
        bool known = shard_log_point (self->core, cut->index, &cut->index_term, &cut->configuration);
        maitre_assert (known);
        step (self, (struct shard_event){.type = SHARD_EVENT_COMPACT, .compact_index = cut->index}, now_ms);
    }
    uint64_t applied = replica->machine.applied;
    if (applied <= written)
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
    struct state_image image = state_image_of (&self->map);
    sim_oracle_state (self->sim, replica, status.applied_index, checksum64 (1, bytes_of (image.data, image.len)));
    free (image.data);
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
    for (size_t i = 0; i < effects->chunks_count; i++)
        sim_duty_packet (
            self->sim, self->replica, SIM_TAG_CHUNK, effects->chunks[i].to, &snapshot_chunk_type, &effects->chunks[i]);
    for (size_t i = 0; i < effects->acks_count; i++)
        sim_duty_packet (
            self->sim, self->replica, SIM_TAG_ACK, effects->acks[i].to, &snapshot_ack_type, &effects->acks[i]);
}

/* False: the node died in the middle of its duties. */
bool sim_shard_turn (struct sim *sim, struct sim_replica *replica, uint64_t now_ms)
{
    struct sim_shard *self = replica->shard_core;
    struct sim_input *inputs = replica->inputs;
    size_t count = replica->inputs_count;
    replica->inputs = NULL;
    replica->inputs_count = 0;
    replica->inputs_size = 0;
    for (size_t i = 0; i < count; i++)
        step_input (self, &inputs[i], now_ms);
    free (inputs);
    if (now_ms >= shard_deadline_ms (self->core))
        step (self, (struct shard_event){.type = SHARD_EVENT_TICK}, now_ms);
    write_back (self, now_ms);
    struct shard_effects effects;
    shard_turn_end (self->core, now_ms, sim_shard_wall_ms (sim), &effects);
    if (effects.fatal)
        sim_fail (sim, "node %u shard %u gives up: %s", replica->node->index, replica->shard, effects.fatal_reason);
    shard_check (self->core);
    (void) sim_duty_notice (sim, replica);

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
    for (size_t i = 0; i < effects.replies_count; i++)
        sim_shard_reply (sim, replica, &effects.replies[i]);
    if (dies == 4)
        return false;
    sim_duty_release (sim, replica);
    send_bulk (self, &effects);
    return true;
}
