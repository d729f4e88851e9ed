#include "node/engine/engine_config.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <czmq.h>

#include "node/identity/identity_file.h"

#define SHARDS_MAX 4096
#define MIB (UINT64_C (1024) * 1024)

void engine_config_defaults (struct engine_config *config)
{
    struct engine_limits *limits = &config->limits;
    long cores = sysconf (_SC_NPROCESSORS_ONLN);
    if (limits->calls == 0)
        limits->calls = 16384;
    if (limits->connections == 0)
        limits->connections = 4096;
    if (limits->password_queue == 0)
        limits->password_queue = 64;
    if (limits->password_threads == 0)
        limits->password_threads = cores < 1 ? 1 : cores > 4 ? 4 : (uint32_t) cores;
    if (limits->memory_mib == 0)
        limits->memory_mib = 1024;
    if (limits->call_ms == 0)
        limits->call_ms = 5000;
    if (limits->drain_ms == 0)
        limits->drain_ms = 8000;
    if (limits->flush_ms == 0)
        limits->flush_ms = 30000;
    if (limits->flush_bytes == 0)
        limits->flush_bytes = 64 * MIB;
    if (limits->scrub_bytes_per_s == 0)
        limits->scrub_bytes_per_s = 4 * MIB;
    if (limits->scrub_ms == 0)
        limits->scrub_ms = 3600000;
    if (config->shards == 0)
        config->shards = 64;
    if (config->replication == 0)
        config->replication = 3;
    if (config->version[0] == '\0')
        strcpy (config->version, MAITRED_VERSION);
}

void engine_config_close (struct engine_config *config)
{
    curve_keys_close (&config->keys);
}

struct reader {
    zconfig_t *root;
    const char *path;
    char folder[ENGINE_PATH_BYTES];
    struct engine_config_error *error;
    bool failed;
};

__attribute__ ((format (printf, 2, 3))) static void fail (struct reader *reader, const char *format, ...)
{
    if (reader->failed)
        return;
    reader->failed = true;
    int len = snprintf (reader->error->text, sizeof reader->error->text, "%s: ", reader->path);
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (reader->error->text + len, sizeof reader->error->text - (size_t) len, format, arguments);
    va_end (arguments);
}

/* As fail, of a file that was named; why.text begins with its path. */
static void fail_file (struct reader *reader, enum status status, const struct identity_error *why)
{
    if (!reader->failed)
        reader->error->memory = status == STATUS_RESOURCE_EXHAUSTED;
    fail (reader, "%s", why->text);
}

static uint64_t read_number (struct reader *reader, const char *key, uint64_t fallback, uint64_t min, uint64_t max)
{
    const char *text = zconfig_get (reader->root, key, NULL);
    if (text == NULL)
        return fallback;
    char *end;
    errno = 0;
    unsigned long long number = strtoull (text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || number < min || number > max)
        fail (reader, "%s = %s: give a number from %llu to %llu", key, text, (unsigned long long) min,
            (unsigned long long) max);
    return number;
}

/* A path of the file, made absolute from the file's own folder. */
static bool read_path (struct reader *reader, const char *key, const char *fallback, char out[ENGINE_PATH_BYTES])
{
    const char *text = zconfig_get (reader->root, key, fallback);
    if (text == NULL || *text == '\0') {
        out[0] = '\0';
        return false;
    }
    int len = text[0] == '/' ? snprintf (out, ENGINE_PATH_BYTES, "%s", text)
                             : snprintf (out, ENGINE_PATH_BYTES, "%s/%s", reader->folder, text);
    if (len < 0 || len >= ENGINE_PATH_BYTES)
        fail (reader, "%s: the path is too long: use a shorter one", key);
    return true;
}

static void read_limits (struct reader *reader, struct engine_limits *limits)
{
    limits->calls = (uint32_t) read_number (reader, "limits/calls", 0, 16, 1000000);
    limits->connections = (uint32_t) read_number (reader, "limits/connections", 0, 1, 60000);
    limits->rate_per_s = (uint32_t) read_number (reader, "limits/rate_per_s", 0, 0, 1000000);
    limits->rate_burst = (uint32_t) read_number (reader, "limits/rate_burst", 0, 0, 1000000);
    limits->password_queue = (uint32_t) read_number (reader, "limits/password_queue", 0, 1, 10000);
    limits->password_threads = (uint32_t) read_number (reader, "limits/password_threads", 0, 1, 8);
    limits->memory_mib = read_number (reader, "limits/memory_mib", 0, 16, 1024 * 1024);
    limits->disk_free_min_bytes = read_number (reader, "limits/disk_free_min_mib", 0, 0, 1024 * 1024) * MIB;
    limits->call_ms = (uint32_t) read_number (reader, "limits/call_ms", 0, 10, 3600000);
    limits->drain_ms = (uint32_t) read_number (reader, "limits/drain_ms", 0, 100, 60000);
    limits->flush_ms = (uint32_t) read_number (reader, "limits/flush_ms", 0, 100, 3600000);
    limits->flush_bytes = read_number (reader, "limits/flush_mib", 0, 1, 4096) * MIB;
    limits->scrub_bytes_per_s = read_number (reader, "limits/scrub_mib_per_s", 0, 1, 4096) * MIB;
    limits->scrub_ms = read_number (reader, "limits/scrub_ms", 0, 100, UINT32_MAX);
}

static void read_metrics (struct reader *reader, struct engine_config *config)
{
    const char *endpoint = zconfig_get (reader->root, "metrics/endpoint", NULL);
    if (endpoint == NULL)
        return;
    const char *colon = strrchr (endpoint, ':');
    char *end = NULL;
    unsigned long port = colon == NULL ? 0 : strtoul (colon + 1, &end, 10);
    if (colon == NULL || colon == endpoint || *end != '\0' || port == 0 || port > 65535 ||
        (size_t) (colon - endpoint) >= sizeof config->metrics_address) {
        fail (reader, "metrics/endpoint = %s: give an address and a port such as 127.0.0.1:7701", endpoint);
        return;
    }
    memcpy (config->metrics_address, endpoint, (size_t) (colon - endpoint));
    config->metrics_port = (uint16_t) port;
}

static void read_cluster (struct reader *reader, struct engine_config *config)
{
    char nodes_path[ENGINE_PATH_BYTES], key_path[ENGINE_PATH_BYTES];
    struct identity_error why = {.text = ""};
    read_path (reader, "cluster/nodes", "nodes.conf", nodes_path);
    read_path (reader, "cluster/secret", "cluster.secret", config->secret_path);
    enum status status = reader->failed ? STATUS_OK : cluster_nodes_load (nodes_path, &config->nodes, &why);
    if (status != STATUS_OK)
        fail_file (reader, status, &why);
    if (reader->failed)
        return;
    if (config->node > config->nodes.node_count) {
        fail (reader, "node = %u, but %s lists %u nodes: correct the number", config->node, nodes_path,
            config->nodes.node_count);
        return;
    }
    const char *public_text = config->nodes.nodes[config->node - 1].public_text;
    config->curve = public_text[0] != '\0';
    if (!config->curve)
        return;
    char name[32];
    snprintf (name, sizeof name, "node-%u.secret", config->node);
    read_path (reader, "cluster/key", name, key_path);
    status = reader->failed ? STATUS_OK : curve_keys_load (&config->keys, key_path, &why);
    if (status != STATUS_OK) {
        reader->error->key = status != STATUS_RESOURCE_EXHAUSTED;
        fail_file (reader, status, &why);
    } else if (!reader->failed && strcmp (config->keys.public_text, public_text) != 0) {
        reader->error->key = true;
        fail (reader, "%s is not the key that %s lists for node %u: give the node its own key file", key_path,
            nodes_path, config->node);
    }
}

/* Every key that the file may have: a misspelt one must not pass for a default. */
static const char *const known_keys[] = {"node", "data", "faults", "cluster", "cluster/nodes", "cluster/secret",
    "cluster/key", "cluster/shards", "cluster/replication", "metrics", "metrics/endpoint", "log", "log/level", "limits",
    "limits/calls", "limits/connections", "limits/rate_per_s", "limits/rate_burst", "limits/password_queue",
    "limits/password_threads", "limits/memory_mib", "limits/disk_free_min_mib", "limits/call_ms", "limits/drain_ms",
    "limits/flush_ms", "limits/flush_mib", "limits/scrub_mib_per_s", "limits/scrub_ms"};

static bool key_known (const char *key)
{
    for (size_t i = 0; i < sizeof known_keys / sizeof *known_keys; i++)
        if (strcmp (known_keys[i], key) == 0)
            return true;
    return false;
}

static void check_keys (struct reader *reader, zconfig_t *parent, const char *above)
{
    for (zconfig_t *item = zconfig_child (parent); item != NULL && !reader->failed; item = zconfig_next (item)) {
        char key[128];
        snprintf (key, sizeof key, "%s%s%s", above, *above != '\0' ? "/" : "", zconfig_name (item));
        if (!key_known (key))
            fail (reader, "%s: there is no such key: correct its name or remove it", key);
        else
            check_keys (reader, item, key);
    }
}

/* Not zconfig_load: up to CZMQ 4.2 it keeps a file with a wrong line open. NULL: the reader has failed. */
static zconfig_t *read_file (struct reader *reader)
{
    char *text;
    size_t len;
    struct identity_error error;
    enum status status = identity_file_read (reader->path, false, &text, &len, &error);
    if (status != STATUS_OK) {
        reader->failed = true;
        reader->error->memory = status == STATUS_RESOURCE_EXHAUSTED;
        snprintf (reader->error->text, sizeof reader->error->text, "%.*s", (int) sizeof reader->error->text - 1,
            error.text); /* it begins with the path */
        return NULL;
    }
    zchunk_t *chunk = zchunk_new (text, len);
    zconfig_t *root = chunk == NULL ? NULL : zconfig_chunk_load (chunk);
    zchunk_destroy (&chunk);
    identity_file_free (&text, len);
    if (root == NULL)
        fail (reader, "is no ZPL file: run \"maitred create-cluster --help\" for how to make one");
    return root;
}

enum status engine_config_load (const char *path, struct engine_config *config, struct engine_config_error *error)
{
    memset (config, 0, sizeof *config);
    memset (error, 0, sizeof *error);
    struct reader reader = {.path = path, .error = error};
    char copy[ENGINE_PATH_BYTES];
    if (snprintf (copy, sizeof copy, "%s", path) >= (int) sizeof copy) {
        fail (&reader, "the path is too long: use a shorter one");
        return STATUS_INVALID_ARGUMENT;
    }
    snprintf (reader.folder, sizeof reader.folder, "%s", dirname (copy));
    reader.root = read_file (&reader);
    if (reader.root == NULL)
        return error->memory ? STATUS_RESOURCE_EXHAUSTED : STATUS_INVALID_ARGUMENT;
    check_keys (&reader, reader.root, "");
    config->node = (uint32_t) read_number (&reader, "node", 0, 1, CLUSTER_NODES_MAX);
    if (config->node == 0)
        fail (&reader, "node is missing: say which line of nodes.conf this node is, for example node = 1");
    char name[32];
    snprintf (name, sizeof name, "data-%u", config->node);
    read_path (&reader, "data", name, config->data);
    config->shards = (uint32_t) read_number (&reader, "cluster/shards", 0, 1, SHARDS_MAX);
    config->replication = (uint32_t) read_number (&reader, "cluster/replication", 0, 1, 7);
    config->faults = read_number (&reader, "faults", 0, 0, 1) == 1;
    const char *level = zconfig_get (reader.root, "log/level", "info");
    if (!event_log_level_parse (level, &config->log_level))
        fail (&reader, "log/level = %s: give debug, info, warn or error", level);
    read_limits (&reader, &config->limits);
    read_metrics (&reader, config);
    if (!reader.failed)
        read_cluster (&reader, config);
    zconfig_destroy (&reader.root);
    if (reader.failed) {
        engine_config_close (config);
        return error->memory ? STATUS_RESOURCE_EXHAUSTED : STATUS_INVALID_ARGUMENT;
    }
    engine_config_defaults (config);
    return STATUS_OK;
}
