/* One DEALER per node, and a monitor that says when its connection came and went: a broken connection is noticed within
 * a millisecond, an attempt's timeout is only the fallback.
 *
 * Nothing is sent where no handshake succeeded, LINGER is 0, and a broken connection's socket is closed with it: nothing
 * is queued for a node that is not there, nothing outlives its call. ZMQ_IMMEDIATE would do the same, but libzmq 4.3.4
 * looks every hundredth time that it is asked for a frame whether the connection broke, and where that is in the middle
 * of a message it ends the process at an assertion (fq.cpp: !_more).
 */
#include <errno.h>
#include <inttypes.h>

#include "client/src/client.h"

#define RENEW_MS 10        /* as ZeroMQ's own pause: a node that closes every connection is not asked all the time */
#define RENEW_AGAIN_MS 200 /* as its longest one */

/* No others: they are kept for a program that does not process them for an hour, while a port hangs up all the time. */
#define NODE_EVENTS (ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED)

static bool set_int (void *socket, int option, int value)
{
    return zmq_setsockopt (socket, option, &value, sizeof value) == 0;
}

static bool set_options (struct maitre *client, struct client_node *node)
{
    void *socket = node->socket;
    int64_t reply_max = CLIENT_REPLY_MAX;
    int queue_max = (int) (client->outstanding_max + CLIENT_OWN_CALLS) * 2;
    bool fine = set_int (socket, ZMQ_LINGER, 0) && set_int (socket, ZMQ_RECONNECT_IVL, RENEW_MS) &&
                set_int (socket, ZMQ_RECONNECT_IVL_MAX, 200) && set_int (socket, ZMQ_CONNECT_TIMEOUT, 1000) &&
                set_int (socket, ZMQ_HANDSHAKE_IVL, 3000) && set_int (socket, ZMQ_HEARTBEAT_IVL, 1000) &&
                set_int (socket, ZMQ_HEARTBEAT_TIMEOUT, 2000) && set_int (socket, ZMQ_SNDHWM, queue_max) &&
                set_int (socket, ZMQ_RCVHWM, queue_max) && set_int (socket, ZMQ_IPV6, 1) &&
                zmq_setsockopt (socket, ZMQ_MAXMSGSIZE, &reply_max, sizeof reply_max) == 0;
    if (!fine || node->key[0] == '\0' || client->client_public[0] == '\0')
        return fine;
    return zmq_setsockopt (socket, ZMQ_CURVE_SERVERKEY, node->key, CLIENT_KEY_LEN + 1) == 0 &&
           zmq_setsockopt (socket, ZMQ_CURVE_PUBLICKEY, client->client_public, CLIENT_KEY_LEN + 1) == 0 &&
           zmq_setsockopt (socket, ZMQ_CURVE_SECRETKEY, client->client_secret, CLIENT_KEY_LEN + 1) == 0;
}

/* A signal that comes in the middle of either is no reason to fail. */
static bool watch_connections (void *socket, const char *monitor)
{
    int rc;
    do
        rc = zmq_socket_monitor (socket, monitor, NODE_EVENTS);
    while (rc != 0 && errno == EINTR);
    return rc == 0;
}

static bool connect_to (void *socket, const char *endpoint)
{
    int rc;
    do
        rc = zmq_connect (socket, endpoint);
    while (rc != 0 && errno == EINTR);
    return rc == 0;
}

enum status client_node_open (struct maitre *client, struct client_node *node)
{
    char monitor[48];
    snprintf (monitor, sizeof monitor, "inproc://monitor-%" PRIu64, ++client->monitors);
    node->socket = zmq_socket (client->context, ZMQ_DEALER);
    node->monitor = zmq_socket (client->context, ZMQ_PAIR);
    if (node->socket == NULL || node->monitor == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    /* No bound for the monitor: at one, ZeroMQ's IO thread would wait for this thread. Events are few and small. */
    if (!set_options (client, node) || !set_int (node->monitor, ZMQ_LINGER, 0) ||
        !set_int (node->monitor, ZMQ_RCVHWM, 0))
        return STATUS_INVALID_ARGUMENT;
    if (!watch_connections (node->socket, monitor) || !connect_to (node->monitor, monitor))
        return STATUS_RESOURCE_EXHAUSTED;
    return connect_to (node->socket, node->endpoint) ? STATUS_OK : STATUS_INVALID_ARGUMENT;
}

void client_node_close (struct client_node *node)
{
    if (node->held_count > 0)
        zmq_msg_close (&node->held);
    node->held_count = 0;
    /* In this order: an event that finds nobody to take it blocks ZeroMQ's IO thread for good, and with it the connections
     * to all nodes. */
    if (node->socket != NULL)
        zmq_socket_monitor (node->socket, NULL, 0);
    if (node->monitor != NULL)
        zmq_close (node->monitor);
    if (node->socket != NULL)
        zmq_close (node->socket);
    node->monitor = node->socket = NULL;
    node->up = false;
}

static void close_until (struct maitre *client, struct client_node *node, uint64_t renew_us)
{
    client_loop_unwatch (client, node);
    client_node_close (node);
    node->renew_us = renew_us;
}

void client_node_renew (struct maitre *client, struct client_node *node, uint64_t now_us)
{
    maitre_assert (node->socket == NULL && !node->up);
    node->renew_us = 0;
    if (client_node_open (client, node) == STATUS_OK && client_loop_watch (client, node) == STATUS_OK)
        return;
    close_until (client, node, now_us + RENEW_AGAIN_MS * 1000); /* no memory or descriptors */
}

bool client_node_readable (struct client_node *node)
{
    int events = 0, rc;
    size_t size = sizeof events;
    do
        rc = zmq_getsockopt (node->socket, ZMQ_EVENTS, &events, &size);
    while (rc != 0 && errno == EINTR);
    return rc == 0 && (events & ZMQ_POLLIN) != 0;
}

/* The header of this attempt: what is left of the deadline, and a call number that tells the attempts apart. */
static bool make_header (struct maitre *client, const struct call *call, uint64_t now_us, zmq_msg_t *message)
{
    uint64_t left_ms = call->deadline_us > now_us ? (call->deadline_us - now_us + 999) / 1000 : 1;
    struct request_header header = {
        .protocol = 1,
        .call = (client_call_number (call) << 8) | (call->attempts & 0xff),
        .method = bytes_text (call->name),
        .has_request_id = call->has_request_id,
        .request_id = call->request_id,
        .has_remaining_ms = true,
        .remaining_ms = left_ms > CLIENT_DEADLINE_MS_MAX ? CLIENT_DEADLINE_MS_MAX : left_ms,
        .has_token = client->token_len > 0,
        .token = bytes_of (client->token, client->token_len),
        .has_many = true,
        .many = true,
    };
    uint8_t buffer[REQUEST_HEADER_ENCODED_MAX];
    size_t len = 0;
    enum status status = codec_encode (&request_header_type, &header, buffer, sizeof buffer, &len);
    maitre_assert (status == STATUS_OK);
    if (zmq_msg_init_size (message, len) != 0)
        return false;
    memcpy (zmq_msg_data (message), buffer, len);
    return true;
}

/* ZeroMQ looks at what its IO thread reported only now and then, so a fresh connection may look closed: look again. */
static bool send_frame (struct client_node *node, zmq_msg_t *frame, int flags)
{
    int rc;
    do
        rc = zmq_msg_send (frame, node->socket, flags | ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
    if (rc >= 0)
        return true;
    int events;
    size_t size = sizeof events;
    return errno == EAGAIN && zmq_getsockopt (node->socket, ZMQ_EVENTS, &events, &size) == 0 &&
           (events & ZMQ_POLLOUT) != 0 && zmq_msg_send (frame, node->socket, flags | ZMQ_DONTWAIT) >= 0;
}

/* The last frame of an open message is held back: whether another call follows it is known only then. A connection that
 * ends in the middle of a message takes all of it along, and the monitor tells: its calls go out again then. */
static bool send_held (struct client_node *node, int flags)
{
    bool sent = send_frame (node, &node->held, flags);
    zmq_msg_close (&node->held);
    return sent;
}

/* ZeroMQ drops what follows a frame that it could not send in the middle of a message, up to the message's end: ends it,
 * so that the next call is not dropped as well. */
static void end_message (struct client_node *node)
{
    int rc;
    do
        rc = zmq_send (node->socket, "", 0, ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
}

void client_node_flush (struct client_node *node)
{
    if (node->held_count == 0)
        return;
    send_held (node, 0);
    node->held_count = 0;
    node->held_bytes = 0;
    node->ready = true;
}

enum status client_node_send (struct maitre *client, struct client_node *node, struct call *call, uint64_t now_us)
{
    zmq_msg_t header, body;
    if (!make_header (client, call, now_us, &header))
        return STATUS_UNAVAILABLE;
    node->ready = true;
    if (node->held_count == CLIENT_MESSAGE_CALLS_MAX || node->held_bytes > CLIENT_MESSAGE_BYTES)
        client_node_flush (node);
    zmq_msg_init (&body);
    bool open = node->held_count > 0;
    bool sent = zmq_msg_copy (&body, &call->body) == 0 && (!open || send_held (node, ZMQ_SNDMORE)) &&
                send_frame (node, &header, ZMQ_SNDMORE);
    if (!sent && open)
        end_message (node);
    if (sent && client->gathering && node->many) {
        zmq_msg_init (&node->held);
        zmq_msg_move (&node->held, &body);
        node->held_count++;
        node->held_bytes += zmq_msg_size (&node->held);
    } else {
        sent = sent && send_frame (node, &body, 0);
        node->held_count = 0;
        node->held_bytes = 0;
    }
    zmq_msg_close (&header);
    zmq_msg_close (&body);
    return sent ? STATUS_OK : STATUS_UNAVAILABLE;
}

static bool more_follow (zmq_msg_t *frame)
{
    return zmq_msg_more (frame) != 0;
}

/* The edge that told of a frame may be swallowed when a signal comes: only EAGAIN means that there is none. */
static int receive_frame (void *socket, zmq_msg_t *frame)
{
    int rc;
    do
        rc = zmq_msg_recv (frame, socket, ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
    return rc;
}

/* The next two frames of a message: how many there were, and whether more follow. */
static int receive_pair (struct client_node *node, zmq_msg_t *header, zmq_msg_t *body, bool *more)
{
    *more = false;
    if (receive_frame (node->socket, header) < 0)
        return 0;
    if (!more_follow (header) || receive_frame (node->socket, body) < 0)
        return 1;
    *more = more_follow (body);
    return 2;
}

/* The replies of one message, dropped from the first that is none. False when there is no message now. */
static bool receive_message (struct maitre *client, struct client_node *node, uint64_t now_us)
{
    zmq_msg_t header, body;
    bool more = true, good = true, any = false;
    while (more) {
        zmq_msg_init (&header);
        zmq_msg_init (&body);
        int frames = receive_pair (node, &header, &body, &more);
        any = any || frames > 0;
        if (frames == 2 && good) {
            node->doubted = false;
            good = client_answer (client, node, bytes_of (zmq_msg_data (&header), zmq_msg_size (&header)),
                bytes_of (zmq_msg_data (&body), zmq_msg_size (&body)), more, now_us);
        }
        zmq_msg_close (&header);
        zmq_msg_close (&body);
    }
    return any;
}

bool client_node_receive (struct maitre *client, struct client_node *node, uint32_t max, uint64_t now_us)
{
    for (uint32_t i = 0; i < max; i++) {
        if (!receive_message (client, node, now_us))
            return false;
    }
    return true;
}

/* A monitor message is two frames: 16 bits of event and 32 of value in the machine's order, then the endpoint. */
static bool next_event (struct client_node *node, uint16_t *event)
{
    zmq_msg_t frame;
    zmq_msg_init (&frame);
    bool got = receive_frame (node->monitor, &frame) >= 0;
    *event = 0;
    if (got && zmq_msg_size (&frame) >= sizeof *event)
        memcpy (event, zmq_msg_data (&frame), sizeof *event);
    while (got && more_follow (&frame) && receive_frame (node->monitor, &frame) >= 0)
        continue;
    zmq_msg_close (&frame);
    return got;
}

void client_node_listen (struct maitre *client, struct client_node *node, uint64_t now_us)
{
    uint16_t event;
    bool refused = false; /* the last connection ended before it was up */
    while (next_event (node, &event)) {
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            refused = false;
            node->up = true;
            node->doubted = false;
            client_retry_waiting (client, now_us);
        } else if (event == ZMQ_EVENT_DISCONNECTED && node->up) {
            client_node_flush (node); /* what is open belongs to the connection that is gone */
            /* What had arrived before the break still counts; what its callbacks start goes elsewhere. */
            node->up = false;
            while (client_node_receive (client, node, UINT32_MAX, now_us))
                continue;
            node->many = false;
            close_until (client, node, now_us + RENEW_MS * 1000);
            client_retry_lost (client, node, now_us);
        } else if (event == ZMQ_EVENT_DISCONNECTED) {
            refused = true;
        }
    }
    /* ZeroMQ tries again by itself, but never after what it calls a violation of the protocol: a stranger on the port, a node
     * without its keys, or one whose list does not have the client's key yet. */
    if (refused)
        close_until (client, node, now_us + RENEW_AGAIN_MS * 1000);
}
