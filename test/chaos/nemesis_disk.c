/* Wrong clocks, slow syncs, failing syncs and full disks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "test/chaos/nemesis.h"

#define SECOND_NS INT64_C (1000000000)
#define HOUR_NS (3600 * SECOND_NS)
#define TEN_YEARS_NS (INT64_C (3652) * 24 * HOUR_NS)
#define DISK_BYTES (INT64_C (1) << 30)
#define DISK_FREE_MIN_TEXT "64"
#define DISK_FREE_MIN_MIB 64 /* what the nodes are told: below it they must refuse, over at twice that */

const char *nemesis_preload_unable (struct nemesis *run)
{
    return run->preloaded ? NULL : "preload_chaos.so is not built";
}

/* ---- clocks */

static int64_t wall_ns (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (int64_t) now.tv_sec * SECOND_NS + now.tv_nsec;
}

uint64_t nemesis_clock_on (struct nemesis *run)
{
    static const int64_t jumps_ns[] = {HOUR_NS, -HOUR_NS, TEN_YEARS_NS, -TEN_YEARS_NS};
    static const char *const names[] = {"an hour ahead", "an hour back", "ten years ahead", "ten years back"};
    uint32_t all = nemesis_draw (run, 3) == 0, kind = nemesis_draw (run, 6);
    uint32_t one = 1 + nemesis_draw (run, run->options.nodes);
    int64_t drift_ppm = (int64_t) nemesis_log_between (run, 1000, 500000) * (nemesis_draw (run, 2) == 0 ? 1 : -1);
    for (uint32_t node = 1; node <= run->options.nodes; node++) {
        struct preload_chaos *chaos = run->nodes[node].chaos;
        if (!all && node != one)
            continue;
        atomic_store (&chaos->drift_since_ns, wall_ns ());
        atomic_store (&chaos->offset_ns, kind < 4 ? jumps_ns[kind] : 0);
        atomic_store (&chaos->drift_ppm, kind < 4 ? 0 : drift_ppm);
    }
    char who[32];
    snprintf (who, sizeof who, all ? "all nodes" : "node %u", one);
    if (kind < 4)
        nemesis_note (run, "begin", FAMILY_CLOCK, "the clock of %s jumps %s", who, names[kind]);
    else
        nemesis_note (run, "begin", FAMILY_CLOCK, "the clock of %s drifts by %lld ppm", who, (long long) drift_ppm);
    return nemesis_log_between (run, 300, 10000);
}

void nemesis_clock_off (struct nemesis *run)
{
    for (uint32_t node = 1; node <= run->options.nodes; node++) {
        atomic_store (&run->nodes[node].chaos->offset_ns, 0);
        atomic_store (&run->nodes[node].chaos->drift_ppm, 0);
    }
    nemesis_note (run, "end", FAMILY_CLOCK, "all clocks are right");
}

/* ---- syncs */

uint64_t nemesis_slowdisk_on (struct nemesis *run)
{
    bool all = nemesis_draw (run, 5) == 0;
    uint64_t delay_us = nemesis_log_between (run, 5000, all ? 100000 : 2000000);
    uint32_t one = 1 + nemesis_draw (run, run->options.nodes);
    for (uint32_t node = 1; node <= run->options.nodes; node++)
        if (all || node == one)
            atomic_store (&run->nodes[node].chaos->sync_delay_us, delay_us);
    if (all)
        nemesis_note (run, "begin", FAMILY_SLOWDISK, "every sync takes %llu us longer", (unsigned long long) delay_us);
    else
        nemesis_note (run, "begin", FAMILY_SLOWDISK, "every sync of node %u takes %llu us longer", one,
            (unsigned long long) delay_us);
    return nemesis_log_between (run, 500, 10000);
}

void nemesis_slowdisk_off (struct nemesis *run)
{
    for (uint32_t node = 1; node <= run->options.nodes; node++)
        atomic_store (&run->nodes[node].chaos->sync_delay_us, 0);
    nemesis_note (run, "end", FAMILY_SLOWDISK, "syncs are as fast as they can");
}

uint64_t nemesis_fsync_on (struct nemesis *run)
{
    uint32_t node = nemesis_wipe_node () != 0 ? 0 : nemesis_pick (run);
    if (node == 0)
        return 0;
    run->nodes[node].may_halt = true;
    atomic_store (&run->nodes[node].chaos->sync_fail, 1);
    nemesis_note (run, "begin", FAMILY_FSYNC, "the next sync of node %u fails", node);
    return nemesis_between (run, 1500, 4000);
}

void nemesis_fsync_off (struct nemesis *run)
{
    for (uint32_t node = 1; node <= run->options.nodes; node++)
        atomic_store (&run->nodes[node].chaos->sync_fail, 0);
    nemesis_note (run, "end", FAMILY_FSYNC, "syncs are done");
}

/* ---- full disks: each node's data on an ext4 of its own, in a file */

const char *nemesis_diskfull_unable (struct nemesis *run)
{
    return run->private_mounts ? NULL : "it takes root and loop devices for a small ext4";
}

static bool program (const char *const *argv, const char *log)
{
    struct child_setup setup = {.argv = argv, .space = -1, .out = log, .err = log};
    return nemesis_program (&setup, 30000) == 0;
}

/* The node's configuration says where its data is, and when its disk is full. */
static bool move_data (struct nemesis *run, uint32_t node)
{
    char from[64], to[64];
    snprintf (from, sizeof from, "data = data-%u\n", node);
    snprintf (to, sizeof to, "data = disk-%u/data-%u\n", node, node);
    return nemesis_configure (run, node, from, to) &&
           nemesis_configure (run, node, "limits\n", "limits\n    disk_free_min_mib = " DISK_FREE_MIN_TEXT "\n");
}

static bool open_disk (struct nemesis *run, uint32_t node)
{
    char name[64], image[NEMESIS_PATH], mounted[NEMESIS_PATH], log[NEMESIS_PATH];
    snprintf (name, sizeof name, "disk-%u.ext4", node);
    if (!nemesis_path (image, run->options.dir, name) || !nemesis_path (log, run->options.dir, "disks.log"))
        return false;
    snprintf (name, sizeof name, "disk-%u", node);
    if (!nemesis_path (mounted, run->cluster, name) || mkdir (mounted, 0700) != 0)
        return false;
    int fd = open (image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool fine = fd >= 0 && ftruncate (fd, DISK_BYTES) == 0;
    if (fd >= 0)
        close (fd);
    const char *const make[] = {"/sbin/mkfs.ext4", "-q", "-m", "0", image, NULL};
    const char *const mount[] = {"/bin/mount", "-o", "loop", image, mounted, NULL};
    return fine && program (make, log) && program (mount, log) && move_data (run, node);
}

bool nemesis_disks_open (struct nemesis *run)
{
    for (uint32_t node = 1; node <= run->options.nodes; node++)
        if (!open_disk (run, node)) {
            nemesis_say ("error: no small disk for node %u: see %s/disks.log", node, run->options.dir);
            return false;
        }
    return true;
}

static bool ballast_path (struct nemesis *run, uint32_t node, char path[NEMESIS_PATH])
{
    char name[64];
    snprintf (name, sizeof name, "disk-%u/ballast", node);
    return nemesis_path (path, run->cluster, name);
}

uint64_t nemesis_diskfull_on (struct nemesis *run)
{
    char path[NEMESIS_PATH];
    struct statvfs free_now;
    bool all = nemesis_draw (run, 6) == 0;
    uint32_t one = 1 + nemesis_draw (run, run->options.nodes), filled = 0;
    uint64_t left_mib = nemesis_between (run, DISK_FREE_MIN_MIB / 4, DISK_FREE_MIN_MIB - 8);
    for (uint32_t node = 1; node <= run->options.nodes; node++) {
        if ((!all && node != one) || !ballast_path (run, node, path))
            continue;
        int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        off_t size = fd < 0 || fstatvfs (fd, &free_now) != 0
                         ? 0
                         : (off_t) (free_now.f_bavail * free_now.f_frsize) - (off_t) (left_mib << 20);
        if (size > 0 && posix_fallocate (fd, 0, size) == 0)
            filled++;
        if (fd >= 0)
            close (fd);
    }
    if (filled == 0)
        return 0;
    if (all)
        nemesis_note (run, "begin", FAMILY_DISKFULL, "%llu MiB left on every disk", (unsigned long long) left_mib);
    else
        nemesis_note (
            run, "begin", FAMILY_DISKFULL, "%llu MiB left on the disk of node %u", (unsigned long long) left_mib, one);
    return nemesis_between (run, 2000, 10000);
}

void nemesis_diskfull_off (struct nemesis *run)
{
    char path[NEMESIS_PATH];
    for (uint32_t node = 1; node <= run->options.nodes; node++)
        if (ballast_path (run, node, path))
            unlink (path);
    nemesis_note (run, "end", FAMILY_DISKFULL, "there is room again");
}
