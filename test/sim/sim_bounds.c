/* The stated bounds of a fail-over (P6), of a cluster that is well: when connections break, 100 ms; when a leader falls silent, a second.
 *
 * A shard is counted as led again when a leader elsewhere has committed an entry of its term: from then on it takes writes.
 */
#include "test/sim/sim.h"

#include "schemas/runtime/assert.h"

#define NOTICED_US (100 * 1000)
#define SILENT_US (1000 * 1000)
#define RESIGNS_US (2100 * 1000) /* two windows of check-quorum, 900 ms each on a clock that is a tenth slow */
#define LOOK_US 1000
#define AFTERWARDS_US (3 * 1000 * 1000)

static bool ready_elsewhere (struct sim *sim, uint32_t shard, uint32_t victim)
{
    for (uint32_t n = 1; n <= sim->nodes_count; n++) {
        struct sim_node *node = &sim->nodes[n];
        for (size_t i = 0; n != victim && node->alive && i < node->replicas_count; i++) {
            struct raft_status status;
            if (node->replicas[i]->shard != shard)
                continue;
            raft_status (node->replicas[i]->raft, &status);
            if (status.role == RAFT_LEADER && status.read_ready)
                return true;
        }
    }
    return false;
}

static bool nobody_is_suspect (const struct sim *sim)
{
    for (uint32_t n = 1; n <= sim->nodes_count; n++)
        for (size_t i = 0; i < sim->nodes[n].replicas_count; i++) {
            struct raft_status status;
            raft_status (sim->nodes[n].replicas[i]->raft, &status);
            if (status.suspect)
                return false;
        }
    return true;
}

/* A log that may hold next to nothing may have no room for a young leader's first entry. */
static bool promises (const struct sim *sim)
{
    return sim_phase_all_well (sim) && sim->voters >= 3 && !(sim->families & SIM_SMALL) && nobody_is_suspect (sim);
}

/* Shards that the node leads, as everybody knows. */
static uint64_t led_by (struct sim *sim, uint32_t victim)
{
    uint64_t led = 0;
    for (uint32_t shard = 0; shard < sim->shards_count; shard++)
        led |= (uint64_t) !ready_elsewhere (sim, shard, victim) << shard;
    return led;
}

/* The node of some shard's leader; 0: nobody leads. */
static uint32_t some_leader (struct sim *sim)
{
    struct sim_replica *leader = sim_find_leader (sim, (uint32_t) sim_below (sim, sim->shards_count));
    return leader ? leader->node->index : 0;
}

static void require_leaders (struct sim *sim, uint64_t led, uint32_t victim, uint64_t bound_us, const char *what)
{
    uint64_t since_us = sim->time_us;
    for (uint32_t shard = 0; shard < sim->shards_count; shard++) {
        while ((led >> shard & 1) && !ready_elsewhere (sim, shard, victim)) {
            if (sim->time_us - since_us >= bound_us)
                sim_fail (sim, "shard %u takes no writes %lu ms after its leader on node %u %s (P6)", shard,
                    (unsigned long) (bound_us / 1000), victim, what);
            sim_run_until (sim, sim->time_us + LOOK_US, false);
        }
    }
    uint64_t took_us = sim->time_us - since_us;
    sim_trace (sim, "node %u %s: led again after %lu us", victim, what, (unsigned long) took_us);
    uint64_t *most = bound_us == NOTICED_US ? &sim->noticed_us_max : &sim->silent_us_max;
    *most = took_us > *most ? took_us : *most;
}

/* kill -9: its peers hear of it, but for once in ten times, as when a machine vanishes. */
void sim_bounds_kill (struct sim *sim)
{
    uint32_t victim = promises (sim) ? some_leader (sim) : 0;
    if (victim == 0)
        return;
    uint64_t led = led_by (sim, victim);
    bool noticed = sim_node_crash (sim, &sim->nodes[victim]);
    require_leaders (sim, led, victim, noticed ? NOTICED_US : SILENT_US, noticed ? "was killed" : "vanished");
    sim_node_start (sim, &sim->nodes[victim]);
    sim_run_until (sim, sim->time_us + AFTERWARDS_US, false);
}

/* Nothing reaches it or comes from it, and no connection breaks: the others go on, and it does not go on believing that
 * it leads (R10). Then it hears them again, as if nothing had been. */
void sim_bounds_silence (struct sim *sim)
{
    uint32_t victim = promises (sim) ? some_leader (sim) : 0;
    if (victim == 0)
        return;
    uint64_t led = led_by (sim, victim), since_us = sim->time_us;
    for (uint32_t n = 1; n <= sim->nodes_count; n++)
        sim->paths[n][victim].cut = sim->paths[victim][n].cut = n != victim;
    sim_trace (sim, "node %u falls silent", victim);
    require_leaders (sim, led, victim, SILENT_US, "fell silent");
    sim_run_until (sim, since_us + RESIGNS_US, false);
    for (size_t i = 0; i < sim->nodes[victim].replicas_count; i++) {
        struct sim_replica *replica = sim->nodes[victim].replicas[i];
        struct raft_status status;
        raft_status (replica->raft, &status);
        if (status.role == RAFT_LEADER)
            sim_fail (sim, "shard %u: replica %lu believes that it leads, %d ms after anybody answered it (R10)",
                replica->shard, (unsigned long) replica->replica, RESIGNS_US / 1000);
    }
    for (uint32_t n = 1; n <= sim->nodes_count; n++)
        sim->paths[n][victim].cut = sim->paths[victim][n].cut = false;
    sim_run_until (sim, sim->time_us + AFTERWARDS_US, false);
}
