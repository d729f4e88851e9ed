/* The leader: appends to each peer, pipelined within a window, and commits what a quorum holds. */
#include "node/raft/raft_internal.h"

/* Heartbeats without an answer to what was sent, before it is sent again: far above a slow sync. */
#define RESEND_HEARTBEATS 4

void raft_replicate_probe (struct raft *raft, struct raft_peer *peer)
{
    maitre_assert (raft->role == RAFT_LEADER);
    uint64_t known = peer->match > peer->required ? peer->match : peer->required;
    peer->next = (known > 0 ? known : raft_log_last (&raft->log)) + 1;
    peer->state = RAFT_PEER_PROBE;
    peer->probe_sent = false;
    maitre_assert (peer->next > peer->match);
}

struct raft_peer *raft_replicate_heard (struct raft *raft, const struct raft_message *message)
{
    int place = raft_configuration_place (&raft->configuration, message->from);
    if (place < 0 || message->session == 0) /* R11 */
        return NULL;
    maitre_assert (place != raft->self); /* raft_step takes nothing from ourselves */
    struct raft_peer *peer = &raft->peers[place];
    if (message->session < peer->session)
        return NULL; /* of an earlier life, which may have known more than this one */
    if (message->session > peer->session) {
        if (peer->session != 0 &&
            !PLANTED (R12_AMNESIA_UNSEEN)) { /* restarted under this leader: does it still hold what it acknowledged? */
            peer->required = peer->match > peer->required ? peer->match : peer->required;
            peer->match = 0;
            peer->check_match = 0;
            raft_replicate_probe (raft, peer);
        }
        peer->session = message->session;
        peer->applied = 0;
        peer->suspect = false;
        peer->amnesia = false;
    }
    bool suspect = (message->flags & RAFT_FLAG_SUSPECT) != 0;
    if (suspect && !peer->suspect) {
        peer->confirm_round = ++raft->round;
        peer->confirm_index = 0;
    }
    if (suspect) { /* it knows by now */
        peer->suspect = true;
        peer->amnesia = false; /* required stays: it may crash again before it noted what it was told */
    } else if (message->round >= peer->confirm_round) {
        peer->suspect = false; /* said after it had called itself suspect, not a straggler from before */
    }
    peer->heard = true;
    peer->heard_ms = raft->now_ms;
    peer->link_down = false;
    maitre_assert (raft->role == RAFT_LEADER);
    return peer;
}

/* R3: only an entry of the current term commits by counting; what stands before it commits with it. */
void raft_replicate_commit (struct raft *raft, struct raft_effects *effects)
{
    uint64_t match[RAFT_MEMBERS_MAX];
    maitre_assert (raft->role == RAFT_LEADER);
    for (uint32_t i = 0; i < raft->configuration.count; i++) {
        if ((int) i == raft->self)
            match[i] = PLANTED (R2_OWN_COPY_UNSYNCED) ? raft_log_last (&raft->log) : raft->persisted_index;
        else
            match[i] = raft_peer_counts (&raft->peers[i]) ? raft->peers[i].match : 0;
    }
    uint64_t reached = raft_quorum_reached (&raft->configuration, match);
    if (reached <= raft->commit ||
        (raft_log_term (&raft->log, reached) != raft->term && !PLANTED (R3_OLD_TERM_BY_COUNTING)))
        return;
    maitre_assert (reached <= raft_log_last (&raft->log));
    raft->commit = reached;
    raft_configuration_committed (raft, effects);
}

static void refused (struct raft *raft, struct raft_peer *peer, const struct raft_message *message)
{
    if (!peer->suspect && peer->required > 0 && message->hint < peer->required)
        peer->amnesia = true; /* R12: tell it with the next append */
    if (peer->state == RAFT_PEER_SNAPSHOT)
        return;
    bool stale = peer->state == RAFT_PEER_PROBE ? message->index != peer->next - 1 : message->index <= peer->match;
    if (stale)
        return;
    uint64_t found = raft_log_find (&raft->log, message->hint, message->log_term);
    uint64_t next =
        found < message->index ? found + 1 : message->index; /* always a step back, whatever the hint says */
    peer->next = next > peer->match ? next : peer->match + 1;
    peer->state = RAFT_PEER_PROBE;
    peer->probe_sent = false;
    maitre_assert (peer->next > 0);
}

static void accepted (
    struct raft *raft, struct raft_peer *peer, const struct raft_message *message, struct raft_effects *effects)
{
    if (message->index > raft_log_last (&raft->log)) {
        raft->anomalies++;
        return;
    }
    if (message->index >= peer->required)
        peer->required = 0;
    if (message->index > peer->match) {
        peer->match = message->index;
        peer->progress_ms = raft->now_ms;
    }
    if (peer->next <= peer->match)
        peer->next = peer->match + 1;
    if (peer->state == RAFT_PEER_PROBE) {
        peer->state = RAFT_PEER_REPLICATE;
        peer->probe_sent = false;
        peer->next = peer->match + 1;
        peer->progress_ms = raft->now_ms;
    } else if (peer->state == RAFT_PEER_SNAPSHOT && peer->match >= raft->log.snapshot_index) {
        peer->state = RAFT_PEER_PROBE;
        peer->probe_sent = false;
    }
    maitre_assert (peer->match < peer->next);
    raft_replicate_commit (raft, effects);
}

void raft_replicate_reply (struct raft *raft, const struct raft_message *message, struct raft_effects *effects)
{
    if (message->term > raft->term) {
        raft_role_follow (raft, message->term, 0, effects);
        return;
    }
    if (raft->role != RAFT_LEADER || message->term < raft->term)
        return;
    struct raft_peer *peer = raft_replicate_heard (raft, message);
    if (!peer)
        return;
    maitre_assert (message->from != raft->options.replica);
    if (message->flags & RAFT_FLAG_REJECT)
        refused (raft, peer, message);
    else
        accepted (raft, peer, message, effects);
}

/* A vote that a suspect forgot may be for a term above ours, and its candidate may still hear the others' late. So a
 * suspect is trusted only when an entry has committed that did not exist when it forgot: those who hold it refuse that
 * candidate, whose log ends before it, and the others together are no quorum (thesis 3.6.1, R12). */
static void follow_suspicion (struct raft *raft, struct raft_effects *effects)
{
    bool wanted = false;
    for (uint32_t i = 0; i < raft->configuration.count; i++)
        wanted = wanted || (raft->peers[i].suspect && raft->peers[i].confirm_index == 0);
    if (!wanted || raft->transfer_target != 0) /* whoever takes over holds all that there is (R15) */
        return;
    if (raft_role_append (raft, RAFT_ENTRY_NOOP, (struct bytes){0}, effects) != STATUS_OK)
        return; /* no memory: at the next heartbeat */
    for (uint32_t i = 0; i < raft->configuration.count; i++)
        if (raft->peers[i].suspect && raft->peers[i].confirm_index == 0)
            raft->peers[i].confirm_index = raft_log_last (&raft->log);
    maitre_assert (raft->role == RAFT_LEADER);
}

static bool suspicion_followed (const struct raft *raft, const struct raft_peer *peer)
{
    maitre_assert (peer->suspect);
    return (peer->confirm_index != 0 && raft->commit >= peer->confirm_index) || PLANTED (R12_VOTE_FORGOTTEN);
}

/* What a suspect may take for the leader's answer to its restart: only after this leadership was confirmed without it. */
static uint64_t echo_session (const struct raft *raft, const struct raft_peer *peer)
{
    if (peer->suspect && (raft_read_confirmed (raft) < peer->confirm_round || !suspicion_followed (raft, peer)))
        return 0;
    return peer->session;
}

/* One append from peer->next on, as much as fits; returns how many entries. */
static uint32_t send_append (struct raft *raft, uint32_t member, struct raft_effects *effects)
{
    struct raft_peer *peer = &raft->peers[member];
    uint64_t previous = peer->next - 1;
    uint64_t last = raft_log_last (&raft->log);
    maitre_assert (previous >= raft->log.snapshot_index);
    maitre_assert (previous <= last);
    uint64_t to = last - previous > RAFT_MESSAGE_ENTRIES_MAX ? previous + RAFT_MESSAGE_ENTRIES_MAX : last;
    while (to > previous + 1 && raft_log_bytes (&raft->log, previous, to) > raft->options.append_bytes_max)
        to = previous + 1 + (to - previous - 1) / 2; /* at least one entry, however large */
    struct raft_message *message =
        raft_send_now (raft, effects, RAFT_APPEND, raft->configuration.members[member].replica);
    message->flags = peer->amnesia ? RAFT_FLAG_SUSPECT : 0;
    message->index = previous;
    message->log_term = raft_log_term (&raft->log, previous);
    message->commit = raft->commit;
    message->session = echo_session (raft, peer);
    message->entries = to > previous ? raft_log_get (&raft->log, previous + 1) : NULL;
    message->count = (uint32_t) (to - previous);
    return message->count;
}

static bool window_open (const struct raft *raft, const struct raft_peer *peer)
{
    uint64_t from = peer->match > raft->log.snapshot_index ? peer->match : raft->log.snapshot_index;
    maitre_assert (peer->next > from);
    if (peer->next - 1 - from >= raft->options.window_entries_max)
        return false;
    return raft_log_bytes (&raft->log, from, peer->next - 1) < raft->options.window_bytes_max;
}

static void replicate (struct raft *raft, uint32_t member, struct raft_effects *effects)
{
    struct raft_peer *peer = &raft->peers[member];
    maitre_assert (peer->next > peer->match);
    if (peer->link_down || peer->state == RAFT_PEER_SNAPSHOT)
        return;
    if (peer->next <= raft->log.snapshot_index) {
        bool there = peer->session != 0 && raft->now_ms - peer->heard_ms < raft->options.election_min_ms;
        if (there && !peer->probe_sent)
            raft_snapshot_want (raft, member, effects);
        return;
    }
    if (peer->state == RAFT_PEER_PROBE) {
        if (peer->probe_sent)
            return;
        (void) send_append (raft, member, effects);
        peer->probe_sent = true;
        peer->progress_ms = raft->now_ms;
        return;
    }
    uint64_t last = raft_log_last (&raft->log);
    if (peer->next <= last && peer->next == peer->match + 1)
        peer->progress_ms = raft->now_ms; /* nothing was outstanding: the wait begins now */
    while (peer->next <= last && window_open (raft, peer))
        peer->next += send_append (raft, member, effects);
}

void raft_replicate_all (struct raft *raft, struct raft_effects *effects)
{
    maitre_assert (raft->role == RAFT_LEADER);
    for (uint32_t i = 0; i < raft->configuration.count; i++)
        if ((int) i != raft->self)
            replicate (raft, i, effects);
}

/* Messages may be lost although their connection lives on: begin again from what is known to match. */
static void resend_overdue (struct raft *raft, struct raft_peer *peer)
{
    uint64_t wait_ms = (uint64_t) RESEND_HEARTBEATS * raft->options.heartbeat_ms;
    bool waits = peer->suspect || peer->amnesia; /* also one that counts because all agreed on this leader (R12) */
    if (waits && peer->state == RAFT_PEER_REPLICATE && peer->next == peer->match + 1) {
        peer->state = RAFT_PEER_PROBE; /* keep telling a suspect what it waits for */
        peer->probe_sent = false;
        return;
    }
    bool outstanding = peer->state == RAFT_PEER_PROBE ? peer->probe_sent : peer->next > peer->match + 1;
    maitre_assert (peer->progress_ms <= raft->now_ms);
    if (peer->state == RAFT_PEER_SNAPSHOT || !outstanding || raft->now_ms - peer->progress_ms < wait_ms)
        return;
    if (peer->state == RAFT_PEER_REPLICATE)
        peer->next = peer->match + 1;
    peer->state = RAFT_PEER_PROBE;
    peer->probe_sent = false;
}

/* R10. A follower counts if it answered, and if its appends got through while there were any to get through. Without
 * enough that are not suspect nothing can commit: only an election in which all voters answer helps (R12). */
static bool quorum_active (struct raft *raft)
{
    bool active[RAFT_MEMBERS_MAX] = {false};
    uint64_t last = raft_log_last (&raft->log);
    for (uint32_t i = 0; i < raft->configuration.count; i++) {
        struct raft_peer *peer = &raft->peers[i];
        bool stuck = peer->check_waiting && peer->match <= peer->check_match && peer->state != RAFT_PEER_SNAPSHOT;
        active[i] = (int) i == raft->self || (peer->heard && !stuck && raft_peer_counts (peer));
        peer->heard = false;
        peer->check_match = peer->match;
        peer->check_waiting = peer->match < last;
    }
    maitre_assert (raft->role == RAFT_LEADER);
    return raft_quorum_of (&raft->configuration, active);
}

void raft_replicate_tick (struct raft *raft, struct raft_effects *effects)
{
    maitre_assert (raft->role == RAFT_LEADER);
    follow_suspicion (raft, effects);
    for (uint32_t i = 0; i < raft->configuration.count; i++)
        if ((int) i != raft->self)
            resend_overdue (raft, &raft->peers[i]);
}

bool raft_replicate_check_quorum (struct raft *raft)
{
    maitre_assert (raft->role == RAFT_LEADER);
    if (raft->now_ms < raft->check_deadline_ms || PLANTED (R10_NO_CHECK_QUORUM))
        return true;
    raft->check_deadline_ms = raft->now_ms + raft->options.election_max_ms;
    return quorum_active (raft);
}
