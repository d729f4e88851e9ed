#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/store/small_file.h"
#include "test/support/store_fixture.h"

static void write_text (const char *dir, const char *name, const char *text)
{
    char path[FIXTURE_PATH_MAX * 2];
    snprintf (path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen (path, "wb");
    assert_non_null (file);
    fputs (text, file);
    assert_int_equal (fclose (file), 0);
}

static enum status open_status (const char *dir, const struct store_options *options, struct store_error *error)
{
    struct store *store = NULL;
    enum status status = store_open (dir, options, &store, NULL, error);
    store_close (&store);
    return status;
}

static void test_store__makes_a_folder_and_keeps_its_identity (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct store_options options = fixture_options ();
    struct store *store;
    bool created;
    assert_int_equal (store_open (dir, &options, &store, &created, NULL), STATUS_OK);
    assert_true (created);
    struct store_identity first = *store_identity (store);
    assert_true (id_equal (&first.cluster, &options.cluster));
    assert_false (id_is_zero (&first.node));
    assert_false (id_equal (&first.node, &first.storage));
    assert_int_equal (first.node_index, 1);
    store_close (&store);
    assert_null (store);
    assert_int_equal (store_open (dir, &options, &store, &created, NULL), STATUS_OK);
    assert_false (created);
    assert_memory_equal (store_identity (store), &first, sizeof first);
    store_close (&store);
    fixture_remove (dir);
}

static void test_store__one_process_a_folder (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct store_options options = fixture_options ();
    struct store *store;
    assert_int_equal (store_open (dir, &options, &store, NULL, NULL), STATUS_OK);
    fflush (NULL);
    pid_t child = fork ();
    if (child == 0) {
        /* The second process: it must be told who holds the folder. The descriptor that it inherits is of the same
         * open file, so it asks through a new one. */
        struct store_error error = {0};
        struct store *second = NULL;
        char expected[64];
        snprintf (expected, sizeof expected, "in use by process %ld", (long) getppid ());
        enum status status = store_open (dir, &options, &second, NULL, &error);
        bool told = status == STATUS_FAILED_PRECONDITION && strstr (error.text, expected) != NULL;
        execlp (told ? "true" : "false", "child", (char *) NULL); /* what the parent has open is no leak of the child */
        _exit (127);
    }
    int result;
    assert_int_equal (waitpid (child, &result, 0), child);
    assert_int_equal (result, 0);
    struct store_error error = {0};
    assert_int_equal (open_status (dir, &options, &error), STATUS_FAILED_PRECONDITION); /* nor one process twice */
    store_close (&store);
    assert_int_equal (open_status (dir, &options, &error), STATUS_OK);
    fixture_remove (dir);
}

static void test_store__refuses_another_cluster_and_another_node (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct store_options options = fixture_options (), other = options;
    struct store_error error = {0};
    assert_int_equal (open_status (dir, &options, &error), STATUS_OK);
    other.cluster.b[5] = 9;
    assert_int_equal (open_status (dir, &other, &error), STATUS_FAILED_PRECONDITION);
    assert_non_null (strstr (error.text, "belongs to cluster c1010000"));
    other = options;
    other.node = 2;
    assert_int_equal (open_status (dir, &other, &error), STATUS_FAILED_PRECONDITION);
    assert_non_null (strstr (error.text, "belongs to node 1, not 2"));
    assert_int_equal (open_status (dir, &options, &error), STATUS_OK);
    fixture_remove (dir);
}

static void test_store__refuses_a_newer_format (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct store_options options = fixture_options ();
    struct store_error error = {0};
    assert_int_equal (open_status (dir, &options, &error), STATUS_OK);
    write_text (dir, "FORMAT", "maitred-store 2\n");
    assert_int_equal (open_status (dir, &options, &error), STATUS_FAILED_PRECONDITION);
    assert_non_null (strstr (error.text, "format 2"));
    write_text (dir, "FORMAT", "maitred-store one\n");
    assert_int_equal (open_status (dir, &options, &error), STATUS_DATA_LOSS);
    write_text (dir, "FORMAT", "maitred-store 1\n");
    assert_int_equal (open_status (dir, &options, &error), STATUS_OK);
    fixture_remove (dir);
}

static void test_store__notices_every_flipped_bit_of_the_identity (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2];
    fixture_dir (dir);
    struct store_options options = fixture_options ();
    struct store_error error = {0};
    assert_int_equal (open_status (dir, &options, &error), STATUS_OK);
    snprintf (path, sizeof path, "%s/IDENTITY", dir);
    struct stat stat_buffer;
    assert_int_equal (stat (path, &stat_buffer), 0);
    for (size_t bit = 0; bit < (size_t) stat_buffer.st_size * 8; bit += 3) {
        fixture_flip_bit (path, bit / 8, bit % 8);
        assert_int_not_equal (open_status (dir, &options, &error), STATUS_OK);
        fixture_flip_bit (path, bit / 8, bit % 8);
    }
    assert_int_equal (open_status (dir, &options, &error), STATUS_OK);
    fixture_remove (dir);
}

static void test_store__refuses_data_without_identity_and_identity_without_data (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2];
    fixture_dir (dir);
    struct store_options options = fixture_options ();
    struct store_error error = {0};
    assert_int_equal (open_status (dir, &options, &error), STATUS_OK);
    snprintf (path, sizeof path, "%s/state", dir);
    fixture_remove_tree (path);
    assert_int_equal (open_status (dir, &options, &error), STATUS_DATA_LOSS);
    assert_non_null (strstr (error.text, "lost its state database"));
    snprintf (path, sizeof path, "%s/IDENTITY", dir);
    assert_int_equal (unlink (path), 0);
    assert_int_equal (open_status (dir, &options, &error), STATUS_FAILED_PRECONDITION);
    assert_non_null (strstr (error.text, "no IDENTITY"));
    fixture_remove (dir);
}

static void test_store__quarantine_keeps_the_node_and_changes_the_storage (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2];
    fixture_dir (dir);
    struct store_options options = fixture_options ();
    struct fixture_recovered recovered = {0};
    struct store *store = fixture_open (dir, &recovered);
    struct store_identity before = *store_identity (store);
    struct store_turn *turn = store_turn_new (store);
    fixture_found (turn, 3, 7);
    fixture_append (turn, 3, 7, 1, 5, 1);
    fixture_commit (turn);
    store_turn_destroy (&turn);
    assert_int_equal (store_incarnation_set (store, 12), STATUS_OK);
    assert_int_equal (store_suspect_set (store, "a test"), STATUS_OK);
    store_close (&store);

    assert_int_equal (store_quarantine (dir, &options, NULL), STATUS_OK);
    store = fixture_open (dir, &recovered);
    assert_int_equal (recovered.replicas_count, 0);
    assert_int_equal (recovered.entries_count, 0);
    assert_true (id_equal (&store_identity (store)->node, &before.node));
    assert_false (id_equal (&store_identity (store)->storage, &before.storage));
    assert_false (store_suspect (store, NULL));
    uint64_t incarnation;
    assert_int_equal (store_incarnation_get (store, &incarnation), STATUS_OK);
    assert_int_equal (incarnation, 12);
    store_close (&store);
    snprintf (path, sizeof path, "%s/damaged-1/log/CURRENT", dir);
    assert_int_equal (access (path, F_OK), 0);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_store__suspect_stays_until_cleared (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct fixture_recovered recovered = {0};
    const char *reason;
    struct store *store = fixture_open (dir, &recovered);
    assert_false (store_suspect (store, NULL));
    assert_int_equal (store_suspect_set (store, "first reason"), STATUS_OK);
    assert_int_equal (store_suspect_set (store, "second reason"), STATUS_OK);
    store_close (&store);
    store = fixture_open (dir, &recovered);
    assert_true (store_suspect (store, &reason));
    assert_string_equal (reason, "first reason");
    assert_int_equal (store_suspect_clear (store), STATUS_OK);
    store_close (&store);
    store = fixture_open (dir, &recovered);
    assert_false (store_suspect (store, NULL));
    store_close (&store);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_store__small_files_are_whole_or_refused (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2];
    fixture_dir (dir);
    struct fixture_recovered recovered = {0};
    struct store *store = fixture_open (dir, &recovered);
    uint8_t *data;
    size_t len;
    assert_int_equal (store_file_get (store, "map", &data, &len), STATUS_NOT_FOUND);
    assert_int_equal (store_file_put (store, "map", BYTES_LITERAL ("epoch 1")), STATUS_OK);
    assert_int_equal (store_file_put (store, "map", BYTES_LITERAL ("epoch two")), STATUS_OK);
    assert_int_equal (store_file_get (store, "map", &data, &len), STATUS_OK);
    assert_int_equal (len, 9);
    assert_memory_equal (data, "epoch two", 9);
    free (data);
    assert_int_equal (store_file_put (store, "../map", BYTES_LITERAL ("x")), STATUS_INVALID_ARGUMENT);
    assert_int_equal (store_file_put (store, "", BYTES_LITERAL ("x")), STATUS_INVALID_ARGUMENT);
    snprintf (path, sizeof path, "%s/files/map", dir);
    fixture_flip_bit (path, 10, 2);
    assert_int_equal (store_file_get (store, "map", &data, &len), STATUS_DATA_LOSS);

    uint64_t incarnation;
    assert_int_equal (store_incarnation_get (store, &incarnation), STATUS_OK);
    assert_int_equal (incarnation, 0);
    assert_int_equal (store_incarnation_set (store, 5), STATUS_OK);
    assert_int_equal (store_incarnation_set (store, 4), STATUS_INVALID_ARGUMENT);
    assert_int_equal (store_incarnation_get (store, &incarnation), STATUS_OK);
    assert_int_equal (incarnation, 5);

    uint64_t free_bytes, total_bytes;
    assert_int_equal (store_disk_free (store, &free_bytes, &total_bytes), STATUS_OK);
    assert_true (free_bytes > 0 && free_bytes <= total_bytes);
    store_close (&store);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void make_and_leave (const char *dir)
{
    struct store_options options = fixture_options ();
    struct store *store;
    if (store_open (dir, &options, &store, NULL, NULL) != STATUS_OK)
        _exit (1);
}

static void test_store__a_half_made_folder_is_made_again (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2];
    fixture_dir (dir);
    fixture_run_again ("make", dir, NULL, NULL);
    /* As if it had died before the identity became ready: databases of nobody lie there. */
    snprintf (path, sizeof path, "%s/IDENTITY", dir);
    assert_int_equal (unlink (path), 0);
    snprintf (path, sizeof path, "%s/log", dir);
    fixture_remove_tree (path);
    snprintf (path, sizeof path, "%s/state", dir);
    fixture_remove_tree (path);
    struct store_options options = fixture_options ();
    struct store_error error = {0};
    assert_int_equal (open_status (dir, &options, &error), STATUS_OK);
    fixture_remove (dir);
}

/* Whoever takes a file for absent makes a new one, or opens what lies beside it. */
static void test_store__what_cannot_be_looked_at_is_not_taken_for_absent (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], loop[FIXTURE_PATH_MAX + 8];
    fixture_dir (dir);
    assert_int_equal (mkdir (dir, 0700), 0);
    snprintf (loop, sizeof loop, "%s/loop", dir);
    assert_int_equal (symlink ("loop", loop), 0);
    assert_true (small_file_exists (dir, "loop"));
    assert_false (small_file_exists (dir, "state-old"));
    assert_false (small_file_exists (dir, "nowhere/state-old"));
    assert_true (small_file_exists (loop, "state-old")); /* ELOOP: nobody knows */
    assert_int_equal (unlink (loop), 0);
    fixture_remove (dir);
}

int main (int argc, char **argv)
{
    if (argc == 3 && strcmp (argv[1], "make") == 0) {
        make_and_leave (argv[2]);
        return fixture_die ();
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_store__what_cannot_be_looked_at_is_not_taken_for_absent),
        cmocka_unit_test (test_store__makes_a_folder_and_keeps_its_identity),
        cmocka_unit_test (test_store__one_process_a_folder),
        cmocka_unit_test (test_store__refuses_another_cluster_and_another_node),
        cmocka_unit_test (test_store__refuses_a_newer_format),
        cmocka_unit_test (test_store__notices_every_flipped_bit_of_the_identity),
        cmocka_unit_test (test_store__refuses_data_without_identity_and_identity_without_data),
        cmocka_unit_test (test_store__quarantine_keeps_the_node_and_changes_the_storage),
        cmocka_unit_test (test_store__suspect_stays_until_cleared),
        cmocka_unit_test (test_store__small_files_are_whole_or_refused),
        cmocka_unit_test (test_store__a_half_made_folder_is_made_again),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
