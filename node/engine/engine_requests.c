/* The walk of a request: header, token, admission, method, shard, and then here or to the leader. */
#include <stdio.h>
#include <stdlib.h>

#include "node/engine/engine_internal.h"
#include "schemas/generated/auth.h"
#include "schemas/generated/common.h"

static void refuse_at_door (
    struct engine *engine, const struct front_request *request, const struct route_answer *answer)
{
    engine->counters.calls_refused++;
    engine->counters.calls_unauthenticated += answer->status == STATUS_UNAUTHENTICATED;
    engine->counters.calls_busy += answer->status == STATUS_RESOURCE_EXHAUSTED;
    engine_client_answer (engine, &request->client, request->header.call, answer, 0, false);
}

/* Who calls: a verified token, or nobody in particular. */
static bool authenticate (struct engine *engine, const struct front_request *request, struct principal *principal,
    struct route_answer *refusal)
{
    struct identity_claims *claims = &engine->claims;
    *principal = (struct principal){.kind = PRINCIPAL_KIND_ANONYMOUS};
    if (!request->header.has_token) {
        *claims = (struct identity_claims){.kind = PRINCIPAL_KIND_ANONYMOUS};
        return true;
    }
    enum identity_reason reason;
    uint64_t wall_ms = engine->wall_median_ms != 0 ? engine->wall_median_ms : engine_wall_ms ();
    if (identity_token_verify (engine->identity, request->header.token, wall_ms, claims, &reason) != STATUS_OK) {
        *refusal = (struct route_answer){.status = STATUS_UNAUTHENTICATED,
            .reason = identity_reason_name (reason),
            .message = identity_reason_message (reason)};
        return false;
    }
    *principal = (struct principal){.id = claims->principal, .kind = claims->kind, .roles = claims->roles};
    return true;
}

static bool admit (struct engine *engine, const struct front_request *request, const struct principal *principal,
    uint64_t remaining_ms, struct route_answer *refusal)
{
    bool has_deadline = request->header.has_remaining_ms;
    struct route_admission_verdict verdict = route_admit (engine->admission, engine->now_ms, &principal->id,
        has_deadline ? (uint32_t) remaining_ms : UINT32_MAX, engine->calls_used);
    switch (verdict.reason) {
    case ROUTE_ADMITTED:
        return true;
    case ROUTE_REFUSED_DEADLINE:
        *refusal = (struct route_answer){.status = verdict.status,
            .reason = "DEADLINE",
            .message = "no time was left when the call arrived; try again with more time"};
        return false;
    case ROUTE_REFUSED_QUEUE:
        *refusal = (struct route_answer){.status = verdict.status,
            .reason = "NODE_BUSY",
            .message = "this node has as many calls in flight as it may; slow down and send the same request id again",
            .retry_after_ms = verdict.retry_after_ms};
        return false;
    case ROUTE_REFUSED_RATE:
        *refusal = (struct route_answer){.status = verdict.status,
            .reason = "RATE_LIMIT",
            .message = "you call more often than your limit allows; wait and send the same request id again",
            .retry_after_ms = verdict.retry_after_ms};
        return false;
    }
    return false;
}

/* C1: password tries are counted per account and address before anything is hashed. */
static bool throttle (struct engine *engine, struct bytes body, struct attempt *attempt, struct route_answer *refusal)
{
    struct login_request login;
    uint8_t buffer[LOGIN_LEN_MAX];
    struct bytes account;
    arena_reset (&engine->arena);
    if (codec_decode (&login_request_type, body, CODEC_LENIENT, &engine->arena, &login, NULL) != STATUS_OK ||
        login_normalise (login.login, buffer, &account) != STATUS_OK)
        return true; /* the shard's leader says what is wrong with it */
    front_address (engine->front, attempt->address);
    uint32_t retry_after_ms = 0;
    if (password_throttle_try (
            engine->throttle, engine->now_ms, account, bytes_text (attempt->address), &retry_after_ms) == STATUS_OK) {
        memcpy (attempt->account, account.data, account.len);
        attempt->account_len = account.len;
        return true;
    }
    *refusal = (struct route_answer){.status = STATUS_RESOURCE_EXHAUSTED,
        .reason = "TOO_MANY_ATTEMPTS",
        .message = "too many password attempts for this account or from this address; wait and try again",
        .retry_after_ms = retry_after_ms};
    return false;
}

/* All three begin with login and password, under the same keys. */
static bool costs_a_hash (const struct method *method)
{
    return method->number == METHOD_NUMBER_AUTH_LOGIN || method->number == METHOD_NUMBER_AUTH_REGISTER ||
           method->number == METHOD_NUMBER_AUTH_CHANGE_PASSWORD;
}

static bool needs_request_id (const struct method *method)
{
    return method->class == METHOD_WRITE || method->class == METHOD_SYSTEM_WRITE;
}

static bool check_request (struct engine *engine, const struct front_request *request, const struct method *method,
    struct attempt *attempt, struct route_answer *refusal)
{
    if (method == NULL) {
        *refusal = (struct route_answer){.status = STATUS_UNIMPLEMENTED,
            .reason = "NO_SUCH_METHOD",
            .message = "this node knows no such method; reflect.Schema lists those it knows"};
        return false;
    }
    if (needs_request_id (method) && !request->header.has_request_id) {
        *refusal = (struct route_answer){.status = STATUS_INVALID_ARGUMENT,
            .reason = "REQUEST_ID_NEEDED",
            .message = "a write needs a request id, so that it happens once; add one to the header"};
        return false;
    }
    if (engine->refusing && method->class != METHOD_LOCAL) {
        *refusal = (struct route_answer){.status = STATUS_UNAVAILABLE,
            .reason = "DRAINING",
            .message = "this node is about to stop; send the same request id to another node",
            .retry_after_ms = 1};
        return false;
    }
    return !costs_a_hash (method) || throttle (engine, request->body, attempt, refusal);
}

/* Remembers the try with its call; without memory it just counts. Who registers proves no password. */
static void keep_attempt (struct call *call, const struct attempt *attempt)
{
    if (attempt->account_len == 0 || call->method->number == METHOD_NUMBER_AUTH_REGISTER)
        return;
    call->attempt = malloc (sizeof *attempt);
    if (call->attempt != NULL)
        *call->attempt = *attempt;
}

static void start (struct engine *engine, const struct front_request *request)
{
    struct route_answer refusal;
    struct principal principal;
    struct attempt attempt = {.account_len = 0};
    uint64_t remaining_ms =
        request->header.has_remaining_ms ? request->header.remaining_ms : engine->config.limits.call_ms;
    engine->counters.calls++;
    engine->work++;
    const struct method *method = method_by_name (request->header.method);
    if (!check_request (engine, request, method, &attempt, &refusal) ||
        !authenticate (engine, request, &principal, &refusal) ||
        !admit (engine, request, &principal, remaining_ms, &refusal)) {
        refuse_at_door (engine, request, &refusal);
        return;
    }
    struct call *call = engine_call_new (engine);
    if (call == NULL) {
        refusal = (struct route_answer){.status = STATUS_RESOURCE_EXHAUSTED,
            .reason = "NODE_BUSY",
            .message = "this node has as many calls in flight as it may; slow down and send the same request id again",
            .retry_after_ms = 10};
        refuse_at_door (engine, request, &refusal);
        return;
    }
    call->source = CALL_CLIENT;
    call->write = needs_request_id (method);
    call->method = method;
    call->principal = principal;
    keep_attempt (call, &attempt);
    call->client = request->client;
    call->remote_call = request->header.call;
    call->deadline_ms = engine->now_ms + remaining_ms;
    if (request->header.has_request_id)
        call->request_id = request->header.request_id;
    uint32_t hops = request->header.has_hops ? (uint32_t) request->header.hops : 0;
    if (method->class == METHOD_LOCAL)
        engine_local (engine, call, request->body);
    else if (method->class == METHOD_FANOUT)
        engine_fanout_start (engine, call, request->body);
    else if (method->number == METHOD_NUMBER_CLUSTER_REPLACE_NODE)
        engine_replace_start (engine, call, request->body, hops);
    else
        engine_route (engine, call, request->body, hops);
}

void engine_requests_drain (struct engine *engine)
{
    struct front_request request;
    bool clients = engine_wait_take (&engine->wait, WAIT_CLIENTS), calls = engine_wait_take (&engine->wait, WAIT_CALLS);
    if ((clients || calls) && !front_watch (engine->front))
        engine_wait_again (&engine->wait, WAIT_CLIENTS);
    if (!calls)
        return;
    for (int i = 0; i < ENGINE_REQUESTS_A_TURN; i++) {
        enum status status = front_receive (engine->front, &request);
        if (status == STATUS_NOT_FOUND)
            return;
        if (status == STATUS_OK && failpoint (FAILPOINT_RECEIVE_REQUEST))
            continue;
        if (status == STATUS_OK)
            start (engine, &request);
        else
            engine->counters.invalid++;
    }
    engine_wait_again (&engine->wait, WAIT_CALLS);
}

/* ---- to a shard */

static void refuse_body (struct engine *engine, struct call *call, const struct codec_error *error)
{
    char message[CODEC_PATH_SIZE + 160];
    snprintf (message, sizeof message, "%s%s%s: correct the request", error->path, error->path[0] == '\0' ? "" : " ",
        error->message);
    uint8_t body[REFUSAL_ENCODED_MAX];
    struct route_answer answer = {.status = STATUS_INVALID_ARGUMENT, .reason = "BAD_REQUEST", .message = message};
    struct refusal refusal = {.has_field = error->path[0] != '\0', .field = bytes_text (error->path)};
    size_t len;
    if (codec_encode (&refusal_type, &refusal, body, sizeof body, &len) == STATUS_OK)
        answer.body = bytes_of (body, len);
    engine->counters.invalid++;
    engine_call_answer (engine, call, &answer);
}

static bool has_route (const struct method *method)
{
    return method->class == METHOD_WRITE || method->class == METHOD_READ;
}

/* Decodes into the engine's arena; NULL after the call was refused. */
static void *decode_body (struct engine *engine, struct call *call, struct bytes body)
{
    struct codec_error error;
    arena_reset (&engine->arena);
    void *value = arena_alloc (&engine->arena, call->method->request->size);
    maitre_assert (value != NULL);
    if (codec_decode (call->method->request, body, CODEC_LENIENT, &engine->arena, value, &error) == STATUS_OK)
        return value;
    refuse_body (engine, call, &error);
    return NULL;
}

static void refuse_wrong_shard (struct engine *engine, struct call *call)
{
    engine->counters.wrong_shard++;
    engine_call_refuse (engine, call, STATUS_INVALID_ARGUMENT, "WRONG_SHARD",
        "the request id's placement hash is not that of what the request names; make the id from that hash", 0);
}

void engine_route_to_shard (struct engine *engine, struct call *call, struct bytes body)
{
    struct replica *replica = engine_replica (engine, call->shard);
    maitre_assert (replica != NULL);
    void *value = decode_body (engine, call, body);
    if (value == NULL)
        return;
    uint32_t hash;
    if (has_route (call->method)) {
        if (method_routing_hash (call->method, value, &hash) != STATUS_OK ||
            placement_shard (hash, engine->config.shards) != call->shard) {
            refuse_wrong_shard (engine, call);
            return;
        }
    }
    size_t len;
    struct codec_error error;
    if (codec_encode_explained (call->method->request, value, engine->encoded, ENGINE_PAGE_BYTES_MAX, &len, &error) !=
        STATUS_OK) {
        refuse_body (engine, call, &error);
        return;
    }
    if (call->write && engine->disk_full) {
        engine_call_refuse (engine, call, STATUS_RESOURCE_EXHAUSTED, "DISK_FULL",
            "the leader's disk is nearly full; make room there, then send the same request id again", 1000);
        return;
    }
    if (call->write && engine->memory_full) {
        engine_call_refuse (engine, call, STATUS_RESOURCE_EXHAUSTED, "NODE_BUSY",
            "the leader's memory is full until its state is written back; slow down and send the same request id again",
            100);
        return;
    }
    engine->counters.writes += call->write;
    engine->counters.reads += !call->write;
    call->started = true;
    struct shard_event event = {.type = SHARD_EVENT_CALL,
        .call = {.token = engine_call_token (engine, call),
            .method = call->method,
            .principal = call->principal,
            .request_id = call->request_id,
            .body = bytes_of (engine->encoded, len),
            .deadline_ms = call->deadline_ms}};
    engine_step (engine, replica, &event);
}

/* The shard that a call belongs to. False after the call was refused. */
static bool find_shard (struct engine *engine, struct call *call, struct bytes body)
{
    if (call->method->class == METHOD_SYSTEM_READ || call->method->class == METHOD_SYSTEM_WRITE) {
        call->shard = 0;
        return true;
    }
    uint32_t hash;
    if (!id_is_zero (&call->request_id)) {
        hash = id_hash (&call->request_id);
    } else {
        void *value = decode_body (engine, call, body);
        if (value == NULL)
            return false;
        if (method_routing_hash (call->method, value, &hash) != STATUS_OK) {
            refuse_wrong_shard (engine, call);
            return false;
        }
    }
    call->shard = placement_shard (hash, engine->config.shards);
    return true;
}

/* One that is being filled for the first time knows nobody yet: then others are asked, as if it were not here. */
static bool knows_its_group (const struct replica *replica)
{
    struct shard_status status;
    if (replica == NULL || replica->leader_node != 0 || replica->dead)
        return replica != NULL;
    shard_status_get (replica->core, &status);
    return status.votes;
}

void engine_route (struct engine *engine, struct call *call, struct bytes body, uint32_t hops)
{
    /* The shard of a part or of a forwarded call was found where it came from. */
    if (call->source == CALL_CLIENT && !find_shard (engine, call, body))
        return;
    struct replica *replica = engine_replica (engine, call->shard);
    struct route_request request = {
        .need = ROUTE_NEED_LEADER,
        .shard = call->shard,
        .hops = hops,
        .leads_here = replica != NULL && replica->leader_node == engine->config.node,
        .replica_here = knows_its_group (replica),
    };
    struct route_decision decision = route_decide (&engine->map, engine->config.node, &request);
    struct route_answer answer = {.status = STATUS_UNAVAILABLE};
    switch (decision.verdict) {
    case ROUTE_ANSWER_HERE:
        engine_route_to_shard (engine, call, body);
        return;
    case ROUTE_FORWARD:
        if (engine_forward (engine, call, body, decision.node, hops + 1)) {
            const struct route_shard *route = route_map_shard (&engine->map, call->shard);
            call->forwarded_term = route->leader_node == decision.node ? route->leader_term : 0;
            return;
        }
        answer.reason = "LEADER_BUSY";
        answer.message = "the shard's leader does not take more calls now; send the same request id again";
        answer.retry_after_ms = ENGINE_UNKNOWN_RETRY_MS;
        break;
    case ROUTE_NOT_LEADER:
        answer.reason = "NOT_LEADER";
        answer.message = "another node leads the shard; send the same request id to the node that the reply names";
        answer.leader_node = decision.node;
        break;
    case ROUTE_UNAVAILABLE:
        answer.reason = "NO_LEADER";
        answer.message = "the shard has no leader that can be reached now; send the same request id again";
        answer.retry_after_ms = decision.retry_after_ms;
        break;
    case ROUTE_UNKNOWN_SHARD:
        answer.status = STATUS_INVALID_ARGUMENT;
        answer.reason = "NO_SUCH_SHARD";
        answer.message = "the cluster has no such shard; cluster.Ring says how many there are";
        break;
    }
    engine_call_answer (engine, call, &answer);
}
