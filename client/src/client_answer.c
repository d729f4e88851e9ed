/* What a reply means: an outcome, or a reason to try again. Everything here comes from outside and is checked first.
 */
#include "client/src/client.h"

static bool is_word (struct bytes text, const char *word)
{
    return bytes_equal (text, bytes_text (word));
}

/* The node could not decide the call, now or there: the same request id may go out again. */
static bool undecided (const struct call *call, const struct reply_header *header)
{
    switch (header->status) {
    case STATUS_UNAVAILABLE:
        return true;
    case STATUS_DEADLINE_EXCEEDED: /* of the node; ours is watched by the timer */
        return true;
    case STATUS_ABORTED:
        return is_word (header->reason, "IN_DOUBT");
    case STATUS_RESOURCE_EXHAUSTED: /* the caller should slow down, unless there is an outcome to be learnt */
        return call->unknown && header->has_retry_after_ms;
    default:
        return header->has_maybe_applied && header->maybe_applied;
    }
}

/* All that a login leaves behind is a session, and its tokens come with the answer alone. */
static bool leaves_nothing (const struct call *call, const struct reply_header *header)
{
    return call->method != NULL && call->method->number == METHOD_NUMBER_AUTH_LOGIN &&
           is_word (header->reason, "BAD_CREDENTIALS");
}

/* An answer from before the log says nothing about an earlier attempt that may have been applied. */
static bool leaves_unknown (const struct call *call, const struct reply_header *header)
{
    switch (header->status) {
    case STATUS_UNAUTHENTICATED:
        return call->unknown && !leaves_nothing (call, header);
    case STATUS_RESOURCE_EXHAUSTED:
    case STATUS_UNIMPLEMENTED:
    case STATUS_INTERNAL:
    case STATUS_DATA_LOSS:
        return call->unknown;
    case STATUS_FAILED_PRECONDITION:
        return call->unknown && is_word (header->reason, "REQUEST_TOO_OLD");
    default:
        return false;
    }
}

static void learn (struct maitre *client, const struct client_node *node, const struct call *call,
    const struct reply_header *header, uint64_t now_us)
{
    uint32_t shard = client_map_shard (client, call);
    uint32_t leader = UINT32_MAX;
    if (header->has_leader)
        leader = client_map_endpoint (client, header->leader);
    else if (header->status == STATUS_OK)
        leader = (uint32_t) (node - client->nodes);
    if (client_map_hint (client, shard, leader))
        client_retry_led (client, shard, now_us);
    if (header->has_map_epoch)
        client_map_epoch (client, header->map_epoch, now_us);
}

static void read_refusal (struct bytes body, struct maitre_refusal *out)
{
    struct refusal in;
    if (body.len == 0 || codec_decode (&refusal_type, body, CODEC_LENIENT, NULL, &in, NULL) != STATUS_OK)
        return;
    if (in.has_field)
        client_text (out->field, sizeof out->field, in.field);
    out->has_offer = in.has_offer;
    out->offer = client_id_out (&in.offer);
    out->has_bucket = in.has_bucket;
    out->bucket = (uint32_t) in.bucket;
    out->has_earliest_free = in.has_earliest_free;
    out->earliest_free = (uint32_t) in.earliest_free;
    out->has_available = in.has_available;
    out->available = (uint32_t) in.available;
    out->has_limit = in.has_limit;
    out->limit = (uint32_t) in.limit;
    out->has_state = in.has_state;
    out->state = in.state;
    out->has_version = in.has_version;
    out->version = in.version;
}

static void outcome (struct maitre *client, const struct client_node *node, struct call *call,
    const struct reply_header *header, struct bytes body, uint64_t now_us)
{
    char reason[REASON_TEXT_LEN_MAX + 1], message[501];
    struct maitre_reply reply = {.status = (enum maitre_status) header->status,
        .reason = "",
        .message = "",
        .replayed = header->has_replayed && header->replayed,
        .retry_after_ms = header->has_retry_after_ms ? (uint32_t) header->retry_after_ms : 0,
        .node = node->number,
        .body = {body.data, body.len}};
    if (header->status != STATUS_OK) {
        client_text (reason, sizeof reason, header->reason);
        client_text (message, sizeof message, header->message);
        reply.reason = reason;
        reply.message = message;
        reply.maybe_applied = leaves_unknown (call, header);
        reply.retryable = reply.maybe_applied || header->status == STATUS_RESOURCE_EXHAUSTED;
        read_refusal (body, &reply.refusal);
    }
    client_call_finish (client, call, &reply, now_us);
}

static void answer (struct maitre *client, const struct client_node *node, const struct reply_header *header,
    struct bytes body, uint64_t now_us)
{
    uint64_t number = header->call >> 8;
    struct call *call = client_call_find (client, (uint32_t) (number & 0xfffff), (uint32_t) (number >> 20));
    if (call == NULL || (header->has_more && header->more))
        return;
    learn (client, node, call, header, now_us);
    if (!undecided (call, header)) {
        outcome (client, node, call, header, body, now_us);
        return;
    }
    /* An attempt that was given up already: only an outcome is news. */
    bool current = call->state == CALL_SENT && (header->call & 0xff) == (call->attempts & 0xff) &&
                   &client->nodes[call->node - 1] == node;
    if (current)
        client_retry_refused (client, call, header, now_us);
    else if (call->write && header->has_maybe_applied && header->maybe_applied)
        call->unknown = true;
}

bool client_answer (struct maitre *client, struct client_node *node, struct bytes header_bytes, struct bytes body,
    bool more, uint64_t now_us)
{
    struct reply_header header;
    if (codec_decode (&reply_header_type, header_bytes, CODEC_LENIENT, NULL, &header, NULL) != STATUS_OK)
        return false;
    bool many = header.has_many && header.many;
    if (more && !many)
        return false;
    node->many = many;
    answer (client, node, &header, body, now_us);
    return true;
}
