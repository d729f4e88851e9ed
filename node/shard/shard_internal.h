/* What the files of this room share: the shard itself. Not included from outside node/shard.
 *
 * Room: node/shard, pure.
 */
#ifndef MAITRED_NODE_SHARD_INTERNAL_H
#define MAITRED_NODE_SHARD_INTERNAL_H

#include "node/shard/log_time.h"
#include "node/shard/output.h"
#include "node/shard/shard.h"
#include "schemas/generated/methods.h"
#include "schemas/generated/shard.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/planted.h"

#define SNAPSHOT_WINDOW_CHUNKS 4 /* unacknowledged chunks of one transfer: bounds the sender's memory */
#define SNAPSHOT_RESEND_MS 485   /* no multiple of the heartbeats: see shard_deadline_ms */
#define SNAPSHOT_ABANDON_MS 10000
#define SNAPSHOT_LOG_BYTES_KEPT (48 * 1024 * 1024) /* so much log is kept for who is still being filled */
#define HOUSEKEEPING_CHECK_MS 20 /* how often a busy leader looks for due holds: well within the promised 100 ms */
#define HOUSEKEEPING_IDLE_MS 500 /* and one with nothing due so soon; no hold is shorter than a second */
#define STAMP_AFTER_MS 60000     /* an idle shard's log gets the time at least this often */
#define BALANCE_AFTER_MS 3000    /* a leadership must have lasted this long before it is handed to rank 0 */
#define BALANCE_APPLY_LAG 4096   /* entries: 15 ms or so */
#define BALANCE_AFTER_MS_MAX 300000
#define BALANCE_BACK_MS 60000    /* a leadership that comes back sooner says that rank 0 does not want it */
#define MEMBERS_STEP_MS 10       /* how often a leader looks whether the next step to other members can be taken */
#define MEMBERS_LAG_MAX 500      /* entries that a replica may lack and still count as caught up */
#define MEMBERS_SILENCE_MS 1000  /* one that has not answered for so long is not up */
#define WAITING_MEMORY_KEPT 4096 /* a free slot keeps no more */

_Static_assert(SHARD_SCRATCH_BYTES >= SERVICES_ARENA_BYTES_MIN, "a command has the arena that it may count on");
_Static_assert(SNAPSHOT_RESEND_MS < SNAPSHOT_ABANDON_MS, "a chunk is repeated before the transfer is given up");
_Static_assert(SNAPSHOT_WINDOW_CHUNKS *SHARD_CHUNK_BYTES <= 1024 * 1024, "a transfer holds little memory");
_Static_assert(HOUSEKEEPING_CHECK_MS < HOUSEKEEPING_IDLE_MS, "a busy leader looks more often");
_Static_assert(BALANCE_AFTER_MS <= BALANCE_AFTER_MS_MAX, "patience grows up to a bound");
_Static_assert(MEMBERS_STEP_MS < MEMBERS_SILENCE_MS, "a step is not taken on old news");
_Static_assert(SHARD_CALLS_MAX <= UINT32_MAX / 2, "slots are numbered in 32 bits");

/* A copied call that waits: for its ReadIndex round, for the state to catch up, or for a young leader to become ready. */
enum waiting_kind {
    WAITING_FREE = 0,
    WAITING_ROUND, /* a read in Raft */
    WAITING_STATE, /* a read whose index the state has not reached */
    WAITING_READY, /* a write before the no-op of this term was applied */
};

struct waiting_call {
    enum waiting_kind kind;
    uint32_t generation;    /* of the slot: tells a late answer for its former tenant */
    uint32_t next;          /* free list, or order of arrival; index + 1, 0 ends */
    uint64_t index;         /* WAITING_STATE */
    struct shard_call call; /* body, prepared and logged_body point into memory */
    uint8_t *memory;
    size_t memory_size;
};

#define APPLY_TOGETHER 64
#define APPLY_LATER_MS 50
#define APPLY_MAX 128
#define APPLY_LEADER_TIMES 8 /* ... more on a leader that is not ready: calls wait for it */

struct proposed_call {
    uint64_t index, term, token;
};

struct snapshot_out_chunk {
    uint8_t *data;
    size_t len;
    bool last;
};

/* One outgoing transfer; chunk n is in window[n % SNAPSHOT_WINDOW_CHUNKS] while acked <= n < next. */
struct snapshot_out {
    uint64_t replica; /* 0: slot is free */
    uint32_t node;
    uint64_t id;
    void *source;
    uint64_t index, index_term;
    struct raft_configuration members;
    uint64_t acked, next;
    unsigned repeats; /* acknowledgements since the last progress that ask for `acked` */
    bool read_last;
    bool broken; /* the state could not be read: it ends with the next turn, and Raft asks again after a while */
    uint64_t progress_ms, sent_ms;
    struct snapshot_out_chunk window[SNAPSHOT_WINDOW_CHUNKS];
};

struct snapshot_in {
    bool active;
    uint64_t from, id;
    uint64_t next;
    uint64_t index, index_term;
    struct raft_configuration members;
    uint64_t progress_ms;
};

struct shard {
    struct services_config services;
    struct state state;
    struct arena *scratch;
    struct raft *raft;
    struct raft_effects raft_effects;
    uint64_t replica;
    uint32_t shard;
    const struct shard_snapshot_ops *snapshot_ops;
    void *snapshot_context;

    bool turn_open; /* stepped since the last turn_end */
    bool fatal;
    const char *fatal_reason;
    uint64_t now_ms, wall_median_ms;
    uint64_t committed;    /* handed over by Raft, to be applied */
    uint64_t applied;      /* handed to the services */
    uint64_t apply_max;    /* entries a turn, where nobody waits for the answer */
    uint64_t apply_due_ms; /* what waits to be applied waits no longer; UINT64_MAX: nothing waits */
    uint64_t applied_told; /* reported to Raft: a turn later, because reporting moves the log under the effects */
    uint64_t live_after;   /* entries above this index were appended after the process started */

    struct log_time log_time;
    bool balance;

    struct raft_configuration target; /* the members wanted; empty: as they are */
    enum placement_phase placing;
    uint64_t members_next_ms;

    /* leadership */
    struct raft_status status; /* refreshed after each event */
    uint64_t ready_index;      /* no-op of the present leadership */
    uint64_t leader_since_ms;
    uint64_t balance_next_ms, balance_after_ms;
    uint64_t balance_tried_ms;   /* 0: never */
    uint64_t housekeeping_index; /* in flight; 0: none */
    uint64_t housekeeping_next_ms;
    uint64_t sessions; /* sum over the peers: grows when one starts anew */
    bool stamp_wanted; /* by a peer that has started anew, unless the log goes on by itself beyond stamp_beyond */
    uint64_t stamp_beyond;
    uint32_t told_leader_node; /* last hint that went out */
    uint64_t told_leader_term;

    /* calls */
    uint32_t calls_max;
    struct waiting_call *waiting;
    size_t waiting_size;
    uint32_t waiting_free; /* head of the free list; index + 1 */
    uint32_t waiting_used;
    size_t waiting_bytes;             /* of the copied bodies */
    uint64_t waiting_deadline_ms;     /* no waiting call's deadline is earlier */
    uint32_t ready_first, ready_last; /* WAITING_READY in order of arrival; index + 1 */
    uint32_t state_waiting;           /* how many WAITING_STATE */
    struct proposed_call *proposed;   /* ring, ascending indices */
    size_t proposed_size, proposed_first, proposed_count;

    uint32_t sending; /* slots of `out` in use: most of the time none, and a turn need not look */
    struct snapshot_out out[RAFT_MEMBERS_MAX];
    struct snapshot_in in;
    uint64_t snapshot_counter;

    /* this turn's effects */
    struct output output;
    struct shard_reply *replies;
    size_t replies_count, replies_size;
    struct shard_prepare_job *jobs;
    size_t jobs_count, jobs_size;
    struct snapshot_chunk *chunks;
    size_t chunks_count, chunks_size;
    struct snapshot_ack *acks;
    size_t acks_count, acks_size;
};

void shard_fail (struct shard *self, const char *reason);

/* Steps Raft and refreshes self->status. What the event refused is the caller's to handle. */
WARN_UNUSED enum status shard_raft_step (struct shard *self, struct raft_event *event);

/* shard_calls.c */
/* Leads and is not handing over, and everything before its term is applied. */
bool shard_ready (const struct shard *self);
void shard_calls_start (struct shard *self, const struct shard_call *call);
void shard_calls_release_ready (struct shard *self);
void shard_calls_expire (struct shard *self);
void shard_calls_read_result (struct shard *self, const struct raft_read_result *result);
void shard_calls_serve_reads (struct shard *self);
void shard_calls_applied (struct shard *self, uint64_t index, uint64_t term, const struct services_reply *reply);
void shard_calls_leadership_lost (struct shard *self);
void shard_calls_close (struct shard *self);
uint32_t shard_calls_count (const struct shard *self);
void shard_calls_check (const struct shard *self);

/* shard_apply.c */
/* Takes what this turn committed. A leader applies it at once, since somebody waits for the answer. On a follower nobody
 * does: it applies what has come together, up to APPLY_TOGETHER entries or APPLY_LATER_MS, since a shard's rows are in the
 * processor's caches from the second entry on. After a start all that came since the last write-back commits with the first
 * word of the leader, in every shard: so a turn applies no more than apply_max, also on a leader that is not there yet, and
 * the node's other work goes on between. The system shard is never behind: every node goes by what it says. */
void shard_apply_committed (struct shard *self);
/* Applies everything that waits. */
void shard_apply_all (struct shard *self);
void shard_housekeeping (struct shard *self);

/* shard_members.c */
void shard_members_want (struct shard *self, const struct raft_configuration *members);
void shard_members_step (struct shard *self);

/* shard_snapshot_send.c, shard_snapshot_receive.c */
void shard_snapshot_begin (struct shard *self, uint64_t replica, uint32_t node);
void shard_snapshot_acked (struct shard *self, const struct snapshot_ack *ack);
void shard_snapshot_pump (struct shard *self);
uint64_t shard_snapshot_resend_ms (const struct shard *self); /* when chunks are due again; UINT64_MAX: never */
void shard_snapshot_send_close (struct shard *self);
bool shard_snapshot_sending (const struct shard *self);
uint64_t shard_snapshot_floor (const struct shard *self); /* lowest index that is being sent */
void shard_snapshot_receive (struct shard *self, const struct snapshot_chunk *chunk);
void shard_snapshot_receive_expire (struct shard *self);

#endif
