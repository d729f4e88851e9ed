#include "node/identity/identity_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "node/failpoint/failpoint.h"
#include "schemas/runtime/assert.h"

void identity_error_set (struct identity_error *error, const char *format, ...)
{
    if (error == NULL)
        return;
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (error->text, sizeof error->text, format, arguments);
    va_end (arguments);
}

enum status identity_file_path (
    char path[IDENTITY_PATH_SIZE], const char *directory, const char *name, struct identity_error *error)
{
    int len = snprintf (path, IDENTITY_PATH_SIZE, "%s/%s", directory, name);
    if (len > 0 && len < IDENTITY_PATH_SIZE)
        return STATUS_OK;
    identity_error_set (error, "the path of %s is too long; use a directory with a shorter name", name);
    return STATUS_INVALID_ARGUMENT;
}

/* Judges the open file, not the name: what was checked is what is read. */
static enum status file_judge (int fd, const char *path, bool secret, size_t *size, struct identity_error *error)
{
    struct stat about;
    if (fstat (fd, &about) != 0) {
        identity_error_set (error, "%s cannot be examined: %s; check the disk", path, strerror (errno));
        return STATUS_UNAVAILABLE;
    }
    if (!S_ISREG (about.st_mode)) {
        identity_error_set (error, "%s is not a regular file; name the key file itself", path);
        return STATUS_PERMISSION_DENIED;
    }
    if (secret && (about.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        identity_error_set (error, "%s holds a secret but others may touch it (mode %04o); run: chmod 600 %s", path,
            (unsigned) (about.st_mode & 07777), path);
        return STATUS_PERMISSION_DENIED;
    }
    if (about.st_size > IDENTITY_FILE_BYTES_MAX) {
        identity_error_set (error, "%s is too large for a key file; name the right one", path);
        return STATUS_INVALID_ARGUMENT;
    }
    *size = (size_t) about.st_size;
    return STATUS_OK;
}

static bool read_whole (int fd, char *out, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read (fd, out + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        done += (size_t) got;
    }
    return true;
}

enum status identity_file_read (const char *path, bool secret, char **text, size_t *len, struct identity_error *error)
{
    int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        bool absent = errno == ENOENT || errno == ENOTDIR;
        identity_error_set (error,
            absent ? "%s is missing (%s); create the cluster's files or name their directory"
                   : "%s cannot be read: %s; check who owns it",
            path, strerror (errno));
        return absent ? STATUS_NOT_FOUND : STATUS_UNAVAILABLE;
    }
    size_t size = 0;
    enum status status = file_judge (fd, path, secret, &size, error);
    char *content = NULL;
    if (status == STATUS_OK) {
        content = malloc (size + 1);
        if (content == NULL) {
            identity_error_set (error, "there is no memory to read %s; free some and try again", path);
            status = STATUS_RESOURCE_EXHAUSTED;
        } else if (!read_whole (fd, content, size)) {
            identity_error_set (error, "%s cannot be read to its end; check the disk and try again", path);
            identity_file_free (&content, size);
            status = STATUS_UNAVAILABLE;
        }
    }
    close (fd);
    if (status != STATUS_OK)
        return status;
    content[size] = '\0';
    *text = content;
    *len = size;
    return STATUS_OK;
}

void identity_file_free (char **text, size_t len)
{
    if (*text != NULL)
        sodium_memzero (*text, len);
    free (*text);
    *text = NULL;
}

static bool write_whole (int fd, struct bytes content)
{
    size_t done = 0;
    while (done < content.len) {
        ssize_t put = write (fd, content.data + done, content.len - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        done += (size_t) put;
    }
    return fsync (fd) == 0;
}

/* The name itself must survive a power loss too. */
static bool sync_parent (const char *path)
{
    char parent[IDENTITY_PATH_SIZE];
    const char *slash = strrchr (path, '/');
    snprintf (parent, sizeof parent, "%.*s",
        slash == NULL   ? 1
        : slash == path ? 1
                        : (int) (slash - path),
        slash == NULL ? "." : path);
    int fd = open (parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool synced = fsync (fd) == 0;
    close (fd);
    return synced;
}

enum status identity_file_write (const char *path, bool secret, struct bytes content, struct identity_error *error)
{
    char aside[IDENTITY_PATH_SIZE + 8];
    snprintf (aside, sizeof aside, "%s.new", path);
    if (strlen (path) >= IDENTITY_PATH_SIZE) {
        identity_error_set (error, "the path is too long; use a directory with a shorter name");
        return STATUS_INVALID_ARGUMENT;
    }
    unlink (aside);
    int fd = open (aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, secret ? 0600 : 0644);
    if (fd < 0) {
        identity_error_set (
            error, "%s cannot be written: %s; check the directory and who owns it", aside, strerror (errno));
        return STATUS_UNAVAILABLE;
    }
    bool written = !failpoint (FAILPOINT_KEYFILE_WRITE_BEFORE) && write_whole (fd, content);
    int reason = errno;
    close (fd);
    if (!written) {
        unlink (aside);
        identity_error_set (error, "%s cannot be written: %s; make room on the disk", path, strerror (reason));
        return STATUS_UNAVAILABLE;
    }
    /* link, not rename: it refuses a name that is taken. */
    if (failpoint (FAILPOINT_KEYFILE_LINK_BEFORE) || link (aside, path) != 0) {
        reason = errno;
        unlink (aside);
        identity_error_set (error,
            reason == EEXIST ? "%s exists already (%s); choose an empty directory"
                             : "%s cannot be written: %s; check the directory",
            path, strerror (reason));
        return reason == EEXIST ? STATUS_ALREADY_EXISTS : STATUS_UNAVAILABLE;
    }
    failpoint_pass (FAILPOINT_KEYFILE_LINK_AFTER);
    unlink (aside);
    if (!sync_parent (path)) {
        identity_error_set (error, "the directory of %s cannot be synced; check the disk", path);
        return STATUS_UNAVAILABLE;
    }
    return STATUS_OK;
}
