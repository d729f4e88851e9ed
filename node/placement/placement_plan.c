#include "node/placement/placement_plan.h"

#include <string.h>

#include "schemas/runtime/assert.h"

static bool same_members (const struct raft_configuration *a, const struct raft_configuration *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct raft_member *x = &a->members[i], *y = &b->members[i];
        if (x->replica != y->replica || x->node != y->node || x->rank != y->rank || x->roles != y->roles)
            return false;
    }
    return true;
}

/* The voters as they are, and whoever is missing as a learner. Learners that nobody wants any more leave. False: full. */
static bool with_learners (
    const struct raft_configuration *present, const struct raft_configuration *target, struct raft_configuration *next)
{
    *next = (struct raft_configuration){0};
    for (uint32_t i = 0; i < present->count; i++) {
        if ((present->members[i].roles & RAFT_VOTER) != 0 && !raft_configuration_set (next, present->members[i]))
            return false;
    }
    for (uint32_t i = 0; i < target->count; i++) {
        maitre_assert (target->members[i].replica != 0);
        struct raft_member member = target->members[i];
        if (raft_configuration_find (next, member.replica) != NULL)
            continue;
        member.roles = RAFT_LEARNER;
        if (!raft_configuration_set (next, member))
            return false;
    }
    return true;
}

/* Learners of the target that are not filled yet. */
static bool all_caught_up (const struct raft_configuration *present, const struct raft_configuration *target,
    const struct placement_peer *peers)
{
    maitre_assert (present->count <= RAFT_MEMBERS_MAX);
    for (uint32_t i = 0; i < present->count; i++) {
        const struct raft_member *member = &present->members[i];
        bool wanted = raft_configuration_find (target, member->replica) != NULL;
        if (wanted && (member->roles & RAFT_LEARNER) != 0 && !(peers[i].up && peers[i].caught_up))
            return false;
    }
    return true;
}

/* Invariant 2. Every member of the target is among the present ones by now. */
static bool enough_up (const struct raft_configuration *present, const struct raft_configuration *target,
    const struct placement_peer *peers)
{
    uint32_t voters = 0, voters_up = 0, target_up = 0;
    for (uint32_t i = 0; i < present->count; i++) {
        const struct raft_member *member = &present->members[i];
        bool votes = (member->roles & RAFT_VOTER) != 0;
        voters += votes;
        voters_up += votes && peers[i].up;
        target_up += peers[i].up && peers[i].caught_up && raft_configuration_find (target, member->replica) != NULL;
    }
    maitre_assert (voters >= 1);
    maitre_assert (voters_up <= voters);
    maitre_assert (target_up <= target->count);
    uint32_t least = target->count < 2 ? 1 : 2;
    return voters_up > voters / 2 && target_up > target->count / 2 && target_up >= least;
}

enum placement_step placement_plan (const struct raft_configuration *present, const struct raft_configuration *target,
    const struct placement_peer peers[RAFT_MEMBERS_MAX], struct raft_configuration *next)
{
    maitre_assert (!raft_configuration_joint (present));
    maitre_assert (target->count > 0);
    for (uint32_t i = 0; i < target->count; i++)
        maitre_assert (target->members[i].roles == RAFT_VOTER);
    if (same_members (present, target))
        return PLACEMENT_STEP_DONE;
    struct raft_configuration learning;
    if (!with_learners (present, target, &learning))
        return PLACEMENT_STEP_HOLD;
    if (!same_members (present, &learning)) {
        maitre_assert (raft_configuration_valid (&learning));
        maitre_assert (!raft_configuration_joint (&learning));
        maitre_assert (learning.count >= present->count || learning.count >= target->count);
        *next = learning;
        return PLACEMENT_STEP_LEARN;
    }
    if (!all_caught_up (present, target, peers))
        return PLACEMENT_STEP_FILL;
    if (!enough_up (present, target, peers))
        return PLACEMENT_STEP_HOLD;
    maitre_assert (raft_configuration_valid (target));
    *next = *target;
    return PLACEMENT_STEP_JOIN;
}
