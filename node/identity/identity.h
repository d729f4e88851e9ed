/* The cluster's identity in one process: the keys derived from the cluster secret, and the tokens made and read with
 * them.
 *
 * Room: node/identity (libsodium). Ownership: heap object, identity_new/_destroy; results are plain values. Thread
 * safety: none (the verified-token cache changes on reads); the reactor's thread alone, or one object per thread.
 * Source: PASETO v4.public (shape only: the claims are CBOR), RFC 8032 (Ed25519), RFC 7693 (BLAKE2b).
 *
 *   cluster secret, 32 random bytes, the same file on every node
 *     |-- crypto_kdf 1 "maitreID" --> Ed25519 seed: signs tokens
 *     |-- crypto_kdf 2 "maitreID" --> BLAKE2b key:  authenticates refresh tokens
 *     `-- crypto_kdf 3 "maitreID" --> Ed25519 seed: the cluster key, signs the clients' file
 *   cluster id = the first 16 bytes of BLAKE2b of the cluster key's public half: whoever has the id can check the key.
 *
 * Invariants (identity_check):
 *  1. Signing is deterministic: equal claims give an equal token, so a replayed Login makes the same one again.
 *  2. The cache holds at most `cache_max` tokens, each of which verified; expiry, audience and revocation are judged
 * anew at every use. The least recently used one makes room.
 *  3. The revoked set is sorted and without duplicates.
 */
#ifndef MAITRED_NODE_IDENTITY_IDENTITY_H
#define MAITRED_NODE_IDENTITY_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "node/identity/identity_file.h"
#include "schemas/runtime/arena.h"
#include "schemas/runtime/bytes.h"
#include "schemas/runtime/ids.h"
#include "schemas/runtime/status.h"

#define IDENTITY_SECRET_BYTES 32
#define IDENTITY_PUBLIC_KEY_BYTES 32
#define IDENTITY_SIGNATURE_BYTES 64
#define IDENTITY_TOKEN_SIZE 513        /* longest token of ours and its NUL */
#define IDENTITY_REFRESH_TOKEN_SIZE 76 /* and its NUL */
#define IDENTITY_NAME_BYTES_MAX 120
#define IDENTITY_SLACK_MS 60000 /* an expired token is taken this much longer: clocks differ */
#define IDENTITY_CACHE_MAX 4096 /* default of cache_max */
#define IDENTITY_REVOKED_MAX 65536

struct identity;
struct method; /* schemas/generated/methods.h */

/* cache_max 0: IDENTITY_CACHE_MAX. RESOURCE_EXHAUSTED: no memory. INTERNAL: libsodium does not start. The secret is
 * copied; the caller wipes its own. The caller destroys *identity on OK. */
WARN_UNUSED enum status identity_new (
    const uint8_t secret[IDENTITY_SECRET_BYTES], uint32_t cache_max, struct identity **identity);

/* identity_new from a cluster secret file ("maitre-cluster-secret 1", then 64 hexadecimal digits; mode 0600). Statuses
 * of identity_file_read; INVALID_ARGUMENT when it is not such a file. */
WARN_UNUSED enum status identity_open (
    const char *secret_path, uint32_t cache_max, struct identity **identity, struct identity_error *error);

/* Wipes and frees; *identity becomes NULL. */
void identity_destroy (struct identity **identity);

void identity_check (const struct identity *identity);

/* The cluster's id, which every token names as its audience. Borrowed. */
const struct id *identity_cluster (const struct identity *identity);

/* The id that belongs to a cluster key. */
struct id identity_cluster_of_key (const uint8_t public_key[IDENTITY_PUBLIC_KEY_BYTES]);

/* Public half of the cluster key. */
void identity_cluster_key (const struct identity *identity, uint8_t public_key[IDENTITY_PUBLIC_KEY_BYTES]);

/* Signs text with the cluster key. */
void identity_sign (const struct identity *identity, struct bytes text, uint8_t signature[IDENTITY_SIGNATURE_BYTES]);

/* True when signature is the cluster key's over text. Needs no secret. */
bool identity_signed (const uint8_t public_key[IDENTITY_PUBLIC_KEY_BYTES], struct bytes text,
    const uint8_t signature[IDENTITY_SIGNATURE_BYTES]);

/* ---- tokens (identity_token.c) */

/* What a token says about its bearer. kind and roles as in schemas/auth.cddl. */
struct identity_claims {
    struct id principal;
    uint64_t kind;
    uint64_t roles;
    uint64_t issued_ms;
    uint64_t expires_ms; /* 0: never */
    struct id session;   /* zero: none */
    char name[IDENTITY_NAME_BYTES_MAX + 1];
};

/* Writes the token (NUL-terminated) for this cluster. INVALID_ARGUMENT: kind or roles outside the contract, or a name
 * that is not UTF-8. */
WARN_UNUSED enum status identity_token_make (
    const struct identity *identity, const struct identity_claims *claims, char token[IDENTITY_TOKEN_SIZE]);

enum identity_reason {
    IDENTITY_ACCEPTED,
    IDENTITY_BAD_TOKEN, /* not a token of this cluster: malformed, tampered with, or another cluster's */
    IDENTITY_TOKEN_EXPIRED,
    IDENTITY_TOKEN_REVOKED,
};

/* "BAD_TOKEN", "TOKEN_EXPIRED", "TOKEN_REVOKED": the reason of the reply; and a message that ends with what to do next.
 */
const char *identity_reason_name (enum identity_reason reason);
const char *identity_reason_message (enum identity_reason reason);

/* Verifies a token at now_ms (milliseconds since 1970, the node's best guess; IDENTITY_SLACK_MS forgives the rest) and
 * fills *claims. A token is not refused for being issued in this node's future: clocks differ, and the signature is
 * ours. UNAUTHENTICATED with *reason (which may be NULL) when it is not good; *claims is then untouched. About 0.5 us
 * when the token is in the cache, 60 us when not. */
WARN_UNUSED enum status identity_token_verify (struct identity *identity, struct bytes token, uint64_t now_ms,
    struct identity_claims *claims, enum identity_reason *reason);

/* Replaces the set of revoked API keys: from now on their tokens are refused. The ids are copied. RESOURCE_EXHAUSTED:
 * more than IDENTITY_REVOKED_MAX, or no memory; the old set then stays. */
WARN_UNUSED enum status identity_revoked_set (struct identity *identity, const struct id *keys, size_t count);

/* Tokens in the cache now, for metrics and tests; and how many verifications it spared. */
uint32_t identity_cached (const struct identity *identity);
uint64_t identity_cache_hits (const struct identity *identity);

/* The refresh token of a session at a sequence number: base64url (session, sequence, MAC). */
void identity_refresh_make (const struct identity *identity, const struct id *session, uint64_t sequence,
    char token[IDENTITY_REFRESH_TOKEN_SIZE]);

/* Reads one. UNAUTHENTICATED: not made by this cluster. */
WARN_UNUSED enum status identity_refresh_read (
    const struct identity *identity, struct bytes token, struct id *session, uint64_t *sequence);

/* The token of an API key, valid until it is revoked. name may be empty. INVALID_ARGUMENT as identity_token_make. */
WARN_UNUSED enum status identity_api_key_make (const struct identity *identity, const struct id *key, uint64_t roles,
    uint64_t issued_ms, struct bytes name, char token[IDENTITY_TOKEN_SIZE]);

/* An API key with every role, made offline from the secret (the first admin of a cluster). Its random id goes to *key;
 * it can be revoked by that id although no list names it. */
WARN_UNUSED enum status identity_admin_key_make (
    const struct identity *identity, uint64_t now_ms, struct id *key, char token[IDENTITY_TOKEN_SIZE]);

/* ---- what must happen before the log (identity_prepare.c) */

/* The jobs of services_prepare, one by one the kinds of enum services_prepare_kind (node/services/services.h says what each
 * takes and makes). */
enum identity_job {
    IDENTITY_JOB_HASH,
    IDENTITY_JOB_VERIFY,
    IDENTITY_JOB_CHANGE,
    IDENTITY_JOB_REFRESH, /* some microseconds; the others are for worker threads: 32 ms of a core, CHANGE 64 */
};

#define IDENTITY_PREPARED_SIZE 160 /* always large enough */

/* Carries one out into `prepared`, the bytes of log-entry.prepared. May run on any thread: it only reads keys that never change.
 * *right (which may be NULL) tells whether a VERIFY, CHANGE or REFRESH was right, for the throttle. RESOURCE_EXHAUSTED: no
 * memory for the hash now, try again. INVALID_ARGUMENT: the password cannot be hashed (its length). */
WARN_UNUSED enum status identity_prepare (const struct identity *identity, enum identity_job job, struct bytes password,
    struct bytes hash, uint64_t credentials_version, uint8_t prepared[IDENTITY_PREPARED_SIZE], size_t *prepared_len,
    bool *right);

/* ---- replies (identity_reply.c) */

/* Adds what the state machine must not store to an OK reply of auth.Login and auth.Refresh (access and refresh token) and
 * auth.CreateApiKey (token); every other body passes through unchanged. `body` is the deterministic reply body; *out
 * borrows from it or from the arena. RESOURCE_EXHAUSTED: the arena is full. DATA_LOSS: the body is not that reply. */
WARN_UNUSED enum status identity_finish_reply (const struct identity *identity, const struct method *method,
    struct bytes body, struct arena *arena, struct bytes *out);

#endif
