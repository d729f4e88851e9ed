#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/shard/log_time.h"

#define DAY_MS UINT64_C (86400000)
#define WALL_MS UINT64_C (1790000000000)

/* A warm clock at WALL_MS, anchored at monotonic 1000. */
static struct log_time warm (void)
{
    struct log_time time;
    log_time_init (&time, WALL_MS - 1, 1000);
    log_time_applied (&time, WALL_MS, 1000, true);
    return time;
}

static void test_log_time__runs_with_the_monotonic_clock (void **state)
{
    (void) state;
    struct log_time time = warm ();
    assert_int_equal (log_time_stamp (&time, 1500, 0), WALL_MS + 500);
    assert_int_equal (log_time_stamp (&time, 1500, 0), WALL_MS + 500);
    assert_int_equal (log_time_now (&time, 2500, 0), WALL_MS + 1500);
}

static void test_log_time__cold_start_steps_forward_to_the_median (void **state)
{
    (void) state;
    struct log_time time;
    log_time_init (&time, WALL_MS - DAY_MS, 1000);
    assert_false (log_time_ready (&time, 0));
    assert_true (log_time_ready (&time, WALL_MS));
    assert_int_equal (log_time_stamp (&time, 1010, WALL_MS), WALL_MS);
    /* warm from here on: another day ahead is slewed towards, not jumped to */
    assert_int_equal (log_time_stamp (&time, 2010, WALL_MS + DAY_MS), WALL_MS + 1000 + 101);
}

static void test_log_time__an_entry_without_time_leaves_it_cold (void **state)
{
    (void) state;
    struct log_time time;
    log_time_init (&time, 0, 1000);
    log_time_applied (&time, 0, 1100, true); /* a leader's no-op */
    assert_false (log_time_ready (&time, 0));
    assert_int_equal (log_time_stamp (&time, 1200, WALL_MS), WALL_MS);
}

static void test_log_time__cold_start_never_steps_back (void **state)
{
    (void) state;
    struct log_time time;
    log_time_init (&time, WALL_MS, 1000);
    assert_int_equal (log_time_stamp (&time, 1000, WALL_MS - DAY_MS), WALL_MS);
}

static void test_log_time__x4_ten_years_ahead_push_by_a_tenth_at_most (void **state)
{
    (void) state;
    struct log_time time = warm ();
    uint64_t wall_ms = WALL_MS + 3650 * DAY_MS, last_ms = WALL_MS;
    for (uint64_t mono_ms = 1001; mono_ms <= 61000; mono_ms++) {
        uint64_t stamp_ms = log_time_stamp (&time, mono_ms, wall_ms);
        assert_true (stamp_ms >= last_ms);
        last_ms = stamp_ms;
    }
    assert_in_range (last_ms, WALL_MS + 60000, WALL_MS + 66000); /* a minute, and a tenth of it */
    assert_in_range (last_ms, WALL_MS + 65900, WALL_MS + 66000); /* stamps every millisecond slew as well */
}

static void test_log_time__behind_slows_down_but_never_goes_back (void **state)
{
    (void) state;
    struct log_time time = warm ();
    uint64_t last_ms = WALL_MS;
    for (uint64_t mono_ms = 1100; mono_ms <= 61000; mono_ms += 100) {
        uint64_t stamp_ms = log_time_stamp (&time, mono_ms, WALL_MS - DAY_MS);
        assert_true (stamp_ms > last_ms);
        last_ms = stamp_ms;
    }
    assert_in_range (last_ms, WALL_MS + 54000, WALL_MS + 54100);
}

static void test_log_time__a_busy_shard_slows_down_as_well (void **state)
{
    (void) state;
    struct log_time time = warm ();
    uint64_t last_ms = WALL_MS;
    for (uint64_t mono_ms = 1001; mono_ms <= 61000; mono_ms++) {
        uint64_t stamp_ms = log_time_stamp (&time, mono_ms, WALL_MS - DAY_MS);
        assert_true (stamp_ms >= last_ms);
        last_ms = stamp_ms;
    }
    assert_in_range (last_ms, WALL_MS + 54000, WALL_MS + 54100);
}

static void test_log_time__reaches_the_median_and_stays (void **state)
{
    (void) state;
    struct log_time time = warm ();
    for (uint64_t mono_ms = 1010; mono_ms <= 31000; mono_ms += 10)
        (void) log_time_stamp (&time, mono_ms, WALL_MS + (mono_ms - 1000) + 2000);
    assert_int_equal (log_time_stamp (&time, 31000, WALL_MS + 32000), WALL_MS + 32000);
    assert_int_equal (log_time_stamp (&time, 41000, WALL_MS + 42000), WALL_MS + 42000);
}

static void test_log_time__own_stamps_keep_their_anchor (void **state)
{
    (void) state;
    struct log_time time = warm ();
    for (uint64_t mono_ms = 1001; mono_ms <= 2000; mono_ms++) {
        uint64_t stamp_ms = log_time_stamp (&time, mono_ms, 0);
        log_time_applied (&time, stamp_ms, mono_ms + 1, true); /* commit latency must not be lost */
    }
    assert_int_equal (log_time_now (&time, 2000, 0), WALL_MS + 1000);
}

static void test_log_time__follower_takes_the_leaders_time (void **state)
{
    (void) state;
    struct log_time time = warm ();
    log_time_applied (&time, WALL_MS + 5000, 1100, true);
    assert_int_equal (log_time_stamp (&time, 1200, 0), WALL_MS + 5100);
    assert_false (log_time_off (&time, 1200, WALL_MS + 5100 + LOG_TIME_OFF_MS));
    assert_true (log_time_off (&time, 1200, WALL_MS + 5100 + 2 * LOG_TIME_OFF_MS));
}

static void test_log_time__a_cold_leader_without_a_median_goes_on_without_a_step (void **state)
{
    (void) state;
    struct log_time time;
    log_time_init (&time, WALL_MS, 1000);
    log_time_wait (&time, 1500, 0, false); /* a follower waits for nothing */
    log_time_wait (&time, 2000, 0, true);
    log_time_wait (&time, 1999 + LOG_TIME_PATIENCE_MS, 0, true);
    assert_false (log_time_ready (&time, 0));
    log_time_wait (&time, 2000 + LOG_TIME_PATIENCE_MS, 0, true);
    assert_true (log_time_ready (&time, 0));
    /* The median that comes later is approached, not jumped to. */
    assert_in_range (log_time_stamp (&time, 2000 + LOG_TIME_PATIENCE_MS, WALL_MS + UINT64_C (315360000000)),
        WALL_MS + 1000 + LOG_TIME_PATIENCE_MS, WALL_MS + 1200 + LOG_TIME_PATIENCE_MS + LOG_TIME_PATIENCE_MS / 10);
}

static void test_log_time__a_new_shard_waits_for_the_median (void **state)
{
    (void) state;
    struct log_time time;
    log_time_init (&time, 0, 1000);
    log_time_wait (&time, 2000, 0, true);
    log_time_wait (&time, 20000 + LOG_TIME_PATIENCE_MS, 0, true);
    assert_false (log_time_ready (&time, 0));
    assert_int_equal (log_time_stamp (&time, 30000, WALL_MS), WALL_MS);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_log_time__runs_with_the_monotonic_clock),
        cmocka_unit_test (test_log_time__cold_start_steps_forward_to_the_median),
        cmocka_unit_test (test_log_time__an_entry_without_time_leaves_it_cold),
        cmocka_unit_test (test_log_time__cold_start_never_steps_back),
        cmocka_unit_test (test_log_time__x4_ten_years_ahead_push_by_a_tenth_at_most),
        cmocka_unit_test (test_log_time__behind_slows_down_but_never_goes_back),
        cmocka_unit_test (test_log_time__a_busy_shard_slows_down_as_well),
        cmocka_unit_test (test_log_time__reaches_the_median_and_stays),
        cmocka_unit_test (test_log_time__own_stamps_keep_their_anchor),
        cmocka_unit_test (test_log_time__follower_takes_the_leaders_time),
        cmocka_unit_test (test_log_time__a_cold_leader_without_a_median_goes_on_without_a_step),
        cmocka_unit_test (test_log_time__a_new_shard_waits_for_the_median),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
