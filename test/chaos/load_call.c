/* A call as a line of the history, and as a request.
 */
#include "schemas/runtime/assert.h"
#include "test/chaos/load.h"

#define BODY_MAX 8192

bool load_is_write (enum history_f f)
{
    return history_is_write (f);
}

/* ---- the line */

static void put_id (struct history_text *line, const char *key, const struct id *id)
{
    char text[ID_TEXT_LEN + 1];
    id_format (id, text);
    history_put_text (line, key, text);
}

static void put_items (struct load *load, struct history_text *line, const struct load_call *call)
{
    char name[LOAD_NAME_MAX + 16];
    history_put_raw (line, ",\"items\":[");
    for (uint32_t i = 0; i < call->items_count; i++) {
        const struct load_item *item = &call->items[i];
        load_name_of (&load->names, &item->offer, name);
        history_put_raw (line, "%s[\"%s\",%u", i > 0 ? "," : "", name, item->bucket);
        if (call->f == HISTORY_CHECK || call->f == HISTORY_STOCK)
            history_put_raw (line, "]");
        else
            history_put_raw (line, ",%u,%u]", item->count, item->quantity);
    }
    history_put_raw (line, "]");
}

static void put_arguments (struct load *load, struct history_text *line, const struct load_call *call)
{
    char name[LOAD_NAME_MAX + 16];
    bool order = call->f == HISTORY_ORDER || call->f == HISTORY_ADVANCE || (call->f == HISTORY_READ && call->of_order);
    if (load_is_write (call->f))
        put_id (line, "id", &call->request);
    if (!id_is_zero (&call->entity))
        put_id (line, order ? "order" : "res", &call->entity);
    if (call->f == HISTORY_BOOK)
        history_put_text (line, "mode", call->mode == RESERVE_MODE_HOLD ? "hold" : "book");
    if (!id_is_zero (&call->customer)) {
        load_name_of (&load->names, &call->customer, name);
        history_put_text (line, "cust", name);
    }
    if (call->items_count > 0)
        put_items (load, line, call);
    if (call->note != 0)
        history_put_u64 (line, "note", call->note);
    if (call->f == HISTORY_ADVANCE)
        history_put_text (line, "event", history_event_name (call->event));
    if (call->expect != 0)
        history_put_u64 (line, "expect", call->expect);
    if (call->f == HISTORY_STOCK)
        history_put_u64 (line, "capacity", call->capacity);
    if (call->f == HISTORY_OUTCOME)
        put_id (line, "of", &call->of);
    if (call->node != 0)
        history_put_u64 (line, "pinned", call->node);
    if (call->final)
        history_put_bool (line, "final", true);
}

static void write_invoke (struct load_client *client, const struct load_call *call)
{
    struct load *load = client->lane->load;
    struct history_text *line = &client->lane->line;
    history_text_clear (line);
    history_put_u64 (line, "c", client->number);
    history_put_u64 (line, "op", client->op);
    history_put_text (line, "type", "invoke");
    history_put_text (line, "w", call->final ? "final" : load_workload_names[call->workload]);
    history_put_text (line, "f", history_f_name (call->f));
    put_arguments (load, line, call);
    history_write (&load->writer, line);
}

/* ---- the request */

struct request {
    union {
        struct reserve_create_request create;
        struct reserve_confirm_request confirm;
        struct reserve_release_request release;
        struct reserve_cancel_request cancel;
        struct reserve_move_request move;
        struct reserve_get_request get;
        struct reserve_list_request list;
        struct avail_check_request check;
        struct order_place_request place;
        struct order_advance_request advance;
        struct order_get_request get_order;
        struct adjust_capacity_request adjust;
        struct outcome_request outcome;
    };
    union {
        struct reserve_item items[LOAD_CALL_ITEMS];
        struct avail_query queries[LOAD_CALL_ITEMS];
        struct order_line lines[LOAD_CALL_ITEMS];
    };
    char note[8];
};

static void set_items (const struct load_call *call, struct request *request)
{
    for (uint32_t i = 0; i < call->items_count; i++)
        request->items[i] = (struct reserve_item){.offer = call->items[i].offer,
            .first = call->items[i].bucket,
            .has_count = true,
            .count = call->items[i].count,
            .has_quantity = true,
            .quantity = call->items[i].quantity};
}

static uint32_t make_create (const struct load_call *call, struct request *request)
{
    set_items (call, request);
    snprintf (request->note, sizeof request->note, "%u", call->note);
    request->create = (struct reserve_create_request){.reservation = call->entity,
        .mode = call->mode,
        .items = request->items,
        .items_count = call->items_count,
        .has_customer = true,
        .customer = call->customer,
        .has_note = call->note != 0,
        .note = bytes_text (request->note)};
    return METHOD_NUMBER_RESERVE_CREATE;
}

static uint32_t make_check (const struct load_call *call, struct request *request)
{
    for (uint32_t i = 0; i < call->items_count; i++)
        request->queries[i] = (struct avail_query){.offer = call->items[i].offer, .first = call->items[i].bucket};
    request->check = (struct avail_check_request){.queries = request->queries, .queries_count = call->items_count};
    return METHOD_NUMBER_AVAIL_CHECK;
}

static uint32_t make_place (const struct load_call *call, struct request *request)
{
    for (uint32_t i = 0; i < call->items_count; i++)
        request->lines[i] = (struct order_line){.offer = call->items[i].offer,
            .quantity = call->items[i].quantity,
            .has_bucket = true,
            .bucket = call->items[i].bucket};
    request->place = (struct order_place_request){.order = call->entity,
        .provider = call->items[0].provider,
        .lines = request->lines,
        .lines_count = call->items_count,
        .has_customer = true,
        .customer = call->customer};
    return METHOD_NUMBER_ORDER_PLACE;
}

static uint32_t make_request (const struct load_call *call, struct request *request)
{
    switch (call->f) {
    case HISTORY_BOOK:
        return make_create (call, request);
    case HISTORY_CONFIRM:
        request->confirm = (struct reserve_confirm_request){.reservation = call->entity};
        return METHOD_NUMBER_RESERVE_CONFIRM;
    case HISTORY_RELEASE:
        request->release = (struct reserve_release_request){.reservation = call->entity};
        return METHOD_NUMBER_RESERVE_RELEASE;
    case HISTORY_CANCEL:
        request->cancel = (struct reserve_cancel_request){.reservation = call->entity};
        return METHOD_NUMBER_RESERVE_CANCEL;
    case HISTORY_MOVE:
        set_items (call, request);
        request->move = (struct reserve_move_request){
            .reservation = call->entity, .items = request->items, .items_count = call->items_count};
        return METHOD_NUMBER_RESERVE_MOVE;
    case HISTORY_READ:
        if (call->of_order) {
            request->get_order = (struct order_get_request){.order = call->entity};
            return METHOD_NUMBER_ORDER_GET;
        }
        request->get = (struct reserve_get_request){.reservation = call->entity};
        return METHOD_NUMBER_RESERVE_GET;
    case HISTORY_CHECK:
        return make_check (call, request);
    case HISTORY_LIST:
        request->list = (struct reserve_list_request){
            .has_customer = true, .customer = call->customer, .has_page_size = true, .page_size = 1000};
        return METHOD_NUMBER_RESERVE_LIST;
    case HISTORY_ORDER:
        return make_place (call, request);
    case HISTORY_ADVANCE:
        request->advance = (struct order_advance_request){
            .order = call->entity, .event = call->event, .has_version = call->expect != 0, .version = call->expect};
        return METHOD_NUMBER_ORDER_ADVANCE;
    case HISTORY_STOCK:
        request->adjust = (struct adjust_capacity_request){.offer = call->items[0].offer,
            .capacity = call->capacity,
            .has_first = true,
            .first = call->items[0].bucket,
            .has_count = true,
            .count = 1};
        return METHOD_NUMBER_CATALOG_ADJUST_CAPACITY;
    case HISTORY_OUTCOME:
    default:
        request->outcome = (struct outcome_request){.request_id = call->of};
        return METHOD_NUMBER_CALL_OUTCOME;
    }
}

static void could_not_start (struct load_client *client)
{
    const struct maitre_error *error = maitre_error (client->handle);
    struct maitre_reply reply = {
        .status = error->status, .reason = error->reason, .message = error->message, .request_id = error->request_id};
    load_answered (client->handle, 0, &reply, client);
}

void load_start (struct load_client *client, const struct load_call *call)
{
    struct maitre_call_options options;
    struct request request = {0};
    uint8_t body[BODY_MAX];
    size_t len = 0;
    const struct method *method = method_by_number (make_request (call, &request));
    maitre_call_options_init (&options);
    options.deadline_ms = call->deadline_ms;
    options.node = call->node;
    if (load_is_write (call->f))
        options.request_id = load_id_out (&call->request);
    enum status status = codec_encode (method->request, &request, body, sizeof body, &len);
    maitre_assert (status == STATUS_OK);
    client->call = *call;
    client->busy = true;
    client->op = atomic_fetch_add (&client->lane->load->ops, 1);
    write_invoke (client, call);
    if (maitre_start (client->handle, method->name, (struct maitre_bytes){body, len}, &options, load_answered, client,
            NULL) != MAITRE_OK)
        could_not_start (client);
}
