/* Flipped bits in a stopped node's files, and power loss of all nodes.
 *
 * Bits are flipped on one node of a run, always the same: a minority. A node may mend what it finds, or refuse to start
 * (exit 6) or halt; then the operator's part is played here: the bytes are put back as they were, and it is started.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/chaos/nemesis.h"

#define FILES_MAX 512
#define FLIPS_MAX 256

struct flip {
    char path[NEMESIS_PATH];
    off_t at;
    uint8_t before, after;
};

static struct flip flips[FLIPS_MAX];
static uint32_t flip_count, flip_node;

bool nemesis_data_of (struct nemesis *run, uint32_t node, char path[NEMESIS_PATH])
{
    char name[64];
    bool small = (run->options.families >> FAMILY_DISKFULL & 1) != 0;
    snprintf (name, sizeof name, small ? "disk-%u/data-%u" : "data-%u", node, node);
    return nemesis_path (path, run->cluster, name);
}

/* ---- flipped bits */

static struct {
    char paths[FILES_MAX][NEMESIS_PATH];
    uint32_t count;
} found;

static int find_one (const char *path, const struct stat *status, int type, struct FTW *walk)
{
    const char *name = path + walk->base;
    /* RocksDB's diary, locks, and what was set aside: nobody reads them. */
    bool read = strstr (path, "/damaged-") == NULL && strncmp (name, "LOG", 3) != 0 && strncmp (name, "LOCK", 4) != 0 &&
                strncmp (name, "OPTIONS", 7) != 0;
    if (type == FTW_F && status->st_size > 0 && read && found.count < FILES_MAX && strlen (path) < NEMESIS_PATH)
        memcpy (found.paths[found.count++], path, strlen (path) + 1);
    return 0;
}

static int by_name (const void *a, const void *b)
{
    return strcmp (a, b);
}

static bool flip_one (struct nemesis *run, const char *path)
{
    struct stat status;
    struct flip *flip = &flips[flip_count];
    int fd = flip_count == FLIPS_MAX ? -1 : open (path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat (fd, &status) != 0 || status.st_size == 0) {
        if (fd >= 0)
            close (fd);
        return false;
    }
    snprintf (flip->path, sizeof flip->path, "%s", path);
    flip->at = (off_t) nemesis_draw (run, (uint32_t) status.st_size);
    bool fine = pread (fd, &flip->before, 1, flip->at) == 1;
    flip->after = flip->before ^ (uint8_t) (1u << nemesis_draw (run, 8));
    fine = fine && pwrite (fd, &flip->after, 1, flip->at) == 1;
    close (fd);
    flip_count += fine ? 1 : 0;
    return fine;
}

const char *nemesis_bitflip_unable (struct nemesis *run)
{
    return run->options.nodes < 3 ? "it takes three nodes: the others have what is damaged" : NULL;
}

uint32_t nemesis_unlucky (struct nemesis *run)
{
    if (flip_node == 0)
        flip_node = 1 + nemesis_draw (run, run->options.nodes);
    return flip_node;
}

void nemesis_bitflip_forget (struct nemesis *run, uint32_t node)
{
    if (node != flip_node)
        return;
    flip_count = 0;
    run->nodes[node].may_refuse = false;
    nemesis_stale_lost ();
}

uint64_t nemesis_bitflip_on (struct nemesis *run)
{
    char data[NEMESIS_PATH];
    struct nemesis_node *node = &run->nodes[nemesis_unlucky (run)];
    if (node->owner >= 0 || node->state != NODE_RUNNING || !nemesis_data_of (run, flip_node, data))
        return 0;
    node->owner = FAMILY_BITFLIP;
    node->may_refuse = true;
    nemesis_node_kill (run, flip_node);
    found.count = 0;
    nftw (data, find_one, 32, FTW_PHYS);
    qsort (found.paths, found.count, sizeof found.paths[0], by_name);
    for (uint32_t files = 1 + nemesis_draw (run, 3); files > 0 && found.count > 0; files--) {
        const char *path = found.paths[nemesis_draw (run, found.count)];
        uint32_t wanted = 1 + nemesis_draw (run, 4), done = 0;
        while (done < wanted && flip_one (run, path))
            done++;
        nemesis_note (run, "begin", FAMILY_BITFLIP, "node %u is down, %u bits of %s are turned", flip_node, done,
            path + strlen (run->cluster) + 1);
    }
    nemesis_node_start (run, flip_node);
    return nemesis_between (run, 2000, 6000);
}

void nemesis_bitflip_off (struct nemesis *run)
{
    if (flip_node != 0 && run->nodes[flip_node].owner == FAMILY_BITFLIP)
        run->nodes[flip_node].owner = -1;
    nemesis_note (run, "end", FAMILY_BITFLIP, "node %u is left alone", flip_node);
}

/* Newest first: a byte may have been hit twice. What the node itself has changed since stays. */
void nemesis_bitflip_undo (struct nemesis *run)
{
    uint32_t undone = 0, had = flip_count;
    for (; flip_count > 0; flip_count--) {
        const struct flip *flip = &flips[flip_count - 1];
        uint8_t now;
        int fd = open (flip->path, O_RDWR | O_CLOEXEC);
        if (fd >= 0 && pread (fd, &now, 1, flip->at) == 1 && now == flip->after &&
            pwrite (fd, &flip->before, 1, flip->at) == 1)
            undone++;
        if (fd >= 0)
            close (fd);
    }
    if (had == 0)
        return;
    nemesis_note (
        run, "mended", FAMILY_BITFLIP, "%u bits of node %u are put back, as from a good copy", undone, flip_node);
}

/* ---- power loss */

const char *nemesis_power_unable (struct nemesis *run)
{
    char path[NEMESIS_PATH];
    if (!nemesis_path (path, run->options.bin, "tools/power_cut") || access (path, X_OK) != 0 ||
        !nemesis_path (path, run->options.bin, "test/support/preload_power.so") || access (path, R_OK) != 0)
        return "tools/power_cut and preload_power.so are not built";
    return NULL;
}

/* How often each node's folder was taken back: the journal goes with it, and the next life begins a new one. */
static uint32_t cuts[NEMESIS_NODES_MAX + 1];

void nemesis_power_forget (uint32_t node)
{
    cuts[node]++;
}

static bool has_journal (const char *data)
{
    char path[NEMESIS_PATH + 32];
    snprintf (path, sizeof path, "%s.power/journal", data);
    return access (path, F_OK) == 0;
}

uint64_t nemesis_power_on (struct nemesis *run)
{
    char program[NEMESIS_PATH], data[NEMESIS_PATH], seed[32], log[NEMESIS_PATH];
    for (uint32_t node = 1; node <= run->options.nodes; node++)
        if (run->nodes[node].owner >= 0 || run->nodes[node].state != NODE_RUNNING)
            return 0; /* another family has one of them */
    for (uint32_t node = 1; node <= run->options.nodes; node++) {
        struct preload_chaos *chaos = run->nodes[node].chaos;
        if (atomic_load (&chaos->offset_ns) != 0 || atomic_load (&chaos->drift_ppm) != 0)
            return 0; /* all nodes started with wrong clocks would rightly take the wrong time for the true one */
    }
    for (uint32_t node = 1; node <= run->options.nodes; node++)
        kill (run->nodes[node].pid, SIGKILL);
    if (!nemesis_path (program, run->options.bin, "tools/power_cut") ||
        !nemesis_path (log, run->options.dir, "power.log"))
        return 0;
    for (uint32_t node = 1; node <= run->options.nodes; node++) {
        run->nodes[node].owner = FAMILY_POWER;
        nemesis_node_kill (run, node);
        snprintf (seed, sizeof seed, "%u", nemesis_draw (run, 1000000000));
        const char *const argv[] = {program, nemesis_data_of (run, node, data) ? data : "", "--seed", seed, NULL};
        struct child_setup setup = {.argv = argv, .space = -1, .out = log, .err = log};
        if (cuts[node] > 0 && !has_journal (data))
            continue; /* it was started after the last power loss and has not come as far as to open a file */
        if (nemesis_program (&setup, 60000) == 0)
            cuts[node]++;
        else if (!nemesis_interrupted)
            nemesis_broken (run, "power_cut %s failed: see %s", data, log);
    }
    nemesis_note (run, "begin", FAMILY_POWER, "power loss of all nodes");
    return nemesis_log_between (run, 20, 1000);
}

void nemesis_power_off (struct nemesis *run)
{
    for (uint32_t node = 1; node <= run->options.nodes; node++)
        if (run->nodes[node].owner == FAMILY_POWER) {
            run->nodes[node].owner = -1;
            nemesis_node_start (run, node);
        }
    nemesis_note (run, "end", FAMILY_POWER, "the power is back");
}
