/* How records leave: oldest id first, by drop_records entries, and how the leader learns that one is due. */
#include "node/services/sessions.h"

#include "schemas/runtime/assert.h"

_Static_assert(
    SESSIONS_ROWS_MAX * sizeof (struct key) <= SERVICES_ARENA_BYTES_MIN / 2, "the keys of one entry fit its arena");

struct gather {
    struct key *keys; /* NULL: only the last one is wanted */
    struct id last;
    size_t count, max;
    uint64_t cut_ms;
    bool more; /* stopped by max with rows of the cut left */
    bool damaged;
};

static bool gather_visit (void *argument, struct bytes key, struct bytes value)
{
    (void) value;
    struct gather *gather = argument;
    struct id request_id;
    if (key.len != 1 + 2 * ID_SIZE || !key_read_id (key, 1, &request_id)) {
        gather->damaged = true;
        return false;
    }
    if (id_time_ms (&request_id) > gather->cut_ms)
        return false;
    if (gather->count == gather->max) {
        gather->more = true;
        return false;
    }
    maitre_assert (gather->count < gather->max);
    maitre_assert (gather->count == 0 || id_compare (&gather->last, &request_id) <= 0);
    gather->last = request_id;
    if (gather->keys != NULL) {
        gather->keys[gather->count].len = 0;
        key_bytes (&gather->keys[gather->count], key);
    }
    gather->count++;
    return true;
}

/* The oldest records with an id time of at most gather->cut_ms. */
static void gather_records (struct state *state, struct gather *gather)
{
    maitre_assert (gather->max >= 1);
    maitre_assert (gather->count == 0);
    struct key from = key_table (TABLE_RECORD), to = from;
    key_after_prefix (&to);
    state_scan (state, key_of (&from), key_of (&to), false, gather_visit, gather);
    maitre_assert (gather->count <= gather->max);
    maitre_assert (!gather->more || gather->count == gather->max);
}

void sessions_drop (struct service_call *call, uint64_t cut_ms)
{
    struct gather gather = {.max = SESSIONS_ROWS_MAX, .cut_ms = cut_ms};
    gather.keys = service_alloc (call, SESSIONS_ROWS_MAX * sizeof *gather.keys);
    gather_records (call->state, &gather);
    if (gather.damaged || call->meta->records < gather.count) {
        service_damage (call);
        return;
    }
    for (size_t i = 0; i < gather.count; i++)
        service_remove (call, &gather.keys[i]);
    maitre_assert (gather.count <= SESSIONS_ROWS_MAX);
    maitre_assert (gather.count == 0 || id_time_ms (&gather.last) <= cut_ms);
    call->meta->records -= gather.count;
    if (gather.count > 0 && id_compare (&gather.last, &call->meta->horizon) > 0)
        call->meta->horizon = gather.last;
    if (!gather.more)
        call->meta->last_drop_ms = call->time_ms;
    maitre_assert (gather.count == 0 || id_compare (&call->meta->horizon, &gather.last) >= 0);
}

/* Records of age wait for company: one entry a minute, not one per record. */
static uint64_t drop_every_ms (const struct services_config *config)
{
    uint64_t sixteenth = config->record_ttl_ms / 16;
    return sixteenth < SESSIONS_DROP_EVERY_MS ? sixteenth : SESSIONS_DROP_EVERY_MS;
}

uint64_t sessions_deadline (const struct services_config *config, struct state *state, const struct service_meta *meta)
{
    if (meta->records > config->records_max)
        return 0;
    struct gather oldest = {.max = 1, .cut_ms = UINT64_MAX};
    gather_records (state, &oldest);
    if (oldest.count == 0)
        return UINT64_MAX;
    maitre_assert (oldest.count == 1);
    uint64_t of_age = id_time_ms (&oldest.last) + config->record_ttl_ms + drop_every_ms (config);
    uint64_t next = meta->last_drop_ms + drop_every_ms (config);
    return of_age > next ? of_age : next;
}

uint64_t sessions_cut (
    const struct services_config *config, struct state *state, const struct service_meta *meta, uint64_t time_ms)
{
    uint64_t of_age = time_ms > config->record_ttl_ms ? time_ms - config->record_ttl_ms : 0;
    if (meta->records <= config->records_max)
        return of_age;
    /* Full: a thirty-second part goes at once, so that not every call costs a second entry. */
    uint64_t rows = meta->records - config->records_max + config->records_max / 32;
    maitre_assert (rows >= 1);
    struct gather gather = {.max = rows < SESSIONS_ROWS_MAX ? (size_t) rows : SESSIONS_ROWS_MAX, .cut_ms = UINT64_MAX};
    gather_records (state, &gather);
    uint64_t full = gather.count > 0 ? id_time_ms (&gather.last) : 0;
    maitre_assert (gather.count <= gather.max);
    return full > of_age ? full : of_age;
}

struct count {
    uint64_t rows;
};

static bool count_visit (void *argument, struct bytes key, struct bytes value)
{
    (void) key;
    (void) value;
    ((struct count *) argument)->rows++;
    return true;
}

void sessions_recount (struct service_call *call, struct recount *recount)
{
    struct count count = {0};
    struct key from = key_table (TABLE_RECORD), to = from;
    key_after_prefix (&to);
    state_scan (call->state, key_of (&from), key_of (&to), false, count_visit, &count);
    if (count.rows != call->meta->records)
        recount_drift (recount, "the number of request records differs from the bookkeeping row", NULL);
}
