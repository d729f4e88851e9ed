/* maitred_codegen [--check] OUTPUT-FOLDER FILE.cddl...
 *
 * Reads all CDDL files at once and writes C structs and tables, or with --check says whether they are up to date.
 * Exit status: 0 done; 1 --check found a difference; 2 an error in a file or of the machine.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/codegen/model.h"

struct output {
    const char *folder;
    bool check;
    int differences;
};

static bool read_whole (const char *path, struct text *text)
{
    FILE *file = fopen (path, "rb");
    if (file == NULL)
        return false;
    char chunk[16384];
    size_t len;
    while ((len = fread (chunk, 1, sizeof chunk, file)) > 0)
        text_add_bytes (text, chunk, len);
    bool complete = !ferror (file);
    fclose (file);
    return complete;
}

static void write_whole (const char *path, const struct text *text)
{
    FILE *file = fopen (path, "wb");
    bool written = file != NULL && fwrite (text->data, 1, text->len, file) == text->len;
    if (file != NULL && fclose (file) != 0)
        written = false;
    if (!written)
        gen_fail (path, 0, "cannot write: %s", strerror (errno));
}

/* An unchanged file is left alone, so that a build after codegen_run compiles only what changed. */
static void put_file (struct output *output, const char *name, const struct text *text)
{
    const char *path = gen_format ("%s/%s", output->folder, name);
    struct text present = {0};
    bool same =
        read_whole (path, &present) && present.len == text->len && memcmp (present.data, text->data, text->len) == 0;
    if (same)
        return;
    if (output->check) {
        fprintf (stderr, "%s: differs from what its CDDL says: build codegen_run and commit\n", path);
        output->differences++;
    } else {
        write_whole (path, text);
    }
}

static const char *stem_of (const char *path)
{
    static const char *const reserved[] = {"methods", "schema_text"};
    const char *slash = strrchr (path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    size_t len = strlen (name);
    if (len <= 5 || strcmp (name + len - 5, ".cddl") != 0)
        gen_fail (path, 0, "the name of a schema file ends in .cddl");
    char *stem = gen_copy (name, len - 5);
    if (strspn (stem, "abcdefghijklmnopqrstuvwxyz0123456789_") != len - 5)
        gen_fail (path, 0, "the name of a schema file is of a-z, 0-9 and _");
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (strcmp (stem, reserved[i]) == 0)
            gen_fail (path, 0, "the generator writes a file of that name itself");
    }
    return stem;
}

static int compare_sources (const void *a, const void *b)
{
    const struct source *x = a, *y = b;
    return strcmp (x->stem, y->stem);
}

static void read_sources (struct model *model, char **paths, size_t count)
{
    model->sources = gen_alloc ((count + 1) * sizeof *model->sources);
    for (size_t i = 0; i < count; i++) {
        struct text text = {0};
        if (!read_whole (paths[i], &text))
            gen_fail (paths[i], 0, "cannot read: %s", strerror (errno));
        model->sources[i] = (struct source){
            .path = paths[i], .stem = stem_of (paths[i]), .data = text.data == NULL ? "" : text.data, .len = text.len};
    }
    model->sources_count = count;
    /* The output must not depend on the order of the arguments. */
    qsort (model->sources, count, sizeof *model->sources, compare_sources);
    for (size_t i = 0; i + 1 < count; i++) {
        if (strcmp (model->sources[i].stem, model->sources[i + 1].stem) == 0)
            gen_fail (model->sources[i + 1].path, 0, "two schema files of one name");
    }
}

/* Headers include each other along the uses of their structs: a circle would not compile. */
static bool reaches (const struct model *model, const struct source *from, const struct source *to, size_t steps)
{
    if (steps == 0)
        return false;
    for (size_t i = 0; i < model->rules_count; i++) {
        const struct rule *rule = model->rules[i];
        for (size_t j = 0; rule->source == from && rule->kind == RULE_MAP && j < rule->members_count; j++) {
            const struct rule *used = rule->members[j].shape.rule;
            if (used == NULL || used->source == from)
                continue;
            if (used->source == to || reaches (model, used->source, to, steps - 1))
                return true;
        }
    }
    return false;
}

static void write_outputs (struct model *model, struct output *output)
{
    for (size_t i = 0; i < model->sources_count; i++) {
        const struct source *source = &model->sources[i];
        struct text header = {0}, body = {0};
        if (reaches (model, source, source, model->sources_count))
            gen_fail (source->path, 1, "this file and another use each other's maps or enumerations");
        emit_types_header (model, source, &header);
        emit_types_source (model, source, &body);
        put_file (output, gen_format ("%s.h", source->stem), &header);
        put_file (output, gen_format ("%s.c", source->stem), &body);
    }
    struct text methods_header = {0}, methods_source = {0}, schema_header = {0}, schema_source = {0};
    emit_methods_header (model, &methods_header);
    emit_methods_source (model, &methods_source);
    emit_schema_header (model, &schema_header);
    emit_schema_source (model, &schema_source);
    put_file (output, "methods.h", &methods_header);
    put_file (output, "methods.c", &methods_source);
    put_file (output, "schema_text.h", &schema_header);
    put_file (output, "schema_text.c", &schema_source);
}

int main (int argc, char **argv)
{
    struct output output = {0};
    struct model model = {0};
    int first = 1;
    if (argc > 1 && strcmp (argv[1], "--check") == 0) {
        output.check = true;
        first = 2;
    }
    if (argc < first + 2) {
        fprintf (stderr, "usage: maitred_codegen [--check] OUTPUT-FOLDER FILE.cddl...\n");
        return 2;
    }
    output.folder = argv[first];
    read_sources (&model, argv + first + 1, (size_t) (argc - first - 1));
    for (size_t i = 0; i < model.sources_count; i++) {
        lexer_run (&model.sources[i]);
        parser_run (&model, &model.sources[i]);
    }
    resolve_run (&model);
    write_outputs (&model, &output);
    gen_release ();
    return output.differences > 0 ? 1 : 0;
}
