/* Reading the log back at start, and accounts of what it holds. */
#include "node/store/store_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/failpoint/failpoint.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/planted.h"

void store_log_note_turn (struct store *store, uint64_t turn, size_t bytes)
{
    size_t live = (size_t) (turn - store->turn_first) + 1;
    if (live > store->turn_room) {
        size_t room = store->turn_room == 0 ? 1024 : store->turn_room;
        while (room < live)
            room *= 2;
        uint32_t *ring = calloc (room, sizeof *ring);
        maitre_assert (ring != NULL); /* four bytes a turn that is on disk: nothing can go on without */
        for (uint64_t t = store->turn_first; store->turn_room > 0 && t < turn; t++)
            ring[t % room] = store->turn_bytes[t % store->turn_room];
        free (store->turn_bytes);
        store->turn_bytes = ring;
        store->turn_room = room;
    }
    maitre_assert (bytes <= UINT32_MAX);
    store->turn_bytes[turn % store->turn_room] = (uint32_t) bytes;
    store->log_bytes += bytes;
    store->turn_last = turn;
}

void store_log_forget_turns (struct store *store, uint64_t first)
{
    maitre_assert (first <= store->turn_last + 1);
    for (; store->turn_first < first; store->turn_first++)
        store->log_bytes -= store->turn_bytes[store->turn_first % store->turn_room];
}

void store_log_usage (struct store *store, struct store_log_usage *usage)
{
    pthread_mutex_lock (&store->lock);
    struct registry_record *pinning = NULL;
    registry_oldest_turn (&store->registry, UINT64_MAX, &pinning);
    *usage = (struct store_log_usage){
        .turn_first = store->turn_first, .turn_last = store->turn_last, .bytes = store->log_bytes};
    if (pinning != NULL) {
        usage->shard = pinning->shard;
        usage->replica = pinning->replica;
        usage->first_index = pinning->compact_index + 1;
    }
    pthread_mutex_unlock (&store->lock);
}

/* ---- marks ---- */

struct reader {
    struct store *store;
    struct store_error *error;
    rocksdb_iterator_t *iterator;
    const struct store_recovery *recovery;
    uint64_t first; /* 'm': the first turn that must be there */
    uint64_t next;  /* turn and part that must come next */
    uint32_t part;
    uint32_t parts; /* of that turn, 0 while none of its parts was read */
    uint32_t group; /* place in the turn */
    size_t turn_bytes;
    bool any_mark;
    bool indexing;   /* the first pass */
    bool handed_out; /* something of it: it cannot be read from its beginning any more */
};

/* A hole that is longer than any log is no hole: a turn's number is wrong. */
#define LOST_TURNS_MAX (UINT64_C (1) << 20)

static struct bytes iterator_key (rocksdb_iterator_t *iterator)
{
    size_t len;
    const char *key = rocksdb_iter_key (iterator, &len);
    return bytes_of (key, len);
}

static struct bytes iterator_value (rocksdb_iterator_t *iterator)
{
    size_t len;
    const char *value = rocksdb_iter_value (iterator, &len);
    return bytes_of (value, len);
}

static enum status iterator_status (struct reader *reader)
{
    char *failed = NULL;
    rocksdb_iter_get_error (reader->iterator, &failed);
    return failed == NULL ? STATUS_OK : database_fail (reader->error, "the log cannot be read", failed);
}

static enum status damaged_mark (struct reader *reader, struct bytes key)
{
    uint32_t shard = key.len == PACK_MARK_KEY_BYTES ? bytes_get_u32 (key.data + 1) : 0;
    return store_fail (reader->error, STATUS_DATA_LOSS, "the log's '%c' mark of shard %" PRIu32 " is damaged",
        key.len > 0 ? key.data[0] : '?', shard);
}

static enum status read_mark (struct reader *reader, struct bytes key, struct bytes value)
{
    struct bytes fields;
    enum status status = pack_unseal (key, value, &fields);
    if (status == STATUS_UNIMPLEMENTED)
        return store_fail (reader->error, STATUS_FAILED_PRECONDITION, "the log has marks of a newer maitred");
    if (status != STATUS_OK || key.len != PACK_MARK_KEY_BYTES)
        return damaged_mark (reader, key);
    struct registry_record *record =
        registry_make (&reader->store->registry, bytes_get_u32 (key.data + 1), bytes_get_u64 (key.data + 5));
    if (record == NULL)
        return store_fail (reader->error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
    reader->any_mark = true;
    if (key.data[0] == 'x' && fields.len == 0) {
        record->removed = true;
    } else if (key.data[0] == 'h' && fields.len == 16) {
        record->term = bytes_get_u64 (fields.data);
        record->vote = bytes_get_u64 (fields.data + 8);
    } else if (key.data[0] == 'g' && fields.len == 4) {
        record->generation = bytes_get_u32 (fields.data);
    } else if (key.data[0] == 'c' && fields.len >= 16) {
        record->compact_index = bytes_get_u64 (fields.data);
        record->compact_term = bytes_get_u64 (fields.data + 8);
        record->config_len = fields.len - 16;
        record->config = record->config_len > 0 ? malloc (record->config_len) : NULL;
        if (record->config_len > 0 && record->config == NULL)
            return store_fail (reader->error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
        if (record->config_len > 0)
            memcpy (record->config, fields.data + 16, record->config_len);
    } else {
        return damaged_mark (reader, key);
    }
    return STATUS_OK;
}

/* Every key but the turns. An unknown kind stops the reader: nothing is skipped. */
static enum status read_marks (struct reader *reader)
{
    enum status status = STATUS_OK;
    reader->first = 1;
    rocksdb_iter_seek_to_first (reader->iterator);
    while (status == STATUS_OK && rocksdb_iter_valid (reader->iterator)) {
        struct bytes key = iterator_key (reader->iterator), value = iterator_value (reader->iterator), fields;
        if (key.len > 0 && key.data[0] == 't') {
            rocksdb_iter_seek (reader->iterator, "u", 1);
            continue;
        }
        if (bytes_equal (key, BYTES_LITERAL ("m"))) {
            status = pack_unseal (key, value, &fields);
            if (status != STATUS_OK || fields.len != 8)
                return damaged_mark (reader, key);
            reader->first = bytes_get_u64 (fields.data);
            reader->any_mark = true;
        } else {
            status = read_mark (reader, key, value);
        }
        rocksdb_iter_next (reader->iterator);
    }
    return status == STATUS_OK ? iterator_status (reader) : status;
}

/* ---- turns ---- */

typedef enum status group_visit (struct reader *reader, const struct pack_group *group, struct bytes *body);

/* The next entry. DATA_LOSS with *framed: its checksum is wrong, but where the next one begins is known. */
static enum status read_entry (
    struct bytes *body, const struct pack_group *group, uint64_t index, struct store_entry *entry, bool *framed)
{
    *framed = body->len >= PACK_ENTRY_BYTES && body->len - PACK_ENTRY_BYTES >= bytes_get_u32 (body->data + 9);
    return pack_read_entry (body, group, index, entry);
}

static enum status unreadable_turn (struct reader *reader)
{
    return store_fail (reader->error, STATUS_DATA_LOSS, "turn %" PRIu64 " is damaged", reader->next);
}

/* First pass: every checksum, and where each entry lies. */
static enum status index_group (struct reader *reader, const struct pack_group *group, struct bytes *body)
{
    struct registry *registry = &reader->store->registry;
    struct registry_record *record = registry_make (registry, group->shard, group->replica);
    struct registry_change change = {.kind = group->flags == PACK_FLAG_RESET ? REGISTRY_RESET : REGISTRY_APPEND,
        .shard = group->shard,
        .replica = group->replica,
        .truncate_from = group->truncate_from,
        .first_index = group->first_index,
        .count = group->count,
        .group = reader->group};
    if (record == NULL)
        return store_fail (reader->error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
    for (uint32_t i = 0; i < group->count; i++) {
        struct store_entry entry;
        bool framed;
        enum status status = read_entry (body, group, group->first_index + i, &entry, &framed);
        if (!framed)
            return unreadable_turn (reader);
        if (status != STATUS_OK && entry.index > record->compact_index && !record->removed)
            registry_break (record, entry.index);
        if (status != STATUS_OK)
            continue;
        if (entry.term > record->last_term)
            record->last_term = entry.term;
        if (i == 0)
            change.first_term = entry.term;
        change.tail_term = i + 1 == group->count ? entry.term : 0;
    }
    if (record->removed)
        return STATUS_OK;
    bool fits = registry_apply (registry, &change, reader->next, true);
    maitre_assert (fits);
    return STATUS_OK;
}

/* Second pass: hands out the entries that are still the newest at their index, and needed. */
static enum status hand_out_group (struct reader *reader, const struct pack_group *group, struct bytes *body)
{
    const struct registry_record *record = registry_find (&reader->store->registry, group->shard, group->replica);
    maitre_assert (record != NULL);
    for (uint32_t i = 0; i < group->count; i++) {
        struct store_entry entry;
        bool framed;
        enum status status = read_entry (body, group, group->first_index + i, &entry, &framed);
        const struct registry_run *run = framed ? registry_run_of (record, entry.index) : NULL;
        bool needed = framed && entry.index > record->compact_index && run != NULL && run->turn == reader->next &&
                      run->group == reader->group;
        if (!framed || (needed && status != STATUS_OK))
            return store_fail (
                reader->error, STATUS_DATA_LOSS, "turn %" PRIu64 " changed while it was read", reader->next);
        if (needed)
            reader->recovery->entry (reader->recovery->argument, record->shard, record->replica, &entry);
    }
    return STATUS_OK;
}

static enum status read_part (struct reader *reader, const struct pack_part *part, group_visit *visit)
{
    struct bytes body = part->body;
    enum status status = STATUS_OK;
    for (uint32_t i = 0; status == STATUS_OK && i < part->groups; i++) {
        struct pack_group group;
        if (pack_read_group (&body, &group) != STATUS_OK)
            return unreadable_turn (reader);
        status = visit (reader, &group, &body);
        reader->group++;
    }
    return status == STATUS_OK && body.len != 0 ? unreadable_turn (reader) : status;
}

/* ---- what is lost of them ---- */

/* Whole turns from `next` on, or this part of that one (parts 0). What is read behind it is judged by the registry. */
static enum status lose (struct reader *reader, uint64_t turns, uint32_t parts)
{
    if (!reader->indexing)
        return STATUS_OK;
    registry_hole (&reader->store->registry);
    bool noted = turns <= LOST_TURNS_MAX &&
                 store_hole_note (reader->store, reader->next, turns, parts == 0 ? reader->part : 0, parts);
    return noted ? STATUS_OK
                 : store_fail (reader->error, STATUS_DATA_LOSS,
                       "turns %" PRIu64 " to %" PRIu64 " of all shards are missing", reader->next,
                       reader->next + turns - 1);
}

static enum status lose_parts (struct reader *reader, uint32_t until)
{
    enum status status = STATUS_OK;
    for (; status == STATUS_OK && reader->part < until; reader->part++)
        status = lose (reader, 1, 0);
    return status;
}

static enum status end_turn (struct reader *reader)
{
    enum status status = lose_parts (reader, reader->parts);
    if (reader->indexing) {
        store_hole_parts (reader->store, reader->next, reader->part);
        store_log_note_turn (reader->store, reader->next, reader->turn_bytes);
    }
    reader->next++;
    reader->part = reader->parts = reader->group = 0;
    reader->turn_bytes = 0;
    return status;
}

/* Everything in front of this part of this turn that did not come is lost. */
static enum status go_to (struct reader *reader, uint64_t turn, uint32_t part)
{
    enum status status = STATUS_OK;
    if (turn < reader->next || (turn == reader->next && part < reader->part))
        return store_fail (
            reader->error, STATUS_DATA_LOSS, "the log holds turn %" PRIu64 ", which it had dropped", turn);
    if (turn > reader->next && reader->part > 0)
        status = end_turn (reader);
    if (status == STATUS_OK && turn > reader->next)
        status = lose (reader, turn - reader->next, 1);
    for (; status == STATUS_OK && reader->next < turn; reader->next++) {
        if (reader->indexing)
            store_log_note_turn (reader->store, reader->next, 0);
    }
    return status == STATUS_OK ? lose_parts (reader, part) : status;
}

/* The part under the iterator. */
static enum status read_value (struct reader *reader, uint64_t turn, struct bytes value, group_visit *visit)
{
    struct pack_part part;
    enum status status = pack_read_part (value, &part);
    if (status == STATUS_UNIMPLEMENTED)
        return store_fail (reader->error, STATUS_FAILED_PRECONDITION, "the log has turns of a newer maitred");
    reader->turn_bytes += value.len;
    bool its_own = status == STATUS_OK && part.turn == turn && part.part == reader->part && part.parts > part.part &&
                   (reader->parts == 0 || part.parts == reader->parts);
    if (its_own)
        reader->parts = part.parts;
    status = its_own ? read_part (reader, &part, visit) : lose (reader, 1, 0);
    reader->part++;
    return status == STATUS_OK && reader->part == reader->parts ? end_turn (reader) : status;
}

static enum status read_turns (struct reader *reader, group_visit *visit, bool indexing)
{
    enum status status = STATUS_OK;
    reader->next = reader->first;
    reader->part = reader->parts = reader->group = 0;
    reader->turn_bytes = 0;
    reader->indexing = indexing;
    /* From the very first turn key, not from `first`: what should be gone and is not shows up as well. */
    for (rocksdb_iter_seek (reader->iterator, "t", 1); status == STATUS_OK && rocksdb_iter_valid (reader->iterator);
         rocksdb_iter_next (reader->iterator)) {
        struct bytes key = iterator_key (reader->iterator), value = iterator_value (reader->iterator);
        if (key.len == 0 || key.data[0] != 't')
            break;
        if (key.len != PACK_TURN_KEY_BYTES)
            return store_fail (reader->error, STATUS_DATA_LOSS, "the log holds a key that is no turn's");
        uint64_t turn = bytes_get_u64 (key.data + 1);
        if (turn < reader->first && reader->store->salvaged != STORE_SALVAGED_NOTHING)
            continue; /* the batch that dropped it is lost: the closing turn drops it again */
        status = go_to (reader, turn, bytes_get_u16 (key.data + 9));
        if (status == STATUS_OK)
            status = read_value (reader, turn, value, visit);
    }
    if (status == STATUS_OK)
        status = iterator_status (reader);
    return status == STATUS_OK && reader->part > 0 ? end_turn (reader) : status;
}

/* ---- what it means ---- */

static enum status check_record (struct reader *reader, struct registry_record *record)
{
    struct store *store = reader->store;
    if (!record->seen)
        record->last_index = record->compact_index;
    if (record->removed)
        return STATUS_OK;
    bool complete = record->last_index >= record->compact_index;
    registry_trim (record);
    if (record->last_index > record->compact_index && !record->broken)
        complete = record->runs[record->run_first].first_index <= record->compact_index + 1;
    if (!complete)
        registry_break (record, record->compact_index + 1);
    store->holed = store->holed || record->broken;
    if (record->compact_term > record->last_term)
        record->last_term = record->compact_term;
    /* A term is always stored before, or with, the entries of it (R1, R2). */
    if (record->last_term <= record->term)
        return STATUS_OK;
    char reason[160];
    snprintf (reason, sizeof reason, "shard %" PRIu32 " has entries of term %" PRIu64 ", but remembers term %" PRIu64,
        record->shard, record->last_term, record->term);
    if (store->hole.turns > 0 ||
        store->salvaged !=
            STORE_SALVAGED_NOTHING) { /* the term went with a lost turn, and maybe a vote in it: a suspect gives none */
        record->term = record->last_term;
        record->vote = 0;
    }
    return folder_suspect_set (&store->folder, reason);
}

/* Counts what became of the logs, and marks the folder before anything of it is changed. */
static enum status check_holes (struct reader *reader)
{
    struct store *store = reader->store;
    struct store_hole *hole = &store->hole;
    char reason[160] = "entries of the log are damaged or missing";
    if (!store->holed)
        return STATUS_OK;
    for (size_t i = 0; i < store->registry.count; i++) {
        struct registry_record *record = store->registry.records[i];
        bool founded = record->config_len > 0 || record->compact_index > 0;
        if (!record->removed && !founded &&
            (hole->turns > 0 || store->salvaged != STORE_SALVAGED_NOTHING)) /* its first configuration may be lost */
            registry_break (record, 1);
        hole->broken += record->broken;
        hole->doubtful += !record->broken && registry_doubtful (&store->registry, record);
        hole->certain += !record->broken && !record->removed && !registry_doubtful (&store->registry, record);
    }
    if (hole->turns > 0)
        snprintf (reason, sizeof reason, "turns %" PRIu64 " to %" PRIu64 " of the log rotted: %" PRIu64 " are lost",
            hole->turn_first, hole->turn_last, hole->turns);
    enum status status = folder_suspect_set (&store->folder, reason);
    return status == STATUS_OK ? status : store_fail (reader->error, status, "cannot mark the folder suspect");
}

/* A log that ends before a turn known to be synced lost its end in a way that leaves no trace in the log itself. */
static enum status check_end (struct reader *reader)
{
    struct store *store = reader->store;
    if (reader->next == reader->first && reader->any_mark && store->salvaged == STORE_SALVAGED_NOTHING)
        return store_fail (
            reader->error, STATUS_DATA_LOSS, "turns from %" PRIu64 " of all shards are missing", reader->first);
    if (store->folder.mark <= store->turn_last || PLANTED (STORE_LOST_END_UNSEEN))
        return STATUS_OK;
    char reason[160];
    snprintf (reason, sizeof reason, "the log ends at turn %" PRIu64 ", but turn %" PRIu64 " had been synced",
        store->turn_last, store->folder.mark);
    enum status status = folder_suspect_set (&store->folder, reason);
    return status == STATUS_OK ? status : store_fail (reader->error, status, "cannot mark the folder suspect");
}

/* Whether state and log can go together. The text stands in damage[]. */
static bool fits (const struct registry_record *record, const struct store_replica *replica, char damage[160])
{
    if (replica->applied_index < record->compact_index)
        snprintf (damage, 160, "its state ends at %" PRIu64 ", below the log's cut at %" PRIu64, replica->applied_index,
            record->compact_index);
    else if (replica->applied_index > record->last_index)
        snprintf (damage, 160, "its state is at %" PRIu64 ", past the log's end at %" PRIu64, replica->applied_index,
            record->last_index);
    else
        return true;
    return false;
}

static enum status describe (
    struct reader *reader, const struct registry_record *record, struct store_replica *replica, char damage[160])
{
    struct store *store = reader->store;
    *replica = (struct store_replica){.shard = record->shard,
        .replica = record->replica,
        .term = record->term,
        .vote = record->vote,
        .first_index = record->compact_index + 1,
        .last_index = record->last_index,
        .compact_index = record->compact_index,
        .compact_term = record->compact_term,
        .config = bytes_of (record->config, record->config_len),
        .generation = record->generation,
        .doubtful = registry_doubtful (&store->registry, record)};
    if (record->broken) {
        snprintf (damage, 160, "its log is lost from entry %" PRIu64 " to %" PRIu64, record->broken_last + 1,
            record->broken_index > record->broken_last + 1 ? record->broken_index - 1 : record->broken_index);
        replica->lost = damage;
        return STATUS_OK;
    }
    enum status status = store_state_applied (
        store, record->shard, record->replica, record->generation, &replica->applied_index, &replica->applied_term);
    if (status == STATUS_INTERNAL)
        return store_fail (reader->error, status, "the state of shard %" PRIu32 " cannot be read", record->shard);
    if (status == STATUS_DATA_LOSS) {
        snprintf (damage, 160, "its applied index is damaged");
        replica->damage = damage;
        return STATUS_OK;
    }
    if (fits (record, replica, damage))
        return STATUS_OK;
    if (store->holed)
        replica->lost = damage;
    else
        replica->damage = damage;
    return replica->applied_index > record->last_index ? folder_suspect_set (&store->folder, damage) : STATUS_OK;
}

/* Everything that can fail comes before the first word to the visitor (invariant 4). */
static enum status hand_out (struct reader *reader)
{
    struct registry *registry = &reader->store->registry;
    struct store_replica replica;
    char damage[160];
    for (size_t i = 0; i < registry->count; i++) {
        if (registry->records[i]->removed)
            continue;
        enum status status = describe (reader, registry->records[i], &replica, damage);
        if (status != STATUS_OK)
            return status;
    }
    reader->handed_out = true;
    for (size_t i = 0; i < registry->count; i++) {
        if (registry->records[i]->removed)
            continue;
        enum status status = describe (reader, registry->records[i], &replica, damage);
        if (status != STATUS_OK)
            return status;
        reader->recovery->replica (reader->recovery->argument, &replica);
    }
    return read_turns (reader, hand_out_group, false);
}

static enum status recover (struct reader *reader)
{
    struct store *store = reader->store;
    reader->iterator = rocksdb_create_iterator (store->log.db, store->log.read);
    enum status status = failpoint (FAILPOINT_START_LOG_BEFORE)
                             ? store_fail (reader->error, STATUS_INTERNAL, "the log cannot be read")
                             : read_marks (reader);
    store->turn_first = reader->first;
    store->turn_last = reader->first - 1;
    if (store->salvaged == STORE_SALVAGED_NOTHING)
        store->salvaged = store_hole_marked (store);
    store->holed = store->salvaged != STORE_SALVAGED_NOTHING;
    if (PLANTED (STORE_DROPPED_TURN_UNSEEN))
        store->holed = false;
    else if (store->holed) /* in front of all turns, for one that was dropped since */
        registry_hole (&store->registry);
    if (status == STATUS_OK)
        status = read_turns (reader, index_group, true);
    if (store->salvaged == STORE_SALVAGED_END)
        registry_hole (&store->registry);
    for (size_t i = 0; status == STATUS_OK && i < store->registry.count; i++)
        status = check_record (reader, store->registry.records[i]);
    if (status == STATUS_OK)
        status = check_holes (reader);
    if (status == STATUS_OK)
        status = check_end (reader);
    if (status == STATUS_OK) {
        registry_check (&store->registry);
        status = hand_out (reader);
    }
    rocksdb_iter_destroy (reader->iterator);
    return status;
}

void store_log_forget (struct store *store)
{
    registry_close (&store->registry);
    store_hole_forget (store);
    store->hole = (struct store_hole){0};
    free (store->turn_bytes);
    store->turn_bytes = NULL;
    store->turn_room = 0;
    store->log_bytes = 0;
}

enum status store_log_recover (struct store *store, const struct store_recovery *recovery, struct store_error *error)
{
    maitre_assert (!store->recovered);
    struct reader reader = {.store = store, .error = error, .recovery = recovery};
    enum status status = STATUS_OK;
    if (store->rebuilt == STORE_REBUILD_NOT && !store->folder.read_only)
        status = store_log_check_dropped (store, error);
    if (status == STATUS_DATA_LOSS)
        status = store_rebuild (store, STORE_REBUILD_WHOLE, error);
    if (status == STATUS_OK)
        status = recover (&reader);
    while (status == STATUS_DATA_LOSS && !reader.handed_out && store->rebuilt != STORE_REBUILD_EMPTY &&
           !store->folder.read_only && store->options.state_from_others) {
        store_log_forget (store);
        status = store_rebuild (
            store, store->rebuilt == STORE_REBUILD_LEFT ? STORE_REBUILD_EMPTY : STORE_REBUILD_LEFT, error);
        reader = (struct reader){.store = store, .error = error, .recovery = recovery};
        if (status == STATUS_OK)
            status = recover (&reader);
    }
    if (status == STATUS_DATA_LOSS && reader.handed_out) { /* it could be read once: another start judges */
        store_rebuild_ask (store, error->text);
        status = STATUS_INTERNAL;
    }
    store->recovered = status == STATUS_OK;
    return status;
}
