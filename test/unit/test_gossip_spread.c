/* Dissemination: rumours, leader hints, the ring epoch. */
#include "test/support/gossip_fixture.h"

static void test_gossip_broadcast__passes_on_a_bounded_number_of_times (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 8);
    tick_until (&f, f.now_ms + 3000, 0); /* hello is told, and nobody is dead of silence yet */
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (20, 1, GOSSIP_LEFT));
    uint32_t limit = gossip_broadcast_limit (f.gossip);
    assert_int_equal (limit, 4 * 4); /* lambda x ceil (log2 (9 + 1)) */
    uint32_t told = 0;
    uint64_t end_ms = f.now_ms + 4000, last_ms = 0, began_ms = f.now_ms;
    while (f.output->next_tick_ms <= end_ms) {
        tick_at (&f, f.output->next_tick_ms);
        for (size_t i = 0; i < f.output->sends_count; i++) {
            const struct gossip_message *message = f.output->sends[i].message;
            if (message->kind == GOSSIP_KIND_PUSH || find_record (message, 20) == NULL)
                continue;
            assert_int_equal (find_record (message, 20)->state, GOSSIP_LEFT);
            told++;
            last_ms = f.now_ms;
        }
    }
    assert_int_equal (told, limit);
    assert_true (last_ms - began_ms <= 1000); /* three every 100 ms, and the probes */
    fixture_close (&f);
}

static void test_gossip_broadcast__prefers_what_was_told_least (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 40);
    /* 39 rumours, 16 a message: after three messages each was told once, none of them thrice. */
    for (int i = 0; i < 3; i++) {
        struct gossip_message ping = message_from (2, GOSSIP_KIND_PING);
        receive (&f, &ping);
        assert_true (f.output->sends[0].message->records_count <= GOSSIP_PIGGYBACK_MAX);
    }
    for (size_t i = 0; i < f.gossip->count; i++) {
        const struct gossip_slot *slot = f.gossip->sorted[i];
        if (slot != f.gossip->self && slot->member.node != 2)
            assert_in_range (slot->transmits, 1, 2);
    }
    fixture_close (&f);
}

/* Lifeguard's buddy system: who is suspected hears it with the next message to it, however much else is pending. */
static void test_gossip_broadcast__tells_the_suspect_first (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 60);
    hear (&f, 3, GOSSIP_KIND_UPDATE, accused (2, 1, 3));
    for (int i = 0; i < 100; i++) {
        struct gossip_message ping = message_from (2, GOSSIP_KIND_PING);
        receive (&f, &ping);
        const struct gossip_record *verdict = &f.output->sends[0].message->records[0];
        assert_memory_equal (verdict->uuid.b, uuid_of (2).b, ID_SIZE);
        assert_int_equal (verdict->state, GOSSIP_SUSPECT);
        assert_true (verdict->has_accuser);
    }
    fixture_close (&f);
}

static void test_gossip_hints__newest_term_wins_and_is_told_once (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 3);
    struct leader_hint hints[] = {
        {.shard = 4, .term = 9, .node = 2}, {.shard = 4, .term = 8, .node = 3}, {.shard = 0, .term = 1, .node = 3}};
    struct gossip_message message = message_from (2, GOSSIP_KIND_UPDATE);
    message.hints = hints;
    message.hints_count = 3;
    receive (&f, &message);
    assert_int_equal (f.output->notices_count, 2);
    assert_int_equal (f.output->notices[0].type, GOSSIP_NOTICE_HINT);
    assert_int_equal (f.output->notices[0].shard, 4);
    assert_int_equal (f.output->notices[0].node, 2);
    assert_int_equal (f.output->notices[0].term, 9);
    uint64_t term;
    assert_int_equal (gossip_hint_node (f.gossip, 4, &term), 2);
    assert_int_equal (term, 9);
    receive (&f, &message);
    assert_int_equal (f.output->notices_count, 0);
    assert_int_equal (gossip_hint_node (f.gossip, 7, NULL), 0);
    assert_int_equal (gossip_hint_node (f.gossip, GOSSIP_SHARDS_MAX, &term), 0);
    fixture_close (&f);
}

static void test_gossip_hints__refuses_impossible_ones (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    struct leader_hint hints[] = {{.shard = GOSSIP_SHARDS_MAX, .term = 1, .node = 2},
        {.shard = 1, .term = 0, .node = 2}, {.shard = 1, .term = 1, .node = 0},
        {.shard = 1, .term = 1, .node = UINT64_C (1) << 32}};
    struct gossip_message message = message_from (2, GOSSIP_KIND_UPDATE);
    message.hints = hints;
    message.hints_count = 4;
    receive (&f, &message);
    assert_int_equal (f.output->counts[GOSSIP_COUNT_INVALID], 4);
    fixture_close (&f);
}

/* 300 shards change hands at once: 128 a message, all of them soon, and then silence. */
static void test_gossip_hints__spread_in_bounded_messages (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 4);
    tick_until (&f, f.now_ms + 3000, 0); /* hello is told, and nobody is dead of silence yet */
    struct gossip_lead leads[300];
    for (uint32_t i = 0; i < 300; i++)
        leads[i] = (struct gossip_lead){.shard = i, .term = 5};
    gossip_set_local_hints (f.gossip, leads, 300);
    uint32_t told[300] = {0};
    uint64_t end_ms = f.now_ms + 4000;
    tick_at (&f, f.now_ms + 1);
    for (;;) {
        for (size_t i = 0; i < f.output->sends_count; i++) {
            const struct gossip_message *message = f.output->sends[i].message;
            assert_true (message->hints_count <= GOSSIP_HINTS_MAX);
            for (size_t h = 0; h < message->hints_count; h++) {
                assert_int_equal (message->hints[h].node, SELF);
                told[message->hints[h].shard] += message->kind != GOSSIP_KIND_PUSH;
            }
        }
        if (f.output->next_tick_ms > end_ms)
            break;
        tick_at (&f, f.output->next_tick_ms);
    }
    for (uint32_t i = 0; i < 300; i++)
        assert_int_equal (told[i], gossip_broadcast_limit (f.gossip));
    /* The same again is no news; an older term neither. */
    leads[0].term = 4;
    gossip_set_local_hints (f.gossip, leads, 300);
    assert_int_equal (f.gossip->hints_pending, 0);
    fixture_close (&f);
}

static void test_gossip_epoch__is_the_newest_heard_of (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 3);
    struct gossip_message message = message_from (2, GOSSIP_KIND_PING);
    message.ring_epoch = 12;
    receive (&f, &message);
    assert_int_equal (f.output->notices_count, 1);
    assert_int_equal (f.output->notices[0].type, GOSSIP_NOTICE_EPOCH);
    assert_int_equal (f.output->notices[0].epoch, 12);
    assert_int_equal (f.output->sends[0].message->ring_epoch, 12);
    message.ring_epoch = 11;
    receive (&f, &message);
    assert_int_equal (f.output->notices_count, 0);
    gossip_set_ring_epoch (f.gossip, 13);
    gossip_set_ring_epoch (f.gossip, 1);
    assert_int_equal (gossip_ring_epoch (f.gossip), 13);
    receive (&f, &message);
    assert_int_equal (f.output->sends[0].message->ring_epoch, 13);
    fixture_close (&f);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_gossip_broadcast__passes_on_a_bounded_number_of_times),
        cmocka_unit_test (test_gossip_broadcast__prefers_what_was_told_least),
        cmocka_unit_test (test_gossip_broadcast__tells_the_suspect_first),
        cmocka_unit_test (test_gossip_hints__newest_term_wins_and_is_told_once),
        cmocka_unit_test (test_gossip_hints__refuses_impossible_ones),
        cmocka_unit_test (test_gossip_hints__spread_in_bounded_messages),
        cmocka_unit_test (test_gossip_epoch__is_the_newest_heard_of),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
