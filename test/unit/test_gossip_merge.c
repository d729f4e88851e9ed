/* What a node believes of others: the greater (incarnation, state) wins; only the member itself refutes. */
#include "test/support/gossip_fixture.h"

static void test_gossip_merge__orders_by_incarnation_and_state (void **state)
{
    (void) state;
    static const enum gossip_state states[] = {GOSSIP_ALIVE, GOSSIP_SUSPECT, GOSSIP_DEAD, GOSSIP_LEFT};
    for (uint64_t inc_a = 1; inc_a <= 3; inc_a++)
        for (int a = 0; a < 4; a++)
            for (uint64_t inc_b = 1; inc_b <= 3; inc_b++)
                for (int b = 0; b < 4; b++) {
                    struct fixture f;
                    fixture_open (&f);
                    meet (&f, 3);
                    hear (&f, 3, GOSSIP_KIND_UPDATE, record_of (9, inc_a, states[a]));
                    hear (&f, 3, GOSSIP_KIND_UPDATE, record_of (9, inc_b, states[b]));
                    bool second = inc_b > inc_a || (inc_b == inc_a && states[b] > states[a]);
                    assert_state (&f, 9, second ? states[b] : states[a], second ? inc_b : inc_a);
                    fixture_close (&f);
                }
}

static void test_gossip_merge__tells_each_change_once (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 3);
    hear (&f, 3, GOSSIP_KIND_UPDATE, record_of (2, 1, GOSSIP_SUSPECT));
    assert_int_equal (f.output->notices_count, 1);
    assert_int_equal (f.output->notices[0].type, GOSSIP_NOTICE_MEMBER);
    assert_int_equal (f.output->notices[0].before, GOSSIP_ALIVE);
    assert_int_equal (f.output->notices[0].after, GOSSIP_SUSPECT);
    assert_int_equal (f.output->notices[0].node, 2);
    hear (&f, 3, GOSSIP_KIND_UPDATE, record_of (2, 1, GOSSIP_SUSPECT));
    assert_int_equal (f.output->notices_count, 0);
    struct gossip_record moved = record_of (2, 2, GOSSIP_ALIVE);
    moved.peer_endpoint = endpoint_of (77);
    hear (&f, 3, GOSSIP_KIND_UPDATE, moved);
    assert_int_equal (f.output->notices[0].before, GOSSIP_SUSPECT);
    assert_int_equal (f.output->notices[0].after, GOSSIP_ALIVE);
    assert_int_equal (f.output->notices[0].incarnation, 2);
    assert_string_equal (member (&f, 2)->peer_endpoint, "tcp://10.0.0.1:7077");
    fixture_close (&f);
}

static void test_gossip_merge__refutes_what_is_said_about_itself (void **state)
{
    (void) state;
    static const enum gossip_state claims[] = {GOSSIP_SUSPECT, GOSSIP_DEAD, GOSSIP_LEFT};
    for (int i = 0; i < 3; i++) {
        struct fixture f;
        fixture_open (&f);
        meet (&f, 3);
        hear (&f, 3, GOSSIP_KIND_PING, record_of (SELF, 5, claims[i]));
        assert_state (&f, SELF, GOSSIP_ALIVE, 6);
        assert_true (f.output->persist);
        assert_int_equal (f.output->persist_incarnation, 6);
        assert_int_equal (f.output->counts[GOSSIP_COUNT_REFUTED], 1);
        assert_int_equal (gossip_local_health (f.gossip), 1);
        /* The answer to that very ping carries the refutation. */
        const struct gossip_send *ack = find_send (&f, GOSSIP_KIND_ACK);
        assert_non_null (ack);
        assert_int_equal (ack->message->self.incarnation, 6);
        hear (&f, 3, GOSSIP_KIND_PING, record_of (SELF, 5, claims[i])); /* old news */
        assert_false (f.output->persist);
        assert_state (&f, SELF, GOSSIP_ALIVE, 6);
        fixture_close (&f);
    }
}

/* S1: the folder was put back from a copy; the cluster remembers a later life. */
static void test_gossip_merge__overtakes_its_own_future (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 2);
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (SELF, 900, GOSSIP_ALIVE));
    assert_state (&f, SELF, GOSSIP_ALIVE, 901);
    assert_int_equal (f.output->persist_incarnation, 901);
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (SELF, 901, GOSSIP_ALIVE));
    assert_false (f.output->persist);
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (SELF, GOSSIP_INCARNATION_MAX, GOSSIP_DEAD));
    assert_state (&f, SELF, GOSSIP_ALIVE, 901);
    assert_int_equal (f.output->counts[GOSSIP_COUNT_INVALID], 1);
    fixture_close (&f);
}

/* S2: the other half's table calls half of the cluster dead; nobody dies of it before a chance to refute. */
static void test_gossip_merge__takes_a_tables_dead_for_suspects (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 4);
    hear (&f, 3, GOSSIP_KIND_PUSH, record_of (2, 1, GOSSIP_DEAD));
    assert_state (&f, 2, GOSSIP_SUSPECT, 1);
    hear (&f, 3, GOSSIP_KIND_PULL, record_of (4, 1, GOSSIP_LEFT)); /* its own word: final */
    assert_state (&f, 4, GOSSIP_LEFT, 1);
    hear (&f, 3, GOSSIP_KIND_PULL, record_of (5, 1, GOSSIP_DEAD)); /* never met: nothing to lose */
    assert_state (&f, 5, GOSSIP_DEAD, 1);
    hear (&f, 3, GOSSIP_KIND_UPDATE, record_of (2, 1, GOSSIP_DEAD)); /* a fresh rumour counts at once */
    assert_state (&f, 2, GOSSIP_DEAD, 1);
    fixture_close (&f);
}

static void test_gossip_merge__refuses_invalid_records (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 2);
    struct gossip_record wrong[10];
    for (int i = 0; i < 10; i++)
        wrong[i] = record_of (9, 1, GOSSIP_ALIVE);
    wrong[0].uuid = (struct id){{0}};
    wrong[1].incarnation = 0;
    wrong[2].incarnation = GOSSIP_INCARNATION_MAX + 1;
    wrong[3].state = 0;
    wrong[4].state = 5;
    wrong[5].node = 0;
    wrong[6].node = UINT64_C (1) << 32;
    wrong[7].gossip_endpoint = (struct bytes){0};
    wrong[8].peer_endpoint = BYTES_LITERAL ("tcp://a\0b:1");
    wrong[9].client_endpoint = BYTES_LITERAL ("tcp://0123456789012345678901234567890123456789"
                                              "012345678901234567890123456789012345678901234567890:1");
    assert_int_equal (wrong[9].client_endpoint.len, GOSSIP_ENDPOINT_BYTES_MAX + 3);
    for (int i = 0; i < 10; i++) {
        hear (&f, 2, GOSSIP_KIND_UPDATE, wrong[i]);
        assert_int_equal (f.output->counts[GOSSIP_COUNT_INVALID], 1);
        assert_int_equal (gossip_members_count (f.gossip), 2);
    }
    fixture_close (&f);
}

static void test_gossip_message__refuses_strangers (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    struct gossip_message message = message_from (2, GOSSIP_KIND_PING);
    message.cluster = uuid_of (499);
    receive (&f, &message);
    assert_int_equal (f.output->counts[GOSSIP_COUNT_OTHER_CLUSTER], 1);
    message = message_from (2, GOSSIP_KIND_PING);
    message.to = uuid_of (8); /* S3: for the one who had this address before */
    receive (&f, &message);
    assert_int_equal (f.output->counts[GOSSIP_COUNT_OTHER_UUID], 1);
    message = message_from (SELF, GOSSIP_KIND_PING);
    receive (&f, &message);
    assert_int_equal (f.output->counts[GOSSIP_COUNT_OWN_UUID], 1);
    message = message_from (2, 8);
    receive (&f, &message);
    assert_int_equal (f.output->counts[GOSSIP_COUNT_INVALID], 1);
    message = message_from (2, GOSSIP_KIND_PING);
    message.self.state = GOSSIP_DEAD;
    receive (&f, &message);
    assert_int_equal (f.output->counts[GOSSIP_COUNT_INVALID], 1);
    assert_int_equal (f.output->sends_count, 0);
    assert_int_equal (gossip_members_count (f.gossip), 1);
    fixture_close (&f);
}

static void test_gossip_new__refuses_wrong_configurations (void **state)
{
    (void) state;
    struct gossip *gossip = NULL;
    struct gossip_config wrong[8];
    for (int i = 0; i < 8; i++)
        wrong[i] = fixture_config ();
    wrong[0].cluster = (struct id){{0}};
    wrong[1].uuid = (struct id){{0}};
    wrong[2].node = 0;
    wrong[3].incarnation = 0;
    wrong[4].peer_endpoint = (struct bytes){0};
    wrong[5].suspicion_alpha = 0;
    wrong[6].probe_timeout_ms = wrong[6].probe_interval_ms;
    wrong[7].indirect_count = GOSSIP_INDIRECT_MAX + 1;
    for (int i = 0; i < 8; i++) {
        assert_int_equal (gossip_new (&wrong[i], &gossip), STATUS_INVALID_ARGUMENT);
        assert_null (gossip);
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_gossip_merge__orders_by_incarnation_and_state),
        cmocka_unit_test (test_gossip_merge__tells_each_change_once),
        cmocka_unit_test (test_gossip_merge__refutes_what_is_said_about_itself),
        cmocka_unit_test (test_gossip_merge__overtakes_its_own_future),
        cmocka_unit_test (test_gossip_merge__takes_a_tables_dead_for_suspects),
        cmocka_unit_test (test_gossip_merge__refuses_invalid_records),
        cmocka_unit_test (test_gossip_message__refuses_strangers),
        cmocka_unit_test (test_gossip_new__refuses_wrong_configurations),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
