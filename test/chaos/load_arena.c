/* Arenas: a few offers, fresh ones every few hundred calls, so that each part of a history stays small and what is unknown
 * in one does not haunt the next.
 */
#include <stdlib.h>
#include <time.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/load.h"

#define SETUP_DEADLINE_MS 5000
#define HOLD_TTL_MS UINT64_C (2592000000) /* the longest there is: no hold of a run runs out */

const char *const load_workload_names[LOAD_WORKLOADS] = {"slots", "pairs", "orders", "idempotence", "set", "reads"};

/* kind of provider, offers, buckets of each, units, limit, customers, calls until it is replaced */
static const struct shape {
    char letter;
    uint8_t offers, customers;
    uint32_t last, capacity, limit, calls;
} shapes[LOAD_WORKLOADS] = {
    [LOAD_SLOTS] = {'s', 2, 3, 3, 1, 0, 400},
    [LOAD_PAIRS] = {'p', 4, 4, 3, 1, 2, 300},
    [LOAD_ORDERS] = {'o', 3, 4, 0, 6, 0, 300},
    [LOAD_ONCE] = {'i', 1, 2, 5, 1, 0, 300},
    [LOAD_SET] = {'u', 2, 8, 1000000, 1, 0, 20000},
    [LOAD_READS] = {'r', 1, 2, 3, 1, 0, 300},
};

static uint64_t wall_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* The same request id until somebody says what became of it. */
static bool patient (const struct load *load)
{
    return !atomic_load (&load->stop) && (load->setup_until_ns == 0 || history_now_ns () < load->setup_until_ns);
}

static bool insist (
    struct load *load, struct maitre *handle, const char *method, const struct codec_type *type, const void *request)
{
    struct maitre_call_options options;
    uint8_t body[4096];
    size_t len = 0;
    enum status encoded = codec_encode (type, request, body, sizeof body, &len);
    maitre_assert (encoded == STATUS_OK);
    maitre_call_options_init (&options);
    options.deadline_ms = SETUP_DEADLINE_MS;
    while (patient (load)) {
        struct maitre_reply *reply = NULL;
        enum maitre_status status = maitre_call (handle, method, (struct maitre_bytes){body, len}, &options, &reply);
        if (reply != NULL)
            options.request_id = reply->request_id;
        bool refused = reply != NULL && status != MAITRE_OK && status != MAITRE_UNAVAILABLE &&
                       status != MAITRE_DEADLINE_EXCEEDED && status != MAITRE_RESOURCE_EXHAUSTED &&
                       !reply->maybe_applied;
        if (refused)
            fprintf (stderr, "chaos_load: %s: %s %s: %s\n", method, maitre_status_name (status), reply->reason,
                reply->message);
        maitre_reply_destroy (&reply);
        if (status == MAITRE_OK)
            return true;
        if (refused)
            return false;
    }
    if (load->setup_until_ns != 0)
        fprintf (stderr, "chaos_load: %s was not answered in time\n", method);
    return false;
}

static void describe (struct load *load, const struct load_arena *arena)
{
    struct history_text *line = malloc (sizeof *line);
    char text[ID_TEXT_LEN + 1];
    maitre_assert (line != NULL);
    for (uint32_t i = 0; i < arena->offers_count; i++) {
        const struct load_offer *offer = &arena->offers[i];
        history_text_clear (line);
        history_put_text (line, "type", "info");
        history_put_text (line, "f", "offer");
        history_put_text (line, "w", load_workload_names[arena->workload]);
        history_put_text (line, "offer", offer->name);
        id_format (&offer->id, text);
        history_put_text (line, "id", text);
        id_format (&offer->provider, text);
        history_put_text (line, "provider", text);
        history_put_u64 (line, "first", offer->first);
        history_put_u64 (line, "last", offer->last);
        history_put_u64 (line, "capacity", offer->capacity);
        history_put_u64 (line, "limit", offer->limit);
        history_put_u64 (line, "version", 1);
        history_write (&load->writer, line);
        load_name (&load->names, &offer->id, offer->name);
    }
    for (uint32_t i = 0; i < arena->customers_count; i++) {
        const struct load_customer *customer = &arena->customers[i];
        history_text_clear (line);
        history_put_text (line, "type", "info");
        history_put_text (line, "f", "customer");
        history_put_text (line, "cust", customer->name);
        id_format (&customer->id, text);
        history_put_text (line, "id", text);
        history_write (&load->writer, line);
        load_name (&load->names, &customer->id, customer->name);
    }
    free (line);
}

static bool put_provider (
    struct load *load, struct maitre *handle, const struct load_arena *arena, const struct id *id, const char *group)
{
    char name[64];
    snprintf (name, sizeof name, "chaos %s", group);
    struct put_provider_request request = {.provider = *id,
        .kind = arena->workload == LOAD_ORDERS ? PROVIDER_KIND_RESTAURANT : PROVIDER_KIND_HOTEL,
        .name = bytes_text (name),
        .has_group = true,
        .group = bytes_text (group)};
    return insist (load, handle, "catalog.PutProvider", &put_provider_request_type, &request);
}

static bool put_offer (
    struct load *load, struct maitre *handle, const struct load_arena *arena, const struct load_offer *offer)
{
    bool order = arena->workload == LOAD_ORDERS;
    struct put_offer_request request = {.offer = offer->id,
        .provider = offer->provider,
        .kind = order ? OFFER_KIND_DISH : OFFER_KIND_SLOT,
        .name = bytes_text (offer->name),
        .price_minor = 1000,
        .currency = BYTES_LITERAL ("GBP"),
        .first_bucket = offer->first,
        .last_bucket = offer->last,
        .capacity = offer->capacity,
        .has_policy = !order,
        .policy = {.has_customer_limit = offer->limit > 0,
            .customer_limit = offer->limit,
            .has_hold_ttl_ms = true,
            .hold_ttl_ms = HOLD_TTL_MS}};
    return insist (load, handle, "catalog.PutOffer", &put_offer_request_type, &request);
}

/* Hotels and bands are two providers of one group; elsewhere one provider has all. */
static void name_all (struct load *load, struct maitre *handle, struct load_arena *arena, const char *group)
{
    const struct shape *shape = &shapes[arena->workload];
    struct maitre_id first = maitre_id_derive_provider (wall_ms (), group, group), second = first;
    if (arena->workload == LOAD_PAIRS)
        second = maitre_id_provider (handle, group);
    for (uint32_t i = 0; i < shape->offers; i++) {
        struct load_offer *offer = &arena->offers[i];
        bool band = arena->workload == LOAD_PAIRS && i >= 2;
        struct maitre_id id = maitre_id_beside (handle, &first);
        offer->id = load_id_in (&id);
        offer->provider = load_id_in (band ? &second : &first);
        offer->last = shape->last;
        offer->capacity = shape->capacity;
        offer->limit = shape->limit;
        if (arena->workload == LOAD_PAIRS)
            snprintf (offer->name, sizeof offer->name, "%c%u.%s%u", shape->letter, arena->number,
                band ? "band" : "hotel", i % 2 + 1);
        else
            snprintf (offer->name, sizeof offer->name, "%c%u.%u", shape->letter, arena->number, i + 1);
    }
    for (uint32_t i = 0; i < shape->customers; i++) {
        struct maitre_id id = maitre_id_random (handle);
        arena->customers[i].id = load_id_in (&id);
        snprintf (
            arena->customers[i].name, sizeof arena->customers[i].name, "%c%u.k%u", shape->letter, arena->number, i + 1);
    }
    arena->offers_count = shape->offers;
    arena->customers_count = shape->customers;
    arena->calls_left = shape->calls;
    (void) load;
}

struct load_arena *load_arena_new (struct load *load, struct maitre *handle, enum load_workload workload)
{
    struct load_arena *arena = calloc (1, sizeof *arena);
    char group[64];
    maitre_assert (arena != NULL);
    arena->workload = workload;
    arena->number = atomic_fetch_add (&load->arenas, 1);
    snprintf (group, sizeof group, "chaos-%llx-%u", (unsigned long long) (load->seed ^ load->began_ns), arena->number);
    name_all (load, handle, arena, group);
    bool fine = put_provider (load, handle, arena, &arena->offers[0].provider, group);
    if (fine && workload == LOAD_PAIRS)
        fine = put_provider (load, handle, arena, &arena->offers[2].provider, group);
    for (uint32_t i = 0; fine && i < arena->offers_count; i++)
        fine = put_offer (load, handle, arena, &arena->offers[i]);
    if (fine) {
        describe (load, arena);
        return arena;
    }
    free (arena);
    return NULL;
}

static bool fill (struct load *load, struct maitre *handle, struct load_lane *lane, enum load_workload workload)
{
    pthread_mutex_lock (&load->handing);
    bool wanted = lane->next[workload] == NULL;
    pthread_mutex_unlock (&load->handing);
    if (!wanted)
        return false;
    struct load_arena *arena = load_arena_new (load, handle, workload);
    if (arena == NULL)
        return false;
    pthread_mutex_lock (&load->handing);
    lane->next[workload] = arena;
    pthread_mutex_unlock (&load->handing);
    return true;
}

void *load_builder (void *argument)
{
    struct load *load = argument;
    struct maitre *handle = load_handle ();
    while (handle != NULL && !atomic_load (&load->stop)) {
        bool busy = false;
        for (uint32_t l = 0; l < load->lanes_count; l++)
            for (uint32_t w = 0; w < load->workloads_count; w++)
                busy = fill (load, handle, &load->lanes[l], load->order[w]) || busy;
        if (!busy)
            nanosleep (&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    maitre_destroy (&handle);
    return NULL;
}
