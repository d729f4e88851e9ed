#include "test/support/shard_world_internal.h"

#define PAYLOAD_BYTES 65536

/* ---- calls */

static void step_call (
    struct shard_world *w, const struct shard_world_call *call, struct bytes prepared, struct bytes logged_body)
{
    struct shard_event event = {.type = SHARD_EVENT_CALL,
        .call = {.token = call->token,
            .method = call->method,
            .principal = call->principal,
            .request_id = call->request_id,
            .body = call->sent,
            .prepared = prepared,
            .logged_body = logged_body,
            .deadline_ms = call->deadline_ms}};
    shard_world_event (w, call->node, event);
}

uint64_t shard_world_call_raw (struct shard_world *w, uint32_t node, uint32_t number, const struct principal *principal,
    const struct id *request_id, struct bytes body, uint64_t deadline_ms)
{
    shard_world_grow (&w->calls, &w->calls_size, w->calls_count, sizeof *w->calls);
    struct shard_world_call *call = &w->calls[w->calls_count++];
    *call = (struct shard_world_call){.token = w->calls_count,
        .node = node,
        .method = method_by_number (number),
        .principal = *principal,
        .started_ms = w->now_ms,
        .deadline_ms = deadline_ms};
    if (request_id != NULL)
        call->request_id = *request_id;
    else if (call->method->class == METHOD_WRITE || call->method->class == METHOD_SYSTEM_WRITE)
        call->request_id = world_id (&w->ids);
    call->sent = shard_world_bytes_copy (body);
    step_call (w, call, bytes_of (NULL, 0), bytes_of (NULL, 0));
    return call->token;
}

uint64_t shard_world_call_by (struct shard_world *w, uint32_t node, uint32_t number, const struct principal *principal,
    const struct id *request_id, const void *request, uint64_t deadline_ms)
{
    static uint8_t body[PAYLOAD_BYTES];
    size_t len = 0;
    enum status status = codec_encode (method_by_number (number)->request, request, body, sizeof body, &len);
    maitre_assert (status == STATUS_OK);
    return shard_world_call_raw (w, node, number, principal, request_id, bytes_of (body, len), deadline_ms);
}

uint64_t shard_world_call (struct shard_world *w, uint32_t node, uint32_t number, const struct principal *principal,
    const struct id *request_id, const void *request)
{
    return shard_world_call_by (w, node, number, principal, request_id, request, 0);
}

struct shard_world_call *shard_world_find (struct shard_world *w, uint64_t token)
{
    maitre_assert (token >= 1 && token <= w->calls_count);
    return &w->calls[token - 1];
}

struct shard_world_call *shard_world_wait (struct shard_world *w, uint64_t token)
{
    for (unsigned i = 0; i < 20000 && shard_world_find (w, token)->state == CALL_WAITING; i++)
        shard_world_step (w);
    maitre_assert (shard_world_find (w, token)->state != CALL_WAITING);
    return shard_world_find (w, token);
}

unsigned shard_world_run_jobs (struct shard_world *w)
{
    unsigned ran = 0;
    for (size_t i = 0; i < w->calls_count; i++) {
        struct shard_world_call *call = &w->calls[i];
        uint8_t prepared[160] = "hash:";
        size_t len = 5 + call->job_password.len;
        if (call->state != CALL_JOB)
            continue;
        maitre_assert (len < sizeof prepared);
        memcpy (prepared + 5, call->job_password.data, call->job_password.len);
        if (call->job.kind == SERVICES_PREPARE_VERIFY) {
            bool right = bytes_equal (call->job_hash, bytes_of (prepared, len));
            prepared[0] = right;
            bytes_put_u64 (prepared + 1, call->job.credentials_version);
            len = 9;
        } else {
            maitre_assert (call->job.kind == SERVICES_PREPARE_HASH);
        }
        call->state = CALL_WAITING;
        step_call (w, call, bytes_of (prepared, len), call->job_body);
        ran++;
    }
    return ran;
}

void shard_world_reply (
    struct shard_world *w, const struct shard_world_call *call, const struct codec_type *type, void *value)
{
    maitre_assert (call->state == CALL_ANSWERED && call->status == STATUS_OK);
    arena_reset (&w->arena);
    enum status status = codec_decode (type, call->body, CODEC_STRICT, &w->arena, value, NULL);
    maitre_assert (status == STATUS_OK);
}

uint64_t shard_world_answered (const struct shard_world *w, enum status status)
{
    uint64_t count = 0;
    for (size_t i = 0; i < w->calls_count; i++)
        count += w->calls[i].state == CALL_ANSWERED && w->calls[i].status == status;
    return count;
}

/* ---- a provider and its offers */

static struct id put (struct shard_world *w, uint32_t number, const void *request, const struct id *id)
{
    struct principal admin = world_admin ();
    uint64_t token = shard_world_call (w, shard_world_elect (w), number, &admin, NULL, request);
    maitre_assert (shard_world_wait (w, token)->status == STATUS_OK);
    return *id;
}

struct id shard_world_offer (struct shard_world *w, uint64_t capacity)
{
    struct put_provider_request request = {
        .provider = world_id (&w->ids),
        .kind = PROVIDER_KIND_HOTEL,
        .name = BYTES_LITERAL ("The Grand"),
        .has_group = true,
        .group = world_group (WORLD_SHARD),
    };
    struct id provider = put (w, METHOD_NUMBER_CATALOG_PUT_PROVIDER, &request, &request.provider);
    struct put_offer_request offer = world_offer_request (&w->ids, &provider);
    offer.capacity = capacity;
    return put (w, METHOD_NUMBER_CATALOG_PUT_OFFER, &offer, &offer.offer);
}

uint64_t shard_world_book (struct shard_world *w, uint32_t node, const struct id *offer, uint64_t bucket, uint64_t mode,
    struct id *reservation)
{
    struct principal who = world_principal (1000 + w->calls_count, ROLE_CUSTOMER);
    struct reserve_item item = world_item (offer, bucket, 1, 1);
    struct reserve_create_request request = {
        .reservation = world_id (&w->ids), .mode = mode, .items = &item, .items_count = 1};
    if (reservation != NULL)
        *reservation = request.reservation;
    return shard_world_call (w, node, METHOD_NUMBER_RESERVE_CREATE, &who, NULL, &request);
}

struct avail_row shard_world_bucket (struct shard_world *w, uint32_t node, const struct id *offer, uint64_t bucket)
{
    struct principal anyone = {0};
    struct avail_query query = {.offer = *offer, .first = bucket};
    struct avail_check_request request = {.queries = &query, .queries_count = 1};
    struct avail_check_reply reply;
    struct services_reply answer;
    uint8_t body[256];
    size_t len = 0;
    struct state state = state_map_state (&w->nodes[node].map);
    enum status status = codec_encode (&avail_check_request_type, &request, body, sizeof body, &len);
    maitre_assert (status == STATUS_OK);
    arena_reset (&w->scratch);
    services_read (&w->ids.config, &state, method_by_number (METHOD_NUMBER_AVAIL_CHECK), &anyone, bytes_of (body, len),
        services_log_time (&state), &w->scratch, &answer);
    maitre_assert (answer.status == STATUS_OK);
    arena_reset (&w->arena);
    status = codec_decode (&avail_check_reply_type, answer.body, CODEC_STRICT, &w->arena, &reply, NULL);
    maitre_assert (status == STATUS_OK && reply.rows_count == 1);
    return reply.rows[0];
}
