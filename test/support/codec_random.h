/* Pseudo-random values of any generated type, made from its table: for round trips, benchmarks and fuzz seeds.
 *
 * Room: test/support. Ownership: arrays and texts live in the arena. Deterministic: the same seed, the same values.
 */
#ifndef MAITRED_TEST_SUPPORT_CODEC_RANDOM_H
#define MAITRED_TEST_SUPPORT_CODEC_RANDOM_H

#include "schemas/runtime/assert.h"
#include "schemas/runtime/codec.h"

struct codec_random {
    uint64_t state;
    struct arena *arena;
    size_t length_max; /* texts and arrays stay near this, or their own minimum */
};

static inline uint64_t codec_random_next (struct codec_random *random)
{
    uint64_t x = random->state += UINT64_C (0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C (0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* In min..max; the ends, and every size of integer, often. */
static inline uint64_t codec_random_in (struct codec_random *random, uint64_t min, uint64_t max)
{
    uint64_t span = max - min;
    uint64_t draw = codec_random_next (random) >> (codec_random_next (random) % 64);
    switch (codec_random_next (random) % 8) {
    case 0:
        return min;
    case 1:
        return max;
    default:
        return span == UINT64_MAX ? draw : min + draw % (span + 1);
    }
}

static inline size_t codec_random_length (struct codec_random *random, uint64_t min, uint64_t max)
{
    uint64_t top = max < random->length_max ? max : random->length_max;
    return (size_t) codec_random_in (random, min, top < min ? min : top);
}

static inline void codec_random_map (struct codec_random *random, const struct codec_type *type, uint8_t *value);

static inline struct bytes codec_random_run (struct codec_random *random, const struct codec_field *field)
{
    static const char *const characters[] = {"a", "Z", "7", " ", "\"", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8d\xbd"};
    size_t len = codec_random_length (random, field->min, field->max);
    uint8_t *run = arena_alloc (random->arena, len);
    maitre_assert (run != NULL);
    for (size_t i = 0; i < len;) {
        const char *character = characters[codec_random_next (random) % 8];
        size_t size = field->kind == CODEC_TEXT ? strlen (character) : 1;
        if (size > len - i)
            character = "x", size = 1;
        if (field->kind == CODEC_TEXT)
            memcpy (run + i, character, size);
        else
            run[i] = (uint8_t) codec_random_next (random);
        i += size;
    }
    return bytes_of (run, len);
}

static inline void codec_random_value (struct codec_random *random, const struct codec_field *field, uint8_t *value)
{
    switch ((enum codec_kind) field->kind) {
    case CODEC_UINT:
        *(uint64_t *) value = codec_random_in (random, field->min, field->max);
        break;
    case CODEC_INT:
        *(int64_t *) value = (int64_t) codec_random_in (random, field->min, field->max);
        break;
    case CODEC_ENUM:
        *(uint64_t *) value = field->enumeration->values[codec_random_next (random) % field->enumeration->count].value;
        break;
    case CODEC_BOOL:
        *(bool *) value = codec_random_next (random) % 2 != 0;
        break;
    case CODEC_BYTES:
    case CODEC_TEXT:
        *(struct bytes *) value = codec_random_run (random, field);
        break;
    case CODEC_ID:
        for (size_t i = 0; i < ID_SIZE; i++)
            value[i] = (uint8_t) codec_random_next (random);
        break;
    case CODEC_MAP:
        codec_random_map (random, field->type, value);
        break;
    }
}

/* Fills *value (type->size bytes) with a value within all bounds. */
static inline void codec_random_map (struct codec_random *random, const struct codec_type *type, uint8_t *value)
{
    memset (value, 0, type->size);
    for (size_t i = 0; i < type->field_count; i++) {
        const struct codec_field *field = &type->fields[i];
        if (field->optional && codec_random_next (random) % 3 == 0)
            continue;
        if (field->optional)
            *(bool *) (value + field->has_offset) = true;
        if (!field->array) {
            codec_random_value (random, field, value + field->offset);
            continue;
        }
        size_t count = codec_random_length (random, field->count_min, field->count_max);
        uint8_t *elements = arena_alloc (random->arena, count * field->element_size);
        maitre_assert (elements != NULL);
        memset (elements, 0, count * field->element_size);
        for (size_t j = 0; j < count; j++)
            codec_random_value (random, field, elements + j * field->element_size);
        *(uint8_t **) (value + field->offset) = elements;
        *(size_t *) (value + field->count_offset) = count;
    }
}

#endif
