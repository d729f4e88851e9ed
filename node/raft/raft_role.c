/* Changes of term and role, and what a fresh leader does first. */
#include "node/raft/raft_internal.h"

#define QUICK_TRIES_MAX 8

/* xorshift64*: the group's own, seeded by the options. Pre: bound > 0. */
uint64_t raft_random (struct raft *raft, uint64_t bound)
{
    maitre_assert (bound > 0);
    uint64_t x = raft->random_state;
    maitre_assert (x != 0);
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    raft->random_state = x;
    return ((x * UINT64_C (2685821657736338717)) >> 33) % bound;
}

bool raft_quick (const struct raft *raft)
{
    return raft->leader_lost && raft->quick_tries < QUICK_TRIES_MAX;
}

uint64_t raft_quick_wait_ms (struct raft *raft, uint64_t steps)
{
    uint64_t step = raft->options.quick_step_ms;
    maitre_assert (step > 0);
    return steps * step + 1 + raft_random (raft, step / 4 + 1);
}

uint64_t raft_role_turns (const struct raft *raft)
{
    uint64_t voters = 0;
    for (uint32_t i = 0; i < raft->configuration.count; i++)
        voters += raft_is_voter (raft, i);
    maitre_assert (voters <= RAFT_MEMBERS_MAX);
    return voters == 0 ? 1 : voters;
}

/* Thesis 3.4 draws from the whole spread; then now and then two followers of a silent leader stand up within the same
 * milliseconds, split the votes, and the group waits for all of it once more: over a second. So each rank has a part of
 * the spread for itself, with a quarter of it free behind, for a vote to be synced and to arrive. */
uint64_t raft_role_turn_ms (struct raft *raft)
{
    uint64_t turns = raft_role_turns (raft);
    uint64_t turn_ms = (raft->options.election_max_ms - raft->options.election_min_ms) / turns;
    uint64_t rank = raft->self < 0 ? 0 : raft->configuration.members[raft->self].rank % turns;
    return rank * turn_ms + raft_random (raft, turn_ms * 3 / 4 + 1);
}

void raft_role_arm (struct raft *raft)
{
    if (raft_quick (raft)) {
        uint64_t rank = raft->self < 0 ? 0 : raft->configuration.members[raft->self].rank;
        raft->election_deadline_ms = raft->now_ms + raft_quick_wait_ms (raft, RAFT_QUICK_STEPS + rank);
        return;
    }
    raft->election_deadline_ms = raft->now_ms + raft->options.election_min_ms + raft_role_turn_ms (raft);
    maitre_assert (raft->election_deadline_ms > raft->now_ms);
}

static void leave_leadership (struct raft *raft, struct raft_effects *effects)
{
    raft_read_refuse_all (raft, effects);
    raft->transfer_target = 0;
    raft->transfer_sent = false;
    raft->noop_index = 0;
    maitre_assert (raft->reads_count == 0);
}

void raft_role_follow (struct raft *raft, uint64_t term, uint64_t leader, struct raft_effects *effects)
{
    maitre_assert (term >= raft->term);
    maitre_assert (leader != raft->options.replica);
    if (raft->role == RAFT_LEADER)
        leave_leadership (raft, effects);
    if (raft->role != RAFT_FOLLOWER || term != raft->term || leader != raft->leader)
        effects->role_changed = true;
    if (term > raft->term) {
        raft_persist_hard_state (raft, term, 0);
        raft->ack_pending = false;
        raft->matched_index = 0;
    }
    if (leader != 0)
        raft->split_tries = 0;
    if (leader != raft->leader) {
        raft->suspect_target = UINT64_MAX;
        raft->ack_pending = false;
        raft->leader_lost = false;
        raft->quick_tries = 0;
    }
    if (raft->role != RAFT_FOLLOWER)
        raft_role_arm (raft);
    raft->role = RAFT_FOLLOWER;
    raft->leader = leader;
    raft->campaign_transfer = raft->campaign_skips = false;
}

enum status raft_role_append (struct raft *raft, uint8_t type, struct bytes payload, struct raft_effects *effects)
{
    struct raft_entry entry = {
        .index = raft_log_last (&raft->log) + 1,
        .term = raft->term,
        .payload = payload,
        .type = type,
    };
    maitre_assert (raft->role == RAFT_LEADER);
    maitre_assert (effects != NULL);
    entry.checksum = raft_entry_checksum (raft->options.shard, &entry);
    enum status status = raft_log_append (&raft->log, &entry);
    if (status == STATUS_OK)
        raft_persist_log (raft, entry.index);
    return status;
}

/* Every voter granted: whatever any of them lost, none holds more than this log does. */
static bool all_agreed (const struct raft *raft)
{
    maitre_assert (raft->configuration.count > 0);
    for (uint32_t i = 0; i < raft->configuration.count; i++) {
        uint8_t vote = raft->peers[i].vote;
        if (raft_is_voter (raft, i) && vote != RAFT_VOTE_GRANTED && vote != RAFT_VOTE_CONDITIONAL)
            return false;
    }
    return true;
}

void raft_role_lead (struct raft *raft, struct raft_effects *effects)
{
    maitre_assert (raft->role == RAFT_CANDIDATE);
    maitre_assert (raft->vote == raft->options.replica);
    maitre_assert (raft_persist_hard_state_durable (raft));
    uint64_t last = raft_log_last (&raft->log);
    raft->role = RAFT_LEADER;
    raft->leader = raft->options.replica;
    raft->leader_lost = false;
    raft->quick_tries = raft->split_tries = 0;
    raft->ack_pending = false;
    raft->transfer_target = 0;
    raft->reads_assigned = 0;
    raft->check_deadline_ms = raft->now_ms + raft->options.election_max_ms;
    bool unanimous = all_agreed (raft);
    for (uint32_t i = 0; i < raft->configuration.count; i++) {
        struct raft_peer *peer = &raft->peers[i];
        *peer = (struct raft_peer){
            .next = last + 1,
            .progress_ms = raft->now_ms,
            .link_down = peer->link_down,
            .heard = true,
            .trusted_session = unanimous ? peer->trusted_session : 0,
        };
    }
    if (raft->suspect) { /* every voter agreed that this log is the highest there is (R12) */
        raft->suspect = false;
        effects->suspect_cleared = true;
    }
    effects->role_changed = true;
    raft->noop_index = last + 1;
    enum status status = raft_role_append (raft, RAFT_ENTRY_NOOP, (struct bytes){0}, effects);
    maitre_assert (status == STATUS_OK); /* without memory for 48 bytes a clean restart is better */
    raft->heartbeat_slot = raft->now_ms / raft->options.heartbeat_ms;
    raft_heartbeat_send (raft, 0, effects);
}
