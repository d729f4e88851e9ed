/* Reading the log back at start, and accounts of what it holds. */
#include "node/store/store_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/failpoint/failpoint.h"
#include "schemas/runtime/assert.h"

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
    uint32_t group; /* place in the turn */
    size_t turn_bytes;
    bool any_mark;
};

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
        return store_fail (reader->error, STATUS_INTERNAL, "out of memory");
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
            return store_fail (reader->error, STATUS_INTERNAL, "out of memory");
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

/* First pass: every checksum, and where each entry lies. */
static enum status index_group (struct reader *reader, const struct pack_group *group, struct bytes *body)
{
    struct registry *registry = &reader->store->registry;
    struct registry_record *record = registry_make (registry, group->shard, group->replica);
    if (record == NULL)
        return store_fail (reader->error, STATUS_INTERNAL, "out of memory");
    for (uint32_t i = 0; i < group->count; i++) {
        struct store_entry entry;
        if (pack_read_entry (body, group, group->first_index + i, &entry) != STATUS_OK)
            return store_fail (reader->error, STATUS_DATA_LOSS,
                "turn %" PRIu64 ": entry %" PRIu64 " of shard %" PRIu32 " is damaged", reader->next,
                group->first_index + i, group->shard);
        if (entry.term > record->last_term)
            record->last_term = entry.term;
    }
    if (record->removed)
        return STATUS_OK;
    struct registry_change change = {.kind = group->flags == PACK_FLAG_RESET ? REGISTRY_RESET : REGISTRY_APPEND,
        .shard = group->shard,
        .replica = group->replica,
        .truncate_from = group->truncate_from,
        .first_index = group->first_index,
        .count = group->count,
        .group = reader->group};
    if (!registry_apply (registry, &change, reader->next, true))
        return store_fail (reader->error, STATUS_DATA_LOSS,
            "turn %" PRIu64 ": shard %" PRIu32 " goes on at entry %" PRIu64 ", but its log ends at %" PRIu64,
            reader->next, group->shard, group->first_index, record->last_index);
    return STATUS_OK;
}

/* Second pass: hands out the entries that are still the newest at their index, and needed. */
static enum status hand_out_group (struct reader *reader, const struct pack_group *group, struct bytes *body)
{
    const struct registry_record *record = registry_find (&reader->store->registry, group->shard, group->replica);
    maitre_assert (record != NULL);
    for (uint32_t i = 0; i < group->count; i++) {
        struct store_entry entry;
        enum status status = pack_read_entry (body, group, group->first_index + i, &entry);
        if (status != STATUS_OK)
            return store_fail (reader->error, status, "turn %" PRIu64 " changed while it was read", reader->next);
        const struct registry_run *run = registry_run_of (record, entry.index);
        if (entry.index > record->compact_index && run != NULL && run->turn == reader->next &&
            run->group == reader->group)
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
            return store_fail (reader->error, STATUS_DATA_LOSS, "turn %" PRIu64 " is damaged", part->turn);
        status = visit (reader, &group, &body);
        reader->group++;
    }
    if (status == STATUS_OK && body.len != 0)
        return store_fail (reader->error, STATUS_DATA_LOSS, "turn %" PRIu64 " is damaged", part->turn);
    return status;
}

/* The part under the iterator: it must be the one that comes next. */
static enum status check_place (struct reader *reader, struct bytes key, struct bytes value, struct pack_part *part)
{
    if (key.len != PACK_TURN_KEY_BYTES)
        return store_fail (reader->error, STATUS_DATA_LOSS, "the log holds a key that is no turn's");
    uint64_t turn = bytes_get_u64 (key.data + 1);
    uint32_t number = bytes_get_u16 (key.data + 9);
    if (turn != reader->next || number != reader->part)
        return store_fail (reader->error, STATUS_DATA_LOSS,
            "turns %" PRIu64 " to %" PRIu64 " of all shards are missing (part %" PRIu32 " of the first)", reader->next,
            turn > reader->next ? turn - 1 : turn, reader->part);
    enum status status = pack_read_part (value, part);
    if (status == STATUS_UNIMPLEMENTED)
        return store_fail (reader->error, STATUS_FAILED_PRECONDITION, "the log has turns of a newer maitred");
    if (status != STATUS_OK || part->turn != turn || part->part != number || part->parts <= number)
        return store_fail (reader->error, STATUS_DATA_LOSS, "turn %" PRIu64 " is damaged, for all shards in it", turn);
    return STATUS_OK;
}

static enum status read_turns (struct reader *reader, group_visit *visit, bool note)
{
    enum status status = STATUS_OK;
    reader->next = reader->first;
    reader->part = reader->group = 0;
    reader->turn_bytes = 0;
    /* From the very first turn key, not from `first`: what should be gone and is not shows up as well. */
    for (rocksdb_iter_seek (reader->iterator, "t", 1); status == STATUS_OK && rocksdb_iter_valid (reader->iterator);
         rocksdb_iter_next (reader->iterator)) {
        struct bytes key = iterator_key (reader->iterator), value = iterator_value (reader->iterator);
        struct pack_part part;
        if (key.len == 0 || key.data[0] != 't')
            break;
        status = check_place (reader, key, value, &part);
        if (status == STATUS_OK)
            status = read_part (reader, &part, visit);
        reader->turn_bytes += value.len;
        reader->part++;
        if (status == STATUS_OK && reader->part == part.parts) {
            if (note)
                store_log_note_turn (reader->store, reader->next, reader->turn_bytes);
            reader->next++;
            reader->part = reader->group = 0;
            reader->turn_bytes = 0;
        }
    }
    if (status == STATUS_OK)
        status = iterator_status (reader);
    if (status == STATUS_OK && reader->part != 0)
        status = store_fail (reader->error, STATUS_DATA_LOSS, "turn %" PRIu64 " lacks its last part", reader->next);
    return status;
}

/* ---- what it means ---- */

static enum status check_record (struct reader *reader, struct registry_record *record)
{
    if (!record->seen)
        record->last_index = record->compact_index;
    if (record->removed)
        return STATUS_OK;
    bool complete = record->last_index >= record->compact_index;
    registry_trim (record);
    if (record->last_index > record->compact_index)
        complete = record->runs[record->run_first].first_index <= record->compact_index + 1;
    if (!complete)
        return store_fail (reader->error, STATUS_DATA_LOSS, "entries of shard %" PRIu32 " from %" PRIu64 " are missing",
            record->shard, record->compact_index + 1);
    /* A term is always stored before, or with, the entries of it (R1, R2). */
    if (record->last_term <= record->term)
        return STATUS_OK;
    char reason[160];
    snprintf (reason, sizeof reason, "shard %" PRIu32 " has entries of term %" PRIu64 ", but remembers term %" PRIu64,
        record->shard, record->last_term, record->term);
    return folder_suspect_set (&reader->store->folder, reason);
}

/* A log that ends before a turn known to be synced lost its end in a way that leaves no trace in the log itself. */
static enum status check_end (struct reader *reader)
{
    struct store *store = reader->store;
    if (reader->next == reader->first && reader->any_mark)
        return store_fail (
            reader->error, STATUS_DATA_LOSS, "turns from %" PRIu64 " of all shards are missing", reader->first);
    if (store->folder.mark <= store->turn_last)
        return STATUS_OK;
    char reason[160];
    snprintf (reason, sizeof reason, "the log ends at turn %" PRIu64 ", but turn %" PRIu64 " had been synced",
        store->turn_last, store->folder.mark);
    enum status status = folder_suspect_set (&store->folder, reason);
    return status == STATUS_OK ? status : store_fail (reader->error, status, "cannot mark the folder suspect");
}

static enum status describe (
    struct reader *reader, const struct registry_record *record, struct store_replica *replica, char damage[160])
{
    *replica = (struct store_replica){.shard = record->shard,
        .replica = record->replica,
        .term = record->term,
        .vote = record->vote,
        .first_index = record->compact_index + 1,
        .last_index = record->last_index,
        .compact_index = record->compact_index,
        .compact_term = record->compact_term,
        .config = bytes_of (record->config, record->config_len),
        .generation = record->generation};
    enum status status = store_state_applied (reader->store, record->shard, record->replica, record->generation,
        &replica->applied_index, &replica->applied_term);
    if (status == STATUS_INTERNAL)
        return store_fail (reader->error, status, "the state of shard %" PRIu32 " cannot be read", record->shard);
    if (status == STATUS_DATA_LOSS) {
        snprintf (damage, 160, "its applied index is damaged");
        replica->damage = damage;
        return STATUS_OK;
    }
    if (replica->applied_index < record->compact_index) {
        snprintf (damage, 160, "its state ends at %" PRIu64 ", below the log's cut at %" PRIu64, replica->applied_index,
            record->compact_index);
        replica->damage = damage;
    } else if (replica->applied_index > record->last_index) {
        snprintf (damage, 160, "its state is at %" PRIu64 ", past the log's end at %" PRIu64, replica->applied_index,
            record->last_index);
        replica->damage = damage;
        return folder_suspect_set (&reader->store->folder, damage);
    }
    return STATUS_OK;
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

enum status store_log_recover (struct store *store, const struct store_recovery *recovery, struct store_error *error)
{
    maitre_assert (!store->recovered);
    struct reader reader = {.store = store,
        .error = error,
        .recovery = recovery,
        .iterator = rocksdb_create_iterator (store->log.db, store->log.read)};
    enum status status = failpoint (FAILPOINT_START_LOG_BEFORE)
                             ? store_fail (error, STATUS_INTERNAL, "the log cannot be read")
                             : read_marks (&reader);
    store->turn_first = reader.first;
    store->turn_last = reader.first - 1;
    if (status == STATUS_OK)
        status = read_turns (&reader, index_group, true);
    for (size_t i = 0; status == STATUS_OK && i < store->registry.count; i++)
        status = check_record (&reader, store->registry.records[i]);
    if (status == STATUS_OK)
        status = check_end (&reader);
    if (status == STATUS_OK) {
        registry_check (&store->registry);
        status = hand_out (&reader);
    }
    rocksdb_iter_destroy (reader.iterator);
    store->recovered = status == STATUS_OK;
    return status;
}
