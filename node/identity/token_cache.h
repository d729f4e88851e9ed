/* Tokens that have verified, so that a signature is checked once and not at every call.
 *
 * Room: node/identity, inside identity_token.c. Ownership: heap object. Thread safety: none.
 *
 * Invariants (token_cache_check):
 *  1. At most `entries_max` entries, in one list by last use; the least recently used one makes room.
 *  2. Entries are found by a 256-bit hash of the whole token: two tokens never share an entry.
 */
#ifndef MAITRED_NODE_IDENTITY_TOKEN_CACHE_H
#define MAITRED_NODE_IDENTITY_TOKEN_CACHE_H

#include <stdint.h>

#include "node/identity/identity.h"

#define TOKEN_CACHE_HASH_BYTES 32

struct token_cache;

/* NULL: no memory. Precondition: entries_max > 0. */
struct token_cache *token_cache_new (uint32_t entries_max);
void token_cache_destroy (struct token_cache **cache);

/* The claims of the token with this hash, or NULL. Borrowed until the next put. Counts as a use. */
const struct identity_claims *token_cache_get (struct token_cache *cache, const uint8_t hash[TOKEN_CACHE_HASH_BYTES]);

/* Adds a token that is not in the cache. */
void token_cache_put (
    struct token_cache *cache, const uint8_t hash[TOKEN_CACHE_HASH_BYTES], const struct identity_claims *claims);

uint32_t token_cache_entries (const struct token_cache *cache);
void token_cache_check (const struct token_cache *cache);

#endif
