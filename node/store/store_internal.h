/* What the files of the room share: the open store and the RocksDB handles.
 *
 * Room: node/store, private. Lock order: `sweeping`, then `lock`, which is never held over a RocksDB write or sync.
 *
 * Invariant: only the writer thread changes registry and turn numbers after recovery, under `lock`; others read under it.
 */
#ifndef MAITRED_NODE_STORE_STORE_INTERNAL_H
#define MAITRED_NODE_STORE_STORE_INTERNAL_H

#include <pthread.h>
#include <rocksdb/c.h>
#include <stdatomic.h>

#include "node/store/folder.h"
#include "node/store/pack.h"
#include "node/store/registry.h"
#include "node/store/small_file.h"
#include "node/store/store_log.h"
#include "node/store/store_state.h"

/* One database and what opening it made. */
struct database {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write;
    rocksdb_ratelimiter_t *limiter;
    rocksdb_env_t *env;
};

/* In the data folder from before a salvage until the turn that closes its holes is synced. A lost batch need not leave a gap
 * in the numbers: its turn may have been dropped since, or have been the last. But terms, cuts and generations stood in it. */
#define STORE_SALVAGED "SALVAGED"
enum store_salvaged {
    STORE_SALVAGED_NOTHING = 0,
    STORE_SALVAGED_MIDDLE, /* what stood behind the damage was found */
    STORE_SALVAGED_END,    /* ... or not */
};

/* From what a log database was made anew. */
enum store_rebuild_from {
    STORE_REBUILD_NOT = 0,
    STORE_REBUILD_WHOLE, /* all that counts can be read: nothing is lost */
    STORE_REBUILD_LEFT,  /* the rows that can be found in its files: the folder is suspect, there are holes */
    STORE_REBUILD_EMPTY, /* nothing: all replicas start over */
};

/* Parts of turns that a start did not find: written as empty ones by the first turn, for the numbers must not have gaps. */
struct store_gap {
    uint64_t turn, turns; /* whole turns, or one part of one */
    uint32_t part, parts; /* parts 0: not known yet */
};

struct store {
    struct folder folder;
    char *log_dir, *state_dir, *ingest_dir, *files_dir;
    struct store_options options;
    struct database log, state;
    pthread_mutex_t lock;
    pthread_mutex_t sweeping; /* no import begins while a sweep looks for garbage */
    struct registry registry;
    bool recovered;
    bool wal_torn; /* store_verify.c: read up to the torn end */
    enum store_salvaged salvaged;
    bool holed; /* until the first turn: the log has gaps, or a replica's log is broken */
    enum store_rebuild_from rebuilt;
    char rebuilt_why[sizeof ((struct store_error *) NULL)->text];
    struct store_gap *gaps;
    size_t gaps_count;
    struct store_hole hole;         /* what the start found of that */
    uint64_t turn_first, turn_last; /* turns in the log: [first, last]; first = last + 1 when it is empty */
    uint32_t *turn_bytes;           /* ring of the packed bytes of those, by turn */
    size_t turn_room;
    uint64_t log_bytes;
    uint64_t collect_from_turn; /* next turn at which to look for turns that nobody needs */
    atomic_bool failed;
    atomic_uint readers;     /* open cursors, snapshots and imports */
    atomic_uint imports;     /* open imports among them */
    atomic_uint file_number; /* names of SST files on their way in */
    struct store_stats stats;
};

/* RocksDB's error string, freed here, as a status: DATA_LOSS for corruption, else INTERNAL. error gets "what: text". */
enum status database_fail (struct store_error *error, const char *what, char *text);

enum database_use { DATABASE_READ, DATABASE_WRITE, DATABASE_CREATE };
WARN_UNUSED enum status database_open_log_at (
    struct store *store, struct database *log, const char *dir, enum database_use use, struct store_error *error);
WARN_UNUSED enum status database_open_log (struct store *store, bool create, struct store_error *error);
WARN_UNUSED enum status database_open_state (struct store *store, bool create, struct store_error *error);
void database_close (struct database *database);

/* Whether a file stands there of which nobody finds anything. RocksDB 7.8 takes a file in, and says that all is well, also
 * where it could not read which keys the file has: it has no bounds then. No key of ours is empty. */
bool database_unbounded (const struct database *database);

/* Deletes SST files that a crash left on their way into the state database. INTERNAL. */
WARN_UNUSED enum status store_state_forget_ingest (struct store *store, struct store_error *error);

/* A mending that a crash interrupted: the old state database is put back. Before it is opened. INTERNAL. */
WARN_UNUSED enum status store_mend_undo (struct store *store, struct store_error *error);

struct state_key; /* state_key.h */

/* One key of the state database on the heap. NOT_FOUND, DATA_LOSS, INTERNAL. */
WARN_UNUSED enum status store_state_read (
    struct store *store, const struct state_key *key, uint8_t **value, size_t *value_len);

/* The value of an applied-index key. DATA_LOSS when it is damaged. */
WARN_UNUSED enum status store_state_parse_applied (
    const struct state_key *key, struct bytes value, uint64_t *index, uint64_t *term);

/* Notes the packed size of turn_last, just committed or recovered. Lock held (or before any other thread). */
void store_log_note_turn (struct store *store, uint64_t turn, size_t bytes);

/* ---- store_hole.c */

/* What the mark of a salvage says. */
enum store_salvaged store_hole_marked (const struct store *store);

/* What the scan of the write-ahead files called rot: the folder becomes suspect, what is left takes their place, and they
 * are kept in damaged-N/. Before the log is opened. INTERNAL. */
WARN_UNUSED enum status store_hole_salvage (struct store *store, const char *reason, struct store_error *error);

/* These whole turns (part 0, parts 1), or this part of one (parts 0: store_hole_parts follows), are lost. False: no memory. */
WARN_UNUSED bool store_hole_note (struct store *store, uint64_t turn, uint64_t turns, uint32_t part, uint32_t parts);
void store_hole_parts (struct store *store, uint64_t turn, uint32_t parts);

/* The first turn: empty parts where some were lost. */
void store_hole_fill (const struct store *store, rocksdb_writebatch_t *batch);

/* That turn is synced: takes the mark of the salvage away. INTERNAL: it stays, and the next start looks once more. */
WARN_UNUSED enum status store_hole_close (struct store *store);

/* That turn is synced, or the store is closed. */
void store_hole_forget (struct store *store);

/* ---- store_rebuild.c */

/* Closes the log database, makes it anew and opens it. WHOLE takes what is LEFT where it must. error->text: why. DATA_LOSS: no
 * other node has what may be lost, nothing was changed; or the new one is as bad. INTERNAL: nothing was changed, but the
 * folder may be suspect. */
WARN_UNUSED enum status store_rebuild (struct store *store, enum store_rebuild_from from, struct store_error *error);

/* What a start would make of the log that is closed, as a database in `dir`, an empty folder elsewhere; nothing else is
 * written. left: of what is left of it, else of nothing. INTERNAL. */
WARN_UNUSED enum status store_rebuild_view (struct store *store, const char *dir, bool left, struct store_error *error);

/* Ends or undoes what a crash interrupted, before the log is looked at. INTERNAL. */
WARN_UNUSED enum status store_rebuild_settle (struct store *store, struct store_error *error);

/* The next start makes the log anew, for this process has met damage that a start may not meet. Whether it is asked to. */
void store_rebuild_ask (struct store *store, const char *why);
bool store_rebuild_asked (const struct store *store, struct store_error *why);

/* ---- log_unlisted.c: sorted files that the log's index has lost */

/* Before the log is opened: all its sorted files are kept until they were looked at. INTERNAL. */
WARN_UNUSED enum status log_unlisted_keep (struct store *store, struct store_error *error);

/* The log is open. DATA_LOSS: one that it does not list holds what it does not know. INTERNAL. */
WARN_UNUSED enum status log_unlisted_check (struct store *store, struct store_error *error);

/* Those that were kept are in the log's folder again, for store_rebuild; or are kept no longer. INTERNAL. */
WARN_UNUSED enum status log_unlisted_restore (struct store *store, struct store_error *error);
WARN_UNUSED enum status log_unlisted_forget (struct store *store, struct store_error *error);

/* Reads what had been dropped of the log and still stands in its files: a compaction that meets damage there stops the
 * database for good. DATA_LOSS, INTERNAL. */
WARN_UNUSED enum status store_log_check_dropped (struct store *store, struct store_error *error);

/* As before anything of the log was read. */
void store_log_forget (struct store *store);

/* Forgets the sizes of turns below `first`. Lock held. */
void store_log_forget_turns (struct store *store, uint64_t first);

#endif
