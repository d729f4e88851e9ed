/* chaos_nemesis: options, the run's folder, the janitor. scripts/chaos is its usual caller and has the manual.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "test/chaos/nemesis.h"

#define FOLDER "maitred-chaos-run."
#define ALL_WORKLOADS "slots,pairs,orders,idempotence,set,reads"

static const char usage[] =
    "usage: chaos_nemesis families [--faults LIST] --bin DIR\n"
    "       chaos_nemesis run [--nodes 3] [--seconds 60] [--seed X] [--faults LIST] [--clients 16] [--workloads LIST]\n"
    "                         [--network netns|proxy] [--dir DIR] [--keep] [--json] [--shards 16] [--replication 3]\n"
    "                         [--port BASE] [--bin DIR]\n"
    "       chaos_nemesis failover [--kills 100] [--fault kill|pause|partition|oneway|slowdisk|transfer|follower]\n"
    "                         [--shards-hit one|all] ... [--json]\n"
    "scripts/chaos --help has the manual.\n";

static int wrong (const char *what, const char *value)
{
    nemesis_say ("error: %s '%s'; see scripts/chaos --help", what, value);
    return NEMESIS_USAGE;
}

/* ---- the options */

static const struct bounds {
    int option;
    const char *name;
    uint64_t low, high;
} bounds[] = {
    {'n', "--nodes", 1, NEMESIS_NODES_MAX},
    {'s', "--seconds", 5, 86400},
    {'x', "--seed", 0, UINT64_MAX},
    {'k', "--kills", 1, 10000},
    {'c', "--clients", 1, 256},
    {'S', "--shards", 1, 4096},
    {'R', "--replication", 1, 7},
    {'p', "--port", 1024, 60000},
};

static bool number (const char *text, const struct bounds *of, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull (text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0 || *end != '\0' || value < of->low || value > of->high)
        return false;
    *out = value;
    return true;
}

/* The families of a list, as bits. False: *bad is none. */
static bool families (const char *list, uint32_t *out, char bad[32])
{
    char copy[256], *rest = NULL;
    *out = 0;
    snprintf (copy, sizeof copy, "%s", list);
    for (char *word = strtok_r (copy, ",", &rest); word != NULL; word = strtok_r (NULL, ",", &rest)) {
        int family = 0;
        while (family < FAMILY_COUNT && strcmp (nemesis_families[family].name, word) != 0)
            family++;
        snprintf (bad, 32, "%s", word);
        if (family == FAMILY_COUNT)
            return false;
        *out |= 1u << family;
    }
    bad[0] = '\0';
    return *out != 0;
}

static const struct option long_options[] = {
    {"nodes", required_argument, NULL, 'n'},
    {"seconds", required_argument, NULL, 's'},
    {"seed", required_argument, NULL, 'x'},
    {"faults", required_argument, NULL, 'f'},
    {"fault", required_argument, NULL, 'F'},
    {"kills", required_argument, NULL, 'k'},
    {"shards-hit", required_argument, NULL, 'H'},
    {"clients", required_argument, NULL, 'c'},
    {"workloads", required_argument, NULL, 'w'},
    {"network", required_argument, NULL, 'N'},
    {"dir", required_argument, NULL, 'd'},
    {"bin", required_argument, NULL, 'b'},
    {"shards", required_argument, NULL, 'S'},
    {"replication", required_argument, NULL, 'R'},
    {"port", required_argument, NULL, 'p'},
    {"keep", no_argument, NULL, 'K'},
    {"json", no_argument, NULL, 'j'},
    {NULL, 0, NULL, 0},
};

static int take_number (struct nemesis_options *options, int option)
{
    uint64_t value = 0;
    const struct bounds *of = bounds;
    while (of->option != option)
        of++;
    if (!number (optarg, of, &value)) {
        nemesis_say ("error: %s must be a number from %llu to %llu, not '%s'; see scripts/chaos --help", of->name,
            (unsigned long long) of->low, (unsigned long long) of->high, optarg);
        return NEMESIS_USAGE;
    }
    switch (option) {
    case 'n':
        options->nodes = (uint32_t) value;
        break;
    case 's':
        options->seconds = (uint32_t) value;
        break;
    case 'x':
        options->seed = value;
        break;
    case 'k':
        options->kills = (uint32_t) value;
        break;
    case 'c':
        options->clients = (uint32_t) value;
        break;
    case 'S':
        options->shards = (uint32_t) value;
        break;
    case 'R':
        options->replication = (uint32_t) value;
        break;
    case 'p':
        options->port = (uint32_t) value;
        break;
    }
    return 0;
}

static bool one_of (const char *value, const char *list)
{
    size_t len = strlen (value);
    for (const char *at = list; (at = strstr (at, value)) != NULL; at += len)
        if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0') && len > 0)
            return true;
    return false;
}

static bool workloads_known (const char *list)
{
    char copy[256], *rest = NULL;
    snprintf (copy, sizeof copy, "%s", list);
    bool any = false;
    for (char *word = strtok_r (copy, ",", &rest); word != NULL; word = strtok_r (NULL, ",", &rest), any = true)
        if (!one_of (word, ALL_WORKLOADS))
            return false;
    return any;
}

static int take_word (struct nemesis_options *options, int option)
{
    char bad[32];
    switch (option) {
    case 'f':
        if (!families (optarg, &options->families, bad))
            return wrong ("no such fault:", bad);
        return 0;
    case 'F':
        options->fault = optarg;
        if (!one_of (optarg, "kill,pause,partition,oneway,slowdisk,transfer,follower"))
            return wrong ("no such fault for failover:", optarg);
        return 0;
    case 'H':
        options->shards_hit = optarg;
        return one_of (optarg, "one,all") ? 0 : wrong ("--shards must be one or all, not", optarg);
    case 'w':
        options->workloads = optarg;
        return workloads_known (optarg) ? 0 : wrong ("no such workloads:", optarg);
    case 'N':
        options->network = strcmp (optarg, "netns") == 0 ? NETWORK_NETNS : NETWORK_PROXY;
        return one_of (optarg, "netns,proxy") ? 0 : wrong ("--network must be netns or proxy, not", optarg);
    case 'd':
        options->own_dir = true;
        return nemesis_path (options->dir, optarg, "") ? 0 : NEMESIS_USAGE;
    case 'b':
        return realpath (optarg, options->bin) != NULL ? 0 : wrong ("there is no build in", optarg);
    }
    return wrong ("unknown option", "");
}

static int parse (int argc, char **argv, struct nemesis_options *options)
{
    opterr = 0;
    for (int option; (option = getopt_long (argc, argv, "", long_options, NULL)) != -1;) {
        if (option == '?')
            return wrong ("unknown option, or one without its value:", argv[optind - 1]);
        int code = 0;
        if (option == 'K')
            options->keep = true;
        else if (option == 'j')
            options->json = true;
        else
            code = strchr ("nsxkcSRp", option) != NULL ? take_number (options, option) : take_word (options, option);
        if (code != 0)
            return code;
    }
    if (optind < argc)
        return wrong ("one argument too many:", argv[optind]);
    if (options->replication == 0)
        options->replication = options->nodes < 3 ? options->nodes : 3;
    if (options->replication > options->nodes) {
        nemesis_say ("error: --replication must be a number from 1 to %u (--nodes), not '%u'; see scripts/chaos --help",
            options->nodes, options->replication);
        return NEMESIS_USAGE;
    }
    return 0;
}

/* ---- the folder: named after this process, so that who comes later can tell a dead run's */

static bool process_start (pid_t pid, unsigned long long *ticks)
{
    char path[64], text[1024];
    snprintf (path, sizeof path, "/proc/%d/stat", (int) pid);
    if (!nemesis_read_file (path, text, sizeof text))
        return false;
    const char *at = strrchr (text, ')');
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr (at + 1, ' ');
    return at != NULL && sscanf (at, "%llu", ticks) == 1;
}

static void remove_dead_runs (const char *parent)
{
    char pattern[NEMESIS_PATH], keep[NEMESIS_PATH];
    glob_t found = {0};
    if (nemesis_path (pattern, parent, FOLDER "*") && glob (pattern, GLOB_ONLYDIR, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            const char *name = strrchr (found.gl_pathv[i], '/') + 1;
            unsigned long long started = 0, ticks = 0;
            int pid = 0;
            if (sscanf (name, FOLDER "%d.%llu", &pid, &started) != 2 ||
                (process_start (pid, &ticks) && ticks == started))
                continue;
            if (!nemesis_path (keep, found.gl_pathv[i], "keep") || access (keep, F_OK) == 0)
                continue;
            nemesis_say ("removing %s, which a dead run left", found.gl_pathv[i]);
            nemesis_remove_tree (found.gl_pathv[i]);
        }
    globfree (&found);
}

static bool make_folder (struct nemesis_options *options)
{
    const char *parent = getenv ("TMPDIR");
    unsigned long long ticks = 0;
    char name[64];
    if (parent == NULL || parent[0] != '/')
        parent = "/tmp";
    remove_dead_runs (parent);
    if (!process_start (getpid (), &ticks))
        return false;
    snprintf (name, sizeof name, FOLDER "%d.%llu", (int) getpid (), ticks);
    if (!options->own_dir && !nemesis_path (options->dir, parent, name))
        return false;
    if (mkdir (options->dir, 0700) != 0 &&
        !(options->own_dir && rmdir (options->dir) == 0 && mkdir (options->dir, 0700) == 0)) {
        nemesis_say (
            "error: %s cannot be made: %s; give a folder that is not there yet", options->dir, strerror (errno));
        return false;
    }
    char real[4096];
    if (realpath (options->dir, real) == NULL || strlen (real) + 64 > NEMESIS_PATH)
        return false;
    memcpy (options->dir, real, strlen (real) + 1);
    return true;
}

/* ---- the janitor: outlives us by the time that it takes to remove the folder, however we end */

static void janitor (int from, const char *folder)
{
    char word = 0;
    setsid ();
    signal (SIGINT, SIG_IGN);
    signal (SIGTERM, SIG_IGN);
    ssize_t len;
    do
        len = read (from, &word, 1);
    while (len < 0 && errno == EINTR);
    if (len == 1)
        _exit (0); /* the folder is kept, or already gone */
    for (int i = 0; i < 100 && access (folder, F_OK) == 0; i++) {
        nemesis_remove_tree (folder); /* those who die with us may still write */
        nemesis_sleep_ms (50);
    }
    _exit (0);
}

static bool start_janitor (struct nemesis *run)
{
    int ends[2];
    if (pipe2 (ends, O_CLOEXEC) != 0)
        return false;
    pid_t pid = fork ();
    if (pid == 0) {
        close (ends[1]);
        for (int fd = 3; fd < 64; fd++)
            if (fd != ends[0])
                close (fd);
        janitor (ends[0], run->options.dir);
    }
    close (ends[0]);
    run->janitor = ends[1];
    return pid > 0;
}

static void on_signal (int signal_number)
{
    (void) signal_number;
    nemesis_interrupted = 1;
}

/* What cannot be done here is said and left out; where it was asked for by name, too. */
static bool settle_families (struct nemesis *run)
{
    struct nemesis_options *options = &run->options;
    if ((options->families >> FAMILY_DISKFULL & 1) != 0)
        run->private_mounts = geteuid () == 0 && access ("/dev/loop-control", R_OK | W_OK) == 0 &&
                              unshare (CLONE_NEWNS) == 0 && mount ("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    for (int family = 0; family < FAMILY_COUNT; family++) {
        if ((options->families >> family & 1) == 0)
            continue;
        const char *why = nemesis_families[family].unable (run);
        if (why == NULL)
            continue;
        options->families &= ~(1u << family);
        snprintf (run->skipped[family], sizeof run->skipped[family], "%s", why);
        nemesis_say ("%s is left out: %s", nemesis_families[family].name, why);
    }
    if (options->families == 0)
        nemesis_say ("error: no fault is left that works here");
    return options->families != 0;
}

static void close_run (struct nemesis *run, enum nemesis_exit code)
{
    char path[NEMESIS_PATH];
    if (run->load > 0) {
        kill (run->load, SIGKILL);
        nemesis_wait (run->load, 5000);
    }
    nemesis_nodes_stop (run, false);
    if (run->proxy > 0) {
        kill (run->proxy, SIGTERM);
        nemesis_wait (run->proxy, 5000);
    }
    fclose (run->journal);
    bool keep = run->options.keep || run->options.own_dir || (code != NEMESIS_FINE && !nemesis_interrupted);
    if (keep && nemesis_path (path, run->options.dir, "keep"))
        nemesis_write_file (path, "");
    if (keep) {
        nemesis_say ("kept: %s", run->options.dir);
        if (write (run->janitor, "k", 1) != 1)
            nemesis_say ("error: the janitor is gone");
    }
    /* The mounts of this run are ours alone and go with us; the janitor sees the folder without them. */
    close (run->janitor);
}

/* Those of the families that work here, for who plans runs; the others are said. */
static int tell_families (struct nemesis *run)
{
    char path[NEMESIS_PATH];
    run->preloaded = nemesis_path (path, run->options.bin, "test/support/preload_chaos.so") && access (path, R_OK) == 0;
    if (!settle_families (run))
        return NEMESIS_FAILED;
    for (int family = 0, first = 1; family < FAMILY_COUNT; family++)
        if ((run->options.families >> family & 1) != 0) {
            printf ("%s%s", first != 0 ? "" : ",", nemesis_families[family].name);
            first = 0;
        }
    putchar ('\n');
    return NEMESIS_FINE;
}

int main (int argc, char **argv)
{
    static struct nemesis run;
    struct nemesis_options *options = &run.options;
    *options = (struct nemesis_options){.nodes = 3,
        .seconds = 60,
        .clients = 16,
        .shards = 16,
        .port = 7400,
        .kills = 100,
        .seed = (uint64_t) time (NULL),
        .families = (1u << FAMILY_COUNT) - 1,
        .workloads = ALL_WORKLOADS,
        .fault = "kill",
        .shards_hit = "one"};
    bool failover = argc > 1 && strcmp (argv[1], "failover") == 0;
    bool tell = argc > 1 && strcmp (argv[1], "families") == 0;
    if (argc < 2 || (!failover && !tell && strcmp (argv[1], "run") != 0)) {
        fputs (usage, stderr);
        return NEMESIS_USAGE;
    }
    umask (077); /* keys and tokens */
    int code = parse (argc - 1, argv + 1, options);
    if (code != 0)
        return code;
    if (options->bin[0] == '\0')
        return wrong ("--bin is needed", "");
    if (tell)
        return tell_families (&run);
    if (!make_folder (options))
        return NEMESIS_FAILED;
    run.random = options->seed;
    run.begin_ms = nemesis_now_ms ();
    char path[NEMESIS_PATH];
    struct sigaction action = {.sa_handler = on_signal};
    sigaction (SIGINT, &action, NULL);
    sigaction (SIGTERM, &action, NULL);
    sigaction (SIGHUP, &action, NULL);
    signal (SIGPIPE, SIG_IGN);
    if (!start_janitor (&run) || !nemesis_path (path, options->dir, "nemesis.jsonl") ||
        (run.journal = fopen (path, "we")) == NULL)
        return NEMESIS_FAILED;
    enum nemesis_exit result = NEMESIS_FAILED;
    run.preloaded = nemesis_path (path, options->bin, "test/support/preload_chaos.so") && access (path, R_OK) == 0;
    if (failover)
        result = nemesis_failover (&run);
    else if (settle_families (&run))
        result = nemesis_run (&run);
    if (nemesis_interrupted)
        nemesis_say ("interrupted");
    close_run (&run, result);
    return nemesis_interrupted ? 130 : (int) result;
}
