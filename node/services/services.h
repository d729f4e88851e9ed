/* The replicated state machine of one shard: every service's commands and reads over `struct state`.
 *
 * Room: node/services, pure. The shard room calls it; nothing else does. The same code runs in the engine and in test/sim.
 * Ownership: the caller owns everything passed in; replies borrow from the arena that came with the call.
 * Thread safety: none; one shard is stepped by one thread at a time.
 *
 * Invariants
 *   1. services_apply is a function of (state, command) alone: equal state and equal entry give equal state and reply.
 *   2. A command either makes all of its changes or, refused, none but its request record. Everything is checked before
 *      the first put. Holds that are due on the counters it touches expire first, whatever becomes of it.
 *   3. Exactly once: a (principal, request id) that has a record is answered from the record (replayed) and changes nothing.
 *   4. Time is the entry's time_ms alone and never goes back (X4); a hold or record leaves only by an entry.
 *   5. Stock: for every offer and bucket, held + confirmed <= capacity + overbooking; counters equal the sum over the
 *      reservations and orders that they stand for.
 */
#ifndef MAITRED_NODE_SERVICES_SERVICES_H
#define MAITRED_NODE_SERVICES_SERVICES_H

#include <stdbool.h>
#include <stdint.h>

#include "node/services/state.h"
#include "schemas/runtime/arena.h"
#include "schemas/runtime/bytes.h"
#include "schemas/runtime/ids.h"
#include "schemas/runtime/status.h"

struct method;    /* schemas/generated/methods.h */
struct placement; /* schemas/generated/placement.h */

/* Who calls, as the entry node verified it. kind and roles as in schemas/auth.cddl. */
struct principal {
    struct id id;
    uint64_t kind;
    uint64_t roles;
};

/* Fixed for the life of a shard. */
struct services_config {
    uint32_t shard;         /* 0 is the system shard */
    uint32_t shard_count;   /* user shards */
    uint64_t records_max;   /* request records kept, default 1,000,000 */
    uint64_t record_ttl_ms; /* default 86,400,000 */
};

struct services_reply {
    enum status status;
    const char *reason;  /* static text such as "SOLD_OUT", NULL when OK; or copied into the arena on a replay */
    const char *message; /* static or in the arena; NULL when OK */
    uint32_t retry_after_ms;
    bool replayed;
    struct bytes body; /* deterministic encoding of the reply type (OK) or of `refusal` (else); in the arena */
};

/* Room that every arena given to services_apply, services_read and services_prepare must have left: what is in it
 * depends on the state and the request alone, so that no replica can run short where another does not. */
#define SERVICES_ARENA_BYTES_MIN (2 * 1024 * 1024)

/* One committed COMMAND entry. `payload` is the deterministic encoding of log-entry (schemas/log.cddl). Also handles the
 * kinds expire and drop_records, whose reply is empty. `index` is the entry's log index: it orders what needs a sequence.
 * A payload that does not decode is a bug of an older or newer version: returns STATUS_DATA_LOSS and the shard halts
 * (nothing is skipped). STATUS_OK otherwise, with *reply filled, whatever the outcome of the command itself. */
WARN_UNUSED enum status services_apply (const struct services_config *config, struct state *state, struct bytes payload,
    uint64_t index, struct arena *arena, struct services_reply *reply);

/* A linearizable read: the shard has made sure that the state is recent enough. `body` is the client's request, already
 * in deterministic form. `log_time_ms` is the log time of the last applied entry plus the time since (for "is this hold still
 * alive" in answers only; it decides nothing). */
void services_read (const struct services_config *config, struct state *state, const struct method *method,
    const struct principal *principal, struct bytes body, uint64_t log_time_ms, struct arena *arena,
    struct services_reply *reply);

/* What must happen off the reactor before a command may be proposed (passwords never enter the log). */
enum services_prepare_kind {
    SERVICES_PREPARE_NONE = 0,
    SERVICES_PREPARE_HASH,   /* hash `password`; log-entry.prepared = the PHC string */
    SERVICES_PREPARE_VERIFY, /* verify `password` against `hash`; log-entry.prepared = one verdict byte, then
                                   the 8-byte version of the credentials that were verified */
    SERVICES_PREPARE_CHANGE, /* `password` is the whole body of auth.ChangePassword: verify its old password against `hash`
                                and hash its new one; log-entry.prepared = as VERIFY, then the PHC string */
    SERVICES_PREPARE_REFRESH, /* `password` is a refresh token; log-entry.prepared = one verdict byte (is it ours), then
                                the 16-byte session and 8-byte sequence that it names */
    SERVICES_PREPARE_DONE,    /* answered without the log: *reply is filled (a replayed record, or a refusal) */
};

struct services_prepare {
    enum services_prepare_kind kind;
    struct bytes password; /* borrows from the body */
    struct bytes hash;     /* in the arena */
    uint64_t credentials_version;
};

/* Looks at a decoded-and-re-encoded request on the leader before it is proposed. Fills *prepare; strips secrets: *logged_body is
 * what may be proposed (in the arena when it differs from body). Also the place for cheap answers that need no log entry: a request id
 * that already has a record with the same fingerprint is answered at once (PREPARE_DONE, replayed) once the caller knows that it leads. */
void services_prepare (const struct services_config *config, struct state *state, const struct method *method,
    const struct principal *principal, const struct id *request_id, struct bytes body, struct arena *arena,
    struct services_prepare *prepare, struct bytes *logged_body, struct services_reply *reply);

/* Builds the payload of a COMMAND entry. prepared may be empty. RESOURCE_EXHAUSTED when `out_size` is too small. */
WARN_UNUSED enum status services_encode_command (const struct method *method, const struct principal *principal,
    const struct id *request_id, uint64_t time_ms, struct bytes body, struct bytes prepared, uint8_t *out,
    size_t out_size, size_t *out_len);

/* Page tokens of a fanout list. A part's token names its shard; an empty one is the end of that shard's part.
 * services_page_shard: the shard that a client's token goes on in; INVALID_ARGUMENT when it is no token of ours.
 * services_page_begin: the token of the start of a shard's part, for these (decoded) arguments and this caller; returns its
 * length. */
#define SERVICES_PAGE_TOKEN_BYTES_MAX 107
WARN_UNUSED enum status services_page_shard (struct bytes token, uint32_t *shard);
size_t services_page_begin (const struct method *method, const struct principal *principal, const void *request,
    uint32_t shard, uint8_t out[SERVICES_PAGE_TOKEN_BYTES_MAX]);

/* The earliest log time at which something of this shard falls due (a hold, a record), UINT64_MAX when nothing does. O(log n). */
uint64_t services_next_deadline (const struct services_config *config, struct state *state);

/* Builds the payload of the housekeeping entry that is due at `time_ms` (expire before drop_records, at most 1,000 rows an
 * entry). Returns false when nothing is due. */
bool services_encode_due (const struct services_config *config, struct state *state, uint64_t time_ms, uint8_t *out,
    size_t out_size, size_t *out_len);

/* Log time of the last applied entry, 0 in an empty shard (kept in the state, so it survives restarts and snapshots). */
uint64_t services_log_time (struct state *state);

/* The stored record of replaced nodes (schemas/placement.cddl), borrowed as state_get does; false: nothing was ever replaced.
 * The system shard's. */
bool services_placement (struct state *state, struct bytes *record);
/* The same, for a backup: read into the arena, placement_none when nothing was ever replaced; false when it is damaged. */
bool services_placement_load (struct state *state, uint32_t shard_count, struct arena *arena, struct placement *record);
/* Puts another one in its place, where a new cluster is made from a backup: no command does this. */
void services_placement_put (struct state *state, const struct placement *record);

/* Recounts every counter, usage and index from the reservations and orders. Returns false and writes what differs
 * (NUL-terminated, cut at size) on drift. Slow: for tests, the simulator and cluster.Reconcile. */
bool services_check (const struct services_config *config, struct state *state, char *drift, size_t drift_size);

/* The same in the caller's memory, for who checks often. pre: arena has room for SERVICES_CHECK_ARENA_BYTES. */
#define SERVICES_CHECK_ARENA_BYTES (2 * SERVICES_ARENA_BYTES_MIN)
bool services_check_in (
    const struct services_config *config, struct state *state, struct arena *arena, char *drift, size_t drift_size);

#endif
