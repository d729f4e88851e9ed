#include "node/gossip/gossip_internal.h"

#include <stdlib.h>

_Static_assert(GOSSIP_MESSAGE_ENCODED_MAX <= GOSSIP_MESSAGE_BYTES_MAX, "the schema's bounds outgrew the frame bound");
_Static_assert(GOSSIP_RECORDS_MAX == GOSSIP_MESSAGE_RECORDS_COUNT_MAX, "as schemas/gossip.cddl says");
_Static_assert(GOSSIP_HINTS_MAX == GOSSIP_MESSAGE_HINTS_COUNT_MAX, "as schemas/gossip.cddl says");
_Static_assert((int) GOSSIP_ALIVE == (int) MEMBER_STATE_ALIVE && (int) GOSSIP_SUSPECT == (int) MEMBER_STATE_SUSPECT &&
                   (int) GOSSIP_DEAD == (int) MEMBER_STATE_DEAD && (int) GOSSIP_LEFT == (int) MEMBER_STATE_LEFT,
    "states travel as they are");

struct gossip_effects *gossip_effects_new (void)
{
    struct gossip_effects *effects = malloc (sizeof *effects);
    if (effects != NULL)
        gossip_effects_reset (effects);
    return effects;
}

void gossip_effects_destroy (struct gossip_effects **effects)
{
    free (*effects);
    *effects = NULL;
}

const struct gossip_output *gossip_effects_output (const struct gossip_effects *effects)
{
    return &effects->output;
}

void gossip_effects_reset (struct gossip_effects *effects)
{
    memset (&effects->output, 0, sizeof effects->output);
    effects->output.sends = effects->sends;
    effects->output.notices = effects->notices;
    effects->table = NULL;
    effects->table_count = 0;
    arena_init (&effects->arena, effects->memory, sizeof effects->memory);
    maitre_assert (effects->arena.used == 0);
}

void gossip_effects_count (struct gossip_effects *effects, enum gossip_count count)
{
    maitre_assert (count < GOSSIP_COUNTS);
    effects->output.counts[count]++;
}

void gossip_effects_notice (struct gossip_effects *effects, const struct gossip_notice *notice)
{
    /* A message brings at most 257 records, 128 hints and an epoch; a tick changes each member once: it always fits. */
    maitre_assert (effects->output.notices_count < GOSSIP_NOTICES_MAX);
    effects->notices[effects->output.notices_count++] = *notice;
}

/* The whole table as records, made once a step: nothing changes it after the first send. NULL: the arena is full. */
static struct gossip_record *table_records (const struct gossip *gossip, struct gossip_effects *effects)
{
    if (effects->table != NULL && effects->table_count == gossip->count - 1)
        return effects->table;
    effects->table = arena_alloc (&effects->arena, gossip->count * sizeof *effects->table);
    if (effects->table == NULL)
        return NULL;
    effects->table_count = 0;
    for (size_t i = 0; i < gossip->count; i++)
        if (gossip->sorted[i] != gossip->self)
            gossip_record_of (gossip->sorted[i], &effects->table[effects->table_count++]);
    maitre_assert (effects->table_count <= GOSSIP_RECORDS_MAX);
    maitre_assert (effects->table_count == gossip->count - 1);
    return effects->table;
}

static void attach_records (
    struct gossip *gossip, struct gossip_effects *effects, const struct gossip_slot *to, struct gossip_message *message)
{
    if (message->kind == GOSSIP_KIND_PUSH || message->kind == GOSSIP_KIND_PULL) {
        message->records = table_records (gossip, effects);
        message->records_count = message->records == NULL ? 0 : effects->table_count;
        return;
    }
    struct gossip_record records[GOSSIP_PIGGYBACK_MAX];
    size_t count = gossip_broadcast_take (gossip, to, records, GOSSIP_PIGGYBACK_MAX);
    maitre_assert (count <= GOSSIP_PIGGYBACK_MAX);
    message->records = arena_copy (&effects->arena, records, count * sizeof records[0]);
    message->records_count = message->records == NULL ? 0 : count;
}

static void attach_hints (struct gossip *gossip, struct gossip_effects *effects, struct gossip_message *message)
{
    struct leader_hint hints[GOSSIP_HINTS_MAX];
    bool all = message->kind == GOSSIP_KIND_PUSH || message->kind == GOSSIP_KIND_PULL;
    size_t count = gossip_hints_take (gossip, all, hints, GOSSIP_HINTS_MAX);
    maitre_assert (count <= GOSSIP_HINTS_MAX);
    message->hints = arena_copy (&effects->arena, hints, count * sizeof hints[0]);
    message->hints_count = message->hints == NULL ? 0 : count;
}

/* A message with everything but its kind's own fields, or NULL (counted) when this step has sent enough. */
static struct gossip_message *begin_message (
    struct gossip *gossip, struct gossip_effects *effects, const struct gossip_slot *to, uint64_t kind)
{
    maitre_assert (kind >= GOSSIP_KIND_PING);
    maitre_assert (kind <= GOSSIP_KIND_PULL);
    maitre_assert (effects->output.sends_count <= GOSSIP_SENDS_MAX);
    if (effects->output.sends_count == GOSSIP_SENDS_MAX) {
        gossip_effects_count (effects, GOSSIP_COUNT_SEND_DROPPED);
        return NULL;
    }
    struct gossip_message *message = &effects->messages[effects->output.sends_count];
    *message = (struct gossip_message){
        .cluster = gossip->config.cluster,
        .kind = kind,
        .wall_ms = gossip->wall_ms,
        .ring_epoch = gossip->ring_epoch,
    };
    gossip_record_of (gossip->self, &message->self);
    attach_records (gossip, effects, to, message);
    attach_hints (gossip, effects, message);
    maitre_assert (message->records_count <= GOSSIP_RECORDS_MAX);
    maitre_assert (id_equal (&message->self.uuid, &gossip->config.uuid));
    return message;
}

static void finish_message (struct gossip_effects *effects, const struct id *to, struct bytes endpoint)
{
    maitre_assert (endpoint.len >= 1);
    maitre_assert (endpoint.len <= GOSSIP_ENDPOINT_BYTES_MAX);
    size_t at = effects->output.sends_count++;
    maitre_assert (at < GOSSIP_SENDS_MAX);
    effects->sends[at] = (struct gossip_send){.to = *to, .endpoint = endpoint, .message = &effects->messages[at]};
}

void gossip_send_member (struct gossip *gossip, struct gossip_effects *effects, const struct gossip_slot *to,
    const struct gossip_outgoing *outgoing)
{
    maitre_assert (to != gossip->self);
    struct gossip_message *message = begin_message (gossip, effects, to, outgoing->kind);
    if (message == NULL)
        return;
    maitre_assert (!message->has_to);
    message->sequence = outgoing->sequence;
    message->has_to = true;
    message->to = to->member.uuid;
    if (outgoing->target != NULL) {
        message->has_target = true;
        message->target = *outgoing->target;
    }
    finish_message (effects, &to->member.uuid, bytes_text (to->member.gossip_endpoint));
}

void gossip_send_seed (struct gossip *gossip, struct gossip_effects *effects, const struct gossip_seed *seed)
{
    maitre_assert (seed->len >= 1 && seed->len <= GOSSIP_ENDPOINT_BYTES_MAX);
    const struct id nobody = {{0}};
    if (begin_message (gossip, effects, NULL, GOSSIP_KIND_PUSH) != NULL)
        finish_message (effects, &nobody, bytes_of (seed->text, seed->len));
}
