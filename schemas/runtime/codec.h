/* Table-driven reader and writer of every message and record: CBOR (RFC 8949) to and from generated C structs.
 *
 * Room: schemas/runtime, pure. Ownership: a decoded value borrows text and bytes from the input and arrays from the
 * arena; both must outlive it. Thread safety: tables are immutable, calls share nothing.
 * Source: RFC 8949, section 4.2.1 (core deterministic encoding); bounds come from the CDDL files through codegen.
 *
 * Invariants
 *  1. What codec_encode writes, codec_decode reads in CODEC_STRICT, and encoding that again gives the same bytes.
 *  2. Of two different byte runs at most one is the strict form of a value.
 *  3. No bound of the CDDL is passed in either direction: a decoded value always encodes (given room).
 *  4. Stack depth depends on the type (at most CODEC_DEPTH_MAX maps), never on the input.
 */
#ifndef MAITRED_SCHEMAS_RUNTIME_CODEC_H
#define MAITRED_SCHEMAS_RUNTIME_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/runtime/arena.h"
#include "schemas/runtime/bytes.h"
#include "schemas/runtime/ids.h"
#include "schemas/runtime/status.h"

#define CODEC_DEPTH_MAX 8         /* maps inside maps, by type; codegen refuses deeper ones */
#define CODEC_FIELDS_MAX 64       /* fields of one map */
#define CODEC_UNKNOWN_KEYS_MAX 16 /* unknown keys skipped in one map before a lenient reader gives up */
#define CODEC_SKIP_DEPTH_MAX 16   /* nesting inside a skipped value */
#define CODEC_PATH_SIZE 128

/* The kind of a field, or of each element when the field is an array. */
enum codec_kind {
    CODEC_UINT,  /* uint64_t, min..max */
    CODEC_INT,   /* int64_t, (int64_t) min..(int64_t) max */
    CODEC_BOOL,  /* bool */
    CODEC_BYTES, /* struct bytes, min..max long */
    CODEC_TEXT,  /* struct bytes of valid UTF-8, min..max bytes long */
    CODEC_ID,    /* struct id */
    CODEC_ENUM,  /* uint64_t, one of `enumeration` */
    CODEC_MAP,   /* the struct of `type`, inline */
};

enum codec_mode {
    CODEC_STRICT,  /* between nodes and on disk: the deterministic form and nothing else */
    CODEC_LENIENT, /* from clients: any key order, longer integers, unknown keys skipped */
    CODEC_REDACTED, /* strict, but of what codec_encode_redacted wrote: secret fields must be absent, even required ones */
};

struct codec_enum_value {
    const char *name; /* C spelling, lower case: "held" */
    uint64_t value;
};

struct codec_enum {
    const char *name;                      /* "reserve_state" */
    const struct codec_enum_value *values; /* ascending */
    size_t count;
};

struct codec_type;

struct codec_field {
    const char *name;     /* C spelling: "offer" */
    const char *expected; /* the bound in words, for errors: "must be 1..366" */
    uint32_t key;
    uint8_t kind;  /* enum codec_kind */
    bool array;    /* a pointer to elements at offset, their number (size_t) at count_offset */
    bool optional; /* a bool at has_offset says whether it is there */
    bool secret;   /* never logged, never fingerprinted */
    uint32_t offset, has_offset, count_offset;
    uint32_t element_size; /* C size of the field, or of one element */
    uint64_t min, max;
    const char *count_expected;           /* arrays only: "must have 1..16 elements" */
    uint64_t count_min, count_max;        /* arrays only */
    const struct codec_enum *enumeration; /* CODEC_ENUM only */
    const struct codec_type *type;        /* CODEC_MAP only */
};

struct codec_type {
    const char *name;                 /* "reserve_item" */
    const struct codec_field *fields; /* ascending keys */
    uint32_t field_count;
    uint32_t size;        /* of the C struct */
    uint32_t depth;       /* 1 for a map without maps inside */
    bool has_secret;      /* here or in a map below */
    uint64_t required;    /* bit i: fields[i] is not optional */
    uint64_t encoded_max; /* most bytes that any value of the type encodes to */
    uint64_t arena_max;   /* most arena bytes that decoding one takes */
};

/* Where and why a message was refused. message has static storage. */
struct codec_error {
    char path[CODEC_PATH_SIZE]; /* "items[3].quantity"; "" is the message itself */
    const char *message;        /* "must be 1..366" */
};

/* Writes the deterministic form of *value to out. On OK *out_len is its length.
 * INVALID_ARGUMENT: a field is out of its bounds. RESOURCE_EXHAUSTED: out_size is too small (type->encoded_max always
 * suffices). After a failure the bytes at out are unspecified. */
enum status codec_encode (
    const struct codec_type *type, const void *value, uint8_t *out, size_t out_size, size_t *out_len) WARN_UNUSED;

/* codec_encode that says which field was out of bounds. error may be NULL; it is written on INVALID_ARGUMENT only. */
enum status codec_encode_explained (const struct codec_type *type, const void *value, uint8_t *out, size_t out_size,
    size_t *out_len, struct codec_error *error) WARN_UNUSED;

/* codec_encode without the secret fields, at any depth: what a log entry or a trace may hold. Read it back with
 * CODEC_REDACTED. Same statuses; a secret field is not looked at. */
enum status codec_encode_redacted (
    const struct codec_type *type, const void *value, uint8_t *out, size_t out_size, size_t *out_len) WARN_UNUSED;

/* Reads one message that fills the whole of in into *value (type->size bytes, zeroed first). Text and bytes borrow from
 * in, arrays live in arena (which may be NULL when type->arena_max is 0). error may be NULL.
 * INVALID_ARGUMENT: not a message of this type and mode. RESOURCE_EXHAUSTED: the arena is full (arena_max always
 * suffices). error is written on every failure; *value is then unspecified. */
enum status codec_decode (const struct codec_type *type, struct bytes in, enum codec_mode mode, struct arena *arena,
    void *value, struct codec_error *error) WARN_UNUSED;

/* One field of a message as far as comparing goes. */
struct codec_print {
    uint32_t key;
    uint64_t hash; /* of the deterministic form of the field, its secrets left out */
};

/* Fingerprints *value, a print per field that is present and not secret, in key order; *prints_count says how many.
 * scratch holds one encoded field at a time. INVALID_ARGUMENT: a field is out of its bounds. RESOURCE_EXHAUSTED:
 * scratch or prints is too small (encoded_max and field_count always suffice). */
enum status codec_fingerprint (const struct codec_type *type, const void *value, uint8_t *scratch, size_t scratch_size,
    struct codec_print *prints, size_t prints_max, size_t *prints_count) WARN_UNUSED;

/* The field with this key, or NULL. */
const struct codec_field *codec_field_by_key (const struct codec_type *type, uint64_t key);

/* The field with this C name, or NULL. */
const struct codec_field *codec_field_by_name (const struct codec_type *type, struct bytes name);

/* The C name of the field with this key, or "?" (static storage). */
const char *codec_field_name (const struct codec_type *type, uint64_t key);

/* The name of a value of an enumeration, or NULL. */
const char *codec_enum_name (const struct codec_enum *enumeration, uint64_t value);

/* Finds the value called name. NOT_FOUND when there is none. */
enum status codec_enum_value (const struct codec_enum *enumeration, struct bytes name, uint64_t *value) WARN_UNUSED;

/* The type of that C name in a table of count with ascending names, or NULL. */
const struct codec_type *codec_type_find (const struct codec_type *const *types, size_t count, struct bytes name);

/* True when text is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). */
bool codec_utf8_valid (struct bytes text);

#endif
