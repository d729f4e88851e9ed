/* One node's data folder, made from a backup: a new cluster that begins with the state of another.
 *
 * Room: node/engine, not pure. No node runs on the folder meanwhile. Thread safety: one thread.
 *
 * Every node of the new cluster is given the same backup, and each makes its own folder, without speaking to another: what
 * they have in common follows from the backup and the configuration alone. Members may be as many as wanted; the number of
 * shards is that of the backup.
 *   Goes over     the state of each shard: entities, records of requests (exactly once holds over the restore), log time.
 *                 The log goes on behind the image's index and term, empty.
 *   Does not      votes, members, which nodes were replaced, the identity of folders and the cluster's, whose secret is
 *                 another, and with it every token and session. Replica ids begin at a place that only this backup in this
 *                 cluster has (record `origin`, schemas/placement.cddl): a node that was made from another backup, or from
 *                 none, is not understood by the others, and cannot vote or acknowledge with them.
 *
 * Invariants
 *   1. The folder has its name only when it is whole and synced; a failure leaves nothing under that name.
 *   2. Same backup, same configuration: same state, index, term, members and record in every node.
 */
#ifndef MAITRED_NODE_ENGINE_RESTORE_H
#define MAITRED_NODE_ENGINE_RESTORE_H

#include "node/backup/backup.h"
#include "node/engine/engine.h"

struct engine_restored {
    uint32_t shards; /* replicas made */
    struct backup_counts counts;
};

/* Makes config->data from the backup in dir. False: error tells; CONFIG: dir is no backup; FOLDER: config->data is not empty,
 * another number of shards, the cluster that was saved itself, a backup of a newer version; DAMAGE: the backup is damaged;
 * RESOURCES. */
_Bool engine_restore (
    const struct engine_config *config, const char *dir, struct engine_restored *restored, struct engine_error *error);

#endif
