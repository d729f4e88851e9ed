#include <stdlib.h>
#include <string.h>

#include "schemas/codegen/model.h"

struct rule *model_find (const struct model *model, const char *name)
{
    for (size_t i = 0; i < model->rules_count; i++) {
        if (strcmp (model->rules[i]->name, name) == 0)
            return model->rules[i];
    }
    return NULL;
}

static void resolve_rule (const struct model *model, struct rule *rule);

static bool is_secret (const struct rule *rule)
{
    return strncmp (rule->name, "secret-", 7) == 0;
}

static struct shape resolve_type (const struct model *model, const struct rule *user, const struct expression *type)
{
    struct shape shape = type->shape;
    if (type->name != NULL) {
        struct rule *rule = model_find (model, type->name);
        if (rule == NULL || rule->kind == RULE_METHOD)
            gen_fail (user->source->path, type->line, "there is no type '%s'", type->name);
        resolve_rule (model, rule);
        if (rule->kind == RULE_ALIAS)
            shape = rule->shape;
        else
            shape = (struct shape){.kind = rule->kind == RULE_MAP ? SHAPE_MAP : SHAPE_ENUM, .rule = rule};
        shape.secret = shape.secret || is_secret (rule);
    } else if (type->element != NULL) {
        shape = resolve_type (model, user, type->element);
        if (shape.array)
            gen_fail (user->source->path, type->line, "an array of arrays: put a map between");
        shape.array = true;
        shape.count_min = type->shape.count_min;
        shape.count_max = type->shape.count_max;
    }
    return shape;
}

static uint64_t head_size (uint64_t value)
{
    return value < 24 ? 1 : value <= UINT8_MAX ? 2 : value <= UINT16_MAX ? 3 : value <= UINT32_MAX ? 5 : 9;
}

static uint64_t shape_encoded_max (const struct shape *shape)
{
    uint64_t size = 0;
    switch (shape->kind) {
    case SHAPE_UINT:
        size = head_size (shape->max);
        break;
    case SHAPE_INT: {
        uint64_t low = head_size ((int64_t) shape->min < 0 ? ~shape->min : shape->min);
        uint64_t high = head_size ((int64_t) shape->max < 0 ? ~shape->max : shape->max);
        size = low > high ? low : high;
        break;
    }
    case SHAPE_BOOL:
        size = 1;
        break;
    case SHAPE_BYTES:
    case SHAPE_TEXT:
    case SHAPE_ID:
        size = head_size (shape->max) + shape->max;
        break;
    case SHAPE_ENUM:
        size = head_size (shape->rule->members[shape->rule->members_count - 1].key);
        break;
    case SHAPE_MAP:
        size = shape->rule->encoded_max;
        break;
    }
    if (!shape->array)
        return size;
    if (size > ENCODED_MAX || shape->count_max > ENCODED_MAX / size)
        return ENCODED_MAX;
    return head_size (shape->count_max) + shape->count_max * size;
}

static void check_field_name (const struct rule *rule, const struct member *member)
{
    static const char *const words[] = {"auto", "bool", "break", "case", "char", "const", "continue", "default", "do",
        "double", "else", "enum", "extern", "float", "for", "goto", "if", "inline", "int", "long", "register",
        "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch", "true", "false", "typedef",
        "union", "unsigned", "void", "volatile", "while", "unix", "linux", "stdin", "stdout", "stderr", "errno"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp (member->name, words[i]) == 0)
            gen_fail (rule->source->path, member->line, "'%s' is a word of C", member->name);
    }
}

/* Members of the C struct: the field, has_field, field_count. */
static size_t member_names (const struct member *member, char *names[3])
{
    size_t count = 0;
    names[count++] = name_c (member->name);
    if (member->optional)
        names[count++] = gen_format ("has_%s", names[0]);
    if (member->shape.array)
        names[count++] = gen_format ("%s_count", names[0]);
    return count;
}

static void check_names_differ (const struct rule *rule, size_t index)
{
    char *names[3], *others[3];
    size_t names_count = member_names (&rule->members[index], names);
    for (size_t i = 0; i < index; i++) {
        size_t others_count = member_names (&rule->members[i], others);
        for (size_t a = 0; a < names_count; a++) {
            for (size_t b = 0; b < others_count; b++) {
                if (strcmp (names[a], others[b]) == 0)
                    gen_fail (
                        rule->source->path, rule->members[index].line, "two C members would be called %s", names[a]);
            }
        }
    }
}

static void resolve_map (const struct model *model, struct rule *rule)
{
    rule->depth = 1;
    rule->encoded_max = head_size (rule->members_count);
    for (size_t i = 0; i < rule->members_count; i++) {
        struct member *member = &rule->members[i];
        check_field_name (rule, member);
        member->shape = resolve_type (model, rule, member->type);
        check_names_differ (rule, i);
        const struct shape *shape = &member->shape;
        rule->has_secret = rule->has_secret || shape->secret;
        rule->uses_arena = rule->uses_arena || shape->array;
        if (shape->kind == SHAPE_MAP) {
            rule->has_secret = rule->has_secret || shape->rule->has_secret;
            rule->uses_arena = rule->uses_arena || shape->rule->uses_arena;
            if (shape->rule->depth + 1 > rule->depth)
                rule->depth = shape->rule->depth + 1;
        }
        rule->encoded_max += head_size (member->key) + shape_encoded_max (shape);
        if (rule->encoded_max >= ENCODED_MAX)
            gen_fail (rule->source->path, member->line, "%s could encode to more than 4 GiB", rule->name);
    }
    if (rule->depth > MAP_DEPTH_MAX)
        gen_fail (rule->source->path, rule->line, "maps are nested deeper than %d", MAP_DEPTH_MAX);
}

static void check_enumeration (const struct rule *rule)
{
    for (size_t i = 0; i < rule->members_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp (name_c (rule->members[i].name), name_c (rule->members[j].name)) == 0)
                gen_fail (rule->source->path, rule->members[i].line, "two values are called %s", rule->members[i].name);
        }
    }
}

static void resolve_rule (const struct model *model, struct rule *rule)
{
    if (rule->resolved)
        return;
    if (rule->visiting)
        gen_fail (rule->source->path, rule->line, "rule %s contains itself", rule->name);
    rule->visiting = 1;
    if (rule->kind == RULE_ALIAS)
        rule->shape = resolve_type (model, rule, rule->type);
    else if (rule->kind == RULE_MAP)
        resolve_map (model, rule);
    else if (rule->kind == RULE_ENUM)
        check_enumeration (rule);
    rule->visiting = 0;
    rule->resolved = true;
}

static struct rule *resolve_method_map (const struct model *model, const struct rule *method, const char *name)
{
    struct rule *rule = model_find (model, name);
    if (rule != NULL && rule->kind == RULE_ALIAS && rule->shape.kind == SHAPE_MAP && !rule->shape.array)
        rule = rule->shape.rule;
    if (rule == NULL || rule->kind != RULE_MAP)
        gen_fail (method->source->path, method->line, "'%s' is not a map", name);
    return rule;
}

static void check_method_class (const struct rule *rule)
{
    static const char *const classes[] = {"write", "read", "local", "system-read", "system-write", "fanout"};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (strcmp (rule->method.method_class, classes[i]) == 0)
            return;
    }
    gen_fail (rule->source->path, rule->line, "'%s' is not a class of methods", rule->method.method_class);
}

static void resolve_route (struct rule *rule)
{
    struct method_rule *method = &rule->method;
    if (strcmp (method->route, "none") == 0) {
        bool routed = strcmp (method->method_class, "write") == 0 || strcmp (method->method_class, "read") == 0;
        if (routed)
            gen_fail (rule->source->path, rule->line, "a method on a user shard needs a route");
        method->route_kind = "ROUTE_NONE";
        return;
    }
    bool login = strncmp (method->route, "login:", 6) == 0;
    if (!login && strncmp (method->route, "id:", 3) != 0)
        gen_fail (rule->source->path, rule->line, "a route is \"none\", \"id:a.b\" or \"login:a\"");
    method->route_kind = login ? "ROUTE_LOGIN" : "ROUTE_ID";
    const struct rule *map = method->request;
    const char *step = method->route + (login ? 6 : 3);
    for (;;) {
        size_t len = strcspn (step, ".");
        size_t index = 0;
        while (map != NULL && index < map->members_count &&
               !(strlen (map->members[index].name) == len && strncmp (map->members[index].name, step, len) == 0))
            index++;
        if (map == NULL || index == map->members_count)
            gen_fail (rule->source->path, rule->line, "route '%s' names no field of %s", method->route,
                method->request->name);
        if (method->steps_count == ROUTE_STEPS_MAX)
            gen_fail (rule->source->path, rule->line, "a route has at most %d steps", ROUTE_STEPS_MAX);
        method->steps[method->steps_count++] = (uint32_t) index;
        const struct shape *shape = &map->members[index].shape;
        if (step[len] == '\0') {
            if (shape->kind != (login ? SHAPE_TEXT : SHAPE_ID))
                gen_fail (rule->source->path, rule->line, "route '%s' must end at %s", method->route,
                    login ? "a text" : "a 16-byte id");
            return;
        }
        map = shape->kind == SHAPE_MAP ? shape->rule : NULL;
        step += len + 1;
    }
}

static int compare_numbers (const void *a, const void *b)
{
    const struct rule *const *x = a;
    const struct rule *const *y = b;
    uint64_t p = (*x)->method.number, q = (*y)->method.number;
    return p < q ? -1 : p > q;
}

static void resolve_methods (struct model *model)
{
    model->methods = gen_alloc ((model->rules_count + 1) * sizeof (struct rule *));
    for (size_t i = 0; i < model->rules_count; i++) {
        struct rule *rule = model->rules[i];
        if (rule->kind != RULE_METHOD)
            continue;
        rule->method.request = resolve_method_map (model, rule, rule->method.request_name);
        rule->method.reply = resolve_method_map (model, rule, rule->method.reply_name);
        check_method_class (rule);
        resolve_route (rule);
        if (rule->method.number == 0 || rule->method.number > UINT16_MAX)
            gen_fail (rule->source->path, rule->line, "a method's number is 1..65535");
        for (size_t j = 0; j < model->methods_count; j++) {
            const struct method_rule *other = &model->methods[j]->method;
            if (other->number == rule->method.number || strcmp (other->name, rule->method.name) == 0)
                gen_fail (rule->source->path, rule->line, "number or name is already %s's", model->methods[j]->name);
        }
        model->methods[model->methods_count++] = rule;
    }
    if (model->methods_count > 0)
        qsort (model->methods, model->methods_count, sizeof model->methods[0], compare_numbers);
}

void resolve_run (struct model *model)
{
    for (size_t i = 0; i < model->rules_count; i++)
        resolve_rule (model, model->rules[i]);
    resolve_methods (model);
}
