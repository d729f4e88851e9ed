/* The words of a CDDL file (RFC 8610), and its comments, which become the comments of the generated headers.
 *
 * Room: schemas/codegen. Ownership: everything lives until gen_release.
 */
#ifndef MAITRED_SCHEMAS_CODEGEN_LEXER_H
#define MAITRED_SCHEMAS_CODEGEN_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum token_kind {
    TOKEN_END,
    TOKEN_NAME,
    TOKEN_NUMBER, /* value, or -1 - value when negative */
    TOKEN_STRING,
    TOKEN_CONTROL, /* ".size": text without the dot */
    TOKEN_ARROW,   /* => */
    TOKEN_RANGE,   /* .. */
    TOKEN_PUNCTUATION,
};

struct token {
    enum token_kind kind;
    char punctuation;
    bool negative;
    const char *text; /* NAME, STRING, CONTROL */
    uint64_t value;
    int line;
};

struct comment {
    const char *text; /* without the semicolon and the blanks around */
    int line;
    bool alone; /* nothing else on its line */
};

struct source {
    const char *path; /* as given, for messages */
    const char *stem; /* "order" of schemas/order.cddl */
    const char *data;
    size_t len;
    struct token *tokens; /* closed by TOKEN_END */
    size_t tokens_count;
    struct comment *comments; /* ascending lines */
    size_t comments_count;
};

/* Splits source->data into tokens and comments; fails the run on a character that the subset does not have. */
void lexer_run (struct source *source);

/* The comment lines that end just above line, joined by newlines, or NULL. */
const char *source_doc_above (const struct source *source, int line);

/* The comment at the end of line, or NULL. */
const char *source_doc_beside (const struct source *source, int line);

#endif
