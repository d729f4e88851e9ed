/* The text files that a node and a client start from: node.conf, nodes.conf, key files, the cluster's secret and public key,
 * the clients' file. What is refused is refused with words; what is taken is within its bounds, and complete. */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/src/client.h"
#include "node/engine/engine_config.h"
#include "node/identity/cluster_files.h"
#include "test/fuzz/fuzz.h"

static int file = -1;
static char path[64];

static void prepare (void)
{
    if (file >= 0)
        return;
    file = memfd_create ("fuzz", 0); /* a file that lies in memory, with a name to open it by */
    maitre_assert (file >= 0 && fchmod (file, 0600) == 0);
    snprintf (path, sizeof path, "/proc/self/fd/%d", file);
}

static void write_file (struct bytes text)
{
    maitre_assert (ftruncate (file, 0) == 0);
    maitre_assert (pwrite (file, text.data, text.len, 0) == (ssize_t) text.len);
}

static void check_nodes (const struct cluster_nodes *nodes)
{
    maitre_assert (nodes->node_count >= 1 && nodes->node_count <= CLUSTER_NODES_MAX);
    for (uint32_t i = 0; i < nodes->node_count; i++) {
        const struct cluster_member *node = &nodes->nodes[i];
        maitre_assert (node->node == i + 1);
        maitre_assert (strnlen (node->client_endpoint, sizeof node->client_endpoint) <= CLUSTER_ENDPOINT_BYTES_MAX);
        maitre_assert (node->client_endpoint[0] != '\0' && node->peer_endpoint[0] != '\0');
        maitre_assert (strnlen (node->zone, sizeof node->zone) <= CLUSTER_ZONE_BYTES_MAX);
        maitre_assert (node->public_text[0] == '\0' || strlen (node->public_text) == CURVE_KEY_TEXT_LEN);
    }
}

static void load_client (void)
{
    static struct client_node nodes[CLIENT_NODES_MAX];
    static struct maitre client;
    struct maitre_error error;
    memset (&client, 0, sizeof client);
    client.nodes = nodes;
    if (client_file_read (&client, path, &error) != STATUS_OK) {
        maitre_assert (error.message[0] != '\0' && error.reason[0] != '\0');
        return;
    }
    maitre_assert (client.node_count >= 1 && client.node_count <= CLIENT_NODES_MAX);
    for (uint32_t i = 0; i < client.node_count; i++) {
        maitre_assert (client.nodes[i].number >= 1 && client.nodes[i].endpoint[0] != '\0');
        maitre_assert ((client.nodes[i].key[0] != '\0') == (client.client_public[0] != '\0'));
    }
}

static void read_endpoints (struct bytes text)
{
    static struct client_node nodes[CLIENT_NODES_MAX];
    static struct maitre client;
    struct maitre_error error;
    char *list = malloc (text.len + 1);
    maitre_assert (list != NULL);
    memcpy (list, text.data, text.len);
    list[text.len] = '\0';
    memset (&client, 0, sizeof client);
    client.nodes = nodes;
    if (client_file_endpoints (&client, list, &error) == STATUS_OK)
        maitre_assert (client.node_count >= 1);
    else
        maitre_assert (error.message[0] != '\0');
    free (list);
}

static void load_config (void)
{
    static struct engine_config config;
    struct engine_config_error error;
    if (engine_config_load (path, &config, &error) != STATUS_OK) {
        maitre_assert (error.text[0] != '\0');
        return;
    }
    maitre_assert (config.node >= 1 && config.node <= config.nodes.node_count);
    maitre_assert (config.shards >= 1 && config.replication >= 1 && config.limits.calls > 0);
    check_nodes (&config.nodes);
    engine_config_close (&config);
}

static void check_error (enum status status, const struct identity_error *error)
{
    maitre_assert (status == STATUS_OK || error->text[0] != '\0');
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    static struct cluster_nodes nodes;
    struct fuzz fuzz = {.at = data, .left = size};
    struct identity_error error = {.text = ""};
    struct curve_keys keys;
    struct identity *identity = NULL;
    uint8_t public_key[IDENTITY_PUBLIC_KEY_BYTES] = {0}, key[CURVE_KEY_BYTES];
    char text[CURVE_KEY_TEXT_LEN + 1];
    enum status status;
    prepare ();
    uint8_t choice = fuzz_u8 (&fuzz);
    struct bytes content = fuzz_rest (&fuzz);
    if (content.len == 0)
        return 0;
    write_file (content);
    switch (choice % 9) {
    case 0:
        load_config ();
        break;
    case 1:
        status = cluster_nodes_load (path, &nodes, &error);
        check_error (status, &error);
        if (status == STATUS_OK)
            check_nodes (&nodes);
        break;
    case 2:
        load_client ();
        break;
    case 3:
        status = curve_keys_load (&keys, path, &error);
        check_error (status, &error);
        maitre_assert (status != STATUS_OK || curve_keys_valid (&keys));
        break;
    case 4:
        status = identity_open (path, 16, &identity, &error);
        check_error (status, &error);
        identity_destroy (&identity);
        break;
    case 5:
        check_error (cluster_public_load (path, public_key, &error), &error);
        break;
    case 6:
        check_error (cluster_client_verify (content, public_key, &error), &error);
        break;
    case 7:
        read_endpoints (content);
        break;
    default:
        if (curve_key_decode (content, key) == STATUS_OK) {
            curve_key_encode (key, text);
            maitre_assert (bytes_equal (bytes_text (text), content)); /* one spelling a key */
        }
    }
    return 0;
}
