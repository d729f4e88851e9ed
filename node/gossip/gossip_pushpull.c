/* Whole tables between two members: joining, a slow repair of whatever rumours missed, and looking for the lost (S2). */
#include "node/gossip/gossip_internal.h"

_Static_assert(GOSSIP_SEEDS_MAX <= GOSSIP_SENDS_MAX, "a word to each seed fits one step");

static bool seed_usable (const struct gossip *gossip, struct bytes endpoint)
{
    maitre_assert (gossip->seeds_count <= GOSSIP_SEEDS_MAX);
    if (endpoint.len < 1 || endpoint.len > GOSSIP_ENDPOINT_BYTES_MAX)
        return false;
    if (bytes_equal (endpoint, bytes_text (gossip->self->member.gossip_endpoint)))
        return false; /* one list of seeds serves all nodes, so it names this one, too */
    for (size_t i = 0; i < gossip->seeds_count; i++)
        if (bytes_equal (endpoint, bytes_of (gossip->seeds[i].text, gossip->seeds[i].len)))
            return false;
    return true;
}

/* True when no live member is known to be there. */
static bool seed_silent (const struct gossip *gossip, const struct gossip_seed *seed)
{
    maitre_assert (seed->len >= 1);
    struct bytes endpoint = bytes_of (seed->text, seed->len);
    for (size_t i = 0; i < gossip->count; i++)
        if (gossip_slot_live (gossip->sorted[i]) &&
            bytes_equal (endpoint, bytes_text (gossip->sorted[i]->member.gossip_endpoint)))
            return false;
    return true;
}

static void contact_seeds (struct gossip *gossip, struct gossip_effects *effects)
{
    maitre_assert (gossip->seeds_count <= GOSSIP_SEEDS_MAX);
    for (size_t i = 0; i < gossip->seeds_count; i++)
        if (seed_silent (gossip, &gossip->seeds[i]))
            gossip_send_seed (gossip, effects, &gossip->seeds[i]);
    gossip->join_at_ms = gossip->now_ms + gossip->config.join_retry_ms;
    maitre_assert (gossip->join_at_ms > gossip->now_ms);
}

void gossip_pushpull_join (
    struct gossip *gossip, struct gossip_effects *effects, const struct bytes *seeds, size_t seeds_count)
{
    for (size_t i = 0; i < seeds_count && gossip->seeds_count < GOSSIP_SEEDS_MAX; i++) {
        if (!seed_usable (gossip, seeds[i]))
            continue;
        struct gossip_seed *seed = &gossip->seeds[gossip->seeds_count++];
        maitre_assert (gossip->seeds_count <= GOSSIP_SEEDS_MAX);
        maitre_assert (seeds[i].len <= sizeof seed->text);
        seed->len = (uint32_t) seeds[i].len;
        memcpy (seed->text, seeds[i].data, seeds[i].len);
    }
    contact_seeds (gossip, effects);
}

static void push_to_somebody (struct gossip *gossip, struct gossip_effects *effects)
{
    uint32_t interval_ms = gossip->config.pushpull_interval_ms;
    /* Three quarters to five quarters: the members' exchanges do not fall into step. */
    gossip->pushpull_at_ms =
        gossip->now_ms + interval_ms * UINT64_C (3) / 4 + gossip_random_below (gossip, interval_ms / 2 + 1);
    maitre_assert (gossip->pushpull_at_ms > gossip->now_ms);
    struct gossip_slot *partner;
    const struct gossip_outgoing outgoing = {.kind = GOSSIP_KIND_PUSH};
    if (gossip_members_pick (gossip, NULL, false, &partner, 1) == 1)
        gossip_send_member (gossip, effects, partner, &outgoing);
}

/* One of the dead members and silent seeds, at random. Without this, healed halves that each think the other dead
 * would never meet again. */
static void look_for_lost (struct gossip *gossip, struct gossip_effects *effects)
{
    gossip->dead_probe_at_ms = gossip->now_ms + gossip->config.dead_probe_interval_ms;
    struct gossip_slot *dead = NULL;
    const struct gossip_seed *silent = NULL;
    uint64_t seen = 0;
    for (size_t i = 0; i < gossip->count; i++)
        if (gossip->sorted[i]->member.state == GOSSIP_DEAD && gossip_random_below (gossip, ++seen) == 0)
            dead = gossip->sorted[i];
    for (size_t i = 0; i < gossip->seeds_count; i++)
        if (seed_silent (gossip, &gossip->seeds[i]) && gossip_random_below (gossip, ++seen) == 0)
            silent = &gossip->seeds[i];
    maitre_assert (dead == NULL || dead != gossip->self);
    maitre_assert (seen <= gossip->count + gossip->seeds_count);
    if (silent != NULL)
        gossip_send_seed (gossip, effects, silent);
    else if (dead != NULL)
        gossip_probe_revive (gossip, effects, dead);
}

void gossip_pushpull_tick (struct gossip *gossip, struct gossip_effects *effects)
{
    maitre_assert (!gossip->leaving);
    if (gossip->now_ms >= gossip->pushpull_at_ms)
        push_to_somebody (gossip, effects);
    if (gossip->now_ms >= gossip->dead_probe_at_ms && !PLANTED (S2_DEAD_FORGOTTEN))
        look_for_lost (gossip, effects);
    if (gossip->now_ms >= gossip->join_at_ms) {
        gossip->join_at_ms = gossip->now_ms + gossip->config.join_retry_ms;
        if (gossip_members_live (gossip) < 2)
            contact_seeds (gossip, effects);
    }
}
