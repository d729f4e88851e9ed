#include "router/front/front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/front/front_connections.h"
#include "router/front/front_outbox.h"
#include "router/front/safe_socket.h"
#include "router/front/zap.h"
#include "schemas/runtime/assert.h"

#define HEARTBEAT_MS 5000
#define MONITOR_EVENTS_A_TURN 1024

struct front {
    struct front_options options;
    zsock_t *router;
    zsock_t *monitor;
    void *raw; /* of router */
    struct front_connections *connections;
    bool accepting;
    struct front_outbox *outbox;
    bool flushed;                   /* because it was full */
    zmq_msg_t identity, head, body; /* of the last request: lent out */
    bool open;                      /* more of that message has yet to be received */
    bool delimiter;                 /* of that message */
    uint32_t taken;                 /* calls of that message */
    struct front_stats stats;
    char endpoint[SAFE_SOCKET_ENDPOINT_BYTES_MAX + 1];
};

static uint16_t port_of (const char *endpoint)
{
    const char *colon = strrchr (endpoint, ':');
    return colon == NULL ? 0 : (uint16_t) strtoul (colon + 1, NULL, 10);
}

static void set_defaults (struct front_options *options)
{
    if (options->connections_max == 0)
        options->connections_max = 4096;
    if (options->frame_bytes_max == 0)
        options->frame_bytes_max = 1024 * 1024;
    if (options->send_queue_max == 0)
        options->send_queue_max = 4096;
    if (options->receive_queue_max == 0)
        options->receive_queue_max = 1024;
    if (options->unfinished_bytes_max == 0)
        options->unfinished_bytes_max = 16 * 1024 * 1024;
}

static enum status open_socket (struct front *front, char *error, size_t error_size)
{
    struct safe_socket_options options = {
        .type = ZMQ_ROUTER,
        .send_queue_max = front->options.send_queue_max,
        .receive_queue_max = front->options.receive_queue_max,
        .frame_bytes_max = front->options.frame_bytes_max,
        .heartbeat_ms = HEARTBEAT_MS,
        .zap_domain = zap_domain_name (ZAP_CLIENT),
        .public_key = front->options.public_key,
        .secret_key = front->options.secret_key,
    };
    front->router = safe_socket_new (&options);
    if (front->router == NULL) {
        snprintf (error, error_size, "no memory or descriptors for the clients' socket: raise ulimit -n");
        return STATUS_RESOURCE_EXHAUSTED;
    }
    front->raw = zsock_resolve (front->router);
    front->monitor = safe_socket_monitor (front->router, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED);
    if (front->monitor == NULL) {
        snprintf (error, error_size, "no memory or descriptors to watch the clients' socket: raise ulimit -n");
        return STATUS_RESOURCE_EXHAUSTED;
    }
    return safe_socket_bind (front->router, front->options.endpoint, front->endpoint, error, error_size);
}

enum status front_new (const struct front_options *options, struct front **out, char *error, size_t error_size)
{
    struct front *front = calloc (1, sizeof *front);
    if (front == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    front->options = *options;
    set_defaults (&front->options);
    zmq_msg_init (&front->identity);
    zmq_msg_init (&front->head);
    zmq_msg_init (&front->body);
    enum status status = open_socket (front, error, error_size);
    if (status == STATUS_OK) {
        front->connections = front_connections_new (port_of (front->endpoint));
        front->outbox = front_outbox_new ();
        if (front->connections == NULL || front->outbox == NULL)
            status = STATUS_RESOURCE_EXHAUSTED;
    }
    if (status != STATUS_OK) {
        front_destroy (&front);
        return status;
    }
    front->accepting = true;
    *out = front;
    return STATUS_OK;
}

void front_destroy (struct front **self_p)
{
    struct front *front = *self_p;
    if (front == NULL)
        return;
    zmq_msg_close (&front->identity);
    zmq_msg_close (&front->head);
    zmq_msg_close (&front->body);
    safe_socket_monitor_stop (front->router, &front->monitor);
    zsock_destroy (&front->router);
    front_connections_destroy (&front->connections);
    front_outbox_destroy (&front->outbox);
    free (front);
    *self_p = NULL;
}

const char *front_endpoint (const struct front *front)
{
    return front->endpoint;
}

void *front_socket (struct front *front)
{
    return front->raw;
}

void *front_monitor_socket (struct front *front)
{
    return zsock_resolve (front->monitor);
}

bool front_watch (struct front *front)
{
    uint32_t event, fd;
    for (int i = 0; i < MONITOR_EVENTS_A_TURN; i++) {
        if (!safe_socket_monitor_next (front->monitor, &event, &fd))
            return true;
        if (event == ZMQ_EVENT_DISCONNECTED) {
            front_connections_ended (front->connections, (int) fd);
        } else if (event == ZMQ_EVENT_ACCEPTED) {
            front_connections_accepted (front->connections, (int) fd);
            /* C4: a flood of connections costs the flood, not the clients that are in. */
            bool full = front_connections_count (front->connections) > front->options.connections_max;
            if ((full || !front->accepting) && front_connections_cut (front->connections, (int) fd,
                                                   front_connections_generation (front->connections, (int) fd)))
                front->stats.connections_cut++;
        }
    }
    return false;
}

void front_tick (struct front *front)
{
    front->stats.unfinished_cut += front_connections_sweep (front->connections, front->options.unfinished_bytes_max);
}

/* ---- requests */

static void take_client (struct front *front, struct front_client *client)
{
    client->many = false;
    client->delimiter = front->delimiter;
    client->identity_len = (uint8_t) zmq_msg_size (&front->identity);
    memcpy (client->identity, zmq_msg_data (&front->identity), client->identity_len);
    client->fd = zmq_msg_get (&front->head, ZMQ_SRCFD);
    client->generation = front_connections_generation (front->connections, client->fd);
    front_connections_progress (front->connections, client->fd);
}

/* Receives the identity and what may be the empty frame of a REQ. False when nothing is there. */
static bool open_message (struct front *front)
{
    front->delimiter = false;
    front->open = false;
    front->taken = 0;
    if (safe_socket_receive (front->raw, &front->identity, ZMQ_DONTWAIT) < 0)
        return false;
    front->open = zmq_msg_more (&front->identity);
    return true;
}

/* A ROUTER hands a message out whole: its other frames are here already. */
static bool next_frame (struct front *front, zmq_msg_t *frame)
{
    if (!front->open || safe_socket_receive (front->raw, frame, 0) < 0) {
        front->open = false;
        return false;
    }
    front->open = zmq_msg_more (frame);
    return true;
}

/* Receives the next call of the message into front->head and body; returns how many of the two frames there are. */
static int receive_call (struct front *front)
{
    if (!next_frame (front, &front->head))
        return 0;
    if (front->taken == 0 && zmq_msg_size (&front->head) == 0 && front->open) {
        front->delimiter = true;
        if (!next_frame (front, &front->head))
            return 0;
    }
    front->taken++;
    return next_frame (front, &front->body) ? 2 : 1;
}

static void skip_rest (struct front *front)
{
    while (next_frame (front, &front->body))
        continue;
}

static void refuse (struct front *front, const struct front_client *client, const char *reason, const char *message)
{
    uint64_t call;
    struct bytes head = bytes_of (zmq_msg_data (&front->head), zmq_msg_size (&front->head));
    if (!front_salvage_call (head, &call)) {
        front->stats.dropped++;
        return;
    }
    front->stats.invalid++;
    struct reply_header header = {
        .protocol = FRONT_PROTOCOL,
        .call = call,
        .status = STATUS_INVALID_ARGUMENT,
        .has_reason = true,
        .reason = bytes_text (reason),
        .has_message = true,
        .message = bytes_text (message),
    };
    enum status status = front_reply (front, client, &header, (struct bytes){0});
    (void) status; /* counted there; a client that sends garbage and leaves is owed nothing */
}

static enum status refuse_frames (struct front *front, const struct front_client *client)
{
    skip_rest (front);
    refuse (front, client, "BAD_FRAMES",
        "a call is exactly two frames, a message has at most 32 of them, and more than one only where each header says "
        "many: send a header and a body");
    return STATUS_INVALID_ARGUMENT;
}

enum status front_receive (struct front *front, struct front_request *request)
{
    if (!front->open && !open_message (front))
        return STATUS_NOT_FOUND;
    int frames = receive_call (front);
    if (zmq_msg_size (&front->identity) > FRONT_IDENTITY_BYTES_MAX || frames == 0) {
        skip_rest (front);
        front->stats.dropped++;
        return STATUS_INVALID_ARGUMENT;
    }
    take_client (front, &request->client);
    if (frames != 2 || front->taken > FRONT_CALLS_MAX)
        return refuse_frames (front, &request->client);
    struct bytes head = bytes_of (zmq_msg_data (&front->head), zmq_msg_size (&front->head));
    struct codec_error error;
    enum status status = codec_decode (&request_header_type, head, CODEC_LENIENT, NULL, &request->header, &error);
    if (status != STATUS_OK) {
        char message[CODEC_PATH_SIZE + 128];
        snprintf (message, sizeof message, "header %s: %s: correct the header", error.path, error.message);
        refuse (front, &request->client, "BAD_HEADER", message);
        return STATUS_INVALID_ARGUMENT;
    }
    if (request->header.protocol != FRONT_PROTOCOL) {
        refuse (front, &request->client, "BAD_PROTOCOL",
            "this node speaks protocol 1: use a client library of that protocol");
        return STATUS_INVALID_ARGUMENT;
    }
    request->client.many = request->header.has_many && request->header.many && !front->delimiter;
    if (front->open && !request->client.many)
        return refuse_frames (front, &request->client);
    request->body = bytes_of (zmq_msg_data (&front->body), zmq_msg_size (&front->body));
    front->stats.requests++;
    return STATUS_OK;
}

void front_address (struct front *front, char out[FRONT_ADDRESS_BYTES_MAX + 1])
{
    const char *address = zmq_msg_gets (&front->head, "Peer-Address");
    snprintf (out, FRONT_ADDRESS_BYTES_MAX + 1, "%s", address == NULL ? "" : address);
}

/* ---- replies */

static enum status send_frame (struct front *front, struct bytes frame, bool more)
{
    int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
    if (safe_socket_send (front->raw, frame.data, frame.len, flags) >= 0)
        return STATUS_OK;
    return zmq_errno () == EAGAIN ? STATUS_RESOURCE_EXHAUSTED : STATUS_NOT_FOUND;
}

/* The frames behind the identity: once that found its connection they follow it, ZeroMQ takes a message whole. */
static enum status send_replies (struct front *front, const struct front_message *message)
{
    enum status status = STATUS_OK;
    if (message->client->delimiter)
        status = send_frame (front, (struct bytes){0}, true);
    for (size_t i = 0; i < message->count && status == STATUS_OK; i++) {
        status = send_frame (front, message->replies[i].head, true);
        if (status == STATUS_OK)
            status = send_frame (front, message->replies[i].body, i + 1 < message->count);
    }
    return status;
}

static void send_message (struct front *front, const struct front_message *message)
{
    const struct front_client *client = message->client;
    enum status status = send_frame (front, bytes_of (client->identity, client->identity_len), true);
    if (status == STATUS_RESOURCE_EXHAUSTED) {
        if (front_connections_cut (front->connections, client->fd, client->generation))
            front->stats.slow_cut++;
        return;
    }
    if (status == STATUS_OK)
        status = send_replies (front, message);
    if (status == STATUS_OK)
        front->stats.replies += message->count;
    else
        front->stats.gone += message->count;
}

bool front_flush (struct front *front)
{
    struct front_message message;
    bool sent = front->flushed;
    front->flushed = false;
    while (front_outbox_next (front->outbox, &message)) {
        send_message (front, &message);
        sent = true;
    }
    front_outbox_clear (front->outbox);
    return sent;
}

enum status front_reply (
    struct front *front, const struct front_client *client, const struct reply_header *header, struct bytes body)
{
    uint8_t head[REPLY_HEADER_ENCODED_MAX];
    size_t head_len;
    struct reply_header told = *header;
    told.has_many = told.many = client->many;
    enum status status = codec_encode (&reply_header_type, &told, head, sizeof head, &head_len);
    if (status != STATUS_OK)
        return STATUS_INVALID_ARGUMENT;
    if (front_outbox_full (front->outbox, head_len + body.len))
        front->flushed = front_flush (front);
    return front_outbox_add (front->outbox, client, bytes_of (head, head_len), body);
}

void front_stop_accepting (struct front *front)
{
    /* Unbinding would end the connections that are up as well: ZeroMQ's listener owns their sessions. */
    front->accepting = false;
}

void front_stats (const struct front *front, struct front_stats *stats)
{
    *stats = front->stats;
    stats->connections = front_connections_count (front->connections);
}
