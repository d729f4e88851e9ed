#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "router/front/front_inbox.h"

static const struct front_inbox_limits roomy = {.calls_max = 1000, .bytes_max = 1u << 20, .in_all_max = 1u << 22};

static struct front_inbox *open_inbox (struct front_inbox_limits limits)
{
    struct front_inbox *inbox = front_inbox_new (&limits);
    assert_non_null (inbox);
    return inbox;
}

static struct front_call *frame (struct front_inbox *inbox, const char *text, size_t len, bool more)
{
    zmq_msg_t made;
    zmq_msg_init_size (&made, len);
    if (len > 0)
        memcpy (zmq_msg_data (&made), text, len);
    struct front_call *call = front_inbox_frame (inbox, &made, more);
    zmq_msg_close (&made);
    return call;
}

/* `calls` calls of one message; header and body say which: who, and a number from `first`. */
static void message (struct front_inbox *inbox, char who, char first, unsigned calls)
{
    front_inbox_begin (inbox, bytes_of ((const uint8_t *) &who, 1));
    for (unsigned i = 0; i < calls; i++) {
        char text[2] = {who, (char) (first + (char) i)};
        struct front_call *call = frame (inbox, text, 2, true);
        if (i <= FRONT_CALLS_MAX)
            assert_non_null (call);
        if (call != NULL)
            call->client.fd = who;
        assert_null (frame (inbox, text + 1, 1, i + 1 < calls));
    }
    front_inbox_check (inbox);
}

static void assert_next (struct front_inbox *inbox, char who, char number)
{
    struct front_call *call = front_inbox_next (inbox);
    front_inbox_check (inbox);
    assert_non_null (call);
    const char *head = zmq_msg_data (&call->head);
    assert_int_equal (head[0], who);
    assert_int_equal (head[1], number);
    assert_int_equal (call->client.identity[0], who);
    assert_true (!call->whole || *(const char *) zmq_msg_data (&call->body) == number);
}

static void test_front_inbox__connections_take_turns_by_calls (void **state)
{
    (void) state;
    struct front_inbox *inbox = open_inbox (roomy);
    for (int i = 0; i < 8; i++) /* the one who sends as much as fits */
        message (inbox, 'h', (char) (8 * i), 8);
    for (char i = 0; i < 20; i++) { /* and two who ask one thing at a time */
        message (inbox, 'a', i, 1);
        message (inbox, 'b', i, 1);
        assert_next (inbox, 'h', i);
        assert_next (inbox, 'a', i);
        assert_next (inbox, 'b', i);
    }
    for (char i = 20; i < 64; i++)
        assert_next (inbox, 'h', i);
    assert_null (front_inbox_next (inbox));
    message (inbox, 'a', 1, 1);
    front_inbox_destroy (&inbox);
}

static void test_front_inbox__a_message_is_left_at_a_call_that_may_have_no_others_behind (void **state)
{
    (void) state;
    struct front_inbox *inbox = open_inbox (roomy);
    message (inbox, 'a', 0, 5);
    message (inbox, 'a', 50, 2);
    assert_next (inbox, 'a', 0);
    assert_next (inbox, 'a', 1);
    front_inbox_skip (inbox); /* 2, 3 and 4 */
    front_inbox_check (inbox);
    assert_next (inbox, 'a', 50);
    assert_next (inbox, 'a', 51);
    front_inbox_skip (inbox); /* nothing follows */
    assert_null (front_inbox_next (inbox));
    message (inbox, 'a', 1, 2);
    assert_next (inbox, 'a', 1);
    front_inbox_skip (inbox);
    assert_null (front_inbox_next (inbox));
    front_inbox_destroy (&inbox);
}

static void test_front_inbox__the_call_beyond_the_bound_ends_its_message (void **state)
{
    (void) state;
    struct front_inbox *inbox = open_inbox (roomy);
    message (inbox, 'a', 0, FRONT_CALLS_MAX + 5);
    message (inbox, 'a', 90, 1);
    for (char i = 0; i <= FRONT_CALLS_MAX; i++) {
        assert_next (inbox, 'a', i);
    }
    assert_next (inbox, 'a', 90);
    assert_null (front_inbox_next (inbox));
    /* Half a call at the end, an empty first frame, an identity that is none. */
    front_inbox_begin (inbox, BYTES_LITERAL ("r"));
    assert_null (frame (inbox, "", 0, true));
    struct front_call *call = frame (inbox, "r1", 2, true);
    assert_true (call->client.delimiter);
    assert_null (frame (inbox, "", 0, true));
    assert_non_null (frame (inbox, "r2", 2, false));
    assert_true (front_inbox_next (inbox)->whole);
    call = front_inbox_next (inbox);
    assert_false (call->whole || call->followed);
    uint8_t long_identity[FRONT_IDENTITY_BYTES_MAX + 1] = {0};
    front_inbox_begin (inbox, bytes_of (long_identity, sizeof long_identity));
    assert_null (frame (inbox, "x1", 2, true));
    assert_null (frame (inbox, "x", 1, false));
    assert_null (front_inbox_next (inbox));
    front_inbox_destroy (&inbox);
}

static void test_front_inbox__who_has_too_much_waiting_is_named_and_forgotten (void **state)
{
    (void) state;
    struct front_client client = {.fd = 0};
    struct front_inbox_limits limits = roomy;
    limits.calls_max = 40;
    struct front_inbox *inbox = open_inbox (limits);
    message (inbox, 'a', 7, 1);
    message (inbox, 'h', 0, 32);
    assert_false (front_inbox_over (inbox, &client));
    message (inbox, 'h', 32, 32);
    assert_true (front_inbox_over (inbox, &client));
    assert_int_equal (client.fd, 'h');
    assert_false (front_inbox_over (inbox, &client));
    front_inbox_check (inbox);
    assert_next (inbox, 'a', 7);
    assert_null (front_inbox_next (inbox));
    front_inbox_destroy (&inbox);
    /* All together: the one with most. */
    limits = (struct front_inbox_limits){.calls_max = 1000, .bytes_max = 1u << 20, .in_all_max = 10000};
    inbox = open_inbox (limits);
    message (inbox, 'h', 0, 25);
    message (inbox, 'a', 0, 4);
    assert_false (front_inbox_over (inbox, &client));
    message (inbox, 'b', 0, 12);
    assert_true (front_inbox_over (inbox, &client));
    assert_int_equal (client.fd, 'h');
    assert_false (front_inbox_over (inbox, &client));
    assert_next (inbox, 'a', 0);
    assert_next (inbox, 'b', 0);
    front_inbox_destroy (&inbox);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_front_inbox__connections_take_turns_by_calls),
        cmocka_unit_test (test_front_inbox__a_message_is_left_at_a_call_that_may_have_no_others_behind),
        cmocka_unit_test (test_front_inbox__the_call_beyond_the_bound_ends_its_message),
        cmocka_unit_test (test_front_inbox__who_has_too_much_waiting_is_named_and_forgotten),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
