/* Counting: majorities of one half, or of both halves of a joint configuration (R8). */
#include "node/raft/raft_internal.h"

/* The largest value that more than half of the half's voters have reached; UINT64_MAX for a half without voters. */
static uint64_t half_reached (const struct raft_configuration *configuration, uint8_t half, const uint64_t *values)
{
    uint64_t sorted[RAFT_MEMBERS_MAX];
    unsigned voters = 0;
    maitre_assert (configuration->count <= RAFT_MEMBERS_MAX);
    for (uint32_t i = 0; i < configuration->count; i++) {
        if (!(configuration->members[i].roles & half))
            continue;
        unsigned at = voters++;
        for (; at > 0 && sorted[at - 1] < values[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = values[i];
    }
    maitre_assert (voters <= RAFT_MEMBERS_MAX);
    return voters == 0 ? UINT64_MAX : sorted[voters / 2];
}

uint64_t raft_quorum_reached (const struct raft_configuration *configuration, const uint64_t *values)
{
    uint64_t current = half_reached (configuration, RAFT_VOTER, values);
    uint64_t outgoing = half_reached (configuration, RAFT_VOTER_OLD, values);
    uint64_t reached = current < outgoing || PLANTED (R8_ONE_HALF) ? current : outgoing;
    return reached == UINT64_MAX ? 0 : reached;
}

bool raft_quorum_of (const struct raft_configuration *configuration, const bool *marked)
{
    uint64_t values[RAFT_MEMBERS_MAX] = {0};
    maitre_assert (configuration != NULL);
    maitre_assert (marked != NULL);
    for (uint32_t i = 0; i < configuration->count; i++)
        values[i] = marked[i];
    return raft_quorum_reached (configuration, values) == 1;
}

bool raft_quorum_alone (const struct raft *raft)
{
    bool marked[RAFT_MEMBERS_MAX] = {false};
    if (raft->self < 0)
        return false;
    marked[raft->self] = true;
    return raft_quorum_of (&raft->configuration, marked);
}

/* A suspect's grant counts only when all voters grant: then the candidate's log is the highest there is (R12). */
enum raft_tally raft_quorum_tally (const struct raft *raft)
{
    bool granted[RAFT_MEMBERS_MAX] = {false};
    bool possible[RAFT_MEMBERS_MAX] = {false};
    unsigned voters = 0, agreed = 0, refused = 0;
    for (uint32_t i = 0; i < raft->configuration.count; i++) {
        uint8_t vote = raft->peers[i].vote;
        granted[i] = vote == RAFT_VOTE_GRANTED;
        possible[i] = vote == RAFT_VOTE_GRANTED || vote == RAFT_VOTE_NONE;
        if (!raft_is_voter (raft, i))
            continue;
        voters++;
        agreed += vote == RAFT_VOTE_GRANTED || vote == RAFT_VOTE_CONDITIONAL;
        refused += vote == RAFT_VOTE_REFUSED;
    }
    maitre_assert (agreed + refused <= voters);
    if (raft_quorum_of (&raft->configuration, granted))
        return RAFT_TALLY_WON;
    if (voters > 0 && agreed == voters)
        return RAFT_TALLY_UNANIMOUS;
    if (refused > 0 && !raft_quorum_of (&raft->configuration, possible))
        return RAFT_TALLY_LOST;
    return RAFT_TALLY_OPEN;
}
