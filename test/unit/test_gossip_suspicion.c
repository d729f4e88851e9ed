/* Lifeguard: timeouts that shrink with confirmations, and a node that doubts itself first. */
#include "test/support/gossip_fixture.h"

static void test_gossip_log2__is_exact_on_powers_and_monotone (void **state)
{
    (void) state;
    for (uint32_t bit = 0; bit < 32; bit++)
        assert_int_equal (gossip_log2_q16 (UINT32_C (1) << bit), bit << 16);
    assert_in_range (gossip_log2_q16 (10), 217705, 217707); /* 3.321928 x 65536 */
    assert_in_range (gossip_log2_q16 (3), 103871, 103873);  /* 1.584963 x 65536 */
    for (uint32_t x = 1; x < 1000; x++)
        assert_true (gossip_log2_q16 (x) < gossip_log2_q16 (x + 1));
}

static const struct gossip_suspicion *suspicion_of (const struct fixture *f, uint32_t n)
{
    struct id uuid = uuid_of (n);
    return &gossip_members_find (f->gossip, &uuid)->suspicion;
}

static void test_gossip_suspicion__shrinks_with_independent_confirmations (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 10);
    hear (&f, 3, GOSSIP_KIND_UPDATE, accused (2, 1, 3));
    uint64_t min_ms = UINT64_C (4) * 500;
    assert_int_equal (suspicion_of (&f, 2)->min_ms, min_ms); /* log10 (10) is 1 */
    assert_int_equal (gossip_suspicion_timeout_ms (suspicion_of (&f, 2)), 6 * min_ms);
    hear (&f, 4, GOSSIP_KIND_UPDATE, accused (2, 1, 3)); /* the same accuser: no confirmation */
    assert_int_equal (gossip_suspicion_timeout_ms (suspicion_of (&f, 2)), 6 * min_ms);
    hear (&f, 4, GOSSIP_KIND_UPDATE, accused (2, 1, 4));
    assert_int_equal (gossip_suspicion_timeout_ms (suspicion_of (&f, 2)), 7 * min_ms / 2); /* log 2 / log 4: half-way */
    hear (&f, 5, GOSSIP_KIND_UPDATE, accused (2, 1, 5));
    hear (&f, 6, GOSSIP_KIND_UPDATE, accused (2, 1, 6));
    assert_int_equal (gossip_suspicion_timeout_ms (suspicion_of (&f, 2)), min_ms);
    hear (&f, 7, GOSSIP_KIND_UPDATE, accused (2, 1, 7)); /* K came already */
    assert_int_equal (suspicion_of (&f, 2)->accusers_count, 4);
    fixture_close (&f);
}

/* S4: names that nobody knows are all the sender's. */
static void test_gossip_suspicion__counts_unknown_accusers_as_the_sender (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 10);
    for (uint32_t forged = 100; forged < 110; forged++)
        hear (&f, 3, GOSSIP_KIND_UPDATE, accused (2, 1, forged));
    hear (&f, 3, GOSSIP_KIND_UPDATE, accused (2, 1, 2)); /* nobody suspects himself */
    assert_int_equal (suspicion_of (&f, 2)->accusers_count, 1);
    fixture_close (&f);
}

static void test_gossip_suspicion__ends_in_death_at_its_timeout (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 2);
    hear (&f, 2, GOSSIP_KIND_UPDATE, record_of (9, 1, GOSSIP_SUSPECT)); /* three live ones: one can confirm */
    uint64_t timeout_ms = gossip_suspicion_timeout_ms (suspicion_of (&f, 9));
    assert_int_equal (timeout_ms, 6 * 4 * 500);
    uint64_t start_ms = f.now_ms;
    tick_until (&f, start_ms + 1000, 0);
    hear (&f, 2, GOSSIP_KIND_UPDATE, accused (9, 1, SELF)); /* an echo of the own name confirms, too */
    assert_int_equal (gossip_suspicion_timeout_ms (suspicion_of (&f, 9)), 4 * 500);
    tick_until (&f, start_ms + 1999, 0);
    assert_state (&f, 9, GOSSIP_SUSPECT, 1);
    tick_until (&f, start_ms + 2001, 0);
    assert_state (&f, 9, GOSSIP_DEAD, 1);
    fixture_close (&f);
}

static void test_gossip_suspicion__is_void_after_a_refutation (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 10);
    hear (&f, 3, GOSSIP_KIND_UPDATE, accused (2, 1, 3));
    hear (&f, 4, GOSSIP_KIND_UPDATE, accused (2, 1, 4));
    hear (&f, 5, GOSSIP_KIND_UPDATE, accused (2, 2, 5)); /* a newer one starts over */
    assert_int_equal (suspicion_of (&f, 2)->accusers_count, 1);
    hear (&f, 5, GOSSIP_KIND_UPDATE, record_of (2, 3, GOSSIP_ALIVE));
    assert_false (suspicion_of (&f, 2)->active);
    tick_until (&f, f.now_ms + 100, 0);
    assert_state (&f, 2, GOSSIP_ALIVE, 3);
    fixture_close (&f);
}

static void test_gossip_awareness__stays_in_its_bounds_and_scales (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    gossip_awareness_apply (f.gossip, -5);
    assert_int_equal (gossip_local_health (f.gossip), 0);
    assert_int_equal (gossip_awareness_scale (f.gossip, 500), 500);
    gossip_awareness_apply (f.gossip, 3);
    assert_int_equal (gossip_awareness_scale (f.gossip, 500), 2000);
    gossip_awareness_apply (f.gossip, 100);
    assert_int_equal (gossip_local_health (f.gossip), 8);
    gossip_awareness_apply (f.gossip, -1);
    assert_int_equal (gossip_local_health (f.gossip), 7);
    fixture_close (&f);
}

/* S5: SIGSTOP for a minute. Nobody is declared dead for what this node did not hear. */
static void test_gossip_awareness__forgives_others_its_own_pause (void **state)
{
    (void) state;
    struct fixture f;
    fixture_open (&f);
    meet (&f, 10);
    hear (&f, 3, GOSSIP_KIND_UPDATE, accused (2, 1, 3));
    tick_at (&f, f.now_ms + 60000);
    assert_int_equal (f.output->counts[GOSSIP_COUNT_STALLED], 1);
    assert_int_equal (gossip_local_health (f.gossip), 1);
    assert_state (&f, 2, GOSSIP_SUSPECT, 1);
    tick_at (&f, f.output->next_tick_ms + 50); /* late as the duties allow: no stall */
    assert_int_equal (f.output->counts[GOSSIP_COUNT_STALLED], 0);
    fixture_close (&f);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_gossip_log2__is_exact_on_powers_and_monotone),
        cmocka_unit_test (test_gossip_suspicion__shrinks_with_independent_confirmations),
        cmocka_unit_test (test_gossip_suspicion__counts_unknown_accusers_as_the_sender),
        cmocka_unit_test (test_gossip_suspicion__ends_in_death_at_its_timeout),
        cmocka_unit_test (test_gossip_suspicion__is_void_after_a_refutation),
        cmocka_unit_test (test_gossip_awareness__stays_in_its_bounds_and_scales),
        cmocka_unit_test (test_gossip_awareness__forgives_others_its_own_pause),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
