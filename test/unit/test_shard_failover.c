/* Leaders come and go: what was answered stays, what was not is decided once, and the clock of the log goes on. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <inttypes.h>

#include "test/support/shard_world.h"

#define HOUR_MS UINT64_C (3600000)

static struct shard_world world, *const w = &world;
static struct id offer;

static int set_up (void **state)
{
    (void) state;
    shard_world_init (w, NULL);
    offer = shard_world_offer (w, 100000);
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

static uint64_t again (uint32_t node, const struct shard_world_call *call)
{
    struct reserve_create_request request;
    struct principal who = call->principal;
    struct id id = call->request_id;
    uint64_t memory[512];
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    assert_int_equal (
        codec_decode (&reserve_create_request_type, call->sent, CODEC_STRICT, &arena, &request, NULL), STATUS_OK);
    return shard_world_call (w, node, METHOD_NUMBER_RESERVE_CREATE, &who, &id, &request);
}

static uint32_t other_leader (uint32_t not_this)
{
    for (unsigned i = 0; i < 10000; i++) {
        uint32_t leader = shard_world_leader (w);
        if (leader != 0 && leader != not_this)
            return leader;
        shard_world_run (w, 1);
    }
    fail_msg ("no other leader");
    return 0;
}

static uint64_t confirmed (void)
{
    return shard_world_bucket (w, shard_world_leader (w), &offer, 5).confirmed;
}

static void test_shard_failover__a_crashed_leader_is_followed_within_a_hundred_ms (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal (shard_world_wait (w, book (leader))->status, STATUS_OK);
    uint64_t killed_ms = w->now_ms;
    shard_world_crash (w, leader);
    uint32_t next = other_leader (leader);
    assert_int_equal (shard_world_wait (w, book (next))->status, STATUS_OK);
    assert_in_range (w->now_ms - killed_ms, 1, 100);
    shard_world_settle (w);
    assert_int_equal (confirmed (), 11);
}

static void test_shard_failover__a_lost_leader_says_that_the_outcome_is_unknown (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    w->no_links = true;
    shard_world_isolate (w, leader, true);
    uint64_t tokens[5];
    for (unsigned i = 0; i < 5; i++)
        tokens[i] = book (leader);
    uint32_t next = other_leader (leader);
    for (unsigned i = 0; i < 5; i++) {
        struct shard_world_call *call = shard_world_wait (w, tokens[i]);
        assert_int_equal (call->status, STATUS_UNAVAILABLE);
        assert_string_equal (call->reason, "LEADER_LOST");
        assert_true (call->maybe_applied);
    }
    for (unsigned i = 0; i < 5; i++) { /* their entries died with the leadership: they are done now, once */
        uint64_t token = again (next, shard_world_find (w, tokens[i]));
        assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
        assert_false (shard_world_find (w, token)->replayed);
    }
    shard_world_settle (w);
    assert_int_equal (confirmed (), 5);
}

static uint32_t silent; /* node whose append acknowledgements are lost */

static bool lose_acknowledgements (struct shard_world *in, uint32_t from, uint32_t to, struct raft_message *message)
{
    (void) in, (void) from;
    return message->type != RAFT_APPEND_REPLY || to != silent;
}

static void test_shard_failover__an_entry_that_survives_its_leader_is_replayed (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    silent = leader;
    w->on_raft = lose_acknowledgements;
    uint64_t token = book (leader);
    shard_world_run (w, 30); /* on the followers' disks by now */
    assert_int_equal (shard_world_find (w, token)->state, CALL_WAITING);
    shard_world_crash (w, leader);
    uint32_t next = other_leader (leader);
    w->on_raft = NULL;
    token = again (next, shard_world_find (w, token));
    assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
    assert_true (shard_world_find (w, token)->replayed);
    shard_world_settle (w);
    assert_int_equal (confirmed (), 1);
}

static bool no_noop (struct shard_world *in, uint32_t from, uint32_t to, struct raft_message *message)
{
    (void) in, (void) from, (void) to;
    return message->type != RAFT_APPEND_REPLY;
}

static void test_shard_failover__a_new_leader_takes_writes_in_order_once_it_is_ready (void **state)
{
    (void) state;
    uint32_t old = shard_world_leader (w), fresh = 0;
    shard_world_crash (w, old);
    w->on_raft = no_noop;
    while (fresh == 0) {
        shard_world_run (w, 1);
        for (uint32_t node = 1; node <= 3; node++) {
            if (node != old && shard_world_status (w, node).role == RAFT_LEADER)
                fresh = node;
        }
    }
    uint64_t last = shard_world_status (w, fresh).last_index, tokens[20];
    for (unsigned i = 0; i < 20; i++)
        tokens[i] = book (fresh);
    shard_world_run (w, 200);
    assert_int_equal (shard_world_status (w, fresh).last_index, last); /* not even proposed */
    assert_int_equal (shard_world_status (w, fresh).calls, 20);
    w->on_raft = NULL;
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal (shard_world_wait (w, tokens[i])->status, STATUS_OK);
    shard_world_settle (w);
    for (unsigned i = 0; i < 20; i++) { /* in the order of their arrival */
        struct log_entry entry;
        assert_true (shard_world_entry (w, fresh, last + 1 + i, &entry));
        assert_true (id_equal (&entry.request_id, &shard_world_find (w, tokens[i])->request_id));
    }
}

static void test_shard_failover__writes_that_wait_for_a_leader_in_vain_are_refused (void **state)
{
    (void) state;
    uint32_t old = shard_world_leader (w), fresh = 0;
    shard_world_crash (w, old);
    while (fresh == 0) {
        shard_world_run (w, 1);
        for (uint32_t node = 1; node <= 3; node++) {
            if (node != old && shard_world_status (w, node).role == RAFT_LEADER)
                fresh = node;
        }
    }
    w->no_links = true;
    shard_world_isolate (w, fresh, true);
    uint64_t token = book (fresh);
    struct shard_world_call *call = shard_world_wait (w, token);
    assert_string_equal (call->reason, "NOT_LEADER");
    assert_false (call->maybe_applied); /* it never left this node */
    shard_world_settle (w);
    assert_int_equal (confirmed (), 0);
}

/* ---- handing over */

static void test_shard_failover__writes_wait_while_the_leadership_is_handed_over (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w), target = leader % 3 + 1;
    shard_world_event (w, leader, (struct shard_event){.type = SHARD_EVENT_TRANSFER, .transfer_node = target});
    uint64_t token = book (leader);
    shard_world_wait (w, token);
    assert_string_equal (shard_world_find (w, token)->reason, "NOT_LEADER");
    assert_false (shard_world_find (w, token)->maybe_applied);
    assert_int_equal (other_leader (leader), target);
    assert_int_equal (shard_world_wait (w, again (target, shard_world_find (w, token)))->status, STATUS_OK);
    shard_world_settle (w);
    assert_int_equal (confirmed (), 1);
}

static bool no_timeout_now (struct shard_world *in, uint32_t from, uint32_t to, struct raft_message *message)
{
    (void) in, (void) from, (void) to;
    return message->type != RAFT_TIMEOUT_NOW;
}

static void test_shard_failover__writes_go_on_when_nobody_takes_the_leadership (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    w->on_raft = no_timeout_now;
    shard_world_event (w, leader, (struct shard_event){.type = SHARD_EVENT_TRANSFER});
    uint64_t token = book (leader);
    shard_world_run (w, 100);
    assert_int_equal (shard_world_find (w, token)->state, CALL_WAITING);
    assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
    assert_in_range (shard_world_find (w, token)->answered_ms - shard_world_find (w, token)->started_ms, 200, 700);
    assert_int_equal (shard_world_leader (w), leader);
    shard_world_settle (w);
}

static void test_shard_failover__unknown_nodes_and_ourselves_are_no_targets (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    shard_world_event (w, leader, (struct shard_event){.type = SHARD_EVENT_TRANSFER, .transfer_node = 77});
    shard_world_event (w, leader, (struct shard_event){.type = SHARD_EVENT_TRANSFER, .transfer_node = leader});
    assert_int_equal (shard_world_wait (w, book (leader))->status, STATUS_OK);
    assert_int_equal (shard_world_leader (w), leader);
}

/* ---- log time */

static uint64_t stamp_of (uint32_t node, uint64_t index)
{
    struct log_entry entry;
    assert_true (shard_world_entry (w, node, index, &entry));
    return entry.time_ms;
}

static void assert_clock_right (uint64_t time_ms, uint64_t off_ms)
{
    uint64_t right_ms = w->wall_ms + w->now_ms;
    assert_in_range (time_ms, right_ms - off_ms, right_ms + off_ms);
}

static void test_shard_failover__a_cluster_that_slept_steps_to_the_median (void **state)
{
    (void) state;
    shard_world_run (w, 100);
    for (uint32_t node = 1; node <= 3; node++)
        shard_world_crash (w, node);
    w->wall_ms += 5 * HOUR_MS; /* the night */
    for (uint32_t node = 1; node <= 3; node++)
        shard_world_start (w, node);
    uint32_t leader = shard_world_elect (w);
    assert_int_equal (shard_world_wait (w, book (leader))->status, STATUS_OK);
    uint64_t index = shard_world_status (w, leader).applied_index;
    assert_clock_right (stamp_of (leader, index), 50);
    shard_world_settle (w);
}

static void test_shard_failover__no_clock_no_stamp (void **state)
{
    (void) state;
    shard_world_run (w, 100);
    for (uint32_t node = 1; node <= 3; node++)
        shard_world_crash (w, node);
    uint64_t wall = w->wall_ms;
    w->wall_ms = 0;
    for (uint32_t node = 1; node <= 3; node++)
        shard_world_start (w, node);
    uint32_t leader = shard_world_elect (w);
    uint64_t token = book (leader);
    shard_world_run (w, 500);
    assert_int_equal (shard_world_find (w, token)->state, CALL_WAITING);
    w->wall_ms = wall + 2 * HOUR_MS;
    assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
    assert_clock_right (stamp_of (leader, shard_world_status (w, leader).applied_index), 50);
    shard_world_settle (w);
}

/* A node that was down takes part in what happened meanwhile; then it leads. Its clock must not stand where the last
 * command stood. */
static void test_shard_failover__a_replica_that_was_away_leads_with_the_right_time (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w), away = leader % 3 + 1;
    shard_world_crash (w, away);
    assert_int_equal (shard_world_wait (w, book (leader))->status, STATUS_OK);
    w->step_ms = 20;
    shard_world_run (w, HOUR_MS / 2); /* an idle half hour */
    w->step_ms = 1;
    shard_world_start (w, away);
    shard_world_run (w, 1000);
    leader = shard_world_leader (w);
    shard_world_event (w, leader, (struct shard_event){.type = SHARD_EVENT_TRANSFER, .transfer_node = away});
    assert_int_equal (other_leader (leader), away);
    assert_int_equal (shard_world_wait (w, book (away))->status, STATUS_OK);
    assert_clock_right (stamp_of (away, shard_world_status (w, away).applied_index), 61000);
    shard_world_settle (w);
}

static void test_shard_failover__stamps_never_go_back (void **state)
{
    (void) state;
    uint64_t seen_ms = 0;
    for (unsigned round = 0; round < 8; round++) {
        uint32_t leader = shard_world_elect (w);
        w->wall_ms += round % 2 == 0 ? 40 * HOUR_MS : -40 * HOUR_MS;
        assert_int_equal (shard_world_wait (w, book (leader))->status, STATUS_OK);
        uint64_t stamp_ms = stamp_of (leader, shard_world_status (w, leader).applied_index);
        assert_true (stamp_ms >= seen_ms);
        if (seen_ms != 0)
            assert_true (stamp_ms - seen_ms < 2000); /* no wall clock pushes it */
        seen_ms = stamp_ms;
        shard_world_crash (w, leader);
        uint32_t next = other_leader (leader);
        assert_int_equal (shard_world_wait (w, book (next))->status, STATUS_OK);
        shard_world_start (w, leader);
        shard_world_run (w, 100);
    }
    shard_world_settle (w);
}

/* ---- restarts from what was stored */

static void test_shard_failover__a_restart_goes_on_from_state_and_log (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal (shard_world_wait (w, book (leader))->status, STATUS_OK);
        if (i == 10 || i == 20) {
            shard_world_run (w, 100);
            for (uint32_t node = 1; node <= 3; node++)
                shard_world_write_back (w, node, node * 2);
        }
    }
    for (uint32_t node = 1; node <= 3; node++)
        shard_world_crash (w, node);
    for (uint32_t node = 1; node <= 3; node++)
        shard_world_start (w, node);
    for (uint32_t node = 1; node <= 3; node++) {
        struct shard_status status = shard_world_status (w, node);
        assert_true (status.snapshot_index > 15 && status.snapshot_index < status.last_index);
        assert_true (status.applied_index > status.snapshot_index);
    }
    shard_world_settle (w);
    assert_int_equal (confirmed (), 30);
}

static void test_shard_failover__what_was_not_synced_is_gone_and_was_not_answered (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    uint64_t answered = 0;
    for (unsigned round = 0; round < 12; round++) {
        w->persist_ms = 40;
        uint64_t tokens[8];
        for (unsigned i = 0; i < 8; i++) {
            tokens[i] = book (leader);
            shard_world_run (w, 7);
        }
        for (uint32_t node = 1; node <= 3; node++) /* power loss */
            shard_world_crash (w, node);
        for (unsigned i = 0; i < 8; i++)
            answered += shard_world_find (w, tokens[i])->state == CALL_ANSWERED &&
                        shard_world_find (w, tokens[i])->status == STATUS_OK;
        for (uint32_t node = 1; node <= 3; node++)
            shard_world_start (w, node);
        leader = shard_world_elect (w);
        shard_world_run (w, 100);
    }
    shard_world_settle (w);
    assert_true (answered > 0 && answered < 96);
    assert_true (confirmed () >= answered);
}

/* ---- everything at once */

#define CLIENTS 12

struct client {
    uint64_t token;
    struct id request_id, reservation;
    bool reading;
    uint64_t floor; /* bookings that were answered when the read began */
};

static struct client clients[CLIENTS];
static uint64_t issued, acknowledged;

static uint64_t chance (uint64_t bound)
{
    static uint64_t x = 88172645463325252;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x % bound;
}

static uint32_t some_node_up (void)
{
    uint32_t leader = shard_world_leader (w);
    if (leader != 0 && chance (10) != 0)
        return leader;
    for (unsigned i = 0; i < 50; i++) {
        uint32_t node = 1 + (uint32_t) chance (3);
        if (w->nodes[node].shard != NULL)
            return node;
    }
    return 0;
}

static void client_send (struct client *client, uint32_t node)
{
    struct principal who = world_principal ((uint64_t) (client - clients) + 1, ROLE_CUSTOMER);
    if (client->reading) {
        struct avail_query query = {.offer = offer, .first = 5};
        struct avail_check_request request = {.queries = &query, .queries_count = 1};
        client->token = shard_world_call (w, node, METHOD_NUMBER_AVAIL_CHECK, &who, NULL, &request);
        return;
    }
    struct reserve_item item = world_item (&offer, 5, 1, 1);
    struct reserve_create_request request = {
        .reservation = client->reservation, .mode = RESERVE_MODE_BOOK, .items = &item, .items_count = 1};
    client->token = shard_world_call (w, node, METHOD_NUMBER_RESERVE_CREATE, &who, &client->request_id, &request);
}

static void client_new (struct client *client, uint32_t node)
{
    client->reading = chance (3) == 0;
    client->floor = acknowledged;
    if (!client->reading) {
        client->request_id = world_id (&w->ids);
        client->reservation = world_id (&w->ids);
        issued++;
    }
    client_send (client, node);
}

/* False: it is done, and nothing new shall begin. */
static bool client_turn (struct client *client, bool more)
{
    if (client->token == 0 && !more)
        return false;
    uint32_t node = some_node_up ();
    if (node == 0)
        return true;
    if (client->token == 0) {
        client_new (client, node);
        return true;
    }
    struct shard_world_call *call = shard_world_find (w, client->token);
    if (call->state == CALL_WAITING)
        return true;
    if (call->state == CALL_ANSWERED && call->status == STATUS_OK) {
        if (client->reading) {
            struct avail_check_reply reply;
            shard_world_reply (w, call, &avail_check_reply_type, &reply);
            assert_in_range (reply.rows[0].confirmed, client->floor, issued);
        } else {
            acknowledged++;
        }
        client->token = 0;
        return true;
    }
    if (call->state == CALL_ANSWERED)
        assert_true (call->status == STATUS_UNAVAILABLE || call->status == STATUS_RESOURCE_EXHAUSTED);
    client->floor = client->reading ? client->floor : 0;
    client_send (client, node); /* the same id again */
    return true;
}

static void mischief (void)
{
    uint32_t node = 1 + (uint32_t) chance (3);
    bool up = w->nodes[node].shard != NULL;
    switch (chance (10)) {
    case 0:
    case 1:
        if (up)
            shard_world_crash (w, node);
        else
            shard_world_start (w, node);
        break;
    case 2:
        shard_world_isolate (w, node, chance (2) == 0);
        break;
    case 3:
        w->cut[node][node % 3 + 1] = chance (2) == 0; /* one way */
        break;
    case 4:
        w->slow[node] = chance (2) == 0;
        break;
    case 5:
        w->drop = (uint32_t) chance (200);
        w->twice = (uint32_t) chance (200);
        w->delay_ms = 1 + (uint32_t) chance (30);
        break;
    case 6:
        w->persist_ms = 1 + (uint32_t) chance (30);
        break;
    case 7:
        if (up)
            shard_world_event (w, node, (struct shard_event){.type = SHARD_EVENT_TRANSFER});
        break;
    default:
        if (up && shard_world_status (w, node).applied_index > 0)
            shard_world_write_back (w, node, chance (5));
        break;
    }
}

static void campaign (uint64_t seed)
{
    shard_world_close (w);
    shard_world_init (w, &(struct shard_world_options){.seed = seed, .balance = seed % 2 == 0});
    w->chunk_bytes = 700;
    offer = shard_world_offer (w, 1000000);
    memset (clients, 0, sizeof clients);
    issued = acknowledged = 0;
    bool busy = true;
    for (unsigned ms = 0; ms < 60000 && busy; ms++) {
        bool chaos = ms < 4000;
        if (ms == 4000)
            shard_world_heal (w);
        if (chaos && chance (60) == 0)
            mischief ();
        busy = false;
        for (unsigned i = 0; i < CLIENTS; i++)
            busy = client_turn (&clients[i], chaos) || busy;
        shard_world_run (w, 1);
    }
    assert_false (busy);
    shard_world_settle (w);
    assert_int_equal (acknowledged, issued);
    assert_int_equal (confirmed (), issued); /* each exactly once */
}

static void test_shard_failover__each_booking_counts_once_whatever_happens (void **state)
{
    (void) state;
    const char *wanted = getenv ("SHARD_SEEDS"); /* more of them, by hand */
    uint64_t seeds = wanted != NULL ? strtoull (wanted, NULL, 10) : 12, done = 0, installed = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        campaign (seed);
        done += issued;
        for (uint32_t node = 1; node <= 3; node++)
            installed += w->nodes[node].installs;
    }
    print_message ("%" PRIu64 " bookings, %" PRIu64 " snapshots installed\n", done, installed);
    assert_true (done > 100 * seeds);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (
            test_shard_failover__a_crashed_leader_is_followed_within_a_hundred_ms, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__a_lost_leader_says_that_the_outcome_is_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__an_entry_that_survives_its_leader_is_replayed, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__a_new_leader_takes_writes_in_order_once_it_is_ready, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__writes_that_wait_for_a_leader_in_vain_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__writes_wait_while_the_leadership_is_handed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__writes_go_on_when_nobody_takes_the_leadership, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__unknown_nodes_and_ourselves_are_no_targets, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__a_cluster_that_slept_steps_to_the_median, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_failover__no_clock_no_stamp, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__a_replica_that_was_away_leads_with_the_right_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_failover__stamps_never_go_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_failover__a_restart_goes_on_from_state_and_log, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__what_was_not_synced_is_gone_and_was_not_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_failover__each_booking_counts_once_whatever_happens, set_up, tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
