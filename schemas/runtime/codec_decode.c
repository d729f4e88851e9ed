#include "schemas/runtime/assert.h"
#include "schemas/runtime/codec_item.h"

_Static_assert(CODEC_UNKNOWN_KEYS_MAX > 0, "a newer client is understood");
_Static_assert(CODEC_FIELDS_MAX <= 64, "a bit for each field of a map");

struct decoder {
    const uint8_t *at, *end;
    enum codec_mode mode;
    struct arena *arena;
    struct codec_error *error;
    struct codec_path path;
};

/* What one map has shown so far. */
struct seen {
    uint64_t fields; /* bit i: fields[i] */
    size_t next;     /* index of the field that comes next in the deterministic form */
    uint64_t unknown[CODEC_UNKNOWN_KEYS_MAX];
    size_t unknown_count;
};

static enum status decode_map (struct decoder *decoder, const struct codec_type *type, uint8_t *value);

__attribute__ ((cold, noinline)) static enum status fail (
    const struct decoder *decoder, enum status status, const char *message)
{
    maitre_assert (status != STATUS_OK);
    maitre_assert (message[0] != '\0');
    maitre_assert (decoder->path.count <= CODEC_DEPTH_MAX);
    if (decoder->error != NULL) {
        decoder->error->message = message;
        codec_path_write (&decoder->path, decoder->error->path);
    }
    return status;
}

static enum status refuse (const struct decoder *decoder, const char *message)
{
    return fail (decoder, STATUS_INVALID_ARGUMENT, message);
}

static inline enum status next_item (struct decoder *decoder, struct codec_item *item)
{
    const char *problem = codec_item_read (&decoder->at, decoder->end, item);
    if (problem != NULL)
        return refuse (decoder, problem);
    if (!item->shortest && decoder->mode != CODEC_LENIENT)
        return refuse (decoder, "is not in its shortest form");
    return STATUS_OK;
}

static enum status decode_int (
    struct decoder *decoder, const struct codec_field *field, const struct codec_item *item, int64_t *value)
{
    if ((item->kind != CODEC_ITEM_UINT && item->kind != CODEC_ITEM_NEGINT) || item->value > INT64_MAX)
        return refuse (decoder, field->expected);
    maitre_assert ((int64_t) field->min <= (int64_t) field->max);
    *value = item->kind == CODEC_ITEM_UINT ? (int64_t) item->value : -1 - (int64_t) item->value;
    if (*value < (int64_t) field->min || *value > (int64_t) field->max)
        return refuse (decoder, field->expected);
    return STATUS_OK;
}

static enum status decode_string (
    struct decoder *decoder, const struct codec_field *field, const struct codec_item *item, void *value)
{
    enum codec_item_kind wanted = field->kind == CODEC_TEXT ? CODEC_ITEM_TEXT : CODEC_ITEM_BYTES;
    if (item->kind != wanted || item->value < field->min || item->value > field->max)
        return refuse (decoder, field->expected);
    struct bytes run = bytes_of (item->data, (size_t) item->value);
    maitre_assert (run.len <= (size_t) (decoder->end - run.data));
    maitre_assert (field->kind != CODEC_ID || run.len == ID_SIZE);
    if (field->kind == CODEC_TEXT && !codec_utf8_valid (run))
        return refuse (decoder, "is not valid UTF-8");
    if (field->kind == CODEC_ID)
        memcpy (value, run.data, ID_SIZE);
    else
        *(struct bytes *) value = run;
    return STATUS_OK;
}

/* One value of the field's kind: the field itself, or an element of its array. */
static enum status decode_value (struct decoder *decoder, const struct codec_field *field, uint8_t *value)
{
    if (field->kind == CODEC_MAP)
        return decode_map (decoder, field->type, value);
    struct codec_item item;
    enum status status = next_item (decoder, &item);
    if (status != STATUS_OK)
        return status;
    switch ((enum codec_kind) field->kind) {
    case CODEC_UINT:
        if (item.kind != CODEC_ITEM_UINT || item.value < field->min || item.value > field->max)
            return refuse (decoder, field->expected);
        *(uint64_t *) value = item.value;
        return STATUS_OK;
    case CODEC_ENUM:
        if (item.kind != CODEC_ITEM_UINT || !codec_enum_has (field, item.value))
            return refuse (decoder, field->expected);
        *(uint64_t *) value = item.value;
        return STATUS_OK;
    case CODEC_INT:
        return decode_int (decoder, field, &item, (int64_t *) value);
    case CODEC_BOOL:
        if (item.kind != CODEC_ITEM_BOOL)
            return refuse (decoder, field->expected);
        *(bool *) value = item.value != 0;
        return STATUS_OK;
    case CODEC_BYTES:
    case CODEC_TEXT:
    case CODEC_ID:
        return decode_string (decoder, field, &item, value);
    case CODEC_MAP:
        break;
    }
    maitre_assert (!"a kind that codegen does not make");
    return STATUS_INTERNAL;
}

static enum status decode_array (struct decoder *decoder, const struct codec_field *field, uint8_t *value)
{
    struct codec_item item;
    enum status status = next_item (decoder, &item);
    if (status != STATUS_OK)
        return status;
    if (item.kind != CODEC_ITEM_ARRAY || item.value < field->count_min || item.value > field->count_max)
        return refuse (decoder, field->count_expected);
    /* An element takes a byte at least: a short message must not make the arena give much. */
    if (item.value > (uint64_t) (decoder->end - decoder->at))
        return refuse (decoder, "is cut short");
    size_t count = (size_t) item.value;
    maitre_assert (count <= field->count_max);
    maitre_assert (field->element_size > 0);
    if (count == 0)
        return STATUS_OK;
    size_t size = count * field->element_size;
    uint8_t *elements = decoder->arena == NULL ? NULL : arena_alloc (decoder->arena, size);
    if (elements == NULL)
        return fail (decoder, STATUS_RESOURCE_EXHAUSTED, "takes more memory than there is for one message");
    memset (elements, 0, size);
    *(uint8_t **) (value + field->offset) = elements;
    *(size_t *) (value + field->count_offset) = count;
    size_t step = decoder->path.count - 1;
    maitre_assert (decoder->path.count >= 1);
    decoder->path.steps[step].indexed = true;
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        decoder->path.steps[step].index = i;
        status = decode_value (decoder, field, elements + i * field->element_size);
    }
    return status;
}

static void path_push (struct decoder *decoder, const struct codec_field *field)
{
    decoder->path.steps[decoder->path.count].field = field;
    decoder->path.steps[decoder->path.count].indexed = false;
    decoder->path.count++; /* decode_map has seen that the type is not too deep */
}

static enum status decode_unknown (struct decoder *decoder, struct seen *seen, uint64_t key)
{
    if (decoder->mode != CODEC_LENIENT)
        return refuse (decoder, "has an unknown key");
    for (size_t i = 0; i < seen->unknown_count; i++) {
        if (seen->unknown[i] == key)
            return refuse (decoder, "has a key twice");
    }
    if (seen->unknown_count == CODEC_UNKNOWN_KEYS_MAX)
        return refuse (decoder, "has too many unknown keys");
    maitre_assert (seen->unknown_count < CODEC_UNKNOWN_KEYS_MAX);
    seen->unknown[seen->unknown_count++] = key;
    const char *problem = codec_item_skip (&decoder->at, decoder->end);
    return problem == NULL ? STATUS_OK : refuse (decoder, problem);
}

/* The index of the field with this key, or field_count. */
static inline size_t find_field (const struct codec_type *type, const struct seen *seen, uint64_t key)
{
    if (seen->next < type->field_count && type->fields[seen->next].key == key)
        return seen->next;
    const struct codec_field *field = codec_field_by_key (type, key);
    return field == NULL ? type->field_count : (size_t) (field - type->fields);
}

static enum status decode_member (
    struct decoder *decoder, const struct codec_type *type, struct seen *seen, uint8_t *value)
{
    struct codec_item item;
    enum status status = next_item (decoder, &item);
    if (status != STATUS_OK)
        return status;
    if (item.kind != CODEC_ITEM_UINT)
        return refuse (decoder, "has a key that is not an unsigned integer");
    size_t index = find_field (type, seen, item.value);
    if (index == type->field_count)
        return decode_unknown (decoder, seen, item.value);
    const struct codec_field *field = &type->fields[index];
    uint64_t bit = UINT64_C (1) << index;
    path_push (decoder, field);
    if ((seen->fields & bit) != 0)
        return refuse (decoder, "is there twice");
    if (index < seen->next && decoder->mode != CODEC_LENIENT)
        return refuse (decoder, "is not in the order of the keys");
    if (decoder->mode == CODEC_REDACTED && field->secret)
        return refuse (decoder, "is a secret and must not be here");
    seen->fields |= bit;
    seen->next = index + 1;
    if (field->optional)
        *(bool *) (value + field->has_offset) = true;
    status = field->array ? decode_array (decoder, field, value) : decode_value (decoder, field, value + field->offset);
    if (status == STATUS_OK)
        decoder->path.count--;
    return status;
}

static enum status check_required (struct decoder *decoder, const struct codec_type *type, const struct seen *seen)
{
    uint64_t missing = type->required & ~seen->fields;
    if (missing == 0)
        return STATUS_OK;
    for (size_t i = 0; i < type->field_count; i++) {
        if ((missing & UINT64_C (1) << i) == 0)
            continue;
        maitre_assert (!type->fields[i].optional);
        if (decoder->mode == CODEC_REDACTED && type->fields[i].secret)
            continue;
        path_push (decoder, &type->fields[i]);
        return refuse (decoder, "is missing");
    }
    maitre_assert (decoder->mode == CODEC_REDACTED);
    return STATUS_OK;
}

static enum status decode_map (struct decoder *decoder, const struct codec_type *type, uint8_t *value)
{
    maitre_assert (decoder->path.count + type->depth <= CODEC_DEPTH_MAX);
    maitre_assert (type->field_count <= CODEC_FIELDS_MAX);
    struct codec_item item;
    struct seen seen;
    enum status status = next_item (decoder, &item);
    if (status != STATUS_OK)
        return status;
    if (item.kind != CODEC_ITEM_MAP)
        return refuse (decoder, "must be a map");
    if (item.value > type->field_count + (uint64_t) CODEC_UNKNOWN_KEYS_MAX)
        return refuse (decoder, "has too many keys");
    seen.fields = 0;
    seen.next = 0;
    seen.unknown_count = 0;
    for (uint64_t i = 0; i < item.value; i++) {
        status = decode_member (decoder, type, &seen, value);
        if (status != STATUS_OK)
            return status;
    }
    maitre_assert (seen.next <= type->field_count);
    maitre_assert (decoder->at <= decoder->end);
    return check_required (decoder, type, &seen);
}

enum status codec_decode (const struct codec_type *type, struct bytes in, enum codec_mode mode, struct arena *arena,
    void *value, struct codec_error *error)
{
    maitre_assert (type->depth >= 1 && type->depth <= CODEC_DEPTH_MAX);
    maitre_assert (type->field_count == 0 || type->fields != NULL);
    maitre_assert (in.len == 0 || in.data != NULL);
    struct decoder decoder;
    decoder.mode = mode;
    decoder.arena = arena;
    decoder.error = error;
    decoder.path.count = 0;
    memset (value, 0, type->size);
    if (in.len == 0)
        return refuse (&decoder, "is empty"); /* in.data may be NULL */
    decoder.at = in.data;
    decoder.end = in.data + in.len;
    enum status status = decode_map (&decoder, type, value);
    if (status == STATUS_OK && decoder.at != decoder.end)
        return refuse (&decoder, "has bytes behind its end");
    maitre_assert (status != STATUS_OK || decoder.at > in.data);
    maitre_assert (status != STATUS_OK || decoder.path.count == 0);
    return status;
}
