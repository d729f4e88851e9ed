/* A hand-written table with every kind of field, so that the codec's tests do not move with the schemas.
 *
 * Room: test/support.
 */
#ifndef MAITRED_TEST_SUPPORT_CODEC_SAMPLE_H
#define MAITRED_TEST_SUPPORT_CODEC_SAMPLE_H

#include "schemas/runtime/codec.h"

struct sample_point {
    int64_t x;
    bool has_label;
    struct bytes label;
};

struct sample {
    uint64_t small;
    int64_t any;
    bool flag;
    bool has_blob;
    struct bytes blob;
    struct bytes name;
    struct id id;
    uint64_t mood;
    bool has_point;
    struct sample_point point;
    struct sample_point *points;
    size_t points_count;
    bool has_numbers;
    uint64_t *numbers;
    size_t numbers_count;
    struct bytes secret;
};

static const struct codec_field sample_point_fields[] = {
    {.name = "x",
        .key = 1,
        .kind = CODEC_INT,
        .expected = "must be -100..100",
        .offset = offsetof (struct sample_point, x),
        .element_size = sizeof (int64_t),
        .min = (uint64_t) -100,
        .max = 100},
    {.name = "label",
        .key = 2,
        .kind = CODEC_TEXT,
        .expected = "must be a text of 1..5 bytes",
        .optional = true,
        .has_offset = offsetof (struct sample_point, has_label),
        .offset = offsetof (struct sample_point, label),
        .element_size = sizeof (struct bytes),
        .min = 1,
        .max = 5},
};

static const struct codec_type sample_point_type = {.name = "sample_point",
    .fields = sample_point_fields,
    .field_count = 2,
    .size = sizeof (struct sample_point),
    .depth = 1,
    .required = 1,
    .encoded_max = 1 + 3 + 7,
    .arena_max = 0};

static const struct codec_enum_value sample_mood_values[] = {{"calm", 1}, {"busy", 2}, {"closed", 4}};
static const struct codec_enum sample_mood_enum = {"sample_mood", sample_mood_values, 3};

#define SAMPLE_FIELD(field, number, field_kind, words, size)                                                           \
    .name = #field, .key = number, .kind = field_kind, .expected = words, .offset = offsetof (struct sample, field),   \
    .element_size = size

static const struct codec_field sample_fields[] = {
    {SAMPLE_FIELD (small, 1, CODEC_UINT, "must be 1..255", 8), .min = 1, .max = 255},
    {SAMPLE_FIELD (any, 2, CODEC_INT, "must be an integer", 8), .min = (uint64_t) INT64_MIN, .max = INT64_MAX},
    {SAMPLE_FIELD (flag, 3, CODEC_BOOL, "must be true or false", sizeof (bool)), .max = 1},
    {SAMPLE_FIELD (blob, 4, CODEC_BYTES, "must be 0..4 bytes", sizeof (struct bytes)), .max = 4, .optional = true,
        .has_offset = offsetof (struct sample, has_blob)},
    {SAMPLE_FIELD (name, 5, CODEC_TEXT, "must be a text of 1..8 bytes", sizeof (struct bytes)), .min = 1, .max = 8},
    {SAMPLE_FIELD (id, 6, CODEC_ID, "must be an id of 16 bytes", ID_SIZE), .min = 16, .max = 16},
    {SAMPLE_FIELD (mood, 24, CODEC_ENUM, "must be one of calm, busy, closed", 8), .min = 1, .max = 4,
        .enumeration = &sample_mood_enum},
    {SAMPLE_FIELD (point, 25, CODEC_MAP, "must be a map", sizeof (struct sample_point)), .optional = true,
        .has_offset = offsetof (struct sample, has_point), .type = &sample_point_type},
    {SAMPLE_FIELD (points, 30, CODEC_MAP, "must be a map", sizeof (struct sample_point)), .array = true, .count_min = 1,
        .count_max = 3, .count_expected = "must have 1..3 elements",
        .count_offset = offsetof (struct sample, points_count), .type = &sample_point_type},
    {SAMPLE_FIELD (numbers, 300, CODEC_UINT, "must be 0..9", 8), .max = 9, .array = true, .count_min = 0,
        .count_max = 4, .count_expected = "must have 0..4 elements",
        .count_offset = offsetof (struct sample, numbers_count), .optional = true,
        .has_offset = offsetof (struct sample, has_numbers)},
    {SAMPLE_FIELD (secret, 70000, CODEC_TEXT, "must be a text of 1..8 bytes", sizeof (struct bytes)), .min = 1,
        .max = 8, .secret = true},
};

static const struct codec_type sample_type = {.name = "sample",
    .fields = sample_fields,
    .field_count = 11,
    .size = sizeof (struct sample),
    .depth = 2,
    .has_secret = true,
    .required = 0x577,
    .encoded_max = 256,
    .arena_max = 3 * sizeof (struct sample_point) + 8 + 4 * 8 + 8};

/* The value that SAMPLE_HEX is the deterministic form of. */
static inline struct sample sample_value (void)
{
    static struct sample_point points[2] = {
        {.x = 0}, {.x = -100, .has_label = true, .label = {(const uint8_t *) "b", 1}}};
    static uint64_t numbers[2] = {9, 0};
    return (struct sample){.small = 200,
        .any = INT64_MIN,
        .flag = true,
        .has_blob = true,
        .blob = {(const uint8_t *) "\x01\x02", 2},
        .name = {(const uint8_t *) "caf\xc3\xa9", 5},
        .id = id_make (1, 2, 3),
        .mood = 4,
        .has_point = true,
        .point = {.x = 24},
        .points = points,
        .points_count = 2,
        .has_numbers = true,
        .numbers = numbers,
        .numbers_count = 2,
        .secret = {(const uint8_t *) "hush", 4}};
}

/* Written by hand from RFC 8949. */
#define SAMPLE_HEX                                                                                                     \
    "ab"                                                                                                               \
    "0118c8"                                                                                                           \
    "023b7fffffffffffffff"                                                                                             \
    "03f5"                                                                                                             \
    "04420102"                                                                                                         \
    "0565636166c3a9"                                                                                                   \
    "065000000000000100000002000000000003"                                                                             \
    "181804"                                                                                                           \
    "1819a1011818"                                                                                                     \
    "181e82a10100a2013863026162"                                                                                       \
    "19012c820900"                                                                                                     \
    "1a000111706468757368"

/* Bytes of a hexadecimal text; spaces are skipped. Returns their number. */
static inline size_t sample_unhex (const char *hex, uint8_t *out)
{
    size_t digits = 0;
    for (; *hex != '\0'; hex++) {
        if (*hex == ' ')
            continue;
        uint8_t digit = (uint8_t) (*hex <= '9' ? *hex - '0' : *hex - 'a' + 10);
        out[digits / 2] = (uint8_t) (digits % 2 == 0 ? digit << 4 : out[digits / 2] | digit);
        digits++;
    }
    return digits / 2;
}

#endif
