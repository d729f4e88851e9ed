/* The clients' edge: messages of one call or several in, and replies out, together where the client takes that, as the
 * production headers and the production outbox of the front make them.
 *
 * A connection dies with its node: what had not arrived by then may be lost, both ways, and its outcome is unknown.
 */
#include "test/sim/sim_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/front/front_outbox.h"

#define CALL_MS 3000

/* ---- frames of a message, one behind the other: length (4 bytes), bytes */

static void put_frame (struct state_image *message, struct bytes frame)
{
    uint8_t len[4];
    bytes_put_u32 (len, (uint32_t) frame.len);
    state_image_append (message, len, sizeof len);
    state_image_append (message, frame.data, frame.len);
}

static struct bytes take_frame (struct bytes *message)
{
    maitre_assert (message->len >= 4);
    size_t len = bytes_get_u32 (message->data);
    maitre_assert (message->len >= 4 + len);
    struct bytes frame = bytes_of (message->data + 4, len);
    *message = bytes_of (message->data + 4 + len, message->len - 4 - len);
    return frame;
}

static void travel (struct sim *sim, enum sim_happening_kind kind, const struct sim_node *node, uint32_t client,
    const struct state_image *message)
{
    sim_queue_push (&sim->queue, (struct sim_happening){
                                     .time_us = sim->time_us + sim_between (sim, 30, 300),
                                     .kind = kind,
                                     .node = node->index,
                                     .peer = client,
                                     .epoch = kind == SIM_ASKED ? node->epoch : 0,
                                     .value = node->epoch,
                                     .data = message->data,
                                     .len = message->len,
                                 });
}

/* ---- calls: client to node */

/* Half of the clients speak as those did that know of one call a message alone. */
bool sim_front_many (uint32_t client)
{
    return client % 2 == 1;
}

void sim_front_send (
    struct sim *sim, const struct sim_node *node, uint32_t client, const uint64_t *attempts, size_t count)
{
    struct state_image message = {0};
    maitre_assert (count > 0 && count <= FRONT_CALLS_MAX);
    maitre_assert (count == 1 || sim_front_many (client));
    for (size_t i = 0; i < count; i++) {
        uint8_t head[REQUEST_HEADER_ENCODED_MAX];
        size_t len;
        struct sim_asked asked = sim_shard_asked (sim, attempts[i]);
        struct request_header header = {
            .protocol = FRONT_PROTOCOL,
            .call = attempts[i],
            .method = bytes_text (asked.method->name),
            .has_request_id = !id_is_zero (&asked.request_id),
            .request_id = asked.request_id,
            .has_remaining_ms = true,
            .remaining_ms = CALL_MS,
            .has_many = sim_front_many (client),
            .many = true,
        };
        enum status status = codec_encode (&request_header_type, &header, head, sizeof head, &len);
        maitre_assert (status == STATUS_OK);
        put_frame (&message, bytes_of (head, len));
        put_frame (&message, asked.body);
    }
    travel (sim, SIM_ASKED, node, client, &message);
}

void sim_front_received (struct sim_engine *engine, uint32_t client, struct bytes message, uint64_t now_ms)
{
    while (message.len > 0) {
        struct request_header header;
        struct bytes head = take_frame (&message), body = take_frame (&message);
        if (codec_decode (&request_header_type, head, CODEC_LENIENT, NULL, &header, NULL) != STATUS_OK ||
            header.protocol != FRONT_PROTOCOL)
            sim_fail (engine->sim, "a header does not decode");
        bool many = header.has_many && header.many;
        if (many != sim_front_many (client) || (message.len > 0 && !many))
            sim_fail (engine->sim, "a message of several calls of a client that makes one at a time");
        struct sim_asked asked = {
            .method = method_by_name (header.method),
            .principal = sim_shard_principal (engine->sim, header.call), /* as its token says */
            .request_id = header.has_request_id ? header.request_id : (struct id){{0}},
            .body = body,
        };
        sim_engine_request (engine, client, header.call, &asked, now_ms + header.remaining_ms, now_ms);
    }
}

/* What a message of a client that arrives nowhere carried. */
void sim_front_calls_lost (struct sim *sim, struct bytes message)
{
    while (message.len > 0) {
        struct request_header header;
        enum status status =
            codec_decode (&request_header_type, take_frame (&message), CODEC_LENIENT, NULL, &header, NULL);
        maitre_assert (status == STATUS_OK);
        (void) take_frame (&message);
        sim_shard_lost (sim, header.call);
    }
}

/* ---- replies: node to client */

void sim_front_open (struct sim_engine *engine)
{
    engine->front = front_outbox_new ();
    maitre_assert (engine->front != NULL);
}

void sim_front_reply (struct sim_engine *engine, uint32_t client, uint64_t attempt, const struct route_answer *answer)
{
    uint8_t head[REPLY_HEADER_ENCODED_MAX];
    char leader[SIM_ENDPOINT_SIZE];
    size_t len;
    bool many = sim_front_many (client);
    struct front_client to = {.fd = -1, .identity_len = 5, .many = many};
    to.identity[4] = (uint8_t) client;
    struct reply_header header = {
        .protocol = FRONT_PROTOCOL,
        .call = attempt,
        .status = answer->status,
        .has_reason = answer->reason != NULL,
        .has_message = answer->message != NULL,
        .has_retry_after_ms = answer->retry_after_ms != 0,
        .retry_after_ms = answer->retry_after_ms,
        .has_leader = answer->leader_node != 0,
        .has_replayed = answer->replayed,
        .replayed = answer->replayed,
        .has_maybe_applied = answer->maybe_applied,
        .maybe_applied = answer->maybe_applied,
        .has_many = many,
        .many = many,
    };
    if (header.has_reason)
        header.reason = bytes_text (answer->reason);
    if (header.has_message)
        header.message = bytes_text (answer->message);
    if (header.has_leader) {
        sim_engine_endpoint (answer->leader_node, SIM_PORT_CLIENT, leader);
        header.leader = bytes_text (leader);
    }
    enum status status = codec_encode (&reply_header_type, &header, head, sizeof head, &len);
    if (status != STATUS_OK)
        sim_fail (engine->sim, "the header of a reply does not encode: %s", status_name (status));
    if (front_outbox_full (engine->front, len + answer->body.len))
        sim_front_flush (engine);
    status = front_outbox_add (engine->front, &to, bytes_of (head, len), answer->body);
    maitre_assert (status == STATUS_OK);
}

void sim_front_flush (struct sim_engine *engine)
{
    struct front_message out;
    while (front_outbox_next (engine->front, &out)) {
        struct state_image message = {0};
        uint32_t client = out.client->identity[4];
        if (out.count > 1 && !sim_front_many (client))
            sim_fail (engine->sim, "%zu replies in one message to a client that takes one", out.count);
        for (size_t i = 0; i < out.count; i++) {
            put_frame (&message, out.replies[i].head);
            put_frame (&message, out.replies[i].body);
        }
        engine->sim->oracle.counts.together += out.count > 1;
        travel (engine->sim, SIM_ANSWERED, engine->node, client, &message);
    }
    front_outbox_clear (engine->front);
}

/* Replies that the node had not sent yet. */
void sim_front_close (struct sim_engine *engine)
{
    struct front_message out;
    while (front_outbox_next (engine->front, &out))
        for (size_t i = 0; i < out.count; i++) {
            struct reply_header header;
            enum status status =
                codec_decode (&reply_header_type, out.replies[i].head, CODEC_LENIENT, NULL, &header, NULL);
            maitre_assert (status == STATUS_OK);
            sim_shard_lost (engine->sim, header.call);
        }
    front_outbox_clear (engine->front);
    front_outbox_destroy (&engine->front);
}

void sim_front_answered (struct sim *sim, uint32_t node, uint64_t epoch, uint32_t client, struct bytes message)
{
    bool broken = (!sim->nodes[node].alive || sim->nodes[node].epoch != epoch) && sim_chance (sim, 2);
    while (message.len > 0) {
        struct reply_header header;
        char reason[48];
        struct bytes head = take_frame (&message), body = take_frame (&message);
        if (codec_decode (&reply_header_type, head, CODEC_LENIENT, NULL, &header, NULL) != STATUS_OK)
            sim_fail (sim, "the header of a reply does not decode");
        if (broken) {
            sim_shard_lost (sim, header.call);
            continue;
        }
        if (header.has_reason)
            snprintf (reason, sizeof reason, "%.*s", (int) header.reason.len, (const char *) header.reason.data);
        struct route_answer answer = {
            .status = (enum status) header.status,
            .reason = header.has_reason ? reason : NULL,
            .retry_after_ms = (uint32_t) header.retry_after_ms,
            .leader_node = header.has_leader ? sim_engine_node_at (sim, SIM_PORT_CLIENT, header.leader) : 0,
            .replayed = header.has_replayed && header.replayed,
            .maybe_applied = header.has_maybe_applied && header.maybe_applied,
            .body = body,
        };
        sim_shard_answer (sim, node, client, header.call, &answer);
    }
}
