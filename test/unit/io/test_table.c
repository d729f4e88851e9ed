#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/store/table.h"
#include "test/support/store_fixture.h"

#define KEYS 600

/* The oracle: a sorted array of all keys that can occur, with what the table should hold of each. */
struct row {
    uint8_t key[40];
    size_t key_len;
    bool there;
    uint8_t value[300];
    size_t value_len;
};

/* What a write-back that is under way must bring to the disk: the rows as they were at its begin. */
struct world {
    struct store *store;
    struct table *table;
    struct table_budget budget;
    struct row rows[KEYS], frozen[KEYS];
    size_t n;
    uint64_t seed, applied, frozen_applied;
    struct store_batch *batch;
};

static uint64_t draw (struct world *world)
{
    world->seed ^= world->seed << 13;
    world->seed ^= world->seed >> 7;
    world->seed ^= world->seed << 17;
    return world->seed;
}

static struct bytes row_key (const struct row *row)
{
    return bytes_of (row->key, row->key_len);
}

static int row_order (const void *a, const void *b)
{
    return bytes_compare (row_key (a), row_key (b));
}

/* The first row is the empty key; many share beginnings. */
static void make_rows (struct world *world)
{
    memset (world->rows, 0, sizeof world->rows);
    for (size_t i = 1; i < KEYS; i++) {
        struct row *row = &world->rows[i];
        row->key_len = 1 + draw (world) % 39;
        for (size_t k = 0; k < row->key_len; k++)
            row->key[k] = (uint8_t) (draw (world) % (k < 12 ? 2 : 256));
    }
    qsort (world->rows, KEYS, sizeof *world->rows, row_order);
    world->n = 0;
    for (size_t i = 0; i < KEYS; i++) {
        if (world->n == 0 || row_order (&world->rows[world->n - 1], &world->rows[i]) != 0)
            world->rows[world->n++] = world->rows[i];
    }
}

static void change (struct world *world)
{
    struct row *row = &world->rows[draw (world) % world->n];
    struct state *state = table_state (world->table);
    if (draw (world) % 3 == 0) {
        state_remove (state, row_key (row));
        row->there = false;
        return;
    }
    row->value_len = draw (world) % sizeof row->value;
    memset (row->value, (int) draw (world), row->value_len);
    state_put (state, row_key (row), bytes_of (row->value, row->value_len));
    row->there = true;
}

static void check_get (struct world *world)
{
    struct row *row = &world->rows[draw (world) % world->n];
    struct bytes value;
    bool there = state_get (table_state (world->table), row_key (row), &value);
    assert_int_equal (there, row->there);
    if (there)
        assert_true (bytes_equal (value, bytes_of (row->value, row->value_len)));
}

struct visit {
    struct world *world;
    size_t at, end, limit, seen; /* rows [at, end) are to come; reverse from the end */
    bool reverse;
};

static bool check_visit (void *argument, struct bytes key, struct bytes value)
{
    struct visit *visit = argument;
    struct row *rows = visit->world->rows;
    if (visit->reverse) {
        while (visit->end > visit->at && !rows[visit->end - 1].there)
            visit->end--;
    } else {
        while (visit->at < visit->end && !rows[visit->at].there)
            visit->at++;
    }
    assert_true (visit->at < visit->end);
    const struct row *row = visit->reverse ? &rows[--visit->end] : &rows[visit->at++];
    assert_true (bytes_equal (key, row_key (row)));
    assert_true (bytes_equal (value, bytes_of (row->value, row->value_len)));
    visit->seen++;
    if (draw (visit->world) % 4 == 0)
        check_get (visit->world); /* a visitor may look elsewhere */
    return visit->seen < visit->limit;
}

static void check_scan (struct world *world, bool whole)
{
    size_t from = whole ? 0 : draw (world) % world->n;
    size_t to = whole ? world->n : from + draw (world) % (world->n - from + 1);
    struct visit visit = {.world = world,
        .at = from,
        .end = to,
        .limit = whole ? SIZE_MAX : 1 + draw (world) % 80,
        .reverse = draw (world) % 2 == 0};
    struct bytes end = to == world->n ? (struct bytes){0} : row_key (&world->rows[to]);
    if (from == to)
        return;
    state_scan (table_state (world->table), row_key (&world->rows[from]), end, visit.reverse, check_visit, &visit);
    if (visit.seen == visit.limit)
        return;
    for (size_t i = visit.at; i < visit.end; i++)
        assert_false (world->rows[i].there); /* nothing was left out */
}

/* Reads the disk back: it must hold exactly the rows as frozen. */
static void check_disk (struct world *world)
{
    struct store_cursor *cursor;
    struct bytes key, value;
    uint64_t index, term;
    assert_int_equal (store_state_applied (world->store, 1, 7, 0, &index, &term), STATUS_OK);
    assert_int_equal (index, world->frozen_applied);
    assert_int_equal (
        store_cursor_open (world->store, 1, 7, 0, (struct bytes){0}, (struct bytes){0}, false, &cursor), STATUS_OK);
    for (size_t i = 0; i < world->n; i++) {
        const struct row *row = &world->frozen[i];
        if (!row->there)
            continue;
        assert_int_equal (store_cursor_next (cursor, &key, &value), STATUS_OK);
        assert_true (bytes_equal (key, row_key (row)));
        assert_true (bytes_equal (value, bytes_of (row->value, row->value_len)));
    }
    assert_int_equal (store_cursor_next (cursor, &key, &value), STATUS_NOT_FOUND);
    store_cursor_close (&cursor);
}

static void write_back (struct world *world)
{
    struct store_error error = {0};
    if (!table_write_back_running (world->table)) {
        assert_int_equal (table_write_back_begin (world->table, ++world->applied, 1), STATUS_OK);
        memcpy (world->frozen, world->rows, sizeof world->rows);
        world->frozen_applied = world->applied;
    } else if (world->batch == NULL) {
        assert_int_equal (table_write_back_begin (world->table, world->applied, 1), STATUS_FAILED_PRECONDITION);
        table_write_back_step (world->table, 1 + draw (world) % 40, &world->batch);
    } else {
        assert_int_equal (store_state_write (world->store, &world->batch, 1, &error), STATUS_OK);
        check_disk (world);
        store_batch_destroy (&world->batch);
        table_write_back_done (world->table);
        assert_int_equal (table_written_index (world->table), world->frozen_applied);
    }
}

static void step (struct world *world, bool evict)
{
    unsigned what = (unsigned) (draw (world) % 100);
    if (what < 50)
        change (world);
    else if (what < 80)
        check_get (world);
    else if (what < 88)
        check_scan (world, false);
    else if (what < 97)
        write_back (world);
    else if (evict)
        table_evict (world->table, draw (world) % 20000, draw (world) % 400);
}

static void world_open (struct world *world, const char *dir, struct fixture_recovered *recovered, uint64_t seed)
{
    *world = (struct world){.seed = seed, .budget = {.max_bytes = 1 << 30}};
    make_rows (world);
    world->store = fixture_open (dir, recovered);
    world->table = table_new (world->store, &world->budget, 1, 7, 0, true);
    assert_non_null (world->table);
}

static void world_close (struct world *world)
{
    store_batch_destroy (&world->batch);
    table_destroy (&world->table);
    assert_int_equal (world->budget.used_bytes, 0);
    store_close (&world->store);
}

static void agree (bool evict, uint64_t seed)
{
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    static struct world world;
    struct fixture_recovered recovered = {0};
    world_open (&world, dir, &recovered, seed);
    for (int i = 0; i < 6000; i++) {
        step (&world, evict);
        if (i % 400 == 0) {
            table_check (world.table);
            check_scan (&world, true);
        }
    }
    assert_false (table_failed (world.table));
    assert_int_equal (table_complete (world.table), !evict);
    assert_true (world.frozen_applied > 20);
    world_close (&world);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_table__agrees_with_a_sorted_array_while_writing_back (void **state)
{
    (void) state;
    agree (false, 11);
}

static void test_table__agrees_with_a_sorted_array_while_evicting (void **state)
{
    (void) state;
    agree (true, 22);
    agree (true, 333);
}

/* Finishes whatever write-back runs, then writes everything. */
static void flush (struct world *world)
{
    while (table_write_back_running (world->table))
        write_back (world);
    do
        write_back (world);
    while (table_write_back_running (world->table));
}

/* A fresh table over what another one wrote, filled a little at a time while it is read, changed and written back. */
static void warm_while_working (bool evict, uint64_t seed)
{
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    static struct world world;
    struct fixture_recovered recovered = {0};
    world_open (&world, dir, &recovered, seed);
    for (unsigned round = 0; round < 20; round++) {
        for (int i = 0; i < 300; i++)
            change (&world);
        flush (&world);
        table_destroy (&world.table);
        world.table = table_new (world.store, &world.budget, 1, 7, 0, false);
        table_warm_begin (world.table);
        unsigned steps = 0;
        for (bool over = false; !over; steps++) {
            for (int i = 0; i < 12; i++)
                step (&world, evict);
            if (evict && steps == 10)
                while (table_evict (world.table, SIZE_MAX, KEYS) == 0)
                    continue;
            over = table_warm_step (world.table, 1 + draw (&world) % 20);
            if (draw (&world) % 8 == 0)
                check_scan (&world, true);
            assert_true (steps < KEYS + 1);
        }
        assert_int_equal (table_complete (world.table), !evict);
        assert_true (table_warm_step (world.table, 10)); /* and stays so */
        table_check (world.table);
        check_scan (&world, true);
        for (int i = 0; i < 300; i++)
            step (&world, evict);
        table_check (world.table);
    }
    assert_false (table_failed (world.table));
    world_close (&world);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_table__warms_up_while_it_works (void **state)
{
    (void) state;
    warm_while_working (false, 7);
    warm_while_working (false, 77);
}

static void test_table__evicted_while_it_warms_up_it_is_not_complete (void **state)
{
    (void) state;
    warm_while_working (true, 8);
}

static void test_table__warms_up_no_further_than_the_budget (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    static struct world world;
    struct fixture_recovered recovered = {0};
    world_open (&world, dir, &recovered, 9);
    for (int i = 0; i < 3000; i++)
        change (&world);
    flush (&world);
    size_t all = table_count (world.table);
    table_destroy (&world.table);
    world.table = table_new (world.store, &world.budget, 1, 7, 0, false);
    table_warm_begin (world.table);
    world.budget.max_bytes = world.budget.used_bytes + 10000;
    while (!table_warm_step (world.table, 10))
        continue;
    assert_false (table_complete (world.table));
    assert_true (table_count (world.table) > 5 && table_count (world.table) < all / 2);
    world.budget.max_bytes = 1 << 30;
    check_scan (&world, true);
    world_close (&world);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_table__loads_what_it_wrote_and_hashes_alike (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    static struct world world;
    struct fixture_recovered recovered = {0};
    world_open (&world, dir, &recovered, 5);
    struct table *memory = table_new (NULL, NULL, 1, 7, 0, true); /* no store: what the simulator uses */
    for (int i = 0; i < 3000; i++)
        change (&world);
    for (size_t i = 0; i < world.n; i++) {
        const struct row *row = &world.rows[i];
        state_put (table_state (memory), row_key (row), BYTES_LITERAL ("first"));
        if (row->there)
            state_put (table_state (memory), row_key (row), bytes_of (row->value, row->value_len));
        else
            state_remove (table_state (memory), row_key (row));
    }
    table_check (memory);
    uint64_t hash = table_hash (memory);
    assert_int_equal (table_hash (world.table), hash);
    flush (&world);
    assert_int_equal (table_dirty_bytes (world.table), 0);
    assert_int_equal (table_hash (world.table), hash);
    for (int i = 0; i < 3; i++)
        table_evict (world.table, SIZE_MAX, KEYS * 2);
    assert_false (table_complete (world.table));
    assert_true (table_count (world.table) < 10);
    assert_int_equal (table_hash (world.table), hash);
    assert_true (table_count (world.table) < 10); /* hashing brought nothing in */

    struct table *loaded = table_new (world.store, &world.budget, 1, 7, 0, true);
    assert_int_equal (table_load_all (loaded), STATUS_OK);
    assert_true (table_complete (loaded));
    assert_int_equal (table_written_index (loaded), world.frozen_applied);
    assert_int_equal (table_hash (loaded), hash);
    table_destroy (&loaded);

    size_t full = world.budget.max_bytes;
    world.budget.max_bytes = world.budget.used_bytes + 20000; /* too little for all of it */
    loaded = table_new (world.store, &world.budget, 1, 7, 0, true);
    assert_int_equal (table_load_all (loaded), STATUS_OK);
    assert_false (table_complete (loaded));
    assert_int_equal (table_hash (loaded), hash);
    table_destroy (&loaded);
    world.budget.max_bytes = full;

    const struct row *last = &world.rows[world.n - 1];
    state_put (table_state (memory), row_key (last), BYTES_LITERAL ("other"));
    assert_int_not_equal (table_hash (memory), hash);
    table_destroy (&memory);
    world_close (&world);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_table__changed_during_a_write_back_stays_dirty (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    static struct world world;
    struct fixture_recovered recovered = {0};
    world_open (&world, dir, &recovered, 5);
    struct state *view = table_state (world.table);
    struct store_batch *batch = NULL;
    struct store_error error = {0};
    struct bytes value;
    state_put (view, BYTES_LITERAL ("copied"), BYTES_LITERAL ("1"));
    state_put (view, BYTES_LITERAL ("pending"), BYTES_LITERAL ("1"));
    state_put (view, BYTES_LITERAL ("gone"), BYTES_LITERAL ("1"));
    assert_int_equal (table_write_back_begin (world.table, 1, 1), STATUS_OK);
    assert_false (table_write_back_step (world.table, 1, &batch));
    state_put (view, BYTES_LITERAL ("copied"), BYTES_LITERAL ("2"));
    state_put (view, BYTES_LITERAL ("pending"), BYTES_LITERAL ("2"));
    state_remove (view, BYTES_LITERAL ("gone"));
    assert_true (table_write_back_step (world.table, 10, &batch));
    assert_int_equal (store_batch_count (batch), 3);
    assert_int_equal (store_state_write (world.store, &batch, 1, &error), STATUS_OK);
    store_batch_destroy (&batch);
    table_write_back_done (world.table);
    for (int i = 0; i < 3; i++)
        table_evict (world.table, SIZE_MAX, 100);
    assert_int_equal (table_count (world.table), 3); /* none of the three is clean */
    assert_true (state_get (view, BYTES_LITERAL ("copied"), &value));
    assert_memory_equal (value.data, "2", 1);
    assert_false (state_get (view, BYTES_LITERAL ("gone"), &value));
    uint8_t *stored;
    size_t len;
    assert_int_equal (
        store_state_get (world.store, 1, 7, 0, BYTES_LITERAL ("gone"), &stored, &len), STATUS_OK); /* the cut's */
    assert_memory_equal (stored, "1", 1);
    free (stored);
    table_check (world.table);
    world_close (&world);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_table__damage_latches_failed (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2];
    fixture_dir (dir);
    static struct world world;
    struct fixture_recovered recovered = {0};
    world_open (&world, dir, &recovered, 5);
    for (int i = 0; i < 2000; i++)
        change (&world);
    flush (&world);
    table_destroy (&world.table);
    store_close (&world.store);
    size_t size = fixture_newest (dir, "state", ".sst", path);
    for (size_t i = 1; i < 20; i++)
        fixture_flip_bit (path, i * size / 40, 3); /* the first half of the file: data blocks */
    world.store = fixture_open (dir, &recovered);
    world.table = table_new (world.store, &world.budget, 1, 7, 0, false);
    struct bytes value;
    for (size_t i = 0; i < world.n && !table_failed (world.table); i++) {
        bool there = state_get (table_state (world.table), row_key (&world.rows[i]), &value);
        assert_true (table_failed (world.table) || there == world.rows[i].there); /* never a wrong answer */
    }
    assert_true (state_failed (table_state (world.table)));
    world_close (&world);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_table__agrees_with_a_sorted_array_while_writing_back),
        cmocka_unit_test (test_table__agrees_with_a_sorted_array_while_evicting),
        cmocka_unit_test (test_table__warms_up_while_it_works),
        cmocka_unit_test (test_table__evicted_while_it_warms_up_it_is_not_complete),
        cmocka_unit_test (test_table__warms_up_no_further_than_the_budget),
        cmocka_unit_test (test_table__loads_what_it_wrote_and_hashes_alike),
        cmocka_unit_test (test_table__changed_during_a_write_back_stays_dirty),
        cmocka_unit_test (test_table__damage_latches_failed),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
