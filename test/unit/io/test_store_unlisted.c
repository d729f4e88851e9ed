/* What of a log nobody needs any more, and what only seems so: damage there is found, and nothing is lost by it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/rebuild_fixture.h"

/* One entry that is replaced turn by turn: the turns of before are dropped. */
static void replace_entries (struct store_turn *turn, uint64_t *term, unsigned turns)
{
    static const uint8_t payload[REBUILD_BULK_BYTES] = "payload-1-1";
    struct store_entry entry = {.index = 1, .payload = bytes_of (payload, sizeof payload)};
    for (unsigned i = 0; i < turns; i++) {
        entry.term = ++*term;
        assert_int_equal (store_turn_hard_state (turn, 1, 101, *term, 0), STATUS_OK);
        assert_int_equal (store_turn_append (turn, 1, 101, 0, &entry, 1), STATUS_OK);
        fixture_commit (turn);
    }
}

/* A folder with a sorted file of which nobody needs a row. */
static void make_dropped (char dir[FIXTURE_PATH_MAX], uint64_t *term, char path[FIXTURE_PATH_MAX * 2])
{
    struct fixture_recovered recovered = {0};
    struct store_log_usage usage;
    struct store_error error = {.text = ""};
    fixture_dir (dir);
    struct store *store = rebuild_open_well (dir, &recovered);
    struct store_turn *turn = store_turn_new (store);
    fixture_found (turn, 1, 101);
    replace_entries (turn, term, 60);
    assert_int_equal (store_log_renew (store, &error), STATUS_OK);
    replace_entries (turn, term, 200);
    store_log_usage (store, &usage);
    assert_true (usage.turn_first > 60);
    store_turn_destroy (&turn);
    store_close (&store);
    fixture_newest (dir, "log", ".sst", path);
    fixture_recovered_close (&recovered);
}

/* A start finds it all the same, and leaves it behind. Nothing is lost, so a node that is alone does it as well. */
static void test_store_unlisted__a_block_that_nobody_needs (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2];
    struct fixture_recovered recovered = {0};
    struct store_error error = {.text = ""};
    struct store *store = NULL;
    const char *why;
    bool whole;
    uint64_t term = 1;
    make_dropped (dir, &term, path);
    fixture_flip_bit (path, rebuild_size_of (path) / 3, 5);
    for (unsigned start = 0; start < 2; start++) {
        assert_int_equal (rebuild_open_it (dir, false, &recovered, &store, &error), STATUS_OK);
        assert_int_equal (store_log_rebuilt (store, &why, &whole), start == 0);
        assert_true (start > 0 || whole);
        assert_false (store_suspect (store, NULL));
        assert_false (store_log_holed (store, NULL));
        assert_int_equal (rebuild_entries_of (&recovered, 1), 1);
        assert_int_equal (rebuild_replica_of (&recovered, 1)->term, term);
        store_close (&store);
    }
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

/* It rots while the node runs: the database's own compaction meets it, the process ends, and the next start leaves it behind. */
static void test_store_unlisted__a_block_that_a_compaction_meets (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2];
    struct fixture_recovered recovered = {0};
    struct store_error error = {.text = ""};
    const char *why;
    bool whole;
    uint64_t term = 1;
    make_dropped (dir, &term, path);
    struct store *store = rebuild_open_well (dir, &recovered);
    assert_false (store_log_rebuilt (store, &why, &whole));
    fixture_flip_bit (path, rebuild_size_of (path) / 3, 5);
    struct store_turn *turn = store_turn_new (store);
    enum status status = STATUS_OK;
    unsigned tries = 0;
    for (; status == STATUS_OK; tries++) { /* four files are compacted, and with too many of them writes wait for it */
        assert_true (tries < 100);
        store_turn_reset (turn);
        assert_int_equal (store_turn_hard_state (turn, 1, 101, ++term, 0), STATUS_OK);
        status = store_turn_commit (turn, &error);
        enum status renewed = status == STATUS_OK ? store_log_renew (store, &error) : status;
        (void) renewed; /* the next commit tells */
    }
    assert_int_equal (status, STATUS_DATA_LOSS);
    store_turn_destroy (&turn);
    store_close (&store);
    for (unsigned start = 0; start < 2; start++) {
        store = rebuild_open_well (dir, &recovered);
        assert_int_equal (store_log_rebuilt (store, &why, &whole), start == 0);
        assert_true (start > 0 || whole);
        assert_false (store_log_holed (store, NULL)); /* nothing is lost, so alone it would do as well */
        assert_null (rebuild_replica_of (&recovered, 1)->lost);
        assert_int_equal (rebuild_entries_of (&recovered, 1), 1);
        assert_true (rebuild_replica_of (&recovered, 1)->term >= term - 1);
        turn = store_turn_new (store);
        for (tries = 0; tries < 40; tries++) { /* and its compactions meet nothing any more */
            assert_int_equal (store_turn_hard_state (turn, 1, 101, ++term, 0), STATUS_OK);
            fixture_commit (turn);
            assert_int_equal (store_log_renew (store, &error), STATUS_OK);
        }
        store_turn_destroy (&turn);
        store_close (&store);
    }
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

/* A folder whose log had a vote of an idle replica in its newest sorted file alone, whose turns were all dropped since.
 * *listed: how long its index was before that file. */
static void make_idle_vote (char dir[FIXTURE_PATH_MAX], char image[FIXTURE_PATH_MAX], size_t *listed)
{
    char path[FIXTURE_PATH_MAX * 2];
    struct fixture_recovered recovered = {0};
    struct store_log_usage usage;
    struct store_error error = {.text = ""};
    uint64_t term = 1;
    fixture_dir (dir);
    struct store *store = rebuild_open_well (dir, &recovered);
    struct store_turn *turn = store_turn_new (store);
    fixture_found (turn, 1, 101);
    fixture_found (turn, 2, 102);
    replace_entries (turn, &term, 3);
    assert_int_equal (store_log_renew (store, &error), STATUS_OK);
    rebuild_find (dir, "MANIFEST", path);
    *listed = rebuild_size_of (path);
    assert_int_equal (store_turn_hard_state (turn, 2, 102, 9, 7), STATUS_OK);
    replace_entries (turn, &term, 3);
    assert_int_equal (store_log_renew (store, &error), STATUS_OK);
    assert_true (rebuild_size_of (path) > *listed);
    replace_entries (turn, &term, 200);
    store_log_usage (store, &usage);
    assert_true (usage.turn_first > 10);
    snprintf (image, FIXTURE_PATH_MAX, "%s", dir);
    strcpy (strrchr (image, '/'), "/image");
    fixture_copy_tree (dir, image); /* as kill -9 leaves it */
    store_turn_destroy (&turn);
    store_close (&store);
    fixture_recovered_close (&recovered);
}

/* Such an index opens as it was before, and the database would delete the file that it does not list. */
static void test_store_unlisted__an_index_that_lost_its_end (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2];
    struct fixture_recovered recovered = {0};
    const char *why;
    bool whole;
    size_t listed;
    make_idle_vote (dir, image, &listed);
    rebuild_again (image, dir);
    struct store *store = rebuild_open_well (dir, &recovered); /* whole, it is no matter for doubt */
    assert_false (store_suspect (store, NULL));
    assert_false (store_log_rebuilt (store, &why, &whole));
    store_close (&store);
    for (unsigned crash = 0; crash < 2; crash++) {
        rebuild_again (image, dir);
        rebuild_find (dir, "MANIFEST", path);
        assert_int_equal (truncate (path, (off_t) listed), 0);
        if (crash == 1)
            fixture_run_again ("crash", dir, "suspect.write.before=exit:0", NULL);
        store = rebuild_open_well (dir, &recovered);
        assert_true (store_suspect (store, NULL));
        assert_true (store_log_rebuilt (store, &why, &whole));
        assert_false (whole);
        assert_int_equal (rebuild_replica_of (&recovered, 2)->term, 9);
        assert_int_equal (rebuild_replica_of (&recovered, 2)->vote, 7);
        assert_int_equal (rebuild_entries_of (&recovered, 1), 1);
        store_close (&store);
        rebuild_path_of (dir, "log-seen", path);
        assert_int_not_equal (access (path, F_OK), 0);
    }
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

int main (int argc, char **argv)
{
    if (argc >= 4 && strcmp (argv[1], "crash") == 0)
        return rebuild_crash_at (argv[2], argv[3]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_store_unlisted__a_block_that_nobody_needs),
        cmocka_unit_test (test_store_unlisted__a_block_that_a_compaction_meets),
        cmocka_unit_test (test_store_unlisted__an_index_that_lost_its_end),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
