/* What is asked of a cluster that has healed and is calm: forgetting is noticed, and everybody may start at the same moment. */
#include "test/sim/sim.h"

#include "schemas/runtime/assert.h"

#define DEAF_US (2 * 1000 * 1000)
#define FORGET_RECORDS 3
#define NOTICE_US (3 * 1000 * 1000)
#define RESTART_US (3 * 1000 * 1000)

bool sim_phase_all_well (const struct sim *sim)
{
    for (uint32_t n = 1; n <= sim->nodes_count; n++)
        if (!sim->nodes[n].alive)
            return false;
    for (uint32_t shard = 0; shard < sim->shards_count; shard++)
        if (sim->oracle.groups[shard].damaged > 0 || sim->changes[shard].running)
            return false;
    return sim->cut_from == 0;
}

/* A voter that follows, on another node than the leader. */
static struct sim_replica *any_follower (struct sim *sim, struct sim_replica *leader)
{
    const struct raft_configuration *members = raft_configuration (leader->raft);
    struct sim_replica *found = NULL;
    uint64_t candidates = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        const struct raft_member *member = &members->members[i];
        struct sim_replica *replica = sim_node_find (&sim->nodes[member->node], member->replica);
        if (replica && member->node != leader->node->index && member->roles == RAFT_VOTER &&
            sim_chance (sim, ++candidates))
            found = replica;
    }
    return found;
}

/* One follower no longer hears its leader, everybody else does, and its log is as long as any: it elects nobody (R10, R11),
 * and disturbs nobody when it hears again. */
void sim_phase_deaf (struct sim *sim)
{
    uint32_t shard = (uint32_t) sim_below (sim, sim->shards_count);
    struct sim_replica *leader = sim_phase_all_well (sim) ? sim_find_leader (sim, shard) : NULL;
    struct sim_replica *deaf = leader ? any_follower (sim, leader) : NULL;
    bool moves = sim->options.services && (sim->families & (SIM_TRANSFER | SIM_SMALL));
    if (!deaf || moves)
        return;
    uint64_t before = sim->oracle.counts.elections;
    struct sim_path *path = &sim->paths[leader->node->index][deaf->node->index];
    path->cut = true;
    sim_trace (sim, "node %u does not hear node %u any more", deaf->node->index, leader->node->index);
    sim_run_until (sim, sim->time_us + DEAF_US, false);
    path->cut = false;
    sim_run_until (sim, sim->time_us + DEAF_US, false);
    if (sim->oracle.counts.elections != before)
        sim_fail (sim, "an election because node %u alone did not hear node %u (R11)", deaf->node->index,
            leader->node->index);
}

/* A stale file is put back: synced entries are gone, and nothing on the disk says so. The leader, which lives on, must notice
 * from what it was promised (R12): the replica becomes a suspect, on its disk too, and is brought back. */
void sim_phase_forget (struct sim *sim)
{
    uint32_t shard = (uint32_t) sim_below (sim, sim->shards_count);
    struct sim_replica *leader = sim_phase_all_well (sim) ? sim_find_leader (sim, shard) : NULL;
    struct sim_replica *victim = leader ? any_follower (sim, leader) : NULL;
    if (!victim)
        return;
    struct sim_node *node = victim->node;
    struct sim_stored *stored = victim->stored;
    uint64_t before = sim_stored_last (stored), term = stored->term, cleared = sim->oracle.counts.cleared;
    struct raft_peer_status peer;
    if (!raft_peer_status (leader->raft, stored->replica, &peer) || peer.match < before)
        return; /* a leader that has just been elected remembers no promise of it yet */
    uint64_t led_term = leader->term;
    sim_node_crash (sim, node);
    bool suspect = stored->suspect;
    sim_disk_forget (node, stored, FORGET_RECORDS);
    stored->suspect = false;
    if (suspect) { /* the power cut tore something: that is another story */
        stored->suspect = true;
        sim_node_start (sim, node);
        sim_run_until (sim, sim->time_us + NOTICE_US, false);
        return;
    }
    if (sim_stored_last (stored) == before || stored->term != term) { /* a lost vote would be another story */
        stored->suspect = true;
        sim_node_start (sim, node);
        sim_run_until (sim, sim->time_us + NOTICE_US, false);
        return;
    }
    stored->damaged = true;
    sim->oracle.groups[shard].damaged++;
    sim_trace (sim, "replica %lu forgets entries after %lu, unnoticed", (unsigned long) stored->replica,
        (unsigned long) sim_stored_last (stored));
    sim_node_start (sim, node);
    sim_run_until (sim, sim->time_us + NOTICE_US, false);
    struct sim_replica *now = sim_find_leader (sim, shard);
    if (now != leader || now->term != led_term)
        return; /* it was deposed meanwhile, though it may lead again: nobody is left who remembers */
    if (sim->oracle.counts.cleared == cleared || sim_stored_last (stored) < before)
        sim_fail (sim, "shard %u: replica %lu forgot what it acknowledged, and nobody noticed (R12)", shard,
            (unsigned long) stored->replica);
}

/* All nodes lose power, and start at the same moment: one candidate a group, give or take, not a storm (G4). */
void sim_phase_restart (struct sim *sim)
{
    if (!sim_phase_all_well (sim))
        return;
    uint64_t before = sim->candidacies;
    for (uint32_t n = 1; n <= sim->nodes_count; n++)
        sim_node_crash (sim, &sim->nodes[n]);
    for (uint32_t n = 1; n <= sim->nodes_count; n++)
        sim_node_start (sim, &sim->nodes[n]);
    sim_run_until (sim, sim->time_us + RESTART_US, false);
    uint64_t candidacies = sim->candidacies - before;
    for (uint32_t shard = 0; shard < sim->shards_count; shard++)
        if (!sim_find_leader (sim, shard))
            sim_fail (sim, "shard %u has no leader %d ms after a restart of all nodes", shard, RESTART_US / 1000);
    if (candidacies > 2 * (uint64_t) sim->shards_count + 1)
        sim_fail (sim, "%lu candidacies in %u groups after a restart of all nodes (G4)", (unsigned long) candidacies,
            sim->shards_count);
}
