/* The engine's three threads on one store: the writer commits one turn while the reactor fills the next and reads, and the
 * flush thread writes state back, exports and sweeps. Meant for the thread sanitizer as well. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>

#include "test/support/store_fixture.h"

#define TURNS 200
#define ROUNDS 12

struct engine {
    struct store *store;
    struct store_turn *full; /* handed to the writer */
    sem_t filled, committed;
    int failures; /* of the writer */
    int flush_failures;
};

static void *writer (void *argument)
{
    struct engine *engine = argument;
    for (int i = 0; i < TURNS; i++) {
        struct store_error error;
        sem_wait (&engine->filled);
        if (store_turn_commit (engine->full, &error) != STATUS_OK)
            engine->failures++;
        sem_post (&engine->committed);
    }
    return NULL;
}

static void *flusher (void *argument)
{
    struct engine *engine = argument;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        struct store_error error;
        struct store_batch *batch = store_batch_new (1, 7, 0, round, 1);
        char value[32];
        snprintf (value, sizeof value, "round %u", (unsigned) round);
        bool good = store_batch_put (batch, BYTES_LITERAL ("key"), bytes_text (value)) == STATUS_OK &&
                    store_state_write (engine->store, &batch, 1, &error) == STATUS_OK;
        store_batch_destroy (&batch);
        struct store_snapshot *snapshot = NULL;
        struct bytes chunk;
        uint64_t index, term;
        bool last = false, left;
        good = good && store_snapshot_open (engine->store, 1, 7, &snapshot, &index, &term) == STATUS_OK;
        good = good && store_snapshot_next (snapshot, &chunk, &last) == STATUS_OK && last && index == round;
        if (snapshot != NULL)
            store_snapshot_close (&snapshot);
        good = good && store_state_sweep (engine->store, 4, &left, &error) == STATUS_OK;
        engine->flush_failures += !good;
    }
    return NULL;
}

/* What the reactor does meanwhile. */
static void read_about (struct engine *engine, uint64_t *newest)
{
    uint8_t *value;
    size_t len;
    struct store_log_usage usage;
    struct store_stats stats;
    store_log_usage (engine->store, &usage);
    store_stats (engine->store, &stats);
    assert_true (usage.turn_last >= *newest);
    *newest = usage.turn_last;
    enum status status = store_state_get (engine->store, 1, 7, 0, BYTES_LITERAL ("key"), &value, &len);
    assert_true (status == STATUS_OK || status == STATUS_NOT_FOUND);
    if (status == STATUS_OK) {
        assert_memory_equal (value, "round ", 6);
        free (value);
    }
}

static void test_store_threads__writer_flush_and_reactor_side_by_side (void **state)
{
    (void) state;
    char dir[FIXTURE_PATH_MAX];
    fixture_dir (dir);
    struct fixture_recovered recovered = {0};
    struct engine engine = {.store = fixture_open (dir, &recovered)};
    struct store_turn *turns[2] = {store_turn_new (engine.store), store_turn_new (engine.store)};
    sem_init (&engine.filled, 0, 0);
    sem_init (&engine.committed, 0, 0);
    fixture_found (turns[0], 1, 7);
    fixture_commit (turns[0]);
    pthread_t threads[2];
    assert_int_equal (pthread_create (&threads[0], NULL, writer, &engine), 0);
    assert_int_equal (pthread_create (&threads[1], NULL, flusher, &engine), 0);
    uint64_t newest = 0;
    for (uint64_t i = 0; i < TURNS; i++) {
        struct store_turn *turn = turns[i % 2];
        store_turn_reset (turn);
        fixture_append (turn, 1, 7, 1 + i * 3, 3, 1);
        if (i > 2 && i % 10 == 0)
            assert_int_equal (store_turn_compact (turn, 1, 7, i, 1, BYTES_LITERAL ("c")), STATUS_OK);
        if (i > 0)
            sem_wait (&engine.committed);
        engine.full = turn;
        sem_post (&engine.filled);
        read_about (&engine, &newest);
    }
    pthread_join (threads[0], NULL);
    pthread_join (threads[1], NULL);
    assert_int_equal (engine.failures, 0);
    assert_int_equal (engine.flush_failures, 0);
    store_turn_destroy (&turns[0]);
    store_turn_destroy (&turns[1]);
    store_close (&engine.store);
    engine.store = fixture_open (dir, &recovered);
    assert_int_equal (recovered.replicas[0].last_index, TURNS * 3);
    assert_int_equal (recovered.replicas[0].compact_index, TURNS - 10);
    store_close (&engine.store);
    sem_destroy (&engine.filled);
    sem_destroy (&engine.committed);
    fixture_recovered_close (&recovered);
    fixture_remove (dir);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_store_threads__writer_flush_and_reactor_side_by_side),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
