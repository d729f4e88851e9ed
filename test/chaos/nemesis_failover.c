/* How long writes stand still: a leader is hurt while clients write, again and again; of each time the longest wait of any
 * client between two acknowledgements is kept.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "test/chaos/nemesis.h"
#include "test/chaos/nemesis_writer.h"

#define FAULT_MIN_MS 1500 /* how long a fault lasts at least: longer than the goal of any of them */
#define FAULT_MAX_MS 30000
#define SETTLE_MS 1500 /* between two: leaderships are back where they belong */
#define SLOW_SYNC_US 1000000

struct measured {
    double *fault_ms, *heal_ms; /* longest wait: from the fault on, from its end on */
    uint32_t count;
    double p99_before_ms, p99_hurt_ms; /* follower: latencies without and with */
};

static bool is (const struct nemesis *run, const char *fault)
{
    return strcmp (run->options.fault, fault) == 0;
}

static void isolate (struct nemesis *run, uint32_t victim, bool in, bool out, bool clients)
{
    for (uint32_t end = clients ? 0 : 1; end <= run->options.nodes; end++) {
        if (end == victim)
            continue;
        if (in)
            nemesis_drop (run, FAMILY_PARTITION, end, victim, true);
        if (out)
            nemesis_drop (run, FAMILY_PARTITION, victim, end, true);
    }
}

/* One-way cuts take turns: the victim is not heard, the victim does not hear. */
static void strike (struct nemesis *run, uint32_t victim, uint32_t count)
{
    struct nemesis_node *node = &run->nodes[victim];
    if (is (run, "kill"))
        nemesis_node_kill (run, victim);
    else if (is (run, "pause") || is (run, "follower"))
        nemesis_node_pause (run, victim);
    else if (is (run, "partition"))
        isolate (run, victim, true, true, true);
    else if (is (run, "oneway"))
        isolate (run, victim, count % 2 == 1, count % 2 == 0, false);
    else if (is (run, "slowdisk"))
        atomic_store (&node->chaos->sync_delay_us, SLOW_SYNC_US);
    else
        kill (node->pid, SIGTERM); /* transfer: a planned stop */
}

static void heal (struct nemesis *run, uint32_t victim)
{
    memset (run->drops, 0, sizeof run->drops);
    if (run->proxy > 0)
        nemesis_link (run, "heal");
    atomic_store (&run->nodes[victim].chaos->sync_delay_us, 0);
    nemesis_node_resume (run, victim);
    nemesis_node_start (run, victim);
}

/* Who leads the shard that is written to; of all shards, one that is drawn. */
static uint32_t choose (struct nemesis *run, const struct writer_shared *shared)
{
    uint32_t shard = atomic_load (&shared->shard);
    for (int tries = 0; tries < 20; tries++) {
        uint32_t leader = nemesis_leader (run, shard != 0 ? shard : 1 + nemesis_draw (run, run->options.shards));
        if (leader != 0 && is (run, "follower"))
            leader = leader % run->options.nodes + 1;
        if (leader != 0)
            return leader;
        nemesis_sleep_ms (100);
    }
    return 0;
}

/* A planned stop ends by itself. */
static bool watch (struct nemesis *run, uint32_t victim)
{
    struct nemesis_node *node = &run->nodes[victim];
    if (is (run, "transfer") && node->state == NODE_RUNNING) {
        int code = nemesis_wait (node->pid, 0);
        if (code > 0)
            nemesis_broken (run, "node %u did not stop in order: exit %d", victim, code);
        if (code >= 0) {
            node->pid = 0;
            node->state = NODE_DOWN;
        }
    } else if (!is (run, "transfer")) {
        nemesis_nodes_watch (run);
    }
    return !nemesis_interrupted && run->broken == 0;
}

static bool wait_answers (struct nemesis *run, const struct writer_shared *shared, uint32_t victim, uint64_t begin_ns)
{
    for (uint64_t passed_ms = 0; passed_ms < FAULT_MAX_MS; passed_ms = (nemesis_now_ns () - begin_ns) / 1000000) {
        bool stopped = !is (run, "transfer") || run->nodes[victim].state == NODE_DOWN;
        if (passed_ms >= FAULT_MIN_MS && stopped && writer_all_since (shared, run->options.clients, begin_ns))
            return true;
        if (!watch (run, victim))
            return false;
        nemesis_sleep_ms (5);
    }
    nemesis_broken (run, "the writes of some client stand still for %d s", FAULT_MAX_MS / 1000);
    return false;
}

static bool strike_once (struct nemesis *run, struct writer_shared *shared, struct measured *out)
{
    uint32_t clients = run->options.clients;
    if (!nemesis_nodes_ready (run, NEMESIS_READY_MS))
        return false;
    writer_window (shared);
    nemesis_sleep_ms (SETTLE_MS);
    out->p99_before_ms += writer_latency_ms (shared, .99);
    uint32_t victim = choose (run, shared);
    if (victim == 0) {
        nemesis_say ("error: nobody knows who leads");
        return false;
    }
    writer_window (shared);
    uint64_t begin_ns = nemesis_now_ns ();
    strike (run, victim, out->count);
    if (!wait_answers (run, shared, victim, begin_ns))
        return false;
    double fault_ms = (double) writer_gap_ns (shared, clients, nemesis_now_ns ()) / 1e6;
    out->p99_hurt_ms += writer_latency_ms (shared, .99);
    writer_window (shared);
    heal (run, victim);
    if (!nemesis_nodes_ready (run, NEMESIS_READY_MS))
        return false;
    nemesis_sleep_ms (SETTLE_MS);
    double heal_ms = (double) writer_gap_ns (shared, clients, nemesis_now_ns ()) / 1e6;
    out->fault_ms[out->count] = fault_ms;
    out->heal_ms[out->count] = heal_ms;
    out->count++;
    nemesis_note (run, "measured", FAMILY_COUNT, "%s %u of %u, node %u: %.1f ms, afterwards %.1f ms",
        run->options.fault, out->count, run->options.kills, victim, fault_ms, heal_ms);
    return true;
}

static int by_value (const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return x < y ? -1 : x > y;
}

/* Of sorted values: the smallest that a share of them does not exceed. */
static double share_of (const double *sorted, uint32_t count, double share)
{
    uint32_t at = (uint32_t) (share * count + 0.999999);
    return count == 0 ? 0 : sorted[at == 0 ? 0 : at - 1 < count ? at - 1 : count - 1];
}

static void report (struct nemesis *run, struct measured *m, const struct writer_shared *shared)
{
    const struct nemesis_options *options = &run->options;
    qsort (m->fault_ms, m->count, sizeof (double), by_value);
    qsort (m->heal_ms, m->count, sizeof (double), by_value);
    double median = share_of (m->fault_ms, m->count, .5), p99 = share_of (m->fault_ms, m->count, .99);
    double worst = share_of (m->fault_ms, m->count, 1), heal_median = share_of (m->heal_ms, m->count, .5);
    double heal_p99 = share_of (m->heal_ms, m->count, .99), heal_worst = share_of (m->heal_ms, m->count, 1);
    double before = m->count == 0 ? 0 : m->p99_before_ms / m->count,
           hurt = m->count == 0 ? 0 : m->p99_hurt_ms / m->count;
    unsigned long long acknowledged = atomic_load (&shared->acknowledged), failed = atomic_load (&shared->failed);
    unsigned long long unknown = atomic_load (&shared->unknown);
    if (options->json)
        printf ("{\"fault\":\"%s\",\"shards\":\"%s\",\"kills\":%u,\"clients\":%u,\"network\":\"%s\","
                "\"gap_ms\":{\"median\":%.1f,\"p99\":%.1f,\"worst\":%.1f},"
                "\"healing_gap_ms\":{\"median\":%.1f,\"p99\":%.1f,\"worst\":%.1f},"
                "\"latency_p99_ms\":{\"before\":%.2f,\"hurt\":%.2f},\"acknowledged\":%llu,\"failed\":%llu,\"unknown\":%"
                "llu}\n",
            options->fault, options->shards_hit, m->count, options->clients,
            options->network == NETWORK_NONE    ? "loopback"
            : options->network == NETWORK_NETNS ? "netns"
                                                : "proxy",
            median, p99, worst, heal_median, heal_p99, heal_worst, before, hurt, acknowledged, failed, unknown);
    else
        printf ("%-10s %-4s %5s %10s %10s %10s   %s\n%-10s %-4s %5u %10.1f %10.1f %10.1f   %.1f, %.1f, %.1f\n"
                "latency p99 %.2f ms before, %.2f ms while it lasted; %llu acknowledged, %llu failed, %llu unknown\n",
            "fault", "hits", "times", "median ms", "p99 ms", "worst ms", "while healing", options->fault,
            options->shards_hit, m->count, median, p99, worst, heal_median, heal_p99, heal_worst, before, hurt,
            acknowledged, failed, unknown);
}

enum nemesis_exit nemesis_failover (struct nemesis *run)
{
    bool links = is (run, "partition") || is (run, "oneway");
    if (!links)
        run->options.network = NETWORK_NONE;
    run->options.families = 0;
    if (run->options.clients > WRITER_CLIENTS_MAX || !run->preloaded || !nemesis_up (run))
        return NEMESIS_FAILED;
    struct writer_shared *shared = writer_start (run, strcmp (run->options.shards_hit, "all") == 0, &run->load);
    struct measured measured = {.fault_ms = calloc (run->options.kills, sizeof (double)),
        .heal_ms = calloc (run->options.kills, sizeof (double))};
    bool fine = shared != NULL && measured.fault_ms != NULL && measured.heal_ms != NULL;
    nemesis_sleep_ms (fine ? SETTLE_MS : 0);
    while (fine && measured.count < run->options.kills)
        fine = strike_once (run, shared, &measured);
    if (shared != NULL)
        report (run, &measured, shared);
    free (measured.fault_ms);
    free (measured.heal_ms);
    return run->broken > 0 ? NEMESIS_VIOLATION : fine ? NEMESIS_FINE : NEMESIS_FAILED;
}
