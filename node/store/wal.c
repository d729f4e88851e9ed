#include "node/store/wal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/failpoint/failpoint.h"
#include "node/store/crc32c.h"
#include "node/store/small_file.h"

#define BLOCK_BYTES 32768
#define HEADER_BYTES 7
#define BATCH_HEADER_BYTES 12 /* sequence u64, count u32 */

enum record_type { RECORD_FULL = 1, RECORD_FIRST = 2, RECORD_MIDDLE = 3, RECORD_LAST = 4 };

struct record {
    unsigned type;
    struct bytes payload;
};

/* Where the reading of one file stands. */
struct scan {
    const struct crc32c *crc;
    uint64_t whole_end; /* behind the last whole batch */
    uint64_t records;
    uint64_t sequence; /* of the last batch begun in this file */
    bool inside;       /* between FIRST and LAST */
    bool damaged;
    bool valid_behind; /* a batch begins behind the damage */
};

/* The valid record at `at`, or false. */
static bool record_at (const struct crc32c *crc, const uint8_t *block, size_t len, size_t at, struct record *record)
{
    if (len - at < HEADER_BYTES)
        return false;
    const uint8_t *header = block + at;
    size_t payload_len = (size_t) header[4] | (size_t) header[5] << 8;
    unsigned type = header[6];
    if (type < RECORD_FULL || type > RECORD_LAST || payload_len > len - at - HEADER_BYTES)
        return false;
    uint32_t stored =
        (uint32_t) header[0] | (uint32_t) header[1] << 8 | (uint32_t) header[2] << 16 | (uint32_t) header[3] << 24;
    /* RocksDB masks checksums so that a checksum over data that holds checksums stays strong. */
    uint32_t rotated = stored - UINT32_C (0xa282ead8);
    uint32_t unmasked = rotated >> 17 | rotated << 15;
    if (crc32c_of (crc, bytes_of (header + 6, payload_len + 1)) != unmasked)
        return false;
    *record = (struct record){.type = type, .payload = bytes_of (header + HEADER_BYTES, payload_len)};
    return true;
}

static uint64_t sequence_of (struct bytes payload)
{
    uint64_t sequence = 0;
    for (size_t i = 0; i < 8; i++)
        sequence |= (uint64_t) payload.data[i] << (8 * i);
    return sequence;
}

/* True when a batch that can follow the last one begins with this record. Its sequence number guards against taking
 * bytes within a payload for a record; a FIRST that filled the end of a block may be too short to hold one. */
static bool begins_batch (const struct scan *scan, const struct record *record)
{
    if (record->type == RECORD_FULL)
        return record->payload.len >= BATCH_HEADER_BYTES && sequence_of (record->payload) > scan->sequence;
    return record->type == RECORD_FIRST &&
           (record->payload.len < BATCH_HEADER_BYTES || sequence_of (record->payload) > scan->sequence);
}

/* Behind damage: looks for a batch that begins anywhere in block[at, len). */
static void search_behind (struct scan *scan, const uint8_t *block, size_t len, size_t at)
{
    for (; at < len && !scan->valid_behind; at++) {
        struct record record;
        if (record_at (scan->crc, block, len, at, &record)) {
            scan->valid_behind = begins_batch (scan, &record);
            at += HEADER_BYTES + record.payload.len - 1;
        }
    }
}

/* Takes one valid record in; false when it cannot stand here. */
static bool take (struct scan *scan, const struct record *record, uint64_t end)
{
    bool begins = record->type == RECORD_FULL || record->type == RECORD_FIRST;
    if (begins == scan->inside || (begins && !begins_batch (scan, record)))
        return false;
    if (begins && record->payload.len >= BATCH_HEADER_BYTES)
        scan->sequence = sequence_of (record->payload);
    scan->inside = record->type == RECORD_FIRST || record->type == RECORD_MIDDLE;
    if (!scan->inside) {
        scan->whole_end = end;
        scan->records++;
    }
    return true;
}

static void scan_block (struct scan *scan, const uint8_t *block, size_t len, uint64_t offset)
{
    size_t at = 0;
    while (!scan->damaged && at < len) {
        if (len - at < HEADER_BYTES && len == BLOCK_BYTES)
            return; /* the padding of a full block */
        struct record record;
        if (record_at (scan->crc, block, len, at, &record) &&
            take (scan, &record, offset + at + HEADER_BYTES + record.payload.len))
            at += HEADER_BYTES + record.payload.len;
        else
            scan->damaged = true;
    }
    if (scan->damaged)
        search_behind (scan, block, len, at);
}

static ssize_t read_block (int fd, uint8_t *block)
{
    size_t done = 0;
    while (done < BLOCK_BYTES) {
        ssize_t n = read (fd, block + done, BLOCK_BYTES - done);
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

static char *wal_path (const char *dir, uint64_t file)
{
    char name[32];
    snprintf (name, sizeof name, "%06" PRIu64 ".log", file);
    return small_file_path (dir, name);
}

/* Reads one file to its end; *size gets its length. */
static enum status scan_file (const char *dir, uint64_t file, struct scan *scan, uint64_t *size)
{
    char *path = wal_path (dir, file);
    int fd = path == NULL ? -1 : open (path, O_RDONLY | O_CLOEXEC);
    free (path);
    uint8_t *block = malloc (BLOCK_BYTES);
    ssize_t n = fd < 0 || block == NULL ? -1 : 0;
    *size = 0;
    while (n >= 0 && (n = read_block (fd, block)) > 0) {
        scan_block (scan, block, (size_t) n, *size);
        *size += (uint64_t) n;
    }
    if (scan->inside)
        scan->damaged = true;
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

/* The numbers of all write-ahead files, ascending, on the heap. */
static enum status list_files (const char *dir, uint64_t **files, size_t *n)
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
        if (sscanf (item->d_name, "%" SCNu64 ".log%n", &number, &end) != 1 || end == 0 || item->d_name[end] != 0)
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
        struct scan scan = {.crc = crc};
        uint64_t size;
        enum status status = scan_file (dir, files[i], &scan, &size);
        if (status != STATUS_OK)
            return status;
        if (report->condition == WAL_TORN && size > 0) {
            report->condition = WAL_ROT; /* this file was begun after the damaged one had been synced */
            return STATUS_OK;
        }
        report->records += scan.records;
        if (scan.damaged) {
            *report = (struct wal_report){.condition = scan.valid_behind ? WAL_ROT : WAL_TORN,
                .file = files[i],
                .offset = scan.whole_end,
                .size = size,
                .records = report->records};
        }
        if (report->condition == WAL_ROT)
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
    enum status status = list_files (dir, &files, &n);
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
