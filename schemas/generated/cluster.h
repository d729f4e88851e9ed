/* Made by maitred_codegen from schemas/cluster.cddl. Do not edit: change that file, build codegen_run. */
#ifndef MAITRED_SCHEMAS_GENERATED_CLUSTER_H
#define MAITRED_SCHEMAS_GENERATED_CLUSTER_H

#include "schemas/runtime/codec.h"

#define NODE_NUMBER_MAX UINT64_C (65535)

enum node_state {
    NODE_STATE_ALIVE = 1,
    NODE_STATE_SUSPECT = 2,
    NODE_STATE_DEAD = 3,
    NODE_STATE_LEFT = 4,
};
extern const struct codec_enum node_state_enum;

enum shard_role {
    SHARD_ROLE_FOLLOWER = 1,
    SHARD_ROLE_CANDIDATE = 2,
    SHARD_ROLE_LEADER = 3,
    SHARD_ROLE_LEARNER = 4,
};
extern const struct codec_enum shard_role_enum;

enum health_status {
    HEALTH_STATUS_SERVING = 1,
    HEALTH_STATUS_NOT_SERVING = 2,
};
extern const struct codec_enum health_status_enum;

enum outcome_state {
    OUTCOME_STATE_APPLIED = 1,
    OUTCOME_STATE_IN_FLIGHT = 2,
    OUTCOME_STATE_FENCED = 3,
    OUTCOME_STATE_TOO_OLD = 4,
};
extern const struct codec_enum outcome_state_enum;

struct cluster_node {
    uint64_t node; /* counts from 1 */
    struct id uuid;
    uint64_t state; /* enum node_state; as gossip sees it from the answering node */
    struct bytes client_endpoint;
    struct bytes peer_endpoint;
    uint64_t incarnation;
    uint64_t leads; /* shards that it leads, by the newest hints */
    uint64_t replicas;
    bool has_version;
    struct bytes version;
    bool has_zone;
    struct bytes zone;
    bool has_moves;
    uint64_t moves; /* it is being replaced: shards of which it gets a new replica ... */
    bool has_moves_done;
    uint64_t moves_done; /* ... and of these, those that it votes in */
    bool has_awaited;
    bool awaited; /* it has to be started with an empty data folder */
};
#define CLUSTER_NODE_ENCODED_MAX 329
#define CLUSTER_NODE_ARENA_MAX (UINT64_C (0))
extern const struct codec_type cluster_node_type;

struct cluster_replica {
    uint64_t node;
    uint64_t replica;
};
#define CLUSTER_REPLICA_ENCODED_MAX 15
#define CLUSTER_REPLICA_ARENA_MAX (UINT64_C (0))
extern const struct codec_type cluster_replica_type;

struct cluster_shard {
    uint64_t shard;
    uint64_t leader; /* node, 0 when not known */
    uint64_t term;
    struct cluster_replica *replicas; /* 0..9 */
    size_t replicas_count;
    bool has_role;
    uint64_t role; /* enum shard_role; of the answering node, when it has a replica */
    bool has_last_index;
    uint64_t last_index;
    bool has_commit_index;
    uint64_t commit_index;
    bool has_applied_index;
    uint64_t applied_index;
    bool has_log_time_ms;
    uint64_t log_time_ms;
    bool has_suspect;
    bool suspect;
    bool has_log_time_off;
    bool log_time_off; /* more than a minute away from the median of the members' clocks */
};
#define CLUSTER_SHARD_REPLICAS_COUNT_MAX 9
#define CLUSTER_SHARD_ENCODED_MAX 202
#define CLUSTER_SHARD_ARENA_MAX (UINT64_C (0) \
    + 9 * sizeof (struct cluster_replica) + ARENA_ALIGNMENT)
extern const struct codec_type cluster_shard_type;

struct status_request {
    bool has_shards;
    bool shards; /* with a row for every shard */
};
#define STATUS_REQUEST_ENCODED_MAX 3
#define STATUS_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type status_request_type;

struct status_reply {
    struct id cluster;
    uint64_t node; /* who answers */
    struct bytes version;
    uint64_t epoch;
    uint64_t shard_count;
    struct cluster_node *nodes; /* 0..256 */
    size_t nodes_count;
    struct cluster_shard *shards; /* 0..4097 */
    size_t shards_count;
    uint64_t leaderless; /* shards without a known leader */
    uint64_t uptime_ms;
    bool has_healthy;
    bool healthy; /* every member alive and every shard led */
};
#define STATUS_REPLY_NODES_COUNT_MAX 256
#define STATUS_REPLY_SHARDS_COUNT_MAX 4097
#define STATUS_REPLY_ENCODED_MAX 911922
#define STATUS_REPLY_ARENA_MAX (UINT64_C (0) \
    + 256 * sizeof (struct cluster_node) + ARENA_ALIGNMENT \
    + 4097 * sizeof (struct cluster_shard) + ARENA_ALIGNMENT \
    + 4097 * CLUSTER_SHARD_ARENA_MAX)
extern const struct codec_type status_reply_type;

struct members_request {
    uint8_t unused; /* C has no empty struct */
};
#define MEMBERS_REQUEST_ENCODED_MAX 1
#define MEMBERS_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type members_request_type;

struct members_reply {
    struct cluster_node *nodes; /* 0..256 */
    size_t nodes_count;
};
#define MEMBERS_REPLY_NODES_COUNT_MAX 256
#define MEMBERS_REPLY_ENCODED_MAX 84229
#define MEMBERS_REPLY_ARENA_MAX (UINT64_C (0) \
    + 256 * sizeof (struct cluster_node) + ARENA_ALIGNMENT)
extern const struct codec_type members_reply_type;

struct ring_request {
    uint8_t unused; /* C has no empty struct */
};
#define RING_REQUEST_ENCODED_MAX 1
#define RING_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type ring_request_type;

struct ring_reply {
    uint64_t epoch;
    uint64_t shard_count;
    struct cluster_node *nodes; /* 0..256 */
    size_t nodes_count;
    struct cluster_shard *shards; /* 0..4097 */
    size_t shards_count;
};
#define RING_REPLY_NODES_COUNT_MAX 256
#define RING_REPLY_SHARDS_COUNT_MAX 4097
#define RING_REPLY_ENCODED_MAX 911841
#define RING_REPLY_ARENA_MAX (UINT64_C (0) \
    + 256 * sizeof (struct cluster_node) + ARENA_ALIGNMENT \
    + 4097 * sizeof (struct cluster_shard) + ARENA_ALIGNMENT \
    + 4097 * CLUSTER_SHARD_ARENA_MAX)
extern const struct codec_type ring_reply_type;

struct where_request {
    bool has_id;
    struct id id;
    bool has_login;
    struct bytes login;
    bool has_group;
    struct bytes group;
    bool has_shard;
    uint64_t shard;
    bool has_without;
    uint64_t *without; /* 0..256; what would lose its quorum without these nodes */
    size_t without_count;
};
#define WHERE_REQUEST_WITHOUT_COUNT_MAX 256
#define WHERE_REQUEST_ENCODED_MAX 985
#define WHERE_REQUEST_ARENA_MAX (UINT64_C (0) \
    + 256 * sizeof (uint64_t) + ARENA_ALIGNMENT)
extern const struct codec_type where_request_type;

struct where_reply {
    uint64_t shard;
    uint64_t leader;
    struct cluster_replica *replicas; /* 0..9 */
    size_t replicas_count;
    struct bytes leader_endpoint;
    bool has_loses_quorum;
    bool loses_quorum;
};
#define WHERE_REPLY_REPLICAS_COUNT_MAX 9
#define WHERE_REPLY_ENCODED_MAX 247
#define WHERE_REPLY_ARENA_MAX (UINT64_C (0) \
    + 9 * sizeof (struct cluster_replica) + ARENA_ALIGNMENT)
extern const struct codec_type where_reply_type;

struct transfer_leader_request {
    uint64_t shard;
    bool has_node;
    uint64_t node; /* default: the most caught-up follower */
};
#define TRANSFER_LEADER_REQUEST_ENCODED_MAX 9
#define TRANSFER_LEADER_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type transfer_leader_request_type;

struct transfer_leader_reply {
    uint64_t shard;
    uint64_t leader;
};
#define TRANSFER_LEADER_REPLY_ENCODED_MAX 9
#define TRANSFER_LEADER_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type transfer_leader_reply_type;

struct inject_fault_request {
    uint64_t node; /* the node itself: nothing is passed on */
    bool has_point;
    struct bytes point; /* a failpoint; absent: only the list */
    bool has_action;
    struct bytes action; /* what it does: node/failpoint/failpoint.h has the words */
    bool has_list;
    bool list; /* all points in the reply, not that one alone */
};
#define INJECT_FAULT_REQUEST_ENCODED_MAX 141
#define INJECT_FAULT_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type inject_fault_request_type;

struct fault_point {
    struct bytes name;
    struct bytes setting;
    uint64_t hits; /* times passed since the node started */
    uint64_t fired; /* of those, times it did something */
    struct bytes may; /* what it can do besides ending and delaying: pass, error or drop */
    struct bytes what;
};
#define FAULT_POINT_ENCODED_MAX 288
#define FAULT_POINT_ARENA_MAX (UINT64_C (0))
extern const struct codec_type fault_point_type;

struct inject_fault_reply {
    uint64_t node;
    struct fault_point *points; /* 0..256 */
    size_t points_count;
};
#define INJECT_FAULT_REPLY_POINTS_COUNT_MAX 256
#define INJECT_FAULT_REPLY_ENCODED_MAX 73737
#define INJECT_FAULT_REPLY_ARENA_MAX (UINT64_C (0) \
    + 256 * sizeof (struct fault_point) + ARENA_ALIGNMENT)
extern const struct codec_type inject_fault_reply_type;

struct health_request {
    uint8_t unused; /* C has no empty struct */
};
#define HEALTH_REQUEST_ENCODED_MAX 1
#define HEALTH_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type health_request_type;

struct health_reply {
    uint64_t status; /* enum health_status */
    uint64_t node;
};
#define HEALTH_REPLY_ENCODED_MAX 7
#define HEALTH_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type health_reply_type;

struct reflect_request {
    uint8_t unused; /* C has no empty struct */
};
#define REFLECT_REQUEST_ENCODED_MAX 1
#define REFLECT_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type reflect_request_type;

struct reflect_method {
    struct bytes name;
    uint64_t number;
    struct bytes request;
    struct bytes reply;
    struct bytes class;
    struct bytes route;
};
#define REFLECT_METHOD_ENCODED_MAX 291
#define REFLECT_METHOD_ARENA_MAX (UINT64_C (0))
extern const struct codec_type reflect_method_type;

struct reflect_reply {
    struct bytes cddl;
    struct reflect_method *methods; /* 0..256 */
    size_t methods_count;
};
#define REFLECT_REPLY_METHODS_COUNT_MAX 256
#define REFLECT_REPLY_ENCODED_MAX 336651
#define REFLECT_REPLY_ARENA_MAX (UINT64_C (0) \
    + 256 * sizeof (struct reflect_method) + ARENA_ALIGNMENT)
extern const struct codec_type reflect_reply_type;

struct outcome_request {
    struct id request_id;
    bool has_principal;
    struct id principal; /* operators may ask for another's */
};
#define OUTCOME_REQUEST_ENCODED_MAX 37
#define OUTCOME_REQUEST_ARENA_MAX (UINT64_C (0))
extern const struct codec_type outcome_request_type;

struct outcome_reply {
    uint64_t state; /* enum outcome_state */
    bool has_status;
    uint64_t status; /* what the call was answered, when applied */
    bool has_reason;
    struct bytes reason;
    bool has_body;
    struct bytes body; /* absent when the call was call.Outcome itself */
};
#define OUTCOME_REPLY_ENCODED_MAX 65590
#define OUTCOME_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type outcome_reply_type;

#endif
