/* Replacing a node, as calls of the system shard. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/placement/placement.h"
#include "test/support/services_rig.h"

static struct world rig;
static const uint8_t hosted[2] = {1, 1}; /* shard 0 and the rig's one user shard */
static const struct id known = {{1}}, fresh = {{2}};

static int set_up (void **state)
{
    (void) state;
    rig_init (&rig, 0);
    return 0;
}

static int tear_down (void **state)
{
    (void) state;
    rig_check (&rig);
    world_close (&rig);
    return 0;
}

static enum status replace (uint64_t roles, uint64_t node)
{
    struct principal caller = world_principal (5, roles);
    struct replace_node_request request = {.node = node,
        .has_known_folder = true,
        .known_folder = known,
        .has_first_free = true,
        .first_free = 7,
        .has_hosted = true,
        .hosted = bytes_of (hosted, sizeof hosted)};
    return world_call (&rig, METHOD_NUMBER_CLUSTER_REPLACE_NODE, &caller, &request);
}

static enum status bind (uint64_t roles, uint64_t node, uint64_t first, const struct id *folder)
{
    struct principal caller = world_principal (5, roles);
    struct bind_folder_request request = {.node = node, .first_replica = first, .folder = *folder};
    return world_call (&rig, METHOD_NUMBER_CLUSTER_BIND_FOLDER, &caller, &request);
}

static enum status note (uint64_t roles, uint64_t shard, uint64_t phase)
{
    struct principal caller = world_principal (5, roles);
    struct placement_move move = {.shard = shard, .phase = phase};
    struct note_moves_request request = {.node = 2, .first_replica = 7, .moves = &move, .moves_count = 1};
    return world_call (&rig, METHOD_NUMBER_CLUSTER_NOTE_MOVES, &caller, &request);
}

static struct placement look (void)
{
    struct principal nobody = {.kind = PRINCIPAL_KIND_ANONYMOUS};
    struct placement_request request = {0};
    struct placement_reply reply;
    assert_int_equal (world_read (&rig, METHOD_NUMBER_CLUSTER_PLACEMENT, &nobody, &request), STATUS_OK);
    world_reply (&rig, &placement_reply_type, &reply);
    return reply.placement;
}

static void test_services_cluster__administrators_alone_replace (void **state)
{
    (void) state;
    uint64_t others = ROLE_CUSTOMER | ROLE_STAFF | ROLE_COURIER | ROLE_OPERATOR;
    assert_int_equal (replace (others, 2), STATUS_PERMISSION_DENIED);
    assert_true (rig_reason (&rig, "ADMIN_ONLY"));
    assert_int_equal (look ().epoch, PLACEMENT_EPOCH_FIRST);
    assert_int_equal (replace (ROLE_ADMIN, 2), STATUS_OK);
    assert_int_equal (bind (others, 2, 7, &fresh), STATUS_PERMISSION_DENIED);
    assert_int_equal (note (others, 0, PLACEMENT_PHASE_DONE), STATUS_PERMISSION_DENIED);
    assert_false (look ().nodes[0].has_folder);
    assert_int_equal (look ().running.phases.data[0], PLACEMENT_PHASE_WAITING);
}

static void test_services_cluster__from_the_first_word_to_the_last_move (void **state)
{
    (void) state;
    struct replace_node_reply reply;
    struct note_moves_reply noted;
    struct bytes record;
    assert_false (services_placement (&rig.state, &record));
    assert_int_equal (replace (ROLE_ADMIN, 2), STATUS_OK);
    world_reply (&rig, &replace_node_reply_type, &reply);
    assert_int_equal (reply.first_replica, 7);
    assert_int_equal (reply.moves, 2);
    assert_int_equal (reply.epoch, 2);
    assert_true (services_placement (&rig.state, &record));
    assert_int_equal (replace (ROLE_ADMIN, 3), STATUS_FAILED_PRECONDITION);
    assert_true (rig_reason (&rig, "REPLACING"));
    assert_int_equal (bind (ROLE_ADMIN, 2, 7, &known), STATUS_FAILED_PRECONDITION);
    assert_true (rig_reason (&rig, "FOLDER_REFUSED"));
    assert_int_equal (bind (ROLE_ADMIN, 2, 8, &fresh), STATUS_NOT_FOUND);
    assert_int_equal (bind (ROLE_ADMIN, 2, 7, &fresh), STATUS_OK);
    assert_int_equal (note (ROLE_ADMIN, 0, PLACEMENT_PHASE_DONE), STATUS_OK);
    world_reply (&rig, &note_moves_reply_type, &noted);
    assert_int_equal (noted.left, 1);
    assert_true (look ().has_running);
    assert_int_equal (note (ROLE_ADMIN, 1, PLACEMENT_PHASE_DONE), STATUS_OK);
    world_reply (&rig, &note_moves_reply_type, &noted);
    assert_int_equal (noted.left, 0);
    struct placement after = look ();
    assert_false (after.has_running);
    assert_int_equal (after.next_replica, 9);
    assert_true (id_equal (&after.nodes[0].folder, &fresh));
    assert_int_equal (note (ROLE_ADMIN, 1, PLACEMENT_PHASE_FILLING), STATUS_OK); /* late: changes nothing */
    assert_false (look ().has_running);
    assert_int_equal (replace (ROLE_ADMIN, 3), STATUS_OK);
    world_reply (&rig, &replace_node_reply_type, &reply);
    assert_int_equal (reply.first_replica, 9);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (test_services_cluster__administrators_alone_replace, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_services_cluster__from_the_first_word_to_the_last_move, set_up, tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
