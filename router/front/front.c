#include "router/front/front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/front/front_connections.h"
#include "router/front/front_inbox.h"
#include "router/front/front_outbox.h"
#include "router/front/safe_socket.h"
#include "router/front/zap.h"
#include "schemas/runtime/assert.h"

#define HEARTBEAT_MS 5000
#define MONITOR_EVENTS_A_TURN 1024
#define MIB (UINT64_C (1024) * 1024)

struct front {
    struct front_options options;
    zsock_t *router;
    zsock_t *monitor;
    void *raw; /* of router */
    struct front_connections *connections;
    bool accepting;
    struct front_outbox *outbox;
    bool flushed; /* because it was full */
    struct front_inbox *inbox;
    struct front_call *call; /* the last request: lent out */
    zmq_msg_t frame;         /* received last */
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
        options->receive_queue_max = 256;
    if (options->send_bytes_max == 0)
        options->send_bytes_max = 64 * MIB;
    if (options->waiting_calls_max == 0)
        options->waiting_calls_max = 16384;
    if (options->waiting_bytes_max == 0)
        options->waiting_bytes_max = 64 * MIB;
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
    zmq_msg_init (&front->frame);
    enum status status = open_socket (front, error, error_size);
    if (status == STATUS_OK) {
        front->connections = front_connections_new (port_of (front->endpoint));
        front->outbox = front_outbox_new ();
        front->inbox = front_inbox_new (&(struct front_inbox_limits){.calls_max = front->options.waiting_calls_max,
            .bytes_max = front->options.waiting_bytes_max,
            .in_all_max = 4 * front->options.waiting_bytes_max});
        if (front->connections == NULL || front->outbox == NULL || front->inbox == NULL)
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
    zmq_msg_close (&front->frame);
    front_inbox_destroy (&front->inbox);
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

static struct bytes frame_bytes (zmq_msg_t *frame)
{
    return bytes_of (zmq_msg_data (frame), zmq_msg_size (frame));
}

/* Who sits behind a connection is known with the header: ZeroMQ tells the descriptor of frames that came over it. */
static void note_client (struct front *front, struct front_client *client)
{
    client->fd = zmq_msg_get (&front->frame, ZMQ_SRCFD);
    client->generation = front_connections_generation (front->connections, client->fd);
    front_connections_progress (front->connections, client->fd);
}

static void cut_greedy (struct front *front)
{
    struct front_client client;
    while (front_inbox_over (front->inbox, &client))
        if (front_connections_cut (front->connections, client.fd, client.generation))
            front->stats.waiting_cut++;
}

/* One message of the socket into the inbox; false: there was none. A ROUTER hands it out whole: after its first frame the others are here. */
static bool take_message (struct front *front)
{
    if (safe_socket_receive (front->raw, &front->frame, ZMQ_DONTWAIT) < 0)
        return false;
    bool more = zmq_msg_more (&front->frame), first = true;
    front_inbox_begin (front->inbox, frame_bytes (&front->frame));
    if (!more || zmq_msg_size (&front->frame) > FRONT_IDENTITY_BYTES_MAX)
        front->stats.dropped++;
    while (more && safe_socket_receive (front->raw, &front->frame, 0) >= 0) {
        more = zmq_msg_more (&front->frame);
        struct front_client client = {.fd = -1};
        note_client (front, &client);
        if (first && front_connections_is_cut (front->connections, client.fd))
            front_inbox_drop (front->inbox);
        first = false;
        struct front_call *call = front_inbox_frame (front->inbox, &front->frame, more);
        if (call != NULL) {
            call->client.fd = client.fd;
            call->client.generation = client.generation;
        }
    }
    cut_greedy (front);
    return true;
}

static void refuse (struct front *front, const struct front_client *client, const char *reason, const char *message)
{
    uint64_t call;
    if (!front_salvage_call (frame_bytes (&front->call->head), &call)) {
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
    front_inbox_skip (front->inbox);
    refuse (front, client, "BAD_FRAMES",
        "a call is exactly two frames, a message has at most 32 of them, and more than one only where each header says "
        "many: send a header and a body");
    return STATUS_INVALID_ARGUMENT;
}

enum status front_receive (struct front *front, struct front_request *request)
{
    bool took = take_message (front);
    struct front_call *call = front->call = front_inbox_next (front->inbox);
    if (call == NULL)
        return took ? STATUS_INVALID_ARGUMENT : STATUS_NOT_FOUND; /* it was empty, or of one that is cut off */
    request->client = call->client;
    if (!call->whole)
        return refuse_frames (front, &request->client);
    struct bytes head = frame_bytes (&call->head);
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
    request->client.many = request->header.has_many && request->header.many && !call->client.delimiter;
    if (call->followed && !request->client.many)
        return refuse_frames (front, &request->client);
    request->body = frame_bytes (&call->body);
    front->stats.requests++;
    return STATUS_OK;
}

void front_address (struct front *front, char out[FRONT_ADDRESS_BYTES_MAX + 1])
{
    const char *address = front->call == NULL ? NULL : zmq_msg_gets (&front->call->head, "Peer-Address");
    snprintf (out, FRONT_ADDRESS_BYTES_MAX + 1, "%s", address == NULL ? "" : address);
}

/* ---- replies */

static enum status send_status (int rc)
{
    return rc >= 0 ? STATUS_OK : zmq_errno () == EAGAIN ? STATUS_RESOURCE_EXHAUSTED : STATUS_NOT_FOUND;
}

static enum status send_frame (struct front *front, struct bytes frame, bool more)
{
    int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
    return send_status (safe_socket_send (front->raw, frame.data, frame.len, flags));
}

static uint64_t message_bytes (const struct front_message *message)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < message->count; i++)
        bytes += message->replies[i].head.len + message->replies[i].body.len;
    return bytes;
}

/* The frames behind the identity: once that found its connection they follow it, ZeroMQ takes a message whole. */
static enum status send_replies (
    struct front *front, const struct front_message *message, struct front_unsent *unsent, uint64_t bytes)
{
    enum status status = STATUS_OK;
    if (message->client->delimiter)
        status = send_frame (front, (struct bytes){0}, true);
    for (size_t i = 0; i < message->count && status == STATUS_OK; i++) {
        struct bytes body = message->replies[i].body;
        bool last = i + 1 == message->count;
        status = send_frame (front, message->replies[i].head, true);
        if (status == STATUS_OK && last && unsent != NULL)
            status = send_status (front_unsent_send (unsent, front->raw, body, (uint32_t) message->count, bytes));
        else if (status == STATUS_OK)
            status = send_frame (front, body, !last);
    }
    return status;
}

/* Invariant 3: by replies and bytes, whatever a message holds of them. */
static bool too_slow (const struct front *front, const struct front_unsent *unsent, size_t replies, uint64_t bytes)
{
    uint32_t waiting = front_unsent_replies (unsent);
    return waiting > 0 && (waiting + replies > front->options.send_queue_max ||
                              front_unsent_bytes (unsent) + bytes > front->options.send_bytes_max);
}

static void cut_slow (struct front *front, const struct front_message *message)
{
    if (front_connections_cut (front->connections, message->client->fd, message->client->generation))
        front->stats.slow_cut++;
}

static void send_message (struct front *front, const struct front_message *message)
{
    const struct front_client *client = message->client;
    struct front_unsent *unsent = front_connections_unsent (front->connections, client->fd, client->generation);
    uint64_t bytes = message_bytes (message);
    if (unsent != NULL && front_connections_is_cut (front->connections, client->fd)) {
        front->stats.gone += message->count;
        return;
    }
    if (unsent != NULL && too_slow (front, unsent, message->count, bytes)) {
        cut_slow (front, message);
        return;
    }
    enum status status = send_frame (front, bytes_of (client->identity, client->identity_len), true);
    if (status == STATUS_RESOURCE_EXHAUSTED) {
        cut_slow (front, message);
        return;
    }
    if (status == STATUS_OK)
        status = send_replies (front, message, unsent, bytes);
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
