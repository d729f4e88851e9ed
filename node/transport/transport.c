#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/failpoint/failpoint.h"
#include "node/transport/transport_internal.h"
#include "router/front/safe_socket.h"
#include "router/front/zap.h"
#include "schemas/runtime/assert.h"

#define FRAME_BYTES_MAX (12 * 1024 * 1024) /* two of the greatest items and a frame of small ones */
#define QUEUE_MAX 1024
#define GOSSIP_QUEUE_MAX 256
#define HEARTBEAT_MS 400
#define RECONNECT_MS 10
#define RECONNECT_MAX_MS 80

static zsock_t *listen_on (struct transport *transport, const char *endpoint, uint32_t queue_max, char *bound,
    enum status *status, char *error, size_t error_size)
{
    struct safe_socket_options options = {
        .type = ZMQ_ROUTER,
        .send_queue_max = 16,
        .receive_queue_max = queue_max,
        .frame_bytes_max = FRAME_BYTES_MAX,
        .heartbeat_ms = HEARTBEAT_MS,
        .zap_domain = zap_domain_name (ZAP_PEER),
        .public_key = transport->curve ? transport->public_key : NULL,
        .secret_key = transport->curve ? transport->secret_key : NULL,
    };
    zsock_t *socket = safe_socket_new (&options);
    if (socket == NULL) {
        snprintf (error, error_size, "no memory or descriptors for the peers' sockets: raise ulimit -n");
        *status = STATUS_RESOURCE_EXHAUSTED;
        return NULL;
    }
    *status = safe_socket_bind (socket, endpoint, bound, error, error_size);
    if (*status != STATUS_OK)
        zsock_destroy (&socket);
    return socket;
}

enum status transport_new (
    const struct transport_options *options, struct transport **out, char *error, size_t error_size)
{
    maitre_assert (options->node >= 1 && options->node <= TRANSPORT_PEERS_MAX + 1);
    struct transport *transport = calloc (1, sizeof *transport);
    if (transport == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    zmq_msg_init (&transport->frame);
    zmq_msg_init (&transport->gossip_frame);
    transport->sender =
        (struct outbox_sender){.cluster = options->cluster, .uuid = options->uuid, .node = options->node};
    transport->curve = options->public_key != NULL;
    if (transport->curve) {
        memcpy (transport->public_key, options->public_key, TRANSPORT_KEY_BYTES);
        memcpy (transport->secret_key, options->secret_key, TRANSPORT_KEY_BYTES);
    }
    arena_init (&transport->arena, transport->arena_memory, sizeof transport->arena_memory);
    enum status status = STATUS_RESOURCE_EXHAUSTED;
    transport->peers = calloc (TRANSPORT_PEERS_MAX + 2, sizeof *transport->peers);
    if (transport->peers != NULL)
        transport->data = listen_on (
            transport, options->peer_endpoint, QUEUE_MAX, transport->peer_endpoint, &status, error, error_size);
    if (transport->data != NULL)
        transport->gossip = listen_on (transport, options->gossip_endpoint, GOSSIP_QUEUE_MAX,
            transport->gossip_endpoint, &status, error, error_size);
    if (transport->gossip == NULL) {
        transport_destroy (&transport);
        return status;
    }
    *out = transport;
    return STATUS_OK;
}

static void close_peer (struct peer *peer)
{
    safe_socket_monitor_stop (peer->data, &peer->monitor);
    zsock_destroy (&peer->data);
    zsock_destroy (&peer->bulk);
    zsock_destroy (&peer->gossip);
    outbox_close (&peer->now);
    outbox_close (&peer->after);
    outbox_close (&peer->sealed);
    outbox_close (&peer->chunks);
    peer->node = 0;
}

void transport_destroy (struct transport **self_p)
{
    struct transport *transport = *self_p;
    if (transport == NULL)
        return;
    for (uint32_t node = 1; node <= transport->nodes_max; node++)
        close_peer (&transport->peers[node]);
    free (transport->peers);
    zmq_msg_close (&transport->frame);
    zmq_msg_close (&transport->gossip_frame);
    zsock_destroy (&transport->data);
    zsock_destroy (&transport->gossip);
    free (transport);
    *self_p = NULL;
}

zsock_t *transport_dial (struct transport *transport, const struct peer *peer, const char *endpoint, uint32_t queue_max)
{
    struct safe_socket_options options = {
        .type = ZMQ_DEALER,
        .send_queue_max = queue_max,
        .receive_queue_max = 16,
        .frame_bytes_max = 64 * 1024,
        .heartbeat_ms = HEARTBEAT_MS,
        .reconnect_ms = RECONNECT_MS,
        .reconnect_max_ms = RECONNECT_MAX_MS,
        .public_key = transport->curve ? transport->public_key : NULL,
        .secret_key = transport->curve ? transport->secret_key : NULL,
        .server_key = transport->curve ? peer->public_key : NULL,
    };
    zsock_t *socket = safe_socket_new (&options);
    if (socket != NULL && endpoint != NULL && zmq_connect (zsock_resolve (socket), endpoint) != 0)
        zsock_destroy (&socket);
    return socket;
}

enum status transport_add_peer (struct transport *transport, const struct transport_peer *options)
{
    if (options->node == 0 || options->node > TRANSPORT_PEERS_MAX + 1 || options->node == transport->sender.node ||
        transport->peers[options->node].node != 0 || (options->public_key != NULL) != transport->curve ||
        strlen (options->peer_endpoint) > TRANSPORT_ENDPOINT_BYTES_MAX ||
        strlen (options->gossip_endpoint) > TRANSPORT_ENDPOINT_BYTES_MAX)
        return STATUS_INVALID_ARGUMENT;
    struct peer *peer = &transport->peers[options->node];
    memset (peer, 0, sizeof *peer);
    strcpy (peer->peer_endpoint, options->peer_endpoint);
    strcpy (peer->gossip_endpoint, options->gossip_endpoint);
    if (transport->curve)
        memcpy (peer->public_key, options->public_key, TRANSPORT_KEY_BYTES);
    outbox_init (&peer->now);
    outbox_init (&peer->after);
    outbox_init (&peer->sealed);
    outbox_init (&peer->chunks);
    if (options->node > transport->nodes_max)
        transport->nodes_max = options->node;
    /* The monitor watches before the first connection is made: no event is missed. */
    peer->data = transport_dial (transport, peer, NULL, QUEUE_MAX);
    if (peer->data != NULL)
        peer->monitor = safe_socket_monitor (peer->data, ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED);
    if (peer->monitor == NULL) {
        close_peer (peer);
        return STATUS_RESOURCE_EXHAUSTED;
    }
    peer->gossip = transport_dial (transport, peer, options->gossip_endpoint, GOSSIP_QUEUE_MAX);
    if (peer->gossip == NULL || zmq_connect (zsock_resolve (peer->data), options->peer_endpoint) != 0) {
        close_peer (peer);
        return STATUS_INVALID_ARGUMENT;
    }
    peer->node = options->node;
    return STATUS_OK;
}

const char *transport_peer_endpoint (const struct transport *transport)
{
    return transport->peer_endpoint;
}

const char *transport_gossip_endpoint (const struct transport *transport)
{
    return transport->gossip_endpoint;
}

size_t transport_poll_items (struct transport *transport, zmq_pollitem_t *items, size_t items_max)
{
    size_t count = 0;
    maitre_assert (items_max >= 2);
    items[count++] = (zmq_pollitem_t){.socket = zsock_resolve (transport->data), .events = ZMQ_POLLIN};
    items[count++] = (zmq_pollitem_t){.socket = zsock_resolve (transport->gossip), .events = ZMQ_POLLIN};
    for (uint32_t node = 1; node <= transport->nodes_max && count < items_max; node++) {
        if (transport->peers[node].node != 0)
            items[count++] =
                (zmq_pollitem_t){.socket = zsock_resolve (transport->peers[node].monitor), .events = ZMQ_POLLIN};
    }
    return count;
}

/* ---- events */

static void add_event (struct transport *transport, enum transport_event_type type, uint32_t node)
{
    maitre_assert (transport->events_count < TRANSPORT_EVENTS_MAX);
    size_t at = (transport->events_first + transport->events_count++) % TRANSPORT_EVENTS_MAX;
    transport->events[at] = (struct transport_event){.type = type, .node = node};
}

static void set_link (struct transport *transport, struct peer *peer, bool up)
{
    if (peer->up == up)
        return;
    peer->up = up;
    if (!up) {
        /* What waits was meant for a conversation that is over; Raft and the callers begin anew. */
        outbox_clear (&peer->now);
        outbox_clear (&peer->after);
        outbox_clear (&peer->sealed);
        outbox_clear (&peer->chunks);
        peer->lost = false;
        transport->stats.link_downs++;
    }
    add_event (transport, up ? TRANSPORT_UP : TRANSPORT_DOWN, peer->node);
}

static void watch_peer (struct transport *transport, struct peer *peer)
{
    uint32_t event, value;
    bool seen = false;
    /* Two changes at a time at most, so that a flapping link cannot fill the queue. What changes nothing (a handshake that
     * failed once more) is read on: who stops in the middle hears of nothing more from this monitor. */
    for (int changes = 0; changes < 2 && safe_socket_monitor_next (peer->monitor, &event, &value); seen = true) {
        bool up = event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
        changes += up != peer->up;
        set_link (transport, peer, up);
    }
    if (seen) {
        /* Makes the socket take notice of the new or dead connection now, not a millisecond later. */
        int ready;
        size_t size = sizeof ready;
        zmq_getsockopt (zsock_resolve (peer->data), ZMQ_EVENTS, &ready, &size);
    }
}

bool transport_event_waiting (const struct transport *transport)
{
    return transport->events_count > 0 || transport->lost;
}

bool transport_next_event (struct transport *transport, struct transport_event *event)
{
    if (transport->events_count == 0) {
        transport->lost = false;
        for (uint32_t node = 1; node <= transport->nodes_max; node++) {
            struct peer *peer = &transport->peers[node];
            if (peer->node == 0)
                continue;
            if (peer->lost) {
                peer->lost = false;
                add_event (transport, TRANSPORT_LOST, node);
            }
            watch_peer (transport, peer);
        }
    }
    if (transport->events_count == 0)
        return false;
    *event = transport->events[transport->events_first];
    transport->events_first = (transport->events_first + 1) % TRANSPORT_EVENTS_MAX;
    transport->events_count--;
    return true;
}

static struct peer *find_peer (const struct transport *transport, uint32_t node)
{
    if (node == 0 || node > transport->nodes_max || transport->peers[node].node == 0)
        return NULL;
    return &transport->peers[node];
}

bool transport_link_up (const struct transport *transport, uint32_t node)
{
    const struct peer *peer = find_peer (transport, node);
    return peer != NULL && peer->up;
}

/* ---- receiving */

int transport_take (zsock_t *router, zmq_msg_t *frame)
{
    void *raw = zsock_resolve (router);
    if (safe_socket_receive (raw, frame, ZMQ_DONTWAIT) < 0)
        return -1;
    int parts = 1;
    while (zmq_msg_more (frame)) {
        if (safe_socket_receive (raw, frame, 0) < 0)
            return 0;
        parts++;
    }
    return parts == 2; /* the identity and one frame */
}

uint32_t transport_sender (zmq_msg_t *frame)
{
    const char *user = zmq_msg_gets (frame, "User-Id");
    return user == NULL ? 0 : (uint32_t) strtoul (user, NULL, 10);
}

enum status transport_receive (struct transport *transport, struct peer_frame *frame)
{
    int taken = transport_take (transport->data, &transport->frame);
    if (taken < 0)
        return STATUS_NOT_FOUND;
    struct bytes in = bytes_of (zmq_msg_data (&transport->frame), zmq_msg_size (&transport->frame));
    transport->stats.frames_received++;
    transport->stats.bytes_received += in.len;
    arena_reset (&transport->arena);
    enum status status = taken == 0 ? STATUS_INVALID_ARGUMENT
                                    : codec_decode (&peer_frame_type, in, CODEC_STRICT, &transport->arena, frame, NULL);
    if (status == STATUS_OK &&
        (!id_equal (&frame->cluster, &transport->sender.cluster) || frame->from == transport->sender.node))
        status = STATUS_INVALID_ARGUMENT;
    if (status == STATUS_OK && transport->curve && transport_sender (&transport->frame) != frame->from)
        status = STATUS_INVALID_ARGUMENT;
    if (status != STATUS_OK) {
        transport->stats.frames_refused++;
        return STATUS_INVALID_ARGUMENT;
    }
    return STATUS_OK;
}

/* ---- sending */

uint8_t *transport_reserve (
    struct transport *transport, uint32_t node, enum transport_lane lane, enum transport_section section, size_t size)
{
    maitre_assert (size <= TRANSPORT_ITEM_BYTES_MAX && section < TRANSPORT_SECTIONS);
    struct peer *peer = find_peer (transport, node);
    transport->reserved = NULL;
    if (peer == NULL || !peer->up)
        return NULL;
    struct outbox *outbox = lane == TRANSPORT_NOW ? &peer->now : lane == TRANSPORT_AFTER ? &peer->after : &peer->chunks;
    uint8_t *room = outbox_reserve (outbox, section, size);
    if (room == NULL)
        transport->stats.items_refused++;
    else
        transport->reserved = outbox;
    return room;
}

void transport_commit (struct transport *transport, size_t len)
{
    maitre_assert (transport->reserved != NULL);
    outbox_commit (transport->reserved, len);
    transport->reserved = NULL;
}

void transport_seal (struct transport *transport)
{
    maitre_assert (!transport->sealed);
    transport->sealed = true;
    for (uint32_t node = 1; node <= transport->nodes_max; node++) {
        struct peer *peer = &transport->peers[node];
        maitre_assert (outbox_empty (&peer->sealed));
        struct outbox swap = peer->sealed;
        peer->sealed = peer->after;
        peer->after = swap;
    }
}

void transport_release (struct transport *transport)
{
    maitre_assert (transport->sealed);
    transport->sealed = false;
    for (uint32_t node = 1; node <= transport->nodes_max; node++) {
        struct peer *peer = &transport->peers[node];
        outbox_append (&peer->now, &peer->sealed);
        if (!outbox_empty (&peer->sealed)) {
            transport->stats.frames_dropped++;
            peer->lost = transport->lost = true;
            outbox_clear (&peer->sealed);
        }
    }
}

bool transport_sealed (const struct transport *transport)
{
    return transport->sealed;
}

/* Sends the first frame of an outbox; false when the peer does not take it now. */
static bool send_frame (struct transport *transport, zsock_t *socket, const struct outbox *outbox)
{
    zmq_msg_t message;
    size_t size = outbox_frame_size (outbox, &transport->sender);
    if (failpoint (FAILPOINT_SEND_FRAME_BEFORE))
        return false;
    if (zmq_msg_init_size (&message, size) != 0)
        return false;
    outbox_frame_write (outbox, &transport->sender, zmq_msg_data (&message));
    if (zmq_msg_send (&message, zsock_resolve (socket), ZMQ_DONTWAIT) < 0) {
        zmq_msg_close (&message);
        return false;
    }
    failpoint_pass (FAILPOINT_SEND_FRAME_AFTER);
    transport->stats.frames_sent++;
    transport->stats.bytes_sent += size;
    return true;
}

static void flush_bulk (struct transport *transport, struct peer *peer)
{
    if (outbox_empty (&peer->chunks))
        return;
    if (peer->bulk == NULL)
        peer->bulk = transport_dial (transport, peer, peer->peer_endpoint, 8);
    /* What does not fit now waits: chunks have a window of their own, so the queue stays short. */
    while (peer->bulk != NULL && !outbox_empty (&peer->chunks) && send_frame (transport, peer->bulk, &peer->chunks))
        outbox_pop (&peer->chunks);
}

void transport_flush (struct transport *transport)
{
    for (uint32_t node = 1; node <= transport->nodes_max; node++) {
        struct peer *peer = &transport->peers[node];
        if (peer->node == 0 || !peer->up)
            continue;
        while (!outbox_empty (&peer->now)) {
            if (!send_frame (transport, peer->data, &peer->now)) {
                transport->stats.frames_dropped++;
                if (outbox_frame_count (&peer->now, TRANSPORT_CALLS) > 0 ||
                    outbox_frame_count (&peer->now, TRANSPORT_REPLIES) > 0)
                    peer->lost = transport->lost = true;
            }
            outbox_pop (&peer->now);
        }
        flush_bulk (transport, peer);
    }
}

void transport_stats (const struct transport *transport, struct transport_stats *stats)
{
    *stats = transport->stats;
}
