#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/store_fixture.h"

static void put (struct store_batch *batch, const char *key, const char *value)
{
    assert_int_equal (store_batch_put (batch, bytes_text (key), bytes_text (value)), STATUS_OK);
}

static void write_one (struct store *store, struct store_batch *batch)
{
    struct store_error error = {0};
    enum status status = store_state_write (store, &batch, 1, &error);
    if (status != STATUS_OK)
        fail_msg ("status %d: %s", status, error.text);
    store_batch_destroy (&batch);
}

/* The value of a key of shard 1, replica 7, or NULL; on the heap. */
static char *value_of (struct store *store, uint32_t generation, const char *key)
{
    uint8_t *value;
    size_t len;
    enum status status = store_state_get (store, 1, 7, generation, bytes_text (key), &value, &len);
    if (status == STATUS_NOT_FOUND)
        return NULL;
    assert_int_equal (status, STATUS_OK);
    char *text = malloc (len + 1);
    assert_non_null (text);
    memcpy (text, value, len);
    text[len] = 0;
    free (value);
    return text;
}

static void assert_value (struct store *store, uint32_t generation, const char *key, const char *expected)
{
    char *value = value_of (store, generation, key);
    if (expected == NULL)
        assert_null (value);
    else
        assert_string_equal (value, expected);
    free (value);
}

static struct store *open_founded (const char *dir, struct fixture_recovered *recovered)
{
    struct store *store = fixture_open (dir, recovered);
    struct store_turn *turn = store_turn_new (store);
    fixture_found (turn, 1, 7);
    fixture_append (turn, 1, 7, 1, 50, 1);
    fixture_commit (turn);
    store_turn_destroy (&turn);
    return store;
}

static void write_two_and_leave (const char *dir)
{
    struct fixture_recovered recovered = {0};
    struct store *store = open_founded (dir, &recovered);
    struct store_batch *batch = store_batch_new (1, 7, 0, 10, 1);
    put (batch, "b", "two");
    put (batch, "a", "one");
    put (batch, "", "nameless");
    write_one (store, batch);
    batch = store_batch_new (1, 7, 0, 12, 1);
    put (batch, "a", "uno");
    assert_int_equal (store_batch_remove (batch, BYTES_LITERAL ("b")), STATUS_OK);
    write_one (store, batch);
}

static void test_store_state__what_was_written_back_survives_a_kill (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct fixture_recovered recovered = {0};
    fixture_run_again ("write", dir, NULL, NULL);
    struct store *store = fixture_open (dir, &recovered);
    assert_int_equal (recovered.replicas[0].applied_index, 12);
    assert_int_equal (recovered.replicas[0].applied_term, 1);
    assert_null (recovered.replicas[0].damage);
    assert_value (store, 0, "a", "uno");
    assert_value (store, 0, "b", NULL);
    assert_value (store, 0, "", "nameless");
    assert_value (store, 1, "a", NULL);
    store_close (&store);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_store_state__many_shards_in_one_step_and_in_order (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct fixture_recovered recovered = {0};
    struct store_error error = {0};
    struct store *store = fixture_open (dir, &recovered);
    struct store_batch *batches[8];
    for (uint32_t i = 0; i < 8; i++) { /* not in shard order */
        uint32_t shard = (i * 5 + 3) % 8;
        batches[i] = store_batch_new (shard, shard + 1, 0, 100 + shard, 2);
        for (int k = 999; k >= 0; k--) {
            char key[16], value[32];
            snprintf (key, sizeof key, "key%04d", k);
            snprintf (value, sizeof value, "value %u %d", shard, k);
            put (batches[i], key, value);
        }
        assert_int_equal (store_batch_count (batches[i]), 1000);
    }
    assert_int_equal (store_state_write (store, batches, 8, &error), STATUS_OK);
    for (uint32_t i = 0; i < 8; i++)
        store_batch_destroy (&batches[i]);
    for (uint32_t shard = 0; shard < 8; shard++) {
        uint64_t index, term;
        assert_int_equal (store_state_applied (store, shard, shard + 1, 0, &index, &term), STATUS_OK);
        assert_int_equal (index, 100 + shard);
        assert_int_equal (term, 2);
    }
    struct store_cursor *cursor;
    struct bytes key, value;
    for (int reverse = 0; reverse < 2; reverse++) {
        assert_int_equal (
            store_cursor_open (store, 5, 6, 0, BYTES_LITERAL ("key0010"), BYTES_LITERAL ("key0020"), reverse, &cursor),
            STATUS_OK);
        for (int k = 0; k < 10; k++) {
            char expected[16];
            snprintf (expected, sizeof expected, "key%04d", reverse ? 19 - k : 10 + k);
            assert_int_equal (store_cursor_next (cursor, &key, &value), STATUS_OK);
            assert_true (bytes_equal (key, bytes_text (expected)));
            assert_memory_equal (value.data, "value 5 ", 8);
        }
        assert_int_equal (store_cursor_next (cursor, &key, &value), STATUS_NOT_FOUND);
        assert_int_equal (store_cursor_next (cursor, &key, &value), STATUS_NOT_FOUND);
        store_cursor_close (&cursor);
    }
    struct store_stats stats;
    store_stats (store, &stats);
    assert_int_equal (stats.state_writes, 1);
    assert_false (stats.failed);
    store_close (&store);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

/* Exports shard 1 into heap copies of its chunks, with writes in between when `disturb`. */
struct chunks {
    uint8_t *data[64];
    size_t len[64];
    size_t count;
    uint64_t index, term;
};

static void take_chunks (struct store *store, struct chunks *chunks, bool disturb)
{
    struct store_snapshot *snapshot;
    *chunks = (struct chunks){0};
    assert_int_equal (store_snapshot_open (store, 1, 7, &snapshot, &chunks->index, &chunks->term), STATUS_OK);
    for (bool last = false; !last; chunks->count++) {
        struct bytes chunk;
        assert_true (chunks->count < 64);
        assert_int_equal (store_snapshot_next (snapshot, &chunk, &last), STATUS_OK);
        assert_true (chunk.len <= STORE_CHUNK_BYTES_MAX);
        chunks->data[chunks->count] = malloc (chunk.len);
        assert_non_null (chunks->data[chunks->count]);
        memcpy (chunks->data[chunks->count], chunk.data, chunk.len);
        chunks->len[chunks->count] = chunk.len;
        if (!disturb)
            continue;
        /* What is written meanwhile does not show (invariant 3). */
        struct store_batch *batch = store_batch_new (1, 7, 0, chunks->index + 1 + chunks->count, 1);
        put (batch, "zzz", "later");
        write_one (store, batch);
    }
    store_snapshot_close (&snapshot);
}

static void chunks_free (struct chunks *chunks)
{
    for (size_t i = 0; i < chunks->count; i++)
        free (chunks->data[i]);
}

static void fill_rows (struct store *store, size_t rows)
{
    struct store_batch *batch = store_batch_new (1, 7, 0, 20, 1);
    for (size_t i = 0; i < rows; i++) {
        char key[32], value[256];
        snprintf (key, sizeof key, "row/%06zu", i);
        memset (value, 'a' + (int) (i % 26), 200);
        value[200] = 0;
        put (batch, key, value);
    }
    write_one (store, batch);
}

static struct bytes chunk_at (const struct chunks *chunks, size_t i)
{
    return bytes_of (chunks->data[i], chunks->len[i]);
}

static void test_store_state__a_snapshot_becomes_live_by_one_turn (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], other[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    fixture_dir (other);
    struct fixture_recovered recovered = {0};
    struct store_error error = {0};
    struct chunks chunks;
    struct store *store = open_founded (dir, &recovered);
    struct store_snapshot *none;
    uint64_t index, term;
    assert_int_equal (store_snapshot_open (store, 1, 7, &none, &index, &term), STATUS_NOT_FOUND);
    fill_rows (store, 5000);
    take_chunks (store, &chunks, true);
    assert_true (chunks.count > 3);
    assert_int_equal (chunks.index, 20);
    store_close (&store);

    /* Another node, whose replica has old state and an old log. */
    store = open_founded (other, &recovered);
    struct store_batch *batch = store_batch_new (1, 7, 0, 5, 1);
    put (batch, "old", "state");
    write_one (store, batch);
    struct store_import *import;
    assert_int_equal (store_import_begin (store, 1, 7, 20, 1, &import, &error), STATUS_OK);
    uint32_t generation;
    for (size_t i = 0; i < chunks.count; i++) {
        assert_int_equal (store_import_chunk_next (import), i);
        assert_int_equal (store_import_finish (import, &generation, &error), STATUS_FAILED_PRECONDITION);
        assert_int_equal (store_import_chunk (import, chunk_at (&chunks, i)), STATUS_OK);
        assert_int_equal (store_import_chunk (import, chunk_at (&chunks, i)), STATUS_INVALID_ARGUMENT);
    }
    assert_int_equal (store_import_finish (import, &generation, &error), STATUS_OK);
    assert_int_equal (generation, 1);
    assert_value (store, 0, "old", "state");
    struct store_turn *turn = store_turn_new (store);
    assert_int_equal (
        store_turn_install (turn, 1, 7, generation, 20, 1, BYTES_LITERAL ("new config"), false), STATUS_OK);
    fixture_append (turn, 1, 7, 21, 2, 1);
    fixture_commit (turn);
    store_import_close (&import);
    bool left;
    assert_int_equal (store_state_sweep (store, 10, &left, &error), STATUS_OK);
    assert_false (left);
    assert_value (store, 0, "old", NULL);
    store_turn_destroy (&turn);
    store_close (&store);

    store = fixture_open (other, &recovered);
    assert_int_equal (recovered.replicas[0].generation, 1);
    assert_int_equal (recovered.replicas[0].compact_index, 20);
    assert_int_equal (recovered.replicas[0].applied_index, 20);
    assert_int_equal (recovered.replicas[0].last_index, 22);
    assert_int_equal (recovered.entries_count, 2);
    assert_string_equal (recovered.configs[0], "new config");
    char *first = value_of (store, 1, "row/000000");
    assert_value (store, 1, "row/000026", first); /* 26 rows on, the same letters */
    free (first);
    assert_value (store, 1, "zzz", NULL);
    assert_value (store, 0, "old", NULL);
    struct store_cursor *cursor;
    struct bytes key, value;
    size_t rows = 0;
    assert_int_equal (
        store_cursor_open (store, 1, 7, 1, (struct bytes){0}, (struct bytes){0}, false, &cursor), STATUS_OK);
    while (store_cursor_next (cursor, &key, &value) == STATUS_OK)
        rows++;
    assert_int_equal (rows, 5000);
    store_cursor_close (&cursor);
    store_close (&store);
    chunks_free (&chunks);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
    fixture_remove (other);
}

static void test_store_state__a_damaged_chunk_is_refused_and_the_right_one_taken (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct fixture_recovered recovered = {0};
    struct store_error error = {0};
    struct chunks chunks;
    struct store *store = open_founded (dir, &recovered);
    fill_rows (store, 30);
    take_chunks (store, &chunks, true);
    assert_int_equal (chunks.count, 1);
    struct store_import *import;
    assert_int_equal (store_import_begin (store, 1, 7, 20, 1, &import, &error), STATUS_OK);
    for (size_t bit = 0; bit < chunks.len[0] * 8; bit += 7) {
        chunks.data[0][bit / 8] ^= (uint8_t) (1u << bit % 8);
        assert_int_equal (store_import_chunk (import, chunk_at (&chunks, 0)), STATUS_DATA_LOSS);
        chunks.data[0][bit / 8] ^= (uint8_t) (1u << bit % 8);
    }
    for (size_t len = 0; len < chunks.len[0]; len += 13)
        assert_int_equal (store_import_chunk (import, bytes_of (chunks.data[0], len)), STATUS_DATA_LOSS);
    assert_int_equal (store_import_chunk (import, chunk_at (&chunks, 0)), STATUS_OK);
    store_import_close (&import);
    assert_int_equal (store_import_begin (store, 2, 8, 20, 1, &import, &error), STATUS_OK);
    assert_int_equal (store_import_chunk (import, chunk_at (&chunks, 0)), STATUS_INVALID_ARGUMENT); /* shard 1's */
    store_import_close (&import);
    store_close (&store);
    chunks_free (&chunks);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

/* Imports the snapshot of folder `from` into folder `to`, up to a point: 1 after some chunks, 2 after the finish, 3 after
 * the install. */
static void import_and_leave (const char *from, const char *to, int point)
{
    struct fixture_recovered recovered = {0};
    struct store_error error = {0};
    struct chunks chunks;
    struct store *store = fixture_open (from, &recovered);
    take_chunks (store, &chunks, false);
    store_close (&store);
    store = fixture_open (to, &recovered);
    struct store_import *import;
    uint32_t generation;
    assert_int_equal (store_import_begin (store, 1, 7, chunks.index, chunks.term, &import, &error), STATUS_OK);
    for (size_t i = 0; i < chunks.count; i++) {
        if (point == 1 && i == chunks.count / 2)
            return;
        assert_int_equal (store_import_chunk (import, chunk_at (&chunks, i)), STATUS_OK);
    }
    assert_int_equal (store_import_finish (import, &generation, &error), STATUS_OK);
    struct store_turn *turn = store_turn_new (store);
    assert_int_equal (
        store_turn_install (turn, 1, 7, generation, chunks.index, chunks.term, (struct bytes){0}, true), STATUS_OK);
    if (point == 3)
        fixture_commit (turn);
}

static void test_store_state__an_interrupted_import_leaves_the_old_state_live (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], other[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    fixture_dir (other);
    struct fixture_recovered recovered = {0};
    struct store_error error = {0};
    struct store *store = open_founded (dir, &recovered);
    fill_rows (store, 3000);
    store_close (&store);
    store = open_founded (other, &recovered);
    struct store_batch *batch = store_batch_new (1, 7, 0, 5, 1);
    put (batch, "old", "state");
    write_one (store, batch);
    store_close (&store);
    for (int point = 1; point <= 3; point++) {
        char text[16];
        snprintf (text, sizeof text, "%d", point);
        fixture_run_again ("import", dir, other, text);
        store = fixture_open (other, &recovered);
        bool live = point == 3, left;
        assert_int_equal (recovered.replicas[0].generation, live ? 1 : 0);
        assert_int_equal (recovered.replicas[0].applied_index, live ? 20 : 5);
        assert_int_equal (recovered.entries_count, live ? 30 : 50); /* keep_log: 21..50 stay */
        assert_value (store, recovered.replicas[0].generation, "old", live ? NULL : "state");
        assert_int_equal (store_state_sweep (store, 1, &left, &error), STATUS_OK);
        assert_int_equal (store_state_sweep (store, 10, &left, &error), STATUS_OK);
        assert_false (left);
        char *swept = value_of (store, live ? 0 : 1, live ? "old" : "row/000001");
        assert_null (swept);
        store_close (&store);
    }
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
    fixture_remove (other);
}

static void test_store_state__sweep_takes_removed_replicas_alone (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct fixture_recovered recovered = {0};
    struct store_error error = {0};
    struct store *store = fixture_open (dir, &recovered);
    struct store_turn *turn = store_turn_new (store);
    for (uint32_t shard = 0; shard < 6; shard++) {
        fixture_found (turn, shard, shard + 10);
        fixture_append (turn, shard, shard + 10, 1, 9, 1);
        struct store_batch *batch = store_batch_new (shard, shard + 10, 0, 9, 1);
        put (batch, "k", "v");
        write_one (store, batch);
    }
    fixture_commit (turn);
    for (uint32_t shard = 0; shard < 6; shard += 2)
        assert_int_equal (store_turn_remove (turn, shard, shard + 10), STATUS_OK);
    fixture_commit (turn);
    store_turn_destroy (&turn);
    bool left = false;
    assert_int_equal (store_state_sweep (store, 2, &left, &error), STATUS_OK);
    assert_true (left);
    assert_int_equal (store_state_sweep (store, 2, &left, &error), STATUS_OK);
    assert_false (left);
    for (uint32_t shard = 0; shard < 6; shard++) {
        uint64_t index, term;
        assert_int_equal (store_state_applied (store, shard, shard + 10, 0, &index, &term), STATUS_OK);
        assert_int_equal (index, shard % 2 == 0 ? 0 : 9);
    }
    store_close (&store);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_store_state__a_damaged_block_is_never_served (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2];
    fixture_dir (dir);
    struct fixture_recovered recovered = {0};
    struct store *store = open_founded (dir, &recovered);
    fill_rows (store, 400);
    store_close (&store);
    snprintf (image, sizeof image, "%s", dir);
    strcpy (strrchr (image, '/'), "/image");
    fixture_copy_tree (dir, image);
    size_t size = fixture_newest (image, "state", ".sst", path), refused = 0;
    for (size_t i = 0; i < 60; i++) {
        struct store_options options = fixture_options ();
        struct store_error error = {0};
        fixture_remove_tree (dir);
        fixture_copy_tree (image, dir);
        fixture_newest (dir, "state", ".sst", path);
        fixture_flip_bit (path, i * size / 60, i % 8);
        store = NULL;
        enum status status = store_open (dir, &options, &store, NULL, &error);
        if (status == STATUS_OK)
            status = fixture_recover (store, &recovered, &error);
        for (size_t row = 0; status == STATUS_OK && row < 400; row += 7) {
            char key[32];
            uint8_t *value = NULL;
            size_t len = 0;
            snprintf (key, sizeof key, "row/%06zu", row);
            status = store_state_get (store, 1, 7, 0, bytes_text (key), &value, &len);
            assert_int_not_equal (status, STATUS_NOT_FOUND);
            assert_true (status != STATUS_OK || (len == 200 && value[0] == 'a' + row % 26 && value[199] == value[0]));
            free (value);
        }
        refused += status != STATUS_OK || recovered.damage[0] != 0;
        store_close (&store);
    }
    assert_true (refused > 20);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

int main (int argc, char **argv)
{
    if (argc == 3 && strcmp (argv[1], "write") == 0) {
        write_two_and_leave (argv[2]);
        return fixture_die ();
    }
    if (argc == 5 && strcmp (argv[1], "import") == 0) {
        import_and_leave (argv[2], argv[3], atoi (argv[4]));
        return fixture_die ();
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_store_state__what_was_written_back_survives_a_kill),
        cmocka_unit_test (test_store_state__many_shards_in_one_step_and_in_order),
        cmocka_unit_test (test_store_state__a_snapshot_becomes_live_by_one_turn),
        cmocka_unit_test (test_store_state__a_damaged_chunk_is_refused_and_the_right_one_taken),
        cmocka_unit_test (test_store_state__an_interrupted_import_leaves_the_old_state_live),
        cmocka_unit_test (test_store_state__sweep_takes_removed_replicas_alone),
        cmocka_unit_test (test_store_state__a_damaged_block_is_never_served),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
