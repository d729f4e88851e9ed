/* Keys of the state database. Room: node/store, private, pure. Their layout is in store_state.h. */
#ifndef MAITRED_NODE_STORE_STATE_KEY_H
#define MAITRED_NODE_STORE_STATE_KEY_H

#include "node/services/state.h"
#include "schemas/runtime/bytes.h"

#define STATE_KEY_PREFIX_BYTES 16
#define STATE_KEY_HEAD_BYTES (STATE_KEY_PREFIX_BYTES + 1)
#define STATE_KEY_KIND_APPLIED 0
#define STATE_KEY_KIND_DATA 1
#define STATE_KEY_KIND_END 2

struct state_key {
    uint8_t data[STATE_KEY_HEAD_BYTES + STATE_KEY_BYTES_MAX];
    size_t len;
};

/* The head of all keys of a kind. */
static inline void state_key_head (
    struct state_key *key, uint32_t shard, uint64_t replica, uint32_t generation, uint8_t kind)
{
    bytes_put_u32 (key->data, shard);
    bytes_put_u64 (key->data + 4, replica);
    bytes_put_u32 (key->data + 12, generation);
    key->data[STATE_KEY_PREFIX_BYTES] = kind;
    key->len = STATE_KEY_HEAD_BYTES;
}

/* Puts the table's key behind a head. False when it is too long. */
static inline bool state_key_set (struct state_key *key, struct bytes inner)
{
    if (inner.len > STATE_KEY_BYTES_MAX)
        return false;
    if (inner.len > 0)
        memcpy (key->data + STATE_KEY_HEAD_BYTES, inner.data, inner.len);
    key->len = STATE_KEY_HEAD_BYTES + inner.len;
    return true;
}

static inline struct bytes state_key_bytes (const struct state_key *key)
{
    return bytes_of (key->data, key->len);
}

#endif
