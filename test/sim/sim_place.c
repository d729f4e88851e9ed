/* Members of whole nodes' shards: every node drives the shards that it leads to the members wanted, as node/engine does
 * (engine_replace.c), by the production planner (shard_members.c, placement_plan.c). sim_admin.c says what is wanted. */
#include "test/sim/sim_engine.h"

#define MOVES_AT_ONCE 2

/* The placement as it is to be. */
static struct raft_configuration wanted (const struct sim *sim, uint32_t shard)
{
    const struct sim_change *change = &sim->changes[shard];
    struct raft_configuration members = {0};
    for (uint32_t i = 0; i < sim->first_count[shard]; i++) {
        struct raft_member member = sim->first[shard][i];
        if (member.replica == change->leaves) {
            member.replica = change->joins;
            member.node = sim_node_of (sim, change->joins);
        }
        member.roles = RAFT_VOTER;
        bool fits = raft_configuration_set (&members, member);
        maitre_assert (fits);
    }
    return members;
}

static void place (struct sim_engine *engine, struct sim_replica *replica, bool move, uint64_t now_ms)
{
    struct sim_shard *shard = replica->shard_core;
    struct raft_configuration members = {0};
    if (move)
        members = wanted (engine->sim, replica->shard);
    sim_shard_step (
        replica, (struct shard_event){.type = SHARD_EVENT_PLACE, .members = move ? &members : NULL}, now_ms);
    shard->placed_for = move ? engine->sim->changes[replica->shard].joins : 0;
    shard->placing = move ? PLACEMENT_PHASE_WAITING : PLACEMENT_PHASE_NONE;
}

static void look_at (struct sim_engine *engine, struct sim_replica *replica)
{
    struct sim_shard *shard = replica->shard_core;
    struct shard_status status;
    shard_status_get (shard->core, &status);
    if (status.placing == shard->placing)
        return;
    shard->placing = status.placing;
    sim_trace (engine->sim, "%u.%u placing %d", engine->node->index, replica->shard, (int) status.placing);
}

void sim_place_drive (struct sim_engine *engine, uint64_t now_ms)
{
    struct sim *sim = engine->sim;
    unsigned moving = 0;
    if (!(sim->families & (SIM_MEMBERS | SIM_WIPE)))
        return;
    for (size_t i = 0; i < engine->node->replicas_count; i++) {
        struct sim_replica *replica = engine->node->replicas[i];
        struct sim_shard *shard = replica->shard_core;
        const struct sim_change *change = &sim->changes[replica->shard];
        bool move = change->running && shard->leader_node == engine->node->index;
        if (shard->placed_for != 0 && (!move || shard->placed_for != change->joins))
            place (engine, replica, false, now_ms);
        if (shard->placed_for != 0)
            look_at (engine, replica);
        else if (move && moving < MOVES_AT_ONCE)
            place (engine, replica, true, now_ms);
        moving += shard->placed_for != 0 && shard->placing != PLACEMENT_PHASE_DONE;
    }
}

/* What the planner proposed in a turn that has just ended is held against the same promises as a script's. */
void sim_place_noted (
    struct sim_replica *replica, const struct raft_status *before, const struct raft_configuration *members)
{
    struct sim *sim = replica->shard_core->sim;
    struct raft_status after;
    raft_status (replica->raft, &after);
    bool leads = before->role == RAFT_LEADER && after.role == RAFT_LEADER && before->term == after.term;
    if (!leads || after.configuration_index <= before->configuration_index)
        return;
    sim->oracle.counts.changes++;
    sim_promise_configured (sim, replica, before, members, raft_configuration (replica->raft));
}
