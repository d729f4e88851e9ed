#include "node/store/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/failpoint/failpoint.h"

enum status store_fail (struct store_error *error, enum status status, const char *format, ...)
{
    if (error != NULL) {
        va_list arguments;
        va_start (arguments, format);
        vsnprintf (error->text, sizeof error->text, format, arguments);
        va_end (arguments);
    }
    return status;
}

char *small_file_path (const char *dir, const char *name)
{
    size_t size = strlen (dir) + strlen (name) + 2;
    char *path = malloc (size);
    if (path != NULL)
        snprintf (path, size, "%s/%s", dir, name);
    return path;
}

bool small_file_exists (const char *dir, const char *name)
{
    char path[PATH_MAX];
    struct stat stat_buffer;
    int len = snprintf (path, sizeof path, "%s/%s", dir, name);
    if (len < 0 || (size_t) len >= sizeof path)
        return false; /* no path of that length opens anything */
    return lstat (path, &stat_buffer) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

enum status small_file_sync_dir (const char *dir)
{
    int fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return STATUS_INTERNAL;
    bool synced = !failpoint (FAILPOINT_FILE_FOLDER_BEFORE) && fsync (fd) == 0;
    close (fd);
    return synced ? STATUS_OK : STATUS_INTERNAL;
}

static bool write_all (int fd, struct bytes content)
{
    size_t done = 0;
    while (done < content.len) {
        ssize_t n = write (fd, content.data + done, content.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t) n;
    }
    return true;
}

static enum status replace (const char *dir, const char *beside, const char *path, struct bytes content)
{
    int fd = open (beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return STATUS_INTERNAL;
    bool written = !failpoint (FAILPOINT_FILE_WRITE_BEFORE) && write_all (fd, content) &&
                   !failpoint (FAILPOINT_FILE_SYNC_BEFORE) && fsync (fd) == 0;
    written = close (fd) == 0 && written;
    if (!written || failpoint (FAILPOINT_FILE_RENAME_BEFORE) || rename (beside, path) != 0) {
        unlink (beside);
        return STATUS_INTERNAL;
    }
    failpoint_pass (FAILPOINT_FILE_RENAME_AFTER);
    return small_file_sync_dir (dir);
}

enum status small_file_write (const char *dir, const char *name, struct bytes content)
{
    char *path = small_file_path (dir, name);
    size_t size = strlen (dir) + strlen (name) + sizeof "/.new";
    char *beside = malloc (size);
    enum status status = STATUS_RESOURCE_EXHAUSTED;
    if (path != NULL && beside != NULL) {
        snprintf (beside, size, "%s/%s.new", dir, name);
        status = replace (dir, beside, path, content);
    }
    free (path);
    free (beside);
    return status;
}

static enum status read_all (int fd, size_t size_max, uint8_t **data, size_t *len)
{
    struct stat stat_buffer;
    if (fstat (fd, &stat_buffer) != 0)
        return STATUS_INTERNAL;
    if (!S_ISREG (stat_buffer.st_mode) || (uint64_t) stat_buffer.st_size > size_max)
        return STATUS_DATA_LOSS;
    size_t size = (size_t) stat_buffer.st_size;
    uint8_t *buffer = malloc (size + 1);
    if (buffer == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    size_t done = 0;
    while (done < size) {
        ssize_t n = read (fd, buffer + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t) n;
    }
    if (done != size) {
        free (buffer);
        return STATUS_INTERNAL;
    }
    buffer[size] = 0;
    *data = buffer;
    *len = size;
    return STATUS_OK;
}

enum status small_file_read (const char *dir, const char *name, size_t size_max, uint8_t **data, size_t *len)
{
    char *path = small_file_path (dir, name);
    if (path == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    int fd = open (path, O_RDONLY | O_CLOEXEC);
    int cause = errno;
    free (path);
    if (fd < 0)
        return cause == ENOENT ? STATUS_NOT_FOUND : STATUS_INTERNAL;
    enum status status = read_all (fd, size_max, data, len);
    close (fd);
    return status;
}

enum status small_file_remove (const char *dir, const char *name)
{
    char *path = small_file_path (dir, name);
    if (path == NULL)
        return STATUS_INTERNAL;
    bool gone = !failpoint (FAILPOINT_FILE_REMOVE_BEFORE) && (unlink (path) == 0 || errno == ENOENT);
    failpoint_pass (FAILPOINT_FILE_REMOVE_AFTER);
    free (path);
    return gone ? small_file_sync_dir (dir) : STATUS_INTERNAL;
}
