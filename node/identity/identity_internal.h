/* What identity.c and identity_token.c share: the derived keys, the cache, the revoked set.
 *
 * Room: node/identity, internal.
 */
#ifndef MAITRED_NODE_IDENTITY_IDENTITY_INTERNAL_H
#define MAITRED_NODE_IDENTITY_IDENTITY_INTERNAL_H

#include <sodium.h>

#include "node/identity/identity.h"
#include "node/identity/token_cache.h"

#define IDENTITY_REFRESH_MAC_BYTES 32

struct identity {
    struct id cluster;
    uint8_t token_secret[crypto_sign_SECRETKEYBYTES];
    uint8_t token_public[crypto_sign_PUBLICKEYBYTES];
    uint8_t cluster_secret[crypto_sign_SECRETKEYBYTES];
    uint8_t cluster_public[crypto_sign_PUBLICKEYBYTES];
    uint8_t refresh_key[crypto_generichash_KEYBYTES];
    struct token_cache *cache;
    uint64_t cache_hits;
    struct id *revoked; /* ascending */
    size_t revoked_count;
};

/* token = "v4.public." + base64url (message + signature). The PASETO v4.public form with no footer and no implicit
 * assertion, on any message; INVALID_ARGUMENT when it does not fit. For the tests against PASETO's own vectors too. */
WARN_UNUSED enum status identity_seal (
    const uint8_t secret[crypto_sign_SECRETKEYBYTES], struct bytes message, char *token, size_t token_size);

/* Opens one into message (its length to *message_len). UNAUTHENTICATED: malformed or not signed by that key. */
WARN_UNUSED enum status identity_unseal (const uint8_t public_key[crypto_sign_PUBLICKEYBYTES], struct bytes token,
    uint8_t *message, size_t message_size, size_t *message_len);

#endif
