/* What a bench found: one JSON object, or a few lines.
 */
#include <stdlib.h>

#include "client/cli/bench.h"

static int by_value (const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;
    return x < y ? -1 : x > y;
}

static double percentile_ms (const uint32_t *sorted_us, size_t count, double share)
{
    if (count == 0)
        return 0;
    size_t at = (size_t) (share * (double) count);
    return sorted_us[at < count ? at : count - 1] / 1000.0;
}

/* All lanes in the first: its counters, its latencies sorted. False: no memory. */
static bool merge (struct bench *bench, struct bench_lane *lanes)
{
    struct bench_lane *all = &lanes[0];
    size_t count = 0;
    for (uint32_t i = 0; i < bench->connections; i++)
        count += lanes[i].latency_count;
    uint32_t *merged = realloc (all->latencies_us, (count + 1) * sizeof *merged);
    if (merged == NULL)
        return false;
    all->latencies_us = merged;
    for (uint32_t i = 1; i < bench->connections; i++) {
        if (lanes[i].latency_count > 0)
            memcpy (merged + all->latency_count, lanes[i].latencies_us, lanes[i].latency_count * sizeof *merged);
        all->latency_count += lanes[i].latency_count;
        all->ops += lanes[i].ops;
        all->refused += lanes[i].refused;
        all->errors += lanes[i].errors;
        all->unknown += lanes[i].unknown;
        all->attempts += lanes[i].attempts;
        if (lanes[i].gap_ns > all->gap_ns)
            all->gap_ns = lanes[i].gap_ns;
        if (all->first_error[0] == '\0')
            memcpy (all->first_error, lanes[i].first_error, sizeof all->first_error);
    }
    qsort (merged, count, sizeof *merged, by_value);
    return true;
}

int bench_report (struct bench *bench, struct bench_lane *lanes, double cpu_s)
{
    static const char *const names[] = {"reserve", "pair", "read", "race"};
    if (!merge (bench, lanes))
        return cli_complain (CLI_FAILED, "no memory for the latencies");
    const struct bench_lane *all = &lanes[0];
    bool race = bench->workload == BENCH_RACE;
    uint64_t done_ns = atomic_load (&bench->race_done_ns);
    uint64_t end_ns = race && done_ns != 0 ? done_ns : bench->end_ns;
    double seconds = (double) (end_ns - bench->begin_ns) / 1e9;
    json_t *object = json_pack ("{s:s, s:i, s:i, s:f, s:I, s:f}", "workload", names[bench->workload], "clients",
        (int) bench->clients, "connections", (int) bench->connections, "seconds", seconds, "ops", (json_int_t) all->ops,
        "ops_per_s", seconds > 0 ? (double) all->ops / seconds : 0.0);
    json_t *rest = json_pack ("{s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:f, s:f}", "p50_ms",
        percentile_ms (all->latencies_us, all->latency_count, .5), "p99_ms",
        percentile_ms (all->latencies_us, all->latency_count, .99), "p999_ms",
        percentile_ms (all->latencies_us, all->latency_count, .999), "max_ms",
        percentile_ms (all->latencies_us, all->latency_count, 1), "refused", (json_int_t) all->refused, "errors",
        (json_int_t) all->errors, "unknown", (json_int_t) all->unknown, "longest_gap_ms", (double) all->gap_ns / 1e6,
        "client_cpu_s", cpu_s);
    json_object_update (object, rest);
    json_decref (rest);
    bool finished = !race || done_ns != 0;
    if (race) {
        json_object_set_new (object, "taken", json_integer ((json_int_t) atomic_load (&bench->taken)));
        json_object_set_new (object, "attempts", json_integer ((json_int_t) all->attempts));
        json_object_set_new (object, "blind", json_boolean (bench->blind));
    }
    if (all->first_error[0] != '\0')
        fprintf (stderr, "maitre: first error: %s\n", all->first_error);
    if (bench->cli->json) {
        cli_print_json (object);
    } else {
        cli_print_people (object);
        json_decref (object);
    }
    return all->errors == 0 && finished ? CLI_OK : CLI_FAILED;
}
