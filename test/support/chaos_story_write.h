/* A story (chaos_story.h) as the text of a history.
 */
#ifndef MAITRED_TEST_SUPPORT_CHAOS_STORY_WRITE_H
#define MAITRED_TEST_SUPPORT_CHAOS_STORY_WRITE_H

#include "test/support/chaos_story.h"

struct story_text {
    char *text;
    size_t len, room;
};

static inline void story_put (struct story_text *out, const char *format, ...) __attribute__ ((format (printf, 2, 3)));
static inline void story_put (struct story_text *out, const char *format, ...)
{
    va_list arguments;
    if (out->room - out->len < 65536) {
        out->room = out->room * 2 + 131072;
        out->text = realloc (out->text, out->room);
        maitre_assert (out->text != NULL);
    }
    va_start (arguments, format);
    out->len += (size_t) vsnprintf (out->text + out->len, out->room - out->len, format, arguments);
    va_end (arguments);
}

static inline void story_put_items (struct story_text *out, const struct story_item *items, unsigned count)
{
    static const char *const names[] = {"hotel", "band", "dish"};
    story_put (out, ",\"items\":[");
    for (unsigned i = 0; i < count; i++)
        story_put (
            out, "%s[\"%s\",%u,1,%u]", i > 0 ? "," : "", names[items[i].offer], items[i].bucket, items[i].quantity);
    story_put (out, "]");
}

static inline bool story_of_order (const struct story_op *op)
{
    return op->f == HISTORY_ORDER || op->f == HISTORY_ADVANCE || op->of_order;
}

static inline void story_put_invoke (struct story_text *out, unsigned number, const struct story_op *op)
{
    story_put (out, "{\"t\":%llu,\"c\":%u,\"op\":%u,\"type\":\"invoke\",\"f\":\"%s\"",
        (unsigned long long) op->begin * 4, op->client, number, history_f_name (op->f));
    if (history_is_write (op->f))
        story_put (out, ",\"id\":\"id%u\"", op->id);
    if (op->f != HISTORY_CHECK && op->f != HISTORY_LIST && op->f != HISTORY_STOCK && op->f != HISTORY_OUTCOME)
        story_put (out, ",\"%s\":\"x%u\"", story_of_order (op) ? "order" : "res", op->thing);
    if (op->f == HISTORY_BOOK)
        story_put (out, ",\"mode\":\"%s\"", op->mode == 1 ? "hold" : "book");
    if (op->f == HISTORY_BOOK || op->f == HISTORY_ORDER || op->f == HISTORY_LIST)
        story_put (out, ",\"cust\":\"k%u\"", op->customer);
    if (op->items_count > 0)
        story_put_items (out, op->items, op->items_count);
    if (op->note > 0)
        story_put (out, ",\"note\":%u", op->note);
    if (op->f == HISTORY_ADVANCE)
        story_put (out, ",\"event\":\"%s\"", history_event_name (op->event));
    if (op->expect > 0)
        story_put (out, ",\"expect\":%u", op->expect);
    if (op->f == HISTORY_STOCK)
        story_put (out, ",\"capacity\":%u", op->capacity);
    if (op->f == HISTORY_OUTCOME)
        story_put (out, ",\"of\":\"id%u\"", op->of);
    story_put (out, "%s}\n", op->final ? ",\"final\":true" : "");
}

static inline const char *story_reason (const struct story_op *op)
{
    static const char *const states[] = {"?", "NOT_CONFIRMED", "ALREADY_CONFIRMED", "RELEASED", "EXPIRED", "CANCELLED"};
    if (op->result.code == CODE_NOT_FOUND)
        return story_of_order (op) ? "NO_ORDER" : "NO_RESERVATION";
    if (op->result.code != CODE_STATE)
        return history_reason (HISTORY_RESULT (op->result.code, 0, 0));
    return story_of_order (op) ? "WRONG_STATE" : states[op->result.state];
}

static inline void story_put_state (struct story_text *out, const struct story_op *op)
{
    if (op->result.state != 0)
        story_put (out, ",\"state\":\"%s\"", history_state_name (story_of_order (op), op->result.state));
    if (op->result.version != 0)
        story_put (out, ",\"version\":%u", op->result.version);
}

static inline void story_put_refusal (struct story_text *out, const struct story_op *op)
{
    static const char *const names[] = {"hotel", "band", "dish"};
    story_put (out, ",\"reason\":\"%s\"", story_reason (op));
    if (op->result.code == CODE_SOLD_OUT || op->result.code == CODE_USER_LIMIT)
        story_put (out, ",\"offer\":\"%s\",\"available\":%u", names[op->result.offer], op->result.available);
    if (op->result.code == CODE_SOLD_OUT)
        story_put (out, ",\"bucket\":%u", op->result.bucket);
    story_put_state (out, op);
}

static inline void story_put_rows (struct story_text *out, const struct story_op *op)
{
    story_put (out, ",\"rows\":[");
    for (unsigned i = 0; op->f == HISTORY_CHECK && i < op->items_count; i++)
        story_put (
            out, "%s[%u,%u,%u]", i > 0 ? "," : "", op->result.rows[i][0], op->result.rows[i][1], op->result.rows[i][2]);
    for (unsigned i = 0; op->f == HISTORY_LIST && i < op->result.list_count; i++)
        story_put (out, "%s[\"x%u\",\"%s\",%u]", i > 0 ? "," : "", op->result.list[i][0],
            history_state_name (false, op->result.list[i][1]), op->result.list[i][2]);
    story_put (out, "]");
}

static inline void story_put_answer (struct story_text *out, unsigned number, const struct story_op *op)
{
    bool fine = op->result.code == CODE_OK || (op->f == HISTORY_OUTCOME && op->fate == STORY_ANSWERED);
    story_put (out, "{\"t\":%llu,\"c\":%u,\"op\":%u,\"type\":\"%s\"", (unsigned long long) op->end * 4 + 1, op->client,
        number,
        op->fate == STORY_LOST              ? "unknown"
        : op->fate == STORY_FAILED || !fine ? "fail"
                                            : "ok");
    if (op->fate != STORY_ANSWERED) {
        story_put (out, ",\"status\":\"UNAVAILABLE\"}\n");
        return;
    }
    if (history_is_write (op->f) && op->f != HISTORY_OUTCOME)
        story_put (out, ",\"replayed\":%s", op->result.replayed ? "true" : "false");
    if (op->f == HISTORY_OUTCOME)
        story_put (out, ",\"outcome\":\"%s\"", op->result.fenced ? "fenced" : "applied");
    if (op->f == HISTORY_CHECK || op->f == HISTORY_LIST) {
        story_put_rows (out, op);
    } else if (op->result.code == CODE_OK) {
        story_put_state (out, op);
        if (op->f == HISTORY_READ) {
            story_put_items (out, op->result.items, op->result.items_count);
            story_put (out, ",\"cust\":\"k%u\"", op->result.customer);
        }
    } else if (!op->result.fenced) {
        if (op->f != HISTORY_OUTCOME)
            story_put (out, ",\"decided\":true");
        story_put_refusal (out, op);
    }
    story_put (out, "}\n");
}

struct story_line {
    uint64_t at;
    unsigned op;
    bool answer;
};

static inline int story_by_time (const void *a, const void *b)
{
    const struct story_line *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->op < y->op ? -1 : x->op > y->op;
}

/* The caller frees the text. */
static inline struct bytes story_write (const struct story *story)
{
    struct story_text out = {0};
    struct story_line *lines = malloc (2 * STORY_OPS * sizeof *lines);
    size_t count = 0;
    maitre_assert (lines != NULL);
    story_put (&out,
        "{\"t\":0,\"type\":\"info\",\"f\":\"run\",\"version\":1,\"seed\":1}\n"
        "{\"t\":0,\"type\":\"info\",\"f\":\"offer\",\"offer\":\"hotel\",\"first\":0,\"last\":2,\"capacity\":1}\n"
        "{\"t\":0,\"type\":\"info\",\"f\":\"offer\",\"offer\":\"band\",\"first\":0,\"last\":2,\"capacity\":1,"
        "\"limit\":2}\n"
        "{\"t\":0,\"type\":\"info\",\"f\":\"offer\",\"offer\":\"dish\",\"first\":0,\"last\":0,\"capacity\":4}\n");
    for (unsigned i = 0; i < story->ops_count; i++) {
        if (story->ops[i].hidden)
            continue;
        lines[count++] = (struct story_line){story->ops[i].begin * 4, i, false};
        lines[count++] = (struct story_line){story->ops[i].end * 4 + 1, i, true};
    }
    qsort (lines, count, sizeof *lines, story_by_time);
    for (size_t i = 0; i < count; i++)
        (lines[i].answer ? story_put_answer : story_put_invoke) (&out, lines[i].op, &story->ops[lines[i].op]);
    uint64_t end = count > 0 ? lines[count - 1].at : 0;
    story_put (&out, "{\"t\":%llu,\"type\":\"info\",\"f\":\"final\"}\n", (unsigned long long) end);
    free (lines);
    return bytes_of (out.text, out.len);
}

#endif
