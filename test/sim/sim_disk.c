/* The disk: batches in order, pending until synced; a crash keeps, drops or tears the one under way. */
#include "test/sim/sim_platter.h"

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

void sim_entries_keep (struct sim_entries *entries, size_t keep)
{
    for (size_t i = keep; i < entries->count; i++)
        free ((void *) (uintptr_t) entries->items[i].payload.data);
    entries->count = keep;
}

void sim_entries_truncate (struct sim_entries *entries, uint64_t from_index)
{
    size_t keep = entries->count;
    while (keep > 0 && entries->items[keep - 1].index >= from_index)
        keep--;
    sim_entries_keep (entries, keep);
}

void sim_entries_clear (struct sim_entries *entries)
{
    sim_entries_keep (entries, 0);
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

struct sim_stored *sim_disk_create (
    struct sim_node *node, uint32_t shard, uint64_t replica, const struct raft_configuration *members)
{
    struct sim_stored *stored = calloc (1, sizeof *stored);
    maitre_assert (stored != NULL);
    stored->shard = shard;
    stored->replica = replica;
    if (members)
        stored->configuration = stored->first = *members;
    stored->next = node->disk.replicas;
    node->disk.replicas = stored;
    sim_platter_created (node, stored);
    return stored;
}

static void free_stored (struct sim_stored *stored)
{
    sim_entries_clear (&stored->log);
    free (stored->image.data);
    free (stored);
}

void sim_disk_erase (struct sim_node *node, uint64_t replica)
{
    sim_platter_erased (node, replica);
    for (struct sim_stored **at = &node->disk.replicas; *at; at = &(*at)->next) {
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
    sim_platter_write (sim, node);
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

static void write_entries (struct sim *sim, struct sim_stored *stored, struct sim_write *write)
{
    struct sim_entries *log = &stored->log;
    uint64_t last = sim_stored_last (stored);
    if (write->first > last + 1)
        sim_fail (sim, "shard %u replica %lu: a hole in the stored log, %lu after %lu", stored->shard,
            (unsigned long) stored->replica, (unsigned long) write->first, (unsigned long) last);
    sim_entries_truncate (log, write->first);
    for (size_t i = 0; i < write->log.count; i++) {
        sim_grow (&log->items, &log->size, log->count, sizeof *log->items);
        log->items[log->count++] = write->log.items[i]; /* the payload moves over */
    }
    write->log.count = 0;
}

static void write_turn (struct sim *sim, struct sim_stored *stored, struct sim_write *write)
{
    if (write->reset) {
        sim_entries_keep (&stored->log, 0);
        stored->snapshot_index = write->index;
        stored->snapshot_term = write->index_term;
    }
    if (write->hard_state) {
        sim_oracle_hard_state (sim, stored, write->term, write->vote);
        stored->term = write->term;
        stored->vote = write->vote;
    }
    stored->commit = write->commit;
    if (write->entries)
        write_entries (sim, stored, write);
}

void sim_disk_compact (
    struct sim_stored *stored, uint64_t index, uint64_t term, const struct raft_configuration *members)
{
    if (index <= stored->snapshot_index)
        return;
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
    if (resets)
        sim_entries_keep (&stored->log, 0);
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
        sim_disk_compact (stored, write->index, write->index_term, &write->configuration);
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
    bool installed = false;
    if (sim_fault_sync_fails (sim, node))
        return; /* the outcome is unknown, and the process has ended */
    disk->batch_writing = 0;
    while (disk->oldest && disk->oldest->batch <= batch) {
        struct sim_write *write = pop (disk);
        struct sim_stored *stored = sim_disk_find (disk, write->replica);
        if (stored) {
            take_effect (sim, stored, write);
            sim_node_persisted (sim, node, write);
        }
        installed = installed || write->kind == SIM_WRITE_INSTALL;
        free_write (write);
    }
    sim_platter_synced (sim, node);
    if (installed) /* its generation and cut were not among the turn's rows */
        sim_platter_rebase (node);
    sim_disk_start (sim, node);
}

void sim_disk_force (struct sim *sim, struct sim_node *node)
{
    struct sim_disk *disk = &node->disk;
    node->sync_fails = false; /* not in the middle of a step */
    while ((disk->batch_writing != 0 || disk->batch_open != 0)) {
        if (disk->batch_writing == 0) {
            disk->batch_writing = disk->batch_open;
            disk->batch_open = 0;
            sim_platter_write (sim, node);
        }
        sim_disk_synced (sim, node);
    }
}

/* The state database is another file: what was under way there arrived or not on its own. */
void sim_disk_crash (struct sim *sim, struct sim_node *node)
{
    struct sim_disk *disk = &node->disk;
    uint64_t batch = disk->batch_writing;
    while (disk->oldest) {
        struct sim_write *write = pop (disk);
        struct sim_stored *stored = sim_disk_find (disk, write->replica);
        bool elsewhere = write->kind == SIM_WRITE_STATE || write->kind == SIM_WRITE_SUSPECT;
        if (stored && elsewhere && write->batch == batch && sim_chance (sim, 2))
            take_effect (sim, stored, write);
        free_write (write);
    }
    disk->batch_open = 0;
    disk->batch_writing = 0;
    sim_platter_crash (sim, node);
    bool damaged = sim_fault_damage (sim, node);
    sim_platter_recover (sim, node, damaged);
}

void sim_disk_forget (struct sim_node *node, struct sim_stored *stored, size_t entries)
{
    uint64_t last = sim_stored_last (stored);
    uint64_t least = stored->state.applied > stored->snapshot_index ? stored->state.applied : stored->snapshot_index;
    uint64_t keep = last > least + entries ? last - entries : least;
    sim_entries_truncate (&stored->log, keep + 1);
    sim_platter_rebase (node);
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
    sim_platter_close (disk);
}
