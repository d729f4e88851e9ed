/* The connections behind the front's socket, as its monitor reports them: a count with a bound, and a way to cut one.
 *
 * Room: router/front. Ownership: front_connections_new/_destroy. Thread safety: none, the reactor's thread alone.
 *
 * ZeroMQ offers no way to close one connection of a ROUTER. Shutting the descriptor down from outside does it: ZeroMQ sees
 * the end of the stream and cleans up. A descriptor may have been reused since it was reported, so nothing is shut down
 * that is not a connection to the front's own port; at worst a client has to connect again.
 */
#ifndef MAITRED_ROUTER_FRONT_CONNECTIONS_H
#define MAITRED_ROUTER_FRONT_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "router/front/front_unsent.h"

#define FRONT_DESCRIPTORS_MAX 65536

struct front_connections;

/* port: of the front, in host order. NULL when memory is out. */
struct front_connections *front_connections_new (uint16_t port);
void front_connections_destroy (struct front_connections **connections);

/* A connection was accepted or ended. Descriptors out of range are ignored. */
void front_connections_accepted (struct front_connections *connections, int fd);
void front_connections_ended (struct front_connections *connections, int fd);

uint32_t front_connections_count (const struct front_connections *connections);

/* Which use of the descriptor this is; 0 when it is not known to be connected. */
uint32_t front_connections_generation (const struct front_connections *connections, int fd);

/* A whole message came from it. */
void front_connections_progress (struct front_connections *connections, int fd);

/* Closes the connection if `generation` is still the present one. True when it was shut down. */
bool front_connections_cut (struct front_connections *connections, int fd, uint32_t generation);

/* True from then on until its end is reported: what ZeroMQ still has of it is worth nothing. */
bool front_connections_is_cut (const struct front_connections *connections, int fd);

/* What ZeroMQ holds of replies to the connection. NULL: not known to be connected, or no memory. */
struct front_unsent *front_connections_unsent (struct front_connections *connections, int fd, uint32_t generation);

/* Cuts every connection that received more than bytes_max since it last completed a message; returns how many. Looks at
 * all connections: call it a few times a second. */
uint32_t front_connections_sweep (struct front_connections *connections, uint64_t bytes_max);

/* Cuts all. */
void front_connections_cut_all (struct front_connections *connections);

#endif
