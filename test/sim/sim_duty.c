/* What both modes do with the effects of a turn: batches, messages as real wire bytes, and what is told to the oracle. */
#include "test/sim/sim_engine.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"

#define PACKET_BYTES_MAX (1024 * 1024)

/* ---- the disk ---- */

void sim_duty_persist (struct sim *sim, struct sim_replica *replica, const struct sim_write *what,
    const struct raft_entry *entries, size_t count)
{
    (void) sim;
    replica->handed_sequence = what->sequence;
    struct sim_write *write = sim_disk_write (replica->node, SIM_WRITE_TURN, replica->replica);
    write->sequence = what->sequence;
    write->hard_state = what->hard_state;
    write->term = what->term;
    write->vote = what->vote;
    write->commit = what->commit;
    write->entries = what->entries;
    write->first = what->first;
    write->reset = what->reset;
    write->index = what->index;
    write->index_term = what->index_term;
    for (size_t i = 0; i < count; i++)
        sim_entries_append (&write->log, &entries[i]);
}

void sim_duty_suspect (struct sim *sim, struct sim_replica *replica, bool cleared, bool became)
{
    if (!cleared && !became)
        return;
    sim_disk_write (replica->node, SIM_WRITE_SUSPECT, replica->replica)->suspect = became;
    sim->oracle.counts.cleared += cleared;
    if (cleared)
        sim_promise_cleared (sim, replica);
    if (cleared && replica->stored->damaged) {
        replica->stored->damaged = false;
        sim->oracle.groups[replica->shard].damaged--;
    }
    sim_trace (sim, "%u.%u replica %lu is %s", replica->node->index, replica->shard, (unsigned long) replica->replica,
        became ? "suspect" : "cleared");
}

/* ---- messages ---- */

/* Raft mode: a packet of its own; services mode: an item of a frame. */
static uint8_t *encode_message (struct sim *sim, const struct raft_message *message, size_t *len)
{
    static struct raft_wire_entry entries[RAFT_MESSAGE_ENTRIES_MAX];
    static uint8_t buffer[PACKET_BYTES_MAX];
    struct raft_wire_message wire;
    size_t head = sim->options.services ? 0 : SIM_PACKET_HEAD, body = 0;
    raft_codec_to_wire (message, &wire, entries);
    buffer[0] = 1;
    bytes_put_u64 (buffer + 1, message->to);
    enum status status = codec_encode (&raft_wire_message_type, &wire, buffer + head, sizeof buffer - head, &body);
    if (status != STATUS_OK)
        sim_fail (sim, "a Raft message does not encode: %s", status_name (status));
    *len = head + body;
    return sim_copy (buffer, *len);
}

static void send_bytes (struct sim *sim, struct sim_replica *replica, uint64_t to, const uint8_t *data, size_t len)
{
    uint32_t node = sim_node_of (sim, to);
    if (!sim->options.services)
        sim_net_send (sim, replica->node->index, node, data, len);
    else if (node != replica->node->index)
        sim_engine_put_bytes (replica->node->engine, node, SIM_RAFT, bytes_of (data, len));
}

void sim_duty_send (struct sim *sim, struct sim_replica *replica, const struct raft_message *message)
{
    size_t len;
    sim_oracle_message (sim, message);
    bool own = message->count > 0 && message->entries[message->count - 1].term == message->term;
    if (own && sim->time_us < sim->mute_until_us[replica->node->index])
        return;
    uint8_t *data = encode_message (sim, message, &len);
    send_bytes (sim, replica, message->to, data, len);
    free (data);
}

void sim_duty_hold (struct sim *sim, struct sim_replica *replica, const struct raft_message *message, uint64_t sequence)
{
    sim_grow (&replica->held, &replica->held_size, replica->held_count, sizeof *replica->held);
    struct sim_held *held = &replica->held[replica->held_count++];
    held->after_sequence = sequence;
    held->message = *message;
    held->message.entries = NULL;
    held->data = encode_message (sim, message, &held->len);
}

/* Duty 6: what waited for batches that are synced now. */
void sim_duty_release (struct sim *sim, struct sim_replica *replica)
{
    size_t kept = 0;
    for (size_t i = 0; i < replica->held_count; i++) {
        struct sim_held *held = &replica->held[i];
        if (held->after_sequence > replica->persisted_sequence) {
            replica->held[kept++] = *held;
            continue;
        }
        sim_oracle_message (sim, &held->message);
        send_bytes (sim, replica, held->message.to, held->data, held->len);
        free (held->data);
    }
    replica->held_count = kept;
}

void sim_duty_decode (struct sim *sim, struct bytes item, struct raft_message *message)
{
    static uint64_t memory[(RAFT_WIRE_MESSAGE_ARENA_MAX + 7) / 8];
    static struct raft_entry entries[RAFT_MESSAGE_ENTRIES_MAX];
    struct raft_wire_message wire;
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    enum status status = codec_decode (&raft_wire_message_type, item, CODEC_STRICT, &arena, &wire, NULL);
    if (status == STATUS_OK)
        status = raft_codec_from_wire (&wire, message, entries);
    if (status != STATUS_OK)
        sim_fail (sim, "a message does not decode: %s", status_name (status));
}

void sim_duty_trace (struct sim *sim, const struct sim_replica *replica, const struct raft_message *message)
{
    sim_trace (sim, "%u.%u < type %u from %lu term %lu index %lu/%lu commit %lu n %u flags %u", replica->node->index,
        replica->shard, message->type, (unsigned long) message->from, (unsigned long) message->term,
        (unsigned long) message->index, (unsigned long) message->log_term, (unsigned long) message->commit,
        message->count, message->flags);
}

void sim_duty_message (
    struct sim *sim, const struct sim_replica *replica, const struct sim_input *input, struct raft_message *message)
{
    sim_duty_decode (sim, bytes_of (input->data + SIM_PACKET_HEAD, input->len - SIM_PACKET_HEAD), message);
    sim_duty_trace (sim, replica, message);
}

/* ---- what happened ---- */

bool sim_duty_notice (struct sim *sim, struct sim_replica *replica)
{
    struct raft_status status;
    raft_status (replica->raft, &status);
    bool leads = status.role == RAFT_LEADER && (replica->role != RAFT_LEADER || replica->term != status.term);
    bool lost = replica->role == RAFT_LEADER && (status.role != RAFT_LEADER || status.term != replica->term);
    if (status.anomalies != 0)
        sim_fail (sim, "node %u shard %u counted an anomaly", replica->node->index, replica->shard);
    replica->role = status.role;
    replica->term = status.term;
    if (leads) {
        sim_oracle_leader (sim, replica);
        sim_fault_elected (sim, replica->node);
    }
    return lost;
}

unsigned sim_duty_dies (struct sim *sim, bool hard_state)
{
    /* A vote that is lost is worth more than an entry: crash there more often. */
    if (!sim->chaos || !(sim->families & SIM_CRASH) || !sim_chance (sim, hard_state ? 20 : 3000))
        return 0;
    return 1 + (unsigned) sim_below (sim, 4);
}
