#include "router/route/route_answer.h"

#include <string.h>

#include "schemas/runtime/assert.h"

void route_answer_told (const struct route_answer *answer, uint64_t call, struct forward_reply *reply)
{
    *reply = (struct forward_reply){
        .call = call,
        .status = answer->status,
        .has_reason = answer->reason != NULL,
        .has_message = answer->message != NULL,
        .has_retry_after_ms = answer->retry_after_ms != 0,
        .retry_after_ms = answer->retry_after_ms,
        .has_replayed = answer->replayed,
        .replayed = answer->replayed,
        .has_maybe_applied = answer->maybe_applied,
        .maybe_applied = answer->maybe_applied,
        .has_leader = answer->leader_node != 0,
        .leader = answer->leader_node,
        .body = answer->body,
    };
    if (answer->reason != NULL)
        reply->reason = bytes_text (answer->reason);
    if (answer->message != NULL)
        reply->message = bytes_text (answer->message);
}

/* Texts arrive without a closing NUL. */
static const char *text_of (struct bytes text, char *out, size_t size)
{
    size_t len = text.len < size - 1 ? text.len : size - 1;
    if (len > 0)
        memcpy (out, text.data, len);
    out[len] = '\0';
    return out;
}

void route_answer_heard (
    const struct forward_reply *reply, struct route_answer_texts *texts, struct route_answer *answer)
{
    *answer = (struct route_answer){
        .status = (enum status) reply->status,
        .reason = reply->has_reason ? text_of (reply->reason, texts->reason, sizeof texts->reason) : NULL,
        .message = reply->has_message ? text_of (reply->message, texts->message, sizeof texts->message) : NULL,
        .retry_after_ms = reply->has_retry_after_ms ? (uint32_t) reply->retry_after_ms : 0,
        .replayed = reply->has_replayed && reply->replayed,
        .maybe_applied = reply->has_maybe_applied && reply->maybe_applied,
        .leader_node = reply->has_leader ? (uint32_t) reply->leader : 0,
        .body = reply->body,
    };
}

void route_answer_learn (struct route_map *map, uint32_t shard, uint32_t node, struct route_answer *answer)
{
    maitre_assert (node != 0);
    if (answer->status == STATUS_OK) {
        answer->leader_node = node;
    } else if (answer->reason != NULL && strcmp (answer->reason, "NOT_LEADER") == 0) {
        const struct route_shard *known = route_map_shard (map, shard);
        if (known != NULL && answer->leader_node != node)
            route_map_denied (map, shard, node, known->leader_term);
    }
}
