/* What is asked of a calm gossip: a node that stood still blames nobody (S5), and a flood of names crowds nobody out (S4). */
#include "test/sim/sim_gossip.h"

#include <stdio.h>

#include "schemas/runtime/bytes.h"

#define FLOOD_RECORDS 250
#define FLOOD_NODES_MAX 8 /* tables are full afterwards: larger clusters would take long */

static void isolate (struct sim_world *world, uint32_t node, bool cut)
{
    for (uint32_t other = 0; other < world->nodes_count; other++) {
        if (other == node)
            continue;
        sim_cut (world, node, other, cut);
        sim_cut (world, other, node, cut);
    }
}

/* A node hears nothing just long enough to suspect others, then it stands still. When it goes on, the time that passed says
 * nothing about them: what they answered meanwhile waits in its socket. */
void sim_gossip_stall (struct sim_world *world)
{
    uint32_t node = (uint32_t) sim_random_below (world, world->nodes_count);
    isolate (world, node, true);
    sim_run (world, 1500 + sim_random_below (world, 400));
    isolate (world, node, false);
    world->stalled = &world->nodes[node];
    world->calm = true;
    world->nodes[node].paused_until_ms = world->now_ms + 3000 + sim_random_below (world, 20000);
    sim_note (world, "stands still", node, world->nodes[node].paused_until_ms - world->now_ms, 0);
    sim_run (world, world->nodes[node].paused_until_ms - world->now_ms + 5000);
    world->calm = false;
    world->stalled = NULL;
}

static void flood (struct sim_world *world, uint32_t to)
{
    static struct gossip_record records[FLOOD_RECORDS];
    char endpoint[32];
    snprintf (endpoint, sizeof endpoint, "tcp://10.0.0.%u:7301", to + 1);
    for (size_t i = 0; i < FLOOD_RECORDS; i++)
        records[i] = (struct gossip_record){
            .uuid = sim_random_id (world),
            .incarnation = 1 + sim_random_below (world, 1000),
            .state = sim_chance (world, 500) ? GOSSIP_DEAD : GOSSIP_LEFT,
            .node = 1 + sim_random_below (world, world->nodes_count),
            .gossip_endpoint = bytes_text (endpoint),
            .peer_endpoint = bytes_text (endpoint),
            .client_endpoint = bytes_text (endpoint),
            .version = 1,
        };
    struct gossip_message message = {
        .cluster = world->tunables.cluster,
        .kind = GOSSIP_KIND_UPDATE,
        .wall_ms = UINT64_C (1700000000000) + world->now_ms,
        .self = records[0],
        .records = records + 1,
        .records_count = FLOOD_RECORDS - 1,
    };
    message.self.state = GOSSIP_LEFT;
    sim_inject (world, to, &message);
}

/* A peer that has the keys tells of more members than there is room for, all of them gone. Who really is there, and who comes,
 * finds a place. */
void sim_gossip_flood (struct sim_world *world)
{
    if (world->nodes_count > FLOOD_NODES_MAX)
        return;
    world->flooded = true;
    for (int round = 0; round < 2; round++) {
        for (uint32_t to = 0; to < world->nodes_count; to++)
            flood (world, to);
        sim_run (world, 2000);
    }
    if (!sim_oracle_converged (world))
        sim_run (world, 10000);
    if (!sim_oracle_converged (world))
        sim_fail (world, "a flood of names crowded a running member out (S4)");
    uint32_t fresh = (uint32_t) sim_random_below (world, world->nodes_count);
    sim_wipe (world, fresh);
    sim_start (world, fresh);
    for (int i = 0; i < 60 && !sim_oracle_converged (world); i++)
        sim_run (world, 1000);
    if (!sim_oracle_converged (world))
        sim_fail (world, "after a flood of names there is no place for a new member (S4)");
}
