/* The invariants that raft.h numbers. */
#include "node/raft/raft_internal.h"

static void check_log (const struct raft *raft)
{
    uint64_t last = raft_log_last (&raft->log);
    maitre_assert (raft->log.snapshot_index <= raft->applied); /* I1 */
    maitre_assert (raft->applied < raft->apply_next);
    maitre_assert (raft->apply_next - 1 <= raft->commit);
    maitre_assert (raft->commit <= last);
    maitre_assert (raft->apply_next - 1 <= raft->persisted_index); /* I2 */
    maitre_assert (raft->persisted_index <= last);
    uint64_t term = raft->log.snapshot_term;
    uint64_t from = last > 64 && last - 64 > raft->log.snapshot_index ? last - 64 : raft->log.snapshot_index;
    for (uint64_t i = from + 1; i <= last; i++) { /* I3; what is older was checked when it was younger */
        const struct raft_entry *entry = raft_log_get (&raft->log, i);
        maitre_assert (entry->index == i);
        maitre_assert (entry->term >= term);
        term = entry->term;
    }
    maitre_assert (term <= raft->term);
}

static void check_leader (const struct raft *raft)
{
    uint64_t last = raft_log_last (&raft->log);
    maitre_assert (raft->leader == raft->options.replica); /* I4 */
    maitre_assert (raft->vote == raft->options.replica);
    maitre_assert (raft->noop_index <= last);
    if (raft->noop_index > raft->log.snapshot_index)
        maitre_assert (raft_log_term (&raft->log, raft->noop_index) == raft->term);
    maitre_assert (!raft->suspect);
    for (uint32_t i = 0; i < raft->configuration.count; i++) { /* I5 */
        const struct raft_peer *peer = &raft->peers[i];
        maitre_assert ((int) i == raft->self || peer->match < peer->next);
        maitre_assert (peer->match <= last);
        maitre_assert (peer->round_acked <= raft->round);
    }
    uint64_t uncommitted = 0; /* I6 */
    for (uint64_t i = raft->commit + 1; i <= last; i++)
        uncommitted += raft_log_get (&raft->log, i)->type == RAFT_ENTRY_CONFIGURATION && i > raft->noop_index;
    maitre_assert (uncommitted <= 1);
    for (size_t i = 0; i < raft->reads_assigned; i++) { /* I7 */
        const struct raft_read *read = &raft->reads[(raft->reads_head + i) & (raft->reads_size - 1)];
        maitre_assert (read->round > 0);
        maitre_assert (read->index >= raft->noop_index);
    }
}

void raft_check (const struct raft *raft)
{
    maitre_assert (raft != NULL);
    check_log (raft);
    if (raft->role == RAFT_LEADER)
        check_leader (raft);
    else
        maitre_assert (raft->reads_count == 0); /* I7 */
    maitre_assert (raft->role != RAFT_CANDIDATE || raft->vote == raft->options.replica);
    maitre_assert (raft->configuration_index <= raft_log_last (&raft->log));
    maitre_assert (raft->matched_index <= raft_log_last (&raft->log));
    maitre_assert (raft->self < (int) raft->configuration.count);
    maitre_assert (raft->self < 0 || raft->configuration.members[raft->self].replica == raft->options.replica);
    maitre_assert (!raft->ack_pending || raft->leader != 0);
    maitre_assert (raft->batches_count <= RAFT_PERSISTS_MAX);
}
