/* The hash that decides the shard of a group, a provider or a user, and SipHash-2-4 under it.
 *
 * Room: schemas/runtime, pure. Thread safety: no shared state.
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012); the key is zero because the hash places
 * data, it defends nothing, and every node and client must agree on it for ever.
 */
#ifndef MAITRED_SCHEMAS_RUNTIME_PLACEMENT_HASH_H
#define MAITRED_SCHEMAS_RUNTIME_PLACEMENT_HASH_H

#include <stdint.h>

#include "schemas/runtime/bytes.h"
#include "schemas/runtime/ids.h"

/* SipHash-2-4 of data under the 128-bit key (key0 is its first eight bytes, little-endian). */
uint64_t siphash24 (uint64_t key0, uint64_t key1, struct bytes data);

/* SipHash-2-4 of prefix followed by data, as if they were one run of bytes. */
uint64_t siphash24_joined (uint64_t key0, uint64_t key1, struct bytes prefix, struct bytes data);

/* Low 32 bits of SipHash over "g:" + group: every provider that names the same group shares a shard. */
uint32_t placement_hash_group (struct bytes group);

/* Low 32 bits of SipHash over "p:" + the time and random bytes of the provider's id (all but its hash bytes, which
 * this function is what fills). */
uint32_t placement_hash_provider (const struct id *provider);

/* Low 32 bits of SipHash over "u:" + a login that login_normalise has returned. */
uint32_t placement_hash_user (struct bytes normalised_login);

/* The user shard of a placement hash, 1..shard_count (shard 0 is the system shard). Precondition: shard_count > 0. */
uint32_t placement_shard (uint32_t hash, uint32_t shard_count);

#endif
