/* maitred: one node of the cluster. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/engine/daemon/allow_faults.h"
#include "node/engine/daemon/create_cluster.h"
#include "node/engine/daemon/memory_keeper.h"
#include "node/engine/daemon/snapshot.h"
#include "node/engine/daemon/verify.h"
#include "node/engine/engine.h"
#include "node/failpoint/failpoint.h"
#include "router/front/safe_socket.h"
#include "schemas/runtime/planted.h"

static struct engine *running;
static volatile sig_atomic_t asked_to_stop;

static void on_signal (int number)
{
    (void) number;
    asked_to_stop = 1;
    if (running != NULL)
        engine_stop (running);
}

static void usage (FILE *out)
{
    fprintf (out,
        "usage: maitred --config FILE           run a node\n"
        "       maitred --check-config FILE     read the configuration and the files it names, then stop\n"
        "       maitred create-cluster --help   make the files of a new cluster\n"
        "       maitred verify DIR              check the data folder of a stopped node\n"
        "       maitred snapshot --help         check a backup, make a new cluster from one\n"
        "       maitred --failpoints            list what tests can make fail\n"
        "       maitred --version | --help\n"
        "\n"
        "example: maitred create-cluster --dir ./cluster --nodes 3\n"
        "         maitred --config ./cluster/node-1.conf\n"
        "\n"
        "MAITRED_FAILPOINTS=\"NAME=ACTION;...\" sets failpoints at start where the configuration says faults = 1.\n"
        "SIGTERM and SIGINT stop the node in order: it hands its leaderships over and finishes its calls;\n"
        "a second one stops it at once.\n"
        "exit codes: 0 stopped, 2 option or configuration, 3 port in use, 4 data folder, 5 keys,\n"
        "            6 damaged data, 7 memory or descriptors, 70 halted after a failure\n");
}

/* While the process starts over a request to stop waits, and is not lost: it is pending over the exec. */
static void hold_signals (int how)
{
    sigset_t stop;
    sigemptyset (&stop);
    sigaddset (&stop, SIGTERM);
    sigaddset (&stop, SIGINT);
    sigprocmask (how, &stop, NULL);
}

static int run (const struct engine_config *config)
{
    struct engine_error error;
    if (!engine_open (config, &running, &error)) {
        fprintf (stderr, "maitred: %s\n", error.text);
        return error.exit;
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction (SIGTERM, &action, NULL);
    sigaction (SIGINT, &action, NULL);
    hold_signals (SIG_UNBLOCK);
    enum engine_exit code = engine_run (running);
    struct engine *engine = running;
    running = NULL;
    engine_close (&engine);
    return code;
}

/* Name, what it may do, when it is passed, what stands there: a line each, tabs between them. */
static void list_failpoints (void)
{
    for (unsigned id = 0; id < FAILPOINT_COUNT; id++) {
        struct failpoint_row row;
        failpoint_row ((enum failpoint_id) id, &row);
        printf ("%s\t%s\t%s\t%s\n", row.name, failpoint_may_name (row.may), row.when, row.what);
    }
}

static int load_and_run (const char *path, bool check_only)
{
    static struct engine_config config; /* large */
    struct engine_config_error error;
    if (engine_config_load (path, &config, &error) != STATUS_OK) {
        fprintf (stderr, "maitred: %s\n", error.text);
        return error.memory ? ENGINE_EXIT_RESOURCES : error.key ? ENGINE_EXIT_KEY : ENGINE_EXIT_CONFIG;
    }
    event_log_setup (config.log_level, config.node);
    if (check_only) {
        printf ("%s: node %u of %u, %u shards, CURVE %s\n", path, config.node, config.nodes.node_count, config.shards,
            config.curve ? "on" : "off");
        engine_config_close (&config);
        return ENGINE_EXIT_OK;
    }
    if (!allow_faults (config.faults)) {
        engine_config_close (&config);
        return ENGINE_EXIT_CONFIG;
    }
    memory_keeper_start ();
    int code = run (&config);
    memory_keeper_stop ();
    return code;
}

/* The same process image once more: nothing of the old one is left to be cleaned up, and who watches sees no end. */
static int again (char **argv)
{
    char path[4096];
    hold_signals (SIG_BLOCK);
    if (asked_to_stop)
        return ENGINE_EXIT_OK;
    ssize_t len = readlink ("/proc/self/exe", path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    if (access (path, X_OK) == 0)
        execv (path, argv); /* by its name, so that it is called the same in a list of processes */
    execv ("/proc/self/exe", argv);
    perror ("maitred: it cannot start again by itself, start it");
    return ENGINE_EXIT_RESOURCES;
}

#ifdef MAITRED_PLANTED
/* Of real nodes the environment chooses the bug, for tests of scripts/chaos: none, or one of schemas/runtime/planted.h. */
static bool plant (const char *name)
{
#define NAME(name) #name,
    static const char *const names[] = {"", PLANTED_LIST (NAME)};
#undef NAME
    if (name == NULL || name[0] == '\0')
        return true;
    for (int i = 1; i < (int) PLANTED_COUNT; i++) {
        if (strcmp (names[i], name) != 0)
            continue;
        planted_chosen = (enum planted) i;
        return true;
    }
    fprintf (stderr, "maitred: MAITRED_PLANT=%s: there is no such bug\n", name);
    return false;
}
#endif

int main (int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check-config", required_argument, NULL, 'k'},
        {"failpoints", no_argument, NULL, 'f'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    /* A reply to a client that left must not end the node. */
    signal (SIGPIPE, SIG_IGN);
    safe_socket_prepare ();
#ifdef MAITRED_PLANTED
    fputs ("maitred: THIS BUILD HAS PLANTED BUGS (MAITRED_PLANTED): it is for testing the tests, never for data\n",
        stderr);
    if (!plant (getenv ("MAITRED_PLANT")))
        return 2;
#endif
    if (argc > 1 && strcmp (argv[1], "create-cluster") == 0)
        return create_cluster (argc - 1, argv + 1);
    if (argc > 1 && strcmp (argv[1], "verify") == 0)
        return verify_folder (argc - 1, argv + 1);
    if (argc > 1 && strcmp (argv[1], "snapshot") == 0)
        return snapshot (argc - 1, argv + 1);
    const char *config = NULL;
    bool check_only = false;
    int choice;
    while ((choice = getopt_long (argc, argv, "c:h", options, NULL)) != -1) {
        switch (choice) {
        case 'c':
            config = optarg;
            break;
        case 'k':
            config = optarg;
            check_only = true;
            break;
        case 'f':
            list_failpoints ();
            return ENGINE_EXIT_OK;
        case 'v':
            printf ("maitred %s\n", MAITRED_VERSION);
            return ENGINE_EXIT_OK;
        case 'h':
            usage (stdout);
            return ENGINE_EXIT_OK;
        default:
            usage (stderr);
            return ENGINE_EXIT_CONFIG;
        }
    }
    if (config == NULL || optind < argc) {
        usage (stderr);
        return ENGINE_EXIT_CONFIG;
    }
    int code = load_and_run (config, check_only);
    return code == ENGINE_EXIT_AGAIN ? again (argv) : code;
}
