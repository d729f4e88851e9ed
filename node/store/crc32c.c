#include "node/store/crc32c.h"

#define POLYNOMIAL_REFLECTED UINT32_C (0x82F63B78)

void crc32c_init (struct crc32c *crc)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; bit++)
            value = (value >> 1) ^ ((value & 1) != 0 ? POLYNOMIAL_REFLECTED : 0);
        crc->table[0][byte] = value;
    }
    for (int k = 1; k < 8; k++) {
        for (int byte = 0; byte < 256; byte++) {
            uint32_t before = crc->table[k - 1][byte];
            crc->table[k][byte] = (before >> 8) ^ crc->table[0][before & 0xff];
        }
    }
}

uint32_t crc32c_of (const struct crc32c *crc, struct bytes data)
{
    uint32_t value = UINT32_MAX;
    const uint8_t *p = data.data;
    size_t left = data.len;
    for (; left >= 8; p += 8, left -= 8) {
        value ^= (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
        value = crc->table[7][value & 0xff] ^ crc->table[6][value >> 8 & 0xff] ^ crc->table[5][value >> 16 & 0xff] ^
                crc->table[4][value >> 24] ^ crc->table[3][p[4]] ^ crc->table[2][p[5]] ^ crc->table[1][p[6]] ^
                crc->table[0][p[7]];
    }
    for (; left > 0; p++, left--)
        value = (value >> 8) ^ crc->table[0][(value ^ *p) & 0xff];
    return ~value;
}
