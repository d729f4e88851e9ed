/* cluster.SnapshotOpen, SnapshotRead, SnapshotClose: an image of a shard that this node leads, for a backup.
 *
 *   ASKING --a read round confirmed that this node leads--> WRITING --written back that far--> OPEN --close, idle--> free
 *
 * The round makes it a linearizable point: whatever was acknowledged before the call came is in the state by then, so it is
 * in the image, which is the state as it is written back at that index or a later one, frozen. From then on the image
 * depends on nobody: it is read to its end when the leadership has long gone elsewhere. What a reader may cost is bounded:
 * BACKUPS_MAX images, one piece in memory each, one piece a call; the pace is the reader's.
 *
 * The image is what a follower would get (engine_snapshots.c), and like that one it is given up when the database under it
 * is exchanged: whoever saves begins that shard again. */
#include <stdlib.h>

#include "node/engine/engine_internal.h"
#include "schemas/generated/backup.h"

#define IDLE_MS 30000
#define BUSY_RETRY_MS 250

static struct backup *find (struct engine *engine, const struct id *save, uint64_t shard)
{
    for (size_t i = 0; i < BACKUPS_MAX; i++) {
        struct backup *backup = &engine->backups[i];
        if (backup->state != BACKUP_FREE && backup->shard == shard && id_equal (&backup->save, save))
            return backup;
    }
    return NULL;
}

static void release (struct engine *engine, struct backup *backup)
{
    if (backup->snapshot != NULL)
        engine_snapshot_ops.close (engine, backup->snapshot);
    free (backup->piece);
    *backup = (struct backup){.state = BACKUP_FREE};
}

void engine_backups_close (struct engine *engine)
{
    for (size_t i = 0; i < BACKUPS_MAX; i++)
        release (engine, &engine->backups[i]);
}

/* ---- open */

static struct backup *take (struct engine *engine, const struct snapshot_open_request *request)
{
    struct backup *backup = find (engine, &request->save, request->shard);
    for (size_t i = 0; i < BACKUPS_MAX && backup == NULL; i++) {
        if (engine->backups[i].state == BACKUP_FREE)
            backup = &engine->backups[i];
    }
    if (backup == NULL)
        return NULL;
    release (engine, backup);
    backup->piece = malloc (SHARD_CHUNK_BYTES);
    if (backup->piece == NULL)
        return NULL;
    backup->save = request->save;
    backup->shard = (uint32_t) request->shard;
    backup->state = BACKUP_ASKING;
    backup->used_ms = engine->now_ms;
    return backup;
}

/* A read of the shard, whose answer says only that this node led when the call came, and has applied all that was then
 * committed. */
static void ask (struct engine *engine, struct call *call, struct replica *replica)
{
    uint8_t body[PLACEMENT_REQUEST_ENCODED_MAX];
    size_t len;
    struct placement_request request = {.unused = 0};
    enum status status = codec_encode (&placement_request_type, &request, body, sizeof body, &len);
    maitre_assert (status == STATUS_OK);
    call->started = true;
    struct shard_event event = {.type = SHARD_EVENT_CALL,
        .call = {.token = engine_call_token (engine, call),
            .method = method_by_number (METHOD_NUMBER_CLUSTER_PLACEMENT),
            .principal = call->principal,
            .body = bytes_of (body, len),
            .deadline_ms = call->deadline_ms}};
    engine_step (engine, replica, &event);
}

static void open_image (struct engine *engine, struct call *call, const struct snapshot_open_request *request)
{
    struct replica *replica = engine_replica (engine, (uint32_t) request->shard);
    if (request->shard > engine->config.shards) {
        engine_call_refuse (engine, call, STATUS_INVALID_ARGUMENT, "NO_SUCH_SHARD",
            "the cluster has no such shard; cluster.Ring says how many there are", 0);
        return;
    }
    call->shard = (uint32_t) request->shard;
    if (replica == NULL || replica->damaged || replica->leader_node != engine->config.node) {
        struct route_answer answer = {.status = STATUS_UNAVAILABLE,
            .reason = "NOT_LEADER",
            .message = "another node leads the shard; ask that one (cluster.Where says which)",
            .leader_node = engine_leader (engine, call->shard)};
        engine_call_answer (engine, call, &answer);
        return;
    }
    struct backup *backup = take (engine, request);
    if (backup == NULL) {
        engine_call_refuse (engine, call, STATUS_RESOURCE_EXHAUSTED, "SNAPSHOTS_BUSY",
            "this node gives away as many images of shards as it may; try again when one is read", BUSY_RETRY_MS);
        return;
    }
    backup->call = engine_call_token (engine, call);
    ask (engine, call, replica);
}

void engine_backup_confirmed (struct engine *engine, struct call *call)
{
    for (size_t i = 0; i < BACKUPS_MAX; i++) {
        struct backup *backup = &engine->backups[i];
        if (backup->state != BACKUP_ASKING || backup->call != engine_call_token (engine, call))
            continue;
        struct replica *replica = engine_replica (engine, backup->shard);
        struct shard_status status;
        shard_status_get (replica->core, &status);
        backup->goal = status.applied_index;
        backup->state = BACKUP_WRITING;
        replica->wanted = backup->goal > replica->wanted ? backup->goal : replica->wanted;
        engine->flush_checked_ms = 0; /* somebody waits */
        return;
    }
    engine_call_refuse (
        engine, call, STATUS_ABORTED, "OPENED_AGAIN", "a later call opened the same image; use that", 0);
}

/* Once the state is written back as far as was confirmed. */
static void begin (struct engine *engine, struct backup *backup, struct call *call)
{
    struct replica *replica = engine_replica (engine, backup->shard);
    struct shard_status status;
    shard_status_get (replica->core, &status);
    if (replica->damaged ||
        !engine_snapshot_ops.open (engine, backup->shard, &backup->index, &backup->term, &backup->snapshot)) {
        release (engine, backup);
        engine_call_refuse (engine, call, STATUS_UNAVAILABLE, "SNAPSHOT_FAILED",
            "the shard's state on this node's disk cannot be read now; try again, and look at the node's log",
            BUSY_RETRY_MS);
        return;
    }
    maitre_assert (backup->index >= backup->goal);
    backup->state = BACKUP_OPEN;
    backup->used_ms = engine->now_ms;
    struct snapshot_open_reply reply = {.cluster = engine->config.nodes.cluster,
        .shard_count = engine->config.shards,
        .index = backup->index,
        .term = backup->term,
        .log_time_ms = status.log_time_ms,
        .version = bytes_text (engine->config.version)};
    engine_call_answer_value (engine, call, &reply);
}

void engine_backups_step (struct engine *engine)
{
    for (size_t i = 0; i < BACKUPS_MAX; i++) {
        struct backup *backup = &engine->backups[i];
        if (backup->state == BACKUP_FREE)
            continue;
        struct call *call = backup->state == BACKUP_OPEN ? NULL : engine_call_find (engine, backup->call);
        if (backup->state != BACKUP_OPEN && call == NULL)
            release (engine, backup); /* answered, by its deadline or with the leadership */
        else if (backup->state == BACKUP_WRITING && engine_replica (engine, backup->shard)->written >= backup->goal)
            begin (engine, backup, call);
        else if (backup->state == BACKUP_OPEN &&
                 (engine->mending == MEND_COPIED || engine->now_ms >= backup->used_ms + IDLE_MS))
            release (engine, backup);
    }
}

/* ---- read, close */

static void no_image (struct engine *engine, struct call *call)
{
    engine_call_refuse (engine, call, STATUS_NOT_FOUND, "NO_SNAPSHOT",
        "this node holds no such image (any more): open it again, and begin with its first piece", 0);
}

static void read_piece (struct engine *engine, struct call *call, const struct snapshot_read_request *request)
{
    struct backup *backup = find (engine, &request->save, request->shard);
    if (backup == NULL || backup->state != BACKUP_OPEN) {
        no_image (engine, call);
        return;
    }
    bool again = backup->pieces > 0 && request->piece == backup->pieces - 1;
    if (!again && (request->piece != backup->pieces || backup->last)) {
        engine_call_refuse (engine, call, STATUS_INVALID_ARGUMENT, "WRONG_PIECE",
            "pieces are read in order, each at most once more: open the image again", 0);
        return;
    }
    backup->used_ms = engine->now_ms;
    if (!again) {
        if (!engine_snapshot_ops.next (
                engine, backup->snapshot, backup->piece, SHARD_CHUNK_BYTES, &backup->piece_len, &backup->last)) {
            struct replica *replica = engine_replica (engine, backup->shard);
            replica->stepped = !replica->dead; /* the end of its turn looks whether its state is damaged */
            release (engine, backup);
            no_image (engine, call);
            return;
        }
        backup->pieces++;
        engine->counters.backup_bytes += backup->piece_len;
    }
    struct snapshot_read_reply reply = {
        .index = backup->index, .last = backup->last, .data = bytes_of (backup->piece, backup->piece_len)};
    engine_call_answer_value (engine, call, &reply);
}

static void close_image (struct engine *engine, struct call *call, const struct snapshot_close_request *request)
{
    struct backup *backup = find (engine, &request->save, request->shard);
    struct snapshot_close_reply reply = {.unused = 0};
    if (backup != NULL)
        release (engine, backup);
    engine_call_answer_value (engine, call, &reply);
}

void engine_backup_answer (struct engine *engine, struct call *call, const void *request)
{
    if ((call->principal.roles & ROLE_ADMIN) == 0) {
        engine_call_refuse (engine, call, STATUS_PERMISSION_DENIED, "ADMIN_ONLY",
            "only an administrator saves backups: they hold everybody's data and password hashes", 0);
        return;
    }
    switch (call->method->number) {
    case METHOD_NUMBER_CLUSTER_SNAPSHOT_OPEN:
        open_image (engine, call, request);
        return;
    case METHOD_NUMBER_CLUSTER_SNAPSHOT_READ:
        read_piece (engine, call, request);
        return;
    default:
        close_image (engine, call, request);
    }
}
