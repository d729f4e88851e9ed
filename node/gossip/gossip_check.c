#include "node/gossip/gossip_internal.h"

static void check_slot (const struct gossip *gossip, const struct gossip_slot *slot)
{
    const struct gossip_member *member = &slot->member;
    maitre_assert (member->incarnation >= 1 && member->incarnation <= GOSSIP_INCARNATION_MAX);
    maitre_assert (member->state >= GOSSIP_ALIVE && member->state <= GOSSIP_LEFT);
    maitre_assert (member->node >= 1);
    maitre_assert (member->gossip_endpoint[0] != '\0');
    maitre_assert (strnlen (member->gossip_endpoint, sizeof member->gossip_endpoint) <= GOSSIP_ENDPOINT_BYTES_MAX);
    maitre_assert (strnlen (member->peer_endpoint, sizeof member->peer_endpoint) <= GOSSIP_ENDPOINT_BYTES_MAX);
    maitre_assert (strnlen (member->client_endpoint, sizeof member->client_endpoint) <= GOSSIP_ENDPOINT_BYTES_MAX);
    maitre_assert (member->state_since_ms <= gossip->now_ms && member->heard_ms <= gossip->now_ms);
    maitre_assert (slot->suspicion.active == (member->state == GOSSIP_SUSPECT));
    maitre_assert (!slot->pending || slot->transmits < gossip->config.retransmit_mult * 9); /* log2 (257), up */
    if (slot->suspicion.active) {
        uint64_t timeout_ms = gossip_suspicion_timeout_ms (&slot->suspicion);
        maitre_assert (timeout_ms >= slot->suspicion.min_ms && timeout_ms <= slot->suspicion.max_ms);
        maitre_assert (slot->suspicion.accusers_count <= slot->suspicion.confirmations_wanted + 1);
    }
}

/* Probes and relayed pings under way, and where to join. */
static void check_pending (const struct gossip *gossip)
{
    for (size_t i = 0; i < GOSSIP_PROBES_MAX; i++) {
        const struct gossip_probe *probe = &gossip->probes[i];
        if (!probe->active)
            continue;
        maitre_assert (!id_equal (&probe->target, &gossip->config.uuid));
        maitre_assert (probe->sequence <= gossip->sequence);
        maitre_assert (probe->indirect_at_ms <= probe->deadline_ms);
        maitre_assert (probe->nacks_expected <= gossip->config.indirect_count);
    }
    for (size_t i = 0; i < GOSSIP_RELAYS_MAX; i++) {
        const struct gossip_relay *relay = &gossip->relays[i];
        if (!relay->active)
            continue;
        maitre_assert (!id_equal (&relay->target, &gossip->config.uuid));
        maitre_assert (relay->sequence <= gossip->sequence);
        maitre_assert (relay->nack_at_ms <= relay->deadline_ms);
    }
    maitre_assert (gossip->seeds_count <= GOSSIP_SEEDS_MAX);
    for (size_t i = 0; i < gossip->seeds_count; i++)
        maitre_assert (gossip->seeds[i].len >= 1 && gossip->seeds[i].len <= GOSSIP_ENDPOINT_BYTES_MAX);
    maitre_assert (gossip->forgotten_next < GOSSIP_FORGOTTEN_MAX);
}

static void check_table (const struct gossip *gossip)
{
    maitre_assert (gossip->count >= 1 && gossip->count <= GOSSIP_MEMBERS_MAX);
    size_t used = 0;
    for (size_t i = 0; i < GOSSIP_MEMBERS_MAX; i++)
        used += gossip->slots_used[i];
    maitre_assert (used == gossip->count);
    bool ordered[GOSSIP_MEMBERS_MAX] = {false};
    for (size_t i = 0; i < gossip->count; i++) {
        size_t place = (size_t) (gossip->order[i] - gossip->slots);
        maitre_assert (place < GOSSIP_MEMBERS_MAX && gossip->slots_used[place] && !ordered[place]);
        ordered[place] = true;
    }
    for (size_t i = 1; i < gossip->count; i++)
        maitre_assert (id_compare (&gossip->sorted[i - 1]->member.uuid, &gossip->sorted[i]->member.uuid) < 0);
    maitre_assert (gossip->order_next <= gossip->count);
}

static void check_hints (const struct gossip *gossip)
{
    static const struct gossip_hint unknown[64];
    maitre_assert (gossip->hints_count <= GOSSIP_SHARDS_MAX);
    maitre_assert (gossip->hints_pending_next == 0 || gossip->hints_pending_next < gossip->hints_count);
    maitre_assert (gossip->hints_push_next == 0 || gossip->hints_push_next < gossip->hints_count);
    uint32_t hints_pending = 0;
    for (size_t i = 0; i < gossip->hints_count; i++) {
        hints_pending += gossip->hints[i].pending;
        maitre_assert (gossip->hints[i].term == 0 || gossip->hints[i].node >= 1);
    }
    maitre_assert (hints_pending == gossip->hints_pending);
    for (size_t i = gossip->hints_count; i < GOSSIP_SHARDS_MAX;) { /* calloc's, padding included: by the stretch */
        size_t n = GOSSIP_SHARDS_MAX - i < 64 ? GOSSIP_SHARDS_MAX - i : 64;
        maitre_assert (memcmp (&gossip->hints[i], unknown, n * sizeof *unknown) == 0);
        i += n;
    }
}

void gossip_check (const struct gossip *gossip)
{
    check_table (gossip);
    check_pending (gossip);
    for (size_t i = 0; i < gossip->count; i++)
        check_slot (gossip, gossip->sorted[i]);
    const struct gossip_slot *self = gossip_members_find (gossip, &gossip->config.uuid);
    maitre_assert (self != NULL && self == gossip->self);
    maitre_assert (self->member.state == (gossip->leaving ? GOSSIP_LEFT : GOSSIP_ALIVE));
    maitre_assert (gossip->awareness <= gossip->config.awareness_max);
    check_hints (gossip);
}
