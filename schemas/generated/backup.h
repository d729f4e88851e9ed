/* Made by maitred_codegen from schemas/backup.cddl. Do not edit: change that file, build codegen_run. */
#ifndef MAITRED_SCHEMAS_GENERATED_BACKUP_H
#define MAITRED_SCHEMAS_GENERATED_BACKUP_H

#include "schemas/runtime/codec.h"


/* One transfer is named by who saves and the shard. Opened again under the same name it begins anew. */
struct snapshot_open_request {
    struct id save; /* made by the client for one save */
    uint64_t shard;
};
#define SNAPSHOT_OPEN_REQUEST_ENCODED_MAX 23
#define SNAPSHOT_OPEN_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type snapshot_open_request_type;

struct snapshot_open_reply {
    struct id cluster;
    uint64_t shard_count;
    uint64_t index; /* everything applied up to here, and nothing later */
    uint64_t term;
    uint64_t log_time_ms; /* not before that of the image */
    struct bytes version;
};
#define SNAPSHOT_OPEN_REPLY_ENCODED_MAX 96
#define SNAPSHOT_OPEN_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type snapshot_open_reply_type;

struct snapshot_read_request {
    struct id save;
    uint64_t shard;
    uint64_t piece; /* from 0, in order; the last one may be asked for again */
};
#define SNAPSHOT_READ_REQUEST_ENCODED_MAX 33
#define SNAPSHOT_READ_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type snapshot_read_request_type;

struct snapshot_read_reply {
    uint64_t index; /* of the image, so that two cannot be mixed up */
    bool last;
    struct bytes data;
};
#define SNAPSHOT_READ_REPLY_ENCODED_MAX 131091
#define SNAPSHOT_READ_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type snapshot_read_reply_type;

struct snapshot_close_request {
    struct id save;
    uint64_t shard;
};
#define SNAPSHOT_CLOSE_REQUEST_ENCODED_MAX 23
#define SNAPSHOT_CLOSE_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type snapshot_close_request_type;

struct snapshot_close_reply {
    uint8_t unused; /* C has no empty struct */
};
#define SNAPSHOT_CLOSE_REPLY_ENCODED_MAX 1
#define SNAPSHOT_CLOSE_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type snapshot_close_reply_type;

struct backup_image {
    uint64_t shard; /* in the file shard-NNNN */
    uint64_t index;
    uint64_t term;
    uint64_t log_time_ms;
    uint64_t bytes;
    struct bytes digest; /* BLAKE2b-256 of the file */
    uint64_t node; /* that it was read from */
};
#define BACKUP_IMAGE_ENCODED_MAX 84
#define BACKUP_IMAGE_ARENA_MAX (UINT64_C (0))
extern const struct codec_type backup_image_type;

/* The file MANIFEST of a backup: "MAITRE-BACKUP 1" and a newline, this map, and BLAKE2b-256 of all in front of it. */
struct backup_manifest {
    struct id cluster; /* that was saved */
    uint64_t shard_count;
    uint64_t nodes; /* of that cluster */
    uint64_t begun_ms; /* by the clock of who saved: all that was acknowledged before is in it */
    uint64_t ended_ms;
    struct bytes version; /* of the nodes */
    struct backup_image *images; /* 1..4097; of shard 0, 1, ... in order */
    size_t images_count;
};
#define BACKUP_MANIFEST_IMAGES_COUNT_MAX 4097
#define BACKUP_MANIFEST_ENCODED_MAX 344242
#define BACKUP_MANIFEST_ARENA_MAX (UINT64_C (0) \
    + 4097 * sizeof (struct backup_image) + ARENA_ALIGNMENT)
extern const struct codec_type backup_manifest_type;

#endif
