/* Leadership transfer (thesis 3.10): proposals stop, the target catches up, TimeoutNow, or the leader gives up (R15). */
#include "node/raft/raft_internal.h"

#define SILENT_HEARTBEATS 4 /* who has not answered for so many is no target: proposals would stop for nothing */
#define APPLY_LAG                                                                                                      \
    4096 /* who has more to apply answers nobody for a while once it leads: only if nobody else is there */

static bool eligible (const struct raft *raft, uint32_t member)
{
    const struct raft_peer *peer = &raft->peers[member];
    maitre_assert (member < raft->configuration.count);
    if (raft->now_ms - peer->heard_ms > (uint64_t) SILENT_HEARTBEATS * raft->options.heartbeat_ms)
        return false;
    return (int) member != raft->self && raft_in_half (raft, member, RAFT_VOTER) && !peer->suspect && !peer->amnesia &&
           !peer->link_down && peer->session != 0 && peer->state == RAFT_PEER_REPLICATE;
}

static bool better (const struct raft *raft, const struct raft_peer *a, const struct raft_peer *b)
{
    bool a_behind = a->applied != 0 && a->applied + APPLY_LAG < raft->commit;
    bool b_behind = b->applied != 0 && b->applied + APPLY_LAG < raft->commit;
    maitre_assert (a != b);
    return a_behind == b_behind ? a->match > b->match : b_behind;
}

enum status raft_transfer_begin (struct raft *raft, uint64_t target)
{
    if (raft->role != RAFT_LEADER)
        return STATUS_UNAVAILABLE;
    int best = -1;
    for (uint32_t i = 0; i < raft->configuration.count; i++) {
        if (!eligible (raft, i) || (target != 0 && raft->configuration.members[i].replica != target))
            continue;
        if (best < 0 || better (raft, &raft->peers[i], &raft->peers[best]))
            best = (int) i;
    }
    if (best < 0)
        return STATUS_FAILED_PRECONDITION;
    raft->transfer_target = raft->configuration.members[best].replica;
    raft->transfer_deadline_ms = raft->now_ms + raft->options.election_min_ms;
    raft->transfer_sent = false;
    maitre_assert (raft->transfer_target != raft->options.replica);
    return STATUS_OK;
}

void raft_transfer_offer (struct raft *raft, uint32_t member, struct raft_effects *effects)
{
    maitre_assert (member < raft->configuration.count);
    maitre_assert ((int) member != raft->self);
    struct raft_message *offer =
        raft_send_now (raft, effects, RAFT_TIMEOUT_NOW, raft->configuration.members[member].replica);
    offer->session = raft->peers[member].session; /* this life showed that it has the log; a later one may not (R12) */
}

void raft_transfer_try (struct raft *raft, struct raft_effects *effects)
{
    if (raft->transfer_target == 0 || raft->transfer_sent)
        return;
    maitre_assert (raft->role == RAFT_LEADER);
    int place = raft_configuration_place (&raft->configuration, raft->transfer_target);
    if (place < 0 || !eligible (raft, (uint32_t) place)) {
        raft->transfer_target = 0;
        return;
    }
    if (raft->peers[place].match < raft_log_last (&raft->log) && !PLANTED (R15_TARGET_UNCHECKED))
        return;
    raft_transfer_offer (raft, (uint32_t) place, effects);
    raft->transfer_sent = true;
}

void raft_transfer_tick (struct raft *raft)
{
    maitre_assert (raft->role == RAFT_LEADER);
    if (raft->transfer_target == 0 || raft->now_ms < raft->transfer_deadline_ms || PLANTED (R15_NEVER_GIVES_UP))
        return;
    raft->transfer_target = 0; /* R15: back to work */
    raft->transfer_sent = false;
}

void raft_transfer_receive (struct raft *raft, const struct raft_message *message, struct raft_effects *effects)
{
    maitre_assert (message->type == RAFT_TIMEOUT_NOW);
    if (message->term != raft->term || raft->role != RAFT_FOLLOWER || raft->leader != message->from)
        return;
    if (raft->suspect || !raft_self_votes (raft))
        return;
    /* What an earlier life acknowledged is what was trusted: if this one forgot it, only the leader would notice (R12). */
    if (message->session != raft->options.session && !PLANTED (R12_OFFER_OUTLIVES))
        return;
    maitre_assert (raft->leader != raft->options.replica);
    raft_vote_campaign (raft, true, 0, effects);
}
