/* What an answer in a history says, packed for comparing.
 */
#include <string.h>

#include "test/chaos/history_reading.h"

static bool read_state (struct reading *in, bool of_order, struct bytes text, unsigned *state)
{
    for (unsigned i = 0; history_state_name (of_order, i) != NULL; i++) {
        if (reading_is (text, history_state_name (of_order, i))) {
            *state = i;
            return true;
        }
    }
    return reading_wrong (in, "there is no such state");
}

static bool read_state_version (struct reading *in, struct history_op *op, enum history_code code)
{
    const struct json_field *field = json_find (&in->line, "state");
    uint64_t version = 0;
    unsigned state = 0;
    op->mask |= HISTORY_MASK_CODE;
    if (field != NULL && field->kind == JSON_STRING) {
        if (!read_state (in, op->of_order, field->text, &state))
            return false;
        op->mask |= HISTORY_MASK_A;
    }
    if (reading_may_u64 (in, "version", &version))
        op->mask |= HISTORY_MASK_B;
    op->result = HISTORY_RESULT (code, state, version);
    return true;
}

static bool read_shortage (struct reading *in, struct history_op *op, enum history_code code)
{
    struct history *history = in->history;
    const struct json_field *offer = json_find (&in->line, "offer");
    uint64_t bucket = 0, available = 0, number = 0;
    op->mask |= HISTORY_MASK_CODE;
    if (code == CODE_SOLD_OUT && reading_may_u64 (in, "bucket", &bucket))
        op->mask |= HISTORY_MASK_A;
    if (offer != NULL && offer->kind == JSON_STRING) {
        number = reading_offer (history, offer->text);
        op->mask |= HISTORY_MASK_B & ~UINT64_C (0xffffff);
    }
    if (reading_may_u64 (in, "available", &available))
        op->mask |= UINT64_C (0xffffff);
    op->result = HISTORY_RESULT (code, bucket, (number & 0xffff) << 24 | (available & 0xffffff));
    return true;
}

static const struct {
    const char *reason;
    enum history_code code;
    int state; /* CODE_STATE: what it says, of a reservation */
} reasons[] = {
    {"SOLD_OUT", CODE_SOLD_OUT, 0},
    {"USER_LIMIT", CODE_USER_LIMIT, 0},
    {"OUT_OF_RANGE", CODE_OUT_OF_RANGE, 0},
    {"EXISTS", CODE_EXISTS, 0},
    {"NO_RESERVATION", CODE_NOT_FOUND, 0},
    {"NO_ORDER", CODE_NOT_FOUND, 0},
    {"NOT_CONFIRMED", CODE_STATE, 1},
    {"ALREADY_CONFIRMED", CODE_STATE, 2},
    {"RELEASED", CODE_STATE, 3},
    {"EXPIRED", CODE_STATE, 4},
    {"CANCELLED", CODE_STATE, 5},
    {"DECLINED", CODE_STATE, 0},
    {"WRONG_STATE", CODE_STATE, 0},
    {"STALE_VERSION", CODE_STALE, 0},
    {"BELOW_COMMITTED", CODE_BELOW_COMMITTED, 0},
    {"KEY_REUSED", CODE_KEY_REUSED, 0},
    {"FENCED", CODE_FENCED, 0},
};

static bool read_refusal (struct reading *in, struct history_op *op)
{
    struct bytes reason;
    if (!reading_need_text (in, "reason", &reason))
        return false;
    op->result = HISTORY_RESULT (CODE_STRANGE, 0, 0);
    op->mask = HISTORY_MASK_CODE;
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (!reading_is (reason, reasons[i].reason))
            continue;
        enum history_code code = reasons[i].code;
        if (code == CODE_SOLD_OUT || code == CODE_USER_LIMIT)
            return read_shortage (in, op, code);
        if (!read_state_version (in, op, code))
            return false;
        bool says = code == CODE_STATE && !op->of_order && reasons[i].state != 0 && (op->mask & HISTORY_MASK_A) != 0;
        if (says && (int) (op->result >> 40 & 0xffff) != reasons[i].state)
            op->result = HISTORY_RESULT (CODE_STRANGE, 0, 0);
        if (code != CODE_STATE && code != CODE_EXISTS && code != CODE_STALE)
            op->mask = HISTORY_MASK_CODE;
        return true;
    }
    return true;
}

static bool read_check_rows (struct reading *in, struct history_op *op, struct bytes text)
{
    struct history *history = in->history;
    struct json_cursor cursor, numbers;
    struct json_field element, number;
    op->rows = (uint32_t) history->rows_count;
    for (json_open (&cursor, text); json_next (&cursor, &element); op->rows_count++) {
        struct history_row row = {0};
        uint64_t *const parts[3] = {&row.a, &row.b, &row.c};
        size_t n = 0;
        if (element.kind != JSON_ARRAY)
            return reading_wrong (in, "a row is [total, held, confirmed]");
        for (json_open (&numbers, element.text); json_next (&numbers, &number); n++)
            if (n == 3 || !json_u64 (&number, parts[n]))
                return reading_wrong (in, "a row is [total, held, confirmed]");
        if (n != 3)
            return reading_wrong (in, "a row is [total, held, confirmed]");
        history->rows = reading_grown (history->rows, &history->rows_room, history->rows_count, sizeof row);
        history->rows[history->rows_count++] = row;
    }
    return op->rows_count == op->items_count || reading_wrong (in, "as many \"rows\" as \"items\" are needed");
}

static bool read_list_rows (struct reading *in, struct history_op *op, struct bytes text)
{
    struct history *history = in->history;
    struct json_cursor cursor, parts;
    struct json_field element, part[3];
    op->rows = (uint32_t) history->rows_count;
    for (json_open (&cursor, text); json_next (&cursor, &element); op->rows_count++) {
        struct history_row row = {0};
        unsigned state = 0;
        size_t n = 0;
        if (element.kind != JSON_ARRAY)
            return reading_wrong (in, "a row is [\"reservation\", \"state\", version]");
        json_open (&parts, element.text);
        while (n < 3 && json_next (&parts, &part[n]))
            n++;
        if (n != 3 || part[0].kind != JSON_STRING || part[1].kind != JSON_STRING || !json_u64 (&part[2], &row.b))
            return reading_wrong (in, "a row is [\"reservation\", \"state\", version]");
        if (!read_state (in, false, part[1].text, &state))
            return false;
        row.a = state;
        row.entity = history_name (&history->entities, part[0].text);
        history->rows = reading_grown (history->rows, &history->rows_room, history->rows_count, sizeof row);
        history->rows[history->rows_count++] = row;
    }
    return true;
}

static bool read_rows (struct reading *in, struct history_op *op)
{
    const struct json_field *field = json_find (&in->line, "rows");
    if (field == NULL || field->kind != JSON_ARRAY)
        return reading_wrong (in, "\"rows\" is missing or no array");
    op->result = HISTORY_RESULT (CODE_OK, 0, 0);
    op->mask = HISTORY_MASK_CODE;
    return op->f == HISTORY_CHECK ? read_check_rows (in, op, field->text) : read_list_rows (in, op, field->text);
}

/* The asked operation's kind says which states its outcome may name. */
static bool is_of_order (const struct history *history, uint32_t id)
{
    return id < history->id_first_count && history->id_first[id] != 0 &&
           history->ops[history->id_first[id] - 1].of_order;
}

static bool read_outcome (struct reading *in, struct history_op *op)
{
    struct bytes text;
    if (!reading_need_text (in, "outcome", &text))
        return false;
    op->applied = reading_is (text, "applied");
    if (op->applied) {
        op->of_order = is_of_order (in->history, op->of);
        return json_find (&in->line, "reason") != NULL ? read_refusal (in, op) : read_state_version (in, op, CODE_OK);
    }
    op->result = HISTORY_RESULT (CODE_FENCED, 0, 0);
    op->mask = HISTORY_MASK_CODE;
    if (reading_is (text, "fenced"))
        return true;
    op->end = HISTORY_FAILED; /* it says nothing */
    return reading_is (text, "too_old") || reading_is (text, "in_flight") ||
           reading_wrong (in, "\"outcome\" is applied, fenced, too_old or in_flight");
}

static bool read_seen (struct reading *in, struct history_op *op)
{
    uint32_t at, count;
    if (!read_state_version (in, op, CODE_OK))
        return false;
    if (json_find (&in->line, "items") != NULL && !reading_items (in, &at, &count, &op->seen_basket))
        return false;
    return json_find (&in->line, "cust") == NULL ||
           reading_need_name (in, "cust", &in->history->customers, &op->seen_by);
}

static bool read_ok (struct reading *in, struct history_op *op)
{
    switch ((enum history_f) op->f) {
    case HISTORY_CHECK:
    case HISTORY_LIST:
        return read_rows (in, op);
    case HISTORY_OUTCOME:
        return read_outcome (in, op);
    case HISTORY_READ:
        return read_seen (in, op);
    default:
        return read_state_version (in, op, CODE_OK);
    }
}

bool reading_answer (struct reading *in, struct bytes type, uint64_t now_ns)
{
    uint64_t client = 0, number = 0;
    if (!reading_need_u64 (in, "c", READING_CLIENTS_MAX - 1, &client) ||
        !reading_need_u64 (in, "op", UINT64_MAX >> 1, &number))
        return false;
    size_t *open = reading_open (in, (uint32_t) client);
    if (*open == 0 || in->history->ops[*open - 1].number != number)
        return reading_wrong (in, "client %llu has no operation %llu under way", (unsigned long long) client,
            (unsigned long long) number);
    struct history_op *op = &in->history->ops[*open - 1];
    *open = 0;
    op->end_line = in->history->lines;
    const struct json_field *replayed = json_find (&in->line, "replayed");
    op->has_replayed = replayed != NULL;
    op->replayed = replayed != NULL && replayed->kind == JSON_TRUE;
    if (reading_is (type, "unknown"))
        return true;
    op->end_ns = now_ns;
    if (reading_is (type, "ok")) {
        op->end = HISTORY_OK;
        return read_ok (in, op);
    }
    op->end = reading_has_true (in, "decided") ? HISTORY_REFUSED : HISTORY_FAILED;
    return op->end == HISTORY_FAILED || read_refusal (in, op);
}
