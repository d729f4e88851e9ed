/* What a node says of itself when it is asked whether it serves: health.Check. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/failpoint/failpoint.h"
#include "test/support/engine_fixture.h"

static struct fixture fixture; /* large; one test at a time */
static struct fixture_reply reply;

static void wait_serves (uint32_t node, bool wanted)
{
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    while (fixture_serves (&fixture, node, &reply) != wanted) {
        assert_true (fixture_mono_ms () < until);
        zmq_poll (NULL, 0, 5);
    }
}

static void test_engine_health__a_node_whose_shards_have_no_leader_does_not_serve (void **state)
{
    (void) state;
    fixture_init (&fixture, 3, 2);
    fixture_start_all (&fixture);
    for (uint32_t node = 1; node <= 3; node++)
        wait_serves (node, true);
    fixture_stop (&fixture, 3, true);
    wait_serves (1, true); /* a majority is enough */
    fixture_stop (&fixture, 2, true);
    wait_serves (1, false);
    fixture_start (&fixture, 2);
    wait_serves (1, true);
    wait_serves (2, true);
    fixture_close (&fixture);
}

/* Where a shard's replicas are, the one that leads when nothing is wrong first. */
static void nodes_of (uint32_t shard, uint32_t nodes[3])
{
    struct status_reply status = fixture_status (&fixture, 1, &reply);
    assert_int_equal (status.shards[shard].replicas_count, 3);
    for (size_t i = 0; i < 3; i++)
        nodes[i] = (uint32_t) status.shards[shard].replicas[i].node;
}

/* Sends a booking whose answer nobody waits for. */
static struct id book_and_go (uint32_t node, const struct fixture_offer *offer)
{
    struct reserve_item item = {.offer = offer->offer, .first = 1};
    struct reserve_create_request request = {
        .reservation = fixture_id (&fixture, offer->hash), .mode = RESERVE_MODE_BOOK, .items = &item, .items_count = 1};
    uint8_t body[256];
    size_t len;
    assert_int_equal (codec_encode (&reserve_create_request_type, &request, body, sizeof body, &len), STATUS_OK);
    struct request_header header = {.method = BYTES_LITERAL ("reserve.Create"),
        .has_request_id = true,
        .request_id = fixture_id (&fixture, offer->hash),
        .has_token = true,
        .token = bytes_text (fixture.admin),
        .has_remaining_ms = true,
        .remaining_ms = FIXTURE_WAIT_MS};
    assert_false (fixture_exchange (&fixture, node, &header, bytes_of (body, len), &reply, 0));
    return request.reservation;
}

static int forbid (void **state)
{
    (void) state;
    failpoint_forbid ();
    return 0;
}

/* The answer of the leader to a call that this node took is lost, so that it has something to wait for when it is to stop. */
static void test_engine_health__a_draining_node_does_not_serve_and_says_so (void **state)
{
    (void) state;
    uint32_t nodes[3];
    char error[FAILPOINT_ERROR_BYTES];
    fixture_init (&fixture, 3, 1);
    for (uint32_t node = 1; node <= 3; node++)
        fixture.nodes[node].config.limits.drain_ms = FIXTURE_WAIT_MS;
    fixture_start_all (&fixture);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    nodes_of (1, nodes);
    uint32_t last = nodes[2]; /* leads the shard only when the others do not */
    wait_serves (last, true);
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    while (fixture_leader (&fixture, last, 1, &reply) != nodes[0]) {
        assert_true (fixture_mono_ms () < until);
        zmq_poll (NULL, 0, 5);
    }
    assert_int_equal (failpoint_allow ("receive.answer=drop", error), STATUS_OK);
    struct reserve_get_request get = {.reservation = book_and_go (last, &offer)};
    while (fixture_call (&fixture, nodes[0], METHOD_NUMBER_RESERVE_GET, NULL, &get, &reply) != STATUS_OK)
        assert_true (fixture_mono_ms () < until); /* it is on its way through the other node */
    assert_true (fixture_serves (&fixture, last, &reply));
    engine_stop (fixture.nodes[last].engine);
    wait_serves (last, false);
    wait_serves (nodes[0], true);
    failpoint_forbid ();
    fixture_close (&fixture);
}

int main (void)
{
    event_log_setup (getenv ("VERBOSE") != NULL ? EVENT_LOG_INFO : EVENT_LOG_ERROR, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_engine_health__a_node_whose_shards_have_no_leader_does_not_serve),
        cmocka_unit_test_teardown (test_engine_health__a_draining_node_does_not_serve_and_says_so, forbid),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
