/* Linearizable reads without the log (thesis 6.4): the reads of a turn share one round of heartbeats. No leases (R6). */
#include "node/raft/raft_internal.h"

#include <stdlib.h>

static struct raft_read *nth (const struct raft *raft, size_t i)
{
    maitre_assert (i < raft->reads_count);
    maitre_assert (raft->reads_size > 0);
    return &raft->reads[(raft->reads_head + i) & (raft->reads_size - 1)];
}

static bool room (struct raft *raft)
{
    if (raft->reads_count < raft->reads_size)
        return true;
    size_t size = raft->reads_size == 0 ? 16 : 2 * raft->reads_size; /* a power of two */
    struct raft_read *reads = malloc (size * sizeof *reads);
    if (!reads)
        return false;
    for (size_t i = 0; i < raft->reads_count; i++)
        reads[i] = *nth (raft, i);
    free (raft->reads);
    raft->reads = reads;
    raft->reads_size = size;
    raft->reads_head = 0;
    maitre_assert (raft->reads_count < raft->reads_size);
    return true;
}

enum status raft_read_queue (struct raft *raft, uint64_t read_id)
{
    if (raft->role != RAFT_LEADER)
        return STATUS_UNAVAILABLE;
    if (raft->reads_count >= raft->options.reads_max || !room (raft))
        return STATUS_RESOURCE_EXHAUSTED;
    raft->reads_count++;
    *nth (raft, raft->reads_count - 1) = (struct raft_read){.read_id = read_id};
    maitre_assert (raft->reads_assigned < raft->reads_count);
    return STATUS_OK;
}

uint64_t raft_read_confirmed (const struct raft *raft)
{
    uint64_t acked[RAFT_MEMBERS_MAX];
    maitre_assert (raft->role == RAFT_LEADER);
    for (uint32_t i = 0; i < raft->configuration.count; i++) {
        if ((int) i == raft->self)
            acked[i] = raft->round;
        else
            acked[i] = raft_peer_counts (&raft->peers[i]) ? raft->peers[i].round_acked : 0;
    }
    return raft_quorum_reached (&raft->configuration, acked);
}

void raft_read_confirm (struct raft *raft, struct raft_effects *effects)
{
    if (raft->reads_assigned == 0)
        return;
    uint64_t confirmed = raft_read_confirmed (raft);
    if (PLANTED (R6_LEASE_READ) && raft->now_ms < raft->check_deadline_ms)
        confirmed = raft->round;
    maitre_assert (confirmed <= raft->round);
    while (raft->reads_assigned > 0 && nth (raft, 0)->round <= confirmed) {
        struct raft_read *read = nth (raft, 0);
        maitre_assert (read->round > 0);
        raft_effects_read (effects, read->read_id, read->index, true);
        raft->reads_head = (raft->reads_head + 1) & (raft->reads_size - 1);
        raft->reads_count--;
        raft->reads_assigned--;
    }
}

/* The commit index is noted before the round goes out, and not before the no-op of this term has committed (R4). */
void raft_read_begin (struct raft *raft, struct raft_effects *effects)
{
    maitre_assert (raft->role == RAFT_LEADER);
    if (raft->reads_assigned == raft->reads_count ||
        (raft->commit < raft->noop_index && !PLANTED (R4_READ_BEFORE_NOOP)))
        return;
    bool reused = PLANTED (R5_ROUND_ID_REUSED) && raft->reads_assigned > 0;
    if (!reused)
        raft->round++;
    while (raft->reads_assigned < raft->reads_count) {
        struct raft_read *read = nth (raft, raft->reads_assigned);
        read->round = raft->round;
        read->index = raft->commit;
        raft->reads_assigned++;
    }
    if (raft_quorum_alone (raft) || PLANTED (R6_LEASE_READ))
        raft_read_confirm (raft, effects);
    else
        raft_heartbeat_send (raft, raft->round, effects);
    maitre_assert (raft->reads_assigned <= raft->reads_count);
}

uint64_t raft_read_retry (struct raft *raft)
{
    bool suspects = false;
    for (uint32_t i = 0; i < raft->configuration.count; i++)
        suspects = suspects || raft->peers[i].suspect;
    maitre_assert (raft->role == RAFT_LEADER);
    if (raft->reads_assigned == 0 && !suspects)
        return 0;
    if (PLANTED (R5_ROUND_ID_REUSED) && raft->reads_assigned > 0)
        return raft->round;
    return ++raft->round; /* a repeated id could be answered by a message from before (R5) */
}

void raft_read_refuse_all (struct raft *raft, struct raft_effects *effects)
{
    maitre_assert (raft->role == RAFT_LEADER);
    for (size_t i = 0; i < raft->reads_count; i++)
        raft_effects_read (effects, nth (raft, i)->read_id, 0, false);
    raft->reads_count = 0;
    raft->reads_assigned = 0;
    raft->reads_head = 0;
}
