/* A simulated node's life, and its turn: the order in which the engine's reactor does things. */
#include "test/sim/sim_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/ring/ring.h"

#define DISK_CHECK_MS 100

uint64_t sim_engine_wall_ms (const struct sim *sim, const struct sim_node *node)
{
    return (uint64_t) ((int64_t) sim_shard_wall_ms (sim) + node->wall_offset_ms);
}

/* ---- addresses ---- */

void sim_engine_endpoint (uint32_t node, enum sim_port port, char text[SIM_ENDPOINT_SIZE])
{
    int len = snprintf (text, SIM_ENDPOINT_SIZE, "tcp://10.0.0.%u:%d", node, (int) port);
    maitre_assert (len > 0 && len < SIM_ENDPOINT_SIZE);
}

uint32_t sim_engine_node_at (const struct sim *sim, enum sim_port port, struct bytes endpoint)
{
    for (uint32_t node = 1; node <= sim->nodes_count; node++) {
        char text[SIM_ENDPOINT_SIZE];
        sim_engine_endpoint (node, port, text);
        if (bytes_equal (endpoint, bytes_text (text)))
            return node;
    }
    sim_fail (sim, "%.*s is an address that no node ever had", (int) endpoint.len, (const char *) endpoint.data);
}

/* ---- the first placement ---- */

void sim_engine_found (struct sim *sim)
{
    struct ring_member members[SIM_NODES_MAX];
    struct ring ring;
    for (uint32_t n = 1; n <= sim->nodes_count; n++) {
        struct id point = sim->cluster;
        point.b[ID_SIZE - 1] ^= (uint8_t) n;
        members[n - 1] = (struct ring_member){.node = n, .uuid = point, .weight = 1};
    }
    enum status status = ring_build (members, sim->nodes_count, sim->shards_count - 1, sim->voters, 1, &ring);
    maitre_assert (status == STATUS_OK);
    ring_check (&ring, members, sim->nodes_count);
    for (uint32_t shard = 0; shard < sim->shards_count; shard++) {
        const struct ring_placement *placement = ring_placement_of (&ring, shard);
        struct raft_configuration configuration = {0};
        for (uint32_t i = 0; i < placement->count; i++) {
            uint32_t node = placement->nodes[i];
            struct raft_member member = {
                .replica = sim_new_replica (sim, node), .node = node, .rank = (uint8_t) i, .roles = RAFT_VOTER};
            sim->first[shard][i] = member;
            bool fits = raft_configuration_set (&configuration, member);
            maitre_assert (fits);
        }
        sim->first_count[shard] = placement->count;
        for (uint32_t i = 0; i < configuration.count; i++) {
            struct sim_node *node = &sim->nodes[configuration.members[i].node];
            sim_disk_create (node, shard, configuration.members[i].replica, &configuration);
        }
    }
    ring_close (&ring);
}

/* ---- life ---- */

void sim_engine_open (struct sim *sim, struct sim_node *node)
{
    struct sim_engine *engine = calloc (1, sizeof *engine);
    maitre_assert (engine != NULL);
    engine->sim = sim;
    engine->node = node;
    node->engine = engine;
    sim_front_open (engine);
    enum status status = route_map_init (&engine->map, sim->shards_count - 1);
    for (uint32_t n = 1; n <= sim->nodes_count; n++) {
        outbox_init (&engine->now[n]);
        outbox_init (&engine->bulk[n]);
    }
    for (uint32_t shard = 0; status == STATUS_OK && shard < sim->shards_count; shard++)
        status = sim_engine_map (engine, shard);
    maitre_assert (status == STATUS_OK);
    sim_engine_gossip_open (engine, sim_node_now_ms (sim, node));
}

void sim_engine_close (struct sim *sim, struct sim_node *node)
{
    struct sim_engine *engine = node->engine;
    for (size_t i = 0; i < engine->packets_count; i++) {
        if (engine->packets[i].client != 0)
            sim_front_calls_lost (sim, bytes_of (engine->packets[i].data, engine->packets[i].len));
        free (engine->packets[i].data);
    }
    sim_engine_calls_lost (engine);
    sim_front_close (engine);
    for (uint32_t n = 1; n <= sim->nodes_count; n++) {
        outbox_close (&engine->now[n]);
        outbox_close (&engine->bulk[n]);
    }
    route_map_close (&engine->map);
    gossip_destroy (&engine->gossip);
    free (engine->packets);
    free (engine->calls);
    free (engine);
    node->engine = NULL;
}

enum status sim_engine_map (struct sim_engine *engine, uint32_t shard)
{
    struct route_replica replicas[ROUTE_REPLICAS_MAX];
    uint32_t count = engine->sim->first_count[shard];
    for (uint32_t i = 0; i < count; i++)
        replicas[i] = (struct route_replica){
            .replica = engine->sim->first[shard][i].replica, .node = engine->sim->first[shard][i].node};
    return route_map_set_shard (&engine->map, shard, replicas, count);
}

void sim_engine_packet (struct sim *sim, struct sim_node *node, struct sim_packet packet)
{
    struct sim_engine *engine = node->engine;
    sim_grow (&engine->packets, &engine->packets_size, engine->packets_count, sizeof packet);
    engine->packets[engine->packets_count++] = packet;
    sim_node_wake (sim, node, 1 + sim_below (sim, 30));
}

/* ---- a turn ---- */

static void link_changed (struct sim_engine *engine, uint32_t peer, bool up, uint64_t now_ms)
{
    route_map_link (&engine->map, peer, up);
    if (!up) { /* what was not sent yet is gone with the connection */
        outbox_clear (&engine->now[peer]);
        outbox_clear (&engine->bulk[peer]);
    }
    for (size_t i = 0; i < engine->node->replicas_count; i++)
        sim_shard_step (engine->node->replicas[i],
            (struct shard_event){.type = SHARD_EVENT_LINK, .link = {.node = peer, .up = up}}, now_ms);
    if (up)
        return;
    sim_engine_calls_link_lost (engine, peer);
    sim_engine_gossip_link_down (engine, peer, now_ms);
}

static void take_packets (struct sim_engine *engine, uint64_t now_ms)
{
    struct sim_packet *packets = engine->packets;
    size_t count = engine->packets_count;
    engine->packets = NULL;
    engine->packets_count = engine->packets_size = 0;
    for (size_t i = 0; i < count; i++) {
        struct sim_packet *packet = &packets[i];
        if (packet->client != 0)
            sim_front_received (engine, packet->client, bytes_of (packet->data, packet->len), now_ms);
        else if (packet->data == NULL)
            link_changed (engine, packet->from, packet->up, now_ms);
        else if (packet->data[0] == SIM_PACKET_FRAME)
            sim_engine_frame (engine, bytes_of (packet->data + 1, packet->len - 1), now_ms);
        else
            sim_engine_gossip_received (engine, bytes_of (packet->data + 1, packet->len - 1), now_ms);
        free (packet->data);
    }
    free (packets);
}

/* Below the mark of free space a node hands over what it leads, takes no entries and no writes, and resumes at twice that. */
static void watch_disk (struct sim_engine *engine, uint64_t now_ms)
{
    if (now_ms < engine->disk_checked_ms + DISK_CHECK_MS)
        return;
    engine->disk_checked_ms = now_ms;
    struct sim_node *node = engine->node;
    bool full = engine->sim->time_us < node->disk_full_until_us;
    for (size_t i = 0; i < node->replicas_count; i++) {
        struct sim_replica *replica = node->replicas[i];
        if (full != engine->disk_full)
            shard_balance_set (replica->shard_core->core, !full && (engine->sim->families & SIM_TRANSFER));
        if (full && replica->shard_core->leader_node == node->index)
            sim_shard_step (replica, (struct shard_event){.type = SHARD_EVENT_TRANSFER}, now_ms);
    }
    if (full != engine->disk_full)
        sim_trace (engine->sim, "node %u: the disk is %s", node->index, full ? "nearly full" : "roomy again");
    engine->disk_full = full;
}

bool sim_engine_turn (struct sim *sim, struct sim_node *node, uint64_t now_ms)
{
    struct sim_engine *engine = node->engine;
    for (size_t i = 0; i < node->replicas_count; i++)
        sim_shard_inputs (sim, node->replicas[i], now_ms);
    take_packets (engine, now_ms);
    sim_engine_gossip_tick (engine, now_ms);
    sim_engine_calls_expire (engine, now_ms);
    watch_disk (engine, now_ms);
    sim_place_drive (engine, now_ms);
    for (size_t i = 0; i < node->replicas_count; i++) {
        struct sim_replica *replica = node->replicas[i];
        struct sim_shard *shard = replica->shard_core;
        if (now_ms >= sim_shard_deadline_ms (replica))
            sim_shard_step (replica, (struct shard_event){.type = SHARD_EVENT_TICK}, now_ms);
        if (shard->stepped && !sim_shard_turn (sim, replica, now_ms)) {
            if (sim_chance (sim, 2)) { /* what was handed to the network may be on its way */
                sim_engine_flush (engine);
                sim_front_flush (engine);
            }
            return false;
        }
    }
    sim_engine_flush (engine);
    sim_front_flush (engine);
    return true;
}

uint64_t sim_engine_deadline_ms (const struct sim_engine *engine, uint64_t now_ms)
{
    uint64_t deadline_ms = engine->gossip_next_ms;
    if (engine->calls_used > 0 && engine->calls_checked_ms + 20 < deadline_ms)
        deadline_ms = engine->calls_checked_ms + 20;
    bool full = engine->sim->time_us < engine->node->disk_full_until_us;
    if ((full || engine->disk_full) && now_ms + DISK_CHECK_MS < deadline_ms)
        deadline_ms = now_ms + DISK_CHECK_MS;
    return deadline_ms;
}
