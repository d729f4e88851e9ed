/* Elections: thesis 3.4, 3.6 (who may win), 4.2.3 and 9.6 (who must not disturb); quick fail-over of design.md. */
#include "test/support/raft_rig.h"

static void open_voter (struct rig *rig, uint32_t voters_count, uint64_t replica, uint64_t seed)
{
    struct raft_configuration voters = rig_voters (voters_count);
    struct raft_stored stored = {.configuration = &voters};
    rig_open_stored (rig, &(struct raft_options){.replica = replica, .seed = seed}, &stored);
}

static struct raft_message vote_request (
    const struct rig *rig, uint8_t type, uint64_t from, uint64_t term, uint64_t index, uint64_t log_term)
{
    struct raft_message message = rig_message (rig, type, from, term);
    message.index = index;
    message.log_term = log_term;
    return message;
}

static void test_raft_vote__asks_before_it_raises_the_term (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_tick (&rig, 5000);
    rig_turn (&rig);
    assert_int_equal (rig_status (&rig).role, RAFT_PRE_CANDIDATE);
    assert_int_equal (rig_status (&rig).term, 0);
    assert_int_equal (rig.effects.persist.sequence, 0);
    assert_int_equal (rig_now (&rig, RAFT_PREVOTE, 2)->term, 1);
    assert_non_null (rig_now (&rig, RAFT_PREVOTE, 3));
    rig_close (&rig);
}

/* R1 */
static void test_raft_vote__request_waits_for_the_own_vote_on_disk (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_step (&rig, (struct raft_event){.type = RAFT_CAMPAIGN});
    rig_receive (&rig, rig_message (&rig, RAFT_PREVOTE_REPLY, 2, 1));
    rig_turn (&rig);
    assert_int_equal (rig_status (&rig).role, RAFT_CANDIDATE);
    assert_true (rig.effects.persist.hard_state);
    assert_int_equal (rig.effects.persist.term, 1);
    assert_int_equal (rig.effects.persist.vote, 1);
    assert_null (rig_now (&rig, RAFT_VOTE, 2));
    assert_non_null (rig_after (&rig, RAFT_VOTE, 2));
    assert_int_equal (rig.effects.after_sequence, rig.effects.persist.sequence);
    rig_close (&rig);
}

/* R1: a quorum of others does not make up for the own vote. */
static void test_raft_vote__own_vote_counts_only_when_synced (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_step (&rig, (struct raft_event){.type = RAFT_CAMPAIGN});
    rig_receive (&rig, rig_message (&rig, RAFT_PREVOTE_REPLY, 2, 1));
    rig_turn (&rig);
    uint64_t sequence = rig.effects.persist.sequence;
    rig_reset (&rig);
    rig_receive (&rig, rig_message (&rig, RAFT_VOTE_REPLY, 2, 1));
    assert_int_equal (rig_status (&rig).role, RAFT_CANDIDATE);
    rig_step (&rig, (struct raft_event){.type = RAFT_PERSISTED, .sequence = sequence});
    assert_int_equal (rig_status (&rig).role, RAFT_LEADER);
    rig_close (&rig);
}

/* R1: the report of an older batch says nothing about the vote. */
static void test_raft_vote__own_vote_waits_for_its_own_batch (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_append (&rig, 2, 1, 0, 0, 0, (uint64_t[]){1}, 1);
    rig_turn (&rig);
    uint64_t older = rig.effects.persist.sequence;
    rig_reset (&rig);
    rig_tick (&rig, 5000);
    rig_receive (&rig, rig_message (&rig, RAFT_PREVOTE_REPLY, 3, 2));
    rig_turn (&rig);
    uint64_t newer = rig.effects.persist.sequence;
    rig_reset (&rig);
    rig_receive (&rig, rig_message (&rig, RAFT_VOTE_REPLY, 3, 2));
    rig_step (&rig, (struct raft_event){.type = RAFT_PERSISTED, .sequence = older});
    assert_int_equal (rig_status (&rig).role, RAFT_CANDIDATE);
    rig_step (&rig, (struct raft_event){.type = RAFT_PERSISTED, .sequence = newer});
    assert_int_equal (rig_status (&rig).role, RAFT_LEADER);
    rig_close (&rig);
}

/* R2: etcd#14370, a group of one waits for its disk like any other. */
static void test_raft_vote__alone_waits_for_the_disk (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 1);
    rig_tick (&rig, 0);
    rig_turn (&rig);
    assert_int_equal (rig_status (&rig).role, RAFT_CANDIDATE);
    rig_sync (&rig);
    assert_int_equal (rig_status (&rig).role, RAFT_LEADER);
    assert_int_equal (rig_status (&rig).commit, 0);
    rig_sync (&rig);
    assert_int_equal (rig_status (&rig).commit, 1);
    assert_int_equal (rig.effects.apply_first, 1);
    assert_int_equal (rig.effects.apply_last, 1);
    rig_close (&rig);
}

static void test_raft_vote__grant_leaves_after_the_sync (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_receive (&rig, vote_request (&rig, RAFT_VOTE, 2, 1, 0, 0));
    rig_turn (&rig);
    assert_int_equal (rig.effects.persist.vote, 2);
    assert_null (rig_now (&rig, RAFT_VOTE_REPLY, 2));
    assert_int_equal (rig_after (&rig, RAFT_VOTE_REPLY, 2)->flags, 0);
    assert_int_equal (rig.effects.after_sequence, rig.effects.persist.sequence);
    rig_close (&rig);
}

static void test_raft_vote__one_per_term (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_receive (&rig, vote_request (&rig, RAFT_VOTE, 2, 1, 0, 0));
    rig_receive (&rig, vote_request (&rig, RAFT_VOTE, 3, 1, 0, 0));
    rig_receive (&rig, vote_request (&rig, RAFT_VOTE, 2, 1, 0, 0));
    rig_turn (&rig);
    assert_int_equal (rig_after (&rig, RAFT_VOTE_REPLY, 3)->flags, RAFT_FLAG_REJECT);
    assert_int_equal (rig_after (&rig, RAFT_VOTE_REPLY, 2)->flags, 0);
    assert_int_equal (rig_status (&rig).vote, 2);
    rig_close (&rig);
}

static void test_raft_vote__one_per_term_across_a_restart (void **state)
{
    (void) state;
    struct rig rig;
    struct raft_configuration voters = rig_voters (3);
    struct raft_stored stored = {.term = 4, .vote = 2, .configuration = &voters};
    rig_open_stored (&rig, &(struct raft_options){0}, &stored);
    rig_receive (&rig, vote_request (&rig, RAFT_VOTE, 3, 4, 9, 3));
    rig_turn (&rig);
    assert_int_equal (rig_after (&rig, RAFT_VOTE_REPLY, 3)->flags, RAFT_FLAG_REJECT);
    rig_close (&rig);
}

/* Thesis 3.6.1 */
static void test_raft_vote__refuses_a_stale_log (void **state)
{
    (void) state;
    static const struct {
        uint64_t index, log_term;
        bool granted;
    } cases[] = {{3, 2, true}, {4, 2, true}, {2, 2, false}, {9, 1, false}, {1, 3, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig rig;
        rig_open_log (&rig, 3, 2, (uint64_t[]){1, 1, 2}, 3);
        rig_receive (&rig, vote_request (&rig, RAFT_PREVOTE, 2, 4, cases[i].index, cases[i].log_term));
        rig_receive (&rig, vote_request (&rig, RAFT_VOTE, 3, 4, cases[i].index, cases[i].log_term));
        rig_turn (&rig);
        const struct raft_message *prevote = rig_now (&rig, RAFT_PREVOTE_REPLY, 2);
        assert_int_equal (prevote && prevote->flags == 0, cases[i].granted);
        assert_int_equal (rig_after (&rig, RAFT_VOTE_REPLY, 3)->flags == 0, cases[i].granted);
        rig_close (&rig);
    }
}

/* R10, R11: whoever hears a leader neither elects another nor takes on its term. */
static void test_raft_vote__sticks_to_a_working_leader (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_append (&rig, 2, 1, 0, 0, 0, NULL, 0);
    rig_turn (&rig);
    rig_reset (&rig);
    rig.now_ms += 499;
    rig_receive (&rig, vote_request (&rig, RAFT_PREVOTE, 3, 9, 9, 9));
    rig_receive (&rig, vote_request (&rig, RAFT_VOTE, 3, 9, 9, 9));
    rig_turn (&rig);
    const struct raft_message *reply = rig_after (&rig, RAFT_PREVOTE_REPLY, 3);
    assert_int_equal (reply->flags, RAFT_FLAG_REJECT);
    assert_int_equal (reply->term, 1);
    assert_null (rig_after (&rig, RAFT_VOTE_REPLY, 3));
    assert_int_equal (rig_status (&rig).term, 1);
    rig_reset (&rig);
    rig.now_ms += 1;
    rig_receive (&rig, vote_request (&rig, RAFT_PREVOTE, 3, 9, 9, 9));
    assert_int_equal (rig_now (&rig, RAFT_PREVOTE_REPLY, 3)->flags, 0);
    rig_close (&rig);
}

static void test_raft_vote__a_leader_refuses_while_it_leads (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_lead (&rig);
    rig_receive (&rig, vote_request (&rig, RAFT_VOTE, 3, 9, 9, 9));
    assert_int_equal (rig_status (&rig).role, RAFT_LEADER);
    rig_receive (&rig, vote_request (&rig, RAFT_PREVOTE, 3, 9, 9, 9));
    assert_int_equal (rig_now (&rig, RAFT_PREVOTE_REPLY, 3)->flags, RAFT_FLAG_REJECT);
    rig_close (&rig);
}

/* The broken link to the leader ends stickiness for that leader only. */
static void test_raft_vote__lost_link_to_the_leader_ends_stickiness (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_append (&rig, 2, 1, 0, 0, 0, NULL, 0);
    rig_turn (&rig);
    rig_sync (&rig);
    rig_reset (&rig);
    rig_step (&rig, (struct raft_event){.type = RAFT_LINK, .node = 3, .up = false});
    rig_receive (&rig, vote_request (&rig, RAFT_PREVOTE, 3, 2, 0, 0));
    assert_int_equal (rig_now (&rig, RAFT_PREVOTE_REPLY, 3)->flags, RAFT_FLAG_REJECT);
    rig_step (&rig, (struct raft_event){.type = RAFT_LINK, .node = 2, .up = false});
    rig_receive (&rig, vote_request (&rig, RAFT_PREVOTE, 3, 2, 0, 0));
    assert_int_equal (rig_now (&rig, RAFT_PREVOTE_REPLY, 3)->flags, 0);
    rig_close (&rig);
}

/* P6: the pre-vote begins 15 ms x rank after the link broke. */
static void test_raft_vote__lost_link_starts_prevote_by_rank (void **state)
{
    (void) state;
    for (uint64_t rank = 0; rank < 3; rank++) {
        struct rig rig;
        struct raft_configuration voters = rig_voters (4);
        struct raft_options options = {.replica = rank + 1};
        struct raft_stored stored = {.configuration = &voters};
        rig_open_stored (&rig, &options, &stored);
        rig_append (&rig, 4, 1, 0, 0, 0, NULL, 0);
        rig_turn (&rig);
        rig_reset (&rig);
        rig_step (&rig, (struct raft_event){.type = RAFT_LINK, .node = 4, .up = false});
        uint64_t wait_ms = raft_deadline_ms (rig.raft) - rig.now_ms;
        assert_in_range (wait_ms, 15 * rank, 15 * rank + 5);
        rig_tick (&rig, wait_ms);
        assert_int_equal (rig_status (&rig).role, RAFT_PRE_CANDIDATE);
        rig_close (&rig);
    }
}

/* P6: another voter hears of the broken link a moment later, and until then it refuses. The next try comes before the next
 * rank's turn, and no two ranks ever try within the same milliseconds: they would split the votes. */
static void test_raft_vote__lost_link_tries_again_between_the_turns_of_others (void **state)
{
    (void) state;
    enum { TRIES = 3 };
    uint64_t earliest[3][TRIES], latest[3][TRIES] = {{0}};
    memset (earliest, 0xff, sizeof earliest);
    for (uint64_t seed = 1; seed <= 100; seed++) {
        for (uint64_t rank = 0; rank < 3; rank++) {
            struct rig rig;
            open_voter (&rig, 4, rank + 1, seed);
            rig_append (&rig, 4, 1, 0, 0, 0, NULL, 0);
            rig_turn (&rig);
            rig_step (&rig, (struct raft_event){.type = RAFT_LINK, .node = 4, .up = false});
            uint64_t since_ms = rig.now_ms;
            for (unsigned i = 0; i < TRIES; i++) {
                rig_reset (&rig);
                rig_tick (&rig, raft_deadline_ms (rig.raft) - rig.now_ms);
                assert_int_equal (rig_status (&rig).role, RAFT_PRE_CANDIDATE);
                uint64_t at_ms = rig.now_ms - since_ms;
                earliest[rank][i] = at_ms < earliest[rank][i] ? at_ms : earliest[rank][i];
                latest[rank][i] = at_ms > latest[rank][i] ? at_ms : latest[rank][i];
                for (uint64_t from = 1; from <= 3; from++) {
                    struct raft_message refusal = rig_message (&rig, RAFT_PREVOTE_REPLY, from, 1);
                    refusal.flags = RAFT_FLAG_REJECT;
                    if (from != rank + 1)
                        rig_receive (&rig, refusal);
                }
            }
            rig_close (&rig);
        }
    }
    for (unsigned rank = 0; rank < 3; rank++) {
        assert_true (earliest[rank][1] >= latest[rank][0]);
        assert_true (latest[rank][1] <= 15 * rank + 12);
        for (unsigned other = 0; other < 3; other++)
            for (unsigned i = 0; i < TRIES; i++)
                for (unsigned j = 0; other != rank && j < TRIES; j++)
                    assert_true (
                        latest[rank][i] + 5 <= earliest[other][j] || latest[other][j] + 5 <= earliest[rank][i]);
    }
}

/* What a dead leader left in the socket must not look like life. */
static void test_raft_vote__leftovers_of_a_dead_leader_do_not_delay (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_append (&rig, 2, 1, 0, 0, 0, NULL, 0);
    rig_step (&rig, (struct raft_event){.type = RAFT_LINK, .node = 2, .up = false});
    uint64_t deadline_ms = raft_deadline_ms (rig.raft);
    rig_receive (&rig, rig_message (&rig, RAFT_HEARTBEAT, 2, 1));
    assert_int_equal (raft_deadline_ms (rig.raft), deadline_ms);
    rig_step (&rig, (struct raft_event){.type = RAFT_LINK, .node = 2, .up = true});
    rig_receive (&rig, rig_message (&rig, RAFT_HEARTBEAT, 2, 1));
    assert_true (raft_deadline_ms (rig.raft) >= rig.now_ms + 500);
    rig_close (&rig);
}

/* A reset connection deposes nobody: refused, the replica goes back to its leader without having raised a term. */
static void test_raft_vote__refused_prevote_changes_nothing (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    rig_append (&rig, 2, 1, 0, 0, 0, NULL, 0);
    rig_step (&rig, (struct raft_event){.type = RAFT_LINK, .node = 2, .up = false});
    rig_tick (&rig, 10);
    assert_int_equal (rig_status (&rig).role, RAFT_PRE_CANDIDATE);
    for (uint64_t from = 2; from <= 3; from++) {
        struct raft_message refusal = rig_message (&rig, RAFT_PREVOTE_REPLY, from, 1);
        refusal.flags = RAFT_FLAG_REJECT;
        rig_receive (&rig, refusal);
    }
    assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER);
    assert_int_equal (rig_status (&rig).term, 1);
    rig_receive (&rig, rig_message (&rig, RAFT_HEARTBEAT, 2, 1));
    assert_int_equal (rig_status (&rig).leader, 2);
    rig_close (&rig);
}

/* R10: etcd#8501. */
static void test_raft_vote__refused_prevote_brings_the_higher_term (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 8, (uint64_t[]){8}, 1);
    rig_receive (&rig, vote_request (&rig, RAFT_PREVOTE, 2, 4, 3, 3));
    rig_turn (&rig);
    assert_int_equal (rig_now (&rig, RAFT_PREVOTE_REPLY, 2)->flags, RAFT_FLAG_REJECT);
    assert_int_equal (rig_now (&rig, RAFT_PREVOTE_REPLY, 2)->term, 8);
    rig_reset (&rig);

    rig_step (&rig, (struct raft_event){.type = RAFT_CAMPAIGN});
    struct raft_message refusal = rig_message (&rig, RAFT_PREVOTE_REPLY, 3, 11);
    refusal.flags = RAFT_FLAG_REJECT;
    rig_receive (&rig, refusal);
    assert_int_equal (rig_status (&rig).term, 11);
    assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER);
    rig_close (&rig);
}

/* R9: a learner, and a replica that knows no configuration yet, answer. */
static void test_raft_vote__learner_answers (void **state)
{
    (void) state;
    struct raft_configuration members = rig_voters (3);
    members.members[0].roles = RAFT_LEARNER;
    const struct raft_configuration *known[] = {&members, NULL};
    for (size_t i = 0; i < 2; i++) {
        struct rig rig;
        struct raft_stored stored = {.configuration = known[i]};
        rig_open_stored (&rig, &(struct raft_options){0}, &stored);
        rig_receive (&rig, vote_request (&rig, RAFT_VOTE, 2, 3, 1, 1));
        rig_turn (&rig);
        assert_int_equal (rig_after (&rig, RAFT_VOTE_REPLY, 2)->flags, 0);
        rig_tick (&rig, 5000);
        assert_int_equal (rig_status (&rig).role, RAFT_FOLLOWER); /* but never campaigns (R11) */
        rig_close (&rig);
    }
}

/* R11: votes of strangers, and of replicas that only learn, count for nothing. */
static void test_raft_vote__counts_voters_only (void **state)
{
    (void) state;
    struct rig rig;
    struct raft_configuration members = rig_voters (3);
    struct raft_member learner = {.replica = 8, .node = 8, .roles = RAFT_LEARNER};
    assert_true (raft_configuration_set (&members, learner));
    struct raft_stored stored = {.configuration = &members};
    rig_open_stored (&rig, &(struct raft_options){0}, &stored);
    rig_step (&rig, (struct raft_event){.type = RAFT_CAMPAIGN});
    rig_receive (&rig, rig_message (&rig, RAFT_PREVOTE_REPLY, 8, 1));
    rig_receive (&rig, rig_message (&rig, RAFT_PREVOTE_REPLY, 99, 1));
    assert_int_equal (rig_status (&rig).role, RAFT_PRE_CANDIDATE);
    rig_receive (&rig, rig_message (&rig, RAFT_PREVOTE_REPLY, 3, 1));
    assert_int_equal (rig_status (&rig).role, RAFT_CANDIDATE);
    rig_close (&rig);
}

/* R12: a message for an identity that is no more is not ours. */
static void test_raft_vote__ignores_what_is_for_another_replica (void **state)
{
    (void) state;
    struct rig rig;
    rig_open (&rig, 3);
    struct raft_message message = vote_request (&rig, RAFT_VOTE, 2, 5, 0, 0);
    message.to = 77;
    assert_int_equal (rig_receive (&rig, message), STATUS_OK);
    assert_int_equal (rig_status (&rig).term, 0);
    message.to = 1;
    message.shard = RIG_SHARD + 1;
    assert_int_equal (rig_receive (&rig, message), STATUS_INVALID_ARGUMENT);
    assert_int_equal (rig_status (&rig).term, 0);
    rig_close (&rig);
}

/* G4 */
static void test_raft_vote__first_elections_are_staggered_by_rank (void **state)
{
    (void) state;
    uint64_t latest = 0;
    for (uint64_t replica = 1; replica <= 3; replica++) {
        struct rig rig;
        struct raft_configuration voters = rig_voters (3);
        struct raft_stored stored = {.configuration = &voters};
        rig_open_stored (&rig, &(struct raft_options){.replica = replica, .seed = 5}, &stored);
        uint64_t deadline_ms = raft_deadline_ms (rig.raft);
        assert_true (deadline_ms >= latest);
        assert_in_range (deadline_ms, rig.now_ms + 500, rig.now_ms + 900);
        latest = deadline_ms;
        rig_close (&rig);
    }
}

/* Votes that are split cost all of the waiting once more. */
static void test_raft_vote__followers_of_a_silent_leader_stand_up_one_after_the_other (void **state)
{
    (void) state;
    uint64_t earliest[4] = {0, UINT64_MAX, UINT64_MAX, UINT64_MAX}, latest[4] = {0};
    for (uint64_t seed = 1; seed <= 100; seed++) {
        for (uint64_t replica = 1; replica <= 3; replica++) {
            struct rig rig;
            open_voter (&rig, 3, replica, seed);
            rig_receive (&rig, rig_message (&rig, RAFT_HEARTBEAT, replica % 3 + 1, 1));
            uint64_t wait_ms = raft_deadline_ms (rig.raft) - rig.now_ms;
            assert_in_range (wait_ms, 500, 900);
            earliest[replica] = wait_ms < earliest[replica] ? wait_ms : earliest[replica];
            latest[replica] = wait_ms > latest[replica] ? wait_ms : latest[replica];
            rig_close (&rig);
        }
    }
    assert_true (latest[1] - earliest[1] >= 50); /* each still draws: groups do not march in step */
    assert_true (earliest[2] >= latest[1] + 30);
    assert_true (earliest[3] >= latest[2] + 30);
}

static void split_votes (struct rig *rig, uint64_t rival)
{
    rig_reset (rig);
    uint64_t term = rig_status (rig).term + 1;
    rig_receive (rig, rig_message (rig, RAFT_PREVOTE_REPLY, rival, term));
    assert_int_equal (rig_status (rig).role, RAFT_CANDIDATE);
    rig_turn (rig);
    rig_sync (rig);
    rig_reset (rig);
    struct raft_message refusal = rig_message (rig, RAFT_VOTE_REPLY, rival, term);
    refusal.flags = RAFT_FLAG_REJECT;
    rig_receive (rig, refusal);
    uint64_t deadline_ms = raft_deadline_ms (rig->raft);
    rig_receive (rig, refusal); /* the network said it twice */
    assert_int_equal (raft_deadline_ms (rig->raft), deadline_ms);
    assert_int_equal (rig_status (rig).role, RAFT_CANDIDATE);
}

/* Two stood up within the same moment, each has its own vote, and the third is dead: neither waits for a whole timeout,
 * nor both as long. */
static void test_raft_vote__rivals_that_split_the_votes_stand_up_again_soon (void **state)
{
    (void) state;
    uint64_t earliest[4] = {0, UINT64_MAX, UINT64_MAX, UINT64_MAX}, latest[4] = {0};
    for (uint64_t seed = 1; seed <= 100; seed++) {
        for (uint64_t replica = 1; replica <= 3; replica++) {
            struct rig rig;
            open_voter (&rig, 3, replica, seed);
            rig_step (&rig, (struct raft_event){.type = RAFT_CAMPAIGN});
            split_votes (&rig, replica % 3 + 1);
            uint64_t wait_ms = raft_deadline_ms (rig.raft) - rig.now_ms;
            earliest[replica] = wait_ms < earliest[replica] ? wait_ms : earliest[replica];
            latest[replica] = wait_ms > latest[replica] ? wait_ms : latest[replica];
            rig_close (&rig);
        }
    }
    assert_true (latest[3] <= 150);
    assert_true (earliest[2] >= latest[1] + 5);
    assert_true (earliest[3] >= latest[2] + 5);
}

/* Where a sync takes longer than the steps between the ranks they would split the votes for ever. */
static void test_raft_vote__rivals_wait_longer_each_time (void **state)
{
    (void) state;
    struct rig rig;
    uint64_t before_ms = 0;
    rig_open (&rig, 3);
    rig_step (&rig, (struct raft_event){.type = RAFT_CAMPAIGN});
    for (unsigned tries = 0; tries < 8; tries++) {
        split_votes (&rig, 2);
        uint64_t wait_ms = raft_deadline_ms (rig.raft) - rig.now_ms;
        assert_true (wait_ms >= 500 || wait_ms >= before_ms + before_ms / 2);
        assert_true (wait_ms <= 900);
        before_ms = wait_ms;
        rig_tick (&rig, wait_ms);
        assert_int_equal (rig_status (&rig).role, RAFT_PRE_CANDIDATE);
    }
    rig_receive (&rig, rig_message (&rig, RAFT_HEARTBEAT, 3, rig_status (&rig).term)); /* a leader: all of it is over */
    rig_tick (&rig, 1000);
    split_votes (&rig, 2);
    assert_true (raft_deadline_ms (rig.raft) - rig.now_ms <= 100);
    rig_close (&rig);
}

/* P6: the first who stands may hold the only log that can win, and be refused because another one heard the leader a little
 * later, or has a slower clock. A second after the leader fell silent it must have asked again. */
static void test_raft_vote__asks_again_within_a_second_of_silence (void **state)
{
    (void) state;
    struct rig rig;
    rig_open_log (&rig, 3, 1, (uint64_t[]){1}, 1); /* replica 1 has rank 0 */
    rig_receive (&rig, rig_message (&rig, RAFT_HEARTBEAT, 2, 1));
    uint64_t silent_ms = rig.now_ms;
    for (int try = 0; try < 2; try++) {
        rig_turn (&rig);
        rig_reset (&rig);
        rig_tick (&rig, raft_deadline_ms (rig.raft) - rig.now_ms);
        assert_int_equal (rig_status (&rig).role, RAFT_PRE_CANDIDATE);
        assert_non_null (rig_now (&rig, RAFT_PREVOTE, 2));
        for (uint64_t from = 2; from <= 3; from++) {
            struct raft_message refusal = rig_message (&rig, RAFT_PREVOTE_REPLY, from, 1);
            refusal.flags = RAFT_FLAG_REJECT;
            rig_receive (&rig, refusal);
        }
    }
    assert_in_range (rig.now_ms - silent_ms, 900, 1020);
    rig_close (&rig);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_raft_vote__asks_before_it_raises_the_term),
        cmocka_unit_test (test_raft_vote__request_waits_for_the_own_vote_on_disk),
        cmocka_unit_test (test_raft_vote__own_vote_counts_only_when_synced),
        cmocka_unit_test (test_raft_vote__own_vote_waits_for_its_own_batch),
        cmocka_unit_test (test_raft_vote__alone_waits_for_the_disk),
        cmocka_unit_test (test_raft_vote__grant_leaves_after_the_sync),
        cmocka_unit_test (test_raft_vote__one_per_term),
        cmocka_unit_test (test_raft_vote__one_per_term_across_a_restart),
        cmocka_unit_test (test_raft_vote__refuses_a_stale_log),
        cmocka_unit_test (test_raft_vote__sticks_to_a_working_leader),
        cmocka_unit_test (test_raft_vote__a_leader_refuses_while_it_leads),
        cmocka_unit_test (test_raft_vote__lost_link_to_the_leader_ends_stickiness),
        cmocka_unit_test (test_raft_vote__lost_link_starts_prevote_by_rank),
        cmocka_unit_test (test_raft_vote__lost_link_tries_again_between_the_turns_of_others),
        cmocka_unit_test (test_raft_vote__leftovers_of_a_dead_leader_do_not_delay),
        cmocka_unit_test (test_raft_vote__refused_prevote_changes_nothing),
        cmocka_unit_test (test_raft_vote__refused_prevote_brings_the_higher_term),
        cmocka_unit_test (test_raft_vote__learner_answers),
        cmocka_unit_test (test_raft_vote__counts_voters_only),
        cmocka_unit_test (test_raft_vote__ignores_what_is_for_another_replica),
        cmocka_unit_test (test_raft_vote__first_elections_are_staggered_by_rank),
        cmocka_unit_test (test_raft_vote__followers_of_a_silent_leader_stand_up_one_after_the_other),
        cmocka_unit_test (test_raft_vote__rivals_that_split_the_votes_stand_up_again_soon),
        cmocka_unit_test (test_raft_vote__asks_again_within_a_second_of_silence),
        cmocka_unit_test (test_raft_vote__rivals_wait_longer_each_time),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
