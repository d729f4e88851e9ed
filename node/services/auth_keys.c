/* API keys: the list in the system shard. The tokens themselves are signed, not stored; a key that no list names (the one made
 * with the cluster) can be revoked too. */
#include "node/services/auth.h"

#include "schemas/runtime/assert.h"

static bool is_admin (struct service_call *call)
{
    if ((call->principal.roles & ROLE_ADMIN) != 0)
        return true;
    service_refuse (call, STATUS_PERMISSION_DENIED, "ADMIN_ONLY",
        "only an administrator makes and revokes API keys; ask one, or use an administrator's API key", NULL);
    return false;
}

static bool count_row (void *argument, struct bytes key, struct bytes value)
{
    size_t *count = argument;
    (void) key;
    (void) value;
    return ++*count < AUTH_API_KEYS_MAX;
}

/* Rare and small enough to count afresh. False after refusing. */
static bool has_room (struct service_call *call)
{
    size_t count = 0;
    struct key from = key_table (TABLE_API_KEY), to = from;
    key_after_prefix (&to);
    state_scan (call->state, key_of (&from), key_of (&to), false, count_row, &count);
    maitre_assert (count <= AUTH_API_KEYS_MAX);
    if (count < AUTH_API_KEYS_MAX)
        return true;
    struct refusal refusal = {.has_limit = true, .limit = AUTH_API_KEYS_MAX};
    service_refuse (call, STATUS_RESOURCE_EXHAUSTED, "TOO_MANY_KEYS",
        "the cluster's list of API keys is full; share a key among machines of one purpose", &refusal);
    return false;
}

void auth_create_api_key_apply (struct service_call *call)
{
    const struct create_api_key_request *request = call->request;
    struct key key = key_entity (TABLE_API_KEY, &request->key);
    if (!is_admin (call))
        return;
    if (id_is_zero (&request->key)) {
        service_refuse_field (call, STATUS_INVALID_ARGUMENT, "BAD_ID", "an API key needs a random id; make one", "key");
        return;
    }
    if ((request->roles & ~call->principal.roles) != 0) {
        service_refuse_field (call, STATUS_PERMISSION_DENIED, "ROLES_BEYOND_YOURS",
            "a key cannot have roles that its maker has not; leave those out", "roles");
        return;
    }
    if (service_exists (call, &key)) {
        service_refuse_field (
            call, STATUS_ALREADY_EXISTS, "EXISTS", "there is an API key with this id; make a new random one", "key");
        return;
    }
    if (!has_room (call))
        return;
    struct api_key stored = {
        .key = request->key, .name = request->name, .roles = request->roles, .created_ms = call->time_ms};
    maitre_assert ((stored.roles & ~call->principal.roles) == 0);
    maitre_assert (!stored.revoked);
    maitre_assert (!id_is_zero (&stored.key));
    service_store (call, &key, &api_key_type, &stored);
    struct create_api_key_reply reply = {
        .key = stored.key, .issued_ms = stored.created_ms, .roles = stored.roles, .name = stored.name};
    service_reply_ok (call, &create_api_key_reply_type, &reply);
}

void auth_revoke_api_key_apply (struct service_call *call)
{
    const struct revoke_api_key_request *request = call->request;
    struct key key = key_entity (TABLE_API_KEY, &request->key);
    struct api_key stored;
    if (!is_admin (call))
        return;
    if (!service_load (call, &key, &api_key_type, &stored)) {
        if (!has_room (call))
            return;
        stored =
            (struct api_key){.key = request->key, .name = BYTES_LITERAL ("not listed"), .created_ms = call->time_ms};
    }
    if (!stored.revoked) {
        stored.revoked = stored.has_revoked_ms = true;
        stored.revoked_ms = call->time_ms;
        service_store (call, &key, &api_key_type, &stored);
    }
    maitre_assert (stored.revoked);
    maitre_assert ((call->principal.roles & ROLE_ADMIN) != 0);
    struct revoke_api_key_reply reply = {.key = stored.key};
    service_reply_ok (call, &revoke_api_key_reply_type, &reply);
}

struct listing {
    struct service_page page;
    struct list_api_keys_reply reply;
};

static enum service_row list_row (struct service_call *call, void *argument, const struct id *id)
{
    struct listing *list = argument;
    struct key key = key_entity (TABLE_API_KEY, id);
    size_t count = list->reply.keys_count, before = call->arena->used;
    maitre_assert (count <= list->page.limit);
    maitre_assert (list->page.limit <= LIST_API_KEYS_REPLY_KEYS_COUNT_MAX);
    if (count == list->page.limit)
        return SERVICE_ROW_FULL;
    if (!service_load (call, &key, &api_key_type, &list->reply.keys[count])) {
        service_damage (call);
        return SERVICE_ROW_FULL;
    }
    if (!service_page_room (&list->page, count, call->arena->used - before))
        return SERVICE_ROW_FULL;
    list->reply.keys_count++;
    return SERVICE_ROW_TAKEN;
}

void auth_list_api_keys_read (struct service_call *call)
{
    struct listing list = {0};
    if (!service_is_operator (call)) {
        service_refuse (call, STATUS_PERMISSION_DENIED, "OPERATORS_ONLY",
            "only operators and administrators see the API keys; use such a user's token", NULL);
        return;
    }
    if (!service_page_open (call, &list.page))
        return;
    struct key prefix = key_table (TABLE_API_KEY);
    list.reply.keys = service_alloc (call, (list.page.limit + 1) * sizeof *list.reply.keys);
    list.reply.page_token = service_list (call, &list.page, &prefix, false, list_row, &list);
    list.reply.has_page_token = list.reply.page_token.len > 0;
    maitre_assert (list.reply.keys_count <= list.page.limit);
    maitre_assert (list.reply.has_page_token == (list.reply.page_token.len > 0));
    service_reply_ok (call, &list_api_keys_reply_type, &list.reply);
}
