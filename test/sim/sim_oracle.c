/* What must hold, seen from outside: the invariants that sim.h numbers. */
#include "test/sim/sim.h"

#include <stdlib.h>

#include "schemas/runtime/assert.h"
#include "schemas/runtime/checksum.h"

/* ---- a map of facts ---- */

static uint64_t mix (const uint64_t key[4])
{
    uint64_t h = 0;
    for (int i = 0; i < 4; i++) {
        h = (h ^ key[i]) * UINT64_C (0xff51afd7ed558ccd);
        h ^= h >> 32;
    }
    return h;
}

/* The place of the key, or the free place where it belongs. An unused place has key[0] == 0. */
static struct sim_map_item *lookup (const struct sim_map *map, const uint64_t key[4])
{
    size_t at = mix (key) & (map->size - 1);
    for (;; at = (at + 1) & (map->size - 1)) {
        struct sim_map_item *item = &map->items[at];
        bool same =
            item->key[0] == key[0] && item->key[1] == key[1] && item->key[2] == key[2] && item->key[3] == key[3];
        if (item->key[0] == 0 || same)
            return item;
    }
}

static void make_room (struct sim_map *map)
{
    if (map->size != 0 && map->count < map->size / 2)
        return;
    struct sim_map bigger = {.count = map->count, .size = map->size == 0 ? 4096 : 2 * map->size};
    bigger.items = calloc (bigger.size, sizeof *bigger.items);
    maitre_assert (bigger.items != NULL);
    for (size_t i = 0; i < map->size; i++)
        if (map->items[i].key[0] != 0)
            *lookup (&bigger, map->items[i].key) = map->items[i];
    free (map->items);
    *map = bigger;
}

/* States a fact; returns what was stated first, which is `value` when nobody contradicts. */
uint64_t sim_oracle_fact (struct sim *sim, enum sim_fact fact, uint32_t shard, uint64_t a, uint64_t b, uint64_t value)
{
    uint64_t key[4] = {fact, shard, a, b};
    make_room (&sim->oracle.facts);
    struct sim_map_item *item = lookup (&sim->oracle.facts, key);
    if (item->key[0] != 0)
        return item->value;
    for (int i = 0; i < 4; i++)
        item->key[i] = key[i];
    item->value = value;
    sim->oracle.facts.count++;
    return value;
}

bool sim_oracle_known (const struct sim *sim, enum sim_fact fact, uint32_t shard, uint64_t a, uint64_t b)
{
    uint64_t key[4] = {fact, shard, a, b};
    return sim->oracle.facts.size > 0 && lookup (&sim->oracle.facts, key)->key[0] != 0;
}

/* ---- checks ---- */

void sim_oracle_message (struct sim *sim, const struct raft_message *message)
{
    sim_promise_message (sim, message);
    if (message->type != RAFT_VOTE_REPLY || message->flags != 0)
        return; /* a suspect's grant is no vote on its own */
    uint64_t first = sim_oracle_fact (sim, SIM_FACT_VOTE, message->shard, message->from, message->term, message->to);
    if (first != message->to)
        sim_fail (sim, "shard %u: replica %lu votes twice in term %lu, for %lu and %lu", message->shard,
            (unsigned long) message->from, (unsigned long) message->term, (unsigned long) first,
            (unsigned long) message->to);
}

void sim_oracle_hard_state (struct sim *sim, const struct sim_stored *stored, uint64_t term, uint64_t vote)
{
    bool same_vote = term > stored->term || stored->vote == 0 || stored->vote == vote;
    if (term < stored->term || !same_vote)
        sim_fail (sim, "shard %u replica %lu: durable term %lu vote %lu becomes %lu, %lu", stored->shard,
            (unsigned long) stored->replica, (unsigned long) stored->term, (unsigned long) stored->vote,
            (unsigned long) term, (unsigned long) vote);
}

/* Log matching: an (index, term) names one entry, with one predecessor. */
void sim_oracle_persist (struct sim *sim, const struct sim_replica *replica, uint64_t first, uint64_t last)
{
    const struct sim_stored *stored = replica->stored;
    uint64_t previous_term = stored->snapshot_term;
    for (size_t i = 0; i < stored->log.count; i++) {
        const struct sim_entry *entry = &stored->log.items[i];
        if (entry->index >= first && entry->index <= last && (i > 0 || entry->index == stored->snapshot_index + 1)) {
            uint64_t value = entry->checksum * 31 + previous_term;
            if (sim_oracle_fact (sim, SIM_FACT_ENTRY, stored->shard, entry->index, entry->term, value) != value)
                sim_fail (sim, "shard %u: two entries at index %lu of term %lu", stored->shard,
                    (unsigned long) entry->index, (unsigned long) entry->term);
        }
        previous_term = entry->term;
    }
}

void sim_oracle_leader (struct sim *sim, const struct sim_replica *replica)
{
    struct sim_group *group = &sim->oracle.groups[replica->shard];
    sim->oracle.counts.elections++;
    sim_trace (sim, "%u.%u replica %lu leads term %lu", replica->node->index, replica->shard,
        (unsigned long) replica->replica, (unsigned long) replica->term);
    uint64_t first = sim_oracle_fact (sim, SIM_FACT_LEADER, replica->shard, replica->term, 0, replica->replica);
    if (first != replica->replica)
        sim_fail (sim, "shard %u: two leaders in term %lu, %lu and %lu", replica->shard, (unsigned long) replica->term,
            (unsigned long) first, (unsigned long) replica->replica);
    struct raft_status status;
    raft_status (replica->raft, &status);
    for (uint64_t i = status.snapshot_index + 1; i <= group->committed_count; i++)
        if (group->committed[i - 1].by_term < replica->term &&
            raft_term_at (replica->raft, i) != group->committed[i - 1].term)
            sim_fail (sim, "shard %u: leader %lu of term %lu lacks committed entry %lu", replica->shard,
                (unsigned long) replica->replica, (unsigned long) replica->term, (unsigned long) i);
}

/* alone: the coming half may count alone, because a joint configuration has committed and the leader, whose log goes
 * further than the replica's that applies, may have left it already. */
static bool durable_on_quorum (
    struct sim *sim, const struct raft_configuration *configuration, const struct raft_entry *entry, bool alone)
{
    unsigned voters[2] = {0}, holders[2] = {0};
    const uint8_t halves[2] = {RAFT_VOTER, RAFT_VOTER_OLD};
    for (uint32_t i = 0; i < configuration->count; i++) {
        const struct raft_member *member = &configuration->members[i];
        struct sim_stored *stored =
            sim_disk_find (&sim->nodes[sim_node_of (sim, member->replica)].disk, member->replica);
        bool holds = stored && sim_stored_has (stored, entry->index, entry->term);
        for (int half = 0; half < 2; half++) {
            voters[half] += (member->roles & halves[half]) != 0;
            holders[half] += (member->roles & halves[half]) != 0 && holds;
        }
    }
    return 2 * holders[0] > voters[0] && (voters[1] == 0 || alone || 2 * holders[1] > voters[1]);
}

void sim_oracle_applied (struct sim *sim, const struct sim_replica *replica, const struct raft_entry *entry)
{
    struct sim_group *group = &sim->oracle.groups[replica->shard];
    sim->oracle.counts.applied++;
    if (entry->index > group->committed_count) {
        if (entry->index != group->committed_count + 1)
            sim_fail (sim, "shard %u: entry %lu applied out of order", replica->shard, (unsigned long) entry->index);
        struct raft_configuration then;
        bool known = raft_configuration_at (replica->raft, entry->index, &then);
        bool joint = known && raft_configuration_joint (&then) && entry->type != RAFT_ENTRY_CONFIGURATION;
        bool durable = durable_on_quorum (sim, raft_configuration (replica->raft), entry, false) ||
                       (known && durable_on_quorum (sim, &then, entry, joint));
        if (!durable && group->damaged == 0)
            sim_fail (sim, "shard %u: entry %lu is applied but not durable on a quorum", replica->shard,
                (unsigned long) entry->index);
        sim_grow (&group->committed, &group->committed_size, group->committed_count, sizeof *group->committed);
        uint64_t configuration =
            group->committed_count == 0 ? 0 : group->committed[group->committed_count - 1].configuration;
        if (entry->type == RAFT_ENTRY_CONFIGURATION)
            configuration = checksum64 (7, entry->payload);
        group->committed[group->committed_count++] = (struct sim_committed){.term = entry->term,
            .checksum = entry->checksum,
            .hash = replica->machine.hash,
            .by_term = replica->term,
            .configuration = configuration};
        return;
    }
    const struct sim_committed *committed = &group->committed[entry->index - 1];
    if (committed->term != entry->term || committed->checksum != entry->checksum)
        sim_fail (sim, "shard %u: replica %lu applies another entry at %lu", replica->shard,
            (unsigned long) replica->replica, (unsigned long) entry->index);
    if (committed->hash != replica->machine.hash)
        sim_fail (sim, "shard %u: replica %lu has another state at %lu", replica->shard,
            (unsigned long) replica->replica, (unsigned long) entry->index);
}

void sim_oracle_state (struct sim *sim, const struct sim_replica *replica, uint64_t index, uint64_t hash)
{
    if (sim_oracle_fact (sim, SIM_FACT_STATE, replica->shard, index, 0, hash) != hash)
        sim_fail (sim, "shard %u: replica %lu has another state at %lu", replica->shard,
            (unsigned long) replica->replica, (unsigned long) index);
}

#define LOG_TIME_SLACK_MS                                                                                              \
    10000 /* drifting monotonic clocks, and estimates of the others' clocks that are a minute old */

void sim_oracle_log_time (struct sim *sim, const struct sim_replica *replica, uint64_t index, uint64_t log_time_ms)
{
    struct sim_group *group = &sim->oracle.groups[replica->shard];
    if (index < group->committed_count || log_time_ms == 0)
        return; /* an older state: its time was seen before */
    if (log_time_ms < group->log_time_ms)
        sim_fail (sim, "shard %u: log time goes back from %lu to %lu at %lu", replica->shard,
            (unsigned long) group->log_time_ms, (unsigned long) log_time_ms, (unsigned long) index);
    group->log_time_ms = log_time_ms;
    uint64_t true_ms = SIM_WALL_START_MS + sim->time_us / 1000;
    if (log_time_ms > true_ms + LOG_TIME_SLACK_MS && !(sim->families & SIM_CLOCKS))
        sim_fail (sim, "shard %u: log time is %lu ms ahead at %lu, though all clocks but one are right", replica->shard,
            (unsigned long) (log_time_ms - true_ms), (unsigned long) index);
}

void sim_oracle_installed (struct sim *sim, const struct sim_replica *replica)
{
    const struct sim_group *group = &sim->oracle.groups[replica->shard];
    uint64_t index = replica->machine.applied;
    if (index == 0 || index > group->committed_count || group->committed[index - 1].hash != replica->machine.hash)
        sim_fail (sim, "shard %u: replica %lu installed a wrong snapshot at %lu", replica->shard,
            (unsigned long) replica->replica, (unsigned long) index);
}

void sim_oracle_close (struct sim_oracle *oracle)
{
    free (oracle->facts.items);
    for (size_t i = 0; i < SIM_SHARDS_MAX; i++)
        free (oracle->groups[i].committed);
    *oracle = (struct sim_oracle){0};
}
