#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/services_world.h"

#define ROWS 700

static struct world world, *const w = &world;
static struct id provider, offer, reservations[ROWS];
static struct principal alice, bob, staff;

static int setup (void **state)
{
    (void) state;
    world_init (w);
    w->unchecked = true;
    provider = world_provider (w);
    offer = world_offer (w, &provider, 4000000000);
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

static void make_reservations (size_t count)
{
    for (size_t i = 0; i < count; i++) {
        w->now_ms++;
        reservations[i] = world_take (w, &alice, i % 3 == 0 ? RESERVE_MODE_HOLD : RESERVE_MODE_BOOK, &offer, 1, 1);
        if (i % 7 == 0)
            world_take (w, &bob, RESERVE_MODE_BOOK, &offer, 2, 1);
    }
}

static struct reserve_list_reply list_page (const struct principal *who, struct reserve_list_request *request)
{
    struct reserve_list_reply reply;
    assert_int_equal (world_read (w, METHOD_NUMBER_RESERVE_LIST, who, request), STATUS_OK);
    world_reply (w, &reserve_list_reply_type, &reply);
    return reply;
}

/* Goes on with the token of a reply, which is kept in a buffer of its own. */
static bool next_page (struct reserve_list_request *request, const struct reserve_list_reply *reply)
{
    static uint8_t token[PAGE_TOKEN_LEN_MAX];
    if (!reply->has_page_token || reply->page_token.len == 0)
        return false;
    memcpy (token, reply->page_token.data, reply->page_token.len);
    request->has_page_token = true;
    request->page_token = bytes_of (token, reply->page_token.len);
    return true;
}

static void test_services_list__pages_hold_every_row_once_newest_first (void **state)
{
    (void) state;
    make_reservations (ROWS);
    const uint64_t sizes[] = {0, 1, 7, 300, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct reserve_list_request request = {.has_page_size = true, .page_size = sizes[s]};
        size_t seen = 0, largest = sizes[s] == 0 ? 100 : sizes[s];
        struct reserve_list_reply reply;
        do {
            reply = list_page (&alice, &request);
            assert_true (reply.reservations_count <= largest);
            for (size_t i = 0; i < reply.reservations_count; i++, seen++)
                assert_true (id_equal (&reply.reservations[i].reservation, &reservations[ROWS - 1 - seen]));
        } while (next_page (&request, &reply));
        assert_int_equal (seen, ROWS);
    }
}

static void test_services_list__filters_leave_pages_short_but_never_end_them (void **state)
{
    (void) state;
    make_reservations (ROWS);
    struct reserve_list_request request = {
        .has_state = true, .state = RESERVE_STATE_HELD, .has_page_size = true, .page_size = 50};
    size_t seen = 0;
    struct reserve_list_reply reply;
    do {
        reply = list_page (&alice, &request);
        for (size_t i = 0; i < reply.reservations_count; i++)
            assert_int_equal (reply.reservations[i].state, RESERVE_STATE_HELD);
        seen += reply.reservations_count;
    } while (next_page (&request, &reply));
    assert_int_equal (seen, (ROWS + 2) / 3);
}

static void test_services_list__large_rows_end_a_page_early (void **state)
{
    (void) state;
    static uint8_t note[4096];
    struct reserve_item item = world_item (&offer, 1, 1, 1);
    for (size_t i = 0; i < 100; i++) {
        struct reserve_create_request create = {.reservation = world_id (w),
            .mode = RESERVE_MODE_BOOK,
            .items = &item,
            .items_count = 1,
            .has_note = true,
            .note = bytes_of (note, sizeof note)};
        assert_int_equal (world_call (w, METHOD_NUMBER_RESERVE_CREATE, &alice, &create), STATUS_OK);
    }
    struct reserve_list_request request = {.has_page_size = true, .page_size = 1000};
    size_t seen = 0, pages = 0;
    struct reserve_list_reply reply;
    do {
        reply = list_page (&alice, &request);
        seen += reply.reservations_count;
        pages++;
    } while (next_page (&request, &reply));
    assert_int_equal (seen, 100);
    assert_true (pages >= 2 && pages <= 4);
}

static void test_services_list__tokens_are_bound_to_their_arguments (void **state)
{
    (void) state;
    make_reservations (20);
    struct reserve_list_request request = {.has_page_size = true, .page_size = 5}, other;
    struct reserve_list_reply reply = list_page (&alice, &request);
    assert_true (next_page (&request, &reply));
    /* Another page size is the same list. */
    request.page_size = 3;
    assert_int_equal (list_page (&alice, &request).reservations_count, 3);
    other = request;
    other.has_state = true;
    other.state = RESERVE_STATE_HELD;
    assert_refused (
        world_read (w, METHOD_NUMBER_RESERVE_LIST, &alice, &other), STATUS_INVALID_ARGUMENT, "INVALID_PAGE_TOKEN");
    assert_refused (
        world_read (w, METHOD_NUMBER_RESERVE_LIST, &bob, &request), STATUS_INVALID_ARGUMENT, "INVALID_PAGE_TOKEN");
    struct catalog_list_request catalog = {.has_page_token = true, .page_token = request.page_token};
    assert_refused (
        world_read (w, METHOD_NUMBER_CATALOG_LIST, &alice, &catalog), STATUS_INVALID_ARGUMENT, "INVALID_PAGE_TOKEN");
    other = request;
    for (size_t len = 1; len < 12; len++) {
        other.page_token.len = len;
        if (len < 11)
            assert_refused (world_read (w, METHOD_NUMBER_RESERVE_LIST, &alice, &other), STATUS_INVALID_ARGUMENT,
                "INVALID_PAGE_TOKEN");
    }
    uint8_t long_token[PAGE_TOKEN_LEN_MAX] = {1, 0, WORLD_SHARD};
    other.page_token = bytes_of (long_token, sizeof long_token);
    assert_refused (
        world_read (w, METHOD_NUMBER_RESERVE_LIST, &alice, &other), STATUS_INVALID_ARGUMENT, "INVALID_PAGE_TOKEN");
}

static void test_services_list__a_token_names_its_shard (void **state)
{
    (void) state;
    make_reservations (20);
    const struct method *method = method_by_number (METHOD_NUMBER_RESERVE_LIST);
    struct reserve_list_request request = {.has_page_size = true, .page_size = 5};
    struct reserve_list_reply reply = list_page (&alice, &request);
    uint32_t shard = 0;
    assert_int_equal (services_page_shard (reply.page_token, &shard), STATUS_OK);
    assert_int_equal (shard, WORLD_SHARD);
    assert_int_equal (services_page_shard (BYTES_LITERAL ("what?"), &shard), STATUS_INVALID_ARGUMENT);
    uint8_t token[SERVICES_PAGE_TOKEN_BYTES_MAX];
    size_t len = services_page_begin (method, &alice, &request, WORLD_SHARD, token);
    request.has_page_token = true;
    request.page_token = bytes_of (token, len);
    reply = list_page (&alice, &request);
    assert_int_equal (reply.reservations_count, 5);
    assert_true (id_equal (&reply.reservations[0].reservation, &reservations[19]));
    len = services_page_begin (method, &alice, &request, WORLD_SHARD + 1, token);
    assert_int_equal (services_page_shard (bytes_of (token, len), &shard), STATUS_OK);
    assert_int_equal (shard, WORLD_SHARD + 1);
    assert_refused (
        world_read (w, METHOD_NUMBER_RESERVE_LIST, &alice, &request), STATUS_INVALID_ARGUMENT, "INVALID_PAGE_TOKEN");
}

static void test_services_list__whose_reservations (void **state)
{
    (void) state;
    make_reservations (14);
    struct principal admin = world_admin ();
    struct reserve_list_request request = {.has_customer = true, .customer = bob.id};
    assert_refused (
        world_read (w, METHOD_NUMBER_RESERVE_LIST, &alice, &request), STATUS_PERMISSION_DENIED, "NOT_YOURS");
    assert_int_equal (list_page (&bob, &request).reservations_count, 2);
    assert_int_equal (list_page (&staff, &request).reservations_count, 2);
    request = (struct reserve_list_request){.has_provider = true, .provider = provider};
    assert_refused (
        world_read (w, METHOD_NUMBER_RESERVE_LIST, &alice, &request), STATUS_PERMISSION_DENIED, "NOT_YOURS");
    assert_refused (
        world_read (w, METHOD_NUMBER_RESERVE_LIST, &staff, &request), STATUS_PERMISSION_DENIED, "NOT_YOURS");
    assert_int_equal (list_page (&admin, &request).reservations_count, 16);
    request.has_customer = true;
    request.customer = bob.id;
    assert_int_equal (list_page (&admin, &request).reservations_count, 2);
    /* Another shard's provider: this part is empty. */
    request.provider = id_make (1, placement_hash_group (world_group (WORLD_SHARD + 1)), 1);
    assert_int_equal (list_page (&alice, &request).reservations_count, 0);
}

static struct catalog_list_reply list_catalog (struct catalog_list_request request)
{
    struct catalog_list_reply reply;
    assert_int_equal (world_read (w, METHOD_NUMBER_CATALOG_LIST, &alice, &request), STATUS_OK);
    world_reply (w, &catalog_list_reply_type, &reply);
    return reply;
}

static void test_services_list__catalogue_by_kind_provider_state_and_price (void **state)
{
    (void) state;
    struct id second = world_provider (w);
    for (uint64_t i = 0; i < 30; i++) {
        struct put_offer_request request = world_offer_request (w, i % 2 == 0 ? &provider : &second);
        request.kind = i % 3 == 0 ? OFFER_KIND_DISH : OFFER_KIND_TABLE;
        request.has_state = true;
        request.state = i % 5 == 0 ? OFFER_STATE_CLOSED : OFFER_STATE_OPEN;
        request.price_minor = i * 100;
        world_put_offer (w, &request);
    }
    assert_int_equal (list_catalog ((struct catalog_list_request){0}).offers_count, 31);
    struct catalog_list_request request = {.has_provider = true, .provider = second};
    assert_int_equal (list_catalog (request).offers_count, 15);
    request = (struct catalog_list_request){.has_kind = true, .kind = OFFER_KIND_DISH};
    assert_int_equal (list_catalog (request).offers_count, 10);
    request = (struct catalog_list_request){.has_state = true, .state = OFFER_STATE_CLOSED};
    assert_int_equal (list_catalog (request).offers_count, 6);
    request = (struct catalog_list_request){
        .has_price_min_minor = true, .price_min_minor = 1000, .has_price_max_minor = true, .price_max_minor = 2000};
    assert_int_equal (list_catalog (request).offers_count, 11);
    request = (struct catalog_list_request){
        .has_what = true, .what = CATALOG_WHAT_PROVIDERS, .has_page_size = true, .page_size = 1};
    struct catalog_list_reply reply = list_catalog (request);
    assert_int_equal (reply.providers_count, 1);
    assert_false (reply.has_offers);
    assert_true (reply.page_token.len > 0);
    request.has_kind = true;
    request.kind = PROVIDER_KIND_BAND;
    assert_int_equal (list_catalog (request).providers_count, 0);
}

/* 5,100 offers, of which the last matches: a page looks at a bounded number of rows, then says where to go on. */
static void test_services_list__a_page_looks_at_a_bounded_number_of_rows (void **state)
{
    (void) state;
    uint8_t token[PAGE_TOKEN_LEN_MAX];
    for (uint64_t i = 0; i < 5100; i++) {
        struct put_offer_request request = world_offer_request (w, &provider);
        request.kind = i == 5099 ? OFFER_KIND_DISH : OFFER_KIND_ROOM;
        world_put_offer (w, &request);
    }
    struct catalog_list_request request = {.has_kind = true, .kind = OFFER_KIND_DISH};
    struct catalog_list_reply reply = list_catalog (request);
    assert_int_equal (reply.offers_count, 0);
    assert_true (reply.page_token.len > 0);
    memcpy (token, reply.page_token.data, reply.page_token.len);
    request.has_page_token = true;
    request.page_token = bytes_of (token, reply.page_token.len);
    reply = list_catalog (request);
    assert_int_equal (reply.offers_count, 1);
    assert_int_equal (reply.page_token.len, 0);
}

static void test_services_list__oldest_first_every_row_once (void **state)
{
    (void) state;
    struct id offers[600];
    uint8_t token[PAGE_TOKEN_LEN_MAX];
    offers[0] = offer;
    for (size_t i = 1; i < 600; i++)
        offers[i] = world_offer (w, &provider, 1);
    struct catalog_list_request request = {
        .has_provider = true, .provider = provider, .has_page_size = true, .page_size = 7};
    size_t seen = 0;
    for (;;) {
        struct catalog_list_reply reply = list_catalog (request);
        for (size_t i = 0; i < reply.offers_count; i++, seen++)
            assert_true (id_equal (&reply.offers[i].offer, &offers[seen]));
        if (reply.page_token.len == 0)
            break;
        memcpy (token, reply.page_token.data, reply.page_token.len);
        request.has_page_token = true;
        request.page_token = bytes_of (token, reply.page_token.len);
    }
    assert_int_equal (seen, 600);
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (test_services_list__pages_hold_every_row_once_newest_first),
        TEST (test_services_list__filters_leave_pages_short_but_never_end_them),
        TEST (test_services_list__large_rows_end_a_page_early),
        TEST (test_services_list__tokens_are_bound_to_their_arguments),
        TEST (test_services_list__a_token_names_its_shard),
        TEST (test_services_list__whose_reservations),
        TEST (test_services_list__catalogue_by_kind_provider_state_and_price),
        TEST (test_services_list__a_page_looks_at_a_bounded_number_of_rows),
        TEST (test_services_list__oldest_first_every_row_once),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
