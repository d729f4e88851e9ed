#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/front_fixture.h"

static size_t make_many (uint64_t call, uint8_t *out, size_t size)
{
    struct request_header header = {
        .protocol = 1, .call = call, .method = BYTES_LITERAL ("health.Check"), .has_many = true, .many = true};
    size_t len;
    assert_int_equal (codec_encode (&request_header_type, &header, out, size, &len), STATUS_OK);
    return len;
}

/* `calls` calls of one message, numbered from `first`; `odd` adds a header without a body. */
static void send_many (zsock_t *client, uint64_t first, uint64_t calls, bool odd)
{
    uint8_t header[256];
    for (uint64_t i = 0; i < calls; i++) {
        size_t len = make_many (first + i, header, sizeof header);
        assert_int_equal (zmq_send (zsock_resolve (client), header, len, ZMQ_SNDMORE), len);
        assert_int_equal (zmq_send (zsock_resolve (client), "b", 1, i + 1 < calls || odd ? ZMQ_SNDMORE : 0), 1);
    }
    size_t len = make_many (first + calls, header, sizeof header);
    if (odd)
        assert_int_equal (zmq_send (zsock_resolve (client), header, len, 0), len);
}

/* The calls that one message answers, in its order. */
static size_t receive_many (zsock_t *client, uint64_t *calls, size_t max)
{
    void *raw = zsock_resolve (client);
    assert_true (readable (raw, WAIT_MS));
    size_t count = 0;
    do {
        uint8_t memory[1024], body[64];
        struct reply_header header;
        int len = zmq_recv (raw, memory, sizeof memory, 0);
        assert_true (len > 0 && zsock_rcvmore (client));
        assert_int_equal (
            codec_decode (&reply_header_type, bytes_of (memory, (size_t) len), CODEC_STRICT, NULL, &header, NULL),
            STATUS_OK);
        assert_true (zmq_recv (raw, body, sizeof body, 0) >= 0);
        assert_true (count < max);
        calls[count++] = header.call;
    } while (zsock_rcvmore (client));
    return count;
}

static void test_front_many__several_calls_in_a_message_are_answered_in_one (void **state)
{
    (void) state;
    struct front *front = open_front ((struct front_options){0});
    zsock_t *many = dial (front, ZMQ_DEALER), *one = dial (front, ZMQ_DEALER);
    send_many (many, 10, FRONT_CALLS_MAX, false);
    struct front_request request;
    struct reply_header header = {.protocol = 1};
    uint64_t calls[FRONT_CALLS_MAX];
    assert_int_equal (next (front, &request), STATUS_OK);
    for (uint64_t i = 0; i < FRONT_CALLS_MAX; i++) {
        assert_int_equal (request.header.call, 10 + i);
        assert_true (request.client.many);
        header.call = request.header.call;
        assert_int_equal (front_reply (front, &request.client, &header, BYTES_LITERAL ("r")), STATUS_OK);
        if (i + 1 < FRONT_CALLS_MAX)
            assert_int_equal (front_receive (front, &request), STATUS_OK);
    }
    struct front_client first = request.client;
    assert_int_equal (front_receive (front, &request), STATUS_NOT_FOUND);
    /* A client that does not say so gets its replies one by one, between those of another. */
    send_call (one, 5, "x");
    for (int i = 0; i < 6000 && front_receive (front, &request) != STATUS_OK; i++)
        readable (front_socket (front), 10);
    assert_int_equal (request.header.call, 5);
    assert_false (request.client.many);
    header.call = 5;
    assert_int_equal (front_reply (front, &request.client, &header, BYTES_LITERAL ("r")), STATUS_OK);
    assert_int_equal (front_reply (front, &request.client, &header, BYTES_LITERAL ("r")), STATUS_OK);
    header.call = 99;
    assert_int_equal (front_reply (front, &first, &header, BYTES_LITERAL ("r")), STATUS_OK);
    assert_true (front_flush (front));
    assert_false (front_flush (front));
    assert_int_equal (receive_many (many, calls, FRONT_CALLS_MAX), FRONT_CALLS_MAX);
    for (uint64_t i = 0; i < FRONT_CALLS_MAX; i++)
        assert_int_equal (calls[i], 10 + i);
    assert_int_equal (receive_many (many, calls, FRONT_CALLS_MAX), 1); /* the 33rd reply */
    assert_int_equal (calls[0], 99);
    assert_int_equal (receive_many (one, calls, FRONT_CALLS_MAX), 1);
    assert_int_equal (receive_many (one, calls, FRONT_CALLS_MAX), 1);
    struct front_stats stats;
    front_stats (front, &stats);
    assert_int_equal (stats.replies, FRONT_CALLS_MAX + 3);
    zsock_destroy (&many);
    zsock_destroy (&one);
    front_destroy (&front);
}

static void test_front_many__a_message_of_too_many_calls_or_half_of_one_is_refused_from_there (void **state)
{
    (void) state;
    struct front *front = open_front ((struct front_options){0});
    zsock_t *client = dial (front, ZMQ_DEALER);
    struct front_request request;
    struct reply_header header;
    uint8_t memory[1024];
    send_many (client, 1, 2, true);
    assert_int_equal (next (front, &request), STATUS_OK);
    assert_int_equal (front_receive (front, &request), STATUS_OK);
    assert_int_equal (next (front, &request), STATUS_INVALID_ARGUMENT);
    receive_reply (client, &header, memory, sizeof memory);
    assert_int_equal (header.call, 3);
    assert_true (bytes_equal (header.reason, BYTES_LITERAL ("BAD_FRAMES")));
    send_many (client, 100, FRONT_CALLS_MAX + 5, false);
    assert_int_equal (next (front, &request), STATUS_OK);
    for (int i = 1; i < FRONT_CALLS_MAX; i++)
        assert_int_equal (front_receive (front, &request), STATUS_OK);
    assert_int_equal (next (front, &request), STATUS_INVALID_ARGUMENT);
    assert_int_equal (front_receive (front, &request), STATUS_NOT_FOUND); /* the rest of it is gone */
    receive_reply (client, &header, memory, sizeof memory);
    assert_int_equal (header.call, 100 + FRONT_CALLS_MAX);
    send_call (client, 7, "fine");
    assert_int_equal (next (front, &request), STATUS_OK);
    zsock_destroy (&client);
    front_destroy (&front);
}

static void test_front_many__replies_that_wait_are_counted_one_by_one (void **state)
{
    (void) state;
    enum { BODY = 32 * 1024, BOUND = 64 };
    struct front *front = open_front ((struct front_options){.send_queue_max = BOUND});
    zsock_t *client = zsock_new (ZMQ_DEALER);
    zsock_set_linger (client, 0);
    zsock_set_rcvhwm (client, 1);
    zsock_set_rcvbuf (client, 4096);
    zmq_connect (zsock_resolve (client), front_endpoint (front));
    send_many (client, 1, 1, false);
    struct front_request request;
    assert_int_equal (next (front, &request), STATUS_OK);
    uint8_t *body = calloc (1, BODY);
    struct reply_header header = {.protocol = 1, .call = 1};
    struct front_stats stats = {0};
    uint64_t given = 0;
    while (stats.slow_cut == 0 && given < 1000000) {
        for (int i = 0; i < FRONT_CALLS_MAX; i++, given++)
            assert_int_equal (front_reply (front, &request.client, &header, bytes_of (body, BODY)), STATUS_OK);
        front_flush (front);
        front_stats (front, &stats);
    }
    assert_int_equal (stats.slow_cut, 1);
    /* By messages it would be BOUND messages of 8 replies (256 KiB) and more; the kernel's buffers hold some megabytes. */
    assert_true (given < 16 * 1024 * 1024 / BODY + BOUND);
    free (body);
    /* ZeroMQ (#3442) aborts when a connection breaks in the middle of a message of several frames while its socket closes. */
    zsock_destroy (&client);
    while (stats.connections > 0) {
        assert_true (readable (front_monitor_socket (front), WAIT_MS));
        front_watch (front);
        front_stats (front, &stats);
    }
    front_destroy (&front);
}

static void test_front_many__who_sends_more_than_its_turns_take_is_cut_off (void **state)
{
    (void) state;
    struct front *front = open_front ((struct front_options){.waiting_calls_max = 100});
    zsock_t *hostile = dial (front, ZMQ_DEALER), *other = dial (front, ZMQ_DEALER);
    struct front_request request;
    struct front_stats stats = {0};
    /* One message in and one call out a turn, however slow the way is. The fourth message passes the bound, with four calls
     * served: it has been received whole then (see above). */
    for (uint64_t i = 0; i < 4; i++) {
        send_many (hostile, 32 * i, 32, false);
        assert_true (readable (front_socket (front), WAIT_MS));
        front_watch (front);
        (void) !front_receive (front, &request);
    }
    front_stats (front, &stats);
    assert_int_equal (stats.waiting_cut, 1);
    assert_true (stats.requests < 4 * 32);
    send_call (other, 1000000, "x");
    do
        assert_true (next (front, &request) != STATUS_NOT_FOUND);
    while (request.header.call != 1000000);
    zsock_destroy (&hostile);
    zsock_destroy (&other);
    front_destroy (&front);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_front_many__several_calls_in_a_message_are_answered_in_one),
        cmocka_unit_test (test_front_many__a_message_of_too_many_calls_or_half_of_one_is_refused_from_there),
        cmocka_unit_test (test_front_many__replies_that_wait_are_counted_one_by_one),
        cmocka_unit_test (test_front_many__who_sends_more_than_its_turns_take_is_cut_off),
    };
    safe_socket_prepare ();
    return cmocka_run_group_tests (tests, NULL, NULL);
}
