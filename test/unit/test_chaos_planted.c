/* chaos_check on stories that are right, and on the same ones bent in every way that it must see. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/chaos_story_write.h"

#define STORIES 2000
#define PLANTED 25 /* of each kind */
#define SEEDS_MAX 4000

static struct story story;

static enum search_verdict judge (const struct story *told, struct check_report *report, struct history *history)
{
    const struct check_options options = {0};
    struct bytes text = story_write (told);
    if (!history_read_text (history, text))
        fail_msg ("line %llu: %s", (unsigned long long) history->error_line, history->error);
    free ((void *) text.data);
    check_history (history, &options, report);
    return report->verdict;
}

static void print (const struct history *history, const struct check_report *report)
{
    char text[2048];
    for (size_t i = 0; i < report->violations_count; i++) {
        print_message ("%s\n", report->violations[i].headline);
        for (size_t k = 0; k < report->violations[i].count; k++) {
            check_tell (history, report->violations[i].ops[k], text, sizeof text);
            print_message ("  %s\n", text);
        }
    }
}

static void test_chaos_planted__what_is_right_passes (void **state)
{
    (void) state;
    uint64_t unknown = 0, refused = 0;
    for (uint64_t seed = 1; seed <= STORIES; seed++) {
        struct history history;
        struct check_report report;
        story_tell (&story, seed, 1 + seed % STORY_CLIENTS, 20 + (unsigned) seed % 80, seed % 4 * 8);
        if (judge (&story, &report, &history) != SEARCH_FINE) {
            print (&history, &report);
            fail_msg ("seed %llu is right", (unsigned long long) seed);
        }
        assert_int_equal (report.entities_read, report.entities);
        unknown += report.by_end[HISTORY_UNKNOWN];
        refused += report.by_end[HISTORY_REFUSED];
        check_report_close (&report);
        history_close (&history);
    }
    assert_true (unknown > STORIES && refused > STORIES * 5);
}

/* ---- what may be bent */

static bool answered (const struct story_op *op, enum history_f f, enum history_code code)
{
    return op->fate == STORY_ANSWERED && op->f == f && op->result.code == code && !op->result.replayed;
}

/* Nobody else ever touched the thing but to read it. */
static bool untouched (unsigned number)
{
    const struct story_op *own = &story.ops[number];
    for (unsigned i = 0; i < story.ops_count; i++) {
        const struct story_op *op = &story.ops[i];
        bool names =
            op->f != HISTORY_CHECK && op->f != HISTORY_LIST && op->f != HISTORY_STOCK && op->f != HISTORY_OUTCOME;
        if (i != number && history_is_write (op->f) && names && op->thing == own->thing)
            return false;
    }
    return true;
}

static struct story_op *final_read (unsigned thing)
{
    for (unsigned i = 0; i < story.ops_count; i++)
        if (story.ops[i].final && story.ops[i].f == HISTORY_READ && story.ops[i].thing == thing)
            return &story.ops[i];
    return NULL;
}

/* The planted answer stands alone: no final read gives it away. */
static void hide_final_reads (void)
{
    for (unsigned i = 0; i < story.ops_count; i++)
        story.ops[i].hidden = story.ops[i].hidden || story.ops[i].final;
}

/* Whatever else was asked about these request ids would give it away, too. */
static bool alone_with_id (unsigned number)
{
    for (unsigned i = 0; i < story.ops_count; i++) {
        const struct story_op *op = &story.ops[i];
        if (i != number && history_is_write (op->f) &&
            (op->id == story.ops[number].id || (op->f == HISTORY_OUTCOME && op->of == story.ops[number].id)))
            return false;
    }
    return true;
}

static struct story_result made (unsigned code, unsigned state, unsigned version)
{
    return (struct story_result){.code = (enum history_code) code, .state = state, .version = version};
}

/* A lasting occupant: taken before the refused one began, and not given back before it ended. */
static bool stood_all_along (const struct story_op *refused)
{
    if (refused->blocker == 0)
        return false;
    unsigned thing = refused->blocker - 1;
    bool since = false;
    for (unsigned i = 0; i < story.ops_count; i++) {
        const struct story_op *op = &story.ops[i];
        if (!history_is_write (op->f) || op->thing != thing || op->f == HISTORY_STOCK || op->f == HISTORY_OUTCOME)
            continue;
        if (op->f == HISTORY_BOOK && op->fate == STORY_ANSWERED && op->result.code == CODE_OK &&
            op->end < refused->begin)
            since = true;
        else if (op->f != HISTORY_BOOK && op->begin <= refused->end)
            return false;
    }
    return since;
}

/* ---- the bends: each changes one story, or says that it has nothing to change */

static bool bend_lost_booking (unsigned i)
{
    struct story_op *op = &story.ops[i], *read;
    if (!answered (op, HISTORY_BOOK, CODE_OK) || !untouched (i))
        return false;
    read = final_read (op->thing);
    read->result = made (CODE_NOT_FOUND, 0, 0);
    return true;
}

static bool bend_given_twice (unsigned i)
{
    struct story_op *op = &story.ops[i];
    if (!answered (op, HISTORY_BOOK, CODE_SOLD_OUT) || !stood_all_along (op) || !alone_with_id (i))
        return false;
    op->result = made (CODE_OK, op->mode, 1);
    hide_final_reads ();
    return true;
}

static bool bend_stale_read (unsigned i)
{
    struct story_op *read = &story.ops[i];
    if (!answered (read, HISTORY_READ, CODE_OK) || read->final || read->result.version < 2)
        return false;
    /* the write that made this version had ended */
    for (unsigned k = 0; k < story.ops_count; k++) {
        const struct story_op *op = &story.ops[k];
        if (!history_is_write (op->f) || op->thing != read->thing || op->f == HISTORY_OUTCOME ||
            op->f == HISTORY_STOCK || op->fate != STORY_ANSWERED || op->result.code != CODE_OK ||
            op->result.version != read->result.version || op->end >= read->begin || op->result.replayed)
            continue;
        read->result.version--;
        return true;
    }
    return false;
}

static bool bend_half_pair (unsigned i)
{
    struct story_op *op = &story.ops[i];
    if (op->f != HISTORY_CHECK || op->fate != STORY_ANSWERED || op->items_count != 2 || op->result.rows[0][2] == 0 ||
        op->result.rows[1][2] == 0)
        return false;
    op->result.rows[1][2] = 0;
    /* only where one pair holds both, and did so throughout */
    for (unsigned k = 0; k < story.ops_count; k++) {
        const struct story_op *pair = &story.ops[k];
        struct story_op probe = {.begin = op->begin, .end = op->end, .blocker = pair->thing + 1};
        if (answered (pair, HISTORY_BOOK, CODE_OK) && pair->items_count == 2 &&
            pair->items[0].bucket == op->items[0].bucket && pair->mode == 2 && stood_all_along (&probe))
            return true;
    }
    op->result.rows[1][2] = 1;
    return false;
}

static bool bend_third_booking (unsigned i)
{
    struct story_op *op = &story.ops[i];
    if (!answered (op, HISTORY_BOOK, CODE_USER_LIMIT) || !alone_with_id (i) || !untouched (i))
        return false;
    /* the final reads know of it, and of nothing wrong but the number of them */
    struct story_op *read = final_read (op->thing);
    read->result = made (CODE_OK, op->mode, 1);
    memcpy (read->result.items, op->items, sizeof op->items);
    read->result.items_count = op->items_count;
    read->result.customer = op->customer;
    op->result = made (CODE_OK, op->mode, 1);
    return true;
}

static bool bend_failed_but_done (unsigned i)
{
    struct story_op *op = &story.ops[i];
    if (!answered (op, HISTORY_BOOK, CODE_OK) || !alone_with_id (i) || !untouched (i))
        return false;
    op->fate = STORY_FAILED;
    return true;
}

static bool bend_refused_but_done (unsigned i)
{
    struct story_op *op = &story.ops[i];
    if (!answered (op, HISTORY_BOOK, CODE_OK) || !alone_with_id (i) || !untouched (i))
        return false;
    op->result = (struct story_result){
        .code = CODE_SOLD_OUT, .offer = op->items[0].offer, .bucket = op->items[0].bucket, .available = 0};
    return true;
}

static bool bend_done_twice (unsigned i)
{
    struct story_op *op = &story.ops[i];
    if (op->fate != STORY_ANSWERED || op->f != HISTORY_ADVANCE || op->result.code != CODE_OK || !op->result.replayed ||
        op->expect != 0)
        return false;
    op->result.version++; /* as if it had been done once more */
    return true;
}

static bool bend_second_outcome (unsigned i)
{
    struct story_op *op = &story.ops[i];
    if (op->fate != STORY_ANSWERED || op->f != HISTORY_BOOK || op->result.code != CODE_OK || !op->result.replayed)
        return false;
    op->result = made (CODE_EXISTS, op->mode, 1);
    return true;
}

static bool bend_other_body_taken (unsigned i)
{
    struct story_op *op = &story.ops[i];
    if (op->fate != STORY_ANSWERED || op->f != HISTORY_BOOK || op->result.code != CODE_KEY_REUSED)
        return false;
    op->result = made (CODE_OK, op->mode, 1);
    return true;
}

static bool bend_oversold (unsigned i)
{
    struct story_op *op = &story.ops[i];
    if (!answered (op, HISTORY_ORDER, CODE_SOLD_OUT) || !alone_with_id (i) || !untouched (i))
        return false;
    struct story_op *read = final_read (op->thing);
    op->result = read->result = made (CODE_OK, 1, 1);
    memcpy (read->result.items, op->items, sizeof op->items);
    read->result.items_count = op->items_count;
    read->result.customer = op->customer;
    return true;
}

static bool bend_resurrected (unsigned i)
{
    struct story_op *op = &story.ops[i], *read;
    if (!answered (op, HISTORY_CANCEL, CODE_OK))
        return false;
    read = final_read (op->thing);
    read->result.state = 2;
    read->result.version--;
    return true;
}

static bool bend_before_its_time (unsigned i)
{
    struct story_op *op = &story.ops[i], *read = NULL;
    if (!answered (op, HISTORY_CANCEL, CODE_OK))
        return false;
    for (unsigned k = 0; k < story.ops_count; k++) {
        struct story_op *other = &story.ops[k];
        if (other->thing != op->thing || k == i)
            continue;
        if (answered (other, HISTORY_READ, CODE_OK) && other->end < op->begin &&
            other->result.version + 1 == op->result.version)
            read = other;
        else if (history_is_write (other->f) && other->fate == STORY_LOST)
            return false; /* it may have been that one */
    }
    if (read == NULL)
        return false;
    read->result.state = op->result.state;
    read->result.version = op->result.version;
    return true;
}

static bool bend_phantom (unsigned i)
{
    struct story_op *op = &story.ops[i], *read;
    if (op->fate != STORY_LOST || op->f != HISTORY_BOOK || !untouched (i))
        return false;
    read = final_read (op->thing);
    if (read->result.code != CODE_OK)
        return false;
    for (unsigned k = 0; k < story.ops_count; k++) {
        if (!answered (&story.ops[k], HISTORY_READ, CODE_OK) || story.ops[k].final || story.ops[k].thing != op->thing)
            continue;
        read->result = made (CODE_NOT_FOUND, 0, 0);
        return true;
    }
    return false;
}

static bool bend_fenced_but_done (unsigned i)
{
    struct story_op *op = &story.ops[i];
    if (op->fate != STORY_ANSWERED || op->f != HISTORY_OUTCOME || op->result.fenced || op->result.code != CODE_OK)
        return false;
    op->result = (struct story_result){.code = CODE_FENCED, .fenced = true};
    return true;
}

static bool bend_other_outcome (unsigned i)
{
    struct story_op *op = &story.ops[i];
    if (op->fate != STORY_ANSWERED || op->f != HISTORY_OUTCOME || op->result.fenced || op->result.code != CODE_OK)
        return false;
    op->result.version += 1;
    return true;
}

static bool bend_hole_in_list (unsigned i)
{
    struct story_op *op = &story.ops[i];
    if (!answered (op, HISTORY_LIST, CODE_OK) || op->result.list_count == 0)
        return false;
    const unsigned *row = op->result.list[op->result.list_count - 1];
    for (unsigned k = 0; k < story.ops_count; k++) {
        if (!answered (&story.ops[k], HISTORY_BOOK, CODE_OK) || story.ops[k].thing != row[0] ||
            story.ops[k].end >= op->begin)
            continue;
        op->result.list_count--;
        return true;
    }
    return false;
}

static bool bend_skipped_version (unsigned i)
{
    struct story_op *op = &story.ops[i];
    if (!answered (op, HISTORY_CANCEL, CODE_OK))
        return false;
    op->result.version++;
    return true;
}

static bool bend_needless_refusal (unsigned i)
{
    struct story_op *op = &story.ops[i];
    if (!answered (op, HISTORY_CANCEL, CODE_OK) || !alone_with_id (i))
        return false;
    op->result = made (CODE_STATE, 5, op->result.version); /* cancelled, it says, before anybody did */
    return true;
}

static bool bend_units_vanish (unsigned i)
{
    struct story_op *op = &story.ops[i];
    if (!op->final || op->f != HISTORY_CHECK || op->items[0].offer != STORY_DISH)
        return false;
    for (unsigned k = 0; k < story.ops_count; k++)
        if (story.ops[k].fate == STORY_LOST && (story.ops[k].f == HISTORY_ORDER || story.ops[k].f == HISTORY_ADVANCE))
            return false; /* it may come just before this check */
    op->result.rows[0][2]++;
    return true;
}

static bool bend_moved_pair_split (unsigned i)
{
    struct story_op *op = &story.ops[i], *read;
    if (!answered (op, HISTORY_BOOK, CODE_OK) || op->items_count != 2 || !untouched (i))
        return false;
    read = final_read (op->thing);
    read->result.items_count = 1; /* the hotel without the band */
    return true;
}

static const struct bend {
    const char *name;
    bool (*bend) (unsigned op);
} bends[] = {
    {"an acknowledged booking is lost", bend_lost_booking},
    {"a slot is given twice", bend_given_twice},
    {"a read is stale", bend_stale_read},
    {"half a pair is seen", bend_half_pair},
    {"a pair is left without its band", bend_moved_pair_split},
    {"a customer gets one too many", bend_third_booking},
    {"what failed was done", bend_failed_but_done},
    {"what was refused was done", bend_refused_but_done},
    {"one request id, two effects", bend_done_twice},
    {"one request id, two outcomes", bend_second_outcome},
    {"a changed body is taken", bend_other_body_taken},
    {"stock is oversold", bend_oversold},
    {"a cancelled booking is back", bend_resurrected},
    {"an effect comes before its cause", bend_before_its_time},
    {"what was read vanishes", bend_phantom},
    {"what was fenced was done", bend_fenced_but_done},
    {"an outcome is not what was answered", bend_other_outcome},
    {"a list has a hole", bend_hole_in_list},
    {"a version is skipped", bend_skipped_version},
    {"a refusal has no cause", bend_needless_refusal},
    {"units do not add up", bend_units_vanish},
};

/* The first operation that can be bent, from a random place on. */
static bool plant (const struct bend *bend, uint64_t seed)
{
    unsigned from = (unsigned) (seed * 7919 % story.ops_count);
    for (unsigned i = 0; i < story.ops_count; i++)
        if (bend->bend ((from + i) % story.ops_count))
            return true;
    return false;
}

static void test_chaos_planted__every_bend_is_seen (void **state)
{
    (void) state;
    for (size_t b = 0; b < sizeof bends / sizeof bends[0]; b++) {
        unsigned planted = 0;
        size_t told = 0;
        for (uint64_t seed = 1; seed <= SEEDS_MAX && planted < PLANTED; seed++) {
            struct history history;
            struct check_report report;
            story_tell (&story, seed + 100000, 2 + seed % (STORY_CLIENTS - 1), 40 + (unsigned) seed % 60, seed % 3 * 8);
            if (!plant (&bends[b], seed))
                continue;
            planted++;
            if (judge (&story, &report, &history) != SEARCH_VIOLATION)
                fail_msg ("%s: not seen, seed %llu", bends[b].name, (unsigned long long) seed);
            assert_true (report.violations_count > 0 && report.violations[0].headline[0] != '\0');
            told += report.violations[0].count;
            if (planted == 1)
                print (&history, &report);
            check_report_close (&report);
            history_close (&history);
        }
        print_message ("%s: %u planted, %u seen, told in %.1f operations\n", bends[b].name, planted, planted,
            (double) told / planted);
        assert_int_equal (planted, PLANTED);
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_chaos_planted__what_is_right_passes),
        cmocka_unit_test (test_chaos_planted__every_bend_is_seen),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
