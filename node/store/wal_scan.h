/* What the bytes of RocksDB's write-ahead files say: whole, torn or rotten. wal.h brings the files.
 *
 * Room: node/store, private, pure. Ownership: the caller's memory; nothing is kept but `crc`. Thread safety: none needed.
 * Source: wal.h.
 *
 * Invariants
 *  1. A batch counts as whole only when all of its records are valid, in order, and its sequence number is beyond the last one's.
 *  2. The answer does not depend on how long a block is, so tests may take short ones.
 */
#ifndef MAITRED_NODE_STORE_WAL_SCAN_H
#define MAITRED_NODE_STORE_WAL_SCAN_H

#include "node/store/crc32c.h"
#include "node/store/wal.h"

#define WAL_BLOCK_BYTES 32768u

/* Where the reading of one file stands; begin with {.crc = , .block_bytes = }. */
struct wal_scan {
    const struct crc32c *crc;
    size_t block_bytes; /* WAL_BLOCK_BYTES, but in tests */
    uint64_t whole_end; /* behind the last whole batch */
    uint64_t records;
    uint64_t sequence; /* of the last batch begun in this file */
    bool inside;       /* between FIRST and LAST */
    bool damaged;
    bool valid_behind; /* a batch begins behind the damage */
};

/* The next block of the file, which begins at `offset`; only the last one may be shorter than block_bytes. */
void wal_scan_block (struct wal_scan *scan, const uint8_t *block, size_t len, uint64_t offset);

/* Behind the last block of a file of `size` bytes: adds what was seen to the report, which begins as {.condition = WAL_WHOLE};
 * files come in ascending order. False: no further file can change the answer. */
bool wal_scan_end (struct wal_scan *scan, uint64_t file, uint64_t size, struct wal_report *report);

#endif
