#include "node/identity/identity.h"

#include <string.h>

#include "node/identity/password.h"
#include "schemas/generated/auth.h"

#define VERDICT_BYTES 9

_Static_assert(VERDICT_BYTES + PASSWORD_HASH_SIZE <= IDENTITY_PREPARED_SIZE, "a verdict and a hash fit");
_Static_assert(1 + ID_SIZE + 8 <= IDENTITY_PREPARED_SIZE, "a refresh token's parts fit");

static enum status add_hash (struct bytes password, uint8_t *prepared, size_t *len)
{
    char text[PASSWORD_HASH_SIZE];
    enum status status = password_hash (password, text);
    if (status != STATUS_OK)
        return status;
    size_t text_len = strlen (text);
    memcpy (prepared + *len, text, text_len);
    *len += text_len;
    return STATUS_OK;
}

static enum status add_verdict (
    struct bytes password, struct bytes hash, uint64_t credentials_version, uint8_t *prepared, size_t *len, bool *right)
{
    enum status status = password_verify (password, hash);
    if (status != STATUS_OK && status != STATUS_UNAUTHENTICATED)
        return status;
    *right = status == STATUS_OK;
    prepared[0] = *right;
    bytes_put_u64 (prepared + 1, credentials_version);
    *len = VERDICT_BYTES;
    return STATUS_OK;
}

/* A wrong old password costs as much as a right one. */
static enum status change (
    struct bytes body, struct bytes hash, uint64_t credentials_version, uint8_t *prepared, size_t *len, bool *right)
{
    struct change_password_request request;
    if (codec_decode (&change_password_request_type, body, CODEC_STRICT, NULL, &request, NULL) != STATUS_OK)
        return STATUS_INVALID_ARGUMENT;
    enum status status = add_verdict (request.old_password, hash, credentials_version, prepared, len, right);
    return status != STATUS_OK ? status : add_hash (request.new_password, prepared, len);
}

static void refresh (const struct identity *identity, struct bytes token, uint8_t *prepared, size_t *len, bool *right)
{
    struct id session = {{0}};
    uint64_t sequence = 0;
    *right = identity_refresh_read (identity, token, &session, &sequence) == STATUS_OK;
    prepared[0] = *right;
    memcpy (prepared + 1, session.b, ID_SIZE);
    bytes_put_u64 (prepared + 1 + ID_SIZE, sequence);
    *len = 1 + ID_SIZE + 8;
}

enum status identity_prepare (const struct identity *identity, enum identity_job job, struct bytes password,
    struct bytes hash, uint64_t credentials_version, uint8_t prepared[IDENTITY_PREPARED_SIZE], size_t *prepared_len,
    bool *right)
{
    bool ignored = false;
    if (right == NULL)
        right = &ignored;
    *right = true;
    *prepared_len = 0;
    switch (job) {
    case IDENTITY_JOB_HASH:
        return add_hash (password, prepared, prepared_len);
    case IDENTITY_JOB_VERIFY:
        return add_verdict (password, hash, credentials_version, prepared, prepared_len, right);
    case IDENTITY_JOB_CHANGE:
        return change (password, hash, credentials_version, prepared, prepared_len, right);
    case IDENTITY_JOB_REFRESH:
        refresh (identity, password, prepared, prepared_len, right);
        return STATUS_OK;
    }
    return STATUS_INVALID_ARGUMENT;
}
