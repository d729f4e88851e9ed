/* The network: per direction loss, delay, duplication, reorder and cuts; and what the ends notice of their connection. */
#include "test/sim/sim.h"

#include <stdlib.h>

static uint64_t arrival (struct sim *sim, struct sim_path *path)
{
    uint64_t at = sim->time_us + path->delay_us + sim_below (sim, path->jitter_us + 1);
    if (path->straggler_one_in && sim_chance (sim, path->straggler_one_in)) {
        sim_fault_count (sim, SIM_REORDER);
        return at + sim_below (sim, 3000 * 1000); /* from another time: terms, leaders and lives have changed since */
    }
    if (!path->reorder && at <= path->last_us)
        at = path->last_us + 1;
    if (at > path->last_us)
        path->last_us = at;
    return at;
}

void sim_net_send (struct sim *sim, uint32_t from, uint32_t to, const uint8_t *data, size_t len)
{
    struct sim_path *path = &sim->paths[from][to];
    if (path->cut)
        return;
    if (sim_chance (sim, path->loss_one_in)) {
        sim_fault_count (sim, SIM_LOSS);
        return;
    }
    unsigned copies = 1;
    if (sim_chance (sim, path->duplicate_one_in)) {
        sim_fault_count (sim, SIM_DUPLICATE);
        copies++;
    }
    if (path->delay_us > 1000)
        sim_fault_count (sim, SIM_DELAY);
    for (unsigned i = 0; i < copies; i++)
        sim_queue_push (&sim->queue, (struct sim_happening){
                                         .time_us = arrival (sim, path),
                                         .kind = SIM_DELIVER,
                                         .node = to,
                                         .peer = from,
                                         .data = sim_copy (data, len),
                                         .len = len,
                                     });
}

void sim_net_snapshot (struct sim *sim, uint32_t from, uint32_t to, const struct sim_snapshot *snapshot)
{
    struct sim_path *path = &sim->paths[from][to];
    struct sim_snapshot copy = *snapshot;
    bool lost = path->cut || sim->paths[to][from].cut || sim_chance (sim, path->loss_one_in);
    if (lost) { /* the sender notices late that its chunks are not acknowledged */
        copy.ok = false;
        sim_queue_push (&sim->queue, (struct sim_happening){
                                         .time_us = sim->time_us + 500 * 1000,
                                         .kind = SIM_SENT,
                                         .node = from,
                                         .epoch = sim->nodes[from].epoch,
                                         .data = sim_copy (&copy, sizeof copy),
                                         .len = sizeof copy,
                                     });
        return;
    }
    uint64_t takes_us = path->delay_us + sim_between (sim, 2000, 120 * 1000);
    sim_queue_push (&sim->queue, (struct sim_happening){
                                     .time_us = sim->time_us + takes_us,
                                     .kind = SIM_SNAPSHOT,
                                     .node = to,
                                     .peer = from,
                                     .data = sim_copy (&copy, sizeof copy),
                                     .len = sizeof copy,
                                 });
}

static void tell (struct sim *sim, uint32_t node, uint32_t peer, bool up, uint64_t delay_us)
{
    if (!sim->nodes[node].alive)
        return;
    sim_queue_push (&sim->queue, (struct sim_happening){
                                     .time_us = sim->time_us + delay_us + sim_below (sim, 1000),
                                     .kind = SIM_LINK,
                                     .node = node,
                                     .peer = peer,
                                     .epoch = sim->nodes[node].epoch,
                                     .up = up,
                                     .late = delay_us >= 100 * 1000,
                                 });
}

void sim_net_link (struct sim *sim, uint32_t a, uint32_t b, bool up, uint64_t delay_us)
{
    tell (sim, a, b, up, delay_us);
    tell (sim, b, a, up, delay_us);
}

bool sim_net_plausible (const struct sim *sim, const struct sim_happening *happening)
{
    bool cut = sim->paths[happening->node][happening->peer].cut || sim->paths[happening->peer][happening->node].cut;
    bool works = sim->nodes[happening->peer].alive && !cut;
    return happening->up ? works : !happening->late || !works;
}

/* What is under way dies with the connection. */
void sim_net_reset (struct sim *sim, uint32_t a, uint32_t b)
{
    for (size_t i = 0; i < sim->queue.count; i++) {
        struct sim_happening *happening = &sim->queue.heap[i];
        bool between = (happening->node == a && happening->peer == b) || (happening->node == b && happening->peer == a);
        if (happening->kind != SIM_DELIVER || !between)
            continue;
        free (happening->data);
        happening->data = NULL;
        happening->len = 0;
    }
    sim_net_link (sim, a, b, false, 300);
    sim_net_link (sim, a, b, true, sim_between (sim, 10 * 1000, 30 * 1000));
}

void sim_net_heal (struct sim *sim)
{
    for (uint32_t a = 1; a <= sim->nodes_count; a++)
        for (uint32_t b = 1; b <= sim->nodes_count; b++) {
            sim->paths[a][b] = (struct sim_path){.delay_us = 100, .jitter_us = 100};
            if (a < b && sim->nodes[a].alive && sim->nodes[b].alive)
                sim_net_link (sim, a, b, true, 10 * 1000);
        }
}
