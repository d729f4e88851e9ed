/* Passwords: what verifies and what never does; how often they may be tried. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "node/identity/identity.h"
#include "node/identity/password.h"
#include "node/identity/password_throttle.h"
#include "schemas/generated/auth.h"

static void test_password__verifies_only_itself (void **state)
{
    (void) state;
    char hash[PASSWORD_HASH_SIZE], again[PASSWORD_HASH_SIZE];
    struct bytes password = BYTES_LITERAL ("correct horse");
    assert_int_equal (password_hash (password, hash), STATUS_OK);
    assert_int_equal (password_hash (password, again), STATUS_OK);
    assert_string_not_equal (hash, again); /* salted */
    assert_ptr_equal (strstr (hash, "$argon2id$v=19$m=19456,t=2,p=1$"), hash);
    assert_int_equal (password_verify (password, bytes_text (hash)), STATUS_OK);
    assert_int_equal (password_verify (BYTES_LITERAL ("correct horsf"), bytes_text (hash)), STATUS_UNAUTHENTICATED);
    assert_int_equal (password_verify (BYTES_LITERAL ("correct hors"), bytes_text (hash)), STATUS_UNAUTHENTICATED);
}

static void test_password__refuses_foreign_hashes (void **state)
{
    (void) state;
    struct bytes password = BYTES_LITERAL ("password");
    static const char *const hashes[] = {"", "password", "$argon2id$v=19$m=19456,t=2,p=1$",
        /* a lower cost than ours, well-formed (the reference implementation's test vector shape) */
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"};
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++)
        assert_int_equal (password_verify (password, bytes_text (hashes[i])), STATUS_UNAUTHENTICATED);
    char longest[PASSWORD_BYTES_MAX + 1], hash[PASSWORD_HASH_SIZE];
    memset (longest, 'x', sizeof longest);
    assert_int_equal (password_hash (bytes_of (longest, sizeof longest), hash), STATUS_INVALID_ARGUMENT);
    assert_int_equal (password_hash (bytes_of (longest, 0), hash), STATUS_INVALID_ARGUMENT);
    assert_int_equal (password_hash (bytes_of (longest, PASSWORD_BYTES_MAX), hash), STATUS_OK);
    assert_int_equal (password_verify (bytes_of (longest, PASSWORD_BYTES_MAX), bytes_text (hash)), STATUS_OK);
    assert_int_equal (password_verify (bytes_of (longest, sizeof longest), bytes_text (hash)), STATUS_UNAUTHENTICATED);
}

/* ---- jobs: what the log gets to see */

static struct identity *fixed_identity (void)
{
    uint8_t secret[IDENTITY_SECRET_BYTES] = {7};
    struct identity *identity = NULL;
    assert_int_equal (identity_new (secret, 1, &identity), STATUS_OK);
    return identity;
}

static void test_identity_prepare__hash_and_verdict (void **state)
{
    (void) state;
    struct identity *identity = fixed_identity ();
    uint8_t hash[IDENTITY_PREPARED_SIZE], prepared[IDENTITY_PREPARED_SIZE];
    size_t hash_len = 0, len = 0;
    bool right = false;
    struct bytes good = BYTES_LITERAL ("good"), bad = BYTES_LITERAL ("bad");
    assert_int_equal (identity_prepare (identity, IDENTITY_JOB_HASH, good, bad, 0, hash, &hash_len, NULL), STATUS_OK);
    assert_int_equal (password_verify (good, bytes_of (hash, hash_len)), STATUS_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal (identity_prepare (identity, IDENTITY_JOB_VERIFY, i == 0 ? good : bad,
                              bytes_of (hash, hash_len), 300, prepared, &len, &right),
            STATUS_OK);
        assert_int_equal (len, 9);
        assert_int_equal (prepared[0], i == 0);
        assert_int_equal (right, i == 0);
        assert_int_equal (bytes_get_u64 (prepared + 1), 300);
    }
    assert_int_equal (identity_prepare (identity, IDENTITY_JOB_HASH, bytes_of (NULL, 0), bad, 0, hash, &hash_len, NULL),
        STATUS_INVALID_ARGUMENT);
    identity_destroy (&identity);
}

static void test_identity_prepare__change_verifies_and_hashes (void **state)
{
    (void) state;
    struct identity *identity = fixed_identity ();
    char old_hash[PASSWORD_HASH_SIZE];
    uint8_t body[700], prepared[IDENTITY_PREPARED_SIZE];
    size_t body_len = 0, len = 0;
    bool right = false;
    struct change_password_request request = {
        .login = BYTES_LITERAL ("ann"), .old_password = BYTES_LITERAL ("old"), .new_password = BYTES_LITERAL ("new")};
    assert_int_equal (password_hash (request.old_password, old_hash), STATUS_OK);
    assert_int_equal (codec_encode (&change_password_request_type, &request, body, sizeof body, &body_len), STATUS_OK);
    assert_int_equal (identity_prepare (identity, IDENTITY_JOB_CHANGE, bytes_of (body, body_len), bytes_text (old_hash),
                          5, prepared, &len, &right),
        STATUS_OK);
    assert_true (right && prepared[0] == 1);
    assert_int_equal (password_verify (request.new_password, bytes_of (prepared + 9, len - 9)), STATUS_OK);
    assert_int_equal (identity_prepare (identity, IDENTITY_JOB_CHANGE, bytes_of (body, body_len - 1),
                          bytes_text (old_hash), 5, prepared, &len, &right),
        STATUS_INVALID_ARGUMENT);
    identity_destroy (&identity);
}

static void test_identity_prepare__refresh_reads_the_token (void **state)
{
    (void) state;
    struct identity *identity = fixed_identity ();
    char token[IDENTITY_REFRESH_TOKEN_SIZE];
    uint8_t prepared[IDENTITY_PREPARED_SIZE];
    size_t len = 0;
    bool right = false;
    struct id session = id_make (1, 2, 3);
    identity_refresh_make (identity, &session, 42, token);
    for (int i = 0; i < 2; i++) {
        assert_int_equal (identity_prepare (identity, IDENTITY_JOB_REFRESH, bytes_text (token), bytes_of (NULL, 0), 0,
                              prepared, &len, &right),
            STATUS_OK);
        assert_int_equal (len, 25);
        assert_int_equal (right, i == 0);
        assert_int_equal (prepared[0], i == 0);
        assert_int_equal (bytes_get_u64 (prepared + 17), i == 0 ? 42 : 0);
        assert_int_equal (memcmp (prepared + 1, session.b, ID_SIZE) == 0, i == 0);
        token[5] ^= 1;
    }
    identity_destroy (&identity);
}

/* ---- throttle */

static struct password_throttle *make (struct password_throttle_limits limits)
{
    struct password_throttle *throttle = NULL;
    assert_int_equal (password_throttle_new (&limits, &throttle), STATUS_OK);
    return throttle;
}

/* 0 when the try is allowed, else the wait. */
static uint32_t wait (struct password_throttle *throttle, uint64_t now_ms, const char *account, const char *address)
{
    uint32_t retry_ms = 0;
    enum status status =
        password_throttle_try (throttle, now_ms, bytes_text (account), bytes_text (address), &retry_ms);
    assert_int_equal (status, retry_ms == 0 ? STATUS_OK : STATUS_RESOURCE_EXHAUSTED);
    password_throttle_check (throttle);
    return retry_ms;
}

static void test_password_throttle__per_account (void **state)
{
    (void) state;
    struct password_throttle *throttle =
        make ((struct password_throttle_limits){.account_burst = 3, .account_per_minute = 6});
    for (int i = 0; i < 3; i++)
        assert_int_equal (wait (throttle, 1000, "ann", ""), 0);
    assert_int_equal (wait (throttle, 1000, "ann", ""), 10000);
    assert_int_equal (wait (throttle, 5000, "ann", ""), 6000);
    assert_int_equal (wait (throttle, 4000, "ann", ""), 6000); /* time does not go back */
    assert_int_equal (wait (throttle, 5000, "bob", ""), 0);
    assert_int_equal (wait (throttle, 10999, "ann", ""), 1);
    assert_int_equal (wait (throttle, 11000, "ann", ""), 0);
    assert_int_not_equal (wait (throttle, 11000, "ann", ""), 0);
    assert_int_equal (wait (throttle, UINT64_MAX, "ann", ""), 0); /* a long rest fills it, and no more */
    assert_int_equal (wait (throttle, UINT64_MAX, "ann", ""), 0);
    assert_int_equal (wait (throttle, UINT64_MAX, "ann", ""), 0);
    assert_int_equal (wait (throttle, UINT64_MAX, "ann", ""), 10000);
    password_throttle_destroy (&throttle);
    assert_null (throttle);
}

static void test_password_throttle__per_address (void **state)
{
    (void) state;
    struct password_throttle *throttle =
        make ((struct password_throttle_limits){.address_burst = 2, .address_per_minute = 60, .account_burst = 1});
    assert_int_equal (wait (throttle, 0, "a", "10.0.0.1"), 0);
    assert_int_equal (wait (throttle, 0, "b", "10.0.0.1"), 0);
    assert_int_equal (wait (throttle, 0, "c", "10.0.0.1"), 1000);
    assert_int_equal (wait (throttle, 0, "c", "10.0.0.2"), 0); /* the refusal took nothing from c */
    /* A name is one thing as an account and another as an address. */
    assert_int_equal (wait (throttle, 0, "10.0.0.1", "c"), 0);
    password_throttle_destroy (&throttle);
}

static void test_password_throttle__success_costs_nothing (void **state)
{
    (void) state;
    struct password_throttle *throttle =
        make ((struct password_throttle_limits){.account_burst = 2, .account_per_minute = 1, .address_burst = 2});
    for (int i = 0; i < 100; i++) {
        assert_int_equal (wait (throttle, 0, "ann", "here"), 0);
        password_throttle_succeeded (throttle, 0, BYTES_LITERAL ("ann"), BYTES_LITERAL ("here"));
        password_throttle_check (throttle);
    }
    password_throttle_succeeded (throttle, 0, BYTES_LITERAL ("ann"), BYTES_LITERAL ("here")); /* never above full */
    password_throttle_succeeded (throttle, 0, BYTES_LITERAL ("nobody"), BYTES_LITERAL ("nowhere"));
    assert_int_equal (wait (throttle, 0, "ann", "here"), 0);
    assert_int_equal (wait (throttle, 0, "ann", "here"), 0);
    assert_int_not_equal (wait (throttle, 0, "ann", "here"), 0);
    password_throttle_destroy (&throttle);
}

static void test_password_throttle__is_bounded (void **state)
{
    (void) state;
    struct password_throttle *throttle = make (
        (struct password_throttle_limits){.account_burst = 1, .account_per_minute = 1, .entries_max = 8, .seed = 5});
    assert_int_equal (wait (throttle, 0, "ann", ""), 0);
    assert_int_not_equal (wait (throttle, 0, "ann", ""), 0);
    char name[16];
    for (int i = 0; i < 1000; i++) {
        snprintf (name, sizeof name, "user%d", i);
        assert_int_equal (wait (throttle, 1, name, "there"), i < 100 ? 0 : 600);
        assert_true (password_throttle_entries (throttle) <= 8);
    }
    assert_int_equal (password_throttle_entries (throttle), 8);
    assert_int_equal (wait (throttle, 1, "ann", ""), 0); /* forgotten: one burst given away */
    password_throttle_destroy (&throttle);
    struct password_throttle_limits far = {.entries_max = 1000001};
    assert_int_equal (password_throttle_new (&far, &throttle), STATUS_INVALID_ARGUMENT);
    assert_null (throttle);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_password__verifies_only_itself),
        cmocka_unit_test (test_password__refuses_foreign_hashes),
        cmocka_unit_test (test_identity_prepare__hash_and_verdict),
        cmocka_unit_test (test_identity_prepare__change_verifies_and_hashes),
        cmocka_unit_test (test_identity_prepare__refresh_reads_the_token),
        cmocka_unit_test (test_password_throttle__per_account),
        cmocka_unit_test (test_password_throttle__per_address),
        cmocka_unit_test (test_password_throttle__success_costs_nothing),
        cmocka_unit_test (test_password_throttle__is_bounded),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
