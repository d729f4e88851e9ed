/* The structs of schemas/gossip.cddl, as the generator spells them.
 *
 * Room: node/gossip, pure.
 */
#ifndef MAITRED_NODE_GOSSIP_WIRE_H
#define MAITRED_NODE_GOSSIP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/runtime/bytes.h"
#include "schemas/runtime/ids.h"

enum { MEMBER_STATE_ALIVE = 1, MEMBER_STATE_SUSPECT = 2, MEMBER_STATE_DEAD = 3, MEMBER_STATE_LEFT = 4 };

enum {
    GOSSIP_KIND_PING = 1,
    GOSSIP_KIND_ACK = 2,
    GOSSIP_KIND_NACK = 3,
    GOSSIP_KIND_PING_REQUEST = 4,
    GOSSIP_KIND_UPDATE = 5,
    GOSSIP_KIND_PUSH = 6,
    GOSSIP_KIND_PULL = 7,
};

struct gossip_record {
    struct id uuid;
    uint64_t incarnation;
    uint64_t state;
    uint64_t node;
    struct bytes gossip_endpoint;
    struct bytes peer_endpoint;
    struct bytes client_endpoint;
    uint64_t version;
    bool has_accuser;
    struct id accuser;
};

struct leader_hint {
    uint64_t shard;
    uint64_t term;
    uint64_t node;
};

struct gossip_message {
    struct id cluster;
    uint64_t kind;
    uint64_t sequence;
    struct gossip_record self;
    uint64_t wall_ms;
    uint64_t ring_epoch;
    bool has_to;
    struct id to;
    bool has_target;
    struct id target;
    bool has_target_endpoint;
    struct bytes target_endpoint;
    struct gossip_record *records;
    size_t records_count;
    struct leader_hint *hints;
    size_t hints_count;
};

#endif
