/* maitred_sim --seed N [--seeds COUNT] ...: the command line of the simulator; each seed runs twice. */
#include "test/sim/sim.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schemas/runtime/assert.h"
#include "schemas/runtime/checksum.h"
#include "test/sim/number.h"
#include "test/sim/planted.h"

static struct sim_options running; /* for whoever reads of an abort */

/* ---- small helpers ---- */

void sim_grow (void *array, size_t *size, size_t count, size_t item_size)
{
    void **items = array;
    if (count < *size)
        return;
    *size = *size == 0 ? 16 : 2 * *size;
    *items = realloc (*items, *size * item_size);
    maitre_assert (*items != NULL);
}

void *sim_copy (const void *data, size_t len)
{
    void *copy = malloc (len + 1);
    maitre_assert (copy != NULL);
    if (len > 0)
        memcpy (copy, data, len);
    return copy;
}

void sim_trace (struct sim *sim, const char *format, ...)
{
    char line[400];
    va_list arguments;
    va_start (arguments, format);
    int len = vsnprintf (line, sizeof line, format, arguments);
    va_end (arguments);
    if (len >= (int) sizeof line)
        len = (int) sizeof line - 1;
    sim->hash = checksum64 (sim->hash ^ sim->time_us, bytes_of (line, (size_t) len));
    if (sim->options.trace)
        printf ("%10.3f %s\n", (double) sim->time_us / 1000.0, line);
}

/* The command that does it again, into `text`. */
static const char *again (const struct sim_options *options, char *text, size_t size)
{
    char families[32] = "";
    if (options->families_set)
        snprintf (families, sizeof families, " --families %x", options->families);
    snprintf (text, size, "again: maitred_sim --seed %lu --duration %lu%s%s --trace\n", (unsigned long) options->seed,
        (unsigned long) options->duration_ms, families, options->services ? " --services" : "");
    return text;
}

void sim_fail (const struct sim *sim, const char *format, ...)
{
    va_list arguments;
    char text[200];
    fflush (stdout);
    fprintf (stderr, "seed %lu at %.3f ms, families %x: ", (unsigned long) sim->options.seed,
        (double) sim->time_us / 1000.0, sim->families);
    va_start (arguments, format);
    vfprintf (stderr, format, arguments);
    va_end (arguments);
    fprintf (stderr, "\n%s", again (&sim->options, text, sizeof text));
    exit (1);
}

static void on_abort (int number)
{
    char text[240];
    fflush (stdout);
    size_t len = (size_t) snprintf (text, sizeof text, "while running seed %lu\n", (unsigned long) running.seed);
    again (&running, text + len, sizeof text - len);
    ssize_t written = write (2, text, strlen (text));
    (void) written;
    (void) number;
}

uint64_t sim_new_replica (struct sim *sim, uint32_t node)
{
    uint64_t id = ++sim->replicas_made;
    while (sim->replica_nodes_size <= id)
        sim_grow (&sim->replica_nodes, &sim->replica_nodes_size, sim->replica_nodes_size, sizeof *sim->replica_nodes);
    sim->replica_nodes[id] = node;
    while (sim->voted_terms_size <= id)
        sim_grow (&sim->voted_terms, &sim->voted_terms_size, sim->voted_terms_size, sizeof *sim->voted_terms);
    while (sim->voted_for_size <= id)
        sim_grow (&sim->voted_for, &sim->voted_for_size, sim->voted_for_size, sizeof *sim->voted_for);
    sim->voted_terms[id] = sim->voted_for[id] = 0;
    return id;
}

uint32_t sim_node_of (const struct sim *sim, uint64_t replica)
{
    maitre_assert (replica > 0);
    maitre_assert (replica <= sim->replicas_made);
    return sim->replica_nodes[replica];
}

/* ---- the command line ---- */

static void usage (FILE *out)
{
    fprintf (out,
        "usage: maitred_sim --seed N [--seeds COUNT] [--duration MS] [--families HEX] [--services | --any]\n"
        "                   [--trace] [--stats] [--once] [--draw]\n"
        "\n"
        "  --services      whole nodes with their services instead of bare Raft groups\n"
        "  --any           the seed draws which of the two\n"
        "  --seed N        the first one, 0 to 999999999999999999; --seeds COUNT: so many, 1 to 1000000000000\n"
        "  --duration MS   of the faults, before everything heals (1 to 86400000, default 8000)\n"
        "  --families HEX  exactly these fault families instead of those that the seed draws (0 to 3ffffff)\n"
        "  --trace         every step; --stats: one JSON line a seed; --draw: only what the seed draws\n"
        "  --once          without the second run, which must give the same trace\n"
        "  --plant NAME    with that guard of the product missing; --plants lists them (-DMAITRED_PLANTED=ON)\n"
        "\n"
        "example: maitred_sim --services --seed 7 --trace\n");
}

static void add (struct sim_counts *total, const struct sim_counts *counts)
{
    const uint64_t *from = (const uint64_t *) counts;
    uint64_t *to = (uint64_t *) total;
    for (size_t i = 0; i < sizeof *total / sizeof *to; i++)
        to[i] += from[i];
}

static void print_stats (const struct sim_options *options, const struct sim_result *result, bool ran)
{
    const struct sim_counts *c = &result->counts;
    printf ("{\"seed\":%lu,\"model\":\"%s\",\"duration_ms\":%lu,\"families\":\"%x\"", (unsigned long) options->seed,
        options->services ? "services" : "raft", (unsigned long) options->duration_ms, result->families);
    if (ran) {
        printf (
            ",\"nodes\":%u,\"shards\":%u,\"simulated_ms\":%lu,\"settle_ms\":%lu,\"noticed_ms\":%lu,\"silent_ms\":%lu",
            result->nodes, result->shards, (unsigned long) (result->simulated_us / 1000),
            (unsigned long) (result->settle_us / 1000), (unsigned long) (result->noticed_us / 1000),
            (unsigned long) (result->silent_us / 1000));
        printf (",\"elections\":%lu,\"applied\":%lu,\"writes\":%lu,\"reads\":%lu,\"unknown\":%lu,\"repeated\":%lu"
                ",\"restores\":%lu,\"changes\":%lu,\"together\":%lu,\"lists\":%lu,\"faults\":{",
            (unsigned long) c->elections, (unsigned long) c->applied, (unsigned long) c->writes,
            (unsigned long) c->reads, (unsigned long) c->unknown, (unsigned long) c->repeated,
            (unsigned long) c->restores, (unsigned long) c->changes, (unsigned long) c->together,
            (unsigned long) c->lists);
        for (unsigned i = 0, some = 0; i < SIM_FAMILIES; i++)
            if (c->faults[i] > 0)
                printf ("%s\"%s\":%lu", some++ ? "," : "", sim_family_names[i], (unsigned long) c->faults[i]);
        printf ("}");
    }
    printf ("}\n");
    fflush (stdout);
}

/* splitmix64 of the seed: independent of what the run draws. */
static bool draws_services (uint64_t seed)
{
    struct sim_random random = {seed ^ UINT64_C (0x5eed)};
    return sim_random_next (&random) % 4 != 0;
}

static bool one_seed (const struct sim_options *options, bool once, bool stats, struct sim_counts *total)
{
    struct sim_result result;
    running = *options;
    uint64_t first = sim_run (options, &result);
    add (total, &result.counts);
    if (!once) {
        struct sim_options quiet = *options;
        quiet.trace = false;
        if (sim_run (&quiet, NULL) != first) {
            char text[200];
            fprintf (stderr, "seed %lu: two runs, two traces\n%s", (unsigned long) options->seed,
                again (options, text, sizeof text));
            return false;
        }
    }
    if (stats)
        print_stats (options, &result, true);
    return true;
}

static bool flag (const char *argument, const char *name, bool *value)
{
    bool is = strcmp (argument, name) == 0;
    *value = *value || is;
    return is;
}

static bool is_number (const char *option)
{
    return strcmp (option, "--seed") == 0 || strcmp (option, "--seeds") == 0 || strcmp (option, "--duration") == 0 ||
           strcmp (option, "--families") == 0;
}

static bool take_number (struct sim_options *options, uint64_t *seeds, const char *option, const char *text)
{
    uint64_t families = 0;
    if (strcmp (option, "--seed") == 0)
        return number_within (option, text, 10, 0, NUMBER_SEED_MAX, &options->seed);
    if (strcmp (option, "--seeds") == 0)
        return number_within (option, text, 10, 1, NUMBER_SEEDS_MAX, seeds);
    if (strcmp (option, "--duration") == 0)
        return number_within (option, text, 10, 1, NUMBER_DURATION_MAX_MS, &options->duration_ms);
    if (!number_within (option, text, 16, 0, (UINT64_C (1) << SIM_FAMILIES) - 1, &families))
        return false;
    options->families = (uint32_t) families;
    options->families_set = true;
    return true;
}

int main (int argc, char **argv)
{
    struct sim_options options = {.seed = 1, .duration_ms = 8000};
    struct sim_counts total = {0};
    uint64_t seeds = 1;
    bool any = false, stats = false, once = false, draw = false, help = false;
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (flag (argv[i], "--trace", &options.trace) || flag (argv[i], "--services", &options.services) ||
            flag (argv[i], "--any", &any) || flag (argv[i], "--stats", &stats) || flag (argv[i], "--once", &once) ||
            flag (argv[i], "--draw", &draw) || flag (argv[i], "--help", &help)) {
            continue;
        } else if (strcmp (argv[i], "--plants") == 0) {
            return planted_print () ? 0 : 1;
        } else if (more && strcmp (argv[i], "--plant") == 0) {
            if (!planted_choose (argv[++i]))
                return 2;
            once = true;
        } else if (more && is_number (argv[i])) {
            if (!take_number (&options, &seeds, argv[i], argv[i + 1]))
                return 2;
            i++;
        } else {
            usage (stderr);
            return 2;
        }
    }
    if (help) {
        usage (stdout);
        return 0;
    }
    signal (SIGABRT, on_abort);
    for (uint64_t i = 0; i < seeds; i++, options.seed++) {
        if (any)
            options.services = draws_services (options.seed);
        if (draw)
            print_stats (&options, &(struct sim_result){.families = sim_draw (&options)}, false);
        else if (!one_seed (&options, once, stats, &total))
            return 1;
    }
    if (draw || stats)
        return 0;
    printf (
        "%lu seeds: elections %lu, applied %lu, writes %lu, reads %lu, unknown %lu, repeated %lu, refused %lu, "
        "snapshots %lu, restores %lu, rotten %lu, cleared %lu, changes %lu, behind holes %lu whole %lu doubtful %lu "
        "emptied, twins %lu\n",
        (unsigned long) seeds, (unsigned long) total.elections, (unsigned long) total.applied,
        (unsigned long) total.writes, (unsigned long) total.reads, (unsigned long) total.unknown,
        (unsigned long) total.repeated, (unsigned long) total.refused, (unsigned long) total.snapshots,
        (unsigned long) total.restores, (unsigned long) total.suspects, (unsigned long) total.cleared,
        (unsigned long) total.changes, (unsigned long) total.certain, (unsigned long) total.doubtful,
        (unsigned long) total.emptied, (unsigned long) total.twins);
    return 0;
}
