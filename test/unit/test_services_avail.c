#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/services_world.h"

static struct world world, *const w = &world;
static struct id provider, hotel, band;
static struct principal alice, nobody;

static int setup (void **state)
{
    (void) state;
    world_init (w);
    provider = world_provider (w);
    hotel = world_offer (w, &provider, 2);
    band = world_offer (w, &provider, 1);
    alice = world_principal (100, ROLE_CUSTOMER);
    nobody = (struct principal){0};
    return 0;
}

static int teardown (void **state)
{
    (void) state;
    world_close (w);
    return 0;
}

static void close_offer (const struct id *offer)
{
    struct principal admin = world_admin ();
    struct set_offer_state_request request = {.offer = *offer, .state = OFFER_STATE_CLOSED};
    assert_int_equal (world_call (w, METHOD_NUMBER_CATALOG_SET_OFFER_STATE, &admin, &request), STATUS_OK);
}

static void test_services_avail__check_breaks_a_batch_down (void **state)
{
    (void) state;
    world_take (w, &alice, RESERVE_MODE_BOOK, &hotel, 32, 1);
    world_take (w, &alice, RESERVE_MODE_HOLD, &hotel, 32, 1);
    struct avail_query queries[] = {
        {.offer = hotel, .first = 30, .has_count = true, .count = 4}, {.offer = band, .first = 0}};
    struct avail_check_request request = {.queries = queries, .queries_count = 2};
    struct avail_check_reply reply;
    assert_int_equal (world_read (w, METHOD_NUMBER_AVAIL_CHECK, &nobody, &request), STATUS_OK);
    world_reply (w, &avail_check_reply_type, &reply);
    assert_int_equal (reply.rows_count, 5);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal (reply.rows[i].bucket, 30 + i);
        assert_int_equal (reply.rows[i].total, 2);
        assert_int_equal (reply.rows[i].held, i == 2);
        assert_int_equal (reply.rows[i].confirmed, i == 2);
    }
    assert_true (id_equal (&reply.rows[4].offer, &band));
}

static void test_services_avail__check_refusals (void **state)
{
    (void) state;
    struct avail_query queries[64];
    struct avail_check_request request = {.queries = queries, .queries_count = 2};
    queries[0] = queries[1] = (struct avail_query){.offer = hotel, .first = 99, .has_count = true, .count = 2};
    assert_refused (world_read (w, METHOD_NUMBER_AVAIL_CHECK, &nobody, &request), STATUS_OUT_OF_RANGE, "OUT_OF_RANGE");
    queries[0] = (struct avail_query){.offer = hotel};
    queries[1] = (struct avail_query){.offer = world_id (w)};
    assert_refused (world_read (w, METHOD_NUMBER_AVAIL_CHECK, &nobody, &request), STATUS_NOT_FOUND, "NO_OFFER");
    queries[1].offer = id_make (w->now_ms, placement_hash_group (world_group (WORLD_SHARD + 1)), 1);
    assert_refused (world_read (w, METHOD_NUMBER_AVAIL_CHECK, &nobody, &request), STATUS_UNIMPLEMENTED, "CROSS_SHARD");
    for (size_t i = 0; i < 64; i++)
        queries[i] = (struct avail_query){.offer = hotel, .has_count = true, .count = 65};
    request.queries_count = 64;
    assert_refused (world_read (w, METHOD_NUMBER_AVAIL_CHECK, &nobody, &request), STATUS_INVALID_ARGUMENT, "TOO_MANY");
    for (size_t i = 0; i < 64; i++)
        queries[i].count = 64;
    assert_int_equal (world_read (w, METHOD_NUMBER_AVAIL_CHECK, &nobody, &request), STATUS_OK);
}

static struct avail_list_free_reply list_free (struct avail_list_free_request request)
{
    struct avail_list_free_reply reply;
    assert_int_equal (world_read (w, METHOD_NUMBER_AVAIL_LIST_FREE, &nobody, &request), STATUS_OK);
    world_reply (w, &avail_list_free_reply_type, &reply);
    return reply;
}

static void test_services_avail__list_free_goes_on_where_it_stopped (void **state)
{
    (void) state;
    for (uint64_t bucket = 3; bucket < 70; bucket++)
        world_take (w, &alice, RESERVE_MODE_BOOK, &band, bucket, 1);
    struct avail_list_free_request request = {.offer = band, .has_limit = true, .limit = 5};
    struct avail_list_free_reply reply = list_free (request);
    const uint64_t wanted[] = {0, 1, 2, 70, 71};
    assert_int_equal (reply.buckets_count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal (reply.buckets[i], wanted[i]);
    assert_true (reply.has_next);
    assert_int_equal (reply.next, 72);
    request.has_first = true;
    request.first = reply.next;
    request.limit = 1000;
    reply = list_free (request);
    assert_int_equal (reply.buckets_count, 28);
    assert_int_equal (reply.buckets[27], 99);
    assert_false (reply.has_next);
    request.has_last = true;
    request.last = 73;
    assert_int_equal (list_free (request).buckets_count, 2);
    request.first = 74;
    assert_int_equal (list_free (request).buckets_count, 0);
    request = (struct avail_list_free_request){.offer = band, .has_quantity = true, .quantity = 2};
    assert_int_equal (list_free (request).buckets_count, 0);
}

static void test_services_avail__list_free_knows_quotas_and_states (void **state)
{
    (void) state;
    struct put_offer_request seats = world_offer_request (w, &provider);
    seats.has_quota = true;
    seats.quota = band;
    seats.last_bucket = 3;
    world_put_offer (w, &seats);
    world_take (w, &alice, RESERVE_MODE_BOOK, &band, 2, 1);
    struct avail_list_free_request request = {.offer = seats.offer};
    struct avail_list_free_reply reply = list_free (request);
    assert_int_equal (reply.buckets_count, 3);
    assert_int_equal (reply.buckets[2], 3);
    close_offer (&band);
    assert_int_equal (list_free (request).buckets_count, 0);
    request.offer = world_id (w);
    assert_refused (world_read (w, METHOD_NUMBER_AVAIL_LIST_FREE, &nobody, &request), STATUS_NOT_FOUND, "NO_OFFER");
}

static struct avail_find_common_reply find_common (
    struct id *offers, size_t count, uint64_t first, uint64_t run, uint64_t quantity)
{
    struct avail_find_common_request request = {.offers = offers,
        .offers_count = count,
        .has_first = true,
        .first = first,
        .has_count = true,
        .count = run,
        .has_quantity = true,
        .quantity = quantity};
    struct avail_find_common_reply reply;
    assert_int_equal (world_read (w, METHOD_NUMBER_AVAIL_FIND_COMMON, &nobody, &request), STATUS_OK);
    world_reply (w, &avail_find_common_reply_type, &reply);
    return reply;
}

static void test_services_avail__find_common_is_free_in_all (void **state)
{
    (void) state;
    struct id offers[] = {hotel, band};
    world_take (w, &alice, RESERVE_MODE_BOOK, &hotel, 1, 2);
    world_take (w, &alice, RESERVE_MODE_BOOK, &band, 4, 1);
    world_take (w, &alice, RESERVE_MODE_BOOK, &band, 40, 1);
    assert_int_equal (find_common (offers, 2, 0, 1, 1).first, 0);
    assert_int_equal (find_common (offers, 2, 1, 1, 1).first, 2);
    assert_int_equal (find_common (offers, 2, 0, 3, 1).first, 5);
    assert_int_equal (find_common (offers, 2, 0, 36, 1).first, 41);
    assert_int_equal (find_common (offers, 2, 0, 59, 1).first, 41);
    assert_false (find_common (offers, 2, 0, 60, 1).found);
    assert_false (find_common (offers, 2, 42, 59, 1).found);
    assert_false (find_common (offers, 2, 0, 1, 2).found);
    /* Named twice it needs twice as much. */
    struct id twice[] = {hotel, hotel};
    assert_int_equal (find_common (twice, 2, 1, 1, 1).first, 2);
    struct id both[] = {band, band};
    assert_false (find_common (both, 2, 0, 1, 1).found);
    close_offer (&band);
    assert_false (find_common (offers, 2, 0, 1, 1).found);
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (test_services_avail__check_breaks_a_batch_down),
        TEST (test_services_avail__check_refusals),
        TEST (test_services_avail__list_free_goes_on_where_it_stopped),
        TEST (test_services_avail__list_free_knows_quotas_and_states),
        TEST (test_services_avail__find_common_is_free_in_all),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
