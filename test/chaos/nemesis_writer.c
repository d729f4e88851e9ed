/* The writing clients of a fail-over measurement.
 */
#include "test/chaos/nemesis_writer.h"

#include <maitre.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "test/chaos/nemesis.h"

#define LAST_BUCKET 4000000000u
#define DEADLINE_MS 30000 /* longer than any fault: nobody gives up */
#define SLOW_MS 150       /* a call that takes longer is told, for a look at what the nodes did meanwhile */

struct writer;

struct writer_client {
    struct writer *writer;
    uint32_t number, turn;
    uint64_t started_ns;
};

struct writer {
    struct writer_shared *shared;
    struct maitre *client;
    struct maitre_id offers[WRITER_SHARDS_MAX];
    uint32_t offer_count, next_bucket;
    struct writer_client clients[WRITER_CLIENTS_MAX];
};

static uint32_t bucket_of (uint64_t us)
{
    uint32_t doubling = 0;
    while (us >> doubling >= 32)
        doubling++;
    uint32_t at = doubling * 16 + (uint32_t) (us >> doubling);
    return at < WRITER_BUCKETS ? at : WRITER_BUCKETS - 1;
}

/* The largest number of microseconds that falls into it. */
static uint64_t bucket_end_us (uint32_t bucket)
{
    uint32_t doubling = bucket < 32 ? 0 : bucket / 16 - 1;
    return (((uint64_t) (bucket - doubling * 16) + 1) << doubling) - 1;
}

static void next (struct writer_client *client);

static void answered (struct maitre *handle, uint64_t call, const struct maitre_reply *reply, void *user)
{
    (void) handle;
    (void) call;
    struct writer_client *client = user;
    struct writer_shared *shared = client->writer->shared;
    uint64_t now_ns = nemesis_now_ns (), window = atomic_load (&shared->window);
    uint64_t before_ns = atomic_load (&shared->clients[client->number].answered_ns);
    if (reply->status != MAITRE_OK) {
        atomic_fetch_add (reply->maybe_applied ? &shared->unknown : &shared->failed, 1);
        fprintf (stderr, "%s: %s after %.1f ms, at %.3f s: %s\n", reply->maybe_applied ? "unknown" : "failed",
            reply->reason, (double) (now_ns - client->started_ns) / 1e6, (double) now_ns / 1e9, reply->message);
        next (client);
        return;
    }
    uint64_t gap_ns = before_ns == 0 ? 0 : now_ns - before_ns;
    if (now_ns - client->started_ns > SLOW_MS * UINT64_C (1000000)) /* by the clock of nemesis.jsonl */
        fprintf (stderr, "slow: %.1f ms until %.3f s, attempts %u, offer %u of %u, client %u, window %lu\n",
            (double) (now_ns - client->started_ns) / 1e6, (double) now_ns / 1e9, reply->attempts,
            (client->turn - 1) % client->writer->offer_count, client->writer->offer_count, client->number,
            (unsigned long) window);
    if (atomic_load (&shared->clients[client->number].window) != window ||
        gap_ns > atomic_load (&shared->clients[client->number].gap_ns)) {
        atomic_store (&shared->clients[client->number].gap_ns, gap_ns);
        atomic_store (&shared->clients[client->number].window, window);
    }
    atomic_store (&shared->clients[client->number].answered_ns, now_ns);
    atomic_fetch_add (&shared->latencies[bucket_of ((now_ns - client->started_ns) / 1000)], 1);
    atomic_fetch_add (&shared->acknowledged, 1);
    next (client);
}

static void next (struct writer_client *client)
{
    struct writer *writer = client->writer;
    struct maitre_item item = {
        .offer = writer->offers[client->turn++ % writer->offer_count], .first = writer->next_bucket++};
    struct maitre_reserve request = {.reservation = maitre_id_beside (writer->client, &item.offer),
        .mode = MAITRE_BOOK,
        .items = &item,
        .items_count = 1,
        .customer = maitre_id_random (writer->client)};
    client->started_ns = nemesis_now_ns ();
    if (maitre_reserve_create_start (writer->client, &request, NULL, answered, client, NULL) != MAITRE_OK) {
        fprintf (stderr, "chaos writer: %s\n", maitre_error (writer->client)->message);
        _exit (1);
    }
}

/* One provider and offer on that shard, by trying groups until one falls there. */
static bool make_offer (struct writer *writer, uint32_t shard, uint32_t shards)
{
    struct maitre_provider provider = {.kind = MAITRE_HOTEL, .name = "failover"};
    char group[64];
    uint32_t try = 0;
    do {
        snprintf (group, sizeof group, "failover-%u-%u", shard, try++);
        provider.provider = maitre_id_provider (writer->client, group);
    } while (1 + maitre_id_hash (&provider.provider) % shards != shard);
    provider.group = group;
    struct maitre_offer offer = {.provider = provider.provider,
        .kind = MAITRE_SLOT,
        .name = "slot",
        .price_minor = 1,
        .currency = "GBP",
        .last_bucket = LAST_BUCKET,
        .capacity = 1};
    offer.offer = maitre_id_beside (writer->client, &provider.provider);
    writer->offers[writer->offer_count++] = offer.offer;
    return maitre_put_provider (writer->client, &provider, NULL) == MAITRE_OK &&
           maitre_put_offer (writer->client, &offer, NULL) == MAITRE_OK;
}

static bool prepare (struct writer *writer, const struct nemesis *run, bool every_shard)
{
    char path[NEMESIS_PATH];
    struct maitre_options options;
    struct maitre_error error;
    maitre_options_init (&options);
    options.cluster_file = path;
    options.token = run->token;
    options.deadline_ms = DEADLINE_MS;
    uint32_t shards = run->options.shards;
    if (!nemesis_path (path, run->cluster, "client/chaos.client") ||
        maitre_new (&options, &writer->client, &error) != MAITRE_OK ||
        maitre_connect (writer->client, 10000) != MAITRE_OK)
        return false;
    uint32_t one = 1 + (uint32_t) (run->options.seed % shards);
    for (uint32_t shard = 1; shard <= shards && shard <= WRITER_SHARDS_MAX; shard++)
        if ((every_shard || shard == one) && !make_offer (writer, shard, shards))
            return false;
    atomic_store (&writer->shared->shard, every_shard ? 0 : one);
    return true;
}

static void write_for_ever (struct writer_shared *shared, struct nemesis *run, bool every_shard)
{
    static struct writer writer;
    writer.shared = shared;
    if (!prepare (&writer, run, every_shard)) {
        fprintf (
            stderr, "chaos writer: %s\n", writer.client == NULL ? "no handle" : maitre_error (writer.client)->message);
        _exit (1);
    }
    for (uint32_t i = 0; i < run->options.clients; i++) {
        writer.clients[i] = (struct writer_client){.writer = &writer, .number = i, .turn = i};
        next (&writer.clients[i]);
    }
    atomic_store (&shared->ready, 1);
    while (maitre_process (writer.client, 1000) >= 0) {
    }
    _exit (1);
}

struct writer_shared *writer_start (struct nemesis *run, bool every_shard, pid_t *pid)
{
    struct writer_shared *shared =
        mmap (NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return NULL;
    pid_t parent = getpid ();
    *pid = fork ();
    if (*pid == 0) {
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        if (getppid () != parent)
            _exit (1);
        setpgid (0, 0);
        signal (SIGTERM, SIG_DFL);
        if (run->client_space >= 0)
            nemesis_enter (run->client_space);
        write_for_ever (shared, run, every_shard);
    }
    for (int i = 0; i < 1500 && atomic_load (&shared->ready) == 0; i++) {
        nemesis_sleep_ms (20);
        if (*pid < 0 || nemesis_wait (*pid, 0) >= 0) {
            nemesis_say ("error: the writing clients did not start");
            *pid = 0;
            return NULL;
        }
    }
    return shared;
}

void writer_window (struct writer_shared *shared)
{
    for (uint32_t i = 0; i < WRITER_BUCKETS; i++)
        atomic_store (&shared->latencies[i], 0);
    atomic_fetch_add (&shared->window, 1);
}

uint64_t writer_gap_ns (const struct writer_shared *shared, uint32_t clients, uint64_t now_ns)
{
    uint64_t longest_ns = 0, window = atomic_load (&shared->window);
    for (uint32_t i = 0; i < clients; i++) {
        uint64_t answered_ns = atomic_load (&shared->clients[i].answered_ns);
        uint64_t gap_ns = answered_ns < now_ns ? now_ns - answered_ns : 0;
        if (atomic_load (&shared->clients[i].window) == window && atomic_load (&shared->clients[i].gap_ns) > gap_ns)
            gap_ns = atomic_load (&shared->clients[i].gap_ns);
        longest_ns = gap_ns > longest_ns ? gap_ns : longest_ns;
    }
    return longest_ns;
}

bool writer_all_since (const struct writer_shared *shared, uint32_t clients, uint64_t since_ns)
{
    for (uint32_t i = 0; i < clients; i++)
        if (atomic_load (&shared->clients[i].answered_ns) <= since_ns)
            return false;
    return true;
}

double writer_latency_ms (const struct writer_shared *shared, double share)
{
    uint64_t all = 0, seen = 0;
    for (uint32_t i = 0; i < WRITER_BUCKETS; i++)
        all += atomic_load (&shared->latencies[i]);
    for (uint32_t i = 0; i < WRITER_BUCKETS; i++) {
        seen += atomic_load (&shared->latencies[i]);
        if (all > 0 && (double) seen >= share * (double) all)
            return (double) bucket_end_us (i) / 1000.0;
    }
    return 0;
}
