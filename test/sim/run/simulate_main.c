/* maitred_simulate: the command line; scripts/simulate builds it and hands its arguments over. */
#include "test/sim/run/simulate.h"

#include "test/sim/number.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MINUTES_MAX 525600

static void usage (FILE *out)
{
    fprintf (out,
        "usage: maitred_simulate --simulator FILE (--seeds N | --minutes M) [--from SEED] [--jobs J] [--json] "
        "[--quiet]\n"
        "                        [-- SIMULATOR OPTION ...]\n"
        "\n"
        "Each seed draws nodes, shards, model and fault families, runs twice, and must do the same both times.\n"
        "--seeds 1 to 1000000000000, --minutes 1 to 525600, --from 0 to 999999999999999999, --jobs 1 to 256.\n"
        "Exit status: 0 every seed passed; 1 one failed (what to run again is printed); 2 usage; 130 interrupted: no "
        "seed\n"
        "is begun any more, those under way end, and the summary says where to go on. Twice interrupted it ends at "
        "once.\n");
}

static volatile sig_atomic_t interrupted;

/* The first time the seeds under way are run to their end, the second time at once. */
static void on_interrupt (int number)
{
    if (interrupted)
        signal (number, SIG_DFL);
    interrupted = 1;
}

bool simulate_interrupted (void)
{
    return interrupted != 0;
}

static bool parse (struct simulate *self, int argc, char **argv)
{
    uint64_t jobs;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp (argv[i], "--json") == 0) {
            self->json = true;
        } else if (strcmp (argv[i], "--quiet") == 0) {
            self->quiet = true;
        } else if (strcmp (argv[i], "--simulator") == 0 && value) {
            self->simulator = argv[++i];
        } else if (strcmp (argv[i], "--seeds") == 0) {
            if (!number_within (argv[i++], value, 10, 1, NUMBER_SEEDS_MAX, &self->seeds))
                return false;
        } else if (strcmp (argv[i], "--minutes") == 0) {
            if (!number_within (argv[i++], value, 10, 1, MINUTES_MAX, &self->minutes))
                return false;
        } else if (strcmp (argv[i], "--from") == 0) {
            if (!number_within (argv[i++], value, 10, 0, NUMBER_SEED_MAX, &self->from))
                return false;
        } else if (strcmp (argv[i], "--jobs") == 0) {
            if (!number_within (argv[i++], value, 10, 1, SIMULATE_JOBS_MAX, &jobs))
                return false;
            self->jobs = (uint32_t) jobs;
        } else if (strcmp (argv[i], "--") == 0) {
            for (i++; i < argc && self->extra_count < SIMULATE_EXTRA_MAX; i++)
                self->extra[self->extra_count++] = argv[i];
        } else {
            return false;
        }
    }
    return self->simulator && (self->seeds == 0) != (self->minutes == 0);
}

int main (int argc, char **argv)
{
    static struct simulate self = {.from = 1};
    if (argc > 1 && strcmp (argv[1], "--help") == 0) {
        usage (stdout);
        return 0;
    }
    if (!parse (&self, argc, argv)) {
        usage (stderr);
        return 2;
    }
    if (self.jobs == 0) {
        long cores = sysconf (_SC_NPROCESSORS_ONLN);
        self.jobs = cores < 1 ? 1 : cores > SIMULATE_JOBS_MAX ? SIMULATE_JOBS_MAX : (uint32_t) cores;
    }
    signal (SIGPIPE, SIG_IGN);
    struct sigaction interrupt = {.sa_handler = on_interrupt}; /* no SA_RESTART: poll is to return */
    sigaction (SIGINT, &interrupt, NULL);
    sigaction (SIGTERM, &interrupt, NULL);
    simulate_all (&self);
    for (size_t i = 0; i < self.failures_count; i++)
        simulate_shrink (&self, &self.failures[i]);
    simulate_report (&self);
    if (self.failures_count == 0 && simulate_interrupted ())
        return 130;
    return self.failures_count == 0 && self.passed > 0 ? 0 : 1;
}
