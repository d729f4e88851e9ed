#include "node/shard/output.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"

#define BLOCK_BYTES 16384

_Static_assert(BLOCK_BYTES % sizeof (uint64_t) == 0, "a block is made of aligned words");

struct output_block {
    struct output_block *next;
    size_t used, size;
    uint64_t data[]; /* uint64_t for its alignment */
};

void output_init (struct output *self)
{
    self->blocks = NULL;
}

static void blocks_free (struct output_block *block)
{
    while (block != NULL) {
        struct output_block *next = block->next;
        free (block);
        block = next;
    }
}

void output_close (struct output *self)
{
    blocks_free (self->blocks);
    self->blocks = NULL;
}

void output_reset (struct output *self)
{
    struct output_block *block = self->blocks;
    if (block == NULL)
        return;
    blocks_free (block->next);
    block->next = NULL;
    block->used = 0;
    maitre_assert (block->size >= BLOCK_BYTES);
    if (block->size > BLOCK_BYTES) { /* a long list must not stay resident in every shard */
        free (block);
        self->blocks = NULL;
    }
}

void *output_alloc (struct output *self, size_t size)
{
    size = (size + 7) & ~(size_t) 7;
    struct output_block *block = self->blocks;
    if (block == NULL || block->size - block->used < size) {
        size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        struct output_block *fresh = malloc (sizeof *fresh + room);
        maitre_assert (fresh != NULL);
        *fresh = (struct output_block){.next = block, .used = 0, .size = room};
        self->blocks = block = fresh;
    }
    maitre_assert (block->size - block->used >= size);
    maitre_assert (block->used % sizeof (uint64_t) == 0);
    void *memory = (uint8_t *) block->data + block->used;
    block->used += size;
    maitre_assert (block->used <= block->size);
    return memory;
}

struct bytes output_copy (struct output *self, struct bytes data)
{
    if (data.len == 0)
        return (struct bytes){0};
    uint8_t *copy = output_alloc (self, data.len);
    maitre_assert (self->blocks->used >= data.len);
    memcpy (copy, data.data, data.len);
    return bytes_of (copy, data.len);
}

const char *output_text (struct output *self, const char *text)
{
    if (text == NULL)
        return NULL;
    size_t size = strlen (text) + 1;
    maitre_assert (size >= 1);
    char *copy = output_alloc (self, size);
    memcpy (copy, text, size);
    return copy;
}

void output_reserve (void *items_p, size_t *size, size_t count, size_t item_size)
{
    maitre_assert (item_size > 0);
    if (count <= *size)
        return;
    size_t wanted = *size < 8 ? 8 : *size * 2;
    if (wanted < count)
        wanted = count;
    void *items;
    memcpy (&items, items_p, sizeof items);
    items = realloc (items, wanted * item_size);
    maitre_assert (items != NULL);
    memcpy (items_p, &items, sizeof items);
    *size = wanted;
    maitre_assert (*size >= count);
}
