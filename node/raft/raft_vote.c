/* Elections: pre-vote (thesis 9.6), stickiness (4.2.3), quick fail-over, votes (3.4), suspects. */
#include "node/raft/raft_internal.h"

#define SPLIT_TRIES_MAX 4

/* Own log as a candidate shows it. */
static void describe_log (const struct raft *raft, struct raft_message *message)
{
    message->index = raft_log_last (&raft->log);
    message->log_term = raft_log_last_term (&raft->log);
    maitre_assert (message->log_term <= raft->term);
}

/* Thesis 3.6.1: the later last term wins, then the longer log. */
static bool up_to_date (const struct raft *raft, const struct raft_message *message)
{
    uint64_t last_term = raft_log_last_term (&raft->log);
    if (message->log_term != last_term)
        return message->log_term > last_term;
    return message->index >= raft_log_last (&raft->log);
}

/* R10, R11: whoever hears a working leader elects no other; a broken link to it ends that for this voter alone. */
static bool sticky (const struct raft *raft)
{
    if (raft->role == RAFT_LEADER)
        return true;
    if (raft->role != RAFT_FOLLOWER || raft->leader == 0 || raft->leader_lost || PLANTED (R11_NOT_STICKY))
        return false;
    maitre_assert (raft->leader_contact_ms <= raft->now_ms);
    return raft->now_ms - raft->leader_contact_ms < raft->options.election_min_ms;
}

static uint64_t own_rank (const struct raft *raft)
{
    maitre_assert (raft->self < (int) raft->configuration.count);
    return raft->self < 0 ? 0 : raft->configuration.members[raft->self].rank;
}

/* Until a voter notices itself that the leader is gone it sticks to it, and most notice within milliseconds of one another:
 * so the first try is repeated soon, before the next rank's turn, and it needs no disk. From then on each voter has its
 * turn once more before it is repeated. Two that try in the same moment split the votes, and wait for several steps.
 * Where a leader fell silent, too: it may have been heard a little later elsewhere, or clocks may run apart, and whoever
 * stands first may hold the only log that can win. After a whole timeout more a second would have passed (P6). */
static void arm_pre_candidate (struct raft *raft)
{
    if (!raft_quick (raft)) {
        uint64_t spread_ms = raft->options.election_max_ms - raft->options.election_min_ms;
        uint64_t turn_ms = spread_ms / raft_role_turns (raft);
        raft->election_deadline_ms = raft->now_ms + spread_ms + 1 + raft_random (raft, turn_ms / 8 + 1);
        maitre_assert (raft->election_deadline_ms > raft->now_ms);
        return;
    }
    uint64_t step_ms = raft->options.quick_step_ms;
    uint64_t wait_ms = raft->quick_tries == 0 ? step_ms / 3 : raft_role_turns (raft) * step_ms;
    raft->quick_tries++;
    raft->election_deadline_ms = raft->now_ms + wait_ms + 1 + raft_random (raft, step_ms / 8 + 1);
    maitre_assert (raft->election_deadline_ms > raft->now_ms);
}

void raft_vote_link_down (struct raft *raft)
{
    maitre_assert (raft->leader != 0);
    maitre_assert (raft->role != RAFT_LEADER);
    raft->leader_lost = true;
    raft->quick_tries = 0;
    if (!raft_may_campaign (raft))
        return;
    uint64_t deadline = raft->now_ms + raft_quick_wait_ms (raft, own_rank (raft));
    if (deadline < raft->election_deadline_ms)
        raft->election_deadline_ms = deadline;
}

static void clear_votes (struct raft *raft)
{
    for (uint32_t i = 0; i < raft->configuration.count; i++)
        raft->peers[i].vote = RAFT_VOTE_NONE;
    maitre_assert (raft->role != RAFT_LEADER);
}

static void vote_for_self (struct raft *raft)
{
    maitre_assert (raft->vote == raft->options.replica || raft->role == RAFT_PRE_CANDIDATE);
    if (raft->self >= 0)
        raft->peers[raft->self].vote = raft->suspect ? RAFT_VOTE_CONDITIONAL : RAFT_VOTE_GRANTED;
}

/* The pre-vote was won, so this log will do, and only a rival of the same moment can have got a vote instead. Two that
 * split the votes wait a little, by rank, and not for a whole timeout, which would leave the group without a leader for
 * over a second; each time longer, as their disks may be slower than the steps between their ranks. Where the rival
 * won, its first message comes before. */
static void stand_up_again (struct raft *raft)
{
    maitre_assert (raft->role == RAFT_CANDIDATE);
    if (raft->campaign_refused)
        return;
    raft->campaign_refused = true;
    uint64_t steps = (RAFT_QUICK_STEPS + own_rank (raft)) << raft->split_tries;
    raft->split_tries += raft->split_tries < SPLIT_TRIES_MAX;
    uint64_t deadline_ms = raft->now_ms + raft_quick_wait_ms (raft, steps);
    if (deadline_ms < raft->election_deadline_ms)
        raft->election_deadline_ms = deadline_ms;
}

/* Acts on what has been counted so far. */
static void tally (struct raft *raft, struct raft_effects *effects)
{
    enum raft_tally outcome = raft_quorum_tally (raft);
    if (outcome == RAFT_TALLY_OPEN)
        return;
    if (raft->role == RAFT_PRE_CANDIDATE) {
        if (outcome != RAFT_TALLY_LOST) {
            raft_vote_campaign (raft, false, outcome == RAFT_TALLY_WON ? 0 : RAFT_TERMS_SKIPPED, effects);
            return;
        }
        /* Back to waiting, without having disturbed anybody; a quick fail-over tries again soon. */
        uint64_t deadline_ms = raft->election_deadline_ms;
        raft_role_follow (raft, raft->term, 0, effects);
        raft->election_deadline_ms = deadline_ms;
        return;
    }
    maitre_assert (raft->role == RAFT_CANDIDATE);
    if (outcome == RAFT_TALLY_LOST ||
        (outcome == RAFT_TALLY_UNANIMOUS && !raft->campaign_skips && !PLANTED (R12_TERM_AGAIN)))
        stand_up_again (raft);
    else if (raft_persist_hard_state_durable (raft)) /* else: raft_vote_persisted */
        raft_role_lead (raft, effects);
}

static void ask_all (struct raft *raft, uint8_t type, uint64_t term, uint8_t flags, struct raft_effects *effects)
{
    for (uint32_t i = 0; i < raft->configuration.count; i++) {
        if ((int) i == raft->self || !raft_is_voter (raft, i))
            continue;
        uint64_t to = raft->configuration.members[i].replica;
        /* A pre-vote promises nothing, so it need not wait for the disk. */
        struct raft_message *message =
            type == RAFT_PREVOTE ? raft_send_now (raft, effects, type, to) : raft_send_after (raft, effects, type, to);
        message->term = term;
        message->flags = flags;
        describe_log (raft, message);
    }
    maitre_assert (raft->role != RAFT_LEADER);
}

void raft_vote_prepare (struct raft *raft, struct raft_effects *effects)
{
    maitre_assert (raft->role != RAFT_LEADER);
    if (!raft_may_campaign (raft)) { /* learners and removed replicas never campaign (R11) */
        raft_role_arm (raft);
        return;
    }
    if (raft->role != RAFT_PRE_CANDIDATE || raft->leader != 0)
        effects->role_changed = true;
    raft->role = RAFT_PRE_CANDIDATE;
    raft->leader = 0;
    raft->ack_pending = false;
    clear_votes (raft);
    arm_pre_candidate (raft);
    if (PLANTED (R10_NO_PREVOTE)) {
        raft_vote_campaign (raft, false, 0, effects);
        return;
    }
    vote_for_self (raft);
    ask_all (raft, RAFT_PREVOTE, raft->term + 1, 0, effects);
    tally (raft, effects); /* alone in the group */
}

/* Suspects may have forgotten, together, a term in which they elected somebody. Nobody who votes now remembers it, but a
 * learner's log may hold its entries: used again it would have two leaders, and (index, term) would name two entries. So
 * an election that they decide goes past all terms that they can have forgotten. */
void raft_vote_campaign (struct raft *raft, bool transfer, uint64_t skipped, struct raft_effects *effects)
{
    maitre_assert (raft->role != RAFT_LEADER);
    maitre_assert (!transfer || skipped == 0);
    maitre_assert (raft_may_campaign (raft));
    raft->role = RAFT_CANDIDATE;
    raft->leader = 0;
    raft->ack_pending = false;
    raft->matched_index = 0;
    raft->campaign_transfer = transfer;
    raft->campaign_skips = skipped > 0;
    raft->campaign_refused = false;
    raft_persist_hard_state (raft, raft->term + 1 + (PLANTED (R12_TERM_AGAIN) ? 0 : skipped), raft->options.replica);
    clear_votes (raft); /* the own vote counts when it is synced: raft_vote_persisted */
    raft_role_arm (raft);
    ask_all (raft, RAFT_VOTE, raft->term, transfer ? RAFT_FLAG_TRANSFER : 0, effects);
    effects->role_changed = true;
}

void raft_vote_persisted (struct raft *raft, struct raft_effects *effects)
{
    if (raft->role != RAFT_CANDIDATE || !raft_persist_hard_state_durable (raft))
        return;
    maitre_assert (raft->vote == raft->options.replica);
    vote_for_self (raft);
    tally (raft, effects);
}

static void answer_prevote (struct raft *raft, const struct raft_message *message, struct raft_effects *effects)
{
    bool granted = message->term > raft->term && up_to_date (raft, message) && !sticky (raft);
    /* Grants promise nothing and may leave at once; a refusal shows our term, by which a candidate that fell behind
     * catches up (R10). */
    struct raft_message *reply = granted ? raft_send_now (raft, effects, RAFT_PREVOTE_REPLY, message->from)
                                         : raft_reply (raft, effects, RAFT_PREVOTE_REPLY, message->from);
    reply->term = granted                                                 ? message->term
                  : PLANTED (R10_REFUSAL_HIDES_TERM) && message->term > 1 ? message->term - 1
                                                                          : raft->term;
    reply->flags = granted ? (raft->suspect ? RAFT_FLAG_SUSPECT : 0) : RAFT_FLAG_REJECT;
    maitre_assert (reply->to == message->from);
}

static void answer_vote (struct raft *raft, const struct raft_message *message, struct raft_effects *effects)
{
    if (message->term < raft->term) {
        raft_reply (raft, effects, RAFT_VOTE_REPLY, message->from)->flags = RAFT_FLAG_REJECT;
        return;
    }
    if (message->term > raft->term) {
        if (sticky (raft) && !(message->flags & RAFT_FLAG_TRANSFER))
            return; /* not even its term is taken on (R11); its pre-vote was refused as well */
        raft_role_follow (raft, message->term, 0, effects);
    }
    bool unused = raft->vote == 0 && raft->leader == 0;
    bool granted = (unused || raft->vote == message->from) && up_to_date (raft, message);
    if (granted && raft->vote == 0) {
        raft_persist_hard_state (raft, raft->term, message->from);
        raft_role_follow (raft, raft->term, 0, effects);
        raft_role_arm (raft); /* give it the time to win */
    }
    struct raft_message *reply = PLANTED (R1_VOTE_BEFORE_SYNC)
                                     ? raft_send_now (raft, effects, RAFT_VOTE_REPLY, message->from)
                                     : raft_send_after (raft, effects, RAFT_VOTE_REPLY, message->from); /* R1 */
    reply->flags = granted ? (raft->suspect && !PLANTED (R12_SUSPECT_VOTES) ? RAFT_FLAG_SUSPECT : 0) : RAFT_FLAG_REJECT;
    maitre_assert (!granted || raft->vote == message->from);
}

/* Members and strangers alike are answered (R9): a candidate may hold a configuration that has not reached us. Removed
 * replicas gain nothing by asking: pre-vote, stickiness and the log decide (thesis 4.2.3). */
void raft_vote_request (struct raft *raft, const struct raft_message *message, struct raft_effects *effects)
{
    maitre_assert (message->from != raft->options.replica);
    if (PLANTED (R9_LEARNER_SILENT) && !raft_self_votes (raft))
        return;
    if (message->type == RAFT_PREVOTE)
        answer_prevote (raft, message, effects);
    else
        answer_vote (raft, message, effects);
}

void raft_vote_reply (struct raft *raft, const struct raft_message *message, struct raft_effects *effects)
{
    bool prevote = message->type == RAFT_PREVOTE_REPLY;
    bool refused = (message->flags & RAFT_FLAG_REJECT) != 0;
    if (message->term > raft->term && !(prevote && !refused)) {
        raft_role_follow (raft, message->term, 0, effects);
        return;
    }
    bool waiting = prevote ? raft->role == RAFT_PRE_CANDIDATE : raft->role == RAFT_CANDIDATE;
    if (!waiting)
        return;
    uint64_t expected = raft->term + (prevote && !refused);
    int place = raft_configuration_place (&raft->configuration, message->from);
    if (message->term != expected || place < 0)
        return;
    maitre_assert (place != raft->self); /* raft_step takes nothing from ourselves */
    struct raft_peer *peer = &raft->peers[place];
    if (refused && peer->vote != RAFT_VOTE_NONE)
        return; /* given is given; this answers an older request */
    if (refused)
        peer->vote = RAFT_VOTE_REFUSED;
    else
        peer->vote = message->flags & RAFT_FLAG_SUSPECT ? RAFT_VOTE_CONDITIONAL : RAFT_VOTE_GRANTED;
    peer->trusted_session = message->session;
    maitre_assert (raft->role != RAFT_LEADER);
    if (refused && !prevote)
        stand_up_again (raft);
    tally (raft, effects);
}

void raft_vote_tick (struct raft *raft, struct raft_effects *effects)
{
    maitre_assert (raft->role != RAFT_LEADER);
    if (raft->now_ms >= raft->election_deadline_ms)
        raft_vote_prepare (raft, effects);
    maitre_assert (raft->role != RAFT_FOLLOWER || raft->election_deadline_ms > raft->now_ms);
}
