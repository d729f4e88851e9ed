/* A sorted run on its way into the state database: written as files of about SST_FILE_BYTES (a file's filter must fit into
 * a shard of the block cache), synced, and taken in whole.
 *
 * Room: node/store, private. Flush thread. Until sst_ingest returns OK nothing of it is visible; files that a crash left
 * behind are deleted at the next start.
 */
#ifndef MAITRED_NODE_STORE_SST_H
#define MAITRED_NODE_STORE_SST_H

#include "node/store/state_key.h"
#include "node/store/store_internal.h"

#define SST_FILE_BYTES ((size_t) 32 * 1024 * 1024)
#define SST_FILE_BYTES_BRIEF ((size_t) 8 * 1024 * 1024) /* where somebody waits for each file to be synced */

struct sst {
    struct store *store;
    char **paths; /* the last one is being written while writer is not NULL */
    size_t count, room;
    rocksdb_envoptions_t *env;
    rocksdb_sstfilewriter_t *writer;
    size_t bytes; /* keys and values of the current file */
    size_t bytes_max;
};

/* INTERNAL. Pair with sst_close whatever happens. bytes_max may be changed until the first put. */
WARN_UNUSED enum status sst_open (struct sst *sst, struct store *store, struct store_error *error);

/* Keys ascend strictly. INTERNAL when the disk refuses. */
WARN_UNUSED enum status sst_put (
    struct sst *sst, const struct state_key *key, struct bytes value, struct store_error *error);
WARN_UNUSED enum status sst_remove (struct sst *sst, const struct state_key *key, struct store_error *error);

/* The applied index of a generation, which goes in front of its data. */
WARN_UNUSED enum status sst_put_applied (struct sst *sst, uint32_t shard, uint64_t replica, uint32_t generation,
    uint64_t index, uint64_t term, struct store_error *error);

/* Syncs and closes the files, before sst_ingest or within it: nothing more is put. At least one key was. INTERNAL. */
WARN_UNUSED enum status sst_finish (struct sst *sst, struct store_error *error);

/* Syncs the files and makes them part of the database in one step. DATA_LOSS, INTERNAL. */
WARN_UNUSED enum status sst_ingest (struct sst *sst, struct store_error *error);

/* Deletes the files unless they were taken in. */
void sst_close (struct sst *sst);

#endif
