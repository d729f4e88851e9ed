/* A log database that does not open, or cannot be read, is made anew: what is kept, what starts over, and nothing is trusted. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/rebuild_fixture.h"

#define SHARDS 3
#define TURNS 60

static void append (struct store_turn *turn, uint32_t shard, uint64_t index)
{
    static uint8_t payload[REBUILD_BULK_BYTES];
    if (shard != 2) {
        fixture_append (turn, shard, 100 + shard, index, 1, 1);
        return;
    }
    memset (payload, 0, 64);
    snprintf ((char *) payload, 64, "payload-%u-%llu", shard, (unsigned long long) index);
    for (size_t i = 64; i < sizeof payload; i++)
        payload[i] = (uint8_t) (i * 31 + i / 256);
    struct store_entry entry = {.index = index, .term = 1, .payload = bytes_of (payload, sizeof payload)};
    assert_int_equal (store_turn_append (turn, shard, 100 + shard, 0, &entry, 1), STATUS_OK);
}

/* Three replicas with one entry a turn, half of it in sorted files, half in a write-ahead file. Shard 3 has its beginning
 * alone. */
static void make (char dir[FIXTURE_PATH_MAX], char image[FIXTURE_PATH_MAX])
{
    struct fixture_recovered recovered = {0};
    fixture_dir (dir);
    for (unsigned life = 0; life < 2; life++) {
        struct store *store = rebuild_open_well (dir, &recovered);
        struct store_turn *turn = store_turn_new (store);
        for (unsigned t = life * TURNS / 2; t < (life + 1) * TURNS / 2; t++) {
            for (uint32_t shard = 1; shard <= SHARDS; shard++) {
                if (t == 0)
                    fixture_found (turn, shard, 100 + shard);
                if (t == 0 || shard < 3)
                    append (turn, shard, 1 + t);
            }
            fixture_commit (turn);
        }
        store_turn_destroy (&turn);
        store_close (&store);
    }
    struct store *store =
        rebuild_open_well (dir, &recovered); /* what was written last goes into a sorted file as well */
    struct store_turn *turn = store_turn_new (store);
    fixture_append (turn, 1, 101, 1 + TURNS, 1, 1);
    fixture_commit (turn);
    store_turn_destroy (&turn);
    store_close (&store);
    snprintf (image, FIXTURE_PATH_MAX, "%s", dir);
    strcpy (strrchr (image, '/'), "/image");
    fixture_copy_tree (dir, image);
    fixture_recovered_close (&recovered);
}

struct counts {
    unsigned lost, doubtful, missing;
    uint64_t entries;
};

/* What a damaged log may give: doubt about everybody, and whole beginnings of what was there. */
static void check_doubted (const struct fixture_recovered *recovered, struct store *store, struct counts *counts)
{
    struct store_hole hole;
    const char *why;
    bool whole;
    assert_true (store_log_rebuilt (store, &why, &whole));
    assert_false (whole);
    assert_true (why[0] != 0);
    assert_true (store_suspect (store, NULL));
    assert_true (store_log_holed (store, &hole));
    assert_int_equal (hole.certain, 0);
    for (uint32_t shard = 1; shard <= SHARDS; shard++) {
        const struct store_replica *row = rebuild_replica_of (recovered, shard);
        uint64_t entries = rebuild_entries_of (recovered, shard);
        counts->missing += row == NULL;
        if (row == NULL || row->lost != NULL) {
            counts->lost += row != NULL;
            assert_int_equal (entries, 0);
            continue;
        }
        assert_true (row->doubtful);
        assert_int_equal (row->last_index, entries);
        counts->doubtful++;
        counts->entries += entries;
    }
}

/* As the engine closes it; then the folder is as any other, but for the suspicion, which is for leaders to take away. */
static void close_hole (const char *dir, struct store *store, struct fixture_recovered *recovered)
{
    struct store_error error;
    struct fixture_recovered again = {0};
    const char *why;
    bool whole;
    struct store_turn *turn = store_turn_new (store);
    for (uint32_t shard = 1; shard <= SHARDS; shard++) {
        const struct store_replica *row = rebuild_replica_of (recovered, shard);
        uint32_t fresh;
        if (row != NULL && row->lost == NULL) {
            assert_int_equal (store_turn_hard_state (turn, shard, 100 + shard, row->term, row->vote), STATUS_OK);
            continue;
        }
        assert_int_equal (store_state_fresh (store, shard, 100 + shard, &fresh, &error), STATUS_OK);
        assert_int_equal (
            store_turn_install (turn, shard, 100 + shard, fresh, 0, 0, BYTES_LITERAL ("again"), false), STATUS_OK);
    }
    fixture_commit (turn);
    store_turn_destroy (&turn);
    store_close (&store);
    store = rebuild_open_well (dir, &again);
    assert_false (store_log_rebuilt (store, &why, &whole));
    assert_false (store_log_holed (store, NULL));
    assert_true (store_suspect (store, NULL));
    for (uint32_t shard = 1; shard <= SHARDS; shard++)
        assert_int_equal (rebuild_entries_of (&again, shard), rebuild_entries_of (recovered, shard));
    store_close (&store);
    fixture_recovered_close (&again);
}

static void check_mended (const char *dir, struct counts *counts)
{
    struct fixture_recovered recovered = {0};
    char kept[FIXTURE_PATH_MAX * 2];
    for (unsigned start = 0; start < 2; start++) { /* a second one finds the same, and copies nothing again */
        struct store *store = rebuild_open_well (dir, &recovered);
        if (start == 0) {
            check_doubted (&recovered, store, counts);
            store_close (&store);
            continue;
        }
        assert_true (store_log_holed (store, NULL));
        close_hole (dir, store, &recovered);
    }
    rebuild_path_of (dir, "damaged-log", kept);
    assert_int_equal (access (kept, F_OK), 0);
    fixture_recovered_close (&recovered);
}

/* ---- the index */

static void test_store_rebuild__an_index_that_is_lost_costs_no_entry (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2];
    make (dir, image);
    for (unsigned kind = 0; kind < 6; kind++) {
        struct counts counts = {0};
        struct stat about;
        rebuild_again (image, dir);
        rebuild_find (dir, kind < 2 ? "CURRENT" : "MANIFEST", path);
        assert_int_equal (stat (path, &about), 0);
        if (kind % 3 == 0)
            assert_int_equal (unlink (path), 0);
        else if (kind == 4)
            assert_int_equal (truncate (path, 0), 0);
        else
            fixture_flip_bit (path, (size_t) about.st_size / 2, kind);
        check_mended (dir, &counts);
        assert_int_equal (counts.doubtful, SHARDS);
        assert_int_equal (counts.entries, 1 + TURNS + TURNS + 1);
    }
    fixture_remove (dir);
}

static void test_store_rebuild__a_log_that_is_gone_lets_all_start_over (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2];
    struct fixture_recovered recovered = {0};
    struct counts counts = {0};
    make (dir, image);
    rebuild_path_of (dir, "log", path);
    fixture_remove_tree (path);
    struct store *store = rebuild_open_well (dir, &recovered);
    check_doubted (&recovered, store, &counts);
    assert_int_equal (counts.missing, SHARDS);
    close_hole (dir, store, &recovered);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

/* ---- sorted files */

/* A bit of a sorted file: nobody notices (what nothing depends on), or all are doubted; nothing is missing in silence. */
static bool check_flip (const char *image, const char *dir, size_t place, struct counts *counts)
{
    char path[FIXTURE_PATH_MAX * 2];
    struct fixture_recovered recovered = {0};
    const char *why;
    bool whole;
    rebuild_again (image, dir);
    fixture_newest (dir, "log", ".sst", path);
    fixture_flip_bit (path, place, place % 8);
    struct store *store = rebuild_open_well (dir, &recovered);
    bool doubted = store_suspect (store, NULL);
    if (doubted) {
        check_doubted (&recovered, store, counts);
        close_hole (dir, store, &recovered);
    } else {
        assert_false (store_log_rebuilt (store, &why, &whole));
        assert_int_equal (rebuild_entries_of (&recovered, 1), TURNS + 1);
        assert_int_equal (rebuild_entries_of (&recovered, 2), TURNS);
        assert_int_equal (rebuild_entries_of (&recovered, 3), 1);
        store_close (&store);
    }
    fixture_recovered_close (&recovered);
    return doubted;
}

static void test_store_rebuild__a_bit_of_a_sorted_file_costs_its_block_alone (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2];
    struct counts counts = {0};
    unsigned doubted = 0, flips = 0;
    make (dir, image);
    size_t size = fixture_newest (image, "log", ".sst", path);
    assert_true (size > 2 * 65536);
    for (size_t i = 0; i < 16; i++, flips++)
        doubted += check_flip (image, dir, i * (size - 600) / 16 + i, &counts);
    assert_int_equal (doubted, flips);     /* blocks of data: each bit counts */
    assert_true (counts.doubtful > flips); /* most lose one of several blocks */
    for (size_t i = 0; i < 12; i++)        /* the index, what describes the file, and the footer */
        doubted += check_flip (image, dir, size - 600 + i * 48, &counts);
    assert_true (doubted > flips);
    fixture_remove (dir);
}

static void damage (const char *path, unsigned kind)
{
    size_t size = rebuild_size_of (path);
    static const uint8_t zeros[4096];
    if (kind == 0) {
        assert_int_equal (unlink (path), 0);
    } else if (kind == 1) {
        assert_int_equal (truncate (path, (off_t) size / 2), 0);
    } else if (kind == 2) {
        assert_int_equal (truncate (path, 0), 0);
    } else {
        int fd = open (path, O_WRONLY);
        assert_int_equal (pwrite (fd, zeros, sizeof zeros, kind == 3 ? 0 : (off_t) (size / 2)), sizeof zeros);
        close (fd);
    }
}

static void test_store_rebuild__a_sorted_file_removed_cut_or_zeroed (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2];
    make (dir, image);
    for (unsigned kind = 0; kind < 5; kind++) {
        struct counts counts = {0};
        rebuild_again (image, dir);
        fixture_newest (dir, "log", ".sst", path);
        damage (path, kind);
        check_mended (dir, &counts);
        assert_int_equal (counts.doubtful + counts.lost + counts.missing, SHARDS);
        assert_true (counts.doubtful > 0); /* there is another sorted file, and a write-ahead file */
    }
    fixture_remove (dir);
}

/* ---- crashes */

static void test_store_rebuild__a_crash_on_the_way_costs_nothing (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2];
    static const char *const points[] = {"rebuild.copy=exit:0", "rebuild.aside=exit:0", "rebuild.filled=exit:0",
        "suspect.write.before=exit:0", "suspect.write.after=exit:0", "file.folder.before=exit:0,after:1",
        "file.folder.before=exit:0,after:2", "file.folder.before=exit:0,after:3", "file.folder.before=exit:0,after:4",
        "file.rename.after=exit:0,after:1", "file.remove.before=exit:0", "start.log.before=exit:0"};
    make (dir, image);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        struct counts counts = {0};
        rebuild_again (image, dir);
        rebuild_find (dir, "MANIFEST", path);
        fixture_flip_bit (path, rebuild_size_of (path) / 2, 3);
        fixture_run_again ("crash", dir, points[i], NULL);
        fixture_run_again ("crash", dir, "start.log.before=exit:0", NULL); /* and in the start that follows */
        struct fixture_recovered recovered = {0};
        struct store *store = rebuild_open_well (dir, &recovered);
        assert_true (store_suspect (store, NULL));
        assert_true (store_log_holed (store, NULL));
        for (uint32_t shard = 1; shard <= SHARDS; shard++) {
            assert_true (rebuild_replica_of (&recovered, shard)->doubtful);
            counts.entries += rebuild_entries_of (&recovered, shard);
        }
        assert_int_equal (counts.entries, 1 + TURNS + TURNS + 1);
        close_hole (dir, store, &recovered);
        rebuild_path_of (dir, "damaged-log", path);
        assert_int_equal (access (path, F_OK), 0);
        rebuild_path_of (dir, "log-old", path);
        assert_int_not_equal (access (path, F_OK), 0);
        rebuild_path_of (dir, "log-new", path);
        assert_int_not_equal (access (path, F_OK), 0);
        fixture_recovered_close (&recovered);
    }
    fixture_remove (dir);
}

/* ---- nothing changes where no other node has what may be lost */

static void test_store_rebuild__alone_it_refuses (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2], saved[16];
    struct fixture_recovered recovered = {0};
    struct store_error error = {.text = ""};
    struct store *store = NULL;
    make (dir, image);
    rebuild_find (dir, "CURRENT", path);
    int fd = open (path, O_RDONLY);
    assert_int_equal (read (fd, saved, sizeof saved), sizeof saved);
    close (fd);
    assert_int_equal (unlink (path), 0);
    assert_int_equal (rebuild_open_it (dir, false, &recovered, &store, &error), STATUS_DATA_LOSS);
    assert_non_null (strstr (error.text, "lost its log database"));
    fd = open (path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal (write (fd, saved, sizeof saved), sizeof saved);
    close (fd);
    assert_int_equal (rebuild_open_it (dir, false, &recovered, &store, &error), STATUS_OK);
    assert_false (store_suspect (store, NULL));
    assert_int_equal (rebuild_entries_of (&recovered, 1), TURNS + 1);
    store_close (&store);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

int main (int argc, char **argv)
{
    if (argc >= 4 && strcmp (argv[1], "crash") == 0)
        return rebuild_crash_at (argv[2], argv[3]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_store_rebuild__an_index_that_is_lost_costs_no_entry),
        cmocka_unit_test (test_store_rebuild__a_log_that_is_gone_lets_all_start_over),
        cmocka_unit_test (test_store_rebuild__a_bit_of_a_sorted_file_costs_its_block_alone),
        cmocka_unit_test (test_store_rebuild__a_sorted_file_removed_cut_or_zeroed),
        cmocka_unit_test (test_store_rebuild__a_crash_on_the_way_costs_nothing),
        cmocka_unit_test (test_store_rebuild__alone_it_refuses),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
