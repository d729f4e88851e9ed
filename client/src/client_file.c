/* Where the nodes are and which keys they have: the client file, or a plain list of endpoints.
 *
 *   maitre-client 1
 *   cluster <32 hex>
 *   node <number> <endpoint> <z85 public key or ->
 *   client-key <z85 public> <z85 secret>             with CURVE only
 *   signature <hex>
 *
 * Unknown lines of a known version are an error: a key that is silently not used would be worse. The signature is not
 * checked here (that takes libsodium, and the cluster's key from a place of its own): the file is trusted like a private
 * key. The command line checks it, client/cli/cli_signature.c.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/src/client.h"

#define FILE_LINE_MAX 512
#define FILE_BYTES_MAX (256 * 1024)

enum status client_file_add (struct maitre *client, uint32_t number, struct bytes endpoint, struct bytes key)
{
    if (client->node_count == CLIENT_NODES_MAX)
        return STATUS_RESOURCE_EXHAUSTED;
    if (endpoint.len == 0 || endpoint.len > ENDPOINT_TEXT_LEN_MAX || (key.len != 0 && key.len != CLIENT_KEY_LEN))
        return STATUS_INVALID_ARGUMENT;
    struct client_node *node = &client->nodes[client->node_count];
    memset (node, 0, sizeof *node);
    node->number = number;
    client_text (node->endpoint, sizeof node->endpoint, endpoint);
    client_text (node->key, sizeof node->key, key);
    client->node_count++;
    return STATUS_OK;
}

static enum status node_line (struct maitre *client, char *number_text, char *endpoint, char *key)
{
    char *end = NULL;
    if (number_text == NULL || endpoint == NULL || key == NULL)
        return STATUS_INVALID_ARGUMENT;
    unsigned long number = strtoul (number_text, &end, 10);
    if (*end != '\0' || number == 0 || number > 65535)
        return STATUS_INVALID_ARGUMENT;
    struct bytes key_bytes = strcmp (key, "-") == 0 ? bytes_of (NULL, 0) : bytes_text (key);
    return client_file_add (client, (uint32_t) number, bytes_text (endpoint), key_bytes);
}

static enum status key_line (struct maitre *client, const char *public, const char *secret)
{
    if (public == NULL || secret == NULL || strlen (public) != CLIENT_KEY_LEN || strlen (secret) != CLIENT_KEY_LEN)
        return STATUS_INVALID_ARGUMENT;
    memcpy (client->client_public, public, CLIENT_KEY_LEN + 1);
    memcpy (client->client_secret, secret, CLIENT_KEY_LEN + 1);
    return STATUS_OK;
}

static enum status read_line (struct maitre *client, char *line, uint32_t line_number)
{
    char *words[4] = {NULL}, *state = NULL;
    for (int i = 0; i < 4; i++)
        words[i] = strtok_r (i == 0 ? line : NULL, " \t\r\n", &state);
    if (line_number == 1)
        return words[0] != NULL && strcmp (words[0], "maitre-client") == 0 && words[1] != NULL &&
                       strcmp (words[1], "1") == 0
                   ? STATUS_OK
                   : STATUS_INVALID_ARGUMENT;
    if (words[0] == NULL || words[0][0] == '#' || strcmp (words[0], "cluster") == 0 ||
        strcmp (words[0], "signature") == 0)
        return STATUS_OK;
    if (strcmp (words[0], "node") == 0)
        return node_line (client, words[1], words[2], words[3]);
    if (strcmp (words[0], "client-key") == 0)
        return key_line (client, words[1], words[2]);
    return STATUS_INVALID_ARGUMENT;
}

/* CURVE needs both halves: a file with node keys and no client key, or the other way round, is damaged. */
static bool keys_complete (const struct maitre *client)
{
    for (uint32_t i = 0; i < client->node_count; i++)
        if ((client->nodes[i].key[0] != '\0') != (client->client_public[0] != '\0'))
            return false;
    return true;
}

enum status client_file_read (struct maitre *client, const char *path, struct maitre_error *error)
{
    FILE *file = fopen (path, "re");
    if (file == NULL)
        return client_error (error, STATUS_NOT_FOUND, "NO_CLUSTER_FILE",
            "cannot read the client file %s: %s; give the path of the cluster.client that the cluster was made with",
            path, strerror (errno));
    char line[FILE_LINE_MAX];
    uint32_t line_number = 0;
    size_t bytes = 0;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && fgets (line, sizeof line, file) != NULL) {
        bytes += strlen (line);
        bool whole = strchr (line, '\n') != NULL || feof (file);
        status = whole && bytes <= FILE_BYTES_MAX ? read_line (client, line, ++line_number) : STATUS_INVALID_ARGUMENT;
    }
    fclose (file);
    if (status != STATUS_OK)
        return client_error (error, STATUS_INVALID_ARGUMENT, "BAD_CLUSTER_FILE",
            "line %u of the client file %s is not understood; get a fresh copy of cluster.client", line_number, path);
    if (client->node_count == 0 || !keys_complete (client))
        return client_error (error, STATUS_INVALID_ARGUMENT, "BAD_CLUSTER_FILE",
            "the client file %s %s; get a fresh copy of cluster.client", path,
            client->node_count == 0 ? "names no node" : "has only a part of the keys");
    return STATUS_OK;
}

enum status client_file_endpoints (struct maitre *client, const char *list, struct maitre_error *error)
{
    client->numbers_guessed = true;
    for (const char *at = list; *at != '\0';) {
        size_t len = strcspn (at, ", \t\n");
        if (len > 0 &&
            client_file_add (client, client->node_count + 1, bytes_of (at, len), bytes_of (NULL, 0)) != STATUS_OK)
            return client_error (error, STATUS_INVALID_ARGUMENT, "BAD_ENDPOINT",
                "the endpoint %.*s is too long, or there are more than %d; write tcp://host:port,tcp://host:port",
                (int) (len > 120 ? 120 : len), at, CLIENT_NODES_MAX);
        at += len + (at[len] != '\0');
    }
    if (client->node_count == 0)
        return client_error (error, STATUS_INVALID_ARGUMENT, "BAD_ENDPOINT",
            "no endpoint is named; write tcp://host:port,tcp://host:port");
    return STATUS_OK;
}
