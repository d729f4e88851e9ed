/* Strings for the generator: memory that lives until the end of the run, and growing texts.
 *
 * Room: schemas/codegen (a build tool: it may allocate, read files and exit). Thread safety: one thread.
 */
#ifndef MAITRED_SCHEMAS_CODEGEN_TEXT_H
#define MAITRED_SCHEMAS_CODEGEN_TEXT_H

#include <stddef.h>

struct text {
    char *data; /* closed by a NUL; NULL while empty */
    size_t len, size;
};

/* Zeroed memory that gen_release frees; exits when there is none. */
void *gen_alloc (size_t size);

/* A copy of len bytes, closed by a NUL. */
char *gen_copy (const char *data, size_t len);

/* A formatted string. */
char *gen_format (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

/* Frees everything that gen_alloc ever returned. */
void gen_release (void);

/* Appends formatted text. */
void text_add (struct text *text, const char *format, ...) __attribute__ ((format (printf, 2, 3)));

/* Appends len bytes as they are. */
void text_add_bytes (struct text *text, const char *data, size_t len);

/* "reserve-item" -> "reserve_item". */
char *name_c (const char *name);

/* "reserve-item" -> "RESERVE_ITEM". */
char *name_upper (const char *name);

/* Prints "file:line: message" and exits with status 2. */
void gen_fail (const char *file, int line, const char *format, ...)
    __attribute__ ((format (printf, 3, 4), noreturn, cold));

#endif
