/* structs and tables of the maps and enumerations of one CDDL file */
#include <string.h>

#include "schemas/codegen/model.h"

#define BANNER "/* Made by maitred_codegen from schemas/%s.cddl. Do not edit: change that file, build codegen_run. */\n"

static unsigned long long wide (uint64_t value)
{
    return (unsigned long long) value;
}

const char *shape_expected (const struct shape *shape)
{
    struct text text = {0};
    switch (shape->kind) {
    case SHAPE_UINT:
        if (shape->max == UINT64_MAX)
            return "must be an unsigned integer";
        return gen_format ("must be %llu..%llu", wide (shape->min), wide (shape->max));
    case SHAPE_INT:
        if ((int64_t) shape->min == INT64_MIN && (int64_t) shape->max == INT64_MAX)
            return "must be an integer";
        return gen_format ("must be %lld..%lld", (long long) (int64_t) shape->min, (long long) (int64_t) shape->max);
    case SHAPE_BOOL:
        return "must be true or false";
    case SHAPE_ID:
        return "must be an id of 16 bytes";
    case SHAPE_TEXT:
        if (shape->min == shape->max)
            return gen_format ("must be a text of %llu bytes", wide (shape->max));
        return gen_format ("must be a text of %llu..%llu bytes", wide (shape->min), wide (shape->max));
    case SHAPE_BYTES:
        if (shape->min == shape->max)
            return gen_format ("must be %llu bytes", wide (shape->max));
        return gen_format ("must be %llu..%llu bytes", wide (shape->min), wide (shape->max));
    case SHAPE_ENUM:
        text_add (&text, "must be one of");
        for (size_t i = 0; i < shape->rule->members_count; i++)
            text_add (&text, "%s %s", i == 0 ? "" : ",", name_c (shape->rule->members[i].name));
        return text.data;
    case SHAPE_MAP:
        return "must be a map";
    }
    return "";
}

static const char *c_type (const struct shape *shape)
{
    switch (shape->kind) {
    case SHAPE_UINT:
    case SHAPE_ENUM:
        return "uint64_t";
    case SHAPE_INT:
        return "int64_t";
    case SHAPE_BOOL:
        return "bool";
    case SHAPE_BYTES:
    case SHAPE_TEXT:
        return "struct bytes";
    case SHAPE_ID:
        return "struct id";
    case SHAPE_MAP:
        return gen_format ("struct %s", shape->rule->name_c);
    }
    return "";
}

static void add_doc (struct text *out, const char *doc)
{
    if (doc == NULL)
        return;
    text_add (out, "/* ");
    for (const char *c = doc; *c != '\0'; c++) {
        if (*c == '\n')
            text_add (out, "\n * ");
        else
            text_add_bytes (out, c, 1);
    }
    text_add (out, " */\n");
}

/* "; "-joined notes of a member: bound, enumeration, what its comment says. */
static char *member_notes (const struct member *member)
{
    struct text notes = {0};
    const struct shape *shape = &member->shape;
    if (shape->array)
        text_add (&notes, "%llu..%llu", wide (shape->count_min), wide (shape->count_max));
    if (shape->kind == SHAPE_ENUM)
        text_add (&notes, "%senum %s", notes.len > 0 ? "; " : "", shape->rule->name_c);
    if (member->doc != NULL)
        text_add (&notes, "%s%s", notes.len > 0 ? "; " : "", member->doc);
    return notes.data;
}

static void add_member (struct text *out, const struct member *member)
{
    const char *name = name_c (member->name);
    const char *notes = member_notes (member);
    if (member->optional)
        text_add (out, "    bool has_%s;\n", name);
    text_add (out, "    %s %s%s;", c_type (&member->shape), member->shape.array ? "*" : "", name);
    if (notes != NULL)
        text_add (out, " /* %s */", notes);
    text_add (out, "\n");
    if (member->shape.array)
        text_add (out, "    size_t %s_count;\n", name);
}

/* Bytes of arena that one value takes at most, as a C expression: sizes of structs are the compiler's to know. */
static void add_arena_max (struct text *out, const struct rule *rule)
{
    text_add (out, "#define %s_ARENA_MAX (UINT64_C (0)", rule->name_upper);
    for (size_t i = 0; i < rule->members_count; i++) {
        const struct shape *shape = &rule->members[i].shape;
        if (shape->array)
            text_add (out, " \\\n    + %llu * sizeof (%s) + ARENA_ALIGNMENT", wide (shape->count_max), c_type (shape));
        if (shape->kind == SHAPE_MAP && shape->rule->uses_arena)
            text_add (out, " \\\n    + %llu * %s_ARENA_MAX", wide (shape->array ? shape->count_max : 1),
                shape->rule->name_upper);
    }
    text_add (out, ")\n");
}

static void add_struct (const struct source *source, struct rule *rule, struct text *out)
{
    if (rule->emitted || rule->source != source)
        return;
    rule->emitted = true;
    for (size_t i = 0; i < rule->members_count; i++) {
        if (rule->members[i].shape.kind == SHAPE_MAP)
            add_struct (source, rule->members[i].shape.rule, out);
    }
    text_add (out, "\n");
    add_doc (out, rule->doc);
    text_add (out, "struct %s {\n", rule->name_c);
    for (size_t i = 0; i < rule->members_count; i++)
        add_member (out, &rule->members[i]);
    if (rule->members_count == 0)
        text_add (out, "    uint8_t unused; /* C has no empty struct */\n");
    text_add (out, "};\n");
    for (size_t i = 0; i < rule->members_count; i++) {
        const struct member *member = &rule->members[i];
        if (member->shape.array)
            text_add (out, "#define %s_%s_COUNT_MAX %llu\n", rule->name_upper, name_upper (member->name),
                wide (member->shape.count_max));
    }
    text_add (out, "#define %s_ENCODED_MAX %llu\n", rule->name_upper, wide (rule->encoded_max));
    add_arena_max (out, rule);
    text_add (out, "extern const struct codec_type %s_type;\n", rule->name_c);
}

static void add_enumeration (const struct rule *rule, struct text *out)
{
    text_add (out, "\n");
    add_doc (out, rule->doc);
    text_add (out, "enum %s {\n", rule->name_c);
    for (size_t i = 0; i < rule->members_count; i++)
        text_add (out, "    %s_%s = %llu,\n", rule->name_upper, name_upper (rule->members[i].name),
            wide (rule->members[i].key));
    text_add (out, "};\nextern const struct codec_enum %s_enum;\n", rule->name_c);
}

static void add_bounds (const struct rule *rule, struct text *out)
{
    const struct shape *shape = &rule->shape;
    if (shape->array)
        text_add (out, "#define %s_COUNT_MAX %llu\n", rule->name_upper, wide (shape->count_max));
    else if (shape->kind == SHAPE_TEXT || shape->kind == SHAPE_BYTES)
        text_add (out, "#define %s_LEN_MAX %llu\n", rule->name_upper, wide (shape->max));
    else if (shape->kind == SHAPE_UINT && shape->max != UINT64_MAX)
        text_add (out, "#define %s_MAX UINT64_C (%llu)\n", rule->name_upper, wide (shape->max));
    else if (shape->kind == SHAPE_MAP)
        text_add (out, "/* %s is struct %s. */\n", rule->name, shape->rule->name_c);
}

/* The other files whose structs or enumerations this one uses. */
static void add_includes (const struct model *model, const struct source *source, struct text *out)
{
    for (size_t s = 0; s < model->sources_count; s++) {
        const struct source *other = &model->sources[s];
        bool used = false;
        for (size_t i = 0; i < model->rules_count && other != source; i++) {
            const struct rule *rule = model->rules[i];
            for (size_t j = 0; rule->source == source && rule->kind == RULE_MAP && j < rule->members_count; j++) {
                const struct rule *user = rule->members[j].shape.rule;
                used = used || (user != NULL && user->source == other);
            }
        }
        if (used)
            text_add (out, "#include \"schemas/generated/%s.h\"\n", other->stem);
    }
}

void emit_types_header (const struct model *model, const struct source *source, struct text *out)
{
    text_add (out, BANNER, source->stem);
    text_add (out, "#ifndef MAITRED_SCHEMAS_GENERATED_%s_H\n", name_upper (source->stem));
    text_add (out, "#define MAITRED_SCHEMAS_GENERATED_%s_H\n\n", name_upper (source->stem));
    text_add (out, "#include \"schemas/runtime/codec.h\"\n");
    add_includes (model, source, out);
    text_add (out, "\n");
    for (size_t i = 0; i < model->rules_count; i++) {
        if (model->rules[i]->source == source && model->rules[i]->kind == RULE_ALIAS)
            add_bounds (model->rules[i], out);
    }
    for (size_t i = 0; i < model->rules_count; i++) {
        if (model->rules[i]->source == source && model->rules[i]->kind == RULE_ENUM)
            add_enumeration (model->rules[i], out);
    }
    for (size_t i = 0; i < model->rules_count; i++) {
        if (model->rules[i]->kind == RULE_MAP)
            add_struct (source, model->rules[i], out);
    }
    text_add (out, "\n#endif\n");
}

static const char *kind_name (enum shape_kind kind)
{
    static const char *const names[] = {
        "CODEC_UINT", "CODEC_INT", "CODEC_BOOL", "CODEC_BYTES", "CODEC_TEXT", "CODEC_ID", "CODEC_ENUM", "CODEC_MAP"};
    return names[kind];
}

static void add_field (const struct rule *rule, const struct member *member, struct text *out)
{
    const struct shape *shape = &member->shape;
    const char *name = name_c (member->name);
    text_add (
        out, "    {.name = \"%s\", .key = %llu, .kind = %s,\n", name, wide (member->key), kind_name (shape->kind));
    text_add (out, "     .expected = \"%s\",\n", shape_expected (shape));
    text_add (out, "     .offset = offsetof (struct %s, %s), .element_size = sizeof (%s),\n", rule->name_c, name,
        c_type (shape));
    if (member->optional)
        text_add (out, "     .optional = true, .has_offset = offsetof (struct %s, has_%s),\n", rule->name_c, name);
    if (shape->array) {
        text_add (out, "     .array = true, .count_offset = offsetof (struct %s, %s_count),\n", rule->name_c, name);
        text_add (
            out, "     .count_min = %llu, .count_max = %llu,\n", wide (shape->count_min), wide (shape->count_max));
        text_add (out, "     .count_expected = \"must have %llu..%llu elements\",\n", wide (shape->count_min),
            wide (shape->count_max));
    }
    if (shape->secret || (shape->kind == SHAPE_MAP && shape->rule->has_secret))
        text_add (out, "     .secret = %s,%s\n", shape->secret ? "true" : "false",
            shape->secret ? "" : " /* but something inside is */");
    if (shape->kind == SHAPE_ENUM) {
        const struct rule *enumeration = shape->rule;
        text_add (out, "     .min = %llu, .max = %llu, .enumeration = &%s_enum},\n", wide (enumeration->members[0].key),
            wide (enumeration->members[enumeration->members_count - 1].key), enumeration->name_c);
    } else if (shape->kind == SHAPE_MAP) {
        text_add (out, "     .type = &%s_type},\n", shape->rule->name_c);
    } else if (shape->kind == SHAPE_INT) {
        text_add (
            out, "     .min = UINT64_C (0x%llx), .max = UINT64_C (0x%llx)},\n", wide (shape->min), wide (shape->max));
    } else {
        text_add (out, "     .min = UINT64_C (%llu), .max = UINT64_C (%llu)},\n", wide (shape->min), wide (shape->max));
    }
}

static void add_table (const struct rule *rule, struct text *out)
{
    uint64_t required = 0;
    text_add (out, "\n");
    if (rule->members_count > 0) {
        text_add (out, "static const struct codec_field %s_fields[] = {\n", rule->name_c);
        for (size_t i = 0; i < rule->members_count; i++) {
            add_field (rule, &rule->members[i], out);
            required |= (uint64_t) !rule->members[i].optional << i;
        }
        text_add (out, "};\n");
    }
    text_add (out, "const struct codec_type %s_type = {\n    .name = \"%s\",\n", rule->name_c, rule->name_c);
    if (rule->members_count > 0)
        text_add (out, "    .fields = %s_fields,\n    .field_count = %zu,\n", rule->name_c, rule->members_count);
    text_add (out, "    .size = sizeof (struct %s),\n    .depth = %u,\n", rule->name_c, rule->depth);
    if (rule->has_secret)
        text_add (out, "    .has_secret = true,\n");
    text_add (out, "    .required = UINT64_C (0x%llx),\n", wide (required));
    text_add (out, "    .encoded_max = %s_ENCODED_MAX,\n", rule->name_upper);
    text_add (out, "    .arena_max = %s_ARENA_MAX,\n};\n", rule->name_upper);
}

void emit_types_source (const struct model *model, const struct source *source, struct text *out)
{
    text_add (out, BANNER, source->stem);
    text_add (out, "#include \"schemas/generated/%s.h\"\n", source->stem);
    for (size_t i = 0; i < model->rules_count; i++) {
        const struct rule *rule = model->rules[i];
        if (rule->source != source || rule->kind != RULE_ENUM)
            continue;
        text_add (out, "\nstatic const struct codec_enum_value %s_values[] = {\n", rule->name_c);
        for (size_t j = 0; j < rule->members_count; j++)
            text_add (out, "    {\"%s\", %llu},\n", name_c (rule->members[j].name), wide (rule->members[j].key));
        text_add (out, "};\nconst struct codec_enum %s_enum = {\"%s\", %s_values, %zu};\n", rule->name_c, rule->name_c,
            rule->name_c, rule->members_count);
    }
    for (size_t i = 0; i < model->rules_count; i++) {
        if (model->rules[i]->source == source && model->rules[i]->kind == RULE_MAP)
            add_table (model->rules[i], out);
    }
}
