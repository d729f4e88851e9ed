/* Exactly once: the record of every request that the log has decided, and the shard's one row of bookkeeping.
 *
 * Room: node/services, pure; internal to the room. Ownership: everything is borrowed or in the call's arena.
 *
 * Invariants
 *   1. A record is keyed (request id, principal): key order is the order of the ids' own time, so dropping the oldest is a
 *      scan from the start and needs no clock but the entry's.
 *   2. No record lies at or below the horizon unless another principal's record with the same id was dropped; an id at or
 *      below the horizon that has no record is refused.
 *   3. meta.records is the number of records, meta.next_deadline_ms the expiry of the earliest hold.
 */
#ifndef MAITRED_NODE_SERVICES_SESSIONS_H
#define MAITRED_NODE_SERVICES_SESSIONS_H

#include "node/services/recount.h"
#include "node/services/service.h"
#include "schemas/generated/log.h"

#define SESSIONS_AHEAD_MS_MAX 600000 /* how far an id's time may run ahead of log time */
#define SESSIONS_ROWS_MAX 1000       /* rows that leave by one entry */
#define SESSIONS_DROP_EVERY_MS 60000 /* records that have come of age leave together, about once a minute */
#define SESSIONS_FENCED "FENCED"
#define SESSIONS_REPLY_BYTES_MAX 32768

struct service_meta {
    uint64_t log_time_ms; /* of the last applied entry */
    uint64_t records;
    uint64_t next_deadline_ms; /* UINT64_MAX: no hold */
    uint64_t last_drop_ms;     /* log time of the last drop that left nothing of age behind */
    struct id horizon;         /* the largest request id dropped; zero: none yet */
};

/* Reads the bookkeeping row; an empty shard has zeros. False when it is damaged. */
bool sessions_meta_load (struct state *state, struct service_meta *meta);
void sessions_meta_store (struct state *state, const struct service_meta *meta);

/* Answers from the record of (call->principal, call->request_id), replayed or KEY_REUSED, or by what the horizon and the
 * id's time say. True when the call is answered; nothing of it is then recorded. check_future is false where no entry has
 * been stamped yet. */
bool sessions_answer (struct service_call *call, bool check_future);

/* Writes the record of the call's answer. */
void sessions_record (struct service_call *call);

/* Applies a drop_records entry. */
void sessions_drop (struct service_call *call, uint64_t cut_ms);

/* When the next drop_records entry is due, 0 for at once, UINT64_MAX for never. */
uint64_t sessions_deadline (const struct services_config *config, struct state *state, const struct service_meta *meta);

/* The cut of the drop_records entry that is due at time_ms. */
uint64_t sessions_cut (
    const struct services_config *config, struct state *state, const struct service_meta *meta, uint64_t time_ms);

/* True when the id is at or below the horizon; more than SESSIONS_AHEAD_MS_MAX ahead of the call's time. */
bool sessions_too_old (const struct service_call *call, const struct id *request_id);
bool sessions_ahead (const struct service_call *call, const struct id *request_id);

/* Loads one record (into the arena); false when there is none. */
bool sessions_find (
    struct service_call *call, const struct id *request_id, const struct id *principal, struct request_record *record);

/* Records that this id was given up: whatever comes with it later is answered ABORTED / FENCED. Precondition: no record. */
void sessions_fence (struct service_call *call, const struct id *request_id, const struct id *principal);

/* True when it records that the id was given up. */
bool sessions_is_fence (const struct request_record *record);

/* call.Outcome: sessions_outcome.c */
service_apply sessions_outcome_apply;

service_recount sessions_recount;

#endif
