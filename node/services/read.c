/* What happens without the log: linearizable reads, and the leader's look at a write before it proposes it. */
#include "node/services/services.h"

#include "node/services/call.h"
#include "node/services/sessions.h"
#include "schemas/runtime/assert.h"

/* Decodes the body; false after refusing what is not one. */
static bool decode_request (struct service_call *call)
{
    maitre_assert (!call->answered);
    void *request = service_alloc (call, call->method->request->size);
    struct codec_error error;
    call->request = request;
    if (codec_decode (call->method->request, call->body, CODEC_STRICT, call->arena, request, &error) == STATUS_OK)
        return true;
    const char *field = service_text (call, error.path, NULL, NULL, NULL, NULL, NULL);
    struct refusal refusal = {.has_field = field[0] != '\0', .field = bytes_text (field)};
    service_refuse (call, STATUS_INVALID_ARGUMENT, "BAD_REQUEST",
        service_text (
            call, "the request does not follow the contract: ", field, " ", error.message, "; correct it", NULL),
        &refusal);
    maitre_assert (call->answered);
    return false;
}

/* A handler that is not there, or damage, becomes an answer: a read halts nothing, the next apply does. */
static void finish (struct service_call *call)
{
    if (!call->damaged)
        return;
    *call->reply = (struct services_reply){0};
    call->answered = false;
    service_refuse (
        call, STATUS_DATA_LOSS, "DAMAGED", "stored data of this shard is damaged; ask another replica", NULL);
    maitre_assert (call->answered);
    maitre_assert (call->reply->status == STATUS_DATA_LOSS);
}

void services_read (const struct services_config *config, struct state *state, const struct method *method,
    const struct principal *principal, struct bytes body, uint64_t log_time_ms, struct arena *arena,
    struct services_reply *reply)
{
    maitre_assert (arena->size - arena->used >= SERVICES_ARENA_BYTES_MIN);
    *reply = (struct services_reply){0};
    struct service_call call = {
        .config = config,
        .state = state,
        .arena = arena,
        .reply = reply,
        .method = method,
        .principal = *principal,
        .time_ms = log_time_ms,
        .body = body,
    };
    const struct service_method *handlers = dispatch_find (method->number);
    if (handlers == NULL || handlers->read == NULL) {
        service_refuse (&call, STATUS_UNIMPLEMENTED, "NO_SUCH_METHOD", "this node has no such read; upgrade it", NULL);
        return;
    }
    maitre_assert (
        method->class == METHOD_READ || method->class == METHOD_SYSTEM_READ || method->class == METHOD_FANOUT);
    if (!decode_request (&call) || !call_admit (&call, handlers))
        return;
    handlers->read (&call);
    finish (&call);
    maitre_assert (call.answered);
    maitre_assert ((reply->status == STATUS_OK) == (reply->reason == NULL));
    maitre_assert (!reply->replayed);
}

void services_prepare (const struct services_config *config, struct state *state, const struct method *method,
    const struct principal *principal, const struct id *request_id, struct bytes body, struct arena *arena,
    struct services_prepare *prepare, struct bytes *logged_body, struct services_reply *reply)
{
    maitre_assert (arena->size - arena->used >= SERVICES_ARENA_BYTES_MIN);
    *reply = (struct services_reply){0};
    *prepare = (struct services_prepare){.kind = SERVICES_PREPARE_NONE};
    *logged_body = body;
    struct service_meta meta;
    struct service_call call = {
        .config = config,
        .state = state,
        .arena = arena,
        .reply = reply,
        .method = method,
        .principal = *principal,
        .request_id = *request_id,
        .body = body,
        .meta = &meta,
    };
    const struct service_method *handlers = dispatch_find (method->number);
    call.damaged = !sessions_meta_load (state, &meta);
    call.time_ms = meta.log_time_ms;
    if (handlers == NULL || handlers->apply == NULL)
        service_refuse (&call, STATUS_UNIMPLEMENTED, "NO_SUCH_METHOD", "this node has no such call; upgrade it", NULL);
    else if (!call.damaged && decode_request (&call) && (handlers->guard != NULL || !sessions_answer (&call, false)) &&
             call_admit (&call, handlers) && handlers->prepare != NULL)
        handlers->prepare (&call, prepare, logged_body);
    finish (&call);
    maitre_assert (call.answered || handlers != NULL);
    maitre_assert (call.index == 0);
    if (call.answered)
        prepare->kind = SERVICES_PREPARE_DONE;
    /* A secret that nobody took out must not reach the log. */
    maitre_assert (call.answered || !method->request->has_secret || handlers->prepare != NULL);
    maitre_assert (call.answered || logged_body->len > 0);
    maitre_assert (call.answered || prepare->kind != SERVICES_PREPARE_DONE);
}
