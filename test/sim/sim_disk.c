/* The disk: batches in order, pending until synced; a crash keeps, drops or tears the one under way. */
#include "test/sim/sim.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"

void sim_entries_append (struct sim_entries *entries, const struct raft_entry *entry)
{
    sim_grow (&entries->items, &entries->size, entries->count, sizeof *entries->items);
    entries->items[entries->count++] = (struct sim_entry){
        .index = entry->index,
        .term = entry->term,
        .checksum = entry->checksum,
        .type = entry->type,
        .payload = bytes_of (sim_copy (entry->payload.data, entry->payload.len), entry->payload.len),
    };
}

static void drop_from (struct sim_entries *entries, size_t keep)
{
    for (size_t i = keep; i < entries->count; i++)
        free ((void *) (uintptr_t) entries->items[i].payload.data);
    entries->count = keep;
}

void sim_entries_clear (struct sim_entries *entries)
{
    drop_from (entries, 0);
    free (entries->items);
    *entries = (struct sim_entries){0};
}

uint64_t sim_stored_last (const struct sim_stored *stored)
{
    uint64_t last = stored->log.count == 0 ? 0 : stored->log.items[stored->log.count - 1].index;
    return last > stored->snapshot_index ? last : stored->snapshot_index;
}

bool sim_stored_has (const struct sim_stored *stored, uint64_t index, uint64_t term)
{
    if (index <= stored->snapshot_index)
        return true;
    for (size_t i = stored->log.count; i-- > 0;)
        if (stored->log.items[i].index == index)
            return stored->log.items[i].term == term;
    return false;
}

struct sim_stored *sim_disk_find (struct sim_disk *disk, uint64_t replica)
{
    for (struct sim_stored *stored = disk->replicas; stored; stored = stored->next)
        if (stored->replica == replica)
            return stored;
    return NULL;
}

struct sim_stored *sim_disk_create (struct sim_disk *disk, uint32_t shard, uint64_t replica)
{
    struct sim_stored *stored = calloc (1, sizeof *stored);
    maitre_assert (stored != NULL);
    stored->shard = shard;
    stored->replica = replica;
    stored->next = disk->replicas;
    disk->replicas = stored;
    return stored;
}

static void free_stored (struct sim_stored *stored)
{
    sim_entries_clear (&stored->log);
    free (stored->image.data);
    for (size_t i = 0; i < stored->undo_count; i++)
        sim_entries_clear (&stored->undo[i].removed);
    free (stored);
}

void sim_disk_erase (struct sim_disk *disk, uint64_t replica)
{
    for (struct sim_stored **at = &disk->replicas; *at; at = &(*at)->next) {
        struct sim_stored *stored = *at;
        if (stored->replica != replica)
            continue;
        *at = stored->next;
        free_stored (stored);
        return;
    }
}

struct sim_write *sim_disk_write (struct sim_node *node, enum sim_write_kind kind, uint64_t replica)
{
    struct sim_disk *disk = &node->disk;
    struct sim_write *write = calloc (1, sizeof *write);
    maitre_assert (write != NULL);
    if (disk->batch_open == 0)
        disk->batch_open = ++disk->batches;
    write->kind = kind;
    write->replica = replica;
    write->batch = disk->batch_open;
    if (disk->newest)
        disk->newest->next = write;
    else
        disk->oldest = write;
    disk->newest = write;
    return write;
}

void sim_disk_start (struct sim *sim, struct sim_node *node)
{
    struct sim_disk *disk = &node->disk;
    if (disk->batch_writing != 0 || disk->batch_open == 0)
        return;
    disk->batch_writing = disk->batch_open;
    disk->batch_open = 0;
    uint64_t takes_us = sim_between (sim, 150, 400);
    if (sim->time_us < sim->disk_slow_until_us[node->index])
        takes_us = sim_between (sim, 5 * 1000, 400 * 1000);
    sim_queue_push (&sim->queue, (struct sim_happening){
                                     .time_us = sim->time_us + takes_us,
                                     .kind = SIM_DISK,
                                     .node = node->index,
                                     .epoch = node->epoch,
                                     .value = disk->batch_writing,
                                 });
}

static struct sim_undo *remember (struct sim_stored *stored)
{
    if (stored->undo_count == SIM_UNDO_MAX) {
        sim_entries_clear (&stored->undo[0].removed);
        memmove (&stored->undo[0], &stored->undo[1], (SIM_UNDO_MAX - 1) * sizeof stored->undo[0]);
        stored->undo_count--;
    }
    struct sim_undo *undo = &stored->undo[stored->undo_count++];
    *undo = (struct sim_undo){.term = stored->term, .vote = stored->vote, .last_index = sim_stored_last (stored)};
    return undo;
}

static void fence (struct sim_stored *stored)
{
    for (size_t i = 0; i < stored->undo_count; i++)
        sim_entries_clear (&stored->undo[i].removed);
    stored->undo_count = 0;
}

static void write_entries (struct sim *sim, struct sim_stored *stored, struct sim_write *write, struct sim_undo *undo)
{
    struct sim_entries *log = &stored->log;
    uint64_t last = sim_stored_last (stored);
    if (write->first > last + 1)
        sim_fail (sim, "shard %u replica %lu: a hole in the stored log, %lu after %lu", stored->shard,
            (unsigned long) stored->replica, (unsigned long) write->first, (unsigned long) last);
    size_t keep = log->count;
    while (keep > 0 && log->items[keep - 1].index >= write->first)
        keep--;
    for (size_t i = keep; undo && i < log->count; i++) {
        struct sim_entry *old = &log->items[i];
        struct raft_entry entry = {old->index, old->term, old->checksum, old->payload, old->type};
        sim_entries_append (&undo->removed, &entry);
    }
    drop_from (log, keep);
    for (size_t i = 0; i < write->log.count; i++) {
        sim_grow (&log->items, &log->size, log->count, sizeof *log->items);
        log->items[log->count++] = write->log.items[i]; /* the payload moves over */
    }
    write->log.count = 0;
}

static void write_turn (struct sim *sim, struct sim_stored *stored, struct sim_write *write)
{
    struct sim_undo *undo = NULL;
    if (write->reset) {
        fence (stored);
        drop_from (&stored->log, 0);
        stored->snapshot_index = write->index;
        stored->snapshot_term = write->index_term;
    } else {
        undo = remember (stored);
    }
    if (write->hard_state) {
        sim_oracle_hard_state (sim, stored, write->term, write->vote);
        stored->term = write->term;
        stored->vote = write->vote;
    }
    stored->commit = write->commit;
    if (write->entries)
        write_entries (sim, stored, write, undo);
}

static void compact (struct sim_stored *stored, uint64_t index, uint64_t term, const struct raft_configuration *members)
{
    if (index <= stored->snapshot_index)
        return;
    fence (stored);
    size_t drop = 0;
    while (drop < stored->log.count && stored->log.items[drop].index <= index)
        free ((void *) (uintptr_t) stored->log.items[drop++].payload.data);
    stored->log.count -= drop;
    memmove (stored->log.items, stored->log.items + drop, stored->log.count * sizeof stored->log.items[0]);
    stored->snapshot_index = index;
    stored->snapshot_term = term;
    stored->configuration = *members;
}

void sim_disk_install (struct sim_stored *stored, uint64_t index, uint64_t term,
    const struct raft_configuration *configuration, bool resets)
{
    fence (stored);
    if (resets)
        drop_from (&stored->log, 0);
    stored->snapshot_index = index;
    stored->snapshot_term = term;
    stored->configuration = *configuration;
}

static void take_effect (struct sim *sim, struct sim_stored *stored, struct sim_write *write)
{
    switch (write->kind) {
    case SIM_WRITE_TURN:
        write_turn (sim, stored, write);
        break;
    case SIM_WRITE_STATE:
        if (write->state.applied <= stored->state.applied)
            break;
        stored->state = write->state;
        free (stored->image.data);
        stored->image = write->image; /* the rows move over */
        write->image = (struct state_image){0};
        break;
    case SIM_WRITE_INSTALL: /* the log stays as it is: raft_new and the next reset sort it out */
        if (write->index <= stored->state.applied)
            break;
        sim_disk_install (stored, write->index, write->index_term, &write->configuration, false);
        stored->state = write->state;
        break;
    case SIM_WRITE_COMPACT:
        compact (stored, write->index, write->index_term, &write->configuration);
        break;
    case SIM_WRITE_SUSPECT:
        stored->suspect = write->suspect;
        break;
    }
}

static void free_write (struct sim_write *write)
{
    sim_entries_clear (&write->log);
    free (write->image.data);
    free (write);
}

static struct sim_write *pop (struct sim_disk *disk)
{
    struct sim_write *write = disk->oldest;
    disk->oldest = write->next;
    if (!disk->oldest)
        disk->newest = NULL;
    return write;
}

void sim_disk_synced (struct sim *sim, struct sim_node *node)
{
    struct sim_disk *disk = &node->disk;
    uint64_t batch = disk->batch_writing;
    disk->batch_writing = 0;
    while (disk->oldest && disk->oldest->batch <= batch) {
        struct sim_write *write = pop (disk);
        struct sim_stored *stored = sim_disk_find (disk, write->replica);
        if (stored) {
            take_effect (sim, stored, write);
            sim_node_persisted (sim, node, write);
        }
        free_write (write);
    }
    sim_disk_start (sim, node);
}

void sim_disk_force (struct sim *sim, struct sim_node *node)
{
    struct sim_disk *disk = &node->disk;
    while (disk->batch_writing != 0 || disk->batch_open != 0) {
        if (disk->batch_writing == 0) {
            disk->batch_writing = disk->batch_open;
            disk->batch_open = 0;
        }
        sim_disk_synced (sim, node);
    }
}

void sim_disk_crash (struct sim *sim, struct sim_node *node)
{
    struct sim_disk *disk = &node->disk;
    uint64_t batch = disk->batch_writing;
    bool kept = batch != 0 && sim_chance (sim, 2);
    bool torn = batch != 0 && !kept && (sim->families & SIM_TORN) && sim_chance (sim, 2);
    while (disk->oldest) {
        struct sim_write *write = pop (disk);
        struct sim_stored *stored = sim_disk_find (disk, write->replica);
        if (kept && stored && write->batch == batch)
            take_effect (sim, stored, write);
        free_write (write);
    }
    disk->batch_open = 0;
    disk->batch_writing = 0;
    if (!torn)
        return;
    sim_fault_count (sim, SIM_TORN);
    for (struct sim_stored *stored = disk->replicas; stored; stored = stored->next)
        stored->suspect = true; /* the store cut a tail, and cannot tell what of whom it was */
}

void sim_disk_rot (struct sim *sim, struct sim_stored *stored, size_t records)
{
    for (size_t i = 0; i < records && stored->undo_count > 0; i++) {
        struct sim_undo *undo = &stored->undo[stored->undo_count - 1];
        uint64_t low = undo->removed.count > 0 ? undo->removed.items[0].index - 1 : undo->last_index;
        if (low < stored->state.applied)
            break; /* the state would be ahead of its log: another case */
        size_t keep = stored->log.count;
        while (keep > 0 && stored->log.items[keep - 1].index > low)
            keep--;
        drop_from (&stored->log, keep);
        for (size_t j = 0; j < undo->removed.count; j++) {
            struct sim_entry *old = &undo->removed.items[j];
            struct raft_entry entry = {old->index, old->term, old->checksum, old->payload, old->type};
            sim_entries_append (&stored->log, &entry);
        }
        stored->term = undo->term;
        stored->vote = undo->vote;
        sim_entries_clear (&undo->removed);
        stored->undo_count--;
    }
    stored->suspect = true;
    sim_trace (sim, "rot shard %u replica %lu: log ends at %lu", stored->shard, (unsigned long) stored->replica,
        (unsigned long) sim_stored_last (stored));
}

void sim_disk_close (struct sim_disk *disk)
{
    while (disk->oldest)
        free_write (pop (disk));
    while (disk->replicas) {
        struct sim_stored *stored = disk->replicas;
        disk->replicas = stored->next;
        free_stored (stored);
    }
}
