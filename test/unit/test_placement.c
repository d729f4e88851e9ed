/* The record of replaced nodes: ids that are never given twice, folders that are never taken back. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "node/placement/placement.h"

#define SHARDS 4 /* and shard 0 */
#define FIRST_FREE 16

static uint64_t memory[65536];
static struct arena arena;
static struct placement record;
static uint8_t everywhere[SHARDS + 1] = {1, 1, 1, 1, 1};
static const struct id known = {{1}}, second = {{2}}, third = {{3}}, stranger = {{9}};

static int set_up (void **state)
{
    (void) state;
    arena_init (&arena, (uint8_t *) memory, sizeof memory);
    record = placement_none ();
    return 0;
}

static enum status begin_at (uint64_t node, const struct id *folder, const uint8_t *hosted)
{
    struct replace_node_request request = {.node = node,
        .has_known_folder = folder != NULL,
        .has_first_free = true,
        .first_free = FIRST_FREE,
        .has_hosted = true,
        .hosted = bytes_of (hosted, SHARDS + 1)};
    if (folder != NULL)
        request.known_folder = *folder;
    enum status status = placement_begin (&record, &request, SHARDS, 77, &arena);
    placement_check (&record, SHARDS);
    return status;
}

static enum status begin (uint64_t node, const struct id *folder)
{
    return begin_at (node, folder, everywhere);
}

static void note (uint64_t node, uint64_t first, uint64_t shard, uint64_t phase)
{
    struct placement_move move = {.shard = shard, .phase = phase};
    struct note_moves_request request = {.node = node, .first_replica = first, .moves = &move, .moves_count = 1};
    placement_note (&record, &request, &arena);
    placement_check (&record, SHARDS);
}

static void finish (uint64_t node, uint64_t first, const struct id *folder)
{
    assert_int_equal (placement_bind (&record, node, first, folder), STATUS_OK);
    for (uint64_t shard = 0; shard <= SHARDS; shard++)
        note (node, first, shard, PLACEMENT_PHASE_DONE);
    assert_false (record.has_running);
}

static void test_placement__every_replica_of_the_node_gets_an_id_that_nobody_had (void **state)
{
    (void) state;
    assert_int_equal (begin (2, &known), STATUS_OK);
    assert_int_equal (record.epoch, 2);
    for (uint32_t shard = 0; shard <= SHARDS; shard++) {
        assert_int_equal (placement_replica (&record, 2, shard), FIRST_FREE + shard);
        assert_int_equal (placement_replica (&record, 1, shard), 0);
        assert_int_equal (placement_phase_of (&record, shard), PLACEMENT_PHASE_WAITING);
    }
    assert_int_equal (record.next_replica, FIRST_FREE + SHARDS + 1);
}

static void test_placement__ids_are_not_given_twice_over_many_replacements (void **state)
{
    (void) state;
    uint64_t above = 0;
    for (uint64_t i = 0; i < 30; i++) {
        arena_reset (&arena);
        set_up (state);
        record.next_replica = above == 0 ? 1 : above;
        uint64_t node = 1 + i % 3;
        assert_int_equal (begin (node, &known), STATUS_OK);
        uint64_t first = placement_replica (&record, node, 0);
        assert_true (first >= above && first >= FIRST_FREE);
        above = first + SHARDS + 1;
        assert_int_equal (record.next_replica, above);
    }
}

static void test_placement__the_old_folder_is_refused_before_and_after_a_new_one_came (void **state)
{
    (void) state;
    assert_int_equal (placement_folder_of (&record, 2, &known), PLACEMENT_FOLDER_UNSAID);
    assert_int_equal (begin (2, &known), STATUS_OK);
    assert_int_equal (placement_folder_of (&record, 2, &known), PLACEMENT_FOLDER_REFUSED);
    assert_int_equal (placement_folder_of (&record, 2, &second), PLACEMENT_FOLDER_AWAITED);
    assert_int_equal (placement_folder_of (&record, 1, &known), PLACEMENT_FOLDER_UNSAID);
    assert_int_equal (placement_bind (&record, 2, FIRST_FREE, &known), STATUS_FAILED_PRECONDITION);
    assert_int_equal (placement_bind (&record, 2, FIRST_FREE + 1, &second), STATUS_NOT_FOUND);
    assert_int_equal (placement_bind (&record, 1, FIRST_FREE, &second), STATUS_NOT_FOUND);
    assert_int_equal (placement_bind (&record, 2, FIRST_FREE, &second), STATUS_OK);
    assert_int_equal (record.epoch, 3);
    assert_int_equal (placement_bind (&record, 2, FIRST_FREE, &second), STATUS_OK);
    assert_int_equal (record.epoch, 3);
    assert_int_equal (placement_bind (&record, 2, FIRST_FREE, &stranger), STATUS_FAILED_PRECONDITION);
    assert_int_equal (placement_folder_of (&record, 2, &second), PLACEMENT_FOLDER_OWNER);
    assert_int_equal (placement_folder_of (&record, 2, &known), PLACEMENT_FOLDER_REFUSED);
    assert_int_equal (placement_folder_of (&record, 2, &stranger), PLACEMENT_FOLDER_REFUSED);
}

static void test_placement__all_earlier_folders_stay_refused_while_the_next_is_awaited (void **state)
{
    (void) state;
    assert_int_equal (begin (2, &known), STATUS_OK);
    finish (2, placement_replica (&record, 2, 0), &second);
    assert_int_equal (begin (2, &stranger), STATUS_OK); /* the record knows the folder better than the entry node */
    assert_int_equal (placement_folder_of (&record, 2, &known), PLACEMENT_FOLDER_REFUSED);
    assert_int_equal (placement_folder_of (&record, 2, &second), PLACEMENT_FOLDER_REFUSED);
    assert_int_equal (placement_folder_of (&record, 2, &stranger), PLACEMENT_FOLDER_AWAITED);
    assert_int_equal (placement_folder_of (&record, 2, &(struct id){{0}}), PLACEMENT_FOLDER_REFUSED);
}

static void test_placement__the_list_of_retired_folders_is_bounded (void **state)
{
    (void) state;
    for (uint8_t i = 1; i <= 2 * PLACEMENT_RETIRED_MAX; i++) {
        struct id folder = {{100, i}};
        assert_int_equal (begin (3, &known), STATUS_OK);
        finish (3, placement_replica (&record, 3, 0), &folder);
        arena_reset (&arena); /* what is needed of it is copied back */
        uint8_t bytes[PLACEMENT_ENCODED_MAX];
        size_t len;
        assert_int_equal (codec_encode (&placement_type, &record, bytes, sizeof bytes, &len), STATUS_OK);
        assert_int_equal (
            codec_decode (&placement_type, bytes_of (bytes, len), CODEC_STRICT, &arena, &record, NULL), STATUS_OK);
    }
    assert_int_equal (placement_node (&record, 3)->retired_count, PLACEMENT_RETIRED_MAX);
    assert_int_equal (begin (3, NULL), STATUS_OK);
    struct id last = {{100, 2 * PLACEMENT_RETIRED_MAX}};
    assert_int_equal (placement_folder_of (&record, 3, &last), PLACEMENT_FOLDER_REFUSED);
}

/* A leader that did not see the end of one replacement must not take what it knows of it for the next one. */
static void test_placement__moves_are_of_one_replacement_and_wait_for_its_folder (void **state)
{
    (void) state;
    assert_int_equal (placement_moves_for (&record, 1), 0);
    const uint8_t hosted[SHARDS + 1] = {1, 1, 0, 1, 1};
    assert_int_equal (begin_at (2, &known, hosted), STATUS_OK);
    assert_int_equal (placement_moves_for (&record, 1), 0);
    uint64_t first = placement_replica (&record, 2, 0);
    assert_int_equal (placement_bind (&record, 2, first, &second), STATUS_OK);
    assert_int_equal (placement_moves_for (&record, 1), first);
    assert_int_equal (placement_moves_for (&record, 2), 0);
    assert_int_equal (placement_moves_for (&record, SHARDS + 1), 0);
    note (2, first, 1, PLACEMENT_PHASE_DONE);
    assert_int_equal (placement_moves_for (&record, 1), 0);
    assert_int_equal (placement_moves_for (&record, 3), first);
    assert_int_equal (begin_at (2, NULL, hosted), STATUS_OK); /* the new folder is lost as well */
    assert_int_equal (placement_moves_for (&record, 1), 0);
    uint64_t again = placement_replica (&record, 2, 0);
    assert_true (again > first);
    assert_int_equal (placement_bind (&record, 2, again, &third), STATUS_OK);
    assert_int_equal (placement_moves_for (&record, 1), again);
    assert_int_equal (placement_moves_for (&record, 3), again);
}

static void test_placement__one_node_at_a_time_and_again_is_the_same (void **state)
{
    (void) state;
    assert_int_equal (begin (2, &known), STATUS_OK);
    struct placement before = record;
    assert_int_equal (begin (3, &third), STATUS_FAILED_PRECONDITION);
    assert_int_equal (begin (2, &known), STATUS_OK);
    assert_memory_equal (&before, &record, sizeof record);
    /* The folder came, and is lost before the moves are over: then its ids were used. */
    assert_int_equal (placement_bind (&record, 2, FIRST_FREE, &second), STATUS_OK);
    note (2, FIRST_FREE, 1, PLACEMENT_PHASE_DONE);
    assert_int_equal (begin (2, NULL), STATUS_OK);
    assert_int_equal (placement_replica (&record, 2, 0), FIRST_FREE + SHARDS + 1);
    assert_int_equal (placement_phase_of (&record, 1), PLACEMENT_PHASE_WAITING);
    assert_int_equal (placement_folder_of (&record, 2, &second), PLACEMENT_FOLDER_REFUSED);
    assert_int_equal (begin (3, &third), STATUS_FAILED_PRECONDITION);
}

static void test_placement__phases_go_forward_alone_and_the_last_one_ends_it (void **state)
{
    (void) state;
    const uint8_t some[SHARDS + 1] = {1, 0, 1, 0, 0};
    uint32_t moves, done;
    assert_int_equal (begin_at (2, &known, some), STATUS_OK);
    note (2, FIRST_FREE, 2, PLACEMENT_PHASE_JOINING);
    note (2, FIRST_FREE, 2, PLACEMENT_PHASE_FILLING);
    note (2, FIRST_FREE, 1, PLACEMENT_PHASE_DONE);          /* has no move */
    note (2, FIRST_FREE, SHARDS + 1, PLACEMENT_PHASE_DONE); /* no such shard */
    note (2, FIRST_FREE + 5, 2, PLACEMENT_PHASE_DONE);      /* another replacement */
    note (3, FIRST_FREE, 2, PLACEMENT_PHASE_DONE);          /* another node */
    assert_int_equal (placement_phase_of (&record, 2), PLACEMENT_PHASE_JOINING);
    assert_int_equal (placement_phase_of (&record, 1), PLACEMENT_PHASE_NONE);
    placement_count (&record, &moves, &done);
    assert_int_equal (moves, 2);
    assert_int_equal (done, 0);
    note (2, FIRST_FREE, 0, PLACEMENT_PHASE_DONE);
    note (2, FIRST_FREE, 2, PLACEMENT_PHASE_DONE);
    assert_true (record.has_running); /* no folder has come: whose replicas are these? */
    assert_int_equal (placement_bind (&record, 2, FIRST_FREE, &second), STATUS_OK);
    assert_false (record.has_running);
    assert_int_equal (placement_replica (&record, 2, 2), FIRST_FREE + 2);
}

static void test_placement__a_node_without_replicas_is_replaced_when_its_folder_came (void **state)
{
    (void) state;
    const uint8_t nowhere[SHARDS + 1] = {0};
    assert_int_equal (begin_at (5, &known, nowhere), STATUS_OK);
    assert_true (record.has_running);
    assert_int_equal (placement_bind (&record, 5, FIRST_FREE, &second), STATUS_OK);
    assert_false (record.has_running);
}

static void test_placement__what_the_entry_node_did_not_fill_in_is_refused (void **state)
{
    (void) state;
    struct replace_node_request request = {.node = 2, .has_first_free = true, .first_free = FIRST_FREE};
    assert_int_equal (placement_begin (&record, &request, SHARDS, 0, &arena), STATUS_INVALID_ARGUMENT);
    request.has_hosted = true;
    request.hosted = bytes_of (everywhere, SHARDS);
    assert_int_equal (placement_begin (&record, &request, SHARDS, 0, &arena), STATUS_INVALID_ARGUMENT);
    request.hosted.len++;
    request.first_free = UINT64_MAX - SHARDS;
    assert_int_equal (placement_begin (&record, &request, SHARDS, 0, &arena), STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal (record.epoch, PLACEMENT_EPOCH_FIRST);
    assert_int_equal (record.nodes_count, 0);
}

static void test_placement__without_memory_nothing_changes (void **state)
{
    (void) state;
    assert_int_equal (begin (1, &third), STATUS_OK);
    finish (1, FIRST_FREE, &stranger);
    struct placement before = record;
    struct placed_node row = record.nodes[0];
    size_t used = arena.used, size = arena.size;
    unsigned refused = 0;
    for (arena.size = used; begin (1, NULL) != STATUS_OK; arena.size = used + 8 * ++refused) {
        assert_memory_equal (&before, &record, sizeof record);
        assert_memory_equal (&row, &record.nodes[0], sizeof row);
        arena.used = used;
    }
    arena.size = size;
    assert_true (refused > 2);
}

static void test_placement__a_record_that_contradicts_itself_is_known (void **state)
{
    (void) state;
    assert_int_equal (begin (1, &known), STATUS_OK);
    assert_true (placement_valid (&record, SHARDS));
    assert_false (placement_valid (&record, SHARDS + 1));
    struct placement broken = record;
    broken.next_replica = FIRST_FREE + SHARDS;
    assert_false (placement_valid (&broken, SHARDS));
    broken = record;
    broken.running.node = 2;
    assert_false (placement_valid (&broken, SHARDS));
    broken = record;
    broken.running.first_replica++;
    assert_false (placement_valid (&broken, SHARDS));
    broken = record;
    broken.epoch = 0;
    assert_false (placement_valid (&broken, SHARDS));
    const uint8_t odd[SHARDS + 1] = {1, 1, 7, 1, 1};
    broken = record;
    broken.running.phases = bytes_of (odd, sizeof odd);
    assert_false (placement_valid (&broken, SHARDS));
    struct placed_node twice[2] = {record.nodes[0], record.nodes[0]};
    broken = record;
    broken.nodes = twice;
    broken.nodes_count = 2;
    assert_false (placement_valid (&broken, SHARDS));
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup (test_placement__every_replica_of_the_node_gets_an_id_that_nobody_had, set_up),
        cmocka_unit_test_setup (test_placement__ids_are_not_given_twice_over_many_replacements, set_up),
        cmocka_unit_test_setup (test_placement__the_old_folder_is_refused_before_and_after_a_new_one_came, set_up),
        cmocka_unit_test_setup (test_placement__all_earlier_folders_stay_refused_while_the_next_is_awaited, set_up),
        cmocka_unit_test_setup (test_placement__the_list_of_retired_folders_is_bounded, set_up),
        cmocka_unit_test_setup (test_placement__moves_are_of_one_replacement_and_wait_for_its_folder, set_up),
        cmocka_unit_test_setup (test_placement__one_node_at_a_time_and_again_is_the_same, set_up),
        cmocka_unit_test_setup (test_placement__phases_go_forward_alone_and_the_last_one_ends_it, set_up),
        cmocka_unit_test_setup (test_placement__a_node_without_replicas_is_replaced_when_its_folder_came, set_up),
        cmocka_unit_test_setup (test_placement__what_the_entry_node_did_not_fill_in_is_refused, set_up),
        cmocka_unit_test_setup (test_placement__without_memory_nothing_changes, set_up),
        cmocka_unit_test_setup (test_placement__a_record_that_contradicts_itself_is_known, set_up),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
