/* Linearizable reads: after a confirmed round, over a state that holds at least what had committed before it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/shard_world.h"

static struct shard_world world, *const w = &world;
static struct id offer;

static int set_up (void **state)
{
    (void) state;
    shard_world_init (w, NULL);
    offer = shard_world_offer (w, 1000);
    shard_world_run (w, 700); /* until the leader has nothing left to do for itself */
    return 0;
}

static int tear_down (void **state)
{
    (void) state;
    shard_world_close (w);
    return 0;
}

static uint64_t book (uint32_t node)
{
    return shard_world_book (w, node, &offer, 5, RESERVE_MODE_BOOK, NULL);
}

static uint64_t look_by (uint32_t node, uint64_t deadline_ms)
{
    struct principal anyone = {0};
    struct avail_query query = {.offer = offer, .first = 5};
    struct avail_check_request request = {.queries = &query, .queries_count = 1};
    return shard_world_call_by (w, node, METHOD_NUMBER_AVAIL_CHECK, &anyone, NULL, &request, deadline_ms);
}

static uint64_t look (uint32_t node)
{
    return look_by (node, 0);
}

static uint64_t seen (uint64_t token)
{
    struct avail_check_reply reply;
    shard_world_reply (w, shard_world_find (w, token), &avail_check_reply_type, &reply);
    return reply.rows[0].confirmed;
}

static bool waits (uint64_t token)
{
    return shard_world_find (w, token)->state == CALL_WAITING;
}

static void test_shard_reads__a_read_sees_what_was_answered_before (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    for (unsigned i = 1; i <= 5; i++) {
        shard_world_wait (w, book (leader));
        uint64_t token = look (leader);
        assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
        assert_int_equal (seen (token), i);
    }
    uint64_t last = shard_world_status (w, leader).last_index;
    shard_world_wait (w, look (leader));
    assert_int_equal (shard_world_status (w, leader).last_index, last); /* reads are no entries */
    shard_world_settle (w);
}

static void test_shard_reads__a_follower_refuses (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    shard_world_run (w, 200);
    struct shard_world_call *call = shard_world_wait (w, look (leader % 3 + 1));
    assert_string_equal (call->reason, "NOT_LEADER");
    assert_int_equal (call->leader_node, leader);
}

static void test_shard_reads__a_read_waits_until_the_state_has_what_committed (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    w->slow[leader] = true; /* the followers commit it; the leader applies it once its own disk has it */
    uint64_t write = book (leader);
    shard_world_run (w, 50);
    struct shard_status status = shard_world_status (w, leader);
    assert_int_equal (status.commit_index, status.applied_index + 1);
    assert_true (waits (write));
    uint64_t token = look (leader);
    shard_world_run (w, 100);
    assert_true (waits (token));
    w->slow[leader] = false;
    assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
    assert_int_equal (seen (token), 1);
    shard_world_settle (w);
}

static void test_shard_reads__a_confirmed_read_outlives_the_leadership (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    w->slow[leader] = true;
    uint64_t write = book (leader);
    shard_world_run (w, 50);
    uint64_t confirmed = look (leader);
    shard_world_run (w, 50); /* its round has come back, the state has not caught up */
    w->no_links = true;
    shard_world_isolate (w, leader, true);
    uint64_t unconfirmed = look (leader);
    shard_world_run (w, 3000); /* no quorum answers: the leader steps down */
    assert_int_not_equal (shard_world_status (w, leader).role, RAFT_LEADER);
    assert_string_equal (shard_world_find (w, unconfirmed)->reason, "NOT_LEADER");
    assert_true (shard_world_find (w, write)->maybe_applied);
    assert_true (waits (confirmed));
    w->slow[leader] = false;
    assert_int_equal (shard_world_wait (w, confirmed)->status, STATUS_OK);
    assert_int_equal (seen (confirmed), 1);
    shard_world_settle (w);
}

static void test_shard_reads__a_leader_that_is_cut_off_answers_nothing_stale (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    w->no_links = true;
    shard_world_isolate (w, leader, true);
    uint64_t token = look (leader);
    shard_world_run (w, 400);
    assert_true (waits (token));
    while (shard_world_leader (w) == leader || shard_world_leader (w) == 0)
        shard_world_run (w, 1);
    shard_world_wait (w, book (shard_world_leader (w)));
    shard_world_isolate (w, leader, false);
    struct shard_world_call *call = shard_world_wait (w, token);
    assert_int_equal (call->status, STATUS_UNAVAILABLE);
    assert_false (call->maybe_applied);
    shard_world_settle (w);
}

static void test_shard_reads__a_fresh_leader_waits_for_its_no_op (void **state)
{
    (void) state;
    uint32_t old = shard_world_leader (w), fresh = 0;
    shard_world_wait (w, book (old));
    shard_world_crash (w, old);
    while (fresh == 0) {
        shard_world_run (w, 1);
        for (uint32_t node = 1; node <= 3; node++) {
            if (node != old && shard_world_status (w, node).role == RAFT_LEADER)
                fresh = node;
        }
    }
    w->slow[1] = w->slow[2] = w->slow[3] = true;
    assert_false (shard_leads (w->nodes[fresh].shard));
    uint64_t token = look (fresh);
    shard_world_run (w, 300);
    assert_true (waits (token));
    w->slow[1] = w->slow[2] = w->slow[3] = false;
    assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
    assert_int_equal (seen (token), 1);
    shard_world_settle (w);
}

static unsigned rounds;

static bool count_rounds (struct shard_world *from, uint32_t a, uint32_t b, struct raft_message *message)
{
    (void) from, (void) a, (void) b;
    rounds += message->type == RAFT_HEARTBEAT && message->round != 0;
    return true;
}

static void test_shard_reads__the_reads_of_a_turn_share_one_round (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    uint64_t tokens[200];
    while (w->now_ms % 50 != 5) /* between two heartbeats */
        shard_world_run (w, 1);
    rounds = 0;
    w->on_raft = count_rounds;
    for (unsigned i = 0; i < 200; i++)
        tokens[i] = look (leader);
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal (shard_world_wait (w, tokens[i])->status, STATUS_OK);
    assert_int_equal (rounds, 2); /* one to each follower */
    w->on_raft = NULL;
    shard_world_settle (w);
}

static void test_shard_reads__lost_rounds_are_repeated (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    w->drop = 600;
    w->twice = 300;
    w->delay_ms = 20;
    for (unsigned i = 0; i < 20; i++)
        look (leader);
    shard_world_run (w, 5000);
    assert_true (shard_world_answered (w, STATUS_OK) > 2); /* more than the two puts of the set-up */
    shard_world_settle (w);
}

static void test_shard_reads__a_deadline_ends_the_wait (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    w->no_links = true;
    shard_world_isolate (w, leader, true);
    uint64_t soon = look_by (leader, shard_world_clock (w, leader) + 120);
    uint64_t later = look_by (leader, shard_world_clock (w, leader) + 240);
    shard_world_run (w, 130);
    assert_int_equal (shard_world_find (w, soon)->status, STATUS_DEADLINE_EXCEEDED);
    assert_int_equal (shard_world_find (w, soon)->answered_ms - shard_world_find (w, soon)->started_ms, 120);
    assert_true (waits (later));
    shard_world_run (w, 120);
    assert_int_equal (shard_world_find (w, later)->answered_ms - shard_world_find (w, later)->started_ms, 240);
    shard_world_settle (w); /* the rounds' late answers find nobody */
}

static uint64_t newest_round;

static bool only_the_first_round (struct shard_world *in, uint32_t from, uint32_t to, struct raft_message *message)
{
    (void) in, (void) from, (void) to;
    if (message->type != RAFT_HEARTBEAT || message->round == 0)
        return true;
    if (newest_round == 0)
        newest_round = message->round;
    return message->round == newest_round;
}

/* A read takes the place of one that gave up. The answer to the first one's round is none to the second one's. */
static void test_shard_reads__an_answer_for_a_former_tenant_is_dropped (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    newest_round = 0;
    w->on_raft = only_the_first_round;
    w->delay_ms = 100;
    uint64_t first = look_by (leader, shard_world_clock (w, leader) + 2);
    shard_world_run (w, 2);
    assert_int_equal (shard_world_find (w, first)->status, STATUS_DEADLINE_EXCEEDED);
    assert_int_not_equal (newest_round, 0);
    uint64_t second = look (leader);
    shard_world_run (w, 300); /* the first round has long been answered by all */
    assert_int_equal (shard_world_leader (w), leader);
    assert_true (waits (second));
    w->on_raft = NULL;
    assert_int_equal (shard_world_wait (w, second)->status, STATUS_OK);
    shard_world_settle (w);
}

static void test_shard_reads__too_many_are_refused (void **state)
{
    (void) state;
    shard_world_close (w);
    shard_world_init (w, &(struct shard_world_options){.calls_max = 16});
    offer = shard_world_offer (w, 10);
    uint32_t leader = shard_world_leader (w);
    uint64_t tokens[20];
    for (unsigned i = 0; i < 20; i++)
        tokens[i] = look (leader);
    for (unsigned i = 0; i < 20; i++) {
        shard_world_wait (w, tokens[i]);
        if (i >= 16)
            assert_string_equal (shard_world_find (w, tokens[i])->reason, "SHARD_BUSY");
    }
    shard_world_settle (w);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (test_shard_reads__a_read_sees_what_was_answered_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_reads__a_follower_refuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_reads__a_read_waits_until_the_state_has_what_committed, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_reads__a_confirmed_read_outlives_the_leadership, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_reads__a_leader_that_is_cut_off_answers_nothing_stale, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_reads__a_fresh_leader_waits_for_its_no_op, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_reads__the_reads_of_a_turn_share_one_round, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_reads__lost_rounds_are_repeated, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_reads__a_deadline_ends_the_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_reads__too_many_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_reads__an_answer_for_a_former_tenant_is_dropped, set_up, tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
