/* libmaitre in an event loop: the descriptor, bounds, cancelling, closing; and nodes that send rubbish. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <maitre.h>
#include <poll.h>
#include <time.h>

#include "client/src/client.h"
#include "test/support/fake_node.h"

static uint64_t now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static struct maitre *client_of (const struct fake_node *node, uint32_t outstanding_max)
{
    struct maitre_options options;
    struct maitre *client = NULL;
    maitre_options_init (&options);
    options.endpoints = node->endpoint;
    options.outstanding_max = outstanding_max;
    assert_int_equal (maitre_new (&options, &client, NULL), MAITRE_OK);
    return client;
}

static const uint8_t empty_map[] = {0xa0};
static const struct maitre_bytes no_fields = {empty_map, 1};

struct tally {
    uint32_t answers, fine, cancelled, unknown, late;
    uint64_t last;
    uint32_t restart; /* calls to start from callbacks */
};

static enum maitre_status start (struct maitre *client, const char *method, uint32_t deadline_ms, struct tally *tally);

static void tally_answer (struct maitre *client, uint64_t call, const struct maitre_reply *reply, void *user)
{
    struct tally *tally = user;
    tally->answers++;
    tally->last = call;
    tally->fine += reply->status == MAITRE_OK ? 1 : 0;
    tally->cancelled += reply->status == MAITRE_CANCELLED ? 1 : 0;
    tally->unknown += reply->maybe_applied ? 1 : 0;
    tally->late += reply->status == MAITRE_DEADLINE_EXCEEDED ? 1 : 0;
    if (tally->restart > 0) {
        tally->restart--;
        assert_int_equal (start (client, "health.Check", 60000, tally), MAITRE_OK);
    }
}

static enum maitre_status start (struct maitre *client, const char *method, uint32_t deadline_ms, struct tally *tally)
{
    struct maitre_call_options options;
    maitre_call_options_init (&options);
    options.deadline_ms = deadline_ms;
    return maitre_start (client, method, no_fields, &options, tally_answer, tally, NULL);
}

static bool readable (struct maitre *client, int timeout_ms)
{
    struct pollfd item = {.fd = maitre_fd (client), .events = POLLIN};
    return poll (&item, 1, timeout_ms) == 1;
}

static void script_silent (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    (void) node;
    (void) request;
    answer->silent = true;
}

/* ---- the descriptor */

static void test_client_loop__poll_alone_brings_every_answer (void **state)
{
    (void) state;
    enum { CALLS = 3000 };
    struct fake_node node = {0};
    struct tally tally = {.restart = 500};
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    struct maitre *client = client_of (&node, 0);
    for (int i = 0; i < CALLS; i++)
        assert_int_equal (start (client, "health.Check", 60000, &tally), MAITRE_OK);
    while (tally.answers < CALLS + 500) {
        assert_true (readable (client, 60000)); /* it would hang here if an edge were lost */
        assert_true (maitre_process (client, 0) >= 0);
    }
    assert_int_equal (tally.fine, CALLS + 500);
    assert_int_equal (maitre_outstanding (client), 0);
    maitre_destroy (&client);
    fake_node_stop (&node);
}

static void test_client_loop__stays_readable_while_work_is_left (void **state)
{
    (void) state;
    enum { CALLS = 2000 };
    struct fake_node node = {0};
    struct tally tally = {0};
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    struct maitre *client = client_of (&node, 0);
    assert_int_equal (maitre_connect (client, 60000), MAITRE_OK);
    for (int i = 0; i < CALLS; i++)
        assert_int_equal (start (client, "health.Check", 60000, &tally), MAITRE_OK);
    for (uint64_t end = now_ms () + 60000; now_ms () < end && node.requests < CALLS + 1;)
        poll (NULL, 0, 1);
    assert_int_equal (node.requests, CALLS + 1);
    assert_true (readable (client, 30000));
    assert_true (maitre_process (client, 0) > 0);
    assert_in_range (tally.answers, 1, CALLS - 1); /* a turn is bounded */
    assert_true (readable (client, 30000));
    assert_true (readable (client, 0)); /* level-triggered: asking changes nothing */
    while (tally.answers < CALLS) {
        assert_true (readable (client, 60000));
        assert_true (maitre_process (client, 0) >= 0);
    }
    maitre_destroy (&client);
    fake_node_stop (&node);
}

/* A frame too many now and then, so that each hundredth one, at which ZeroMQ looks for news, is in the middle of a reply. */
static void script_odd (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    answer->stray_frame = request->number % 7 == 0;
    fake_node_friendly (node, request, answer);
}

/* Replies are being read, and their connection is gone: ZeroMQ finds that out in the middle of one. */
static void test_client_loop__a_connection_that_broke_leaves_its_replies (void **state)
{
    (void) state;
    enum { CALLS = 1500 };
    uint32_t kept = 0;                         /* answers that had come before the end, and were read behind it */
    for (int round = 0; round < 12; round++) { /* it has to come at the right frame: in one of seven, or so */
        struct fake_node node = {0};
        struct tally tally = {0};
        assert_true (fake_node_start (&node, script_odd, NULL));
        struct maitre *client = client_of (&node, 0);
        assert_int_equal (maitre_connect (client, 60000), MAITRE_OK);
        while (maitre_process (client, 0) > 0)
            continue;
        for (int i = 0; i < CALLS; i++)
            assert_int_equal (start (client, "health.Check", 60000, &tally), MAITRE_OK);
        for (uint64_t end = now_ms () + 60000; now_ms () < end && node.requests < CALLS;)
            poll (NULL, 0, 1);
        assert_true (node.requests >= CALLS);
        while (tally.answers == 0)
            assert_true (maitre_process (client, 60000) >= 0);
        uint32_t first = tally.answers;
        assert_in_range (first, 1, CALLS - 500); /* a turn is bounded */
        assert_true (fake_node_stop_seen (&node, client->nodes[0].monitor));
        assert_true (maitre_process (client, 0) >= 0);
        assert_int_equal (tally.fine, tally.answers);
        kept += tally.answers - first;
        assert_true (fake_node_start (&node, script_odd, NULL));
        while (tally.answers < CALLS)
            assert_true (maitre_process (client, 60000) > 0);
        assert_int_equal (tally.fine, CALLS);
        maitre_destroy (&client);
        fake_node_stop (&node);
    }
    assert_true (kept > 0);
}

static struct fake_node *comes_back; /* right after the next socket was closed */

/* In front of ZeroMQ's own. */
__attribute__ ((visibility ("default"))) int zmq_close (void *socket)
{
    int (*real) (void *);
    *(void **) &real = dlsym (RTLD_NEXT, "zmq_close");
    assert_non_null (real);
    int rc = real (socket);
    struct fake_node *node = comes_back;
    comes_back = NULL;
    if (node != NULL) {
        assert_true (fake_node_start (node, node->script, NULL));
        poll (NULL, 0, 500); /* for a connection that is still tried */
    }
    return rc;
}

/* Closing takes a moment: a node that comes back meanwhile must not leave the client deaf to all nodes. */
static void test_client_loop__a_node_comes_back_while_its_socket_is_closed (void **state)
{
    (void) state;
    struct fake_node node = {0}, other = {0};
    const struct fake_node *const both[] = {&node, &other};
    struct tally tally = {0};
    node.cluster = other.cluster = both;
    node.cluster_count = other.cluster_count = 2;
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    assert_true (fake_node_start (&other, fake_node_friendly, NULL));
    struct maitre *client = client_of (&other, 0);
    assert_int_equal (maitre_connect (client, 60000), MAITRE_OK);
    for (uint64_t end = now_ms () + 60000; now_ms () < end && (client->node_count < 2 || !client->nodes[1].up);)
        assert_true (maitre_process (client, 10) >= 0);
    assert_true (client->node_count == 2 && client->nodes[1].up);
    assert_true (fake_node_stop_seen (&node, client->nodes[1].monitor));
    comes_back = &node;
    while (comes_back != NULL)
        assert_true (maitre_process (client, 1) >= 0);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal (start (client, "health.Check", 20000, &tally), MAITRE_OK);
    while (tally.answers < 4)
        assert_true (maitre_process (client, 1000) >= 0);
    assert_int_equal (tally.fine, 4);
    for (uint64_t end = now_ms () + 60000; now_ms () < end && !client->nodes[1].up;)
        assert_true (maitre_process (client, 10) >= 0);
    assert_true (client->nodes[1].up);
    maitre_destroy (&client);
    fake_node_stop (&node);
    fake_node_stop (&other);
}

static void test_client_loop__poll_alone_meets_deadlines (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct tally tally = {0};
    assert_true (fake_node_start (&node, script_silent, NULL));
    struct maitre *client = client_of (&node, 0);
    uint64_t started = now_ms (), calls[2] = {0};
    struct maitre_call_options options;
    maitre_call_options_init (&options);
    maitre_fd (client);
    for (int i = 0; i < 2; i++) {
        options.deadline_ms = i == 0 ? 1000 : 40;
        assert_int_equal (
            maitre_start (client, "health.Check", no_fields, &options, tally_answer, &tally, &calls[i]), MAITRE_OK);
    }
    while (tally.answers < 2) {
        uint32_t before = tally.answers;
        assert_true (readable (client, 60000)); /* it would hang here if a deadline were not among what wakes */
        assert_true (maitre_process (client, 0) >= 0);
        if (before == 0 && tally.answers == 1)
            assert_int_equal (tally.last, calls[1]); /* the one that is over first */
    }
    assert_in_range (now_ms () - started, 995, 60000);
    maitre_destroy (&client);
    fake_node_stop (&node);
}

static void test_client_loop__process_returns_in_time (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct tally tally = {0};
    assert_true (fake_node_start (&node, script_silent, NULL));
    struct maitre *client = client_of (&node, 0);
    assert_int_equal (start (client, "health.Check", 60000, &tally), MAITRE_OK);
    uint64_t started = now_ms ();
    assert_int_equal (maitre_process (client, 50), 0);
    assert_in_range (now_ms () - started, 45, 30000);
    assert_int_equal (tally.answers, 0);
    maitre_destroy (&client);
    fake_node_stop (&node);
}

/* ---- bounds, cancelling, closing */

static void test_client_loop__outstanding_calls_are_bounded (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct tally tally = {0};
    assert_true (fake_node_start (&node, script_silent, NULL));
    struct maitre *client = client_of (&node, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal (start (client, "health.Check", 100, &tally), MAITRE_OK);
    assert_int_equal (start (client, "health.Check", 100, &tally), MAITRE_RESOURCE_EXHAUSTED);
    assert_string_equal (maitre_error (client)->reason, "OUTSTANDING");
    assert_int_equal (maitre_outstanding (client), 3);
    for (uint64_t end = now_ms () + 60000; now_ms () < end && tally.answers < 3;)
        maitre_process (client, 100);
    assert_int_equal (tally.answers, 3);
    assert_int_equal (tally.fine, 0);
    assert_int_equal (start (client, "health.Check", 100, &tally), MAITRE_OK); /* there is room again */
    maitre_destroy (&client);
    fake_node_stop (&node);
}

static void test_client_loop__a_cancelled_call_is_answered_once (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct tally tally = {0};
    uint64_t read = 0, write = 0;
    static const uint8_t release[] = {0xa1, 0x01, 0x50, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    assert_true (fake_node_start (&node, script_silent, NULL));
    struct maitre *client = client_of (&node, 0);
    assert_int_equal (maitre_start (client, "health.Check", no_fields, NULL, tally_answer, &tally, &read), MAITRE_OK);
    struct maitre_bytes body = {release, sizeof release};
    assert_int_equal (maitre_start (client, "reserve.Release", body, NULL, tally_answer, &tally, &write), MAITRE_OK);
    for (uint64_t end = now_ms () + 60000; now_ms () < end && node.requests < 2;)
        maitre_process (client, 1);
    assert_int_equal (maitre_cancel (client, read), MAITRE_OK);
    assert_int_equal (tally.answers, 1);
    assert_int_equal (tally.cancelled, 1);
    assert_int_equal (tally.unknown, 0);
    assert_int_equal (maitre_cancel (client, read), MAITRE_NOT_FOUND);
    assert_int_equal (maitre_cancel (client, write), MAITRE_OK);
    assert_int_equal (tally.unknown, 1); /* it was sent: it may be applied */
    assert_int_equal (maitre_cancel (client, 0), MAITRE_NOT_FOUND);
    assert_int_equal (maitre_cancel (client, UINT64_MAX), MAITRE_NOT_FOUND);
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_int_equal (tally.answers, 2);
}

static void test_client_loop__closing_answers_what_is_under_way (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct tally tally = {0};
    assert_true (fake_node_start (&node, script_silent, NULL));
    struct maitre *client = client_of (&node, 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal (start (client, "health.Check", 60000, &tally), MAITRE_OK);
    maitre_process (client, 20);
    maitre_destroy (&client);
    assert_null (client);
    assert_int_equal (tally.answers, 10);
    assert_int_equal (tally.cancelled, 10);
    maitre_destroy (&client); /* once more does no harm */
    fake_node_stop (&node);
}

/* ---- rubbish */

static void script_rubbish_first (
    struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    static const char text[] = "\x81\x01 this is no map";
    fake_node_friendly (node, request, answer);
    switch (request->number % 6) {
    case 1: /* one frame */
        answer->frames = 1;
        break;
    case 2: /* three */
        answer->frames = 3;
        break;
    case 3: /* two frames of nonsense */
        answer->raw = text;
        answer->raw_len = sizeof text;
        break;
    case 4: /* an empty header */
        answer->raw = text;
        answer->raw_len = 0;
        break;
    default:
        break;
    }
}

static void test_client_loop__what_is_no_answer_is_dropped (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct maitre_options options;
    struct maitre *client = NULL;
    maitre_options_init (&options);
    assert_true (fake_node_start (&node, script_rubbish_first, NULL));
    options.endpoints = node.endpoint;
    options.attempt_ms = 50;
    options.deadline_ms = 60000;
    assert_int_equal (maitre_new (&options, &client, NULL), MAITRE_OK);
    struct maitre_reply *reply = NULL;
    assert_int_equal (maitre_call (client, "health.Check", no_fields, NULL, &reply), MAITRE_OK);
    assert_in_range (reply->attempts, 5, 1000); /* more where the machine is slower than an attempt */
    maitre_reply_destroy (&reply);
    maitre_destroy (&client);
    fake_node_stop (&node);
}

static void script_stray (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    fake_node_friendly (node, request, answer);
    answer->stray_frame = true;
}

static void test_client_loop__a_stray_frame_does_not_spoil_the_next_reply (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct tally tally = {0};
    assert_true (fake_node_start (&node, script_stray, NULL));
    struct maitre *client = client_of (&node, 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal (start (client, "health.Check", 60000, &tally), MAITRE_OK);
    for (uint64_t end = now_ms () + 60000; now_ms () < end && tally.answers < 20;)
        maitre_process (client, 100);
    assert_int_equal (tally.fine, 20);
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_int_equal (node.requests, 20); /* each was answered at its first attempt */
}

struct mutation {
    uint64_t random;
    char bytes[REPLY_HEADER_ENCODED_MAX];
};

static uint64_t next_random (uint64_t *state)
{
    uint64_t z = (*state += UINT64_C (0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    return z ^ (z >> 29);
}

/* Answers with a good header of which some bytes were changed, sometimes cut short. */
static void script_mutate (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    struct mutation *mutation = node->user;
    static const uint32_t statuses[] = {0, 14, 8, 9, 10, 4, 16, 13};
    size_t len = 0;
    struct reply_header header = {.protocol = 1,
        .call = request->header.call,
        .status = statuses[next_random (&mutation->random) % 8],
        .has_reason = true,
        .reason = BYTES_LITERAL ("SOLD_OUT"),
        .has_message = true,
        .message = BYTES_LITERAL ("words for people"),
        .has_leader = true,
        .leader = BYTES_LITERAL ("tcp://127.0.0.1:1"),
        .has_map_epoch = true,
        .map_epoch = next_random (&mutation->random) % 4,
        .has_maybe_applied = true,
        .maybe_applied = next_random (&mutation->random) % 2 == 0};
    fake_node_friendly (node, request, answer);
    if (next_random (&mutation->random) % 8 == 0)
        return;
    if (codec_encode (&reply_header_type, &header, (uint8_t *) mutation->bytes, sizeof mutation->bytes, &len) !=
        STATUS_OK)
        return;
    for (uint64_t i = next_random (&mutation->random) % 4; i > 0; i--)
        mutation->bytes[next_random (&mutation->random) % len] = (char) next_random (&mutation->random);
    answer->raw = mutation->bytes;
    answer->raw_len = next_random (&mutation->random) % 5 == 0 ? next_random (&mutation->random) % len : len;
    answer->frames = next_random (&mutation->random) % 10 == 0 ? 1 : 2;
}

static void test_client_loop__mutated_replies_never_hang_or_crash (void **state)
{
    (void) state;
    enum { CALLS = 4000 };
    struct fake_node node = {0};
    struct mutation mutation = {.random = 42};
    struct maitre_options options;
    struct maitre *client = NULL;
    struct tally tally = {0};
    maitre_options_init (&options);
    assert_true (fake_node_start (&node, script_mutate, &mutation));
    options.endpoints = node.endpoint;
    options.attempt_ms = 40; /* long enough for an answer on a busy machine */
    options.deadline_ms = 600;
    options.backoff_ms = 1;
    options.backoff_max_ms = 2;
    assert_int_equal (maitre_new (&options, &client, NULL), MAITRE_OK);
    for (uint32_t started = 0; tally.answers < CALLS;) {
        while (started < CALLS && started - tally.answers < 100) {
            assert_int_equal (start (client, "health.Check", 0, &tally), MAITRE_OK);
            started++;
        }
        assert_true (maitre_process (client, 1000) >= 0);
    }
    assert_int_equal (tally.answers, CALLS);
    assert_true (tally.fine > CALLS / 16);
    assert_int_equal (maitre_outstanding (client), 0);
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_int_equal (tally.answers, CALLS);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_client_loop__poll_alone_brings_every_answer),
        cmocka_unit_test (test_client_loop__stays_readable_while_work_is_left),
        cmocka_unit_test (test_client_loop__a_connection_that_broke_leaves_its_replies),
        cmocka_unit_test (test_client_loop__a_node_comes_back_while_its_socket_is_closed),
        cmocka_unit_test (test_client_loop__poll_alone_meets_deadlines),
        cmocka_unit_test (test_client_loop__process_returns_in_time),
        cmocka_unit_test (test_client_loop__outstanding_calls_are_bounded),
        cmocka_unit_test (test_client_loop__a_cancelled_call_is_answered_once),
        cmocka_unit_test (test_client_loop__closing_answers_what_is_under_way),
        cmocka_unit_test (test_client_loop__what_is_no_answer_is_dropped),
        cmocka_unit_test (test_client_loop__a_stray_frame_does_not_spoil_the_next_reply),
        cmocka_unit_test (test_client_loop__mutated_replies_never_hang_or_crash),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
