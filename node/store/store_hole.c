/* Rot in a stopped node's log: what is left is saved, and the gaps are closed by the first turn (invariant 4). */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/failpoint/failpoint.h"
#include "node/store/store_internal.h"
#include "node/store/wal.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/checksum.h"

/* ---- the write-ahead files */

/* The damaged file goes to `aside`, the one that was saved takes its place: at every moment one of the two is there. */
static bool exchange_file (const struct store *store, const char *aside, const char *name)
{
    char *old = small_file_path (store->log_dir, name), *kept = small_file_path (aside, name);
    char *saved = small_file_path (store->ingest_dir, name);
    bool done = old != NULL && kept != NULL && saved != NULL && link (old, kept) == 0 && rename (saved, old) == 0;
    free (old);
    free (kept);
    free (saved);
    return done;
}

static bool exchange_files (const struct store *store, const char *aside)
{
    DIR *folder = opendir (store->ingest_dir);
    struct dirent *item;
    bool fine = folder != NULL;
    while (fine && (item = readdir (folder)) != NULL) {
        const char *end = strrchr (item->d_name, '.');
        if (end != NULL && strcmp (end, ".log") == 0)
            fine = exchange_file (store, aside, item->d_name);
    }
    if (folder != NULL)
        closedir (folder);
    return fine && small_file_sync_dir (aside) == STATUS_OK && small_file_sync_dir (store->log_dir) == STATUS_OK;
}

enum store_salvaged store_hole_marked (const struct store *store)
{
    uint8_t *text = NULL;
    size_t len = 0;
    enum status status = small_file_read (store->folder.dir, STORE_SALVAGED, 64, &text, &len);
    bool middle = status == STATUS_OK && strcmp ((const char *) text, "middle") == 0;
    free (text);
    return status == STATUS_NOT_FOUND ? STORE_SALVAGED_NOTHING : middle ? STORE_SALVAGED_MIDDLE : STORE_SALVAGED_END;
}

enum status store_hole_salvage (struct store *store, const char *reason, struct store_error *error)
{
    struct wal_salvaged salvaged;
    char *aside = NULL;
    enum status status = store_state_forget_ingest (store, error);
    if (status == STATUS_OK)
        status = folder_suspect_set (&store->folder, reason);
    if (status == STATUS_OK)
        status = wal_salvage (store->log_dir, store->ingest_dir, &salvaged, error);
    if (status == STATUS_OK && store_hole_marked (store) != STORE_SALVAGED_END)
        status = small_file_write (
            store->folder.dir, STORE_SALVAGED, salvaged.end_lost ? BYTES_LITERAL ("end") : BYTES_LITERAL ("middle"));
    if (status == STATUS_OK)
        status = folder_make_aside (&store->folder, &aside, error);
    failpoint_pass (FAILPOINT_SALVAGE_BEFORE);
    if (status == STATUS_OK && !exchange_files (store, aside))
        status = store_fail (error, STATUS_INTERNAL, "the damaged files of %s cannot be set aside: %s", store->log_dir,
            strerror (errno));
    failpoint_pass (FAILPOINT_SALVAGE_AFTER);
    free (aside);
    return status;
}

/* ---- gaps */

static void count_lost (struct store *store, uint64_t turn, uint64_t turns)
{
    struct store_hole *hole = &store->hole;
    if (hole->turns > 0 && hole->turn_last >= turn)
        return; /* another part of the same turn */
    if (hole->turns == 0)
        hole->turn_first = turn;
    hole->turns += turns;
    hole->turn_last = turn + turns - 1;
}

bool store_hole_note (struct store *store, uint64_t turn, uint64_t turns, uint32_t part, uint32_t parts)
{
    struct store_gap *grown = realloc (store->gaps, (store->gaps_count + 1) * sizeof *grown);
    if (grown == NULL)
        return false;
    store->gaps = grown;
    grown[store->gaps_count++] = (struct store_gap){.turn = turn, .turns = turns, .part = part, .parts = parts};
    count_lost (store, turn, turns);
    store->holed = true;
    return true;
}

void store_hole_parts (struct store *store, uint64_t turn, uint32_t parts)
{
    for (size_t i = store->gaps_count; i-- > 0 && store->gaps[i].turn == turn;)
        store->gaps[i].parts = parts;
}

static void put_empty_part (rocksdb_writebatch_t *batch, uint64_t turn, const struct store_gap *gap)
{
    uint8_t key[PACK_TURN_KEY_BYTES], value[PACK_HEADER_BYTES + PACK_SUM_BYTES];
    struct pack_part part = {.turn = turn, .part = gap->part, .parts = gap->parts};
    maitre_assert (gap->part < gap->parts);
    pack_turn_key (key, turn, (uint16_t) gap->part);
    pack_write_header (value, &part, 0);
    bytes_put_u64 (value + PACK_HEADER_BYTES, checksum64 (0, bytes_of (value, PACK_HEADER_BYTES)));
    rocksdb_writebatch_put (batch, (const char *) key, sizeof key, (const char *) value, sizeof value);
}

void store_hole_fill (const struct store *store, rocksdb_writebatch_t *batch)
{
    if (store->salvaged != STORE_SALVAGED_NOTHING) { /* what a lost batch had dropped stands there again */
        uint8_t from[PACK_TURN_KEY_BYTES], to[PACK_TURN_KEY_BYTES];
        pack_turn_key (from, 0, 0);
        pack_turn_key (to, store->turn_first, 0);
        rocksdb_writebatch_delete_range (batch, (const char *) from, sizeof from, (const char *) to, sizeof to);
    }
    for (size_t i = 0; i < store->gaps_count; i++) {
        for (uint64_t n = 0; n < store->gaps[i].turns; n++)
            put_empty_part (batch, store->gaps[i].turn + n, &store->gaps[i]);
    }
}

enum status store_hole_close (struct store *store)
{
    enum status status = STATUS_OK;
    if (store->salvaged != STORE_SALVAGED_NOTHING)
        status = small_file_remove (store->folder.dir, STORE_SALVAGED);
    if (status == STATUS_OK)
        store->salvaged = STORE_SALVAGED_NOTHING;
    return status;
}

void store_hole_forget (struct store *store)
{
    free (store->gaps);
    store->gaps = NULL;
    store->gaps_count = 0;
    store->holed = false;
}

bool store_log_holed (const struct store *store, struct store_hole *hole)
{
    if (hole != NULL)
        *hole = store->hole;
    return store->holed;
}
