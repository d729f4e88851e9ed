#include "node/store/store_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "node/failpoint/failpoint.h"
#include "node/store/wal.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/checksum.h"
#include "schemas/runtime/planted.h"

#define INCARNATION_FILE "incarnation"

static bool make_sub_dir (const char *dir)
{
    return mkdir (dir, 0700) == 0 || errno == EEXIST;
}

/* Tells a torn tail from rot before RocksDB sees the files, cuts the former, and takes out the latter: it would refuse, or
 * worse, not notice. The suspect mark goes first (invariant 5). */
static enum status mend_log (struct store *store, struct store_error *error)
{
    struct wal_report report;
    enum status status = wal_inspect (store->log_dir, &report, error);
    if (status != STATUS_OK || report.condition == WAL_WHOLE)
        return status;
    char reason[160];
    if (report.condition == WAL_ROT) {
        snprintf (reason, sizeof reason,
            "synced turns rotted: log/%06" PRIu64 ".log is damaged behind byte %" PRIu64 " of %" PRIu64, report.file,
            report.offset, report.size);
        return store_hole_salvage (store, reason, error);
    }
    snprintf (reason, sizeof reason, "a torn tail was cut: log/%06" PRIu64 ".log from byte %" PRIu64 " of %" PRIu64,
        report.file, report.offset, report.size);
    status = PLANTED (STORE_SUSPECT_UNMARKED) ? STATUS_OK : folder_suspect_set (&store->folder, reason);
    if (status != STATUS_OK)
        return store_fail (error, status, "cannot mark the folder suspect before cutting a torn tail");
    return wal_cut (store->log_dir, &report, error);
}

static enum status make_dirs (struct store *store, struct store_error *error)
{
    const char *dir = store->folder.dir;
    store->log_dir = small_file_path (dir, "log");
    store->state_dir = small_file_path (dir, "state");
    store->ingest_dir = small_file_path (dir, "ingest");
    store->files_dir = small_file_path (dir, "files");
    if (store->log_dir == NULL || store->state_dir == NULL || store->ingest_dir == NULL || store->files_dir == NULL)
        return store_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
    if (!make_sub_dir (store->ingest_dir) || !make_sub_dir (store->files_dir))
        return store_fail (error, STATUS_INTERNAL, "cannot make folders in %s: %s", dir, strerror (errno));
    enum status status = small_file_sync_dir (dir);
    return status == STATUS_OK ? status : store_fail (error, status, "cannot sync the folder %s: check the disk", dir);
}

/* Without its state the log alone cannot tell what the replicas hold (store_replica.damage): they are filled by peers. */
static enum status open_state (struct store *store, struct store_error *error)
{
    bool there = small_file_exists (store->state_dir, "CURRENT");
    enum status status = there ? database_open_state (store, false, error)
                               : store_fail (error, STATUS_DATA_LOSS, "%s lost its state database", store->folder.dir);
    if (status != STATUS_DATA_LOSS || !store->options.state_from_others)
        return status;
    database_close (&store->state);
    status = folder_set_state_aside (&store->folder, error);
    return status == STATUS_OK ? database_open_state (store, true, error) : status;
}

/* The log as its index lists it, which must be all that there is. */
static enum status open_listed (struct store *store, struct store_error *error)
{
    struct store_error unasked;
    enum status status = log_unlisted_keep (store, error);
    if (status == STATUS_OK)
        status = database_open_log (store, false, error);
    if (status == STATUS_OK)
        status = log_unlisted_check (store, error);
    if (status == STATUS_DATA_LOSS) {
        database_close (&store->log);
        enum status restored = log_unlisted_restore (store, &unasked);
        if (restored != STATUS_OK) {
            *error = unasked;
            return restored;
        }
    }
    return status == STATUS_OK ? log_unlisted_forget (store, error) : status;
}

/* A log that is not there, or does not open, or of which a running node met a damaged block, is made anew. */
static enum status open_log (struct store *store, bool create, struct store_error *error)
{
    bool there = create || small_file_exists (store->log_dir, "CURRENT");
    bool asked = !create && store_rebuild_asked (store, error);
    enum status status = STATUS_DATA_LOSS;
    if (there && !asked)
        status = create ? database_open_log (store, true, error) : open_listed (store, error);
    else if (!there)
        store_fail (error, status, "%s lost its log database, or the index of it", store->folder.dir);
    if (status != STATUS_DATA_LOSS || create)
        return status;
    status = store_rebuild (store, asked && there ? STORE_REBUILD_WHOLE : STORE_REBUILD_LEFT, error);
    return status == STATUS_DATA_LOSS ? store_rebuild (store, STORE_REBUILD_EMPTY, error) : status;
}

static enum status open_databases (struct store *store, bool *created, struct store_error *error)
{
    *created = !store->folder.ready;
    if (*created) {
        enum status status = folder_set_aside (&store->folder, error);
        if (status != STATUS_OK)
            return status;
        folder_mark (&store->folder, 0);
    } else if (store_mend_undo (store, error) != STATUS_OK || store_rebuild_settle (store, error) != STATUS_OK) {
        return STATUS_INTERNAL;
    }
    enum status status = mend_log (store, error);
    if (status == STATUS_OK)
        status = open_log (store, *created, error);
    if (status == STATUS_OK)
        status = *created ? database_open_state (store, true, error) : open_state (store, error);
    if (status == STATUS_OK && *created)
        status = folder_set_ready (&store->folder, true, false, error);
    return status;
}

enum status store_open (
    const char *dir, const struct store_options *options, struct store **out, bool *created, struct store_error *error)
{
    struct store *store = calloc (1, sizeof *store);
    struct store_error unasked;
    error = error != NULL ? error : &unasked;
    error->text[0] = '\0';
    if (store == NULL)
        return store_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
    store->options = *options;
    if (store->options.turn_bytes_max == 0)
        store->options.turn_bytes_max = 64 * 1024 * 1024;
    pthread_mutex_init (&store->lock, NULL);
    pthread_mutex_init (&store->sweeping, NULL);
    enum status status = folder_open (&store->folder, dir, options, error);
    bool made = false;
    if (status == STATUS_OK)
        status = make_dirs (store, error);
    if (status == STATUS_OK)
        status = open_databases (store, &made, error);
    if (status == STATUS_OK)
        status = store_state_forget_ingest (store, error);
    if (status != STATUS_OK) {
        maitre_assert (error->text[0] != '\0'); /* they are all that the operator gets */
        store_close (&store);
        return status;
    }
    if (created != NULL)
        *created = made;
    *out = store;
    return STATUS_OK;
}

void store_close (struct store **store_at)
{
    struct store *store = *store_at;
    if (store == NULL)
        return;
    maitre_assert (atomic_load (&store->readers) == 0); /* RocksDB aborts on a live iterator */
    if (store->recovered && !atomic_load (&store->failed))
        folder_mark (&store->folder, store->turn_last);
    database_close (&store->log);
    database_close (&store->state);
    folder_close (&store->folder);
    registry_close (&store->registry);
    pthread_mutex_destroy (&store->lock);
    pthread_mutex_destroy (&store->sweeping);
    free (store->turn_bytes);
    store_hole_forget (store);
    free (store->log_dir);
    free (store->state_dir);
    free (store->ingest_dir);
    free (store->files_dir);
    free (store);
    *store_at = NULL;
}

enum status store_quarantine (const char *dir, const struct store_options *options, struct store_error *error)
{
    struct folder folder;
    enum status status = folder_open (&folder, dir, options, error);
    if (status != STATUS_OK)
        return status;
    /* The identity first: from then on what lies in log/ and state/ belongs to nobody, whenever this is interrupted. */
    status = folder_set_ready (&folder, false, true, error);
    if (status == STATUS_OK)
        status = folder_set_aside (&folder, error);
    if (status == STATUS_OK && folder_suspect_clear (&folder) != STATUS_OK)
        status = store_fail (error, STATUS_INTERNAL, "cannot remove %s/SUSPECT", dir);
    folder_close (&folder);
    return status;
}

const struct store_identity *store_identity (const struct store *store)
{
    return &store->folder.identity;
}

bool store_suspect (const struct store *store, const char **reason)
{
    if (reason != NULL)
        *reason = store->folder.reason;
    return store->folder.suspect;
}

enum status store_suspect_set (struct store *store, const char *reason)
{
    return folder_suspect_set (&store->folder, reason);
}

enum status store_suspect_clear (struct store *store)
{
    maitre_assert (!atomic_load (&store->failed));
    return folder_suspect_clear (&store->folder);
}

static bool name_good (const char *name)
{
    size_t len = strspn (name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    return len > 0 && len <= STORE_FILE_NAME_LEN_MAX && name[len] == 0;
}

enum status store_file_put (struct store *store, const char *name, struct bytes content)
{
    if (!name_good (name) || content.len > STORE_FILE_BYTES_MAX)
        return STATUS_INVALID_ARGUMENT;
    uint8_t *sealed = malloc (content.len + 8);
    if (sealed == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    bytes_put_u64 (sealed, checksum64 (checksum64 (0, bytes_text (name)), content));
    if (content.len > 0)
        memcpy (sealed + 8, content.data, content.len);
    enum status status = small_file_write (store->files_dir, name, bytes_of (sealed, content.len + 8));
    free (sealed);
    return status;
}

enum status store_file_get (struct store *store, const char *name, uint8_t **data, size_t *len)
{
    if (!name_good (name))
        return STATUS_NOT_FOUND;
    enum status status = small_file_read (store->files_dir, name, STORE_FILE_BYTES_MAX + 8, data, len);
    if (status != STATUS_OK)
        return status;
    if (*len < 8 ||
        bytes_get_u64 (*data) != checksum64 (checksum64 (0, bytes_text (name)), bytes_of (*data + 8, *len - 8))) {
        free (*data);
        *data = NULL;
        return STATUS_DATA_LOSS;
    }
    *len -= 8;
    memmove (*data, *data + 8, *len);
    return STATUS_OK;
}

enum status store_incarnation_get (struct store *store, uint64_t *incarnation)
{
    uint8_t *data;
    size_t len;
    *incarnation = 0;
    enum status status = store_file_get (store, INCARNATION_FILE, &data, &len);
    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status != STATUS_OK)
        return status;
    status = len == 8 ? STATUS_OK : STATUS_DATA_LOSS;
    if (status == STATUS_OK)
        *incarnation = bytes_get_u64 (data);
    free (data);
    return status;
}

enum status store_incarnation_set (struct store *store, uint64_t incarnation)
{
    uint64_t before;
    enum status status = store_incarnation_get (store, &before);
    if (status != STATUS_OK)
        return status;
    if (incarnation < before)
        return STATUS_INVALID_ARGUMENT;
    uint8_t raw[8];
    bytes_put_u64 (raw, incarnation);
    if (failpoint (FAILPOINT_INCARNATION_BEFORE))
        return STATUS_INTERNAL;
    status = store_file_put (store, INCARNATION_FILE, bytes_of (raw, sizeof raw));
    failpoint_pass (FAILPOINT_INCARNATION_AFTER);
    return status;
}

enum status store_disk_free (const struct store *store, uint64_t *free_bytes, uint64_t *total_bytes)
{
    struct statvfs stat_buffer;
    if (statvfs (store->folder.dir, &stat_buffer) != 0)
        return STATUS_INTERNAL;
    *free_bytes = (uint64_t) stat_buffer.f_bavail * stat_buffer.f_frsize;
    *total_bytes = (uint64_t) stat_buffer.f_blocks * stat_buffer.f_frsize;
    return STATUS_OK;
}

void store_stats (struct store *store, struct store_stats *stats)
{
    int level0 = 0;
    char *value = rocksdb_property_value (store->state.db, "rocksdb.num-files-at-level0");
    if (value != NULL) {
        level0 = atoi (value);
        rocksdb_free (value);
    }
    pthread_mutex_lock (&store->lock);
    *stats = store->stats;
    stats->turn_last = store->turn_last;
    pthread_mutex_unlock (&store->lock);
    stats->state_level0_files = (uint64_t) level0;
    stats->failed = atomic_load (&store->failed);
}
