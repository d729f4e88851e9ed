#include "node/engine/engine_restore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/engine/engine_internal.h"

#define PATH_BYTES 4200
#define GENERATION 1
#define ROWS_A_STEP 65536
#define PLACEMENT_ROOM (PLACEMENT_ARENA_MAX + 64)

struct restore {
    struct engine *engine; /* its configuration, map and store; nothing of it runs */
    struct backup *backup;
    struct store_turn *turn;
    struct engine_restored *restored;
    struct engine_error *error;
    char temporary[PATH_BYTES];
    bool made; /* the temporary folder is ours */
};

static bool backup_failed (const struct restore *restore, enum status status, const struct backup_error *why)
{
    enum engine_exit code = status == STATUS_NOT_FOUND       ? ENGINE_EXIT_CONFIG
                            : status == STATUS_UNIMPLEMENTED ? ENGINE_EXIT_FOLDER
                            : status == STATUS_DATA_LOSS     ? ENGINE_EXIT_DAMAGE
                                                             : ENGINE_EXIT_RESOURCES;
    return engine_fail (restore->error, code, "%s%s", why->text,
        status == STATUS_DATA_LOSS ? "; nothing was restored: take another backup" : "");
}

static bool store_failed (const struct restore *restore, const struct store_error *why)
{
    return engine_fail (
        restore->error, ENGINE_EXIT_RESOURCES, "%s cannot be written: %s", restore->temporary, why->text);
}

/* ---- before anything is written */

static bool fits (const struct restore *restore)
{
    const struct engine_config *config = &restore->engine->config;
    const struct backup_manifest *manifest = backup_manifest (restore->backup);
    if (manifest->shard_count != config->shards)
        return engine_fail (restore->error, ENGINE_EXIT_FOLDER,
            "the backup is of %u shards, but cluster/shards is %u: shards are cut when a cluster is made, so make the "
            "new "
            "one with --shards %u",
            (unsigned) manifest->shard_count, config->shards, (unsigned) manifest->shard_count);
    if (id_equal (&manifest->cluster, &config->nodes.cluster))
        return engine_fail (restore->error, ENGINE_EXIT_FOLDER,
            "the configuration is that of the cluster that was saved: its nodes and tokens must not mix with those of "
            "before; "
            "make a new one (maitred create-cluster)");
    return true;
}

static bool is_free (const struct restore *restore)
{
    const char *data = restore->engine->config.data;
    DIR *folder = opendir (data);
    if (folder == NULL && errno == ENOENT)
        return true;
    if (folder == NULL)
        return engine_fail (restore->error, ENGINE_EXIT_FOLDER, "%s cannot be used: %s", data, strerror (errno));
    int count = 0;
    while (count < 3 && readdir (folder) != NULL)
        count++;
    closedir (folder);
    return count <= 2 || engine_fail (restore->error, ENGINE_EXIT_FOLDER,
                             "%s is not empty: a backup makes a new data folder; move that one away", data);
}

/* ---- the folder */

static void no_replica (void *argument, const struct store_replica *replica)
{
    (void) argument;
    (void) replica;
}

static void no_entry (void *argument, uint32_t shard, uint64_t replica, const struct store_entry *entry)
{
    (void) argument;
    (void) shard;
    (void) replica;
    (void) entry;
}

static bool open_store (struct restore *restore)
{
    struct engine *engine = restore->engine;
    struct store_options options = {.cluster = engine->config.nodes.cluster, .node = engine->config.node};
    struct store_recovery nothing = {.replica = no_replica, .entry = no_entry};
    struct store_error why;
    int len = snprintf (restore->temporary, sizeof restore->temporary, "%s.restoring", engine->config.data);
    if (len >= (int) sizeof restore->temporary - 64 || mkdir (restore->temporary, 0700) != 0)
        return engine_fail (restore->error, errno == EEXIST ? ENGINE_EXIT_FOLDER : ENGINE_EXIT_RESOURCES,
            "%s cannot be made: %s%s", restore->temporary, strerror (errno),
            errno == EEXIST ? "; it is left from a restore that was ended: remove it" : "");
    restore->made = true;
    bool created;
    if (store_open (restore->temporary, &options, &engine->store, &created, &why) != STATUS_OK ||
        store_log_recover (engine->store, &nothing, &why) != STATUS_OK)
        return store_failed (restore, &why);
    restore->turn = store_turn_new (engine->store);
    return restore->turn != NULL || engine_fail (restore->error, ENGINE_EXIT_RESOURCES, "out of memory");
}

static int remove_one (const char *path, const struct stat *about, int type, struct FTW *place)
{
    (void) about;
    (void) type;
    (void) place;
    return remove (path);
}

static bool sync_folder (const char *path)
{
    int folder = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = folder >= 0 && fsync (folder) == 0;
    if (folder >= 0)
        close (folder);
    return synced;
}

/* The store is closed. */
static bool name_folder (const struct restore *restore)
{
    const char *data = restore->engine->config.data;
    char parent[PATH_BYTES];
    snprintf (parent, sizeof parent, "%s", data);
    char *slash = strrchr (parent, '/');
    if (slash == NULL)
        snprintf (parent, sizeof parent, ".");
    else
        slash[slash == parent] = '\0';
    if (!sync_folder (restore->temporary) || rename (restore->temporary, data) != 0)
        return engine_fail (
            restore->error, ENGINE_EXIT_RESOURCES, "%s cannot be renamed: %s", restore->temporary, strerror (errno));
    return sync_folder (parent) ||
           engine_fail (restore->error, ENGINE_EXIT_RESOURCES, "%s cannot be synced: %s", parent, strerror (errno));
}

/* ---- the record of replica ids */

/* Where they begin: in the second quarter of all numbers, at a place that only this backup in this cluster has. Ids that were
 * given out one by one are nowhere near. */
static uint64_t origin_of (const struct restore *restore)
{
    uint8_t digest[BACKUP_DIGEST_BYTES];
    crypto_generichash_state state;
    crypto_generichash_init (&state, NULL, 0, sizeof digest);
    crypto_generichash_update (&state, backup_digest (restore->backup), BACKUP_DIGEST_BYTES);
    crypto_generichash_update (&state, restore->engine->config.nodes.cluster.b, ID_SIZE);
    crypto_generichash_final (&state, digest, sizeof digest);
    return UINT64_C (1) << 61 | (bytes_get_u64 (digest) & (UINT64_MAX >> 4));
}

/* From the system shard's image, whether this node has a replica of it or not. */
static bool make_record (struct restore *restore)
{
    struct engine *engine = restore->engine;
    struct placement before;
    struct backup_error why;
    struct arena arena;
    uint8_t *memory = malloc (PLACEMENT_ROOM);
    struct table *table = table_new (NULL, NULL, 0, 1, 0, true);
    enum status status = STATUS_RESOURCE_EXHAUSTED;
    snprintf (why.text, sizeof why.text, "out of memory");
    if (memory != NULL && table != NULL) {
        arena_init (&arena, memory, PLACEMENT_ROOM);
        status = backup_load (restore->backup, 0, table_state (table), NULL, &why);
    }
    if (status == STATUS_OK && !services_placement_load (table_state (table), engine->config.shards, &arena, &before)) {
        status = STATUS_DATA_LOSS;
        snprintf (why.text, sizeof why.text, "the record of replaced nodes in shard 0 does not read");
    }
    uint64_t epoch = status == STATUS_OK ? before.epoch : 0;
    table_destroy (&table);
    free (memory);
    if (status != STATUS_OK)
        return backup_failed (restore, status, &why);
    uint64_t origin = origin_of (restore);
    engine->placement.record = (struct placement){.epoch = epoch + 1,
        .next_replica = origin + ((uint64_t) engine->config.shards + 1) * engine->config.replication,
        .has_origin = true,
        .origin = origin};
    maitre_assert (placement_valid (&engine->placement.record, engine->config.shards));
    engine_placement_overlay (engine);
    return true;
}

/* ---- one shard */

static enum status write_table (
    struct restore *restore, struct table *table, const struct backup_image *image, struct store_error *why)
{
    struct store_batch *batch = NULL;
    enum status status = table_write_back_begin (table, image->index, image->term);
    if (status != STATUS_OK)
        return status;
    while (!table_write_back_step (table, ROWS_A_STEP, &batch)) {
        if (table_failed (table))
            return STATUS_RESOURCE_EXHAUSTED;
    }
    status = store_state_write (restore->engine->store, &batch, 1, why);
    store_batch_destroy (&batch);
    if (status == STATUS_OK)
        table_write_back_done (table);
    return status;
}

/* The log begins behind the image, in its term: that is no vote of anybody, for these replicas are new. */
static enum status found (struct restore *restore, const struct backup_image *image, uint64_t replica)
{
    struct raft_configuration members;
    uint8_t config[RAFT_CONFIGURATION_BYTES_MAX];
    uint32_t shard = (uint32_t) image->shard;
    engine_first_configuration (restore->engine, shard, &members);
    size_t len = raft_configuration_encode (&members, config);
    enum status status = store_turn_hard_state (restore->turn, shard, replica, image->term, 0);
    return status == STATUS_OK ? store_turn_install (restore->turn, shard, replica, GENERATION, image->index,
                                     image->term, bytes_of (config, len), false)
                               : status;
}

static bool restore_shard (struct restore *restore, uint32_t shard)
{
    struct engine *engine = restore->engine;
    uint64_t replica = engine_own_replica (engine, shard);
    const struct backup_image *image = &backup_manifest (restore->backup)->images[shard];
    struct backup_error damage;
    struct store_error why = {.text = "out of memory"};
    if (replica == 0) { /* somebody else's, but a backup that is damaged anywhere is none */
        enum status status = backup_check_file (restore->backup, shard, &damage);
        return status == STATUS_OK || backup_failed (restore, status, &damage);
    }
    struct table *table = table_new (engine->store, NULL, shard, replica, GENERATION, true);
    if (table == NULL)
        return engine_fail (restore->error, ENGINE_EXIT_RESOURCES, "out of memory");
    enum status status = backup_load (restore->backup, shard, table_state (table), &restore->restored->counts, &damage);
    if (status != STATUS_OK) {
        table_destroy (&table);
        return backup_failed (restore, status, &damage);
    }
    if (shard == 0)
        services_placement_put (table_state (table), &engine->placement.record);
    status = table_failed (table) ? STATUS_RESOURCE_EXHAUSTED : write_table (restore, table, image, &why);
    table_destroy (&table);
    if (status == STATUS_OK)
        status = found (restore, image, replica);
    restore->restored->shards++;
    return status == STATUS_OK || store_failed (restore, &why);
}

static bool make_folder (struct restore *restore)
{
    struct engine *engine = restore->engine;
    struct store_error why;
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        if (!restore_shard (restore, shard))
            return false;
    }
    if (store_turn_commit (restore->turn, &why) != STATUS_OK)
        return store_failed (restore, &why);
    if (engine_placement_save (engine, &engine->placement.record, true) != STATUS_OK ||
        store_incarnation_set (engine->store, 1) != STATUS_OK)
        return engine_fail (restore->error, ENGINE_EXIT_RESOURCES, "%s cannot be written", restore->temporary);
    return engine_shape_placed (engine, restore->error);
}

/* ---- all */

static bool run (struct restore *restore)
{
    if (!fits (restore) || !is_free (restore) || !engine_map_build (restore->engine, restore->error) ||
        !make_record (restore) || !open_store (restore))
        return false;
    bool fine = make_folder (restore);
    store_turn_destroy (&restore->turn);
    store_close (&restore->engine->store);
    return fine && name_folder (restore);
}

_Bool engine_restore (
    const struct engine_config *config, const char *dir, struct engine_restored *restored, struct engine_error *error)
{
    struct restore restore = {.restored = restored, .error = error, .engine = calloc (1, sizeof *restore.engine)};
    struct backup_error why;
    *restored = (struct engine_restored){.shards = 0};
    memset (error, 0, sizeof *error);
    if (restore.engine == NULL)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "out of memory");
    restore.engine->config = *config;
    restore.engine->page = malloc (ENGINE_PAGE_BYTES_MAX);
    enum status status = restore.engine->page == NULL ? STATUS_RESOURCE_EXHAUSTED : STATUS_OK;
    snprintf (why.text, sizeof why.text, "out of memory");
    if (status == STATUS_OK)
        status = backup_open (dir, &restore.backup, &why);
    bool fine = status == STATUS_OK ? run (&restore) : backup_failed (&restore, status, &why);
    store_turn_destroy (&restore.turn);
    store_close (&restore.engine->store);
    if (!fine && restore.made)
        nftw (restore.temporary, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    backup_close (&restore.backup);
    route_map_close (&restore.engine->map);
    free (restore.engine->page);
    free (restore.engine);
    return fine;
}
