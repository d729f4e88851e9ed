/* Pings on behalf of others (SWIM, section 3.1), with Lifeguard's nack: "I hear you well, it is the target". */
#include "node/gossip/gossip_internal.h"

_Static_assert(GOSSIP_RELAYS_MAX <= GOSSIP_SENDS_MAX, "each relay may answer in one step");

static void answer (struct gossip *gossip, struct gossip_effects *effects, const struct id *origin, uint64_t kind,
    uint64_t sequence, const struct id *target)
{
    maitre_assert (!id_is_zero (origin));
    maitre_assert (kind == GOSSIP_KIND_ACK || kind == GOSSIP_KIND_NACK);
    const struct gossip_slot *slot = gossip_members_find (gossip, origin);
    const struct gossip_outgoing outgoing = {.kind = kind, .sequence = sequence, .target = target};
    if (slot != NULL && slot != gossip->self)
        gossip_send_member (gossip, effects, slot, &outgoing);
}

static struct gossip_relay *find_free (struct gossip *gossip)
{
    for (size_t i = 0; i < GOSSIP_RELAYS_MAX; i++)
        if (!gossip->relays[i].active)
            return &gossip->relays[i];
    return NULL;
}

void gossip_relay_request (struct gossip *gossip, struct gossip_effects *effects, const struct gossip_message *message)
{
    const struct id *origin = &message->self.uuid;
    if (!message->has_target || id_equal (&message->target, origin)) {
        gossip_effects_count (effects, GOSSIP_COUNT_INVALID);
        return;
    }
    if (id_equal (&message->target, &gossip->self->member.uuid)) {
        answer (gossip, effects, origin, GOSSIP_KIND_ACK, message->sequence, &message->target);
        return;
    }
    /* Only known members are pinged, at the address that they told: nobody can aim this node elsewhere (S4). */
    const struct gossip_slot *target = gossip_members_find (gossip, &message->target);
    struct gossip_relay *relay = find_free (gossip);
    if (target == NULL || relay == NULL) {
        answer (gossip, effects, origin, GOSSIP_KIND_NACK, message->sequence, &message->target);
        return;
    }
    *relay = (struct gossip_relay){
        .active = true,
        .origin = *origin,
        .target = message->target,
        .origin_sequence = message->sequence,
        .sequence = ++gossip->sequence,
        .nack_at_ms = gossip->now_ms + (uint64_t) gossip->config.probe_timeout_ms * 4 / 5,
        .deadline_ms = gossip->now_ms + gossip->config.probe_interval_ms,
    };
    maitre_assert (relay->nack_at_ms < relay->deadline_ms);
    maitre_assert (target != gossip->self);
    maitre_assert (!id_equal (&relay->origin, &relay->target));
    const struct gossip_outgoing outgoing = {.kind = GOSSIP_KIND_PING, .sequence = relay->sequence};
    gossip_send_member (gossip, effects, target, &outgoing);
}

bool gossip_relay_ack (struct gossip *gossip, struct gossip_effects *effects, const struct gossip_message *message)
{
    for (size_t i = 0; i < GOSSIP_RELAYS_MAX; i++) {
        struct gossip_relay *relay = &gossip->relays[i];
        if (!relay->active || relay->sequence != message->sequence || !id_equal (&relay->target, &message->self.uuid))
            continue;
        maitre_assert (relay->sequence <= gossip->sequence);
        maitre_assert (!id_equal (&relay->origin, &relay->target));
        relay->active = false;
        answer (gossip, effects, &relay->origin, GOSSIP_KIND_ACK, relay->origin_sequence, &relay->target);
        return true;
    }
    return false;
}

void gossip_relay_tick (struct gossip *gossip, struct gossip_effects *effects)
{
    for (size_t i = 0; i < GOSSIP_RELAYS_MAX; i++) {
        struct gossip_relay *relay = &gossip->relays[i];
        if (!relay->active)
            continue;
        maitre_assert (relay->nack_at_ms <= relay->deadline_ms);
        if (!relay->nack_sent && gossip->now_ms >= relay->nack_at_ms) {
            relay->nack_sent = true;
            answer (gossip, effects, &relay->origin, GOSSIP_KIND_NACK, relay->origin_sequence, &relay->target);
        }
        if (gossip->now_ms >= relay->deadline_ms)
            relay->active = false;
    }
}

uint64_t gossip_relay_next_ms (const struct gossip *gossip)
{
    uint64_t next_ms = GOSSIP_NEVER;
    for (size_t i = 0; i < GOSSIP_RELAYS_MAX; i++) {
        const struct gossip_relay *relay = &gossip->relays[i];
        uint64_t at_ms = relay->nack_sent ? relay->deadline_ms : relay->nack_at_ms;
        if (relay->active && at_ms < next_ms)
            next_ms = at_ms;
    }
    return next_ms;
}
