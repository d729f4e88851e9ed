/* The calls under way: slots, lists, how one begins and how it ends. */
#include <stdlib.h>

#include "client/src/client.h"

#define SLOT_BITS 20

uint64_t client_call_number (const struct call *call)
{
    return ((uint64_t) call->generation << SLOT_BITS) | call->slot;
}

struct call *client_call_find (const struct maitre *client, uint32_t slot, uint32_t generation)
{
    struct call *call = slot < client->call_count ? client->calls[slot] : NULL;
    return call != NULL && call->state != CALL_FREE && call->generation == generation ? call : NULL;
}

void client_call_move (struct call *call, struct call **list)
{
    if (call->list != NULL) {
        if (call->previous != NULL)
            call->previous->next = call->next;
        else
            *call->list = call->next;
        if (call->next != NULL)
            call->next->previous = call->previous;
    }
    call->list = list;
    call->previous = NULL;
    call->next = NULL;
    if (list == NULL)
        return;
    call->next = *list;
    if (call->next != NULL)
        call->next->previous = call;
    *list = call;
}

struct id client_call_request_id (struct maitre *client, uint32_t hash)
{
    return id_make (client_wall_ms (), hash, client_random (client));
}

/* A slot, made when there is none: the room of heap and free list was made for all of them by maitre_new. */
static struct call *take (struct maitre *client, bool own)
{
    uint32_t bound = client->outstanding_max + CLIENT_OWN_CALLS;
    if (!own && client->outstanding >= client->outstanding_max)
        return NULL;
    if (client->free_count == 0) {
        if (client->call_count >= bound)
            return NULL;
        struct call *made = calloc (1, sizeof *made);
        if (made == NULL)
            return NULL;
        made->slot = client->call_count;
        client->calls[client->call_count++] = made;
        client->free_slots[client->free_count++] = made->slot;
    }
    struct call *call = client->calls[client->free_slots[--client->free_count]];
    uint32_t slot = call->slot, generation = call->generation + 1;
    memset (call, 0, sizeof *call);
    call->slot = slot;
    call->generation = generation == 0 ? 1 : generation;
    return call;
}

/* The request id that routes this body: a write's is new, a read's only carries the hash. */
static enum status make_request_id (struct maitre *client, const struct call_start *start, struct call *call)
{
    const struct method *method = start->method;
    bool write = method->class == METHOD_WRITE || method->class == METHOD_SYSTEM_WRITE;
    if (!write && method->route == ROUTE_NONE)
        return STATUS_OK;
    uint32_t hash = 0;
    if (method->route != ROUTE_NONE) {
        size_t arena_size = (size_t) method->request->arena_max + ARENA_ALIGNMENT;
        size_t size = arena_size + method->request->size + ARENA_ALIGNMENT;
        uint8_t *room = malloc (size);
        if (room == NULL)
            return client_error (&client->error, STATUS_RESOURCE_EXHAUSTED, "NO_MEMORY", "no memory for the request");
        struct arena arena;
        struct codec_error why;
        arena_init (&arena, room, size);
        void *request = arena_alloc (&arena, method->request->size);
        enum status status = codec_decode (method->request, start->body, CODEC_LENIENT, &arena, request, &why);
        if (status != STATUS_OK)
            client_error (&client->error, STATUS_INVALID_ARGUMENT, "BAD_REQUEST",
                "the request of %s is not valid: %s %s; mend it and try again", method->name, why.path, why.message);
        else if (method_routing_hash (method, request, &hash) != STATUS_OK)
            status = client_error (&client->error, STATUS_INVALID_ARGUMENT, "BAD_REQUEST",
                "the request of %s names no %s to route it by; add it", method->name, method->route_path);
        free (room);
        if (status != STATUS_OK)
            return STATUS_INVALID_ARGUMENT;
    }
    call->has_request_id = true;
    call->request_id = client_call_request_id (client, hash);
    return STATUS_OK;
}

static enum status check_start (struct maitre *client, const struct call_start *start)
{
    const struct maitre_call_options *options = start->options;
    size_t name_len = strlen (start->name);
    if (name_len == 0 || name_len > CLIENT_NAME_MAX || !codec_utf8_valid (bytes_text (start->name)))
        return client_error (&client->error, STATUS_INVALID_ARGUMENT, "BAD_METHOD",
            "a method's name has 1 to 64 bytes, for example reserve.Create");
    if (start->body.len > CLIENT_BODY_MAX)
        return client_error (&client->error, STATUS_INVALID_ARGUMENT, "TOO_LARGE",
            "the request has %zu bytes and a node takes %d; send less at once", start->body.len, CLIENT_BODY_MAX);
    if (options != NULL && (options->size < sizeof *options || options->deadline_ms > CLIENT_DEADLINE_MS_MAX))
        return client_error (&client->error, STATUS_INVALID_ARGUMENT, "BAD_OPTIONS",
            "call options need their size, and a deadline_ms of at most %d", CLIENT_DEADLINE_MS_MAX);
    return STATUS_OK;
}

enum status client_call_start (struct maitre *client, const struct call_start *start, uint64_t *number)
{
    const struct maitre_call_options *options = start->options;
    enum status status = check_start (client, start);
    if (status != STATUS_OK)
        return status;
    struct call *call = take (client, start->own);
    if (call == NULL && client->outstanding < client->outstanding_max)
        return client_error (&client->error, STATUS_RESOURCE_EXHAUSTED, "NO_MEMORY", "no memory for a call");
    if (call == NULL)
        return client_error (&client->error, STATUS_RESOURCE_EXHAUSTED, "OUTSTANDING",
            "%u calls are under way, the bound of this handle; wait for answers, or raise outstanding_max",
            client->outstanding);
    call->method = start->method;
    call->write =
        start->method == NULL || start->method->class == METHOD_WRITE || start->method->class == METHOD_SYSTEM_WRITE;
    memcpy (call->name, start->name, strlen (start->name) + 1);
    if (start->has_request_id) {
        call->has_request_id = true;
        call->request_id = start->request_id;
    } else if (options != NULL && !maitre_id_is_zero (&options->request_id)) {
        call->has_request_id = true;
        call->request_id = client_id_in (&options->request_id);
    } else if (start->method != NULL) {
        status = make_request_id (client, start, call);
    }
    if (status == STATUS_OK && zmq_msg_init_size (&call->body, start->body.len) != 0)
        status = client_error (&client->error, STATUS_RESOURCE_EXHAUSTED, "NO_MEMORY", "no memory for the request");
    if (status != STATUS_OK) {
        client->free_slots[client->free_count++] = call->slot;
        return status;
    }
    if (start->body.len > 0)
        memcpy (zmq_msg_data (&call->body), start->body.data, start->body.len);
    uint64_t now_us = client_now_us ();
    uint32_t deadline_ms = options != NULL && options->deadline_ms != 0 ? options->deadline_ms : client->deadline_ms;
    call->own = start->own;
    call->attempts_max = options != NULL ? options->attempts_max : 0;
    call->pinned = options != NULL ? options->node : 0;
    call->answer = start->answer;
    call->user = start->user;
    call->started_us = now_us;
    call->deadline_us = now_us + (uint64_t) deadline_ms * 1000;
    if (!call->own)
        client->outstanding++;
    if (number != NULL)
        *number = client_call_number (call);
    client_retry_send (client, call, now_us);
    client_loop_touched (client);
    return STATUS_OK;
}

void client_call_finish (struct maitre *client, struct call *call, struct maitre_reply *reply, uint64_t now_us)
{
    uint64_t latency_us = now_us > call->started_us ? now_us - call->started_us : 0;
    uint64_t number = client_call_number (call);
    reply->attempts = call->attempts;
    reply->latency_us = latency_us > UINT32_MAX ? UINT32_MAX : (uint32_t) latency_us;
    if (call->has_request_id)
        reply->request_id = client_id_out (&call->request_id);
    if (!call->own)
        client_trace_add (client, call, reply);

    maitre_reply_fn *answer = call->answer;
    void *user = call->user;
    bool own = call->own;
    struct call_failure *failure = call->failure;
    client_call_move (call, NULL);
    client_timer_remove (client, call);
    zmq_msg_close (&call->body);
    call->failure = NULL;
    call->state = CALL_FREE;
    client->free_slots[client->free_count++] = call->slot;
    if (!own) {
        client->outstanding--;
        client->delivered++;
    }
    /* The slot is free before the callback, which may start the next call. */
    bool inside = client->inside;
    client->inside = true;
    answer (client, number, reply, user);
    client->inside = inside;
    free (failure); /* reply may borrow from it */
}

void client_call_fail (struct maitre *client, struct call *call, enum status status, const char *reason,
    const char *message, uint64_t now_us)
{
    struct maitre_reply reply = {.status = (enum maitre_status) status,
        .reason = reason,
        .message = message,
        .maybe_applied = call->unknown,
        .retryable = status == STATUS_DEADLINE_EXCEEDED || status == STATUS_UNAVAILABLE || call->unknown,
        .retry_after_ms = call->failure != NULL ? call->failure->retry_after_ms : 0};
    client_call_finish (client, call, &reply, now_us);
}

enum maitre_status maitre_start (struct maitre *client, const char *method, struct maitre_bytes body,
    const struct maitre_call_options *options, maitre_reply_fn *answer, void *user, uint64_t *call)
{
    if (!client_alive (client))
        return MAITRE_FAILED_PRECONDITION;
    if (method == NULL || answer == NULL || (body.data == NULL && body.len > 0))
        return (enum maitre_status) client_error (
            &client->error, STATUS_INVALID_ARGUMENT, "BAD_ARGUMENT", "a call needs a method, a body and a callback");
    struct call_start start = {.method = method_by_name (bytes_text (method)),
        .name = method,
        .body = bytes_of (body.data, body.len),
        .options = options,
        .answer = answer,
        .user = user};
    return (enum maitre_status) client_call_start (client, &start, call);
}

enum maitre_status maitre_cancel (struct maitre *client, uint64_t number)
{
    if (!client_alive (client))
        return MAITRE_FAILED_PRECONDITION;
    struct call *call =
        client_call_find (client, (uint32_t) (number & ((1u << SLOT_BITS) - 1)), (uint32_t) (number >> SLOT_BITS));
    if (call == NULL || call->own)
        return (enum maitre_status) client_error (
            &client->error, STATUS_NOT_FOUND, "NO_SUCH_CALL", "that call is not under way; it may have been answered");
    if (call->write && call->state == CALL_SENT)
        call->unknown = true;
    client_call_fail (client, call, STATUS_CANCELLED, "CANCELLED",
        call->unknown ? "cancelled here, but it was sent: ask for its outcome" : "cancelled before it was sent",
        client_now_us ());
    client_loop_touched (client); /* the callback may have started calls */
    return MAITRE_OK;
}

uint32_t maitre_outstanding (const struct maitre *client)
{
    return client->outstanding;
}

void client_check (const struct maitre *client)
{
    uint32_t used = 0, users = 0;
    for (uint32_t i = 0; i < client->call_count; i++) {
        const struct call *call = client->calls[i];
        maitre_assert (call->slot == i);
        if (call->state == CALL_FREE) {
            maitre_assert (call->heap_at == 0 && call->list == NULL);
            continue;
        }
        used++;
        users += call->own ? 0 : 1;
        maitre_assert (client->heap[call->heap_at] == call);
        maitre_assert (call->list != NULL);
        maitre_assert ((call->state == CALL_SENT) == (call->list != &client->waiting));
    }
    maitre_assert (used == client->heap_count);
    maitre_assert (users == client->outstanding);
    maitre_assert (used + client->free_count == client->call_count);
}
