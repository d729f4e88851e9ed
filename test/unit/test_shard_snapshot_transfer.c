/* The chunks of a snapshot and their acknowledgements: lost, repeated, damaged, late and forged ones do no harm. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "schemas/runtime/checksum.h"
#include "test/support/shard_snapshot_rig.h"

/* ---- counting and spoiling */

static unsigned sent[64]; /* chunks by sequence */
static unsigned acks, installed_acks, refusals;
static uint64_t window_max, sent_next, acked;

static void note (const struct snapshot_chunk *chunk)
{
    if (chunk->sequence < 64)
        sent[chunk->sequence]++;
    if (chunk->sequence + 1 > sent_next)
        sent_next = chunk->sequence + 1;
    if (sent_next - acked > window_max)
        window_max = sent_next - acked;
    assert_true (chunk->data.len <= SHARD_CHUNK_BYTES);
    assert_true (chunk->sequence == 0 || acked > 0); /* the first one goes alone */
}

static bool count_chunks (struct shard_world *in, uint32_t from, uint32_t to, struct snapshot_chunk *chunk)
{
    (void) in, (void) from, (void) to;
    note (chunk);
    return true;
}

static bool count_acks (struct shard_world *in, uint32_t from, uint32_t to, struct snapshot_ack *ack)
{
    (void) in, (void) from, (void) to;
    acks++;
    installed_acks += ack->installed;
    refusals += !ack->ok;
    if (ack->sequence > acked)
        acked = ack->sequence;
    return true;
}

static void count (void)
{
    memset (sent, 0, sizeof sent);
    acks = installed_acks = refusals = 0;
    window_max = sent_next = acked = 0;
    w->on_chunk = count_chunks;
    w->on_ack = count_acks;
}

static void test_shard_snapshot_transfer__fills_a_replica_that_the_log_does_not_reach (void **state)
{
    (void) state;
    count ();
    wait_until (caught_up, 3000);
    assert_int_equal (w->nodes[behind].installs, 1);
    assert_in_range (sent_next, 8, 60);
    for (unsigned i = 0; i < sent_next; i++)
        assert_int_equal (sent[i], 1);
    assert_in_range (window_max, 2, 4); /* the sender's memory */
    assert_int_equal (installed_acks, 1);
    assert_int_equal (refusals, 0);
    assert_true (shard_world_status (w, behind).snapshot_index > 30);
    settle (33);
}

/* ---- what the network does */

static void test_shard_snapshot_transfer__lost_chunks_come_again (void **state)
{
    (void) state;
    w->drop = 300;
    wait_until (caught_up, 60000);
    settle (33);
}

static void test_shard_snapshot_transfer__repeated_and_reordered_chunks_do_no_harm (void **state)
{
    (void) state;
    w->twice = 600;
    w->delay_ms = 30;
    wait_until (caught_up, 60000);
    settle (33);
}

static bool lose_the_sixth (struct shard_world *in, uint32_t from, uint32_t to, struct snapshot_chunk *chunk)
{
    (void) in, (void) from, (void) to;
    note (chunk);
    return chunk->sequence != 5 || sent[5] > 1;
}

static void test_shard_snapshot_transfer__a_gap_is_filled_at_once (void **state)
{
    (void) state;
    count ();
    w->on_chunk = lose_the_sixth;
    wait_until (caught_up, 300); /* the timer takes half a second */
    assert_int_equal (sent[5], 2);
    settle (33);
}

static uint64_t beat_ms, last_chunks;

static bool note_heartbeats (struct shard_world *in, uint32_t from, uint32_t to, struct raft_message *message)
{
    (void) from;
    if (to == behind && message->type == RAFT_HEARTBEAT)
        beat_ms = in->now_ms;
    return true;
}

/* As a node does: the last chunk is dropped where the replica has other things to do in the same turn, and the first time. */
static bool drop_beside_heartbeats (struct shard_world *in, uint32_t from, uint32_t to, struct snapshot_chunk *chunk)
{
    (void) from, (void) to;
    return !chunk->last || (last_chunks++ > 0 && in->now_ms != beat_ms);
}

static void test_shard_snapshot_transfer__a_last_chunk_does_not_come_with_a_heartbeat_each_time (void **state)
{
    (void) state;
    last_chunks = beat_ms = 0;
    w->on_raft = note_heartbeats;
    w->on_chunk = drop_beside_heartbeats;
    wait_until (caught_up, 2500);
    assert_true (last_chunks > 1);
    w->on_raft = NULL;
    settle (33);
}

static uint64_t spoiled;

static bool spoil (struct shard_world *in, uint32_t from, uint32_t to, struct snapshot_chunk *chunk)
{
    static uint8_t copy[SHARD_CHUNK_BYTES];
    (void) in, (void) from, (void) to;
    note (chunk);
    if (chunk->data.len == 0 || sent[chunk->sequence] > 1)
        return true;
    memcpy (copy, chunk->data.data, chunk->data.len); /* each chunk once */
    copy[chunk->data.len / 2] ^= 0x10;
    chunk->data.data = copy;
    spoiled++;
    return true;
}

static void test_shard_snapshot_transfer__damaged_chunks_are_taken_only_when_they_are_whole (void **state)
{
    (void) state;
    count ();
    spoiled = 0;
    w->on_chunk = spoil;
    wait_until (caught_up, 60000);
    assert_true (spoiled > 3);
    assert_int_equal (refusals, 0);
    settle (33);
}

static bool lose_installed (struct shard_world *in, uint32_t from, uint32_t to, struct snapshot_ack *ack)
{
    (void) in, (void) from, (void) to;
    installed_acks += ack->installed;
    return !ack->installed || installed_acks > 2;
}

static bool nobody_sends (void)
{
    for (uint32_t node = 1; node <= 3; node++) {
        if (w->nodes[node].shard != NULL && shard_world_status (w, node).sending_snapshot)
            return false;
    }
    return true;
}

static void test_shard_snapshot_transfer__a_lost_last_acknowledgement_is_repeated (void **state)
{
    (void) state;
    count ();
    w->on_chunk = NULL;
    w->on_ack = lose_installed;
    wait_until (caught_up, 5000);
    assert_false (nobody_sends ());
    wait_until (nobody_sends, 5000);
    assert_in_range (installed_acks, 2, 5);
    assert_int_equal (w->nodes[behind].installs, 1);
    settle (33);
}

static bool refuse_once (struct shard_world *in, uint32_t from, uint32_t to, struct snapshot_ack *ack)
{
    (void) in, (void) from, (void) to;
    if (refusals < 2 && ack->sequence == 3) {
        ack->ok = false;
        refusals++;
    }
    return true;
}

static void test_shard_snapshot_transfer__a_refused_transfer_is_begun_again (void **state)
{
    (void) state;
    count ();
    w->on_chunk = NULL;
    w->on_ack = refuse_once;
    uint64_t opened = w->nodes[shard_world_leader (w)].snapshots_opened;
    wait_until (caught_up, 20000);
    assert_int_equal (refusals, 2);
    assert_true (w->nodes[shard_world_leader (w)].snapshots_opened >= opened + 2);
    settle (33);
}

/* ---- chunks that come too late */

/* A late repeat of an earlier transfer's first chunk must not push the present one aside. */
static struct snapshot_chunk first_chunk;
static struct snapshot_member first_members[16];
static uint8_t first_data[SHARD_CHUNK_BYTES];
static bool have_first;

static bool keep_first (struct shard_world *in, uint32_t from, uint32_t to, struct snapshot_chunk *chunk)
{
    (void) in, (void) from, (void) to;
    if (have_first || chunk->sequence != 0)
        return true;
    first_chunk = *chunk;
    memcpy (first_members, chunk->members, chunk->members_count * sizeof *first_members);
    memcpy (first_data, chunk->data.data, chunk->data.len);
    first_chunk.members = first_members;
    first_chunk.data.data = first_data;
    have_first = true;
    return true;
}

static void test_shard_snapshot_transfer__a_late_chunk_of_an_earlier_transfer_changes_nothing (void **state)
{
    (void) state;
    have_first = false;
    w->on_chunk = keep_first;
    slow_down ();
    assert_true (have_first);
    shard_world_crash (w, behind); /* the leader begins a second transfer */
    shard_world_run (w, 10);
    shard_world_start (w, behind);
    slow_down ();
    size_t len = w->nodes[behind].incoming.len;
    shard_world_event (w, behind, (struct shard_event){.type = SHARD_EVENT_SNAPSHOT_CHUNK, .chunk = &first_chunk});
    assert_true (w->nodes[behind].receiving);
    assert_true (w->nodes[behind].incoming.len >= len);
    wait_until (caught_up, 20000);
    settle (33);
}

static void test_shard_snapshot_transfer__a_late_chunk_of_an_installed_snapshot_changes_nothing (void **state)
{
    (void) state;
    have_first = false;
    w->on_chunk = keep_first;
    wait_until (caught_up, 20000);
    assert_true (have_first);
    shard_world_crash (w, behind);
    book_many (20);
    shard_world_run (w, 100);
    shard_world_write_back (w, shard_world_leader (w), 0);
    shard_world_start (w, behind);
    slow_down ();
    size_t len = w->nodes[behind].incoming.len;
    shard_world_event (w, behind, (struct shard_event){.type = SHARD_EVENT_SNAPSHOT_CHUNK, .chunk = &first_chunk});
    assert_true (w->nodes[behind].receiving);
    assert_true (w->nodes[behind].incoming.len >= len);
    for (unsigned i = 0; i < 20000 && w->nodes[behind].installs < 2; i++)
        shard_world_run (w, 1);
    assert_int_equal (w->nodes[behind].installs, 2);
    settle (53);
}

/* ---- chunks that no correct leader sends */

static struct snapshot_member members[3];

static struct snapshot_chunk forged (void)
{
    struct shard_status status = shard_world_status (w, behind);
    for (uint32_t node = 1; node <= 3; node++)
        members[node - 1] =
            (struct snapshot_member){.replica = SHARD_WORLD_REPLICA (node), .node = node, .role = RAFT_VOTER};
    struct snapshot_chunk chunk = {.shard = WORLD_SHARD,
        .from = SHARD_WORLD_REPLICA (status.leader_node),
        .to = SHARD_WORLD_REPLICA (behind),
        .term = status.term,
        .snapshot = UINT64_C (1) << 60,
        .index = status.last_index + 1000,
        .index_term = status.term,
        .has_members = true,
        .members = members,
        .members_count = 3,
        .data = BYTES_LITERAL ("x")};
    chunk.checksum = checksum64 (0, chunk.data);
    return chunk;
}

static void step_chunk (const struct snapshot_chunk *chunk)
{
    shard_world_event (w, behind, (struct shard_event){.type = SHARD_EVENT_SNAPSHOT_CHUNK, .chunk = chunk});
    shard_world_run (w, 1);
    assert_non_null (w->nodes[behind].shard);
    assert_false (w->nodes[behind].receiving);
}

static void test_shard_snapshot_transfer__forged_chunks_are_dropped (void **state)
{
    (void) state;
    wait_until (caught_up, 3000);
    uint32_t leader = shard_world_leader (w);
    shard_world_event (w, leader, (struct shard_event){.type = SHARD_EVENT_TRANSFER});
    shard_world_run (w, 1000);
    if (shard_world_leader (w) == behind)
        behind = leader;
    struct snapshot_chunk chunk = forged ();
    assert_true (chunk.term >= 2);
    chunk.to++;
    step_chunk (&chunk);
    chunk = forged ();
    chunk.term--; /* an old leader's */
    chunk.index_term = chunk.term;
    step_chunk (&chunk);
    chunk = forged ();
    chunk.term++; /* one we have not heard of: its snapshot could not be restarted from */
    step_chunk (&chunk);
    chunk = forged ();
    chunk.index_term = 0;
    step_chunk (&chunk);
    chunk = forged ();
    chunk.index_term = chunk.term + 1;
    step_chunk (&chunk);
    chunk = forged ();
    chunk.index = UINT64_MAX; /* no log gets there */
    step_chunk (&chunk);
    chunk = forged ();
    chunk.checksum++;
    step_chunk (&chunk);
    chunk = forged ();
    chunk.sequence = 1; /* no beginning */
    chunk.checksum = checksum64 (1, chunk.data);
    step_chunk (&chunk);
    chunk = forged ();
    chunk.members_count = 0;
    step_chunk (&chunk);
    chunk = forged ();
    chunk.has_members = false;
    step_chunk (&chunk);
    for (uint64_t role = 0; role <= 7; role++) { /* no voter, impossible roles */
        chunk = forged ();
        members[0].role = members[1].role = members[2].role = role;
        if (role == 0 || role == RAFT_LEARNER || role == (RAFT_VOTER | RAFT_LEARNER) || role == 2)
            step_chunk (&chunk);
    }
    chunk = forged ();
    members[1].replica = members[0].replica;
    step_chunk (&chunk);
    chunk = forged ();
    members[1].node = 0;
    step_chunk (&chunk);
    chunk = forged ();
    chunk.to = SHARD_WORLD_REPLICA (shard_world_leader (w)); /* a leader takes none */
    shard_world_event (
        w, shard_world_leader (w), (struct shard_event){.type = SHARD_EVENT_SNAPSHOT_CHUNK, .chunk = &chunk});
    settle (33);
}

static void test_shard_snapshot_transfer__forged_acknowledgements_are_dropped (void **state)
{
    (void) state;
    slow_down ();
    uint32_t leader = shard_world_leader (w);
    uint64_t opened = w->nodes[leader].snapshots_opened;
    struct snapshot_ack ack = {.shard = WORLD_SHARD,
        .from = SHARD_WORLD_REPLICA (behind),
        .to = SHARD_WORLD_REPLICA (leader),
        .term = shard_world_status (w, leader).term,
        .snapshot = 1,
        .ok = true,
        .installed = true};
    struct shard_event event = {.type = SHARD_EVENT_SNAPSHOT_ACK, .ack = &ack};
    shard_world_event (w, leader, event); /* of another transfer */
    ack.ok = ack.installed = false;
    shard_world_event (w, leader, event);
    ack.from = 0;
    shard_world_event (w, leader, event);
    ack.from = 4711;
    shard_world_event (w, leader, event);
    ack.sequence = UINT64_MAX; /* of this one, but of chunks that were never sent */
    ack.from = SHARD_WORLD_REPLICA (behind);
    ack.ok = true;
    for (uint64_t id = 0; id < 16; id++) {
        ack.snapshot = (w->nodes[leader].session << 20) + id;
        shard_world_event (w, leader, event);
    }
    wait_until (caught_up, 20000);
    assert_int_equal (w->nodes[leader].snapshots_opened, opened);
    settle (33);
}

/* ---- a sender that gives up */

/* Its state could not be read: nothing steps it any more, but what it read for others must not stay open. */
static void test_shard_snapshot_transfer__a_dead_sender_lets_go_of_what_it_reads (void **state)
{
    (void) state;
    uint32_t leader = shard_world_elect (w);
    struct shard_world_node *node = &w->nodes[leader];
    for (unsigned ms = 0; ms < 3000 && node->snapshots_open == 0; ms++)
        shard_world_run (w, 1);
    assert_int_equal (node->snapshots_open, 1);
    struct shard_effects effects;
    struct shard_event event = {.type = SHARD_EVENT_TICK, .now_ms = shard_world_clock (w, leader) + 1};
    node->map.fails = true;
    shard_step (node->shard, &event);
    shard_turn_end (node->shard, event.now_ms, 0, &effects);
    node->map.fails = false;
    assert_true (effects.fatal);
    shard_snapshots_drop (node->shard);
    assert_int_equal (node->snapshots_open, 0);
    shard_snapshots_drop (node->shard);
    shard_world_crash (w, leader);
    shard_world_start (w, leader);
    wait_until (caught_up, 10000); /* by whoever leads now */
    settle (33);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_transfer__fills_a_replica_that_the_log_does_not_reach, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_snapshot_transfer__lost_chunks_come_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_transfer__repeated_and_reordered_chunks_do_no_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_transfer__a_last_chunk_does_not_come_with_a_heartbeat_each_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_snapshot_transfer__a_gap_is_filled_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_transfer__damaged_chunks_are_taken_only_when_they_are_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_transfer__a_lost_last_acknowledgement_is_repeated, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_transfer__a_refused_transfer_is_begun_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_transfer__a_late_chunk_of_an_earlier_transfer_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_transfer__a_late_chunk_of_an_installed_snapshot_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_snapshot_transfer__forged_chunks_are_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_transfer__a_dead_sender_lets_go_of_what_it_reads, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_snapshot_transfer__forged_acknowledgements_are_dropped, set_up, tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
