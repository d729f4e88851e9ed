/* Calls in a simulated node, as node/engine treats them: to the own replica, or to the leader's node, and back. */
#include "test/sim/sim_engine.h"

#include <string.h>

#include "schemas/generated/reserve.h"
#include "schemas/runtime/placement_hash.h"

#define BODY_BYTES_MAX 65536
#define CALLS_MAX 4096

/* ---- the table ---- */

static struct sim_call *call_new (struct sim_engine *engine)
{
    struct sim_call *call = NULL;
    for (size_t i = 0; i < engine->calls_count && !call; i++)
        if (engine->calls[i].source == SIM_CALL_FREE)
            call = &engine->calls[i];
    if (!call) {
        maitre_assert (engine->calls_count < CALLS_MAX);
        sim_grow (&engine->calls, &engine->calls_size, engine->calls_count, sizeof *engine->calls);
        call = &engine->calls[engine->calls_count++];
        *call = (struct sim_call){
            .generation = (uint32_t) engine->node->epoch << 20}; /* a late reply to an earlier life finds no call */
    }
    *call = (struct sim_call){.generation = call->generation + 1};
    engine->calls_used++;
    return call;
}

static void call_free (struct sim_engine *engine, struct sim_call *call)
{
    call->source = SIM_CALL_FREE;
    engine->calls_used--;
}

static uint64_t token_of (const struct sim_engine *engine, const struct sim_call *call)
{
    return (uint64_t) call->generation << 32 | ((uint64_t) (call - engine->calls) + 1);
}

static struct sim_call *call_find (struct sim_engine *engine, uint64_t token)
{
    uint32_t number = (uint32_t) token;
    if (number == 0 || number > engine->calls_count)
        return NULL;
    struct sim_call *call = &engine->calls[number - 1];
    return call->source != SIM_CALL_FREE && call->generation == (uint32_t) (token >> 32) ? call : NULL;
}

/* ---- answers ---- */

static void answer_peer (struct sim_engine *engine, const struct sim_call *call, const struct route_answer *answer)
{
    struct forward_reply reply;
    route_answer_told (answer, call->remote_call, &reply);
    sim_engine_put (engine, call->peer_node, SIM_REPLIES, &forward_reply_type, &reply, answer->body.len + 640);
}

static void answer_call (struct sim_engine *engine, struct sim_call *call, const struct route_answer *answer)
{
    struct sim_call copy = *call;
    call_free (engine, call);
    if (copy.source == SIM_CALL_PEER)
        answer_peer (engine, &copy, answer);
    else
        sim_front_reply (engine, copy.client, copy.remote_call, answer);
}

static void refuse (struct sim_engine *engine, struct sim_call *call, enum status status, const char *reason)
{
    answer_call (engine, call, &(struct route_answer){.status = status, .reason = reason});
}

void sim_engine_shard_reply (struct sim_engine *engine, const struct shard_reply *reply)
{
    struct sim_call *call = call_find (engine, reply->token);
    if (!call)
        return; /* its deadline passed */
    struct route_answer answer = {
        .status = reply->reply.status,
        .reason = reply->reply.reason,
        .message = reply->reply.message,
        .retry_after_ms = reply->reply.retry_after_ms,
        .replayed = reply->reply.replayed,
        .maybe_applied = reply->maybe_applied,
        .leader_node = reply->leader_node,
        .body = reply->reply.body,
    };
    answer_call (engine, call, &answer);
}

/* ---- the walk ---- */

static struct sim_replica *replica_of (struct sim_engine *engine, uint32_t shard)
{
    struct sim_replica *found = NULL; /* while a replica is replaced by another of the same node, the newer one */
    for (size_t i = 0; i < engine->node->replicas_count; i++) {
        struct sim_replica *replica = engine->node->replicas[i];
        if (replica->shard == shard && (!found || replica->replica > found->replica))
            found = replica;
    }
    return found;
}

/* Decodes as a client's bytes are decoded, and hands on the deterministic form alone. */
static void to_shard (
    struct sim_engine *engine, struct sim_replica *replica, struct sim_call *call, struct bytes body, uint64_t now_ms)
{
    static uint64_t memory[BODY_BYTES_MAX];
    static uint8_t encoded[BODY_BYTES_MAX];
    struct arena arena;
    size_t len;
    uint32_t hash;
    arena_init (&arena, memory, sizeof memory);
    void *value = arena_alloc (&arena, call->method->request->size);
    if (codec_decode (call->method->request, body, CODEC_LENIENT, &arena, value, NULL) != STATUS_OK ||
        codec_encode (call->method->request, value, encoded, sizeof encoded, &len) != STATUS_OK)
        sim_fail (engine->sim, "a request to %s changed on its way", call->method->name);
    bool routed = call->method->class == METHOD_WRITE || call->method->class == METHOD_READ;
    if (routed && (method_routing_hash (call->method, value, &hash) != STATUS_OK ||
                      placement_shard (hash, engine->sim->shards_count - 1) != call->shard))
        sim_fail (engine->sim, "a request to %s came to the wrong shard", call->method->name);
    if (call->write && engine->disk_full) {
        refuse (engine, call, STATUS_RESOURCE_EXHAUSTED, "DISK_FULL");
        return;
    }
    call->started = true;
    struct shard_event event = {.type = SHARD_EVENT_CALL,
        .call = {.token = token_of (engine, call),
            .method = call->method,
            .principal = call->principal,
            .request_id = call->request_id,
            .body = bytes_of (encoded, len),
            .deadline_ms = call->deadline_ms}};
    sim_shard_step (replica, event, now_ms);
}

static void forward (
    struct sim_engine *engine, struct sim_call *call, struct bytes body, uint32_t node, uint32_t hops, uint64_t now_ms)
{
    struct forward_call value = {
        .call = token_of (engine, call),
        .method = call->method->number,
        .shard = call->shard,
        .actor = {.principal = call->principal.id, .kind = call->principal.kind, .roles = call->principal.roles},
        .has_request_id = !id_is_zero (&call->request_id),
        .request_id = call->request_id,
        .remaining_ms = call->deadline_ms > now_ms ? call->deadline_ms - now_ms : 0,
        .hops = hops,
        .body = body,
    };
    sim_engine_put (engine, node, SIM_CALLS, &forward_call_type, &value, body.len + 128);
    call->forwarded_to = node;
    call->started = true;
    engine->sim->oracle.counts.forwarded++;
}

static void route (struct sim_engine *engine, struct sim_call *call, struct bytes body, uint32_t hops, uint64_t now_ms)
{
    struct sim_replica *replica = replica_of (engine, call->shard);
    struct route_request request = {
        .need = ROUTE_NEED_LEADER,
        .shard = call->shard,
        .hops = hops,
        .leads_here = replica && replica->shard_core->leader_node == engine->node->index,
        .replica_here = replica != NULL,
    };
    struct route_decision decision = route_decide (&engine->map, engine->node->index, &request);
    switch (decision.verdict) {
    case ROUTE_ANSWER_HERE:
        to_shard (engine, replica, call, body, now_ms);
        break;
    case ROUTE_FORWARD:
        if (hops >= ROUTE_HOPS_MAX)
            sim_fail (engine->sim, "a call is forwarded twice");
        forward (engine, call, body, decision.node, hops + 1, now_ms);
        break;
    case ROUTE_NOT_LEADER:
        answer_call (engine, call,
            &(struct route_answer){.status = STATUS_UNAVAILABLE, .reason = "NOT_LEADER", .leader_node = decision.node});
        break;
    case ROUTE_UNAVAILABLE:
        refuse (engine, call, STATUS_UNAVAILABLE, "NO_LEADER");
        break;
    case ROUTE_UNKNOWN_SHARD:
        sim_fail (engine->sim, "a call for a shard that does not exist");
    }
}

static bool is_write (const struct method *method)
{
    return method->class == METHOD_WRITE || method->class == METHOD_SYSTEM_WRITE;
}

/* Where the fan-out of a list goes on. */
static uint32_t shard_of_part (const struct sim_engine *engine, const void *value)
{
    const struct reserve_list_request *request = value;
    uint32_t shard = 0;
    if (!request->has_page_token || services_page_shard (request->page_token, &shard) != STATUS_OK || shard == 0 ||
        shard >= engine->sim->shards_count)
        sim_fail (engine->sim, "a part of a list that is of no shard");
    return shard;
}

static uint32_t shard_of (const struct sim_engine *engine, const struct sim_asked *asked)
{
    static uint64_t memory[BODY_BYTES_MAX];
    const struct method *method = asked->method;
    uint32_t hash = id_hash (&asked->request_id);
    struct arena arena;
    if (method->class == METHOD_SYSTEM_READ || method->class == METHOD_SYSTEM_WRITE)
        return 0;
    arena_init (&arena, memory, sizeof memory);
    void *value = arena_alloc (&arena, method->request->size);
    if (codec_decode (method->request, asked->body, CODEC_LENIENT, &arena, value, NULL) != STATUS_OK)
        sim_fail (engine->sim, "a request to %s does not decode", method->name);
    if (method->class == METHOD_FANOUT)
        return shard_of_part (engine, value);
    if (id_is_zero (&asked->request_id) && method_routing_hash (method, value, &hash) != STATUS_OK)
        sim_fail (engine->sim, "a request to %s cannot be routed", method->name);
    return placement_shard (hash, engine->sim->shards_count - 1);
}

void sim_engine_request (struct sim_engine *engine, uint32_t client, uint64_t attempt, const struct sim_asked *asked,
    uint64_t deadline_ms, uint64_t now_ms)
{
    struct sim_call *call = call_new (engine);
    call->source = SIM_CALL_CLIENT;
    call->client = client;
    call->remote_call = attempt;
    call->method = asked->method;
    call->write = is_write (asked->method);
    call->principal = asked->principal;
    call->request_id = asked->request_id;
    call->deadline_ms = deadline_ms;
    call->shard = shard_of (engine, asked);
    route (engine, call, asked->body, 0, now_ms);
}

/* ---- from and to other nodes ---- */

void sim_engine_call_received (struct sim_engine *engine, uint32_t node, struct bytes item, uint64_t now_ms)
{
    struct forward_call value;
    if (codec_decode (&forward_call_type, item, CODEC_STRICT, NULL, &value, NULL) != STATUS_OK)
        sim_fail (engine->sim, "a forwarded call does not decode");
    struct sim_call *call = call_new (engine);
    call->source = SIM_CALL_PEER;
    call->peer_node = node;
    call->remote_call = value.call;
    call->method = method_by_number (value.method);
    call->write = is_write (call->method);
    call->shard = (uint32_t) value.shard;
    call->principal =
        (struct principal){.id = value.actor.principal, .kind = value.actor.kind, .roles = value.actor.roles};
    call->request_id = value.request_id;
    call->deadline_ms = now_ms + value.remaining_ms;
    route (engine, call, value.body, (uint32_t) value.hops, now_ms);
}

void sim_engine_reply_received (struct sim_engine *engine, uint32_t node, struct bytes item)
{
    struct forward_reply reply;
    if (codec_decode (&forward_reply_type, item, CODEC_STRICT, NULL, &reply, NULL) != STATUS_OK)
        sim_fail (engine->sim, "a forwarded reply does not decode");
    struct sim_call *call = call_find (engine, reply.call);
    if (!call || call->forwarded_to != node)
        return; /* answered meanwhile: its deadline passed or the link broke */
    struct route_answer_texts texts;
    struct route_answer answer;
    route_answer_heard (&reply, &texts, &answer);
    route_answer_learn (&engine->map, call->shard, node, &answer);
    answer_call (engine, call, &answer);
}

/* ---- calls that must not wait longer ---- */

void sim_engine_calls_expire (struct sim_engine *engine, uint64_t now_ms)
{
    if (engine->calls_used == 0 || now_ms < engine->calls_checked_ms + 20)
        return;
    engine->calls_checked_ms = now_ms;
    for (size_t i = 0; i < engine->calls_count; i++) {
        struct sim_call *call = &engine->calls[i];
        if (call->source != SIM_CALL_FREE && now_ms >= call->deadline_ms)
            answer_call (engine, call,
                &(struct route_answer){.status = STATUS_DEADLINE_EXCEEDED,
                    .reason = "DEADLINE",
                    .maybe_applied = call->write && call->started});
    }
}

void sim_engine_calls_link_lost (struct sim_engine *engine, uint32_t node)
{
    for (size_t i = 0; i < engine->calls_count; i++) {
        struct sim_call *call = &engine->calls[i];
        if (call->source == SIM_CALL_PEER && call->peer_node == node)
            call_free (engine, call); /* nobody is there to take the reply */
        else if (call->source != SIM_CALL_FREE && call->forwarded_to == node)
            answer_call (engine, call,
                &(struct route_answer){
                    .status = STATUS_UNAVAILABLE, .reason = "LINK_LOST", .maybe_applied = call->write});
    }
}

void sim_engine_calls_lost (struct sim_engine *engine)
{
    for (size_t i = 0; i < engine->calls_count; i++)
        if (engine->calls[i].source == SIM_CALL_CLIENT)
            sim_shard_lost (engine->sim, engine->calls[i].remote_call);
}
