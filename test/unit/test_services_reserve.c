#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/services_world.h"

static struct world world, *const w = &world;
static struct id provider, hotel, band;
static struct principal alice, bob, staff;

static int setup (void **state)
{
    (void) state;
    world_init (w);
    provider = world_provider (w);
    hotel = world_offer (w, &provider, 10);
    band = world_offer (w, &provider, 1);
    alice = world_principal (100, ROLE_CUSTOMER);
    bob = world_principal (200, ROLE_CUSTOMER);
    staff = world_principal (300, ROLE_STAFF);
    return 0;
}

static int teardown (void **state)
{
    (void) state;
    world_close (w);
    return 0;
}

static struct reserve_reply reply (void)
{
    struct reserve_reply answer;
    world_reply (w, &reserve_reply_type, &answer);
    return answer;
}

static enum status create (const struct principal *who, struct reserve_create_request *request)
{
    return world_call (w, METHOD_NUMBER_RESERVE_CREATE, who, request);
}

static void set_policy (struct id *offer, struct policy policy, uint64_t capacity)
{
    struct put_offer_request request = world_offer_request (w, &provider);
    request.has_policy = true;
    request.policy = policy;
    request.capacity = capacity;
    *offer = world_put_offer (w, &request);
}

static void test_services_reserve__book_is_confirmed_at_once (void **state)
{
    (void) state;
    struct reserve_item items[] = {world_item (&hotel, 5, 3, 2), world_item (&band, 5, 1, 1)};
    struct id id;
    assert_int_equal (world_reserve (w, &alice, RESERVE_MODE_BOOK, items, 2, &id), STATUS_OK);
    struct reserve_reply answer = reply ();
    assert_int_equal (answer.state, RESERVE_STATE_CONFIRMED);
    assert_int_equal (answer.version, 1);
    assert_int_equal (answer.total_minor, 7 * 500);
    assert_true (bytes_equal (answer.currency, BYTES_LITERAL ("GBP")));
    assert_false (answer.has_hold_expires_ms);
    assert_int_equal (world_bucket (w, &hotel, 5).confirmed, 2);
    assert_int_equal (world_bucket (w, &hotel, 7).confirmed, 2);
    assert_int_equal (world_bucket (w, &hotel, 8).confirmed, 0);
    assert_int_equal (world_bucket (w, &band, 5).confirmed, 1);
    struct reservation stored = world_reservation (w, &id);
    assert_int_equal (stored.history_count, 1);
    assert_int_equal (stored.history[0].state, RESERVE_STATE_CONFIRMED);
    assert_true (id_equal (&stored.customer, &alice.id));
}

static void test_services_reserve__hold_keeps_units_until_its_deadline (void **state)
{
    (void) state;
    struct reserve_item item = world_item (&hotel, 5, 1, 2);
    assert_int_equal (world_reserve (w, &alice, RESERVE_MODE_HOLD, &item, 1, NULL), STATUS_OK);
    assert_int_equal (reply ().state, RESERVE_STATE_HELD);
    assert_int_equal (reply ().hold_expires_ms, w->now_ms + 600000);
    assert_int_equal (world_bucket (w, &hotel, 5).held, 2);
    assert_int_equal (world_bucket (w, &hotel, 5).confirmed, 0);
    assert_int_equal (services_next_deadline (&w->config, &w->state), w->now_ms + 600000);
}

static void test_services_reserve__hold_time_is_asked_for_and_capped (void **state)
{
    (void) state;
    struct id short_holds;
    struct reserve_item items[] = {world_item (&hotel, 5, 1, 1), world_item (&hotel, 6, 1, 1)};
    struct reserve_create_request request = {.reservation = world_id (w),
        .mode = RESERVE_MODE_HOLD,
        .items = items,
        .items_count = 1,
        .has_hold_ttl_ms = true};
    request.hold_ttl_ms = 5000;
    assert_int_equal (create (&alice, &request), STATUS_OK);
    assert_int_equal (reply ().hold_expires_ms, w->now_ms + 5000);
    request.reservation = world_id (w);
    request.hold_ttl_ms = 86400001;
    assert_int_equal (create (&alice, &request), STATUS_OK);
    assert_int_equal (reply ().hold_expires_ms, w->now_ms + 86400000);
    set_policy (&short_holds, (struct policy){.has_hold_ttl_ms = true, .hold_ttl_ms = 30000}, 10);
    /* The strictest offer counts. */
    items[1].offer = short_holds;
    request.items_count = 2;
    request.reservation = world_id (w);
    assert_int_equal (create (&alice, &request), STATUS_OK);
    assert_int_equal (reply ().hold_expires_ms, w->now_ms + 30000);
    request.has_hold_ttl_ms = false;
    request.reservation = world_id (w);
    assert_int_equal (create (&alice, &request), STATUS_OK);
    assert_int_equal (reply ().hold_expires_ms, w->now_ms + 30000);
}

static void test_services_reserve__sold_out_names_bucket_and_earliest_free (void **state)
{
    (void) state;
    for (uint64_t bucket = 0; bucket < 7; bucket++)
        world_take (w, &bob, RESERVE_MODE_BOOK, &band, bucket, 1);
    struct reserve_item item = world_item (&band, 3, 1, 1);
    assert_refused (
        world_reserve (w, &alice, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_FAILED_PRECONDITION, "SOLD_OUT");
    assert_true (id_equal (&w->refusal.offer, &band));
    assert_int_equal (w->refusal.bucket, 3);
    assert_int_equal (w->refusal.available, 0);
    assert_true (w->refusal.has_earliest_free);
    assert_int_equal (w->refusal.earliest_free, 7);
    /* A run that starts free and ends sold. */
    world_take (w, &bob, RESERVE_MODE_BOOK, &band, 9, 1);
    item = world_item (&band, 8, 3, 1);
    assert_refused (
        world_reserve (w, &alice, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_FAILED_PRECONDITION, "SOLD_OUT");
    assert_int_equal (w->refusal.bucket, 9);
    assert_int_equal (w->refusal.earliest_free, 10);
    item.quantity = 2;
    assert_refused (
        world_reserve (w, &alice, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_FAILED_PRECONDITION, "SOLD_OUT");
    assert_int_equal (w->refusal.bucket, 8);
    assert_int_equal (w->refusal.available, 1);
    assert_false (w->refusal.has_earliest_free);
}

static void test_services_reserve__earliest_free_is_common_to_hotel_and_band (void **state)
{
    (void) state;
    struct reserve_item items[] = {world_item (&hotel, 0, 2, 3), world_item (&band, 0, 2, 1)};
    world_take (w, &bob, RESERVE_MODE_BOOK, &band, 0, 1);
    world_take (w, &bob, RESERVE_MODE_BOOK, &hotel, 3, 8);
    world_take (w, &bob, RESERVE_MODE_BOOK, &band, 6, 1);
    /* band: free from 1; hotel: not 3; band: not 6. So 1+2 is the first pair. */
    assert_refused (
        world_reserve (w, &alice, RESERVE_MODE_BOOK, items, 2, NULL), STATUS_FAILED_PRECONDITION, "SOLD_OUT");
    assert_int_equal (w->refusal.earliest_free, 1);
    world_take (w, &bob, RESERVE_MODE_BOOK, &band, 2, 1);
    assert_refused (
        world_reserve (w, &alice, RESERVE_MODE_BOOK, items, 2, NULL), STATUS_FAILED_PRECONDITION, "SOLD_OUT");
    assert_int_equal (w->refusal.earliest_free, 4);
    for (size_t i = 0; i < 2; i++)
        items[i].first = 4;
    assert_int_equal (world_reserve (w, &alice, RESERVE_MODE_BOOK, items, 2, NULL), STATUS_OK);
}

static void test_services_reserve__all_or_nothing (void **state)
{
    (void) state;
    world_take (w, &bob, RESERVE_MODE_BOOK, &band, 5, 1);
    struct reserve_item items[] = {world_item (&hotel, 4, 1, 1), world_item (&band, 5, 1, 1)};
    assert_refused (
        world_reserve (w, &alice, RESERVE_MODE_BOOK, items, 2, NULL), STATUS_FAILED_PRECONDITION, "SOLD_OUT");
    assert_true (id_equal (&w->refusal.offer, &band));
    /* The items differ, so only the band moves. */
    assert_int_equal (w->refusal.earliest_free, 0);
    assert_int_equal (world_bucket (w, &hotel, 4).confirmed, 0);
}

static void test_services_reserve__demand_is_summed_per_counter (void **state)
{
    (void) state;
    struct reserve_item items[] = {world_item (&hotel, 4, 3, 6), world_item (&hotel, 6, 3, 5)};
    assert_refused (
        world_reserve (w, &alice, RESERVE_MODE_BOOK, items, 2, NULL), STATUS_FAILED_PRECONDITION, "SOLD_OUT");
    assert_int_equal (w->refusal.bucket, 6);
    assert_int_equal (w->refusal.available, 10);
    items[1].quantity = 4;
    assert_int_equal (world_reserve (w, &alice, RESERVE_MODE_BOOK, items, 2, NULL), STATUS_OK);
    assert_int_equal (world_bucket (w, &hotel, 6).confirmed, 10);
}

static void test_services_reserve__quota_is_drawn_on_by_all_its_offers (void **state)
{
    (void) state;
    struct id quota = world_offer (w, &provider, 3);
    struct put_offer_request stalls = world_offer_request (w, &provider), balcony = world_offer_request (w, &provider);
    stalls.has_quota = balcony.has_quota = true;
    stalls.quota = balcony.quota = quota;
    world_put_offer (w, &stalls);
    world_put_offer (w, &balcony);
    struct reserve_item items[] = {world_item (&stalls.offer, 2, 1, 2), world_item (&balcony.offer, 2, 1, 2)};
    assert_refused (
        world_reserve (w, &alice, RESERVE_MODE_BOOK, items, 2, NULL), STATUS_FAILED_PRECONDITION, "SOLD_OUT");
    assert_true (id_equal (&w->refusal.offer, &quota));
    assert_false (w->refusal.has_earliest_free); /* never four at once */
    items[1].quantity = 1;
    assert_int_equal (world_reserve (w, &alice, RESERVE_MODE_BOOK, items, 2, NULL), STATUS_OK);
    assert_int_equal (world_bucket (w, &quota, 2).confirmed, 3);
    assert_int_equal (world_bucket (w, &balcony.offer, 2).confirmed, 1);
    assert_refused (
        world_reserve (w, &alice, RESERVE_MODE_BOOK, items + 1, 1, NULL), STATUS_FAILED_PRECONDITION, "SOLD_OUT");
    assert_int_equal (w->refusal.earliest_free, 0);
    struct principal admin = world_admin ();
    struct set_offer_state_request close = {.offer = quota, .state = OFFER_STATE_CLOSED};
    assert_int_equal (world_call (w, METHOD_NUMBER_CATALOG_SET_OFFER_STATE, &admin, &close), STATUS_OK);
    items[1].first = 9;
    assert_refused (
        world_reserve (w, &alice, RESERVE_MODE_BOOK, items + 1, 1, NULL), STATUS_FAILED_PRECONDITION, "CLOSED");
}

static void test_services_reserve__customer_limit_counts_held_and_confirmed (void **state)
{
    (void) state;
    struct id limited;
    set_policy (&limited, (struct policy){.has_customer_limit = true, .customer_limit = 4}, 100);
    struct id first = world_take (w, &alice, RESERVE_MODE_BOOK, &limited, 1, 1);
    world_take (w, &alice, RESERVE_MODE_HOLD, &limited, 2, 1);
    struct reserve_item item = world_item (&limited, 3, 3, 1);
    assert_refused (
        world_reserve (w, &alice, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_FAILED_PRECONDITION, "USER_LIMIT");
    assert_int_equal (w->refusal.limit, 4);
    assert_int_equal (w->refusal.available, 2);
    assert_true (id_equal (&w->refusal.offer, &limited));
    assert_int_equal (world_reserve (w, &bob, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_OK);
    assert_int_equal (world_resolve (w, METHOD_NUMBER_RESERVE_CANCEL, &alice, &first), STATUS_OK);
    assert_int_equal (world_reserve (w, &alice, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_OK);
}

static void test_services_reserve__limit_counts_the_customer_not_the_caller (void **state)
{
    (void) state;
    struct id limited;
    set_policy (&limited, (struct policy){.has_customer_limit = true, .customer_limit = 1}, 100);
    world_take (w, &alice, RESERVE_MODE_BOOK, &limited, 1, 1);
    struct reserve_item item = world_item (&limited, 3, 1, 1);
    struct reserve_create_request request = {.reservation = world_id (w),
        .mode = RESERVE_MODE_BOOK,
        .items = &item,
        .items_count = 1,
        .has_customer = true,
        .customer = alice.id};
    assert_refused (create (&staff, &request), STATUS_FAILED_PRECONDITION, "USER_LIMIT");
    request.customer = bob.id;
    request.reservation = world_id (w);
    assert_int_equal (create (&staff, &request), STATUS_OK);
    assert_refused (
        world_reserve (w, &bob, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_FAILED_PRECONDITION, "USER_LIMIT");
}

static void test_services_reserve__only_staff_and_machines_book_for_others (void **state)
{
    (void) state;
    struct reserve_item item = world_item (&hotel, 3, 1, 1);
    struct reserve_create_request request = {.reservation = world_id (w),
        .mode = RESERVE_MODE_BOOK,
        .items = &item,
        .items_count = 1,
        .has_customer = true,
        .customer = alice.id};
    assert_refused (create (&bob, &request), STATUS_PERMISSION_DENIED, "NOT_FOR_OTHERS");
    assert_int_equal (create (&alice, &request), STATUS_OK);
    request.reservation = world_id (w);
    struct principal key = {.id = bob.id, .kind = PRINCIPAL_KIND_API_KEY, .roles = ROLE_CUSTOMER};
    assert_int_equal (create (&key, &request), STATUS_OK);
    struct reservation stored = world_reservation (w, &request.reservation);
    assert_true (id_equal (&stored.customer, &alice.id));
    assert_true (id_equal (&stored.actor, &bob.id));
}

static void test_services_reserve__range_is_checked_in_offer_and_quota (void **state)
{
    (void) state;
    struct reserve_item item = world_item (&hotel, 99, 2, 1);
    assert_refused (world_reserve (w, &alice, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_OUT_OF_RANGE, "OUT_OF_RANGE");
    assert_int_equal (w->refusal.bucket, 100);
    item.first = 4294967295;
    assert_refused (world_reserve (w, &alice, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_OUT_OF_RANGE, "OUT_OF_RANGE");
    struct put_offer_request quota = world_offer_request (w, &provider), offer = world_offer_request (w, &provider);
    quota.last_bucket = 50;
    world_put_offer (w, &quota);
    offer.has_quota = true;
    offer.quota = quota.offer;
    world_put_offer (w, &offer);
    item = world_item (&offer.offer, 50, 2, 1);
    assert_refused (world_reserve (w, &alice, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_OUT_OF_RANGE, "OUT_OF_RANGE");
    assert_true (id_equal (&w->refusal.offer, &quota.offer));
    assert_int_equal (w->refusal.bucket, 51);
}

/* Behind the last number that a bucket can have there is none to name: bucket 0 is one that the offer has. */
static void test_services_reserve__range_behind_the_last_number_names_its_own_first (void **state)
{
    (void) state;
    struct put_offer_request offer = world_offer_request (w, &provider);
    offer.first_bucket = 0;
    offer.last_bucket = BUCKET_NUMBER_MAX;
    world_put_offer (w, &offer);
    struct reserve_item item = world_item (&offer.offer, BUCKET_NUMBER_MAX, 1, 1);
    assert_int_equal (world_reserve (w, &alice, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_OK);
    item = world_item (&offer.offer, BUCKET_NUMBER_MAX, 2, 1);
    assert_refused (world_reserve (w, &alice, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_OUT_OF_RANGE, "OUT_OF_RANGE");
    assert_int_equal (w->refusal.bucket, BUCKET_NUMBER_MAX);
}

static void test_services_reserve__overbooking_sells_more_than_there_is (void **state)
{
    (void) state;
    struct id offer;
    set_policy (&offer, (struct policy){.has_overbooking = true, .overbooking = 2}, 1);
    world_take (w, &alice, RESERVE_MODE_BOOK, &offer, 0, 3);
    struct reserve_item item = world_item (&offer, 0, 1, 1);
    assert_refused (world_reserve (w, &bob, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_FAILED_PRECONDITION, "SOLD_OUT");
    assert_int_equal (world_bucket (w, &offer, 0).total, 3);
}

static void test_services_reserve__an_id_is_created_once (void **state)
{
    (void) state;
    struct reserve_item item = world_item (&hotel, 3, 1, 1);
    struct reserve_create_request request = {
        .reservation = world_id (w), .mode = RESERVE_MODE_HOLD, .items = &item, .items_count = 1};
    assert_int_equal (create (&alice, &request), STATUS_OK);
    assert_refused (create (&alice, &request), STATUS_ALREADY_EXISTS, "EXISTS");
    assert_int_equal (w->refusal.state, RESERVE_STATE_HELD);
    assert_int_equal (w->refusal.version, 1);
    assert_int_equal (world_bucket (w, &hotel, 3).held, 1);
}

static void test_services_reserve__id_and_offers_must_belong_together (void **state)
{
    (void) state;
    struct reserve_item items[] = {world_item (&hotel, 3, 1, 1), world_item (&band, 3, 1, 1)};
    struct reserve_create_request request = {.mode = RESERVE_MODE_BOOK, .items = items, .items_count = 2};
    request.reservation = id_make (w->now_ms, w->hash + WORLD_SHARDS, 77);
    assert_refused (create (&alice, &request), STATUS_INVALID_ARGUMENT, "WRONG_PLACEMENT");
    request.reservation = world_id (w);
    items[1].offer = id_make (w->now_ms, placement_hash_group (world_group (WORLD_SHARD + 1)), 1);
    assert_refused (create (&alice, &request), STATUS_UNIMPLEMENTED, "CROSS_SHARD");
    assert_true (bytes_equal (w->refusal.field, BYTES_LITERAL ("items[1].offer")));
    items[1].offer = world_id (w);
    assert_refused (create (&alice, &request), STATUS_NOT_FOUND, "NO_OFFER");
}

static void test_services_reserve__one_currency_and_a_total_that_fits (void **state)
{
    (void) state;
    struct put_offer_request euro = world_offer_request (w, &provider), dear = world_offer_request (w, &provider);
    euro.currency = BYTES_LITERAL ("EUR");
    dear.price_minor = MINOR_UNITS_MAX;
    dear.capacity = 4294967295;
    dear.last_bucket = 1000;
    world_put_offer (w, &euro);
    world_put_offer (w, &dear);
    struct reserve_item items[] = {world_item (&hotel, 3, 1, 1), world_item (&euro.offer, 3, 1, 1)};
    assert_refused (
        world_reserve (w, &alice, RESERVE_MODE_BOOK, items, 2, NULL), STATUS_INVALID_ARGUMENT, "CURRENCY_MIXED");
    items[0] = world_item (&dear.offer, 3, 366, 1000000);
    assert_refused (
        world_reserve (w, &alice, RESERVE_MODE_BOOK, items, 1, NULL), STATUS_INVALID_ARGUMENT, "TOTAL_TOO_LARGE");
    items[0] = world_item (&dear.offer, 3, 18, 1000000);
    items[1] = world_item (&dear.offer, 30, 1, 1000000);
    assert_refused (
        world_reserve (w, &alice, RESERVE_MODE_BOOK, items, 2, NULL), STATUS_INVALID_ARGUMENT, "TOTAL_TOO_LARGE");
    assert_int_equal (world_reserve (w, &alice, RESERVE_MODE_BOOK, items, 1, NULL), STATUS_OK);
    assert_true (reply ().total_minor == UINT64_C (18000000000000000000));
}

static void test_services_reserve__what_needs_approval_is_booked_by_the_provider (void **state)
{
    (void) state;
    struct id offer;
    set_policy (&offer, (struct policy){.has_approval = true, .approval = true}, 10);
    struct reserve_item item = world_item (&offer, 3, 1, 1);
    assert_refused (
        world_reserve (w, &alice, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_FAILED_PRECONDITION, "NEEDS_APPROVAL");
    assert_int_equal (world_reserve (w, &staff, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_OK);
}

/* The largest request there is: 16 items of 366 buckets with a quota, made and moved. */
static void test_services_reserve__largest_request_fits_the_arena (void **state)
{
    (void) state;
    struct put_offer_request quota = world_offer_request (w, &provider);
    struct reserve_item items[16];
    quota.last_bucket = 20000;
    quota.capacity = 1000;
    world_put_offer (w, &quota);
    for (size_t i = 0; i < 16; i++) {
        struct put_offer_request offer = world_offer_request (w, &provider);
        offer.last_bucket = 20000;
        offer.has_quota = true;
        offer.quota = quota.offer;
        world_put_offer (w, &offer);
        items[i] = world_item (&offer.offer, 17 + i * 400, 366, 3);
    }
    struct id id;
    assert_int_equal (world_reserve (w, &alice, RESERVE_MODE_HOLD, items, 16, &id), STATUS_OK);
    for (size_t i = 0; i < 16; i++)
        items[i].first += 7000;
    assert_int_equal (world_move (w, &alice, &id, items, 16), STATUS_OK);
    assert_int_equal (world_bucket (w, &quota.offer, 7017).held, 3);
    w->now_ms += 600000;
    assert_true (world_tick (w));
    assert_int_equal (world_bucket (w, &quota.offer, 7017).held, 0);
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (test_services_reserve__book_is_confirmed_at_once),
        TEST (test_services_reserve__hold_keeps_units_until_its_deadline),
        TEST (test_services_reserve__hold_time_is_asked_for_and_capped),
        TEST (test_services_reserve__sold_out_names_bucket_and_earliest_free),
        TEST (test_services_reserve__earliest_free_is_common_to_hotel_and_band),
        TEST (test_services_reserve__all_or_nothing),
        TEST (test_services_reserve__demand_is_summed_per_counter),
        TEST (test_services_reserve__quota_is_drawn_on_by_all_its_offers),
        TEST (test_services_reserve__customer_limit_counts_held_and_confirmed),
        TEST (test_services_reserve__limit_counts_the_customer_not_the_caller),
        TEST (test_services_reserve__only_staff_and_machines_book_for_others),
        TEST (test_services_reserve__range_is_checked_in_offer_and_quota),
        TEST (test_services_reserve__range_behind_the_last_number_names_its_own_first),
        TEST (test_services_reserve__overbooking_sells_more_than_there_is),
        TEST (test_services_reserve__an_id_is_created_once),
        TEST (test_services_reserve__id_and_offers_must_belong_together),
        TEST (test_services_reserve__one_currency_and_a_total_that_fits),
        TEST (test_services_reserve__what_needs_approval_is_booked_by_the_provider),
        TEST (test_services_reserve__largest_request_fits_the_arena),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
