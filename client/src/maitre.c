/* The handle: options, birth and death.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "client/src/client.h"

/* Kept equal by hand in the public header, which includes nothing of ours. */
_Static_assert((int) MAITRE_UNAUTHENTICATED == (int) STATUS_UNAUTHENTICATED, "status codes differ");
_Static_assert(sizeof (struct maitre_id) == sizeof (struct id), "ids differ");

#define DEADLINE_MS_DEFAULT 5000
#define ATTEMPT_MS_DEFAULT 500
#define BACKOFF_MS_DEFAULT 2
#define BACKOFF_MAX_MS_DEFAULT 50
#define OUTSTANDING_DEFAULT 4096

const char *maitre_status_name (enum maitre_status status)
{
    return status_name ((enum status) status);
}

uint64_t client_now_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

uint64_t client_wall_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* SplitMix64: for jitter and the random part of ids. */
uint64_t client_random (struct maitre *client)
{
    uint64_t z = (client->random += UINT64_C (0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C (0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint8_t *client_scratch (struct maitre *client, size_t size)
{
    if (size > client->scratch_size) {
        uint8_t *larger = realloc (client->scratch, size);
        if (larger == NULL)
            return NULL;
        client->scratch = larger;
        client->scratch_size = size;
    }
    return client->scratch;
}

/* Control characters, quotes and backslashes of foreign texts never reach a terminal or a log. */
void client_text (char *out, size_t size, struct bytes text)
{
    size_t len = text.len < size - 1 ? text.len : size - 1;
    while (len < text.len && len > 0 && (text.data[len] & 0xc0) == 0x80)
        len--; /* not in the middle of a character */
    for (size_t i = 0; i < len; i++)
        out[i] = text.data[i] < 0x20 || text.data[i] == 0x7f ? ' ' : (char) text.data[i];
    out[len] = '\0';
}

enum status client_error (struct maitre_error *error, enum status status, const char *reason, const char *format, ...)
{
    if (error == NULL)
        return status;
    va_list args;
    memset (error, 0, sizeof *error);
    error->status = (enum maitre_status) status;
    client_text (error->reason, sizeof error->reason, bytes_text (reason));
    va_start (args, format);
    vsnprintf (error->message, sizeof error->message, format, args);
    va_end (args);
    return status;
}

/* A page that the kernel empties in a child costs nothing to look at; kernels without it are asked for the process id. */
static bool watch_forks (struct maitre *client)
{
    size_t size = (size_t) getpagesize ();
    client->maker = getpid ();
    void *page = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return false;
    if (madvise (page, size, MADV_WIPEONFORK) != 0) {
        munmap (page, size);
        return true;
    }
    client->fork_page = page;
    *client->fork_page = 1;
    return true;
}

bool client_alive (const struct maitre *client)
{
    return client->fork_page != NULL ? *client->fork_page == 1 : client->maker == getpid ();
}

static uint32_t or_default (uint32_t value, uint32_t fallback)
{
    return value != 0 ? value : fallback;
}

static enum status take_options (
    struct maitre *client, const struct maitre_options *options, struct maitre_error *error)
{
    static const struct maitre_options none = {.size = sizeof none};
    if (options == NULL)
        options = &none;
    if (options->size < sizeof *options || options->outstanding_max > CLIENT_OUTSTANDING_MAX ||
        options->deadline_ms > CLIENT_DEADLINE_MS_MAX || options->attempt_ms > CLIENT_DEADLINE_MS_MAX ||
        options->backoff_max_ms > CLIENT_DEADLINE_MS_MAX || options->backoff_ms > CLIENT_DEADLINE_MS_MAX)
        return client_error (error, STATUS_INVALID_ARGUMENT, "BAD_OPTIONS",
            "options need their size (maitre_options_init), times of at most %d ms, and at most %d outstanding calls",
            CLIENT_DEADLINE_MS_MAX, CLIENT_OUTSTANDING_MAX);
    client->deadline_ms = or_default (options->deadline_ms, DEADLINE_MS_DEFAULT);
    client->attempt_ms = or_default (options->attempt_ms, ATTEMPT_MS_DEFAULT);
    client->backoff_ms = or_default (options->backoff_ms, BACKOFF_MS_DEFAULT);
    client->backoff_max_ms = or_default (options->backoff_max_ms, BACKOFF_MAX_MS_DEFAULT);
    client->outstanding_max = or_default (options->outstanding_max, OUTSTANDING_DEFAULT);

    if (maitre_set_token (client, options->token != NULL ? options->token : getenv ("MAITRE_TOKEN")) != MAITRE_OK)
        return client_error (error, STATUS_INVALID_ARGUMENT, "BAD_OPTIONS",
            "the token is longer than %d bytes; give the one line that the node issued", CLIENT_TOKEN_MAX);
    if (options->cluster_file != NULL)
        return client_file_read (client, options->cluster_file, error);
    if (options->endpoints != NULL)
        return client_file_endpoints (client, options->endpoints, error);
    const char *path = getenv ("MAITRE_CLUSTER"), *list = getenv ("MAITRE_ENDPOINTS");
    if (path != NULL && path[0] != '\0')
        return client_file_read (client, path, error);
    if (list != NULL && list[0] != '\0')
        return client_file_endpoints (client, list, error);
    return client_error (error, STATUS_NOT_FOUND, "NO_CLUSTER",
        "no cluster is named; set MAITRE_CLUSTER to the path of its cluster.client, or MAITRE_ENDPOINTS to "
        "tcp://host:port,...");
}

static enum status make_room (struct maitre *client, struct maitre_error *error)
{
    size_t bound = client->outstanding_max + CLIENT_OWN_CALLS;
    client->calls = calloc (bound, sizeof (struct call *));
    client->free_slots = calloc (bound, sizeof (uint32_t));
    client->heap = calloc (bound + 1, sizeof (struct call *));
    client->context = zmq_ctx_new ();
    if (client->calls == NULL || client->free_slots == NULL || client->heap == NULL || client->context == NULL ||
        client_loop_open (client) != STATUS_OK ||
        getrandom (&client->random, sizeof client->random, 0) != (ssize_t) sizeof client->random)
        return client_error (error, STATUS_RESOURCE_EXHAUSTED, "NO_MEMORY",
            "no memory or descriptors for a handle: %s; raise the limits (ulimit -n)", strerror (errno));
    return STATUS_OK;
}

static enum status connect_all (struct maitre *client, struct maitre_error *error)
{
    for (uint32_t i = 0; i < client->node_count; i++) {
        enum status status = client_node_open (client, &client->nodes[i]);
        if (status == STATUS_OK)
            status = client_loop_watch (client, &client->nodes[i]);
        if (status == STATUS_INVALID_ARGUMENT)
            return client_error (error, status, "BAD_ENDPOINT",
                "cannot connect to %s: %s; write tcp://host:port, and check its key", client->nodes[i].endpoint,
                zmq_strerror (errno));
        if (status != STATUS_OK)
            return client_error (error, status, "NO_MEMORY", "no socket for %s: %s; raise the limits (ulimit -n)",
                client->nodes[i].endpoint, zmq_strerror (errno));
    }
    client->map.ask_again_us = 1; /* at once */
    return STATUS_OK;
}

enum maitre_status maitre_new (const struct maitre_options *options, struct maitre **out, struct maitre_error *error)
{
    if (out == NULL)
        return MAITRE_INVALID_ARGUMENT;
    *out = NULL;
    struct maitre *client = calloc (1, sizeof *client);
    if (client != NULL) {
        client->nodes = calloc (CLIENT_NODES_MAX, sizeof *client->nodes);
        client->epoll = client->event = client->timer = -1;
    }
    if (client == NULL || client->nodes == NULL || !watch_forks (client)) {
        client_error (error, STATUS_RESOURCE_EXHAUSTED, "NO_MEMORY", "no memory for a handle");
        if (client != NULL)
            free (client->nodes);
        free (client);
        return MAITRE_RESOURCE_EXHAUSTED;
    }
    enum status status = take_options (client, options, error);
    if (status == STATUS_OK)
        status = make_room (client, error);
    if (status == STATUS_OK)
        status = connect_all (client, error);
    if (status != STATUS_OK) {
        maitre_destroy (&client);
        return (enum maitre_status) status;
    }
    *out = client;
    return MAITRE_OK;
}

static void answer_rest (struct maitre *client)
{
    for (uint32_t slot = 0; slot < client->call_count; slot++) {
        struct call *call = client->calls[slot];
        if (call->state == CALL_FREE)
            continue;
        if (call->write && call->state == CALL_SENT)
            call->unknown = true;
        client_call_fail (
            client, call, STATUS_CANCELLED, "CANCELLED", "the handle was closed before the answer", client_now_us ());
    }
}

void maitre_destroy (struct maitre **out)
{
    if (out == NULL || *out == NULL)
        return;
    struct maitre *client = *out;
    *out = NULL;
    if (client_alive (client)) {
        maitre_assert (!client->inside);
        client->outstanding_max = 0; /* callbacks can start nothing any more */
        answer_rest (client);
        for (uint32_t i = 0; i < client->node_count; i++)
            client_node_close (&client->nodes[i]);
        /* A signal ends the wait, and would leave the context with its threads behind. */
        while (client->context != NULL && zmq_ctx_term (client->context) != 0 && errno == EINTR)
            continue;
    }
    client_loop_close (client);
    for (uint32_t slot = 0; slot < client->call_count; slot++)
        free (client->calls[slot]);
    free (client->calls);
    free (client->free_slots);
    free (client->heap);
    free (client->map.leaders);
    free (client->scratch);
    free (client->nodes);
    if (client->fork_page != NULL)
        munmap ((void *) client->fork_page, (size_t) getpagesize ());
    free (client);
}

enum maitre_status maitre_set_token (struct maitre *client, const char *token)
{
    size_t len = token == NULL ? 0 : strcspn (token, "\r\n");
    if (len > CLIENT_TOKEN_MAX)
        return (enum maitre_status) client_error (&client->error, STATUS_INVALID_ARGUMENT, "BAD_OPTIONS",
            "the token is longer than %d bytes; give the one line that the node issued", CLIENT_TOKEN_MAX);
    if (len > 0)
        memcpy (client->token, token, len);
    client->token_len = len;
    return MAITRE_OK;
}

const struct maitre_error *maitre_error (const struct maitre *client)
{
    return &client->error;
}

uint32_t maitre_nodes (const struct maitre *client, uint32_t *connected)
{
    uint32_t up = 0;
    for (uint32_t i = 0; i < client->node_count; i++)
        up += client->nodes[i].up ? 1 : 0;
    if (connected != NULL)
        *connected = up;
    return client->node_count;
}
