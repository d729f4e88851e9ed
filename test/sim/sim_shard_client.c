/* Clients of services mode: they book, confirm, release, cancel, read and repeat, and know what must be true. */
#include "test/sim/sim_shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/generated/catalog.h"
#include "schemas/generated/reserve.h"
#include "schemas/runtime/checksum.h"
#include "schemas/runtime/placement_hash.h"

#define CAPACITY 3
#define BUCKETS 12

enum action { ACT_PROVIDER, ACT_OFFER, ACT_CREATE, ACT_CONFIRM, ACT_RELEASE, ACT_CANCEL, ACT_GET };

/* One reservation as its client knows it. */
struct booking {
    uint32_t shard;
    struct id id;
    struct principal who;
    uint64_t bucket;
    bool book;             /* asked for at once, not held first */
    bool created, refused; /* said so by a reply */
    bool tried[ACT_GET + 1], done[ACT_GET + 1];
};

/* One request under one id; several attempts may carry it. */
struct request {
    enum action action;
    size_t booking; /* index + 1 */
    uint32_t shard;
    struct id id;
    struct principal who;
    uint8_t body[512];
    size_t body_len;
    bool settled; /* a verdict is known */
    enum status verdict;
    uint64_t verdict_hash;
};

struct attempt {
    size_t request;
    bool pending;
    uint64_t replica;
    uint64_t must; /* ACT_GET: states that the reservation may have by what was acknowledged before; 0: no matter */
};

struct founded {
    bool provider, offer;
    uint32_t hash;
    char group[16];
    struct id provider_id, offer_id;
    size_t provider_request, offer_request; /* index + 1 */
};

struct sim_shard_clients {
    uint64_t serial;
    struct founded shards[SIM_SHARDS_MAX];
    struct booking *bookings;
    size_t bookings_count, bookings_size;
    struct request *requests;
    size_t requests_count, requests_size;
    struct attempt *attempts; /* a token is the place + 1 */
    size_t attempts_count, attempts_size;
};

/* ---- what may be true ---- */

static uint64_t bit (uint64_t state)
{
    return UINT64_C (1) << state;
}

/* The states that a reservation may be in, given what was acknowledged; what was only tried may or may not have happened. */
static uint64_t possible (const struct booking *booking)
{
    if (booking->done[ACT_RELEASE])
        return bit (RESERVE_STATE_RELEASED);
    if (booking->done[ACT_CANCEL])
        return bit (RESERVE_STATE_CANCELLED);
    bool confirmed = booking->book || booking->done[ACT_CONFIRM];
    uint64_t states =
        confirmed ? bit (RESERVE_STATE_CONFIRMED) : bit (RESERVE_STATE_HELD) | bit (RESERVE_STATE_EXPIRED);
    if (booking->tried[ACT_CONFIRM])
        states |= bit (RESERVE_STATE_CONFIRMED);
    if (booking->tried[ACT_RELEASE] && !confirmed)
        states |= bit (RESERVE_STATE_RELEASED);
    if (booking->tried[ACT_CANCEL])
        states |= bit (RESERVE_STATE_CANCELLED);
    return states;
}

/* ---- asking ---- */

static struct sim_shard_clients *clients_of (struct sim *sim)
{
    if (sim->shard_clients)
        return sim->shard_clients;
    struct sim_shard_clients *clients = calloc (1, sizeof *clients);
    maitre_assert (clients != NULL);
    sim->shard_clients = clients;
    for (uint32_t shard = 0; shard < sim->shards_count; shard++) {
        struct founded *founded = &clients->shards[shard];
        for (unsigned i = 0; founded->hash == 0; i++) { /* a group that routes to this shard */
            snprintf (founded->group, sizeof founded->group, "group-%u", i);
            uint32_t hash = placement_hash_group (bytes_text (founded->group));
            if (placement_shard (hash, sim->shards_count) == shard + 1)
                founded->hash = hash;
        }
    }
    return clients;
}

static struct id new_id (struct sim *sim, uint32_t shard)
{
    struct sim_shard_clients *clients = clients_of (sim);
    return id_make (sim_shard_wall_ms (sim), clients->shards[shard].hash, ++clients->serial);
}

static struct principal admin (void)
{
    return (struct principal){.id = id_make (1, 1, 1), .kind = PRINCIPAL_KIND_USER, .roles = ROLE_ADMIN};
}

static const struct method *method_of (enum action action)
{
    static const uint32_t numbers[] = {METHOD_NUMBER_CATALOG_PUT_PROVIDER, METHOD_NUMBER_CATALOG_PUT_OFFER,
        METHOD_NUMBER_RESERVE_CREATE, METHOD_NUMBER_RESERVE_CONFIRM, METHOD_NUMBER_RESERVE_RELEASE,
        METHOD_NUMBER_RESERVE_CANCEL, METHOD_NUMBER_RESERVE_GET};
    return method_by_number (numbers[action]);
}

static size_t new_request (
    struct sim *sim, enum action action, uint32_t shard, size_t booking, const struct principal *who, const void *value)
{
    struct sim_shard_clients *clients = clients_of (sim);
    sim_grow (&clients->requests, &clients->requests_size, clients->requests_count, sizeof *clients->requests);
    struct request *request = &clients->requests[clients->requests_count++];
    memset (request, 0, sizeof *request);
    request->action = action;
    request->shard = shard;
    request->booking = booking;
    request->who = *who;
    if (action != ACT_GET)
        request->id = new_id (sim, shard);
    enum status status =
        codec_encode (method_of (action)->request, value, request->body, sizeof request->body, &request->body_len);
    maitre_assert (status == STATUS_OK);
    return clients->requests_count;
}

static size_t found_provider (struct sim *sim, uint32_t shard)
{
    struct founded *founded = &clients_of (sim)->shards[shard];
    struct principal who = admin ();
    founded->provider_id = new_id (sim, shard);
    struct put_provider_request value = {
        .provider = founded->provider_id,
        .kind = PROVIDER_KIND_HOTEL,
        .name = BYTES_LITERAL ("The Grand"),
        .has_group = true,
        .group = bytes_text (founded->group),
    };
    return new_request (sim, ACT_PROVIDER, shard, 0, &who, &value);
}

static size_t found_offer (struct sim *sim, uint32_t shard)
{
    struct founded *founded = &clients_of (sim)->shards[shard];
    struct principal who = admin ();
    founded->offer_id = new_id (sim, shard);
    struct put_offer_request value = {
        .offer = founded->offer_id,
        .provider = founded->provider_id,
        .kind = OFFER_KIND_ROOM,
        .name = BYTES_LITERAL ("Room"),
        .price_minor = 500,
        .currency = BYTES_LITERAL ("GBP"),
        .last_bucket = BUCKETS - 1,
        .capacity = CAPACITY,
    };
    return new_request (sim, ACT_OFFER, shard, 0, &who, &value);
}

static size_t create (struct sim *sim, uint32_t shard)
{
    struct sim_shard_clients *clients = clients_of (sim);
    sim_grow (&clients->bookings, &clients->bookings_size, clients->bookings_count, sizeof *clients->bookings);
    struct booking *booking = &clients->bookings[clients->bookings_count++];
    *booking = (struct booking){
        .shard = shard, .id = new_id (sim, shard), .bucket = sim_below (sim, BUCKETS), .book = sim_chance (sim, 2)};
    booking->who = (struct principal){
        .id = id_make (1, 1, 100 + sim_below (sim, 5)), .kind = PRINCIPAL_KIND_USER, .roles = ROLE_CUSTOMER};
    struct reserve_item item = {.offer = clients->shards[shard].offer_id, .first = booking->bucket};
    struct reserve_create_request value = {
        .reservation = booking->id,
        .mode = booking->book ? RESERVE_MODE_BOOK : RESERVE_MODE_HOLD,
        .items = &item,
        .items_count = 1,
        .has_hold_ttl_ms = !booking->book,
        .hold_ttl_ms = sim_between (sim, 1000, 4000),
    };
    booking->tried[ACT_CREATE] = true;
    return new_request (sim, ACT_CREATE, shard, clients->bookings_count, &booking->who, &value);
}

static size_t act_on (struct sim *sim, size_t place)
{
    struct booking *booking = &clients_of (sim)->bookings[place - 1];
    enum action action = (enum action) sim_between (sim, ACT_CONFIRM, ACT_GET);
    if (!booking->created)
        action = ACT_GET;
    booking->tried[action] = true;
    struct reserve_confirm_request confirm = {.reservation = booking->id};
    struct reserve_release_request release = {.reservation = booking->id};
    struct reserve_cancel_request cancel = {.reservation = booking->id};
    struct reserve_get_request get = {.reservation = booking->id};
    const void *values[] = {&confirm, &release, &cancel, &get};
    return new_request (sim, action, booking->shard, place, &booking->who, values[action - ACT_CONFIRM]);
}

/* What a client does next: found the shard, repeat something whose outcome is not known, book, or go on with a booking. */
static size_t choose (struct sim *sim, uint32_t shard)
{
    struct sim_shard_clients *clients = clients_of (sim);
    struct founded *founded = &clients->shards[shard];
    if (!founded->provider)
        return founded->provider_request ? founded->provider_request
                                         : (founded->provider_request = found_provider (sim, shard));
    if (!founded->offer)
        return founded->offer_request ? founded->offer_request : (founded->offer_request = found_offer (sim, shard));
    if (sim_chance (sim, 5)) {
        size_t again = 1 + sim_below (sim, clients->requests_count);
        if (clients->requests[again - 1].shard == shard && clients->requests[again - 1].action >= ACT_CREATE &&
            clients->requests[again - 1].action != ACT_GET)
            return again;
    }
    if (clients->bookings_count > 0 && !sim_chance (sim, 3)) {
        size_t recent = clients->bookings_count < 40 ? clients->bookings_count : 40;
        size_t place = clients->bookings_count - sim_below (sim, recent);
        if (clients->bookings[place - 1].shard == shard)
            return act_on (sim, place);
    }
    return create (sim, shard);
}

void sim_shard_ask (struct sim *sim, uint64_t client)
{
    struct sim_shard_clients *clients = clients_of (sim);
    uint32_t shard = (uint32_t) sim_below (sim, sim->shards_count);
    struct sim_replica *replica = sim_find_leader (sim, shard);
    sim_queue_push (&sim->queue, (struct sim_happening){
                                     .time_us = sim->time_us + sim_between (sim, 2000, 60 * 1000),
                                     .kind = SIM_CLIENT,
                                     .value = client,
                                 });
    if (!replica)
        return;
    size_t place = choose (sim, shard);
    const struct request *request = &clients->requests[place - 1];
    sim_grow (&clients->attempts, &clients->attempts_size, clients->attempts_count, sizeof *clients->attempts);
    struct attempt *attempt = &clients->attempts[clients->attempts_count++];
    *attempt = (struct attempt){.request = place, .pending = true, .replica = replica->replica};
    if (request->action == ACT_GET && clients->bookings[request->booking - 1].created)
        attempt->must = possible (&clients->bookings[request->booking - 1]);
    sim_node_input (sim, replica, RAFT_PROPOSE)->op = clients->attempts_count;
}

void sim_shard_call (struct sim *sim, struct sim_replica *replica, uint64_t token)
{
    struct sim_shard_clients *clients = clients_of (sim);
    struct request *request = &clients->requests[clients->attempts[token - 1].request - 1];
    struct shard_event event = {
        .type = SHARD_EVENT_CALL,
        .now_ms = sim_node_now_ms (sim, replica->node),
        .wall_median_ms = sim_shard_wall_ms (sim),
        .call = {.token = token,
            .method = method_of (request->action),
            .principal = request->who,
            .request_id = request->id,
            .body = bytes_of (request->body, request->body_len)},
    };
    shard_step (replica->shard_core->core, &event);
}

void sim_shard_lost (struct sim *sim, uint64_t token)
{
    if (token == 0)
        return;
    clients_of (sim)->attempts[token - 1].pending = false;
    sim->oracle.counts.unknown++;
}

/* ---- replies ---- */

/* Refusals of the domain: they are recorded under the request id, and stand. */
static bool final (const struct shard_reply *reply)
{
    if (reply->maybe_applied)
        return false;
    enum status status = reply->reply.status;
    return status == STATUS_OK || status == STATUS_NOT_FOUND || status == STATUS_ALREADY_EXISTS ||
           status == STATUS_FAILED_PRECONDITION || status == STATUS_PERMISSION_DENIED;
}

static uint64_t state_in (struct sim *sim, const struct services_reply *reply)
{
    static uint64_t memory[8192];
    struct reserve_get_reply value;
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    if (codec_decode (&reserve_get_reply_type, reply->body, CODEC_STRICT, &arena, &value, NULL) != STATUS_OK)
        sim_fail (sim, "a reply to reserve.Get does not decode");
    return value.reservation.state;
}

static void check_read (
    struct sim *sim, const struct attempt *attempt, const struct booking *booking, const struct services_reply *reply)
{
    if (attempt->must == 0) {
        if (reply->status == STATUS_OK && booking->refused)
            sim_fail (sim, "shard %u: a refused reservation is there", booking->shard);
        return;
    }
    if (reply->status != STATUS_OK)
        sim_fail (
            sim, "shard %u: an acknowledged reservation is gone: %s", booking->shard, status_name (reply->status));
    /* What was tried meanwhile may have happened, too. */
    uint64_t state = state_in (sim, reply), now = attempt->must | possible (booking);
    if (booking->done[ACT_CONFIRM] || booking->book)
        now |= bit (RESERVE_STATE_CONFIRMED);
    bool fits = (now & bit (state)) != 0;
    if (!fits)
        sim_fail (sim, "shard %u: a reservation is in state %lu, which contradicts what was acknowledged (%lx)",
            booking->shard, (unsigned long) state, (unsigned long) now);
}

static void settle (struct sim *sim, struct request *request, const struct shard_reply *reply)
{
    struct sim_shard_clients *clients = clients_of (sim);
    const struct services_reply *answer = &reply->reply;
    uint64_t hash = checksum64 ((uint64_t) answer->status, answer->body);
    if (request->settled) {
        sim->oracle.counts.repeated++;
        if (request->verdict != answer->status || request->verdict_hash != hash)
            sim_fail (sim, "shard %u: one request, two verdicts: %s and %s", request->shard,
                status_name (request->verdict), status_name (answer->status));
        return;
    }
    request->settled = true;
    request->verdict = answer->status;
    request->verdict_hash = hash;
    bool ok = answer->status == STATUS_OK;
    if (request->action == ACT_PROVIDER)
        clients->shards[request->shard].provider = ok;
    if (request->action == ACT_OFFER)
        clients->shards[request->shard].offer = ok;
    if (request->action <= ACT_OFFER && !ok)
        sim_fail (
            sim, "shard %u cannot be founded: %s %s", request->shard, status_name (answer->status), answer->reason);
    if (request->booking == 0)
        return;
    struct booking *booking = &clients->bookings[request->booking - 1];
    booking->done[request->action] = booking->done[request->action] || ok;
    if (request->action == ACT_CREATE) {
        booking->created = ok;
        booking->refused = !ok;
    }
}

void sim_shard_reply (struct sim *sim, const struct sim_replica *replica, const struct shard_reply *reply)
{
    struct sim_shard_clients *clients = clients_of (sim);
    if (reply->token == 0 || reply->token > clients->attempts_count)
        sim_fail (sim, "an answer to a call that nobody made");
    struct attempt *attempt = &clients->attempts[reply->token - 1];
    struct request *request = &clients->requests[attempt->request - 1];
    if (!attempt->pending || attempt->replica != replica->replica)
        sim_fail (sim, "shard %u: call %lu is answered twice", replica->shard, (unsigned long) reply->token);
    attempt->pending = false;
    sim_trace (sim, "%u.%u answers %lu: %s%s", replica->node->index, replica->shard, (unsigned long) reply->token,
        status_name (reply->reply.status), reply->maybe_applied ? ", perhaps applied" : "");
    if (!final (reply)) {
        *(reply->maybe_applied ? &sim->oracle.counts.unknown : &sim->oracle.counts.refused) += 1;
        return;
    }
    if (request->action == ACT_GET) {
        sim->oracle.counts.reads++;
        check_read (sim, attempt, &clients->bookings[request->booking - 1], &reply->reply);
        return;
    }
    sim->oracle.counts.writes++;
    struct sim_group *group = &sim->oracle.groups[request->shard];
    if (group->committed_count > group->completed_index)
        group->completed_index = group->committed_count;
    settle (sim, request, reply);
}

/* ---- in the end ---- */

void sim_shard_final (struct sim *sim, struct sim_replica *replica)
{
    static uint64_t memory[SERVICES_ARENA_BYTES_MIN / 8 + 1024];
    struct sim_shard_clients *clients = clients_of (sim);
    struct services_config services = sim_shard_services (sim, replica->shard);
    struct state state = state_map_state (&replica->shard_core->map);
    struct arena arena;
    char drift[200];
    struct sim_replica *leader = sim_find_leader (sim, replica->shard);
    if (!leader || raft_configuration_find (raft_configuration (leader->raft), replica->replica) == NULL ||
        replica->machine.applied != leader->machine.applied)
        return; /* it was removed, or is cut off: it need not know everything */
    if (!services_check (&services, &state, drift, sizeof drift))
        sim_fail (sim, "shard %u replica %lu: %s", replica->shard, (unsigned long) replica->replica, drift);
    for (size_t i = 0; i < clients->bookings_count; i++) {
        const struct booking *booking = &clients->bookings[i];
        if (booking->shard != replica->shard || (!booking->created && !booking->refused))
            continue;
        struct reserve_get_request get = {.reservation = booking->id};
        struct services_reply reply;
        struct principal who = admin ();
        uint8_t body[64];
        size_t len;
        enum status status = codec_encode (&reserve_get_request_type, &get, body, sizeof body, &len);
        maitre_assert (status == STATUS_OK);
        arena_init (&arena, memory, sizeof memory);
        services_read (&services, &state, method_of (ACT_GET), &who, bytes_of (body, len), services_log_time (&state),
            &arena, &reply);
        if (booking->created != (reply.status == STATUS_OK))
            sim_fail (sim, "shard %u: in the end a reservation that was %s is %s", booking->shard,
                booking->created ? "acknowledged" : "refused", status_name (reply.status));
        if (booking->created && !(possible (booking) & bit (state_in (sim, &reply))))
            sim_fail (sim, "shard %u: in the end a reservation contradicts what was acknowledged", booking->shard);
    }
}

void sim_shard_clients_close (struct sim *sim)
{
    struct sim_shard_clients *clients = sim->shard_clients;
    if (!clients)
        return;
    free (clients->bookings);
    free (clients->requests);
    free (clients->attempts);
    free (clients);
    sim->shard_clients = NULL;
}
