/* libmaitre and what happens around it: strangers on a node's port, signals, forks. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/src/client.h"
#include "test/support/client_rig.h"

/* Greets its first guest as a ZeroMQ peer with a mechanism that the client does not have, and hangs up. */
static void *greet_as_another (void *argument)
{
    static const char greeting[64] = "\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01PLAIN"; /* RFC 37 */
    char seen[256];
    int listener = *(int *) argument, guest = accept (listener, NULL, NULL);
    assert_true (guest >= 0 && write (guest, greeting, sizeof greeting) == (ssize_t) sizeof greeting);
    while (read (guest, seen, sizeof seen) > 0)
        continue;
    close (guest);
    close (listener);
    return NULL;
}

/* ZeroMQ never tries again after what it calls a violation of the protocol, such as a node that was started without its keys. */
static void test_client_around__a_port_that_was_not_understood_is_tried_again (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    pthread_t stranger;
    int listener = socket (AF_INET, SOCK_STREAM, 0), on = 1;
    assert_true (listener >= 0 && setsockopt (listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    assert_int_equal (bind (listener, (struct sockaddr *) &address, sizeof address), 0);
    assert_true (listen (listener, 1) == 0 && getsockname (listener, (struct sockaddr *) &address, &len) == 0);
    snprintf (node.endpoint, sizeof node.endpoint, "tcp://127.0.0.1:%d", ntohs (address.sin_port));
    assert_int_equal (pthread_create (&stranger, NULL, greet_as_another, &listener), 0);
    struct maitre *client = client_of (&node, NULL, NULL);
    assert_int_equal (pthread_join (stranger, NULL), 0); /* the client has hung up */
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    assert_int_equal (maitre_connect (client, 20000), MAITRE_OK);
    maitre_destroy (&client);
    fake_node_stop (&node);
}

struct farewell {
    uint32_t answers, fine;
    enum maitre_status last; /* of the call that was started in the end */
};

static void keep_status (struct maitre *client, uint64_t call, const struct maitre_reply *reply, void *user)
{
    (void) client;
    (void) call;
    *(enum maitre_status *) user = reply->status;
}

/* Starts a call that may be tried once, in the midst of the replies that a connection left behind. */
static void start_late (struct maitre *client, uint64_t call, const struct maitre_reply *reply, void *user)
{
    struct farewell *farewell = user;
    struct maitre_call_options once;
    maitre_call_options_init (&once);
    once.attempts_max = 1;
    (void) call;
    farewell->fine += reply->status == MAITRE_OK ? 1 : 0;
    if (++farewell->answers == 1400)
        assert_int_equal (
            maitre_start (client, "health.Check", no_fields, &once, keep_status, &farewell->last, NULL), MAITRE_OK);
}

static void test_client_around__nothing_new_is_sent_where_the_connection_broke (void **state)
{
    (void) state;
    enum { CALLS = 1500, NOT_YET = -1 };
    struct fake_node node = {0};
    struct farewell farewell = {.last = (enum maitre_status) NOT_YET};
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    struct maitre *client = client_of (&node, NULL, NULL);
    assert_int_equal (maitre_connect (client, 60000), MAITRE_OK);
    for (int i = 0; i < CALLS; i++)
        assert_int_equal (
            maitre_start (client, "health.Check", no_fields, NULL, start_late, &farewell, NULL), MAITRE_OK);
    for (uint64_t end = now_ms () + 60000; now_ms () < end && node.requests < CALLS;)
        poll (NULL, 0, 1);
    while (farewell.answers == 0)
        assert_true (maitre_process (client, 60000) >= 0);
    assert_in_range (farewell.answers, 1, 600); /* the next turn brings as many, and then hears of the break */
    assert_true (fake_node_stop_seen (&node, client->nodes[0].monitor));
    assert_true (maitre_process (client, 0) >= 0);
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    while (farewell.answers < CALLS || farewell.last == (enum maitre_status) NOT_YET)
        assert_true (maitre_process (client, 60000) > 0);
    assert_int_equal (farewell.fine, CALLS);
    assert_int_equal (farewell.last, MAITRE_OK);
    maitre_destroy (&client);
    fake_node_stop (&node);
}

static _Thread_local uint64_t signals; /* 0: none; else about every second of the calls below ends with one */
static _Thread_local int contexts_left;

/* As libzmq does: what its IO thread reported is taken in, the edge with it, and then comes a signal. */
static bool interrupted (void *socket)
{
    static int (*real) (void *, int, void *, size_t *);
    int events;
    size_t size = sizeof events;
    if (signals == 0)
        return false;
    signals = signals * UINT64_C (6364136223846793005) + 1442695040888963407;
    if (signals >> 63 != 0)
        return false;
    if (real == NULL)
        *(void **) &real = dlsym (RTLD_NEXT, "zmq_getsockopt");
    if (socket != NULL)
        real (socket, ZMQ_EVENTS, &events, &size);
    errno = EINTR;
    return true;
}

#define INTERRUPTIBLE(name, interrupt, parameters, arguments)                                                          \
    __attribute__ ((visibility ("default"))) int name parameters                                                       \
    {                                                                                                                  \
        int (*real) parameters;                                                                                        \
        *(void **) &real = dlsym (RTLD_NEXT, #name);                                                                   \
        return interrupt ? -1 : real arguments;                                                                        \
    }
INTERRUPTIBLE (zmq_connect, interrupted (socket), (void *socket, const char *endpoint), (socket, endpoint))
INTERRUPTIBLE (
    zmq_msg_recv, interrupted (socket), (zmq_msg_t * message, void *socket, int flags), (message, socket, flags))
INTERRUPTIBLE (zmq_getsockopt, option == ZMQ_EVENTS && interrupted (socket),
    (void *socket, int option, void *value, size_t *size), (socket, option, value, size))
INTERRUPTIBLE (zmq_ctx_term, interrupted (NULL) || contexts_left-- == INT_MIN, (void *context), (context))

static void count_fine (struct maitre *client, uint64_t call, const struct maitre_reply *reply, void *user)
{
    (void) client;
    (void) call;
    *(uint32_t *) user += reply->status == MAITRE_OK ? 1 : 0;
}

static void test_client_around__signals_at_any_moment_change_nothing (void **state)
{
    (void) state;
    enum { CALLS = 700 };
    struct fake_node node = {0};
    const struct fake_node *const cluster[] = {&node};
    node.cluster = cluster; /* a ring that is known is not asked for: nothing but the replies wakes the handle */
    node.cluster_count = 1;
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    for (uint64_t round = 1; round <= 16; round++) {
        uint32_t fine = 0, before = node.requests + 1;
        signals = round;
        struct maitre *client = client_of (&node, NULL, NULL);
        assert_int_equal (maitre_connect (client, 20000), MAITRE_OK);
        for (int i = 0; i < CALLS; i++)
            assert_int_equal (
                maitre_start (client, "health.Check", no_fields, NULL, count_fine, &fine, NULL), MAITRE_OK);
        for (uint64_t end = now_ms () + 60000; now_ms () < end && node.requests < before + CALLS;)
            poll (NULL, 0, 1);
        while (fine < CALLS) /* more than one turn takes */
            assert_true (maitre_process (client, 20000) > 0);
        contexts_left = 1;
        maitre_destroy (&client);
        signals = 0;
        assert_int_equal (contexts_left, 0);
    }
    fake_node_stop (&node);
}

/* A child shares the descriptors with its parent, which would never sleep again. */
static void test_client_around__a_forked_child_does_not_wake_its_parent (void **state)
{
    (void) state;
    struct fake_node node = {0};
    uint64_t count;
    int status = -1;
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    struct maitre *client = client_of (&node, NULL, NULL);
    pid_t child = fork ();
    if (child == 0) {
        maitre_fd (client);
        maitre_destroy (&client);
        _exit (0);
    }
    assert_true (child > 0 && waitpid (child, &status, 0) == child && status == 0);
    assert_true (read (client->event, &count, sizeof count) < 0);
    maitre_destroy (&client);
    fake_node_stop (&node);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_client_around__a_port_that_was_not_understood_is_tried_again),
        cmocka_unit_test (test_client_around__nothing_new_is_sent_where_the_connection_broke),
        cmocka_unit_test (test_client_around__signals_at_any_moment_change_nothing),
        cmocka_unit_test (test_client_around__a_forked_child_does_not_wake_its_parent),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
