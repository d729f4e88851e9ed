/* A test that fails each allocation once, every try in a process of its own: this program again, with --child SCENARIO N.
 * MAITRED_ALLOC_ALL=1 tries every N. The test has `scenarios` and calls alloc_try_child first in main.
 *
 * Room: test/support. A try may pass, or end at an assertion that says "there is no going on" (node/README.md, Memory).
 */
#ifndef MAITRED_TEST_SUPPORT_ALLOC_TRY_H
#define MAITRED_TEST_SUPPORT_ALLOC_TRY_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/support/alloc_fault.h"
#include "test/support/thorough.h"

#define EXIT_NOT_FIRED 42
/* The first ones all, later ones in strides. */
#define TRIES_EACH THOROUGH (120)
#define STRIDE(n) (1 + (n) / THOROUGH (16))

struct alloc_scenario {
    const char *name;
    void (*run) (void **state); /* calls alloc_fault_at (alloc_failing) where the failures begin */
};

static unsigned long alloc_failing;

/* What an assertion may say when memory is out: half a step must not be seen. Anything else is a bug. */
static const char *const alloc_documented[] = {
    "raft_effects.c",
    "bigger != NULL",
    "output.c",
    "fresh != NULL",
    "output.c",
    "items != NULL",
    "shard_calls.c",
    "waiting->memory != NULL",
    "shard_calls.c",
    "ring != NULL",
    "shard_snapshot_send.c",
    "chunk->data != NULL",
};

static inline int alloc_try_child (const struct alloc_scenario *scenarios, size_t count, char **argv)
{
    const char *name = argv[2];
    alloc_failing = strtoul (argv[3], NULL, 10);
    for (size_t i = 0; i < count; i++) {
        if (strcmp (scenarios[i].name, name) != 0)
            continue;
        const struct CMUnitTest tests[] = {{name, scenarios[i].run, NULL, NULL, NULL}};
        int failed = cmocka_run_group_tests (tests, NULL, NULL);
        return failed != 0 ? 1 : alloc_fault_fired () ? 0 : EXIT_NOT_FIRED;
    }
    return 2;
}

/* Runs this program again; what it says on standard error goes to *said. */
static inline int alloc_try_one (const char *name, unsigned long n, char *said, size_t said_size)
{
    int both[2];
    char program[4096]; /* not /proc/self/exe itself: under valgrind that is valgrind, to execl alone */
    ssize_t length = readlink ("/proc/self/exe", program, sizeof program - 1);
    assert_true (length > 0);
    program[length] = '\0';
    assert_int_equal (pipe (both), 0);
    pid_t pid = fork ();
    assert_true (pid >= 0);
    if (pid == 0) {
        char number[24];
        snprintf (number, sizeof number, "%lu", n);
        dup2 (both[1], STDERR_FILENO);
        dup2 (both[1], STDOUT_FILENO);
        close (both[0]);
        execl (program, program, "--child", name, number, (char *) NULL);
        _exit (3);
    }
    close (both[1]);
    size_t len = 0;
    char spill[512];
    for (;;) {
        bool room = len + 1 < said_size;
        ssize_t got = room ? read (both[0], said + len, said_size - 1 - len) : read (both[0], spill, sizeof spill);
        if (got <= 0)
            break;
        len += room ? (size_t) got : 0;
    }
    said[len] = '\0';
    close (both[0]);
    int status;
    assert_int_equal (waitpid (pid, &status, 0), pid);
    return status;
}

static inline bool alloc_documented_end (const char *said)
{
    const char *line = strstr (said, "assertion failed: ");
    if (line == NULL)
        return false;
    for (size_t i = 0; i < sizeof alloc_documented / sizeof *alloc_documented; i += 2) {
        size_t len = strlen (alloc_documented[i + 1]);
        const char *condition = line + strlen ("assertion failed: ");
        if (strstr (said, alloc_documented[i]) != NULL && strncmp (condition, alloc_documented[i + 1], len) == 0)
            return true;
    }
    return false;
}

static inline void alloc_try_all (const char *name)
{
    static char said[16384];
    bool all = getenv ("MAITRED_ALLOC_ALL") != NULL;
    unsigned long tries = 0, ended = 0, n = 1;
    for (;; n += all || n < TRIES_EACH ? 1 : STRIDE (n)) {
        int status = alloc_try_one (name, n, said, sizeof said);
        tries++;
        if (WIFEXITED (status) && WEXITSTATUS (status) == EXIT_NOT_FIRED)
            break;
        if (WIFEXITED (status) && WEXITSTATUS (status) == 0)
            continue;
        if (!WIFSIGNALED (status) || WTERMSIG (status) != SIGABRT || !alloc_documented_end (said))
            fail_msg ("%s, allocation %lu: status 0x%x: %s", name, n, (unsigned) status, said);
        ended++;
    }
    assert_true (tries > 1); /* something allocates at all */
    printf ("%s: %lu tries up to allocation %lu, %lu ended at a documented assertion\n", name, tries, n, ended);
}

#endif
