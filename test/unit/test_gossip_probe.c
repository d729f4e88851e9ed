/* Failure detection: pings, pings through others, nacks, broken connections, the dead. */
#include "test/support/gossip_fixture.h"

/* Waits for the next ping; whom it went to. */
static uint32_t next_ping (struct fixture *f, uint64_t *sequence)
{
    const struct gossip_send *ping = tick_until (f, f->now_ms + 2000, GOSSIP_KIND_PING);
    assert_non_null (ping);
    *sequence = ping->message->sequence;
    return bytes_get_u32 (ping->to.b + 12);
}

static void answer (struct fixture *f, uint32_t from, uint64_t kind, uint64_t sequence, const struct id *target)
{
    struct gossip_message message = message_from (from, kind);
    message.sequence = sequence;
    message.has_target = target != NULL;
    if (target != NULL)
        message.target = *target;
    receive (f, &message);
}

static void test_gossip_probe__asks_everybody_once_a_round (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 8);
    uint32_t asked[9] = {0};
    for (int i = 0; i < 14; i++) {
        uint64_t sequence;
        uint32_t target = next_ping (&f, &sequence);
        asked[target]++;
        answer (&f, target, GOSSIP_KIND_ACK, sequence, NULL);
    }
    /* The first round began while they came in; the second is whole, so nobody waits longer than two. */
    for (uint32_t n = 2; n <= 8; n++)
        assert_in_range (asked[n], 1, 3);
    fixture_close (&f);
}

static void test_gossip_probe__answers_pings (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    struct gossip_message ping = message_from (2, GOSSIP_KIND_PING);
    receive (&f, &ping);
    assert_int_equal (f.output->sends_count, 1);
    const struct gossip_send *send = &f.output->sends[0];
    assert_int_equal (send->message->kind, GOSSIP_KIND_ACK);
    assert_int_equal (send->message->sequence, 7);
    assert_true (send->message->has_to);
    assert_true (bytes_equal (send->endpoint, endpoint_of (2)));
    assert_memory_equal (send->to.b, ping.self.uuid.b, ID_SIZE);
    assert_memory_equal (send->message->self.uuid.b, uuid_of (SELF).b, ID_SIZE);
    fixture_close (&f);
}

static void test_gossip_probe__asks_through_others_before_it_suspects (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 8);
    uint64_t sequence;
    uint32_t target = next_ping (&f, &sequence);
    uint64_t pinged_ms = f.now_ms;
    const struct gossip_send *request = tick_until (&f, f.now_ms + 450, GOSSIP_KIND_PING_REQUEST);
    assert_non_null (request);
    assert_int_equal (f.now_ms, pinged_ms + 200);
    assert_int_equal (count_sends (&f, GOSSIP_KIND_PING_REQUEST), 3);
    assert_int_equal (bytes_get_u32 (request->message->target.b + 12), target);
    struct id about = uuid_of (target);
    for (size_t i = 0; i < f.output->sends_count; i++)
        assert_memory_not_equal (f.output->sends[i].to.b, about.b, ID_SIZE);
    answer (&f, 9, GOSSIP_KIND_ACK, sequence, &about); /* one of them got through */
    tick_until (&f, pinged_ms + 499, 0);
    assert_state (&f, target, GOSSIP_ALIVE, 1);
    fixture_close (&f);
}

static void test_gossip_probe__suspects_whom_nobody_reaches (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 8);
    gossip_awareness_apply (f.gossip, 1);
    uint64_t sequence;
    uint32_t target = next_ping (&f, &sequence);
    uint64_t pinged_ms = f.now_ms;
    assert_non_null (tick_until (&f, pinged_ms + 400, GOSSIP_KIND_PING_REQUEST)); /* twice the time: health is 1 */
    struct id about = uuid_of (target), helpers[3];
    for (int i = 0; i < 3; i++)
        helpers[i] = f.output->sends[i].to;
    for (int i = 0; i < 3; i++)
        answer (&f, bytes_get_u32 (helpers[i].b + 12), GOSSIP_KIND_NACK, sequence, &about);
    tick_until (&f, pinged_ms + 999, 0);
    assert_state (&f, target, GOSSIP_ALIVE, 1);
    tick_until (&f, pinged_ms + 1000, 0);
    assert_state (&f, target, GOSSIP_SUSPECT, 1);
    assert_int_equal (gossip_local_health (f.gossip), 1); /* every helper said "I hear you": no doubt of itself */
    answer (&f, target, GOSSIP_KIND_ACK, sequence, NULL);
    assert_state (&f, target, GOSSIP_SUSPECT, 1); /* too late: only the suspect's refutation helps now */
    fixture_close (&f);
}

static void test_gossip_probe__doubts_itself_when_helpers_are_silent (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 8);
    uint64_t sequence;
    uint32_t target = next_ping (&f, &sequence);
    tick_until (&f, f.now_ms + 500, 0);
    assert_state (&f, target, GOSSIP_SUSPECT, 1);
    assert_int_equal (gossip_local_health (f.gossip), 3); /* three helpers, no nack */
    fixture_close (&f);
}

static void test_gossip_probe__believes_only_the_ack_it_waits_for (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 3);
    gossip_awareness_apply (f.gossip, 2);
    uint64_t sequence;
    uint32_t target = next_ping (&f, &sequence);
    uint32_t other = target == 2 ? 3 : 2;
    answer (&f, other, GOSSIP_KIND_ACK, sequence, NULL);
    answer (&f, target, GOSSIP_KIND_ACK, sequence + 1, NULL);
    assert_int_equal (gossip_local_health (f.gossip), 2);
    answer (&f, target, GOSSIP_KIND_ACK, sequence, NULL);
    assert_int_equal (gossip_local_health (f.gossip), 1);
    answer (&f, target, GOSSIP_KIND_ACK, sequence, NULL); /* a duplicate */
    assert_int_equal (gossip_local_health (f.gossip), 1);
    fixture_close (&f);
}

static void test_gossip_probe__follows_a_broken_connection_at_once (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 6);
    struct gossip_event event = {.type = GOSSIP_LINK_DOWN, .uuid = uuid_of (4)};
    step (&f, &event);
    assert_int_equal (count_sends (&f, GOSSIP_KIND_PING), 1);
    assert_int_equal (count_sends (&f, GOSSIP_KIND_PING_REQUEST), 3);
    uint64_t down_ms = f.now_ms;
    step (&f, &event); /* the next attempt to reconnect fails, too */
    assert_int_equal (f.output->sends_count, 0);
    tick_until (&f, down_ms + 199, 0);
    assert_state (&f, 4, GOSSIP_ALIVE, 1);
    tick_until (&f, down_ms + 200, 0);
    assert_state (&f, 4, GOSSIP_SUSPECT, 1);
    step (&f, &event);
    assert_null (find_send (&f, GOSSIP_KIND_PING));
    event.uuid = uuid_of (SELF);
    step (&f, &event);
    event.uuid = uuid_of (99);
    step (&f, &event);
    assert_int_equal (f.output->sends_count, 0);
    fixture_close (&f);
}

/* S2, without any seed: the dead one is tried again, and all is exchanged when it answers. */
static void test_gossip_probe__keeps_trying_the_dead (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 2);
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (9, 1, GOSSIP_DEAD));
    const struct gossip_send *ping = NULL;
    for (int i = 0; i < 20; i++) {
        ping = tick_until (&f, f.now_ms + 3000, GOSSIP_KIND_PING);
        if (ping != NULL && bytes_get_u32 (ping->to.b + 12) == 9)
            break;
    }
    assert_non_null (ping);
    assert_int_equal (bytes_get_u32 (ping->to.b + 12), 9);
    assert_true (f.now_ms <= NOW_MS + 6000);
    const struct gossip_record *verdict = find_record (ping->message, 9); /* so that it can refute */
    assert_non_null (verdict);
    assert_int_equal (verdict->state, GOSSIP_DEAD);
    struct gossip_message ack = message_from (9, GOSSIP_KIND_ACK);
    ack.sequence = ping->message->sequence;
    ack.self.incarnation = 2;
    receive (&f, &ack);
    assert_state (&f, 9, GOSSIP_ALIVE, 2);
    const struct gossip_send *push = find_send (&f, GOSSIP_KIND_PUSH);
    assert_non_null (push);
    assert_int_equal (bytes_get_u32 (push->to.b + 12), 9);
    fixture_close (&f);
}

static void test_gossip_relay__pings_for_others_and_says_nack (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 3);
    struct gossip_message request = message_from (2, GOSSIP_KIND_PING_REQUEST);
    request.has_target = true;
    request.target = uuid_of (3);
    request.sequence = 55;
    receive (&f, &request);
    const struct gossip_send *ping = find_send (&f, GOSSIP_KIND_PING);
    assert_non_null (ping);
    assert_memory_equal (ping->to.b, request.target.b, ID_SIZE);
    uint64_t asked_ms = f.now_ms, relayed = ping->message->sequence;
    assert_int_not_equal (relayed, 55);
    const struct gossip_send *nack = tick_until (&f, asked_ms + 160, GOSSIP_KIND_NACK);
    assert_non_null (nack);
    assert_int_equal (f.now_ms, asked_ms + 160);
    assert_int_equal (nack->message->sequence, 55);
    assert_memory_equal (nack->to.b, uuid_of (2).b, ID_SIZE);
    answer (&f, 2, GOSSIP_KIND_ACK, relayed, NULL); /* not the target's word */
    assert_null (find_send (&f, GOSSIP_KIND_ACK));
    answer (&f, 3, GOSSIP_KIND_ACK, relayed, NULL); /* late, and still good */
    const struct gossip_send *ack = find_send (&f, GOSSIP_KIND_ACK);
    assert_non_null (ack);
    assert_int_equal (ack->message->sequence, 55);
    assert_memory_equal (ack->message->target.b, request.target.b, ID_SIZE);
    fixture_close (&f);
}

/* S4: only known members, at the addresses that they told; 64 at a time. */
static void test_gossip_relay__cannot_be_aimed_or_exhausted (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 3);
    struct gossip_message request = message_from (2, GOSSIP_KIND_PING_REQUEST);
    receive (&f, &request);
    assert_int_equal (f.output->counts[GOSSIP_COUNT_INVALID], 1);
    request.has_target = true;
    request.target = uuid_of (88);
    receive (&f, &request);
    assert_null (find_send (&f, GOSSIP_KIND_PING));
    assert_non_null (find_send (&f, GOSSIP_KIND_NACK));
    request.target = uuid_of (3);
    for (int i = 0; i < GOSSIP_RELAYS_MAX; i++) {
        receive (&f, &request);
        assert_non_null (find_send (&f, GOSSIP_KIND_PING));
    }
    receive (&f, &request);
    assert_null (find_send (&f, GOSSIP_KIND_PING));
    assert_non_null (find_send (&f, GOSSIP_KIND_NACK));
    tick_until (&f, f.now_ms + 500, 0);
    receive (&f, &request);
    assert_non_null (find_send (&f, GOSSIP_KIND_PING));
    fixture_close (&f);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_gossip_probe__asks_everybody_once_a_round),
        cmocka_unit_test (test_gossip_probe__answers_pings),
        cmocka_unit_test (test_gossip_probe__asks_through_others_before_it_suspects),
        cmocka_unit_test (test_gossip_probe__suspects_whom_nobody_reaches),
        cmocka_unit_test (test_gossip_probe__doubts_itself_when_helpers_are_silent),
        cmocka_unit_test (test_gossip_probe__believes_only_the_ack_it_waits_for),
        cmocka_unit_test (test_gossip_probe__follows_a_broken_connection_at_once),
        cmocka_unit_test (test_gossip_probe__keeps_trying_the_dead),
        cmocka_unit_test (test_gossip_relay__pings_for_others_and_says_nack),
        cmocka_unit_test (test_gossip_relay__cannot_be_aimed_or_exhausted),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
