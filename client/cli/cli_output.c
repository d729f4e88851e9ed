/* What people and programs get to see, and exit codes.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/cli.h"

#define OUTPUT_COLUMNS_MAX 24
#define OUTPUT_CELL_MAX 60

int cli_complain (int exit_code, const char *format, ...)
{
    va_list args;
    va_start (args, format);
    fputs ("maitre: ", stderr);
    vfprintf (stderr, format, args);
    fputc ('\n', stderr);
    va_end (args);
    return exit_code;
}

int cli_exit_of (enum maitre_status status, bool maybe_applied)
{
    if (maybe_applied)
        return CLI_UNKNOWN;
    switch (status) {
    case MAITRE_OK:
        return CLI_OK;
    case MAITRE_NOT_FOUND:
        return CLI_NOT_FOUND;
    case MAITRE_ALREADY_EXISTS:
    case MAITRE_FAILED_PRECONDITION:
    case MAITRE_ABORTED:
    case MAITRE_OUT_OF_RANGE:
        return CLI_CONFLICT;
    case MAITRE_UNAVAILABLE:
    case MAITRE_DEADLINE_EXCEEDED:
    case MAITRE_RESOURCE_EXHAUSTED:
        return CLI_UNAVAILABLE;
    case MAITRE_PERMISSION_DENIED:
    case MAITRE_UNAUTHENTICATED:
        return CLI_NOT_ALLOWED;
    case MAITRE_INVALID_ARGUMENT:
        return CLI_USAGE;
    default:
        return CLI_FAILED;
    }
}

static void add_refusal (json_t *object, const struct maitre_refusal *refusal)
{
    if (refusal->field[0] != '\0')
        json_object_set_new (object, "field", json_string (refusal->field));
    if (refusal->has_offer) {
        char text[MAITRE_ID_TEXT_SIZE];
        maitre_id_format (&refusal->offer, text);
        json_object_set_new (object, "offer", json_string (text));
    }
    if (refusal->has_bucket)
        json_object_set_new (object, "bucket", json_integer (refusal->bucket));
    if (refusal->has_earliest_free)
        json_object_set_new (object, "earliest_free", json_integer (refusal->earliest_free));
    if (refusal->has_available)
        json_object_set_new (object, "available", json_integer (refusal->available));
    if (refusal->has_limit)
        json_object_set_new (object, "limit", json_integer (refusal->limit));
    if (refusal->has_state)
        json_object_set_new (object, "state", json_integer ((json_int_t) refusal->state));
    if (refusal->has_version)
        json_object_set_new (object, "version", json_integer ((json_int_t) refusal->version));
}

static void complain_refusal (const struct maitre_refusal *refusal)
{
    json_t *details = json_object ();
    const char *name;
    json_t *value;
    add_refusal (details, refusal);
    json_object_foreach (details, name, value)
    {
        if (json_is_string (value))
            fprintf (stderr, "  %s: %s\n", name, json_string_value (value));
        else
            fprintf (stderr, "  %s: %lld\n", name, (long long) json_integer_value (value));
    }
    json_decref (details);
}

int cli_failed (const struct cli *cli, const struct maitre_error *error)
{
    char request_id[MAITRE_ID_TEXT_SIZE];
    maitre_id_format (&error->request_id, request_id);
    bool has_id = !maitre_id_is_zero (&error->request_id);
    int code = cli_exit_of (error->status, error->maybe_applied);
    if (cli->json) {
        json_t *object = json_pack ("{s:s, s:s, s:s, s:b, s:b}", "status", maitre_status_name (error->status), "reason",
            error->reason, "message", error->message, "retryable", (int) error->retryable, "maybe_applied",
            (int) error->maybe_applied);
        if (error->retry_after_ms > 0)
            json_object_set_new (object, "retry_after_ms", json_integer (error->retry_after_ms));
        if (has_id)
            json_object_set_new (object, "request_id", json_string (request_id));
        json_t *refusal = json_object ();
        add_refusal (refusal, &error->refusal);
        if (json_object_size (refusal) > 0)
            json_object_set (object, "refusal", refusal);
        json_decref (refusal);
        json_t *outer = json_pack ("{s:o}", "error", object);
        cli_print_json (outer);
        return code;
    }
    cli_complain (code, "%s%s%s: %s", maitre_status_name (error->status), error->reason[0] != '\0' ? " " : "",
        error->reason, error->message[0] != '\0' ? error->message : "the node said no more");
    complain_refusal (&error->refusal);
    if (error->maybe_applied && has_id)
        fprintf (stderr, "  ask: maitre call outcome %s\n", request_id);
    return code;
}

int cli_failed_reply (const struct cli *cli, const struct maitre_reply *reply)
{
    struct maitre_error error = {.status = reply->status,
        .retryable = reply->retryable,
        .maybe_applied = reply->maybe_applied,
        .retry_after_ms = reply->retry_after_ms,
        .attempts = reply->attempts,
        .request_id = reply->request_id,
        .refusal = reply->refusal};
    snprintf (error.reason, sizeof error.reason, "%s", reply->reason);
    snprintf (error.message, sizeof error.message, "%s", reply->message);
    return cli_failed (cli, &error);
}

void cli_print_json (json_t *object)
{
    json_dumpf (object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION (9));
    fputc ('\n', stdout);
    fflush (stdout);
    json_decref (object);
}

static void add_cell (const json_t *value, const char *between, char *out)
{
    size_t used = strlen (out), room = OUTPUT_CELL_MAX + 1 - used;
    const char *sep = used > 0 ? between : "";
    if (json_is_string (value))
        snprintf (out + used, room, "%s%s", sep, json_string_value (value));
    else if (json_is_integer (value))
        snprintf (out + used, room, "%s%lld", sep, (long long) json_integer_value (value));
    else if (json_is_real (value))
        snprintf (out + used, room, "%s%.3f", sep, json_real_value (value));
    else if (json_is_boolean (value))
        snprintf (out + used, room, "%s%s", sep, json_is_true (value) ? "yes" : "no");
}

/* What fits into a cell: the elements of an array beside each other, the fields of an object as a:b:c. */
static void format_cell (const json_t *value, char out[OUTPUT_CELL_MAX + 1])
{
    size_t index;
    json_t *element, *inner;
    const char *name;
    out[0] = '\0';
    add_cell (value, "", out);
    json_object_foreach ((json_t *) value, name, inner)
    {
        add_cell (inner, ":", out);
    }
    json_array_foreach (value, index, element)
    {
        add_cell (element, " ", out);
        bool first = true;
        json_object_foreach (element, name, inner)
        {
            add_cell (inner, first ? " " : ":", out);
            first = false;
        }
    }
    if (strlen (out) == OUTPUT_CELL_MAX)
        memcpy (out + OUTPUT_CELL_MAX - 3, "...", 3);
}

/* Rows of objects; the columns are the names of all rows in the order in which they first come. */
static void print_table (const json_t *rows)
{
    const char *columns[OUTPUT_COLUMNS_MAX];
    size_t widths[OUTPUT_COLUMNS_MAX], count = 0, index;
    json_t *row, *value;
    const char *name;
    char cell[OUTPUT_CELL_MAX + 1];
    json_array_foreach (rows, index, row)
    {
        json_object_foreach (row, name, value)
        {
            size_t at = 0;
            while (at < count && strcmp (columns[at], name) != 0)
                at++;
            if (at == count && count < OUTPUT_COLUMNS_MAX) {
                columns[count] = name;
                widths[count++] = strlen (name);
            }
            format_cell (value, cell);
            if (at < count && strlen (cell) > widths[at])
                widths[at] = strlen (cell);
        }
    }
    for (size_t i = 0; i < count; i++)
        printf ("%s%-*s", i > 0 ? "  " : "  ", (int) widths[i], columns[i]);
    putchar ('\n');
    json_array_foreach (rows, index, row)
    {
        for (size_t i = 0; i < count; i++) {
            format_cell (json_object_get (row, columns[i]), cell);
            printf ("  %-*s", (int) widths[i], cell);
        }
        putchar ('\n');
    }
}

void cli_print_people (const json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *) object, name, value)
    {
        if (json_is_array (value) && json_array_size (value) > 0 && json_is_object (json_array_get (value, 0))) {
            printf ("%s:\n", name);
            print_table (value);
        } else if (json_is_object (value)) {
            printf ("%s:\n", name);
            const char *inner_name;
            json_t *inner;
            json_object_foreach (value, inner_name, inner)
            {
                if (json_is_array (inner) && json_array_size (inner) > 0 &&
                    json_is_object (json_array_get (inner, 0))) {
                    printf ("  %s:\n", inner_name);
                    print_table (inner);
                } else {
                    char cell[OUTPUT_CELL_MAX + 1];
                    format_cell (inner, cell);
                    printf ("  %s: %s\n", inner_name, json_is_string (inner) ? json_string_value (inner) : cell);
                }
            }
        } else {
            char cell[OUTPUT_CELL_MAX + 1];
            format_cell (value, cell);
            printf ("%s: %s\n", name, json_is_string (value) ? json_string_value (value) : cell);
        }
    }
}
