/* Membership in a simulated node: the production gossip over its real bytes, and what must be true of it. */
#include "test/sim/sim_engine.h"

#include <stdlib.h>
#include <string.h>

#define WALL_AGE_MS 60000
#define WALL_CHECK_MS 100

/* ---- what must be true ---- */

static void check_sent (struct sim_engine *engine, const struct gossip_message *message)
{
    struct sim_node *node = engine->node;
    if (!id_equal (&message->self.uuid, &node->uuid))
        sim_fail (engine->sim, "node %u gossips in another's name", node->index);
    if (message->self.incarnation < node->told_incarnation)
        sim_fail (engine->sim, "node %u: its incarnation went back", node->index);
    if (message->self.incarnation > node->stored_incarnation)
        sim_fail (engine->sim, "node %u tells an incarnation before it is stored", node->index);
    node->told_incarnation = message->self.incarnation;
}

static void check_belief (struct sim_engine *engine, const struct gossip_notice *notice)
{
    struct sim_belief *belief = NULL;
    for (size_t i = 0; i < engine->beliefs_count && !belief; i++)
        if (id_equal (&engine->beliefs[i].uuid, &notice->uuid))
            belief = &engine->beliefs[i];
    if (!belief) {
        if (engine->beliefs_count == SIM_BELIEFS_MAX)
            sim_fail (engine->sim, "node %u knows more members than there can be", engine->node->index);
        belief = &engine->beliefs[engine->beliefs_count++];
        *belief = (struct sim_belief){.uuid = notice->uuid};
    }
    if (notice->before != belief->state)
        sim_fail (engine->sim, "node %u: a notice does not follow from the one before", engine->node->index);
    if (notice->incarnation < belief->incarnation ||
        (notice->incarnation == belief->incarnation && notice->after <= belief->state))
        sim_fail (engine->sim, "node %u: what it believes of node %u went back", engine->node->index, notice->node);
    belief->incarnation = notice->incarnation;
    belief->state = notice->after;
    for (uint32_t n = 1; n <= engine->sim->nodes_count; n++) {
        const struct sim_node *owner = &engine->sim->nodes[n];
        if (id_equal (&owner->uuid, &notice->uuid) && notice->incarnation > owner->told_incarnation)
            sim_fail (
                engine->sim, "node %u believes an incarnation of node %u that it never told", engine->node->index, n);
    }
}

/* ---- steps ---- */

static void transmit (struct sim_engine *engine, const struct gossip_send *send)
{
    static uint8_t bytes[1 + GOSSIP_MESSAGE_ENCODED_MAX];
    size_t len;
    bytes[0] = SIM_PACKET_GOSSIP;
    enum status status = codec_encode (&gossip_message_type, send->message, bytes + 1, GOSSIP_MESSAGE_BYTES_MAX, &len);
    if (status != STATUS_OK)
        sim_fail (engine->sim, "a gossip message does not encode: %s", status_name (status));
    check_sent (engine, send->message);
    sim_net_send (engine->sim, engine->node->index, sim_engine_node_at (engine->sim, SIM_PORT_GOSSIP, send->endpoint),
        bytes, len + 1);
}

static void note (struct sim_engine *engine, const struct gossip_notice *notice)
{
    sim_trace (engine->sim, "node %u notice %d of node %u: %u to %u, incarnation %lu, shard %u term %lu",
        engine->node->index, (int) notice->type, notice->node, notice->before, notice->after,
        (unsigned long) notice->incarnation, notice->shard, (unsigned long) notice->term);
    if (notice->type == GOSSIP_NOTICE_MEMBER) {
        if (!id_equal (&notice->uuid, &engine->node->uuid))
            check_belief (engine, notice);
        if (notice->after == GOSSIP_ALIVE)
            sim_engine_bind (engine, notice->node, &notice->uuid);
    } else if (notice->type == GOSSIP_NOTICE_HINT) {
        bool own = false; /* of a shard that lives here only what its replica says counts, if it names this node */
        for (size_t i = 0; i < engine->node->replicas_count; i++)
            own = own || engine->node->replicas[i]->shard == notice->shard;
        if (notice->shard < engine->sim->shards_count && (!own || notice->node != engine->node->index))
            route_map_hint (&engine->map, notice->shard, notice->node, notice->term);
    }
}

static void step (struct sim_engine *engine, struct gossip_event event, uint64_t now_ms)
{
    struct gossip_effects *effects = engine->sim->gossip_effects;
    event.now_ms = now_ms;
    event.wall_ms = sim_engine_wall_ms (engine->sim, engine->node);
    gossip_step (engine->gossip, &event, effects);
    gossip_check (engine->gossip);
    const struct gossip_output *output = gossip_effects_output (effects);
    if (output->persist) /* duty 1: before any send */
        engine->node->stored_incarnation = output->persist_incarnation;
    for (size_t i = 0; i < output->sends_count; i++)
        transmit (engine, &output->sends[i]);
    for (size_t i = 0; i < output->notices_count; i++)
        note (engine, &output->notices[i]);
    if (output->counts[GOSSIP_COUNT_INVALID] + output->counts[GOSSIP_COUNT_OTHER_CLUSTER] > 0)
        sim_fail (engine->sim, "node %u: gossip that no node should have sent", engine->node->index);
    engine->gossip_next_ms = output->next_tick_ms;
}

void sim_engine_gossip_open (struct sim_engine *engine, uint64_t now_ms)
{
    struct sim *sim = engine->sim;
    struct sim_node *node = engine->node;
    char texts[SIM_NODES_MAX + 1][SIM_ENDPOINT_SIZE];
    struct bytes seeds[SIM_NODES_MAX];
    size_t count = 0;
    struct gossip_config config;
    gossip_config_default (&config);
    sim_engine_endpoint (node->index, SIM_PORT_GOSSIP, texts[0]);
    config.cluster = sim->cluster;
    config.uuid = node->uuid;
    config.node = node->index;
    config.incarnation = ++node->stored_incarnation;
    config.version = 1;
    config.seed = sim_random_next (&sim->random);
    config.gossip_endpoint = config.peer_endpoint = config.client_endpoint = bytes_text (texts[0]);
    config.ring_epoch = 1;
    if (gossip_new (&config, &engine->gossip) != STATUS_OK)
        sim_fail (sim, "node %u: no gossip", node->index);
    if (gossip_self (engine->gossip)->incarnation <= node->told_incarnation)
        sim_fail (sim, "node %u: a restart reuses an incarnation", node->index);
    for (uint32_t n = 1; n <= sim->nodes_count; n++) {
        if (n == node->index)
            continue;
        sim_engine_endpoint (n, SIM_PORT_GOSSIP, texts[n]);
        seeds[count++] = bytes_text (texts[n]);
    }
    step (engine, (struct gossip_event){.type = GOSSIP_JOIN, .seeds = seeds, .seeds_count = count}, now_ms);
}

void sim_engine_gossip_received (struct sim_engine *engine, struct bytes bytes, uint64_t now_ms)
{
    static uint64_t memory[GOSSIP_MESSAGE_ARENA_MAX / sizeof (uint64_t) + 2];
    struct arena arena;
    struct gossip_message message;
    arena_init (&arena, memory, sizeof memory);
    if (codec_decode (&gossip_message_type, bytes, CODEC_STRICT, &arena, &message, NULL) != STATUS_OK)
        sim_fail (engine->sim, "a gossip message does not decode");
    step (engine, (struct gossip_event){.type = GOSSIP_RECEIVE, .message = &message}, now_ms);
}

void sim_engine_gossip_link_down (struct sim_engine *engine, uint32_t node, uint64_t now_ms)
{
    const struct gossip_member *member = gossip_member_by_node (engine->gossip, node);
    if (member)
        step (engine, (struct gossip_event){.type = GOSSIP_LINK_DOWN, .uuid = member->uuid}, now_ms);
}

static void tell_leads (struct sim_engine *engine)
{
    struct gossip_lead leads[SIM_SHARDS_MAX];
    size_t count = 0;
    engine->hints_changed = false;
    for (size_t i = 0; i < engine->node->replicas_count; i++) {
        const struct sim_replica *replica = engine->node->replicas[i];
        if (replica->shard_core->leader_node == engine->node->index && count < SIM_SHARDS_MAX)
            leads[count++] = (struct gossip_lead){.shard = replica->shard, .term = replica->shard_core->leader_term};
    }
    gossip_set_local_hints (engine->gossip, leads, count);
}

void sim_engine_gossip_tick (struct sim_engine *engine, uint64_t now_ms)
{
    if (engine->hints_changed)
        tell_leads (engine);
    if (now_ms >= engine->gossip_next_ms)
        step (engine, (struct gossip_event){.type = GOSSIP_TICK}, now_ms);
    if (engine->wall_checked_ms == 0 || now_ms >= engine->wall_checked_ms + WALL_CHECK_MS) {
        engine->wall_checked_ms = now_ms;
        engine->wall_base_ms = gossip_wall_agreed_ms (engine->gossip, now_ms, WALL_AGE_MS, engine->sim->nodes_count);
    }
    engine->wall_median_ms = engine->wall_base_ms == 0 ? 0 : engine->wall_base_ms + (now_ms - engine->wall_checked_ms);
}
