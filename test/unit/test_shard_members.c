/* A replica that was lost is replaced by a fresh one while writes go on: learner, filled, joint configuration, old one out;
 * whoever crashes in between. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/shard_world.h"
#include "test/support/thorough.h"

static struct shard_world world, *const w = &world;
static struct id offer;
static unsigned booked;

static void begin (uint32_t nodes, uint64_t seed)
{
    shard_world_init (w, &(struct shard_world_options){.nodes = nodes, .seed = seed});
    offer = shard_world_offer (w, 100000);
    booked = 0;
}

static int set_up (void **state)
{
    (void) state;
    begin (3, 0);
    return 0;
}

static int tear_down (void **state)
{
    (void) state;
    shard_world_close (w);
    return 0;
}

static void book (unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t token = shard_world_book (w, shard_world_elect (w), &offer, 5, RESERVE_MODE_BOOK, NULL);
        assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
        booked++;
    }
}

/* Everybody's log is cut, so that a newcomer needs the snapshot. */
static void write_back_all (void)
{
    shard_world_run (w, 100); /* followers apply a little later */
    for (uint32_t node = 1; node <= w->options.nodes; node++) {
        if (w->nodes[node].shard != NULL)
            shard_world_write_back (w, node, 0);
    }
    shard_world_run (w, 20);
}

static uint32_t follower (void)
{
    return shard_world_elect (w) % w->options.nodes + 1;
}

static void wait_placed (uint64_t ms)
{
    for (uint64_t end_ms = w->now_ms + ms; w->now_ms < end_ms && !shard_world_placed (w);)
        shard_world_run (w, 1);
    assert_true (shard_world_placed (w));
}

/* Nothing acknowledged is lost, everybody agrees, and every voter is one of those wanted. */
static void finish (void)
{
    shard_world_settle (w);
    wait_placed (5000);
    uint64_t confirmed = shard_world_bucket (w, shard_world_elect (w), &offer, 5).confirmed;
    assert_true (confirmed >= booked);
    for (uint32_t node = 1; node <= w->options.nodes; node++)
        assert_true (shard_world_status (w, node).votes);
}

static void test_shard_members__a_lost_replica_is_replaced_while_writes_go_on (void **state)
{
    (void) state;
    book (20);
    write_back_all ();
    uint32_t lost = follower ();
    shard_world_wipe (w, lost);
    shard_world_start (w, lost);
    book (3);
    assert_false (shard_world_status (w, lost).votes);
    assert_int_equal (shard_world_status (w, lost).applied_index, 0); /* nobody speaks to it yet */
    shard_world_place (w);
    assert_int_equal (shard_world_status (w, shard_world_elect (w)).placing, PLACEMENT_PHASE_WAITING);
    book (20);
    wait_placed (3000);
    assert_int_equal (w->nodes[lost].installs, 1);
    assert_int_equal (shard_world_status (w, shard_world_elect (w)).placing, PLACEMENT_PHASE_DONE);
    /* It is needed for every majority from now on, and can give one. */
    uint32_t other = 6 - lost - shard_world_elect (w);
    shard_world_crash (w, other);
    book (5);
    finish ();
}

static void test_shard_members__a_newcomer_is_filled_from_the_log_where_that_reaches_back (void **state)
{
    (void) state;
    book (20);
    uint32_t lost = follower ();
    shard_world_wipe (w, lost);
    shard_world_start (w, lost);
    shard_world_place (w);
    wait_placed (3000);
    assert_int_equal (w->nodes[lost].installs, 0);
    finish ();
}

static void test_shard_members__the_dead_node_is_not_dropped_before_the_new_one_is_there (void **state)
{
    (void) state;
    struct raft_configuration members;
    uint64_t term;
    book (5);
    uint32_t lost = follower ();
    shard_world_wipe (w, lost);
    shard_world_place (w); /* but it is not started */
    book (5);
    shard_world_run (w, 3000);
    uint32_t leader = shard_world_elect (w);
    struct shard_status status = shard_world_status (w, leader);
    assert_int_equal (status.placing, PLACEMENT_PHASE_FILLING);
    assert_true (shard_log_point (w->nodes[leader].shard, status.commit_index, &term, &members));
    assert_int_equal (members.count, 4);
    assert_int_equal (raft_configuration_find (&members, SHARD_WORLD_REPLICA (lost))->roles, RAFT_VOTER);
    assert_int_equal (raft_configuration_find (&members, w->nodes[lost].replica)->roles, RAFT_LEARNER);
    shard_world_start (w, lost);
    wait_placed (3000);
    finish ();
}

static void test_shard_members__the_leaders_crash_in_the_middle_loses_no_step (void **state)
{
    (void) state;
    for (uint64_t after_ms = 0; after_ms < 60; after_ms += 3) {
        tear_down (state);
        begin (3, after_ms);
        book (10);
        write_back_all ();
        uint32_t lost = follower ();
        shard_world_wipe (w, lost);
        shard_world_start (w, lost);
        shard_world_place (w);
        shard_world_run (w, after_ms);
        uint32_t leader = shard_world_leader (w);
        if (leader != 0) {
            shard_world_crash (w, leader);
            shard_world_run (w, 200);
            shard_world_start (w, leader);
        }
        wait_placed (5000);
        book (3);
        finish ();
    }
}

static void test_shard_members__one_that_is_lost_again_is_replaced_again (void **state)
{
    (void) state;
    for (uint64_t after_ms = 0; after_ms < 60; after_ms += 4) {
        tear_down (state);
        begin (3, after_ms);
        book (10);
        write_back_all ();
        uint32_t lost = follower ();
        shard_world_wipe (w, lost);
        shard_world_start (w, lost);
        shard_world_place (w);
        shard_world_run (w, after_ms);
        shard_world_wipe (w, lost);
        shard_world_start (w, lost);
        shard_world_place (w);
        book (5);
        wait_placed (5000);
        finish ();
    }
}

/* All nodes one after the other, each under a new identity: in the end nobody is who it was, and all is there. */
static void test_shard_members__every_node_in_turn (void **state)
{
    (void) state;
    for (uint32_t node = 1; node <= 3; node++) {
        book (10);
        write_back_all ();
        shard_world_wipe (w, node);
        shard_world_start (w, node);
        shard_world_place (w);
        book (10);
        wait_placed (5000);
    }
    book (10);
    finish ();
    assert_int_equal (booked, 70);
}

/* R11: what the old identity still says, in however high a term, moves nobody. */
static void test_shard_members__the_removed_identity_disturbs_nobody (void **state)
{
    (void) state;
    book (10);
    uint32_t lost = follower ();
    uint64_t old = w->nodes[lost].replica;
    shard_world_wipe (w, lost);
    shard_world_start (w, lost);
    shard_world_place (w);
    wait_placed (3000);
    uint32_t leader = shard_world_elect (w);
    struct shard_status before = shard_world_status (w, leader);
    for (unsigned i = 0; i < 300; i++) {
        for (uint32_t node = 1; node <= 3; node++) {
            struct raft_message message = {.shard = before.shard,
                .type = i % 2 == 0 ? RAFT_PREVOTE : RAFT_VOTE,
                .from = old,
                .to = w->nodes[node].replica,
                .term = before.term + 5 + i,
                .index = before.last_index + 1000,
                .log_term = before.term + 4,
                .session = 99};
            shard_world_event (w, node, (struct shard_event){.type = SHARD_EVENT_RAFT, .raft = &message});
        }
        shard_world_run (w, 10);
    }
    assert_int_equal (shard_world_leader (w), leader);
    assert_int_equal (shard_world_status (w, leader).term, before.term);
    book (3);
    finish ();
}

static void test_shard_members__nothing_moves_while_a_majority_is_not_there (void **state)
{
    (void) state;
    book (10);
    uint32_t lost = follower (), leader = shard_world_elect (w), third = 6 - lost - leader;
    shard_world_wipe (w, lost);
    shard_world_start (w, lost);
    shard_world_crash (w, third); /* one of three is left: an emptied newcomer must not make up a majority */
    shard_world_place (w);
    shard_world_run (w, 5000);
    assert_int_equal (shard_world_leader (w), 0);
    assert_false (shard_world_status (w, lost).votes);
    shard_world_start (w, third);
    wait_placed (5000);
    finish ();
}

static void test_shard_members__five_voters_two_of_which_are_lost_at_once (void **state)
{
    tear_down (state);
    begin (5, 1);
    book (10);
    write_back_all ();
    uint32_t leader = shard_world_elect (w), a = leader % 5 + 1, b = a % 5 + 1;
    shard_world_wipe (w, a);
    shard_world_wipe (w, b);
    shard_world_start (w, a);
    shard_world_start (w, b);
    shard_world_place (w);
    book (10);
    wait_placed (5000);
    finish ();
}

static void test_shard_members__staying_as_one_is_ends_the_moves (void **state)
{
    (void) state;
    book (3);
    uint32_t leader = shard_world_elect (w);
    assert_int_equal (shard_world_status (w, leader).placing, PLACEMENT_PHASE_NONE);
    shard_world_place (w);
    shard_world_run (w, 100);
    assert_int_equal (shard_world_status (w, leader).placing, PLACEMENT_PHASE_DONE);
    shard_world_event (w, leader, (struct shard_event){.type = SHARD_EVENT_PLACE});
    assert_int_equal (shard_world_status (w, leader).placing, PLACEMENT_PHASE_NONE);
}

static unsigned wipes, installs;

/* Wipe and replace, crashes, cuts, losses and writes in any order: each seed another story. */
static void run_seed (uint64_t seed)
{
    begin (seed % 4 == 3 ? 5 : 3, seed);
    uint32_t nodes = w->options.nodes, out = 0;
    w->drop = (uint32_t) (seed % 3) * 30;
    w->twice = (uint32_t) (seed % 2) * 50;
    w->delay_ms = 1 + (uint32_t) (seed % 5) * 4;
    w->persist_ms = 1 + (uint32_t) (seed % 7);
    w->chunk_bytes = 256;
    uint64_t random = (seed + 1) * UINT64_C (0x9e3779b97f4a7c15);
    for (unsigned step = 0; step < 40; step++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        uint32_t node = (uint32_t) (random >> 20) % nodes + 1;
        switch (random % 6) {
        case 0: /* the next identity is lost only when the last one is in: two lost of three is no story */
            if (out != 0 || (w->target.count > 0 && !shard_world_placed (w)))
                break;
            for (uint32_t i = 1; i <= nodes; i++) {
                if (w->nodes[i].shard == NULL)
                    shard_world_start (w, i);
            }
            shard_world_run (w, 500);
            shard_world_wipe (w, node);
            shard_world_start (w, node);
            shard_world_place (w);
            wipes++;
            break;
        case 1:
            if (w->nodes[node].shard != NULL && out == 0) {
                shard_world_crash (w, node);
                out = node;
            }
            break;
        case 2:
            if (out != 0 && w->nodes[out].shard == NULL)
                shard_world_start (w, out);
            if (out != 0)
                shard_world_isolate (w, out, false);
            out = 0;
            break;
        case 3:
            if (out == 0) {
                shard_world_isolate (w, node, true);
                out = node;
            }
            break;
        case 4:
            if (w->nodes[node].shard != NULL && shard_world_status (w, node).applied_index > 0)
                shard_world_write_back (w, node, 0);
            break;
        default:
            for (unsigned i = 0; i < 5; i++) {
                uint32_t leader = shard_world_leader (w);
                if (leader != 0)
                    shard_world_book (w, leader, &offer, 5, RESERVE_MODE_BOOK, NULL);
            }
        }
        shard_world_run (w, 20 + random % 300);
    }
    uint64_t acknowledged = 0;
    shard_world_settle (w);
    if (w->target.count > 0)
        wait_placed (10000);
    for (size_t i = 0; i < w->calls_count; i++)
        acknowledged += w->calls[i].state == CALL_ANSWERED && w->calls[i].status == STATUS_OK &&
                        w->calls[i].method->number == METHOD_NUMBER_RESERVE_CREATE;
    assert_true (shard_world_bucket (w, shard_world_elect (w), &offer, 5).confirmed >= acknowledged);
    for (uint32_t node = 1; node <= nodes; node++)
        installs += (unsigned) w->nodes[node].installs;
    shard_world_close (w);
}

static void test_shard_members__stories_of_wipes_and_replacements (void **state)
{
    tear_down (state);
    wipes = installs = 0;
    for (uint64_t seed = 0; seed < THOROUGH (400); seed++)
        run_seed (seed);
    assert_true (wipes > THOROUGH (400)); /* or the stories are about nothing */
    assert_true (installs > THOROUGH (200));
    set_up (state);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (
            test_shard_members__a_lost_replica_is_replaced_while_writes_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_members__a_newcomer_is_filled_from_the_log_where_that_reaches_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_members__the_dead_node_is_not_dropped_before_the_new_one_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_members__the_leaders_crash_in_the_middle_loses_no_step, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_members__one_that_is_lost_again_is_replaced_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_members__every_node_in_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_members__the_removed_identity_disturbs_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_members__nothing_moves_while_a_majority_is_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_members__five_voters_two_of_which_are_lost_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_members__staying_as_one_is_ends_the_moves, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_members__stories_of_wipes_and_replacements, set_up, tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
