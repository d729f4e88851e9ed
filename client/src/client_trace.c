/* The flight recorder: the last calls of a handle, for the day when something went wrong and nobody was watching. */
#include <inttypes.h>

#include "client/src/client.h"

/* Words that stand in JSON without escapes. */
static void plain (char *out, size_t size, const char *text)
{
    client_text (out, size, bytes_text (text));
    for (; *out != '\0'; out++)
        if (*out == '"' || *out == '\\')
            *out = '?';
}

void client_trace_add (struct maitre *client, const struct call *call, const struct maitre_reply *reply)
{
    struct maitre_trace *entry = &client->trace[client->trace_count++ % CLIENT_TRACE_MAX];
    plain (entry->method, sizeof entry->method, call->name);
    entry->request_id = reply->request_id;
    entry->latency_us = reply->latency_us;
    entry->started_ms = client_wall_ms () - reply->latency_us / 1000;
    entry->node = call->node == 0 ? 0 : client->nodes[call->node - 1].number;
    entry->attempts = reply->attempts;
    entry->status = reply->status;
    plain (entry->reason, sizeof entry->reason, reply->reason);
}

size_t maitre_trace (const struct maitre *client, struct maitre_trace *entries, size_t max)
{
    size_t count = client->trace_count < CLIENT_TRACE_MAX ? (size_t) client->trace_count : CLIENT_TRACE_MAX;
    if (count > max)
        count = max;
    for (size_t i = 0; i < count; i++)
        entries[i] = client->trace[(client->trace_count - count + i) % CLIENT_TRACE_MAX];
    return count;
}

void maitre_trace_dump (const struct maitre *client, FILE *out)
{
    size_t count = client->trace_count < CLIENT_TRACE_MAX ? (size_t) client->trace_count : CLIENT_TRACE_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct maitre_trace *entry = &client->trace[(client->trace_count - count + i) % CLIENT_TRACE_MAX];
        char id[MAITRE_ID_TEXT_SIZE];
        maitre_id_format (&entry->request_id, id);
        fprintf (out,
            "{\"method\":\"%s\",\"request_id\":\"%s\",\"started_ms\":%" PRIu64 ",\"latency_us\":%" PRIu32
            ",\"node\":%" PRIu32 ",\"attempts\":%" PRIu32 ",\"status\":\"%s\",\"reason\":\"%s\"}\n",
            entry->method, id, entry->started_ms, entry->latency_us, entry->node, entry->attempts,
            maitre_status_name (entry->status), entry->reason);
    }
}
