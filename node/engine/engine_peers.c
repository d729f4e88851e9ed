/* What arrives from other nodes, and whom this node takes for whom. */
#include <stdlib.h>

#include "node/engine/engine_internal.h"

#define PEERS_FILE "peers"
#define TELL_MS 1000
#define EVENTS_A_TURN 64
#define DENIED_MS 5000 /* so long a denial counts */

/* ---- who is who (R12): a node number belongs to the first data folder that spoke for it */

static void save_peers (struct engine *engine)
{
    uint8_t content[(ENGINE_NODES_MAX + 1) * ID_SIZE];
    for (uint32_t node = 0; node <= ENGINE_NODES_MAX; node++)
        memcpy (content + node * ID_SIZE, engine->peers[node].uuid.b, ID_SIZE);
    size_t len = ((size_t) engine->config.nodes.node_count + 1) * ID_SIZE;
    if (failpoint (FAILPOINT_PEERS_BEFORE) ||
        store_file_put (engine->store, PEERS_FILE, bytes_of (content, len)) != STATUS_OK)
        engine_halt (engine, "the list of known peers cannot be written: check the disk");
    failpoint_pass (FAILPOINT_PEERS_AFTER);
}

static bool refuse_peers (const struct engine *engine, enum status status, struct engine_error *error)
{
    if (status != STATUS_DATA_LOSS)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "%s/files/" PEERS_FILE " cannot be read: check the disk",
            engine->config.data);
    return engine_fail (error, ENGINE_EXIT_DAMAGE,
        "%s/files/" PEERS_FILE " is damaged: whose data folder is whose is not known any more. Only if no other node "
        "lost its folder while this one was down: remove the file and start again; the folders that are met then are "
        "taken for the right ones",
        engine->config.data);
}

bool engine_peers_load (struct engine *engine, struct engine_error *error)
{
    uint8_t *content = NULL;
    size_t len = 0;
    uint64_t incarnation = 0;
    enum status status = store_file_get (engine->store, PEERS_FILE, &content, &len);
    if (status == STATUS_NOT_FOUND) {
        bool first = store_incarnation_get (engine->store, &incarnation) == STATUS_OK && incarnation == 0;
        if (!first && engine->config.nodes.node_count > 1)
            event_log (EVENT_LOG_WARN,
                "no list of known peers: the data folders that are met now are taken for the right ones");
        return true;
    }
    if (status == STATUS_OK && len != ((size_t) engine->config.nodes.node_count + 1) * ID_SIZE)
        status = STATUS_DATA_LOSS; /* the shape fits, so nobody changed the number of nodes */
    for (uint32_t node = 1; status == STATUS_OK && node <= engine->config.nodes.node_count; node++)
        memcpy (engine->peers[node].uuid.b, content + node * ID_SIZE, ID_SIZE);
    free (content);
    return status == STATUS_OK || refuse_peers (engine, status, error);
}

/* It would wait for ever, and look well to those that only look at it. Told again and again, not only in answer: it speaks to
 * whoever leads its shards alone, and that one is no majority. */
static void tell_impostor (struct engine *engine, uint32_t node, const struct id *uuid)
{
    struct peer_state *peer = &engine->peers[node];
    if (engine->now_ms < peer->told_ms + TELL_MS || failpoint (FAILPOINT_SEND_NOTICE_BEFORE))
        return;
    const struct placed_node *row = placement_node (&engine->placement.record, node);
    struct folder_notice notice = {.known = peer->uuid, .seen = *uuid};
    if (row != NULL) /* zero: the next one */
        notice.known = row->has_folder ? row->folder : (struct id){{0}};
    uint8_t *room =
        transport_reserve (engine->transport, node, TRANSPORT_NOW, TRANSPORT_NOTICES, FOLDER_NOTICE_ENCODED_MAX);
    if (room == NULL)
        return;
    size_t len;
    enum status status = codec_encode (&folder_notice_type, &notice, room, FOLDER_NOTICE_ENCODED_MAX, &len);
    maitre_assert (status == STATUS_OK);
    transport_commit (engine->transport, len);
    peer->told_ms = engine->now_ms;
}

/* The number was replaced: the system shard has decided whose it is. */
static void bind_replaced (struct engine *engine, uint32_t node, const struct id *uuid, enum placement_folder verdict)
{
    struct peer_state *peer = &engine->peers[node];
    bool news = !peer->impostor || peer->awaited || !id_equal (&peer->seen, uuid);
    peer->seen = *uuid;
    peer->impostor = verdict != PLACEMENT_FOLDER_OWNER;
    peer->awaited = verdict == PLACEMENT_FOLDER_AWAITED;
    if (verdict == PLACEMENT_FOLDER_OWNER && !id_equal (&peer->uuid, uuid)) {
        peer->uuid = *uuid;
        save_peers (engine);
        event_log (EVENT_LOG_INFO, "a replaced node is back with its new data folder", event_log_u64 ("peer", node),
            event_log_id ("folder", uuid));
    }
    if (verdict != PLACEMENT_FOLDER_REFUSED)
        return;
    if (news)
        event_log (EVENT_LOG_ERROR, "a node speaks from a data folder that was replaced: it is ignored",
            event_log_u64 ("peer", node), event_log_id ("folder", uuid));
    peer->told = *uuid;
    tell_impostor (engine, node, uuid);
}

void engine_peer_bind (struct engine *engine, uint32_t node, const struct id *uuid)
{
    if (node == 0 || node > engine->config.nodes.node_count || node == engine->config.node || id_is_zero (uuid))
        return;
    struct peer_state *peer = &engine->peers[node];
    enum placement_folder verdict = placement_folder_of (&engine->placement.record, node, uuid);
    if (verdict != PLACEMENT_FOLDER_UNSAID) {
        bind_replaced (engine, node, uuid, verdict);
        return;
    }
    if (id_is_zero (&peer->uuid)) {
        peer->uuid = *uuid;
        save_peers (engine); /* before anything it says counts */
        return;
    }
    bool impostor = !id_equal (&peer->uuid, uuid);
    if (impostor && !peer->impostor)
        event_log (EVENT_LOG_ERROR,
            "a node speaks from another data folder than before: it is ignored; put the old folder back, or replace "
            "the node",
            event_log_u64 ("peer", node), event_log_id ("known", &peer->uuid), event_log_id ("now", uuid));
    peer->impostor = impostor;
    if (!impostor)
        return;
    peer->seen = peer->told = *uuid;
    tell_impostor (engine, node, uuid);
}

/* News of one that died is no word from the one that lives there now. But who has never heard of this number learns whose
 * it is: without that an emptied folder would pass with whoever was away while the old one lived. */
void engine_peer_rumour (struct engine *engine, uint32_t node, const struct id *uuid, bool alive)
{
    bool known = node == 0 || node > engine->config.nodes.node_count || !id_is_zero (&engine->peers[node].uuid);
    if (alive || !known)
        engine_peer_bind (engine, node, uuid);
}

/* Those that were taken for somebody else before, or are not taken for anybody now. */
void engine_peers_judge (struct engine *engine)
{
    for (uint32_t node = 1; node <= engine->config.nodes.node_count; node++) {
        struct peer_state *peer = &engine->peers[node];
        if (node == engine->config.node || placement_node (&engine->placement.record, node) == NULL)
            continue;
        if (peer->impostor) {
            struct id seen = peer->seen;
            engine_peer_bind (engine, node, &seen);
        } else if (placement_folder_of (&engine->placement.record, node, &peer->uuid) != PLACEMENT_FOLDER_OWNER) {
            peer->impostor = true; /* until a folder speaks that may */
            peer->seen = (struct id){{0}};
        }
    }
}

void engine_peers_tick (struct engine *engine)
{
    for (uint32_t node = 1; node <= engine->config.nodes.node_count; node++) {
        const struct peer_state *peer = &engine->peers[node];
        if (!peer->impostor || id_is_zero (&peer->told))
            continue;
        /* Another folder that is there by now does not mind; this one may have become the one that is waited for. */
        enum placement_folder verdict = placement_folder_of (&engine->placement.record, node, &peer->told);
        if (verdict == PLACEMENT_FOLDER_UNSAID || verdict == PLACEMENT_FOLDER_REFUSED)
            tell_impostor (engine, node, &peer->told);
    }
}

/* ---- links */

static void link_changed (struct engine *engine, uint32_t node, bool up)
{
    route_map_link (&engine->map, node, up);
    event_log (EVENT_LOG_INFO, up ? "link up" : "link down", event_log_u64 ("peer", node));
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        struct replica *replica = engine->replicas[shard];
        if (replica == NULL)
            continue;
        struct shard_event event = {.type = SHARD_EVENT_LINK, .link = {.node = node, .up = up}};
        engine_step (engine, replica, &event);
    }
    if (!up) {
        struct peer_state *peer = &engine->peers[node];
        if (peer->impostor) /* who comes next may be another one */
            peer->seen = (struct id){{0}};
        peer->awaited = false;
        engine_calls_link_lost (engine, node);
        engine_gossip_link_down (engine, node);
    }
}

void engine_peers_events (struct engine *engine)
{
    struct transport_event event;
    if (!engine_wait_take (&engine->wait, WAIT_LINKS) && !transport_event_waiting (engine->transport))
        return;
    for (int i = 0; i < EVENTS_A_TURN; i++) {
        if (!transport_next_event (engine->transport, &event))
            return;
        switch (event.type) {
        case TRANSPORT_UP:
            link_changed (engine, event.node, true);
            break;
        case TRANSPORT_DOWN:
            link_changed (engine, event.node, false);
            break;
        case TRANSPORT_LOST:
            engine_calls_link_lost (engine, event.node);
            break;
        }
    }
    engine_wait_again (&engine->wait, WAIT_LINKS);
}

/* ---- frames */

/* What replicas of an earlier life of that node still say, or of a folder that does not know yet that it was replaced, is
 * nobody's word (R11, R12). */
static bool speaks_for (const struct engine *engine, uint32_t node, uint32_t shard, uint64_t replica)
{
    const struct route_shard *route = route_map_shard (&engine->map, shard);
    for (uint32_t i = 0; i < route->replicas_count; i++) {
        if (route->replicas[i].node == node)
            return route->replicas[i].replica == replica;
    }
    return false;
}

static void receive_raft (struct engine *engine, uint32_t node, struct bytes item)
{
    struct raft_wire_message wire;
    struct raft_message message;
    if (failpoint (FAILPOINT_RECEIVE_RAFT))
        return;
    arena_reset (&engine->arena);
    if (codec_decode (&raft_wire_message_type, item, CODEC_STRICT, &engine->arena, &wire, NULL) != STATUS_OK ||
        raft_codec_from_wire (&wire, &message, engine->entries) != STATUS_OK) {
        engine->counters.invalid++;
        return;
    }
    struct replica *replica = engine_replica (engine, message.shard);
    if (replica == NULL || message.to != replica->id || !speaks_for (engine, node, message.shard, message.from))
        return; /* of a placement that is over */
    /* A full disk takes no entries: better a stalled follower than RocksDB at the wall. */
    if (engine->disk_full && message.count > 0)
        return;
    engine->work += message.count > 0;
    struct shard_event event = {.type = SHARD_EVENT_RAFT, .raft = &message};
    engine_step (engine, replica, &event);
}

static void receive_ack (struct engine *engine, struct bytes item)
{
    struct snapshot_ack ack;
    if (failpoint (FAILPOINT_RECEIVE_ACK))
        return;
    if (codec_decode (&snapshot_ack_type, item, CODEC_STRICT, NULL, &ack, NULL) != STATUS_OK) {
        engine->counters.invalid++;
        return;
    }
    struct replica *replica = engine_replica (engine, (uint32_t) ack.shard);
    struct shard_event event = {.type = SHARD_EVENT_SNAPSHOT_ACK, .ack = &ack};
    if (replica != NULL)
        engine_step (engine, replica, &event);
}

static void receive_chunk (struct engine *engine, struct bytes item)
{
    struct snapshot_chunk chunk;
    if (failpoint (FAILPOINT_RECEIVE_CHUNK))
        return;
    arena_reset (&engine->arena);
    if (codec_decode (&snapshot_chunk_type, item, CODEC_STRICT, &engine->arena, &chunk, NULL) != STATUS_OK) {
        engine->counters.invalid++;
        return;
    }
    struct replica *replica = engine_replica (engine, (uint32_t) chunk.shard);
    if (replica == NULL || engine->disk_full)
        return;
    /* The last chunk makes the snapshot live in a batch of its own: everything that the replica asked to write before
     * must be on disk by then. If it is not, the chunk is dropped; it comes again. */
    if (chunk.last && (replica->stepped || engine_replica_unwritten (replica)))
        return;
    struct shard_event event = {.type = SHARD_EVENT_SNAPSHOT_CHUNK, .chunk = &chunk};
    if (!engine_disk_try (engine))
        return;
    engine_step (engine, replica, &event);
    engine_disk_release (engine);
}

/* One peer may err: only what most of the others say counts. And what one says once may be old: it was on its way when this
 * node ended, and waited for the link. Who means it says it again. */
static bool is_denied (const struct engine *engine)
{
    uint32_t others = engine->config.nodes.node_count - 1, denials = 0;
    for (uint32_t node = 1; node <= engine->config.nodes.node_count; node++) {
        const struct peer_state *peer = &engine->peers[node];
        denials += peer->denied_ms >= peer->denied_since_ms + TELL_MS / 2 && peer->denied_since_ms != 0 &&
                   engine->now_ms < peer->denied_ms + DENIED_MS;
    }
    return 2 * denials > others;
}

static void receive_notice (struct engine *engine, uint32_t node, struct bytes item)
{
    struct folder_notice notice;
    const struct id *own = &store_identity (engine->store)->node;
    if (codec_decode (&folder_notice_type, item, CODEC_STRICT, NULL, &notice, NULL) != STATUS_OK) {
        engine->counters.invalid++;
        return;
    }
    if (!id_equal (&notice.seen, own) || id_equal (&notice.known, own))
        return; /* of a folder that was here before */
    struct peer_state *peer = &engine->peers[node];
    if (peer->denied_since_ms == 0 || engine->now_ms >= peer->denied_ms + DENIED_MS)
        peer->denied_since_ms = engine->now_ms;
    peer->denied_ms = engine->now_ms;
    if (engine->exit != ENGINE_EXIT_OK || !is_denied (engine))
        return;
    event_log (EVENT_LOG_ERROR,
        "the node stops: the others know its number under another data folder, so this one was emptied, exchanged or "
        "replaced; put the right one back, and if that is lost: maitre node replace N, then start the node with an "
        "empty "
        "folder",
        event_log_u64 ("node", engine->config.node), event_log_text ("data", engine->config.data),
        event_log_id ("known", &notice.known), event_log_id ("here", own));
    engine->exit = ENGINE_EXIT_FOLDER;
}

static void receive_frame (struct engine *engine, const struct peer_frame *frame)
{
    uint32_t node = (uint32_t) frame->from;
    if (node > engine->config.nodes.node_count)
        return;
    engine_peer_bind (engine, node, &frame->uuid);
    if (engine->peers[node].impostor) {
        engine->counters.frames_impostor++;
        return;
    }
    for (size_t i = 0; i < frame->notices_count; i++)
        receive_notice (engine, node, frame->notices[i]);
    for (size_t i = 0; i < frame->raft_count; i++)
        receive_raft (engine, node, frame->raft[i]);
    for (size_t i = 0; i < frame->acks_count; i++)
        receive_ack (engine, frame->acks[i]);
    for (size_t i = 0; i < frame->replies_count; i++)
        engine_forward_reply_received (engine, node, frame->replies[i]);
    for (size_t i = 0; i < frame->calls_count; i++)
        engine_forward_call_received (engine, node, frame->calls[i]);
    for (size_t i = 0; i < frame->chunks_count; i++)
        receive_chunk (engine, frame->chunks[i]);
}

void engine_peers_drain (struct engine *engine)
{
    struct peer_frame frame;
    if (!engine_wait_take (&engine->wait, WAIT_FRAMES))
        return;
    for (int i = 0; i < ENGINE_FRAMES_A_TURN; i++) {
        enum status status = transport_receive (engine->transport, &frame);
        if (status == STATUS_NOT_FOUND)
            return;
        if (status == STATUS_OK && !failpoint (FAILPOINT_RECEIVE_FRAME))
            receive_frame (engine, &frame);
    }
    engine_wait_again (&engine->wait, WAIT_FRAMES);
}
