#include "router/ring/ring_internal.h"

#include "schemas/runtime/assert.h"

static bool member_valid (const struct ring_member *member)
{
    return member->node != 0 && !id_is_zero (&member->uuid) && member->weight >= 1 &&
           member->weight <= RING_WEIGHT_MAX && member->zone.len <= RING_ZONE_BYTES_MAX;
}

/* Insertion sort by uuid: at most 256 members, and no library sort in a pure room. */
static void sort_members (struct ring_work *work)
{
    for (uint32_t i = 1; i < work->count; i++) {
        const struct ring_member *member = work->members[i];
        uint32_t j = i;
        for (; j > 0 && id_compare (&work->members[j - 1]->uuid, &member->uuid) > 0; j--)
            work->members[j] = work->members[j - 1];
        work->members[j] = member;
    }
    maitre_assert (work->count < 2 || id_compare (&work->members[0]->uuid, &work->members[work->count - 1]->uuid) <= 0);
}

static bool members_distinct (const struct ring_work *work)
{
    for (uint32_t i = 0; i < work->count; i++) {
        if (i > 0 && id_equal (&work->members[i - 1]->uuid, &work->members[i]->uuid))
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (work->members[i]->node == work->members[j]->node)
                return false;
    }
    return true;
}

static void number_zones (struct ring_work *work)
{
    for (uint32_t i = 0; i < work->count; i++) {
        uint32_t j = 0;
        /* Without a zone a member stands alone: operators who name none want no restriction. */
        while (
            j < i && (work->members[i]->zone.len == 0 || !bytes_equal (work->members[i]->zone, work->members[j]->zone)))
            j++;
        work->zone[i] = j < i ? work->zone[j] : work->zones_count++;
        maitre_assert (work->zone[i] < work->zones_count);
    }
    maitre_assert (work->zones_count >= 1);
    maitre_assert (work->zones_count <= work->count);
}

static void bound_loads (struct ring_work *work)
{
    uint64_t weights = 0;
    for (uint32_t i = 0; i < work->count; i++)
        weights += work->members[i]->weight;
    maitre_assert (weights >= work->count);
    maitre_assert (weights <= (uint64_t) work->count * RING_WEIGHT_MAX);
    uint64_t total = (uint64_t) work->shards * work->replicas;
    for (uint32_t i = 0; i < work->count; i++) {
        uint64_t share = total * work->members[i]->weight * 5; /* 1.25 x the mean, in quarters, rounded up */
        uint64_t bound = (share + weights * 4 - 1) / (weights * 4);
        work->load_max[i] = bound < work->shards ? (uint32_t) bound : work->shards;
        maitre_assert (work->load_max[i] <= work->shards);
        maitre_assert (work->load_max[i] >= 1);
    }
}

enum status ring_work_init (struct ring_work *work, const struct ring_member *members, size_t members_count,
    uint32_t shard_count, uint32_t replication)
{
    memset (work, 0, sizeof *work);
    if (members_count < 1 || members_count > RING_MEMBERS_MAX || shard_count < 1 || shard_count > RING_SHARDS_MAX ||
        replication < 1 || replication > RING_REPLICATION_MAX)
        return STATUS_INVALID_ARGUMENT;
    work->count = (uint32_t) members_count;
    for (uint32_t i = 0; i < work->count; i++) {
        if (!member_valid (&members[i]))
            return STATUS_INVALID_ARGUMENT;
        work->members[i] = &members[i];
    }
    sort_members (work);
    if (!members_distinct (work))
        return STATUS_INVALID_ARGUMENT;
    work->replicas = replication < work->count ? replication : work->count;
    work->shards = shard_count + 1;
    maitre_assert (work->replicas >= 1);
    maitre_assert (work->replicas <= work->count);
    number_zones (work);
    bound_loads (work);
    return STATUS_OK;
}

bool ring_work_fuller (const struct ring_work *work, uint32_t a, uint64_t load_a, uint32_t b, uint64_t load_b)
{
    maitre_assert (a < work->count);
    maitre_assert (b < work->count);
    return load_a * work->members[b]->weight > load_b * work->members[a]->weight;
}

bool ring_work_holds (const struct ring_placement *placement, uint32_t member)
{
    maitre_assert (placement->count <= RING_REPLICATION_MAX);
    for (uint32_t i = 0; i < placement->count; i++)
        if (placement->nodes[i] == member)
            return true;
    return false;
}

uint32_t ring_work_zones_of (const struct ring_work *work, const struct ring_placement *placement)
{
    uint32_t zones = 0;
    for (uint32_t i = 0; i < placement->count; i++) {
        maitre_assert (placement->nodes[i] < work->count);
        uint32_t j = 0;
        while (j < i && work->zone[placement->nodes[j]] != work->zone[placement->nodes[i]])
            j++;
        zones += j == i;
    }
    maitre_assert (zones <= placement->count);
    maitre_assert (zones <= work->zones_count);
    return zones;
}
