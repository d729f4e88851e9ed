/* Import: a leader's chunks become one sorted file, which comes in whole under a generation that nobody reads yet. */
#include <stdlib.h>

#include "node/store/sst.h"
#include "node/store/store_chunk.h"
#include "node/store/store_internal.h"
#include "schemas/runtime/assert.h"

struct store_import {
    struct store *store;
    uint32_t shard, generation, next;
    uint64_t replica, index, term;
    struct sst sst;
    uint8_t last_key[STATE_KEY_BYTES_MAX];
    size_t last_key_len;
    bool any, complete, finished;
};

enum status store_import_begin (struct store *store, uint32_t shard, uint64_t replica, uint64_t index, uint64_t term,
    struct store_import **out, struct store_error *error)
{
    maitre_assert (store->recovered);
    struct store_import *import = calloc (1, sizeof *import);
    if (import == NULL)
        return store_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
    import->store = store;
    import->shard = shard;
    import->replica = replica;
    import->index = index;
    import->term = term;
    atomic_fetch_add (&store->readers, 1);
    pthread_mutex_lock (&store->sweeping); /* what comes in must not be taken for garbage by a sweep under way */
    atomic_fetch_add (&store->imports, 1);
    pthread_mutex_unlock (&store->sweeping);
    enum status status = store_state_fresh (store, shard, replica, &import->generation, error);
    if (status == STATUS_OK)
        status = sst_open (&import->sst, store, error);
    import->sst.bytes_max = SST_FILE_BYTES_BRIEF;
    if (status == STATUS_OK)
        status = sst_put_applied (&import->sst, shard, replica, import->generation, index, term, error);
    if (status != STATUS_OK) {
        store_import_close (&import);
        return status;
    }
    *out = import;
    return STATUS_OK;
}

/* Keys within their bound, ascending, and above what came before. */
static bool rows_in_order (const struct store_import *import, const struct store_chunk *chunk, struct bytes rows)
{
    struct bytes before = bytes_of (import->last_key, import->last_key_len), key, value;
    for (uint32_t i = 0; i < chunk->count; i++) {
        if (!store_chunk_row (&rows, &key, &value) || key.len > STATE_KEY_BYTES_MAX)
            return false;
        if ((import->any || i > 0) && bytes_compare (before, key) >= 0)
            return false;
        before = key;
    }
    return true;
}

enum status store_import_chunk (struct store_import *import, struct bytes in)
{
    struct store_chunk chunk;
    struct bytes rows, key, value;
    maitre_assert (!import->finished);
    enum status status = store_chunk_read (in, &chunk, &rows);
    if (status == STATUS_UNIMPLEMENTED)
        return STATUS_INVALID_ARGUMENT;
    if (status != STATUS_OK)
        return status;
    if (import->complete || chunk.shard != import->shard || chunk.number != import->next ||
        chunk.index != import->index || chunk.term != import->term)
        return STATUS_INVALID_ARGUMENT;
    if (!rows_in_order (import, &chunk, rows))
        return STATUS_DATA_LOSS;
    struct state_key full;
    state_key_head (&full, import->shard, import->replica, import->generation, STATE_KEY_KIND_DATA);
    for (uint32_t i = 0; i < chunk.count; i++) {
        bool fits = store_chunk_row (&rows, &key, &value) && state_key_set (&full, key);
        maitre_assert (fits); /* rows_in_order saw it */
        status = sst_put (&import->sst, &full, value, NULL);
        if (status != STATUS_OK)
            return status == STATUS_RESOURCE_EXHAUSTED ? status : STATUS_INTERNAL;
    }
    if (chunk.last) { /* what finish takes in is whole by then: a full disk shows while all can still be given up */
        status = sst_finish (&import->sst, NULL);
        if (status != STATUS_OK)
            return status == STATUS_RESOURCE_EXHAUSTED ? status : STATUS_INTERNAL;
    }
    if (chunk.count > 0) {
        import->any = true;
        import->last_key_len = key.len;
        if (key.len > 0)
            memcpy (import->last_key, key.data, key.len);
    }
    import->complete = chunk.last;
    import->next++;
    return STATUS_OK;
}

uint32_t store_import_chunk_next (const struct store_import *import)
{
    return import->next;
}

enum status store_import_finish (struct store_import *import, uint32_t *generation, struct store_error *error)
{
    maitre_assert (!import->finished);
    if (!import->complete)
        return store_fail (error, STATUS_FAILED_PRECONDITION, "chunk %u has not come yet", import->next);
    enum status status = sst_ingest (&import->sst, error);
    import->finished = true;
    *generation = import->generation;
    return status;
}

void store_import_close (struct store_import **import_at)
{
    struct store_import *import = *import_at;
    if (import == NULL)
        return;
    sst_close (&import->sst);
    atomic_fetch_sub (&import->store->imports, 1);
    atomic_fetch_sub (&import->store->readers, 1);
    free (import);
    *import_at = NULL;
}
