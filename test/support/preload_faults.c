/* Makes a disk fail under a whole node, by rules that may change while it runs: by LD_PRELOAD.
 *
 *   MAITRED_FAULTS       rules, separated by ';'
 *   MAITRED_FAULTS_FILE  a file of rules, one a line, '#' begins a comment; read again whenever it changes. Replace it by
 *                        rename, so that no half of it is seen; counts begin anew with it
 *   a rule               OPERATION PART ACTION [after=N] [count=N]
 *   OPERATION            read | write | sync (fsync, fdatasync) | open (for writing) | rename | space (statvfs)
 *   PART                 part of the file's path, or * for any; of rename: of the new name
 *   ACTION               eio | enospc    the call fails
 *                        short           a write takes half of it, as it may
 *                        torn            a write takes half of it, and then fails with EIO
 *                        flip            a read returns a flipped bit in its middle
 *                        delay=MS        the call takes that much longer
 *                        free=MIB        of space: so much is left
 *   after=N, count=N     the first N matching calls are well (0); then N fail (all)
 *
 * The first time that a rule fires it says so on stderr: "preload_faults: fired: RULE". With count=1 and after=0, 1, 2, ...
 * until nothing fires, every call of a run has failed once. Rules are tried in order; the first that fires decides, but
 * each counts. Not seen: what the C library reads and writes by itself (FILE *). Thread safety: any.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "test/support/preload_next.h"

#define EXPORT __attribute__ ((visibility ("default")))
#define RULES_MAX 32

enum operation { OP_READ, OP_WRITE, OP_SYNC, OP_OPEN, OP_RENAME, OP_SPACE, OP_COUNT };
enum action { ACT_NONE, ACT_EIO, ACT_ENOSPC, ACT_SHORT, ACT_TORN, ACT_FLIP, ACT_DELAY, ACT_FREE };

struct rule {
    enum operation operation;
    enum action action;
    char part[128], text[256];
    long value, after, count, seen;
    int told;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all below */
static struct rule rules[RULES_MAX];
static int rules_count;
static struct timespec file_changed;
static ino_t file_inode;
static atomic_int active = -1; /* -1: nothing was read yet; 0: no rules and no file */

NEXT (int, openat, int, const char *, int, ...)
NEXT (ssize_t, read, int, void *, size_t)
NEXT (ssize_t, pread, int, void *, size_t, off_t)
NEXT (ssize_t, write, int, const void *, size_t)
NEXT (ssize_t, pwrite, int, const void *, size_t, off_t)
NEXT (int, fsync, int)
NEXT (int, fdatasync, int)
NEXT (int, rename, const char *, const char *)
NEXT (int, statvfs, const char *, struct statvfs *)

/* ---- rules */

static const char *const operations[OP_COUNT] = {"read", "write", "sync", "open", "rename", "space"};
static const struct {
    const char *name;
    enum action action;
} actions[] = {{"eio", ACT_EIO}, {"enospc", ACT_ENOSPC}, {"short", ACT_SHORT}, {"torn", ACT_TORN}, {"flip", ACT_FLIP}};

/* A rule that is not understood ends the process: it would make a test pass that should not. */
__attribute__ ((noreturn)) static void refuse (const char *text)
{
    fprintf (stderr, "preload_faults: not a rule: %s\n", text);
    _exit (99);
}

static void add_rule (const char *text)
{
    char copy[256], *save = NULL;
    snprintf (copy, sizeof copy, "%s", text);
    char *comment = strchr (copy, '#');
    if (comment != NULL)
        *comment = 0;
    char *operation = strtok_r (copy, " \t\r", &save);
    if (operation == NULL)
        return;
    char *part = strtok_r (NULL, " \t\r", &save), *action = strtok_r (NULL, " \t\r", &save), *word;
    struct rule rule = {.operation = OP_COUNT, .count = LONG_MAX};
    for (int i = 0; i < OP_COUNT; i++) {
        if (strcmp (operation, operations[i]) == 0)
            rule.operation = (enum operation) i;
    }
    if (rule.operation == OP_COUNT || part == NULL || action == NULL || rules_count == RULES_MAX)
        refuse (text);
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp (action, actions[i].name) == 0)
            rule.action = actions[i].action;
    }
    if (sscanf (action, "delay=%ld", &rule.value) == 1)
        rule.action = ACT_DELAY;
    else if (sscanf (action, "free=%ld", &rule.value) == 1)
        rule.action = ACT_FREE;
    if (rule.action == ACT_NONE)
        refuse (text);
    while ((word = strtok_r (NULL, " \t\r", &save)) != NULL) {
        if (sscanf (word, "after=%ld", &rule.after) != 1 && sscanf (word, "count=%ld", &rule.count) != 1)
            refuse (text);
    }
    snprintf (rule.part, sizeof rule.part, "%s", part);
    snprintf (rule.text, sizeof rule.text, "%s", text);
    rules[rules_count++] = rule;
}

static void read_file (const char *path)
{
    struct stat stat_buffer;
    if (stat (path, &stat_buffer) != 0) {
        if (file_inode != 0)
            rules_count = 0;
        file_inode = 0;
        return;
    }
    if (stat_buffer.st_ino == file_inode && stat_buffer.st_mtim.tv_sec == file_changed.tv_sec &&
        stat_buffer.st_mtim.tv_nsec == file_changed.tv_nsec)
        return;
    file_inode = stat_buffer.st_ino;
    file_changed = stat_buffer.st_mtim;
    rules_count = 0;
    int fd = next_openat (AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    char text[8192];
    ssize_t len = fd < 0 ? -1 : next_read (fd, text, sizeof text - 1);
    if (fd >= 0)
        close (fd);
    if (len < 0)
        return;
    text[len] = 0;
    char *save = NULL;
    for (char *line = strtok_r (text, "\n;", &save); line != NULL; line = strtok_r (NULL, "\n;", &save))
        add_rule (line);
}

/* Lock held. */
static void refresh (void)
{
    const char *path = getenv ("MAITRED_FAULTS_FILE"), *given = getenv ("MAITRED_FAULTS");
    find_openat ();
    find_read ();
    if (active < 0) {
        char text[4096], *save = NULL;
        snprintf (text, sizeof text, "%s", given == NULL ? "" : given);
        for (char *line = strtok_r (text, ";\n", &save); line != NULL; line = strtok_r (NULL, ";\n", &save))
            add_rule (line);
        active = path != NULL || rules_count > 0;
    }
    if (path != NULL)
        read_file (path);
}

/* What happens to this call; *value gets the action's number. */
static enum action decide (enum operation operation, const char *path, long *value)
{
    enum action action = ACT_NONE;
    pthread_mutex_lock (&lock);
    refresh ();
    for (int i = 0; i < rules_count; i++) {
        struct rule *rule = &rules[i];
        if (rule->operation != operation || (strcmp (rule->part, "*") != 0 && strstr (path, rule->part) == NULL))
            continue;
        long place = rule->seen++;
        if (action != ACT_NONE || place < rule->after || place - rule->after >= rule->count)
            continue;
        action = rule->action;
        *value = rule->value;
        if (!rule->told)
            fprintf (stderr, "preload_faults: fired: %s: %s\n", rule->text, path);
        rule->told = 1;
    }
    pthread_mutex_unlock (&lock);
    if (action == ACT_DELAY) {
        struct timespec wait = {*value / 1000, *value % 1000 * 1000000};
        nanosleep (&wait, NULL);
    }
    return action;
}

static enum action decide_fd (enum operation operation, int fd, long *value)
{
    if (active == 0)
        return ACT_NONE;
    char link[64], path[PATH_MAX];
    snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink (link, path, sizeof path - 1);
    if (len <= 0 || path[0] != '/') /* a socket, a pipe */
        return ACT_NONE;
    path[len] = 0;
    const char *file = getenv ("MAITRED_FAULTS_FILE");
    if (file != NULL && strcmp (path, file) == 0)
        return ACT_NONE;
    return decide (operation, path, value);
}

/* True: the call fails, errno says how. */
static int fails (enum action action)
{
    if (action == ACT_EIO || action == ACT_ENOSPC)
        errno = action == ACT_EIO ? EIO : ENOSPC;
    return action == ACT_EIO || action == ACT_ENOSPC;
}

/* ---- calls */

EXPORT ssize_t read (int fd, void *data, size_t len)
{
    long value;
    find_read ();
    enum action action = decide_fd (OP_READ, fd, &value);
    if (fails (action))
        return -1;
    ssize_t done = next_read (fd, data, len);
    if (action == ACT_FLIP && done > 0)
        ((char *) data)[done / 2] ^= 1;
    return done;
}

static ssize_t read_at (int fd, void *data, size_t len, off_t offset)
{
    long value;
    find_pread ();
    enum action action = decide_fd (OP_READ, fd, &value);
    if (fails (action))
        return -1;
    ssize_t done = next_pread (fd, data, len, offset);
    if (action == ACT_FLIP && done > 0)
        ((char *) data)[done / 2] ^= 1;
    return done;
}

EXPORT ssize_t pread (int fd, void *data, size_t len, off_t offset)
{
    return read_at (fd, data, len, offset);
}

EXPORT ssize_t pread64 (int fd, void *data, size_t len, off_t offset)
{
    return read_at (fd, data, len, offset);
}

EXPORT ssize_t write (int fd, const void *data, size_t len)
{
    long value;
    find_write ();
    enum action action = decide_fd (OP_WRITE, fd, &value);
    if (fails (action))
        return -1;
    size_t part = (action == ACT_SHORT || action == ACT_TORN) && len > 1 ? len / 2 : len;
    ssize_t done = next_write (fd, data, part);
    return action == ACT_TORN ? (errno = EIO, -1) : done;
}

static ssize_t write_at (int fd, const void *data, size_t len, off_t offset)
{
    long value;
    find_pwrite ();
    enum action action = decide_fd (OP_WRITE, fd, &value);
    if (fails (action))
        return -1;
    size_t part = (action == ACT_SHORT || action == ACT_TORN) && len > 1 ? len / 2 : len;
    ssize_t done = next_pwrite (fd, data, part, offset);
    return action == ACT_TORN ? (errno = EIO, -1) : done;
}

EXPORT ssize_t pwrite (int fd, const void *data, size_t len, off_t offset)
{
    return write_at (fd, data, len, offset);
}

EXPORT ssize_t pwrite64 (int fd, const void *data, size_t len, off_t offset)
{
    return write_at (fd, data, len, offset);
}

EXPORT int fsync (int fd)
{
    long value;
    find_fsync ();
    return fails (decide_fd (OP_SYNC, fd, &value)) ? -1 : next_fsync (fd);
}

EXPORT int fdatasync (int fd)
{
    long value;
    find_fdatasync ();
    return fails (decide_fd (OP_SYNC, fd, &value)) ? -1 : next_fdatasync (fd);
}

static int open_at (int at, const char *path, int flags, mode_t mode)
{
    long value;
    find_openat ();
    if (active != 0 && (flags & O_ACCMODE) != O_RDONLY && fails (decide (OP_OPEN, path, &value)))
        return -1;
    return next_openat (at, path, flags, mode);
}

#define OPEN(name)                                                                                                     \
    EXPORT int name (const char *path, int flags, ...);                                                                \
    int name (const char *path, int flags, ...)                                                                        \
    {                                                                                                                  \
        va_list arguments;                                                                                             \
        va_start (arguments, flags);                                                                                   \
        mode_t mode = (flags & O_CREAT) != 0 ? va_arg (arguments, mode_t) : 0;                                         \
        va_end (arguments);                                                                                            \
        return open_at (AT_FDCWD, path, flags, mode);                                                                  \
    }
OPEN (open)
OPEN (open64)

EXPORT int rename (const char *from, const char *to)
{
    long value;
    find_rename ();
    return active != 0 && fails (decide (OP_RENAME, to, &value)) ? -1 : next_rename (from, to);
}

EXPORT int statvfs (const char *path, struct statvfs *space)
{
    long value;
    find_statvfs ();
    enum action action = active != 0 ? decide (OP_SPACE, path, &value) : ACT_NONE;
    if (fails (action))
        return -1;
    int result = next_statvfs (path, space);
    if (action == ACT_FREE && result == 0 && space->f_frsize > 0)
        space->f_bavail = space->f_bfree = (fsblkcnt_t) value * 1024 * 1024 / space->f_frsize;
    return result;
}
