/* The invariants that raft.h numbers. */
#include "node/raft/raft_internal.h"

static void check_log (const struct raft *raft)
{
    uint64_t last = raft_log_last (&raft->log);
    maitre_assert ((raft->log.snapshot_index == 0) == (raft->log.snapshot_term == 0));
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

/* What the disk was given, and what it is still to be given (R1, R2). */
static void check_persists (const struct raft *raft)
{
    uint64_t last = raft_log_last (&raft->log);
    maitre_assert (raft->persisted_sequence <= raft->sequence);
    maitre_assert (raft->hard_state_sequence <= raft->sequence);
    maitre_assert (raft->batches_count <= RAFT_PERSISTS_MAX);
    uint64_t before = raft->persisted_sequence;
    for (unsigned i = 0; i < raft->batches_count; i++) {
        maitre_assert (raft->batches[i].sequence > before);
        maitre_assert (raft->batches[i].last_index <= last);
        before = raft->batches[i].sequence;
    }
    maitre_assert (before <= raft->sequence);
    maitre_assert (!raft->log_reset || raft->log_dirty);
    maitre_assert (!raft->log_reset || raft->dirty_first > raft->log.snapshot_index);
    maitre_assert (!raft->log_dirty || raft->dirty_first <= last + 1);
    maitre_assert (!raft->log_dirty || raft->persisted_index < raft->dirty_first);
    maitre_assert (raft->vote == 0 || raft->term > 0);
}

static void check_role (const struct raft *raft)
{
    bool leads = raft->role == RAFT_LEADER, stands = raft->role == RAFT_PRE_CANDIDATE || raft->role == RAFT_CANDIDATE;
    maitre_assert (!stands || raft->leader == 0);
    maitre_assert (raft->role != RAFT_FOLLOWER || raft->leader != raft->options.replica);
    maitre_assert (leads == (raft->noop_index > 0));
    maitre_assert (leads || raft->transfer_target == 0);
    maitre_assert (!raft->transfer_sent || raft->transfer_target != 0);
    maitre_assert (raft->transfer_target != raft->options.replica);
    maitre_assert (raft->leader_contact_ms <= raft->now_ms);
    maitre_assert (!raft->ack_pending || raft->role == RAFT_FOLLOWER);
    maitre_assert (
        !raft->ack_pending || raft->ack_index <= raft->matched_index); /* only what was compared is answered */
}

static void check_members (const struct raft *raft)
{
    maitre_assert (raft_configuration_valid (&raft->configuration));
    maitre_assert (raft_configuration_valid (&raft->base_configuration));
    const struct raft_entry *entry = raft_log_get (&raft->log, raft->configuration_index);
    maitre_assert (entry == NULL || entry->type == RAFT_ENTRY_CONFIGURATION);
    maitre_assert (raft->self == raft_configuration_place (&raft->configuration, raft->options.replica));
}

static void check_reads (const struct raft *raft)
{
    maitre_assert (raft->reads_assigned <= raft->reads_count);
    maitre_assert (raft->reads_count <= raft->reads_size);
    maitre_assert (raft->reads_count <= raft->options.reads_max);
    maitre_assert ((raft->reads_size & (raft->reads_size - 1)) == 0 || raft->reads_size == 0);
    maitre_assert (raft->reads_size == 0 || raft->reads_head < raft->reads_size);
}

static void check_leader (const struct raft *raft)
{
    uint64_t last = raft_log_last (&raft->log);
    maitre_assert (raft->leader == raft->options.replica); /* I4 */
    maitre_assert (raft->vote == raft->options.replica);
    maitre_assert (raft->noop_index <= last);
    if (raft->noop_index > raft->log.snapshot_index)
        maitre_assert (raft_log_term (&raft->log, raft->noop_index) == raft->term);
    maitre_assert (!raft->suspect && !raft->emptied);
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
    check_persists (raft);
    check_role (raft);
    check_members (raft);
    check_reads (raft);
}
