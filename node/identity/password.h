/* Passwords: argon2id at OWASP's floor (19 MiB, 2 passes, 1 lane), about 32 ms of one core each way.
 *
 * Room: node/identity (libsodium). Blocking and memory-hungry: for the engine's worker threads, never its reactor, and
 * at most one at a time per core (C1). Thread safety: no shared state once libsodium is set up (identity_new or the
 * first call). Source: OWASP Password Storage Cheat Sheet, argon2id m=19456 t=2 p=1; RFC 9106.
 */
#ifndef MAITRED_NODE_IDENTITY_PASSWORD_H
#define MAITRED_NODE_IDENTITY_PASSWORD_H

#include "schemas/runtime/bytes.h"
#include "schemas/runtime/status.h"

#define PASSWORD_HASH_SIZE 128 /* longest PHC string and its NUL */
#define PASSWORD_BYTES_MAX 256

/* Hashes with a fresh random salt into a NUL-terminated PHC string. INVALID_ARGUMENT: empty or longer than
 * PASSWORD_BYTES_MAX. RESOURCE_EXHAUSTED: no memory for it now. */
WARN_UNUSED enum status password_hash (struct bytes password, char hash[PASSWORD_HASH_SIZE]);

/* OK: the password is the one that was hashed. UNAUTHENTICATED: it is not (or `hash` is no PHC string of ours: it then
 * takes as long). RESOURCE_EXHAUSTED: no memory, nothing is known. */
WARN_UNUSED enum status password_verify (struct bytes password, struct bytes hash);

#endif
