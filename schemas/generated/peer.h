/* Made by maitred_codegen from schemas/peer.cddl. Do not edit: change that file, build codegen_run. */
#ifndef MAITRED_SCHEMAS_GENERATED_PEER_H
#define MAITRED_SCHEMAS_GENERATED_PEER_H

#include "schemas/runtime/codec.h"
#include "schemas/generated/log.h"


/* A call on its way from the node that a client asked to the node that leads the shard. The principal is verified; the
 * body is as the client sent it: the leader decodes it. */
struct forward_call {
    uint64_t call; /* the entry node's, returned in the reply */
    uint64_t method;
    uint64_t shard;
    struct actor actor;
    bool has_request_id;
    struct id request_id;
    uint64_t remaining_ms;
    uint64_t hops;
    struct bytes body;
};
#define FORWARD_CALL_ENCODED_MAX 1048652
#define FORWARD_CALL_ARENA_MAX (UINT64_C (0))
extern const struct codec_type forward_call_type;

struct forward_reply {
    uint64_t call;
    uint64_t status;
    bool has_reason;
    struct bytes reason;
    bool has_message;
    struct bytes message;
    bool has_retry_after_ms;
    uint64_t retry_after_ms;
    bool has_replayed;
    bool replayed;
    bool has_maybe_applied;
    bool maybe_applied;
    bool has_leader;
    uint64_t leader; /* who leads the shard, when it is not the answering node */
    struct bytes body;
};
#define FORWARD_REPLY_ENCODED_MAX 4194884
#define FORWARD_REPLY_ARENA_MAX (UINT64_C (0))
extern const struct codec_type forward_reply_type;

/* To a node that speaks from another data folder than the one its number belongs to; rarely (R12). */
struct folder_notice {
    struct id known; /* the folder that the number belongs to, by its uuid */
    struct id seen; /* the receiver's */
};
#define FOLDER_NOTICE_ENCODED_MAX 37
#define FOLDER_NOTICE_ARENA_MAX (UINT64_C (0))
extern const struct codec_type folder_notice_type;

/* Each item is the strict form of the named type; the bounds keep a frame below what one sender may have under way. */
struct peer_frame {
    struct id cluster;
    uint64_t from; /* must be the node that the connection's key belongs to */
    struct id uuid; /* of its data folder: an emptied folder is another member (R12) */
    struct bytes *raft; /* 0..1024; raft-wire-message */
    size_t raft_count;
    struct bytes *acks; /* 0..256; snapshot-ack */
    size_t acks_count;
    struct bytes *calls; /* 0..1024; forward-call */
    size_t calls_count;
    struct bytes *replies; /* 0..200; forward-reply */
    size_t replies_count;
    struct bytes *chunks; /* 0..4; snapshot-chunk */
    size_t chunks_count;
    struct bytes *notices; /* 0..4; folder-notice */
    size_t notices_count;
};
#define PEER_FRAME_RAFT_COUNT_MAX 1024
#define PEER_FRAME_ACKS_COUNT_MAX 256
#define PEER_FRAME_CALLS_COUNT_MAX 1024
#define PEER_FRAME_REPLIES_COUNT_MAX 200
#define PEER_FRAME_CHUNKS_COUNT_MAX 4
#define PEER_FRAME_NOTICES_COUNT_MAX 4
#define PEER_FRAME_ENCODED_MAX 3962509888
#define PEER_FRAME_ARENA_MAX (UINT64_C (0) \
    + 1024 * sizeof (struct bytes) + ARENA_ALIGNMENT \
    + 256 * sizeof (struct bytes) + ARENA_ALIGNMENT \
    + 1024 * sizeof (struct bytes) + ARENA_ALIGNMENT \
    + 200 * sizeof (struct bytes) + ARENA_ALIGNMENT \
    + 4 * sizeof (struct bytes) + ARENA_ALIGNMENT \
    + 4 * sizeof (struct bytes) + ARENA_ALIGNMENT)
extern const struct codec_type peer_frame_type;

#endif
