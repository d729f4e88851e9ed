/* Rot in a stopped node's log, where what was lost had dropped older turns. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "test/support/store_fixture.h"

/* The batch that dropped turns is lost, a later one dropped more: the first ones stand there again, and are nobody's. */
static void test_store_rot_dropped__turns_stand_again_where_the_batch_that_dropped_them_is_lost (void **state)
{
    (void) state;
    char wal[FIXTURE_PATH_MAX * 2];
    struct fixture_rig rig;
    fixture_rig_init (&rig);
    fixture_found (rig.turn, 1, 1);
    fixture_commit (rig.turn);
    fixture_rig_stop (&rig);
    fixture_rig_start (&rig, rig.dir); /* what was there is in a sorted file now */
    uint64_t term = 1;
    size_t before_drop = 0;
    for (unsigned i = 0; i < 140; i++) {
        assert_int_equal (store_turn_hard_state (rig.turn, 1, 1, ++term, 0), STATUS_OK);
        fixture_append (rig.turn, 1, 1, 1, 1, term); /* in the place of the one before, whose turn nobody needs then */
        struct store_log_usage usage;
        store_log_usage (rig.store, &usage);
        size_t end = i == 0 ? 0 : fixture_newest (rig.dir, "log", ".log", wal);
        fixture_commit (rig.turn);
        uint64_t first = usage.turn_first;
        store_log_usage (rig.store, &usage);
        if (i > 0 && before_drop == 0 && usage.turn_first > first)
            before_drop = end;
    }
    assert_int_not_equal (before_drop, 0);
    fixture_rig_kill (&rig);
    fixture_newest (rig.image, "log", ".log", wal);
    fixture_flip_bit (wal, before_drop + 30, 3);
    for (int start = 0; start < 3; start++) { /* the second one closes it, the third finds no trace */
        fixture_rig_start (&rig, rig.image);
        assert_true (store_suspect (rig.store, NULL));
        assert_int_equal (store_log_holed (rig.store, NULL), start < 2);
        assert_null (fixture_replica (&rig.recovered, 1, 1)->lost);
        assert_int_equal (fixture_replica (&rig.recovered, 1, 1)->last_index, 1);
        assert_int_equal (store_turn_hard_state (rig.turn, 1, 1, ++term, 0), STATUS_OK);
        if (start > 0)
            fixture_commit (rig.turn);
        fixture_rig_stop (&rig);
    }
    fixture_rig_close (&rig);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_store_rot_dropped__turns_stand_again_where_the_batch_that_dropped_them_is_lost),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
