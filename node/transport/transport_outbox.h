/* What waits to be sent to one peer: items of a turn, packed as they come into the bytes of peer-frames.
 *
 * Room: node/transport, inside transport.c; memory only. Ownership: the owner of the struct; outbox_close frees.
 * Thread safety: none.
 *
 * Invariants
 *   1. Items leave in the order in which they came, per section.
 *   2. A frame holds at most OUTBOX_FRAME_BYTES beyond its first item, and no more items than peer.cddl allows.
 *   3. At most OUTBOX_FRAMES_MAX frames wait: what comes then is refused.
 */
#ifndef MAITRED_NODE_TRANSPORT_OUTBOX_H
#define MAITRED_NODE_TRANSPORT_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/runtime/bytes.h"
#include "schemas/runtime/ids.h"
#include "schemas/runtime/status.h"

#define OUTBOX_FRAME_BYTES (1024 * 1024)
#define OUTBOX_FRAMES_MAX 32
#define OUTBOX_SECTIONS 6
#define OUTBOX_HEAD_BYTES_MAX 96 /* everything of a frame that is not an item */

struct outbox_section {
    uint8_t *data;
    size_t len, size;
    uint32_t count;
};

struct outbox_frame {
    struct outbox_section sections[OUTBOX_SECTIONS];
    size_t bytes;
    struct outbox_frame *next;
};

struct outbox {
    struct outbox_frame *first, *last;
    uint32_t frames;
    struct outbox_frame *spare; /* emptied frames keep their memory for the next turn */
    uint32_t spares;
    struct outbox_section *reserved; /* between reserve and commit */
    size_t reserved_max;
};

/* What every frame says of its sender. */
struct outbox_sender {
    struct id cluster, uuid;
    uint32_t node;
};

void outbox_init (struct outbox *outbox);
void outbox_close (struct outbox *outbox);

bool outbox_empty (const struct outbox *outbox);

/* Room for one item of at most size bytes in a section (0..OUTBOX_SECTIONS - 1); NULL when the bound is reached or memory
 * is out. The caller writes there and commits, or does not and may reserve anew. */
uint8_t *outbox_reserve (struct outbox *outbox, unsigned section, size_t size);
void outbox_commit (struct outbox *outbox, size_t len);

/* Size of the first frame once written, and its bytes. Pre: not empty. */
size_t outbox_frame_size (const struct outbox *outbox, const struct outbox_sender *sender);
void outbox_frame_write (const struct outbox *outbox, const struct outbox_sender *sender, uint8_t *out);
uint32_t outbox_frame_count (const struct outbox *outbox, unsigned section); /* items of it in the first frame */
void outbox_pop (struct outbox *outbox);

/* Moves all frames of `from` behind those of `to`. What exceeds the bound of `to` stays: it is dropped by the caller. */
void outbox_append (struct outbox *to, struct outbox *from);

/* Forgets everything that waits. */
void outbox_clear (struct outbox *outbox);

#endif
