/* Failure detection (SWIM, section 3.1): one member a period, directly, then through k others. */
#include "node/gossip/gossip_internal.h"

_Static_assert(GOSSIP_INDIRECT_MAX <= GOSSIP_SENDS_MAX, "asking the others fits one step");

static struct gossip_probe *find_probe (struct gossip *gossip, const struct id *target)
{
    for (size_t i = 0; i < GOSSIP_PROBES_MAX; i++)
        if (gossip->probes[i].active && id_equal (&gossip->probes[i].target, target))
            return &gossip->probes[i];
    return NULL;
}

static struct gossip_probe *find_sequence (struct gossip *gossip, uint64_t sequence)
{
    for (size_t i = 0; i < GOSSIP_PROBES_MAX; i++)
        if (gossip->probes[i].active && gossip->probes[i].sequence == sequence)
            return &gossip->probes[i];
    return NULL;
}

/* A ping to a member that is not being probed. NULL: too many at once, which only a burst of hints can bring about. */
static struct gossip_probe *begin_probe (
    struct gossip *gossip, struct gossip_effects *effects, const struct gossip_slot *slot)
{
    maitre_assert (slot != gossip->self);
    if (find_probe (gossip, &slot->member.uuid) != NULL)
        return NULL;
    size_t place = 0;
    while (place < GOSSIP_PROBES_MAX && gossip->probes[place].active)
        place++;
    if (place == GOSSIP_PROBES_MAX)
        return NULL;
    struct gossip_probe *probe = &gossip->probes[place];
    maitre_assert (!probe->active);
    *probe = (struct gossip_probe){
        .active = true,
        .target = slot->member.uuid,
        .sequence = ++gossip->sequence,
        .indirect_at_ms = gossip->now_ms + gossip_awareness_scale (gossip, gossip->config.probe_timeout_ms),
        .deadline_ms = gossip->now_ms + gossip_awareness_scale (gossip, gossip->config.probe_interval_ms),
    };
    maitre_assert (probe->indirect_at_ms <= probe->deadline_ms);
    const struct gossip_outgoing outgoing = {.kind = GOSSIP_KIND_PING, .sequence = probe->sequence};
    gossip_send_member (gossip, effects, slot, &outgoing);
    return probe;
}

static void ask_others (struct gossip *gossip, struct gossip_effects *effects, struct gossip_probe *probe)
{
    maitre_assert (probe->active);
    maitre_assert (!probe->indirect_sent);
    maitre_assert (!probe->revival);
    struct gossip_slot *helpers[GOSSIP_INDIRECT_MAX];
    size_t count = gossip_members_pick (gossip, &probe->target, true, helpers, gossip->config.indirect_count);
    maitre_assert (count <= gossip->config.indirect_count);
    const struct gossip_outgoing outgoing = {
        .kind = GOSSIP_KIND_PING_REQUEST, .sequence = probe->sequence, .target = &probe->target};
    for (size_t i = 0; i < count; i++)
        gossip_send_member (gossip, effects, helpers[i], &outgoing);
    probe->indirect_sent = true;
    probe->nacks_expected = (uint32_t) count;
}

static void fail_probe (struct gossip *gossip, struct gossip_effects *effects, struct gossip_probe *probe)
{
    maitre_assert (probe->active);
    maitre_assert (probe->nacks <= probe->nacks_expected);
    probe->active = false;
    struct gossip_slot *slot = gossip_members_find (gossip, &probe->target);
    if (probe->revival || slot == NULL || !gossip_slot_live (slot))
        return;
    gossip_effects_count (effects, GOSSIP_COUNT_PROBE_FAILED);
    /* Helpers that answered nack show that this node hears well, so it is the target. Silent ones put it in doubt. */
    if (probe->nacks_expected > 0)
        gossip_awareness_apply (gossip, (int) (probe->nacks_expected - probe->nacks));
    else
        gossip_awareness_apply (gossip, 1);
    maitre_assert (slot != gossip->self);
    gossip_accuse (gossip, effects, slot, &gossip->self->member.uuid);
}

static void tick_probes (struct gossip *gossip, struct gossip_effects *effects)
{
    for (size_t i = 0; i < GOSSIP_PROBES_MAX; i++) {
        struct gossip_probe *probe = &gossip->probes[i];
        if (!probe->active)
            continue;
        if (gossip->now_ms >= probe->deadline_ms)
            fail_probe (gossip, effects, probe);
        else if (gossip->now_ms >= probe->indirect_at_ms && !probe->indirect_sent && !probe->revival)
            ask_others (gossip, effects, probe);
    }
}

void gossip_probe_tick (struct gossip *gossip, struct gossip_effects *effects)
{
    tick_probes (gossip, effects);
    if (gossip->now_ms < gossip->probe_at_ms)
        return;
    gossip->probe_at_ms = gossip->now_ms + gossip_awareness_scale (gossip, gossip->config.probe_interval_ms);
    maitre_assert (gossip->probe_at_ms > gossip->now_ms);
    struct gossip_slot *slot = gossip_members_next_probe (gossip);
    if (slot != NULL)
        (void) begin_probe (gossip, effects, slot);
}

void gossip_probe_link_down (struct gossip *gossip, struct gossip_effects *effects, const struct id *uuid)
{
    struct gossip_slot *slot = gossip_members_find (gossip, uuid);
    if (slot == NULL || slot == gossip->self || slot->member.state != GOSSIP_ALIVE)
        return; /* a suspect is being decided on already: reconnect attempts must not add to it */
    struct gossip_probe *probe = begin_probe (gossip, effects, slot);
    if (probe == NULL)
        probe = find_probe (gossip, uuid);
    if (probe == NULL || probe->revival)
        return;
    if (!probe->indirect_sent)
        ask_others (gossip, effects, probe);
    uint64_t soon_ms = gossip->now_ms + gossip_awareness_scale (gossip, gossip->config.probe_timeout_ms);
    if (soon_ms < probe->deadline_ms)
        probe->deadline_ms = soon_ms;
    if (probe->indirect_at_ms > probe->deadline_ms)
        probe->indirect_at_ms = probe->deadline_ms; /* the others were asked */
    maitre_assert (probe->indirect_at_ms <= probe->deadline_ms);
    maitre_assert (probe->deadline_ms <= soon_ms);
}

void gossip_probe_revive (struct gossip *gossip, struct gossip_effects *effects, struct gossip_slot *slot)
{
    maitre_assert (slot != gossip->self);
    maitre_assert (slot->member.state == GOSSIP_DEAD);
    struct gossip_probe *probe = begin_probe (gossip, effects, slot);
    if (probe != NULL)
        probe->revival = true;
}

static void receive_ack (struct gossip *gossip, struct gossip_effects *effects, const struct gossip_message *message)
{
    const struct id *about = message->has_target ? &message->target : &message->self.uuid;
    struct gossip_probe *probe = find_sequence (gossip, message->sequence);
    if (probe == NULL || !id_equal (&probe->target, about)) {
        gossip_relay_ack (gossip, effects, message);
        return;
    }
    maitre_assert (probe->sequence <= gossip->sequence);
    probe->active = false;
    gossip_awareness_apply (gossip, -1);
    if (!probe->revival)
        return;
    /* Back from the dead, and maybe the door to a whole half that is: exchange everything at once (S2). */
    const struct gossip_slot *slot = gossip_members_find (gossip, &message->self.uuid);
    const struct gossip_outgoing outgoing = {.kind = GOSSIP_KIND_PUSH};
    if (slot != NULL)
        gossip_send_member (gossip, effects, slot, &outgoing);
}

void gossip_probe_receive (struct gossip *gossip, struct gossip_effects *effects, const struct gossip_message *message)
{
    const struct gossip_slot *sender = gossip_members_find (gossip, &message->self.uuid);
    if (message->kind == GOSSIP_KIND_PING) {
        const struct gossip_outgoing outgoing = {.kind = GOSSIP_KIND_ACK, .sequence = message->sequence};
        if (sender != NULL)
            gossip_send_member (gossip, effects, sender, &outgoing);
    } else if (message->kind == GOSSIP_KIND_ACK) {
        receive_ack (gossip, effects, message);
    } else {
        maitre_assert (message->kind == GOSSIP_KIND_NACK);
        struct gossip_probe *probe = find_sequence (gossip, message->sequence);
        if (probe != NULL && probe->nacks < probe->nacks_expected)
            probe->nacks++;
    }
}

uint64_t gossip_probe_next_ms (const struct gossip *gossip)
{
    uint64_t next_ms = gossip->probe_at_ms;
    for (size_t i = 0; i < GOSSIP_PROBES_MAX; i++) {
        const struct gossip_probe *probe = &gossip->probes[i];
        if (!probe->active)
            continue;
        if (probe->deadline_ms < next_ms)
            next_ms = probe->deadline_ms;
        if (!probe->indirect_sent && !probe->revival && probe->indirect_at_ms < next_ms)
            next_ms = probe->indirect_at_ms;
    }
    return next_ms;
}
