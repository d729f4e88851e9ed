#include "schemas/runtime/arena.h"

#include <string.h>

#include "schemas/runtime/assert.h"

_Static_assert((ARENA_ALIGNMENT & (ARENA_ALIGNMENT - 1)) == 0, "addresses are rounded up by masking");

void arena_init (struct arena *arena, void *buffer, size_t size)
{
    maitre_assert (buffer != NULL || size == 0);
    *arena = (struct arena){.base = buffer, .size = size};
}

void *arena_alloc (struct arena *arena, size_t size)
{
    maitre_assert (arena->used <= arena->size);
    /* The buffer itself may be unaligned, so it is the address that is rounded up, not the offset. */
    size_t padding = -(uintptr_t) (arena->base + arena->used) & (ARENA_ALIGNMENT - 1);
    size_t left = arena->size - arena->used;
    if (arena->base == NULL || padding > left || size > left - padding)
        return NULL;
    void *memory = arena->base + arena->used + padding;
    arena->used += padding + size;
    maitre_assert ((uintptr_t) memory % ARENA_ALIGNMENT == 0);
    return memory;
}

void *arena_copy (struct arena *arena, const void *data, size_t len)
{
    maitre_assert (data != NULL || len == 0);
    void *copy = arena_alloc (arena, len);
    if (copy != NULL && len > 0)
        memcpy (copy, data, len);
    return copy;
}

void arena_reset (struct arena *arena)
{
    maitre_assert (arena->used <= arena->size);
    arena->used = 0;
}
