/* chaos_load: options, signals, the run.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/load.h"

#define SETUP_S 60
#define CLIENTS_MAX 512
#define REACH_S_MAX 600

enum { FINE = 0, FAILED = 1, USAGE = 2, DEAF = 3 };

static const char usage[] =
    "usage: chaos_load --history FILE [--workloads LIST] [--clients N] [--seconds S] [--seed X] [--pace OPS_PER_S]\n"
    "                  [--reach S]\n"
    "       chaos_load --final --history FILE\n"
    "\n"
    "Clients that book, cancel, move, order and read in a cluster, all reaching for the same few things, and write "
    "down what they\n"
    "ask and hear (one JSON object a line; the format is in test/README.md) for chaos_check. The cluster comes from "
    "MAITRE_CLUSTER\n"
    "or MAITRE_ENDPOINTS, an API key of an admin from MAITRE_TOKEN. Providers and offers are made as needed.\n"
    "\n"
    "  --workloads LIST  some of slots,pairs,orders,idempotence,set,reads (all)\n"
    "  --clients N       one call at a time each (16)\n"
    "  --seconds S       then what is under way is answered, and that is all (30); SIGTERM and SIGINT end earlier\n"
    "  --seed X          what the clients draw from (1)\n"
    "  --pace OPS_PER_S  of all clients together (1500); 0: as fast as they are answered\n"
    "  --reach S         at the end every handle that was used must get an answer from every node within S seconds (0: "
    "it "
    "need not)\n"
    "  --history FILE    written anew\n"
    "  --final           no load: asks what became of every write without an answer, then reads everything once more "
    "and appends\n"
    "                    that to FILE; repeats until all is read, for at most 60 s (or --seconds)\n"
    "\n"
    "Exit status: 0 done; 1 it could not set up, read or write; 2 usage; 3 a node was not reached at the end.\n"
    "\n"
    "example: eval \"$(scripts/cluster env)\"; chaos_load --seconds 20 --history h.jsonl && chaos_load --final "
    "--history h.jsonl\n";

static struct load *signalled;

static void on_signal (int number)
{
    (void) number;
    atomic_store (&signalled->stop, true);
}

static void catch_signals (struct load *load)
{
    struct sigaction action = {.sa_handler = on_signal};
    signalled = load;
    sigemptyset (&action.sa_mask);
    sigaction (SIGTERM, &action, NULL);
    sigaction (SIGINT, &action, NULL);
    signal (SIGPIPE, SIG_IGN);
}

struct maitre *load_handle (void)
{
    struct maitre_options options;
    struct maitre_error error;
    struct maitre *handle = NULL;
    maitre_options_init (&options);
    options.attempt_ms = 400;
    if (maitre_new (&options, &handle, &error) == MAITRE_OK)
        return handle;
    fprintf (stderr, "chaos_load: %s\n", error.message);
    return NULL;
}

static bool parse_number (const char *text, uint64_t max, uint64_t *value)
{
    char *end = NULL;
    errno = 0;
    *value = strtoull (text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *value <= max;
}

static bool parse_workloads (struct load *load, const char *list)
{
    memset (load->workloads, 0, sizeof load->workloads);
    while (*list != '\0') {
        size_t len = strcspn (list, ","), w = 0;
        while (w < LOAD_WORKLOADS &&
               (strlen (load_workload_names[w]) != len || strncmp (load_workload_names[w], list, len) != 0))
            w++;
        if (w == LOAD_WORKLOADS)
            return false;
        load->workloads[w] = true;
        list += len + (list[len] == ',');
    }
    return true;
}

static int complain (const char *what)
{
    fprintf (stderr, "chaos_load: %s; see chaos_load --help\n", what);
    return USAGE;
}

static int parse (struct load *load, int argc, char **argv, bool *final)
{
    uint64_t number = 0;
    bool seconds = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp (argv[i], "--final") == 0) {
            *final = true;
            continue;
        }
        if (value == NULL)
            return complain ("an option without its value, or one that is not understood");
        i++;
        if (strcmp (argv[i - 1], "--history") == 0) {
            load->path = value;
        } else if (strcmp (argv[i - 1], "--workloads") == 0) {
            if (!parse_workloads (load, value))
                return complain ("--workloads are some of slots,pairs,orders,idempotence,set,reads");
        } else if (strcmp (argv[i - 1], "--clients") == 0) {
            if (!parse_number (value, CLIENTS_MAX, &number) || number == 0)
                return complain ("--clients is a number of 1 to 512");
            load->clients = (uint32_t) number;
        } else if (strcmp (argv[i - 1], "--seconds") == 0) {
            seconds = parse_number (value, 86400, &load->seconds);
            if (!seconds)
                return complain ("--seconds is a number of at most 86400");
        } else if (strcmp (argv[i - 1], "--seed") == 0) {
            if (!parse_number (value, UINT64_MAX >> 1, &load->seed))
                return complain ("--seed is a number");
        } else if (strcmp (argv[i - 1], "--pace") == 0) {
            if (!parse_number (value, 1000000, &load->pace))
                return complain ("--pace is a number of calls a second");
        } else if (strcmp (argv[i - 1], "--reach") == 0) {
            if (!parse_number (value, REACH_S_MAX, &load->reach_s))
                return complain ("--reach is a number of seconds, at most 600");
        } else {
            return complain ("an option is not understood");
        }
    }
    if (*final && !seconds)
        load->seconds = 60;
    return load->path != NULL ? FINE : complain ("--history FILE is needed");
}

static void write_header (struct load *load)
{
    struct history_text *line = malloc (sizeof *line);
    char names[128] = "";
    maitre_assert (line != NULL);
    for (uint32_t w = 0; w < load->workloads_count; w++)
        snprintf (names + strlen (names), sizeof names - strlen (names), "%s%s", w > 0 ? "," : "",
            load_workload_names[load->order[w]]);
    history_text_clear (line);
    history_put_text (line, "type", "info");
    history_put_text (line, "f", "run");
    history_put_u64 (line, "version", HISTORY_VERSION);
    history_put_u64 (line, "seed", load->seed);
    history_put_u64 (line, "clients", load->clients);
    history_put_text (line, "workloads", names);
    history_put_u64 (line, "wall_s", (uint64_t) time (NULL));
    history_write (&load->writer, line);
    free (line);
}

/* The first arena of everybody, before the clock starts. */
static bool set_up (struct load *load)
{
    struct maitre *handle = load_handle ();
    bool fine = handle != NULL && maitre_connect (handle, SETUP_S * 1000) == MAITRE_OK;
    if (handle != NULL && !fine)
        fprintf (stderr, "chaos_load: %s\n", maitre_error (handle)->message);
    if (fine)
        load->nodes = maitre_nodes (handle, NULL);
    for (uint32_t l = 0; fine && l < load->lanes_count; l++) {
        for (uint32_t w = 0; fine && w < load->workloads_count; w++) {
            load->lanes[l].next[load->order[w]] = load_arena_new (load, handle, load->order[w]);
            fine = load->lanes[l].next[load->order[w]] != NULL;
        }
        for (uint32_t i = 0; fine && i < LOAD_HANDLES; i++) {
            load->lanes[l].handles[i] = load_handle ();
            fine = load->lanes[l].handles[i] != NULL;
        }
    }
    maitre_destroy (&handle);
    return fine;
}

static void run_lanes (struct load *load)
{
    pthread_t builder, *threads = calloc (load->lanes_count, sizeof *threads);
    maitre_assert (threads != NULL);
    load->began_ns = history_now_ns ();
    for (uint32_t l = 0; l < load->lanes_count; l++)
        if (pthread_create (&threads[l], NULL, load_lane_run, &load->lanes[l]) != 0)
            abort ();
    if (pthread_create (&builder, NULL, load_builder, load) != 0)
        abort ();
    while (!atomic_load (&load->stop) && history_now_ns () - load->began_ns < load->seconds * UINT64_C (1000000000) &&
           !load->writer.broken)
        nanosleep (&(struct timespec){.tv_nsec = 20000000}, NULL);
    atomic_store (&load->stop, true);
    for (uint32_t l = 0; l < load->lanes_count; l++)
        pthread_join (threads[l], NULL);
    pthread_join (builder, NULL);
    free (threads);
}

/* A handle that lived through every fault is not to be deaf to a node that is well again. The first that is, is told. */
static bool reach_all (struct load *load)
{
    static const uint8_t empty_map[] = {0xa0};
    uint64_t until_ns = history_now_ns () + load->reach_s * UINT64_C (1000000000);
    struct maitre_call_options options;
    maitre_call_options_init (&options);
    for (uint32_t h = 0; load->reach_s > 0 && h < load->lanes_count * LOAD_HANDLES; h++) {
        struct maitre *handle = load->lanes[h / LOAD_HANDLES].handles[h % LOAD_HANDLES];
        for (uint32_t node = 1; node <= load->nodes; node++) {
            struct maitre_reply *reply = NULL;
            uint64_t now_ns = history_now_ns ();
            options.node = node;
            options.deadline_ms = now_ns < until_ns ? (uint32_t) ((until_ns - now_ns) / 1000000) + 1 : 1;
            enum maitre_status status =
                maitre_call (handle, "health.Check", (struct maitre_bytes){empty_map, 1}, &options, &reply);
            maitre_reply_destroy (&reply);
            if (status == MAITRE_OK)
                continue;
            const struct maitre_error *error = maitre_error (handle);
            fprintf (stderr, "chaos_load: handle %u does not reach node %u at the end: %s: %s\n", h, node,
                error->reason, error->message);
            return false;
        }
    }
    return true;
}

static int run (struct load *load)
{
    if (!history_writer_open (&load->writer, load->path, false)) {
        fprintf (stderr, "chaos_load: %s: %s\n", load->path, strerror (errno));
        return FAILED;
    }
    load->lanes_count = (load->clients + LOAD_TEAM - 1) / LOAD_TEAM;
    load->lanes = calloc (load->lanes_count, sizeof *load->lanes);
    maitre_assert (load->lanes != NULL);
    for (uint32_t l = 0; l < load->lanes_count; l++) {
        uint32_t first = l * LOAD_TEAM, left = load->clients - first;
        load_lane_open (load, &load->lanes[l], l, left < LOAD_TEAM ? left : LOAD_TEAM, first);
    }
    load->began_ns = history_now_ns ();
    write_header (load);
    load->setup_until_ns = load->began_ns + SETUP_S * UINT64_C (1000000000);
    bool fine = set_up (load);
    load->setup_until_ns = 0;
    if (fine)
        run_lanes (load);
    bool reached = !fine || reach_all (load);
    for (uint32_t l = 0; l < load->lanes_count; l++)
        load_lane_close (&load->lanes[l]);
    free (load->lanes);
    history_writer_close (&load->writer);
    if (load->writer.broken)
        fprintf (stderr, "chaos_load: %s could not be written\n", load->path);
    fprintf (stderr, "chaos_load: %llu calls, %llu answered, %llu unknown\n", (unsigned long long) load->ops,
        (unsigned long long) load->oks, (unsigned long long) load->unknowns);
    return !fine || load->writer.broken ? FAILED : reached ? FINE : DEAF;
}

int main (int argc, char **argv)
{
    static struct load load = {.clients = 16, .seconds = 30, .seed = 1, .pace = 1500};
    bool final = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp (argv[i], "--help") == 0 || strcmp (argv[i], "-h") == 0) {
            fputs (usage, stdout);
            return FINE;
        }
    }
    memset (load.workloads, 1, sizeof load.workloads);
    int code = parse (&load, argc, argv, &final);
    if (code != FINE)
        return code;
    for (unsigned w = 0; w < LOAD_WORKLOADS; w++)
        if (load.workloads[w])
            load.order[load.workloads_count++] = (enum load_workload) w;
    if (load.workloads_count == 0)
        return complain ("--workloads is empty");
    pthread_mutex_init (&load.names.lock, NULL);
    pthread_mutex_init (&load.handing, NULL);
    catch_signals (&load);
    code = final ? load_final (&load) : run (&load);
    free (load.names.rows);
    return code;
}
