/* A restaurant: a menu, then orders from an event loop that could watch other things as well.
 *
 *   cc restaurant.c $(pkg-config --cflags --libs maitre) -o restaurant
 *   MAITRE_CLUSTER=.../cluster.client MAITRE_TOKEN=... ./restaurant
 */
#include <maitre.h>
#include <poll.h>
#include <stdlib.h>

static struct maitre *client;
static int seated, refused;

static void check (enum maitre_status status, const char *what)
{
    if (status == MAITRE_OK)
        return;
    const struct maitre_error *error = maitre_error (client);
    fprintf (stderr, "%s: %s %s: %s\n", what, maitre_status_name (status), error->reason, error->message);
    exit (1);
}

static struct maitre_id put_offer (struct maitre_id provider, enum maitre_offer_kind kind, const char *name,
    uint64_t pence, uint32_t last_bucket, uint32_t capacity)
{
    struct maitre_offer offer = {.offer = maitre_id_beside (client, &provider),
        .provider = provider,
        .kind = kind,
        .name = name,
        .price_minor = pence,
        .currency = "GBP",
        .last_bucket = last_bucket,
        .capacity = capacity};
    check (maitre_put_offer (client, &offer, NULL), name);
    return offer.offer;
}

static void on_table (struct maitre *handle, uint64_t call, const struct maitre_reply *reply, void *user)
{
    (void) handle, (void) call, (void) user;
    if (reply->status == MAITRE_OK)
        seated++;
    else if (!reply->maybe_applied)
        refused++;
}

int main (void)
{
    struct maitre_error error;
    if (maitre_new (NULL, &client, &error) != MAITRE_OK) {
        fprintf (stderr, "%s\n", error.message);
        return 1;
    }
    struct maitre_provider restaurant = {
        .provider = maitre_id_provider (client, NULL), .kind = MAITRE_RESTAURANT, .name = "Chez Maitre"};
    check (maitre_put_provider (client, &restaurant, NULL), restaurant.name);
    struct maitre_id tables = put_offer (restaurant.provider, MAITRE_TABLE, "table at seven", 0, 0, 8);
    struct maitre_id soup = put_offer (restaurant.provider, MAITRE_DISH, "onion soup", 650, 0, 40);

    /* Ten parties want the eight tables at once. */
    struct maitre_item item = {.offer = tables};
    struct maitre_reserve table = {.mode = MAITRE_BOOK, .items = &item, .items_count = 1};
    for (int i = 0; i < 10; i++) {
        table.customer = maitre_id_random (client);
        check (maitre_reserve_create_start (client, &table, NULL, on_table, NULL, NULL), "asking for a table");
    }
    while (maitre_outstanding (client) > 0) {
        struct pollfd events[] = {{.fd = maitre_fd (client), .events = POLLIN}}; /* and sockets of your own */
        poll (events, 1, -1);
        maitre_process (client, 0);
    }
    printf ("%d parties have a table, %d do not\n", seated, refused);

    struct maitre_line lines[] = {{.offer = soup, .quantity = 2, .has_unit_price = true, .unit_price_minor = 650}};
    struct maitre_order_request request = {.provider = restaurant.provider, .lines = lines, .lines_count = 1};
    struct maitre_ordered order;
    check (maitre_order_place (client, &request, &order), "ordering");
    printf ("two soups: %.2f %s\n", (double) order.total_minor / 100, order.currency);
    static const enum maitre_order_event events[] = {MAITRE_ACCEPT, MAITRE_PREPARE, MAITRE_READY, MAITRE_COLLECT};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        check (maitre_order_advance (client, &order.order, events[i], 0, &order), "serving");
    printf ("served: %s\n", order.state == MAITRE_ORDER_COLLECTED ? "yes" : "no");
    maitre_destroy (&client);
    return 0;
}
