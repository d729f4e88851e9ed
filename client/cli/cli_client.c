/* From options to a handle, and typed starts of any method.
 */
#include <stdlib.h>

#include "client/cli/cli.h"

static const char *from_environment (const char *value, const char *name)
{
    const char *text = value != NULL ? value : getenv (name);
    return text == NULL || text[0] == '\0' ? NULL : text;
}

/* The client file that the library will take, if it takes one. */
static int check_file (const struct cli *cli)
{
    if (cli->cluster_file == NULL && cli->endpoints != NULL)
        return CLI_OK;
    const char *file = from_environment (cli->cluster_file, "MAITRE_CLUSTER");
    return file == NULL ? CLI_OK
                        : cli_signature_check (file, from_environment (cli->cluster_key, "MAITRE_CLUSTER_KEY"));
}

struct maitre *cli_client (const struct cli *cli, uint32_t outstanding_max, int *exit_code)
{
    struct maitre_options options;
    struct maitre_error error;
    struct maitre *client = NULL;
    *exit_code = check_file (cli);
    if (*exit_code != CLI_OK)
        return NULL;
    maitre_options_init (&options);
    options.cluster_file = cli->cluster_file;
    options.endpoints = cli->endpoints;
    options.token = cli->token;
    options.deadline_ms = cli->timeout_ms;
    options.outstanding_max = outstanding_max;
    if (maitre_new (&options, &client, &error) == MAITRE_OK)
        return client;
    bool usage = error.status == MAITRE_INVALID_ARGUMENT || error.status == MAITRE_NOT_FOUND;
    cli_failed (cli, &error);
    *exit_code = usage ? CLI_USAGE : CLI_FAILED;
    return NULL;
}

enum maitre_status cli_start (struct maitre *client, uint32_t method_number, const void *request,
    const struct maitre_call_options *options, maitre_reply_fn *answer, void *user)
{
    const struct method *method = method_by_number (method_number);
    uint8_t small[1024], *room = small;
    size_t room_size = sizeof small, len = 0;
    if (method->request->encoded_max > sizeof small) {
        room_size = (size_t) method->request->encoded_max;
        room = malloc (room_size);
        if (room == NULL)
            return MAITRE_RESOURCE_EXHAUSTED;
    }
    struct maitre_call_options with_id;
    if (options != NULL)
        with_id = *options;
    else
        maitre_call_options_init (&with_id);
    enum maitre_status status = (enum maitre_status) codec_encode (method->request, request, room, room_size, &len);
    uint32_t hash;
    if (status == MAITRE_OK && maitre_id_is_zero (&with_id.request_id) && method->route != ROUTE_NONE &&
        method_routing_hash (method, request, &hash) == STATUS_OK) {
        struct id parent = id_make (0, hash, 0);
        struct maitre_id beside = cli_id_out (&parent);
        with_id.request_id = maitre_id_beside (client, &beside);
    }
    if (status == MAITRE_OK)
        status = maitre_start (client, method->name, (struct maitre_bytes){room, len}, &with_id, answer, user, NULL);
    if (room != small)
        free (room);
    return status;
}

enum maitre_status cli_ask (struct maitre *client, uint32_t method_number, const void *request,
    const struct maitre_call_options *options, void **value)
{
    const struct method *method = method_by_number (method_number);
    struct maitre_reply *reply = NULL;
    uint8_t body[256];
    size_t len = 0;
    *value = NULL;
    enum maitre_status status = (enum maitre_status) codec_encode (method->request, request, body, sizeof body, &len);
    if (status == MAITRE_OK)
        status = maitre_call (client, method->name, (struct maitre_bytes){body, len}, options, &reply);
    if (status == MAITRE_OK) {
        const struct codec_type *type = method->reply;
        size_t size = reply->body.len + type->size + (size_t) type->arena_max + 64;
        uint8_t *memory = malloc (size), *copy = memory != NULL ? memory + type->size : NULL;
        struct arena arena;
        status = memory != NULL ? MAITRE_OK : MAITRE_RESOURCE_EXHAUSTED;
        if (memory != NULL) {
            if (reply->body.len > 0)
                memcpy (copy, reply->body.data, reply->body.len);
            size_t used = (type->size + reply->body.len + 7) / 8 * 8;
            arena_init (&arena, memory + used, size - used);
            if (codec_decode (type, bytes_of (copy, reply->body.len), CODEC_LENIENT, &arena, memory, NULL) != STATUS_OK)
                status = MAITRE_INTERNAL;
        }
        if (status == MAITRE_OK)
            *value = memory;
        else
            free (memory);
    }
    maitre_reply_destroy (&reply);
    return status;
}
