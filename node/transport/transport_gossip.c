#include <string.h>

#include "node/transport/transport_internal.h"

enum status transport_gossip_send (struct transport *transport, struct bytes endpoint, struct bytes message)
{
    for (uint32_t node = 1; node <= transport->nodes_max; node++) {
        struct peer *peer = &transport->peers[node];
        if (peer->node == 0 || !bytes_equal (bytes_text (peer->gossip_endpoint), endpoint))
            continue;
        if (zmq_send (zsock_resolve (peer->gossip), message.data, message.len, ZMQ_DONTWAIT) < 0) {
            transport->stats.gossip_dropped++;
            return STATUS_UNAVAILABLE;
        }
        transport->stats.gossip_sent++;
        transport->stats.gossip_bytes_sent += message.len;
        return STATUS_OK;
    }
    transport->stats.gossip_dropped++;
    return STATUS_NOT_FOUND;
}

enum status transport_gossip_receive (struct transport *transport, struct bytes *message, uint32_t *node)
{
    int taken = transport_take (transport->gossip, &transport->gossip_frame);
    if (taken < 0)
        return STATUS_NOT_FOUND;
    *node = transport->curve ? transport_sender (&transport->gossip_frame) : 0;
    if (taken == 0 || (transport->curve && *node == 0)) {
        transport->stats.frames_refused++;
        return STATUS_INVALID_ARGUMENT;
    }
    transport->stats.gossip_received++;
    *message = bytes_of (zmq_msg_data (&transport->gossip_frame), zmq_msg_size (&transport->gossip_frame));
    return STATUS_OK;
}
