/* libmaitre against nodes that say what the test wants: answers, leaders, lost nodes, and what a handle refuses. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "test/support/client_rig.h"

/* ---- answers */

static void script_note (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    struct seen *seen = node->user;
    uint8_t room[RESERVE_CREATE_REQUEST_ARENA_MAX];
    struct arena arena;
    arena_init (&arena, room, sizeof room);
    note (seen, request);
    if (codec_decode (&reserve_create_request_type, request->body, CODEC_STRICT, &arena, &seen->create, NULL) ==
        STATUS_OK)
        seen->item = seen->create.items[0];
    fake_node_friendly (node, request, answer);
}

static void test_client__sends_two_frames_with_id_deadline_and_token (void **state)
{
    (void) state;
    struct seen seen = {0};
    struct fake_node node = {0};
    struct maitre_options options;
    struct maitre_reserved result;
    maitre_options_init (&options);
    options.token = "secret-token\n";
    options.deadline_ms = 60000;
    assert_true (fake_node_start (&node, script_note, &seen));
    struct maitre *client = client_of (&node, NULL, &options);
    assert_int_equal (book (client, &result), MAITRE_OK);
    assert_int_equal (result.state, MAITRE_CONFIRMED);
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_int_equal (node.bad_requests, 0);
    assert_int_equal (seen.count, 1);
    assert_string_equal (seen.token, "secret-token");
    assert_in_range (seen.remaining_ms, 20000, 60000);
    assert_int_equal (seen.create.mode, RESERVE_MODE_BOOK);
    assert_int_equal (seen.item.first, 7);
    assert_int_equal (id_hash (&seen.request_ids[0]), id_hash (&seen.item.offer));
    assert_int_equal (id_hash (&seen.create.reservation), id_hash (&seen.item.offer));
}

static void script_refuse (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    static const struct refusal refusal = {.has_bucket = true,
        .bucket = 7,
        .has_earliest_free = true,
        .earliest_free = 12,
        .has_field = true,
        .field = {(const uint8_t *) "items[0]", 8}};
    (void) node;
    (void) request;
    answer->header.status = STATUS_FAILED_PRECONDITION;
    answer->header.has_reason = answer->header.has_message = true;
    answer->header.reason = BYTES_LITERAL ("SOLD_OUT");
    answer->header.message = BYTES_LITERAL ("take bucket 12");
    answer->type = &refusal_type;
    answer->value = &refusal;
}

static void test_client__a_refusal_comes_decoded_and_is_not_repeated (void **state)
{
    (void) state;
    struct fake_node node = {0};
    assert_true (fake_node_start (&node, script_refuse, NULL));
    struct maitre *client = client_of (&node, NULL, NULL);
    assert_int_equal (book (client, NULL), MAITRE_FAILED_PRECONDITION);
    const struct maitre_error *error = maitre_error (client);
    assert_string_equal (error->reason, "SOLD_OUT");
    assert_string_equal (error->message, "take bucket 12");
    assert_string_equal (error->refusal.field, "items[0]");
    assert_true (error->refusal.has_earliest_free);
    assert_int_equal (error->refusal.earliest_free, 12);
    assert_false (error->refusal.has_offer);
    assert_false (error->retryable);
    assert_false (error->maybe_applied);
    assert_false (maitre_id_is_zero (&error->request_id));
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_int_equal (node.requests, 1);
}

/* ---- leaders and lost nodes */

static void script_not_leader (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    const struct fake_node *leader = node->user;
    (void) request;
    answer->header.status = STATUS_UNAVAILABLE;
    answer->header.has_reason = answer->header.has_leader = true;
    answer->header.reason = BYTES_LITERAL ("NOT_LEADER");
    answer->header.leader = bytes_text (leader->endpoint);
}

static void test_client__a_hint_is_followed_and_remembered (void **state)
{
    (void) state;
    struct fake_node follower = {0}, leader = {0};
    const struct fake_node *const cluster[] = {&follower, &leader};
    struct maitre_options options;
    maitre_options_init (&options);
    options.backoff_ms = options.backoff_max_ms = 60000; /* a pause would not end before the deadline */
    options.attempt_ms = 60000;
    options.deadline_ms = 30000;
    follower.cluster = leader.cluster = cluster;
    follower.cluster_count = leader.cluster_count = 2;
    follower.leader = leader.leader = 1; /* the ring is out of date: the first node leads no more */
    assert_true (fake_node_start (&leader, fake_node_friendly, NULL));
    assert_true (fake_node_start (&follower, script_not_leader, &leader));
    struct maitre *client = client_of (&follower, &leader, &options);
    wait_connected (client, 2);
    assert_int_equal (maitre_connect (client, 60000), MAITRE_OK);
    uint32_t asked = follower.requests;
    struct maitre_id provider = maitre_id_provider (client, NULL);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal (maitre_reserve_release (client, &provider, NULL), MAITRE_OK);
    }
    assert_int_equal (follower.requests, asked + 1); /* only the first one went astray */
    maitre_destroy (&client);
    fake_node_stop (&follower);
    fake_node_stop (&leader);
}

static void test_client__calls_go_straight_to_the_leaders_of_the_ring (void **state)
{
    (void) state;
    struct fake_node first = {0}, second = {0};
    const struct fake_node *const cluster[] = {&first, &second};
    first.cluster = second.cluster = cluster;
    first.cluster_count = second.cluster_count = 2;
    first.leader = second.leader = 2;
    assert_true (fake_node_start (&first, fake_node_friendly, NULL));
    assert_true (fake_node_start (&second, fake_node_friendly, NULL));
    struct maitre *client = client_of (&first, &second, NULL);
    wait_connected (client, 2);
    assert_int_equal (maitre_connect (client, 60000), MAITRE_OK);
    uint32_t asked = first.requests;
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal (book (client, NULL), MAITRE_OK);
    assert_int_equal (first.requests, asked);
    assert_in_range (second.requests, 8, 9);
    maitre_destroy (&client);
    fake_node_stop (&first);
    fake_node_stop (&second);
}

static void test_client__nodes_of_the_ring_are_found_from_one_endpoint (void **state)
{
    (void) state;
    struct fake_node first = {0}, second = {0};
    const struct fake_node *const cluster[] = {&first, &second};
    first.cluster = second.cluster = cluster;
    first.cluster_count = second.cluster_count = 2;
    first.leader = second.leader = 2;
    assert_true (fake_node_start (&first, fake_node_friendly, NULL));
    assert_true (fake_node_start (&second, fake_node_friendly, NULL));
    struct maitre *client = client_of (&first, NULL, NULL);
    assert_int_equal (maitre_connect (client, 60000), MAITRE_OK);
    wait_connected (client, 2);
    assert_int_equal (book (client, NULL), MAITRE_OK);
    assert_int_equal (second.requests, 1);
    maitre_destroy (&client);
    fake_node_stop (&first);
    fake_node_stop (&second);
}

static void script_only_health (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    if (bytes_equal (request->header.method, BYTES_LITERAL ("health.Check")))
        fake_node_friendly (node, request, answer);
    else
        answer->silent = true;
}

static void test_client__a_broken_connection_fails_over_at_once (void **state)
{
    (void) state;
    struct fake_node dying = {0}, living = {0};
    const struct fake_node *const cluster[] = {&dying, &living};
    struct answered answered = {0};
    struct maitre_options options;
    maitre_options_init (&options);
    options.attempt_ms = 60000; /* only the broken connection can tell */
    options.deadline_ms = 30000;
    dying.cluster = living.cluster = cluster;
    dying.cluster_count = living.cluster_count = 2;
    dying.leader = living.leader = 1;
    assert_true (fake_node_start (&dying, script_only_health, NULL));
    assert_true (fake_node_start (&living, fake_node_friendly, NULL));
    struct maitre *client = client_of (&dying, &living, &options);
    wait_connected (client, 2);
    assert_int_equal (maitre_connect (client, 60000), MAITRE_OK);
    struct maitre_item item = {.offer = maitre_id_provider (client, NULL)};
    struct maitre_reserve request = {.mode = MAITRE_BOOK, .items = &item, .items_count = 1};
    uint32_t asked = dying.requests;
    assert_int_equal (maitre_reserve_create_start (client, &request, NULL, count_answer, &answered, NULL), MAITRE_OK);
    for (uint64_t end = now_ms () + 20000; now_ms () < end && dying.requests == asked;)
        maitre_process (client, 1);
    assert_int_equal (dying.requests, asked + 1);
    fake_node_stop (&dying);
    while (answered.count == 0)
        maitre_process (client, 10);
    assert_int_equal (answered.count, 1);
    assert_int_equal (answered.status, MAITRE_OK); /* at its deadline it would have failed */
    assert_int_equal (answered.node, 2);
    maitre_destroy (&client);
    fake_node_stop (&living);
}

static void test_client__a_node_that_comes_back_is_used_again (void **state)
{
    (void) state;
    struct fake_node node = {0};
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    struct maitre *client = client_of (&node, NULL, NULL);
    assert_int_equal (book (client, NULL), MAITRE_OK);
    fake_node_stop (&node);
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    assert_int_equal (book (client, NULL), MAITRE_OK);
    maitre_destroy (&client);
    fake_node_stop (&node);
}

static void test_client__a_pinned_call_asks_no_other_node (void **state)
{
    (void) state;
    struct fake_node first = {0}, second = {0};
    struct maitre_call_options options;
    maitre_call_options_init (&options);
    options.node = 2;
    assert_true (fake_node_start (&first, fake_node_friendly, NULL));
    assert_true (fake_node_start (&second, fake_node_friendly, NULL));
    struct maitre *client = client_of (&first, &second, NULL);
    for (int i = 0; i < 4; i++) {
        struct maitre_reply *reply = NULL;
        assert_int_equal (maitre_call (client, "health.Check", no_fields, &options, &reply), MAITRE_OK);
        assert_int_equal (reply->node, 2);
        maitre_reply_destroy (&reply);
    }
    assert_int_equal (first.requests, 0);
    maitre_destroy (&client);
    fake_node_stop (&first);
    fake_node_stop (&second);
}

/* ---- what a handle refuses */

static void inside (struct maitre *client, uint64_t call, const struct maitre_reply *reply, void *user)
{
    struct answered *answered = user;
    count_answer (client, call, reply, user);
    answered->inside_refused = maitre_process (client, 0) == -1 && maitre_call (client, "health.Check", no_fields, NULL,
                                                                       NULL) == MAITRE_FAILED_PRECONDITION;
}

static void test_client__a_callback_cannot_wait (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct answered answered = {0};
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    struct maitre *client = client_of (&node, NULL, NULL);
    assert_int_equal (maitre_start (client, "health.Check", no_fields, NULL, inside, &answered, NULL), MAITRE_OK);
    assert_int_equal (maitre_process (client, -1), 1);
    assert_int_equal (answered.count, 1);
    assert_true (answered.inside_refused);
    assert_int_equal (maitre_process (client, -1), 0); /* nothing is under way: no wait */
    maitre_destroy (&client);
    fake_node_stop (&node);
}

static void test_client__a_bad_request_is_refused_here (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct answered answered = {0};
    static const uint8_t rubbish[] = {0xa1, 0x01, 0x42, 0x00};
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    struct maitre *client = client_of (&node, NULL, NULL);
    struct maitre_bytes body = {rubbish, sizeof rubbish};
    assert_int_equal (
        maitre_start (client, "reserve.Get", body, NULL, count_answer, &answered, NULL), MAITRE_INVALID_ARGUMENT);
    assert_string_equal (maitre_error (client)->reason, "BAD_REQUEST");
    assert_int_equal (
        maitre_start (client, "", no_fields, NULL, count_answer, &answered, NULL), MAITRE_INVALID_ARGUMENT);
    struct maitre_item items[17];
    memset (items, 0, sizeof items);
    struct maitre_reserve many = {.mode = MAITRE_BOOK, .items = items, .items_count = 17};
    assert_int_equal (maitre_reserve_create (client, &many, NULL), MAITRE_INVALID_ARGUMENT);
    many.items_count = 1;
    many.mode = (enum maitre_mode) 9;
    assert_int_equal (maitre_reserve_create (client, &many, NULL), MAITRE_INVALID_ARGUMENT);
    assert_non_null (strstr (maitre_error (client)->message, "mode"));
    assert_int_equal (maitre_outstanding (client), 0);
    assert_int_equal (answered.count, 0);
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_int_equal (node.requests, 0);
}

static void test_client__an_unknown_method_reaches_the_node (void **state)
{
    (void) state;
    struct fake_node node = {0};
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    struct maitre *client = client_of (&node, NULL, NULL);
    assert_int_equal (maitre_call (client, "future.Method", no_fields, NULL, NULL), MAITRE_UNIMPLEMENTED);
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_int_equal (node.requests, 1);
}

static void test_client__the_child_of_a_fork_is_refused (void **state)
{
    (void) state;
    struct fake_node node = {0};
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    struct maitre *client = client_of (&node, NULL, NULL);
    assert_int_equal (book (client, NULL), MAITRE_OK);
    pid_t child = fork ();
    assert_true (child >= 0);
    if (child == 0) {
        bool refused = maitre_process (client, 0) == -1 &&
                       maitre_call (client, "health.Check", no_fields, NULL, NULL) == MAITRE_FAILED_PRECONDITION &&
                       maitre_cancel (client, 1) == MAITRE_FAILED_PRECONDITION;
        maitre_destroy (&client);
        _exit (refused && client == NULL ? 0 : 1);
    }
    int result = -1;
    assert_int_equal (waitpid (child, &result, 0), child);
    assert_true (WIFEXITED (result));
    assert_int_equal (WEXITSTATUS (result), 0);
    assert_int_equal (book (client, NULL), MAITRE_OK); /* the parent's connection was left alone */
    maitre_destroy (&client);
    fake_node_stop (&node);
}

static void test_client__the_flight_recorder_keeps_the_last_calls (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct maitre_trace traces[300];
    static char text[256 * 400];
    assert_true (fake_node_start (&node, fake_node_friendly, NULL));
    struct maitre *client = client_of (&node, NULL, NULL);
    for (int i = 0; i < 258; i++)
        assert_int_equal (maitre_call (client, "health.Check", no_fields, NULL, NULL), MAITRE_OK);
    assert_int_equal (maitre_call (client, "no\"such", no_fields, NULL, NULL), MAITRE_UNIMPLEMENTED);
    assert_int_equal (maitre_trace (client, traces, 300), 256);
    assert_int_equal (maitre_trace (client, traces, 2), 2);
    assert_string_equal (traces[0].method, "health.Check");
    assert_int_equal (traces[0].attempts, 1);
    assert_int_equal (traces[1].status, MAITRE_UNIMPLEMENTED);
    FILE *out = fmemopen (text, sizeof text, "w");
    assert_non_null (out);
    maitre_trace_dump (client, out);
    fclose (out);
    assert_non_null (strstr (text, "{\"method\":\"health.Check\""));
    assert_non_null (strstr (text, "{\"method\":\"no?such\"")); /* still JSON */
    maitre_destroy (&client);
    fake_node_stop (&node);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_client__sends_two_frames_with_id_deadline_and_token),
        cmocka_unit_test (test_client__a_refusal_comes_decoded_and_is_not_repeated),
        cmocka_unit_test (test_client__a_hint_is_followed_and_remembered),
        cmocka_unit_test (test_client__calls_go_straight_to_the_leaders_of_the_ring),
        cmocka_unit_test (test_client__nodes_of_the_ring_are_found_from_one_endpoint),
        cmocka_unit_test (test_client__a_broken_connection_fails_over_at_once),
        cmocka_unit_test (test_client__a_node_that_comes_back_is_used_again),
        cmocka_unit_test (test_client__a_pinned_call_asks_no_other_node),
        cmocka_unit_test (test_client__a_callback_cannot_wait),
        cmocka_unit_test (test_client__a_bad_request_is_refused_here),
        cmocka_unit_test (test_client__an_unknown_method_reaches_the_node),
        cmocka_unit_test (test_client__the_child_of_a_fork_is_refused),
        cmocka_unit_test (test_client__the_flight_recorder_keeps_the_last_calls),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
