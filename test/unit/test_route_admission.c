/* Deadlines, the queue bound, and a token bucket per principal. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "router/route/route_admission.h"

static struct id principal_of (uint64_t number)
{
    return id_make (1, 2, number);
}

static struct route_admission *make (struct route_limits limits)
{
    struct route_admission *admission = NULL;
    assert_int_equal (route_admission_new (&limits, &admission), STATUS_OK);
    return admission;
}

static struct route_admission_verdict admit (struct route_admission *admission, uint64_t now_ms, uint64_t principal)
{
    struct id id = principal_of (principal);
    struct route_admission_verdict verdict = route_admit (admission, now_ms, &id, 1000, 0);
    route_admission_check (admission);
    return verdict;
}

static void test_route_admission__is_off_unless_set (void **state)
{
    (void) state;
    struct route_admission *admission = make ((struct route_limits){0});
    for (int i = 0; i < 10000; i++)
        assert_int_equal (admit (admission, 0, 1).status, STATUS_OK);
    assert_int_equal (route_admission_principals (admission), 0);
    route_admission_destroy (&admission);
    assert_null (admission);
}

static void test_route_admission__refuses_past_deadlines_first (void **state)
{
    (void) state;
    struct route_admission *admission = make ((struct route_limits){.rate_per_s = 1, .burst = 1, .queue_max = 5});
    struct id id = principal_of (1);
    struct route_admission_verdict verdict = route_admit (admission, 0, &id, 0, 99);
    assert_int_equal (verdict.status, STATUS_DEADLINE_EXCEEDED);
    assert_int_equal (verdict.reason, ROUTE_REFUSED_DEADLINE);
    assert_int_equal (route_admit (admission, 0, &id, 1, 4).status, STATUS_OK); /* no token was taken before */
    route_admission_destroy (&admission);
}

static void test_route_admission__bounds_the_queue (void **state)
{
    (void) state;
    struct route_admission *admission = make ((struct route_limits){.queue_max = 5, .queue_retry_ms = 17});
    struct id id = principal_of (1);
    assert_int_equal (route_admit (admission, 0, &id, UINT32_MAX, 4).status, STATUS_OK);
    struct route_admission_verdict verdict = route_admit (admission, 0, &id, UINT32_MAX, 5);
    assert_int_equal (verdict.status, STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal (verdict.reason, ROUTE_REFUSED_QUEUE);
    assert_int_equal (verdict.retry_after_ms, 17);
    route_admission_destroy (&admission);
}

static void test_route_admission__limits_each_principal_alone (void **state)
{
    (void) state;
    struct route_admission *admission = make ((struct route_limits){.rate_per_s = 10, .burst = 3});
    for (int i = 0; i < 3; i++)
        assert_int_equal (admit (admission, 1000, 1).status, STATUS_OK);
    struct route_admission_verdict verdict = admit (admission, 1000, 1);
    assert_int_equal (verdict.status, STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal (verdict.reason, ROUTE_REFUSED_RATE);
    assert_int_equal (verdict.retry_after_ms, 100);
    assert_int_equal (admit (admission, 1000, 2).status, STATUS_OK);
    assert_int_equal (admit (admission, 1040, 1).retry_after_ms, 60);
    assert_int_equal (admit (admission, 1099, 1).status, STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal (admit (admission, 1100, 1).status, STATUS_OK); /* exactly when it was told */
    assert_int_equal (admit (admission, 1100, 1).status, STATUS_RESOURCE_EXHAUSTED);
    route_admission_destroy (&admission);
}

static void test_route_admission__holds_the_rate_over_time (void **state)
{
    (void) state;
    struct route_admission *admission = make ((struct route_limits){.rate_per_s = 700, .burst = 50});
    uint32_t admitted = 0;
    for (uint64_t now_ms = 5; now_ms < 10005; now_ms++)
        for (int i = 0; i < 3; i++)
            admitted += admit (admission, now_ms, 1).status == STATUS_OK;
    assert_in_range (admitted, 7000, 7050);
    route_admission_destroy (&admission);
}

static void test_route_admission__rests_to_a_burst_and_no_further (void **state)
{
    (void) state;
    struct route_admission *admission = make ((struct route_limits){.rate_per_s = ROUTE_RATE_MAX, .burst = 4});
    static const uint64_t times_ms[] = {0, 100, UINT64_MAX};
    for (size_t t = 0; t < 3; t++) {
        for (int i = 0; i < 4; i++)
            assert_int_equal (admit (admission, times_ms[t], 1).status, STATUS_OK);
        assert_int_equal (admit (admission, times_ms[t], 1).retry_after_ms, 1);
    }
    assert_int_equal (admit (admission, 5, 1).status, STATUS_RESOURCE_EXHAUSTED); /* time went back: stands still */
    route_admission_destroy (&admission);
}

static void test_route_admission__forgets_the_least_recently_seen (void **state)
{
    (void) state;
    struct route_admission *admission =
        make ((struct route_limits){.rate_per_s = 1, .burst = 1, .principals_max = 3, .hash_key = {7, 9}});
    for (uint64_t principal = 1; principal <= 3; principal++)
        assert_int_equal (admit (admission, 0, principal).status, STATUS_OK);
    assert_int_equal (
        admit (admission, 0, 1).status, STATUS_RESOURCE_EXHAUSTED); /* 1 is now the newest, 2 the oldest */
    assert_int_equal (admit (admission, 0, 4).status, STATUS_OK);
    assert_int_equal (route_admission_principals (admission), 3);
    assert_int_equal (admit (admission, 0, 1).status, STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal (admit (admission, 0, 3).status, STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal (admit (admission, 0, 2).status, STATUS_OK); /* forgotten, so it comes with a full bucket */
    route_admission_destroy (&admission);
}

static void test_route_admission__never_grows_past_its_bound (void **state)
{
    (void) state;
    struct route_admission *admission = make ((struct route_limits){.rate_per_s = 1});
    for (uint64_t principal = 0; principal < 3 * ROUTE_PRINCIPALS_MAX; principal++) {
        struct id id = principal_of (principal);
        assert_int_equal (route_admit (admission, principal, &id, 1, 0).status, STATUS_OK);
    }
    assert_int_equal (route_admission_principals (admission), ROUTE_PRINCIPALS_MAX);
    route_admission_check (admission);
    route_admission_destroy (&admission);
}

static void test_route_admission__refuses_limits_beyond_its_arithmetic (void **state)
{
    (void) state;
    struct route_admission *admission = NULL;
    const struct route_limits wrong[] = {
        {.rate_per_s = ROUTE_RATE_MAX + 1},
        {.rate_per_s = 1, .burst = ROUTE_BURST_MAX + 1},
        {.rate_per_s = 1, .principals_max = ROUTE_PRINCIPALS_MAX + 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal (route_admission_new (&wrong[i], &admission), STATUS_INVALID_ARGUMENT);
        assert_null (admission);
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_route_admission__is_off_unless_set),
        cmocka_unit_test (test_route_admission__refuses_past_deadlines_first),
        cmocka_unit_test (test_route_admission__bounds_the_queue),
        cmocka_unit_test (test_route_admission__limits_each_principal_alone),
        cmocka_unit_test (test_route_admission__holds_the_rate_over_time),
        cmocka_unit_test (test_route_admission__rests_to_a_burst_and_no_further),
        cmocka_unit_test (test_route_admission__forgets_the_least_recently_seen),
        cmocka_unit_test (test_route_admission__never_grows_past_its_bound),
        cmocka_unit_test (test_route_admission__refuses_limits_beyond_its_arithmetic),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
