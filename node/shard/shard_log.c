/* What the store's owner needs to know of the log under a shard. */
#include "node/shard/shard_internal.h"

bool shard_log_point (const struct shard *self, uint64_t index, uint64_t *term, struct raft_configuration *members)
{
    maitre_assert (index <= self->status.last_index);
    *term = raft_term_at (self->raft, index);
    return *term != 0 && raft_configuration_at (self->raft, index, members);
}

bool shard_restore_resets (const struct shard *self, uint64_t index, uint64_t term)
{
    return raft_restore_resets (self->raft, index, term);
}

uint64_t shard_log_bytes (const struct shard *self, uint64_t index)
{
    return raft_bytes_behind (self->raft, index);
}

uint64_t shard_log_cut (const struct shard *self, struct shard_log_keep *keep, uint64_t written, uint64_t bytes_max,
    uint64_t round_ms, uint64_t now_ms)
{
    if (now_ms >= keep->rolled_ms + round_ms) {
        keep->from = keep->next;
        keep->next = written;
        keep->rolled_ms = now_ms;
    }
    maitre_assert (keep->from <= keep->next);
    uint64_t before = raft_index_before (self->raft, bytes_max);
    uint64_t cut = keep->from > before ? keep->from : before;
    return cut < written ? cut : written;
}

uint32_t shard_voters_behind (const struct shard *self, uint64_t entries)
{
    const struct raft_configuration *members = raft_configuration (self->raft);
    uint32_t behind = 0;
    for (uint32_t i = 0; self->status.role == RAFT_LEADER && i < members->count; i++) {
        const struct raft_member *member = &members->members[i];
        struct raft_peer_status peer;
        if (member->replica == self->replica || (member->roles & RAFT_VOTER) == 0)
            continue;
        bool known = raft_peer_status (self->raft, member->replica, &peer);
        behind += !known || peer.link_down || peer.snapshotting || peer.match + entries < self->status.last_index ||
                  (peer.applied != 0 && peer.applied + BALANCE_APPLY_LAG < self->status.commit);
    }
    return behind;
}
