/* From a part that no order explains to the few answers that contradict each other.
 *
 * Leaving an operation out is only sound when the rest of a correct history stays correct without it: so for reads, which change
 * nothing. A write is instead made loose: its answer is forgotten, and it may come at any time after its begin, or never.
 * What is still a contradiction then is one whatever the loose ones did, and they need not be told. A write that was
 * refused is made loose, too: to leave it out would claim that it had no effect.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/check.h"

#define CELLS_MAX 4096
#define TRIAL_STATES_MAX 200000

enum mode { FULL, LOOSE, GONE };

struct shrink {
    struct check_world *world;
    struct search *search;
    const uint32_t *ops;
    size_t count;
    uint8_t *modes, *relevant;
    uint32_t *cells; /* of all operations, one after another */
    size_t *cells_at;
    uint8_t *marked; /* by cell */
    struct search_op *trial;
    uint32_t *trial_ops;
    uint64_t deadline_ns, cut_ns; /* nothing that begins after cut_ns counts */
    bool doubtful;
};

static const struct history_op *op_of (const struct shrink *shrink, size_t i)
{
    return &shrink->world->history->ops[shrink->ops[i]];
}

static void gather_cells (struct shrink *shrink)
{
    uint32_t cells[CELLS_MAX];
    size_t room = 1024, used = 0;
    shrink->cells = malloc (room * sizeof *shrink->cells);
    for (size_t i = 0; i < shrink->count; i++) {
        size_t count = check_cells_of (shrink->world, shrink->ops[i], cells, CELLS_MAX);
        while (used + count > room) {
            room *= 2;
            shrink->cells = realloc (shrink->cells, room * sizeof *shrink->cells);
        }
        maitre_assert (shrink->cells != NULL);
        shrink->cells_at[i] = used;
        memcpy (shrink->cells + used, cells, count * sizeof cells[0]);
        used += count;
    }
    shrink->cells_at[shrink->count] = used;
}

static bool counts (const struct shrink *shrink, uint32_t cell)
{
    return !shrink->world->without_limits || shrink->world->kinds[cell] != CELL_USAGE;
}

static void mark (struct shrink *shrink, size_t i, bool on)
{
    for (size_t k = shrink->cells_at[i]; k < shrink->cells_at[i + 1]; k++)
        if (counts (shrink, shrink->cells[k]))
            shrink->marked[shrink->cells[k]] = on;
    shrink->relevant[i] = on;
}

static bool touches (const struct shrink *shrink, size_t i)
{
    for (size_t k = shrink->cells_at[i]; k < shrink->cells_at[i + 1]; k++)
        if (shrink->marked[shrink->cells[k]])
            return true;
    return false;
}

/* A loose operation matters only if it shares a cell with an answer that counts, or with another that does. */
static void find_relevant (struct shrink *shrink)
{
    memset (shrink->relevant, 0, shrink->count);
    for (size_t i = 0; i < shrink->count; i++)
        if (shrink->modes[i] == FULL)
            mark (shrink, i, true);
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < shrink->count; i++) {
            if (shrink->modes[i] != LOOSE || shrink->relevant[i] || !touches (shrink, i))
                continue;
            mark (shrink, i, true);
            more = true;
        }
    }
    for (size_t i = 0; i < shrink->count; i++)
        for (size_t k = shrink->cells_at[i]; k < shrink->cells_at[i + 1]; k++)
            shrink->marked[shrink->cells[k]] = false;
}

static enum search_verdict run (struct shrink *shrink, uint64_t states_max, size_t *stuck)
{
    const struct search_model model = check_world_model (shrink->world);
    const struct search_bounds bounds = {.states_max = states_max, .deadline_ns = shrink->deadline_ns};
    size_t count = 0;
    uint64_t states = 0;
    find_relevant (shrink);
    for (size_t i = 0; i < shrink->count; i++) {
        const struct history_op *op = op_of (shrink, i);
        if (!shrink->relevant[i] || op->begin_ns > shrink->cut_ns)
            continue;
        bool loose = shrink->modes[i] == LOOSE || op->end_ns > shrink->cut_ns;
        if (loose && !history_is_write (op->f))
            continue;
        shrink->trial_ops[count] = (uint32_t) i;
        shrink->trial[count++] = (struct search_op){op->begin_ns, op->end_ns, shrink->ops[i], loose};
    }
    enum search_verdict verdict = search_run (shrink->search, &model, shrink->trial, count, &bounds, stuck, &states);
    if (stuck != NULL && verdict == SEARCH_VIOLATION)
        *stuck = shrink->trial_ops[*stuck];
    return verdict;
}

static bool still (struct shrink *shrink)
{
    enum search_verdict verdict = run (shrink, TRIAL_STATES_MAX, NULL);
    shrink->doubtful = shrink->doubtful || verdict == SEARCH_UNDECIDED;
    return verdict == SEARCH_VIOLATION;
}

/* What an operation becomes when its answer no longer counts. */
static enum mode weaker (const struct history_op *op)
{
    return history_is_write (op->f) ? LOOSE : GONE;
}

static size_t full_count (const struct shrink *shrink)
{
    size_t count = 0;
    for (size_t i = 0; i < shrink->count; i++)
        count += shrink->modes[i] == FULL ? 1 : 0;
    return count;
}

/* Weakens the `size` full ones from number `from` on, unless that explains the rest. */
static bool try_chunk (struct shrink *shrink, size_t from, size_t size)
{
    uint8_t *before = malloc (shrink->count);
    size_t at = 0;
    maitre_assert (before != NULL);
    memcpy (before, shrink->modes, shrink->count);
    for (size_t i = 0; i < shrink->count; i++)
        if (before[i] == FULL && at++ >= from && at <= from + size)
            shrink->modes[i] = (uint8_t) weaker (op_of (shrink, i));
    bool fine = still (shrink);
    if (!fine)
        memcpy (shrink->modes, before, shrink->count);
    free (before);
    return fine;
}

static void minimise (struct shrink *shrink)
{
    size_t size = full_count (shrink);
    bool gone_some = true;
    while (size > 1 || gone_some) {
        size = size > 1 ? (size + 1) / 2 : 1;
        gone_some = false;
        if (size == 1)
            shrink->doubtful = false;
        for (size_t from = 0; from < full_count (shrink) && history_now_ns () < shrink->deadline_ns;) {
            bool gone = try_chunk (shrink, from, size);
            gone_some = gone_some || gone;
            from += gone ? 0 : size;
        }
        if (history_now_ns () >= shrink->deadline_ns) {
            shrink->doubtful = true;
            return;
        }
    }
}

/* The latest end that nothing passes ends the story. */
static bool cut (struct shrink *shrink)
{
    size_t stuck = 0;
    if (run (shrink, 0, &stuck) != SEARCH_VIOLATION)
        return false;
    shrink->cut_ns = op_of (shrink, stuck)->end_ns;
    return true;
}

/* A contradiction that does not need the limits per customer is told without them. */
static void drop_limits (struct shrink *shrink)
{
    uint8_t *before = malloc (shrink->count);
    maitre_assert (before != NULL);
    memcpy (before, shrink->modes, shrink->count);
    shrink->world->without_limits = true;
    for (size_t i = 0; i < shrink->count; i++) {
        const struct history_op *op = op_of (shrink, i);
        if (op->end != HISTORY_UNKNOWN && history_code (op->result) == CODE_USER_LIMIT)
            shrink->modes[i] = op->f == HISTORY_OUTCOME ? LOOSE : GONE;
    }
    if (!still (shrink)) {
        shrink->world->without_limits = false;
        memcpy (shrink->modes, before, shrink->count);
    }
    free (before);
}

static bool already (const struct check_violation *violation, uint32_t op)
{
    for (size_t i = 0; i < violation->count; i++)
        if (violation->ops[i] == op)
            return true;
    return false;
}

/* Where what the contradiction is about comes from, also when the call that would have made it failed. */
static void add_makers (const struct check_world *world, struct check_violation *violation, uint64_t cut_ns)
{
    size_t count = violation->count;
    for (size_t i = 0; i < count; i++) {
        const struct history_op *op = &world->history->ops[violation->ops[i]];
        if (op->entity == HISTORY_NONE)
            continue;
        for (uint32_t at = world->made_by[op->entity]; at != 0; at = world->made_too[at - 1])
            if (world->history->ops[at - 1].begin_ns <= cut_ns && !already (violation, at - 1) &&
                violation->count < count * 3)
                violation->ops[violation->count++] = at - 1;
    }
}

static int by_number (const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;
    return x < y ? -1 : x > y;
}

static void finish (struct shrink *shrink, struct check_violation *violation)
{
    violation->ops = malloc ((shrink->count * 3 + 1) * sizeof *violation->ops);
    maitre_assert (violation->ops != NULL);
    for (size_t i = 0; i < shrink->count; i++)
        if (shrink->modes[i] == FULL && op_of (shrink, i)->begin_ns <= shrink->cut_ns)
            violation->ops[violation->count++] = shrink->ops[i];
    add_makers (shrink->world, violation, shrink->cut_ns);
    qsort (violation->ops, violation->count, sizeof *violation->ops, by_number);
    violation->part_size = shrink->count;
    violation->minimal = !shrink->doubtful;
}

void check_shrink (struct check_world *world, struct search *search, const struct check_part *part, uint64_t limit_ns,
    struct check_violation *violation)
{
    size_t count = part->count;
    struct shrink shrink = {.world = world,
        .search = search,
        .ops = part->ops,
        .count = count,
        .modes = calloc (count, 1),
        .relevant = calloc (count, 1),
        .cells_at = calloc (count + 1, sizeof *shrink.cells_at),
        .marked = calloc (world->cells_count, 1),
        .trial = calloc (count, sizeof *shrink.trial),
        .trial_ops = calloc (count, sizeof *shrink.trial_ops),
        .deadline_ns = history_now_ns () + limit_ns,
        .cut_ns = HISTORY_NEVER - 1};
    maitre_assert (shrink.modes != NULL && shrink.relevant != NULL && shrink.cells_at != NULL &&
                   shrink.marked != NULL && shrink.trial != NULL && shrink.trial_ops != NULL);
    gather_cells (&shrink);
    for (size_t i = 0; i < count; i++)
        if (op_of (&shrink, i)->end == HISTORY_UNKNOWN)
            shrink.modes[i] = (uint8_t) weaker (op_of (&shrink, i));
    if (cut (&shrink)) {
        for (size_t i = 0; i < count; i++)
            if (shrink.modes[i] == FULL && op_of (&shrink, i)->end_ns > shrink.cut_ns)
                shrink.modes[i] = (uint8_t) weaker (op_of (&shrink, i));
        drop_limits (&shrink);
        minimise (&shrink);
    } else {
        shrink.doubtful = true;
    }
    finish (&shrink, violation);
    world->without_limits = false;
    free (shrink.modes);
    free (shrink.relevant);
    free (shrink.cells);
    free (shrink.cells_at);
    free (shrink.marked);
    free (shrink.trial);
    free (shrink.trial_ops);
}
