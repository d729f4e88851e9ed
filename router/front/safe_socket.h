/* CZMQ sockets with every unsafe default of ZeroMQ replaced by a bound.
 *
 * Room: router/front, not pure. node/transport makes its sockets here too, so that no socket of a node lacks a bound.
 * Ownership: safe_socket_new gives a zsock to the caller, who ends it with zsock_destroy. Thread safety: a socket belongs to
 * the thread that uses it; safe_socket_prepare may be called by any, first of all.
 * Source: zmq_setsockopt (3), zmq_curve (7); faults.md facts 5 and 6.
 *
 * Invariants
 *   1. No socket lingers, queues without bound, takes a frame without a limit or waits for ever for a handshake.
 *   2. SIGTERM and SIGINT stay the program's own: CZMQ's handlers are taken out again.
 *   3. A CURVE server has a ZAP domain, so that nobody is let in who is not on a list.
 */
#ifndef MAITRED_ROUTER_FRONT_SAFE_SOCKET_H
#define MAITRED_ROUTER_FRONT_SAFE_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <czmq.h>

#include "schemas/runtime/status.h"

#define SAFE_SOCKET_KEY_BYTES 32
#define SAFE_SOCKET_ENDPOINT_BYTES_MAX 96

struct safe_socket_options {
    int type;                /* ZMQ_ROUTER, ZMQ_DEALER */
    uint32_t send_queue_max; /* messages a peer */
    uint32_t receive_queue_max;
    uint32_t frame_bytes_max;  /* a peer that sends more is cut off */
    uint32_t heartbeat_ms;     /* ZMTP pings; a peer that is silent for three of them is cut off. 0: none */
    uint32_t reconnect_ms;     /* dialling sockets; 0: default of ZeroMQ */
    uint32_t reconnect_max_ms; /* the interval doubles up to this */
    const char *zap_domain;    /* of a CURVE server, else NULL */
    /* CURVE: all NULL without it; server_key only for the side that dials. SAFE_SOCKET_KEY_BYTES each, copied. */
    const uint8_t *public_key, *secret_key, *server_key;
};

/* Starts CZMQ without its signal handlers. More than once is fine. */
void safe_socket_prepare (void);

/* A socket with the bounds set, neither bound nor connected. NULL: out of memory or descriptors. */
zsock_t *safe_socket_new (const struct safe_socket_options *options);

/* Binds. FAILED_PRECONDITION: the address is in use; INVALID_ARGUMENT: not an endpoint of this machine. `error` then says
 * what to do. On OK `bound` (SAFE_SOCKET_ENDPOINT_BYTES_MAX + 1 bytes, may be NULL) is the endpoint with its real port. */
WARN_UNUSED enum status safe_socket_bind (
    zsock_t *socket, const char *endpoint, char *bound, char *error, size_t error_size);

/* Sends what happens to the connections of `socket` to the returned PAIR socket: see zmq_socket_monitor (3). NULL: out of memory or descriptors. It ends with safe_socket_monitor_stop, before the socket. */
zsock_t *safe_socket_monitor (zsock_t *socket, int events);

/* Ends a monitor and nulls it; NULL is fine. Destroying the PAIR alone would leave ZeroMQ's IO thread blocked for ever in
 * the next event. */
void safe_socket_monitor_stop (zsock_t *socket, zsock_t **monitor);

/* The next event of a monitor: false when there is none. `value` is the descriptor for most events. */
bool safe_socket_monitor_next (zsock_t *monitor, uint32_t *event, uint32_t *value);

/* zmq_msg_recv and zmq_send that go on after a signal: one in the middle of a message would leave the rest of it behind, and
 * one that ends a receive may have taken the socket's own signal. */
int safe_socket_receive (void *socket, zmq_msg_t *frame, int flags);
int safe_socket_send (void *socket, const void *data, size_t len, int flags);

#endif
