#include "node/store/sst.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/failpoint/failpoint.h"

/* RESOURCE_EXHAUSTED: the disk is full. Nothing of the file is live, so whoever writes it may try again. */
static enum status fail_write (struct store_error *error, char *failed)
{
    bool full = strstr (failed, "No space left") != NULL;
    enum status status = database_fail (error, "a state file cannot be written", failed);
    return full ? STATUS_RESOURCE_EXHAUSTED : status;
}

/* Begins the next file. */
static enum status begin_file (struct sst *sst, struct store_error *error)
{
    if (sst->count == sst->room) {
        size_t room = sst->room + 16;
        char **grown = realloc (sst->paths, room * sizeof *grown);
        if (grown == NULL)
            return store_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
        sst->paths = grown;
        sst->room = room;
    }
    char name[32];
    snprintf (name, sizeof name, "%u.sst", atomic_fetch_add (&sst->store->file_number, 1));
    char *path = small_file_path (sst->store->ingest_dir, name);
    if (path == NULL)
        return store_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
    sst->paths[sst->count++] = path;
    sst->bytes = 0;
    sst->writer = rocksdb_sstfilewriter_create (sst->env, sst->store->state.options);
    char *failed = NULL;
    rocksdb_sstfilewriter_open (sst->writer, path, &failed);
    return failed == NULL ? STATUS_OK : fail_write (error, failed);
}

/* Syncs and closes the current file. */
static enum status end_file (struct sst *sst, struct store_error *error)
{
    char *failed = NULL;
    uint64_t bytes = 0;
    if (failpoint (FAILPOINT_STATE_FILE_BEFORE))
        failed = failpoint_text (FAILPOINT_STATE_FILE_BEFORE);
    else
        rocksdb_sstfilewriter_finish (sst->writer, &failed);
    if (failed != NULL)
        return fail_write (error, failed);
    failpoint_pass (FAILPOINT_STATE_FILE_AFTER);
    rocksdb_sstfilewriter_file_size (sst->writer, &bytes);
    rocksdb_sstfilewriter_destroy (sst->writer);
    sst->writer = NULL;
    pthread_mutex_lock (&sst->store->lock);
    sst->store->stats.state_bytes += bytes;
    pthread_mutex_unlock (&sst->store->lock);
    return STATUS_OK;
}

enum status sst_open (struct sst *sst, struct store *store, struct store_error *error)
{
    *sst = (struct sst){.store = store, .env = rocksdb_envoptions_create (), .bytes_max = SST_FILE_BYTES};
    return begin_file (sst, error);
}

static enum status make_room (struct sst *sst, size_t len, struct store_error *error)
{
    enum status status = STATUS_OK;
    if (sst->bytes + len > sst->bytes_max && sst->bytes > 0) {
        status = end_file (sst, error);
        if (status == STATUS_OK)
            status = begin_file (sst, error);
    }
    sst->bytes += len;
    return status;
}

enum status sst_put (struct sst *sst, const struct state_key *key, struct bytes value, struct store_error *error)
{
    enum status status = make_room (sst, key->len + value.len, error);
    if (status != STATUS_OK)
        return status;
    char *failed = NULL;
    rocksdb_sstfilewriter_put (
        sst->writer, (const char *) key->data, key->len, (const char *) value.data, value.len, &failed);
    return failed == NULL ? STATUS_OK : fail_write (error, failed);
}

enum status sst_remove (struct sst *sst, const struct state_key *key, struct store_error *error)
{
    enum status status = make_room (sst, key->len, error);
    if (status != STATUS_OK)
        return status;
    char *failed = NULL;
    rocksdb_sstfilewriter_delete (sst->writer, (const char *) key->data, key->len, &failed);
    return failed == NULL ? STATUS_OK : fail_write (error, failed);
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

enum status sst_finish (struct sst *sst, struct store_error *error)
{
    return sst->writer == NULL ? STATUS_OK : end_file (sst, error);
}

/* What nobody finds is taken out again: as if it had never come. Of several files the others would stay, so this one does as
 * well, and the next start finds it: that state is filled anew. */
static enum status take_out (struct sst *sst, struct store_error *error)
{
    char *failed = NULL;
    if (sst->count == 1)
        rocksdb_delete_file_in_range (sst->store->state.db, "", 0, "", 0, &failed);
    rocksdb_free (failed);
    return store_fail (error, STATUS_INTERNAL, "the state database could not read a file that it took in");
}

enum status sst_ingest (struct sst *sst, struct store_error *error)
{
    struct store *store = sst->store;
    enum status status = sst_finish (sst, error);
    if (status != STATUS_OK)
        return status;
    char *failed = NULL;
    rocksdb_ingestexternalfileoptions_t *options = rocksdb_ingestexternalfileoptions_create ();
    rocksdb_ingestexternalfileoptions_set_move_files (options, 1);
    if (failpoint (FAILPOINT_STATE_INGEST_BEFORE))
        failed = failpoint_text (FAILPOINT_STATE_INGEST_BEFORE);
    else
        rocksdb_ingest_external_file (store->state.db, (const char *const *) sst->paths, sst->count, options, &failed);
    failpoint_pass (FAILPOINT_STATE_INGEST_AFTER);
    rocksdb_ingestexternalfileoptions_destroy (options);
    if (failed != NULL)
        return database_fail (error, "the state database does not take files in", failed);
    if (database_unbounded (&store->state))
        return take_out (sst, error);
    pthread_mutex_lock (&store->lock);
    store->stats.state_writes++;
    pthread_mutex_unlock (&store->lock);
    return STATUS_OK;
}

void sst_close (struct sst *sst)
{
    if (sst->writer != NULL)
        rocksdb_sstfilewriter_destroy (sst->writer);
    if (sst->env != NULL)
        rocksdb_envoptions_destroy (sst->env);
    for (size_t i = 0; i < sst->count; i++) {
        unlink (sst->paths[i]); /* taken in, it lives on under the database's own name */
        free (sst->paths[i]);
    }
    free (sst->paths);
    *sst = (struct sst){0};
}
