/* One gossip under test and the messages that others send it. */
#ifndef MAITRED_TEST_SUPPORT_GOSSIP_FIXTURE_H
#define MAITRED_TEST_SUPPORT_GOSSIP_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "node/gossip/gossip_internal.h"

#define SELF 1
#define NOW_MS 100000

struct fixture {
    struct gossip *gossip;
    struct gossip_effects *effects;
    const struct gossip_output *output; /* of the last step */
    uint64_t now_ms;
};

/* Member n: uuid n, position n, its endpoints below. */
static inline struct id uuid_of (uint32_t n)
{
    struct id id = {{0}};
    bytes_put_u32 (id.b + 12, n);
    return id;
}

static inline struct bytes endpoint_of (uint32_t n)
{
    static char texts[512][32];
    assert_true (n < 512);
    snprintf (texts[n], sizeof texts[n], "tcp://10.0.0.1:%u", 7000 + n);
    return bytes_text (texts[n]);
}

static inline struct gossip_record record_of (uint32_t n, uint64_t incarnation, enum gossip_state state)
{
    return (struct gossip_record){
        .uuid = uuid_of (n),
        .incarnation = incarnation,
        .state = state,
        .node = n,
        .gossip_endpoint = endpoint_of (n),
        .peer_endpoint = endpoint_of (n),
        .client_endpoint = endpoint_of (n),
        .version = 3,
    };
}

static inline struct gossip_record accused (uint32_t n, uint64_t incarnation, uint32_t accuser)
{
    struct gossip_record record = record_of (n, incarnation, GOSSIP_SUSPECT);
    record.has_accuser = true;
    record.accuser = uuid_of (accuser);
    return record;
}

static inline struct gossip_config fixture_config (void)
{
    struct gossip_config config;
    gossip_config_default (&config);
    config.cluster = uuid_of (500);
    config.uuid = uuid_of (SELF);
    config.node = SELF;
    config.incarnation = 5;
    config.seed = 42;
    config.gossip_endpoint = config.peer_endpoint = config.client_endpoint = endpoint_of (SELF);
    return config;
}

static inline void step (struct fixture *f, struct gossip_event *event)
{
    event->now_ms = f->now_ms;
    event->wall_ms = UINT64_C (1700000000000) + f->now_ms;
    gossip_step (f->gossip, event, f->effects);
    gossip_check (f->gossip);
    f->output = gossip_effects_output (f->effects);
}

static inline void tick_at (struct fixture *f, uint64_t now_ms)
{
    f->now_ms = now_ms;
    struct gossip_event event = {.type = GOSSIP_TICK};
    step (f, &event);
}

static inline void fixture_open (struct fixture *f)
{
    struct gossip_config config = fixture_config ();
    assert_int_equal (gossip_new (&config, &f->gossip), STATUS_OK);
    f->effects = gossip_effects_new ();
    assert_non_null (f->effects);
    tick_at (f, NOW_MS);
}

static inline void fixture_close (struct fixture *f)
{
    gossip_destroy (&f->gossip);
    gossip_effects_destroy (&f->effects);
}

/* A message from member n, ALIVE in its first incarnation. */
static inline struct gossip_message message_from (uint32_t n, uint64_t kind)
{
    return (struct gossip_message){
        .cluster = uuid_of (500),
        .kind = kind,
        .sequence = 7,
        .self = record_of (n, 1, GOSSIP_ALIVE),
        .wall_ms = UINT64_C (1700000000000) + NOW_MS,
        .has_to = true,
        .to = uuid_of (SELF),
    };
}

static inline void receive (struct fixture *f, const struct gossip_message *message)
{
    struct gossip_event event = {.type = GOSSIP_RECEIVE, .message = message};
    step (f, &event);
}

/* Member `sender` tells one record. */
static inline void hear (struct fixture *f, uint32_t sender, uint64_t kind, struct gossip_record record)
{
    struct gossip_message message = message_from (sender, kind);
    message.records = &record;
    message.records_count = 1;
    receive (f, &message);
}

/* Members 2..last say hello. */
static inline void meet (struct fixture *f, uint32_t last)
{
    for (uint32_t n = 2; n <= last; n++) {
        struct gossip_message message = message_from (n, GOSSIP_KIND_UPDATE);
        receive (f, &message);
    }
}

static inline const struct gossip_member *member (const struct fixture *f, uint32_t n)
{
    struct id uuid = uuid_of (n);
    return gossip_member_find (f->gossip, &uuid);
}

static inline void assert_state (const struct fixture *f, uint32_t n, enum gossip_state state, uint64_t incarnation)
{
    const struct gossip_member *found = member (f, n);
    assert_non_null (found);
    assert_int_equal (found->state, state);
    assert_int_equal (found->incarnation, incarnation);
}

/* The first send of a kind in the last step, or NULL. */
static inline const struct gossip_send *find_send (const struct fixture *f, uint64_t kind)
{
    for (size_t i = 0; i < f->output->sends_count; i++)
        if (f->output->sends[i].message->kind == kind)
            return &f->output->sends[i];
    return NULL;
}

static inline size_t count_sends (const struct fixture *f, uint64_t kind)
{
    size_t count = 0;
    for (size_t i = 0; i < f->output->sends_count; i++)
        count += f->output->sends[i].message->kind == kind;
    return count;
}

static inline const struct gossip_record *find_record (const struct gossip_message *message, uint32_t n)
{
    struct id uuid = uuid_of (n);
    for (size_t i = 0; i < message->records_count; i++)
        if (id_equal (&message->records[i].uuid, &uuid))
            return &message->records[i];
    return NULL;
}

/* Ticks when asked to, until `end_ms` or until a send of `kind` (0: none) leaves; that send or NULL. */
static inline const struct gossip_send *tick_until (struct fixture *f, uint64_t end_ms, uint64_t kind)
{
    while (f->output->next_tick_ms <= end_ms) {
        tick_at (f, f->output->next_tick_ms);
        if (kind != 0 && find_send (f, kind) != NULL)
            return find_send (f, kind);
    }
    f->now_ms = end_ms;
    return NULL;
}

#endif
