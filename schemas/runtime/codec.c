#include "schemas/runtime/codec.h"

#include "schemas/runtime/assert.h"

const struct codec_field *codec_field_by_key (const struct codec_type *type, uint64_t key)
{
    maitre_assert (type->field_count <= CODEC_FIELDS_MAX);
    size_t low = 0, high = type->field_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (type->fields[middle].key == key)
            return &type->fields[middle];
        if (type->fields[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct codec_field *codec_field_by_name (const struct codec_type *type, struct bytes name)
{
    maitre_assert (type->field_count <= CODEC_FIELDS_MAX);
    maitre_assert (name.len == 0 || name.data != NULL);
    for (size_t i = 0; i < type->field_count; i++) {
        if (bytes_equal (bytes_text (type->fields[i].name), name))
            return &type->fields[i];
    }
    return NULL;
}

const char *codec_field_name (const struct codec_type *type, uint64_t key)
{
    const struct codec_field *field = codec_field_by_key (type, key);
    return field == NULL ? "?" : field->name;
}

const char *codec_enum_name (const struct codec_enum *enumeration, uint64_t value)
{
    maitre_assert (enumeration->count >= 1);
    maitre_assert (enumeration->values[0].value <= enumeration->values[enumeration->count - 1].value);
    for (size_t i = 0; i < enumeration->count; i++) {
        if (enumeration->values[i].value == value)
            return enumeration->values[i].name;
    }
    return NULL;
}

enum status codec_enum_value (const struct codec_enum *enumeration, struct bytes name, uint64_t *value)
{
    maitre_assert (enumeration->count >= 1);
    maitre_assert (name.len == 0 || name.data != NULL);
    for (size_t i = 0; i < enumeration->count; i++) {
        if (bytes_equal (bytes_text (enumeration->values[i].name), name)) {
            *value = enumeration->values[i].value;
            return STATUS_OK;
        }
    }
    return STATUS_NOT_FOUND;
}

const struct codec_type *codec_type_find (const struct codec_type *const *types, size_t count, struct bytes name)
{
    maitre_assert (count == 0 || types != NULL);
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        maitre_assert (middle < count);
        int order = bytes_compare (bytes_text (types[middle]->name), name);
        if (order == 0)
            return types[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* The length of the multi-byte character at text, or 0 when it is not well-formed (RFC 3629, section 4). */
static size_t utf8_character (const uint8_t *text, size_t len)
{
    maitre_assert (len >= 1);
    maitre_assert (text[0] >= 0x80);
    uint8_t lead = text[0];
    size_t size = lead >= 0xc2 && lead <= 0xdf ? 2 : (lead & 0xf0) == 0xe0 ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
    if (size == 0 || size > len)
        return 0;
    /* The second byte alone rules out overlong forms, surrogates and what is above U+10FFFF. */
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    maitre_assert (size >= 2);
    maitre_assert (size <= 4);
    return size;
}

bool codec_utf8_valid (struct bytes text)
{
    size_t i = 0;
    while (i < text.len) {
        uint64_t word;
        if (text.len - i >= sizeof word) {
            memcpy (&word, text.data + i, sizeof word);
            if ((word & UINT64_C (0x8080808080808080)) == 0) {
                i += sizeof word;
                continue;
            }
        }
        size_t size = text.data[i] < 0x80 ? 1 : utf8_character (text.data + i, text.len - i);
        if (size == 0)
            return false;
        i += size;
    }
    maitre_assert (i == text.len);
    return true;
}
