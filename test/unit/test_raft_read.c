/* Linearizable reads: thesis 6.4, traps R4, R5 and R6. */
#include "test/support/raft_rig.h"

static enum status ask (struct rig *rig, uint64_t read_id)
{
    return rig_step (rig, (struct raft_event){.type = RAFT_READ, .read_id = read_id});
}

static void answer_round (struct rig *rig, uint64_t from, uint64_t round)
{
    struct raft_message reply = rig_message (rig, RAFT_HEARTBEAT_REPLY, from, rig_status (rig).term);
    reply.round = round;
    assert_int_equal (rig_receive (rig, reply), STATUS_OK);
}

static void test_raft_read__waits_for_a_round_of_the_quorum (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 5);
    rig_lead (&rig);
    assert_int_equal (ask (&rig, 41), STATUS_OK);
    assert_int_equal (ask (&rig, 42), STATUS_OK);
    rig_turn (&rig);
    assert_int_equal (rig.effects.reads_count, 0); /* R6: no lease */
    uint64_t round = rig_now (&rig, RAFT_HEARTBEAT, 2)->round;
    assert_true (round > 0);
    assert_int_equal (rig.effects.send_now_count, 4); /* one message a peer for both */
    rig_reset (&rig);
    answer_round (&rig, 2, round);
    assert_int_equal (rig.effects.reads_count, 0);
    answer_round (&rig, 2, round);
    assert_int_equal (rig.effects.reads_count, 0);
    answer_round (&rig, 3, round);
    assert_int_equal (rig.effects.reads_count, 2);
    assert_int_equal (rig.effects.reads[0].read_id, 41);
    assert_int_equal (rig.effects.reads[1].read_id, 42);
    assert_int_equal (rig.effects.reads[1].index, 1);
    assert_true (rig.effects.reads[1].ok);
    rig_close (&rig);
}

/* The index is that of the moment before the round, even when more commits meanwhile. */
static void test_raft_read__notes_the_commit_index_before_the_round (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    rig_propose (&rig, "x");
    ask (&rig, 1);
    rig_turn (&rig);
    uint64_t round = rig_now (&rig, RAFT_HEARTBEAT, 2)->round;
    rig_sync (&rig);
    rig_ack (&rig, 2, 2);
    assert_int_equal (rig_status (&rig).commit, 2);
    answer_round (&rig, 3, round);
    assert_int_equal (rig.effects.reads[0].index, 1);
    rig_close (&rig);
}

/* R4: a fresh leader does not know yet what has committed. */
static void test_raft_read__waits_for_the_no_op (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 1, (uint64_t[]){1, 1, 1}, 3);
    rig_elect (&rig);
    rig_sync (&rig);
    rig_reset (&rig);
    ask (&rig, 7);
    rig_turn (&rig);
    assert_null (rig_now (&rig, RAFT_HEARTBEAT, 2));
    answer_round (&rig, 2, 0);
    assert_int_equal (rig.effects.reads_count, 0);
    rig_reset (&rig);
    rig_ack (&rig, 2, 4);
    rig_turn (&rig);
    uint64_t round = rig_now (&rig, RAFT_HEARTBEAT, 2)->round;
    answer_round (&rig, 2, round);
    assert_int_equal (rig.effects.reads_count, 1);
    assert_int_equal (rig.effects.reads[0].index, 4);
    rig_close (&rig);
}

/* R5: a retry is a new round, which old answers do not confirm; its answer confirms the older round too. */
static void test_raft_read__retries_under_a_new_id (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    ask (&rig, 1);
    rig_turn (&rig);
    uint64_t first = rig_now (&rig, RAFT_HEARTBEAT, 2)->round;
    rig_reset (&rig);
    rig_tick (&rig, 50);
    uint64_t second = rig_now (&rig, RAFT_HEARTBEAT, 2)->round;
    assert_true (second > first);
    ask (&rig, 2);
    rig_reset (&rig);
    rig_turn (&rig);
    uint64_t third = rig_now (&rig, RAFT_HEARTBEAT, 2)->round;
    assert_true (third > second);
    answer_round (&rig, 2, second);
    assert_int_equal (rig.effects.reads_count, 1);
    assert_int_equal (rig.effects.reads[0].read_id, 1);
    answer_round (&rig, 3, third);
    assert_int_equal (rig.effects.reads_count, 2);
    rig_close (&rig);
}

static void test_raft_read__answers_of_another_term_do_not_count (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 4, (uint64_t[]){4}, 1);
    rig_lead (&rig);
    ask (&rig, 1);
    rig_turn (&rig);
    struct raft_message reply = rig_message (&rig, RAFT_HEARTBEAT_REPLY, 2, 4);
    reply.round = rig_now (&rig, RAFT_HEARTBEAT, 2)->round;
    rig_receive (&rig, reply);
    assert_int_equal (rig.effects.reads_count, 0);
    rig_close (&rig);
}

/* R5, found by the simulator: a leader of an earlier term may lead again, and count its rounds from where they were. */
static void test_raft_read__round_of_an_earlier_term_is_not_repeated (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 5, (uint64_t[]){5}, 1);
    struct raft_message heartbeat = rig_message (&rig, RAFT_HEARTBEAT, 2, 4);
    heartbeat.round = 3;
    rig_receive (&rig, heartbeat);
    assert_int_equal (rig_now (&rig, RAFT_HEARTBEAT_REPLY, 2)->term, 5);
    assert_int_equal (rig_now (&rig, RAFT_HEARTBEAT_REPLY, 2)->round, 0);
    heartbeat.term = 5;
    rig_receive (&rig, heartbeat);
    assert_int_equal (rig_now (&rig, RAFT_HEARTBEAT_REPLY, 2)->round, 3);
    rig_close (&rig);
}

static void test_raft_read__refused_when_leadership_ends (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    assert_int_equal (ask (&rig, 1), STATUS_UNAVAILABLE);
    rig_lead (&rig);
    ask (&rig, 1);
    rig_turn (&rig);
    ask (&rig, 2);
    rig_reset (&rig);
    rig_append (&rig, 2, 2, 0, 0, 0, NULL, 0);
    assert_int_equal (rig.effects.reads_count, 2);
    assert_false (rig.effects.reads[0].ok);
    assert_false (rig.effects.reads[1].ok);
    rig_close (&rig);
}

static void test_raft_read__alone_answers_at_once (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 1);
    rig_lead (&rig);
    ask (&rig, 9);
    rig_turn (&rig);
    assert_int_equal (rig.effects.reads_count, 1);
    assert_int_equal (rig.effects.reads[0].index, 1);
    rig_close (&rig);
}

/* A learner's answer is no vote of confidence. */
static void test_raft_read__learners_do_not_confirm (void **state)
{
    (void) state;
    struct rig rig;
    struct raft_configuration members = rig_voters (3);
    assert_true (
        raft_configuration_set (&members, (struct raft_member){.replica = 8, .node = 8, .roles = RAFT_LEARNER}));
    struct raft_stored stored = {.configuration = &members};
    rig_open_stored (&rig, &(struct raft_options){0}, &stored);
    rig_lead (&rig);
    ask (&rig, 1);
    rig_turn (&rig);
    uint64_t round = rig_now (&rig, RAFT_HEARTBEAT, 8)->round;
    answer_round (&rig, 8, round);
    assert_int_equal (rig.effects.reads_count, 0);
    answer_round (&rig, 3, round);
    assert_int_equal (rig.effects.reads_count, 1);
    rig_close (&rig);
}

static void test_raft_read__queue_is_bounded (void **state)
{
    (void) state;
    struct rig rig;
    struct raft_configuration voters = rig_voters (3);
    struct raft_stored stored = {.configuration = &voters};
    rig_open_stored (&rig, &(struct raft_options){.reads_max = 40}, &stored);
    rig_lead (&rig);
    for (uint64_t i = 0; i < 40; i++)
        assert_int_equal (ask (&rig, i), STATUS_OK);
    assert_int_equal (ask (&rig, 40), STATUS_RESOURCE_EXHAUSTED);
    rig_turn (&rig);
    answer_round (&rig, 2, rig_now (&rig, RAFT_HEARTBEAT, 2)->round);
    assert_int_equal (rig.effects.reads_count, 40);
    for (uint64_t i = 0; i < 40; i++)
        assert_int_equal (rig.effects.reads[i].read_id, i);
    assert_int_equal (ask (&rig, 41), STATUS_OK);
    rig_close (&rig);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_raft_read__waits_for_a_round_of_the_quorum),
        cmocka_unit_test (test_raft_read__notes_the_commit_index_before_the_round),
        cmocka_unit_test (test_raft_read__waits_for_the_no_op),
        cmocka_unit_test (test_raft_read__retries_under_a_new_id),
        cmocka_unit_test (test_raft_read__answers_of_another_term_do_not_count),
        cmocka_unit_test (test_raft_read__round_of_an_earlier_term_is_not_repeated),
        cmocka_unit_test (test_raft_read__refused_when_leadership_ends),
        cmocka_unit_test (test_raft_read__alone_answers_at_once),
        cmocka_unit_test (test_raft_read__learners_do_not_confirm),
        cmocka_unit_test (test_raft_read__queue_is_bounded),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
