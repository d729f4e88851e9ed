/* Sorted files read without the database: of a whole one every row, of a damaged one only rows that were there. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/store/log_rows.h"
#include "node/store/sst_read.h"
#include "schemas/runtime/checksum.h"
#include "test/support/store_fixture.h"

#define TURNS 80
#define ROWS_MAX 400
#define MUTATIONS 1500

static uint64_t next_random (uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* A sorted file of the log as the database writes it, with entries of all sizes; on the heap. */
static uint8_t *make_file (size_t *size)
{
    static uint8_t payload[70000];
    char dir[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2];
    struct fixture_recovered recovered = {0};
    struct store_error error;
    uint64_t seed = 7;
    fixture_dir (dir);
    struct store *store = fixture_open (dir, &recovered);
    struct store_turn *turn = store_turn_new (store);
    for (uint64_t t = 1; t <= TURNS; t++) {
        for (uint32_t shard = 1; shard <= 40 && t == 1; shard++)
            fixture_found (turn, shard, shard);
        size_t len = t % 20 == 0 ? sizeof payload : next_random (&seed) % 3000;
        for (size_t i = 0; i < len; i++)
            payload[i] = (uint8_t) next_random (&seed);
        struct store_entry entry = {.index = t, .term = 1, .payload = bytes_of (payload, len)};
        assert_int_equal (store_turn_append (turn, 1, 1, 0, &entry, 1), STATUS_OK);
        fixture_commit (turn);
    }
    assert_int_equal (store_log_renew (store, &error), STATUS_OK);
    store_turn_destroy (&turn);
    store_close (&store);
    *size = fixture_newest (dir, "log", ".sst", path);
    uint8_t *data = malloc (*size);
    int fd = open (path, O_RDONLY);
    assert_non_null (data);
    assert_int_equal (read (fd, data, *size), *size);
    close (fd);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
    return data;
}

struct seen {
    uint64_t sums[ROWS_MAX];
    size_t count;
    const struct seen *truth; /* NULL: this is it */
};

static void see (void *argument, struct bytes key, struct bytes value)
{
    struct seen *seen = argument;
    uint64_t sum = checksum64 (checksum64 (0, key), value);
    bool true_row = seen->truth == NULL;
    for (size_t i = 0; !true_row && i < seen->truth->count; i++)
        true_row = seen->truth->sums[i] == sum;
    assert_true (true_row);
    assert_true (seen->count < ROWS_MAX);
    seen->sums[seen->count++] = sum;
}

static bool take_row (void *argument, const struct sst_row *row)
{
    return log_rows_take (argument, row->key, row->value, row->sequence);
}

static size_t read_rows (const uint8_t *data, size_t size, const struct seen *truth, struct seen *seen, bool *damaged)
{
    *seen = (struct seen){.truth = truth};
    struct log_rows rows = {.put = see, .argument = seen};
    sst_read_bytes (bytes_of (data, size), take_row, &rows, damaged);
    log_rows_each_mark (&rows);
    assert_false (rows.memory_out);
    log_rows_close (&rows);
    return seen->count;
}

static void test_sst_read__gives_every_row_of_a_whole_file (void **state)
{
    (void) state;
    static struct seen truth, seen;
    size_t size;
    bool damaged;
    uint8_t *data = make_file (&size);
    assert_int_equal (read_rows (data, size, NULL, &truth, &damaged), TURNS + 2 * 40);
    assert_false (damaged);
    /* Without its end, where the index is, it is read from its beginning. */
    assert_int_equal (read_rows (data, size - 60, &truth, &seen, &damaged), TURNS + 2 * 40);
    assert_true (damaged);
    assert_true (read_rows (data, size / 2, &truth, &seen, &damaged) > 20);
    assert_true (damaged);
    /* A damaged block costs what stands behind the damage in it, and no other block. */
    data[1000] ^= 4;
    size_t left = read_rows (data, size, &truth, &seen, &damaged);
    assert_true (damaged);
    assert_in_range (left, TURNS / 2, TURNS + 2 * 40 - 1);
    free (data);
}

/* In a copy of exactly its size, so that a sanitizer sees who reads beyond it. */
static void test_sst_read__gives_nothing_that_was_not_there (void **state)
{
    (void) state;
    static struct seen truth, seen;
    size_t size;
    bool damaged;
    uint64_t seed = 99;
    uint8_t *data = make_file (&size);
    read_rows (data, size, NULL, &truth, &damaged);
    size_t least = SIZE_MAX, most = 0;
    for (unsigned i = 0; i < MUTATIONS; i++) {
        size_t len = i % 4 == 0 ? next_random (&seed) % (size + 1) : size;
        uint8_t *copy = malloc (len + (len == 0));
        assert_non_null (copy);
        memcpy (copy, data, len);
        for (uint64_t k = next_random (&seed) % 6; k > 0 && len > 0; k--) {
            size_t window = k % 2 == 0 && len > 800 ? 800 : len; /* the end has the most to be mistaken about */
            size_t at = len - window + next_random (&seed) % window;
            if (next_random (&seed) % 3 == 0)
                memset (copy + at, k % 2 == 0 ? 0 : 255, len - at < 9 ? len - at : 9);
            else
                copy[at] ^= (uint8_t) (1u << next_random (&seed) % 8);
        }
        size_t rows = read_rows (copy, len, &truth, &seen, &damaged);
        least = rows < least ? rows : least;
        most = rows > most ? rows : most;
        assert_true (damaged || rows == truth.count);
        free (copy);
    }
    assert_int_equal (most, truth.count);
    assert_true (least < truth.count / 2);
    free (data);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_sst_read__gives_every_row_of_a_whole_file),
        cmocka_unit_test (test_sst_read__gives_nothing_that_was_not_there),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
