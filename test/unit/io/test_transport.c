#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/transport/transport.h"
#include "node/transport/transport_outbox.h"
#include "router/front/safe_socket.h"
#include "router/front/zap.h"

#define WAIT_MS 60000
#define LOOPBACK "tcp://127.0.0.1:*"

struct curve_pair {
    uint8_t public_key[32], secret_key[32];
};

static struct curve_pair make_pair (void)
{
    struct curve_pair pair;
    char public_text[41], secret_text[41];
    assert_int_equal (zmq_curve_keypair (public_text, secret_text), 0);
    zmq_z85_decode (pair.public_key, public_text);
    zmq_z85_decode (pair.secret_key, secret_text);
    return pair;
}

static struct transport *open_node (uint32_t node, uint8_t cluster, const struct curve_pair *pair)
{
    struct transport_options options = {
        .node = node,
        .cluster = {.b = {cluster}},
        .peer_endpoint = LOOPBACK,
        .gossip_endpoint = LOOPBACK,
        .public_key = pair == NULL ? NULL : pair->public_key,
        .secret_key = pair == NULL ? NULL : pair->secret_key,
    };
    struct transport *transport = NULL;
    char error[512];
    assert_int_equal (transport_new (&options, &transport, error, sizeof error), STATUS_OK);
    return transport;
}

static void dial (struct transport *from, const struct transport *to, uint32_t node, const struct curve_pair *pair)
{
    struct transport_peer peer = {
        .node = node,
        .peer_endpoint = transport_peer_endpoint (to),
        .gossip_endpoint = transport_gossip_endpoint (to),
        .public_key = pair == NULL ? NULL : pair->public_key,
    };
    assert_int_equal (transport_add_peer (from, &peer), STATUS_OK);
}

static void wait_readable (struct transport *transport)
{
    zmq_pollitem_t items[TRANSPORT_PEERS_MAX + 2];
    size_t count = transport_poll_items (transport, items, sizeof items / sizeof *items);
    assert_true (zmq_poll (items, (int) count, WAIT_MS) > 0);
}

static void wait_event (struct transport *transport, enum transport_event_type type, uint32_t node)
{
    struct transport_event event;
    while (!transport_next_event (transport, &event))
        wait_readable (transport);
    assert_int_equal (event.type, type);
    assert_int_equal (event.node, node);
}

static void put (struct transport *transport, uint32_t node, enum transport_lane lane, enum transport_section section,
    const char *text)
{
    uint8_t *room = transport_reserve (transport, node, lane, section, 1000);
    assert_non_null (room);
    memcpy (room, text, strlen (text));
    transport_commit (transport, strlen (text));
}

static void receive (struct transport *transport, struct peer_frame *frame)
{
    enum status status;
    while ((status = transport_receive (transport, frame)) == STATUS_NOT_FOUND)
        wait_readable (transport);
    assert_int_equal (status, STATUS_OK);
}

static bool is (struct bytes item, const char *text)
{
    return bytes_equal (item, bytes_text (text));
}

static void test_transport__one_frame_a_turn_in_order (void **state)
{
    (void) state;
    struct transport *one = open_node (1, 7, NULL), *two = open_node (2, 7, NULL);
    dial (one, two, 2, NULL);
    assert_false (transport_link_up (one, 2));
    assert_null (transport_reserve (one, 2, TRANSPORT_NOW, TRANSPORT_RAFT, 10));
    wait_event (one, TRANSPORT_UP, 2);
    assert_true (transport_link_up (one, 2));
    put (one, 2, TRANSPORT_NOW, TRANSPORT_RAFT, "a");
    put (one, 2, TRANSPORT_NOW, TRANSPORT_CALLS, "call");
    put (one, 2, TRANSPORT_NOW, TRANSPORT_RAFT, "b");
    transport_flush (one);
    struct peer_frame frame;
    receive (two, &frame);
    assert_int_equal (frame.from, 1);
    assert_int_equal (frame.raft_count, 2);
    assert_true (is (frame.raft[0], "a") && is (frame.raft[1], "b"));
    assert_int_equal (frame.calls_count, 1);
    assert_true (is (frame.calls[0], "call"));
    assert_int_equal (transport_receive (two, &frame), STATUS_NOT_FOUND);
    transport_destroy (&one);
    transport_destroy (&two);
}

static void test_transport__after_waits_for_its_release (void **state)
{
    (void) state;
    struct transport *one = open_node (1, 7, NULL), *two = open_node (2, 7, NULL);
    dial (one, two, 2, NULL);
    wait_event (one, TRANSPORT_UP, 2);
    struct peer_frame frame;
    put (one, 2, TRANSPORT_AFTER, TRANSPORT_RAFT, "first turn");
    transport_seal (one);
    put (one, 2, TRANSPORT_AFTER, TRANSPORT_RAFT, "second turn");
    put (one, 2, TRANSPORT_NOW, TRANSPORT_RAFT, "now");
    transport_flush (one);
    receive (two, &frame);
    assert_int_equal (frame.raft_count, 1);
    assert_true (is (frame.raft[0], "now"));
    put (one, 2, TRANSPORT_NOW, TRANSPORT_RAFT, "now again");
    transport_release (one);
    transport_flush (one);
    receive (two, &frame);
    assert_int_equal (frame.raft_count, 2);
    assert_true (is (frame.raft[0], "now again") && is (frame.raft[1], "first turn"));
    transport_seal (one);
    transport_release (one);
    transport_flush (one);
    receive (two, &frame);
    assert_int_equal (frame.raft_count, 1);
    assert_true (is (frame.raft[0], "second turn"));
    transport_destroy (&one);
    transport_destroy (&two);
}

static void test_transport__a_dead_peer_is_an_event_and_forgets_what_waits (void **state)
{
    (void) state;
    struct transport *one = open_node (1, 7, NULL), *two = open_node (2, 7, NULL);
    dial (one, two, 2, NULL);
    wait_event (one, TRANSPORT_UP, 2);
    put (one, 2, TRANSPORT_AFTER, TRANSPORT_RAFT, "never sent");
    transport_seal (one);
    char endpoint[TRANSPORT_ENDPOINT_BYTES_MAX + 1], gossip[TRANSPORT_ENDPOINT_BYTES_MAX + 1];
    strcpy (endpoint, transport_peer_endpoint (two));
    strcpy (gossip, transport_gossip_endpoint (two));
    transport_destroy (&two);
    wait_event (one, TRANSPORT_DOWN, 2);
    assert_false (transport_link_up (one, 2));
    transport_release (one);
    transport_flush (one);
    /* It comes back under its address: the link does too, by itself. */
    struct transport_options options = {
        .node = 2, .cluster = {.b = {7}}, .peer_endpoint = endpoint, .gossip_endpoint = gossip};
    char error[512];
    enum status status = transport_new (&options, &two, error, sizeof error);
    for (int i = 0; i < 60000 && status != STATUS_OK; i++) {
        /* The old socket is closed by ZeroMQ's own threads. */
        zmq_poll (NULL, 0, 1);
        status = transport_new (&options, &two, error, sizeof error);
    }
    assert_int_equal (status, STATUS_OK);
    wait_event (one, TRANSPORT_UP, 2);
    put (one, 2, TRANSPORT_NOW, TRANSPORT_RAFT, "hello again");
    transport_flush (one);
    struct peer_frame frame;
    receive (two, &frame);
    assert_int_equal (frame.raft_count, 1);
    assert_true (is (frame.raft[0], "hello again"));
    transport_destroy (&one);
    transport_destroy (&two);
}

static void test_transport__another_cluster_is_refused (void **state)
{
    (void) state;
    struct transport *one = open_node (1, 8, NULL), *two = open_node (2, 7, NULL);
    dial (one, two, 2, NULL);
    wait_event (one, TRANSPORT_UP, 2);
    put (one, 2, TRANSPORT_NOW, TRANSPORT_RAFT, "wrong door");
    transport_flush (one);
    struct peer_frame frame;
    enum status status;
    while ((status = transport_receive (two, &frame)) == STATUS_NOT_FOUND)
        wait_readable (two);
    assert_int_equal (status, STATUS_INVALID_ARGUMENT);
    struct transport_stats stats;
    transport_stats (two, &stats);
    assert_int_equal (stats.frames_refused, 1);
    transport_destroy (&one);
    transport_destroy (&two);
}

static void test_transport__garbage_is_refused (void **state)
{
    (void) state;
    struct transport *two = open_node (2, 7, NULL);
    zsock_t *stranger = zsock_new (ZMQ_DEALER);
    zsock_set_linger (stranger, 0);
    assert_int_equal (zmq_connect (zsock_resolve (stranger), transport_peer_endpoint (two)), 0);
    assert_int_equal (zmq_connect (zsock_resolve (stranger), transport_gossip_endpoint (two)), 0);
    static const uint8_t hostile[] = {0xff, 0x80, 0, 0, 0, 0, 0, 0, 0};
    for (int i = 0; i < 2; i++)
        zmq_send (zsock_resolve (stranger), hostile, sizeof hostile, 0);
    for (int i = 0; i < 4; i++)
        zmq_send (zsock_resolve (stranger), "x", 1, i == 1 || i == 3 ? 0 : ZMQ_SNDMORE);
    struct peer_frame frame;
    struct bytes message;
    uint32_t node;
    for (int seen = 0; seen < 4;) {
        wait_readable (two);
        enum status status = transport_receive (two, &frame);
        seen += status != STATUS_NOT_FOUND;
        assert_int_not_equal (status, STATUS_OK);
        /* Gossip hands out single frames as they are: its own reader judges them. */
        status = transport_gossip_receive (two, &message, &node);
        seen += status != STATUS_NOT_FOUND;
    }
    zsock_destroy (&stranger);
    transport_destroy (&two);
}

/* A port where every handshake fails: whoever connects is sent no greeting and shut out. */
static int listen_somewhere (char endpoint[64])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true (fd >= 0 && bind (fd, (struct sockaddr *) &address, len) == 0 && listen (fd, 16) == 0);
    assert_int_equal (getsockname (fd, (struct sockaddr *) &address, &len), 0);
    snprintf (endpoint, 64, "tcp://127.0.0.1:%u", ntohs (address.sin_port));
    return fd;
}

static zsock_t *dial_raw (const char *endpoint)
{
    zsock_t *socket = zsock_new (ZMQ_DEALER);
    assert_non_null (socket);
    zsock_set_linger (socket, 0);
    assert_int_equal (zmq_connect (zsock_resolve (socket), endpoint), 0);
    return socket;
}

/* C4: what is in them would be a good frame each time. */
static void test_transport__a_message_is_one_frame (void **state)
{
    (void) state;
    struct transport *two = open_node (2, 7, NULL);
    zsock_t *peer = dial_raw (transport_peer_endpoint (two)), *gossip = dial_raw (transport_gossip_endpoint (two));
    struct peer_frame frame = {.cluster = {.b = {7}}, .from = 1, .uuid = {.b = {9}}};
    uint8_t good[128];
    size_t len;
    assert_int_equal (codec_encode (&peer_frame_type, &frame, good, sizeof good, &len), STATUS_OK);
    for (int frames = 1; frames <= 3; frames++) {
        for (int i = 1; i <= frames; i++) {
            int more = i < frames ? ZMQ_SNDMORE : 0;
            assert_int_equal (zmq_send (zsock_resolve (peer), good, len, more), (int) len);
            assert_int_equal (zmq_send (zsock_resolve (gossip), "news", 4, more), 4);
        }
        enum status expected = frames == 1 ? STATUS_OK : STATUS_INVALID_ARGUMENT, status;
        struct bytes message;
        uint32_t node;
        while ((status = transport_receive (two, &frame)) == STATUS_NOT_FOUND)
            wait_readable (two);
        assert_int_equal (status, expected);
        while ((status = transport_gossip_receive (two, &message, &node)) == STATUS_NOT_FOUND)
            wait_readable (two);
        assert_int_equal (status, expected);
    }
    zsock_destroy (&peer);
    zsock_destroy (&gossip);
    transport_destroy (&two);
}

/* The engine waits for an edge: what transport_next_event leaves in a monitor when it says "nothing" is not heard of again. */
static void test_transport__handshakes_that_fail_do_not_hide_what_follows (void **state)
{
    (void) state;
    enum { FAILURES = 30 };
    struct transport *one = open_node (1, 7, NULL);
    char endpoint[64];
    int listener = listen_somewhere (endpoint);
    struct transport_peer peer = {.node = 2, .peer_endpoint = endpoint, .gossip_endpoint = endpoint};
    assert_int_equal (transport_add_peer (one, &peer), STATUS_OK);
    for (int i = 0; i < FAILURES; i++) { /* nobody reads the monitor meanwhile */
        int fd = accept (listener, NULL, NULL);
        assert_true (fd >= 0);
        close (fd);
    }
    /* Nothing changes any more: the listener takes no further connection, and keeps those in its queue. */
    zmq_pollitem_t items[3];
    assert_int_equal (transport_poll_items (one, items, 3), 3);
    assert_true (zmq_poll (&items[2], 1, WAIT_MS) == 1);
    struct transport_event event;
    int reads = 0;
    do {
        assert_false (transport_next_event (one, &event));
        reads++;
    } while (zmq_poll (&items[2], 1, 0) == 1);
    /* One, and another for an event that came meanwhile: not a read for each two of the failures. */
    assert_true (reads <= 3);
    close (listener);
    transport_destroy (&one);
}

static void test_transport__curve_binds_a_frame_to_its_node (void **state)
{
    (void) state;
    struct zap *zap = NULL;
    assert_int_equal (zap_new (&zap), STATUS_OK);
    struct curve_pair keys[4] = {make_pair (), make_pair (), make_pair (), make_pair ()};
    assert_int_equal (zap_allow (zap, ZAP_PEER, keys[1].public_key, "1"), STATUS_OK);
    assert_int_equal (zap_allow (zap, ZAP_PEER, keys[2].public_key, "2"), STATUS_OK);
    struct transport *one = open_node (1, 7, &keys[1]), *two = open_node (2, 7, &keys[2]);
    /* Node 3's number under node 1's key, and a key that nobody listed. */
    struct transport *liar = open_node (3, 7, &keys[1]), *stranger = open_node (1, 7, &keys[3]);
    dial (one, two, 2, &keys[2]);
    dial (liar, two, 2, &keys[2]);
    dial (stranger, two, 2, &keys[2]);
    wait_event (liar, TRANSPORT_UP, 2);
    put (liar, 2, TRANSPORT_NOW, TRANSPORT_RAFT, "I am 3");
    transport_flush (liar);
    struct peer_frame frame;
    enum status status;
    while ((status = transport_receive (two, &frame)) == STATUS_NOT_FOUND)
        wait_readable (two);
    assert_int_equal (status, STATUS_INVALID_ARGUMENT);
    wait_event (one, TRANSPORT_UP, 2);
    put (one, 2, TRANSPORT_NOW, TRANSPORT_RAFT, "I am 1");
    transport_flush (one);
    receive (two, &frame);
    assert_int_equal (frame.from, 1);
    assert_false (transport_link_up (stranger, 2));
    struct zap_refusal last;
    while (zap_refused_last (zap, &last) == 0)
        zmq_poll (NULL, 0, 1);
    assert_true (last.peer);
    transport_destroy (&one);
    transport_destroy (&two);
    transport_destroy (&liar);
    transport_destroy (&stranger);
    zap_destroy (&zap);
}

static void test_transport__gossip_has_its_own_way (void **state)
{
    (void) state;
    struct transport *one = open_node (1, 7, NULL), *two = open_node (2, 7, NULL);
    dial (one, two, 2, NULL);
    struct bytes endpoint = bytes_text (transport_gossip_endpoint (two));
    while (transport_gossip_send (one, endpoint, BYTES_LITERAL ("ping")) == STATUS_UNAVAILABLE)
        zmq_poll (NULL, 0, 1);
    struct bytes message;
    uint32_t node;
    while (transport_gossip_receive (two, &message, &node) == STATUS_NOT_FOUND)
        wait_readable (two);
    assert_true (is (message, "ping"));
    assert_int_equal (transport_gossip_send (one, BYTES_LITERAL ("tcp://127.0.0.1:1"), message), STATUS_NOT_FOUND);
    struct peer_frame frame;
    assert_int_equal (transport_receive (two, &frame), STATUS_NOT_FOUND);
    transport_destroy (&one);
    transport_destroy (&two);
}

static void test_transport__bulk_arrives_beside_the_rest (void **state)
{
    (void) state;
    struct transport *one = open_node (1, 7, NULL), *two = open_node (2, 7, NULL);
    dial (one, two, 2, NULL);
    wait_event (one, TRANSPORT_UP, 2);
    uint8_t *room = transport_reserve (one, 2, TRANSPORT_BULK, TRANSPORT_CHUNKS, 200000);
    memset (room, 1, 200000);
    transport_commit (one, 200000);
    struct peer_frame frame;
    enum status status = STATUS_NOT_FOUND;
    while (status == STATUS_NOT_FOUND) {
        transport_flush (one);
        zmq_pollitem_t items[4];
        size_t count = transport_poll_items (two, items, 4);
        zmq_poll (items, (int) count, 2);
        status = transport_receive (two, &frame);
    }
    assert_int_equal (status, STATUS_OK);
    assert_int_equal (frame.chunks_count, 1);
    assert_int_equal (frame.chunks[0].len, 200000);
    transport_destroy (&one);
    transport_destroy (&two);
}

/* ---- the outbox */

static void add (struct outbox *outbox, unsigned section, size_t len, uint8_t fill)
{
    uint8_t *room = outbox_reserve (outbox, section, len + 10);
    assert_non_null (room);
    memset (room, fill, len);
    outbox_commit (outbox, len);
}

static void test_outbox__writes_what_a_strict_reader_reads (void **state)
{
    (void) state;
    static const size_t lens[] = {1, 23, 24, 255, 256, 65535, 65536};
    struct outbox_sender sender = {.cluster = {.b = {9}}, .uuid = {.b = {8}}, .node = 300};
    struct outbox outbox;
    outbox_init (&outbox);
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++)
        add (&outbox, TRANSPORT_RAFT, lens[i], (uint8_t) i);
    size_t size = outbox_frame_size (&outbox, &sender);
    uint8_t *bytes = malloc (size);
    outbox_frame_write (&outbox, &sender, bytes);
    uint64_t memory[PEER_FRAME_ARENA_MAX / 8 + 1];
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    struct peer_frame frame;
    assert_int_equal (
        codec_decode (&peer_frame_type, bytes_of (bytes, size), CODEC_STRICT, &arena, &frame, NULL), STATUS_OK);
    assert_int_equal (frame.from, 300);
    assert_true (id_equal (&frame.uuid, &sender.uuid));
    assert_int_equal (frame.raft_count, 7);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal (frame.raft[i].len, lens[i]);
        assert_int_equal (frame.raft[i].data[lens[i] - 1], i);
    }
    free (bytes);
    outbox_close (&outbox);
}

static void test_outbox__splits_frames_and_refuses_beyond_the_bound (void **state)
{
    (void) state;
    struct outbox outbox;
    outbox_init (&outbox);
    for (int i = 0; i < 1500; i++)
        add (&outbox, TRANSPORT_RAFT, 1, 1);
    assert_int_equal (outbox.frames, 2);
    assert_int_equal (outbox_frame_count (&outbox, TRANSPORT_RAFT), PEER_FRAME_RAFT_COUNT_MAX);
    int accepted = 0;
    while (outbox_reserve (&outbox, TRANSPORT_CALLS, 600000) != NULL) {
        outbox_commit (&outbox, 600000);
        accepted++;
        assert_true (accepted <= OUTBOX_FRAMES_MAX);
    }
    assert_int_equal (outbox.frames, OUTBOX_FRAMES_MAX);
    outbox_clear (&outbox);
    assert_true (outbox_empty (&outbox));
    add (&outbox, TRANSPORT_RAFT, 5, 2);
    outbox_close (&outbox);
}

static void test_outbox__append_keeps_order_and_bounds (void **state)
{
    (void) state;
    struct outbox to, from;
    outbox_init (&to);
    outbox_init (&from);
    add (&to, TRANSPORT_RAFT, 3, 1);
    add (&from, TRANSPORT_RAFT, 3, 2);
    outbox_append (&to, &from);
    assert_int_equal (to.frames, 1);
    assert_int_equal (outbox_frame_count (&to, TRANSPORT_RAFT), 2);
    assert_true (outbox_empty (&from));
    add (&from, TRANSPORT_RAFT, 200000, 3);
    outbox_append (&to, &from);
    assert_int_equal (to.frames, 2);
    for (int i = 0; i < OUTBOX_FRAMES_MAX; i++)
        add (&from, TRANSPORT_CALLS, 900000, 4);
    outbox_append (&to, &from);
    assert_int_equal (to.frames, OUTBOX_FRAMES_MAX);
    assert_false (outbox_empty (&from));
    outbox_close (&to);
    outbox_close (&from);
}

int main (void)
{
    safe_socket_prepare ();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_transport__one_frame_a_turn_in_order),
        cmocka_unit_test (test_transport__after_waits_for_its_release),
        cmocka_unit_test (test_transport__a_dead_peer_is_an_event_and_forgets_what_waits),
        cmocka_unit_test (test_transport__another_cluster_is_refused),
        cmocka_unit_test (test_transport__garbage_is_refused),
        cmocka_unit_test (test_transport__a_message_is_one_frame),
        cmocka_unit_test (test_transport__handshakes_that_fail_do_not_hide_what_follows),
        cmocka_unit_test (test_transport__curve_binds_a_frame_to_its_node),
        cmocka_unit_test (test_transport__gossip_has_its_own_way),
        cmocka_unit_test (test_transport__bulk_arrives_beside_the_rest),
        cmocka_unit_test (test_outbox__writes_what_a_strict_reader_reads),
        cmocka_unit_test (test_outbox__splits_frames_and_refuses_beyond_the_bound),
        cmocka_unit_test (test_outbox__append_keeps_order_and_bounds),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
