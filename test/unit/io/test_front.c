#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "router/front/front.h"
#include "router/front/safe_socket.h"
#include "router/front/zap.h"
#include "test/support/front_fixture.h"

static void answer (struct front *front, const struct front_request *request, const char *body)
{
    struct reply_header header = {.protocol = 1, .call = request->header.call};
    assert_int_equal (front_reply (front, &request->client, &header, bytes_text (body)), STATUS_OK);
    front_flush (front);
}

static void test_front__two_frames_in_two_frames_out (void **state)
{
    (void) state;
    struct front *front = open_front ((struct front_options){0});
    zsock_t *client = dial (front, ZMQ_DEALER);
    send_call (client, 77, "body");
    struct front_request request;
    assert_int_equal (next (front, &request), STATUS_OK);
    assert_int_equal (request.header.call, 77);
    assert_true (bytes_equal (request.header.method, BYTES_LITERAL ("health.Check")));
    assert_true (bytes_equal (request.body, BYTES_LITERAL ("body")));
    assert_false (request.client.delimiter);
    answer (front, &request, "answer");
    struct reply_header header;
    uint8_t memory[256];
    assert_int_equal (receive_reply (client, &header, memory, sizeof memory), 6);
    assert_int_equal (header.call, 77);
    zsock_destroy (&client);
    front_destroy (&front);
}

static void test_front__returns_the_delimiter_of_a_req (void **state)
{
    (void) state;
    struct front *front = open_front ((struct front_options){0});
    zsock_t *client = dial (front, ZMQ_REQ);
    send_call (client, 5, "x");
    struct front_request request;
    assert_int_equal (next (front, &request), STATUS_OK);
    assert_true (request.client.delimiter);
    answer (front, &request, "yes");
    struct reply_header header;
    uint8_t memory[256];
    /* A REQ only hands out a reply whose delimiter came back. */
    assert_int_equal (receive_reply (client, &header, memory, sizeof memory), 3);
    zsock_destroy (&client);
    front_destroy (&front);
}

static void test_front__garbage_with_a_call_id_is_answered (void **state)
{
    (void) state;
    struct front *front = open_front ((struct front_options){0});
    zsock_t *client = dial (front, ZMQ_DEALER);
    /* {1: 1, 2: 9, 3: 17}: the method is no text. */
    static const uint8_t header_bytes[] = {0xa3, 1, 1, 2, 9, 3, 17};
    zmq_send (zsock_resolve (client), header_bytes, sizeof header_bytes, ZMQ_SNDMORE);
    zmq_send (zsock_resolve (client), "", 0, 0);
    struct front_request request;
    assert_int_equal (next (front, &request), STATUS_INVALID_ARGUMENT);
    struct reply_header header;
    uint8_t memory[1024];
    receive_reply (client, &header, memory, sizeof memory);
    assert_int_equal (header.call, 9);
    assert_int_equal (header.status, STATUS_INVALID_ARGUMENT);
    assert_true (bytes_equal (header.reason, BYTES_LITERAL ("BAD_HEADER")));
    assert_true (header.has_message && header.message.len > 10);
    zsock_destroy (&client);
    front_destroy (&front);
}

static void test_front__garbage_without_a_call_id_is_dropped_and_counted (void **state)
{
    (void) state;
    struct front *front = open_front ((struct front_options){0});
    zsock_t *client = dial (front, ZMQ_DEALER);
    zmq_send (zsock_resolve (client), "\xff\x80\0\0\0", 5, ZMQ_SNDMORE);
    zmq_send (zsock_resolve (client), "z", 1, 0);
    zmq_send (zsock_resolve (client), "alone", 5, 0);
    struct front_request request;
    assert_int_equal (next (front, &request), STATUS_INVALID_ARGUMENT);
    assert_int_equal (next (front, &request), STATUS_INVALID_ARGUMENT);
    struct front_stats stats;
    front_stats (front, &stats);
    assert_int_equal (stats.dropped, 2);
    send_call (client, 1, "fine");
    assert_int_equal (next (front, &request), STATUS_OK);
    zsock_destroy (&client);
    front_destroy (&front);
}

static void test_front__any_number_of_frames_but_two_is_refused (void **state)
{
    (void) state;
    struct front *front = open_front ((struct front_options){0});
    zsock_t *client = dial (front, ZMQ_DEALER);
    uint8_t header_bytes[256];
    for (int frames = 1; frames <= 6; frames++) {
        if (frames == 2)
            continue;
        size_t len = make_header (100 + (uint64_t) frames, header_bytes, sizeof header_bytes);
        zmq_send (zsock_resolve (client), header_bytes, len, frames > 1 ? ZMQ_SNDMORE : 0);
        for (int i = 1; i < frames; i++)
            zmq_send (zsock_resolve (client), "b", 1, i + 1 < frames ? ZMQ_SNDMORE : 0);
        struct front_request request;
        assert_int_equal (next (front, &request), STATUS_INVALID_ARGUMENT);
        struct reply_header header;
        uint8_t memory[1024];
        receive_reply (client, &header, memory, sizeof memory);
        assert_int_equal (header.call, 100 + frames);
        assert_true (bytes_equal (header.reason, BYTES_LITERAL ("BAD_FRAMES")));
    }
    zsock_destroy (&client);
    front_destroy (&front);
}

static void test_front__another_protocol_is_refused (void **state)
{
    (void) state;
    struct front *front = open_front ((struct front_options){0});
    zsock_t *client = dial (front, ZMQ_DEALER);
    static const uint8_t header_bytes[] = {0xa3, 1, 2, 2, 9, 3, 0x61, 'a'};
    zmq_send (zsock_resolve (client), header_bytes, sizeof header_bytes, ZMQ_SNDMORE);
    zmq_send (zsock_resolve (client), "", 0, 0);
    struct front_request request;
    assert_int_equal (next (front, &request), STATUS_INVALID_ARGUMENT);
    struct reply_header header;
    uint8_t memory[1024];
    receive_reply (client, &header, memory, sizeof memory);
    assert_true (bytes_equal (header.reason, BYTES_LITERAL ("BAD_PROTOCOL")));
    zsock_destroy (&client);
    front_destroy (&front);
}

static void test_front__an_oversized_frame_cuts_its_sender_only (void **state)
{
    (void) state;
    struct front *front = open_front ((struct front_options){.frame_bytes_max = 4096});
    zsock_t *bad = dial (front, ZMQ_DEALER);
    zsock_t *good = dial (front, ZMQ_DEALER);
    uint8_t *large = calloc (1, 8192);
    zmq_send (zsock_resolve (bad), large, 8192, 0);
    free (large);
    send_call (good, 3, "hello");
    struct front_request request;
    assert_int_equal (next (front, &request), STATUS_OK);
    assert_int_equal (request.header.call, 3);
    assert_int_equal (front_receive (front, &request), STATUS_NOT_FOUND);
    zsock_destroy (&bad);
    zsock_destroy (&good);
    front_destroy (&front);
}

/* C4, as a node has it: nothing is set, and a mebibyte is the most. */
static void test_front__a_frame_has_a_mebibyte_at_most (void **state)
{
    (void) state;
    const size_t most = 1024 * 1024;
    struct front *front = open_front ((struct front_options){0});
    zsock_t *client = zsock_new (ZMQ_DEALER);
    zsock_set_linger (client, 0);
    zsock_set_reconnect_ivl (client, -1); /* who was cut off stays away */
    assert_int_equal (zmq_connect (zsock_resolve (client), front_endpoint (front)), 0);
    char *body = malloc (most + 2);
    assert_non_null (body);
    memset (body, 'x', most);
    body[most] = '\0';
    send_call (client, 1, body);
    struct front_request request;
    assert_int_equal (next (front, &request), STATUS_OK);
    assert_int_equal (request.body.len, most);
    memcpy (body + most, "x", 2);
    send_call (client, 2, body);
    struct front_stats stats;
    for (front_stats (front, &stats); stats.connections > 0; front_stats (front, &stats)) {
        zmq_pollitem_t items[2] = {{.socket = front_monitor_socket (front), .events = ZMQ_POLLIN},
            {.socket = front_socket (front), .events = ZMQ_POLLIN}};
        assert_true (zmq_poll (items, 2, WAIT_MS) > 0);
        front_watch (front);
        assert_int_equal (front_receive (front, &request), STATUS_NOT_FOUND);
    }
    free (body);
    zsock_destroy (&client);
    front_destroy (&front);
}

/* What cannot be seen in a test's time, or only by who waits for it: the options themselves. */
static void test_safe_socket__has_every_bound (void **state)
{
    (void) state;
    static const int types[] = {ZMQ_ROUTER, ZMQ_DEALER};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct safe_socket_options options = {.type = types[i],
            .send_queue_max = 11,
            .receive_queue_max = 12,
            .frame_bytes_max = 1300,
            .heartbeat_ms = 700};
        zsock_t *socket = safe_socket_new (&options);
        assert_non_null (socket);
        assert_int_equal (zsock_handshake_ivl (socket), 3000); /* C4; ZeroMQ's own: 30,000 */
        assert_int_equal (zsock_maxmsgsize (socket), 1300);
        assert_int_equal (zsock_sndhwm (socket), 11);
        assert_int_equal (zsock_rcvhwm (socket), 12);
        assert_int_equal (zsock_linger (socket), 0);
        assert_int_equal (zsock_heartbeat_ivl (socket), 700);
        assert_int_equal (zsock_heartbeat_timeout (socket), 2100);
        zsock_destroy (&socket);
    }
}

static int raw_connect (const struct front *front)
{
    int fd = socket (AF_INET, SOCK_STREAM, 0);
    const char *colon = strrchr (front_endpoint (front), ':');
    struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons ((uint16_t) atoi (colon + 1)),
        .sin_addr = {.s_addr = htonl (INADDR_LOOPBACK)}};
    assert_int_equal (connect (fd, (struct sockaddr *) &address, sizeof address), 0);
    struct timeval patience = {.tv_sec = 60};
    setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static void test_front__connections_beyond_the_bound_are_closed (void **state)
{
    (void) state;
    struct front *front = open_front ((struct front_options){.connections_max = 2});
    zsock_t *client = dial (front, ZMQ_DEALER);
    send_call (client, 1, "in");
    struct front_request request;
    assert_int_equal (next (front, &request), STATUS_OK);
    int fds[3];
    for (int i = 0; i < 3; i++)
        fds[i] = raw_connect (front);
    struct front_stats stats = {0};
    while (stats.connections_cut < 2) {
        assert_true (readable (front_monitor_socket (front), WAIT_MS));
        front_watch (front);
        front_stats (front, &stats);
    }
    /* The cut ones see the end of the stream behind the greeting; the client that was in is served. */
    uint8_t sink[256];
    ssize_t got;
    while ((got = recv (fds[2], sink, sizeof sink, 0)) > 0)
        ;
    assert_int_equal (got, 0);
    send_call (client, 2, "still in");
    assert_int_equal (next (front, &request), STATUS_OK);
    assert_int_equal (request.header.call, 2);
    for (int i = 0; i < 3; i++)
        close (fds[i]);
    zsock_destroy (&client);
    front_destroy (&front);
}

static void test_front__a_client_that_does_not_read_is_cut_off (void **state)
{
    (void) state;
    struct front *front = open_front ((struct front_options){.send_queue_max = 4});
    zsock_t *client = zsock_new (ZMQ_DEALER);
    zsock_set_linger (client, 0);
    zsock_set_rcvhwm (client, 1);
    zsock_set_rcvbuf (client, 4096);
    zmq_connect (zsock_resolve (client), front_endpoint (front));
    send_call (client, 1, "greedy");
    struct front_request request;
    assert_int_equal (next (front, &request), STATUS_OK);
    size_t body_len = 512 * 1024;
    uint8_t *body = calloc (1, body_len);
    struct reply_header header = {.protocol = 1, .call = 1};
    struct front_stats stats = {0};
    for (int i = 0; i < 1000 && stats.slow_cut == 0; i++) {
        assert_int_equal (front_reply (front, &request.client, &header, bytes_of (body, body_len)), STATUS_OK);
        front_flush (front);
        front_stats (front, &stats);
    }
    assert_int_equal (stats.slow_cut, 1);
    assert_int_equal (stats.gone, 0);
    /* Once the connection is gone the client is told apart from a slow one. */
    for (int i = 0; i < 100 && stats.gone == 0; i++) {
        readable (front_monitor_socket (front), 100);
        front_watch (front);
        assert_int_equal (front_receive (front, &request), STATUS_NOT_FOUND);
        assert_int_equal (front_reply (front, &request.client, &header, (struct bytes){0}), STATUS_OK);
        front_flush (front);
        front_stats (front, &stats);
    }
    assert_int_equal (stats.gone, 1);
    assert_int_equal (stats.slow_cut, 1);
    free (body);
    /* ZeroMQ (#3442) aborts when a connection breaks in the middle of a message of several frames while its socket closes. */
    zsock_destroy (&client);
    for (front_stats (front, &stats); stats.connections > 0; front_stats (front, &stats)) {
        assert_true (readable (front_monitor_socket (front), WAIT_MS));
        front_watch (front);
    }
    front_destroy (&front);
}

/* A ZMTP 3.0 client by hand, up to the end of the handshake. */
static void raw_handshake (int fd)
{
    uint8_t greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L'};
    static const uint8_t ready[] = {4, 41, 5, 'R', 'E', 'A', 'D', 'Y', 11, 'S', 'o', 'c', 'k', 'e', 't', '-', 'T', 'y',
        'p', 'e', 0, 0, 0, 6, 'D', 'E', 'A', 'L', 'E', 'R', 8, 'I', 'd', 'e', 'n', 't', 'i', 't', 'y', 0, 0, 0, 0};
    assert_int_equal (send (fd, greeting, sizeof greeting, 0), sizeof greeting);
    assert_int_equal (send (fd, ready, sizeof ready, 0), sizeof ready);
    /* The node's own greeting and READY: frames sent before them would break the protocol. */
    uint8_t theirs[sizeof greeting + sizeof ready];
    assert_int_equal (recv (fd, theirs, sizeof theirs, MSG_WAITALL), sizeof theirs);
}

static void test_front__a_message_without_an_end_is_cut_off (void **state)
{
    (void) state;
    struct front *front = open_front ((struct front_options){.unfinished_bytes_max = 256 * 1024});
    int fd = raw_connect (front);
    raw_handshake (fd);
    assert_true (readable (front_monitor_socket (front), WAIT_MS));
    front_watch (front);
    front_tick (front);
    /* Frames with the MORE flag, for ever: ZeroMQ alone would keep them all. */
    static uint8_t frame[9 + 65536] = {3, 0, 0, 0, 0, 0, 1, 0, 0};
    struct front_stats stats = {0};
    for (int i = 0; i < 4000 && stats.unfinished_cut == 0; i++) {
        if (send (fd, frame, sizeof frame, MSG_NOSIGNAL) < 0)
            break;
        front_tick (front);
        front_stats (front, &stats);
    }
    assert_int_equal (stats.unfinished_cut, 1);
    close (fd);
    front_destroy (&front);
}

static void test_front__port_in_use_is_told (void **state)
{
    (void) state;
    struct front *front = open_front ((struct front_options){0});
    struct front_options options = {.endpoint = front_endpoint (front)};
    struct front *second = NULL;
    char error[512] = "";
    assert_int_equal (front_new (&options, &second, error, sizeof error), STATUS_FAILED_PRECONDITION);
    assert_null (second);
    assert_non_null (strstr (error, "in use"));
    options.endpoint = "tcp://no.such.host.invalid:1";
    assert_int_equal (front_new (&options, &second, error, sizeof error), STATUS_INVALID_ARGUMENT);
    front_destroy (&front);
}

static void test_front__salvages_call_ids_within_bounds (void **state)
{
    (void) state;
    uint64_t call = 0;
    static const uint8_t behind_text[] = {0xa2, 3, 0x62, 'a', 'b', 2, 0x19, 1, 0};
    assert_true (front_salvage_call (bytes_of (behind_text, sizeof behind_text), &call));
    assert_int_equal (call, 256);
    for (size_t len = 0; len < sizeof behind_text; len++)
        assert_false (front_salvage_call (bytes_of (behind_text, len), &call));
    static const uint8_t long_text[] = {0xa2, 3, 0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 1};
    assert_false (front_salvage_call (bytes_of (long_text, sizeof long_text), &call));
    static const uint8_t endless[] = {0xbf, 2, 1, 0xff};
    assert_false (front_salvage_call (bytes_of (endless, sizeof endless), &call));
}

struct curve_pair {
    char public_text[41], secret_text[41];
    uint8_t public_key[32], secret_key[32];
};

static struct curve_pair make_pair (void)
{
    struct curve_pair pair;
    assert_int_equal (zmq_curve_keypair (pair.public_text, pair.secret_text), 0);
    zmq_z85_decode (pair.public_key, pair.public_text);
    zmq_z85_decode (pair.secret_key, pair.secret_text);
    return pair;
}

static zsock_t *dial_curve (const struct front *front, const struct curve_pair *own, const struct curve_pair *server)
{
    zsock_t *client = zsock_new (ZMQ_DEALER);
    zsock_set_linger (client, 0);
    zsock_set_curve_publickey_bin (client, own->public_key);
    zsock_set_curve_secretkey_bin (client, own->secret_key);
    zsock_set_curve_serverkey_bin (client, server->public_key);
    zmq_connect (zsock_resolve (client), front_endpoint (front));
    return client;
}

static void test_front__curve_admits_listed_keys_only (void **state)
{
    (void) state;
    struct zap *zap = NULL;
    assert_int_equal (zap_new (&zap), STATUS_OK);
    struct zap *second = NULL;
    assert_int_equal (zap_new (&second), STATUS_FAILED_PRECONDITION);
    struct curve_pair server = make_pair (), friend = make_pair (), stranger = make_pair ();
    struct front *front =
        open_front ((struct front_options){.public_key = server.public_key, .secret_key = server.secret_key});
    assert_int_equal (zap_allow (zap, ZAP_CLIENT, friend.public_key, "client"), STATUS_OK);
    assert_int_equal (zap_allow (zap, ZAP_PEER, stranger.public_key, "3"), STATUS_OK);
    zsock_t *bad = dial_curve (front, &stranger, &server);
    zsock_t *plain = dial (front, ZMQ_DEALER);
    send_call (bad, 1, "let me in");
    send_call (plain, 2, "me too");
    zsock_t *good = dial_curve (front, &friend, &server);
    send_call (good, 3, "hello");
    struct front_request request;
    assert_int_equal (next (front, &request), STATUS_OK);
    assert_int_equal (request.header.call, 3);
    /* The strangers are judged before or after that; nothing of them arrives. */
    for (int i = 0; i < 6000 && zap_refused (zap) == 0; i++)
        readable (front_socket (front), 10);
    assert_true (zap_refused (zap) >= 1);
    readable (front_socket (front), 50);
    assert_int_equal (front_receive (front, &request), STATUS_NOT_FOUND);
    struct zap_refusal last;
    assert_int_equal (zap_refused_last (zap, &last), zap_refused (zap));
    assert_false (last.peer);
    assert_string_equal (last.address, "127.0.0.1");
    zap_allow_any (zap, ZAP_CLIENT);
    zsock_t *anybody = dial_curve (front, &stranger, &server);
    send_call (anybody, 4, "now");
    assert_int_equal (next (front, &request), STATUS_OK);
    zsock_destroy (&anybody);
    zsock_destroy (&bad);
    zsock_destroy (&plain);
    zsock_destroy (&good);
    front_destroy (&front);
    zap_destroy (&zap);
    assert_null (zap);
}

static void test_front__accepts_nobody_after_stop (void **state)
{
    (void) state;
    struct front *front = open_front ((struct front_options){0});
    zsock_t *client = dial (front, ZMQ_DEALER);
    send_call (client, 1, "early");
    struct front_request request;
    assert_int_equal (next (front, &request), STATUS_OK);
    front_stop_accepting (front);
    front_stop_accepting (front);
    int late = raw_connect (front);
    struct front_stats stats = {0};
    while (stats.connections_cut == 0) {
        assert_true (readable (front_monitor_socket (front), WAIT_MS));
        front_watch (front);
        front_stats (front, &stats);
    }
    uint8_t sink[256];
    ssize_t got;
    while ((got = recv (late, sink, sizeof sink, 0)) > 0)
        ;
    assert_int_equal (got, 0);
    send_call (client, 3, "still here");
    assert_int_equal (next (front, &request), STATUS_OK);
    assert_int_equal (request.header.call, 3);
    close (late);
    zsock_destroy (&client);
    front_destroy (&front);
}

int main (void)
{
    safe_socket_prepare ();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_front__two_frames_in_two_frames_out),
        cmocka_unit_test (test_front__returns_the_delimiter_of_a_req),
        cmocka_unit_test (test_front__garbage_with_a_call_id_is_answered),
        cmocka_unit_test (test_front__garbage_without_a_call_id_is_dropped_and_counted),
        cmocka_unit_test (test_front__any_number_of_frames_but_two_is_refused),
        cmocka_unit_test (test_front__another_protocol_is_refused),
        cmocka_unit_test (test_front__an_oversized_frame_cuts_its_sender_only),
        cmocka_unit_test (test_front__a_frame_has_a_mebibyte_at_most),
        cmocka_unit_test (test_safe_socket__has_every_bound),
        cmocka_unit_test (test_front__connections_beyond_the_bound_are_closed),
        cmocka_unit_test (test_front__a_client_that_does_not_read_is_cut_off),
        cmocka_unit_test (test_front__a_message_without_an_end_is_cut_off),
        cmocka_unit_test (test_front__port_in_use_is_told),
        cmocka_unit_test (test_front__salvages_call_ids_within_bounds),
        cmocka_unit_test (test_front__curve_admits_listed_keys_only),
        cmocka_unit_test (test_front__accepts_nobody_after_stop),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
