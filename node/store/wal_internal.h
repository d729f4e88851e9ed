/* What reading write-ahead files (wal.c, wal_scan.c) and saving what is left of one (wal_salvage.c) share.
 *
 * Room: node/store, private to these files. wal.h names the source of the format.
 */
#ifndef MAITRED_NODE_STORE_WAL_INTERNAL_H
#define MAITRED_NODE_STORE_WAL_INTERNAL_H

#include <sys/types.h>

#include "node/store/wal_scan.h"

#define WAL_HEADER_BYTES 7
#define WAL_BATCH_HEADER_BYTES 12 /* sequence u64, count u32 */

enum wal_record_type { WAL_RECORD_FULL = 1, WAL_RECORD_FIRST = 2, WAL_RECORD_MIDDLE = 3, WAL_RECORD_LAST = 4 };

struct wal_record {
    unsigned type;
    struct bytes payload; /* borrowed from the block */
};

/* The valid record at block[at, len), or false. */
bool wal_record_at (const struct crc32c *crc, const uint8_t *block, size_t len, size_t at, struct wal_record *record);

/* The checksum that the header of a record carries over `typed`: its type and payload. */
uint32_t wal_record_sum (const struct crc32c *crc, struct bytes typed);

/* Sequence number of a batch. Pre: WAL_BATCH_HEADER_BYTES at least. */
uint64_t wal_sequence_of (struct bytes payload);

/* The next WAL_BLOCK_BYTES, fewer at the end, 0 behind it; -1: errno tells. */
ssize_t wal_read_block (int fd, uint8_t *block);

/* "dir/NNNNNN.log" on the heap, NULL when memory is out. */
char *wal_path (const char *dir, uint64_t file);

/* The numbers of all files of a folder that are called by a number and the ending, ascending, on the heap. INTERNAL. */
WARN_UNUSED enum status wal_list (const char *dir, const char *ending, uint64_t **files, size_t *n);

#endif
