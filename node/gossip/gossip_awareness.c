/* Lifeguard, section IV.A: a node that misses acks doubts itself first, and becomes more patient (S5). */
#include "node/gossip/gossip_internal.h"

void gossip_awareness_apply (struct gossip *gossip, int delta)
{
    int64_t health = (int64_t) gossip->awareness + delta;
    maitre_assert (gossip->awareness <= gossip->config.awareness_max);
    if (health < 0)
        health = 0;
    if (health > gossip->config.awareness_max)
        health = gossip->config.awareness_max;
    gossip->awareness = (uint32_t) health;
    maitre_assert (gossip->awareness <= gossip->config.awareness_max);
}

uint64_t gossip_awareness_scale (const struct gossip *gossip, uint32_t interval_ms)
{
    maitre_assert (gossip->awareness <= gossip->config.awareness_max);
    return (uint64_t) interval_ms * (gossip->awareness + 1);
}

uint32_t gossip_local_health (const struct gossip *gossip)
{
    return gossip->awareness;
}
