/* As much JSON as a line of a history needs, read strictly and without copies: half a million lines a second.
 */
#include <string.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/history.h"

#define DEPTH_MAX 8

struct reader {
    const uint8_t *at, *end;
};

static void skip_space (struct reader *in)
{
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\r'))
        in->at++;
}

static bool take (struct reader *in, char wanted)
{
    skip_space (in);
    if (in->at == in->end || *in->at != (uint8_t) wanted)
        return false;
    in->at++;
    return true;
}

static bool is_hex (uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool read_escape (struct reader *in)
{
    if (in->at == in->end)
        return false;
    uint8_t c = *in->at++;
    if (c != 'u')
        return strchr ("\"\\/bfnrt", c) != NULL && c != 0;
    for (int i = 0; i < 4; i++)
        if (in->at == in->end || !is_hex (*in->at++))
            return false;
    return true;
}

static bool read_string (struct reader *in, struct bytes *text)
{
    if (!take (in, '"'))
        return false;
    const uint8_t *start = in->at;
    while (in->at < in->end && *in->at != '"') {
        uint8_t c = *in->at++;
        if (c < 0x20 || (c == '\\' && !read_escape (in)))
            return false;
    }
    if (in->at == in->end)
        return false;
    *text = bytes_of (start, (size_t) (in->at - start));
    in->at++;
    return true;
}

static bool read_word (struct reader *in, const char *word)
{
    size_t len = strlen (word);
    if ((size_t) (in->end - in->at) < len || memcmp (in->at, word, len) != 0)
        return false;
    in->at += len;
    return true;
}

static size_t read_digits (struct reader *in)
{
    const uint8_t *start = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9')
        in->at++;
    return (size_t) (in->at - start);
}

static bool read_number (struct reader *in)
{
    if (in->at < in->end && *in->at == '-')
        in->at++;
    const uint8_t *start = in->at;
    size_t digits = read_digits (in);
    if (digits == 0 || (digits > 1 && *start == '0'))
        return false;
    if (in->at < in->end && *in->at == '.') {
        in->at++;
        if (read_digits (in) == 0)
            return false;
    }
    if (in->at < in->end && (*in->at == 'e' || *in->at == 'E')) {
        in->at++;
        if (in->at < in->end && (*in->at == '+' || *in->at == '-'))
            in->at++;
        if (read_digits (in) == 0)
            return false;
    }
    return true;
}

static bool read_value (struct reader *in, struct json_field *field, int depth);

static bool read_array (struct reader *in, int depth)
{
    struct json_field element;
    in->at++;
    if (take (in, ']'))
        return true;
    do {
        if (!read_value (in, &element, depth + 1))
            return false;
    } while (take (in, ','));
    return take (in, ']');
}

static bool read_object (struct reader *in, int depth)
{
    struct json_field member;
    struct bytes key;
    in->at++;
    if (take (in, '}'))
        return true;
    do {
        if (!read_string (in, &key) || !take (in, ':') || !read_value (in, &member, depth + 1))
            return false;
    } while (take (in, ','));
    return take (in, '}');
}

static bool read_value (struct reader *in, struct json_field *field, int depth)
{
    skip_space (in);
    if (in->at == in->end || depth > DEPTH_MAX)
        return false;
    const uint8_t *start = in->at;
    bool fine;
    switch (*in->at) {
    case '"':
        field->kind = JSON_STRING;
        return read_string (in, &field->text);
    case '[':
        field->kind = JSON_ARRAY;
        fine = read_array (in, depth);
        break;
    case '{':
        field->kind = JSON_OBJECT;
        fine = read_object (in, depth);
        break;
    case 't':
        field->kind = JSON_TRUE;
        fine = read_word (in, "true");
        break;
    case 'f':
        field->kind = JSON_FALSE;
        fine = read_word (in, "false");
        break;
    case 'n':
        field->kind = JSON_NULL;
        fine = read_word (in, "null");
        break;
    default:
        field->kind = JSON_NUMBER;
        fine = read_number (in);
        break;
    }
    field->text = bytes_of (start, (size_t) (in->at - start));
    return fine;
}

const char *json_read (struct bytes text, struct json_line *line)
{
    struct reader in = {text.data, text.data + text.len};
    line->count = 0;
    if (!take (&in, '{'))
        return "not a JSON object";
    if (!take (&in, '}')) {
        do {
            if (line->count == JSON_FIELDS_MAX)
                return "more members than a line of a history has";
            struct json_field *field = &line->fields[line->count++];
            if (!read_string (&in, &field->key) || !take (&in, ':') || !read_value (&in, field, 0))
                return "not valid JSON";
            for (size_t i = 0; i + 1 < line->count; i++)
                if (bytes_equal (line->fields[i].key, field->key))
                    return "the same member twice";
        } while (take (&in, ','));
        if (!take (&in, '}'))
            return "not valid JSON";
    }
    skip_space (&in);
    return in.at == in.end ? NULL : "something after the object";
}

const struct json_field *json_find (const struct json_line *line, const char *key)
{
    size_t len = strlen (key);
    for (size_t i = 0; i < line->count; i++)
        if (line->fields[i].key.len == len && memcmp (line->fields[i].key.data, key, len) == 0)
            return &line->fields[i];
    return NULL;
}

bool json_u64 (const struct json_field *field, uint64_t *value)
{
    if (field == NULL || field->kind != JSON_NUMBER || field->text.len > 19)
        return false;
    uint64_t sum = 0;
    for (size_t i = 0; i < field->text.len; i++) {
        if (field->text.data[i] < '0' || field->text.data[i] > '9')
            return false;
        sum = sum * 10 + (uint64_t) (field->text.data[i] - '0');
    }
    *value = sum;
    return true;
}

void json_open (struct json_cursor *cursor, struct bytes array)
{
    maitre_assert (array.len >= 2 && array.data[0] == '[');
    *cursor = (struct json_cursor){.rest = bytes_of (array.data + 1, array.len - 2)};
}

bool json_next (struct json_cursor *cursor, struct json_field *element)
{
    struct reader in = {cursor->rest.data, cursor->rest.data + cursor->rest.len};
    if (cursor->started && !take (&in, ','))
        return false;
    cursor->started = true;
    if (!read_value (&in, element, 0))
        return false;
    cursor->rest = bytes_of (in.at, (size_t) (in.end - in.at));
    return true;
}
