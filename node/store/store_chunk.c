#include "node/store/store_chunk.h"

#include "schemas/runtime/checksum.h"

void store_chunk_write_header (uint8_t out[STORE_CHUNK_HEADER_BYTES], const struct store_chunk *chunk)
{
    bytes_put_u16 (out, STORE_CHUNK_FORMAT);
    bytes_put_u16 (out + 2, chunk->last);
    bytes_put_u32 (out + 4, chunk->shard);
    bytes_put_u32 (out + 8, chunk->number);
    bytes_put_u64 (out + 12, chunk->index);
    bytes_put_u64 (out + 20, chunk->term);
    bytes_put_u32 (out + 28, chunk->count);
}

bool store_chunk_row (struct bytes *rows, struct bytes *key, struct bytes *value)
{
    if (rows->len < STORE_CHUNK_ROW_BYTES)
        return false;
    size_t key_len = bytes_get_u16 (rows->data), value_len = bytes_get_u32 (rows->data + 2);
    size_t left = rows->len - STORE_CHUNK_ROW_BYTES;
    if (key_len > left || value_len > left - key_len)
        return false;
    const uint8_t *data = rows->data + STORE_CHUNK_ROW_BYTES;
    *key = bytes_of (data, key_len);
    *value = bytes_of (data + key_len, value_len);
    *rows = bytes_of (data + key_len + value_len, left - key_len - value_len);
    return true;
}

enum status store_chunk_read (struct bytes in, struct store_chunk *chunk, struct bytes *rows)
{
    if (in.len < STORE_CHUNK_HEADER_BYTES + STORE_CHUNK_SUM_BYTES)
        return STATUS_DATA_LOSS;
    size_t summed = in.len - STORE_CHUNK_SUM_BYTES;
    if (checksum64 (0, bytes_of (in.data, summed)) != bytes_get_u64 (in.data + summed))
        return STATUS_DATA_LOSS;
    if (bytes_get_u16 (in.data) != STORE_CHUNK_FORMAT || bytes_get_u16 (in.data + 2) > 1)
        return STATUS_UNIMPLEMENTED;
    *chunk = (struct store_chunk){.shard = bytes_get_u32 (in.data + 4),
        .number = bytes_get_u32 (in.data + 8),
        .count = bytes_get_u32 (in.data + 28),
        .index = bytes_get_u64 (in.data + 12),
        .term = bytes_get_u64 (in.data + 20),
        .last = bytes_get_u16 (in.data + 2) == 1};
    *rows = bytes_of (in.data + STORE_CHUNK_HEADER_BYTES, summed - STORE_CHUNK_HEADER_BYTES);
    struct bytes rest = *rows, key, value;
    for (uint32_t i = 0; i < chunk->count; i++) {
        if (!store_chunk_row (&rest, &key, &value))
            return STATUS_DATA_LOSS;
    }
    return rest.len == 0 ? STATUS_OK : STATUS_DATA_LOSS;
}
