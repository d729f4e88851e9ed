#include "node/engine/daemon/snapshot.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/engine/daemon/json_out.h"
#include "node/engine/engine_restore.h"
#include "node/engine/event_log.h"
#include "node/store/table.h"

struct order {
    const char *dir, *config;
    bool json;
};

static void usage (FILE *out)
{
    fprintf (out,
        "usage: maitred snapshot verify DIR [--json]                   (the same: maitre snapshot verify DIR)\n"
        "       maitred snapshot restore DIR --config FILE [--json]    (the same: maitre snapshot restore ...)\n"
        "\n"
        "verify   checks the backup in DIR: the digest of every file, every row, and the books of every shard counted\n"
        "         again. Needs the memory of its largest shard.\n"
        "restore  makes the data folder that the node's configuration FILE names, for a new cluster that begins with "
        "what\n"
        "         was saved. Do it for every node, each on its machine, before any of them is started. The cluster is "
        "made\n"
        "         with as many shards as the backup has (verify says how many), and any number of nodes.\n"
        "\n"
        "exit codes: 0 sound, restored; 2 usage, configuration, no backup; 4 the data folder is not empty, other "
        "shards, a\n"
        "            newer version's backup; 5 keys; 6 the backup is damaged; 7 it could not be read or written\n"
        "example: maitred snapshot verify /backup/2026-11-20\n"
        "         maitred create-cluster --dir ./new --nodes 3 --shards 64\n"
        "         for n in 1 2 3; do maitred snapshot restore /backup/2026-11-20 --config ./new/node-$n.conf; done\n");
}

static void put_counts (const struct backup_counts *counts)
{
    printf (", \"rows\": %" PRIu64 ", \"row_bytes\": %" PRIu64 ", \"providers\": %" PRIu64 ", \"offers\": %" PRIu64
            ", \"reservations\": %" PRIu64 ", \"orders\": %" PRIu64 ", \"users\": %" PRIu64 ", \"api_keys\": %" PRIu64
            ", \"records\": %" PRIu64,
        counts->rows, counts->bytes, counts->providers, counts->offers, counts->reservations, counts->orders,
        counts->users, counts->api_keys, counts->records);
}

static void print_counts (const struct backup_counts *counts)
{
    printf ("%" PRIu64 " rows (%" PRIu64 " bytes): %" PRIu64 " providers, %" PRIu64 " offers, %" PRIu64
            " reservations, %" PRIu64 " orders, %" PRIu64 " users, %" PRIu64 " API keys, %" PRIu64
            " records of requests\n",
        counts->rows, counts->bytes, counts->providers, counts->offers, counts->reservations, counts->orders,
        counts->users, counts->api_keys, counts->records);
}

static enum engine_exit exit_of (enum status status)
{
    switch (status) {
    case STATUS_OK:
        return ENGINE_EXIT_OK;
    case STATUS_NOT_FOUND:
        return ENGINE_EXIT_CONFIG;
    case STATUS_UNIMPLEMENTED:
        return ENGINE_EXIT_FOLDER;
    case STATUS_DATA_LOSS:
        return ENGINE_EXIT_DAMAGE;
    default:
        return ENGINE_EXIT_RESOURCES;
    }
}

/* ---- verify */

static void note_finding (const struct order *order, unsigned *findings, const char *text)
{
    if (order->json) {
        printf ("%s", *findings > 0 ? ", " : "");
        json_out_string (text);
    } else {
        printf ("DAMAGED: %s\n", text);
    }
    (*findings)++;
}

/* All of them, so that one look tells everything. What cannot be read at all ends it. */
static enum status verify_images (
    const struct order *order, const struct backup *backup, struct backup_counts *counts, unsigned *findings)
{
    const struct backup_manifest *manifest = backup_manifest (backup);
    struct backup_error error;
    enum status worst = STATUS_OK;
    for (uint32_t shard = 0; shard <= manifest->shard_count; shard++) {
        struct table *table = table_new (NULL, NULL, shard, 1, 0, true);
        snprintf (error.text, sizeof error.text, "out of memory");
        enum status status = table == NULL ? STATUS_RESOURCE_EXHAUSTED
                                           : backup_load (backup, shard, table_state (table), counts, &error);
        table_destroy (&table);
        if (status == STATUS_OK)
            continue;
        note_finding (order, findings, error.text);
        worst = status;
        if (status != STATUS_DATA_LOSS)
            break;
    }
    return worst;
}

static void print_manifest (const struct order *order, const struct backup_manifest *manifest)
{
    char cluster[ID_TEXT_LEN + 1], when[32] = "?";
    time_t seconds = (time_t) (manifest->begun_ms / 1000);
    struct tm parts;
    id_format (&manifest->cluster, cluster);
    if (gmtime_r (&seconds, &parts) != NULL)
        strftime (when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
    uint64_t bytes = 0;
    for (size_t i = 0; i < manifest->images_count; i++)
        bytes += manifest->images[i].bytes;
    if (order->json)
        printf ("\"cluster\": \"%s\", \"shards\": %" PRIu64 ", \"nodes\": %" PRIu64
                ", \"begun\": \"%s\", \"bytes\": %" PRIu64 ", \"findings\": [",
            cluster, manifest->shard_count, manifest->nodes, when, bytes);
    else
        printf ("%s: cluster %s of %" PRIu64 " nodes and %" PRIu64 " shards, saved from %s on, %" PRIu64 " bytes\n",
            order->dir, cluster, manifest->nodes, manifest->shard_count, when, bytes);
}

static int verify (const struct order *order)
{
    struct backup *backup = NULL;
    struct backup_error error;
    struct backup_counts counts = {0};
    unsigned findings = 0;
    if (order->json) {
        printf ("{\"backup\": ");
        json_out_string (order->dir);
        printf (", ");
    }
    enum status status = backup_open (order->dir, &backup, &error);
    if (status == STATUS_OK) {
        print_manifest (order, backup_manifest (backup));
        status = verify_images (order, backup, &counts, &findings);
    } else if (order->json) {
        printf ("\"findings\": [");
        note_finding (order, &findings, error.text);
    } else {
        fprintf (stderr, "maitred snapshot: %s\n", error.text);
    }
    if (order->json) {
        printf ("], \"sound\": %s", status == STATUS_OK ? "true" : "false");
        put_counts (&counts);
        printf ("}\n");
    } else if (status == STATUS_OK) {
        print_counts (&counts);
        printf ("sound\n");
    } else if (status == STATUS_DATA_LOSS) {
        printf ("damaged: nothing can be restored from it; take another backup, and save a new one now\n");
    }
    backup_close (&backup);
    return exit_of (status);
}

/* ---- restore */

static int restore (const struct order *order)
{
    static struct engine_config config; /* large */
    struct engine_config_error why;
    struct engine_restored restored;
    struct engine_error error;
    if (engine_config_load (order->config, &config, &why) != STATUS_OK) {
        fprintf (stderr, "maitred snapshot: %s\n", why.text);
        return why.memory ? ENGINE_EXIT_RESOURCES : why.key ? ENGINE_EXIT_KEY : ENGINE_EXIT_CONFIG;
    }
    event_log_setup (config.log_level, config.node);
    bool fine = engine_restore (&config, order->dir, &restored, &error);
    if (!fine) {
        fprintf (stderr, "maitred snapshot: %s\n", error.text);
    } else if (order->json) {
        printf ("{\"folder\": ");
        json_out_string (config.data);
        printf (", \"node\": %u, \"replicas\": %u", config.node, restored.shards);
        put_counts (&restored.counts);
        printf ("}\n");
    } else {
        printf ("%s: node %u of %u, %u replicas, ", config.data, config.node, config.nodes.node_count, restored.shards);
        print_counts (&restored.counts);
        printf ("do the same for every other node, then start them all\n");
    }
    engine_config_close (&config);
    return fine ? ENGINE_EXIT_OK : (int) error.exit;
}

int snapshot (int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct order order = {.dir = NULL};
    int choice;
    while ((choice = getopt_long (argc, argv, "c:h", options, NULL)) != -1) {
        if (choice == 'c')
            order.config = optarg;
        else if (choice == 'j')
            order.json = true;
        else
            usage (choice == 'h' ? stdout : stderr);
        if (choice == 'h' || choice == '?')
            return choice == 'h' ? ENGINE_EXIT_OK : ENGINE_EXIT_CONFIG;
    }
    bool verifies = optind + 2 == argc && strcmp (argv[optind], "verify") == 0 && order.config == NULL;
    bool restores = optind + 2 == argc && strcmp (argv[optind], "restore") == 0 && order.config != NULL;
    if (!verifies && !restores) {
        usage (stderr);
        return ENGINE_EXIT_CONFIG;
    }
    order.dir = argv[optind + 1];
    return verifies ? verify (&order) : restore (&order);
}
