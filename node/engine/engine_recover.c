/* The start: replicas from the disk, or founded for the first time. */
#include <stdio.h>
#include <stdlib.h>

#include "node/engine/engine_found.h"

#define INCARNATION_WALL_MAX (UINT64_C (1) << 43) /* the year 2248; snapshots are numbered from 2^20 times this */

/* ---- the first start */

static bool found_replicas (struct engine *engine, struct engine_error *error)
{
    struct store_turn *turn = store_turn_new (engine->store);
    uint8_t config[RAFT_CONFIGURATION_BYTES_MAX];
    struct store_error why = {.text = "out of memory"};
    enum status status =
        turn == NULL || failpoint (FAILPOINT_START_FOUND_BEFORE) ? STATUS_RESOURCE_EXHAUSTED : STATUS_OK;
    for (uint32_t shard = 0; shard <= engine->config.shards && status == STATUS_OK; shard++) {
        uint64_t replica = engine_own_replica (engine, shard);
        if (replica == 0)
            continue;
        struct raft_configuration members;
        engine_first_configuration (engine, shard, &members);
        size_t len = raft_configuration_encode (&members, config);
        status = store_turn_compact (turn, shard, replica, 0, 0, bytes_of (config, len));
    }
    if (status == STATUS_OK)
        status = store_turn_commit (turn, &why);
    store_turn_destroy (&turn);
    if (status != STATUS_OK)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "%s: the first replicas cannot be written: %s",
            engine->config.data, why.text);
    failpoint_pass (FAILPOINT_START_FOUND_AFTER);
    return true;
}

/* ---- what the log holds */

static void note_replica (void *argument, const struct store_replica *row)
{
    struct recovery *recovery = argument;
    if (row->shard > recovery->engine->config.shards ||
        engine_own_replica (recovery->engine, row->shard) != row->replica) {
        struct engine_held_replica *grown =
            realloc (recovery->foreign, (recovery->foreign_count + 1) * sizeof *recovery->foreign);
        if (grown == NULL) {
            recovery->memory_out = true;
            return;
        }
        recovery->foreign = grown;
        recovery->foreign[recovery->foreign_count++] =
            (struct engine_held_replica){.shard = row->shard, .replica = row->replica, .lost = row->lost != NULL};
        return;
    }
    struct found *found = &recovery->found[row->shard];
    found->row = *row;
    found->config = malloc (row->config.len + 1);
    if (found->config == NULL) {
        recovery->memory_out = true;
        return;
    }
    if (row->config.len > 0)
        memcpy (found->config, row->config.data, row->config.len);
    found->row.config.data = found->config;
    if (row->damage != NULL)
        snprintf (found->damage, sizeof found->damage, "%s", row->damage);
    if (row->lost != NULL)
        snprintf (found->lost, sizeof found->lost, "%s", row->lost);
}

/* One that the log knows nothing of. Where there is state of it all the same it is not new: a disk that lied has lost the
 * whole log, and what it promised. */
static bool note_founded (struct recovery *recovery, struct store_replica *row, struct engine_error *error)
{
    struct engine *engine = recovery->engine;
    uint64_t index, term;
    enum status status = store_state_applied (engine->store, row->shard, row->replica, row->generation, &index, &term);
    if (status != STATUS_OK && status != STATUS_DATA_LOSS)
        return engine_fail (error, ENGINE_EXIT_RESOURCES,
            "shard %u: its state cannot be looked at (%s): check the disk", row->shard, status_name (status));
    if (status == STATUS_DATA_LOSS || index > 0) {
        row->damage = "there is state of it, and the log knows nothing of it";
        if (store_suspect_set (engine->store, row->damage) != STATUS_OK)
            return engine_fail (
                error, ENGINE_EXIT_RESOURCES, "%s: files cannot be written: check the disk", engine->config.data);
    }
    note_replica (recovery, row);
    return !recovery->memory_out || engine_fail (error, ENGINE_EXIT_RESOURCES, "out of memory: give the node more");
}

static void note_entry (void *argument, uint32_t shard, uint64_t replica, const struct store_entry *from)
{
    struct recovery *recovery = argument;
    if (recovery->memory_out || shard > recovery->engine->config.shards ||
        recovery->found[shard].row.replica != replica)
        return;
    struct found *found = &recovery->found[shard];
    if (found->entries_count == found->entries_size) {
        size_t size = found->entries_size == 0 ? 64 : found->entries_size * 2;
        struct raft_entry *grown = realloc (found->entries, size * sizeof *grown);
        recovery->memory_out = grown == NULL;
        if (grown == NULL)
            return;
        found->entries = grown;
        found->entries_size = size;
    }
    uint8_t *payload = malloc (from->payload.len + 1);
    recovery->memory_out = payload == NULL;
    if (payload == NULL)
        return;
    if (from->payload.len > 0)
        memcpy (payload, from->payload.data, from->payload.len);
    struct raft_entry *entry = &found->entries[found->entries_count++];
    *entry = (struct raft_entry){.index = from->index,
        .term = from->term,
        .type = (uint8_t) from->type,
        .payload = bytes_of (payload, from->payload.len)};
    entry->checksum = raft_entry_checksum (shard, entry);
}

static void free_found (struct found *found, uint32_t count)
{
    for (uint32_t shard = 0; shard < count; shard++) {
        for (size_t i = 0; i < found[shard].entries_count; i++)
            free ((void *) (uintptr_t) found[shard].entries[i].payload.data);
        free (found[shard].entries);
        free (found[shard].config);
        table_destroy (&found[shard].table);
    }
    free (found);
}

/* ---- replicas */

enum status engine_found_reset (
    struct engine *engine, struct found *found, struct store_turn *turn, struct store_error *why)
{
    struct store_replica *row = &found->row;
    struct raft_configuration members;
    uint8_t config[RAFT_CONFIGURATION_BYTES_MAX];
    engine_first_configuration (
        engine, row->shard, &members); /* as when it was founded; what came later comes with the log */
    size_t len = raft_configuration_encode (&members, config);
    uint8_t *copy = malloc (len + 1);
    if (copy == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    memcpy (copy, config, len);
    free (found->config);
    found->config = copy;
    row->config = bytes_of (copy, len);
    enum status status = store_state_fresh (engine->store, row->shard, row->replica, &found->fresh, why);
    return status == STATUS_OK
               ? store_turn_install (turn, row->shard, row->replica, found->fresh, 0, 0, row->config, false)
               : status;
}

void engine_found_emptied (struct found *found)
{
    struct store_replica *row = &found->row;
    row->generation = found->fresh;
    row->compact_index = row->compact_term = row->applied_index = row->applied_term = 0;
    for (size_t i = 0; i < found->entries_count; i++)
        free ((void *) (uintptr_t) found->entries[i].payload.data);
    found->entries_count = 0;
}

/* A replica whose state is damaged starts over, empty and suspect: its leader fills it (P9). */
static bool start_over (struct engine *engine, struct found *found, struct engine_error *error)
{
    struct store_error why = {.text = "out of memory"};
    struct store_turn *turn = store_turn_new (engine->store);
    enum status status = turn == NULL || failpoint (FAILPOINT_START_OVER_BEFORE)
                             ? STATUS_RESOURCE_EXHAUSTED
                             : store_suspect_set (engine->store, "the state of a replica was damaged");
    if (status == STATUS_OK)
        status = engine_found_reset (engine, found, turn, &why);
    if (status == STATUS_OK)
        status = store_turn_commit (turn, &why);
    store_turn_destroy (&turn);
    if (status != STATUS_OK)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "shard %u: its damaged state cannot be set aside: %s",
            found->row.shard, why.text);
    failpoint_pass (FAILPOINT_START_OVER_AFTER);
    engine_found_emptied (found);
    return true;
}

static enum status load_table (struct engine *engine, struct found *found)
{
    const struct store_replica *row = &found->row;
    found->table = table_new (engine->store, &engine->budget, row->shard, row->replica, row->generation, false);
    return found->table == NULL || failpoint (FAILPOINT_START_TABLE) ? STATUS_RESOURCE_EXHAUSTED
                                                                     : table_load_all (found->table);
}

/* ---- rot in the state database (P9): what of it can be read is kept, the rest is replayed, or filled by leaders */

#define MEND_FILE "mend"

void engine_state_failed (struct engine *engine)
{
    enum status status = store_file_put (engine->store, MEND_FILE, BYTES_LITERAL ("1"));
    (void) status; /* the process ends in any case */
}

void engine_state_mended (struct engine *engine)
{
    enum status status = store_file_put (engine->store, MEND_FILE, bytes_of (NULL, 0));
    (void) status; /* the next start then mends once more */
}

static bool asked_to_mend (struct engine *engine)
{
    uint8_t *content = NULL;
    size_t len = 0;
    enum status status = store_file_get (engine->store, MEND_FILE, &content, &len);
    free (content);
    return status != STATUS_NOT_FOUND && (status != STATUS_OK || len > 0);
}

static bool unreadable (struct engine *engine, struct found *found, enum status status, struct engine_error *error)
{
    if (status == STATUS_DATA_LOSS) {
        found->unreadable = found->damage[0] == '\0';
        if (found->unreadable)
            snprintf (found->damage, sizeof found->damage, "its state cannot be read back from the disk");
        table_destroy (&found->table);
        return true;
    }
    return engine_fail (error, ENGINE_EXIT_RESOURCES,
        "shard %u: its state cannot be loaded from %s (%s): check disk and memory", found->row.shard,
        engine->config.data, status_name (status));
}

/* Loads what is well. *damaged counts the rest. */
static bool load_tables (struct recovery *recovery, uint32_t *damaged, bool mend, struct engine_error *error)
{
    struct engine *engine = recovery->engine;
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        struct found *found = &recovery->found[shard];
        if (found->row.replica == 0)
            continue;
        found->suspect = store_suspect (engine->store, NULL); /* before one that starts over marks the folder */
        enum status status = STATUS_OK;
        if (mend) /* not all of it may fit into memory, but all of it must be good */
            status = store_state_verify (engine->store, shard, found->row.replica, found->row.generation);
        if (status == STATUS_OK && found->damage[0] == '\0')
            status = load_table (engine, found);
        if (status != STATUS_OK && !unreadable (engine, found, status, error))
            return false;
        *damaged += found->damage[0] != '\0';
    }
    return true;
}

/* One whose log was never cut is replayed from its first entry; the others start over. */
static bool repair (struct engine *engine, struct found *found, struct engine_error *error)
{
    struct store_replica *row = &found->row;
    bool replay = found->unreadable && row->compact_index == 0;
    event_log (EVENT_LOG_WARN,
        replay ? "state is damaged: it is made again from the log"
               : "state is damaged: the replica is emptied and filled by its leader",
        event_log_u64 ("shard", row->shard), event_log_text ("why", found->damage));
    if (replay)
        row->applied_index = row->applied_term = 0;
    else if (!start_over (engine, found, error))
        return false;
    found->suspect = found->suspect || !replay;
    enum status status = load_table (engine, found);
    return status == STATUS_OK || engine_fail (error, ENGINE_EXIT_RESOURCES,
                                      "shard %u: its new state cannot be opened (%s): check disk and memory",
                                      row->shard, status_name (status));
}

static bool load_states (struct recovery *recovery, struct engine_error *error)
{
    struct engine *engine = recovery->engine;
    struct store_error why;
    uint32_t damaged = 0;
    bool mend = asked_to_mend (engine);
    if (!load_tables (recovery, &damaged, mend, error))
        return false;
    if (damaged == 0 && !mend)
        return true;
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        const struct found *found = &recovery->found[shard];
        bool replay = found->unreadable && found->row.compact_index == 0;
        if (found->damage[0] != '\0' && !replay && route_map_shard (&engine->map, shard)->replicas_count < 2)
            return engine_fail (error, ENGINE_EXIT_DAMAGE,
                "shard %u: %s, and no other node has it: nothing was changed, see \"A disk that is lost or damaged\" "
                "in "
                "node/README.md",
                shard, found->damage);
    }
    event_log (EVENT_LOG_WARN, "the state database is made anew from what can be read: check the disk",
        event_log_u64 ("damaged", damaged));
    if (store_state_mend (engine->store, &why) != STATUS_OK)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "%s", why.text);
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        if (recovery->found[shard].damage[0] != '\0' && !repair (engine, &recovery->found[shard], error))
            return false;
    }
    if (mend && store_file_put (engine->store, MEND_FILE, bytes_of (NULL, 0)) != STATUS_OK)
        return engine_fail (
            error, ENGINE_EXIT_RESOURCES, "%s: files cannot be written: check the disk", engine->config.data);
    return true;
}

/* ---- */

static bool open_core (struct engine *engine, struct replica *replica, const struct found *found, uint64_t session,
    struct engine_error *error)
{
    const struct store_replica *row = &found->row;
    struct raft_configuration members = {0};
    if (row->config.len > 0 && raft_configuration_decode (row->config, &members) != STATUS_OK)
        return engine_fail (error, ENGINE_EXIT_DAMAGE,
            "shard %u: its configuration cannot be read: see \"A disk that is lost or damaged\" in node/README.md",
            row->shard);
    struct raft_stored stored = {
        .term = row->term,
        .vote = row->vote,
        .snapshot_index = row->compact_index,
        .snapshot_term = row->compact_term,
        .applied_index = row->applied_index,
        .applied_term = row->applied_term,
        .configuration = &members,
        .entries = found->entries,
        .entries_count = found->entries_count,
    };
    struct shard_config config = {
        .services = {.shard = row->shard,
            .shard_count = engine->config.shards,
            .records_max = 1000000,
            .record_ttl_ms = 86400000},
        .raft = {.shard = row->shard,
            .replica = row->replica,
            .session = session,
            .seed = ((uint64_t) engine->random_state[2] << 32 | engine->random_state[3]) + row->replica,
            .suspect = replica->suspect,
            .emptied = replica->suspect && row->generation > 0 && row->compact_index == 0 && found->entries_count == 0,
            .log_bytes_max = 64 * 1024 * 1024},
        .stored = &stored,
        .state = replica->state,
        .scratch = &engine->scratch,
        .snapshot_ops = &engine_snapshot_ops,
        .snapshot_context = engine,
        .balance = true,
    };
    enum status status = shard_new (&config, engine->now_ms, &replica->core);
    if (status == STATUS_RESOURCE_EXHAUSTED) /* nothing is wrong with the data */
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "shard %u: out of memory: give the node more", row->shard);
    if (status != STATUS_OK)
        return engine_fail (error, ENGINE_EXIT_DAMAGE,
            "shard %u: its log does not fit its state (%s): set %s aside, see \"A disk that is lost or damaged\" in "
            "node/README.md",
            row->shard, status_name (status), engine->config.data);
    return true;
}

static bool open_replica (struct engine *engine, struct found *found, uint64_t session, struct engine_error *error)
{
    struct replica *replica = calloc (1, sizeof *replica);
    if (replica == NULL)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "out of memory: give the node more");
    engine->replicas[found->row.shard] = replica;
    engine->replicas_count++;
    replica->engine = engine;
    replica->shard = found->row.shard;
    replica->id = found->row.replica;
    replica->generation = found->row.generation;
    replica->suspect = found->suspect;
    engine->suspects += replica->suspect;
    replica->written = found->row.applied_index;
    replica->compacted = found->row.compact_index;
    /* Staggered, so that the shards' write-backs do not fall on one moment. */
    replica->flushed_ms =
        engine->now_ms + engine->config.limits.flush_ms * replica->shard / (engine->config.shards + 1);
    replica->table = found->table;
    found->table = NULL;
    engine_replica_bind_state (replica);
    failpoint_pass (FAILPOINT_START_REPLICA);
    return open_core (engine, replica, found, session, error);
}

/* Under a record of replaced nodes nothing is founded from the configuration any more. */
static bool found_placed (struct recovery *recovery, struct engine_error *error)
{
    struct engine *engine = recovery->engine;
    uint32_t count = engine->config.shards + 1;
    uint64_t *own = calloc (count, sizeof *own);
    if (own == NULL)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "out of memory: give the node more");
    for (uint32_t shard = 0; shard < count; shard++)
        own[shard] = recovery->found[shard].row.replica;
    struct engine_held held = {.own = own, .others = recovery->foreign, .others_count = recovery->foreign_count};
    bool fine = engine_placement_found (engine, &held, error);
    for (uint32_t shard = 0; shard < count && fine; shard++) {
        struct store_replica row = {.shard = shard, .replica = engine_own_replica (engine, shard)};
        if (own[shard] == 0 && row.replica != 0)
            fine = note_founded (recovery, &row, error);
    }
    free (own);
    return fine;
}

/* The number of this life, for Raft's sessions and for gossip: above the last one that the folder knows. The wall clock
 * alone would not do, for it goes back; counting alone would give a life twice when an older copy of the folder is put back,
 * and leaders would take it for the one that acknowledged more (R12). */
static uint64_t next_incarnation (uint64_t last)
{
    uint64_t wall_ms = engine_wall_ms ();
    return wall_ms > last && wall_ms < INCARNATION_WALL_MAX ? wall_ms : last + 1;
}

void engine_tell_suspect (struct engine *engine)
{
    const char *reason;
    if (store_suspect (engine->store, &reason))
        event_log (EVENT_LOG_WARN, "this folder is suspect: its replicas vote again once leaders have filled them",
            event_log_text ("why", reason));
}

bool engine_recover (struct engine *engine, struct engine_error *error)
{
    bool pinned;
    if (!engine_map_build (engine, error) || !engine_shape_check (engine, &pinned, error) ||
        !engine_placement_load (engine, error))
        return false;
    uint32_t count = engine->config.shards + 1;
    struct recovery recovery = {.engine = engine, .found = calloc (count, sizeof *recovery.found)};
    engine->replicas = calloc (count, sizeof *engine->replicas);
    if (recovery.found == NULL || engine->replicas == NULL) {
        free (recovery.found);
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "out of memory: give the node more");
    }
    struct store_recovery visitor = {.argument = &recovery, .replica = note_replica, .entry = note_entry};
    bool fine = engine_holes_read (&recovery, &visitor, error);
    size_t known = 0;
    for (uint32_t shard = 0; shard < count; shard++)
        known += recovery.found[shard].row.replica != 0;
    bool any = known > 0 || recovery.foreign_count > 0 || store_log_holed (engine->store, NULL);
    if (fine && any && !pinned)
        fine = engine_fail (error, ENGINE_EXIT_DAMAGE,
            "%s lost its file files/shape: nothing was changed, see \"A disk that is lost or damaged\" in "
            "node/README.md",
            engine->config.data);
    if (fine && !pinned)
        fine = engine_shape_pin (engine, error);
    fine = fine && engine_holes_close (&recovery, error);
    if (fine && engine->placement.on_disk)
        fine = found_placed (&recovery, error);
    else if (fine && !any) {
        event_log (EVENT_LOG_INFO, "a new data folder: the first replicas are founded from the configuration");
        fine = found_replicas (engine, error);
        for (uint32_t shard = 0; shard < count && fine; shard++) {
            uint64_t replica = engine_own_replica (engine, shard);
            if (replica == 0)
                continue;
            struct raft_configuration members;
            uint8_t config[RAFT_CONFIGURATION_BYTES_MAX];
            engine_first_configuration (engine, shard, &members);
            size_t len = raft_configuration_encode (&members, config);
            struct store_replica row = {.shard = shard, .replica = replica, .config = bytes_of (config, len)};
            fine = note_founded (&recovery, &row, error);
        }
    }
    uint64_t session = 0;
    enum status told = fine ? store_incarnation_get (engine->store, &session) : STATUS_OK;
    if (told == STATUS_DATA_LOSS)
        fine = engine_fail (error, ENGINE_EXIT_DAMAGE,
            "%s/files/incarnation is damaged: nothing was changed, see \"A disk that is lost or damaged\" in "
            "node/README.md",
            engine->config.data);
    else if (told != STATUS_OK)
        fine = engine_fail (error, ENGINE_EXIT_RESOURCES, "%s: the incarnation cannot be read", engine->config.data);
    engine->incarnation = next_incarnation (session);
    fine = fine && load_states (&recovery, error);
    for (uint32_t shard = 0; shard < count && fine; shard++) {
        if (recovery.found[shard].row.replica != 0)
            fine = open_replica (engine, &recovery.found[shard], engine->incarnation, error);
    }
    free_found (recovery.found, count);
    free (recovery.foreign);
    return fine;
}

enum status engine_incarnation_keep (struct engine *engine, uint64_t incarnation)
{
    uint64_t kept;
    enum status status = store_incarnation_get (engine->store, &kept);
    return status != STATUS_OK || kept >= incarnation ? status : store_incarnation_set (engine->store, incarnation);
}

static void renew_replica (struct engine *engine, struct replica *replica, struct found *found)
{
    replica->table = found->table;
    found->table = NULL;
    replica->generation = found->row.generation;
    replica->persisted = replica->applied = replica->compacted = replica->written = 0;
    replica->log_keep = (struct shard_log_keep){0};
    replica->flushed_ms = engine->now_ms;
    replica->dead = replica->unreadable = replica->read_failed = replica->damaged = false;
    replica->placed_for = 0;
    engine->suspects += !replica->suspect;
    replica->suspect = true;
}

bool engine_replica_start_over (struct engine *engine, struct replica *replica, struct engine_error *error)
{
    maitre_assert (!engine_replica_unwritten (replica));
    struct found found = {.row = {.shard = replica->shard, .replica = replica->id}, .suspect = true};
    uint64_t session = engine->incarnation + ++engine->rebuilt; /* a later start goes on above it */
    store_log_hard_state (engine->store, replica->shard, replica->id, &found.row.term, &found.row.vote);
    shard_destroy (&replica->core); /* aborts what is being received */
    table_destroy (&replica->table);
    pthread_mutex_lock (&engine->flusher.disk);
    bool fine = engine_incarnation_keep (engine, session) == STATUS_OK
                    ? start_over (engine, &found, error)
                    : engine_fail (error, ENGINE_EXIT_RESOURCES, "the incarnation cannot be written");
    pthread_mutex_unlock (&engine->flusher.disk);
    if (fine && load_table (engine, &found) != STATUS_OK)
        fine = engine_fail (error, ENGINE_EXIT_RESOURCES, "its new state cannot be opened");
    if (fine) {
        renew_replica (engine, replica, &found);
        engine->old_state = true;
        fine = open_core (engine, replica, &found, session, error);
    }
    table_destroy (&found.table);
    free (found.config);
    return fine;
}

void engine_replicas_close (struct engine *engine)
{
    if (engine->replicas == NULL)
        return;
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        struct replica *replica = engine->replicas[shard];
        if (replica == NULL)
            continue;
        shard_destroy (&replica->core);
        table_destroy (&replica->table);
        free (replica->incoming);
        free (replica);
    }
    free (engine->replicas);
    engine->replicas = NULL;
}
