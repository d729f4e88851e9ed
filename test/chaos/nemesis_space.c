/* Where the nodes live: a namespace with one TUN device each, or ports behind a TCP proxy. Either way the cluster's files are
 * rewritten so that every connection between two ends passes through the proxy.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/chaos/nemesis.h"

#define DEVICE_MTU 9000 /* few packets: a chaos run measures nothing */
#define FILE_MAX 65536

static int own_space = -1;

void nemesis_enter (int space)
{
    if (own_space >= 0 && setns (space >= 0 ? space : own_space, CLONE_NEWNET) != 0)
        nemesis_say ("error: a network namespace could not be entered: %s", strerror (errno));
}

/* ---- namespaces */

static bool device_address (int fd, struct ifreq *request, unsigned long command, const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (inet_pton (AF_INET, text, &address.sin_addr) != 1)
        return false;
    memcpy (&request->ifr_addr, &address, sizeof address);
    return ioctl (fd, command, request) == 0;
}

static bool device_up (int fd, struct ifreq *request)
{
    if (ioctl (fd, SIOCGIFFLAGS, request) != 0)
        return false;
    request->ifr_flags |= IFF_UP;
    return ioctl (fd, SIOCSIFFLAGS, request) == 0;
}

/* In the present namespace: loopback up, and the device of this end. Its descriptor, -1 with errno. */
static int make_device (uint32_t end)
{
    char address[32];
    snprintf (address, sizeof address, "10.77.0.%u", end + 1);
    int fd = open ("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    int control = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq loopback = {.ifr_name = "lo"}, device = {.ifr_name = "chaos", .ifr_flags = IFF_TUN | IFF_NO_PI};
    bool fine = fd >= 0 && control >= 0 && device_up (control, &loopback) && ioctl (fd, TUNSETIFF, &device) == 0 &&
                device_address (control, &device, SIOCSIFADDR, address) &&
                device_address (control, &device, SIOCSIFNETMASK, "255.255.255.0");
    device.ifr_mtu = DEVICE_MTU;
    fine = fine && ioctl (control, SIOCSIFMTU, &device) == 0 && device_up (control, &device);
    int why = errno;
    if (control >= 0)
        close (control);
    if (!fine && fd >= 0)
        close (fd);
    errno = why;
    return fine ? fd : -1;
}

static bool make_space (uint32_t end, int *space, int *device)
{
    *space = *device = -1;
    if (unshare (CLONE_NEWNET) == 0) {
        *space = open ("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        *device = make_device (end);
    }
    int why = errno;
    nemesis_enter (-1);
    if (*space >= 0 && *device >= 0)
        return true;
    if (*space >= 0)
        close (*space);
    errno = why;
    return false;
}

static bool make_spaces (struct nemesis *run)
{
    if (own_space < 0)
        own_space = open ("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    struct proxy_setup *setup = run->proxy_setup;
    for (uint32_t end = 0; own_space >= 0 && end < setup->ends; end++) {
        int *space = end == 0 ? &run->client_space : &run->nodes[end].space;
        if (!make_space (end, space, &setup->devices[end]))
            return false;
    }
    setup->packets = own_space >= 0;
    return setup->packets;
}

/* ---- listeners, for streams */

static uint16_t add_listener (struct proxy_setup *setup, uint32_t from, uint32_t to, unsigned target)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (setup->listener_count == PROXY_LISTENERS_MAX || fd < 0 || bind (fd, (struct sockaddr *) &address, size) != 0 ||
        listen (fd, 256) != 0 || getsockname (fd, (struct sockaddr *) &address, &size) != 0) {
        nemesis_say ("error: the proxy has no port for %u -> %u: %s", from, to, strerror (errno));
        if (fd >= 0)
            close (fd);
        return 0;
    }
    setup->listeners[setup->listener_count++] =
        (struct proxy_listener){.fd = fd, .from = (uint8_t) from, .to = (uint8_t) to, .target = (uint16_t) target};
    return ntohs (address.sin_port);
}

/* ---- the cluster's files */

/* What one end reads instead of tcp://127.0.0.1:PORT of node `to`. False: no listener. */
static bool endpoint_for (struct nemesis *run, uint32_t from, uint32_t to, const char *endpoint, char out[64])
{
    unsigned port = 0;
    if (sscanf (endpoint, "tcp://127.0.0.1:%u", &port) != 1)
        return false;
    if (run->proxy_setup == NULL)
        snprintf (out, 64, "%s", endpoint);
    else if (run->proxy_setup->packets)
        snprintf (out, 64, "tcp://10.77.0.%u:%u", to + 1, port);
    else if (from == to)
        snprintf (out, 64, "%s", endpoint);
    else
        snprintf (out, 64, "tcp://127.0.0.1:%u", add_listener (run->proxy_setup, from, to, port));
    return strcmp (out, "tcp://127.0.0.1:0") != 0;
}

/* One line: every word that is an endpoint is rewritten, the rest stays. */
static bool rewrite_line (struct nemesis *run, uint32_t from, char *line, FILE *out)
{
    unsigned to = 0;
    bool is_node = sscanf (line, "node %u ", &to) == 1;
    bool fine = true, first = true;
    char *rest = NULL;
    for (char *word = strtok_r (line, " ", &rest); word != NULL; word = strtok_r (NULL, " ", &rest), first = false) {
        char endpoint[64];
        const char *text = word;
        if (is_node && strncmp (word, "tcp://", 6) == 0) {
            fine = endpoint_for (run, from, to, word, endpoint) && fine;
            text = endpoint;
        }
        fprintf (out, "%s%s", first ? "" : " ", text);
    }
    fputc ('\n', out);
    return fine;
}

/* FILE of the cluster as the end `from` is to see it, written to TO. */
static bool rewrite (struct nemesis *run, uint32_t from, const char *file, const char *to)
{
    char path[NEMESIS_PATH], target[NEMESIS_PATH], *text = malloc (FILE_MAX);
    bool fine = text != NULL && nemesis_path (path, run->cluster, file) && nemesis_path (target, run->cluster, to) &&
                nemesis_read_file (path, text, FILE_MAX);
    FILE *out = fine ? fopen (target, "we") : NULL;
    fine = out != NULL;
    char *rest = NULL;
    for (char *line = fine ? strtok_r (text, "\n", &rest) : NULL; line != NULL; line = strtok_r (NULL, "\n", &rest))
        fine = rewrite_line (run, from, line, out) && fine;
    if (out != NULL && fclose (out) != 0)
        fine = false;
    free (text);
    if (!fine)
        nemesis_say ("error: %s/%s could not be rewritten", run->cluster, file);
    return fine;
}

static bool rewrite_all (struct nemesis *run)
{
    bool fine = rewrite (run, 0, "cluster.client", "client/chaos.client");
    for (uint32_t node = 1; node <= run->options.nodes && fine; node++) {
        char name[64], line[80];
        snprintf (name, sizeof name, "nodes-%u.conf", node);
        snprintf (line, sizeof line, "nodes = %s\n", name);
        fine = rewrite (run, node, "nodes.conf", name) && nemesis_configure (run, node, "nodes = nodes.conf\n", line);
    }
    /* The clients' file is signed, and other endpoints stand in ours: maitre would refuse it beside the key. */
    char key[NEMESIS_PATH];
    return fine && nemesis_path (key, run->cluster, "cluster.public") && unlink (key) == 0;
}

/* ---- the proxy */

static bool control_path (const struct nemesis *run, char path[NEMESIS_PATH])
{
    return nemesis_path (path, run->options.dir, "network.sock");
}

bool nemesis_network_open (struct nemesis *run)
{
    struct nemesis_options *options = &run->options;
    run->client_space = -1;
    for (uint32_t node = 0; node <= NEMESIS_NODES_MAX; node++)
        run->nodes[node].space = -1;
    char folder[NEMESIS_PATH];
    /* Not beside cluster.public: its signature is not the cluster's any more, as endpoints are those of the proxy. */
    if (!nemesis_path (folder, run->cluster, "client") || (mkdir (folder, 0700) != 0 && errno != EEXIST))
        return false;
    if (options->network == NETWORK_NONE)
        return rewrite (run, 0, "cluster.client", "client/chaos.client");
    run->proxy_setup = calloc (1, sizeof *run->proxy_setup);
    if (run->proxy_setup == NULL)
        return false;
    run->proxy_setup->ends = options->nodes + 1;
    run->proxy_setup->seed = options->seed;
    if (options->network != NETWORK_PROXY) {
        bool made = make_spaces (run);
        if (!made && options->network == NETWORK_NETNS) {
            nemesis_say ("error: no network namespace with a TUN device (%s): run it as root, or take --network proxy",
                strerror (errno));
            return false;
        }
        options->network = made ? NETWORK_NETNS : NETWORK_PROXY;
    }
    if (options->network == NETWORK_PROXY) {
        run->client_space = -1;
        for (uint32_t node = 0; node <= NEMESIS_NODES_MAX; node++)
            run->nodes[node].space = -1;
        run->proxy_setup->packets = false;
    }
    return rewrite_all (run);
}

bool nemesis_network_start (struct nemesis *run)
{
    char path[NEMESIS_PATH];
    if (run->proxy_setup == NULL)
        return true;
    if (!control_path (run, path))
        return false;
    run->proxy_setup->control_fd = proxy_listen (path);
    if (run->proxy_setup->control_fd < 0) {
        nemesis_say ("error: %s: %s", path, strerror (errno));
        return false;
    }
    pid_t parent = getpid ();
    run->proxy = fork ();
    if (run->proxy == 0) {
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        if (getppid () != parent)
            _exit (1);
        setpgid (0, 0);
        signal (SIGINT, SIG_DFL);
        _exit (proxy_run (run->proxy_setup));
    }
    close (run->proxy_setup->control_fd);
    for (uint32_t i = 0; i < run->proxy_setup->listener_count; i++)
        close (run->proxy_setup->listeners[i].fd);
    for (uint32_t end = 0; run->proxy_setup->packets && end < run->proxy_setup->ends; end++)
        close (run->proxy_setup->devices[end]);
    return run->proxy > 0;
}

void nemesis_link (struct nemesis *run, const char *command)
{
    char path[NEMESIS_PATH], answer[256];
    if (run->proxy_setup == NULL || !control_path (run, path))
        return;
    if (!proxy_command (path, command, answer, sizeof answer))
        nemesis_broken (run, "the proxy did not take '%s': %s", command, answer);
}

void nemesis_drop (struct nemesis *run, int family, uint32_t from, uint32_t to, bool drop)
{
    bool before = false, after = false;
    for (int other = 0; other < FAMILY_COUNT; other++)
        before = before || run->drops[other][from][to];
    run->drops[family][from][to] = drop;
    for (int other = 0; other < FAMILY_COUNT; other++)
        after = after || run->drops[other][from][to];
    char command[64];
    snprintf (command, sizeof command, "link %u %u drop %d", from, to, after);
    if (before != after)
        nemesis_link (run, command);
}
