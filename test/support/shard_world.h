/* A few replicas of one shard in memory: real shard cores over a network that loses, repeats and reorders, and disks that
 * take their time. One virtual millisecond a step; the same seed gives the same run.
 *
 * Ownership: shard_world_init / shard_world_close. Used by test/unit/test_shard_*.c alone.
 *
 * After every turn of every node the world asserts
 *   1. shard_check and that the shard does not ask for turns without end at one time (a spinning reactor);
 *   2. equal state at equal applied index, over all nodes and all lives;
 *   3. one reply a call at most, none before its entry was durable on a majority of the voters' disks;
 *   4. persist sequences without gaps, messages to known replicas only, at most `window` unacknowledged chunks.
 */
#ifndef MAITRED_TEST_SUPPORT_SHARD_WORLD_H
#define MAITRED_TEST_SUPPORT_SHARD_WORLD_H

#include "node/shard/shard.h"
#include "schemas/generated/shard.h"
#include "test/support/services_world.h"
#include "test/support/state_image.h"

#define SHARD_WORLD_NODES_MAX 5
#define SHARD_WORLD_REPLICA(node) (10u * (node) + 1u)

struct shard_world;
struct shard_world_batch;
struct shard_world_held;
struct shard_world_packet;

struct shard_world_node {
    struct shard_world *world;
    uint32_t number;
    uint64_t replica;    /* SHARD_WORLD_REPLICA at first; a new one with each shard_world_wipe */
    struct shard *shard; /* NULL: down */
    struct state_map map;
    bool stepped, fatal;
    char fatal_reason[120];
    unsigned spins; /* turns in a row that were asked for at the same ms */
    uint64_t session;

    /* durable */
    uint64_t term, vote;
    bool suspect;
    uint64_t log_index, log_term;   /* where the stored log begins */
    struct raft_configuration base; /* as of log_index; empty: waits to be filled */
    struct raft_entry *entries;     /* payloads on the heap */
    size_t entries_count, entries_size;
    struct state_image image; /* the state as last written back */

    /* under way */
    struct shard_world_batch *batches;
    struct shard_world_held *held; /* messages that wait for the disk */
    uint64_t sequence, synced, synced_told;
    struct state_image incoming;
    bool receiving;

    uint64_t turns, replies, snapshots_open, snapshots_opened, installs;
};

enum shard_world_call_state { CALL_WAITING, CALL_ANSWERED, CALL_JOB, CALL_LOST };

struct shard_world_call {
    uint64_t token;
    uint32_t node;
    enum shard_world_call_state state;
    uint64_t started_ms, answered_ms;
    const struct method *method;
    struct principal principal;
    struct id request_id;
    uint64_t deadline_ms;
    struct bytes sent; /* heap */
    struct services_prepare job;
    struct bytes job_password, job_hash, job_body; /* heap */
    /* the answer */
    enum status status;
    char reason[40];
    bool maybe_applied, replayed;
    uint32_t retry_after_ms, leader_node;
    struct bytes body; /* heap */
};

struct shard_world_options {
    uint32_t nodes;    /* 0: 3 */
    uint32_t learners; /* how many of them, the last ones */
    uint64_t seed;
    bool balance;
    uint32_t calls_max, apply_max;
    uint64_t log_bytes_max;
};

struct shard_world {
    struct shard_world_options options;
    struct world ids; /* makes ids and requests; its own state is not used */
    struct raft_configuration members;
    struct shard_world_node nodes[SHARD_WORLD_NODES_MAX + 1]; /* by number */
    struct arena scratch, arena;
    uint64_t now_ms;  /* of the world; each node's monotonic clock has an offset of its own */
    uint64_t wall_ms; /* added to now_ms: the median that all nodes know; 0: not known */
    uint64_t random;

    /* dials, changed at any time */
    uint32_t step_ms;     /* 1; more for long quiet times */
    uint32_t persist_ms;  /* how long a batch takes */
    uint32_t delay_ms;    /* most that a packet takes; it takes at least 1 */
    uint32_t drop, twice; /* per mille */
    uint32_t chunk_bytes; /* snapshots are cut smaller; 0: as the shard asks */
    bool no_links;        /* broken connections are not told */
    bool cut[SHARD_WORLD_NODES_MAX + 1][SHARD_WORLD_NODES_MAX + 1]; /* from, to */
    bool slow[SHARD_WORLD_NODES_MAX + 1];                           /* the disk hangs */
    bool fail_open, fail_next, fail_begin, fail_chunk, fail_finish;
    bool no_room;           /* why chunks are refused */
    uint32_t refuse_chunks; /* so many chunks make no sense to the receiver's store */
    /* May change what they are given; false drops it. */
    bool (*on_raft) (struct shard_world *w, uint32_t from, uint32_t to, struct raft_message *message);
    bool (*on_chunk) (struct shard_world *w, uint32_t from, uint32_t to, struct snapshot_chunk *chunk);
    bool (*on_ack) (struct shard_world *w, uint32_t from, uint32_t to, struct snapshot_ack *ack);
    void *argument; /* theirs */

    struct shard_world_packet *packets;
    size_t packets_count, packets_size;
    struct shard_world_call *calls;
    size_t calls_count, calls_size;
    uint64_t *hashes; /* by applied index, 0: not seen */
    size_t hashes_size;
    struct raft_configuration target; /* what all leaders are told to go to; empty: nothing */
    uint64_t chunks_sent;
};

void shard_world_init (struct shard_world *w, const struct shard_world_options *options); /* starts all nodes */
void shard_world_close (struct shard_world *w);

/* ---- time */
void shard_world_run (struct shard_world *w, uint64_t ms);
/* Runs until there is a leader that has committed in its term; its number. Fails after 10 s. */
uint32_t shard_world_elect (struct shard_world *w);
/* The node that leads the highest term, 0: none. */
uint32_t shard_world_leader (const struct shard_world *w);
uint64_t shard_world_clock (const struct shard_world *w, uint32_t node); /* its monotonic clock */

/* ---- faults */
void shard_world_crash (struct shard_world *w, uint32_t node); /* what was not synced is gone */
void shard_world_start (struct shard_world *w, uint32_t node);
void shard_world_isolate (struct shard_world *w, uint32_t node, bool cut); /* both ways, silently */
void shard_world_heal (struct shard_world *w);                             /* dials at ease, everybody up */

/* The disk is lost: the node comes back (shard_world_start) empty, under a replica id that nobody had. */
void shard_world_wipe (struct shard_world *w, uint32_t node);
/* From now on leaders are told to make the present replicas of all nodes the voters. */
void shard_world_place (struct shard_world *w);
/* Everybody that is up has exactly those members, committed. */
bool shard_world_placed (const struct shard_world *w);

/* ---- the shard's environment */
struct shard_status shard_world_status (const struct shard_world *w, uint32_t node);
void shard_world_event (struct shard_world *w, uint32_t node, struct shard_event event);
/* The state becomes durable as applied; then the log is cut `keep` entries behind it. */
void shard_world_write_back (struct shard_world *w, uint32_t node, uint64_t keep);
/* Reads a command from the node's durable log; false when there is none at the index. Valid until the next one is. */
bool shard_world_entry (struct shard_world *w, uint32_t node, uint64_t index, struct log_entry *entry);
/* Entries of that kind in the node's durable log. */
unsigned shard_world_entries (struct shard_world *w, uint32_t node, uint64_t kind);

/* ---- calls */
/* Encodes `request`, steps it in and returns its token. request_id NULL: a new one (a read: none). */
uint64_t shard_world_call (struct shard_world *w, uint32_t node, uint32_t number, const struct principal *principal,
    const struct id *request_id, const void *request);
uint64_t shard_world_call_by (struct shard_world *w, uint32_t node, uint32_t number, const struct principal *principal,
    const struct id *request_id, const void *request, uint64_t deadline_ms);
/* The same with any bytes as the body. */
uint64_t shard_world_call_raw (struct shard_world *w, uint32_t node, uint32_t number, const struct principal *principal,
    const struct id *request_id, struct bytes body, uint64_t deadline_ms);
struct shard_world_call *shard_world_find (struct shard_world *w, uint64_t token);
/* Runs until the call is answered (or its node is gone); fails after 20 s. */
struct shard_world_call *shard_world_wait (struct shard_world *w, uint64_t token);
/* Does the prepare jobs that were handed out (passwords are "hashed" by a prefix) and steps the calls in again. */
unsigned shard_world_run_jobs (struct shard_world *w);
/* Decodes an OK reply; valid until the next one is. */
void shard_world_reply (
    struct shard_world *w, const struct shard_world_call *call, const struct codec_type *type, void *value);
uint64_t shard_world_answered (const struct shard_world *w, enum status status);

/* ---- in the end */
/* Heals, and runs until all nodes have applied the same index; asserts equal state, no drift, and no call forgotten. */
void shard_world_settle (struct shard_world *w);
uint64_t shard_world_hash (struct shard_world *w, uint32_t node);

/* ---- a provider and an offer of capacity `capacity` in buckets 0..99, by way of the leader */
struct id shard_world_offer (struct shard_world *w, uint64_t capacity);
/* reserve.Create of one unit in one bucket; returns the token. */
uint64_t shard_world_book (struct shard_world *w, uint32_t node, const struct id *offer, uint64_t bucket, uint64_t mode,
    struct id *reservation);
/* Held and confirmed units of a bucket, as the node's own state has it (no round: the test looks in). */
struct avail_row shard_world_bucket (struct shard_world *w, uint32_t node, const struct id *offer, uint64_t bucket);

#endif
