/* What the fuzz targets share: an input that is read like a stream, and values of any generated type made from it.
 *
 * Room: test/fuzz. A target is LLVMFuzzerTestOneInput: with -DMAITRED_FUZZ=ON libFuzzer calls it, else fuzz_main.c, which
 * replays a corpus and mutates it blindly. An input that has run out gives zeros, so that every input is a whole one.
 *
 * Real formats are hard to hit by chance, and checksums impossible. So most targets read the first byte as a choice: raw
 * bytes as an attacker sends them, or a value within its bounds made by fuzz_map from what follows, encoded and decoded
 * as on the wire.
 */
#ifndef MAITRED_TEST_FUZZ_FUZZ_H
#define MAITRED_TEST_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"
#include "schemas/runtime/codec.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

struct fuzz {
    const uint8_t *at;
    size_t left;
    struct arena *arena;  /* of what fuzz_map makes; the caller resets it */
    const struct id *ids; /* ids that mean something to the target */
    size_t ids_count;
};

static inline uint8_t fuzz_u8 (struct fuzz *fuzz)
{
    if (fuzz->left == 0)
        return 0;
    fuzz->left--;
    return *fuzz->at++;
}

static inline uint64_t fuzz_below (struct fuzz *fuzz, uint64_t bound)
{
    uint64_t draw = fuzz_u8 (fuzz);
    if (bound > 256)
        draw = draw << 8 | fuzz_u8 (fuzz);
    return draw % bound;
}

static inline uint64_t fuzz_u64 (struct fuzz *fuzz)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | fuzz_u8 (fuzz);
    return value;
}

/* Up to len bytes, as they stand. */
static inline struct bytes fuzz_run (struct fuzz *fuzz, size_t len)
{
    struct bytes run = bytes_of (fuzz->at, len < fuzz->left ? len : fuzz->left);
    fuzz->at += run.len;
    fuzz->left -= run.len;
    return run;
}

static inline struct bytes fuzz_rest (struct fuzz *fuzz)
{
    return fuzz_run (fuzz, fuzz->left);
}

/* In min..max: mostly near the ends, where the bounds are. */
static inline uint64_t fuzz_in (struct fuzz *fuzz, uint64_t min, uint64_t max)
{
    uint64_t span = max - min;
    uint8_t draw = fuzz_u8 (fuzz);
    uint64_t step = draw < 192 ? draw : draw < 240 ? (uint64_t) (draw - 192) : fuzz_u64 (fuzz);
    if (span != UINT64_MAX)
        step %= span + 1;
    return draw >= 192 && draw < 240 ? max - step : min + step;
}

static inline void *fuzz_alloc (struct fuzz *fuzz, size_t size)
{
    void *memory = arena_alloc (fuzz->arena, size);
    maitre_assert (memory != NULL); /* too small an arena is the target's bug */
    memset (memory, 0, size);
    return memory;
}

static inline struct bytes fuzz_text (struct fuzz *fuzz, const struct codec_field *field)
{
    uint64_t top = field->min + 64 < field->max ? field->min + 64 : field->max;
    size_t len = (size_t) fuzz_in (fuzz, field->min, top);
    uint8_t *out = fuzz_alloc (fuzz, len > 0 ? len : 1);
    for (size_t i = 0; i < len; i++)
        out[i] = field->kind == CODEC_TEXT ? (uint8_t) (fuzz_u8 (fuzz) % 0x60 + 0x20) : fuzz_u8 (fuzz);
    return bytes_of (out, len);
}

static inline void fuzz_id (struct fuzz *fuzz, uint8_t *out)
{
    uint8_t draw = fuzz_u8 (fuzz);
    memset (out, 0, ID_SIZE);
    if (fuzz->ids_count > 0 && draw < 240)
        memcpy (out, fuzz->ids[draw % fuzz->ids_count].b, ID_SIZE);
    else
        for (size_t i = 0; i < ID_SIZE; i++)
            out[i] = fuzz_u8 (fuzz);
}

static inline void fuzz_map (struct fuzz *fuzz, const struct codec_type *type, uint8_t *value);

static inline void fuzz_value (struct fuzz *fuzz, const struct codec_field *field, uint8_t *value)
{
    uint64_t number;
    struct bytes text;
    switch ((enum codec_kind) field->kind) {
    case CODEC_UINT:
    case CODEC_INT:
        number = fuzz_in (fuzz, field->min, field->max);
        memcpy (value, &number, sizeof number);
        break;
    case CODEC_ENUM:
        number = field->enumeration->values[fuzz_below (fuzz, field->enumeration->count)].value;
        memcpy (value, &number, sizeof number);
        break;
    case CODEC_BOOL:
        *(bool *) value = fuzz_u8 (fuzz) % 2 != 0;
        break;
    case CODEC_BYTES:
    case CODEC_TEXT:
        text = fuzz_text (fuzz, field);
        memcpy (value, &text, sizeof text);
        break;
    case CODEC_ID:
        fuzz_id (fuzz, value);
        break;
    case CODEC_MAP:
        fuzz_map (fuzz, field->type, value);
        break;
    }
}

/* Fills *value (type->size bytes) with a value within all bounds; arrays stay short. */
static inline void fuzz_map (struct fuzz *fuzz, const struct codec_type *type, uint8_t *value)
{
    memset (value, 0, type->size);
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct codec_field *field = &type->fields[i];
        if (field->optional && fuzz_u8 (fuzz) % 2 == 0)
            continue;
        if (field->optional)
            *(bool *) (value + field->has_offset) = true;
        if (!field->array) {
            fuzz_value (fuzz, field, value + field->offset);
            continue;
        }
        uint64_t top = field->count_min + 4 < field->count_max ? field->count_min + 4 : field->count_max;
        size_t count = (size_t) (field->count_min + fuzz_below (fuzz, top - field->count_min + 1));
        uint8_t *elements = fuzz_alloc (fuzz, count * field->element_size + 1);
        for (size_t k = 0; k < count; k++)
            fuzz_value (fuzz, field, elements + k * field->element_size);
        memcpy (value + field->offset, &elements, sizeof elements);
        memcpy (value + field->count_offset, &count, sizeof count);
    }
}

/* The deterministic form of a value that is within its bounds. */
static inline struct bytes fuzz_encode (const struct codec_type *type, const void *value, uint8_t *out, size_t size)
{
    size_t len = 0;
    enum status status = codec_encode (type, value, out, size, &len);
    maitre_assert (status == STATUS_OK);
    return bytes_of (out, len);
}

#endif
