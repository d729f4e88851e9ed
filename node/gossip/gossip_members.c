#include "node/gossip/gossip_internal.h"

/* Where a uuid is, or belongs, in the sorted table. */
static size_t lower_bound (const struct gossip *gossip, const struct id *uuid)
{
    size_t low = 0, high = gossip->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (id_compare (&gossip->sorted[middle]->member.uuid, uuid) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    maitre_assert (low <= gossip->count);
    return low;
}

struct gossip_slot *gossip_members_find (const struct gossip *gossip, const struct id *uuid)
{
    size_t at = lower_bound (gossip, uuid);
    return at < gossip->count && id_equal (&gossip->sorted[at]->member.uuid, uuid) ? gossip->sorted[at] : NULL;
}

bool gossip_slot_live (const struct gossip_slot *slot)
{
    return slot->member.state == GOSSIP_ALIVE || slot->member.state == GOSSIP_SUSPECT;
}

size_t gossip_members_live (const struct gossip *gossip)
{
    size_t live = 0;
    for (size_t i = 0; i < gossip->count; i++)
        live += gossip_slot_live (gossip->sorted[i]);
    maitre_assert (live <= gossip->count);
    return live;
}

/* Who goes first when the table is full (S4): those who left, then the dead, each the longest gone first. */
static struct gossip_slot *find_evictable (const struct gossip *gossip)
{
    struct gossip_slot *best = NULL;
    for (size_t i = 0; i < gossip->count; i++) {
        struct gossip_slot *slot = gossip->sorted[i];
        if (gossip_slot_live (slot) || slot == gossip->self)
            continue;
        if (best == NULL || slot->member.state > best->member.state ||
            (slot->member.state == best->member.state && slot->member.state_since_ms < best->member.state_since_ms))
            best = slot;
    }
    maitre_assert (best == NULL || !gossip_slot_live (best));
    return best;
}

struct gossip_slot *gossip_members_add (struct gossip *gossip, const struct id *uuid, bool may_evict)
{
    maitre_assert (!id_is_zero (uuid));
    maitre_assert (gossip_members_find (gossip, uuid) == NULL);
    if (gossip->count == GOSSIP_MEMBERS_MAX) {
        struct gossip_slot *evictable = may_evict && !PLANTED (S4_TABLE_STAYS_FULL) ? find_evictable (gossip) : NULL;
        if (evictable == NULL)
            return NULL;
        gossip_members_remove (gossip, evictable);
    }
    size_t place = 0;
    while (gossip->slots_used[place])
        place++;
    maitre_assert (place < GOSSIP_MEMBERS_MAX);
    struct gossip_slot *slot = &gossip->slots[place];
    memset (slot, 0, sizeof *slot);
    slot->member.uuid = *uuid;
    gossip->slots_used[place] = true;
    size_t at = lower_bound (gossip, uuid);
    maitre_assert (at <= gossip->count);
    memmove (&gossip->sorted[at + 1], &gossip->sorted[at], (gossip->count - at) * sizeof gossip->sorted[0]);
    gossip->sorted[at] = slot;
    /* A random place in the round (SWIM 4.3): the time until its first probe is bounded and not predictable. */
    size_t turn = (size_t) gossip_random_below (gossip, gossip->count + 1);
    maitre_assert (turn <= gossip->count);
    memmove (&gossip->order[turn + 1], &gossip->order[turn], (gossip->count - turn) * sizeof gossip->order[0]);
    gossip->order[turn] = slot;
    gossip->order_next += turn < gossip->order_next;
    gossip->count++;
    maitre_assert (gossip->count <= GOSSIP_MEMBERS_MAX);
    maitre_assert (gossip->order_next <= gossip->count);
    return slot;
}

void gossip_members_remove (struct gossip *gossip, struct gossip_slot *slot)
{
    maitre_assert (slot != gossip->self);
    size_t at = lower_bound (gossip, &slot->member.uuid);
    maitre_assert (at < gossip->count && gossip->sorted[at] == slot);
    size_t turn = 0;
    while (gossip->order[turn] != slot)
        turn++;
    maitre_assert (turn < gossip->count);
    gossip->count--;
    maitre_assert (gossip->count >= 1);
    memmove (&gossip->sorted[at], &gossip->sorted[at + 1], (gossip->count - at) * sizeof gossip->sorted[0]);
    memmove (&gossip->order[turn], &gossip->order[turn + 1], (gossip->count - turn) * sizeof gossip->order[0]);
    gossip->order_next -= turn < gossip->order_next;
    gossip->slots_used[slot - gossip->slots] = false;
    maitre_assert (gossip->order_next <= gossip->count);
    maitre_assert (slot >= gossip->slots);
}

bool gossip_members_is_forgotten (const struct gossip *gossip, const struct id *uuid)
{
    for (size_t i = 0; i < GOSSIP_FORGOTTEN_MAX; i++)
        if (id_equal (&gossip->forgotten[i], uuid))
            return true;
    return false;
}

size_t gossip_members_pick (
    struct gossip *gossip, const struct id *except, bool alive_only, struct gossip_slot **picked, size_t max)
{
    maitre_assert (max > 0);
    size_t found = 0, seen = 0;
    for (size_t i = 0; i < gossip->count; i++) {
        struct gossip_slot *slot = gossip->sorted[i];
        if (slot == gossip->self || !gossip_slot_live (slot) || (alive_only && slot->member.state != GOSSIP_ALIVE))
            continue;
        if (except != NULL && id_equal (&slot->member.uuid, except))
            continue;
        /* Reservoir sampling: each of those seen is among the picked with the same chance. */
        seen++;
        if (found < max) {
            picked[found++] = slot;
            continue;
        }
        maitre_assert (seen > max);
        uint64_t place = gossip_random_below (gossip, seen);
        if (place < max)
            picked[place] = slot;
    }
    maitre_assert (found <= max);
    maitre_assert (found <= gossip->count);
    return found;
}

static void shuffle_order (struct gossip *gossip)
{
    maitre_assert (gossip->count >= 1);
    for (size_t i = gossip->count; i > 1; i--) {
        size_t j = (size_t) gossip_random_below (gossip, i);
        struct gossip_slot *slot = gossip->order[i - 1];
        gossip->order[i - 1] = gossip->order[j];
        gossip->order[j] = slot;
    }
    gossip->order_next = 0;
}

struct gossip_slot *gossip_members_next_probe (struct gossip *gossip)
{
    maitre_assert (gossip->order_next <= gossip->count);
    for (int round = 0; round < 2; round++) {
        while (gossip->order_next < gossip->count) {
            struct gossip_slot *slot = gossip->order[gossip->order_next++];
            if (slot != gossip->self && gossip_slot_live (slot))
                return slot;
        }
        shuffle_order (gossip);
    }
    maitre_assert (gossip->order_next == 0);
    return NULL;
}

size_t gossip_members_count (const struct gossip *gossip)
{
    return gossip->count;
}

const struct gossip_member *gossip_member_at (const struct gossip *gossip, size_t index)
{
    maitre_assert (index < gossip->count);
    return &gossip->sorted[index]->member;
}

const struct gossip_member *gossip_member_find (const struct gossip *gossip, const struct id *uuid)
{
    const struct gossip_slot *slot = gossip_members_find (gossip, uuid);
    return slot == NULL ? NULL : &slot->member;
}

const struct gossip_member *gossip_member_by_node (const struct gossip *gossip, uint32_t node)
{
    const struct gossip_member *best = NULL;
    for (size_t i = 0; i < gossip->count; i++) {
        const struct gossip_member *member = &gossip->sorted[i]->member;
        if (member->node != node)
            continue;
        /* After a lost folder two uuids share a position: the living one counts. */
        if (best == NULL || (member->state == GOSSIP_ALIVE && best->state != GOSSIP_ALIVE) ||
            ((member->state == GOSSIP_ALIVE) == (best->state == GOSSIP_ALIVE) &&
                member->state_since_ms > best->state_since_ms))
            best = member;
    }
    maitre_assert (best == NULL || best->node == node);
    return best;
}

const struct gossip_member *gossip_self (const struct gossip *gossip)
{
    return &gossip->self->member;
}
