/* Leadership transfer: thesis 3.10, trap R15. */
#include "test/support/raft_rig.h"

static enum status transfer (struct rig *rig, uint64_t target)
{
    return rig_step (rig, (struct raft_event){.type = RAFT_TRANSFER, .replica = target});
}

static void test_raft_transfer__tells_a_caught_up_target_at_once (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    assert_int_equal (transfer (&rig, 3), STATUS_OK);
    rig_turn (&rig);
    assert_non_null (rig_now (&rig, RAFT_TIMEOUT_NOW, 3));
    assert_null (rig_now (&rig, RAFT_TIMEOUT_NOW, 2));
    assert_true (rig_status (&rig).transferring);
    rig_close (&rig);
}

/* R15: proposals stop, so that the target can catch up at all. */
static void test_raft_transfer__stops_proposals (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    transfer (&rig, 3);
    assert_int_equal (rig_propose (&rig, "late"), STATUS_UNAVAILABLE);
    struct raft_configuration wanted = rig_voters (3);
    struct raft_event change = {.type = RAFT_CONFIGURE, .configuration = &wanted};
    assert_int_equal (rig_step (&rig, change), STATUS_UNAVAILABLE);
    rig_close (&rig);
}

/* R15: only a target that holds the whole log can win. */
static void test_raft_transfer__waits_for_the_targets_log (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    rig_propose (&rig, "x");
    transfer (&rig, 3);
    rig_turn (&rig);
    assert_null (rig_now (&rig, RAFT_TIMEOUT_NOW, 3));
    assert_non_null (rig_now (&rig, RAFT_APPEND, 3));
    rig_sync (&rig);
    rig_reset (&rig);
    rig_ack (&rig, 3, 2);
    rig_turn (&rig);
    assert_non_null (rig_now (&rig, RAFT_TIMEOUT_NOW, 3));
    rig_close (&rig);
}

/* R15: a target that does not take over must not silence the group. */
static void test_raft_transfer__gives_up_and_works_on (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    transfer (&rig, 3);
    rig_tick (&rig, 499);
    assert_int_equal (rig_propose (&rig, "x"), STATUS_UNAVAILABLE);
    rig_tick (&rig, 1);
    assert_int_equal (rig_propose (&rig, "x"), STATUS_OK);
    rig_close (&rig);
}

static void test_raft_transfer__refuses_bad_targets (void **state)
{
    (void) state;
    struct rig rig;
    struct raft_configuration members = rig_voters (3);
    assert_true (
        raft_configuration_set (&members, (struct raft_member){.replica = 8, .node = 8, .roles = RAFT_LEARNER}));
    struct raft_stored stored = {.configuration = &members};
    rig_open_stored (&rig, &(struct raft_options){0}, &stored);
    assert_int_equal (transfer (&rig, 2), STATUS_UNAVAILABLE);
    rig_lead (&rig);
    assert_int_equal (transfer (&rig, 1), STATUS_FAILED_PRECONDITION);  /* itself */
    assert_int_equal (transfer (&rig, 8), STATUS_FAILED_PRECONDITION);  /* a learner */
    assert_int_equal (transfer (&rig, 77), STATUS_FAILED_PRECONDITION); /* nobody */
    rig_step (&rig, (struct raft_event){.type = RAFT_LINK, .node = 2, .up = false});
    assert_int_equal (transfer (&rig, 2), STATUS_FAILED_PRECONDITION);
    struct raft_message suspect = rig_message (&rig, RAFT_HEARTBEAT_REPLY, 3, 1);
    suspect.flags = RAFT_FLAG_SUSPECT;
    rig_receive (&rig, suspect);
    assert_int_equal (transfer (&rig, 0), STATUS_FAILED_PRECONDITION);
    rig_close (&rig);
}

static void test_raft_transfer__picks_the_best_by_itself (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    rig_propose (&rig, "x");
    rig_turn (&rig);
    rig_sync (&rig);
    rig_ack (&rig, 3, 2);
    assert_int_equal (transfer (&rig, 0), STATUS_OK);
    rig_reset (&rig);
    rig_turn (&rig);
    assert_non_null (rig_now (&rig, RAFT_TIMEOUT_NOW, 3));
    rig_close (&rig);
}

/* Replica 1 follows 2, and has its first entry on the disk. */
static void follow (struct rig *rig)
{
    rig_open (rig, 3);
    rig_append (rig, 2, 1, 0, 0, 0, (uint64_t[]){1}, 1);
    rig_turn (rig);
    rig_sync (rig);
    rig_reset (rig);
}

/* Who has just come back holds the log, and has yet to apply it: calls would wait for that. */
static void test_raft_transfer__prefers_who_has_applied_its_log (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    struct bytes payloads[100];
    for (size_t i = 0; i < 100; i++)
        payloads[i] = bytes_text ("x");
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal (
            rig_step (&rig, (struct raft_event){.type = RAFT_PROPOSE, .payloads = payloads, .payloads_count = 100}),
            STATUS_OK);
    rig_turn (&rig);
    rig_sync (&rig);
    uint64_t last = rig_status (&rig).last_index;
    rig_ack (&rig, 2, last);
    rig_ack (&rig, 3, last - 1);
    assert_int_equal (rig_status (&rig).commit, last);
    for (uint64_t from = 2; from <= 3; from++) {
        struct raft_message reply = rig_message (&rig, RAFT_HEARTBEAT_REPLY, from, 1);
        reply.hint = from == 2 ? 1 : last - 100;
        rig_receive (&rig, reply);
    }
    assert_int_equal (transfer (&rig, 0), STATUS_OK);
    rig_ack (&rig, 3, last);
    rig_reset (&rig);
    rig_turn (&rig);
    assert_null (rig_now (&rig, RAFT_TIMEOUT_NOW, 2));
    assert_non_null (rig_now (&rig, RAFT_TIMEOUT_NOW, 3));
    rig_close (&rig);
    /* A follower tells. */
    follow (&rig);
    struct raft_message heartbeat = rig_message (&rig, RAFT_HEARTBEAT, 2, 1);
    heartbeat.commit = 1;
    rig_receive (&rig, heartbeat);
    rig_turn (&rig);
    rig_reset (&rig);
    rig_step (&rig, (struct raft_event){.type = RAFT_APPLIED, .index = 1});
    rig_receive (&rig, heartbeat);
    assert_int_equal (rig_now (&rig, RAFT_HEARTBEAT_REPLY, 2)->hint, 1);
    rig_close (&rig);
}

/* The target asks for real votes at once, and says why it may. */
static void test_raft_transfer__target_campaigns_without_prevote (void **state)
{
    (void) state;
    struct rig rig;
    follow (&rig);
    rig_receive (&rig, rig_message (&rig, RAFT_TIMEOUT_NOW, 3, 1)); /* not its leader */
    assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER);
    rig_receive (&rig, rig_message (&rig, RAFT_TIMEOUT_NOW, 2, 1));
    assert_int_equal (rig_status (&rig).role, RAFT_CANDIDATE);
    assert_int_equal (rig_status (&rig).term, 2);
    rig_turn (&rig);
    assert_int_equal (rig_after (&rig, RAFT_VOTE, 3)->flags, RAFT_FLAG_TRANSFER);
    rig_close (&rig);
}

/* R12: the leader offers for what one life of the target has acknowledged, and says which. */
static void test_raft_transfer__offers_to_the_life_that_it_heard (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    struct raft_message reply = rig_message (&rig, RAFT_APPEND_REPLY, 3, 1);
    reply.index = 1;
    reply.session = 4;
    rig_receive (&rig, reply);
    rig_turn (&rig);
    rig_reset (&rig);
    rig_ack (&rig, 3, 1); /* a straggler of the life before changes nothing */
    assert_int_equal (transfer (&rig, 3), STATUS_OK);
    rig_turn (&rig);
    assert_non_null (rig_now (&rig, RAFT_TIMEOUT_NOW, 3));
    assert_int_equal (rig_now (&rig, RAFT_TIMEOUT_NOW, 3)->session, 4);
    rig_close (&rig);
}

/* R12: a target that restarted while the offer was under way may have forgotten what it was chosen for. If it took over, it
 * would depose the only one who can notice, and a voter that is behind would elect it without what was acknowledged. */
static void test_raft_transfer__an_offer_to_an_earlier_life_elects_nobody (void **state)
{
    (void) state;
    struct rig rig;
    follow (&rig);
    struct raft_message message = rig_message (&rig, RAFT_TIMEOUT_NOW, 2, 1);
    const uint64_t others[] = {rig.options.session - 1, rig.options.session + 1, 0};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        message.session = others[i];
        rig_receive (&rig, message);
        assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER);
        assert_int_equal (rig_status (&rig).term, 1);
        assert_int_equal (rig_status (&rig).leader, 2);
    }
    rig_receive (&rig, rig_message (&rig, RAFT_TIMEOUT_NOW, 2, 1));
    assert_int_equal (rig_status (&rig).role, RAFT_CANDIDATE);
    rig_close (&rig);
}

static void test_raft_transfer__overrides_stickiness (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_append (&rig, 2, 1, 0, 0, 0, (uint64_t[]){1}, 1);
    struct raft_message request = rig_message (&rig, RAFT_VOTE, 3, 2);
    request.index = 1;
    request.log_term = 1;
    request.flags = RAFT_FLAG_TRANSFER;
    rig_receive (&rig, request);
    rig_turn (&rig);
    assert_int_equal (rig_after (&rig, RAFT_VOTE_REPLY, 3)->flags, 0);
    rig_close (&rig);
}

/* R15: a target that is lost while it catches up costs no second of silence. */
static void test_raft_transfer__a_lost_target_is_given_up_at_once (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    rig_propose (&rig, "x");
    transfer (&rig, 3);
    rig_turn (&rig);
    assert_true (rig_status (&rig).transferring);
    rig_reset (&rig);
    rig_step (&rig, (struct raft_event){.type = RAFT_LINK, .node = 3, .up = false});
    rig_turn (&rig);
    assert_null (rig_now (&rig, RAFT_TIMEOUT_NOW, 3));
    assert_false (rig_status (&rig).transferring);
    assert_int_equal (rig_propose (&rig, "y"), STATUS_OK);
    rig_close (&rig);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_raft_transfer__tells_a_caught_up_target_at_once),
        cmocka_unit_test (test_raft_transfer__stops_proposals),
        cmocka_unit_test (test_raft_transfer__waits_for_the_targets_log),
        cmocka_unit_test (test_raft_transfer__gives_up_and_works_on),
        cmocka_unit_test (test_raft_transfer__refuses_bad_targets),
        cmocka_unit_test (test_raft_transfer__picks_the_best_by_itself),
        cmocka_unit_test (test_raft_transfer__prefers_who_has_applied_its_log),
        cmocka_unit_test (test_raft_transfer__target_campaigns_without_prevote),
        cmocka_unit_test (test_raft_transfer__offers_to_the_life_that_it_heard),
        cmocka_unit_test (test_raft_transfer__an_offer_to_an_earlier_life_elects_nobody),
        cmocka_unit_test (test_raft_transfer__overrides_stickiness),
        cmocka_unit_test (test_raft_transfer__a_lost_target_is_given_up_at_once),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
