/* An index that lost its newest lines at the end of one of them opens as it was before: its newest sorted file is not listed,
 * and RocksDB deletes it. What was in it is missed by the numbers of its turns, unless they were all dropped since; but a term or
 * a vote of a replica that was idle since may have stood in it alone. So the names of all sorted files are kept over an opening
 * of the database (links in log-seen/), and each that it does not list must hold nothing that it does not know. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/store/log_rows.h"
#include "node/store/sst_read.h"
#include "node/store/store_internal.h"
#include "schemas/runtime/planted.h"

#define SEEN "log-seen"

static bool is_sorted (const char *name)
{
    const char *end = strrchr (name, '.');
    return end != NULL && strcmp (end, ".sst") == 0;
}

/* Where the file system has no links the database is believed: a node that cannot start would be worse. */
static bool link_file (const char *source, const char *target)
{
    return link (source, target) == 0 || errno == EEXIST || errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS;
}

/* Gives each sorted file of a folder its name in another one as well. */
static bool link_all (const char *from, const char *into)
{
    DIR *folder = opendir (from);
    struct dirent *item;
    bool fine = folder != NULL;
    while (fine && (item = readdir (folder)) != NULL) {
        if (!is_sorted (item->d_name))
            continue;
        char *source = small_file_path (from, item->d_name), *target = small_file_path (into, item->d_name);
        fine = source != NULL && target != NULL && link_file (source, target);
        free (source);
        free (target);
    }
    if (folder != NULL)
        closedir (folder);
    return fine;
}

/* A crash may have ended the start that made some of them before it had looked: those stay. */
enum status log_unlisted_keep (struct store *store, struct store_error *error)
{
    char *seen = small_file_path (store->folder.dir, SEEN);
    bool fine = seen != NULL && (mkdir (seen, 0700) == 0 || errno == EEXIST) && link_all (store->log_dir, seen) &&
                small_file_sync_dir (seen) == STATUS_OK;
    free (seen);
    return fine ? STATUS_OK
                : store_fail (
                      error, STATUS_INTERNAL, "%s/" SEEN " cannot be filled: %s", store->folder.dir, strerror (errno));
}

enum status log_unlisted_restore (struct store *store, struct store_error *error)
{
    char *seen = small_file_path (store->folder.dir, SEEN);
    bool fine = seen != NULL && link_all (seen, store->log_dir);
    free (seen);
    return fine ? STATUS_OK
                : store_fail (error, STATUS_INTERNAL, "%s cannot be put back: %s", store->log_dir, strerror (errno));
}

enum status log_unlisted_forget (struct store *store, struct store_error *error)
{
    return folder_remove_sub (&store->folder, SEEN)
               ? STATUS_OK
               : store_fail (
                     error, STATUS_INTERNAL, "%s/" SEEN " cannot be removed: %s", store->folder.dir, strerror (errno));
}

/* ---- what they hold */

struct look {
    struct store *store;
    struct bytes first; /* the fields of 'm' */
    bool news;
};

/* Whether the database knows the row, or something newer in its place. */
static bool known (const struct look *look, struct bytes key, struct bytes value)
{
    size_t len;
    char *failed = NULL;
    if (key.data[0] == 't' && look->first.len == 8 && bytes_compare (bytes_of (key.data + 1, 8), look->first) < 0)
        return true;
    char *got =
        rocksdb_get (look->store->log.db, look->store->log.read, (const char *) key.data, key.len, &len, &failed);
    if (failed != NULL) {
        rocksdb_free (failed); /* whoever needs it meets that again */
        return true;
    }
    bool fine = got != NULL && (key.data[0] == 't' || !log_rows_newer (key, value, bytes_of (got, len)));
    rocksdb_free (got);
    if (fine || key.len != PACK_MARK_KEY_BYTES)
        return fine;
    uint8_t removed[PACK_MARK_KEY_BYTES];
    memcpy (removed, key.data, sizeof removed);
    removed[0] = 'x';
    got =
        rocksdb_get (look->store->log.db, look->store->log.read, (const char *) removed, sizeof removed, &len, &failed);
    fine = got != NULL;
    rocksdb_free (got);
    rocksdb_free (failed);
    return fine;
}

static void look_at (void *argument, struct bytes key, struct bytes value)
{
    struct look *look = argument;
    look->news = look->news || !(known (look, key, value) || PLANTED (STORE_UNLISTED_UNSEEN));
}

static bool take_row (void *argument, const struct sst_row *row)
{
    return log_rows_take (argument, row->key, row->value, row->sequence);
}

static bool listed (struct store *store, const char *name)
{
    const rocksdb_livefiles_t *live = rocksdb_livefiles (store->log.db);
    bool found = false;
    for (int i = 0; i < rocksdb_livefiles_count (live) && !found; i++) {
        const char *path = rocksdb_livefiles_name (live, i);
        found = strcmp (path + (path[0] == '/'), name) == 0;
    }
    rocksdb_livefiles_destroy (live);
    return found;
}

static enum status look_into (struct look *look, const char *dir, const char *name, struct store_error *error)
{
    struct log_rows rows = {.put = look_at, .argument = look};
    bool damaged;
    char *path = small_file_path (dir, name);
    enum status status = path == NULL ? store_fail (error, STATUS_INTERNAL, "out of memory")
                                      : sst_read_file (path, take_row, &rows, &damaged, error);
    if (status == STATUS_OK)
        log_rows_each_mark (&rows);
    if (status == STATUS_OK && rows.memory_out)
        status = store_fail (error, STATUS_INTERNAL, "out of memory");
    log_rows_close (&rows);
    free (path);
    return status;
}

static enum status look_through (struct look *look, const char *dir, struct store_error *error)
{
    DIR *folder = opendir (dir);
    struct dirent *item;
    enum status status =
        folder == NULL ? store_fail (error, STATUS_INTERNAL, "%s: %s", dir, strerror (errno)) : STATUS_OK;
    while (status == STATUS_OK && !look->news && (item = readdir (folder)) != NULL) {
        if (is_sorted (item->d_name) && !listed (look->store, item->d_name))
            status = look_into (look, dir, item->d_name, error);
        if (status == STATUS_OK && look->news)
            status = store_fail (error, STATUS_DATA_LOSS,
                "the log's index does not list %.32s, which holds what is nowhere else: it lost its end", item->d_name);
    }
    if (folder != NULL)
        closedir (folder);
    return status;
}

enum status log_unlisted_check (struct store *store, struct store_error *error)
{
    struct look look = {.store = store};
    char *seen = small_file_path (store->folder.dir, SEEN), *failed = NULL;
    size_t len;
    char *mark = rocksdb_get (store->log.db, store->log.read, "m", 1, &len, &failed);
    rocksdb_free (failed);
    if (mark == NULL || pack_unseal (BYTES_LITERAL ("m"), bytes_of (mark, len), &look.first) != STATUS_OK)
        look.first = (struct bytes){0};
    enum status status = seen == NULL ? store_fail (error, STATUS_INTERNAL, "out of memory")
                                      : look_through (&look, store->folder.read_only ? store->log_dir : seen, error);
    rocksdb_free (mark);
    free (seen);
    return status;
}
