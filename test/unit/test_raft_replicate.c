/* The leader: thesis 3.5, 3.6.2 (what commits), 6.2 (check-quorum), 10.2.1 (pipelining within a window). */
#include "test/support/raft_rig.h"

static void test_raft_replicate__appends_travel_while_the_disk_works (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    assert_int_equal (rig_propose (&rig, "one"), STATUS_OK);
    assert_int_equal (rig_propose (&rig, "two"), STATUS_OK);
    assert_int_equal (rig.effects.proposed_index, 3);
    assert_int_equal (rig.effects.proposed_term, 1);
    rig_turn (&rig);
    const struct raft_message *append = rig_now (&rig, RAFT_APPEND, 2);
    assert_int_equal (append->index, 1);
    assert_int_equal (append->count, 2); /* one message for the turn */
    assert_memory_equal (append->entries[1].payload.data, "two", 3);
    assert_int_equal (rig.effects.persist.first, 2);
    assert_int_equal (rig.effects.persist.last, 3);
    rig_close (&rig);
}

/* R2: the own copy counts once it is synced. */
static void test_raft_replicate__own_copy_counts_when_synced (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    rig_propose (&rig, "one");
    rig_turn (&rig);
    uint64_t sequence = rig.effects.persist.sequence;
    rig_reset (&rig);
    rig_ack (&rig, 2, 2);
    assert_int_equal (rig_status (&rig).commit, 1);
    rig_step (&rig, (struct raft_event){.type = RAFT_PERSISTED, .sequence = sequence});
    assert_int_equal (rig_status (&rig).commit, 2);
    rig_close (&rig);
}

/* Two followers are a quorum without the leader's disk; it applies what it holds itself. */
static void test_raft_replicate__commits_before_a_slow_own_disk (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    rig_propose (&rig, "one");
    rig_turn (&rig);
    uint64_t sequence = rig.effects.persist.sequence;
    rig_reset (&rig);
    rig_ack (&rig, 2, 2);
    rig_ack (&rig, 3, 2);
    rig_turn (&rig);
    assert_int_equal (rig_status (&rig).commit, 2);
    assert_true (rig.effects.apply_last < rig.effects.apply_first);
    rig_reset (&rig);
    rig_step (&rig, (struct raft_event){.type = RAFT_PERSISTED, .sequence = sequence});
    rig_turn (&rig);
    assert_int_equal (rig.effects.apply_last, 2);
    rig_close (&rig);
}

/* R3, figure 8 of the Raft paper. */
static void test_raft_replicate__old_terms_commit_only_with_the_own (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 2, (uint64_t[]){1, 2}, 2);
    rig_elect (&rig);
    rig_sync (&rig); /* the no-op of term 3 at index 3 */
    rig_ack (&rig, 2, 2);
    assert_int_equal (rig_status (&rig).commit, 0);
    rig_ack (&rig, 2, 3);
    assert_int_equal (rig_status (&rig).commit, 3);
    rig_close (&rig);
}

static void test_raft_replicate__probes_one_at_a_time (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 5, (uint64_t[]){1, 1, 4, 5, 5}, 5);
    rig_elect (&rig); /* the first append was sent: after index 5, with the no-op at 6 */
    assert_int_equal (rig_now (&rig, RAFT_APPEND, 2)->index, 5);
    rig_reset (&rig);
    rig_propose (&rig, "more");
    rig_turn (&rig);
    assert_null (rig_now (&rig, RAFT_APPEND, 2)); /* nothing more before the answer */
    rig_reset (&rig);
    struct raft_message refusal = rig_message (&rig, RAFT_APPEND_REPLY, 2, 6);
    refusal.flags = RAFT_FLAG_REJECT;
    refusal.index = 5;
    refusal.hint = 4;
    refusal.log_term = 3; /* it has a term 3 up to index 4: only our term 1 can match */
    rig_receive (&rig, refusal);
    rig_turn (&rig);
    assert_int_equal (rig_now (&rig, RAFT_APPEND, 2)->index, 2);
    assert_int_equal (rig_now (&rig, RAFT_APPEND, 2)->count, 5);
    rig_reset (&rig);
    rig_receive (&rig, refusal); /* the same once more: stale */
    rig_turn (&rig);
    assert_null (rig_now (&rig, RAFT_APPEND, 2));
    rig_close (&rig);
}

static void test_raft_replicate__pipelines_within_the_window (void **state)
{
    (void) state;
    struct rig rig;
    struct raft_configuration voters = rig_voters (3);
    struct raft_stored stored = {.configuration = &voters};
    rig_open_stored (&rig, &(struct raft_options){.window_entries_max = 3}, &stored);
    rig_lead (&rig);
    for (int i = 0; i < 5; i++) {
        rig_reset (&rig);
        rig_propose (&rig, "x");
        rig_turn (&rig);
        assert_int_equal (rig_now (&rig, RAFT_APPEND, 2) != NULL, i < 3);
    }
    rig_reset (&rig);
    rig_ack (&rig, 2, 3);
    rig_turn (&rig);
    assert_int_equal (rig_now (&rig, RAFT_APPEND, 2)->index, 4); /* 5 and 6: two places were free */
    rig_close (&rig);
}

static void test_raft_replicate__window_counts_bytes (void **state)
{
    (void) state;
    struct rig rig;
    struct raft_configuration voters = rig_voters (3);
    struct raft_stored stored = {.configuration = &voters};
    rig_open_stored (&rig, &(struct raft_options){.window_bytes_max = 10, .append_bytes_max = 8}, &stored);
    rig_lead (&rig);
    for (int i = 0; i < 4; i++)
        rig_propose (&rig, "sixsix");
    rig_turn (&rig);
    size_t appends = 0;
    for (size_t i = 0; i < rig.effects.send_now_count; i++)
        if (rig.effects.send_now[i].type == RAFT_APPEND && rig.effects.send_now[i].to == 2) {
            assert_int_equal (rig.effects.send_now[i].count, 1); /* two would be 12 bytes */
            appends++;
        }
    assert_int_equal (appends, 2); /* after 12 unacknowledged bytes the window is closed */
    rig_close (&rig);
}

static void test_raft_replicate__sends_again_what_got_lost (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    rig_propose (&rig, "x");
    rig_turn (&rig);
    rig_reset (&rig);
    uint64_t waited_ms = 0;
    while (!rig_now (&rig, RAFT_APPEND, 2)) {
        rig_reset (&rig);
        rig_tick (&rig, 50);
        rig_turn (&rig);
        waited_ms += 50;
        assert_true (waited_ms < 500);
    }
    assert_int_equal (rig_now (&rig, RAFT_APPEND, 2)->index, 1);
    rig_close (&rig);
}

static void test_raft_replicate__pauses_while_the_link_is_down (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    rig_step (&rig, (struct raft_event){.type = RAFT_LINK, .node = 2, .up = false});
    rig_propose (&rig, "x");
    rig_turn (&rig);
    assert_null (rig_now (&rig, RAFT_APPEND, 2));
    assert_non_null (rig_now (&rig, RAFT_APPEND, 3));
    rig_reset (&rig);
    rig_step (&rig, (struct raft_event){.type = RAFT_LINK, .node = 2, .up = true});
    rig_turn (&rig);
    assert_int_equal (rig_now (&rig, RAFT_APPEND, 2)->index, 1);
    rig_close (&rig);
}

/* R10 */
static void test_raft_replicate__steps_down_without_a_quorum (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    for (int i = 0; i < 30; i++) { /* one answering follower is enough */
        rig_tick (&rig, 50);
        rig_receive (&rig, rig_message (&rig, RAFT_HEARTBEAT_REPLY, 2, 1));
    }
    assert_int_equal (rig_status (&rig).role, RAFT_LEADER);
    for (int i = 0; i < 41 && rig_status (&rig).role == RAFT_LEADER; i++)
        rig_tick (&rig, 50);
    assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER);
    assert_int_equal (rig_status (&rig).term, 1);
    assert_true (rig.effects.role_changed);
    rig_close (&rig);
}

/* Heartbeats alone do not make a follower: its data link must move while there is something to move. */
static void test_raft_replicate__heartbeats_without_progress_do_not_count (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    rig_propose (&rig, "stuck");
    rig_turn (&rig);
    for (int i = 0; i < 60; i++) {
        rig_tick (&rig, 50);
        if (rig_status (&rig).role != RAFT_LEADER)
            break;
        rig_receive (&rig, rig_message (&rig, RAFT_HEARTBEAT_REPLY, 2, 1));
        rig_receive (&rig, rig_message (&rig, RAFT_HEARTBEAT_REPLY, 3, 1));
    }
    assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER);
    rig_close (&rig);
}

/* G1: all groups of a node beat on the same multiples of the interval, so that their heartbeats pack. */
static void test_raft_replicate__heartbeats_fall_together (void **state)
{
    (void) state;
    uint64_t deadline_ms[2];
    for (int i = 0; i < 2; i++) {
        struct rig rig;
        rig_open (&rig, 3);
        rig.now_ms += 13 * (uint64_t) i;
        rig_lead (&rig);
        deadline_ms[i] = raft_deadline_ms (rig.raft);
        rig.now_ms = deadline_ms[i];
        rig_tick (&rig, 0);
        assert_non_null (rig_now (&rig, RAFT_HEARTBEAT, 2));
        assert_non_null (rig_now (&rig, RAFT_HEARTBEAT, 3));
        rig_close (&rig);
    }
    assert_int_equal (deadline_ms[0] % 50, 0);
    assert_int_equal (deadline_ms[1] % 50, 0);
}

/* G1: a heartbeat carries the commit index, no further than the peer has shown to hold. */
static void test_raft_replicate__heartbeat_commit_is_capped (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    rig_propose (&rig, "x");
    rig_turn (&rig);
    rig_sync (&rig);
    rig_ack (&rig, 2, 2);
    rig_reset (&rig);
    rig_tick (&rig, 50);
    assert_int_equal (rig_now (&rig, RAFT_HEARTBEAT, 2)->commit, 2);
    assert_int_equal (rig_now (&rig, RAFT_HEARTBEAT, 3)->commit, 1);
    rig_close (&rig);
}

static void test_raft_replicate__refuses_what_it_cannot_take (void **state)
{
    (void) state;
    struct rig rig;
    struct raft_configuration voters = rig_voters (3);
    struct raft_stored stored = {.configuration = &voters};
    rig_open_stored (&rig, &(struct raft_options){.log_bytes_max = 10}, &stored);
    assert_int_equal (rig_propose (&rig, "not the leader"), STATUS_UNAVAILABLE);
    rig_lead (&rig);
    assert_int_equal (rig_propose (&rig, "more than ten bytes"), STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal (rig_propose (&rig, "fits"), STATUS_OK);
    struct bytes two[] = {BYTES_LITERAL ("four"), BYTES_LITERAL ("four")};
    struct raft_event both = {.type = RAFT_PROPOSE, .payloads = two, .payloads_count = 2};
    assert_int_equal (rig_step (&rig, both), STATUS_RESOURCE_EXHAUSTED); /* all or none */
    assert_int_equal (rig_status (&rig).last_index, 2);
    rig_close (&rig);
}

/* R11 */
static void test_raft_replicate__ignores_acknowledgements_of_strangers (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 5);
    rig_lead (&rig);
    rig_propose (&rig, "x");
    rig_turn (&rig);
    rig_sync (&rig);
    rig_ack (&rig, 2, 2);
    rig_ack (&rig, 98, 2);
    rig_ack (&rig, 99, 2);
    assert_int_equal (rig_status (&rig).commit, 1);
    rig_ack (&rig, 3, 2);
    assert_int_equal (rig_status (&rig).commit, 2);
    rig_close (&rig);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_raft_replicate__appends_travel_while_the_disk_works),
        cmocka_unit_test (test_raft_replicate__own_copy_counts_when_synced),
        cmocka_unit_test (test_raft_replicate__commits_before_a_slow_own_disk),
        cmocka_unit_test (test_raft_replicate__old_terms_commit_only_with_the_own),
        cmocka_unit_test (test_raft_replicate__probes_one_at_a_time),
        cmocka_unit_test (test_raft_replicate__pipelines_within_the_window),
        cmocka_unit_test (test_raft_replicate__window_counts_bytes),
        cmocka_unit_test (test_raft_replicate__sends_again_what_got_lost),
        cmocka_unit_test (test_raft_replicate__pauses_while_the_link_is_down),
        cmocka_unit_test (test_raft_replicate__steps_down_without_a_quorum),
        cmocka_unit_test (test_raft_replicate__heartbeats_without_progress_do_not_count),
        cmocka_unit_test (test_raft_replicate__heartbeats_fall_together),
        cmocka_unit_test (test_raft_replicate__heartbeat_commit_is_capped),
        cmocka_unit_test (test_raft_replicate__refuses_what_it_cannot_take),
        cmocka_unit_test (test_raft_replicate__ignores_acknowledgements_of_strangers),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
