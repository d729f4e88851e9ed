/* One run of one seed: found the cluster, let it happen, heal, demand convergence and calm. */
#include "test/sim/sim_engine.h"

#include <stdlib.h>

#include "schemas/runtime/assert.h"

#define SETTLE_US (30 * 1000 * 1000)

static void found_shards (struct sim *sim)
{
    for (uint32_t shard = 0; shard < sim->shards_count; shard++) {
        struct raft_configuration members = {0};
        for (uint32_t i = 0; i < sim->voters; i++) {
            uint32_t node = 1 + (shard + i) % sim->nodes_count;
            struct raft_member member = {
                .replica = sim_new_replica (sim, node), .node = node, .rank = (uint8_t) i, .roles = RAFT_VOTER};
            sim->first[shard][i] = member;
            bool fits = raft_configuration_set (&members, member);
            maitre_assert (fits);
        }
        sim->first_count[shard] = sim->voters;
        for (uint32_t i = 0; i < members.count; i++) {
            struct sim_node *node = &sim->nodes[members.members[i].node];
            sim_disk_create (node, shard, members.members[i].replica, &members);
        }
    }
}

static struct id random_id (struct sim *sim)
{
    struct id id;
    bytes_put_u64 (id.b, sim_random_next (&sim->random));
    bytes_put_u64 (id.b + 8, sim_random_next (&sim->random));
    return id;
}

static void found_cluster (struct sim *sim)
{
    sim->gossip_effects = gossip_effects_new ();
    maitre_assert (sim->gossip_effects != NULL);
    sim->cluster = random_id (sim);
    for (uint32_t n = 1; n <= sim->nodes_count; n++)
        sim->nodes[n].uuid = random_id (sim);
    sim_engine_found (sim);
}

/* Everything that the seed draws before anything happens. */
static void draw (struct sim *sim, const struct sim_options *options)
{
    *sim = (struct sim){.options = *options, .random = {options->seed * 2 + 1}, .chaos = true};
    sim->nodes_count = (uint32_t) sim_between (sim, 3, SIM_NODES_MAX);
    uint64_t most = sim_chance (sim, 12) ? 32 : sim_chance (sim, 4) ? 8 : 3;
    sim->shards_count = (uint32_t) sim_between (sim, 1, most) + options->services; /* and the system shard */
    sim->voters = sim_chance (sim, 8) ? 1 : sim_chance (sim, 4) && sim->nodes_count >= 5 ? 5 : 3;
    for (uint32_t n = 1; n <= sim->nodes_count; n++)
        sim->nodes[n].index = n;
    sim->records_max = sim_chance (sim, 3) ? sim_between (sim, 20, 200) : 1000000;
    sim_fault_draw (sim);
}

uint32_t sim_draw (const struct sim_options *options)
{
    struct sim *sim = malloc (sizeof *sim);
    maitre_assert (sim != NULL);
    draw (sim, options);
    uint32_t families = sim->families;
    free (sim);
    return families;
}

static void setup (struct sim *sim, const struct sim_options *options)
{
    draw (sim, options);
    raft_effects_init (&sim->effects);
    sim_trace (sim, "seed %lu: %u nodes, %u shards, %u voters, families %x", (unsigned long) options->seed,
        sim->nodes_count, sim->shards_count, sim->voters, sim->families);
    if (options->services)
        found_cluster (sim);
    else
        found_shards (sim);
    for (uint32_t n = 1; n <= sim->nodes_count; n++)
        sim_node_start (sim, &sim->nodes[n]);
    sim->clients = sim_between (sim, 1, 6);
    for (uint64_t client = 1; client <= sim->clients; client++)
        sim_queue_push (&sim->queue, (struct sim_happening){.time_us = client, .kind = SIM_CLIENT, .value = client});
    sim_queue_push (&sim->queue, (struct sim_happening){.time_us = 1000, .kind = SIM_FAULT});
    sim_queue_push (&sim->queue, (struct sim_happening){.time_us = 2000 * 1000, .kind = SIM_ADMIN});
}

static void ask (struct sim *sim, uint64_t client)
{
    if (sim->options.services)
        sim_shard_ask (sim, client);
    else
        sim_client_ask (sim, client);
}

static void happen (struct sim *sim, struct sim_happening *happening, bool clients)
{
    struct sim_node *node = &sim->nodes[happening->node];
    bool reaches = node->alive && (happening->epoch == 0 || happening->epoch == node->epoch);
    sim->time_us = happening->time_us;
    switch (happening->kind) {
    case SIM_WAKE:
        if (reaches && node->wake_us == happening->time_us)
            sim_node_turn (sim, node);
        break;
    case SIM_DELIVER:
        if (reaches && happening->data) {
            sim_node_deliver (sim, node, happening->peer, happening->data, happening->len);
            happening->data = NULL; /* taken over */
        }
        break;
    case SIM_LINK:
        if (reaches && sim_net_plausible (sim, happening))
            sim_node_link (sim, node, happening->peer, happening->up);
        break;
    case SIM_DISK:
        if (reaches && happening->value == node->disk.batch_writing) /* else it was waited for */
            sim_disk_synced (sim, node);
        break;
    case SIM_SNAPSHOT:
        if (reaches)
            sim_node_snapshot (sim, node, happening->data, happening->len);
        break;
    case SIM_SENT:
        if (reaches)
            sim_node_snapshot_sent (sim, node, happening->data);
        break;
    case SIM_CLIENT:
        if (clients)
            ask (sim, happening->value);
        else
            sim_queue_push (&sim->queue, (struct sim_happening){
                                             .time_us = sim->time_us + 20 * 1000,
                                             .kind = SIM_CLIENT,
                                             .value = happening->value,
                                         });
        break;
    case SIM_FAULT:
        sim_fault_next (sim);
        break;
    case SIM_RESTART:
        if (!node->alive && sim->chaos)
            sim_node_start (sim, node);
        break;
    case SIM_STRIKE:
        if (reaches)
            sim_fault_strike (sim, node);
        break;
    case SIM_ASKED:
        if (reaches)
            sim_engine_packet (sim, node,
                (struct sim_packet){.data = happening->data, .len = happening->len, .client = happening->peer});
        else
            sim_front_calls_lost (sim, bytes_of (happening->data, happening->len));
        if (reaches)
            happening->data = NULL; /* taken over */
        break;
    case SIM_ANSWERED:
        sim_front_answered (
            sim, happening->node, happening->value, happening->peer, bytes_of (happening->data, happening->len));
        break;
    case SIM_ADMIN:
        sim_admin_next (sim);
        break;
    }
    free (happening->data);
}

void sim_run_until (struct sim *sim, uint64_t until_us, bool clients)
{
    struct sim_happening happening;
    while (sim->queue.count > 0 && sim->queue.heap[0].time_us <= until_us) {
        bool some = sim_queue_pop (&sim->queue, &happening);
        maitre_assert (some);
        happen (sim, &happening, clients);
    }
    sim->time_us = until_us;
}

/* What everybody thinks of a shard, for whoever looks into a failure. */
static void describe (struct sim *sim, uint32_t shard)
{
    for (uint32_t n = 1; n <= sim->nodes_count; n++)
        for (size_t i = 0; i < sim->nodes[n].replicas_count; i++) {
            struct sim_replica *replica = sim->nodes[n].replicas[i];
            if (replica->shard != shard)
                continue;
            struct raft_status s;
            raft_status (replica->raft, &s);
            sim_trace (sim,
                "%u.%u replica %lu role %d term %lu leader %lu snapshot %lu applied %lu commit %lu persisted %lu last "
                "%lu/%lu suspect %d members %u",
                n, shard, (unsigned long) replica->replica, (int) s.role, (unsigned long) s.term,
                (unsigned long) s.leader, (unsigned long) s.snapshot_index, (unsigned long) s.applied,
                (unsigned long) s.commit, (unsigned long) s.persisted_index, (unsigned long) s.last_index,
                (unsigned long) s.last_term, s.suspect, raft_configuration (replica->raft)->count);
        }
}

/* Every member of the leader's configuration that lives holds and has applied what the leader has, and is trusted. */
static bool settled (struct sim *sim, uint32_t shard, uint64_t beyond)
{
    struct sim_replica *leader = sim_find_leader (sim, shard);
    if (!leader || sim->changes[shard].running || sim->wiped[shard] != 0)
        return false;
    struct raft_status status;
    raft_status (leader->raft, &status);
    const struct raft_configuration *members = raft_configuration (leader->raft);
    bool behind = status.applied != status.last_index && sim->cut_from == 0;
    if (behind || status.applied <= beyond || raft_configuration_joint (members))
        return false;
    for (uint32_t i = 0; i < members->count; i++) {
        struct sim_node *node = &sim->nodes[members->members[i].node];
        struct sim_replica *replica = sim_node_find (node, members->members[i].replica);
        if (!node->alive || node->index == sim->cut_from || node->index == sim->cut_to)
            continue;
        if (!replica || replica->machine.applied != status.applied)
            return false;
        struct raft_status member;
        raft_status (replica->raft, &member);
        if (member.suspect)
            return false;
    }
    return true;
}

static void require_convergence (struct sim *sim)
{
    uint64_t beyond[SIM_SHARDS_MAX];
    for (uint32_t shard = 0; shard < sim->shards_count; shard++)
        beyond[shard] = sim->oracle.groups[shard].completed_index;
    uint64_t bound_us = sim->time_us + SETTLE_US;
    for (;;) {
        uint32_t done = 0;
        while (done < sim->shards_count && settled (sim, done, beyond[done]))
            done++;
        if (done == sim->shards_count)
            return;
        if (sim->time_us > bound_us) {
            describe (sim, done);
            sim_fail (sim, "shard %u does not settle after everything healed", done);
        }
        /* Clients go on until every shard has moved, then the rest must catch up. */
        bool moved = sim->oracle.groups[done].completed_index > beyond[done];
        sim_run_until (sim, sim->time_us + 100 * 1000, !moved);
    }
}

/* A healthy cluster keeps its leaders. */
static void require_calm (struct sim *sim)
{
    /* Leaderships go to rank 0; and a shard whose small log is full of what is not written back yet may lose its leader. */
    bool balances = sim->options.services && (sim->families & (SIM_TRANSFER | SIM_SMALL));
    uint64_t before = sim->oracle.counts.elections;
    sim_run_until (sim, sim->time_us + 3000 * 1000, false);
    if (before != sim->oracle.counts.elections && !balances)
        sim_fail (sim, "an election although nothing happened");
}

static void close_all (struct sim *sim)
{
    for (uint32_t n = 1; n <= sim->nodes_count; n++) {
        struct sim_node *node = &sim->nodes[n];
        while (node->replicas_count > 0)
            sim_node_drop_replica (sim, node, node->replicas[0]->replica);
        if (node->engine)
            sim_engine_close (sim, node);
        free (node->replicas);
        sim_disk_close (&node->disk);
    }
    sim_shard_clients_close (sim);
    sim_queue_close (&sim->queue);
    sim_oracle_close (&sim->oracle);
    raft_effects_close (&sim->effects);
    gossip_effects_destroy (&sim->gossip_effects);
    free (sim->ops);
    free (sim->replica_nodes);
    free (sim->voted_terms);
    free (sim->voted_for);
}

uint64_t sim_run (const struct sim_options *options, struct sim_result *result)
{
    struct sim *sim = malloc (sizeof *sim);
    maitre_assert (sim != NULL);
    setup (sim, options);
    sim_run_until (sim, options->duration_ms * 1000, true);
    sim_fault_heal (sim);
    uint64_t healed_us = sim->time_us;
    require_convergence (sim);
    uint64_t settled_us = sim->time_us;
    require_calm (sim);
    sim_phase_deaf (sim);
    sim_bounds_silence (sim);
    sim_bounds_kill (sim);
    sim_phase_forget (sim);
    sim_phase_restart (sim);
    for (uint32_t n = 1; sim->options.services && n <= sim->nodes_count; n++)
        for (size_t i = 0; i < sim->nodes[n].replicas_count; i++)
            sim_shard_final (sim, sim->nodes[n].replicas[i]);
    sim_trace (sim, "settled after %lu elections, %lu writes, %lu reads", (unsigned long) sim->oracle.counts.elections,
        (unsigned long) sim->oracle.counts.writes, (unsigned long) sim->oracle.counts.reads);
    uint64_t hash = sim->hash;
    if (result)
        *result = (struct sim_result){
            .counts = sim->oracle.counts,
            .simulated_us = sim->time_us,
            .settle_us = settled_us - healed_us,
            .noticed_us = sim->noticed_us_max,
            .silent_us = sim->silent_us_max,
            .families = sim->families,
            .nodes = sim->nodes_count,
            .shards = sim->shards_count,
        };
    close_all (sim);
    free (sim);
    return hash;
}
