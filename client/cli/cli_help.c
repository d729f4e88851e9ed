/* Help that comes from the schema: every field of a request is an option, with its bounds.
 */
#include <stdio.h>

#include "client/cli/cli_verbs.h"

void cli_help_group (const char *group, bool to_stderr)
{
    FILE *out = to_stderr ? stderr : stdout;
    fprintf (out, "maitre %s VERB ...\n\n", group);
    const char *example = "";
    for (size_t i = 0; i < verbs_count; i++) {
        if (strcmp (verbs[i].group, group) != 0)
            continue;
        fprintf (out, "  %-15s %s\n", verbs[i].name, verbs[i].summary);
        if (example[0] == '\0')
            example = verbs[i].example;
    }
    fprintf (out, "\nmaitre %s VERB --help has the options of a verb.\nExample: %s\n", group, example);
}

static void print_spelled (const char *name)
{
    for (; *name != '\0'; name++)
        putchar (*name == '_' ? '-' : *name);
}

static void print_fields (const struct codec_type *type)
{
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct codec_field *field = &type->fields[i];
        if (field->kind == CODEC_MAP && !field->array) {
            print_fields (field->type);
            continue;
        }
        printf ("  --");
        print_spelled (field->name);
        printf ("%*s", (int) (24 - strlen (field->name) > 0 ? 24 - strlen (field->name) : 1), "");
        if (field->kind == CODEC_ENUM) {
            for (size_t k = 0; k < field->enumeration->count; k++)
                printf ("%s%s", k > 0 ? ", " : "", field->enumeration->values[k].name);
        } else if (field->kind == CODEC_MAP) {
            for (uint32_t k = 0; k < field->type->field_count; k++)
                printf ("%s%s", k > 0 ? ":" : "", field->type->fields[k].name);
        } else {
            fputs (field->expected, stdout);
        }
        printf ("%s\n", field->array ? " (several)" : "");
    }
}

void cli_help_verb (const struct verb *verb)
{
    const struct method *method = method_by_number (verb->method);
    printf ("maitre %s %s", verb->group, verb->name);
    for (const char *at = verb->words; *at != '\0';) {
        size_t len = strcspn (at, " ");
        printf (" %.*s", (int) len, at);
        at += len + (at[len] != '\0');
    }
    printf (" [options]\n\n%s (%s)\n\nOptions: every field of the request, also those that come as plain words\n",
        verb->summary, method->name);
    print_fields (method->request);
    if (verb->make != NULL)
        printf ("\n%.*s is made here when it is not given.\n", (int) strcspn (verb->make, "<"), verb->make);
    if (codec_field_by_name (method->request, BYTES_LITERAL ("page_token")) != NULL)
        printf ("\n  --all                     all pages in one\n");
    if (codec_field_by_name (method->request, BYTES_LITERAL ("password")) != NULL ||
        codec_field_by_name (method->request, BYTES_LITERAL ("old_password")) != NULL)
        printf ("\n  --password-stdin          read the password (the old and the new one) from standard input, a line "
                "each\n");
    printf ("\nExample: %s\n", verb->example);
}
