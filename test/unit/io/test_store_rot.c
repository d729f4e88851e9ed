/* Rot in a stopped node's log: which replica may go on with what it holds, against an oracle that knows what was lost. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/store/pack.h"
#include "node/store/wal_internal.h"
#include "schemas/runtime/checksum.h"
#include "test/support/store_fixture.h"

#define SHARDS 12
#define TURNS 40
#define INDEX_MAX 400

/* One replica's log as it was behind some turn: the terms of its entries. */
struct truth {
    uint64_t last, term;
    uint64_t terms[INDEX_MAX];
};

/* What each turn left behind; [0] is the empty folder. The last one is what was on the disk. */
static struct truth history[TURNS + 1][SHARDS];
static size_t wal_ends[TURNS + 1];

static uint64_t next_random (uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static uint64_t replica_of (uint32_t shard)
{
    return 100 + shard;
}

/* Appends, now and then of a new term, and then sometimes in the place of the newest entries. */
static void write_shard (struct store_turn *turn, uint32_t shard, struct truth *truth, uint64_t *seed)
{
    uint64_t first = truth->last + 1, count = 1 + next_random (seed) % 3;
    if (next_random (seed) % 4 == 0) {
        truth->term += 1 + next_random (seed) % 2;
        first -= next_random (seed) % (truth->last < 3 ? truth->last + 1 : 3);
        assert_int_equal (store_turn_hard_state (turn, shard, replica_of (shard), truth->term, 0), STATUS_OK);
    }
    fixture_append (turn, shard, replica_of (shard), first, count, truth->term);
    truth->last = first + count - 1;
    assert_true (truth->last < INDEX_MAX);
    for (uint64_t i = first; i <= truth->last; i++)
        truth->terms[i] = truth->term;
}

/* An entry that takes more than two blocks of the file. */
static void write_bulk (struct store_turn *turn, uint32_t shard, struct truth *truth)
{
    static uint8_t payload[90000];
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t) (i * 31 + i / 256);
    struct store_entry entry = {
        .index = ++truth->last, .term = truth->term, .payload = bytes_of (payload, sizeof payload)};
    assert_int_equal (store_turn_append (turn, shard, replica_of (shard), 0, &entry, 1), STATUS_OK);
    truth->terms[truth->last] = truth->term;
}

/* A folder as kill -9 leaves it, after TURNS turns in each of which some shards have something. */
static void make_image (char dir[FIXTURE_PATH_MAX], char image[FIXTURE_PATH_MAX], uint64_t seed, bool bulk)
{
    char wal[FIXTURE_PATH_MAX * 2];
    struct fixture_rig rig;
    fixture_rig_init (&rig);
    memset (history, 0, sizeof history);
    for (uint32_t shard = 0; shard < SHARDS; shard++)
        history[0][shard].term = 1;
    for (size_t t = 1; t <= TURNS; t++) {
        memcpy (history[t], history[t - 1], sizeof history[t]);
        for (uint32_t shard = 0; shard < SHARDS; shard++) {
            if (t == 1)
                fixture_found (rig.turn, shard, replica_of (shard));
            bool idle = shard == 0 && t > 5; /* one of which nothing is heard any more */
            if (!idle && (t == 1 || next_random (&seed) % 3 == 0))
                write_shard (rig.turn, shard, &history[t][shard], &seed);
        }
        if (bulk && t % 10 == 0)
            write_bulk (rig.turn, 1, &history[t][1]);
        fixture_append (rig.turn, 1, replica_of (1), ++history[t][1].last, 1, history[t][1].term);
        history[t][1].terms[history[t][1].last] = history[t][1].term;
        fixture_commit (rig.turn);
        wal_ends[t] = fixture_newest (rig.dir, "log", ".log", wal);
    }
    fixture_rig_kill (&rig);
    fixture_recovered_close (&rig.recovered);
    strcpy (dir, rig.dir);
    strcpy (image, rig.image);
}

static void read_log (const struct fixture_recovered *recovered, uint32_t shard, struct truth *found)
{
    *found = (struct truth){0};
    for (size_t i = 0; i < recovered->entries_count; i++) {
        const struct fixture_entry *entry = &recovered->entries[i];
        if (entry->shard != shard)
            continue;
        assert_int_equal (entry->index, found->last + 1);
        found->terms[++found->last] = entry->term;
    }
}

static bool same_log (const struct truth *a, const struct truth *b)
{
    return a->last == b->last && memcmp (a->terms, b->terms, (a->last + 1) * sizeof *a->terms) == 0;
}

struct counts {
    unsigned whole, certain, doubtful, broken, stale;
};

/* The turns [from, to] are lost. Nobody may be called certain whose log is another than the one that was there. */
static void check_shard (
    const struct fixture_recovered *recovered, uint32_t shard, size_t from, size_t to, struct counts *counts)
{
    const struct store_replica *row = fixture_replica (recovered, shard, replica_of (shard));
    const struct truth *last = &history[TURNS][shard];
    struct truth found;
    bool idle = same_log (&history[to][shard], last), as_it_was = false;
    if (row == NULL) { /* all of it was in the lost turn */
        assert_true (from == 1 && idle);
        return;
    }
    read_log (recovered, shard, &found);
    counts->broken += row->lost != NULL;
    if (row->lost != NULL) {
        assert_int_equal (found.last, 0);
        return;
    }
    if (row->doubtful) {
        for (size_t t = from - 1; t < to; t++) /* as it once was */
            as_it_was = as_it_was || same_log (&found, &history[t][shard]);
        assert_true (as_it_was);
        assert_true (idle);
        counts->doubtful++;
        counts->stale += !same_log (&found, last);
        return;
    }
    assert_true (same_log (&found, last));
    counts->certain++;
}

/* Whoever had nothing in the lost turns, and went on behind them in the same term, must not be emptied. */
static void check_kept (const struct fixture_recovered *recovered, size_t from, size_t to)
{
    for (uint32_t shard = 0; shard < SHARDS && from > 1; shard++) {
        const struct truth *before = &history[from - 1][shard], *behind = &history[to + 1][shard];
        bool goes_on = behind->last > before->last && behind->terms[before->last] == before->terms[before->last] &&
                       behind->terms[before->last + 1] == before->terms[before->last];
        if (!same_log (before, &history[to][shard]) || !goes_on)
            continue;
        const struct store_replica *row = fixture_replica (recovered, shard, replica_of (shard));
        assert_non_null (row);
        assert_null (row->lost);
        assert_false (row->doubtful);
    }
}

/* As the engine closes it: one turn; then a start finds a log without a hole, and the same entries. */
static void close_hole (const char *dir, struct fixture_recovered *recovered, size_t from, size_t to)
{
    struct store_hole hole;
    struct store_error error;
    struct fixture_recovered again = {0};
    struct store *store = fixture_open (dir, recovered);
    assert_true (store_log_holed (store, &hole)); /* an earlier start changed nothing about it */
    assert_int_equal (hole.turn_first, from);
    assert_int_equal (hole.turn_last, to);
    assert_int_equal (hole.turns, to - from + 1);
    struct store_turn *turn = store_turn_new (store);
    bool any = false;
    for (size_t i = 0; i < recovered->replicas_count; i++)
        any = any || recovered->replicas[i].lost != NULL;
    assert_int_equal (store_turn_hard_state (turn, 1, replica_of (1), 1000, 0), STATUS_OK);
    if (any) /* a turn that leaves a broken log as it is is refused, and changes nothing */
        assert_int_equal (store_turn_commit (turn, &error), STATUS_INVALID_ARGUMENT);
    for (size_t i = 0; i < recovered->replicas_count; i++) {
        const struct store_replica *row = &recovered->replicas[i];
        uint32_t fresh;
        if (row->lost == NULL)
            continue;
        assert_int_equal (store_state_fresh (store, row->shard, row->replica, &fresh, &error), STATUS_OK);
        assert_int_equal (
            store_turn_install (turn, row->shard, row->replica, fresh, 0, 0, BYTES_LITERAL ("again"), false),
            STATUS_OK);
    }
    fixture_commit (turn);
    assert_false (store_log_holed (store, NULL));
    for (size_t i = 0; i < recovered->replicas_count; i++) {
        const struct store_replica *row = &recovered->replicas[i];
        if (row->lost != NULL)
            fixture_append (turn, row->shard, row->replica, 1, 2, 7);
    }
    fixture_append (turn, 50, 50, 1, 1, 1);
    fixture_commit (turn);
    store_turn_destroy (&turn);
    store_close (&store);
    store = fixture_open (dir, &again);
    assert_false (store_log_holed (store, NULL));
    assert_true (store_suspect (store, NULL)); /* until its leaders have looked after it */
    for (uint32_t shard = 0; shard < SHARDS; shard++) {
        const struct store_replica *row = fixture_replica (recovered, shard, replica_of (shard));
        struct truth first, second;
        read_log (recovered, shard, &first);
        read_log (&again, shard, &second);
        if (row != NULL && row->lost != NULL)
            assert_int_equal (second.last, 2);
        else
            assert_true (same_log (&first, &second));
    }
    store_close (&store);
    fixture_recovered_close (&again);
}

static void check_flip (const char *image, const char *dir, size_t turn, size_t offset, struct counts *counts)
{
    char wal[FIXTURE_PATH_MAX * 2];
    struct fixture_recovered recovered = {0};
    fixture_remove_tree (dir);
    fixture_copy_tree (image, dir);
    fixture_newest (dir, "log", ".log", wal);
    fixture_flip_bit (wal, offset, offset % 8);
    struct store *store = fixture_open (dir, &recovered);
    struct store_hole hole;
    assert_true (store_suspect (store, NULL));
    assert_true (store_log_holed (store, &hole));
    assert_int_equal (hole.turn_first, turn);
    assert_int_equal (hole.turn_last, turn);
    for (uint32_t shard = 0; shard < SHARDS; shard++)
        check_shard (&recovered, shard, turn, turn, counts);
    check_kept (&recovered, turn, turn);
    store_close (&store);
    close_hole (dir, &recovered, turn, turn);
    fixture_recovered_close (&recovered);
}

/* Header and payload of the first record, of some in the middle, and of the last but one. */
static void test_store_rot__each_replica_keeps_what_it_can_prove (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX];
    static const size_t turns[] = {1, 2, 3, 7, 10, 19, 26, 30, TURNS - 2, TURNS - 1};
    struct counts counts = {0};
    for (uint64_t seed = 1; seed <= 2; seed++) {
        make_image (dir, image, seed * 7919, seed % 2 == 0);
        for (size_t i = 0; i < sizeof turns / sizeof *turns; i++) {
            size_t begin = wal_ends[turns[i] - 1], end = wal_ends[turns[i]];
            size_t places[] = {begin + i % 4, begin + 4 + i % 3, begin + (end - begin) / 2, end - 1};
            check_flip (image, dir, turns[i], places[(i + seed) % 4], &counts);
        }
        fixture_remove (dir);
    }
    assert_true (counts.certain > 40);
    assert_true (counts.broken > 20);
    assert_true (counts.doubtful > 20);
    assert_true (counts.stale > 0);
}

static void zero (const char *wal, size_t from, size_t to)
{
    static const uint8_t zeros[8192];
    int fd = open (wal, O_WRONLY);
    assert_true (to - from <= sizeof zeros);
    assert_int_equal (pwrite (fd, zeros, to - from, (off_t) from), to - from);
    close (fd);
}

static void check_zeros (
    const char *image, const char *dir, size_t first, size_t last, size_t torn, struct store_hole *hole)
{
    char wal[FIXTURE_PATH_MAX * 2];
    struct fixture_recovered recovered = {0};
    struct counts counts = {0};
    fixture_remove_tree (dir);
    fixture_copy_tree (image, dir);
    size_t size = fixture_newest (dir, "log", ".log", wal);
    zero (wal, wal_ends[first - 1] + 5, wal_ends[first] + 1);
    zero (wal, wal_ends[last - 1] + 5, wal_ends[last]);
    assert_int_equal (truncate (wal, (off_t) (size - torn)), 0);
    struct store *store = fixture_open (dir, &recovered);
    assert_true (store_suspect (store, NULL));
    assert_true (store_log_holed (store, hole));
    for (uint32_t shard = 0; shard < SHARDS && hole->turns > 0 && torn == 0; shard++)
        check_shard (&recovered, shard, (size_t) hole->turn_first, (size_t) hole->turn_last, &counts);
    for (uint32_t shard = 0; shard < SHARDS && torn > 0; shard++) {
        const struct store_replica *row = fixture_replica (&recovered, shard, replica_of (shard));
        struct truth found;
        read_log (&recovered, shard, &found);
        assert_true (row->lost != NULL || row->doubtful); /* who knows what stood at the end */
        if (hole->turns == 0)
            assert_true (same_log (&found, &history[first - 1][shard]));
    }
    store_close (&store);
    fixture_recovered_close (&recovered);
}

/* Zeros where pages were lost. In one block of the file nothing is believed between two of them: bytes of a payload could
 * look like a record. */
static void test_store_rot__several_holes_and_a_torn_end (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX];
    struct store_hole hole;
    make_image (dir, image, 4242, false);
    check_zeros (image, dir, 5, 21, 0, &hole);
    assert_int_equal (hole.turn_first, 5);
    assert_int_equal (hole.turn_last, 21);
    assert_int_equal (hole.turns, 17);
    check_zeros (image, dir, 5, 21, 3, &hole); /* all in one block: what is lost is the end */
    assert_int_equal (hole.turns, 0);
    fixture_remove (dir);
    make_image (dir, image, 4243, true);
    check_zeros (image, dir, 5, 22, 3, &hole);
    assert_int_equal (hole.turn_first, 5);
    assert_int_equal (hole.turn_last, 22);
    assert_int_equal (hole.turns, 3); /* 5 and what begins within the zeros, and 22 */
    fixture_remove (dir);
}

/* An entry that was replaced in the lost turn: indexes go on, the terms tell. */
static void test_store_rot__a_replaced_entry_is_not_taken_for_the_one_behind_it (void **state)
{
    (void) state;
    char wal[FIXTURE_PATH_MAX * 2];
    struct fixture_rig rig;
    size_t ends[5] = {0};
    fixture_rig_init (&rig);
    for (uint64_t t = 1; t <= 4; t++) {
        for (uint32_t shard = 1; shard <= 2 && t == 1; shard++) {
            fixture_found (rig.turn, shard, shard);
            fixture_append (rig.turn, shard, shard, 1, 5, 1);
        }
        if (t == 2) /* shard 1: another leader's entries in the place of 4 and 5. Shard 2 has nothing here */
            fixture_append (rig.turn, 1, 1, 4, 2, 2);
        if (t == 3) {
            fixture_append (rig.turn, 1, 1, 6, 1, 2);
            fixture_append (rig.turn, 2, 2, 6, 1, 1);
        }
        if (t == 4)
            assert_int_equal (store_turn_hard_state (rig.turn, 2, 2, 1, 2), STATUS_OK);
        fixture_commit (rig.turn);
        ends[t] = fixture_newest (rig.dir, "log", ".log", wal);
    }
    fixture_rig_kill (&rig);
    fixture_newest (rig.image, "log", ".log", wal);
    fixture_flip_bit (wal, ends[1] + 30, 3);
    fixture_rig_start (&rig, rig.image);
    assert_non_null (fixture_replica (&rig.recovered, 1, 1)->lost);
    assert_null (fixture_replica (&rig.recovered, 2, 2)->lost);
    assert_false (fixture_replica (&rig.recovered, 2, 2)->doubtful);
    assert_int_equal (rig.recovered.entries_count, 6);
    fixture_rig_stop (&rig);
    fixture_rig_close (&rig);
}

/* The term went with the turn: an entry of it that came later tells the term, and no vote in it is left to give. */
static void test_store_rot__a_lost_term_is_known_from_its_entries (void **state)
{
    (void) state;
    char wal[FIXTURE_PATH_MAX * 2];
    struct fixture_rig rig;
    size_t ends[5] = {0};
    fixture_rig_init (&rig);
    for (uint64_t t = 1; t <= 3; t++) {
        if (t == 1) {
            fixture_found (rig.turn, 1, 1);
            assert_int_equal (store_turn_hard_state (rig.turn, 1, 1, 4, 1), STATUS_OK);
        }
        if (t == 2)
            assert_int_equal (store_turn_hard_state (rig.turn, 1, 1, 5, 9), STATUS_OK);
        if (t == 3)
            fixture_append (rig.turn, 1, 1, 1, 2, 5);
        fixture_commit (rig.turn);
        ends[t] = fixture_newest (rig.dir, "log", ".log", wal);
    }
    fixture_rig_kill (&rig);
    fixture_newest (rig.image, "log", ".log", wal);
    fixture_flip_bit (wal, ends[1] + 20, 1);
    fixture_rig_start (&rig, rig.image);
    assert_true (store_suspect (rig.store, NULL));
    assert_null (rig.recovered.replicas[0].lost); /* from its first entry on, in one piece */
    assert_int_equal (rig.recovered.entries_count, 2);
    assert_int_equal (rig.recovered.replicas[0].term, 5);
    assert_int_equal (rig.recovered.replicas[0].vote, 0);
    fixture_rig_stop (&rig);
    fixture_rig_close (&rig);
}

/* What is left of a rotten file takes its place, and people may want to look at it. */
static void test_store_rot__the_damaged_file_is_kept (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX], wal[FIXTURE_PATH_MAX * 2], kept[FIXTURE_PATH_MAX * 2];
    struct fixture_recovered recovered = {0};
    make_image (dir, image, 99, true);
    fixture_remove_tree (dir);
    fixture_copy_tree (image, dir);
    size_t size = fixture_newest (dir, "log", ".log", wal);
    fixture_flip_bit (wal, wal_ends[8] + 40, 2);
    store_close (&(struct store *){fixture_open (dir, &recovered)});
    assert_int_equal (fixture_newest (dir, "damaged-1", ".log", kept), size);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

/* Changes a byte of an entry's payload, and makes part and record fit again: what no disk does, but memory. */
static void spoil_entry (const char *path, const char *payload)
{
    static uint8_t data[65536];
    static struct crc32c crc;
    int fd = open (path, O_RDWR);
    ssize_t len = read (fd, data, sizeof data);
    assert_true (len > 0 && len < WAL_BLOCK_BYTES);
    crc32c_init (&crc);
    bool spoiled = false;
    for (size_t at = 0; at < (size_t) len && !spoiled;) {
        struct wal_record record;
        assert_true (wal_record_at (&crc, data, (size_t) len, at, &record));
        uint8_t *begin = data + at + WAL_HEADER_BYTES,
                *found = memmem (begin, record.payload.len, payload, strlen (payload));
        at += WAL_HEADER_BYTES + record.payload.len;
        for (size_t i = 0; found != NULL && i + PACK_HEADER_BYTES < record.payload.len; i++) {
            size_t body = PACK_HEADER_BYTES + bytes_get_u32 (begin + i + 20), rest = record.payload.len - i;
            if (body + PACK_SUM_BYTES > rest ||
                checksum64 (0, bytes_of (begin + i, body)) != bytes_get_u64 (begin + i + body))
                continue;
            *found ^= 1;
            bytes_put_u64 (begin + i + body, checksum64 (0, bytes_of (begin + i, body)));
            uint32_t sum = wal_record_sum (&crc, bytes_of (begin - 1, record.payload.len + 1));
            for (int k = 0; k < 4; k++)
                begin[k - WAL_HEADER_BYTES] = (uint8_t) (sum >> (8 * k));
            spoiled = true;
            break;
        }
    }
    assert_true (spoiled);
    assert_int_equal (pwrite (fd, data, (size_t) len, 0), len);
    close (fd);
}

/* One replica alone is hit by an entry that does not fit its own checksum; what else stood in the turn is believed. */
static void test_store_rot__a_damaged_entry_costs_its_replica_alone (void **state)
{
    (void) state;
    char wal[FIXTURE_PATH_MAX * 2];
    struct fixture_rig rig;
    struct store_hole hole;
    fixture_rig_init (&rig);
    for (uint32_t shard = 1; shard <= 3; shard++) {
        fixture_found (rig.turn, shard, shard);
        fixture_append (rig.turn, shard, shard, 1, 4, 1);
    }
    fixture_commit (rig.turn);
    fixture_rig_kill (&rig);
    fixture_newest (rig.image, "log", ".log", wal);
    spoil_entry (wal, "payload-2-3");
    fixture_rig_start (&rig, rig.image);
    assert_true (store_suspect (rig.store, NULL));
    assert_true (store_log_holed (rig.store, &hole));
    assert_int_equal (hole.turns, 0);
    assert_int_equal (hole.broken, 1);
    assert_int_equal (hole.certain, 2);
    assert_non_null (fixture_replica (&rig.recovered, 2, 2)->lost);
    assert_int_equal (rig.recovered.entries_count, 8);
    fixture_rig_stop (&rig);
    fixture_rig_close (&rig);
}

/* The lost turn had been dropped when the file rotted: no number is missing, but the first configurations stood beside it. */
static void test_store_rot__a_turn_that_was_dropped_since_is_missed_all_the_same (void **state)
{
    (void) state;
    char wal[FIXTURE_PATH_MAX * 2];
    struct fixture_rig rig;
    struct store_hole hole;
    fixture_rig_init (&rig);
    fixture_found (rig.turn, 1, 1);
    fixture_found (rig.turn, 2, 2);
    fixture_commit (rig.turn);
    for (uint64_t i = 1; i <= 70; i++) {
        fixture_append (rig.turn, 1, 1, i, 1, 1);
        fixture_commit (rig.turn);
    }
    fixture_rig_kill (&rig);
    fixture_newest (rig.image, "log", ".log", wal);
    fixture_flip_bit (wal, 30, 3);
    for (int start = 0; start < 2; start++) { /* nothing closed it: the next start finds the same */
        fixture_rig_start (&rig, rig.image);
        assert_true (store_suspect (rig.store, NULL));
        assert_true (store_log_holed (rig.store, &hole));
        assert_int_equal (hole.turns, 0);
        assert_int_equal (hole.broken, 1); /* the other is not known at all any more */
        assert_non_null (fixture_replica (&rig.recovered, 1, 1)->lost);
        assert_null (fixture_replica (&rig.recovered, 2, 2));
        fixture_rig_stop (&rig);
    }
    fixture_rig_close (&rig);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_store_rot__each_replica_keeps_what_it_can_prove),
        cmocka_unit_test (test_store_rot__several_holes_and_a_torn_end),
        cmocka_unit_test (test_store_rot__a_replaced_entry_is_not_taken_for_the_one_behind_it),
        cmocka_unit_test (test_store_rot__a_lost_term_is_known_from_its_entries),
        cmocka_unit_test (test_store_rot__a_damaged_entry_costs_its_replica_alone),
        cmocka_unit_test (test_store_rot__the_damaged_file_is_kept),
        cmocka_unit_test (test_store_rot__a_turn_that_was_dropped_since_is_missed_all_the_same),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
