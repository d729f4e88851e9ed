/* Workers: one process of the simulator a core, some seeds each, read line by line. */
#include "test/sim/run/simulate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS_MAX 40
#define BATCH_MAX 25

uint64_t simulate_clock_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

static _Noreturn void become (const struct simulate *self, const char *const *arguments)
{
    const char *all[ARGUMENTS_MAX] = {self->simulator};
    size_t n = 1;
    for (size_t i = 0; arguments[i] && n < ARGUMENTS_MAX - 1; i++)
        all[n++] = arguments[i];
    for (size_t i = 0; i < self->extra_count && n < ARGUMENTS_MAX - 1; i++)
        all[n++] = self->extra[i];
    execv (self->simulator, (char *const *) (uintptr_t) all);
    fprintf (stderr, "%s: %s\n", self->simulator, strerror (errno));
    _exit (127);
}

static void pipe_or_die (int ends[2])
{
    if (pipe2 (ends, O_CLOEXEC) == 0)
        return;
    perror ("pipe");
    exit (3);
}

static pid_t fork_or_die (void)
{
    fflush (stdout);
    fflush (stderr);
    pid_t pid = fork ();
    if (pid >= 0)
        return pid;
    perror ("fork");
    exit (3);
}

/* ---- many seeds */

static void start (struct simulate *self, struct simulate_worker *worker, uint64_t from, uint64_t count)
{
    char seed[24], seeds[24];
    int out[2], err[2];
    worker->next = from;
    worker->end = from + count;
    worker->line_len = worker->why_len = 0;
    snprintf (seed, sizeof seed, "%lu", (unsigned long) from);
    snprintf (seeds, sizeof seeds, "%lu", (unsigned long) count);
    pipe_or_die (out);
    pipe_or_die (err);
    worker->pid = fork_or_die ();
    if (worker->pid == 0) {
        signal (SIGINT, SIG_IGN); /* of the terminal: what was begun is counted */
        const char *arguments[] = {"--any", "--stats", "--seed", seed, "--seeds", seeds, NULL};
        dup2 (out[1], 1);
        dup2 (err[1], 2);
        become (self, arguments);
    }
    close (out[1]);
    close (err[1]);
    worker->out = out[0];
    worker->err = err[0];
}

static void start_next (struct simulate *self, struct simulate_worker *worker)
{
    uint64_t left = self->seeds == 0 ? BATCH_MAX : self->from + self->seeds - self->next_seed;
    uint64_t share = left / (2 * self->jobs) + 1; /* so that the cores end together */
    uint64_t count = share < BATCH_MAX ? share : BATCH_MAX;
    start (self, worker, self->next_seed, count);
    self->next_seed += count;
}

static void take_line (struct simulate *self, struct simulate_worker *worker)
{
    worker->line[worker->line_len] = '\0';
    worker->line_len = 0;
    simulate_count (self, worker->line);
    worker->next++;
    self->passed++;
}

static void take_output (struct simulate *self, struct simulate_worker *worker)
{
    char buffer[4096];
    ssize_t n = read (worker->out, buffer, sizeof buffer);
    if (n <= 0) {
        close (worker->out);
        worker->out = -1;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (buffer[i] == '\n')
            take_line (self, worker);
        else if (worker->line_len < sizeof worker->line - 1)
            worker->line[worker->line_len++] = buffer[i];
    }
}

static void take_words (struct simulate_worker *worker)
{
    char buffer[512];
    ssize_t n = read (worker->err, buffer, sizeof buffer);
    if (n <= 0) {
        close (worker->err);
        worker->err = -1;
        return;
    }
    for (ssize_t i = 0; i < n && worker->why_len < sizeof worker->why - 1; i++)
        worker->why[worker->why_len++] = buffer[i];
}

static void end (struct simulate *self, struct simulate_worker *worker)
{
    int status;
    struct rusage usage;
    if (wait4 (worker->pid, &status, 0, &usage) == worker->pid)
        self->cpu_us += (uint64_t) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                        (uint64_t) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    worker->pid = 0;
    bool ok = WIFEXITED (status) && WEXITSTATUS (status) == 0 && worker->next == worker->end;
    if (ok || self->failures_count == SIMULATE_FAILURES_MAX)
        return;
    worker->why[worker->why_len] = '\0';
    struct simulate_failure *failure = &self->failures[self->failures_count++];
    failure->seed = worker->next;
    size_t len = strcspn (worker->why, "\n"); /* what follows says how to run it again */
    snprintf (failure->why, sizeof failure->why, "%.*s", (int) len, worker->why);
    if (self->failures_count < SIMULATE_FAILURES_MAX && worker->next + 1 < worker->end)
        start (self, worker, worker->next + 1, worker->end - worker->next - 1);
}

static bool more (const struct simulate *self)
{
    if (self->failures_count == SIMULATE_FAILURES_MAX || simulate_interrupted ())
        return false;
    if (self->seeds != 0)
        return self->next_seed < self->from + self->seeds;
    return simulate_clock_us () - self->started_us < self->budget_us;
}

static size_t collect (struct simulate *self, struct pollfd *polls, struct simulate_worker **of)
{
    size_t n = 0;
    for (uint32_t i = 0; i < self->jobs; i++) {
        struct simulate_worker *worker = &self->workers[i];
        int ends[2] = {worker->out, worker->err};
        for (int j = 0; worker->pid != 0 && j < 2; j++) {
            if (ends[j] < 0)
                continue;
            of[n] = worker;
            polls[n++] = (struct pollfd){.fd = ends[j], .events = POLLIN};
        }
    }
    return n;
}

void simulate_all (struct simulate *self)
{
    struct pollfd polls[2 * SIMULATE_JOBS_MAX];
    struct simulate_worker *of[2 * SIMULATE_JOBS_MAX];
    self->next_seed = self->from;
    self->started_us = simulate_clock_us ();
    self->budget_us = self->minutes * 60 * 1000000;
    for (;;) {
        bool busy = false;
        for (uint32_t i = 0; i < self->jobs; i++) {
            struct simulate_worker *worker = &self->workers[i];
            if (worker->pid != 0 && worker->out < 0 && worker->err < 0)
                end (self, worker);
            if (worker->pid == 0 && more (self))
                start_next (self, worker);
            busy = busy || worker->pid != 0;
        }
        if (!busy)
            break;
        size_t n = collect (self, polls, of);
        if (poll (polls, (nfds_t) n, 500) < 0 && errno != EINTR) {
            perror ("poll");
            exit (3);
        }
        for (size_t i = 0; i < n; i++) {
            if (polls[i].revents == 0)
                continue;
            if (polls[i].fd == of[i]->out)
                take_output (self, of[i]);
            else
                take_words (of[i]);
        }
        simulate_progress (self, false);
    }
    simulate_progress (self, true);
}

/* ---- one seed */

bool simulate_once (
    const struct simulate *self, const char *const *arguments, char *why, size_t size, const char *trace)
{
    int err[2], status = 0;
    size_t len = 0;
    char buffer[512];
    ssize_t n;
    pipe_or_die (err);
    pid_t pid = fork_or_die ();
    if (pid == 0) {
        int out = open (trace ? trace : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2 (out, 1);
        dup2 (err[1], 2);
        become (self, arguments);
    }
    close (err[1]);
    while ((n = read (err[0], buffer, sizeof buffer)) > 0)
        for (ssize_t i = 0; i < n; i++)
            if (len < size - 1)
                why[len++] = buffer[i];
    why[len] = '\0';
    close (err[0]);
    if (waitpid (pid, &status, 0) != pid)
        return false;
    return !WIFEXITED (status) || WEXITSTATUS (status) != 0;
}
