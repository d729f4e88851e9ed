/* The shard map's hints, and where a request goes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "router/route/route.h"

/* Four nodes; shard s (0..3) on nodes 1, 2, 3, all links up, nobody known to lead. */
static void make_map (struct route_map *map)
{
    assert_int_equal (route_map_init (map, 3), STATUS_OK);
    for (uint32_t s = 0; s <= 3; s++) {
        const struct route_replica replicas[] = {
            {.replica = 10 * s + 1, .node = 1}, {.replica = 10 * s + 2, .node = 2}, {.replica = 10 * s + 3, .node = 3}};
        assert_int_equal (route_map_set_shard (map, s, replicas, 3), STATUS_OK);
    }
    for (uint32_t node = 1; node <= 4; node++)
        route_map_link (map, node, true);
    route_map_check (map);
}

static struct route_request to_leader (uint32_t shard)
{
    return (struct route_request){.need = ROUTE_NEED_LEADER, .shard = shard};
}

static void test_route_map__follows_newer_terms_only (void **state)
{
    (void) state;
    struct route_map map;
    make_map (&map);
    assert_true (route_map_hint (&map, 1, 2, 5));
    assert_false (route_map_hint (&map, 1, 3, 4));
    assert_false (route_map_hint (&map, 1, 3, 5)); /* one leader a term */
    assert_false (route_map_hint (&map, 1, 0, 5)); /* a late "nobody" */
    assert_int_equal (route_map_shard (&map, 1)->leader_node, 2);
    assert_true (route_map_hint (&map, 1, 0, 6));
    assert_int_equal (route_map_shard (&map, 1)->leader_node, 0);
    assert_false (route_map_hint (&map, 1, 2, 5));
    assert_true (route_map_hint (&map, 1, 3, 6)); /* the blank of term 6 filled in */
    assert_int_equal (route_map_shard (&map, 1)->leader_node, 3);
    assert_int_equal (route_map_shard (&map, 1)->leader_term, 6);
    route_map_check (&map);
    route_map_close (&map);
}

static void test_route_map__ignores_hints_from_nowhere (void **state)
{
    (void) state;
    struct route_map map;
    make_map (&map);
    assert_false (route_map_hint (&map, 4, 1, 1));
    assert_false (route_map_hint (&map, UINT32_MAX, 1, 1));
    assert_false (route_map_hint (&map, 1, 4, 1)); /* holds no replica */
    assert_false (route_map_hint (&map, 1, UINT32_MAX, 1));
    assert_int_equal (route_map_shard (&map, 1)->leader_term, 0);
    route_map_link (&map, 0, true);
    route_map_link (&map, UINT32_MAX, true);
    assert_null (route_map_shard (&map, 4));
    route_map_check (&map);
    route_map_close (&map);
}

static void test_route_map__forgets_whom_it_was_denied (void **state)
{
    (void) state;
    struct route_map map;
    make_map (&map);
    assert_true (route_map_hint (&map, 1, 2, 5));
    assert_false (route_map_denied (&map, 1, 3, 5));
    assert_false (route_map_denied (&map, 1, 2, 4)); /* an answer from before it was elected */
    assert_true (route_map_denied (&map, 1, 2, 5));
    assert_int_equal (route_map_shard (&map, 1)->leader_node, 0);
    assert_false (route_map_denied (&map, 9, 2, 5));
    route_map_close (&map);
}

static void test_route_map__drops_a_leader_that_moved_away (void **state)
{
    (void) state;
    struct route_map map;
    make_map (&map);
    assert_true (route_map_hint (&map, 1, 2, 5));
    const struct route_replica moved[] = {{.replica = 11, .node = 1}, {.replica = 99, .node = 4}};
    assert_int_equal (route_map_set_shard (&map, 1, moved, 2), STATUS_OK);
    assert_int_equal (route_map_shard (&map, 1)->leader_node, 0);
    assert_int_equal (route_map_shard (&map, 1)->leader_term, 5);
    route_map_check (&map);
    route_map_close (&map);
}

static void test_route_map__refuses_wrong_replicas_and_old_epochs (void **state)
{
    (void) state;
    struct route_map map;
    assert_int_equal (route_map_init (&map, 0), STATUS_INVALID_ARGUMENT);
    assert_int_equal (route_map_init (&map, ROUTE_SHARDS_MAX + 1), STATUS_INVALID_ARGUMENT);
    make_map (&map);
    const struct route_replica twice[] = {{.replica = 1, .node = 1}, {.replica = 2, .node = 1}};
    const struct route_replica reused[] = {{.replica = 1, .node = 1}, {.replica = 1, .node = 2}};
    const struct route_replica none[] = {{.replica = 0, .node = 1}};
    const struct route_replica nowhere[] = {{.replica = 1, .node = ROUTE_NODES_MAX + 1}};
    assert_int_equal (route_map_set_shard (&map, 1, twice, 2), STATUS_INVALID_ARGUMENT);
    assert_int_equal (route_map_set_shard (&map, 1, reused, 2), STATUS_INVALID_ARGUMENT);
    assert_int_equal (route_map_set_shard (&map, 1, none, 1), STATUS_INVALID_ARGUMENT);
    assert_int_equal (route_map_set_shard (&map, 1, nowhere, 1), STATUS_INVALID_ARGUMENT);
    assert_int_equal (route_map_set_shard (&map, 4, none, 0), STATUS_INVALID_ARGUMENT);
    assert_int_equal (route_map_shard (&map, 1)->replicas_count, 3);
    assert_int_equal (route_map_set_epoch (&map, 7), STATUS_OK);
    assert_int_equal (route_map_set_epoch (&map, 6), STATUS_FAILED_PRECONDITION);
    assert_int_equal (map.epoch, 7);
    route_map_close (&map);
}

static void test_route_decide__answers_what_it_can (void **state)
{
    (void) state;
    struct route_map map;
    make_map (&map);
    struct route_request request = {.need = ROUTE_NEED_NOTHING, .shard = 99};
    assert_int_equal (route_decide (&map, 4, &request).verdict, ROUTE_ANSWER_HERE);
    request = to_leader (1);
    request.leads_here = request.replica_here = true;
    assert_true (route_map_hint (&map, 1, 2, 5)); /* a stale hint does not send the leader's requests away */
    assert_int_equal (route_decide (&map, 1, &request).verdict, ROUTE_ANSWER_HERE);
    request.hops = 1;
    assert_int_equal (route_decide (&map, 1, &request).verdict, ROUTE_ANSWER_HERE);
    request = to_leader (4);
    assert_int_equal (route_decide (&map, 1, &request).verdict, ROUTE_UNKNOWN_SHARD);
    route_map_close (&map);
}

static void test_route_decide__forwards_once_to_the_leader (void **state)
{
    (void) state;
    struct route_map map;
    make_map (&map);
    assert_true (route_map_hint (&map, 1, 2, 5));
    struct route_request request = to_leader (1);
    struct route_decision decision = route_decide (&map, 4, &request);
    assert_int_equal (decision.verdict, ROUTE_FORWARD);
    assert_int_equal (decision.node, 2);
    request.hops = 1;
    decision = route_decide (&map, 3, &request);
    assert_int_equal (decision.verdict, ROUTE_NOT_LEADER);
    assert_int_equal (decision.node, 2);
    assert_int_equal (decision.term, 5);
    /* The hint may name the asked node itself, deposed since: no hint is better than a loop. */
    decision = route_decide (&map, 2, &request);
    assert_int_equal (decision.verdict, ROUTE_NOT_LEADER);
    assert_int_equal (decision.node, 0);
    assert_int_equal (decision.retry_after_ms, ROUTE_RETRY_ELECTION_MS);
    route_map_close (&map);
}

static void test_route_decide__tells_self_routing_clients (void **state)
{
    (void) state;
    struct route_map map;
    make_map (&map);
    struct route_request request = to_leader (1);
    request.self_routing = true;
    /* Nobody known: the node helps out rather than say "somebody else, I do not know who". */
    assert_int_equal (route_decide (&map, 4, &request).verdict, ROUTE_FORWARD);
    assert_true (route_map_hint (&map, 1, 3, 5));
    struct route_decision decision = route_decide (&map, 4, &request);
    assert_int_equal (decision.verdict, ROUTE_NOT_LEADER);
    assert_int_equal (decision.node, 3);
    assert_int_equal (decision.term, 5);
    route_map_close (&map);
}

static void test_route_decide__says_unavailable_while_nobody_leads (void **state)
{
    (void) state;
    struct route_map map;
    make_map (&map);
    struct route_request request = to_leader (1);
    request.replica_here = true;
    struct route_decision decision = route_decide (&map, 1, &request);
    assert_int_equal (decision.verdict, ROUTE_UNAVAILABLE);
    assert_int_equal (decision.retry_after_ms, ROUTE_RETRY_ELECTION_MS);
    assert_true (route_map_hint (&map, 1, 2, 5));
    route_map_link (&map, 2, false);
    decision = route_decide (&map, 1, &request);
    assert_int_equal (decision.verdict, ROUTE_UNAVAILABLE);
    assert_int_equal (decision.retry_after_ms, ROUTE_RETRY_UNREACHABLE_MS);
    route_map_link (&map, 2, true);
    assert_int_equal (route_decide (&map, 1, &request).verdict, ROUTE_FORWARD);
    route_map_close (&map);
}

static void test_route_decide__asks_the_replicas_in_turn (void **state)
{
    (void) state;
    struct route_map map;
    make_map (&map);
    struct route_request request = to_leader (1);
    static const uint32_t expected[] = {1, 3, 1};
    route_map_link (&map, 2, false);
    for (uint32_t attempt = 0; attempt < 3; attempt++) {
        request.attempt = attempt;
        struct route_decision decision = route_decide (&map, 4, &request);
        assert_int_equal (decision.verdict, ROUTE_FORWARD);
        assert_int_equal (decision.node, expected[attempt]);
    }
    route_map_link (&map, 1, false);
    route_map_link (&map, 3, false);
    assert_int_equal (route_decide (&map, 4, &request).verdict, ROUTE_UNAVAILABLE);
    route_map_close (&map);
}

static void test_route_decide__serves_stale_reads_from_any_replica (void **state)
{
    (void) state;
    struct route_map map;
    make_map (&map);
    struct route_request request = {.need = ROUTE_NEED_REPLICA, .shard = 1, .replica_here = true, .hops = 1};
    assert_int_equal (route_decide (&map, 3, &request).verdict, ROUTE_ANSWER_HERE);
    request.replica_here = false;
    assert_int_equal (route_decide (&map, 4, &request).verdict, ROUTE_UNAVAILABLE);
    request.hops = 0;
    struct route_decision decision = route_decide (&map, 4, &request);
    assert_int_equal (decision.verdict, ROUTE_FORWARD);
    assert_int_equal (decision.node, 1);
    route_map_close (&map);
}

/* Every combination: never to itself, never over a broken link, never a second hop. */
static void test_route_decide__never_forwards_in_vain (void **state)
{
    (void) state;
    for (uint32_t bits = 0; bits < 1u << 12; bits++) {
        struct route_map map;
        make_map (&map);
        for (uint32_t node = 1; node <= 4; node++)
            route_map_link (&map, node, bits >> node & 1);
        uint32_t self = 1 + (bits >> 5 & 3);
        uint32_t hint = bits >> 7 & 3;
        if (hint != 0)
            assert_true (route_map_hint (&map, 1, hint, 3));
        struct route_request request = {
            .need = bits >> 9 & 1 ? ROUTE_NEED_LEADER : ROUTE_NEED_REPLICA,
            .shard = 1,
            .hops = bits >> 10 & 1,
            .replica_here = self <= 3,
            .leads_here = self <= 3 && (bits & 1) != 0,
            .self_routing = bits >> 11 & 1,
        };
        struct route_decision decision = route_decide (&map, self, &request);
        if (decision.verdict == ROUTE_FORWARD) {
            assert_int_not_equal (decision.node, self);
            assert_true (map.link_up[decision.node]);
            assert_int_equal (request.hops, 0);
        }
        if (decision.verdict == ROUTE_UNAVAILABLE)
            assert_true (decision.retry_after_ms > 0);
        if (decision.verdict == ROUTE_NOT_LEADER)
            assert_int_not_equal (decision.node, self);
        route_map_close (&map);
    }
}

static void test_route_need__follows_the_method_class (void **state)
{
    (void) state;
    assert_int_equal (route_need_of (METHOD_WRITE, true), ROUTE_NEED_LEADER);
    assert_int_equal (route_need_of (METHOD_SYSTEM_WRITE, false), ROUTE_NEED_LEADER);
    assert_int_equal (route_need_of (METHOD_READ, false), ROUTE_NEED_LEADER);
    assert_int_equal (route_need_of (METHOD_READ, true), ROUTE_NEED_REPLICA);
    assert_int_equal (route_need_of (METHOD_FANOUT, true), ROUTE_NEED_REPLICA);
    assert_int_equal (route_need_of (METHOD_SYSTEM_READ, false), ROUTE_NEED_LEADER);
    assert_int_equal (route_need_of (METHOD_LOCAL, false), ROUTE_NEED_NOTHING);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_route_map__follows_newer_terms_only),
        cmocka_unit_test (test_route_map__ignores_hints_from_nowhere),
        cmocka_unit_test (test_route_map__forgets_whom_it_was_denied),
        cmocka_unit_test (test_route_map__drops_a_leader_that_moved_away),
        cmocka_unit_test (test_route_map__refuses_wrong_replicas_and_old_epochs),
        cmocka_unit_test (test_route_decide__answers_what_it_can),
        cmocka_unit_test (test_route_decide__forwards_once_to_the_leader),
        cmocka_unit_test (test_route_decide__tells_self_routing_clients),
        cmocka_unit_test (test_route_decide__says_unavailable_while_nobody_leads),
        cmocka_unit_test (test_route_decide__asks_the_replicas_in_turn),
        cmocka_unit_test (test_route_decide__serves_stale_reads_from_any_replica),
        cmocka_unit_test (test_route_decide__never_forwards_in_vain),
        cmocka_unit_test (test_route_need__follows_the_method_class),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
