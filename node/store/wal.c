#include "node/store/wal_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/failpoint/failpoint.h"
#include "node/store/small_file.h"

ssize_t wal_read_block (int fd, uint8_t *block)
{
    size_t done = 0;
    while (done < WAL_BLOCK_BYTES) {
        ssize_t n = read (fd, block + done, WAL_BLOCK_BYTES - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t) n;
    }
    return (ssize_t) done;
}

char *wal_path (const char *dir, uint64_t file)
{
    char name[32];
    snprintf (name, sizeof name, "%06" PRIu64 ".log", file);
    return small_file_path (dir, name);
}

/* Reads one file to its end; *size gets its length. */
static enum status scan_file (const char *dir, uint64_t file, struct wal_scan *scan, uint64_t *size)
{
    char *path = wal_path (dir, file);
    int fd = path == NULL ? -1 : open (path, O_RDONLY | O_CLOEXEC);
    free (path);
    uint8_t *block = malloc (WAL_BLOCK_BYTES);
    ssize_t n = fd < 0 || block == NULL ? -1 : 0;
    *size = 0;
    while (n >= 0 && (n = wal_read_block (fd, block)) > 0) {
        wal_scan_block (scan, block, (size_t) n, *size);
        *size += (uint64_t) n;
    }
    free (block);
    if (fd >= 0)
        close (fd);
    return n == 0 ? STATUS_OK : STATUS_INTERNAL;
}

static int file_order (const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;
    return x < y ? -1 : x > y;
}

enum status wal_list (const char *dir, const char *ending, uint64_t **files, size_t *n)
{
    *files = NULL;
    *n = 0;
    DIR *folder = opendir (dir);
    if (folder == NULL)
        return errno == ENOENT ? STATUS_OK : STATUS_INTERNAL;
    struct dirent *item;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && (item = readdir (folder)) != NULL) {
        uint64_t number;
        int end = 0;
        if (sscanf (item->d_name, "%" SCNu64 "%n", &number, &end) != 1 || strcmp (item->d_name + end, ending) != 0)
            continue;
        uint64_t *grown = realloc (*files, (*n + 1) * sizeof **files);
        if (grown == NULL) {
            status = STATUS_INTERNAL;
        } else {
            *files = grown;
            grown[(*n)++] = number;
        }
    }
    closedir (folder);
    if (*n > 0)
        qsort (*files, *n, sizeof **files, file_order);
    return status;
}

static enum status inspect_files (
    const char *dir, const struct crc32c *crc, const uint64_t *files, size_t n, struct wal_report *report)
{
    for (size_t i = 0; i < n; i++) {
        struct wal_scan scan = {.crc = crc, .block_bytes = WAL_BLOCK_BYTES};
        uint64_t size;
        enum status status = scan_file (dir, files[i], &scan, &size);
        if (status != STATUS_OK)
            return status;
        if (!wal_scan_end (&scan, files[i], size, report))
            return STATUS_OK;
    }
    return STATUS_OK;
}

enum status wal_inspect (const char *dir, struct wal_report *report, struct store_error *error)
{
    *report = (struct wal_report){.condition = WAL_WHOLE};
    struct crc32c *crc = malloc (sizeof *crc);
    uint64_t *files;
    size_t n;
    enum status status = wal_list (dir, ".log", &files, &n);
    if (crc == NULL)
        status = STATUS_INTERNAL;
    if (status == STATUS_OK) {
        crc32c_init (crc);
        status = inspect_files (dir, crc, files, n, report);
    }
    free (files);
    free (crc);
    return status == STATUS_OK ? status : store_fail (error, status, "cannot read the write-ahead files of %s", dir);
}

enum status wal_cut (const char *dir, const struct wal_report *report, struct store_error *error)
{
    char *path = wal_path (dir, report->file);
    int fd = path == NULL ? -1 : open (path, O_WRONLY | O_CLOEXEC);
    free (path);
    bool cut = fd >= 0 && !failpoint (FAILPOINT_TORN_CUT_BEFORE) && ftruncate (fd, (off_t) report->offset) == 0 &&
               fsync (fd) == 0;
    failpoint_pass (FAILPOINT_TORN_CUT_AFTER);
    if (fd >= 0)
        close (fd);
    return cut ? STATUS_OK
               : store_fail (error, STATUS_INTERNAL, "cannot cut write-ahead file %06" PRIu64 " of %s: %s",
                     report->file, dir, strerror (errno));
}
