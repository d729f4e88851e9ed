/* Made by maitred_codegen from schemas/placement.cddl. Do not edit: change that file, build codegen_run. */
#ifndef MAITRED_SCHEMAS_GENERATED_PLACEMENT_H
#define MAITRED_SCHEMAS_GENERATED_PLACEMENT_H

#include "schemas/runtime/codec.h"


enum placement_phase {
    PLACEMENT_PHASE_NONE = 0,
    PLACEMENT_PHASE_WAITING = 1,
    PLACEMENT_PHASE_FILLING = 2,
    PLACEMENT_PHASE_JOINING = 3,
    PLACEMENT_PHASE_DONE = 4,
};
extern const struct codec_enum placement_phase_enum;

struct placed_node {
    uint64_t node;
    uint64_t first_replica; /* of shard 0; that of shard S is first_replica + S */
    bool has_folder;
    struct id folder; /* the data folder that the number belongs to; absent: the next new one */
    struct id *retired; /* 0..8; folders that it belonged to, the newest last */
    size_t retired_count;
};
#define PLACED_NODE_RETIRED_COUNT_MAX 8
#define PLACED_NODE_ENCODED_MAX 171
#define PLACED_NODE_ARENA_MAX (UINT64_C (0) \
    + 8 * sizeof (struct id) + ARENA_ALIGNMENT)
extern const struct codec_type placed_node_type;

/* The moves that are under way: each shard's leader carries out its own, and notes here how far it came. */
struct replacement {
    uint64_t node;
    uint64_t first_replica;
    struct bytes phases; /* placement-phase of each shard; none: the node has no replica of it */
    uint64_t since_ms;
};
#define REPLACEMENT_ENCODED_MAX 4126
#define REPLACEMENT_ARENA_MAX (UINT64_C (0))
extern const struct codec_type replacement_type;

struct placement {
    uint64_t epoch; /* grows with every change of what is in `nodes` */
    uint64_t next_replica; /* every id from here on is unused */
    struct placed_node *nodes; /* 0..256; those that were ever replaced, ascending */
    size_t nodes_count;
    bool has_running;
    struct replacement running;
    bool has_origin;
    uint64_t origin; /* where the ids of the first placement begin, if not at 1: in a cluster made */
};
#define PLACEMENT_NODES_COUNT_MAX 256
#define PLACEMENT_ENCODED_MAX 47938
#define PLACEMENT_ARENA_MAX (UINT64_C (0) \
    + 256 * sizeof (struct placed_node) + ARENA_ALIGNMENT \
    + 256 * PLACED_NODE_ARENA_MAX)
extern const struct codec_type placement_type;

/* files/map of a data folder: the last committed placement that this node has heard of. */
struct placement_file {
    bool founded; /* this node's replicas by it were made: one that is missing now is lost */
    struct placement placement;
};
#define PLACEMENT_FILE_ENCODED_MAX 47942
#define PLACEMENT_FILE_ARENA_MAX (UINT64_C (0) \
    + 1 * PLACEMENT_ARENA_MAX)
extern const struct codec_type placement_file_type;

/* The entry node adds what the system shard cannot know: where the first placement put replicas, and the known folder. */
struct replace_node_request {
    uint64_t node;
    bool has_known_folder;
    struct id known_folder; /* filled in by the entry node, as are the next two */
    bool has_first_free;
    uint64_t first_free; /* above every replica id of the first placement */
    bool has_hosted;
    struct bytes hosted; /* a byte a shard: 1 where the node has a replica */
};
#define REPLACE_NODE_REQUEST_ENCODED_MAX 4134
#define REPLACE_NODE_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type replace_node_request_type;

struct replace_node_reply {
    uint64_t node;
    uint64_t epoch;
    uint64_t first_replica;
    uint64_t moves; /* shards of which it gets a new replica */
};
#define REPLACE_NODE_REPLY_ENCODED_MAX 29
#define REPLACE_NODE_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type replace_node_reply_type;

/* The system shard's leader binds the number to the first folder that speaks for it and is not retired. */
struct bind_folder_request {
    uint64_t node;
    uint64_t first_replica; /* of which replacement */
    struct id folder;
};
#define BIND_FOLDER_REQUEST_ENCODED_MAX 33
#define BIND_FOLDER_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type bind_folder_request_type;

struct bind_folder_reply {
    uint64_t epoch;
};
#define BIND_FOLDER_REPLY_ENCODED_MAX 11
#define BIND_FOLDER_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type bind_folder_reply_type;

struct placement_move {
    uint64_t shard;
    uint64_t phase; /* enum placement_phase */
};
#define PLACEMENT_MOVE_ENCODED_MAX 7
#define PLACEMENT_MOVE_ARENA_MAX (UINT64_C (0))
extern const struct codec_type placement_move_type;

struct note_moves_request {
    uint64_t node;
    uint64_t first_replica; /* of which replacement; those of another change nothing */
    struct placement_move *moves; /* 1..256 */
    size_t moves_count;
};
#define NOTE_MOVES_REQUEST_MOVES_COUNT_MAX 256
#define NOTE_MOVES_REQUEST_ENCODED_MAX 1811
#define NOTE_MOVES_REQUEST_ARENA_MAX (UINT64_C (0) \
    + 256 * sizeof (struct placement_move) + ARENA_ALIGNMENT)
extern const struct codec_type note_moves_request_type;

struct note_moves_reply {
    uint64_t left; /* moves that are not done */
};
#define NOTE_MOVES_REPLY_ENCODED_MAX 5
#define NOTE_MOVES_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type note_moves_reply_type;

struct placement_request {
    uint8_t unused; /* C has no empty struct */
};
#define PLACEMENT_REQUEST_ENCODED_MAX 1
#define PLACEMENT_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type placement_request_type;

struct placement_reply {
    struct placement placement;
};
#define PLACEMENT_REPLY_ENCODED_MAX 47940
#define PLACEMENT_REPLY_ARENA_MAX (UINT64_C (0) \
    + 1 * PLACEMENT_ARENA_MAX)
extern const struct codec_type placement_reply_type;

#endif
