/* Application hints: who leads which shard, and the newest ring epoch. Hints only (S6): the newest term wins, and a
 * wrong one costs its believer a hop. */
#include "node/gossip/gossip_internal.h"

static void set_pending (struct gossip *gossip, struct gossip_hint *hint, bool pending)
{
    maitre_assert (!hint->pending || gossip->hints_pending > 0);
    gossip->hints_pending += (uint32_t) pending;
    gossip->hints_pending -= (uint32_t) hint->pending;
    hint->pending = pending;
    hint->transmits = 0;
    maitre_assert (gossip->hints_pending <= GOSSIP_SHARDS_MAX);
}

/* True when that was news. */
static bool learn (struct gossip *gossip, uint32_t shard, uint32_t node, uint64_t term)
{
    maitre_assert (shard < GOSSIP_SHARDS_MAX);
    if (shard >= gossip->hints_count)
        gossip->hints_count = shard + 1;
    struct gossip_hint *hint = &gossip->hints[shard];
    if (term <= hint->term && !(PLANTED (S6_OLD_HINT_WINS) && term != hint->term))
        return false;
    maitre_assert (node >= 1);
    maitre_assert (term >= 1);
    hint->term = term;
    hint->node = node;
    set_pending (gossip, hint, gossip->count > 1);
    return true;
}

void gossip_hints_merge (struct gossip *gossip, struct gossip_effects *effects, const struct leader_hint *hint)
{
    if (hint->shard >= GOSSIP_SHARDS_MAX || hint->node < 1 || hint->node > UINT32_MAX || hint->term == 0) {
        gossip_effects_count (effects, GOSSIP_COUNT_INVALID);
        return;
    }
    if (!learn (gossip, (uint32_t) hint->shard, (uint32_t) hint->node, hint->term))
        return;
    maitre_assert (gossip->hints[hint->shard].term == hint->term);
    const struct gossip_notice notice = {
        .type = GOSSIP_NOTICE_HINT,
        .shard = (uint32_t) hint->shard,
        .node = (uint32_t) hint->node,
        .term = hint->term,
    };
    gossip_effects_notice (effects, &notice);
}

void gossip_set_local_hints (struct gossip *gossip, const struct gossip_lead *leads, size_t leads_count)
{
    for (size_t i = 0; i < leads_count; i++)
        if (leads[i].shard < GOSSIP_SHARDS_MAX)
            (void) learn (gossip, leads[i].shard, gossip->config.node, leads[i].term);
}

uint32_t gossip_hint_node (const struct gossip *gossip, uint32_t shard, uint64_t *term)
{
    if (term != NULL)
        *term = shard < GOSSIP_SHARDS_MAX ? gossip->hints[shard].term : 0;
    return shard < GOSSIP_SHARDS_MAX ? gossip->hints[shard].node : 0;
}

static struct leader_hint wire_hint (const struct gossip *gossip, uint32_t shard)
{
    maitre_assert (shard < GOSSIP_SHARDS_MAX);
    maitre_assert (gossip->hints[shard].term > 0);
    return (struct leader_hint){.shard = shard, .term = gossip->hints[shard].term, .node = gossip->hints[shard].node};
}

static uint32_t next_of (const struct gossip *gossip, uint32_t shard)
{
    return shard + 1 < gossip->hints_count ? shard + 1 : 0;
}

/* The pending ones, from where the last message stopped. */
static size_t take_pending (struct gossip *gossip, struct leader_hint *hints, size_t max)
{
    maitre_assert (max <= GOSSIP_HINTS_MAX);
    size_t taken = 0;
    uint32_t limit = gossip_broadcast_limit (gossip);
    for (uint32_t i = 0; i < gossip->hints_count && taken < max && gossip->hints_pending > 0; i++) {
        uint32_t shard = gossip->hints_pending_next;
        gossip->hints_pending_next = next_of (gossip, shard);
        struct gossip_hint *hint = &gossip->hints[shard];
        if (!hint->pending)
            continue;
        maitre_assert (shard < GOSSIP_SHARDS_MAX);
        hints[taken++] = wire_hint (gossip, shard);
        hint->transmits++;
        if (hint->transmits >= limit)
            set_pending (gossip, hint, false);
    }
    maitre_assert (taken <= max);
    maitre_assert (gossip->hints_pending_next < GOSSIP_SHARDS_MAX);
    return taken;
}

size_t gossip_hints_take (struct gossip *gossip, bool all, struct leader_hint *hints, size_t max)
{
    maitre_assert (max > 0);
    if (!all)
        return take_pending (gossip, hints, max);
    size_t taken = 0;
    for (uint32_t i = 0; i < gossip->hints_count && taken < max; i++) {
        uint32_t shard = gossip->hints_push_next;
        gossip->hints_push_next = next_of (gossip, shard);
        if (gossip->hints[shard].term != 0)
            hints[taken++] = wire_hint (gossip, shard);
    }
    maitre_assert (taken <= max);
    maitre_assert (gossip->hints_push_next < GOSSIP_SHARDS_MAX);
    return taken;
}

void gossip_epoch_merge (struct gossip *gossip, struct gossip_effects *effects, uint64_t epoch)
{
    if (epoch <= gossip->ring_epoch)
        return;
    gossip->ring_epoch = epoch;
    gossip_broadcast_queue (gossip, gossip->self); /* every message carries the epoch: make sure that some go out */
    maitre_assert (gossip->ring_epoch == epoch);
    const struct gossip_notice notice = {.type = GOSSIP_NOTICE_EPOCH, .epoch = epoch};
    gossip_effects_notice (effects, &notice);
}

void gossip_set_ring_epoch (struct gossip *gossip, uint64_t epoch)
{
    if (epoch <= gossip->ring_epoch)
        return;
    gossip->ring_epoch = epoch;
    gossip_broadcast_queue (gossip, gossip->self);
}

uint64_t gossip_ring_epoch (const struct gossip *gossip)
{
    return gossip->ring_epoch;
}
