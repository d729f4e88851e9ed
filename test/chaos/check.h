/* The checker: what a history of maitred's services must obey, and what to say when it does not.
 *
 * Room: test/chaos. Ownership: a world borrows its history; a report owns its texts. Thread safety: none shared.
 *
 *   check_world.c     the services as one client sees them: state in cells, one operation a step, undone at will
 *   check_plan.c      demand of one operation on counters, and what it is refused with
 *   check_split.c     the history into parts that share no cell: each is judged by itself
 *   check_search.c    is there an order of a part that explains every answer?
 *   check_sums.c      the same promises counted up without any search: a second opinion
 *   check_shrink.c    the fewest answers that contradict each other
 *   check_tell.c      those in words
 *   check.c           all of it in order
 *
 * Invariants
 *   1. Two parts have no cell in common, so that their orders are independent (linearizability is local).
 *   2. The services' rules are written down here a second time, on purpose, from services.md and the headers of
 *      node/services: nothing of the node is linked.
 */
#ifndef MAITRED_TEST_CHAOS_CHECK_H
#define MAITRED_TEST_CHAOS_CHECK_H

#include "test/chaos/check_search.h"
#include "test/chaos/history.h"

/* ---- world */

enum check_cell {
    CELL_COUNTER = 1, /* offer, bucket: capacity 24 bits | confirmed 20 | held 20 */
    CELL_USAGE,       /* offer, customer: units; of offers with a limit */
    CELL_ENTITY,      /* reservation or order: state 8 | version 24 | basket 32; 0: there is none */
    CELL_OWNER,       /* its customer + 1 */
    CELL_ID,          /* request id: the result that is recorded; of ids in more than one operation */
    CELL_BODY,        /* its body + 1 */
    CELL_OFFER,       /* offer: version */
    CELL_CUSTOMER,    /* ties what a list of that customer must show; always 0 */
};

#define CHECK_COUNTER(capacity, confirmed, held) ((uint64_t) (capacity) << 40 | (uint64_t) (confirmed) << 20 | (held))
#define CHECK_UNITS_MAX ((1u << 20) - 1)
#define CHECK_PLAN_MAX 512 /* buckets of one operation */

struct check_trail {
    uint32_t cell;
    uint64_t before;
};

struct check_world {
    const struct history *history;
    bool without_limits; /* no offer has a limit per customer: a weaker world */
    uint64_t *cells;
    uint8_t *kinds; /* by cell */
    uint32_t cells_count, cells_room;
    uint64_t *keys; /* by slot: packed key, 0: free; values beside */
    uint32_t *key_cells;
    size_t keys_size;
    struct check_trail *trail;
    size_t trail_count, trail_room;
    size_t *marks;
    size_t marks_count, marks_room;
    uint64_t sum[2];
    bool *shared;       /* by request id: in more than one operation */
    bool *listed;       /* by customer */
    uint32_t *made_by;  /* by entity: the last operation that would make it + 1, 0: none */
    uint32_t *made_too; /* by operation: the one before it that would make the same, + 1 */
    uint32_t *theirs;   /* entities of listed customers: by customer a list through theirs_next */
    uint32_t *theirs_next, *theirs_entity;
    size_t theirs_count;
};

/* False: history->error says why this history is beyond the model. */
bool check_world_open (struct check_world *world, struct history *history);
void check_world_close (struct check_world *world);
struct search_model check_world_model (struct check_world *world); /* tags are indices of operations */

uint32_t check_cell (struct check_world *world, enum check_cell kind, uint32_t a, uint32_t b); /* makes it */
uint32_t check_cell_find (const struct check_world *world, enum check_cell kind, uint32_t a, uint32_t b);
void check_cell_set (struct check_world *world, uint32_t cell, uint64_t value);

enum search_step check_world_apply (void *world, uint32_t op, bool loose);
void check_world_undo (void *world);

/* ---- plan */

struct check_demand {
    uint32_t cell, offer, bucket;
    int64_t held, confirmed, given;
};
struct check_use {
    uint32_t cell, offer;
    int64_t units, given;
};
struct check_plan {
    struct check_demand demands[CHECK_PLAN_MAX];
    struct check_use uses[HISTORY_ITEMS_MAX * 2];
    size_t demands_count, uses_count;
    uint32_t customer;
};
void check_plan_open (struct check_plan *plan, uint32_t customer);
/* Adds the items of a basket, times sign, as held or confirmed. */
void check_plan_add (struct check_world *world, struct check_plan *plan, uint32_t basket, bool held, int sign);
/* 0 when all fits, else the refusal. */
uint64_t check_plan_judge (struct check_world *world, const struct check_plan *plan);
void check_plan_commit (struct check_world *world, const struct check_plan *plan);
uint32_t check_basket_size (const struct history *history, uint32_t basket);

/* ---- parts */

struct check_part {
    uint32_t *ops; /* in order of invocation; writes of unknown outcome among them, failed ones not */
    uint32_t count;
};
struct check_parts {
    struct check_part *parts;
    size_t count;
    uint32_t *ops;
    uint32_t *part_of; /* by operation: part + 1, 0: it binds nothing */
};
void check_split (struct check_world *world, struct check_parts *parts);
void check_parts_close (struct check_parts *parts);

/* Cells that an operation may read or write, at most max of them; returns how many. */
size_t check_cells_of (struct check_world *world, uint32_t op, uint32_t *cells, size_t max);

/* ---- verdicts */

#define CHECK_VIOLATIONS_MAX 5

struct check_violation {
    char headline[400];
    uint32_t *ops; /* the operations whose answers contradict each other, in order of invocation */
    size_t count;
    size_t part_size;
    bool minimal; /* leaving out any one of them would explain the others */
};
struct check_report {
    enum search_verdict verdict;
    struct check_violation violations[CHECK_VIOLATIONS_MAX];
    size_t violations_count, violations_total, undecided;
    bool incomplete; /* nothing is wrong with what is there, but the final reads are missing: no verdict on the rest */
    uint64_t by_end[4], parts, largest_part, states, entities, entities_read, resolved;
    double seconds;
};
struct check_options {
    uint64_t limit_ns; /* for everything, 0: none */
    bool part;         /* a part of a history is meant: it need not have the final reads */
};

/* NULL, or why there is nothing in it that could be judged. A history that was read may be empty. */
const char *check_nothing (const struct history *history);

void check_history (struct history *history, const struct check_options *options, struct check_report *report);
void check_report_close (struct check_report *report);

/* ---- shrink and tell */

/* The part has no order that explains it. Fills ops, count and minimal. */
void check_shrink (struct check_world *world, struct search *search, const struct check_part *part, uint64_t limit_ns,
    struct check_violation *violation);

/* A few words about what contradicts what, into violation->headline. */
void check_headline (const struct history *history, struct check_violation *violation);

/* One operation as a sentence without end: "client 3 booked slot 14 of h1 (reservation ..): ok, confirmed, version 1". */
void check_tell (const struct history *history, uint32_t op, char *text, size_t size);

/* ---- sums */

/* The first thing that does not add up, as a headline with its operations; false when all does. */
bool check_sums (const struct history *history, struct check_violation *violation);

#endif
