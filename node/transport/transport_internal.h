/* What transport.c and transport_gossip.c share.
 *
 * Room: node/transport, internal.
 */
#ifndef MAITRED_NODE_TRANSPORT_INTERNAL_H
#define MAITRED_NODE_TRANSPORT_INTERNAL_H

#include <czmq.h>

#include "node/transport/transport.h"
#include "node/transport/transport_outbox.h"
#include "schemas/runtime/arena.h"

#define TRANSPORT_EVENTS_MAX 1024 /* waiting to be taken; more than two a peer are never needed */

struct peer {
    uint32_t node; /* 0: nobody */
    bool up;
    bool lost; /* TRANSPORT_LOST is due */
    zsock_t *data, *monitor, *bulk, *gossip;
    struct outbox now, after, sealed, chunks;
    char peer_endpoint[TRANSPORT_ENDPOINT_BYTES_MAX + 1];
    char gossip_endpoint[TRANSPORT_ENDPOINT_BYTES_MAX + 1];
    uint8_t public_key[TRANSPORT_KEY_BYTES];
};

struct transport {
    struct outbox_sender sender;
    bool curve;
    uint8_t public_key[TRANSPORT_KEY_BYTES], secret_key[TRANSPORT_KEY_BYTES];
    zsock_t *data, *gossip;
    zmq_msg_t frame, gossip_frame; /* lent out */
    struct peer *peers;            /* by node number */
    uint32_t nodes_max;            /* highest node number dialled */
    struct outbox *reserved;
    bool sealed;
    bool lost; /* of some peer */
    struct transport_event events[TRANSPORT_EVENTS_MAX];
    size_t events_first, events_count;
    struct arena arena;
    uint64_t arena_memory[PEER_FRAME_ARENA_MAX / sizeof (uint64_t) + 1];
    struct transport_stats stats;
    char peer_endpoint[TRANSPORT_ENDPOINT_BYTES_MAX + 1];
    char gossip_endpoint[TRANSPORT_ENDPOINT_BYTES_MAX + 1];
};

/* A socket that dials `endpoint` of this peer; NULL: bad endpoint or no memory. */
zsock_t *transport_dial (
    struct transport *transport, const struct peer *peer, const char *endpoint, uint32_t queue_max);

/* The node of a received message by the connection's key, 0 when not known. */
uint32_t transport_sender (zmq_msg_t *frame);

/* Receives the last part of a message, and drops any other parts. -1 nothing there, 0 malformed, 1 taken. */
int transport_take (zsock_t *router, zmq_msg_t *frame);

#endif
