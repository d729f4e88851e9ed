/* From a part that no order explains to the few answers that contradict each other.
 *
 * Leaving an operation out is only sound when the rest of a correct history stays correct without it:
 *   what changes nothing             reads, and writes that were refused (unless their request id is used again)
 *   a whole reservation or order     all that was ever done with it, as long as no answer that is left says how much was taken:
 *                                    what was granted beside it is granted without it all the more
 *   the answer of any other write    it is made loose: it may come at any time after its begin, or never. What is still a
 *                                    contradiction then is one whatever the loose ones did, and they need not be told.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/check.h"

#define CELLS_MAX 4096
#define TRIAL_STATES_MIN 5000

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
    uint64_t states_max, states; /* of a trial; of the last run */
    uint32_t *things;            /* the reservations and orders of the part */
    size_t things_count;
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
        bool cut_off = shrink->modes[i] == FULL && op->end_ns > shrink->cut_ns;
        if (cut_off && !history_is_write (op->f))
            continue;
        shrink->trial_ops[count] = (uint32_t) i;
        shrink->trial[count++] = (struct search_op){.begin = op->begin_ns,
            .end = op->end_ns,
            .tag = shrink->ops[i],
            .loose = cut_off || shrink->modes[i] == LOOSE,
            .answered = cut_off};
    }
    enum search_verdict verdict = search_run (shrink->search, &model, shrink->trial, count, &bounds, stuck, &states);
    shrink->states = states;
    if (stuck != NULL && verdict == SEARCH_VIOLATION)
        *stuck = shrink->trial_ops[*stuck];
    return verdict;
}

static bool still (struct shrink *shrink)
{
    enum search_verdict verdict = run (shrink, shrink->states_max, NULL);
    shrink->doubtful = shrink->doubtful || verdict == SEARCH_UNDECIDED;
    return verdict == SEARCH_VIOLATION;
}

static bool changes_nothing (const struct shrink *shrink, const struct history_op *op)
{
    if (!history_is_write (op->f) || (op->f == HISTORY_OUTCOME && op->end == HISTORY_OK && op->applied))
        return true;
    return op->end == HISTORY_REFUSED && !shrink->world->shared[op->id];
}

/* What an operation becomes when its answer no longer counts. */
static enum mode weaker (const struct shrink *shrink, const struct history_op *op)
{
    return changes_nothing (shrink, op) ? GONE : LOOSE;
}

/* ---- phases: each has units that it would rather do without, tried in ever smaller chunks */

struct phase {
    size_t (*count) (struct shrink *shrink);
    void (*weaken) (struct shrink *shrink, size_t from, size_t size);
};

static bool try_chunk (struct shrink *shrink, const struct phase *phase, size_t from, size_t size)
{
    uint8_t *before = malloc (shrink->count);
    maitre_assert (before != NULL);
    memcpy (before, shrink->modes, shrink->count);
    phase->weaken (shrink, from, size);
    bool fine = memcmp (before, shrink->modes, shrink->count) != 0 && still (shrink);
    if (!fine)
        memcpy (shrink->modes, before, shrink->count);
    free (before);
    return fine;
}

static void minimise (struct shrink *shrink, const struct phase *phase)
{
    size_t size = phase->count (shrink) * 2;
    bool gone_some = true;
    while (size > 1 || gone_some) {
        size = size > 1 ? (size + 1) / 2 : 1;
        gone_some = false;
        if (size == 1)
            shrink->doubtful = false;
        for (size_t from = 0; from < phase->count (shrink);) {
            bool gone = try_chunk (shrink, phase, from, size);
            gone_some = gone_some || gone;
            from += gone ? 0 : size;
            if (history_now_ns () >= shrink->deadline_ns) {
                shrink->doubtful = true;
                return;
            }
        }
    }
}

static size_t full_count (struct shrink *shrink)
{
    size_t count = 0;
    for (size_t i = 0; i < shrink->count; i++)
        count += shrink->modes[i] == FULL ? 1 : 0;
    return count;
}

static void weaken_any (struct shrink *shrink, size_t from, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < shrink->count; i++) {
        if (shrink->modes[i] != FULL)
            continue;
        if (at >= from && at < from + size)
            shrink->modes[i] = (uint8_t) weaker (shrink, op_of (shrink, i));
        at++;
    }
}

static bool idle (const struct shrink *shrink, size_t i)
{
    return shrink->modes[i] == FULL && changes_nothing (shrink, op_of (shrink, i));
}

static size_t idle_count (struct shrink *shrink)
{
    size_t count = 0;
    for (size_t i = 0; i < shrink->count; i++)
        count += idle (shrink, i) ? 1 : 0;
    return count;
}

static void weaken_idle (struct shrink *shrink, size_t from, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < shrink->count; i++) {
        if (!idle (shrink, i))
            continue;
        if (at >= from && at < from + size)
            shrink->modes[i] = GONE;
        at++;
    }
}

/* Says how much was taken, at least: with fewer takers it might have been answered otherwise. */
static bool observes (const struct history_op *op)
{
    enum history_code code = history_code (op->result);
    return op->f == HISTORY_CHECK || op->f == HISTORY_LIST ||
           (op->end != HISTORY_UNKNOWN && (code == CODE_SOLD_OUT || code == CODE_USER_LIMIT ||
                                              code == CODE_BELOW_COMMITTED || code == CODE_STRANGE));
}

/* Marks the cells of everything that was done with these things, their request ids included. False when that is tied to
 * something that stays: by a request id, or by an answer that says how much was taken. */
static bool take_out (struct shrink *shrink, size_t from, size_t size)
{
    const struct check_world *world = shrink->world;
    bool *out = calloc (world->history->entities.count + 1, sizeof *out);
    bool *ids = calloc (world->history->ids.count + 1, sizeof *ids);
    bool fine = true;
    maitre_assert (out != NULL && ids != NULL);
    for (size_t n = from; n < from + size && n < shrink->things_count; n++)
        out[shrink->things[n]] = true;
    for (size_t i = 0; i < shrink->count; i++) {
        const struct history_op *op = op_of (shrink, i);
        if (op->entity == HISTORY_NONE || !out[op->entity])
            continue;
        mark (shrink, i, true);
        if (op->id != HISTORY_NONE)
            ids[op->id] = true;
    }
    for (size_t i = 0; i < shrink->count; i++) {
        const struct history_op *op = op_of (shrink, i);
        bool theirs = op->entity != HISTORY_NONE && out[op->entity];
        bool asks = op->of != HISTORY_NONE && ids[op->of];
        if (theirs || asks)
            shrink->modes[i] = GONE;
        else if ((op->id != HISTORY_NONE && ids[op->id]) ||
                 (shrink->modes[i] == FULL && observes (op) && touches (shrink, i)))
            fine = false;
    }
    memset (shrink->marked, 0, world->cells_count);
    free (out);
    free (ids);
    return fine;
}

static bool stays (const struct shrink *shrink, uint32_t thing)
{
    for (size_t i = 0; i < shrink->count; i++)
        if (shrink->modes[i] != GONE && op_of (shrink, i)->entity == thing)
            return true;
    return false;
}

static size_t thing_count (struct shrink *shrink)
{
    size_t kept = 0;
    for (size_t n = 0; n < shrink->things_count; n++)
        if (stays (shrink, shrink->things[n]))
            shrink->things[kept++] = shrink->things[n];
    shrink->things_count = kept;
    return kept;
}

static void weaken_things (struct shrink *shrink, size_t from, size_t size)
{
    uint8_t *before = malloc (shrink->count);
    maitre_assert (before != NULL);
    memcpy (before, shrink->modes, shrink->count);
    if (!take_out (shrink, from, size))
        memcpy (shrink->modes, before, shrink->count);
    free (before);
}

static void gather_things (struct shrink *shrink)
{
    bool *seen = calloc (shrink->world->history->entities.count + 1, sizeof *seen);
    shrink->things = malloc ((shrink->count + 1) * sizeof *shrink->things);
    maitre_assert (seen != NULL && shrink->things != NULL);
    for (size_t i = 0; i < shrink->count; i++) {
        uint32_t thing = op_of (shrink, i)->entity;
        if (thing == HISTORY_NONE || seen[thing])
            continue;
        seen[thing] = true;
        shrink->things[shrink->things_count++] = thing;
    }
    free (seen);
}

static const struct phase phases[] = {
    {idle_count, weaken_idle},
    {thing_count, weaken_things},
    {full_count, weaken_any},
};

/* The latest end that nothing passes ends the story. */
static bool cut (struct shrink *shrink)
{
    size_t stuck = 0;
    if (run (shrink, 0, &stuck) != SEARCH_VIOLATION)
        return false;
    shrink->cut_ns = op_of (shrink, stuck)->end_ns;
    shrink->states_max = TRIAL_STATES_MIN + 4 * shrink->states;
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
            shrink->modes[i] = (uint8_t) weaker (shrink, op);
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
            shrink.modes[i] = (uint8_t) weaker (&shrink, op_of (&shrink, i));
    if (cut (&shrink)) {
        for (size_t i = 0; i < count; i++)
            if (op_of (&shrink, i)->end_ns > shrink.cut_ns && !history_is_write (op_of (&shrink, i)->f))
                shrink.modes[i] = GONE;
        drop_limits (&shrink);
        gather_things (&shrink);
        for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++)
            minimise (&shrink, &phases[i]);
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
    free (shrink.things);
}
