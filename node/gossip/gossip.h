/* Membership: SWIM with Lifeguard as one pure step (event in, effects out). Hints only: quorums change in logs alone.
 *
 * Room: node/gossip, pure: no socket, clock, thread or random source; time and the seed come as arguments.
 * Ownership: heap objects `struct gossip` and `struct gossip_effects`, one owner each. Thread safety: none.
 * Source: Das, Gupta, Motivala 2002 (SWIM), sections 3 and 4; Dadgar, Phillips, Currey 2017 (Lifeguard), section IV.
 *
 *                 no ack, directly or through k others
 *        ALIVE ------------------------------------------> SUSPECT      gossip_probe.c -> gossip_suspicion.c
 *          ^  ^                                               |
 *          |  +-- greater incarnation, from the member itself-+          gossip_merge.c (refutation)
 *          |                                                  | timeout, sooner with confirmations
 *          +-- greater incarnation ---- DEAD <----------------+          gossip_suspicion.c
 *          +-- greater incarnation ---- LEFT <-- the member's own word    gossip_leave in gossip_core.c
 *
 * The caller's duties after each gossip_step, in this order:
 *  1. When `persist` is set, store `persist_incarnation` durably BEFORE any send of this step leaves. A restart begins
 *     with config.incarnation = stored + 1, itself stored before gossip_new (S1).
 *  2. Hand each send to the transport. `endpoint` says where; a message may be lost, late or doubled, never altered.
 *     Encode with the table of gossip-message; what arrives is decoded strictly before it becomes an event.
 *  3. Act on the notices, in order.
 *  4. Add `counts` to the metrics.
 *  5. Step again with GOSSIP_TICK at `next_tick_ms` or up to 50 ms later; nothing breaks when it is later.
 *  Everything in the effects is borrowed from the gossip and its effects: it is valid until the next step.
 *
 * Invariants (gossip_check):
 *  1. (incarnation, state) of a member only grows, in the order ALIVE < SUSPECT < DEAD < LEFT within an incarnation.
 *  2. The own member is never SUSPECT or DEAD in the own table; its incarnation only grows.
 *  3. At most GOSSIP_MEMBERS_MAX members; members are unique by uuid (S3) and sorted by it.
 *  4. A member has a suspicion timer exactly when it is SUSPECT, and dies no earlier than its minimum timeout.
 *  5. 0 <= local health <= awareness_max.
 *  6. An update is passed on at most retransmit_mult x ceil (log2 (members + 1)) times.
 */
#ifndef MAITRED_NODE_GOSSIP_GOSSIP_H
#define MAITRED_NODE_GOSSIP_GOSSIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/generated/gossip.h"
#include "schemas/runtime/bytes.h"
#include "schemas/runtime/ids.h"
#include "schemas/runtime/status.h"

#define GOSSIP_MEMBERS_MAX 256
#define GOSSIP_SEEDS_MAX 16
#define GOSSIP_ENDPOINT_BYTES_MAX 96
#define GOSSIP_RECORDS_MAX 256  /* in one message: a push or a pull */
#define GOSSIP_PIGGYBACK_MAX 16 /* records that ride on any other message */
#define GOSSIP_HINTS_MAX 128    /* in one message */
#define GOSSIP_SHARDS_MAX 4097  /* shard numbers below this are kept as hints */
#define GOSSIP_INCARNATION_MAX ((UINT64_C (1) << 48) - 1)
#define GOSSIP_MESSAGE_BYTES_MAX (96 * 1024)
#define GOSSIP_SENDS_MAX 64     /* in one step */
#define GOSSIP_NOTICES_MAX 1024 /* in one step */

enum gossip_state { GOSSIP_ALIVE = 1, GOSSIP_SUSPECT = 2, GOSSIP_DEAD = 3, GOSSIP_LEFT = 4 };

const char *gossip_state_name (enum gossip_state state); /* "ALIVE"...; static storage */

/* One member as this node knows it. The own record is one of them. */
struct gossip_member {
    struct id uuid;
    uint64_t incarnation;
    enum gossip_state state;
    uint32_t node; /* position in the written configuration */
    uint64_t version;
    char gossip_endpoint[GOSSIP_ENDPOINT_BYTES_MAX + 1];
    char peer_endpoint[GOSSIP_ENDPOINT_BYTES_MAX + 1];
    char client_endpoint[GOSSIP_ENDPOINT_BYTES_MAX + 1];
    uint64_t state_since_ms; /* own monotonic time of the last change of state */
    uint64_t heard_ms;       /* own monotonic time of its last message to this node; 0: never */
    int64_t wall_offset_ms;  /* its wall clock minus the own monotonic clock, at heard_ms */
};

struct gossip_config {
    struct id cluster;
    struct id uuid;       /* random, from the data folder */
    uint32_t node;        /* 1.. */
    uint64_t incarnation; /* stored + 1, stored again already; >= 1 */
    uint64_t version;
    uint64_t seed;                                                /* of the own random sequence */
    struct bytes gossip_endpoint, peer_endpoint, client_endpoint; /* 1..96 bytes each, copied */
    uint64_t ring_epoch;
    /* SWIM */
    uint32_t probe_interval_ms;  /* protocol period */
    uint32_t probe_timeout_ms;   /* until the indirect pings; < probe_interval_ms */
    uint32_t indirect_count;     /* k */
    uint32_t retransmit_mult;    /* lambda */
    uint32_t spread_interval_ms; /* pending updates go to spread_count members this often, besides riding on probes */
    uint32_t spread_count;
    uint32_t pushpull_interval_ms;
    uint32_t dead_probe_interval_ms; /* one dead member or silent seed is tried this often (S2) */
    uint32_t join_retry_ms;
    /* Lifeguard */
    uint32_t suspicion_alpha; /* minimum timeout: alpha x max (1, log10 n) x probe_interval_ms */
    uint32_t suspicion_beta;  /* maximum: beta x minimum */
    uint32_t confirmations;   /* K independent suspicions bring the timeout from maximum to minimum */
    uint32_t awareness_max;   /* S: local health runs from 0, healthy, to this */
};

/* Fills the tunables with their defaults and zeroes the rest. */
void gossip_config_default (struct gossip_config *config);

enum gossip_event_type {
    GOSSIP_TICK,
    GOSSIP_RECEIVE,   /* `message`, decoded, bounds held */
    GOSSIP_LINK_DOWN, /* `uuid`: a connection to it broke; probed at once, with a short patience */
    GOSSIP_JOIN,      /* `seeds`: gossip endpoints to contact until somebody there answers; copied, at most 16 */
    GOSSIP_LEAVE,     /* say goodbye; from now on only gossip_left matters */
    GOSSIP_FORGET,    /* `uuid`: removed from the cluster by the system shard; dropped from the table unless ALIVE */
};

struct gossip_event {
    enum gossip_event_type type;
    uint64_t now_ms;  /* monotonic; going back counts as standing still */
    uint64_t wall_ms; /* wall clock, only ever told to others and compared */
    const struct gossip_message *message;
    struct id uuid;
    const struct bytes *seeds;
    size_t seeds_count;
};

struct gossip_send {
    struct id to;          /* zero when only the address is known */
    struct bytes endpoint; /* its gossip endpoint */
    const struct gossip_message *message;
};

enum gossip_notice_type {
    GOSSIP_NOTICE_MEMBER, /* `uuid`, `node`: `before` -> `after`; 0: unknown; equal: a new incarnation */
    GOSSIP_NOTICE_HINT,   /* `node` leads `shard` in `term` */
    GOSSIP_NOTICE_EPOCH,  /* somebody has heard of ring epoch `epoch`: ask shard 0 */
};

struct gossip_notice {
    enum gossip_notice_type type;
    struct id uuid;
    uint32_t node;
    uint32_t before, after; /* enum gossip_state */
    uint64_t incarnation;
    uint32_t shard;
    uint64_t term;
    uint64_t epoch;
};

enum gossip_count {
    GOSSIP_COUNT_OTHER_CLUSTER, /* message of another cluster, dropped */
    GOSSIP_COUNT_OTHER_UUID,    /* message for an earlier owner of this address, dropped */
    GOSSIP_COUNT_OWN_UUID,      /* somebody else uses the own uuid: a copied data folder */
    GOSSIP_COUNT_INVALID,       /* bounds or shape that gossip never sends */
    GOSSIP_COUNT_TABLE_FULL,    /* a new member found no place */
    GOSSIP_COUNT_SEND_DROPPED,  /* more than the effects hold */
    GOSSIP_COUNT_PROBE_FAILED,
    GOSSIP_COUNT_REFUTED, /* the own suspicion or death, denied */
    GOSSIP_COUNT_STALLED, /* this node stood still; its timers were moved on instead of blaming the others */
    GOSSIP_COUNTS,
};

struct gossip_effects;

struct gossip_effects *gossip_effects_new (void); /* NULL: no memory */
void gossip_effects_destroy (struct gossip_effects **effects);

/* What the last step asked for; see the caller's duties. */
struct gossip_output {
    const struct gossip_send *sends;
    size_t sends_count;
    const struct gossip_notice *notices;
    size_t notices_count;
    bool persist;
    uint64_t persist_incarnation;
    uint64_t next_tick_ms;
    uint32_t counts[GOSSIP_COUNTS];
};

const struct gossip_output *gossip_effects_output (const struct gossip_effects *effects);

struct gossip;

/* INVALID_ARGUMENT: a zero id, node 0, incarnation outside 1..GOSSIP_INCARNATION_MAX, an endpoint of 0 or more than 96
 * bytes, or a tunable of 0. RESOURCE_EXHAUSTED: no memory. The caller destroys on OK. */
WARN_UNUSED enum status gossip_new (const struct gossip_config *config, struct gossip **gossip);
void gossip_destroy (struct gossip **gossip);

/* One step. `effects` is emptied first. Never fails: what an event asks beyond the bounds is counted and dropped. */
void gossip_step (struct gossip *gossip, const struct gossip_event *event, struct gossip_effects *effects);

/* The shards that this node leads, told to the others with the next messages. May name all of them or only the new
 * ones: a lead ends when somebody leads in a later term. Shards from GOSSIP_SHARDS_MAX on and older terms are ignored.
 * The step's `next_tick_ms` may be later than the leads deserve: step again soon. */
struct gossip_lead {
    uint32_t shard;
    uint64_t term;
};
void gossip_set_local_hints (struct gossip *gossip, const struct gossip_lead *leads, size_t leads_count);

/* Who leads a shard by the newest hint: a node, or 0 when nobody was heard of. `term` may be NULL. */
uint32_t gossip_hint_node (const struct gossip *gossip, uint32_t shard, uint64_t *term);

/* The own committed ring epoch; smaller than the newest heard of is fine. */
void gossip_set_ring_epoch (struct gossip *gossip, uint64_t epoch);
uint64_t gossip_ring_epoch (const struct gossip *gossip); /* the newest heard of */

size_t gossip_members_count (const struct gossip *gossip);                                /* the own one included */
const struct gossip_member *gossip_member_at (const struct gossip *gossip, size_t index); /* sorted by uuid */
const struct gossip_member *gossip_member_find (const struct gossip *gossip, const struct id *uuid); /* or NULL */
/* The member at a position of the configuration: an ALIVE one first, then the one with the latest change. Or NULL. */
const struct gossip_member *gossip_member_by_node (const struct gossip *gossip, uint32_t node);
const struct gossip_member *gossip_self (const struct gossip *gossip);

/* 0: this node is well; awareness_max: its own slowness, not the others, explains what it misses. */
uint32_t gossip_local_health (const struct gossip *gossip);

/* True once the goodbye was passed on often enough (or nobody is there to hear it). Pre: GOSSIP_LEAVE happened. */
bool gossip_left (const struct gossip *gossip);

/* Wall clock estimates: each ALIVE member's (wall clock - own monotonic clock), the own one first, of those heard
 * within `age_ms_max`. Writes at most `offsets_max`; returns how many. */
size_t gossip_wall_offsets (
    const struct gossip *gossip, uint64_t now_ms, uint64_t age_ms_max, int64_t *offsets, size_t offsets_max);

/* The lower median of those estimates as a wall clock at now_ms: no single clock can push it once three agree. */
uint64_t gossip_wall_median_ms (const struct gossip *gossip, uint64_t now_ms, uint64_t age_ms_max);

/* The same where estimates of more than half of `nodes` clocks are at hand, else 0: a node that has heard of few others yet
 * has no median but its own clock, and log time may step only to what a majority says. */
uint64_t gossip_wall_agreed_ms (const struct gossip *gossip, uint64_t now_ms, uint64_t age_ms_max, uint32_t nodes);

/* Asserts the invariants above. */
void gossip_check (const struct gossip *gossip);

#endif
