/* How much of what was given to ZeroMQ for one connection it still holds. ZeroMQ's own bound counts messages; one may hold a call's
 * reply of a few bytes, or 32 large ones.
 *
 * Room: router/front, private to the front. Ownership: front_unsent_new/front_unsent_release; messages under way keep it alive.
 * Thread safety: the counters go down in ZeroMQ's thread; all else is the reactor's.
 *
 * Invariants
 *   1. A message counts from front_unsent_send until its last frame was written to the connection, or dropped with it.
 */
#ifndef MAITRED_ROUTER_FRONT_FRONT_UNSENT_H
#define MAITRED_ROUTER_FRONT_FRONT_UNSENT_H

#include <stdbool.h>
#include <stdint.h>

#include "schemas/runtime/bytes.h"

struct front_unsent;

struct front_unsent *front_unsent_new (void); /* NULL: no memory */
void front_unsent_release (struct front_unsent **unsent);

uint32_t front_unsent_replies (const struct front_unsent *unsent);
uint64_t front_unsent_bytes (const struct front_unsent *unsent);

/* Sends the last frame of a message that holds so many replies and bytes in all. As zmq_msg_send: the length, or -1 and errno
 * (ENOMEM too). */
int front_unsent_send (struct front_unsent *unsent, void *socket, struct bytes frame, uint32_t replies, uint64_t bytes);

#endif
