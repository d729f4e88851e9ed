/* Which nodes should hold which shard: consistent hashing with virtual nodes, bounded load and zones.
 *
 * Room: router/ring, pure. A function of its arguments alone: the order of the members does not matter, every node
 * computes the same. Ownership: the caller owns `struct ring`; what ring_build puts into it goes with ring_close.
 * Thread safety: none shared; one struct per thread, or read-only.
 * Source: Karger et al. 1997 (consistent hashing); Mirrokni, Thorup, Zadimoghaddam 2018 (bounded loads);
 * Harvey et al. 2003, "Semi-matchings for bipartite graphs" (even leaders).
 *
 * Invariants (ring_check):
 * 1. Every placement has min (replication, members) replicas, all distinct, all of them members.
 * 2. Replicas of a shard stand in as many zones as there are, up to the number of replicas.
 * 3. A node holds at most ceil (1.25 x its weighted mean) replicas, unless no exchange of one replica that keeps 1 and
 * 2 could relieve it.
 * 4. Leaderships (nodes[0]) are as even, relative to the weights, as any reordering of the replicas can make them.
 */
#ifndef MAITRED_ROUTER_RING_RING_H
#define MAITRED_ROUTER_RING_RING_H

#include <stddef.h>
#include <stdint.h>

#include "schemas/runtime/bytes.h"
#include "schemas/runtime/ids.h"
#include "schemas/runtime/status.h"

#define RING_MEMBERS_MAX 256
#define RING_SHARDS_MAX 4096 /* user shards */
#define RING_REPLICATION_MAX 7
#define RING_REPLICATION_DEFAULT 3
#define RING_ZONE_BYTES_MAX 32
#define RING_WEIGHT_MAX 16
#define RING_VNODES_PER_WEIGHT 128

struct ring_member {
    uint32_t node;     /* position in the configuration, 1.. */
    struct id uuid;    /* the node's points on the ring come from this */
    struct bytes zone; /* borrowed during ring_build; empty: a zone of its own */
    uint32_t weight;   /* 1..RING_WEIGHT_MAX */
};

/* The desired replicas of one shard: nodes[0] should lead, the others follow in clockwise order. */
struct ring_placement {
    uint32_t count;
    uint32_t nodes[RING_REPLICATION_MAX];
};

struct ring {
    uint64_t epoch;                    /* of the member list this was built from; does not influence the placements */
    uint32_t shard_count;              /* user shards; placements has one more */
    uint32_t replication;              /* wanted */
    struct ring_placement *placements; /* [0 .. shard_count]: [0] is the system shard */
};

/* Builds the placements of shards 0..shard_count over the members.
 * INVALID_ARGUMENT: no or too many members, node or uuid twice, node 0, a zone or weight out of bounds, shard_count not
 * in 1..RING_SHARDS_MAX, replication not in 1..RING_REPLICATION_MAX. RESOURCE_EXHAUSTED: no memory. On OK the caller
 * closes `ring`; otherwise it is left zeroed. */
WARN_UNUSED enum status ring_build (const struct ring_member *members, size_t members_count, uint32_t shard_count,
    uint32_t replication, uint64_t epoch, struct ring *ring);

/* Frees what ring_build made; a zeroed or closed ring is fine. */
void ring_close (struct ring *ring);

/* The placement of a shard. Pre: shard <= ring->shard_count. Borrowed from the ring. */
const struct ring_placement *ring_placement_of (const struct ring *ring, uint32_t shard);

/* Replicas that `to` has and `from` has not: what a change of members would move. Pre: equal shard counts. */
uint32_t ring_moved_replicas (const struct ring *from, const struct ring *to);

/* Asserts the invariants above against the members the ring was built from. */
void ring_check (const struct ring *ring, const struct ring_member *members, size_t members_count);

#endif
