/* Compaction, snapshots and restarts: thesis 5, trap R13. */
#include "test/support/raft_rig.h"

static enum status restore (struct rig *rig, uint64_t index, uint64_t term)
{
    struct raft_configuration members = rig_voters (3);
    struct raft_event event = {.type = RAFT_RESTORE, .index = index, .term = term, .configuration = &members};
    return rig_step (rig, event);
}

/* A leader of five applied no-ops, compacted up to 4. */
static void lead_compacted (struct rig *rig)
{
    rig_open_log (rig, 3, 1, (uint64_t[]){1, 1, 1, 1}, 4);
    rig_elect (rig);
    rig_sync (rig);
    rig_ack (rig, 2, 5);
    rig_reset (rig);
    rig_turn (rig);
    assert_int_equal (rig->effects.apply_last, 5);
    rig_step (rig, (struct raft_event){.type = RAFT_APPLIED, .index = 5});
    raft_compact (rig->raft, 4);
    rig_reset (rig);
}

static void ask_for_snapshot (struct rig *rig)
{
    struct raft_message refusal = rig_message (rig, RAFT_APPEND_REPLY, 3, rig_status (rig).term);
    refusal.flags = RAFT_FLAG_REJECT;
    refusal.index = 4;
    refusal.hint = 0;
    rig_receive (rig, refusal);
    rig_turn (rig);
}

static void test_raft_snapshot__is_wanted_for_compacted_entries (void **state)
{
    (void) state;
    struct rig rig;
    lead_compacted (&rig);
    ask_for_snapshot (&rig);
    assert_int_equal (rig.effects.snapshots_count, 1);
    assert_int_equal (rig.effects.snapshots[0].replica, 3);
    assert_int_equal (rig.effects.snapshots[0].node, 3);
    rig_reset (&rig);
    rig_propose (&rig, "x");
    rig_turn (&rig);
    assert_int_equal (rig.effects.snapshots_count, 0); /* once */
    assert_null (rig_now (&rig, RAFT_APPEND, 3));      /* and nothing else meanwhile */
    assert_non_null (rig_now (&rig, RAFT_APPEND, 2));
    rig_close (&rig);
}

/* A replica that was dead when this leader was elected comes back with nearly everything. The leader knows nothing of it: it
 * asks at the end of its log, and does not send all of its state. The same for one that is started again under this leader
 * before it has acknowledged anything. */
static void test_raft_snapshot__is_not_for_one_of_whom_nothing_is_known (void **state)
{
    (void) state;
    struct rig rig;
    lead_compacted (&rig);
    rig_step (&rig, (struct raft_event){.type = RAFT_LINK, .node = 3, .up = false});
    rig_step (&rig, (struct raft_event){.type = RAFT_LINK, .node = 3, .up = true});
    struct raft_message alive = rig_message (&rig, RAFT_HEARTBEAT_REPLY, 3, rig_status (&rig).term);
    for (uint64_t session = 7; session <= 8; session++) {
        alive.session = session;
        rig_reset (&rig);
        rig_receive (&rig, alive);
        rig_turn (&rig);
        assert_int_equal (rig.effects.snapshots_count, 0);
        assert_non_null (rig_now (&rig, RAFT_APPEND, 3));
        assert_int_equal (rig_now (&rig, RAFT_APPEND, 3)->index, 5);
    }
    rig_close (&rig);
}

static void test_raft_snapshot__replication_goes_on_behind_it (void **state)
{
    (void) state;
    struct rig rig;
    lead_compacted (&rig);
    ask_for_snapshot (&rig);
    rig_reset (&rig);
    rig_step (&rig, (struct raft_event){.type = RAFT_SNAPSHOT_SENT, .replica = 3, .index = 5, .ok = true});
    rig_turn (&rig);
    assert_int_equal (rig_now (&rig, RAFT_APPEND, 3)->index, 5);
    rig_close (&rig);
}

static void test_raft_snapshot__failed_one_is_asked_for_again_later (void **state)
{
    (void) state;
    struct rig rig;
    lead_compacted (&rig);
    ask_for_snapshot (&rig);
    rig_reset (&rig);
    rig_step (&rig, (struct raft_event){.type = RAFT_SNAPSHOT_SENT, .replica = 3, .ok = false});
    rig_turn (&rig);
    assert_int_equal (rig.effects.snapshots_count, 0); /* not in a loop */
    unsigned waited = 0;
    while (rig.effects.snapshots_count == 0) {
        rig_reset (&rig);
        rig_tick (&rig, 50);
        rig_receive (&rig, rig_message (&rig, RAFT_HEARTBEAT_REPLY, 2, 2));
        rig_turn (&rig);
        assert_true (++waited < 10);
    }
    assert_true (waited > 2);
    rig_close (&rig);
}

/* R13: canonical/raft#450. The log is another history: it goes, and the disk hears of it. */
static void test_raft_snapshot__replaces_a_log_that_does_not_fit (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 2, (uint64_t[]){1, 1, 2, 2, 2}, 5);
    assert_true (raft_restore_resets (rig.raft, 4, 3));
    assert_int_equal (restore (&rig, 4, 3), STATUS_OK);
    rig_turn (&rig);
    struct raft_status status = rig_status (&rig);
    assert_int_equal (status.snapshot_index, 4);
    assert_int_equal (status.last_index, 4);
    assert_int_equal (status.commit, 4);
    assert_int_equal (status.applied, 4);
    assert_int_equal (status.persisted_index, 4);
    assert_true (rig.effects.persist.reset);
    assert_int_equal (rig.effects.persist.reset_index, 4);
    assert_int_equal (rig.effects.persist.reset_term, 3);
    assert_true (rig.effects.apply_last < rig.effects.apply_first);
    rig_close (&rig);
}

static void test_raft_snapshot__keeps_a_log_that_fits (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 2, (uint64_t[]){1, 1, 2, 2, 2}, 5);
    assert_false (raft_restore_resets (rig.raft, 3, 2));
    assert_int_equal (restore (&rig, 3, 2), STATUS_OK);
    rig_append (&rig, 2, 2, 5, 2, 5, NULL, 0);
    rig_turn (&rig);
    assert_int_equal (rig_status (&rig).last_index, 5);
    assert_int_equal (rig.effects.apply_first, 4); /* what the snapshot contains is not applied again */
    assert_int_equal (rig.effects.apply_last, 5);
    assert_false (rig.effects.persist.reset);
    rig_close (&rig);
}

/* R13: canonical/raft#291. Entries that are still being written are covered by the snapshot. */
static void test_raft_snapshot__overtakes_entries_under_way (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_append (&rig, 2, 1, 0, 0, 3, (uint64_t[]){1, 1, 1}, 3);
    rig_turn (&rig);
    uint64_t sequence = rig.effects.persist.sequence;
    rig_reset (&rig);
    restore (&rig, 2, 1);
    rig_turn (&rig);
    assert_int_equal (rig_status (&rig).persisted_index, 2);
    assert_int_equal (rig_status (&rig).applied, 2);
    rig_reset (&rig);
    rig_step (&rig, (struct raft_event){.type = RAFT_PERSISTED, .sequence = sequence});
    rig_turn (&rig);
    assert_int_equal (rig.effects.apply_first, 3);
    assert_int_equal (rig.effects.apply_last, 3);
    rig_close (&rig);
}

/* Found by the simulator: entries of this very turn, committed already, behind the end of the snapshot. */
static void test_raft_snapshot__drops_what_the_disk_was_not_given (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_append (&rig, 2, 1, 0, 0, 3, (uint64_t[]){1, 1, 1}, 3);
    assert_int_equal (rig_status (&rig).commit, 3);
    assert_true (raft_restore_resets (rig.raft, 2, 1));
    restore (&rig, 2, 1);
    rig_turn (&rig);
    assert_int_equal (rig_status (&rig).commit, 2);
    assert_int_equal (rig_status (&rig).last_index, 2);
    assert_int_equal (rig_after (&rig, RAFT_APPEND_REPLY, 2)->index, 2); /* the leader sends 3 again */
    assert_true (rig.effects.persist.reset);
    rig_close (&rig);
}

static void test_raft_snapshot__old_one_changes_nothing (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 1, (uint64_t[]){1, 1, 1}, 3);
    rig_append (&rig, 2, 1, 3, 1, 3, NULL, 0);
    rig_turn (&rig);
    rig_step (&rig, (struct raft_event){.type = RAFT_APPLIED, .index = 3});
    assert_int_equal (restore (&rig, 2, 1), STATUS_OK);
    assert_int_equal (rig_status (&rig).applied, 3);
    assert_int_equal (rig_status (&rig).snapshot_index, 0);
    rig_close (&rig);
}

static void test_raft_snapshot__fills_an_empty_replica (void **state)
{
    (void) state;
    struct rig rig;
    struct raft_stored stored = {0};
    rig_open_stored (&rig, &(struct raft_options){.replica = 3}, &stored);
    assert_int_equal (raft_configuration (rig.raft)->count, 0);
    rig_append (&rig, 2, 4, 9, 4, 9, (uint64_t[]){4}, 1);
    rig_turn (&rig);
    assert_int_equal (rig_after (&rig, RAFT_APPEND_REPLY, 2)->hint, 0);
    rig_sync (&rig);
    rig_reset (&rig);
    restore (&rig, 9, 4);
    rig_turn (&rig);
    assert_int_equal (raft_configuration (rig.raft)->count, 3);
    assert_int_equal (rig_after (&rig, RAFT_APPEND_REPLY, 2)->index, 9); /* tells the leader at once */
    rig_append (&rig, 2, 4, 9, 4, 9, (uint64_t[]){4}, 1);
    assert_int_equal (rig_status (&rig).last_index, 10);
    rig_close (&rig);
}

/* ---- restarts ---- */

static enum status reopen (struct raft_stored stored, struct raft **raft)
{
    struct raft_options options = {.shard = RIG_SHARD, .replica = 1, .session = 2};
    struct raft_configuration members = rig_voters (3);
    stored.configuration = &members;
    return raft_new (&options, &stored, 0, raft);
}

static void test_raft_snapshot__restart_goes_on_after_it (void **state)
{
    (void) state;
    struct raft_entry entries[] = {rig_entry (3, 1, "c"), rig_entry (4, 2, "d"), rig_entry (5, 2, "e")};
    struct raft_stored stored = {.term = 3,
        .vote = 2,
        .snapshot_index = 4,
        .snapshot_term = 2,
        .entries = entries,
        .entries_count = 3,
        .commit = 5};
    struct raft *raft;
    struct raft_status status;
    assert_int_equal (reopen (stored, &raft), STATUS_OK);
    raft_check (raft);
    raft_status (raft, &status);
    assert_int_equal (status.last_index, 5);
    assert_int_equal (status.applied, 4);
    assert_int_equal (status.commit, 5);
    assert_int_equal (status.term, 3);
    assert_int_equal (status.vote, 2);
    assert_memory_equal (raft_entry (raft, 5)->payload.data, "e", 1);
    assert_null (raft_entry (raft, 4));
    raft_destroy (&raft);
    assert_null (raft);
}

/* R13: a snapshot was made live, then the power went before the old log was dropped. */
static void test_raft_snapshot__restart_drops_a_log_that_does_not_continue_it (void **state)
{
    (void) state;
    struct raft_entry entries[] = {rig_entry (3, 1, "c"), rig_entry (4, 2, "d"), rig_entry (5, 2, "e")};
    const struct {
        uint64_t index, term;
    } snapshots[] = {{4, 3}, {9, 2}};
    for (size_t i = 0; i < 2; i++) {
        struct raft_stored stored = {.term = 3,
            .snapshot_index = snapshots[i].index,
            .snapshot_term = snapshots[i].term,
            .entries = entries,
            .entries_count = 3};
        struct raft *raft;
        struct raft_status status;
        struct raft_effects effects;
        assert_int_equal (reopen (stored, &raft), STATUS_OK);
        raft_status (raft, &status);
        assert_int_equal (status.last_index, snapshots[i].index);
        raft_effects_init (&effects);
        struct raft_event end = {.type = RAFT_TURN_END};
        assert_int_equal (raft_step (raft, &end, &effects), STATUS_OK);
        assert_true (effects.persist.reset);
        assert_int_equal (effects.persist.reset_index, snapshots[i].index);
        raft_effects_close (&effects);
        raft_destroy (&raft);
    }
}

static void test_raft_snapshot__restart_refuses_damage (void **state)
{
    (void) state;
    struct raft_entry gap[] = {rig_entry (1, 1, "a"), rig_entry (3, 1, "c")};
    struct raft_entry rotten[] = {rig_entry (1, 1, "a"), rig_entry (2, 1, "b")};
    rotten[1].payload = bytes_text ("x");
    struct raft_entry fine[] = {rig_entry (1, 1, "a"), rig_entry (2, 1, "b")};
    const struct raft_stored cases[] = {
        {.term = 1, .entries = gap, .entries_count = 2}, {.term = 1, .entries = rotten, .entries_count = 2},
        {.term = 1, .entries = fine, .entries_count = 2, .applied_index = 3, .applied_term = 1}, /* ahead of its log */
        {.term = 1, .entries = fine, .entries_count = 2, .applied_index = 2, .applied_term = 2}, /* of another one */
        {.term = 0, .entries = fine, .entries_count = 2},                                        /* terms unknown */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct raft *raft = NULL;
        assert_int_equal (reopen (cases[i], &raft), STATUS_DATA_LOSS);
        assert_null (raft);
    }
}

/* A leader's snapshot may finish while its follower stands for election; the heartbeat that ends the attempt must not commit
 * what the log no longer holds. */
static void test_raft_snapshot__cuts_what_a_pre_candidate_has_matched (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    assert_int_equal (rig_append (&rig, 2, 1, 0, 0, 0, (uint64_t[]){1, 1, 1, 1, 1}, 5), STATUS_OK);
    assert_int_equal (rig_step (&rig, (struct raft_event){.type = RAFT_CAMPAIGN}), STATUS_OK);
    assert_int_equal (rig_status (&rig).role, RAFT_PRE_CANDIDATE);
    assert_int_equal (restore (&rig, 3, 1), STATUS_OK); /* not given to the disk yet: the log begins anew */
    assert_int_equal (rig_status (&rig).last_index, 3);
    struct raft_message heartbeat = rig_message (&rig, RAFT_HEARTBEAT, 2, 1);
    heartbeat.commit = 5;
    assert_int_equal (rig_receive (&rig, heartbeat), STATUS_OK);
    assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER);
    assert_int_equal (rig_status (&rig).commit, 3);
    rig_close (&rig);
}

/* It stood with another log: whoever votes for it means that one. And what a snapshot says of the members may leave it out. */
static void test_raft_snapshot__ends_a_candidacy (void **state)
{
    (void) state;
    for (int voted = 0; voted <= 1; voted++) {
        struct rig rig;
        rig_open (&rig, 3);
        assert_int_equal (rig_step (&rig, (struct raft_event){.type = RAFT_CAMPAIGN}), STATUS_OK);
        if (voted)
            assert_int_equal (rig_receive (&rig, rig_message (&rig, RAFT_PREVOTE_REPLY, 2, 1)), STATUS_OK);
        rig_turn (&rig);
        rig_sync (&rig);
        assert_int_equal (rig_status (&rig).role, voted ? RAFT_CANDIDATE : RAFT_PRE_CANDIDATE);
        struct raft_configuration without = {.count = 1, .members = {{.replica = 9, .node = 9, .roles = RAFT_VOTER}}};
        struct raft_event event = {.type = RAFT_RESTORE, .index = 5, .term = 1, .configuration = &without};
        assert_int_equal (rig_step (&rig, event), STATUS_OK);
        assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER);
        rig_turn (&rig);
        rig_sync (&rig);
        uint8_t type = voted ? RAFT_VOTE_REPLY : RAFT_PREVOTE_REPLY;
        for (uint64_t term = 1; term <= 2; term++) {
            (void) rig_receive (&rig, rig_message (&rig, type, 9, term));
            (void) rig_receive (&rig, rig_message (&rig, type, 2, term));
        }
        assert_true (rig_status (&rig).role == RAFT_FOLLOWER);
        rig_close (&rig);
    }
}

/* The caller says how far the peer got; what cannot be so is not believed. */
static void test_raft_snapshot__impossible_ends_start_from_the_known (void **state)
{
    (void) state;
    for (uint64_t said = 0; said <= 99; said += 99) { /* below what it acknowledged, and beyond the log */
        struct rig rig;
        lead_compacted (&rig);
        ask_for_snapshot (&rig);
        rig_reset (&rig);
        assert_int_equal (rig_ack (&rig, 3, 3), STATUS_OK); /* it had more than it said */
        rig_step (&rig, (struct raft_event){.type = RAFT_SNAPSHOT_SENT, .replica = 3, .index = said, .ok = true});
        struct raft_peer_status peer;
        assert_true (raft_peer_status (rig.raft, 3, &peer));
        assert_int_equal (peer.match, 3);
        assert_false (peer.snapshotting);
        rig_reset (&rig);
        rig_turn (&rig);
        assert_int_equal (rig.effects.snapshots_count, 1); /* entry 4 is compacted: it needs another one */
        rig_close (&rig);
    }
    struct rig rig;
    rig_open (&rig, 3);
    rig_step (&rig, (struct raft_event){.type = RAFT_SNAPSHOT_SENT, .replica = 3, .index = 1, .ok = true});
    assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER); /* the leadership went on meanwhile */
    rig_close (&rig);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_raft_snapshot__is_wanted_for_compacted_entries),
        cmocka_unit_test (test_raft_snapshot__is_not_for_one_of_whom_nothing_is_known),
        cmocka_unit_test (test_raft_snapshot__replication_goes_on_behind_it),
        cmocka_unit_test (test_raft_snapshot__failed_one_is_asked_for_again_later),
        cmocka_unit_test (test_raft_snapshot__replaces_a_log_that_does_not_fit),
        cmocka_unit_test (test_raft_snapshot__keeps_a_log_that_fits),
        cmocka_unit_test (test_raft_snapshot__overtakes_entries_under_way),
        cmocka_unit_test (test_raft_snapshot__drops_what_the_disk_was_not_given),
        cmocka_unit_test (test_raft_snapshot__old_one_changes_nothing),
        cmocka_unit_test (test_raft_snapshot__fills_an_empty_replica),
        cmocka_unit_test (test_raft_snapshot__restart_goes_on_after_it),
        cmocka_unit_test (test_raft_snapshot__restart_drops_a_log_that_does_not_continue_it),
        cmocka_unit_test (test_raft_snapshot__restart_refuses_damage),
        cmocka_unit_test (test_raft_snapshot__cuts_what_a_pre_candidate_has_matched),
        cmocka_unit_test (test_raft_snapshot__ends_a_candidacy),
        cmocka_unit_test (test_raft_snapshot__impossible_ends_start_from_the_known),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
