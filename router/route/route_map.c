#include "router/route/route.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"

_Static_assert(ROUTE_REPLICAS_MAX <= ROUTE_NODES_MAX, "each replica has a node of its own");

enum status route_map_init (struct route_map *map, uint32_t shard_count)
{
    memset (map, 0, sizeof *map);
    if (shard_count < 1 || shard_count > ROUTE_SHARDS_MAX)
        return STATUS_INVALID_ARGUMENT;
    map->shards = calloc ((size_t) shard_count + 1, sizeof *map->shards);
    if (map->shards == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    map->shard_count = shard_count;
    maitre_assert (map->shard_count >= 1);
    return STATUS_OK;
}

void route_map_close (struct route_map *map)
{
    free (map->shards);
    memset (map, 0, sizeof *map);
}

static struct route_shard *find_shard (const struct route_map *map, uint32_t shard)
{
    maitre_assert (map->shards != NULL);
    return shard <= map->shard_count ? &map->shards[shard] : NULL;
}

static bool holds (const struct route_shard *shard, uint32_t node)
{
    maitre_assert (shard->replicas_count <= ROUTE_REPLICAS_MAX);
    for (uint32_t i = 0; i < shard->replicas_count; i++)
        if (shard->replicas[i].node == node)
            return true;
    return false;
}

static bool replicas_valid (const struct route_replica *replicas, size_t count)
{
    if (count > ROUTE_REPLICAS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (replicas[i].node < 1 || replicas[i].node > ROUTE_NODES_MAX || replicas[i].replica == 0)
            return false;
        for (size_t j = 0; j < i; j++)
            if (replicas[i].node == replicas[j].node || replicas[i].replica == replicas[j].replica)
                return false;
    }
    return true;
}

enum status route_map_set_shard (
    struct route_map *map, uint32_t shard, const struct route_replica *replicas, size_t replicas_count)
{
    struct route_shard *entry = find_shard (map, shard);
    if (entry == NULL || !replicas_valid (replicas, replicas_count))
        return STATUS_INVALID_ARGUMENT;
    memset (entry->replicas, 0, sizeof entry->replicas);
    if (replicas_count > 0)
        memcpy (entry->replicas, replicas, replicas_count * sizeof *replicas);
    entry->replicas_count = (uint32_t) replicas_count;
    if (!holds (entry, entry->leader_node))
        entry->leader_node = 0;
    maitre_assert (entry->leader_node == 0 || holds (entry, entry->leader_node));
    maitre_assert (entry->replicas_count <= ROUTE_REPLICAS_MAX);
    return STATUS_OK;
}

enum status route_map_set_epoch (struct route_map *map, uint64_t epoch)
{
    maitre_assert (map->shards != NULL);
    if (epoch < map->epoch)
        return STATUS_FAILED_PRECONDITION;
    map->epoch = epoch;
    return STATUS_OK;
}

bool route_map_hint (struct route_map *map, uint32_t shard, uint32_t node, uint64_t term)
{
    struct route_shard *entry = find_shard (map, shard);
    if (entry == NULL || term < entry->leader_term)
        return false;
    if (node != 0 && !holds (entry, node))
        return false;
    /* Within a term only the blank is filled: one leader per term, and a late "nobody" must not wipe it out. */
    if (term == entry->leader_term && (node == 0 || entry->leader_node != 0))
        return false;
    maitre_assert (node <= ROUTE_NODES_MAX);
    maitre_assert (term > entry->leader_term || node != 0);
    entry->leader_term = term;
    entry->leader_node = node;
    return true;
}

bool route_map_denied (struct route_map *map, uint32_t shard, uint32_t node, uint64_t term)
{
    struct route_shard *entry = find_shard (map, shard);
    if (entry == NULL || node == 0 || entry->leader_node != node || entry->leader_term > term)
        return false;
    maitre_assert (holds (entry, node));
    entry->leader_node = 0;
    return true;
}

void route_map_link (struct route_map *map, uint32_t node, bool up)
{
    if (node >= 1 && node <= ROUTE_NODES_MAX)
        map->link_up[node] = up;
}

const struct route_shard *route_map_shard (const struct route_map *map, uint32_t shard)
{
    return find_shard (map, shard);
}

void route_map_check (const struct route_map *map)
{
    maitre_assert (map->shard_count >= 1 && map->shard_count <= ROUTE_SHARDS_MAX);
    maitre_assert (!map->link_up[0]);
    for (uint32_t s = 0; s <= map->shard_count; s++) {
        const struct route_shard *shard = &map->shards[s];
        maitre_assert (replicas_valid (shard->replicas, shard->replicas_count));
        maitre_assert (shard->leader_node == 0 || holds (shard, shard->leader_node));
    }
}
