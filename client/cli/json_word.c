/* Words of a command line as JSON fields.
 */
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/json_value.h"
#include "schemas/generated/auth.h"

#define WORD_MAX 4600

static json_t *refuse (struct json_value_error *error, const char *field, const char *what, const char *word)
{
    snprintf (error->text, sizeof error->text, "%s %s, not %.80s", field, what, word);
    return NULL;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms"). */
long json_value_days (int year, unsigned month, unsigned day)
{
    if (month < 1 || month > 12 || day < 1 || day > 31 || year < 1970)
        return -1;
    year -= month <= 2;
    long era = (year >= 0 ? year : year - 399) / 400;
    unsigned year_of_era = (unsigned) (year - era * 400);
    unsigned day_of_year = (153 * (month + (month > 2 ? -3u : 9u)) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + (long) day_of_era - 719468;
}

static bool parse_date (const char *word, json_int_t *out)
{
    int year;
    unsigned month, day;
    char rest;
    if (sscanf (word, "%4d-%2u-%2u%c", &year, &month, &day, &rest) != 3)
        return false;
    *out = json_value_days (year, month, day);
    return *out >= 0;
}

/* "staff,operator" as a set of bits. */
static bool parse_roles (const char *word, json_int_t *out)
{
    *out = 0;
    while (*word != '\0') {
        size_t len = strcspn (word, ",+");
        uint64_t bit;
        if (codec_enum_value (&role_enum, bytes_of (word, len), &bit) != STATUS_OK)
            return false;
        *out |= (json_int_t) bit;
        word += len + (word[len] != '\0');
    }
    return true;
}

static json_t *number_word (const struct codec_field *field, const char *word, struct json_value_error *error)
{
    json_int_t special;
    char *end;
    if (strcmp (field->name, "roles") == 0 && parse_roles (word, &special))
        return json_integer (special);
    if (parse_date (word, &special))
        return json_integer (special);
    unsigned long long value = strtoull (word, &end, 10);
    if (end == word || *end != '\0' || word[0] == '-')
        return refuse (error, field->name, "must be a number", word);
    return value > INT64_MAX ? json_string (word) : json_integer ((json_int_t) value);
}

static json_t *map_word (const struct codec_field *field, const char *word, struct json_value_error *error)
{
    char copy[WORD_MAX], *rest = copy;
    json_t *object = json_object ();
    if (strlen (word) >= sizeof copy)
        return refuse (error, field->name, "is too long", "this");
    memcpy (copy, word, strlen (word) + 1);
    for (uint32_t i = 0; rest != NULL; i++) {
        char *part = strsep (&rest, ":");
        json_t *value = i < field->type->field_count ? json_value_word (&field->type->fields[i], part, error) : NULL;
        if (i >= field->type->field_count)
            refuse (error, field->name, "has too many parts between colons", word);
        if (value == NULL) {
            json_decref (object);
            return NULL;
        }
        json_object_set_new (object, field->type->fields[i].name, value);
    }
    return object;
}

json_t *json_value_word (const struct codec_field *field, const char *word, struct json_value_error *error)
{
    switch ((enum codec_kind) field->kind) {
    case CODEC_UINT:
    case CODEC_INT:
        return number_word (field, word, error);
    case CODEC_BOOL:
        if (strcmp (word, "true") == 0 || strcmp (word, "false") == 0)
            return json_boolean (word[0] == 't');
        return refuse (error, field->name, "must be true or false", word);
    case CODEC_MAP:
        return map_word (field, word, error);
    case CODEC_BYTES:
    case CODEC_TEXT:
    case CODEC_ID:
    case CODEC_ENUM: {
        json_t *text = json_string (word);
        return text != NULL ? text : refuse (error, field->name, "must be UTF-8", "this");
    }
    }
    return NULL;
}

static void spell (const char *name, char out[64])
{
    snprintf (out, 64, "%s", name);
    for (char *at = out; *at != '\0'; at++)
        if (*at == '-')
            *at = '_';
}

const struct codec_field *json_value_field (const struct codec_type *type, const char *name)
{
    char spelled[64];
    spell (name, spelled);
    const struct codec_field *field = codec_field_by_name (type, bytes_text (spelled));
    for (uint32_t i = 0; field == NULL && i < type->field_count; i++)
        if (type->fields[i].kind == CODEC_MAP && !type->fields[i].array)
            field = codec_field_by_name (type->fields[i].type, bytes_text (spelled));
    return field;
}

/* The object that holds the field: the message itself, or the map in it that has such a field. */
static json_t *holder (const struct codec_type *type, json_t *object, const struct codec_field *field)
{
    if (field >= type->fields && field < type->fields + type->field_count)
        return object;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct codec_type *inner = type->fields[i].type;
        if (type->fields[i].kind != CODEC_MAP || type->fields[i].array || field < inner->fields ||
            field >= inner->fields + inner->field_count)
            continue;
        json_t *map = json_object_get (object, type->fields[i].name);
        if (map == NULL) {
            map = json_object ();
            json_object_set_new (object, type->fields[i].name, map);
        }
        return map;
    }
    return NULL;
}

bool json_value_set (
    const struct codec_type *type, json_t *object, const char *name, const char *word, struct json_value_error *error)
{
    const struct codec_field *field = json_value_field (type, name);
    if (field == NULL) {
        snprintf (error->text, sizeof error->text, "--%.60s is no option here; see --help", name);
        return false;
    }
    json_t *in = holder (type, object, field);
    if (!field->array) {
        json_t *value = json_value_word (field, word, error);
        return value != NULL && json_object_set_new (in, field->name, value) == 0;
    }
    json_t *array = json_object_get (in, field->name);
    if (array == NULL) {
        array = json_array ();
        json_object_set_new (in, field->name, array);
    }
    char copy[WORD_MAX], *rest = copy;
    if (strlen (word) >= sizeof copy) {
        refuse (error, field->name, "is too long", "this");
        return false;
    }
    memcpy (copy, word, strlen (word) + 1);
    while (rest != NULL) {
        json_t *value = json_value_word (field, strsep (&rest, ","), error);
        if (value == NULL || json_array_append_new (array, value) != 0)
            return false;
    }
    return true;
}
