/* The door for clients: one ROUTER socket, two frames in, two frames out, everything counted and bounded.
 *
 * Replies are collected and leave with front_flush, those of one connection in one message where the client takes that: each
 * message costs the sender and the receiver a wake-up and a packet, which is more than a booking costs.
 *
 * Room: router/front, not pure. Ownership: front_new/front_destroy; a request borrows from the front until the next
 * front_receive. Thread safety: none, the reactor's thread alone.
 * Source: schemas/wire.cddl; design.md "Wire"; faults.md C4 and fact 6.
 *
 * Invariants
 *   1. Bytes of a client are decoded with bounds or refused; nothing a client sends ends the process.
 *   2. At most connections_max connections; a further one is closed as soon as it was accepted.
 *   3. A connection that reads its replies too slowly is cut off, never waited for.
 *   4. A connection that sends more than unfinished_bytes_max without completing a message is cut off.
 *   5. Replies to one connection leave in the order of front_reply.
 *   6. Connections are served in turn call by call, however many calls their messages hold; one that has more waiting than its
 *      bounds is cut off (front_inbox.h).
 */
#ifndef MAITRED_ROUTER_FRONT_FRONT_H
#define MAITRED_ROUTER_FRONT_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/generated/wire.h"
#include "schemas/runtime/bytes.h"
#include "schemas/runtime/status.h"

#define FRONT_IDENTITY_BYTES_MAX 40 /* routing ids: 5 bytes when ZeroMQ makes them */
#define FRONT_PROTOCOL 1
#define FRONT_CALLS_MAX 32 /* in one message */
#define FRONT_ADDRESS_BYTES_MAX 47

struct front;

struct front_options {
    const char *endpoint;          /* tcp://127.0.0.1:7401; port * picks a free one */
    uint32_t connections_max;      /* 0: 4096 */
    uint32_t frame_bytes_max;      /* 0: 1 MiB */
    uint32_t send_queue_max;       /* replies waiting for one connection; 0: 4096 */
    uint64_t send_bytes_max;       /* of them, beside the first message; 0: 64 MiB */
    uint32_t receive_queue_max;    /* messages of one connection that ZeroMQ keeps; 0: 256 */
    uint32_t waiting_calls_max;    /* taken from ZeroMQ, and waiting for their connection's turn; 0: 16384 */
    uint64_t waiting_bytes_max;    /* of one connection; 0: 64 MiB. All together: four times that */
    uint64_t unfinished_bytes_max; /* 0: 16 MiB */
    /* CURVE when not NULL, 32 bytes each; struct zap must run and know the domain "client". */
    const uint8_t *public_key, *secret_key;
};

/* Where a reply goes. A plain value: keep it with the call. */
struct front_client {
    int32_t fd;          /* descriptor of the connection at the time of the request, -1 when not known */
    uint32_t generation; /* of that descriptor's use */
    uint8_t identity_len;
    bool delimiter; /* a REQ: its empty frame is returned */
    bool many;      /* takes several replies in one message */
    uint8_t identity[FRONT_IDENTITY_BYTES_MAX];
};

struct front_request {
    struct front_client client;
    struct request_header header;
    struct bytes body;
};

struct front_stats {
    uint64_t requests, replies;
    uint64_t invalid;         /* answered INVALID_ARGUMENT by the front itself */
    uint64_t dropped;         /* no call id could be told: dropped in silence */
    uint64_t gone;            /* replies whose client had left */
    uint64_t slow_cut;        /* connections cut because they did not read */
    uint64_t unfinished_cut;  /* invariant 4 */
    uint64_t connections_cut; /* invariant 2 */
    uint64_t waiting_cut;     /* invariant 6 */
    uint32_t connections;
};

/* Binds. FAILED_PRECONDITION: the port is in use; INVALID_ARGUMENT: a bad endpoint; RESOURCE_EXHAUSTED. `error` says what to
 * do. The caller destroys on OK. */
WARN_UNUSED enum status front_new (
    const struct front_options *options, struct front **front, char *error, size_t error_size);
void front_destroy (struct front **front);

/* The real endpoint, port included. */
const char *front_endpoint (const struct front *front);

/* Two sockets to wait for (ZMQ_FD): requests, and what happens to connections. */
void *front_socket (struct front *front);
void *front_monitor_socket (struct front *front);

/* Notes connections that came and went, and cuts those beyond the bound. Call it before front_receive when the monitor has
 * something. False: there may be more. */
bool front_watch (struct front *front);

/* Once in 100 ms or so: finds connections that break invariant 4. */
void front_tick (struct front *front);

/* The next request. NOT_FOUND: there is none now. INVALID_ARGUMENT: one call was taken and dealt with (answered or
 * dropped): go on. */
WARN_UNUSED enum status front_receive (struct front *front, struct front_request *request);

/* The address the last request came from, for throttling. Empty when not known. Pre: front_receive returned OK. */
void front_address (struct front *front, char out[FRONT_ADDRESS_BYTES_MAX + 1]);

/* Takes a reply, to leave with the next front_flush at the latest. RESOURCE_EXHAUSTED: no memory, the client has to ask
 * again. INVALID_ARGUMENT: the header is out of its bounds (a bug of the caller). */
WARN_UNUSED enum status front_reply (
    struct front *front, const struct front_client *client, const struct reply_header *header, struct bytes body);

/* Sends what was taken, never blocks. Replies whose client has left, or does not read and is cut off for that, are counted
 * and dropped. True when something was sent: the socket has to be looked at again, a send may take the signal of a receive. */
bool front_flush (struct front *front);

/* Accepts no further connection; those that are up go on. */
void front_stop_accepting (struct front *front);

void front_stats (const struct front *front, struct front_stats *stats);

/* The call id of a header that does not decode, if it can be told. For the front itself and its tests. */
bool front_salvage_call (struct bytes header, uint64_t *call);

#endif
