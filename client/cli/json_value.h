/* JSON to and from the structs of any message, by the schema's tables.
 *
 * Room: client/cli (jansson; the gateway links it too). Ownership: a struct made from JSON borrows its texts from the
 * JSON and its arrays from the arena. Thread safety: nothing is shared.
 *
 * In JSON an id is 32 hexadecimal digits, an enumeration its name, bytes are their text when they are printable UTF-8
 * and "hex:..." otherwise, integers above 2^63-1 are decimal strings.
 */
#ifndef MAITRE_JSON_VALUE_H
#define MAITRE_JSON_VALUE_H

#include <jansson.h>

#include "schemas/runtime/codec.h"

#define JSON_VALUE_ERROR_SIZE 320

/* Why JSON is no such message, in words that start with the field. */
struct json_value_error {
    char text[JSON_VALUE_ERROR_SIZE];
};

/* The message as a new JSON object, fields in key order; NULL when there is no memory. */
json_t *json_value_from (const struct codec_type *type, const void *value);

/* Fills *value (type->size bytes) from an object. Bounds are checked when it is encoded.
 * INVALID_ARGUMENT: a field is unknown, missing, or of the wrong kind. RESOURCE_EXHAUSTED: the arena is full. */
enum status json_value_to (const struct codec_type *type, json_t *object, struct arena *arena, void *value,
    struct json_value_error *error) WARN_UNUSED;

/* A word of a command line as the JSON of one field (or of one element of it): numbers, also dates (YYYY-MM-DD, as days
 * since 1970), enumeration names, A:B:C for the fields of a map in order. NULL when the word does not fit; *error says
 * why. */
json_t *json_value_word (const struct codec_field *field, const char *word, struct json_value_error *error);

/* Days since 1970-01-01 of a date, the number of a bucket that is a night; -1 when there is no such date. */
long json_value_days (int year, unsigned month, unsigned day);

/* Sets field `name` (dashes count as underscores) of the object to a word; elements are added to an array, and a name
 * that is not in `type` is looked for in its maps. False when it fits nowhere. */
bool json_value_set (
    const struct codec_type *type, json_t *object, const char *name, const char *word, struct json_value_error *error);

/* The field that json_value_set would set, or NULL. */
const struct codec_field *json_value_field (const struct codec_type *type, const char *name);

#endif
