/* json PATH: prints one value of the JSON on standard input, for tests in shell.
 *
 * PATH is names and numbers between dots, "offers.0.name"; a last "#" is the number of elements or members. Texts come
 * without quotes, other values as JSON. Exit status: 0 printed, 1 there is no such value, 2 it is no JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

static const json_t *step (const json_t *value, const char *name)
{
    char *end;
    if (!json_is_array (value))
        return json_object_get (value, name);
    unsigned long at = strtoul (name, &end, 10);
    return *end == '\0' && end != name ? json_array_get (value, at) : NULL;
}

static void print_value (const json_t *value)
{
    if (json_is_string (value))
        fputs (json_string_value (value), stdout);
    else
        json_dumpf (value, stdout, JSON_COMPACT | JSON_ENCODE_ANY | JSON_PRESERVE_ORDER);
    putchar ('\n');
}

int main (int argc, char **argv)
{
    json_error_t error;
    if (argc != 2) {
        fputs ("usage: json PATH <FILE, for example: json reservation.items.0.first\n", stderr);
        return 2;
    }
    json_t *root = json_loadf (stdin, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (root == NULL) {
        fprintf (stderr, "json: line %d: %s\n", error.line, error.text);
        return 2;
    }
    const json_t *value = root;
    char *rest = argv[1];
    for (char *name = strsep (&rest, "."); name != NULL && value != NULL; name = strsep (&rest, ".")) {
        if (strcmp (name, "#") == 0) {
            printf ("%zu\n", json_is_array (value) ? json_array_size (value) : json_object_size (value));
            json_decref (root);
            return 0;
        }
        if (*name != '\0')
            value = step (value, name);
    }
    if (value != NULL)
        print_value (value);
    json_decref (root);
    return value != NULL ? 0 : 1;
}
