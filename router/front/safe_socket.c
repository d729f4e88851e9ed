#include "router/front/safe_socket.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "schemas/runtime/assert.h"

#define HANDSHAKE_MS 3000
#define CONNECT_TIMEOUT_MS 500
#define BACKLOG 512

static pthread_once_t prepared = PTHREAD_ONCE_INIT;

static void prepare (void)
{
    zsys_init ();
    zsys_handler_set (NULL);
    zsys_set_io_threads (1);
    zsys_set_max_sockets (4096);
}

void safe_socket_prepare (void)
{
    pthread_once (&prepared, prepare);
}

static void set_curve (zsock_t *socket, const struct safe_socket_options *options)
{
    if (options->public_key == NULL)
        return;
    maitre_assert (options->secret_key != NULL);
    zsock_set_curve_publickey_bin (socket, options->public_key);
    zsock_set_curve_secretkey_bin (socket, options->secret_key);
    if (options->server_key != NULL) {
        zsock_set_curve_serverkey_bin (socket, options->server_key);
    } else {
        /* Without a domain ZeroMQ asks nobody and lets every key in. */
        maitre_assert (options->zap_domain != NULL);
        zsock_set_curve_server (socket, 1);
        zsock_set_zap_domain (socket, options->zap_domain);
    }
}

zsock_t *safe_socket_new (const struct safe_socket_options *options)
{
    maitre_assert (options->send_queue_max > 0 && options->receive_queue_max > 0);
    maitre_assert (options->frame_bytes_max > 0 && options->frame_bytes_max <= INT32_MAX);
    safe_socket_prepare ();
    zsock_t *socket = zsock_new (options->type);
    if (socket == NULL)
        return NULL;
    zsock_set_linger (socket, 0);
    zsock_set_sndhwm (socket, (int) options->send_queue_max);
    zsock_set_rcvhwm (socket, (int) options->receive_queue_max);
    zsock_set_maxmsgsize (socket, (int) options->frame_bytes_max);
    zsock_set_handshake_ivl (socket, HANDSHAKE_MS);
    zsock_set_backlog (socket, BACKLOG);
    if (options->heartbeat_ms != 0) {
        zsock_set_heartbeat_ivl (socket, (int) options->heartbeat_ms);
        zsock_set_heartbeat_timeout (socket, (int) options->heartbeat_ms * 3);
        zsock_set_heartbeat_ttl (socket, (int) options->heartbeat_ms * 3);
    }
    if (options->type == ZMQ_ROUTER) {
        zsock_set_router_mandatory (socket, 1);
    } else {
        /* A message for a peer that is not there is refused at once instead of waiting in front of a dead connection. */
        zsock_set_immediate (socket, 1);
        zsock_set_connect_timeout (socket, CONNECT_TIMEOUT_MS);
        if (options->reconnect_ms != 0)
            zsock_set_reconnect_ivl (socket, (int) options->reconnect_ms);
        if (options->reconnect_max_ms != 0)
            zsock_set_reconnect_ivl_max (socket, (int) options->reconnect_max_ms);
    }
    set_curve (socket, options);
    return socket;
}

enum status safe_socket_bind (zsock_t *socket, const char *endpoint, char *bound, char *error, size_t error_size)
{
    void *raw = zsock_resolve (socket);
    if (zmq_bind (raw, endpoint) != 0) {
        int cause = errno;
        if (cause == EADDRINUSE) {
            snprintf (error, error_size,
                "%s is in use by another process: stop it, or give this node other ports in its configuration",
                endpoint);
            return STATUS_FAILED_PRECONDITION;
        }
        snprintf (error, error_size,
            "cannot listen on %s: %s: give an address of this machine such as tcp://127.0.0.1:7401", endpoint,
            zmq_strerror (cause));
        return STATUS_INVALID_ARGUMENT;
    }
    if (bound != NULL) {
        size_t size = SAFE_SOCKET_ENDPOINT_BYTES_MAX + 1;
        int rc = zmq_getsockopt (raw, ZMQ_LAST_ENDPOINT, bound, &size);
        maitre_assert (rc == 0);
    }
    return STATUS_OK;
}

zsock_t *safe_socket_monitor (zsock_t *socket, int events)
{
    /* Never used twice: ZeroMQ gives an address free some time after its socket was closed. */
    static atomic_uint serial;
    char endpoint[64];
    snprintf (endpoint, sizeof endpoint, "inproc://monitor-%u", atomic_fetch_add (&serial, 1));
    if (zmq_socket_monitor (zsock_resolve (socket), endpoint, events) != 0)
        return NULL;
    zsock_t *monitor = zsock_new (ZMQ_PAIR);
    if (monitor == NULL)
        return NULL;
    zsock_set_linger (monitor, 0);
    /* No bound here: at one, ZeroMQ's IO thread would wait for this thread. Events are few and small. */
    zsock_set_rcvhwm (monitor, 0);
    if (zmq_connect (zsock_resolve (monitor), endpoint) != 0)
        safe_socket_monitor_stop (socket, &monitor);
    return monitor;
}

void safe_socket_monitor_stop (zsock_t *socket, zsock_t **monitor)
{
    if (*monitor == NULL)
        return;
    zmq_socket_monitor (zsock_resolve (socket), NULL, 0);
    zsock_destroy (monitor);
}

bool safe_socket_monitor_next (zsock_t *monitor, uint32_t *event, uint32_t *value)
{
    void *raw = zsock_resolve (monitor);
    zmq_msg_t frame;
    zmq_msg_init (&frame);
    if (zmq_msg_recv (&frame, raw, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close (&frame);
        return false;
    }
    /* First frame: 16 bits of event and 32 of value in the machine's own order; second: the endpoint. */
    maitre_assert (zmq_msg_size (&frame) == 6 && zmq_msg_more (&frame));
    uint16_t number;
    const uint8_t *data = zmq_msg_data (&frame);
    memcpy (&number, data, sizeof number);
    memcpy (value, data + 2, sizeof *value);
    *event = number;
    while (zmq_msg_more (&frame)) {
        int rc = zmq_msg_recv (&frame, raw, 0);
        maitre_assert (rc >= 0);
    }
    zmq_msg_close (&frame);
    return true;
}

int safe_socket_receive (void *socket, zmq_msg_t *frame, int flags)
{
    int rc;
    do
        rc = zmq_msg_recv (frame, socket, flags);
    while (rc < 0 && zmq_errno () == EINTR);
    return rc;
}

int safe_socket_send (void *socket, const void *data, size_t len, int flags)
{
    int rc;
    do
        rc = zmq_send (socket, data, len, flags);
    while (rc < 0 && zmq_errno () == EINTR);
    return rc;
}
