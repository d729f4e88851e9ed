/* Makes fsync and fdatasync fail: by LD_PRELOAD under a whole node, or compiled into one test.
 *
 * LD_PRELOAD:  MAITRED_FSYNC_MATCH  part of the path of the files concerned (default ".log")
 *              MAITRED_FSYNC_AFTER  syncs of such files that still succeed (default: all of them)
 * In a test:   preload_fsync_fail (match, after), preload_fsync_heal (), preload_fsync_calls ().
 * Like a disk that went bad, every matching sync fails from then on. Thread safety: set up before other threads sync.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__ ((visibility ("default")))

static char failing_match[128] = ".log";
static atomic_long failing_after = LONG_MAX;
static atomic_long calls_seen;

EXPORT void preload_fsync_fail (const char *part, long after);
EXPORT void preload_fsync_heal (void);
EXPORT long preload_fsync_calls (void);

void preload_fsync_fail (const char *part, long after)
{
    snprintf (failing_match, sizeof failing_match, "%s", part);
    atomic_store (&failing_after, after);
}

void preload_fsync_heal (void)
{
    atomic_store (&failing_after, LONG_MAX);
}

/* Syncs of matching files so far: tells that the shim is in the way at all. */
long preload_fsync_calls (void)
{
    return atomic_load (&calls_seen);
}

__attribute__ ((constructor)) static void read_environment (void)
{
    const char *part = getenv ("MAITRED_FSYNC_MATCH"), *after = getenv ("MAITRED_FSYNC_AFTER");
    if (part != NULL)
        snprintf (failing_match, sizeof failing_match, "%s", part);
    if (after != NULL)
        atomic_store (&failing_after, atol (after));
}

static int fails (int fd)
{
    char link[64], path[4096];
    snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink (link, path, sizeof path - 1);
    if (len < 0)
        return 0;
    path[len] = 0;
    if (strstr (path, failing_match) == NULL)
        return 0;
    atomic_fetch_add (&calls_seen, 1);
    return atomic_load (&failing_after) != LONG_MAX && atomic_fetch_sub (&failing_after, 1) <= 0;
}

typedef int sync_function (int fd);

static int forward (const char *name, int fd)
{
    /* POSIX gives dlsym as the way to functions; ISO C knows no cast from its void *. */
    sync_function *next;
    void *symbol = dlsym (RTLD_NEXT, name);
    memcpy (&next, &symbol, sizeof next);
    return next (fd);
}

EXPORT int fsync (int fd)
{
    if (fails (fd)) {
        errno = EIO;
        return -1;
    }
    return forward ("fsync", fd);
}

EXPORT int fdatasync (int fd)
{
    if (fails (fd)) {
        errno = EIO;
        return -1;
    }
    return forward ("fdatasync", fd);
}
