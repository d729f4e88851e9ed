/* One node's life: start from its disk, crash, and what reaches it in between. */
#include "test/sim/sim_engine.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"

uint64_t sim_node_now_ms (const struct sim *sim, const struct sim_node *node)
{
    uint64_t rate = (uint64_t) (1000000 + node->drift_ppm);
    return (node->clock_offset_us + sim->time_us * rate / 1000000) / 1000;
}

void sim_node_wake (struct sim *sim, struct sim_node *node, uint64_t delay_us)
{
    uint64_t at = sim->time_us + delay_us;
    if (node->wake_us <= at && node->wake_us > sim->time_us)
        return; /* wakes earlier anyway */
    node->wake_us = at;
    sim_queue_push (&sim->queue, (struct sim_happening){
                                     .time_us = at,
                                     .kind = SIM_WAKE,
                                     .node = node->index,
                                     .epoch = node->epoch,
                                 });
}

struct sim_replica *sim_node_find (struct sim_node *node, uint64_t replica)
{
    for (size_t i = 0; i < node->replicas_count; i++)
        if (node->replicas[i]->replica == replica)
            return node->replicas[i];
    return NULL;
}

struct sim_input *sim_node_input (struct sim *sim, struct sim_replica *replica, enum raft_event_type type)
{
    sim_grow (&replica->inputs, &replica->inputs_size, replica->inputs_count, sizeof *replica->inputs);
    struct sim_input *input = &replica->inputs[replica->inputs_count++];
    memset (input, 0, sizeof *input);
    input->event.type = type;
    sim_node_wake (sim, replica->node, 1 + sim_below (sim, 30));
    return input;
}

/* ---- start and crash ---- */

static struct raft_entry *stored_entries (const struct sim_stored *stored)
{
    struct raft_entry *entries = malloc ((stored->log.count + 1) * sizeof *entries);
    maitre_assert (entries != NULL);
    for (size_t i = 0; i < stored->log.count; i++) {
        const struct sim_entry *entry = &stored->log.items[i];
        entries[i] = (struct raft_entry){entry->index, entry->term, entry->checksum, entry->payload, entry->type};
    }
    return entries;
}

static struct raft_options options_of (struct sim *sim, const struct sim_node *node, const struct sim_stored *stored)
{
    struct raft_options options = {
        .shard = stored->shard,
        .replica = stored->replica,
        .session = node->epoch,
        .seed = sim_random_next (&sim->random),
        .suspect = stored->suspect,
        .emptied = stored->suspect && stored->emptied && stored->log.count == 0 && stored->snapshot_index == 0,
    };
    if (sim->families & SIM_SMALL) {
        options.append_bytes_max = SIM_COMMAND_BYTES - 1; /* one entry a message, be it followed by a no-op */
        options.window_bytes_max = 200;
        options.window_entries_max = 8;
        options.log_bytes_max = 4000;
        options.reads_max = 4;
        options.promote_lag_max = SIM_PROMOTE_LAG_SMALL;
    }
    return options;
}

void sim_node_open_replica (struct sim *sim, struct sim_node *node, struct sim_stored *stored)
{
    struct sim_replica *replica = calloc (1, sizeof *replica);
    maitre_assert (replica != NULL);
    struct raft_entry *entries = stored_entries (stored);
    struct raft_stored from = {
        .term = stored->term,
        .vote = stored->vote,
        .commit = stored->commit,
        .snapshot_index = stored->snapshot_index,
        .snapshot_term = stored->snapshot_term,
        .applied_index = stored->state.applied,
        .applied_term = stored->state.applied_term,
        .configuration = &stored->configuration,
        .entries = entries,
        .entries_count = stored->log.count,
    };
    struct raft_options options = options_of (sim, node, stored);
    replica->node = node;
    replica->stored = stored;
    replica->shard = stored->shard;
    replica->replica = stored->replica;
    replica->machine = stored->state;
    replica->term = stored->term;
    if (sim->options.services) {
        sim_shard_open (sim, replica, &options, &from);
    } else if (raft_new (&options, &from, sim_node_now_ms (sim, node), &replica->raft) != STATUS_OK) {
        sim_fail (sim, "node %u shard %u replica %lu does not start", node->index, stored->shard,
            (unsigned long) stored->replica);
    }
    free (entries);
    replica->state_due_ms = sim_node_now_ms (sim, node) + sim_between (sim, 200, 3000);
    sim_grow (&node->replicas, &node->replicas_size, node->replicas_count, sizeof *node->replicas);
    node->replicas[node->replicas_count++] = replica;
    for (uint32_t peer = 1; peer <= sim->nodes_count; peer++) {
        bool up = node->engine ? node->engine->map.link_up[peer] : sim->nodes[peer].alive;
        if (peer == node->index || up)
            continue;
        struct sim_input *input = sim_node_input (sim, replica, RAFT_LINK);
        input->event.node = peer;
        input->event.up = false;
    }
}

static void close_input (struct sim_input *input)
{
    free (input->data);
    if (input->install)
        free (input->install);
}

static void lost (struct sim *sim, struct sim_replica *replica, uint64_t op)
{
    if (sim->options.services)
        sim_shard_lost (sim, op);
    else
        sim_client_done (sim, op, replica, 0, false);
}

static void close_replica (struct sim *sim, struct sim_replica *replica)
{
    for (size_t i = 0; i < replica->inputs_count; i++) {
        if (replica->inputs[i].op)
            lost (sim, replica, replica->inputs[i].op);
        close_input (&replica->inputs[i]);
    }
    for (size_t i = 0; i < replica->waiting_count; i++)
        lost (sim, replica, replica->waiting[i].op);
    for (size_t i = 0; i < replica->held_count; i++)
        free (replica->held[i].data);
    if (replica->shard_core)
        sim_shard_close (replica);
    else
        raft_destroy (&replica->raft);
    free (replica->inputs);
    free (replica->held);
    free (replica->waiting);
    free (replica->rounds);
    free (replica);
}

void sim_node_drop_replica (struct sim *sim, struct sim_node *node, uint64_t id)
{
    for (size_t i = 0; i < node->replicas_count; i++) {
        if (node->replicas[i]->replica != id)
            continue;
        close_replica (sim, node->replicas[i]);
        memmove (&node->replicas[i], &node->replicas[i + 1], (node->replicas_count - i - 1) * sizeof node->replicas[0]);
        node->replicas_count--;
        break;
    }
}

void sim_node_start (struct sim *sim, struct sim_node *node)
{
    maitre_assert (!node->alive);
    node->alive = true;
    node->epoch++;
    node->paused_until_us = 0;
    node->wake_us = 0;
    sim_trace (sim, "node %u starts, life %lu", node->index, (unsigned long) node->epoch);
    if (sim->options.services)
        sim_engine_open (sim, node);
    for (struct sim_stored *stored = node->disk.replicas; stored; stored = stored->next)
        sim_node_open_replica (sim, node, stored);
    for (uint32_t peer = 1; peer <= sim->nodes_count; peer++)
        if (peer != node->index && sim->nodes[peer].alive && !sim->paths[peer][node->index].cut &&
            !sim->paths[node->index][peer].cut)
            sim_net_link (sim, node->index, peer, true, sim_between (sim, 5 * 1000, 20 * 1000));
    sim_node_wake (sim, node, 1);
}

bool sim_node_crash (struct sim *sim, struct sim_node *node)
{
    maitre_assert (node->alive);
    sim_trace (sim, "node %u crashes", node->index);
    node->alive = false;
    for (size_t i = 0; i < node->replicas_count; i++)
        close_replica (sim, node->replicas[i]);
    node->replicas_count = 0;
    if (node->engine)
        sim_engine_close (sim, node);
    sim_disk_crash (sim, node);
    if (sim_chance (sim, 10))
        return false; /* a machine that vanishes: nobody hears of it */
    for (uint32_t peer = 1; peer <= sim->nodes_count; peer++)
        if (peer != node->index)
            sim_net_link (sim, node->index, peer, false, sim_between (sim, 300, 2000));
    return true;
}

/* ---- what reaches a node ---- */

void sim_node_deliver (struct sim *sim, struct sim_node *node, uint32_t from, uint8_t *data, size_t len)
{
    if (node->engine) {
        sim_engine_packet (sim, node, (struct sim_packet){.data = data, .len = len, .from = from});
        return;
    }
    maitre_assert (len > SIM_PACKET_HEAD);
    struct sim_replica *replica = sim_node_find (node, bytes_get_u64 (data + 1));
    if (!replica) {
        free (data);
        return;
    }
    struct sim_input *input = sim_node_input (sim, replica, RAFT_RECEIVE);
    input->data = data;
    input->len = len;
}

void sim_node_link (struct sim *sim, struct sim_node *node, uint32_t peer, bool up)
{
    if (node->engine)
        sim_engine_packet (sim, node, (struct sim_packet){.from = peer, .up = up});
    for (size_t i = 0; !node->engine && i < node->replicas_count; i++) {
        struct sim_input *input = sim_node_input (sim, node->replicas[i], RAFT_LINK);
        input->event.node = peer;
        input->event.up = up;
    }
    sim_trace (sim, "node %u: link to %u is %s", node->index, peer, up ? "up" : "down");
}

void sim_node_persisted (struct sim *sim, struct sim_node *node, struct sim_write *write)
{
    struct sim_replica *replica = node->alive ? sim_node_find (node, write->replica) : NULL;
    if (!replica)
        return;
    struct sim_input *input;
    switch (write->kind) {
    case SIM_WRITE_TURN:
        input = sim_node_input (sim, replica, RAFT_PERSISTED);
        input->event.sequence = write->sequence;
        if (write->entries)
            sim_oracle_persist (sim, replica, write->first, sim_stored_last (replica->stored));
        break;
    case SIM_WRITE_STATE:
        replica->state_writing = false;
        break;
    case SIM_WRITE_INSTALL:
        input = sim_node_input (sim, replica, RAFT_RESTORE);
        input->install = sim_copy (write, sizeof *write);
        if (sim->chaos && (sim->families & SIM_CRASH) && sim_chance (sim, 3)) /* before the log follows (R13) */
            sim_queue_push (&sim->queue, (struct sim_happening){
                                             .time_us = sim->time_us + sim_below (sim, 400),
                                             .kind = SIM_STRIKE,
                                             .node = node->index,
                                             .epoch = node->epoch,
                                         });
        break;
    case SIM_WRITE_COMPACT:
    case SIM_WRITE_SUSPECT:
        break;
    }
}

void sim_node_snapshot (struct sim *sim, struct sim_node *node, const uint8_t *data, size_t len)
{
    struct sim_snapshot snapshot;
    maitre_assert (len == sizeof snapshot);
    memcpy (&snapshot, data, sizeof snapshot);
    struct sim_replica *replica = sim_node_find (node, snapshot.to);
    if (!replica || replica->installing)
        return;
    sim_trace (
        sim, "node %u shard %u: snapshot at %lu arrives", node->index, snapshot.shard, (unsigned long) snapshot.index);
    replica->installing = true;
    struct sim_write *write = sim_disk_write (node, SIM_WRITE_INSTALL, snapshot.to);
    write->index = snapshot.index;
    write->index_term = snapshot.term;
    write->configuration = snapshot.configuration;
    write->state = snapshot.state;
    write->from = snapshot.from;
    sim_disk_start (sim, node);
}

void sim_node_snapshot_sent (struct sim *sim, struct sim_node *node, const uint8_t *data)
{
    struct sim_snapshot snapshot;
    memcpy (&snapshot, data, sizeof snapshot);
    struct sim_replica *replica = sim_node_find (node, snapshot.from);
    if (!replica)
        return;
    struct sim_input *input = sim_node_input (sim, replica, RAFT_SNAPSHOT_SENT);
    input->event.replica = snapshot.to;
    input->event.index = snapshot.index;
    input->event.ok = snapshot.ok;
}
