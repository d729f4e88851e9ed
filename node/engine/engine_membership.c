/* Gossip in this node: its sockets, its notices, the leader hints it spreads and the clocks it compares. */
#include <stdlib.h>

#include "node/engine/engine_internal.h"
#include "schemas/generated/gossip.h"

#define WALL_AGE_MS 60000
#define WALL_CHECK_MS 100

enum status engine_gossip_open (struct engine *engine)
{
    const struct cluster_member *self = &engine->config.nodes.nodes[engine->config.node - 1];
    const struct store_identity *identity = store_identity (engine->store);
    enum status status = store_incarnation_set (engine->store, engine->incarnation); /* before anything is sent */
    if (status != STATUS_OK)
        return status;
    struct gossip_config config;
    gossip_config_default (&config);
    config.cluster = engine->config.nodes.cluster;
    config.uuid = identity->node;
    config.node = engine->config.node;
    config.incarnation = engine->incarnation;
    config.version = 1;
    config.seed = ((uint64_t) engine->random_state[0] << 32) | engine->random_state[1];
    config.gossip_endpoint = bytes_text (self->gossip_endpoint);
    config.peer_endpoint = bytes_text (self->peer_endpoint);
    config.client_endpoint = bytes_text (self->client_endpoint);
    config.ring_epoch = engine->map.epoch;
    engine->gossip_effects = gossip_effects_new ();
    if (engine->gossip_effects == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    return gossip_new (&config, &engine->gossip);
}

static void send_messages (struct engine *engine, const struct gossip_output *output)
{
    for (size_t i = 0; i < output->sends_count; i++) {
        const struct gossip_send *send = &output->sends[i];
        size_t len;
        if (failpoint (FAILPOINT_SEND_GOSSIP_BEFORE))
            continue;
        if (codec_encode (&gossip_message_type, send->message, engine->page, GOSSIP_MESSAGE_BYTES_MAX, &len) !=
            STATUS_OK)
            continue;
        enum status status = transport_gossip_send (engine->transport, send->endpoint, bytes_of (engine->page, len));
        (void) status; /* gossip lives with loss; counted there */
        failpoint_pass (FAILPOINT_SEND_GOSSIP_AFTER);
    }
}

static void note (struct engine *engine, const struct gossip_notice *notice)
{
    switch (notice->type) {
    case GOSSIP_NOTICE_MEMBER:
        event_log (EVENT_LOG_INFO, "member", event_log_u64 ("peer", notice->node),
            event_log_text ("state", gossip_state_name ((enum gossip_state) notice->after)));
        engine_peer_rumour (engine, notice->node, &notice->uuid, notice->after == GOSSIP_ALIVE);
        break;
    case GOSSIP_NOTICE_HINT:
        if (notice->shard <= engine->config.shards &&
            (engine->replicas[notice->shard] == NULL || notice->node != engine->config.node))
            engine->leaders_changed |= route_map_hint (&engine->map, notice->shard, notice->node, notice->term);
        break;
    case GOSSIP_NOTICE_EPOCH:
        break; /* the map is the written one: there is no newer one to fetch yet */
    }
}

static void carry_out (struct engine *engine)
{
    const struct gossip_output *output = gossip_effects_output (engine->gossip_effects);
    if (output->persist && engine_incarnation_keep (engine, output->persist_incarnation) != STATUS_OK)
        engine_halt (engine, "the incarnation cannot be written: check the disk");
    send_messages (engine, output);
    for (size_t i = 0; i < output->notices_count; i++)
        note (engine, &output->notices[i]);
    engine->gossip_next_ms = output->next_tick_ms;
}

static void step (struct engine *engine, struct gossip_event *event)
{
    event->now_ms = engine->now_ms;
    event->wall_ms = engine_wall_ms ();
    gossip_step (engine->gossip, event, engine->gossip_effects);
    carry_out (engine);
}

void engine_gossip_drain (struct engine *engine)
{
    struct bytes bytes;
    uint32_t node;
    struct gossip_message message;
    if (!engine_wait_take (&engine->wait, WAIT_GOSSIP))
        return;
    for (int i = 0; i < ENGINE_GOSSIP_A_TURN; i++) {
        enum status status = transport_gossip_receive (engine->transport, &bytes, &node);
        if (status == STATUS_NOT_FOUND)
            return;
        if (failpoint (FAILPOINT_RECEIVE_GOSSIP))
            continue;
        arena_reset (&engine->arena);
        if (status != STATUS_OK ||
            codec_decode (&gossip_message_type, bytes, CODEC_STRICT, &engine->arena, &message, NULL) != STATUS_OK ||
            (node != 0 && message.self.node != node)) {
            engine->counters.invalid++;
            continue;
        }
        struct gossip_event event = {.type = GOSSIP_RECEIVE, .message = &message};
        step (engine, &event);
    }
    engine_wait_again (&engine->wait, WAIT_GOSSIP);
}

static void tell_leads (struct engine *engine)
{
    struct gossip_lead leads[GOSSIP_SHARDS_MAX];
    size_t count = 0;
    engine->hints_changed = false;
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        const struct replica *replica = engine->replicas[shard];
        if (replica != NULL && replica->leader_node == engine->config.node)
            leads[count++] = (struct gossip_lead){.shard = shard, .term = replica->leader_term};
    }
    gossip_set_local_hints (engine->gossip, leads, count);
}

void engine_gossip_tick (struct engine *engine)
{
    if (engine->hints_changed)
        tell_leads (engine);
    if (engine->now_ms >= engine->gossip_next_ms) {
        struct gossip_event event = {.type = GOSSIP_TICK};
        step (engine, &event);
    }
    if (engine->now_ms >= engine->wall_checked_ms + WALL_CHECK_MS || engine->wall_checked_ms == 0) {
        engine->wall_checked_ms = engine->now_ms;
        engine->wall_base_ms = gossip_wall_agreed_ms (
            engine->gossip, engine->now_ms, WALL_AGE_MS, (uint32_t) engine->config.nodes.node_count);
    }
    engine->wall_median_ms =
        engine->wall_base_ms == 0 ? 0 : engine->wall_base_ms + (engine->now_ms - engine->wall_checked_ms);
}

void engine_gossip_join (struct engine *engine)
{
    struct bytes seeds[GOSSIP_SEEDS_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < engine->config.nodes.node_count && count < GOSSIP_SEEDS_MAX; i++) {
        if (i + 1 != engine->config.node)
            seeds[count++] = bytes_text (engine->config.nodes.nodes[i].gossip_endpoint);
    }
    struct gossip_event event = {.type = GOSSIP_JOIN, .seeds = seeds, .seeds_count = count};
    if (count > 0)
        step (engine, &event);
}

void engine_gossip_link_down (struct engine *engine, uint32_t node)
{
    const struct gossip_member *member = gossip_member_by_node (engine->gossip, node);
    if (member == NULL)
        return;
    struct gossip_event event = {.type = GOSSIP_LINK_DOWN, .uuid = member->uuid};
    step (engine, &event);
}

/* Nobody's any more: nobody is to look for it (S2), nor hear of it who joins. */
void engine_gossip_forget_replaced (struct engine *engine)
{
    for (size_t i = 0; i < gossip_members_count (engine->gossip); i++) {
        const struct gossip_member *member = gossip_member_at (engine->gossip, i);
        if (member->state == GOSSIP_ALIVE ||
            placement_folder_of (&engine->placement.record, member->node, &member->uuid) != PLACEMENT_FOLDER_REFUSED)
            continue;
        struct gossip_event event = {.type = GOSSIP_FORGET, .uuid = member->uuid};
        step (engine, &event);
        return; /* what is left comes with the next tick */
    }
}

void engine_gossip_leave (struct engine *engine)
{
    struct gossip_event event = {.type = GOSSIP_LEAVE};
    step (engine, &event);
}
