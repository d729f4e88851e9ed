/* A handful of Raft replicas whose every message, sync and tick is a command of a scenario file.
 *
 * Ownership: the world owns its replicas. Nothing happens by itself: messages wait in a queue until `deliver`, batches
 * until `sync`, time stands still until `tick`.
 */
#ifndef MAITRED_TEST_SCENARIO_RAFT_SCENARIO_H
#define MAITRED_TEST_SCENARIO_RAFT_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/raft/raft.h"

#define SCENARIO_REPLICAS_MAX 7
#define SCENARIO_PACKETS_MAX 512
#define SCENARIO_ENTRIES_MAX 256

/* A message with its entries copied out of the sender's log. */
struct scenario_packet {
    struct raft_message message;
    struct raft_entry *entries; /* owned, payloads too */
    uint64_t after_sequence;    /* of the sender; 0: may leave */
};

struct scenario_batch {
    uint64_t sequence;
    bool hard_state;
    uint64_t term, vote;
    bool entries, reset;
    uint64_t first, reset_index, reset_term;
    struct raft_entry *log; /* owned */
    size_t count;
};

struct scenario_replica {
    uint64_t id;
    struct raft *raft; /* NULL: down */
    uint64_t session, synced;
    /* durable */
    uint64_t term, vote, snapshot_index, snapshot_term, applied;
    struct raft_configuration configuration;
    struct raft_entry log[SCENARIO_ENTRIES_MAX];
    size_t count;
    /* under way */
    struct scenario_batch batches[32];
    size_t batches_count;
    enum raft_role role;
    uint64_t shown_term, shown_leader;
};

struct scenario_world {
    uint64_t now_ms;
    struct scenario_replica replicas[SCENARIO_REPLICAS_MAX + 1]; /* by id */
    unsigned count;
    struct scenario_packet packets[SCENARIO_PACKETS_MAX];
    size_t packets_count;
    bool cut[SCENARIO_REPLICAS_MAX + 1][SCENARIO_REPLICAS_MAX + 1];
    struct raft_effects effects;
    struct raft_options options;
    char *out; /* what the running command printed */
    size_t out_len, out_size;
};

__attribute__ ((format (printf, 2, 3))) void scenario_print (struct scenario_world *world, const char *format, ...);
void scenario_close (struct scenario_world *world);

void scenario_found (struct scenario_world *world, const struct raft_configuration *members);
void scenario_start (struct scenario_world *world, struct scenario_replica *replica, bool suspect);
void scenario_crash (struct scenario_world *world, struct scenario_replica *replica);
/* Entries behind index are gone from the disk of a replica that is down, and nothing says so: an older file was put back. */
void scenario_forget (struct scenario_replica *replica, uint64_t index);
/* One event and the end of its turn, with the duties; prints what came of it. */
void scenario_step (struct scenario_world *world, struct scenario_replica *replica, struct raft_event event);
/* Delivers every queued message that may leave, between `from` and `to` (0: any). Returns how many. */
unsigned scenario_deliver (struct scenario_world *world, uint64_t from, uint64_t to);
void scenario_drop (struct scenario_world *world, uint64_t from, uint64_t to);
unsigned scenario_sync (struct scenario_world *world, struct scenario_replica *replica);
void scenario_show (struct scenario_world *world, const struct scenario_replica *replica);
void scenario_restore (struct scenario_world *world, struct scenario_replica *from, struct scenario_replica *to);

#endif
