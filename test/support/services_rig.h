/* The world of services_world.h with a restaurant in it: what the tests of users and orders share.
 *
 * One user shard (or the system shard), so that every login and every provider without a group is at home in it.
 */
#ifndef MAITRED_TEST_SUPPORT_SERVICES_RIG_H
#define MAITRED_TEST_SUPPORT_SERVICES_RIG_H

#include "test/support/services_world.h"

#define RIG_BYTES_MAX 8192

static inline void rig_init (struct world *rig, uint32_t shard)
{
    world_init (rig);
    rig->config.shard = shard;
    rig->config.shard_count = 1;
}

static inline void rig_check (struct world *rig)
{
    char drift[200];
    if (!services_check (&rig->config, &rig->state, drift, sizeof drift)) {
        fprintf (stderr, "services_check: %s\n", drift);
        abort ();
    }
}

static inline struct id rig_id (struct world *rig, uint32_t hash)
{
    return id_make (rig->now_ms, hash, ++rig->serial);
}

/* An id whose hash is its own, as a provider without a group has. */
static inline struct id rig_provider_id (struct world *rig)
{
    struct id id = rig_id (rig, 0);
    return id_make (id_time_ms (&id), placement_hash_provider (&id), rig->serial);
}

/* Into `out` of RIG_BYTES_MAX. */
static inline struct bytes rig_encode (const struct codec_type *type, const void *value, uint8_t *out)
{
    size_t len = 0;
    enum status status = codec_encode (type, value, out, RIG_BYTES_MAX, &len);
    maitre_assert (status == STATUS_OK);
    return bytes_of (out, len);
}

/* A new request id with the hash of what the call is about. */
static inline struct id rig_request_id (struct world *rig, uint32_t number, const void *request)
{
    const struct method *method = method_by_number (number);
    uint32_t hash = 0;
    if (method->route != ROUTE_NONE && method_routing_hash (method, request, &hash) != STATUS_OK)
        hash = 0;
    return rig_id (rig, hash);
}

static inline bool rig_reason (const struct world *rig, const char *reason)
{
    return rig->reply.status != STATUS_OK && strcmp (rig->reply.reason, reason) == 0;
}

/* Applies the housekeeping that is due now, entry by entry; returns how many entries there were. */
static inline unsigned rig_housekeep (struct world *rig)
{
    unsigned entries = 0;
    while (world_tick (rig))
        entries++;
    return entries;
}

static inline struct principal rig_anonymous (void)
{
    return (struct principal){.kind = PRINCIPAL_KIND_ANONYMOUS};
}

/* ---- a menu */

/* A restaurant; owner may be NULL. */
static inline struct id rig_put_provider (struct world *rig, const struct id *owner)
{
    struct principal admin = world_admin ();
    struct put_provider_request request = {.provider = rig_provider_id (rig),
        .kind = PROVIDER_KIND_RESTAURANT,
        .name = BYTES_LITERAL ("The Rig"),
        .has_owner = owner != NULL};
    if (owner != NULL)
        request.owner = *owner;
    enum status status = world_call (rig, METHOD_NUMBER_CATALOG_PUT_PROVIDER, &admin, &request);
    maitre_assert (status == STATUS_OK);
    return request.provider;
}

/* A dish with one bucket (0) of `capacity` portions; the caller may change the request and put it again. */
static inline struct put_offer_request rig_dish (
    struct world *rig, const struct id *provider, uint64_t price_minor, uint64_t capacity)
{
    struct put_offer_request request = world_offer_request (rig, provider);
    request.offer = rig_id (rig, id_hash (provider));
    request.kind = OFFER_KIND_DISH;
    request.name = BYTES_LITERAL ("dish");
    request.price_minor = price_minor;
    request.has_bucket_kind = true;
    request.bucket_kind = BUCKET_KIND_POOL;
    request.last_bucket = 0;
    request.capacity = capacity;
    return request;
}

/* Puts it; the request then names the version to replace next. */
static inline void rig_put_offer (struct world *rig, struct put_offer_request *request)
{
    struct put_reply reply;
    world_put_offer (rig, request);
    world_reply (rig, &put_reply_type, &reply);
    request->has_version = true;
    request->version = reply.version;
}

#endif
