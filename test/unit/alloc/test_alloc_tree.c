/* The tree without memory: what it could not take is missing, nothing else. (The table above it halts the shard then.) */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/store/tree.h"
#include "test/support/alloc_try.h"

/* A tree that could not take one key has all others. */
static void fill_tree (void **state)
{
    (void) state;
    alloc_fault_at (alloc_failing);
    struct tree *tree = tree_new ();
    if (tree == NULL) {
        assert_true (alloc_fault_fired ());
        return;
    }
    unsigned lost = 0;
    for (uint32_t i = 0; i < 500; i++) {
        uint8_t key[4];
        bool made;
        bytes_put_u32 (key, i * 2654435761u);
        struct tree_entry *entry = tree_insert (tree, bytes_of (key, 4), 8, &made);
        if (entry == NULL || !tree_set_value (tree, entry, BYTES_LITERAL ("12345678")))
            lost++;
    }
    tree_check (tree);
    assert_true (lost <= 1);
    unsigned found = 0;
    for (uint32_t i = 0; i < 500; i++) {
        uint8_t key[4];
        bytes_put_u32 (key, i * 2654435761u);
        const struct tree_entry *entry = tree_find (tree, bytes_of (key, 4));
        found += entry != NULL && entry->value_len == 8;
    }
    assert_int_equal (found, 500 - lost);
    tree_destroy (&tree);
}

static const struct alloc_scenario scenarios[] = {{"tree", fill_tree}};

static void test_alloc_tree__lacks_what_it_refused_alone (void **state)
{
    (void) state;
    alloc_try_all ("tree");
}

int main (int argc, char **argv)
{
    if (argc == 4 && strcmp (argv[1], "--child") == 0)
        return alloc_try_child (scenarios, sizeof scenarios / sizeof *scenarios, argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test (test_alloc_tree__lacks_what_it_refused_alone)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
