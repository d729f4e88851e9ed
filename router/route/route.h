/* How a request finds its shard's leader: the shard map, leader hints, and forward-or-answer.
 *
 * Room: router/route, pure. The map is a cache of hints: a wrong one costs a hop or a NOT_LEADER, never a wrong answer,
 * because only a Raft leader answers. Ownership: the caller owns `struct route_map` (route_map_init/route_map_close).
 * Thread safety: none; the reactor's thread alone.
 *
 * Invariants (route_map_check):
 * 1. A shard's leader hint is replaced only by one of a greater term; within a term it may be filled in or forgotten.
 * 2. Replica ids of one shard are distinct and not 0; nodes of one shard are distinct and in 1..ROUTE_NODES_MAX.
 * 3. The epoch never goes back.
 */
#ifndef MAITRED_ROUTER_ROUTE_ROUTE_H
#define MAITRED_ROUTER_ROUTE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/runtime/method.h"
#include "schemas/runtime/status.h"

#define ROUTE_NODES_MAX 256
#define ROUTE_REPLICAS_MAX 9 /* seven, and two more while a change is under way */
#define ROUTE_SHARDS_MAX 4096
#define ROUTE_HOPS_MAX 1
#define ROUTE_RETRY_ELECTION_MS 20    /* nobody is known to lead: an election usually takes less than 100 ms */
#define ROUTE_RETRY_UNREACHABLE_MS 50 /* a leader is known and no link to it is up */

struct route_replica {
    uint64_t replica; /* replica id, never reused, not 0 */
    uint32_t node;
};

struct route_shard {
    uint32_t replicas_count;
    struct route_replica replicas[ROUTE_REPLICAS_MAX]; /* [0] is the preferred leader */
    uint32_t leader_node;                              /* 0: nobody known in leader_term */
    uint64_t leader_term;
};

struct route_map {
    uint32_t shard_count; /* user shards; shards[] has one more */
    uint64_t epoch;
    struct route_shard *shards;
    bool link_up[ROUTE_NODES_MAX + 1]; /* by node index */
};

/* Starts an empty map: no replicas, no hints, epoch 0, all links down.
 * INVALID_ARGUMENT: shard_count not in 1..ROUTE_SHARDS_MAX. RESOURCE_EXHAUSTED: no memory. Close it after OK. */
WARN_UNUSED enum status route_map_init (struct route_map *map, uint32_t shard_count);
void route_map_close (struct route_map *map);

/* Replaces a shard's replicas (from the committed map). A hint that names a node outside of them is forgotten.
 * INVALID_ARGUMENT: shard beyond the count, too many replicas, one twice, node or replica 0 or out of range. */
WARN_UNUSED enum status route_map_set_shard (
    struct route_map *map, uint32_t shard, const struct route_replica *replicas, size_t replicas_count);

/* Notes the epoch of the committed map. FAILED_PRECONDITION: older than the one at hand; nothing changes. */
WARN_UNUSED enum status route_map_set_epoch (struct route_map *map, uint64_t epoch);

/* Learns that `node` leads `shard` in `term` (from gossip, a NOT_LEADER reply, or the own replica); node 0 means that
 * nobody is known to lead in that term. True when the map changed. Older terms, unknown shards and nodes that hold no
 * replica are ignored: these are bytes from elsewhere. */
bool route_map_hint (struct route_map *map, uint32_t shard, uint32_t node, uint64_t term);

/* `node` itself said that it does not lead `shard`: forgets a hint that names it, unless that hint is newer than
 * `term`. True when the map changed. */
bool route_map_denied (struct route_map *map, uint32_t shard, uint32_t node, uint64_t term);

/* Peer link to a node came up or went down. Nodes out of range are ignored. */
void route_map_link (struct route_map *map, uint32_t node, bool up);

const struct route_shard *route_map_shard (const struct route_map *map, uint32_t shard); /* NULL beyond the count */
void route_map_check (const struct route_map *map);

/* ---- the decision */

enum route_need {
    ROUTE_NEED_NOTHING, /* the entry node answers by itself */
    ROUTE_NEED_LEADER,  /* writes, linearizable reads; one part of a fan-out */
    ROUTE_NEED_REPLICA, /* a bounded-stale read: any replica will do */
};

/* What a method of that class needs of one shard; `stale_ok`: the caller asked for a bounded-stale read. */
enum route_need route_need_of (enum method_class class, bool stale_ok);

struct route_request {
    enum route_need need;
    uint32_t shard;
    uint32_t hops;     /* forwards behind this request: 0 straight from a client */
    uint32_t attempt;  /* tries of this node so far: rotates the guess when no leader is known */
    bool self_routing; /* the client follows leader hints by itself: tell it rather than forward */
    bool leads_here;   /* the own replica of the shard is its leader (the engine knows) */
    bool replica_here; /* there is an own live replica of the shard */
};

enum route_verdict {
    ROUTE_ANSWER_HERE,
    ROUTE_FORWARD,       /* to `node`, hops + 1 */
    ROUTE_NOT_LEADER,    /* refuse; `node` and `term` are the hint, node 0 when there is none */
    ROUTE_UNAVAILABLE,   /* refuse with `retry_after_ms` */
    ROUTE_UNKNOWN_SHARD, /* the shard number is beyond the map: INVALID_ARGUMENT for the caller */
};

struct route_decision {
    enum route_verdict verdict;
    uint32_t node;
    uint64_t term;
    uint32_t retry_after_ms;
};

/* Decides where a request goes. `self` is the own node index. Never forwards to `self`, over a link that is down, or
 * a request that was forwarded ROUTE_HOPS_MAX times. */
struct route_decision route_decide (const struct route_map *map, uint32_t self, const struct route_request *request);

#endif
