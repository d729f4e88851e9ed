/* What is left of write-ahead files in which synced batches rotted. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/store/small_file.h"
#include "node/store/wal_internal.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/planted.h"

/* ---- the new file */

struct writer {
    const struct crc32c *crc;
    int fd; /* -1: nothing is written, it is only looked whether something has to be */
    uint64_t at;
    bool failed;
};

static void write_bytes (struct writer *writer, const void *data, size_t len)
{
    const uint8_t *from = data;
    for (size_t done = 0; done < len && !writer->failed;) {
        ssize_t n = write (writer->fd, from + done, len - done);
        if (n > 0)
            done += (size_t) n;
        else if (n == 0 || errno != EINTR)
            writer->failed = true;
    }
    writer->at += len;
}

static void write_record (struct writer *writer, uint8_t type, const uint8_t *payload, size_t len)
{
    static uint8_t record[WAL_BLOCK_BYTES]; /* store_open is called by one thread */
    maitre_assert (WAL_HEADER_BYTES + len <= sizeof record);
    record[4] = (uint8_t) len;
    record[5] = (uint8_t) (len >> 8);
    record[6] = type;
    if (len > 0)
        memcpy (record + WAL_HEADER_BYTES, payload, len);
    uint32_t sum = wal_record_sum (writer->crc, bytes_of (record + 6, len + 1));
    for (int i = 0; i < 4; i++)
        record[i] = (uint8_t) (sum >> (8 * i));
    write_bytes (writer, record, WAL_HEADER_BYTES + len);
}

/* As RocksDB's writer frames a batch: no record crosses the end of a block. */
static void write_batch (struct writer *writer, struct bytes batch)
{
    static const uint8_t zeros[WAL_HEADER_BYTES];
    bool first = true, last = false;
    if (writer->fd < 0)
        return;
    for (size_t at = 0; !last && !writer->failed;) {
        size_t room = WAL_BLOCK_BYTES - writer->at % WAL_BLOCK_BYTES;
        if (room < WAL_HEADER_BYTES) {
            write_bytes (writer, zeros, room);
            continue;
        }
        size_t part = batch.len - at < room - WAL_HEADER_BYTES ? batch.len - at : room - WAL_HEADER_BYTES;
        last = at + part == batch.len;
        write_record (writer,
            first && last ? WAL_RECORD_FULL
            : first       ? WAL_RECORD_FIRST
            : last        ? WAL_RECORD_LAST
                          : WAL_RECORD_MIDDLE,
            batch.data + at, part);
        at += part;
        first = false;
    }
}

/* ---- the old one */

struct salvage {
    struct writer writer;
    wal_visit *visit; /* NULL, or who gets the batches instead of a file */
    void *argument;
    uint8_t *batch; /* the one that is being read */
    size_t batch_len, batch_room;
    bool inside;       /* its FIRST was there, and nothing of it was missing since */
    bool damaged;      /* something of the file is not taken over */
    bool end_lost;     /* ... and nothing came behind it yet, in all files */
    uint64_t sequence; /* of the last batch taken over, in all files */
    uint64_t records;
    bool memory_out;
};

static void grow (struct salvage *salvage, struct bytes payload)
{
    if (salvage->batch_len + payload.len > salvage->batch_room) {
        size_t room = 2 * (salvage->batch_len + payload.len);
        uint8_t *grown = realloc (salvage->batch, room);
        salvage->memory_out = salvage->memory_out || grown == NULL;
        if (grown == NULL)
            return;
        salvage->batch = grown;
        salvage->batch_room = room;
    }
    if (payload.len > 0)
        memcpy (salvage->batch + salvage->batch_len, payload.data, payload.len);
    salvage->batch_len += payload.len;
}

/* A batch whose sequence number does not rise stands here by mistake (a misdirected write), or was payload. */
static void take_batch (struct salvage *salvage)
{
    struct bytes batch = bytes_of (salvage->batch, salvage->batch_len);
    salvage->inside = false;
    if (batch.len < WAL_BATCH_HEADER_BYTES || wal_sequence_of (batch) <= salvage->sequence) {
        salvage->damaged = salvage->end_lost = true;
        return;
    }
    salvage->sequence = wal_sequence_of (batch);
    salvage->records++;
    salvage->end_lost = false;
    if (salvage->visit != NULL)
        salvage->visit (salvage->argument, batch);
    else
        write_batch (&salvage->writer, batch);
}

static void take_record (struct salvage *salvage, const struct wal_record *record)
{
    bool begins = record->type == WAL_RECORD_FULL || record->type == WAL_RECORD_FIRST;
    if (begins == salvage->inside)
        salvage->damaged = salvage->end_lost = true; /* a batch without its end, or without its beginning */
    if (!begins && !salvage->inside)
        return;
    if (begins)
        salvage->batch_len = 0;
    salvage->inside = true;
    grow (salvage, record->payload);
    if (record->type == WAL_RECORD_FULL || record->type == WAL_RECORD_LAST)
        take_batch (salvage);
}

/* Whether valid records follow one another from `at` to the end of the block. */
static bool chain_from (const struct crc32c *crc, const uint8_t *block, size_t len, size_t at)
{
    struct wal_record record;
    bool any = false;
    while (len - at >= WAL_HEADER_BYTES) {
        if (!wal_record_at (crc, block, len, at, &record))
            return false;
        at += WAL_HEADER_BYTES + record.payload.len;
        any = true;
    }
    return any && (at == len || len == WAL_BLOCK_BYTES);
}

static void read_block (struct salvage *salvage, const uint8_t *block, size_t len)
{
    for (size_t at = 0; at < len;) {
        if (len - at < WAL_HEADER_BYTES && len == WAL_BLOCK_BYTES)
            return; /* the padding of a full block */
        struct wal_record record;
        if (wal_record_at (salvage->writer.crc, block, len, at, &record)) {
            take_record (salvage, &record);
            at += WAL_HEADER_BYTES + record.payload.len;
            continue;
        }
        salvage->damaged = salvage->end_lost = true;
        salvage->inside = salvage->inside && PLANTED (STORE_BATCH_OF_HALVES);
        while (++at < len && !chain_from (salvage->writer.crc, block, len, at))
            continue;
    }
}

/* Reads a file from its beginning, and writes what is whole of it when the writer has a file. */
static bool read_file (struct salvage *salvage, const char *dir, uint64_t file)
{
    char *path = wal_path (dir, file);
    int fd = path == NULL ? -1 : open (path, O_RDONLY | O_CLOEXEC);
    uint8_t *block = malloc (WAL_BLOCK_BYTES);
    ssize_t n = fd < 0 || block == NULL ? -1 : 0;
    salvage->inside = salvage->damaged = false;
    salvage->records = 0;
    while (n >= 0 && (n = wal_read_block (fd, block)) > 0)
        read_block (salvage, block, (size_t) n);
    salvage->damaged = salvage->damaged || salvage->inside;
    salvage->end_lost = salvage->end_lost || salvage->inside;
    if (fd >= 0)
        close (fd);
    free (block);
    free (path);
    return n == 0 && !salvage->memory_out;
}

static bool write_file (struct salvage *salvage, const char *dir, const char *into, uint64_t file)
{
    char *path = wal_path (into, file);
    int fd = path == NULL ? -1 : open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    free (path);
    if (fd < 0)
        return false;
    salvage->writer.fd = fd;
    salvage->writer.at = 0;
    bool written = read_file (salvage, dir, file) && !salvage->writer.failed && fsync (fd) == 0;
    salvage->writer.fd = -1;
    close (fd);
    return written;
}

enum status wal_salvage (const char *dir, const char *into, struct wal_salvaged *report, struct store_error *error)
{
    struct crc32c *crc = malloc (sizeof *crc);
    struct salvage salvage = {.writer = {.crc = crc, .fd = -1}};
    uint64_t *files;
    size_t n;
    bool fine = wal_list (dir, ".log", &files, &n) == STATUS_OK && crc != NULL;
    *report = (struct wal_salvaged){0};
    if (crc != NULL)
        crc32c_init (crc);
    for (size_t i = 0; i < n && fine; i++) {
        uint64_t before = salvage.sequence;
        fine = read_file (&salvage, dir, files[i]);
        if (!fine || !salvage.damaged)
            continue;
        salvage.sequence = before;
        fine = write_file (&salvage, dir, into, files[i]);
        report->files++;
        report->records += salvage.records;
    }
    report->end_lost = salvage.end_lost;
    if (fine && report->files > 0)
        fine = small_file_sync_dir (into) == STATUS_OK;
    free (salvage.batch);
    free (files);
    free (crc);
    return fine ? STATUS_OK
                : store_fail (error, STATUS_INTERNAL,
                      "what is left of the write-ahead files of %s cannot be written to %s: %s", dir, into,
                      strerror (errno));
}

enum status wal_read (const char *dir, wal_visit *visit, void *argument, struct store_error *error)
{
    struct crc32c *crc = malloc (sizeof *crc);
    struct salvage salvage = {.writer = {.crc = crc, .fd = -1}, .visit = visit, .argument = argument};
    uint64_t *files;
    size_t n;
    bool fine = wal_list (dir, ".log", &files, &n) == STATUS_OK && crc != NULL;
    if (crc != NULL)
        crc32c_init (crc);
    for (size_t i = 0; i < n && fine; i++)
        fine = read_file (&salvage, dir, files[i]);
    free (salvage.batch);
    free (files);
    free (crc);
    return fine ? STATUS_OK
                : store_fail (
                      error, STATUS_INTERNAL, "cannot read the write-ahead files of %s: %s", dir, strerror (errno));
}
