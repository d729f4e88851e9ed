/* A shard's environment: its state, its snapshots, its birth from what the disk holds. */
#include "test/sim/sim_platter.h"
#include "test/sim/sim_shard.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/checksum.h"

uint64_t sim_shard_wall_ms (const struct sim *sim)
{
    return SIM_WALL_START_MS + sim->time_us / 1000;
}

struct services_config sim_shard_services (const struct sim *sim, uint32_t shard)
{
    return (struct services_config){.shard = shard,
        .shard_count = sim->shards_count - 1,
        .records_max = sim->records_max,
        .record_ttl_ms = 86400000};
}

/* ---- the state, with a hash that follows every change; the context is the sim_shard ---- */

static uint64_t row_hash (struct bytes key, struct bytes value)
{
    return checksum64 (checksum64 (1, key), value);
}

static void forget_row (struct sim_shard *self, struct bytes key)
{
    struct bytes value;
    if (state_map_get (&self->map, key, &value))
        self->state_hash -= row_hash (key, value);
}

static bool state_get_row (void *context, struct bytes key, struct bytes *value)
{
    return state_map_get (&((struct sim_shard *) context)->map, key, value);
}

static void state_scan_rows (
    void *context, struct bytes from, struct bytes to, bool reverse, state_visit *visit, void *argument)
{
    state_map_scan (&((struct sim_shard *) context)->map, from, to, reverse, visit, argument);
}

static void state_put_row (void *context, struct bytes key, struct bytes value)
{
    struct sim_shard *self = context;
    forget_row (self, key);
    self->state_hash += row_hash (key, value);
    state_map_put (&self->map, key, value);
}

static void state_remove_row (void *context, struct bytes key)
{
    struct sim_shard *self = context;
    forget_row (self, key);
    state_map_remove (&self->map, key);
}

static bool state_has_failed (void *context)
{
    return state_map_failed (&((struct sim_shard *) context)->map);
}

static const struct state_ops state_ops = {
    .get = state_get_row,
    .scan = state_scan_rows,
    .put = state_put_row,
    .remove = state_remove_row,
    .failed = state_has_failed,
};

static void load_state (struct sim_shard *self, const struct state_image *image)
{
    struct tree_cursor cursor;
    const struct tree_entry *entry;
    state_image_load (image, &self->map);
    self->state_hash = 0;
    tree_seek (self->map.tree, bytes_of (NULL, 0), &cursor);
    while ((entry = tree_next (&cursor)) != NULL)
        self->state_hash += row_hash (tree_key (entry), tree_value (entry));
}

/* ---- snapshots; the context is the sim_shard ---- */

struct snapshot {
    struct state_image image;
    size_t at;
};

static bool snapshot_open (void *context, uint32_t shard, uint64_t *index, uint64_t *term, void **out)
{
    struct sim_shard *self = context;
    const struct sim_stored *stored = self->replica->stored;
    maitre_assert (shard == self->replica->shard);
    if (stored->state.applied == 0)
        return false;
    struct raft_configuration members;
    if (!raft_configuration_at (self->replica->raft, stored->state.applied, &members) || members.count == 0)
        sim_fail (self->sim,
            "shard %u: replica %lu would send a snapshot at %lu, of which it does not know the members", shard,
            (unsigned long) self->replica->replica, (unsigned long) stored->state.applied);
    struct snapshot *snapshot = calloc (1, sizeof *snapshot);
    maitre_assert (snapshot != NULL);
    state_image_append (&snapshot->image, stored->image.data, stored->image.len);
    *index = stored->state.applied;
    *term = stored->state.applied_term;
    *out = snapshot;
    self->sim->oracle.counts.snapshots++;
    return true;
}

static bool snapshot_next (void *context, void *from, uint8_t *out, size_t size, size_t *len, bool *last)
{
    struct sim_shard *self = context;
    struct snapshot *snapshot = from;
    size_t most = self->sim->families & SIM_SMALL ? 700 : 4096; /* several chunks, small as the state is */
    size_t left = snapshot->image.len - snapshot->at;
    *len = left < most ? left : most;
    maitre_assert (*len <= size);
    if (*len > 0)
        memcpy (out, snapshot->image.data + snapshot->at, *len);
    snapshot->at += *len;
    *last = snapshot->at == snapshot->image.len;
    return true;
}

static void snapshot_close (void *context, void *from)
{
    struct snapshot *snapshot = from;
    maitre_assert (context != NULL);
    free (snapshot->image.data);
    free (snapshot);
}

static bool import_begin (void *context, uint32_t shard, uint64_t replica, uint64_t index, uint64_t term)
{
    struct sim_shard *self = context;
    maitre_assert (shard == self->replica->shard && replica == self->replica->replica);
    maitre_assert (!self->receiving && index > 0 && term > 0);
    self->receiving = true;
    self->incoming.len = 0;
    return true;
}

static enum status import_chunk (void *context, uint32_t shard, struct bytes data)
{
    struct sim_shard *self = context;
    maitre_assert (self->receiving && shard == self->replica->shard);
    state_image_append (&self->incoming, data.data, data.len);
    return STATUS_OK;
}

static void import_abort (void *context, uint32_t shard)
{
    struct sim_shard *self = context;
    maitre_assert (self->receiving && shard == self->replica->shard);
    self->receiving = false;
}

/* Everything that the group handed to the disk before is synced first, then the snapshot in one batch. */
static bool import_finish (
    void *context, uint32_t shard, uint64_t index, uint64_t term, const struct raft_configuration *members)
{
    struct sim_shard *self = context;
    struct sim_stored *stored = self->replica->stored;
    maitre_assert (self->receiving && shard == self->replica->shard);
    self->receiving = false;
    if (index < self->seen_applied)
        sim_fail (self->sim, "shard %u: replica %lu installs a snapshot at %lu, behind its own state at %lu (R13)",
            shard, (unsigned long) self->replica->replica, (unsigned long) index, (unsigned long) self->seen_applied);
    bool resets = shard_restore_resets (self->core, index, term);
    sim_promise_installed (self->sim, self->replica, index, members);
    sim_disk_force (self->sim, self->replica->node);
    sim_disk_install (stored, index, term, members, resets);
    sim_platter_rebase (self->replica->node); /* generation, cut and reset in one synced batch */
    free (stored->image.data);
    stored->image = self->incoming;
    self->incoming = (struct state_image){0};
    stored->state = (struct sim_machine){.applied = index, .applied_term = term};
    load_state (self, &stored->image);
    self->replica->machine = stored->state;
    self->seen_applied = index;
    self->sim->oracle.counts.restores++;
    sim_oracle_state (self->sim, self->replica, index, self->state_hash);
    sim_trace (
        self->sim, "%u.%u installed a snapshot at %lu", self->replica->node->index, shard, (unsigned long) index);
    return true;
}

const struct shard_snapshot_ops sim_shard_snapshot_ops = {
    .open = snapshot_open,
    .next = snapshot_next,
    .close = snapshot_close,
    .begin = import_begin,
    .chunk = import_chunk,
    .finish = import_finish,
    .abort = import_abort,
};

/* ---- life ---- */

void sim_shard_open (
    struct sim *sim, struct sim_replica *replica, const struct raft_options *options, const struct raft_stored *from)
{
    static uint64_t memory[SHARD_SCRATCH_BYTES / 8];
    static struct arena scratch; /* one thread steps all shards */
    struct sim_shard *self = calloc (1, sizeof *self);
    maitre_assert (self != NULL);
    arena_init (&scratch, memory, sizeof memory);
    self->sim = sim;
    self->replica = replica;
    replica->shard_core = self;
    state_map_init (&self->map);
    load_state (self, &replica->stored->image);
    struct shard_config config = {
        .services = sim_shard_services (sim, replica->shard),
        .raft = *options,
        .stored = from,
        .state = {.ops = &state_ops, .context = self},
        .scratch = &scratch,
        .snapshot_ops = &sim_shard_snapshot_ops,
        .snapshot_context = self,
        .calls_max = sim->families & SIM_SMALL ? 8 : 0,
        .apply_max = sim->families & SIM_SMALL ? 3 : 0,
        .balance = (sim->families & SIM_TRANSFER) != 0,
    };
    enum status status = shard_new (&config, sim_node_now_ms (sim, replica->node), &self->core);
    if (status != STATUS_OK)
        sim_fail (sim, "node %u shard %u replica %lu does not start: %s", replica->node->index, replica->shard,
            (unsigned long) replica->replica, status_name (status));
    replica->raft = self->core->raft;
    self->seen_applied = replica->stored->state.applied;
}

void sim_shard_close (struct sim_replica *replica)
{
    struct sim_shard *self = replica->shard_core;
    shard_destroy (&self->core);
    maitre_assert (!self->receiving);
    state_map_close (&self->map);
    free (self->incoming.data);
    free (self);
    replica->shard_core = NULL;
    replica->raft = NULL;
}

uint64_t sim_shard_deadline_ms (const struct sim_replica *replica)
{
    return shard_deadline_ms (replica->shard_core->core);
}
