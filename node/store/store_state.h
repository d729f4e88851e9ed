/* The state database: what the shards' memory tables wrote back, read back on a miss, exported and imported.
 *
 * Room: node/store. It has no WAL: a write-back becomes one sorted SST file that is synced and taken in whole, so it is
 * either there with its applied indexes or not at all, and durable when the call returns; the log replays the rest.
 * Keys on disk: shard u32 | replica u64 | generation u32 | kind u8 (0 applied index, 1 data) | the table's key.
 * A chunk: format u16 (1) | last u16 | shard u32 | number u32 | index u64 | term u64 | count u32 | count times (key bytes
 * u16 | value bytes u32 | key | value) | checksum64 of all in front of it; big-endian, keys ascending across chunks.
 * Thread safety: write and sweep on one flush thread; get, scan, applied on any thread; each snapshot and each import on
 * one thread at a time, any.
 * Source: design.md "Disk"; faults.md R13, R14.
 *
 * Invariants
 *   1. Data and applied index of a replica change in one atomic step (R14), to a cut that existed in the log.
 *   2. An import writes a generation that nobody reads; only store_turn_install makes it live.
 *   3. A snapshot's content is that of its (index, term), whatever is written meanwhile.
 */
#ifndef MAITRED_NODE_STORE_STORE_STATE_H
#define MAITRED_NODE_STORE_STORE_STATE_H

#include "node/store/store.h"
#include "node/services/state.h"
#include "node/store/store_batch.h"

#define STORE_CHUNK_BYTES_MAX (256 * 1024)

/* Writes back n batches (at most one per replica) in one atomic, durable step; takes none of them over. Flush thread.
 * On OK each one's applied index is durable, and the tables may be told (table_write_back_done).
 * DATA_LOSS, INTERNAL: the database or its disk failed, nothing was taken in: end the process (the log replays). */
WARN_UNUSED enum status store_state_write (
    struct store *store, struct store_batch *const *batches, size_t n, struct store_error *error);

/* The durable applied index of a generation: 0, 0 when nothing was written back. DATA_LOSS, INTERNAL. */
WARN_UNUSED enum status store_state_applied (
    struct store *store, uint32_t shard, uint64_t replica, uint32_t generation, uint64_t *index, uint64_t *term);

/* Copies the value of one key to the heap (free *value). NOT_FOUND; DATA_LOSS when its block is damaged; INTERNAL. */
WARN_UNUSED enum status store_state_get (struct store *store, uint32_t shard, uint64_t replica, uint32_t generation,
    struct bytes key, uint8_t **value, size_t *value_len);

/* Ordered reading of one replica's keys in [from, to) (empty `to`: up to the end), forward or backward, over what was
 * written back when it was opened. Key and value are borrowed until the next call on the cursor. Close it before
 * store_close (asserted). open: RESOURCE_EXHAUSTED when memory is out.
 * next: NOT_FOUND at the end, DATA_LOSS, INTERNAL. */
struct store_cursor;
WARN_UNUSED enum status store_cursor_open (struct store *store, uint32_t shard, uint64_t replica, uint32_t generation,
    struct bytes from, struct bytes to, bool reverse, struct store_cursor **cursor);
WARN_UNUSED enum status store_cursor_next (struct store_cursor *cursor, struct bytes *key, struct bytes *value);
void store_cursor_close (struct store_cursor **cursor);

/* Deletes the state of removed replicas and of generations that are not live, at most `max` of them; *left tells whether
 * there may be more. Does nothing while an import is open. Flush thread. DATA_LOSS, INTERNAL. */
WARN_UNUSED enum status store_state_sweep (struct store *store, size_t max, bool *left, struct store_error *error);

/* The number of an empty generation above the live one, for a replica that starts over: a damaged one, with
 * store_turn_install (index 0, keep_log false), waits for its leader's entries or snapshot. Flush thread. INTERNAL. */
WARN_UNUSED enum status store_state_fresh (
    struct store *store, uint32_t shard, uint64_t replica, uint32_t *generation, struct store_error *error);

/* ---- rot ---- */

/* Reads all of one generation. DATA_LOSS when something of it is damaged; INTERNAL; RESOURCE_EXHAUSTED. */
WARN_UNUSED enum status store_state_verify (struct store *store, uint32_t shard, uint64_t replica, uint32_t generation);

/* Where the reading of a generation goes on; all zero: at its beginning. */
struct store_scrub_place {
    bool begun;
    size_t key_len;
    uint8_t key[STATE_KEY_BYTES_MAX];
};

/* Reads about bytes_max of a generation from *place on, past the caches as far as RocksDB lets it, and moves *place;
 * *over with the end. *bytes gets what was read. Any thread, one at a time. DATA_LOSS, INTERNAL (the disk): error tells;
 * of a generation that is not live any more neither means anything. */
WARN_UNUSED enum status store_state_scrub (struct store *store, uint32_t shard, uint64_t replica, uint32_t generation,
    struct store_scrub_place *place, size_t bytes_max, uint64_t *bytes, bool *over, struct store_error *error);

/* Tells the system to forget its copies of the state files, so that the next reading meets the disk. Any thread. */
void store_state_cool (struct store *store);

/* Damage was met: no more compaction, for the first one that met it would stop the database for all shards; the next
 * start makes it anew (store_state_mend). Any thread. */
void store_state_hold (struct store *store);

/* Makes the state database anew from the live generations that can be read; the others are empty then, applied index 0.
 * A crash in between leaves the old one. After recovery, before any other thread; no cursor, snapshot or import is open.
 * INTERNAL: the disk refused; the store is then good for nothing but store_close. */
WARN_UNUSED enum status store_state_mend (struct store *store, struct store_error *error);

/* The same while the node runs, in two steps. Copy: flush thread; no write-back, import, install or sweep until the
 * exchange or the close; reading goes on. INTERNAL: the disk refuses (no room, for example): nothing was changed.
 * Exchange: no other call of this header may be under way, and no cursor, snapshot or import be open (asserted by
 * may_exchange): the reactor's thread, with the others kept away; blocks for some 100 ms. A replica that is `damaged` has no
 * state then. INTERNAL: end the process; a start finds the old database. */
struct store_mend;
WARN_UNUSED enum status store_mend_copy (struct store *store, struct store_mend **mend, struct store_error *error);
bool store_mend_damaged (const struct store_mend *mend, uint32_t shard, uint64_t replica);
bool store_mend_may_exchange (const struct store_mend *mend);
WARN_UNUSED enum status store_mend_exchange (struct store_mend *mend, struct store_error *error);
void store_mend_close (struct store_mend **mend);

/* ---- export: the replica's last written-back cut, in chunks ---- */

struct store_snapshot;

/* Freezes the live generation as of its last write-back, of which *index and *term are the applied ones (so: write the
 * table back first). NOT_FOUND when nothing was ever written back. Any thread; one thread at a time per snapshot. */
WARN_UNUSED enum status store_snapshot_open (struct store *store, uint32_t shard, uint64_t replica,
    struct store_snapshot **snapshot, uint64_t *index, uint64_t *term);

/* The next chunk (borrowed until the next call; at most STORE_CHUNK_BYTES_MAX unless one value is larger), numbered
 * from 0; *last with the final one. Not to be called after it. DATA_LOSS, INTERNAL. */
WARN_UNUSED enum status store_snapshot_next (struct store_snapshot *snapshot, struct bytes *chunk, bool *last);
void store_snapshot_close (struct store_snapshot **snapshot);

/* ---- import: a leader's chunks into a new generation ---- */

struct store_import;

/* Begins a generation above the live one; what an interrupted import left there is deleted first. One import a replica.
 * (index, term) are the snapshot's. Waits for a sweep under way, and for a flush: milliseconds. INTERNAL. */
WARN_UNUSED enum status store_import_begin (struct store *store, uint32_t shard, uint64_t replica, uint64_t index,
    uint64_t term, struct store_import **import, struct store_error *error);

/* Takes the chunks in order. INVALID_ARGUMENT: not the chunk that comes next, or another shard's or index's (drop the
 * import, or go on with the right one: nothing was taken); DATA_LOSS: its checksum is wrong, likewise; INTERNAL: disk.
 */
WARN_UNUSED enum status store_import_chunk (struct store_import *import, struct bytes chunk);

/* Number of the chunk that comes next: where a sender resumes. */
uint32_t store_import_chunk_next (const struct store_import *import);

/* After the last chunk: everything is durable under *generation, which store_turn_install makes live. Until that turn is
 * committed the old generation is; a crash in between leaves the old one. FAILED_PRECONDITION before the last chunk;
 * DATA_LOSS, INTERNAL: the database or its disk failed. */
WARN_UNUSED enum status store_import_finish (
    struct store_import *import, uint32_t *generation, struct store_error *error);

/* Closes; without a finish before it, everything imported is dropped. After a finish: once the install is committed, for
 * a sweep would take the new generation for garbage. */
void store_import_close (struct store_import **import);

#endif
