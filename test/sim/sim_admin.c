/* The membership script: which voter a fresh replica replaces, and when it is gone. In whole nodes the production planner
 * takes the steps (sim_place.c); in bare groups this script does: learner, caught up, joint, gone. */
#include "test/sim/sim_engine.h"

#include "schemas/runtime/assert.h"

/* Whole nodes hold one replica of a shard: nodes do not talk to themselves. */
static bool holds (struct sim *sim, uint32_t node, uint32_t shard)
{
    bool found = false;
    for (struct sim_stored *stored = sim->nodes[node].disk.replicas; stored; stored = stored->next)
        found = found || (stored->shard == shard && sim->options.services);
    return found;
}

/* By the map, as the production planner does: never two voters of a shard on one node. */
static uint32_t free_node (struct sim *sim, uint32_t shard, uint64_t leaves)
{
    uint32_t found = 0;
    uint64_t candidates = 0;
    for (uint32_t n = 1; n <= sim->nodes_count; n++) {
        bool used = holds (sim, n, shard);
        for (uint32_t i = 0; i < sim->first_count[shard]; i++)
            used = used || (sim->first[shard][i].node == n && sim->first[shard][i].replica != leaves);
        if (!used && sim->nodes[n].alive && sim_chance (sim, ++candidates))
            found = n;
    }
    return found;
}

static bool placed (const struct sim *sim, uint32_t shard, uint64_t replica)
{
    bool found = false;
    for (uint32_t i = 0; i < sim->first_count[shard]; i++)
        found = found || sim->first[shard][i].replica == replica;
    return found;
}

static void begin (struct sim *sim, uint32_t shard, const struct raft_configuration *members)
{
    if (sim->oracle.groups[shard].damaged > 0)
        return;
    uint64_t leaves = members->members[sim_below (sim, members->count)].replica;
    uint32_t node = free_node (sim, shard, leaves);
    if (node == 0)
        return;
    if (!placed (sim, shard, leaves))
        return; /* these are the members of an old leader, which does not know who has left since */
    sim_fault_count (sim, SIM_MEMBERS);
    sim_admin_replace (sim, shard, leaves, node);
}

void sim_admin_replace (struct sim *sim, uint32_t shard, uint64_t leaves, uint32_t node)
{
    struct sim_change *change = &sim->changes[shard];
    *change = (struct sim_change){.running = true, .leaves = leaves, .started_us = sim->time_us};
    change->joins = sim_new_replica (sim, node);
    struct sim_stored *stored = sim_disk_create (&sim->nodes[node], shard, change->joins, NULL);
    sim_node_open_replica (sim, &sim->nodes[node], stored);
    sim_trace (sim, "shard %u: replica %lu on node %u is to replace %lu", shard, (unsigned long) change->joins, node,
        (unsigned long) leaves);
}

/* The committed map names the new replica: nodes take it from the system shard's log, here at once. */
static void publish (struct sim *sim, uint32_t shard, const struct sim_change *change)
{
    for (uint32_t i = 0; i < sim->first_count[shard]; i++)
        if (sim->first[shard][i].replica == change->leaves) {
            sim->first[shard][i].replica = change->joins;
            sim->first[shard][i].node = sim_node_of (sim, change->joins);
        }
    for (uint32_t n = 1; n <= sim->nodes_count; n++) {
        if (!sim->nodes[n].engine)
            continue;
        enum status status = sim_engine_map (sim->nodes[n].engine, shard);
        if (status != STATUS_OK)
            sim_fail (sim, "shard %u: the map does not take its replicas", shard);
    }
}

/* What the script has made of the group is what the map says: so many voters, each on a node of its own. A silent node takes
 * one vote away and no more, which is what the bounds of a fail-over (P6) rest on. */
static void require_placed (struct sim *sim, uint32_t shard, const struct raft_configuration *members)
{
    bool right = members->count == sim->first_count[shard];
    for (uint32_t i = 0; i < members->count; i++) {
        right = right && placed (sim, shard, members->members[i].replica);
        for (uint32_t j = 0; j < i; j++)
            right = right && members->members[i].node != members->members[j].node;
    }
    if (!right)
        sim_fail (sim, "shard %u: its members are not those of the map", shard);
}

static void finish (struct sim *sim, uint32_t shard, const struct raft_configuration *members)
{
    struct sim_change *change = &sim->changes[shard];
    struct sim_node *node = &sim->nodes[sim_node_of (sim, change->leaves)];
    struct sim_stored *stored = sim_disk_find (&node->disk, change->leaves);
    sim_trace (sim, "shard %u: replica %lu is gone", shard, (unsigned long) change->leaves);
    if (stored && stored->damaged)
        sim->oracle.groups[shard].damaged--;
    if (!sim_chance (sim, 3)) { /* else nobody tells it that it is gone: it must not disturb (R11) */
        sim_node_drop_replica (sim, node, change->leaves);
        sim_disk_erase (node, change->leaves);
    }
    if (sim->wiped[shard] == change->leaves) {
        sim->oracle.groups[shard].damaged--;
        sim->wiped[shard] = 0;
    }
    publish (sim, shard, change);
    require_placed (sim, shard, members);
    change->running = false;
}

/* The new replica votes and the old one is no member, and that has committed. */
static bool arrived (const struct sim_change *change, const struct sim_replica *leader)
{
    struct raft_status status;
    struct raft_configuration committed;
    const struct raft_configuration *members = raft_configuration (leader->raft);
    const struct raft_member *joins = raft_configuration_find (members, change->joins);
    raft_status (leader->raft, &status);
    bool known = raft_configuration_at (leader->raft, status.applied, &committed);
    maitre_assert (known);
    return !raft_configuration_joint (members) && joins && joins->roles == RAFT_VOTER &&
           !raft_configuration_find (members, change->leaves) && !raft_configuration_find (&committed, change->leaves);
}

static void advance (struct sim *sim, uint32_t shard, struct sim_replica *leader)
{
    struct sim_change *change = &sim->changes[shard];
    const struct raft_configuration *members = raft_configuration (leader->raft);
    const struct raft_member *joins = raft_configuration_find (members, change->joins);
    const struct raft_member *leaves = raft_configuration_find (members, change->leaves);
    struct raft_status status;
    raft_status (leader->raft, &status);
    bool hasty = sim->chaos && sim_chance (sim, 4); /* the core refuses what comes too early */
    if (raft_configuration_joint (members) || (!status.read_ready && !hasty))
        return;
    if (joins && joins->roles == RAFT_VOTER && !leaves)
        return; /* it has not committed yet */
    struct raft_configuration wanted = {0};
    for (uint32_t i = 0; i < members->count; i++)
        if (!joins || members->members[i].replica != change->leaves)
            wanted.members[wanted.count++] = members->members[i];
    struct raft_member member = {
        .replica = change->joins,
        .node = sim_node_of (sim, change->joins),
        .rank = leaves ? leaves->rank : 0,
        .roles = joins ? RAFT_VOTER : RAFT_LEARNER,
    };
    bool fits = raft_configuration_set (&wanted, member);
    maitre_assert (fits);
    sim_node_input (sim, leader, RAFT_CONFIGURE)->configuration = wanted;
}

void sim_admin_next (struct sim *sim)
{
    if (!(sim->families & (SIM_MEMBERS | SIM_WIPE)))
        return;
    for (uint32_t shard = 0; shard < sim->shards_count; shard++) {
        struct sim_replica *leader = sim_find_leader (sim, shard);
        if (!leader)
            continue;
        if (sim->changes[shard].running && arrived (&sim->changes[shard], leader))
            finish (sim, shard, raft_configuration (leader->raft));
        else if (sim->changes[shard].running && !sim->options.services)
            advance (sim, shard, leader);
        else if (sim->changes[shard].running)
            continue;
        else if (sim->wiped[shard] != 0)
            sim_wipe_replace (sim, shard);
        else if (sim->chaos && (sim->families & SIM_MEMBERS) && sim_chance (sim, 8))
            begin (sim, shard, raft_configuration (leader->raft));
    }
    sim_queue_push (&sim->queue, (struct sim_happening){
                                     .time_us = sim->time_us + sim_between (sim, 20 * 1000, 300 * 1000),
                                     .kind = SIM_ADMIN,
                                 });
}
