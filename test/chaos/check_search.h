/* Is there an order of these operations that explains all answers? Wing & Gong's search with Lowe's memory.
 *
 * Room: test/chaos. Source: Wing, Gong, "Testing and verifying concurrent objects" (1993); Lowe, "Testing for linearizability"
 * (2017). Depth first over the operations that may come next; a pair (set of operations done, state) is visited once.
 * Sets and states are remembered as 128-bit sums of random numbers, so that an undone step costs nothing: two different
 * ones are taken for the same with a chance of 2^-128 times the square of their number.
 *
 * A loose operation has no answer: it may come at any time after its begin, or never. Those are tried last, when nothing
 * else can come next. One that is loose and answered may be left out, too, but where it comes its answer must fit: the end of
 * a history that was cut off before that answer came.
 *
 * Ownership: a `struct search` is workspace that runs share. Thread safety: one run at a time.
 */
#ifndef MAITRED_TEST_CHAOS_CHECK_SEARCH_H
#define MAITRED_TEST_CHAOS_CHECK_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum search_step { SEARCH_NO, SEARCH_SAME, SEARCH_CHANGED };
enum search_verdict { SEARCH_FINE, SEARCH_VIOLATION, SEARCH_UNDECIDED };

struct search_op {
    uint64_t begin, end; /* a precedes b when a.end < b.begin; of loose ones the end does not count */
    uint32_t tag;        /* the model's */
    bool loose, answered;
};

struct search_model {
    void *user;
    /* Does the operation next, if its answer fits; SEARCH_NO leaves the state alone, the others can be undone. */
    enum search_step (*apply) (void *user, uint32_t tag, bool loose);
    void (*undo) (void *user); /* the last step that was not undone yet */
    void (*hash) (void *user, uint64_t sum[2]);
};

struct search_bounds {
    uint64_t states_max;  /* 0: 10,000,000 */
    uint64_t deadline_ns; /* monotonic, 0: none */
};

struct search;

struct search *search_new (void);
void search_destroy (struct search **search);

/* ops in the order of their begins. The model is in its first state before and after. *stuck (may be NULL), after a
 * violation: the operation whose end nothing could pass, the latest there is; everything that begins later has no part in it.
 * *states is added to. */
enum search_verdict search_run (struct search *search, const struct search_model *model, const struct search_op *ops,
    size_t count, const struct search_bounds *bounds, size_t *stuck, uint64_t *states);

#endif
