/* cluster.*: members, ring, where a key lives, and handing a leadership over. */
#include <stdlib.h>

#include "node/engine/engine_internal.h"

#define ROLES_OPERATING (ROLE_OPERATOR | ROLE_ADMIN)
#define TRANSFER_MS_MAX 1500

/* Rows of one reply, in the engine's arena. */
struct rows {
    struct cluster_node *nodes;
    struct cluster_shard *shards;
    uint32_t leaderless;
    bool all_alive;
};

static void *take (struct engine *engine, size_t count, size_t size)
{
    void *memory = arena_alloc (&engine->arena, count * size + 1);
    maitre_assert (memory != NULL);
    memset (memory, 0, count * size + 1);
    return memory;
}

uint32_t engine_leader (const struct engine *engine, uint32_t shard)
{
    const struct replica *replica = engine->replicas[shard];
    uint32_t leader = replica != NULL ? replica->leader_node : route_map_shard (&engine->map, shard)->leader_node;
    if (leader == 0 || leader > engine->config.nodes.node_count)
        return 0;
    bool reached = leader == engine->config.node || (engine->map.link_up[leader] && !engine->peers[leader].impostor);
    return reached ? leader : 0;
}

static void fill_node (struct engine *engine, const struct cluster_member *from, struct cluster_node *row)
{
    const struct gossip_member *member = gossip_member_by_node (engine->gossip, from->node);
    *row = (struct cluster_node){
        .node = from->node,
        /* One with an exchanged data folder lives, but is not the member that the cluster counts on. */
        .state = member == NULL || engine->peers[from->node].impostor ? NODE_STATE_DEAD : (uint64_t) member->state,
        .client_endpoint = bytes_text (from->client_endpoint),
        .peer_endpoint = bytes_text (from->peer_endpoint),
        .has_zone = from->zone[0] != '\0',
        .zone = bytes_text (from->zone),
    };
    if (member != NULL) {
        row->uuid = member->uuid;
        row->incarnation = member->incarnation;
    }
    const struct placement *record = &engine->placement.record;
    if (record->has_running && record->running.node == from->node) {
        uint32_t moves, done;
        placement_count (record, &moves, &done);
        row->has_moves = row->has_moves_done = row->has_awaited = true;
        row->moves = moves;
        row->moves_done = done;
        row->awaited = !placement_node (record, from->node)->has_folder;
    }
    if (from->node == engine->config.node) {
        row->has_version = true;
        row->version = bytes_text (engine->config.version);
    }
}

static void fill_nodes (struct engine *engine, struct rows *rows)
{
    const struct cluster_nodes *config = &engine->config.nodes;
    rows->nodes = take (engine, config->node_count, sizeof *rows->nodes);
    rows->all_alive = true;
    for (uint32_t i = 0; i < config->node_count; i++) {
        fill_node (engine, &config->nodes[i], &rows->nodes[i]);
        rows->all_alive = rows->all_alive && rows->nodes[i].state == NODE_STATE_ALIVE;
    }
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        const struct route_shard *route = route_map_shard (&engine->map, shard);
        uint32_t leader = engine_leader (engine, shard);
        if (leader != 0)
            rows->nodes[leader - 1].leads++;
        for (uint32_t i = 0; i < route->replicas_count; i++)
            rows->nodes[route->replicas[i].node - 1].replicas++;
    }
}

static struct cluster_replica *fill_replicas (struct engine *engine, const struct route_shard *route)
{
    struct cluster_replica *replicas = take (engine, route->replicas_count, sizeof *replicas);
    for (uint32_t i = 0; i < route->replicas_count; i++)
        replicas[i] = (struct cluster_replica){.node = route->replicas[i].node, .replica = route->replicas[i].replica};
    return replicas;
}

static void fill_own_replica (const struct replica *replica, struct cluster_shard *row)
{
    struct shard_status status;
    shard_status_get (replica->core, &status);
    row->has_role = true;
    row->role = status.role == RAFT_LEADER     ? SHARD_ROLE_LEADER
                : status.role == RAFT_FOLLOWER ? SHARD_ROLE_FOLLOWER
                                               : SHARD_ROLE_CANDIDATE;
    row->has_last_index = row->has_commit_index = row->has_applied_index = true;
    row->last_index = status.last_index;
    row->commit_index = status.commit_index;
    row->applied_index = status.applied_index;
    row->has_log_time_ms = true;
    row->log_time_ms = status.log_time_ms;
    row->has_suspect = status.suspect;
    row->suspect = status.suspect;
    row->has_log_time_off = status.log_time_off;
    row->log_time_off = status.log_time_off;
}

static void fill_shards (struct engine *engine, struct rows *rows, bool details)
{
    rows->shards = take (engine, engine->config.shards + 1, sizeof *rows->shards);
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        const struct route_shard *route = route_map_shard (&engine->map, shard);
        struct cluster_shard *row = &rows->shards[shard];
        *row = (struct cluster_shard){
            .shard = shard,
            .leader = engine_leader (engine, shard),
            .term = engine->replicas[shard] != NULL ? engine->replicas[shard]->leader_term : route->leader_term,
            .replicas = fill_replicas (engine, route),
            .replicas_count = route->replicas_count,
        };
        rows->leaderless += row->leader == 0;
        if (details && engine->replicas[shard] != NULL)
            fill_own_replica (engine->replicas[shard], row);
    }
}

static void answer_status (struct engine *engine, struct call *call, const struct status_request *request)
{
    struct rows rows = {.leaderless = 0};
    fill_nodes (engine, &rows);
    fill_shards (engine, &rows, true);
    bool with_shards = request->has_shards && request->shards;
    struct status_reply reply = {
        .cluster = engine->config.nodes.cluster,
        .node = engine->config.node,
        .version = bytes_text (engine->config.version),
        .epoch = engine->map.epoch,
        .shard_count = engine->config.shards,
        .nodes = rows.nodes,
        .nodes_count = engine->config.nodes.node_count,
        .shards = rows.shards,
        .shards_count = with_shards ? engine->config.shards + 1 : 0,
        .leaderless = rows.leaderless,
        .uptime_ms = engine->now_ms - engine->started_ms,
        .has_healthy = true,
        .healthy = rows.all_alive && rows.leaderless == 0,
    };
    engine_call_answer_value (engine, call, &reply);
}

static void answer_members (struct engine *engine, struct call *call)
{
    struct rows rows = {.leaderless = 0};
    fill_nodes (engine, &rows);
    struct members_reply reply = {.nodes = rows.nodes, .nodes_count = engine->config.nodes.node_count};
    engine_call_answer_value (engine, call, &reply);
}

static void answer_ring (struct engine *engine, struct call *call)
{
    struct rows rows = {.leaderless = 0};
    fill_nodes (engine, &rows);
    fill_shards (engine, &rows, false);
    struct ring_reply reply = {
        .epoch = engine->map.epoch,
        .shard_count = engine->config.shards,
        .nodes = rows.nodes,
        .nodes_count = engine->config.nodes.node_count,
        .shards = rows.shards,
        .shards_count = engine->config.shards + 1,
    };
    engine_call_answer_value (engine, call, &reply);
}

/* ---- where */

static bool where_shard (const struct engine *engine, const struct where_request *request, uint32_t *shard)
{
    uint8_t buffer[LOGIN_LEN_MAX];
    struct bytes login;
    if (request->has_shard) {
        *shard = (uint32_t) request->shard;
        return *shard <= engine->config.shards;
    }
    uint32_t hash;
    if (request->has_id)
        hash = id_hash (&request->id);
    else if (request->has_group)
        hash = placement_hash_group (request->group);
    else if (request->has_login && login_normalise (request->login, buffer, &login) == STATUS_OK)
        hash = placement_hash_user (login);
    else
        return false;
    *shard = placement_shard (hash, engine->config.shards);
    return true;
}

static bool loses_quorum (const struct route_shard *route, const struct where_request *request)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < route->replicas_count; i++) {
        bool gone = false;
        for (size_t j = 0; j < request->without_count; j++)
            gone = gone || request->without[j] == route->replicas[i].node;
        left += !gone;
    }
    return left <= route->replicas_count / 2;
}

static void answer_where (struct engine *engine, struct call *call, const struct where_request *request)
{
    uint32_t shard;
    if (!where_shard (engine, request, &shard)) {
        engine_call_refuse (engine, call, STATUS_INVALID_ARGUMENT, "NO_KEY",
            "name an id, a login, a group or a shard of this cluster", 0);
        return;
    }
    const struct route_shard *route = route_map_shard (&engine->map, shard);
    uint32_t leader = engine_leader (engine, shard);
    const char *endpoint = leader == 0 ? "" : engine->config.nodes.nodes[leader - 1].client_endpoint;
    struct where_reply reply = {
        .shard = shard,
        .leader = leader,
        .replicas = fill_replicas (engine, route),
        .replicas_count = route->replicas_count,
        .leader_endpoint = bytes_text (endpoint),
        .has_loses_quorum = request->has_without,
        .loses_quorum = request->has_without && loses_quorum (route, request),
    };
    engine_call_answer_value (engine, call, &reply);
}

/* ---- handing a leadership over */

static void answer_transfer (
    struct engine *engine, struct call *call, const struct transfer_leader_request *request, struct bytes body)
{
    if ((call->principal.roles & ROLES_OPERATING) == 0) {
        engine_call_refuse (engine, call, STATUS_PERMISSION_DENIED, "NOT_ALLOWED",
            "handing a leadership over takes the role operator or admin", 0);
        return;
    }
    uint32_t shard = (uint32_t) request->shard;
    if (shard > engine->config.shards) {
        engine_call_refuse (engine, call, STATUS_INVALID_ARGUMENT, "NO_SUCH_SHARD",
            "the cluster has no such shard; cluster.Ring says how many there are", 0);
        return;
    }
    call->shard = shard;
    struct replica *replica = engine_replica (engine, shard);
    uint32_t leader = route_map_shard (&engine->map, shard)->leader_node;
    if (replica == NULL || replica->leader_node != engine->config.node) {
        bool direct = call->source == CALL_CLIENT;
        if (direct && leader != 0 && leader != engine->config.node && engine_forward (engine, call, body, leader, 1))
            return;
        engine_call_refuse (engine, call, STATUS_UNAVAILABLE, "NO_LEADER",
            "the shard has no leader that can be reached now; try again", ENGINE_UNKNOWN_RETRY_MS);
        return;
    }
    uint32_t target = request->has_node ? (uint32_t) request->node : 0;
    /* One that nobody waits for any more came to nothing. */
    bool under_way = replica->transfer_call != 0 && engine_call_find (engine, replica->transfer_call) != NULL;
    if (target == engine->config.node || under_way) {
        struct transfer_leader_reply reply = {.shard = shard, .leader = engine->config.node};
        engine_call_answer_value (engine, call, &reply);
        return;
    }
    /* Answered when somebody else leads, or when the time is over. */
    if (call->deadline_ms > engine->now_ms + TRANSFER_MS_MAX)
        call->deadline_ms = engine->now_ms + TRANSFER_MS_MAX;
    replica->transfer_call = engine_call_token (engine, call);
    struct shard_event event = {.type = SHARD_EVENT_TRANSFER, .transfer_node = target};
    engine_step (engine, replica, &event);
}

void engine_cluster_leader_changed (struct engine *engine, struct replica *replica)
{
    if (replica->transfer_call == 0 || replica->leader_node == 0)
        return;
    struct call *call = engine_call_find (engine, replica->transfer_call);
    replica->transfer_call = 0;
    if (call == NULL)
        return;
    struct transfer_leader_reply reply = {.shard = replica->shard, .leader = replica->leader_node};
    engine_call_answer_value (engine, call, &reply);
}

bool engine_cluster_answer (struct engine *engine, struct call *call, struct bytes body)
{
    arena_reset (&engine->arena);
    void *request = arena_alloc (&engine->arena, call->method->request->size);
    struct codec_error error;
    maitre_assert (request != NULL);
    if (codec_decode (call->method->request, body, CODEC_LENIENT, &engine->arena, request, &error) != STATUS_OK) {
        engine_call_refuse (engine, call, STATUS_INVALID_ARGUMENT, "BAD_REQUEST", error.message, 0);
        return true;
    }
    switch (call->method->number) {
    case METHOD_NUMBER_CLUSTER_STATUS:
        answer_status (engine, call, request);
        return true;
    case METHOD_NUMBER_CLUSTER_MEMBERS:
        answer_members (engine, call);
        return true;
    case METHOD_NUMBER_CLUSTER_RING:
        answer_ring (engine, call);
        return true;
    case METHOD_NUMBER_CLUSTER_WHERE:
        answer_where (engine, call, request);
        return true;
    case METHOD_NUMBER_CLUSTER_TRANSFER_LEADER:
        answer_transfer (engine, call, request, body);
        return true;
    case METHOD_NUMBER_CLUSTER_INJECT_FAULT:
        engine_faults_answer (engine, call, request);
        return true;
    case METHOD_NUMBER_CLUSTER_SNAPSHOT_OPEN:
    case METHOD_NUMBER_CLUSTER_SNAPSHOT_READ:
    case METHOD_NUMBER_CLUSTER_SNAPSHOT_CLOSE:
        engine_backup_answer (engine, call, request);
        return true;
    default:
        return false;
    }
}
