/* maitred_sim_gossip --seed N [--seeds N] [--trace]: each seed draws a cluster and its faults, runs twice, and must do
 * the same both times. */
#include "test/sim/sim_gossip.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/sim/number.h"
#include "test/sim/planted.h"

/* Longest time until all agree on what is over: everything that can be in the way at once, for n members. */
static uint64_t settle_ms (const struct sim_world *world)
{
    return 30000 + 2 * (uint64_t) world->tunables.probe_interval_ms * world->nodes_count;
}

static uint64_t wait_until_converged (struct sim_world *world, const char *what)
{
    uint64_t started_ms = world->now_ms;
    while (!sim_oracle_converged (world)) {
        if (world->now_ms - started_ms > settle_ms (world))
            sim_fail (world, what);
        sim_run (world, 200);
    }
    sim_note (world, what, world->now_ms - started_ms, 0, 0);
    return world->now_ms - started_ms;
}

static uint64_t wait_until_gone (struct sim_world *world, const struct id *uuid, uint64_t limit_ms, const char *what)
{
    uint64_t started_ms = world->now_ms;
    while (!sim_oracle_gone (world, uuid)) {
        if (world->now_ms - started_ms > limit_ms)
            sim_fail (world, what);
        sim_run (world, 50);
    }
    sim_note (world, what, world->now_ms - started_ms, 0, 0);
    return world->now_ms - started_ms;
}

/* ---- faults */

static uint32_t any_node (struct sim_world *world)
{
    return (uint32_t) sim_random_below (world, world->nodes_count);
}

/* Splits the nodes in two; `one_way`: only the first half's messages are lost. */
static void partition (struct sim_world *world, bool one_way)
{
    bool first[SIM_NODES_MAX];
    for (uint32_t i = 0; i < world->nodes_count; i++)
        first[i] = sim_chance (world, 500);
    for (uint32_t a = 0; a < world->nodes_count; a++)
        for (uint32_t b = 0; b < world->nodes_count; b++)
            if (first[a] != first[b] && (!one_way || first[a]))
                sim_cut (world, a, b, true);
}

static void isolate (struct sim_world *world, bool one_way)
{
    uint32_t lonely = any_node (world);
    for (uint32_t other = 0; other < world->nodes_count; other++) {
        if (other == lonely)
            continue;
        sim_cut (world, lonely, other, true);
        if (!one_way)
            sim_cut (world, other, lonely, true);
    }
}

static void mend_all (struct sim_world *world)
{
    for (uint32_t a = 0; a < world->nodes_count; a++)
        for (uint32_t b = 0; b < world->nodes_count; b++)
            sim_cut (world, a, b, false);
}

static void pause_node (struct sim_world *world)
{
    struct sim_node *node = &world->nodes[any_node (world)];
    uint64_t pause_ms = 100 + sim_random_below (world, sim_chance (world, 300) ? 40000 : 3000);
    node->paused_until_ms = world->now_ms + pause_ms;
    sim_note (world, "pause", (uint64_t) (node - world->nodes), pause_ms, 0);
}

enum {
    FAULT_PARTITION = 1,
    FAULT_ONE_WAY = 2,
    FAULT_PAUSE = 4,
    FAULT_RESTART = 8,
    FAULT_WIPE = 16,
    FAULT_LEAVE = 32,
    FAULT_LOSS = 64,
    FAULT_LINKS = 128,
};

static void one_fault (struct sim_world *world, uint32_t families)
{
    uint32_t family = UINT32_C (1) << sim_random_below (world, 8);
    if ((families & family) == 0)
        return;
    switch (family) {
    case FAULT_PARTITION:
    case FAULT_ONE_WAY:
        mend_all (world);
        if (sim_chance (world, 400))
            partition (world, family == FAULT_ONE_WAY);
        else if (sim_chance (world, 600))
            isolate (world, family == FAULT_ONE_WAY);
        break;
    case FAULT_PAUSE:
        pause_node (world);
        break;
    case FAULT_RESTART:
        if (sim_chance (world, 500))
            sim_kill (world, any_node (world));
        sim_start (world, any_node (world));
        break;
    case FAULT_WIPE:
        if (world->nodes[0].folders + world->nodes[1].folders < 8)
            sim_wipe (world, (uint32_t) sim_random_below (world, 2));
        sim_start (world, any_node (world));
        break;
    case FAULT_LEAVE:
        if (sim_chance (world, 300))
            sim_leave (world, any_node (world));
        sim_start (world, any_node (world));
        break;
    case FAULT_LOSS:
        world->loss_per_mille = (uint32_t) sim_random_below (world, 300);
        world->duplicate_per_mille = (uint32_t) sim_random_below (world, 200);
        world->delay_ms_max = 1 + (uint32_t) sim_random_below (world, sim_chance (world, 200) ? 1500 : 30);
        break;
    default:
        sim_link_down (world, any_node (world), any_node (world));
        break;
    }
}

static void make_trouble (struct sim_world *world)
{
    uint32_t families = 1 + (uint32_t) sim_random_below (world, 255);
    sim_note (world, "trouble", families, 0, 0);
    uint64_t end_ms = world->now_ms + 20000 + sim_random_below (world, 60000);
    while (world->now_ms < end_ms) {
        one_fault (world, families);
        sim_run (world, 20 + sim_random_below (world, 2000));
    }
}

static void heal (struct sim_world *world)
{
    mend_all (world);
    world->loss_per_mille = 10;
    world->duplicate_per_mille = 10;
    world->delay_ms_max = 5;
    for (uint32_t i = 0; i < world->nodes_count; i++) {
        world->nodes[i].paused_until_ms = 0;
        if (world->nodes[i].leaving)
            sim_kill (world, i);
        sim_start (world, i);
    }
    sim_note (world, "heal", 0, 0, 0);
}

/* ---- the phases */

static void set_clocks (struct sim_world *world)
{
    /* Fewer than half of the clocks are wrong, by up to ten years. */
    for (uint32_t i = 0; i < (world->nodes_count - 1) / 2; i++)
        world->nodes[i].wall_skew_ms = (int64_t) sim_random_below (world, UINT64_C (630000000000)) - 315000000000;
}

/* Leaders change while nothing else happens: everybody hears of it soon. */
static void check_hints (struct sim_world *world)
{
    uint32_t leaders[SIM_SHARDS];
    for (uint64_t term = 1; term <= 3; term++) {
        for (uint32_t shard = 0; shard < SIM_SHARDS; shard++) {
            leaders[shard] = any_node (world);
            const struct gossip_lead lead = {.shard = shard, .term = term};
            gossip_set_local_hints (world->nodes[leaders[shard]].gossip, &lead, 1);
        }
        uint64_t epoch = term * 10;
        gossip_set_ring_epoch (world->nodes[any_node (world)].gossip, epoch);
        sim_run (world, 15000);
        for (uint32_t i = 0; i < world->nodes_count; i++)
            if (gossip_ring_epoch (world->nodes[i].gossip) != epoch)
                sim_fail (world, "the ring epoch did not spread");
        sim_note (world, "epoch", epoch, 0, 0);
        for (uint32_t i = 0; i < world->nodes_count; i++)
            for (uint32_t shard = 0; shard < SIM_SHARDS; shard++)
                if (gossip_hint_node (world->nodes[i].gossip, shard, NULL) != leaders[shard] + 1)
                    sim_fail (world, "a leader hint did not spread");
    }
}

/* A little loss, spurious link signals, nobody paused: nobody dies, and the talk stays small. */
static void check_calm (struct sim_world *world)
{
    world->calm = true;
    uint64_t sent = 0, duration_ms = 30000;
    for (uint32_t i = 0; i < world->nodes_count; i++)
        sent -= world->nodes[i].sent;
    for (uint64_t ms = 0; ms < duration_ms; ms += 1000) {
        sim_link_down (world, any_node (world), any_node (world));
        sim_run (world, 1000);
    }
    for (uint32_t i = 0; i < world->nodes_count; i++)
        sent += world->nodes[i].sent;
    if (sent > world->nodes_count * duration_ms / 1000 * 20)
        sim_fail (world, "more than 20 messages a second and node, and nothing happened");
    if (!sim_oracle_converged (world))
        sim_run (world, 3000); /* a suspicion may just be on its way to being refuted */
    if (!sim_oracle_converged (world))
        sim_fail (world, "a calm cluster came to disagree");
    sim_oracle_clocks (world);
    world->calm = false;
}

/* Longest until SWIM alone suspects a member, and until a suspicion nobody confirms ends. */
static uint64_t detection_ms_max (const struct sim_world *world)
{
    uint64_t interval_ms = world->tunables.probe_interval_ms;
    uint64_t suspicion_ms = world->tunables.suspicion_alpha * interval_ms * 2; /* log10 (32) is 1.5 */
    return 2 * world->nodes_count * interval_ms + suspicion_ms * world->tunables.suspicion_beta;
}

static void check_detection (struct sim_world *world)
{
    uint32_t victim = any_node (world);
    struct id uuid = world->nodes[victim].uuid;
    world->link_hints = false;
    sim_kill (world, victim);
    wait_until_gone (world, &uuid, detection_ms_max (world), "detected");
    sim_start (world, victim);
    wait_until_converged (world, "restarted");

    victim = any_node (world);
    uuid = world->nodes[victim].uuid;
    sim_run (world, 30000); /* local health recovers */
    world->link_hints = true;
    sim_kill (world, victim);
    uint64_t min_ms = world->tunables.suspicion_alpha * UINT64_C (2) * world->tunables.probe_interval_ms;
    wait_until_gone (world, &uuid, min_ms + 4000, "detected by the broken connections");
    sim_start (world, victim);
    wait_until_converged (world, "restarted");
    victim = any_node (world);
    uuid = world->nodes[victim].uuid;
    sim_leave (world, victim);
    wait_until_gone (world, &uuid, 5000, "left");
    sim_start (world, victim);
    wait_until_converged (world, "came back");
}

struct result {
    uint64_t hash, packets, deaths, refutations, stalls, bytes_max, healed_ms;
    uint32_t nodes;
};

static struct result run_seed (uint64_t seed, bool trace)
{
    static struct sim_world world;
    sim_world_init (&world, seed, trace);
    world.link_hints = sim_chance (&world, 500);
    set_clocks (&world);
    for (uint32_t i = 0; i < world.nodes_count; i++) {
        sim_start (&world, i);
        sim_run (&world, sim_random_below (&world, 500));
    }
    wait_until_converged (&world, "joined");
    for (int round = 0; round < 2; round++) {
        make_trouble (&world);
        heal (&world);
        wait_until_converged (&world, "healed");
    }
    uint64_t healed_ms = wait_until_converged (&world, "healed");
    sim_run (&world, 30000);
    wait_until_converged (&world, "recovered");
    check_hints (&world);
    check_calm (&world);
    check_detection (&world);
    wait_until_converged (&world, "before standing still");
    sim_run (&world, 30000); /* local health recovers */
    sim_gossip_stall (&world);
    wait_until_converged (&world, "after standing still");
    sim_gossip_flood (&world);
    struct result result = {.hash = world.hash,
        .packets = world.packets_sent,
        .deaths = world.deaths,
        .refutations = world.refutations,
        .stalls = world.stalls,
        .bytes_max = world.bytes_max,
        .healed_ms = healed_ms,
        .nodes = world.nodes_count};
    sim_world_close (&world);
    return result;
}

int main (int argc, char **argv)
{
    uint64_t seed = 1, seeds = 1;
    bool trace = false, planted = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp (argv[i], "--seed") == 0 && i + 1 < argc) {
            if (!number_within ("--seed", argv[++i], 10, 0, NUMBER_SEED_MAX, &seed))
                return 2;
        } else if (strcmp (argv[i], "--seeds") == 0 && i + 1 < argc) {
            if (!number_within ("--seeds", argv[++i], 10, 1, NUMBER_SEEDS_MAX, &seeds))
                return 2;
        } else if (strcmp (argv[i], "--trace") == 0)
            trace = true;
        else if (strcmp (argv[i], "--plant") == 0 && i + 1 < argc) {
            if (!planted_choose (argv[++i]))
                return 2;
            planted = true;
        } else {
            fprintf (stderr, "usage: %s [--seed N] [--seeds N] [--trace] [--plant NAME]\n", argv[0]);
            return 2;
        }
    }
    uint64_t packets = 0, deaths = 0, refutations = 0, stalls = 0, bytes_max = 0;
    for (uint64_t s = seed; s < seed + seeds; s++) {
        struct result result = run_seed (s, trace);
        struct result again = planted ? result : run_seed (s, false);
        if (result.hash != again.hash) {
            fprintf (stderr, "seed %" PRIu64 ": two runs differ\n", s);
            return 1;
        }
        packets += result.packets;
        deaths += result.deaths;
        refutations += result.refutations;
        stalls += result.stalls;
        bytes_max = result.bytes_max > bytes_max ? result.bytes_max : bytes_max;
        if (seeds == 1)
            printf ("seed %" PRIu64 ": %u nodes, hash %016" PRIx64 "\n", s, result.nodes, result.hash);
    }
    printf ("%" PRIu64 " seeds: %" PRIu64 " packets, %" PRIu64 " refutations, %" PRIu64
            " false deaths in trouble, %" PRIu64 " stalls, largest message %" PRIu64 " bytes\n",
        seeds, packets, refutations, deaths, stalls, bytes_max);
    return 0;
}
