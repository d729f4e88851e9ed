/* The table and its bounds, joining, leaving, forgetting, whole tables, clocks. */
#include "test/support/gossip_fixture.h"

static void test_gossip_members__are_sorted_and_found (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    for (uint32_t i = 0; i < 67; i++) {
        struct gossip_message message = message_from (200 - 3 * i, GOSSIP_KIND_UPDATE);
        receive (&f, &message);
    }
    assert_int_equal (gossip_members_count (f.gossip), 68);
    for (size_t i = 1; i < gossip_members_count (f.gossip); i++)
        assert_true (id_compare (&gossip_member_at (f.gossip, i - 1)->uuid, &gossip_member_at (f.gossip, i)->uuid) < 0);
    assert_non_null (member (&f, 200));
    assert_null (member (&f, 199));
    assert_ptr_equal (gossip_self (f.gossip), member (&f, SELF));
    fixture_close (&f);
}

/* S4: 256 members. The living stay, those who left go before the dead, the longest gone first. */
static void test_gossip_members__are_capped (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 250);
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (251, 1, GOSSIP_DEAD));
    f.now_ms += 10;
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (252, 1, GOSSIP_LEFT));
    for (uint32_t n = 253; n <= 256; n++)
        hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (n, 1, GOSSIP_ALIVE));
    assert_int_equal (gossip_members_count (f.gossip), GOSSIP_MEMBERS_MAX);
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (300, 1, GOSSIP_DEAD)); /* nobody makes room for the dead */
    assert_int_equal (f.output->counts[GOSSIP_COUNT_TABLE_FULL], 1);
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (301, 1, GOSSIP_ALIVE));
    assert_null (member (&f, 252));
    assert_non_null (member (&f, 251));
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (302, 1, GOSSIP_ALIVE));
    assert_null (member (&f, 251));
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (303, 1, GOSSIP_ALIVE));
    assert_int_equal (f.output->counts[GOSSIP_COUNT_TABLE_FULL], 1);
    assert_null (member (&f, 303));
    assert_non_null (member (&f, SELF));
    /* A stranger for whom there is no room gets no answer, and does no harm. */
    struct gossip_message ping = message_from (304, GOSSIP_KIND_PING);
    receive (&f, &ping);
    assert_int_equal (f.output->sends_count, 0);
    fixture_close (&f);
}

static void test_gossip_members__finds_the_living_owner_of_a_position (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 3);
    assert_ptr_equal (gossip_member_by_node (f.gossip, 3), member (&f, 3));
    struct gossip_record exchanged = record_of (90, 1, GOSSIP_ALIVE); /* a new folder at position 3 */
    exchanged.node = 3;
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (3, 1, GOSSIP_DEAD));
    f.now_ms += 5;
    hear (&f, 2, GOSSIP_KIND_UPDATE, exchanged);
    assert_ptr_equal (gossip_member_by_node (f.gossip, 3), member (&f, 90));
    assert_null (gossip_member_by_node (f.gossip, 44));
    fixture_close (&f);
}

static void test_gossip_members__forgets_whom_the_cluster_removed (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 3);
    struct gossip_event event = {.type = GOSSIP_FORGET, .uuid = uuid_of (3)};
    step (&f, &event);
    assert_non_null (member (&f, 3)); /* still ALIVE: it must be stopped first */
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (3, 1, GOSSIP_DEAD));
    step (&f, &event);
    assert_null (member (&f, 3));
    hear (&f, 2, GOSSIP_KIND_PUSH, record_of (3, 1, GOSSIP_DEAD)); /* others have not forgotten it yet */
    assert_null (member (&f, 3));
    event.uuid = uuid_of (SELF);
    step (&f, &event);
    assert_non_null (member (&f, SELF));
    fixture_close (&f);
}

/* Each who forgets it would tell the others of it as of news, and hear it from them again. */
static void test_gossip_members__who_is_suspected_stays_forgotten (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 3);
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (3, 1, GOSSIP_SUSPECT));
    assert_non_null (member (&f, 3));
    struct gossip_event event = {.type = GOSSIP_FORGET, .uuid = uuid_of (3)};
    step (&f, &event);
    assert_null (member (&f, 3));
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (3, 1, GOSSIP_SUSPECT));
    assert_null (member (&f, 3));
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (3, 2, GOSSIP_ALIVE)); /* it lives all the same */
    assert_non_null (member (&f, 3));
    fixture_close (&f);
}

static void test_gossip_join__contacts_every_other_seed_until_somebody_answers (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    const struct bytes seeds[] = {endpoint_of (SELF), endpoint_of (2), endpoint_of (2), endpoint_of (3), {0}};
    struct gossip_event event = {.type = GOSSIP_JOIN, .seeds = seeds, .seeds_count = 5};
    step (&f, &event);
    assert_int_equal (f.output->sends_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal (f.output->sends[i].message->kind, GOSSIP_KIND_PUSH);
        assert_false (f.output->sends[i].message->has_to);
        assert_true (id_is_zero (&f.output->sends[i].to));
    }
    assert_true (bytes_equal (f.output->sends[0].endpoint, endpoint_of (2)));
    assert_true (bytes_equal (f.output->sends[1].endpoint, endpoint_of (3)));
    uint64_t joined_ms = f.now_ms;
    size_t tries = 0;
    while (f.output->next_tick_ms <= joined_ms + 10000) {
        tick_at (&f, f.output->next_tick_ms);
        tries += count_sends (&f, GOSSIP_KIND_PUSH);
    }
    assert_in_range (tries, 20, 24); /* both, once a second, and now and then one of them besides */
    struct gossip_message pull = message_from (2, GOSSIP_KIND_PULL);
    receive (&f, &pull);
    for (size_t i = 0; i < 100; i++) { /* seed 3 is still looked for, but no more than the dead are */
        const struct gossip_send *push = tick_until (&f, f.now_ms + 100, GOSSIP_KIND_PUSH);
        tries += push != NULL && bytes_equal (push->endpoint, endpoint_of (3));
    }
    assert_in_range (tries, 22, 29);
    fixture_close (&f);
}

static void test_gossip_pushpull__exchanges_whole_tables (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 100);
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (3, 1, GOSSIP_DEAD));
    const struct gossip_lead lead = {.shard = 6, .term = 2};
    gossip_set_local_hints (f.gossip, &lead, 1);
    struct gossip_message push = message_from (2, GOSSIP_KIND_PUSH);
    push.has_to = false;
    receive (&f, &push);
    const struct gossip_send *pull = find_send (&f, GOSSIP_KIND_PULL);
    assert_non_null (pull);
    assert_int_equal (pull->message->records_count, 99);
    assert_null (find_record (pull->message, SELF)); /* that is in every message anyway */
    assert_int_equal (find_record (pull->message, 3)->state, GOSSIP_DEAD);
    assert_int_equal (pull->message->hints_count, 1);
    uint64_t started_ms = f.now_ms;
    assert_non_null (tick_until (&f, started_ms + 15000 * 5 / 4, GOSSIP_KIND_PUSH));
    fixture_close (&f);
}

static void test_gossip_leave__says_goodbye_and_falls_silent (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 40);
    struct gossip_event event = {.type = GOSSIP_LEAVE};
    step (&f, &event);
    assert_int_equal (f.output->sends_count, GOSSIP_GOODBYES_MAX);
    assert_int_equal (f.output->sends[0].message->self.state, GOSSIP_LEFT);
    assert_true (gossip_left (f.gossip)); /* 32 is more than lambda x log2 (41) */
    hear (&f, 2, GOSSIP_KIND_PING, record_of (SELF, 5, GOSSIP_DEAD));
    assert_int_equal (gossip_self (f.gossip)->incarnation, 5); /* no refuting any more */
    assert_false (f.output->persist);
    assert_int_equal (find_send (&f, GOSSIP_KIND_ACK)->message->self.state, GOSSIP_LEFT);
    assert_null (tick_until (&f, f.now_ms + 5000, GOSSIP_KIND_PING));
    fixture_close (&f);
}

static void test_gossip_leave__tells_a_small_cluster_often_enough (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 3);
    struct gossip_event event = {.type = GOSSIP_LEAVE};
    step (&f, &event);
    assert_int_equal (f.output->sends_count, 2);
    assert_false (gossip_left (f.gossip));
    tick_until (&f, f.now_ms + 1000, 0);
    assert_true (gossip_left (f.gossip));
    fixture_close (&f);
    fixture_open (&f);
    step (&f, &event);
    assert_true (gossip_left (f.gossip)); /* nobody to tell */
    fixture_close (&f);
}

static void set_clock (struct fixture *f, uint32_t n, uint64_t wall_ms)
{
    struct gossip_message message = message_from (n, GOSSIP_KIND_UPDATE);
    message.wall_ms = wall_ms;
    receive (f, &message);
}

static void test_gossip_wall__median_ignores_a_minority (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    uint64_t true_ms = UINT64_C (1700000000000) + NOW_MS;
    assert_int_equal (gossip_wall_median_ms (f.gossip, NOW_MS, 60000), true_ms);
    set_clock (&f, 2, true_ms + UINT64_C (315360000000));
    set_clock (&f, 3, true_ms + 7);
    assert_int_equal (gossip_wall_median_ms (f.gossip, NOW_MS, 60000), true_ms + 7);
    assert_int_equal (gossip_wall_median_ms (f.gossip, NOW_MS + 500, 60000), true_ms + 507);
    set_clock (&f, 4, 0);
    set_clock (&f, 5, UINT64_MAX);
    assert_int_equal (gossip_wall_median_ms (f.gossip, NOW_MS, 60000), true_ms + 7);
    int64_t offsets[8];
    assert_int_equal (gossip_wall_offsets (f.gossip, NOW_MS, 60000, offsets, 8), 5);
    assert_int_equal (offsets[0], INT64_C (1700000000000));
    assert_int_equal (gossip_wall_offsets (f.gossip, NOW_MS, 60000, offsets, 3), 3);
    /* More than half of all nodes must have been heard of, this one included. */
    assert_int_equal (gossip_wall_agreed_ms (f.gossip, NOW_MS, 60000, 9), true_ms + 7);
    assert_int_equal (gossip_wall_agreed_ms (f.gossip, NOW_MS, 60000, 10), 0);
    assert_int_equal (gossip_wall_agreed_ms (f.gossip, NOW_MS + 60001, 60000, 3), 0);
    /* Those not heard for long, and those not ALIVE, do not count. */
    assert_int_equal (gossip_wall_offsets (f.gossip, NOW_MS + 60001, 60000, offsets, 8), 1);
    hear (&f, 3, GOSSIP_KIND_UPDATE, accused (2, 1, 3));
    assert_int_equal (gossip_wall_offsets (f.gossip, NOW_MS, 60000, offsets, 8), 4);
    fixture_close (&f);
}

static void test_gossip_step__is_deterministic (void **state)
{
    (void) state;
    struct fixture a, b;
    fixture_open (&a);
    fixture_open (&b);
    meet (&a, 20);
    meet (&b, 20);
    for (int i = 0; i < 500; i++) {
        assert_int_equal (a.output->next_tick_ms, b.output->next_tick_ms);
        assert_int_equal (a.output->sends_count, b.output->sends_count);
        for (size_t s = 0; s < a.output->sends_count; s++)
            assert_memory_equal (a.output->sends[s].to.b, b.output->sends[s].to.b, ID_SIZE);
        tick_at (&a, a.output->next_tick_ms);
        tick_at (&b, b.output->next_tick_ms);
    }
    fixture_close (&a);
    fixture_close (&b);
}

/* Two folders that claim one position and are both alive, or both gone: the latest change counts. */
static void test_gossip_members__finds_the_latest_owner_of_a_position (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    for (uint32_t n = 3; n >= 2; n--) { /* in both orders of their uuids */
        for (uint32_t k = 0; k < 2; k++) {
            uint32_t sender = k == 0 ? n : 5 - n;
            f.now_ms += 1000;
            struct gossip_message message = message_from (sender, GOSSIP_KIND_UPDATE);
            message.self.node = 7;
            message.self.incarnation = 10 - n;
            message.self.state = n == 3 ? GOSSIP_ALIVE : GOSSIP_LEFT;
            receive (&f, &message);
        }
        struct id latest = uuid_of (5 - n);
        const struct gossip_member *found = gossip_member_by_node (f.gossip, 7);
        assert_non_null (found);
        assert_true (id_equal (&found->uuid, &latest));
    }
    assert_null (gossip_member_by_node (f.gossip, 99));
    fixture_close (&f);
}

static void test_gossip_new__refuses_what_is_out_of_bounds (void **state)
{
    (void) state;
    const struct gossip_config good = fixture_config ();
    struct gossip_config bad[12];
    for (size_t i = 0; i < 12; i++)
        bad[i] = good;
    bad[0].probe_interval_ms = 0;
    bad[1].pushpull_interval_ms = 3600 * 1000 + 1;
    bad[2].probe_timeout_ms = bad[2].probe_interval_ms; /* no time left for the others to try */
    bad[3].indirect_count = GOSSIP_INDIRECT_MAX + 1;
    bad[4].spread_count = GOSSIP_INDIRECT_MAX + 1;
    bad[5].confirmations = GOSSIP_CONFIRMATIONS_MAX + 1;
    bad[6].awareness_max = 65;
    bad[7].retransmit_mult = 65;
    bad[8].suspicion_alpha = 1001;
    bad[9].suspicion_beta = 1001;
    bad[10].node = 0;
    bad[11].gossip_endpoint.len = GOSSIP_ENDPOINT_BYTES_MAX + 1;
    struct gossip *gossip = NULL;
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal (gossip_new (&bad[i], &gossip), STATUS_INVALID_ARGUMENT);
        assert_null (gossip);
    }
    assert_int_equal (gossip_new (&good, &gossip), STATUS_OK);
    gossip_destroy (&gossip);
}

/* What the codec would not have let through is counted, and changes nothing. */
static void test_gossip_step__drops_messages_out_of_shape (void **state)
{
    (void) state;
    static struct gossip_record records[GOSSIP_RECORDS_MAX + 1];
    static struct leader_hint hints[GOSSIP_HINTS_MAX + 1];
    struct fixture f;
    fixture_open (&f);
    for (int wrong = 0; wrong < 6; wrong++) {
        struct gossip_message message = message_from (2, GOSSIP_KIND_UPDATE);
        message.records = records;
        message.hints = hints;
        switch (wrong) {
        case 0:
            message.kind = 0;
            break;
        case 1:
            message.kind = GOSSIP_KIND_PULL + 1;
            break;
        case 2:
            message.self.state = GOSSIP_SUSPECT; /* nobody calls itself that */
            break;
        case 3:
            message.records_count = GOSSIP_RECORDS_MAX + 1;
            break;
        case 4:
            message.hints_count = GOSSIP_HINTS_MAX + 1;
            break;
        default:
            message.self.node = 0;
        }
        receive (&f, &message);
        assert_int_equal (f.output->counts[GOSSIP_COUNT_INVALID], 1);
        assert_int_equal (gossip_members_count (f.gossip), 1);
    }
    assert_string_equal (gossip_state_name (GOSSIP_LEFT), "LEFT");
    assert_string_equal (gossip_state_name ((enum gossip_state) 9), "INVALID_STATE");
    fixture_close (&f);
}

/* A clock that says less than the time since boot gives no time before 1970. */
static void test_gossip_wall__never_goes_below_zero (void **state)
{
    (void) state;
    struct fixture f;
    int64_t offset;
    fixture_open (&f);
    struct gossip_event event = {.type = GOSSIP_TICK, .now_ms = f.now_ms, .wall_ms = 10};
    gossip_step (f.gossip, &event, f.effects);
    assert_int_equal (gossip_wall_median_ms (f.gossip, f.now_ms, 1000), 10);
    assert_int_equal (gossip_wall_median_ms (f.gossip, 5, 1000), 0);
    assert_int_equal (gossip_wall_offsets (f.gossip, f.now_ms, 1000, &offset, 0), 0);
    assert_int_equal (gossip_wall_offsets (f.gossip, f.now_ms, 1000, &offset, 1), 1);
    fixture_close (&f);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_gossip_members__are_sorted_and_found),
        cmocka_unit_test (test_gossip_members__are_capped),
        cmocka_unit_test (test_gossip_members__finds_the_living_owner_of_a_position),
        cmocka_unit_test (test_gossip_members__forgets_whom_the_cluster_removed),
        cmocka_unit_test (test_gossip_members__who_is_suspected_stays_forgotten),
        cmocka_unit_test (test_gossip_join__contacts_every_other_seed_until_somebody_answers),
        cmocka_unit_test (test_gossip_pushpull__exchanges_whole_tables),
        cmocka_unit_test (test_gossip_leave__says_goodbye_and_falls_silent),
        cmocka_unit_test (test_gossip_leave__tells_a_small_cluster_often_enough),
        cmocka_unit_test (test_gossip_wall__median_ignores_a_minority),
        cmocka_unit_test (test_gossip_step__is_deterministic),
        cmocka_unit_test (test_gossip_members__finds_the_latest_owner_of_a_position),
        cmocka_unit_test (test_gossip_new__refuses_what_is_out_of_bounds),
        cmocka_unit_test (test_gossip_step__drops_messages_out_of_shape),
        cmocka_unit_test (test_gossip_wall__never_goes_below_zero),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
