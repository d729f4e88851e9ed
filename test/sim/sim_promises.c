/* What a message, a proposal or a turn promises, checked at the moment when it leaves: sooner than its consequences show.
 *
 * Each check looks at the simulated disks and at what was sent before, never at the line of the core that it guards. Names in
 * brackets are traps of the catalogue.
 */
#include "test/sim/sim.h"

#include <stdlib.h>

#include "schemas/runtime/assert.h"
#include "schemas/runtime/checksum.h"

#define HEARTBEAT_MS 50 /* the default, which all simulated groups use */
#define HEARTBEAT_LATE_MS 20

static const struct sim_stored *stored_of (struct sim *sim, uint64_t replica)
{
    return sim_disk_find (&sim->nodes[sim_node_of (sim, replica)].disk, replica);
}

static struct sim_replica *running (struct sim *sim, uint64_t replica)
{
    return sim_node_find (&sim->nodes[sim_node_of (sim, replica)], replica);
}

static void note_round (struct sim *sim, const struct raft_message *message);

/* ---- messages ---- */

/* R1: nobody learns of a term or of a vote that a crash could take back. A pre-vote names a term that nobody is in yet. */
static void check_durable_term (struct sim *sim, const struct raft_message *message, const struct sim_stored *stored)
{
    bool granted = message->type == RAFT_PREVOTE_REPLY && !(message->flags & RAFT_FLAG_REJECT);
    if (message->type != RAFT_PREVOTE && !granted && message->term > stored->term)
        sim_fail (sim, "shard %u: replica %lu shows term %lu before it is durable (R1)", message->shard,
            (unsigned long) message->from, (unsigned long) message->term);
    bool votes = message->type == RAFT_VOTE_REPLY && !(message->flags & RAFT_FLAG_REJECT);
    if (votes && stored->term == message->term && stored->vote != message->to) /* it may be in a later term by now */
        sim_fail (sim, "shard %u: replica %lu votes for %lu in term %lu, and its disk does not know (R1)",
            message->shard, (unsigned long) message->from, (unsigned long) message->to, (unsigned long) message->term);
}

/* The voters of whom the candidate heard that they would follow it into the term, and itself. */
static unsigned prevotes (
    struct sim *sim, const struct raft_message *message, const struct raft_configuration *members, uint64_t term)
{
    unsigned granted = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        uint64_t voter = members->members[i].replica;
        if (members->members[i].roles & (RAFT_VOTER | RAFT_VOTER_OLD))
            granted += voter == message->from ||
                       sim_oracle_known (sim, SIM_FACT_PREVOTE, message->shard, message->from << 32 | voter, term);
    }
    return granted;
}

/* R10: a term is only begun after a quorum said in a pre-vote that it would follow, or on the leader's own word. Past the
 * terms that suspects may have forgotten: after all voters said so. */
static void check_prevotes (struct sim *sim, const struct raft_message *message)
{
    struct sim_replica *replica = running (sim, message->from);
    if (!replica || message->flags & RAFT_FLAG_TRANSFER)
        return;
    const struct raft_configuration *members = raft_configuration (replica->raft);
    unsigned voters = 0, granted = prevotes (sim, message, members, message->term);
    for (uint32_t i = 0; i < members->count; i++)
        voters += (members->members[i].roles & (RAFT_VOTER | RAFT_VOTER_OLD)) != 0;
    bool all = message->term > RAFT_TERMS_SKIPPED &&
               prevotes (sim, message, members, message->term - RAFT_TERMS_SKIPPED) == voters;
    if (!raft_configuration_joint (members) && 2 * granted <= voters && !all)
        sim_fail (sim, "shard %u: replica %lu begins term %lu with %u pre-votes of %u (R10)", message->shard,
            (unsigned long) message->from, (unsigned long) message->term, granted, voters);
}

/* R12: leadership is offered for what one life of the target has acknowledged; a later one may have forgotten it. */
static void check_offered (struct sim *sim, const struct raft_message *message)
{
    uint64_t life = message->from << 32 | message->session;
    if (!sim_oracle_known (sim, SIM_FACT_OFFER, message->shard, life, message->term - 1))
        sim_fail (sim, "shard %u: replica %lu takes what was not offered to its life %lu (R12)", message->shard,
            (unsigned long) message->from, (unsigned long) message->session);
}

static void note_vote (struct sim *sim, const struct raft_message *message)
{
    uint64_t *voted = &sim->voted_terms[message->from];
    if (message->term > *voted) {
        *voted = message->term;
        sim->voted_for[message->from] = message->to;
    }
}

/* How many voters' logs allow a vote for `candidate`, the forgetful one counted as one of them: it voted once. Who is down
 * or suspect is not asked. */
static unsigned supporters (struct sim *sim, const struct sim_replica *forgetful, const struct sim_replica *candidate,
    const struct raft_configuration *members)
{
    struct raft_status stands, votes;
    raft_status (candidate->raft, &stands);
    unsigned supporters = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        if (!(members->members[i].roles & RAFT_VOTER))
            continue;
        struct sim_replica *voter = running (sim, members->members[i].replica);
        if (!voter)
            continue;
        raft_status (voter->raft, &votes);
        bool ahead = votes.last_term > stands.last_term ||
                     (votes.last_term == stands.last_term && votes.last_index > stands.last_index);
        supporters += voter == forgetful || voter == candidate || (!ahead && !votes.suspect);
    }
    return supporters;
}

/* R12: who is trusted again may be in an earlier term than one in which it voted once, and could vote there once more. Among
 * four and fewer the quorum that confirmed its leader leaves nobody out who could have stood; among five somebody may be,
 * but then he can no longer win: those who hold what has committed since then refuse him. */
void sim_promise_cleared (struct sim *sim, const struct sim_replica *replica)
{
    struct raft_status status, stands;
    raft_status (replica->raft, &status);
    uint64_t voted = sim->voted_terms[replica->replica];
    if (status.term >= voted)
        return;
    const struct raft_configuration *members = raft_configuration (replica->raft);
    unsigned voters = 0;
    for (uint32_t i = 0; i < members->count; i++)
        voters += (members->members[i].roles & RAFT_VOTER) != 0;
    if (members->count < 5)
        sim_fail (sim, "shard %u: replica %lu is trusted in term %lu, and forgot its vote of term %lu (R12)",
            replica->shard, (unsigned long) replica->replica, (unsigned long) status.term, (unsigned long) voted);
    struct sim_replica *candidate = running (sim, sim->voted_for[replica->replica]);
    if (!candidate || raft_configuration_joint (members))
        return;
    raft_status (candidate->raft, &stands);
    if (stands.role != RAFT_CANDIDATE || stands.term != voted)
        return;
    if (2 * supporters (sim, replica, candidate, members) > voters)
        sim_fail (sim,
            "shard %u: replica %lu is trusted in term %lu, and %lu, for whom it voted in term %lu, can win (R12)",
            replica->shard, (unsigned long) replica->replica, (unsigned long) status.term,
            (unsigned long) candidate->replica, (unsigned long) voted);
}

static void note_candidate (struct sim *sim, const struct raft_message *message)
{
    if (!sim_oracle_known (sim, SIM_FACT_CANDIDATE, message->shard, message->from, message->term))
        sim->candidacies++;
    sim_oracle_fact (sim, SIM_FACT_CANDIDATE, message->shard, message->from, message->term, 1);
    if (message->flags & RAFT_FLAG_TRANSFER)
        check_offered (sim, message);
    check_prevotes (sim, message);
}

/* R15: who is told to take over holds everything; a leader that was voted out picks the best that there is. */
static void check_handover (struct sim *sim, const struct raft_message *message)
{
    struct sim_replica *leader = running (sim, message->from);
    sim_oracle_fact (sim, SIM_FACT_OFFER, message->shard, message->to << 32 | message->session, message->term, 1);
    const struct sim_stored *target = stored_of (sim, message->to);
    if (!leader || !target || sim->oracle.groups[message->shard].damaged > 0)
        return;
    const struct raft_member *self = raft_configuration_find (raft_configuration (leader->raft), message->from);
    struct raft_status status;
    raft_status (leader->raft, &status);
    if (self && self->roles & RAFT_VOTER && !sim_stored_has (target, status.last_index, status.last_term))
        sim_fail (sim, "shard %u: leader %lu hands over to %lu, which lacks entry %lu (R15)", message->shard,
            (unsigned long) message->from, (unsigned long) message->to, (unsigned long) status.last_index);
}

void sim_promise_message (struct sim *sim, const struct raft_message *message)
{
    const struct sim_stored *stored = stored_of (sim, message->from);
    if (stored)
        check_durable_term (sim, message, stored);
    if (message->type == RAFT_PREVOTE_REPLY && !(message->flags & RAFT_FLAG_REJECT))
        sim_oracle_fact (
            sim, SIM_FACT_PREVOTE, message->shard, message->to << 32 | message->from, message->term, message->to);
    else if (message->type == RAFT_VOTE_REPLY && !(message->flags & RAFT_FLAG_REJECT))
        note_vote (sim, message);
    else if (message->type == RAFT_VOTE)
        note_candidate (sim, message);
    else if (message->type == RAFT_TIMEOUT_NOW)
        check_handover (sim, message);
    else if (message->type == RAFT_HEARTBEAT)
        note_round (sim, message);
}

/* ---- ReadIndex rounds ---- */

#define ROUNDS_KEPT 256

/* Of one life of one replica: when each round first went out, and up to what moment the members have answered. */
struct sim_rounds {
    struct {
        uint64_t round, sent_us;
    } sent[ROUNDS_KEPT];
    uint64_t member[RAFT_MEMBERS_MAX], answered_us[RAFT_MEMBERS_MAX];
    size_t members_count;
    struct raft_configuration members_before; /* this turn */
};

static void note_round (struct sim *sim, const struct raft_message *message)
{
    struct sim_replica *replica = running (sim, message->from);
    if (message->round == 0 || !replica)
        return;
    if (!replica->rounds)
        replica->rounds = calloc (1, sizeof *replica->rounds);
    maitre_assert (replica->rounds != NULL);
    size_t place = message->round % ROUNDS_KEPT;
    if (replica->rounds->sent[place].round == message->round)
        return;
    replica->rounds->sent[place].round = message->round;
    replica->rounds->sent[place].sent_us = sim->time_us;
}

static uint64_t *answered_by (struct sim_rounds *rounds, uint64_t member)
{
    size_t i = 0;
    while (i < rounds->members_count && rounds->member[i] != member)
        i++;
    if (i == rounds->members_count) {
        if (i == RAFT_MEMBERS_MAX) /* long gone ones make room */
            i = rounds->members_count = 0;
        rounds->member[i] = member;
        rounds->answered_us[i] = 0;
        rounds->members_count++;
    }
    return &rounds->answered_us[i];
}

void sim_promise_heard (struct sim *sim, struct sim_replica *replica, const struct raft_message *message)
{
    if (message->type != RAFT_HEARTBEAT_REPLY || message->round == 0 || !replica->rounds)
        return;
    (void) sim;
    size_t place = message->round % ROUNDS_KEPT;
    uint64_t *answered = answered_by (replica->rounds, message->from);
    if (replica->rounds->sent[place].round == message->round && replica->rounds->sent[place].sent_us > *answered)
        *answered = replica->rounds->sent[place].sent_us;
}

static bool confirmed_since (struct sim_replica *replica, const struct raft_configuration *members, uint64_t asked_us)
{
    unsigned voters[2] = {0}, answered[2] = {0};
    const uint8_t halves[2] = {RAFT_VOTER, RAFT_VOTER_OLD};
    for (uint32_t i = 0; i < members->count; i++) {
        uint64_t member = members->members[i].replica;
        bool fresh =
            member == replica->replica || (replica->rounds && *answered_by (replica->rounds, member) >= asked_us);
        for (int half = 0; half < 2; half++) {
            voters[half] += (members->members[i].roles & halves[half]) != 0;
            answered[half] += (members->members[i].roles & halves[half]) != 0 && fresh;
        }
    }
    return 2 * answered[0] > voters[0] && (voters[1] == 0 || 2 * answered[1] > voters[1]);
}

/* R5, R6: a read passes when a quorum has answered something that was asked after it came, whatever any clock says. Which
 * quorum may have changed within the turn. */
void sim_promise_read (struct sim *sim, struct sim_replica *replica, uint64_t asked_us)
{
    bool before = replica->rounds && confirmed_since (replica, &replica->rounds->members_before, asked_us);
    if (!before && !confirmed_since (replica, raft_configuration (replica->raft), asked_us))
        sim_fail (sim, "shard %u: replica %lu answers a read that no quorum has confirmed since it came (R5)",
            replica->shard, (unsigned long) replica->replica);
}

void sim_promise_begin (struct sim_replica *replica)
{
    if (replica->rounds)
        replica->rounds->members_before = *raft_configuration (replica->raft);
}

/* ---- what a leader takes on ---- */

void sim_promise_proposed (struct sim *sim, const struct sim_replica *replica, const struct raft_status *before)
{
    if (before->transferring)
        sim_fail (sim, "shard %u: replica %lu takes a proposal while it hands over (R15)", replica->shard,
            (unsigned long) replica->replica);
}

void sim_promise_configured (struct sim *sim, const struct sim_replica *replica, const struct raft_status *before,
    const struct raft_configuration *members, const struct raft_configuration *wanted)
{
    if (raft_term_at (replica->raft, before->commit) != before->term)
        sim_fail (sim, "shard %u: leader %lu changes the members before an entry of its term has committed (R4)",
            replica->shard, (unsigned long) replica->replica);
    uint64_t lag_max = sim->families & SIM_SMALL ? SIM_PROMOTE_LAG_SMALL : SIM_PROMOTE_LAG;
    for (uint32_t i = 0; i < wanted->count; i++) {
        const struct raft_member *now = raft_configuration_find (members, wanted->members[i].replica);
        if (!(wanted->members[i].roles & RAFT_VOTER) || (now && now->roles & RAFT_VOTER))
            continue;
        const struct sim_stored *stored = stored_of (sim, wanted->members[i].replica);
        uint64_t holds = stored ? sim_stored_last (stored) : 0;
        if (holds == 0 || holds + lag_max < before->last_index)
            sim_fail (sim, "shard %u: replica %lu is to vote, and holds %lu of %lu entries (R9)", replica->shard,
                (unsigned long) wanted->members[i].replica, (unsigned long) holds, (unsigned long) before->last_index);
    }
}

/* ---- snapshots ---- */

uint64_t sim_promise_configuration (const struct raft_configuration *members)
{
    uint8_t bytes[RAFT_CONFIGURATION_BYTES_MAX];
    return checksum64 (7, bytes_of (bytes, raft_configuration_encode (members, bytes)));
}

/* R7: a snapshot carries the configuration that had committed by its index, none that came later. */
void sim_promise_installed (
    struct sim *sim, const struct sim_replica *replica, uint64_t index, const struct raft_configuration *members)
{
    const struct sim_group *group = &sim->oracle.groups[replica->shard];
    if (index == 0 || index > group->committed_count)
        sim_fail (sim, "shard %u: replica %lu installs a snapshot at %lu, which has not committed", replica->shard,
            (unsigned long) replica->replica, (unsigned long) index);
    uint64_t expected = group->committed[index - 1].configuration; /* 0: still the founding one */
    if (expected != 0 && expected != sim_promise_configuration (members))
        sim_fail (sim, "shard %u: the snapshot at %lu that replica %lu installs carries another configuration (R7)",
            replica->shard, (unsigned long) index, (unsigned long) replica->replica);
}

/* ---- turns ---- */

static bool heard_by_all (
    const struct sim_replica *replica, const struct raft_message *sent, size_t count, uint64_t *missing)
{
    const struct raft_configuration *members = raft_configuration (replica->raft);
    for (uint32_t i = 0; i < members->count; i++) {
        uint64_t member = members->members[i].replica;
        bool heard = member == replica->replica;
        for (size_t j = 0; j < count && !heard; j++)
            heard = sent[j].type == RAFT_HEARTBEAT && sent[j].to == member;
        *missing = member;
        if (!heard)
            return false;
    }
    return true;
}

/* G1, G2: whoever leads lets every member hear so in time, whatever else is under way to it. */
void sim_promise_turn (
    struct sim *sim, struct sim_replica *replica, const struct raft_message *sent, size_t count, uint64_t now_ms)
{
    struct raft_status status;
    raft_status (replica->raft, &status);
    uint64_t missing = 0, term = status.role == RAFT_LEADER ? status.term : 0;
    bool stood_still = now_ms > replica->turn_ms + HEARTBEAT_MS + HEARTBEAT_LATE_MS;
    replica->turn_ms = now_ms;
    if (term == 0 || term != replica->beat_term || stood_still || heard_by_all (replica, sent, count, &missing)) {
        replica->beat_term = term;
        replica->beat_ms = now_ms;
    } else if (now_ms > replica->beat_ms + 2 * HEARTBEAT_MS + HEARTBEAT_LATE_MS) {
        sim_fail (sim, "shard %u: leader %lu lets replica %lu wait for a heartbeat (G2)", replica->shard,
            (unsigned long) replica->replica, (unsigned long) missing);
    }
}

/* R12: what a replica knows of its own suspicion is on its disk, as soon as nothing is on its way there. */
void sim_promise_idle (struct sim *sim, struct sim_node *node)
{
    if (node->disk.batch_open != 0 || node->disk.batch_writing != 0)
        return;
    for (size_t i = 0; i < node->replicas_count; i++) {
        struct sim_replica *replica = node->replicas[i];
        struct raft_status status;
        raft_status (replica->raft, &status);
        if (status.suspect != replica->stored->suspect)
            sim_fail (sim, "shard %u: replica %lu is %ssuspect, and its disk says otherwise (R12)", replica->shard,
                (unsigned long) replica->replica, status.suspect ? "" : "not ");
    }
}
