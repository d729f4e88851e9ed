/* One shard of services in memory, driven as the engine drives it: entries encoded, applied, checked after each.
 *
 * After every entry services_check must be content, and a refusal must have left everything but records and bookkeeping as it
 * was (unless a hold was due). So every test of a refusal is a test of atomicity, too.
 */
#ifndef MAITRED_TEST_SUPPORT_SERVICES_WORLD_H
#define MAITRED_TEST_SUPPORT_SERVICES_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include "node/services/keys.h"
#include "node/services/services.h"
#include "schemas/generated/common.h"
#include "schemas/generated/log.h"
#include "schemas/generated/methods.h"
#include "schemas/runtime/checksum.h"
#include "schemas/runtime/placement_hash.h"
#include "test/support/state_map.h"

#define WORLD_START_MS UINT64_C (1750000000000)
#define WORLD_SHARD 1
#define WORLD_SHARDS 4

struct world {
    struct state_map map;
    struct state_map twin; /* with has_twin: a second replica, whose memory holds other rubbish */
    bool has_twin;
    struct state state;
    struct services_config config;
    struct arena arena, read_arena;
    uint64_t now_ms; /* log time of the next entry */
    uint64_t serial; /* of ids */
    uint64_t index;
    uint32_t hash;  /* a placement hash of this shard; world_init takes that of WORLD_GROUP */
    bool unchecked; /* leaves services_check and atomicity out: for long runs */
    struct services_reply reply;
    struct refusal refusal;
    struct id request_id; /* of the last call */
};

/* A group whose hash routes to WORLD_SHARD of WORLD_SHARDS. */
static inline struct bytes world_group (unsigned shard)
{
    static const char *const groups[] = {
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        struct bytes group = bytes_text (groups[i]);
        if (placement_shard (placement_hash_group (group), WORLD_SHARDS) == shard)
            return group;
    }
    maitre_assert (!"no letter routes there");
    return BYTES_LITERAL ("");
}

static inline void world_init (struct world *w)
{
    *w = (struct world){
        .config = {.shard = WORLD_SHARD,
            .shard_count = WORLD_SHARDS,
            .records_max = 1000000,
            .record_ttl_ms = 86400000},
        .now_ms = WORLD_START_MS,
        .hash = placement_hash_group (world_group (WORLD_SHARD)),
    };
    state_map_init (&w->map);
    w->state = state_map_state (&w->map);
    size_t bytes = SERVICES_ARENA_BYTES_MIN + 4096;
    arena_init (&w->arena, malloc (bytes), bytes);
    arena_init (&w->read_arena, malloc (bytes), bytes);
    maitre_assert (w->arena.base != NULL && w->read_arena.base != NULL);
}

static inline void world_close (struct world *w)
{
    free (w->arena.base);
    free (w->read_arena.base);
    state_map_close (&w->map);
    if (w->has_twin)
        state_map_close (&w->twin);
}

/* Call it right after world_init. */
static inline void world_add_twin (struct world *w)
{
    state_map_init (&w->twin);
    w->has_twin = true;
}

/* A new id of this shard, made now. */
static inline struct id world_id (struct world *w)
{
    return id_make (w->now_ms, w->hash, ++w->serial);
}

static inline struct principal world_principal (uint64_t number, uint64_t roles)
{
    return (struct principal){.id = id_make (1, 1, number), .kind = PRINCIPAL_KIND_USER, .roles = roles};
}

/* Hash of every row; without records and bookkeeping when only entities are asked for. */
static inline uint64_t world_hash (const struct tree *tree, bool entities)
{
    struct tree_cursor cursor;
    const struct tree_entry *entry;
    uint64_t sum = 0;
    tree_seek (tree, bytes_of (NULL, 0), &cursor);
    while ((entry = tree_next (&cursor)) != NULL) {
        if (!entities || entry->key[0] > TABLE_RECORD)
            sum = checksum64 (checksum64 (sum, tree_key (entry)), tree_value (entry));
    }
    return sum;
}

static inline uint64_t world_entities_hash (struct world *w)
{
    return world_hash (w->map.tree, true);
}

static inline bool world_holds_due (struct world *w)
{
    return services_next_deadline (&w->config, &w->state) <= w->now_ms;
}

/* Applies the entry to the twin as well: the same answer, or the services depend on more than state and entry. */
static inline void world_apply_twin (struct world *w, struct bytes payload)
{
    struct services_reply reply;
    struct state state = state_map_state (&w->twin);
    arena_reset (&w->read_arena);
    memset (w->read_arena.base, (int) (w->index & 0xff), 65536);
    enum status status = services_apply (&w->config, &state, payload, w->index, &w->read_arena, &reply);
    maitre_assert (status == STATUS_OK);
    maitre_assert (reply.status == w->reply.status && reply.replayed == w->reply.replayed);
    maitre_assert (bytes_equal (reply.body, w->reply.body));
}

/* Applies one entry as it would come from the log. */
static inline enum status world_apply_payload (struct world *w, struct bytes payload)
{
    uint64_t before = 0;
    bool due = w->unchecked || world_holds_due (w);
    if (!due)
        before = world_entities_hash (w);
    arena_reset (&w->arena);
    enum status status = services_apply (&w->config, &w->state, payload, ++w->index, &w->arena, &w->reply);
    if (status == STATUS_OK && w->has_twin)
        world_apply_twin (w, payload);
    if (w->unchecked || status != STATUS_OK)
        return status;
    char drift[200];
    if (!services_check (&w->config, &w->state, drift, sizeof drift)) {
        fprintf (stderr, "services_check: %s\n", drift);
        abort ();
    }
    if (!due && (w->reply.status != STATUS_OK || w->reply.replayed))
        maitre_assert (before == world_entities_hash (w));
    return status;
}

/* Applies one command under a given request id; returns the call's own status. */
static inline enum status world_call_as (struct world *w, uint32_t number, const struct principal *principal,
    const struct id *request_id, const void *request, struct bytes prepared)
{
    const struct method *method = method_by_number (number);
    uint8_t body[8192], payload[8192 + 1024];
    size_t body_len = 0, payload_len = 0;
    enum status status = codec_encode (method->request, request, body, sizeof body, &body_len);
    maitre_assert (status == STATUS_OK);
    status = services_encode_command (method, principal, request_id, w->now_ms, bytes_of (body, body_len), prepared,
        payload, sizeof payload, &payload_len);
    maitre_assert (status == STATUS_OK);
    w->request_id = *request_id;
    status = world_apply_payload (w, bytes_of (payload, payload_len));
    maitre_assert (status == STATUS_OK);
    if (w->reply.status != STATUS_OK) {
        status = codec_decode (&refusal_type, w->reply.body, CODEC_STRICT, NULL, &w->refusal, NULL);
        maitre_assert (status == STATUS_OK);
    }
    return w->reply.status;
}

/* The same under a new request id. */
static inline enum status world_call (
    struct world *w, uint32_t number, const struct principal *principal, const void *request)
{
    struct id request_id = world_id (w);
    return world_call_as (w, number, principal, &request_id, request, bytes_of (NULL, 0));
}

static inline enum status world_read (
    struct world *w, uint32_t number, const struct principal *principal, const void *request)
{
    const struct method *method = method_by_number (number);
    static uint8_t body[8192];
    size_t body_len = 0;
    enum status status = codec_encode (method->request, request, body, sizeof body, &body_len);
    maitre_assert (status == STATUS_OK);
    arena_reset (&w->arena);
    services_read (
        &w->config, &w->state, method, principal, bytes_of (body, body_len), w->now_ms, &w->arena, &w->reply);
    if (w->reply.status != STATUS_OK) {
        status = codec_decode (&refusal_type, w->reply.body, CODEC_STRICT, NULL, &w->refusal, NULL);
        maitre_assert (status == STATUS_OK);
    }
    return w->reply.status;
}

/* Decodes the last OK reply; valid until the next world_reply. */
static inline void world_reply (struct world *w, const struct codec_type *type, void *value)
{
    maitre_assert (w->reply.status == STATUS_OK);
    arena_reset (&w->read_arena);
    struct bytes body =
        bytes_of (arena_copy (&w->read_arena, w->reply.body.data, w->reply.body.len), w->reply.body.len);
    enum status status = codec_decode (type, body, CODEC_STRICT, &w->read_arena, value, NULL);
    maitre_assert (status == STATUS_OK);
}

/* Applies the housekeeping entry that is due, as the leader does. False when none is. */
static inline bool world_tick (struct world *w)
{
    uint8_t payload[64];
    size_t len = 0;
    if (!services_encode_due (&w->config, &w->state, w->now_ms, payload, sizeof payload, &len))
        return false;
    enum status status = world_apply_payload (w, bytes_of (payload, len));
    maitre_assert (status == STATUS_OK);
    return true;
}

/* ---- a provider and its offers, made by an admin */

static inline struct principal world_admin (void)
{
    return world_principal (1, ROLE_ADMIN);
}

static inline struct id world_provider (struct world *w)
{
    struct principal admin = world_admin ();
    struct put_provider_request request = {
        .provider = world_id (w),
        .kind = PROVIDER_KIND_HOTEL,
        .name = BYTES_LITERAL ("The Grand"),
        .has_group = true,
        .group = world_group (WORLD_SHARD),
    };
    enum status status = world_call (w, METHOD_NUMBER_CATALOG_PUT_PROVIDER, &admin, &request);
    maitre_assert (status == STATUS_OK);
    return request.provider;
}

/* What a new offer of `provider` would be: 10 units in each of buckets 0..99 at 5.00 GBP. */
static inline struct put_offer_request world_offer_request (struct world *w, const struct id *provider)
{
    return (struct put_offer_request){
        .offer = world_id (w),
        .provider = *provider,
        .kind = OFFER_KIND_ROOM,
        .name = BYTES_LITERAL ("Room"),
        .price_minor = 500,
        .currency = BYTES_LITERAL ("GBP"),
        .first_bucket = 0,
        .last_bucket = 99,
        .capacity = 10,
    };
}

static inline struct id world_put_offer (struct world *w, const struct put_offer_request *request)
{
    struct principal admin = world_admin ();
    enum status status = world_call (w, METHOD_NUMBER_CATALOG_PUT_OFFER, &admin, request);
    maitre_assert (status == STATUS_OK);
    return request->offer;
}

/* An offer of the default shape with this capacity. */
static inline struct id world_offer (struct world *w, const struct id *provider, uint64_t capacity)
{
    struct put_offer_request request = world_offer_request (w, provider);
    request.capacity = capacity;
    return world_put_offer (w, &request);
}

static inline struct reserve_item world_item (const struct id *offer, uint64_t first, uint64_t count, uint64_t quantity)
{
    return (struct reserve_item){
        .offer = *offer, .first = first, .has_count = true, .count = count, .has_quantity = true, .quantity = quantity};
}

/* reserve.Create under a new id, which goes to *id unless that is NULL. */
static inline enum status world_reserve (struct world *w, const struct principal *who, uint64_t mode,
    const struct reserve_item *items, size_t count, struct id *id)
{
    struct reserve_item copy[RESERVATION_ITEMS_COUNT_MAX];
    memcpy (copy, items, count * sizeof *items);
    struct reserve_create_request request = {
        .reservation = world_id (w), .mode = mode, .items = copy, .items_count = count};
    if (id != NULL)
        *id = request.reservation;
    return world_call (w, METHOD_NUMBER_RESERVE_CREATE, who, &request);
}

/* reserve.Create of one item, which must succeed. */
static inline struct id world_take (struct world *w, const struct principal *who, uint64_t mode, const struct id *offer,
    uint64_t first, uint64_t quantity)
{
    struct reserve_item item = world_item (offer, first, 1, quantity);
    struct id id;
    enum status status = world_reserve (w, who, mode, &item, 1, &id);
    maitre_assert (status == STATUS_OK);
    return id;
}

/* Confirm (whole), Release and Cancel have the same request. */
static inline enum status world_resolve (
    struct world *w, uint32_t number, const struct principal *who, const struct id *id)
{
    struct reserve_confirm_request confirm = {.reservation = *id};
    struct reserve_release_request release = {.reservation = *id};
    struct reserve_cancel_request cancel = {.reservation = *id};
    if (number == METHOD_NUMBER_RESERVE_CONFIRM)
        return world_call (w, number, who, &confirm);
    if (number == METHOD_NUMBER_RESERVE_RELEASE)
        return world_call (w, number, who, &release);
    return world_call (w, number, who, &cancel);
}

static inline enum status world_move (
    struct world *w, const struct principal *who, const struct id *id, const struct reserve_item *items, size_t count)
{
    struct reserve_item copy[RESERVATION_ITEMS_COUNT_MAX];
    memcpy (copy, items, count * sizeof *items);
    struct reserve_move_request request = {.reservation = *id, .items = copy, .items_count = count};
    return world_call (w, METHOD_NUMBER_RESERVE_MOVE, who, &request);
}

/* The stored reservation, as an admin reads it; valid until the next read. */
static inline struct reservation world_reservation (struct world *w, const struct id *id)
{
    struct principal admin = world_admin ();
    struct reserve_get_request request = {.reservation = *id};
    struct reserve_get_reply reply;
    enum status status = world_read (w, METHOD_NUMBER_RESERVE_GET, &admin, &request);
    maitre_assert (status == STATUS_OK);
    world_reply (w, &reserve_get_reply_type, &reply);
    return reply.reservation;
}

/* The breakdown of one bucket. */
static inline struct avail_row world_bucket (struct world *w, const struct id *offer, uint64_t bucket)
{
    struct principal anyone = {0};
    struct avail_query query = {.offer = *offer, .first = bucket};
    struct avail_check_request request = {.queries = &query, .queries_count = 1};
    struct avail_check_reply reply;
    enum status status = world_read (w, METHOD_NUMBER_AVAIL_CHECK, &anyone, &request);
    maitre_assert (status == STATUS_OK);
    world_reply (w, &avail_check_reply_type, &reply);
    return reply.rows[0];
}

#define assert_refused(call, wanted_status, wanted_reason)                                                             \
    do {                                                                                                               \
        assert_int_equal (call, wanted_status);                                                                        \
        assert_string_equal (w->reply.reason, wanted_reason);                                                          \
    } while (0)

#endif
