#include "node/identity/password.h"

#include <string.h>

#include <sodium.h>

#define PASSWORD_PASSES 2
#define PASSWORD_MEMORY_BYTES ((size_t) 19456 * 1024)

_Static_assert(PASSWORD_HASH_SIZE == crypto_pwhash_STRBYTES, "libsodium's string fits exactly");

enum status password_hash (struct bytes password, char hash[PASSWORD_HASH_SIZE])
{
    if (password.len == 0 || password.len > PASSWORD_BYTES_MAX)
        return STATUS_INVALID_ARGUMENT;
    if (sodium_init () < 0)
        return STATUS_INTERNAL;
    int failed = crypto_pwhash_str_alg (hash, (const char *) password.data, password.len, PASSWORD_PASSES,
        PASSWORD_MEMORY_BYTES, crypto_pwhash_ALG_ARGON2ID13);
    return failed != 0 ? STATUS_RESOURCE_EXHAUSTED : STATUS_OK;
}

/* The cost of one attempt, for strings that are no hash: how long an answer takes must not tell what is stored. */
static enum status spend (struct bytes password)
{
    static const uint8_t salt[crypto_pwhash_SALTBYTES] = {0};
    uint8_t out[32];
    int failed = crypto_pwhash (out, sizeof out, (const char *) password.data, password.len, salt, PASSWORD_PASSES,
        PASSWORD_MEMORY_BYTES, crypto_pwhash_ALG_ARGON2ID13);
    sodium_memzero (out, sizeof out);
    return failed != 0 ? STATUS_RESOURCE_EXHAUSTED : STATUS_UNAUTHENTICATED;
}

/* Only strings with our own parameters are verified: a stored string must not choose what it costs to check it. */
static bool ours (const char *text)
{
    return crypto_pwhash_str_needs_rehash (text, PASSWORD_PASSES, PASSWORD_MEMORY_BYTES) == 0;
}

enum status password_verify (struct bytes password, struct bytes hash)
{
    if (password.len == 0 || password.len > PASSWORD_BYTES_MAX)
        return STATUS_UNAUTHENTICATED;
    if (sodium_init () < 0)
        return STATUS_INTERNAL;
    char text[PASSWORD_HASH_SIZE] = {0};
    if (hash.len < sizeof text && memchr (hash.data, 0, hash.len) == NULL)
        memcpy (text, hash.data, hash.len);
    if (!ours (text))
        return spend (password);
    return crypto_pwhash_str_verify (text, (const char *) password.data, password.len) == 0 ? STATUS_OK
                                                                                            : STATUS_UNAUTHENTICATED;
}
