/* The bytes of a turn in the log database, big-endian, and the checks on reading them back.
 *
 * Room: node/store, private, pure. A turn is one value, or several parts of about a MiB; each part stands alone.
 *
 *   part     format u16 (1) | part u16 | parts u16 | 0 u16 | turn u64 | groups u32 | bytes of groups u32
 *            | groups | checksum64 of all in front of it
 *   group    shard u32 | replica u64 | flags u8 | truncate_from u64 | first_index u64 | count u32 | entries
 *   entry    term u64 | type u8 | payload bytes u32 | checksum64 (shard, replica, index, term, type, payload) | payload
 *   flags    bit 0: reset: the log of this replica is empty from here on, and goes on at first_index (count is 0)
 *
 * Keys: 't' | turn u64 | part u16. Beside them, one key a replica for what is not a sequence: 'h' term and vote, 'c'
 * compaction point and configuration, 'g' live generation, 'x' removed; 'm' alone is the first turn still needed.
 * Their values: format u8 (1) | fields | checksum64 of key and fields.
 *
 * Invariant: a group's place counts through all parts of its turn, from 0.
 */
#ifndef MAITRED_NODE_STORE_PACK_H
#define MAITRED_NODE_STORE_PACK_H

#include "node/store/store_log.h"

#define PACK_FORMAT 1
#define PACK_PART_BYTES (1024 * 1024)
#define PACK_HEADER_BYTES 24
#define PACK_GROUP_BYTES 33
#define PACK_ENTRY_BYTES 21
#define PACK_SUM_BYTES 8
#define PACK_TURN_KEY_BYTES 11
#define PACK_MARK_KEY_BYTES 13
#define PACK_FLAG_RESET 1

struct pack_part {
    uint64_t turn;
    uint32_t part, parts, groups;
    struct bytes body;
};

struct pack_group {
    uint32_t shard;
    uint64_t replica;
    uint8_t flags;
    uint64_t truncate_from, first_index;
    uint32_t count;
};

/* Fill the places of a part, a group and an entry's header. */
void pack_write_header (uint8_t out[PACK_HEADER_BYTES], const struct pack_part *part, uint32_t body_len);
void pack_write_group (uint8_t out[PACK_GROUP_BYTES], const struct pack_group *group);
void pack_write_entry (
    uint8_t out[PACK_ENTRY_BYTES], uint32_t shard, uint64_t replica, const struct store_entry *entry);

/* Reads a part. DATA_LOSS: its checksum or its shape is wrong. UNIMPLEMENTED: a newer format, intact. */
WARN_UNUSED enum status pack_read_part (struct bytes value, struct pack_part *part);

/* Take the next group, or entry of a group, off the front of *body. DATA_LOSS: it does not fit, or its checksum is wrong. */
WARN_UNUSED enum status pack_read_group (struct bytes *body, struct pack_group *group);
WARN_UNUSED enum status pack_read_entry (
    struct bytes *body, const struct pack_group *group, uint64_t index, struct store_entry *entry);

void pack_turn_key (uint8_t out[PACK_TURN_KEY_BYTES], uint64_t turn, uint16_t part);

/* kind | shard | replica. */
void pack_mark_key (uint8_t out[PACK_MARK_KEY_BYTES], char kind, uint32_t shard, uint64_t replica);

/* Writes format and checksum around `fields_len` bytes that stand at out + 1; returns the length of the whole. */
size_t pack_seal (struct bytes key, uint8_t *out, size_t fields_len);

/* The fields of a sealed value. DATA_LOSS, UNIMPLEMENTED as above. */
WARN_UNUSED enum status pack_unseal (struct bytes key, struct bytes value, struct bytes *fields);

#endif
