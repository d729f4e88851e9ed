/* Everything at once, seed by seed: nodes, links and disks fail while clients book and read until each of them has its answer. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <inttypes.h>

#include "test/support/shard_world.h"

static struct shard_world world, *const w = &world;
static struct id offer;

static uint64_t confirmed (void)
{
    return shard_world_bucket (w, shard_world_leader (w), &offer, 5).confirmed;
}

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

static void test_shard_campaign__each_booking_counts_once_whatever_happens (void **state)
{
    (void) state;
    const char *wanted = getenv ("SHARD_SEEDS"); /* more of them, by hand */
    uint64_t seeds = wanted != NULL ? strtoull (wanted, NULL, 10) : 12, done = 0, installed = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        campaign (seed);
        done += issued;
        for (uint32_t node = 1; node <= 3; node++)
            installed += w->nodes[node].installs;
        shard_world_close (w);
    }
    print_message ("%" PRIu64 " bookings, %" PRIu64 " snapshots installed\n", done, installed);
    assert_true (done > 100 * seeds);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_shard_campaign__each_booking_counts_once_whatever_happens),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
