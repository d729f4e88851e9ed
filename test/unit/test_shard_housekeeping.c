/* What a leader does for itself: holds that run out, old records, the bare time, and leadership where placement wants it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/shard_world.h"

#define HOLD_TTL_MS 5000

static struct shard_world world, *const w = &world;
static struct id offer;

static int set_up (void **state)
{
    (void) state;
    shard_world_init (w, NULL);
    offer = shard_world_offer (w, 10000);
    shard_world_run (w, 700); /* until the leader has noticed its followers */
    return 0;
}

static int set_up_balanced (void **state)
{
    (void) state;
    shard_world_init (w, &(struct shard_world_options){.balance = true});
    return 0;
}

static int tear_down (void **state)
{
    (void) state;
    shard_world_close (w);
    return 0;
}

/* One unit of bucket 5 for HOLD_TTL_MS; returns the token. */
static uint64_t hold (uint32_t node)
{
    struct principal who = world_principal (1000 + w->calls_count, ROLE_CUSTOMER);
    struct reserve_item item = world_item (&offer, 5, 1, 1);
    struct reserve_create_request request = {.reservation = world_id (&w->ids),
        .mode = RESERVE_MODE_HOLD,
        .items = &item,
        .items_count = 1,
        .has_hold_ttl_ms = true,
        .hold_ttl_ms = HOLD_TTL_MS};
    return shard_world_call (w, node, METHOD_NUMBER_RESERVE_CREATE, &who, NULL, &request);
}

static uint64_t held (uint32_t node)
{
    return shard_world_bucket (w, node, &offer, 5).held;
}

static unsigned expiries (uint32_t node)
{
    return shard_world_entries (w, node, LOG_KIND_EXPIRE);
}

static uint32_t other_leader (uint32_t not_this)
{
    for (unsigned i = 0; i < 10000; i++) {
        uint32_t leader = shard_world_leader (w);
        if (leader != 0 && leader != not_this)
            return leader;
        shard_world_run (w, 1);
    }
    fail_msg ("no other leader");
    return 0;
}

/* ---- holds */

static void test_shard_housekeeping__an_idle_shard_releases_a_hold_within_100_ms (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    unsigned before = expiries (leader);
    for (unsigned offset = 0; offset < 7; offset++) {
        shard_world_run (w, 400 + 13 * offset);
        assert_int_equal (shard_world_wait (w, hold (leader))->status, STATUS_OK);
        uint64_t made_ms = w->now_ms;
        assert_int_equal (held (leader), 1);
        shard_world_run (w, HOLD_TTL_MS - 10);
        assert_int_equal (held (leader), 1); /* not early */
        while (held (leader) != 0)
            shard_world_run (w, 1);
        assert_in_range (w->now_ms - made_ms, HOLD_TTL_MS - 5, HOLD_TTL_MS + 100);
        assert_int_equal (expiries (leader), before + offset + 1);
    }
    shard_world_settle (w);
}

static void test_shard_housekeeping__an_expiry_on_its_way_is_not_proposed_again (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    assert_int_equal (shard_world_wait (w, hold (leader))->status, STATUS_OK);
    shard_world_run (w, HOLD_TTL_MS - 50);
    uint64_t last = shard_world_status (w, leader).last_index;
    w->slow[leader % 3 + 1] = w->slow[(leader + 1) % 3 + 1] = true; /* no majority commits it */
    shard_world_run (w, 600);
    assert_int_equal (shard_world_status (w, leader).last_index, last + 1);
    assert_int_equal (held (leader), 1);
    w->slow[leader % 3 + 1] = w->slow[(leader + 1) % 3 + 1] = false;
    shard_world_run (w, 100);
    assert_int_equal (held (leader), 0);
    assert_int_equal (shard_world_status (w, leader).last_index, last + 1);
    shard_world_settle (w);
}

static void test_shard_housekeeping__an_old_leaders_expiry_does_not_count (void **state)
{
    (void) state;
    uint32_t old = shard_world_leader (w);
    assert_int_equal (shard_world_wait (w, hold (old))->status, STATUS_OK);
    uint64_t last = shard_world_status (w, old).last_index;
    shard_world_run (w, HOLD_TTL_MS - 50);
    w->no_links = true;
    shard_world_isolate (w, old, true);
    shard_world_run (w, 100); /* it proposes into the void */
    uint64_t void_term = shard_world_status (w, old).term;
    assert_int_equal (held (old), 1);
    uint32_t next = other_leader (old);
    while (held (next) != 0)
        shard_world_run (w, 1);
    shard_world_settle (w);
    unsigned found = 0; /* its own gave way to the new leader's */
    for (size_t i = 0; i < w->nodes[old].entries_count; i++) {
        struct log_entry entry;
        const struct raft_entry *raw = &w->nodes[old].entries[i];
        if (raw->index <= last || !shard_world_entry (w, old, raw->index, &entry) || entry.kind != LOG_KIND_EXPIRE)
            continue;
        assert_true (raw->term > void_term);
        found++;
    }
    assert_in_range (found, 1, 3); /* that one, and the bare time for those who hear a new leader */
}

/* A leader that was cut off had many entries in flight, and its expiry behind them. All of that is void: back in office, it
 * looks after what is due from the first entry on. */
static void test_shard_housekeeping__a_leader_that_returns_does_not_wait_for_its_old_expiry (void **state)
{
    (void) state;
    uint32_t old = shard_world_leader (w);
    assert_int_equal (shard_world_wait (w, hold (old))->status, STATUS_OK);
    shard_world_run (w, HOLD_TTL_MS - 50);
    w->no_links = true;
    shard_world_isolate (w, old, true);
    for (unsigned i = 0; i < 50; i++)
        hold (old);
    shard_world_run (w, 200);
    uint32_t next = other_leader (old);
    shard_world_run (w, 500);
    assert_int_equal (held (next), 0);
    shard_world_isolate (w, old, false);
    shard_world_run (w, 500);
    shard_world_event (w, next, (struct shard_event){.type = SHARD_EVENT_TRANSFER, .transfer_node = old});
    assert_int_equal (other_leader (next), old);
    assert_int_equal (shard_world_wait (w, hold (old))->status, STATUS_OK);
    shard_world_run (w, HOLD_TTL_MS + 100);
    assert_int_equal (shard_world_leader (w), old);
    assert_int_equal (held (old), 0);
    shard_world_settle (w);
}

static void test_shard_housekeeping__elections_do_not_lengthen_a_hold (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    assert_int_equal (shard_world_wait (w, hold (leader))->status, STATUS_OK);
    uint64_t made_ms = w->now_ms;
    for (unsigned i = 0; i < 4; i++) {
        shard_world_crash (w, leader);
        uint32_t next = other_leader (leader);
        shard_world_start (w, leader);
        shard_world_run (w, 1000);
        assert_int_equal (held (next), 1);
        leader = shard_world_leader (w);
    }
    while (held (shard_world_elect (w)) != 0)
        shard_world_run (w, 1);
    /* Each fail-over may lose the clock the time between the last stamp and its arrival, here some ms. */
    assert_in_range (w->now_ms - made_ms, HOLD_TTL_MS - 100, HOLD_TTL_MS + 200);
    shard_world_settle (w);
}

static void test_shard_housekeeping__many_due_holds_leave_in_several_entries (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    for (unsigned i = 0; i < 2500; i++) {
        hold (leader);
        if (i % 100 == 99)
            shard_world_run (w, 5);
    }
    shard_world_run (w, 100);
    assert_int_equal (held (leader), 2500);
    shard_world_run (w, HOLD_TTL_MS + 200);
    assert_int_equal (held (leader), 0);
    assert_in_range (expiries (leader), 3, 20);
    shard_world_settle (w);
}

static void test_shard_housekeeping__nothing_due_nothing_logged (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    assert_int_equal (shard_world_wait (w, hold (leader))->status, STATUS_OK);
    uint64_t last = shard_world_status (w, leader).last_index;
    shard_world_run (w, HOLD_TTL_MS - 100);
    assert_int_equal (shard_world_status (w, leader).last_index, last);
}

/* ---- the bare time */

static void test_shard_housekeeping__an_idle_shard_logs_the_time_once_a_minute (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    uint64_t last = shard_world_status (w, leader).last_index;
    w->step_ms = 10;
    shard_world_run (w, 59000);
    assert_int_equal (shard_world_status (w, leader).last_index, last);
    shard_world_run (w, 2000);
    assert_int_equal (shard_world_status (w, leader).last_index, last + 1);
    shard_world_run (w, 60 * 4000 + 1000);
    assert_int_equal (shard_world_status (w, leader).last_index, last + 5);
    struct log_entry entry;
    assert_true (shard_world_entry (w, leader, last + 5, &entry));
    assert_in_range (entry.time_ms, w->wall_ms + w->now_ms - 3000, w->wall_ms + w->now_ms);
    shard_world_settle (w);
}

static void test_shard_housekeeping__a_shard_that_was_never_used_logs_nothing (void **state)
{
    (void) state;
    shard_world_close (w);
    shard_world_init (w, NULL);
    uint32_t leader = shard_world_elect (w);
    w->step_ms = 10;
    shard_world_run (w, 200000);
    assert_int_equal (shard_world_status (w, leader).last_index, 1); /* the no-op */
}

static void test_shard_housekeeping__an_idle_leader_sleeps (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    shard_world_run (w, 1000);
    uint64_t turns = w->nodes[leader].turns, follower = w->nodes[leader % 3 + 1].turns;
    shard_world_run (w, 10000);
    /* The world's ticks are 100 a second, heartbeats and their answers 60, looking for what is due 2. */
    assert_true (w->nodes[leader].turns - turns < 10 * (100 + 60 + 10));
    assert_true (w->nodes[leader % 3 + 1].turns - follower < 10 * (100 + 20 + 10));
}

/* ---- balance */

static void crash_until_led_by (uint32_t wanted)
{
    for (unsigned i = 0; i < 30; i++) {
        uint32_t leader = shard_world_elect (w);
        if (leader == wanted)
            return;
        shard_world_event (w, leader, (struct shard_event){.type = SHARD_EVENT_TRANSFER, .transfer_node = wanted});
        shard_world_run (w, 300);
    }
    fail_msg ("node %u does not lead", wanted);
}

static void set_balance (bool balance)
{
    for (uint32_t node = 1; node <= 3; node++)
        shard_balance_set (w->nodes[node].shard, balance);
}

static void test_shard_housekeeping__leadership_goes_to_rank_0 (void **state)
{
    (void) state;
    crash_until_led_by (3);
    uint64_t led_ms = w->now_ms;
    while (shard_world_leader (w) != 1)
        shard_world_run (w, 1);
    assert_in_range (w->now_ms - led_ms, 2500, 5000);
    uint64_t term = shard_world_status (w, 1).term;
    shard_world_run (w, 20000);
    assert_int_equal (shard_world_status (w, 1).term, term); /* and stays there */
    shard_world_settle (w);
}

static void test_shard_housekeeping__balance_stops_when_told (void **state)
{
    (void) state;
    set_balance (false);
    crash_until_led_by (2);
    shard_world_run (w, 20000);
    assert_int_equal (shard_world_leader (w), 2);
    set_balance (true);
    shard_world_run (w, 4000);
    assert_int_equal (shard_world_leader (w), 1);
}

static bool has_applied_nothing (struct shard_world *shards, uint32_t from, uint32_t to, struct raft_message *message)
{
    (void) shards;
    (void) to;
    if (from == 1 && message->type == RAFT_HEARTBEAT_REPLY)
        message->hint = 1;
    return true;
}

/* It holds the log, but would answer nobody until it has applied it. */
static void test_shard_housekeeping__a_rank_0_that_has_much_to_apply_is_not_asked (void **state)
{
    (void) state;
    set_balance (false);
    crash_until_led_by (2);
    offer = shard_world_offer (w, 100000);
    while (shard_world_status (w, 2).commit_index < 4200) {
        for (unsigned i = 0; i < 60; i++)
            (void) shard_world_book (w, 2, &offer, 5, RESERVE_MODE_BOOK, NULL);
        shard_world_run (w, 10);
    }
    w->on_raft = has_applied_nothing;
    shard_world_run (w, 200);
    set_balance (true);
    shard_world_run (w, 10000);
    assert_int_equal (shard_world_leader (w), 2);
    assert_int_equal (shard_voters_behind (w->nodes[2].shard, 256), 1); /* it would be missed, too */
    w->on_raft = NULL;
    shard_world_run (w, 200);
    assert_int_equal (shard_voters_behind (w->nodes[2].shard, 256), 0);
    shard_world_run (w, 6000);
    assert_int_equal (shard_world_leader (w), 1);
}

static void test_shard_housekeeping__a_rank_0_that_is_behind_or_away_is_not_asked (void **state)
{
    (void) state;
    crash_until_led_by (2);
    shard_world_crash (w, 1);
    shard_world_run (w, 10000);
    assert_int_equal (shard_world_leader (w), 2);
    assert_false (shard_world_status (w, 2).calls > 0);
    shard_world_start (w, 1);
    shard_world_run (w, 10000);
    assert_int_equal (shard_world_leader (w), 1);
}

/* A full disk gives every leadership back: it must not be offered one every few seconds. */
static void test_shard_housekeeping__a_rank_0_that_hands_back_is_asked_ever_less (void **state)
{
    (void) state;
    unsigned handed = 0;
    crash_until_led_by (2);
    for (unsigned ms = 0; ms < 120000; ms += 10) {
        shard_world_run (w, 10);
        if (shard_world_leader (w) != 1)
            continue;
        handed++;
        shard_world_event (w, 1, (struct shard_event){.type = SHARD_EVENT_TRANSFER, .transfer_node = 2});
        shard_world_run (w, 300);
        assert_int_equal (shard_world_leader (w), 2);
    }
    assert_in_range (handed, 3, 6); /* after 3, 6, 12, 24, 48 s */
    shard_world_settle (w);
}

static unsigned offers;

static bool deaf (struct shard_world *in, uint32_t from, uint32_t to, struct raft_message *message)
{
    (void) in, (void) from, (void) to;
    offers += message->type == RAFT_TIMEOUT_NOW;
    return message->type != RAFT_TIMEOUT_NOW;
}

static void test_shard_housekeeping__a_rank_0_that_does_not_take_over_is_asked_ever_less (void **state)
{
    (void) state;
    crash_until_led_by (3);
    offers = 0;
    w->on_raft = deaf;
    shard_world_run (w, 100000);
    assert_in_range (offers, 3, 6);
    assert_int_equal (shard_world_leader (w), 3);
    shard_world_settle (w);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (
            test_shard_housekeeping__an_idle_shard_releases_a_hold_within_100_ms, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_housekeeping__an_expiry_on_its_way_is_not_proposed_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_housekeeping__an_old_leaders_expiry_does_not_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_housekeeping__elections_do_not_lengthen_a_hold, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_housekeeping__many_due_holds_leave_in_several_entries, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_housekeeping__nothing_due_nothing_logged, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_housekeeping__an_idle_shard_logs_the_time_once_a_minute, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_housekeeping__a_shard_that_was_never_used_logs_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_housekeeping__an_idle_leader_sleeps, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_housekeeping__leadership_goes_to_rank_0, set_up_balanced, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_housekeeping__a_rank_0_that_has_much_to_apply_is_not_asked, set_up_balanced, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_housekeeping__balance_stops_when_told, set_up_balanced, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_housekeeping__a_rank_0_that_is_behind_or_away_is_not_asked, set_up_balanced, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_housekeeping__a_rank_0_that_hands_back_is_asked_ever_less, set_up_balanced, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_housekeeping__a_rank_0_that_does_not_take_over_is_asked_ever_less, set_up_balanced, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_housekeeping__a_leader_that_returns_does_not_wait_for_its_old_expiry, set_up, tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
