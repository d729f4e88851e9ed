#include "router/front/front.h"

/* Reads the head of one CBOR item of definite length; false on anything else. */
static bool head (struct bytes in, size_t *at, uint8_t *major, uint64_t *value)
{
    if (*at >= in.len)
        return false;
    uint8_t first = in.data[(*at)++];
    *major = first >> 5;
    uint8_t info = first & 31;
    if (info < 24) {
        *value = info;
        return true;
    }
    if (info > 27)
        return false;
    size_t width = (size_t) 1 << (info - 24);
    if (in.len - *at < width)
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i < width; i++)
        number = number << 8 | in.data[(*at)++];
    *value = number;
    return true;
}

/* A header that breaks its bounds somewhere still often has a call id in front: then the caller gets an answer instead of
 * waiting for its deadline. Only a flat run of integers and strings is followed. */
bool front_salvage_call (struct bytes header, uint64_t *call)
{
    size_t at = 0;
    uint8_t major;
    uint64_t pairs;
    if (!head (header, &at, &major, &pairs) || major != 5 || pairs > 32)
        return false;
    for (uint64_t i = 0; i < pairs; i++) {
        uint64_t key, value;
        if (!head (header, &at, &major, &key) || major != 0)
            return false;
        if (!head (header, &at, &major, &value) || major > 3)
            return false;
        if (key == 2 && major == 0) {
            *call = value;
            return true;
        }
        if (major >= 2) {
            if (value > header.len - at)
                return false;
            at += value;
        }
    }
    return false;
}
