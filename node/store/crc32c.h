/* CRC-32C (Castagnoli), as RocksDB's write-ahead files use it. Room: node/store, private, pure. */
#ifndef MAITRED_NODE_STORE_CRC32C_H
#define MAITRED_NODE_STORE_CRC32C_H

#include "schemas/runtime/bytes.h"

/* Eight tables: eight bytes a step ("slicing by 8", Kounavis and Berry 2005). */
struct crc32c {
    uint32_t table[8][256];
};

void crc32c_init (struct crc32c *crc);
uint32_t crc32c_of (const struct crc32c *crc, struct bytes data);

#endif
