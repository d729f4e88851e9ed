/* The record of replaced nodes in this node: kept in files/map, taken from the system shard, acted on.
 *
 * It comes from the own replica of shard 0 (what that has applied is committed), or by asking its leader; never from gossip,
 * which only says that there is a newer one. A record under which this node has other replicas is first written down, then
 * the process starts again: replicas are made and dropped by one code alone, the start (engine_placement_found). */
#include <stdlib.h>

#include "node/engine/engine_internal.h"
#include "schemas/runtime/checksum.h"

#define MAP_FILE "map"
#define ASK_MS 1000
#define FOREIGN_MS 10000
#define ASK_SOON_MS 100 /* while somebody has heard of a newer one */
#define MEMORY_BYTES (PLACEMENT_FILE_ENCODED_MAX + 64 + PLACEMENT_FILE_ARENA_MAX + 64)

/* ---- the record in memory */

static enum status open_memory (struct placement_state *placement)
{
    for (int i = 0; i < 2 && placement->memory[i] == NULL; i++) {
        placement->memory[i] = malloc (MEMORY_BYTES);
        if (placement->memory[i] == NULL)
            return STATUS_RESOURCE_EXHAUSTED;
    }
    return STATUS_OK;
}

void engine_placement_close (struct engine *engine)
{
    free (engine->placement.memory[0]);
    free (engine->placement.memory[1]);
}

/* Into the half of the memory that the record in force does not use. */
static bool decode (struct engine *engine, const struct codec_type *type, struct bytes bytes, void *value,
    const struct placement *record)
{
    struct placement_state *placement = &engine->placement;
    struct arena arena;
    arena_init (&arena, placement->memory[!placement->half], MEMORY_BYTES);
    uint8_t *copy = bytes.len <= PLACEMENT_FILE_ENCODED_MAX ? arena_alloc (&arena, bytes.len + 1) : NULL;
    if (copy == NULL)
        return false;
    if (bytes.len > 0)
        memcpy (copy, bytes.data, bytes.len); /* what is decoded borrows from it */
    return codec_decode (type, bytes_of (copy, bytes.len), CODEC_STRICT, &arena, value, NULL) == STATUS_OK &&
           placement_valid (record, engine->config.shards);
}

static void use (struct engine *engine, const struct placement *record)
{
    engine->placement.record = *record;
    engine->placement.half = !engine->placement.half;
}

/* The id that the record gives to a replica: that of a replaced node, or, in a cluster made from a backup, one that nobody had
 * before. 0: as the written configuration has it. */
static uint64_t given_replica (
    const struct engine *engine, const struct placement *record, uint32_t node, uint32_t shard, uint32_t position)
{
    uint64_t id = placement_replica (record, node, shard);
    return id == 0 && record->has_origin ? record->origin + (uint64_t) shard * engine->config.replication + position
                                         : id;
}

/* What the record changes of the first placements. */
void engine_placement_overlay (struct engine *engine)
{
    const struct placement *record = &engine->placement.record;
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        const struct route_shard *route = route_map_shard (&engine->map, shard);
        struct route_replica replicas[ROUTE_REPLICAS_MAX];
        for (uint32_t i = 0; i < route->replicas_count; i++) {
            uint64_t id = given_replica (engine, record, route->replicas[i].node, shard, i);
            replicas[i] = route->replicas[i];
            replicas[i].replica = id != 0 ? id : replicas[i].replica;
        }
        enum status status = route_map_set_shard (&engine->map, shard, replicas, route->replicas_count);
        maitre_assert (status == STATUS_OK);
    }
    enum status status = route_map_set_epoch (&engine->map, record->epoch);
    maitre_assert (status == STATUS_OK);
}

uint64_t engine_own_replica (const struct engine *engine, uint32_t shard)
{
    const struct route_shard *route = route_map_shard (&engine->map, shard);
    for (uint32_t i = 0; i < route->replicas_count; i++) {
        if (route->replicas[i].node == engine->config.node)
            return route->replicas[i].replica;
    }
    return 0;
}

/* ---- the start */

bool engine_placement_load (struct engine *engine, struct engine_error *error)
{
    struct placement_file file;
    uint8_t *content = NULL;
    size_t len = 0;
    engine->placement.record = placement_none ();
    engine->placement.founded = true;
    if (open_memory (&engine->placement) != STATUS_OK)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "out of memory");
    enum status status = store_file_get (engine->store, MAP_FILE, &content, &len);
    if (status == STATUS_NOT_FOUND && !engine->placement.pinned)
        return true;
    if (status == STATUS_NOT_FOUND)
        status = STATUS_DATA_LOSS;
    if (status == STATUS_OK && !decode (engine, &placement_file_type, bytes_of (content, len), &file, &file.placement))
        status = STATUS_DATA_LOSS;
    free (content);
    if (status == STATUS_DATA_LOSS)
        return engine_fail (error, ENGINE_EXIT_DAMAGE,
            "%s/files/" MAP_FILE
            " is damaged or missing: which replicas are this node's is not known any more; move the folder away "
            "and replace the node, see \"A disk that is lost or damaged\" in node/README.md",
            engine->config.data);
    if (status != STATUS_OK)
        return engine_fail (
            error, ENGINE_EXIT_RESOURCES, "%s: files cannot be read: check the disk", engine->config.data);
    use (engine, &file.placement);
    engine->placement.founded = file.founded;
    engine->placement.on_disk = true;
    engine_placement_overlay (engine);
    return engine_shape_placed (engine, error);
}

enum status engine_placement_save (struct engine *engine, const struct placement *record, bool founded)
{
    struct placement_file file = {.founded = founded, .placement = *record};
    size_t len;
    enum status status = codec_encode (&placement_file_type, &file, engine->page, ENGINE_PAGE_BYTES_MAX, &len);
    maitre_assert (status == STATUS_OK);
    return store_file_put (engine->store, MAP_FILE, bytes_of (engine->page, len));
}

/* A replica that waits to be filled: no members, no log. It cannot vote or campaign until its leader has made it a voter. */
static enum status make_empty (struct store_turn *turn, uint32_t shard, uint64_t replica)
{
    static const struct raft_configuration nobody;
    uint8_t config[RAFT_CONFIGURATION_BYTES_MAX];
    size_t len = raft_configuration_encode (&nobody, config);
    return store_turn_compact (turn, shard, replica, 0, 0, bytes_of (config, len));
}

static bool refuse_missing (struct engine *engine, uint32_t shard, struct engine_error *error)
{
    return engine_fail (error, ENGINE_EXIT_DAMAGE,
        "shard %u: %s has lost its replica, and what that promised with it: move the folder away and replace the node, "
        "see "
        "\"A disk that is lost or damaged\" in node/README.md",
        shard, engine->config.data);
}

/* Once more after a crash in between is the same: the mark comes last, and before it nothing here has spoken. */
bool engine_placement_found (struct engine *engine, const struct engine_held *held, struct engine_error *error)
{
    struct placement_state *placement = &engine->placement;
    if (!placement->on_disk)
        return true;
    struct store_turn *turn = placement->founded ? NULL : store_turn_new (engine->store);
    struct store_error why = {.text = "out of memory"};
    enum status status = placement->founded || turn != NULL ? STATUS_OK : STATUS_RESOURCE_EXHAUSTED;
    for (uint32_t shard = 0; shard <= engine->config.shards && status == STATUS_OK; shard++) {
        uint64_t own = engine_own_replica (engine, shard);
        bool missing = own != 0 && held->own[shard] == 0;
        if (missing && placement->founded)
            return refuse_missing (engine, shard, error);
        if (missing)
            status = make_empty (turn, shard, own);
    }
    if (placement->founded)
        return true;
    for (size_t i = 0; i < held->others_count && status == STATUS_OK; i++)
        status = store_turn_remove (turn, held->others[i].shard, held->others[i].replica);
    if (status == STATUS_OK)
        status = store_turn_commit (turn, &why);
    store_turn_destroy (&turn);
    if (status == STATUS_OK)
        status = engine_placement_save (engine, &placement->record, true);
    if (status != STATUS_OK)
        return engine_fail (
            error, ENGINE_EXIT_RESOURCES, "%s: the new replicas cannot be written: %s", engine->config.data, why.text);
    placement->founded = true;
    event_log (EVENT_LOG_INFO, "this node was replaced: it has empty replicas under new ids, and the others fill them",
        event_log_u64 ("epoch", placement->record.epoch), event_log_u64 ("dropped", held->others_count));
    return true;
}

/* ---- a newer record */

static bool moves_own (const struct engine *engine, const struct placement *record)
{
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        const struct route_shard *route = route_map_shard (&engine->map, shard);
        for (uint32_t i = 0; i < route->replicas_count; i++) {
            uint64_t own = route->replicas[i].replica;
            uint64_t given = given_replica (engine, record, engine->config.node, shard, i);
            if (route->replicas[i].node == engine->config.node && given != 0 && own != given)
                return true;
        }
    }
    return false;
}

/* A record under which the number is another folder's is not this folder's business: the others ignore it. */
static bool is_ours (const struct engine *engine, const struct placement *record)
{
    const struct id *own = &store_identity (engine->store)->node;
    enum placement_folder verdict = placement_folder_of (record, engine->config.node, own);
    return verdict == PLACEMENT_FOLDER_UNSAID || verdict == PLACEMENT_FOLDER_OWNER;
}

/* A node that was made from a backup is of that cluster alone. The system shard that others speak for is then another one, and
 * to go by its record would be to give this one's replicas up. */
static bool is_foreign (struct engine *engine, const struct placement *record)
{
    struct placement_state *placement = &engine->placement;
    const struct placement *own = &placement->record;
    if (!own->has_origin || (record->has_origin && record->origin == own->origin))
        return false;
    if (placement->foreign_ms != 0 && engine->now_ms < placement->foreign_ms + FOREIGN_MS)
        return true;
    placement->foreign_ms = engine->now_ms;
    event_log (EVENT_LOG_ERROR,
        "the other nodes were made from another backup than this one, or from none: stop them all, and restore every "
        "node from the same backup");
    return true;
}

void engine_placement_take (struct engine *engine, struct bytes bytes)
{
    struct placement_state *placement = &engine->placement;
    struct placement record = placement_none ();
    if (!decode (engine, &placement_type, bytes, &record, &record)) {
        engine->counters.invalid++;
        event_log (EVENT_LOG_ERROR, "the record of replaced nodes cannot be read: it is left alone; update this node");
        return;
    }
    if (is_foreign (engine, &record) || record.epoch < placement->record.epoch || !is_ours (engine, &record))
        return;
    bool newer = record.epoch > placement->record.epoch;
    if (!newer) {
        use (engine, &record); /* how far the moves are */
        return;
    }
    bool again = moves_own (engine, &record);
    struct engine_error error;
    if (engine_placement_save (engine, &record, placement->founded && !again) != STATUS_OK ||
        !engine_shape_placed (engine, &error))
        engine_halt (engine, "the map of replicas cannot be written: check the disk");
    placement->on_disk = true;
    use (engine, &record);
    event_log (EVENT_LOG_INFO, "a newer map of replicas", event_log_u64 ("epoch", record.epoch),
        event_log_u64 ("replaced", record.nodes_count));
    if (again) {
        event_log (EVENT_LOG_INFO, "this node has new replicas: the process starts again with them");
        engine->exit = ENGINE_EXIT_AGAIN;
        return;
    }
    engine_placement_overlay (engine);
    engine_peers_judge (engine);
    gossip_set_ring_epoch (engine->gossip, record.epoch);
}

/* ---- where it comes from */

/* What the own replica has applied is committed. An emptied folder's knows nothing, an old folder's nothing newer. */
static void look_here (struct engine *engine, struct replica *replica)
{
    struct bytes bytes;
    if (!services_placement (&replica->state, &bytes))
        return;
    uint64_t seen = checksum64 (bytes.len, bytes);
    if (seen == engine->placement.seen)
        return;
    engine->placement.seen = seen;
    engine_placement_take (engine, bytes);
}

void engine_placement_applied (struct engine *engine)
{
    struct replica *replica = engine->replicas[0];
    if (replica != NULL && !replica->damaged && !replica->dead)
        look_here (engine, replica);
}

/* Some node that can be reached, another one each time: it answers if it leads shard 0, and else says who does. */
static uint32_t whom_to_ask (struct engine *engine)
{
    uint32_t count = engine->config.nodes.node_count, hint = route_map_shard (&engine->map, 0)->leader_node;
    bool turn = engine->placement.asked_count++ % 2 == 0;
    if (turn && hint != 0 && hint != engine->config.node && engine->map.link_up[hint])
        return hint;
    for (uint32_t i = 0; i < count; i++) {
        engine->placement.ask_node = engine->placement.ask_node % count + 1;
        uint32_t node = engine->placement.ask_node;
        if (node != engine->config.node && engine->map.link_up[node])
            return node;
    }
    return 0;
}

static void ask (struct engine *engine)
{
    struct placement_request request = {.unused = 0};
    uint8_t body[16];
    size_t len;
    uint32_t node = whom_to_ask (engine);
    struct call *call = node != 0 ? engine_call_new (engine) : NULL;
    if (call == NULL)
        return;
    enum status status = codec_encode (&placement_request_type, &request, body, sizeof body, &len);
    maitre_assert (status == STATUS_OK);
    call->source = CALL_OWN;
    call->method = method_by_number (METHOD_NUMBER_CLUSTER_PLACEMENT);
    call->principal = (struct principal){.kind = PRINCIPAL_KIND_API_KEY, .roles = ROLE_ADMIN};
    call->deadline_ms = engine->now_ms + ASK_MS;
    engine->placement.asking = true;
    if (!engine_forward (engine, call, bytes_of (body, len), node, 1))
        engine_call_refuse (engine, call, STATUS_UNAVAILABLE, "LEADER_BUSY", "try again", 0);
}

/* The record committed, and a node that asks takes only what is newer. It may not hear the leader at all: where it takes that
 * one for somebody else, by an old rumour of the folder that was there before, only the record can put that right. A client's
 * question goes to the leader, and no further: what it is told is the newest. */
static bool is_nodes_own (const struct principal *principal)
{
    return id_is_zero (&principal->id) && principal->roles == ROLE_ADMIN;
}

bool engine_placement_tell (struct engine *engine, struct call *call)
{
    struct replica *replica = engine->replicas[0];
    struct placement_reply reply = {.placement = engine->placement.record};
    bool leads = replica != NULL && replica->leader_node == engine->config.node;
    size_t len;
    if (leads || !engine->placement.on_disk || !is_nodes_own (&call->principal) ||
        codec_encode (&placement_reply_type, &reply, engine->encoded, ENGINE_PAGE_BYTES_MAX, &len) != STATUS_OK)
        return false;
    struct route_answer answer = {.status = STATUS_OK, .body = bytes_of (engine->encoded, len)};
    engine_call_answer (engine, call, &answer);
    return true;
}

void engine_placement_answer (struct engine *engine, const struct route_answer *answer)
{
    struct placement_reply reply;
    engine->placement.asking = false;
    if (answer->status != STATUS_OK)
        return;
    arena_reset (&engine->arena);
    size_t len;
    if (codec_decode (&placement_reply_type, answer->body, CODEC_STRICT, &engine->arena, &reply, NULL) != STATUS_OK ||
        codec_encode (&placement_type, &reply.placement, engine->encoded, ENGINE_PAGE_BYTES_MAX, &len) != STATUS_OK) {
        engine->counters.invalid++;
        return;
    }
    engine_placement_take (engine, bytes_of (engine->encoded, len));
}

void engine_placement_tick (struct engine *engine)
{
    struct replica *replica = engine->replicas[0];
    struct placement_state *placement = &engine->placement;
    engine_placement_applied (engine);
    engine_gossip_forget_replaced (engine);
    /* One that is being filled, or whose folder the others do not take for this node's, is told nothing by Raft. */
    bool told = replica != NULL && replica->leader_node != 0;
    bool news = gossip_ring_epoch (engine->gossip) > placement->record.epoch || placement->record.has_running;
    if (told || placement->asking || engine->config.nodes.node_count < 2 ||
        engine->now_ms < placement->asked_ms + (news ? ASK_SOON_MS : ASK_MS))
        return;
    placement->asked_ms = engine->now_ms;
    ask (engine);
}
