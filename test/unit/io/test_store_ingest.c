/* Reads that fail while the state database takes a file in: each one of a life, until none fires. RocksDB once took a file in
 * whose first block it could not read, and said OK: what stood in it was gone, and the log was cut behind it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "test/support/store_fixture.h"

#define EXIT_REFUSED 3
#define EXIT_NOT_FIRED 42
#define ROWS 2000
#define LARGE_BYTES (64 * 1024)
#define LARGE_ROWS (33 * 1024 * 1024 / LARGE_BYTES) /* more than one file has (SST_FILE_BYTES) */

/* ---- the disk: this program's own pread, which RocksDB in it calls */

static long failing = -1; /* how many reads of files on their way in are still well; -1: not armed */
static bool fired;

ssize_t pread (int fd, void *data, size_t len, off_t offset)
{
    char link[64], path[FIXTURE_PATH_MAX];
    if (failing >= 0) {
        snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t path_len = readlink (link, path, sizeof path - 1);
        path[path_len > 0 ? path_len : 0] = 0;
        if (strstr (path, "/ingest/") != NULL && failing-- == 0) {
            fired = true;
            errno = EIO;
            return -1;
        }
    }
    return (ssize_t) syscall (SYS_pread64, fd, data, len, offset);
}

/* ---- one try, in a process of its own */

static struct store_batch *new_batch (uint64_t applied, const char *value, bool large)
{
    struct store_batch *batch = store_batch_new (1, 7, 0, applied, 1);
    static char filling[LARGE_BYTES];
    size_t rows = large ? LARGE_ROWS : ROWS;
    memset (filling, *value, sizeof filling);
    for (size_t i = 0; i < rows; i++) {
        char key[32];
        snprintf (key, sizeof key, "key%06zu", i);
        struct bytes bytes = bytes_of ((const uint8_t *) filling, large ? sizeof filling : 24);
        assert_int_equal (store_batch_put (batch, bytes_text (key), bytes), STATUS_OK);
    }
    return batch;
}

static int write_again (const char *dir, const char *n, bool large)
{
    struct fixture_recovered recovered = {0};
    struct store_error error = {0};
    struct rlimit none = {0, 0};
    setrlimit (RLIMIT_CORE, &none);
    struct store *store = fixture_open (dir, &recovered);
    struct store_batch *batch = new_batch (12, "b", large);
    failing = strtol (n, NULL, 10);
    enum status status = store_state_write (store, &batch, 1, &error);
    _exit (!fired ? EXIT_NOT_FIRED : status == STATUS_OK ? 0 : EXIT_REFUSED);
}

static int run_try (const char *what, const char *dir, unsigned n)
{
    char number[16];
    snprintf (number, sizeof number, "%u", n);
    fflush (NULL);
    pid_t child = fork ();
    assert_true (child >= 0);
    if (child == 0) {
        char self[FIXTURE_PATH_MAX];
        ssize_t len = readlink ("/proc/self/exe", self, sizeof self - 1);
        self[len > 0 ? len : 0] = 0;
        execl (self, "again", what, dir, number, (char *) NULL);
        _exit (127);
    }
    int state;
    assert_int_equal (waitpid (child, &state, 0), child);
    /* RocksDB asserts where it cannot read the last block, which is as good as an end in order. */
    if (WIFSIGNALED (state)) {
        assert_int_equal (WTERMSIG (state), SIGABRT);
        return EXIT_REFUSED;
    }
    int code = WEXITSTATUS (state);
    assert_true (code == 0 || code == EXIT_REFUSED || code == EXIT_NOT_FIRED);
    return code;
}

/* All of the first round, or all of the second one, as the applied index says. */
static void assert_whole (struct store *store, bool large, bool second)
{
    struct store_cursor *cursor;
    struct bytes key, value;
    size_t rows = 0;
    enum status status = store_cursor_open (store, 1, 7, 0, (struct bytes){0}, (struct bytes){0}, false, &cursor);
    assert_int_equal (status, STATUS_OK);
    while ((status = store_cursor_next (cursor, &key, &value)) == STATUS_OK) {
        rows++;
        assert_int_equal (value.data[value.len - 1], second ? 'b' : 'a');
    }
    assert_int_equal (status, STATUS_NOT_FOUND);
    store_cursor_close (&cursor);
    assert_int_equal (rows, large ? LARGE_ROWS : ROWS);
}

/* What stands in the folder after a try that ended so. */
static void judge (const char *dir, int ended, bool large)
{
    struct fixture_recovered recovered = {0};
    struct store_options options = fixture_options ();
    struct store_error error = {0};
    struct store *store = NULL;
    enum status status = store_open (dir, &options, &store, NULL, &error);
    if (status == STATUS_DATA_LOSS) {
        /* One of several files is missing: the others fill this state anew. */
        assert_true (large && ended == EXIT_REFUSED);
        options.state_from_others = true;
        assert_int_equal (store_open (dir, &options, &store, NULL, &error), STATUS_OK);
        assert_int_equal (fixture_recover (store, &recovered, &error), STATUS_OK);
        assert_non_null (recovered.replicas[0].damage);
    } else {
        assert_int_equal (status, STATUS_OK);
        assert_int_equal (fixture_recover (store, &recovered, &error), STATUS_OK);
        assert_null (recovered.replicas[0].damage);
        bool second = recovered.replicas[0].applied_index == 12;
        assert_true (second || (ended == EXIT_REFUSED && recovered.replicas[0].applied_index == 10));
        assert_whole (store, large, second);
    }
    store_close (&store);
    fixture_recovered_close (&recovered);
}

static void each_read_fails (const char *what, bool large)
{
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX];
    struct fixture_recovered recovered = {0};
    struct store_error error = {0};
    fixture_dir (dir);
    strcpy (image, dir);
    strcpy (strrchr (image, '/'), "/image");
    struct store *store = fixture_open (dir, &recovered);
    struct store_turn *turn = store_turn_new (store);
    fixture_found (turn, 1, 7);
    fixture_append (turn, 1, 7, 1, 50, 1);
    fixture_commit (turn);
    struct store_batch *batch = new_batch (10, "a", large);
    assert_int_equal (store_state_write (store, &batch, 1, &error), STATUS_OK);
    store_batch_destroy (&batch);
    assert_int_equal (store_turn_compact (turn, 1, 7, 10, 1, BYTES_LITERAL ("first config")), STATUS_OK);
    fixture_commit (turn);
    store_turn_destroy (&turn);
    store_close (&store);
    fixture_recovered_close (&recovered);
    unsigned n = 0, refused = 0;
    for (int ended = 0; ended != EXIT_NOT_FIRED; n++) {
        fixture_copy_tree (dir, image);
        ended = run_try (what, image, n);
        refused += ended == EXIT_REFUSED;
        judge (image, ended, large);
        fixture_remove_tree (image);
    }
    assert_true (n > 2 && refused > 0);
    fixture_remove (dir);
}

static void test_store_ingest__a_read_that_fails_loses_nothing_of_one_file (void **state)
{
    (void) state;
    each_read_fails ("one", false);
}

static void test_store_ingest__a_read_that_fails_leaves_no_half_of_several_files (void **state)
{
    (void) state;
    each_read_fails ("several", true);
}

int main (int argc, char **argv)
{
    if (argc == 4)
        return write_again (argv[2], argv[3], strcmp (argv[1], "several") == 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_store_ingest__a_read_that_fails_loses_nothing_of_one_file),
        cmocka_unit_test (test_store_ingest__a_read_that_fails_leaves_no_half_of_several_files),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
