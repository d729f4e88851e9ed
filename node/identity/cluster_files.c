#include "node/identity/cluster_files.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#define WORDS_MAX 7

/* One line cut into its words. */
struct line {
    size_t count;
    struct bytes words[WORDS_MAX];
};

/* Takes the next line off *text (without its newline). False at the end, or at a line that has no newline. */
static bool next_line (struct bytes *text, struct bytes *line)
{
    const uint8_t *newline = text->len == 0 ? NULL : memchr (text->data, '\n', text->len);
    if (newline == NULL)
        return false;
    *line = bytes_of (text->data, (size_t) (newline - text->data));
    *text = bytes_of (newline + 1, text->len - line->len - 1);
    return true;
}

/* Words are separated by single spaces. False: too many, or an empty one. */
static bool split (struct bytes text, struct line *line)
{
    line->count = 0;
    while (true) {
        const uint8_t *space = text.len == 0 ? NULL : memchr (text.data, ' ', text.len);
        struct bytes word = bytes_of (text.data, space == NULL ? text.len : (size_t) (space - text.data));
        if (word.len == 0 || line->count == WORDS_MAX)
            return false;
        line->words[line->count++] = word;
        if (space == NULL)
            return true;
        text = bytes_of (space + 1, text.len - word.len - 1);
    }
}

static bool is (struct bytes word, const char *text)
{
    return bytes_equal (word, bytes_text (text));
}

/* Copies a word, "-" as the empty text. False: it does not fit or is not printable. */
static bool take_word (struct bytes word, char *out, size_t out_size)
{
    if (is (word, "-"))
        word.len = 0;
    if (word.len >= out_size)
        return false;
    for (size_t i = 0; i < word.len; i++)
        if (word.data[i] <= ' ' || word.data[i] > '~')
            return false;
    if (word.len > 0)
        memcpy (out, word.data, word.len);
    out[word.len] = '\0';
    return true;
}

static bool take_key (struct bytes word, char out[CURVE_KEY_TEXT_LEN + 1])
{
    uint8_t key[CURVE_KEY_BYTES];
    return take_word (word, out, CURVE_KEY_TEXT_LEN + 1) &&
           (out[0] == '\0' || (curve_key_decode (bytes_text (out), key) == STATUS_OK && !curve_key_is_published (out)));
}

static bool take_number (struct bytes word, uint32_t expected)
{
    char text[16];
    int len = snprintf (text, sizeof text, "%u", expected);
    return bytes_equal (word, bytes_of (text, (size_t) len));
}

static bool take_endpoint (struct bytes word, char out[CLUSTER_ENDPOINT_BYTES_MAX + 1])
{
    return take_word (word, out, CLUSTER_ENDPOINT_BYTES_MAX + 1) && out[0] != '\0';
}

static bool take_node (const struct line *line, struct cluster_nodes *nodes)
{
    if (line->count != 7 || nodes->node_count == CLUSTER_NODES_MAX)
        return false;
    struct cluster_member *node = &nodes->nodes[nodes->node_count];
    memset (node, 0, sizeof *node);
    node->node = nodes->node_count + 1;
    if (!take_number (line->words[1], node->node) || !take_endpoint (line->words[2], node->client_endpoint) ||
        !take_endpoint (line->words[3], node->peer_endpoint) ||
        !take_endpoint (line->words[4], node->gossip_endpoint) ||
        !take_word (line->words[5], node->zone, sizeof node->zone) || !take_key (line->words[6], node->public_text))
        return false;
    nodes->node_count++;
    return true;
}

/* Empty lines and lines that begin with # are the operator's own. */
static bool take_line (struct bytes text, struct cluster_nodes *nodes)
{
    struct line line;
    if (text.len == 0 || text.data[0] == '#')
        return true;
    if (!split (text, &line))
        return false;
    if (is (line.words[0], "cluster"))
        return line.count == 2 && id_parse (line.words[1], &nodes->cluster) == STATUS_OK;
    if (is (line.words[0], "client-key"))
        return line.count == 2 && take_key (line.words[1], nodes->client_public);
    return is (line.words[0], "node") && take_node (&line, nodes);
}

enum status cluster_nodes_load (const char *path, struct cluster_nodes *nodes, struct identity_error *error)
{
    char *content = NULL;
    size_t len = 0;
    enum status status = identity_file_read (path, false, &content, &len, error);
    if (status != STATUS_OK)
        return status;
    memset (nodes, 0, sizeof *nodes);
    struct bytes text = bytes_of (content, len), line;
    size_t number = 1;
    bool good = next_line (&text, &line) && is (line, "maitre-nodes 1");
    while (good && next_line (&text, &line)) {
        number++;
        good = take_line (line, nodes);
    }
    identity_file_free (&content, len);
    if (!good)
        identity_error_set (error,
            "%s, line %zu: not a list of nodes, or it has a malformed or published test key; restore the file", path,
            number);
    else if (text.len != 0 || nodes->node_count == 0 || id_is_zero (&nodes->cluster))
        identity_error_set (error, "%s is cut off: it must name the cluster and a node; restore the file", path);
    else
        return STATUS_OK;
    return STATUS_INVALID_ARGUMENT;
}

uint32_t cluster_nodes_find (const struct cluster_nodes *nodes, const uint8_t key[CURVE_KEY_BYTES])
{
    char text[CURVE_KEY_TEXT_LEN + 1];
    curve_key_encode (key, text);
    for (uint32_t i = 0; i < nodes->node_count; i++)
        if (strcmp (nodes->nodes[i].public_text, text) == 0)
            return nodes->nodes[i].node;
    return 0;
}

/* Finds the signature line, which must be the last one, and the bytes that it covers. */
static bool signature_of (struct bytes text, struct bytes *covered, uint8_t signature[IDENTITY_SIGNATURE_BYTES])
{
    static const char head[] = "signature ";
    const size_t len = sizeof head - 1 + 2 * IDENTITY_SIGNATURE_BYTES + 1;
    if (text.len <= len || text.data[text.len - 1] != '\n' || text.data[text.len - len - 1] != '\n')
        return false;
    *covered = bytes_of (text.data, text.len - len);
    const char *last = (const char *) text.data + covered->len;
    size_t got = 0;
    return memcmp (last, head, sizeof head - 1) == 0 &&
           sodium_hex2bin (signature, IDENTITY_SIGNATURE_BYTES, last + sizeof head - 1, 2 * IDENTITY_SIGNATURE_BYTES,
               NULL, &got, NULL) == 0 &&
           got == IDENTITY_SIGNATURE_BYTES;
}

enum status cluster_client_verify (
    struct bytes text, const uint8_t public_key[IDENTITY_PUBLIC_KEY_BYTES], struct identity_error *error)
{
    struct bytes covered, rest, line;
    struct line words;
    struct id cluster, expected = identity_cluster_of_key (public_key);
    uint8_t signature[IDENTITY_SIGNATURE_BYTES];
    if (!signature_of (text, &covered, signature)) {
        identity_error_set (error, "the clients' file has no signature in its last line; fetch it again");
        return STATUS_INVALID_ARGUMENT;
    }
    rest = covered;
    if (!next_line (&rest, &line) || !is (line, "maitre-client 1") || !next_line (&rest, &line) ||
        !split (line, &words) || words.count != 2 || !is (words.words[0], "cluster") ||
        id_parse (words.words[1], &cluster) != STATUS_OK) {
        identity_error_set (error, "this is not a clients' file of this version; fetch cluster.client again");
        return STATUS_INVALID_ARGUMENT;
    }
    if (!id_equal (&cluster, &expected)) {
        identity_error_set (error, "the clients' file belongs to another cluster; fetch this cluster's");
        return STATUS_PERMISSION_DENIED;
    }
    if (!identity_signed (public_key, covered, signature)) {
        identity_error_set (error, "the clients' file was changed after it was signed; fetch it again");
        return STATUS_PERMISSION_DENIED;
    }
    return STATUS_OK;
}

enum status cluster_public_load (
    const char *path, uint8_t public_key[IDENTITY_PUBLIC_KEY_BYTES], struct identity_error *error)
{
    char *text = NULL;
    size_t len = 0, got = 0;
    enum status status = identity_file_read (path, false, &text, &len, error);
    if (status != STATUS_OK)
        return status;
    static const char head[] = "maitre-cluster-key 1\n";
    const size_t head_len = sizeof head - 1, digits = 2 * IDENTITY_PUBLIC_KEY_BYTES;
    bool good =
        len == head_len + digits + 1 && memcmp (text, head, head_len) == 0 && text[len - 1] == '\n' &&
        sodium_hex2bin (public_key, IDENTITY_PUBLIC_KEY_BYTES, text + head_len, digits, NULL, &got, NULL) == 0 &&
        got == IDENTITY_PUBLIC_KEY_BYTES;
    identity_file_free (&text, len);
    if (good)
        return STATUS_OK;
    identity_error_set (error, "%s is not a cluster key file; restore cluster.public", path);
    return STATUS_INVALID_ARGUMENT;
}
