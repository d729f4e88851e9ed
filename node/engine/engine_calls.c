/* The table of calls in flight: each has one reply due, none waits beyond its deadline. */
#include <stdlib.h>

#include "node/engine/engine_internal.h"

enum status engine_calls_init (struct engine *engine)
{
    uint32_t count = engine->config.limits.calls;
    engine->calls = calloc (count, sizeof *engine->calls);
    if (engine->calls == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    for (uint32_t i = count; i > 0; i--) {
        engine->calls[i - 1].next = engine->calls_free;
        /* Elsewhere at each start: a late reply to a call of an earlier life must find none of this one. */
        engine->calls[i - 1].generation = engine->random_state[1] + i * UINT32_C (0x9e3779b9);
        engine->calls_free = i;
    }
    return STATUS_OK;
}

void engine_calls_close (struct engine *engine)
{
    if (engine->calls == NULL)
        return;
    for (uint32_t i = 0; i < engine->config.limits.calls; i++) {
        free (engine->calls[i].attempt);
        if (engine->calls[i].source == CALL_CLIENT || engine->calls[i].source == CALL_PEER)
            engine_fanout_drop (engine, &engine->calls[i].fanout);
    }
    free (engine->calls);
    engine->calls = NULL;
}

struct call *engine_call_new (struct engine *engine)
{
    if (engine->calls_free == 0)
        return NULL;
    struct call *call = &engine->calls[engine->calls_free - 1];
    engine->calls_free = call->next;
    engine->calls_used++;
    uint32_t generation = call->generation;
    memset (call, 0, offsetof (struct call, client));
    call->generation = generation;
    call->started_us = engine->now_us;
    return call;
}

void engine_call_free (struct engine *engine, struct call *call)
{
    maitre_assert (call->source != CALL_FREE && engine->calls_used > 0);
    free (call->attempt);
    call->attempt = NULL;
    call->source = CALL_FREE;
    call->generation++;
    call->next = engine->calls_free;
    engine->calls_free = (uint32_t) (call - engine->calls) + 1;
    engine->calls_used--;
}

uint64_t engine_call_token (const struct engine *engine, const struct call *call)
{
    return (uint64_t) call->generation << 32 | ((uint64_t) (call - engine->calls) + 1);
}

struct call *engine_call_find (struct engine *engine, uint64_t token)
{
    uint32_t number = (uint32_t) token;
    if (number == 0 || number > engine->config.limits.calls)
        return NULL;
    struct call *call = &engine->calls[number - 1];
    if (call->source == CALL_FREE || call->generation != (uint32_t) (token >> 32))
        return NULL;
    return call;
}

uint64_t engine_remaining_ms (const struct engine *engine, const struct call *call)
{
    return call->deadline_ms > engine->now_ms ? call->deadline_ms - engine->now_ms : 0;
}

/* ---- replies */

static const char *client_endpoint (const struct engine *engine, uint32_t node)
{
    if (node == 0 || node > engine->config.nodes.node_count)
        return NULL;
    return engine->config.nodes.nodes[node - 1].client_endpoint;
}

void engine_client_answer (struct engine *engine, const struct front_client *client, uint64_t client_call,
    const struct route_answer *answer, uint32_t shard, bool has_shard)
{
    struct reply_header header = {
        .protocol = FRONT_PROTOCOL,
        .call = client_call,
        .status = answer->status,
        .has_reason = answer->reason != NULL,
        .has_message = answer->message != NULL,
        .has_retry_after_ms = answer->retry_after_ms != 0,
        .retry_after_ms = answer->retry_after_ms,
        .has_replayed = answer->replayed,
        .replayed = answer->replayed,
        .has_maybe_applied = answer->maybe_applied,
        .maybe_applied = answer->maybe_applied,
        .has_shard = has_shard,
        .shard = shard,
    };
    if (answer->reason != NULL)
        header.reason = bytes_text (answer->reason);
    if (answer->message != NULL)
        header.message = bytes_text (answer->message);
    const char *leader = client_endpoint (engine, answer->leader_node);
    if (leader != NULL) {
        header.has_leader = true;
        header.leader = bytes_text (leader);
        header.has_map_epoch = true;
        header.map_epoch = engine->map.epoch;
    }
    if (failpoint (FAILPOINT_SEND_REPLY_BEFORE))
        return;
    enum status status = front_reply (engine->front, client, &header, answer->body);
    maitre_assert (status != STATUS_INVALID_ARGUMENT); /* without memory the client asks again */
    failpoint_pass (FAILPOINT_SEND_REPLY_AFTER);
}

static void count_answer (struct engine *engine, const struct route_answer *answer)
{
    struct engine_counters *counters = &engine->counters;
    counters->calls_ok += answer->status == STATUS_OK;
    counters->calls_unavailable += answer->status == STATUS_UNAVAILABLE;
    counters->calls_deadline += answer->status == STATUS_DEADLINE_EXCEEDED;
    counters->calls_busy += answer->status == STATUS_RESOURCE_EXHAUSTED;
    counters->calls_unauthenticated += answer->status == STATUS_UNAUTHENTICATED;
    counters->replayed += answer->replayed;
    counters->maybe_applied += answer->maybe_applied;
}

/* Only wrong passwords count as tries. */
static void note_attempt (struct engine *engine, const struct call *call, enum status status)
{
    const struct attempt *attempt = call->attempt;
    if (attempt != NULL && status == STATUS_OK)
        password_throttle_succeeded (engine->throttle, engine->now_ms,
            bytes_of (attempt->account, attempt->account_len), bytes_text (attempt->address));
}

/* Tokens are derived here, at the node that the client asked: they are in no log and on no wire between nodes. */
static void answer_client (struct engine *engine, struct call *call, const struct route_answer *answer)
{
    struct route_answer finished = *answer;
    if (answer->status == STATUS_OK &&
        (call->method->number == METHOD_NUMBER_AUTH_LOGIN || call->method->number == METHOD_NUMBER_AUTH_REFRESH ||
            call->method->number == METHOD_NUMBER_AUTH_CREATE_API_KEY)) {
        arena_reset (&engine->arena);
        enum status status =
            identity_finish_reply (engine->identity, call->method, answer->body, &engine->arena, &finished.body);
        if (status != STATUS_OK)
            finished = (struct route_answer){.status = STATUS_INTERNAL,
                .reason = "BAD_REPLY",
                .message = "the node made a reply that it cannot read; report this",
                .maybe_applied = true};
    }
    bool routed = call->method->class != METHOD_LOCAL && call->method->class != METHOD_FANOUT;
    engine_client_answer (engine, &call->client, call->remote_call, &finished, call->shard, routed);
}

static void answer_own (struct engine *engine, const struct call *call, const struct route_answer *answer)
{
    switch (call->method->number) {
    case METHOD_NUMBER_AUTH_LIST_API_KEYS:
        engine_revoked_answer (engine, answer);
        break;
    case METHOD_NUMBER_CLUSTER_PLACEMENT:
        engine_placement_answer (engine, answer);
        break;
    default:
        engine_replace_answer (engine, answer);
    }
}

void engine_call_answer (struct engine *engine, struct call *call, const struct route_answer *answer)
{
    switch (call->source) {
    case CALL_CLIENT:
        count_answer (engine, answer);
        note_attempt (engine, call, answer->status);
        answer_client (engine, call, answer);
        break;
    case CALL_PEER:
        engine_forward_answer (engine, call, answer);
        break;
    case CALL_PART:
        engine_fanout_part (engine, call, answer); /* may start further parts, never this one */
        break;
    case CALL_OWN:
        answer_own (engine, call, answer);
        break;
    case CALL_FREE:
        maitre_assert (call->source != CALL_FREE);
    }
    if (call->fanout != NULL && call->source != CALL_PART)
        engine_fanout_drop (engine, &call->fanout);
    engine_call_free (engine, call);
}

void engine_call_answer_value (struct engine *engine, struct call *call, const void *value)
{
    size_t len;
    enum status status = codec_encode (call->method->reply, value, engine->page, ENGINE_PAGE_BYTES_MAX, &len);
    maitre_assert (status == STATUS_OK);
    struct route_answer answer = {.status = STATUS_OK, .body = bytes_of (engine->page, len)};
    engine_call_answer (engine, call, &answer);
}

void engine_call_refuse (struct engine *engine, struct call *call, enum status status, const char *reason,
    const char *message, uint32_t retry_after_ms)
{
    struct route_answer answer = {
        .status = status, .reason = reason, .message = message, .retry_after_ms = retry_after_ms};
    engine_call_answer (engine, call, &answer);
}

/* ---- calls that must not wait longer */

void engine_calls_expire (struct engine *engine)
{
    if (engine->now_ms < engine->calls_checked_ms + 20)
        return;
    engine->calls_checked_ms = engine->now_ms;
    uint32_t left = engine->calls_used;
    for (uint32_t i = 0; i < engine->config.limits.calls && left > 0; i++) {
        struct call *call = &engine->calls[i];
        if (call->source == CALL_FREE)
            continue;
        left--;
        if (engine->now_ms < call->deadline_ms)
            continue;
        struct route_answer answer = {.status = STATUS_DEADLINE_EXCEEDED,
            .reason = "DEADLINE",
            .message = call->write && call->started
                           ? "no answer came in time; send the same request id again, or ask call.Outcome"
                           : "no answer came in time; try again with more time",
            .maybe_applied = call->write && call->started};
        engine_call_answer (engine, call, &answer);
    }
}

void engine_calls_link_lost (struct engine *engine, uint32_t node)
{
    for (uint32_t i = 0; i < engine->config.limits.calls; i++) {
        struct call *call = &engine->calls[i];
        if (call->source == CALL_FREE)
            continue;
        if (call->source == CALL_PEER && call->peer_node == node) {
            /* Nobody is there to take the reply; a shard's late one finds no call. */
            engine_fanout_drop (engine, &call->fanout);
            engine_call_free (engine, call);
            continue;
        }
        if (call->forwarded_to != node)
            continue;
        struct route_answer answer = {.status = STATUS_UNAVAILABLE,
            .reason = "LINK_LOST",
            .message = "the connection to the shard's leader broke; send the same request id again",
            .retry_after_ms = ENGINE_UNKNOWN_RETRY_MS,
            .maybe_applied = call->write};
        engine_call_answer (engine, call, &answer);
    }
}

void engine_calls_moved (struct engine *engine)
{
    if (!engine->leaders_changed)
        return;
    engine->leaders_changed = false;
    uint32_t left = engine->calls_used;
    for (uint32_t i = 0; i < engine->config.limits.calls && left > 0; i++) {
        struct call *call = &engine->calls[i];
        if (call->source == CALL_FREE)
            continue;
        left--;
        if (call->forwarded_term == 0)
            continue;
        const struct route_shard *route = route_map_shard (&engine->map, call->shard);
        maitre_assert (route != NULL);
        if (route->leader_node == 0 || route->leader_node == call->forwarded_to ||
            route->leader_term <= call->forwarded_term)
            continue;
        struct route_answer answer = {.status = STATUS_UNAVAILABLE,
            .reason = "LEADER_LOST",
            .message = "another node leads the shard meanwhile; send the same request id again",
            .leader_node = route->leader_node,
            .maybe_applied = call->write};
        engine_call_answer (engine, call, &answer);
    }
}

void engine_calls_shard_lost (struct engine *engine, uint32_t shard)
{
    for (uint32_t i = 0; i < engine->config.limits.calls; i++) {
        struct call *call = &engine->calls[i];
        if (call->source == CALL_FREE || call->shard != shard || !call->started || call->forwarded_to != 0 ||
            (call->fanout != NULL && call->source != CALL_PART))
            continue;
        struct route_answer answer = {.status = STATUS_UNAVAILABLE,
            .reason = "LEADER_LOST",
            .message = "the shard's state on its leader is damaged and filled anew; send the same request id again",
            .retry_after_ms = ENGINE_UNKNOWN_RETRY_MS,
            .maybe_applied = call->write};
        engine_call_answer (engine, call, &answer);
    }
}
