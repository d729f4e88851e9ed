/* Blocking calls, and the way from a typed request to a typed reply.
 */
#include <stdlib.h>

#include "client/src/client.h"

/* An owned reply: the struct that users see, and behind it the texts and the body. */
struct owned_reply {
    struct maitre_reply reply;
    char bytes[];
};

struct waiting_call {
    bool done;
    struct owned_reply *owned; /* NULL when done: no memory */
    bool write;
    bool done_there; /* what no memory was left for: the call happened, or may have */
    struct maitre_id request_id;
};

static bool is_write (const struct method *method)
{
    return method->class == METHOD_WRITE || method->class == METHOD_SYSTEM_WRITE;
}

static void keep_reply (struct maitre *client, uint64_t number, const struct maitre_reply *reply, void *user)
{
    (void) client;
    (void) number;
    struct waiting_call *waiting = user;
    size_t reason = strlen (reply->reason) + 1, message = strlen (reply->message) + 1;
    waiting->done = true;
    waiting->owned = malloc (sizeof *waiting->owned + reason + message + reply->body.len);
    waiting->done_there = reply->status == MAITRE_OK || reply->maybe_applied;
    waiting->request_id = reply->request_id;
    if (waiting->owned == NULL)
        return;
    char *at = waiting->owned->bytes;
    waiting->owned->reply = *reply;
    waiting->owned->reply.reason = memcpy (at, reply->reason, reason);
    waiting->owned->reply.message = memcpy (at + reason, reply->message, message);
    waiting->owned->reply.body.data = at + reason + message;
    if (reply->body.len > 0)
        memcpy (at + reason + message, reply->body.data, reply->body.len);
}

void maitre_reply_destroy (struct maitre_reply **reply)
{
    if (reply == NULL || *reply == NULL)
        return;
    free (*reply); /* the first member of what keep_reply allocated */
    *reply = NULL;
}

static void remember_error (struct maitre *client, const struct maitre_reply *reply)
{
    struct maitre_error *error = &client->error;
    memset (error, 0, sizeof *error);
    error->status = reply->status;
    client_text (error->reason, sizeof error->reason, bytes_text (reply->reason));
    client_text (error->message, sizeof error->message, bytes_text (reply->message));
    error->retryable = reply->retryable;
    error->maybe_applied = reply->maybe_applied;
    error->retry_after_ms = reply->retry_after_ms;
    error->attempts = reply->attempts;
    error->request_id = reply->request_id;
    error->refusal = reply->refusal;
}

/* Only from outside of callbacks: a wait inside one would never end. */
static enum status may_block (struct maitre *client)
{
    if (!client_alive (client))
        return STATUS_FAILED_PRECONDITION;
    if (client->inside)
        return client_error (&client->error, STATUS_FAILED_PRECONDITION, "INSIDE_CALLBACK",
            "a callback cannot wait; use maitre_start there");
    return STATUS_OK;
}

/* A write that was answered, but not to the caller, is one whose outcome the caller does not know. */
static enum maitre_status no_memory (struct maitre *client, const struct waiting_call *waiting)
{
    enum status status =
        client_error (&client->error, STATUS_RESOURCE_EXHAUSTED, "NO_MEMORY", "no memory for the reply");
    client->error.maybe_applied = waiting->write && waiting->done_there;
    client->error.request_id = waiting->request_id;
    return (enum maitre_status) status;
}

static enum maitre_status wait_for (struct maitre *client, struct waiting_call *waiting, struct maitre_reply **reply)
{
    while (!waiting->done)
        if (maitre_process (client, -1) < 0)
            return MAITRE_FAILED_PRECONDITION;
    if (waiting->owned == NULL)
        return no_memory (client, waiting);
    struct maitre_reply *got = &waiting->owned->reply;
    enum maitre_status status = got->status;
    if (status != MAITRE_OK)
        remember_error (client, got);
    if (reply != NULL)
        *reply = got;
    else
        maitre_reply_destroy (&got);
    return status;
}

enum maitre_status maitre_call (struct maitre *client, const char *method, struct maitre_bytes body,
    const struct maitre_call_options *options, struct maitre_reply **reply)
{
    const struct method *known = method == NULL ? NULL : method_by_name (bytes_text (method));
    struct waiting_call waiting = {.write = known != NULL && is_write (known)};
    if (reply != NULL)
        *reply = NULL;
    enum maitre_status status = (enum maitre_status) may_block (client);
    if (status == MAITRE_OK)
        status = maitre_start (client, method, body, options, keep_reply, &waiting, NULL);
    return status == MAITRE_OK ? wait_for (client, &waiting, reply) : status;
}

enum maitre_status client_invoke_start (struct maitre *client, uint32_t method_number, const void *request,
    const struct maitre_call_options *options, maitre_reply_fn *answer, void *user, uint64_t *number)
{
    if (!client_alive (client))
        return MAITRE_FAILED_PRECONDITION;
    const struct method *method = method_by_number (method_number);
    maitre_assert (method != NULL);
    struct codec_error why;
    size_t len = 0;
    uint8_t *out = client_scratch (client, (size_t) method->request->encoded_max);
    if (out == NULL)
        return (enum maitre_status) client_error (
            &client->error, STATUS_RESOURCE_EXHAUSTED, "NO_MEMORY", "no memory for the request");
    if (codec_encode_explained (method->request, request, out, (size_t) method->request->encoded_max, &len, &why) !=
        STATUS_OK)
        return (enum maitre_status) client_error (&client->error, STATUS_INVALID_ARGUMENT, "BAD_REQUEST",
            "%s of %s %s; mend it and try again", why.path, method->name, why.message);
    struct call_start start = {.method = method,
        .name = method->name,
        .body = bytes_of (out, len),
        .options = options,
        .answer = answer,
        .user = user};
    bool write = is_write (method);
    uint32_t hash = 0;
    if (options != NULL && !maitre_id_is_zero (&options->request_id)) {
        start.has_request_id = true;
        start.request_id = client_id_in (&options->request_id);
    } else if (method->route != ROUTE_NONE || write) {
        /* Checked by the codec but for one thing: a login that is too short once it is trimmed. */
        if (method->route != ROUTE_NONE && method_routing_hash (method, request, &hash) != STATUS_OK)
            return (enum maitre_status) client_error (&client->error, STATUS_INVALID_ARGUMENT, "BAD_REQUEST",
                "the %s of %s is not valid; mend it and try again", method->route_path, method->name);
        start.has_request_id = true;
        start.request_id = client_call_request_id (client, hash);
    }
    return (enum maitre_status) client_call_start (client, &start, number);
}

enum maitre_status client_invoke (struct maitre *client, uint32_t method_number, const void *request,
    const struct maitre_call_options *options, struct maitre_reply **reply, void *value)
{
    struct waiting_call waiting = {.write = is_write (method_by_number (method_number))};
    struct maitre_reply *got = NULL;
    if (reply != NULL)
        *reply = NULL;
    enum maitre_status status = (enum maitre_status) may_block (client);
    if (status == MAITRE_OK)
        status = client_invoke_start (client, method_number, request, options, keep_reply, &waiting, NULL);
    if (status == MAITRE_OK)
        status = wait_for (client, &waiting, &got);
    if (status == MAITRE_OK && value != NULL) {
        const struct codec_type *type = method_by_number (method_number)->reply;
        size_t arena_size = (size_t) type->arena_max + ARENA_ALIGNMENT;
        struct arena arena;
        uint8_t *room = client_scratch (client, arena_size);
        arena_init (&arena, room, room == NULL ? 0 : arena_size);
        if (room == NULL)
            status = no_memory (client, &waiting);
        else if (codec_decode (type, bytes_of (got->body.data, got->body.len), CODEC_LENIENT, &arena, value, NULL) !=
                 STATUS_OK)
            status = (enum maitre_status) client_error (&client->error, STATUS_INTERNAL, "BAD_REPLY",
                "the node's reply is not understood; is the node newer than this library?");
    }
    if (reply != NULL)
        *reply = got;
    else if (value == NULL)
        maitre_reply_destroy (&got);
    maitre_assert (value == NULL || reply != NULL);
    return status;
}

static void connected (struct maitre *client, uint64_t number, const struct maitre_reply *reply, void *user)
{
    (void) client;
    (void) number;
    struct waiting_call *waiting = user;
    waiting->done = true;
    waiting->owned = NULL;
    if (reply->status != MAITRE_OK)
        remember_error (client, reply);
}

enum maitre_status maitre_connect (struct maitre *client, uint32_t timeout_ms)
{
    enum maitre_status status = (enum maitre_status) may_block (client);
    if (status != MAITRE_OK)
        return status;
    struct waiting_call waiting = {0};
    struct health_request request = {0};
    struct maitre_call_options options;
    maitre_call_options_init (&options);
    options.deadline_ms = timeout_ms == 0 ? client->deadline_ms : timeout_ms;
    uint64_t until_us = client_now_us () + (uint64_t) options.deadline_ms * 1000;
    client->error.status = MAITRE_OK;
    status = client_invoke_start (client, METHOD_NUMBER_HEALTH_CHECK, &request, &options, connected, &waiting, NULL);
    while (status == MAITRE_OK && !waiting.done)
        if (maitre_process (client, -1) < 0)
            status = MAITRE_FAILED_PRECONDITION;
    if (status == MAITRE_OK)
        status = client->error.status;
    /* The map makes the next calls quick, but a cluster that cannot say it still answers. */
    while (status == MAITRE_OK && !client->map.answered && client_now_us () < until_us)
        if (maitre_process (client, 10) < 0)
            status = MAITRE_FAILED_PRECONDITION;
    return status;
}
