/* Replacing a node: its folder and replica ids, and how far the moves are. The system shard alone decides. */
#include "node/services/cluster.h"

#include "node/placement/placement.h"
#include "node/services/services.h"
#include "schemas/runtime/assert.h"

_Static_assert(PLACEMENT_ENCODED_MAX <= STATE_VALUE_BYTES_MAX, "the record is a value of the state");

static bool is_admin (struct service_call *call)
{
    if ((call->principal.roles & ROLE_ADMIN) != 0)
        return true;
    service_refuse (call, STATUS_PERMISSION_DENIED, "ADMIN_ONLY",
        "only an administrator replaces nodes; ask one, or use an administrator's API key", NULL);
    return false;
}

static struct placement load (struct service_call *call)
{
    struct key key = key_table (TABLE_PLACEMENT);
    struct placement record;
    if (!service_load (call, &key, &placement_type, &record))
        return placement_none ();
    if (!placement_valid (&record, call->config->shard_count)) {
        service_damage (call);
        return placement_none ();
    }
    maitre_assert (record.epoch >= PLACEMENT_EPOCH_FIRST);
    return record;
}

static void store (struct service_call *call, const struct placement *record)
{
    /* The system shard alone decides. */
    maitre_assert (call->config->shard == 0);
    maitre_assert ((call->principal.roles & ROLE_ADMIN) != 0);
    struct key key = key_table (TABLE_PLACEMENT);
    placement_check (record, call->config->shard_count);
    service_store (call, &key, &placement_type, record);
}

void cluster_replace_node_apply (struct service_call *call)
{
    const struct replace_node_request *request = call->request;
    if (!is_admin (call))
        return;
    struct placement record = load (call);
    switch (placement_begin (&record, request, call->config->shard_count, call->time_ms, call->arena)) {
    case STATUS_OK:
        break;
    case STATUS_FAILED_PRECONDITION:
        service_refuse_field (call, STATUS_FAILED_PRECONDITION, "REPLACING",
            "another node is being replaced; wait until maitre cluster status shows no moves", "node");
        return;
    case STATUS_RESOURCE_EXHAUSTED:
        service_refuse (call, STATUS_RESOURCE_EXHAUSTED, "NO_MORE_IDS",
            "no replica ids are left in this cluster; report this", NULL);
        return;
    default:
        service_refuse_field (call, STATUS_INVALID_ARGUMENT, "BAD_REQUEST",
            "the entry node says which replicas the node has; let maitre node replace ask it", "hosted");
        return;
    }
    store (call, &record);
    const struct placed_node *row = placement_node (&record, request->node);
    uint32_t moves, done;
    placement_count (&record, &moves, &done);
    maitre_assert (done <= moves);
    maitre_assert (row->node == request->node);
    struct replace_node_reply reply = {
        .node = request->node, .epoch = record.epoch, .first_replica = row->first_replica, .moves = moves};
    service_reply_ok (call, &replace_node_reply_type, &reply);
}

void cluster_bind_folder_apply (struct service_call *call)
{
    const struct bind_folder_request *request = call->request;
    if (!is_admin (call))
        return;
    struct placement record = load (call);
    enum status status = placement_bind (&record, request->node, request->first_replica, &request->folder);
    if (status == STATUS_NOT_FOUND) {
        service_refuse_field (call, STATUS_NOT_FOUND, "NOT_FOUND",
            "no such replacement is under way; look at cluster.Placement", "first_replica");
        return;
    }
    if (status != STATUS_OK) {
        service_refuse_field (call, STATUS_FAILED_PRECONDITION, "FOLDER_REFUSED",
            "the node's number belongs to another data folder, or this one was retired; replace the node again",
            "folder");
        return;
    }
    maitre_assert (placement_folder_of (&record, request->node, &request->folder) == PLACEMENT_FOLDER_OWNER);
    store (call, &record);
    struct bind_folder_reply reply = {.epoch = record.epoch};
    service_reply_ok (call, &bind_folder_reply_type, &reply);
}

void cluster_note_moves_apply (struct service_call *call)
{
    if (!is_admin (call))
        return;
    struct placement record = load (call);
    if (record.has_running) {
        placement_note (&record, call->request, call->arena);
        store (call, &record);
    }
    uint32_t moves, done;
    placement_count (&record, &moves, &done);
    maitre_assert (done <= moves);
    struct note_moves_reply reply = {.left = moves - done};
    service_reply_ok (call, &note_moves_reply_type, &reply);
}

void cluster_placement_read (struct service_call *call)
{
    struct placement_reply reply = {.placement = load (call)};
    service_reply_ok (call, &placement_reply_type, &reply);
}

bool services_placement (struct state *state, struct bytes *record)
{
    struct key key = key_table (TABLE_PLACEMENT);
    return state_get (state, key_of (&key), record);
}

bool services_placement_load (struct state *state, uint32_t shard_count, struct arena *arena, struct placement *record)
{
    struct bytes stored;
    *record = placement_none ();
    if (!services_placement (state, &stored))
        return !state_failed (state);
    return codec_decode (&placement_type, stored, CODEC_STRICT, arena, record, NULL) == STATUS_OK &&
           placement_valid (record, shard_count);
}

void services_placement_put (struct state *state, const struct placement *record)
{
    uint8_t bytes[256]; /* without nodes and moves */
    size_t len;
    struct key key = key_table (TABLE_PLACEMENT);
    maitre_assert (record->nodes_count == 0 && !record->has_running);
    enum status status = codec_encode (&placement_type, record, bytes, sizeof bytes, &len);
    maitre_assert (status == STATUS_OK);
    state_put (state, key_of (&key), bytes_of (bytes, len));
}
