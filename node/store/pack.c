#include "node/store/pack.h"

#include "schemas/runtime/checksum.h"
#include "schemas/runtime/planted.h"

void pack_write_header (uint8_t out[PACK_HEADER_BYTES], const struct pack_part *part, uint32_t body_len)
{
    bytes_put_u16 (out, PACK_FORMAT);
    bytes_put_u16 (out + 2, (uint16_t) part->part);
    bytes_put_u16 (out + 4, (uint16_t) part->parts);
    bytes_put_u16 (out + 6, 0);
    bytes_put_u64 (out + 8, part->turn);
    bytes_put_u32 (out + 16, part->groups);
    bytes_put_u32 (out + 20, body_len);
}

void pack_write_group (uint8_t out[PACK_GROUP_BYTES], const struct pack_group *group)
{
    bytes_put_u32 (out, group->shard);
    bytes_put_u64 (out + 4, group->replica);
    out[12] = group->flags;
    bytes_put_u64 (out + 13, group->truncate_from);
    bytes_put_u64 (out + 21, group->first_index);
    bytes_put_u32 (out + 29, group->count);
}

static uint64_t entry_sum (uint32_t shard, uint64_t replica, const struct store_entry *entry)
{
    uint8_t place[29];
    bytes_put_u32 (place, shard);
    bytes_put_u64 (place + 4, replica);
    bytes_put_u64 (place + 12, entry->index);
    bytes_put_u64 (place + 20, entry->term);
    place[28] = (uint8_t) entry->type;
    return checksum64 (checksum64 (0, bytes_of (place, sizeof place)), entry->payload);
}

void pack_write_entry (uint8_t out[PACK_ENTRY_BYTES], uint32_t shard, uint64_t replica, const struct store_entry *entry)
{
    bytes_put_u64 (out, entry->term);
    out[8] = (uint8_t) entry->type;
    bytes_put_u32 (out + 9, (uint32_t) entry->payload.len);
    bytes_put_u64 (out + 13, entry_sum (shard, replica, entry));
}

enum status pack_read_part (struct bytes value, struct pack_part *part)
{
    if (value.len < PACK_HEADER_BYTES + PACK_SUM_BYTES)
        return STATUS_DATA_LOSS;
    size_t summed = value.len - PACK_SUM_BYTES;
    if (checksum64 (0, bytes_of (value.data, summed)) != bytes_get_u64 (value.data + summed))
        return STATUS_DATA_LOSS;
    if (bytes_get_u16 (value.data) != PACK_FORMAT || bytes_get_u16 (value.data + 6) != 0)
        return STATUS_UNIMPLEMENTED;
    *part = (struct pack_part){.turn = bytes_get_u64 (value.data + 8),
        .part = bytes_get_u16 (value.data + 2),
        .parts = bytes_get_u16 (value.data + 4),
        .groups = bytes_get_u32 (value.data + 16),
        .body = bytes_of (value.data + PACK_HEADER_BYTES, summed - PACK_HEADER_BYTES)};
    return bytes_get_u32 (value.data + 20) == part->body.len ? STATUS_OK : STATUS_DATA_LOSS;
}

static bool take (struct bytes *body, size_t len, const uint8_t **taken)
{
    if (body->len < len)
        return false;
    *taken = body->data;
    *body = bytes_of (body->data + len, body->len - len);
    return true;
}

enum status pack_read_group (struct bytes *body, struct pack_group *group)
{
    const uint8_t *in;
    if (!take (body, PACK_GROUP_BYTES, &in))
        return STATUS_DATA_LOSS;
    *group = (struct pack_group){.shard = bytes_get_u32 (in),
        .replica = bytes_get_u64 (in + 4),
        .flags = in[12],
        .truncate_from = bytes_get_u64 (in + 13),
        .first_index = bytes_get_u64 (in + 21),
        .count = bytes_get_u32 (in + 29)};
    bool reset = group->flags == PACK_FLAG_RESET && group->count == 0 && group->first_index > 0;
    bool append = group->flags == 0 && (group->count == 0 || group->first_index > 0);
    return reset || append ? STATUS_OK : STATUS_DATA_LOSS;
}

enum status pack_read_entry (
    struct bytes *body, const struct pack_group *group, uint64_t index, struct store_entry *entry)
{
    const uint8_t *in, *payload;
    if (!take (body, PACK_ENTRY_BYTES, &in) || !take (body, bytes_get_u32 (in + 9), &payload))
        return STATUS_DATA_LOSS;
    *entry = (struct store_entry){.index = index,
        .term = bytes_get_u64 (in),
        .type = in[8],
        .payload = bytes_of (payload, bytes_get_u32 (in + 9))};
    bool whole = entry_sum (group->shard, group->replica, entry) == bytes_get_u64 (in + 13);
    return whole || PLANTED (STORE_ENTRY_UNCHECKED) ? STATUS_OK : STATUS_DATA_LOSS;
}

void pack_turn_key (uint8_t out[PACK_TURN_KEY_BYTES], uint64_t turn, uint16_t part)
{
    out[0] = 't';
    bytes_put_u64 (out + 1, turn);
    bytes_put_u16 (out + 9, part);
}

void pack_mark_key (uint8_t out[PACK_MARK_KEY_BYTES], char kind, uint32_t shard, uint64_t replica)
{
    out[0] = (uint8_t) kind;
    bytes_put_u32 (out + 1, shard);
    bytes_put_u64 (out + 5, replica);
}

size_t pack_seal (struct bytes key, uint8_t *out, size_t fields_len)
{
    out[0] = PACK_FORMAT;
    uint64_t sum = checksum64 (checksum64 (0, key), bytes_of (out, fields_len + 1));
    bytes_put_u64 (out + 1 + fields_len, sum);
    return fields_len + 1 + PACK_SUM_BYTES;
}

enum status pack_unseal (struct bytes key, struct bytes value, struct bytes *fields)
{
    if (value.len < 1 + PACK_SUM_BYTES)
        return STATUS_DATA_LOSS;
    size_t summed = value.len - PACK_SUM_BYTES;
    if (checksum64 (checksum64 (0, key), bytes_of (value.data, summed)) != bytes_get_u64 (value.data + summed))
        return STATUS_DATA_LOSS;
    if (value.data[0] != PACK_FORMAT)
        return STATUS_UNIMPLEMENTED;
    *fields = bytes_of (value.data + 1, summed - 1);
    return STATUS_OK;
}
