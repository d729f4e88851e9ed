/* Preferred leaders, as evenly as the replicas allow: an optimal semi-matching of shards to members.
 *
 * Source: Harvey, Ladner, Lovasz, Tamir 2003: a semi-matching is optimal exactly when no alternating path reduces its
 * cost, here the sum of led^2 / weight.
 */
#include "router/ring/ring_internal.h"

#include <stdlib.h>

#include "schemas/runtime/assert.h"

#define NOBODY UINT32_MAX

_Static_assert(RING_SHARDS_MAX < NOBODY, "no shard has the number of nobody");

struct leaders {
    uint32_t *leader;                      /* by shard: which of its replicas leads */
    uint32_t *next;                        /* by shard: another shard of the same leader, or NOBODY */
    uint32_t first[RING_MEMBERS_MAX];      /* by member: a shard it leads, or NOBODY */
    uint32_t led[RING_MEMBERS_MAX];        /* shards led, by member */
    uint32_t by_shard[RING_MEMBERS_MAX];   /* the search: the shard a member would take over */
    uint32_t by_replica[RING_MEMBERS_MAX]; /* and as which replica of it */
};

static uint32_t leader_of (const struct leaders *leaders, const struct ring_placement *placements, uint32_t shard)
{
    maitre_assert (leaders->leader[shard] < placements[shard].count);
    return placements[shard].nodes[leaders->leader[shard]];
}

/* Twice the half-way point between leading one less and what is led now, comparable after dividing by the weight: the
 * cost falls when `from` gives up one and `to` takes it exactly if from's is greater. */
static bool giving_helps (const struct ring_work *work, const struct leaders *leaders, uint32_t from, uint32_t to)
{
    if (leaders->led[from] == 0)
        return false;
    return ring_work_fuller (
        work, from, 2 * (uint64_t) leaders->led[from] - 1, to, 2 * (uint64_t) leaders->led[to] + 1);
}

static bool giving_could_help (const struct ring_work *work, const struct leaders *leaders, uint32_t from)
{
    for (uint32_t to = 0; to < work->count; to++)
        if (giving_helps (work, leaders, from, to))
            return true;
    return false;
}

static void list_shards (const struct ring_work *work, const struct ring_placement *placements, struct leaders *leaders)
{
    for (uint32_t i = 0; i < work->count; i++)
        leaders->first[i] = NOBODY;
    for (uint32_t s = work->shards; s-- > 0;) {
        uint32_t leader = leader_of (leaders, placements, s);
        maitre_assert (leader < work->count);
        leaders->next[s] = leaders->first[leader];
        leaders->first[leader] = s;
    }
}

/* Breadth first from `from` over "leads a shard that the next one holds, too". The member whom one more shard would
 * help most, or NOBODY. */
static uint32_t find_taker (
    const struct ring_work *work, const struct ring_placement *placements, struct leaders *leaders, uint32_t from)
{
    maitre_assert (from < work->count);
    uint32_t queue[RING_MEMBERS_MAX];
    uint32_t head = 0, tail = 0, best = NOBODY;
    for (uint32_t i = 0; i < work->count; i++)
        leaders->by_shard[i] = NOBODY;
    queue[tail++] = from;
    while (head < tail) {
        for (uint32_t s = leaders->first[queue[head++]]; s != NOBODY; s = leaders->next[s]) {
            for (uint32_t r = 0; r < placements[s].count; r++) {
                uint32_t taker = placements[s].nodes[r];
                if (taker == from || leaders->by_shard[taker] != NOBODY)
                    continue;
                leaders->by_shard[taker] = s;
                leaders->by_replica[taker] = r;
                maitre_assert (tail < work->count);
                queue[tail++] = taker;
                if (giving_helps (work, leaders, from, taker) &&
                    (best == NOBODY || ring_work_fuller (work, best, leaders->led[best], taker, leaders->led[taker])))
                    best = taker;
            }
        }
    }
    maitre_assert (best != from);
    return best;
}

/* Walks the path of find_taker back: each one on it takes a shard over from the one before. */
static void hand_over (const struct ring_placement *placements, struct leaders *leaders, uint32_t from, uint32_t taker)
{
    maitre_assert (from != taker);
    maitre_assert (leaders->led[from] > 0);
    leaders->led[from]--;
    leaders->led[taker]++;
    uint32_t steps = 0;
    while (taker != from) {
        uint32_t shard = leaders->by_shard[taker];
        uint32_t giver = leader_of (leaders, placements, shard);
        leaders->leader[shard] = leaders->by_replica[taker];
        taker = giver;
        steps++;
        maitre_assert (steps <= RING_MEMBERS_MAX);
    }
}

/* One round of improvements from every member: false when there was none, so the spread is as even as it can be. */
static bool improve (const struct ring_work *work, const struct ring_placement *placements, struct leaders *leaders)
{
    bool improved = false;
    for (uint32_t from = 0; from < work->count; from++) {
        while (giving_could_help (work, leaders, from)) {
            uint32_t taker = find_taker (work, placements, leaders, from);
            if (taker == NOBODY)
                break;
            maitre_assert (taker < work->count);
            hand_over (placements, leaders, from, taker);
            list_shards (work, placements, leaders);
            improved = true;
        }
    }
    return improved;
}

static bool leaders_init (
    struct leaders *leaders, const struct ring_work *work, const struct ring_placement *placements)
{
    memset (leaders, 0, sizeof *leaders);
    leaders->leader = calloc (work->shards, sizeof *leaders->leader);
    leaders->next = calloc (work->shards, sizeof *leaders->next);
    if (leaders->leader == NULL || leaders->next == NULL) {
        free (leaders->leader);
        free (leaders->next);
        return false;
    }
    for (uint32_t s = 0; s < work->shards; s++)
        leaders->led[placements[s].nodes[0]]++;
    maitre_assert (leaders->led[placements[0].nodes[0]] >= 1);
    list_shards (work, placements, leaders);
    return true;
}

bool ring_leaders_spread (const struct ring_work *work, struct ring_placement *placements)
{
    struct leaders leaders;
    if (!leaders_init (&leaders, work, placements))
        return false;
    while (improve (work, placements, &leaders))
        continue;
    for (uint32_t s = 0; s < work->shards; s++) {
        uint32_t first = leader_of (&leaders, placements, s);
        uint32_t at = leaders.leader[s];
        maitre_assert (at < placements[s].count);
        memmove (placements[s].nodes + 1, placements[s].nodes, at * sizeof placements[s].nodes[0]);
        placements[s].nodes[0] = first;
    }
    free (leaders.leader);
    free (leaders.next);
    return true;
}

bool ring_leaders_even (const struct ring_work *work, const struct ring_placement *placements, bool *even)
{
    struct leaders leaders;
    if (!leaders_init (&leaders, work, placements))
        return false;
    *even = !improve (work, placements, &leaders);
    free (leaders.leader);
    free (leaders.next);
    return true;
}
