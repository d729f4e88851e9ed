/* Reads RocksDB's sorted files itself, row by row, where the library cannot or must not: of a damaged file, or without an
 * index of files, it gives nothing.
 *
 * Room: node/store, private; knows the file format, not the library. Thread safety: none needed. Source: RocksDB wiki
 * "Rocksdb BlockBasedTable Format"; what database.c asks for: no compression, format version 5, no filter. A file: data
 * blocks from byte 0 on, each followed by a type and a checksum (5 bytes) | other blocks | the index block | the footer
 * (53 bytes). A block: rows (shared, unshared and value length, each a varint; the rest of the key, the value) | where each
 * sixteenth row begins (u32 each) | their number u32. A key ends in its type and sequence number u64.
 *
 * Invariants
 *   1. The checksums of blocks are not looked at: the visitor judges each row by a checksum of its own, which covers more.
 *   2. Behind a row that the visitor refuses nothing of its block is given away: bytes of a value are not taken for a row.
 *   3. Behind a damaged block it goes on only where an index whose blocks follow one another without a gap says.
 */
#ifndef MAITRED_NODE_STORE_SST_READ_H
#define MAITRED_NODE_STORE_SST_READ_H

#include "node/store/store.h"

struct sst_row {
    struct bytes key, value; /* borrowed for the call */
    uint64_t sequence;
};

/* False: the row is damaged. */
typedef bool sst_read_visit (void *argument, const struct sst_row *row);

/* Gives away the rows (puts alone: what was deleted is not told) of a file's bytes; *damaged: something was left out. */
void sst_read_bytes (struct bytes file, sst_read_visit *visit, void *argument, bool *damaged);

/* ... of a file on the disk; what the disk does not give counts as damaged. INTERNAL: no memory, or it cannot be opened. */
WARN_UNUSED enum status sst_read_file (
    const char *path, sst_read_visit *visit, void *argument, bool *damaged, struct store_error *error);

#endif
