/* A lost data folder: the node comes back as somebody else, and gets new replicas in the place of those that it lost (R12, S3). */
#include "test/sim/sim_platter.h"

#include "schemas/runtime/assert.h"

/* Others must be left who can elect and commit, and nobody may be unsure of what he promised. */
static bool may_wipe (struct sim *sim, const struct sim_node *node)
{
    if (sim->families & (SIM_TORN | SIM_ROT | SIM_EIO | SIM_FLIP | SIM_MISDIRECT) || sim->voters < 3)
        return false;
    bool may = node->alive && (sim->wiped_node == 0 || sim->wiped_node == node->index);
    for (uint32_t shard = 0; shard < sim->shards_count; shard++)
        may = may && sim->oracle.groups[shard].damaged == 0 && !sim->changes[shard].running && sim->wiped[shard] == 0;
    for (struct sim_stored *stored = node->disk.replicas; may && stored; stored = stored->next) {
        struct sim_replica *leader = sim_find_leader (sim, stored->shard);
        may = leader && !raft_configuration_joint (raft_configuration (leader->raft));
    }
    return may;
}

/* The operator says so: from now on the node's number belongs to the new folder. */
static void accept (struct sim *sim, struct sim_node *node)
{
    for (uint32_t n = 1; n <= sim->nodes_count; n++)
        if (n != node->index)
            sim->nodes[n].known[node->index] = node->uuid;
}

void sim_wipe (struct sim *sim, struct sim_node *node)
{
    if (!may_wipe (sim, node))
        return;
    for (struct sim_stored *stored = node->disk.replicas; stored; stored = stored->next) {
        struct sim_replica *leader = sim_find_leader (sim, stored->shard);
        if (raft_configuration_find (raft_configuration (leader->raft), stored->replica))
            sim->wiped[stored->shard] = stored->replica; /* else it had been removed before */
    }
    sim_fault_count (sim, SIM_WIPE);
    sim->wiped_node = node->index;
    sim_node_crash (sim, node);
    while (node->disk.replicas)
        sim_disk_erase (node, node->disk.replicas->replica);
    sim_platter_rebase (node);
    bool some = false;
    for (uint32_t shard = 0; shard < sim->shards_count; shard++) {
        sim->oracle.groups[shard].damaged += sim->wiped[shard] != 0;
        some = some || sim->wiped[shard] != 0;
    }
    bytes_put_u64 (node->uuid.b, sim_random_next (&sim->random));
    for (uint32_t n = 0; n <= sim->nodes_count; n++)
        node->known[n] = (struct id){0};
    node->stored_incarnation = node->told_incarnation = 0;
    if (!some) /* it held nothing: there is nothing to replace but its name */
        accept (sim, node);
    sim_trace (sim, "node %u lost its data folder", node->index);
    sim_queue_push (&sim->queue, (struct sim_happening){
                                     .time_us = sim->time_us + 1000 * sim_between (sim, 50, 1500),
                                     .kind = SIM_RESTART,
                                     .node = node->index,
                                 });
}

void sim_wipe_replace (struct sim *sim, uint32_t shard)
{
    uint64_t leaves = sim->wiped[shard];
    struct sim_node *node = &sim->nodes[sim_node_of (sim, leaves)];
    if (!node->alive || sim_chance (sim, 2))
        return;
    accept (sim, node);
    sim_admin_replace (sim, shard, leaves, node->index);
}
