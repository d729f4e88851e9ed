/* Reservations: plain C structs to and from the schema's.
 */
#include "client/src/client.h"

static void items_in (const struct maitre_item *items, size_t count, struct reserve_item *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (struct reserve_item){.offer = client_id_in (&items[i].offer),
            .first = items[i].first,
            .has_count = items[i].count > 1,
            .count = items[i].count,
            .has_quantity = items[i].quantity > 1,
            .quantity = items[i].quantity};
}

static void item_out (const struct reserve_item *item, struct maitre_item *out)
{
    *out = (struct maitre_item){.offer = client_id_out (&item->offer),
        .first = (uint32_t) item->first,
        .count = item->has_count ? (uint32_t) item->count : 1,
        .quantity = item->has_quantity ? (uint32_t) item->quantity : 1};
}

static enum maitre_status too_many (struct maitre *client)
{
    return (enum maitre_status) client_error (&client->error, STATUS_INVALID_ARGUMENT, "BAD_REQUEST",
        "a reservation has 1 to %d items; split it", MAITRE_ITEMS_MAX);
}

static void result_out (const struct reserve_reply *in, bool replayed, struct maitre_reserved *out)
{
    *out = (struct maitre_reserved){.reservation = client_id_out (&in->reservation),
        .state = (enum maitre_reserve_state) in->state,
        .version = in->version,
        .total_minor = in->has_total_minor ? in->total_minor : 0,
        .hold_expires_ms = in->has_hold_expires_ms ? in->hold_expires_ms : 0,
        .fee_minor = in->has_fee_minor ? in->fee_minor : 0,
        .replayed = replayed};
    client_text (out->currency, sizeof out->currency, in->has_currency ? in->currency : bytes_of (NULL, 0));
}

/* A write about reservations whose answer is a reserve_reply. */
static enum maitre_status write_call (struct maitre *client, uint32_t method_number, const void *request,
    const struct maitre_call_options *options, struct maitre_reserved *result)
{
    struct maitre_reply *reply = NULL;
    struct reserve_reply value;
    enum maitre_status status = client_invoke (client, method_number, request, options, &reply, &value);
    if (status == MAITRE_OK && result != NULL)
        result_out (&value, reply->replayed, result);
    maitre_reply_destroy (&reply);
    return status;
}

/* Fills *out, whose items are the caller's. */
static enum maitre_status create_in (struct maitre *client, const struct maitre_reserve *request,
    struct reserve_item items[MAITRE_ITEMS_MAX], struct reserve_create_request *out)
{
    if (request->items_count == 0 || request->items_count > MAITRE_ITEMS_MAX)
        return too_many (client);
    items_in (request->items, request->items_count, items);
    struct maitre_id reservation = maitre_id_is_zero (&request->reservation)
                                       ? maitre_id_beside (client, &request->items[0].offer)
                                       : request->reservation;
    *out = (struct reserve_create_request){.reservation = client_id_in (&reservation),
        .mode = request->mode,
        .items = items,
        .items_count = request->items_count,
        .has_customer = !maitre_id_is_zero (&request->customer),
        .customer = client_id_in (&request->customer),
        .has_hold_ttl_ms = request->hold_ttl_ms != 0,
        .hold_ttl_ms = request->hold_ttl_ms,
        .has_note = request->note.len > 0,
        .note = bytes_of (request->note.data, request->note.len)};
    return MAITRE_OK;
}

enum maitre_status maitre_reserve_create (
    struct maitre *client, const struct maitre_reserve *request, struct maitre_reserved *result)
{
    struct reserve_item items[MAITRE_ITEMS_MAX];
    struct reserve_create_request create;
    struct maitre_call_options options;
    maitre_call_options_init (&options);
    options.request_id = request->request_id;
    enum maitre_status status = create_in (client, request, items, &create);
    return status == MAITRE_OK ? write_call (client, METHOD_NUMBER_RESERVE_CREATE, &create, &options, result) : status;
}

enum maitre_status maitre_reserve_create_start (struct maitre *client, const struct maitre_reserve *request,
    const struct maitre_call_options *options, maitre_reply_fn *answer, void *user, uint64_t *call)
{
    struct reserve_item items[MAITRE_ITEMS_MAX];
    struct reserve_create_request create;
    struct maitre_call_options with_id;
    if (!maitre_id_is_zero (&request->request_id)) {
        maitre_call_options_init (&with_id);
        if (options != NULL)
            with_id = *options;
        with_id.request_id = request->request_id;
        options = &with_id;
    }
    enum maitre_status status = create_in (client, request, items, &create);
    if (status != MAITRE_OK)
        return status;
    return client_invoke_start (client, METHOD_NUMBER_RESERVE_CREATE, &create, options, answer, user, call);
}

enum maitre_status maitre_reserve_result (const struct maitre_reply *reply, struct maitre_reserved *result)
{
    struct reserve_reply value;
    if (reply->status != MAITRE_OK || codec_decode (&reserve_reply_type, bytes_of (reply->body.data, reply->body.len),
                                          CODEC_LENIENT, NULL, &value, NULL) != STATUS_OK)
        return MAITRE_INTERNAL;
    result_out (&value, reply->replayed, result);
    return MAITRE_OK;
}

enum maitre_status maitre_reserve_confirm (struct maitre *client, const struct maitre_id *reservation,
    const struct maitre_item *items, size_t items_count, struct maitre_reserved *result)
{
    struct reserve_item in[MAITRE_ITEMS_MAX];
    struct reserve_confirm_request request = {.reservation = client_id_in (reservation)};
    if (items != NULL) {
        if (items_count == 0 || items_count > MAITRE_ITEMS_MAX)
            return too_many (client);
        items_in (items, items_count, in);
        request.has_items = true;
        request.items = in;
        request.items_count = items_count;
    }
    return write_call (client, METHOD_NUMBER_RESERVE_CONFIRM, &request, NULL, result);
}

enum maitre_status maitre_reserve_release (
    struct maitre *client, const struct maitre_id *reservation, struct maitre_reserved *result)
{
    struct reserve_release_request request = {.reservation = client_id_in (reservation)};
    return write_call (client, METHOD_NUMBER_RESERVE_RELEASE, &request, NULL, result);
}

enum maitre_status maitre_reserve_cancel (
    struct maitre *client, const struct maitre_id *reservation, struct maitre_reserved *result)
{
    struct reserve_cancel_request request = {.reservation = client_id_in (reservation)};
    return write_call (client, METHOD_NUMBER_RESERVE_CANCEL, &request, NULL, result);
}

enum maitre_status maitre_reserve_move (struct maitre *client, const struct maitre_id *reservation,
    const struct maitre_item *items, size_t items_count, struct maitre_reserved *result)
{
    struct reserve_item in[MAITRE_ITEMS_MAX];
    if (items_count == 0 || items_count > MAITRE_ITEMS_MAX)
        return too_many (client);
    items_in (items, items_count, in);
    struct reserve_move_request request = {
        .reservation = client_id_in (reservation), .items = in, .items_count = items_count};
    return write_call (client, METHOD_NUMBER_RESERVE_MOVE, &request, NULL, result);
}

static void reservation_out (const struct reservation *in, struct maitre_reservation *out)
{
    memset (out, 0, sizeof *out);
    out->reservation = client_id_out (&in->reservation);
    out->customer = client_id_out (&in->customer);
    out->actor = client_id_out (&in->actor);
    out->state = (enum maitre_reserve_state) in->state;
    out->version = in->version;
    out->created_ms = in->created_ms;
    out->total_minor = in->total_minor;
    out->fee_minor = in->has_fee_minor ? in->fee_minor : 0;
    out->hold_expires_ms = in->has_hold_expires_ms ? in->hold_expires_ms : 0;
    client_text (out->currency, sizeof out->currency, in->currency);
    /* The codec's bounds are these arrays' bounds. */
    _Static_assert(RESERVATION_ITEMS_COUNT_MAX == MAITRE_ITEMS_MAX && RESERVATION_HISTORY_COUNT_MAX == 16, "bounds");
    for (size_t i = 0; i < in->items_count; i++)
        item_out (&in->items[i], &out->items[out->items_count++]);
    for (size_t i = 0; i < in->history_count; i++)
        out->history[out->history_count++] = (struct maitre_reserve_event){.at_ms = in->history[i].at_ms,
            .state = (enum maitre_reserve_state) in->history[i].state,
            .actor = client_id_out (&in->history[i].actor)};
    if (in->has_note && in->note.len <= sizeof out->note) {
        memcpy (out->note, in->note.data, in->note.len);
        out->note_len = in->note.len;
    }
}

enum maitre_status maitre_reserve_get (
    struct maitre *client, const struct maitre_id *reservation, struct maitre_reservation *result)
{
    struct reserve_get_request request = {.reservation = client_id_in (reservation)};
    struct reserve_get_reply value;
    struct maitre_reply *reply = NULL;
    enum maitre_status status = client_invoke (client, METHOD_NUMBER_RESERVE_GET, &request, NULL, &reply, &value);
    if (status == MAITRE_OK && result != NULL)
        reservation_out (&value.reservation, result);
    maitre_reply_destroy (&reply);
    return status;
}
