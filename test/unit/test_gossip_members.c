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

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_gossip_members__are_sorted_and_found),
        cmocka_unit_test (test_gossip_members__are_capped),
        cmocka_unit_test (test_gossip_members__finds_the_living_owner_of_a_position),
        cmocka_unit_test (test_gossip_members__forgets_whom_the_cluster_removed),
        cmocka_unit_test (test_gossip_join__contacts_every_other_seed_until_somebody_answers),
        cmocka_unit_test (test_gossip_pushpull__exchanges_whole_tables),
        cmocka_unit_test (test_gossip_leave__says_goodbye_and_falls_silent),
        cmocka_unit_test (test_gossip_leave__tells_a_small_cluster_often_enough),
        cmocka_unit_test (test_gossip_wall__median_ignores_a_minority),
        cmocka_unit_test (test_gossip_step__is_deterministic),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
