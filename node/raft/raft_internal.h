/* The inside of a Raft group, shared by the files of this room only.
 *
 * Room: node/raft, pure. Thread safety: as raft.h.
 *
 * Who is what: raft_log (entries), raft_configuration (members), raft_quorum (counting), raft_role (term and role
 * changes), raft_vote (elections), raft_append (follower), raft_replicate (leader), raft_heartbeat, raft_read,
 * raft_snapshot, raft_transfer, raft_persist (what the disk owes us), raft_effects (what we owe the caller).
 *
 *            timeout, link lost            quorum of pre-votes          quorum of votes, own one synced
 *   FOLLOWER -----------------> PRE_CANDIDATE ---------------> CANDIDATE ----------------------------> LEADER
 *      ^  raft_vote_prepare                   raft_vote_campaign          raft_role_lead                   |
 *      +---- higher term, or a leader of this term, or no quorum: raft_role_follow ------------------------+
 */
#ifndef MAITRED_NODE_RAFT_RAFT_INTERNAL_H
#define MAITRED_NODE_RAFT_RAFT_INTERNAL_H

#include "node/raft/raft.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/planted.h"

/* ---- the log (raft_log.c) ---- */

struct raft_segment;

/* Entries (snapshot_index, last] as one contiguous run; payloads in a chain of segments that never move.
 * ends[i] counts the payload bytes from the beginning of the group's life up to and with entries[i]. */
struct raft_log {
    struct raft_entry *entries;
    uint64_t *ends;
    size_t start, count, size;
    uint64_t snapshot_index, snapshot_term;
    uint64_t snapshot_end;
    struct raft_segment *oldest, *newest;
};

void raft_log_init (struct raft_log *log, uint64_t snapshot_index, uint64_t snapshot_term);
void raft_log_close (struct raft_log *log);
static inline uint64_t raft_log_last (const struct raft_log *log)
{
    return log->snapshot_index + log->count;
}
uint64_t raft_log_last_term (const struct raft_log *log);
uint64_t raft_log_term (const struct raft_log *log, uint64_t index);
const struct raft_entry *raft_log_get (const struct raft_log *log, uint64_t index);
/* Payload bytes of entries (from, to]. Pre: snapshot_index <= from <= to <= last. */
uint64_t raft_log_bytes (const struct raft_log *log, uint64_t from, uint64_t to);
/* The least index with no more than so many payload bytes in the entries behind it. */
uint64_t raft_log_before (const struct raft_log *log, uint64_t bytes);
/* Copies *entry behind the last one. RESOURCE_EXHAUSTED: no memory, nothing changed. Pre: entry->index == last + 1. */
WARN_UNUSED enum status raft_log_append (struct raft_log *log, const struct raft_entry *entry);
/* Drops everything above index. Pre: snapshot_index <= index <= last. */
void raft_log_truncate (struct raft_log *log, uint64_t index);
/* Drops everything up to index. Pre: snapshot_index <= index <= last. */
void raft_log_compact (struct raft_log *log, uint64_t index);
/* Drops everything; the log goes on after (index, term). */
void raft_log_reset (struct raft_log *log, uint64_t index, uint64_t term);
/* The highest index <= `index` whose term is <= `term`, or an index below the log when no entry here is. */
uint64_t raft_log_find (const struct raft_log *log, uint64_t index, uint64_t term);

/* ---- one peer ---- */

enum raft_peer_state {
    RAFT_PEER_PROBE = 0, /* its match is not known: one append at a time */
    RAFT_PEER_REPLICATE, /* pipelined within the window */
    RAFT_PEER_SNAPSHOT,  /* a snapshot is on its way: nothing else is sent */
};

enum raft_peer_vote { RAFT_VOTE_NONE = 0, RAFT_VOTE_GRANTED, RAFT_VOTE_CONDITIONAL, RAFT_VOTE_REFUSED };

/* peers[i] goes with configuration.members[i], self included. */
struct raft_peer {
    uint64_t match, next;
    uint64_t applied;       /* as it last said; 0: it has not, or an older version does not */
    uint64_t session;       /* the highest one heard in this leadership, 0 = none yet */
    uint64_t required;      /* what its earlier session acknowledged, until it shows that it still has it (R12) */
    uint64_t round_acked;   /* ReadIndex */
    uint64_t confirm_round; /* a suspect hears nothing that clears it before this round was confirmed without it, */
    uint64_t
        confirm_index; /* and this entry, which was made after it called itself suspect, committed; 0: not made yet */
    uint64_t trusted_session; /* it granted the unanimous election of this leader: suspicion is settled (R12) */
    uint64_t heard_ms;        /* when it last answered this leader */
    uint64_t progress_ms;     /* when match last advanced, or something was first sent */
    uint64_t check_match;     /* match at the begin of the check-quorum window */
    bool check_waiting;       /* entries were outstanding then */
    bool heard;               /* answered within the window */
    bool link_down;
    bool probe_sent;
    bool suspect;  /* it says so */
    bool amnesia;  /* we say so: it lost what it acknowledged */
    uint8_t state; /* enum raft_peer_state */
    uint8_t vote;  /* enum raft_peer_vote */
};

struct raft_read {
    uint64_t read_id;
    uint64_t round; /* 0: no round assigned yet */
    uint64_t index;
};

struct raft_batch {
    uint64_t sequence;
    uint64_t last_index; /* persisted with it, lowered when a truncation overtakes it */
};

struct raft {
    struct raft_options options;
    struct raft_configuration configuration;      /* effective: the newest of the log */
    struct raft_configuration base_configuration; /* as of the snapshot index */
    uint64_t configuration_index;
    struct raft_peer peers[RAFT_MEMBERS_MAX];
    int self; /* own place in the configuration, -1 when not a member */
    struct raft_log log;

    uint64_t now_ms;
    uint64_t random_state;
    enum raft_role role;
    uint64_t term, vote, leader;
    uint64_t commit, applied, apply_next;

    /* raft_persist.c */
    uint64_t persisted_index;
    uint64_t sequence, persisted_sequence, hard_state_sequence;
    struct raft_batch batches[RAFT_PERSISTS_MAX];
    unsigned batches_count;
    bool hard_state_dirty, log_dirty, log_reset;
    uint64_t dirty_first;

    /* raft_vote.c */
    uint64_t election_deadline_ms, leader_contact_ms;
    bool leader_lost; /* the link to the leader broke: stickiness has ended */
    unsigned quick_tries;
    bool campaign_transfer;
    bool campaign_refused; /* a rival has a vote */
    bool campaign_skips;   /* its term is past all that suspects can have forgotten: they may decide it (R12) */
    unsigned split_tries;

    /* raft_append.c */
    uint64_t matched_index; /* up to here this log was compared with that of the leader of this term */
    uint64_t ack_index;
    bool ack_pending;
    uint64_t full_told_ms; /* until then the leader need not hear again that there is no room */
    bool suspect, emptied;
    uint64_t suspect_target; /* reach this to be cleared; UINT64_MAX: not known yet */

    /* leader */
    uint64_t noop_index;
    uint64_t heartbeat_slot, check_deadline_ms;
    uint64_t transfer_target, transfer_deadline_ms;
    bool transfer_sent;
    struct raft_read *reads;
    size_t reads_head, reads_count, reads_size, reads_assigned;
    uint64_t round;

    uint64_t anomalies;
};

/* ---- raft_effects.c ---- */
/* Fills shard, from, term and session. The pointer is good until the next message is made. */
struct raft_message *raft_send_now (struct raft *raft, struct raft_effects *effects, uint8_t type, uint64_t to);
struct raft_message *raft_send_after (struct raft *raft, struct raft_effects *effects, uint8_t type, uint64_t to);
/* Now when term and vote are durable, otherwise after the next sync (R1). */
struct raft_message *raft_reply (struct raft *raft, struct raft_effects *effects, uint8_t type, uint64_t to);
void raft_effects_read (struct raft_effects *effects, uint64_t read_id, uint64_t index, bool ok);

/* ---- raft_persist.c ---- */
void raft_persist_hard_state (struct raft *raft, uint64_t term, uint64_t vote);
/* Entries from first on changed. */
void raft_persist_log (struct raft *raft, uint64_t first);
void raft_persist_reset (struct raft *raft);
void raft_persist_emit (struct raft *raft, struct raft_effects *effects);
void raft_persist_done (struct raft *raft, uint64_t sequence, struct raft_effects *effects);
static inline bool raft_persist_hard_state_durable (const struct raft *raft)
{
    return !raft->hard_state_dirty && raft->persisted_sequence >= raft->hard_state_sequence;
}

/* ---- raft_configuration.c ---- */
/* VOTER and VOTER_OLD bits of one half. */
static inline bool raft_in_half (const struct raft *raft, uint32_t member, uint8_t half)
{
    return (raft->configuration.members[member].roles & half) != 0;
}
static inline bool raft_is_voter (const struct raft *raft, uint32_t member)
{
    return raft_in_half (raft, member, RAFT_VOTER | RAFT_VOTER_OLD);
}
static inline bool raft_self_votes (const struct raft *raft)
{
    return raft->self >= 0 && raft_is_voter (raft, (uint32_t) raft->self);
}
/* Voters, and those whose removal has not committed yet. */
bool raft_may_campaign (const struct raft *raft);
/* Place of a replica among the members, or -1. */
int raft_configuration_place (const struct raft_configuration *configuration, uint64_t replica);
/* Makes a configuration effective (R7), keeping what is known of peers that stay. */
void raft_configuration_use (struct raft *raft, const struct raft_configuration *configuration, uint64_t index);
/* After a truncation or at start: the newest configuration that the log still holds. */
void raft_configuration_reload (struct raft *raft);
enum status raft_configuration_change (
    struct raft *raft, const struct raft_configuration *wanted, struct raft_effects *effects) WARN_UNUSED;
/* After a commit: leaves a joint configuration. */
void raft_configuration_committed (struct raft *raft, struct raft_effects *effects);
/* At the end of a turn: a leader that was voted out tells the voter that holds most to take over, and steps down. */
void raft_configuration_leave (struct raft *raft, struct raft_effects *effects);

/* ---- raft_quorum.c ---- */
/* The highest value that a majority of each half has reached; values[i] goes with members[i]. */
uint64_t raft_quorum_reached (const struct raft_configuration *configuration, const uint64_t *values);
enum raft_tally {
    RAFT_TALLY_OPEN,
    RAFT_TALLY_WON,
    RAFT_TALLY_UNANIMOUS, /* all voters granted, and without the suspects among them it would not do */
    RAFT_TALLY_LOST
};
enum raft_tally raft_quorum_tally (const struct raft *raft);
/* Whether the marked members are a quorum. */
bool raft_quorum_of (const struct raft_configuration *configuration, const bool *marked);
bool raft_quorum_alone (const struct raft *raft);
/* Whether what the peer says may count towards commits and reads: a suspect may have forgotten a later term (R12). */
static inline bool raft_peer_counts (const struct raft_peer *peer)
{
    return !(peer->suspect || peer->amnesia) || PLANTED (R12_SUSPECT_COUNTS) ||
           (peer->session != 0 && peer->trusted_session == peer->session);
}

/* ---- raft_role.c ---- */
void raft_role_follow (struct raft *raft, uint64_t term, uint64_t leader, struct raft_effects *effects);
void raft_role_lead (struct raft *raft, struct raft_effects *effects);
uint64_t raft_random (struct raft *raft, uint64_t bound);
#define RAFT_QUICK_STEPS 4 /* time for votes to be synced and to arrive */
/* The election timer: after a lost link to the leader short and staggered by rank, otherwise random. */
void raft_role_arm (struct raft *raft);
/* How many take turns at standing for election: the voters. Post: > 0. */
uint64_t raft_role_turns (const struct raft *raft);
/* How long after election_min_ms this replica waits for others to stand up first, by its rank. */
uint64_t raft_role_turn_ms (struct raft *raft);
bool raft_quick (const struct raft *raft);
uint64_t raft_quick_wait_ms (struct raft *raft, uint64_t steps);
/* Appends an entry of the leader's own. RESOURCE_EXHAUSTED: no memory. */
enum status raft_role_append (
    struct raft *raft, uint8_t type, struct bytes payload, struct raft_effects *effects) WARN_UNUSED;

/* ---- raft_vote.c ---- */
void raft_vote_prepare (struct raft *raft, struct raft_effects *effects);
void raft_vote_campaign (struct raft *raft, bool transfer, uint64_t skipped, struct raft_effects *effects);
void raft_vote_request (struct raft *raft, const struct raft_message *message, struct raft_effects *effects);
void raft_vote_reply (struct raft *raft, const struct raft_message *message, struct raft_effects *effects);
void raft_vote_tick (struct raft *raft, struct raft_effects *effects);
void raft_vote_persisted (struct raft *raft, struct raft_effects *effects);
void raft_vote_link_down (struct raft *raft);

/* ---- raft_append.c ---- */
enum status raft_append_receive (
    struct raft *raft, const struct raft_message *message, struct raft_effects *effects) WARN_UNUSED;
void raft_append_emit (struct raft *raft, struct raft_effects *effects);
/* A message of the leader of this term arrived. False: it cannot be, drop it. */
bool raft_append_contact (struct raft *raft, const struct raft_message *message, struct raft_effects *effects);
void raft_append_suspicion (struct raft *raft, struct raft_effects *effects);

/* ---- raft_replicate.c ---- */
void raft_replicate_reply (struct raft *raft, const struct raft_message *message, struct raft_effects *effects);
void raft_replicate_all (struct raft *raft, struct raft_effects *effects);
void raft_replicate_tick (struct raft *raft, struct raft_effects *effects);
/* False: no quorum was heard in the window that just ended, the leader must step down. */
bool raft_replicate_check_quorum (struct raft *raft);
void raft_replicate_commit (struct raft *raft, struct raft_effects *effects);
/* What was under way to it may be lost: begins again behind what it is known to hold, or, where nothing is known, at the end, as a
 * fresh leader does. From the first entry on, whoever comes back would be sent everything, by a snapshot once the log was cut. */
void raft_replicate_probe (struct raft *raft, struct raft_peer *peer);
/* Notes that the peer answered; NULL when the message is of an earlier life or of nobody we know (R11). */
struct raft_peer *raft_replicate_heard (struct raft *raft, const struct raft_message *message);

/* ---- raft_heartbeat.c ---- */
void raft_heartbeat_tick (struct raft *raft, struct raft_effects *effects);
void raft_heartbeat_send (struct raft *raft, uint64_t round, struct raft_effects *effects);
void raft_heartbeat_receive (struct raft *raft, const struct raft_message *message, struct raft_effects *effects);
void raft_heartbeat_reply (struct raft *raft, const struct raft_message *message, struct raft_effects *effects);

/* ---- raft_read.c ---- */
enum status raft_read_queue (struct raft *raft, uint64_t read_id) WARN_UNUSED;
/* At the end of a turn: reads that wait begin a round. */
void raft_read_begin (struct raft *raft, struct raft_effects *effects);
/* A fresh round for reads that still wait for theirs, 0 when none does (R5). */
uint64_t raft_read_retry (struct raft *raft);
void raft_read_confirm (struct raft *raft, struct raft_effects *effects);
/* The newest round that a quorum has answered. */
uint64_t raft_read_confirmed (const struct raft *raft);
void raft_read_refuse_all (struct raft *raft, struct raft_effects *effects);

/* ---- raft_snapshot.c ---- */
void raft_snapshot_want (struct raft *raft, uint32_t member, struct raft_effects *effects);
void raft_snapshot_sent (struct raft *raft, const struct raft_event *event);
void raft_snapshot_restore (struct raft *raft, const struct raft_event *event, struct raft_effects *effects);

/* ---- raft_transfer.c ---- */
enum status raft_transfer_begin (struct raft *raft, uint64_t target) WARN_UNUSED;
/* TimeoutNow to the life of the member that the leader has heard. Pre: not ourselves. */
void raft_transfer_offer (struct raft *raft, uint32_t member, struct raft_effects *effects);
/* Offers once the target has everything. */
void raft_transfer_try (struct raft *raft, struct raft_effects *effects);
void raft_transfer_tick (struct raft *raft);
void raft_transfer_receive (struct raft *raft, const struct raft_message *message, struct raft_effects *effects);

#endif
