/* An answer as a line of the history.
 */
#include "schemas/runtime/assert.h"
#include "test/chaos/load.h"

/* Decided by the state machine (or read from it), so that it says something about the state. */
static bool is_decided (enum maitre_status status, const char *reason)
{
    switch (status) {
    case MAITRE_NOT_FOUND:
    case MAITRE_ALREADY_EXISTS:
    case MAITRE_OUT_OF_RANGE:
        return true;
    case MAITRE_FAILED_PRECONDITION:
        return strcmp (reason, "REQUEST_TOO_OLD") != 0;
    case MAITRE_ABORTED:
        return strcmp (reason, "IN_DOUBT") != 0;
    default:
        return false;
    }
}

static void put_state (struct history_text *line, struct load_answer *answer, uint64_t state, uint64_t version)
{
    const char *name = history_state_name (answer->of_order, (unsigned) state);
    answer->state = (unsigned) state;
    answer->version = version;
    history_put_text (line, "state", name != NULL ? name : "?");
    history_put_u64 (line, "version", version);
}

static void put_refusal (struct load *load, struct history_text *line, struct load_answer *answer, const char *reason,
    const struct maitre_refusal *refusal)
{
    char name[LOAD_NAME_MAX + 16];
    history_put_text (line, "reason", reason);
    if (refusal->has_offer) {
        struct id offer = load_id_in (&refusal->offer);
        load_name_of (&load->names, &offer, name);
        history_put_text (line, "offer", name);
    }
    if (refusal->has_bucket)
        history_put_u64 (line, "bucket", refusal->bucket);
    if (refusal->has_available)
        history_put_u64 (line, "available", refusal->available);
    if (refusal->has_state && refusal->has_version)
        put_state (line, answer, refusal->state, refusal->version);
}

/* ---- bodies */

struct answering {
    struct load_client *client;
    struct history_text *line;
    struct load_answer *answer;
    struct arena arena;
};

static bool decode (struct answering *in, const struct codec_type *type, struct bytes body, void *value)
{
    return codec_decode (type, body, CODEC_LENIENT, &in->arena, value, NULL) == STATUS_OK;
}

/* The answer to a write names what it is about. */
static bool is_mine (const struct answering *in, const struct id *id)
{
    const struct load_call *call = &in->client->call;
    return call->f == HISTORY_OUTCOME || id_equal (id, &call->entity);
}

static bool put_written (struct answering *in, enum history_f f, struct bytes body)
{
    if (f == HISTORY_STOCK) {
        struct put_reply reply;
        if (!decode (in, &put_reply_type, body, &reply))
            return false;
        history_put_u64 (in->line, "version", reply.version);
        return true;
    }
    if (f == HISTORY_ORDER || f == HISTORY_ADVANCE) {
        struct order_reply reply;
        if (!decode (in, &order_reply_type, body, &reply) || !is_mine (in, &reply.order))
            return false;
        put_state (in->line, in->answer, reply.state, reply.version);
        return true;
    }
    struct reserve_reply reply;
    if (!decode (in, &reserve_reply_type, body, &reply) || !is_mine (in, &reply.reservation))
        return false;
    put_state (in->line, in->answer, reply.state, reply.version);
    return true;
}

static void put_seen_item (
    struct answering *in, bool first, const struct id *offer, uint64_t bucket, uint64_t count, uint64_t quantity)
{
    char name[LOAD_NAME_MAX + 16];
    load_name_of (&in->client->lane->load->names, offer, name);
    history_put_raw (in->line, "%s[\"%s\",%llu,%llu,%llu]", first ? "" : ",", name, (unsigned long long) bucket,
        (unsigned long long) count, (unsigned long long) quantity);
}

static void put_seen_customer (struct answering *in, const struct id *customer)
{
    char name[LOAD_NAME_MAX + 16];
    load_name_of (&in->client->lane->load->names, customer, name);
    history_put_text (in->line, "cust", name);
}

static bool put_read (struct answering *in, struct bytes body)
{
    if (in->client->call.of_order) {
        struct order_get_reply reply;
        if (!decode (in, &order_get_reply_type, body, &reply))
            return false;
        put_state (in->line, in->answer, reply.order.state, reply.order.version);
        put_seen_customer (in, &reply.order.customer);
        history_put_raw (in->line, ",\"items\":[");
        for (size_t i = 0; i < reply.order.lines_count; i++) {
            const struct order_line *read = &reply.order.lines[i];
            put_seen_item (in, i == 0, &read->offer, read->bucket, 1, read->quantity);
        }
        history_put_raw (in->line, "]");
        return true;
    }
    struct reserve_get_reply reply;
    if (!decode (in, &reserve_get_reply_type, body, &reply))
        return false;
    put_state (in->line, in->answer, reply.reservation.state, reply.reservation.version);
    put_seen_customer (in, &reply.reservation.customer);
    history_put_raw (in->line, ",\"items\":[");
    for (size_t i = 0; i < reply.reservation.items_count; i++) {
        const struct reserve_item *item = &reply.reservation.items[i];
        put_seen_item (in, i == 0, &item->offer, item->first, item->has_count ? item->count : 1,
            item->has_quantity ? item->quantity : 1);
    }
    history_put_raw (in->line, "]");
    return true;
}

static bool put_check (struct answering *in, struct bytes body)
{
    const struct load_call *call = &in->client->call;
    struct avail_check_reply reply;
    if (!decode (in, &avail_check_reply_type, body, &reply) || reply.rows_count != call->items_count)
        return false;
    history_put_raw (in->line, ",\"rows\":[");
    for (size_t i = 0; i < reply.rows_count; i++) {
        const struct avail_row *row = &reply.rows[i];
        if (!id_equal (&row->offer, &call->items[i].offer) || row->bucket != call->items[i].bucket)
            return false;
        history_put_raw (in->line, "%s[%llu,%llu,%llu]", i > 0 ? "," : "", (unsigned long long) row->total,
            (unsigned long long) row->held, (unsigned long long) row->confirmed);
    }
    history_put_raw (in->line, "]");
    return true;
}

static bool put_list (struct answering *in, struct bytes body)
{
    struct reserve_list_reply reply;
    if (!decode (in, &reserve_list_reply_type, body, &reply) || reply.page_token.len > 0)
        return false;
    history_put_raw (in->line, ",\"rows\":[");
    for (size_t i = 0; i < reply.reservations_count; i++) {
        const struct reservation *row = &reply.reservations[i];
        const char *state = history_state_name (false, (unsigned) row->state);
        char text[ID_TEXT_LEN + 1];
        id_format (&row->reservation, text);
        history_put_raw (in->line, "%s[\"%s\",\"%s\",%llu]", i > 0 ? "," : "", text, state != NULL ? state : "?",
            (unsigned long long) row->version);
    }
    history_put_raw (in->line, "]");
    return true;
}

static bool put_outcome (struct answering *in, struct bytes body)
{
    static const char *const states[] = {"?", "applied", "in_flight", "fenced", "too_old"};
    const struct load_call *call = &in->client->call;
    struct outcome_reply reply;
    if (!decode (in, &outcome_reply_type, body, &reply) || reply.state < 1 || reply.state > 4)
        return false;
    history_put_text (in->line, "outcome", states[reply.state]);
    if (reply.state != OUTCOME_STATE_APPLIED)
        return true;
    if (!reply.has_status || !reply.has_body)
        return false;
    if (reply.status == STATUS_OK)
        return put_written (in, call->of_f, reply.body);
    struct refusal read;
    struct maitre_refusal refusal = {0};
    char reason[64];
    snprintf (reason, sizeof reason, "%.*s", (int) reply.reason.len, (const char *) reply.reason.data);
    if (!reply.has_reason || !decode (in, &refusal_type, reply.body, &read))
        return false;
    refusal.has_offer = read.has_offer;
    refusal.offer = load_id_out (&read.offer);
    refusal.has_bucket = read.has_bucket;
    refusal.bucket = (uint32_t) read.bucket;
    refusal.has_available = read.has_available;
    refusal.available = (uint32_t) read.available;
    refusal.has_state = read.has_state;
    refusal.state = read.state;
    refusal.has_version = read.has_version;
    refusal.version = read.version;
    put_refusal (in->client->lane->load, in->line, in->answer, reason, &refusal);
    return true;
}

static bool put_body (struct answering *in, struct bytes body)
{
    const struct load_call *call = &in->client->call;
    switch (call->f) {
    case HISTORY_READ:
        return put_read (in, body);
    case HISTORY_CHECK:
        return put_check (in, body);
    case HISTORY_LIST:
        return put_list (in, body);
    case HISTORY_OUTCOME:
        return put_outcome (in, body);
    default:
        return put_written (in, call->f, body);
    }
}

/* ---- lines */

static void begin_line (struct load_client *client, const char *type)
{
    struct history_text *line = &client->lane->line;
    history_text_clear (line);
    history_put_u64 (line, "c", client->number);
    history_put_u64 (line, "op", client->op);
    history_put_text (line, "type", type);
}

static void put_common (struct history_text *line, const struct load_call *call, const struct maitre_reply *reply)
{
    if (load_is_write (call->f) && call->f != HISTORY_OUTCOME)
        history_put_bool (line, "replayed", reply->replayed);
    history_put_u64 (line, "attempts", reply->attempts);
    if (reply->node != 0)
        history_put_u64 (line, "node", reply->node);
}

static void put_error (struct history_text *line, const struct maitre_reply *reply)
{
    history_put_text (line, "status", maitre_status_name (reply->status));
    if (reply->reason[0] != '\0')
        history_put_text (line, "reason", reply->reason);
}

static void write_answer (struct load_client *client, const struct maitre_reply *reply, struct load_answer *answer)
{
    const struct load_call *call = &client->call;
    struct history_text *line = &client->lane->line;
    bool fine = false;
    answer->of_order = call->of_order || call->f == HISTORY_ORDER || call->f == HISTORY_ADVANCE;
    if (reply->status == MAITRE_OK) {
        struct answering in = {.client = client, .line = line, .answer = answer};
        arena_init (&in.arena, client->lane->room, LOAD_ROOM);
        begin_line (client, "ok");
        fine = put_body (&in, bytes_of (reply->body.data, reply->body.len));
        answer->end = HISTORY_OK;
    }
    if (reply->status == MAITRE_OK && !fine) {
        /* An answer that cannot be read is worse than none: a refusal that no model explains. */
        begin_line (client, "fail");
        history_put_bool (line, "decided", call->f != HISTORY_LIST);
        history_put_text (line, "reason", "UNREADABLE");
        answer->end = HISTORY_REFUSED;
    } else if (reply->status != MAITRE_OK && load_is_write (call->f) && reply->maybe_applied) {
        begin_line (client, "unknown");
        put_error (line, reply);
        answer->end = HISTORY_UNKNOWN;
    } else if (reply->status != MAITRE_OK && is_decided (reply->status, reply->reason)) {
        begin_line (client, "fail");
        history_put_bool (line, "decided", true);
        history_put_text (line, "status", maitre_status_name (reply->status));
        put_refusal (client->lane->load, line, answer, reply->reason, &reply->refusal);
        answer->not_found = reply->status == MAITRE_NOT_FOUND;
        answer->end = HISTORY_REFUSED;
    } else if (reply->status != MAITRE_OK) {
        begin_line (client, "fail");
        put_error (line, reply);
        answer->end = HISTORY_FAILED;
    }
    put_common (line, call, reply);
    history_write (&client->lane->load->writer, line);
}

void load_answered (struct maitre *handle, uint64_t number, const struct maitre_reply *reply, void *user)
{
    (void) handle;
    (void) number;
    struct load_client *client = user;
    struct load *load = client->lane->load;
    struct load_answer answer = {0};
    write_answer (client, reply, &answer);
    client->busy = false;
    atomic_fetch_add (&load->oks, answer.end == HISTORY_OK || answer.end == HISTORY_REFUSED ? 1 : 0);
    atomic_fetch_add (&load->unknowns, answer.end == HISTORY_UNKNOWN ? 1 : 0);
    struct load_call call = client->call; /* learning may reuse the client's */
    client->lane->learn (client, &call, &answer);
}
