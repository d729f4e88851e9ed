#include "schemas/runtime/codec_item.h"

#include "schemas/runtime/assert.h"

#include <cbor.h>

_Static_assert(CODEC_PATH_SIZE > 24, "a path has room for an index");
/* Heads with a number behind them come before those without: only the former may be longer than needed. */
_Static_assert(
    CODEC_ITEM_UINT < CODEC_ITEM_BOOL && CODEC_ITEM_NEGINT < CODEC_ITEM_BOOL, "numbers have a head with a length");
_Static_assert(CODEC_ITEM_BYTES < CODEC_ITEM_BOOL && CODEC_ITEM_TEXT < CODEC_ITEM_BOOL, "so have strings");
_Static_assert(CODEC_ITEM_ARRAY < CODEC_ITEM_BOOL && CODEC_ITEM_MAP < CODEC_ITEM_BOOL, "so have collections");
_Static_assert(CODEC_ITEM_TAG < CODEC_ITEM_BOOL, "so have tags");

static void on_uint8 (void *context, uint8_t value)
{
    struct codec_item *item = context;
    item->kind = CODEC_ITEM_UINT;
    item->value = value;
}

static void on_uint16 (void *context, uint16_t value)
{
    struct codec_item *item = context;
    item->kind = CODEC_ITEM_UINT;
    item->value = value;
}

static void on_uint32 (void *context, uint32_t value)
{
    struct codec_item *item = context;
    item->kind = CODEC_ITEM_UINT;
    item->value = value;
}

static void on_uint64 (void *context, uint64_t value)
{
    struct codec_item *item = context;
    item->kind = CODEC_ITEM_UINT;
    item->value = value;
}

static void on_negint8 (void *context, uint8_t value)
{
    struct codec_item *item = context;
    item->kind = CODEC_ITEM_NEGINT;
    item->value = value;
}

static void on_negint16 (void *context, uint16_t value)
{
    struct codec_item *item = context;
    item->kind = CODEC_ITEM_NEGINT;
    item->value = value;
}

static void on_negint32 (void *context, uint32_t value)
{
    struct codec_item *item = context;
    item->kind = CODEC_ITEM_NEGINT;
    item->value = value;
}

static void on_negint64 (void *context, uint64_t value)
{
    struct codec_item *item = context;
    item->kind = CODEC_ITEM_NEGINT;
    item->value = value;
}

static void on_bytes (void *context, cbor_data data, size_t len)
{
    struct codec_item *item = context;
    item->kind = CODEC_ITEM_BYTES;
    item->value = len;
    item->data = data;
}

static void on_text (void *context, cbor_data data, size_t len)
{
    struct codec_item *item = context;
    item->kind = CODEC_ITEM_TEXT;
    item->value = len;
    item->data = data;
}

static void on_array (void *context, size_t count)
{
    struct codec_item *item = context;
    item->kind = CODEC_ITEM_ARRAY;
    item->value = count;
}

static void on_map (void *context, size_t count)
{
    struct codec_item *item = context;
    item->kind = CODEC_ITEM_MAP;
    item->value = count;
}

static void on_tag (void *context, uint64_t value)
{
    struct codec_item *item = context;
    item->kind = CODEC_ITEM_TAG;
    item->value = value;
}

static void on_bool (void *context, bool value)
{
    struct codec_item *item = context;
    item->kind = CODEC_ITEM_BOOL;
    item->value = value;
}

static void on_other (void *context)
{
    ((struct codec_item *) context)->kind = CODEC_ITEM_OTHER;
}

static void on_float (void *context, float value)
{
    (void) value;
    on_other (context);
}

static void on_double (void *context, double value)
{
    (void) value;
    on_other (context);
}

static void on_indefinite (void *context)
{
    ((struct codec_item *) context)->kind = CODEC_ITEM_INDEFINITE;
}

static const struct cbor_callbacks callbacks = {
    .uint8 = on_uint8,
    .uint16 = on_uint16,
    .uint32 = on_uint32,
    .uint64 = on_uint64,
    .negint8 = on_negint8,
    .negint16 = on_negint16,
    .negint32 = on_negint32,
    .negint64 = on_negint64,
    .byte_string_start = on_indefinite,
    .byte_string = on_bytes,
    .string = on_text,
    .string_start = on_indefinite,
    .indef_array_start = on_indefinite,
    .array_start = on_array,
    .indef_map_start = on_indefinite,
    .map_start = on_map,
    .tag = on_tag,
    .float2 = on_float,
    .float4 = on_float,
    .float8 = on_double,
    .undefined = on_other,
    .null = on_other,
    .boolean = on_bool,
    .indef_break = on_indefinite,
};

static size_t shortest_head (uint64_t value)
{
    return value < 24 ? 1 : value <= UINT8_MAX ? 2 : value <= UINT16_MAX ? 3 : value <= UINT32_MAX ? 5 : 9;
}

const char *codec_item_read (const uint8_t **at, const uint8_t *end, struct codec_item *item)
{
    size_t left = (size_t) (end - *at);
    if (left == 0)
        return "is cut short";
    struct cbor_decoder_result result = cbor_stream_decode (*at, left, &callbacks, item);
    if (result.status != CBOR_DECODER_FINISHED)
        return result.status == CBOR_DECODER_NEDATA ? "is cut short" : "is not well-formed CBOR";
    if (item->kind == CODEC_ITEM_INDEFINITE)
        return "has an indefinite length: only definite lengths are read";
    bool string = item->kind == CODEC_ITEM_BYTES || item->kind == CODEC_ITEM_TEXT;
    size_t head = result.read - (string ? (size_t) item->value : 0);
    item->shortest = item->kind >= CODEC_ITEM_BOOL || head == shortest_head (item->value);
    *at += result.read;
    return NULL;
}

const char *codec_item_skip (const uint8_t **at, const uint8_t *end)
{
    uint64_t open[CODEC_SKIP_DEPTH_MAX] = {1}; /* values still to come, per level */
    size_t depth = 1;
    while (depth > 0) {
        maitre_assert (depth <= CODEC_SKIP_DEPTH_MAX);
        if (open[depth - 1] == 0) {
            depth--;
            continue;
        }
        struct codec_item item;
        const char *problem = codec_item_read (at, end, &item);
        if (problem != NULL)
            return problem;
        if (item.kind == CODEC_ITEM_TAG)
            continue; /* the value it tags is the one that was still to come */
        open[depth - 1]--;
        if (item.kind == CODEC_ITEM_TEXT && !codec_utf8_valid (bytes_of (item.data, (size_t) item.value)))
            return "is not valid UTF-8";
        if (item.kind != CODEC_ITEM_ARRAY && item.kind != CODEC_ITEM_MAP)
            continue;
        /* Every value takes a byte at least: a count above what is left is a lie, and must not overflow below. */
        if (item.value > (uint64_t) (end - *at))
            return "is cut short";
        if (depth == CODEC_SKIP_DEPTH_MAX)
            return "is nested too deep";
        maitre_assert (depth < CODEC_SKIP_DEPTH_MAX);
        open[depth++] = item.kind == CODEC_ITEM_MAP ? 2 * item.value : item.value;
    }
    maitre_assert (*at <= end);
    return NULL;
}

static size_t append (char *out, size_t len, const char *text)
{
    maitre_assert (len < CODEC_PATH_SIZE);
    size_t room = CODEC_PATH_SIZE - 1 - len;
    size_t more = strlen (text);
    if (more > room)
        more = room;
    memcpy (out + len, text, more);
    maitre_assert (len + more < CODEC_PATH_SIZE);
    return len + more;
}

static size_t append_index (char *out, size_t len, size_t index)
{
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    digits[--at] = ']';
    do {
        digits[--at] = (char) ('0' + index % 10);
        index /= 10;
    } while (index > 0);
    maitre_assert (at >= 1);
    digits[--at] = '[';
    return append (out, len, digits + at);
}

void codec_path_write (const struct codec_path *path, char out[CODEC_PATH_SIZE])
{
    maitre_assert (path->count <= CODEC_DEPTH_MAX);
    size_t len = 0;
    for (size_t i = 0; i < path->count; i++) {
        if (i > 0)
            len = append (out, len, ".");
        len = append (out, len, path->steps[i].field->name);
        if (path->steps[i].indexed)
            len = append_index (out, len, path->steps[i].index);
    }
    maitre_assert (len < CODEC_PATH_SIZE);
    out[len] = '\0';
}
