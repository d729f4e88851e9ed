#include "node/store/store_internal.h"

#include <stdlib.h>
#include <string.h>

#define MIB ((size_t) 1024 * 1024)

/* EIO: of a read it is damage, of a write or sync the disk refuses. RocksDB's words name the call. */
static bool refused (const char *text)
{
    bool read = strstr (text, "While pread") != NULL || strstr (text, "While reading") != NULL;
    return strstr (text, "No space left") != NULL || strstr (text, "Too many open files") != NULL ||
           (strstr (text, "Input/output error") != NULL && !read);
}

enum status database_fail (struct store_error *error, const char *what, char *text)
{
    /* What was there and cannot be read any more is lost, whether a checksum or the disk says so. */
    bool corrupt = strncmp (text, "Corruption", strlen ("Corruption")) == 0 ||
                   (strstr (text, "Input/output error") != NULL && !refused (text)) ||
                   strstr (text, "No such file") != NULL;
    enum status status = corrupt ? STATUS_DATA_LOSS : STATUS_INTERNAL;
    bool full = strstr (text, "No space left") != NULL;
    store_fail (error, status, "%s: %s%s", what, text, full ? "; make room on this disk and start again" : "");
    rocksdb_free (text);
    return status;
}

/* What RocksDB's C API has no function for goes through its option text. */
static bool set_by_text (struct database *database, const char *text)
{
    rocksdb_options_t *with = rocksdb_options_create ();
    char *failed = NULL;
    rocksdb_get_options_from_string (database->options, text, with, &failed);
    if (failed != NULL) {
        rocksdb_free (failed);
        rocksdb_options_destroy (with);
        return false;
    }
    rocksdb_options_destroy (database->options);
    database->options = with;
    return true;
}

/* What both databases share. Recycled WAL files are never used: ignored in some modes, and in others they crash or hang
 * (design.md); statistics and chatty logs cost disk that nobody reads. */
static bool set_common (struct store *store, struct database *database, bool create)
{
    database->options = rocksdb_options_create ();
    rocksdb_options_t *options = database->options;
    rocksdb_options_set_create_if_missing (options, create);
    rocksdb_options_set_error_if_exists (options, create);
    rocksdb_options_set_paranoid_checks (options, 1);
    rocksdb_options_set_bytes_per_sync (options, 256 * 1024);
    rocksdb_options_set_info_log_level (options, 2);
    rocksdb_options_set_max_log_file_size (options, MIB);
    rocksdb_options_set_keep_log_file_num (options, 2);
    rocksdb_options_set_stats_dump_period_sec (options, 0);
    rocksdb_options_set_stats_persist_period_sec (options, 0);
    rocksdb_options_set_max_manifest_file_size (options, 8 * MIB);
    rocksdb_options_set_max_open_files (options, 256);
    rocksdb_options_set_max_background_jobs (options, 2);
    /* One writer: nothing to gain from writers that spin or insert side by side. */
    rocksdb_options_set_allow_concurrent_memtable_write (options, 0);
    rocksdb_options_set_enable_write_thread_adaptive_yield (options, 0);
    database->env = rocksdb_create_default_env ();
    if (store->options.background_nice) {
        rocksdb_env_lower_thread_pool_cpu_priority (database->env);
        rocksdb_env_lower_high_priority_thread_pool_cpu_priority (database->env);
    }
    rocksdb_options_set_env (options, database->env);
    database->read = rocksdb_readoptions_create ();
    rocksdb_readoptions_set_verify_checksums (database->read, 1);
    database->write = rocksdb_writeoptions_create ();
    /* Reserved ahead, 70 MiB a log file, space is gone before anything is written: a disk with 60 MiB left met its end
     * inside RocksDB, whose assertions end the process there, although writes stop at disk_free_min. */
    return set_by_text (database, "avoid_flush_during_shutdown=true;allow_fallocate=false");
}

static void set_table (struct database *database, size_t cache_bytes, size_t block_bytes, bool filter)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create ();
    /* Few shards: a file's filter block must fit into one, or it is read again for every get. */
    rocksdb_lru_cache_options_t *lru = rocksdb_lru_cache_options_create ();
    rocksdb_lru_cache_options_set_capacity (lru, cache_bytes);
    rocksdb_lru_cache_options_set_num_shard_bits (lru, 2);
    database->cache = rocksdb_cache_create_lru_opts (lru);
    rocksdb_lru_cache_options_destroy (lru);
    rocksdb_block_based_options_set_block_cache (table, database->cache);
    rocksdb_block_based_options_set_block_size (table, block_bytes);
    rocksdb_block_based_options_set_format_version (table, 5);
    if (filter)
        rocksdb_block_based_options_set_filter_policy (table, rocksdb_filterpolicy_create_bloom_full (10));
    rocksdb_block_based_options_set_cache_index_and_filter_blocks (table, filter);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache (table, filter);
    rocksdb_options_set_block_based_table_factory (database->options, table);
    rocksdb_block_based_options_destroy (table);
}

static enum status open_database (
    struct database *database, const char *dir, bool read_only, const char *what, struct store_error *error)
{
    char *failed = NULL;
    database->db = read_only ? rocksdb_open_for_read_only (database->options, dir, 0, &failed)
                             : rocksdb_open (database->options, dir, &failed);
    if (failed == NULL)
        return STATUS_OK;
    database->db = NULL;
    enum status status = database_fail (error, what, failed);
    /* A database that is there and does not open is damage, whatever RocksDB calls it, unless the disk is at fault. */
    bool disk = error != NULL && refused (error->text);
    return status == STATUS_INTERNAL && !disk ? STATUS_DATA_LOSS : status;
}

bool database_unbounded (const struct database *database)
{
    const rocksdb_livefiles_t *files = rocksdb_livefiles (database->db);
    bool any = false;
    for (int i = 0; i < rocksdb_livefiles_count (files) && !any; i++) {
        size_t len;
        rocksdb_livefiles_smallestkey (files, i, &len);
        any = len == 0;
    }
    rocksdb_livefiles_destroy (files);
    return any;
}

enum status database_open_log_at (
    struct store *store, struct database *log, const char *dir, enum database_use use, struct store_error *error)
{
    if (!set_common (store, log, use == DATABASE_CREATE))
        return store_fail (error, STATUS_INTERNAL, "log database: this RocksDB lacks an option");
    size_t memtable = store->options.log_memtable_bytes != 0 ? store->options.log_memtable_bytes : 64 * MIB;
    rocksdb_options_set_write_buffer_size (log->options, memtable);
    rocksdb_options_set_max_write_buffer_number (log->options, 4);
    /* kAbsoluteConsistency: a torn tail was cut already, so whatever it still finds is damage. */
    rocksdb_options_set_wal_recovery_mode (
        log->options, store->wal_torn ? rocksdb_point_in_time_recovery : rocksdb_absolute_consistency_recovery);
    rocksdb_options_set_compression (log->options, rocksdb_no_compression);
    rocksdb_options_set_level0_file_num_compaction_trigger (log->options, 4);
    set_table (log, 4 * MIB, 64 * 1024, false);
    rocksdb_readoptions_set_fill_cache (log->read, 0);
    rocksdb_writeoptions_set_sync (log->write, 1);
    return open_database (log, dir, use == DATABASE_READ, "log database", error);
}

enum status database_open_log (struct store *store, bool create, struct store_error *error)
{
    enum database_use use = store->folder.read_only ? DATABASE_READ : create ? DATABASE_CREATE : DATABASE_WRITE;
    return database_open_log_at (store, &store->log, store->log_dir, use, error);
}

enum status database_open_state (struct store *store, bool create, struct store_error *error)
{
    struct database *state = &store->state;
    if (!set_common (store, state, create))
        return store_fail (error, STATUS_INTERNAL, "state database: this RocksDB lacks an option");
    size_t cache = store->options.state_cache_bytes != 0 ? store->options.state_cache_bytes : 64 * MIB;
    rocksdb_options_set_write_buffer_size (state->options, 4 * MIB); /* range deletions alone pass through it */
    rocksdb_options_set_compression (state->options, rocksdb_lz4_compression);
    rocksdb_options_set_target_file_size_base (state->options, 32 * MIB);
    rocksdb_options_set_level_compaction_dynamic_level_bytes (state->options, 1);
    rocksdb_options_set_max_bytes_for_level_base (state->options, 128 * MIB);
    set_table (state, cache, 8 * 1024, true);
    if (store->options.compaction_bytes_per_s != 0) {
        state->limiter = rocksdb_ratelimiter_create ((int64_t) store->options.compaction_bytes_per_s, 100 * 1000, 10);
        rocksdb_options_set_ratelimiter (state->options, state->limiter);
    }
    rocksdb_writeoptions_disable_WAL (state->write, 1);
    enum status status = open_database (state, store->state_dir, store->folder.read_only, "state database", error);
    /* A node ended before it could take that file out again, or files that came in with it stand there without it. */
    if (status == STATUS_OK && database_unbounded (state))
        return store_fail (error, STATUS_DATA_LOSS,
            "state database: the disk did not let it read a file that it was given, so its keys cannot be found");
    return status;
}

void database_close (struct database *database)
{
    if (database->db != NULL)
        rocksdb_close (database->db);
    if (database->read != NULL)
        rocksdb_readoptions_destroy (database->read);
    if (database->write != NULL)
        rocksdb_writeoptions_destroy (database->write);
    if (database->options != NULL)
        rocksdb_options_destroy (database->options);
    if (database->cache != NULL)
        rocksdb_cache_destroy (database->cache);
    if (database->limiter != NULL)
        rocksdb_ratelimiter_destroy (database->limiter);
    if (database->env != NULL)
        rocksdb_env_destroy (database->env);
    *database = (struct database){0};
}
