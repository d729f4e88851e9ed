#include "schemas/runtime/ids.h"

#include "schemas/runtime/assert.h"

#include <string.h>

#define ID_HASH_AT 6
#define ID_RANDOM_AT 10

_Static_assert(LOGIN_LEN_MIN <= LOGIN_LEN_MAX, "there are logins");
_Static_assert(ID_HASH_AT == 6, "behind 48 bits of time");
_Static_assert(ID_TIME_MS_MAX >> (8 * ID_HASH_AT - 1) == 1, "which is all of them");
_Static_assert(ID_TEXT_LEN == 2 * ID_SIZE, "two digits a byte");
_Static_assert(ID_RANDOM_AT + 6 == ID_SIZE, "and fills the id");
_Static_assert(ID_RANDOM_AT == ID_HASH_AT + 4, "the random part follows the hash");

static void put_u48 (uint8_t *out, uint64_t value)
{
    bytes_put_u16 (out, (uint16_t) (value >> 32));
    bytes_put_u32 (out + 2, (uint32_t) value);
}

struct id id_make (uint64_t time_ms, uint32_t hash, uint64_t random48)
{
    struct id id;
    put_u48 (id.b, time_ms);
    bytes_put_u32 (id.b + ID_HASH_AT, hash);
    put_u48 (id.b + ID_RANDOM_AT, random48);
    return id;
}

uint64_t id_time_ms (const struct id *id)
{
    return ((uint64_t) bytes_get_u16 (id->b) << 32) | bytes_get_u32 (id->b + 2);
}

uint32_t id_hash (const struct id *id)
{
    return bytes_get_u32 (id->b + ID_HASH_AT);
}

int id_compare (const struct id *a, const struct id *b)
{
    return memcmp (a->b, b->b, ID_SIZE);
}

bool id_equal (const struct id *a, const struct id *b)
{
    return memcmp (a->b, b->b, ID_SIZE) == 0;
}

bool id_is_zero (const struct id *id)
{
    static const struct id zero;
    return id_equal (id, &zero);
}

struct bytes id_bytes (const struct id *id)
{
    return bytes_of (id->b, ID_SIZE);
}

void id_format (const struct id *id, char out[ID_TEXT_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < ID_SIZE; i++) {
        out[2 * i] = digits[id->b[i] >> 4];
        out[2 * i + 1] = digits[id->b[i] & 15];
    }
    out[ID_TEXT_LEN] = '\0';
}

static int hex_digit (uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum status id_parse (struct bytes text, struct id *id)
{
    struct id parsed;
    if (text.len != ID_TEXT_LEN)
        return STATUS_INVALID_ARGUMENT;
    for (size_t i = 0; i < ID_SIZE; i++) {
        int high = hex_digit (text.data[2 * i]);
        int low = hex_digit (text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return STATUS_INVALID_ARGUMENT;
        parsed.b[i] = (uint8_t) (high * 16 + low);
        maitre_assert (parsed.b[i] == high * 16 + low);
    }
    *id = parsed;
    return STATUS_OK;
}

static bool is_blank (uint8_t c)
{
    return c == ' ' || c == '\t';
}

enum status login_normalise (struct bytes login, uint8_t buffer[LOGIN_LEN_MAX], struct bytes *normalised)
{
    size_t start = 0, end = login.len;
    while (start < end && is_blank (login.data[start]))
        start++;
    while (end > start && is_blank (login.data[end - 1]))
        end--;
    size_t len = end - start;
    maitre_assert (end >= start);
    maitre_assert (end <= login.len);
    if (len < LOGIN_LEN_MIN || len > LOGIN_LEN_MAX)
        return STATUS_INVALID_ARGUMENT;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = login.data[start + i];
        /* An invisible character would let two users look alike on every screen. */
        if (c < 0x20 || c == 0x7f)
            return STATUS_INVALID_ARGUMENT;
        buffer[i] = c >= 'A' && c <= 'Z' ? (uint8_t) (c + ('a' - 'A')) : c;
    }
    *normalised = bytes_of (buffer, len);
    maitre_assert (!is_blank (normalised->data[0]));
    maitre_assert (!is_blank (normalised->data[len - 1]));
    return STATUS_OK;
}
