#include "schemas/codegen/lexer.h"

#include <string.h>

#include "schemas/codegen/text.h"

struct lexer {
    struct source *source;
    size_t at;
    int line;
    int last_token_line;
    size_t tokens_size, comments_size;
};

static int peek (const struct lexer *lexer, size_t ahead)
{
    size_t at = lexer->at + ahead;
    return at < lexer->source->len ? (unsigned char) lexer->source->data[at] : -1;
}

static bool is_digit (int c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_start (int c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_name_part (int c)
{
    return is_name_start (c) || is_digit (c) || c == '_' || c == '-';
}

static struct token *add_token (struct lexer *lexer, enum token_kind kind)
{
    struct source *source = lexer->source;
    if (source->tokens_count == lexer->tokens_size) {
        size_t size = lexer->tokens_size * 2 + 256;
        struct token *grown = gen_alloc (size * sizeof *grown);
        if (source->tokens_count > 0)
            memcpy (grown, source->tokens, source->tokens_count * sizeof *grown);
        source->tokens = grown;
        lexer->tokens_size = size;
    }
    struct token *token = &source->tokens[source->tokens_count++];
    *token = (struct token){.kind = kind, .line = lexer->line};
    lexer->last_token_line = lexer->line;
    return token;
}

static void read_comment (struct lexer *lexer)
{
    struct source *source = lexer->source;
    const char *start = source->data + lexer->at + 1;
    while (peek (lexer, 0) != '\n' && peek (lexer, 0) != -1)
        lexer->at++;
    const char *end = source->data + lexer->at;
    while (start < end && (*start == ' ' || *start == ';'))
        start++;
    while (end > start && end[-1] == ' ')
        end--;
    if (source->comments_count == lexer->comments_size) {
        size_t size = lexer->comments_size * 2 + 64;
        struct comment *grown = gen_alloc (size * sizeof *grown);
        if (source->comments_count > 0)
            memcpy (grown, source->comments, source->comments_count * sizeof *grown);
        source->comments = grown;
        lexer->comments_size = size;
    }
    char *text = gen_copy (start, (size_t) (end - start));
    if (strstr (text, "*/") != NULL || strstr (text, "/*") != NULL)
        gen_fail (source->path, lexer->line, "a comment must not hold a C comment mark");
    source->comments[source->comments_count++] =
        (struct comment){.text = text, .line = lexer->line, .alone = lexer->last_token_line != lexer->line};
}

static uint64_t read_digits (struct lexer *lexer)
{
    uint64_t value = 0;
    if (!is_digit (peek (lexer, 0)))
        gen_fail (lexer->source->path, lexer->line, "a digit was expected");
    if (peek (lexer, 0) == '0' && (is_digit (peek (lexer, 1)) || peek (lexer, 1) == 'x'))
        gen_fail (lexer->source->path, lexer->line, "numbers are plain decimal");
    for (; is_digit (peek (lexer, 0)); lexer->at++) {
        uint64_t digit = (uint64_t) (peek (lexer, 0) - '0');
        if (value > (UINT64_MAX - digit) / 10)
            gen_fail (lexer->source->path, lexer->line, "the number does not fit 64 bits");
        value = value * 10 + digit;
    }
    if (is_name_part (peek (lexer, 0)))
        gen_fail (lexer->source->path, lexer->line, "a number runs into a name");
    return value;
}

static void read_number (struct lexer *lexer)
{
    bool negative = peek (lexer, 0) == '-';
    if (negative)
        lexer->at++;
    uint64_t value = read_digits (lexer);
    if (negative && (value == 0 || value > (uint64_t) INT64_MAX + 1))
        gen_fail (lexer->source->path, lexer->line, "the number does not fit a signed 64-bit integer");
    struct token *token = add_token (lexer, TOKEN_NUMBER);
    token->negative = negative;
    token->value = negative ? value - 1 : value;
}

static void read_name (struct lexer *lexer, enum token_kind kind)
{
    size_t start = lexer->at;
    while (is_name_part (peek (lexer, 0)))
        lexer->at++;
    add_token (lexer, kind)->text = gen_copy (lexer->source->data + start, lexer->at - start);
}

static void read_string (struct lexer *lexer)
{
    size_t start = ++lexer->at;
    while (peek (lexer, 0) != '"') {
        int c = peek (lexer, 0);
        if (c < 0x20 || c > 0x7e || c == '\\')
            gen_fail (lexer->source->path, lexer->line, "a string ends on its line and holds plain characters only");
        lexer->at++;
    }
    add_token (lexer, TOKEN_STRING)->text = gen_copy (lexer->source->data + start, lexer->at - start);
    lexer->at++;
}

static void read_token (struct lexer *lexer)
{
    int c = peek (lexer, 0);
    if (is_name_start (c)) {
        read_name (lexer, TOKEN_NAME);
    } else if (is_digit (c) || (c == '-' && is_digit (peek (lexer, 1)))) {
        read_number (lexer);
    } else if (c == '"') {
        read_string (lexer);
    } else if (c == '=' && peek (lexer, 1) == '>') {
        lexer->at += 2;
        add_token (lexer, TOKEN_ARROW);
    } else if (c == '.' && peek (lexer, 1) == '.' && peek (lexer, 2) != '.') {
        lexer->at += 2;
        add_token (lexer, TOKEN_RANGE);
    } else if (c == '.' && is_name_start (peek (lexer, 1))) {
        lexer->at++;
        read_name (lexer, TOKEN_CONTROL);
    } else if (c > 0 && strchr ("={}[]()&:,?*", c) != NULL) {
        add_token (lexer, TOKEN_PUNCTUATION)->punctuation = (char) c;
        lexer->at++;
    } else {
        gen_fail (lexer->source->path, lexer->line, "character 0x%02x has no place in the subset", (unsigned) c);
    }
}

void lexer_run (struct source *source)
{
    struct lexer lexer = {.source = source, .line = 1};
    while (lexer.at < source->len) {
        int c = peek (&lexer, 0);
        if (c == '\n') {
            lexer.line++;
            lexer.at++;
        } else if (c == ' ') {
            lexer.at++;
        } else if (c == ';') {
            read_comment (&lexer);
        } else {
            read_token (&lexer);
        }
    }
    add_token (&lexer, TOKEN_END);
}

const char *source_doc_above (const struct source *source, int line)
{
    size_t end = 0;
    while (end < source->comments_count && source->comments[end].line < line)
        end++;
    size_t start = end;
    int wanted = line - 1;
    while (start > 0 && source->comments[start - 1].alone && source->comments[start - 1].line == wanted) {
        start--;
        wanted--;
    }
    if (start == end)
        return NULL;
    struct text text = {0};
    for (size_t i = start; i < end; i++)
        text_add (&text, "%s%s", i == start ? "" : "\n", source->comments[i].text);
    return text.data;
}

const char *source_doc_beside (const struct source *source, int line)
{
    for (size_t i = 0; i < source->comments_count; i++) {
        if (source->comments[i].line == line && !source->comments[i].alone)
            return source->comments[i].text;
    }
    return NULL;
}
