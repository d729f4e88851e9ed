/* methods.h, methods.c, schema_text.h, schema_text.c */
#include <stdlib.h>
#include <string.h>

#include "schemas/codegen/model.h"

static const char *banner (void)
{
    return "/* Made by maitred_codegen from all CDDL files. Do not edit: change those files, build codegen_run. */\n";
}

static unsigned long long wide (uint64_t value)
{
    return (unsigned long long) value;
}

void emit_methods_header (const struct model *model, struct text *out)
{
    text_add (out, "%s", banner ());
    text_add (out, "#ifndef MAITRED_SCHEMAS_GENERATED_METHODS_H\n#define MAITRED_SCHEMAS_GENERATED_METHODS_H\n\n");
    text_add (out, "#include \"schemas/runtime/method.h\"\n");
    for (size_t s = 0; s < model->sources_count; s++) {
        for (size_t i = 0; i < model->methods_count; i++) {
            const struct method_rule *method = &model->methods[i]->method;
            if (method->request->source == &model->sources[s] || method->reply->source == &model->sources[s]) {
                text_add (out, "#include \"schemas/generated/%s.h\"\n", model->sources[s].stem);
                break;
            }
        }
    }
    if (model->methods_count > 0)
        text_add (out, "\nenum method_number {\n");
    for (size_t i = 0; i < model->methods_count; i++)
        text_add (out, "    METHOD_NUMBER_%s = %llu,\n", model->methods[i]->name_upper + strlen ("METHOD_"),
            wide (model->methods[i]->method.number));
    if (model->methods_count > 0)
        text_add (out, "};\n\n#define METHOD_NUMBER_MAX %llu\n",
            wide (model->methods[model->methods_count - 1]->method.number));
    text_add (out, "\n/* Every method, ascending numbers. */\n");
    text_add (out, "#define METHOD_COUNT %zu\n", model->methods_count);
    if (model->methods_count > 0)
        text_add (out, "extern const struct method methods[METHOD_COUNT];\n");
    text_add (out, "\n/* The method of that name (\"reserve.Create\", exact case), or NULL. */\n");
    text_add (out, "const struct method *method_by_name (struct bytes name);\n");
    text_add (out, "\n/* The method of that number, or NULL. */\n");
    text_add (out, "const struct method *method_by_number (uint64_t number);\n\n#endif\n");
}

static const char *class_constant (const char *name)
{
    return gen_format ("METHOD_%s", name_upper (name));
}

static void add_method (const struct rule *rule, struct text *out)
{
    const struct method_rule *method = &rule->method;
    text_add (out, "    {.name = \"%s\", .number = %llu, .class = %s,\n", method->name, wide (method->number),
        class_constant (method->method_class));
    text_add (out, "     .request = &%s_type, .reply = &%s_type,\n", method->request->name_c, method->reply->name_c);
    const char *path = strchr (method->route, ':');
    text_add (out, "     .route = %s, .route_path = \"%s\", .route_steps_count = %zu", method->route_kind,
        path == NULL ? "" : path + 1, method->steps_count);
    for (size_t i = 0; i < method->steps_count; i++)
        text_add (out, "%s%u%s", i == 0 ? ", .route_steps = {" : ", ", method->steps[i],
            i + 1 == method->steps_count ? "}" : "");
    text_add (out, "},\n");
}

static int compare_names (const void *a, const void *b)
{
    const struct rule *const *x = a;
    const struct rule *const *y = b;
    return strcmp ((*x)->method.name, (*y)->method.name);
}

void emit_methods_source (const struct model *model, struct text *out)
{
    text_add (out, "%s#include \"schemas/generated/methods.h\"\n\n", banner ());
    if (model->methods_count == 0) {
        text_add (out, "const struct method *method_by_name (struct bytes name)\n{\n    (void) name;\n"
                       "    return NULL;\n}\n\nconst struct method *method_by_number (uint64_t number)\n{\n"
                       "    (void) number;\n    return NULL;\n}\n");
        return;
    }
    text_add (out, "const struct method methods[METHOD_COUNT] = {\n");
    for (size_t i = 0; i < model->methods_count; i++)
        add_method (model->methods[i], out);
    struct rule **sorted = gen_alloc (model->methods_count * sizeof *sorted);
    memcpy (sorted, model->methods, model->methods_count * sizeof *sorted);
    qsort (sorted, model->methods_count, sizeof *sorted, compare_names);
    text_add (out, "};\n\n/* Ascending names. */\nstatic const uint16_t by_name[METHOD_COUNT] = {\n");
    for (size_t i = 0; i < model->methods_count; i++) {
        size_t index = 0;
        while (model->methods[index] != sorted[i])
            index++;
        text_add (out, "    %zu, /* %s */\n", index, sorted[i]->method.name);
    }
    text_add (out, "};\n\n/* Index plus one; 0 is no method. */\n"
                   "static const uint16_t by_number[METHOD_NUMBER_MAX + 1] = {\n");
    for (size_t i = 0; i < model->methods_count; i++)
        text_add (out, "    [%llu] = %zu,\n", wide (model->methods[i]->method.number), i + 1);
    text_add (out, "};\n\nconst struct method *method_by_name (struct bytes name)\n{\n"
                   "    return method_find (methods, by_name, METHOD_COUNT, name);\n}\n\n"
                   "const struct method *method_by_number (uint64_t number)\n{\n"
                   "    if (number > METHOD_NUMBER_MAX || by_number[number] == 0)\n        return NULL;\n"
                   "    return &methods[by_number[number] - 1];\n}\n");
}

void emit_schema_header (const struct model *model, struct text *out)
{
    (void) model;
    text_add (out, "%s", banner ());
    text_add (out, "#ifndef MAITRED_SCHEMAS_GENERATED_SCHEMA_TEXT_H\n"
                   "#define MAITRED_SCHEMAS_GENERATED_SCHEMA_TEXT_H\n\n#include \"schemas/runtime/codec.h\"\n\n"
                   "/* Every CDDL file, one after another. */\nextern const char schema_text[];\n"
                   "extern const size_t schema_text_len;\n\n"
                   "/* Every map, by ascending name. */\nextern const struct codec_type *const codec_types[];\n"
                   "extern const size_t codec_types_count;\n\n"
                   "/* The type of that C name (\"reserve_item\"), or NULL. */\n"
                   "const struct codec_type *codec_type_by_name (struct bytes name);\n\n#endif\n");
}

static void add_literal (struct text *out, const char *data, size_t len)
{
    size_t start = 0;
    while (start < len) {
        size_t end = start;
        text_add (out, "    \"");
        for (; end < len && data[end] != '\n'; end++) {
            char c = data[end];
            if (c == '"' || c == '\\')
                text_add (out, "\\%c", c);
            else if (c < 0x20 || c > 0x7e)
                text_add (out, "\\%03o", (unsigned) (unsigned char) c);
            else
                text_add_bytes (out, &c, 1);
        }
        text_add (out, "\\n\"\n");
        start = end + 1;
    }
}

static int compare_rules (const void *a, const void *b)
{
    const struct rule *const *x = a;
    const struct rule *const *y = b;
    return strcmp ((*x)->name_c, (*y)->name_c);
}

void emit_schema_source (const struct model *model, struct text *out)
{
    text_add (out, "%s#include \"schemas/generated/schema_text.h\"\n\n", banner ());
    for (size_t i = 0; i < model->sources_count; i++)
        text_add (out, "#include \"schemas/generated/%s.h\"\n", model->sources[i].stem);
    text_add (out, "\n/* C17 promises 4095 characters of literal; gcc and clang have no such limit. */\n"
                   "#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n\nconst char schema_text[] =\n");
    for (size_t i = 0; i < model->sources_count; i++) {
        const struct source *source = &model->sources[i];
        text_add (out, "    \"; ---- %s.cddl\\n\"\n", source->stem);
        add_literal (out, source->data, source->len);
    }
    text_add (out, "    ;\nconst size_t schema_text_len = sizeof schema_text - 1;\n\n");
    struct rule **sorted = gen_alloc ((model->rules_count + 1) * sizeof *sorted);
    size_t count = 0;
    for (size_t i = 0; i < model->rules_count; i++) {
        if (model->rules[i]->kind == RULE_MAP)
            sorted[count++] = model->rules[i];
    }
    qsort (sorted, count, sizeof *sorted, compare_rules);
    text_add (out, "const struct codec_type *const codec_types[] = {\n");
    for (size_t i = 0; i < count; i++)
        text_add (out, "    &%s_type,\n", sorted[i]->name_c);
    if (count == 0)
        text_add (out, "    NULL,\n");
    text_add (out, "};\nconst size_t codec_types_count = %zu;\n\n", count);
    text_add (out, "const struct codec_type *codec_type_by_name (struct bytes name)\n{\n"
                   "    return codec_type_find (codec_types, codec_types_count, name);\n}\n");
}
