#include "router/route/route.h"

#include "schemas/runtime/assert.h"

_Static_assert(ROUTE_RETRY_ELECTION_MS <= ROUTE_RETRY_UNREACHABLE_MS, "an election is over before a link is back");

enum route_need route_need_of (enum method_class class, bool stale_ok)
{
    switch (class) {
    case METHOD_LOCAL:
        return ROUTE_NEED_NOTHING;
    case METHOD_WRITE:
    case METHOD_SYSTEM_WRITE:
        return ROUTE_NEED_LEADER;
    case METHOD_READ:
    case METHOD_SYSTEM_READ:
    case METHOD_FANOUT:
        return stale_ok ? ROUTE_NEED_REPLICA : ROUTE_NEED_LEADER;
    }
    maitre_assert (!"a method class that routing does not know");
    return ROUTE_NEED_LEADER;
}

static bool reachable (const struct route_map *map, uint32_t self, uint32_t node)
{
    maitre_assert (node <= ROUTE_NODES_MAX);
    return node != 0 && node != self && map->link_up[node];
}

/* The attempt-th reachable replica, around the end; 0 when there is none. The first guess is the preferred leader. */
static uint32_t guess_replica (
    const struct route_map *map, uint32_t self, const struct route_shard *shard, uint32_t attempt)
{
    maitre_assert (shard->replicas_count <= ROUTE_REPLICAS_MAX);
    uint32_t candidates[ROUTE_REPLICAS_MAX], count = 0;
    for (uint32_t i = 0; i < shard->replicas_count; i++)
        if (reachable (map, self, shard->replicas[i].node))
            candidates[count++] = shard->replicas[i].node;
    maitre_assert (count <= shard->replicas_count);
    return count == 0 ? 0 : candidates[attempt % count];
}

static struct route_decision forward_to (uint32_t node)
{
    maitre_assert (node != 0);
    return (struct route_decision){.verdict = ROUTE_FORWARD, .node = node};
}

static struct route_decision unavailable (uint32_t retry_after_ms)
{
    maitre_assert (retry_after_ms > 0);
    return (struct route_decision){.verdict = ROUTE_UNAVAILABLE, .retry_after_ms = retry_after_ms};
}

/* Somebody else leads, or nobody. */
static struct route_decision decide_leader (
    const struct route_map *map, uint32_t self, const struct route_shard *shard, const struct route_request *request)
{
    /* A hint that names this node is stale: the engine knows better. */
    uint32_t leader = shard->leader_node == self ? 0 : shard->leader_node;
    maitre_assert (leader != self);
    bool refuse = request->hops >= ROUTE_HOPS_MAX || (request->self_routing && leader != 0);
    if (refuse)
        return (struct route_decision){
            .verdict = ROUTE_NOT_LEADER,
            .node = leader,
            .term = shard->leader_term,
            .retry_after_ms = leader == 0 ? ROUTE_RETRY_ELECTION_MS : 0,
        };
    if (reachable (map, self, leader))
        return forward_to (leader);
    if (leader != 0)
        return unavailable (ROUTE_RETRY_UNREACHABLE_MS);
    /* A replica here that knows no leader is in the middle of an election: the others know no more. A node without one
     * asks the replicas in turn; the answer carries a hint. */
    if (request->replica_here)
        return unavailable (ROUTE_RETRY_ELECTION_MS);
    maitre_assert (!request->leads_here);
    maitre_assert (request->hops < ROUTE_HOPS_MAX);
    uint32_t guess = guess_replica (map, self, shard, request->attempt);
    return guess != 0 ? forward_to (guess) : unavailable (ROUTE_RETRY_UNREACHABLE_MS);
}

static struct route_decision decide_replica (
    const struct route_map *map, uint32_t self, const struct route_shard *shard, const struct route_request *request)
{
    if (request->replica_here)
        return (struct route_decision){.verdict = ROUTE_ANSWER_HERE};
    if (request->hops >= ROUTE_HOPS_MAX)
        return unavailable (ROUTE_RETRY_UNREACHABLE_MS);
    maitre_assert (request->hops < ROUTE_HOPS_MAX);
    uint32_t guess = guess_replica (map, self, shard, request->attempt);
    return guess != 0 ? forward_to (guess) : unavailable (ROUTE_RETRY_UNREACHABLE_MS);
}

struct route_decision route_decide (const struct route_map *map, uint32_t self, const struct route_request *request)
{
    maitre_assert (self >= 1);
    maitre_assert (self <= ROUTE_NODES_MAX);
    maitre_assert (!request->leads_here || request->replica_here);
    if (request->need == ROUTE_NEED_NOTHING)
        return (struct route_decision){.verdict = ROUTE_ANSWER_HERE};
    const struct route_shard *shard = route_map_shard (map, request->shard);
    if (shard == NULL)
        return (struct route_decision){.verdict = ROUTE_UNKNOWN_SHARD};
    if (request->leads_here)
        return (struct route_decision){.verdict = ROUTE_ANSWER_HERE};
    if (request->need == ROUTE_NEED_REPLICA)
        return decide_replica (map, self, shard, request);
    return decide_leader (map, self, shard, request);
}
