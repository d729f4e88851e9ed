/* Writes: one reply each, after the entry is on a majority's disks, and what is told when it may never be. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/shard_world.h"

static struct shard_world world, *const w = &world;
static struct id offer;

static int set_up (void **state)
{
    (void) state;
    shard_world_init (w, NULL);
    offer = shard_world_offer (w, 10);
    return 0;
}

static int set_up_single (void **state)
{
    (void) state;
    shard_world_init (w, &(struct shard_world_options){.nodes = 1});
    offer = shard_world_offer (w, 10);
    return 0;
}

static int tear_down (void **state)
{
    (void) state;
    shard_world_close (w);
    return 0;
}

static uint64_t book (uint32_t node, uint64_t bucket)
{
    return shard_world_book (w, node, &offer, bucket, RESERVE_MODE_BOOK, NULL);
}

static uint32_t follower_of (uint32_t leader)
{
    return leader % 3 + 1;
}

static void test_shard_calls__a_booking_is_answered_once_and_everywhere_applied (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    uint64_t token = book (leader, 5);
    assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
    assert_false (shard_world_find (w, token)->maybe_applied);
    assert_int_equal (shard_world_find (w, token)->leader_node, leader);
    shard_world_settle (w);
    for (uint32_t node = 1; node <= 3; node++)
        assert_int_equal (shard_world_bucket (w, node, &offer, 5).confirmed, 1);
}

static void test_shard_calls__a_turn_takes_many (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    uint64_t tokens[50];
    struct shard_status before = shard_world_status (w, leader);
    for (unsigned i = 0; i < 50; i++)
        tokens[i] = book (leader, i % 7);
    assert_int_equal (shard_world_status (w, leader).calls, 50);
    uint64_t turns = w->nodes[leader].turns;
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal (shard_world_wait (w, tokens[i])->status, STATUS_OK);
    assert_int_equal (shard_world_status (w, leader).applied_index, before.applied_index + 50);
    assert_true (w->nodes[leader].turns - turns < 10);
    assert_int_equal (shard_world_status (w, leader).calls, 0);
    shard_world_settle (w);
}

static void test_shard_calls__no_reply_before_a_majority_has_synced (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    w->slow[1] = w->slow[2] = w->slow[3] = true;
    uint64_t token = book (leader, 5);
    shard_world_run (w, 300);
    assert_int_equal (shard_world_find (w, token)->state, CALL_WAITING);
    w->slow[leader] = false; /* its own copy alone is no majority */
    shard_world_run (w, 300);
    assert_int_equal (shard_world_find (w, token)->state, CALL_WAITING);
    w->slow[follower_of (leader)] = false;
    assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
    shard_world_settle (w);
}

static void test_shard_calls__a_single_voter_waits_for_its_own_disk (void **state)
{
    (void) state;
    w->slow[1] = true;
    uint64_t token = book (1, 5);
    shard_world_run (w, 500);
    assert_int_equal (shard_world_find (w, token)->state, CALL_WAITING);
    w->slow[1] = false;
    assert_int_equal (shard_world_wait (w, token)->status, STATUS_OK);
    shard_world_settle (w);
}

static void test_shard_calls__a_follower_names_the_leader (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    shard_world_run (w, 200);
    struct shard_world_call *call = shard_world_wait (w, book (follower_of (leader), 5));
    assert_int_equal (call->status, STATUS_UNAVAILABLE);
    assert_string_equal (call->reason, "NOT_LEADER");
    assert_int_equal (call->leader_node, leader);
    assert_false (call->maybe_applied);
    shard_world_settle (w);
    assert_int_equal (shard_world_bucket (w, leader, &offer, 5).confirmed, 0);
}

static void test_shard_calls__refusals_of_the_domain_are_decided_in_the_log (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal (shard_world_wait (w, book (leader, 3))->status, STATUS_OK);
    struct shard_status before = shard_world_status (w, leader);
    struct shard_world_call *call = shard_world_wait (w, book (leader, 3));
    assert_string_equal (call->reason, "SOLD_OUT");
    assert_true (call->body.len > 0);
    assert_int_equal (shard_world_status (w, leader).applied_index, before.applied_index + 1);
    shard_world_settle (w);
}

/* ---- one request id, several times */

static uint64_t book_as (uint32_t node, const struct id *request_id, const struct id *reservation)
{
    struct principal who = world_principal (7, ROLE_CUSTOMER);
    struct reserve_item item = world_item (&offer, 9, 1, 1);
    struct reserve_create_request request = {
        .reservation = *reservation, .mode = RESERVE_MODE_BOOK, .items = &item, .items_count = 1};
    return shard_world_call (w, node, METHOD_NUMBER_RESERVE_CREATE, &who, request_id, &request);
}

static void test_shard_calls__the_same_id_in_flight_twice_books_once (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    struct id request_id = world_id (&w->ids), reservation = world_id (&w->ids);
    uint64_t first = book_as (leader, &request_id, &reservation), second = book_as (leader, &request_id, &reservation);
    shard_world_wait (w, first);
    shard_world_wait (w, second);
    assert_int_equal (shard_world_find (w, first)->status, STATUS_OK);
    assert_false (shard_world_find (w, first)->replayed);
    assert_int_equal (shard_world_find (w, second)->status, STATUS_OK);
    assert_true (shard_world_find (w, second)->replayed);
    assert_true (bytes_equal (shard_world_find (w, first)->body, shard_world_find (w, second)->body));
    struct shard_status before = shard_world_status (w, leader);
    struct shard_world_call *third = shard_world_wait (w, book_as (leader, &request_id, &reservation));
    assert_true (third->replayed);
    assert_int_equal (shard_world_status (w, leader).last_index, before.last_index); /* no entry for it */
    shard_world_settle (w);
    assert_int_equal (shard_world_bucket (w, 2, &offer, 9).confirmed, 1);
}

/* ---- bounds */

static void test_shard_calls__too_many_in_flight_are_refused_at_once (void **state)
{
    (void) state;
    shard_world_close (w);
    shard_world_init (w, &(struct shard_world_options){.calls_max = 8});
    offer = shard_world_offer (w, 100);
    uint32_t leader = shard_world_leader (w);
    uint64_t tokens[12];
    for (unsigned i = 0; i < 12; i++)
        tokens[i] = book (leader, 1);
    assert_int_equal (shard_world_status (w, leader).calls, 8);
    for (unsigned i = 0; i < 12; i++) {
        struct shard_world_call *call = shard_world_wait (w, tokens[i]);
        if (i < 8) {
            assert_int_equal (call->status, STATUS_OK);
            continue;
        }
        assert_int_equal (call->status, STATUS_RESOURCE_EXHAUSTED);
        assert_string_equal (call->reason, "SHARD_BUSY");
        assert_true (call->retry_after_ms > 0);
        assert_false (call->maybe_applied);
        assert_true (call->answered_ms <= call->started_ms + 1);
    }
    assert_int_equal (shard_world_wait (w, book (leader, 1))->status, STATUS_OK); /* there is room again */
    shard_world_settle (w);
}

static void test_shard_calls__a_full_log_refuses_until_it_is_cut (void **state)
{
    (void) state;
    shard_world_close (w);
    shard_world_init (w, &(struct shard_world_options){.log_bytes_max = 4096});
    offer = shard_world_offer (w, 100);
    uint32_t leader = shard_world_leader (w);
    unsigned booked = 0;
    struct shard_world_call *call = NULL;
    for (; booked < 100; booked++) {
        call = shard_world_wait (w, book (leader, 1));
        if (call->status != STATUS_OK)
            break;
    }
    assert_true (booked > 3 && booked < 100);
    assert_string_equal (call->reason, "SHARD_BUSY");
    shard_world_run (w, 100);
    shard_world_write_back (w, leader, 2);
    assert_int_equal (shard_world_wait (w, book (leader, 1))->status, STATUS_OK);
    shard_world_settle (w);
    assert_int_equal (shard_world_bucket (w, leader, &offer, 1).confirmed, booked + 1);
}

static void restart_without_a_clock (void)
{
    shard_world_run (w, 100);
    w->wall_ms = 0; /* a new leader takes no writes */
    for (uint32_t node = 1; node <= 3; node++)
        shard_world_crash (w, node);
    for (uint32_t node = 1; node <= 3; node++)
        shard_world_start (w, node);
}

static void test_shard_calls__deadlines_of_waiting_calls_are_kept (void **state)
{
    (void) state;
    restart_without_a_clock ();
    uint32_t leader = shard_world_elect (w);
    struct principal who = world_principal (7, ROLE_CUSTOMER);
    struct reserve_item item = world_item (&offer, 9, 1, 1);
    struct reserve_create_request request = {
        .reservation = world_id (&w->ids), .mode = RESERVE_MODE_BOOK, .items = &item, .items_count = 1};
    uint64_t tokens[3];
    for (unsigned i = 0; i < 3; i++) {
        request.reservation = world_id (&w->ids);
        tokens[i] = shard_world_call_by (w, leader, METHOD_NUMBER_RESERVE_CREATE, &who, NULL, &request,
            i == 1 ? shard_world_clock (w, leader) + 200 : 0);
    }
    shard_world_run (w, 300);
    assert_int_equal (shard_world_find (w, tokens[0])->state, CALL_WAITING);
    assert_int_equal (shard_world_find (w, tokens[1])->state, CALL_ANSWERED);
    assert_int_equal (shard_world_find (w, tokens[1])->status, STATUS_DEADLINE_EXCEEDED);
    assert_false (shard_world_find (w, tokens[1])->maybe_applied);
    assert_in_range (
        shard_world_find (w, tokens[1])->answered_ms - shard_world_find (w, tokens[1])->started_ms, 200, 201);
    w->wall_ms = WORLD_START_MS;
    assert_int_equal (shard_world_wait (w, tokens[0])->status, STATUS_OK);
    assert_int_equal (shard_world_wait (w, tokens[2])->status, STATUS_OK);
    shard_world_settle (w);
}

static void test_shard_calls__waiting_calls_are_bounded_in_bytes (void **state)
{
    (void) state;
    static uint8_t body[512 * 1024];
    struct principal who = world_principal (7, ROLE_CUSTOMER);
    restart_without_a_clock ();
    uint32_t leader = shard_world_elect (w);
    uint64_t tokens[20];
    for (unsigned i = 0; i < 20; i++)
        tokens[i] =
            shard_world_call_raw (w, leader, METHOD_NUMBER_RESERVE_CREATE, &who, NULL, bytes_of (body, sizeof body), 0);
    shard_world_run (w, 10);
    for (unsigned i = 0; i < 20; i++) {
        bool waits = shard_world_find (w, tokens[i])->state == CALL_WAITING;
        assert_int_equal (waits, i < SHARD_WAITING_BYTES_MAX / sizeof body);
        if (!waits)
            assert_string_equal (shard_world_find (w, tokens[i])->reason, "SHARD_BUSY");
    }
    w->wall_ms = WORLD_START_MS;
    for (unsigned i = 0; i < 16; i++) /* what it is, is looked at later */
        assert_string_equal (shard_world_wait (w, tokens[i])->reason, "BAD_REQUEST");
    assert_int_equal (shard_world_wait (w, book (leader, 1))->status, STATUS_OK);
    shard_world_settle (w);
}

/* ---- prepare jobs */

static struct principal nobody (void)
{
    return (struct principal){.kind = PRINCIPAL_KIND_ANONYMOUS};
}

static struct id user_request_id (struct bytes login)
{
    return id_make (w->ids.now_ms, placement_hash_user (login), ++w->ids.serial);
}

/* A login that is at home in this shard. */
static struct bytes local_login (void)
{
    static char login[16];
    for (unsigned i = 0;; i++) {
        snprintf (login, sizeof login, "user%u", i);
        if (placement_shard (placement_hash_user (bytes_text (login)), WORLD_SHARDS) == WORLD_SHARD)
            return bytes_text (login);
    }
}

static bool log_contains (struct bytes secret)
{
    for (uint32_t node = 1; node <= 3; node++) {
        for (size_t i = 0; i < w->nodes[node].entries_count; i++) {
            struct bytes payload = w->nodes[node].entries[i].payload;
            for (size_t at = 0; at + secret.len <= payload.len; at++) {
                if (memcmp (payload.data + at, secret.data, secret.len) == 0 &&
                    (at < 5 || memcmp (payload.data + at - 5, "hash:", 5) != 0)) /* our own "hash" of it may */
                    return true;
            }
        }
    }
    return false;
}

static struct shard_world_call *with_jobs (uint64_t token)
{
    struct shard_world_call *call = shard_world_wait (w, token);
    assert_int_equal (call->state, CALL_JOB);
    assert_int_equal (shard_world_run_jobs (w), 1);
    return shard_world_wait (w, token);
}

static void test_shard_calls__passwords_take_the_way_over_a_job (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    struct bytes login = local_login (), password = BYTES_LITERAL ("correct horse battery");
    struct register_request request = {.login = login, .password = password};
    struct principal who = nobody ();
    struct id id = user_request_id (login);
    struct shard_world_call *call =
        with_jobs (shard_world_call (w, leader, METHOD_NUMBER_AUTH_REGISTER, &who, &id, &request));
    assert_int_equal (call->status, STATUS_OK);

    struct login_request right = {.login = login, .password = password};
    id = user_request_id (login);
    call = with_jobs (shard_world_call (w, leader, METHOD_NUMBER_AUTH_LOGIN, &who, &id, &right));
    assert_int_equal (call->status, STATUS_OK);
    struct login_request wrong = {.login = login, .password = BYTES_LITERAL ("incorrect")};
    id = user_request_id (login);
    call = with_jobs (shard_world_call (w, leader, METHOD_NUMBER_AUTH_LOGIN, &who, &id, &wrong));
    assert_int_equal (call->status, STATUS_UNAUTHENTICATED);

    id = user_request_id (login); /* a taken name costs no job and no entry */
    struct shard_status before = shard_world_status (w, leader);
    call = shard_world_wait (w, shard_world_call (w, leader, METHOD_NUMBER_AUTH_REGISTER, &who, &id, &request));
    assert_int_equal (call->status, STATUS_ALREADY_EXISTS);
    assert_int_equal (shard_world_status (w, leader).last_index, before.last_index);
    shard_world_settle (w);
    assert_false (log_contains (password));
}

static void test_shard_calls__what_no_log_entry_holds_is_refused_for_good (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    struct bytes login = local_login ();
    struct register_request request = {.login = login, .password = BYTES_LITERAL ("secret words")};
    struct principal who = nobody ();
    struct id id = user_request_id (login);
    uint64_t token = shard_world_call (w, leader, METHOD_NUMBER_AUTH_REGISTER, &who, &id, &request);
    struct shard_world_call *call = shard_world_wait (w, token);
    struct bytes small = call->job_body;
    static const uint8_t large[300000];
    call->job_body = bytes_of (large, sizeof large);
    assert_int_equal (shard_world_run_jobs (w), 1);
    call->job_body = small;
    assert_int_equal (shard_world_wait (w, token)->status, STATUS_INVALID_ARGUMENT);
    assert_string_equal (shard_world_find (w, token)->reason, "TOO_LARGE");
    shard_world_settle (w);
}

static void test_shard_calls__a_job_that_comes_back_to_a_follower_is_refused (void **state)
{
    (void) state;
    uint32_t leader = shard_world_leader (w);
    struct bytes login = local_login ();
    struct register_request request = {.login = login, .password = BYTES_LITERAL ("secret words")};
    struct principal who = nobody ();
    struct id id = user_request_id (login);
    uint64_t token = shard_world_call (w, leader, METHOD_NUMBER_AUTH_REGISTER, &who, &id, &request);
    assert_int_equal (shard_world_wait (w, token)->state, CALL_JOB);
    shard_world_event (w, leader, (struct shard_event){.type = SHARD_EVENT_TRANSFER});
    shard_world_run (w, 200);
    assert_int_not_equal (shard_world_leader (w), leader);
    assert_int_equal (shard_world_run_jobs (w), 1);
    struct shard_world_call *call = shard_world_wait (w, token);
    assert_string_equal (call->reason, "NOT_LEADER");
    assert_false (call->maybe_applied);
    shard_world_settle (w);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (
            test_shard_calls__a_booking_is_answered_once_and_everywhere_applied, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_calls__a_turn_takes_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_calls__no_reply_before_a_majority_has_synced, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_calls__a_single_voter_waits_for_its_own_disk, set_up_single, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_calls__a_follower_names_the_leader, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_calls__refusals_of_the_domain_are_decided_in_the_log, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_calls__the_same_id_in_flight_twice_books_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_calls__too_many_in_flight_are_refused_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_calls__a_full_log_refuses_until_it_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_calls__deadlines_of_waiting_calls_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_calls__passwords_take_the_way_over_a_job, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_calls__a_job_that_comes_back_to_a_follower_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown (test_shard_calls__waiting_calls_are_bounded_in_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown (
            test_shard_calls__what_no_log_entry_holds_is_refused_for_good, set_up, tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
