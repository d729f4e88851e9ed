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
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], wal[FIXTURE_PATH_MAX * 2];
    struct fixture_recovered recovered = {0};
    fixture_dir (dir);
    struct store *store = fixture_open (dir, &recovered);
    struct store_turn *turn = store_turn_new (store);
    fixture_found (turn, 1, 1);
    fixture_commit (turn);
    store_turn_destroy (&turn);
    store_close (&store);
    store = fixture_open (dir, &recovered); /* what was there is in a sorted file now */
    turn = store_turn_new (store);
    uint64_t term = 1;
    size_t before_drop = 0;
    for (unsigned i = 0; i < 140; i++) {
        assert_int_equal (store_turn_hard_state (turn, 1, 1, ++term, 0), STATUS_OK);
        fixture_append (turn, 1, 1, 1, 1, term); /* in the place of the one before, whose turn nobody needs then */
        struct store_log_usage usage;
        store_log_usage (store, &usage);
        size_t end = i == 0 ? 0 : fixture_newest (dir, "log", ".log", wal);
        fixture_commit (turn);
        uint64_t first = usage.turn_first;
        store_log_usage (store, &usage);
        if (i > 0 && before_drop == 0 && usage.turn_first > first)
            before_drop = end;
    }
    assert_int_not_equal (before_drop, 0);
    snprintf (image, sizeof image, "%s", dir);
    strcpy (strrchr (image, '/'), "/image");
    fixture_copy_tree (dir, image);
    store_turn_destroy (&turn);
    store_close (&store);
    fixture_newest (image, "log", ".log", wal);
    fixture_flip_bit (wal, before_drop + 30, 3);
    for (int start = 0; start < 3; start++) { /* the second one closes it, the third finds no trace */
        store = fixture_open (image, &recovered);
        assert_true (store_suspect (store, NULL));
        assert_int_equal (store_log_holed (store, NULL), start < 2);
        assert_null (fixture_replica (&recovered, 1, 1)->lost);
        assert_int_equal (fixture_replica (&recovered, 1, 1)->last_index, 1);
        turn = store_turn_new (store);
        assert_int_equal (store_turn_hard_state (turn, 1, 1, ++term, 0), STATUS_OK);
        if (start > 0)
            fixture_commit (turn);
        store_turn_destroy (&turn);
        store_close (&store);
    }
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_store_rot_dropped__turns_stand_again_where_the_batch_that_dropped_them_is_lost),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
