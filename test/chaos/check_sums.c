/* The promises counted up from what was acknowledged and what the final reads show. No search, no state machine: it shares
 * nothing with the other judge but the reading of the file.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/check.h"

struct sums {
    const struct history *history;
    struct check_violation *violation;
    uint32_t *read;  /* by entity: its final read + 1 */
    uint32_t *made;  /* by entity: an acknowledged making + 1 */
    uint32_t *first; /* by request id: the first decided answer + 1 */
    bool *vague;     /* by entity: an operation on it has no known outcome */
    bool *resolved;  /* by request id */
};

static void *zeros (size_t count, size_t size)
{
    void *memory = calloc (count + 1, size);
    maitre_assert (memory != NULL);
    return memory;
}

static bool found (struct sums *sums, uint32_t a, uint32_t b)
{
    struct check_violation *violation = sums->violation;
    violation->ops = malloc (2 * sizeof *violation->ops);
    maitre_assert (violation->ops != NULL);
    violation->count = 0;
    violation->ops[violation->count++] = a;
    if (b != a)
        violation->ops[violation->count++] = b;
    violation->minimal = true;
    return true;
}

static bool decided (const struct history_op *op)
{
    return op->end == HISTORY_OK || op->end == HISTORY_REFUSED;
}

static bool makes (const struct history_op *op)
{
    return op->f == HISTORY_BOOK || op->f == HISTORY_ORDER;
}

/* One outcome for one request id: an answer that speaks of the id alone aside. */
static bool check_ids (struct sums *sums)
{
    const struct history *history = sums->history;
    for (uint32_t i = 0; i < history->ops_count; i++) {
        const struct history_op *op = &history->ops[i];
        enum history_code code = history_code (op->result);
        if (op->id == HISTORY_NONE || op->f == HISTORY_OUTCOME || !decided (op) || code == CODE_KEY_REUSED)
            continue;
        if (sums->first[op->id] == 0) {
            sums->first[op->id] = i + 1;
            continue;
        }
        const struct history_op *first = &history->ops[sums->first[op->id] - 1];
        bool same = ((first->result ^ op->result) & first->mask & op->mask) == 0;
        if (same && (first->body == op->body || code == CODE_FENCED)) /* a fence is for any body */
            continue;
        snprintf (sums->violation->headline, sizeof sums->violation->headline,
            "request id %s %s: client %u heard %s, client %u %s", history->ids.texts[op->id],
            first->body == op->body ? "had two outcomes" : "was taken with two bodies", first->client,
            history_reason (first->result), op->client, history_reason (op->result));
        return found (sums, sums->first[op->id] - 1, i);
    }
    return false;
}

static void index_ops (struct sums *sums)
{
    const struct history *history = sums->history;
    for (uint32_t i = 0; i < history->ops_count; i++) {
        const struct history_op *op = &history->ops[i];
        if (decided (op) && op->of != HISTORY_NONE)
            sums->resolved[op->of] = true;
        if (decided (op) && op->id != HISTORY_NONE)
            sums->resolved[op->id] = true;
        if (makes (op) && op->end == HISTORY_OK)
            sums->made[op->entity] = i + 1;
        if (op->f == HISTORY_READ && op->final && decided (op))
            sums->read[op->entity] = i + 1;
    }
    for (uint32_t i = 0; i < history->ops_count; i++) {
        const struct history_op *op = &history->ops[i];
        if (op->end == HISTORY_UNKNOWN && op->entity != HISTORY_NONE && op->id != HISTORY_NONE &&
            !sums->resolved[op->id])
            sums->vague[op->entity] = true;
    }
}

static bool check_lost (struct sums *sums)
{
    const struct history *history = sums->history;
    for (uint32_t entity = 0; entity < history->entities.count; entity++) {
        if (sums->made[entity] == 0 || sums->read[entity] == 0)
            continue;
        const struct history_op *made = &history->ops[sums->made[entity] - 1],
                                *read = &history->ops[sums->read[entity] - 1];
        if (history_code (read->result) == CODE_OK || read->begin_ns <= made->end_ns)
            continue;
        snprintf (sums->violation->headline, sizeof sums->violation->headline,
            "%s %s is lost: client %u was told that it is made, and at the end there is none",
            made->of_order ? "order" : "reservation", history->entities.texts[entity], made->client);
        return found (sums, sums->made[entity] - 1, sums->read[entity] - 1);
    }
    return false;
}

/* What a reservation or an order takes from its counters, as its final read shows it. An order that was cancelled while it was
 * prepared keeps its stock, and that is the fourth version of it. */
static bool keeps (const struct history_op *read, bool *held)
{
    unsigned state = read->result >> 40 & 0xffff;
    uint64_t version = read->result & HISTORY_MASK_B;
    *held = !read->of_order && state == 1;
    if (!read->of_order)
        return state == 1 || state == 2;
    return state != 3 && state != 5 && (state != 4 || version >= 4);
}

struct count {
    uint32_t offer, bucket, customer, op;
    int64_t held, confirmed;
};

static int by_bucket (const void *a, const void *b)
{
    const struct count *x = a, *y = b;
    if (x->offer != y->offer)
        return x->offer < y->offer ? -1 : 1;
    if (x->bucket != y->bucket)
        return x->bucket < y->bucket ? -1 : 1;
    return x->op < y->op ? -1 : x->op > y->op;
}

static int by_customer (const void *a, const void *b)
{
    const struct count *x = a, *y = b;
    if (x->offer != y->offer)
        return x->offer < y->offer ? -1 : 1;
    return x->customer < y->customer ? -1 : x->customer > y->customer;
}

/* Every bucket that a thing stands for at the end. */
static struct count *count_up (const struct sums *sums, size_t *count_out)
{
    const struct history *history = sums->history;
    size_t count = 0, room = 64;
    struct count *counts = zeros (room, sizeof *counts);
    for (uint32_t entity = 0; entity < history->entities.count; entity++) {
        bool held;
        const struct history_op *read = sums->read[entity] != 0 ? &history->ops[sums->read[entity] - 1] : NULL;
        if (read == NULL || history_code (read->result) != CODE_OK || read->seen_basket == HISTORY_NONE ||
            !keeps (read, &held))
            continue;
        const struct history_item *items = history->items + history->basket_at[read->seen_basket];
        for (uint32_t i = 0; i < check_basket_size (history, read->seen_basket); i++) {
            for (uint32_t n = 0; n < items[i].count; n++) {
                if (count == room) {
                    room *= 2;
                    counts = realloc (counts, room * sizeof *counts);
                    maitre_assert (counts != NULL);
                }
                counts[count++] = (struct count){.offer = items[i].offer,
                    .bucket = items[i].first + n,
                    .customer = read->seen_by,
                    .op = sums->read[entity] - 1,
                    .held = held ? items[i].quantity : 0,
                    .confirmed = held ? 0 : items[i].quantity};
            }
        }
    }
    *count_out = count;
    return counts;
}

static bool check_limits (struct sums *sums, struct count *counts, size_t count)
{
    const struct history *history = sums->history;
    int64_t units = 0;
    qsort (counts, count, sizeof *counts, by_customer);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && by_customer (&counts[i - 1], &counts[i]) != 0)
            units = 0;
        units += counts[i].held + counts[i].confirmed;
        uint32_t limit = history->offers[counts[i].offer].limit;
        if (limit == 0 || units <= limit || counts[i].customer == HISTORY_NONE)
            continue;
        snprintf (sums->violation->headline, sizeof sums->violation->headline,
            "customer %s has %lld units of %s at the end, which allows %u",
            history->customers.texts[counts[i].customer], (long long) units,
            history->offer_names.texts[counts[i].offer], limit);
        return found (sums, counts[i - 1].op, counts[i].op);
    }
    return false;
}

static void sum_bucket (const struct count *counts, size_t count, uint32_t offer, uint32_t bucket, struct count *sum)
{
    size_t low = 0, high = count;
    struct count wanted = {.offer = offer, .bucket = bucket};
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (by_bucket (&counts[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *sum = (struct count){.op = HISTORY_NONE};
    for (; low < count && counts[low].offer == offer && counts[low].bucket == bucket; low++) {
        sum->held += counts[low].held;
        sum->confirmed += counts[low].confirmed;
        sum->op = counts[low].op;
    }
}

/* Final checks of availability: never more than there is, and exactly what reservations and orders stand for. */
static bool check_stock (struct sums *sums, struct count *counts, size_t count, bool complete)
{
    const struct history *history = sums->history;
    qsort (counts, count, sizeof *counts, by_bucket);
    for (uint32_t i = 0; i < history->ops_count; i++) {
        const struct history_op *op = &history->ops[i];
        for (uint32_t k = 0; op->f == HISTORY_CHECK && op->end == HISTORY_OK && k < op->rows_count; k++) {
            const struct history_row *row = &history->rows[op->rows + k];
            const struct history_item *item = &history->items[op->items + k];
            const char *name = history->offer_names.texts[item->offer];
            if (row->b + row->c > row->a) {
                snprintf (sums->violation->headline, sizeof sums->violation->headline,
                    "slot %u of %s is oversold: %llu units, %llu held, %llu confirmed", item->first, name,
                    (unsigned long long) row->a, (unsigned long long) row->b, (unsigned long long) row->c);
                return found (sums, i, i);
            }
            struct count sum;
            sum_bucket (counts, count, item->offer, item->first, &sum);
            if (!op->final || !complete || ((int64_t) row->b == sum.held && (int64_t) row->c == sum.confirmed))
                continue;
            snprintf (sums->violation->headline, sizeof sums->violation->headline,
                "slot %u of %s counts %llu held and %llu confirmed at the end, its reservations and orders %lld and "
                "%lld",
                item->first, name, (unsigned long long) row->b, (unsigned long long) row->c, (long long) sum.held,
                (long long) sum.confirmed);
            return found (sums, sum.op != HISTORY_NONE ? sum.op : i, i);
        }
    }
    return false;
}

/* Every thing that a call may have made was read at the end, and no call is without outcome. */
static bool is_complete (const struct sums *sums)
{
    const struct history *history = sums->history;
    if (!history->final)
        return false;
    for (uint32_t entity = 0; entity < history->entities.count; entity++)
        if (sums->read[entity] == 0 || sums->vague[entity])
            return false;
    return true;
}

bool check_sums (const struct history *history, struct check_violation *violation)
{
    struct sums sums = {.history = history,
        .violation = violation,
        .read = zeros (history->entities.count, sizeof *sums.read),
        .made = zeros (history->entities.count, sizeof *sums.made),
        .first = zeros (history->ids.count, sizeof *sums.first),
        .vague = zeros (history->entities.count, sizeof *sums.vague),
        .resolved = zeros (history->ids.count, sizeof *sums.resolved)};
    size_t count = 0;
    *violation = (struct check_violation){0};
    index_ops (&sums);
    struct count *counts = count_up (&sums, &count);
    bool bad = check_ids (&sums) || check_lost (&sums) || check_limits (&sums, counts, count) ||
               check_stock (&sums, counts, count, is_complete (&sums));
    free (counts);
    free (sums.read);
    free (sums.made);
    free (sums.first);
    free (sums.vague);
    free (sums.resolved);
    return bad;
}
