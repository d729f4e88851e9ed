/* Where the replicas are before anything was moved: from the written configuration, the same on all nodes. */
#include "node/engine/engine_internal.h"

/* Replica ids of the first placement follow from the configuration, so that all nodes found the same groups. */
static uint64_t first_replica_id (const struct engine *engine, uint32_t shard, uint32_t position)
{
    return 1 + (uint64_t) shard * engine->config.replication + position;
}

/* Nodes that never met must compute the same ring: their points come from the cluster id and their number. */
static struct id ring_point (const struct engine *engine, uint32_t node)
{
    struct id id = engine->config.nodes.cluster;
    for (int i = 0; i < 4; i++)
        id.b[ID_SIZE - 1 - i] ^= (uint8_t) (node >> (8 * i));
    return id;
}

bool engine_map_build (struct engine *engine, struct engine_error *error)
{
    const struct cluster_nodes *nodes = &engine->config.nodes;
    struct ring_member members[CLUSTER_NODES_MAX];
    for (uint32_t i = 0; i < nodes->node_count; i++)
        members[i] = (struct ring_member){
            .node = i + 1, .uuid = ring_point (engine, i + 1), .zone = bytes_text (nodes->nodes[i].zone), .weight = 1};
    struct ring ring;
    enum status built = route_map_init (&engine->map, engine->config.shards);
    if (built == STATUS_OK)
        built = ring_build (members, nodes->node_count, engine->config.shards, engine->config.replication, 1, &ring);
    if (built == STATUS_RESOURCE_EXHAUSTED)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "out of memory for the ring: give the node more");
    if (built != STATUS_OK)
        return engine_fail (error, ENGINE_EXIT_CONFIG,
            "the ring cannot be built from the configuration: check shards, replication and nodes.conf");
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        const struct ring_placement *placement = ring_placement_of (&ring, shard);
        struct route_replica replicas[ROUTE_REPLICAS_MAX];
        for (uint32_t i = 0; i < placement->count; i++)
            replicas[i] =
                (struct route_replica){.replica = first_replica_id (engine, shard, i), .node = placement->nodes[i]};
        enum status status = route_map_set_shard (&engine->map, shard, replicas, placement->count);
        maitre_assert (status == STATUS_OK);
    }
    ring_close (&ring);
    enum status status = route_map_set_epoch (&engine->map, 1);
    maitre_assert (status == STATUS_OK);
    return true;
}

void engine_first_configuration (const struct engine *engine, uint32_t shard, struct raft_configuration *members)
{
    const struct route_shard *route = route_map_shard (&engine->map, shard);
    *members = (struct raft_configuration){0};
    for (uint32_t i = 0; i < route->replicas_count; i++) {
        struct raft_member member = {.replica = route->replicas[i].replica,
            .node = route->replicas[i].node,
            .rank = (uint8_t) i,
            .roles = RAFT_VOTER};
        bool set = raft_configuration_set (members, member);
        maitre_assert (set);
    }
}
