/* A log database that does not open, or cannot be read, is made anew from what is left of it: RocksDB cannot take a block
 * out, and its own repair knows nothing of turns.
 *
 * First what counts is copied, as it was: a damaged block of which nobody needs a row costs nothing. Where that cannot be read
 * either, each file is read row by row (log_rows.h), the folder is suspect, and a mark says that there are holes that no number
 * shows. Where even that gives nothing that can be gone on with, the log is empty, and all replicas start over.
 *
 *   log/ log-new/     what is left goes into log-new, synced               a crash: log-new is garbage
 *   log-old/ log-new/ the damaged one has its other name                   a crash: it gets its name back
 *   log-old/ log/     the new one counts                                   a crash: log-old becomes damaged-log
 *   damaged-log/ log/
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/failpoint/failpoint.h"
#include "node/store/log_rows.h"
#include "node/store/sst_read.h"
#include "node/store/store_internal.h"
#include "node/store/wal_internal.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/planted.h"

#define OLD "log-old"
#define NEW "log-new"
#define KEPT "damaged-log"
#define ASKED "REBUILD"
#define BATCH_BYTES ((size_t) 1024 * 1024)

struct rebuild {
    struct store *store;
    const char *dir;     /* of the new one: nothing is there yet */
    struct database log; /* ... */
    rocksdb_writebatch_t *batch;
    size_t bytes;
    char *failed; /* RocksDB's words for a write that failed */
};

/* ---- what is asked for, and what a crash left */

void store_rebuild_ask (struct store *store, const char *why)
{
    if (store->folder.read_only)
        return;
    enum status status = small_file_write (store->folder.dir, ASKED, bytes_text (why));
    (void) status; /* the process ends in any case; without the mark the next start meets the same damage again */
}

bool store_rebuild_asked (const struct store *store, struct store_error *why)
{
    uint8_t *text = NULL;
    size_t len;
    enum status status = small_file_read (store->folder.dir, ASKED, sizeof why->text - 1, &text, &len);
    if (status != STATUS_NOT_FOUND)
        snprintf (why->text, sizeof why->text, "%s", status == STATUS_OK ? (const char *) text : "the log was damaged");
    free (text);
    return status != STATUS_NOT_FOUND;
}

enum status store_rebuild_settle (struct store *store, struct store_error *error)
{
    const struct folder *folder = &store->folder;
    bool fine = true;
    if (small_file_exists (folder->dir, OLD) && small_file_exists (folder->dir, "log"))
        fine = log_unlisted_forget (store, error) == STATUS_OK && folder_remove_sub (folder, KEPT) &&
               folder_rename_sub (folder, OLD, KEPT);
    else if (small_file_exists (folder->dir, OLD))
        fine = folder_rename_sub (folder, OLD, "log");
    return fine && folder_remove_sub (folder, NEW)
               ? STATUS_OK
               : store_fail (error, STATUS_INTERNAL, "%s: the making anew of its log cannot be ended: %s", folder->dir,
                     strerror (errno));
}

enum status store_log_check_dropped (struct store *store, struct store_error *error)
{
    rocksdb_readoptions_t *options = rocksdb_readoptions_create ();
    rocksdb_readoptions_set_verify_checksums (options, 1);
    rocksdb_readoptions_set_fill_cache (options, 0);
    rocksdb_readoptions_set_ignore_range_deletions (options, 1);
    rocksdb_iterator_t *iterator = rocksdb_create_iterator (store->log.db, options);
    uint64_t first = 0;
    struct bytes fields;
    size_t len;
    char *failed = NULL, *mark = rocksdb_get (store->log.db, store->log.read, "m", 1, &len, &failed);
    if (mark != NULL && pack_unseal (BYTES_LITERAL ("m"), bytes_of (mark, len), &fields) == STATUS_OK &&
        fields.len == 8)
        first = bytes_get_u64 (fields.data);
    rocksdb_free (mark);
    rocksdb_iter_seek (iterator, "t", 1);
    for (bool dropped = failed == NULL; dropped && rocksdb_iter_valid (iterator); rocksdb_iter_next (iterator)) {
        const uint8_t *key = (const uint8_t *) rocksdb_iter_key (iterator, &len);
        dropped = len == PACK_TURN_KEY_BYTES && key[0] == 't' && bytes_get_u64 (key + 1) < first;
    }
    if (failed == NULL)
        rocksdb_iter_get_error (iterator, &failed);
    rocksdb_iter_destroy (iterator);
    rocksdb_readoptions_destroy (options);
    return failed == NULL ? STATUS_OK : database_fail (error, "turns that nothing needs any more are damaged", failed);
}

/* ---- the new database */

static void write_out (struct rebuild *rebuild)
{
    if (rebuild->failed == NULL)
        rocksdb_write (rebuild->log.db, rebuild->log.write, rebuild->batch, &rebuild->failed);
    rocksdb_writebatch_clear (rebuild->batch);
    rebuild->bytes = 0;
}

static void put (void *argument, struct bytes key, struct bytes value)
{
    struct rebuild *rebuild = argument;
    rocksdb_writebatch_put (rebuild->batch, (const char *) key.data, key.len, (const char *) value.data, value.len);
    rebuild->bytes += key.len + value.len;
    if (rebuild->bytes >= BATCH_BYTES)
        write_out (rebuild);
}

static void end (struct rebuild *rebuild)
{
    database_close (&rebuild->log);
    if (rebuild->batch != NULL)
        rocksdb_writebatch_destroy (rebuild->batch);
    if (rebuild->failed != NULL)
        rocksdb_free (rebuild->failed);
    rebuild->batch = NULL;
    rebuild->failed = NULL;
    rebuild->bytes = 0;
}

/* A new, empty one. */
static enum status begin (struct rebuild *rebuild, struct store_error *error)
{
    enum status status =
        failpoint (FAILPOINT_REBUILD_COPY)
            ? store_fail (error, STATUS_INTERNAL, "the new log cannot be written")
            : database_open_log_at (rebuild->store, &rebuild->log, rebuild->dir, DATABASE_CREATE, error);
    if (status != STATUS_OK)
        return STATUS_INTERNAL;
    rocksdb_writeoptions_set_sync (rebuild->log.write, 0);
    rocksdb_writeoptions_disable_WAL (rebuild->log.write, 1); /* all of it is flushed and synced before it counts */
    rebuild->batch = rocksdb_writebatch_create ();
    return STATUS_OK;
}

/* ... in the place of what an earlier try left. */
static enum status begin_anew (struct rebuild *rebuild, struct store_error *error)
{
    const struct folder *folder = &rebuild->store->folder;
    end (rebuild);
    if (!folder_remove_sub (folder, NEW))
        return store_fail (error, STATUS_INTERNAL, "%s/" NEW " cannot be removed: %s", folder->dir, strerror (errno));
    return begin (rebuild, error);
}

static enum status finish (struct rebuild *rebuild, struct store_error *error)
{
    write_out (rebuild);
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create ();
    rocksdb_flushoptions_set_wait (options, 1);
    if (rebuild->failed == NULL)
        rocksdb_flush (rebuild->log.db, options, &rebuild->failed);
    rocksdb_flushoptions_destroy (options);
    if (rebuild->failed == NULL)
        return STATUS_OK;
    database_fail (error, "the new log cannot be written", rebuild->failed);
    rebuild->failed = NULL;
    return STATUS_INTERNAL;
}

/* ---- what is left */

/* Everything but turns that are not needed. DATA_LOSS: it cannot be read. */
static enum status copy_rows (struct rebuild *rebuild, const struct database *old, struct store_error *error)
{
    rocksdb_iterator_t *iterator = rocksdb_create_iterator (old->db, old->read);
    uint64_t first = 1;
    bool sought = false;
    enum status status = STATUS_OK;
    rocksdb_iter_seek_to_first (iterator);
    while (status == STATUS_OK && rocksdb_iter_valid (iterator)) {
        size_t key_len, value_len;
        const char *key_at = rocksdb_iter_key (iterator, &key_len),
                   *value_at = rocksdb_iter_value (iterator, &value_len);
        struct bytes key = bytes_of (key_at, key_len), value = bytes_of (value_at, value_len), fields;
        if (key.len > 0 && key.data[0] == 't' && !sought) {
            uint8_t from[PACK_TURN_KEY_BYTES];
            pack_turn_key (from, first, 0);
            rocksdb_iter_seek (iterator, (const char *) from, sizeof from);
            sought = true;
            continue;
        }
        if (bytes_equal (key, BYTES_LITERAL ("m"))) {
            if (pack_unseal (key, value, &fields) != STATUS_OK || fields.len != 8)
                status = store_fail (error, STATUS_DATA_LOSS, "the log's first turn is damaged");
            else
                first = bytes_get_u64 (fields.data);
        }
        put (rebuild, key, value);
        rocksdb_iter_next (iterator);
    }
    char *failed = NULL;
    rocksdb_iter_get_error (iterator, &failed);
    rocksdb_iter_destroy (iterator);
    return failed != NULL ? database_fail (error, "the log cannot be read", failed) : status;
}

static enum status copy_all (struct rebuild *rebuild, struct store_error *error)
{
    struct store *store = rebuild->store;
    struct database old = {0};
    enum status status = database_open_log_at (store, &old, store->log_dir, DATABASE_READ, error);
    if (status == STATUS_OK)
        status = copy_rows (rebuild, &old, error);
    database_close (&old);
    return status;
}

static bool take_row (void *argument, const struct sst_row *row)
{
    return log_rows_take (argument, row->key, row->value, row->sequence);
}

static void take_batch (void *argument, struct bytes batch)
{
    log_rows_take_batch (argument, batch);
}

static enum status salvage_files (struct store *store, struct log_rows *rows, struct store_error *error)
{
    uint64_t *files;
    size_t count;
    enum status status = wal_list (store->log_dir, ".sst", &files, &count);
    if (status != STATUS_OK)
        return store_fail (error, status, "%s cannot be read: %s", store->log_dir, strerror (errno));
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        char name[32];
        bool damaged;
        snprintf (name, sizeof name, "%06" PRIu64 ".sst", files[i]);
        char *path = small_file_path (store->log_dir, name);
        status = path == NULL ? store_fail (error, STATUS_INTERNAL, "out of memory")
                              : sst_read_file (path, take_row, rows, &damaged, error);
        free (path);
    }
    free (files);
    return status == STATUS_OK ? wal_read (store->log_dir, take_batch, rows, error) : status;
}

static enum status salvage (struct rebuild *rebuild, struct store_error *error)
{
    struct log_rows rows = {.put = put, .argument = rebuild};
    enum status status = salvage_files (rebuild->store, &rows, error);
    if (status == STATUS_OK)
        log_rows_finish (&rows);
    if (status == STATUS_OK && rows.memory_out)
        status = store_fail (error, STATUS_INTERNAL, "out of memory");
    log_rows_close (&rows);
    return status;
}

/* ---- */

/* Before anything of it counts: nobody here votes, and which turns are missing is not told by their numbers. */
static enum status doubt (struct store *store, const char *why, struct store_error *error)
{
    char reason[sizeof store->folder.reason];
    snprintf (reason, sizeof reason, "the log was made anew from what is left of it: %.180s", why);
    enum status status = PLANTED (STORE_REBUILT_TRUSTED) ? STATUS_OK : folder_suspect_set (&store->folder, reason);
    if (status == STATUS_OK && !PLANTED (STORE_REBUILT_TRUSTED))
        status = small_file_write (store->folder.dir, STORE_SALVAGED, BYTES_LITERAL ("end"));
    return status == STATUS_OK ? status : store_fail (error, status, "cannot mark the folder suspect");
}

/* See above for what a crash in between finds. */
static enum status exchange (struct store *store, struct store_error *error)
{
    const struct folder *folder = &store->folder;
    bool there = small_file_exists (folder->dir, "log");
    bool fine = !there || folder_rename_sub (folder, "log", OLD);
    failpoint_pass (FAILPOINT_REBUILD_ASIDE);
    fine = fine && folder_rename_sub (folder, NEW, "log");
    failpoint_pass (FAILPOINT_REBUILD_FILLED);
    if (!fine)
        return store_fail (error, STATUS_INTERNAL, "%s cannot be replaced: %s", store->log_dir, strerror (errno));
    enum status status = small_file_remove (folder->dir, ASKED);
    if (status != STATUS_OK)
        return store_fail (error, status, "%s/" ASKED " cannot be removed", folder->dir);
    return store_rebuild_settle (store, error);
}

static enum status fill (
    struct rebuild *rebuild, enum store_rebuild_from *from, const char *why, struct store_error *error)
{
    struct store *store = rebuild->store;
    enum status status = begin_anew (rebuild, error);
    if (status == STATUS_OK && *from == STORE_REBUILD_WHOLE) {
        status = copy_all (rebuild, error);
        if (status != STATUS_DATA_LOSS || !store->options.state_from_others)
            return status;
        *from = STORE_REBUILD_LEFT;
        status = begin_anew (rebuild, error);
    }
    if (status == STATUS_OK)
        status = doubt (store, why, error);
    return status == STATUS_OK && *from == STORE_REBUILD_LEFT ? salvage (rebuild, error) : status;
}

enum status store_rebuild (struct store *store, enum store_rebuild_from from, struct store_error *error)
{
    maitre_assert (!store->folder.read_only);
    struct rebuild rebuild = {.store = store};
    struct store_error why = *error;
    database_close (&store->log);
    if (from != STORE_REBUILD_WHOLE && !store->options.state_from_others)
        return STATUS_DATA_LOSS;
    char *dir = small_file_path (store->folder.dir, NEW);
    if (dir == NULL)
        return store_fail (error, STATUS_INTERNAL, "out of memory");
    rebuild.dir = dir;
    enum status status = fill (&rebuild, &from, why.text, error);
    if (status == STATUS_OK)
        status = finish (&rebuild, error);
    end (&rebuild);
    free (dir);
    if (status == STATUS_OK)
        status = exchange (store, error);
    if (status == STATUS_OK)
        status = database_open_log (store, false, error);
    store->rebuilt = from;
    snprintf (store->rebuilt_why, sizeof store->rebuilt_why, "%s", why.text);
    return status;
}

enum status store_rebuild_view (struct store *store, const char *dir, bool left, struct store_error *error)
{
    struct rebuild rebuild = {.store = store, .dir = dir};
    enum status status = begin (&rebuild, error);
    if (status == STATUS_OK && left)
        status = salvage (&rebuild, error);
    if (status == STATUS_OK)
        status = finish (&rebuild, error);
    end (&rebuild);
    return status;
}

bool store_log_rebuilt (const struct store *store, const char **why, bool *whole)
{
    *why = store->rebuilt_why;
    *whole = store->rebuilt == STORE_REBUILD_WHOLE;
    return store->rebuilt != STORE_REBUILD_NOT;
}
