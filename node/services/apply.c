/* One committed entry: the frame around every command, and the housekeeping kinds. */
#include "node/services/services.h"

#include "node/services/call.h"
#include "node/services/hold.h"
#include "node/services/order.h"
#include "node/services/sessions.h"
#include "schemas/runtime/assert.h"

static bool is_whole_command (const struct log_entry *entry)
{
    return entry->has_method && entry->has_request_id && entry->has_actor && entry->has_body;
}

static enum status apply_command (struct service_call *call, const struct log_entry *entry)
{
    if (!is_whole_command (entry))
        return STATUS_DATA_LOSS;
    call->method = method_by_number (entry->method);
    const struct service_method *handlers = dispatch_find (entry->method);
    if (call->method == NULL || handlers == NULL || handlers->apply == NULL)
        return STATUS_DATA_LOSS;
    maitre_assert (call->method->number == entry->method);
    maitre_assert (call->method->class == METHOD_WRITE || call->method->class == METHOD_SYSTEM_WRITE);
    call->principal = (struct principal){entry->actor.principal, entry->actor.kind, entry->actor.roles};
    call->request_id = entry->request_id;
    call->body = entry->body;
    call->prepared = entry->prepared;
    void *request = service_alloc (call, call->method->request->size);
    call->request = request;
    if (codec_decode (call->method->request, entry->body, CODEC_STRICT, call->arena, request, NULL) != STATUS_OK)
        return STATUS_DATA_LOSS;
    if (handlers->guard != NULL && !handlers->guard (call))
        return call->damaged ? STATUS_DATA_LOSS : STATUS_OK;
    maitre_assert (!call->answered);
    if (sessions_answer (call, true))
        return STATUS_OK;
    maitre_assert (!call->answered);
    maitre_assert (call->reply->body.len == 0);
    if (call_admit (call, handlers))
        handlers->apply (call);
    if (call->damaged)
        return STATUS_DATA_LOSS;
    maitre_assert (call->answered);
    maitre_assert (call->time_ms == call->meta->log_time_ms);
    if (!PLANTED (X1_NOT_RECORDED))
        sessions_record (call);
    return STATUS_OK;
}

static enum status apply_housekeeping (struct service_call *call, const struct log_entry *entry)
{
    if (!entry->has_cut)
        return STATUS_DATA_LOSS;
    uint64_t cut_ms = entry->cut < call->time_ms ? entry->cut : call->time_ms;
    maitre_assert (cut_ms <= call->time_ms);
    maitre_assert (entry->kind == LOG_KIND_EXPIRE || entry->kind == LOG_KIND_DROP_RECORDS);
    if (entry->kind == LOG_KIND_EXPIRE) {
        hold_expire_shard (call, cut_ms);
        order_expire_shard (call, cut_ms);
    } else {
        sessions_drop (call, entry->cut);
    }
    maitre_assert (!call->answered);
    return STATUS_OK;
}

enum status services_apply (const struct services_config *config, struct state *state, struct bytes payload,
    uint64_t index, struct arena *arena, struct services_reply *reply)
{
    maitre_assert (index > 0);
    maitre_assert (config->shard <= config->shard_count);
    maitre_assert (arena->size - arena->used >= SERVICES_ARENA_BYTES_MIN);
    *reply = (struct services_reply){0};
    struct log_entry entry;
    if (codec_decode (&log_entry_type, payload, CODEC_STRICT, arena, &entry, NULL) != STATUS_OK)
        return STATUS_DATA_LOSS;
    struct service_meta meta;
    if (!sessions_meta_load (state, &meta))
        return STATUS_DATA_LOSS;
    /* Log time never goes back, whatever a leader stamped (X4). */
    if (entry.time_ms > meta.log_time_ms)
        meta.log_time_ms = entry.time_ms;
    maitre_assert (meta.log_time_ms >= entry.time_ms);
    struct service_call call = {
        .config = config,
        .state = state,
        .arena = arena,
        .reply = reply,
        .time_ms = meta.log_time_ms,
        .index = index,
        .meta = &meta,
    };
    enum status status =
        entry.kind == LOG_KIND_COMMAND ? apply_command (&call, &entry) : apply_housekeeping (&call, &entry);
    maitre_assert (meta.log_time_ms == call.time_ms);
    maitre_assert (status != STATUS_OK || call.answered == (entry.kind == LOG_KIND_COMMAND));
    if (status == STATUS_OK && call.damaged)
        status = STATUS_DATA_LOSS;
    if (status == STATUS_OK)
        sessions_meta_store (state, &meta);
    return status;
}

enum status services_encode_command (const struct method *method, const struct principal *principal,
    const struct id *request_id, uint64_t time_ms, struct bytes body, struct bytes prepared, uint8_t *out,
    size_t out_size, size_t *out_len)
{
    maitre_assert (method->class == METHOD_WRITE || method->class == METHOD_SYSTEM_WRITE);
    struct log_entry entry = {
        .kind = LOG_KIND_COMMAND,
        .time_ms = time_ms,
        .has_method = true,
        .method = method->number,
        .has_request_id = true,
        .request_id = *request_id,
        .has_actor = true,
        .actor = {.principal = principal->id, .kind = principal->kind, .roles = principal->roles},
        .has_body = true,
        .body = body,
        .has_prepared = prepared.len > 0,
        .prepared = prepared,
    };
    return codec_encode (&log_entry_type, &entry, out, out_size, out_len);
}

/* When the earliest hold or order runs out. */
static uint64_t expire_deadline (struct state *state, const struct service_meta *meta)
{
    uint64_t order_ms = order_next_deadline (state);
    return order_ms < meta->next_deadline_ms ? order_ms : meta->next_deadline_ms;
}

uint64_t services_next_deadline (const struct services_config *config, struct state *state)
{
    struct service_meta meta;
    if (!sessions_meta_load (state, &meta))
        return UINT64_MAX; /* the next apply reports the damage */
    uint64_t records = sessions_deadline (config, state, &meta);
    uint64_t expire = expire_deadline (state, &meta);
    maitre_assert (expire <= meta.next_deadline_ms);
    return expire < records ? expire : records;
}

bool services_encode_due (const struct services_config *config, struct state *state, uint64_t time_ms, uint8_t *out,
    size_t out_size, size_t *out_len)
{
    struct service_meta meta;
    if (!sessions_meta_load (state, &meta))
        return false;
    struct log_entry entry = {.time_ms = time_ms, .has_cut = true};
    if (expire_deadline (state, &meta) <= time_ms) {
        entry.kind = LOG_KIND_EXPIRE;
        entry.cut = time_ms;
    } else if (sessions_deadline (config, state, &meta) <= time_ms) {
        entry.kind = LOG_KIND_DROP_RECORDS;
        entry.cut = sessions_cut (config, state, &meta, time_ms);
    } else {
        return false;
    }
    maitre_assert (entry.kind != LOG_KIND_EXPIRE || entry.cut == time_ms);
    maitre_assert (!entry.has_method);
    return codec_encode (&log_entry_type, &entry, out, out_size, out_len) == STATUS_OK;
}

uint64_t services_log_time (struct state *state)
{
    struct service_meta meta;
    return sessions_meta_load (state, &meta) ? meta.log_time_ms : 0;
}
