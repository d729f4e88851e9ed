#include "schemas/runtime/checksum.h"

#include "schemas/runtime/assert.h"

#define PRIME_1 UINT64_C (0x9E3779B185EBCA87)
#define PRIME_2 UINT64_C (0xC2B2AE3D27D4EB4F)
#define PRIME_3 UINT64_C (0x165667B19E3779F9)
#define PRIME_4 UINT64_C (0x85EBCA77C2B2AE63)
#define PRIME_5 UINT64_C (0x27D4EB2F165667C5)

static inline uint64_t rotate_left (uint64_t x, unsigned bits)
{
    maitre_assert (bits > 0);
    maitre_assert (bits < 64);
    return (x << bits) | (x >> (64 - bits));
}

/* Spelled bytewise: compilers turn it into one load on little-endian machines, and it is right on the others. */
static inline uint64_t little_u32 (const uint8_t *p)
{
    return (uint64_t) p[0] | (uint64_t) p[1] << 8 | (uint64_t) p[2] << 16 | (uint64_t) p[3] << 24;
}

static inline uint64_t little_u64 (const uint8_t *p)
{
    return (uint64_t) p[0] | (uint64_t) p[1] << 8 | (uint64_t) p[2] << 16 | (uint64_t) p[3] << 24 |
           (uint64_t) p[4] << 32 | (uint64_t) p[5] << 40 | (uint64_t) p[6] << 48 | (uint64_t) p[7] << 56;
}

static inline uint64_t lane_round (uint64_t lane, uint64_t input)
{
    return rotate_left (lane + input * PRIME_2, 31) * PRIME_1;
}

static inline uint64_t lane_merge (uint64_t sum, uint64_t lane)
{
    return (sum ^ lane_round (0, lane)) * PRIME_1 + PRIME_4;
}

uint64_t checksum64 (uint64_t seed, struct bytes data)
{
    maitre_assert (data.len == 0 || data.data != NULL);
    const uint8_t *p = data.data;
    size_t left = data.len;
    uint64_t sum;
    if (left >= 32) {
        uint64_t a = seed + PRIME_1 + PRIME_2, b = seed + PRIME_2, c = seed, d = seed - PRIME_1;
        for (; left >= 32; p += 32, left -= 32) {
            a = lane_round (a, little_u64 (p));
            b = lane_round (b, little_u64 (p + 8));
            c = lane_round (c, little_u64 (p + 16));
            d = lane_round (d, little_u64 (p + 24));
        }
        sum = rotate_left (a, 1) + rotate_left (b, 7) + rotate_left (c, 12) + rotate_left (d, 18);
        sum = lane_merge (lane_merge (lane_merge (lane_merge (sum, a), b), c), d);
    } else {
        sum = seed + PRIME_5;
    }
    sum += data.len;
    for (; left >= 8; p += 8, left -= 8)
        sum = rotate_left (sum ^ lane_round (0, little_u64 (p)), 27) * PRIME_1 + PRIME_4;
    if (left >= 4) {
        sum = rotate_left (sum ^ little_u32 (p) * PRIME_1, 23) * PRIME_2 + PRIME_3;
        p += 4, left -= 4;
    }
    for (; left > 0; p++, left--)
        sum = rotate_left (sum ^ *p * PRIME_5, 11) * PRIME_1;
    maitre_assert ((size_t) (p - data.data) == data.len);
    sum ^= sum >> 33;
    sum *= PRIME_2;
    sum ^= sum >> 29;
    sum *= PRIME_3;
    return sum ^ (sum >> 32);
}
