#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/services/sessions.h"
#include "test/support/services_world.h"

static struct world world, *const w = &world;
static struct id provider, offer;
static struct principal alice, bob, operator_;

static int setup (void **state)
{
    (void) state;
    world_init (w);
    provider = world_provider (w);
    offer = world_offer (w, &provider, 10);
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

/* Asks as `who` about (of, request_id); of may be NULL for one's own. */
static struct outcome_reply ask (const struct principal *who, const struct principal *of, const struct id *request_id)
{
    struct outcome_request request = {.request_id = *request_id, .has_principal = of != NULL};
    struct outcome_reply reply = {0};
    if (of != NULL)
        request.principal = of->id;
    if (world_call (w, METHOD_NUMBER_CALL_OUTCOME, who, &request) == STATUS_OK)
        world_reply (w, &outcome_reply_type, &reply);
    return reply;
}

static enum status book_as (const struct principal *who, const struct id *request_id, struct reserve_item *item)
{
    struct reserve_create_request request = {
        .reservation = world_id (w), .mode = RESERVE_MODE_BOOK, .items = item, .items_count = 1};
    return world_call_as (w, METHOD_NUMBER_RESERVE_CREATE, who, request_id, &request, bytes_of (NULL, 0));
}

/* Each answer would hold the one before: a chain of questions would outgrow what a record may be, on every replica. */
static void test_services_outcome__answer_to_a_question_about_a_question_does_not_grow (void **state)
{
    (void) state;
    struct reserve_item item = world_item (&offer, 5, 1, 1);
    struct id about = world_id (w);
    assert_int_equal (book_as (&alice, &about, &item), STATUS_OK);
    for (int i = 0; i < 4000; i++) {
        struct outcome_request request = {.request_id = about};
        struct id own = world_id (w);
        struct outcome_reply reply;
        assert_int_equal (
            world_call_as (w, METHOD_NUMBER_CALL_OUTCOME, &alice, &own, &request, bytes_of (NULL, 0)), STATUS_OK);
        world_reply (w, &outcome_reply_type, &reply);
        assert_int_equal (reply.state, OUTCOME_STATE_APPLIED);
        assert_int_equal (reply.status, STATUS_OK);
        assert_int_equal (reply.has_body, i == 0);
        about = own;
    }
}

/* What services_apply asserts of every answer, and an answer about it. */
static void test_services_outcome__every_reply_fits_a_record_and_an_answer_about_it (void **state)
{
    (void) state;
    const struct method *outcome = method_by_number (METHOD_NUMBER_CALL_OUTCOME);
    const uint64_t around =
        outcome->reply->encoded_max - codec_field_by_name (outcome->reply, bytes_text ("body"))->max;
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        bool writes = methods[i].class == METHOD_WRITE || methods[i].class == METHOD_SYSTEM_WRITE;
        if (writes && methods[i].number != METHOD_NUMBER_CALL_OUTCOME)
            assert_true (methods[i].reply->encoded_max + around <= SESSIONS_REPLY_BYTES_MAX);
    }
}

static void test_services_outcome__applied_comes_with_the_reply (void **state)
{
    (void) state;
    struct reserve_item item = world_item (&offer, 5, 1, 1);
    struct id request_id = world_id (w);
    uint8_t body[256];
    assert_int_equal (book_as (&alice, &request_id, &item), STATUS_OK);
    size_t len = w->reply.body.len;
    memcpy (body, w->reply.body.data, len);
    struct outcome_reply reply = ask (&alice, NULL, &request_id);
    assert_int_equal (reply.state, OUTCOME_STATE_APPLIED);
    assert_int_equal (reply.status, STATUS_OK);
    assert_true (bytes_equal (reply.body, bytes_of (body, len)));
}

static void test_services_outcome__a_refusal_was_applied_too (void **state)
{
    (void) state;
    struct reserve_item item = world_item (&offer, 5, 1, 11);
    struct id request_id = world_id (w);
    assert_int_equal (book_as (&alice, &request_id, &item), STATUS_FAILED_PRECONDITION);
    struct outcome_reply reply = ask (&alice, NULL, &request_id);
    assert_int_equal (reply.state, OUTCOME_STATE_APPLIED);
    assert_int_equal (reply.status, STATUS_FAILED_PRECONDITION);
    assert_true (bytes_equal (reply.reason, BYTES_LITERAL ("SOLD_OUT")));
}

static void test_services_outcome__what_did_not_happen_never_will (void **state)
{
    (void) state;
    struct reserve_item item = world_item (&offer, 5, 1, 1);
    struct id request_id = world_id (w);
    assert_int_equal (ask (&alice, NULL, &request_id).state, OUTCOME_STATE_FENCED);
    assert_int_equal (book_as (&alice, &request_id, &item), STATUS_ABORTED);
    assert_string_equal (w->reply.reason, "FENCED");
    assert_true (w->reply.replayed);
    assert_int_equal (world_bucket (w, &offer, 5).confirmed, 0);
    assert_int_equal (ask (&alice, NULL, &request_id).state, OUTCOME_STATE_FENCED);
    /* Nobody else's call with that id is touched. */
    assert_int_equal (book_as (&bob, &request_id, &item), STATUS_OK);
}

static void test_services_outcome__the_question_itself_is_asked_once (void **state)
{
    (void) state;
    struct reserve_item item = world_item (&offer, 5, 1, 1);
    struct id request_id = world_id (w), question = world_id (w);
    struct outcome_request request = {.request_id = request_id};
    struct outcome_reply reply;
    assert_int_equal (book_as (&alice, &request_id, &item), STATUS_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal (
            world_call_as (w, METHOD_NUMBER_CALL_OUTCOME, &alice, &question, &request, bytes_of (NULL, 0)), STATUS_OK);
        assert_int_equal (w->reply.replayed, i == 1);
        world_reply (w, &outcome_reply_type, &reply);
        assert_int_equal (reply.state, OUTCOME_STATE_APPLIED);
    }
    request.request_id = question;
    assert_int_equal (world_call_as (w, METHOD_NUMBER_CALL_OUTCOME, &bob, &question, &request, bytes_of (NULL, 0)),
        STATUS_INVALID_ARGUMENT);
    assert_string_equal (w->reply.reason, "ASKS_ABOUT_ITSELF");
}

static void test_services_outcome__below_the_horizon_nobody_knows (void **state)
{
    (void) state;
    struct reserve_item item = world_item (&offer, 5, 1, 1);
    struct id request_id = world_id (w);
    assert_int_equal (book_as (&alice, &request_id, &item), STATUS_OK);
    w->now_ms += 2 * 86400000;
    while (world_tick (w))
        ;
    assert_int_equal (ask (&alice, NULL, &request_id).state, OUTCOME_STATE_TOO_OLD);
}

static void test_services_outcome__only_operators_ask_for_others (void **state)
{
    (void) state;
    struct reserve_item item = world_item (&offer, 5, 1, 1);
    struct id request_id = world_id (w);
    assert_int_equal (book_as (&alice, &request_id, &item), STATUS_OK);
    ask (&bob, &alice, &request_id);
    assert_int_equal (w->reply.status, STATUS_PERMISSION_DENIED);
    assert_int_equal (ask (&operator_, &alice, &request_id).state, OUTCOME_STATE_APPLIED);
    assert_int_equal (ask (&alice, &alice, &request_id).state, OUTCOME_STATE_APPLIED);
    /* Two principals may use one id: a question under it about the other's is not about itself. */
    struct outcome_request question = {.request_id = request_id, .has_principal = true, .principal = alice.id};
    assert_int_equal (
        world_call_as (w, METHOD_NUMBER_CALL_OUTCOME, &operator_, &request_id, &question, bytes_of (NULL, 0)),
        STATUS_OK);
    struct outcome_reply reply;
    world_reply (w, &outcome_reply_type, &reply);
    assert_int_equal (reply.state, OUTCOME_STATE_APPLIED);
}

static void test_services_outcome__no_fence_far_ahead (void **state)
{
    (void) state;
    struct id request_id = id_make (w->now_ms + 600001, w->hash, 7);
    ask (&alice, NULL, &request_id);
    assert_int_equal (w->reply.status, STATUS_INVALID_ARGUMENT);
    assert_string_equal (w->reply.reason, "REQUEST_FROM_FUTURE");
    struct id foreign = id_make (w->now_ms, placement_hash_group (world_group (WORLD_SHARD + 1)), 7);
    ask (&alice, NULL, &foreign);
    assert_string_equal (w->reply.reason, "WRONG_SHARD");
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (test_services_outcome__every_reply_fits_a_record_and_an_answer_about_it),
        TEST (test_services_outcome__applied_comes_with_the_reply),
        TEST (test_services_outcome__answer_to_a_question_about_a_question_does_not_grow),
        TEST (test_services_outcome__a_refusal_was_applied_too),
        TEST (test_services_outcome__what_did_not_happen_never_will),
        TEST (test_services_outcome__the_question_itself_is_asked_once),
        TEST (test_services_outcome__below_the_horizon_nobody_knows),
        TEST (test_services_outcome__only_operators_ask_for_others),
        TEST (test_services_outcome__no_fence_far_ahead),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
