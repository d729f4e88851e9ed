/* The search: one list of calls and returns of what has answers, one of what has none, a stack of what was done.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/check_search.h"

#define STATES_MAX_DEFAULT UINT64_C (10000000) /* half a gigabyte of memory */
#define NIL UINT32_MAX

/* Operation i's call is event 2 i, its return 2 i + 1; the head is the last. Loose operations are a list of their own. */
struct link {
    uint32_t next, previous;
};
struct frame {
    uint32_t op;
    bool loose;
};
struct search {
    struct link *events, *loose;
    uint32_t *order, *rank;
    struct frame *stack;
    size_t room;
    uint64_t (*memo)[2];
    size_t memo_room, memo_size, memo_count;
};
struct run {
    struct search *search;
    const struct search_model *model;
    const struct search_op *ops;
    const struct search_bounds *bounds;
    uint32_t count, head;
    size_t depth, stuck;
    uint32_t stuck_rank;
    uint64_t done[2]; /* the sum of what was done */
    uint64_t states, states_max;
};

static uint64_t mix (uint64_t z)
{
    z += UINT64_C (0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C (0x94d049bb133111eb);
    return z ^ (z >> 31);
}

struct search *search_new (void)
{
    struct search *search = calloc (1, sizeof *search);
    maitre_assert (search != NULL);
    return search;
}

void search_destroy (struct search **search)
{
    if (*search == NULL)
        return;
    free ((*search)->events);
    free ((*search)->loose);
    free ((*search)->order);
    free ((*search)->rank);
    free ((*search)->stack);
    free ((*search)->memo);
    free (*search);
    *search = NULL;
}

/* ---- memory */

static void memo_clear (struct search *search, size_t size)
{
    if (size > search->memo_room) {
        free (search->memo);
        search->memo = malloc (size * sizeof *search->memo);
        search->memo_room = size;
    }
    maitre_assert (search->memo != NULL);
    search->memo_size = size;
    search->memo_count = 0;
    memset (search->memo, 0, size * sizeof *search->memo);
}

static uint64_t *memo_slot (const struct search *search, const uint64_t key[2])
{
    size_t at = (size_t) key[0] & (search->memo_size - 1);
    while ((search->memo[at][0] | search->memo[at][1]) != 0 &&
           (search->memo[at][0] != key[0] || search->memo[at][1] != key[1]))
        at = (at + 1) & (search->memo_size - 1);
    return search->memo[at];
}

static void memo_grow (struct search *search)
{
    uint64_t (*old)[2] = search->memo;
    size_t old_size = search->memo_size;
    search->memo = NULL;
    search->memo_room = 0;
    memo_clear (search, old_size * 2);
    for (size_t i = 0; i < old_size; i++) {
        if ((old[i][0] | old[i][1]) == 0)
            continue;
        memcpy (memo_slot (search, old[i]), old[i], sizeof old[i]);
        search->memo_count++;
    }
    free (old);
}

/* True when the pair was not there yet. */
static bool memo_add (struct search *search, const uint64_t key[2])
{
    uint64_t *slot = memo_slot (search, key);
    if ((slot[0] | slot[1]) != 0)
        return false;
    memcpy (slot, key, 2 * sizeof *key);
    if (++search->memo_count * 2 > search->memo_size)
        memo_grow (search);
    return true;
}

/* ---- lists */

static void unlink_at (struct link *links, uint32_t at)
{
    links[links[at].previous].next = links[at].next;
    links[links[at].next].previous = links[at].previous;
}

static void relink_at (struct link *links, uint32_t at)
{
    links[links[at].previous].next = at;
    links[links[at].next].previous = at;
}

static void append (struct link *links, uint32_t head, uint32_t at)
{
    links[at] = (struct link){.next = head, .previous = links[head].previous};
    links[links[head].previous].next = at;
    links[head].previous = at;
}

static void set_room (struct search *search, size_t count)
{
    if (count <= search->room)
        return;
    search->room = count * 2;
    search->events = realloc (search->events, (2 * search->room + 1) * sizeof *search->events);
    search->loose = realloc (search->loose, (search->room + 1) * sizeof *search->loose);
    search->order = realloc (search->order, search->room * sizeof *search->order);
    search->rank = realloc (search->rank, search->room * sizeof *search->rank);
    search->stack = realloc (search->stack, search->room * sizeof *search->stack);
    maitre_assert (search->events != NULL && search->loose != NULL && search->order != NULL && search->rank != NULL &&
                   search->stack != NULL);
}

static int by_end (const void *a, const void *b, void *user)
{
    const struct search_op *ops = user, *x = &ops[*(const uint32_t *) a], *y = &ops[*(const uint32_t *) b];
    return x->end < y->end ? -1 : x->end > y->end;
}

/* Calls and returns by time, a call before a return of the same time: what touches is taken for concurrent. */
static void lay_out (struct run *run)
{
    struct search *search = run->search;
    uint32_t returns = 0, next = 0;
    search->events[run->head] = (struct link){run->head, run->head};
    search->loose[run->count] = (struct link){run->count, run->count};
    for (uint32_t i = 0; i < run->count; i++)
        if (!run->ops[i].loose)
            search->order[returns++] = i;
    qsort_r (search->order, returns, sizeof *search->order, by_end, (void *) run->ops);
    for (uint32_t i = 0; i < run->count; i++) {
        maitre_assert (i == 0 || run->ops[i - 1].begin <= run->ops[i].begin);
        while (next < returns && run->ops[search->order[next]].end < run->ops[i].begin)
            append (search->events, run->head, 2 * search->order[next++] + 1);
        if (run->ops[i].loose)
            append (search->loose, run->count, i);
        else
            append (search->events, run->head, 2 * i);
    }
    while (next < returns)
        append (search->events, run->head, 2 * search->order[next++] + 1);
    for (uint32_t i = 0; i < returns; i++)
        search->rank[search->order[i]] = i + 1;
}

/* ---- the walk */

/* True when the operation could be done next and leads somewhere new; it is done then. */
static bool try (struct run *run, uint32_t op, bool loose)
{
    enum search_step step = run->model->apply (run->model->user, run->ops[op].tag, loose && !run->ops[op].answered);
    if (step == SEARCH_NO)
        return false;
    uint64_t state[2], key[2], a = mix (op), b = mix (~(uint64_t) op);
    run->model->hash (run->model->user, state);
    key[0] = run->done[0] ^ a ^ mix (state[0]);
    key[1] = run->done[1] ^ b ^ mix (state[1]);
    if ((loose && step == SEARCH_SAME) || !memo_add (run->search, key)) {
        run->model->undo (run->model->user);
        return false;
    }
    run->states++;
    run->done[0] ^= a;
    run->done[1] ^= b;
    run->search->stack[run->depth++] = (struct frame){op, loose};
    if (loose) {
        unlink_at (run->search->loose, op);
    } else {
        unlink_at (run->search->events, 2 * op);
        unlink_at (run->search->events, 2 * op + 1);
    }
    return true;
}

static struct frame take_back (struct run *run)
{
    struct frame frame = run->search->stack[--run->depth];
    run->model->undo (run->model->user);
    run->done[0] ^= mix (frame.op);
    run->done[1] ^= mix (~(uint64_t) frame.op);
    if (frame.loose) {
        relink_at (run->search->loose, frame.op);
    } else {
        relink_at (run->search->events, 2 * frame.op + 1);
        relink_at (run->search->events, 2 * frame.op);
    }
    return frame;
}

/* The first return in the list: what must be done before anything that begins later. */
static uint32_t first_return (const struct run *run)
{
    uint32_t at = run->search->events[run->head].next;
    while (at % 2 == 0)
        at = run->search->events[at].next;
    return at / 2;
}

static void note_stuck (struct run *run, uint32_t op)
{
    if (run->search->rank[op] <= run->stuck_rank)
        return;
    run->stuck_rank = run->search->rank[op];
    run->stuck = op;
}

static bool spent (const struct run *run)
{
    struct timespec now;
    if (run->states >= run->states_max)
        return true;
    if (run->bounds->deadline_ns == 0 || run->states % 1024 != 0)
        return false;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec >= run->bounds->deadline_ns;
}

static enum search_verdict walk (struct run *run)
{
    struct search *search = run->search;
    uint32_t at = search->events[run->head].next; /* tried next among the calls, until the first return */
    while (search->events[run->head].next != run->head) {
        bool went = false;
        for (; at % 2 == 0 && !went; at = went ? search->events[run->head].next : search->events[at].next)
            went = try (run, at / 2, false);
        uint32_t loose = went ? run->count : search->loose[run->count].next;
        while (!went) {
            uint32_t blocked = first_return (run);
            note_stuck (run, blocked);
            while (!went && loose != run->count && run->ops[loose].begin <= run->ops[blocked].end) {
                went = try (run, loose, true);
                loose = went ? loose : search->loose[loose].next;
            }
            if (went) {
                at = search->events[run->head].next;
                break;
            }
            if (run->depth == 0)
                return SEARCH_VIOLATION;
            struct frame frame = take_back (run);
            loose = frame.loose ? search->loose[frame.op].next : run->count;
            if (frame.loose)
                continue;
            at = search->events[2 * frame.op].next;
            break;
        }
        if (went && spent (run))
            return SEARCH_UNDECIDED;
    }
    return SEARCH_FINE;
}

enum search_verdict search_run (struct search *search, const struct search_model *model, const struct search_op *ops,
    size_t count, const struct search_bounds *bounds, size_t *stuck, uint64_t *states)
{
    maitre_assert (count < UINT32_MAX / 4);
    struct run run = {.search = search,
        .model = model,
        .ops = ops,
        .bounds = bounds,
        .count = (uint32_t) count,
        .head = 2 * (uint32_t) count,
        .states_max = bounds->states_max != 0 ? bounds->states_max : STATES_MAX_DEFAULT};
    size_t memo_size = 64;
    while (memo_size < 4 * count)
        memo_size *= 2;
    set_room (search, count + 1);
    memo_clear (search, memo_size);
    lay_out (&run);
    enum search_verdict verdict = walk (&run);
    while (run.depth > 0)
        take_back (&run);
    if (stuck != NULL)
        *stuck = run.stuck;
    *states += run.states;
    return verdict;
}
