/* What people type: JSON requests and words of a command line as messages, options, dates, ids. What becomes a message comes
 * back from its encoded form as the same JSON. */
#include <stdarg.h>
#include <stdio.h>

#include "client/cli/cli.h"
#include "client/cli/json_value.h"
#include "schemas/generated/schema_text.h"
#include "test/fuzz/fuzz.h"

#define MEMORY_SIZE (8u << 20)
#define OUT_SIZE (1u << 20)
#define WORDS_MAX 16

static uint8_t *memory, *back_memory, *out;
static uint64_t value[2048], back[2048];

/* The commands' own one writes to standard error. */
int cli_complain (int exit_code, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (text, sizeof text, format, arguments);
    va_end (arguments);
    maitre_assert (text[0] != '\0');
    return exit_code;
}

static void prepare (void)
{
    if (memory != NULL)
        return;
    memory = malloc (MEMORY_SIZE);
    back_memory = malloc (MEMORY_SIZE);
    out = malloc (OUT_SIZE);
    maitre_assert (memory != NULL && back_memory != NULL && out != NULL);
}

static void check_object (const struct codec_type *type, json_t *object)
{
    struct arena arena, back_arena;
    struct json_value_error error;
    size_t len = 0;
    arena_init (&arena, memory, MEMORY_SIZE);
    maitre_assert (type->size <= sizeof value);
    enum status status = json_value_to (type, object, &arena, value, &error);
    if (status != STATUS_OK) {
        maitre_assert (status == STATUS_RESOURCE_EXHAUSTED || error.text[0] != '\0');
        return;
    }
    if (codec_encode (type, value, out, OUT_SIZE, &len) != STATUS_OK)
        return; /* out of its bounds: the encoder says so */
    arena_init (&back_arena, back_memory, MEMORY_SIZE);
    status = codec_decode (type, bytes_of (out, len), CODEC_STRICT, &back_arena, back, NULL);
    maitre_assert (status == STATUS_OK);
    json_t *shown = json_value_from (type, value), *shown_back = json_value_from (type, back);
    maitre_assert (shown != NULL && shown_back != NULL && json_equal (shown, shown_back));
    /* What is shown can be typed again. */
    uint8_t *again = malloc (len + 1);
    size_t again_len = 0;
    maitre_assert (again != NULL);
    arena_init (&arena, memory, MEMORY_SIZE);
    status = json_value_to (type, shown, &arena, value, &error);
    maitre_assert (status == STATUS_OK);
    status = codec_encode (type, value, again, len, &again_len);
    maitre_assert (status == STATUS_OK && bytes_equal (bytes_of (again, again_len), bytes_of (out, len)));
    free (again);
    json_decref (shown);
    json_decref (shown_back);
}

static void from_json (const struct codec_type *type, struct bytes text)
{
    json_error_t why;
    json_t *object = json_loadb ((const char *) text.data, text.len, JSON_REJECT_DUPLICATES, &why);
    if (object != NULL && json_is_object (object))
        check_object (type, object);
    json_decref (object);
}

/* NUL-separated words; the copy is the caller's to free. */
static char *split (struct bytes text, char *words[WORDS_MAX + 1], int *count)
{
    char *copy = malloc (text.len + 1);
    maitre_assert (copy != NULL);
    if (text.len > 0)
        memcpy (copy, text.data, text.len);
    copy[text.len] = '\0';
    *count = 0;
    for (char *at = copy; at < copy + text.len && *count < WORDS_MAX; at += strlen (at) + 1)
        words[(*count)++] = at;
    words[*count] = NULL;
    return copy;
}

static void from_words (const struct codec_type *type, struct bytes text)
{
    struct json_value_error error;
    char *words[WORDS_MAX + 1];
    int count;
    char *copy = split (text, words, &count);
    json_t *object = json_object ();
    for (int i = 0; i + 1 < count; i += 2)
        (void) json_value_set (type, object, words[i], words[i + 1], &error);
    check_object (type, object);
    json_decref (object);
    free (copy);
}

/* Words of each field by its number: names are hard to guess. */
static void from_fields (const struct codec_type *type, struct fuzz *fuzz)
{
    struct json_value_error error;
    json_t *object = json_object ();
    for (int i = 0; i < WORDS_MAX && fuzz->left > 0 && type->field_count > 0; i++) {
        char word[64];
        const struct codec_field *field = &type->fields[fuzz_below (fuzz, type->field_count)];
        struct bytes run = fuzz_run (fuzz, fuzz_below (fuzz, sizeof word));
        if (run.len > 0)
            memcpy (word, run.data, run.len);
        word[run.len] = '\0';
        (void) json_value_set (type, object, field->name, word, &error);
    }
    check_object (type, object);
    json_decref (object);
}

static void from_options (struct bytes text)
{
    char *words[WORDS_MAX + 1];
    bool bad = false;
    struct cli cli = {.argv = words};
    char *copy = split (text, words, &cli.argc);
    int before = cli.argc;
    const char *taken = cli_take (&cli, "--cluster", &bad);
    maitre_assert (taken == NULL || cli.argc < before);
    uint64_t number = cli_take_number (&cli, "--timeout", 7, 1, 3600000, &bad);
    maitre_assert (number >= 1 && number <= 3600000);
    while (cli_take_flag (&cli, "--json"))
        ;
    maitre_assert (cli.argc >= 0 && cli.argc <= before);
    for (int i = 0; i < cli.argc; i++)
        maitre_assert (cli.argv[i] != NULL);
    free (copy);
}

static void from_text (struct bytes text)
{
    struct id id, again;
    char formatted[ID_TEXT_LEN + 1];
    if (id_parse (text, &id) == STATUS_OK) {
        id_format (&id, formatted);
        enum status status = id_parse (bytes_text (formatted), &again);
        maitre_assert (status == STATUS_OK && id_equal (&id, &again));
        struct id made = id_make (id_time_ms (&id), id_hash (&id), bytes_get_u64 (id.b + 8));
        maitre_assert (id_equal (&id, &made));
    }
    (void) codec_utf8_valid (text);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    struct fuzz fuzz = {.at = data, .left = size};
    prepare ();
    uint8_t choice = fuzz_u8 (&fuzz);
    if (choice % 8 == 0) {
        from_options (fuzz_rest (&fuzz));
        return 0;
    }
    if (choice % 8 == 1) {
        from_text (fuzz_rest (&fuzz));
        return 0;
    }
    const struct codec_type *type = codec_types[fuzz_below (&fuzz, codec_types_count)];
    if (choice % 8 == 2)
        from_words (type, fuzz_rest (&fuzz));
    else if (choice % 8 < 5)
        from_fields (type, &fuzz);
    else
        from_json (type, fuzz_rest (&fuzz));
    return 0;
}
