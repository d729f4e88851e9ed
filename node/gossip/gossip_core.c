/* The step: one event in, its effects out. */
#include "node/gossip/gossip_internal.h"

#include <stdlib.h>

_Static_assert(GOSSIP_MEMBERS_MAX + GOSSIP_RECORDS_MAX <= GOSSIP_NOTICES_MAX, "a tick changes each member once");
_Static_assert(
    GOSSIP_RECORDS_MAX + 1 + GOSSIP_HINTS_MAX + 1 <= GOSSIP_NOTICES_MAX, "what one message can bring fits one step");
_Static_assert(GOSSIP_GOODBYES_MAX <= GOSSIP_SENDS_MAX, "a goodbye to each fits one step");

const char *gossip_state_name (enum gossip_state state)
{
    switch (state) {
    case GOSSIP_ALIVE:
        return "ALIVE";
    case GOSSIP_SUSPECT:
        return "SUSPECT";
    case GOSSIP_DEAD:
        return "DEAD";
    case GOSSIP_LEFT:
        return "LEFT";
    }
    return "INVALID_STATE";
}

void gossip_config_default (struct gossip_config *config)
{
    *config = (struct gossip_config){
        .probe_interval_ms = 500,
        .probe_timeout_ms = 200,
        .indirect_count = 3,
        .retransmit_mult = 4,
        .spread_interval_ms = 100,
        .spread_count = 3,
        .pushpull_interval_ms = 15000,
        .dead_probe_interval_ms = 3000,
        .join_retry_ms = 1000,
        .suspicion_alpha = 4,
        .suspicion_beta = 6,
        .confirmations = 3,
        .awareness_max = 8,
    };
}

static bool tunables_valid (const struct gossip_config *config)
{
    const uint32_t tunables[] = {config->probe_interval_ms, config->probe_timeout_ms, config->indirect_count,
        config->retransmit_mult, config->spread_interval_ms, config->spread_count, config->pushpull_interval_ms,
        config->dead_probe_interval_ms, config->join_retry_ms, config->suspicion_alpha, config->suspicion_beta,
        config->confirmations, config->awareness_max};
    for (size_t i = 0; i < sizeof tunables / sizeof tunables[0]; i++)
        if (tunables[i] == 0 || tunables[i] > 3600 * 1000)
            return false;
    return config->probe_timeout_ms < config->probe_interval_ms && config->indirect_count <= GOSSIP_INDIRECT_MAX &&
           config->spread_count <= GOSSIP_INDIRECT_MAX && config->confirmations <= GOSSIP_CONFIRMATIONS_MAX &&
           config->awareness_max <= 64 && config->retransmit_mult <= 64 && config->suspicion_alpha <= 1000 &&
           config->suspicion_beta <= 1000;
}

static struct gossip_record own_record (const struct gossip_config *config)
{
    return (struct gossip_record){
        .uuid = config->uuid,
        .incarnation = config->incarnation,
        .state = GOSSIP_ALIVE,
        .node = config->node,
        .gossip_endpoint = config->gossip_endpoint,
        .peer_endpoint = config->peer_endpoint,
        .client_endpoint = config->client_endpoint,
        .version = config->version,
    };
}

enum status gossip_new (const struct gossip_config *config, struct gossip **gossip)
{
    *gossip = NULL;
    const struct gossip_record record = own_record (config);
    if (id_is_zero (&config->cluster) || !gossip_record_valid (&record) || !tunables_valid (config))
        return STATUS_INVALID_ARGUMENT;
    struct gossip *made = calloc (1, sizeof *made);
    if (made == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    made->config = *config;
    made->random_state = config->seed;
    made->sequence = gossip_random (made) >> 16; /* acks for the life before this one match nothing */
    made->ring_epoch = config->ring_epoch;
    maitre_assert (made->count == 0);
    made->self = gossip_members_add (made, &config->uuid, false);
    maitre_assert (made->self != NULL);
    gossip_member_adopt (&made->self->member, &record);
    made->self->member.state = GOSSIP_ALIVE;
    maitre_assert (made->count == 1);
    maitre_assert (made->self->member.incarnation == config->incarnation);
    *gossip = made;
    return STATUS_OK;
}

void gossip_destroy (struct gossip **gossip)
{
    free (*gossip);
    *gossip = NULL;
}

/* Each node begins somewhere else in its periods: a cluster that starts together does not tick together. */
static void start_schedules (struct gossip *gossip)
{
    maitre_assert (!gossip->started);
    const struct gossip_config *config = &gossip->config;
    gossip->started = true;
    gossip->probe_at_ms = gossip->now_ms + gossip_random_below (gossip, config->probe_interval_ms);
    gossip->pushpull_at_ms = gossip->now_ms + gossip_random_below (gossip, config->pushpull_interval_ms);
    gossip->dead_probe_at_ms = gossip->now_ms + gossip_random_below (gossip, config->dead_probe_interval_ms);
    gossip->join_at_ms = gossip->now_ms + config->join_retry_ms;
    gossip->spread_at_ms = gossip->now_ms;
    gossip->self->member.state_since_ms = gossip->now_ms;
    maitre_assert (gossip->probe_at_ms - gossip->now_ms < config->probe_interval_ms);
    maitre_assert (gossip->join_at_ms > gossip->now_ms);
}

/* This node stood still (paused, starved): what it did not hear meanwhile proves nothing against anybody (S5). Moves
 * every timer on by the time that was lost. */
static void forgive_stall (struct gossip *gossip, struct gossip_effects *effects)
{
    bool blames = PLANTED (S5_STALL_BLAMES_OTHERS);
    if (gossip->now_ms <= gossip->expected_ms + gossip->config.probe_interval_ms || blames)
        return;
    uint64_t lost_ms = gossip->now_ms - gossip->expected_ms;
    maitre_assert (lost_ms > gossip->config.probe_interval_ms);
    for (size_t i = 0; i < GOSSIP_PROBES_MAX; i++) {
        gossip->probes[i].indirect_at_ms += lost_ms;
        gossip->probes[i].deadline_ms += lost_ms;
    }
    for (size_t i = 0; i < GOSSIP_RELAYS_MAX; i++) {
        gossip->relays[i].nack_at_ms += lost_ms;
        gossip->relays[i].deadline_ms += lost_ms;
    }
    for (size_t i = 0; i < gossip->count; i++)
        gossip->sorted[i]->suspicion.start_ms += lost_ms;
    gossip->probe_at_ms += lost_ms;
    gossip_awareness_apply (gossip, 1);
    gossip_effects_count (effects, GOSSIP_COUNT_STALLED);
}

static void advance_clock (struct gossip *gossip, const struct gossip_event *event, struct gossip_effects *effects)
{
    if (event->now_ms > gossip->now_ms)
        gossip->now_ms = event->now_ms;
    gossip->wall_ms = event->wall_ms;
    maitre_assert (gossip->now_ms >= event->now_ms);
    if (!gossip->started)
        start_schedules (gossip);
    else
        forgive_stall (gossip, effects);
    gossip->self->member.heard_ms = gossip->now_ms;
    gossip->self->member.wall_offset_ms = gossip_wall_offset (gossip->wall_ms, gossip->now_ms);
    maitre_assert (gossip->started);
}

/* Cheap checks of what the decoder's bounds do not say. */
static bool message_acceptable (
    const struct gossip *gossip, const struct gossip_message *message, struct gossip_effects *effects)
{
    if (!id_equal (&message->cluster, &gossip->config.cluster)) {
        gossip_effects_count (effects, GOSSIP_COUNT_OTHER_CLUSTER);
        return false;
    }
    if (message->has_to && !id_equal (&message->to, &gossip->config.uuid)) {
        gossip_effects_count (effects, GOSSIP_COUNT_OTHER_UUID);
        return false;
    }
    if (id_equal (&message->self.uuid, &gossip->config.uuid)) {
        gossip_effects_count (effects, GOSSIP_COUNT_OWN_UUID);
        return false;
    }
    bool valid = gossip_record_valid (&message->self) &&
                 (message->self.state == GOSSIP_ALIVE || message->self.state == GOSSIP_LEFT) &&
                 message->kind >= GOSSIP_KIND_PING && message->kind <= GOSSIP_KIND_PULL &&
                 message->records_count <= GOSSIP_RECORDS_MAX && message->hints_count <= GOSSIP_HINTS_MAX;
    if (!valid)
        gossip_effects_count (effects, GOSSIP_COUNT_INVALID);
    return valid;
}

static void merge_message (struct gossip *gossip, const struct gossip_message *message, struct gossip_effects *effects)
{
    maitre_assert (!id_equal (&message->self.uuid, &gossip->config.uuid));
    const struct id *sender = &message->self.uuid;
    gossip_merge (gossip, effects, &message->self, GOSSIP_FROM_SELF, sender);
    struct gossip_slot *slot = gossip_members_find (gossip, sender);
    maitre_assert (slot != gossip->self);
    if (slot != NULL) {
        slot->member.heard_ms = gossip->now_ms;
        slot->member.wall_offset_ms = gossip_wall_offset (message->wall_ms, gossip->now_ms);
    }
    bool table = message->kind == GOSSIP_KIND_PUSH || message->kind == GOSSIP_KIND_PULL;
    for (size_t i = 0; i < message->records_count; i++)
        gossip_merge (gossip, effects, &message->records[i], table ? GOSSIP_FROM_TABLE : GOSSIP_FROM_RUMOR, sender);
    for (size_t i = 0; i < message->hints_count; i++)
        gossip_hints_merge (gossip, effects, &message->hints[i]);
    gossip_epoch_merge (gossip, effects, message->ring_epoch);
}

static void receive (struct gossip *gossip, const struct gossip_message *message, struct gossip_effects *effects)
{
    if (!message_acceptable (gossip, message, effects))
        return;
    merge_message (gossip, message, effects);
    maitre_assert (id_equal (&message->cluster, &gossip->config.cluster));
    switch (message->kind) {
    case GOSSIP_KIND_PING:
    case GOSSIP_KIND_ACK:
    case GOSSIP_KIND_NACK:
        gossip_probe_receive (gossip, effects, message);
        break;
    case GOSSIP_KIND_PING_REQUEST:
        gossip_relay_request (gossip, effects, message);
        break;
    case GOSSIP_KIND_PUSH: {
        const struct gossip_slot *sender = gossip_members_find (gossip, &message->self.uuid);
        const struct gossip_outgoing outgoing = {.kind = GOSSIP_KIND_PULL};
        if (sender != NULL)
            gossip_send_member (gossip, effects, sender, &outgoing);
        break;
    }
    default: /* an update or a pull: merging was all */
        break;
    }
}

static void tick (struct gossip *gossip, struct gossip_effects *effects)
{
    if (!gossip->leaving) {
        gossip_suspicion_tick (gossip, effects);
        gossip_probe_tick (gossip, effects);
        gossip_relay_tick (gossip, effects);
        gossip_pushpull_tick (gossip, effects);
    }
    gossip_broadcast_tick (gossip, effects);
}

static void leave (struct gossip *gossip, struct gossip_effects *effects)
{
    if (gossip->leaving)
        return;
    gossip->leaving = true;
    gossip_set_state (gossip, effects, gossip->self, GOSSIP_LEFT);
    memset (gossip->probes, 0, sizeof gossip->probes);
    memset (gossip->relays, 0, sizeof gossip->relays);
    struct gossip_slot *friends[GOSSIP_GOODBYES_MAX];
    size_t count = gossip_members_pick (gossip, NULL, false, friends, GOSSIP_GOODBYES_MAX);
    const struct gossip_outgoing outgoing = {.kind = GOSSIP_KIND_UPDATE};
    for (size_t i = 0; i < count; i++)
        gossip_send_member (gossip, effects, friends[i], &outgoing);
    maitre_assert (gossip->self->member.state == GOSSIP_LEFT);
    maitre_assert (count <= GOSSIP_GOODBYES_MAX);
}

bool gossip_left (const struct gossip *gossip)
{
    maitre_assert (gossip->leaving);
    return !gossip->self->pending || gossip_members_live (gossip) == 0;
}

static void forget (struct gossip *gossip, const struct id *uuid)
{
    struct gossip_slot *slot = gossip_members_find (gossip, uuid);
    if (slot == NULL || slot == gossip->self || slot->member.state == GOSSIP_ALIVE)
        return;
    gossip_members_remove (gossip, slot);
    gossip->forgotten[gossip->forgotten_next] = *uuid;
    gossip->forgotten_next = (gossip->forgotten_next + 1) % GOSSIP_FORGOTTEN_MAX;
    maitre_assert (gossip_members_find (gossip, uuid) == NULL);
    maitre_assert (gossip->forgotten_next < GOSSIP_FORGOTTEN_MAX);
}

static uint64_t earlier (uint64_t a_ms, uint64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

static uint64_t next_tick_ms (const struct gossip *gossip)
{
    uint64_t next_ms = GOSSIP_NEVER;
    if (gossip_broadcast_pending (gossip))
        next_ms = gossip->spread_at_ms;
    if (gossip->leaving) {
        next_ms = earlier (next_ms, gossip->now_ms + gossip->config.probe_interval_ms);
    } else {
        next_ms = earlier (next_ms, gossip_probe_next_ms (gossip));
        next_ms = earlier (next_ms, gossip_relay_next_ms (gossip));
        next_ms = earlier (next_ms, gossip->pushpull_at_ms);
        if (!PLANTED (S2_DEAD_FORGOTTEN))
            next_ms = earlier (next_ms, gossip->dead_probe_at_ms);
        next_ms = earlier (next_ms, gossip->join_at_ms);
        for (size_t i = 0; i < gossip->count; i++) {
            const struct gossip_suspicion *suspicion = &gossip->sorted[i]->suspicion;
            if (suspicion->active)
                next_ms = earlier (next_ms, suspicion->start_ms + gossip_suspicion_timeout_ms (suspicion));
        }
    }
    return next_ms > gossip->now_ms ? next_ms : gossip->now_ms + 1;
}

void gossip_step (struct gossip *gossip, const struct gossip_event *event, struct gossip_effects *effects)
{
    gossip_effects_reset (effects);
    maitre_assert (effects->output.sends_count == 0);
    advance_clock (gossip, event, effects);
    switch (event->type) {
    case GOSSIP_TICK:
        tick (gossip, effects);
        break;
    case GOSSIP_RECEIVE:
        maitre_assert (event->message != NULL);
        receive (gossip, event->message, effects);
        break;
    case GOSSIP_LINK_DOWN:
        if (!gossip->leaving)
            gossip_probe_link_down (gossip, effects, &event->uuid);
        break;
    case GOSSIP_JOIN:
        gossip_pushpull_join (gossip, effects, event->seeds, event->seeds_count);
        break;
    case GOSSIP_LEAVE:
        leave (gossip, effects);
        break;
    case GOSSIP_FORGET:
        forget (gossip, &event->uuid);
        break;
    }
    effects->output.next_tick_ms = next_tick_ms (gossip);
    gossip->expected_ms = effects->output.next_tick_ms;
    maitre_assert (effects->output.sends_count <= GOSSIP_SENDS_MAX);
    maitre_assert (!effects->output.persist || effects->output.persist_incarnation == gossip->self->member.incarnation);
    maitre_assert (effects->output.next_tick_ms > gossip->now_ms);
}
