/* The whole transition table of an order: every state, every event, everybody who might try it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/services_rig.h"

/* The parts, by letter. */
enum { OWNER, STAFF, CUSTOMER, COURIER, OTHER_COURIER, OPERATOR, STRANGER, MACHINE, PARTS };
static const char letters[PARTS + 1] = "pscdeoxm";

/* What is allowed, written down apart from the code: state, event, next state, who may (letters above; c: the customer,
 * d: the courier who claimed, e: another courier). What is not here is refused. */
struct allowed {
    uint64_t from, event, to;
    const char *who;
};
#define A(from_, event_, to_, who_)                                                                                    \
    {                                                                                                                  \
        ORDER_STATE_##from_, ORDER_EVENT_KIND_##event_, ORDER_STATE_##to_, who_                                        \
    }
static const struct allowed allowed[] = {
    A (PLACED, ACCEPT, ACCEPTED, "psom"),
    A (PLACED, DECLINE, DECLINED, "psom"),
    A (PLACED, CANCEL, CANCELLED, "com"),
    A (ACCEPTED, PREPARE, PREPARING, "psom"),
    A (ACCEPTED, CANCEL, CANCELLED, "pscom"),
    A (PREPARING, READY, READY, "psom"),
    A (PREPARING, CANCEL, CANCELLED, "psom"),
    A (READY, COLLECT, COLLECTED, "psom"),
    A (READY, PICK_UP, IN_TRANSIT, "dom"),
    A (IN_TRANSIT, DELIVER, DELIVERED, "dom"),
    A (IN_TRANSIT, FAIL, FAILED, "dom"),
    A (DELIVERED, RETURN, RETURNED, "pscom"),
    A (COLLECTED, RETURN, RETURNED, "pscom"),
    /* Claimed already by d: for d that is so, e is too late. */
    A (ACCEPTED, CLAIM, ACCEPTED, "d"),
    A (PREPARING, CLAIM, PREPARING, "d"),
    A (READY, CLAIM, READY, "d"),
};
#undef A

/* How the machine gets into each state: with the events of an operator and the claim of d where there is a chance for one. */
static const uint64_t ways[][8] = {
    [ORDER_STATE_PLACED] = {0},
    [ORDER_STATE_ACCEPTED] = {1, 11, 0},
    [ORDER_STATE_DECLINED] = {2, 0},
    [ORDER_STATE_CANCELLED] = {1, 11, 3, 0},
    [ORDER_STATE_EXPIRED] = {0},
    [ORDER_STATE_PREPARING] = {1, 11, 4, 0},
    [ORDER_STATE_READY] = {1, 4, 11, 5, 0},
    [ORDER_STATE_IN_TRANSIT] = {1, 4, 5, 11, 6, 0},
    [ORDER_STATE_COLLECTED] = {1, 11, 4, 5, 7, 0},
    [ORDER_STATE_DELIVERED] = {1, 4, 5, 11, 6, 8, 0},
    [ORDER_STATE_FAILED] = {1, 4, 5, 11, 6, 9, 0},
    [ORDER_STATE_RETURNED] = {1, 4, 5, 11, 6, 8, 10, 0},
};

static struct world rig;
static struct id provider;
static struct put_offer_request dish;
static struct principal people[PARTS];

static int set_up (void **state)
{
    (void) state;
    rig_init (&rig, 1);
    people[OWNER] = world_principal (10, ROLE_CUSTOMER);
    people[STAFF] = world_principal (11, ROLE_STAFF);
    people[CUSTOMER] = world_principal (12, ROLE_CUSTOMER);
    people[COURIER] = world_principal (13, ROLE_COURIER);
    people[OTHER_COURIER] = world_principal (14, ROLE_COURIER);
    people[OPERATOR] = world_principal (15, ROLE_OPERATOR);
    people[STRANGER] = world_principal (16, ROLE_CUSTOMER);
    people[MACHINE] = world_principal (17, ROLE_OPERATOR);
    people[MACHINE].kind = PRINCIPAL_KIND_API_KEY;
    provider = rig_put_provider (&rig, &people[OWNER].id);
    dish = rig_dish (&rig, &provider, 100, 1000000);
    dish.has_policy = true;
    dish.policy = (struct policy){.has_hold_ttl_ms = true, .hold_ttl_ms = 1000};
    rig_put_offer (&rig, &dish);
    rig.unchecked = true;
    return 0;
}

static int tear_down (void **state)
{
    (void) state;
    rig_check (&rig);
    world_close (&rig);
    return 0;
}

static enum status advance (int part, const struct id *id, uint64_t event)
{
    struct order_advance_request request = {.order = *id, .event = event};
    return world_call (&rig, METHOD_NUMBER_ORDER_ADVANCE, &people[part], &request);
}

static struct order get (const struct id *id)
{
    struct order_get_request request = {.order = *id};
    struct order_get_reply reply;
    assert_int_equal (world_read (&rig, METHOD_NUMBER_ORDER_GET, &people[OPERATOR], &request), STATUS_OK);
    world_reply (&rig, &order_get_reply_type, &reply);
    return reply.order;
}

static struct id in_state (uint64_t target)
{
    struct order_line lines[] = {{.offer = dish.offer, .quantity = 1}};
    struct order_place_request request = {
        .order = rig_id (&rig, id_hash (&provider)), .provider = provider, .lines = lines, .lines_count = 1};
    assert_int_equal (world_call (&rig, METHOD_NUMBER_ORDER_PLACE, &people[CUSTOMER], &request), STATUS_OK);
    for (const uint64_t *event = ways[target]; *event != 0; event++)
        assert_int_equal (
            advance (*event == ORDER_EVENT_KIND_CLAIM ? COURIER : OPERATOR, &request.order, *event), STATUS_OK);
    if (target == ORDER_STATE_EXPIRED) {
        rig.now_ms += 1000;
        assert_int_equal (rig_housekeep (&rig), 1);
    }
    assert_int_equal (get (&request.order).state, target);
    return request.order;
}

static const struct allowed *find (uint64_t from, uint64_t event)
{
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (allowed[i].from == from && allowed[i].event == event)
            return &allowed[i];
    return NULL;
}

/* The courier's claim stands only where `ways` made one. */
static bool was_claimed (uint64_t state)
{
    for (const uint64_t *event = ways[state]; *event != 0; event++)
        if (*event == ORDER_EVENT_KIND_CLAIM)
            return true;
    return false;
}

static void try_one (uint64_t from, uint64_t event, int part)
{
    struct id id = in_state (from);
    uint64_t version = get (&id).version;
    const struct allowed *row = find (from, event);
    bool may = row != NULL && strchr (row->who, letters[part]) != NULL;
    enum status status = advance (part, &id, event);
    struct services_reply reply = rig.reply;
    struct refusal refusal = rig.refusal;
    struct order after = get (&id);
    if (may) {
        assert_int_equal (status, STATUS_OK);
        assert_int_equal (after.state, row->to);
        assert_int_equal (after.version, version + (event != ORDER_EVENT_KIND_CLAIM));
        return;
    }
    assert_int_equal (after.state, from);
    assert_int_equal (after.version, version);
    bool sees = part != STRANGER && part != OTHER_COURIER && (part != COURIER || was_claimed (from));
    if (!sees) {
        assert_int_equal (status, STATUS_NOT_FOUND); /* nobody can probe for orders that are not his */
    } else if (status == STATUS_FAILED_PRECONDITION) {
        assert_null (row); /* somebody else's event is refused as such, not as a wrong state */
        assert_int_equal (refusal.state, from);
        assert_int_equal (refusal.version, version);
    } else {
        assert_int_equal (status, STATUS_PERMISSION_DENIED);
    }
    (void) reply;
}

static void test_services_order_table__is_exactly_this (void **state)
{
    (void) state;
    for (uint64_t from = ORDER_STATE_PLACED; from <= ORDER_STATE_RETURNED; from++)
        for (uint64_t event = ORDER_EVENT_KIND_ACCEPT; event <= ORDER_EVENT_KIND_CLAIM; event++)
            for (int part = 0; part < PARTS; part++)
                try_one (from, event, part);
}

static void test_services_order_table__ended_orders_say_how (void **state)
{
    (void) state;
    static const struct {
        uint64_t state;
        const char *reason;
    } ends[] = {{ORDER_STATE_DECLINED, "DECLINED"}, {ORDER_STATE_CANCELLED, "CANCELLED"},
        {ORDER_STATE_EXPIRED, "EXPIRED"}, {ORDER_STATE_RETURNED, "WRONG_STATE"}};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct id id = in_state (ends[i].state);
        assert_int_equal (advance (STAFF, &id, ORDER_EVENT_KIND_ACCEPT), STATUS_FAILED_PRECONDITION);
        assert_string_equal (rig.reply.reason, ends[i].reason);
        assert_int_equal (rig.refusal.state, ends[i].state);
    }
}

static void test_services_order_table__the_first_claim_counts (void **state)
{
    (void) state;
    struct order_line lines[] = {{.offer = dish.offer, .quantity = 1}};
    struct order_place_request request = {
        .order = rig_id (&rig, id_hash (&provider)), .provider = provider, .lines = lines, .lines_count = 1};
    assert_int_equal (world_call (&rig, METHOD_NUMBER_ORDER_PLACE, &people[CUSTOMER], &request), STATUS_OK);
    struct id id = request.order;
    assert_int_equal (advance (COURIER, &id, ORDER_EVENT_KIND_CLAIM), STATUS_NOT_FOUND); /* not accepted yet */
    assert_int_equal (advance (OPERATOR, &id, ORDER_EVENT_KIND_ACCEPT), STATUS_OK);
    assert_int_equal (advance (STAFF, &id, ORDER_EVENT_KIND_CLAIM), STATUS_PERMISSION_DENIED);
    assert_int_equal (advance (OPERATOR, &id, ORDER_EVENT_KIND_CLAIM), STATUS_PERMISSION_DENIED);
    assert_int_equal (advance (OTHER_COURIER, &id, ORDER_EVENT_KIND_PICK_UP), STATUS_PERMISSION_DENIED);
    assert_string_equal (rig.reply.reason, "NOT_CLAIMED");
    assert_int_equal (advance (OTHER_COURIER, &id, ORDER_EVENT_KIND_CLAIM), STATUS_OK);
    assert_int_equal (advance (COURIER, &id, ORDER_EVENT_KIND_CLAIM), STATUS_NOT_FOUND);
    struct principal both = people[COURIER]; /* a courier who sees it as staff too */
    both.roles |= ROLE_STAFF;
    struct order_advance_request claim = {.order = id, .event = ORDER_EVENT_KIND_CLAIM};
    assert_int_equal (world_call (&rig, METHOD_NUMBER_ORDER_ADVANCE, &both, &claim), STATUS_FAILED_PRECONDITION);
    assert_string_equal (rig.reply.reason, "CLAIMED");
    struct order order = get (&id);
    assert_true (id_equal (&order.courier, &people[OTHER_COURIER].id));
}

static void test_services_order_table__reads_follow_the_parts (void **state)
{
    (void) state;
    struct id id = in_state (ORDER_STATE_READY);
    struct order_get_request request = {.order = id};
    for (int part = 0; part < PARTS; part++) {
        bool sees = part != STRANGER && part != OTHER_COURIER;
        assert_int_equal (
            world_read (&rig, METHOD_NUMBER_ORDER_GET, &people[part], &request), sees ? STATUS_OK : STATUS_NOT_FOUND);
    }
    request.order = rig_id (&rig, id_hash (&provider));
    assert_int_equal (world_read (&rig, METHOD_NUMBER_ORDER_GET, &people[OPERATOR], &request), STATUS_NOT_FOUND);
    assert_int_equal (advance (OPERATOR, &request.order, ORDER_EVENT_KIND_ACCEPT), STATUS_NOT_FOUND);
    assert_string_equal (rig.reply.reason, "NO_ORDER");
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests[] = {
        TEST (test_services_order_table__is_exactly_this),
        TEST (test_services_order_table__ended_orders_say_how),
        TEST (test_services_order_table__the_first_claim_counts),
        TEST (test_services_order_table__reads_follow_the_parts),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
