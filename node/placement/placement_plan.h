/* The next step from the members that a shard has to those that it should have.
 *
 * Room: node/placement, pure. Asked by the shard's leader again and again; it keeps nothing, so whoever leads goes on.
 * Ownership: everything is the caller's. Thread safety: no shared state.
 * Source: Ongaro's thesis 4.2.1 (catching up), 4.3 (joint consensus); faults.md R7 to R9.
 *
 * Invariants
 *   1. A new replica comes in as a learner and is made a voter only once it holds nearly the whole log (R9).
 *   2. The joint configuration is entered only while most voters of both halves are up, and at least two of the new ones
 *      (where there are two): a replacement never leaves fewer live voters than it found.
 */
#ifndef MAITRED_NODE_PLACEMENT_PLACEMENT_PLAN_H
#define MAITRED_NODE_PLACEMENT_PLACEMENT_PLAN_H

#include "node/raft/raft.h"

/* What the leader knows of one member. */
struct placement_peer {
    bool up;        /* answers of late, and may be counted on: itself always */
    bool caught_up; /* holds nearly everything */
};

enum placement_step {
    PLACEMENT_STEP_DONE,  /* the members are those wanted */
    PLACEMENT_STEP_LEARN, /* *next: with the new ones as learners */
    PLACEMENT_STEP_FILL,  /* wait until the learners have caught up */
    PLACEMENT_STEP_JOIN,  /* *next: the members wanted; Raft goes there by way of the joint configuration */
    PLACEMENT_STEP_HOLD,  /* wait: too few are up */
};

/* present: committed and not joint, peers[i] about present->members[i]. target: voters alone, at least one. *next is
 * written for LEARN and JOIN. */
enum placement_step placement_plan (const struct raft_configuration *present, const struct raft_configuration *target,
    const struct placement_peer peers[RAFT_MEMBERS_MAX], struct raft_configuration *next);

#endif
