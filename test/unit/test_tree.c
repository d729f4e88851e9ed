#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/store/tree.h"

#define MODEL_KEYS 3000

/* The oracle: every key that can occur, in order, with what the tree should hold. */
struct model_key {
    uint8_t key[48];
    size_t key_len;
    bool there;
    uint8_t value[200];
    size_t value_len;
};

static uint64_t next_random (uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static struct bytes model_key (const struct model_key *row)
{
    return bytes_of (row->key, row->key_len);
}

static int model_order (const void *a, const void *b)
{
    return bytes_compare (model_key (a), model_key (b));
}

/* Keys with shared beginnings, keys that are beginnings of others, zero bytes and one empty key: what a prefix
 * comparison can get wrong. */
static struct model_key *model_new (uint64_t *seed, size_t *n)
{
    struct model_key *rows = calloc (MODEL_KEYS, sizeof *rows);
    assert_non_null (rows);
    for (size_t i = 1; i < MODEL_KEYS; i++) {
        struct model_key *row = &rows[i];
        size_t shared = next_random (seed) % 4 * 10;
        memset (row->key, (int) (next_random (seed) % 3), shared);
        row->key_len = shared + next_random (seed) % (sizeof row->key - shared - 8);
        for (size_t k = shared; k < row->key_len; k++)
            row->key[k] = (uint8_t) (next_random (seed) % (i % 2 == 0 ? 3 : 256));
    }
    qsort (rows, MODEL_KEYS, sizeof *rows, model_order);
    *n = 0;
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        if (*n == 0 || model_order (&rows[*n - 1], &rows[i]) != 0)
            rows[(*n)++] = rows[i];
    }
    return rows;
}

static void assert_same_order (const struct tree *tree, const struct model_key *rows, size_t n)
{
    struct tree_cursor cursor;
    size_t count = 0;
    tree_seek (tree, (struct bytes){0}, &cursor);
    for (size_t i = 0; i < n; i++) {
        if (!rows[i].there)
            continue;
        struct tree_entry *entry = tree_next (&cursor);
        assert_non_null (entry);
        assert_true (bytes_equal (tree_key (entry), model_key (&rows[i])));
        assert_true (bytes_equal (tree_value (entry), bytes_of (rows[i].value, rows[i].value_len)));
        count++;
    }
    assert_null (tree_next (&cursor));
    assert_int_equal (count, tree_count (tree));
    tree_seek_end (tree, &cursor);
    for (size_t i = n; i > 0; i--) {
        if (rows[i - 1].there)
            assert_true (bytes_equal (tree_key (tree_prev (&cursor)), model_key (&rows[i - 1])));
    }
    assert_null (tree_prev (&cursor));
}

static void put (struct tree *tree, struct model_key *row, uint64_t *seed)
{
    bool made;
    row->value_len = next_random (seed) % sizeof row->value;
    memset (row->value, (int) next_random (seed), row->value_len);
    struct tree_entry *entry = tree_insert (tree, model_key (row), next_random (seed) % 64, &made);
    assert_non_null (entry);
    assert_int_equal (made, !row->there);
    assert_true (tree_set_value (tree, entry, bytes_of (row->value, row->value_len)));
    row->there = true;
}

static void test_tree__agrees_with_a_sorted_array (void **state)
{
    (void) state;
    for (uint64_t round = 1; round <= 6; round++) {
        uint64_t seed = round * 7919;
        size_t n;
        struct model_key *rows = model_new (&seed, &n);
        struct tree *tree = tree_new ();
        for (size_t step = 0; step < 20000; step++) {
            struct model_key *row = &rows[next_random (&seed) % n];
            /* Mostly inserts, then mostly removals, so that the tree grows several levels and shrinks to nothing. */
            bool remove = next_random (&seed) % 10 < (step < 10000 ? 3 : 8);
            if (remove) {
                assert_int_equal (tree_remove (tree, model_key (row)), row->there);
                row->there = false;
            } else {
                put (tree, row, &seed);
            }
            struct tree_entry *found = tree_find (tree, model_key (row));
            assert_int_equal (found != NULL, row->there);
            if (step % 500 == 0) {
                tree_check (tree);
                assert_same_order (tree, rows, n);
            }
        }
        for (size_t i = 0; i < n; i++)
            assert_int_equal (tree_remove (tree, model_key (&rows[i])), rows[i].there);
        tree_check (tree);
        assert_int_equal (tree_count (tree), 0);
        tree_destroy (&tree);
        assert_null (tree);
        free (rows);
    }
}

static void test_tree__seek_stands_before_the_key_or_its_successor (void **state)
{
    (void) state;
    uint64_t seed = 42;
    size_t n;
    struct model_key *rows = model_new (&seed, &n);
    struct tree *tree = tree_new ();
    for (size_t i = 0; i < n; i += 2)
        put (tree, &rows[i], &seed);
    for (size_t i = 0; i + 1 < n; i++) {
        struct tree_cursor cursor;
        tree_seek (tree, model_key (&rows[i]), &cursor);
        struct tree_entry *after = tree_next (&cursor);
        size_t expected = i % 2 == 0 ? i : i + 1;
        assert_true (bytes_equal (tree_key (after), model_key (&rows[expected])));
        tree_seek (tree, model_key (&rows[i]), &cursor);
        struct tree_entry *before = tree_prev (&cursor);
        if (expected < 2)
            assert_null (before);
        else
            assert_true (bytes_equal (tree_key (before), model_key (&rows[expected - 2])));
    }
    tree_destroy (&tree);
    free (rows);
}

static void test_tree__ascending_inserts_fill_and_descending_ones_hold (void **state)
{
    (void) state;
    for (int descending = 0; descending < 2; descending++) {
        struct tree *tree = tree_new ();
        bool made;
        for (uint32_t i = 0; i < 50000; i++) {
            uint8_t key[16] = "booking/";
            bytes_put_u32 (key + 8, descending ? 50000 - i : i);
            assert_non_null (tree_insert (tree, bytes_of (key, sizeof key), 8, &made));
            assert_true (made);
        }
        tree_check (tree);
        assert_int_equal (tree_count (tree), 50000);
        /* Out again in another order, through every kind of join and balance of a tree of three levels. */
        for (uint32_t i = 0; i < 50000; i++) {
            uint8_t key[16] = "booking/";
            bytes_put_u32 (key + 8, (uint32_t) ((uint64_t) i * 48611 % 50000) + (uint32_t) descending);
            assert_true (tree_remove (tree, bytes_of (key, sizeof key)));
            if (i % 5000 == 0)
                tree_check (tree);
        }
        assert_int_equal (tree_count (tree), 0);
        tree_destroy (&tree);
    }
}

static void test_tree__entries_stay_where_they_are (void **state)
{
    (void) state;
    struct tree *tree = tree_new ();
    bool made;
    struct tree_entry *kept = tree_insert (tree, BYTES_LITERAL ("m"), 4, &made);
    assert_true (tree_set_value (tree, kept, BYTES_LITERAL ("here")));
    const uint8_t *value = tree_value (kept).data;
    for (uint32_t i = 0; i < 5000; i++) {
        char key[16];
        snprintf (key, sizeof key, "%c%u", i % 2 == 0 ? 'a' : 'z', i);
        assert_non_null (tree_insert (tree, bytes_text (key), 0, &made));
        if (i % 3 == 0)
            assert_true (tree_remove (tree, bytes_text (key)));
    }
    assert_ptr_equal (tree_find (tree, BYTES_LITERAL ("m")), kept);
    assert_ptr_equal (tree_value (kept).data, value);
    assert_memory_equal (value, "here", 4);
    tree_destroy (&tree);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_tree__agrees_with_a_sorted_array),
        cmocka_unit_test (test_tree__seek_stands_before_the_key_or_its_successor),
        cmocka_unit_test (test_tree__ascending_inserts_fill_and_descending_ones_hold),
        cmocka_unit_test (test_tree__entries_stay_where_they_are),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
