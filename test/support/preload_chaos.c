/* A wrong wall clock, a slow disk and a disk that fails its syncs, for a whole node by LD_PRELOAD; MAITRED_CHAOS_FILE
 * names the file that says what (preload_chaos.h). libfaketime does the clock's part, too, but is not everywhere.
 *
 * Waits until a wall-clock time (C++'s condition variables, as in RocksDB) get it turned back: they wait as long as
 * they would have on a machine whose clock is wrong. Timers and waits by the monotonic clock are left alone.
 */
#include "test/support/preload_chaos.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__ ((visibility ("default")))
#define NS INT64_C (1000000000)
#define CONDITION_IS_MONOTONIC 2u /* glibc's bit in __wrefs */

static struct preload_chaos *chaos;

typedef int clock_function (clockid_t clock, struct timespec *time);
typedef int sync_function (int fd);
typedef int wait_function (pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until);
typedef int clock_wait_function (
    pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until);

static clock_function *real_clock;
static sync_function *real_fsync, *real_fdatasync;
static wait_function *real_wait;
static clock_wait_function *real_clock_wait;

/* POSIX gives dlsym as the way to functions; ISO C knows no cast from its void *. */
static void find (void *function, const char *name, const char *version)
{
    void *symbol = version == NULL ? dlsym (RTLD_NEXT, name) : dlvsym (RTLD_NEXT, name, version);
    memcpy (function, &symbol, sizeof symbol);
}

/* Others' constructors may ask for the time before ours ran. */
static void prepare (void)
{
    if (real_clock != NULL)
        return;
    find (&real_fsync, "fsync", NULL);
    find (&real_fdatasync, "fdatasync", NULL);
    find (&real_wait, "pthread_cond_timedwait", "GLIBC_2.3.2");
    find (&real_clock_wait, "pthread_cond_clockwait", NULL);
    find (&real_clock, "clock_gettime", NULL);
}

__attribute__ ((constructor)) static void map_file (void)
{
    prepare ();
    const char *path = getenv (PRELOAD_CHAOS_ENVIRONMENT);
    int fd = path == NULL ? -1 : open (path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *mapped = mmap (NULL, sizeof *chaos, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close (fd);
    if (mapped != MAP_FAILED)
        chaos = mapped;
}

/* How far the wall clock is off, at that real time. */
static int64_t error_ns (int64_t real_ns)
{
    if (chaos == NULL)
        return 0;
    int64_t ppm = atomic_load_explicit (&chaos->drift_ppm, memory_order_relaxed), drift = 0;
    if (ppm != 0)
        drift = (real_ns - atomic_load_explicit (&chaos->drift_since_ns, memory_order_relaxed)) / 1000000 * ppm;
    return atomic_load_explicit (&chaos->offset_ns, memory_order_relaxed) + drift;
}

static void shift (struct timespec *time, int64_t by_ns)
{
    int64_t ns = time->tv_nsec + by_ns % NS, s = time->tv_sec + by_ns / NS;
    if (ns < 0)
        ns += NS, s--;
    else if (ns >= NS)
        ns -= NS, s++;
    *time = (struct timespec){.tv_sec = s, .tv_nsec = ns};
}

static int64_t ns_of (const struct timespec *time)
{
    return (int64_t) time->tv_sec * NS + time->tv_nsec;
}

EXPORT int clock_gettime (clockid_t clock, struct timespec *time)
{
    prepare ();
    int status = real_clock (clock, time);
    if (status != 0 || chaos == NULL || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return status;
    atomic_fetch_add_explicit (&chaos->clock_calls, 1, memory_order_relaxed);
    shift (time, error_ns (ns_of (time)));
    return 0;
}

EXPORT int gettimeofday (struct timeval *restrict value, void *restrict zone)
{
    struct timespec time;
    int status = clock_gettime (CLOCK_REALTIME, &time);
    *value = (struct timeval){.tv_sec = time.tv_sec, .tv_usec = time.tv_nsec / 1000};
    if (zone != NULL)
        memset (zone, 0, sizeof (struct timezone));
    return status;
}

EXPORT time_t time (time_t *out)
{
    struct timespec time = {0};
    clock_gettime (CLOCK_REALTIME, &time);
    if (out != NULL)
        *out = time.tv_sec;
    return time.tv_sec;
}

/* The real moment at which the wrong clock shows `until`. */
static struct timespec turned_back (const struct timespec *until)
{
    struct timespec now, back = *until;
    real_clock (CLOCK_REALTIME, &now);
    shift (&back, -error_ns (ns_of (&now)));
    return back;
}

EXPORT int pthread_cond_timedwait (
    pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex, const struct timespec *restrict until)
{
    prepare ();
    if (chaos == NULL || (condition->__data.__wrefs & CONDITION_IS_MONOTONIC) != 0)
        return real_wait (condition, mutex, until);
    struct timespec back = turned_back (until);
    return real_wait (condition, mutex, &back);
}

EXPORT int pthread_cond_clockwait (
    pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    prepare ();
    if (chaos == NULL || clock != CLOCK_REALTIME)
        return real_clock_wait (condition, mutex, clock, until);
    struct timespec back = turned_back (until);
    return real_clock_wait (condition, mutex, clock, &back);
}

/* ---- the disk */

static int of_the_data (int fd)
{
    char link[64], path[4096];
    snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink (link, path, sizeof path - 1);
    if (len < 0)
        return 0;
    path[len] = '\0';
    return strstr (path, "data") != NULL;
}

static int sync_by (sync_function *function, int fd)
{
    if (chaos == NULL)
        return function (fd);
    uint64_t delay_us = atomic_load (&chaos->sync_delay_us);
    int fail = atomic_load (&chaos->sync_fail) != 0;
    atomic_fetch_add (&chaos->sync_calls, 1);
    if ((delay_us == 0 && !fail) || !of_the_data (fd))
        return function (fd);
    if (delay_us > 0) {
        struct timespec wait = {.tv_sec = (time_t) (delay_us / 1000000), .tv_nsec = (long) (delay_us % 1000000) * 1000};
        atomic_fetch_add (&chaos->sync_delayed, 1);
        while (nanosleep (&wait, &wait) != 0 && errno == EINTR) {
        }
    }
    if (fail) {
        atomic_fetch_add (&chaos->sync_failed, 1);
        errno = EIO;
        return -1;
    }
    return function (fd);
}

EXPORT int fsync (int fd)
{
    prepare ();
    return sync_by (real_fsync, fd);
}

EXPORT int fdatasync (int fd)
{
    prepare ();
    return sync_by (real_fdatasync, fd);
}
