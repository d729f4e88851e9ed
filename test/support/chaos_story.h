/* Correct histories from a naive model of the services, with concurrency: what the tests of chaos_check start from.
 *
 * Every operation gets a begin, a point at which it happens, and an end; the model is asked at the point. The model knows no
 * counters: it adds up its reservations and orders each time, so that it shares no idea with the checker's. A story can be
 * bent before it is written: that is how violations are planted.
 */
#ifndef MAITRED_TEST_SUPPORT_CHAOS_STORY_H
#define MAITRED_TEST_SUPPORT_CHAOS_STORY_H

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/check.h"

#define STORY_OPS 600
#define STORY_CLIENTS 6
#define STORY_THINGS 400
#define STORY_CUSTOMERS 3
#define STORY_BUCKETS 3
#define STORY_FOREVER UINT64_MAX

/* hotel and band: capacity 1, the band at most 2 a customer; dish: one bucket of 4 units */
enum { STORY_HOTEL, STORY_BAND, STORY_DISH, STORY_OFFERS };
enum story_fate { STORY_ANSWERED, STORY_FAILED, STORY_LOST }; /* lost: no answer; its point may come late, or never */

struct story_item {
    unsigned offer, bucket, quantity;
};
struct story_result {
    enum history_code code;
    unsigned state, version, offer, bucket, available;
    struct story_item items[2];
    unsigned items_count, customer;
    unsigned rows[4][3];
    unsigned list[STORY_THINGS][3], list_count; /* thing, state, version */
    bool fenced, replayed;
};
struct story_op {
    uint64_t begin, point, end; /* end of a lost one: when the client gave up */
    unsigned client, id, of, thing, customer, note, event, expect, capacity, mode;
    enum history_f f;
    enum story_fate fate;
    struct story_item items[2];
    unsigned items_count;
    bool of_order, final, hidden; /* hidden: not written */
    struct story_result result;
    unsigned blocker; /* the thing that a refused one stood behind + 1 */
};
struct story_thing {
    bool is, order;
    unsigned state, version, customer, items_count;
    struct story_item items[2];
};
struct story_record {
    bool is, fenced;
    unsigned by; /* the operation that was first */
    struct story_result result;
};
struct story {
    struct story_op ops[STORY_OPS];
    unsigned ops_count, things_count, ids_count;
    struct story_thing things[STORY_THINGS];
    struct story_record records[STORY_OPS];
    unsigned capacity, dish_version;
    uint64_t random;
};

static inline unsigned story_below (struct story *story, unsigned bound)
{
    uint64_t z = (story->random += UINT64_C (0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C (0x94d049bb133111eb);
    return (unsigned) ((z ^ (z >> 31)) % bound);
}

/* ---- the model */

static inline bool story_stands (const struct story_thing *thing)
{
    if (!thing->is)
        return false;
    if (!thing->order)
        return thing->state == 1 || thing->state == 2;
    return thing->state != 3 && !(thing->state == 4 && thing->version < 4);
}

static inline unsigned story_taken (
    const struct story *story, unsigned offer, unsigned bucket, unsigned without, unsigned *who)
{
    unsigned units = 0;
    for (unsigned i = 0; i < story->things_count; i++)
        for (unsigned k = 0; k < story->things[i].items_count; k++) {
            const struct story_item *item = &story->things[i].items[k];
            if (!story_stands (&story->things[i]) || item->offer != offer || item->bucket != bucket || i + 1 == without)
                continue;
            units += item->quantity;
            *who = i + 1;
        }
    return units;
}

static inline unsigned story_has (const struct story *story, unsigned offer, unsigned customer, unsigned without)
{
    unsigned units = 0;
    for (unsigned i = 0; i < story->things_count; i++)
        for (unsigned k = 0; k < story->things[i].items_count; k++)
            if (story_stands (&story->things[i]) && story->things[i].customer == customer && i + 1 != without &&
                story->things[i].items[k].offer == offer)
                units += story->things[i].items[k].quantity;
    return units;
}

static inline bool story_fits (
    struct story *story, struct story_op *op, unsigned customer, unsigned without, struct story_result *result)
{
    for (unsigned i = 0; i < op->items_count; i++) {
        const struct story_item *item = &op->items[i];
        if (item->offer != STORY_BAND || story_has (story, STORY_BAND, customer, without) + item->quantity <= 2)
            continue;
        *result = (struct story_result){.code = CODE_USER_LIMIT,
            .offer = STORY_BAND,
            .available = 2 - story_has (story, STORY_BAND, customer, without)};
        return false;
    }
    for (unsigned i = 0; i < op->items_count; i++) {
        const struct story_item *item = &op->items[i];
        unsigned capacity = item->offer == STORY_DISH ? story->capacity : 1;
        unsigned taken = story_taken (story, item->offer, item->bucket, without, &op->blocker);
        if (taken + item->quantity <= capacity)
            continue;
        *result = (struct story_result){.code = CODE_SOLD_OUT,
            .offer = item->offer,
            .bucket = item->bucket,
            .available = capacity > taken ? capacity - taken : 0};
        return false;
    }
    return true;
}

static inline void story_tells (struct story_result *result, enum history_code code, const struct story_thing *thing)
{
    *result = (struct story_result){.code = code, .state = thing->state, .version = thing->version};
}

static inline void story_make (struct story *story, struct story_op *op)
{
    struct story_thing *thing = &story->things[op->thing];
    if (thing->is) {
        story_tells (&op->result, CODE_EXISTS, thing);
        return;
    }
    if (!story_fits (story, op, op->customer, 0, &op->result))
        return;
    *thing = (struct story_thing){.is = true,
        .order = op->f == HISTORY_ORDER,
        .state = op->f == HISTORY_ORDER ? 1 : op->mode,
        .version = 1,
        .customer = op->customer,
        .items_count = op->items_count};
    memcpy (thing->items, op->items, sizeof thing->items);
    story_tells (&op->result, CODE_OK, thing);
}

static inline void story_advance (struct story_op *op, struct story_thing *thing)
{
    static const unsigned to[6][7] = {{0}, {0, 2}, {0, 3}, {0, 4, 4, 0, 0, 0, 4}, {0, 0, 6}, {0, 0, 0, 0, 0, 0, 7}};
    if (op->expect != 0 && op->expect != thing->version)
        story_tells (&op->result, CODE_STALE, thing);
    else if (thing->state > 6 || to[op->event][thing->state] == 0)
        story_tells (&op->result, CODE_STATE, thing);
    else {
        thing->state = to[op->event][thing->state];
        thing->version++;
        story_tells (&op->result, CODE_OK, thing);
    }
}

static inline void story_change (struct story *story, struct story_op *op)
{
    struct story_thing *thing = &story->things[op->thing];
    if (!thing->is) {
        op->result = (struct story_result){.code = CODE_NOT_FOUND};
        return;
    }
    if (op->f == HISTORY_ADVANCE) {
        story_advance (op, thing);
        return;
    }
    unsigned from = op->f == HISTORY_CANCEL ? 2 : 1;
    bool may = op->f == HISTORY_MOVE ? thing->state == 1 || thing->state == 2 : thing->state == from;
    if (!may) {
        story_tells (&op->result, CODE_STATE, thing);
        return;
    }
    if (op->f == HISTORY_MOVE) {
        if (!story_fits (story, op, thing->customer, op->thing + 1, &op->result))
            return;
        memcpy (thing->items, op->items, sizeof thing->items);
        thing->items_count = op->items_count;
    } else {
        thing->state = op->f == HISTORY_CANCEL ? 5 : op->f == HISTORY_RELEASE ? 3 : 2;
    }
    thing->version++;
    story_tells (&op->result, CODE_OK, thing);
}

static inline void story_stock (struct story *story, struct story_op *op)
{
    unsigned who;
    if (story_taken (story, STORY_DISH, 0, 0, &who) > op->capacity) {
        op->result = (struct story_result){.code = CODE_BELOW_COMMITTED};
        return;
    }
    story->capacity = op->capacity;
    op->result = (struct story_result){.code = CODE_OK, .version = ++story->dish_version};
}

static inline void story_read (struct story *story, struct story_op *op)
{
    struct story_result *result = &op->result;
    *result = (struct story_result){.code = CODE_OK};
    if (op->f == HISTORY_READ) {
        const struct story_thing *thing = &story->things[op->thing];
        if (!thing->is) {
            result->code = CODE_NOT_FOUND;
            return;
        }
        story_tells (result, CODE_OK, thing);
        memcpy (result->items, thing->items, sizeof result->items);
        result->items_count = thing->items_count;
        result->customer = thing->customer;
        return;
    }
    if (op->f == HISTORY_LIST) {
        for (unsigned i = 0; i < story->things_count; i++) {
            const struct story_thing *thing = &story->things[i];
            if (!thing->is || thing->order || thing->customer != op->customer)
                continue;
            unsigned *row = result->list[result->list_count++];
            row[0] = i;
            row[1] = thing->state;
            row[2] = thing->version;
        }
        return;
    }
    for (unsigned i = 0; i < op->items_count; i++) {
        unsigned who, offer = op->items[i].offer, held = 0;
        for (unsigned t = 0; t < story->things_count; t++)
            for (unsigned k = 0; k < story->things[t].items_count; k++)
                if (story->things[t].is && !story->things[t].order && story->things[t].state == 1 &&
                    story->things[t].items[k].offer == offer && story->things[t].items[k].bucket == op->items[i].bucket)
                    held += story->things[t].items[k].quantity;
        result->rows[i][0] = offer == STORY_DISH ? story->capacity : 1;
        result->rows[i][1] = held;
        result->rows[i][2] = story_taken (story, offer, op->items[i].bucket, 0, &who) - held;
    }
}

static inline bool story_same_body (const struct story_op *a, const struct story_op *b)
{
    return a->f == b->f && a->thing == b->thing && a->customer == b->customer && a->note == b->note &&
           a->event == b->event && a->expect == b->expect && a->capacity == b->capacity && a->mode == b->mode &&
           a->items_count == b->items_count && memcmp (a->items, b->items, sizeof a->items) == 0;
}

static inline void story_happens (struct story *story, unsigned number)
{
    struct story_op *op = &story->ops[number];
    if (!history_is_write (op->f)) {
        story_read (story, op);
        return;
    }
    struct story_record *record = &story->records[op->f == HISTORY_OUTCOME ? op->of : op->id];
    if (op->f == HISTORY_OUTCOME) {
        if (!record->is)
            *record = (struct story_record){.is = true, .fenced = true, .by = number};
        op->result = record->result;
        op->result.fenced = record->fenced;
        return;
    }
    if (record->is && record->fenced) {
        op->result = (struct story_result){.code = CODE_FENCED, .replayed = true};
    } else if (record->is && !story_same_body (&story->ops[record->by], op)) {
        op->result = (struct story_result){.code = CODE_KEY_REUSED};
    } else if (record->is) {
        op->result = record->result;
        op->result.replayed = true;
    } else {
        if (op->f == HISTORY_BOOK || op->f == HISTORY_ORDER)
            story_make (story, op);
        else if (op->f == HISTORY_STOCK)
            story_stock (story, op);
        else
            story_change (story, op);
        *record = (struct story_record){.is = true, .by = number, .result = op->result};
    }
}

/* ---- what clients do */

static inline struct story_item story_any_item (struct story *story, unsigned offer)
{
    return (struct story_item){
        .offer = offer, .bucket = offer == STORY_DISH ? 0 : story_below (story, STORY_BUCKETS), .quantity = 1};
}

static inline void story_choose_write (struct story *story, struct story_op *op, unsigned dice)
{
    op->id = story->ids_count++;
    if (dice < 35 || story->things_count == 0) {
        op->f = HISTORY_BOOK;
        op->mode = story_below (story, 4) == 0 ? 1 : 2;
        op->items[op->items_count++] = story_any_item (story, STORY_HOTEL);
        if (story_below (story, 2) == 0) { /* a pair: the same slot of both */
            op->items[op->items_count++] = op->items[0];
            op->items[1].offer = STORY_BAND;
        } else if (story_below (story, 2) == 0) {
            op->items[0].offer = STORY_BAND;
        }
    } else if (dice < 45) {
        op->f = HISTORY_ORDER;
        op->items[op->items_count++] = story_any_item (story, STORY_DISH);
        op->items[0].quantity = 1 + story_below (story, 2);
    } else if (dice < 50) {
        op->f = HISTORY_STOCK;
        op->items[op->items_count++] = story_any_item (story, STORY_DISH);
        op->capacity = 2 + story_below (story, 5);
    } else {
        op->thing = story_below (story, story->things_count);
        if (story->things[op->thing].order) {
            op->f = HISTORY_ADVANCE;
            op->event = 1 + story_below (story, 5);
            op->expect = story_below (story, 2) == 0 ? 0 : story->things[op->thing].version;
        } else {
            static const enum history_f f[] = {
                HISTORY_CANCEL, HISTORY_CANCEL, HISTORY_MOVE, HISTORY_CONFIRM, HISTORY_RELEASE};
            op->f = f[story_below (story, 5)];
            if (op->f == HISTORY_MOVE)
                op->items[op->items_count++] = story_any_item (story, story_below (story, 2));
        }
    }
    if (op->f != HISTORY_BOOK && op->f != HISTORY_ORDER)
        return;
    if (dice == 1 && op->f == HISTORY_BOOK && !story->things[0].order) {
        op->thing = 0; /* under another request id: there it is already, mostly */
        return;
    }
    op->customer = story_below (story, STORY_CUSTOMERS);
    op->thing = story->things_count++;
    story->things[op->thing].order = op->f == HISTORY_ORDER;
}

static inline void story_choose (struct story *story, struct story_op *op)
{
    unsigned dice = story_below (story, 100);
    if (dice < 60 || story->things_count == 0) {
        story_choose_write (story, op, story_below (story, 80));
    } else if (dice < 75) {
        op->f = HISTORY_READ;
        op->thing = story_below (story, story->things_count);
        op->of_order = story->things[op->thing].order;
    } else if (dice < 83) {
        op->f = HISTORY_CHECK;
        op->items[op->items_count++] = story_any_item (story, story_below (story, STORY_OFFERS));
        if (op->items[0].offer == STORY_HOTEL) {
            op->items[op->items_count++] = op->items[0];
            op->items[1].offer = STORY_BAND;
        }
    } else if (dice < 87) {
        op->f = HISTORY_LIST;
        op->customer = story_below (story, STORY_CUSTOMERS);
    } else { /* the same request id again: as it was, with another body, or asked about */
        unsigned from = story->ops_count > 12 ? story->ops_count - 12 : 0;
        const struct story_op *old = &story->ops[from + story_below (story, story->ops_count - from)];
        if (!history_is_write (old->f) || old->f == HISTORY_OUTCOME) {
            op->f = HISTORY_LIST;
            return;
        }
        struct story_op fresh = *old;
        fresh.client = op->client;
        fresh.begin = op->begin;
        fresh.point = op->point;
        fresh.end = op->end;
        fresh.result = (struct story_result){0};
        fresh.blocker = 0;
        *op = fresh;
        if (dice < 90 && old->f == HISTORY_BOOK) {
            op->note++;
        } else if (dice >= 96) {
            *op = (struct story_op){.client = fresh.client,
                .begin = fresh.begin,
                .f = HISTORY_OUTCOME,
                .id = story->ids_count++,
                .of = old->id,
                .of_order = old->f == HISTORY_ORDER || old->f == HISTORY_ADVANCE};
        }
    }
}

/* Final reads: everything, one after another, when nothing else is under way. */
static inline void story_finish (struct story *story, uint64_t now)
{
    unsigned things = story->things_count;
    for (unsigned i = 0; i < things + 2 * STORY_BUCKETS + 1; i++) {
        maitre_assert (story->ops_count < STORY_OPS);
        struct story_op *op = &story->ops[story->ops_count++];
        *op = (struct story_op){.client = STORY_CLIENTS,
            .begin = now + i * 10 + 1,
            .point = now + i * 10 + 2,
            .end = now + i * 10 + 3,
            .f = i < things ? HISTORY_READ : HISTORY_CHECK,
            .thing = i < things ? i : 0,
            .final = true};
        if (i < things) {
            op->of_order = story->things[i].order;
        } else {
            unsigned n = i - things;
            op->items_count = 1;
            op->items[0] = (struct story_item){.offer = n / STORY_BUCKETS, .bucket = n % STORY_BUCKETS, .quantity = 1};
        }
        story_happens (story, story->ops_count - 1);
    }
}

/* `calls` operations of `clients` clients; `faults` percent of the writes fail or get no answer. */
static inline void story_tell (struct story *story, uint64_t seed, unsigned clients, unsigned calls, unsigned faults)
{
    uint64_t free_at[STORY_CLIENTS] = {0}, last = 0;
    *story = (struct story){.capacity = 4, .dish_version = 1, .random = seed};
    for (;;) {
        /* The next thing to happen: a client that begins, or a point that has come. */
        unsigned client = 0, pending = STORY_OPS;
        for (unsigned i = 1; i < clients; i++)
            client = free_at[i] < free_at[client] ? i : client;
        for (unsigned i = 0; i < story->ops_count; i++)
            if (story->ops[i].point != 0 && story->ops[i].result.code == CODE_NONE &&
                (pending == STORY_OPS || story->ops[i].point < story->ops[pending].point))
                pending = i;
        if (pending != STORY_OPS && story->ops[pending].point == STORY_FOREVER)
            pending = STORY_OPS;
        bool begins = story->ops_count < calls;
        if (pending == STORY_OPS && !begins)
            break;
        if (pending != STORY_OPS && (!begins || story->ops[pending].point <= free_at[client])) {
            last = story->ops[pending].point > last ? story->ops[pending].point : last;
            story_happens (story, pending);
            if (story->ops[pending].result.code == CODE_NONE) /* an outcome that fenced */
                story->ops[pending].result.code = CODE_FENCED;
            continue;
        }
        struct story_op op = {.client = client, .begin = free_at[client] + 1 + story_below (story, 40)};
        story_choose (story, &op);
        op.point = op.begin + 1 + story_below (story, 60);
        op.end = op.point + 1 + story_below (story, 60);
        op.fate = STORY_ANSWERED;
        if (history_is_write (op.f) && story_below (story, 100) < faults) {
            op.fate = story_below (story, 2) == 0 ? STORY_FAILED : STORY_LOST;
            unsigned late = story_below (story, 3);
            if (op.fate == STORY_FAILED || late == 0)
                op.point = STORY_FOREVER;
            else if (late == 1)
                op.point += 500; /* long after its client gave up */
        } else if (!history_is_write (op.f) && story_below (story, 100) < faults) {
            op.fate = STORY_FAILED;
        }
        free_at[client] = op.end;
        last = op.end > last ? op.end : last;
        story->ops[story->ops_count++] = op;
    }
    story_finish (story, last + 1000);
}

#endif
