/* Made by maitred_codegen from schemas/gossip.cddl. Do not edit: change that file, build codegen_run. */
#ifndef MAITRED_SCHEMAS_GENERATED_GOSSIP_H
#define MAITRED_SCHEMAS_GENERATED_GOSSIP_H

#include "schemas/runtime/codec.h"


enum member_state {
    MEMBER_STATE_ALIVE = 1,
    MEMBER_STATE_SUSPECT = 2,
    MEMBER_STATE_DEAD = 3,
    MEMBER_STATE_LEFT = 4,
};
extern const struct codec_enum member_state_enum;

enum gossip_kind {
    GOSSIP_KIND_PING = 1,
    GOSSIP_KIND_ACK = 2,
    GOSSIP_KIND_NACK = 3,
    GOSSIP_KIND_PING_REQUEST = 4,
    GOSSIP_KIND_UPDATE = 5,
    GOSSIP_KIND_PUSH = 6,
    GOSSIP_KIND_PULL = 7,
};
extern const struct codec_enum gossip_kind_enum;

/* What is known of one member. The pair (incarnation, state) orders two records of one member: the greater one wins. */
struct gossip_record {
    struct id uuid;
    uint64_t incarnation; /* only the member itself raises it */
    uint64_t state; /* enum member_state */
    uint64_t node; /* position in the written configuration */
    struct bytes gossip_endpoint;
    struct bytes peer_endpoint;
    struct bytes client_endpoint;
    uint64_t version; /* the cluster version this member could run */
    bool has_accuser;
    struct id accuser; /* who suspects, so that independent suspicions can be counted */
};
#define GOSSIP_RECORD_ENCODED_MAX 362
#define GOSSIP_RECORD_ARENA_MAX (UINT64_C (0))
extern const struct codec_type gossip_record_type;

struct leader_hint {
    uint64_t shard;
    uint64_t term;
    uint64_t node;
};
#define LEADER_HINT_ENCODED_MAX 23
#define LEADER_HINT_ARENA_MAX (UINT64_C (0))
extern const struct codec_type leader_hint_type;

struct gossip_message {
    struct id cluster; /* another cluster's messages are dropped */
    uint64_t kind; /* enum gossip_kind */
    uint64_t sequence; /* an ack and a nack repeat the ping's */
    struct gossip_record self; /* the sender as it is now: every message introduces its sender */
    uint64_t wall_ms; /* the sender's clock, for the median */
    uint64_t ring_epoch; /* the newest one the sender has heard of */
    bool has_to;
    struct id to; /* absent when only an address is known; another uuid's messages are dropped */
    bool has_target;
    struct id target; /* whom a ping request asks to ping, and a relayed ack and a nack speak of */
    struct gossip_record *records; /* 0..256 */
    size_t records_count;
    struct leader_hint *hints; /* 0..128 */
    size_t hints_count;
};
#define GOSSIP_MESSAGE_RECORDS_COUNT_MAX 256
#define GOSSIP_MESSAGE_HINTS_COUNT_MAX 128
#define GOSSIP_MESSAGE_ENCODED_MAX 96073
#define GOSSIP_MESSAGE_ARENA_MAX (UINT64_C (0) \
    + 256 * sizeof (struct gossip_record) + ARENA_ALIGNMENT \
    + 128 * sizeof (struct leader_hint) + ARENA_ALIGNMENT)
extern const struct codec_type gossip_message_type;

#endif
