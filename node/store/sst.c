#include "node/store/sst.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum status sst_open (struct sst *sst, struct store *store, struct store_error *error)
{
    char name[32];
    snprintf (name, sizeof name, "%u.sst", atomic_fetch_add (&store->file_number, 1));
    *sst = (struct sst){.store = store, .path = small_file_path (store->ingest_dir, name)};
    if (sst->path == NULL)
        return store_fail (error, STATUS_INTERNAL, "out of memory");
    sst->env = rocksdb_envoptions_create ();
    sst->writer = rocksdb_sstfilewriter_create (sst->env, store->state.options);
    char *failed = NULL;
    rocksdb_sstfilewriter_open (sst->writer, sst->path, &failed);
    return failed == NULL ? STATUS_OK : database_fail (error, "a state file cannot be made", failed);
}

enum status sst_put (struct sst *sst, const struct state_key *key, struct bytes value, struct store_error *error)
{
    char *failed = NULL;
    rocksdb_sstfilewriter_put (
        sst->writer, (const char *) key->data, key->len, (const char *) value.data, value.len, &failed);
    return failed == NULL ? STATUS_OK : database_fail (error, "a state file cannot be written", failed);
}

enum status sst_remove (struct sst *sst, const struct state_key *key, struct store_error *error)
{
    char *failed = NULL;
    rocksdb_sstfilewriter_delete (sst->writer, (const char *) key->data, key->len, &failed);
    return failed == NULL ? STATUS_OK : database_fail (error, "a state file cannot be written", failed);
}

enum status sst_put_applied (struct sst *sst, uint32_t shard, uint64_t replica, uint32_t generation, uint64_t index,
    uint64_t term, struct store_error *error)
{
    struct state_key key;
    state_key_head (&key, shard, replica, generation, STATE_KEY_KIND_APPLIED);
    uint8_t sealed[1 + 16 + PACK_SUM_BYTES];
    bytes_put_u64 (sealed + 1, index);
    bytes_put_u64 (sealed + 9, term);
    size_t len = pack_seal (state_key_bytes (&key), sealed, 16);
    return sst_put (sst, &key, bytes_of (sealed, len), error);
}

enum status sst_ingest (struct sst *sst, struct store_error *error)
{
    struct store *store = sst->store;
    char *failed = NULL;
    uint64_t bytes = 0;
    rocksdb_sstfilewriter_finish (sst->writer, &failed);
    if (failed != NULL)
        return database_fail (error, "a state file cannot be finished", failed);
    rocksdb_sstfilewriter_file_size (sst->writer, &bytes);
    rocksdb_ingestexternalfileoptions_t *options = rocksdb_ingestexternalfileoptions_create ();
    rocksdb_ingestexternalfileoptions_set_move_files (options, 1);
    const char *paths[] = {sst->path};
    rocksdb_ingest_external_file (store->state.db, paths, 1, options, &failed);
    rocksdb_ingestexternalfileoptions_destroy (options);
    if (failed != NULL)
        return database_fail (error, "the state database does not take a file in", failed);
    pthread_mutex_lock (&store->lock);
    store->stats.state_writes++;
    store->stats.state_bytes += bytes;
    pthread_mutex_unlock (&store->lock);
    return STATUS_OK;
}

void sst_close (struct sst *sst)
{
    if (sst->writer != NULL)
        rocksdb_sstfilewriter_destroy (sst->writer);
    if (sst->env != NULL)
        rocksdb_envoptions_destroy (sst->env);
    if (sst->path != NULL)
        unlink (sst->path); /* taken in, it lives on under the database's own name */
    free (sst->path);
    *sst = (struct sst){0};
}
