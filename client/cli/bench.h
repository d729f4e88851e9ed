/* maitre bench: closed-loop clients, multiplexed over a few handles, each handle on a thread of its own.
 *
 * Room: client/cli. Comparable with what other systems are measured by: a client sends its next request when the last
 * one was answered, warm-up is not counted, only successes are operations, latencies are of successes.
 *
 *   reserve  books one fresh (resource, slot) of 1000 resources: number n is resource n % 1000, slot n / 1000
 *   pair     books the same slot of a hotel and a band at once, both of one placement group, at most two a customer
 *            in each; 500 hotels, 500 bands, 1000 customers drawn at random; every (hotel, slot), (band, slot) is fresh
 *   read     reads one of 10,000 reservations, linearizable
 *   race     all clients take the 500 slots of one offer: blind, each the earliest that it has not tried; otherwise each
 *            near the earliest free one that the last refusal named
 *
 * Thread safety: `struct bench` is read-only once the lanes run, but for its atomics and the log (a stdio lock).
 */
#ifndef MAITRE_BENCH_H
#define MAITRE_BENCH_H

#include <stdatomic.h>
#include <stdio.h>

#include "client/cli/cli.h"

#define BENCH_RESOURCES 1000
#define BENCH_PAIR_SIDE 500
#define BENCH_CUSTOMERS 1000
#define BENCH_READ_SET 10000
#define BENCH_RACE_SLOTS 500
#define BENCH_VALUE_MAX 4096

enum bench_workload { BENCH_RESERVE, BENCH_PAIR, BENCH_READ, BENCH_RACE };

struct bench {
    const struct cli *cli;
    enum bench_workload workload;
    uint32_t clients, connections, value_bytes, groups;
    uint64_t seconds, warmup_s;
    bool blind;
    FILE *log; /* NULL: none */
    struct id offers[BENCH_RESOURCES];
    struct id customers[BENCH_CUSTOMERS];
    struct id *reservations;   /* BENCH_READ */
    uint64_t begin_ns, end_ns; /* the measured window */
    _Atomic uint64_t sequence; /* the next fresh number */
    _Atomic uint64_t taken, race_done_ns;
    _Atomic bool stop;
};

struct bench_client {
    struct bench_lane *lane;
    uint64_t started_ns, answered_ns, gap_ns, number, random;
    uint32_t slot, earliest; /* race: tried now; every one before is taken */
    struct id reservation;
    struct id customer;
    uint8_t items_count;
    struct reserve_item items[2];
};

struct bench_lane {
    struct bench *bench;
    struct maitre *client;
    struct bench_client *clients;
    uint32_t client_count;
    uint32_t *latencies_us;
    size_t latency_count, latency_room;
    uint64_t ops, refused, errors, unknown, attempts, gap_ns;
    char first_error[560];
};

uint64_t bench_now_ns (void);

/* ---- bench_setup.c: makes providers, offers and reservations; complains and returns the exit code, 0 when fine. */
int bench_setup (struct bench *bench, struct maitre *client);

/* ---- bench_work.c */
void bench_next (struct bench_client *client); /* starts the client's next request, or retires it */

/* ---- bench_report.c */
int bench_report (struct bench *bench, struct bench_lane *lanes, double cpu_s);

/* ---- bench_verify.c */
void bench_log (struct bench *bench, const struct bench_client *client);
int bench_verify (struct cli *cli);

#endif
