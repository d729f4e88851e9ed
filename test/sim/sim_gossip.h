/* Seeded simulation of gossip: the production core, its real wire bytes, a simulated network, processes and folders.
 *
 * Room: test/sim. One thread, no clocks: everything follows from the seed.
 *
 * Checked at every step (sim_gossip_oracle.c):
 * 1. gossip_check; one message stays within GOSSIP_MESSAGE_BYTES_MAX, encodes, and decodes strictly to the same bytes.
 * 2. What a node tells about itself never goes back: across restarts its incarnation strictly grows (S1).
 * 3. What a node believes of a uuid never goes back in (incarnation, state) while it runs.
 * 4. With little loss and nobody paused, no running member is declared DEAD.
 */
#ifndef MAITRED_TEST_SIM_GOSSIP_H
#define MAITRED_TEST_SIM_GOSSIP_H

#include "node/gossip/gossip.h"

#define SIM_NODES_MAX 32
#define SIM_BELIEFS_MAX 8192
#define SIM_SHARDS 40

struct sim_belief {
    struct id uuid;
    uint64_t incarnation;
    uint32_t state;
};

struct sim_node {
    /* the folder */
    struct id uuid;
    uint64_t stored_incarnation;
    uint64_t told_incarnation; /* the greatest that ever left this folder */
    uint32_t folders;          /* wiped so many times */
    /* the process */
    struct gossip *gossip; /* NULL: not running */
    bool leaving;
    uint64_t paused_until_ms;
    uint64_t tick_at_ms;
    uint64_t boot_ms; /* its monotonic clock starts here */
    int64_t wall_skew_ms;
    uint64_t sent, sent_bytes;
    struct sim_belief beliefs[SIM_BELIEFS_MAX];
    size_t beliefs_count;
};

struct sim_packet {
    uint64_t at_ms;
    uint64_t number; /* breaks ties, so that the order never depends on the heap */
    uint32_t to;
    size_t len;
    uint8_t *bytes;
};

struct sim_world {
    uint64_t seed;
    uint64_t random_state;
    bool trace;
    uint64_t now_ms;
    uint32_t nodes_count;
    struct sim_node nodes[SIM_NODES_MAX];
    struct gossip_effects *effects;
    struct gossip_config tunables;
    /* the network */
    struct sim_packet *packets; /* a binary heap */
    size_t packets_count, packets_room;
    uint64_t packets_sent;
    uint32_t loss_per_mille, duplicate_per_mille;
    uint32_t delay_ms_max;
    bool cut[SIM_NODES_MAX][SIM_NODES_MAX]; /* [from][to] */
    bool link_hints;                        /* a killed process breaks its connections audibly */
    /* the oracle */
    bool calm;                      /* rule 4 holds now */
    bool flooded;                   /* tables are full of strangers */
    const struct sim_node *stalled; /* stands still: it may be taken for dead, and only it */
    uint64_t hash;                  /* of everything that happened */
    uint64_t deaths;                /* DEAD notices about running members */
    uint64_t refutations, stalls;
    uint64_t bytes_max; /* of one message */
};

uint64_t sim_random_below (struct sim_world *world, uint64_t bound);
bool sim_chance (struct sim_world *world, uint32_t per_mille);
void sim_fail (const struct sim_world *world, const char *what) __attribute__ ((noreturn));
void sim_note (struct sim_world *world, const char *what, uint64_t a, uint64_t b, uint64_t c);

/* ---- sim_gossip_world.c */

/* Draws the number of nodes and their folders; nobody runs yet. */
void sim_world_init (struct sim_world *world, uint64_t seed, bool trace);
void sim_world_close (struct sim_world *world);
void sim_start (struct sim_world *world, uint32_t node);
void sim_kill (struct sim_world *world, uint32_t node);
void sim_leave (struct sim_world *world, uint32_t node);
void sim_wipe (struct sim_world *world, uint32_t node);
void sim_link_down (struct sim_world *world, uint32_t node, uint32_t peer);
void sim_cut (struct sim_world *world, uint32_t from, uint32_t to, bool cut);
void sim_run (struct sim_world *world, uint64_t duration_ms);

struct id sim_random_id (struct sim_world *world);
/* A message from outside, as if a peer had sent it: delivered at once. */
void sim_inject (struct sim_world *world, uint32_t to, const struct gossip_message *message);

/* ---- sim_gossip_phases.c */

void sim_gossip_stall (struct sim_world *world);
void sim_gossip_flood (struct sim_world *world);

/* ---- sim_gossip_oracle.c */

void sim_oracle_boot (struct sim_world *world, struct sim_node *node);
void sim_oracle_sent (struct sim_world *world, struct sim_node *node, const struct gossip_message *message);
void sim_oracle_step (struct sim_world *world, struct sim_node *node, const struct gossip_output *output);

/* True when every running node sees exactly the running ones as ALIVE, each at its own incarnation. */
bool sim_oracle_converged (const struct sim_world *world);
/* True when every running node sees `uuid` as DEAD or LEFT. */
bool sim_oracle_gone (const struct sim_world *world, const struct id *uuid);
/* Every running node's median clock is right: fewer than half of the clocks are wrong. */
void sim_oracle_clocks (const struct sim_world *world);

#endif
