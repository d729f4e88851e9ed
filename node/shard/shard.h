/* One replica of one shard: Raft, the services, log time and snapshots behind a single step.
 *
 * Room: node/shard, pure. The engine and test/sim drive the very same functions. One thread at a time.
 * Ownership: shard_new allocates, shard_destroy frees.
 *
 * A turn: any number of shard_step calls, then one shard_turn_end, whose effects the caller carries out before it steps
 * this shard again. What effects point to (entries, messages, replies) lives until the next call on the same shard.
 *
 * The caller's duties after shard_turn_end, in this order:
 *   1. effects.fatal: stop at once; nothing of this turn may leave the node.
 *   2. Hand send_now to the network at once: a leader's appends, heartbeats, ReadIndex rounds.
 *   3. If persist.sequence != 0: put hard state, reset, truncation and entries into this turn's batch, together with
 * those of all other shards; the batch is written and synced once. At most RAFT_PERSISTS_MAX batches may be under way.
 *   4. Keep send_after_persist until every batch with a sequence <= after_sequence is synced, then send it; step
 *      SHARD_EVENT_PERSISTED with the highest sequence that is synced. It may be dropped, never sent earlier.
 *   5. Send replies at any time: a reply exists only after its entry committed (or failed before the log).
 *   6. Run each prepare job off the reactor, then step SHARD_EVENT_CALL again with the same call, `prepared` and
 * `logged_body`.
 *   7. Send chunks and acks; chunks are bulk and go behind everything else.
 *
 * Invariants
 *   1. Every call stepped in gets exactly one reply, or is handed back by a prepare job.
 *   2. At equal applied index any two replicas have equal state.
 *   3. Log time never goes back; only a leader stamps it.
 *   4. A reply with maybe_applied is the only one whose outcome is unknown (P8).
 */
#ifndef MAITRED_NODE_SHARD_SHARD_H
#define MAITRED_NODE_SHARD_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/raft/raft.h"
#include "node/services/services.h"
#include "node/services/state.h"
#include "schemas/generated/placement.h"
#include "schemas/runtime/arena.h"
#include "schemas/runtime/bytes.h"
#include "schemas/runtime/ids.h"

struct snapshot_chunk; /* schemas/generated/shard.h */
struct snapshot_ack;

#define SHARD_CALLS_MAX 4096 /* calls in flight in one shard; more are refused, RESOURCE_EXHAUSTED */
#define SHARD_WAITING_BYTES_MAX (8 * 1024 * 1024) /* bodies of calls that wait outside the log; likewise */
#define SHARD_CHUNK_BYTES (128 * 1024)
#define SHARD_SCRATCH_BYTES (4 * 1024 * 1024)

/* Where snapshots come from. In the engine a RocksDB snapshot, in test/sim a copy of the map. Calls never block for
 * long: one chunk at a time. Where begin and finish return false the disk failed. */
struct shard_snapshot_ops {
    /* open, next: false: the state cannot be read now; the transfer is given up and begun again later.
     * Freezes a state that contains everything applied up to *index (whose entry had *term) and nothing later: the last
     * written-back one will do, as long as the log was not compacted beyond it. */
    bool (*open) (void *context, uint32_t shard, uint64_t *index, uint64_t *term, void **snapshot);
    /* Fills up to `size` bytes; *last is true with the final chunk (which may be empty). */
    bool (*next) (void *context, void *snapshot, uint8_t *out, size_t size, size_t *len, bool *last);
    void (*close) (void *context, void *snapshot);

    /* Receives one under a new generation; the present state stays live until finish. */
    bool (*begin) (void *context, uint32_t shard, uint64_t replica, uint64_t index, uint64_t term);
    /* INVALID_ARGUMENT: the sender's stream makes no sense; RESOURCE_EXHAUSTED: there is no room for it now. The transfer
     * is given up, and comes again. Any other failure: the disk. */
    enum status (*chunk) (void *context, uint32_t shard, struct bytes data);
    /* Makes it live durably: generation, index, term and configuration in one synced batch that is written after every
     * earlier batch of this shard; at a restart they are raft_stored.snapshot_* and configuration. Then the `state` of the
     * shard's configuration reads the new generation. */
    bool (*finish) (
        void *context, uint32_t shard, uint64_t index, uint64_t term, const struct raft_configuration *members);
    void (*abort) (void *context, uint32_t shard);
};

struct shard_config {
    struct services_config services;
    struct raft_options raft;
    const struct raft_stored *stored; /* what the disk remembers; applied_index: what `state` holds already */
    struct state state;               /* the working state */
    struct arena *scratch;            /* at least SHARD_SCRATCH_BYTES, may be shared by all shards of a thread */
    const struct shard_snapshot_ops *snapshot_ops;
    void *snapshot_context;
    uint32_t calls_max; /* 0: SHARD_CALLS_MAX */
    uint32_t apply_max; /* entries that a follower, or a leader that is not ready, applies in one turn; 0: 128 */
    bool balance;       /* hand leadership to the replica of rank 0 once it has caught up */
};

enum shard_event_type {
    SHARD_EVENT_TICK = 1, /* at shard_deadline_ms, or more often */
    SHARD_EVENT_RAFT,     /* a Raft message for this replica */
    SHARD_EVENT_SNAPSHOT_CHUNK,
    SHARD_EVENT_SNAPSHOT_ACK,
    SHARD_EVENT_CALL,      /* a write or a read of a verified principal */
    SHARD_EVENT_PERSISTED, /* the batch with persist_sequence (and all before it) is synced */
    SHARD_EVENT_LINK,      /* the data link to a node broke or came up */
    SHARD_EVENT_TRANSFER,  /* hand leadership to the replica on `node`, 0: the best one */
    SHARD_EVENT_COMPACT,   /* the state up to compact_index is durable outside the log: drop entries */
    SHARD_EVENT_PLACE, /* the members that the shard should have: its leader goes there, step by step (placement_plan.h) */
};

/* A call as it reaches the replica that should answer it. */
struct shard_call {
    uint64_t token; /* the caller's; returned in the reply */
    const struct method *method;
    struct principal principal;
    struct id request_id;
    struct bytes body;        /* deterministic encoding of the request, secrets included */
    struct bytes prepared;    /* result of a prepare job, else empty */
    struct bytes logged_body; /* with `prepared`: as the prepare job returned it */
    uint64_t deadline_ms;     /* monotonic, of this node; 0: none. What then still waits outside the log is answered */
};

struct shard_event {
    enum shard_event_type type;
    uint64_t now_ms;         /* this node's monotonic clock */
    uint64_t wall_median_ms; /* median of the members' wall clocks as this node knows them; 0: not known */
    union {
        const struct raft_message *raft;
        const struct snapshot_chunk *chunk;
        const struct snapshot_ack *ack;
        struct shard_call call;
        uint64_t persist_sequence;
        struct {
            uint32_t node;
            bool up;
        } link;
        uint32_t transfer_node;
        uint64_t compact_index;
        const struct raft_configuration *members; /* PLACE: voters alone, copied; NULL: stay as you are */
    };
};

struct shard_reply {
    uint64_t token;
    struct services_reply reply;
    bool maybe_applied;
    uint32_t leader_node; /* hint, 0: not known */
};

/* Work for a thread that may take 30 to 100 ms (argon2id). Everything borrowed lives until the next call on the shard:
 * copy. */
struct shard_prepare_job {
    uint64_t token;
    struct services_prepare prepare;
    struct bytes logged_body;
};

struct shard_effects {
    bool fatal; /* damage or a version that this node does not understand: end the process */
    const char *fatal_reason;

    struct {
        uint64_t sequence; /* 0: nothing to write; else one more than the last */
        bool hard_state;   /* term or vote changed */
        uint64_t term;
        uint64_t vote;   /* replica id, 0: none */
        uint64_t commit; /* a hint, never worth a write of its own */
        bool reset;      /* drop the whole log first; it begins after (reset_index, reset_term) */
        uint64_t reset_index, reset_term;
        bool truncate; /* drop everything at and above first_index, then append the entries (maybe none) */
        uint64_t first_index;
        const struct raft_entry *entries;
        size_t entries_count;
        bool suspect;         /* set the suspect mark before or with this batch */
        bool suspect_cleared; /* the mark may go */
    } persist;

    const struct raft_message *send_now;
    size_t send_now_count;
    const struct raft_message *send_after_persist;
    size_t send_after_persist_count;
    uint64_t after_sequence;             /* 0: nothing to wait for */
    const struct snapshot_chunk *chunks; /* bulk: behind everything else */
    size_t chunks_count;
    const struct snapshot_ack *acks;
    size_t acks_count;

    const struct shard_reply *replies;
    size_t replies_count;
    const struct shard_prepare_job *jobs;
    size_t jobs_count;

    bool leader_changed; /* leader_node and leader_term are news: tell gossip and the router */
    uint32_t leader_node;
    uint64_t leader_term;
    bool applied_changed; /* applied index moved */
};

struct shard_status {
    uint32_t shard;
    uint64_t replica;
    enum raft_role role;
    uint64_t term;
    uint64_t snapshot_index, last_index, commit_index, applied_index;
    uint32_t leader_node; /* 0: not known */
    uint64_t log_time_ms;
    uint64_t log_bytes; /* entries held in memory */
    bool log_time_off;  /* more than a minute from the median of the members' wall clocks */
    bool suspect;
    bool sending_snapshot;
    bool votes; /* is one of the voters; a replica that is being filled is not */
    enum placement_phase
        placing;    /* how far the leader got with SHARD_EVENT_PLACE; WAITING too where it does not lead */
    uint32_t calls; /* in flight */
};

struct shard;

/* Copies the configuration. Statuses: those of raft_new. */
WARN_UNUSED enum status shard_new (const struct shard_config *config, uint64_t now_ms, struct shard **out);
void shard_destroy (struct shard **self_p);

/* Lets go of the snapshots that are being sent, and of what they read. Only for a shard that is stepped no more: who is
 * being filled hears nothing of it, and asks the next leader. */
void shard_snapshots_drop (struct shard *self);

/* One event in; its effects are collected until the end of the turn. */
void shard_step (struct shard *self, const struct shard_event *event);

/* Ends the turn: applies what committed, answers what can be answered, and hands the collected effects over. */
void shard_turn_end (struct shard *self, uint64_t now_ms, uint64_t wall_median_ms, struct shard_effects *effects);

/* When SHARD_EVENT_TICK and a turn's end have something to do although nothing else happens (timers): monotonic ms. Always
 * ahead of a turn that has just ended. */
uint64_t shard_deadline_ms (const struct shard *self);

/* False while the node drains: it then does not ask for leaderships back. */
void shard_balance_set (struct shard *self, bool balance);

/* True when this replica leads and has committed an entry of its term: a call stepped in now will be decided here. */
bool shard_leads (const struct shard *self);

void shard_status_get (const struct shard *self, struct shard_status *status);

/* The node of a member, as the effective configuration has it; 0: no member. */
uint32_t shard_node_of (const struct shard *self, uint64_t replica);

/* The term of a log index and the configuration as of it, for a cut of the stored log there; false when the log does not
 * reach back to it. No members: the replica is a new one and has not come to the entry that names them; the state must not be
 * written back nor the log be cut at such an index, for a snapshot of it would be refused. */
bool shard_log_point (const struct shard *self, uint64_t index, uint64_t *term, struct raft_configuration *members);

/* On a leader: how many of the other voters would be missed if one more failed: broken links, those that are being filled, and
 * those that lack more than so many entries, or have thousands yet to apply. 0 where it does not lead. */
uint32_t shard_voters_behind (const struct shard *self, uint64_t entries);

/* What a log keeps although it was written back, so that a follower that was away for some seconds is fed from it and not by
 * a snapshot of everything. All zero: nothing was written back yet. */
struct shard_log_keep {
    uint64_t from, next; /* indexes: kept from here; from there when the present round is over */
    uint64_t rolled_ms;
};

/* Payload bytes of the entries behind index: of those that are not written back yet, say. */
uint64_t shard_log_bytes (const struct shard *self, uint64_t index);

/* Where the log may be cut now that the state is written back up to `written`: never beyond that; it keeps what came in the
 * last one to two rounds of round_ms, and no more than bytes_max of it. */
uint64_t shard_log_cut (const struct shard *self, struct shard_log_keep *keep, uint64_t written, uint64_t bytes_max,
    uint64_t round_ms, uint64_t now_ms);

/* Whether installing a snapshot of (index, term) drops the whole log: always unless the log holds that very entry, synced.
 * For shard_snapshot_ops.finish, which writes the cut. */
bool shard_restore_resets (const struct shard *self, uint64_t index, uint64_t term);

/* Asserts every invariant of the shard and of its Raft core. */
void shard_check (const struct shard *self);

#endif
