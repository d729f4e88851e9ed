/* A group's life, and the one door into it. */
#include "node/raft/raft_internal.h"

#include <stdlib.h>

#define TERM_MAX (UINT64_C (1) << 62)

static uint64_t or_default (uint64_t value, uint64_t fallback)
{
    maitre_assert (fallback != 0);
    return value != 0 ? value : fallback;
}

static void set_options (struct raft_options *options)
{
    options->heartbeat_ms = (uint32_t) or_default (options->heartbeat_ms, 50);
    options->election_min_ms = (uint32_t) or_default (options->election_min_ms, 500);
    options->election_max_ms = (uint32_t) or_default (options->election_max_ms, 900);
    options->quick_step_ms = (uint32_t) or_default (options->quick_step_ms, 15);
    options->append_bytes_max = (uint32_t) or_default (options->append_bytes_max, 256 * 1024);
    options->window_bytes_max = (uint32_t) or_default (options->window_bytes_max, 1024 * 1024);
    options->window_entries_max = (uint32_t) or_default (options->window_entries_max, 4096);
    options->log_bytes_max = or_default (options->log_bytes_max, 16 * 1024 * 1024);
    options->reads_max = (uint32_t) or_default (options->reads_max, 65536);
    options->promote_lag_max = (uint32_t) or_default (options->promote_lag_max, 1000);
    maitre_assert (options->reads_max > 0);
}

static bool options_valid (const struct raft_options *options)
{
    return options->replica != 0 && options->session != 0 && options->heartbeat_ms < options->election_min_ms &&
           options->election_min_ms < options->election_max_ms;
}

/* R13: entries that do not continue the snapshot are of a history that the snapshot replaced. */
static enum status load_entries (struct raft *raft, const struct raft_stored *stored)
{
    uint64_t snapshot = raft->log.snapshot_index;
    bool fits = true;
    for (size_t i = 0; i < stored->entries_count && fits; i++)
        if (stored->entries[i].index == snapshot)
            fits = stored->entries[i].term == raft->log.snapshot_term;
    for (size_t i = 0; i < stored->entries_count; i++) {
        const struct raft_entry *entry = &stored->entries[i];
        if (entry->index <= snapshot)
            continue;
        if (!fits && !PLANTED (R13_STALE_LOG_LOADED))
            break;
        bool follows = entry->index == raft_log_last (&raft->log) + 1;
        if (!follows || entry->term < raft_log_last_term (&raft->log) || entry->term == 0 ||
            entry->payload.len > RAFT_ENTRY_BYTES_MAX ||
            raft_entry_checksum (raft->options.shard, entry) != entry->checksum)
            return STATUS_DATA_LOSS;
        struct raft_configuration configuration;
        if (entry->type == RAFT_ENTRY_CONFIGURATION &&
            raft_configuration_decode (entry->payload, &configuration) != STATUS_OK)
            return STATUS_DATA_LOSS;
        enum status status = raft_log_append (&raft->log, entry);
        if (status != STATUS_OK)
            return status;
    }
    if (snapshot > 0 && stored->entries_count > 0 &&
        raft->log.count == 0) /* nothing of it goes on: the disk should forget it too */
        raft_persist_reset (raft);
    maitre_assert (raft_log_last (&raft->log) >= snapshot);
    return STATUS_OK;
}

static enum status load (struct raft *raft, const struct raft_stored *stored)
{
    static const struct raft_configuration nobody = {0};
    raft_log_init (&raft->log, stored->snapshot_index, stored->snapshot_term);
    enum status status = load_entries (raft, stored);
    if (status != STATUS_OK)
        return status;
    uint64_t last = raft_log_last (&raft->log);
    uint64_t applied = stored->applied_index > stored->snapshot_index ? stored->applied_index : stored->snapshot_index;
    if (applied > last || raft_log_last_term (&raft->log) > stored->term)
        return STATUS_DATA_LOSS;
    if (stored->applied_index > stored->snapshot_index && stored->applied_term != 0 &&
        raft_log_term (&raft->log, applied) != stored->applied_term)
        return STATUS_DATA_LOSS;
    raft->term = stored->term;
    raft->vote = stored->vote;
    raft->applied = applied;
    raft->apply_next = applied + 1;
    raft->commit = applied;
    if (stored->commit > applied && !raft->suspect) /* a suspect's tail may not be what the hint was about */
        raft->commit = stored->commit < last ? stored->commit : last;
    raft->persisted_index = last;
    raft->base_configuration = stored->configuration ? *stored->configuration : nobody;
    if (!raft_configuration_valid (&raft->base_configuration))
        return STATUS_INVALID_ARGUMENT;
    raft_configuration_reload (raft);
    return STATUS_OK;
}

/* G4: the first election of a start is staggered by rank, too, so that not everybody stands up at once. */
static void arm_first (struct raft *raft)
{
    raft->election_deadline_ms = raft->now_ms;
    if (raft_quorum_alone (raft))
        return;
    raft->election_deadline_ms += raft->options.election_min_ms + raft_role_turn_ms (raft);
    if (PLANTED (G4_NO_STAGGER))
        raft->election_deadline_ms = raft->now_ms + raft->options.election_min_ms;
    maitre_assert (raft->election_deadline_ms > raft->now_ms);
}

enum status raft_new (
    const struct raft_options *options, const struct raft_stored *stored, uint64_t now_ms, struct raft **out)
{
    maitre_assert (options != NULL);
    maitre_assert (stored != NULL);
    struct raft *raft = calloc (1, sizeof *raft);
    if (!raft)
        return STATUS_RESOURCE_EXHAUSTED;
    raft->options = *options;
    set_options (&raft->options);
    raft->now_ms = now_ms;
    raft->self = -1;
    raft->suspect = options->suspect;
    raft->emptied = options->emptied;
    raft->suspect_target = UINT64_MAX;
    /* splitmix64: neighbouring seeds must not give neighbouring timeouts */
    uint64_t mixed = options->seed + (options->replica + 1) * UINT64_C (0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C (0x94d049bb133111eb);
    raft->random_state = (mixed ^ (mixed >> 31)) | 1;
    enum status status = STATUS_INVALID_ARGUMENT;
    if (options_valid (&raft->options) && (stored->snapshot_index == 0) == (stored->snapshot_term == 0))
        status = load (raft, stored);
    if (status != STATUS_OK) {
        raft_destroy (&raft);
        return status;
    }
    arm_first (raft);
    *out = raft;
    return STATUS_OK;
}

void raft_destroy (struct raft **raft)
{
    maitre_assert (raft != NULL);
    if (!*raft)
        return;
    raft_log_close (&(*raft)->log);
    free ((*raft)->reads);
    free (*raft);
    *raft = NULL;
}

/* ---- events ---- */

static enum status receive (struct raft *raft, const struct raft_message *message, struct raft_effects *effects)
{
    maitre_assert (message != NULL);
    if (message->to != raft->options.replica)
        return STATUS_OK; /* for an identity that is no more, or not here (R12) */
    bool sane = message->shard == raft->options.shard && message->from != 0 && message->from != message->to &&
                message->term != 0 && message->term < TERM_MAX;
    if (!sane)
        return STATUS_INVALID_ARGUMENT;
    switch (message->type) {
    case RAFT_PREVOTE:
    case RAFT_VOTE:
        raft_vote_request (raft, message, effects);
        return STATUS_OK;
    case RAFT_PREVOTE_REPLY:
    case RAFT_VOTE_REPLY:
        raft_vote_reply (raft, message, effects);
        return STATUS_OK;
    case RAFT_APPEND:
        return raft_append_receive (raft, message, effects);
    case RAFT_APPEND_REPLY:
        raft_replicate_reply (raft, message, effects);
        return STATUS_OK;
    case RAFT_HEARTBEAT:
        raft_heartbeat_receive (raft, message, effects);
        return STATUS_OK;
    case RAFT_HEARTBEAT_REPLY:
        raft_heartbeat_reply (raft, message, effects);
        return STATUS_OK;
    case RAFT_TIMEOUT_NOW:
        raft_transfer_receive (raft, message, effects);
        return STATUS_OK;
    default:
        return STATUS_INVALID_ARGUMENT;
    }
}

static enum status propose (struct raft *raft, const struct raft_event *event, struct raft_effects *effects)
{
    if (raft->role != RAFT_LEADER || (raft->transfer_target != 0 && !PLANTED (R15_PROPOSES_MEANWHILE))) /* R15 */
        return STATUS_UNAVAILABLE;
    uint64_t last = raft_log_last (&raft->log);
    uint64_t bytes = raft_log_bytes (&raft->log, raft->log.snapshot_index, last);
    maitre_assert (event->payloads_count > 0);
    for (size_t i = 0; i < event->payloads_count; i++) {
        if (event->payloads[i].len > RAFT_ENTRY_BYTES_MAX)
            return STATUS_INVALID_ARGUMENT;
        bytes += event->payloads[i].len;
    }
    if (bytes > raft->options.log_bytes_max)
        return STATUS_RESOURCE_EXHAUSTED;
    for (size_t i = 0; i < event->payloads_count; i++) {
        if (raft_role_append (raft, RAFT_ENTRY_COMMAND, event->payloads[i], effects) == STATUS_OK)
            continue;
        raft_log_truncate (&raft->log, last); /* all or none */
        return STATUS_RESOURCE_EXHAUSTED;
    }
    maitre_assert (raft_log_last (&raft->log) == last + event->payloads_count);
    effects->proposed_index = last + 1;
    effects->proposed_term = raft->term;
    return STATUS_OK;
}

static void tick (struct raft *raft, struct raft_effects *effects)
{
    if (raft->role != RAFT_LEADER) {
        raft_vote_tick (raft, effects);
        return;
    }
    if (!raft_replicate_check_quorum (raft)) {
        raft_role_follow (raft, raft->term, 0, effects);
        return;
    }
    raft_transfer_tick (raft);
    raft_heartbeat_tick (raft, effects);
    maitre_assert (raft->role == RAFT_LEADER);
}

static void link_changed (struct raft *raft, uint32_t node, bool up)
{
    maitre_assert (node != 0);
    for (uint32_t i = 0; i < raft->configuration.count; i++) {
        if (raft->configuration.members[i].node != node || (int) i == raft->self)
            continue;
        struct raft_peer *peer = &raft->peers[i];
        peer->link_down = !up;
        if (raft->role != RAFT_LEADER) {
            if (!up && raft->leader == raft->configuration.members[i].replica)
                raft_vote_link_down (raft);
        } else if (up && peer->state != RAFT_PEER_SNAPSHOT) { /* what was under way is gone */
            raft_replicate_probe (raft, peer);
        }
        maitre_assert (raft->leader == 0 || raft->role != RAFT_PRE_CANDIDATE);
    }
}

static void turn_end (struct raft *raft, struct raft_effects *effects)
{
    maitre_assert (effects->persist.sequence == 0); /* one turn, one set of effects */
    if (raft->role == RAFT_LEADER) {
        raft_read_begin (raft, effects);
        raft_replicate_all (raft, effects);
        raft_transfer_try (raft, effects);
        raft_configuration_leave (raft, effects);
    }
    raft_append_emit (raft, effects);
    raft_append_suspicion (raft, effects);
    raft_persist_emit (raft, effects);
    uint64_t last = raft->commit < raft->persisted_index ? raft->commit : raft->persisted_index;
    if (PLANTED (R2_APPLY_UNSYNCED))
        last = raft->commit;
    if (last >= raft->apply_next) {
        effects->apply_first = raft->apply_next;
        effects->apply_last = last;
        raft->apply_next = last + 1;
    }
}

enum status raft_step (struct raft *raft, const struct raft_event *event, struct raft_effects *effects)
{
    maitre_assert (raft != NULL);
    maitre_assert (event->now_ms >= raft->now_ms);
    raft->now_ms = event->now_ms;
    enum status status = STATUS_OK;
    switch (event->type) {
    case RAFT_TICK:
        tick (raft, effects);
        break;
    case RAFT_RECEIVE:
        status = receive (raft, event->message, effects);
        if (status != STATUS_OK)
            raft->anomalies++;
        break;
    case RAFT_PROPOSE:
        status = propose (raft, event, effects);
        break;
    case RAFT_READ:
        status = raft_read_queue (raft, event->read_id);
        break;
    case RAFT_PERSISTED:
        raft_persist_done (raft, event->sequence, effects);
        break;
    case RAFT_LINK:
        link_changed (raft, event->node, event->up);
        break;
    case RAFT_APPLIED:
        maitre_assert (event->index < raft->apply_next);
        if (event->index > raft->applied)
            raft->applied = event->index;
        break;
    case RAFT_RESTORE:
        raft_snapshot_restore (raft, event, effects);
        break;
    case RAFT_SNAPSHOT_SENT:
        raft_snapshot_sent (raft, event);
        break;
    case RAFT_TRANSFER:
        status = raft_transfer_begin (raft, event->replica);
        break;
    case RAFT_CONFIGURE:
        status = raft_configuration_change (raft, event->configuration, effects);
        break;
    case RAFT_CAMPAIGN:
        if (raft->role != RAFT_LEADER)
            raft_vote_prepare (raft, effects);
        break;
    case RAFT_TURN_END:
        turn_end (raft, effects);
        break;
    }
    return status;
}

/* ---- questions ---- */

void raft_compact (struct raft *raft, uint64_t index)
{
    maitre_assert (index <= raft->applied);
    if (index <= raft->log.snapshot_index)
        return;
    struct raft_configuration members;
    bool known = raft_configuration_at (raft, index, &members);
    maitre_assert (known);
    if (!PLANTED (R16_CUT_KEEPS_MEMBERS))
        raft->base_configuration = members; /* R16: this, and what stands in the log above it, and nothing else */
    raft_log_compact (&raft->log, index);
}

uint64_t raft_deadline_ms (const struct raft *raft)
{
    if (raft->role != RAFT_LEADER)
        return raft->election_deadline_ms;
    uint64_t deadline = (raft->heartbeat_slot + 1) * raft->options.heartbeat_ms;
    if (raft->check_deadline_ms < deadline)
        deadline = raft->check_deadline_ms;
    if (raft->transfer_target != 0 && raft->transfer_deadline_ms < deadline)
        deadline = raft->transfer_deadline_ms;
    return deadline;
}

void raft_status (const struct raft *raft, struct raft_status *status)
{
    maitre_assert (raft != NULL);
    maitre_assert (status != NULL);
    uint64_t last = raft_log_last (&raft->log);
    const struct raft_member *leader = raft_configuration_find (&raft->configuration, raft->leader);
    *status = (struct raft_status){
        .role = raft->role,
        .replica = raft->options.replica,
        .leader = raft->leader,
        .leader_node = leader ? leader->node : 0,
        .term = raft->term,
        .vote = raft->vote,
        .snapshot_index = raft->log.snapshot_index,
        .snapshot_term = raft->log.snapshot_term,
        .commit = raft->commit,
        .applied = raft->applied,
        .persisted_index = raft->persisted_index,
        .last_index = last,
        .last_term = raft_log_last_term (&raft->log),
        .log_bytes = raft_log_bytes (&raft->log, raft->log.snapshot_index, last),
        .configuration_index = raft->configuration_index,
        .suspect = raft->suspect,
        .transferring = raft->transfer_target != 0,
        .read_ready = raft->role == RAFT_LEADER && raft->commit >= raft->noop_index,
        .anomalies = raft->anomalies,
    };
}

bool raft_peer_status (const struct raft *raft, uint64_t replica, struct raft_peer_status *status)
{
    int place = raft_configuration_place (&raft->configuration, replica);
    if (raft->role != RAFT_LEADER || place < 0)
        return false;
    const struct raft_peer *peer = &raft->peers[place];
    maitre_assert (status != NULL);
    *status = (struct raft_peer_status){
        .match = place == raft->self ? raft->persisted_index : peer->match,
        .applied = place == raft->self ? raft->applied : peer->applied,
        .session = peer->session,
        .heard_ms = peer->heard_ms,
        .link_down = peer->link_down,
        .suspect = peer->suspect || peer->amnesia,
        .snapshotting = peer->state == RAFT_PEER_SNAPSHOT,
    };
    return true;
}

const struct raft_entry *raft_entry (const struct raft *raft, uint64_t index)
{
    maitre_assert (raft != NULL);
    return raft_log_get (&raft->log, index);
}

uint64_t raft_term_at (const struct raft *raft, uint64_t index)
{
    maitre_assert (raft != NULL);
    return raft_log_term (&raft->log, index);
}

uint64_t raft_bytes_behind (const struct raft *raft, uint64_t index)
{
    uint64_t last = raft_log_last (&raft->log), first = raft->log.snapshot_index;
    if (index >= last)
        return 0;
    return raft_log_bytes (&raft->log, index > first ? index : first, last);
}

uint64_t raft_index_before (const struct raft *raft, uint64_t bytes)
{
    uint64_t index = raft_log_before (&raft->log, bytes);
    maitre_assert (index >= raft->log.snapshot_index);
    return index;
}
