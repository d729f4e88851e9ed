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

static void test_services_hold__an_idle_shard_releases (void **state)
{
    (void) state;
    struct id id = world_take (w, &alice, RESERVE_MODE_HOLD, &hotel, 5, 2);
    w->now_ms += 599999;
    assert_false (world_tick (w));
    w->now_ms += 1;
    assert_true (world_tick (w));
    assert_false (world_tick (w));
    struct reservation stored = world_reservation (w, &id);
    assert_int_equal (stored.state, RESERVE_STATE_EXPIRED);
    assert_int_equal (stored.version, 2);
    assert_int_equal (stored.history[1].at_ms, w->now_ms);
    assert_true (id_is_zero (&stored.history[1].actor));
    assert_int_equal (world_bucket (w, &hotel, 5).held, 0);
    assert_int_equal (services_next_deadline (&w->config, &w->state),
        WORLD_START_MS + w->config.record_ttl_ms + 60000); /* only records are left */
}

/* No tick between: the command itself makes room first. */
static void test_services_hold__a_command_expires_what_is_due_on_its_counters (void **state)
{
    (void) state;
    struct id due = world_take (w, &alice, RESERVE_MODE_HOLD, &band, 5, 1);
    struct id elsewhere = world_take (w, &alice, RESERVE_MODE_HOLD, &hotel, 5, 1);
    struct reserve_item item = world_item (&band, 5, 1, 1);
    w->now_ms += 599999;
    assert_refused (world_reserve (w, &bob, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_FAILED_PRECONDITION, "SOLD_OUT");
    w->now_ms += 1;
    assert_int_equal (world_reserve (w, &bob, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_OK);
    assert_int_equal (world_reservation (w, &due).state, RESERVE_STATE_EXPIRED);
    /* Others wait for the tick. */
    assert_int_equal (world_reservation (w, &elsewhere).state, RESERVE_STATE_HELD);
    assert_true (world_tick (w));
    assert_int_equal (world_reservation (w, &elsewhere).state, RESERVE_STATE_EXPIRED);
}

static void test_services_hold__a_refused_command_expires_too (void **state)
{
    (void) state;
    struct id due = world_take (w, &alice, RESERVE_MODE_HOLD, &band, 5, 1);
    world_take (w, &bob, RESERVE_MODE_BOOK, &band, 6, 1);
    struct reserve_item item = world_item (&band, 6, 1, 1);
    w->now_ms += 600000;
    assert_refused (world_reserve (w, &bob, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_FAILED_PRECONDITION, "SOLD_OUT");
    assert_int_equal (w->refusal.earliest_free, 0);
    assert_int_equal (world_reservation (w, &due).state, RESERVE_STATE_EXPIRED);
}

static void test_services_hold__a_quota_frees_what_other_offers_held (void **state)
{
    (void) state;
    struct put_offer_request stalls = world_offer_request (w, &provider), balcony = world_offer_request (w, &provider);
    stalls.has_quota = balcony.has_quota = true;
    stalls.quota = balcony.quota = band;
    world_put_offer (w, &stalls);
    world_put_offer (w, &balcony);
    world_take (w, &alice, RESERVE_MODE_HOLD, &stalls.offer, 5, 1);
    struct reserve_item item = world_item (&balcony.offer, 5, 1, 1);
    assert_refused (world_reserve (w, &bob, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_FAILED_PRECONDITION, "SOLD_OUT");
    w->now_ms += 600000;
    assert_int_equal (world_reserve (w, &bob, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_OK);
}

static void test_services_hold__a_limit_forgets_expired_holds (void **state)
{
    (void) state;
    struct put_offer_request request = world_offer_request (w, &provider);
    request.has_policy = true;
    request.policy = (struct policy){.has_customer_limit = true, .customer_limit = 1};
    world_put_offer (w, &request);
    world_take (w, &alice, RESERVE_MODE_HOLD, &request.offer, 5, 1);
    struct reserve_item item = world_item (&request.offer, 6, 1, 1);
    assert_refused (
        world_reserve (w, &alice, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_FAILED_PRECONDITION, "USER_LIMIT");
    w->now_ms += 600000;
    assert_int_equal (world_reserve (w, &alice, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_OK);
}

static void test_services_hold__deadlines_follow_the_earliest (void **state)
{
    (void) state;
    struct reserve_item item = world_item (&hotel, 5, 1, 1);
    struct reserve_create_request request = {
        .mode = RESERVE_MODE_HOLD, .items = &item, .items_count = 1, .has_hold_ttl_ms = true};
    const uint64_t ttls[] = {50000, 20000};
    struct id ids[2];
    for (size_t i = 0; i < 2; i++) {
        request.reservation = ids[i] = world_id (w);
        request.hold_ttl_ms = ttls[i];
        assert_int_equal (world_call (w, METHOD_NUMBER_RESERVE_CREATE, &alice, &request), STATUS_OK);
    }
    assert_int_equal (services_next_deadline (&w->config, &w->state), w->now_ms + 20000);
    assert_int_equal (world_resolve (w, METHOD_NUMBER_RESERVE_CONFIRM, &alice, &ids[1]), STATUS_OK);
    assert_int_equal (services_next_deadline (&w->config, &w->state), w->now_ms + 50000);
    assert_int_equal (world_resolve (w, METHOD_NUMBER_RESERVE_RELEASE, &alice, &ids[0]), STATUS_OK);
    assert_true (services_next_deadline (&w->config, &w->state) > w->now_ms + 86400000);
}

/* The cut that the entry names counts, and never more than the entry's own time. */
static void test_services_hold__the_cut_is_the_entrys (void **state)
{
    (void) state;
    struct id first = world_take (w, &alice, RESERVE_MODE_HOLD, &hotel, 5, 1);
    uint64_t first_due_ms = w->now_ms + 600000;
    w->now_ms += 1000;
    struct id second = world_take (w, &alice, RESERVE_MODE_HOLD, &hotel, 5, 1);
    w->now_ms += 600000;
    struct log_entry entry = {.kind = LOG_KIND_EXPIRE, .time_ms = w->now_ms, .has_cut = true, .cut = first_due_ms};
    uint8_t payload[64];
    size_t len = 0;
    assert_int_equal (codec_encode (&log_entry_type, &entry, payload, sizeof payload, &len), STATUS_OK);
    assert_int_equal (world_apply_payload (w, bytes_of (payload, len)), STATUS_OK);
    assert_int_equal (world_reservation (w, &first).state, RESERVE_STATE_EXPIRED);
    assert_int_equal (world_reservation (w, &second).state, RESERVE_STATE_HELD);
    struct id third = world_take (w, &bob, RESERVE_MODE_HOLD, &band, 5, 1);
    entry.cut = UINT64_MAX;
    assert_int_equal (codec_encode (&log_entry_type, &entry, payload, sizeof payload, &len), STATUS_OK);
    assert_int_equal (world_apply_payload (w, bytes_of (payload, len)), STATUS_OK);
    assert_int_equal (world_reservation (w, &second).state, RESERVE_STATE_EXPIRED);
    assert_int_equal (world_reservation (w, &third).state, RESERVE_STATE_HELD);
}

static void test_services_hold__an_entry_expires_a_thousand_at_most (void **state)
{
    (void) state;
    struct put_offer_request request = world_offer_request (w, &provider);
    request.capacity = 100000;
    world_put_offer (w, &request);
    w->unchecked = true;
    for (unsigned i = 0; i < 2200; i++)
        world_take (w, &alice, RESERVE_MODE_HOLD, &request.offer, 5, 1);
    w->now_ms += 600000;
    const uint64_t left[] = {1200, 200, 0};
    for (size_t i = 0; i < 3; i++) {
        w->unchecked = i < 2;
        assert_true (world_tick (w));
        assert_int_equal (world_bucket (w, &request.offer, 5).held, left[i]);
    }
    assert_false (world_tick (w));
}

/* Large holds count by the pages of counters that they touch: an entry stays short. */
static void test_services_hold__large_holds_leave_in_smaller_groups (void **state)
{
    (void) state;
    struct reserve_item items[16];
    struct put_offer_request request = world_offer_request (w, &provider);
    request.capacity = 100000;
    request.last_bucket = 20000;
    world_put_offer (w, &request);
    for (size_t i = 0; i < 16; i++)
        items[i] = world_item (&request.offer, i * 400, 366, 1);
    w->unchecked = true;
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal (world_reserve (w, &alice, RESERVE_MODE_HOLD, items, 16, NULL), STATUS_OK);
    w->now_ms += 600000;
    assert_true (world_tick (w));
    uint64_t left = world_bucket (w, &request.offer, 0).held;
    assert_true (left > 0 && left < 60);
    assert_true (world_tick (w));
    assert_int_equal (world_bucket (w, &request.offer, 0).held, 0);
    assert_false (world_tick (w));
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (test_services_hold__an_idle_shard_releases),
        TEST (test_services_hold__a_command_expires_what_is_due_on_its_counters),
        TEST (test_services_hold__a_refused_command_expires_too),
        TEST (test_services_hold__a_quota_frees_what_other_offers_held),
        TEST (test_services_hold__a_limit_forgets_expired_holds),
        TEST (test_services_hold__deadlines_follow_the_earliest),
        TEST (test_services_hold__the_cut_is_the_entrys),
        TEST (test_services_hold__an_entry_expires_a_thousand_at_most),
        TEST (test_services_hold__large_holds_leave_in_smaller_groups),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
