/* The links between nodes: one ROUTER for what peers send, one DEALER to each peer, and the same again for gossip.
 *
 * Room: node/transport, not pure. Ownership: transport_new/transport_destroy; what is received is borrowed until the next
 * receive of the same kind. Thread safety: none, the reactor's thread alone.
 * Source: schemas/peer.cddl, schemas/gossip.cddl; design.md "Wire"; faults.md facts 3 and 6, G2.
 *
 * Lanes of what is put for a peer:
 *   NOW    leaves with the next transport_flush
 *   AFTER  waits: transport_seal closes what was put so far (the turn goes to the disk), transport_release lets exactly
 *          that go (the turn is synced); what is put in between belongs to the next turn
 *   BULK   snapshot chunks, on a connection of their own behind which no heartbeat ever stands
 *
 * Invariants
 *   1. A frame counts as sent by the node that owns the connection's CURVE key (without CURVE: that it names).
 *   2. Nothing put in AFTER leaves before the release of the seal that closed it; order within a section is kept.
 *   3. Nothing here blocks: what a peer does not take is dropped and told (TRANSPORT_LOST).
 *   4. TRANSPORT_UP and TRANSPORT_DOWN of a peer alternate, beginning with UP.
 */
#ifndef MAITRED_NODE_TRANSPORT_TRANSPORT_H
#define MAITRED_NODE_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "schemas/generated/peer.h"
#include "schemas/runtime/bytes.h"
#include "schemas/runtime/ids.h"
#include "schemas/runtime/status.h"

#define TRANSPORT_PEERS_MAX 255
#define TRANSPORT_ENDPOINT_BYTES_MAX 96
#define TRANSPORT_KEY_BYTES 32
#define TRANSPORT_ITEM_BYTES_MAX (4 * 1024 * 1024 + 4096)

enum transport_lane { TRANSPORT_NOW, TRANSPORT_AFTER, TRANSPORT_BULK };

/* The arrays of peer-frame. */
enum transport_section {
    TRANSPORT_RAFT,
    TRANSPORT_ACKS,
    TRANSPORT_CALLS,
    TRANSPORT_REPLIES,
    TRANSPORT_CHUNKS,
    TRANSPORT_NOTICES,
    TRANSPORT_SECTIONS,
};

struct transport_peer {
    uint32_t node; /* 1.., not the own one */
    const char *peer_endpoint, *gossip_endpoint;
    const uint8_t *public_key; /* TRANSPORT_KEY_BYTES, NULL without CURVE */
};

struct transport_options {
    uint32_t node;
    struct id cluster;
    struct id uuid;                              /* of the data folder */
    const char *peer_endpoint, *gossip_endpoint; /* to bind; port * picks a free one */
    const uint8_t *public_key, *secret_key; /* NULL without CURVE; with it struct zap must run and know the peers */
};

struct transport;

/* Binds both endpoints and dials nobody yet. Statuses and error as safe_socket_bind, and RESOURCE_EXHAUSTED. */
WARN_UNUSED enum status transport_new (
    const struct transport_options *options, struct transport **transport, char *error, size_t error_size);
void transport_destroy (struct transport **transport);

/* Dials a peer (its data and gossip endpoints), for good. RESOURCE_EXHAUSTED; INVALID_ARGUMENT: a bad endpoint, a node
 * number that is taken or the own one. */
WARN_UNUSED enum status transport_add_peer (struct transport *transport, const struct transport_peer *peer);

const char *transport_peer_endpoint (const struct transport *transport); /* real ports included */
const char *transport_gossip_endpoint (const struct transport *transport);

/* The sockets to wait for: data, gossip, then a monitor for each peer. Returns how many; at most items_max. */
size_t transport_poll_items (struct transport *transport, zmq_pollitem_t *items, size_t items_max);

/* ---- what happens */

enum transport_event_type {
    TRANSPORT_UP,   /* the link to `node` is there */
    TRANSPORT_DOWN, /* it broke: whatever was under way to it may be lost */
    TRANSPORT_LOST, /* a frame with calls or replies to `node` was dropped although the link is up */
};
struct transport_event {
    enum transport_event_type type;
    uint32_t node;
};

/* The next event; false when there is none. */
bool transport_next_event (struct transport *transport, struct transport_event *event);

/* True when there is an event that no monitor will announce. */
bool transport_event_waiting (const struct transport *transport);

bool transport_link_up (const struct transport *transport, uint32_t node);

/* The next frame of a peer. NOT_FOUND: there is none. INVALID_ARGUMENT: one was dropped (not strict, another cluster's, a
 * sender that it is not): go on. Items are not decoded yet. */
WARN_UNUSED enum status transport_receive (struct transport *transport, struct peer_frame *frame);

/* ---- what leaves */

/* Room for one item of at most `size` bytes for `node`; the caller writes it and commits its length (or lets it be).
 * NULL: no such peer, its link is down, or its queue is full. Pre: size <= TRANSPORT_ITEM_BYTES_MAX. */
uint8_t *transport_reserve (
    struct transport *transport, uint32_t node, enum transport_lane lane, enum transport_section section, size_t size);
void transport_commit (struct transport *transport, size_t len);

void transport_seal (struct transport *transport);
void transport_release (struct transport *transport); /* Pre: sealed */
bool transport_sealed (const struct transport *transport);

/* Sends what is due to everybody. */
void transport_flush (struct transport *transport);

/* ---- gossip */

/* Sends one gossip message to the peer at that gossip endpoint. NOT_FOUND: nobody of the configuration is there.
 * UNAVAILABLE: not connected, or its queue is full: gossip lives with loss. */
WARN_UNUSED enum status transport_gossip_send (
    struct transport *transport, struct bytes endpoint, struct bytes message);

/* The next one received, borrowed. NOT_FOUND: none. *node: who sent it, by key; 0 without CURVE. INVALID_ARGUMENT: one was
 * dropped. */
WARN_UNUSED enum status transport_gossip_receive (struct transport *transport, struct bytes *message, uint32_t *node);

struct transport_stats {
    uint64_t frames_sent, bytes_sent, frames_received, bytes_received;
    uint64_t frames_dropped; /* not taken by a peer's queue */
    uint64_t frames_refused; /* received and dropped, see transport_receive */
    uint64_t items_refused;  /* transport_reserve with the link up */
    uint64_t gossip_sent, gossip_received, gossip_dropped, gossip_bytes_sent;
    uint64_t link_downs;
};
void transport_stats (const struct transport *transport, struct transport_stats *stats);

#endif
