#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sys/stat.h>

#include "test/support/store_fixture.h"

static void test_store_log__gives_back_what_was_committed (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct fixture_recovered recovered = {0};
    struct store *store = fixture_open (dir, &recovered);
    struct store_turn *turn = store_turn_new (store);
    assert_true (store_turn_empty (turn));
    for (uint32_t shard = 0; shard < 5; shard++) {
        fixture_found (turn, shard, 100 + shard);
        fixture_append (turn, shard, 100 + shard, 1, shard + 1, 1);
    }
    fixture_commit (turn);
    assert_int_equal (store_turn_number (turn), 1);
    fixture_append (turn, 2, 102, 4, 10, 2);
    assert_int_equal (store_turn_hard_state (turn, 2, 102, 2, 55), STATUS_OK);
    fixture_commit (turn);
    assert_int_equal (store_turn_number (turn), 2);
    store_turn_destroy (&turn);
    store_close (&store);

    store = fixture_open (dir, &recovered);
    assert_false (store_suspect (store, NULL));
    assert_int_equal (recovered.replicas_count, 5);
    assert_int_equal (recovered.entries_count, 1 + 2 + 3 + 4 + 5 + 10);
    const struct store_replica *replica = fixture_replica (&recovered, 2, 102);
    assert_int_equal (replica->term, 2);
    assert_int_equal (replica->vote, 55);
    assert_int_equal (replica->first_index, 1);
    assert_int_equal (replica->last_index, 13);
    assert_null (replica->damage);
    assert_string_equal (recovered.configs[2], "first config");
    uint64_t next = 1;
    for (size_t i = 0; i < recovered.entries_count; i++) {
        const struct fixture_entry *entry = &recovered.entries[i];
        if (entry->shard != 2)
            continue;
        char expected[48];
        snprintf (expected, sizeof expected, "payload-2-%llu", (unsigned long long) next);
        assert_int_equal (entry->index, next);
        assert_int_equal (entry->term, next <= 3 ? 1 : 2);
        assert_int_equal (entry->type, 2);
        assert_string_equal (entry->payload, expected);
        next++;
    }
    assert_int_equal (next, 14);
    store_close (&store);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

/* The oracle: per replica an array of terms by index. Random appends, overwrites, cuts, compactions, removals, restarts. */
#define MODEL_SHARDS 4
#define MODEL_INDEX_MAX 4000

struct model {
    uint64_t terms[MODEL_INDEX_MAX];
    uint64_t last, compact, compact_term, term, vote;
    uint64_t replica;
    uint32_t generation;
    bool founded;
};

static uint64_t next_random (uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void model_append (struct store_turn *turn, struct model *model, uint32_t shard, uint64_t *seed)
{
    uint64_t back = next_random (seed) % 4 == 0 ? next_random (seed) % 5 : 0;
    uint64_t first = model->last + 1 > model->compact + back ? model->last + 1 - back : model->compact + 1;
    if (first <= model->compact)
        first = model->compact + 1;
    size_t n = next_random (seed) % 6;
    if (first + n >= MODEL_INDEX_MAX)
        return;
    if (next_random (seed) % 3 == 0 || n == 0) { /* with an explicit cut, sometimes nothing but a cut */
        assert_int_equal (store_turn_append (turn, shard, model->replica, first, NULL, 0), STATUS_OK);
        model->last = first - 1;
    }
    if (n == 0)
        return;
    fixture_append (turn, shard, model->replica, first, n, model->term);
    for (size_t i = 0; i < n; i++)
        model->terms[first + i] = model->term;
    model->last = first + n - 1;
}

static void model_step (struct store_turn *turn, struct model *model, uint32_t shard, uint64_t *seed)
{
    if (!model->founded) {
        fixture_found (turn, shard, model->replica);
        model->founded = true;
        model->term = 1;
        model->vote = model->replica;
    }
    switch (next_random (seed) % 16) {
    case 0:
        model->term++;
        model->vote = next_random (seed) % 100;
        assert_int_equal (store_turn_hard_state (turn, shard, model->replica, model->term, model->vote), STATUS_OK);
        break;
    case 1:
    case 2:
        model->compact += next_random (seed) % (model->last - model->compact + 1);
        model->compact_term = model->terms[model->compact];
        assert_int_equal (store_turn_compact (turn, shard, model->replica, model->compact, model->compact_term,
                              BYTES_LITERAL ("cut config")),
            STATUS_OK);
        break;
    case 3: /* a snapshot from beyond, which discards the log */
        if (next_random (seed) % 4 != 0 || model->last + 10 >= MODEL_INDEX_MAX)
            break;
        model->last = model->compact = model->last + next_random (seed) % 10;
        model->compact_term = model->terms[model->compact] = model->term;
        model->generation++;
        assert_int_equal (store_turn_install (turn, shard, model->replica, model->generation, model->compact,
                              model->compact_term, BYTES_LITERAL ("snap config"), false),
            STATUS_OK);
        break;
    case 4: /* gone for good, and a new replica of the same shard */
        if (next_random (seed) % 8 != 0)
            break;
        assert_int_equal (store_turn_remove (turn, shard, model->replica), STATUS_OK);
        *model = (struct model){.replica = model->replica + 10};
        break;
    default:
        model_append (turn, model, shard, seed);
    }
}

static void assert_model (const struct fixture_recovered *recovered, const struct model *models)
{
    uint64_t next[MODEL_SHARDS];
    size_t replicas = 0;
    for (uint32_t shard = 0; shard < MODEL_SHARDS; shard++) {
        const struct model *model = &models[shard];
        const struct store_replica *replica = fixture_replica (recovered, shard, model->replica);
        next[shard] = model->compact + 1;
        assert_int_equal (replica != NULL, model->founded);
        if (!model->founded)
            continue;
        replicas++;
        assert_int_equal (replica->term, model->term);
        assert_int_equal (replica->vote, model->vote);
        assert_int_equal (replica->last_index, model->last);
        assert_int_equal (replica->compact_index, model->compact);
        assert_int_equal (replica->compact_term, model->compact_term);
        assert_int_equal (replica->generation, model->generation);
    }
    assert_int_equal (recovered->replicas_count, replicas);
    for (size_t i = 0; i < recovered->entries_count; i++) {
        const struct fixture_entry *entry = &recovered->entries[i];
        assert_int_equal (entry->replica, models[entry->shard].replica);
        assert_int_equal (entry->index, next[entry->shard]);
        assert_int_equal (entry->term, models[entry->shard].terms[entry->index]);
        next[entry->shard]++;
    }
    for (uint32_t shard = 0; shard < MODEL_SHARDS; shard++)
        assert_int_equal (next[shard], models[shard].last + 1);
}

static void test_store_log__agrees_with_a_model_across_restarts (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    uint64_t seed = 20240611;
    static struct model models[MODEL_SHARDS];
    for (uint32_t shard = 0; shard < MODEL_SHARDS; shard++)
        models[shard] = (struct model){.replica = shard + 1};
    struct fixture_recovered recovered = {0};
    uint64_t turn_first = 0;
    for (int restart = 0; restart < 12; restart++) {
        struct store *store = fixture_open (dir, &recovered);
        assert_false (store_suspect (store, NULL));
        assert_model (&recovered, models);
        struct store_turn *turn = store_turn_new (store);
        for (int i = 0; i < 150; i++) {
            size_t steps = 1 + next_random (&seed) % 5;
            for (size_t k = 0; k < steps; k++) {
                uint32_t shard = (uint32_t) (next_random (&seed) % MODEL_SHARDS);
                model_step (turn, &models[shard], shard, &seed);
            }
            fixture_commit (turn);
        }
        struct store_log_usage usage;
        store_log_usage (store, &usage);
        turn_first = usage.turn_first;
        store_turn_destroy (&turn);
        store_close (&store);
    }
    assert_true (turn_first > 1); /* turns that nobody needs did leave */
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_store_log__refuses_a_gap_and_a_removed_replica (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct fixture_recovered recovered = {0};
    struct store_error error = {0};
    struct store *store = fixture_open (dir, &recovered);
    struct store_turn *turn = store_turn_new (store);
    fixture_found (turn, 1, 5);
    fixture_append (turn, 1, 5, 1, 3, 1);
    fixture_commit (turn);

    fixture_append (turn, 1, 5, 5, 1, 1);
    assert_int_equal (store_turn_commit (turn, &error), STATUS_INVALID_ARGUMENT);
    assert_non_null (strstr (error.text, "gap"));
    store_turn_reset (turn);
    assert_int_equal (store_turn_compact (turn, 1, 5, 4, 1, (struct bytes){0}), STATUS_OK); /* beyond what there is */
    assert_int_equal (store_turn_commit (turn, &error), STATUS_INVALID_ARGUMENT);
    store_turn_reset (turn);

    fixture_append (turn, 1, 5, 4, 1, 1); /* nothing was latched */
    fixture_commit (turn);
    assert_int_equal (store_turn_number (turn), 2);
    assert_int_equal (store_turn_remove (turn, 1, 5), STATUS_OK);
    fixture_commit (turn);
    fixture_append (turn, 1, 5, 5, 1, 1);
    assert_int_equal (store_turn_commit (turn, &error), STATUS_INVALID_ARGUMENT);
    assert_non_null (strstr (error.text, "removed"));
    store_turn_destroy (&turn);
    store_close (&store);

    store = fixture_open (dir, &recovered);
    assert_int_equal (recovered.replicas_count, 0);
    turn = store_turn_new (store);
    assert_int_equal (store_turn_hard_state (turn, 1, 5, 9, 0), STATUS_OK); /* and it stays so after a restart */
    assert_int_equal (store_turn_commit (turn, &error), STATUS_INVALID_ARGUMENT);
    store_turn_destroy (&turn);
    store_close (&store);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_store_log__a_turn_of_many_mebibytes_comes_back_whole (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct fixture_recovered recovered = {0};
    struct store_error error = {0};
    struct store *store = fixture_open (dir, &recovered);
    struct store_turn *turn = store_turn_new (store);
    size_t big = 700 * 1024;
    uint8_t *payload = malloc (STORE_ENTRY_BYTES_MAX + 1);
    assert_non_null (payload);
    memset (payload, 'x', STORE_ENTRY_BYTES_MAX + 1);
    fixture_found (turn, 9, 4);
    struct store_entry entries[20];
    for (uint64_t i = 0; i < 20; i++)
        entries[i] = (struct store_entry){.index = i + 1, .term = 1, .type = 1, .payload = bytes_of (payload, big + i)};
    entries[10].payload.len = STORE_ENTRY_BYTES_MAX;
    assert_int_equal (store_turn_append (turn, 9, 4, 0, entries, 20), STATUS_OK);
    fixture_append (turn, 9, 4, 20, 3, 1); /* overwrites an entry of the same turn */
    fixture_commit (turn);

    entries[0] = (struct store_entry){.index = 23, .term = 1, .payload = bytes_of (payload, STORE_ENTRY_BYTES_MAX + 1)};
    assert_int_equal (store_turn_append (turn, 9, 4, 0, entries, 1), STATUS_INVALID_ARGUMENT);
    store_turn_reset (turn);
    enum status status = STATUS_OK;
    for (uint64_t i = 0; status == STATUS_OK; i++) {
        entries[0] =
            (struct store_entry){.index = 23 + i, .term = 1, .payload = bytes_of (payload, STORE_ENTRY_BYTES_MAX)};
        status = store_turn_append (turn, 9, 4, 0, entries, 1);
        assert_true (i <= 16); /* 64 MiB by default */
    }
    assert_int_equal (status, STATUS_RESOURCE_EXHAUSTED);
    store_turn_destroy (&turn);
    store_close (&store);

    store = fixture_open (dir, &recovered);
    assert_int_equal (recovered.entries_count, 22);
    for (uint64_t i = 0; i < 22; i++) {
        assert_int_equal (recovered.entries[i].index, i + 1);
        if (i < 19)
            assert_int_equal (recovered.entries[i].payload_len, i == 10 ? STORE_ENTRY_BYTES_MAX : big + i);
        else
            assert_memory_equal (recovered.entries[i].payload, "payload-9-", 10);
    }
    struct store_log_usage usage;
    store_log_usage (store, &usage);
    assert_true (usage.bytes > 19 * big);
    assert_int_equal (usage.turn_last, 1);
    assert_int_equal (usage.shard, 9);
    assert_int_equal (usage.first_index, 1);
    store_close (&store);
    free (payload);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
    (void) error;
}

static void test_store_log__compaction_frees_turns_and_usage_names_who_holds_them (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct fixture_recovered recovered = {0};
    struct store *store = fixture_open (dir, &recovered);
    struct store_turn *turn = store_turn_new (store);
    struct store_log_usage usage;
    fixture_found (turn, 1, 1);
    fixture_found (turn, 2, 2);
    fixture_append (turn, 1, 1, 1, 1, 1); /* an idle shard with one old entry */
    fixture_commit (turn);
    for (uint64_t i = 0; i < 300; i++) {
        fixture_append (turn, 2, 2, i + 1, 1, 1);
        if (i > 20)
            assert_int_equal (store_turn_compact (turn, 2, 2, i - 10, 1, (struct bytes){0}), STATUS_OK);
        fixture_commit (turn);
    }
    store_log_usage (store, &usage);
    assert_int_equal (usage.turn_first, 1); /* shard 1 holds it all */
    assert_int_equal (usage.shard, 1);
    assert_int_equal (usage.first_index, 1);
    uint64_t held = usage.bytes;
    assert_int_equal (store_turn_compact (turn, 1, 1, 1, 1, (struct bytes){0}), STATUS_OK);
    fixture_commit (turn);
    for (uint64_t i = 300; i < 430; i++) { /* the look for free turns comes every 64 turns */
        fixture_append (turn, 2, 2, i + 1, 1, 1);
        assert_int_equal (store_turn_compact (turn, 2, 2, i - 10, 1, (struct bytes){0}), STATUS_OK);
        fixture_commit (turn);
    }
    store_log_usage (store, &usage);
    assert_true (usage.turn_first > 290);
    assert_true (usage.bytes < held);
    assert_int_equal (usage.shard, 2);
    store_turn_destroy (&turn);
    store_close (&store);
    store = fixture_open (dir, &recovered);
    struct store_log_usage after;
    store_log_usage (store, &after);
    assert_int_equal (after.turn_first, usage.turn_first); /* the accounts are the same when read back */
    assert_int_equal (after.turn_last, usage.turn_last);
    assert_int_equal (after.bytes, usage.bytes);
    assert_int_equal (after.shard, usage.shard);
    assert_true (after.replica == usage.replica && after.first_index == usage.first_index);
    assert_int_equal (fixture_replica (&recovered, 1, 1)->last_index, 1);
    assert_int_equal (recovered.entries_count, 11);
    store_close (&store);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

static void test_store_log__entries_of_a_forgotten_term_make_it_suspect (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct fixture_recovered recovered = {0};
    struct store *store = fixture_open (dir, &recovered);
    struct store_turn *turn = store_turn_new (store);
    fixture_found (turn, 4, 9);
    fixture_append (turn, 4, 9, 1, 2, 3); /* term 3, of which the hard state knows nothing: R1 or R2 was broken */
    fixture_commit (turn);
    store_turn_destroy (&turn);
    store_close (&store);
    store = fixture_open (dir, &recovered);
    const char *reason;
    assert_true (store_suspect (store, &reason));
    assert_non_null (strstr (reason, "shard 4 has entries of term 3, but remembers term 1"));
    store_close (&store);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

/* What no write has filled yet is not taken from others: space that a log file reserves ahead is gone while the node still
 * thinks that it has some. */
static void test_store_log__reserves_no_space_ahead (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX * 2];
    fixture_dir (dir);
    struct fixture_recovered recovered = {0};
    struct store *store = fixture_open (dir, &recovered);
    struct store_turn *turn = store_turn_new (store);
    fixture_found (turn, 1, 101);
    fixture_append (turn, 1, 101, 1, 20, 1);
    fixture_commit (turn);
    size_t len = fixture_newest (dir, "log", ".log", path);
    struct stat status;
    assert_int_equal (stat (path, &status), 0);
    assert_true (len > 0 && (size_t) status.st_size >= len);
    assert_true ((uint64_t) status.st_blocks * 512 < (uint64_t) status.st_size + 256 * 1024);
    store_turn_destroy (&turn);
    store_close (&store);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_store_log__gives_back_what_was_committed),
        cmocka_unit_test (test_store_log__reserves_no_space_ahead),
        cmocka_unit_test (test_store_log__agrees_with_a_model_across_restarts),
        cmocka_unit_test (test_store_log__refuses_a_gap_and_a_removed_replica),
        cmocka_unit_test (test_store_log__a_turn_of_many_mebibytes_comes_back_whole),
        cmocka_unit_test (test_store_log__compaction_frees_turns_and_usage_names_who_holds_them),
        cmocka_unit_test (test_store_log__entries_of_a_forgotten_term_make_it_suspect),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
