/* One data folder: who may open it, whose it is, and the two RocksDB databases in it (log and state).
 *
 * Room: node/store, not pure: files, fsync, RocksDB. Blocking. The only room that includes rocksdb/c.h.
 * The other headers of the room: store_log.h (turns: the synced Raft log), store_state.h (written-back state,
 * snapshots), table.h (the working state of one shard in memory), tree.h (the ordered tree under it, pure). Ownership:
 * the engine owns the one `struct store`. Thread safety: every function says which thread may call it; "any" means any
 * thread at any time between open and close. Source: design.md "Disk"; faults.md facts 1, 2 and 7; "Protocol-Aware
 * Recovery for Consensus-Based Storage" (FAST'18).
 *
 * The folder
 *   LOCK       flock by the process that has it open, with its pid as text
 *   FORMAT     "maitred-store 1": a newer number is refused
 *   IDENTITY   cluster id, node uuid, storage id, node index; written last of all when a folder is made
 *   SUSPECT    there while nothing recovered here may vote (design.md "Suspect"); holds the reason
 *   SALVAGED   there while batches of a rotten log/ were taken out, and no turn has closed the hole yet (store_log.h)
 *   REBUILD    there when a running node met damage in log/ that a start may not meet: the next one makes it anew
 *   MARK       number of the last synced turn, written without sync: tells a log that lost its end at a kill
 *   log/       RocksDB, WAL synced once a turn            state/     RocksDB without WAL, fed by whole SST files
 *   files/     small named files (store_file_put)         damaged-N/ what store_quarantine set aside
 *   log-new/ log-old/ damaged-log/   while log/ is made anew, and the last one that was (store_rebuild.c)
 *   log-seen/  links to the sorted files of log/ while it is opened (log_unlisted.c)
 *
 * Invariants
 *   1. A folder is open in one process at most, and only under the cluster that it was made for.
 *   2. Every file above is replaced whole: written beside, synced, renamed, folder synced.
 *   3. Nothing unsynced enters the log's WAL behind something unsynced: turn n + 1 is written only after turn n's sync.
 *   4. After a failed write or sync in the log the store is latched: every later commit fails; the process must end.
 *   5. A start that cut anything is suspect, and the mark is on disk before the first byte is cut.
 */
#ifndef MAITRED_NODE_STORE_STORE_H
#define MAITRED_NODE_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/runtime/bytes.h"
#include "schemas/runtime/ids.h"
#include "schemas/runtime/status.h"

#define STORE_FORMAT 1
#define STORE_FILE_BYTES_MAX (1024 * 1024)
#define STORE_FILE_NAME_LEN_MAX 64

struct store;

/* Why something failed, as one line for a person: who holds the lock, which turn is damaged. */
struct store_error {
    char text[512];
};

struct store_options {
    struct id cluster;               /* not zero; a folder of another cluster is refused */
    uint32_t node;                   /* 1..N in the written configuration; a folder of another node is refused */
    size_t log_memtable_bytes;       /* 0: 64 MiB. Bounds one WAL file too */
    size_t state_cache_bytes;        /* 0: 64 MiB of uncompressed blocks */
    uint64_t turn_bytes_max;         /* 0: 64 MiB: a turn refuses more */
    uint64_t compaction_bytes_per_s; /* 0: no limit */
    bool
        state_from_others; /* peers hold the same: a state database that does not open is set aside, and of a log that cannot be
                               read what is left is gone on with */
    bool background_nice; /* RocksDB's threads at low CPU priority (process-wide) */
};

struct store_identity {
    struct id cluster;
    struct id node;    /* uuid made with the folder: the gossip identity */
    struct id storage; /* made with the folder, and made anew by store_quarantine */
    uint32_t node_index;
};

/* Opens `dir`, or makes it (the parent must exist). A torn tail of the log's WAL is cut here; the store is then
 * suspect. *created (may be NULL) tells a folder made by this call. On OK the caller owns *store, until store_close.
 * FAILED_PRECONDITION: in use by another process, another cluster or node, a newer format, a log without an identity.
 * DATA_LOSS: a database that is not there or does not open, and peers do not hold the same (state_from_others): nothing was
 * changed in the log.
 * INTERNAL: the file system refused. error->text names the cause in each case. Thread: any, before all others. */
WARN_UNUSED enum status store_open (const char *dir, const struct store_options *options, struct store **store,
    bool *created, struct store_error *error);

/* Closes and nulls. No turn, snapshot, import or state call may be under way (asserted for snapshots and imports).
 * What was committed or written back stays; nothing else is flushed. */
void store_close (struct store **store);

/* Valid until store_close. Any thread. */
const struct store_identity *store_identity (const struct store *store);

/* True while nothing recovered from this folder may vote. *reason (may be NULL) is one line, valid until the next
 * store_suspect_* call. Reactor or main thread. */
bool store_suspect (const struct store *store, const char **reason);

/* Sets the mark on disk (synced) before it returns. The first reason is kept. INTERNAL when the disk
 * refuses the sync; an unsynced mark is then left. */
WARN_UNUSED enum status store_suspect_set (struct store *store, const char *reason);

/* Takes the mark away, once every replica of this folder was brought past the commit index by leaders elected without
 * it. INTERNAL when the disk refuses. */
WARN_UNUSED enum status store_suspect_clear (struct store *store);

/* Small named files, replaced whole and synced (invariant 2), with a checksum: the last committed map and peer keys,
 * for example. name: 1..64 of [a-z0-9_-]. Blocks for about two syncs. One thread at a time. put: INVALID_ARGUMENT for a
 * bad name or over 1 MiB, INTERNAL when the disk refuses (the old content stays). get: allocates *data (free it);
 * NOT_FOUND, DATA_LOSS when the checksum is wrong, INTERNAL. */
WARN_UNUSED enum status store_file_put (struct store *store, const char *name, struct bytes content);
WARN_UNUSED enum status store_file_get (struct store *store, const char *name, uint8_t **data, size_t *len);

/* Gossip's incarnation, kept as such a file: 0 when none was stored. Monotone: a lower one is INVALID_ARGUMENT. */
WARN_UNUSED enum status store_incarnation_get (struct store *store, uint64_t *incarnation);
WARN_UNUSED enum status store_incarnation_set (struct store *store, uint64_t incarnation);

/* Bytes that this process may still write to the folder's file system, and its size. INTERNAL. Any thread. */
WARN_UNUSED enum status store_disk_free (const struct store *store, uint64_t *free_bytes, uint64_t *total_bytes);

/* Sets a closed folder's databases aside (damaged-N/) and gives it a new storage id, keeping node uuid and files/: the
 * next store_open makes empty databases, and the node comes back as a learner. Same refusals as store_open's first. */
WARN_UNUSED enum status store_quarantine (
    const char *dir, const struct store_options *options, struct store_error *error);

struct store_stats {
    uint64_t turns;        /* committed since open */
    uint64_t turn_bytes;   /* packed bytes of those */
    uint64_t turn_last;    /* number of the last synced turn */
    uint64_t sync_us_last; /* write and sync of the last turn */
    uint64_t state_writes; /* write-backs since open */
    uint64_t state_bytes;  /* bytes of SST that those made */
    uint64_t state_level0_files;
    bool failed; /* invariant 4: latched */
};

/* Any thread. */
void store_stats (struct store *store, struct store_stats *stats);

#endif
