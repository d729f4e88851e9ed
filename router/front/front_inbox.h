/* Calls on their way in: messages taken apart, and each connection served in its turn, call by call.
 *
 * ZeroMQ takes one message of each connection after the other. A message may hold 32 calls: whoever sends such ones would get 32
 * times what the others get. So calls wait here, and connections take turns by calls.
 *
 * Room: router/front, private to the front; no socket. Ownership: front_inbox_new/front_inbox_destroy; frames are taken over,
 * and the call that front_inbox_next lends is valid until the next call of it. Thread safety: none.
 *
 * Invariants
 *   1. Every call is handed out once, those of one connection in the order in which they came.
 *   2. Between two calls of one connection every other that had calls waiting is served once.
 *   3. No connection has more waiting than its bounds, and all together not more than theirs: see front_inbox_over.
 */
#ifndef MAITRED_ROUTER_FRONT_FRONT_INBOX_H
#define MAITRED_ROUTER_FRONT_FRONT_INBOX_H

#include <zmq.h>

#include "router/front/front.h"

struct front_inbox;

struct front_inbox_limits {
    uint32_t calls_max;  /* of one connection */
    uint64_t bytes_max;  /* of one connection */
    uint64_t in_all_max; /* bytes of all */
};

struct front_call {
    struct front_client client; /* many: not known yet */
    zmq_msg_t head, body;
    bool whole;    /* two frames, and not beyond FRONT_CALLS_MAX */
    bool followed; /* by others of the same message */
    uint64_t bytes;
    struct front_call *next; /* the inbox's */
};

struct front_inbox *front_inbox_new (const struct front_inbox_limits *limits); /* NULL: no memory */
void front_inbox_destroy (struct front_inbox **inbox);

/* A message begins: its routing id. Its other frames follow, each with `more` as it was received, up to one without. */
void front_inbox_begin (struct front_inbox *inbox, struct bytes identity);

/* Takes a frame over (*frame is empty then). With the header of a call the call is returned: its client's fd and generation are
 * the caller's to set. NULL: another frame, or no memory, then the rest of the message is forgotten (its client asks again). */
struct front_call *front_inbox_frame (struct front_inbox *inbox, zmq_msg_t *frame, bool more);

/* Forgets the message that is coming in; its other frames may still be given, and are dropped. */
void front_inbox_drop (struct front_inbox *inbox);

/* True when a bound is passed: everything of one connection was forgotten then, that of *client, which is to be cut off. Call
 * it after each message until it is false. */
bool front_inbox_over (struct front_inbox *inbox, struct front_client *client);

/* The next call in turn; NULL: none. */
struct front_call *front_inbox_next (struct front_inbox *inbox);

/* Forgets what follows the call that was lent last in its message. */
void front_inbox_skip (struct front_inbox *inbox);

/* Counters, list and bounds agree. Aborts on a bug. */
void front_inbox_check (const struct front_inbox *inbox);

#endif
