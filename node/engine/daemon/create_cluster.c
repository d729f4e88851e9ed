#include "node/engine/daemon/create_cluster.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/engine/daemon/allow_faults.h"
#include "node/engine/engine.h"
#include "node/identity/cluster_files.h"

struct plan {
    const char *dir;
    const char *host;
    unsigned long nodes, port, shards, replication;
    bool curve, faults;
};

static void usage (FILE *out)
{
    fprintf (out,
        "usage: maitred create-cluster --dir DIR [--nodes 3] [--port 7400] [--host 127.0.0.1] [--shards 64]\n"
        "                              [--replication 3] [--no-curve] [--faults]\n"
        "\n"
        "Makes DIR with the cluster's secret, a key for each node, nodes.conf, a configuration for each node\n"
        "(node-N.conf), the clients' file (cluster.client) and an API key with every role (admin.token).\n"
        "Node N listens for clients at port + N, for peers at port + 100 + N, for gossip at port + 200 + N, and\n"
        "serves its metrics at 127.0.0.1, port + 300 + N. --faults allows failpoints (tests only).\n"
        "\n"
        "example: maitred create-cluster --dir ./cluster --nodes 3\n"
        "         for n in 1 2 3; do maitred --config ./cluster/node-$n.conf & done\n");
}

static bool number (const char *text, unsigned long min, unsigned long max, const char *name, unsigned long *out)
{
    char *end;
    unsigned long value = strtoul (text, &end, 10);
    if (end == text || *end != '\0' || text[0] == '-' || value < min || value > max) {
        fprintf (stderr, "maitred create-cluster: --%s %s: give a number from %lu to %lu\n", name, text, min, max);
        return false;
    }
    *out = value;
    return true;
}

static bool parse (int argc, char **argv, struct plan *plan, int *code)
{
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'},
        {"nodes", required_argument, NULL, 'n'},
        {"port", required_argument, NULL, 'p'},
        {"host", required_argument, NULL, 'H'},
        {"shards", required_argument, NULL, 's'},
        {"replication", required_argument, NULL, 'r'},
        {"no-curve", no_argument, NULL, 'C'},
        {"faults", no_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int choice;
    bool fine = true;
    *code = ENGINE_EXIT_CONFIG;
    while (fine && (choice = getopt_long (argc, argv, "", options, NULL)) != -1) {
        switch (choice) {
        case 'd':
            plan->dir = optarg;
            break;
        case 'n':
            fine = number (optarg, 1, 99, "nodes", &plan->nodes);
            break;
        case 'p':
            fine = number (optarg, 1, 65000, "port", &plan->port);
            break;
        case 'H':
            plan->host = optarg;
            break;
        case 's':
            fine = number (optarg, 1, 4096, "shards", &plan->shards);
            break;
        case 'r':
            fine = number (optarg, 1, 7, "replication", &plan->replication);
            break;
        case 'C':
            plan->curve = false;
            break;
        case 'f':
            plan->faults = true;
            break;
        case 'h':
            usage (stdout);
            *code = ENGINE_EXIT_OK;
            return false;
        default:
            fine = false;
        }
    }
    if (fine && plan->dir != NULL && optind == argc)
        return true;
    usage (stderr);
    return false;
}

static bool write_config (const struct plan *plan, unsigned node, struct identity_error *error)
{
    char name[64], path[IDENTITY_PATH_SIZE], text[1024];
    snprintf (name, sizeof name, "node-%u.conf", node);
    if (identity_file_path (path, plan->dir, name, error) != STATUS_OK)
        return false;
    int len = snprintf (text, sizeof text,
        "#   maitred node %u; relative paths start at this file's folder\n"
        "node = %u\n"
        "data = data-%u\n"
        "faults = %d\n"
        "cluster\n"
        "    nodes = nodes.conf\n"
        "    secret = cluster.secret\n"
        "    key = node-%u.secret\n"
        "    shards = %lu\n"
        "    replication = %lu\n"
        "metrics\n"
        "    endpoint = 127.0.0.1:%lu\n"
        "log\n"
        "    level = info\n",
        node, node, node, plan->faults, node, plan->shards, plan->replication, plan->port + 300 + node);
    return identity_file_write (path, false, bytes_of (text, (size_t) len), error) == STATUS_OK;
}

int create_cluster (int argc, char **argv)
{
    static struct cluster_nodes nodes; /* large */
    struct plan plan = {.host = "127.0.0.1", .nodes = 3, .port = 7400, .shards = 64, .replication = 3, .curve = true};
    struct identity_error error = {.text = ""};
    int code;
    if (!parse (argc, argv, &plan, &code))
        return code;
    nodes.node_count = (uint32_t) plan.nodes;
    for (unsigned i = 0; i < plan.nodes; i++) {
        struct cluster_member *member = &nodes.nodes[i];
        snprintf (
            member->client_endpoint, sizeof member->client_endpoint, "tcp://%s:%lu", plan.host, plan.port + i + 1);
        snprintf (member->peer_endpoint, sizeof member->peer_endpoint, "tcp://%s:%lu", plan.host, plan.port + 101 + i);
        snprintf (
            member->gossip_endpoint, sizeof member->gossip_endpoint, "tcp://%s:%lu", plan.host, plan.port + 201 + i);
    }
    if (!allow_faults (plan.faults))
        return ENGINE_EXIT_CONFIG;
    enum status status = cluster_files_create (plan.dir, &nodes, plan.curve, (uint64_t) time (NULL) * 1000, &error);
    bool fine = status == STATUS_OK;
    for (unsigned i = 1; i <= plan.nodes && fine; i++)
        fine = write_config (&plan, i, &error);
    if (!fine) {
        fprintf (stderr, "maitred create-cluster: %s\n", error.text);
        return ENGINE_EXIT_CONFIG;
    }
    printf ("%s: %lu node%s, %lu shards, CURVE %s\n"
            "start each node:   maitred --config %s/node-N.conf\n"
            "then as a client:  export MAITRE_CLUSTER=%s/cluster.client MAITRE_TOKEN=$(cat %s/admin.token)\n",
        plan.dir, plan.nodes, plan.nodes == 1 ? "" : "s", plan.shards, plan.curve ? "on" : "off", plan.dir, plan.dir,
        plan.dir);
    return ENGINE_EXIT_OK;
}
