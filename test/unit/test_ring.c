/* Placement by consistent hashing: balance, zones, little movement, the same answer everywhere. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "router/ring/ring.h"
#include "schemas/runtime/placement_hash.h"

#define SHARDS 64

static struct id uuid_of (uint64_t cluster, uint64_t member)
{
    struct id uuid;
    bytes_put_u64 (uuid.b, siphash24 (cluster, member, BYTES_LITERAL ("high")));
    bytes_put_u64 (uuid.b + 8, siphash24 (cluster, member, BYTES_LITERAL ("low")));
    return uuid;
}

/* Members 1..count of a cluster, in `zones` zones (0: none named), of weight 1. */
static void make_members (struct ring_member *members, uint64_t cluster, uint32_t count, uint32_t zones)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    for (uint32_t i = 0; i < count; i++)
        members[i] = (struct ring_member){
            .node = i + 1,
            .uuid = uuid_of (cluster, i),
            .zone = zones == 0 ? (struct bytes){0} : bytes_text (names[i % zones]),
            .weight = 1,
        };
}

static void build (const struct ring_member *members, uint32_t count, struct ring *ring)
{
    assert_int_equal (ring_build (members, count, SHARDS, RING_REPLICATION_DEFAULT, 7, ring), STATUS_OK);
    ring_check (ring, members, count);
}

static void count_loads (const struct ring *ring, uint32_t *held, uint32_t *led)
{
    memset (held, 0, (RING_MEMBERS_MAX + 1) * sizeof *held);
    memset (led, 0, (RING_MEMBERS_MAX + 1) * sizeof *led);
    for (uint32_t s = 0; s <= SHARDS; s++) {
        const struct ring_placement *placement = ring_placement_of (ring, s);
        led[placement->nodes[0]]++;
        for (uint32_t r = 0; r < placement->count; r++)
            held[placement->nodes[r]]++;
    }
}

static void test_ring__has_as_many_replicas_as_there_are_nodes (void **state)
{
    (void) state;
    for (uint32_t count = 1; count <= 7; count++) {
        struct ring_member members[7];
        make_members (members, 1, count, 0);
        struct ring ring;
        build (members, count, &ring);
        assert_int_equal (ring.epoch, 7);
        for (uint32_t s = 0; s <= SHARDS; s++)
            assert_int_equal (ring_placement_of (&ring, s)->count, count < 3 ? count : 3);
        ring_close (&ring);
    }
}

/* Every cluster moves its data when these change: they never may. */
static void test_ring__golden_placements (void **state)
{
    (void) state;
    static const uint32_t expected[][3] = {
        {4, 5, 2}, {1, 5, 3}, {1, 3, 4}, {1, 4, 3}, {2, 5, 1}, {3, 4, 1}, {3, 5, 1}, {3, 5, 1}};
    struct ring_member members[5];
    make_members (members, 42, 5, 0);
    struct ring ring;
    build (members, 5, &ring);
    for (uint32_t s = 0; s < 8; s++)
        for (uint32_t r = 0; r < 3; r++)
            assert_int_equal (ring_placement_of (&ring, s)->nodes[r], expected[s][r]);
    uint64_t sum = 0;
    for (uint32_t s = 0; s <= SHARDS; s++)
        for (uint32_t r = 0; r < 3; r++)
            sum = sum * 31 + ring_placement_of (&ring, s)->nodes[r];
    assert_int_equal (sum, UINT64_C (0x7238a94315baf1f8));
    ring_close (&ring);
}

static void test_ring__ignores_member_order_and_epoch (void **state)
{
    (void) state;
    for (uint32_t count = 2; count <= 9; count++) {
        struct ring_member members[9], reversed[9];
        make_members (members, count, count, 3);
        for (uint32_t i = 0; i < count; i++)
            reversed[i] = members[count - 1 - i];
        struct ring a, b;
        build (members, count, &a);
        assert_int_equal (ring_build (reversed, count, SHARDS, 3, 8, &b), STATUS_OK);
        for (uint32_t s = 0; s <= SHARDS; s++)
            assert_memory_equal (ring_placement_of (&a, s), ring_placement_of (&b, s), sizeof (struct ring_placement));
        ring_close (&a);
        ring_close (&b);
    }
}

static void test_ring__bounds_load_and_evens_leaders (void **state)
{
    (void) state;
    static const uint32_t counts[] = {1, 2, 3, 4, 5, 7, 8, 13};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (uint64_t cluster = 0; cluster < 20; cluster++) {
            uint32_t count = counts[i];
            struct ring_member members[13];
            make_members (members, cluster, count, 0);
            struct ring ring;
            build (members, count, &ring);
            uint32_t held[RING_MEMBERS_MAX + 1], led[RING_MEMBERS_MAX + 1];
            count_loads (&ring, held, led);
            uint32_t replicas = (SHARDS + 1) * (count < 3 ? count : 3);
            uint32_t held_max = (replicas * 5 + count * 4 - 1) / (count * 4);
            for (uint32_t node = 1; node <= count; node++) {
                assert_in_range (held[node], 1, held_max);
                if (count <= 8) /* with more nodes, a node may hold too few replicas to lead its part */
                    assert_in_range (led[node], (SHARDS + 1) / count, (SHARDS + count) / count);
            }
            ring_close (&ring);
        }
    }
}

static void test_ring__spreads_replicas_over_zones (void **state)
{
    (void) state;
    for (uint32_t zones = 1; zones <= 5; zones++) {
        for (uint32_t count = zones; count <= 12; count++) {
            struct ring_member members[12];
            make_members (members, count, count, zones);
            struct ring ring;
            build (members, count, &ring);
            for (uint32_t s = 0; s <= SHARDS; s++) {
                const struct ring_placement *placement = ring_placement_of (&ring, s);
                uint32_t uses[5] = {0}, seen = 0;
                for (uint32_t r = 0; r < placement->count; r++)
                    seen += uses[(placement->nodes[r] - 1) % zones]++ == 0;
                assert_int_equal (seen, zones < placement->count ? zones : placement->count);
            }
            ring_close (&ring);
        }
    }
}

/* One node alone in the third zone holds a replica of everything: zones come before the bound. */
static void test_ring__prefers_zones_to_the_load_bound (void **state)
{
    (void) state;
    struct ring_member members[7];
    make_members (members, 3, 7, 2);
    members[6].zone = BYTES_LITERAL ("c");
    struct ring ring;
    build (members, 7, &ring);
    uint32_t held[RING_MEMBERS_MAX + 1], led[RING_MEMBERS_MAX + 1];
    count_loads (&ring, held, led);
    assert_int_equal (held[7], SHARDS + 1);
    ring_close (&ring);
}

/* Where zones forbid much, the walk alone overfills some nodes in every third cluster; exchanges mend it. */
static void test_ring__relieves_the_overfull (void **state)
{
    (void) state;
    for (uint64_t cluster = 0; cluster < 60; cluster++) {
        struct ring_member members[6];
        make_members (members, cluster, 6, 4);
        struct ring ring;
        build (members, 6, &ring);
        uint32_t held[RING_MEMBERS_MAX + 1], led[RING_MEMBERS_MAX + 1];
        count_loads (&ring, held, led);
        for (uint32_t node = 1; node <= 6; node++)
            assert_in_range (held[node], 1, 41); /* ceil (1.25 * 195 / 6) */
        ring_close (&ring);
    }
}

static void test_ring__follows_weights (void **state)
{
    (void) state;
    struct ring_member members[6];
    make_members (members, 5, 6, 0);
    members[0].weight = 3;
    struct ring ring;
    build (members, 6, &ring);
    uint32_t held[RING_MEMBERS_MAX + 1], led[RING_MEMBERS_MAX + 1];
    count_loads (&ring, held, led);
    for (uint32_t node = 2; node <= 6; node++) {
        assert_true (held[1] > held[node]);
        assert_true (led[1] >= led[node]);
        assert_in_range (held[node], 1, 31); /* ceil (1.25 * 195 / 8) */
    }
    ring_close (&ring);
}

/* A join and a leave move about 1/n of the replicas: 1.2/n on average, never 2/n. */
static void test_ring__moves_little (void **state)
{
    (void) state;
    enum { CLUSTERS = 40 };
    for (uint32_t count = 3; count <= 8; count++) {
        uint64_t moved_in = 0, moved_out = 0;
        uint64_t replicas = (SHARDS + 1) * 3;
        for (uint64_t cluster = 0; cluster < CLUSTERS; cluster++) {
            struct ring_member members[9];
            make_members (members, 1000 + cluster, count + 1, 0);
            struct ring before, after;
            build (members, count, &before);
            build (members, count + 1, &after);
            uint32_t in = ring_moved_replicas (&before, &after);
            uint32_t out = ring_moved_replicas (&after, &before);
            assert_true (in > 0 && in * (count + 1) < 2 * replicas);
            assert_true (out > 0 && out * (count + 1) < 2 * replicas);
            moved_in += in;
            moved_out += out;
            ring_close (&before);
            ring_close (&after);
        }
        assert_true (moved_in * (count + 1) * 5 <= CLUSTERS * replicas * 6);
        assert_true (moved_out * (count + 1) * 5 <= CLUSTERS * replicas * 6);
    }
}

static void test_ring__refuses_wrong_members (void **state)
{
    (void) state;
    struct ring_member members[3];
    struct ring ring;
    make_members (members, 1, 3, 0);
    assert_int_equal (ring_build (members, 0, SHARDS, 3, 1, &ring), STATUS_INVALID_ARGUMENT);
    assert_null (ring.placements);
    assert_int_equal (ring_build (members, 3, 0, 3, 1, &ring), STATUS_INVALID_ARGUMENT);
    assert_int_equal (ring_build (members, 3, RING_SHARDS_MAX + 1, 3, 1, &ring), STATUS_INVALID_ARGUMENT);
    assert_int_equal (ring_build (members, 3, SHARDS, 0, 1, &ring), STATUS_INVALID_ARGUMENT);
    assert_int_equal (ring_build (members, 3, SHARDS, RING_REPLICATION_MAX + 1, 1, &ring), STATUS_INVALID_ARGUMENT);
    members[1].node = members[0].node;
    assert_int_equal (ring_build (members, 3, SHARDS, 3, 1, &ring), STATUS_INVALID_ARGUMENT);
    make_members (members, 1, 3, 0);
    members[2].uuid = members[0].uuid;
    assert_int_equal (ring_build (members, 3, SHARDS, 3, 1, &ring), STATUS_INVALID_ARGUMENT);
    make_members (members, 1, 3, 0);
    members[2].weight = 0;
    assert_int_equal (ring_build (members, 3, SHARDS, 3, 1, &ring), STATUS_INVALID_ARGUMENT);
    members[2].weight = RING_WEIGHT_MAX + 1;
    assert_int_equal (ring_build (members, 3, SHARDS, 3, 1, &ring), STATUS_INVALID_ARGUMENT);
    make_members (members, 1, 3, 0);
    members[0].zone = BYTES_LITERAL ("a zone name that is far too long.");
    assert_int_equal (ring_build (members, 3, SHARDS, 3, 1, &ring), STATUS_INVALID_ARGUMENT);
}

static void test_ring__serves_the_largest_cluster (void **state)
{
    (void) state;
    static struct ring_member members[RING_MEMBERS_MAX];
    make_members (members, 9, RING_MEMBERS_MAX, 3);
    struct ring ring;
    assert_int_equal (ring_build (members, RING_MEMBERS_MAX, 1024, RING_REPLICATION_MAX, 1, &ring), STATUS_OK);
    ring_check (&ring, members, RING_MEMBERS_MAX);
    ring_close (&ring);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_ring__has_as_many_replicas_as_there_are_nodes),
        cmocka_unit_test (test_ring__golden_placements),
        cmocka_unit_test (test_ring__ignores_member_order_and_epoch),
        cmocka_unit_test (test_ring__bounds_load_and_evens_leaders),
        cmocka_unit_test (test_ring__spreads_replicas_over_zones),
        cmocka_unit_test (test_ring__prefers_zones_to_the_load_bound),
        cmocka_unit_test (test_ring__relieves_the_overfull),
        cmocka_unit_test (test_ring__follows_weights),
        cmocka_unit_test (test_ring__moves_little),
        cmocka_unit_test (test_ring__refuses_wrong_members),
        cmocka_unit_test (test_ring__serves_the_largest_cluster),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
