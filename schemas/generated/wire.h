/* Made by maitred_codegen from schemas/wire.cddl. Do not edit: change that file, build codegen_run. */
#ifndef MAITRED_SCHEMAS_GENERATED_WIRE_H
#define MAITRED_SCHEMAS_GENERATED_WIRE_H

#include "schemas/runtime/codec.h"


struct request_header {
    uint64_t protocol; /* 1 */
    uint64_t call; /* chosen by the client, returned in the reply */
    struct bytes method;
    bool has_request_id;
    struct id request_id; /* idempotency key of a write; its hash routes every single-shard call */
    bool has_remaining_ms;
    uint64_t remaining_ms; /* time left, not a deadline: clocks differ */
    bool has_token;
    struct bytes token;
    bool has_traceparent;
    struct bytes traceparent;
    bool has_hops;
    uint64_t hops; /* 1: do not forward, answer NOT_LEADER with a hint */
    bool has_many;
    bool many; /* the client takes several replies in one message */
};
#define REQUEST_HEADER_ENCODED_MAX 1195
#define REQUEST_HEADER_ARENA_MAX (UINT64_C (0))
extern const struct codec_type request_header_type;

struct reply_header {
    uint64_t protocol;
    uint64_t call;
    uint64_t status;
    bool has_reason;
    struct bytes reason;
    bool has_message;
    struct bytes message; /* for people; ends with what to do next */
    bool has_retry_after_ms;
    uint64_t retry_after_ms;
    bool has_leader;
    struct bytes leader; /* client endpoint of the shard's leader, when another node leads it */
    bool has_map_epoch;
    uint64_t map_epoch;
    bool has_more;
    bool more; /* a stream: more replies of this call follow */
    bool has_replayed;
    bool replayed; /* a stored outcome */
    bool has_maybe_applied;
    bool maybe_applied; /* outcome unknown: send the same request id again */
    bool has_shard;
    uint64_t shard;
    bool has_many;
    bool many; /* the node takes several calls in one message; said to those that take many */
};
#define REPLY_HEADER_ENCODED_MAX 690
#define REPLY_HEADER_ARENA_MAX (UINT64_C (0))
extern const struct codec_type reply_header_type;

#endif
