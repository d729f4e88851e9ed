/* How long writes stand still: a leader is hurt while clients write, again and again; of each time the longest wait of any
 * client between two acknowledgements is kept.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "test/chaos/nemesis.h"
#include "test/chaos/nemesis_writer.h"

#define FAULT_MAX_MS 30000
#define SETTLE_MS 200 /* before a fault, and after healing is over */
#define LOOK_MS 20    /* between two looks at the nodes */
#define SLOW_SYNC_US 1000000

/* How long a fault lasts at least: a cut longer than it takes until links break, a pause longer than its goal. */
static const struct {
    const char *fault;
    uint32_t least_ms;
} lasting[] = {{"kill", 400}, {"transfer", 400}, {"pause", 1000}, {"partition", 1300}, {"oneway", 1300},
    {"slowdisk", 1300}, {"follower", 1000}};

struct measured {
    double *fault_ms, *heal_ms,
        *back_ms; /* longest wait: from the fault on, from its end on; until nobody was behind */
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

static uint64_t least_ms (const struct nemesis *run)
{
    for (size_t i = 0; i < sizeof lasting / sizeof lasting[0]; i++)
        if (is (run, lasting[i].fault))
            return lasting[i].least_ms;
    return 1000;
}

static bool wait_answers (struct nemesis *run, const struct writer_shared *shared, uint32_t victim, uint64_t begin_ns)
{
    for (uint64_t passed_ms = 0; passed_ms < FAULT_MAX_MS; passed_ms = (nemesis_now_ns () - begin_ns) / 1000000) {
        bool stopped = !is (run, "transfer") || run->nodes[victim].state == NODE_DOWN;
        if (passed_ms >= least_ms (run) && stopped && writer_all_since (shared, run->options.clients, begin_ns))
            return true;
        if (!watch (run, victim))
            return false;
        nemesis_sleep_ms (5);
    }
    nemesis_broken (run, "the writes of some client stand still for %d s", FAULT_MAX_MS / 1000);
    return false;
}

/* Until every node is ready and no replica would be missed: else the next fault is the second one of its shards. */
static bool wait_back (struct nemesis *run, uint64_t begin_ns, double *out_ms)
{
    uint64_t end_ms = nemesis_now_ms () + NEMESIS_READY_MS;
    if (!nemesis_nodes_ready (run, NEMESIS_READY_MS))
        return false;
    for (uint32_t node = 1; node <= run->options.nodes;) {
        if (!watch (run, 0))
            return false;
        if (nemesis_metric (run, node, "replicas_behind") == 0) {
            node++;
            continue;
        }
        if (nemesis_now_ms () >= end_ms) {
            nemesis_broken (
                run, "a replica of a shard that node %u leads is behind for %d s", node, NEMESIS_READY_MS / 1000);
            return false;
        }
        nemesis_sleep_ms (LOOK_MS);
        node = 1;
    }
    *out_ms = (double) (nemesis_now_ns () - begin_ns) / 1e6;
    return true;
}

static bool strike_once (struct nemesis *run, struct writer_shared *shared, struct measured *out)
{
    uint32_t clients = run->options.clients;
    writer_window (shared);
    nemesis_sleep_ms (is (run, "follower") ? least_ms (run) : SETTLE_MS);
    out->p99_before_ms += writer_latency_ms (shared, .99);
    uint32_t victim = choose (run, shared);
    if (victim == 0) {
        nemesis_say ("error: nobody knows who leads");
        return false;
    }
    writer_window (shared);
    uint64_t begin_ns = nemesis_now_ns ();
    nemesis_note (run, "strike", FAMILY_COUNT, "%s of node %u", run->options.fault, victim);
    strike (run, victim, out->count);
    if (!wait_answers (run, shared, victim, begin_ns))
        return false;
    double fault_ms = (double) writer_gap_ns (shared, clients, nemesis_now_ns ()) / 1e6, back_ms = 0;
    out->p99_hurt_ms += writer_latency_ms (shared, .99);
    writer_window (shared);
    uint64_t healed_ns = nemesis_now_ns ();
    heal (run, victim);
    if (!wait_back (run, healed_ns, &back_ms))
        return false;
    nemesis_sleep_ms (SETTLE_MS);
    double heal_ms = (double) writer_gap_ns (shared, clients, nemesis_now_ns ()) / 1e6;
    out->fault_ms[out->count] = fault_ms;
    out->heal_ms[out->count] = heal_ms;
    out->back_ms[out->count] = back_ms;
    out->count++;
    nemesis_note (run, "measured", FAMILY_COUNT, "%s %u of %u, node %u: %.1f ms, afterwards %.1f ms, back in %.1f ms",
        run->options.fault, out->count, run->options.kills, victim, fault_ms, heal_ms, back_ms);
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

struct shares {
    double median, p99, worst;
};

static struct shares shares_of (double *values, uint32_t count)
{
    qsort (values, count, sizeof *values, by_value);
    return (struct shares){share_of (values, count, .5), share_of (values, count, .99), share_of (values, count, 1)};
}

static void put_shares (const char *name, struct shares shares)
{
    printf ("\"%s\":{\"median\":%.1f,\"p99\":%.1f,\"worst\":%.1f},", name, shares.median, shares.p99, shares.worst);
}

static void report (struct nemesis *run, struct measured *m, const struct writer_shared *shared)
{
    const struct nemesis_options *options = &run->options;
    struct shares gap = shares_of (m->fault_ms, m->count), healing = shares_of (m->heal_ms, m->count);
    struct shares back = shares_of (m->back_ms, m->count);
    double before = m->count == 0 ? 0 : m->p99_before_ms / m->count,
           hurt = m->count == 0 ? 0 : m->p99_hurt_ms / m->count;
    unsigned long long acknowledged = atomic_load (&shared->acknowledged), failed = atomic_load (&shared->failed);
    unsigned long long unknown = atomic_load (&shared->unknown);
    if (options->json) {
        printf ("{\"fault\":\"%s\",\"shards\":\"%s\",\"kills\":%u,\"clients\":%u,\"network\":\"%s\",", options->fault,
            options->shards_hit, m->count, options->clients,
            options->network == NETWORK_NONE    ? "loopback"
            : options->network == NETWORK_NETNS ? "netns"
                                                : "proxy");
        put_shares ("gap_ms", gap);
        put_shares ("healing_gap_ms", healing);
        put_shares ("back_ms", back);
        printf (
            "\"latency_p99_ms\":{\"before\":%.2f,\"hurt\":%.2f},\"acknowledged\":%llu,\"failed\":%llu,\"unknown\":%llu,"
            "\"broken\":%u}\n",
            before, hurt, acknowledged, failed, unknown, run->broken);
    } else {
        printf ("%-10s %-4s %5s %10s %10s %10s   %s\n%-10s %-4s %5u %10.1f %10.1f %10.1f   %.1f, %.1f, %.1f\n"
                "latency p99 %.2f ms before, %.2f ms while it lasted; everybody back in %.1f ms (p99 %.1f); %llu "
                "acknowledged, %llu failed, %llu unknown\n",
            "fault", "hits", "times", "median ms", "p99 ms", "worst ms", "while healing", options->fault,
            options->shards_hit, m->count, gap.median, gap.p99, gap.worst, healing.median, healing.p99, healing.worst,
            before, hurt, back.median, back.p99, acknowledged, failed, unknown);
    }
    fflush (stdout);
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
        .heal_ms = calloc (run->options.kills, sizeof (double)),
        .back_ms = calloc (run->options.kills, sizeof (double))};
    double back_ms;
    bool fine = shared != NULL && measured.fault_ms != NULL && measured.heal_ms != NULL && measured.back_ms != NULL;
    fine = fine && wait_back (run, nemesis_now_ns (), &back_ms);
    while (fine && measured.count < run->options.kills && !nemesis_interrupted)
        fine = strike_once (run, shared, &measured);
    if (shared != NULL && measured.count > 0) /* of an interrupted run, what it has */
        report (run, &measured, shared);
    free (measured.fault_ms);
    free (measured.heal_ms);
    free (measured.back_ms);
    return run->broken > 0 ? NEMESIS_VIOLATION : fine ? NEMESIS_FINE : NEMESIS_FAILED;
}
