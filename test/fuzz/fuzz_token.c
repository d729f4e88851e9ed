/* Tokens as they come from clients: raw text, signed claims that no correct node would sign, and good tokens altered. */
#include "node/identity/identity_internal.h"
#include "schemas/generated/token.h"
#include "test/fuzz/fuzz.h"

#define NOW_MS UINT64_C (1750000000000)

static struct identity *identity;

static void prepare (void)
{
    uint8_t secret[IDENTITY_SECRET_BYTES] = {1, 2, 3};
    if (identity == NULL && identity_new (secret, 8, &identity) != STATUS_OK)
        abort ();
}

static void check_claims (const struct identity_claims *claims)
{
    size_t name_len = strnlen (claims->name, sizeof claims->name);
    maitre_assert (name_len <= IDENTITY_NAME_BYTES_MAX);
    maitre_assert (codec_utf8_valid (bytes_of (claims->name, name_len)));
    maitre_assert (
        claims->expires_ms == 0 || NOW_MS <= claims->expires_ms || NOW_MS - claims->expires_ms <= IDENTITY_SLACK_MS);
}

/* True when it was taken. */
static bool verify (struct bytes token, struct identity_claims *claims)
{
    enum identity_reason reason;
    enum status status = identity_token_verify (identity, token, NOW_MS, claims, &reason);
    maitre_assert ((status == STATUS_OK) == (reason == IDENTITY_ACCEPTED));
    maitre_assert (identity_reason_name (reason) != NULL && identity_reason_message (reason) != NULL);
    if (status == STATUS_OK)
        check_claims (claims);
    return status == STATUS_OK;
}

/* What is signed must still be claims of this cluster. */
static void check_signed (struct fuzz *fuzz, bool raw)
{
    char token[IDENTITY_TOKEN_SIZE * 2];
    uint8_t message[512], memory[1024];
    struct identity_claims claims;
    struct token_claims wire = {.kind = 1};
    struct arena arena;
    struct bytes signed_bytes = fuzz_run (fuzz, sizeof message);
    if (!raw) {
        *fuzz = (struct fuzz){.at = signed_bytes.data, .left = signed_bytes.len, .arena = &arena};
        arena_init (&arena, memory, sizeof memory);
        fuzz_map (fuzz, &token_claims_type, (uint8_t *) &wire);
        if (fuzz_u8 (fuzz) % 8 != 0)
            wire.audience = *identity_cluster (identity);
        signed_bytes = fuzz_encode (&token_claims_type, &wire, message, sizeof message);
    }
    if (identity_seal (identity->token_secret, signed_bytes, token, sizeof token) != STATUS_OK)
        return;
    if (!verify (bytes_text (token), &claims) || raw)
        return;
    maitre_assert (id_equal (&wire.audience, identity_cluster (identity)));
    maitre_assert (id_equal (&claims.principal, &wire.principal) && claims.roles == wire.roles);
    maitre_assert (claims.kind == wire.kind && claims.expires_ms == wire.expires_ms);
}

/* A good token with some characters changed is refused, or the very same token. */
static void check_altered (struct fuzz *fuzz)
{
    char token[IDENTITY_TOKEN_SIZE], altered[IDENTITY_TOKEN_SIZE];
    struct id key = {{7}};
    struct identity_claims claims;
    if (identity_api_key_make (identity, &key, 1, 1, BYTES_LITERAL ("fuzz"), token) != STATUS_OK)
        abort ();
    size_t len = strlen (token);
    memcpy (altered, token, len + 1);
    for (size_t n = 1 + fuzz_below (fuzz, 3); n > 0; n--)
        altered[fuzz_below (fuzz, len)] = (char) fuzz_u8 (fuzz);
    bool taken = verify (bytes_of (altered, len), &claims);
    maitre_assert (taken == (memcmp (token, altered, len) == 0));
}

static void check_refresh (struct fuzz *fuzz)
{
    char token[IDENTITY_REFRESH_TOKEN_SIZE], altered[IDENTITY_REFRESH_TOKEN_SIZE];
    struct id session, read;
    uint64_t sequence = fuzz_u64 (fuzz), read_sequence;
    fuzz_id (fuzz, session.b);
    identity_refresh_make (identity, &session, sequence, token);
    memcpy (altered, token, sizeof token);
    for (size_t n = fuzz_below (fuzz, 3); n > 0; n--)
        altered[fuzz_below (fuzz, sizeof token - 1)] = (char) fuzz_u8 (fuzz);
    enum status status =
        identity_refresh_read (identity, bytes_of (altered, sizeof altered - 1), &read, &read_sequence);
    maitre_assert ((status == STATUS_OK) == (memcmp (token, altered, sizeof token) == 0));
    maitre_assert (status != STATUS_OK || (id_equal (&read, &session) && read_sequence == sequence));
    (void) !identity_refresh_read (identity, fuzz_rest (fuzz), &read, &read_sequence);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    struct fuzz fuzz = {.at = data, .left = size};
    struct identity_claims claims;
    prepare ();
    switch (fuzz_u8 (&fuzz) % 8) {
    case 0:
    case 1:
    case 2:
        verify (fuzz_rest (&fuzz), &claims);
        break;
    case 3:
        check_altered (&fuzz);
        break;
    case 4:
        check_signed (&fuzz, true);
        break;
    case 5:
        check_signed (&fuzz, false);
        break;
    default:
        check_refresh (&fuzz);
    }
    identity_check (identity);
    return 0;
}
