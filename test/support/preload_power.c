/* Writes down what a power loss could take from one data folder: by LD_PRELOAD under a node, for power_cut.
 *
 *   MAITRED_POWER_DIR   the data folder; DIR.power/ beside it gets the journal (power_journal.h)
 *   MAITRED_POWER_LIES  part of a path: syncs of such files promise what the disk does not hold (a lying disk, which must
 *                       lose acknowledged writes: shows that a test sees a loss)
 *
 * Covers open, write, pwrite, truncation, fsync, fdatasync, rename, link, unlink, mkdir, rmdir of the C library. A write
 * counts as synced after fsync or fdatasync of its file; a name counts as synced after an fsync of its folder, and only
 * then: what ext4 adds to that is luck. sync_file_range promises nothing and is let through. Files that the C library
 * writes by itself (FILE *: RocksDB's LOG) are not looked at. The node must run with this library from the first start of
 * the folder on, until power_cut, which begins the journal anew. Thread safety: any.
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
#include <sys/uio.h>
#include <unistd.h>

#include "test/support/power_journal.h"
#include "test/support/preload_next.h"

#define EXPORT __attribute__ ((visibility ("default")))
#define DESCRIPTORS 65536
#define SHADOWS 4096

enum descriptor { UNKNOWN = 0, FOREIGN, OURS };

static char root[PATH_MAX], shadow_dir[PATH_MAX + 16];
static size_t root_len;
static int journal_fd = -1;
static atomic_uint_fast64_t shadow_next;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* order of records is the order of what they tell */
static _Atomic unsigned char descriptors[DESCRIPTORS];

/* Hard links that can go once their folder is synced. Guarded by lock. */
static struct pending {
    uint64_t folder, shadow, at;
} pending[SHADOWS];
static size_t pending_count;

NEXT (int, openat, int, const char *, int, ...)
NEXT (ssize_t, write, int, const void *, size_t)
NEXT (ssize_t, pwrite, int, const void *, size_t, off_t)
NEXT (int, ftruncate, int, off_t)
NEXT (int, fsync, int)
NEXT (int, fdatasync, int)
NEXT (int, close, int)
NEXT (int, renameat, int, const char *, int, const char *)
NEXT (int, unlinkat, int, const char *, int)
NEXT (int, linkat, int, const char *, int, const char *, int)
NEXT (int, mkdirat, int, const char *, mode_t)

__attribute__ ((noreturn)) static void give_up (const char *what)
{
    fprintf (stderr, "preload_power: %s: %s\n", what, strerror (errno));
    abort (); /* a journal with holes would make a test pass that should not */
}

static void find_all (void)
{
    find_openat ();
    find_write ();
    find_pwrite ();
    find_ftruncate ();
    find_fsync ();
    find_fdatasync ();
    find_close ();
    find_renameat ();
    find_unlinkat ();
    find_linkat ();
    find_mkdirat ();
}

__attribute__ ((constructor)) static void begin (void)
{
    find_all ();
    const char *dir = getenv ("MAITRED_POWER_DIR");
    if (dir == NULL || *dir == 0)
        return;
    char parent[PATH_MAX];
    snprintf (parent, sizeof parent, "%s", dir);
    size_t len = strlen (parent);
    while (len > 1 && parent[len - 1] == '/')
        parent[--len] = 0;
    char *slash = strrchr (parent, '/');
    const char *name = slash == NULL ? parent : slash + 1;
    char base[NAME_MAX + 1], real[PATH_MAX];
    snprintf (base, sizeof base, "%s", name);
    if (slash != NULL)
        *slash = 0;
    if (realpath (slash == NULL ? "." : *parent == 0 ? "/" : parent, real) == NULL)
        give_up (dir);
    if (strlen (real) + strlen (base) + 2 > sizeof root)
        give_up ("the path is too long");
    memcpy (root, real, strlen (real) + 1);
    strcat (root, "/");
    strcat (root, base);
    snprintf (shadow_dir, sizeof shadow_dir, "%s%s", root, POWER_SUFFIX);
    if (next_mkdirat (AT_FDCWD, shadow_dir, 0700) != 0 && errno != EEXIST)
        give_up (shadow_dir);
    char path[sizeof shadow_dir + 16];
    snprintf (path, sizeof path, "%s/%s", shadow_dir, POWER_JOURNAL);
    int fd = next_openat (AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        give_up (path);
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    atomic_store (
        &shadow_next, (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec); /* new in every process */
    journal_fd = fd;
    root_len = strlen (root);
}

/* ---- which paths and descriptors are ours */

static int path_is_ours (const char *path)
{
    return root_len > 0 && strncmp (path, root, root_len) == 0 && (path[root_len] == '/' || path[root_len] == 0);
}

static int fd_path (int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink (link, path, PATH_MAX - 1);
    if (len < 0)
        return 0;
    path[len] = 0;
    return 1;
}

static int is_ours (int fd)
{
    if (root_len == 0 || fd < 0 || fd == journal_fd)
        return 0;
    if (fd < DESCRIPTORS && descriptors[fd] != UNKNOWN)
        return descriptors[fd] == OURS;
    char path[PATH_MAX];
    int ours = fd_path (fd, path) && path_is_ours (path);
    if (fd < DESCRIPTORS)
        descriptors[fd] = ours ? OURS : FOREIGN;
    return ours;
}

/* The folder's real path and inode and the name in it, when it is ours. */
struct place {
    char folder_path[PATH_MAX];
    char name[NAME_MAX + 1];
    uint64_t folder;
};

static int place_of (int at, const char *path, struct place *place)
{
    if (root_len == 0)
        return 0;
    char full[2 * PATH_MAX];
    if (*path == '/' || at == AT_FDCWD) {
        snprintf (full, sizeof full, "%s", path);
    } else {
        char base[PATH_MAX];
        if (!fd_path (at, base))
            return 0;
        snprintf (full, sizeof full, "%s/%s", base, path);
    }
    char *slash = strrchr (full, '/');
    const char *name = slash == NULL ? full : slash + 1;
    if (*name == 0 || strlen (name) > NAME_MAX)
        return 0;
    snprintf (place->name, sizeof place->name, "%.*s", NAME_MAX, name);
    if (slash != NULL)
        *slash = 0;
    if (realpath (slash == NULL ? "."
                  : *full == 0  ? "/"
                                : full,
            place->folder_path) == NULL ||
        !path_is_ours (place->folder_path))
        return 0;
    struct stat stat_buffer;
    if (stat (place->folder_path, &stat_buffer) != 0)
        return 0;
    place->folder = stat_buffer.st_ino;
    return 1;
}

static uint64_t inode_at (const struct place *place)
{
    char path[2 * PATH_MAX];
    struct stat stat_buffer;
    snprintf (path, sizeof path, "%s/%s", place->folder_path, place->name);
    return lstat (path, &stat_buffer) == 0 ? stat_buffer.st_ino : 0;
}

/* ---- the journal; lock held */

static uint64_t journal_length (void)
{
    struct stat stat_buffer;
    if (fstat (journal_fd, &stat_buffer) != 0)
        give_up ("the journal");
    return (uint64_t) stat_buffer.st_size;
}

static void note (struct power_record record, const char *name, const char *second, const void *before, size_t len)
{
    record.magic = POWER_MAGIC;
    record.name_len = (uint32_t) strlen (name);
    record.second_len = (uint32_t) strlen (second);
    record.before_len = (uint32_t) len;
    size_t bare = sizeof record + record.name_len + record.second_len + len, padding = (8 - bare % 8) % 8;
    record.total = (uint32_t) (bare + padding);
    static const char zeros[8];
    struct iovec parts[5] = {{&record, sizeof record}, {(void *) (uintptr_t) name, record.name_len},
        {(void *) (uintptr_t) second, record.second_len}, {(void *) (uintptr_t) before, len},
        {(void *) (uintptr_t) zeros, padding}};
    if (writev (journal_fd, parts, 5) != (ssize_t) record.total)
        give_up ("the journal cannot be written");
}

static void note_bytes (enum power_kind kind, int fd, uint64_t offset, uint64_t length)
{
    struct stat stat_buffer;
    if (fstat (fd, &stat_buffer) != 0 || !S_ISREG (stat_buffer.st_mode))
        return;
    uint64_t size = (uint64_t) stat_buffer.st_size, end = kind == POWER_TRUNCATE ? size : offset + length;
    if (end > size)
        end = size;
    size_t len = offset < end ? end - offset : 0;
    char *before = len > 0 ? malloc (len) : NULL;
    if (len > 0) {
        /* The file may be open for writing only. */
        char link[64];
        snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
        int reader = next_openat (AT_FDCWD, link, O_RDONLY | O_CLOEXEC);
        if (before == NULL || reader < 0 || pread (reader, before, len, (off_t) offset) != (ssize_t) len)
            give_up ("what is overwritten cannot be read");
        next_close (reader);
    }
    note (
        (struct power_record){
            .kind = kind, .inode = stat_buffer.st_ino, .offset = offset, .length = length, .size = size},
        "", "", before, len);
    free (before);
}

static void forget_shadows (uint64_t folder, uint64_t upto)
{
    size_t kept = 0;
    for (size_t i = 0; i < pending_count; i++) {
        if (pending[i].folder != folder || pending[i].at >= upto) {
            pending[kept++] = pending[i];
            continue;
        }
        char path[sizeof shadow_dir + 32];
        snprintf (path, sizeof path, "%s/%llu", shadow_dir, (unsigned long long) pending[i].shadow);
        next_unlinkat (AT_FDCWD, path, 0);
    }
    pending_count = kept;
}

/* Keeps what stands at a place alive under a number; 0: nothing stands there. */
static uint64_t keep (const struct place *place)
{
    char path[2 * PATH_MAX], shadow[sizeof shadow_dir + 32];
    struct stat stat_buffer;
    snprintf (path, sizeof path, "%s/%s", place->folder_path, place->name);
    if (lstat (path, &stat_buffer) != 0 || !S_ISREG (stat_buffer.st_mode))
        return 0;
    uint64_t number = atomic_fetch_add (&shadow_next, 1);
    snprintf (shadow, sizeof shadow, "%s/%llu", shadow_dir, (unsigned long long) number);
    if (next_linkat (AT_FDCWD, path, AT_FDCWD, shadow, 0) != 0)
        give_up (shadow);
    if (pending_count < SHADOWS)
        pending[pending_count++] = (struct pending){place->folder, number, journal_length ()};
    return number;
}

/* ---- files */

static int open_at (int at, const char *path, int flags, mode_t mode)
{
    find_openat ();
    struct place place;
    int changes = (flags & (O_CREAT | O_TRUNC)) != 0 && (flags & O_TMPFILE) != O_TMPFILE;
    if (!changes || !place_of (at, path, &place)) {
        int fd = next_openat (at, path, flags, mode);
        if (fd >= 0 && fd < DESCRIPTORS)
            descriptors[fd] = UNKNOWN;
        return fd;
    }
    pthread_mutex_lock (&lock);
    int there = inode_at (&place) != 0;
    /* Truncation goes through note_bytes first. */
    int fd = next_openat (at, path, flags & ~O_TRUNC, mode);
    int cause = errno;
    struct stat stat_buffer;
    if (fd >= 0 && fstat (fd, &stat_buffer) == 0) {
        if (fd < DESCRIPTORS)
            descriptors[fd] = UNKNOWN;
        if (!there)
            note ((struct power_record){.kind = POWER_CREATE, .folder = place.folder, .inode = stat_buffer.st_ino},
                place.name, "", NULL, 0);
        if ((flags & O_TRUNC) != 0 && stat_buffer.st_size > 0) {
            note_bytes (POWER_TRUNCATE, fd, 0, 0);
            if (next_ftruncate (fd, 0) != 0)
                give_up (path);
        }
    }
    pthread_mutex_unlock (&lock);
    errno = cause;
    return fd;
}

static mode_t mode_of (int flags, va_list arguments)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg (arguments, mode_t) : 0;
}

#define OPEN(name)                                                                                                     \
    EXPORT int name (const char *path, int flags, ...);                                                                \
    int name (const char *path, int flags, ...)                                                                        \
    {                                                                                                                  \
        va_list arguments;                                                                                             \
        va_start (arguments, flags);                                                                                   \
        mode_t mode = mode_of (flags, arguments);                                                                      \
        va_end (arguments);                                                                                            \
        return open_at (AT_FDCWD, path, flags, mode);                                                                  \
    }
#define OPENAT(name)                                                                                                   \
    EXPORT int name (int at, const char *path, int flags, ...);                                                        \
    int name (int at, const char *path, int flags, ...)                                                                \
    {                                                                                                                  \
        va_list arguments;                                                                                             \
        va_start (arguments, flags);                                                                                   \
        mode_t mode = mode_of (flags, arguments);                                                                      \
        va_end (arguments);                                                                                            \
        return open_at (at, path, flags, mode);                                                                        \
    }
OPEN (open)
OPEN (open64)
OPEN (__open_2)
OPEN (__open64_2)
OPENAT (openat)
OPENAT (openat64)

EXPORT int close (int fd)
{
    find_close ();
    if (fd >= 0 && fd < DESCRIPTORS)
        descriptors[fd] = UNKNOWN;
    return next_close (fd);
}

EXPORT ssize_t write (int fd, const void *data, size_t len)
{
    find_write ();
    if (!is_ours (fd))
        return next_write (fd, data, len);
    pthread_mutex_lock (&lock);
    int flags = fcntl (fd, F_GETFL);
    struct stat stat_buffer;
    off_t at = lseek (fd, 0, SEEK_CUR);
    if ((flags & O_APPEND) != 0 && fstat (fd, &stat_buffer) == 0)
        at = stat_buffer.st_size;
    if (at >= 0)
        note_bytes (POWER_WRITE, fd, (uint64_t) at, len);
    ssize_t done = next_write (fd, data, len);
    pthread_mutex_unlock (&lock);
    return done;
}

static ssize_t write_at (int fd, const void *data, size_t len, off_t offset)
{
    find_pwrite ();
    if (!is_ours (fd))
        return next_pwrite (fd, data, len, offset);
    pthread_mutex_lock (&lock);
    note_bytes (POWER_WRITE, fd, (uint64_t) offset, len);
    ssize_t done = next_pwrite (fd, data, len, offset);
    pthread_mutex_unlock (&lock);
    return done;
}

EXPORT ssize_t pwrite (int fd, const void *data, size_t len, off_t offset)
{
    return write_at (fd, data, len, offset);
}

EXPORT ssize_t pwrite64 (int fd, const void *data, size_t len, off_t offset)
{
    return write_at (fd, data, len, offset);
}

static int truncate_to (int fd, off_t size)
{
    find_ftruncate ();
    if (!is_ours (fd))
        return next_ftruncate (fd, size);
    pthread_mutex_lock (&lock);
    note_bytes (POWER_TRUNCATE, fd, (uint64_t) size, 0);
    int result = next_ftruncate (fd, size);
    pthread_mutex_unlock (&lock);
    return result;
}

EXPORT int ftruncate (int fd, off_t size)
{
    return truncate_to (fd, size);
}

EXPORT int ftruncate64 (int fd, off_t size)
{
    return truncate_to (fd, size);
}

/* A disk that says done and is not. */
static int lies (int fd)
{
    const char *part = getenv ("MAITRED_POWER_LIES");
    char path[PATH_MAX];
    return part != NULL && *part != 0 && fd_path (fd, path) && strstr (path, part) != NULL;
}

static int sync_by (int (*sync) (int), int fd)
{
    struct stat stat_buffer;
    if (!is_ours (fd) || fstat (fd, &stat_buffer) != 0 || lies (fd))
        return sync (fd);
    pthread_mutex_lock (&lock);
    uint64_t upto = journal_length ();
    pthread_mutex_unlock (&lock);
    int result = sync (fd);
    int cause = errno;
    if (result == 0) {
        pthread_mutex_lock (&lock);
        note ((struct power_record){.kind = POWER_SYNC, .inode = stat_buffer.st_ino, .upto = upto}, "", "", NULL, 0);
        if (S_ISDIR (stat_buffer.st_mode))
            forget_shadows (stat_buffer.st_ino, upto);
        pthread_mutex_unlock (&lock);
    }
    errno = cause;
    return result;
}

EXPORT int fsync (int fd)
{
    find_fsync ();
    return sync_by (next_fsync, fd);
}

EXPORT int fdatasync (int fd)
{
    find_fdatasync ();
    return sync_by (next_fdatasync, fd);
}

/* ---- names */

static int rename_at (int from_at, const char *from, int to_at, const char *to)
{
    find_renameat ();
    struct place source, target;
    int ours = place_of (from_at, from, &source), into = place_of (to_at, to, &target);
    if (!ours && !into)
        return next_renameat (from_at, from, to_at, to);
    pthread_mutex_lock (&lock);
    uint64_t shadow = into ? keep (&target) : 0;
    int result = next_renameat (from_at, from, to_at, to);
    int cause = errno;
    if (result == 0 && ours && into && source.folder == target.folder)
        note ((struct power_record){.kind = POWER_RENAME, .folder = source.folder, .shadow = shadow}, source.name,
            target.name, NULL, 0);
    else if (result == 0)
        note ((struct power_record){.kind = POWER_BARRIER}, "", "", NULL, 0);
    pthread_mutex_unlock (&lock);
    errno = cause;
    return result;
}

EXPORT int rename (const char *from, const char *to)
{
    return rename_at (AT_FDCWD, from, AT_FDCWD, to);
}

EXPORT int renameat (int from_at, const char *from, int to_at, const char *to)
{
    return rename_at (from_at, from, to_at, to);
}

static int remove_at (int at, const char *path, int flags)
{
    find_unlinkat ();
    struct place place;
    if (!place_of (at, path, &place))
        return next_unlinkat (at, path, flags);
    pthread_mutex_lock (&lock);
    int folder = (flags & AT_REMOVEDIR) != 0;
    uint64_t shadow = folder ? 0 : keep (&place);
    int result = next_unlinkat (at, path, flags);
    int cause = errno;
    if (result == 0 && (folder || shadow != 0))
        note (
            (struct power_record){
                .kind = folder ? POWER_RMDIR : POWER_UNLINK, .folder = place.folder, .shadow = shadow},
            place.name, "", NULL, 0);
    pthread_mutex_unlock (&lock);
    errno = cause;
    return result;
}

EXPORT int unlink (const char *path)
{
    return remove_at (AT_FDCWD, path, 0);
}

EXPORT int rmdir (const char *path)
{
    return remove_at (AT_FDCWD, path, AT_REMOVEDIR);
}

EXPORT int unlinkat (int at, const char *path, int flags)
{
    return remove_at (at, path, flags);
}

static int link_at (int from_at, const char *from, int to_at, const char *to, int flags)
{
    find_linkat ();
    struct place place;
    if (!place_of (to_at, to, &place))
        return next_linkat (from_at, from, to_at, to, flags);
    pthread_mutex_lock (&lock);
    int result = next_linkat (from_at, from, to_at, to, flags);
    int cause = errno;
    if (result == 0)
        note ((struct power_record){.kind = POWER_LINK, .folder = place.folder, .inode = inode_at (&place)}, place.name,
            "", NULL, 0);
    pthread_mutex_unlock (&lock);
    errno = cause;
    return result;
}

EXPORT int link (const char *from, const char *to)
{
    return link_at (AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int linkat (int from_at, const char *from, int to_at, const char *to, int flags)
{
    return link_at (from_at, from, to_at, to, flags);
}

EXPORT int mkdir (const char *path, mode_t mode)
{
    find_mkdirat ();
    struct place place;
    if (!place_of (AT_FDCWD, path, &place))
        return next_mkdirat (AT_FDCWD, path, mode);
    pthread_mutex_lock (&lock);
    int result = next_mkdirat (AT_FDCWD, path, mode);
    int cause = errno;
    if (result == 0)
        note ((struct power_record){.kind = POWER_MKDIR, .folder = place.folder}, place.name, "", NULL, 0);
    pthread_mutex_unlock (&lock);
    errno = cause;
    return result;
}
