/* What the disk owes us: batches under way, and how far the own log is durable. */
#include "node/raft/raft_internal.h"

void raft_persist_hard_state (struct raft *raft, uint64_t term, uint64_t vote)
{
    maitre_assert (term >= raft->term);
    maitre_assert (term > raft->term || raft->vote == 0 || raft->vote == vote);
    raft->term = term;
    raft->vote = vote;
    raft->hard_state_dirty = true;
}

void raft_persist_log (struct raft *raft, uint64_t first)
{
    maitre_assert (first > raft->log.snapshot_index);
    maitre_assert (first > raft->commit); /* what committed is never replaced */
    if (!raft->log_dirty || first < raft->dirty_first)
        raft->dirty_first = first;
    raft->log_dirty = true;
    /* A batch under way may still carry entries that were just replaced: its report no longer covers them. */
    for (unsigned i = 0; i < raft->batches_count; i++)
        if (raft->batches[i].last_index >= first)
            raft->batches[i].last_index = first - 1;
    if (raft->persisted_index >= first)
        raft->persisted_index = first - 1;
}

/* The snapshot that the log now begins after is durable (duty 9), and stands for everything before it. */
void raft_persist_reset (struct raft *raft)
{
    uint64_t index = raft->log.snapshot_index;
    maitre_assert (raft->log.count == 0);
    maitre_assert (index > 0);
    raft->log_reset = true;
    raft->log_dirty = true;
    raft->dirty_first = index + 1;
    for (unsigned i = 0; i < raft->batches_count; i++)
        raft->batches[i].last_index = 0;
    raft->persisted_index = index;
}

void raft_persist_emit (struct raft *raft, struct raft_effects *effects)
{
    if (raft->hard_state_dirty || raft->log_dirty) {
        uint64_t last = raft_log_last (&raft->log);
        effects->persist.sequence = ++raft->sequence;
        effects->persist.hard_state = raft->hard_state_dirty;
        effects->persist.term = raft->term;
        effects->persist.vote = PLANTED (R1_VOTE_NOT_STORED) ? 0 : raft->vote;
        effects->persist.commit = raft->commit;
        bool later = PLANTED (R2_ENTRIES_AFTER_STATE) && raft->hard_state_dirty && !raft->log_reset;
        effects->persist.entries = raft->log_dirty && !later;
        effects->persist.first = raft->log_dirty ? raft->dirty_first : 1;
        effects->persist.last = raft->log_dirty ? last : 0;
        effects->persist.reset = raft->log_reset;
        effects->persist.reset_index = raft->log_reset ? raft->log.snapshot_index : 0;
        effects->persist.reset_term = raft->log_reset ? raft->log.snapshot_term : 0;
        if (raft->batches_count == RAFT_PERSISTS_MAX)
            raft->batches_count--; /* a slow disk: the newest two are known to be synced only together */
        raft->batches[raft->batches_count++] = (struct raft_batch){.sequence = raft->sequence, .last_index = last};
        if (raft->hard_state_dirty)
            raft->hard_state_sequence = raft->sequence;
        raft->hard_state_dirty = false;
        raft->log_dirty = later && raft->log_dirty;
        raft->log_reset = false;
    }
    effects->after_sequence = raft->persisted_sequence < raft->sequence ? raft->sequence : 0;
    maitre_assert (raft->persisted_sequence <= raft->sequence);
}

void raft_persist_done (struct raft *raft, uint64_t sequence, struct raft_effects *effects)
{
    maitre_assert (sequence <= raft->sequence);
    unsigned done = 0;
    while (done < raft->batches_count && raft->batches[done].sequence <= sequence) {
        if (raft->batches[done].last_index > raft->persisted_index)
            raft->persisted_index = raft->batches[done].last_index;
        done++;
    }
    for (unsigned i = done; i < raft->batches_count; i++)
        raft->batches[i - done] = raft->batches[i];
    raft->batches_count -= done;
    if (sequence > raft->persisted_sequence)
        raft->persisted_sequence = sequence;
    maitre_assert (raft->persisted_index <= raft_log_last (&raft->log));

    if (raft->role == RAFT_LEADER) /* its own copy counts from now on (R2) */
        raft_replicate_commit (raft, effects);
    else
        raft_vote_persisted (raft, effects);
    raft_append_suspicion (raft, effects);
}
