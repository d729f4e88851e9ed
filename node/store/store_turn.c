/* Building a turn in memory, and its one synced write. */
#include "node/store/store_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "node/failpoint/failpoint.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/checksum.h"
#include "schemas/runtime/planted.h"

/* What a reset turn keeps of its memory. */
#define KEEP_BYTES (4u * 1024 * 1024)

/* How many turns pass between two looks for turns that nobody needs. */
#define COLLECT_INTERVAL 64

struct turn_part {
    uint8_t *data;
    size_t len, room;
    uint32_t groups;
};

struct store_turn {
    struct store *store;
    struct turn_part *parts;
    size_t parts_used, parts_room;
    struct registry_change *changes;
    size_t changes_count, changes_room;
    uint32_t groups;
    uint64_t bytes;
    rocksdb_writebatch_t *batch;
    uint64_t number;
};

struct store_turn *store_turn_new (struct store *store)
{
    struct store_turn *turn = calloc (1, sizeof *turn);
    if (turn == NULL)
        return NULL;
    turn->store = store;
    turn->batch = rocksdb_writebatch_create ();
    return turn;
}

void store_turn_destroy (struct store_turn **turn_at)
{
    struct store_turn *turn = *turn_at;
    if (turn == NULL)
        return;
    store_turn_reset (turn);
    for (size_t i = 0; i < turn->parts_room; i++)
        free (turn->parts[i].data);
    free (turn->parts);
    free (turn->changes);
    rocksdb_writebatch_destroy (turn->batch);
    free (turn);
    *turn_at = NULL;
}

void store_turn_reset (struct store_turn *turn)
{
    for (size_t i = 0; i < turn->changes_count; i++)
        free (turn->changes[i].config);
    size_t kept = 0;
    for (size_t i = 0; i < turn->parts_room; i++) {
        struct turn_part *part = &turn->parts[i];
        kept += part->room;
        if (kept > KEEP_BYTES) {
            kept -= part->room;
            free (part->data);
            *part = (struct turn_part){0};
        }
        part->len = 0;
        part->groups = 0;
    }
    turn->parts_used = turn->changes_count = 0;
    turn->groups = 0;
    turn->bytes = 0;
}

bool store_turn_empty (const struct store_turn *turn)
{
    return turn->changes_count == 0;
}

uint64_t store_turn_number (const struct store_turn *turn)
{
    return turn->number;
}

static struct registry_change *change_new (
    struct store_turn *turn, enum registry_kind kind, uint32_t shard, uint64_t replica)
{
    if (turn->changes_count == turn->changes_room) {
        size_t room = turn->changes_room == 0 ? 128 : turn->changes_room * 2;
        struct registry_change *grown = realloc (turn->changes, room * sizeof *grown);
        if (grown == NULL)
            return NULL;
        turn->changes = grown;
        turn->changes_room = room;
    }
    struct registry_change *change = &turn->changes[turn->changes_count++];
    *change = (struct registry_change){.kind = kind, .shard = shard, .replica = replica};
    return change;
}

/* A new, empty part with room for its header, or NULL. */
static struct turn_part *part_new (struct store_turn *turn)
{
    if (turn->parts_used == UINT16_MAX)
        return NULL;
    if (turn->parts_used == turn->parts_room) {
        size_t room = turn->parts_room + 4;
        struct turn_part *grown = realloc (turn->parts, room * sizeof *grown);
        if (grown == NULL)
            return NULL;
        memset (grown + turn->parts_room, 0, 4 * sizeof *grown);
        turn->parts = grown;
        turn->parts_room = room;
    }
    struct turn_part *part = &turn->parts[turn->parts_used++];
    part->len = PACK_HEADER_BYTES;
    part->groups = 0;
    return part;
}

/* `len` bytes at the end of a part (room for the checksum stays behind them), or NULL. */
static uint8_t *part_extend (struct turn_part *part, size_t len)
{
    size_t need = part->len + len + PACK_SUM_BYTES;
    if (need > part->room) {
        size_t room = part->room == 0 ? 16 * 1024 : part->room * 2;
        if (room < need)
            room = need;
        uint8_t *grown = realloc (part->data, room);
        if (grown == NULL)
            return NULL;
        part->data = grown;
        part->room = room;
    }
    uint8_t *at = part->data + part->len;
    part->len += len;
    return at;
}

static struct turn_part *part_with_room (struct store_turn *turn, size_t len)
{
    struct turn_part *part = turn->parts_used > 0 ? &turn->parts[turn->parts_used - 1] : NULL;
    if (part != NULL && part->len + len <= PACK_PART_BYTES)
        return part;
    return part_new (turn);
}

/* Writes one group with as many entries as the part takes (one at least); returns how many, 0 with none or when out of
 * memory (*fits false). */
static size_t write_group (
    struct store_turn *turn, struct pack_group group, const struct store_entry *entries, size_t n, bool *fits)
{
    size_t first_len = PACK_GROUP_BYTES + (n > 0 ? PACK_ENTRY_BYTES + entries[0].payload.len : 0);
    struct turn_part *part = part_with_room (turn, first_len);
    *fits = part != NULL && part_extend (part, PACK_GROUP_BYTES) != NULL;
    if (!*fits)
        return 0;
    size_t group_at = part->len - PACK_GROUP_BYTES, taken = 0;
    while (taken < n) {
        const struct store_entry *entry = &entries[taken];
        size_t len = PACK_ENTRY_BYTES + entry->payload.len;
        if (taken > 0 && part->len + len > PACK_PART_BYTES)
            break;
        uint8_t *out = part_extend (part, len);
        if (out == NULL) {
            *fits = false;
            return 0;
        }
        pack_write_entry (out, group.shard, group.replica, entry);
        if (entry->payload.len > 0)
            memcpy (out + PACK_ENTRY_BYTES, entry->payload.data, entry->payload.len);
        taken++;
    }
    group.count = (uint32_t) taken;
    pack_write_group (part->data + group_at, &group);
    part->groups++;
    turn->bytes += part->len - group_at;
    return taken;
}

enum status store_turn_append (struct store_turn *turn, uint32_t shard, uint64_t replica, uint64_t truncate_from,
    const struct store_entry *entries, size_t n)
{
    uint64_t bytes = turn->bytes;
    for (size_t i = 0; i < n; i++) {
        maitre_assert (entries[i].index == entries[0].index + i);
        maitre_assert (entries[i].index > 0 && entries[i].type <= UINT8_MAX);
        if (entries[i].payload.len > STORE_ENTRY_BYTES_MAX)
            return STATUS_INVALID_ARGUMENT;
        bytes += PACK_ENTRY_BYTES + entries[i].payload.len;
    }
    maitre_assert (n == 0 || truncate_from <= entries[0].index);
    if (bytes > turn->store->options.turn_bytes_max)
        return STATUS_RESOURCE_EXHAUSTED;
    if (n == 0 && truncate_from == 0)
        return STATUS_OK;
    size_t done = 0;
    do {
        struct registry_change *change = change_new (turn, REGISTRY_APPEND, shard, replica);
        if (change == NULL)
            return STATUS_RESOURCE_EXHAUSTED;
        change->group = turn->groups++;
        change->truncate_from = done == 0 ? truncate_from : 0;
        change->first_index = n > 0 ? entries[done].index : 0;
        struct pack_group group = {.shard = shard,
            .replica = replica,
            .truncate_from = change->truncate_from,
            .first_index = change->first_index};
        bool fits;
        change->count = write_group (turn, group, n > 0 ? entries + done : NULL, n - done, &fits);
        if (!fits)
            return STATUS_RESOURCE_EXHAUSTED;
        done += change->count;
    } while (done < n);
    return STATUS_OK;
}

enum status store_turn_hard_state (
    struct store_turn *turn, uint32_t shard, uint64_t replica, uint64_t term, uint64_t vote)
{
    struct registry_change *change = change_new (turn, REGISTRY_HARD_STATE, shard, replica);
    if (change == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    change->term = term;
    change->vote = vote;
    turn->bytes += 64;
    return STATUS_OK;
}

static enum status add_cut (struct store_turn *turn, enum registry_kind kind, uint32_t shard, uint64_t replica,
    uint64_t index, uint64_t term, struct bytes config, struct registry_change **added)
{
    if (config.len > STORE_CONFIG_BYTES_MAX)
        return STATUS_INVALID_ARGUMENT;
    struct registry_change *change = change_new (turn, kind, shard, replica);
    if (change == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    change->index = index;
    change->index_term = term;
    if (config.len > 0) {
        change->config = malloc (config.len);
        if (change->config == NULL)
            return STATUS_RESOURCE_EXHAUSTED;
        memcpy (change->config, config.data, config.len);
        change->config_len = config.len;
    }
    turn->bytes += 64 + config.len;
    *added = change;
    return STATUS_OK;
}

enum status store_turn_compact (
    struct store_turn *turn, uint32_t shard, uint64_t replica, uint64_t index, uint64_t term, struct bytes config)
{
    struct registry_change *change;
    return add_cut (turn, REGISTRY_COMPACT, shard, replica, index, term, config, &change);
}

enum status store_turn_install (struct store_turn *turn, uint32_t shard, uint64_t replica, uint32_t generation,
    uint64_t index, uint64_t term, struct bytes config, bool keep_log)
{
    if (!keep_log) {
        struct registry_change *reset = change_new (turn, REGISTRY_RESET, shard, replica);
        if (reset == NULL)
            return STATUS_RESOURCE_EXHAUSTED;
        reset->group = turn->groups++;
        reset->first_index = index + 1;
        struct pack_group group = {
            .shard = shard, .replica = replica, .flags = PACK_FLAG_RESET, .first_index = index + 1};
        bool fits;
        write_group (turn, group, NULL, 0, &fits);
        if (!fits)
            return STATUS_RESOURCE_EXHAUSTED;
    }
    struct registry_change *change;
    enum status status = add_cut (turn, REGISTRY_INSTALL, shard, replica, index, term, config, &change);
    if (status == STATUS_OK)
        change->generation = generation;
    return status;
}

enum status store_turn_remove (struct store_turn *turn, uint32_t shard, uint64_t replica)
{
    turn->bytes += 64;
    return change_new (turn, REGISTRY_REMOVE, shard, replica) != NULL ? STATUS_OK : STATUS_RESOURCE_EXHAUSTED;
}

static void put_mark (
    rocksdb_writebatch_t *batch, char kind, uint32_t shard, uint64_t replica, uint8_t *sealed, size_t fields_len)
{
    uint8_t key[PACK_MARK_KEY_BYTES];
    pack_mark_key (key, kind, shard, replica);
    size_t len = pack_seal (bytes_of (key, sizeof key), sealed, fields_len);
    rocksdb_writebatch_put (batch, (const char *) key, sizeof key, (const char *) sealed, len);
}

static void put_cut (rocksdb_writebatch_t *batch, const struct registry_change *change, uint8_t *scratch)
{
    bytes_put_u64 (scratch + 1, change->index);
    bytes_put_u64 (scratch + 9, change->index_term);
    if (change->config_len > 0)
        memcpy (scratch + 17, change->config, change->config_len);
    put_mark (batch, 'c', change->shard, change->replica, scratch, 16 + change->config_len);
}

static void delete_mark (rocksdb_writebatch_t *batch, char kind, const struct registry_change *change)
{
    uint8_t key[PACK_MARK_KEY_BYTES];
    pack_mark_key (key, kind, change->shard, change->replica);
    rocksdb_writebatch_delete (batch, (const char *) key, sizeof key);
}

static void put_change (rocksdb_writebatch_t *batch, const struct registry_change *change, uint8_t *scratch)
{
    switch (change->kind) {
    case REGISTRY_HARD_STATE:
        bytes_put_u64 (scratch + 1, change->term);
        bytes_put_u64 (scratch + 9, change->vote);
        put_mark (batch, 'h', change->shard, change->replica, scratch, 16);
        break;
    case REGISTRY_COMPACT:
        put_cut (batch, change, scratch);
        break;
    case REGISTRY_INSTALL:
        put_cut (batch, change, scratch);
        bytes_put_u32 (scratch + 1, change->generation);
        if (!PLANTED (STORE_GENERATION_STAYS))
            put_mark (batch, 'g', change->shard, change->replica, scratch, 4);
        break;
    case REGISTRY_REMOVE:
        delete_mark (batch, 'h', change);
        delete_mark (batch, 'c', change);
        delete_mark (batch, 'g', change);
        put_mark (batch, 'x', change->shard, change->replica, scratch, 0);
        break;
    case REGISTRY_APPEND:
    case REGISTRY_RESET:
        break; /* in the parts */
    }
}

/* Drops the turns that nobody needs any more within this turn's batch (store_log.h invariant 6). Returns the first turn
 * that stays. Lock held. */
static uint64_t collect (struct store *store, rocksdb_writebatch_t *batch, uint64_t number)
{
    if (number < store->collect_from_turn)
        return store->turn_first;
    store->collect_from_turn = number + COLLECT_INTERVAL;
    uint64_t oldest = registry_oldest_turn (&store->registry, number, NULL) + PLANTED (STORE_TURNS_DROPPED_EARLY);
    if (oldest <= store->turn_first)
        return store->turn_first;
    failpoint_pass (FAILPOINT_LOG_COLLECT_BEFORE);
    uint8_t from[PACK_TURN_KEY_BYTES], to[PACK_TURN_KEY_BYTES], sealed[1 + 8 + PACK_SUM_BYTES];
    pack_turn_key (from, store->turn_first, 0);
    pack_turn_key (to, oldest, 0);
    rocksdb_writebatch_delete_range (batch, (const char *) from, sizeof from, (const char *) to, sizeof to);
    bytes_put_u64 (sealed + 1, oldest);
    size_t len = pack_seal (BYTES_LITERAL ("m"), sealed, 8);
    rocksdb_writebatch_put (batch, "m", 1, (const char *) sealed, len);
    return oldest;
}

/* Puts the whole turn into its batch; returns its packed bytes. A turn without entries still has a part: turn numbers
 * must not have gaps. */
static size_t fill_batch (struct store_turn *turn, uint64_t number, uint8_t *scratch)
{
    size_t bytes = 0;
    for (size_t i = 0; i < turn->parts_used; i++) {
        struct turn_part *part = &turn->parts[i];
        struct pack_part header = {
            .turn = number, .part = (uint32_t) i, .parts = (uint32_t) turn->parts_used, .groups = part->groups};
        pack_write_header (part->data, &header, (uint32_t) (part->len - PACK_HEADER_BYTES));
        bytes_put_u64 (part->data + part->len, checksum64 (0, bytes_of (part->data, part->len)));
        uint8_t key[PACK_TURN_KEY_BYTES];
        pack_turn_key (key, number, (uint16_t) i);
        rocksdb_writebatch_put (
            turn->batch, (const char *) key, sizeof key, (const char *) part->data, part->len + PACK_SUM_BYTES);
        bytes += part->len + PACK_SUM_BYTES;
    }
    for (size_t i = 0; i < turn->changes_count; i++)
        put_change (turn->batch, &turn->changes[i], scratch);
    return bytes;
}

static size_t scratch_bytes (const struct store_turn *turn)
{
    size_t longest = 0;
    for (size_t i = 0; i < turn->changes_count; i++) {
        if (turn->changes[i].config_len > longest)
            longest = turn->changes[i].config_len;
    }
    return longest + 64;
}

static uint64_t now_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

/* The first failure decides: latch, try to leave the mark, and tell the engine to end. */
static enum status fail_commit (struct store *store, char *failed, struct store_error *error)
{
    atomic_store (&store->failed, true);
    if (database_fail (error, "a write of the log failed", failed) == STATUS_DATA_LOSS)
        store_rebuild_ask (store, error->text); /* a compaction met it, in turns that a start may not read any more */
    enum status marked = folder_suspect_set (&store->folder, "a write or sync of the log failed");
    (void) marked; /* a disk that refuses this too gets an unsynced mark */
    return STATUS_DATA_LOSS;
}

/* After the sync: memory follows the disk. */
static void settle (struct store_turn *turn, uint64_t number, uint64_t first, size_t bytes, uint64_t took_us)
{
    struct store *store = turn->store;
    pthread_mutex_lock (&store->lock);
    for (size_t i = 0; i < turn->changes_count; i++) {
        bool fits = registry_apply (&store->registry, &turn->changes[i], number, false);
        maitre_assert (fits); /* registry_try saw it */
    }
    store_log_note_turn (store, number, bytes);
    store_log_forget_turns (store, first);
    store_hole_forget (store);
    store->stats.turns++;
    store->stats.turn_bytes += bytes;
    store->stats.sync_us_last = took_us;
    pthread_mutex_unlock (&store->lock);
    turn->number = number;
    folder_mark (&store->folder, number);
}

enum status store_turn_commit (struct store_turn *turn, struct store_error *error)
{
    struct store *store = turn->store;
    maitre_assert (store->recovered);
    if (atomic_load (&store->failed))
        return store_fail (error, STATUS_DATA_LOSS, "an earlier write of the log failed");
    if (store_turn_empty (turn))
        return STATUS_OK;
    uint8_t *scratch = malloc (scratch_bytes (turn));
    struct turn_part *part = turn->parts_used > 0 ? turn->parts : part_new (turn);
    if (scratch == NULL || part == NULL || (part->data == NULL && part_extend (part, 0) == NULL)) {
        free (scratch);
        return store_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
    }
    pthread_mutex_lock (&store->lock);
    uint64_t number = store->turn_last + 1, first = store->turn_first;
    enum status status = registry_try (&store->registry, turn->changes, turn->changes_count, error);
    if (status == STATUS_OK && store->holed && !registry_try_mends (&store->registry))
        status = store_fail (error, STATUS_INVALID_ARGUMENT, "the first turn leaves a broken log as it is");
    rocksdb_writebatch_clear (turn->batch);
    if (status == STATUS_OK && !store->holed) /* what is to be filled must not be dropped with the same write */
        first = collect (store, turn->batch, number);
    pthread_mutex_unlock (&store->lock);
    if (status == STATUS_OK) {
        size_t bytes = fill_batch (turn, number, scratch);
        store_hole_fill (store, turn->batch);
        uint64_t started_us = now_us ();
        char *failed = NULL;
        if (failpoint (FAILPOINT_LOG_WRITE_BEFORE))
            failed = failpoint_text (FAILPOINT_LOG_WRITE_BEFORE);
        else
            rocksdb_write (store->log.db, store->log.write, turn->batch, &failed);
        failpoint_pass (FAILPOINT_LOG_WRITE_AFTER);
        if (failed != NULL)
            status = fail_commit (store, failed, error);
        else
            settle (turn, number, first, bytes, now_us () - started_us);
        if (failed == NULL && store->salvaged != STORE_SALVAGED_NOTHING) {
            enum status closed = store_hole_close (store);
            (void) closed; /* the mark stays: the next start doubts once more */
        }
    }
    free (scratch);
    return status;
}
