/* Export: the last written-back cut of a replica, chunk by chunk. One iterator holds the cut: what is written later, even
 * what is deleted later, does not show in it. */
#include <stdlib.h>

#include "node/store/state_key.h"
#include "node/store/store_chunk.h"
#include "node/store/store_internal.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/checksum.h"

struct store_snapshot {
    struct store *store;
    rocksdb_readoptions_t *read;
    rocksdb_iterator_t *iterator;
    struct state_key from, to;
    struct store_chunk chunk;
    uint8_t *data;
    size_t len, room;
};

static enum status read_applied (struct store_snapshot *snapshot)
{
    rocksdb_iter_seek_to_first (snapshot->iterator);
    if (!rocksdb_iter_valid (snapshot->iterator)) {
        char *failed = NULL;
        struct store_error error;
        rocksdb_iter_get_error (snapshot->iterator, &failed);
        return failed == NULL ? STATUS_NOT_FOUND : database_fail (&error, "state", failed);
    }
    size_t key_len, value_len;
    const char *key = rocksdb_iter_key (snapshot->iterator, &key_len);
    const char *value = rocksdb_iter_value (snapshot->iterator, &value_len);
    if (!bytes_equal (bytes_of (key, key_len), state_key_bytes (&snapshot->from)))
        return STATUS_DATA_LOSS; /* data without an applied index: invariant 1 of store_state.h is broken */
    enum status status = store_state_parse_applied (
        &snapshot->from, bytes_of (value, value_len), &snapshot->chunk.index, &snapshot->chunk.term);
    rocksdb_iter_next (snapshot->iterator);
    return status;
}

enum status store_snapshot_open (
    struct store *store, uint32_t shard, uint64_t replica, struct store_snapshot **out, uint64_t *index, uint64_t *term)
{
    struct store_snapshot *snapshot = calloc (1, sizeof *snapshot);
    if (snapshot == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    pthread_mutex_lock (&store->lock);
    struct registry_record *record = registry_find (&store->registry, shard, replica);
    uint32_t generation = record == NULL ? 0 : record->generation;
    pthread_mutex_unlock (&store->lock);
    snapshot->store = store;
    snapshot->chunk.shard = shard;
    state_key_head (&snapshot->from, shard, replica, generation, STATE_KEY_KIND_APPLIED);
    state_key_head (&snapshot->to, shard, replica, generation, STATE_KEY_KIND_END);
    snapshot->read = rocksdb_readoptions_create ();
    rocksdb_readoptions_set_verify_checksums (snapshot->read, 1);
    rocksdb_readoptions_set_fill_cache (snapshot->read, 0);
    rocksdb_readoptions_set_iterate_lower_bound (
        snapshot->read, (const char *) snapshot->from.data, snapshot->from.len);
    rocksdb_readoptions_set_iterate_upper_bound (snapshot->read, (const char *) snapshot->to.data, snapshot->to.len);
    snapshot->iterator = rocksdb_create_iterator (store->state.db, snapshot->read);
    atomic_fetch_add (&store->readers, 1);
    enum status status = read_applied (snapshot);
    if (status != STATUS_OK) {
        store_snapshot_close (&snapshot);
        return status;
    }
    *index = snapshot->chunk.index;
    *term = snapshot->chunk.term;
    *out = snapshot;
    return STATUS_OK;
}

static bool make_room (struct store_snapshot *snapshot, size_t len)
{
    size_t need = snapshot->len + len + STORE_CHUNK_SUM_BYTES;
    if (need <= snapshot->room)
        return true;
    size_t room = need > STORE_CHUNK_BYTES_MAX ? need : STORE_CHUNK_BYTES_MAX;
    uint8_t *grown = realloc (snapshot->data, room);
    if (grown == NULL)
        return false;
    snapshot->data = grown;
    snapshot->room = room;
    return true;
}

/* Adds the row under the iterator. False when the chunk is full (nothing was added); *out_of_memory tells why else. */
static bool add_row (struct store_snapshot *snapshot, bool *out_of_memory)
{
    size_t key_len, value_len;
    const char *key = rocksdb_iter_key (snapshot->iterator, &key_len);
    const char *value = rocksdb_iter_value (snapshot->iterator, &value_len);
    maitre_assert (key_len >= STATE_KEY_HEAD_BYTES);
    key += STATE_KEY_HEAD_BYTES;
    key_len -= STATE_KEY_HEAD_BYTES;
    size_t len = STORE_CHUNK_ROW_BYTES + key_len + value_len;
    bool fits = snapshot->len + len + STORE_CHUNK_SUM_BYTES <= STORE_CHUNK_BYTES_MAX;
    if (!fits && snapshot->chunk.count > 0)
        return false;
    if (!make_room (snapshot, len)) {
        *out_of_memory = true;
        return false;
    }
    uint8_t *at = snapshot->data + snapshot->len;
    bytes_put_u16 (at, (uint16_t) key_len);
    bytes_put_u32 (at + 2, (uint32_t) value_len);
    memcpy (at + STORE_CHUNK_ROW_BYTES, key, key_len);
    memcpy (at + STORE_CHUNK_ROW_BYTES + key_len, value, value_len);
    snapshot->len += len;
    snapshot->chunk.count++;
    return true;
}

enum status store_snapshot_next (struct store_snapshot *snapshot, struct bytes *chunk, bool *last)
{
    maitre_assert (!snapshot->chunk.last);
    bool out_of_memory = false;
    snapshot->len = 0;
    snapshot->chunk.count = 0;
    if (!make_room (snapshot, STORE_CHUNK_HEADER_BYTES))
        return STATUS_RESOURCE_EXHAUSTED;
    snapshot->len = STORE_CHUNK_HEADER_BYTES;
    while (rocksdb_iter_valid (snapshot->iterator) && add_row (snapshot, &out_of_memory))
        rocksdb_iter_next (snapshot->iterator);
    if (out_of_memory)
        return STATUS_RESOURCE_EXHAUSTED;
    char *failed = NULL;
    struct store_error error;
    rocksdb_iter_get_error (snapshot->iterator, &failed);
    if (failed != NULL)
        return database_fail (&error, "state", failed);
    *last = snapshot->chunk.last = !rocksdb_iter_valid (snapshot->iterator);
    store_chunk_write_header (snapshot->data, &snapshot->chunk);
    bytes_put_u64 (snapshot->data + snapshot->len, checksum64 (0, bytes_of (snapshot->data, snapshot->len)));
    *chunk = bytes_of (snapshot->data, snapshot->len + STORE_CHUNK_SUM_BYTES);
    snapshot->chunk.number++;
    return STATUS_OK;
}

void store_snapshot_close (struct store_snapshot **snapshot_at)
{
    struct store_snapshot *snapshot = *snapshot_at;
    if (snapshot == NULL)
        return;
    rocksdb_iter_destroy (snapshot->iterator);
    rocksdb_readoptions_destroy (snapshot->read);
    atomic_fetch_sub (&snapshot->store->readers, 1);
    free (snapshot->data);
    free (snapshot);
    *snapshot_at = NULL;
}
