#include <cbor.h>

#include "schemas/runtime/assert.h"
#include "schemas/runtime/checksum.h"
#include "schemas/runtime/codec_item.h"

struct encoder {
    uint8_t *at, *end;
    bool redact;
    struct codec_error *error;
    struct codec_path path;
};

_Static_assert(CODEC_FIELDS_MAX <= 64, "a bit for each field of a map");
_Static_assert(sizeof (uint64_t) >= sizeof (size_t), "lengths are encoded as numbers");

static enum status encode_map (struct encoder *encoder, const struct codec_type *type, const uint8_t *value);

__attribute__ ((cold, noinline)) static enum status refuse (const struct encoder *encoder, const char *message)
{
    maitre_assert (message[0] != '\0');
    maitre_assert (encoder->path.count <= CODEC_DEPTH_MAX);
    if (encoder->error != NULL) {
        encoder->error->message = message;
        codec_path_write (&encoder->path, encoder->error->path);
    }
    return STATUS_INVALID_ARGUMENT;
}

/* libcbor answers 0 when the buffer is too small, and never more than it was given: encode_map looks after that once for
 * all its fields. */
static inline enum status wrote (struct encoder *encoder, size_t len)
{
    encoder->at += len;
    return len == 0 ? STATUS_RESOURCE_EXHAUSTED : STATUS_OK;
}

static inline size_t room (const struct encoder *encoder)
{
    return (size_t) (encoder->end - encoder->at);
}

static enum status encode_run (struct encoder *encoder, bool text, struct bytes run)
{
    size_t head = text ? cbor_encode_string_start (run.len, encoder->at, room (encoder))
                       : cbor_encode_bytestring_start (run.len, encoder->at, room (encoder));
    enum status status = wrote (encoder, head);
    if (status != STATUS_OK)
        return status;
    if (run.len > room (encoder))
        return STATUS_RESOURCE_EXHAUSTED;
    if (run.len > 0)
        memcpy (encoder->at, run.data, run.len);
    encoder->at += run.len;
    return STATUS_OK;
}

static enum status encode_string (struct encoder *encoder, const struct codec_field *field, const struct bytes *run)
{
    if (run->len < field->min || run->len > field->max)
        return refuse (encoder, field->expected);
    if (field->kind == CODEC_TEXT && !codec_utf8_valid (*run))
        return refuse (encoder, "is not valid UTF-8");
    return encode_run (encoder, field->kind == CODEC_TEXT, *run);
}

static inline enum status encode_uint (struct encoder *encoder, uint64_t value)
{
    return wrote (encoder, cbor_encode_uint (value, encoder->at, room (encoder)));
}

static enum status encode_int (struct encoder *encoder, const struct codec_field *field, int64_t value)
{
    maitre_assert ((int64_t) field->min <= (int64_t) field->max);
    if (value < (int64_t) field->min || value > (int64_t) field->max)
        return refuse (encoder, field->expected);
    if (value >= 0)
        return encode_uint (encoder, (uint64_t) value);
    return wrote (encoder, cbor_encode_negint (~(uint64_t) value, encoder->at, room (encoder)));
}

/* One value of the field's kind: the field itself, or an element of its array. */
static enum status encode_value (struct encoder *encoder, const struct codec_field *field, const uint8_t *value)
{
    switch ((enum codec_kind) field->kind) {
    case CODEC_UINT: {
        uint64_t number = *(const uint64_t *) value;
        if (number < field->min || number > field->max)
            return refuse (encoder, field->expected);
        return encode_uint (encoder, number);
    }
    case CODEC_ENUM:
        if (!codec_enum_has (field, *(const uint64_t *) value))
            return refuse (encoder, field->expected);
        return encode_uint (encoder, *(const uint64_t *) value);
    case CODEC_INT:
        return encode_int (encoder, field, *(const int64_t *) value);
    case CODEC_BOOL:
        return wrote (encoder, cbor_encode_bool (*(const bool *) value, encoder->at, room (encoder)));
    case CODEC_BYTES:
    case CODEC_TEXT:
        return encode_string (encoder, field, (const struct bytes *) value);
    case CODEC_ID:
        return encode_run (encoder, false, bytes_of (value, ID_SIZE));
    case CODEC_MAP:
        return encode_map (encoder, field->type, value);
    }
    maitre_assert (!"a kind that codegen does not make");
    return STATUS_INTERNAL;
}

static enum status encode_array (struct encoder *encoder, const struct codec_field *field, const uint8_t *value)
{
    const uint8_t *elements = *(const uint8_t *const *) (value + field->offset);
    size_t count = *(const size_t *) (value + field->count_offset);
    if (count < field->count_min || count > field->count_max)
        return refuse (encoder, field->count_expected);
    enum status status = wrote (encoder, cbor_encode_array_start (count, encoder->at, room (encoder)));
    size_t step = encoder->path.count - 1;
    maitre_assert (encoder->path.count >= 1);
    maitre_assert (field->element_size > 0);
    encoder->path.steps[step].indexed = true;
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        encoder->path.steps[step].index = i;
        status = encode_value (encoder, field, elements + i * field->element_size);
    }
    return status;
}

/* The value of a field that is present, without its key. */
static enum status encode_field (struct encoder *encoder, const struct codec_field *field, const uint8_t *value)
{
    encoder->path.steps[encoder->path.count].field = field;
    encoder->path.steps[encoder->path.count].indexed = false;
    encoder->path.count++;
    enum status status =
        field->array ? encode_array (encoder, field, value) : encode_value (encoder, field, value + field->offset);
    encoder->path.count--;
    return status;
}

static inline bool is_written (const struct codec_field *field, const uint8_t *value, bool redact)
{
    if (redact && field->secret)
        return false;
    return !field->optional || *(const bool *) (value + field->has_offset);
}

static enum status encode_map (struct encoder *encoder, const struct codec_type *type, const uint8_t *value)
{
    maitre_assert (encoder->path.count + type->depth <= CODEC_DEPTH_MAX);
    maitre_assert (type->field_count <= CODEC_FIELDS_MAX);
    uint64_t written = 0;
    size_t count = 0;
    for (size_t i = 0; i < type->field_count; i++) {
        if (is_written (&type->fields[i], value, encoder->redact)) {
            written |= UINT64_C (1) << i;
            count++;
        }
    }
    enum status status = wrote (encoder, cbor_encode_map_start (count, encoder->at, room (encoder)));
    for (size_t i = 0; i < type->field_count && status == STATUS_OK; i++) {
        if ((written & UINT64_C (1) << i) == 0)
            continue;
        status = encode_uint (encoder, type->fields[i].key);
        if (status == STATUS_OK)
            status = encode_field (encoder, &type->fields[i], value);
    }
    maitre_assert (encoder->at <= encoder->end);
    return status;
}

static enum status encode (const struct codec_type *type, const void *value, bool redact, struct bytes *out,
    uint8_t *buffer, size_t size, struct codec_error *error)
{
    maitre_assert (type->depth >= 1 && type->depth <= CODEC_DEPTH_MAX);
    maitre_assert (buffer != NULL || size == 0);
    struct encoder encoder;
    encoder.at = buffer;
    encoder.end = buffer + size;
    encoder.redact = redact;
    encoder.error = error;
    encoder.path.count = 0;
    enum status status = encode_map (&encoder, type, value);
    maitre_assert (encoder.path.count == 0 || status != STATUS_OK);
    if (status == STATUS_OK) {
        *out = bytes_of (buffer, (size_t) (encoder.at - buffer));
        maitre_assert (out->len >= 1); /* a map without fields is a byte */
        maitre_assert (out->len <= size);
        maitre_assert (out->len <= type->encoded_max);
    }
    return status;
}

enum status codec_encode_explained (const struct codec_type *type, const void *value, uint8_t *out, size_t out_size,
    size_t *out_len, struct codec_error *error)
{
    struct bytes encoded;
    enum status status = encode (type, value, false, &encoded, out, out_size, error);
    if (status == STATUS_OK)
        *out_len = encoded.len;
    return status;
}

enum status codec_encode (
    const struct codec_type *type, const void *value, uint8_t *out, size_t out_size, size_t *out_len)
{
    return codec_encode_explained (type, value, out, out_size, out_len, NULL);
}

enum status codec_encode_redacted (
    const struct codec_type *type, const void *value, uint8_t *out, size_t out_size, size_t *out_len)
{
    struct bytes encoded;
    enum status status = encode (type, value, true, &encoded, out, out_size, NULL);
    if (status == STATUS_OK)
        *out_len = encoded.len;
    return status;
}

enum status codec_fingerprint (const struct codec_type *type, const void *value, uint8_t *scratch, size_t scratch_size,
    struct codec_print *prints, size_t prints_max, size_t *prints_count)
{
    maitre_assert (type->field_count <= CODEC_FIELDS_MAX);
    size_t count = 0;
    for (size_t i = 0; i < type->field_count; i++) {
        const struct codec_field *field = &type->fields[i];
        if (!is_written (field, value, true))
            continue;
        if (count == prints_max)
            return STATUS_RESOURCE_EXHAUSTED;
        struct encoder encoder = {.at = scratch, .end = scratch + scratch_size, .redact = true};
        enum status status = encode_field (&encoder, field, value);
        if (status != STATUS_OK)
            return status;
        struct bytes encoded = bytes_of (scratch, (size_t) (encoder.at - scratch));
        /* Records keep these for ever: neither the hash nor its seed may change. */
        prints[count++] = (struct codec_print){.key = field->key, .hash = checksum64 (field->key, encoded)};
    }
    *prints_count = count;
    maitre_assert (count <= type->field_count);
    maitre_assert (count <= prints_max);
    maitre_assert (count < 2 || prints[0].key < prints[count - 1].key);
    return STATUS_OK;
}
