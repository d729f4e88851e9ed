/* What a call is answered, and its way back over the one hop that it may take: how it is told to the node that sent the call
 * on, and what that node learns from it.
 *
 * Room: router/route, pure. Ownership: texts and body are borrowed. Thread safety: none.
 * Source: schemas/peer.cddl (forward-reply); route.h.
 *
 * Invariants
 *   1. What route_answer_told makes of an answer and route_answer_heard reads of that is the same answer, but for texts beyond
 *      the bounds of route_answer_texts.
 */
#ifndef MAITRED_ROUTER_ROUTE_ROUTE_ANSWER_H
#define MAITRED_ROUTER_ROUTE_ROUTE_ANSWER_H

#include "router/route/route.h"
#include "schemas/generated/peer.h"
#include "schemas/runtime/bytes.h"

struct route_answer {
    enum status status;
    const char *reason, *message; /* NULL: none */
    uint32_t retry_after_ms;
    bool replayed, maybe_applied;
    uint32_t leader_node; /* 0: none known */
    struct bytes body;
};

/* Room for the texts of an answer that was heard. */
struct route_answer_texts {
    char reason[48], message[512];
};

/* The answer to `call` of the node that forwarded it. */
void route_answer_told (const struct route_answer *answer, uint64_t call, struct forward_reply *reply);

/* The answer that a decoded reply holds; it borrows from both. */
void route_answer_heard (
    const struct forward_reply *reply, struct route_answer_texts *texts, struct route_answer *answer);

/* What `node` answered about `shard`: whose answer was OK leads (noted in the answer, for the client's next call), who denies
 * it and names no better one does not. */
void route_answer_learn (struct route_map *map, uint32_t shard, uint32_t node, struct route_answer *answer);

#endif
