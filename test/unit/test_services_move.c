#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/services_world.h"

static struct world world, *const w = &world;
static struct id provider, hotel, band;
static struct principal alice, bob;

static int setup (void **state)
{
    (void) state;
    world_init (w);
    provider = world_provider (w);
    hotel = world_offer (w, &provider, 2);
    band = world_offer (w, &provider, 1);
    alice = world_principal (100, ROLE_CUSTOMER);
    bob = world_principal (200, ROLE_CUSTOMER);
    return 0;
}

static int teardown (void **state)
{
    (void) state;
    world_close (w);
    return 0;
}

static enum status move_to (
    const struct id *id, const struct id *offer, uint64_t first, uint64_t count, uint64_t quantity)
{
    struct reserve_item item = world_item (offer, first, count, quantity);
    return world_move (w, &alice, id, &item, 1);
}

static void test_services_move__takes_the_new_and_gives_back_the_old (void **state)
{
    (void) state;
    struct id id = world_take (w, &alice, RESERVE_MODE_BOOK, &hotel, 5, 2);
    struct reserve_item items[] = {world_item (&hotel, 6, 1, 1), world_item (&band, 6, 1, 1)};
    assert_int_equal (world_move (w, &alice, &id, items, 2), STATUS_OK);
    assert_int_equal (world_bucket (w, &hotel, 5).confirmed, 0);
    assert_int_equal (world_bucket (w, &hotel, 6).confirmed, 1);
    assert_int_equal (world_bucket (w, &band, 6).confirmed, 1);
    struct reservation stored = world_reservation (w, &id);
    assert_int_equal (stored.version, 2);
    assert_int_equal (stored.items_count, 2);
    assert_int_equal (stored.total_minor, 1000);
    assert_int_equal (stored.history_count, 2);
}

static void test_services_move__on_failure_the_old_is_kept (void **state)
{
    (void) state;
    struct id id = world_take (w, &alice, RESERVE_MODE_BOOK, &hotel, 5, 2);
    world_take (w, &bob, RESERVE_MODE_BOOK, &hotel, 6, 1);
    assert_refused (move_to (&id, &hotel, 6, 1, 2), STATUS_FAILED_PRECONDITION, "SOLD_OUT");
    assert_int_equal (w->refusal.available, 1);
    assert_int_equal (world_bucket (w, &hotel, 5).confirmed, 2);
    assert_int_equal (world_reservation (w, &id).version, 1);
    struct id none = world_id (w);
    assert_refused (move_to (&id, &none, 6, 1, 1), STATUS_NOT_FOUND, "NO_OFFER");
    assert_refused (move_to (&id, &hotel, 99, 2, 1), STATUS_OUT_OF_RANGE, "OUT_OF_RANGE");
}

static void test_services_move__own_units_count_as_free (void **state)
{
    (void) state;
    struct id id = world_take (w, &alice, RESERVE_MODE_BOOK, &hotel, 5, 2);
    assert_int_equal (move_to (&id, &hotel, 5, 2, 2), STATUS_OK);
    assert_int_equal (move_to (&id, &hotel, 6, 2, 2), STATUS_OK);
    /* A refusal counts them as free, too: where it could have gone, and how much it could have had. */
    world_take (w, &bob, RESERVE_MODE_BOOK, &hotel, 8, 1);
    for (uint64_t bucket = 0; bucket < 6; bucket++)
        world_take (w, &bob, RESERVE_MODE_BOOK, &hotel, bucket, 1);
    assert_refused (move_to (&id, &hotel, 7, 2, 2), STATUS_FAILED_PRECONDITION, "SOLD_OUT");
    assert_int_equal (w->refusal.bucket, 8);
    assert_int_equal (w->refusal.earliest_free, 6);
    assert_refused (move_to (&id, &hotel, 7, 1, 3), STATUS_FAILED_PRECONDITION, "SOLD_OUT");
    assert_int_equal (w->refusal.available, 2);
}

static void test_services_move__customer_limit_counts_the_difference (void **state)
{
    (void) state;
    struct put_offer_request request = world_offer_request (w, &provider);
    request.has_policy = true;
    request.policy = (struct policy){.has_customer_limit = true, .customer_limit = 2};
    world_put_offer (w, &request);
    struct id id = world_take (w, &alice, RESERVE_MODE_BOOK, &request.offer, 5, 2);
    assert_int_equal (move_to (&id, &request.offer, 7, 1, 2), STATUS_OK);
    assert_refused (move_to (&id, &request.offer, 7, 1, 3), STATUS_FAILED_PRECONDITION, "USER_LIMIT");
    assert_int_equal (w->refusal.available, 2);
}

static void test_services_move__a_hold_keeps_its_deadline (void **state)
{
    (void) state;
    struct id id = world_take (w, &alice, RESERVE_MODE_HOLD, &hotel, 5, 2);
    uint64_t expires_ms = w->now_ms + 600000;
    w->now_ms += 300000;
    assert_int_equal (move_to (&id, &band, 5, 1, 1), STATUS_OK);
    assert_int_equal (world_reservation (w, &id).hold_expires_ms, expires_ms);
    w->now_ms = expires_ms;
    assert_true (world_tick (w));
    assert_int_equal (world_reservation (w, &id).state, RESERVE_STATE_EXPIRED);
    assert_int_equal (world_bucket (w, &band, 5).held, 0);
}

static void test_services_move__ended_reservations_do_not_move (void **state)
{
    (void) state;
    struct id id = world_take (w, &alice, RESERVE_MODE_HOLD, &hotel, 5, 2);
    assert_refused (world_move (w, &bob, &id, &(struct reserve_item){.offer = hotel, .first = 6}, 1), STATUS_NOT_FOUND,
        "NO_RESERVATION");
    w->now_ms += 600000;
    assert_refused (move_to (&id, &hotel, 6, 1, 1), STATUS_FAILED_PRECONDITION, "EXPIRED");
    id = world_take (w, &alice, RESERVE_MODE_BOOK, &hotel, 5, 2);
    assert_int_equal (world_resolve (w, METHOD_NUMBER_RESERVE_CANCEL, &alice, &id), STATUS_OK);
    assert_refused (move_to (&id, &hotel, 6, 1, 1), STATUS_FAILED_PRECONDITION, "CANCELLED");
}

static void test_services_move__closed_offers_take_nobody_in (void **state)
{
    (void) state;
    struct principal admin = world_admin ();
    struct id id = world_take (w, &alice, RESERVE_MODE_BOOK, &hotel, 5, 2);
    struct set_offer_state_request close = {.offer = band, .state = OFFER_STATE_CLOSED};
    assert_int_equal (world_call (w, METHOD_NUMBER_CATALOG_SET_OFFER_STATE, &admin, &close), STATUS_OK);
    assert_refused (move_to (&id, &band, 6, 1, 1), STATUS_FAILED_PRECONDITION, "CLOSED");
    close.offer = hotel;
    assert_int_equal (world_call (w, METHOD_NUMBER_CATALOG_SET_OFFER_STATE, &admin, &close), STATUS_OK);
    close.offer = band;
    close.state = OFFER_STATE_OPEN;
    assert_int_equal (world_call (w, METHOD_NUMBER_CATALOG_SET_OFFER_STATE, &admin, &close), STATUS_OK);
    assert_int_equal (move_to (&id, &band, 6, 1, 1), STATUS_OK);
}

static size_t count_of (const struct id *of)
{
    struct principal admin = world_admin ();
    struct reserve_list_request request = {.has_provider = true, .provider = *of};
    struct reserve_list_reply reply;
    assert_int_equal (world_read (w, METHOD_NUMBER_RESERVE_LIST, &admin, &request), STATUS_OK);
    world_reply (w, &reserve_list_reply_type, &reply);
    return reply.reservations_count;
}

static void test_services_move__goes_from_one_providers_list_to_the_others (void **state)
{
    (void) state;
    struct id second = world_provider (w), there = world_offer (w, &second, 1);
    struct id id = world_take (w, &alice, RESERVE_MODE_BOOK, &hotel, 5, 2);
    assert_int_equal (move_to (&id, &there, 5, 1, 1), STATUS_OK);
    assert_int_equal (count_of (&provider), 0);
    assert_int_equal (count_of (&second), 1);
    struct reserve_item items[] = {world_item (&hotel, 6, 1, 1), world_item (&there, 6, 1, 1)};
    assert_int_equal (world_move (w, &alice, &id, items, 2), STATUS_OK);
    assert_int_equal (count_of (&provider), 1);
    assert_int_equal (count_of (&second), 1);
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (test_services_move__takes_the_new_and_gives_back_the_old),
        TEST (test_services_move__on_failure_the_old_is_kept),
        TEST (test_services_move__own_units_count_as_free),
        TEST (test_services_move__customer_limit_counts_the_difference),
        TEST (test_services_move__a_hold_keeps_its_deadline),
        TEST (test_services_move__ended_reservations_do_not_move),
        TEST (test_services_move__closed_offers_take_nobody_in),
        TEST (test_services_move__goes_from_one_providers_list_to_the_others),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
