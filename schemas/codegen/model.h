/* What the CDDL files say: rules, as parsed and as resolved.
 *
 * Room: schemas/codegen. Ownership: everything lives until gen_release.
 *
 * The subset, all else is refused with file and line:
 *   rule     = map | enumeration | type | method, one name each over all files
 *   map      = { [?] &(name: key) => type, ... }           keys ascending
 *   enum     = &(name: value, ...)                         values ascending
 *   type     = uint | int | bool | a..b | n | tstr .size n | tstr .size (a..b) | bstr ... | rule | [min*max type]
 *   method-x = [ "service.Name", number, request-map, reply-map, "class", "route" ]
 */
#ifndef MAITRED_SCHEMAS_CODEGEN_MODEL_H
#define MAITRED_SCHEMAS_CODEGEN_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/codegen/lexer.h"
#include "schemas/codegen/text.h"

#define MAP_DEPTH_MAX 8   /* CODEC_DEPTH_MAX of schemas/runtime/codec.h */
#define MAP_FIELDS_MAX 64 /* CODEC_FIELDS_MAX */
#define ROUTE_STEPS_MAX 4 /* METHOD_ROUTE_STEPS_MAX of schemas/runtime/method.h */
#define ENCODED_MAX (UINT64_C (1) << 32)

enum shape_kind {
    SHAPE_UINT,
    SHAPE_INT,
    SHAPE_BOOL,
    SHAPE_BYTES,
    SHAPE_TEXT,
    SHAPE_ID,
    SHAPE_ENUM,
    SHAPE_MAP,
};

/* A type with every name looked up. */
struct shape {
    enum shape_kind kind;
    uint64_t min, max; /* value (two's complement for SHAPE_INT) or length */
    bool array;
    uint64_t count_min, count_max;
    bool secret;
    struct rule *rule; /* SHAPE_ENUM, SHAPE_MAP */
};

/* A type as written. */
struct expression {
    const char *name; /* a rule's, or NULL: then shape holds all but the element of an array */
    struct shape shape;
    struct expression *element; /* array */
    int line;
};

struct member {
    const char *name; /* as written */
    uint64_t key;     /* or the value of an enumeration */
    bool optional;
    struct expression *type;
    struct shape shape; /* resolved */
    const char *doc;
    int line;
};

enum rule_kind {
    RULE_ALIAS,
    RULE_MAP,
    RULE_ENUM,
    RULE_METHOD,
};

struct method_rule {
    const char *name, *request_name, *reply_name, *method_class, *route;
    uint64_t number;
    struct rule *request, *reply;
    const char *route_kind; /* "ROUTE_NONE", ... */
    uint32_t steps[ROUTE_STEPS_MAX];
    size_t steps_count;
};

struct rule {
    enum rule_kind kind;
    const char *name, *name_c, *name_upper;
    const struct source *source;
    const char *doc;
    int line;
    int visiting; /* 1 while being resolved: meeting it again is a recursion */
    bool resolved;
    bool emitted;
    struct expression *type;               /* alias */
    struct member members[MAP_FIELDS_MAX]; /* map, enumeration */
    size_t members_count;
    struct shape shape; /* alias, resolved */
    struct method_rule method;
    bool has_secret, uses_arena;
    uint32_t depth;
    uint64_t encoded_max;
};

struct model {
    struct source *sources;
    size_t sources_count;
    struct rule **rules; /* in the order of files and lines */
    size_t rules_count, rules_size;
    struct rule **methods; /* ascending numbers */
    size_t methods_count;
};

/* Reads the rules of one lexed source into the model. */
void parser_run (struct model *model, const struct source *source);

/* Looks every name up, checks every rule, computes sizes, sorts the methods. */
void resolve_run (struct model *model);

/* The rule of that name, or NULL. */
struct rule *model_find (const struct model *model, const char *name);

/* The generated files, whole. */
void emit_types_header (const struct model *model, const struct source *source, struct text *out);
void emit_types_source (const struct model *model, const struct source *source, struct text *out);
void emit_methods_header (const struct model *model, struct text *out);
void emit_methods_source (const struct model *model, struct text *out);
void emit_schema_header (const struct model *model, struct text *out);
void emit_schema_source (const struct model *model, struct text *out);

/* "must be 1..366", for the error message of a shape (or of one element of an array). */
const char *shape_expected (const struct shape *shape);

#endif
