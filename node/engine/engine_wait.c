#include "node/engine/engine_wait.h"

#include <errno.h>

#include "schemas/runtime/assert.h"

void engine_wait_add (struct engine_wait *wait, enum wait_source source, void *socket, int fd)
{
    maitre_assert (wait->count < WAIT_DESCRIPTORS_MAX);
    if (socket != NULL) {
        size_t size = sizeof fd;
        int rc = zmq_getsockopt (socket, ZMQ_FD, &fd, &size);
        maitre_assert (rc == 0);
        wait->due[source] = true;
    }
    wait->fds[wait->count] = (struct pollfd){.fd = fd, .events = POLLIN};
    wait->sources[wait->count++] = source;
}

bool engine_wait_poll (struct engine_wait *wait, long timeout_ms)
{
    for (int source = 0; source < WAIT_SOURCES; source++) {
        if (wait->due[source])
            timeout_ms = 0;
    }
    int polled = poll (wait->fds, wait->count, (int) timeout_ms);
    if (polled < 0)
        return errno == EINTR;
    for (size_t i = 0; i < wait->count && polled > 0; i++) {
        if (wait->fds[i].revents == 0)
            continue;
        polled--;
        if (wait->sources[i] != WAIT_OTHER)
            wait->due[wait->sources[i]] = true;
    }
    return true;
}

bool engine_wait_take (struct engine_wait *wait, enum wait_source source)
{
    bool due = wait->due[source];
    wait->due[source] = false;
    return due;
}
