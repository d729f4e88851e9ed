/* Replicas that lost what they had promised: design.md "Suspect", trap R12, Protocol-Aware Recovery (FAST 2018). */
#include "test/support/raft_rig.h"

#include "test/support/plant.h"

#define OWN_SESSION 10

static void open_suspect (struct rig *rig, uint64_t term, const uint64_t *terms, size_t count)
{
    struct raft_configuration voters = rig_voters (3);
    struct raft_entry entries[RIG_ENTRIES_MAX];
    for (size_t i = 0; i < count; i++)
        entries[i] = rig_entry (i + 1, terms[i], NULL);
    struct raft_stored stored = {
        .term = term, .configuration = &voters, .entries = entries, .entries_count = count, .commit = count};
    rig_open_stored (rig, &(struct raft_options){.suspect = true, .session = OWN_SESSION}, &stored);
}

static struct raft_message vote_request (const struct rig *rig, uint8_t type, uint64_t from, uint64_t term)
{
    struct raft_message message = rig_message (rig, type, from, term);
    message.index = 100;
    message.log_term = term - 1;
    return message;
}

static void test_raft_suspect__grants_only_towards_all_voters (void **state)
{
    (void) state;
    struct rig rig;
    open_suspect (&rig, 1, (uint64_t[]){1}, 1);
    rig_receive (&rig, vote_request (&rig, RAFT_PREVOTE, 2, 5));
    rig_receive (&rig, vote_request (&rig, RAFT_VOTE, 2, 5));
    rig_turn (&rig);
    assert_int_equal (rig_now (&rig, RAFT_PREVOTE_REPLY, 2)->flags, RAFT_FLAG_SUSPECT);
    assert_int_equal (rig_after (&rig, RAFT_VOTE_REPLY, 2)->flags, RAFT_FLAG_SUSPECT);
    rig_close (&rig);
}

static void test_raft_suspect__its_tail_may_not_be_what_the_hint_meant (void **state)
{
    (void) state;
    struct rig rig;
    open_suspect (&rig, 1, (uint64_t[]){1, 1, 1}, 3);
    assert_int_equal (rig_status (&rig).commit, 0);
    rig_close (&rig);
}

static void test_raft_suspect__two_of_three_are_not_enough_with_one (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_step (&rig, (struct raft_event){.type = RAFT_CAMPAIGN});
    struct raft_message conditional = rig_message (&rig, RAFT_PREVOTE_REPLY, 2, 1);
    conditional.flags = RAFT_FLAG_SUSPECT;
    rig_receive (&rig, conditional);
    assert_int_equal (rig_status (&rig).role, RAFT_PRE_CANDIDATE);
    rig_receive (&rig, rig_message (&rig, RAFT_PREVOTE_REPLY, 3, 1));
    assert_int_equal (rig_status (&rig).role, RAFT_CANDIDATE);
    rig_close (&rig);
}

/* If a majority is suspect, all voters together may elect the highest log; a suspect itself, too. */
static void test_raft_suspect__all_voters_elect_the_highest_log (void **state)
{
    (void) state;
    struct rig rig;
    open_suspect (&rig, 1, (uint64_t[]){1}, 1);
    rig_step (&rig, (struct raft_event){.type = RAFT_CAMPAIGN});
    for (uint64_t from = 2; from <= 3; from++) {
        struct raft_message conditional = rig_message (&rig, RAFT_PREVOTE_REPLY, from, 2);
        conditional.flags = RAFT_FLAG_SUSPECT;
        rig_receive (&rig, conditional);
        assert_int_equal (rig_status (&rig).role, from == 2 ? RAFT_PRE_CANDIDATE : RAFT_CANDIDATE);
    }
    uint64_t term = rig_status (&rig).term;
    assert_int_equal (term, 2 + RAFT_TERMS_SKIPPED); /* all may have forgotten who leads term 2, 3, 4 ... */
    rig_turn (&rig);
    rig_sync (&rig);
    rig_reset (&rig);
    for (uint64_t from = 2; from <= 3; from++) {
        struct raft_message conditional = rig_message (&rig, RAFT_VOTE_REPLY, from, term);
        conditional.flags = RAFT_FLAG_SUSPECT;
        rig_receive (&rig, conditional);
        assert_int_equal (rig_status (&rig).role, from == 2 ? RAFT_CANDIDATE : RAFT_LEADER);
    }
    assert_true (rig.effects.suspect_cleared);
    rig_turn (&rig);
    rig_sync (&rig);
    struct raft_message ack = rig_message (&rig, RAFT_APPEND_REPLY, 2, term);
    ack.index = 2;
    ack.flags = RAFT_FLAG_SUSPECT;
    rig_receive (&rig, ack); /* of the life that took part in the election: it counts */
    assert_int_equal (rig_status (&rig).commit, 2);
    /* They count, and hear soon that they do, also where nobody writes. */
    const struct raft_message *told = NULL;
    uint64_t session = 0;
    for (unsigned i = 0; i < 20 && session == 0; i++) {
        rig_reset (&rig);
        rig_tick (&rig, 50);
        for (uint64_t from = 2; from <= 3; from++) {
            const struct raft_message *heartbeat = rig_now (&rig, RAFT_HEARTBEAT, from);
            struct raft_message reply = rig_message (&rig, RAFT_HEARTBEAT_REPLY, from, term);
            reply.flags = RAFT_FLAG_SUSPECT;
            reply.round = heartbeat->round;
            rig_receive (&rig, reply);
        }
        rig_turn (&rig);
        told = rig_now (&rig, RAFT_APPEND, 2);
        if (told != NULL) {
            session = told->session;
            ack.index = told->index + told->count;
            if (rig.effects.persist.sequence != 0)
                rig_sync (&rig);
            rig_receive (&rig, ack);
        }
    }
    assert_int_equal (session, ack.session);
    rig_close (&rig);
}

/* Started over with nothing: all voters together may be as empty, and would forget everything without a word. */
static void test_raft_suspect__emptied_never_stands (void **state)
{
    (void) state;
    struct rig rig;
    struct raft_configuration voters = rig_voters (3);
    struct raft_stored stored = {.term = 4, .configuration = &voters};
    rig_open_stored (&rig, &(struct raft_options){.suspect = true, .emptied = true, .session = OWN_SESSION}, &stored);
    for (unsigned i = 0; i < 5; i++) {
        rig_step (&rig, (struct raft_event){.type = RAFT_CAMPAIGN});
        rig_turn (&rig);
        assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER);
        rig_reset (&rig);
    }
    /* It helps whoever has something. */
    rig_receive (&rig, vote_request (&rig, RAFT_PREVOTE, 2, 6));
    assert_int_equal (rig_now (&rig, RAFT_PREVOTE_REPLY, 2)->flags, RAFT_FLAG_SUSPECT);
    rig_close (&rig);
    /* One that is suspect, and has something, stands. */
    open_suspect (&rig, 4, (uint64_t[]){1}, 1);
    rig_step (&rig, (struct raft_event){.type = RAFT_CAMPAIGN});
    assert_int_equal (rig_status (&rig).role, RAFT_PRE_CANDIDATE);
    rig_close (&rig);
}

static void answer_all (struct rig *rig, uint8_t type, uint64_t term, uint8_t flags)
{
    for (uint64_t from = 2; from <= 3; from++) {
        struct raft_message reply = rig_message (rig, type, from, term);
        reply.flags = flags;
        rig_receive (rig, reply);
    }
}

/* Both others elected somebody in term 2 and forgot it between the pre-vote and the vote: they must not do it again. */
static void test_raft_suspect__decide_only_terms_that_none_can_have_forgotten (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 1, (uint64_t[]){1}, 1);
    rig_step (&rig, (struct raft_event){.type = RAFT_CAMPAIGN});
    answer_all (&rig, RAFT_PREVOTE_REPLY, 2, 0);
    assert_int_equal (rig_status (&rig).term, 2);
    rig_turn (&rig);
    rig_sync (&rig);
    rig_reset (&rig);
    answer_all (&rig, RAFT_VOTE_REPLY, 2, RAFT_FLAG_SUSPECT);
    assert_int_equal (rig_status (&rig).role, RAFT_CANDIDATE);
    assert_true (raft_deadline_ms (rig.raft) - rig.now_ms <= 150); /* nothing is left to wait for */
    rig_tick (&rig, raft_deadline_ms (rig.raft) - rig.now_ms);
    assert_int_equal (rig_status (&rig).role, RAFT_PRE_CANDIDATE);
    answer_all (&rig, RAFT_PREVOTE_REPLY, 3, RAFT_FLAG_SUSPECT);
    uint64_t term = rig_status (&rig).term;
    assert_int_equal (term, 3 + RAFT_TERMS_SKIPPED);
    rig_turn (&rig);
    rig_sync (&rig);
    rig_reset (&rig);
    answer_all (&rig, RAFT_VOTE_REPLY, term, RAFT_FLAG_SUSPECT);
    assert_int_equal (rig_status (&rig).role, RAFT_LEADER);
    rig_close (&rig);
}

/* Two who have forgotten nothing are enough, and take the next term. */
static void test_raft_suspect__is_not_needed_by_a_majority (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 1, (uint64_t[]){1}, 1);
    rig_step (&rig, (struct raft_event){.type = RAFT_CAMPAIGN});
    struct raft_message conditional = rig_message (&rig, RAFT_PREVOTE_REPLY, 2, 2);
    conditional.flags = RAFT_FLAG_SUSPECT;
    rig_receive (&rig, conditional);
    rig_receive (&rig, rig_message (&rig, RAFT_PREVOTE_REPLY, 3, 2));
    assert_int_equal (rig_status (&rig).role, RAFT_CANDIDATE);
    assert_int_equal (rig_status (&rig).term, 2);
    rig_close (&rig);
}

/* Cleared by a leader that was confirmed without it, once it is durable past that leader's commit index. */
static void test_raft_suspect__is_cleared_past_the_commit_index (void **state)
{
    (void) state;
    struct rig rig;
    open_suspect (&rig, 1, (uint64_t[]){1}, 1);
    rig_append (&rig, 2, 2, 1, 1, 3, (uint64_t[]){2}, 1); /* from before the leader heard of the restart */
    rig_turn (&rig);
    assert_int_equal (rig_after (&rig, RAFT_APPEND_REPLY, 2)->flags, RAFT_FLAG_SUSPECT);
    assert_int_equal (rig.effects.persist.vote, 2); /* no other vote in this term, ever */
    rig_sync (&rig);
    assert_true (rig_status (&rig).suspect);

    struct raft_message answer = rig_message (&rig, RAFT_APPEND, 2, 2);
    struct raft_entry third = rig_entry (3, 2, NULL);
    answer.session = OWN_SESSION;
    answer.index = 2;
    answer.log_term = 2;
    answer.commit = 3;
    answer.entries = &third;
    answer.count = 1;
    rig_reset (&rig);
    rig_receive (&rig, answer);
    rig_turn (&rig);
    assert_true (rig_status (&rig).suspect); /* 3 is not durable yet */
    rig_sync (&rig);
    assert_false (rig_status (&rig).suspect);
    assert_true (rig.effects.suspect_cleared);
    rig_close (&rig);
}

/* Before its own no-op commits a leader does not know what has committed. */
static void test_raft_suspect__is_not_cleared_by_an_old_commit_index (void **state)
{
    (void) state;
    struct rig rig;
    open_suspect (&rig, 1, (uint64_t[]){1}, 1);
    struct raft_message answer = rig_message (&rig, RAFT_APPEND, 2, 2);
    answer.session = OWN_SESSION;
    answer.index = 1;
    answer.log_term = 1;
    answer.commit = 1;
    rig_receive (&rig, answer);
    rig_turn (&rig);
    rig_sync (&rig);
    assert_int_equal (rig_status (&rig).commit, 1);
    assert_true (rig_status (&rig).suspect);
    rig_close (&rig);
}

static struct raft_message suspect_ack (const struct rig *rig, uint64_t from, uint64_t session, uint64_t index)
{
    struct raft_message ack = rig_message (rig, RAFT_APPEND_REPLY, from, rig_status (rig).term);
    ack.session = session;
    ack.index = index;
    ack.flags = RAFT_FLAG_SUSPECT;
    return ack;
}

/* It may have forgotten a later term: its word commits nothing and confirms no read. */
static void test_raft_suspect__its_word_does_not_count (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    rig_propose (&rig, "x");
    rig_step (&rig, (struct raft_event){.type = RAFT_READ, .read_id = 1});
    rig_turn (&rig);
    uint64_t round = rig_now (&rig, RAFT_HEARTBEAT, 2)->round;
    rig_sync (&rig);
    rig_reset (&rig);
    rig_receive (&rig, suspect_ack (&rig, 2, 2, 2));
    struct raft_message reply = rig_message (&rig, RAFT_HEARTBEAT_REPLY, 2, 1);
    reply.session = 2;
    reply.round = round;
    reply.flags = RAFT_FLAG_SUSPECT;
    rig_receive (&rig, reply);
    assert_int_equal (rig_status (&rig).commit, 1);
    assert_int_equal (rig.effects.reads_count, 0);
    rig_ack (&rig, 3, 2);
    assert_int_equal (rig_status (&rig).commit, 2);
    rig_close (&rig);
}

/* The leader lets a suspect know that it heard of the restart only after others confirmed that it still leads. */
static void test_raft_suspect__hears_back_after_the_leader_is_confirmed (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    rig_receive (&rig, suspect_ack (&rig, 2, 2, 1));
    rig_propose (&rig, "x");
    rig_turn (&rig);
    assert_int_equal (rig_now (&rig, RAFT_APPEND, 2)->session, 0);
    rig_reset (&rig);
    rig_tick (&rig, 50);
    struct raft_message confirmation = rig_message (&rig, RAFT_HEARTBEAT_REPLY, 3, 1);
    confirmation.round = rig_now (&rig, RAFT_HEARTBEAT, 3)->round;
    assert_true (confirmation.round > 0);
    rig_receive (&rig, confirmation);
    rig_turn (&rig);
    rig_sync (&rig);
    rig_ack (&rig, 3, rig_status (&rig).last_index);
    rig_receive (&rig, suspect_ack (&rig, 2, 2, 2));
    rig_propose (&rig, "y");
    rig_reset (&rig);
    rig_turn (&rig);
    assert_int_equal (rig_now (&rig, RAFT_APPEND, 2)->session, 2);
    rig_close (&rig);
}

static uint64_t heartbeat_round (struct rig *rig)
{
    rig_reset (rig);
    rig_tick (rig, 50);
    rig_turn (rig);
    uint64_t round = rig_now (rig, RAFT_HEARTBEAT, 2)->round;
    if (rig->effects.persist.sequence != 0)
        rig_sync (rig);
    return round;
}

static void confirm (struct rig *rig, uint64_t from, uint64_t round)
{
    struct raft_message reply = rig_message (rig, RAFT_HEARTBEAT_REPLY, from, rig_status (rig).term);
    reply.round = round;
    rig_receive (rig, reply);
}

/* Replica 5 has voted for 4 in a later term, and forgot it. 4 still asks, and its request to 2 or 3 is late: only who holds
 * an entry that 4 had not seen when it stood refuses it. So 5 hears nothing before a quorum without it holds one. */
static void test_raft_suspect__is_trusted_behind_an_entry_that_is_younger_than_its_loss (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 5);
    rig_lead (&rig);
    rig_propose (&rig, "x");
    rig_turn (&rig);
    rig_sync (&rig);
    uint64_t before = rig_status (&rig).last_index;
    for (uint64_t from = 2; from <= 3; from++)
        rig_ack (&rig, from, before);
    assert_int_equal (rig_status (&rig).commit, before);
    rig_receive (&rig, suspect_ack (&rig, 5, 2, 1));
    uint64_t round = heartbeat_round (&rig);
    assert_int_equal (rig_status (&rig).last_index, before + 1);
    assert_int_equal (raft_entry (rig.raft, before + 1)->type, RAFT_ENTRY_NOOP);
    for (uint64_t from = 2; from <= 3; from++)
        confirm (&rig, from, round);
    rig_ack (&rig, 2, before + 1);
    rig_receive (&rig, suspect_ack (&rig, 5, 2, before + 1)); /* does not count */
    assert_int_equal (rig_status (&rig).commit, before);
    rig_propose (&rig, "y");
    rig_reset (&rig);
    rig_turn (&rig);
    assert_int_equal (rig_now (&rig, RAFT_APPEND, 5)->session, 0);
    /* One entry is enough, however long it takes, and for two as well as for one. */
    (void) heartbeat_round (&rig);
    assert_int_equal (rig_status (&rig).last_index, before + 2);
    rig_ack (&rig, 3, before + 1);
    assert_int_equal (rig_status (&rig).commit, before + 1);
    rig_receive (&rig, suspect_ack (&rig, 5, 2, before + 2));
    rig_propose (&rig, "z");
    rig_reset (&rig);
    rig_turn (&rig);
    const struct raft_message *told = rig_now (&rig, RAFT_APPEND, 5);
    assert_int_equal (told->session, 2);
    assert_int_equal (told->commit, before + 1); /* what it has to reach holds that entry */
    rig_close (&rig);
}

/* An acknowledgement from before a restart, delivered after it, is of somebody who no longer exists. */
static void test_raft_suspect__acknowledgements_of_an_earlier_life_do_not_count (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    rig_propose (&rig, "x");
    rig_turn (&rig);
    rig_sync (&rig);
    struct raft_message reply = rig_message (&rig, RAFT_HEARTBEAT_REPLY, 2, 1);
    reply.session = 2; /* a new life */
    rig_receive (&rig, reply);
    rig_ack (&rig, 2, 2); /* of session 1 */
    assert_int_equal (rig_status (&rig).commit, 1);
    rig_close (&rig);
}

/* design.md: "ends below what a peer remembers it to have acknowledged". */
static void test_raft_suspect__leader_finds_out_who_forgot (void **state)
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
    struct raft_message reply = rig_message (&rig, RAFT_HEARTBEAT_REPLY, 2, 1);
    reply.session = 2;
    rig_receive (&rig, reply);
    rig_turn (&rig);
    assert_int_equal (rig_now (&rig, RAFT_APPEND, 2)->index, 2); /* do you still have it? */
    struct raft_message refusal = rig_message (&rig, RAFT_APPEND_REPLY, 2, 1);
    refusal.session = 2;
    refusal.flags = RAFT_FLAG_REJECT;
    refusal.index = 2;
    refusal.hint = 1;
    refusal.log_term = 1;
    rig_reset (&rig);
    rig_receive (&rig, refusal);
    rig_turn (&rig);
    assert_int_equal (rig_now (&rig, RAFT_APPEND, 2)->index, 1);
    assert_int_equal (rig_now (&rig, RAFT_APPEND, 2)->flags, RAFT_FLAG_SUSPECT);
    struct raft_peer_status peer;
    assert_true (raft_peer_status (rig.raft, 2, &peer));
    assert_true (peer.suspect);
    rig_close (&rig);
}

static void test_raft_suspect__is_told_by_the_leader (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    struct raft_message message = rig_message (&rig, RAFT_APPEND, 2, 1);
    message.flags = RAFT_FLAG_SUSPECT;
    message.session = OWN_SESSION - 1; /* an earlier life was meant */
    rig_receive (&rig, message);
    assert_false (rig_status (&rig).suspect);
    message.session = OWN_SESSION;
    rig_receive (&rig, message);
    assert_true (rig_status (&rig).suspect);
    assert_true (rig.effects.became_suspect);
    rig_close (&rig);
}

/* Nothing can commit among suspects: only an election by all voters helps, so the leader makes way for one. */
static void test_raft_suspect__leader_among_suspects_steps_down (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    for (int i = 0; i < 60 && rig_status (&rig).role == RAFT_LEADER; i++) {
        rig_receive (&rig, suspect_ack (&rig, 2, 2, 1));
        rig_receive (&rig, suspect_ack (&rig, 3, 2, 1));
        rig_tick (&rig, 50);
    }
    assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER);
    rig_close (&rig);
}

/* A leader that tells a suspect so tells it nothing new. */
static void test_raft_suspect__is_told_once (void **state)
{
    (void) state;
    struct rig rig;
    open_suspect (&rig, 1, (uint64_t[]){1}, 1);
    struct raft_message heartbeat = rig_message (&rig, RAFT_HEARTBEAT, 2, 1);
    heartbeat.flags = RAFT_FLAG_SUSPECT;
    heartbeat.session = OWN_SESSION;
    rig_receive (&rig, heartbeat);
    rig_turn (&rig);
    assert_false (rig.effects.became_suspect);
    assert_true (rig_status (&rig).suspect);
    rig_close (&rig);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_raft_suspect__grants_only_towards_all_voters),
        cmocka_unit_test (test_raft_suspect__its_tail_may_not_be_what_the_hint_meant),
        cmocka_unit_test (test_raft_suspect__two_of_three_are_not_enough_with_one),
        cmocka_unit_test (test_raft_suspect__all_voters_elect_the_highest_log),
        cmocka_unit_test (test_raft_suspect__emptied_never_stands),
        cmocka_unit_test (test_raft_suspect__decide_only_terms_that_none_can_have_forgotten),
        cmocka_unit_test (test_raft_suspect__is_not_needed_by_a_majority),
        cmocka_unit_test (test_raft_suspect__is_cleared_past_the_commit_index),
        cmocka_unit_test (test_raft_suspect__is_not_cleared_by_an_old_commit_index),
        cmocka_unit_test (test_raft_suspect__its_word_does_not_count),
        cmocka_unit_test (test_raft_suspect__hears_back_after_the_leader_is_confirmed),
        cmocka_unit_test (test_raft_suspect__is_trusted_behind_an_entry_that_is_younger_than_its_loss),
        cmocka_unit_test (test_raft_suspect__acknowledgements_of_an_earlier_life_do_not_count),
        cmocka_unit_test (test_raft_suspect__leader_finds_out_who_forgot),
        cmocka_unit_test (test_raft_suspect__is_told_by_the_leader),
        cmocka_unit_test (test_raft_suspect__leader_among_suspects_steps_down),
        cmocka_unit_test (test_raft_suspect__is_told_once),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
