/* Failpoints: their words, their conditions, what each action does to the process, and that they cost nothing unasked. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "node/failpoint/failpoint.h"

static char error[FAILPOINT_ERROR_BYTES];

static int forbid (void **state)
{
    (void) state;
    failpoint_forbid ();
    return 0;
}

static void allow (const char *settings)
{
    assert_int_equal (failpoint_allow (settings, error), STATUS_OK);
}

static enum status set (const char *name, const char *setting)
{
    return failpoint_set (bytes_text (name), bytes_text (setting), error);
}

static struct failpoint_row row_of (enum failpoint_id id)
{
    struct failpoint_row row;
    failpoint_row (id, &row);
    return row;
}

/* How often the point says "fail" in so many passes; bit i of *pattern is pass i. */
static unsigned passes (enum failpoint_id id, unsigned count, uint64_t *pattern)
{
    unsigned fails = 0;
    *pattern = 0;
    for (unsigned i = 0; i < count; i++) {
        bool fail = failpoint (id);
        fails += fail;
        *pattern |= (uint64_t) fail << i;
    }
    return fails;
}

static void test_failpoint__is_silent_until_faults_are_allowed (void **state)
{
    (void) state;
    assert_int_equal (set ("log.write.before", "error"), STATUS_FAILED_PRECONDITION);
    assert_non_null (strstr (error, "faults = 1"));
    assert_false (failpoint (FAILPOINT_LOG_WRITE_BEFORE));
    assert_int_equal (row_of (FAILPOINT_LOG_WRITE_BEFORE).hits, 0);
}

static void test_failpoint__has_sixty_points_with_names_of_their_own (void **state)
{
    (void) state;
    assert_true (FAILPOINT_COUNT >= 60);
    for (unsigned i = 0; i < FAILPOINT_COUNT; i++) {
        struct failpoint_row row = row_of ((enum failpoint_id) i);
        assert_true (strlen (row.name) <= FAILPOINT_NAME_BYTES_MAX);
        assert_int_equal (strspn (row.name, "abcdefghijklmnopqrstuvwxyz_."), strlen (row.name));
        assert_true (row.what[0] != '\0' && strlen (row.what) <= 120 && row.when[0] != '\0');
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal (row.name, row_of ((enum failpoint_id) k).name);
    }
}

static void test_failpoint__counts_what_passes_and_what_it_did (void **state)
{
    (void) state;
    uint64_t pattern;
    allow ("send.raft.before=drop,after:2");
    assert_int_equal (passes (FAILPOINT_SEND_RAFT_BEFORE, 5, &pattern), 3);
    struct failpoint_row row = row_of (FAILPOINT_SEND_RAFT_BEFORE);
    assert_int_equal (row.hits, 5);
    assert_int_equal (row.fired, 3);
    assert_string_equal (row.setting, "drop,after:2");
    assert_int_equal (row_of (FAILPOINT_SEND_RAFT_AFTER).hits, 0);
}

static void test_failpoint__error_names_its_errno (void **state)
{
    (void) state;
    allow ("log.write.before=error:ENOSPC;file.sync.before=error");
    errno = 0;
    assert_true (failpoint (FAILPOINT_LOG_WRITE_BEFORE));
    assert_int_equal (errno, ENOSPC);
    char *text = failpoint_text (FAILPOINT_LOG_WRITE_BEFORE);
    assert_non_null (strstr (text, "log.write.before"));
    assert_non_null (strstr (text, "No space left"));
    free (text);
    assert_true (failpoint (FAILPOINT_FILE_SYNC_BEFORE));
    assert_int_equal (errno, EIO);
    assert_int_equal (set ("log.write.before", "off"), STATUS_OK);
    assert_false (failpoint (FAILPOINT_LOG_WRITE_BEFORE));
}

static void test_failpoint__conditions_choose_the_passes (void **state)
{
    (void) state;
    uint64_t pattern;
    allow (NULL);
    assert_int_equal (set ("receive.raft", "drop,once"), STATUS_OK);
    assert_int_equal (passes (FAILPOINT_RECEIVE_RAFT, 4, &pattern), 1);
    assert_int_equal (pattern, 1);
    assert_string_equal (row_of (FAILPOINT_RECEIVE_RAFT).setting, "off");
    assert_int_equal (set ("receive.raft", "drop,every:3"), STATUS_OK);
    assert_int_equal (passes (FAILPOINT_RECEIVE_RAFT, 9, &pattern), 3);
    assert_int_equal (pattern, 0x124);
    assert_int_equal (set ("receive.raft", "drop,after:2,every:3,once"), STATUS_OK);
    assert_int_equal (passes (FAILPOINT_RECEIVE_RAFT, 9, &pattern), 1);
    assert_int_equal (pattern, 0x10);
}

static void test_failpoint__a_seed_draws_the_same_passes (void **state)
{
    (void) state;
    uint64_t first, again, other;
    allow ("receive.raft=drop,chance:30:7");
    unsigned fails = passes (FAILPOINT_RECEIVE_RAFT, 64, &first);
    assert_in_range (fails, 8, 32);
    assert_int_equal (set ("receive.raft", "drop,chance:30:7"), STATUS_OK);
    assert_int_equal (passes (FAILPOINT_RECEIVE_RAFT, 64, &again), fails);
    assert_true (first == again);
    assert_int_equal (set ("receive.raft", "drop,chance:30:8"), STATUS_OK);
    passes (FAILPOINT_RECEIVE_RAFT, 64, &other);
    assert_true (first != other);
}

static void test_failpoint__prints_what_it_parses (void **state)
{
    (void) state;
    static const char *const settings[] = {"off", "crash", "exit:3", "exit:70", "panic", "delay:60000",
        "error:ECONNREFUSED,after:4294967295,every:4294967295,chance:100:4294967295,once", "error:ENOMEM,once",
        "crash,chance:1:1"};
    allow (NULL);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        assert_int_equal (set ("log.write.before", settings[i]), STATUS_OK);
        assert_string_equal (row_of (FAILPOINT_LOG_WRITE_BEFORE).setting, settings[i]);
    }
    assert_int_equal (set ("log.write.before", "exit"), STATUS_OK);
    assert_string_equal (row_of (FAILPOINT_LOG_WRITE_BEFORE).setting, "exit:70");
}

static void test_failpoint__refuses_what_it_does_not_know (void **state)
{
    (void) state;
    static const char *const settings[] = {"", "crush", "crash:1", "exit:256", "exit:", "exit:-1", "delay", "delay:0",
        "delay:60001", "delay:1x", "error:5", "error:EFOO", "error,", "off,sometimes", "crash,after", "crash,after:0",
        "crash,every:0", "crash,chance:0", "crash,chance:101", "crash,chance:5:x", "crash,once:1", "crash,,once",
        "delay:99999999999999999999"};
    allow (NULL);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        strcpy (error, "");
        bool trailing = strcmp (settings[i], "error,") == 0; /* an empty end is no condition */
        assert_int_equal (set ("log.write.before", settings[i]), trailing ? STATUS_OK : STATUS_INVALID_ARGUMENT);
        assert_true (trailing || error[0] != '\0');
    }
    assert_int_equal (set ("log.write", "crash"), STATUS_NOT_FOUND);
    assert_int_equal (set ("", "crash"), STATUS_NOT_FOUND);
}

static void test_failpoint__refuses_to_fail_what_could_not (void **state)
{
    (void) state;
    allow (NULL);
    assert_int_equal (set ("persist.entries.before", "error"), STATUS_INVALID_ARGUMENT);
    assert_int_equal (set ("persist.entries.before", "drop"), STATUS_INVALID_ARGUMENT);
    assert_int_equal (set ("send.raft.before", "error"), STATUS_INVALID_ARGUMENT);
    assert_int_equal (set ("log.write.before", "drop"), STATUS_INVALID_ARGUMENT);
    assert_int_equal (set ("persist.entries.before", "crash"), STATUS_OK);
}

static void test_failpoint__takes_the_environments_list_as_a_whole_or_not_at_all (void **state)
{
    (void) state;
    assert_int_equal (failpoint_allow ("receive.raft=drop;nope=crash", error), STATUS_INVALID_ARGUMENT);
    assert_false (failpoint (FAILPOINT_RECEIVE_RAFT));
    assert_int_equal (failpoint_allow ("receive.raft", error), STATUS_INVALID_ARGUMENT);
    assert_int_equal (failpoint_allow ("receive.raft=drop;;send.ack.before=drop,once;", error), STATUS_OK);
    assert_true (failpoint (FAILPOINT_RECEIVE_RAFT));
    assert_true (failpoint (FAILPOINT_SEND_ACK_BEFORE));
}

/* How a process ends that passes the point. */
static int end_of (const char *setting)
{
    allow (NULL);
    assert_int_equal (set ("log.write.before", setting), STATUS_OK);
    pid_t pid = fork ();
    assert_true (pid >= 0);
    if (pid == 0) {
        int null = open ("/dev/null", O_WRONLY);
        dup2 (null, STDERR_FILENO);
        signal (SIGABRT, SIG_DFL); /* cmocka catches it */
        failpoint_pass (FAILPOINT_LOG_WRITE_BEFORE);
        _exit (0);
    }
    int status;
    assert_int_equal (waitpid (pid, &status, 0), pid);
    return status;
}

static void test_failpoint__ends_the_process_as_asked (void **state)
{
    (void) state;
    int status = end_of ("crash");
    assert_true (WIFSIGNALED (status) && WTERMSIG (status) == SIGKILL);
    status = end_of ("panic");
    assert_true (WIFSIGNALED (status) && WTERMSIG (status) == SIGABRT);
    status = end_of ("exit:9");
    assert_true (WIFEXITED (status) && WEXITSTATUS (status) == 9);
    status = end_of ("off");
    assert_true (WIFEXITED (status) && WEXITSTATUS (status) == 0);
}

static uint64_t mono_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static void test_failpoint__delays_and_goes_on (void **state)
{
    (void) state;
    allow ("log.write.before=delay:30,once");
    uint64_t before = mono_ms ();
    assert_false (failpoint (FAILPOINT_LOG_WRITE_BEFORE));
    assert_true (mono_ms () - before >= 30);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown (test_failpoint__is_silent_until_faults_are_allowed, forbid),
        cmocka_unit_test_teardown (test_failpoint__has_sixty_points_with_names_of_their_own, forbid),
        cmocka_unit_test_teardown (test_failpoint__counts_what_passes_and_what_it_did, forbid),
        cmocka_unit_test_teardown (test_failpoint__error_names_its_errno, forbid),
        cmocka_unit_test_teardown (test_failpoint__conditions_choose_the_passes, forbid),
        cmocka_unit_test_teardown (test_failpoint__a_seed_draws_the_same_passes, forbid),
        cmocka_unit_test_teardown (test_failpoint__prints_what_it_parses, forbid),
        cmocka_unit_test_teardown (test_failpoint__refuses_what_it_does_not_know, forbid),
        cmocka_unit_test_teardown (test_failpoint__refuses_to_fail_what_could_not, forbid),
        cmocka_unit_test_teardown (test_failpoint__takes_the_environments_list_as_a_whole_or_not_at_all, forbid),
        cmocka_unit_test_teardown (test_failpoint__ends_the_process_as_asked, forbid),
        cmocka_unit_test_teardown (test_failpoint__delays_and_goes_on, forbid),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
