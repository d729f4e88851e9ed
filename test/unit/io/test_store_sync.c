/* A sync that fails is fatal: the outcome is unknown, the store latches, and comes back suspect (faults.md fact 2). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/preload_fsync.c"
#include "test/support/store_fixture.h"

static struct store_turn *open_with_turns (const char *dir, struct store **store)
{
    struct fixture_recovered recovered = {0};
    *store = fixture_open (dir, &recovered);
    struct store_turn *turn = store_turn_new (*store);
    fixture_found (turn, 1, 7);
    fixture_append (turn, 1, 7, 1, 5, 1);
    fixture_commit (turn);
    fixture_recovered_close (&recovered);
    if (preload_fsync_calls () == 0)
        skip (); /* a shared librocksdb does not see this program's functions */
    return turn;
}

static void fail_one_turn (const char *dir, const char *match)
{
    struct store *store;
    struct store_turn *turn = open_with_turns (dir, &store);
    struct store_error error = {0};
    preload_fsync_fail (match, 0);
    fixture_append (turn, 1, 7, 6, 2, 1);
    assert_int_equal (store_turn_commit (turn, &error), STATUS_DATA_LOSS);
    assert_non_null (strstr (error.text, "a write of the log failed"));
    preload_fsync_heal ();
    /* Even a healed disk: what the failed turn left in the file is unknown, nothing may be written behind it. */
    store_turn_reset (turn);
    fixture_append (turn, 1, 7, 6, 1, 1);
    long calls = preload_fsync_calls ();
    assert_int_equal (store_turn_commit (turn, &error), STATUS_DATA_LOSS);
    assert_int_equal (preload_fsync_calls (), calls);
    struct store_stats stats;
    store_stats (store, &stats);
    assert_true (stats.failed);
    assert_int_equal (stats.turn_last, 1);
    assert_true (store_suspect (store, NULL));
    store_turn_destroy (&turn);
    store_close (&store);

    struct fixture_recovered recovered = {0};
    store = fixture_open (dir, &recovered);
    assert_true (store_suspect (store, NULL));
    /* All of the failed turn, or nothing of it. */
    assert_true (recovered.entries_count == 5 || recovered.entries_count == 7);
    turn = store_turn_new (store);
    fixture_append (turn, 1, 7, recovered.entries_count + 1, 1, 1);
    fixture_commit (turn);
    store_turn_destroy (&turn);
    store_close (&store);
    fixture_recovered_close (&recovered);
}

static void test_store_sync__a_failed_sync_latches_and_comes_back_suspect (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    fail_one_turn (dir, ".log");
    fixture_remove (dir);
}

static void test_store_sync__a_disk_that_refuses_every_sync_keeps_an_unsynced_mark (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    fail_one_turn (dir, "/");
    fixture_remove (dir);
}

static void test_store_sync__a_failed_write_back_changes_nothing (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct store *store;
    struct store_turn *turn = open_with_turns (dir, &store);
    struct store_error error = {0};
    struct store_batch *batch = store_batch_new (1, 7, 0, 3, 1);
    assert_int_equal (store_batch_put (batch, BYTES_LITERAL ("a"), BYTES_LITERAL ("1")), STATUS_OK);
    assert_int_equal (store_state_write (store, &batch, 1, &error), STATUS_OK);
    store_batch_destroy (&batch);
    batch = store_batch_new (1, 7, 0, 4, 1);
    assert_int_equal (store_batch_put (batch, BYTES_LITERAL ("a"), BYTES_LITERAL ("2")), STATUS_OK);
    preload_fsync_fail (".sst", 0);
    assert_int_not_equal (store_state_write (store, &batch, 1, &error), STATUS_OK);
    preload_fsync_heal ();
    store_batch_destroy (&batch);
    store_turn_destroy (&turn);
    store_close (&store);

    struct fixture_recovered recovered = {0};
    store = fixture_open (dir, &recovered);
    assert_int_equal (recovered.replicas[0].applied_index, 3);
    assert_false (store_suspect (store, NULL));
    uint8_t *value;
    size_t len;
    assert_int_equal (store_state_get (store, 1, 7, 0, BYTES_LITERAL ("a"), &value, &len), STATUS_OK);
    assert_memory_equal (value, "1", 1);
    free (value);
    store_close (&store);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_store_sync__the_suspect_mark_precedes_the_cut (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], wal[FIXTURE_PATH_MAX * 2], image[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct store *store;
    struct store_turn *turn = open_with_turns (dir, &store);
    size_t size = fixture_newest (dir, "log", ".log", wal);
    snprintf (image, sizeof image, "%s", dir);
    strcpy (strrchr (image, '/'), "/image");
    fixture_copy_tree (dir, image);
    store_turn_destroy (&turn);
    store_close (&store);
    fixture_newest (image, "log", ".log", wal);
    assert_int_equal (truncate (wal, (off_t) size - 3), 0);
    struct store_options options = fixture_options ();
    struct store_error error = {0};
    struct stat stat_buffer;
    preload_fsync_fail ("SUSPECT", 0);
    assert_int_equal (store_open (image, &options, &store, NULL, &error), STATUS_INTERNAL);
    preload_fsync_heal ();
    assert_int_equal (stat (wal, &stat_buffer), 0);
    assert_int_equal (stat_buffer.st_size, size - 3); /* untouched */
    fixture_remove (dir);
}

/* Each sync of a start fails once more, until none is left: of a folder that is new, that is whole, and that has a torn end. */
static unsigned starts_in_vain (const char *image, const char *sound)
{
    unsigned failed = 0;
    struct store_options options = fixture_options ();
    for (long n = 0; n < 200; n++) {
        struct store *store = NULL;
        struct store_error error;
        memset (&error, 0, sizeof error);
        fixture_remove_tree (image);
        if (sound != NULL)
            fixture_copy_tree (sound, image);
        preload_fsync_fail ("", n);
        enum status status = store_open (image, &options, &store, NULL, &error);
        preload_fsync_heal ();
        if (status == STATUS_OK) {
            store_close (&store);
            return failed;
        }
        failed++;
        assert_int_equal (status, STATUS_INTERNAL);
        assert_true (strlen (error.text) > 10);
    }
    fail_msg ("a start that syncs without end");
    return 0;
}

static void test_store_sync__a_start_that_cannot_sync_says_so (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], wal[FIXTURE_PATH_MAX * 2], sound[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct store *store;
    struct store_turn *turn = open_with_turns (dir, &store);
    snprintf (sound, sizeof sound, "%s", dir);
    strcpy (strrchr (sound, '/'), "/sound");
    snprintf (image, sizeof image, "%s", dir);
    strcpy (strrchr (image, '/'), "/image");
    fixture_copy_tree (dir, sound);
    store_turn_destroy (&turn);
    store_close (&store);
    assert_true (starts_in_vain (image, NULL) >= 3);
    assert_true (starts_in_vain (image, sound) >= 1);
    size_t size = fixture_newest (sound, "log", ".log", wal);
    assert_int_equal (truncate (wal, (off_t) size - 3), 0);
    assert_true (starts_in_vain (image, sound) >= 3);
    fixture_remove (dir);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_store_sync__a_failed_sync_latches_and_comes_back_suspect),
        cmocka_unit_test (test_store_sync__a_disk_that_refuses_every_sync_keeps_an_unsynced_mark),
        cmocka_unit_test (test_store_sync__a_failed_write_back_changes_nothing),
        cmocka_unit_test (test_store_sync__the_suspect_mark_precedes_the_cut),
        cmocka_unit_test (test_store_sync__a_start_that_cannot_sync_says_so),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
