/* From structs to JSON and back.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/json_value.h"

static const void *at (const void *base, size_t offset)
{
    return (const uint8_t *) base + offset;
}

static bool printable (struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] == 0x7f)
            return false;
    return codec_utf8_valid (text);
}

static json_t *from_bytes (struct bytes in)
{
    if (printable (in) && !(in.len >= 4 && memcmp (in.data, "hex:", 4) == 0))
        return json_stringn ((const char *) in.data, in.len);
    char *text = malloc (in.len * 2 + 5);
    if (text == NULL)
        return NULL;
    memcpy (text, "hex:", 5);
    for (size_t i = 0; i < in.len; i++)
        snprintf (text + 4 + i * 2, 3, "%02x", in.data[i]);
    json_t *out = json_string (text);
    free (text);
    return out;
}

static json_t *from_uint (uint64_t value)
{
    if (value <= INT64_MAX)
        return json_integer ((json_int_t) value);
    char text[24];
    snprintf (text, sizeof text, "%" PRIu64, value);
    return json_string (text);
}

/* One field, or one element of an array field. */
static json_t *from_element (const struct codec_field *field, const void *value)
{
    char id[ID_TEXT_LEN + 1];
    struct bytes bytes;
    uint64_t number;
    switch ((enum codec_kind) field->kind) {
    case CODEC_UINT:
        memcpy (&number, value, sizeof number);
        return from_uint (number);
    case CODEC_INT:
        memcpy (&number, value, sizeof number);
        return json_integer ((json_int_t) number);
    case CODEC_BOOL:
        return json_boolean (*(const bool *) value);
    case CODEC_TEXT:
        memcpy (&bytes, value, sizeof bytes);
        return json_stringn (bytes.len > 0 ? (const char *) bytes.data : "", bytes.len);
    case CODEC_BYTES:
        memcpy (&bytes, value, sizeof bytes);
        return from_bytes (bytes);
    case CODEC_ID:
        id_format (value, id);
        return json_string (id);
    case CODEC_ENUM: {
        memcpy (&number, value, sizeof number);
        const char *name = codec_enum_name (field->enumeration, number);
        return name != NULL ? json_string (name) : from_uint (number);
    }
    case CODEC_MAP:
        return json_value_from (field->type, value);
    }
    return NULL;
}

json_t *json_value_from (const struct codec_type *type, const void *value)
{
    json_t *object = json_object ();
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct codec_field *field = &type->fields[i];
        json_t *out = NULL;
        if (field->optional && !*(const bool *) at (value, field->has_offset))
            continue;
        if (field->array) {
            const void *elements;
            size_t count;
            memcpy (&elements, at (value, field->offset), sizeof elements);
            memcpy (&count, at (value, field->count_offset), sizeof count);
            out = json_array ();
            for (size_t k = 0; k < count; k++)
                json_array_append_new (out, from_element (field, at (elements, k * field->element_size)));
        } else {
            out = from_element (field, at (value, field->offset));
        }
        json_object_set_new (object, field->name, out);
    }
    return object;
}

static enum status refuse (struct json_value_error *error, const char *field, const char *what)
{
    snprintf (error->text, sizeof error->text, "%s %s", field, what);
    return STATUS_INVALID_ARGUMENT;
}

static bool to_hex_bytes (const char *digits, struct arena *arena, struct bytes *out)
{
    size_t len = strlen (digits);
    uint8_t *data = len % 2 == 0 ? arena_alloc (arena, len / 2) : NULL;
    for (size_t i = 0; data != NULL && i < len; i += 2) {
        unsigned value;
        char pair[3] = {digits[i], digits[i + 1], '\0'}, *end;
        value = (unsigned) strtoul (pair, &end, 16);
        if (*end != '\0')
            return false;
        data[i / 2] = (uint8_t) value;
    }
    *out = bytes_of (data, len / 2);
    return data != NULL;
}

static bool to_uint (const json_t *json, uint64_t *out)
{
    if (json_is_integer (json) && json_integer_value (json) >= 0) {
        *out = (uint64_t) json_integer_value (json);
        return true;
    }
    if (!json_is_string (json) || json_string_length (json) == 0 || json_string_value (json)[0] == '-')
        return false;
    char *end;
    *out = strtoull (json_string_value (json), &end, 10);
    return *end == '\0';
}

static enum status to_enum (
    const struct codec_field *field, const json_t *json, uint64_t *out, struct json_value_error *error)
{
    if (json_is_string (json) &&
        codec_enum_value (field->enumeration, bytes_text (json_string_value (json)), out) == STATUS_OK)
        return STATUS_OK;
    if (json_is_integer (json) && to_uint (json, out))
        return STATUS_OK;
    size_t used = (size_t) snprintf (error->text, sizeof error->text, "%s must be one of", field->name);
    for (size_t i = 0; i < field->enumeration->count && used < sizeof error->text - 40; i++)
        used += (size_t) snprintf (error->text + used, sizeof error->text - used, "%s %s", i > 0 ? "," : "",
            field->enumeration->values[i].name);
    return STATUS_INVALID_ARGUMENT;
}

static enum status to_element (
    const struct codec_field *field, json_t *json, struct arena *arena, void *out, struct json_value_error *error)
{
    uint64_t number = 0;
    int64_t integer;
    struct bytes bytes;
    switch ((enum codec_kind) field->kind) {
    case CODEC_UINT:
        if (!to_uint (json, &number))
            return refuse (error, field->name, "must be a number that is not negative");
        memcpy (out, &number, sizeof number);
        return STATUS_OK;
    case CODEC_INT:
        if (!json_is_integer (json))
            return refuse (error, field->name, "must be a number");
        integer = json_integer_value (json);
        memcpy (out, &integer, sizeof integer);
        return STATUS_OK;
    case CODEC_BOOL:
        if (!json_is_boolean (json))
            return refuse (error, field->name, "must be true or false");
        *(bool *) out = json_is_true (json);
        return STATUS_OK;
    case CODEC_TEXT:
    case CODEC_BYTES:
        if (!json_is_string (json))
            return refuse (error, field->name, "must be a string");
        bytes = bytes_of (json_string_value (json), json_string_length (json));
        if (field->kind == CODEC_BYTES && strncmp (json_string_value (json), "hex:", 4) == 0 &&
            !to_hex_bytes (json_string_value (json) + 4, arena, &bytes))
            return refuse (error, field->name, "must have pairs of hexadecimal digits after hex:");
        memcpy (out, &bytes, sizeof bytes);
        return STATUS_OK;
    case CODEC_ID:
        if (!json_is_string (json) || id_parse (bytes_text (json_string_value (json)), out) != STATUS_OK)
            return refuse (error, field->name, "must be 32 hexadecimal digits");
        return STATUS_OK;
    case CODEC_ENUM: {
        enum status status = to_enum (field, json, &number, error);
        memcpy (out, &number, sizeof number);
        return status;
    }
    case CODEC_MAP:
        if (!json_is_object (json))
            return refuse (error, field->name, "must be an object");
        return json_value_to (field->type, json, arena, out, error);
    }
    return STATUS_INTERNAL;
}

static enum status to_array (
    const struct codec_field *field, json_t *json, struct arena *arena, void *value, struct json_value_error *error)
{
    if (!json_is_array (json))
        return refuse (error, field->name, "must be an array");
    size_t count = json_array_size (json);
    if (count > field->count_max)
        return refuse (error, field->name, field->expected);
    uint8_t *elements = arena_alloc (arena, count * field->element_size);
    if (elements == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    memset (elements, 0, count * field->element_size);
    for (size_t i = 0; i < count; i++) {
        enum status status =
            to_element (field, json_array_get (json, i), arena, elements + i * field->element_size, error);
        if (status != STATUS_OK)
            return status;
    }
    memcpy ((uint8_t *) value + field->offset, &elements, sizeof elements);
    memcpy ((uint8_t *) value + field->count_offset, &count, sizeof count);
    return STATUS_OK;
}

enum status json_value_to (
    const struct codec_type *type, json_t *object, struct arena *arena, void *value, struct json_value_error *error)
{
    const char *name;
    json_t *json;
    memset (value, 0, type->size);
    error->text[0] = '\0';
    json_object_foreach (object, name, json)
    {
        const struct codec_field *field = codec_field_by_name (type, bytes_text (name));
        if (field == NULL)
            return refuse (error, name, "is no field here; see maitre methods and schemas/");
        enum status status = field->array ? to_array (field, json, arena, value, error)
                                          : to_element (field, json, arena, (uint8_t *) value + field->offset, error);
        if (status != STATUS_OK)
            return status;
        if (field->optional)
            *((bool *) value + field->has_offset) = true;
    }
    for (uint32_t i = 0; i < type->field_count; i++)
        if (!type->fields[i].optional && json_object_get (object, type->fields[i].name) == NULL)
            return refuse (error, type->fields[i].name, "is missing");
    return STATUS_OK;
}
