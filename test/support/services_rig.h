/* One shard's services on a state in memory, for tests: commands in, replies out, everything recounted after each.
 *
 * Every command gets a fresh request id unless it is given one; the clock stands still unless a test moves it.
 */
#ifndef MAITRED_TEST_SUPPORT_SERVICES_RIG_H
#define MAITRED_TEST_SUPPORT_SERVICES_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/services/services.h"
#include "schemas/generated/common.h"
#include "schemas/generated/log.h"
#include "schemas/generated/methods.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/placement_hash.h"
#include "test/support/state_map.h"

#define RIG_START_MS UINT64_C (1700000000000)
#define RIG_BYTES_MAX (512 * 1024)

struct rig {
    struct services_config config;
    struct state_map map;
    struct state state;
    struct arena arena;
    uint8_t *memory, *payload, *body;
    uint64_t time_ms;
    uint64_t index;
    uint64_t serial; /* of ids made here */
    bool checks;     /* services_check after every command; off for long runs */
    struct services_reply reply;
    struct refusal refusal; /* of the last reply, when it refused */
};

static inline void rig_init (struct rig *rig, uint32_t shard)
{
    *rig = (struct rig){.config = {.shard = shard, .shard_count = 1, .records_max = 1000000, .record_ttl_ms = 86400000},
        .time_ms = RIG_START_MS,
        .checks = true,
        .memory = malloc (2 * SERVICES_ARENA_BYTES_MIN),
        .payload = malloc (RIG_BYTES_MAX),
        .body = malloc (RIG_BYTES_MAX)};
    maitre_assert (rig->memory != NULL);
    maitre_assert (rig->payload != NULL);
    maitre_assert (rig->body != NULL);
    state_map_init (&rig->map);
    rig->state = state_map_state (&rig->map);
}

static inline void rig_close (struct rig *rig)
{
    state_map_close (&rig->map);
    free (rig->memory);
    free (rig->payload);
    free (rig->body);
}

static inline void rig_check (struct rig *rig)
{
    char drift[200];
    if (!services_check (&rig->config, &rig->state, drift, sizeof drift)) {
        fprintf (stderr, "drift: %s\n", drift);
        maitre_assert (false);
    }
}

static inline struct id rig_id (struct rig *rig, uint32_t hash)
{
    return id_make (rig->time_ms, hash, ++rig->serial);
}

/* An id whose hash is its own, as a provider without a group has. */
static inline struct id rig_provider_id (struct rig *rig)
{
    struct id id = rig_id (rig, 0);
    return id_make (id_time_ms (&id), placement_hash_provider (&id), rig->serial);
}

static inline struct bytes rig_encode (const struct codec_type *type, const void *value, uint8_t *out)
{
    size_t len = 0;
    enum status status = codec_encode (type, value, out, RIG_BYTES_MAX, &len);
    maitre_assert (status == STATUS_OK);
    return bytes_of (out, len);
}

static inline void rig_take_refusal (struct rig *rig)
{
    rig->refusal = (struct refusal){0};
    if (rig->reply.status == STATUS_OK)
        return;
    maitre_assert (rig->reply.reason != NULL);
    maitre_assert (rig->reply.message != NULL);
    enum status status = codec_decode (&refusal_type, rig->reply.body, CODEC_STRICT, &rig->arena, &rig->refusal, NULL);
    maitre_assert (status == STATUS_OK);
}

/* Applies a payload; the reply stays until the next call. */
static inline void rig_apply_payload (struct rig *rig, struct bytes payload)
{
    arena_init (&rig->arena, rig->memory, 2 * SERVICES_ARENA_BYTES_MIN);
    enum status status = services_apply (&rig->config, &rig->state, payload, ++rig->index, &rig->arena, &rig->reply);
    maitre_assert (status == STATUS_OK);
    rig_take_refusal (rig);
    if (rig->checks)
        rig_check (rig);
}

/* A command with this request id. */
static inline enum status rig_apply_id (struct rig *rig, uint64_t number, const struct principal *principal,
    const struct id *request_id, const void *request, struct bytes prepared)
{
    const struct method *method = method_by_number (number);
    size_t len = 0;
    struct bytes body = rig_encode (method->request, request, rig->body);
    enum status status = services_encode_command (
        method, principal, request_id, rig->time_ms, body, prepared, rig->payload, RIG_BYTES_MAX, &len);
    maitre_assert (status == STATUS_OK);
    rig_apply_payload (rig, bytes_of (rig->payload, len));
    return rig->reply.status;
}

static inline struct id rig_request_id (struct rig *rig, uint64_t number, const void *request)
{
    const struct method *method = method_by_number (number);
    uint32_t hash = 0;
    if (method->route != ROUTE_NONE && method_routing_hash (method, request, &hash) != STATUS_OK)
        hash = 0;
    return rig_id (rig, hash);
}

static inline enum status rig_apply (
    struct rig *rig, uint64_t number, const struct principal *principal, const void *request)
{
    struct id request_id = rig_request_id (rig, number, request);
    return rig_apply_id (rig, number, principal, &request_id, request, bytes_of (NULL, 0));
}

static inline enum status rig_read (
    struct rig *rig, uint64_t number, const struct principal *principal, const void *request)
{
    const struct method *method = method_by_number (number);
    struct bytes body = rig_encode (method->request, request, rig->body);
    arena_init (&rig->arena, rig->memory, 2 * SERVICES_ARENA_BYTES_MIN);
    services_read (&rig->config, &rig->state, method, principal, body, rig->time_ms, &rig->arena, &rig->reply);
    rig_take_refusal (rig);
    return rig->reply.status;
}

/* Decodes the OK reply into *value, which borrows from the rig until the next call. */
static inline void rig_reply (struct rig *rig, const struct codec_type *type, void *value)
{
    maitre_assert (rig->reply.status == STATUS_OK);
    enum status status = codec_decode (type, rig->reply.body, CODEC_STRICT, &rig->arena, value, NULL);
    maitre_assert (status == STATUS_OK);
}

static inline bool rig_reason (const struct rig *rig, const char *reason)
{
    return rig->reply.status != STATUS_OK && strcmp (rig->reply.reason, reason) == 0;
}

/* Applies the housekeeping that is due now, entry by entry; returns how many entries there were. */
static inline unsigned rig_housekeep (struct rig *rig)
{
    unsigned entries = 0;
    size_t len = 0;
    while (services_encode_due (&rig->config, &rig->state, rig->time_ms, rig->payload, RIG_BYTES_MAX, &len)) {
        rig_apply_payload (rig, bytes_of (rig->payload, len));
        entries++;
    }
    return entries;
}

/* ---- people */

static inline struct principal rig_user (uint64_t number, uint64_t roles)
{
    return (struct principal){.id = id_make (1, 7, number), .kind = PRINCIPAL_KIND_USER, .roles = roles};
}

static inline struct principal rig_anonymous (void)
{
    return (struct principal){.kind = PRINCIPAL_KIND_ANONYMOUS};
}

/* ---- a menu */

static inline struct id rig_put_provider (struct rig *rig, const struct id *owner)
{
    struct principal admin = rig_user (1, ROLE_SET_MAX);
    struct put_provider_request request = {.provider = rig_provider_id (rig),
        .kind = PROVIDER_KIND_RESTAURANT,
        .name = BYTES_LITERAL ("The Rig"),
        .has_owner = owner != NULL};
    if (owner != NULL)
        request.owner = *owner;
    enum status status = rig_apply (rig, METHOD_NUMBER_CATALOG_PUT_PROVIDER, &admin, &request);
    maitre_assert (status == STATUS_OK);
    return request.provider;
}

/* A dish with one bucket (0) of `capacity` portions; the caller may change the request and put it again. */
static inline struct put_offer_request rig_dish (
    struct rig *rig, const struct id *provider, uint64_t price_minor, uint64_t capacity)
{
    return (struct put_offer_request){.offer = rig_id (rig, id_hash (provider)),
        .provider = *provider,
        .kind = OFFER_KIND_DISH,
        .name = BYTES_LITERAL ("dish"),
        .price_minor = price_minor,
        .currency = BYTES_LITERAL ("GBP"),
        .has_bucket_kind = true,
        .bucket_kind = BUCKET_KIND_POOL,
        .first_bucket = 0,
        .last_bucket = 0,
        .capacity = capacity};
}

static inline void rig_put_offer (struct rig *rig, struct put_offer_request *request)
{
    struct principal admin = rig_user (1, ROLE_SET_MAX);
    enum status status = rig_apply (rig, METHOD_NUMBER_CATALOG_PUT_OFFER, &admin, request);
    maitre_assert (status == STATUS_OK);
    struct put_reply reply;
    rig_reply (rig, &put_reply_type, &reply);
    request->has_version = true;
    request->version = reply.version;
}

#endif
