/* Lists of orders: whose, filtered how, page by page. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/services_rig.h"

static struct world rig;
static struct id provider, owner;
static struct put_offer_request soup, bread;
static struct principal admin, ann;

static int set_up (void **state)
{
    (void) state;
    rig_init (&rig, 1);
    admin = world_principal (1, ROLE_SET_MAX);
    ann = world_principal (2, ROLE_CUSTOMER);
    owner = world_principal (3, ROLE_CUSTOMER).id;
    provider = rig_put_provider (&rig, &owner);
    soup = rig_dish (&rig, &provider, 450, 10);
    bread = rig_dish (&rig, &provider, 120, 100);
    rig_put_offer (&rig, &soup);
    rig_put_offer (&rig, &bread);
    return 0;
}

static int tear_down (void **state)
{
    (void) state;
    world_close (&rig);
    return 0;
}

static struct id order_id (void)
{
    return rig_id (&rig, id_hash (&provider));
}

static struct order_line line (const struct put_offer_request *offer, uint64_t quantity)
{
    return (struct order_line){.offer = offer->offer, .quantity = quantity};
}

static enum status place_lines (
    const struct principal *caller, const struct id *id, struct order_line *lines, size_t count)
{
    struct order_place_request request = {.order = *id, .provider = provider, .lines = lines, .lines_count = count};
    return world_call (&rig, METHOD_NUMBER_ORDER_PLACE, caller, &request);
}

static enum status place (
    const struct principal *caller, struct id *id, const struct put_offer_request *offer, uint64_t quantity)
{
    struct order_line lines[] = {line (offer, quantity)};
    *id = order_id ();
    return place_lines (caller, id, lines, 1);
}

static enum status advance (const struct principal *caller, const struct id *id, uint64_t event)
{
    struct order_advance_request request = {.order = *id, .event = event};
    return world_call (&rig, METHOD_NUMBER_ORDER_ADVANCE, caller, &request);
}

static uint64_t walk (
    const struct principal *caller, struct order_list_request request, uint64_t page_size, size_t *pages)
{
    uint8_t token[SERVICES_PAGE_TOKEN_BYTES_MAX];
    uint64_t seen = 0;
    struct id last = {{0xff}};
    struct order_list_reply reply;
    *pages = 0;
    request.has_page_size = true;
    request.page_size = page_size;
    do {
        assert_int_equal (world_read (&rig, METHOD_NUMBER_ORDER_LIST, caller, &request), STATUS_OK);
        world_reply (&rig, &order_list_reply_type, &reply);
        for (size_t i = 0; i < reply.orders_count; i++) {
            assert_true (id_compare (&reply.orders[i].order, &last) < 0); /* newest first, each once */
            last = reply.orders[i].order;
            seen++;
        }
        assert_true (reply.orders_count <= page_size);
        ++*pages;
        request.has_page_token = reply.has_page_token;
        if (reply.has_page_token) {
            memcpy (token, reply.page_token.data, reply.page_token.len);
            request.page_token = bytes_of (token, reply.page_token.len);
        }
    } while (reply.has_page_token);
    return seen;
}

static void test_services_order_list__lists_by_page_and_filter (void **state)
{
    (void) state;
    struct principal bob = world_principal (4, ROLE_CUSTOMER), courier = world_principal (20, ROLE_COURIER);
    struct principal boss = {.id = owner, .kind = PRINCIPAL_KIND_USER, .roles = ROLE_CUSTOMER};
    size_t pages;
    rig.unchecked = true;
    for (uint64_t i = 0; i < 50; i++) {
        struct id id;
        assert_int_equal (place (i % 2 == 0 ? &ann : &bob, &id, &bread, 1), STATUS_OK);
        if (i % 5 == 0)
            assert_int_equal (advance (&boss, &id, ORDER_EVENT_KIND_ACCEPT), STATUS_OK);
        if (i % 10 == 0)
            assert_int_equal (advance (&courier, &id, ORDER_EVENT_KIND_CLAIM), STATUS_OK);
    }
    rig_check (&rig);
    struct order_list_request mine = {0};
    assert_int_equal (walk (&ann, mine, 7, &pages), 25);
    assert_int_equal (pages, 4);
    assert_int_equal (walk (&ann, mine, 25, &pages), 25);
    assert_int_equal (pages, 1);
    struct order_list_request at = {.has_provider = true, .provider = provider};
    assert_int_equal (walk (&boss, at, 1000, &pages), 50);
    at.has_state = true;
    at.state = ORDER_STATE_ACCEPTED;
    assert_int_equal (walk (&boss, at, 3, &pages), 10);
    at.has_customer = true;
    at.customer = ann.id;
    assert_int_equal (walk (&ann, at, 3, &pages), 5); /* one's own at that provider */
    struct order_list_request claimed = {.has_courier = true, .courier = courier.id};
    assert_int_equal (walk (&courier, claimed, 2, &pages), 5);
    assert_int_equal (walk (&courier, mine, 2, &pages), 0);
}

static void test_services_order_list__lists_are_not_for_strangers (void **state)
{
    (void) state;
    struct principal bob = world_principal (4, ROLE_CUSTOMER);
    struct order_list_request of_ann = {.has_customer = true, .customer = ann.id};
    struct order_list_request of_house = {.has_provider = true, .provider = provider};
    struct order_list_request of_courier = {.has_courier = true, .courier = ann.id};
    assert_int_equal (world_read (&rig, METHOD_NUMBER_ORDER_LIST, &bob, &of_ann), STATUS_PERMISSION_DENIED);
    assert_int_equal (world_read (&rig, METHOD_NUMBER_ORDER_LIST, &bob, &of_house), STATUS_PERMISSION_DENIED);
    assert_int_equal (world_read (&rig, METHOD_NUMBER_ORDER_LIST, &bob, &of_courier), STATUS_PERMISSION_DENIED);
    struct principal staff = world_principal (8, ROLE_STAFF);
    assert_int_equal (world_read (&rig, METHOD_NUMBER_ORDER_LIST, &staff, &of_ann), STATUS_OK);
}

static void test_services_order_list__page_tokens_are_bound_to_their_arguments (void **state)
{
    (void) state;
    struct id id;
    for (int i = 0; i < 3; i++)
        assert_int_equal (place (&ann, &id, &bread, 1), STATUS_OK);
    struct order_list_request request = {.has_page_size = true, .page_size = 1};
    struct order_list_reply reply;
    uint8_t token[SERVICES_PAGE_TOKEN_BYTES_MAX];
    assert_int_equal (world_read (&rig, METHOD_NUMBER_ORDER_LIST, &ann, &request), STATUS_OK);
    world_reply (&rig, &order_list_reply_type, &reply);
    memcpy (token, reply.page_token.data, reply.page_token.len);
    request.has_page_token = true;
    request.page_token = bytes_of (token, reply.page_token.len);
    request.page_size = 2; /* only the size may change */
    assert_int_equal (world_read (&rig, METHOD_NUMBER_ORDER_LIST, &ann, &request), STATUS_OK);
    request.has_state = true;
    request.state = ORDER_STATE_PLACED;
    assert_int_equal (world_read (&rig, METHOD_NUMBER_ORDER_LIST, &ann, &request), STATUS_INVALID_ARGUMENT);
    assert_true (rig_reason (&rig, "INVALID_PAGE_TOKEN"));
    request.has_state = false;
    struct principal bob = world_principal (4, ROLE_CUSTOMER);
    assert_int_equal (world_read (&rig, METHOD_NUMBER_ORDER_LIST, &bob, &request), STATUS_INVALID_ARGUMENT);
}

/* Pages of the largest orders stay within what a reply may be. */
static void test_services_order_list__pages_are_bounded_in_bytes (void **state)
{
    (void) state;
    struct order_line lines[64];
    size_t pages;
    bread.capacity = 100000;
    rig_put_offer (&rig, &bread);
    rig.unchecked = true;
    for (size_t i = 0; i < 64; i++)
        lines[i] = line (&bread, 1);
    for (int i = 0; i < 200; i++) {
        struct id id = order_id ();
        assert_int_equal (place_lines (&ann, &id, lines, 64), STATUS_OK);
    }
    assert_int_equal (walk (&ann, (struct order_list_request){0}, 1000, &pages), 200);
    assert_true (pages > 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests[] = {
        TEST (test_services_order_list__lists_by_page_and_filter),
        TEST (test_services_order_list__lists_are_not_for_strangers),
        TEST (test_services_order_list__page_tokens_are_bound_to_their_arguments),
        TEST (test_services_order_list__pages_are_bounded_in_bytes),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
