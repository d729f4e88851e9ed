/* From the members there are to the members wanted: one safe step at a time, from wherever the last driver stopped. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/placement/placement_plan.h"

static struct raft_configuration present, target, next;
static struct placement_peer peers[RAFT_MEMBERS_MAX];

static void put (struct raft_configuration *configuration, uint64_t replica, uint32_t node, uint8_t roles)
{
    assert_true (raft_configuration_set (configuration,
        (struct raft_member){.replica = replica, .node = node, .rank = (uint8_t) (node - 1), .roles = roles}));
}

static void facts (uint64_t replica, bool up, bool caught_up)
{
    for (uint32_t i = 0; i < present.count; i++) {
        if (present.members[i].replica == replica)
            peers[i] = (struct placement_peer){.up = up, .caught_up = caught_up};
    }
}

/* Voters 1, 2, 3 on nodes 1, 2, 3; wanted is 20 in the place of 2, whose node is dead. */
static int set_up (void **state)
{
    (void) state;
    present = target = next = (struct raft_configuration){0};
    put (&present, 1, 1, RAFT_VOTER);
    put (&present, 2, 2, RAFT_VOTER);
    put (&present, 3, 3, RAFT_VOTER);
    put (&target, 1, 1, RAFT_VOTER);
    put (&target, 3, 3, RAFT_VOTER);
    put (&target, 20, 2, RAFT_VOTER);
    for (int i = 0; i < RAFT_MEMBERS_MAX; i++)
        peers[i] = (struct placement_peer){.up = true, .caught_up = true};
    facts (2, false, false);
    return 0;
}

static enum placement_step plan (void)
{
    return placement_plan (&present, &target, peers, &next);
}

static uint8_t roles (const struct raft_configuration *configuration, uint64_t replica)
{
    const struct raft_member *member = raft_configuration_find (configuration, replica);
    return member == NULL ? 0 : member->roles;
}

static void learn (void)
{
    assert_int_equal (plan (), PLACEMENT_STEP_LEARN);
    present = next;
    for (int i = 0; i < RAFT_MEMBERS_MAX; i++)
        peers[i] = (struct placement_peer){.up = true, .caught_up = true};
    facts (2, false, false);
}

static void test_placement_plan__a_new_replica_learns_before_it_votes (void **state)
{
    (void) state;
    assert_int_equal (plan (), PLACEMENT_STEP_LEARN);
    assert_int_equal (next.count, 4);
    assert_int_equal (roles (&next, 20), RAFT_LEARNER);
    assert_int_equal (raft_configuration_find (&next, 20)->rank, 1);
    assert_int_equal (roles (&next, 2), RAFT_VOTER); /* goes last */
}

static void test_placement_plan__votes_only_once_it_has_caught_up (void **state)
{
    (void) state;
    learn ();
    facts (20, true, false);
    assert_int_equal (plan (), PLACEMENT_STEP_FILL);
    facts (20, false, true);
    assert_int_equal (plan (), PLACEMENT_STEP_FILL);
    facts (20, true, true);
    assert_int_equal (plan (), PLACEMENT_STEP_JOIN);
    assert_memory_equal (&next, &target, sizeof next);
    present = target;
    assert_int_equal (plan (), PLACEMENT_STEP_DONE);
}

static void test_placement_plan__never_leaves_fewer_than_two_live_voters (void **state)
{
    (void) state;
    learn ();
    facts (3, false, true); /* old half: 1 of 3 up; new half: 2 of 3 */
    assert_int_equal (plan (), PLACEMENT_STEP_HOLD);
    facts (3, true, true);
    facts (1, true, false); /* up, but far behind: 3 and 20 make the new majority */
    assert_int_equal (plan (), PLACEMENT_STEP_JOIN);
}

static void test_placement_plan__the_new_half_needs_a_majority_that_is_up (void **state)
{
    (void) state;
    /* Five voters, and two of the remaining ones are behind: of 1, 3, 4, 5, 20 only 1 and 20 count. */
    put (&present, 4, 4, RAFT_VOTER);
    put (&present, 5, 5, RAFT_VOTER);
    put (&target, 4, 4, RAFT_VOTER);
    put (&target, 5, 5, RAFT_VOTER);
    learn ();
    facts (3, true, false);
    facts (4, true, false);
    facts (5, true, false);
    assert_int_equal (plan (), PLACEMENT_STEP_HOLD);
    facts (5, true, true);
    assert_int_equal (plan (), PLACEMENT_STEP_JOIN);
}

static void test_placement_plan__a_learner_that_was_lost_again_makes_room_for_its_successor (void **state)
{
    (void) state;
    learn ();
    target = (struct raft_configuration){0};
    put (&target, 1, 1, RAFT_VOTER);
    put (&target, 3, 3, RAFT_VOTER);
    put (&target, 30, 2, RAFT_VOTER);
    assert_int_equal (plan (), PLACEMENT_STEP_LEARN);
    assert_int_equal (next.count, 4);
    assert_int_equal (roles (&next, 20), 0);
    assert_int_equal (roles (&next, 30), RAFT_LEARNER);
    assert_int_equal (roles (&next, 2), RAFT_VOTER);
}

static void test_placement_plan__a_learner_of_nobody_leaves (void **state)
{
    (void) state;
    present = target;
    put (&present, 40, 2, RAFT_LEARNER);
    assert_int_equal (plan (), PLACEMENT_STEP_LEARN);
    assert_memory_equal (&next, &target, sizeof next);
}

static void test_placement_plan__one_voter_of_one_is_exchanged_with_its_help_alone (void **state)
{
    (void) state;
    present = target = (struct raft_configuration){0};
    put (&present, 1, 1, RAFT_VOTER);
    put (&target, 20, 2, RAFT_VOTER);
    assert_int_equal (plan (), PLACEMENT_STEP_LEARN);
    present = next;
    facts (1, true, true);
    facts (20, true, true);
    assert_int_equal (plan (), PLACEMENT_STEP_JOIN);
}

static void test_placement_plan__waits_when_there_is_no_room (void **state)
{
    (void) state;
    for (uint64_t replica = 100; present.count < RAFT_MEMBERS_MAX; replica++)
        put (&present, replica, 4, RAFT_VOTER);
    assert_int_equal (plan (), PLACEMENT_STEP_HOLD);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup (test_placement_plan__a_new_replica_learns_before_it_votes, set_up),
        cmocka_unit_test_setup (test_placement_plan__votes_only_once_it_has_caught_up, set_up),
        cmocka_unit_test_setup (test_placement_plan__never_leaves_fewer_than_two_live_voters, set_up),
        cmocka_unit_test_setup (test_placement_plan__the_new_half_needs_a_majority_that_is_up, set_up),
        cmocka_unit_test_setup (
            test_placement_plan__a_learner_that_was_lost_again_makes_room_for_its_successor, set_up),
        cmocka_unit_test_setup (test_placement_plan__a_learner_of_nobody_leaves, set_up),
        cmocka_unit_test_setup (test_placement_plan__one_voter_of_one_is_exchanged_with_its_help_alone, set_up),
        cmocka_unit_test_setup (test_placement_plan__waits_when_there_is_no_room, set_up),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
