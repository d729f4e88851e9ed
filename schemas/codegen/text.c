#include "schemas/codegen/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block {
    struct block *next;
    max_align_t data[];
};

static struct block *blocks;

void *gen_alloc (size_t size)
{
    struct block *block = calloc (1, sizeof *block + size);
    if (block == NULL) {
        fprintf (stderr, "maitred_codegen: out of memory\n");
        exit (2);
    }
    block->next = blocks;
    blocks = block;
    return block->data;
}

void gen_release (void)
{
    while (blocks != NULL) {
        struct block *next = blocks->next;
        free (blocks);
        blocks = next;
    }
}

char *gen_copy (const char *data, size_t len)
{
    char *copy = gen_alloc (len + 1);
    memcpy (copy, data, len);
    return copy;
}

__attribute__ ((nonnull)) static void add_formatted (struct text *text, const char *format, va_list arguments)
{
    va_list again;
    va_copy (again, arguments);
    int len = vsnprintf (NULL, 0, format, again);
    va_end (again);
    char *formatted = gen_alloc ((size_t) len + 1);
    vsnprintf (formatted, (size_t) len + 1, format, arguments);
    text_add_bytes (text, formatted, (size_t) len);
}

char *gen_format (const char *format, ...)
{
    struct text text = {0};
    va_list arguments;
    va_start (arguments, format);
    add_formatted (&text, format, arguments);
    va_end (arguments);
    return text.data;
}

void text_add (struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    add_formatted (text, format, arguments);
    va_end (arguments);
}

void text_add_bytes (struct text *text, const char *data, size_t len)
{
    if (text->len + len + 1 > text->size) {
        size_t size = 2 * (text->len + len) + 64;
        char *grown = gen_alloc (size);
        if (text->len > 0)
            memcpy (grown, text->data, text->len);
        text->data = grown;
        text->size = size;
    }
    if (len > 0)
        memcpy (text->data + text->len, data, len);
    text->len += len;
    text->data[text->len] = '\0';
}

char *name_c (const char *name)
{
    char *copy = gen_copy (name, strlen (name));
    for (char *c = copy; *c != '\0'; c++) {
        if (*c == '-')
            *c = '_';
    }
    return copy;
}

char *name_upper (const char *name)
{
    char *copy = name_c (name);
    for (char *c = copy; *c != '\0'; c++) {
        if (*c >= 'a' && *c <= 'z')
            *c = (char) (*c - 'a' + 'A');
    }
    return copy;
}

void gen_fail (const char *file, int line, const char *format, ...)
{
    va_list arguments;
    fprintf (stderr, "%s:%d: ", file, line);
    va_start (arguments, format);
    vfprintf (stderr, format, arguments);
    va_end (arguments);
    fputc ('\n', stderr);
    gen_release ();
    exit (2);
}
