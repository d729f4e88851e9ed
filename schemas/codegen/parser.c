#include <string.h>

#include "schemas/codegen/model.h"

struct parser {
    struct model *model;
    const struct source *source;
    size_t at;
};

static const struct token *current (const struct parser *parser)
{
    return &parser->source->tokens[parser->at];
}

static const struct token *next (struct parser *parser)
{
    const struct token *token = current (parser);
    if (token->kind != TOKEN_END)
        parser->at++;
    return token;
}

static bool is_punctuation (const struct token *token, char c)
{
    return token->kind == TOKEN_PUNCTUATION && token->punctuation == c;
}

static bool accept (struct parser *parser, char c)
{
    if (!is_punctuation (current (parser), c))
        return false;
    next (parser);
    return true;
}

static void expect (struct parser *parser, char c)
{
    if (!accept (parser, c))
        gen_fail (parser->source->path, current (parser)->line, "'%c' was expected", c);
}

static const struct token *expect_kind (struct parser *parser, enum token_kind kind, const char *what)
{
    const struct token *token = next (parser);
    if (token->kind != kind)
        gen_fail (parser->source->path, token->line, "%s was expected", what);
    return token;
}

static uint64_t expect_unsigned (struct parser *parser)
{
    const struct token *token = expect_kind (parser, TOKEN_NUMBER, "a number");
    if (token->negative)
        gen_fail (parser->source->path, token->line, "the number must not be negative");
    return token->value;
}

/* .size n, or .size (a..b) */
static void parse_size (struct parser *parser, struct shape *shape)
{
    const struct token *control = next (parser);
    if (control->kind != TOKEN_CONTROL || strcmp (control->text, "size") != 0)
        gen_fail (parser->source->path, control->line, "every tstr and bstr has a bound: .size n or .size (a..b)");
    if (accept (parser, '(')) {
        shape->min = expect_unsigned (parser);
        expect_kind (parser, TOKEN_RANGE, "'..'");
        shape->max = expect_unsigned (parser);
        expect (parser, ')');
    } else {
        shape->min = shape->max = expect_unsigned (parser);
    }
    if (shape->min > shape->max)
        gen_fail (parser->source->path, control->line, "the bound is empty");
    if (shape->kind == SHAPE_BYTES && shape->min == 16 && shape->max == 16)
        shape->kind = SHAPE_ID;
}

/* a..b, or one number */
static void parse_range (struct parser *parser, struct shape *shape)
{
    const struct token *low = next (parser);
    const struct token *high = low;
    if (current (parser)->kind == TOKEN_RANGE) {
        next (parser);
        high = expect_kind (parser, TOKEN_NUMBER, "the end of the range");
    }
    shape->kind = low->negative ? SHAPE_INT : SHAPE_UINT;
    shape->min = low->negative ? ~low->value : low->value;
    shape->max = high->negative ? ~high->value : high->value;
    if (shape->kind == SHAPE_INT && !high->negative && high->value > INT64_MAX)
        gen_fail (parser->source->path, low->line, "a range from a negative number ends at 2^63-1");
    bool ordered = shape->kind == SHAPE_INT ? (int64_t) shape->min <= (int64_t) shape->max
                                            : !high->negative && shape->min <= shape->max;
    if (!ordered)
        gen_fail (parser->source->path, low->line, "the range is empty");
}

static struct expression *parse_type (struct parser *parser);

static void parse_array (struct parser *parser, struct expression *type)
{
    expect (parser, '[');
    type->shape.array = true;
    if (current (parser)->kind == TOKEN_NUMBER)
        type->shape.count_min = expect_unsigned (parser);
    if (!accept (parser, '*') || current (parser)->kind != TOKEN_NUMBER)
        gen_fail (parser->source->path, type->line, "every array has a bound: [min*max type]");
    type->shape.count_max = expect_unsigned (parser);
    if (type->shape.count_min > type->shape.count_max || type->shape.count_max == 0)
        gen_fail (parser->source->path, type->line, "the bound of the array is empty");
    type->element = parse_type (parser);
    expect (parser, ']');
}

static void parse_named (struct parser *parser, struct expression *type)
{
    const char *name = next (parser)->text;
    if (strcmp (name, "uint") == 0) {
        type->shape = (struct shape){.kind = SHAPE_UINT, .max = UINT64_MAX};
    } else if (strcmp (name, "int") == 0) {
        type->shape = (struct shape){.kind = SHAPE_INT, .min = (uint64_t) INT64_MIN, .max = INT64_MAX};
    } else if (strcmp (name, "bool") == 0) {
        type->shape = (struct shape){.kind = SHAPE_BOOL, .max = 1};
    } else if (strcmp (name, "tstr") == 0 || strcmp (name, "bstr") == 0) {
        type->shape.kind = name[0] == 't' ? SHAPE_TEXT : SHAPE_BYTES;
        parse_size (parser, &type->shape);
    } else {
        type->name = name;
    }
}

static struct expression *parse_type (struct parser *parser)
{
    const struct token *token = current (parser);
    struct expression *type = gen_alloc (sizeof *type);
    type->line = token->line;
    if (token->kind == TOKEN_NAME)
        parse_named (parser, type);
    else if (token->kind == TOKEN_NUMBER)
        parse_range (parser, &type->shape);
    else if (is_punctuation (token, '['))
        parse_array (parser, type);
    else if (is_punctuation (token, '{'))
        gen_fail (parser->source->path, token->line, "a map inside a map needs a name of its own");
    else
        gen_fail (parser->source->path, token->line, "a type was expected");
    if (current (parser)->kind == TOKEN_CONTROL)
        gen_fail (parser->source->path, current (parser)->line, "'.%s' has no place here", current (parser)->text);
    return type;
}

static struct member *add_member (struct parser *parser, struct rule *rule)
{
    if (rule->members_count == MAP_FIELDS_MAX)
        gen_fail (parser->source->path, current (parser)->line, "more than %d members", MAP_FIELDS_MAX);
    struct member *member = &rule->members[rule->members_count++];
    member->line = current (parser)->line;
    return member;
}

static void check_ascending (const struct parser *parser, const struct rule *rule)
{
    size_t count = rule->members_count;
    if (count < 2)
        return;
    const struct member *last = &rule->members[count - 1], *before = &rule->members[count - 2];
    if (last->key == before->key)
        gen_fail (parser->source->path, last->line, "number %llu appears twice", (unsigned long long) last->key);
    if (last->key < before->key)
        gen_fail (parser->source->path, last->line, "numbers must ascend");
}

static void parse_map (struct parser *parser, struct rule *rule)
{
    expect (parser, '{');
    while (!accept (parser, '}')) {
        struct member *member = add_member (parser, rule);
        member->optional = accept (parser, '?');
        expect (parser, '&');
        expect (parser, '(');
        member->name = expect_kind (parser, TOKEN_NAME, "the name of a field")->text;
        expect (parser, ':');
        member->key = expect_unsigned (parser);
        if (member->key > UINT32_MAX)
            gen_fail (parser->source->path, member->line, "a key has at most 32 bits");
        expect (parser, ')');
        expect_kind (parser, TOKEN_ARROW, "'=>'");
        check_ascending (parser, rule);
        member->type = parse_type (parser);
        int line = parser->source->tokens[parser->at - 1].line;
        member->doc = source_doc_beside (parser->source, line);
        if (!accept (parser, ',') && !is_punctuation (current (parser), '}'))
            gen_fail (parser->source->path, current (parser)->line, "',' or '}' was expected");
    }
}

static void parse_enumeration (struct parser *parser, struct rule *rule)
{
    expect (parser, '&');
    expect (parser, '(');
    do {
        if (is_punctuation (current (parser), ')') && rule->members_count > 0)
            break;
        struct member *member = add_member (parser, rule);
        member->name = expect_kind (parser, TOKEN_NAME, "the name of a value")->text;
        expect (parser, ':');
        member->key = expect_unsigned (parser);
        if (member->key > INT32_MAX)
            gen_fail (parser->source->path, member->line, "a value has at most 31 bits");
        check_ascending (parser, rule);
    } while (accept (parser, ','));
    expect (parser, ')');
}

static void parse_method (struct parser *parser, struct rule *rule)
{
    struct method_rule *method = &rule->method;
    expect (parser, '[');
    method->name = expect_kind (parser, TOKEN_STRING, "the name of the method")->text;
    expect (parser, ',');
    method->number = expect_unsigned (parser);
    expect (parser, ',');
    method->request_name = expect_kind (parser, TOKEN_NAME, "the request's rule")->text;
    expect (parser, ',');
    method->reply_name = expect_kind (parser, TOKEN_NAME, "the reply's rule")->text;
    expect (parser, ',');
    method->method_class = expect_kind (parser, TOKEN_STRING, "the class of the method")->text;
    expect (parser, ',');
    method->route = expect_kind (parser, TOKEN_STRING, "the route of the method")->text;
    accept (parser, ',');
    expect (parser, ']');
}

static void add_rule (struct parser *parser, struct rule *rule)
{
    struct model *model = parser->model;
    for (size_t i = 0; i < model->rules_count; i++) {
        const struct rule *other = model->rules[i];
        if (strcmp (other->name_c, rule->name_c) == 0)
            gen_fail (parser->source->path, rule->line, "rule %s is already at %s:%d", rule->name, other->source->path,
                other->line);
    }
    if (model->rules_count == model->rules_size) {
        size_t size = model->rules_size * 2 + 64;
        struct rule **grown = gen_alloc (size * sizeof *grown);
        if (model->rules_count > 0)
            memcpy (grown, model->rules, model->rules_count * sizeof *grown);
        model->rules = grown;
        model->rules_size = size;
    }
    model->rules[model->rules_count++] = rule;
}

static void check_rule_name (const struct parser *parser, const struct rule *rule)
{
    static const char *const words[] = {"uint", "int", "bool", "tstr", "bstr", "true", "false", "nil", "null", "any",
        "bytes", "text", "float", "tdate", "time", "number", "biguint", "id", "undefined"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp (rule->name, words[i]) == 0)
            gen_fail (parser->source->path, rule->line, "'%s' is taken", rule->name);
    }
}

static void parse_rule (struct parser *parser)
{
    struct rule *rule = gen_alloc (sizeof *rule);
    const struct token *name = expect_kind (parser, TOKEN_NAME, "the name of a rule");
    rule->name = name->text;
    rule->name_c = name_c (name->text);
    rule->name_upper = name_upper (name->text);
    rule->source = parser->source;
    rule->line = name->line;
    check_rule_name (parser, rule);
    rule->doc = source_doc_above (parser->source, name->line);
    expect (parser, '=');
    if (strncmp (rule->name, "method-", 7) == 0) {
        rule->kind = RULE_METHOD;
        parse_method (parser, rule);
    } else if (is_punctuation (current (parser), '{')) {
        rule->kind = RULE_MAP;
        parse_map (parser, rule);
    } else if (is_punctuation (current (parser), '&')) {
        rule->kind = RULE_ENUM;
        parse_enumeration (parser, rule);
    } else {
        rule->kind = RULE_ALIAS;
        rule->type = parse_type (parser);
    }
    add_rule (parser, rule);
}

void parser_run (struct model *model, const struct source *source)
{
    struct parser parser = {.model = model, .source = source};
    while (current (&parser)->kind != TOKEN_END)
        parse_rule (&parser);
}
