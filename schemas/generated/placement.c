/* Made by maitred_codegen from schemas/placement.cddl. Do not edit: change that file, build codegen_run. */
#include "schemas/generated/placement.h"

static const struct codec_enum_value placement_phase_values[] = {
    {"none", 0},
    {"waiting", 1},
    {"filling", 2},
    {"joining", 3},
    {"done", 4},
};
const struct codec_enum placement_phase_enum = {"placement_phase", placement_phase_values, 5};

static const struct codec_field placed_node_fields[] = {
    {.name = "node", .key = 1, .kind = CODEC_UINT,
     .expected = "must be 1..65535",
     .offset = offsetof (struct placed_node, node), .element_size = sizeof (uint64_t),
     .min = UINT64_C (1), .max = UINT64_C (65535)},
    {.name = "first_replica", .key = 2, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct placed_node, first_replica), .element_size = sizeof (uint64_t),
     .min = UINT64_C (1), .max = UINT64_C (18446744073709551615)},
    {.name = "folder", .key = 3, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct placed_node, folder), .element_size = sizeof (struct id),
     .optional = true, .has_offset = offsetof (struct placed_node, has_folder),
     .min = UINT64_C (16), .max = UINT64_C (16)},
    {.name = "retired", .key = 4, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct placed_node, retired), .element_size = sizeof (struct id),
     .array = true, .count_offset = offsetof (struct placed_node, retired_count),
     .count_min = 0, .count_max = 8,
     .count_expected = "must have 0..8 elements",
     .min = UINT64_C (16), .max = UINT64_C (16)},
};
const struct codec_type placed_node_type = {
    .name = "placed_node",
    .fields = placed_node_fields,
    .field_count = 4,
    .size = sizeof (struct placed_node),
    .depth = 1,
    .required = UINT64_C (0xb),
    .encoded_max = PLACED_NODE_ENCODED_MAX,
    .arena_max = PLACED_NODE_ARENA_MAX,
};

static const struct codec_field replacement_fields[] = {
    {.name = "node", .key = 1, .kind = CODEC_UINT,
     .expected = "must be 1..65535",
     .offset = offsetof (struct replacement, node), .element_size = sizeof (uint64_t),
     .min = UINT64_C (1), .max = UINT64_C (65535)},
    {.name = "first_replica", .key = 2, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct replacement, first_replica), .element_size = sizeof (uint64_t),
     .min = UINT64_C (1), .max = UINT64_C (18446744073709551615)},
    {.name = "phases", .key = 3, .kind = CODEC_BYTES,
     .expected = "must be 1..4097 bytes",
     .offset = offsetof (struct replacement, phases), .element_size = sizeof (struct bytes),
     .min = UINT64_C (1), .max = UINT64_C (4097)},
    {.name = "since_ms", .key = 4, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct replacement, since_ms), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (18446744073709551615)},
};
const struct codec_type replacement_type = {
    .name = "replacement",
    .fields = replacement_fields,
    .field_count = 4,
    .size = sizeof (struct replacement),
    .depth = 1,
    .required = UINT64_C (0xf),
    .encoded_max = REPLACEMENT_ENCODED_MAX,
    .arena_max = REPLACEMENT_ARENA_MAX,
};

static const struct codec_field placement_fields[] = {
    {.name = "epoch", .key = 1, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct placement, epoch), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (18446744073709551615)},
    {.name = "next_replica", .key = 2, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct placement, next_replica), .element_size = sizeof (uint64_t),
     .min = UINT64_C (1), .max = UINT64_C (18446744073709551615)},
    {.name = "nodes", .key = 3, .kind = CODEC_MAP,
     .expected = "must be a map",
     .offset = offsetof (struct placement, nodes), .element_size = sizeof (struct placed_node),
     .array = true, .count_offset = offsetof (struct placement, nodes_count),
     .count_min = 0, .count_max = 256,
     .count_expected = "must have 0..256 elements",
     .type = &placed_node_type},
    {.name = "running", .key = 4, .kind = CODEC_MAP,
     .expected = "must be a map",
     .offset = offsetof (struct placement, running), .element_size = sizeof (struct replacement),
     .optional = true, .has_offset = offsetof (struct placement, has_running),
     .type = &replacement_type},
    {.name = "origin", .key = 5, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct placement, origin), .element_size = sizeof (uint64_t),
     .optional = true, .has_offset = offsetof (struct placement, has_origin),
     .min = UINT64_C (1), .max = UINT64_C (18446744073709551615)},
};
const struct codec_type placement_type = {
    .name = "placement",
    .fields = placement_fields,
    .field_count = 5,
    .size = sizeof (struct placement),
    .depth = 2,
    .required = UINT64_C (0x7),
    .encoded_max = PLACEMENT_ENCODED_MAX,
    .arena_max = PLACEMENT_ARENA_MAX,
};

static const struct codec_field placement_file_fields[] = {
    {.name = "founded", .key = 1, .kind = CODEC_BOOL,
     .expected = "must be true or false",
     .offset = offsetof (struct placement_file, founded), .element_size = sizeof (bool),
     .min = UINT64_C (0), .max = UINT64_C (1)},
    {.name = "placement", .key = 2, .kind = CODEC_MAP,
     .expected = "must be a map",
     .offset = offsetof (struct placement_file, placement), .element_size = sizeof (struct placement),
     .type = &placement_type},
};
const struct codec_type placement_file_type = {
    .name = "placement_file",
    .fields = placement_file_fields,
    .field_count = 2,
    .size = sizeof (struct placement_file),
    .depth = 3,
    .required = UINT64_C (0x3),
    .encoded_max = PLACEMENT_FILE_ENCODED_MAX,
    .arena_max = PLACEMENT_FILE_ARENA_MAX,
};

static const struct codec_field replace_node_request_fields[] = {
    {.name = "node", .key = 1, .kind = CODEC_UINT,
     .expected = "must be 1..65535",
     .offset = offsetof (struct replace_node_request, node), .element_size = sizeof (uint64_t),
     .min = UINT64_C (1), .max = UINT64_C (65535)},
    {.name = "known_folder", .key = 2, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct replace_node_request, known_folder), .element_size = sizeof (struct id),
     .optional = true, .has_offset = offsetof (struct replace_node_request, has_known_folder),
     .min = UINT64_C (16), .max = UINT64_C (16)},
    {.name = "first_free", .key = 3, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct replace_node_request, first_free), .element_size = sizeof (uint64_t),
     .optional = true, .has_offset = offsetof (struct replace_node_request, has_first_free),
     .min = UINT64_C (1), .max = UINT64_C (18446744073709551615)},
    {.name = "hosted", .key = 4, .kind = CODEC_BYTES,
     .expected = "must be 1..4097 bytes",
     .offset = offsetof (struct replace_node_request, hosted), .element_size = sizeof (struct bytes),
     .optional = true, .has_offset = offsetof (struct replace_node_request, has_hosted),
     .min = UINT64_C (1), .max = UINT64_C (4097)},
};
const struct codec_type replace_node_request_type = {
    .name = "replace_node_request",
    .fields = replace_node_request_fields,
    .field_count = 4,
    .size = sizeof (struct replace_node_request),
    .depth = 1,
    .required = UINT64_C (0x1),
    .encoded_max = REPLACE_NODE_REQUEST_ENCODED_MAX,
    .arena_max = REPLACE_NODE_REQUEST_ARENA_MAX,
};

static const struct codec_field replace_node_reply_fields[] = {
    {.name = "node", .key = 1, .kind = CODEC_UINT,
     .expected = "must be 1..65535",
     .offset = offsetof (struct replace_node_reply, node), .element_size = sizeof (uint64_t),
     .min = UINT64_C (1), .max = UINT64_C (65535)},
    {.name = "epoch", .key = 2, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct replace_node_reply, epoch), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (18446744073709551615)},
    {.name = "first_replica", .key = 3, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct replace_node_reply, first_replica), .element_size = sizeof (uint64_t),
     .min = UINT64_C (1), .max = UINT64_C (18446744073709551615)},
    {.name = "moves", .key = 4, .kind = CODEC_UINT,
     .expected = "must be 0..4097",
     .offset = offsetof (struct replace_node_reply, moves), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (4097)},
};
const struct codec_type replace_node_reply_type = {
    .name = "replace_node_reply",
    .fields = replace_node_reply_fields,
    .field_count = 4,
    .size = sizeof (struct replace_node_reply),
    .depth = 1,
    .required = UINT64_C (0xf),
    .encoded_max = REPLACE_NODE_REPLY_ENCODED_MAX,
    .arena_max = REPLACE_NODE_REPLY_ARENA_MAX,
};

static const struct codec_field bind_folder_request_fields[] = {
    {.name = "node", .key = 1, .kind = CODEC_UINT,
     .expected = "must be 1..65535",
     .offset = offsetof (struct bind_folder_request, node), .element_size = sizeof (uint64_t),
     .min = UINT64_C (1), .max = UINT64_C (65535)},
    {.name = "first_replica", .key = 2, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct bind_folder_request, first_replica), .element_size = sizeof (uint64_t),
     .min = UINT64_C (1), .max = UINT64_C (18446744073709551615)},
    {.name = "folder", .key = 3, .kind = CODEC_ID,
     .expected = "must be an id of 16 bytes",
     .offset = offsetof (struct bind_folder_request, folder), .element_size = sizeof (struct id),
     .min = UINT64_C (16), .max = UINT64_C (16)},
};
const struct codec_type bind_folder_request_type = {
    .name = "bind_folder_request",
    .fields = bind_folder_request_fields,
    .field_count = 3,
    .size = sizeof (struct bind_folder_request),
    .depth = 1,
    .required = UINT64_C (0x7),
    .encoded_max = BIND_FOLDER_REQUEST_ENCODED_MAX,
    .arena_max = BIND_FOLDER_REQUEST_ARENA_MAX,
};

static const struct codec_field bind_folder_reply_fields[] = {
    {.name = "epoch", .key = 1, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct bind_folder_reply, epoch), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (18446744073709551615)},
};
const struct codec_type bind_folder_reply_type = {
    .name = "bind_folder_reply",
    .fields = bind_folder_reply_fields,
    .field_count = 1,
    .size = sizeof (struct bind_folder_reply),
    .depth = 1,
    .required = UINT64_C (0x1),
    .encoded_max = BIND_FOLDER_REPLY_ENCODED_MAX,
    .arena_max = BIND_FOLDER_REPLY_ARENA_MAX,
};

static const struct codec_field note_moves_request_fields[] = {
    {.name = "node", .key = 1, .kind = CODEC_UINT,
     .expected = "must be 1..65535",
     .offset = offsetof (struct note_moves_request, node), .element_size = sizeof (uint64_t),
     .min = UINT64_C (1), .max = UINT64_C (65535)},
    {.name = "first_replica", .key = 2, .kind = CODEC_UINT,
     .expected = "must be an unsigned integer",
     .offset = offsetof (struct note_moves_request, first_replica), .element_size = sizeof (uint64_t),
     .min = UINT64_C (1), .max = UINT64_C (18446744073709551615)},
    {.name = "moves", .key = 3, .kind = CODEC_MAP,
     .expected = "must be a map",
     .offset = offsetof (struct note_moves_request, moves), .element_size = sizeof (struct placement_move),
     .array = true, .count_offset = offsetof (struct note_moves_request, moves_count),
     .count_min = 1, .count_max = 256,
     .count_expected = "must have 1..256 elements",
     .type = &placement_move_type},
};
const struct codec_type note_moves_request_type = {
    .name = "note_moves_request",
    .fields = note_moves_request_fields,
    .field_count = 3,
    .size = sizeof (struct note_moves_request),
    .depth = 2,
    .required = UINT64_C (0x7),
    .encoded_max = NOTE_MOVES_REQUEST_ENCODED_MAX,
    .arena_max = NOTE_MOVES_REQUEST_ARENA_MAX,
};

static const struct codec_field placement_move_fields[] = {
    {.name = "shard", .key = 1, .kind = CODEC_UINT,
     .expected = "must be 0..4096",
     .offset = offsetof (struct placement_move, shard), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (4096)},
    {.name = "phase", .key = 2, .kind = CODEC_ENUM,
     .expected = "must be one of none, waiting, filling, joining, done",
     .offset = offsetof (struct placement_move, phase), .element_size = sizeof (uint64_t),
     .min = 0, .max = 4, .enumeration = &placement_phase_enum},
};
const struct codec_type placement_move_type = {
    .name = "placement_move",
    .fields = placement_move_fields,
    .field_count = 2,
    .size = sizeof (struct placement_move),
    .depth = 1,
    .required = UINT64_C (0x3),
    .encoded_max = PLACEMENT_MOVE_ENCODED_MAX,
    .arena_max = PLACEMENT_MOVE_ARENA_MAX,
};

static const struct codec_field note_moves_reply_fields[] = {
    {.name = "left", .key = 1, .kind = CODEC_UINT,
     .expected = "must be 0..4097",
     .offset = offsetof (struct note_moves_reply, left), .element_size = sizeof (uint64_t),
     .min = UINT64_C (0), .max = UINT64_C (4097)},
};
const struct codec_type note_moves_reply_type = {
    .name = "note_moves_reply",
    .fields = note_moves_reply_fields,
    .field_count = 1,
    .size = sizeof (struct note_moves_reply),
    .depth = 1,
    .required = UINT64_C (0x1),
    .encoded_max = NOTE_MOVES_REPLY_ENCODED_MAX,
    .arena_max = NOTE_MOVES_REPLY_ARENA_MAX,
};

const struct codec_type placement_request_type = {
    .name = "placement_request",
    .size = sizeof (struct placement_request),
    .depth = 1,
    .required = UINT64_C (0x0),
    .encoded_max = PLACEMENT_REQUEST_ENCODED_MAX,
    .arena_max = PLACEMENT_REQUEST_ARENA_MAX,
};

static const struct codec_field placement_reply_fields[] = {
    {.name = "placement", .key = 1, .kind = CODEC_MAP,
     .expected = "must be a map",
     .offset = offsetof (struct placement_reply, placement), .element_size = sizeof (struct placement),
     .type = &placement_type},
};
const struct codec_type placement_reply_type = {
    .name = "placement_reply",
    .fields = placement_reply_fields,
    .field_count = 1,
    .size = sizeof (struct placement_reply),
    .depth = 3,
    .required = UINT64_C (0x1),
    .encoded_max = PLACEMENT_REPLY_ENCODED_MAX,
    .arena_max = PLACEMENT_REPLY_ARENA_MAX,
};
