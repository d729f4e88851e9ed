/* Members: thesis 4.1 to 4.3, traps R4, R7, R8, R9 and R11. */
#include "test/support/raft_rig.h"

static struct raft_configuration with (struct raft_configuration members, uint64_t replica, uint8_t roles)
{
    struct raft_member member = {.replica = replica, .node = (uint32_t) replica, .roles = roles};
    assert_true (raft_configuration_set (&members, member));
    return members;
}

static struct raft_configuration without (struct raft_configuration members, uint64_t replica)
{
    struct raft_configuration rest = {0};
    for (uint32_t i = 0; i < members.count; i++)
        if (members.members[i].replica != replica)
            rest.members[rest.count++] = members.members[i];
    return rest;
}

static enum status configure (struct rig *rig, struct raft_configuration wanted)
{
    return rig_step (rig, (struct raft_event){.type = RAFT_CONFIGURE, .configuration = &wanted});
}

static uint8_t roles_of (const struct rig *rig, uint64_t replica)
{
    const struct raft_member *member = raft_configuration_find (raft_configuration (rig->raft), replica);
    return member ? member->roles : 0;
}

/* Syncs, and lets the given replicas acknowledge the whole log. */
static void settle (struct rig *rig, const uint64_t *replicas, size_t count)
{
    if (rig->effects.persist.sequence == 0)
        rig_turn (rig);
    rig_sync (rig);
    uint64_t last = rig_status (rig).last_index;
    for (size_t i = 0; i < count; i++)
        rig_ack (rig, replicas[i], last);
    rig_reset (rig);
}

static void lead_with_learner (struct rig *rig)
{
    struct raft_configuration members = with (rig_voters (3), 4, RAFT_LEARNER);
    struct raft_stored stored = {.configuration = &members};
    rig_open_stored (rig, &(struct raft_options){0}, &stored);
    rig_lead (rig);
}

static void test_raft_configuration__keeps_members_in_order (void **state)
{
    (void) state;
    struct raft_configuration members = {0};
    members = with (members, 9, RAFT_VOTER);
    members = with (members, 2, RAFT_VOTER);
    members = with (members, 5, RAFT_LEARNER);
    members = with (members, 5, RAFT_VOTER);
    assert_int_equal (members.count, 3);
    assert_int_equal (members.members[0].replica, 2);
    assert_int_equal (members.members[2].replica, 9);
    for (uint64_t replica = 10; members.count < RAFT_MEMBERS_MAX; replica++)
        members = with (members, replica, RAFT_LEARNER);
    struct raft_member more = {.replica = 99, .node = 1, .roles = RAFT_LEARNER};
    assert_false (raft_configuration_set (&members, more));
}

static void test_raft_configuration__survives_encoding (void **state)
{
    (void) state;
    uint8_t bytes[RAFT_CONFIGURATION_BYTES_MAX];
    struct raft_configuration members = with (rig_voters (5), UINT64_MAX, RAFT_VOTER_OLD | RAFT_LEARNER), decoded;
    size_t len = raft_configuration_encode (&members, bytes);
    assert_int_equal (raft_configuration_decode (bytes_of (bytes, len), &decoded), STATUS_OK);
    assert_memory_equal (&members, &decoded, sizeof members);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal (raft_configuration_decode (bytes_of (bytes, cut), &decoded), STATUS_INVALID_ARGUMENT);
}

static void test_raft_configuration__decode_refuses_nonsense (void **state)
{
    (void) state;
    /* {1: [{1: 2, 2: 1, 3: 0, 4: 1}, {1: 1, ...}]}: members that do not ascend; and one with roles 5 */
    static const uint8_t unsorted[] = {0xa1, 0x01, 0x82, 0xa4, 1, 2, 2, 1, 3, 0, 4, 1, 0xa4, 1, 1, 2, 1, 3, 0, 4, 1};
    static const uint8_t roles[] = {0xa1, 0x01, 0x81, 0xa4, 1, 2, 2, 1, 3, 0, 4, 5};
    static const uint8_t learners[] = {0xa1, 0x01, 0x81, 0xa4, 1, 2, 2, 1, 3, 0, 4, 4};
    static const uint8_t fine[] = {0xa1, 0x01, 0x81, 0xa4, 1, 2, 2, 1, 3, 0, 4, 1};
    struct raft_configuration out;
    assert_int_equal (raft_configuration_decode (bytes_of (unsorted, sizeof unsorted), &out), STATUS_INVALID_ARGUMENT);
    assert_int_equal (raft_configuration_decode (bytes_of (roles, sizeof roles), &out), STATUS_INVALID_ARGUMENT);
    assert_int_equal (raft_configuration_decode (bytes_of (learners, sizeof learners), &out), STATUS_INVALID_ARGUMENT);
    assert_int_equal (raft_configuration_decode (bytes_of (fine, sizeof fine), &out), STATUS_OK);
}

/* A learner is added by a plain entry: no quorum changes. */
static void test_raft_configuration__learner_comes_in_without_joint (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    assert_int_equal (configure (&rig, with (rig_voters (3), 4, RAFT_LEARNER)), STATUS_OK);
    assert_int_equal (roles_of (&rig, 4), RAFT_LEARNER); /* at once (R7) */
    assert_false (raft_configuration_joint (raft_configuration (rig.raft)));
    rig_turn (&rig);
    assert_non_null (rig_now (&rig, RAFT_APPEND, 4));
    rig_sync (&rig);
    rig_ack (&rig, 4, 2);
    assert_int_equal (rig_status (&rig).commit, 1); /* its copy does not count */
    rig_ack (&rig, 2, 2);
    assert_int_equal (rig_status (&rig).commit, 2);
    rig_close (&rig);
}

/* R4 */
static void test_raft_configuration__waits_for_the_no_op (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    assert_int_equal (configure (&rig, with (rig_voters (3), 4, RAFT_LEARNER)), STATUS_UNAVAILABLE);
    rig_elect (&rig);
    assert_int_equal (configure (&rig, with (rig_voters (3), 4, RAFT_LEARNER)), STATUS_FAILED_PRECONDITION);
    rig_sync (&rig);
    rig_ack (&rig, 2, 1);
    rig_reset (&rig);
    assert_int_equal (configure (&rig, with (rig_voters (3), 4, RAFT_LEARNER)), STATUS_OK);
    rig_close (&rig);
}

/* R7 */
static void test_raft_configuration__one_change_at_a_time (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    struct raft_configuration members = with (rig_voters (3), 4, RAFT_LEARNER);
    assert_int_equal (configure (&rig, members), STATUS_OK);
    assert_int_equal (configure (&rig, with (members, 5, RAFT_LEARNER)), STATUS_FAILED_PRECONDITION);
    settle (&rig, (uint64_t[]){2, 3}, 2);
    assert_int_equal (configure (&rig, with (members, 5, RAFT_LEARNER)), STATUS_OK);
    rig_close (&rig);
}

/* R9 */
static void test_raft_configuration__promotes_only_who_caught_up (void **state)
{
    (void) state;
    struct rig rig;
    struct raft_configuration members = with (rig_voters (3), 4, RAFT_LEARNER);
    struct raft_stored stored = {.configuration = &members};
    rig_open_stored (&rig, &(struct raft_options){.promote_lag_max = 2}, &stored);
    rig_elect (&rig);
    settle (&rig, (uint64_t[]){2, 3}, 2);
    assert_int_equal (configure (&rig, rig_voters (4)), STATUS_FAILED_PRECONDITION); /* never heard of */
    assert_int_equal (configure (&rig, with (rig_voters (3), 5, RAFT_VOTER)), STATUS_FAILED_PRECONDITION);
    rig_ack (&rig, 4, 1);
    for (int i = 0; i < 3; i++)
        rig_propose (&rig, "x");
    assert_int_equal (configure (&rig, rig_voters (4)), STATUS_FAILED_PRECONDITION); /* three behind */
    rig_ack (&rig, 4, 2);
    assert_int_equal (configure (&rig, rig_voters (4)), STATUS_OK);
    rig_close (&rig);
}

/* R8: while joint, a majority of each half. 1 2 3 -> 1 2 4. */
static void test_raft_configuration__joint_needs_both_halves (void **state)
{
    (void) state;
    struct rig rig;
    lead_with_learner (&rig);
    assert_int_equal (configure (&rig, without (rig_voters (4), 3)), STATUS_OK);
    assert_int_equal (roles_of (&rig, 1), RAFT_VOTER | RAFT_VOTER_OLD);
    assert_int_equal (roles_of (&rig, 3), RAFT_VOTER_OLD);
    assert_int_equal (roles_of (&rig, 4), RAFT_VOTER);
    rig_turn (&rig);
    rig_sync (&rig);
    rig_ack (&rig, 4, 2); /* 1 and 4: a majority of the new half only */
    assert_int_equal (rig_status (&rig).commit, 1);
    rig_ack (&rig, 3, 2); /* 1 and 3: now of the old half as well */
    assert_int_equal (rig_status (&rig).commit, 2);
    rig_close (&rig);
}

static void test_raft_configuration__leaves_joint_by_itself (void **state)
{
    (void) state;
    struct rig rig;
    lead_with_learner (&rig);
    configure (&rig, without (rig_voters (4), 3));
    settle (&rig, (uint64_t[]){2, 4}, 2); /* the joint entry commits, its successor is appended */
    assert_int_equal (rig_status (&rig).last_index, 3);
    assert_int_equal (roles_of (&rig, 3), 0);
    assert_int_equal (roles_of (&rig, 4), RAFT_VOTER);
    settle (&rig, (uint64_t[]){4}, 1);
    assert_int_equal (rig_status (&rig).commit, 3);
    rig_close (&rig);
}

/* Thesis 4.2.2: a leader that votes itself out finishes the job, is not counted, and hands over. */
static void test_raft_configuration__voted_out_leader_hands_over (void **state)
{
    (void) state;
    struct rig rig;
    lead_with_learner (&rig);
    configure (&rig, without (rig_voters (4), 1));
    settle (&rig, (uint64_t[]){2, 3, 4}, 3);
    assert_int_equal (roles_of (&rig, 1), 0);
    rig_turn (&rig);
    rig_sync (&rig);
    rig_ack (&rig, 3, 3); /* 3 of {2, 3, 4}: the leader's own copy is no help */
    assert_int_equal (rig_status (&rig).commit, 2);
    rig_ack (&rig, 4, 3);
    assert_int_equal (rig_status (&rig).commit, 3);
    rig_reset (&rig);
    rig_turn (&rig);
    assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER);
    const struct raft_message *offer = rig_now (&rig, RAFT_TIMEOUT_NOW, 3);
    if (!offer)
        offer = rig_now (&rig, RAFT_TIMEOUT_NOW, 4);
    assert_non_null (offer);
    assert_int_equal (offer->session, 1); /* the peer's life, not our own (R12) */
    rig_tick (&rig, 60000);
    assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER); /* R11: and never campaigns again */
    rig_close (&rig);
}

static void append_configuration (
    struct rig *rig, uint64_t term, uint64_t index, uint64_t log_term, struct raft_configuration members)
{
    uint8_t payload[RAFT_CONFIGURATION_BYTES_MAX];
    size_t len = raft_configuration_encode (&members, payload);
    struct raft_entry entry = {
        .index = index + 1, .term = term, .type = RAFT_ENTRY_CONFIGURATION, .payload = bytes_of (payload, len)};
    entry.checksum = raft_entry_checksum (RIG_SHARD, &entry);
    struct raft_message message = rig_message (rig, RAFT_APPEND, 2, term);
    message.index = index;
    message.log_term = log_term;
    message.entries = &entry;
    message.count = 1;
    assert_int_equal (rig_receive (rig, message), STATUS_OK);
}

/* R7: effective on append, taken back with a truncation, also by several steps (canonical/raft#354). */
static void test_raft_configuration__is_rolled_back_on_truncation (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    append_configuration (&rig, 1, 0, 0, with (rig_voters (3), 4, RAFT_LEARNER));
    append_configuration (&rig, 1, 1, 1, with (rig_voters (3), 5, RAFT_LEARNER));
    assert_int_equal (roles_of (&rig, 5), RAFT_LEARNER);
    rig_append (&rig, 3, 2, 1, 1, 0, (uint64_t[]){2}, 1);
    assert_int_equal (roles_of (&rig, 5), 0);
    assert_int_equal (roles_of (&rig, 4), RAFT_LEARNER);
    rig_append (&rig, 3, 3, 0, 0, 0, (uint64_t[]){3}, 1);
    assert_int_equal (roles_of (&rig, 4), 0);
    assert_int_equal (raft_configuration (rig.raft)->count, 3);
    rig_close (&rig);
}

/* Thesis 4.2.2, found by the simulator: the only log that can win may belong to a replica that it votes out. */
static void test_raft_configuration__campaigns_while_its_removal_is_open (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    append_configuration (&rig, 1, 0, 0, without (rig_voters (3), 1));
    rig_tick (&rig, 5000);
    assert_int_equal (rig_status (&rig).role, RAFT_PRE_CANDIDATE);
    rig_receive (&rig, rig_message (&rig, RAFT_PREVOTE_REPLY, 2, 2));
    assert_int_equal (rig_status (&rig).role, RAFT_PRE_CANDIDATE); /* its own vote does not count: 1 of {2, 3} */
    rig_receive (&rig, rig_message (&rig, RAFT_PREVOTE_REPLY, 3, 2));
    assert_int_equal (rig_status (&rig).role, RAFT_CANDIDATE);
    rig_close (&rig);
}

/* R7: what a snapshot gets is the configuration of its index, not the newest. */
static void test_raft_configuration__at_an_index (void **state)
{
    (void) state;
    struct rig rig;
    struct raft_configuration then;
    rig_open (&rig, 3);
    rig_lead (&rig);
    rig_propose (&rig, "x");
    configure (&rig, with (rig_voters (3), 4, RAFT_LEARNER));
    assert_true (raft_configuration_at (rig.raft, 2, &then));
    assert_int_equal (then.count, 3);
    assert_true (raft_configuration_at (rig.raft, 3, &then));
    assert_int_equal (then.count, 4);
    assert_false (raft_configuration_at (rig.raft, 4, &then));
    settle (&rig, (uint64_t[]){2, 3}, 2);
    rig_turn (&rig);
    rig_step (&rig, (struct raft_event){.type = RAFT_APPLIED, .index = 3});
    raft_compact (rig.raft, 3); /* the entry is gone, the configuration is not */
    assert_int_equal (roles_of (&rig, 4), RAFT_LEARNER);
    assert_true (raft_configuration_at (rig.raft, 3, &then));
    assert_int_equal (then.count, 4);
    assert_false (raft_configuration_at (rig.raft, 2, &then));
    rig_close (&rig);
}

static void test_raft_configuration__refuses_what_is_none (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    struct raft_configuration nobody = {0}, joint = with (rig_voters (3), 3, RAFT_VOTER_OLD), learners = {0};
    learners = with (learners, 1, RAFT_LEARNER);
    assert_int_equal (configure (&rig, nobody), STATUS_INVALID_ARGUMENT);
    assert_int_equal (configure (&rig, joint), STATUS_INVALID_ARGUMENT);
    assert_int_equal (configure (&rig, learners), STATUS_INVALID_ARGUMENT);
    assert_int_equal (rig_status (&rig).last_index, 1);
    rig_close (&rig);
}

static void test_raft_configuration__valid_ones_alone_are_valid (void **state)
{
    (void) state;
    struct raft_configuration members = rig_voters (3), bad;
    assert_true (raft_configuration_valid (&members));
    bad = members;
    bad.members[0].replica = 0;
    assert_false (raft_configuration_valid (&bad));
    bad = members;
    bad.members[1].node = 0;
    assert_false (raft_configuration_valid (&bad));
    bad = members;
    bad.members[1].roles = 0;
    assert_false (raft_configuration_valid (&bad));
    bad = members;
    bad.members[1].roles = 8 | RAFT_VOTER;
    assert_false (raft_configuration_valid (&bad));
    bad = members;
    bad.members[1].roles = RAFT_VOTER | RAFT_LEARNER;
    assert_false (raft_configuration_valid (&bad));
    bad = members;
    bad.members[2].replica = bad.members[1].replica;
    assert_false (raft_configuration_valid (&bad));
    for (uint32_t i = 0; i < 3; i++)
        members.members[i].roles = RAFT_LEARNER;
    assert_false (raft_configuration_valid (&members)); /* nobody votes */
}

/* R9, R12: who has forgotten what it acknowledged is not made a voter on the strength of it. */
static void test_raft_configuration__promotes_no_suspect (void **state)
{
    (void) state;
    struct rig rig;
    struct raft_configuration members = with (rig_voters (3), 4, RAFT_LEARNER);
    struct raft_stored stored = {.configuration = &members};
    rig_open_stored (&rig, &(struct raft_options){0}, &stored);
    rig_elect (&rig);
    settle (&rig, (uint64_t[]){2, 3, 4}, 3);
    struct raft_message reply = rig_message (&rig, RAFT_HEARTBEAT_REPLY, 4, rig_status (&rig).term);
    reply.flags = RAFT_FLAG_SUSPECT;
    rig_receive (&rig, reply);
    assert_int_equal (configure (&rig, rig_voters (4)), STATUS_FAILED_PRECONDITION);
    rig_close (&rig);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_raft_configuration__keeps_members_in_order),
        cmocka_unit_test (test_raft_configuration__survives_encoding),
        cmocka_unit_test (test_raft_configuration__decode_refuses_nonsense),
        cmocka_unit_test (test_raft_configuration__learner_comes_in_without_joint),
        cmocka_unit_test (test_raft_configuration__waits_for_the_no_op),
        cmocka_unit_test (test_raft_configuration__one_change_at_a_time),
        cmocka_unit_test (test_raft_configuration__promotes_only_who_caught_up),
        cmocka_unit_test (test_raft_configuration__joint_needs_both_halves),
        cmocka_unit_test (test_raft_configuration__leaves_joint_by_itself),
        cmocka_unit_test (test_raft_configuration__voted_out_leader_hands_over),
        cmocka_unit_test (test_raft_configuration__is_rolled_back_on_truncation),
        cmocka_unit_test (test_raft_configuration__campaigns_while_its_removal_is_open),
        cmocka_unit_test (test_raft_configuration__at_an_index),
        cmocka_unit_test (test_raft_configuration__refuses_what_is_none),
        cmocka_unit_test (test_raft_configuration__valid_ones_alone_are_valid),
        cmocka_unit_test (test_raft_configuration__promotes_no_suspect),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
