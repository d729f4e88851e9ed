/* Operations as sentences, contradictions as headlines.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/check.h"

struct text {
    char *at;
    size_t left;
};

static void say (struct text *text, const char *format, ...) __attribute__ ((format (printf, 2, 3)));

static void say (struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    int len = vsnprintf (text->at, text->left, format, arguments);
    va_end (arguments);
    if (len < 0 || (size_t) len >= text->left) {
        text->left = text->left > 0 ? 1 : 0;
        return;
    }
    text->at += len;
    text->left -= (size_t) len;
}

static double seconds (const struct history *history, uint64_t ns)
{
    uint64_t first = history->ops_count > 0 ? history->ops[0].begin_ns : 0;
    return (double) (ns - first) / 1e9;
}

static void say_items (struct text *text, const struct history *history, uint32_t basket)
{
    const struct history_item *items = history->items + history->basket_at[basket];
    for (uint32_t i = 0; i < check_basket_size (history, basket); i++) {
        say (text, "%sslot %u of %s", i > 0 ? " and " : "", items[i].first, history->offer_names.texts[items[i].offer]);
        if (items[i].count > 1)
            say (text, " and %u after it", items[i].count - 1);
        if (items[i].quantity > 1)
            say (text, " (%u units)", items[i].quantity);
    }
}

static void say_state (struct text *text, const struct history_op *op)
{
    const char *state = history_state_name (op->of_order, op->result >> 40 & 0xffff);
    if ((op->mask & HISTORY_MASK_A) != 0 && state != NULL && (op->result >> 40 & 0xffff) != 0)
        say (text, ", %s", state);
    if ((op->mask & HISTORY_MASK_B) == HISTORY_MASK_B && (op->result & HISTORY_MASK_B) != 0)
        say (text, ", version %llu", (unsigned long long) (op->result & HISTORY_MASK_B));
}

static void say_rows (struct text *text, const struct history *history, const struct history_op *op)
{
    for (uint32_t i = 0; i < op->rows_count; i++) {
        const struct history_row *row = &history->rows[op->rows + i];
        if (op->f == HISTORY_LIST) {
            say (text, "%s %s %s version %llu", i > 0 ? "," : "", history->entities.texts[row->entity],
                history_state_name (false, (unsigned) row->a), (unsigned long long) row->b);
            continue;
        }
        const struct history_item *item = &history->items[op->items + i];
        say (text, "%s slot %u of %s has %llu units, %llu held, %llu confirmed", i > 0 ? "," : "", item->first,
            history->offer_names.texts[item->offer], (unsigned long long) row->a, (unsigned long long) row->b,
            (unsigned long long) row->c);
    }
    if (op->rows_count == 0)
        say (text, " nothing");
}

static void say_answer (struct text *text, const struct history *history, const struct history_op *op)
{
    if (op->end == HISTORY_UNKNOWN) {
        say (text, " -> no answer: it may have been done");
        return;
    }
    if (op->end == HISTORY_FAILED) {
        say (text, " -> failed: it was not done");
        return;
    }
    say (text, " -> ");
    if (op->f == HISTORY_CHECK || op->f == HISTORY_LIST) {
        say_rows (text, history, op);
        return;
    }
    if (op->f == HISTORY_OUTCOME)
        say (text, "%s", op->applied ? "applied: " : "");
    say (text, "%s", history_reason (op->result));
    if (history_code (op->result) == CODE_SOLD_OUT && (op->mask & 0xffffff) != 0)
        say (text, " (%llu left)", (unsigned long long) (op->result & 0xffffff));
    else
        say_state (text, op);
    if (op->f == HISTORY_READ && op->seen_basket != HISTORY_NONE) {
        say (text, ", ");
        say_items (text, history, op->seen_basket);
    }
    if (op->replayed)
        say (text, " (replayed)");
}

static void say_call (struct text *text, const struct history *history, const struct history_op *op)
{
    static const char *const verbs[HISTORY_F_COUNT] = {"books", "confirms", "releases", "cancels", "moves", "reads",
        "checks", "lists what belongs to", "orders", "advances", "sets the stock of", "asks what became of"};
    const char *entity = op->entity != HISTORY_NONE ? history->entities.texts[op->entity] : "";
    say (text, "%s ", verbs[op->f]);
    switch ((enum history_f) op->f) {
    case HISTORY_BOOK:
    case HISTORY_ORDER:
        say_items (text, history, op->basket);
        say (text, " for %s as %s%s", history->customers.texts[op->customer], entity, op->mode == 1 ? " (a hold)" : "");
        break;
    case HISTORY_MOVE:
        say (text, "%s to ", entity);
        say_items (text, history, op->basket);
        break;
    case HISTORY_ADVANCE:
        say (text, "%s by %s", entity, history_event_name (op->event));
        if (op->expect != 0)
            say (text, " if its version is %u", op->expect);
        break;
    case HISTORY_CHECK:
        say_items (text, history, op->basket);
        break;
    case HISTORY_STOCK:
        say_items (text, history, op->basket);
        say (text, " to %u units", op->capacity);
        break;
    case HISTORY_LIST:
        say (text, "%s", history->customers.texts[op->customer]);
        break;
    case HISTORY_OUTCOME:
        say (text, "request %s", history->ids.texts[op->of]);
        break;
    default:
        say (text, "%s", entity);
        break;
    }
    if (op->id != HISTORY_NONE && op->f != HISTORY_OUTCOME)
        say (text, " [request %s]", history->ids.texts[op->id]);
}

void check_tell (const struct history *history, uint32_t number, char *out, size_t size)
{
    const struct history_op *op = &history->ops[number];
    struct text text = {out, size};
    out[0] = '\0';
    say (&text, "%.6f", seconds (history, op->begin_ns));
    if (op->end_ns != HISTORY_NEVER)
        say (&text, " to %.6f", seconds (history, op->end_ns));
    say (&text, " s (line %llu): ", (unsigned long long) op->line);
    if (op->final)
        say (&text, "the final reader ");
    else
        say (&text, "client %u ", op->client);
    say_call (&text, history, op);
    say_answer (&text, history, op);
}

/* ---- headlines */

static bool takes (const struct history_op *op)
{
    return op->end == HISTORY_OK && (op->f == HISTORY_BOOK || op->f == HISTORY_ORDER || op->f == HISTORY_MOVE);
}

/* A bucket of one unit that both took. */
static const struct history_item *both_took (
    const struct history *history, const struct history_op *a, const struct history_op *b)
{
    for (uint32_t i = 0; i < a->items_count; i++) {
        const struct history_item *x = &history->items[a->items + i];
        for (uint32_t k = 0; k < b->items_count; k++) {
            const struct history_item *y = &history->items[b->items + k];
            if (x->offer == y->offer && x->first < y->first + y->count && y->first < x->first + x->count &&
                history->offers[x->offer].capacity == 1)
                return x;
        }
    }
    return NULL;
}

struct told {
    const struct history *history;
    const struct check_violation *violation;
    struct text text;
};

static const struct history_op *told_op (const struct told *told, size_t i)
{
    return &told->history->ops[told->violation->ops[i]];
}

static void say_who (struct told *told, const struct history_op *op)
{
    if (op->final)
        say (&told->text, "the final reader at %.3f s", seconds (told->history, op->end_ns));
    else
        say (&told->text, "client %u at %.3f s", op->client,
            seconds (told->history, op->end_ns == HISTORY_NEVER ? op->begin_ns : op->end_ns));
}

/* The last answer that was read: what most contradictions are about. */
static const struct history_op *last_read (const struct told *told)
{
    for (size_t i = told->violation->count; i > 0; i--) {
        const struct history_op *op = told_op (told, i - 1);
        if (!history_is_write (op->f) && op->end != HISTORY_FAILED)
            return op;
    }
    return NULL;
}

static const struct history_op *maker (const struct told *told, uint32_t entity)
{
    const struct history_op *found = NULL;
    for (size_t i = 0; i < told->violation->count; i++) {
        const struct history_op *op = told_op (told, i);
        if ((op->f == HISTORY_BOOK || op->f == HISTORY_ORDER) && op->entity == entity &&
            (found == NULL || op->end == HISTORY_OK))
            found = op;
    }
    return found;
}

static bool tell_twice (struct told *told)
{
    for (size_t i = 0; i < told->violation->count; i++) {
        for (size_t k = i + 1; k < told->violation->count; k++) {
            const struct history_op *a = told_op (told, i), *b = told_op (told, k);
            if (!takes (a) || !takes (b) || a->entity == b->entity)
                continue;
            const struct history_item *item = both_took (told->history, a, b);
            if (item == NULL)
                continue;
            say (
                &told->text, "slot %u of %s given twice: ", item->first, told->history->offer_names.texts[item->offer]);
            say_who (told, a);
            say (&told->text, " got %s, ", told->history->entities.texts[a->entity]);
            say_who (told, b);
            say (&told->text, " got %s", told->history->entities.texts[b->entity]);
            return true;
        }
    }
    return false;
}

static bool tell_limit (struct told *told)
{
    const struct history *history = told->history;
    for (uint32_t offer = 0; offer < history->offer_names.count; offer++) {
        uint32_t limit = history->offers[offer].limit, customer = HISTORY_NONE, units = 0;
        for (size_t i = 0; limit > 0 && i < told->violation->count; i++) {
            const struct history_op *op = told_op (told, i);
            if (!takes (op) || op->f == HISTORY_MOVE || (customer != HISTORY_NONE && op->customer != customer))
                continue;
            for (uint32_t k = 0; k < op->items_count; k++) {
                const struct history_item *item = &history->items[op->items + k];
                if (item->offer != offer)
                    continue;
                customer = op->customer;
                units += item->quantity * item->count;
            }
        }
        if (limit == 0 || units <= limit)
            continue;
        say (&told->text, "customer %s was given %u units of %s, which allows %u", history->customers.texts[customer],
            units, history->offer_names.texts[offer], limit);
        return true;
    }
    return false;
}

static bool tell_id (struct told *told)
{
    for (size_t i = 0; i < told->violation->count; i++) {
        for (size_t k = i + 1; k < told->violation->count; k++) {
            const struct history_op *a = told_op (told, i), *b = told_op (told, k);
            bool answered = a->end != HISTORY_UNKNOWN && b->end != HISTORY_UNKNOWN && a->end != HISTORY_FAILED &&
                            b->end != HISTORY_FAILED;
            uint32_t id = b->f == HISTORY_OUTCOME ? b->of : b->id;
            if (a->id == HISTORY_NONE || a->id != id || !answered)
                continue;
            if (b->f == HISTORY_OUTCOME)
                say (&told->text,
                    "request %s was answered one thing, and its outcome another: ", told->history->ids.texts[id]);
            else if (a->body != b->body)
                say (&told->text, "request id %s was taken with two bodies: ", told->history->ids.texts[id]);
            else
                say (&told->text, "request %s had two outcomes: ", told->history->ids.texts[id]);
            say_who (told, a);
            say (&told->text, " heard %s, ", history_reason (a->result));
            say_who (told, b);
            say (&told->text, " heard %s", history_reason (b->result));
            return true;
        }
    }
    return false;
}

/* Whether somebody found it afterwards: then it was not lost, but the read was stale. */
static bool found_later (const struct history *history, const struct history_op *read)
{
    for (size_t i = 0; i < history->ops_count; i++) {
        const struct history_op *op = &history->ops[i];
        if (op->f == HISTORY_READ && op->entity == read->entity && op->begin_ns > read->end_ns && op->end == HISTORY_OK)
            return true;
    }
    return false;
}

static bool tell_read (struct told *told)
{
    const struct history_op *read = last_read (told);
    if (read == NULL)
        return false;
    if (read->f != HISTORY_READ) {
        say (&told->text, "%s", read->f == HISTORY_LIST ? "a list" : "an availability check");
        say (&told->text, " shows what no order of the answers explains: ");
        say_who (told, read);
        return true;
    }
    const char *name = told->history->entities.texts[read->entity], *kind = read->of_order ? "order" : "reservation";
    const struct history_op *made = maker (told, read->entity);
    if (history_code (read->result) == CODE_NOT_FOUND && made != NULL && made->end == HISTORY_OK) {
        say (&told->text, found_later (told->history, read) ? "a read of %s %s is stale: " : "%s %s is lost: ", kind,
            name);
        say_who (told, made);
        say (&told->text, " was told that it is made, ");
        say_who (told, read);
        say (&told->text, " that there is none");
    } else if (history_code (read->result) == CODE_OK && made != NULL && made->end != HISTORY_OK) {
        say (&told->text, "%s %s exists although the call that would have made it %s: ", kind, name,
            made->end == HISTORY_FAILED    ? "failed"
            : made->end == HISTORY_REFUSED ? "was refused"
                                           : "has no answer");
        say_who (told, read);
        say (&told->text, " read it");
    } else {
        say (&told->text, "%s %s was read as it cannot have been: ", kind, name);
        say_who (told, read);
        say (&told->text, " saw %s", history_reason (read->result));
        say_state (&told->text, read);
    }
    return true;
}

/* A refusal that the other answers rule out, or that no rule of the services has. */
static bool tell_refusal (struct told *told)
{
    const struct history_op *last = told_op (told, told->violation->count - 1);
    if (last->end != HISTORY_REFUSED || !history_is_write (last->f))
        return false;
    say_who (told, last);
    say (&told->text, " was refused with %s, which %s", history_reason (last->result),
        told->violation->count > 1 ? "the answers before it rule out" : "nothing explains");
    return true;
}

void check_headline (const struct history *history, struct check_violation *violation)
{
    struct told told = {history, violation, {violation->headline, sizeof violation->headline}};
    violation->headline[0] = '\0';
    if (violation->count == 0 || tell_twice (&told) || tell_id (&told) || tell_limit (&told) || tell_read (&told) ||
        tell_refusal (&told))
        return;
    say (&told.text, "%zu answers contradict each other, the last one that of ", violation->count);
    say_who (&told, told_op (&told, violation->count - 1));
}
