/* What the reactor waits for, and which of its sockets have to be looked at.
 *
 * Room: node/engine, not pure. Ownership: the engine's. Thread safety: none, the reactor's thread alone.
 * A look at a ZeroMQ socket that has nothing costs two system calls, and zmq_poll looks at each of them: with a dozen sockets
 * that is more than what a turn does otherwise. So the descriptors alone are polled. They are edge-triggered (ZMQ_FD in
 * zmq_getsockopt(3)): a signal may be taken by any call on its socket, so
 *
 * Invariant: a socket that is not due was received from until it had nothing, and nothing was done with it since.
 */
#ifndef MAITRED_NODE_ENGINE_ENGINE_WAIT_H
#define MAITRED_NODE_ENGINE_ENGINE_WAIT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

enum wait_source {
    WAIT_FRAMES,  /* of peers */
    WAIT_GOSSIP,  /* of peers */
    WAIT_LINKS,   /* connections to peers */
    WAIT_CALLS,   /* of clients */
    WAIT_CLIENTS, /* connections of clients */
    WAIT_OTHER,   /* descriptors that their own code reads */
    WAIT_SOURCES,
};

#define WAIT_DESCRIPTORS_MAX 264

struct engine_wait {
    struct pollfd fds[WAIT_DESCRIPTORS_MAX];
    enum wait_source sources[WAIT_DESCRIPTORS_MAX];
    size_t count;
    bool due[WAIT_SOURCES];
};

/* Adds a socket (due at once) or, with socket NULL, a descriptor. */
void engine_wait_add (struct engine_wait *wait, enum wait_source source, void *socket, int fd);

/* Waits until something is due or timeout_ms have passed. False: poll failed, errno says why. */
bool engine_wait_poll (struct engine_wait *wait, long timeout_ms);

/* True when the source is due. The caller receives until there is nothing, or says again that it is due. */
bool engine_wait_take (struct engine_wait *wait, enum wait_source source);

static inline void engine_wait_again (struct engine_wait *wait, enum wait_source source)
{
    wait->due[source] = true;
}

#endif
