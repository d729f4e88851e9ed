/* A state database with rot in it is made anew from what of it can be read: RocksDB cannot take a block out, and the
 * first compaction that meets it would stop the database for all shards. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/failpoint/failpoint.h"
#include "node/store/sst.h"
#include "node/store/store_internal.h"
#include "schemas/runtime/assert.h"

/* While OLD is there it is the state database, whatever lies in state/; as GONE it is garbage. */
#define OLD "state-old"
#define GONE "state-gone"

enum status store_mend_undo (struct store *store, struct store_error *error)
{
    const struct folder *folder = &store->folder;
    bool fine = folder_remove_sub (folder, GONE);
    if (fine && small_file_exists (folder->dir, OLD))
        fine = folder_remove_sub (folder, "state") && folder_rename_sub (folder, OLD, "state");
    return fine ? STATUS_OK
                : store_fail (error, STATUS_INTERNAL, "%s: the mending of its state cannot be undone: %s", folder->dir,
                      strerror (errno));
}

enum status store_state_verify (struct store *store, uint32_t shard, uint64_t replica, uint32_t generation)
{
    uint64_t index, term;
    struct store_cursor *cursor;
    struct bytes key, value;
    enum status status = store_state_applied (store, shard, replica, generation, &index, &term);
    if (status == STATUS_OK)
        status =
            store_cursor_open (store, shard, replica, generation, (struct bytes){0}, (struct bytes){0}, false, &cursor);
    if (status != STATUS_OK)
        return status;
    while ((status = store_cursor_next (cursor, &key, &value)) == STATUS_OK)
        continue;
    store_cursor_close (&cursor);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* What of one replica is to be kept. */
struct target {
    uint32_t shard, generation;
    uint64_t replica;
    bool damaged;
};

struct store_mend {
    struct store *store;
    struct target *targets;
    size_t count, copied;
    struct sst sst;
};

static enum status copy_data (
    struct sst *sst, const struct target *target, struct store_cursor *cursor, struct store_error *error)
{
    struct state_key full;
    struct bytes key, value;
    enum status status;
    state_key_head (&full, target->shard, target->replica, target->generation, STATE_KEY_KIND_DATA);
    while ((status = store_cursor_next (cursor, &key, &value)) == STATUS_OK) {
        bool fits = state_key_set (&full, key);
        maitre_assert (fits);
        status = sst_put (sst, &full, value, error);
        if (status != STATUS_OK)
            return status;
    }
    return status == STATUS_NOT_FOUND
               ? STATUS_OK
               : store_fail (error, status, "the state of shard %u cannot be read twice", target->shard);
}

static enum status copy_replica (struct store_mend *mend, struct target *target, struct store_error *error)
{
    struct store *store = mend->store;
    struct sst *sst = &mend->sst;
    uint64_t index, term;
    enum status status = store_state_verify (store, target->shard, target->replica, target->generation);
    target->damaged = status == STATUS_DATA_LOSS;
    if (target->damaged)
        return STATUS_OK; /* left behind */
    if (status == STATUS_OK)
        status = store_state_applied (store, target->shard, target->replica, target->generation, &index, &term);
    if (status != STATUS_OK)
        return store_fail (error, status, "the state of shard %u cannot be read", target->shard);
    if (index == 0)
        return STATUS_OK; /* nothing was ever written back */
    struct store_cursor *cursor;
    mend->copied++;
    status = sst_put_applied (sst, target->shard, target->replica, target->generation, index, term, error);
    if (status == STATUS_OK)
        status = store_cursor_open (store, target->shard, target->replica, target->generation, (struct bytes){0},
            (struct bytes){0}, false, &cursor);
    if (status != STATUS_OK)
        return status;
    status = copy_data (sst, target, cursor, error);
    store_cursor_close (&cursor);
    return status;
}

static enum status choose_targets (struct store_mend *mend)
{
    struct store *store = mend->store;
    pthread_mutex_lock (&store->lock);
    mend->targets = calloc (store->registry.count + 1, sizeof *mend->targets);
    for (size_t i = 0; mend->targets != NULL && i < store->registry.count; i++) {
        const struct registry_record *record = store->registry.records[i];
        if (!record->removed)
            mend->targets[mend->count++] =
                (struct target){.shard = record->shard, .replica = record->replica, .generation = record->generation};
    }
    pthread_mutex_unlock (&store->lock);
    return mend->targets == NULL ? STATUS_RESOURCE_EXHAUSTED : STATUS_OK;
}

enum status store_mend_copy (struct store *store, struct store_mend **out, struct store_error *error)
{
    maitre_assert (store->recovered);
    struct store_mend *mend = calloc (1, sizeof *mend);
    if (mend == NULL)
        return store_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
    mend->store = store;
    enum status status = sst_open (&mend->sst, store, error);
    if (status == STATUS_OK && choose_targets (mend) != STATUS_OK)
        status = store_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
    if (status == STATUS_OK && failpoint (FAILPOINT_MEND_COPY))
        status = store_fail (error, STATUS_INTERNAL, "the new state cannot be written");
    for (size_t i = 0; i < mend->count && status == STATUS_OK; i++)
        status = copy_replica (mend, &mend->targets[i], error);
    if (status == STATUS_OK && mend->copied > 0)
        status = sst_finish (&mend->sst, error);
    if (status != STATUS_OK)
        store_mend_close (&mend);
    *out = mend;
    return status;
}

bool store_mend_damaged (const struct store_mend *mend, uint32_t shard, uint64_t replica)
{
    for (size_t i = 0; i < mend->count; i++) {
        if (mend->targets[i].shard == shard && mend->targets[i].replica == replica)
            return mend->targets[i].damaged;
    }
    return false;
}

bool store_mend_may_exchange (const struct store_mend *mend)
{
    return atomic_load (&mend->store->readers) == 0;
}

/* From here on a crash finds the old database under its other name. */
enum status store_mend_exchange (struct store_mend *mend, struct store_error *error)
{
    struct store *store = mend->store;
    maitre_assert (store_mend_may_exchange (mend));
    database_close (&store->state);
    if (!folder_rename_sub (&store->folder, "state", OLD))
        return store_fail (error, STATUS_INTERNAL, "%s cannot be set aside: %s", store->state_dir, strerror (errno));
    enum status status = failpoint (FAILPOINT_MEND_ASIDE)
                             ? store_fail (error, STATUS_INTERNAL, "a new state database cannot be made")
                             : database_open_state (store, true, error);
    if (status == STATUS_OK && mend->copied > 0)
        status = sst_ingest (&mend->sst, error);
    if (status == STATUS_OK && failpoint (FAILPOINT_MEND_FILLED))
        status = store_fail (error, STATUS_INTERNAL, "%s cannot be replaced", store->state_dir);
    if (status == STATUS_OK && !folder_rename_sub (&store->folder, OLD, GONE))
        status = store_fail (error, STATUS_INTERNAL, "%s cannot be replaced: %s", store->state_dir, strerror (errno));
    failpoint_pass (FAILPOINT_MEND_GONE);
    if (status == STATUS_OK && !folder_remove_sub (&store->folder, GONE))
        status = store_fail (error, STATUS_INTERNAL, "the old state cannot be removed: %s", strerror (errno));
    return status;
}

void store_mend_close (struct store_mend **mend_at)
{
    struct store_mend *mend = *mend_at;
    if (mend == NULL)
        return;
    sst_close (&mend->sst);
    free (mend->targets);
    free (mend);
    *mend_at = NULL;
}

enum status store_state_mend (struct store *store, struct store_error *error)
{
    struct store_mend *mend;
    enum status status = store_mend_copy (store, &mend, error);
    if (status == STATUS_OK)
        status = store_mend_exchange (mend, error);
    store_mend_close (&mend);
    return status;
}
