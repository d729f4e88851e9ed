/* The follower: AppendEntries (thesis 3.5) into the log, acknowledged when it is durable. */
#include "node/raft/raft_internal.h"

bool raft_append_contact (struct raft *raft, const struct raft_message *message, struct raft_effects *effects)
{
    maitre_assert (message->term >= raft->term);
    if (message->term == raft->term && raft->role == RAFT_LEADER)
        return false; /* two leaders in one term */
    if (message->term == raft->term && raft->leader != 0 && raft->leader != message->from)
        return false;
    int place = raft_configuration_place (&raft->configuration, message->from);
    bool link_down = place >= 0 && raft->peers[place].link_down;
    uint64_t deadline_ms = raft->election_deadline_ms;
    unsigned tries = raft->quick_tries;
    raft_role_follow (raft, message->term, message->from, effects);
    if (raft->suspect && raft->vote == 0) /* a vote of this term may be among what was lost: never give another (R12) */
        raft_persist_hard_state (raft, raft->term, message->from);
    if (message->flags & RAFT_FLAG_SUSPECT && !raft->suspect && message->session == raft->options.session) {
        raft->suspect = true;
        raft->suspect_target = UINT64_MAX;
        effects->became_suspect = true;
    }
    raft->leader_lost = link_down;
    if (link_down) { /* what a dead leader left in the socket must not look like life */
        raft->quick_tries = tries;
        raft->election_deadline_ms = deadline_ms;
        return true;
    }
    raft->quick_tries = 0;
    raft->leader_contact_ms = raft->now_ms;
    raft_role_arm (raft);
    return true;
}

/* Consecutive, in terms that do not go down, of known types and unharmed: what a correct leader sends. */
static bool entries_valid (const struct raft *raft, const struct raft_message *message)
{
    uint64_t term = message->log_term;
    if (message->count > RAFT_MESSAGE_ENTRIES_MAX || (message->index == 0) != (message->log_term == 0))
        return false;
    for (uint32_t i = 0; i < message->count; i++) {
        const struct raft_entry *entry = &message->entries[i];
        if (entry->index != message->index + 1 + i || entry->term < term || entry->term == 0)
            return false;
        if (entry->type < RAFT_ENTRY_NOOP || entry->type > RAFT_ENTRY_CONFIGURATION)
            return false;
        if (entry->payload.len > RAFT_ENTRY_BYTES_MAX)
            return false;
        term = entry->term;
    }
    maitre_assert (raft != NULL);
    return term <= message->term;
}

static bool entry_intact (const struct raft *raft, const struct raft_entry *entry)
{
    struct raft_configuration configuration;
    if (raft_entry_checksum (raft->options.shard, entry) != entry->checksum)
        return false;
    if (entry->type != RAFT_ENTRY_CONFIGURATION)
        return true;
    return raft_configuration_decode (entry->payload, &configuration) == STATUS_OK && configuration.count > 0;
}

static void refuse (struct raft *raft, const struct raft_message *message, struct raft_effects *effects)
{
    struct raft_message *reply = raft_reply (raft, effects, RAFT_APPEND_REPLY, message->from);
    reply->flags = RAFT_FLAG_REJECT | (raft->suspect ? RAFT_FLAG_SUSPECT : 0);
    reply->index = message->index;
    reply->hint = raft_log_find (&raft->log, message->index, message->log_term);
    reply->log_term = raft_log_term (&raft->log, reply->hint);
    maitre_assert (reply->hint <= message->index || message->index < raft->log.snapshot_index);
}

static void acknowledge (struct raft *raft, uint64_t index)
{
    maitre_assert (index <= raft_log_last (&raft->log));
    maitre_assert (raft->leader != 0);
    if (!raft->ack_pending || index > raft->ack_index)
        raft->ack_index = index;
    raft->ack_pending = true;
    if (index > raft->matched_index)
        raft->matched_index = index;
}

/* There is no room for what came: the leader hears so once an interval. Each answer makes it send the same again at once. */
static bool told_lately (struct raft *raft)
{
    if (raft->now_ms < raft->full_told_ms)
        return true;
    raft->full_told_ms = raft->now_ms + raft->options.heartbeat_ms;
    maitre_assert (raft->full_told_ms > raft->now_ms);
    return false;
}

static void advance_commit (struct raft *raft, uint64_t commit)
{
    if (commit > raft->commit)
        raft->commit = commit;
    maitre_assert (raft->commit <= raft_log_last (&raft->log));
    if (PLANTED (R7_CONFIG_ON_COMMIT)) {
        struct raft_configuration configuration;
        uint64_t index = raft->commit;
        while (index > raft->configuration_index && raft_log_get (&raft->log, index) != NULL &&
               raft_log_get (&raft->log, index)->type != RAFT_ENTRY_CONFIGURATION)
            index--;
        if (index > raft->configuration_index && raft_configuration_at (raft, index, &configuration))
            raft_configuration_use (raft, &configuration, index);
    }
}

/* Appends what is new of entries; returns the last index that now matches the leader's, or 0 for entries that are damaged or
 * contradict what the leader of this term has sent before. */
static uint64_t take_entries (struct raft *raft, const struct raft_entry *entries, uint32_t count, uint64_t matched)
{
    uint32_t i = 0;
    while (i < count && raft_log_term (&raft->log, entries[i].index) == entries[i].term)
        matched = entries[i++].index;
    if (i == count)
        return matched;
    if (entries[i].index <=
        raft->matched_index) /* a leader never replaces an entry in its own term: this was acknowledged */
        return 0;
    for (uint32_t j = i; j < count; j++)
        if (!entry_intact (raft, &entries[j]))
            return 0;
    if (entries[i].index <= raft_log_last (&raft->log)) {
        maitre_assert (entries[i].index > raft->commit);
        raft_log_truncate (&raft->log, entries[i].index - 1);
        raft_persist_log (raft, entries[i].index);
        if (raft->configuration_index >= entries[i].index && !PLANTED (R7_NO_ROLLBACK)) /* R7 */
            raft_configuration_reload (raft);
    }
    uint64_t bound = 2 * raft->options.log_bytes_max; /* what does not fit is not acknowledged, and comes again */
    for (; i < count; i++) {
        uint64_t held = raft_log_bytes (&raft->log, raft->log.snapshot_index, raft_log_last (&raft->log));
        if (held > bound || raft_log_append (&raft->log, &entries[i]) != STATUS_OK)
            break;
        raft_persist_log (raft, entries[i].index);
        matched = entries[i].index;
        if (entries[i].type == RAFT_ENTRY_CONFIGURATION && !PLANTED (R7_CONFIG_ON_COMMIT)) {
            struct raft_configuration configuration;
            enum status status = raft_configuration_decode (entries[i].payload, &configuration);
            maitre_assert (status == STATUS_OK);
            raft_configuration_use (raft, &configuration, entries[i].index); /* on append (R7) */
        }
    }
    return matched;
}

enum status raft_append_receive (struct raft *raft, const struct raft_message *message, struct raft_effects *effects)
{
    if (message->term < raft->term) { /* tells an old leader what it missed (R10), and says nothing about the log */
        struct raft_message *reply = raft_reply (raft, effects, RAFT_HEARTBEAT_REPLY, message->from);
        reply->flags = raft->suspect ? RAFT_FLAG_SUSPECT : 0;
        return STATUS_OK;
    }
    if (!entries_valid (raft, message) || !raft_append_contact (raft, message, effects))
        return STATUS_INVALID_ARGUMENT;
    bool noted = message->session == raft->options.session && !(message->flags & RAFT_FLAG_SUSPECT);
    if (raft->suspect && noted && raft->suspect_target == UINT64_MAX)
        raft->suspect_target = message->commit; /* noted by a leader that no longer counts what we said before (R12) */

    uint64_t previous = message->index;
    const struct raft_entry *entries = message->entries;
    uint32_t count = message->count;
    if (previous < raft->commit) { /* what committed is equal everywhere: skip it (R13) */
        uint64_t skip = raft->commit - previous;
        if (skip >= count) {
            acknowledge (raft, raft->commit);
            return STATUS_OK;
        }
        if (raft_log_term (&raft->log, raft->commit) != entries[skip - 1].term)
            return STATUS_INVALID_ARGUMENT;
        previous = raft->commit;
        entries += skip;
        count -= (uint32_t) skip;
    } else if (previous > raft_log_last (&raft->log) || raft_log_term (&raft->log, previous) != message->log_term) {
        if (previous == raft->commit)
            return STATUS_INVALID_ARGUMENT; /* contradicts what committed */
        refuse (raft, message, effects);
        return STATUS_OK;
    }
    uint64_t matched = take_entries (raft, entries, count, previous);
    if (matched == 0 && count > 0)
        return STATUS_INVALID_ARGUMENT;
    if (matched > previous || count == 0 || !told_lately (raft))
        acknowledge (raft, matched);
    advance_commit (raft, message->commit < matched ? message->commit : matched);
    return STATUS_OK;
}

void raft_append_emit (struct raft *raft, struct raft_effects *effects)
{
    if (!raft->ack_pending)
        return;
    maitre_assert (raft->role == RAFT_FOLLOWER);
    maitre_assert (raft->leader != 0);
    struct raft_message *reply = PLANTED (R2_ACK_BEFORE_SYNC)
                                     ? raft_send_now (raft, effects, RAFT_APPEND_REPLY, raft->leader)
                                     : raft_send_after (raft, effects, RAFT_APPEND_REPLY, raft->leader); /* R2 */
    reply->index = raft->ack_index;
    reply->flags = raft->suspect ? RAFT_FLAG_SUSPECT : 0;
    raft->ack_pending = false;
    raft->ack_index = 0;
}

/* R12: what was lost here has been brought back once the log is durable past what a leader of this term had committed
 * after it heard of our restart, and that contains the leader's own no-op. */
void raft_append_suspicion (struct raft *raft, struct raft_effects *effects)
{
    if (!raft->suspect || raft->role != RAFT_FOLLOWER || raft->leader == 0 ||
        (raft->suspect_target == UINT64_MAX && !PLANTED (R12_CLEARED_EARLY)))
        return;
    if ((raft->commit < raft->suspect_target || raft->persisted_index < raft->commit) && !PLANTED (R12_CLEARED_EARLY))
        return;
    if (!PLANTED (R12_CLEARED_EARLY) &&
        (raft->matched_index < raft->commit || raft_log_term (&raft->log, raft->commit) != raft->term))
        return;
    maitre_assert (raft->vote != 0);
    raft->suspect = raft->emptied = false;
    raft->suspect_target = UINT64_MAX;
    effects->suspect_cleared = true;
}
