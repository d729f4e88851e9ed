/* What others say about members. A record wins by (incarnation, state): the order in which rumours arrive does not
 * matter, so all tables come to agree. Only a member itself raises its incarnation, to deny what is said about it. */
#include "node/gossip/gossip_internal.h"

static bool endpoint_valid (struct bytes endpoint)
{
    if (endpoint.len < 1 || endpoint.len > GOSSIP_ENDPOINT_BYTES_MAX)
        return false;
    /* It ends up in C strings and logs: printable ASCII without spaces. */
    for (size_t i = 0; i < endpoint.len; i++)
        if (endpoint.data[i] < 0x21 || endpoint.data[i] > 0x7e)
            return false;
    return true;
}

bool gossip_record_valid (const struct gossip_record *record)
{
    if (id_is_zero (&record->uuid) || record->node < 1 || record->node > UINT32_MAX)
        return false;
    if (record->incarnation < 1 || record->incarnation > GOSSIP_INCARNATION_MAX)
        return false;
    if (record->state < GOSSIP_ALIVE || record->state > GOSSIP_LEFT)
        return false;
    return endpoint_valid (record->gossip_endpoint) && endpoint_valid (record->peer_endpoint) &&
           endpoint_valid (record->client_endpoint);
}

static void copy_endpoint (char *to, struct bytes from)
{
    maitre_assert (from.len <= GOSSIP_ENDPOINT_BYTES_MAX);
    memcpy (to, from.data, from.len);
    to[from.len] = '\0';
}

void gossip_member_adopt (struct gossip_member *member, const struct gossip_record *record)
{
    maitre_assert (record->incarnation <= GOSSIP_INCARNATION_MAX);
    maitre_assert (record->node >= 1);
    maitre_assert (record->incarnation > member->incarnation);
    member->incarnation = record->incarnation;
    member->node = (uint32_t) record->node;
    member->version = record->version;
    copy_endpoint (member->gossip_endpoint, record->gossip_endpoint);
    copy_endpoint (member->peer_endpoint, record->peer_endpoint);
    copy_endpoint (member->client_endpoint, record->client_endpoint);
}

void gossip_set_state (
    struct gossip *gossip, struct gossip_effects *effects, struct gossip_slot *slot, enum gossip_state state)
{
    maitre_assert (state >= GOSSIP_ALIVE);
    maitre_assert (state <= GOSSIP_LEFT);
    maitre_assert (slot != gossip->self || state == GOSSIP_ALIVE || state == GOSSIP_LEFT);
    uint32_t before = slot->member.state;
    if (state != GOSSIP_SUSPECT)
        slot->suspicion.active = false;
    maitre_assert (state != GOSSIP_SUSPECT || slot->suspicion.active);
    maitre_assert (gossip->now_ms >= slot->member.state_since_ms);
    slot->member.state = state;
    slot->member.state_since_ms = gossip->now_ms;
    gossip_broadcast_queue (gossip, slot);
    const struct gossip_notice notice = {
        .type = GOSSIP_NOTICE_MEMBER,
        .uuid = slot->member.uuid,
        .node = slot->member.node,
        .before = before,
        .after = state,
        .incarnation = slot->member.incarnation,
    };
    gossip_effects_notice (effects, &notice);
}

void gossip_accuse (
    struct gossip *gossip, struct gossip_effects *effects, struct gossip_slot *slot, const struct id *accuser)
{
    maitre_assert (slot != gossip->self);
    if (!slot->suspicion.active) {
        gossip_suspicion_start (gossip, &slot->suspicion, accuser);
        slot->accuser = *accuser;
        gossip_set_state (gossip, effects, slot, GOSSIP_SUSPECT);
    } else if (gossip_suspicion_confirm (&slot->suspicion, accuser)) {
        /* Lifeguard passes the first K independent suspicions on: each of them shortens everybody's timeout. */
        slot->accuser = *accuser;
        gossip_broadcast_queue (gossip, slot);
    }
    maitre_assert (slot->suspicion.active);
    maitre_assert (slot->member.state == GOSSIP_SUSPECT);
}

/* Somebody says something about this node. */
static void hear_about_self (struct gossip *gossip, struct gossip_effects *effects, const struct gossip_record *record)
{
    struct gossip_member *member = &gossip->self->member;
    if (record->incarnation < member->incarnation || gossip->leaving)
        return;
    if (record->state == GOSSIP_ALIVE && record->incarnation == member->incarnation)
        return;
    if (record->incarnation >= GOSSIP_INCARNATION_MAX) {
        gossip_effects_count (effects, GOSSIP_COUNT_INVALID); /* nobody gets there by refuting: 2^48 of them */
        return;
    }
    /* Also an ALIVE one from the future: the data folder went back in time, and the cluster knows better (S1). */
    member->incarnation = record->incarnation + 1;
    effects->output.persist = !PLANTED (S1_INCARNATION_NOT_STORED);
    effects->output.persist_incarnation = member->incarnation;
    gossip_effects_count (effects, GOSSIP_COUNT_REFUTED);
    gossip_awareness_apply (gossip, 1);
    gossip_broadcast_queue (gossip, gossip->self);
}

static struct id accuser_of (const struct gossip *gossip, const struct gossip_record *record, const struct id *sender)
{
    maitre_assert (!id_is_zero (sender));
    /* An accuser that nobody knows would let one sender count as many (S4). */
    if (!record->has_accuser || id_equal (&record->accuser, &record->uuid) ||
        gossip_members_find (gossip, &record->accuser) == NULL)
        return *sender;
    return record->accuser;
}

static void hear_of_new (
    struct gossip *gossip, struct gossip_effects *effects, const struct gossip_record *record, const struct id *sender)
{
    maitre_assert (gossip_members_find (gossip, &record->uuid) == NULL);
    bool gone = record->state == GOSSIP_DEAD || record->state == GOSSIP_LEFT;
    /* Who is suspected, too: else those who forget the same one tell each other of it for ever, each as news. */
    if (record->state != GOSSIP_ALIVE && gossip_members_is_forgotten (gossip, &record->uuid))
        return;
    struct gossip_slot *slot = gossip_members_add (gossip, &record->uuid, !gone);
    if (slot == NULL) {
        gossip_effects_count (effects, GOSSIP_COUNT_TABLE_FULL);
        return;
    }
    gossip_member_adopt (&slot->member, record);
    maitre_assert (slot->member.incarnation == record->incarnation);
    if (record->state == GOSSIP_SUSPECT) {
        struct id accuser = accuser_of (gossip, record, sender);
        gossip_accuse (gossip, effects, slot, &accuser);
    } else {
        gossip_set_state (gossip, effects, slot, (enum gossip_state) record->state);
    }
}

void gossip_merge (struct gossip *gossip, struct gossip_effects *effects, const struct gossip_record *record,
    enum gossip_source source, const struct id *sender)
{
    if (!gossip_record_valid (record)) {
        gossip_effects_count (effects, GOSSIP_COUNT_INVALID);
        return;
    }
    if (id_equal (&record->uuid, &gossip->self->member.uuid)) {
        hear_about_self (gossip, effects, record);
        return;
    }
    struct gossip_slot *slot = gossip_members_find (gossip, &record->uuid);
    if (slot == NULL && PLANTED (S3_POSITION_IS_IDENTITY)) {
        const struct gossip_member *there = gossip_member_by_node (gossip, (uint32_t) record->node);
        bool other = there != NULL && there != &gossip->self->member;
        slot = other ? gossip_members_find (gossip, &there->uuid) : NULL;
    }
    if (slot == NULL) {
        hear_of_new (gossip, effects, record, sender);
        return;
    }
    if (record->incarnation < slot->member.incarnation)
        return;
    maitre_assert (slot != gossip->self);
    bool newer = record->incarnation > slot->member.incarnation;
    enum gossip_state state = (enum gossip_state) record->state;
    /* A table may hold the opinion of the other half of a healed partition: a chance to refute before it counts (S2). */
    if (source == GOSSIP_FROM_TABLE && state == GOSSIP_DEAD && gossip_slot_live (slot))
        state = GOSSIP_SUSPECT;
    if (newer) {
        gossip_member_adopt (&slot->member, record);
        slot->suspicion.active = false; /* it was about the incarnation before */
    } else if (state < slot->member.state || (state == slot->member.state && state != GOSSIP_SUSPECT)) {
        return;
    }
    if (state == GOSSIP_SUSPECT) {
        struct id accuser = accuser_of (gossip, record, sender);
        gossip_accuse (gossip, effects, slot, &accuser);
    } else {
        gossip_set_state (gossip, effects, slot, state);
    }
}
