/* libmaitre against nodes that refuse for now or say nothing: what is repeated, and under which id; what stays unknown. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "test/support/client_rig.h"

/* ---- retries */

static void script_third_time (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    note (node->user, request);
    if (request->number < 3) {
        answer->header.status = STATUS_UNAVAILABLE;
        answer->header.has_reason = true;
        answer->header.reason = BYTES_LITERAL ("NO_LEADER");
        return;
    }
    fake_node_friendly (node, request, answer);
}

static void test_client_retry__unavailable_is_repeated_under_the_same_id (void **state)
{
    (void) state;
    struct seen seen = {0};
    struct fake_node node = {0};
    assert_true (fake_node_start (&node, script_third_time, &seen));
    struct maitre *client = client_of (&node, NULL, NULL);
    assert_int_equal (book (client, NULL), MAITRE_OK);
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_int_equal (seen.count, 3);
    for (uint32_t i = 1; i < 3; i++) {
        assert_true (id_equal (&seen.request_ids[0], &seen.request_ids[i]));
        assert_int_not_equal (seen.calls[0], seen.calls[i]);
    }
}

static void script_unavailable (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    (void) node;
    (void) request;
    answer->header.status = STATUS_UNAVAILABLE;
    answer->header.has_reason = answer->header.has_message = answer->header.has_retry_after_ms = true;
    answer->header.reason = BYTES_LITERAL ("DISK_FULL");
    answer->header.message = BYTES_LITERAL ("free some space");
    answer->header.retry_after_ms = 200;
}

static void test_client_retry__gives_up_at_the_deadline_with_the_last_reason (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct maitre_options options;
    maitre_options_init (&options);
    options.deadline_ms = 1000;
    options.attempt_ms = 60000; /* repeated because it was refused, never because the answer was late */
    assert_true (fake_node_start (&node, script_unavailable, NULL));
    struct maitre *client = client_of (&node, NULL, &options);
    wait_connected (client, 1);
    uint64_t started = now_ms ();
    assert_int_equal (book (client, NULL), MAITRE_UNAVAILABLE);
    assert_in_range (now_ms () - started, 700, 60000);
    assert_string_equal (maitre_error (client)->reason, "DISK_FULL");
    assert_string_equal (maitre_error (client)->message, "free some space");
    assert_false (maitre_error (client)->maybe_applied); /* every attempt was refused */
    assert_true (maitre_error (client)->retryable);
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_in_range (node.requests, 2, 7); /* retry_after_ms was kept to */
}

static void test_client_retry__attempts_max_ends_a_call_early (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct maitre_call_options options;
    struct maitre_reply *reply = NULL;
    maitre_call_options_init (&options);
    options.attempts_max = 2;
    assert_true (fake_node_start (&node, script_unavailable, NULL));
    struct maitre *client = client_of (&node, NULL, NULL);
    assert_int_equal (maitre_call (client, "health.Check", no_fields, &options, &reply), MAITRE_UNAVAILABLE);
    assert_non_null (reply);
    assert_int_equal (reply->attempts, 2);
    assert_string_equal (reply->reason, "DISK_FULL");
    maitre_reply_destroy (&reply);
    assert_null (reply);
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_int_equal (node.requests, 2);
}

static void script_full (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    (void) node;
    (void) request;
    answer->header.status = STATUS_RESOURCE_EXHAUSTED;
    answer->header.has_retry_after_ms = true;
    answer->header.retry_after_ms = 250;
}

static void test_client_retry__slow_down_is_for_the_caller (void **state)
{
    (void) state;
    struct fake_node node = {0};
    assert_true (fake_node_start (&node, script_full, NULL));
    struct maitre *client = client_of (&node, NULL, NULL);
    assert_int_equal (book (client, NULL), MAITRE_RESOURCE_EXHAUSTED);
    assert_int_equal (maitre_error (client)->retry_after_ms, 250);
    assert_true (maitre_error (client)->retryable);
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_int_equal (node.requests, 1);
}

static void script_wait_for_third (
    struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    fake_node_friendly (node, request, answer);
    if (bytes_equal (request->header.method, BYTES_LITERAL ("health.Check")) || request->number >= 4)
        return;
    script_unavailable (node, request, answer);
    answer->type = NULL;
    answer->header.retry_after_ms = 20000;
}

static void test_client_retry__pauses_end_when_the_shard_has_a_leader (void **state)
{
    (void) state;
    struct fake_node node = {0};
    const struct fake_node *const cluster[] = {&node};
    struct answered answered = {0};
    struct maitre_options options;
    maitre_options_init (&options);
    options.deadline_ms = 60000;
    node.cluster = cluster;
    node.cluster_count = 1; /* the ring knows no leader: the third call finds it */
    node.shard_count = 1;
    assert_true (fake_node_start (&node, script_wait_for_third, NULL));
    struct maitre *client = client_of (&node, NULL, &options);
    assert_int_equal (maitre_connect (client, 60000), MAITRE_OK);
    struct maitre_item item = {.offer = maitre_id_provider (client, NULL)};
    struct maitre_reserve request = {.mode = MAITRE_BOOK, .items = &item, .items_count = 1};
    for (int i = 0; i < 2; i++)
        assert_int_equal (
            maitre_reserve_create_start (client, &request, NULL, count_answer, &answered, NULL), MAITRE_OK);
    for (uint64_t end = now_ms () + 60000; now_ms () < end && node.requests < 3;)
        maitre_process (client, 5);
    maitre_process (client, 50);
    assert_int_equal (answered.count, 0);
    uint64_t started = now_ms ();
    assert_int_equal (book (client, NULL), MAITRE_OK);
    while (answered.count < 2 && now_ms () - started < 18000) /* the pauses would take 20 s */
        maitre_process (client, 10);
    assert_int_equal (answered.count, 2);
    assert_int_equal (answered.status, MAITRE_OK);
    maitre_destroy (&client);
    fake_node_stop (&node);
}

static void script_silent (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    (void) node;
    (void) request;
    answer->silent = true;
}

/* A node that waited for a leader, and then became it, names itself: the call goes there again, at once. */
static void script_leads_now (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    fake_node_friendly (node, request, answer);
    if (request->number > 1)
        return;
    script_unavailable (node, request, answer);
    answer->type = NULL;
    answer->header.retry_after_ms = 20000;
    answer->header.has_leader = true;
    answer->header.leader = bytes_text (node->endpoint);
}

static void test_client_retry__who_has_become_the_leader_is_asked_again_at_once (void **state)
{
    (void) state;
    struct fake_node node = {0};
    assert_true (fake_node_start (&node, script_leads_now, NULL));
    struct maitre *client = client_of (&node, NULL, NULL);
    wait_connected (client, 1);
    uint64_t started = now_ms ();
    assert_int_equal (book (client, NULL), MAITRE_OK);
    assert_true (now_ms () - started < 18000); /* the pause would take 20 s */
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_int_equal (node.requests, 2);
}

static void script_refuses_four_times (
    struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    fake_node_friendly (node, request, answer);
    if (request->number > 4)
        return;
    script_unavailable (node, request, answer);
    answer->type = NULL;
}

static void test_client_retry__who_refuses_is_asked_rather_than_who_is_silent (void **state)
{
    (void) state;
    struct fake_node dead = {0}, waits = {0};
    struct maitre_options options;
    maitre_options_init (&options);
    options.attempt_ms = 3000;
    options.deadline_ms = 60000;
    assert_true (fake_node_start (&dead, script_silent, NULL));
    assert_true (fake_node_start (&waits, script_refuses_four_times, NULL));
    struct maitre *client = client_of (&dead, &waits, &options);
    wait_connected (client, 2);
    assert_int_equal (book (client, NULL), MAITRE_OK);
    maitre_destroy (&client);
    fake_node_stop (&dead);
    fake_node_stop (&waits);
    assert_int_equal (dead.requests, 1); /* each more would have cost an attempt's time, which doubles */
    assert_int_equal (waits.requests, 5);
}

static void script_always_refuses (
    struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    script_unavailable (node, request, answer);
}

/* Silent once, and nothing tells that it would answer now: it must be found all the same. */
static void script_deaf_once (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    if (request->number == 1)
        answer->silent = true;
    else
        fake_node_friendly (node, request, answer);
}

static void test_client_retry__who_was_silent_is_asked_again_in_the_end (void **state)
{
    (void) state;
    struct fake_node deaf = {0}, useless = {0};
    struct maitre_options options;
    maitre_options_init (&options);
    options.attempt_ms = 1000;
    options.deadline_ms = 60000;
    assert_true (fake_node_start (&deaf, script_deaf_once, NULL));
    assert_true (fake_node_start (&useless, script_always_refuses, NULL));
    struct maitre *client = client_of (&deaf, &useless, &options);
    wait_connected (client, 2);
    assert_int_equal (book (client, NULL), MAITRE_OK);
    maitre_destroy (&client);
    fake_node_stop (&deaf);
    fake_node_stop (&useless);
}

/* One stays silent, one was only once: with two others that always refuse there is always somebody who is not doubted. */
static void test_client_retry__who_was_silent_is_asked_again_beside_two_that_refuse (void **state)
{
    (void) state;
    struct fake_node nodes[4] = {{.stop = false}};
    const struct fake_node *const all[] = {&nodes[0], &nodes[1], &nodes[2], &nodes[3]};
    static fake_script *const scripts[] = {
        script_silent, script_deaf_once, script_always_refuses, script_always_refuses};
    struct maitre_options options;
    maitre_options_init (&options);
    options.attempt_ms = 100;
    options.backoff_max_ms = 5;
    options.deadline_ms = 40000;
    for (int i = 0; i < 4; i++) {
        nodes[i].cluster = all;
        nodes[i].cluster_count = 4;
        assert_true (fake_node_start (&nodes[i], scripts[i], NULL));
    }
    struct maitre *client = client_of (&nodes[0], &nodes[1], &options);
    wait_connected (client, 4);
    assert_int_equal (book (client, NULL), MAITRE_OK);
    maitre_destroy (&client);
    for (int i = 0; i < 4; i++)
        fake_node_stop (&nodes[i]);
}

/* A call for node 3, by a handle that takes the only endpoint it was given for node 1. */
static void test_client_retry__a_call_for_one_node_waits_for_the_ring_to_name_it (void **state)
{
    (void) state;
    struct fake_node nodes[3] = {{.stop = false}};
    const struct fake_node *const all[] = {&nodes[0], &nodes[1], &nodes[2]};
    struct maitre_options options;
    struct maitre_call_options pinned;
    maitre_options_init (&options);
    maitre_call_options_init (&pinned);
    pinned.node = 3;
    pinned.deadline_ms = 20000;
    for (int i = 0; i < 3; i++) {
        nodes[i].cluster = all;
        nodes[i].cluster_count = 3;
        assert_true (fake_node_start (&nodes[i], fake_node_friendly, NULL));
    }
    fake_node_stop (&nodes[0]);
    fake_node_stop (&nodes[1]); /* no connection but this one will wake the call */
    struct maitre *client = client_of (&nodes[2], NULL, &options);
    assert_int_equal (maitre_call (client, "health.Check", no_fields, &pinned, NULL), MAITRE_OK);
    assert_int_equal (nodes[2].requests, 1);
    maitre_destroy (&client);
    fake_node_stop (&nodes[2]);
}

/* ---- silence, and outcomes that are not known */

static void test_client_retry__a_silent_write_may_have_been_applied (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct maitre_options options;
    maitre_options_init (&options);
    options.deadline_ms = 1000;
    assert_true (fake_node_start (&node, script_silent, NULL));
    struct maitre *client = client_of (&node, NULL, &options);
    wait_connected (client, 1);
    assert_int_equal (book (client, NULL), MAITRE_DEADLINE_EXCEEDED);
    assert_true (maitre_error (client)->maybe_applied);
    assert_true (maitre_error (client)->retryable);
    assert_false (maitre_id_is_zero (&maitre_error (client)->request_id));

    struct maitre_id id = maitre_id_provider (client, NULL);
    assert_int_equal (maitre_reserve_get (client, &id, NULL), MAITRE_DEADLINE_EXCEEDED);
    assert_false (maitre_error (client)->maybe_applied); /* a read changes nothing */
    maitre_destroy (&client);
    fake_node_stop (&node);
}

static void script_silent_once (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    note (node->user, request);
    if (request->number == 1)
        answer->silent = true;
    else if (request->number == 2)
        script_full (node, request, answer); /* no outcome: the first try may have been applied */
    else
        fake_node_friendly (node, request, answer);
}

static void test_client_retry__an_unknown_outcome_is_asked_for_until_it_is_known (void **state)
{
    (void) state;
    struct seen seen = {0};
    struct fake_node node = {0};
    struct maitre_options options;
    maitre_options_init (&options);
    options.attempt_ms = 100;
    options.deadline_ms = 60000;
    assert_true (fake_node_start (&node, script_silent_once, &seen));
    struct maitre *client = client_of (&node, NULL, &options);
    assert_int_equal (book (client, NULL), MAITRE_OK);
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_in_range (seen.count, 3, 16); /* more where the machine is slower than an attempt */
    assert_true (id_equal (&seen.request_ids[0], &seen.request_ids[1]));
    assert_true (id_equal (&seen.request_ids[0], &seen.request_ids[2]));
}

/* Logs in; the first refresh is swallowed, the next one answered. */
static void script_tokens (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    static struct login_reply reply;
    note (node->user, request);
    reply = (struct login_reply){.sequence = request->number,
        .has_access_token = true,
        .access_token = request->number == 1 ? BYTES_LITERAL ("access-1") : BYTES_LITERAL ("access-2"),
        .has_refresh_token = true,
        .refresh_token = BYTES_LITERAL ("refresh")};
    answer->type = &login_reply_type;
    answer->value = &reply;
    answer->silent = request->number == 2;
    if (bytes_equal (request->header.method, BYTES_LITERAL ("health.Check")))
        fake_node_friendly (node, request, answer);
}

static void test_client_retry__an_unknown_refresh_is_repeated_under_its_id (void **state)
{
    (void) state;
    struct seen seen = {0};
    struct fake_node node = {0};
    struct maitre_session session;
    struct maitre_options options;
    maitre_options_init (&options);
    options.deadline_ms = 2000;
    options.attempt_ms = 60000; /* the second try is the caller's */
    assert_true (fake_node_start (&node, script_tokens, &seen));
    struct maitre *client = client_of (&node, NULL, &options);
    assert_int_equal (maitre_login (client, "Alice", "secret", &session), MAITRE_OK);
    assert_string_equal (session.refresh_token, "refresh");
    assert_int_equal (maitre_refresh (client, &session), MAITRE_DEADLINE_EXCEEDED);
    assert_string_equal (seen.token, "access-1");
    assert_int_equal (session.sequence, 1);
    assert_int_equal (maitre_refresh (client, &session), MAITRE_OK);
    assert_int_equal (session.sequence, 3);
    assert_true (maitre_id_is_zero (&session.unknown_refresh));
    assert_int_equal (maitre_call (client, "health.Check", no_fields, NULL, NULL), MAITRE_OK);
    assert_string_equal (seen.token, "access-2");
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_true (id_equal (&seen.request_ids[1], &seen.request_ids[2]));
    assert_false (id_equal (&seen.request_ids[0], &seen.request_ids[1]));
}

/* The first try is swallowed, each later one refused as unauthenticated. */
static void script_swallows_then_denies (
    struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    (void) node;
    answer->silent = request->number == 1;
    answer->header.status = STATUS_UNAUTHENTICATED;
    answer->header.has_reason = true;
    answer->header.reason = bytes_equal (request->header.method, BYTES_LITERAL ("auth.Login"))
                                ? BYTES_LITERAL ("BAD_CREDENTIALS")
                                : BYTES_LITERAL ("TOKEN_EXPIRED");
}

static struct maitre_error denied_in_the_end (bool login)
{
    struct fake_node node = {0};
    struct maitre_session session;
    struct maitre_options options;
    maitre_options_init (&options);
    options.attempt_ms = 100;
    options.deadline_ms = 60000;
    assert_true (fake_node_start (&node, script_swallows_then_denies, NULL));
    struct maitre *client = client_of (&node, NULL, &options);
    enum maitre_status status = login ? maitre_login (client, "alice", "wrong", &session) : book (client, NULL);
    assert_int_equal (status, MAITRE_UNAUTHENTICATED);
    struct maitre_error error = *maitre_error (client);
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_true (error.attempts >= 2);
    return error;
}

/* Hashing takes as long as an attempt where a machine is busy: a wrong password is one all the same. */
static void test_client_retry__a_slow_wrong_password_is_no_unknown_outcome (void **state)
{
    (void) state;
    struct maitre_error error = denied_in_the_end (true);
    assert_string_equal (error.reason, "BAD_CREDENTIALS");
    assert_false (error.maybe_applied);
    assert_true (denied_in_the_end (false).maybe_applied); /* that refusal says nothing about the try before it */
}

static void test_client_retry__nobody_there_is_unavailable_and_not_unknown (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct maitre_options options;
    maitre_options_init (&options);
    options.deadline_ms = 60;
    assert_true (fake_node_start (&node, script_silent, NULL));
    fake_node_stop (&node);
    struct maitre *client = client_of (&node, NULL, &options);
    assert_int_equal (book (client, NULL), MAITRE_UNAVAILABLE);
    assert_string_equal (maitre_error (client)->reason, "NO_NODE");
    assert_false (maitre_error (client)->maybe_applied);
    assert_int_equal (maitre_connect (client, 50), MAITRE_UNAVAILABLE);
    maitre_destroy (&client);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_client_retry__unavailable_is_repeated_under_the_same_id),
        cmocka_unit_test (test_client_retry__gives_up_at_the_deadline_with_the_last_reason),
        cmocka_unit_test (test_client_retry__attempts_max_ends_a_call_early),
        cmocka_unit_test (test_client_retry__slow_down_is_for_the_caller),
        cmocka_unit_test (test_client_retry__pauses_end_when_the_shard_has_a_leader),
        cmocka_unit_test (test_client_retry__who_has_become_the_leader_is_asked_again_at_once),
        cmocka_unit_test (test_client_retry__who_refuses_is_asked_rather_than_who_is_silent),
        cmocka_unit_test (test_client_retry__who_was_silent_is_asked_again_in_the_end),
        cmocka_unit_test (test_client_retry__who_was_silent_is_asked_again_beside_two_that_refuse),
        cmocka_unit_test (test_client_retry__a_call_for_one_node_waits_for_the_ring_to_name_it),
        cmocka_unit_test (test_client_retry__a_silent_write_may_have_been_applied),
        cmocka_unit_test (test_client_retry__an_unknown_outcome_is_asked_for_until_it_is_known),
        cmocka_unit_test (test_client_retry__an_unknown_refresh_is_repeated_under_its_id),
        cmocka_unit_test (test_client_retry__a_slow_wrong_password_is_no_unknown_outcome),
        cmocka_unit_test (test_client_retry__nobody_there_is_unavailable_and_not_unknown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
