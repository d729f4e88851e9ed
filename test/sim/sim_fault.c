/* Faults: the seed draws which families are on (swarm testing), then one after the other until the cluster heals. */
#include "test/sim/sim_platter.h"

const char *const sim_family_names[SIM_FAMILIES] = {"loss", "delay", "duplicate", "reorder", "partition", "one-way",
    "reset", "crash", "torn", "power", "pause", "slow-disk", "drift", "rot", "transfer", "members", "compact", "small",
    "churn", "clock", "all-clocks", "disk-full", "bit-flip", "misdirected", "io-error", "wipe"};

void sim_fault_count (struct sim *sim, uint32_t family)
{
    sim->oracle.counts.faults[__builtin_ctz (family)]++;
}

static void draw_paths (struct sim *sim)
{
    for (uint32_t a = 1; a <= sim->nodes_count; a++)
        for (uint32_t b = 1; b <= sim->nodes_count; b++) {
            struct sim_path *path = &sim->paths[a][b];
            bool cut = path->cut;
            uint64_t last_us = path->last_us;
            *path = (struct sim_path){.cut = cut, .delay_us = 100, .jitter_us = 100, .last_us = last_us};
            if (sim->families & SIM_LOSS && sim_chance (sim, 2))
                path->loss_one_in = (uint32_t) sim_between (sim, 4, 200);
            if (sim->families & SIM_DUPLICATE && sim_chance (sim, 2))
                path->duplicate_one_in = (uint32_t) sim_between (sim, 3, 50);
            if (sim->families & SIM_DELAY && sim_chance (sim, 2)) {
                path->delay_us = sim_between (sim, 100, 30 * 1000);
                path->jitter_us = sim_between (sim, 0, 60 * 1000);
            }
            path->reorder = (sim->families & SIM_REORDER) != 0;
            if (path->reorder && sim_chance (sim, 2))
                path->straggler_one_in = (uint32_t) sim_between (sim, 10, 100);
        }
}

void sim_fault_draw (struct sim *sim)
{
    uint32_t families = 0;
    for (unsigned i = 0; i < SIM_FAMILIES; i++)
        families |= (uint32_t) sim_chance (sim, 3) << i;
    sim->families = sim->options.families_set ? sim->options.families : families;
    draw_paths (sim);
    for (uint32_t n = 1; n <= sim->nodes_count; n++) {
        sim->nodes[n].clock_offset_us = sim_below (sim, 1000 * 1000);
        if (sim->families & SIM_DRIFT)
            sim->nodes[n].drift_ppm = (int64_t) sim_below (sim, 200001) - 100000;
    }
    for (uint32_t family = SIM_DRIFT; family <= SIM_SMALL; family <<= 1) /* of the whole run, not of a moment */
        if (sim->families & family & (SIM_DRIFT | SIM_COMPACT | SIM_SMALL))
            sim_fault_count (sim, family);
}

static uint32_t any_node (struct sim *sim)
{
    return (uint32_t) sim_between (sim, 1, sim->nodes_count);
}

static void crash (struct sim *sim, struct sim_node *node, uint64_t least_ms, uint64_t most_ms)
{
    if (!node->alive)
        return;
    sim_fault_count (sim, SIM_CRASH);
    (void) sim_node_crash (sim, node);
    sim_queue_push (&sim->queue, (struct sim_happening){
                                     .time_us = sim->time_us + 1000 * sim_between (sim, least_ms, most_ms),
                                     .kind = SIM_RESTART,
                                     .node = node->index,
                                 });
}

void sim_fault_dies (struct sim *sim, struct sim_node *node)
{
    crash (sim, node, 20, 1500);
}

void sim_fault_elected (struct sim *sim, struct sim_node *node)
{
    if (!sim->chaos || !(sim->families & SIM_CHURN) || sim_chance (sim, 3))
        return;
    /* Its own entries reach nobody before it dies, those of its predecessors do: figure 8 of the Raft paper. */
    if (sim_chance (sim, 2))
        sim->mute_until_us[node->index] = sim->time_us + sim_below (sim, 200 * 1000);
    sim_queue_push (&sim->queue, (struct sim_happening){
                                     .time_us = sim->time_us + sim_below (sim, 150 * 1000),
                                     .kind = SIM_STRIKE,
                                     .node = node->index,
                                     .epoch = node->epoch,
                                 });
}

void sim_fault_strike (struct sim *sim, struct sim_node *node)
{
    if (!sim->chaos)
        return;
    sim_fault_count (sim, SIM_CHURN);
    crash (sim, node, 20, 800);
}

static void mend_cuts (struct sim *sim)
{
    for (uint32_t a = 1; a <= sim->nodes_count; a++)
        for (uint32_t b = a + 1; b <= sim->nodes_count; b++) {
            bool was = sim->paths[a][b].cut || sim->paths[b][a].cut;
            sim->paths[a][b].cut = false;
            sim->paths[b][a].cut = false;
            if (was)
                sim_net_link (sim, a, b, true, sim_between (sim, 10 * 1000, 20 * 1000));
        }
    sim_trace (sim, "cuts are mended");
}

static void partition (struct sim *sim)
{
    uint64_t side = sim_between (sim, 1, (UINT64_C (1) << sim->nodes_count) - 2);
    bool noticed = sim_chance (sim, 3);
    sim_fault_count (sim, SIM_PARTITION);
    sim_trace (sim, "partition %lx", (unsigned long) side);
    for (uint32_t a = 1; a <= sim->nodes_count; a++)
        for (uint32_t b = a + 1; b <= sim->nodes_count; b++) {
            if (((side >> (a - 1)) & 1) == ((side >> (b - 1)) & 1))
                continue;
            sim->paths[a][b].cut = true;
            sim->paths[b][a].cut = true;
            if (noticed)
                sim_net_link (sim, a, b, false, sim_between (sim, 100 * 1000, 3000 * 1000));
        }
}

static void cut_one_way (struct sim *sim)
{
    uint32_t a = any_node (sim), b = any_node (sim);
    if (a == b)
        return;
    sim->paths[a][b].cut = true;
    sim_fault_count (sim, SIM_ONE_WAY);
    sim_trace (sim, "nothing from %u to %u", a, b);
}

static uint32_t voters_of (const struct sim *sim, uint32_t shard)
{
    (void) shard;
    return sim->voters;
}

bool sim_fault_may_damage (struct sim *sim, uint32_t shard)
{
    return 2 * (sim->oracle.groups[shard].damaged + 1) < voters_of (sim, shard) + 1 && !sim->changes[shard].running;
}

/* Whether all the shards of a node can do without what its disk remembers. */
static bool may_damage_node (struct sim *sim, struct sim_node *node)
{
    bool may = true;
    for (struct sim_stored *stored = node->disk.replicas; stored; stored = stored->next)
        may = may && (stored->damaged || sim_fault_may_damage (sim, stored->shard));
    return may;
}

static void damage (struct sim *sim, struct sim_node *node, enum sim_damage kind)
{
    if (!node->alive || !may_damage_node (sim, node))
        return;
    node->damage = kind;
    crash (sim, node, 50, 1500);
}

/* A third replica of each shard that both nodes hold has all that committed. */
static bool third_holds (struct sim *sim, struct sim_node *a, struct sim_node *b)
{
    for (uint32_t shard = 0; shard < sim->shards_count; shard++) {
        struct sim_group *group = &sim->oracle.groups[shard];
        bool holds = false;
        if (group->damaged > 0 || sim->changes[shard].running)
            return false;
        for (uint32_t n = 1; n <= sim->nodes_count; n++)
            for (struct sim_stored *stored = sim->nodes[n].disk.replicas; stored; stored = stored->next)
                holds = holds || (stored->shard == shard && &sim->nodes[n] != a && &sim->nodes[n] != b &&
                                     !stored->suspect && !stored->damaged && group->committed_count > 0 &&
                                     sim_stored_has (stored, group->committed_count,
                                         group->committed[group->committed_count - 1].term));
        if (!holds)
            return false;
    }
    return true;
}

/* Two replicas of a shard may lose the same acknowledged entry. Nothing is lost while the third holds it: the two are suspects, and
 * elect nobody without it. */
static void twins (struct sim *sim)
{
    struct sim_node *a = &sim->nodes[any_node (sim)], *b = &sim->nodes[any_node (sim)];
    if (a == b || !a->alive || !b->alive || sim->voters < 3 || !third_holds (sim, a, b))
        return;
    sim_trace (sim, "nodes %u and %u both rot", a->index, b->index);
    sim->oracle.counts.twins++;
    a->damage = b->damage = SIM_DAMAGE_FLIP;
    crash (sim, a, 50, 1500);
    crash (sim, b, 50, 1500);
}

bool sim_fault_damage (struct sim *sim, struct sim_node *node)
{
    enum sim_damage kind = node->damage;
    node->damage = SIM_DAMAGE_NONE;
    switch (kind) {
    case SIM_DAMAGE_NONE:
        break;
    case SIM_DAMAGE_TAIL: /* a disk that loses the end of what it said was synced */
        if (node->disk.platter.marks_count == 0)
            break;
        sim_fault_count (sim, SIM_ROT);
        sim->oracle.counts.suspects++;
        sim_platter_cut_tail (sim, node, sim_between (sim, 1, 12));
        break;
    case SIM_DAMAGE_FLIP:
        if (sim_platter_flip (sim, node))
            sim_fault_count (sim, SIM_FLIP);
        return true;
    case SIM_DAMAGE_MISDIRECT:
        if (sim_platter_misdirect (sim, node))
            sim_fault_count (sim, SIM_MISDIRECT);
        return true;
    }
    return false;
}

/* A failed write or sync ends the process; it comes back suspect (duty 7). */
bool sim_fault_sync_fails (struct sim *sim, struct sim_node *node)
{
    if (!node->sync_fails || !sim->chaos)
        return false;
    node->sync_fails = false;
    sim_fault_count (sim, SIM_EIO);
    sim_trace (sim, "node %u: a sync fails", node->index);
    crash (sim, node, 20, 1000);
    for (struct sim_stored *stored = node->disk.replicas; stored; stored = stored->next)
        stored->suspect = true;
    return true;
}

static void transfer (struct sim *sim)
{
    struct sim_replica *leader = sim_find_leader (sim, (uint32_t) sim_below (sim, sim->shards_count));
    if (!leader)
        return;
    const struct raft_configuration *configuration = raft_configuration (leader->raft);
    uint64_t target = 0;
    if (configuration->count > 0 && sim_chance (sim, 2))
        target = configuration->members[sim_below (sim, configuration->count)].replica;
    sim_fault_count (sim, SIM_TRANSFER);
    sim_node_input (sim, leader, RAFT_TRANSFER)->event.replica = target;
}

static void campaign (struct sim *sim)
{
    struct sim_node *node = &sim->nodes[any_node (sim)];
    if (node->alive && node->replicas_count > 0)
        sim_node_input (sim, node->replicas[sim_below (sim, node->replicas_count)], RAFT_CAMPAIGN);
}

static int64_t clock_jump_ms (struct sim *sim)
{
    static const int64_t jumps[] = {3600000, -3600000, 315360000000, -315360000000, 120000, -120000};
    return jumps[sim_below (sim, sizeof jumps / sizeof jumps[0])];
}

/* One clock of the run is wrong, whatever it says: no single clock may push log time. Two that were wrong one after the other would
 * be two to whoever heard of the first one up to a minute ago. */
static void jump_clock (struct sim *sim)
{
    struct sim_node *node = &sim->nodes[1 + sim->options.seed % sim->nodes_count];
    node->wall_offset_ms = sim_chance (sim, 3) ? 0 : clock_jump_ms (sim);
    if (node->wall_offset_ms != 0)
        sim_fault_count (sim, SIM_CLOCK);
    sim_trace (sim, "node %u: its clock is off by %ld ms", node->index, (long) node->wall_offset_ms);
}

static void jump_clocks (struct sim *sim)
{
    int64_t jump_ms = clock_jump_ms (sim);
    bool alike = sim_chance (sim, 2);
    if (!sim_chance (sim, 4))
        return;
    sim_fault_count (sim, SIM_CLOCKS);
    for (uint32_t n = 1; n <= sim->nodes_count; n++)
        sim->nodes[n].wall_offset_ms = alike ? jump_ms : clock_jump_ms (sim);
    sim_trace (sim, "all clocks jump by %ld ms", (long) jump_ms);
}

static void inject (struct sim *sim, uint32_t family)
{
    struct sim_node *node = &sim->nodes[any_node (sim)];
    switch (family) {
    case SIM_LOSS:
    case SIM_DELAY:
    case SIM_DUPLICATE:
        draw_paths (sim);
        break;
    case SIM_PARTITION:
        mend_cuts (sim);
        if (sim_chance (sim, 2))
            partition (sim);
        break;
    case SIM_ONE_WAY:
        if (sim_chance (sim, 3))
            mend_cuts (sim);
        else
            cut_one_way (sim);
        break;
    case SIM_RESET: {
        uint32_t other = any_node (sim);
        if (other != node->index && node->alive && sim->nodes[other].alive) {
            sim_fault_count (sim, SIM_RESET);
            sim_net_reset (sim, node->index, other);
        }
        break;
    }
    case SIM_CRASH:
    case SIM_TORN:
        crash (sim, node, 20, 3000);
        break;
    case SIM_POWER:
        if (!sim_chance (sim, 4))
            break;
        sim_fault_count (sim, SIM_POWER);
        for (uint32_t n = 1; n <= sim->nodes_count; n++)
            crash (sim, &sim->nodes[n], 100, 1500);
        break;
    case SIM_PAUSE:
        node->paused_until_us = sim->time_us + 1000 * sim_between (sim, 50, 4000);
        sim_fault_count (sim, SIM_PAUSE);
        sim_trace (sim, "node %u pauses", node->index);
        break;
    case SIM_SLOW_DISK:
        sim_fault_count (sim, SIM_SLOW_DISK);
        sim->disk_slow_until_us[node->index] = sim->time_us + 1000 * sim_between (sim, 200, 3000);
        break;
    case SIM_CLOCK:
        jump_clock (sim);
        break;
    case SIM_CLOCKS:
        jump_clocks (sim);
        break;
    case SIM_FULL:
        sim_fault_count (sim, SIM_FULL);
        node->disk_full_until_us = sim->time_us + 1000 * sim_between (sim, 100, 4000);
        break;
    case SIM_ROT:
        damage (sim, node, SIM_DAMAGE_TAIL);
        break;
    case SIM_WIPE:
        sim_wipe (sim, node);
        break;
    case SIM_FLIP:
        if (sim_chance (sim, 2)) {
            twins (sim);
            break;
        }
        damage (sim, node, SIM_DAMAGE_FLIP);
        break;
    case SIM_MISDIRECT:
        damage (sim, node, SIM_DAMAGE_MISDIRECT);
        break;
    case SIM_EIO:
        node->sync_fails = sim_chance (sim, 4);
        break;
    case SIM_TRANSFER:
        if (sim_chance (sim, 4))
            campaign (sim);
        else
            transfer (sim);
        break;
    default:
        break;
    }
}

void sim_fault_next (struct sim *sim)
{
    if (!sim->chaos)
        return;
    uint32_t family = UINT32_C (1) << sim_below (sim, SIM_FAMILIES);
    if (sim->families & family)
        inject (sim, family);
    sim_queue_push (&sim->queue, (struct sim_happening){
                                     .time_us = sim->time_us + sim_between (sim, 5 * 1000, 120 * 1000),
                                     .kind = SIM_FAULT,
                                 });
}

void sim_fault_heal (struct sim *sim)
{
    sim_trace (sim, "healing");
    sim->chaos = false;
    /* Without damage or membership changes any one node may stay dead. */
    uint32_t stays_dead = 0;
    bool whole = (sim->families & (SIM_ROT | SIM_TORN | SIM_EIO | SIM_FLIP | SIM_MISDIRECT | SIM_WIPE | SIM_MEMBERS)) ||
                 sim->voters < 3;
    if (!whole && sim_chance (sim, 2))
        stays_dead = any_node (sim);
    sim_net_heal (sim);
    if (!whole && !stays_dead && (sim->families & SIM_ONE_WAY) && sim_chance (sim, 2)) {
        sim->cut_from = any_node (sim);
        sim->cut_to = 1 + sim->cut_from % sim->nodes_count;
        sim->paths[sim->cut_from][sim->cut_to].cut = true;
        sim_trace (sim, "nothing from %u to %u for good", sim->cut_from, sim->cut_to);
    }
    for (uint32_t n = 1; n <= sim->nodes_count; n++) {
        struct sim_node *node = &sim->nodes[n];
        node->paused_until_us = 0;
        node->wall_offset_ms = 0;
        node->sync_fails = false;
        node->disk_full_until_us = 0;
        sim->disk_slow_until_us[n] = 0;
        if (n == stays_dead && node->alive)
            sim_node_crash (sim, node);
        else if (n != stays_dead && !node->alive)
            sim_node_start (sim, node);
        else if (node->alive)
            sim_node_wake (sim, node, 1);
    }
}
