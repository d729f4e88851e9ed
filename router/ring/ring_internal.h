/* What the files of this room share while one ring is built.
 *
 * Room: router/ring, pure. Lives only inside ring_build and ring_check.
 */
#ifndef MAITRED_ROUTER_RING_INTERNAL_H
#define MAITRED_ROUTER_RING_INTERNAL_H

#include "router/ring/ring.h"

/* Members in the order of their uuids, which is the only order anything here depends on. */
struct ring_work {
    const struct ring_member *members[RING_MEMBERS_MAX];
    uint32_t zone[RING_MEMBERS_MAX]; /* equal zones, equal numbers; below zones_count */
    uint32_t load[RING_MEMBERS_MAX]; /* replicas held so far */
    uint32_t load_max[RING_MEMBERS_MAX];
    uint32_t count;
    uint32_t zones_count;
    uint32_t replicas; /* of each shard: min (replication, count) */
    uint32_t shards;   /* the system shard included */
};

/* A virtual node. */
struct ring_point {
    uint64_t hash;
    uint32_t member; /* index into ring_work */
};

/* Checks the members, sorts them, numbers their zones and computes their bounds. INVALID_ARGUMENT as ring_build. */
WARN_UNUSED enum status ring_work_init (struct ring_work *work, const struct ring_member *members, size_t members_count,
    uint32_t shard_count, uint32_t replication);

/* True when member a, holding load_a, is relatively fuller than member b holding load_b. */
bool ring_work_fuller (const struct ring_work *work, uint32_t a, uint64_t load_a, uint32_t b, uint64_t load_b);

/* How many zones the replicas of a placement (member indexes) stand in. */
uint32_t ring_work_zones_of (const struct ring_work *work, const struct ring_placement *placement);

bool ring_work_holds (const struct ring_placement *placement, uint32_t member);

/* Makes the sorted points of all members. NULL: no memory. The caller frees. */
struct ring_point *ring_points_new (const struct ring_work *work, size_t *points_count);

/* Lists all members clockwise from a shard's point, each once. Pre: room for work->count. */
void ring_points_order (const struct ring_work *work, const struct ring_point *points, size_t points_count,
    uint32_t shard, uint32_t *order);

/* Exchanges single replicas until no member is above its bound that an exchange could relieve. */
void ring_balance_load (struct ring_work *work, struct ring_placement *placements);

/* Finds an exchange that relieves a member above its bound: false when there is none. */
bool ring_balance_find (const struct ring_work *work, const struct ring_placement *placements, uint32_t *shard,
    uint32_t *replica, uint32_t *member);

/* Moves the leader of each shard to the front, as evenly as the replicas allow. False: no memory. */
WARN_UNUSED bool ring_leaders_spread (const struct ring_work *work, struct ring_placement *placements);

/* Whether no chain of hand-overs could make the leaders more even. False: no memory, *even is not set. */
WARN_UNUSED bool ring_leaders_even (const struct ring_work *work, const struct ring_placement *placements, bool *even);

#endif
