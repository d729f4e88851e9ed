/* Replies on their way out: kept in order, handed out by connection.
 *
 * Room: router/front, private to the front; pure but for malloc. Ownership: front_outbox_new/front_outbox_destroy; bytes are
 * copied in, and what front_outbox_next lends is valid until the next add or clear. Thread safety: none.
 *
 * Invariants
 *   1. Every reply is handed out once, replies to one connection in the order in which they were added.
 *   2. A message holds one reply, or up to FRONT_CALLS_MAX where the client takes many.
 */
#ifndef MAITRED_ROUTER_FRONT_FRONT_OUTBOX_H
#define MAITRED_ROUTER_FRONT_FRONT_OUTBOX_H

#include "router/front/front.h"

struct front_outbox;

struct front_message {
    const struct front_client *client;
    size_t count;
    struct {
        struct bytes head, body;
    } replies[FRONT_CALLS_MAX];
};

struct front_outbox *front_outbox_new (void); /* NULL: no memory */
void front_outbox_destroy (struct front_outbox **outbox);

/* True when a reply of that many bytes should wait for a clear: bounds what is kept. Never true of an empty one. */
bool front_outbox_full (const struct front_outbox *outbox, size_t bytes);

/* RESOURCE_EXHAUSTED: no memory, nothing was added. Pre: not full. */
WARN_UNUSED enum status front_outbox_add (
    struct front_outbox *outbox, const struct front_client *client, struct bytes head, struct bytes body);

/* The next message; false when everything was handed out. */
bool front_outbox_next (struct front_outbox *outbox, struct front_message *message);

/* Forgets everything. Pre: all was handed out. */
void front_outbox_clear (struct front_outbox *outbox);

#endif
