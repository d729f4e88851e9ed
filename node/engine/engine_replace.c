/* Replacing a node: what is asked before it begins, the moves of the shards that are led here, and telling how far they are.
 *
 * Every node drives the shards that it leads, by the record alone (node/placement): nobody has to remember anything, and
 * who takes a leadership over goes on. At most MOVES_AT_ONCE shards of a leader move at a time, the lowest first. */
#include <stdio.h>

#include "node/engine/engine_internal.h"

#define MOVES_AT_ONCE 2
#define TELL_MS 200
#define TELL_TIME_MS 3000
#define MOVES_A_NOTE 256

/* ---- before it begins */

struct objection {
    const char *reason;
    char text[320];
};

/* Could be counted on now: reached, with the folder that the cluster knows. */
static bool counts (const struct engine *engine, uint32_t node)
{
    if (node == engine->config.node)
        return !engine->disk_full && !engine->draining;
    return engine->map.link_up[node] && !engine->peers[node].impostor;
}

static bool runs_as_known (const struct engine *engine, uint32_t node)
{
    const struct gossip_member *member = gossip_member_by_node (engine->gossip, node);
    bool alive = member != NULL && member->state == GOSSIP_ALIVE && id_equal (&member->uuid, &engine->peers[node].uuid);
    return !engine->peers[node].impostor && (engine->map.link_up[node] || alive);
}

/* Without the node, every shard that it holds must keep a majority and two live voters, so that it loses nothing more. */
static bool quorums_hold (const struct engine *engine, uint32_t node, struct objection *objection)
{
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        const struct route_shard *route = route_map_shard (&engine->map, shard);
        uint32_t left = 0;
        bool hosted = false;
        for (uint32_t i = 0; i < route->replicas_count; i++) {
            hosted = hosted || route->replicas[i].node == node;
            left += route->replicas[i].node != node && counts (engine, route->replicas[i].node);
        }
        if (!hosted || (left > route->replicas_count / 2 && left >= 2))
            continue;
        objection->reason = "QUORUM_AT_RISK";
        snprintf (objection->text, sizeof objection->text,
            "shard %u would be left with %u of %u replicas, which is no majority of two or more: %s", shard, left,
            route->replicas_count,
            route->replicas_count < 3 ? "only a cluster with three replicas of each shard can replace one"
                                      : "start the other nodes first");
        return false;
    }
    return true;
}

static bool may_replace (const struct engine *engine, uint32_t node, struct objection *objection)
{
    if (node > engine->config.nodes.node_count) {
        objection->reason = "NO_SUCH_NODE";
        snprintf (objection->text, sizeof objection->text, "the cluster has nodes 1 to %u: name one of those",
            engine->config.nodes.node_count);
        return false;
    }
    if (node == engine->config.node || runs_as_known (engine, node)) {
        objection->reason = "NODE_RUNS";
        snprintf (objection->text, sizeof objection->text,
            "node %u runs with the data folder that the cluster knows: stop it first; a node that is down for a while "
            "needs "
            "no replacement, only one whose folder is lost",
            node);
        return false;
    }
    if (id_is_zero (&engine->peers[node].uuid)) { /* which folder would be refused from now on? */
        objection->reason = "NEVER_MET";
        snprintf (objection->text, sizeof objection->text,
            "node %u was never met by the node that you ask, so its old data folder is not known: ask another one "
            "(--node); "
            "if none has met it, just start it",
            node);
        return false;
    }
    return quorums_hold (engine, node, objection);
}

static void refuse (struct engine *engine, struct call *call, enum status status, const char *reason, const char *text)
{
    engine_call_refuse (engine, call, status, reason, text, 0);
}

void engine_replace_start (struct engine *engine, struct call *call, struct bytes body, uint32_t hops)
{
    struct replace_node_request request;
    struct objection objection = {.reason = NULL};
    uint8_t hosted[ROUTE_SHARDS_MAX + 1];
    size_t len;
    arena_reset (&engine->arena);
    if (codec_decode (&replace_node_request_type, body, CODEC_LENIENT, &engine->arena, &request, NULL) != STATUS_OK) {
        refuse (engine, call, STATUS_INVALID_ARGUMENT, "BAD_REQUEST", "name the node by its number: {\"node\": 2}");
        return;
    }
    if ((call->principal.roles & ROLE_ADMIN) == 0) {
        refuse (engine, call, STATUS_PERMISSION_DENIED, "ADMIN_ONLY",
            "only an administrator replaces nodes; ask one, or use an administrator's API key");
        return;
    }
    uint32_t node = (uint32_t) request.node;
    const struct placed_node *row = placement_node (&engine->placement.record, node);
    bool begun = row != NULL && !row->has_folder; /* and nobody has come for it: the same once more */
    if (!begun && !may_replace (engine, node, &objection)) {
        bool unknown = node > engine->config.nodes.node_count;
        refuse (engine, call, unknown ? STATUS_INVALID_ARGUMENT : STATUS_FAILED_PRECONDITION, objection.reason,
            objection.text);
        return;
    }
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        const struct route_shard *route = route_map_shard (&engine->map, shard);
        hosted[shard] = 0;
        for (uint32_t i = 0; i < route->replicas_count; i++)
            hosted[shard] |= route->replicas[i].node == node;
    }
    const struct id *known = &engine->peers[node].uuid;
    request.has_known_folder = !id_is_zero (known);
    request.known_folder = *known;
    request.has_first_free = true;
    request.first_free = 1 + ((uint64_t) engine->config.shards + 1) * engine->config.replication;
    request.has_hosted = true;
    request.hosted = bytes_of (hosted, engine->config.shards + 1);
    enum status status = codec_encode (&replace_node_request_type, &request, engine->page, ENGINE_PAGE_BYTES_MAX, &len);
    maitre_assert (status == STATUS_OK);
    engine_route (engine, call, bytes_of (engine->page, len), hops);
}

/* ---- calls of this node's own */

/* As its cluster: the system shard listens to admins alone. */
static bool tell (struct engine *engine, uint32_t number, const void *request)
{
    uint8_t body[4096];
    size_t len;
    const struct method *method = method_by_number (number);
    struct call *call = engine_call_new (engine);
    if (call == NULL)
        return false;
    enum status status = codec_encode (method->request, request, body, sizeof body, &len);
    maitre_assert (status == STATUS_OK);
    call->source = CALL_OWN;
    call->write = true;
    call->method = method;
    call->principal = (struct principal){.kind = PRINCIPAL_KIND_API_KEY, .roles = ROLE_ADMIN};
    uint64_t random = 0;
    for (int i = 0; i < 4; i++) /* the seed is of this start; the clock makes it another one each time */
        random = random * UINT64_C (0x9e3779b97f4a7c15) + engine->random_state[i] + engine->now_us;
    call->request_id = id_make (engine->wall_median_ms != 0 ? engine->wall_median_ms : engine_wall_ms (), 0, random);
    call->deadline_ms = engine->now_ms + TELL_TIME_MS;
    engine->placement.telling = true;
    engine->placement.told_ms = engine->now_ms;
    engine_route (engine, call, bytes_of (body, len), 0);
    return true;
}

void engine_replace_answer (struct engine *engine, const struct route_answer *answer)
{
    engine->placement.telling = false;
    if (answer->status != STATUS_OK && answer->status != STATUS_UNAVAILABLE)
        event_log (EVENT_LOG_DEBUG, "the system shard did not take word of the replacement",
            event_log_text ("why", answer->reason != NULL ? answer->reason : status_name (answer->status)));
}

/* Shard 0's leader gives the number to the first new folder that speaks for it. */
static void bind_folder (struct engine *engine)
{
    const struct replica *system = engine->replicas[0];
    uint64_t node = engine->placement.record.running.node;
    const struct placed_node *row = placement_node (&engine->placement.record, node);
    const struct peer_state *peer = &engine->peers[node];
    if (system == NULL || system->leader_node != engine->config.node || row == NULL || row->has_folder ||
        !peer->awaited || id_is_zero (&peer->seen) || !engine->map.link_up[node])
        return; /* one that is gone again must not take the place */
    struct bind_folder_request request = {.node = node, .first_replica = row->first_replica, .folder = peer->seen};
    if (tell (engine, METHOD_NUMBER_CLUSTER_BIND_FOLDER, &request))
        event_log (EVENT_LOG_INFO, "a new data folder speaks for a node that is being replaced",
            event_log_u64 ("peer", node), event_log_id ("folder", &peer->seen));
}

/* What leads here and has come further than the record says. */
static void note_moves (struct engine *engine)
{
    struct placement_move moves[MOVES_A_NOTE];
    const struct placement *record = &engine->placement.record;
    struct note_moves_request request = {
        .node = record->running.node, .first_replica = record->running.first_replica, .moves = moves};
    for (uint32_t shard = 0; shard <= engine->config.shards && request.moves_count < MOVES_A_NOTE; shard++) {
        const struct replica *replica = engine->replicas[shard];
        if (replica != NULL && replica->placed_for == record->running.first_replica &&
            replica->placing > placement_phase_of (record, shard))
            moves[request.moves_count++] = (struct placement_move){.shard = shard, .phase = replica->placing};
    }
    if (request.moves_count > 0)
        (void) tell (engine, METHOD_NUMBER_CLUSTER_NOTE_MOVES, &request);
}

/* ---- the moves */

/* moves_for: the replacement, by its first replica id; 0: the shard stays as it is. */
static void place (struct engine *engine, struct replica *replica, uint64_t moves_for)
{
    const struct route_shard *route = route_map_shard (&engine->map, replica->shard);
    struct raft_configuration members = {0};
    for (uint32_t i = 0; i < route->replicas_count; i++) {
        bool set = raft_configuration_set (&members, (struct raft_member){.replica = route->replicas[i].replica,
                                                         .node = route->replicas[i].node,
                                                         .rank = (uint8_t) i,
                                                         .roles = RAFT_VOTER});
        maitre_assert (set);
    }
    struct shard_event event = {.type = SHARD_EVENT_PLACE, .members = moves_for != 0 ? &members : NULL};
    engine_step (engine, replica, &event);
    replica->placed_for = moves_for;
    replica->placing = moves_for != 0 ? PLACEMENT_PHASE_WAITING : PLACEMENT_PHASE_NONE;
}

static void look_at (struct engine *engine, struct replica *replica)
{
    struct shard_status status;
    shard_status_get (replica->core, &status);
    if (status.placing == PLACEMENT_PHASE_NONE)
        replica->placed_for = 0; /* a core that started over was not told */
    if (status.placing == replica->placing)
        return;
    replica->placing = status.placing;
    event_log (EVENT_LOG_INFO, "move", event_log_u64 ("shard", replica->shard),
        event_log_text ("phase", placement_phase_enum.values[status.placing].name),
        event_log_u64 ("peer", engine->placement.record.running.node));
}

static void drive (struct engine *engine)
{
    const struct placement *record = &engine->placement.record;
    uint32_t moving = 0;
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        struct replica *replica = engine->replicas[shard];
        if (replica == NULL || replica->dead)
            continue;
        uint64_t moves_for = replica->leader_node == engine->config.node ? placement_moves_for (record, shard) : 0;
        /* The next replacement may have begun since the last look, unseen in between: its members are others, and how far
         * the one before it got says nothing of it. */
        if (replica->placed_for != 0 && replica->placed_for != moves_for)
            place (engine, replica, 0);
        if (replica->placed_for != 0)
            look_at (engine, replica);
        else if (moves_for != 0 && moving < MOVES_AT_ONCE)
            place (engine, replica, moves_for);
        moving += replica->placed_for != 0 && replica->placing != PLACEMENT_PHASE_DONE;
    }
}

void engine_replace_tick (struct engine *engine)
{
    drive (engine);
    if (!engine->placement.record.has_running || engine->placement.telling ||
        engine->now_ms < engine->placement.told_ms + TELL_MS)
        return;
    bind_folder (engine);
    if (!engine->placement.telling)
        note_moves (engine);
}
