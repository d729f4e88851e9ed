/* Chunks of an exported snapshot: their layout is in store_state.h. Room: node/store, pure; read by node/backup as well. */
#ifndef MAITRED_NODE_STORE_STORE_CHUNK_H
#define MAITRED_NODE_STORE_STORE_CHUNK_H

#include "node/store/store_state.h"

#define STORE_CHUNK_FORMAT 1
#define STORE_CHUNK_HEADER_BYTES 32
#define STORE_CHUNK_ROW_BYTES 6
#define STORE_CHUNK_SUM_BYTES 8

struct store_chunk {
    uint32_t shard, number, count;
    uint64_t index, term;
    bool last;
};

void store_chunk_write_header (uint8_t out[STORE_CHUNK_HEADER_BYTES], const struct store_chunk *chunk);

/* Checks the whole of a chunk; *rows is what follows its header. DATA_LOSS; UNIMPLEMENTED: a newer format, intact. */
WARN_UNUSED enum status store_chunk_read (struct bytes in, struct store_chunk *chunk, struct bytes *rows);

/* Takes the next row off the front. False when it does not fit. */
bool store_chunk_row (struct bytes *rows, struct bytes *key, struct bytes *value);

#endif
