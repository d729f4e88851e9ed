/* When and where an attempt is repeated.
 *
 * A write goes out again under its request id, so repeating is always safe; the question is only where and when:
 *   connection lost         at once, elsewhere
 *   attempt without answer  at once, elsewhere; the attempt's time doubles
 *   NOT_LEADER with a hint  at once at the leader, CLIENT_REDIRECTS_MAX times in a row
 *   anything else for now   after a pause that doubles, with jitter, never shorter than the node asked for
 */
#include <stdlib.h>

#include "client/src/client.h"

static uint64_t min_u64 (uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool attempts_left (const struct call *call)
{
    return call->attempts_max == 0 || call->attempts < call->attempts_max;
}

/* The end of a call that no node decided. Why it failed last says more than that time ran out. */
static void give_up (struct maitre *client, struct call *call, uint64_t now_us)
{
    if (call->unknown)
        client_call_fail (client, call, STATUS_DEADLINE_EXCEEDED, "OUTCOME_UNKNOWN",
            "no answer in time, and it may have been applied: send the same request id again, or ask for its outcome",
            now_us);
    else if (call->failure != NULL)
        client_call_fail (client, call, call->failure->status, call->failure->reason, call->failure->message, now_us);
    else if (call->attempts == 0)
        client_call_fail (client, call, STATUS_UNAVAILABLE, "NO_NODE",
            call->pinned != 0
                ? "that node could not be reached; check that it runs and that the client file names it"
                : "no node could be reached; check that the cluster runs and that its endpoints and keys are right",
            now_us);
    else
        client_call_fail (client, call, STATUS_DEADLINE_EXCEEDED, "NO_ANSWER",
            "no node answered in time; try again, or allow more time", now_us);
}

static void pause_until (struct maitre *client, struct call *call, uint64_t wake_us)
{
    call->state = CALL_PAUSED;
    client_call_move (call, &client->waiting);
    client_timer_set (client, call, min_u64 (wake_us, call->deadline_us));
}

/* Doubles with every failure in a row; between half of it and all of it, so that callers spread out. */
static uint64_t pause_us (struct maitre *client, const struct call *call)
{
    uint64_t pause_ms = client->backoff_ms;
    for (uint32_t i = 1; i < call->failures && pause_ms < client->backoff_max_ms; i++)
        pause_ms *= 2;
    pause_ms = min_u64 (pause_ms, client->backoff_max_ms);
    return pause_ms * 500 + client_random (client) % (pause_ms * 500 + 1);
}

void client_retry_send (struct maitre *client, struct call *call, uint64_t now_us)
{
    struct client_node *node = client_map_choose (client, call);
    call->state = CALL_WAITING;
    if (node == NULL) {
        client_call_move (call, &client->waiting);
        client_timer_set (client, call, call->deadline_us);
        return;
    }
    call->attempts++;
    if (client_node_send (client, node, call, now_us) != STATUS_OK) {
        /* Full, or gone without the monitor having said so yet. */
        call->attempts--;
        call->failures++;
        call->node = (uint32_t) (node - client->nodes) + 1;
        call->avoid_last = true;
        pause_until (client, call, now_us + pause_us (client, call));
        return;
    }
    call->node = (uint32_t) (node - client->nodes) + 1;
    call->state = CALL_SENT;
    client_call_move (call, &node->calls);
    uint64_t attempt_us = (uint64_t) client->attempt_ms * 1000;
    for (uint32_t i = 0; i < call->timeouts && attempt_us < call->deadline_us - call->started_us; i++)
        attempt_us *= 2;
    client_timer_set (client, call, min_u64 (now_us + attempt_us, call->deadline_us));
}

/* An attempt ended without an answer. */
static void repeat (struct maitre *client, struct call *call, uint64_t now_us)
{
    if (call->write)
        call->unknown = true;
    call->avoid_last = true;
    call->failures++;
    if (!attempts_left (call))
        give_up (client, call, now_us);
    else if (call->failures <= client->node_count)
        client_retry_send (client, call, now_us);
    else
        pause_until (client, call, now_us + pause_us (client, call));
}

void client_retry_wake (struct maitre *client, struct call *call, uint64_t now_us)
{
    bool sent = call->state == CALL_SENT;
    if (now_us >= call->deadline_us) {
        if (sent && call->write)
            call->unknown = true;
        if (sent)
            client->nodes[call->node - 1].doubted = true;
        give_up (client, call, now_us);
    } else if (sent) {
        client->nodes[call->node - 1].doubted = true;
        call->timeouts++;
        repeat (client, call, now_us);
    } else {
        client_retry_send (client, call, now_us);
    }
}

static void note_failure (struct call *call, const struct reply_header *header)
{
    if (call->failure == NULL)
        call->failure = malloc (sizeof *call->failure);
    if (call->failure == NULL)
        return; /* then the call ends with fewer words */
    call->failure->status = (enum status) header->status;
    call->failure->retry_after_ms = header->has_retry_after_ms ? (uint32_t) header->retry_after_ms : 0;
    client_text (call->failure->reason, sizeof call->failure->reason, header->reason);
    client_text (call->failure->message, sizeof call->failure->message, header->message);
}

void client_retry_refused (struct maitre *client, struct call *call, const struct reply_header *header, uint64_t now_us)
{
    note_failure (call, header);
    if (call->write && header->has_maybe_applied && header->maybe_applied)
        call->unknown = true;
    if (!attempts_left (call)) {
        give_up (client, call, now_us);
        return;
    }
    uint32_t leader = header->has_leader ? client_map_endpoint (client, header->leader) : UINT32_MAX;
    call->avoid_last = true;
    call->failures++;
    /* It may be the one that answered: it has become the leader while it waited for another one. */
    if (leader != UINT32_MAX && client->nodes[leader].up && call->pinned == 0 &&
        call->redirects++ < CLIENT_REDIRECTS_MAX) {
        call->avoid_last = leader + 1 != call->node;
        client_retry_send (client, call, now_us);
        return;
    }
    call->redirects = 0;
    uint64_t pause = pause_us (client, call);
    uint64_t asked = header->has_retry_after_ms ? header->retry_after_ms * 1000 : 0;
    pause_until (client, call, now_us + (asked > pause ? asked : pause));
}

void client_retry_lost (struct maitre *client, struct client_node *node, uint64_t now_us)
{
    /* A repeat can end in a callback that starts calls, but none of them lands on this node: it is down. */
    maitre_assert (!node->up);
    while (node->calls != NULL)
        repeat (client, node->calls, now_us);
}

void client_retry_waiting (struct maitre *client, uint64_t now_us)
{
    /* Sending takes calls off the list or keeps them at its head: walk a copy of the slots that wait now. */
    for (uint32_t slot = 0; slot < client->call_count && client->waiting != NULL; slot++)
        if (client->calls[slot]->state == CALL_WAITING)
            client_retry_send (client, client->calls[slot], now_us);
}

void client_retry_led (struct maitre *client, uint32_t shard, uint64_t now_us)
{
    /* Only the timers are changed here: the calls go out with the other due ones of this turn. */
    for (struct call *call = client->waiting; call != NULL; call = call->next)
        if (call->state == CALL_PAUSED && client_map_shard (client, call) == shard) {
            call->avoid_last = false;
            client_timer_set (client, call, now_us);
        }
}
