/* The follower's log: thesis 3.5, R2, R7, R13, and the leader's side of replication (10.2.1 pipelining). */
#include "test/support/raft_rig.h"

/* R2 */
static void test_raft_append__acknowledges_after_the_sync (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    assert_int_equal (rig_append (&rig, 2, 1, 0, 0, 0, (uint64_t[]){1, 1}, 2), STATUS_OK);
    rig_turn (&rig);
    assert_null (rig_now (&rig, RAFT_APPEND_REPLY, 2));
    assert_int_equal (rig_after (&rig, RAFT_APPEND_REPLY, 2)->index, 2);
    assert_int_equal (rig.effects.after_sequence, rig.effects.persist.sequence);
    assert_true (rig.effects.persist.hard_state); /* term and entries in one batch */
    assert_true (rig.effects.persist.entries);
    assert_int_equal (rig.effects.persist.first, 1);
    assert_int_equal (rig.effects.persist.last, 2);
    rig_close (&rig);
}

static void test_raft_append__one_acknowledgement_a_turn (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_append (&rig, 2, 1, 0, 0, 0, (uint64_t[]){1}, 1);
    rig_append (&rig, 2, 1, 1, 1, 0, (uint64_t[]){1, 1}, 2);
    rig_append (&rig, 2, 1, 3, 1, 0, (uint64_t[]){1}, 1);
    rig_turn (&rig);
    assert_int_equal (rig.effects.send_after_count, 1);
    assert_int_equal (rig_after (&rig, RAFT_APPEND_REPLY, 2)->index, 4);
    rig_close (&rig);
}

/* Figure 7 of the Raft paper: what a follower answers to a leader of term 8 with log 1 1 1 4 4 5 5 6 6 6. */
static void test_raft_append__figure_7 (void **state)
{
    (void) state;
    static const struct {
        uint64_t terms[12];
        size_t count;
        uint64_t hint;
    } cases[] = {
        {{1, 1, 1, 4, 4, 5, 5, 6, 6}, 9, 9},           /* a: too short */
        {{1, 1, 1, 4}, 4, 4},                          /* b: far too short */
        {{1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6}, 11, 0},    /* c: longer, fits */
        {{1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7}, 12, 0}, /* d: longer, fits */
        {{1, 1, 1, 4, 4, 4, 4}, 7, 7},                 /* e: other entries */
        {{1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3}, 11, 10},   /* f: other entries, older terms */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig rig;
        rig_open_log (&rig, 3, 7, cases[i].terms, cases[i].count);
        rig_append (&rig, 2, 8, 10, 6, 0, (uint64_t[]){8}, 1);
        rig_turn (&rig);
        const struct raft_message *reply = rig_after (&rig, RAFT_APPEND_REPLY, 2);
        if (cases[i].hint == 0) {
            assert_int_equal (reply->flags, 0);
            assert_int_equal (reply->index, 11);
            assert_int_equal (rig_status (&rig).last_index, 11);
            assert_int_equal (raft_term_at (rig.raft, 11), 8);
        } else {
            assert_int_equal (reply->flags, RAFT_FLAG_REJECT);
            assert_int_equal (reply->index, 10);
            assert_int_equal (reply->hint, cases[i].hint);
            assert_int_equal (rig_status (&rig).last_index, cases[i].count);
        }
        rig_close (&rig);
    }
}

static void test_raft_append__replaces_only_from_the_conflict_on (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 2, (uint64_t[]){1, 1, 2, 2}, 4);
    rig_append (&rig, 2, 3, 1, 1, 0, (uint64_t[]){1, 3}, 2);
    rig_turn (&rig);
    assert_int_equal (rig.effects.persist.first, 3);
    assert_int_equal (rig.effects.persist.last, 3);
    assert_int_equal (rig_status (&rig).last_index, 3);
    assert_int_equal (rig_status (&rig).persisted_index, 2);
    rig_close (&rig);
}

/* A delayed append must not cut what came after it. */
static void test_raft_append__old_message_shortens_nothing (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_append (&rig, 2, 1, 0, 0, 0, (uint64_t[]){1, 1, 1}, 3);
    rig_append (&rig, 2, 1, 0, 0, 0, (uint64_t[]){1}, 1);
    rig_turn (&rig);
    assert_int_equal (rig_status (&rig).last_index, 3);
    assert_int_equal (rig_after (&rig, RAFT_APPEND_REPLY, 2)->index, 3);
    rig_close (&rig);
}

/* R13: below the commit index nothing is looked at, even when the entries there are compacted away. */
static void test_raft_append__skips_what_has_committed (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 1, (uint64_t[]){1, 1, 1}, 3);
    rig_append (&rig, 2, 1, 3, 1, 3, NULL, 0);
    rig_turn (&rig);
    assert_int_equal (rig.effects.apply_last, 3);
    rig_step (&rig, (struct raft_event){.type = RAFT_APPLIED, .index = 3});
    raft_compact (rig.raft, 3);
    rig_reset (&rig);
    assert_int_equal (rig_append (&rig, 2, 1, 0, 0, 3, (uint64_t[]){1, 1, 1, 1}, 4), STATUS_OK);
    rig_turn (&rig);
    assert_int_equal (rig_status (&rig).last_index, 4);
    assert_int_equal (rig.effects.persist.first, 4);
    rig_reset (&rig);
    assert_int_equal (rig_append (&rig, 2, 1, 1, 1, 3, (uint64_t[]){1}, 1), STATUS_OK);
    rig_turn (&rig);
    assert_int_equal (rig_after (&rig, RAFT_APPEND_REPLY, 2)->index, 3);
    rig_close (&rig);
}

static void test_raft_append__never_replaces_what_has_committed (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 1, (uint64_t[]){1, 1, 1}, 3);
    rig_append (&rig, 2, 1, 3, 1, 3, NULL, 0);
    assert_int_equal (rig_append (&rig, 3, 9, 1, 1, 3, (uint64_t[]){9, 9, 9}, 3), STATUS_INVALID_ARGUMENT);
    assert_int_equal (rig_status (&rig).anomalies, 1);
    assert_int_equal (raft_term_at (rig.raft, 2), 1);
    rig_close (&rig);
}

static void test_raft_append__commits_no_further_than_it_was_shown (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 1, (uint64_t[]){1, 1, 1}, 3);
    rig_append (&rig, 2, 2, 1, 1, 3, NULL, 0); /* 2 and 3 may still differ */
    assert_int_equal (rig_status (&rig).commit, 1);
    rig_close (&rig);
}

/* R12: the leader may remember acknowledgements of an earlier life. */
static void test_raft_append__heartbeat_commits_only_what_was_compared (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 2, (uint64_t[]){1, 1, 1}, 3);
    struct raft_message heartbeat = rig_message (&rig, RAFT_HEARTBEAT, 2, 2);
    heartbeat.commit = 3;
    rig_receive (&rig, heartbeat);
    assert_int_equal (rig_status (&rig).commit, 0);
    rig_append (&rig, 2, 2, 2, 1, 0, NULL, 0);
    rig_receive (&rig, heartbeat);
    assert_int_equal (rig_status (&rig).commit, 2);
    rig_close (&rig);
}

/* Found by the simulator: leader and follower answered each other without a pause as long as the log was full. */
static void test_raft_append__full_log_answers_once_an_interval (void **state)
{
    (void) state;
    struct rig rig;
    struct raft_configuration configuration = rig_voters (3);
    struct raft_options options = {.log_bytes_max = 8}; /* a follower takes twice that, and one entry more */
    rig_open_stored (&rig, &options, &(struct raft_stored){.configuration = &configuration});
    struct raft_entry entries[3];
    for (unsigned i = 0; i < 3; i++)
        entries[i] = rig_entry (1 + i, 1, "twelve bytes");
    struct raft_message message = rig_message (&rig, RAFT_APPEND, 2, 1);
    message.entries = entries;
    message.count = 3;
    assert_int_equal (rig_receive (&rig, message), STATUS_OK);
    rig_turn (&rig);
    rig_reset (&rig);
    assert_int_equal (rig_status (&rig).last_index, 2);
    unsigned answers = 0;
    for (unsigned i = 0; i < 100; i++) { /* within two intervals */
        message.index = 2;
        message.log_term = 1;
        message.entries = entries + 2;
        message.count = 1;
        assert_int_equal (rig_receive (&rig, message), STATUS_OK);
        rig_turn (&rig);
        answers += rig_after (&rig, RAFT_APPEND_REPLY, 2) != NULL;
        rig_reset (&rig);
        rig.now_ms++;
    }
    assert_int_equal (rig_status (&rig).last_index, 2);
    assert_in_range (answers, 1, 3);
    rig_close (&rig);
}

/* The commit index also reaches a follower that doubted its leader for a moment. */
static void test_raft_append__commit_survives_a_refused_prevote (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_append (&rig, 2, 1, 0, 0, 0, (uint64_t[]){1, 1}, 2);
    rig_turn (&rig);
    rig_sync (&rig);
    rig_reset (&rig);
    rig_tick (&rig, 5000);
    assert_int_equal (rig_status (&rig).role, RAFT_PRE_CANDIDATE);
    struct raft_message heartbeat = rig_message (&rig, RAFT_HEARTBEAT, 2, 1);
    heartbeat.commit = 2;
    rig_receive (&rig, heartbeat);
    assert_int_equal (rig_status (&rig).commit, 2);
    rig_close (&rig);
}

/* I2: what is not durable here is not applied here. */
static void test_raft_append__applies_what_is_durable (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_append (&rig, 2, 1, 0, 0, 2, (uint64_t[]){1, 1}, 2);
    rig_turn (&rig);
    assert_int_equal (rig_status (&rig).commit, 2);
    assert_true (rig.effects.apply_last < rig.effects.apply_first);
    rig_sync (&rig);
    assert_int_equal (rig.effects.apply_first, 1);
    assert_int_equal (rig.effects.apply_last, 2);
    rig_reset (&rig);
    rig_turn (&rig);
    assert_true (rig.effects.apply_last < rig.effects.apply_first); /* exactly once */
    rig_close (&rig);
}

/* R10: an old leader is told the new term. */
static void test_raft_append__tells_an_old_leader (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 5, (uint64_t[]){5}, 1);
    rig_append (&rig, 2, 3, 0, 0, 0, (uint64_t[]){3}, 1);
    rig_receive (&rig, rig_message (&rig, RAFT_HEARTBEAT, 3, 3));
    assert_int_equal (rig_now (&rig, RAFT_HEARTBEAT_REPLY, 2)->term, 5);
    assert_null (rig_now (&rig, RAFT_APPEND_REPLY, 2)); /* it may lead again: this says nothing about its new log */
    assert_int_equal (rig_now (&rig, RAFT_HEARTBEAT_REPLY, 3)->term, 5);
    assert_int_equal (rig_status (&rig).last_index, 1);
    rig_close (&rig);
}

static void test_raft_append__refuses_damage (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    struct raft_entry entry = rig_entry (1, 1, "a table for two");
    struct raft_message message = rig_message (&rig, RAFT_APPEND, 2, 1);
    message.entries = &entry;
    message.count = 1;
    entry.payload = bytes_text ("a table for ten");
    assert_int_equal (rig_receive (&rig, message), STATUS_INVALID_ARGUMENT);
    entry = rig_entry (1, 1, "a table for two");
    entry.index = 2;
    assert_int_equal (rig_receive (&rig, message), STATUS_INVALID_ARGUMENT);
    entry = rig_entry (1, 2, "of a later term than its leader's");
    assert_int_equal (rig_receive (&rig, message), STATUS_INVALID_ARGUMENT);
    entry = rig_entry (1, 1, "of an unknown type");
    entry.type = 9;
    entry.checksum = raft_entry_checksum (RIG_SHARD, &entry);
    assert_int_equal (rig_receive (&rig, message), STATUS_INVALID_ARGUMENT);
    assert_int_equal (rig_status (&rig).last_index, 0);
    assert_int_equal (rig_status (&rig).anomalies, 4);
    entry = rig_entry (1, 1, "a table for two");
    assert_int_equal (rig_receive (&rig, message), STATUS_OK);
    assert_int_equal (rig_status (&rig).last_index, 1);
    rig_close (&rig);
}

/* A report about a batch whose entries were replaced meanwhile says nothing about the new ones. */
static void test_raft_append__report_of_replaced_entries_does_not_count (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_append (&rig, 2, 1, 0, 0, 0, (uint64_t[]){1, 1}, 2);
    rig_turn (&rig);
    uint64_t first = rig.effects.persist.sequence;
    rig_reset (&rig);
    rig_append (&rig, 3, 2, 0, 0, 0, (uint64_t[]){2, 2}, 2);
    rig_turn (&rig);
    uint64_t second = rig.effects.persist.sequence;
    rig_reset (&rig);
    rig_step (&rig, (struct raft_event){.type = RAFT_PERSISTED, .sequence = first});
    assert_int_equal (rig_status (&rig).persisted_index, 0);
    rig_step (&rig, (struct raft_event){.type = RAFT_PERSISTED, .sequence = second});
    assert_int_equal (rig_status (&rig).persisted_index, 2);
    rig_close (&rig);
}

/* However many batches a slow disk has under way, nothing counts before it is synced. */
static void test_raft_append__slow_disk_has_many_batches_under_way (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    uint64_t sequences[3 * RAFT_PERSISTS_MAX];
    for (uint64_t i = 0; i < 3 * RAFT_PERSISTS_MAX; i++) {
        rig_reset (&rig);
        rig_append (&rig, 2, 1, i, i == 0 ? 0 : 1, 0, (uint64_t[]){1}, 1);
        rig_turn (&rig);
        sequences[i] = rig.effects.persist.sequence;
    }
    uint64_t last = 0;
    for (uint64_t i = 0; i < 3 * RAFT_PERSISTS_MAX; i++) {
        rig_step (&rig, (struct raft_event){.type = RAFT_PERSISTED, .sequence = sequences[i]});
        assert_in_range (rig_status (&rig).persisted_index, last, i + 1);
        last = rig_status (&rig).persisted_index;
    }
    assert_int_equal (last, 3 * RAFT_PERSISTS_MAX);
    rig_close (&rig);
}

/* Entries that were acknowledged to the leader of this term are never its to replace: whoever tries is no correct leader. */
static void test_raft_append__leader_cannot_take_back_what_it_sent (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    assert_int_equal (rig_append (&rig, 2, 2, 0, 0, 0, (uint64_t[]){1, 1, 1}, 3), STATUS_OK);
    assert_int_equal (rig_append (&rig, 2, 2, 1, 1, 0, (uint64_t[]){2}, 1), STATUS_INVALID_ARGUMENT);
    assert_int_equal (rig_status (&rig).last_index, 3);
    assert_int_equal (rig_status (&rig).last_term, 1);
    assert_int_equal (rig_append (&rig, 3, 3, 1, 1, 0, (uint64_t[]){3}, 1), STATUS_OK); /* that of a later term may */
    assert_int_equal (rig_status (&rig).last_index, 2);
    rig_turn (&rig);
    assert_int_equal (rig_after (&rig, RAFT_APPEND_REPLY, 3)->index, 2);
    rig_close (&rig);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_raft_append__acknowledges_after_the_sync),
        cmocka_unit_test (test_raft_append__one_acknowledgement_a_turn),
        cmocka_unit_test (test_raft_append__figure_7),
        cmocka_unit_test (test_raft_append__replaces_only_from_the_conflict_on),
        cmocka_unit_test (test_raft_append__old_message_shortens_nothing),
        cmocka_unit_test (test_raft_append__skips_what_has_committed),
        cmocka_unit_test (test_raft_append__never_replaces_what_has_committed),
        cmocka_unit_test (test_raft_append__commits_no_further_than_it_was_shown),
        cmocka_unit_test (test_raft_append__full_log_answers_once_an_interval),
        cmocka_unit_test (test_raft_append__heartbeat_commits_only_what_was_compared),
        cmocka_unit_test (test_raft_append__commit_survives_a_refused_prevote),
        cmocka_unit_test (test_raft_append__applies_what_is_durable),
        cmocka_unit_test (test_raft_append__tells_an_old_leader),
        cmocka_unit_test (test_raft_append__refuses_damage),
        cmocka_unit_test (test_raft_append__report_of_replaced_entries_does_not_count),
        cmocka_unit_test (test_raft_append__slow_disk_has_many_batches_under_way),
        cmocka_unit_test (test_raft_append__leader_cannot_take_back_what_it_sent),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
