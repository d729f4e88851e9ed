/* Lists over all user shards: parts are asked in a window, merged in shard order into one page.
 *
 * Invariants
 *   1. A page holds whole parts, and of the last shard a prefix that the shard itself cut: its token says where to go on.
 *   2. Slots of the window cover the shards merge_shard .. ask_shard - 1; each is asked or answered.
 */
#include <stdio.h>
#include <stdlib.h>

#include "node/engine/engine_internal.h"

#define WINDOW 8
#define PAGE_SIZE_DEFAULT 100
#define PAGE_SIZE_MAX 1000
#define PAGE_ENOUGH_BYTES (2 * 1024 * 1024)
#define PART_ARENA_BYTES_MIN (64 * 1024)

struct part {
    uint64_t token; /* of the call that asks; 0: answered */
    uint8_t *body;
    size_t body_len;
};

/* What stays alive until the page is encoded: a merged part's bytes and decoded items. */
struct merged {
    uint8_t *body;
    void *memory;
    struct merged *next;
};

struct fanout {
    uint64_t list; /* token of the list's call */
    const struct method *method;
    struct principal principal;
    void *request; /* decoded; lives in request_memory, borrows from request_body */
    void *request_memory;
    uint8_t *request_body;
    struct bytes token; /* the client's, for the first shard */
    uint32_t first_shard, ask_shard, merge_shard, shard_count;
    uint32_t remaining;
    size_t bytes;
    struct part parts[WINDOW];
    struct merged *merged;
    uint8_t *reply; /* the growing reply struct */
    uint8_t next_token[SERVICES_PAGE_TOKEN_BYTES_MAX];
    size_t next_token_len;
    bool queued; /* in engine->fanouts */
    struct fanout *next_queued;
    /* A part's refusal becomes the list's; kept until the pump is at the top again. */
    struct route_answer failure;
    char failure_reason[48], failure_message[512];
};

/* ---- fields by name */

static const struct codec_field *field (const struct codec_type *type, const char *name)
{
    return codec_field_by_name (type, bytes_text (name));
}

static void set_token (const struct codec_type *type, void *value, struct bytes token)
{
    const struct codec_field *page_token = field (type, "page_token");
    maitre_assert (page_token != NULL && page_token->optional);
    *(bool *) ((uint8_t *) value + page_token->has_offset) = token.len > 0;
    *(struct bytes *) (void *) ((uint8_t *) value + page_token->offset) = token;
}

static struct bytes get_token (const struct codec_type *type, const void *value)
{
    const struct codec_field *page_token = field (type, "page_token");
    if (!*(const bool *) ((const uint8_t *) value + page_token->has_offset))
        return (struct bytes){0};
    return *(const struct bytes *) (const void *) ((const uint8_t *) value + page_token->offset);
}

static void set_size (const struct codec_type *type, void *value, uint64_t size)
{
    const struct codec_field *page_size = field (type, "page_size");
    maitre_assert (page_size != NULL && page_size->optional);
    *(bool *) ((uint8_t *) value + page_size->has_offset) = true;
    *(uint64_t *) (void *) ((uint8_t *) value + page_size->offset) = size;
}

static uint64_t get_size (const struct codec_type *type, const void *value)
{
    const struct codec_field *page_size = field (type, "page_size");
    if (!*(const bool *) ((const uint8_t *) value + page_size->has_offset))
        return 0;
    return *(const uint64_t *) (const void *) ((const uint8_t *) value + page_size->offset);
}

static size_t *count_of (const struct codec_field *array, const void *value)
{
    return (size_t *) (void *) ((uint8_t *) (uintptr_t) value + array->count_offset);
}

static void **items_of (const struct codec_field *array, const void *value)
{
    return (void **) (void *) ((uint8_t *) (uintptr_t) value + array->offset);
}

static size_t items_count (const struct codec_type *type, const void *value)
{
    size_t count = 0;
    for (uint32_t i = 0; i < type->field_count; i++) {
        if (type->fields[i].array)
            count += *count_of (&type->fields[i], value);
    }
    return count;
}

/* ---- life */

void engine_fanout_drop (struct engine *engine, struct fanout **fanout_p)
{
    struct fanout *fanout = *fanout_p;
    if (fanout == NULL)
        return;
    *fanout_p = NULL;
    struct fanout **link = &engine->fanouts;
    while (*link != NULL && *link != fanout)
        link = &(*link)->next_queued;
    if (*link != NULL)
        *link = fanout->next_queued;
    for (int i = 0; i < WINDOW; i++) {
        struct call *part = fanout->parts[i].token == 0 ? NULL : engine_call_find (engine, fanout->parts[i].token);
        if (part != NULL)
            part->fanout = NULL; /* its late reply goes nowhere */
        free (fanout->parts[i].body);
    }
    while (fanout->merged != NULL) {
        struct merged *merged = fanout->merged;
        fanout->merged = merged->next;
        free (merged->body);
        free (merged->memory);
        free (merged);
    }
    if (fanout->reply != NULL) {
        for (uint32_t i = 0; i < fanout->method->reply->field_count; i++) {
            if (fanout->method->reply->fields[i].array)
                free (*items_of (&fanout->method->reply->fields[i], fanout->reply));
        }
    }
    free (fanout->reply);
    free (fanout->request_memory);
    free (fanout->request_body);
    free (fanout);
}

static struct call *list_call (struct engine *engine, const struct fanout *fanout)
{
    struct call *call = engine_call_find (engine, fanout->list);
    maitre_assert (call != NULL);
    return call;
}

static void finish (struct engine *engine, struct fanout *fanout)
{
    const struct codec_type *type = fanout->method->reply;
    set_token (type, fanout->reply, bytes_of (fanout->next_token, fanout->next_token_len));
    for (uint32_t i = 0; i < type->field_count; i++) {
        if (type->fields[i].array && type->fields[i].optional)
            *(bool *) (fanout->reply + type->fields[i].has_offset) = *count_of (&type->fields[i], fanout->reply) > 0;
    }
    size_t len;
    struct call *call = list_call (engine, fanout);
    if (codec_encode (type, fanout->reply, engine->page, ENGINE_PAGE_BYTES_MAX, &len) != STATUS_OK) {
        engine_call_refuse (engine, call, STATUS_RESOURCE_EXHAUSTED, "PAGE_TOO_LARGE",
            "the page does not fit into a reply; ask for a smaller page_size", 0);
        return;
    }
    struct route_answer answer = {.status = STATUS_OK, .body = bytes_of (engine->page, len)};
    engine_call_answer (engine, call, &answer);
}

static void fail (
    struct fanout *fanout, enum status status, const char *reason, const char *message, uint32_t retry_after_ms)
{
    if (fanout->failure.status != STATUS_OK)
        return;
    fanout->failure = (struct route_answer){.status = status, .retry_after_ms = retry_after_ms};
    snprintf (fanout->failure_reason, sizeof fanout->failure_reason, "%s", reason == NULL ? "PART_FAILED" : reason);
    snprintf (fanout->failure_message, sizeof fanout->failure_message, "%s", message == NULL ? "" : message);
}

static void answer_failure (struct engine *engine, struct fanout *fanout)
{
    struct route_answer answer = fanout->failure;
    char reason[sizeof fanout->failure_reason], message[sizeof fanout->failure_message];
    strcpy (reason, fanout->failure_reason);
    strcpy (message, fanout->failure_message);
    answer.reason = reason;
    answer.message = message;
    engine_call_answer (engine, list_call (engine, fanout), &answer);
}

/* ---- asking */

static struct part *part_of (struct fanout *fanout, uint32_t shard)
{
    return &fanout->parts[shard % WINDOW];
}

static void ask (struct engine *engine, struct fanout *fanout, uint32_t shard)
{
    struct call *call = engine_call_new (engine);
    if (call == NULL) {
        fail (fanout, STATUS_RESOURCE_EXHAUSTED, "NODE_BUSY",
            "this node has as many calls in flight as it may; slow down and try again", 10);
        return;
    }
    const struct codec_type *type = fanout->method->request;
    uint8_t begin[SERVICES_PAGE_TOKEN_BYTES_MAX];
    struct bytes token = fanout->token;
    if (shard != fanout->first_shard || token.len == 0) {
        set_token (type, fanout->request, (struct bytes){0});
        size_t len = services_page_begin (fanout->method, &fanout->principal, fanout->request, shard, begin);
        token = bytes_of (begin, len);
    }
    set_token (type, fanout->request, token);
    set_size (type, fanout->request, fanout->remaining);
    const struct call *list = list_call (engine, fanout);
    call->source = CALL_PART;
    call->method = fanout->method;
    call->principal = fanout->principal;
    call->deadline_ms = list->deadline_ms;
    call->shard = shard;
    call->part = shard;
    call->fanout = fanout;
    part_of (fanout, shard)->token = engine_call_token (engine, call);
    size_t len;
    uint8_t *body = engine->page; /* engine_route encodes into engine->encoded */
    enum status status = codec_encode (type, fanout->request, body, ENGINE_PAGE_BYTES_MAX, &len);
    maitre_assert (status == STATUS_OK);
    engine_route (engine, call, bytes_of (body, len), 0);
}

static bool append (struct fanout *fanout, const void *items_from)
{
    const struct codec_type *type = fanout->method->reply;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct codec_field *array = &type->fields[i];
        if (!array->array)
            continue;
        size_t more = *count_of (array, items_from), have = *count_of (array, fanout->reply);
        if (more == 0)
            continue;
        uint8_t *items = realloc (*items_of (array, fanout->reply), (have + more) * array->element_size);
        if (items == NULL)
            return false;
        memcpy (items + have * array->element_size, *items_of (array, items_from), more * array->element_size);
        *items_of (array, fanout->reply) = items;
        *count_of (array, fanout->reply) = have + more;
    }
    return true;
}

/* Decodes a part's body; the memory grows until the items fit. */
static void *decode_part (const struct fanout *fanout, const struct part *part, void **memory)
{
    const struct codec_type *type = fanout->method->reply;
    size_t most = type->arena_max + type->size + ARENA_ALIGNMENT;
    for (size_t size = PART_ARENA_BYTES_MIN + type->size;; size *= 2) {
        if (size > most)
            size = most;
        *memory = malloc (size);
        if (*memory == NULL)
            return NULL;
        struct arena arena;
        arena_init (&arena, *memory, size);
        void *value = arena_alloc (&arena, type->size);
        enum status status =
            codec_decode (type, bytes_of (part->body, part->body_len), CODEC_STRICT, &arena, value, NULL);
        if (status == STATUS_OK)
            return value;
        free (*memory);
        *memory = NULL;
        if (status != STATUS_RESOURCE_EXHAUSTED || size == most)
            return NULL;
    }
}

enum merge { MERGE_NEXT, MERGE_AGAIN, MERGE_FULL, MERGE_FAILED };

static void begin_token_of (struct fanout *fanout, uint32_t shard)
{
    set_token (fanout->method->request, fanout->request, (struct bytes){0});
    fanout->next_token_len =
        services_page_begin (fanout->method, &fanout->principal, fanout->request, shard, fanout->next_token);
}

static enum merge merge_part (struct fanout *fanout, struct part *part)
{
    const struct codec_type *type = fanout->method->reply;
    void *memory;
    void *value = decode_part (fanout, part, &memory);
    struct merged *merged = value == NULL ? NULL : malloc (sizeof *merged);
    if (merged == NULL) {
        if (value != NULL)
            free (memory);
        return MERGE_FAILED;
    }
    size_t count = items_count (type, value);
    if (count > fanout->remaining) {
        free (memory);
        free (merged);
        free (part->body);
        part->body = NULL;
        return MERGE_AGAIN;
    }
    *merged = (struct merged){.body = part->body, .memory = memory, .next = fanout->merged};
    fanout->merged = merged;
    fanout->bytes += part->body_len;
    part->body = NULL;
    if (!append (fanout, value))
        return MERGE_FAILED;
    fanout->remaining -= (uint32_t) count;
    struct bytes token = get_token (type, value);
    if (token.len > 0 && token.len <= sizeof fanout->next_token) {
        memcpy (fanout->next_token, token.data, token.len);
        fanout->next_token_len = token.len;
        return MERGE_FULL;
    }
    if ((fanout->remaining == 0 || fanout->bytes >= PAGE_ENOUGH_BYTES) && fanout->merge_shard < fanout->shard_count) {
        begin_token_of (fanout, fanout->merge_shard + 1);
        return MERGE_FULL;
    }
    return MERGE_NEXT;
}

/* The only place that answers the list, and so frees the fanout. It steps shards, so it runs from the top of the reactor
 * alone, never while some shard's effects are carried out. */
static void pump (struct engine *engine, struct fanout *fanout)
{
    for (;;) {
        if (fanout->failure.status != STATUS_OK) {
            answer_failure (engine, fanout);
            return;
        }
        if (fanout->merge_shard > fanout->shard_count) {
            finish (engine, fanout);
            return;
        }
        if (fanout->ask_shard <= fanout->shard_count && fanout->ask_shard < fanout->merge_shard + WINDOW) {
            ask (engine, fanout, fanout->ask_shard++);
            continue;
        }
        struct part *part = part_of (fanout, fanout->merge_shard);
        if (part->token != 0)
            return; /* the next one in order is still asked */
        switch (merge_part (fanout, part)) {
        case MERGE_NEXT:
            fanout->merge_shard++;
            break;
        case MERGE_AGAIN:
            ask (engine, fanout, fanout->merge_shard);
            break;
        case MERGE_FULL:
            finish (engine, fanout);
            return;
        case MERGE_FAILED:
            fail (fanout, STATUS_INTERNAL, "BAD_PART",
                "a part of the list could not be read; try again, and report it if it happens again", 0);
            break;
        }
    }
}

static void enqueue (struct engine *engine, struct fanout *fanout)
{
    if (fanout->queued)
        return;
    fanout->queued = true;
    fanout->next_queued = engine->fanouts;
    engine->fanouts = fanout;
}

void engine_fanouts_pump (struct engine *engine)
{
    while (engine->fanouts != NULL) {
        struct fanout *fanout = engine->fanouts;
        engine->fanouts = fanout->next_queued;
        fanout->queued = false;
        pump (engine, fanout);
    }
}

void engine_fanout_part (struct engine *engine, struct call *call, const struct route_answer *answer)
{
    struct fanout *fanout = call->fanout;
    if (fanout == NULL)
        return; /* the list was answered meanwhile */
    struct part *part = part_of (fanout, call->part);
    maitre_assert (part->token == engine_call_token (engine, call));
    part->token = 0;
    call->fanout = NULL;
    if (answer->status == STATUS_OK) {
        part->body = malloc (answer->body.len + 1);
        part->body_len = answer->body.len;
        maitre_assert (part->body != NULL);
        if (answer->body.len > 0)
            memcpy (part->body, answer->body.data, answer->body.len);
    } else {
        fail (fanout, answer->status, answer->reason, answer->message, answer->retry_after_ms);
    }
    enqueue (engine, fanout);
}

void engine_fanout_start (struct engine *engine, struct call *call, struct bytes body)
{
    const struct codec_type *type = call->method->request;
    struct fanout *fanout = calloc (1, sizeof *fanout);
    size_t memory_size = type->size + type->arena_max + 2 * ARENA_ALIGNMENT;
    maitre_assert (fanout != NULL);
    fanout->request_body = malloc (body.len + 1);
    fanout->request_memory = malloc (memory_size);
    fanout->reply = calloc (1, call->method->reply->size);
    maitre_assert (fanout->request_body != NULL && fanout->request_memory != NULL && fanout->reply != NULL);
    if (body.len > 0)
        memcpy (fanout->request_body, body.data, body.len);
    fanout->method = call->method;
    fanout->principal = call->principal;
    fanout->list = engine_call_token (engine, call);
    fanout->shard_count = engine->config.shards;
    call->fanout = fanout;
    struct arena arena;
    arena_init (&arena, fanout->request_memory, memory_size);
    fanout->request = arena_alloc (&arena, type->size);
    struct codec_error error;
    if (codec_decode (type, bytes_of (fanout->request_body, body.len), CODEC_LENIENT, &arena, fanout->request,
            &error) != STATUS_OK) {
        engine_call_refuse (engine, call, STATUS_INVALID_ARGUMENT, "BAD_REQUEST", error.message, 0);
        return;
    }
    uint64_t size = get_size (type, fanout->request);
    fanout->remaining = size == 0 ? PAGE_SIZE_DEFAULT : size > PAGE_SIZE_MAX ? PAGE_SIZE_MAX : (uint32_t) size;
    fanout->token = get_token (type, fanout->request);
    uint32_t first = 1;
    if (fanout->token.len > 0 &&
        (services_page_shard (fanout->token, &first) != STATUS_OK || first < 1 || first > fanout->shard_count)) {
        engine_call_refuse (engine, call, STATUS_INVALID_ARGUMENT, "INVALID_PAGE_TOKEN",
            "this page token is not of this list; start again without one", 0);
        return;
    }
    fanout->first_shard = fanout->ask_shard = fanout->merge_shard = first;
    enqueue (engine, fanout);
}
