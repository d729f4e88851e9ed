/* Heartbeats: small, on common multiples of the interval so that those of all groups pack, and carrying the ReadIndex
 * round when there is one (G1). */
#include "node/raft/raft_internal.h"

void raft_heartbeat_send (struct raft *raft, uint64_t round, struct raft_effects *effects)
{
    maitre_assert (raft->role == RAFT_LEADER);
    for (uint32_t i = 0; i < raft->configuration.count; i++) {
        if ((int) i == raft->self)
            continue;
        struct raft_peer *peer = &raft->peers[i];
        if (PLANTED (G2_BEHIND_DATA) && peer->next > peer->match + 1 && peer->match > 0)
            continue;
        struct raft_message *message =
            raft_send_now (raft, effects, RAFT_HEARTBEAT, raft->configuration.members[i].replica);
        message->commit = raft->commit < peer->match ? raft->commit : peer->match; /* no further than it has shown */
        if (PLANTED (G1_NO_COMMIT))
            message->commit = 0;
        if (PLANTED (G1_COMMIT_UNVERIFIED))
            message->commit = raft->commit;
        message->round = round;
        message->session = peer->session;
        maitre_assert (message->commit <= raft->commit);
    }
}

void raft_heartbeat_tick (struct raft *raft, struct raft_effects *effects)
{
    maitre_assert (raft->role == RAFT_LEADER);
    uint64_t slot = raft->now_ms / raft->options.heartbeat_ms;
    if (slot == raft->heartbeat_slot)
        return;
    raft->heartbeat_slot = slot;
    raft_replicate_tick (raft, effects);
    raft_heartbeat_send (raft, raft_read_retry (raft), effects);
}

void raft_heartbeat_receive (struct raft *raft, const struct raft_message *message, struct raft_effects *effects)
{
    bool current = message->term >= raft->term;
    if (current && !raft_append_contact (raft, message, effects)) {
        raft->anomalies++;
        return;
    }
    if (current) {
        /* Only what this life has verified: the leader may remember acknowledgements of an earlier one (R12). */
        uint64_t commit = message->commit < raft->matched_index ? message->commit : raft->matched_index;
        if (PLANTED (G1_COMMIT_UNVERIFIED))
            commit = message->commit < raft_log_last (&raft->log) ? message->commit : raft_log_last (&raft->log);
        if (commit > raft->commit)
            raft->commit = commit;
        maitre_assert (raft->commit <= raft_log_last (&raft->log));
    }
    /* A stale leader is told our term, so that it steps down (R10). Its round is not repeated: it may lead again by now,
     * and take an answer to its former self for one to a round that has only just begun (R5). */
    struct raft_message *reply = raft_reply (raft, effects, RAFT_HEARTBEAT_REPLY, message->from);
    reply->round = current || PLANTED (R5_STALE_ROUND_ECHOED) ? message->round : 0;
    reply->flags = raft->suspect ? RAFT_FLAG_SUSPECT : 0;
    reply->hint = current ? raft->applied : 0;
}

void raft_heartbeat_reply (struct raft *raft, const struct raft_message *message, struct raft_effects *effects)
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
    if (message->round > raft->round) {
        raft->anomalies++;
        return;
    }
    maitre_assert (peer->match < peer->next);
    peer->applied = message->hint;
    if (message->round > peer->round_acked) {
        peer->round_acked = message->round;
        raft_read_confirm (raft, effects);
    }
}
