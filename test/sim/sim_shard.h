/* Services mode: the simulated replica is a whole shard, its state a sorted map, its clients make bookings.
 *
 * Room: test/sim. sim_shard.c is the replica's environment, sim_shard_turn.c its turns, sim_shard_client.c the workload
 * and what it knows to be true.
 *
 * Invariants beside those of sim.h
 *  1. Equal state at equal applied index, over all replicas and lives.
 *  2. A request id has one verdict: repeats are answered alike (X1), and at most one effect follows.
 *  3. What was acknowledged is there for every read that is asked for later: never older, never gone.
 *  4. In the end the counters equal a recount, and every acknowledged booking stands.
 */
#ifndef MAITRED_TEST_SIM_SIM_SHARD_H
#define MAITRED_TEST_SIM_SIM_SHARD_H

#include "node/shard/shard_internal.h"
#include "test/sim/sim.h"

/* sim_promises_time.c: how a replica read the log time at the end of its last turn. */
struct sim_time_seen {
    bool warm;
    uint64_t applied, mono_ms, anchor_ms, time_ms;
};

struct sim_shard {
    struct sim *sim;
    struct sim_replica *replica;
    struct shard *core;
    struct state_map map;
    uint64_t state_hash;  /* of all rows, whatever order they came in */
    bool stepped;         /* since its last turn end */
    uint32_t leader_node; /* 0: not known */
    uint64_t leader_term;
    bool receiving;
    struct state_image incoming;
    uint64_t seen_applied; /* the oracle has seen everything up to here */
    struct sim_time_seen time_seen;
    uint64_t placed_for; /* told which members its shard should have: the replica that comes in; 0: not told */
    enum placement_phase placing;
};

void sim_promise_time (struct sim_shard *self, uint64_t now_ms, uint64_t wall_median_ms);
extern const struct shard_snapshot_ops sim_shard_snapshot_ops;

uint64_t sim_shard_wall_ms (const struct sim *sim);
struct services_config sim_shard_services (const struct sim *sim, uint32_t shard);

#endif
