/* One restaurant: an offer per item, N portions of each; prices change before the order that shows them.
 *
 * Orders of one provider hold their order: one call at a time.
 */
#include <stdlib.h>

#include "client/cli/replay.h"

#define ORDERS_ITEMS_MAX 4096
#define ORDERS_LINES_MAX 64
#define ORDERS_ITEM_NAME_MAX 100
#define ORDERS_HEADER "order_id,ordered_at,item,quantity,unit_price,district"

struct item {
    char name[ORDERS_ITEM_NAME_MAX];
    struct id offer;
    uint64_t first_price, price, version;
};

struct line {
    uint32_t item, quantity;
    uint64_t price;
    char order_id[24];
};

struct orders {
    struct replay replay;
    struct id provider;
    uint64_t stock;
    struct item *items;
    uint32_t item_count;
    struct line *lines;
    size_t line_count, line_room;
    uint64_t orders, price_changes, placed, refused_sold_out, units_sold, revenue_minor;
};

/* "3.95" or "4" in pence. */
static bool parse_price (const char *text, uint64_t *pence)
{
    char *end;
    unsigned long long whole = strtoull (text, &end, 10);
    uint64_t part = 0;
    if (end == text || text[0] == '-' || whole > 1000000)
        return false;
    if (*end == '.') {
        size_t digits = strspn (end + 1, "0123456789");
        if (digits == 0 || digits > 2 || end[1 + digits] != '\0')
            return false;
        part = strtoull (end + 1, NULL, 10) * (digits == 1 ? 10 : 1);
    } else if (*end != '\0') {
        return false;
    }
    *pence = whole * 100 + part;
    return true;
}

static uint32_t find_item (struct orders *orders, const char *name, uint64_t price)
{
    for (uint32_t i = 0; i < orders->item_count; i++)
        if (strcmp (orders->items[i].name, name) == 0)
            return i;
    if (orders->item_count == ORDERS_ITEMS_MAX || strlen (name) >= ORDERS_ITEM_NAME_MAX || name[0] == '\0')
        return UINT32_MAX;
    struct item *item = &orders->items[orders->item_count];
    snprintf (item->name, sizeof item->name, "%s", name);
    item->first_price = item->price = price;
    return orders->item_count++;
}

static int add_line (struct orders *orders, const struct replay_csv *csv)
{
    uint64_t price;
    char *end;
    unsigned long quantity = strtoul (csv->fields[3], &end, 10);
    if (*end != '\0' || quantity == 0 || quantity > 100000 || !parse_price (csv->fields[4], &price))
        return replay_csv_bad (csv, "the quantity or the price is wrong");
    uint32_t item = find_item (orders, csv->fields[2], price);
    if (item == UINT32_MAX || csv->fields[0][0] == '\0' || strlen (csv->fields[0]) >= sizeof orders->lines->order_id)
        return replay_csv_bad (csv, "too many items, or a name that is empty or too long");
    if (orders->line_count == orders->line_room) {
        size_t room = orders->line_room == 0 ? 4096 : orders->line_room * 2;
        struct line *larger = realloc (orders->lines, room * sizeof *larger);
        if (larger == NULL)
            return cli_complain (CLI_FAILED, "no memory for the lines");
        orders->lines = larger;
        orders->line_room = room;
    }
    struct line *line = &orders->lines[orders->line_count++];
    *line = (struct line){.item = item, .quantity = (uint32_t) quantity, .price = price};
    snprintf (line->order_id, sizeof line->order_id, "%s", csv->fields[0]);
    return CLI_OK;
}

static int load (struct orders *orders, const char *path)
{
    struct replay_csv csv;
    int code = CLI_OK, got;
    orders->items = calloc (ORDERS_ITEMS_MAX, sizeof *orders->items);
    if (orders->items == NULL)
        return cli_complain (CLI_FAILED, "no memory for the items");
    if (!replay_csv_open (&csv, path, ORDERS_HEADER))
        return CLI_USAGE;
    while (code == CLI_OK && (got = replay_csv_next (&csv, 6)) != 0)
        code = got < 0 ? CLI_USAGE : add_line (orders, &csv);
    fclose (csv.file);
    if (code == CLI_OK && orders->line_count == 0)
        code = cli_complain (CLI_USAGE, "%s has no lines", path);
    return code;
}

/* Puts the item at this price, in place of the version that was put last. */
static bool put_item (struct orders *orders, struct item *item, uint64_t price, const char *name)
{
    struct put_offer_request request = {.offer = item->offer,
        .provider = orders->provider,
        .kind = OFFER_KIND_DISH,
        .name = bytes_text (item->name),
        .price_minor = price,
        .currency = BYTES_LITERAL ("GBP"),
        .has_bucket_kind = true,
        .bucket_kind = BUCKET_KIND_POOL,
        .capacity = orders->stock,
        .has_version = item->version != 0,
        .version = item->version};
    struct put_reply reply;
    if (!replay_must (&orders->replay, METHOD_NUMBER_CATALOG_PUT_OFFER, &request, &orders->provider, name, &reply))
        return false;
    item->version = reply.version;
    item->price = price;
    return true;
}

static bool put_menu (struct orders *orders)
{
    char name[REPLAY_NAME_MAX];
    orders->provider = replay_provider_id (&orders->replay, "restaurant");
    for (uint32_t i = 0; i < orders->item_count; i++) {
        struct item *item = &orders->items[i];
        item->offer = replay_id (&orders->replay, &orders->provider, "item/%s", item->name);
        snprintf (name, sizeof name, "item %s", item->name);
        if (!put_item (orders, item, item->first_price, name))
            return false;
    }
    return true;
}

static bool place (struct orders *orders, size_t first, size_t count)
{
    struct replay *replay = &orders->replay;
    struct order_line lines[ORDERS_LINES_MAX];
    char name[REPLAY_NAME_MAX];
    uint64_t units = 0;
    for (size_t i = 0; i < count; i++) {
        const struct line *line = &orders->lines[first + i];
        lines[i] = (struct order_line){.offer = orders->items[line->item].offer,
            .quantity = line->quantity,
            .has_unit_price_minor = true,
            .unit_price_minor = orders->items[line->item].price};
        units += line->quantity;
    }
    struct order_place_request request = {.order = replay_id (replay, &orders->provider, "order/%zu", first),
        .provider = orders->provider,
        .lines = lines,
        .lines_count = count,
        .has_customer = true,
        .customer = replay_id (replay, NULL, "customer/%s", orders->lines[first].order_id)};
    struct replay_answer answer;
    struct order_reply value;
    snprintf (name, sizeof name, "order %s at line %zu", orders->lines[first].order_id, first + 1);
    if (!replay_call (replay, METHOD_NUMBER_ORDER_PLACE, &request, &orders->provider, name, &answer))
        return false;
    if (answer.reply.status == MAITRE_OK &&
        codec_decode (&order_reply_type, bytes_of (answer.body, answer.reply.body.len), CODEC_LENIENT, NULL, &value,
            NULL) == STATUS_OK &&
        value.has_total_minor) {
        orders->placed++;
        orders->units_sold += units;
        orders->revenue_minor += value.total_minor;
    } else if (strcmp (answer.reply.reason, "SOLD_OUT") == 0) {
        orders->refused_sold_out++;
    } else {
        replay_fail (replay, &answer.reply, name);
        return false;
    }
    return true;
}

static bool run (struct orders *orders)
{
    char name[REPLAY_NAME_MAX];
    for (size_t first = 0; first < orders->line_count;) {
        size_t count = 0;
        while (first + count < orders->line_count &&
               strcmp (orders->lines[first].order_id, orders->lines[first + count].order_id) == 0)
            count++;
        if (count > ORDERS_LINES_MAX) {
            orders->replay.code = cli_complain (CLI_USAGE, "order %s has %zu lines, more than %d",
                orders->lines[first].order_id, count, ORDERS_LINES_MAX);
            return false;
        }
        for (size_t i = first; i < first + count; i++) {
            struct item *item = &orders->items[orders->lines[i].item];
            if (item->price == orders->lines[i].price)
                continue;
            snprintf (name, sizeof name, "price of %s at line %zu", item->name, i + 1);
            if (!put_item (orders, item, orders->lines[i].price, name))
                return false;
            orders->price_changes++;
        }
        if (!place (orders, first, count))
            return false;
        orders->orders++;
        first += count;
    }
    return true;
}

static void report (const struct orders *orders)
{
    json_t *object = json_pack ("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:I}", "orders",
        (json_int_t) orders->orders, "lines", (json_int_t) orders->line_count, "items", (json_int_t) orders->item_count,
        "price_changes", (json_int_t) orders->price_changes, "placed", (json_int_t) orders->placed, "refused_sold_out",
        (json_int_t) orders->refused_sold_out, "units_sold", (json_int_t) orders->units_sold, "revenue_minor",
        (json_int_t) orders->revenue_minor, "run_id", orders->replay.run_id, "replayed",
        (json_int_t) orders->replay.replayed);
    if (orders->replay.cli->json) {
        cli_print_json (object);
    } else {
        cli_print_people (object);
        json_decref (object);
    }
}

int replay_orders (struct cli *cli)
{
    bool bad = false;
    struct orders *orders = calloc (1, sizeof *orders);
    if (orders == NULL)
        return cli_complain (CLI_FAILED, "no memory");
    orders->stock = cli_take_number (cli, "--stock", UINT64_MAX, 0, UINT32_MAX, &bad);
    const char *path = bad ? NULL : replay_options (&orders->replay, cli);
    int code = path == NULL ? CLI_USAGE : CLI_OK;
    if (code == CLI_OK && orders->stock == UINT64_MAX)
        code = cli_complain (CLI_USAGE, "replay orders needs --stock N; see maitre replay --help");
    if (code == CLI_OK)
        code = load (orders, path);
    if (code == CLI_OK)
        code = replay_open (&orders->replay, "restaurant", PROVIDER_KIND_RESTAURANT);
    if (code == CLI_OK) {
        orders->replay.total = orders->line_count; /* at most: orders and price changes */
        if (put_menu (orders) && run (orders))
            report (orders);
        code = orders->replay.code;
    }
    replay_close (&orders->replay);
    free (orders->items);
    free (orders->lines);
    free (orders);
    return code;
}
