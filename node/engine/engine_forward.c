/* A call crosses to the shard's leader at most once; its reply comes back the same way. */
#include "node/engine/engine_internal.h"

#define FORWARD_CALL_HEAD_BYTES 128
#define FORWARD_REPLY_HEAD_BYTES 640

bool engine_forward (struct engine *engine, struct call *call, struct bytes body, uint32_t node, uint32_t hops)
{
    if (body.len > ENGINE_BODY_BYTES_MAX || failpoint (FAILPOINT_SEND_CALL_BEFORE))
        return false;
    struct forward_call forward = {
        .call = engine_call_token (engine, call),
        .method = call->method->number,
        .shard = call->shard,
        .actor = {.principal = call->principal.id, .kind = call->principal.kind, .roles = call->principal.roles},
        .has_request_id = !id_is_zero (&call->request_id),
        .request_id = call->request_id,
        .remaining_ms = engine_remaining_ms (engine, call),
        .hops = hops,
        .body = body,
    };
    size_t size = body.len + FORWARD_CALL_HEAD_BYTES, len;
    uint8_t *room = transport_reserve (engine->transport, node, TRANSPORT_NOW, TRANSPORT_CALLS, size);
    if (room == NULL || codec_encode (&forward_call_type, &forward, room, size, &len) != STATUS_OK)
        return false;
    transport_commit (engine->transport, len);
    failpoint_pass (FAILPOINT_SEND_CALL_AFTER);
    call->forwarded_to = node;
    call->started = true;
    engine->counters.forwarded_out++;
    return true;
}

void engine_forward_call_received (struct engine *engine, uint32_t node, struct bytes item)
{
    struct forward_call forward;
    if (failpoint (FAILPOINT_RECEIVE_CALL))
        return;
    if (codec_decode (&forward_call_type, item, CODEC_STRICT, NULL, &forward, NULL) != STATUS_OK) {
        engine->counters.invalid++;
        return;
    }
    engine->counters.forwarded_in++;
    engine->work++;
    const struct method *method = method_by_number (forward.method);
    struct call *call = engine_call_new (engine);
    struct call refused = {.source = CALL_PEER, .peer_node = node, .remote_call = forward.call, .method = method};
    if (method == NULL || call == NULL) {
        struct route_answer answer = {.status = method == NULL ? STATUS_UNIMPLEMENTED : STATUS_RESOURCE_EXHAUSTED,
            .reason = method == NULL ? "NO_SUCH_METHOD" : "NODE_BUSY",
            .message = method == NULL ? "the shard's leader does not know this method; update all nodes"
                                      : "the shard's leader has as many calls in flight as it may; slow down",
            .retry_after_ms = method == NULL ? 0 : 10};
        engine_forward_answer (engine, &refused, &answer);
        if (call != NULL) {
            call->source = CALL_PEER;
            engine_call_free (engine, call);
        }
        return;
    }
    call->source = CALL_PEER;
    call->peer_node = node;
    call->remote_call = forward.call;
    call->method = method;
    call->write = method->class == METHOD_WRITE || method->class == METHOD_SYSTEM_WRITE;
    call->shard = (uint32_t) forward.shard;
    call->principal =
        (struct principal){.id = forward.actor.principal, .kind = forward.actor.kind, .roles = forward.actor.roles};
    call->request_id = forward.request_id;
    call->deadline_ms = engine->now_ms + forward.remaining_ms;
    if (method->number == METHOD_NUMBER_CLUSTER_PLACEMENT && engine_placement_tell (engine, call))
        return;
    if (method->class == METHOD_LOCAL)
        engine_local (engine, call, forward.body);
    else
        engine_route (engine, call, forward.body, (uint32_t) forward.hops);
}

void engine_forward_answer (struct engine *engine, const struct call *call, const struct route_answer *answer)
{
    struct forward_reply reply;
    route_answer_told (answer, call->remote_call, &reply);
    size_t size = answer->body.len + FORWARD_REPLY_HEAD_BYTES, len;
    if (failpoint (FAILPOINT_SEND_ANSWER_BEFORE))
        return;
    uint8_t *room = size > TRANSPORT_ITEM_BYTES_MAX ? NULL
                                                    : transport_reserve (engine->transport, call->peer_node,
                                                          TRANSPORT_NOW, TRANSPORT_REPLIES, size);
    /* Without room the other side learns it from the broken link, or from its deadline. */
    if (room != NULL && codec_encode (&forward_reply_type, &reply, room, size, &len) == STATUS_OK)
        transport_commit (engine->transport, len);
    failpoint_pass (FAILPOINT_SEND_ANSWER_AFTER);
}

void engine_forward_reply_received (struct engine *engine, uint32_t node, struct bytes item)
{
    struct forward_reply reply;
    if (failpoint (FAILPOINT_RECEIVE_ANSWER))
        return;
    if (codec_decode (&forward_reply_type, item, CODEC_STRICT, NULL, &reply, NULL) != STATUS_OK) {
        engine->counters.invalid++;
        return;
    }
    struct call *call = engine_call_find (engine, reply.call);
    if (call == NULL || call->forwarded_to != node)
        return; /* answered meanwhile: its deadline passed or the link broke */
    struct route_answer_texts texts;
    struct route_answer answer;
    route_answer_heard (&reply, &texts, &answer);
    route_answer_learn (&engine->map, call->shard, node, &answer);
    engine_call_answer (engine, call, &answer);
}
