/* Members: effective on append, one change in flight, rolled back on truncation (R7), joint in between (R8). */
#include "node/raft/raft_internal.h"

#include <string.h>

int raft_configuration_place (const struct raft_configuration *configuration, uint64_t replica)
{
    maitre_assert (configuration->count <= RAFT_MEMBERS_MAX);
    for (uint32_t i = 0; i < configuration->count; i++)
        if (configuration->members[i].replica == replica)
            return (int) i;
    return -1;
}

const struct raft_member *raft_configuration_find (const struct raft_configuration *configuration, uint64_t replica)
{
    int place = raft_configuration_place (configuration, replica);
    return place < 0 ? NULL : &configuration->members[place];
}

bool raft_configuration_set (struct raft_configuration *configuration, struct raft_member member)
{
    maitre_assert (member.replica != 0);
    maitre_assert (member.roles != 0);
    uint32_t at = 0;
    while (at < configuration->count && configuration->members[at].replica < member.replica)
        at++;
    bool known = at < configuration->count && configuration->members[at].replica == member.replica;
    if (!known) {
        if (configuration->count == RAFT_MEMBERS_MAX)
            return false;
        memmove (&configuration->members[at + 1], &configuration->members[at],
            (configuration->count - at) * sizeof configuration->members[0]);
        configuration->count++;
    }
    configuration->members[at] = member;
    return true;
}

bool raft_configuration_joint (const struct raft_configuration *configuration)
{
    maitre_assert (configuration->count <= RAFT_MEMBERS_MAX);
    for (uint32_t i = 0; i < configuration->count; i++)
        if (configuration->members[i].roles & RAFT_VOTER_OLD)
            return true;
    return false;
}

bool raft_configuration_valid (const struct raft_configuration *configuration)
{
    if (configuration->count > RAFT_MEMBERS_MAX)
        return false;
    bool voter = false;
    for (uint32_t i = 0; i < configuration->count; i++) {
        const struct raft_member *member = &configuration->members[i];
        bool both = (member->roles & RAFT_VOTER) && (member->roles & RAFT_LEARNER);
        if (member->replica == 0 || member->node == 0 || member->roles == 0 || member->roles > 7 || both)
            return false;
        if (i > 0 && configuration->members[i - 1].replica >= member->replica)
            return false;
        voter = voter || (member->roles & RAFT_VOTER);
    }
    return voter || configuration->count == 0;
}

void raft_configuration_use (struct raft *raft, const struct raft_configuration *configuration, uint64_t index)
{
    struct raft_peer peers[RAFT_MEMBERS_MAX];
    maitre_assert (raft_configuration_valid (configuration));
    for (uint32_t i = 0; i < configuration->count; i++) {
        int place = raft_configuration_place (&raft->configuration, configuration->members[i].replica);
        if (place >= 0)
            peers[i] = raft->peers[place];
        else /* a newcomer's log is taken to be equal until it says otherwise */
            peers[i] = (struct raft_peer){.next = raft_log_last (&raft->log) + 1, .progress_ms = raft->now_ms};
    }
    memcpy (raft->peers, peers, configuration->count * sizeof peers[0]);
    raft->configuration = *configuration;
    raft->configuration_index = index;
    raft->self = raft_configuration_place (configuration, raft->options.replica);
    maitre_assert (raft->self < (int) configuration->count);
}

static void load_entry (const struct raft_entry *entry, struct raft_configuration *out)
{
    enum status status = raft_configuration_decode (entry->payload, out);
    maitre_assert (status == STATUS_OK); /* checked before it entered the log */
}

void raft_configuration_reload (struct raft *raft)
{
    struct raft_configuration found = raft->base_configuration;
    uint64_t index = raft_log_last (&raft->log);
    for (; index > raft->log.snapshot_index; index--) {
        const struct raft_entry *entry = raft_log_get (&raft->log, index);
        if (entry->type == RAFT_ENTRY_CONFIGURATION) {
            load_entry (entry, &found);
            break;
        }
    }
    maitre_assert (index >= raft->log.snapshot_index);
    raft_configuration_use (raft, &found, index);
}

bool raft_configuration_at (const struct raft *raft, uint64_t index, struct raft_configuration *out)
{
    if (index < raft->log.snapshot_index || index > raft_log_last (&raft->log))
        return false;
    *out = raft->base_configuration;
    for (uint64_t i = index; i > raft->log.snapshot_index; i--) {
        const struct raft_entry *entry = raft_log_get (&raft->log, i);
        maitre_assert (entry != NULL);
        if (entry->type == RAFT_ENTRY_CONFIGURATION) {
            load_entry (entry, out);
            break;
        }
    }
    return true;
}

/* Thesis 4.2.2: until the entry that votes us out has committed we may hold the only log that can win. */
bool raft_may_campaign (const struct raft *raft)
{
    if (raft->emptied &&
        !PLANTED (R12_EMPTIED_STANDS)) /* elected by others as empty, it would forget for all of them */
        return false;
    if (raft_self_votes (raft))
        return true;
    if (raft->configuration_index <= raft->commit || raft->configuration_index <= raft->log.snapshot_index)
        return false;
    struct raft_configuration before;
    bool known = raft_configuration_at (raft, raft->configuration_index - 1, &before);
    maitre_assert (known);
    const struct raft_member *self = raft_configuration_find (&before, raft->options.replica);
    return self && (self->roles & (RAFT_VOTER | RAFT_VOTER_OLD));
}

const struct raft_configuration *raft_configuration (const struct raft *raft)
{
    maitre_assert (raft != NULL);
    return &raft->configuration;
}

static bool same_voters (const struct raft_configuration *a, const struct raft_configuration *b)
{
    for (uint32_t i = 0; i < a->count; i++) {
        const struct raft_member *other = raft_configuration_find (b, a->members[i].replica);
        bool votes = other && (other->roles & RAFT_VOTER);
        if (((a->members[i].roles & RAFT_VOTER) != 0) != votes)
            return false;
    }
    maitre_assert (a->count <= RAFT_MEMBERS_MAX);
    return true;
}

/* The wanted voters beside the present ones. */
static enum status join_halves (
    const struct raft_configuration *present, const struct raft_configuration *wanted, struct raft_configuration *out)
{
    *out = *wanted;
    for (uint32_t i = 0; i < present->count; i++) {
        struct raft_member member = present->members[i];
        if (!(member.roles & RAFT_VOTER))
            continue;
        const struct raft_member *stays = raft_configuration_find (wanted, member.replica);
        if (stays)
            member = *stays;
        else
            member.roles = 0;
        member.roles |= RAFT_VOTER_OLD;
        if (!raft_configuration_set (out, member))
            return STATUS_INVALID_ARGUMENT;
    }
    maitre_assert (raft_configuration_joint (out));
    return STATUS_OK;
}

static enum status append_configuration (
    struct raft *raft, const struct raft_configuration *configuration, struct raft_effects *effects)
{
    uint8_t payload[RAFT_CONFIGURATION_BYTES_MAX];
    size_t len = raft_configuration_encode (configuration, payload);
    maitre_assert (len <= sizeof payload);
    enum status status = raft_role_append (raft, RAFT_ENTRY_CONFIGURATION, bytes_of (payload, len), effects);
    if (status == STATUS_OK)
        raft_configuration_use (raft, configuration, raft_log_last (&raft->log));
    return status;
}

/* Whether everybody who is to vote holds nearly the whole log already (R9). */
static bool voters_caught_up (const struct raft *raft, const struct raft_configuration *wanted)
{
    uint64_t last = raft_log_last (&raft->log);
    for (uint32_t i = 0; i < wanted->count; i++) {
        if (!(wanted->members[i].roles & RAFT_VOTER))
            continue;
        int place = raft_configuration_place (&raft->configuration, wanted->members[i].replica);
        if (place < 0)
            return false; /* comes in as a learner first */
        const struct raft_peer *peer = &raft->peers[place];
        maitre_assert (peer->match <= last);
        bool learner = raft->configuration.members[place].roles == RAFT_LEARNER;
        if (learner && (last - peer->match > raft->options.promote_lag_max || peer->match == 0 || peer->suspect))
            return false;
    }
    return true;
}

enum status raft_configuration_change (
    struct raft *raft, const struct raft_configuration *wanted, struct raft_effects *effects)
{
    maitre_assert (wanted != NULL);
    if (raft->role != RAFT_LEADER || raft->transfer_target != 0)
        return STATUS_UNAVAILABLE;
    if (!raft_configuration_valid (wanted) || wanted->count == 0 || raft_configuration_joint (wanted))
        return STATUS_INVALID_ARGUMENT;
    if (raft->commit < raft->noop_index && !PLANTED (R4_CONFIGURE_BEFORE_NOOP)) /* R4 */
        return STATUS_FAILED_PRECONDITION;
    bool in_flight = raft->configuration_index > raft->commit && !PLANTED (R7_TWO_IN_FLIGHT);
    if (in_flight || raft_configuration_joint (&raft->configuration)) /* R7 */
        return STATUS_FAILED_PRECONDITION;
    if (!voters_caught_up (raft, wanted) && !PLANTED (R9_PROMOTED_BEHIND))
        return STATUS_FAILED_PRECONDITION;
    struct raft_configuration next = *wanted;
    bool changes = !same_voters (&raft->configuration, wanted) || !same_voters (wanted, &raft->configuration);
    if (changes && !PLANTED (R8_NO_JOINT)) {
        enum status status = join_halves (&raft->configuration, wanted, &next);
        if (status != STATUS_OK)
            return status;
    }
    uint64_t index = raft_log_last (&raft->log) + 1;
    enum status status = append_configuration (raft, &next, effects);
    if (status != STATUS_OK)
        return status;
    effects->proposed_index = index;
    effects->proposed_term = raft->term;
    return STATUS_OK;
}

static void leave_joint (struct raft *raft, struct raft_effects *effects)
{
    struct raft_configuration next = {0};
    for (uint32_t i = 0; i < raft->configuration.count; i++) {
        struct raft_member member = raft->configuration.members[i];
        member.roles &= (uint8_t) ~RAFT_VOTER_OLD;
        if (member.roles != 0)
            next.members[next.count++] = member;
    }
    maitre_assert (raft_configuration_valid (&next));
    maitre_assert (next.count > 0);
    /* Without memory the next commit tries again. */
    if (append_configuration (raft, &next, effects) != STATUS_OK)
        maitre_assert (raft_configuration_joint (&raft->configuration));
}

void raft_configuration_leave (struct raft *raft, struct raft_effects *effects)
{
    int best = -1;
    maitre_assert (raft->role == RAFT_LEADER);
    if (raft_self_votes (raft) || raft_configuration_joint (&raft->configuration))
        return;
    if (raft->commit < raft->noop_index || raft->configuration_index > raft->commit)
        return;
    for (uint32_t i = 0; i < raft->configuration.count; i++) {
        const struct raft_peer *peer = &raft->peers[i];
        if (!raft_is_voter (raft, i) || peer->link_down || peer->suspect || peer->session == 0)
            continue;
        if (best < 0 || peer->match > raft->peers[best].match)
            best = (int) i;
    }
    raft_heartbeat_send (raft, 0, effects);
    if (best >= 0)
        raft_transfer_offer (raft, (uint32_t) best, effects);
    raft_role_follow (raft, raft->term, 0, effects);
}

void raft_configuration_committed (struct raft *raft, struct raft_effects *effects)
{
    maitre_assert (raft->role == RAFT_LEADER);
    if (raft->commit < raft->noop_index || raft->configuration_index > raft->commit)
        return;
    if (raft_configuration_joint (&raft->configuration))
        leave_joint (raft, effects);
}
