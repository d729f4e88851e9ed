/* What the store costs: turns a second, table operations, write-back, recovery. bench_store [FOLDER] [SECONDS]. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "node/store/store_log.h"
#include "node/store/store_state.h"
#include "node/store/table.h"

#define ENTRIES 64
#define ENTRY_BYTES 150
#define TABLE_KEYS 100000

static double now_s (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static double cpu_s (void)
{
    struct rusage usage;
    getrusage (RUSAGE_SELF, &usage);
    return (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void need (enum status status, const struct store_error *error)
{
    if (status != STATUS_OK) {
        fprintf (stderr, "status %d: %s\n", status, error != NULL ? error->text : "");
        exit (1);
    }
}

static int latency_order (const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;
    return x < y ? -1 : x > y;
}

/* Entries of one turn spread over `shards` shards; each shard is compacted now and then, as the engine does. */
static void bench_turns (struct store *store, uint32_t shards, double seconds)
{
    static uint64_t next[64];
    static uint32_t latencies[1000000];
    struct store_turn *turn = store_turn_new (store);
    struct store_error error;
    uint8_t payload[ENTRY_BYTES];
    memset (payload, 'p', sizeof payload);
    uint64_t replica_base = (uint64_t) shards * 1000;
    for (uint32_t shard = 0; shard < shards; shard++) {
        next[shard] = 1;
        need (store_turn_compact (turn, shard, replica_base + shard, 0, 0, BYTES_LITERAL ("config")), NULL);
        need (store_turn_hard_state (turn, shard, replica_base + shard, 1, 1), NULL);
    }
    need (store_turn_commit (turn, &error), &error);
    size_t turns = 0;
    double build = 0, began = now_s (), cpu = cpu_s ();
    while (now_s () - began < seconds && turns < sizeof latencies / sizeof *latencies) {
        double at = now_s ();
        store_turn_reset (turn);
        for (uint32_t shard = 0; shard < shards; shard++) {
            struct store_entry entries[ENTRIES];
            size_t n = ENTRIES / shards;
            for (size_t i = 0; i < n; i++)
                entries[i] = (struct store_entry){
                    .index = next[shard]++, .term = 1, .type = 1, .payload = bytes_of (payload, sizeof payload)};
            need (store_turn_append (turn, shard, replica_base + shard, 0, entries, n), NULL);
        }
        if (turns % 5000 == 4999) {
            for (uint32_t shard = 0; shard < shards; shard++)
                need (store_turn_compact (
                          turn, shard, replica_base + shard, next[shard] - 1, 1, BYTES_LITERAL ("config")),
                    NULL);
        }
        double built = now_s ();
        build += built - at;
        need (store_turn_commit (turn, &error), &error);
        latencies[turns++] = (uint32_t) ((now_s () - built) * 1e6);
    }
    double took = now_s () - began;
    cpu = cpu_s () - cpu;
    qsort (latencies, turns, sizeof *latencies, latency_order);
    printf ("turns shards=%u entries=%d bytes=%d turns_per_s=%.0f entries_per_s=%.0f build_us=%.1f commit_p50_us=%u "
            "commit_p99_us=%u commit_max_us=%u cpu_us_per_entry=%.2f\n",
        shards, ENTRIES, ENTRY_BYTES, (double) turns / took, (double) turns * ENTRIES / took,
        build * 1e6 / (double) turns, latencies[turns / 2], latencies[turns * 99 / 100], latencies[turns - 1],
        cpu * 1e6 / (double) (turns * ENTRIES));
    for (uint32_t shard = 0; shard < shards; shard++) {
        store_turn_reset (turn);
        need (store_turn_remove (turn, shard, replica_base + shard), NULL);
        need (store_turn_commit (turn, &error), &error);
    }
    store_turn_destroy (&turn);
}

/* Keys like the services': a table byte, an id that begins with its time, a few bytes more. */
static void make_key (uint8_t key[33], uint64_t i)
{
    uint64_t mixed = (i + 1) * UINT64_C (0x9E3779B97F4A7C15);
    memset (key, 0, 33);
    key[0] = (uint8_t) (2 + i % 5);
    bytes_put_u32 (key + 1, (uint32_t) (i / 50));
    bytes_put_u64 (key + 7, mixed);
    bytes_put_u64 (key + 15, mixed * mixed);
    bytes_put_u64 (key + 23, i);
}

static void bench_table (struct store *store, double seconds)
{
    struct table_budget budget = {.max_bytes = (size_t) 1 << 30};
    struct table *table = table_new (store, &budget, 60, 1, 0, true);
    struct state *state = table_state (table);
    uint8_t key[33], value[150] = {0};
    uint64_t random = 88172645463325252u, operations = 0;
    double began = now_s ();
    for (uint64_t i = 0; i < TABLE_KEYS; i++) {
        make_key (key, i);
        state_put (state, bytes_of (key, sizeof key), bytes_of (value, sizeof value));
    }
    printf ("table insert keys=%d ns=%.0f bytes=%zu\n", TABLE_KEYS, (now_s () - began) * 1e9 / TABLE_KEYS,
        table_bytes (table));
    struct bytes found;
    began = now_s ();
    for (int k = 0; k < 1000000; k++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        make_key (key, random % TABLE_KEYS);
        operations += state_get (state, bytes_of (key, sizeof key), &found);
    }
    printf ("table get ns=%.0f\n", (now_s () - began) * 1e9 / 1000000);
    began = now_s ();
    for (int k = 0; k < 1000000; k++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        make_key (key, random % TABLE_KEYS);
        state_put (state, bytes_of (key, sizeof key), bytes_of (value, sizeof value));
    }
    printf ("table put ns=%.0f (found %llu)\n", (now_s () - began) * 1e9 / 1000000, (unsigned long long) operations);

    uint64_t bookings = 0;
    double end = (began = now_s ()) + seconds;
    while (now_s () < end) {
        for (int k = 0; k < 1000; k++, bookings++) {
            for (int op = 0; op < 10; op++) {
                random ^= random << 13, random ^= random >> 7, random ^= random << 17;
                make_key (key, op < 8 ? random % TABLE_KEYS : TABLE_KEYS + bookings * 2 + (uint64_t) op);
                if (op < 4)
                    state_get (state, bytes_of (key, sizeof key), &found);
                else
                    state_put (state, bytes_of (key, sizeof key), bytes_of (value, sizeof value));
            }
        }
        if (bookings >= 400000)
            break;
    }
    printf ("table booking (4 gets, 6 puts of which 2 new) us=%.2f\n", (now_s () - began) * 1e6 / (double) bookings);

    struct store_batch *batch = NULL;
    struct store_error error;
    double copied, longest = 0;
    began = now_s ();
    need (table_write_back_begin (table, 1, 1), NULL);
    for (bool done = false; !done;) {
        double at = now_s ();
        done = table_write_back_step (table, 1000, &batch);
        if (now_s () - at > longest)
            longest = now_s () - at;
    }
    copied = now_s ();
    size_t rows = store_batch_count (batch);
    double cpu = cpu_s ();
    need (store_state_write (store, &batch, 1, &error), &error);
    double wrote = now_s ();
    printf ("write-back rows=%zu copy_ns_per_row=%.0f longest_step_of_1000_us=%.0f write_ns_per_row=%.0f "
            "write_cpu_ns_per_row=%.0f\n",
        rows, (copied - began) * 1e9 / (double) rows, longest * 1e6, (wrote - copied) * 1e9 / (double) rows,
        (cpu_s () - cpu) * 1e9 / (double) rows);
    store_batch_destroy (&batch);
    table_write_back_done (table);
    table_destroy (&table);

    table = table_new (store, &budget, 60, 1, 0, true);
    began = now_s ();
    need (table_load_all (table), NULL);
    printf ("load rows=%zu ns_per_row=%.0f\n", table_count (table), (now_s () - began) * 1e9 / (double) rows);
    table_destroy (&table);

    table = table_new (store, &budget, 60, 1, 0, false);
    began = now_s ();
    for (uint64_t i = 0; i < 20000; i++) {
        make_key (key, i * 37 % TABLE_KEYS);
        state_get (table_state (table), bytes_of (key, sizeof key), &found);
    }
    printf ("miss (from RocksDB) us=%.2f\n", (now_s () - began) * 1e6 / 20000);
    table_destroy (&table);
}

static void ignore_replica (void *argument, const struct store_replica *replica)
{
    (void) argument;
    (void) replica;
}

static void count_entry (void *argument, uint32_t shard, uint64_t replica, const struct store_entry *entry)
{
    (void) shard;
    (void) replica;
    *(uint64_t *) argument += entry->index > 0;
}

static struct store *open_store (const char *dir)
{
    struct store_options options = {.cluster = {.b = {1}}, .node = 1, .background_nice = true};
    struct store *store = NULL;
    struct store_error error;
    uint64_t entries = 0;
    double began = now_s ();
    need (store_open (dir, &options, &store, NULL, &error), &error);
    struct store_recovery recovery = {.argument = &entries, .replica = ignore_replica, .entry = count_entry};
    double opened = now_s ();
    need (store_log_recover (store, &recovery, &error), &error);
    printf ("open ms=%.1f recover ms=%.1f entries=%llu\n", (opened - began) * 1e3, (now_s () - opened) * 1e3,
        (unsigned long long) entries);
    return store;
}

int main (int argc, char **argv)
{
    char above[] = "/tmp/maitred-bench-XXXXXX", dir[512];
    double seconds = argc > 2 ? atof (argv[2]) : 3;
    if (argc < 2 && mkdtemp (above) == NULL)
        return 1;
    snprintf (dir, sizeof dir, "%s/data", argc > 1 ? argv[1] : above);
    struct store *store = open_store (dir);
    bench_turns (store, 1, seconds);
    bench_turns (store, 64, seconds);
    bench_table (store, seconds);
    store_close (&store);
    store = open_store (dir);
    store_close (&store);
    printf ("left in %s\n", dir);
    return 0;
}
