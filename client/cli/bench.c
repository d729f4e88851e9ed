/* maitre bench: options, lanes, the measured window.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "client/cli/bench.h"

#define CLIENTS_MAX 65536
#define CONNECTIONS_MAX 64
#define CONNECT_MS 10000
#define RACE_SECONDS_MAX 120

static const char usage[] =
    "maitre bench WORKLOAD [options]     measures a running cluster\n"
    "maitre bench verify FILE            reads back what a --log says was acknowledged (exit 9: something is wrong)\n"
    "\n"
    "Workloads\n"
    "  reserve   books one fresh slot of 1000 resources, spread over all shards\n"
    "  pair      books the same slot of a hotel and a band at once, at most two a customer in each\n"
    "  read      reads one of 10,000 reservations, linearizable\n"
    "  race      all clients take the 500 slots of one offer; the time until all are taken\n"
    "\n"
    "Options\n"
    "  --clients N        closed-loop clients (64)\n"
    "  --seconds S        measured time (10); a race ends by itself. SIGTERM and SIGINT end it earlier, with its "
    "report\n"
    "  --warmup S         before it (2); none in a race\n"
    "  --connections C    handles that the clients share, each with a thread and a connection per node (1)\n"
    "  --value-bytes B    size of a booking's note (100)\n"
    "  --groups G         pair: spread the resources over G placement groups (1)\n"
    "  --blind            race: try slot after slot; else go on near the earliest free one that a refusal names\n"
    "  --log FILE         one JSON line per acknowledged booking, for verify\n"
    "  --json             one JSON object\n"
    "\n"
    "It makes providers, offers and bookings of its own, so it needs a token that may (MAITRE_TOKEN: an API key).\n"
    "Example: maitre bench reserve --clients 64 --seconds 10 --json\n";

uint64_t bench_now_ns (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

static double cpu_seconds (void)
{
    struct rusage use;
    getrusage (RUSAGE_SELF, &use);
    return (double) (use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double) (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static volatile sig_atomic_t interrupted;

static void interrupt_bench (int number)
{
    (void) number;
    interrupted = 1;
}

static void take_signals (void)
{
    struct sigaction action = {.sa_handler = interrupt_bench, .sa_flags = SA_RESTART | SA_RESETHAND};
    sigemptyset (&action.sa_mask);
    sigaction (SIGTERM, &action, NULL);
    sigaction (SIGINT, &action, NULL); /* a second one ends the process: whoever sends it does not want to wait */
}

static bool over (struct bench *bench)
{
    if (!atomic_load_explicit (&bench->stop, memory_order_relaxed) &&
        (interrupted != 0 || bench_now_ns () >= bench->end_ns))
        atomic_store (&bench->stop, true);
    return atomic_load_explicit (&bench->stop, memory_order_relaxed);
}

static void *run_lane (void *argument)
{
    struct bench_lane *lane = argument;
    for (uint32_t i = 0; i < lane->client_count; i++)
        bench_next (&lane->clients[i]);
    while (!over (lane->bench) && maitre_outstanding (lane->client) > 0)
        maitre_process (lane->client, 10);
    while (maitre_outstanding (lane->client) > 0)
        maitre_process (lane->client, 100);
    uint64_t now_ns = bench_now_ns ();
    for (uint32_t i = 0; i < lane->client_count; i++) {
        struct bench_client *client = &lane->clients[i];
        uint64_t last = client->answered_ns > lane->bench->begin_ns ? client->answered_ns : lane->bench->begin_ns;
        if (lane->bench->workload != BENCH_RACE && now_ns > last && now_ns - last > client->gap_ns)
            client->gap_ns = now_ns - last;
        if (client->gap_ns > lane->gap_ns)
            lane->gap_ns = client->gap_ns;
    }
    return NULL;
}

static int prepare_lane (struct bench *bench, struct bench_lane *lane, uint32_t index)
{
    int code = CLI_OK;
    lane->bench = bench;
    lane->client_count = bench->clients / bench->connections + (index < bench->clients % bench->connections ? 1 : 0);
    lane->clients = calloc (lane->client_count + 1, sizeof *lane->clients);
    if (lane->clients == NULL)
        return cli_complain (CLI_FAILED, "no memory for %u clients; ask for fewer", bench->clients);
    lane->client = cli_client (bench->cli, lane->client_count + 512, &code);
    if (lane->client == NULL)
        return code;
    if (maitre_connect (lane->client, CONNECT_MS) != MAITRE_OK)
        return cli_failed (bench->cli, maitre_error (lane->client));
    for (uint32_t i = 0; i < lane->client_count; i++) {
        lane->clients[i].lane = lane;
        lane->clients[i].random = (uint64_t) index << 32 | (i + 1);
    }
    return CLI_OK;
}

static int run (struct bench *bench)
{
    struct bench_lane *lanes = calloc (bench->connections, sizeof *lanes);
    pthread_t threads[CONNECTIONS_MAX];
    uint32_t started = 0;
    if (lanes == NULL)
        return cli_complain (CLI_FAILED, "no memory");
    int code = CLI_OK;
    for (uint32_t i = 0; i < bench->connections && code == CLI_OK; i++)
        code = prepare_lane (bench, &lanes[i], i);
    if (code == CLI_OK)
        code = bench_setup (bench, lanes[0].client);
    if (code == CLI_OK) {
        double cpu_s = cpu_seconds ();
        bool race = bench->workload == BENCH_RACE;
        bench->begin_ns = bench_now_ns () + (race ? 0 : bench->warmup_s * 1000000000u);
        bench->end_ns = bench->begin_ns + (race ? RACE_SECONDS_MAX : bench->seconds) * UINT64_C (1000000000);
        take_signals ();
        for (; started < bench->connections; started++)
            if (pthread_create (&threads[started], NULL, run_lane, &lanes[started]) != 0)
                break;
        if (started < bench->connections) {
            atomic_store (&bench->stop, true);
            code = cli_complain (CLI_FAILED, "no thread for a connection: %s; ask for fewer", strerror (errno));
        }
        for (uint32_t i = 0; i < started; i++)
            pthread_join (threads[i], NULL);
        uint64_t now_ns = bench_now_ns ();
        if (interrupted != 0 && now_ns < bench->end_ns)
            bench->end_ns = now_ns > bench->begin_ns ? now_ns : bench->begin_ns;
        if (code == CLI_OK)
            code = bench_report (bench, lanes, cpu_seconds () - cpu_s);
    }
    for (uint32_t i = 0; i < bench->connections; i++) {
        maitre_destroy (&lanes[i].client);
        free (lanes[i].clients);
        free (lanes[i].latencies_us);
    }
    free (lanes);
    return code;
}

static int parse (struct cli *cli, struct bench *bench)
{
    static const char *const names[] = {"reserve", "pair", "read", "race"};
    bool bad = false;
    bench->clients = (uint32_t) cli_take_number (cli, "--clients", 64, 1, CLIENTS_MAX, &bad);
    bench->connections = (uint32_t) cli_take_number (cli, "--connections", 1, 1, CONNECTIONS_MAX, &bad);
    bench->seconds = cli_take_number (cli, "--seconds", 10, 1, 86400, &bad);
    bench->warmup_s = cli_take_number (cli, "--warmup", 2, 0, 3600, &bad);
    bench->value_bytes = (uint32_t) cli_take_number (cli, "--value-bytes", 100, 0, BENCH_VALUE_MAX, &bad);
    bench->groups = (uint32_t) cli_take_number (cli, "--groups", 1, 1, BENCH_PAIR_SIDE / 2, &bad);
    bench->blind = cli_take_flag (cli, "--blind");
    const char *path = cli_take (cli, "--log", &bad);
    if (bad)
        return CLI_USAGE;
    if (cli->argc != 1)
        return cli_complain (
            CLI_USAGE, "bench takes one workload: reserve, pair, read or race; see maitre bench --help");
    size_t at = 0;
    while (at < 4 && strcmp (names[at], cli->argv[0]) != 0)
        at++;
    if (at == 4)
        return cli_complain (CLI_USAGE, "%s is no workload: take reserve, pair, read or race", cli->argv[0]);
    bench->workload = (enum bench_workload) at;
    if (bench->connections > bench->clients)
        bench->connections = bench->clients;
    if (BENCH_PAIR_SIDE % bench->groups != 0 || (BENCH_PAIR_SIDE / bench->groups) % 7 == 0)
        return cli_complain (CLI_USAGE, "--groups must divide %d", BENCH_PAIR_SIDE);
    if (path != NULL && (bench->log = fopen (path, "we")) == NULL)
        return cli_complain (CLI_USAGE, "cannot write %s: %s; give another path", path, strerror (errno));
    if (bench->log != NULL)
        setvbuf (bench->log, NULL, _IOLBF, BUFSIZ); /* whoever ends the bench finds what was acknowledged */
    return CLI_OK;
}

int cli_bench (struct cli *cli)
{
    if (cli->help || cli->argc == 0) {
        fputs (usage, cli->help ? stdout : stderr);
        return cli->help ? CLI_OK : CLI_USAGE;
    }
    if (strcmp (cli->argv[0], "verify") == 0)
        return bench_verify (cli);
    struct bench *bench = calloc (1, sizeof *bench);
    if (bench == NULL)
        return cli_complain (CLI_FAILED, "no memory");
    bench->cli = cli;
    int code = parse (cli, bench);
    if (code == CLI_OK)
        code = run (bench);
    if (bench->log != NULL && fclose (bench->log) != 0)
        code = cli_complain (CLI_FAILED, "the log could not be written: %s", strerror (errno));
    free (bench->reservations);
    free (bench);
    return code;
}
