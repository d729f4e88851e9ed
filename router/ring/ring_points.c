#include "router/ring/ring_internal.h"

#include <stdlib.h>

#include "schemas/runtime/assert.h"
#include "schemas/runtime/placement_hash.h"

_Static_assert(
    RING_MEMBERS_MAX *RING_WEIGHT_MAX *RING_VNODES_PER_WEIGHT <= 1 << 20, "all points fit some tens of megabytes");

static uint64_t point_hash (const struct id *uuid, uint32_t vnode)
{
    uint8_t name[ID_SIZE + 4];
    memcpy (name, uuid->b, ID_SIZE);
    bytes_put_u32 (name + ID_SIZE, vnode);
    return siphash24_joined (0, 0, BYTES_LITERAL ("n:"), bytes_of (name, sizeof name));
}

static uint64_t shard_hash (uint32_t shard)
{
    uint8_t name[4];
    bytes_put_u32 (name, shard);
    return siphash24_joined (0, 0, BYTES_LITERAL ("s:"), bytes_of (name, sizeof name));
}

/* Radix sort, byte by byte: stable, so equal hashes stay in the order of the uuids. `spare` is as large as `points`. */
static void sort_points (struct ring_point *points, struct ring_point *spare, size_t count)
{
    for (unsigned shift = 0; shift < 64; shift += 8) {
        size_t starts[257] = {0};
        for (size_t i = 0; i < count; i++)
            starts[((points[i].hash >> shift) & 0xff) + 1]++;
        for (unsigned value = 0; value < 256; value++)
            starts[value + 1] += starts[value];
        for (size_t i = 0; i < count; i++)
            spare[starts[(points[i].hash >> shift) & 0xff]++] = points[i];
        struct ring_point *sorted = spare;
        spare = points;
        points = sorted;
    }
    /* Eight passes are an even number: the result is where it began. */
    maitre_assert (count < 2 || points[0].hash <= points[count - 1].hash);
}

struct ring_point *ring_points_new (const struct ring_work *work, size_t *points_count)
{
    size_t count = 0;
    for (uint32_t i = 0; i < work->count; i++)
        count += (size_t) work->members[i]->weight * RING_VNODES_PER_WEIGHT;
    maitre_assert (count > 0);
    maitre_assert (count <= (size_t) RING_MEMBERS_MAX * RING_WEIGHT_MAX * RING_VNODES_PER_WEIGHT);
    struct ring_point *points = malloc (2 * count * sizeof *points);
    if (points == NULL)
        return NULL;
    size_t next = 0;
    for (uint32_t i = 0; i < work->count; i++)
        for (uint32_t vnode = 0; vnode < work->members[i]->weight * RING_VNODES_PER_WEIGHT; vnode++)
            points[next++] = (struct ring_point){.hash = point_hash (&work->members[i]->uuid, vnode), .member = i};
    maitre_assert (next == count);
    sort_points (points, points + count, count);
    *points_count = count;
    return points;
}

/* The first point at or after a hash, around the end. */
static size_t first_point (const struct ring_point *points, size_t count, uint64_t hash)
{
    maitre_assert (count > 0);
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (points[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    maitre_assert (low == count || points[low].hash >= hash);
    return low % count;
}

void ring_points_order (
    const struct ring_work *work, const struct ring_point *points, size_t points_count, uint32_t shard, uint32_t *order)
{
    maitre_assert (points_count > 0);
    maitre_assert (shard < work->shards);
    bool seen[RING_MEMBERS_MAX] = {false};
    uint32_t found = 0;
    size_t at = first_point (points, points_count, shard_hash (shard));
    for (size_t step = 0; step < points_count && found < work->count; step++) {
        uint32_t member = points[(at + step) % points_count].member;
        maitre_assert (member < work->count);
        if (seen[member])
            continue;
        seen[member] = true;
        order[found++] = member;
    }
    maitre_assert (found == work->count);
}
