#include "schemas/runtime/placement_hash.h"

#include <string.h>

#include "schemas/runtime/assert.h"

_Static_assert(ID_SIZE == 6 + 4 + 6, "a provider is placed by the time and the random part of its id");

struct siphash {
    uint64_t v0, v1, v2, v3;
    uint64_t word; /* the bytes that do not fill eight yet, the first lowest */
    uint64_t len;
};

static uint64_t rotate_left (uint64_t x, unsigned bits)
{
    maitre_assert (bits > 0);
    maitre_assert (bits < 64);
    return (x << bits) | (x >> (64 - bits));
}

static void sip_round (struct siphash *s)
{
    s->v0 += s->v1;
    s->v1 = rotate_left (s->v1, 13) ^ s->v0;
    s->v0 = rotate_left (s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate_left (s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate_left (s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate_left (s->v1, 17) ^ s->v2;
    s->v2 = rotate_left (s->v2, 32);
}

static void sip_word (struct siphash *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round (s);
    sip_round (s);
    s->v0 ^= word;
}

static void sip_init (struct siphash *s, uint64_t key0, uint64_t key1)
{
    *s = (struct siphash){
        .v0 = UINT64_C (0x736f6d6570736575) ^ key0,
        .v1 = UINT64_C (0x646f72616e646f6d) ^ key1,
        .v2 = UINT64_C (0x6c7967656e657261) ^ key0,
        .v3 = UINT64_C (0x7465646279746573) ^ key1,
    };
}

static void sip_update (struct siphash *s, struct bytes data)
{
    for (size_t i = 0; i < data.len; i++) {
        s->word |= (uint64_t) data.data[i] << (8 * (s->len & 7));
        s->len++;
        if ((s->len & 7) == 0) {
            sip_word (s, s->word);
            s->word = 0;
        }
    }
    maitre_assert ((s->len & 7) != 0 || s->word == 0);
}

static uint64_t sip_final (struct siphash *s)
{
    maitre_assert (s->word >> (8 * (s->len & 7)) == 0);
    sip_word (s, s->word | (s->len << 56));
    s->v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round (s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t siphash24_joined (uint64_t key0, uint64_t key1, struct bytes prefix, struct bytes data)
{
    struct siphash s;
    sip_init (&s, key0, key1);
    sip_update (&s, prefix);
    sip_update (&s, data);
    return sip_final (&s);
}

uint64_t siphash24 (uint64_t key0, uint64_t key1, struct bytes data)
{
    return siphash24_joined (key0, key1, (struct bytes){0}, data);
}

static uint32_t placed (struct bytes prefix, struct bytes data)
{
    return (uint32_t) siphash24_joined (0, 0, prefix, data);
}

uint32_t placement_hash_group (struct bytes group)
{
    return placed (BYTES_LITERAL ("g:"), group);
}

uint32_t placement_hash_provider (const struct id *provider)
{
    uint8_t own[12];
    memcpy (own, provider->b, 6);
    memcpy (own + 6, provider->b + 10, 6);
    return placed (BYTES_LITERAL ("p:"), bytes_of (own, sizeof own));
}

uint32_t placement_hash_user (struct bytes normalised_login)
{
    return placed (BYTES_LITERAL ("u:"), normalised_login);
}

uint32_t placement_shard (uint32_t hash, uint32_t shard_count)
{
    maitre_assert (shard_count > 0);
    uint32_t shard = 1 + hash % shard_count;
    maitre_assert (shard >= 1);
    maitre_assert (shard <= shard_count);
    return shard;
}
