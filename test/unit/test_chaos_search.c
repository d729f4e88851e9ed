/* The search of chaos_check against brute force, on small histories of a register that counts. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "test/chaos/check_search.h"

#define OPS_MAX 7
#define HISTORIES 40000

enum kind { WRITE, READ, ADD }; /* add: answers the value before */

struct toy_op {
    enum kind kind;
    unsigned value, answer;
};
struct toy {
    struct toy_op ops[OPS_MAX];
    unsigned value, trail[OPS_MAX * 4];
    size_t depth;
};

static uint64_t random_state;

static unsigned below (unsigned bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned) (random_state % bound);
}

/* The value after, or -1 when the answer does not fit. */
static int after (const struct toy_op *op, unsigned value, bool loose)
{
    switch (op->kind) {
    case WRITE:
        return (int) op->value;
    case READ:
        return op->answer == value ? (int) value : -1;
    case ADD:
    default:
        return loose || op->answer == value ? (int) ((value + op->value) % 4) : -1;
    }
}

static enum search_step apply (void *user, uint32_t tag, bool loose)
{
    struct toy *toy = user;
    int next = after (&toy->ops[tag], toy->value, loose);
    if (next < 0)
        return SEARCH_NO;
    bool same = (unsigned) next == toy->value;
    toy->trail[toy->depth++] = toy->value;
    toy->value = (unsigned) next;
    return same ? SEARCH_SAME : SEARCH_CHANGED;
}

static void undo (void *user)
{
    struct toy *toy = user;
    toy->value = toy->trail[--toy->depth];
}

static void hash (void *user, uint64_t sum[2])
{
    const struct toy *toy = user;
    sum[0] = toy->value + 1;
    sum[1] = toy->value * 77 + 5;
}

/* Every order of every subset that leaves out loose ones only. */
static bool explains (const struct toy *toy, const struct search_op *ops, size_t count, unsigned done, unsigned value)
{
    bool finished = true;
    for (size_t i = 0; i < count; i++)
        finished = finished && ((done >> i & 1) != 0 || ops[i].loose);
    if (finished)
        return true;
    for (size_t i = 0; i < count; i++) {
        bool may = (done >> i & 1) == 0;
        for (size_t k = 0; k < count && may; k++)
            may = (done >> k & 1) != 0 || k == i || ops[k].loose || ops[k].end >= ops[i].begin;
        int next = may ? after (&toy->ops[i], value, ops[i].loose && !ops[i].answered) : -1;
        if (next >= 0 && explains (toy, ops, count, done | 1u << i, (unsigned) next))
            return true;
    }
    return false;
}

static size_t draw (struct toy *toy, struct search_op *ops)
{
    size_t count = 1 + below (OPS_MAX);
    uint64_t now = 0;
    for (size_t i = 0; i < count; i++) {
        now += below (3); /* some begin at the same time */
        toy->ops[i] = (struct toy_op){(enum kind) below (3), below (4), below (4)};
        ops[i] = (struct search_op){.begin = now,
            .end = now + below (8),
            .tag = (uint32_t) i,
            .loose = toy->ops[i].kind != READ && below (4) == 0};
        ops[i].answered = ops[i].loose && below (4) == 0;
    }
    toy->value = 0;
    toy->depth = 0;
    return count;
}

static void test_chaos_search__agrees_with_brute_force (void **state)
{
    (void) state;
    struct search *search = search_new ();
    unsigned fine = 0, violations = 0;
    random_state = 4711;
    for (unsigned n = 0; n < HISTORIES; n++) {
        static struct toy toy;
        struct search_op ops[OPS_MAX];
        const struct search_model model = {&toy, apply, undo, hash};
        const struct search_bounds bounds = {0};
        uint64_t states = 0;
        size_t count = draw (&toy, ops), stuck = SIZE_MAX;
        enum search_verdict verdict = search_run (search, &model, ops, count, &bounds, &stuck, &states);
        bool expected = explains (&toy, ops, count, 0, 0);
        assert_int_equal (verdict, expected ? SEARCH_FINE : SEARCH_VIOLATION);
        assert_int_equal (toy.depth, 0); /* all undone */
        *(expected ? &fine : &violations) += 1;
        if (expected)
            continue;
        /* What begins after the end that nothing passes has no part in the contradiction; without that end there is none. */
        struct search_op cut[OPS_MAX];
        size_t kept = 0;
        for (size_t i = 0; i < count; i++) {
            if (ops[i].begin > ops[stuck].end)
                continue;
            cut[kept] = ops[i];
            cut[kept].answered = ops[i].answered || (!ops[i].loose && ops[i].end > ops[stuck].end);
            cut[kept].loose = ops[i].loose || cut[kept].answered;
            kept++;
        }
        struct toy again = toy;
        for (size_t i = 0; i < kept; i++)
            again.ops[i] = toy.ops[cut[i].tag];
        assert_false (explains (&again, cut, kept, 0, 0));
        for (size_t i = 0; i < kept; i++)
            cut[i].tag = (uint32_t) i;
        const struct search_model cut_model = {&again, apply, undo, hash};
        assert_int_equal (search_run (search, &cut_model, cut, kept, &bounds, NULL, &states), SEARCH_VIOLATION);
    }
    search_destroy (&search);
    assert_true (fine > HISTORIES / 10 && violations > HISTORIES / 10);
}

static void test_chaos_search__says_undecided_at_its_bound (void **state)
{
    (void) state;
    static struct toy toy;
    struct search_op ops[OPS_MAX];
    const struct search_model model = {&toy, apply, undo, hash};
    const struct search_bounds bounds = {.states_max = 3};
    struct search *search = search_new ();
    uint64_t states = 0;
    memset (&toy, 0, sizeof toy);
    for (uint32_t i = 0; i < OPS_MAX; i++) {
        toy.ops[i] = (struct toy_op){ADD, 1, 0}; /* all say 0, at once: only one of them can be right */
        ops[i] = (struct search_op){.begin = i, .end = 100, .tag = i, .loose = i < OPS_MAX - 2};
    }
    assert_int_equal (search_run (search, &model, ops, OPS_MAX, &bounds, NULL, &states), SEARCH_UNDECIDED);
    assert_int_equal (toy.depth, 0);
    const struct search_bounds none = {0};
    states = 0;
    /* four in all come around to 0 again */
    assert_int_equal (search_run (search, &model, ops, OPS_MAX, &none, NULL, &states), SEARCH_FINE);
    search_destroy (&search);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_chaos_search__agrees_with_brute_force),
        cmocka_unit_test (test_chaos_search__says_undecided_at_its_bound),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
