/* Parts of a history that share no cell, found by joining the cells of each operation.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/check.h"

#define CELLS_MAX 4096

struct cells {
    uint32_t *cells;
    size_t count, max;
};

static void add (struct check_world *world, struct cells *out, enum check_cell kind, uint32_t a, uint32_t b)
{
    maitre_assert (out->count < out->max);
    out->cells[out->count++] = check_cell (world, kind, a, b);
}

static void add_counters (struct check_world *world, struct cells *out, const struct history_op *op)
{
    for (uint32_t i = 0; i < op->items_count; i++) {
        const struct history_item *item = &world->history->items[op->items + i];
        for (uint32_t n = 0; n < item->count; n++)
            add (world, out, CELL_COUNTER, item->offer, item->first + n);
    }
}

static void add_usage (struct check_world *world, struct cells *out, const struct history_op *op, uint32_t customer)
{
    for (uint32_t i = 0; i < op->items_count; i++) {
        uint32_t offer = world->history->items[op->items + i].offer;
        if (world->history->offers[offer].limit > 0)
            add (world, out, CELL_USAGE, offer, customer);
    }
}

/* Whose it is depends on which of the operations that would make it came first: usually there is one. */
static void add_usage_of_owners (struct check_world *world, struct cells *out, const struct history_op *op)
{
    for (uint32_t at = world->made_by[op->entity]; at != 0; at = world->made_too[at - 1])
        add_usage (world, out, op, world->history->ops[at - 1].customer);
}

static void add_id (struct check_world *world, struct cells *out, uint32_t id)
{
    if (!world->shared[id])
        return;
    add (world, out, CELL_ID, id, 0);
    add (world, out, CELL_BODY, id, 0);
}

static void add_entity (struct check_world *world, struct cells *out, uint32_t entity)
{
    add (world, out, CELL_ENTITY, entity, 0);
    add (world, out, CELL_OWNER, entity, 0);
}

size_t check_cells_of (struct check_world *world, uint32_t number, uint32_t *cells, size_t max)
{
    const struct history_op *op = &world->history->ops[number];
    struct cells out = {.cells = cells, .max = max};
    if (op->id != HISTORY_NONE)
        add_id (world, &out, op->id);
    if (op->of != HISTORY_NONE)
        add_id (world, &out, op->of);
    if (op->entity != HISTORY_NONE)
        add_entity (world, &out, op->entity);
    add_counters (world, &out, op);
    if (op->f == HISTORY_BOOK || op->f == HISTORY_ORDER)
        add_usage (world, &out, op, op->customer);
    if (op->f == HISTORY_MOVE)
        add_usage_of_owners (world, &out, op);
    if (op->f == HISTORY_STOCK)
        add (world, &out, CELL_OFFER, world->history->items[op->items].offer, 0);
    if (op->customer != HISTORY_NONE && op->f != HISTORY_ORDER && world->listed[op->customer])
        add (world, &out, CELL_CUSTOMER, op->customer, 0);
    for (uint32_t i = 0; op->f == HISTORY_LIST && i < op->rows_count; i++)
        add_entity (world, &out, world->history->rows[op->rows + i].entity);
    return out.count;
}

/* What says nothing and does nothing has no part in any order. */
static bool binds (const struct history_op *op)
{
    return op->end != HISTORY_FAILED && (op->end != HISTORY_UNKNOWN || history_is_write (op->f));
}

static uint32_t root_of (uint32_t *above, uint32_t cell)
{
    while (above[cell] != cell) {
        above[cell] = above[above[cell]];
        cell = above[cell];
    }
    return cell;
}

static void *room (size_t count, size_t size)
{
    void *memory = calloc (count + 1, size);
    maitre_assert (memory != NULL);
    return memory;
}

/* One cell of each operation, and all its cells joined. */
static uint32_t *join (struct check_world *world, uint32_t **above_out)
{
    const struct history *history = world->history;
    uint32_t *first = room (history->ops_count, sizeof *first), *above = NULL;
    uint32_t cells[CELLS_MAX], made = 0, above_room = 0;
    for (uint32_t i = 0; i < history->ops_count; i++) {
        size_t count = check_cells_of (world, i, cells, CELLS_MAX);
        maitre_assert (count > 0);
        if (world->cells_count > above_room) {
            above_room = world->cells_count * 2;
            above = realloc (above, above_room * sizeof *above);
            maitre_assert (above != NULL);
        }
        for (; made < world->cells_count; made++)
            above[made] = made;
        first[i] = cells[0];
        for (size_t k = 1; binds (&history->ops[i]) && k < count; k++)
            above[root_of (above, cells[k])] = root_of (above, cells[0]);
    }
    *above_out = above;
    return first;
}

void check_split (struct check_world *world, struct check_parts *parts)
{
    const struct history *history = world->history;
    uint32_t *above, *first = join (world, &above), *number = room (world->cells_count, sizeof *number);
    *parts = (struct check_parts){.ops = room (history->ops_count, sizeof *parts->ops),
        .part_of = room (history->ops_count, sizeof *parts->part_of),
        .parts = room (history->ops_count, sizeof *parts->parts)};
    for (uint32_t i = 0; i < history->ops_count; i++) {
        if (!binds (&history->ops[i]))
            continue;
        uint32_t root = root_of (above, first[i]);
        if (number[root] == 0)
            number[root] = (uint32_t) ++parts->count;
        parts->part_of[i] = number[root];
        parts->parts[number[root] - 1].count++;
    }
    uint32_t *next = parts->ops;
    for (size_t p = 0; p < parts->count; p++) {
        parts->parts[p].ops = next;
        next += parts->parts[p].count;
        parts->parts[p].count = 0;
    }
    for (uint32_t i = 0; i < history->ops_count; i++) {
        if (parts->part_of[i] == 0)
            continue;
        struct check_part *part = &parts->parts[parts->part_of[i] - 1];
        part->ops[part->count++] = i;
    }
    free (above);
    free (first);
    free (number);
}

void check_parts_close (struct check_parts *parts)
{
    free (parts->parts);
    free (parts->ops);
    free (parts->part_of);
    *parts = (struct check_parts){0};
}
