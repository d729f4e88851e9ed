/* Dissemination (SWIM, section 4.1): a change rides on the messages that are sent anyway, the least told ones first,
 * each lambda x log2 (members) times; a short timer of its own carries it when there are few messages. */
#include "node/gossip/gossip_internal.h"

_Static_assert(GOSSIP_PIGGYBACK_MAX <= GOSSIP_RECORDS_MAX, "what rides on a message fits one");

uint32_t gossip_broadcast_limit (const struct gossip *gossip)
{
    uint32_t members = (uint32_t) gossip->count + 1;
    uint32_t log2_up = (gossip_log2_q16 (members) + 0xffff) >> 16;
    maitre_assert (log2_up >= 1);
    maitre_assert (log2_up <= 9);
    return gossip->config.retransmit_mult * log2_up;
}

void gossip_broadcast_queue (struct gossip *gossip, struct gossip_slot *slot)
{
    maitre_assert (slot->member.incarnation > 0);
    slot->pending = gossip->count > 1;
    slot->transmits = 0;
}

bool gossip_broadcast_pending (const struct gossip *gossip)
{
    if (gossip->hints_pending > 0)
        return true;
    for (size_t i = 0; i < gossip->count; i++)
        if (gossip->sorted[i]->pending)
            return true;
    return false;
}

void gossip_record_of (const struct gossip_slot *slot, struct gossip_record *record)
{
    maitre_assert (slot->member.incarnation >= 1);
    maitre_assert (slot->member.state >= GOSSIP_ALIVE);
    const struct gossip_member *member = &slot->member;
    *record = (struct gossip_record){
        .uuid = member->uuid,
        .incarnation = member->incarnation,
        .state = member->state,
        .node = member->node,
        .gossip_endpoint = bytes_text (member->gossip_endpoint),
        .peer_endpoint = bytes_text (member->peer_endpoint),
        .client_endpoint = bytes_text (member->client_endpoint),
        .version = member->version,
        .has_accuser = member->state == GOSSIP_SUSPECT,
        .accuser = slot->accuser,
    };
}

static void count_transmit (struct gossip_slot *slot, uint32_t limit)
{
    maitre_assert (slot->pending);
    slot->transmits++;
    slot->pending = slot->transmits < limit || PLANTED (S4_TOLD_FOR_EVER);
    if (PLANTED (S4_TOLD_FOR_EVER) && slot->transmits >= limit)
        slot->transmits = 0;
}

size_t gossip_broadcast_take (
    struct gossip *gossip, const struct gossip_slot *to, struct gossip_record *records, size_t max)
{
    maitre_assert (to != gossip->self);
    size_t taken = 0;
    uint32_t limit = gossip_broadcast_limit (gossip);
    if (gossip->self->pending)
        count_transmit (gossip->self, limit); /* it is in every message */
    /* Lifeguard's buddy system: who is suspected hears it first, with the next message to it. */
    if (to != NULL && to->member.state != GOSSIP_ALIVE && max > 0)
        gossip_record_of (to, &records[taken++]);
    size_t first = taken;
    struct gossip_slot *chosen[GOSSIP_PIGGYBACK_MAX];
    maitre_assert (max <= GOSSIP_PIGGYBACK_MAX);
    for (uint32_t level = 0; level < limit && taken < max; level++)
        for (size_t i = 0; i < gossip->count && taken < max; i++) {
            struct gossip_slot *slot = gossip->sorted[i];
            if (slot->pending && slot->transmits == level && slot != gossip->self && slot != to)
                chosen[taken++] = slot;
        }
    /* Counted only now: a higher count would show the same one again on the next level. */
    for (size_t i = first; i < taken; i++) {
        gossip_record_of (chosen[i], &records[i]);
        count_transmit (chosen[i], limit);
    }
    maitre_assert (taken <= max);
    maitre_assert (taken <= GOSSIP_PIGGYBACK_MAX);
    return taken;
}

void gossip_broadcast_tick (struct gossip *gossip, struct gossip_effects *effects)
{
    if (gossip->now_ms < gossip->spread_at_ms || !gossip_broadcast_pending (gossip))
        return;
    gossip->spread_at_ms = gossip->now_ms + gossip->config.spread_interval_ms;
    struct gossip_slot *picked[GOSSIP_INDIRECT_MAX];
    size_t count = gossip_members_pick (gossip, NULL, false, picked, gossip->config.spread_count);
    maitre_assert (count <= gossip->config.spread_count);
    maitre_assert (gossip->spread_at_ms > gossip->now_ms);
    const struct gossip_outgoing outgoing = {.kind = GOSSIP_KIND_UPDATE};
    for (size_t i = 0; i < count; i++)
        gossip_send_member (gossip, effects, picked[i], &outgoing);
}
