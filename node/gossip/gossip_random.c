#include "node/gossip/gossip_internal.h"

/* SplitMix64: one word of state, every seed is good, and the whole sequence follows from config.seed. */
uint64_t gossip_random (struct gossip *gossip)
{
    uint64_t x = gossip->random_state += UINT64_C (0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C (0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t gossip_random_below (struct gossip *gossip, uint64_t bound)
{
    maitre_assert (bound > 0);
    return gossip_random (gossip) % bound; /* bounds are small: the bias is beyond notice */
}

/* Bit by bit by squaring: pure rooms bring no math library. */
uint32_t gossip_log2_q16 (uint32_t x)
{
    maitre_assert (x > 0);
    uint32_t whole = 31 - (uint32_t) __builtin_clz (x);
    uint64_t mantissa = (uint64_t) x << (31 - whole); /* 1.0 is bit 31 */
    maitre_assert (mantissa >> 31 == 1);
    uint32_t result = whole << 16;
    for (int bit = 15; bit >= 0; bit--) {
        mantissa = mantissa * mantissa >> 31;
        if (mantissa >> 32 != 0) {
            mantissa >>= 1;
            result |= UINT32_C (1) << bit;
        }
    }
    maitre_assert (result >> 16 == whole);
    return result;
}
