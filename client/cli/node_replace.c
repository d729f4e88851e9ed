/* maitre node replace N: gives a node whose data folder is lost new replicas, and watches until they are in.
 *
 * The cluster does the work; this only begins it and looks. Ended early, it can be run again, or watched with
 * `maitre cluster status`. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "schemas/generated/placement.h"

#define LOOK_MS 250
#define WAIT_S 3600

struct watch {
    struct cli *cli;
    struct maitre *client;
    uint64_t node, first_replica, moves, epoch;
    uint32_t phases[PLACEMENT_PHASE_DONE + 1];
    bool awaited, over, terminal;
    uint64_t started_ms, deadline_ms;
    char shown[160];
};

static int help (bool asked)
{
    fputs (
        "maitre node replace NODE [--wait SECONDS] [--no-wait] [options]\n\n"
        "For a node whose data folder is lost, emptied, damaged or exchanged: its old replicas are given up for ever, "
        "and it\n"
        "gets new ones, which the other nodes fill while writes go on. The node must not run with its old folder; "
        "start it\n"
        "with an empty one before or after this. The old folder is refused from then on, so keep it only to look at "
        "it.\n"
        "Refused when a shard would be left without a majority of two or more live replicas. Takes the role admin.\n\n"
        "  --wait SECONDS  how long to watch (3600); the replacement goes on without it\n"
        "  --no-wait       only begin it\n\n"
        "Exit codes: 0 every new replica votes (with --no-wait: begun), 4 refused, 6 not over yet\n\n"
        "Example: maitre node replace 2\n",
        asked ? stdout : stderr);
    return asked ? CLI_OK : CLI_USAGE;
}

static uint64_t now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static void pause_ms (uint64_t ms)
{
    struct timespec pause = {.tv_sec = (time_t) (ms / 1000), .tv_nsec = (long) (ms % 1000) * 1000000};
    nanosleep (&pause, NULL);
}

static enum maitre_status ask (
    const struct watch *watch, uint32_t number, const void *request, bool as_given, void **value)
{
    struct maitre_call_options options;
    maitre_call_options_init (&options);
    options.node = watch->cli->node;
    if (as_given && watch->cli->has_request_id)
        options.request_id = watch->cli->request_id;
    return cli_ask (watch->client, number, request, &options, value);
}

static int begin (struct watch *watch)
{
    struct replace_node_request request = {.node = watch->node};
    struct replace_node_reply *reply;
    enum maitre_status status = ask (watch, METHOD_NUMBER_CLUSTER_REPLACE_NODE, &request, true, (void **) &reply);
    if (status != MAITRE_OK)
        return cli_failed (watch->cli, maitre_error (watch->client));
    watch->first_replica = reply->first_replica;
    watch->moves = reply->moves;
    watch->epoch = reply->epoch;
    free (reply);
    return CLI_OK;
}

/* False: the cluster could not say; it is asked again. */
static bool look (struct watch *watch)
{
    struct placement_request request = {0};
    struct placement_reply *reply;
    if (ask (watch, METHOD_NUMBER_CLUSTER_PLACEMENT, &request, false, (void **) &reply) != MAITRE_OK)
        return false;
    const struct placement *record = &reply->placement;
    const struct replacement *running = &record->running;
    watch->over = !record->has_running || running->first_replica != watch->first_replica;
    watch->awaited = false;
    memset (watch->phases, 0, sizeof watch->phases);
    for (size_t i = 0; !watch->over && i < running->phases.len; i++) {
        if (running->phases.data[i] <= PLACEMENT_PHASE_DONE)
            watch->phases[running->phases.data[i]]++;
    }
    bool ours = false;
    for (size_t i = 0; i < record->nodes_count; i++) {
        if (record->nodes[i].node != watch->node)
            continue;
        ours = record->nodes[i].first_replica == watch->first_replica;
        watch->awaited = ours && !record->nodes[i].has_folder;
    }
    if (watch->over && ours)
        watch->phases[PLACEMENT_PHASE_DONE] = (uint32_t) watch->moves;
    free (reply);
    return true;
}

/* On a terminal one line that changes, elsewhere a line for each change. */
static void show (struct watch *watch)
{
    char line[160];
    if (watch->awaited)
        snprintf (
            line, sizeof line, "node %u: waits for it to be started with an empty data folder", (unsigned) watch->node);
    else
        snprintf (line, sizeof line, "node %u: %u of %u shards moved, %u being filled, %u joining, %u waiting",
            (unsigned) watch->node, watch->phases[PLACEMENT_PHASE_DONE], (unsigned) watch->moves,
            watch->phases[PLACEMENT_PHASE_FILLING], watch->phases[PLACEMENT_PHASE_JOINING],
            watch->phases[PLACEMENT_PHASE_WAITING]);
    if (strcmp (line, watch->shown) == 0)
        return;
    memcpy (watch->shown, line, sizeof line);
    if (watch->terminal)
        fprintf (stderr, "\r\033[K%s%s", line, watch->over ? "\n" : "");
    else
        fprintf (stderr, "%s\n", line);
}

static int finish (const struct watch *watch, bool watched)
{
    if (watched && !watch->over)
        return cli_complain (CLI_UNAVAILABLE,
            "node %u is not replaced yet; it goes on by itself, watch it with maitre cluster status",
            (unsigned) watch->node);
    json_t *object = json_object ();
    json_object_set_new (object, "node", json_integer ((json_int_t) watch->node));
    json_object_set_new (object, "first_replica", json_integer ((json_int_t) watch->first_replica));
    json_object_set_new (object, "moves", json_integer ((json_int_t) watch->moves));
    json_object_set_new (object, "moves_done", json_integer (watch->phases[PLACEMENT_PHASE_DONE]));
    json_object_set_new (object, "over", json_boolean (watched && watch->over));
    json_object_set_new (object, "seconds", json_real ((double) (now_ms () - watch->started_ms) / 1000));
    if (watch->cli->json) {
        cli_print_json (object);
        return CLI_OK;
    }
    if (watched)
        printf ("node %u is replaced: %u new replicas vote\n", (unsigned) watch->node, (unsigned) watch->moves);
    else
        printf ("node %u gets %u new replicas once it runs with an empty data folder; maitre cluster status shows how "
                "far\n",
            (unsigned) watch->node, (unsigned) watch->moves);
    json_decref (object);
    return CLI_OK;
}

int cli_node_replace (struct cli *cli)
{
    struct watch watch = {.cli = cli, .started_ms = now_ms (), .terminal = isatty (STDERR_FILENO) && !cli->json};
    bool bad = false;
    bool watched = !cli_take_flag (cli, "--no-wait");
    uint64_t wait_s = cli_take_number (cli, "--wait", WAIT_S, 1, 1000000, &bad);
    if (cli->help)
        return help (true);
    char *end = NULL;
    if (!bad && cli->argc == 1)
        watch.node = strtoull (cli->argv[0], &end, 10);
    if (bad || end == NULL || *end != '\0' || watch.node < 1 || watch.node > 65535)
        return help (false);
    int code = CLI_OK;
    watch.deadline_ms = watch.started_ms + wait_s * 1000;
    watch.client = cli_client (cli, 4, &code);
    if (watch.client == NULL)
        return code;
    code = begin (&watch);
    while (code == CLI_OK && watched && now_ms () < watch.deadline_ms) {
        if (look (&watch) && !cli->json)
            show (&watch);
        if (watch.over)
            break;
        pause_ms (LOOK_MS);
    }
    maitre_destroy (&watch.client);
    return code == CLI_OK ? finish (&watch, watched) : code;
}

int cli_node (struct cli *cli)
{
    if (cli->argc > 0 && strcmp (cli->argv[0], "verify") == 0)
        return cli_node_verify (cli);
    if (cli->argc == 0 || strcmp (cli->argv[0], "replace") != 0)
        return cli_verb (cli, "node");
    cli->argv++;
    cli->argc--;
    return cli_node_replace (cli);
}
