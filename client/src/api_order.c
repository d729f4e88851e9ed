/* Orders: plain C structs to and from the schema's.
 */
#include "client/src/client.h"

static void result_out (const struct order_reply *in, bool replayed, struct maitre_ordered *out)
{
    *out = (struct maitre_ordered){.order = client_id_out (&in->order),
        .state = (enum maitre_order_state) in->state,
        .version = in->version,
        .total_minor = in->has_total_minor ? in->total_minor : 0,
        .replayed = replayed};
    client_text (out->currency, sizeof out->currency, in->has_currency ? in->currency : bytes_of (NULL, 0));
}

static enum maitre_status write_call (struct maitre *client, uint32_t method_number, const void *request,
    const struct maitre_call_options *options, struct maitre_ordered *result)
{
    struct maitre_reply *reply = NULL;
    struct order_reply value;
    enum maitre_status status = client_invoke (client, method_number, request, options, &reply, &value);
    if (status == MAITRE_OK && result != NULL)
        result_out (&value, reply->replayed, result);
    maitre_reply_destroy (&reply);
    return status;
}

enum maitre_status maitre_order_place (
    struct maitre *client, const struct maitre_order_request *request, struct maitre_ordered *result)
{
    if (request->lines_count == 0 || request->lines_count > MAITRE_LINES_MAX)
        return (enum maitre_status) client_error (&client->error, STATUS_INVALID_ARGUMENT, "BAD_REQUEST",
            "an order has 1 to %d lines; split it", MAITRE_LINES_MAX);
    struct order_line lines[MAITRE_LINES_MAX];
    for (size_t i = 0; i < request->lines_count; i++)
        lines[i] = (struct order_line){.offer = client_id_in (&request->lines[i].offer),
            .quantity = request->lines[i].quantity != 0 ? request->lines[i].quantity : 1,
            .has_unit_price_minor = request->lines[i].has_unit_price,
            .unit_price_minor = request->lines[i].unit_price_minor};
    struct maitre_id order =
        maitre_id_is_zero (&request->order) ? maitre_id_beside (client, &request->provider) : request->order;
    struct order_place_request place = {.order = client_id_in (&order),
        .provider = client_id_in (&request->provider),
        .lines = lines,
        .lines_count = request->lines_count,
        .has_customer = !maitre_id_is_zero (&request->customer),
        .customer = client_id_in (&request->customer),
        .has_address = request->address != NULL,
        .has_note = request->note != NULL};
    if (request->address != NULL)
        place.address = bytes_text (request->address);
    if (request->note != NULL)
        place.note = bytes_text (request->note);
    struct maitre_call_options options;
    maitre_call_options_init (&options);
    options.request_id = request->request_id;
    return write_call (client, METHOD_NUMBER_ORDER_PLACE, &place, &options, result);
}

enum maitre_status maitre_order_advance (struct maitre *client, const struct maitre_id *order,
    enum maitre_order_event event, uint64_t version, struct maitre_ordered *result)
{
    struct order_advance_request request = {
        .order = client_id_in (order), .event = event, .has_version = version != 0, .version = version};
    return write_call (client, METHOD_NUMBER_ORDER_ADVANCE, &request, NULL, result);
}

static void order_out (const struct order *in, struct maitre_order *out)
{
    memset (out, 0, sizeof *out);
    out->order = client_id_out (&in->order);
    out->provider = client_id_out (&in->provider);
    out->customer = client_id_out (&in->customer);
    out->actor = client_id_out (&in->actor);
    if (in->has_courier)
        out->courier = client_id_out (&in->courier);
    out->state = (enum maitre_order_state) in->state;
    out->version = in->version;
    out->created_ms = in->created_ms;
    out->total_minor = in->total_minor;
    client_text (out->currency, sizeof out->currency, in->currency);
    if (in->has_address)
        client_text (out->address, sizeof out->address, in->address);
    if (in->has_note)
        client_text (out->note, sizeof out->note, in->note);
    /* The codec's bounds are these arrays' bounds. */
    _Static_assert(ORDER_LINES_COUNT_MAX == MAITRE_LINES_MAX && ORDER_HISTORY_COUNT_MAX == 24, "bounds");
    for (size_t i = 0; i < in->lines_count; i++)
        out->lines[out->lines_count++] = (struct maitre_line){.offer = client_id_out (&in->lines[i].offer),
            .quantity = (uint32_t) in->lines[i].quantity,
            .has_unit_price = in->lines[i].has_unit_price_minor,
            .unit_price_minor = in->lines[i].unit_price_minor};
    for (size_t i = 0; i < in->history_count; i++) {
        struct maitre_order_history *history = &out->history[out->history_count++];
        history->at_ms = in->history[i].at_ms;
        history->state = (enum maitre_order_state) in->history[i].state;
        history->actor = client_id_out (&in->history[i].actor);
        if (in->history[i].has_note)
            client_text (history->note, sizeof history->note, in->history[i].note);
    }
}

enum maitre_status maitre_order_get (struct maitre *client, const struct maitre_id *order, struct maitre_order *result)
{
    struct order_get_request request = {.order = client_id_in (order)};
    struct order_get_reply value;
    struct maitre_reply *reply = NULL;
    enum maitre_status status = client_invoke (client, METHOD_NUMBER_ORDER_GET, &request, NULL, &reply, &value);
    if (status == MAITRE_OK && result != NULL)
        order_out (&value.order, result);
    maitre_reply_destroy (&reply);
    return status;
}
