/* The log in memory: entries in one sliding array, payloads in a chain of segments. */
#include "node/raft/raft_internal.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/checksum.h"

#define SEGMENT_BYTES_FIRST 4096 /* most groups of most nodes are quiet */
#define SEGMENT_BYTES_MOST 262144
#define ENTRIES_FIRST 64
#define ENTRIES_KEPT 4096 /* never shrunk below */

/* Segments never move, so that a message or a persist range may point into them until the entry is dropped. */
struct raft_segment {
    struct raft_segment *older, *newer;
    uint64_t last_index; /* the newest entry that has payload here */
    size_t used, size;
    uint8_t data[];
};

uint64_t raft_entry_checksum (uint32_t shard, const struct raft_entry *entry)
{
    uint8_t head[21];
    maitre_assert (entry != NULL);
    bytes_put_u32 (head, shard);
    bytes_put_u64 (head + 4, entry->index);
    bytes_put_u64 (head + 12, entry->term);
    head[20] = entry->type;
    return checksum64 (checksum64 (0, bytes_of (head, sizeof head)), entry->payload);
}

void raft_log_init (struct raft_log *log, uint64_t snapshot_index, uint64_t snapshot_term)
{
    maitre_assert (log != NULL);
    maitre_assert ((snapshot_index == 0) == (snapshot_term == 0));
    *log = (struct raft_log){.snapshot_index = snapshot_index, .snapshot_term = snapshot_term};
}

void raft_log_close (struct raft_log *log)
{
    maitre_assert (log != NULL);
    while (log->oldest) {
        struct raft_segment *segment = log->oldest;
        log->oldest = segment->newer;
        free (segment);
    }
    free (log->entries);
    free (log->ends);
    *log = (struct raft_log){0};
}

static inline const struct raft_entry *at (const struct raft_log *log, uint64_t index)
{
    maitre_assert (index > log->snapshot_index);
    maitre_assert (index <= raft_log_last (log));
    return &log->entries[log->start + (size_t) (index - log->snapshot_index - 1)];
}

const struct raft_entry *raft_log_get (const struct raft_log *log, uint64_t index)
{
    if (index <= log->snapshot_index || index > raft_log_last (log))
        return NULL;
    return at (log, index);
}

uint64_t raft_log_term (const struct raft_log *log, uint64_t index)
{
    if (index == log->snapshot_index)
        return log->snapshot_term;
    const struct raft_entry *entry = raft_log_get (log, index);
    maitre_assert (!entry || entry->index == index);
    return entry ? entry->term : 0;
}

uint64_t raft_log_last_term (const struct raft_log *log)
{
    return log->count == 0 ? log->snapshot_term : log->entries[log->start + log->count - 1].term;
}

static uint64_t end_at (const struct raft_log *log, uint64_t index)
{
    if (index == log->snapshot_index)
        return log->snapshot_end;
    maitre_assert (index > log->snapshot_index);
    maitre_assert (index <= raft_log_last (log));
    return log->ends[log->start + (size_t) (index - log->snapshot_index - 1)];
}

uint64_t raft_log_bytes (const struct raft_log *log, uint64_t from, uint64_t to)
{
    maitre_assert (from <= to);
    return end_at (log, to) - end_at (log, from);
}

uint64_t raft_log_before (const struct raft_log *log, uint64_t bytes)
{
    uint64_t low = log->snapshot_index, high = raft_log_last (log), last = high;
    while (low < high) { /* the bytes behind an index only shrink towards the end */
        uint64_t middle = low + (high - low) / 2;
        if (raft_log_bytes (log, middle, last) <= bytes)
            high = middle;
        else
            low = middle + 1;
    }
    maitre_assert (low >= log->snapshot_index);
    maitre_assert (raft_log_bytes (log, low, last) <= bytes);
    return low;
}

static bool room_for_entry (struct raft_log *log)
{
    if (log->start + log->count < log->size)
        return true;
    if (log->start > log->size / 2) { /* slide: each entry moves at most once per `size` appends */
        memmove (log->entries, log->entries + log->start, log->count * sizeof *log->entries);
        memmove (log->ends, log->ends + log->start, log->count * sizeof *log->ends);
        log->start = 0;
        return true;
    }
    size_t size = log->size == 0 ? ENTRIES_FIRST : 2 * log->size;
    struct raft_entry *entries = realloc (log->entries, size * sizeof *entries);
    if (!entries)
        return false;
    log->entries = entries;
    uint64_t *ends = realloc (log->ends, size * sizeof *ends);
    if (!ends)
        return false;
    log->ends = ends;
    log->size = size;
    maitre_assert (log->start + log->count < log->size);
    return true;
}

static struct raft_segment *room_for_payload (struct raft_log *log, size_t len)
{
    struct raft_segment *newest = log->newest;
    if (newest && newest->size - newest->used >= len)
        return newest;
    size_t size = SEGMENT_BYTES_FIRST;
    if (newest)
        size = newest->size >= SEGMENT_BYTES_MOST / 2 ? SEGMENT_BYTES_MOST : 2 * newest->size;
    if (size < len)
        size = len;
    struct raft_segment *segment = malloc (sizeof *segment + size);
    if (!segment)
        return NULL;
    *segment = (struct raft_segment){.older = newest, .size = size};
    if (newest)
        newest->newer = segment;
    else
        log->oldest = segment;
    log->newest = segment;
    maitre_assert (log->oldest != NULL);
    return segment;
}

enum status raft_log_append (struct raft_log *log, const struct raft_entry *entry)
{
    maitre_assert (entry->index == raft_log_last (log) + 1);
    maitre_assert (entry->term >= raft_log_last_term (log));
    maitre_assert (entry->payload.len <= RAFT_ENTRY_BYTES_MAX);
    if (!room_for_entry (log))
        return STATUS_RESOURCE_EXHAUSTED;
    struct raft_entry copy = *entry;
    copy.payload.data = NULL;
    if (entry->payload.len > 0) {
        struct raft_segment *segment = room_for_payload (log, entry->payload.len);
        if (!segment)
            return STATUS_RESOURCE_EXHAUSTED;
        memcpy (segment->data + segment->used, entry->payload.data, entry->payload.len);
        copy.payload.data = segment->data + segment->used;
        segment->used += entry->payload.len;
        segment->last_index = entry->index;
    }
    uint64_t end = end_at (log, raft_log_last (log)) + entry->payload.len;
    log->entries[log->start + log->count] = copy;
    log->ends[log->start + log->count] = end;
    log->count++;
    return STATUS_OK;
}

/* After a burst the memory goes back; a failure to shrink harms nobody. */
static void shrink (struct raft_log *log)
{
    if (log->size <= ENTRIES_KEPT || log->count >= log->size / 8)
        return;
    size_t size = log->size / 4;
    memmove (log->entries, log->entries + log->start, log->count * sizeof *log->entries);
    memmove (log->ends, log->ends + log->start, log->count * sizeof *log->ends);
    log->start = 0;
    struct raft_entry *entries = realloc (log->entries, size * sizeof *entries);
    uint64_t *ends = realloc (log->ends, size * sizeof *ends);
    log->entries = entries ? entries : log->entries;
    log->ends = ends ? ends : log->ends;
    if (entries || ends) /* the smaller of the two is what there is room for */
        log->size = size;
    maitre_assert (log->count < log->size);
}

static void drop_newest (struct raft_log *log)
{
    struct raft_segment *segment = log->newest;
    maitre_assert (segment != NULL);
    log->newest = segment->older;
    if (log->newest)
        log->newest->newer = NULL;
    else
        log->oldest = NULL;
    free (segment);
}

void raft_log_truncate (struct raft_log *log, uint64_t index)
{
    maitre_assert (index >= log->snapshot_index);
    maitre_assert (index <= raft_log_last (log));
    size_t keep = (size_t) (index - log->snapshot_index);
    const uint8_t *first = NULL; /* where the dropped payloads begin */
    for (size_t i = keep; i < log->count && !first; i++)
        first = log->entries[log->start + i].payload.data;
    log->count = keep;
    if (!first)
        return;
    uintptr_t address = (uintptr_t) first;
    while (address - (uintptr_t) log->newest->data >= log->newest->size)
        drop_newest (log);
    log->newest->used = (size_t) (first - log->newest->data);
    if (log->newest->last_index > index)
        log->newest->last_index = index;
    maitre_assert (log->newest->used <= log->newest->size);
}

static void drop_oldest_until (struct raft_log *log, uint64_t index)
{
    while (log->oldest && log->oldest->last_index <= index) {
        struct raft_segment *segment = log->oldest;
        if (!segment->newer) { /* keep the last one for what comes next */
            segment->used = 0;
            return;
        }
        log->oldest = segment->newer;
        log->oldest->older = NULL;
        free (segment);
    }
}

void raft_log_compact (struct raft_log *log, uint64_t index)
{
    maitre_assert (index >= log->snapshot_index);
    maitre_assert (index <= raft_log_last (log));
    size_t drop = (size_t) (index - log->snapshot_index);
    uint64_t term = raft_log_term (log, index);
    uint64_t end = end_at (log, index);
    log->snapshot_index = index;
    log->snapshot_term = term;
    log->snapshot_end = end;
    log->start += drop;
    log->count -= drop;
    if (log->count == 0)
        log->start = 0;
    shrink (log);
    drop_oldest_until (log, index);
}

void raft_log_reset (struct raft_log *log, uint64_t index, uint64_t term)
{
    maitre_assert (index > 0);
    maitre_assert (term > 0);
    uint64_t end = end_at (log, raft_log_last (log));
    log->start = 0;
    log->count = 0;
    log->snapshot_index = index;
    log->snapshot_term = term;
    log->snapshot_end = end;
    drop_oldest_until (log, UINT64_MAX);
}

uint64_t raft_log_find (const struct raft_log *log, uint64_t index, uint64_t term)
{
    uint64_t last = raft_log_last (log);
    if (index > last)
        index = last;
    while (index > log->snapshot_index && at (log, index)->term > term)
        index--;
    maitre_assert (index <= last);
    return index;
}
