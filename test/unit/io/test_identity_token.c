/* Tokens: derivation, signing, expiry, audience, revocation, the cache; every byte of a token counts. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "node/identity/identity.h"
#include "node/identity/identity_internal.h"
#include "schemas/generated/auth.h"
#include "schemas/generated/methods.h"

#define ISSUED_MS 1000000
#define EXPIRES_MS 1300000

/* Made with another implementation (OpenSSL's Ed25519, Python's BLAKE2b) from the secret 00 01 02 ... 1f. */
#define GOLDEN_TOKEN                                                                                                   \
    "v4.public.pwFQAAECAwQFBgcICQoLDA0ODwIBAwMEGgAPQkAFGgAT1iAGUK1u35rUBbqeMdOsEE5noscHUBAREhMUFRYXGBkaGxwdHh_403wk68" \
    "mjeGs6q5v-bJDrs9DnnIPpewaUTjOtyLT6u2DH5tgh0jusaBhB_dq_eDzg98LS6OK5yW6qI90UfOUC"
#define GOLDEN_REFRESH "EBESExQVFhcYGRobHB0eHwAAAAAAAAAH1zdZWAR0ONybIfnoJUmIjyWHBw8-4avntuUzAJHQQKM"
#define GOLDEN_CLUSTER "ad6edf9ad405ba9e31d3ac104e67a2c7"

static struct identity *make (uint8_t first_byte, uint32_t cache_max)
{
    uint8_t secret[IDENTITY_SECRET_BYTES];
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t) i;
    secret[0] = first_byte;
    struct identity *identity = NULL;
    assert_int_equal (identity_new (secret, cache_max, &identity), STATUS_OK);
    return identity;
}

static struct id counted (uint8_t first)
{
    struct id id;
    for (size_t i = 0; i < ID_SIZE; i++)
        id.b[i] = (uint8_t) (first + i);
    return id;
}

static struct identity_claims user_claims (void)
{
    return (struct identity_claims){.principal = counted (0),
        .kind = PRINCIPAL_KIND_USER,
        .roles = ROLE_CUSTOMER | ROLE_STAFF,
        .issued_ms = ISSUED_MS,
        .expires_ms = EXPIRES_MS,
        .session = counted (16)};
}

static enum identity_reason judged (struct identity *identity, struct bytes token, uint64_t now_ms)
{
    struct identity_claims claims;
    enum identity_reason reason = IDENTITY_ACCEPTED;
    enum status status = identity_token_verify (identity, token, now_ms, &claims, &reason);
    assert_int_equal (status, reason == IDENTITY_ACCEPTED ? STATUS_OK : STATUS_UNAUTHENTICATED);
    identity_check (identity);
    return reason;
}

static void test_identity_token__derivation_is_golden (void **state)
{
    (void) state;
    struct identity *identity = make (0, 0);
    char text[ID_TEXT_LEN + 1], token[IDENTITY_TOKEN_SIZE], refresh[IDENTITY_REFRESH_TOKEN_SIZE];
    id_format (identity_cluster (identity), text);
    assert_string_equal (text, GOLDEN_CLUSTER);
    struct identity_claims claims = user_claims ();
    assert_int_equal (identity_token_make (identity, &claims, token), STATUS_OK);
    assert_string_equal (token, GOLDEN_TOKEN);
    struct id session = counted (16);
    identity_refresh_make (identity, &session, 7, refresh);
    assert_string_equal (refresh, GOLDEN_REFRESH);
    identity_destroy (&identity);
    assert_null (identity);
}

/* PASETO's own test vector 4-S-1. */
static void test_identity_token__seals_as_paseto_does (void **state)
{
    (void) state;
    const char *token =
        "v4.public.eyJkYXRhIjoidGhpcyBpcyBhIHNpZ25lZCBtZXNzYWdlIiwiZXhwIjoiMjAyMi0wMS0wMVQwMDowMDowMCsw"
        "MDowMCJ9bg_XBBzds8lTZShVlwwKSgeKpLT3yukTw6JUz3W4h_ExsQV-P0V54zemZDcAxFaSeef1QlXEFtkqxT1ciiQEDA";
    const char *payload = "{\"data\":\"this is a signed message\",\"exp\":\"2022-01-01T00:00:00+00:00\"}";
    uint8_t secret[crypto_sign_SECRETKEYBYTES], message[256];
    size_t len = 0;
    assert_int_equal (
        sodium_hex2bin (secret, sizeof secret,
            "b4cbfb43df4ce210727d953e4a713307fa19bb7d9f85041438d9e11b942a37741eb9dbbbbc047c03fd70604e0071f0987e16b28b75"
            "7225c11f00415d0e20b1a2",
            128, NULL, &len, NULL),
        0);
    char made[IDENTITY_TOKEN_SIZE];
    assert_int_equal (identity_seal (secret, bytes_text (payload), made, sizeof made), STATUS_OK);
    assert_string_equal (made, token);
    assert_int_equal (identity_unseal (secret + 32, bytes_text (token), message, sizeof message, &len), STATUS_OK);
    assert_int_equal (len, strlen (payload));
    assert_memory_equal (message, payload, len);
    assert_int_equal (
        identity_unseal (secret + 32, bytes_text (token), message, len - 1, &len), STATUS_UNAUTHENTICATED);
}

static void test_identity_token__round_trip (void **state)
{
    (void) state;
    struct identity *identity = make (0, 0);
    struct identity_claims claims = user_claims (), read;
    memcpy (claims.name, "Zoë", sizeof "Zoë");
    char token[IDENTITY_TOKEN_SIZE];
    assert_int_equal (identity_token_make (identity, &claims, token), STATUS_OK);
    for (int round = 0; round < 2; round++) { /* the second from the cache */
        assert_int_equal (identity_token_verify (identity, bytes_text (token), ISSUED_MS, &read, NULL), STATUS_OK);
        assert_true (id_equal (&read.principal, &claims.principal));
        assert_true (id_equal (&read.session, &claims.session));
        assert_int_equal (read.kind, claims.kind);
        assert_int_equal (read.roles, claims.roles);
        assert_int_equal (read.issued_ms, claims.issued_ms);
        assert_int_equal (read.expires_ms, claims.expires_ms);
        assert_string_equal (read.name, "Zoë");
    }
    assert_int_equal (identity_cache_hits (identity), 1);
    assert_int_equal (identity_cached (identity), 1);
    identity_destroy (&identity);
}

static void test_identity_token__longest_name_fits (void **state)
{
    (void) state;
    struct identity *identity = make (0, 0);
    struct identity_claims claims = user_claims (), read;
    claims.issued_ms = claims.expires_ms = UINT64_MAX;
    memset (claims.name, 'x', IDENTITY_NAME_BYTES_MAX);
    char token[IDENTITY_TOKEN_SIZE];
    assert_int_equal (identity_token_make (identity, &claims, token), STATUS_OK);
    assert_int_equal (identity_token_verify (identity, bytes_text (token), 0, &read, NULL), STATUS_OK);
    assert_string_equal (read.name, claims.name);
    claims.name[0] = (char) 0xff; /* not UTF-8 */
    assert_int_equal (identity_token_make (identity, &claims, token), STATUS_INVALID_ARGUMENT);
    claims = user_claims ();
    claims.roles = 32;
    assert_int_equal (identity_token_make (identity, &claims, token), STATUS_INVALID_ARGUMENT);
    identity_destroy (&identity);
}

static void test_identity_token__every_byte_counts (void **state)
{
    (void) state;
    struct identity *identity = make (0, 0);
    char token[] = GOLDEN_TOKEN;
    const size_t len = sizeof token - 1;
    for (size_t i = 0; i < len; i++) {
        char kept = token[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            token[i] = (char) (kept ^ (1 << bit));
            assert_int_equal (judged (identity, bytes_of (token, len), ISSUED_MS), IDENTITY_BAD_TOKEN);
        }
        token[i] = kept;
        assert_int_equal (judged (identity, bytes_of (token, i), ISSUED_MS), IDENTITY_BAD_TOKEN);
    }
    char longer[sizeof token + 1] = GOLDEN_TOKEN "A";
    assert_int_equal (judged (identity, bytes_of (longer, len + 1), ISSUED_MS), IDENTITY_BAD_TOKEN);
    assert_int_equal (identity_cached (identity), 0); /* nothing bad is remembered */
    assert_int_equal (judged (identity, bytes_of (token, len), ISSUED_MS), IDENTITY_ACCEPTED);
    identity_destroy (&identity);
}

static void test_identity_token__expires_after_its_slack (void **state)
{
    (void) state;
    struct identity *identity = make (0, 0);
    struct bytes token = BYTES_LITERAL (GOLDEN_TOKEN);
    const uint64_t last_ms = EXPIRES_MS + IDENTITY_SLACK_MS;
    for (int round = 0; round < 2; round++) {
        assert_int_equal (judged (identity, token, 0), IDENTITY_ACCEPTED); /* a slow clock locks nobody out */
        assert_int_equal (judged (identity, token, last_ms), IDENTITY_ACCEPTED);
        assert_int_equal (judged (identity, token, last_ms + 1), IDENTITY_TOKEN_EXPIRED);
        assert_int_equal (judged (identity, token, UINT64_MAX), IDENTITY_TOKEN_EXPIRED);
    }
    identity_destroy (&identity);
}

static void test_identity_token__is_worth_nothing_elsewhere (void **state)
{
    (void) state;
    struct identity *here = make (0, 0), *there = make (1, 0);
    assert_int_equal (judged (there, BYTES_LITERAL (GOLDEN_TOKEN), ISSUED_MS), IDENTITY_BAD_TOKEN);
    /* Signed by the right key, but for another cluster. */
    struct id cluster = here->cluster;
    char token[IDENTITY_TOKEN_SIZE];
    struct identity_claims claims = user_claims ();
    here->cluster = there->cluster;
    assert_int_equal (identity_token_make (here, &claims, token), STATUS_OK);
    here->cluster = cluster;
    assert_int_equal (judged (here, bytes_text (token), ISSUED_MS), IDENTITY_BAD_TOKEN);
    identity_destroy (&here);
    identity_destroy (&there);
}

static void test_identity_token__api_keys_live_until_revoked (void **state)
{
    (void) state;
    struct identity *identity = make (0, 0);
    struct id key = counted (7), others[] = {counted (90), counted (7), counted (3), counted (90)}, admin;
    char token[IDENTITY_TOKEN_SIZE], user[IDENTITY_TOKEN_SIZE], first[IDENTITY_TOKEN_SIZE];
    assert_int_equal (
        identity_api_key_make (identity, &key, ROLE_STAFF, ISSUED_MS, BYTES_LITERAL ("till 3"), token), STATUS_OK);
    assert_int_equal (judged (identity, bytes_text (token), UINT64_MAX), IDENTITY_ACCEPTED);
    struct identity_claims claims = user_claims ();
    claims.principal = key; /* a user is never revoked by that list, whatever its id */
    assert_int_equal (identity_token_make (identity, &claims, user), STATUS_OK);

    assert_int_equal (identity_revoked_set (identity, others, 4), STATUS_OK);
    assert_int_equal (judged (identity, bytes_text (token), ISSUED_MS), IDENTITY_TOKEN_REVOKED);
    assert_int_equal (judged (identity, bytes_text (user), ISSUED_MS), IDENTITY_ACCEPTED);
    assert_int_equal (identity_revoked_set (identity, others, IDENTITY_REVOKED_MAX + 1), STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal (judged (identity, bytes_text (token), ISSUED_MS), IDENTITY_TOKEN_REVOKED);
    assert_int_equal (identity_revoked_set (identity, NULL, 0), STATUS_OK);
    assert_int_equal (judged (identity, bytes_text (token), ISSUED_MS), IDENTITY_ACCEPTED);

    assert_int_equal (identity_admin_key_make (identity, ISSUED_MS, &admin, first), STATUS_OK);
    assert_int_equal (identity_token_verify (identity, bytes_text (first), 0, &claims, NULL), STATUS_OK);
    assert_true (id_equal (&claims.principal, &admin));
    assert_int_equal (claims.roles, ROLE_SET_MAX);
    assert_int_equal (claims.kind, PRINCIPAL_KIND_API_KEY);
    identity_destroy (&identity);
}

static void test_identity_token__cache_is_bounded (void **state)
{
    (void) state;
    struct identity *identity = make (0, 3);
    char tokens[5][IDENTITY_TOKEN_SIZE];
    for (uint8_t i = 0; i < 5; i++) {
        struct identity_claims claims = user_claims ();
        claims.principal = counted (i);
        assert_int_equal (identity_token_make (identity, &claims, tokens[i]), STATUS_OK);
    }
    for (size_t i = 0; i < 3; i++)
        assert_int_equal (judged (identity, bytes_text (tokens[i]), ISSUED_MS), IDENTITY_ACCEPTED);
    assert_int_equal (judged (identity, bytes_text (tokens[0]), ISSUED_MS), IDENTITY_ACCEPTED);
    assert_int_equal (judged (identity, bytes_text (tokens[3]), ISSUED_MS), IDENTITY_ACCEPTED); /* puts 1 out */
    assert_int_equal (identity_cached (identity), 3);
    assert_int_equal (identity_cache_hits (identity), 1);
    assert_int_equal (judged (identity, bytes_text (tokens[0]), ISSUED_MS), IDENTITY_ACCEPTED);
    assert_int_equal (identity_cache_hits (identity), 2);
    assert_int_equal (judged (identity, bytes_text (tokens[1]), ISSUED_MS), IDENTITY_ACCEPTED);
    assert_int_equal (identity_cache_hits (identity), 2);
    for (int round = 0; round < 1000; round++)
        assert_int_equal (judged (identity, bytes_text (tokens[(round * 7) % 5]), ISSUED_MS), IDENTITY_ACCEPTED);
    assert_int_equal (identity_cached (identity), 3);
    identity_destroy (&identity);
}

static void test_identity_token__refresh_round_trip (void **state)
{
    (void) state;
    struct identity *identity = make (0, 0), *other = make (1, 0);
    struct id session;
    uint64_t sequence = 0;
    char token[] = GOLDEN_REFRESH;
    struct bytes text = bytes_of (token, sizeof token - 1);
    assert_int_equal (identity_refresh_read (identity, text, &session, &sequence), STATUS_OK);
    struct id expected = counted (16);
    assert_true (id_equal (&session, &expected));
    assert_int_equal (sequence, 7);
    assert_int_equal (identity_refresh_read (other, text, &session, &sequence), STATUS_UNAUTHENTICATED);
    for (size_t i = 0; i < text.len; i++) {
        token[i] ^= 1;
        assert_int_equal (identity_refresh_read (identity, text, &session, &sequence), STATUS_UNAUTHENTICATED);
        token[i] ^= 1;
        assert_int_equal (
            identity_refresh_read (identity, bytes_of (token, i), &session, &sequence), STATUS_UNAUTHENTICATED);
    }
    identity_destroy (&identity);
    identity_destroy (&other);
}

static struct bytes encoded (const struct codec_type *type, const void *value, uint8_t *buffer, size_t size)
{
    size_t len = 0;
    assert_int_equal (codec_encode (type, value, buffer, size, &len), STATUS_OK);
    return bytes_of (buffer, len);
}

static void test_identity_reply__login_gets_its_tokens (void **state)
{
    (void) state;
    struct identity *identity = make (0, 0);
    uint8_t stored[256], memory[4096];
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    struct login_reply reply = {.user = counted (0),
        .roles = ROLE_CUSTOMER | ROLE_STAFF,
        .session = counted (16),
        .sequence = 7,
        .issued_ms = ISSUED_MS,
        .access_expires_ms = EXPIRES_MS};
    struct bytes body = encoded (&login_reply_type, &reply, stored, sizeof stored), out;
    const struct method *login = method_by_number (METHOD_NUMBER_AUTH_LOGIN);
    const struct method *refresh = method_by_number (METHOD_NUMBER_AUTH_REFRESH);
    struct bytes same;
    assert_int_equal (identity_finish_reply (identity, login, body, &arena, &out), STATUS_OK);
    assert_int_equal (identity_finish_reply (identity, refresh, body, &arena, &same), STATUS_OK);
    assert_true (bytes_equal (out, same)); /* derived: a replay makes the same ones */
    assert_int_equal (codec_decode (&login_reply_type, out, CODEC_STRICT, NULL, &reply, NULL), STATUS_OK);
    assert_true (reply.has_access_token && reply.has_refresh_token);
    assert_true (bytes_equal (reply.access_token, BYTES_LITERAL (GOLDEN_TOKEN)));
    assert_true (bytes_equal (reply.refresh_token, BYTES_LITERAL (GOLDEN_REFRESH)));

    arena_init (&arena, memory, 64);
    assert_int_equal (identity_finish_reply (identity, login, body, &arena, &out), STATUS_RESOURCE_EXHAUSTED);
    arena_init (&arena, memory, sizeof memory);
    body.len--;
    assert_int_equal (identity_finish_reply (identity, login, body, &arena, &out), STATUS_DATA_LOSS);
    identity_destroy (&identity);
}

static void test_identity_reply__other_bodies_pass (void **state)
{
    (void) state;
    struct identity *identity = make (0, 0);
    uint8_t stored[512], memory[4096];
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    struct bytes out, body = BYTES_LITERAL ("whatever");
    const struct method *other = method_by_number (METHOD_NUMBER_RESERVE_CREATE);
    assert_int_equal (identity_finish_reply (identity, other, body, &arena, &out), STATUS_OK);
    assert_ptr_equal (out.data, body.data);

    char longest[IDENTITY_NAME_BYTES_MAX];
    memset (longest, 'n', sizeof longest);
    struct create_api_key_reply reply = {
        .key = counted (9), .issued_ms = ISSUED_MS, .roles = ROLE_OPERATOR, .name = bytes_of (longest, sizeof longest)};
    body = encoded (&create_api_key_reply_type, &reply, stored, sizeof stored);
    const struct method *create = method_by_number (METHOD_NUMBER_AUTH_CREATE_API_KEY);
    assert_int_equal (identity_finish_reply (identity, create, body, &arena, &out), STATUS_OK);
    assert_int_equal (codec_decode (&create_api_key_reply_type, out, CODEC_STRICT, NULL, &reply, NULL), STATUS_OK);
    struct identity_claims claims;
    assert_int_equal (identity_token_verify (identity, reply.token, 0, &claims, NULL), STATUS_OK);
    assert_int_equal (claims.roles, ROLE_OPERATOR);
    assert_int_equal (strlen (claims.name), sizeof longest);
    identity_destroy (&identity);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_identity_token__derivation_is_golden),
        cmocka_unit_test (test_identity_token__seals_as_paseto_does),
        cmocka_unit_test (test_identity_token__round_trip),
        cmocka_unit_test (test_identity_token__longest_name_fits),
        cmocka_unit_test (test_identity_token__every_byte_counts),
        cmocka_unit_test (test_identity_token__expires_after_its_slack),
        cmocka_unit_test (test_identity_token__is_worth_nothing_elsewhere),
        cmocka_unit_test (test_identity_token__api_keys_live_until_revoked),
        cmocka_unit_test (test_identity_token__cache_is_bounded),
        cmocka_unit_test (test_identity_token__refresh_round_trip),
        cmocka_unit_test (test_identity_reply__login_gets_its_tokens),
        cmocka_unit_test (test_identity_reply__other_bodies_pass),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
