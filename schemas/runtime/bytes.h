/* A borrowed run of bytes, and big-endian integers in and out of memory.
 *
 * Room: schemas/runtime, pure. A `struct bytes` never owns what it points to: the lifetime is the lender's.
 */
#ifndef MAITRED_SCHEMAS_RUNTIME_BYTES_H
#define MAITRED_SCHEMAS_RUNTIME_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *data; /* may be NULL only when len is 0 */
    size_t len;
};

#define BYTES_LITERAL(text) ((struct bytes){.data = (const uint8_t *) (text), .len = sizeof (text) - 1})

static inline struct bytes bytes_of (const void *data, size_t len)
{
    return (struct bytes){.data = (const uint8_t *) data, .len = len};
}

static inline struct bytes bytes_text (const char *text)
{
    return (struct bytes){.data = (const uint8_t *) text, .len = strlen (text)};
}

static inline bool bytes_equal (struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp (a.data, b.data, a.len) == 0);
}

/* Lexicographic order, the shorter first on a common prefix: negative, 0, positive. */
static inline int bytes_compare (struct bytes a, struct bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp (a.data, b.data, len);
    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

static inline void bytes_put_u16 (uint8_t *out, uint16_t value)
{
    out[0] = (uint8_t) (value >> 8);
    out[1] = (uint8_t) value;
}

static inline void bytes_put_u32 (uint8_t *out, uint32_t value)
{
    bytes_put_u16 (out, (uint16_t) (value >> 16));
    bytes_put_u16 (out + 2, (uint16_t) value);
}

static inline void bytes_put_u64 (uint8_t *out, uint64_t value)
{
    bytes_put_u32 (out, (uint32_t) (value >> 32));
    bytes_put_u32 (out + 4, (uint32_t) value);
}

static inline uint16_t bytes_get_u16 (const uint8_t *in)
{
    return (uint16_t) ((in[0] << 8) | in[1]);
}

static inline uint32_t bytes_get_u32 (const uint8_t *in)
{
    return ((uint32_t) bytes_get_u16 (in) << 16) | bytes_get_u16 (in + 2);
}

static inline uint64_t bytes_get_u64 (const uint8_t *in)
{
    return ((uint64_t) bytes_get_u32 (in) << 32) | bytes_get_u32 (in + 4);
}

#endif
