/* libmaitre against nodes that say what the test wants: answers, retries, leaders, deadlines, outcomes, refusals. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <maitre.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test/support/fake_node.h"

static uint64_t now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* A handle on up to two nodes; `change` may be NULL. */
static struct maitre *client_of (
    const struct fake_node *first, const struct fake_node *second, const struct maitre_options *change)
{
    struct maitre_options options;
    struct maitre *client = NULL;
    char endpoints[160];
    maitre_options_init (&options);
    if (change != NULL)
        options = *change;
    snprintf (endpoints, sizeof endpoints, "%s%s%s", first->endpoint, second != NULL ? "," : "",
        second != NULL ? second->endpoint : "");
    options.endpoints = endpoints;
    assert_int_equal (maitre_new (&options, &client, NULL), MAITRE_OK);
    assert_non_null (client);
    return client;
}

static void wait_connected (struct maitre *client, uint32_t count)
{
    uint32_t connected = 0;
    for (uint64_t end = now_ms () + 5000; now_ms () < end && connected < count; maitre_nodes (client, &connected))
        maitre_process (client, 1);
    assert_int_equal (connected, count);
}

static const uint8_t empty_map[] = {0xa0};
static const struct maitre_bytes no_fields = {empty_map, 1};

/* A booking of one slot; every field but the offer is a constant. */
static enum maitre_status book (struct maitre *client, struct maitre_reserved *result)
{
    struct maitre_id provider = maitre_id_provider (client, NULL);
    struct maitre_item item = {.offer = maitre_id_beside (client, &provider), .first = 7};
    struct maitre_reserve request = {.mode = MAITRE_BOOK, .items = &item, .items_count = 1};
    return maitre_reserve_create (client, &request, result);
}

/* ---- answers */

struct seen {
    struct id request_ids[16];
    uint64_t calls[16];
    uint32_t count;
    char token[64];
    uint64_t remaining_ms;
    struct reserve_create_request create;
    struct reserve_item item;
};

static void note (struct seen *seen, const struct fake_request *request)
{
    if (seen->count < 16) {
        seen->request_ids[seen->count] = request->header.request_id;
        seen->calls[seen->count++] = request->header.call;
    }
    snprintf (seen->token, sizeof seen->token, "%.*s", (int) request->header.token.len,
        (const char *) request->header.token.data);
    seen->remaining_ms = request->header.remaining_ms;
}

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
    options.deadline_ms = 3000;
    assert_true (fake_node_start (&node, script_note, &seen));
    struct maitre *client = client_of (&node, NULL, &options);
    assert_int_equal (book (client, &result), MAITRE_OK);
    assert_int_equal (result.state, MAITRE_CONFIRMED);
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_int_equal (node.bad_requests, 0);
    assert_int_equal (seen.count, 1);
    assert_string_equal (seen.token, "secret-token");
    assert_in_range (seen.remaining_ms, 2000, 3000);
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

static void test_client__unavailable_is_repeated_under_the_same_id (void **state)
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
    answer->header.retry_after_ms = 30;
}

static void test_client__gives_up_at_the_deadline_with_the_last_reason (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct maitre_options options;
    maitre_options_init (&options);
    options.deadline_ms = 150;
    assert_true (fake_node_start (&node, script_unavailable, NULL));
    struct maitre *client = client_of (&node, NULL, &options);
    wait_connected (client, 1);
    uint64_t started = now_ms ();
    assert_int_equal (book (client, NULL), MAITRE_UNAVAILABLE);
    assert_in_range (now_ms () - started, 100, 2000);
    assert_string_equal (maitre_error (client)->reason, "DISK_FULL");
    assert_string_equal (maitre_error (client)->message, "free some space");
    assert_false (maitre_error (client)->maybe_applied); /* every attempt was refused */
    assert_true (maitre_error (client)->retryable);
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_in_range (node.requests, 2, 7); /* retry_after_ms was kept to */
}

static void script_full (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    (void) node;
    (void) request;
    answer->header.status = STATUS_RESOURCE_EXHAUSTED;
    answer->header.has_retry_after_ms = true;
    answer->header.retry_after_ms = 250;
}

static void test_client__slow_down_is_for_the_caller (void **state)
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

/* ---- silence, and outcomes that are not known */

static void script_silent (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    (void) node;
    (void) request;
    answer->silent = true;
}

static void test_client__a_silent_write_may_have_been_applied (void **state)
{
    (void) state;
    struct fake_node node = {0};
    struct maitre_options options;
    maitre_options_init (&options);
    options.deadline_ms = 120;
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

static void test_client__an_unknown_outcome_is_asked_for_until_it_is_known (void **state)
{
    (void) state;
    struct seen seen = {0};
    struct fake_node node = {0};
    struct maitre_options options;
    maitre_options_init (&options);
    options.attempt_ms = 30;
    assert_true (fake_node_start (&node, script_silent_once, &seen));
    struct maitre *client = client_of (&node, NULL, &options);
    assert_int_equal (book (client, NULL), MAITRE_OK);
    maitre_destroy (&client);
    fake_node_stop (&node);
    assert_int_equal (seen.count, 3);
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

static void test_client__an_unknown_refresh_is_repeated_under_its_id (void **state)
{
    (void) state;
    struct seen seen = {0};
    struct fake_node node = {0};
    struct maitre_session session;
    struct maitre_options options;
    maitre_options_init (&options);
    options.deadline_ms = 300;
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

static void test_client__attempts_max_ends_a_call_early (void **state)
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

static void test_client__nobody_there_is_unavailable_and_not_unknown (void **state)
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

/* ---- leaders and lost nodes */

struct answered {
    uint32_t count;
    enum maitre_status status;
    bool maybe_applied;
    uint32_t node;
    bool inside_refused;
};

static void count_answer (struct maitre *client, uint64_t call, const struct maitre_reply *reply, void *user)
{
    struct answered *answered = user;
    (void) client;
    assert_int_not_equal (call, 0);
    answered->count++;
    answered->status = reply->status;
    answered->maybe_applied = reply->maybe_applied;
    answered->node = reply->node;
}

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
    options.backoff_ms = options.backoff_max_ms = 1000; /* a pause would be seen */
    follower.cluster = leader.cluster = cluster;
    follower.cluster_count = leader.cluster_count = 2;
    follower.leader = leader.leader = 1; /* the ring is out of date: the first node leads no more */
    assert_true (fake_node_start (&leader, fake_node_friendly, NULL));
    assert_true (fake_node_start (&follower, script_not_leader, &leader));
    struct maitre *client = client_of (&follower, &leader, &options);
    wait_connected (client, 2);
    assert_int_equal (maitre_connect (client, 2000), MAITRE_OK);
    uint32_t asked = follower.requests;
    struct maitre_id provider = maitre_id_provider (client, NULL);
    for (uint32_t i = 0; i < 5; i++) {
        uint64_t started = now_ms ();
        assert_int_equal (maitre_reserve_release (client, &provider, NULL), MAITRE_OK);
        assert_true (now_ms () - started < 450);
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
    assert_int_equal (maitre_connect (client, 2000), MAITRE_OK);
    uint32_t asked = first.requests;
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal (book (client, NULL), MAITRE_OK);
    assert_int_equal (first.requests, asked);
    assert_in_range (second.requests, 8, 9);
    maitre_destroy (&client);
    fake_node_stop (&first);
    fake_node_stop (&second);
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

static void test_client__pauses_end_when_the_shard_has_a_leader (void **state)
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
    assert_int_equal (maitre_connect (client, 5000), MAITRE_OK);
    struct maitre_item item = {.offer = maitre_id_provider (client, NULL)};
    struct maitre_reserve request = {.mode = MAITRE_BOOK, .items = &item, .items_count = 1};
    for (int i = 0; i < 2; i++)
        assert_int_equal (
            maitre_reserve_create_start (client, &request, NULL, count_answer, &answered, NULL), MAITRE_OK);
    for (uint64_t end = now_ms () + 5000; now_ms () < end && node.requests < 3;)
        maitre_process (client, 5);
    maitre_process (client, 50);
    assert_int_equal (answered.count, 0);
    uint64_t started = now_ms ();
    assert_int_equal (book (client, NULL), MAITRE_OK);
    while (answered.count < 2 && now_ms () - started < 15000)
        maitre_process (client, 10);
    assert_int_equal (answered.count, 2);
    assert_int_equal (answered.status, MAITRE_OK);
    maitre_destroy (&client);
    fake_node_stop (&node);
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
    assert_int_equal (maitre_connect (client, 2000), MAITRE_OK);
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
    assert_int_equal (maitre_connect (client, 5000), MAITRE_OK);
    struct maitre_item item = {.offer = maitre_id_provider (client, NULL)};
    struct maitre_reserve request = {.mode = MAITRE_BOOK, .items = &item, .items_count = 1};
    uint32_t asked = dying.requests;
    assert_int_equal (maitre_reserve_create_start (client, &request, NULL, count_answer, &answered, NULL), MAITRE_OK);
    for (uint64_t end = now_ms () + 5000; now_ms () < end && dying.requests == asked;)
        maitre_process (client, 1);
    assert_int_equal (dying.requests, asked + 1);
    fake_node_stop (&dying);
    uint64_t started = now_ms ();
    while (answered.count == 0 && now_ms () - started < 10000)
        maitre_process (client, 10);
    assert_int_equal (answered.count, 1);
    assert_int_equal (answered.status, MAITRE_OK);
    assert_int_equal (answered.node, 2);
    assert_true (now_ms () - started < 1000);
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
        cmocka_unit_test (test_client__unavailable_is_repeated_under_the_same_id),
        cmocka_unit_test (test_client__gives_up_at_the_deadline_with_the_last_reason),
        cmocka_unit_test (test_client__slow_down_is_for_the_caller),
        cmocka_unit_test (test_client__a_silent_write_may_have_been_applied),
        cmocka_unit_test (test_client__an_unknown_outcome_is_asked_for_until_it_is_known),
        cmocka_unit_test (test_client__an_unknown_refresh_is_repeated_under_its_id),
        cmocka_unit_test (test_client__attempts_max_ends_a_call_early),
        cmocka_unit_test (test_client__nobody_there_is_unavailable_and_not_unknown),
        cmocka_unit_test (test_client__a_hint_is_followed_and_remembered),
        cmocka_unit_test (test_client__calls_go_straight_to_the_leaders_of_the_ring),
        cmocka_unit_test (test_client__pauses_end_when_the_shard_has_a_leader),
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
