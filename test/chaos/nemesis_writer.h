/* Clients that book without a pause, and what they saw, in memory that the nemesis shares.
 *
 * Room: test/chaos. A process of its own (it dies with the nemesis) runs all clients, closed loop, over one handle of
 * libmaitre. Every field is an atomic of its own; the nemesis reads them and begins new windows.
 */
#ifndef CHAOS_NEMESIS_WRITER_H
#define CHAOS_NEMESIS_WRITER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define WRITER_CLIENTS_MAX 256
#define WRITER_BUCKETS 512 /* of latencies: 16 to each doubling of the microseconds */
#define WRITER_SHARDS_MAX 64

struct nemesis;

struct writer_shared {
    _Atomic uint32_t ready, shard; /* the shard that all write to, 0: each to all shards in turn */
    _Atomic uint64_t window;       /* counts up: a new window has begun, gaps start from nothing */
    struct {
        _Atomic uint64_t answered_ns; /* the last acknowledgement */
        _Atomic uint64_t gap_ns;      /* the longest time between two in this window, begun before it or not */
        _Atomic uint64_t window;      /* in which that was */
    } clients[WRITER_CLIENTS_MAX];
    _Atomic uint64_t acknowledged, failed, unknown;
    _Atomic uint64_t latencies[WRITER_BUCKETS]; /* of the acknowledged ones in this window */
};

/* Starts them. NULL: it could not be, and said why. every_shard: the bookings are spread over all shards. */
struct writer_shared *writer_start (struct nemesis *run, bool every_shard, pid_t *pid);
/* A new window: counters of gaps and latencies begin anew. */
void writer_window (struct writer_shared *shared);
/* The longest wait of any client in this window, one that still lasts included. */
uint64_t writer_gap_ns (const struct writer_shared *shared, uint32_t clients, uint64_t now_ns);
/* Whether every client was answered after that moment. */
bool writer_all_since (const struct writer_shared *shared, uint32_t clients, uint64_t since_ns);
/* The latency that a share of the window's acknowledged writes did not exceed, in ms. */
double writer_latency_ms (const struct writer_shared *shared, double share);

#endif
