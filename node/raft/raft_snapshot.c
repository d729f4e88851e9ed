/* Snapshots (thesis 5): when a peer needs one, and what the log becomes after one was installed (R13). */
#include "node/raft/raft_internal.h"

void raft_snapshot_want (struct raft *raft, uint32_t member, struct raft_effects *effects)
{
    struct raft_peer *peer = &raft->peers[member];
    maitre_assert (raft->role == RAFT_LEADER);
    maitre_assert (peer->state != RAFT_PEER_SNAPSHOT);
    if (effects->snapshots_count == RAFT_MEMBERS_MAX)
        return;
    peer->state = RAFT_PEER_SNAPSHOT;
    effects->snapshots[effects->snapshots_count++] = (struct raft_snapshot_request){
        .replica = raft->configuration.members[member].replica,
        .node = raft->configuration.members[member].node,
    };
}

void raft_snapshot_sent (struct raft *raft, const struct raft_event *event)
{
    int place = raft_configuration_place (&raft->configuration, event->replica);
    if (raft->role != RAFT_LEADER || place < 0 || place == raft->self)
        return;
    struct raft_peer *peer = &raft->peers[place];
    if (peer->state != RAFT_PEER_SNAPSHOT)
        return;
    peer->state = RAFT_PEER_PROBE;
    peer->progress_ms = raft->now_ms;
    peer->probe_sent = !event->ok; /* after a failure wait before asking for the next one */
    if (event->ok && event->index <= raft_log_last (&raft->log) && event->index >= peer->match)
        peer->next = event->index + 1;
    else
        peer->next = peer->match + 1;
    maitre_assert (peer->next > peer->match);
}

bool raft_restore_resets (const struct raft *raft, uint64_t index, uint64_t term)
{
    maitre_assert (index > 0);
    maitre_assert (term > 0);
    if (index < raft->apply_next)
        return false; /* will be ignored */
    if (raft->log_dirty && index >= raft->dirty_first)
        return true; /* the disk has not been given this entry: what stands there in its place would outlive a crash */
    return raft_log_term (&raft->log, index) != term &&
           !(PLANTED (R13_CONFLICT_KEPT) && index <= raft_log_last (&raft->log));
}

void raft_snapshot_restore (struct raft *raft, const struct raft_event *event, struct raft_effects *effects)
{
    maitre_assert (event->configuration != NULL);
    maitre_assert (raft_configuration_valid (event->configuration));
    maitre_assert (event->index <= RAFT_INDEX_MAX);
    if (event->index < raft->apply_next && !PLANTED (R13_INSTALL_GOES_BACK)) /* the state has gone further meanwhile */
        return;
    if (raft_restore_resets (raft, event->index, event->term)) {
        maitre_assert (raft->role != RAFT_LEADER); /* it holds everything that committed, synced before its election */
        raft_log_reset (&raft->log, event->index, event->term);
        raft->base_configuration = *event->configuration; /* a committed one: it is as of an applied index (R7) */
        raft_configuration_use (raft, &raft->base_configuration, event->index);
        raft_persist_reset (raft);
        raft->commit = event->index;     /* what committed behind it was never synced here, and comes again */
        if (raft->role != RAFT_FOLLOWER) /* it stood with another log, and may be no voter in this one */
            raft_role_follow (raft, raft->term, 0, effects);
    } else if (raft->persisted_index < event->index) {
        raft->persisted_index = event->index; /* the snapshot stands for entries that are still being written */
    }
    if (event->term > raft->term) /* the leader that sent it is at least there */
        raft_role_follow (raft, event->term, 0, effects);
    if (raft->commit < event->index)
        raft->commit = event->index;
    raft->applied = event->index;
    raft->apply_next = event->index + 1;
    if (raft->leader != 0 && raft->role == RAFT_FOLLOWER) {
        raft->ack_index = raft->ack_pending && raft->ack_index > event->index ? raft->ack_index : event->index;
        if (raft->ack_index > raft_log_last (&raft->log))
            raft->ack_index = event->index;
        raft->ack_pending = true;
        raft->matched_index = raft->matched_index > event->index ? raft->matched_index : event->index;
    }
    /* Also in a pre-candidate: it may follow that leader again. */
    if (raft->matched_index > raft_log_last (&raft->log))
        raft->matched_index = event->index;
    maitre_assert (raft->commit <= raft_log_last (&raft->log));
}
