/* Clients: they ask whoever says that it leads, old leaders included, and compare with what had completed before. */
#include "test/sim/sim.h"

#define GIVE_UP_US (3 * 1000 * 1000)

static bool leads (struct sim_replica *replica)
{
    struct raft_status status;
    raft_status (replica->raft, &status);
    return status.role == RAFT_LEADER;
}

struct sim_replica *sim_find_leader (struct sim *sim, uint32_t shard)
{
    struct sim_replica *found = NULL;
    uint64_t candidates = 0;
    for (uint32_t n = 1; n <= sim->nodes_count; n++) {
        struct sim_node *node = &sim->nodes[n];
        for (size_t i = 0; node->alive && i < node->replicas_count; i++) {
            struct sim_replica *replica = node->replicas[i];
            if (replica->shard != shard || !leads (replica))
                continue;
            if (sim_chance (sim, ++candidates))
                found = replica;
        }
    }
    return found;
}

static uint64_t new_op (struct sim *sim, uint64_t client, uint32_t shard)
{
    sim_grow (&sim->ops, &sim->ops_size, sim->ops_count, sizeof *sim->ops);
    sim->ops[sim->ops_count++] = (struct sim_op){
        .read = sim_chance (sim, 3),
        .pending = true,
        .shard = shard,
        .floor = sim->oracle.groups[shard].completed_index,
        .give_up_us = sim->time_us + GIVE_UP_US,
        .client = client,
    };
    return sim->ops_count; /* an op's id is its place + 1 */
}

void sim_client_ask (struct sim *sim, uint64_t client)
{
    uint32_t shard = (uint32_t) sim_below (sim, sim->shards_count);
    struct sim_replica *replica = sim_find_leader (sim, shard);
    if (replica) {
        uint64_t op = new_op (sim, client, shard);
        enum raft_event_type type = sim->ops[op - 1].read ? RAFT_READ : RAFT_PROPOSE;
        sim_node_input (sim, replica, type)->op = op;
    }
    sim_queue_push (&sim->queue, (struct sim_happening){
                                     .time_us = sim->time_us + sim_between (sim, 2000, 60 * 1000),
                                     .kind = SIM_CLIENT,
                                     .value = client,
                                 });
}

void sim_client_done (struct sim *sim, uint64_t id, const struct sim_replica *replica, uint64_t index, bool ok)
{
    if (id == 0 || id > sim->ops_count)
        sim_fail (sim, "an answer to a question that nobody asked");
    struct sim_op *op = &sim->ops[id - 1];
    if (!op->pending)
        sim_fail (sim, "operation %lu is answered twice", (unsigned long) id);
    op->pending = false;
    if (!ok) {
        sim->oracle.counts.unknown++;
        return;
    }
    struct sim_group *group = &sim->oracle.groups[op->shard];
    if (op->read ? index < op->floor : index <= op->floor)
        sim_fail (sim, "shard %u: replica %lu answers a %s at %lu, older than %lu which had completed before",
            op->shard, (unsigned long) replica->replica, op->read ? "read" : "write", (unsigned long) index,
            (unsigned long) op->floor);
    if (index > group->committed_count)
        sim_fail (sim, "shard %u: an answer from index %lu, which is not committed", op->shard, (unsigned long) index);
    if (index > group->completed_index)
        group->completed_index = index;
    *(op->read ? &sim->oracle.counts.reads : &sim->oracle.counts.writes) += 1;
}
