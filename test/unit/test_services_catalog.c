#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/services_world.h"

static struct world world, *const w = &world;
static struct principal admin, staff, customer, other_staff;

static int setup (void **state)
{
    (void) state;
    world_init (w);
    admin = world_admin ();
    staff = world_principal (10, ROLE_STAFF);
    other_staff = world_principal (11, ROLE_STAFF);
    customer = world_principal (100, ROLE_CUSTOMER);
    return 0;
}

static int teardown (void **state)
{
    (void) state;
    world_close (w);
    return 0;
}

static struct put_provider_request a_provider (void)
{
    return (struct put_provider_request){
        .provider = world_id (w),
        .kind = PROVIDER_KIND_HOTEL,
        .name = BYTES_LITERAL ("The Grand"),
        .has_group = true,
        .group = world_group (WORLD_SHARD),
    };
}

static enum status put_provider (const struct principal *who, const struct put_provider_request *request)
{
    return world_call (w, METHOD_NUMBER_CATALOG_PUT_PROVIDER, who, request);
}

static enum status put_offer (const struct principal *who, const struct put_offer_request *request)
{
    return world_call (w, METHOD_NUMBER_CATALOG_PUT_OFFER, who, request);
}

static struct offer get_offer (const struct id *id)
{
    struct catalog_get_request request = {.id = *id};
    struct catalog_get_reply reply;
    assert_int_equal (world_read (w, METHOD_NUMBER_CATALOG_GET, &customer, &request), STATUS_OK);
    world_reply (w, &catalog_get_reply_type, &reply);
    assert_true (reply.has_offer);
    return reply.offer;
}

static struct provider get_provider (const struct id *id)
{
    struct catalog_get_request request = {.id = *id};
    struct catalog_get_reply reply;
    assert_int_equal (world_read (w, METHOD_NUMBER_CATALOG_GET, &customer, &request), STATUS_OK);
    world_reply (w, &catalog_get_reply_type, &reply);
    assert_true (reply.has_provider);
    return reply.provider;
}

/* ---- providers */

static void test_services_catalog__provider_is_stored_and_owned_by_its_maker (void **state)
{
    (void) state;
    struct put_provider_request request = a_provider ();
    assert_int_equal (put_provider (&staff, &request), STATUS_OK);
    struct provider stored = get_provider (&request.provider);
    assert_int_equal (stored.version, 1);
    assert_int_equal (stored.updated_ms, w->now_ms);
    assert_true (stored.has_owner && id_equal (&stored.owner, &staff.id));
    assert_true (bytes_equal (stored.name, request.name));
}

static void test_services_catalog__provider_id_carries_its_groups_hash (void **state)
{
    (void) state;
    struct put_provider_request request = a_provider ();
    request.has_group = false;
    assert_refused (put_provider (&staff, &request), STATUS_INVALID_ARGUMENT, "WRONG_PLACEMENT");
    request = a_provider ();
    request.group = BYTES_LITERAL ("some other group");
    assert_refused (put_provider (&staff, &request), STATUS_INVALID_ARGUMENT, "WRONG_PLACEMENT");
    /* Without a group it stands alone, on the shard of its own hash. */
    do {
        request.provider = world_id (w);
        request.provider =
            id_make (w->now_ms, placement_hash_provider (&request.provider), bytes_get_u32 (request.provider.b + 12));
    } while (placement_shard (id_hash (&request.provider), WORLD_SHARDS) != WORLD_SHARD);
    request.has_group = false;
    w->hash = id_hash (&request.provider);
    assert_int_equal (put_provider (&staff, &request), STATUS_OK);
}

static void test_services_catalog__group_is_for_ever (void **state)
{
    (void) state;
    struct put_provider_request request = a_provider ();
    assert_int_equal (put_provider (&staff, &request), STATUS_OK);
    request.has_version = true;
    request.version = 1;
    request.group = BYTES_LITERAL ("another");
    assert_refused (put_provider (&staff, &request), STATUS_FAILED_PRECONDITION, "GROUP_FIXED");
    request.has_group = false;
    assert_refused (put_provider (&staff, &request), STATUS_FAILED_PRECONDITION, "GROUP_FIXED");
}

static void test_services_catalog__versions_must_be_the_present_one (void **state)
{
    (void) state;
    struct put_provider_request request = a_provider ();
    request.has_version = true;
    request.version = 3;
    assert_refused (put_provider (&staff, &request), STATUS_ABORTED, "STALE_VERSION");
    assert_int_equal (w->refusal.version, 0);
    request.version = 0;
    assert_int_equal (put_provider (&staff, &request), STATUS_OK);
    assert_refused (put_provider (&staff, &request), STATUS_ALREADY_EXISTS, "EXISTS");
    assert_int_equal (w->refusal.version, 1);
    request.version = 1;
    request.name = BYTES_LITERAL ("The Grander");
    assert_int_equal (put_provider (&staff, &request), STATUS_OK);
    assert_refused (put_provider (&staff, &request), STATUS_ABORTED, "STALE_VERSION");
    assert_int_equal (w->refusal.version, 2);
    assert_true (bytes_equal (get_provider (&request.provider).name, BYTES_LITERAL ("The Grander")));
}

static void test_services_catalog__only_owner_and_operators_change (void **state)
{
    (void) state;
    struct put_provider_request request = a_provider ();
    assert_refused (put_provider (&customer, &request), STATUS_PERMISSION_DENIED, "NOT_STAFF");
    assert_int_equal (put_provider (&staff, &request), STATUS_OK);
    request.has_version = true;
    request.version = 1;
    assert_refused (put_provider (&other_staff, &request), STATUS_PERMISSION_DENIED, "NOT_YOURS");
    assert_int_equal (put_provider (&admin, &request), STATUS_OK);
    /* An operator's change leaves the owner, and the owner may hand over. */
    struct provider stored = get_provider (&request.provider);
    assert_true (id_equal (&stored.owner, &staff.id));
    request.version = 2;
    request.has_owner = true;
    request.owner = other_staff.id;
    assert_int_equal (put_provider (&staff, &request), STATUS_OK);
    request.version = 3;
    assert_refused (put_provider (&staff, &request), STATUS_PERMISSION_DENIED, "NOT_YOURS");
    assert_int_equal (put_provider (&other_staff, &request), STATUS_OK);
}

/* ---- offers */

static struct id provider_of_staff (void)
{
    struct put_provider_request request = a_provider ();
    assert_int_equal (put_provider (&staff, &request), STATUS_OK);
    return request.provider;
}

static void test_services_catalog__offer_is_stored_open_by_default (void **state)
{
    (void) state;
    struct id provider = provider_of_staff ();
    struct put_offer_request request = world_offer_request (w, &provider);
    request.has_policy = true;
    request.policy = (struct policy){.has_customer_limit = true, .customer_limit = 2};
    assert_int_equal (put_offer (&staff, &request), STATUS_OK);
    struct offer stored = get_offer (&request.offer);
    assert_int_equal (stored.state, OFFER_STATE_OPEN);
    assert_int_equal (stored.bucket_kind, BUCKET_KIND_SLOT);
    assert_int_equal (stored.policy.customer_limit, 2);
    assert_int_equal (stored.version, 1);
    assert_true (id_equal (&stored.provider, &provider));
}

static void test_services_catalog__offer_refusals (void **state)
{
    (void) state;
    struct id provider = provider_of_staff ();
    const struct put_offer_request good = world_offer_request (w, &provider);
    struct put_offer_request bad = good;
    bad.provider = world_id (w);
    assert_refused (put_offer (&staff, &bad), STATUS_NOT_FOUND, "NO_PROVIDER");
    bad.provider = id_make (w->now_ms, w->hash + WORLD_SHARDS, 5); /* the same shard, another group */
    assert_refused (put_offer (&staff, &bad), STATUS_INVALID_ARGUMENT, "WRONG_PLACEMENT");
    assert_refused (put_offer (&other_staff, &good), STATUS_PERMISSION_DENIED, "NOT_YOURS");
    bad = good;
    bad.currency = BYTES_LITERAL ("gbp");
    assert_refused (put_offer (&staff, &bad), STATUS_INVALID_ARGUMENT, "BAD_CURRENCY");
    bad = good;
    bad.first_bucket = 100;
    assert_refused (put_offer (&staff, &bad), STATUS_INVALID_ARGUMENT, "BAD_RANGE");
    bad = good;
    bad.has_version = true;
    bad.version = 1;
    assert_refused (put_offer (&staff, &bad), STATUS_ABORTED, "STALE_VERSION");
    assert_int_equal (put_offer (&staff, &good), STATUS_OK);
    assert_refused (put_offer (&staff, &good), STATUS_ALREADY_EXISTS, "EXISTS");
    struct put_provider_request second = a_provider ();
    assert_int_equal (put_provider (&staff, &second), STATUS_OK);
    bad = good;
    bad.provider = second.provider;
    bad.has_version = true;
    bad.version = 1;
    assert_refused (put_offer (&staff, &bad), STATUS_FAILED_PRECONDITION, "PROVIDER_FIXED");
}

static void test_services_catalog__quota_is_another_offer_of_the_provider (void **state)
{
    (void) state;
    struct id provider = provider_of_staff ();
    struct put_provider_request second = a_provider ();
    assert_int_equal (put_provider (&staff, &second), STATUS_OK);
    struct put_offer_request quota = world_offer_request (w, &second.provider),
                             offer = world_offer_request (w, &provider);
    offer.has_quota = true;
    offer.quota = offer.offer;
    assert_refused (put_offer (&staff, &offer), STATUS_INVALID_ARGUMENT, "BAD_QUOTA");
    offer.quota = quota.offer;
    assert_refused (put_offer (&staff, &offer), STATUS_INVALID_ARGUMENT, "BAD_QUOTA");
    assert_int_equal (put_offer (&staff, &quota), STATUS_OK);
    assert_refused (put_offer (&staff, &offer), STATUS_INVALID_ARGUMENT, "BAD_QUOTA");
    quota = world_offer_request (w, &provider);
    assert_int_equal (put_offer (&staff, &quota), STATUS_OK);
    offer.quota = quota.offer;
    assert_int_equal (put_offer (&staff, &offer), STATUS_OK);
}

static void test_services_catalog__state_takes_effect_at_once (void **state)
{
    (void) state;
    struct id provider = provider_of_staff (), offer = world_offer (w, &provider, 10);
    struct set_offer_state_request request = {.offer = offer, .state = OFFER_STATE_PAUSED};
    assert_refused (world_call (w, METHOD_NUMBER_CATALOG_SET_OFFER_STATE, &other_staff, &request),
        STATUS_PERMISSION_DENIED, "NOT_YOURS");
    assert_int_equal (world_call (w, METHOD_NUMBER_CATALOG_SET_OFFER_STATE, &staff, &request), STATUS_OK);
    struct reserve_item item = world_item (&offer, 1, 1, 1);
    assert_refused (
        world_reserve (w, &customer, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_FAILED_PRECONDITION, "CLOSED");
    assert_int_equal (w->refusal.state, OFFER_STATE_PAUSED);
    request.has_version = true;
    request.version = 1;
    request.state = OFFER_STATE_OPEN;
    assert_refused (
        world_call (w, METHOD_NUMBER_CATALOG_SET_OFFER_STATE, &staff, &request), STATUS_ABORTED, "STALE_VERSION");
    request.version = 2;
    assert_int_equal (world_call (w, METHOD_NUMBER_CATALOG_SET_OFFER_STATE, &staff, &request), STATUS_OK);
    assert_int_equal (world_reserve (w, &customer, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_OK);
    request.offer = world_id (w);
    assert_refused (
        world_call (w, METHOD_NUMBER_CATALOG_SET_OFFER_STATE, &staff, &request), STATUS_NOT_FOUND, "NO_OFFER");
}

/* A put leaves state and kind of bucket as they are unless it names them. */
static void test_services_catalog__put_keeps_what_it_does_not_name (void **state)
{
    (void) state;
    struct id provider = provider_of_staff ();
    struct put_offer_request request = world_offer_request (w, &provider);
    request.has_bucket_kind = request.has_state = true;
    request.bucket_kind = BUCKET_KIND_NIGHT;
    request.state = OFFER_STATE_CLOSED;
    assert_int_equal (put_offer (&staff, &request), STATUS_OK);
    request.has_bucket_kind = request.has_state = false;
    request.has_version = true;
    request.version = 1;
    request.price_minor = 700;
    assert_int_equal (put_offer (&staff, &request), STATUS_OK);
    struct offer stored = get_offer (&request.offer);
    assert_int_equal (stored.bucket_kind, BUCKET_KIND_NIGHT);
    assert_int_equal (stored.state, OFFER_STATE_CLOSED);
    assert_int_equal (stored.price_minor, 700);
}

/* ---- what is committed stays sold */

static void test_services_catalog__nothing_goes_below_what_is_committed (void **state)
{
    (void) state;
    struct id provider = provider_of_staff ();
    struct put_offer_request request = world_offer_request (w, &provider);
    assert_int_equal (put_offer (&staff, &request), STATUS_OK);
    world_take (w, &customer, RESERVE_MODE_BOOK, &request.offer, 40, 6);
    world_take (w, &customer, RESERVE_MODE_HOLD, &request.offer, 40, 1);
    request.has_version = true;
    request.version = 1;
    struct put_offer_request bad = request;
    bad.capacity = 6;
    assert_refused (put_offer (&staff, &bad), STATUS_FAILED_PRECONDITION, "BELOW_COMMITTED");
    assert_int_equal (w->refusal.bucket, 40);
    assert_int_equal (w->refusal.limit, 7);
    bad = request;
    bad.last_bucket = 39;
    assert_refused (put_offer (&staff, &bad), STATUS_FAILED_PRECONDITION, "BELOW_COMMITTED");
    bad = request;
    bad.first_bucket = 41;
    assert_refused (put_offer (&staff, &bad), STATUS_FAILED_PRECONDITION, "BELOW_COMMITTED");
    bad = request;
    bad.capacity = 6;
    bad.has_policy = true;
    bad.policy = (struct policy){.has_overbooking = true, .overbooking = 1};
    assert_int_equal (put_offer (&staff, &bad), STATUS_OK);
    request.version = 2;
    request.capacity = 6;
    assert_refused (put_offer (&staff, &request), STATUS_FAILED_PRECONDITION, "BELOW_COMMITTED"); /* overbooking too */
    request.capacity = 7;
    assert_int_equal (put_offer (&staff, &request), STATUS_OK);
}

static void test_services_catalog__adjust_capacity (void **state)
{
    (void) state;
    struct id provider = provider_of_staff (), offer = world_offer (w, &provider, 10);
    world_take (w, &customer, RESERVE_MODE_BOOK, &offer, 40, 6);
    struct adjust_capacity_request request = {.offer = offer, .capacity = 5};
    const uint32_t adjust = METHOD_NUMBER_CATALOG_ADJUST_CAPACITY;
    assert_refused (world_call (w, adjust, &staff, &request), STATUS_FAILED_PRECONDITION, "BELOW_COMMITTED");
    request.capacity = 6;
    assert_int_equal (world_call (w, adjust, &staff, &request), STATUS_OK);
    assert_int_equal (world_bucket (w, &offer, 40).total, 6);
    /* A run of buckets of its own, over a page boundary. */
    request.has_first = request.has_count = true;
    request.first = 38;
    request.count = 30;
    request.capacity = 5;
    assert_refused (world_call (w, adjust, &staff, &request), STATUS_FAILED_PRECONDITION, "BELOW_COMMITTED");
    assert_int_equal (w->refusal.bucket, 40);
    assert_int_equal (w->refusal.limit, 6);
    assert_int_equal (world_bucket (w, &offer, 38).total, 6);
    request.capacity = 20;
    assert_int_equal (world_call (w, adjust, &staff, &request), STATUS_OK);
    assert_int_equal (world_bucket (w, &offer, 37).total, 6);
    assert_int_equal (world_bucket (w, &offer, 38).total, 20);
    assert_int_equal (world_bucket (w, &offer, 67).total, 20);
    assert_int_equal (world_bucket (w, &offer, 68).total, 6);
    struct reserve_item item = world_item (&offer, 66, 2, 20);
    assert_int_equal (world_reserve (w, &customer, RESERVE_MODE_BOOK, &item, 1, NULL), STATUS_OK);
    /* The default no longer reaches them. */
    request.has_first = request.has_count = false;
    request.capacity = 6;
    assert_int_equal (world_call (w, adjust, &staff, &request), STATUS_OK);
    request.has_first = request.has_count = true;
    request.first = 99;
    request.count = 2;
    assert_refused (world_call (w, adjust, &staff, &request), STATUS_OUT_OF_RANGE, "OUT_OF_RANGE");
    request.has_first = false;
    assert_refused (world_call (w, adjust, &staff, &request), STATUS_INVALID_ARGUMENT, "BAD_RANGE");
    assert_refused (world_call (w, adjust, &customer, &request), STATUS_PERMISSION_DENIED, "NOT_YOURS");
}

static void test_services_catalog__currency_bucket_kind_and_quota_are_fixed_while_in_use (void **state)
{
    (void) state;
    struct id provider = provider_of_staff (), quota = world_offer (w, &provider, 10);
    struct put_offer_request request = world_offer_request (w, &provider);
    assert_int_equal (put_offer (&staff, &request), STATUS_OK);
    struct id taken = world_take (w, &customer, RESERVE_MODE_HOLD, &request.offer, 40, 6);
    request.has_version = true;
    request.version = 1;
    struct put_offer_request changes[] = {request, request, request};
    changes[0].currency = BYTES_LITERAL ("EUR");
    changes[1].has_bucket_kind = true;
    changes[1].bucket_kind = BUCKET_KIND_NIGHT;
    changes[2].has_quota = true;
    changes[2].quota = quota;
    for (size_t i = 0; i < 3; i++)
        assert_refused (put_offer (&staff, &changes[i]), STATUS_FAILED_PRECONDITION, "IN_USE");
    assert_true (bytes_equal (w->refusal.field, BYTES_LITERAL ("quota")));
    assert_int_equal (world_resolve (w, METHOD_NUMBER_RESERVE_RELEASE, &customer, &taken), STATUS_OK);
    for (size_t i = 0; i < 3; i++) {
        changes[i].version = i + 1;
        assert_int_equal (put_offer (&staff, &changes[i]), STATUS_OK);
    }
}

/* Expired holds do not stand in a provider's way. */
static void test_services_catalog__due_holds_are_not_in_use (void **state)
{
    (void) state;
    struct id provider = provider_of_staff ();
    struct put_offer_request request = world_offer_request (w, &provider);
    assert_int_equal (put_offer (&staff, &request), STATUS_OK);
    world_take (w, &customer, RESERVE_MODE_HOLD, &request.offer, 40, 6);
    w->now_ms += 600000;
    request.has_version = true;
    request.version = 1;
    request.capacity = 0;
    request.currency = BYTES_LITERAL ("EUR");
    assert_int_equal (put_offer (&staff, &request), STATUS_OK);
}

static void test_services_catalog__get_says_not_found (void **state)
{
    (void) state;
    struct catalog_get_request request = {.id = world_id (w)};
    assert_refused (world_read (w, METHOD_NUMBER_CATALOG_GET, &customer, &request), STATUS_NOT_FOUND, "NOT_FOUND");
    request.id = id_make (1, placement_hash_group (world_group (WORLD_SHARD + 1)), 1);
    assert_refused (
        world_read (w, METHOD_NUMBER_CATALOG_GET, &customer, &request), STATUS_INVALID_ARGUMENT, "WRONG_SHARD");
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (test_services_catalog__provider_is_stored_and_owned_by_its_maker),
        TEST (test_services_catalog__provider_id_carries_its_groups_hash),
        TEST (test_services_catalog__group_is_for_ever),
        TEST (test_services_catalog__versions_must_be_the_present_one),
        TEST (test_services_catalog__only_owner_and_operators_change),
        TEST (test_services_catalog__offer_is_stored_open_by_default),
        TEST (test_services_catalog__offer_refusals),
        TEST (test_services_catalog__quota_is_another_offer_of_the_provider),
        TEST (test_services_catalog__state_takes_effect_at_once),
        TEST (test_services_catalog__put_keeps_what_it_does_not_name),
        TEST (test_services_catalog__nothing_goes_below_what_is_committed),
        TEST (test_services_catalog__adjust_capacity),
        TEST (test_services_catalog__currency_bucket_kind_and_quota_are_fixed_while_in_use),
        TEST (test_services_catalog__due_holds_are_not_in_use),
        TEST (test_services_catalog__get_says_not_found),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
