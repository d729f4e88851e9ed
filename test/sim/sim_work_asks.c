/* What a client does next: found the shard, repeat what it does not know the outcome of, book, order, or go on with one of its
 * things. */
#include "test/sim/sim_work.h"

#include <string.h>

#include "schemas/generated/auth.h"
#include "schemas/generated/catalog.h"
#include "schemas/generated/cluster.h"
#include "schemas/generated/order.h"
#include "schemas/generated/reserve.h"

struct id work_new_id (struct sim *sim, uint32_t shard)
{
    struct sim_work *work = work_of (sim);
    uint64_t time_ms = sim_shard_wall_ms (sim);
    for (uint32_t n = 1; work->shards[shard].slow_clock && n <= sim->nodes_count; n++)
        if (sim_engine_wall_ms (sim, &sim->nodes[n]) < time_ms)
            time_ms = sim_engine_wall_ms (sim, &sim->nodes[n]);
    if (work->shards[shard].slow_clock && sim->oracle.groups[shard].log_time_ms != 0)
        time_ms = sim->oracle.groups[shard].log_time_ms;
    return id_make (time_ms, work->shards[shard].hash, ++work->serial);
}

/* ---- founding ---- */

static size_t found_provider (struct sim *sim, uint32_t shard)
{
    struct work_shard *self = &work_of (sim)->shards[shard];
    struct principal who = work_admin ();
    self->provider_id = work_new_id (sim, shard);
    struct put_provider_request value = {
        .provider = self->provider_id,
        .kind = PROVIDER_KIND_HOTEL,
        .name = BYTES_LITERAL ("The Grand"),
        .has_group = true,
        .group = bytes_text (self->group),
    };
    return work_request_new (sim, WORK_PROVIDER, shard, 0, &who, &value);
}

static size_t found_offer (struct sim *sim, uint32_t shard, bool dish)
{
    struct work_shard *self = &work_of (sim)->shards[shard];
    struct principal who = work_admin ();
    struct id id = work_new_id (sim, shard);
    *(dish ? &self->dish_id : &self->offer_id) = id;
    struct put_offer_request value = {
        .offer = id,
        .provider = self->provider_id,
        .kind = dish ? OFFER_KIND_DISH : OFFER_KIND_ROOM,
        .name = BYTES_LITERAL ("Offer"),
        .price_minor = 500,
        .currency = BYTES_LITERAL ("GBP"),
        .last_bucket = dish ? 0 : WORK_BUCKETS - 1,
        .capacity = dish ? WORK_STOCK : WORK_CAPACITY,
        .has_policy = !dish,
        .policy = {.has_customer_limit = true, .customer_limit = WORK_LIMIT},
    };
    return work_request_new (sim, dish ? WORK_DISH : WORK_OFFER, shard, 0, &who, &value);
}

/* ---- new things ---- */

static struct work_thing *new_thing (struct sim *sim, enum work_kind kind, uint32_t shard)
{
    struct sim_work *work = work_of (sim);
    sim_grow (&work->things, &work->things_size, work->things_count, sizeof *work->things);
    struct work_thing *thing = &work->things[work->things_count++];
    *thing = (struct work_thing){.kind = kind, .shard = shard, .id = work_new_id (sim, shard)};
    thing->customer = sim_below (sim, WORK_CUSTOMERS);
    thing->who = (struct principal){
        .id = id_make (1, 1, 100 + thing->customer), .kind = PRINCIPAL_KIND_USER, .roles = ROLE_CUSTOMER};
    return thing;
}

static size_t book (struct sim *sim, uint32_t shard)
{
    struct sim_work *work = work_of (sim);
    struct work_thing *thing = new_thing (sim, WORK_BOOKING, shard);
    thing->bucket = sim_below (sim, WORK_BUCKETS);
    thing->quantity = 1;
    thing->book = sim_chance (sim, 2);
    thing->ttl_ms = sim_between (sim, 1000, 4000);
    /* Some want two slots or none: the clients watch the first, the recount in the end both. */
    struct id offer = work->shards[shard].offer_id;
    struct reserve_item items[2] = {
        {.offer = offer, .first = thing->bucket}, {.offer = offer, .first = (thing->bucket + 5) % WORK_BUCKETS}};
    struct reserve_create_request value = {
        .reservation = thing->id,
        .mode = thing->book ? RESERVE_MODE_BOOK : RESERVE_MODE_HOLD,
        .items = items,
        .items_count = sim_chance (sim, 5) ? 2 : 1,
        .has_hold_ttl_ms = !thing->book,
        .hold_ttl_ms = thing->ttl_ms,
    };
    return work_request_new (sim, WORK_CREATE, shard, work->things_count, &thing->who, &value);
}

static size_t order (struct sim *sim, uint32_t shard)
{
    struct sim_work *work = work_of (sim);
    struct work_thing *thing = new_thing (sim, WORK_ORDER, shard);
    thing->quantity = sim_between (sim, 1, 5);
    struct order_line line = {.offer = work->shards[shard].dish_id, .quantity = thing->quantity};
    struct order_place_request value = {
        .order = thing->id, .provider = work->shards[shard].provider_id, .lines = &line, .lines_count = 1};
    return work_request_new (sim, WORK_PLACE, shard, work->things_count, &thing->who, &value);
}

static size_t make_key (struct sim *sim)
{
    struct work_thing *thing = new_thing (sim, WORK_API_KEY, 0);
    thing->who = work_admin ();
    struct create_api_key_request value = {.key = thing->id, .name = BYTES_LITERAL ("machine"), .roles = ROLE_ADMIN};
    return work_request_new (sim, WORK_KEY, 0, work_of (sim)->things_count, &thing->who, &value);
}

/* ---- with a thing that is there ---- */

static size_t act_on_booking (struct sim *sim, struct work_thing *thing, size_t place)
{
    enum work_act action = (enum work_act) sim_between (sim, WORK_CONFIRM, WORK_GET);
    if (!thing->created || (action == WORK_MOVE && thing->moving))
        action = WORK_GET;
    struct reserve_confirm_request confirm = {.reservation = thing->id};
    struct reserve_release_request release = {.reservation = thing->id};
    struct reserve_cancel_request cancel = {.reservation = thing->id};
    struct reserve_get_request get = {.reservation = thing->id};
    struct reserve_item item = {.offer = work_of (sim)->shards[thing->shard].offer_id};
    struct reserve_move_request move = {.reservation = thing->id, .items = &item, .items_count = 1};
    if (action == WORK_MOVE) {
        work_unsure (sim, thing);
        thing->target = item.first = sim_below (sim, WORK_BUCKETS);
        thing->moving = true;
        thing->moves++;
        work_learnt (sim, thing);
    }
    const void *values[] = {&confirm, &release, &cancel, &move, &get};
    return work_request_new (sim, action, thing->shard, place, &thing->who, values[action - WORK_CONFIRM]);
}

static size_t act_on_order (struct sim *sim, struct work_thing *thing, size_t place)
{
    enum work_act action = (enum work_act) sim_between (sim, WORK_ACCEPT, WORK_ORDER_GET);
    struct order_get_request get = {.order = thing->id};
    if (!thing->created || action == WORK_ORDER_GET)
        return work_request_new (sim, WORK_ORDER_GET, thing->shard, place, &thing->who, &get);
    static const uint64_t events[] = {ORDER_EVENT_KIND_ACCEPT, ORDER_EVENT_KIND_DECLINE, ORDER_EVENT_KIND_CANCEL};
    struct order_advance_request value = {.order = thing->id, .event = events[action - WORK_ACCEPT]};
    struct principal who = work_admin ();
    return work_request_new (sim, action, thing->shard, place, &who, &value);
}

static size_t act_on (struct sim *sim, size_t place)
{
    struct work_thing *thing = &work_of (sim)->things[place - 1];
    struct revoke_api_key_request revoke = {.key = thing->id};
    switch (thing->kind) {
    case WORK_BOOKING:
        return act_on_booking (sim, thing, place);
    case WORK_ORDER:
        return act_on_order (sim, thing, place);
    case WORK_API_KEY:
        return work_request_new (sim, WORK_REVOKE, 0, place, &thing->who, &revoke);
    }
    sim_fail (sim, "a thing of no kind");
}

static size_t check_slot (struct sim *sim, uint32_t shard)
{
    struct principal who = work_admin ();
    struct avail_query query = {.offer = work_of (sim)->shards[shard].offer_id, .first = sim_below (sim, WORK_BUCKETS)};
    struct avail_check_request value = {.queries = &query, .queries_count = 1};
    return work_request_new (sim, WORK_CHECK, shard, 0, &who, &value);
}

/* A request of this shard whose outcome may or may not be known; 0: none was found. */
static size_t some_request (struct sim *sim, uint32_t shard)
{
    struct sim_work *work = work_of (sim);
    if (work->requests_count == 0)
        return 0;
    size_t place = 1 + sim_below (sim, work->requests_count);
    const struct work_request *request = &work->requests[place - 1];
    bool fits = request->shard == shard && request->act >= WORK_CREATE && !id_is_zero (&request->id) &&
                request->act != WORK_OUTCOME;
    return fits ? place : 0;
}

static size_t ask_outcome (struct sim *sim, size_t about)
{
    struct work_request asked = work_of (sim)->requests[about - 1];
    struct outcome_request value = {.request_id = asked.id};
    size_t place = work_request_new (sim, WORK_OUTCOME, asked.shard, 0, &asked.who, &value);
    work_of (sim)->requests[place - 1].about = about;
    return place;
}

static size_t some_thing (struct sim *sim, uint32_t shard)
{
    struct sim_work *work = work_of (sim);
    if (work->things_count == 0)
        return 0;
    size_t recent = work->things_count < 40 ? work->things_count : 40;
    size_t place = work->things_count - sim_below (sim, recent);
    return work->things[place - 1].shard == shard ? place : 0;
}

size_t work_choose (struct sim *sim, uint32_t shard)
{
    struct work_shard *self = &work_of (sim)->shards[shard];
    if (shard == 0) {
        size_t place = some_request (sim, shard), thing = some_thing (sim, shard);
        if (place != 0 && sim_chance (sim, 2))
            return place;
        return thing != 0 && sim_chance (sim, 2) ? act_on (sim, thing) : make_key (sim);
    }
    if (!self->provider)
        return self->provider_request ? self->provider_request : (self->provider_request = found_provider (sim, shard));
    if (!self->offer)
        return self->offer_request ? self->offer_request : (self->offer_request = found_offer (sim, shard, false));
    if (!self->dish)
        return self->dish_request ? self->dish_request : (self->dish_request = found_offer (sim, shard, true));
    if (sim_chance (sim, 5)) {
        size_t again = some_request (sim, shard);
        if (again != 0)
            return sim_chance (sim, 6) ? ask_outcome (sim, again) : again;
    }
    if (sim_chance (sim, 16)) {
        size_t page = work_list_ask (sim);
        if (page != 0)
            return page;
    }
    if (sim_chance (sim, 12))
        return check_slot (sim, shard);
    if (!sim_chance (sim, 3)) {
        size_t thing = some_thing (sim, shard);
        if (thing != 0)
            return act_on (sim, thing);
    }
    return sim_chance (sim, 3) ? order (sim, shard) : book (sim, shard);
}

/* ---- the same id, another body ---- */

bool work_change_body (struct sim *sim, const struct work_request *request, uint8_t *body, size_t size, size_t *len)
{
    static uint64_t memory[1024];
    const struct codec_type *type = work_method (request->act)->request;
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    void *value = arena_alloc (&arena, type->size);
    bool decodes = codec_decode (type, bytes_of (request->body, request->body_len), CODEC_STRICT, &arena, value,
                       NULL) == STATUS_OK;
    maitre_assert (decodes);
    if (request->act == WORK_CREATE)
        ((struct reserve_create_request *) value)->items[0].first =
            (((struct reserve_create_request *) value)->items[0].first + 1) % WORK_BUCKETS;
    else if (request->act == WORK_PLACE)
        ((struct order_place_request *) value)->lines[0].quantity++;
    else if (request->act == WORK_MOVE)
        ((struct reserve_move_request *) value)->items[0].first =
            (((struct reserve_move_request *) value)->items[0].first + 1) % WORK_BUCKETS;
    else
        return false;
    enum status status = codec_encode (type, value, body, size, len);
    if (status != STATUS_OK)
        sim_fail (sim, "a changed body does not encode");
    return true;
}
