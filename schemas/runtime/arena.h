/* A bump allocator over the caller's memory: what a decoded message points to.
 *
 * Room: schemas/runtime, pure. Ownership: the caller owns the buffer; nothing is ever freed singly. Thread safety: one
 * arena, one thread.
 *
 * Invariants
 *  1. used <= size.
 *  2. Every returned pointer is aligned to 8 bytes and lies inside the buffer.
 */
#ifndef MAITRED_SCHEMAS_RUNTIME_ARENA_H
#define MAITRED_SCHEMAS_RUNTIME_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define ARENA_ALIGNMENT 8

struct arena {
    uint8_t *base;
    size_t used, size;
};

/* Starts an empty arena over size bytes at buffer, which must outlive everything allocated from it. */
void arena_init (struct arena *arena, void *buffer, size_t size);

/* size bytes, not zeroed, or NULL when the arena is full (then nothing changes). A size of 0 gives a valid pointer. */
void *arena_alloc (struct arena *arena, size_t size);

/* A copy of the len bytes at data, or NULL when the arena is full. */
void *arena_copy (struct arena *arena, const void *data, size_t len);

/* Forgets every allocation. */
void arena_reset (struct arena *arena);

#endif
