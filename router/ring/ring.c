#include "router/ring/ring.h"

#include <stdlib.h>

#include "router/ring/ring_internal.h"
#include "schemas/runtime/assert.h"

_Static_assert(RING_REPLICATION_MAX <= RING_MEMBERS_MAX, "each replica has a member of its own");
_Static_assert(RING_REPLICATION_DEFAULT <= RING_REPLICATION_MAX, "the default is one that may be asked for");

/* Clockwise, the first member that stands in a zone used less than `zone_uses_max` times and has room; the emptiest of
 * them when none has room: zones protect data, the bound only balances. work->count: the zones are used up. */
static uint32_t choose_replica (const struct ring_work *work, const uint32_t *order,
    const struct ring_placement *placement, const uint32_t *zone_uses, uint32_t zone_uses_max)
{
    maitre_assert (zone_uses_max >= 1);
    uint32_t emptiest = work->count;
    for (uint32_t i = 0; i < work->count; i++) {
        uint32_t member = order[i];
        maitre_assert (member < work->count);
        if (ring_work_holds (placement, member) || zone_uses[work->zone[member]] >= zone_uses_max)
            continue;
        if (work->load[member] < work->load_max[member])
            return member;
        if (emptiest == work->count ||
            ring_work_fuller (work, emptiest, work->load[emptiest], member, work->load[member]))
            emptiest = member;
    }
    return emptiest;
}

/* Places one shard; nodes[] are indexes into work until translate_members. */
static void place_shard (struct ring_work *work, const uint32_t *order, struct ring_placement *placement)
{
    maitre_assert (placement->count == 0);
    maitre_assert (work->replicas <= RING_REPLICATION_MAX);
    uint32_t zone_uses[RING_MEMBERS_MAX] = {0};
    uint32_t zone_uses_max = 1;
    while (placement->count < work->replicas) {
        uint32_t member = choose_replica (work, order, placement, zone_uses, zone_uses_max);
        if (member == work->count) {
            zone_uses_max++;
            maitre_assert (zone_uses_max <= work->replicas);
            continue;
        }
        placement->nodes[placement->count++] = member;
        zone_uses[work->zone[member]]++;
        work->load[member]++;
    }
    maitre_assert (placement->count == work->replicas);
}

static void translate_members (const struct ring_work *work, struct ring_placement *placements)
{
    for (uint32_t s = 0; s < work->shards; s++)
        for (uint32_t r = 0; r < placements[s].count; r++) {
            maitre_assert (placements[s].nodes[r] < work->count);
            placements[s].nodes[r] = work->members[placements[s].nodes[r]]->node;
        }
}

enum status ring_build (const struct ring_member *members, size_t members_count, uint32_t shard_count,
    uint32_t replication, uint64_t epoch, struct ring *ring)
{
    memset (ring, 0, sizeof *ring);
    struct ring_work work;
    enum status status = ring_work_init (&work, members, members_count, shard_count, replication);
    if (status != STATUS_OK)
        return status;
    size_t points_count = 0;
    struct ring_point *points = ring_points_new (&work, &points_count);
    struct ring_placement *placements = calloc (work.shards, sizeof *placements);
    if (points == NULL || placements == NULL) {
        free (points);
        free (placements);
        return STATUS_RESOURCE_EXHAUSTED;
    }
    maitre_assert (work.shards == shard_count + 1);
    maitre_assert (points_count >= work.count);
    uint32_t order[RING_MEMBERS_MAX];
    for (uint32_t s = 0; s < work.shards; s++) {
        ring_points_order (&work, points, points_count, s, order);
        place_shard (&work, order, &placements[s]);
    }
    free (points);
    ring_balance_load (&work, placements);
    if (!ring_leaders_spread (&work, placements)) {
        free (placements);
        return STATUS_RESOURCE_EXHAUSTED;
    }
    translate_members (&work, placements);
    *ring =
        (struct ring){.epoch = epoch, .shard_count = shard_count, .replication = replication, .placements = placements};
    return STATUS_OK;
}

void ring_close (struct ring *ring)
{
    free (ring->placements);
    memset (ring, 0, sizeof *ring);
}

const struct ring_placement *ring_placement_of (const struct ring *ring, uint32_t shard)
{
    maitre_assert (ring->placements != NULL);
    maitre_assert (shard <= ring->shard_count);
    return &ring->placements[shard];
}

uint32_t ring_moved_replicas (const struct ring *from, const struct ring *to)
{
    maitre_assert (from->shard_count == to->shard_count);
    uint32_t moved = 0;
    for (uint32_t s = 0; s <= to->shard_count; s++)
        for (uint32_t r = 0; r < to->placements[s].count; r++)
            moved += !ring_work_holds (&from->placements[s], to->placements[s].nodes[r]);
    maitre_assert (moved <= (to->shard_count + 1) * RING_REPLICATION_MAX);
    return moved;
}

static uint32_t index_of_node (const struct ring_work *work, uint32_t node)
{
    maitre_assert (node != 0);
    uint32_t i = 0;
    while (i < work->count && work->members[i]->node != node)
        i++;
    return i;
}

/* Node numbers back to indexes, asserting the first two invariants on the way. */
static void check_placement (const struct ring_work *work, struct ring_placement *placement)
{
    maitre_assert (placement->count == work->replicas);
    for (uint32_t r = 0; r < placement->count; r++) {
        uint32_t member = index_of_node (work, placement->nodes[r]);
        maitre_assert (member < work->count);
        placement->nodes[r] = member;
        for (uint32_t earlier = 0; earlier < r; earlier++)
            maitre_assert (placement->nodes[earlier] != member);
    }
    uint32_t zones_wanted = work->zones_count < work->replicas ? work->zones_count : work->replicas;
    maitre_assert (ring_work_zones_of (work, placement) == zones_wanted);
}

void ring_check (const struct ring *ring, const struct ring_member *members, size_t members_count)
{
    struct ring_work work;
    enum status status = ring_work_init (&work, members, members_count, ring->shard_count, ring->replication);
    maitre_assert (status == STATUS_OK);
    struct ring_placement *placements = calloc (work.shards, sizeof *placements);
    if (placements == NULL)
        return;
    for (uint32_t s = 0; s < work.shards; s++) {
        placements[s] = ring->placements[s];
        check_placement (&work, &placements[s]);
        for (uint32_t r = 0; r < placements[s].count; r++)
            work.load[placements[s].nodes[r]]++;
    }
    uint32_t shard, replica, member;
    bool relievable = ring_balance_find (&work, placements, &shard, &replica, &member);
    maitre_assert (!relievable);
    maitre_assert (work.replicas <= RING_REPLICATION_MAX);
    bool even = true;
    bool searched = ring_leaders_even (&work, placements, &even);
    maitre_assert (even || !searched);
    free (placements);
}
