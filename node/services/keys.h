/* Every key of a shard's state, in one place so that no two services collide.
 *
 * Room: node/services, pure. Ownership: a struct key is a plain value. Thread safety: no shared state.
 *
 * Layout: one byte of table tag, then parts of fixed width, big-endian, so that byte order is the order to scan in. A
 * text part (a login) comes last. The tags are on disk and in snapshots: never give one a new meaning.
 */
#ifndef MAITRED_NODE_SERVICES_KEYS_H
#define MAITRED_NODE_SERVICES_KEYS_H

#include "schemas/runtime/assert.h"
#include "schemas/runtime/bytes.h"
#include "schemas/runtime/ids.h"

#define KEY_BYTES_MAX 96

enum table {
    TABLE_META = 1,             /* (nothing)                    one row: sessions.h */
    TABLE_RECORD = 2,           /* request id, principal        request-record; in order of the ids' own time */
    TABLE_PROVIDER = 16,        /* provider                     provider */
    TABLE_OFFER = 17,           /* offer                        offer */
    TABLE_OFFER_HEAD = 18,      /* offer                        what bookings need of an offer, packed: offer.h */
    TABLE_PROVIDER_OFFER = 19,  /* provider, offer              empty */
    TABLE_COUNTER = 24,         /* offer, page u32              held, confirmed and capacity of 32 buckets: counter.h */
    TABLE_USAGE = 25,           /* offer, customer              units held and confirmed, u64 */
    TABLE_RESERVATION = 32,     /* reservation                  reservation */
    TABLE_CUSTOMER_RESERVATION, /* customer, reservation        empty */
    TABLE_PROVIDER_RESERVATION, /* provider, reservation        empty */
    TABLE_HOLD_DUE,             /* expires u64, reservation     empty; every hold of the shard */
    TABLE_COUNTER_HOLD,         /* offer, expires u64, reservation   empty; the holds on one counter */
    TABLE_ORDER = 48,           /* order                        order */
    TABLE_CUSTOMER_ORDER,       /* customer, order              empty */
    TABLE_PROVIDER_ORDER,       /* provider, order              empty */
    TABLE_COURIER_ORDER,        /* courier, order               empty */
    TABLE_ORDER_DUE,            /* accept by u64, order         empty; orders that expire unless accepted */
    TABLE_USER = 64,            /* normalised login             user */
    TABLE_USER_ID,              /* user                         normalised login */
    TABLE_SESSION,              /* user, session                session */
    TABLE_API_KEY,              /* key                          api-key */
    TABLE_PLACEMENT = 80,       /* (nothing)                    placement; the system shard's */
};

_Static_assert(TABLE_PLACEMENT < UINT8_MAX, "a tag is a byte that key_after_prefix can count up");
_Static_assert(1 + ID_SIZE + 8 + ID_SIZE <= KEY_BYTES_MAX, "the longest index key");

struct key {
    uint8_t b[KEY_BYTES_MAX];
    size_t len;
};

static inline void key_begin (struct key *key, enum table table)
{
    key->b[0] = (uint8_t) table;
    key->len = 1;
}

static inline void key_bytes (struct key *key, struct bytes part)
{
    maitre_assert (part.len <= KEY_BYTES_MAX - key->len);
    if (part.len > 0)
        memcpy (key->b + key->len, part.data, part.len);
    key->len += part.len;
}

static inline void key_id (struct key *key, const struct id *id)
{
    maitre_assert (key->len + ID_SIZE <= KEY_BYTES_MAX);
    memcpy (key->b + key->len, id->b, ID_SIZE);
    key->len += ID_SIZE;
}

static inline void key_u32 (struct key *key, uint32_t value)
{
    maitre_assert (key->len + 4 <= KEY_BYTES_MAX);
    bytes_put_u32 (key->b + key->len, value);
    key->len += 4;
}

static inline void key_u64 (struct key *key, uint64_t value)
{
    maitre_assert (key->len + 8 <= KEY_BYTES_MAX);
    bytes_put_u64 (key->b + key->len, value);
    key->len += 8;
}

/* The key as bytes, borrowed: valid as long as *key. */
static inline struct bytes key_of (const struct key *key)
{
    return bytes_of (key->b, key->len);
}

/* Turns a prefix into the first key after everything that starts with it (an end for state_scan). The tag is never
 * 0xff, so there always is one. */
static inline void key_after_prefix (struct key *key)
{
    while (key->len > 0 && key->b[key->len - 1] == 0xff)
        key->len--;
    maitre_assert (key->len > 0);
    key->b[key->len - 1]++;
}

/* One table tag, alone. */
static inline struct key key_table (enum table table)
{
    struct key key;
    key_begin (&key, table);
    return key;
}

/* Tag and one id: most entities. */
static inline struct key key_entity (enum table table, const struct id *id)
{
    struct key key;
    key_begin (&key, table);
    key_id (&key, id);
    return key;
}

/* Tag and two ids: most indexes. */
static inline struct key key_pair (enum table table, const struct id *first, const struct id *second)
{
    struct key key;
    key_begin (&key, table);
    key_id (&key, first);
    key_id (&key, second);
    return key;
}

/* The id at `offset` of a stored key; false when the key is too short (damage). */
static inline bool key_read_id (struct bytes key, size_t offset, struct id *id)
{
    if (key.len < offset + ID_SIZE)
        return false;
    memcpy (id->b, key.data + offset, ID_SIZE);
    return true;
}

#endif
