#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/services_world.h"

#define CONFIRM METHOD_NUMBER_RESERVE_CONFIRM
#define RELEASE METHOD_NUMBER_RESERVE_RELEASE
#define CANCEL METHOD_NUMBER_RESERVE_CANCEL
#define DAY_MS UINT64_C (86400000)

static struct world world, *const w = &world;
static struct id provider, hotel, band;
static struct principal alice, bob, owner, operator_;

static int setup (void **state)
{
    (void) state;
    world_init (w);
    owner = world_principal (50, ROLE_STAFF);
    struct put_provider_request request = {
        .provider = world_id (w),
        .kind = PROVIDER_KIND_HOTEL,
        .name = BYTES_LITERAL ("The Grand"),
        .has_group = true,
        .group = world_group (WORLD_SHARD),
    };
    assert_int_equal (world_call (w, METHOD_NUMBER_CATALOG_PUT_PROVIDER, &owner, &request), STATUS_OK);
    provider = request.provider;
    hotel = world_offer (w, &provider, 10);
    band = world_offer (w, &provider, 10);
    alice = world_principal (100, ROLE_CUSTOMER);
    bob = world_principal (200, ROLE_CUSTOMER);
    operator_ = world_principal (300, ROLE_OPERATOR);
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

static struct id take (uint64_t mode)
{
    return world_take (w, &alice, mode, &hotel, 5, 2);
}

static void assert_counts (uint64_t held, uint64_t confirmed)
{
    struct avail_row row = world_bucket (w, &hotel, 5);
    assert_int_equal (row.held, held);
    assert_int_equal (row.confirmed, confirmed);
}

static void test_services_resolve__confirm_turns_held_into_confirmed (void **state)
{
    (void) state;
    struct id id = take (RESERVE_MODE_HOLD);
    w->now_ms += 599999;
    assert_int_equal (world_resolve (w, CONFIRM, &alice, &id), STATUS_OK);
    assert_int_equal (reply ().state, RESERVE_STATE_CONFIRMED);
    assert_int_equal (reply ().version, 2);
    assert_int_equal (reply ().total_minor, 1000);
    assert_counts (0, 2);
    w->now_ms += 600000;
    assert_false (world_tick (w));
    assert_counts (0, 2);
}

static void test_services_resolve__confirm_needs_no_stock_and_no_open_offer (void **state)
{
    (void) state;
    struct principal admin = world_admin ();
    struct id id = take (RESERVE_MODE_HOLD);
    struct set_offer_state_request close = {.offer = hotel, .state = OFFER_STATE_CLOSED};
    world_take (w, &bob, RESERVE_MODE_BOOK, &hotel, 5, 8);
    assert_int_equal (world_call (w, METHOD_NUMBER_CATALOG_SET_OFFER_STATE, &admin, &close), STATUS_OK);
    assert_int_equal (world_resolve (w, CONFIRM, &alice, &id), STATUS_OK);
    assert_counts (0, 10);
}

/* Every state against every resolution: what happens, or how it says that it ended. */
static void test_services_resolve__a_second_resolution_says_how_it_ended (void **state)
{
    (void) state;
    static const struct {
        uint64_t mode;
        uint32_t first; /* 0: none */
        bool expires;
        const char *confirm, *release, *cancel; /* NULL: it works */
    } rows[] = {
        {RESERVE_MODE_HOLD, 0, false, NULL, NULL, "NOT_CONFIRMED"},
        {RESERVE_MODE_BOOK, 0, false, "ALREADY_CONFIRMED", "ALREADY_CONFIRMED", NULL},
        {RESERVE_MODE_HOLD, CONFIRM, false, "ALREADY_CONFIRMED", "ALREADY_CONFIRMED", NULL},
        {RESERVE_MODE_HOLD, RELEASE, false, "RELEASED", "RELEASED", "RELEASED"},
        {RESERVE_MODE_BOOK, CANCEL, false, "CANCELLED", "CANCELLED", "CANCELLED"},
        {RESERVE_MODE_HOLD, 0, true, "EXPIRED", "EXPIRED", "EXPIRED"},
    };
    const uint32_t numbers[] = {CONFIRM, RELEASE, CANCEL};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *wanted[] = {rows[i].confirm, rows[i].release, rows[i].cancel};
        for (size_t n = 0; n < 3; n++) {
            struct id id = take (rows[i].mode);
            if (rows[i].first != 0)
                assert_int_equal (world_resolve (w, rows[i].first, &alice, &id), STATUS_OK);
            if (rows[i].expires)
                w->now_ms += 600000;
            enum status status = world_resolve (w, numbers[n], &alice, &id);
            if (wanted[n] == NULL) {
                assert_int_equal (status, STATUS_OK);
                assert_int_equal (world_resolve (w, CANCEL, &alice, &id) == STATUS_OK, numbers[n] == CONFIRM);
            } else {
                assert_int_equal (status, STATUS_FAILED_PRECONDITION);
                assert_string_equal (w->reply.reason, wanted[n]);
                assert_true (w->refusal.has_state);
                uint64_t left = w->refusal.state;
                assert_int_equal (left, world_reservation (w, &id).state);
                if (left == RESERVE_STATE_HELD)
                    assert_int_equal (world_resolve (w, RELEASE, &alice, &id), STATUS_OK);
                if (left == RESERVE_STATE_CONFIRMED)
                    assert_int_equal (world_resolve (w, CANCEL, &alice, &id), STATUS_OK);
            }
            assert_counts (0, 0);
        }
    }
}

static enum status confirm_part (const struct id *id, struct reserve_item *items, size_t count)
{
    struct reserve_confirm_request request = {
        .reservation = *id, .has_items = true, .items = items, .items_count = count};
    return world_call (w, CONFIRM, &alice, &request);
}

static void test_services_resolve__a_part_may_be_confirmed (void **state)
{
    (void) state;
    struct reserve_item items[] = {world_item (&hotel, 4, 4, 3), world_item (&band, 5, 1, 2)};
    struct id id;
    assert_int_equal (world_reserve (w, &alice, RESERVE_MODE_HOLD, items, 2, &id), STATUS_OK);
    /* The price of the day it was held counts. */
    struct principal admin = world_admin ();
    struct put_offer_request dearer = world_offer_request (w, &provider);
    dearer.offer = hotel;
    dearer.price_minor = 900;
    dearer.has_version = true;
    dearer.version = 1;
    assert_int_equal (world_call (w, METHOD_NUMBER_CATALOG_PUT_OFFER, &admin, &dearer), STATUS_OK);
    struct reserve_item part = world_item (&hotel, 5, 2, 2);
    assert_int_equal (confirm_part (&id, &part, 1), STATUS_OK);
    assert_int_equal (reply ().total_minor, 4 * 500);
    assert_counts (0, 2);
    assert_int_equal (world_bucket (w, &hotel, 4).held, 0);
    assert_int_equal (world_bucket (w, &hotel, 6).confirmed, 2);
    assert_int_equal (world_bucket (w, &hotel, 7).confirmed, 0);
    assert_int_equal (world_bucket (w, &band, 5).held, 0);
    assert_int_equal (world_reservation (w, &id).items_count, 1);
    assert_int_equal (world_resolve (w, CANCEL, &alice, &id), STATUS_OK);
    assert_counts (0, 0);
}

static void test_services_resolve__what_is_not_a_part_is_refused (void **state)
{
    (void) state;
    struct reserve_item item = world_item (&hotel, 4, 4, 3);
    struct id id, other = world_offer (w, &provider, 10);
    assert_int_equal (world_reserve (w, &alice, RESERVE_MODE_HOLD, &item, 1, &id), STATUS_OK);
    struct reserve_item wrong[] = {world_item (&hotel, 3, 2, 1), world_item (&hotel, 4, 4, 4),
        world_item (&hotel, 7, 2, 1), world_item (&band, 4, 1, 1), world_item (&other, 4, 1, 1),
        world_item (&hotel, 4294967295, 2, 1)};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_refused (confirm_part (&id, &wrong[i], 1), STATUS_INVALID_ARGUMENT, "NOT_A_PART");
    /* Twice the same: more than is held. */
    struct reserve_item twice[] = {world_item (&hotel, 4, 1, 2), world_item (&hotel, 4, 1, 2)};
    assert_refused (confirm_part (&id, twice, 2), STATUS_INVALID_ARGUMENT, "NOT_A_PART");
    assert_counts (3, 0);
    twice[1].quantity = 1;
    assert_int_equal (confirm_part (&id, twice, 2), STATUS_OK);
}

static void test_services_resolve__strangers_see_nothing_to_resolve (void **state)
{
    (void) state;
    struct principal staff_elsewhere = world_principal (51, ROLE_STAFF);
    struct id id = take (RESERVE_MODE_HOLD);
    struct reserve_get_request get = {.reservation = id};
    assert_refused (world_resolve (w, RELEASE, &bob, &id), STATUS_NOT_FOUND, "NO_RESERVATION");
    assert_refused (world_resolve (w, RELEASE, &staff_elsewhere, &id), STATUS_NOT_FOUND, "NO_RESERVATION");
    assert_refused (world_read (w, METHOD_NUMBER_RESERVE_GET, &bob, &get), STATUS_NOT_FOUND, "NO_RESERVATION");
    assert_int_equal (world_read (w, METHOD_NUMBER_RESERVE_GET, &owner, &get), STATUS_OK);
    assert_int_equal (world_resolve (w, RELEASE, &owner, &id), STATUS_OK);
    id = take (RESERVE_MODE_HOLD);
    assert_int_equal (world_resolve (w, CONFIRM, &operator_, &id), STATUS_OK);
    struct id none = world_id (w);
    assert_refused (world_resolve (w, CANCEL, &alice, &none), STATUS_NOT_FOUND, "NO_RESERVATION");
}

/* ---- cancelling late */

static struct id offer_with (struct policy policy, uint64_t bucket_kind)
{
    struct put_offer_request request = world_offer_request (w, &provider);
    request.has_policy = request.has_bucket_kind = true;
    request.policy = policy;
    request.bucket_kind = bucket_kind;
    request.last_bucket = 4294967295;
    return world_put_offer (w, &request);
}

static void test_services_resolve__cancel_window_in_time (void **state)
{
    (void) state;
    struct id offer =
        offer_with ((struct policy){.has_cancel_window_ms = true, .cancel_window_ms = 60000}, BUCKET_KIND_SLOT);
    struct id early = world_take (w, &alice, RESERVE_MODE_BOOK, &offer, 5, 1);
    struct id late = world_take (w, &alice, RESERVE_MODE_BOOK, &offer, 5, 1);
    w->now_ms += 60000;
    assert_int_equal (world_resolve (w, CANCEL, &alice, &early), STATUS_OK);
    assert_false (reply ().has_fee_minor);
    w->now_ms += 1;
    assert_refused (world_resolve (w, CANCEL, &alice, &late), STATUS_FAILED_PRECONDITION, "WINDOW");
    assert_true (id_equal (&w->refusal.offer, &offer));
    assert_int_equal (world_reservation (w, &late).state, RESERVE_STATE_CONFIRMED);
}

static void test_services_resolve__cancel_window_in_nights (void **state)
{
    (void) state;
    struct id offer =
        offer_with ((struct policy){.has_cancel_window_buckets = true, .cancel_window_buckets = 2}, BUCKET_KIND_NIGHT);
    uint64_t today = w->now_ms / DAY_MS;
    struct id id = world_take (w, &alice, RESERVE_MODE_BOOK, &offer, today + 2, 1);
    struct id late = world_take (w, &alice, RESERVE_MODE_BOOK, &offer, today + 1, 1);
    assert_refused (world_resolve (w, CANCEL, &alice, &late), STATUS_FAILED_PRECONDITION, "WINDOW");
    assert_int_equal (world_resolve (w, CANCEL, &alice, &id), STATUS_OK);
}

static void test_services_resolve__a_late_cancel_costs_the_fee (void **state)
{
    (void) state;
    struct policy policy = {
        .has_cancel_window_ms = true, .cancel_window_ms = 1000, .has_cancel_fee_minor = true, .cancel_fee_minor = 120};
    struct id first = offer_with (policy, BUCKET_KIND_SLOT);
    policy.cancel_fee_minor = 5000;
    struct id second = offer_with (policy, BUCKET_KIND_SLOT);
    struct id cheap = world_take (w, &alice, RESERVE_MODE_BOOK, &first, 5, 1);
    struct id dear = world_take (w, &alice, RESERVE_MODE_BOOK, &second, 5, 1);
    struct id in_time = world_take (w, &alice, RESERVE_MODE_BOOK, &first, 5, 1);
    assert_int_equal (world_resolve (w, CANCEL, &alice, &in_time), STATUS_OK);
    assert_false (reply ().has_fee_minor);
    w->now_ms += 1001;
    assert_int_equal (world_resolve (w, CANCEL, &alice, &cheap), STATUS_OK);
    assert_int_equal (reply ().state, RESERVE_STATE_CANCELLED);
    assert_int_equal (reply ().fee_minor, 120);
    assert_int_equal (world_reservation (w, &cheap).fee_minor, 120);
    assert_int_equal (world_resolve (w, CANCEL, &alice, &dear), STATUS_OK);
    assert_int_equal (reply ().fee_minor, 500); /* never more than the price */
    assert_int_equal (world_bucket (w, &first, 5).confirmed, 0);
}

static void test_services_resolve__history_keeps_the_first_and_the_last (void **state)
{
    (void) state;
    struct id id = take (RESERVE_MODE_HOLD);
    uint64_t made_ms = w->now_ms;
    for (unsigned i = 0; i < 20; i++) {
        w->now_ms++;
        struct reserve_item item = world_item (&hotel, 10 + i, 1, 1);
        assert_int_equal (world_move (w, &alice, &id, &item, 1), STATUS_OK);
    }
    w->now_ms++;
    assert_int_equal (world_resolve (w, CONFIRM, &owner, &id), STATUS_OK);
    struct reservation stored = world_reservation (w, &id);
    assert_int_equal (stored.version, 22);
    assert_int_equal (stored.history_count, 16);
    assert_int_equal (stored.history[0].at_ms, made_ms);
    assert_int_equal (stored.history[1].at_ms, made_ms + 7);
    assert_int_equal (stored.history[15].at_ms, made_ms + 21);
    assert_int_equal (stored.history[15].state, RESERVE_STATE_CONFIRMED);
    assert_true (id_equal (&stored.history[15].actor, &owner.id));
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (test_services_resolve__confirm_turns_held_into_confirmed),
        TEST (test_services_resolve__confirm_needs_no_stock_and_no_open_offer),
        TEST (test_services_resolve__a_second_resolution_says_how_it_ended),
        TEST (test_services_resolve__a_part_may_be_confirmed),
        TEST (test_services_resolve__what_is_not_a_part_is_refused),
        TEST (test_services_resolve__strangers_see_nothing_to_resolve),
        TEST (test_services_resolve__cancel_window_in_time),
        TEST (test_services_resolve__cancel_window_in_nights),
        TEST (test_services_resolve__a_late_cancel_costs_the_fee),
        TEST (test_services_resolve__history_keeps_the_first_and_the_last),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
