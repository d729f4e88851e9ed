/* Made by maitred_codegen from schemas/shard.cddl. Do not edit: change that file, build codegen_run. */
#ifndef MAITRED_SCHEMAS_GENERATED_SHARD_H
#define MAITRED_SCHEMAS_GENERATED_SHARD_H

#include "schemas/runtime/codec.h"


struct snapshot_member {
    uint64_t replica;
    uint64_t node;
    uint64_t role; /* bits: 1 voter, 2 voter of the outgoing half of a joint configuration, 4 learner */
    uint64_t rank; /* order of quick fail-over */
};
#define SNAPSHOT_MEMBER_ENCODED_MAX 20
#define SNAPSHOT_MEMBER_ARENA_MAX (UINT64_C (0))
extern const struct codec_type snapshot_member_type;

struct snapshot_chunk {
    uint64_t shard;
    uint64_t from; /* replica ids */
    uint64_t to;
    uint64_t term;
    uint64_t snapshot; /* names one transfer; a new one for every attempt */
    uint64_t sequence; /* counts chunks from 0 */
    uint64_t index; /* what the snapshot contains: everything applied up to here */
    uint64_t index_term;
    bool has_members;
    struct snapshot_member *members; /* 0..16; committed configuration at `index`; in the first chunk */
    size_t members_count;
    bool last;
    struct bytes data;
    uint64_t checksum; /* of data */
};
#define SNAPSHOT_CHUNK_MEMBERS_COUNT_MAX 16
#define SNAPSHOT_CHUNK_ENCODED_MAX 262559
#define SNAPSHOT_CHUNK_ARENA_MAX (UINT64_C (0) \
    + 16 * sizeof (struct snapshot_member) + ARENA_ALIGNMENT)
extern const struct codec_type snapshot_chunk_type;

struct snapshot_ack {
    uint64_t shard;
    uint64_t from;
    uint64_t to;
    uint64_t term;
    uint64_t snapshot;
    uint64_t sequence; /* chunks below this one have arrived */
    bool ok; /* false: give this transfer up */
    bool installed;
};
#define SNAPSHOT_ACK_ENCODED_MAX 59
#define SNAPSHOT_ACK_ARENA_MAX (UINT64_C (0))
extern const struct codec_type snapshot_ack_type;

#endif
