/* Lines to operations. Strict: what is no history is refused with the number of its line.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/history_reading.h"

bool reading_wrong (struct reading *in, const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (in->history->error, sizeof in->history->error, format, arguments);
    va_end (arguments);
    in->history->error_line = in->history->lines;
    return false;
}

void *reading_grown (void *array, size_t *room, size_t count, size_t size)
{
    if (count < *room)
        return array;
    *room = *room == 0 ? 1024 : *room * 2;
    array = realloc (array, *room * size);
    maitre_assert (array != NULL);
    return array;
}

bool reading_need_u64 (struct reading *in, const char *key, uint64_t max, uint64_t *value)
{
    if (json_u64 (json_find (&in->line, key), value) && *value <= max)
        return true;
    return reading_wrong (in, "\"%s\" is missing or no number of at most %llu", key, (unsigned long long) max);
}

bool reading_may_u64 (struct reading *in, const char *key, uint64_t *value)
{
    return json_u64 (json_find (&in->line, key), value);
}

bool reading_need_text (struct reading *in, const char *key, struct bytes *text)
{
    *text = bytes_of (NULL, 0);
    const struct json_field *field = json_find (&in->line, key);
    if (field == NULL || field->kind != JSON_STRING || field->text.len == 0)
        return reading_wrong (in, "\"%s\" is missing or no text", key);
    *text = field->text;
    return true;
}

bool reading_need_name (struct reading *in, const char *key, struct history_names *names, uint32_t *number)
{
    struct bytes text;
    if (!reading_need_text (in, key, &text))
        return false;
    *number = history_name (names, text);
    return true;
}

bool reading_is (struct bytes text, const char *word)
{
    return bytes_equal (text, bytes_text (word));
}

bool reading_has_true (const struct reading *in, const char *key)
{
    const struct json_field *field = json_find (&in->line, key);
    return field != NULL && field->kind == JSON_TRUE;
}

/* ---- items */

uint32_t reading_offer (struct history *history, struct bytes name)
{
    uint32_t before = history->offer_names.count, number = history_name (&history->offer_names, name);
    if (number == before) {
        history->offers = realloc (history->offers, (number + 1) * sizeof *history->offers);
        maitre_assert (history->offers != NULL);
        history->offers[number] = (struct history_offer){0};
    }
    return number;
}

static bool read_item (struct reading *in, struct bytes text, struct history_item *item)
{
    struct json_cursor cursor;
    struct json_field part;
    uint64_t numbers[3] = {0, 1, 1};
    json_open (&cursor, text);
    if (!json_next (&cursor, &part) || part.kind != JSON_STRING)
        return reading_wrong (in, "an item is [\"offer\", bucket, buckets, units]");
    item->offer = reading_offer (in->history, part.text);
    size_t count = 0;
    for (; json_next (&cursor, &part); count++)
        if (count == 3 || !json_u64 (&part, &numbers[count]) || numbers[count] > UINT32_MAX)
            return reading_wrong (in, "an item is [\"offer\", bucket, buckets, units]");
    if (count == 0 || numbers[1] == 0 || numbers[1] > 366 || numbers[2] == 0)
        return reading_wrong (in, "an item is [\"offer\", bucket, buckets, units]");
    item->first = (uint32_t) numbers[0];
    item->count = (uint32_t) numbers[1];
    item->quantity = (uint32_t) numbers[2];
    return true;
}

/* Equal lists share one place. */
bool reading_items (struct reading *in, uint32_t *at, uint32_t *count, uint32_t *basket)
{
    struct history *history = in->history;
    const struct json_field *field = json_find (&in->line, "items");
    struct history_item items[HISTORY_ITEMS_MAX * 4];
    struct json_cursor cursor;
    struct json_field element;
    uint32_t n = 0;
    memset (items, 0, sizeof items);
    if (field == NULL || field->kind != JSON_ARRAY)
        return reading_wrong (in, "\"items\" is missing or no array");
    for (json_open (&cursor, field->text); json_next (&cursor, &element); n++)
        if (n == HISTORY_ITEMS_MAX * 4 || element.kind != JSON_ARRAY || !read_item (in, element.text, &items[n]))
            return history->error[0] != '\0' ? false : reading_wrong (in, "bad \"items\"");
    if (n == 0)
        return reading_wrong (in, "\"items\" is empty");
    uint32_t before = history->baskets.count;
    *basket = history_name (&history->baskets, bytes_of (items, n * sizeof items[0]));
    if (*basket == before) {
        history->basket_at = reading_grown (history->basket_at, &history->basket_room, before, sizeof (uint32_t));
        history->basket_at[before] = (uint32_t) history->items_count;
        for (uint32_t i = 0; i < n; i++) {
            history->items =
                reading_grown (history->items, &history->items_room, history->items_count, sizeof items[0]);
            history->items[history->items_count++] = items[i];
        }
    }
    *at = history->basket_at[*basket];
    *count = n;
    return true;
}

/* ---- invocations */

static void note_id (struct history *history, uint32_t id)
{
    while (history->id_first_count <= id) {
        history->id_first =
            reading_grown (history->id_first, &history->id_first_room, history->id_first_count, sizeof (uint32_t));
        history->id_first[history->id_first_count++] = 0;
    }
    if (history->id_first[id] == 0)
        history->id_first[id] = (uint32_t) history->ops_count;
}

static bool read_f (struct reading *in, uint8_t *f)
{
    struct bytes text;
    if (!reading_need_text (in, "f", &text))
        return false;
    for (unsigned i = 0; i < HISTORY_F_COUNT; i++) {
        if (reading_is (text, history_f_name ((enum history_f) i))) {
            *f = (uint8_t) i;
            return true;
        }
    }
    return reading_wrong (in, "there is no such \"f\"");
}

static bool read_entity (struct reading *in, struct history_op *op)
{
    const char *key = op->f == HISTORY_ORDER || op->f == HISTORY_ADVANCE ? "order" : "res";
    if (op->f == HISTORY_READ && json_find (&in->line, "order") != NULL)
        key = "order";
    op->of_order = strcmp (key, "order") == 0;
    return reading_need_name (in, key, &in->history->entities, &op->entity);
}

static bool read_mode (struct reading *in, struct history_op *op)
{
    struct bytes text;
    if (!reading_need_text (in, "mode", &text))
        return false;
    op->mode = reading_is (text, "hold") ? 1 : reading_is (text, "book") ? 2 : 0;
    return op->mode != 0 || reading_wrong (in, "\"mode\" is hold or book");
}

static bool read_event (struct reading *in, struct history_op *op)
{
    struct bytes text;
    uint64_t expect = 0;
    if (!reading_need_text (in, "event", &text))
        return false;
    for (uint8_t i = 1; history_event_name (i) != NULL; i++)
        if (reading_is (text, history_event_name (i)))
            op->event = i;
    if (op->event == 0)
        return reading_wrong (in, "there is no such \"event\"");
    if (json_find (&in->line, "expect") != NULL && !reading_need_u64 (in, "expect", UINT32_MAX, &expect))
        return false;
    op->expect = (uint32_t) expect;
    return true;
}

static bool read_arguments (struct reading *in, struct history_op *op)
{
    struct history *history = in->history;
    uint64_t capacity = 0;
    bool items = op->f == HISTORY_BOOK || op->f == HISTORY_MOVE || op->f == HISTORY_CHECK || op->f == HISTORY_ORDER ||
                 op->f == HISTORY_STOCK;
    bool entity =
        op->f <= HISTORY_READ || op->f == HISTORY_ORDER || op->f == HISTORY_ADVANCE; /* book to move, and read */
    if (history_is_write (op->f) && !reading_need_name (in, "id", &history->ids, &op->id))
        return false;
    if (entity && !read_entity (in, op))
        return false;
    if (items && !reading_items (in, &op->items, &op->items_count, &op->basket))
        return false;
    if ((op->f == HISTORY_BOOK || op->f == HISTORY_ORDER || op->f == HISTORY_LIST) &&
        !reading_need_name (in, "cust", &history->customers, &op->customer))
        return false;
    if (op->f == HISTORY_BOOK && !read_mode (in, op))
        return false;
    if (op->f == HISTORY_ADVANCE && !read_event (in, op))
        return false;
    if (op->f == HISTORY_STOCK && !reading_need_u64 (in, "capacity", UINT32_MAX, &capacity))
        return false;
    op->capacity = (uint32_t) capacity;
    return op->f != HISTORY_OUTCOME || reading_need_name (in, "of", &history->ids, &op->of);
}

static void name_body (struct reading *in, struct history_op *op)
{
    uint64_t note = 0;
    reading_may_u64 (in, "note", &note);
    uint32_t body[10] = {op->f, op->mode, op->event, op->entity, op->customer, op->basket, op->expect, op->capacity,
        op->of, (uint32_t) note};
    op->body = history_name (&in->history->bodies, bytes_of (body, sizeof body));
}

size_t *reading_open (struct reading *in, uint32_t client)
{
    if (client >= in->open_count) {
        uint32_t count = client + 1 + in->open_count;
        in->open = realloc (in->open, count * sizeof *in->open);
        maitre_assert (in->open != NULL);
        memset (in->open + in->open_count, 0, (count - in->open_count) * sizeof *in->open);
        in->open_count = count;
    }
    return &in->open[client];
}

static bool read_invoke (struct reading *in, uint64_t now_ns)
{
    struct history *history = in->history;
    struct history_op op = {.line = history->lines,
        .begin_ns = now_ns,
        .end_ns = HISTORY_NEVER,
        .end = HISTORY_UNKNOWN,
        .entity = HISTORY_NONE,
        .customer = HISTORY_NONE,
        .id = HISTORY_NONE,
        .of = HISTORY_NONE,
        .basket = HISTORY_NONE,
        .seen_basket = HISTORY_NONE,
        .seen_by = HISTORY_NONE};
    uint64_t client = 0;
    if (!reading_need_u64 (in, "c", READING_CLIENTS_MAX - 1, &client) ||
        !reading_need_u64 (in, "op", UINT64_MAX >> 1, &op.number) || !read_f (in, &op.f) || !read_arguments (in, &op))
        return false;
    op.client = (uint32_t) client;
    op.final = reading_has_true (in, "final");
    if (history_is_write (op.f))
        name_body (in, &op);
    size_t *open = reading_open (in, op.client);
    if (*open != 0)
        return reading_wrong (in, "client %u has operation %llu under way", op.client,
            (unsigned long long) history->ops[*open - 1].number);
    history->ops = reading_grown (history->ops, &history->ops_room, history->ops_count, sizeof op);
    history->ops[history->ops_count++] = op;
    if (op.id != HISTORY_NONE)
        note_id (history, op.id);
    *open = history->ops_count;
    return true;
}

/* ---- info */

static void copy_id (struct reading *in, const char *key, char out[33])
{
    const struct json_field *field = json_find (&in->line, key);
    out[0] = '\0';
    if (field != NULL && field->kind == JSON_STRING && field->text.len == 32)
        snprintf (out, 33, "%.32s", (const char *) field->text.data);
}

static bool read_offer (struct reading *in)
{
    struct history *history = in->history;
    struct bytes name;
    uint64_t first, last, capacity, limit = 0, version = 1;
    if (!reading_need_text (in, "offer", &name) || !reading_need_u64 (in, "first", UINT32_MAX, &first) ||
        !reading_need_u64 (in, "last", UINT32_MAX, &last) || !reading_need_u64 (in, "capacity", UINT32_MAX, &capacity))
        return false;
    reading_may_u64 (in, "limit", &limit);
    reading_may_u64 (in, "version", &version);
    uint32_t number = reading_offer (history, name); /* may move the array */
    struct history_offer *offer = &history->offers[number];
    if (offer->known)
        return reading_wrong (in, "the offer is described twice");
    *offer = (struct history_offer){.first = (uint32_t) first,
        .last = (uint32_t) last,
        .capacity = (uint32_t) capacity,
        .limit = (uint32_t) limit,
        .version = (uint32_t) version,
        .known = true};
    copy_id (in, "id", offer->id);
    copy_id (in, "provider", offer->provider);
    return true;
}

static bool read_customer (struct reading *in)
{
    struct history *history = in->history;
    uint32_t number;
    if (!reading_need_name (in, "cust", &history->customers, &number))
        return false;
    while (history->customer_ids_count <= number) {
        history->customer_ids = reading_grown (history->customer_ids, &history->customer_ids_room,
            history->customer_ids_count, sizeof *history->customer_ids);
        history->customer_ids[history->customer_ids_count++][0] = '\0';
    }
    copy_id (in, "id", history->customer_ids[number]);
    return true;
}

static bool read_run (struct reading *in)
{
    uint64_t version;
    if (!reading_need_u64 (in, "version", UINT32_MAX, &version))
        return false;
    reading_may_u64 (in, "seed", &in->history->seed);
    in->history->begun = true;
    return version == HISTORY_VERSION ||
           reading_wrong (in, "this is version %llu of the format, and this program reads version %d",
               (unsigned long long) version, HISTORY_VERSION);
}

static bool read_info (struct reading *in)
{
    struct bytes f;
    if (!reading_need_text (in, "f", &f))
        return false;
    if (reading_is (f, "offer"))
        return read_offer (in);
    if (reading_is (f, "customer"))
        return read_customer (in);
    if (reading_is (f, "run"))
        return read_run (in);
    if (reading_is (f, "final"))
        in->history->final = true;
    return true;
}

static bool read_line (struct reading *in, struct bytes text)
{
    struct bytes type;
    uint64_t now_ns;
    const char *error = json_read (text, &in->line);
    if (error != NULL)
        return reading_wrong (in, "%s", error);
    if (!reading_need_u64 (in, "t", UINT64_MAX >> 1, &now_ns) || !reading_need_text (in, "type", &type))
        return false;
    if (now_ns < in->last_ns)
        return reading_wrong (in, "\"t\" goes back");
    in->last_ns = now_ns;
    if (reading_is (type, "info"))
        return read_info (in);
    if (reading_is (type, "invoke"))
        return read_invoke (in, now_ns);
    if (reading_is (type, "ok") || reading_is (type, "fail") || reading_is (type, "unknown"))
        return reading_answer (in, type, now_ns);
    return reading_wrong (in, "\"type\" is invoke, ok, fail, unknown or info");
}

static bool check_offers (struct history *history)
{
    for (uint32_t i = 0; i < history->offer_names.count; i++) {
        if (history->offers[i].known)
            continue;
        snprintf (history->error, sizeof history->error, "no info line describes the offer %.60s",
            history->offer_names.texts[i]);
        history->error_line = history->lines;
        return false;
    }
    return true;
}

bool history_read_text (struct history *history, struct bytes text)
{
    struct reading in = {.history = history};
    bool fine = true;
    *history = (struct history){0};
    while (fine && text.len > 0) {
        const uint8_t *end = memchr (text.data, '\n', text.len);
        if (end == NULL) {
            history->torn = true;
            break;
        }
        history->lines++;
        fine = read_line (&in, bytes_of (text.data, (size_t) (end - text.data)));
        text = bytes_of (end + 1, text.len - (size_t) (end + 1 - text.data));
    }
    free (in.open);
    return fine && check_offers (history);
}

bool history_read (struct history *history, const char *path)
{
    FILE *file = strcmp (path, "-") == 0 ? stdin : fopen (path, "r");
    size_t len = 0, room = 1 << 20;
    uint8_t *text = malloc (room);
    *history = (struct history){0};
    maitre_assert (text != NULL);
    if (file == NULL) {
        snprintf (history->error, sizeof history->error, "%s", strerror (errno));
        free (text);
        return false;
    }
    for (size_t n = 1; n > 0; len += n) {
        if (len == room) {
            room *= 2;
            text = realloc (text, room);
            maitre_assert (text != NULL);
        }
        n = fread (text + len, 1, room - len, file);
    }
    bool broken = ferror (file) != 0;
    if (file != stdin)
        fclose (file);
    bool fine = !broken && history_read_text (history, bytes_of (text, len));
    if (broken)
        snprintf (history->error, sizeof history->error, "it cannot be read");
    free (text);
    return fine;
}

void history_close (struct history *history)
{
    free (history->ops);
    free (history->items);
    free (history->rows);
    free (history->offers);
    free (history->basket_at);
    free (history->customer_ids);
    free (history->id_first);
    history_names_close (&history->offer_names);
    history_names_close (&history->customers);
    history_names_close (&history->entities);
    history_names_close (&history->ids);
    history_names_close (&history->baskets);
    history_names_close (&history->bodies);
    *history = (struct history){0};
}
