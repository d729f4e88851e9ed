/* libmaitre and nodes that take several calls in one message. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <maitre.h>

#include "test/support/fake_node.h"

#define WAIT_MS 60000
#define LARGE (100 * 1024)

static const uint8_t empty_map[] = {0xa0};
static uint8_t large[LARGE];

struct burst {
    uint32_t calls; /* to start from the first answer, all in one turn */
    size_t body_len;
    uint32_t answers, fine;
};

static void count_answer (struct maitre *client, uint64_t call, const struct maitre_reply *reply, void *user);

static void start (struct maitre *client, size_t body_len, struct burst *burst)
{
    struct maitre_bytes body = {empty_map, sizeof empty_map};
    if (body_len > 0)
        body = (struct maitre_bytes){large, body_len};
    struct maitre_call_options options;
    maitre_call_options_init (&options);
    options.deadline_ms = WAIT_MS;
    const char *method = body_len > 0 ? "echo.Large" : "health.Check";
    assert_int_equal (maitre_start (client, method, body, &options, count_answer, burst, NULL), MAITRE_OK);
}

static void count_answer (struct maitre *client, uint64_t call, const struct maitre_reply *reply, void *user)
{
    (void) call;
    struct burst *burst = user;
    burst->answers++;
    burst->fine += reply->status == MAITRE_OK;
    if (burst->answers > 1)
        return;
    for (uint32_t i = 0; i < burst->calls; i++)
        start (client, burst->body_len, burst);
}

static void script_empty (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    (void) node;
    (void) request;
    answer->body = bytes_of (empty_map, sizeof empty_map);
}

static struct maitre *client_of (const struct fake_node *node)
{
    struct maitre_options options;
    struct maitre *client = NULL;
    maitre_options_init (&options);
    options.endpoints = node->endpoint;
    options.attempt_ms = WAIT_MS; /* an attempt that is lost without a word does not come back in time */
    assert_int_equal (maitre_new (&options, &client, NULL), MAITRE_OK);
    return client;
}

/* One call whose answer starts the others; returns when all are answered. */
static void run_burst (struct maitre *client, struct burst *burst)
{
    start (client, 0, burst);
    while (burst->answers < burst->calls + 1)
        assert_true (maitre_process (client, WAIT_MS) > 0);
    assert_int_equal (burst->fine, burst->calls + 1);
    assert_int_equal (maitre_outstanding (client), 0);
}

static void test_client_many__calls_of_one_turn_share_messages_and_all_are_sent (void **state)
{
    (void) state;
    static const uint32_t sizes[] = {1, 2, 31, 32, 33, 64, 70}; /* the last message is held back until the turn ends */
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct fake_node node = {.many = true};
        assert_true (fake_node_start (&node, script_empty, NULL));
        struct maitre *client = client_of (&node);
        struct burst burst = {.calls = sizes[i]};
        run_burst (client, &burst);
        maitre_destroy (&client);
        fake_node_stop (&node); /* its thread has counted all */
        assert_int_equal (node.requests, sizes[i] + 1);
        assert_int_equal (node.bad_requests, 0);
        assert_int_equal (node.calls_most, sizes[i] < 32 ? sizes[i] : 32);
        assert_int_equal (node.messages, 1 + (sizes[i] + 31) / 32);
    }
}

static void test_client_many__large_calls_close_their_message_early (void **state)
{
    (void) state;
    struct fake_node node = {.many = true};
    assert_true (fake_node_start (&node, script_empty, NULL));
    struct maitre *client = client_of (&node);
    struct burst burst = {.calls = 10, .body_len = LARGE};
    run_burst (client, &burst);
    assert_int_equal (node.bad_requests, 0);
    assert_int_equal (node.calls_most, 3); /* the third passes 256 KiB */
    maitre_destroy (&client);
    fake_node_stop (&node);
}

static void test_client_many__who_does_not_say_many_gets_one_call_a_message (void **state)
{
    (void) state;
    struct fake_node node = {.many = false};
    assert_true (fake_node_start (&node, script_empty, NULL));
    struct maitre *client = client_of (&node);
    struct burst burst = {.calls = 40};
    run_burst (client, &burst);
    assert_int_equal (node.bad_requests, 0);
    assert_int_equal (node.calls_most, 1);
    assert_int_equal (node.messages, 41);
    maitre_destroy (&client);
    fake_node_stop (&node);
}

/* A node that is started again, and takes one call at a time then: nothing of the old connection's open message is left. */
static void test_client_many__a_connection_that_breaks_takes_its_message_along (void **state)
{
    (void) state;
    for (int round = 0; round < 5; round++) {
        struct fake_node node = {.many = true};
        assert_true (fake_node_start (&node, script_empty, NULL));
        struct maitre *client = client_of (&node);
        struct burst burst = {.calls = 20};
        start (client, 0, &burst);
        while (node.requests == 0) /* its answer, and the end of the connection, are seen in one turn or in two */
            assert_true (maitre_process (client, 1) >= 0 && burst.answers <= 21);
        fake_node_stop (&node);
        node.many = round % 2 == 0;
        assert_true (fake_node_start (&node, script_empty, NULL));
        while (burst.answers < burst.calls + 1)
            assert_true (maitre_process (client, WAIT_MS) > 0);
        assert_int_equal (burst.fine, burst.calls + 1);
        assert_int_equal (maitre_outstanding (client), 0);
        if (round % 2 != 0)
            assert_true (node.bad_requests == 0);
        maitre_destroy (&client);
        fake_node_stop (&node);
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_client_many__calls_of_one_turn_share_messages_and_all_are_sent),
        cmocka_unit_test (test_client_many__large_calls_close_their_message_early),
        cmocka_unit_test (test_client_many__who_does_not_say_many_gets_one_call_a_message),
        cmocka_unit_test (test_client_many__a_connection_that_breaks_takes_its_message_along),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
