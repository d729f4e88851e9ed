#include "node/store/registry.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/store/small_file.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/planted.h"

void registry_close (struct registry *registry)
{
    for (size_t i = 0; i < registry->count; i++) {
        free (registry->records[i]->runs);
        free (registry->records[i]->config);
        free (registry->records[i]);
    }
    free (registry->records);
    *registry = (struct registry){0};
}

static int record_order (const struct registry_record *record, uint32_t shard, uint64_t replica)
{
    if (record->shard != shard)
        return record->shard < shard ? -1 : 1;
    return record->replica < replica ? -1 : record->replica > replica;
}

/* First place whose record is >= (shard, replica). */
static size_t place_of (const struct registry *registry, uint32_t shard, uint64_t replica)
{
    size_t low = 0, high = registry->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (record_order (registry->records[middle], shard, replica) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct registry_record *registry_find (const struct registry *registry, uint32_t shard, uint64_t replica)
{
    size_t place = place_of (registry, shard, replica);
    bool found = place < registry->count && record_order (registry->records[place], shard, replica) == 0;
    return found ? registry->records[place] : NULL;
}

struct registry_record *registry_make (struct registry *registry, uint32_t shard, uint64_t replica)
{
    struct registry_record *record = registry_find (registry, shard, replica);
    if (record != NULL)
        return record;
    if (registry->count == registry->room) {
        size_t room = registry->room == 0 ? 64 : registry->room * 2;
        struct registry_record **grown = realloc (registry->records, room * sizeof *grown);
        if (grown == NULL)
            return NULL;
        registry->records = grown;
        registry->room = room;
    }
    record = calloc (1, sizeof *record);
    if (record == NULL)
        return NULL;
    record->shard = shard;
    record->replica = replica;
    size_t place = place_of (registry, shard, replica);
    memmove (registry->records + place + 1, registry->records + place,
        (registry->count - place) * sizeof *registry->records);
    registry->records[place] = record;
    registry->count++;
    return record;
}

/* What a change would do, on the record's trial fields alone. NULL, or why it cannot be. */
static const char *try_change (struct registry_record *record, const struct registry_change *change)
{
    if (record->trial_removed && change->kind != REGISTRY_REMOVE)
        return "names a removed replica";
    if (record->trial_broken && change->kind != REGISTRY_REMOVE && change->kind != REGISTRY_RESET &&
        change->kind != REGISTRY_HARD_STATE)
        return "goes on with a broken log";
    switch (change->kind) {
    case REGISTRY_APPEND: {
        uint64_t last = record->trial_last;
        if (change->truncate_from != 0) {
            if (change->truncate_from <= record->trial_compact)
                return "truncates what is compacted";
            if (change->truncate_from <= last)
                last = change->truncate_from - 1;
        }
        if (change->count > 0) {
            if (change->first_index <= record->trial_compact)
                return "appends below the compaction point";
            if (change->first_index > last + 1)
                return "leaves a gap in the log";
            last = change->first_index + change->count - 1;
        }
        record->trial_last = last;
        return NULL;
    }
    case REGISTRY_COMPACT:
        if (change->index < record->trial_compact || change->index > record->trial_last)
            return "compacts outside of the log";
        record->trial_compact = change->index;
        return NULL;
    case REGISTRY_INSTALL:
        if (change->generation <= record->trial_generation)
            return "installs a generation that is not newer";
        record->trial_generation = change->generation;
        /* Without keep_log a RESET stands in front of it. */
        if (change->index < record->trial_compact || change->index > record->trial_last)
            return "keeps a log that does not hold the snapshot's index";
        record->trial_compact = change->index;
        return NULL;
    case REGISTRY_RESET:
        record->trial_last = record->trial_compact = change->first_index - 1;
        record->trial_broken = false;
        return NULL;
    case REGISTRY_REMOVE:
        record->trial_removed = true;
        record->trial_broken = false;
        return NULL;
    case REGISTRY_HARD_STATE:
        return NULL;
    }
    return "is of no known kind";
}

enum status registry_try (
    struct registry *registry, const struct registry_change *changes, size_t n, struct store_error *error)
{
    uint64_t trial = ++registry->trials;
    struct registry_record *record = NULL;
    for (size_t i = 0; i < n; i++) {
        if (record == NULL || record_order (record, changes[i].shard, changes[i].replica) != 0)
            record = registry_make (registry, changes[i].shard, changes[i].replica);
        if (record == NULL)
            return store_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
        if (record->trial != trial) {
            record->trial = trial;
            record->trial_last = record->last_index;
            record->trial_compact = record->compact_index;
            record->trial_generation = record->generation;
            record->trial_removed = record->removed;
            record->trial_broken = record->broken;
        }
        const char *why = try_change (record, &changes[i]);
        if (why != NULL)
            return store_fail (error, STATUS_INVALID_ARGUMENT,
                "shard %" PRIu32 " replica %" PRIu64 ": the turn %s (log is %" PRIu64 "..%" PRIu64 ")", record->shard,
                record->replica, why, record->trial_compact + 1, record->trial_last);
    }
    return STATUS_OK;
}

bool registry_try_mends (const struct registry *registry)
{
    for (size_t i = 0; i < registry->count; i++) {
        const struct registry_record *record = registry->records[i];
        if (record->broken && (record->trial != registry->trials || record->trial_broken))
            return false;
    }
    return true;
}

static void run_push (struct registry_record *record, struct registry_run run)
{
    if (record->run_end == record->run_room) {
        size_t live = record->run_end - record->run_first;
        if (record->run_first > record->run_room / 2) {
            memmove (record->runs, record->runs + record->run_first, live * sizeof *record->runs);
        } else {
            size_t room = record->run_room == 0 ? 16 : record->run_room * 2;
            struct registry_run *grown = malloc (room * sizeof *grown);
            maitre_assert (grown != NULL); /* the turn is on disk: without its place in memory nothing can go on */
            if (live > 0)
                memcpy (grown, record->runs + record->run_first, live * sizeof *grown);
            free (record->runs);
            record->runs = grown;
            record->run_room = room;
        }
        record->run_first = 0;
        record->run_end = live;
    }
    record->runs[record->run_end++] = run;
}

/* Drops everything at and above index. */
static void truncate_from (struct registry_record *record, uint64_t index)
{
    while (record->run_end > record->run_first && record->runs[record->run_end - 1].first_index >= index)
        record->run_end--;
    if (record->last_index >= index) {
        record->last_index = index - 1;
        record->tail_term = 0;
    }
}

void registry_trim (struct registry_record *record)
{
    if (record->last_index <= record->compact_index) {
        record->run_first = record->run_end = 0;
        return;
    }
    while (record->run_end - record->run_first > 1 &&
           record->runs[record->run_first + 1].first_index <= record->compact_index + 1)
        record->run_first++;
}

void registry_hole (struct registry *registry)
{
    registry->holes += !PLANTED (STORE_HOLE_UNSEEN);
}

void registry_break (struct registry_record *record, uint64_t index)
{
    if (!record->broken) {
        record->broken_index = index;
        record->broken_last = record->last_index;
    }
    record->broken = true;
    record->run_first = record->run_end = 0;
    record->last_index = record->compact_index;
    record->tail_term = 0;
}

bool registry_doubtful (const struct registry *registry, const struct registry_record *record)
{
    return !record->removed && record->holes < registry->holes;
}

/* Whether what is appended proves that nothing of this log is missing in front of it, nor was replaced (registry.h). */
static bool proves (const struct registry_record *record, const struct registry_change *change)
{
    if (change->first_index <= record->compact_index + 1)
        return true;
    bool same_term =
        (change->first_term == record->tail_term && record->tail_term != 0) || PLANTED (STORE_HOLE_BY_INDEX);
    return record->seen && change->first_index == record->last_index + 1 && same_term;
}

/* In recovery: takes an append up, or finds the log broken. */
static void recover_append (
    const struct registry *registry, struct registry_record *record, const struct registry_change *change)
{
    if (record->broken || change->count == 0)
        return;
    bool behind_hole = record->holes < registry->holes;
    if (behind_hole ? !proves (record, change) : record->seen && change->first_index > record->last_index + 1) {
        registry_break (record, change->first_index);
        return;
    }
    record->holes = registry->holes;
    if (!record->seen || change->first_index > record->last_index + 1)
        record->last_index = change->first_index - 1;
}

static bool apply_append (const struct registry *registry, struct registry_record *record,
    const struct registry_change *change, uint64_t turn, bool loose)
{
    if (loose)
        recover_append (registry, record, change);
    if (record->broken)
        return loose;
    if (change->count > 0 && change->first_index > record->last_index + 1)
        return false;
    if (change->truncate_from != 0)
        truncate_from (record, change->truncate_from);
    if (change->count > 0) {
        if (change->first_index > record->last_index + 1)
            return false;
        truncate_from (record, change->first_index);
        run_push (
            record, (struct registry_run){.first_index = change->first_index, .turn = turn, .group = change->group});
        record->last_index = change->first_index + change->count - 1;
        record->tail_term = change->tail_term;
        record->seen = true;
    }
    return true;
}

static void set_compact (struct registry_record *record, struct registry_change *change)
{
    record->compact_index = change->index;
    record->compact_term = change->index_term;
    free (record->config);
    record->config = change->config;
    record->config_len = change->config_len;
    change->config = NULL;
    registry_trim (record);
}

bool registry_apply (struct registry *registry, struct registry_change *change, uint64_t turn, bool loose)
{
    struct registry_record *record = registry_make (registry, change->shard, change->replica);
    maitre_assert (record != NULL);
    switch (change->kind) {
    case REGISTRY_APPEND:
        return apply_append (registry, record, change, turn, loose);
    case REGISTRY_RESET:
        record->broken = false;
        record->holes = registry->holes;
        record->tail_term = 0;
        record->run_first = record->run_end = 0;
        record->last_index = change->first_index - 1;
        record->compact_index = loose ? record->compact_index : record->last_index;
        record->seen = true;
        return true;
    case REGISTRY_HARD_STATE:
        record->term = change->term;
        record->vote = change->vote;
        return true;
    case REGISTRY_INSTALL:
        record->generation = change->generation;
        set_compact (record, change);
        return true;
    case REGISTRY_COMPACT:
        set_compact (record, change);
        return true;
    case REGISTRY_REMOVE:
        record->removed = true;
        record->broken = false;
        record->run_first = record->run_end = 0;
        record->last_index = record->compact_index;
        return true;
    }
    return false;
}

const struct registry_run *registry_run_of (const struct registry_record *record, uint64_t index)
{
    if (index > record->last_index || record->run_first == record->run_end ||
        record->runs[record->run_first].first_index > index)
        return NULL;
    size_t low = record->run_first, high = record->run_end;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (record->runs[middle].first_index <= index)
            low = middle;
        else
            high = middle;
    }
    return &record->runs[low];
}

uint64_t registry_oldest_turn (const struct registry *registry, uint64_t none, struct registry_record **pinning)
{
    uint64_t oldest = none;
    for (size_t i = 0; i < registry->count; i++) {
        struct registry_record *record = registry->records[i];
        if (record->run_first == record->run_end || record->runs[record->run_first].turn >= oldest)
            continue;
        oldest = record->runs[record->run_first].turn;
        if (pinning != NULL)
            *pinning = record;
    }
    return oldest;
}

void registry_check (const struct registry *registry)
{
    for (size_t i = 0; i < registry->count; i++) {
        const struct registry_record *record = registry->records[i];
        maitre_assert (i == 0 || record_order (registry->records[i - 1], record->shard, record->replica) < 0);
        maitre_assert (record->compact_index <= record->last_index);
        maitre_assert (!(record->removed || record->broken) || record->run_first == record->run_end);
        maitre_assert (record->last_index == record->compact_index || record->run_end > record->run_first);
        for (size_t k = record->run_first; k < record->run_end; k++) {
            const struct registry_run *run = &record->runs[k];
            maitre_assert (run->first_index <= record->last_index);
            if (k == record->run_first) {
                maitre_assert (run->first_index <= record->compact_index + 1);
                continue;
            }
            maitre_assert (run[-1].first_index < run->first_index);
            maitre_assert (run[-1].turn < run->turn || (run[-1].turn == run->turn && run[-1].group < run->group));
        }
    }
}
