#include "node/identity/identity.h"

#include <stdlib.h>
#include <string.h>

#include "node/identity/identity_internal.h"
#include "schemas/runtime/assert.h"

#define KDF_CONTEXT "maitreID"
#define SECRET_FILE_HEAD "maitre-cluster-secret 1\n"

_Static_assert(IDENTITY_SECRET_BYTES == crypto_kdf_KEYBYTES, "the secret is the root of the derivation");
_Static_assert(IDENTITY_PUBLIC_KEY_BYTES == crypto_sign_PUBLICKEYBYTES, "Ed25519");
_Static_assert(IDENTITY_SIGNATURE_BYTES == crypto_sign_BYTES, "Ed25519");

enum derived { DERIVED_TOKEN_SEED = 1, DERIVED_REFRESH_KEY = 2, DERIVED_CLUSTER_SEED = 3 };

static void derive (const uint8_t *secret, enum derived which, uint8_t *out, size_t out_len)
{
    int failed = crypto_kdf_derive_from_key (out, out_len, (uint64_t) which, KDF_CONTEXT, secret);
    maitre_assert (failed == 0);
}

static void derive_pair (const uint8_t *secret, enum derived which, uint8_t *public_key, uint8_t *secret_key)
{
    uint8_t seed[crypto_sign_SEEDBYTES];
    derive (secret, which, seed, sizeof seed);
    int failed = crypto_sign_seed_keypair (public_key, secret_key, seed);
    maitre_assert (failed == 0);
    sodium_memzero (seed, sizeof seed);
}

struct id identity_cluster_of_key (const uint8_t public_key[IDENTITY_PUBLIC_KEY_BYTES])
{
    struct id cluster;
    int failed = crypto_generichash (cluster.b, sizeof cluster.b, public_key, IDENTITY_PUBLIC_KEY_BYTES, NULL, 0);
    maitre_assert (failed == 0);
    return cluster;
}

enum status identity_new (const uint8_t secret[IDENTITY_SECRET_BYTES], uint32_t cache_max, struct identity **identity)
{
    *identity = NULL;
    if (sodium_init () < 0)
        return STATUS_INTERNAL;
    struct identity *made = calloc (1, sizeof *made);
    if (made == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    made->cache = token_cache_new (cache_max == 0 ? IDENTITY_CACHE_MAX : cache_max);
    if (made->cache == NULL) {
        identity_destroy (&made);
        return STATUS_RESOURCE_EXHAUSTED;
    }
    derive_pair (secret, DERIVED_TOKEN_SEED, made->token_public, made->token_secret);
    derive_pair (secret, DERIVED_CLUSTER_SEED, made->cluster_public, made->cluster_secret);
    derive (secret, DERIVED_REFRESH_KEY, made->refresh_key, sizeof made->refresh_key);
    made->cluster = identity_cluster_of_key (made->cluster_public);
    *identity = made;
    return STATUS_OK;
}

static enum status parse_secret (const char *text, size_t len, uint8_t secret[IDENTITY_SECRET_BYTES])
{
    const size_t head = sizeof SECRET_FILE_HEAD - 1, digits = 2 * IDENTITY_SECRET_BYTES;
    if (len != head + digits + 1 || memcmp (text, SECRET_FILE_HEAD, head) != 0 || text[len - 1] != '\n')
        return STATUS_INVALID_ARGUMENT;
    size_t got = 0;
    if (sodium_hex2bin (secret, IDENTITY_SECRET_BYTES, text + head, digits, NULL, &got, NULL) != 0 ||
        got != IDENTITY_SECRET_BYTES)
        return STATUS_INVALID_ARGUMENT;
    return STATUS_OK;
}

enum status identity_open (
    const char *secret_path, uint32_t cache_max, struct identity **identity, struct identity_error *error)
{
    *identity = NULL;
    char *text = NULL;
    size_t len = 0;
    enum status status = identity_file_read (secret_path, true, &text, &len, error);
    if (status != STATUS_OK)
        return status;
    uint8_t secret[IDENTITY_SECRET_BYTES];
    status = parse_secret (text, len, secret);
    identity_file_free (&text, len);
    if (status != STATUS_OK) {
        identity_error_set (error,
            "%s is not a cluster secret file; copy cluster.secret from another node of the cluster", secret_path);
        return status;
    }
    status = identity_new (secret, cache_max, identity);
    sodium_memzero (secret, sizeof secret);
    if (status != STATUS_OK)
        identity_error_set (
            error, "the keys cannot be set up (%s); free some memory and start again", status_name (status));
    return status;
}

void identity_destroy (struct identity **identity)
{
    if (*identity == NULL)
        return;
    token_cache_destroy (&(*identity)->cache);
    free ((*identity)->revoked);
    sodium_memzero (*identity, sizeof **identity);
    free (*identity);
    *identity = NULL;
}

void identity_check (const struct identity *identity)
{
    token_cache_check (identity->cache);
    for (size_t i = 1; i < identity->revoked_count; i++)
        maitre_assert (id_compare (&identity->revoked[i - 1], &identity->revoked[i]) < 0);
}

const struct id *identity_cluster (const struct identity *identity)
{
    return &identity->cluster;
}

void identity_cluster_key (const struct identity *identity, uint8_t public_key[IDENTITY_PUBLIC_KEY_BYTES])
{
    memcpy (public_key, identity->cluster_public, IDENTITY_PUBLIC_KEY_BYTES);
}

void identity_sign (const struct identity *identity, struct bytes text, uint8_t signature[IDENTITY_SIGNATURE_BYTES])
{
    int failed = crypto_sign_detached (signature, NULL, text.data, text.len, identity->cluster_secret);
    maitre_assert (failed == 0);
}

bool identity_signed (const uint8_t public_key[IDENTITY_PUBLIC_KEY_BYTES], struct bytes text,
    const uint8_t signature[IDENTITY_SIGNATURE_BYTES])
{
    return sodium_init () >= 0 && crypto_sign_verify_detached (signature, text.data, text.len, public_key) == 0;
}
