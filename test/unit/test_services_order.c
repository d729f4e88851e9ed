/* Placing and quoting orders; stock comes and goes with them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/services_rig.h"

#define CAPACITY 10

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
    soup = rig_dish (&rig, &provider, 450, CAPACITY);
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

static struct order get (const struct id *id)
{
    struct order_get_request request = {.order = *id};
    struct order_get_reply reply;
    assert_int_equal (world_read (&rig, METHOD_NUMBER_ORDER_GET, &admin, &request), STATUS_OK);
    world_reply (&rig, &order_get_reply_type, &reply);
    return reply.order;
}

static uint64_t left (const struct put_offer_request *offer)
{
    struct order_line lines[] = {line (offer, 1)};
    struct order_quote_request request = {.provider = provider, .lines = lines, .lines_count = 1};
    struct order_quote_reply reply;
    assert_int_equal (world_read (&rig, METHOD_NUMBER_ORDER_QUOTE, &ann, &request), STATUS_OK);
    world_reply (&rig, &order_quote_reply_type, &reply);
    return reply.lines[0].available;
}

/* ---- Place */

static void test_services_order__place_takes_stock_and_keeps_prices (void **state)
{
    (void) state;
    struct order_line lines[] = {line (&soup, 2), line (&bread, 3)};
    struct id id = order_id ();
    struct order_reply reply;
    assert_int_equal (place_lines (&ann, &id, lines, 2), STATUS_OK);
    world_reply (&rig, &order_reply_type, &reply);
    assert_int_equal (reply.state, ORDER_STATE_PLACED);
    assert_int_equal (reply.version, 1);
    assert_int_equal (reply.total_minor, 2 * 450 + 3 * 120);
    assert_true (bytes_equal (reply.currency, BYTES_LITERAL ("GBP")));
    assert_int_equal (left (&soup), CAPACITY - 2);
    assert_int_equal (left (&bread), 97);
    struct order order = get (&id);
    assert_true (id_equal (&order.customer, &ann.id));
    assert_int_equal (order.lines[1].unit_price_minor, 120);
    assert_int_equal (order.lines[1].bucket, 0);
    assert_int_equal (order.history_count, 1);
    assert_int_equal (order.history[0].state, ORDER_STATE_PLACED);
}

static void test_services_order__demand_is_summed_before_stock_is_checked (void **state)
{
    (void) state;
    struct order_line lines[] = {line (&soup, 6), line (&bread, 1), line (&soup, 5)};
    struct id id = order_id ();
    assert_int_equal (place_lines (&ann, &id, lines, 3), STATUS_FAILED_PRECONDITION);
    assert_true (rig_reason (&rig, "SOLD_OUT"));
    assert_true (id_equal (&rig.refusal.offer, &soup.offer));
    assert_int_equal (rig.refusal.available, CAPACITY);
    assert_int_equal (left (&bread), 100); /* all or nothing */
    lines[2].quantity = 4;
    id = order_id ();
    assert_int_equal (place_lines (&ann, &id, lines, 3), STATUS_OK);
    assert_int_equal (left (&soup), 0);
    assert_int_equal (place (&ann, &id, &soup, 1), STATUS_FAILED_PRECONDITION);
    assert_int_equal (rig.refusal.available, 0);
}

static void test_services_order__price_changes_bite_at_the_next_place (void **state)
{
    (void) state;
    struct order_line shown = line (&soup, 1);
    struct id id = order_id (), first;
    shown.has_unit_price_minor = true;
    shown.unit_price_minor = 450;
    assert_int_equal (place_lines (&ann, &id, &shown, 1), STATUS_OK);
    first = id;
    soup.price_minor = 475;
    rig_put_offer (&rig, &soup);
    id = order_id ();
    assert_int_equal (place_lines (&ann, &id, &shown, 1), STATUS_ABORTED);
    assert_true (rig_reason (&rig, "PRICE_CHANGED"));
    assert_true (id_equal (&rig.refusal.offer, &soup.offer));
    assert_true (bytes_equal (rig.refusal.field, BYTES_LITERAL ("lines[0].unit_price_minor")));
    shown.unit_price_minor = 475;
    assert_int_equal (place_lines (&ann, &id, &shown, 1), STATUS_OK);
    assert_int_equal (get (&id).total_minor, 475);
    assert_int_equal (get (&first).total_minor, 450); /* what was agreed stays */
}

static void test_services_order__closed_is_effective_at_once (void **state)
{
    (void) state;
    struct id id;
    struct set_offer_state_request request = {.offer = soup.offer, .state = OFFER_STATE_PAUSED};
    assert_int_equal (world_call (&rig, METHOD_NUMBER_CATALOG_SET_OFFER_STATE, &admin, &request), STATUS_OK);
    assert_int_equal (place (&ann, &id, &soup, 1), STATUS_FAILED_PRECONDITION);
    assert_true (rig_reason (&rig, "CLOSED"));
    assert_int_equal (rig.refusal.state, OFFER_STATE_PAUSED);
    request.state = OFFER_STATE_OPEN;
    assert_int_equal (world_call (&rig, METHOD_NUMBER_CATALOG_SET_OFFER_STATE, &admin, &request), STATUS_OK);
    assert_int_equal (place (&ann, &id, &soup, 1), STATUS_OK);
}

static void test_services_order__refuses_what_is_not_one_providers_menu (void **state)
{
    (void) state;
    struct id other = rig_put_provider (&rig, NULL), id = order_id ();
    struct put_offer_request elsewhere = rig_dish (&rig, &other, 100, 5), dear = rig_dish (&rig, &provider, 1, 5);
    dear.currency = BYTES_LITERAL ("EUR");
    rig_put_offer (&rig, &elsewhere);
    rig_put_offer (&rig, &dear);
    struct order_line lines[12];
    for (size_t i = 0; i < 12; i++)
        lines[i] = line (&bread, 1);

    lines[11].offer = elsewhere.offer;
    assert_int_equal (place_lines (&ann, &id, lines, 12), STATUS_INVALID_ARGUMENT);
    assert_true (rig_reason (&rig, "WRONG_PROVIDER"));
    assert_true (bytes_equal (rig.refusal.field, BYTES_LITERAL ("lines[11].offer")));
    lines[11].offer = dear.offer;
    assert_int_equal (place_lines (&ann, &id, lines, 12), STATUS_INVALID_ARGUMENT);
    assert_true (rig_reason (&rig, "CURRENCY_MIXED"));
    lines[11].offer = order_id ();
    assert_int_equal (place_lines (&ann, &id, lines, 12), STATUS_NOT_FOUND);
    assert_true (rig_reason (&rig, "NO_OFFER"));
    lines[11] = line (&bread, 1);
    lines[11].has_bucket = true;
    lines[11].bucket = 1;
    assert_int_equal (place_lines (&ann, &id, lines, 12), STATUS_OUT_OF_RANGE);
    assert_true (rig_reason (&rig, "OUT_OF_RANGE"));
    lines[11].bucket = 0;

    struct order_place_request request = {
        .order = id, .provider = rig_provider_id (&rig), .lines = lines, .lines_count = 12};
    request.order = rig_id (&rig, id_hash (&request.provider));
    assert_int_equal (world_call (&rig, METHOD_NUMBER_ORDER_PLACE, &ann, &request), STATUS_NOT_FOUND);
    assert_true (rig_reason (&rig, "NO_PROVIDER"));
    request.order = rig_id (&rig, id_hash (&provider) + 1);
    request.provider = provider;
    assert_int_equal (world_call (&rig, METHOD_NUMBER_ORDER_PLACE, &ann, &request), STATUS_INVALID_ARGUMENT);
    assert_true (rig_reason (&rig, "WRONG_PLACEMENT"));
    assert_int_equal (place_lines (&ann, &id, lines, 12), STATUS_OK);
    assert_int_equal (place_lines (&ann, &id, lines, 12), STATUS_ALREADY_EXISTS);
    assert_true (rig_reason (&rig, "EXISTS"));
    assert_int_equal (rig.refusal.state, ORDER_STATE_PLACED);
    assert_int_equal (left (&bread), 88);
}

static void test_services_order__who_may_order_for_whom (void **state)
{
    (void) state;
    struct principal staff = world_principal (8, ROLE_STAFF);
    struct principal machine = {.id = id_make (1, 7, 9), .kind = PRINCIPAL_KIND_API_KEY};
    struct order_line lines[] = {line (&bread, 1)};
    struct order_place_request request = {.order = order_id (),
        .provider = provider,
        .lines = lines,
        .lines_count = 1,
        .has_customer = true,
        .customer = owner};
    assert_int_equal (world_call (&rig, METHOD_NUMBER_ORDER_PLACE, &ann, &request), STATUS_PERMISSION_DENIED);
    assert_true (rig_reason (&rig, "NOT_FOR_OTHERS"));
    request.customer = ann.id;
    assert_int_equal (world_call (&rig, METHOD_NUMBER_ORDER_PLACE, &ann, &request), STATUS_OK);
    request.order = order_id ();
    assert_int_equal (world_call (&rig, METHOD_NUMBER_ORDER_PLACE, &staff, &request), STATUS_OK);
    struct order order = get (&request.order);
    assert_true (id_equal (&order.customer, &ann.id));
    assert_true (id_equal (&order.actor, &staff.id));
    request.order = order_id ();
    assert_int_equal (world_call (&rig, METHOD_NUMBER_ORDER_PLACE, &machine, &request), STATUS_OK);
    struct principal nobody = rig_anonymous ();
    request.order = order_id ();
    assert_int_equal (world_call (&rig, METHOD_NUMBER_ORDER_PLACE, &nobody, &request), STATUS_UNAUTHENTICATED);
}

static void test_services_order__per_customer_limits_count_orders (void **state)
{
    (void) state;
    struct id id;
    soup.has_policy = true;
    soup.policy = (struct policy){.has_customer_limit = true, .customer_limit = 3};
    rig_put_offer (&rig, &soup);
    assert_int_equal (place (&ann, &id, &soup, 2), STATUS_OK);
    struct id second;
    assert_int_equal (place (&ann, &second, &soup, 2), STATUS_FAILED_PRECONDITION);
    assert_true (rig_reason (&rig, "USER_LIMIT"));
    assert_int_equal (advance (&ann, &id, ORDER_EVENT_KIND_CANCEL), STATUS_OK);
    assert_int_equal (place (&ann, &second, &soup, 3), STATUS_OK);
}

static void test_services_order__quota_limits_several_dishes (void **state)
{
    (void) state;
    struct put_offer_request kitchen = rig_dish (&rig, &provider, 0, 4), stew, pie;
    struct id id = order_id ();
    kitchen.kind = OFFER_KIND_QUOTA;
    rig_put_offer (&rig, &kitchen);
    stew = rig_dish (&rig, &provider, 100, 100);
    pie = rig_dish (&rig, &provider, 100, 100);
    stew.has_quota = pie.has_quota = true;
    stew.quota = pie.quota = kitchen.offer;
    rig_put_offer (&rig, &stew);
    rig_put_offer (&rig, &pie);
    struct order_line lines[] = {line (&stew, 3), line (&pie, 2)};
    struct order_quote_request quote = {.provider = provider, .lines = lines, .lines_count = 2};
    struct order_quote_reply quoted;
    assert_int_equal (world_read (&rig, METHOD_NUMBER_ORDER_QUOTE, &ann, &quote), STATUS_OK);
    world_reply (&rig, &order_quote_reply_type, &quoted);
    assert_false (quoted.orderable);
    assert_int_equal (quoted.lines[0].available, 4);
    assert_int_equal (place_lines (&ann, &id, lines, 2), STATUS_FAILED_PRECONDITION);
    assert_true (id_equal (&rig.refusal.offer, &kitchen.offer));
    lines[1].quantity = 1;
    assert_int_equal (place_lines (&ann, &id, lines, 2), STATUS_OK);
    assert_int_equal (left (&stew), 0);
    assert_int_equal (advance (&ann, &id, ORDER_EVENT_KIND_CANCEL), STATUS_OK);
    assert_int_equal (left (&stew), 4);
}

static void test_services_order__the_largest_order_fits (void **state)
{
    (void) state;
    struct order_line lines[64];
    struct put_offer_request gold = rig_dish (&rig, &provider, UINT64_C (1000000000000), 6400000);
    uint8_t address[300], note[500];
    memset (address, 'a', sizeof address);
    memset (note, 'n', sizeof note);
    rig_put_offer (&rig, &gold);
    for (size_t i = 0; i < 64; i++)
        lines[i] = line (&gold, 100000);
    struct order_place_request request = {.order = order_id (),
        .provider = provider,
        .lines = lines,
        .lines_count = 64,
        .has_address = true,
        .address = bytes_of (address, sizeof address),
        .has_note = true,
        .note = bytes_of (note, sizeof note)};
    assert_int_equal (world_call (&rig, METHOD_NUMBER_ORDER_PLACE, &ann, &request), STATUS_OK);
    assert_true (get (&request.order).total_minor == UINT64_C (6400000000000000000));
    assert_int_equal (left (&gold), 0);
}

/* ---- Quote */

static void test_services_order__quote_takes_nothing (void **state)
{
    (void) state;
    struct id id;
    assert_int_equal (place (&ann, &id, &soup, 4), STATUS_OK);
    struct order_line lines[] = {line (&soup, 4), line (&bread, 2), line (&soup, 3)};
    struct order_quote_request request = {.provider = provider, .lines = lines, .lines_count = 3};
    struct order_quote_reply reply;
    size_t rows = tree_count (rig.map.tree);
    for (int i = 0; i < 2; i++) {
        assert_int_equal (world_read (&rig, METHOD_NUMBER_ORDER_QUOTE, &ann, &request), STATUS_OK);
        world_reply (&rig, &order_quote_reply_type, &reply);
        assert_int_equal (reply.total_minor, 7 * 450 + 2 * 120);
        assert_false (reply.orderable); /* 4 + 3 of 6 */
        assert_false (reply.lines[0].orderable || reply.lines[2].orderable);
        assert_true (reply.lines[1].orderable);
        assert_int_equal (reply.lines[0].available, 6);
        assert_int_equal (reply.lines[2].line_minor, 3 * 450);
    }
    assert_int_equal (tree_count (rig.map.tree), rows);
    lines[2].quantity = 2;
    assert_int_equal (world_read (&rig, METHOD_NUMBER_ORDER_QUOTE, &ann, &request), STATUS_OK);
    world_reply (&rig, &order_quote_reply_type, &reply);
    assert_true (reply.orderable);
}

/* ---- the rest of an order's life: test_services_order_table.c has the transitions */

static void test_services_order__stock_comes_back_until_it_is_prepared (void **state)
{
    (void) state;
    static const uint64_t ways[][7] = {
        {ORDER_EVENT_KIND_DECLINE, 0},
        {ORDER_EVENT_KIND_CANCEL, 0},
        {ORDER_EVENT_KIND_ACCEPT, ORDER_EVENT_KIND_CANCEL, 0},
        {ORDER_EVENT_KIND_ACCEPT, ORDER_EVENT_KIND_PREPARE, ORDER_EVENT_KIND_CANCEL, 0},
        {ORDER_EVENT_KIND_ACCEPT, ORDER_EVENT_KIND_PREPARE, ORDER_EVENT_KIND_READY, ORDER_EVENT_KIND_COLLECT,
            ORDER_EVENT_KIND_RETURN, 0},
    };
    static const bool back[] = {true, true, true, false, false};
    uint64_t gone = 0;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct id id;
        assert_int_equal (place (&ann, &id, &soup, 2), STATUS_OK);
        assert_int_equal (left (&soup), CAPACITY - gone - 2);
        for (const uint64_t *event = ways[i]; *event != 0; event++)
            assert_int_equal (advance (&admin, &id, *event), STATUS_OK);
        gone += back[i] ? 0 : 2;
        assert_int_equal (left (&soup), CAPACITY - gone);
        assert_int_equal (get (&id).keeps_stock, !back[i]);
    }
}

static void test_services_order__versions_guard_decisions (void **state)
{
    (void) state;
    struct id id;
    assert_int_equal (place (&ann, &id, &soup, 1), STATUS_OK);
    struct order_advance_request request = {
        .order = id, .event = ORDER_EVENT_KIND_ACCEPT, .has_version = true, .version = 2};
    assert_int_equal (world_call (&rig, METHOD_NUMBER_ORDER_ADVANCE, &admin, &request), STATUS_ABORTED);
    assert_true (rig_reason (&rig, "STALE_VERSION"));
    assert_int_equal (rig.refusal.version, 1);
    request.version = 1;
    assert_int_equal (world_call (&rig, METHOD_NUMBER_ORDER_ADVANCE, &admin, &request), STATUS_OK);
    assert_int_equal (get (&id).version, 2);
    assert_int_equal (world_call (&rig, METHOD_NUMBER_ORDER_ADVANCE, &admin, &request), STATUS_ABORTED);
}

static void test_services_order__repeats_are_answered_from_the_record (void **state)
{
    (void) state;
    struct order_line lines[] = {line (&soup, 1)};
    struct order_place_request request = {.order = order_id (), .provider = provider, .lines = lines, .lines_count = 1};
    struct id request_id = rig_request_id (&rig, METHOD_NUMBER_ORDER_PLACE, &request);
    for (int i = 0; i < 3; i++) {
        assert_int_equal (
            world_call_as (&rig, METHOD_NUMBER_ORDER_PLACE, &ann, &request_id, &request, bytes_of (NULL, 0)),
            STATUS_OK);
        assert_int_equal (rig.reply.replayed, i > 0);
        assert_int_equal (left (&soup), CAPACITY - 1);
    }
    lines[0].quantity = 2;
    assert_int_equal (world_call_as (&rig, METHOD_NUMBER_ORDER_PLACE, &ann, &request_id, &request, bytes_of (NULL, 0)),
        STATUS_ALREADY_EXISTS);
    assert_true (rig_reason (&rig, "KEY_REUSED"));
    assert_true (bytes_equal (rig.refusal.field, BYTES_LITERAL ("lines")));
}

static void test_services_order__history_tells_who_did_what_when (void **state)
{
    (void) state;
    struct id id;
    struct principal courier = world_principal (20, ROLE_COURIER), cook = world_principal (21, ROLE_STAFF);
    assert_int_equal (place (&ann, &id, &soup, 1), STATUS_OK);
    struct order_advance_request request = {
        .order = id, .event = ORDER_EVENT_KIND_ACCEPT, .has_note = true, .note = BYTES_LITERAL ("20 minutes")};
    rig.now_ms += 5;
    assert_int_equal (world_call (&rig, METHOD_NUMBER_ORDER_ADVANCE, &cook, &request), STATUS_OK);
    rig.now_ms += 5;
    assert_int_equal (advance (&courier, &id, ORDER_EVENT_KIND_CLAIM), STATUS_OK);
    struct order order = get (&id);
    assert_int_equal (order.history_count, 3);
    assert_int_equal (order.history[1].at_ms, WORLD_START_MS + 5);
    assert_int_equal (order.history[1].state, ORDER_STATE_ACCEPTED);
    assert_true (id_equal (&order.history[1].actor, &cook.id));
    assert_true (bytes_equal (order.history[1].note, BYTES_LITERAL ("20 minutes")));
    assert_int_equal (order.history[2].state, ORDER_STATE_ACCEPTED);
    assert_true (id_equal (&order.history[2].actor, &courier.id));
    assert_true (order.has_courier && id_equal (&order.courier, &courier.id));
}

/* ---- expiry */

static void test_services_order__expires_unless_accepted (void **state)
{
    (void) state;
    struct id waiting, accepted, slow, free_of_it;
    soup.has_policy = true;
    soup.policy = (struct policy){.has_hold_ttl_ms = true, .hold_ttl_ms = 60000};
    rig_put_offer (&rig, &soup);
    assert_int_equal (place (&ann, &waiting, &soup, 1), STATUS_OK);
    assert_int_equal (place (&ann, &accepted, &soup, 1), STATUS_OK);
    assert_int_equal (place (&ann, &free_of_it, &bread, 1), STATUS_OK);
    assert_int_equal (services_next_deadline (&rig.config, &rig.state), WORLD_START_MS + 60000);
    assert_int_equal (advance (&admin, &accepted, ORDER_EVENT_KIND_ACCEPT), STATUS_OK);
    rig.now_ms += 1000;
    assert_int_equal (place (&ann, &slow, &soup, 1), STATUS_OK);
    rig.now_ms = WORLD_START_MS + 59999;
    assert_int_equal (rig_housekeep (&rig), 0);
    rig.now_ms = WORLD_START_MS + 60000;
    assert_int_equal (rig_housekeep (&rig), 1);
    assert_int_equal (get (&waiting).state, ORDER_STATE_EXPIRED);
    assert_int_equal (get (&accepted).state, ORDER_STATE_ACCEPTED);
    assert_int_equal (get (&free_of_it).state, ORDER_STATE_PLACED);
    assert_int_equal (get (&slow).state, ORDER_STATE_PLACED);
    assert_int_equal (left (&soup), CAPACITY - 2);
    assert_int_equal (services_next_deadline (&rig.config, &rig.state), WORLD_START_MS + 61000);

    /* An entry that comes before the tick finds it expired too. */
    rig.now_ms = WORLD_START_MS + 61000;
    assert_int_equal (advance (&admin, &slow, ORDER_EVENT_KIND_ACCEPT), STATUS_FAILED_PRECONDITION);
    assert_true (rig_reason (&rig, "EXPIRED"));
    assert_int_equal (rig.refusal.state, ORDER_STATE_EXPIRED);
    assert_int_equal (left (&soup), CAPACITY - 1);
    assert_int_equal (rig_housekeep (&rig), 0);
}

static void test_services_order__many_expire_in_bounded_entries (void **state)
{
    (void) state;
    bread.capacity = 1000;
    bread.has_policy = true;
    bread.policy = (struct policy){.has_hold_ttl_ms = true, .hold_ttl_ms = 1000};
    rig_put_offer (&rig, &bread);
    rig.unchecked = true;
    for (int i = 0; i < 250; i++) {
        struct id id;
        assert_int_equal (place (&ann, &id, &bread, 1), STATUS_OK);
    }
    rig.now_ms += 1000;
    assert_int_equal (rig_housekeep (&rig), 3);
    assert_int_equal (left (&bread), 1000);
    rig_check (&rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests[] = {
        TEST (test_services_order__place_takes_stock_and_keeps_prices),
        TEST (test_services_order__demand_is_summed_before_stock_is_checked),
        TEST (test_services_order__price_changes_bite_at_the_next_place),
        TEST (test_services_order__closed_is_effective_at_once),
        TEST (test_services_order__refuses_what_is_not_one_providers_menu),
        TEST (test_services_order__who_may_order_for_whom),
        TEST (test_services_order__per_customer_limits_count_orders),
        TEST (test_services_order__quota_limits_several_dishes),
        TEST (test_services_order__the_largest_order_fits),
        TEST (test_services_order__quote_takes_nothing),
        TEST (test_services_order__stock_comes_back_until_it_is_prepared),
        TEST (test_services_order__versions_guard_decisions),
        TEST (test_services_order__repeats_are_answered_from_the_record),
        TEST (test_services_order__history_tells_who_did_what_when),
        TEST (test_services_order__expires_unless_accepted),
        TEST (test_services_order__many_expire_in_bounded_entries),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
