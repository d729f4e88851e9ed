#include "node/store/sst_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/store/small_file.h"

#define TRAILER_BYTES 5
#define FOOTER_BYTES 53
#define KEY_BYTES_MAX 64 /* those of the log are much shorter */
#define RESTART_ROWS 16
#define FOOTER_MAGIC UINT64_C (0x88e241b785f4cff7)

enum row_type { ROW_DELETION = 0, ROW_PUT = 1, ROW_SINGLE_DELETION = 7, ROW_RANGE_DELETION = 15 };

/* ---- numbers */

static uint64_t fixed (const uint8_t *in, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++)
        value |= (uint64_t) in[i] << (8 * i);
    return value;
}

static bool varint (struct bytes in, size_t *at, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && *at < in.len; shift += 7) {
        uint8_t byte = in.data[(*at)++];
        *value |= (uint64_t) (byte & 127) << shift;
        if (byte < 128)
            return true;
    }
    return false;
}

/* ---- the index: where data blocks begin and end */

struct block {
    size_t at, len;
};

/* An entry of the index block: key length (nothing is shared), key, place and length. */
static bool read_handle (struct bytes index, size_t *at, struct block *block)
{
    uint64_t shared, key_len, place, len;
    if (!varint (index, at, &shared) || shared != 0 || !varint (index, at, &key_len) || key_len > index.len - *at)
        return false;
    *at += key_len;
    if (!varint (index, at, &place) || !varint (index, at, &len))
        return false;
    *block = (struct block){.at = place, .len = len};
    return true;
}

static bool find_index (struct bytes file, struct bytes *index)
{
    if (file.len < FOOTER_BYTES)
        return false;
    struct bytes footer = bytes_of (file.data + file.len - FOOTER_BYTES, FOOTER_BYTES);
    size_t at = 1;
    uint64_t place, len;
    if (fixed (footer.data + FOOTER_BYTES - 8, 8) != FOOTER_MAGIC || !varint (footer, &at, &place) ||
        !varint (footer, &at, &len) || !varint (footer, &at, &place) || !varint (footer, &at, &len) ||
        place > file.len || len > file.len - place || len < 8)
        return false;
    *index = bytes_of (file.data + place, len);
    return true;
}

/* All data blocks, on the heap. NULL: no index that can be right, or no memory. */
static struct block *read_index (struct bytes file, size_t *count)
{
    struct bytes index;
    *count = 0;
    if (!find_index (file, &index))
        return NULL;
    uint64_t restarts = fixed (index.data + index.len - 4, 4);
    if (restarts > index.len / 4 - 1)
        return NULL;
    struct bytes entries = bytes_of (index.data, index.len - 4 * (restarts + 1));
    struct block *blocks = calloc (restarts + 1, sizeof *blocks); /* each entry is a place to begin at */
    size_t at = 0, next = 0;
    bool fine = blocks != NULL;
    while (fine && at < entries.len) {
        fine = *count < restarts && read_handle (entries, &at, &blocks[*count]) && blocks[*count].at == next &&
               blocks[*count].len < file.len && next + blocks[*count].len + TRAILER_BYTES <= file.len;
        if (fine)
            next += blocks[(*count)++].len + TRAILER_BYTES;
    }
    if (fine && *count > 0)
        return blocks;
    free (blocks);
    return NULL;
}

/* ---- blocks */

struct reader {
    sst_read_visit *visit;
    void *argument;
    uint8_t key[KEY_BYTES_MAX];
    size_t key_len;
};

/* The row at *at. False: it is none, or is damaged. *over: here the rows of the block end. */
static bool read_row (struct reader *reader, struct bytes file, size_t *at, bool *over)
{
    uint64_t shared, own, value_len;
    size_t end = *at;
    if (!varint (file, &end, &shared) || !varint (file, &end, &own))
        return false;
    *over = shared == 0 && own == 0; /* the first place to begin at is byte 0 of the block */
    if (*over)
        return true;
    if (!varint (file, &end, &value_len) || shared > reader->key_len || own > KEY_BYTES_MAX - shared ||
        shared + own < 8 || own > file.len - end || value_len > file.len - end - own)
        return false;
    memcpy (reader->key + shared, file.data + end, own);
    reader->key_len = shared + own;
    uint64_t packed = fixed (reader->key + reader->key_len - 8, 8);
    struct sst_row row = {.key = bytes_of (reader->key, reader->key_len - 8),
        .value = bytes_of (file.data + end + own, value_len),
        .sequence = packed >> 8};
    *at = end + own + value_len;
    enum row_type type = packed & 255;
    if (type == ROW_PUT)
        return reader->visit (reader->argument, &row);
    return type == ROW_DELETION || type == ROW_SINGLE_DELETION || type == ROW_RANGE_DELETION;
}

/* The block that begins at `at`; *end is where its trailer begins. False: rows of it are lost, and so is its end. */
static bool read_block (struct reader *reader, struct bytes file, size_t at, size_t *end)
{
    size_t begin = at, rows = 0;
    bool over = false;
    reader->key_len = 0;
    while (!over) {
        if (!read_row (reader, file, &at, &over))
            return false;
        rows += !over;
    }
    size_t restarts = (rows + RESTART_ROWS - 1) / RESTART_ROWS;
    if (rows == 0 || file.len - at < 4 * (restarts + 1) || fixed (file.data + at + 4 * restarts, 4) != restarts)
        return false;
    *end = at + 4 * (restarts + 1);
    return *end > begin && file.len - *end >= TRAILER_BYTES;
}

void sst_read_bytes (struct bytes file, sst_read_visit *visit, void *argument, bool *damaged)
{
    struct reader reader = {.visit = visit, .argument = argument};
    size_t count, end = 0;
    struct block *blocks = read_index (file, &count);
    *damaged = blocks == NULL;
    for (size_t i = 0; i < count; i++) {
        bool fine = read_block (
            &reader, bytes_of (file.data, blocks[i].at + blocks[i].len + TRAILER_BYTES), blocks[i].at, &end);
        *damaged = *damaged || !fine || end != blocks[i].at + blocks[i].len;
    }
    free (blocks);
    for (size_t at = 0; blocks == NULL && at < file.len && read_block (&reader, file, at, &end);)
        at = end + TRAILER_BYTES;
}

/* ---- files */

static bool read_all (int fd, uint8_t *data, size_t size)
{
    bool whole = true;
    for (size_t at = 0; at < size;) {
        size_t piece = size - at < 4096 ? size - at : 4096;
        ssize_t n = pread (fd, data + at, piece, (off_t) at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) { /* zeros there: no row has that shape */
            whole = false;
            at += piece;
        } else {
            at += (size_t) n;
        }
    }
    return whole;
}

enum status sst_read_file (
    const char *path, sst_read_visit *visit, void *argument, bool *damaged, struct store_error *error)
{
    struct stat about;
    int fd = open (path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat (fd, &about) != 0) {
        if (fd >= 0)
            close (fd);
        return store_fail (error, STATUS_INTERNAL, "%s cannot be opened: %s", path, strerror (errno));
    }
    size_t size = (size_t) about.st_size;
    uint8_t *data = calloc (1, size + 1);
    if (data == NULL) {
        close (fd);
        return store_fail (error, STATUS_INTERNAL, "out of memory");
    }
    bool whole = read_all (fd, data, size);
    close (fd);
    sst_read_bytes (bytes_of (data, size), visit, argument, damaged);
    *damaged = *damaged || !whole;
    free (data);
    return STATUS_OK;
}
