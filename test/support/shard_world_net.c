#include "node/raft/raft_codec.h"
#include "test/support/shard_world_internal.h"

/* ---- the network */

static void packet_put (struct shard_world *w, struct shard_world_packet packet)
{
    shard_world_grow (&w->packets, &w->packets_size, w->packets_count, sizeof *w->packets);
    w->packets[w->packets_count++] = packet;
}

/* Takes the packet's data over. */
void shard_world_packet_send (struct shard_world *w, struct shard_world_packet packet)
{
    if (packet.to == 0 || w->cut[packet.from][packet.to] || shard_world_dice (w, 1000) < w->drop) {
        free (packet.data);
        return;
    }
    packet.due_ms = w->now_ms + 1 + shard_world_dice (w, w->delay_ms);
    if (shard_world_dice (w, 1000) < w->twice) {
        struct shard_world_packet again = packet;
        again.data = shard_world_copy (packet.data, packet.len);
        again.due_ms = w->now_ms + 1 + shard_world_dice (w, 4 * (uint64_t) w->delay_ms);
        packet_put (w, again);
    }
    packet_put (w, packet);
}

static struct shard_world_packet packet_make (
    enum packet_kind kind, uint32_t from, uint32_t to, const struct codec_type *type, const void *value, size_t size)
{
    struct shard_world_packet packet = {.kind = kind, .from = from, .to = to, .data = malloc (size)};
    maitre_assert (packet.data != NULL);
    enum status status = codec_encode (type, value, packet.data, size, &packet.len);
    maitre_assert (status == STATUS_OK);
    return packet;
}

/* False: dropped on purpose. */
static bool packet_of (
    struct shard_world *w, uint32_t from, const struct raft_message *original, struct shard_world_packet *packet)
{
    static struct raft_wire_entry entries[RAFT_MESSAGE_ENTRIES_MAX];
    struct raft_wire_message wire;
    struct raft_message message = *original;
    uint32_t to = shard_world_node_of (message.to);
    maitre_assert (to >= 1 && to <= w->options.nodes);
    if (message.to < w->nodes[to].replica)
        return false; /* an identity that was lost with its disk: nobody is there */
    maitre_assert (message.to == w->nodes[to].replica && to != from);
    if (w->on_raft != NULL && !w->on_raft (w, from, to, &message))
        return false;
    size_t size = 512;
    for (uint32_t i = 0; i < message.count; i++)
        size += message.entries[i].payload.len + 64;
    raft_codec_to_wire (&message, &wire, entries);
    *packet = packet_make (PACKET_RAFT, from, to, &raft_wire_message_type, &wire, size);
    return true;
}

static void deliver (struct shard_world *w, const struct shard_world_packet *packet)
{
    static uint64_t memory[(RAFT_WIRE_MESSAGE_ARENA_MAX + SNAPSHOT_CHUNK_ARENA_MAX + 7) / 8];
    static struct raft_entry entries[RAFT_MESSAGE_ENTRIES_MAX];
    struct bytes data = bytes_of (packet->data, packet->len);
    struct raft_wire_message wire;
    struct raft_message message;
    struct snapshot_chunk chunk;
    struct snapshot_ack ack;
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    enum status status = STATUS_OK;
    switch (packet->kind) {
    case PACKET_RAFT:
        status = codec_decode (&raft_wire_message_type, data, CODEC_STRICT, &arena, &wire, NULL);
        maitre_assert (status == STATUS_OK);
        status = raft_codec_from_wire (&wire, &message, entries);
        shard_world_event (w, packet->to, (struct shard_event){.type = SHARD_EVENT_RAFT, .raft = &message});
        break;
    case PACKET_CHUNK:
        status = codec_decode (&snapshot_chunk_type, data, CODEC_STRICT, &arena, &chunk, NULL);
        shard_world_event (w, packet->to, (struct shard_event){.type = SHARD_EVENT_SNAPSHOT_CHUNK, .chunk = &chunk});
        break;
    case PACKET_ACK:
        status = codec_decode (&snapshot_ack_type, data, CODEC_STRICT, &arena, &ack, NULL);
        shard_world_event (w, packet->to, (struct shard_event){.type = SHARD_EVENT_SNAPSHOT_ACK, .ack = &ack});
        break;
    }
    maitre_assert (status == STATUS_OK);
}

void shard_world_deliver (struct shard_world *w)
{
    size_t due = 0;
    for (size_t i = 0; i < w->packets_count; i++) { /* those of this ms to the front, in order */
        if (w->packets[i].due_ms > w->now_ms)
            continue;
        struct shard_world_packet packet = w->packets[i];
        for (size_t j = i; j > due; j--)
            w->packets[j] = w->packets[j - 1];
        w->packets[due++] = packet;
    }
    for (size_t i = 0; i < due; i++) {
        struct shard_world_packet packet = w->packets[i];
        if (w->nodes[packet.to].shard != NULL && !w->cut[packet.from][packet.to])
            deliver (w, &packet);
        free (packet.data);
    }
    w->packets_count -= due;
    if (due > 0)
        memmove (w->packets, w->packets + due, w->packets_count * sizeof *w->packets);
}

/* ---- carrying effects out */

void shard_world_messages (struct shard_world *w, struct shard_world_node *node, const struct shard_effects *effects)
{
    struct shard_world_packet packet;
    for (size_t i = 0; i < effects->send_now_count; i++) {
        if (packet_of (w, node->number, &effects->send_now[i], &packet))
            shard_world_packet_send (w, packet);
    }
    maitre_assert (effects->after_sequence <= node->sequence + 1); /* this turn's batch at most */
    struct shard_world_held **end = &node->held;
    while (*end != NULL)
        end = &(*end)->next;
    for (size_t i = 0; i < effects->send_after_persist_count; i++) {
        if (!packet_of (w, node->number, &effects->send_after_persist[i], &packet))
            continue;
        struct shard_world_held *held = calloc (1, sizeof *held);
        maitre_assert (held != NULL);
        *held = (struct shard_world_held){.after_sequence = effects->after_sequence, .packet = packet};
        *end = held;
        end = &held->next;
    }
}

void shard_world_snapshots (struct shard_world *w, struct shard_world_node *node, const struct shard_effects *effects)
{
    maitre_assert (effects->chunks_count <= (size_t) 8 * w->options.nodes);
    for (size_t i = 0; i < effects->chunks_count; i++) {
        struct snapshot_chunk chunk = effects->chunks[i];
        uint32_t to = shard_world_node_of (chunk.to);
        w->chunks_sent++;
        if (w->on_chunk == NULL || w->on_chunk (w, node->number, to, &chunk))
            shard_world_packet_send (w,
                packet_make (PACKET_CHUNK, node->number, to, &snapshot_chunk_type, &chunk, SNAPSHOT_CHUNK_ENCODED_MAX));
    }
    for (size_t i = 0; i < effects->acks_count; i++) {
        struct snapshot_ack ack = effects->acks[i];
        uint32_t to = shard_world_node_of (ack.to);
        if (w->on_ack == NULL || w->on_ack (w, node->number, to, &ack))
            shard_world_packet_send (
                w, packet_make (PACKET_ACK, node->number, to, &snapshot_ack_type, &ack, SNAPSHOT_ACK_ENCODED_MAX));
    }
}

void shard_world_answers (struct shard_world *w, struct shard_world_node *node, const struct shard_effects *effects)
{
    for (size_t i = 0; i < effects->replies_count; i++) {
        const struct shard_reply *from = &effects->replies[i];
        struct shard_world_call *call = shard_world_find (w, from->token);
        maitre_assert (call->state == CALL_WAITING && call->node == node->number); /* exactly one */
        call->state = CALL_ANSWERED;
        call->answered_ms = w->now_ms;
        call->status = from->reply.status;
        if (from->reply.reason != NULL)
            snprintf (call->reason, sizeof call->reason, "%s", from->reply.reason);
        maitre_assert (from->reply.status == STATUS_OK || from->reply.message != NULL);
        call->maybe_applied = from->maybe_applied;
        call->replayed = from->reply.replayed;
        call->retry_after_ms = from->reply.retry_after_ms;
        call->leader_node = from->leader_node;
        call->body = shard_world_bytes_copy (from->reply.body);
        node->replies++;
    }
    for (size_t i = 0; i < effects->jobs_count; i++) {
        const struct shard_prepare_job *job = &effects->jobs[i];
        struct shard_world_call *call = shard_world_find (w, job->token);
        maitre_assert (call->state == CALL_WAITING && call->node == node->number);
        call->state = CALL_JOB;
        call->job = job->prepare;
        call->job_password = shard_world_bytes_copy (job->prepare.password);
        call->job_hash = shard_world_bytes_copy (job->prepare.hash);
        call->job_body = shard_world_bytes_copy (job->logged_body);
    }
}
