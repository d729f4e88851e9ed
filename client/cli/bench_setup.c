/* The world that a bench runs in: fresh providers and offers each time, so that every slot is free.
 */
#include <stdlib.h>
#include <time.h>

#include "client/cli/bench.h"

#define SETUP_WINDOW 128
#define SETUP_LAST_BUCKET 4000000000u /* more slots than any run can book */

/* Many independent calls, some at a time; the first failure ends it. */
struct setup {
    struct bench *bench;
    struct maitre *client;
    uint32_t next, done, total;
    enum maitre_status (*start) (struct setup *setup, uint32_t index);
    int code;
};

static void fill (struct setup *setup);

static void answer (struct maitre *client, uint64_t call, const struct maitre_reply *reply, void *user)
{
    (void) client;
    (void) call;
    struct setup *setup = user;
    setup->done++;
    if (reply->status != MAITRE_OK && setup->code == CLI_OK)
        setup->code = cli_failed_reply (setup->bench->cli, reply);
    fill (setup);
}

static void fill (struct setup *setup)
{
    while (setup->code == CLI_OK && setup->next < setup->total && setup->next - setup->done < SETUP_WINDOW) {
        enum maitre_status status = setup->start (setup, setup->next);
        if (status != MAITRE_OK)
            setup->code = cli_failed (setup->bench->cli, maitre_error (setup->client));
        else
            setup->next++;
    }
}

static int run (struct bench *bench, struct maitre *client, uint32_t total,
    enum maitre_status (*start) (struct setup *setup, uint32_t index))
{
    struct setup setup = {.bench = bench, .client = client, .total = total, .start = start};
    fill (&setup);
    while (setup.done < setup.next)
        maitre_process (client, 1000);
    return setup.code;
}

static struct id provider_of (const struct bench *bench, uint32_t index)
{
    struct id id = bench->offers[index];
    id.b[15] ^= 1; /* the offer's id with the last bit turned: placed alike */
    return id;
}

static struct bytes group_of (const struct bench *bench, uint32_t index, char text[64])
{
    if (bench->workload != BENCH_PAIR)
        return bytes_of (NULL, 0);
    struct id first = bench->customers[0];
    snprintf (text, 64, "bench-%08x-%u", (unsigned) bytes_get_u32 (first.b + 12), index % bench->groups);
    return bytes_text (text);
}

static enum maitre_status put_provider (struct setup *setup, uint32_t index)
{
    char name[64], group[64];
    snprintf (name, sizeof name, "bench %u", index);
    struct put_provider_request request = {.provider = provider_of (setup->bench, index),
        .kind =
            setup->bench->workload == BENCH_PAIR && index >= BENCH_PAIR_SIDE ? PROVIDER_KIND_BAND : PROVIDER_KIND_HOTEL,
        .name = bytes_text (name),
        .group = group_of (setup->bench, index, group)};
    request.has_group = request.group.len > 0;
    return cli_start (setup->client, METHOD_NUMBER_CATALOG_PUT_PROVIDER, &request, NULL, answer, setup);
}

static enum maitre_status put_offer (struct setup *setup, uint32_t index)
{
    bool race = setup->bench->workload == BENCH_RACE, pair = setup->bench->workload == BENCH_PAIR;
    struct put_offer_request request = {.offer = setup->bench->offers[index],
        .provider = provider_of (setup->bench, index),
        .kind = OFFER_KIND_SLOT,
        .name = BYTES_LITERAL ("slot"),
        .price_minor = 1000,
        .currency = BYTES_LITERAL ("GBP"),
        .last_bucket = race ? BENCH_RACE_SLOTS - 1 : SETUP_LAST_BUCKET,
        .capacity = 1,
        .has_policy = pair,
        .policy = {.has_customer_limit = pair, .customer_limit = 2}};
    return cli_start (setup->client, METHOD_NUMBER_CATALOG_PUT_OFFER, &request, NULL, answer, setup);
}

static enum maitre_status book (struct setup *setup, uint32_t index)
{
    struct bench *bench = setup->bench;
    struct maitre_id offer = cli_id_out (&bench->offers[index % BENCH_RESOURCES]);
    struct maitre_id reservation = maitre_id_beside (setup->client, &offer);
    uint8_t note[BENCH_VALUE_MAX];
    memset (note, 'x', sizeof note);
    struct maitre_item item = {.offer = offer, .first = index / BENCH_RESOURCES};
    struct maitre_reserve request = {.reservation = reservation,
        .mode = MAITRE_BOOK,
        .items = &item,
        .items_count = 1,
        .customer = cli_id_out (&bench->customers[index % BENCH_CUSTOMERS]),
        .note = {note, bench->value_bytes}};
    bench->reservations[index] = cli_id_in (&reservation);
    return maitre_reserve_create_start (setup->client, &request, NULL, answer, setup, NULL);
}

static void make_ids (struct bench *bench, struct maitre *client)
{
    for (uint32_t i = 0; i < BENCH_CUSTOMERS; i++) {
        struct maitre_id customer = maitre_id_random (client);
        bench->customers[i] = cli_id_in (&customer);
    }
    for (uint32_t i = 0; i < BENCH_RESOURCES; i++) {
        char text[64];
        struct bytes group = group_of (bench, i, text);
        struct maitre_id provider = maitre_id_provider (client, group.len > 0 ? text : NULL);
        bench->offers[i] = cli_id_in (&provider);
        bench->offers[i].b[15] ^= 1;
    }
}

int bench_setup (struct bench *bench, struct maitre *client)
{
    uint32_t resources = bench->workload == BENCH_RACE ? 1 : BENCH_RESOURCES;
    make_ids (bench, client);
    int code = run (bench, client, resources, put_provider);
    if (code == CLI_OK)
        code = run (bench, client, resources, put_offer);
    if (code == CLI_OK && bench->workload == BENCH_READ) {
        bench->reservations = calloc (BENCH_READ_SET, sizeof *bench->reservations);
        if (bench->reservations == NULL)
            return cli_complain (CLI_FAILED, "no memory");
        code = run (bench, client, BENCH_READ_SET, book);
    }
    return code;
}
