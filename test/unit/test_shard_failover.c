/* Leaders come and go: what was answered stays, what was not is decided once, and the clock of the log goes on. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/shard_world.h"

#define HOUR_MS UINT64_C (3600000)

static struct shard_world world, *const w = &world;
static struct id offer;

static int set_up (void **state)
{
    (void) state;
    shard_world_init (w, NULL);
    offer = shard_world_offer (w, 100000);
    return 0;
}

static int set_up_small_turns (void **state)
{
    (void) state;
    shard_world_init (w, &(struct shard_world_options){.apply_max = 3});
    offer = shard_world_offer (w, 100000);
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

static uint64_t again (uint32_t node, const struct shard_world_call *call)
{
    struct reserve_create_request request;
    struct principal who = call->principal;
    struct id id = call->request_id;
    uint64_t memory[512];
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    assert_int_equal (
        codec_decode (&reserve_create_request_type, call->sent, CODEC_STRICT, &arena, &request, NULL), STATUS_OK);
    return shard_world_call (w, node, METHOD_NUMBER_RESERVE_CREATE, &who, &id, &request);
}

static uint32_t other_leader (uint32_t not_this)
{
    for (unsigned i = 0; i < 10000; i++) {
        uint32_t leader = shard_world_leader (w);
        if (leader != 0 && leader != not_this)
            return leader;
        shard_world_run (w, 1);
    }
    fail_msg ("no other leader");
    return 0;
}

static uint64_t confirmed (void)
{
    return shard_world_bucket (w, shard_world_leader (w), &offer, 5).confirmed;
}

static void test_shard_failover__a_crashed_leader_is_followed_within_a_hundred_ms (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal (shard_world_wait (w, book (leader))->status, STATUS_OK);
    uint64_t killed_ms = w->now_ms;
    shard_world_crash (w, leader);
    uint32_t next = other_leader (leader);
    assert_int_equal (shard_world_wait (w, book (next))->status, STATUS_OK);
    assert_in_range (w->now_ms - killed_ms, 1, 100);
    shard_world_settle (w);
    assert_int_equal (confirmed (), 11);
}

static void test_shard_failover__a_lost_leader_says_that_the_outcome_is_unknown (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    w->no_links = true;
    shard_world_isolate (w, leader, true);
    uint64_t tokens[5];
    for (unsigned i = 0; i < 5; i++)
        tokens[i] = book (leader);
    uint32_t next = other_leader (leader);
    for (unsigned i = 0; i < 5; i++) {
        struct shard_world_call *call = shard_world_wait (w, tokens[i]);
        assert_int_equal (call->status, STATUS_UNAVAILABLE);
        assert_string_equal (call->reason, "LEADER_LOST");
        assert_true (call->maybe_applied);
    }
    for (unsigned i = 0; i < 5; i++) { /* their entries died with the leadership: they are done now, once */
        uint64_t token = again (next, shard_world_find (w, tokens[i]));
        assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
        assert_false (shard_world_find (w, token)->replayed);
    }
    shard_world_settle (w);
    assert_int_equal (confirmed (), 5);
}

/* The bound that clients live by: no link breaks, nobody says anything, and a second later writes go on elsewhere, time after time.
 * Ranks keep the others from splitting their votes, which would cost as much again. */
static void test_shard_failover__a_silent_leader_is_replaced_within_a_second (void **state)
{
    (void) state;
    for (unsigned i = 0; i < 25; i++) {
        uint32_t leader = shard_world_elect (w);
        shard_world_run (w, 100 + 37 * i);
        w->no_links = true;
        shard_world_isolate (w, leader, true);
        uint64_t silent_ms = w->now_ms;
        uint32_t next = other_leader (leader);
        assert_int_equal (shard_world_wait (w, book (next))->status, STATUS_OK);
        assert_in_range (w->now_ms - silent_ms, 400, 1000);
        shard_world_settle (w);
        w->no_links = false;
    }
    assert_int_equal (confirmed (), 25);
}

static uint32_t silent; /* node whose append acknowledgements are lost */

static bool lose_acknowledgements (struct shard_world *in, uint32_t from, uint32_t to, struct raft_message *message)
{
    (void) in, (void) from;
    return message->type != RAFT_APPEND_REPLY || to != silent;
}

static void test_shard_failover__an_entry_that_survives_its_leader_is_replayed (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    silent = leader;
    w->on_raft = lose_acknowledgements;
    uint64_t token = book (leader);
    shard_world_run (w, 30); /* on the followers' disks by now */
    assert_int_equal (shard_world_find (w, token)->state, CALL_WAITING);
    shard_world_crash (w, leader);
    uint32_t next = other_leader (leader);
    w->on_raft = NULL;
    token = again (next, shard_world_find (w, token));
    assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
    assert_true (shard_world_find (w, token)->replayed);
    shard_world_settle (w);
    assert_int_equal (confirmed (), 1);
}

static bool no_noop (struct shard_world *in, uint32_t from, uint32_t to, struct raft_message *message)
{
    (void) in, (void) from, (void) to;
    return message->type != RAFT_APPEND_REPLY;
}

static void test_shard_failover__a_new_leader_takes_writes_in_order_once_it_is_ready (void **state)
{
    (void) state;
    uint32_t old = shard_world_leader (w), fresh = 0;
    shard_world_crash (w, old);
    w->on_raft = no_noop;
    while (fresh == 0) {
        shard_world_run (w, 1);
        for (uint32_t node = 1; node <= 3; node++) {
            if (node != old && shard_world_status (w, node).role == RAFT_LEADER)
                fresh = node;
        }
    }
    uint64_t last = shard_world_status (w, fresh).last_index, tokens[520];
    for (unsigned i = 0; i < 20; i++)
        tokens[i] = book (fresh);
    shard_world_run (w, 200);
    assert_int_equal (shard_world_status (w, fresh).last_index, last); /* not even proposed */
    assert_int_equal (shard_world_status (w, fresh).calls, 20);
    w->on_raft = NULL;
    unsigned count = 20;
    for (; count < 520 && shard_world_find (w, tokens[0])->state == CALL_WAITING;
         count++) { /* while it becomes ready */
        tokens[count] = book (fresh);
        shard_world_run (w, 1);
    }
    for (unsigned i = 0; i < count; i++)
        assert_int_equal (shard_world_wait (w, tokens[i])->status, STATUS_OK);
    shard_world_settle (w);
    for (unsigned i = 0; i < count; i++) { /* in the order of their arrival */
        struct log_entry entry;
        assert_true (shard_world_entry (w, fresh, last + 1 + i, &entry));
        assert_true (id_equal (&entry.request_id, &shard_world_find (w, tokens[i])->request_id));
    }
}

static void test_shard_failover__writes_that_wait_for_a_leader_in_vain_are_refused (void **state)
{
    (void) state;
    uint32_t old = shard_world_leader (w), fresh = 0;
    shard_world_crash (w, old);
    while (fresh == 0) {
        shard_world_run (w, 1);
        for (uint32_t node = 1; node <= 3; node++) {
            if (node != old && shard_world_status (w, node).role == RAFT_LEADER)
                fresh = node;
        }
    }
    w->no_links = true;
    shard_world_isolate (w, fresh, true);
    uint64_t token = book (fresh);
    struct shard_world_call *call = shard_world_wait (w, token);
    assert_string_equal (call->reason, "NOT_LEADER");
    assert_false (call->maybe_applied); /* it never left this node */
    shard_world_settle (w);
    assert_int_equal (confirmed (), 0);
}

/* ---- handing over */

static void test_shard_failover__writes_wait_while_the_leadership_is_handed_over (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w), target = leader % 3 + 1;
    shard_world_event (w, leader, (struct shard_event){.type = SHARD_EVENT_TRANSFER, .transfer_node = target});
    uint64_t token = book (leader);
    shard_world_wait (w, token);
    assert_string_equal (shard_world_find (w, token)->reason, "NOT_LEADER");
    assert_false (shard_world_find (w, token)->maybe_applied);
    assert_int_equal (other_leader (leader), target);
    assert_int_equal (shard_world_wait (w, again (target, shard_world_find (w, token)))->status, STATUS_OK);
    shard_world_settle (w);
    assert_int_equal (confirmed (), 1);
}

static bool no_timeout_now (struct shard_world *in, uint32_t from, uint32_t to, struct raft_message *message)
{
    (void) in, (void) from, (void) to;
    return message->type != RAFT_TIMEOUT_NOW;
}

static void test_shard_failover__writes_go_on_when_nobody_takes_the_leadership (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    w->on_raft = no_timeout_now;
    shard_world_event (w, leader, (struct shard_event){.type = SHARD_EVENT_TRANSFER});
    uint64_t token = book (leader);
    shard_world_run (w, 100);
    assert_int_equal (shard_world_find (w, token)->state, CALL_WAITING);
    assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
    assert_in_range (shard_world_find (w, token)->answered_ms - shard_world_find (w, token)->started_ms, 200, 700);
    assert_int_equal (shard_world_leader (w), leader);
    shard_world_settle (w);
}

static void test_shard_failover__unknown_nodes_and_ourselves_are_no_targets (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    shard_world_event (w, leader, (struct shard_event){.type = SHARD_EVENT_TRANSFER, .transfer_node = 77});
    shard_world_event (w, leader, (struct shard_event){.type = SHARD_EVENT_TRANSFER, .transfer_node = leader});
    assert_int_equal (shard_world_wait (w, book (leader))->status, STATUS_OK);
    assert_int_equal (shard_world_leader (w), leader);
}

/* ---- log time */

static uint64_t stamp_of (uint32_t node, uint64_t index)
{
    struct log_entry entry;
    assert_true (shard_world_entry (w, node, index, &entry));
    return entry.time_ms;
}

static void assert_clock_right (uint64_t time_ms, uint64_t off_ms)
{
    uint64_t right_ms = w->wall_ms + w->now_ms;
    assert_in_range (time_ms, right_ms - off_ms, right_ms + off_ms);
}

static void test_shard_failover__a_cluster_that_slept_steps_to_the_median (void **state)
{
    (void) state;
    shard_world_run (w, 100);
    for (uint32_t node = 1; node <= 3; node++)
        shard_world_crash (w, node);
    w->wall_ms += 5 * HOUR_MS; /* the night */
    for (uint32_t node = 1; node <= 3; node++)
        shard_world_start (w, node);
    uint32_t leader = shard_world_elect (w);
    assert_int_equal (shard_world_wait (w, book (leader))->status, STATUS_OK);
    uint64_t index = shard_world_status (w, leader).applied_index;
    assert_clock_right (stamp_of (leader, index), 50);
    shard_world_settle (w);
}

static void test_shard_failover__no_clock_no_stamp (void **state)
{
    (void) state;
    shard_world_run (w, 100);
    for (uint32_t node = 1; node <= 3; node++)
        shard_world_crash (w, node);
    uint64_t wall = w->wall_ms;
    w->wall_ms = 0;
    for (uint32_t node = 1; node <= 3; node++)
        shard_world_start (w, node);
    uint32_t leader = shard_world_elect (w);
    uint64_t token = book (leader);
    shard_world_run (w, 500);
    assert_int_equal (shard_world_find (w, token)->state, CALL_WAITING);
    w->wall_ms = wall + 2 * HOUR_MS;
    assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
    assert_clock_right (stamp_of (leader, shard_world_status (w, leader).applied_index), 50);
    shard_world_settle (w);
}

/* A node that was down takes part in what happened meanwhile; then it leads. Its clock must not stand where the last
 * command stood. */
static void test_shard_failover__a_replica_that_was_away_leads_with_the_right_time (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w), away = leader % 3 + 1;
    shard_world_crash (w, away);
    assert_int_equal (shard_world_wait (w, book (leader))->status, STATUS_OK);
    w->step_ms = 20;
    shard_world_run (w, HOUR_MS / 2); /* an idle half hour */
    w->step_ms = 1;
    shard_world_start (w, away);
    shard_world_run (w, 1000);
    leader = shard_world_leader (w);
    shard_world_event (w, leader, (struct shard_event){.type = SHARD_EVENT_TRANSFER, .transfer_node = away});
    assert_int_equal (other_leader (leader), away);
    assert_int_equal (shard_world_wait (w, book (away))->status, STATUS_OK);
    assert_clock_right (stamp_of (away, shard_world_status (w, away).applied_index), 61000);
    shard_world_settle (w);
}

static void test_shard_failover__stamps_never_go_back (void **state)
{
    (void) state;
    uint64_t seen_ms = 0;
    for (unsigned round = 0; round < 8; round++) {
        uint32_t leader = shard_world_elect (w);
        w->wall_ms += round % 2 == 0 ? 40 * HOUR_MS : -40 * HOUR_MS;
        assert_int_equal (shard_world_wait (w, book (leader))->status, STATUS_OK);
        uint64_t stamp_ms = stamp_of (leader, shard_world_status (w, leader).applied_index);
        assert_true (stamp_ms >= seen_ms);
        if (seen_ms != 0)
            assert_true (stamp_ms - seen_ms < 2000); /* no wall clock pushes it */
        seen_ms = stamp_ms;
        shard_world_crash (w, leader);
        uint32_t next = other_leader (leader);
        assert_int_equal (shard_world_wait (w, book (next))->status, STATUS_OK);
        shard_world_start (w, leader);
        shard_world_run (w, 100);
    }
    shard_world_settle (w);
}

/* All clocks are stepped ahead by two days, then a node restarts and soon leads an idle shard. Its log goes on; it may not
 * take its own start for that of the cluster, or every hold would run out. */
static void test_shard_failover__a_replica_that_restarts_does_not_believe_the_wall_clocks (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w), target = leader % 3 + 1;
    assert_int_equal (shard_world_wait (w, book (leader))->status, STATUS_OK);
    uint64_t stamp_ms = stamp_of (leader, shard_world_status (w, leader).applied_index);
    uint64_t stamped_ms = w->now_ms;
    shard_world_run (w, 700);
    w->wall_ms += 48 * HOUR_MS;
    shard_world_crash (w, target);
    shard_world_start (w, target);
    shard_world_run (w, 700);
    shard_world_event (w, leader, (struct shard_event){.type = SHARD_EVENT_TRANSFER, .transfer_node = target});
    assert_int_equal (other_leader (leader), target);
    assert_int_equal (shard_world_wait (w, book (target))->status, STATUS_OK);
    uint64_t passed_ms = stamp_of (target, shard_world_status (w, target).applied_index) - stamp_ms;
    assert_in_range (passed_ms, w->now_ms - stamped_ms - 100, (w->now_ms - stamped_ms) * 11 / 10 + 100);
    shard_world_settle (w);
}

/* ---- restarts from what was stored */

static void test_shard_failover__a_restart_goes_on_from_state_and_log (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal (shard_world_wait (w, book (leader))->status, STATUS_OK);
        if (i == 10 || i == 20) {
            shard_world_run (w, 100);
            for (uint32_t node = 1; node <= 3; node++)
                shard_world_write_back (w, node, node * 2);
        }
    }
    for (uint32_t node = 1; node <= 3; node++)
        shard_world_crash (w, node);
    for (uint32_t node = 1; node <= 3; node++)
        shard_world_start (w, node);
    for (uint32_t node = 1; node <= 3; node++) {
        struct shard_status status = shard_world_status (w, node);
        assert_true (status.snapshot_index > 15 && status.snapshot_index < status.last_index);
        assert_true (status.applied_index > status.snapshot_index);
    }
    shard_world_settle (w);
    assert_int_equal (confirmed (), 30);
}

/* The first word of a leader commits everything since the last write-back at once, in every shard: the node's other work is
 * not to wait until all of it is applied. */
static void test_shard_failover__a_restart_applies_its_log_in_small_turns (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    for (unsigned i = 0; i < 60; i++)
        (void) book (leader);
    shard_world_run (w, 1000);
    uint64_t written = shard_world_status (w, leader).applied_index;
    for (uint32_t node = 1; node <= 3; node++)
        shard_world_crash (w, node);
    for (uint32_t node = 1; node <= 3; node++)
        shard_world_start (w, node);
    bool behind = false;
    uint64_t token = 0;
    for (unsigned ms = 0; ms < 2000; ms++) {
        uint64_t turns[4], applied[4];
        for (uint32_t node = 1; node <= 3; node++) {
            turns[node] = w->nodes[node].turns;
            applied[node] = shard_world_status (w, node).applied_index;
        }
        shard_world_run (w, 1);
        for (uint32_t node = 1; node <= 3; node++) {
            struct shard_status status = shard_world_status (w, node);
            assert_true (status.applied_index - applied[node] <= 3 * 8 * (w->nodes[node].turns - turns[node]));
            behind = behind || status.applied_index + 20 < status.commit_index;
            if (token == 0 && shard_leads (w->nodes[node].shard) && status.applied_index < written)
                token = book (node); /* waits until all of it is applied */
        }
    }
    assert_true (behind);
    assert_int_not_equal (token, 0);
    assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
    for (uint32_t node = 1; node <= 3; node++)
        assert_true (shard_world_status (w, node).applied_index > written);
    shard_world_settle (w);
    assert_int_equal (confirmed (), 61);
}

static void test_shard_failover__the_log_is_not_cut_beyond_what_was_applied (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    w->slow[1] = w->slow[2] = w->slow[3] = true;
    uint64_t token = book (leader), applied = shard_world_status (w, leader).applied_index;
    shard_world_event (
        w, leader, (struct shard_event){.type = SHARD_EVENT_COMPACT, .compact_index = UINT64_C (1) << 40});
    assert_in_range (shard_world_status (w, leader).snapshot_index, 0, applied);
    w->slow[1] = w->slow[2] = w->slow[3] = false;
    assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
}

static void test_shard_failover__what_was_not_synced_is_gone_and_was_not_answered (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    uint64_t answered = 0;
    for (unsigned round = 0; round < 12; round++) {
        w->persist_ms = 40;
        uint64_t tokens[8];
        for (unsigned i = 0; i < 8; i++) {
            tokens[i] = book (leader);
            shard_world_run (w, 7);
        }
        for (uint32_t node = 1; node <= 3; node++) /* power loss */
            shard_world_crash (w, node);
        for (unsigned i = 0; i < 8; i++)
            answered += shard_world_find (w, tokens[i])->state == CALL_ANSWERED &&
                        shard_world_find (w, tokens[i])->status == STATUS_OK;
        for (uint32_t node = 1; node <= 3; node++)
            shard_world_start (w, node);
        leader = shard_world_elect (w);
        shard_world_run (w, 100);
    }
    shard_world_settle (w);
    assert_true (answered > 0 && answered < 96);
    assert_true (confirmed () >= answered);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (
            test_shard_failover__a_silent_leader_is_replaced_within_a_second, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__a_crashed_leader_is_followed_within_a_hundred_ms, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__a_lost_leader_says_that_the_outcome_is_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__an_entry_that_survives_its_leader_is_replayed, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__a_new_leader_takes_writes_in_order_once_it_is_ready, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__writes_that_wait_for_a_leader_in_vain_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__writes_wait_while_the_leadership_is_handed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__writes_go_on_when_nobody_takes_the_leadership, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__unknown_nodes_and_ourselves_are_no_targets, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__a_cluster_that_slept_steps_to_the_median, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_failover__no_clock_no_stamp, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__a_replica_that_was_away_leads_with_the_right_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_failover__stamps_never_go_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_failover__a_restart_goes_on_from_state_and_log, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__a_restart_applies_its_log_in_small_turns, set_up_small_turns, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__what_was_not_synced_is_gone_and_was_not_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__the_log_is_not_cut_beyond_what_was_applied, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__a_replica_that_restarts_does_not_believe_the_wall_clocks, set_up, tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
