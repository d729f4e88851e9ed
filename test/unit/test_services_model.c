/* Random commands against the naive model, with services_check after each (services_world.h): same answers, same counters. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/services_model.h"

#define SEEDS 24
#define COMMANDS 400
#define CUSTOMERS 4

static struct world world, *const w = &world;
static struct model model, *const m = &model;
static struct principal customers[CUSTOMERS], admin;
static uint64_t random_state;

static uint64_t below (uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % bound;
}

static void set_up (uint64_t seed)
{
    random_state = seed * UINT64_C (0x9e3779b97f4a7c15) + 1;
    world_init (w);
    world_add_twin (w);
    m->count = 0;
    admin = world_admin ();
    struct id provider = world_provider (w);
    for (size_t i = 0; i < CUSTOMERS; i++)
        customers[i] = world_principal (100 + i, ROLE_CUSTOMER);
    for (size_t i = 0; i < MODEL_OFFERS; i++) {
        struct put_offer_request request = world_offer_request (w, &provider);
        uint64_t capacity = 1 + below (4), overbooking = below (2), limit = below (3) * 12;
        bool quota = i >= 3 && below (2) == 0;
        request.last_bucket = MODEL_BUCKETS - 1;
        request.capacity = capacity;
        request.has_policy = true;
        request.policy = (struct policy){.has_overbooking = overbooking > 0,
            .overbooking = overbooking,
            .has_customer_limit = true,
            .customer_limit = limit,
            .has_hold_ttl_ms = true,
            .hold_ttl_ms = 5000};
        request.has_quota = quota;
        m->offers[i] = (struct model_offer){.limit = (int64_t) limit, .quota = MODEL_NONE, .open = true};
        if (quota) {
            m->offers[i].quota = below (3);
            request.quota = m->offers[m->offers[i].quota].id;
        }
        m->offers[i].id = world_put_offer (w, &request);
        for (size_t b = 0; b < MODEL_BUCKETS; b++)
            m->offers[i].capacity[b] = (int64_t) (capacity + overbooking);
    }
}

/* ---- one command each */

static size_t random_items (struct model_item *items, struct reserve_item *wire)
{
    size_t count = 1 + below (MODEL_ITEMS);
    bool together = below (2) == 0;
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct model_item){.offer = below (MODEL_OFFERS),
            .first = (int64_t) (below (3) == 0 ? below (MODEL_BUCKETS) : below (36)),
            .count = (int64_t) (1 + below (below (4) == 0 ? 40 : 2)),
            .quantity = (int64_t) (1 + below (2))};
        if (together && i > 0) {
            items[i].first = items[0].first;
            items[i].count = items[0].count;
        }
        wire[i] = world_item (&m->offers[items[i].offer].id, (uint64_t) items[i].first, (uint64_t) items[i].count,
            (uint64_t) items[i].quantity);
    }
    return count;
}

static void assert_verdict (const struct model_verdict *wanted)
{
    if (wanted->reason == NULL) {
        assert_int_equal (w->reply.status, STATUS_OK);
        return;
    }
    assert_string_equal (w->reply.reason, wanted->reason);
    if (strcmp (wanted->reason, "SOLD_OUT") != 0)
        return;
    assert_true (id_equal (&w->refusal.offer, &m->offers[wanted->offer].id));
    assert_int_equal (w->refusal.bucket, wanted->bucket);
    assert_int_equal (w->refusal.has_earliest_free, wanted->earliest >= 0);
    if (wanted->earliest >= 0)
        assert_int_equal (w->refusal.earliest_free, wanted->earliest);
}

static void create (void)
{
    struct model_reservation *r = &m->reservations[m->count];
    struct reserve_item wire[MODEL_ITEMS];
    *r = (struct model_reservation){.customer = below (CUSTOMERS)};
    r->count = random_items (r->items, wire);
    bool hold = below (2) == 0;
    uint64_t ttl_ms = 1000 + below (8000);
    struct reserve_create_request request = {.reservation = world_id (w),
        .mode = hold ? RESERVE_MODE_HOLD : RESERVE_MODE_BOOK,
        .items = wire,
        .items_count = r->count,
        .has_hold_ttl_ms = hold,
        .hold_ttl_ms = ttl_ms};
    struct model_verdict wanted = model_take (m, r->items, r->count, r->customer, w->now_ms, NULL);
    world_call (w, METHOD_NUMBER_RESERVE_CREATE, &customers[r->customer], &request);
    assert_verdict (&wanted);
    if (wanted.reason != NULL)
        return;
    r->id = request.reservation;
    r->state = hold ? RESERVE_STATE_HELD : RESERVE_STATE_CONFIRMED;
    r->expires_ms = w->now_ms + (ttl_ms < 5000 ? ttl_ms : 5000);
    m->count++;
}

static void resolve (void)
{
    static const struct {
        uint32_t number;
        uint64_t from, to;
    } rows[] = {
        {METHOD_NUMBER_RESERVE_CONFIRM, RESERVE_STATE_HELD, RESERVE_STATE_CONFIRMED},
        {METHOD_NUMBER_RESERVE_RELEASE, RESERVE_STATE_HELD, RESERVE_STATE_RELEASED},
        {METHOD_NUMBER_RESERVE_CANCEL, RESERVE_STATE_CONFIRMED, RESERVE_STATE_CANCELLED},
    };
    if (m->count == 0)
        return;
    struct model_reservation *r = &m->reservations[m->count - 1 - below (m->count < 20 ? m->count : 20)];
    size_t row = below (3);
    r->state = model_state (r, w->now_ms);
    world_resolve (w, rows[row].number, &customers[r->customer], &r->id);
    if (r->state == rows[row].from) {
        assert_int_equal (w->reply.status, STATUS_OK);
        r->state = rows[row].to;
    } else {
        assert_int_equal (w->reply.status, STATUS_FAILED_PRECONDITION);
        assert_int_equal (w->refusal.state, r->state);
    }
}

/* Confirms some whole items of a hold. */
static void confirm_part (void)
{
    struct reserve_item wire[MODEL_ITEMS];
    if (m->count == 0)
        return;
    struct model_reservation *r = &m->reservations[m->count - 1 - below (m->count < 20 ? m->count : 20)];
    r->state = model_state (r, w->now_ms);
    if (r->state != RESERVE_STATE_HELD)
        return;
    size_t keep = 1 + below (r->count);
    for (size_t i = 0; i < keep; i++) {
        struct model_item *item = &r->items[i];
        if (item->count > 1 && below (2) == 0) {
            item->first++;
            item->count--;
        }
        wire[i] = world_item (
            &m->offers[item->offer].id, (uint64_t) item->first, (uint64_t) item->count, (uint64_t) item->quantity);
    }
    r->count = keep;
    r->state = RESERVE_STATE_CONFIRMED;
    struct reserve_confirm_request request = {
        .reservation = r->id, .has_items = true, .items = wire, .items_count = keep};
    assert_int_equal (world_call (w, METHOD_NUMBER_RESERVE_CONFIRM, &customers[r->customer], &request), STATUS_OK);
}

static void move (void)
{
    struct model_item items[MODEL_ITEMS];
    struct reserve_item wire[MODEL_ITEMS];
    if (m->count == 0)
        return;
    struct model_reservation *r = &m->reservations[m->count - 1 - below (m->count < 20 ? m->count : 20)];
    size_t count = random_items (items, wire);
    r->state = model_state (r, w->now_ms);
    world_move (w, &customers[r->customer], &r->id, wire, count);
    if (r->state != RESERVE_STATE_HELD && r->state != RESERVE_STATE_CONFIRMED) {
        assert_int_equal (w->refusal.state, r->state);
        return;
    }
    struct model_verdict wanted = model_take (m, items, count, r->customer, w->now_ms, r);
    assert_verdict (&wanted);
    if (wanted.reason != NULL)
        return;
    memcpy (r->items, items, sizeof items);
    r->count = count;
}

static void change_state (void)
{
    size_t offer = below (MODEL_OFFERS);
    m->offers[offer].open = !m->offers[offer].open || below (4) != 0;
    struct set_offer_state_request request = {
        .offer = m->offers[offer].id, .state = m->offers[offer].open ? OFFER_STATE_OPEN : OFFER_STATE_PAUSED};
    assert_int_equal (world_call (w, METHOD_NUMBER_CATALOG_SET_OFFER_STATE, &admin, &request), STATUS_OK);
}

static void change_capacity (void)
{
    struct model_offer *offer = &m->offers[below (MODEL_OFFERS)];
    int64_t first = (int64_t) below (MODEL_BUCKETS - 10), count = (int64_t) (1 + below (10)),
            capacity = (int64_t) below (4);
    struct offer stored;
    struct catalog_get_request get = {.id = offer->id};
    struct catalog_get_reply reply;
    assert_int_equal (world_read (w, METHOD_NUMBER_CATALOG_GET, &admin, &get), STATUS_OK);
    world_reply (w, &catalog_get_reply_type, &reply);
    stored = reply.offer;
    int64_t overbooking = stored.policy.has_overbooking ? (int64_t) stored.policy.overbooking : 0;
    bool fits = true;
    for (int64_t b = first; b < first + count; b++)
        fits = fits && model_used (m, (size_t) (offer - m->offers), b, w->now_ms, NULL, 0) <= capacity + overbooking;
    struct adjust_capacity_request request = {.offer = offer->id,
        .capacity = (uint64_t) capacity,
        .has_first = true,
        .first = (uint64_t) first,
        .has_count = true,
        .count = (uint64_t) count};
    world_call (w, METHOD_NUMBER_CATALOG_ADJUST_CAPACITY, &admin, &request);
    if (!fits) {
        assert_string_equal (w->reply.reason, "BELOW_COMMITTED");
        return;
    }
    assert_int_equal (w->reply.status, STATUS_OK);
    for (int64_t b = first; b < first + count; b++)
        offer->capacity[b] = capacity + overbooking;
}

/* Every bucket of one offer, once nothing that is due is left. */
static void compare_counters (void)
{
    size_t offer = below (MODEL_OFFERS);
    while (services_next_deadline (&w->config, &w->state) <= w->now_ms)
        assert_true (world_tick (w));
    for (int64_t bucket = 0; bucket < MODEL_BUCKETS; bucket++) {
        struct avail_row row = world_bucket (w, &m->offers[offer].id, (uint64_t) bucket);
        assert_int_equal (row.held, model_used (m, offer, bucket, w->now_ms, NULL, RESERVE_STATE_HELD));
        assert_int_equal (row.confirmed, model_used (m, offer, bucket, w->now_ms, NULL, RESERVE_STATE_CONFIRMED));
        assert_int_equal (row.total, m->offers[offer].capacity[bucket]);
    }
}

static void step (void)
{
    w->now_ms += below (4) == 0 ? below (3000) : below (50);
    switch (below (20)) {
    case 0:
        change_state ();
        return;
    case 1:
        change_capacity ();
        return;
    case 2:
        compare_counters ();
        return;
    case 3:
        world_tick (w);
        return;
    case 4:
    case 5:
        confirm_part ();
        return;
    case 6:
    case 7:
    case 8:
        move ();
        return;
    case 9:
    case 10:
    case 11:
    case 12:
        resolve ();
        return;
    default:
        create ();
    }
}

static void test_services_model__answers_and_counters_are_those_of_the_model (void **state)
{
    (void) state;
    size_t created = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        print_message ("seed %u\n", (unsigned) seed);
        set_up (seed);
        for (unsigned i = 0; i < COMMANDS; i++)
            step ();
        compare_counters ();
        created += m->count;
        assert_int_equal (world_hash (w->map.tree, false), world_hash (w->twin.tree, false));
        world_close (w);
    }
    print_message ("%zu of %d reservations made\n", created, SEEDS * COMMANDS);
    /* A run in which nearly everything is refused would prove little. */
    assert_true (created > SEEDS * COMMANDS / 10);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_services_model__answers_and_counters_are_those_of_the_model),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
