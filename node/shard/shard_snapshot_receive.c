/* A replica that fell behind the log is filled from chunks; its present state stays live until the last one is durable. */
#include "node/shard/shard_internal.h"
#include "schemas/runtime/checksum.h"
#include "schemas/runtime/assert.h"

#define SNAPSHOT_IDLE_MS 30000

_Static_assert(SNAPSHOT_ABANDON_MS < SNAPSHOT_IDLE_MS, "the sender gives up first");

static void ack_emit (
    struct shard *self, const struct snapshot_chunk *chunk, uint64_t sequence, bool ok, bool installed)
{
    maitre_assert (ok || !installed);
    maitre_assert (chunk->to == self->replica);
    output_reserve (&self->acks, &self->acks_size, self->acks_count + 1, sizeof *self->acks);
    maitre_assert (self->acks_count < self->acks_size);
    self->acks[self->acks_count++] = (struct snapshot_ack){.shard = self->shard,
        .from = self->replica,
        .to = chunk->from,
        .term = self->status.term,
        .snapshot = chunk->snapshot,
        .sequence = sequence,
        .ok = ok,
        .installed = installed};
}

static void receive_abort (struct shard *self)
{
    if (self->in.active)
        self->snapshot_ops->abort (self->snapshot_context, self->shard);
    self->in = (struct snapshot_in){0};
    maitre_assert (!self->in.active);
    maitre_assert (self->in.next == 0);
}

/* The configuration travels in the first chunk; an invalid one is refused, it came from outside. */
static bool members_take (const struct snapshot_chunk *chunk, struct raft_configuration *members)
{
    *members = (struct raft_configuration){0};
    if (!chunk->has_members)
        return false;
    for (size_t i = 0; i < chunk->members_count; i++) {
        const struct snapshot_member *from = &chunk->members[i];
        if (from->replica == 0 || from->role == 0 || raft_configuration_find (members, from->replica) != NULL)
            return false;
        maitre_assert (members->count == i);
        struct raft_member member = {.replica = from->replica,
            .node = (uint32_t) from->node,
            .rank = (uint8_t) from->rank,
            .roles = (uint8_t) from->role};
        if (!raft_configuration_set (members, member))
            return false;
    }
    return members->count > 0 && raft_configuration_valid (members);
}

static bool receive_begin (struct shard *self, const struct snapshot_chunk *chunk)
{
    struct raft_configuration members;
    if (!members_take (chunk, &members))
        return false;
    receive_abort (self);
    if (!self->snapshot_ops->begin (
            self->snapshot_context, self->shard, self->replica, chunk->index, chunk->index_term)) {
        shard_fail (self, "no room could be made for a snapshot");
        return false;
    }
    self->in = (struct snapshot_in){.active = true,
        .from = chunk->from,
        .id = chunk->snapshot,
        .index = chunk->index,
        .index_term = chunk->index_term,
        .members = members};
    maitre_assert (self->in.next == 0);
    maitre_assert (raft_configuration_valid (&self->in.members));
    return true;
}

static void receive_finish (struct shard *self, const struct snapshot_chunk *chunk)
{
    maitre_assert (self->in.active);
    maitre_assert (self->in.next > 0);
    maitre_assert (self->status.role != RAFT_LEADER);
    struct snapshot_in in = self->in;
    self->in.active = false;
    if (!self->snapshot_ops->finish (self->snapshot_context, self->shard, in.index, in.index_term, &in.members)) {
        shard_fail (self, "a received snapshot could not be made durable");
        return;
    }
    self->committed = self->applied = self->applied_told = in.index;
    struct raft_event event = {
        .type = RAFT_RESTORE, .index = in.index, .term = in.index_term, .configuration = &in.members};
    enum status status = shard_raft_step (self, &event);
    maitre_assert (status == STATUS_OK);
    maitre_assert (self->status.commit >= in.index);
    maitre_assert (self->status.applied >= in.index);
    /* Nobody knows how long ago its last entry was stamped: it says nothing about the present. */
    log_time_applied (&self->log_time, services_log_time (&self->state), self->now_ms, false);
    ack_emit (self, chunk, chunk->sequence + 1, true, true);
}

void shard_snapshot_receive (struct shard *self, const struct snapshot_chunk *chunk)
{
    /* A leader sends one only after it heard us in its term; so an older term is an old leader's, to whom Raft tells it,
     * and a later one cannot be. */
    if (chunk->to != self->replica || chunk->term != self->status.term || self->status.role == RAFT_LEADER)
        return;
    if (chunk->index_term == 0 || chunk->index_term > chunk->term || chunk->index > RAFT_INDEX_MAX)
        return;
    shard_apply_all (self);
    if (self->fatal)
        return;
    /* The log brought it here meanwhile, or the last acknowledgement was lost. */
    if (chunk->index <= self->applied && !PLANTED (R13_INSTALL_GOES_BACK)) {
        if (self->in.index <= self->applied)
            receive_abort (self);
        ack_emit (self, chunk, chunk->sequence + 1, true, true);
        return;
    }
    if (checksum64 (chunk->sequence, chunk->data) != chunk->checksum)
        return; /* damaged under way: it will come again */
    if (self->in.active && self->in.from == chunk->from && chunk->snapshot < self->in.id)
        return; /* of a transfer that its sender has given up since */
    bool same = self->in.active && self->in.from == chunk->from && self->in.id == chunk->snapshot;
    if (!same) {
        if (chunk->sequence != 0 || !receive_begin (self, chunk)) {
            if (!self->fatal)
                ack_emit (self, chunk, 0, false, false);
            return;
        }
    }
    struct snapshot_in *in = &self->in;
    if (chunk->index != in->index || chunk->index_term != in->index_term) {
        receive_abort (self);
        ack_emit (self, chunk, 0, false, false);
        return;
    }
    /* A repeat, or one after a gap: say what is wanted. */
    if (chunk->sequence != in->next && !(PLANTED (R13_CHUNK_TWICE) && chunk->sequence < in->next)) {
        ack_emit (self, chunk, in->next, true, false);
        return;
    }
    maitre_assert (in->active);
    maitre_assert (in->from == chunk->from);
    enum status status = self->snapshot_ops->chunk (self->snapshot_context, self->shard, chunk->data);
    /* Damaged where it came from, or no room for it here: no reason to end this process. */
    if (status == STATUS_INVALID_ARGUMENT || status == STATUS_RESOURCE_EXHAUSTED) {
        receive_abort (self);
        ack_emit (self, chunk, 0, false, false);
        return;
    }
    if (status != STATUS_OK) {
        shard_fail (self, "a snapshot's chunk could not be stored");
        return;
    }
    in->next++;
    maitre_assert (in->next >= 1);
    in->progress_ms = self->now_ms;
    if (chunk->last)
        receive_finish (self, chunk);
    else
        ack_emit (self, chunk, in->next, true, false);
}

void shard_snapshot_receive_expire (struct shard *self)
{
    if (self->in.active && self->in.progress_ms != 0 && self->now_ms >= self->in.progress_ms + SNAPSHOT_IDLE_MS)
        receive_abort (self);
}
