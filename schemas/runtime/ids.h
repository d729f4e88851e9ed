/* 16-byte ids of entities and requests: 48 bits of time | 32 bits of placement hash | 48 random bits, big-endian.
 *
 * Room: schemas/runtime, pure. Ownership: plain values, nothing is allocated. Thread safety: no shared state.
 *
 * Invariants
 *  1. The byte order of two ids is their order by time, then hash, then random part.
 *  2. The shard of an entity is a function of id_hash alone: whoever holds an id can route it.
 */
#ifndef MAITRED_SCHEMAS_RUNTIME_IDS_H
#define MAITRED_SCHEMAS_RUNTIME_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/runtime/bytes.h"
#include "schemas/runtime/status.h"

#define ID_SIZE 16
#define ID_TEXT_LEN 32
#define ID_TIME_MS_MAX ((UINT64_C (1) << 48) - 1)

#define LOGIN_LEN_MIN 3
#define LOGIN_LEN_MAX 64

struct id {
    uint8_t b[ID_SIZE];
};

_Static_assert(sizeof (struct id) == ID_SIZE, "an id is exactly its bytes");

/* The id made at time_ms (only its low 48 bits are kept) for a placement hash, with the low 48 bits of random48. */
struct id id_make (uint64_t time_ms, uint32_t hash, uint64_t random48);

/* Milliseconds since 1970 at which the id was made, by its maker's clock: a hint, never a fact. */
uint64_t id_time_ms (const struct id *id);

/* The placement hash carried by the id. */
uint32_t id_hash (const struct id *id);

/* Byte order: negative, 0, positive. */
int id_compare (const struct id *a, const struct id *b);

bool id_equal (const struct id *a, const struct id *b);

/* True for the id of 16 zero bytes, which stands for "none". */
bool id_is_zero (const struct id *id);

/* The 16 bytes of the id, borrowed: valid as long as *id. */
struct bytes id_bytes (const struct id *id);

/* Writes 32 lower-case hexadecimal digits and a closing NUL. */
void id_format (const struct id *id, char out[ID_TEXT_LEN + 1]);

/* Reads 32 hexadecimal digits of either case. INVALID_ARGUMENT on anything else; *id is then untouched. */
enum status id_parse (struct bytes text, struct id *id) WARN_UNUSED;

/* The one spelling of a login under which it is stored and placed: outer spaces and tabs trimmed, ASCII letters
 * lowered, bytes above 0x7f untouched. On OK *normalised borrows buffer. INVALID_ARGUMENT when the result is not 3 to
 * 64 bytes long or holds a control character. */
enum status login_normalise (struct bytes login, uint8_t buffer[LOGIN_LEN_MAX], struct bytes *normalised) WARN_UNUSED;

#endif
