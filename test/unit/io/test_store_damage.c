/* Torn tails, rot and lost files: whatever is done to the bytes, synced turns are never silently missing (P9). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/store_fixture.h"

#define TURNS 6
#define ENTRIES_A_TURN 2

static size_t wal_ends[TURNS]; /* size of the WAL behind each turn of the last image */

/* A folder as a power cut leaves it: a copy taken while the store is open, after TURNS turns of a few entries each. The
 * last one has last_payload bytes more. *before and *after: size of the WAL around the last turn. */
static void make_image (char dir[FIXTURE_PATH_MAX], char image[FIXTURE_PATH_MAX], size_t last_payload,
    char wal[FIXTURE_PATH_MAX * 2], size_t *before, size_t *after)
{
    struct fixture_recovered recovered = {0};
    fixture_dir (dir);
    struct store *store = fixture_open (dir, &recovered);
    struct store_turn *turn = store_turn_new (store);
    for (uint64_t i = 0; i < TURNS; i++) {
        if (i == 0)
            fixture_found (turn, 1, 7);
        fixture_append (turn, 1, 7, 1 + i * ENTRIES_A_TURN, ENTRIES_A_TURN, 1);
        if (i + 1 == TURNS) {
            *before = fixture_newest (dir, "log", ".log", wal);
            if (last_payload > 0) {
                uint8_t *payload = malloc (last_payload);
                assert_non_null (payload);
                for (size_t k = 0; k < last_payload; k++)
                    payload[k] = (uint8_t) (k * 31 + k / 256);
                struct store_entry entry = {
                    .index = 1 + TURNS * ENTRIES_A_TURN, .term = 1, .payload = bytes_of (payload, last_payload)};
                assert_int_equal (store_turn_append (turn, 1, 7, 0, &entry, 1), STATUS_OK);
                free (payload);
            }
        }
        fixture_commit (turn);
        wal_ends[i] = fixture_newest (dir, "log", ".log", wal);
    }
    *after = fixture_newest (dir, "log", ".log", wal);
    assert_true (*after > *before);
    snprintf (image, FIXTURE_PATH_MAX, "%s", dir);
    strcpy (strrchr (image, '/'), "/image");
    fixture_copy_tree (dir, image);
    store_turn_destroy (&turn);
    store_close (&store);
    fixture_recovered_close (&recovered);
}

/* The image again in `dir`, with the WAL's path there. */
static void restore (const char *image, const char *dir, char wal[FIXTURE_PATH_MAX * 2])
{
    fixture_remove_tree (dir);
    fixture_copy_tree (image, dir);
    fixture_newest (dir, "log", ".log", wal);
}

static void assert_entries (const struct fixture_recovered *recovered, size_t least)
{
    assert_true (recovered->entries_count >= least);
    for (size_t i = 0; i < recovered->entries_count; i++) {
        assert_int_equal (recovered->entries[i].index, i + 1);
        if (i < TURNS * ENTRIES_A_TURN)
            assert_memory_equal (recovered->entries[i].payload, "payload-1-", 10);
    }
}

static void commit_and_leave (const char *dir)
{
    struct fixture_recovered recovered = {0};
    struct store *store = fixture_open (dir, &recovered);
    struct store_turn *turn = store_turn_new (store);
    uint64_t next = 1;
    if (recovered.replicas_count == 0)
        fixture_found (turn, 1, 7);
    else
        next = recovered.replicas[0].last_index + 1;
    for (int i = 0; i < 20; i++) {
        fixture_append (turn, 1, 7, next, 3, 1);
        fixture_commit (turn);
        next += 3;
    }
    fixture_append (turn, 1, 7, next, 3, 1); /* built, never committed */
}

static void test_store_damage__a_kill_loses_nothing_that_was_committed (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct fixture_recovered recovered = {0};
    for (size_t kills = 1; kills <= 4; kills++) {
        fixture_run_again ("commit", dir, NULL, NULL);
        struct store *store = fixture_open (dir, &recovered);
        assert_int_equal (recovered.entries_count, kills * 60);
        assert_false (store_suspect (store, NULL));
        store_close (&store);
    }
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

/* Cuts the WAL at `size` bytes; everything in front of the last turn must be there, and the store suspect. */
static void check_cut (const char *image, const char *dir, size_t size, struct fixture_recovered *recovered)
{
    char wal[FIXTURE_PATH_MAX * 2];
    bool suspect = false;
    struct store_error error = {0};
    restore (image, dir, wal);
    assert_int_equal (truncate (wal, (off_t) size), 0);
    if (size != wal_ends[TURNS - 2]) { /* at a record's boundary MARK alone can tell, elsewhere it is not needed */
        char *mark = fixture_join (dir, "MARK");
        assert_int_equal (unlink (mark), 0);
        free (mark);
    }
    enum status status = fixture_try (dir, recovered, &suspect, &error);
    if (status != STATUS_OK)
        fail_msg ("cut at %zu: status %d: %s", size, status, error.text);
    assert_int_equal (recovered->entries_count, (TURNS - 1) * ENTRIES_A_TURN);
    assert_entries (recovered, (TURNS - 1) * ENTRIES_A_TURN);
    assert_true (suspect);
}

static void test_store_damage__a_torn_tail_is_cut_at_every_byte (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], wal[FIXTURE_PATH_MAX * 2];
    size_t before, after;
    bool suspect = true;
    struct fixture_recovered recovered = {0};
    make_image (dir, image, 0, wal, &before, &after);
    restore (image, dir, wal);
    assert_int_equal (fixture_try (dir, &recovered, &suspect, NULL), STATUS_OK);
    assert_false (suspect);
    assert_entries (&recovered, TURNS * ENTRIES_A_TURN);
    for (size_t size = before; size < after; size++)
        check_cut (image, dir, size, &recovered);
    /* After the cut it goes on, and stays suspect until cleared. */
    struct store *store = fixture_open (dir, &recovered);
    assert_true (store_suspect (store, NULL));
    struct store_turn *turn = store_turn_new (store);
    fixture_append (turn, 1, 7, 1 + (TURNS - 1) * ENTRIES_A_TURN, ENTRIES_A_TURN, 2);
    assert_int_equal (store_turn_hard_state (turn, 1, 7, 2, 0), STATUS_OK);
    fixture_commit (turn);
    store_turn_destroy (&turn);
    store_close (&store);
    store = fixture_open (dir, &recovered);
    assert_entries (&recovered, TURNS * ENTRIES_A_TURN);
    store_close (&store);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_store_damage__a_torn_turn_of_many_blocks_is_cut (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], wal[FIXTURE_PATH_MAX * 2];
    size_t before = 0, after = 0;
    bool suspect;
    struct fixture_recovered recovered = {0};
    struct store_error error = {0};
    make_image (dir, image, 150000, wal, &before, &after);
    for (size_t block = 32768; block < after; block += 2 * 32768) {
        for (size_t size = block - 8; size <= block + 8; size++)
            check_cut (image, dir, size, &recovered);
    }
    /* A lost page within it: zeros in the middle, the last blocks there. It is still the last turn alone. */
    for (size_t page = (before / 4096 + 1) * 4096; page + 4096 < after; page += 8 * 4096) {
        restore (image, dir, wal);
        uint8_t zeros[4096] = {0};
        int fd = open (wal, O_WRONLY);
        assert_int_equal (pwrite (fd, zeros, sizeof zeros, (off_t) page), sizeof zeros);
        close (fd);
        suspect = false;
        assert_int_equal (fixture_try (dir, &recovered, &suspect, &error), STATUS_OK);
        assert_true (suspect);
        assert_int_equal (recovered.entries_count, (TURNS - 1) * ENTRIES_A_TURN);
    }
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_store_damage__zeros_and_garbage_behind_the_end_are_cut (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], wal[FIXTURE_PATH_MAX * 2];
    size_t before, after;
    struct fixture_recovered recovered = {0};
    make_image (dir, image, 0, wal, &before, &after);
    for (int garbage = 0; garbage < 2; garbage++) {
        bool suspect = false;
        uint8_t tail[70000];
        for (size_t i = 0; i < sizeof tail; i++)
            tail[i] = garbage ? (uint8_t) (i * i >> 5) : 0;
        restore (image, dir, wal);
        int fd = open (wal, O_WRONLY | O_APPEND);
        assert_int_equal (write (fd, tail, sizeof tail), sizeof tail);
        close (fd);
        assert_int_equal (fixture_try (dir, &recovered, &suspect, NULL), STATUS_OK);
        assert_true (suspect);
        assert_int_equal (recovered.entries_count, TURNS * ENTRIES_A_TURN);
    }
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_store_damage__a_bit_flipped_in_the_wal_is_never_silent (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], wal[FIXTURE_PATH_MAX * 2];
    size_t before, after, rot = 0, torn = 0;
    struct fixture_recovered recovered = {0};
    make_image (dir, image, 0, wal, &before, &after);
    for (size_t offset = 0; offset < after; offset += offset < 20 || offset + 10 > before ? 2 : 9) {
        struct store_error error = {0};
        bool suspect = false;
        restore (image, dir, wal);
        fixture_flip_bit (wal, offset, offset % 8);
        enum status status = fixture_try (dir, &recovered, &suspect, &error);
        if (offset < before) { /* valid turns follow: rot */
            if (status != STATUS_OK || !suspect || recovered.replicas_count != 1 || recovered.replicas[0].lost == NULL)
                fail_msg ("bit in byte %zu of %zu: status %d, %s", offset, after, status, error.text);
            assert_int_equal (recovered.entries_count, 0);
            rot++;
        } else { /* in the last turn: cannot be told from a torn write */
            assert_int_equal (status, STATUS_OK);
            assert_true (suspect);
            assert_int_equal (recovered.entries_count, (TURNS - 1) * ENTRIES_A_TURN);
            torn++;
        }
    }
    assert_true (rot > 40);
    assert_true (torn > 40);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_store_damage__a_lost_end_is_noticed_by_the_mark (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], wal[FIXTURE_PATH_MAX * 2], path[FIXTURE_PATH_MAX + 16];
    size_t before, after;
    bool suspect = false;
    struct fixture_recovered recovered = {0};
    make_image (dir, image, 0, wal, &before, &after);
    restore (image, dir, wal);
    assert_int_equal (truncate (wal, (off_t) before), 0);
    assert_int_equal (fixture_try (dir, &recovered, &suspect, NULL), STATUS_OK);
    assert_true (suspect);
    /* Without the mark nothing in the folder can tell: the peers' memory must (design.md "Suspect"). */
    restore (image, dir, wal);
    assert_int_equal (truncate (wal, (off_t) before), 0);
    snprintf (path, sizeof path, "%s/MARK", dir);
    assert_int_equal (unlink (path), 0);
    assert_int_equal (fixture_try (dir, &recovered, &suspect, NULL), STATUS_OK);
    assert_false (suspect);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_store_damage__a_turn_cut_out_whole_is_missed (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], wal[FIXTURE_PATH_MAX * 2];
    size_t before, after;
    struct fixture_recovered recovered = {0};
    make_image (dir, image, 0, wal, &before, &after);
    for (size_t turn = 0; turn + 1 < TURNS; turn++) { /* records in one block: what is left is valid to the last bit */
        struct store_error error = {0};
        bool suspect = false;
        uint8_t rest[8192];
        size_t from = turn == 0 ? 0 : wal_ends[turn - 1], rest_len = after - wal_ends[turn];
        restore (image, dir, wal);
        int fd = open (wal, O_RDWR);
        assert_true (rest_len <= sizeof rest);
        assert_int_equal (pread (fd, rest, rest_len, (off_t) wal_ends[turn]), rest_len);
        assert_int_equal (pwrite (fd, rest, rest_len, (off_t) from), rest_len);
        assert_int_equal (ftruncate (fd, (off_t) (from + rest_len)), 0);
        close (fd);
        assert_int_equal (fixture_try (dir, &recovered, &suspect, &error), STATUS_OK);
        assert_true (suspect);
        assert_non_null (recovered.replicas[0].lost);
        assert_int_equal (recovered.entries_count, 0);
    }
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

/* Flips bits all over a file of a closed folder: the outcome is an error, or everything. */
static void flip_all_over (const char *image, const char *dir, const char *sub, const char *end, size_t flips)
{
    char path[FIXTURE_PATH_MAX * 2];
    struct fixture_recovered recovered = {0};
    size_t size = fixture_newest (image, sub, end, path), refused = 0;
    for (size_t i = 0; i < flips; i++) {
        struct store_error error = {0};
        bool suspect = false;
        fixture_remove_tree (dir);
        fixture_copy_tree (image, dir);
        fixture_newest (dir, sub, end, path);
        fixture_flip_bit (path, i * size / flips, i % 8);
        enum status status = fixture_try (dir, &recovered, &suspect, &error);
        if (status == STATUS_OK && !suspect)
            assert_entries (&recovered, TURNS * ENTRIES_A_TURN);
        else
            refused++;
    }
    assert_true (refused > flips / 4); /* much of a file is data */
    fixture_recovered_close (&recovered);
}

static void test_store_damage__rot_in_the_logs_files_is_never_silent (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], wal[FIXTURE_PATH_MAX * 2];
    size_t before, after;
    struct fixture_recovered recovered = {0};
    make_image (dir, image, 3000, wal, &before, &after);
    store_close (&(struct store *){fixture_open (dir, &recovered)}); /* moves the turns into an SST file */
    fixture_remove_tree (image);
    fixture_copy_tree (dir, image);
    flip_all_over (image, dir, "log", ".sst", 70);
    fixture_remove_tree (dir);
    fixture_copy_tree (image, dir);
    fixture_newest (dir, "log", ".sst", wal);
    assert_int_equal (unlink (wal), 0);
    bool suspect;
    struct store_error error = {0};
    assert_int_equal (fixture_try (dir, &recovered, &suspect, &error), STATUS_DATA_LOSS);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void flip_manifest (const char *image, const char *dir, const char *sub)
{
    struct fixture_recovered recovered = {0};
    char *folder_path = fixture_join (image, sub), name[64] = "";
    DIR *folder = opendir (folder_path);
    struct dirent *item;
    while ((item = readdir (folder)) != NULL) {
        if (strncmp (item->d_name, "MANIFEST-", 9) == 0)
            snprintf (name, sizeof name, "%.60s", item->d_name);
    }
    closedir (folder);
    char *source = fixture_join (folder_path, name);
    struct stat stat_buffer;
    assert_int_equal (stat (source, &stat_buffer), 0);
    for (size_t offset = 0; offset < (size_t) stat_buffer.st_size; offset += 9) {
        struct store_error error = {0};
        bool suspect = false;
        fixture_remove_tree (dir);
        fixture_copy_tree (image, dir);
        char *copy_folder = fixture_join (dir, sub), *copy = fixture_join (copy_folder, name);
        fixture_flip_bit (copy, offset, offset % 8);
        enum status status = fixture_try (dir, &recovered, &suspect, &error);
        if (status == STATUS_OK && !suspect)
            assert_entries (&recovered, TURNS * ENTRIES_A_TURN);
        free (copy_folder);
        free (copy);
    }
    free (folder_path);
    free (source);
    fixture_recovered_close (&recovered);
}

static void test_store_damage__rot_in_a_manifest_is_never_silent (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], wal[FIXTURE_PATH_MAX * 2];
    size_t before, after;
    struct fixture_recovered recovered = {0};
    make_image (dir, image, 0, wal, &before, &after);
    store_close (&(struct store *){fixture_open (dir, &recovered)});
    fixture_remove_tree (image);
    fixture_copy_tree (dir, image);
    flip_manifest (image, dir, "log");
    flip_manifest (image, dir, "state");
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_store_damage__state_behind_the_cut_or_past_the_end_is_reported (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct fixture_recovered recovered = {0};
    struct store_error error = {0};
    struct store *store = fixture_open (dir, &recovered);
    struct store_turn *turn = store_turn_new (store);
    fixture_found (turn, 1, 7);
    fixture_append (turn, 1, 7, 1, 10, 1);
    fixture_commit (turn);
    struct store_batch *batch = store_batch_new (1, 7, 0, 12, 1);
    assert_int_equal (store_state_write (store, &batch, 1, &error), STATUS_OK);
    store_batch_destroy (&batch);
    store_turn_destroy (&turn);
    store_close (&store);
    store = fixture_open (dir, &recovered);
    assert_non_null (strstr (recovered.damage, "past the log's end"));
    assert_true (store_suspect (store, NULL));

    /* It starts over in an empty generation; what it voted for stays. */
    uint32_t generation;
    assert_int_equal (store_state_fresh (store, 1, 7, &generation, &error), STATUS_OK);
    assert_int_equal (generation, 1);
    turn = store_turn_new (store);
    assert_int_equal (store_turn_install (turn, 1, 7, generation, 0, 0, BYTES_LITERAL ("learner"), false), STATUS_OK);
    fixture_commit (turn);
    fixture_append (turn, 1, 7, 1, 4, 1);
    fixture_commit (turn);
    assert_int_equal (store_turn_compact (turn, 1, 7, 3, 1, BYTES_LITERAL ("c")), STATUS_OK);
    fixture_commit (turn);
    store_turn_destroy (&turn);
    store_close (&store);
    store = fixture_open (dir, &recovered);
    assert_non_null (strstr (recovered.damage, "below the log's cut")); /* compacted without a write-back */
    assert_int_equal (recovered.replicas[0].generation, 1);
    assert_int_equal (recovered.replicas[0].vote, 7);
    assert_int_equal (recovered.entries_count, 1);
    store_close (&store);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

int main (int argc, char **argv)
{
    if (argc == 3 && strcmp (argv[1], "commit") == 0) {
        commit_and_leave (argv[2]);
        return fixture_die ();
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_store_damage__a_kill_loses_nothing_that_was_committed),
        cmocka_unit_test (test_store_damage__a_torn_tail_is_cut_at_every_byte),
        cmocka_unit_test (test_store_damage__a_torn_turn_of_many_blocks_is_cut),
        cmocka_unit_test (test_store_damage__zeros_and_garbage_behind_the_end_are_cut),
        cmocka_unit_test (test_store_damage__a_bit_flipped_in_the_wal_is_never_silent),
        cmocka_unit_test (test_store_damage__a_lost_end_is_noticed_by_the_mark),
        cmocka_unit_test (test_store_damage__a_turn_cut_out_whole_is_missed),
        cmocka_unit_test (test_store_damage__rot_in_the_logs_files_is_never_silent),
        cmocka_unit_test (test_store_damage__rot_in_a_manifest_is_never_silent),
        cmocka_unit_test (test_store_damage__state_behind_the_cut_or_past_the_end_is_reported),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
