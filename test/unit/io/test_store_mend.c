#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/store_fixture.h"

#define KEYS 20000

/* Two replicas, each with a state of some files, in write-backs of their own. */
static struct store *make (const char *dir, struct fixture_recovered *recovered)
{
    struct store *store = fixture_open (dir, recovered);
    struct store_turn *turn = store_turn_new (store);
    struct store_error error = {0};
    for (uint32_t shard = 1; shard <= 2; shard++) {
        fixture_found (turn, shard, 7);
        fixture_append (turn, shard, 7, 1, 50, 1);
    }
    fixture_commit (turn);
    store_turn_destroy (&turn);
    for (uint32_t shard = 1; shard <= 2; shard++) {
        struct store_batch *batch = store_batch_new (shard, 7, 0, 10 + shard, 1);
        for (uint32_t i = 0; i < KEYS; i++) {
            uint8_t key[4], value[32] = {(uint8_t) shard};
            bytes_put_u32 (key, i);
            bytes_put_u32 (value + 4, i * 2654435761u);
            assert_int_equal (
                store_batch_put (batch, bytes_of (key, sizeof key), bytes_of (value, sizeof value)), STATUS_OK);
        }
        assert_int_equal (store_state_write (store, &batch, 1, &error), STATUS_OK);
        store_batch_destroy (&batch);
    }
    return store;
}

static void assert_whole (struct store *store, uint32_t shard)
{
    struct store_cursor *cursor;
    struct bytes key, value;
    uint64_t index, term;
    uint32_t count = 0;
    assert_int_equal (store_state_applied (store, shard, 7, 0, &index, &term), STATUS_OK);
    assert_int_equal (index, 10 + shard);
    assert_int_equal (
        store_cursor_open (store, shard, 7, 0, (struct bytes){0}, (struct bytes){0}, false, &cursor), STATUS_OK);
    while (store_cursor_next (cursor, &key, &value) == STATUS_OK) {
        assert_int_equal (bytes_get_u32 (key.data), count);
        assert_int_equal (value.data[0], shard);
        assert_int_equal (bytes_get_u32 (value.data + 4), count * 2654435761u);
        count++;
    }
    store_cursor_close (&cursor);
    assert_int_equal (count, KEYS);
}

static void assert_empty (struct store *store, uint32_t shard)
{
    uint64_t index, term;
    assert_int_equal (store_state_verify (store, shard, 7, 0), STATUS_OK);
    assert_int_equal (store_state_applied (store, shard, 7, 0, &index, &term), STATUS_OK);
    assert_int_equal (index, 0);
}

static void test_store_mend__keeps_what_can_be_read_and_empties_the_rest (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], newest[FIXTURE_PATH_MAX * 2];
    struct fixture_recovered recovered = {0};
    struct store_error error = {0};
    fixture_dir (dir);
    struct store *store = make (dir, &recovered);
    store_close (&store);
    size_t size = fixture_newest (dir, "state", ".sst", newest); /* of shard 2 */
    fixture_flip_bit (newest, size / 3, 2);
    store = fixture_open (dir, &recovered);
    assert_int_equal (store_state_verify (store, 1, 7, 0), STATUS_OK);
    assert_int_equal (store_state_verify (store, 2, 7, 0), STATUS_DATA_LOSS);
    assert_int_equal (store_state_mend (store, &error), STATUS_OK);
    for (int again = 0; again < 2; again++) {
        assert_whole (store, 1);
        assert_empty (store, 2);
        store_close (&store);
        store = fixture_open (dir, &recovered);
    }
    store_close (&store);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void move (const char *dir, const char *from, const char *to)
{
    char *source = fixture_join (dir, from), *target = fixture_join (dir, to);
    assert_int_equal (rename (source, target), 0);
    free (source);
    free (target);
}

static void test_store_mend__a_crash_leaves_the_old_database_or_the_new_one (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    struct fixture_recovered recovered = {0};
    struct store_error error = {0};
    fixture_dir (dir);
    struct store *store = make (dir, &recovered);
    store_close (&store);
    /* Before there was a new one. */
    move (dir, "state", "state-old");
    store = fixture_open (dir, &recovered);
    assert_whole (store, 1);
    store_close (&store);
    /* When there was some of a new one. */
    char *whole = fixture_join (dir, "state"), *old = fixture_join (dir, "state-old"),
         *gone = fixture_join (dir, "state-gone");
    fixture_copy_tree (whole, old);
    char *current = fixture_join (whole, "CURRENT");
    assert_int_equal (unlink (current), 0);
    store = fixture_open (dir, &recovered);
    assert_whole (store, 2);
    store_close (&store);
    /* When the old one was half removed. */
    fixture_copy_tree (whole, gone);
    char *half = fixture_join (gone, "CURRENT");
    assert_int_equal (unlink (half), 0);
    store = fixture_open (dir, &recovered);
    assert_whole (store, 1);
    assert_whole (store, 2);
    assert_int_equal (access (gone, F_OK), -1);
    assert_int_equal (store_state_mend (store, &error), STATUS_OK); /* of what is well */
    assert_whole (store, 1);
    assert_whole (store, 2);
    store_close (&store);
    free (half);
    free (gone);
    free (current);
    free (old);
    free (whole);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_store_mend__keeps_what_can_be_read_and_empties_the_rest),
        cmocka_unit_test (test_store_mend__a_crash_leaves_the_old_database_or_the_new_one),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
