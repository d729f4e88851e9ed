/* One closed-loop client: its next request, and what it makes of the answer.
 */
#include <stdlib.h>

#include "client/cli/bench.h"

static void answer (struct maitre *handle, uint64_t call, const struct maitre_reply *reply, void *user);

static uint64_t draw (struct bench_client *client, uint64_t bound)
{
    uint64_t z = (client->random += UINT64_C (0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C (0x94d049bb133111eb);
    return (z ^ (z >> 31)) % bound;
}

static void set_item (struct bench_client *client, uint32_t resource, uint64_t slot)
{
    client->items[client->items_count++] =
        (struct reserve_item){.offer = client->lane->bench->offers[resource], .first = slot};
}

/* Hotel and band number n of a matching, so that no slot is asked for twice. */
static void set_pair (struct bench_client *client)
{
    const struct bench *bench = client->lane->bench;
    uint64_t slot = client->number / BENCH_PAIR_SIDE;
    uint32_t hotel = (uint32_t) (client->number % BENCH_PAIR_SIDE), groups = bench->groups;
    uint32_t band =
        (uint32_t) ((hotel / groups * 7 + slot * 13) % (BENCH_PAIR_SIDE / groups)) * groups + hotel % groups;
    set_item (client, hotel, slot);
    set_item (client, BENCH_PAIR_SIDE + band, slot);
}

static enum maitre_status start_read (struct bench_client *client)
{
    const struct bench *bench = client->lane->bench;
    struct reserve_get_request request = {.reservation = bench->reservations[draw (client, BENCH_READ_SET)]};
    return cli_start (client->lane->client, METHOD_NUMBER_RESERVE_GET, &request, NULL, answer, client);
}

static enum maitre_status start_booking (struct bench_client *client)
{
    struct bench *bench = client->lane->bench;
    static const uint8_t value[BENCH_VALUE_MAX] = {0};
    client->items_count = 0;
    uint64_t customer;
    if (bench->workload == BENCH_RACE) {
        set_item (client, 0, client->slot);
        customer = (uint64_t) (client - client->lane->clients) % BENCH_CUSTOMERS;
    } else {
        client->number = atomic_fetch_add_explicit (&bench->sequence, 1, memory_order_relaxed);
        if (bench->workload == BENCH_PAIR)
            set_pair (client);
        else
            set_item (client, (uint32_t) (client->number % BENCH_RESOURCES), client->number / BENCH_RESOURCES);
        customer = bench->workload == BENCH_PAIR ? draw (client, BENCH_CUSTOMERS) : client->number % BENCH_CUSTOMERS;
    }
    struct maitre_id offer = cli_id_out (&client->items[0].offer);
    struct maitre_id reservation = maitre_id_beside (client->lane->client, &offer);
    client->reservation = cli_id_in (&reservation);
    struct reserve_create_request request = {.reservation = client->reservation,
        .mode = RESERVE_MODE_BOOK,
        .items = client->items,
        .items_count = client->items_count,
        .has_customer = true,
        .customer = bench->customers[customer],
        .has_note = bench->value_bytes > 0,
        .note = bytes_of (value, bench->value_bytes)};
    return cli_start (client->lane->client, METHOD_NUMBER_RESERVE_CREATE, &request, NULL, answer, client);
}

void bench_next (struct bench_client *client)
{
    struct bench *bench = client->lane->bench;
    if (atomic_load_explicit (&bench->stop, memory_order_relaxed) ||
        (bench->workload == BENCH_RACE && client->slot >= BENCH_RACE_SLOTS))
        return;
    client->started_ns = bench_now_ns ();
    enum maitre_status status = bench->workload == BENCH_READ ? start_read (client) : start_booking (client);
    if (status != MAITRE_OK) {
        client->lane->errors++;
        if (client->lane->first_error[0] == '\0')
            snprintf (client->lane->first_error, sizeof client->lane->first_error, "%s",
                maitre_error (client->lane->client)->message);
    }
}

static void add_latency (struct bench_lane *lane, uint64_t ns)
{
    if (lane->latency_count == lane->latency_room) {
        size_t room = lane->latency_room == 0 ? 65536 : lane->latency_room * 2;
        uint32_t *larger = realloc (lane->latencies_us, room * sizeof *larger);
        if (larger == NULL)
            return;
        lane->latencies_us = larger;
        lane->latency_room = room;
    }
    lane->latencies_us[lane->latency_count++] = ns / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t) (ns / 1000);
}

/* Where a racer tries next. Blind, it knows only what it tried. Otherwise a refusal names the earliest free slot, to all
 * who were refused at once: so each goes on at a random step from there, at most as many as there are racers. */
static void move_on (struct bench_client *client, const struct maitre_reply *reply)
{
    const struct bench *bench = client->lane->bench;
    if (bench->blind) {
        client->slot++;
        return;
    }
    if (reply->status != MAITRE_OK) {
        client->earliest = reply->refusal.has_earliest_free ? reply->refusal.earliest_free : BENCH_RACE_SLOTS;
        if (client->earliest >= BENCH_RACE_SLOTS) { /* a refusal that names no free slot: there is none */
            client->slot = BENCH_RACE_SLOTS;
            return;
        }
    }
    if (reply->status == MAITRE_OK && client->slot == client->earliest && ++client->earliest == BENCH_RACE_SLOTS) {
        client->slot = BENCH_RACE_SLOTS;
        return;
    }
    uint32_t left = BENCH_RACE_SLOTS - client->earliest;
    client->slot = client->earliest + (uint32_t) draw (client, left < bench->clients ? left : bench->clients);
}

static bool is_refusal (const struct maitre_reply *reply)
{
    return !reply->maybe_applied &&
           (reply->status == MAITRE_FAILED_PRECONDITION || reply->status == MAITRE_OUT_OF_RANGE);
}

static void note_error (struct bench_lane *lane, const struct maitre_reply *reply)
{
    lane->errors++;
    lane->unknown += reply->maybe_applied ? 1 : 0;
    if (lane->first_error[0] == '\0')
        snprintf (lane->first_error, sizeof lane->first_error, "%s %s: %s", maitre_status_name (reply->status),
            reply->reason, reply->message);
}

static void answer (struct maitre *handle, uint64_t call, const struct maitre_reply *reply, void *user)
{
    (void) handle;
    (void) call;
    struct bench_client *client = user;
    struct bench_lane *lane = client->lane;
    struct bench *bench = lane->bench;
    uint64_t now_ns = bench_now_ns ();
    bool refused = is_refusal (reply), fine = reply->status == MAITRE_OK;
    bool counted = now_ns >= bench->begin_ns && now_ns < bench->end_ns;

    if (fine && bench->log != NULL && bench->workload != BENCH_READ)
        bench_log (bench, client);
    if (!fine && !refused) {
        note_error (lane, reply);
    } else {
        uint64_t last = client->answered_ns > bench->begin_ns ? client->answered_ns : bench->begin_ns;
        if (counted && now_ns - last > client->gap_ns)
            client->gap_ns = now_ns - last;
        client->answered_ns = now_ns;
        lane->attempts += counted ? 1 : 0;
        lane->refused += counted && refused ? 1 : 0;
        if (counted && fine) {
            lane->ops++;
            add_latency (lane, now_ns - client->started_ns);
        }
    }
    if (bench->workload == BENCH_RACE) {
        if (fine && atomic_fetch_add (&bench->taken, 1) + 1 == BENCH_RACE_SLOTS) {
            atomic_store (&bench->race_done_ns, now_ns);
            atomic_store (&bench->stop, true);
        }
        if (fine || refused)
            move_on (client, reply);
    }
    bench_next (client);
}
