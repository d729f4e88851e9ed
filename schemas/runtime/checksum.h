/* 64-bit checksums against rot, not against enemies: XXH64.
 *
 * Room: schemas/runtime, pure. Thread safety: no shared state.
 * Source: xxHash fast digest algorithm, specification 0.1.1, section XXH64.
 */
#ifndef MAITRED_SCHEMAS_RUNTIME_CHECKSUM_H
#define MAITRED_SCHEMAS_RUNTIME_CHECKSUM_H

#include <stdint.h>

#include "schemas/runtime/bytes.h"

/* XXH64 of data under seed: the same on every machine. Chain runs of bytes by passing one's sum as the next's seed. */
uint64_t checksum64 (uint64_t seed, struct bytes data);

#endif
