/* What no correct peer, disk or caller gives to Raft: refused or ignored, with nothing changed by it (P7). */
#include "test/support/raft_rig.h"

/* ---- raft_new */

static enum status open_with (const struct raft_options *options, const struct raft_stored *stored)
{
    struct raft *raft = NULL;
    enum status status = raft_new (options, stored, 0, &raft);
    assert_true ((status == STATUS_OK) == (raft != NULL));
    raft_destroy (&raft);
    return status;
}

static void test_raft_hostile__options_out_of_bounds_make_no_group (void **state)
{
    (void) state;
    struct raft_configuration members = rig_voters (3);
    const struct raft_stored stored = {.configuration = &members};
    const struct raft_options good = {.shard = RIG_SHARD, .replica = 1, .session = 1};
    assert_int_equal (open_with (&good, &stored), STATUS_OK);
    struct raft_options options = good;
    options.replica = 0;
    assert_int_equal (open_with (&options, &stored), STATUS_INVALID_ARGUMENT);
    options = good;
    options.session = 0;
    assert_int_equal (open_with (&options, &stored), STATUS_INVALID_ARGUMENT);
    options = good;
    options.heartbeat_ms = options.election_min_ms = 100; /* leaders would be voted out between two heartbeats */
    assert_int_equal (open_with (&options, &stored), STATUS_INVALID_ARGUMENT);
    options = good;
    options.election_min_ms = options.election_max_ms = 700; /* everybody would stand up at once */
    assert_int_equal (open_with (&options, &stored), STATUS_INVALID_ARGUMENT);
}

static void test_raft_hostile__stored_state_that_cannot_be_makes_no_group (void **state)
{
    (void) state;
    struct raft_configuration members = rig_voters (3), none = {0};
    const struct raft_options options = {.shard = RIG_SHARD, .replica = 1, .session = 1};
    struct raft_stored stored = {.term = 5, .configuration = &members, .snapshot_index = 3};
    assert_int_equal (open_with (&options, &stored), STATUS_INVALID_ARGUMENT); /* an index without its term */
    stored.snapshot_index = 0;
    stored.snapshot_term = 2;
    assert_int_equal (open_with (&options, &stored), STATUS_INVALID_ARGUMENT);
    stored.snapshot_index = 3;
    assert_int_equal (open_with (&options, &stored), STATUS_OK);
    stored.configuration = NULL; /* waits to be filled */
    assert_int_equal (open_with (&options, &stored), STATUS_OK);
    stored.configuration = &none;
    assert_int_equal (open_with (&options, &stored), STATUS_OK);
    members.count = RAFT_MEMBERS_MAX + 1;
    stored.configuration = &members;
    assert_int_equal (open_with (&options, &stored), STATUS_INVALID_ARGUMENT);
    stored.configuration = &none;
    stored.applied_index = 4; /* the state may hold what this log has lost */
    stored.applied_term = 2;
    assert_int_equal (open_with (&options, &stored), STATUS_DATA_LOSS);
}

static void test_raft_hostile__stored_entries_that_cannot_be_are_damage (void **state)
{
    (void) state;
    static uint8_t large[RAFT_ENTRY_BYTES_MAX + 1];
    struct raft_configuration members = rig_voters (3);
    const struct raft_options options = {.shard = RIG_SHARD, .replica = 1, .session = 1};
    struct raft_entry entries[3];
    struct raft_stored stored = {.term = 5, .configuration = &members, .entries = entries, .entries_count = 3};
    for (int damage = 0; damage <= 7; damage++) {
        for (uint64_t i = 0; i < 3; i++)
            entries[i] = rig_entry (i + 1, 2, "x");
        stored.applied_index = stored.applied_term = 0;
        switch (damage) {
        case 1:
            entries[0].term = 0;
            break;
        case 2:
            entries[2].term = 1;
            break;
        case 3:
            entries[1].index = 3;
            break;
        case 4:
            entries[1].payload = bytes_of (large, sizeof large);
            break;
        case 5:
            entries[1].type = RAFT_ENTRY_CONFIGURATION; /* "x" is none */
            break;
        case 6:
            entries[2].term = 6; /* beyond the hard state */
            break;
        case 7: /* the state holds another history than the log */
            stored.applied_index = 2;
            stored.applied_term = 1;
            break;
        default:
            break;
        }
        for (int i = 0; i < 3; i++)
            entries[i].checksum = raft_entry_checksum (RIG_SHARD, &entries[i]);
        assert_int_equal (open_with (&options, &stored), damage == 0 ? STATUS_OK : STATUS_DATA_LOSS);
    }
    stored.applied_index = 2;
    stored.applied_term = 0; /* a state from before its term was kept */
    entries[2] = rig_entry (3, 2, "x");
    assert_int_equal (open_with (&options, &stored), STATUS_OK);
    entries[1].checksum++;
    assert_int_equal (open_with (&options, &stored), STATUS_DATA_LOSS);
}

/* ---- messages */

static void assert_unchanged (const struct raft_status *before, const struct raft_status *after)
{
    assert_int_equal (after->role, before->role);
    assert_int_equal (after->leader, before->leader);
    assert_int_equal (after->term, before->term);
    assert_int_equal (after->vote, before->vote);
    assert_int_equal (after->commit, before->commit);
    assert_int_equal (after->last_index, before->last_index);
    assert_int_equal (after->last_term, before->last_term);
    assert_int_equal (after->persisted_index, before->persisted_index);
    assert_int_equal (after->suspect, before->suspect);
}

/* Refused, counted, and nothing else. */
static void assert_refused (struct rig *rig, struct raft_message message)
{
    struct raft_status before = rig_status (rig);
    assert_int_equal (rig_receive (rig, message), STATUS_INVALID_ARGUMENT);
    struct raft_status after = rig_status (rig);
    assert_int_equal (after.anomalies, before.anomalies + 1);
    assert_unchanged (&before, &after);
}

static void test_raft_hostile__messages_of_nobody_are_refused (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    const struct raft_message good = rig_message (&rig, RAFT_HEARTBEAT, 2, 3);
    struct raft_message message = good;
    message.shard++;
    assert_refused (&rig, message);
    message = good;
    message.from = 0;
    assert_refused (&rig, message);
    message = good;
    message.from = message.to;
    assert_refused (&rig, message);
    message = good;
    message.term = 0;
    assert_refused (&rig, message);
    message = good;
    message.term = UINT64_C (1) << 62; /* it could never be outbid */
    assert_refused (&rig, message);
    message = good;
    message.type = RAFT_TIMEOUT_NOW + 1;
    assert_refused (&rig, message);
    message = good;
    message.to = 9; /* for an earlier identity: nobody's fault */
    assert_int_equal (rig_receive (&rig, message), STATUS_OK);
    assert_int_equal (rig_status (&rig).term, 0);
    rig_close (&rig);
}

static void test_raft_hostile__appends_out_of_shape_are_refused (void **state)
{
    (void) state;
    static uint8_t large[RAFT_ENTRY_BYTES_MAX + 1];
    static struct raft_entry many[RAFT_MESSAGE_ENTRIES_MAX + 1];
    struct rig rig;
    rig_open (&rig, 3);
    for (int wrong = 0; wrong < 9; wrong++) {
        struct raft_message message = rig_message (&rig, RAFT_APPEND, 2, 3);
        for (uint32_t i = 0; i < 2; i++)
            rig.entries[i] = rig_entry (i + 1, 2, "x");
        message.entries = rig.entries;
        message.count = 2;
        switch (wrong) {
        case 0:
            message.index = 1; /* without its term */
            break;
        case 1:
            message.log_term = 1;
            break;
        case 2:
            rig.entries[1].index = 3;
            break;
        case 3:
            rig.entries[1].term = 1;
            break;
        case 4:
            rig.entries[0].term = rig.entries[1].term = 0;
            break;
        case 5:
            rig.entries[1].type = 0;
            break;
        case 6:
            rig.entries[1].type = RAFT_ENTRY_CONFIGURATION + 1;
            break;
        case 7:
            rig.entries[1].payload = bytes_of (large, sizeof large);
            break;
        default: /* of a term that its leader has not reached */
            rig.entries[1].term = 4;
        }
        assert_refused (&rig, message);
    }
    struct raft_message message = rig_message (&rig, RAFT_APPEND, 2, 3);
    for (uint32_t i = 0; i <= RAFT_MESSAGE_ENTRIES_MAX; i++)
        many[i] = rig_entry (i + 1, 2, NULL);
    message.entries = many;
    message.count = RAFT_MESSAGE_ENTRIES_MAX + 1;
    assert_refused (&rig, message);
    rig_close (&rig);
}

/* Damage under way: the message is dropped, the leader stays the leader, and the same entries are taken when whole. */
static void test_raft_hostile__damaged_entries_leave_the_log_alone (void **state)
{
    (void) state;
    struct raft_configuration empty = {0};
    uint8_t payload[RAFT_CONFIGURATION_BYTES_MAX];
    struct rig rig;
    rig_open (&rig, 3);
    struct raft_message message = rig_message (&rig, RAFT_APPEND, 2, 3);
    message.entries = rig.entries;
    message.count = 1;
    rig.entries[0] = rig_entry (1, 3, "x");
    rig.entries[0].checksum++;
    assert_int_equal (rig_receive (&rig, message), STATUS_INVALID_ARGUMENT);
    rig.entries[0] = rig_entry (1, 3, "x");
    rig.entries[0].type = RAFT_ENTRY_CONFIGURATION;
    rig.entries[0].checksum = raft_entry_checksum (RIG_SHARD, &rig.entries[0]);
    assert_int_equal (rig_receive (&rig, message), STATUS_INVALID_ARGUMENT);
    rig.entries[0].payload = bytes_of (payload, raft_configuration_encode (&empty, payload)); /* nobody left to vote */
    rig.entries[0].checksum = raft_entry_checksum (RIG_SHARD, &rig.entries[0]);
    assert_int_equal (rig_receive (&rig, message), STATUS_INVALID_ARGUMENT);
    assert_int_equal (rig_status (&rig).last_index, 0);
    assert_int_equal (rig_status (&rig).leader, 2);
    rig.entries[0] = rig_entry (1, 3, "x");
    assert_int_equal (rig_receive (&rig, message), STATUS_OK);
    assert_int_equal (rig_status (&rig).last_index, 1);
    rig_close (&rig);
}

/* One leader a term: whoever else claims to be it is not followed, by neither message. */
static void test_raft_hostile__a_second_leader_of_a_term_is_not_followed (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    assert_int_equal (rig_append (&rig, 2, 3, 0, 0, 0, (uint64_t[]){3}, 1), STATUS_OK);
    assert_int_equal (rig_append (&rig, 3, 3, 1, 3, 1, (uint64_t[]){3}, 1), STATUS_INVALID_ARGUMENT);
    rig_receive (&rig, rig_message (&rig, RAFT_HEARTBEAT, 3, 3));
    assert_int_equal (rig_status (&rig).leader, 2);
    assert_int_equal (rig_status (&rig).last_index, 1);
    assert_int_equal (rig_status (&rig).anomalies, 2);
    rig_close (&rig);
    rig_open (&rig, 3);
    rig_lead (&rig);
    uint64_t term = rig_status (&rig).term, last = rig_status (&rig).last_index;
    assert_int_equal (rig_append (&rig, 2, term, last, term, 0, (uint64_t[]){term}, 1), STATUS_INVALID_ARGUMENT);
    rig_receive (&rig, rig_message (&rig, RAFT_HEARTBEAT, 2, term));
    assert_int_equal (rig_status (&rig).role, RAFT_LEADER);
    assert_int_equal (rig_status (&rig).last_index, last);
    assert_int_equal (rig_status (&rig).anomalies, 2);
    rig_close (&rig);
}

static void test_raft_hostile__what_committed_is_not_contradicted (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    assert_int_equal (rig_append (&rig, 2, 3, 0, 0, 2, (uint64_t[]){3, 3}, 2), STATUS_OK);
    assert_int_equal (rig_status (&rig).commit, 2);
    assert_int_equal (rig_append (&rig, 3, 4, 2, 4, 0, (uint64_t[]){4}, 1), STATUS_INVALID_ARGUMENT); /* another 2 */
    assert_int_equal (rig_append (&rig, 3, 4, 0, 0, 0, (uint64_t[]){4, 4, 4}, 3), STATUS_INVALID_ARGUMENT);
    assert_int_equal (rig_status (&rig).last_index, 2);
    assert_int_equal (rig_status (&rig).last_term, 3);
    rig_close (&rig);
}

/* A leader hears of logs, rounds and terms that cannot be: it neither commits by them nor answers reads. */
static void test_raft_hostile__a_leader_believes_no_impossible_answer (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    uint64_t last = rig_status (&rig).last_index, term = rig_status (&rig).term;
    rig_propose (&rig, "x");
    assert_int_equal (rig_ack (&rig, 2, last + 2), STATUS_OK); /* more than there is */
    assert_int_equal (rig_status (&rig).anomalies, 1);
    struct raft_peer_status peer;
    assert_true (raft_peer_status (rig.raft, 2, &peer));
    assert_int_equal (peer.match, last);
    struct raft_message reply = rig_message (&rig, RAFT_APPEND_REPLY, 2, term);
    reply.session = 0; /* of no life */
    reply.index = last + 1;
    rig_receive (&rig, reply);
    reply.session = 1;
    reply.from = 7; /* a stranger */
    rig_receive (&rig, reply);
    assert_int_equal (rig_status (&rig).commit, last);
    assert_int_equal (rig_step (&rig, (struct raft_event){.type = RAFT_READ, .read_id = 1}), STATUS_OK);
    rig_turn (&rig);
    rig_reset (&rig);
    reply = rig_message (&rig, RAFT_HEARTBEAT_REPLY, 2, term);
    reply.round = 1000; /* not begun */
    rig_receive (&rig, reply);
    assert_int_equal (rig_status (&rig).anomalies, 2);
    rig_turn (&rig);
    assert_int_equal (rig.effects.reads_count, 0);
    assert_false (raft_peer_status (rig.raft, 7, &peer));
    reply.round = 0;
    reply.term = term + 1; /* somebody has gone on */
    rig_receive (&rig, reply);
    assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER);
    assert_int_equal (rig_status (&rig).term, term + 1);
    assert_false (raft_peer_status (rig.raft, 2, &peer));
    rig_close (&rig);
}

/* TimeoutNow counts from the leader of this term alone, and never makes a suspect or a learner a candidate. */
static void test_raft_hostile__timeout_now_of_strangers_elects_nobody (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_receive (&rig, rig_message (&rig, RAFT_HEARTBEAT, 2, 3));
    rig_receive (&rig, rig_message (&rig, RAFT_TIMEOUT_NOW, 3, 3));
    rig_receive (&rig, rig_message (&rig, RAFT_TIMEOUT_NOW, 2, 2));
    rig_receive (&rig, rig_message (&rig, RAFT_TIMEOUT_NOW, 2, 4));
    assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER);
    rig_receive (&rig, rig_message (&rig, RAFT_TIMEOUT_NOW, 2, 3));
    assert_int_equal (rig_status (&rig).role, RAFT_CANDIDATE);
    rig_receive (&rig, rig_message (&rig, RAFT_TIMEOUT_NOW, 2, rig_status (&rig).term)); /* once is enough */
    assert_int_equal (rig_status (&rig).term, 4);
    rig_close (&rig);

    struct raft_configuration members = rig_voters (3);
    struct raft_stored stored = {.term = 3, .configuration = &members};
    rig_open_stored (&rig, &(struct raft_options){.suspect = true}, &stored);
    rig_receive (&rig, rig_message (&rig, RAFT_HEARTBEAT, 2, 3));
    rig_receive (&rig, rig_message (&rig, RAFT_TIMEOUT_NOW, 2, 3));
    assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER);
    rig_close (&rig);
    members.members[0].roles = RAFT_LEARNER;
    rig_open_stored (&rig, &(struct raft_options){0}, &stored);
    rig_receive (&rig, rig_message (&rig, RAFT_HEARTBEAT, 2, 3));
    rig_receive (&rig, rig_message (&rig, RAFT_TIMEOUT_NOW, 2, 3));
    assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER);
    rig_close (&rig);
}

/* Votes of strangers, of oneself and of another term are no votes. */
static void test_raft_hostile__votes_of_strangers_do_not_count (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 5);
    assert_int_equal (rig_step (&rig, (struct raft_event){.type = RAFT_CAMPAIGN}), STATUS_OK);
    for (uint64_t from = 6; from <= 9; from++)
        rig_receive (&rig, rig_message (&rig, RAFT_PREVOTE_REPLY, from, 1));
    rig_receive (&rig, rig_message (&rig, RAFT_PREVOTE_REPLY, 2, 1));
    rig_receive (&rig, rig_message (&rig, RAFT_PREVOTE_REPLY, 2, 1)); /* twice is once */
    assert_int_equal (rig_status (&rig).role, RAFT_PRE_CANDIDATE);
    rig_receive (&rig, rig_message (&rig, RAFT_PREVOTE_REPLY, 3, 1));
    assert_int_equal (rig_status (&rig).role, RAFT_CANDIDATE);
    rig_close (&rig);
}

/* ---- the caller */

static void test_raft_hostile__what_is_too_large_is_not_proposed (void **state)
{
    (void) state;
    static uint8_t large[RAFT_ENTRY_BYTES_MAX + 1];
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    uint64_t last = rig_status (&rig).last_index;
    struct bytes payloads[] = {BYTES_LITERAL ("x"), bytes_of (large, sizeof large)};
    struct raft_event event = {.type = RAFT_PROPOSE, .payloads = payloads, .payloads_count = 2};
    assert_int_equal (rig_step (&rig, event), STATUS_INVALID_ARGUMENT);
    assert_int_equal (rig_status (&rig).last_index, last); /* all or none */
    payloads[1].len--;
    assert_int_equal (rig_step (&rig, event), STATUS_OK);
    assert_int_equal (rig_status (&rig).last_index, last + 2);
    rig_close (&rig);
}

/* Links of nodes that are none of the group, and the own one, change nothing. */
static void test_raft_hostile__links_of_strangers_change_nothing (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_receive (&rig, rig_message (&rig, RAFT_HEARTBEAT, 2, 3));
    struct raft_status before = rig_status (&rig);
    uint64_t deadline_ms = raft_deadline_ms (rig.raft);
    for (uint32_t node = 1; node <= 9; node++)
        if (node != 2)
            rig_step (&rig, (struct raft_event){.type = RAFT_LINK, .node = node, .up = false});
    struct raft_status after = rig_status (&rig);
    assert_unchanged (&before, &after);
    assert_int_equal (raft_deadline_ms (rig.raft), deadline_ms);
    rig_step (&rig, (struct raft_event){.type = RAFT_LINK, .node = 2, .up = false}); /* the leader's */
    assert_true (raft_deadline_ms (rig.raft) < deadline_ms);
    rig_close (&rig);
}

static void test_raft_hostile__snapshots_that_nobody_asked_for_are_ignored (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    struct raft_peer_status before, after;
    assert_true (raft_peer_status (rig.raft, 2, &before));
    uint64_t last = rig_status (&rig).last_index;
    for (uint64_t replica = 0; replica <= 4; replica++)
        rig_step (
            &rig, (struct raft_event){.type = RAFT_SNAPSHOT_SENT, .replica = replica, .index = last + 9, .ok = true});
    assert_true (raft_peer_status (rig.raft, 2, &after));
    assert_int_equal (after.match, before.match);
    assert_false (after.snapshotting);
    rig_propose (&rig, "x");
    rig_turn (&rig);
    assert_int_equal (rig_now (&rig, RAFT_APPEND, 2)->index, last); /* goes on where it was */
    rig_close (&rig);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_raft_hostile__options_out_of_bounds_make_no_group),
        cmocka_unit_test (test_raft_hostile__stored_state_that_cannot_be_makes_no_group),
        cmocka_unit_test (test_raft_hostile__stored_entries_that_cannot_be_are_damage),
        cmocka_unit_test (test_raft_hostile__messages_of_nobody_are_refused),
        cmocka_unit_test (test_raft_hostile__appends_out_of_shape_are_refused),
        cmocka_unit_test (test_raft_hostile__damaged_entries_leave_the_log_alone),
        cmocka_unit_test (test_raft_hostile__a_second_leader_of_a_term_is_not_followed),
        cmocka_unit_test (test_raft_hostile__what_committed_is_not_contradicted),
        cmocka_unit_test (test_raft_hostile__a_leader_believes_no_impossible_answer),
        cmocka_unit_test (test_raft_hostile__timeout_now_of_strangers_elects_nobody),
        cmocka_unit_test (test_raft_hostile__votes_of_strangers_do_not_count),
        cmocka_unit_test (test_raft_hostile__what_is_too_large_is_not_proposed),
        cmocka_unit_test (test_raft_hostile__links_of_strangers_change_nothing),
        cmocka_unit_test (test_raft_hostile__snapshots_that_nobody_asked_for_are_ignored),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
