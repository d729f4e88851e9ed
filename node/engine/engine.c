/* From a configuration to a running node, and back. */
#include "node/engine/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "node/engine/engine_internal.h"

#define DESCRIPTORS_LEAST 96 /* to start; each client, and each file of a database, is one more */
#define DESCRIPTORS_A_NODE 8
#define TOKEN_CACHE_MAX 4096
#define MIB (UINT64_C (1024) * 1024)

uint64_t engine_clock_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

uint64_t engine_clock_ms (void)
{
    return engine_clock_us () / 1000;
}

uint64_t engine_wall_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

void engine_halt (struct engine *engine, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (text, sizeof text, format, arguments);
    va_end (arguments);
    (void) engine;
    event_log (EVENT_LOG_ERROR, "the node halts: nothing more leaves it", event_log_text ("why", text));
    _exit (ENGINE_EXIT_HALTED);
}

bool engine_fail (struct engine_error *error, enum engine_exit code, const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    error->exit = code;
    vsnprintf (error->text, sizeof error->text, format, arguments);
    va_end (arguments);
    return false;
}

static bool open_memory (struct engine *engine, struct engine_error *error)
{
    engine->encoded = malloc (ENGINE_PAGE_BYTES_MAX);
    engine->page = malloc (ENGINE_PAGE_BYTES_MAX);
    engine->entries = calloc (RAFT_MESSAGE_ENTRIES_MAX, sizeof *engine->entries);
    engine->wire_entries = calloc (RAFT_MESSAGE_ENTRIES_MAX, sizeof *engine->wire_entries);
    engine->store_entries = calloc (RAFT_MESSAGE_ENTRIES_MAX, sizeof *engine->store_entries);
    uint8_t *arena = malloc (ENGINE_ARENA_BYTES), *scratch = malloc (SHARD_SCRATCH_BYTES);
    if (arena != NULL)
        arena_init (&engine->arena, arena, ENGINE_ARENA_BYTES);
    if (scratch != NULL)
        arena_init (&engine->scratch, scratch, SHARD_SCRATCH_BYTES);
    if (engine->encoded == NULL || engine->page == NULL || engine->entries == NULL || engine->wire_entries == NULL ||
        engine->store_entries == NULL || arena == NULL || scratch == NULL ||
        getrandom (engine->random_state, sizeof engine->random_state, 0) != sizeof engine->random_state ||
        engine_calls_init (engine) != STATUS_OK)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "out of memory: give the node more, or lower limits/calls");
    engine->budget.max_bytes = engine->config.limits.memory_mib * MIB;
    return true;
}

static bool open_identity (struct engine *engine, struct engine_error *error)
{
    struct identity_error why;
    enum status status = identity_open (engine->config.secret_path, TOKEN_CACHE_MAX, &engine->identity, &why);
    if (status != STATUS_OK)
        return engine_fail (
            error, status == STATUS_RESOURCE_EXHAUSTED ? ENGINE_EXIT_RESOURCES : ENGINE_EXIT_KEY, "%s", why.text);
    if (!id_equal (identity_cluster (engine->identity), &engine->config.nodes.cluster))
        return engine_fail (error, ENGINE_EXIT_KEY,
            "%s is the secret of another cluster than nodes.conf: give the node the files of one cluster",
            engine->config.secret_path);
    struct password_throttle_limits limits = {
        .seed = (uint64_t) engine->random_state[0] << 32 | engine->random_state[3]};
    struct route_limits rates = {
        .rate_per_s = engine->config.limits.rate_per_s,
        .burst = engine->config.limits.rate_burst,
        .queue_max = engine->config.limits.calls,
    };
    if (password_throttle_new (&limits, &engine->throttle) != STATUS_OK ||
        route_admission_new (&rates, &engine->admission) != STATUS_OK)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "out of memory, or limits/rate_per_s is too high");
    return true;
}

static bool open_store (struct engine *engine, struct engine_error *error)
{
    struct store_options options = {
        .cluster = engine->config.nodes.cluster,
        .node = engine->config.node,
        .state_from_others = engine->config.replication > 1 && engine->config.nodes.node_count > 1,
        .background_nice = true,
    };
    struct store_error why;
    bool created;
    enum status status = store_open (engine->config.data, &options, &engine->store, &created, &why);
    if (status == STATUS_FAILED_PRECONDITION)
        return engine_fail (error, ENGINE_EXIT_FOLDER, "%s", why.text);
    if (status == STATUS_DATA_LOSS)
        return engine_fail (error, ENGINE_EXIT_DAMAGE,
            "%s; nothing was changed: see \"A disk that is lost or damaged\" in node/README.md", why.text);
    if (status != STATUS_OK)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "%s", why.text);
    failpoint_pass (FAILPOINT_START_FOLDER);
    engine_tell_suspect (engine);
    return true;
}

static bool allow_keys (struct engine *engine, struct engine_error *error)
{
    const struct cluster_nodes *nodes = &engine->config.nodes;
    if (zap_new (&engine->zap) != STATUS_OK)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "the keys' handler cannot start: raise ulimit -n");
    for (uint32_t i = 0; i < nodes->node_count; i++) {
        uint8_t key[CURVE_KEY_BYTES];
        char name[ZAP_NAME_BYTES_MAX + 1];
        snprintf (name, sizeof name, "%u", i + 1);
        if (curve_key_decode (bytes_text (nodes->nodes[i].public_text), key) != STATUS_OK ||
            zap_allow (engine->zap, ZAP_PEER, key, name) != STATUS_OK)
            return engine_fail (
                error, ENGINE_EXIT_KEY, "nodes.conf: node %u has no good public key: make the cluster anew", i + 1);
    }
    uint8_t key[CURVE_KEY_BYTES];
    if (nodes->client_public[0] == '\0') {
        zap_allow_any (engine->zap, ZAP_CLIENT);
    } else if (curve_key_decode (bytes_text (nodes->client_public), key) != STATUS_OK ||
               zap_allow (engine->zap, ZAP_CLIENT, key, "client") != STATUS_OK) {
        return engine_fail (
            error, ENGINE_EXIT_KEY, "nodes.conf: the clients' public key is not one: make the cluster anew");
    }
    return true;
}

static enum engine_exit bind_exit (enum status status)
{
    return status == STATUS_FAILED_PRECONDITION ? ENGINE_EXIT_PORT
           : status == STATUS_INVALID_ARGUMENT  ? ENGINE_EXIT_CONFIG
                                                : ENGINE_EXIT_RESOURCES;
}

static bool open_sockets (struct engine *engine, struct engine_error *error)
{
    const struct cluster_member *self = &engine->config.nodes.nodes[engine->config.node - 1];
    uint8_t public_key[CURVE_KEY_BYTES], secret_key[CURVE_KEY_BYTES];
    bool curve = engine->config.curve;
    if (curve && !allow_keys (engine, error))
        return false;
    if (curve && (curve_key_decode (bytes_text (engine->config.keys.public_text), public_key) != STATUS_OK ||
                     curve_key_decode (bytes_text (engine->config.keys.secret_text), secret_key) != STATUS_OK))
        return engine_fail (error, ENGINE_EXIT_KEY, "the node's key file is not acceptable: make the cluster anew");
    struct front_options front = {
        .endpoint = self->client_endpoint,
        .connections_max = engine->config.limits.connections,
        .public_key = curve ? public_key : NULL,
        .secret_key = curve ? secret_key : NULL,
    };
    enum status status = front_new (&front, &engine->front, error->text, sizeof error->text);
    if (status == STATUS_OK) {
        struct transport_options peers = {
            .node = engine->config.node,
            .cluster = engine->config.nodes.cluster,
            .uuid = store_identity (engine->store)->node,
            .peer_endpoint = self->peer_endpoint,
            .gossip_endpoint = self->gossip_endpoint,
            .public_key = curve ? public_key : NULL,
            .secret_key = curve ? secret_key : NULL,
        };
        status = transport_new (&peers, &engine->transport, error->text, sizeof error->text);
    }
    explicit_bzero (secret_key, sizeof secret_key);
    if (status == STATUS_RESOURCE_EXHAUSTED && error->text[0] == '\0')
        snprintf (error->text, sizeof error->text, "out of memory for sockets: give the node more");
    error->exit = bind_exit (status);
    return status == STATUS_OK;
}

static bool dial_peers (struct engine *engine, struct engine_error *error)
{
    for (uint32_t i = 0; i < engine->config.nodes.node_count; i++) {
        const struct cluster_member *member = &engine->config.nodes.nodes[i];
        uint8_t key[CURVE_KEY_BYTES];
        if (i + 1 == engine->config.node)
            continue;
        if (engine->config.curve && curve_key_decode (bytes_text (member->public_text), key) != STATUS_OK)
            return engine_fail (error, ENGINE_EXIT_KEY, "nodes.conf: node %u has no good public key", i + 1);
        struct transport_peer peer = {
            .node = i + 1,
            .peer_endpoint = member->peer_endpoint,
            .gossip_endpoint = member->gossip_endpoint,
            .public_key = engine->config.curve ? key : NULL,
        };
        enum status status = transport_add_peer (engine->transport, &peer);
        if (status != STATUS_OK)
            return engine_fail (error, status == STATUS_RESOURCE_EXHAUSTED ? ENGINE_EXIT_RESOURCES : ENGINE_EXIT_CONFIG,
                "nodes.conf: node %u cannot be dialled at %s: correct the endpoint, or raise ulimit -n", i + 1,
                member->peer_endpoint);
    }
    return true;
}

/* Sockets, files and memory maps all count: take what the system gives. With too little a database that does not open would
 * look damaged, and CZMQ would abort: better not to begin. */
static bool raise_descriptors (const struct engine_config *config, struct engine_error *error)
{
    struct rlimit limit;
    if (getrlimit (RLIMIT_NOFILE, &limit) != 0)
        return true;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit (RLIMIT_NOFILE, &limit);
    }
    uint64_t least = DESCRIPTORS_LEAST + DESCRIPTORS_A_NODE * (uint64_t) config->nodes.node_count;
    return limit.rlim_cur >= least ||
           engine_fail (error, ENGINE_EXIT_RESOURCES,
               "ulimit -n is %llu, and a node of this cluster needs %llu descriptors at least: raise it (LimitNOFILE)",
               (unsigned long long) limit.rlim_cur, (unsigned long long) least);
}

static bool open_all (struct engine *engine, struct engine_error *error)
{
    if (!open_memory (engine, error) || !open_identity (engine, error) || !open_store (engine, error))
        return false;
    /* Reading the log takes seconds where it is long: whoever could connect meanwhile would send calls, and wait. */
    if (!engine_recover (engine, error) || !open_sockets (engine, error) || !engine_peers_load (engine, error))
        return false;
    if (engine_gossip_open (engine) != STATUS_OK)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "gossip cannot start: check the disk and the memory");
    if (!dial_peers (engine, error))
        return false;
    if (failpoint (FAILPOINT_START_THREADS) || engine_writer_start (engine) != STATUS_OK ||
        engine_flusher_start (engine) != STATUS_OK || engine_hashers_start (engine) != STATUS_OK ||
        engine_scrubber_start (engine) != STATUS_OK)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "threads cannot be started: raise the limits of processes");
    return engine_metrics_open (engine, error);
}

bool engine_open (const struct engine_config *config, struct engine **out, struct engine_error *error)
{
    memset (error, 0, sizeof *error);
    if (!raise_descriptors (config, error))
        return false;
    struct engine *engine = calloc (1, sizeof *engine);
    if (engine == NULL)
        return engine_fail (error, ENGINE_EXIT_RESOURCES, "out of memory");
    engine->config = *config;
    engine->now_us = engine_clock_us ();
    engine->now_ms = engine->started_ms = engine->now_us / 1000;
    engine->writer.event_fd = engine->flusher.event_fd = engine->hashers.event_fd = -1;
    engine->stop_fd = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (engine->stop_fd < 0 || !open_all (engine, error)) {
        engine_close (&engine);
        return false;
    }
    *out = engine;
    return true;
}

void engine_close (struct engine **self_p)
{
    struct engine *engine = *self_p;
    if (engine == NULL)
        return;
    engine_metrics_close (engine);
    engine_scrubber_stop (engine);
    engine_hashers_stop (engine);
    engine_flusher_stop (engine);
    engine_writer_stop (engine);
    engine_calls_close (engine);
    engine_backups_close (engine);
    engine_replicas_close (engine);
    gossip_destroy (&engine->gossip);
    gossip_effects_destroy (&engine->gossip_effects);
    transport_destroy (&engine->transport);
    front_destroy (&engine->front);
    zap_destroy (&engine->zap);
    failpoint_pass (FAILPOINT_STOP_CLOSE);
    store_close (&engine->store);
    route_map_close (&engine->map);
    route_admission_destroy (&engine->admission);
    password_throttle_destroy (&engine->throttle);
    identity_destroy (&engine->identity);
    close (engine->stop_fd);
    free (engine->revoked);
    free (engine->encoded);
    free (engine->page);
    free (engine->entries);
    free (engine->wire_entries);
    free (engine->store_entries);
    free (engine->arena.base);
    free (engine->scratch.base);
    engine_placement_close (engine);
    engine_config_close (&engine->config);
    free (engine);
    *self_p = NULL;
}

void engine_stop (struct engine *engine)
{
    atomic_fetch_add (&engine->stop_requests, 1);
    uint64_t one = 1;
    ssize_t written = write (engine->stop_fd, &one, sizeof one);
    (void) written;
}
