#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "router/route/route_answer.h"

/* Told, encoded, decoded strictly and heard. */
static void over_the_wire (
    const struct route_answer *answer, struct route_answer_texts *texts, struct route_answer *heard)
{
    static uint8_t wire[4096];
    struct forward_reply reply;
    size_t len = 0;
    route_answer_told (answer, 77, &reply);
    assert_int_equal (codec_encode (&forward_reply_type, &reply, wire, sizeof wire, &len), STATUS_OK);
    memset (&reply, 0xa5, sizeof reply);
    assert_int_equal (
        codec_decode (&forward_reply_type, bytes_of (wire, len), CODEC_STRICT, NULL, &reply, NULL), STATUS_OK);
    assert_int_equal (reply.call, 77);
    route_answer_heard (&reply, texts, heard);
}

static void assert_same (const struct route_answer *a, const struct route_answer *b)
{
    assert_int_equal (a->status, b->status);
    assert_int_equal (a->reason == NULL, b->reason == NULL);
    assert_int_equal (a->message == NULL, b->message == NULL);
    if (a->reason != NULL)
        assert_string_equal (a->reason, b->reason);
    if (a->message != NULL)
        assert_string_equal (a->message, b->message);
    assert_int_equal (a->retry_after_ms, b->retry_after_ms);
    assert_int_equal (a->replayed, b->replayed);
    assert_int_equal (a->maybe_applied, b->maybe_applied);
    assert_int_equal (a->leader_node, b->leader_node);
    assert_true (bytes_equal (a->body, b->body));
}

static void test_route_answer__is_heard_as_it_was_told (void **state)
{
    (void) state;
    const struct route_answer answers[] = {
        {.status = STATUS_OK, .body = BYTES_LITERAL ("\xa0")},
        {.status = STATUS_OK, .replayed = true, .leader_node = 3, .body = BYTES_LITERAL ("\xa0")},
        {.status = STATUS_UNAVAILABLE, .reason = "NOT_LEADER", .message = "elsewhere", .retry_after_ms = 20},
        {.status = STATUS_DEADLINE_EXCEEDED, .reason = "DEADLINE", .maybe_applied = true, .leader_node = 256},
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct route_answer_texts texts;
        struct route_answer heard;
        over_the_wire (&answers[i], &texts, &heard);
        assert_same (&answers[i], &heard);
    }
}

static void test_route_answer__texts_are_cut_to_their_room (void **state)
{
    (void) state;
    uint8_t text[600];
    memset (text, 'x', sizeof text);
    struct forward_reply reply = {.status = STATUS_INTERNAL,
        .has_reason = true,
        .reason = bytes_of (text, sizeof text),
        .has_message = true,
        .message = bytes_of (text, sizeof text)};
    struct route_answer_texts texts;
    struct route_answer heard;
    route_answer_heard (&reply, &texts, &heard);
    assert_int_equal (strlen (heard.reason), sizeof texts.reason - 1);
    assert_int_equal (strlen (heard.message), sizeof texts.message - 1);
}

static void test_route_answer__who_answers_leads_and_who_denies_does_not (void **state)
{
    (void) state;
    struct route_map map;
    const struct route_replica replicas[] = {{.replica = 1, .node = 1}, {.replica = 2, .node = 2}};
    assert_int_equal (route_map_init (&map, 2), STATUS_OK);
    assert_int_equal (route_map_set_shard (&map, 1, replicas, 2), STATUS_OK);
    assert_true (route_map_hint (&map, 1, 2, 7));
    assert_int_equal (route_map_shard (&map, 1)->leader_node, 2);
    struct route_answer answer = {.status = STATUS_OK};
    route_answer_learn (&map, 1, 2, &answer);
    assert_int_equal (answer.leader_node, 2);
    /* It denies, but names itself still: an election is under way. Then it denies for good. */
    answer = (struct route_answer){.status = STATUS_UNAVAILABLE, .reason = "NOT_LEADER", .leader_node = 2};
    route_answer_learn (&map, 1, 2, &answer);
    assert_int_equal (route_map_shard (&map, 1)->leader_node, 2);
    answer = (struct route_answer){.status = STATUS_UNAVAILABLE, .reason = "DISK_FULL"};
    route_answer_learn (&map, 1, 2, &answer);
    assert_int_equal (route_map_shard (&map, 1)->leader_node, 2);
    answer.reason = "NOT_LEADER";
    route_answer_learn (&map, 1, 2, &answer);
    assert_int_equal (route_map_shard (&map, 1)->leader_node, 0);
    route_answer_learn (&map, 9, 2, &answer); /* no such shard: nothing to learn */
    route_map_close (&map);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_route_answer__is_heard_as_it_was_told),
        cmocka_unit_test (test_route_answer__texts_are_cut_to_their_room),
        cmocka_unit_test (test_route_answer__who_answers_leads_and_who_denies_does_not),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
