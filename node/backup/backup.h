/* A backup on disk: its manifest, and the images of shards in it, read and checked.
 *
 * Room: node/backup, not pure: files. Blocking. maitre snapshot save (client/cli/snapshot_save.c) writes them; this reads.
 * Ownership: backup_open makes, backup_close frees. Thread safety: one thread at a time.
 * Source: schemas/backup.cddl, schemas/runtime/backup_format.h, node/store/store_state.h (chunks).
 *
 * Invariants
 *   1. Nothing of a file is believed before its digest was right: not its rows, not its own checksums.
 *   2. A manifest that was opened lists every shard of its cluster once, in order.
 *   3. Whatever the bytes are, reading ends with a status: no assertion depends on them.
 */
#ifndef MAITRED_NODE_BACKUP_BACKUP_H
#define MAITRED_NODE_BACKUP_BACKUP_H

#include "node/backup/backup_rows.h"
#include "node/services/state.h"
#include "schemas/generated/backup.h"
#include "schemas/runtime/arena.h"
#include "schemas/runtime/backup_format.h"
#include "schemas/runtime/bytes.h"
#include "schemas/runtime/status.h"

struct backup;

/* One line for a person: which file, what is wrong. */
struct backup_error {
    char text[512];
};

/* The bytes of a MANIFEST; *manifest borrows from them and from the arena (BACKUP_MANIFEST_ARENA_MAX). DATA_LOSS: damaged,
 * or it says what cannot be. UNIMPLEMENTED: of a newer format, and intact. */
WARN_UNUSED enum status backup_parse (
    struct bytes file, struct arena *arena, struct backup_manifest *manifest, struct backup_error *error);

/* Reads the chunks of an image, one after the other. */
struct backup_stream {
    uint32_t shard, next; /* number of the chunk that comes */
    uint64_t index, term;
    struct arena *scratch; /* backup_row_scratch_bytes () */
    bool over;
    size_t last_key_len;
    bool any;
    uint8_t last_key[STATE_KEY_BYTES_MAX];
};

/* Gives the rows of the next chunk, ascending, to `row` (which may be NULL); false from it: out of memory. DATA_LOSS: not the
 * chunk that comes next, rows out of order or of no table that there is; RESOURCE_EXHAUSTED. */
WARN_UNUSED enum status backup_stream_chunk (struct backup_stream *stream, struct bytes chunk,
    bool (*row) (void *argument, struct bytes key, struct bytes value), void *argument, struct backup_counts *counts,
    struct backup_error *error);

/* Opens the folder's manifest. NOT_FOUND: no folder, or no backup; INTERNAL: it cannot be read; RESOURCE_EXHAUSTED; and
 * those of backup_parse. */
WARN_UNUSED enum status backup_open (const char *dir, struct backup **backup, struct backup_error *error);
void backup_close (struct backup **backup);

const struct backup_manifest *backup_manifest (const struct backup *backup);
/* The digest at the manifest's end, which names this backup: BACKUP_DIGEST_BYTES. */
const uint8_t *backup_digest (const struct backup *backup);

/* Looks at one image's file alone: size and digest. DATA_LOSS, INTERNAL. */
WARN_UNUSED enum status backup_check_file (const struct backup *backup, uint32_t shard, struct backup_error *error);

/* The same, then puts every row into the state, which is empty (it holds something undefined after a failure), and has the
 * services recount it. DATA_LOSS, INTERNAL, RESOURCE_EXHAUSTED. counts may be NULL; it is added to. */
WARN_UNUSED enum status backup_load (const struct backup *backup, uint32_t shard, struct state *state,
    struct backup_counts *counts, struct backup_error *error);

#endif
