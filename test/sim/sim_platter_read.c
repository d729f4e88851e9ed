/* A start: the store's own look at the write-ahead file, then every turn read back through the store's own formats. */
#include "test/sim/sim_platter.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/store/pack.h"
#include "node/store/registry.h"
#include "node/store/wal.h"
#include "schemas/runtime/assert.h"

#define BLOCK_BYTES 32768
#define HEADER_BYTES 7
#define BATCH_HEADER_BYTES 12

/* ---- the file, as the store looks at it ---- */

static void write_file (struct sim *sim, const char *path, const struct sim_platter *platter)
{
    int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (size_t done = 0; fd >= 0 && done < platter->len;) {
        ssize_t n = write (fd, platter->data + done, platter->len - done);
        if (n <= 0)
            sim_fail (sim, "%s cannot be written", path);
        done += (size_t) n;
    }
    if (fd < 0)
        sim_fail (sim, "%s cannot be made", path);
    close (fd);
}

static char *folder_new (struct sim *sim, char *memory, char *disk)
{
    char *folder = mkdtemp (memory) ? memory : mkdtemp (disk);
    if (!folder)
        sim_fail (sim, "no folder for the write-ahead file");
    return folder;
}

/* The file's new content, and the folder goes. */
static void read_file (struct sim *sim, const char *folder, struct sim_platter *platter)
{
    char path[64];
    snprintf (path, sizeof path, "%s/000007.log", folder);
    int fd = open (path, O_RDONLY);
    off_t size = fd < 0 ? -1 : lseek (fd, 0, SEEK_END);
    maitre_assert (size < 0 || (size_t) size <= platter->size);
    if (size < 0 || pread (fd, platter->data, (size_t) size, 0) != size)
        sim_fail (sim, "%s cannot be read", path);
    close (fd);
    platter->len = (size_t) size;
}

static void folder_remove (const char *folder)
{
    char path[64];
    snprintf (path, sizeof path, "%s/000007.log", folder);
    unlink (path);
    rmdir (folder);
}

/* What the store decides; a torn tail is cut as it does, and what is left of a rotten file is saved as it does. */
static enum wal_condition inspect (struct sim *sim, struct sim_platter *platter)
{
    char dir[] = "/dev/shm/maitred-sim-XXXXXX", other[] = "/tmp/maitred-sim-XXXXXX", path[64];
    char into[] = "/dev/shm/maitred-sim-XXXXXX", into_other[] = "/tmp/maitred-sim-XXXXXX";
    const char *folder = folder_new (sim, dir, other), *saved = folder_new (sim, into, into_other);
    struct wal_report report;
    struct wal_salvaged salvaged = {0};
    snprintf (path, sizeof path, "%s/000007.log", folder);
    write_file (sim, path, platter);
    enum status status = wal_inspect (folder, &report, NULL);
    if (status == STATUS_OK && report.condition == WAL_TORN)
        status = wal_cut (folder, &report, NULL);
    if (status == STATUS_OK && report.condition == WAL_ROT)
        status = wal_salvage (folder, saved, &salvaged, NULL);
    if (status != STATUS_OK)
        sim_fail (sim, "the write-ahead file cannot be inspected: %s", status_name (status));
    if (report.condition == WAL_ROT && salvaged.files != 1)
        sim_fail (sim, "nothing of a rotten write-ahead file was to be saved");
    read_file (sim, report.condition == WAL_ROT ? saved : folder, platter);
    folder_remove (folder);
    folder_remove (saved);
    return report.condition;
}

/* ---- turns ---- */

struct reading {
    struct sim *sim;
    struct sim_node *node;
    struct sim_stored *found; /* being made */
    uint64_t turn;            /* the last one read */
    struct registry registry; /* the store's own judgement of what goes on behind a hole */
    uint32_t group;
    bool marks; /* the first pass: final terms, votes and cuts alone, as the store reads them first */
};

static struct sim_stored *found_replica (struct reading *reading, uint64_t replica)
{
    for (struct sim_stored *stored = reading->found; stored; stored = stored->next)
        if (stored->replica == replica)
            return stored;
    return NULL;
}

/* The log of a replica, followed by the production code that decides whether it may go on with it. */
static void judge_group (
    struct reading *reading, const struct pack_group *group, uint64_t first_term, uint64_t last_term)
{
    struct registry_change change = {.kind = group->flags == PACK_FLAG_RESET ? REGISTRY_RESET : REGISTRY_APPEND,
        .shard = group->shard,
        .replica = group->replica,
        .truncate_from = group->truncate_from,
        .first_index = group->first_index,
        .count = group->count,
        .group = reading->group++,
        .first_term = first_term,
        .tail_term = last_term};
    bool fits = registry_apply (&reading->registry, &change, reading->turn, true);
    maitre_assert (fits);
}

static void read_group (struct reading *reading, struct bytes *body)
{
    struct pack_group group;
    uint64_t first_term = 0, last_term = 0;
    if (pack_read_group (body, &group) != STATUS_OK)
        sim_fail (reading->sim, "turn %lu does not read back", (unsigned long) reading->turn);
    struct sim_stored *stored = found_replica (reading, group.replica);
    if (stored && group.flags == PACK_FLAG_RESET)
        sim_entries_keep (&stored->log, 0);
    if (stored && group.truncate_from > 0)
        sim_entries_truncate (&stored->log, group.truncate_from);
    for (uint32_t i = 0; i < group.count; i++) {
        struct store_entry from;
        if (pack_read_entry (body, &group, group.first_index + i, &from) != STATUS_OK)
            sim_fail (reading->sim, "an entry of turn %lu does not read back", (unsigned long) reading->turn);
        struct raft_entry entry = {
            .index = from.index, .term = from.term, .type = (uint8_t) from.type, .payload = from.payload};
        entry.checksum = raft_entry_checksum (group.shard, &entry);
        first_term = i == 0 ? from.term : first_term;
        last_term = from.term;
        if (stored)
            sim_entries_append (&stored->log, &entry);
    }
    if (stored)
        judge_group (reading, &group, first_term, last_term);
}

static void read_turn (struct reading *reading, struct bytes key, struct bytes value)
{
    struct pack_part part;
    if (reading->marks)
        return;
    if (key.len != PACK_TURN_KEY_BYTES || pack_read_part (value, &part) != STATUS_OK || part.turn <= reading->turn ||
        part.turn != bytes_get_u64 (key.data + 1))
        sim_fail (
            reading->sim, "node %u: a turn is damaged behind %lu", reading->node->index, (unsigned long) reading->turn);
    if (part.turn > reading->turn + 1)
        registry_hole (&reading->registry);
    reading->turn = part.turn;
    reading->group = 0;
    for (uint32_t i = 0; i < part.groups; i++)
        read_group (reading, &part.body);
}

static void read_mark (struct reading *reading, struct bytes key, struct bytes value)
{
    struct bytes fields;
    if (key.len != PACK_MARK_KEY_BYTES || pack_unseal (key, value, &fields) != STATUS_OK || fields.len < 16)
        sim_fail (reading->sim, "node %u: a mark does not read back", reading->node->index);
    struct sim_stored *stored = found_replica (reading, bytes_get_u64 (key.data + 5));
    uint64_t first = bytes_get_u64 (fields.data), second = bytes_get_u64 (fields.data + 8);
    if (!stored)
        return;
    struct registry_record *record = registry_find (&reading->registry, stored->shard, stored->replica);
    maitre_assert (record != NULL);
    if (reading->marks && key.data[0] == 'c') {
        record->compact_index = first;
        record->compact_term = second;
    }
    if (reading->marks)
        return;
    if (key.data[0] == 'h') {
        stored->term = first;
        stored->vote = second;
        return;
    }
    struct raft_configuration members = stored->configuration;
    if (fields.len > 16 &&
        raft_configuration_decode (bytes_of (fields.data + 16, fields.len - 16), &members) != STATUS_OK)
        sim_fail (reading->sim, "node %u: a configuration does not read back", reading->node->index);
    if (fields.len > 16)
        sim_disk_compact (stored, first, second, &members);
    else
        sim_disk_install (stored, first, second, &members, false);
}

static struct bytes take (struct reading *reading, const uint8_t *data, size_t len, size_t *at)
{
    size_t value = 0;
    for (int shift = 0;; shift += 7) {
        if (*at >= len)
            sim_fail (reading->sim, "a batch ends in the middle of a row");
        value |= (size_t) (data[*at] & 0x7f) << shift;
        if (!(data[(*at)++] & 0x80))
            break;
    }
    if (value > len - *at)
        sim_fail (reading->sim, "a batch is shorter than its row");
    *at += value;
    return bytes_of (data + *at - value, value);
}

static void read_batch (struct reading *reading, const uint8_t *data, size_t len)
{
    for (size_t at = BATCH_HEADER_BYTES; at < len;) {
        at++; /* kTypeValue */
        struct bytes key = take (reading, data, len, &at);
        struct bytes value = take (reading, data, len, &at);
        if (key.data[0] == 't')
            read_turn (reading, key, value);
        else
            read_mark (reading, key, value);
    }
}

static void read_batches (struct reading *reading, const struct sim_platter *platter)
{
    static struct state_image batch;
    batch.len = 0;
    for (size_t at = 0; at < platter->len;) {
        if (BLOCK_BYTES - at % BLOCK_BYTES < HEADER_BYTES) {
            at += BLOCK_BYTES - at % BLOCK_BYTES;
            continue;
        }
        const uint8_t *header = platter->data + at;
        size_t len = (size_t) header[4] | (size_t) header[5] << 8;
        state_image_append (&batch, header + HEADER_BYTES, len);
        at += HEADER_BYTES + len;
        if (header[6] == 1 || header[6] == 4) { /* FULL, LAST */
            read_batch (reading, batch.data, batch.len);
            batch.len = 0;
        }
    }
}

/* ---- what it means ---- */

/* A replica whose state cannot be used starts over, empty and suspect: its leader fills it. */
static void start_over (struct sim *sim, struct sim_stored *stored)
{
    sim_trace (sim, "shard %u replica %lu: its state does not fit its log: it starts over", stored->shard,
        (unsigned long) stored->replica);
    sim_entries_keep (&stored->log, 0);
    stored->snapshot_index = stored->snapshot_term = 0;
    stored->configuration = stored->first;
    stored->state = (struct sim_machine){0};
    state_image_close (&stored->image);
    stored->suspect = stored->emptied = true;
}

static bool lost_something (const struct sim_stored *before, const struct sim_stored *after)
{
    return sim_stored_last (after) < sim_stored_last (before) || after->term < before->term ||
           (after->term == before->term && after->vote != before->vote) ||
           (before->log.count > 0 &&
               !sim_stored_has (after, sim_stored_last (before), before->log.items[before->log.count - 1].term));
}

/* What is applied has committed: a log that ends before it, or has another term there, was robbed of its end. */
static bool state_fits (const struct sim_stored *stored, const struct sim_stored *log)
{
    uint64_t applied = stored->state.applied;
    return applied <= sim_stored_last (log) &&
           (applied <= log->snapshot_index || sim_stored_has (log, applied, stored->state.applied_term));
}

static void take_over (struct sim *sim, struct sim_stored *stored, struct sim_stored *found, bool cut, bool lost)
{
    bool loss = lost && lost_something (stored, found);
    sim_entries_clear (&stored->log);
    stored->log = found->log;
    found->log = (struct sim_entries){0};
    stored->term = found->term;
    stored->vote = found->vote;
    stored->snapshot_index = found->snapshot_index;
    stored->snapshot_term = found->snapshot_term;
    stored->configuration = found->configuration;
    stored->suspect = stored->suspect || cut;
    if (!state_fits (stored, stored)) {
        start_over (sim, stored);
        loss = true;
    }
    if (loss && !stored->damaged) {
        stored->damaged = true;
        sim->oracle.groups[stored->shard].damaged++;
    }
}

static void check_same (struct sim *sim, const struct sim_stored *stored, const struct sim_stored *found)
{
    bool same = stored->term == found->term && stored->vote == found->vote &&
                stored->snapshot_index == found->snapshot_index && sim_stored_last (stored) == sim_stored_last (found);
    for (size_t i = 0; same && i < found->log.count; i++)
        same = sim_stored_has (stored, found->log.items[i].index, found->log.items[i].term);
    if (!same)
        sim_fail (sim,
            "shard %u replica %lu: a start finds term %lu, vote %lu, log %lu to %lu; synced were term %lu, vote %lu, "
            "log %lu "
            "to %lu",
            stored->shard, (unsigned long) stored->replica, (unsigned long) found->term, (unsigned long) found->vote,
            (unsigned long) found->snapshot_index, (unsigned long) sim_stored_last (found),
            (unsigned long) stored->term, (unsigned long) stored->vote, (unsigned long) stored->snapshot_index,
            (unsigned long) sim_stored_last (stored));
}

/* ---- holes ---- */

static void judge_begin (struct reading *reading)
{
    for (struct sim_stored *stored = reading->found; stored; stored = stored->next) {
        struct registry_record *record = registry_make (&reading->registry, stored->shard, stored->replica);
        maitre_assert (record != NULL);
        record->compact_index = stored->snapshot_index;
        record->compact_term = stored->snapshot_term;
        record->last_index = sim_stored_last (stored);
        record->seen = true;
        record->tail_term =
            stored->log.count > 0 ? stored->log.items[stored->log.count - 1].term : stored->snapshot_term;
    }
}

/* As the engine goes on behind a hole: this log, or none. */
static void judge_end (struct reading *reading, const struct sim_stored *stored, struct sim_stored *found)
{
    const struct registry_record *record = registry_find (&reading->registry, found->shard, found->replica);
    uint64_t term = found->log.count > 0 ? found->log.items[found->log.count - 1].term : found->snapshot_term;
    bool whole = found->log.count == 0 || found->log.items[0].index <= found->snapshot_index + 1;
    struct sim_counts *counts = &reading->sim->oracle.counts;
    if (term > found->term) { /* it went with a lost turn */
        found->term = term;
        found->vote = 0;
    }
    if (record->broken || !whole || !state_fits (stored, found)) {
        sim_trace (reading->sim, "shard %u replica %lu: its log is broken: it starts over", found->shard,
            (unsigned long) found->replica);
        sim_entries_keep (&found->log, 0);
        found->snapshot_index = found->snapshot_term = 0;
        found->configuration = stored->first;
        counts->emptied++;
        return;
    }
    counts->doubtful += registry_doubtful (&reading->registry, record);
    counts->certain += !registry_doubtful (&reading->registry, record);
}

/* Who is said to have lost nothing has lost nothing. */
static void check_certain (struct reading *reading, const struct sim_stored *stored, const struct sim_stored *found)
{
    const struct registry_record *record = registry_find (&reading->registry, found->shard, found->replica);
    bool same = sim_stored_last (stored) == sim_stored_last (found);
    if (record->broken || registry_doubtful (&reading->registry, record) ||
        found->snapshot_index < stored->snapshot_index)
        return;
    for (size_t i = 0; same && i < found->log.count; i++)
        same = sim_stored_has (stored, found->log.items[i].index, found->log.items[i].term);
    if (!same)
        sim_fail (reading->sim, "shard %u replica %lu: a log with a hole in it is taken for whole", stored->shard,
            (unsigned long) stored->replica);
}

static void forget_state (struct sim_stored *stored)
{
    stored->state = (struct sim_machine){0};
    state_image_close (&stored->image);
}

void sim_platter_recover (struct sim *sim, struct sim_node *node, bool damaged)
{
    struct sim_platter *platter = &node->disk.platter;
    enum wal_condition condition = inspect (sim, platter);
    if (condition == WAL_ROT && !damaged)
        sim_fail (sim, "node %u: what a crash or a lost end leaves is taken for rot", node->index);
    struct reading reading = {.sim = sim, .node = node, .turn = platter->turn_base, .marks = true};
    struct sim_platter copy = *platter; /* its base is what the reading changes */
    sim_platter_copy_base (&copy);
    reading.found = copy.base;
    judge_begin (&reading);
    read_batches (&reading, platter);
    reading.marks = false;
    read_batches (&reading, platter);
    bool holed = reading.registry.holes > 0, lost = holed || reading.turn < platter->turn_synced;
    if (holed && !damaged)
        sim_fail (sim, "node %u: turns are missing that no damage took", node->index);
    /* A log that ends at a batch's end, but before the turn that the folder's mark names, is noticed by the mark. */
    for (struct sim_stored *stored = node->disk.replicas; stored; stored = stored->next) {
        struct sim_stored *found = found_replica (&reading, stored->replica);
        if (!found)
            sim_fail (sim, "node %u forgot its replica of shard %u", node->index, stored->shard);
        if (reading.turn == platter->turn_synced && !holed)
            check_same (sim, stored, found);
        if (reading.turn == platter->turn_synced && holed)
            check_certain (&reading, stored, found);
        uint64_t emptied = sim->oracle.counts.emptied;
        if (holed)
            judge_end (&reading, stored, found);
        if (sim->oracle.counts.emptied > emptied)
            forget_state (stored);
        take_over (sim, stored, found, condition != WAL_WHOLE || lost, lost);
    }
    registry_close (&reading.registry);
    sim_platter_free_base (&copy);
    platter->turn_last = reading.turn;
    sim_platter_rebase (node);
}
