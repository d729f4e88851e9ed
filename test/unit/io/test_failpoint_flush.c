/* Write-back when its thread is slow: a round is done when it is on disk, and not when something else is. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/failpoint/failpoint.h"
#include "test/support/engine_fixture.h"

#define BOOKINGS 20

static struct fixture fixture; /* large; one test at a time */
static struct fixture_reply reply;

static int forbid (void **state)
{
    (void) state;
    failpoint_forbid ();
    return 0;
}

static uint64_t hits (enum failpoint_id id)
{
    struct failpoint_row row;
    failpoint_row (id, &row);
    return row.hits;
}

static void wait_for (enum failpoint_id id, uint64_t times)
{
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    while (hits (id) < times && fixture_mono_ms () < until)
        zmq_poll (NULL, 0, 5);
    assert_true (hits (id) >= times);
}

static enum status get (const struct id *reservation)
{
    struct reserve_get_request request = {.reservation = *reservation};
    struct id id = fixture_id (&fixture, id_hash (reservation));
    return fixture_call (&fixture, 1, METHOD_NUMBER_RESERVE_GET, &id, &request, &reply);
}

static struct id book (const struct fixture_offer *offer, uint64_t bucket)
{
    struct id id = fixture_id (&fixture, offer->hash), reservation = fixture_id (&fixture, offer->hash);
    assert_int_equal (fixture_book (&fixture, 1, offer, bucket, &id, &reservation, &reply), STATUS_OK);
    return reservation;
}

/* A start looks for dead generations on the flusher's thread. A round that is handed over meanwhile was once taken for
 * written when that look ended: its rows were gone after the next start, and the log had been cut behind them. */
static bool handed_over_during_the_sweep (unsigned delay_ms)
{
    char error[FAILPOINT_ERROR_BYTES], setting[64];
    struct id reservations[BOOKINGS];
    fixture_init (&fixture, 1, 2);
    fixture.nodes[1].config.limits.flush_ms = 20;
    snprintf (setting, sizeof setting, "state.sweep.before=delay:%u,once", delay_ms);
    assert_int_equal (failpoint_allow (setting, error), STATUS_OK);
    fixture_start (&fixture, 1);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    for (uint64_t i = 0; i < BOOKINGS; i++)
        reservations[i] = book (&offer, i);
    wait_for (FAILPOINT_FLUSH_HAND_OVER, 1);
    assert_int_equal (hits (FAILPOINT_STATE_SWEEP_BEFORE), 1);
    bool during = hits (FAILPOINT_FLUSH_DONE_BEFORE) == 0;
    for (uint64_t round = 1; round <= 3; round++) { /* the log is cut one round behind */
        wait_for (FAILPOINT_FLUSH_DONE_AFTER, round);
        book (&offer, BOOKINGS + round);
    }
    fixture_stop (&fixture, 1, true);
    fixture_start (&fixture, 1);
    for (int i = 0; i < BOOKINGS; i++)
        assert_int_equal (get (&reservations[i]), STATUS_OK);
    fixture_close (&fixture);
    failpoint_forbid ();
    return during;
}

static void test_failpoint_flush__a_round_handed_over_during_the_first_sweep_reaches_the_disk (void **state)
{
    (void) state;
    unsigned delay_ms = 500;
    while (!handed_over_during_the_sweep (delay_ms)) { /* the delay was over too early: nothing was shown */
        delay_ms *= 2;
        assert_true (delay_ms <= 16000);
    }
}

/* Node 3 was away until the others had cut their logs: it is filled by a snapshot, into a new generation. How often it was
 * started comes back. */
static uint64_t fill_by_snapshot (const struct fixture_offer *offer, uint64_t *bucket)
{
    uint64_t starts = 0;
    uint64_t before = hits (FAILPOINT_SNAPSHOT_LOAD_AFTER), until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    while (hits (FAILPOINT_SNAPSHOT_LOAD_AFTER) == before) {
        assert_true (fixture_mono_ms () < until);
        fixture_stop (&fixture, 3, true);
        uint64_t rounds = hits (FAILPOINT_FLUSH_DONE_AFTER);
        while (hits (FAILPOINT_FLUSH_DONE_AFTER) < rounds + 8) /* of both others together */
            book (offer, (*bucket)++);
        fixture_start (&fixture, 3);
        starts++;
        for (int i = 0; i < 100 && hits (FAILPOINT_SNAPSHOT_LOAD_AFTER) == before; i++)
            zmq_poll (NULL, 0, 10);
    }
    return starts;
}

/* What a snapshot replaced was deleted by the next start alone, and by none that met another snapshot: a node that runs for
 * months, with links that break, kept a copy of the shard for each. */
static void test_failpoint_flush__what_a_snapshot_replaced_goes_while_the_node_runs (void **state)
{
    (void) state;
    char error[FAILPOINT_ERROR_BYTES];
    uint64_t bucket = 0, starts = 3;
    fixture_init (&fixture, 3, 1);
    for (uint32_t node = 1; node <= 3; node++)
        fixture.nodes[node].config.limits.flush_ms = 20;
    assert_int_equal (failpoint_allow ("", error), STATUS_OK);
    fixture_start_all (&fixture);
    struct fixture_offer offer = fixture_offer_new (&fixture, 1, "inn", 1);
    for (uint64_t times = 1; times <= 3; times++) {
        uint64_t deleted = hits (FAILPOINT_GENERATION_DELETE_AFTER);
        starts += fill_by_snapshot (&offer, &bucket);
        wait_for (FAILPOINT_STATE_SWEEP_BEFORE, starts + times); /* one a start, and one for each snapshot */
        if (times > 1)                                           /* the first one may have found nothing */
            wait_for (FAILPOINT_GENERATION_DELETE_AFTER, deleted + 1);
    }
    fixture_close (&fixture);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown (
            test_failpoint_flush__a_round_handed_over_during_the_first_sweep_reaches_the_disk, forbid),
        cmocka_unit_test_teardown (test_failpoint_flush__what_a_snapshot_replaced_goes_while_the_node_runs, forbid),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
