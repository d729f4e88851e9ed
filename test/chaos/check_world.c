/* The services in cells: every change is on a trail, so that a search may take it back.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/check.h"

enum { HELD = 1, CONFIRMED = 2, RELEASED = 3, CANCELLED = 5 };
enum { PLACED = 1 };

/* order.h of the services: event, from, to, gives the stock back. */
static const uint8_t transitions[][4] = {
    {1, 1, 2, 0},    /* accept */
    {2, 1, 3, 1},    /* decline */
    {3, 1, 4, 1},    /* cancel */
    {3, 2, 4, 1},    /* */
    {3, 6, 4, 0},    /* */
    {4, 2, 6, 0},    /* prepare */
    {5, 6, 7, 0},    /* ready */
    {6, 7, 8, 0},    /* pick_up */
    {7, 7, 9, 0},    /* collect */
    {8, 8, 10, 0},   /* deliver */
    {9, 8, 11, 0},   /* fail */
    {10, 10, 12, 0}, /* return */
    {10, 9, 12, 0},  /* */
};

/* ---- cells */

static uint64_t mix (uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C (0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void add_to_sum (struct check_world *world, uint32_t cell, uint64_t value)
{
    uint64_t a = mix (value + cell * UINT64_C (0x9e3779b97f4a7c15));
    world->sum[0] ^= mix (a + UINT64_C (0x2545f4914f6cdd1d));
    world->sum[1] ^= mix (mix (value ^ UINT64_C (0xd1b54a32d192ed03)) + cell * UINT64_C (0xda942042e4dd58b5));
}

void check_cell_set (struct check_world *world, uint32_t cell, uint64_t value)
{
    if (world->cells[cell] == value)
        return;
    if (world->trail_count == world->trail_room) {
        world->trail_room = world->trail_room == 0 ? 1024 : world->trail_room * 2;
        world->trail = realloc (world->trail, world->trail_room * sizeof *world->trail);
        maitre_assert (world->trail != NULL);
    }
    world->trail[world->trail_count++] = (struct check_trail){cell, world->cells[cell]};
    add_to_sum (world, cell, world->cells[cell]);
    add_to_sum (world, cell, value);
    world->cells[cell] = value;
}

static void roll_back (struct check_world *world, size_t to)
{
    while (world->trail_count > to) {
        struct check_trail last = world->trail[--world->trail_count];
        add_to_sum (world, last.cell, world->cells[last.cell]);
        add_to_sum (world, last.cell, last.before);
        world->cells[last.cell] = last.before;
    }
}

static uint64_t cell_key (enum check_cell kind, uint32_t a, uint32_t b)
{
    maitre_assert (a < 1u << 28);
    return (uint64_t) kind << 60 | (uint64_t) a << 32 | b;
}

static size_t key_slot (const struct check_world *world, uint64_t key)
{
    size_t at = (size_t) mix (key) & (world->keys_size - 1);
    while (world->keys[at] != 0 && world->keys[at] != key)
        at = (at + 1) & (world->keys_size - 1);
    return at;
}

static void grow_keys (struct check_world *world)
{
    uint64_t *keys = world->keys;
    uint32_t *cells = world->key_cells;
    size_t size = world->keys_size;
    world->keys_size = size == 0 ? 1024 : size * 2;
    world->keys = calloc (world->keys_size, sizeof *world->keys);
    world->key_cells = malloc (world->keys_size * sizeof *world->key_cells);
    maitre_assert (world->keys != NULL && world->key_cells != NULL);
    for (size_t i = 0; i < size; i++) {
        if (keys[i] == 0)
            continue;
        size_t at = key_slot (world, keys[i]);
        world->keys[at] = keys[i];
        world->key_cells[at] = cells[i];
    }
    free (keys);
    free (cells);
}

uint32_t check_cell_find (const struct check_world *world, enum check_cell kind, uint32_t a, uint32_t b)
{
    size_t at = key_slot (world, cell_key (kind, a, b));
    maitre_assert (world->keys[at] != 0);
    return world->key_cells[at];
}

uint32_t check_cell (struct check_world *world, enum check_cell kind, uint32_t a, uint32_t b)
{
    if ((size_t) world->cells_count * 2 >= world->keys_size)
        grow_keys (world);
    uint64_t key = cell_key (kind, a, b);
    size_t at = key_slot (world, key);
    if (world->keys[at] != 0)
        return world->key_cells[at];
    if (world->cells_count == world->cells_room) {
        world->cells_room = world->cells_room == 0 ? 1024 : world->cells_room * 2;
        world->cells = realloc (world->cells, world->cells_room * sizeof *world->cells);
        world->kinds = realloc (world->kinds, world->cells_room);
        maitre_assert (world->cells != NULL && world->kinds != NULL);
    }
    world->kinds[world->cells_count] = (uint8_t) kind;
    world->keys[at] = key;
    world->key_cells[at] = world->cells_count;
    uint64_t first = 0;
    if (kind == CELL_COUNTER)
        first = CHECK_COUNTER (world->history->offers[a].capacity, 0, 0);
    else if (kind == CELL_OFFER)
        first = world->history->offers[a].version;
    world->cells[world->cells_count] = first;
    return world->cells_count++;
}

/* ---- entities */

struct entity {
    uint32_t cell, state, version, basket;
};

static bool load (const struct check_world *world, uint32_t number, struct entity *entity)
{
    entity->cell = check_cell_find (world, CELL_ENTITY, number, 0);
    uint64_t value = world->cells[entity->cell];
    entity->state = (uint32_t) (value >> 56);
    entity->version = (uint32_t) (value >> 32) & 0xffffff;
    entity->basket = (uint32_t) value;
    return value != 0;
}

static void enter (struct check_world *world, struct entity *entity, uint32_t state)
{
    entity->state = state;
    entity->version++;
    check_cell_set (
        world, entity->cell, (uint64_t) state << 56 | (uint64_t) (entity->version & 0xffffff) << 32 | entity->basket);
}

static uint64_t tells (const struct entity *entity, enum history_code code)
{
    return HISTORY_RESULT (code, entity->state, entity->version);
}

static uint32_t owner_of (const struct check_world *world, uint32_t number)
{
    return (uint32_t) world->cells[check_cell_find (world, CELL_OWNER, number, 0)] - 1;
}

/* reserve.Create and order.Place */
static uint64_t do_make (struct check_world *world, const struct history_op *op)
{
    struct check_plan plan;
    struct entity entity;
    bool hold = op->f == HISTORY_BOOK && op->mode == HELD;
    if (load (world, op->entity, &entity))
        return tells (&entity, CODE_EXISTS);
    check_plan_open (&plan, op->customer);
    check_plan_add (world, &plan, op->basket, hold, 1);
    uint64_t refusal = check_plan_judge (world, &plan);
    if (refusal != 0)
        return refusal;
    check_plan_commit (world, &plan);
    entity.basket = op->basket;
    check_cell_set (world, check_cell_find (world, CELL_OWNER, op->entity, 0), op->customer + 1);
    enter (world, &entity, op->f == HISTORY_ORDER ? PLACED : hold ? HELD : CONFIRMED);
    return tells (&entity, CODE_OK);
}

/* Confirm, Release, Cancel */
static uint64_t do_resolve (struct check_world *world, const struct history_op *op)
{
    struct check_plan plan;
    struct entity entity;
    uint32_t from = op->f == HISTORY_CANCEL ? CONFIRMED : HELD;
    uint32_t to = op->f == HISTORY_CANCEL ? CANCELLED : op->f == HISTORY_RELEASE ? RELEASED : CONFIRMED;
    if (!load (world, op->entity, &entity))
        return HISTORY_RESULT (CODE_NOT_FOUND, 0, 0);
    if (entity.state != from)
        return tells (&entity, CODE_STATE);
    check_plan_open (&plan, owner_of (world, op->entity));
    check_plan_add (world, &plan, entity.basket, from == HELD, -1);
    if (to == CONFIRMED)
        check_plan_add (world, &plan, entity.basket, false, 1);
    check_plan_commit (world, &plan);
    enter (world, &entity, to);
    return tells (&entity, CODE_OK);
}

static uint64_t do_move (struct check_world *world, const struct history_op *op)
{
    struct check_plan plan;
    struct entity entity;
    if (!load (world, op->entity, &entity))
        return HISTORY_RESULT (CODE_NOT_FOUND, 0, 0);
    if (entity.state != HELD && entity.state != CONFIRMED)
        return tells (&entity, CODE_STATE);
    check_plan_open (&plan, owner_of (world, op->entity));
    check_plan_add (world, &plan, entity.basket, entity.state == HELD, -1);
    check_plan_add (world, &plan, op->basket, entity.state == HELD, 1);
    uint64_t refusal = check_plan_judge (world, &plan);
    if (refusal != 0)
        return refusal;
    check_plan_commit (world, &plan);
    entity.basket = op->basket;
    enter (world, &entity, entity.state);
    return tells (&entity, CODE_OK);
}

static uint64_t do_advance (struct check_world *world, const struct history_op *op)
{
    struct entity entity;
    if (!load (world, op->entity, &entity))
        return HISTORY_RESULT (CODE_NOT_FOUND, 0, 0);
    if (op->expect != 0 && op->expect != entity.version)
        return tells (&entity, CODE_STALE);
    for (size_t i = 0; i < sizeof transitions / sizeof transitions[0]; i++) {
        if (transitions[i][0] != op->event || transitions[i][1] != entity.state)
            continue;
        if (transitions[i][3] != 0) {
            struct check_plan plan;
            check_plan_open (&plan, owner_of (world, op->entity));
            check_plan_add (world, &plan, entity.basket, false, -1);
            check_plan_commit (world, &plan);
        }
        enter (world, &entity, transitions[i][2]);
        return tells (&entity, CODE_OK);
    }
    return tells (&entity, CODE_STATE);
}

static uint64_t do_stock (struct check_world *world, const struct history_op *op)
{
    const struct history_item *item = &world->history->items[op->items];
    uint32_t cell = check_cell_find (world, CELL_COUNTER, item->offer, item->first);
    uint32_t offer = check_cell_find (world, CELL_OFFER, item->offer, 0);
    uint64_t counter = world->cells[cell], confirmed = counter >> 20 & CHECK_UNITS_MAX,
             held = counter & CHECK_UNITS_MAX;
    if (confirmed + held > op->capacity)
        return HISTORY_RESULT (CODE_BELOW_COMMITTED, 0, 0);
    check_cell_set (world, cell, CHECK_COUNTER (op->capacity, confirmed, held));
    check_cell_set (world, offer, world->cells[offer] + 1);
    return HISTORY_RESULT (CODE_OK, 0, world->cells[offer]);
}

static uint64_t execute (struct check_world *world, const struct history_op *op)
{
    switch ((enum history_f) op->f) {
    case HISTORY_BOOK:
    case HISTORY_ORDER:
        return do_make (world, op);
    case HISTORY_CONFIRM:
    case HISTORY_RELEASE:
    case HISTORY_CANCEL:
        return do_resolve (world, op);
    case HISTORY_MOVE:
        return do_move (world, op);
    case HISTORY_ADVANCE:
        return do_advance (world, op);
    case HISTORY_STOCK:
        return do_stock (world, op);
    default:
        maitre_assert (!"a read is no write");
        return 0;
    }
}

/* ---- reads */

static bool read_entity (struct check_world *world, const struct history_op *op)
{
    struct entity entity;
    bool there = load (world, op->entity, &entity);
    uint64_t result = there ? tells (&entity, CODE_OK) : HISTORY_RESULT (CODE_NOT_FOUND, 0, 0);
    if (((result ^ op->result) & op->mask) != 0)
        return false;
    return !there || ((op->seen_basket == HISTORY_NONE || op->seen_basket == entity.basket) &&
                         (op->seen_by == HISTORY_NONE || op->seen_by == owner_of (world, op->entity)));
}

static bool read_counters (struct check_world *world, const struct history_op *op)
{
    const struct history *history = world->history;
    for (uint32_t i = 0; i < op->items_count; i++) {
        const struct history_item *item = &history->items[op->items + i];
        const struct history_row *row = &history->rows[op->rows + i];
        uint64_t counter = world->cells[check_cell_find (world, CELL_COUNTER, item->offer, item->first)];
        if (row->a != counter >> 40 || row->b != (counter & CHECK_UNITS_MAX) ||
            row->c != (counter >> 20 & CHECK_UNITS_MAX))
            return false;
    }
    return true;
}

/* Everything that the customer has, once, as it is, and nothing else. */
static bool read_list (struct check_world *world, const struct history_op *op)
{
    uint32_t seen = 0;
    for (uint32_t at = world->theirs[op->customer]; at != 0; at = world->theirs_next[at - 1]) {
        struct entity entity;
        uint32_t number = world->theirs_entity[at - 1];
        if (!load (world, number, &entity) || owner_of (world, number) != op->customer)
            continue;
        uint32_t times = 0;
        for (uint32_t i = 0; i < op->rows_count; i++) {
            const struct history_row *row = &world->history->rows[op->rows + i];
            if (row->entity == number)
                times += row->a == entity.state && row->b == entity.version ? 1 : 2;
        }
        if (times != 1)
            return false;
        seen++;
    }
    return seen == op->rows_count;
}

static bool read (struct check_world *world, const struct history_op *op)
{
    if (op->f == HISTORY_READ)
        return read_entity (world, op);
    if (op->end != HISTORY_OK)
        return false;
    return op->f == HISTORY_CHECK ? read_counters (world, op) : read_list (world, op);
}

/* ---- writes under their request ids */

static bool outcome (struct check_world *world, const struct history_op *op, bool loose)
{
    uint32_t id = check_cell_find (world, CELL_ID, op->of, 0);
    uint64_t recorded = world->cells[id];
    if (recorded == 0) {
        recorded = HISTORY_RESULT (CODE_FENCED, 0, 0);
        check_cell_set (world, id, recorded);
    }
    if (loose)
        return true;
    if (history_code (recorded) == CODE_FENCED)
        return !op->applied;
    return op->applied && ((recorded ^ op->result) & op->mask) == 0;
}

static bool write_once (struct check_world *world, const struct history_op *op, bool loose)
{
    uint64_t result;
    bool replay = false;
    if (!world->shared[op->id]) {
        result = execute (world, op);
    } else {
        uint32_t id = check_cell_find (world, CELL_ID, op->id, 0);
        uint32_t body = check_cell_find (world, CELL_BODY, op->id, 0);
        result = world->cells[id];
        if (result == 0) {
            result = execute (world, op);
            check_cell_set (world, id, result);
            check_cell_set (world, body, op->body + 1);
        } else if (history_code (result) != CODE_FENCED && world->cells[body] != op->body + 1) {
            result = HISTORY_RESULT (CODE_KEY_REUSED, 0, 0);
        } else {
            replay = true;
        }
    }
    if (loose)
        return true;
    if (replay && op->has_replayed && !op->replayed)
        return false;
    return ((result ^ op->result) & op->mask) == 0;
}

enum search_step check_world_apply (void *user, uint32_t tag, bool loose)
{
    struct check_world *world = user;
    const struct history_op *op = &world->history->ops[tag];
    size_t before = world->trail_count;
    bool fits;
    if (!history_is_write (op->f))
        fits = read (world, op);
    else if (op->f == HISTORY_OUTCOME)
        fits = outcome (world, op, loose);
    else
        fits = write_once (world, op, loose);
    if (!fits) {
        roll_back (world, before);
        return SEARCH_NO;
    }
    if (world->marks_count == world->marks_room) {
        world->marks_room = world->marks_room == 0 ? 1024 : world->marks_room * 2;
        world->marks = realloc (world->marks, world->marks_room * sizeof *world->marks);
        maitre_assert (world->marks != NULL);
    }
    world->marks[world->marks_count++] = before;
    return world->trail_count > before ? SEARCH_CHANGED : SEARCH_SAME;
}

void check_world_undo (void *user)
{
    struct check_world *world = user;
    maitre_assert (world->marks_count > 0);
    roll_back (world, world->marks[--world->marks_count]);
}

static void hash (void *user, uint64_t sum[2])
{
    const struct check_world *world = user;
    sum[0] = world->sum[0];
    sum[1] = world->sum[1];
}

struct search_model check_world_model (struct check_world *world)
{
    return (struct search_model){.user = world, .apply = check_world_apply, .undo = check_world_undo, .hash = hash};
}

/* ---- life */

static bool beyond (struct history *history, const struct history_op *op, const char *what)
{
    snprintf (history->error, sizeof history->error, "%s", what);
    history->error_line = op->line;
    return false;
}

static bool within_bounds (struct history *history)
{
    for (size_t i = 0; i < history->ops_count; i++) {
        const struct history_op *op = &history->ops[i];
        uint64_t buckets = 0;
        for (uint32_t k = 0; k < op->items_count; k++) {
            const struct history_item *item = &history->items[op->items + k];
            buckets += item->count;
            if (item->quantity > CHECK_UNITS_MAX / 2 || history->offers[item->offer].capacity > CHECK_UNITS_MAX)
                return beyond (history, op, "more units than this checker counts");
        }
        if (op->f != HISTORY_CHECK && (buckets > CHECK_PLAN_MAX / 2 || op->items_count > HISTORY_ITEMS_MAX))
            return beyond (history, op, "more items than this checker takes in one operation");
        if (op->capacity > CHECK_UNITS_MAX)
            return beyond (history, op, "more units than this checker counts");
    }
    return true;
}

static void *zeros (size_t count, size_t size)
{
    void *memory = calloc (count + 1, size);
    maitre_assert (memory != NULL);
    return memory;
}

static void note_customer (struct check_world *world, uint32_t customer, uint32_t entity)
{
    for (uint32_t at = world->theirs[customer]; at != 0; at = world->theirs_next[at - 1])
        if (world->theirs_entity[at - 1] == entity)
            return;
    world->theirs_entity[world->theirs_count] = entity;
    world->theirs_next[world->theirs_count] = world->theirs[customer];
    world->theirs[customer] = (uint32_t) ++world->theirs_count;
}

static void index_history (struct check_world *world)
{
    const struct history *history = world->history;
    uint32_t *times = zeros (history->ids.count, sizeof *times);
    for (size_t i = 0; i < history->ops_count; i++) {
        const struct history_op *op = &history->ops[i];
        if (op->id != HISTORY_NONE && ++times[op->id] > 1)
            world->shared[op->id] = true;
        if (op->of != HISTORY_NONE)
            world->shared[op->of] = true;
        if (op->f == HISTORY_LIST)
            world->listed[op->customer] = true;
    }
    for (size_t i = 0; i < history->ops_count; i++) {
        const struct history_op *op = &history->ops[i];
        if (op->f != HISTORY_BOOK && op->f != HISTORY_ORDER)
            continue;
        world->made_too[i] = world->made_by[op->entity];
        world->made_by[op->entity] = (uint32_t) i + 1;
        if (op->f == HISTORY_BOOK && world->listed[op->customer])
            note_customer (world, op->customer, op->entity);
    }
    free (times);
}

bool check_world_open (struct check_world *world, struct history *history)
{
    *world = (struct check_world){.history = history};
    if (!within_bounds (history))
        return false;
    world->shared = zeros (history->ids.count, sizeof *world->shared);
    world->listed = zeros (history->customers.count, sizeof *world->listed);
    world->made_by = zeros (history->entities.count, sizeof *world->made_by);
    world->made_too = zeros (history->ops_count, sizeof *world->made_too);
    world->theirs = zeros (history->customers.count, sizeof *world->theirs);
    world->theirs_next = zeros (history->ops_count, sizeof *world->theirs_next);
    world->theirs_entity = zeros (history->ops_count, sizeof *world->theirs_entity);
    grow_keys (world);
    index_history (world);
    return true;
}

void check_world_close (struct check_world *world)
{
    free (world->cells);
    free (world->kinds);
    free (world->keys);
    free (world->key_cells);
    free (world->trail);
    free (world->marks);
    free (world->shared);
    free (world->listed);
    free (world->made_by);
    free (world->made_too);
    free (world->theirs);
    free (world->theirs_next);
    free (world->theirs_entity);
    *world = (struct check_world){0};
}
