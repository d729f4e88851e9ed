#include "node/identity/identity.h"

#include <stdlib.h>
#include <string.h>

#include "node/identity/identity_internal.h"
#include "schemas/generated/common.h"
#include "schemas/generated/token.h"
#include "schemas/runtime/assert.h"

#define TOKEN_HEAD "v4.public."
#define TOKEN_HEAD_LEN (sizeof TOKEN_HEAD - 1)
#define MESSAGE_BYTES_MAX 512 /* longer than any claims; PASETO's test vectors fit too */
#define PAE_BYTES_MAX (8 + 8 + TOKEN_HEAD_LEN + 8 + MESSAGE_BYTES_MAX + 8 + 8)
#define REFRESH_BODY_BYTES (ID_SIZE + 8)
#define REFRESH_BYTES (REFRESH_BODY_BYTES + IDENTITY_REFRESH_MAC_BYTES)
#define BASE64 sodium_base64_VARIANT_URLSAFE_NO_PADDING

_Static_assert(TOKEN_CLAIMS_ENCODED_MAX <= MESSAGE_BYTES_MAX, "claims fit");
_Static_assert(IDENTITY_TOKEN_SIZE >=
                   TOKEN_HEAD_LEN + sodium_base64_ENCODED_LEN (TOKEN_CLAIMS_ENCODED_MAX + crypto_sign_BYTES, BASE64),
    "every token fits its buffer");
_Static_assert(IDENTITY_REFRESH_TOKEN_SIZE == sodium_base64_ENCODED_LEN (REFRESH_BYTES, BASE64), "fits exactly");
_Static_assert(sizeof ((struct identity_claims *) 0)->name > NAME_TEXT_LEN_MAX, "every name fits its buffer");

/* PASETO's pre-authentication encoding of (head, message, "", ""): what is signed cannot be split another way. */
static size_t pae (uint8_t out[PAE_BYTES_MAX], struct bytes message)
{
    const struct bytes pieces[] = {BYTES_LITERAL (TOKEN_HEAD), message, {0}, {0}};
    const size_t count = sizeof pieces / sizeof pieces[0];
    memset (out, 0, PAE_BYTES_MAX);
    size_t len = 8;
    out[0] = (uint8_t) count;
    for (size_t i = 0; i < count; i++) {
        for (size_t byte = 0; byte < 8; byte++)
            out[len++] = (uint8_t) ((uint64_t) pieces[i].len >> (8 * byte));
        if (pieces[i].len > 0)
            memcpy (out + len, pieces[i].data, pieces[i].len);
        len += pieces[i].len;
    }
    return len;
}

enum status identity_seal (
    const uint8_t secret[crypto_sign_SECRETKEYBYTES], struct bytes message, char *token, size_t token_size)
{
    if (message.len > MESSAGE_BYTES_MAX ||
        token_size < TOKEN_HEAD_LEN + sodium_base64_encoded_len (message.len + crypto_sign_BYTES, BASE64))
        return STATUS_INVALID_ARGUMENT;
    uint8_t signed_bytes[PAE_BYTES_MAX];
    uint8_t raw[MESSAGE_BYTES_MAX + crypto_sign_BYTES];
    size_t signed_len = pae (signed_bytes, message);
    memcpy (raw, message.data, message.len);
    int failed = crypto_sign_detached (raw + message.len, NULL, signed_bytes, signed_len, secret);
    maitre_assert (failed == 0);
    memcpy (token, TOKEN_HEAD, TOKEN_HEAD_LEN);
    sodium_bin2base64 (
        token + TOKEN_HEAD_LEN, token_size - TOKEN_HEAD_LEN, raw, message.len + crypto_sign_BYTES, BASE64);
    return STATUS_OK;
}

/* Every run of bytes has one spelling: libsodium refuses spare bits in the last character, but takes any byte above 0x7f
 * for "_". */
static bool from_base64 (uint8_t *out, size_t out_size, struct bytes text, size_t *len)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] > 0x7f)
            return false;
    const char *end = NULL;
    return sodium_base642bin (out, out_size, (const char *) text.data, text.len, NULL, len, &end, BASE64) == 0 &&
           end == (const char *) text.data + text.len;
}

enum status identity_unseal (const uint8_t public_key[crypto_sign_PUBLICKEYBYTES], struct bytes token, uint8_t *message,
    size_t message_size, size_t *message_len)
{
    if (token.len <= TOKEN_HEAD_LEN || memcmp (token.data, TOKEN_HEAD, TOKEN_HEAD_LEN) != 0)
        return STATUS_UNAUTHENTICATED;
    uint8_t raw[MESSAGE_BYTES_MAX + crypto_sign_BYTES];
    size_t len = 0;
    struct bytes text = bytes_of (token.data + TOKEN_HEAD_LEN, token.len - TOKEN_HEAD_LEN);
    if (!from_base64 (raw, sizeof raw, text, &len) || len < crypto_sign_BYTES || len - crypto_sign_BYTES > message_size)
        return STATUS_UNAUTHENTICATED;
    len -= crypto_sign_BYTES;
    uint8_t signed_bytes[PAE_BYTES_MAX];
    size_t signed_len = pae (signed_bytes, bytes_of (raw, len));
    if (crypto_sign_verify_detached (raw + len, signed_bytes, signed_len, public_key) != 0)
        return STATUS_UNAUTHENTICATED;
    memcpy (message, raw, len);
    *message_len = len;
    return STATUS_OK;
}

enum status identity_token_make (
    const struct identity *identity, const struct identity_claims *claims, char token[IDENTITY_TOKEN_SIZE])
{
    size_t name_len = strnlen (claims->name, sizeof claims->name);
    struct token_claims wire = {.principal = claims->principal,
        .kind = claims->kind,
        .roles = claims->roles,
        .issued_ms = claims->issued_ms,
        .expires_ms = claims->expires_ms,
        .audience = identity->cluster,
        .has_session = !id_is_zero (&claims->session),
        .session = claims->session,
        .has_name = name_len > 0,
        .name = bytes_of (claims->name, name_len)};
    uint8_t message[TOKEN_CLAIMS_ENCODED_MAX];
    size_t len = 0;
    enum status status = codec_encode (&token_claims_type, &wire, message, sizeof message, &len);
    return status != STATUS_OK
               ? status
               : identity_seal (identity->token_secret, bytes_of (message, len), token, IDENTITY_TOKEN_SIZE);
}

const char *identity_reason_name (enum identity_reason reason)
{
    switch (reason) {
    case IDENTITY_ACCEPTED:
        return "ACCEPTED";
    case IDENTITY_BAD_TOKEN:
        return "BAD_TOKEN";
    case IDENTITY_TOKEN_EXPIRED:
        return "TOKEN_EXPIRED";
    case IDENTITY_TOKEN_REVOKED:
        return "TOKEN_REVOKED";
    }
    return "BAD_TOKEN";
}

const char *identity_reason_message (enum identity_reason reason)
{
    switch (reason) {
    case IDENTITY_ACCEPTED:
        return "the token is good";
    case IDENTITY_BAD_TOKEN:
        return "the token is not one of this cluster; log in again, or use an API key made for this cluster";
    case IDENTITY_TOKEN_EXPIRED:
        return "the token has expired; log in again";
    case IDENTITY_TOKEN_REVOKED:
        return "the API key was revoked; ask an administrator for a new one";
    }
    return "the token is not good; log in again";
}

/* Everything that a token proves by itself, for ever. */
static bool verify_whole (const struct identity *identity, struct bytes token, struct identity_claims *claims)
{
    uint8_t message[TOKEN_CLAIMS_ENCODED_MAX];
    size_t len = 0;
    if (identity_unseal (identity->token_public, token, message, sizeof message, &len) != STATUS_OK)
        return false;
    struct token_claims wire;
    if (codec_decode (&token_claims_type, bytes_of (message, len), CODEC_STRICT, NULL, &wire, NULL) != STATUS_OK ||
        !id_equal (&wire.audience, &identity->cluster) || wire.name.len > NAME_TEXT_LEN_MAX)
        return false;
    *claims = (struct identity_claims){.principal = wire.principal,
        .kind = wire.kind,
        .roles = wire.roles,
        .issued_ms = wire.issued_ms,
        .expires_ms = wire.expires_ms,
        .session = wire.session};
    if (wire.has_name)
        memcpy (claims->name, wire.name.data, wire.name.len);
    return true;
}

static int order_of_ids (const void *a, const void *b)
{
    return id_compare (a, b);
}

static bool revoked (const struct identity *identity, const struct id *key)
{
    return identity->revoked_count > 0 &&
           bsearch (key, identity->revoked, identity->revoked_count, sizeof *identity->revoked, order_of_ids) != NULL;
}

/* What changes while a token lives. Expiry first: a token that is too old says nothing about revocation. */
static enum identity_reason judge (
    const struct identity *identity, const struct identity_claims *claims, uint64_t now_ms)
{
    if (claims->expires_ms != 0 && now_ms > claims->expires_ms && now_ms - claims->expires_ms > IDENTITY_SLACK_MS)
        return IDENTITY_TOKEN_EXPIRED;
    if (claims->kind == PRINCIPAL_KIND_API_KEY && revoked (identity, &claims->principal))
        return IDENTITY_TOKEN_REVOKED;
    return IDENTITY_ACCEPTED;
}

enum status identity_token_verify (struct identity *identity, struct bytes token, uint64_t now_ms,
    struct identity_claims *claims, enum identity_reason *reason)
{
    enum identity_reason found = IDENTITY_BAD_TOKEN;
    if (reason == NULL)
        reason = &found;
    *reason = IDENTITY_BAD_TOKEN;
    if (token.len == 0 || token.len >= IDENTITY_TOKEN_SIZE)
        return STATUS_UNAUTHENTICATED;
    uint8_t hash[TOKEN_CACHE_HASH_BYTES];
    int failed = crypto_generichash (hash, sizeof hash, token.data, token.len, NULL, 0);
    maitre_assert (failed == 0);
    struct identity_claims fresh;
    const struct identity_claims *known = token_cache_get (identity->cache, hash);
    if (known != NULL) {
        identity->cache_hits++;
    } else {
        if (!verify_whole (identity, token, &fresh))
            return STATUS_UNAUTHENTICATED;
        token_cache_put (identity->cache, hash, &fresh);
        known = &fresh;
    }
    *reason = judge (identity, known, now_ms);
    if (*reason != IDENTITY_ACCEPTED)
        return STATUS_UNAUTHENTICATED;
    *claims = *known;
    return STATUS_OK;
}

enum status identity_revoked_set (struct identity *identity, const struct id *keys, size_t count)
{
    if (count > IDENTITY_REVOKED_MAX)
        return STATUS_RESOURCE_EXHAUSTED;
    struct id *sorted = NULL;
    size_t kept = 0;
    if (count > 0) {
        sorted = malloc (count * sizeof *sorted);
        if (sorted == NULL)
            return STATUS_RESOURCE_EXHAUSTED;
        memcpy (sorted, keys, count * sizeof *sorted);
        qsort (sorted, count, sizeof *sorted, order_of_ids);
        for (size_t i = 0; i < count; i++)
            if (kept == 0 || !id_equal (&sorted[kept - 1], &sorted[i]))
                sorted[kept++] = sorted[i];
    }
    free (identity->revoked);
    identity->revoked = sorted;
    identity->revoked_count = kept;
    return STATUS_OK;
}

uint32_t identity_cached (const struct identity *identity)
{
    return token_cache_entries (identity->cache);
}

uint64_t identity_cache_hits (const struct identity *identity)
{
    return identity->cache_hits;
}

static void refresh_mac (
    const struct identity *identity, const uint8_t body[REFRESH_BODY_BYTES], uint8_t mac[IDENTITY_REFRESH_MAC_BYTES])
{
    int failed = crypto_generichash (
        mac, IDENTITY_REFRESH_MAC_BYTES, body, REFRESH_BODY_BYTES, identity->refresh_key, sizeof identity->refresh_key);
    maitre_assert (failed == 0);
}

void identity_refresh_make (const struct identity *identity, const struct id *session, uint64_t sequence,
    char token[IDENTITY_REFRESH_TOKEN_SIZE])
{
    uint8_t raw[REFRESH_BYTES];
    memcpy (raw, session->b, ID_SIZE);
    bytes_put_u64 (raw + ID_SIZE, sequence);
    refresh_mac (identity, raw, raw + REFRESH_BODY_BYTES);
    sodium_bin2base64 (token, IDENTITY_REFRESH_TOKEN_SIZE, raw, sizeof raw, BASE64);
}

enum status identity_refresh_read (
    const struct identity *identity, struct bytes token, struct id *session, uint64_t *sequence)
{
    uint8_t raw[REFRESH_BYTES], mac[IDENTITY_REFRESH_MAC_BYTES];
    size_t len = 0;
    if (token.len != IDENTITY_REFRESH_TOKEN_SIZE - 1 || !from_base64 (raw, sizeof raw, token, &len) ||
        len != sizeof raw)
        return STATUS_UNAUTHENTICATED;
    refresh_mac (identity, raw, mac);
    if (sodium_memcmp (mac, raw + REFRESH_BODY_BYTES, sizeof mac) != 0)
        return STATUS_UNAUTHENTICATED;
    memcpy (session->b, raw, ID_SIZE);
    *sequence = bytes_get_u64 (raw + ID_SIZE);
    return STATUS_OK;
}

enum status identity_api_key_make (const struct identity *identity, const struct id *key, uint64_t roles,
    uint64_t issued_ms, struct bytes name, char token[IDENTITY_TOKEN_SIZE])
{
    struct identity_claims claims = {
        .principal = *key, .kind = PRINCIPAL_KIND_API_KEY, .roles = roles, .issued_ms = issued_ms};
    if (name.len > IDENTITY_NAME_BYTES_MAX)
        return STATUS_INVALID_ARGUMENT;
    if (name.len > 0)
        memcpy (claims.name, name.data, name.len);
    return identity_token_make (identity, &claims, token);
}

enum status identity_admin_key_make (
    const struct identity *identity, uint64_t now_ms, struct id *key, char token[IDENTITY_TOKEN_SIZE])
{
    randombytes_buf (key->b, sizeof key->b);
    return identity_api_key_make (identity, key, ROLE_SET_MAX, now_ms, BYTES_LITERAL ("first administrator"), token);
}
