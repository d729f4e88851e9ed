/* Snapshots whose disks fail, several at once, and everything at once. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/shard_snapshot_rig.h"

/* ---- disks that fail */

static void assert_ends (uint32_t node, const char *what)
{
    for (unsigned i = 0; i < 5000 && !w->nodes[node].fatal; i++)
        shard_world_run (w, 1);
    assert_true (w->nodes[node].fatal);
    assert_non_null (strstr (w->nodes[node].fatal_reason, what));
    w->fail_open = w->fail_next = w->fail_begin = w->fail_chunk = w->fail_finish = false;
    shard_world_run (w, 50);
    if (w->nodes[node].shard == NULL)
        shard_world_start (w, node);
    wait_until (caught_up, 20000);
    settle (33);
}

/* The sender goes on: the engine repairs its state or takes the replica out, and Raft asks for the snapshot again. */
static void assert_begins_again (bool *fails)
{
    uint32_t leader = shard_world_leader (w);
    *fails = true;
    shard_world_run (w, 3000);
    assert_false (w->nodes[leader].fatal);
    assert_false (caught_up ());
    *fails = false;
    wait_until (caught_up, 60000);
    settle (33);
}

static void test_shard_snapshot_faults__a_state_that_does_not_open_ends_the_transfer_alone (void **state)
{
    (void) state;
    assert_begins_again (&w->fail_open);
}

static void test_shard_snapshot_faults__a_state_that_does_not_read_ends_the_transfer_alone (void **state)
{
    (void) state;
    assert_begins_again (&w->fail_next);
}

static void test_shard_snapshot_faults__no_room_ends_the_receiver (void **state)
{
    (void) state;
    w->fail_begin = true;
    assert_ends (behind, "room");
}

static void test_shard_snapshot_faults__a_chunk_that_cannot_be_stored_ends_the_receiver (void **state)
{
    (void) state;
    w->fail_chunk = true;
    assert_ends (behind, "stored");
}

/* The sender's disk is damaged, not ours: the transfer is given up, and another one may do better. */
static void test_shard_snapshot_faults__a_stream_without_sense_ends_the_transfer_alone (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    w->refuse_chunks = 1;
    wait_until (caught_up, 60000);
    assert_int_equal (w->refuse_chunks, 0);
    assert_false (w->nodes[behind].fatal);
    assert_true (w->nodes[leader].snapshots_opened >= 2);
    settle (33);
}

/* A full disk: the state as it was stays live, and what there was no room for comes again. */
static void test_shard_snapshot_faults__no_room_ends_the_transfer_alone (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    w->refuse_chunks = 3;
    w->no_room = true;
    wait_until (caught_up, 60000);
    assert_int_equal (w->refuse_chunks, 0);
    assert_false (w->nodes[behind].fatal);
    assert_true (w->nodes[leader].snapshots_opened >= 4);
    settle (33);
}

static void test_shard_snapshot_faults__a_snapshot_that_cannot_be_kept_ends_the_receiver (void **state)
{
    (void) state;
    w->fail_finish = true;
    assert_ends (behind, "durable");
}

/* The leader cuts its log again and again while it sends: the replica must not arrive where the log no longer begins. */
static void test_shard_snapshot_faults__the_log_is_kept_for_who_is_being_filled (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    uint64_t opened = w->nodes[leader].snapshots_opened;
    w->delay_ms = 20;
    unsigned done = 0;
    while (!caught_up () && done < 500) {
        book_many (1);
        done++;
        shard_world_write_back (w, leader, 0);
    }
    assert_true (caught_up ());
    assert_true (done > 5);
    assert_int_equal (w->nodes[leader].snapshots_opened, opened + 1);
    shard_world_run (w, 500);
    book_many (1); /* something to write back */
    shard_world_write_back (w, leader, 0);
    shard_world_run (w, 10);
    assert_int_equal (shard_world_status (w, leader).snapshot_index, shard_world_status (w, leader).applied_index);
    settle (34 + done);
}

/* ---- several at once, and everything at once */

static void test_shard_snapshot_faults__two_replicas_are_filled_at_the_same_time (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w), second = 0;
    for (uint32_t node = 1; node <= 5; node++) {
        if (node != leader && node != behind)
            second = node;
    }
    shard_world_crash (w, behind);
    shard_world_crash (w, second);
    book_many (20);
    shard_world_run (w, 100);
    shard_world_write_back (w, leader, 0);
    w->delay_ms = 10;
    shard_world_start (w, behind);
    shard_world_start (w, second);
    for (unsigned i = 0; i < 500 && w->nodes[leader].snapshots_open < 2; i++)
        shard_world_run (w, 1);
    assert_int_equal (w->nodes[leader].snapshots_open, 2);
    wait_until (caught_up, 60000);
    settle (53);
}

static uint64_t chance (uint64_t bound)
{
    static uint64_t x = 362436069;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x % bound;
}

static void churn (uint64_t seed)
{
    shard_world_close (w);
    shard_world_init (w, &(struct shard_world_options){.nodes = 4, .learners = 1, .seed = seed});
    offer = shard_world_offer (w, 100000);
    w->chunk_bytes = 2000 + (uint32_t) chance (30000);
    for (unsigned ms = 0; ms < 4000; ms++) {
        uint32_t node = 1 + (uint32_t) chance (4), leader = shard_world_leader (w);
        bool up = w->nodes[node].shard != NULL;
        if (chance (8) == 0 && leader != 0)
            book (leader);
        if (chance (30) == 0 && up && shard_world_status (w, node).applied_index > 0)
            shard_world_write_back (w, node, 0);
        if (chance (100) == 0)
            up ? shard_world_crash (w, node) : shard_world_start (w, node);
        if (chance (150) == 0)
            shard_world_isolate (w, node, chance (2) == 0);
        if (chance (200) == 0) {
            w->drop = (uint32_t) chance (250);
            w->twice = (uint32_t) chance (250);
            w->delay_ms = 1 + (uint32_t) chance (25);
            w->persist_ms = 1 + (uint32_t) chance (25);
        }
        shard_world_run (w, 1);
    }
    behind = 4;
    shard_world_settle (w);
}

static void test_shard_snapshot_faults__states_stay_equal_whatever_happens (void **state)
{
    (void) state;
    const char *wanted = getenv ("SHARD_SEEDS"); /* more of them, by hand */
    uint64_t seeds = wanted != NULL ? strtoull (wanted, NULL, 10) : 20, installs = 0, booked = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        churn (seed);
        for (uint32_t node = 1; node <= 4; node++)
            installs += w->nodes[node].installs;
        booked += shard_world_bucket (w, 4, &offer, 5).confirmed;
        assert_true (shard_world_bucket (w, 4, &offer, 5).confirmed + 2 >= shard_world_answered (w, STATUS_OK));
    }
    print_message ("%lu bookings, %lu snapshots installed\n", (unsigned long) booked, (unsigned long) installs);
    assert_true (installs >= seeds && booked >= 20 * seeds);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_faults__a_state_that_does_not_open_ends_the_transfer_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_faults__a_state_that_does_not_read_ends_the_transfer_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_snapshot_faults__no_room_ends_the_receiver, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_faults__a_chunk_that_cannot_be_stored_ends_the_receiver, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_faults__a_stream_without_sense_ends_the_transfer_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_faults__no_room_ends_the_transfer_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_faults__a_snapshot_that_cannot_be_kept_ends_the_receiver, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_faults__two_replicas_are_filled_at_the_same_time, set_up_five, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_faults__states_stay_equal_whatever_happens, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_faults__the_log_is_kept_for_who_is_being_filled, set_up, tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
