#include "node/identity/cluster_files.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "schemas/runtime/assert.h"

#define FILE_TEXT_SIZE (128 * 1024)

/* Appends; false, and nothing appended, when it does not fit. */
__attribute__ ((format (printf, 4, 5))) static bool append (
    char *out, size_t size, size_t *len, const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    int added = vsnprintf (out + *len, size - *len, format, arguments);
    va_end (arguments);
    if (added < 0 || (size_t) added >= size - *len)
        return false;
    *len += (size_t) added;
    return true;
}

static const char *or_dash (const char *text)
{
    return text[0] == '\0' ? "-" : text;
}

enum status cluster_client_make (const struct identity *identity, const struct cluster_nodes *nodes,
    const struct curve_keys *client_keys, char *out, size_t out_size, size_t *out_len)
{
    char cluster[ID_TEXT_LEN + 1], hex[2 * IDENTITY_SIGNATURE_BYTES + 1];
    size_t len = 0;
    id_format (identity_cluster (identity), cluster);
    bool fits = append (out, out_size, &len, "maitre-client 1\ncluster %s\n", cluster);
    for (uint32_t i = 0; fits && i < nodes->node_count; i++)
        fits = append (out, out_size, &len, "node %u %s %s\n", nodes->nodes[i].node, nodes->nodes[i].client_endpoint,
            or_dash (nodes->nodes[i].public_text));
    if (fits && client_keys != NULL)
        fits = append (out, out_size, &len, "client-key %s %s\n", client_keys->public_text, client_keys->secret_text);
    if (!fits)
        return STATUS_RESOURCE_EXHAUSTED;
    uint8_t signature[IDENTITY_SIGNATURE_BYTES];
    identity_sign (identity, bytes_of (out, len), signature);
    sodium_bin2hex (hex, sizeof hex, signature, sizeof signature);
    if (!append (out, out_size, &len, "signature %s\n", hex))
        return STATUS_RESOURCE_EXHAUSTED;
    *out_len = len;
    return STATUS_OK;
}

static bool nodes_text (const struct cluster_nodes *nodes, char *out, size_t out_size, size_t *out_len)
{
    char cluster[ID_TEXT_LEN + 1];
    id_format (&nodes->cluster, cluster);
    *out_len = 0;
    bool fits = append (
        out, out_size, out_len, "maitre-nodes 1\ncluster %s\nclient-key %s\n", cluster, or_dash (nodes->client_public));
    for (uint32_t i = 0; fits && i < nodes->node_count; i++) {
        const struct cluster_member *node = &nodes->nodes[i];
        fits = append (out, out_size, out_len, "node %u %s %s %s %s %s\n", node->node, node->client_endpoint,
            node->peer_endpoint, node->gossip_endpoint, or_dash (node->zone), or_dash (node->public_text));
    }
    return fits;
}

/* One word of printable ASCII: the files are split at spaces. */
static bool is_word (const char *text, size_t len_max)
{
    size_t len = strnlen (text, len_max + 1);
    if (len == 0 || len > len_max)
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return true;
}

static enum status plan_check (const struct cluster_nodes *nodes, struct identity_error *error)
{
    if (nodes->node_count == 0 || nodes->node_count > CLUSTER_NODES_MAX) {
        identity_error_set (error, "a cluster has 1 to %d nodes; ask for fewer or more", CLUSTER_NODES_MAX);
        return STATUS_INVALID_ARGUMENT;
    }
    for (uint32_t i = 0; i < nodes->node_count; i++) {
        const struct cluster_member *node = &nodes->nodes[i];
        if (!is_word (node->client_endpoint, CLUSTER_ENDPOINT_BYTES_MAX) ||
            !is_word (node->peer_endpoint, CLUSTER_ENDPOINT_BYTES_MAX) ||
            !is_word (node->gossip_endpoint, CLUSTER_ENDPOINT_BYTES_MAX) ||
            (node->zone[0] != '\0' && !is_word (node->zone, CLUSTER_ZONE_BYTES_MAX))) {
            identity_error_set (error,
                "node %u: every endpoint must be 1 to %d characters without a space, such as "
                "tcp://127.0.0.1:7401, and a zone at most %d; correct it",
                i + 1, CLUSTER_ENDPOINT_BYTES_MAX, CLUSTER_ZONE_BYTES_MAX);
            return STATUS_INVALID_ARGUMENT;
        }
    }
    return STATUS_OK;
}

static enum status write_named (
    const char *directory, const char *name, bool secret, struct bytes content, struct identity_error *error)
{
    char path[IDENTITY_PATH_SIZE];
    enum status status = identity_file_path (path, directory, name, error);
    return status != STATUS_OK ? status : identity_file_write (path, secret, content, error);
}

static enum status write_text (
    const char *directory, const char *name, bool secret, const char *text, struct identity_error *error)
{
    return write_named (directory, name, secret, bytes_text (text), error);
}

/* The secret first: a directory that has one is taken, whatever else a crash left out of it. */
static enum status write_secret (
    const char *directory, const uint8_t secret[IDENTITY_SECRET_BYTES], struct identity_error *error)
{
    char hex[2 * IDENTITY_SECRET_BYTES + 1], text[sizeof hex + 32];
    sodium_bin2hex (hex, sizeof hex, secret, IDENTITY_SECRET_BYTES);
    snprintf (text, sizeof text, "maitre-cluster-secret 1\n%s\n", hex);
    enum status status = write_text (directory, "cluster.secret", true, text, error);
    sodium_memzero (hex, sizeof hex);
    sodium_memzero (text, sizeof text);
    return status;
}

static enum status write_public (const char *directory, const struct identity *identity, struct identity_error *error)
{
    uint8_t key[IDENTITY_PUBLIC_KEY_BYTES];
    char hex[2 * IDENTITY_PUBLIC_KEY_BYTES + 1], text[sizeof hex + 32];
    identity_cluster_key (identity, key);
    sodium_bin2hex (hex, sizeof hex, key, sizeof key);
    snprintf (text, sizeof text, "maitre-cluster-key 1\n%s\n", hex);
    return write_text (directory, "cluster.public", false, text, error);
}

static enum status write_admin (
    const char *directory, const struct identity *identity, uint64_t now_ms, struct identity_error *error)
{
    struct id key;
    char token[IDENTITY_TOKEN_SIZE], text[IDENTITY_TOKEN_SIZE + 1];
    enum status status = identity_admin_key_make (identity, now_ms, &key, token);
    if (status != STATUS_OK)
        return status;
    snprintf (text, sizeof text, "%s\n", token);
    status = write_text (directory, "admin.token", true, text, error);
    sodium_memzero (token, sizeof token);
    sodium_memzero (text, sizeof text);
    return status;
}

/* A pair for every node and one that the clients share. */
static enum status write_node_keys (
    const char *directory, struct cluster_nodes *nodes, struct curve_keys *client_keys, struct identity_error *error)
{
    enum status status = curve_keys_make (client_keys);
    if (status == STATUS_OK)
        memcpy (nodes->client_public, client_keys->public_text, sizeof nodes->client_public);
    for (uint32_t i = 0; status == STATUS_OK && i < nodes->node_count; i++) {
        struct curve_keys keys;
        char name[32], path[IDENTITY_PATH_SIZE];
        snprintf (name, sizeof name, "node-%u.secret", i + 1);
        status = identity_file_path (path, directory, name, error);
        if (status == STATUS_OK)
            status = curve_keys_make (&keys);
        if (status != STATUS_OK)
            break;
        memcpy (nodes->nodes[i].public_text, keys.public_text, sizeof keys.public_text);
        status = curve_keys_save (&keys, path, error);
        curve_keys_close (&keys);
    }
    return status;
}

static enum status write_lists (const char *directory, const struct identity *identity,
    const struct cluster_nodes *nodes, const struct curve_keys *client_keys, struct identity_error *error)
{
    char *text = malloc (FILE_TEXT_SIZE);
    size_t len = 0;
    if (text == NULL) {
        identity_error_set (error, "there is no memory for the cluster's files; free some and try again");
        return STATUS_RESOURCE_EXHAUSTED;
    }
    bool fits = nodes_text (nodes, text, FILE_TEXT_SIZE, &len);
    maitre_assert (fits);
    enum status status = write_named (directory, "nodes.conf", false, bytes_of (text, len), error);
    if (status == STATUS_OK)
        status = cluster_client_make (identity, nodes, client_keys, text, FILE_TEXT_SIZE, &len);
    if (status == STATUS_OK)
        status = write_named (directory, "cluster.client", true, bytes_of (text, len), error);
    sodium_memzero (text, FILE_TEXT_SIZE);
    free (text);
    return status;
}

static enum status make_directory (const char *directory, struct identity_error *error)
{
    struct stat about;
    if (mkdir (directory, 0700) == 0)
        return STATUS_OK;
    int reason = errno;
    if (reason == EEXIST && stat (directory, &about) == 0 && S_ISDIR (about.st_mode))
        return STATUS_OK;
    identity_error_set (error, "%s cannot be created: %s; name a directory whose parent exists", directory,
        strerror (reason == EEXIST ? ENOTDIR : reason));
    return STATUS_UNAVAILABLE;
}

enum status cluster_files_create (
    const char *directory, struct cluster_nodes *nodes, bool curve, uint64_t now_ms, struct identity_error *error)
{
    identity_error_set (error, "the cluster's keys cannot be made; check that the system has random numbers");
    uint8_t secret[IDENTITY_SECRET_BYTES];
    struct identity *identity = NULL;
    struct curve_keys client_keys = {0};
    enum status status = plan_check (nodes, error);
    if (status != STATUS_OK)
        return status;
    if (sodium_init () < 0)
        return STATUS_INTERNAL;
    randombytes_buf (secret, sizeof secret);
    status = identity_new (secret, 1, &identity);
    if (status == STATUS_OK)
        status = make_directory (directory, error);
    if (status == STATUS_OK)
        status = write_secret (directory, secret, error);
    sodium_memzero (secret, sizeof secret);
    if (status == STATUS_OK) {
        nodes->cluster = *identity_cluster (identity);
        nodes->client_public[0] = '\0';
        for (uint32_t i = 0; i < nodes->node_count; i++) {
            nodes->nodes[i].node = i + 1;
            nodes->nodes[i].public_text[0] = '\0';
        }
        status = write_public (directory, identity, error);
    }
    if (status == STATUS_OK && curve)
        status = write_node_keys (directory, nodes, &client_keys, error);
    if (status == STATUS_OK)
        status = write_lists (directory, identity, nodes, curve ? &client_keys : NULL, error);
    if (status == STATUS_OK)
        status = write_admin (directory, identity, now_ms, error);
    curve_keys_close (&client_keys);
    identity_destroy (&identity);
    return status;
}
