#include "node/services/sessions.h"

#include "schemas/runtime/assert.h"

#define META_VERSION 1
#define META_BYTES 49

_Static_assert(META_BYTES <= STATE_VALUE_BYTES_MAX, "and so is the bookkeeping");
_Static_assert(REQUEST_RECORD_ENCODED_MAX <= STATE_VALUE_BYTES_MAX, "a record is a value of the state");
_Static_assert(META_BYTES == 1 + 4 * sizeof (uint64_t) + ID_SIZE, "a version, four numbers and the horizon");

bool sessions_meta_load (struct state *state, struct service_meta *meta)
{
    *meta = (struct service_meta){.next_deadline_ms = UINT64_MAX};
    struct key key = key_table (TABLE_META);
    struct bytes stored;
    if (!state_get (state, key_of (&key), &stored))
        return true;
    if (stored.len != META_BYTES || stored.data[0] != META_VERSION)
        return false;
    meta->log_time_ms = bytes_get_u64 (stored.data + 1);
    meta->records = bytes_get_u64 (stored.data + 9);
    meta->next_deadline_ms = bytes_get_u64 (stored.data + 17);
    meta->last_drop_ms = bytes_get_u64 (stored.data + 25);
    memcpy (meta->horizon.b, stored.data + 33, ID_SIZE);
    return true;
}

void sessions_meta_store (struct state *state, const struct service_meta *meta)
{
    uint8_t packed[META_BYTES] = {META_VERSION};
    bytes_put_u64 (packed + 1, meta->log_time_ms);
    bytes_put_u64 (packed + 9, meta->records);
    bytes_put_u64 (packed + 17, meta->next_deadline_ms);
    bytes_put_u64 (packed + 25, meta->last_drop_ms);
    memcpy (packed + 33, meta->horizon.b, ID_SIZE);
    struct key key = key_table (TABLE_META);
    state_put (state, key_of (&key), bytes_of (packed, sizeof packed));
}

static struct key record_key (const struct id *request_id, const struct id *principal)
{
    return key_pair (TABLE_RECORD, request_id, principal);
}

/* The prints of the present request, as a record keeps them. */
static void request_prints (struct service_call *call, struct field_print **fields, size_t *count)
{
    struct codec_print prints[REQUEST_RECORD_FIELDS_COUNT_MAX];
    size_t mark = call->arena->used;
    uint8_t *scratch = service_alloc (call, 0);
    size_t room = call->arena->size - (size_t) (scratch - call->arena->base);
    enum status status = codec_fingerprint (
        call->method->request, call->request, scratch, room, prints, REQUEST_RECORD_FIELDS_COUNT_MAX, count);
    maitre_assert (status == STATUS_OK);
    maitre_assert (*count <= REQUEST_RECORD_FIELDS_COUNT_MAX);
    maitre_assert (*count < 2 || prints[0].key < prints[*count - 1].key);
    call->arena->used = mark;
    *fields = service_alloc (call, *count * sizeof **fields);
    for (size_t i = 0; i < *count; i++)
        (*fields)[i] = (struct field_print){.key = prints[i].key, .print = prints[i].hash};
}

/* The first field, by key, in which two sets of prints differ: false when they are the same. */
static bool prints_differ (
    const struct field_print *a, size_t a_count, const struct field_print *b, size_t b_count, uint64_t *key)
{
    size_t i = 0;
    while (i < a_count && i < b_count && a[i].key == b[i].key && a[i].print == b[i].print)
        i++;
    if ((i == a_count && i == b_count) || PLANTED (X3_BODY_NOT_COMPARED))
        return false;
    maitre_assert (i < a_count || i < b_count);
    if (i == a_count)
        *key = b[i].key;
    else if (i == b_count)
        *key = a[i].key;
    else
        *key = a[i].key < b[i].key ? a[i].key : b[i].key;
    return true;
}

static const char *text_of (struct service_call *call, struct bytes text)
{
    maitre_assert (text.len <= STATE_VALUE_BYTES_MAX);
    char *copy = service_alloc (call, text.len + 1);
    if (text.len > 0)
        memcpy (copy, text.data, text.len);
    copy[text.len] = '\0';
    return copy;
}

bool sessions_is_fence (const struct request_record *record)
{
    return record->status == STATUS_ABORTED && bytes_equal (record->reason, BYTES_LITERAL (SESSIONS_FENCED));
}

static void replay (struct service_call *call, const struct request_record *record)
{
    maitre_assert (!call->answered);
    maitre_assert (call->reply->body.len == 0);
    struct services_reply *reply = call->reply;
    reply->status = (enum status) record->status;
    reply->reason = record->has_reason ? text_of (call, record->reason) : NULL;
    reply->message = record->has_message ? text_of (call, record->message) : NULL;
    reply->body = record->body;
    reply->replayed = true;
    call->answered = true;
}

static void refuse_reused (struct service_call *call, const char *field)
{
    service_refuse_field (call, STATUS_ALREADY_EXISTS, "KEY_REUSED",
        service_text (call, "this request id was used with another ", field,
            "; repeat a call with the same body, and give a new call a new id", NULL, NULL, NULL),
        field);
}

static void answer_from_record (struct service_call *call, const struct request_record *record)
{
    maitre_assert (!call->answered);
    uint64_t key = 0;
    struct field_print *fields;
    size_t count;
    if (sessions_is_fence (record)) {
        replay (call, record);
        return;
    }
    if (record->method != call->method->number) {
        refuse_reused (call, "method");
        return;
    }
    request_prints (call, &fields, &count);
    if (prints_differ (record->fields, record->fields_count, fields, count, &key))
        refuse_reused (call, codec_field_name (call->method->request, key));
    else
        replay (call, record);
}

bool sessions_find (
    struct service_call *call, const struct id *request_id, const struct id *principal, struct request_record *record)
{
    struct key key = record_key (request_id, principal);
    return service_load (call, &key, &request_record_type, record);
}

bool sessions_too_old (const struct service_call *call, const struct id *request_id)
{
    return !PLANTED (X2_NO_HORIZON) && !id_is_zero (&call->meta->horizon) &&
           id_compare (request_id, &call->meta->horizon) <= 0;
}

bool sessions_ahead (const struct service_call *call, const struct id *request_id)
{
    return id_time_ms (request_id) > call->time_ms && id_time_ms (request_id) - call->time_ms > SESSIONS_AHEAD_MS_MAX;
}

bool sessions_answer (struct service_call *call, bool check_future)
{
    maitre_assert (!call->answered);
    maitre_assert (call->time_ms == call->meta->log_time_ms);
    if (call->method->class == METHOD_WRITE && !service_is_local (call, &call->request_id)) {
        service_refuse (call, STATUS_INVALID_ARGUMENT, "WRONG_SHARD",
            "the request id's placement hash belongs to another shard; make the id with the hash of what the call is "
            "about",
            NULL);
        return true;
    }
    struct request_record record;
    if (sessions_find (call, &call->request_id, &call->principal.id, &record)) {
        answer_from_record (call, &record);
        return true;
    }
    if (sessions_too_old (call, &call->request_id)) {
        service_refuse (call, STATUS_FAILED_PRECONDITION, "REQUEST_TOO_OLD",
            "the record of a request id this old has been dropped; read the present state, then call with a new id",
            NULL);
        return true;
    }
    if (check_future && sessions_ahead (call, &call->request_id)) {
        service_refuse (call, STATUS_INVALID_ARGUMENT, "REQUEST_FROM_FUTURE",
            "the request id's time is more than 10 minutes ahead of the cluster; set the client's clock, then make a "
            "new id",
            NULL);
        return true;
    }
    return false;
}

static void record_put (struct service_call *call, const struct id *request_id, const struct id *principal,
    const struct request_record *record)
{
    maitre_assert (call->time_ms == record->time_ms);
    maitre_assert (record->has_body);
    struct key key = record_key (request_id, principal);
    service_store (call, &key, &request_record_type, record);
    call->meta->records++;
}

void sessions_record (struct service_call *call)
{
    maitre_assert (call->answered);
    maitre_assert (!call->reply->replayed);
    maitre_assert ((call->reply->status == STATUS_OK) == (call->reply->reason == NULL));
    maitre_assert ((call->reply->reason == NULL) == (call->reply->message == NULL));
    const struct services_reply *reply = call->reply;
    maitre_assert (reply->body.len <= SESSIONS_REPLY_BYTES_MAX);
    struct request_record record = {
        .status = (uint64_t) reply->status,
        .has_reason = reply->reason != NULL,
        .has_message = reply->message != NULL,
        .has_body = true,
        .body = reply->body,
        .method = call->method->number,
        .time_ms = call->time_ms,
    };
    if (record.has_reason)
        record.reason = bytes_text (reply->reason);
    if (record.has_message)
        record.message = bytes_text (reply->message);
    size_t mark = call->arena->used;
    request_prints (call, &record.fields, &record.fields_count);
    record_put (call, &call->request_id, &call->principal.id, &record);
    call->arena->used = mark;
}

void sessions_fence (struct service_call *call, const struct id *request_id, const struct id *principal)
{
    maitre_assert (!call->answered);
    struct request_record record = {
        .status = STATUS_ABORTED,
        .has_reason = true,
        .reason = BYTES_LITERAL (SESSIONS_FENCED),
        .has_message = true,
        .message = BYTES_LITERAL ("this request id was given up after its outcome was asked for; call with a new id"),
        .has_body = true,
        .body = BYTES_LITERAL ("\xa0"), /* an empty refusal */
        .method = call->method->number,
        .time_ms = call->time_ms,
    };
    record_put (call, request_id, principal, &record);
}
