/* Ordered reading of one replica's state. */
#include <stdlib.h>

#include "node/store/state_key.h"
#include "node/store/store_internal.h"
#include "schemas/runtime/assert.h"

struct store_cursor {
    struct store *store;
    rocksdb_readoptions_t *read; /* names the bounds, which must outlive the iterator */
    rocksdb_iterator_t *iterator;
    struct state_key from, to;
    bool reverse, begun;
};

enum status store_cursor_open (struct store *store, uint32_t shard, uint64_t replica, uint32_t generation,
    struct bytes from, struct bytes to, bool reverse, struct store_cursor **out)
{
    struct store_cursor *cursor = calloc (1, sizeof *cursor);
    if (cursor == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    cursor->store = store;
    cursor->reverse = reverse;
    state_key_head (&cursor->from, shard, replica, generation, STATE_KEY_KIND_DATA);
    state_key_head (&cursor->to, shard, replica, generation, STATE_KEY_KIND_END);
    if (to.len > 0)
        state_key_head (&cursor->to, shard, replica, generation, STATE_KEY_KIND_DATA);
    bool fits = state_key_set (&cursor->from, from) && state_key_set (&cursor->to, to);
    maitre_assert (fits);
    cursor->read = rocksdb_readoptions_create ();
    rocksdb_readoptions_set_verify_checksums (cursor->read, 1);
    rocksdb_readoptions_set_iterate_lower_bound (cursor->read, (const char *) cursor->from.data, cursor->from.len);
    rocksdb_readoptions_set_iterate_upper_bound (cursor->read, (const char *) cursor->to.data, cursor->to.len);
    cursor->iterator = rocksdb_create_iterator (store->state.db, cursor->read);
    atomic_fetch_add (&store->readers, 1);
    *out = cursor;
    return STATUS_OK;
}

enum status store_cursor_next (struct store_cursor *cursor, struct bytes *key, struct bytes *value)
{
    if (cursor->begun && !rocksdb_iter_valid (cursor->iterator))
        return STATUS_NOT_FOUND;
    if (!cursor->begun && cursor->reverse)
        rocksdb_iter_seek_to_last (cursor->iterator);
    else if (!cursor->begun)
        rocksdb_iter_seek_to_first (cursor->iterator);
    else if (cursor->reverse)
        rocksdb_iter_prev (cursor->iterator);
    else
        rocksdb_iter_next (cursor->iterator);
    cursor->begun = true;
    if (!rocksdb_iter_valid (cursor->iterator)) {
        char *failed = NULL;
        struct store_error error;
        rocksdb_iter_get_error (cursor->iterator, &failed);
        return failed == NULL ? STATUS_NOT_FOUND : database_fail (&error, "state", failed);
    }
    size_t len;
    const char *data = rocksdb_iter_key (cursor->iterator, &len);
    maitre_assert (len >= STATE_KEY_HEAD_BYTES); /* the bounds are longer */
    *key = bytes_of (data + STATE_KEY_HEAD_BYTES, len - STATE_KEY_HEAD_BYTES);
    data = rocksdb_iter_value (cursor->iterator, &len);
    *value = bytes_of (data, len);
    return STATUS_OK;
}

void store_cursor_close (struct store_cursor **cursor_at)
{
    struct store_cursor *cursor = *cursor_at;
    if (cursor == NULL)
        return;
    rocksdb_iter_destroy (cursor->iterator);
    rocksdb_readoptions_destroy (cursor->read);
    atomic_fetch_sub (&cursor->store->readers, 1);
    free (cursor);
    *cursor_at = NULL;
}
