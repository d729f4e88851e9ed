#include "node/store/store_batch.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"

#define BLOCK_BYTES ((size_t) 256 * 1024)

/* Changes lie in blocks that never move: growing by copying would stall the reactor when a batch is large. */
struct batch_block {
    struct batch_block *next;
    size_t used, size;
    uint8_t data[];
};

struct batch_row {
    const uint8_t *key; /* the value follows */
    uint64_t prefix;    /* the key's first eight bytes, for the sort */
    uint32_t value_len;
    uint16_t key_len;
    bool removed;
};

struct store_batch {
    uint32_t shard, generation;
    uint64_t replica, applied_index, applied_term;
    struct batch_block *blocks;
    struct batch_row *rows;
    size_t count, room, bytes;
    bool sorted;
};

struct store_batch *store_batch_new (
    uint32_t shard, uint64_t replica, uint32_t generation, uint64_t applied_index, uint64_t applied_term)
{
    struct store_batch *batch = malloc (sizeof *batch);
    if (batch != NULL) {
        *batch = (struct store_batch){.shard = shard,
            .generation = generation,
            .replica = replica,
            .applied_index = applied_index,
            .applied_term = applied_term};
    }
    return batch;
}

void store_batch_destroy (struct store_batch **batch_at)
{
    struct store_batch *batch = *batch_at;
    if (batch == NULL)
        return;
    while (batch->blocks != NULL) {
        struct batch_block *next = batch->blocks->next;
        free (batch->blocks);
        batch->blocks = next;
    }
    free (batch->rows);
    free (batch);
    *batch_at = NULL;
}

static uint8_t *take_room (struct store_batch *batch, size_t len)
{
    struct batch_block *block = batch->blocks;
    if (block == NULL || block->size - block->used < len) {
        size_t size = len > BLOCK_BYTES ? len : BLOCK_BYTES;
        block = malloc (sizeof *block + size);
        if (block == NULL)
            return NULL;
        *block = (struct batch_block){.next = batch->blocks, .size = size};
        batch->blocks = block;
    }
    uint8_t *room = block->data + block->used;
    block->used += len;
    return room;
}

static enum status add (struct store_batch *batch, struct bytes key, struct bytes value, bool removed)
{
    maitre_assert (key.len <= UINT16_MAX && value.len <= UINT32_MAX);
    maitre_assert (!batch->sorted);
    if (batch->count == batch->room) {
        size_t room = batch->room == 0 ? 256 : batch->room * 2;
        struct batch_row *grown = realloc (batch->rows, room * sizeof *grown);
        if (grown == NULL)
            return STATUS_RESOURCE_EXHAUSTED;
        batch->rows = grown;
        batch->room = room;
    }
    uint8_t *copy = take_room (batch, key.len + value.len);
    if (copy == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    uint8_t head[8] = {0};
    if (key.len > 0) {
        memcpy (copy, key.data, key.len);
        memcpy (head, key.data, key.len < sizeof head ? key.len : sizeof head);
    }
    if (value.len > 0)
        memcpy (copy + key.len, value.data, value.len);
    batch->rows[batch->count++] = (struct batch_row){.key = copy,
        .prefix = bytes_get_u64 (head),
        .value_len = (uint32_t) value.len,
        .key_len = (uint16_t) key.len,
        .removed = removed};
    batch->bytes += key.len + value.len;
    return STATUS_OK;
}

enum status store_batch_put (struct store_batch *batch, struct bytes key, struct bytes value)
{
    return add (batch, key, value, false);
}

enum status store_batch_remove (struct store_batch *batch, struct bytes key)
{
    return add (batch, key, (struct bytes){0}, true);
}

size_t store_batch_count (const struct store_batch *batch)
{
    return batch->count;
}

size_t store_batch_bytes (const struct store_batch *batch)
{
    return batch->bytes;
}

uint32_t store_batch_shard (const struct store_batch *batch)
{
    return batch->shard;
}

uint64_t store_batch_replica (const struct store_batch *batch)
{
    return batch->replica;
}

uint32_t store_batch_generation (const struct store_batch *batch)
{
    return batch->generation;
}

uint64_t store_batch_applied_index (const struct store_batch *batch)
{
    return batch->applied_index;
}

uint64_t store_batch_applied_term (const struct store_batch *batch)
{
    return batch->applied_term;
}

static struct bytes row_key (const struct batch_row *row)
{
    return bytes_of (row->key, row->key_len);
}

static int row_order (const void *a, const void *b)
{
    const struct batch_row *x = a, *y = b;
    if (x->prefix != y->prefix)
        return x->prefix < y->prefix ? -1 : 1;
    return bytes_compare (row_key (x), row_key (y));
}

void store_batch_sort (struct store_batch *batch)
{
    if (batch->sorted)
        return;
    if (batch->count > 0)
        qsort (batch->rows, batch->count, sizeof *batch->rows, row_order);
    for (size_t i = 1; i < batch->count; i++)
        maitre_assert (row_order (&batch->rows[i - 1], &batch->rows[i]) < 0);
    batch->sorted = true;
}

void store_batch_at (const struct store_batch *batch, size_t i, struct bytes *key, struct bytes *value, bool *removed)
{
    maitre_assert (batch->sorted);
    maitre_assert (i < batch->count);
    const struct batch_row *row = &batch->rows[i];
    *key = row_key (row);
    *value = bytes_of (row->key + row->key_len, row->value_len);
    *removed = row->removed;
}
