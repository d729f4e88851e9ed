/* What the files of this room share: the whole state of one gossip, and who may change which part of it.
 *
 * Room: node/gossip, pure. Source: see gossip.h.
 */
#ifndef MAITRED_NODE_GOSSIP_INTERNAL_H
#define MAITRED_NODE_GOSSIP_INTERNAL_H

#include "node/gossip/gossip.h"
#include "schemas/runtime/arena.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/planted.h"

#define GOSSIP_PROBES_MAX 16
#define GOSSIP_RELAYS_MAX 64
#define GOSSIP_INDIRECT_MAX 8
#define GOSSIP_CONFIRMATIONS_MAX 8
#define GOSSIP_FORGOTTEN_MAX 32
#define GOSSIP_GOODBYES_MAX 32
#define GOSSIP_ARENA_BYTES (256 * 1024)
#define GOSSIP_NEVER UINT64_MAX

/* Lifeguard's timer of one suspicion: starts long, shrinks with each independent confirmation. */
struct gossip_suspicion {
    bool active;
    uint64_t start_ms;
    uint64_t min_ms, max_ms;       /* shortest and longest timeout */
    uint32_t confirmations_wanted; /* K; the timeout is min_ms once that many came */
    uint32_t accusers_count;       /* the first one is no confirmation */
    struct id accusers[GOSSIP_CONFIRMATIONS_MAX + 1];
};

struct gossip_slot {
    struct gossip_member member;
    struct gossip_suspicion suspicion;
    struct id accuser;  /* told to the others while SUSPECT */
    uint32_t transmits; /* of the present record */
    bool pending;       /* still to be passed on */
};

struct gossip_probe {
    bool active;
    bool indirect_sent;
    bool revival; /* of a DEAD member: a failure says nothing new */
    struct id target;
    uint64_t sequence;
    uint64_t indirect_at_ms;
    uint64_t deadline_ms;
    uint32_t nacks_expected, nacks;
};

/* A ping on behalf of somebody else. */
struct gossip_relay {
    bool active;
    bool nack_sent;
    struct id origin, target;
    uint64_t origin_sequence, sequence;
    uint64_t nack_at_ms;
    uint64_t deadline_ms;
};

struct gossip_hint {
    uint64_t term; /* 0: nothing known */
    uint32_t node;
    uint32_t transmits;
    bool pending;
};

struct gossip_seed {
    uint32_t len;
    uint8_t text[GOSSIP_ENDPOINT_BYTES_MAX];
};

struct gossip {
    struct gossip_config config; /* its texts are not used after gossip_new */
    bool started;                /* the first event fixes the schedules below */
    bool leaving;
    uint64_t now_ms, wall_ms;
    uint64_t expected_ms; /* next_tick_ms of the last step: coming much later means that this node stood still */
    uint64_t random_state;
    uint64_t sequence;
    uint32_t awareness;

    struct gossip_slot slots[GOSSIP_MEMBERS_MAX]; /* a pool: members stay where they are */
    bool slots_used[GOSSIP_MEMBERS_MAX];
    struct gossip_slot *sorted[GOSSIP_MEMBERS_MAX]; /* by uuid */
    size_t count;
    struct gossip_slot *self;
    struct gossip_slot *order[GOSSIP_MEMBERS_MAX]; /* of probing: shuffled, everybody once a round */
    size_t order_next;
    struct id forgotten[GOSSIP_FORGOTTEN_MAX];
    size_t forgotten_next;

    struct gossip_probe probes[GOSSIP_PROBES_MAX];
    struct gossip_relay relays[GOSSIP_RELAYS_MAX];
    struct gossip_seed seeds[GOSSIP_SEEDS_MAX];
    size_t seeds_count;
    uint64_t probe_at_ms, spread_at_ms, pushpull_at_ms, dead_probe_at_ms, join_at_ms;

    uint64_t ring_epoch;
    struct gossip_hint hints[GOSSIP_SHARDS_MAX];
    uint32_t
        hints_count; /* beyond the greatest shard that was ever told of: a cluster has few shards, the table is large */
    uint32_t hints_pending;
    uint32_t hints_pending_next; /* where the next message starts to look */
    uint32_t hints_push_next;    /* where the next push does */
};

struct gossip_effects {
    struct gossip_output output;
    struct gossip_send sends[GOSSIP_SENDS_MAX];
    struct gossip_message messages[GOSSIP_SENDS_MAX];
    struct gossip_notice notices[GOSSIP_NOTICES_MAX];
    struct arena arena;
    struct gossip_record *table; /* every record, made once a step for all pushes of it */
    size_t table_count;
    uint64_t memory[GOSSIP_ARENA_BYTES / sizeof (uint64_t)];
};

/* ---- gossip_effects.c: what a step says */

void gossip_effects_reset (struct gossip_effects *effects);
void gossip_effects_count (struct gossip_effects *effects, enum gossip_count count);
void gossip_effects_notice (struct gossip_effects *effects, const struct gossip_notice *notice);

struct gossip_outgoing {
    uint64_t kind;
    uint64_t sequence;
    const struct id *target; /* or NULL */
};

/* Sends to a member, piggybacking what is pending; the whole table when the kind is a push or a pull. */
void gossip_send_member (struct gossip *gossip, struct gossip_effects *effects, const struct gossip_slot *to,
    const struct gossip_outgoing *outgoing);

/* Pushes to an address whose owner is not known. */
void gossip_send_seed (struct gossip *gossip, struct gossip_effects *effects, const struct gossip_seed *seed);

/* ---- gossip_random.c */

uint64_t gossip_random (struct gossip *gossip);
uint64_t gossip_random_below (struct gossip *gossip, uint64_t bound); /* pre: bound > 0 */
uint32_t gossip_log2_q16 (uint32_t x);                                /* log2 in 16.16 fixed point; pre: x > 0 */

/* ---- gossip_members.c: the table */

struct gossip_slot *gossip_members_find (const struct gossip *gossip, const struct id *uuid); /* or NULL */

/* A zeroed slot for a new uuid. May drop a LEFT or DEAD member for it if `may_evict`. NULL: no room. */
struct gossip_slot *gossip_members_add (struct gossip *gossip, const struct id *uuid, bool may_evict);
void gossip_members_remove (struct gossip *gossip, struct gossip_slot *slot);
bool gossip_members_is_forgotten (const struct gossip *gossip, const struct id *uuid);

/* ALIVE and SUSPECT members, the own one included unless it is leaving. */
size_t gossip_members_live (const struct gossip *gossip);
bool gossip_slot_live (const struct gossip_slot *slot);

/* Up to `max` different live members at random, without the own one and `except` (may be NULL), only ALIVE ones when
 * `alive_only`. Returns how many. */
size_t gossip_members_pick (
    struct gossip *gossip, const struct id *except, bool alive_only, struct gossip_slot **picked, size_t max);

/* The next member to probe in this round, or NULL when there is nobody. */
struct gossip_slot *gossip_members_next_probe (struct gossip *gossip);

/* ---- gossip_merge.c: what others say about members */

enum gossip_source {
    GOSSIP_FROM_SELF,  /* the sender about itself */
    GOSSIP_FROM_RUMOR, /* passed on */
    GOSSIP_FROM_TABLE, /* a push or a pull: may be an opinion from before a partition healed */
};

void gossip_merge (struct gossip *gossip, struct gossip_effects *effects, const struct gossip_record *record,
    enum gossip_source source, const struct id *sender);
bool gossip_record_valid (const struct gossip_record *record);

/* Takes over a record of a greater incarnation, all but its state. */
void gossip_member_adopt (struct gossip_member *member, const struct gossip_record *record);

/* Moves a member to a state, with its notice and its broadcast. Suspicions are started and stopped here alone. */
void gossip_set_state (
    struct gossip *gossip, struct gossip_effects *effects, struct gossip_slot *slot, enum gossip_state state);

/* `accuser` says that a live member does not answer: starts or confirms its suspicion. */
void gossip_accuse (
    struct gossip *gossip, struct gossip_effects *effects, struct gossip_slot *slot, const struct id *accuser);

/* ---- gossip_suspicion.c */

void gossip_suspicion_start (struct gossip *gossip, struct gossip_suspicion *suspicion, const struct id *accuser);

/* Counts one more accuser. True when that was news, so that it is worth passing on. */
bool gossip_suspicion_confirm (struct gossip_suspicion *suspicion, const struct id *accuser);
uint64_t gossip_suspicion_timeout_ms (const struct gossip_suspicion *suspicion);
void gossip_suspicion_tick (struct gossip *gossip, struct gossip_effects *effects);

/* ---- gossip_awareness.c */

void gossip_awareness_apply (struct gossip *gossip, int delta);
uint64_t gossip_awareness_scale (const struct gossip *gossip, uint32_t interval_ms);

/* ---- gossip_broadcast.c: what is still to be passed on */

uint32_t gossip_broadcast_limit (const struct gossip *gossip);
void gossip_broadcast_queue (struct gossip *gossip, struct gossip_slot *slot);
bool gossip_broadcast_pending (const struct gossip *gossip);

/* Fills up to `max` records for `to` (NULL: unknown); a record about `to` itself that it should refute comes first. */
size_t gossip_broadcast_take (
    struct gossip *gossip, const struct gossip_slot *to, struct gossip_record *records, size_t max);
void gossip_record_of (const struct gossip_slot *slot, struct gossip_record *record);
void gossip_broadcast_tick (struct gossip *gossip, struct gossip_effects *effects);

/* ---- gossip_hints.c: leaders and the ring epoch */

size_t gossip_hints_take (struct gossip *gossip, bool all, struct leader_hint *hints, size_t max);
void gossip_hints_merge (struct gossip *gossip, struct gossip_effects *effects, const struct leader_hint *hint);
void gossip_epoch_merge (struct gossip *gossip, struct gossip_effects *effects, uint64_t epoch);

/* ---- gossip_probe.c */

void gossip_probe_tick (struct gossip *gossip, struct gossip_effects *effects);
void gossip_probe_link_down (struct gossip *gossip, struct gossip_effects *effects, const struct id *uuid);
void gossip_probe_revive (struct gossip *gossip, struct gossip_effects *effects, struct gossip_slot *slot);
void gossip_probe_receive (struct gossip *gossip, struct gossip_effects *effects, const struct gossip_message *message);
uint64_t gossip_probe_next_ms (const struct gossip *gossip);

/* ---- gossip_relay.c */

void gossip_relay_tick (struct gossip *gossip, struct gossip_effects *effects);
void gossip_relay_request (struct gossip *gossip, struct gossip_effects *effects, const struct gossip_message *message);
/* True when the ack was for a relayed ping. */
bool gossip_relay_ack (struct gossip *gossip, struct gossip_effects *effects, const struct gossip_message *message);
uint64_t gossip_relay_next_ms (const struct gossip *gossip);

/* ---- gossip_wall.c */

/* Wall clock minus monotonic clock, kept within +-2^48 whatever somebody claims. */
int64_t gossip_wall_offset (uint64_t wall_ms, uint64_t now_ms);

/* ---- gossip_pushpull.c */

void gossip_pushpull_join (
    struct gossip *gossip, struct gossip_effects *effects, const struct bytes *seeds, size_t seeds_count);
void gossip_pushpull_tick (struct gossip *gossip, struct gossip_effects *effects);

#endif
