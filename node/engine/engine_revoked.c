/* Revoked API keys: the system shard's list, asked every few seconds, page by page, into the verifier's set. */
#include <stdlib.h>

#include "node/engine/engine_internal.h"
#include "schemas/generated/auth.h"

#define POLL_MS 3000
#define PAGE_SIZE 1000

void engine_revoked_poll (struct engine *engine)
{
    if (engine->revoked_asked ||
        (engine->now_ms < engine->revoked_checked_ms + POLL_MS && engine->revoked_token_len == 0))
        return;
    struct call *call = engine_call_new (engine);
    if (call == NULL)
        return;
    engine->revoked_checked_ms = engine->now_ms;
    engine->revoked_asked = true;
    call->source = CALL_OWN;
    call->method = method_by_number (METHOD_NUMBER_AUTH_LIST_API_KEYS);
    /* The node asks as its cluster: only admins may see the list. */
    call->principal = (struct principal){.kind = PRINCIPAL_KIND_API_KEY, .roles = ROLE_ADMIN};
    call->deadline_ms = engine->now_ms + POLL_MS;
    struct list_api_keys_request request = {
        .has_page_size = true,
        .page_size = PAGE_SIZE,
        .has_page_token = engine->revoked_token_len > 0,
        .page_token = bytes_of (engine->revoked_token, engine->revoked_token_len),
    };
    uint8_t body[LIST_API_KEYS_REQUEST_ENCODED_MAX];
    size_t len;
    enum status status = codec_encode (&list_api_keys_request_type, &request, body, sizeof body, &len);
    maitre_assert (status == STATUS_OK);
    engine_route (engine, call, bytes_of (body, len), 0);
}

static void restart (struct engine *engine)
{
    free (engine->revoked);
    engine->revoked = NULL;
    engine->revoked_count = 0;
    engine->revoked_token_len = 0;
}

static bool collect (struct engine *engine, const struct list_api_keys_reply *reply)
{
    for (size_t i = 0; i < reply->keys_count; i++) {
        if (!reply->keys[i].revoked)
            continue;
        struct id *keys = realloc (engine->revoked, (engine->revoked_count + 1) * sizeof *keys);
        if (keys == NULL || engine->revoked_count >= IDENTITY_REVOKED_MAX)
            return false;
        engine->revoked = keys;
        keys[engine->revoked_count++] = reply->keys[i].key;
    }
    return true;
}

void engine_revoked_answer (struct engine *engine, const struct route_answer *answer)
{
    struct list_api_keys_reply reply;
    engine->revoked_asked = false;
    arena_reset (&engine->arena);
    if (answer->status != STATUS_OK ||
        codec_decode (&list_api_keys_reply_type, answer->body, CODEC_STRICT, &engine->arena, &reply, NULL) !=
            STATUS_OK ||
        !collect (engine, &reply)) {
        restart (engine); /* the present set stays until the list can be read as a whole */
        return;
    }
    if (reply.has_page_token && reply.page_token.len > 0 && reply.page_token.len <= sizeof engine->revoked_token) {
        memcpy (engine->revoked_token, reply.page_token.data, reply.page_token.len);
        engine->revoked_token_len = reply.page_token.len;
        return;
    }
    if (identity_revoked_set (engine->identity, engine->revoked, engine->revoked_count) != STATUS_OK)
        event_log (EVENT_LOG_ERROR, "too many revoked API keys: the older set stays in force",
            event_log_u64 ("revoked", engine->revoked_count));
    restart (engine);
}
