/* Snapshots out of and into the state database, and the state under a shard that an import exchanges. */
#include <stdlib.h>

#include "node/engine/engine_internal.h"

/* ---- the services' view: whichever table is live */

static struct state *live (void *context)
{
    return table_state (((struct replica *) context)->table);
}

static bool get (void *context, struct bytes key, struct bytes *value)
{
    return state_get (live (context), key, value);
}

static void scan (void *context, struct bytes from, struct bytes to, bool reverse, state_visit *visit, void *argument)
{
    state_scan (live (context), from, to, reverse, visit, argument);
}

static void put (void *context, struct bytes key, struct bytes value)
{
    failpoint_pass (FAILPOINT_APPLY_CHANGE_BEFORE);
    state_put (live (context), key, value);
    failpoint_pass (FAILPOINT_APPLY_CHANGE_AFTER);
}

static void remove_key (void *context, struct bytes key)
{
    state_remove (live (context), key);
}

static bool failed (void *context)
{
    struct replica *replica = context;
    replica->read_failed = replica->read_failed || failpoint (FAILPOINT_STATE_READ); /* as a table's failure stays */
    return replica->read_failed || state_failed (live (context));
}

static const struct state_ops ops = {.get = get, .scan = scan, .put = put, .remove = remove_key, .failed = failed};

void engine_replica_bind_state (struct replica *replica)
{
    replica->state = (struct state){.ops = &ops, .context = replica};
}

/* ---- out */

/* The store's chunks and the shard's are cut differently: on the way the former are a stream, each behind its length. The
 * importing store checks their numbers and checksums. */
#define LENGTH_BYTES 4
#define WARM_KEYS_A_TURN 512
#define INCOMING_BYTES_MAX (STORE_CHUNK_BYTES_MAX + STATE_VALUE_BYTES_MAX + 4096)

struct outgoing {
    struct replica *replica;
    struct store_snapshot *snapshot;
    struct bytes chunk; /* the store's */
    size_t sent;        /* of its length and bytes */
    bool last, open;
};

static bool open_snapshot (void *context, uint32_t shard, uint64_t *index, uint64_t *term, void **out)
{
    struct engine *engine = context;
    struct replica *replica = engine_replica (engine, shard);
    if (engine->mending != MEND_NONE)
        return false; /* it is asked for again */
    struct outgoing *outgoing = calloc (1, sizeof *outgoing);
    maitre_assert (outgoing != NULL);
    enum status status =
        failpoint (FAILPOINT_SNAPSHOT_OPEN_BEFORE)
            ? STATUS_INTERNAL
            : store_snapshot_open (engine->store, shard, replica->id, &outgoing->snapshot, index, term);
    if (status != STATUS_OK) {
        free (outgoing);
        return false;
    }
    failpoint_pass (FAILPOINT_SNAPSHOT_OPEN_AFTER);
    *out = outgoing;
    return true;
}

static bool next_chunk (void *context, void *snapshot, uint8_t *out, size_t size, size_t *len, bool *last)
{
    const struct engine *engine = context;
    struct outgoing *outgoing = snapshot;
    *len = 0;
    if (engine->mending == MEND_COPIED)
        return false; /* the database under it goes away */
    if (failpoint (FAILPOINT_SNAPSHOT_READ_BEFORE))
        return false;
    while (*len < size) {
        if (!outgoing->open) {
            if (outgoing->last)
                break;
            enum status status = store_snapshot_next (outgoing->snapshot, &outgoing->chunk, &outgoing->last);
            if (status != STATUS_OK) { /* without memory it is asked for again; else its state has to be looked at */
                outgoing->replica->unreadable |= status != STATUS_RESOURCE_EXHAUSTED;
                return false;
            }
            outgoing->open = true;
            outgoing->sent = 0;
        }
        if (outgoing->sent == 0) {
            if (size - *len < LENGTH_BYTES)
                break;
            bytes_put_u32 (out + *len, (uint32_t) outgoing->chunk.len);
            *len += LENGTH_BYTES;
            outgoing->sent = LENGTH_BYTES;
        }
        size_t left = outgoing->chunk.len - (outgoing->sent - LENGTH_BYTES);
        size_t part = left < size - *len ? left : size - *len;
        memcpy (out + *len, outgoing->chunk.data + (outgoing->sent - LENGTH_BYTES), part);
        *len += part;
        outgoing->sent += part;
        outgoing->open = part < left;
    }
    failpoint_pass (FAILPOINT_SNAPSHOT_READ_AFTER);
    *last = outgoing->last && !outgoing->open;
    return true;
}

static void close_snapshot (void *context, void *snapshot)
{
    (void) context;
    struct outgoing *outgoing = snapshot;
    store_snapshot_close (&outgoing->snapshot);
    free (outgoing);
}

/* ---- in */

/* The reactor never waits for the flusher, whose round or sweep can take as long as RocksDB likes: receive_chunk has the lock
 * for the whole step, or drops the chunk, which comes again. */
bool engine_disk_try (struct engine *engine)
{
    maitre_assert (!engine->disk_held);
    engine->disk_held = pthread_mutex_trylock (&engine->flusher.disk) == 0;
    return engine->disk_held;
}

void engine_disk_release (struct engine *engine)
{
    maitre_assert (engine->disk_held);
    engine->disk_held = false;
    pthread_mutex_unlock (&engine->flusher.disk);
}

/* The process ends when this is told to the shard. As with a write-back that fails, its next start looks at all state: what
 * the database refuses to take may be the damage that lies beside it. */
static void state_refused (struct engine *engine, uint32_t shard, const char *why)
{
    event_log (
        EVENT_LOG_ERROR, "a snapshot cannot be received", event_log_u64 ("shard", shard), event_log_text ("why", why));
    engine_state_failed (engine);
}

/* Nothing of it was live. The disk is looked at now, not within the second: until there is room no chunk is taken. */
static void no_room (struct engine *engine, uint32_t shard)
{
    event_log (EVENT_LOG_WARN, "no room for a snapshot: it is given up and asked for again; make room on the disk",
        event_log_u64 ("shard", shard));
    engine->disk_checked_ms = 0;
}

static bool begin_import (void *context, uint32_t shard, uint64_t id, uint64_t index, uint64_t term)
{
    struct engine *engine = context;
    struct replica *replica = engine_replica (engine, shard);
    struct store_error error;
    maitre_assert (replica->id == id && replica->import == NULL);
    replica->incoming_len = 0;
    if (engine->mending != MEND_NONE)
        return true; /* its first chunk is refused, and it comes again */
    if (failpoint (FAILPOINT_SNAPSHOT_BEGIN_BEFORE))
        return false;
    maitre_assert (engine->disk_held);
    enum status status = store_import_begin (engine->store, shard, id, index, term, &replica->import, &error);
    failpoint_pass (FAILPOINT_SNAPSHOT_BEGIN_AFTER);
    if (status == STATUS_RESOURCE_EXHAUSTED) {
        no_room (engine, shard);
        return true; /* its first chunk is refused */
    }
    if (status == STATUS_DATA_LOSS) {
        /* What the old state left there is damaged: the database is made anew meanwhile, and the snapshot comes again. */
        event_log (EVENT_LOG_WARN, "the state database is damaged", event_log_text ("why", error.text));
        engine_mend_begin (engine);
        return true;
    }
    if (status != STATUS_OK)
        state_refused (engine, shard, error.text);
    else
        event_log (
            EVENT_LOG_INFO, "receiving a snapshot", event_log_u64 ("shard", shard), event_log_u64 ("index", index));
    return status == STATUS_OK;
}

static enum status take_stored_chunk (struct engine *engine, struct replica *replica)
{
    if (failpoint (FAILPOINT_SNAPSHOT_CHUNK_BEFORE))
        return STATUS_INTERNAL;
    maitre_assert (engine->disk_held);
    enum status status = store_import_chunk (
        replica->import, bytes_of (replica->incoming + LENGTH_BYTES, replica->incoming_len - LENGTH_BYTES));
    failpoint_pass (FAILPOINT_SNAPSHOT_CHUNK_AFTER);
    replica->incoming_len = 0;
    if (status == STATUS_DATA_LOSS) /* the chunk's checksum, not our disk */
        status = STATUS_INVALID_ARGUMENT;
    if (status == STATUS_INVALID_ARGUMENT)
        event_log (EVENT_LOG_WARN, "a snapshot's content is damaged where it comes from: refused",
            event_log_u64 ("shard", replica->shard));
    if (status == STATUS_RESOURCE_EXHAUSTED)
        no_room (engine, replica->shard);
    return status;
}

static enum status take_chunk (void *context, uint32_t shard, struct bytes data)
{
    struct engine *engine = context;
    struct replica *replica = engine_replica (engine, shard);
    if (replica->import == NULL || engine->mending != MEND_NONE)
        return STATUS_INVALID_ARGUMENT;
    if (replica->incoming == NULL) {
        replica->incoming = malloc (INCOMING_BYTES_MAX + LENGTH_BYTES);
        maitre_assert (replica->incoming != NULL);
    }
    while (data.len > 0) {
        size_t want = LENGTH_BYTES;
        if (replica->incoming_len >= LENGTH_BYTES) {
            want += bytes_get_u32 (replica->incoming);
            if (want <= LENGTH_BYTES || want > INCOMING_BYTES_MAX + LENGTH_BYTES)
                return STATUS_INVALID_ARGUMENT;
        }
        size_t part = want - replica->incoming_len < data.len ? want - replica->incoming_len : data.len;
        memcpy (replica->incoming + replica->incoming_len, data.data, part);
        replica->incoming_len += part;
        data = bytes_of (data.data + part, data.len - part);
        if (want > LENGTH_BYTES && replica->incoming_len == want) {
            enum status status = take_stored_chunk (engine, replica);
            if (status != STATUS_OK)
                return status;
        }
    }
    return STATUS_OK;
}

void engine_import_end (struct replica *replica)
{
    store_import_close (&replica->import); /* its own files alone: no lock */
    free (replica->incoming);
    replica->incoming = NULL;
    replica->incoming_len = 0;
}

static void abort_import (void *context, uint32_t shard)
{
    struct engine *engine = context;
    engine_import_end (engine_replica (engine, shard));
}

/* The generation, the cut of the log and the configuration in one batch of their own. The writer is idle meanwhile, and
 * nothing of this replica stands in the open batch (receive_chunk sees to that). */
static bool install (struct engine *engine, struct replica *replica, uint32_t generation, uint64_t index, uint64_t term,
    const struct raft_configuration *members)
{
    uint8_t config[RAFT_CONFIGURATION_BYTES_MAX];
    size_t config_len = raft_configuration_encode (members, config);
    bool keep_log = !shard_restore_resets (replica->core, index, term);
    struct store_error error;
    engine_writer_wait (engine);
    store_turn_reset (engine->install);
    if (failpoint (FAILPOINT_SNAPSHOT_SWITCH_BEFORE))
        return false;
    enum status status = store_turn_install (
        engine->install, replica->shard, replica->id, generation, index, term, bytes_of (config, config_len), keep_log);
    if (status == STATUS_OK)
        status = store_turn_commit (engine->install, &error);
    failpoint_pass (FAILPOINT_SNAPSHOT_SWITCH_AFTER);
    return status == STATUS_OK;
}

static bool finish_import (
    void *context, uint32_t shard, uint64_t index, uint64_t term, const struct raft_configuration *members)
{
    struct engine *engine = context;
    struct replica *replica = engine_replica (engine, shard);
    uint32_t generation = 0;
    struct store_error error = {"injected"};
    maitre_assert (!engine_replica_unwritten (replica));
    /* A write-back of the old table that is under way is for a generation that nobody reads any more. */
    engine_flush_forget (engine, replica);
    maitre_assert (engine->disk_held);
    enum status status = failpoint (FAILPOINT_SNAPSHOT_FINISH_BEFORE)
                             ? STATUS_INTERNAL
                             : store_import_finish (replica->import, &generation, &error);
    if (status != STATUS_OK)
        state_refused (engine, shard, error.text);
    bool installed = status == STATUS_OK && install (engine, replica, generation, index, term, members);
    engine_import_end (replica); /* only now: until the install is committed a sweep must leave the generation alone */
    if (!installed)
        return false;
    engine->old_state = true;
    struct table *table = table_new (engine->store, &engine->budget, shard, replica->id, generation, false);
    if (table == NULL || failpoint (FAILPOINT_SNAPSHOT_LOAD_BEFORE))
        return false;
    table_warm_begin (table);
    failpoint_pass (FAILPOINT_SNAPSHOT_LOAD_AFTER);
    table_destroy (&replica->table);
    replica->table = table;
    replica->warming = true;
    engine->warming = true;
    replica->generation = generation;
    replica->written = replica->compacted = index;
    event_log (EVENT_LOG_INFO, "snapshot installed", event_log_u64 ("shard", shard), event_log_u64 ("index", index));
    return true;
}

/* What snapshots brought comes into memory a slice a turn: all at once it would keep the node's other shards from their
 * heartbeats for seconds. */
void engine_warm_step (struct engine *engine)
{
    bool left = false;
    for (uint32_t i = 0; engine->warming && i <= engine->config.shards; i++) {
        struct replica *replica = engine->replicas[(engine->warm_next + i) % (engine->config.shards + 1)];
        if (replica == NULL || !replica->warming)
            continue;
        if (left) {
            engine->warm_next = replica->shard; /* in turns */
            return;
        }
        left = true;
        if (!replica->dead && !table_warm_step (replica->table, WARM_KEYS_A_TURN))
            continue;
        replica->warming = false;
        event_log (EVENT_LOG_INFO, "snapshot in memory", event_log_u64 ("shard", replica->shard),
            event_log_u64 ("complete", table_complete (replica->table)));
    }
    engine->warming = left;
}

const struct shard_snapshot_ops engine_snapshot_ops = {
    .open = open_snapshot,
    .next = next_chunk,
    .close = close_snapshot,
    .begin = begin_import,
    .chunk = take_chunk,
    .finish = finish_import,
    .abort = abort_import,
};
