/* What a log keeps behind the write-back, and what that is for: who was away for a moment is fed from it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/shard_world.h"

#define ROUND_MS 30000
#define PLENTY (UINT64_C (1) << 40)

static struct shard_world world, *const w = &world;
static struct id offer;

static int set_up (void **state)
{
    (void) state;
    shard_world_init (w, NULL);
    offer = shard_world_offer (w, 100000);
    return 0;
}

static int tear_down (void **state)
{
    (void) state;
    shard_world_close (w);
    return 0;
}

static void book (uint32_t count)
{
    uint32_t leader = shard_world_elect (w);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t token = shard_world_book (w, leader, &offer, i % 100, RESERVE_MODE_BOOK, NULL);
        assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
    }
}

static uint64_t cut_at (struct shard_log_keep *keep, uint64_t written, uint64_t bytes, uint64_t now_ms)
{
    return shard_log_cut (w->nodes[shard_world_leader (w)].shard, keep, written, bytes, ROUND_MS, now_ms);
}

static void test_shard_log__keeps_a_round_more_than_it_must (void **state)
{
    (void) state;
    struct shard_log_keep keep = {0};
    book (10);
    uint64_t first = shard_world_status (w, shard_world_leader (w)).applied_index;
    assert_int_equal (cut_at (&keep, first, PLENTY, 100000), 0);
    book (10);
    uint64_t second = shard_world_status (w, shard_world_leader (w)).applied_index;
    /* Rounds that come quickly, because there is much to write, do not cut more. */
    for (uint64_t ms = 1000; ms < ROUND_MS; ms += 1000)
        assert_int_equal (cut_at (&keep, second, PLENTY, 100000 + ms), 0);
    assert_int_equal (cut_at (&keep, second, PLENTY, 100000 + ROUND_MS), first);
    assert_int_equal (cut_at (&keep, second, PLENTY, 100000 + 2 * ROUND_MS), second);
}

static void test_shard_log__keeps_no_more_bytes_than_it_may (void **state)
{
    (void) state;
    book (50);
    const struct shard *core = w->nodes[shard_world_leader (w)].shard;
    struct shard_status status = shard_world_status (w, shard_world_leader (w));
    assert_int_equal (shard_log_bytes (core, 0), status.log_bytes);
    assert_int_equal (shard_log_bytes (core, status.last_index), 0);
    assert_int_equal (shard_log_bytes (core, PLENTY), 0);
    for (uint64_t bytes = 0; bytes <= status.log_bytes; bytes += status.log_bytes / 7) {
        struct shard_log_keep keep = {0};
        uint64_t cut = cut_at (&keep, status.applied_index, bytes, 1);
        assert_true (shard_log_bytes (core, cut) <= bytes);
        assert_true (cut == 0 || shard_log_bytes (core, cut - 1) > bytes);
    }
    struct shard_log_keep keep = {0};
    assert_int_equal (cut_at (&keep, 5, 0, 1), 5); /* but never beyond what is written back */
}

/* A follower misses 40 bookings while the leader writes everything back. How many chunks it takes to bring it up. */
static uint64_t come_back (uint64_t bytes_kept)
{
    uint32_t leader = shard_world_elect (w), away = leader % 3 + 1;
    shard_world_isolate (w, away, true);
    book (40);
    uint64_t chunks_before = w->chunks_sent;
    for (uint32_t node = 1; node <= 3; node++) {
        struct shard_log_keep keep = {.rolled_ms = 1};
        uint64_t applied = shard_world_status (w, node).applied_index;
        if (node == away)
            continue;
        uint64_t cut = shard_log_cut (w->nodes[node].shard, &keep, applied, bytes_kept, ROUND_MS, 2);
        shard_world_write_back (w, node, applied - cut);
        assert_true (shard_world_status (w, node).snapshot_index >= cut);
    }
    shard_world_settle (w);
    return w->chunks_sent - chunks_before;
}

static void test_shard_log__leader_counts_who_would_be_missed (void **state)
{
    (void) state;
    book (20);
    uint32_t leader = shard_world_elect (w), away = leader % 3 + 1, other = 6 - leader - away;
    shard_world_run (w, 200);
    assert_int_equal (shard_voters_behind (w->nodes[leader].shard, 0), 0);
    shard_world_isolate (w, away, true); /* silent: no link breaks */
    book (20);
    shard_world_run (w, 200);
    assert_int_equal (shard_voters_behind (w->nodes[leader].shard, 10), 1);
    assert_int_equal (shard_voters_behind (w->nodes[leader].shard, 1000), 0);
    assert_int_equal (shard_voters_behind (w->nodes[other].shard, 0), 0); /* does not lead */
    shard_world_settle (w);
    shard_world_run (w, 200);
    assert_int_equal (shard_voters_behind (w->nodes[shard_world_leader (w)].shard, 0), 0);
}

static void test_shard_log__feeds_who_was_away_for_a_moment (void **state)
{
    (void) state;
    assert_int_equal (come_back (1 << 20), 0);
}

static void test_shard_log__who_was_away_for_longer_gets_a_snapshot (void **state)
{
    (void) state;
    assert_true (come_back (100) > 0);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (test_shard_log__keeps_a_round_more_than_it_must, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_log__keeps_no_more_bytes_than_it_may, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_log__leader_counts_who_would_be_missed, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_log__feeds_who_was_away_for_a_moment, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_log__who_was_away_for_longer_gets_a_snapshot, set_up, tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
