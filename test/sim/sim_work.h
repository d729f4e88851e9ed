/* The load of services mode, and what its clients know to be true.
 *
 * Room: test/sim. Clients ask any node, follow hints now and then, and repeat what they do not know the outcome of.
 *   sim_work.c          requests, attempts, answers: a request id has one verdict
 *   sim_work_asks.c     what a client does next, and the bodies of its requests
 *   sim_work_list.c     lists over all shards
 *   sim_work_knows.c    what must be true of each thing, given what was acknowledged and what was only tried
 *   sim_work_final.c    in the end: everything acknowledged is there, on every replica
 *
 * Invariants
 *  1. A request id has one verdict: repeats are answered alike, another body under it is refused, a fenced one never happens (X1, X3).
 *  2. What was acknowledged is there for every read that is asked for later: never older, never gone, never doubled.
 *  3. What surely stands never exceeds a slot's capacity, an offer's stock or a customer's limit.
 *  4. In the end the counters equal a recount, and every acknowledged thing is as it was acknowledged.
 */
#ifndef MAITRED_TEST_SIM_SIM_WORK_H
#define MAITRED_TEST_SIM_SIM_WORK_H

#include "test/sim/sim_engine.h"

#define WORK_TOGETHER_MAX 5 /* calls in one message */
#define WORK_CAPACITY 3
#define WORK_BUCKETS 12
#define WORK_STOCK 40
#define WORK_CUSTOMERS 5
#define WORK_LIMIT 6 /* units of the room that one customer may have */

enum work_act {
    WORK_PROVIDER,
    WORK_OFFER,
    WORK_DISH,
    WORK_CREATE,
    WORK_CONFIRM,
    WORK_RELEASE,
    WORK_CANCEL,
    WORK_MOVE,
    WORK_GET,
    WORK_CHECK,
    WORK_LIST,
    WORK_PLACE,
    WORK_ACCEPT,
    WORK_DECLINE,
    WORK_CALL_OFF,
    WORK_ORDER_GET,
    WORK_KEY,
    WORK_REVOKE,
    WORK_OUTCOME,
    WORK_ACTS,
};

enum work_kind { WORK_BOOKING = 1, WORK_ORDER, WORK_API_KEY };

/* A reservation, an order or an API key as its client knows it. */
struct work_thing {
    enum work_kind kind;
    uint32_t shard;
    struct id id;
    struct principal who;
    uint64_t customer;       /* 0.. */
    uint64_t bucket, target; /* of the last move that was asked for */
    uint64_t quantity;
    uint64_t moves;        /* asked for */
    bool moving;           /* one of them is not decided, as far as the clients know */
    bool book;             /* asked for at once, not held first */
    bool created, refused; /* said so by a reply */
    uint64_t held_us;      /* when the hold was acknowledged, and how long it was asked to last */
    uint64_t ttl_ms;
    uint32_t tried, done; /* by enum work_act */
    bool sure;            /* it surely stands: counted in the founded shard's sums */
};

/* One request under one id; several attempts may carry it. */
struct work_request {
    enum work_act act;
    size_t thing; /* index + 1; 0: none */
    uint32_t shard;
    struct id id;
    struct principal who;
    uint8_t body[256];
    size_t body_len;
    bool settled; /* a verdict is known */
    bool fenced;  /* it was given up */
    bool too_old; /* its record is gone, said the shard */
    enum status verdict;
    uint64_t verdict_hash;
    uint64_t customer; /* WORK_LIST */
    size_t about;      /* WORK_OUTCOME: the request that it asks about, index + 1 */
};

struct work_attempt {
    size_t request;
    bool pending, changed; /* changed: with another body under the same id */
    uint32_t node, client;
    uint64_t
        must; /* reads: states that the thing may have, or had since it was asked, by what was acknowledged; 0: no matter */
    uint64_t moves;
    uint64_t sure, disturbed; /* WORK_CHECK: of the slot, when it was asked */
    uint64_t bucket;
};

struct work_slot {
    uint64_t sure;      /* units that surely stand */
    uint64_t disturbed; /* times that something there became unsure */
};

struct work_shard {
    bool provider, offer, dish;
    uint32_t hash;
    char group[16];
    struct id provider_id, offer_id, dish_id;
    size_t provider_request, offer_request, dish_request; /* index + 1 */
    struct work_slot slots[WORK_BUCKETS];
    uint64_t stock_sure;
    uint64_t customers_sure[WORK_CUSTOMERS];
    bool slow_clock; /* its log time is behind the clients' clocks: all clocks were wrong */
    uint32_t hint;   /* the node that led it by the last answer */
};

struct sim_work {
    uint64_t serial;
    struct work_shard shards[SIM_SHARDS_MAX];
    struct work_thing *things;
    size_t things_count, things_size;
    struct work_request *requests;
    size_t requests_count, requests_size;
    struct work_attempt *attempts; /* a token is the place + 1 */
    size_t attempts_count, attempts_size;
    struct work_list *lists; /* by customer */
};

struct sim_work *work_of (struct sim *sim);
const struct method *work_method (enum work_act act);
struct principal work_admin (void);
size_t work_request_new (
    struct sim *sim, enum work_act act, uint32_t shard, size_t thing, const struct principal *who, const void *value);

/* sim_work_asks.c: the place + 1 of the request that a client of this shard sends next. */
size_t work_choose (struct sim *sim, uint32_t shard);
struct id work_new_id (struct sim *sim, uint32_t shard);
/* Whether the request is carried with another body this time; then writes it. */
bool work_change_body (struct sim *sim, const struct work_request *request, uint8_t *body, size_t size, size_t *len);

/* sim_work_knows.c */
uint64_t work_possible (const struct work_thing *thing);
/* Call before and after anything is learnt or tried of the thing. */
void work_unsure (struct sim *sim, struct work_thing *thing);
void work_learnt (struct sim *sim, struct work_thing *thing);
uint64_t work_state_in (struct sim *sim, const struct work_thing *thing, struct bytes body, uint64_t *bucket);
void work_note_read (struct sim *sim, struct work_attempt *attempt);
void work_check_read (struct sim *sim, const struct work_attempt *attempt, const struct route_answer *answer);

/* sim_work_list.c: the request for the next page of some customer's list; 0: the last one is still under way. */
size_t work_list_ask (struct sim *sim);
/* The attempt carries such a request, from now on. */
void work_list_noted (struct sim *sim, uint64_t token);
void work_list_answered (
    struct sim *sim, uint64_t token, const struct work_request *request, const struct route_answer *answer);
/* Something was tried or learnt of the thing (its place + 1): the page under way may show it. */
void work_list_widen (struct sim_work *work, size_t thing);
void work_lists_close (struct sim_work *work);

static inline uint64_t work_bit (uint64_t state)
{
    return UINT64_C (1) << state;
}

#endif
