/* One CBOR item at a time out of libcbor's streaming decoder, and skipping over whole values. Inside the codec only.
 *
 * Room: schemas/runtime, pure. Ownership: items borrow from the input. Thread safety: no shared state.
 */
#ifndef MAITRED_SCHEMAS_RUNTIME_CODEC_ITEM_H
#define MAITRED_SCHEMAS_RUNTIME_CODEC_ITEM_H

#include "schemas/runtime/codec.h"
#include "schemas/runtime/assert.h"

enum codec_item_kind {
    CODEC_ITEM_UINT,
    CODEC_ITEM_NEGINT, /* -1 - value */
    CODEC_ITEM_BYTES,  /* data, value bytes long */
    CODEC_ITEM_TEXT,
    CODEC_ITEM_ARRAY, /* of value elements */
    CODEC_ITEM_MAP,   /* of value pairs */
    CODEC_ITEM_TAG,
    CODEC_ITEM_BOOL,
    CODEC_ITEM_OTHER,      /* null, undefined, floats */
    CODEC_ITEM_INDEFINITE, /* the start of anything of indefinite length, or its end */
};

_Static_assert(CODEC_SKIP_DEPTH_MAX >= CODEC_DEPTH_MAX, "what a newer version adds may be as deep as what is known");

struct codec_item {
    enum codec_item_kind kind;
    uint64_t value;
    const uint8_t *data;
    bool shortest; /* its head is the shortest that says so */
};

/* Reads the item at *at and moves *at behind it (behind the head of a collection). Returns NULL, or why it cannot:
 * static storage. Indefinite lengths are refused here. */
const char *codec_item_read (const uint8_t **at, const uint8_t *end, struct codec_item *item) WARN_UNUSED;

/* Moves *at behind one whole value, whatever it is, without recursion. Returns NULL, or why it cannot. Duplicate keys
 * inside the value are not looked for: nobody reads them. */
const char *codec_item_skip (const uint8_t **at, const uint8_t *end) WARN_UNUSED;

/* Where in a message the codec is. A type of depth n needs at most n steps. */
struct codec_path {
    struct {
        const struct codec_field *field;
        size_t index;
        bool indexed;
    } steps[CODEC_DEPTH_MAX];
    size_t count;
};

/* Writes "items[3].quantity", cut short when it does not fit. */
void codec_path_write (const struct codec_path *path, char out[CODEC_PATH_SIZE]);

/* Whether an enumeration has the value. */
static inline bool codec_enum_has (const struct codec_field *field, uint64_t value)
{
    maitre_assert (field->enumeration->count >= 1);
    if (value < field->min || value > field->max)
        return false;
    /* Most enumerations have no holes; for those the range decides. */
    return field->max - field->min + 1 == field->enumeration->count ||
           codec_enum_name (field->enumeration, value) != NULL;
}

#endif
