/* What a replica does with a log or a state that it cannot trust: it stops, and nothing of that turn leaves it (P9). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/shard_world.h"

static struct shard_world world, *const w = &world;
static struct id offer;

static int set_up (void **state)
{
    (void) state;
    shard_world_init (w, NULL);
    offer = shard_world_offer (w, 10);
    return 0;
}

static int set_up_single (void **state)
{
    (void) state;
    shard_world_init (w, &(struct shard_world_options){.nodes = 1});
    offer = shard_world_offer (w, 10);
    return 0;
}

static int tear_down (void **state)
{
    (void) state;
    shard_world_close (w);
    return 0;
}

static uint64_t book (uint32_t node)
{
    return shard_world_book (w, node, &offer, 5, RESERVE_MODE_BOOK, NULL);
}

/* Puts a command behind the node's durable log, as a newer version would have. */
static void log_append (struct shard_world_node *node, struct bytes payload)
{
    uint8_t *copy = malloc (payload.len);
    assert_non_null (copy);
    memcpy (copy, payload.data, payload.len);
    struct raft_entry entry = {.index = node->entries[node->entries_count - 1].index + 1,
        .term = node->term,
        .payload = bytes_of (copy, payload.len),
        .type = RAFT_ENTRY_COMMAND};
    entry.checksum = raft_entry_checksum (WORLD_SHARD, &entry);
    node->entries = realloc (node->entries, (node->entries_count + 1) * sizeof *node->entries);
    assert_non_null (node->entries);
    node->entries[node->entries_count++] = entry;
    node->entries_size = node->entries_count;
}

static void assert_stops_at (struct bytes payload)
{
    shard_world_run (w, 100);
    shard_world_crash (w, 1);
    log_append (&w->nodes[1], payload);
    for (unsigned i = 0; i < 2; i++) { /* whenever it starts: nothing is skipped */
        shard_world_start (w, 1);
        for (unsigned ms = 0; ms < 3000 && !w->nodes[1].fatal; ms++)
            shard_world_run (w, 1);
        assert_true (w->nodes[1].fatal);
        assert_non_null (strstr (w->nodes[1].fatal_reason, "cannot be understood"));
        assert_null (w->nodes[1].shard);
    }
}

static void test_shard_damage__an_entry_that_is_no_cbor_stops_the_replica (void **state)
{
    (void) state;
    assert_stops_at (BYTES_LITERAL ("no entry at all"));
}

static void test_shard_damage__an_entry_of_an_unknown_kind_stops_the_replica (void **state)
{
    (void) state;
    assert_stops_at (BYTES_LITERAL ("\xa2\x01\x18\x63\x02\x00")); /* {kind: 99, time_ms: 0} */
}

static void test_shard_damage__a_command_of_an_unknown_method_stops_the_replica (void **state)
{
    (void) state;
    struct principal who = world_admin ();
    struct id id = world_id (&w->ids);
    struct method unknown = *method_by_number (METHOD_NUMBER_RESERVE_CREATE);
    uint8_t payload[256];
    size_t len = 0;
    unknown.number = 60000;
    assert_int_equal (services_encode_command (&unknown, &who, &id, WORLD_START_MS, BYTES_LITERAL ("\xa0"),
                          bytes_of (NULL, 0), payload, sizeof payload, &len),
        STATUS_OK);
    assert_stops_at (bytes_of (payload, len));
}

static void test_shard_damage__a_state_that_fails_while_applying_answers_nothing (void **state)
{
    (void) state;
    w->slow[1] = true;
    uint64_t token = book (1);
    shard_world_run (w, 20);
    w->nodes[1].map.fails = true;
    w->slow[1] = false;
    shard_world_run (w, 20);
    assert_true (w->nodes[1].fatal);
    assert_non_null (strstr (w->nodes[1].fatal_reason, "state"));
    assert_int_equal (shard_world_find (w, token)->state, CALL_LOST);
    w->nodes[1].map.fails = false;
    shard_world_start (w, 1);
    shard_world_settle (w);
    assert_int_equal (shard_world_bucket (w, 1, &offer, 5).confirmed, 1); /* it was in the log */
}

static void test_shard_damage__a_state_that_fails_while_reading_answers_nothing (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    struct principal anyone = {0};
    struct avail_query query = {.offer = offer, .first = 5};
    struct avail_check_request request = {.queries = &query, .queries_count = 1};
    uint64_t token = shard_world_call (w, leader, METHOD_NUMBER_AVAIL_CHECK, &anyone, NULL, &request);
    w->nodes[leader].map.fails = true;
    shard_world_run (w, 50);
    assert_true (w->nodes[leader].fatal);
    assert_int_equal (shard_world_find (w, token)->state, CALL_LOST);
    w->nodes[leader].map.fails = false;
    shard_world_settle (w); /* the others went on */
}

static void test_shard_damage__a_dead_shard_does_nothing_any_more (void **state)
{
    (void) state;
    struct shard *shard = w->nodes[1].shard;
    struct shard_effects effects;
    w->nodes[1].map.fails = true;
    struct shard_event event = {.type = SHARD_EVENT_TICK, .now_ms = shard_world_clock (w, 1) + 1};
    shard_step (shard, &event);
    shard_turn_end (shard, event.now_ms, 0, &effects);
    assert_true (effects.fatal);
    w->nodes[1].map.fails = false;
    for (unsigned i = 0; i < 100; i++) {
        event.now_ms += 100;
        shard_step (shard, &event);
        shard_turn_end (shard, event.now_ms, 0, &effects);
        assert_true (effects.fatal);
        assert_non_null (effects.fatal_reason);
        assert_int_equal (effects.send_now_count + effects.send_after_persist_count + effects.replies_count, 0);
        assert_int_equal (effects.persist.sequence, 0);
    }
}

static void test_shard_damage__a_shard_is_not_made_from_a_log_with_a_hole (void **state)
{
    (void) state;
    struct shard_world_node *node = &w->nodes[1];
    shard_world_run (w, 100);
    shard_world_crash (w, 1);
    assert_true (node->entries_count >= 3);
    struct raft_entry entries[2] = {node->entries[0], node->entries[2]};
    struct raft_stored stored = {
        .term = node->term, .vote = node->vote, .configuration = &w->members, .entries = entries, .entries_count = 2};
    struct shard_snapshot_ops none = {0};
    struct shard_config config = {.services = w->ids.config,
        .raft = {.shard = WORLD_SHARD, .replica = SHARD_WORLD_REPLICA (1), .session = 9},
        .stored = &stored,
        .state = state_map_state (&node->map),
        .scratch = &w->scratch,
        .snapshot_ops = &none};
    struct shard *shard = NULL;
    assert_int_equal (shard_new (&config, 1, &shard), STATUS_DATA_LOSS);
    assert_null (shard);
    shard_destroy (&shard); /* NULL is fine */
    shard_world_start (w, 1);
    shard_world_settle (w);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (
            test_shard_damage__an_entry_that_is_no_cbor_stops_the_replica, set_up_single, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_damage__an_entry_of_an_unknown_kind_stops_the_replica, set_up_single, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_damage__a_command_of_an_unknown_method_stops_the_replica, set_up_single, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_damage__a_state_that_fails_while_applying_answers_nothing, set_up_single, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_damage__a_state_that_fails_while_reading_answers_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_damage__a_dead_shard_does_nothing_any_more, set_up_single, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_damage__a_shard_is_not_made_from_a_log_with_a_hole, set_up, tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
