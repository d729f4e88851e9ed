/* What must be true of gossip, whatever happens. */
#include "test/sim/sim_gossip.h"

#include <string.h>

void sim_oracle_boot (struct sim_world *world, struct sim_node *node)
{
    node->beliefs_count = 0;
    if (gossip_self (node->gossip)->incarnation <= node->told_incarnation)
        sim_fail (world, "S1: a restart reuses an incarnation");
}

void sim_oracle_sent (struct sim_world *world, struct sim_node *node, const struct gossip_message *message)
{
    if (!id_equal (&message->self.uuid, &node->uuid))
        sim_fail (world, "a message in another's name");
    if (message->self.incarnation < node->told_incarnation)
        sim_fail (world, "an incarnation went back");
    if (message->self.incarnation > node->stored_incarnation)
        sim_fail (world, "an incarnation was told before it was stored");
    node->told_incarnation = message->self.incarnation;
}

static struct sim_belief *find_belief (struct sim_node *node, const struct id *uuid)
{
    for (size_t i = 0; i < node->beliefs_count; i++)
        if (id_equal (&node->beliefs[i].uuid, uuid))
            return &node->beliefs[i];
    return NULL;
}

static const struct sim_node *find_running (const struct sim_world *world, const struct id *uuid)
{
    for (uint32_t i = 0; i < world->nodes_count; i++)
        if (world->nodes[i].gossip != NULL && !world->nodes[i].leaving && id_equal (&world->nodes[i].uuid, uuid))
            return &world->nodes[i];
    return NULL;
}

static void check_change (struct sim_world *world, struct sim_node *node, const struct gossip_notice *notice)
{
    struct sim_belief *belief = find_belief (node, &notice->uuid);
    if (belief == NULL) {
        if (node->beliefs_count == SIM_BELIEFS_MAX)
            sim_fail (world, "more members than there can be");
        belief = &node->beliefs[node->beliefs_count++];
        *belief = (struct sim_belief){.uuid = notice->uuid};
    }
    if (notice->before != belief->state)
        sim_fail (world, "a notice does not follow from the one before");
    if (notice->incarnation < belief->incarnation ||
        (notice->incarnation == belief->incarnation && notice->after <= belief->state))
        sim_fail (world, "a belief went back");
    belief->incarnation = notice->incarnation;
    belief->state = notice->after;
    const struct sim_node *running = find_running (world, &notice->uuid);
    if (running != NULL && notice->incarnation > running->told_incarnation)
        sim_fail (world, "an incarnation that its owner never told");
    if (notice->after == GOSSIP_DEAD && running != NULL) {
        world->deaths++;
        if (world->calm && running != world->stalled)
            sim_fail (world, "a running member was declared DEAD");
    }
}

void sim_oracle_step (struct sim_world *world, struct sim_node *node, const struct gossip_output *output)
{
    for (size_t i = 0; i < output->notices_count; i++) {
        const struct gossip_notice *notice = &output->notices[i];
        sim_note (world, "notice", (uint64_t) (node - world->nodes) * 100 + notice->node,
            notice->type * 100 + notice->before * 10 + notice->after, notice->incarnation);
        if (notice->type == GOSSIP_NOTICE_MEMBER && !id_equal (&notice->uuid, &node->uuid))
            check_change (world, node, notice);
    }
    world->refutations += output->counts[GOSSIP_COUNT_REFUTED];
    world->stalls += output->counts[GOSSIP_COUNT_STALLED];
    if (output->counts[GOSSIP_COUNT_TABLE_FULL] > 0 && !world->flooded)
        sim_fail (world, "a table is full");
    if (output->counts[GOSSIP_COUNT_INVALID] + output->counts[GOSSIP_COUNT_SEND_DROPPED] +
            output->counts[GOSSIP_COUNT_OTHER_CLUSTER] >
        0)
        sim_fail (world, "a message that no node should have sent");
}

static bool sees_rightly (const struct sim_world *world, const struct sim_node *observer)
{
    for (uint32_t i = 0; i < world->nodes_count; i++) {
        const struct sim_node *node = &world->nodes[i];
        const struct gossip_member *member = gossip_member_find (observer->gossip, &node->uuid);
        bool running = node->gossip != NULL && !node->leaving;
        if (running && (member == NULL || member->state != GOSSIP_ALIVE ||
                           member->incarnation != gossip_self (node->gossip)->incarnation))
            return false;
    }
    for (size_t i = 0; i < gossip_members_count (observer->gossip); i++) {
        const struct gossip_member *member = gossip_member_at (observer->gossip, i);
        bool live = member->state == GOSSIP_ALIVE || member->state == GOSSIP_SUSPECT;
        if (live && find_running (world, &member->uuid) == NULL)
            return false;
    }
    return true;
}

bool sim_oracle_converged (const struct sim_world *world)
{
    for (uint32_t i = 0; i < world->nodes_count; i++)
        if (world->nodes[i].gossip != NULL && !world->nodes[i].leaving && !sees_rightly (world, &world->nodes[i]))
            return false;
    return true;
}

bool sim_oracle_gone (const struct sim_world *world, const struct id *uuid)
{
    for (uint32_t i = 0; i < world->nodes_count; i++) {
        if (world->nodes[i].gossip == NULL)
            continue;
        const struct gossip_member *member = gossip_member_find (world->nodes[i].gossip, uuid);
        if (member != NULL && (member->state == GOSSIP_ALIVE || member->state == GOSSIP_SUSPECT))
            return false;
    }
    return true;
}

void sim_oracle_clocks (const struct sim_world *world)
{
    for (uint32_t i = 0; i < world->nodes_count; i++) {
        const struct sim_node *node = &world->nodes[i];
        if (node->gossip == NULL)
            continue;
        uint64_t now_ms = world->now_ms - node->boot_ms + 5;
        uint64_t wall_ms = gossip_wall_median_ms (node->gossip, now_ms, 600000);
        uint64_t true_ms = UINT64_C (1700000000000) + world->now_ms;
        if (wall_ms + 100 < true_ms || wall_ms > true_ms + 100)
            sim_fail (world, "a minority of clocks pushed the median");
    }
}
