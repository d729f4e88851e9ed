#include "node/identity/identity.h"

#include <string.h>

#include "schemas/generated/auth.h"
#include "schemas/generated/methods.h"

/* Encodes what was added to; the arena keeps only what the encoding took. */
static enum status encode_reply (
    const struct codec_type *type, const void *value, size_t room, struct arena *arena, struct bytes *out)
{
    uint8_t *bytes = arena_alloc (arena, room);
    size_t len = 0;
    if (bytes == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    enum status status = codec_encode (type, value, bytes, room, &len);
    if (status == STATUS_OK)
        *out = bytes_of (bytes, len);
    return status;
}

static enum status finish_login (
    const struct identity *identity, struct bytes body, struct arena *arena, struct bytes *out)
{
    struct login_reply reply;
    if (codec_decode (&login_reply_type, body, CODEC_STRICT, NULL, &reply, NULL) != STATUS_OK)
        return STATUS_DATA_LOSS;
    struct identity_claims claims = {.principal = reply.user,
        .kind = PRINCIPAL_KIND_USER,
        .roles = reply.roles,
        .issued_ms = reply.issued_ms,
        .expires_ms = reply.access_expires_ms,
        .session = reply.session};
    char access[IDENTITY_TOKEN_SIZE], refresh[IDENTITY_REFRESH_TOKEN_SIZE];
    enum status status = identity_token_make (identity, &claims, access);
    if (status != STATUS_OK)
        return STATUS_DATA_LOSS;
    identity_refresh_make (identity, &reply.session, reply.sequence, refresh);
    reply.has_access_token = reply.has_refresh_token = true;
    reply.access_token = bytes_text (access);
    reply.refresh_token = bytes_text (refresh);
    return encode_reply (&login_reply_type, &reply, body.len + sizeof access + sizeof refresh + 16, arena, out);
}

static enum status finish_api_key (
    const struct identity *identity, struct bytes body, struct arena *arena, struct bytes *out)
{
    struct create_api_key_reply reply;
    if (codec_decode (&create_api_key_reply_type, body, CODEC_STRICT, NULL, &reply, NULL) != STATUS_OK)
        return STATUS_DATA_LOSS;
    char token[IDENTITY_TOKEN_SIZE];
    if (identity_api_key_make (identity, &reply.key, reply.roles, reply.issued_ms, reply.name, token) != STATUS_OK)
        return STATUS_DATA_LOSS;
    reply.has_token = true;
    reply.token = bytes_text (token);
    return encode_reply (&create_api_key_reply_type, &reply, body.len + sizeof token + 16, arena, out);
}

enum status identity_finish_reply (const struct identity *identity, const struct method *method, struct bytes body,
    struct arena *arena, struct bytes *out)
{
    switch (method->number) {
    case METHOD_NUMBER_AUTH_LOGIN:
    case METHOD_NUMBER_AUTH_REFRESH:
        return finish_login (identity, body, arena, out);
    case METHOD_NUMBER_AUTH_CREATE_API_KEY:
        return finish_api_key (identity, body, arena, out);
    default:
        *out = body;
        return STATUS_OK;
    }
}
