/* A wedding: a hall and a band on the same day, both or neither.
 *
 *   cc wedding.c $(pkg-config --cflags --libs maitre) -o wedding
 *   MAITRE_CLUSTER=.../cluster.client MAITRE_TOKEN=... ./wedding
 */
#include <maitre.h>
#include <stdlib.h>

static struct maitre *client;

static void check (enum maitre_status status, const char *what)
{
    if (status == MAITRE_OK)
        return;
    const struct maitre_error *error = maitre_error (client);
    fprintf (stderr, "%s: %s %s: %s\n", what, maitre_status_name (status), error->reason, error->message);
    exit (1);
}

/* A provider of the placement group "wedding" with one offer, bookable once a day. */
static struct maitre_id put (const char *name, enum maitre_provider_kind kind, enum maitre_offer_kind what)
{
    struct maitre_provider provider = {
        .provider = maitre_id_provider (client, "wedding"), .kind = kind, .name = name, .group = "wedding"};
    check (maitre_put_provider (client, &provider, NULL), name);
    struct maitre_offer offer = {.offer = maitre_id_beside (client, &provider.provider),
        .provider = provider.provider,
        .kind = what,
        .name = name,
        .price_minor = 250000,
        .currency = "GBP",
        .bucket_kind = MAITRE_BUCKET_NIGHT,
        .first_bucket = 20000, /* days since 1970 */
        .last_bucket = 20364,
        .capacity = 1};
    check (maitre_put_offer (client, &offer, NULL), name);
    return offer.offer;
}

int main (void)
{
    struct maitre_error error;
    if (maitre_new (NULL, &client, &error) != MAITRE_OK) {
        fprintf (stderr, "%s\n", error.message);
        return 1;
    }
    const struct maitre_id both[] = {
        put ("The Grand", MAITRE_CONFERENCE_HALL, MAITRE_HALL), put ("The Quartet", MAITRE_BAND, MAITRE_BAND_SLOT)};

    bool found;
    uint32_t day;
    check (maitre_find_common (client, both, 2, 20100, 1, 1, &found, &day), "looking for a day");
    if (!found) {
        puts ("there is no day on which both are free");
        return 1;
    }

    /* Hold both at once. Who is too late learns which day is free now. */
    struct maitre_item items[] = {{.offer = both[0], .first = day}, {.offer = both[1], .first = day}};
    struct maitre_reserve hold = {.mode = MAITRE_HOLD, .items = items, .items_count = 2, .hold_ttl_ms = 60000};
    struct maitre_reserved reserved;
    enum maitre_status status;
    while ((status = maitre_reserve_create (client, &hold, &reserved)) == MAITRE_FAILED_PRECONDITION &&
           maitre_error (client)->refusal.has_earliest_free)
        items[0].first = items[1].first = maitre_error (client)->refusal.earliest_free;
    check (status, "holding");
    printf ("held day %u for both, %.2f %s\n", items[0].first, (double) reserved.total_minor / 100, reserved.currency);

    check (maitre_reserve_confirm (client, &reserved.reservation, NULL, 0, &reserved), "confirming");
    char id[MAITRE_ID_TEXT_SIZE];
    maitre_id_format (&reserved.reservation, id);
    printf ("confirmed: %s\n", id);
    maitre_destroy (&client);
    return 0;
}
