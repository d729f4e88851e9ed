#include "node/store/store_state.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/failpoint/failpoint.h"
#include "node/store/sst.h"
#include "node/store/store_internal.h"
#include "schemas/runtime/assert.h"

enum status store_state_forget_ingest (struct store *store, struct store_error *error)
{
    DIR *folder = opendir (store->ingest_dir);
    if (folder == NULL)
        return store_fail (error, STATUS_INTERNAL, "cannot read %s", store->ingest_dir);
    struct dirent *item;
    while ((item = readdir (folder)) != NULL) {
        if (strcmp (item->d_name, ".") != 0 && strcmp (item->d_name, "..") != 0)
            unlinkat (dirfd (folder), item->d_name, 0);
    }
    closedir (folder);
    return STATUS_OK;
}

static int batch_order (const void *a, const void *b)
{
    const struct store_batch *x = *(struct store_batch *const *) a, *y = *(struct store_batch *const *) b;
    if (store_batch_shard (x) != store_batch_shard (y))
        return store_batch_shard (x) < store_batch_shard (y) ? -1 : 1;
    if (store_batch_replica (x) != store_batch_replica (y))
        return store_batch_replica (x) < store_batch_replica (y) ? -1 : 1;
    return 0;
}

static enum status write_batch (struct sst *sst, struct store_batch *batch, struct store_error *error)
{
    uint32_t shard = store_batch_shard (batch), generation = store_batch_generation (batch);
    uint64_t replica = store_batch_replica (batch);
    store_batch_sort (batch);
    enum status status = sst_put_applied (
        sst, shard, replica, generation, store_batch_applied_index (batch), store_batch_applied_term (batch), error);
    struct state_key key;
    state_key_head (&key, shard, replica, generation, STATE_KEY_KIND_DATA);
    for (size_t i = 0; status == STATUS_OK && i < store_batch_count (batch); i++) {
        struct bytes inner, value;
        bool removed;
        store_batch_at (batch, i, &inner, &value, &removed);
        bool fits = state_key_set (&key, inner);
        maitre_assert (fits);
        status = removed ? sst_remove (sst, &key, error) : sst_put (sst, &key, value, error);
    }
    return status;
}

enum status store_state_write (
    struct store *store, struct store_batch *const *batches, size_t n, struct store_error *error)
{
    if (n == 0)
        return STATUS_OK;
    struct store_batch **ordered = malloc (n * sizeof *ordered);
    if (ordered == NULL)
        return store_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
    memcpy (ordered, batches, n * sizeof *ordered);
    qsort (ordered, n, sizeof *ordered, batch_order);
    struct sst sst;
    enum status status = sst_open (&sst, store, error);
    for (size_t i = 0; status == STATUS_OK && i < n; i++) {
        maitre_assert (i == 0 || batch_order (&ordered[i - 1], &ordered[i]) < 0);
        status = write_batch (&sst, ordered[i], error);
    }
    if (status == STATUS_OK)
        status = sst_ingest (&sst, error);
    sst_close (&sst);
    free (ordered);
    return status;
}

enum status store_state_read (struct store *store, const struct state_key *key, uint8_t **value, size_t *value_len)
{
    char *failed = NULL;
    struct store_error error;
    *value = NULL;
    if (store->state.db == NULL) /* store_verify.c: it does not open */
        return STATUS_DATA_LOSS;
    *value = (uint8_t *) rocksdb_get (
        store->state.db, store->state.read, (const char *) key->data, key->len, value_len, &failed);
    if (failed != NULL)
        return database_fail (&error, "state", failed);
    return *value == NULL ? STATUS_NOT_FOUND : STATUS_OK;
}

enum status store_state_parse_applied (const struct state_key *key, struct bytes value, uint64_t *index, uint64_t *term)
{
    struct bytes fields;
    if (pack_unseal (state_key_bytes (key), value, &fields) != STATUS_OK || fields.len != 16)
        return STATUS_DATA_LOSS;
    *index = bytes_get_u64 (fields.data);
    *term = bytes_get_u64 (fields.data + 8);
    return STATUS_OK;
}

enum status store_state_applied (
    struct store *store, uint32_t shard, uint64_t replica, uint32_t generation, uint64_t *index, uint64_t *term)
{
    struct state_key key;
    uint8_t *value;
    size_t value_len;
    *index = *term = 0;
    state_key_head (&key, shard, replica, generation, STATE_KEY_KIND_APPLIED);
    enum status status = store_state_read (store, &key, &value, &value_len);
    if (status != STATUS_OK)
        return status == STATUS_NOT_FOUND ? STATUS_OK : status;
    status = store_state_parse_applied (&key, bytes_of (value, value_len), index, term);
    free (value);
    return status;
}

enum status store_state_get (struct store *store, uint32_t shard, uint64_t replica, uint32_t generation,
    struct bytes key, uint8_t **value, size_t *value_len)
{
    struct state_key full;
    state_key_head (&full, shard, replica, generation, STATE_KEY_KIND_DATA);
    *value = NULL;
    return state_key_set (&full, key) ? store_state_read (store, &full, value, value_len) : STATUS_NOT_FOUND;
}

/* ---- what is no longer live ---- */

/* Whole files first, which frees their space at once, then what is left of the range. Nobody reads it any more. */
static enum status delete_generation (
    struct store *store, uint32_t shard, uint64_t replica, uint32_t generation, struct store_error *error)
{
    struct state_key from, to;
    char *failed = NULL;
    state_key_head (&from, shard, replica, generation, STATE_KEY_KIND_APPLIED);
    state_key_head (&to, shard, replica, generation, STATE_KEY_KIND_END);
    if (failpoint (FAILPOINT_GENERATION_DELETE_BEFORE))
        failed = failpoint_text (FAILPOINT_GENERATION_DELETE_BEFORE);
    else
        rocksdb_delete_file_in_range (
            store->state.db, (const char *) from.data, from.len, (const char *) to.data, to.len, &failed);
    if (failed == NULL) {
        rocksdb_writebatch_t *batch = rocksdb_writebatch_create ();
        rocksdb_writebatch_delete_range (batch, (const char *) from.data, from.len, (const char *) to.data, to.len);
        rocksdb_write (store->state.db, store->state.write, batch, &failed);
        rocksdb_writebatch_destroy (batch);
    }
    failpoint_pass (FAILPOINT_GENERATION_DELETE_AFTER);
    return failed == NULL ? STATUS_OK : database_fail (error, "old state cannot be deleted", failed);
}

static enum status flush_state (struct store *store, struct store_error *error)
{
    char *failed = NULL;
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create ();
    rocksdb_flushoptions_set_wait (options, 1);
    rocksdb_flush (store->state.db, options, &failed);
    rocksdb_flushoptions_destroy (options);
    return failed == NULL ? STATUS_OK : database_fail (error, "the state database cannot be flushed", failed);
}

static bool is_live (struct store *store, uint32_t shard, uint64_t replica, uint32_t generation)
{
    pthread_mutex_lock (&store->lock);
    struct registry_record *record = registry_find (&store->registry, shard, replica);
    bool live = record != NULL && !record->removed && record->generation == generation;
    pthread_mutex_unlock (&store->lock);
    return live;
}

/* Steps from generation to generation; deletes those that are not live. */
static enum status sweep_some (
    struct store *store, rocksdb_iterator_t *iterator, size_t max, size_t *deleted, struct store_error *error)
{
    enum status status = STATUS_OK;
    rocksdb_iter_seek_to_first (iterator);
    while (status == STATUS_OK && *deleted < max && rocksdb_iter_valid (iterator)) {
        size_t len;
        const uint8_t *key = (const uint8_t *) rocksdb_iter_key (iterator, &len);
        if (len < STATE_KEY_HEAD_BYTES)
            return store_fail (error, STATUS_DATA_LOSS, "the state database holds a key of nobody");
        uint32_t shard = bytes_get_u32 (key), generation = bytes_get_u32 (key + 12);
        uint64_t replica = bytes_get_u64 (key + 4);
        if (!is_live (store, shard, replica, generation)) {
            status = delete_generation (store, shard, replica, generation, error);
            (*deleted)++;
        }
        struct state_key next;
        state_key_head (&next, shard, replica, generation, STATE_KEY_KIND_END);
        rocksdb_iter_seek (iterator, (const char *) next.data, next.len);
    }
    char *failed = NULL;
    rocksdb_iter_get_error (iterator, &failed);
    return failed == NULL ? status : database_fail (error, "the state database cannot be read", failed);
}

enum status store_state_sweep (struct store *store, size_t max, bool *left, struct store_error *error)
{
    maitre_assert (store->recovered);
    *left = true;
    enum status status = STATUS_OK;
    if (failpoint (FAILPOINT_STATE_SWEEP_BEFORE))
        return store_fail (error, STATUS_INTERNAL, "old state cannot be looked for");
    pthread_mutex_lock (&store->sweeping);
    if (atomic_load (&store->imports) == 0) {
        size_t deleted = 0;
        rocksdb_iterator_t *iterator = rocksdb_create_iterator (store->state.db, store->state.read);
        status = sweep_some (store, iterator, max, &deleted, error);
        rocksdb_iter_destroy (iterator);
        *left = deleted == max;
        /* Even when the sweep met damage: a deletion that a crash may take back must hide nothing (store_state_fresh). */
        struct store_error why;
        enum status flushed = deleted > 0 ? flush_state (store, &why) : STATUS_OK;
        if (status == STATUS_OK && flushed != STATUS_OK) {
            status = flushed;
            if (error != NULL)
                *error = why;
        }
    }
    pthread_mutex_unlock (&store->sweeping);
    return status;
}

/* Whether nothing stands in a generation: no need then to delete it, which costs a file of the first level each time. */
static bool is_empty (struct store *store, uint32_t shard, uint64_t replica, uint32_t generation)
{
    struct state_key from, to;
    state_key_head (&from, shard, replica, generation, STATE_KEY_KIND_APPLIED);
    state_key_head (&to, shard, replica, generation, STATE_KEY_KIND_END);
    rocksdb_iterator_t *iterator = rocksdb_create_iterator (store->state.db, store->state.read);
    char *failed = NULL;
    rocksdb_iter_seek (iterator, (const char *) from.data, from.len);
    size_t len = 0;
    const char *key = rocksdb_iter_valid (iterator) ? rocksdb_iter_key (iterator, &len) : NULL;
    bool empty = key == NULL || bytes_compare (bytes_of (key, len), state_key_bytes (&to)) >= 0;
    rocksdb_iter_get_error (iterator, &failed);
    rocksdb_iter_destroy (iterator);
    empty = empty && failed == NULL; /* what cannot be read is deleted */
    rocksdb_free (failed);
    return empty;
}

enum status store_state_fresh (
    struct store *store, uint32_t shard, uint64_t replica, uint32_t *generation, struct store_error *error)
{
    pthread_mutex_lock (&store->lock);
    struct registry_record *record = registry_find (&store->registry, shard, replica);
    *generation = record == NULL ? 1 : record->generation + 1;
    pthread_mutex_unlock (&store->lock);
    /* Every deletion is flushed by who made it, under the same locks: none that a crash could take back hides anything. */
    if (is_empty (store, shard, replica, *generation))
        return STATUS_OK;
    enum status status = delete_generation (store, shard, replica, *generation, error);
    /* Durable before the generation fills: deletions are not in any log, and data that comes in later must stay. */
    return status == STATUS_OK ? flush_state (store, error) : status;
}
