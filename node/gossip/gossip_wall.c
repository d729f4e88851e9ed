/* What the members' wall clocks say, as seen from here. Never safety: log time takes the median of them as a hint. */
#include "node/gossip/gossip_internal.h"

int64_t gossip_wall_offset (uint64_t wall_ms, uint64_t now_ms)
{
    const uint64_t limit_ms = UINT64_C (1) << 48;
    if (wall_ms >= now_ms)
        return (int64_t) (wall_ms - now_ms < limit_ms ? wall_ms - now_ms : limit_ms);
    return -(int64_t) (now_ms - wall_ms < limit_ms ? now_ms - wall_ms : limit_ms);
}

static bool estimate_fresh (
    const struct gossip *gossip, const struct gossip_slot *slot, uint64_t now_ms, uint64_t age_ms_max)
{
    if (slot == gossip->self || slot->member.state != GOSSIP_ALIVE || slot->member.heard_ms == 0)
        return false;
    return now_ms <= slot->member.heard_ms || now_ms - slot->member.heard_ms <= age_ms_max;
}

size_t gossip_wall_offsets (
    const struct gossip *gossip, uint64_t now_ms, uint64_t age_ms_max, int64_t *offsets, size_t offsets_max)
{
    size_t count = 0;
    if (offsets_max > 0)
        offsets[count++] = gossip->self->member.wall_offset_ms;
    for (size_t i = 0; i < gossip->count && count < offsets_max; i++)
        if (estimate_fresh (gossip, gossip->sorted[i], now_ms, age_ms_max))
            offsets[count++] = gossip->sorted[i]->member.wall_offset_ms;
    maitre_assert (count <= offsets_max);
    return count;
}

uint64_t gossip_wall_median_ms (const struct gossip *gossip, uint64_t now_ms, uint64_t age_ms_max)
{
    int64_t offsets[GOSSIP_MEMBERS_MAX];
    size_t count = gossip_wall_offsets (gossip, now_ms, age_ms_max, offsets, GOSSIP_MEMBERS_MAX);
    maitre_assert (count >= 1);
    for (size_t i = 1; i < count; i++) {
        int64_t offset = offsets[i];
        size_t j = i;
        for (; j > 0 && offsets[j - 1] > offset; j--)
            offsets[j] = offsets[j - 1];
        offsets[j] = offset;
    }
    maitre_assert (offsets[0] <= offsets[count - 1]);
    int64_t median_ms = offsets[(count - 1) / 2];
    /* Offsets are kept within +-2^48, monotonic clocks start at boot: no overflow. */
    if (median_ms < 0 && (uint64_t) -median_ms > now_ms)
        return 0;
    return now_ms + (uint64_t) median_ms;
}

uint64_t gossip_wall_agreed_ms (const struct gossip *gossip, uint64_t now_ms, uint64_t age_ms_max, uint32_t nodes)
{
    maitre_assert (nodes >= 1);
    int64_t offsets[GOSSIP_MEMBERS_MAX];
    size_t count = gossip_wall_offsets (gossip, now_ms, age_ms_max, offsets, GOSSIP_MEMBERS_MAX);
    return 2 * count > nodes ? gossip_wall_median_ms (gossip, now_ms, age_ms_max) : 0;
}
