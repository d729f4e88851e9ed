#include "router/front/front_unsent.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

struct front_unsent {
    _Atomic uint32_t references; /* the connection's one, and one a message */
    _Atomic uint32_t replies;
    _Atomic uint64_t bytes;
};

/* The last frame of a message, and what the message adds up to. */
struct last_frame {
    struct front_unsent *unsent;
    uint32_t replies;
    uint64_t bytes;
    _Atomic bool
        given; /* orders the above for ZeroMQ's thread; its own queue does, too, but a race detector cannot see into it */
    uint8_t data[];
};

struct front_unsent *front_unsent_new (void)
{
    struct front_unsent *unsent = calloc (1, sizeof *unsent);
    if (unsent != NULL)
        atomic_init (&unsent->references, 1);
    return unsent;
}

void front_unsent_release (struct front_unsent **unsent)
{
    if (*unsent != NULL && atomic_fetch_sub (&(*unsent)->references, 1) == 1)
        free (*unsent);
    *unsent = NULL;
}

uint32_t front_unsent_replies (const struct front_unsent *unsent)
{
    return atomic_load (&unsent->replies);
}

uint64_t front_unsent_bytes (const struct front_unsent *unsent)
{
    return atomic_load (&unsent->bytes);
}

/* ZeroMQ is done with the frame. */
static void left (void *data, void *hint)
{
    (void) data;
    struct last_frame *frame = hint;
    (void) atomic_load_explicit (&frame->given, memory_order_acquire);
    atomic_fetch_sub (&frame->unsent->replies, frame->replies);
    atomic_fetch_sub (&frame->unsent->bytes, frame->bytes);
    front_unsent_release (&frame->unsent);
    free (frame);
}

int front_unsent_send (struct front_unsent *unsent, void *socket, struct bytes data, uint32_t replies, uint64_t bytes)
{
    struct last_frame *frame = malloc (sizeof *frame + data.len);
    zmq_msg_t message;
    if (frame == NULL || zmq_msg_init_data (&message, frame->data, data.len, left, frame) != 0) {
        free (frame);
        errno = ENOMEM;
        return -1;
    }
    frame->unsent = unsent;
    frame->replies = replies;
    frame->bytes = bytes;
    if (data.len > 0)
        memcpy (frame->data, data.data, data.len);
    atomic_store_explicit (&frame->given, true, memory_order_release);
    atomic_fetch_add (&unsent->references, 1);
    atomic_fetch_add (&unsent->replies, replies);
    atomic_fetch_add (&unsent->bytes, bytes);
    int sent;
    do
        sent = zmq_msg_send (&message, socket, ZMQ_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        int why = errno;
        zmq_msg_close (&message);
        errno = why;
    }
    return sent;
}
