/* The bound on a member's load, where the clockwise walk alone could not hold it.
 *
 * The walk skips full members while others have room; the last few shards can still find only full ones. Where a member
 * above its bound and one below it differ, some shard has the first and not the second, so single exchanges always
 * suffice unless zones forbid them.
 */
#include "router/ring/ring_internal.h"

#include "schemas/runtime/assert.h"

static bool exchange_keeps_zones (
    const struct ring_work *work, const struct ring_placement *placement, uint32_t replica, uint32_t member)
{
    maitre_assert (replica < placement->count);
    maitre_assert (member < work->count);
    maitre_assert (!ring_work_holds (placement, member));
    struct ring_placement after = *placement;
    after.nodes[replica] = member;
    return ring_work_zones_of (work, &after) >= ring_work_zones_of (work, placement);
}

/* The emptiest member with room that could stand in for `replica`, or work->count. */
static uint32_t find_stand_in (const struct ring_work *work, const struct ring_placement *placement, uint32_t replica)
{
    maitre_assert (replica < placement->count);
    uint32_t best = work->count;
    for (uint32_t i = 0; i < work->count; i++) {
        if (work->load[i] >= work->load_max[i] || ring_work_holds (placement, i))
            continue;
        if (best < work->count && !ring_work_fuller (work, best, work->load[best], i, work->load[i]))
            continue;
        if (exchange_keeps_zones (work, placement, replica, i))
            best = i;
    }
    maitre_assert (best == work->count || work->load[best] < work->load_max[best]);
    return best;
}

bool ring_balance_find (const struct ring_work *work, const struct ring_placement *placements, uint32_t *shard,
    uint32_t *replica, uint32_t *member)
{
    for (uint32_t s = 0; s < work->shards; s++) {
        for (uint32_t r = 0; r < placements[s].count; r++) {
            uint32_t holder = placements[s].nodes[r];
            if (work->load[holder] <= work->load_max[holder])
                continue;
            uint32_t stand_in = find_stand_in (work, &placements[s], r);
            if (stand_in == work->count)
                continue;
            maitre_assert (stand_in < work->count);
            maitre_assert (stand_in != holder);
            *shard = s;
            *replica = r;
            *member = stand_in;
            return true;
        }
    }
    return false;
}

void ring_balance_load (struct ring_work *work, struct ring_placement *placements)
{
    uint32_t shard, replica, member;
    uint32_t exchanges_left = work->shards * work->replicas; /* each takes one off the sum of what is too much */
    while (ring_balance_find (work, placements, &shard, &replica, &member)) {
        maitre_assert (exchanges_left > 0);
        exchanges_left--;
        maitre_assert (work->load[placements[shard].nodes[replica]] > work->load_max[placements[shard].nodes[replica]]);
        maitre_assert (work->load[member] < work->load_max[member]);
        work->load[placements[shard].nodes[replica]]--;
        work->load[member]++;
        placements[shard].nodes[replica] = member;
    }
}
