/* The nodes: made, started, hurt, watched, asked, ended.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/chaos/nemesis.h"

#define HALTED 70
#define DISK_REFUSED 7 /* a start whose sync fails */
#define REFUSED_DAMAGE 6
#define REFUSED_FOLDER 4 /* a bit of FORMAT that turned one version into another */
#define CONFIG_MAX 4096
#define RESTART_MS 500
#define DEATHS_MAX 3
#define ANSWER_MAX 65536

static bool file_of (struct nemesis *run, uint32_t node, const char *format, char path[NEMESIS_PATH])
{
    char name[64];
    int len = snprintf (name, sizeof name, "node-%u%s", node, format);
    return len > 0 && nemesis_path (path, run->cluster, name);
}

/* The file that preload_chaos.so maps in the node. */
static bool map_chaos (struct nemesis *run, uint32_t node)
{
    char path[NEMESIS_PATH];
    if (!file_of (run, node, ".chaos", path))
        return false;
    int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    struct preload_chaos *chaos = MAP_FAILED;
    if (fd >= 0 && ftruncate (fd, sizeof *chaos) == 0)
        chaos = mmap (NULL, sizeof *chaos, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close (fd);
    run->nodes[node].chaos = chaos == MAP_FAILED ? NULL : chaos;
    return run->nodes[node].chaos != NULL;
}

bool nemesis_cluster_create (struct nemesis *run)
{
    const struct nemesis_options *options = &run->options;
    char program[NEMESIS_PATH], log[NEMESIS_PATH], token[NEMESIS_PATH], nodes[16], port[16], shards[16],
        replication[16];
    snprintf (nodes, sizeof nodes, "%u", options->nodes);
    snprintf (port, sizeof port, "%u", options->port);
    snprintf (shards, sizeof shards, "%u", options->shards);
    snprintf (replication, sizeof replication, "%u", options->replication);
    if (!nemesis_path (program, options->bin, "maitred") || !nemesis_path (log, options->dir, "create.log") ||
        !nemesis_path (run->cluster, options->dir, "cluster") || !nemesis_path (token, run->cluster, "admin.token"))
        return false;
    const char *const argv[] = {program, "create-cluster", "--dir", run->cluster, "--nodes", nodes, "--port", port,
        "--shards", shards, "--replication", replication, NULL};
    struct child_setup setup = {.argv = argv, .space = -1, .out = log, .err = log};
    if (nemesis_program (&setup, 20000) != 0 || !nemesis_read_file (token, run->token, sizeof run->token)) {
        nemesis_say ("error: the cluster's files could not be made: see %s", log);
        return false;
    }
    run->token[strcspn (run->token, "\n")] = '\0';
    for (uint32_t node = 1; node <= options->nodes; node++) {
        run->nodes[node].number = node;
        run->nodes[node].owner = -1;
        if (!map_chaos (run, node))
            return false;
    }
    return true;
}

bool nemesis_configure (struct nemesis *run, uint32_t node, const char *from, const char *to)
{
    char path[NEMESIS_PATH], text[CONFIG_MAX], out[2 * CONFIG_MAX];
    const char *at = NULL;
    if (file_of (run, node, ".conf", path) && nemesis_read_file (path, text, sizeof text))
        at = strstr (text, from);
    if (at == NULL) {
        nemesis_say ("error: %s does not say '%s'", path, from);
        return false;
    }
    snprintf (out, sizeof out, "%.*s%s%s", (int) (at - text), text, to, at + strlen (from));
    return nemesis_write_file (path, out);
}

bool nemesis_node_start (struct nemesis *run, uint32_t node)
{
    struct nemesis_node *self = &run->nodes[node];
    char program[NEMESIS_PATH], config[NEMESIS_PATH], log[NEMESIS_PATH], chaos[NEMESIS_PATH];
    char control[NEMESIS_PATH + 32], preload[2 * NEMESIS_PATH + 128], data[NEMESIS_PATH], power_dir[NEMESIS_PATH + 32];
    char options[2 * NEMESIS_PATH];
    bool power = (run->options.families >> FAMILY_POWER & 1) != 0;
    if (self->state != NODE_DOWN)
        return true;
    if (!nemesis_path (program, run->options.bin, "maitred") || !file_of (run, node, ".conf", config) ||
        !file_of (run, node, ".log", log) || !file_of (run, node, ".chaos", chaos) ||
        !nemesis_data_of (run, node, data))
        return false;
    snprintf (control, sizeof control, PRELOAD_CHAOS_ENVIRONMENT "=%s", chaos);
    snprintf (power_dir, sizeof power_dir, "MAITRED_POWER_DIR=%s", data);
    snprintf (preload, sizeof preload, "LD_PRELOAD=%s/test/support/preload_chaos.so%s%s%s", run->options.bin,
        power ? ":" : "", power ? run->options.bin : "", power ? "/test/support/preload_power.so" : "");
    /* A sanitized node wants its runtime loaded first; it does not mind. */
    const char *sanitizer = getenv ("ASAN_OPTIONS");
    snprintf (options, sizeof options, "ASAN_OPTIONS=%s%sverify_asan_link_order=0", sanitizer != NULL ? sanitizer : "",
        sanitizer != NULL ? ":" : "");
    const char *const more[] = {control, preload, options, power ? power_dir : NULL, NULL};
    const char *const argv[] = {program, "--config", config, NULL};
    struct child_setup setup = {.argv = argv,
        .space = self->space,
        .more = run->preloaded ? more : NULL,
        .out = log,
        .err = log,
        .folder = run->cluster};
    self->pid = nemesis_spawn (&setup);
    if (self->pid == 0)
        return false;
    self->state = NODE_RUNNING;
    self->restart_ms = 0;
    self->may_halt = atomic_load (&self->chaos->sync_fail) != 0;
    self->starts++;
    return true;
}

void nemesis_node_kill (struct nemesis *run, uint32_t node)
{
    struct nemesis_node *self = &run->nodes[node];
    self->restart_ms = 0;
    if (self->state == NODE_DOWN)
        return;
    kill (self->pid, SIGKILL);
    if (nemesis_wait (self->pid, 20000) < 0)
        nemesis_broken (run, "node %u does not die of SIGKILL", node);
    self->pid = 0;
    self->state = NODE_DOWN;
}

void nemesis_node_pause (struct nemesis *run, uint32_t node)
{
    struct nemesis_node *self = &run->nodes[node];
    if (self->state != NODE_RUNNING)
        return;
    kill (self->pid, SIGSTOP);
    self->state = NODE_PAUSED;
}

void nemesis_node_resume (struct nemesis *run, uint32_t node)
{
    struct nemesis_node *self = &run->nodes[node];
    if (self->state != NODE_PAUSED)
        return;
    kill (self->pid, SIGCONT);
    self->state = NODE_RUNNING;
}

/* The last words of its log. */
static void last_line (struct nemesis *run, uint32_t node, char *out, size_t size)
{
    char path[NEMESIS_PATH], tail[2048];
    out[0] = '\0';
    FILE *file = file_of (run, node, ".log", path) ? fopen (path, "re") : NULL;
    if (file == NULL)
        return;
    if (fseek (file, -(long) sizeof tail + 1, SEEK_END) != 0)
        rewind (file);
    size_t len = fread (tail, 1, sizeof tail - 1, file);
    fclose (file);
    while (len > 0 && tail[len - 1] == '\n')
        len--;
    tail[len] = '\0';
    const char *line = strrchr (tail, '\n');
    snprintf (out, size, "%.*s", (int) size - 1, line == NULL ? tail : line + 1);
}

static bool is_refusal (int code, const char *line)
{
    return code == REFUSED_DAMAGE || code == HALTED ||
           (code == REFUSED_FOLDER && strstr (line, "FORMAT is damaged") != NULL);
}

static void died (struct nemesis *run, struct nemesis_node *self, int code)
{
    char line[400];
    last_line (run, self->number, line, sizeof line);
    self->pid = 0;
    self->state = NODE_DOWN;
    if ((code == HALTED || code == DISK_REFUSED) && self->may_halt && strcmp (line, "maitred: ") != 0) {
        self->halts++;
        atomic_store (&self->chaos->sync_fail, 0); /* a bad sector, not a dead disk: the node must come back */
        nemesis_note (run, "halted", FAMILY_COUNT, "node %u: exit %d, as it should: %s", self->number, code, line);
    } else if (is_refusal (code, line) && self->may_refuse) {
        self->refusals++;
        nemesis_note (run, "refused", FAMILY_COUNT, "node %u: exit %d: %s", self->number, code, line);
        nemesis_bitflip_undo (run);
        if (code != HALTED) /* at its start: it has written nothing since */
            nemesis_stale_undo (run);
    } else if (code == DISK_REFUSED && (run->options.families >> FAMILY_DISKFULL & 1) != 0 &&
               strstr (line, "No space left") != NULL) {
        self->refusals++; /* its start needs more room than was left: it is tried again until there is some */
        nemesis_note (run, "refused", FAMILY_COUNT, "node %u: exit %d: %s", self->number, code, line);
    } else {
        nemesis_broken (run, "node %u ended by itself, exit %d: %s", self->number, code, line);
        if (++self->deaths >= DEATHS_MAX)
            return; /* it does so each time: the run has its verdict */
    }
    self->restart_ms = nemesis_now_ms () + RESTART_MS;
}

void nemesis_nodes_watch (struct nemesis *run)
{
    for (uint32_t node = 1; node <= run->options.nodes; node++) {
        struct nemesis_node *self = &run->nodes[node];
        if (self->state != NODE_DOWN) {
            int code = nemesis_wait (self->pid, 0);
            if (code >= 0)
                died (run, self, code);
        } else if (self->restart_ms != 0 && self->restart_ms <= nemesis_now_ms ()) {
            nemesis_note (run, "start", FAMILY_COUNT, "node %u", node);
            nemesis_node_start (run, node);
        }
    }
    nemesis_wipe_step (run);
    if (run->proxy > 0 && nemesis_wait (run->proxy, 0) >= 0) {
        run->proxy = 0;
        nemesis_broken (run, "the proxy ended: the network of this run was not what it should be");
    }
}

/* ---- asking */

/* GET of a node's HTTP side, in its namespace. The whole answer is in a static buffer; NULL: none. */
static const char *http_get (struct nemesis *run, uint32_t node, const char *path)
{
    static char answer[ANSWER_MAX];
    char request[128];
    struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons ((uint16_t) (run->options.port + 300 + node)),
        .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    struct timeval patience = {.tv_usec = 300000};
    if (run->nodes[node].space >= 0)
        nemesis_enter (run->nodes[node].space);
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (run->nodes[node].space >= 0)
        nemesis_enter (-1);
    if (fd < 0)
        return NULL;
    setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    int len = snprintf (request, sizeof request, "GET %s HTTP/1.0\r\n\r\n", path);
    size_t used = 0;
    ssize_t got = -1;
    if (connect (fd, (struct sockaddr *) &address, sizeof address) == 0 &&
        send (fd, request, (size_t) len, MSG_NOSIGNAL) == len)
        while (used + 1 < sizeof answer && (got = recv (fd, answer + used, sizeof answer - 1 - used, 0)) > 0)
            used += (size_t) got;
    close (fd);
    answer[used] = '\0';
    return used == 0 || got < 0 ? NULL : answer;
}

bool nemesis_node_ready (struct nemesis *run, uint32_t node)
{
    const char *answer = http_get (run, node, "/readyz");
    return answer != NULL && strncmp (answer, "HTTP/1.", 7) == 0 && strncmp (answer + 8, " 200", 4) == 0;
}

uint64_t nemesis_metric (struct nemesis *run, uint32_t node, const char *name)
{
    char line[96];
    const char *answer = http_get (run, node, "/metrics");
    int len = snprintf (line, sizeof line, "\nmaitred_%s", name);
    for (const char *at = answer; at != NULL && (at = strstr (at, line)) != NULL; at += len)
        if (at[len] == ' ' || at[len] == '{') {
            const char *value = strchr (at + 1, ' ');
            return value == NULL ? UINT64_MAX : strtoull (value + 1, NULL, 10);
        }
    return UINT64_MAX;
}

bool nemesis_nodes_ready (struct nemesis *run, uint64_t timeout_ms)
{
    uint64_t end_ms = nemesis_now_ms () + timeout_ms;
    for (uint32_t node = 1; node <= run->options.nodes;) {
        nemesis_nodes_watch (run);
        if (nemesis_node_ready (run, node)) {
            node++;
            continue;
        }
        bool gone = run->nodes[node].state == NODE_DOWN && run->nodes[node].restart_ms == 0;
        if (gone || nemesis_now_ms () >= end_ms || nemesis_interrupted) {
            char line[400];
            last_line (run, node, line, sizeof line);
            nemesis_say ("node %u %s; the end of its log: %s", node, gone ? "is down" : "is not ready in time", line);
            return false;
        }
        nemesis_sleep_ms (20);
    }
    return true;
}

uint32_t nemesis_leader (struct nemesis *run, uint32_t shard)
{
    char program[NEMESIS_PATH], out[NEMESIS_PATH], client[NEMESIS_PATH + 48], token[1200], number[16], answer[2048];
    if (!nemesis_path (program, run->options.bin, "maitre") || !nemesis_path (out, run->options.dir, "where.json"))
        return 0;
    snprintf (client, sizeof client, "MAITRE_CLUSTER=%s/client/chaos.client", run->cluster);
    snprintf (token, sizeof token, "MAITRE_TOKEN=%s", run->token);
    snprintf (number, sizeof number, "%u", shard);
    const char *const argv[] = {program, "cluster", "where", "--shard", number, "--json", "--timeout", "800", NULL};
    const char *const more[] = {client, token, NULL};
    struct child_setup setup = {.argv = argv, .space = run->client_space, .more = more, .out = out, .err = "/dev/null"};
    unlink (out);
    if (nemesis_program (&setup, 2000) != 0 || !nemesis_read_file (out, answer, sizeof answer))
        return 0;
    const char *at = strstr (answer, "\"leader\":");
    unsigned leader = 0;
    if (at == NULL || sscanf (at, "\"leader\": %u", &leader) != 1 || leader > run->options.nodes)
        return 0;
    return leader;
}

uint32_t nemesis_pick (struct nemesis *run)
{
    uint32_t from = nemesis_draw (run, run->options.nodes);
    for (uint32_t i = 0; i < run->options.nodes; i++) {
        const struct nemesis_node *node = &run->nodes[1 + (from + i) % run->options.nodes];
        if (node->state == NODE_RUNNING && node->owner < 0)
            return node->number;
    }
    return 0;
}

/* ---- ending */

void nemesis_heal (struct nemesis *run)
{
    memset (run->drops, 0, sizeof run->drops);
    if (run->proxy > 0)
        nemesis_link (run, "heal");
    for (uint32_t node = 1; node <= run->options.nodes; node++) {
        struct nemesis_node *self = &run->nodes[node];
        if (self->chaos != NULL) {
            atomic_store (&self->chaos->offset_ns, 0);
            atomic_store (&self->chaos->drift_ppm, 0);
            atomic_store (&self->chaos->sync_delay_us, 0);
            atomic_store (&self->chaos->sync_fail, 0);
        }
        if (node != nemesis_wipe_node ())
            self->owner = -1;
        nemesis_node_resume (run, node);
        if (self->deaths < DEATHS_MAX && !nemesis_wipe_holds (node))
            nemesis_node_start (run, node);
    }
}

void nemesis_nodes_stop (struct nemesis *run, bool judge)
{
    for (uint32_t node = 1; node <= run->options.nodes; node++)
        if (run->nodes[node].state != NODE_DOWN) {
            kill (run->nodes[node].pid, SIGCONT);
            kill (run->nodes[node].pid, judge ? SIGTERM : SIGKILL);
        }
    for (uint32_t node = 1; node <= run->options.nodes; node++) {
        struct nemesis_node *self = &run->nodes[node];
        if (self->state == NODE_DOWN)
            continue;
        int code = nemesis_wait (self->pid, NEMESIS_READY_MS);
        if (code < 0) {
            kill (self->pid, SIGKILL);
            nemesis_wait (self->pid, 5000);
        }
        if (judge && code != 0)
            nemesis_broken (
                run, "node %u did not stop in order: %s %d", node, code < 0 ? "still there, status" : "exit", code);
        self->pid = 0;
        self->state = NODE_DOWN;
    }
}
