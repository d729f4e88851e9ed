/* scripts/simulate's engine: runs seeds on all cores, sums up, shrinks what failed.
 *
 * Room: test/sim/run, a program beside the simulator, which it starts as a process of its own: a process that fails or dies
 * takes nothing with it. Ownership: one struct simulate owns everything. Thread safety: none, one thread.
 *
 * Invariants
 *  1. Every seed that was begun is either counted as passed, by the simulator's own line, or becomes the failure of its worker.
 *  2. A failing seed is run again before it is reported: what is printed has been seen to fail with exactly that command.
 */
#ifndef MAITRED_TEST_SIM_RUN_SIMULATE_H
#define MAITRED_TEST_SIM_RUN_SIMULATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SIMULATE_JOBS_MAX 256
#define SIMULATE_KINDS_MAX 64
#define SIMULATE_FAILURES_MAX 5 /* then no more seeds are begun */
#define SIMULATE_EXTRA_MAX 16

struct simulate_kind {
    char name[24];
    uint64_t count;
};

struct simulate_failure {
    uint64_t seed;
    char why[400];     /* the simulator's own words */
    char command[400]; /* that does it again */
    char trace[200];   /* file */
    uint32_t families; /* after shrinking */
    uint64_t duration_ms;
    bool services, reproduced;
};

struct simulate_worker {
    pid_t pid; /* 0: idle */
    int out;   /* its standard output */
    int err;
    uint64_t next, end; /* seeds: next is being run */
    char line[4096];
    size_t line_len;
    char why[400];
    size_t why_len;
};

struct simulate {
    /* options */
    const char *simulator;
    uint64_t from, seeds; /* seeds 0: until the time is over */
    uint64_t minutes;
    uint32_t jobs;
    bool json, quiet;
    const char *extra[SIMULATE_EXTRA_MAX]; /* handed on to the simulator */
    size_t extra_count;
    /* state */
    uint64_t next_seed, passed, started_us, budget_us;
    struct simulate_worker workers[SIMULATE_JOBS_MAX];
    struct simulate_failure failures[SIMULATE_FAILURES_MAX];
    size_t failures_count;
    /* sums */
    uint64_t simulated_ms, settle_ms_max, settle_seed, cpu_us;
    uint64_t noticed_ms_max, silent_ms_max; /* the longest fail-overs */
    uint64_t elections, applied, writes, reads, unknown, repeated, restores, changes, services;
    struct simulate_kind kinds[SIMULATE_KINDS_MAX];
    size_t kinds_count;
};

/* simulate_main.c: begin no more seeds */
bool simulate_interrupted (void);

/* simulate_worker.c */
void simulate_all (struct simulate *self);
/* Runs the simulator with these arguments to its end; true when it failed. Its last words of standard error go to why,
 * its standard output to `trace` when that is not NULL. */
bool simulate_once (
    const struct simulate *self, const char *const *arguments, char *why, size_t size, const char *trace);
uint64_t simulate_clock_us (void);

/* simulate_shrink.c: fills in what the failure lacks */
void simulate_shrink (const struct simulate *self, struct simulate_failure *failure);

/* simulate_report.c */
void simulate_count (struct simulate *self, const char *line);
void simulate_progress (const struct simulate *self, bool last);
void simulate_report (const struct simulate *self);

#endif
