#include "node/services/service.h"

#include "node/services/call.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/placement_hash.h"

#define TEXT_BYTES_MAX 400

_Static_assert(KEY_BYTES_MAX <= STATE_KEY_BYTES_MAX, "our keys are keys of the state");
_Static_assert(
    SERVICE_PAGE_BYTES_MAX < SERVICES_ARENA_BYTES_MIN / 4, "a page and its encoding fit the arena of a read");
_Static_assert(REFUSAL_ENCODED_MAX <= SERVICES_ARENA_BYTES_MIN / 2, "there is always room to refuse");

void service_refuse (struct service_call *call, enum status status, const char *reason, const char *message,
    const struct refusal *refusal)
{
    maitre_assert (reason[0] != '\0');
    maitre_assert (strlen (reason) <= REASON_TEXT_LEN_MAX);
    maitre_assert (message[0] != '\0');
    maitre_assert (status != STATUS_OK);
    maitre_assert (!call->answered);
    call->answered = true;
    call->reply->status = status;
    call->reply->reason = reason;
    call->reply->message = message;
    static const struct refusal nothing = {0};
    call->reply->body = service_encode (call, &refusal_type, refusal != NULL ? refusal : &nothing);
}

void service_refuse_field (
    struct service_call *call, enum status status, const char *reason, const char *message, const char *field)
{
    maitre_assert (field[0] != '\0');
    struct refusal refusal = {.has_field = true, .field = bytes_text (field)};
    service_refuse (call, status, reason, message, &refusal);
}

void service_reply_ok (struct service_call *call, const struct codec_type *type, const void *value)
{
    maitre_assert (type == call->method->reply);
    maitre_assert (!call->answered);
    call->answered = true;
    call->reply->status = STATUS_OK;
    call->reply->body = service_encode (call, type, value);
}

bool service_read_value (struct service_call *call, struct bytes stored, const struct codec_type *type, void *value)
{
    maitre_assert (type->size > 0);
    struct bytes copy = service_copy (call, stored);
    enum status status = codec_decode (type, copy, CODEC_STRICT, call->arena, value, NULL);
    maitre_assert (status != STATUS_RESOURCE_EXHAUSTED);
    if (status != STATUS_OK)
        service_damage (call);
    return status == STATUS_OK;
}

bool service_load (struct service_call *call, const struct key *key, const struct codec_type *type, void *value)
{
    maitre_assert (key->len >= 1);
    struct bytes stored;
    if (!state_get (call->state, key_of (key), &stored))
        return false;
    return service_read_value (call, stored, type, value);
}

void service_store (struct service_call *call, const struct key *key, const struct codec_type *type, const void *value)
{
    /* Only an entry changes the state: neither a read nor a look ahead of the log does. */
    maitre_assert (call->index > 0);
    size_t mark = call->arena->used;
    struct bytes encoded = service_encode (call, type, value);
    maitre_assert (encoded.len <= STATE_VALUE_BYTES_MAX);
    state_put (call->state, key_of (key), encoded);
    call->arena->used = mark;
}

void service_mark (struct service_call *call, const struct key *key)
{
    maitre_assert (call->index > 0);
    state_put (call->state, key_of (key), bytes_of (NULL, 0));
}

void service_remove (struct service_call *call, const struct key *key)
{
    maitre_assert (call->index > 0);
    state_remove (call->state, key_of (key));
}

bool service_exists (struct service_call *call, const struct key *key)
{
    struct bytes ignored;
    return state_get (call->state, key_of (key), &ignored);
}

void service_damage (struct service_call *call)
{
    call->damaged = true;
}

void *service_alloc (struct service_call *call, size_t size)
{
    void *memory = arena_alloc (call->arena, size);
    maitre_assert (memory != NULL);
    return memory;
}

void *service_zero (struct service_call *call, size_t size)
{
    return memset (service_alloc (call, size), 0, size);
}

struct bytes service_copy (struct service_call *call, struct bytes bytes)
{
    uint8_t *copy = service_alloc (call, bytes.len);
    if (bytes.len > 0)
        memcpy (copy, bytes.data, bytes.len);
    return bytes_of (copy, bytes.len);
}

struct bytes service_encode (struct service_call *call, const struct codec_type *type, const void *value)
{
    uint8_t *out = service_alloc (call, 0);
    size_t room = call->arena->size - (size_t) (out - call->arena->base);
    size_t len = 0;
    enum status status = codec_encode (type, value, out, room, &len);
    maitre_assert (status == STATUS_OK);
    maitre_assert (len <= type->encoded_max);
    maitre_assert (len <= room);
    call->arena->used = (size_t) (out - call->arena->base) + len;
    return bytes_of (out, len);
}

const char *service_text (
    struct service_call *call, const char *a, const char *b, const char *c, const char *d, const char *e, const char *f)
{
    const char *parts[] = {a, b, c, d, e, f};
    char *text = service_alloc (call, TEXT_BYTES_MAX + 1);
    size_t len = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && parts[i] != NULL; i++) {
        size_t part = strlen (parts[i]);
        if (part > TEXT_BYTES_MAX - len)
            part = TEXT_BYTES_MAX - len;
        memcpy (text + len, parts[i], part);
        len += part;
    }
    maitre_assert (len <= TEXT_BYTES_MAX);
    text[len] = '\0';
    return text;
}

bool service_is_operator (const struct service_call *call)
{
    return (call->principal.roles & (ROLE_OPERATOR | ROLE_ADMIN)) != 0;
}

bool service_acts_for_others (const struct service_call *call)
{
    return call->principal.kind == PRINCIPAL_KIND_API_KEY || (call->principal.roles & ROLE_STAFF) != 0 ||
           service_is_operator (call);
}

bool service_owns_provider (struct service_call *call, const struct id *provider)
{
    struct key key = key_entity (TABLE_PROVIDER, provider);
    if (service_is_operator (call))
        return service_exists (call, &key);
    size_t mark = call->arena->used;
    struct provider stored;
    bool owns = service_load (call, &key, &provider_type, &stored) && stored.has_owner &&
                id_equal (&stored.owner, &call->principal.id);
    maitre_assert (mark <= call->arena->used);
    call->arena->used = mark;
    return owns;
}

bool service_is_local (const struct service_call *call, const struct id *id)
{
    maitre_assert (call->config->shard <= call->config->shard_count);
    return placement_shard (id_hash (id), call->config->shard_count) == call->config->shard;
}

bool call_routes_here (struct service_call *call)
{
    if (call->method->route == ROUTE_NONE)
        return true;
    maitre_assert (call->method->route_path[0] != '\0');
    uint32_t hash = 0;
    if (method_routing_hash (call->method, call->request, &hash) != STATUS_OK ||
        placement_shard (hash, call->config->shard_count) != call->config->shard) {
        service_refuse_field (call, STATUS_INVALID_ARGUMENT, "WRONG_SHARD",
            "the request names an entity of another shard; make the request id with the placement hash of that entity",
            call->method->route_path);
        return false;
    }
    return true;
}

bool call_admit (struct service_call *call, const struct service_method *handlers)
{
    maitre_assert ((handlers->apply == NULL) != (handlers->read == NULL));
    if (!handlers->anonymous && call->principal.kind == PRINCIPAL_KIND_ANONYMOUS) {
        service_refuse (call, STATUS_UNAUTHENTICATED, "NO_TOKEN",
            "this call needs a user or an API key; log in and send the token", NULL);
        return false;
    }
    return call_routes_here (call);
}
