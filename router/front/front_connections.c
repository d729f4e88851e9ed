#include "router/front/front_connections.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "schemas/runtime/assert.h"

struct connection {
    uint32_t generation;
    bool connected;
    bool cut;
    bool progressed;             /* since the last sweep */
    uint64_t bytes_received;     /* as of the last sweep that saw progress */
    struct front_unsent *unsent; /* from the first reply on */
};

struct front_connections {
    uint16_t port;
    uint32_t count;
    int fd_max; /* highest descriptor ever connected */
    struct connection slots[FRONT_DESCRIPTORS_MAX];
};

struct front_connections *front_connections_new (uint16_t port)
{
    struct front_connections *self = calloc (1, sizeof *self);
    if (self != NULL) {
        self->port = port;
        self->fd_max = -1;
    }
    return self;
}

void front_connections_destroy (struct front_connections **self_p)
{
    if (*self_p == NULL)
        return;
    for (int fd = 0; fd <= (*self_p)->fd_max; fd++)
        front_unsent_release (&(*self_p)->slots[fd].unsent);
    free (*self_p);
    *self_p = NULL;
}

static bool in_range (int fd)
{
    return fd >= 0 && fd < FRONT_DESCRIPTORS_MAX;
}

void front_connections_accepted (struct front_connections *self, int fd)
{
    if (!in_range (fd))
        return;
    struct connection *slot = &self->slots[fd];
    if (!slot->connected)
        self->count++;
    front_unsent_release (&slot->unsent);
    slot->connected = true;
    slot->cut = false;
    slot->progressed = false;
    slot->bytes_received = 0;
    slot->generation++;
    if (fd > self->fd_max)
        self->fd_max = fd;
}

void front_connections_ended (struct front_connections *self, int fd)
{
    if (!in_range (fd) || !self->slots[fd].connected)
        return;
    self->slots[fd].connected = self->slots[fd].cut = false;
    front_unsent_release (&self->slots[fd].unsent);
    maitre_assert (self->count > 0);
    self->count--;
}

uint32_t front_connections_count (const struct front_connections *self)
{
    return self->count;
}

uint32_t front_connections_generation (const struct front_connections *self, int fd)
{
    return in_range (fd) && self->slots[fd].connected ? self->slots[fd].generation : 0;
}

void front_connections_progress (struct front_connections *self, int fd)
{
    if (in_range (fd))
        self->slots[fd].progressed = true;
}

static bool is_own (const struct front_connections *self, int fd)
{
    struct sockaddr_storage local;
    socklen_t len = sizeof local;
    memset (&local, 0, sizeof local);
    if (getsockname (fd, (struct sockaddr *) &local, &len) != 0)
        return false;
    if (local.ss_family == AF_INET)
        return ntohs (((struct sockaddr_in *) &local)->sin_port) == self->port;
    if (local.ss_family == AF_INET6)
        return ntohs (((struct sockaddr_in6 *) &local)->sin6_port) == self->port;
    return false;
}

bool front_connections_cut (struct front_connections *self, int fd, uint32_t generation)
{
    if (generation == 0 || front_connections_generation (self, fd) != generation || !is_own (self, fd))
        return false;
    self->slots[fd].cut = true;
    return shutdown (fd, SHUT_RDWR) == 0;
}

bool front_connections_is_cut (const struct front_connections *self, int fd)
{
    return in_range (fd) && self->slots[fd].cut;
}

struct front_unsent *front_connections_unsent (struct front_connections *self, int fd, uint32_t generation)
{
    if (generation == 0 || front_connections_generation (self, fd) != generation)
        return NULL;
    struct connection *slot = &self->slots[fd];
    if (slot->unsent == NULL)
        slot->unsent = front_unsent_new ();
    return slot->unsent;
}

static uint64_t bytes_received (int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    memset (&info, 0, sizeof info);
    if (getsockopt (fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return 0;
    return info.tcpi_bytes_received;
}

uint32_t front_connections_sweep (struct front_connections *self, uint64_t bytes_max)
{
    uint32_t cut = 0;
    for (int fd = 0; fd <= self->fd_max; fd++) {
        struct connection *slot = &self->slots[fd];
        if (!slot->connected)
            continue;
        uint64_t received = bytes_received (fd);
        if (slot->progressed || received < slot->bytes_received) {
            slot->progressed = false;
            slot->bytes_received = received;
        } else if (received - slot->bytes_received > bytes_max && front_connections_cut (self, fd, slot->generation)) {
            cut++;
        }
    }
    return cut;
}

void front_connections_cut_all (struct front_connections *self)
{
    for (int fd = 0; fd <= self->fd_max; fd++) {
        if (self->slots[fd].connected)
            front_connections_cut (self, fd, self->slots[fd].generation);
    }
}
