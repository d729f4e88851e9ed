/* Frames between nodes: packed by the production outbox, decoded strictly; and whose data folder speaks (R12). */
#include "test/sim/sim_engine.h"

#include <stdlib.h>
#include <string.h>

/* ---- out ---- */

static struct outbox *outbox_for (struct sim_engine *engine, uint32_t peer, enum sim_section section)
{
    if (!engine->map.link_up[peer])
        return NULL; /* as transport_reserve: nothing is queued for a link that is down */
    return section == SIM_CHUNKS ? &engine->bulk[peer] : &engine->now[peer];
}

void sim_engine_put (struct sim_engine *engine, uint32_t peer, enum sim_section section, const struct codec_type *type,
    const void *value, size_t size)
{
    size_t len;
    struct outbox *outbox = outbox_for (engine, peer, section);
    uint8_t *room = outbox ? outbox_reserve (outbox, section, size) : NULL;
    if (room == NULL)
        return;
    enum status status = codec_encode (type, value, room, size, &len);
    if (status != STATUS_OK)
        sim_fail (engine->sim, "a %s does not encode: %s", type->name, status_name (status));
    outbox_commit (outbox, len);
}

void sim_engine_put_bytes (struct sim_engine *engine, uint32_t peer, enum sim_section section, struct bytes item)
{
    struct outbox *outbox = outbox_for (engine, peer, section);
    uint8_t *room = outbox ? outbox_reserve (outbox, section, item.len) : NULL;
    if (room == NULL)
        return;
    memcpy (room, item.data, item.len);
    outbox_commit (outbox, item.len);
}

static void flush_outbox (struct sim_engine *engine, uint32_t peer, struct outbox *outbox)
{
    struct outbox_sender sender = {
        .cluster = engine->sim->cluster, .uuid = engine->node->uuid, .node = engine->node->index};
    while (!outbox_empty (outbox)) {
        size_t len = outbox_frame_size (outbox, &sender);
        uint8_t *data = malloc (len + 1);
        maitre_assert (data != NULL);
        data[0] = SIM_PACKET_FRAME;
        outbox_frame_write (outbox, &sender, data + 1);
        outbox_pop (outbox);
        sim_net_send (engine->sim, engine->node->index, peer, data, len + 1);
        free (data);
    }
}

void sim_engine_flush (struct sim_engine *engine)
{
    for (uint32_t peer = 1; peer <= engine->sim->nodes_count; peer++) {
        flush_outbox (engine, peer, &engine->now[peer]);
        flush_outbox (engine, peer, &engine->bulk[peer]);
    }
}

/* ---- whose folder */

void sim_engine_bind (struct sim_engine *engine, uint32_t node, const struct id *uuid)
{
    if (node == engine->node->index || id_is_zero (uuid))
        return;
    if (id_is_zero (&engine->node->known[node]))
        engine->node->known[node] = *uuid; /* stored before anything it says counts */
}

bool sim_engine_impostor (const struct sim_engine *engine, uint32_t node, const struct id *uuid)
{
    return !id_equal (&engine->node->known[node], uuid);
}

/* ---- in ---- */

static struct sim_replica *replica_for (struct sim_engine *engine, uint64_t replica)
{
    return sim_node_find (engine->node, replica);
}

static void receive_raft (struct sim_engine *engine, struct bytes item, uint64_t now_ms)
{
    struct raft_message message;
    sim_duty_decode (engine->sim, item, &message);
    struct sim_replica *replica = replica_for (engine, message.to);
    if (!replica || replica->shard != message.shard)
        return; /* of a placement that is over */
    if (engine->disk_full && message.count > 0)
        return; /* better a stalled follower than a disk at the wall */
    sim_duty_trace (engine->sim, replica, &message);
    sim_shard_step (replica, (struct shard_event){.type = SHARD_EVENT_RAFT, .raft = &message}, now_ms);
}

static void receive_ack (struct sim_engine *engine, struct bytes item, uint64_t now_ms)
{
    struct snapshot_ack ack;
    if (codec_decode (&snapshot_ack_type, item, CODEC_STRICT, NULL, &ack, NULL) != STATUS_OK)
        sim_fail (engine->sim, "an acknowledgement of a chunk does not decode");
    struct sim_replica *replica = replica_for (engine, ack.to);
    if (replica)
        sim_shard_step (replica, (struct shard_event){.type = SHARD_EVENT_SNAPSHOT_ACK, .ack = &ack}, now_ms);
}

static void receive_chunk (struct sim_engine *engine, struct bytes item, uint64_t now_ms)
{
    static uint64_t memory[4096];
    struct snapshot_chunk chunk;
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    if (codec_decode (&snapshot_chunk_type, item, CODEC_STRICT, &arena, &chunk, NULL) != STATUS_OK)
        sim_fail (engine->sim, "a chunk of a snapshot does not decode");
    struct sim_replica *replica = replica_for (engine, chunk.to);
    if (!replica || engine->disk_full)
        return;
    /* The last chunk makes the snapshot live in a batch of its own: everything that the replica asked to write before
     * must be on disk by then. If it is not, the chunk is dropped; it comes again. */
    if (chunk.last && (replica->shard_core->stepped || replica->handed_sequence != replica->persisted_sequence))
        return;
    sim_trace (engine->sim, "%u.%u < chunk %lu of %lu", engine->node->index, replica->shard,
        (unsigned long) chunk.sequence, (unsigned long) chunk.snapshot);
    sim_shard_step (replica, (struct shard_event){.type = SHARD_EVENT_SNAPSHOT_CHUNK, .chunk = &chunk}, now_ms);
}

void sim_engine_frame (struct sim_engine *engine, struct bytes bytes, uint64_t now_ms)
{
    static uint64_t memory[(PEER_FRAME_ARENA_MAX + 7) / 8];
    struct peer_frame frame;
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    if (codec_decode (&peer_frame_type, bytes, CODEC_STRICT, &arena, &frame, NULL) != STATUS_OK)
        sim_fail (engine->sim, "a frame does not decode");
    if (!id_equal (&frame.cluster, &engine->sim->cluster) || frame.from == engine->node->index)
        sim_fail (engine->sim, "a frame that no node sent");
    uint32_t node = (uint32_t) frame.from;
    sim_engine_bind (engine, node, &frame.uuid);
    if (sim_engine_impostor (engine, node, &frame.uuid))
        return;
    for (size_t i = 0; i < frame.raft_count; i++)
        receive_raft (engine, frame.raft[i], now_ms);
    for (size_t i = 0; i < frame.acks_count; i++)
        receive_ack (engine, frame.acks[i], now_ms);
    for (size_t i = 0; i < frame.replies_count; i++)
        sim_engine_reply_received (engine, node, frame.replies[i]);
    for (size_t i = 0; i < frame.calls_count; i++)
        sim_engine_call_received (engine, node, frame.calls[i], now_ms);
    for (size_t i = 0; i < frame.chunks_count; i++)
        receive_chunk (engine, frame.chunks[i], now_ms);
}
