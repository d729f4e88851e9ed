/* Reading what is at rest, so that rot is found while the other replicas are well, and not when it is needed. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "node/store/state_key.h"
#include "node/store/store_internal.h"
#include "node/store/wal.h"

/* A write under way looks like damage with something valid behind it, but not twice at one place. */
#define FILE_LOOKS 3
#define FILE_LOOK_AGAIN_US 50000

static rocksdb_readoptions_t *read_options (const struct state_key *from, const struct state_key *to)
{
    rocksdb_readoptions_t *read = rocksdb_readoptions_create ();
    rocksdb_readoptions_set_verify_checksums (read, 1);
    rocksdb_readoptions_set_fill_cache (read, 0);
    rocksdb_readoptions_set_iterate_lower_bound (read, (const char *) from->data, from->len);
    rocksdb_readoptions_set_iterate_upper_bound (read, (const char *) to->data, to->len);
    return read;
}

/* False: where to go on is kept in place. */
static bool scrub_row (rocksdb_iterator_t *iterator, struct store_scrub_place *place, size_t bytes_max, uint64_t *bytes)
{
    size_t key_len, value_len;
    const char *key = rocksdb_iter_key (iterator, &key_len);
    rocksdb_iter_value (iterator, &value_len);
    *bytes += key_len + value_len;
    if (*bytes < bytes_max || key_len < STATE_KEY_HEAD_BYTES || key_len > STATE_KEY_HEAD_BYTES + STATE_KEY_BYTES_MAX)
        return true;
    place->begun = true;
    place->key_len = key_len - STATE_KEY_HEAD_BYTES;
    memcpy (place->key, key + STATE_KEY_HEAD_BYTES, place->key_len);
    return false;
}

enum status store_state_scrub (struct store *store, uint32_t shard, uint64_t replica, uint32_t generation,
    struct store_scrub_place *place, size_t bytes_max, uint64_t *bytes, bool *over, struct store_error *error)
{
    uint64_t index, term;
    *bytes = 0;
    *over = true;
    if (!place->begun && store_state_applied (store, shard, replica, generation, &index, &term) != STATUS_OK)
        return store_fail (error, STATUS_DATA_LOSS, "its applied index cannot be read");
    struct state_key from, to;
    state_key_head (&from, shard, replica, generation, STATE_KEY_KIND_DATA);
    state_key_head (&to, shard, replica, generation, STATE_KEY_KIND_END);
    if (place->begun && !state_key_set (&from, bytes_of (place->key, place->key_len)))
        return store_fail (error, STATUS_INTERNAL, "a key is too long");
    rocksdb_readoptions_t *read = read_options (&from, &to);
    atomic_fetch_add (&store->readers, 1);
    rocksdb_iterator_t *iterator = rocksdb_create_iterator (store->state.db, read);
    rocksdb_iter_seek_to_first (iterator);
    for (; *over && rocksdb_iter_valid (iterator); rocksdb_iter_next (iterator))
        *over = scrub_row (iterator, place, bytes_max, bytes);
    char *failed = NULL;
    rocksdb_iter_get_error (iterator, &failed);
    rocksdb_iter_destroy (iterator);
    rocksdb_readoptions_destroy (read);
    atomic_fetch_sub (&store->readers, 1);
    return failed == NULL ? STATUS_OK : database_fail (error, "its state cannot be read", failed);
}

void store_state_cool (struct store *store)
{
    DIR *folder = opendir (store->state_dir);
    struct dirent *item;
    while (folder != NULL && (item = readdir (folder)) != NULL) {
        const char *dot = strrchr (item->d_name, '.');
        int fd =
            dot != NULL && strcmp (dot, ".sst") == 0 ? openat (dirfd (folder), item->d_name, O_RDONLY | O_CLOEXEC) : -1;
        if (fd < 0)
            continue;
        posix_fadvise (fd, 0, 0, POSIX_FADV_DONTNEED);
        close (fd);
    }
    if (folder != NULL)
        closedir (folder);
}

void store_state_hold (struct store *store)
{
    static const char *const keys[] = {"disable_auto_compactions"}, *const values[] = {"true"};
    char *failed = NULL;
    rocksdb_set_options (store->state.db, 1, keys, values, &failed);
    rocksdb_free (failed); /* a compaction may then stop the database, and the process with it */
}

/* ---- the log */

static enum status check_part (struct bytes value, uint64_t *turn)
{
    struct pack_part part;
    enum status status = pack_read_part (value, &part);
    struct bytes body = part.body;
    if (status == STATUS_OK)
        *turn = part.turn;
    for (uint32_t i = 0; status == STATUS_OK && i < part.groups; i++) {
        struct pack_group group;
        struct store_entry entry;
        status = pack_read_group (&body, &group);
        for (uint32_t k = 0; status == STATUS_OK && k < group.count; k++)
            status = pack_read_entry (&body, &group, group.first_index + k, &entry);
    }
    return status;
}

enum status store_log_scrub (
    struct store *store, uint64_t *turn, size_t bytes_max, uint64_t *bytes, bool *over, struct store_error *error)
{
    uint8_t from[PACK_TURN_KEY_BYTES];
    enum status status = STATUS_OK;
    uint64_t at = *turn;
    char *failed = NULL;
    *bytes = 0;
    *over = true;
    pack_turn_key (from, at, 0);
    atomic_fetch_add (&store->readers, 1);
    rocksdb_iterator_t *iterator = rocksdb_create_iterator (store->log.db, store->log.read);
    rocksdb_iter_seek (iterator, (const char *) from, sizeof from);
    for (; status == STATUS_OK && *over && rocksdb_iter_valid (iterator); rocksdb_iter_next (iterator)) {
        size_t key_len, value_len;
        const uint8_t *key = (const uint8_t *) rocksdb_iter_key (iterator, &key_len);
        const char *value = rocksdb_iter_value (iterator, &value_len);
        if (key_len != PACK_TURN_KEY_BYTES || key[0] != 't')
            break;
        uint64_t number = bytes_get_u64 (key + 1);
        *over = *bytes < bytes_max || number == at;
        if (!*over)
            break; /* at the beginning of a turn */
        at = number;
        *bytes += key_len + value_len;
        if (check_part (bytes_of (value, value_len), &number) != STATUS_OK || number != at)
            status = store_fail (error, STATUS_DATA_LOSS, "turn %" PRIu64 " of the log is damaged", at);
    }
    *turn = at + 1;
    rocksdb_iter_get_error (iterator, &failed);
    rocksdb_iter_destroy (iterator);
    atomic_fetch_sub (&store->readers, 1);
    return failed != NULL ? database_fail (error, "the log cannot be read", failed) : status;
}

enum status store_log_scrub_files (struct store *store, struct store_error *error)
{
    struct wal_report first = {0}, report;
    for (int look = 0; look < FILE_LOOKS; look++) {
        if (wal_inspect (store->log_dir, &report, error) != STATUS_OK || report.condition != WAL_ROT)
            return STATUS_OK; /* a file that went away meanwhile, or a batch that is being written */
        if (look > 0 && (report.file != first.file || report.offset != first.offset))
            return STATUS_OK;
        first = report;
        usleep (FILE_LOOK_AGAIN_US);
    }
    return store_fail (error, STATUS_DATA_LOSS, "log/%06" PRIu64 ".log is damaged behind byte %" PRIu64 " of %" PRIu64,
        report.file, report.offset, report.size);
}

enum status store_log_renew (struct store *store, struct store_error *error)
{
    char *failed = NULL;
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create ();
    rocksdb_flushoptions_set_wait (options, 1);
    rocksdb_flush (store->log.db, options, &failed);
    rocksdb_flushoptions_destroy (options);
    return failed == NULL ? STATUS_OK : database_fail (error, "the log cannot be written anew", failed);
}

void store_log_hard_state (struct store *store, uint32_t shard, uint64_t replica, uint64_t *term, uint64_t *vote)
{
    pthread_mutex_lock (&store->lock);
    const struct registry_record *record = registry_find (&store->registry, shard, replica);
    *term = record == NULL ? 0 : record->term;
    *vote = record == NULL ? 0 : record->vote;
    pthread_mutex_unlock (&store->lock);
}
