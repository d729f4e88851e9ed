/* A replica behind the log is filled by a snapshot, while others write and while nodes come and go. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/shard_snapshot_rig.h"

static void test_shard_snapshot__a_filled_replica_restarts_and_votes (void **state)
{
    (void) state;
    wait_until (caught_up, 3000);
    shard_world_crash (w, behind);
    shard_world_start (w, behind);
    assert_true (shard_world_status (w, behind).applied_index > 30);
    shard_world_run (w, 300);
    uint32_t leader = shard_world_leader (w), third = 6 - leader - behind;
    shard_world_crash (w, third);
    book_many (5); /* it is a majority's half */
    shard_world_crash (w, leader);
    shard_world_start (w, third);
    book_many (5);
    settle (43);
}

static void test_shard_snapshot__writes_go_on_meanwhile (void **state)
{
    (void) state;
    w->delay_ms = 40;
    unsigned done = 0;
    while (!caught_up ()) {
        book_many (1);
        done++;
    }
    assert_true (done > 3);
    settle (33 + done);
}

/* ---- nodes that come and go */

static void test_shard_snapshot__a_receiver_that_restarts_is_sent_a_new_one (void **state)
{
    (void) state;
    for (unsigned i = 0; i < 3; i++) {
        slow_down ();
        shard_world_crash (w, behind);
        shard_world_run (w, 20);
        shard_world_start (w, behind);
    }
    wait_until (caught_up, 20000);
    settle (33);
}

static void test_shard_snapshot__a_sender_that_crashes_is_replaced (void **state)
{
    (void) state;
    slow_down ();
    uint32_t leader = shard_world_leader (w);
    shard_world_crash (w, leader);
    shard_world_run (w, 5);
    w->delay_ms = 3;
    wait_until (caught_up, 20000);
    assert_int_not_equal (shard_world_leader (w), leader);
    settle (33);
}

static void test_shard_snapshot__a_leader_that_steps_down_stops_sending (void **state)
{
    (void) state;
    slow_down ();
    uint32_t leader = shard_world_leader (w), third = 6 - leader - behind;
    shard_world_event (w, leader, (struct shard_event){.type = SHARD_EVENT_TRANSFER, .transfer_node = third});
    for (unsigned i = 0; i < 2000 && shard_world_leader (w) != third; i++)
        shard_world_run (w, 1);
    assert_int_equal (shard_world_leader (w), third);
    shard_world_run (w, 5);
    assert_int_equal (w->nodes[leader].snapshots_open, 0);
    wait_until (caught_up, 20000);
    settle (33);
}

static void test_shard_snapshot__a_transfer_without_progress_is_given_up_and_begun_again (void **state)
{
    (void) state;
    slow_down ();
    uint32_t leader = shard_world_leader (w);
    w->no_links = true;
    shard_world_isolate (w, behind, true);
    shard_world_run (w, 9000);
    assert_true (shard_world_status (w, leader).sending_snapshot);
    shard_world_run (w, 3000);
    assert_false (shard_world_status (w, leader).sending_snapshot);
    assert_int_equal (w->nodes[leader].snapshots_open, 0);
    shard_world_isolate (w, behind, false);
    wait_until (caught_up, 20000);
    settle (33);
}

static void test_shard_snapshot__a_receiver_forgets_what_nobody_goes_on_with (void **state)
{
    (void) state;
    slow_down ();
    w->no_links = true;
    shard_world_isolate (w, behind, true);
    shard_world_run (w, 29000);
    assert_true (w->nodes[behind].receiving);
    shard_world_run (w, 2500);
    assert_false (w->nodes[behind].receiving);
    shard_world_isolate (w, behind, false);
    wait_until (caught_up, 20000);
    settle (33);
}

/* ---- the log overtakes the snapshot */

static bool no_chunks (struct shard_world *in, uint32_t from, uint32_t to, struct snapshot_chunk *chunk)
{
    (void) in, (void) from, (void) to;
    return chunk->sequence < 2;
}

/* Another leader still has the log that the first one cut: its entries bring the replica past the snapshot. */
static void test_shard_snapshot__a_replica_that_the_log_brought_on_needs_no_more_of_it (void **state)
{
    (void) state;
    shard_world_close (w);
    shard_world_init (w, NULL);
    offer = shard_world_offer (w, 100000);
    w->chunk_bytes = 512;
    uint32_t leader = shard_world_leader (w), third;
    behind = leader % 3 + 1;
    third = 6 - leader - behind;
    shard_world_crash (w, behind);
    book_many (30);
    shard_world_run (w, 50);
    shard_world_write_back (w, leader, 0); /* not the third */
    shard_world_start (w, behind);
    w->on_chunk = no_chunks;
    shard_world_run (w, 500);
    assert_true (w->nodes[behind].receiving);
    assert_true (shard_world_status (w, leader).sending_snapshot);
    shard_world_event (w, leader, (struct shard_event){.type = SHARD_EVENT_TRANSFER, .transfer_node = third});
    shard_world_run (w, 500);
    assert_int_equal (shard_world_leader (w), third);
    assert_true (shard_world_status (w, behind).applied_index > 30);
    assert_int_equal (w->nodes[behind].installs, 0);
    shard_world_event (w, third, (struct shard_event){.type = SHARD_EVENT_TRANSFER, .transfer_node = leader});
    shard_world_run (w, 500);
    shard_world_run (w, 30000); /* the receiver lets go of what it had */
    assert_int_equal (w->nodes[behind].installs, 0);
    settle (30);
}

/* ---- power that goes in the middle of it */

/* The last chunk and appends that replace what the disk still holds come in one turn, and the power goes before that turn is
 * written. Installing must not have counted on entries that were in memory alone. */
static struct snapshot_chunk last_chunk;
static uint8_t last_data[SHARD_CHUNK_BYTES];

static bool keep_last (struct shard_world *in, uint32_t from, uint32_t to, struct snapshot_chunk *chunk)
{
    (void) in, (void) from, (void) to;
    if (!chunk->last)
        return true;
    last_chunk = *chunk;
    memcpy (last_data, chunk->data.data, chunk->data.len);
    last_chunk.data.data = last_data;
    return false;
}

static void test_shard_snapshot__a_crash_in_the_turn_of_the_install_leaves_a_log_that_fits (void **state)
{
    (void) state;
    shard_world_close (w);
    shard_world_init (w, NULL);
    offer = shard_world_offer (w, 100000);
    w->chunk_bytes = 4096;
    w->no_links = true;
    behind = shard_world_leader (w);
    shard_world_isolate (w, behind, true);
    for (unsigned i = 0; i < 60; i++)
        book (behind); /* entries of the first term that nobody else gets */
    shard_world_run (w, 3000);
    uint32_t leader = shard_world_leader (w), third = 6 - leader - behind;
    assert_int_not_equal (leader, behind);
    book_many (30);
    shard_world_run (w, 50);
    shard_world_write_back (w, leader, 0); /* not the third, from whose log the appends are made */
    last_chunk.data.len = 0;
    w->on_chunk = keep_last;
    shard_world_isolate (w, behind, false);
    for (unsigned i = 0; i < 2000 && last_chunk.data.len == 0; i++)
        shard_world_run (w, 1);
    shard_world_run (w, 100); /* everything before it has arrived */
    const struct shard_world_node *source = &w->nodes[third];
    size_t first = 0;
    while (source->entries[first].term == 1)
        first++;
    struct raft_message append = {.shard = WORLD_SHARD,
        .type = RAFT_APPEND,
        .from = SHARD_WORLD_REPLICA (leader),
        .to = SHARD_WORLD_REPLICA (behind),
        .term = shard_world_status (w, leader).term,
        .index = source->entries[first].index - 1,
        .log_term = 1,
        .entries = &source->entries[first],
        .count = (uint32_t) (source->entries_count - first)};
    assert_true (source->entries[source->entries_count - 1].index >= last_chunk.index);
    shard_world_event (w, behind, (struct shard_event){.type = SHARD_EVENT_RAFT, .raft = &append});
    shard_world_event (w, behind, (struct shard_event){.type = SHARD_EVENT_SNAPSHOT_CHUNK, .chunk = &last_chunk});
    assert_int_equal (w->nodes[behind].installs, 1);
    shard_world_crash (w, behind);
    shard_world_start (w, behind); /* asserts that it can */
    settle (30);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (test_shard_snapshot__a_filled_replica_restarts_and_votes, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_snapshot__writes_go_on_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot__a_receiver_that_restarts_is_sent_a_new_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_snapshot__a_sender_that_crashes_is_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot__a_leader_that_steps_down_stops_sending, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot__a_transfer_without_progress_is_given_up_and_begun_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot__a_receiver_forgets_what_nobody_goes_on_with, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot__a_replica_that_the_log_brought_on_needs_no_more_of_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot__a_crash_in_the_turn_of_the_install_leaves_a_log_that_fits, set_up, tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
