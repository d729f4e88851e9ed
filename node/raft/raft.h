/* One Raft group as a function: raft_step (raft, event, effects).
 *
 * Room: node/raft, pure. No socket, clock, thread, file or random source: time comes with each event, the seed with the
 * options, everything to persist, send, apply and answer goes out in the effects.
 * Ownership: the caller owns the raft and the effects; the raft owns its log. Thread safety: none, one owner at a time.
 * Source: Ongaro, "Consensus: Bridging Theory and Practice" (2014): 3 (basic), 3.10 (transfer), 4.3 (joint consensus),
 * 5 (compaction), 6.4 (ReadIndex), 9.6 (pre-vote); Alagappan et al., "Protocol-Aware Recovery" (FAST 2018), for
 * suspects.
 *
 * A turn. Any number of raft_step calls, the last one with RAFT_TURN_END; then the caller does its duties, resets the
 * effects and begins the next turn. Entries that messages and persist ranges point to live in the log, and stay where
 * they are until the next raft_step, raft_compact or raft_destroy.
 *
 * The caller's duties, each turn, in this order:
 *  1. Start writing `persist` (if persist.sequence != 0): hard state and entries in ONE atomic batch, entry `first`
 *     replacing everything at and above it; a `reset` drops the whole log first (R1, R2). Batches of a group are
 * written in the order of their sequence.
 *  2. Send `send_now` at once, while that batch is being written.
 *  3. Apply entries apply_first..apply_last in order, each exactly once, then report RAFT_APPLIED.
 *  4. Answer `reads`: an OK one when the state has applied >= index, a refused one with UNAVAILABLE.
 *  5. Start a snapshot for each of `snapshots`, and report RAFT_SNAPSHOT_SENT when it arrived or failed.
 *  6. Once every batch with a sequence <= after_sequence is synced, send `send_after_persist`. Messages may be dropped,
 *     never sent earlier. Report RAFT_PERSISTED with the highest sequence that is synced.
 *  7. A failed write or sync ends the process; it comes back with options.suspect set.
 *  8. The state may be written back up to an applied index, never further, and raft_compact only below what was
 * written.
 *  9. While a received snapshot is being installed nothing is applied; RAFT_RESTORE only after it is synced together
 *     with its (index, term) and configuration, which from then on are raft_stored.snapshot_* at a restart: raft_new
 *     drops the entries that do not continue it (R13).
 *
 * Invariants, which raft_check () asserts:
 *  I1 snapshot_index <= applied <= apply_next - 1 <= commit <= last_index.
 *  I2 what was handed out to apply is persisted here: apply_next - 1 <= persisted_index <= last_index.
 *  I3 terms in the log never go down, and never exceed the current term.
 *  I4 a leader leads its own term, has voted for itself, and its log holds the no-op of its term.
 *  I5 match < next for each peer of a leader, match <= last_index.
 *  I6 at most one uncommitted configuration change at a leader; the effective configuration is the newest of the log.
 *  I7 reads wait only at a leader; a round's index is at least the no-op of the leader's term.
 */
#ifndef MAITRED_NODE_RAFT_RAFT_H
#define MAITRED_NODE_RAFT_RAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/runtime/bytes.h"
#include "schemas/runtime/status.h"

#define RAFT_MEMBERS_MAX 16             /* voters of both halves of a joint configuration, and learners */
#define RAFT_ENTRY_BYTES_MAX 1048576    /* payload of one entry */
#define RAFT_MESSAGE_ENTRIES_MAX 256    /* entries of one append */
#define RAFT_INDEX_MAX (UINT64_MAX / 2) /* a snapshot beyond it is nobody's: indexes never come near overflowing */
#define RAFT_TERMS_SKIPPED                                                                                             \
    1048576                  /* by an election that suspects decide: more terms than any of them can have forgotten */
#define RAFT_PERSISTS_MAX 16 /* batches under way that are told apart; there may be more */

/* ---- configurations ---- */

/* Roles of a member; OLD is set only in a joint configuration, where a voter of both halves has both bits. */
enum raft_member_role {
    RAFT_VOTER = 1,     /* votes in the current (in a joint configuration: the coming) half */
    RAFT_VOTER_OLD = 2, /* votes in the outgoing half */
    RAFT_LEARNER = 4,   /* receives the log, is never counted */
};

struct raft_member {
    uint64_t replica; /* never 0, never used again */
    uint32_t node;
    uint8_t rank;  /* order of quick fail-over, 0 first */
    uint8_t roles; /* enum raft_member_role bits */
};

/* Members ascend by replica id, so that equal configurations are equal bytes. */
struct raft_configuration {
    uint32_t count;
    struct raft_member members[RAFT_MEMBERS_MAX];
};

/* Adds or replaces a member, in order. False when full. Pre: replica != 0, roles != 0. */
bool raft_configuration_set (struct raft_configuration *configuration, struct raft_member member);
const struct raft_member *raft_configuration_find (const struct raft_configuration *configuration, uint64_t replica);
bool raft_configuration_joint (const struct raft_configuration *configuration);
/* Ascending replica ids, nodes and roles that exist, at least one voter unless it is empty. */
bool raft_configuration_valid (const struct raft_configuration *configuration);

/* ---- log entries and messages ---- */

enum raft_entry_type {
    RAFT_ENTRY_NOOP = 1,
    RAFT_ENTRY_COMMAND = 2,
    RAFT_ENTRY_CONFIGURATION = 3,
};

struct raft_entry {
    uint64_t index;
    uint64_t term;
    uint64_t checksum; /* raft_entry_checksum of shard, index, term, type and payload: travels and is stored with it */
    struct bytes payload;
    uint8_t type; /* enum raft_entry_type */
};

uint64_t raft_entry_checksum (uint32_t shard, const struct raft_entry *entry);

enum raft_message_type {
    RAFT_PREVOTE = 1,
    RAFT_PREVOTE_REPLY = 2,
    RAFT_VOTE = 3,
    RAFT_VOTE_REPLY = 4,
    RAFT_APPEND = 5,
    RAFT_APPEND_REPLY = 6,
    RAFT_HEARTBEAT = 7, /* also the ReadIndex round */
    RAFT_HEARTBEAT_REPLY = 8,
    RAFT_TIMEOUT_NOW = 9,
};

enum raft_message_flag {
    RAFT_FLAG_REJECT = 1,   /* replies: refused */
    RAFT_FLAG_TRANSFER = 2, /* RAFT_VOTE: the leader asked for this election, stickiness does not apply */
    RAFT_FLAG_SUSPECT = 4,  /* vote replies: counts only towards "all voters"; leader's messages: you are suspect */
};

/* Which fields a type uses stands behind each; the others are 0. */
struct raft_message {
    uint32_t shard;
    uint8_t type;
    uint8_t flags;
    uint64_t from, to; /* replica ids */
    uint64_t term;     /* sender's; a pre-vote's (and its grant's) is the term it would campaign in */
    uint64_t
        index; /* append: entry before the first; append reply: matched, or the refused `index`; votes: last index */
    uint64_t log_term; /* append: term at index; votes: last term; append refusal: term at hint */
    uint64_t commit;   /* append, heartbeat: the leader's commit index, for heartbeats capped to the peer's match */
    uint64_t hint;     /* append refusal: the highest index that may match; heartbeat reply: what it has applied */
    uint64_t round;    /* heartbeat and its reply: ReadIndex round, 0 = none */
    uint64_t
        session; /* append, heartbeat, timeout now: the peer's session that the leader has heard; others: the sender's */
    const struct raft_entry *entries; /* append: consecutive from index + 1, borrowed */
    uint32_t count;
};

/* ---- events ---- */

enum raft_event_type {
    RAFT_TICK = 1,      /* time passed */
    RAFT_RECEIVE,       /* .message */
    RAFT_PROPOSE,       /* .payloads: commands of one batch, all or none */
    RAFT_READ,          /* .read_id: a ReadIndex request of the caller */
    RAFT_PERSISTED,     /* .sequence: this batch and all earlier ones are synced */
    RAFT_LINK,          /* .node, .up: the connection to a node broke or came back */
    RAFT_APPLIED,       /* .index */
    RAFT_RESTORE,       /* .index, .term, .configuration: a received snapshot is installed and synced */
    RAFT_SNAPSHOT_SENT, /* .replica, .index, .ok */
    RAFT_TRANSFER,      /* .replica: hand the leadership to this voter (0: to the best one) */
    RAFT_CONFIGURE,     /* .configuration: wanted voters and learners (roles RAFT_VOTER or RAFT_LEARNER alone) */
    RAFT_CAMPAIGN,      /* start a pre-vote now */
    RAFT_TURN_END,      /* emit what this turn collected */
};

struct raft_event {
    enum raft_event_type type;
    uint64_t now_ms; /* the node's monotonic clock; never goes back, safety does not depend on it (R6) */
    union {
        const struct raft_message *message;
        struct {
            const struct bytes *payloads;
            size_t payloads_count;
        };
        uint64_t read_id;
        uint64_t sequence;
        struct {
            uint32_t node;
            bool up;
        };
        struct {
            uint64_t replica;
            uint64_t index;
            uint64_t term;
            const struct raft_configuration *configuration;
            bool ok;
        };
    };
};

/* ---- effects ---- */

struct raft_read_result {
    uint64_t read_id;
    uint64_t index; /* serve when applied >= index */
    bool ok;        /* false: not (or no longer) the leader */
};

struct raft_snapshot_request {
    uint64_t replica;
    uint32_t node;
};

enum raft_role { RAFT_FOLLOWER = 0, RAFT_PRE_CANDIDATE, RAFT_CANDIDATE, RAFT_LEADER };

struct raft_effects {
    /* duty 1; sequence 0 = nothing to persist this turn */
    struct {
        uint64_t sequence;
        bool hard_state;             /* term or vote changed: write them */
        uint64_t term, vote, commit; /* commit is a hint, never worth a write of its own */
        bool entries;                /* write entries first..last, dropping what stands at and above first */
        uint64_t first, last;        /* last may be first - 1: only drop */
        bool reset; /* before that drop the whole log, which now begins after (reset_index, reset_term) */
        uint64_t reset_index, reset_term;
    } persist;
    /* duties 2 and 6 */
    struct raft_message *send_now;
    size_t send_now_count, send_now_size;
    struct raft_message *send_after_persist;
    size_t send_after_count, send_after_size;
    uint64_t after_sequence; /* 0: nothing to wait for */
    /* duty 3; nothing when apply_last < apply_first */
    uint64_t apply_first, apply_last;
    /* duty 4 */
    struct raft_read_result *reads;
    size_t reads_count, reads_size;
    /* duty 5 */
    struct raft_snapshot_request snapshots[RAFT_MEMBERS_MAX];
    size_t snapshots_count;
    /* what the last RAFT_PROPOSE or RAFT_CONFIGURE was given */
    uint64_t proposed_index, proposed_term; /* the first entry's */
    /* notices */
    bool role_changed;    /* role, leader or term: read them with raft_status () */
    bool suspect_cleared; /* forget the suspect mark */
    bool became_suspect; /* a leader remembers more than this log holds: set the mark, in this turn's batch or before */
};

/* The effects belong to the caller and may serve many rafts in turn. close frees, reset keeps the memory. */
void raft_effects_init (struct raft_effects *effects);
void raft_effects_reset (struct raft_effects *effects);
void raft_effects_close (struct raft_effects *effects);

/* ---- the group ---- */

/* Zero in any field with a default takes it. */
struct raft_options {
    uint32_t shard;
    uint64_t replica; /* own id, never 0 */
    uint64_t session; /* higher at each start of this replica, never 0: tells replies of an earlier life apart */
    uint64_t seed;    /* for election jitter */
    bool suspect;     /* see design.md "Suspect": no vote until a leader brought it past the commit index (R12) */
    bool
        emptied; /* a suspect that starts over with nothing: until it is filled it helps others to be elected, and never stands */
    uint32_t heartbeat_ms;       /* 50; heartbeats of all groups fall on the same multiples, so that they pack */
    uint32_t election_min_ms;    /* 500: also the length of stickiness */
    uint32_t election_max_ms;    /* 900: a silent leader is replaced within 1 s (P6); also the check-quorum window */
    uint32_t quick_step_ms;      /* 15: quick fail-over waits this times rank */
    uint32_t append_bytes_max;   /* 262144 payload bytes in one append */
    uint32_t window_bytes_max;   /* 1048576 unacknowledged per follower */
    uint32_t window_entries_max; /* 4096 unacknowledged per follower */
    uint64_t log_bytes_max;      /* 16 MiB of entries in memory: beyond it proposals are refused */
    uint32_t reads_max;          /* 65536 waiting reads */
    uint32_t promote_lag_max;    /* 1000: a learner may lag this many entries behind to be made a voter (R9) */
};

/* What the disk remembers. */
struct raft_stored {
    uint64_t term, vote, commit;            /* commit: the hint; 0 is fine */
    uint64_t snapshot_index, snapshot_term; /* where the stored log begins */
    uint64_t applied_index, applied_term;   /* what the state machine holds, >= snapshot_index; 0 = snapshot_index */
    const struct raft_configuration *configuration; /* as of snapshot_index; empty: waits to be filled */
    const struct raft_entry *entries;               /* consecutive, may begin at or below snapshot_index; copied */
    size_t entries_count;
};

struct raft;

/* Makes a group from what the disk remembers. *out is the caller's, for raft_destroy.
 * INVALID_ARGUMENT: options or configuration out of bounds. DATA_LOSS: a gap, a wrong checksum or an undecodable
 * configuration among the entries, a term above the hard state's, or a state beyond the end of the log (it may contain
 * what this log no longer knows: drop the state, or let the replica be replaced). RESOURCE_EXHAUSTED: no memory. */
WARN_UNUSED enum status raft_new (
    const struct raft_options *options, const struct raft_stored *stored, uint64_t now_ms, struct raft **out);
void raft_destroy (struct raft **raft);

/* One event. OK, or a refusal of this event which changed nothing:
 * PROPOSE: UNAVAILABLE not the leader, or it is handing over; RESOURCE_EXHAUSTED log full; INVALID_ARGUMENT too large.
 * READ: UNAVAILABLE not the leader; RESOURCE_EXHAUSTED too many wait.
 * TRANSFER: UNAVAILABLE not the leader; FAILED_PRECONDITION target is no voter, suspect or unreachable.
 * CONFIGURE: UNAVAILABLE not the leader; FAILED_PRECONDITION one is in flight, the no-op of the term has not committed
 *   (R4), or a new voter has not caught up (R9); INVALID_ARGUMENT not a configuration; RESOURCE_EXHAUSTED log full.
 * RECEIVE: INVALID_ARGUMENT a message that no correct peer sends (dropped and counted).
 * Everything else is OK. Pre: now_ms does not go back. */
WARN_UNUSED enum status raft_step (struct raft *raft, const struct raft_event *event, struct raft_effects *effects);

/* Drops entries up to index from memory (duty 8). Pre: index <= applied. Below the first entry: nothing. */
void raft_compact (struct raft *raft, uint64_t index);

/* Whether RAFT_RESTORE of (index, term) will drop the log: unless the log holds that very entry. */
bool raft_restore_resets (const struct raft *raft, uint64_t index, uint64_t term);

/* When RAFT_TICK next has something to do, if nothing else happens. */
uint64_t raft_deadline_ms (const struct raft *raft);

struct raft_status {
    enum raft_role role;
    uint64_t replica, leader; /* leader 0: unknown */
    uint32_t leader_node;     /* 0: unknown */
    uint64_t term, vote;
    uint64_t snapshot_index, snapshot_term, commit, applied, persisted_index, last_index, last_term;
    uint64_t log_bytes;
    uint64_t configuration_index;           /* of the effective configuration: it has committed when <= commit */
    bool suspect, transferring, read_ready; /* read_ready: leader whose no-op committed */
    uint64_t anomalies;                     /* messages that no correct peer sends */
};
void raft_status (const struct raft *raft, struct raft_status *status);

/* A leader's view of one peer; false when it is not the leader or does not know the replica. */
struct raft_peer_status {
    uint64_t match;
    uint64_t applied;  /* as it last said; 0: it has not */
    uint64_t session;  /* its present life, as far as this leader has heard of it; 0: not yet */
    uint64_t heard_ms; /* when it last answered; only with a session */
    bool link_down, suspect, snapshotting;
};
bool raft_peer_status (const struct raft *raft, uint64_t replica, struct raft_peer_status *status);

/* The effective configuration (newest of the log), and the one as of an index (for a snapshot at it; false if the
 * index is compacted away). */
const struct raft_configuration *raft_configuration (const struct raft *raft);
bool raft_configuration_at (const struct raft *raft, uint64_t index, struct raft_configuration *out);

/* The entry, or NULL outside (snapshot_index, last_index]. Neighbours are consecutive in memory up to last_index. */
const struct raft_entry *raft_entry (const struct raft *raft, uint64_t index);
/* Payload bytes of the entries behind index that are in memory; all of them when it lies before the first. */
uint64_t raft_bytes_behind (const struct raft *raft, uint64_t index);
/* The least index, not below snapshot_index, with no more than so many payload bytes behind it. */
uint64_t raft_index_before (const struct raft *raft, uint64_t bytes);
/* The term at index: also at snapshot_index; 0 when unknown. */
uint64_t raft_term_at (const struct raft *raft, uint64_t index);

/* Asserts I1 to I7. */
void raft_check (const struct raft *raft);

/* Configurations as payloads of RAFT_ENTRY_CONFIGURATION and in snapshots. encode: out holds
 * RAFT_CONFIGURATION_BYTES_MAX; returns the length. decode: INVALID_ARGUMENT on anything but a valid configuration. */
#define RAFT_CONFIGURATION_BYTES_MAX 512
size_t raft_configuration_encode (const struct raft_configuration *configuration, uint8_t *out);
WARN_UNUSED enum status raft_configuration_decode (struct bytes in, struct raft_configuration *out);

#endif
