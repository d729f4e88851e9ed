/* What a node is started with: its configuration file and the cluster files that it names.
 *
 * Room: node/engine. Ownership: a plain value; engine_config_close wipes the secrets. Thread safety: no shared state.
 *
 * The file is ZPL (zconfig); relative paths start at the file's own folder:
 *   node = 1                        position in nodes.conf
 *   data = data-1                   data folder; made when it is not there
 *   cluster
 *       nodes = nodes.conf          cluster id, endpoints, zones, public keys
 *       secret = cluster.secret
 *       key = node-1.secret         only with CURVE
 *       shards = 64                 user shards; fixed when the cluster is made
 *       replication = 3             at most as many as there are nodes
 *   metrics
 *       endpoint = 127.0.0.1:7701   absent: no metrics
 *   limits                          all optional, see struct engine_limits
 *   log
 *       level = info
 *   faults = 0                      1 allows failpoints: cluster.InjectFault and MAITRED_FAILPOINTS
 */
#ifndef MAITRED_NODE_ENGINE_CONFIG_H
#define MAITRED_NODE_ENGINE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/engine/event_log.h"
#include "node/identity/cluster_files.h"
#include "schemas/runtime/status.h"

#define ENGINE_PATH_BYTES 1024

struct engine_limits {
    uint32_t calls;       /* in flight in the node; default 16384 */
    uint32_t connections; /* of clients; default 4096 */
    uint32_t rate_per_s;  /* calls of one principal; default 0: no limit */
    uint32_t rate_burst;
    uint32_t password_queue;      /* waiting password jobs; default 64 */
    uint32_t password_threads;    /* default: one a core, at most 4 */
    uint64_t memory_mib;          /* of the state held in memory; default 1024 */
    uint64_t disk_free_min_bytes; /* default: 5 % of the disk, at most 2 GiB */
    uint32_t call_ms;             /* a call without remaining time gets this; default 5000 */
    uint32_t drain_ms;            /* default 8000 */
    uint32_t flush_ms;            /* changed state is written back at least this often; default 30000 */
    uint64_t flush_bytes;         /* ... or after this much log; default 64 MiB */
    uint64_t scrub_bytes_per_s;   /* of what is at rest is read and checked; default 4 MiB */
    uint64_t scrub_ms;            /* between the starts of two passes at least; default an hour */
};

struct engine_config {
    uint32_t node;
    char data[ENGINE_PATH_BYTES];
    struct cluster_nodes nodes;
    bool curve;
    struct curve_keys keys; /* of this node, with curve */
    char secret_path[ENGINE_PATH_BYTES];
    uint32_t shards;
    uint32_t replication;
    char metrics_address[64]; /* "" without metrics */
    uint16_t metrics_port;
    struct engine_limits limits;
    enum event_log_level log_level;
    bool faults;
    char version[40];
};

struct engine_config_error {
    bool key;    /* about a key file */
    bool memory; /* there was too little of it: nothing is wrong with the files */
    char text[1024];
};

/* Reads the file and what it names. INVALID_ARGUMENT: error->text says which line or file and what to do.
 * RESOURCE_EXHAUSTED: memory, and error->memory. */
WARN_UNUSED enum status engine_config_load (
    const char *path, struct engine_config *config, struct engine_config_error *error);

/* Fills the limits that are 0 with their defaults. */
void engine_config_defaults (struct engine_config *config);

void engine_config_close (struct engine_config *config);

#endif
