/* Made by maitred_codegen from schemas/raft.cddl. Do not edit: change that file, build codegen_run. */
#ifndef MAITRED_SCHEMAS_GENERATED_RAFT_H
#define MAITRED_SCHEMAS_GENERATED_RAFT_H

#include "schemas/runtime/codec.h"


enum raft_wire_message_type {
    RAFT_WIRE_MESSAGE_TYPE_PREVOTE = 1,
    RAFT_WIRE_MESSAGE_TYPE_PREVOTE_REPLY = 2,
    RAFT_WIRE_MESSAGE_TYPE_VOTE = 3,
    RAFT_WIRE_MESSAGE_TYPE_VOTE_REPLY = 4,
    RAFT_WIRE_MESSAGE_TYPE_APPEND = 5,
    RAFT_WIRE_MESSAGE_TYPE_APPEND_REPLY = 6,
    RAFT_WIRE_MESSAGE_TYPE_HEARTBEAT = 7,
    RAFT_WIRE_MESSAGE_TYPE_HEARTBEAT_REPLY = 8,
    RAFT_WIRE_MESSAGE_TYPE_TIMEOUT_NOW = 9,
};
extern const struct codec_enum raft_wire_message_type_enum;

enum raft_wire_entry_type {
    RAFT_WIRE_ENTRY_TYPE_NOOP = 1,
    RAFT_WIRE_ENTRY_TYPE_COMMAND = 2,
    RAFT_WIRE_ENTRY_TYPE_CONFIGURATION = 3,
};
extern const struct codec_enum raft_wire_entry_type_enum;

/* Its index follows from the message's: the entry after `index` comes first. */
struct raft_wire_entry {
    uint64_t term;
    uint64_t type; /* enum raft_wire_entry_type */
    uint64_t checksum; /* XXH64 over shard, index, term, type and payload */
    bool has_payload;
    struct bytes payload;
};
#define RAFT_WIRE_ENTRY_ENCODED_MAX 1048605
#define RAFT_WIRE_ENTRY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type raft_wire_entry_type;

/* Absent numbers are 0. */
struct raft_wire_message {
    uint64_t shard;
    uint64_t type; /* enum raft_wire_message_type */
    uint64_t from;
    uint64_t to;
    uint64_t term;
    bool has_flags;
    uint64_t flags; /* 1 refused, 2 leadership transfer, 4 suspect */
    bool has_index;
    uint64_t index;
    bool has_log_term;
    uint64_t log_term;
    bool has_commit;
    uint64_t commit;
    bool has_hint;
    uint64_t hint;
    bool has_round;
    uint64_t round;
    bool has_session;
    uint64_t session;
    bool has_entries;
    struct raft_wire_entry *entries; /* 1..256 */
    size_t entries_count;
};
#define RAFT_WIRE_MESSAGE_ENTRIES_COUNT_MAX 256
#define RAFT_WIRE_MESSAGE_ENCODED_MAX 268442985
#define RAFT_WIRE_MESSAGE_ARENA_MAX (UINT64_C (0) \
    + 256 * sizeof (struct raft_wire_entry) + ARENA_ALIGNMENT)
extern const struct codec_type raft_wire_message_type;

struct raft_wire_member {
    uint64_t replica;
    uint64_t node;
    uint64_t rank; /* order of quick fail-over */
    uint64_t roles; /* 1 voter, 2 voter of the outgoing half, 4 learner */
};
#define RAFT_WIRE_MEMBER_ENCODED_MAX 22
#define RAFT_WIRE_MEMBER_ARENA_MAX (UINT64_C (0))
extern const struct codec_type raft_wire_member_type;

/* Payload of a configuration entry, and part of every snapshot. Members ascend by replica. */
struct raft_wire_configuration {
    struct raft_wire_member *members; /* 0..16 */
    size_t members_count;
};
#define RAFT_WIRE_CONFIGURATION_MEMBERS_COUNT_MAX 16
#define RAFT_WIRE_CONFIGURATION_ENCODED_MAX 355
#define RAFT_WIRE_CONFIGURATION_ARENA_MAX (UINT64_C (0) \
    + 16 * sizeof (struct raft_wire_member) + ARENA_ALIGNMENT)
extern const struct codec_type raft_wire_configuration_type;

#endif
