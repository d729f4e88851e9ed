/* A leader brings its shard to the members that placement wants, one safe step after the other. What was done stands in
 * the log; what is left follows from it, so that the next leader goes on where this one stopped (R16). */
#include "node/placement/placement_plan.h"
#include "node/shard/shard_internal.h"

void shard_members_want (struct shard *self, const struct raft_configuration *members)
{
    self->target = members != NULL ? *members : (struct raft_configuration){0};
    self->placing = members != NULL ? PLACEMENT_PHASE_WAITING : PLACEMENT_PHASE_NONE;
    self->members_next_ms = self->now_ms;
    maitre_assert (self->target.count <= RAFT_MEMBERS_MAX);
    maitre_assert ((self->target.count == 0) == (members == NULL));
}

static struct placement_peer look_at (const struct shard *self, const struct raft_member *member)
{
    struct raft_peer_status peer;
    bool known = raft_peer_status (self->raft, member->replica, &peer);
    maitre_assert (known);
    if (member->replica == self->replica)
        return (struct placement_peer){.up = !self->status.suspect, .caught_up = true};
    maitre_assert (member->replica != 0);
    bool heard = peer.session != 0 && self->now_ms < peer.heard_ms + MEMBERS_SILENCE_MS;
    return (struct placement_peer){
        .up = heard && !peer.link_down && !peer.suspect,
        .caught_up = peer.match > 0 && !peer.snapshotting && peer.match + MEMBERS_LAG_MAX >= self->status.last_index,
    };
}

static bool configure (struct shard *self, const struct raft_configuration *members)
{
    maitre_assert (raft_configuration_valid (members));
    maitre_assert (!raft_configuration_joint (members));
    struct raft_event event = {.type = RAFT_CONFIGURE, .configuration = members};
    return shard_raft_step (self, &event) == STATUS_OK; /* refused: tried again from what is there then */
}

static enum placement_phase take_step (struct shard *self, const struct raft_configuration *present)
{
    maitre_assert (self->status.role == RAFT_LEADER);
    maitre_assert (!raft_configuration_joint (present));
    struct placement_peer peers[RAFT_MEMBERS_MAX];
    struct raft_configuration next;
    for (uint32_t i = 0; i < present->count; i++)
        peers[i] = look_at (self, &present->members[i]);
    switch (placement_plan (present, &self->target, peers, &next)) {
    case PLACEMENT_STEP_DONE:
        return PLACEMENT_PHASE_DONE;
    case PLACEMENT_STEP_LEARN:
        return configure (self, &next) ? PLACEMENT_PHASE_FILLING : PLACEMENT_PHASE_WAITING;
    case PLACEMENT_STEP_FILL:
        return PLACEMENT_PHASE_FILLING;
    case PLACEMENT_STEP_HOLD:
        return self->placing;
    case PLACEMENT_STEP_JOIN:
        return configure (self, &next) ? PLACEMENT_PHASE_JOINING : PLACEMENT_PHASE_FILLING;
    }
    return self->placing;
}

void shard_members_step (struct shard *self)
{
    if (self->target.count == 0)
        return;
    if (self->status.role != RAFT_LEADER || !shard_ready (self)) {
        self->placing = PLACEMENT_PHASE_WAITING;
        return;
    }
    if (self->now_ms < self->members_next_ms)
        return;
    self->members_next_ms = self->now_ms + MEMBERS_STEP_MS;
    const struct raft_configuration *present = raft_configuration (self->raft);
    if (raft_configuration_joint (present)) {
        self->placing = PLACEMENT_PHASE_JOINING; /* Raft leaves it by itself */
        return;
    }
    if (self->status.configuration_index > self->status.commit) /* one change at a time (R7) */
        return;
    maitre_assert (self->target.count <= RAFT_MEMBERS_MAX);
    self->placing = take_step (self, present);
}
