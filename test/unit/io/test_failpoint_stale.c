/* An older copy of a data folder is put back: the node forgot what it acknowledged since, and must learn so before it votes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/failpoint/failpoint.h"
#include "test/support/engine_fixture.h"

#define GROUPS 6 /* so that some shards are led by others all the time */

static struct fixture fixture; /* large; one test at a time */
static struct fixture_reply reply;

static int forbid (void **state)
{
    (void) state;
    failpoint_forbid ();
    return 0;
}

static void copy_folder (const char *from, const char *to)
{
    char command[256];
    snprintf (command, sizeof command, "rm -rf %s/%s && cp -r %s/%s %s/%s", fixture.dir, to, fixture.dir, from,
        fixture.dir, to);
    assert_int_equal (system (command), 0);
}

static uint64_t hits (enum failpoint_id id)
{
    struct failpoint_row row;
    failpoint_row (id, &row);
    return row.hits;
}

static void pause_ms (uint64_t duration_ms)
{
    uint64_t until = fixture_mono_ms () + duration_ms;
    while (fixture_mono_ms () < until)
        zmq_poll (NULL, 0, 5);
}

static void test_failpoint_stale__a_folder_put_back_makes_suspects (void **state)
{
    (void) state;
    char error[FAILPOINT_ERROR_BYTES];
    struct fixture_offer offers[GROUPS];
    struct id reservations[GROUPS];
    fixture_init (&fixture, 3, 8);
    assert_int_equal (failpoint_allow ("", error), STATUS_OK);
    fixture_start_all (&fixture);
    for (int i = 0; i < GROUPS; i++) {
        char group[8];
        snprintf (group, sizeof group, "inn-%d", i);
        offers[i] = fixture_offer_new (&fixture, 1, group, 1);
    }
    fixture_stop (&fixture, 3, false);
    copy_folder ("data-3", "older");
    fixture_start (&fixture, 3);
    for (int i = 0; i < GROUPS; i++) {
        struct id id = fixture_id (&fixture, offers[i].hash);
        reservations[i] = fixture_id (&fixture, offers[i].hash);
        assert_int_equal (fixture_book (&fixture, 3, &offers[i], 1, &id, &reservations[i], &reply), STATUS_OK);
    }
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    for (unsigned attempt = 1; hits (FAILPOINT_PERSIST_SUSPECT_AFTER) == 0; attempt++) {
        /* The third one must have them as well, and only who led all the time can tell. */
        assert_true (attempt <= 6);
        pause_ms (300 * attempt);
        fixture_stop (&fixture, 3, true);
        copy_folder ("older", "data-3");
        fixture_start (&fixture, 3);
        until = fixture_mono_ms () + 5000 * attempt;
        while (hits (FAILPOINT_PERSIST_SUSPECT_AFTER) == 0 && fixture_mono_ms () < until)
            zmq_poll (NULL, 0, 5);
    }
    until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    while (hits (FAILPOINT_PERSIST_TRUST_AFTER) == 0 && fixture_mono_ms () < until) /* filled again */
        zmq_poll (NULL, 0, 5);
    assert_true (hits (FAILPOINT_PERSIST_TRUST_AFTER) > 0);
    for (int i = 0; i < GROUPS; i++) {
        struct reserve_get_request request = {.reservation = reservations[i]};
        struct id id = fixture_id (&fixture, offers[i].hash);
        assert_int_equal (fixture_call (&fixture, 3, METHOD_NUMBER_RESERVE_GET, &id, &request, &reply), STATUS_OK);
    }
    fixture_close (&fixture);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown (test_failpoint_stale__a_folder_put_back_makes_suspects, forbid),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
