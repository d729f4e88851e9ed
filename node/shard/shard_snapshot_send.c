/* A leader feeds a replica that the log no longer reaches: chunks behind a small window, resent until acknowledged. */
#include <stdlib.h>

#include "node/shard/shard_internal.h"
#include "schemas/runtime/checksum.h"
#include "schemas/runtime/assert.h"

static struct snapshot_out *out_find (struct shard *self, uint64_t replica)
{
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        if (self->out[i].replica == replica)
            return &self->out[i];
    }
    return NULL;
}

static void out_close (struct shard *self, struct snapshot_out *out)
{
    maitre_assert (out->replica == 0 || self->sending > 0);
    self->sending -= out->replica != 0;
    if (out->source != NULL)
        self->snapshot_ops->close (self->snapshot_context, out->source);
    for (size_t i = 0; i < SNAPSHOT_WINDOW_CHUNKS; i++)
        free (out->window[i].data);
    *out = (struct snapshot_out){0};
}

/* A free slot: there are as many as members, and those of replicas that left are given up. */
static struct snapshot_out *out_free (struct shard *self)
{
    struct snapshot_out *out = out_find (self, 0);
    const struct raft_configuration *members = raft_configuration (self->raft);
    for (size_t i = 0; i < RAFT_MEMBERS_MAX && out == NULL; i++) {
        if (raft_configuration_find (members, self->out[i].replica) == NULL)
            out = &self->out[i];
    }
    maitre_assert (out != NULL);
    out_close (self, out);
    maitre_assert (out->replica == 0);
    return out;
}

static void out_end (struct shard *self, struct snapshot_out *out, bool ok)
{
    maitre_assert (out->replica != 0);
    struct raft_event event = {.type = RAFT_SNAPSHOT_SENT, .replica = out->replica, .index = out->index, .ok = ok};
    out_close (self, out);
    if (shard_raft_step (self, &event) != STATUS_OK)
        return; /* not the leader any more: nobody waits for it */
}

static void chunk_emit (struct shard *self, const struct snapshot_out *out, uint64_t sequence)
{
    maitre_assert (sequence >= out->acked);
    maitre_assert (sequence < out->next);
    const struct snapshot_out_chunk *from = &out->window[sequence % SNAPSHOT_WINDOW_CHUNKS];
    maitre_assert (from->len <= SHARD_CHUNK_BYTES);
    output_reserve (&self->chunks, &self->chunks_size, self->chunks_count + 1, sizeof *self->chunks);
    maitre_assert (self->chunks_count < self->chunks_size);
    struct snapshot_chunk *chunk = &self->chunks[self->chunks_count++];
    *chunk = (struct snapshot_chunk){.shard = self->shard,
        .from = self->replica,
        .to = out->replica,
        .term = self->status.term,
        .snapshot = out->id,
        .sequence = sequence,
        .index = out->index,
        .index_term = out->index_term,
        .last = from->last,
        .data = output_copy (&self->output, bytes_of (from->data, from->len))};
    chunk->checksum = checksum64 (sequence, chunk->data);
    if (sequence != 0)
        return;
    maitre_assert (out->members.count >= 1);
    chunk->has_members = true;
    chunk->members_count = out->members.count;
    chunk->members = output_alloc (&self->output, sizeof *chunk->members * out->members.count);
    for (uint32_t i = 0; i < out->members.count; i++) {
        const struct raft_member *member = &out->members.members[i];
        chunk->members[i] = (struct snapshot_member){
            .replica = member->replica, .node = member->node, .role = member->roles, .rank = member->rank};
    }
}

static bool chunk_read (struct shard *self, struct snapshot_out *out)
{
    maitre_assert (!out->read_last);
    maitre_assert (out->next - out->acked < SNAPSHOT_WINDOW_CHUNKS);
    struct snapshot_out_chunk *chunk = &out->window[out->next % SNAPSHOT_WINDOW_CHUNKS];
    if (chunk->data == NULL) {
        chunk->data = malloc (SHARD_CHUNK_BYTES);
        maitre_assert (chunk->data != NULL);
    }
    if (!self->snapshot_ops->next (
            self->snapshot_context, out->source, chunk->data, SHARD_CHUNK_BYTES, &chunk->len, &chunk->last))
        return false;
    maitre_assert (chunk->len <= SHARD_CHUNK_BYTES);
    out->read_last = chunk->last;
    return true;
}

/* Reads and sends as far as the window is open. The first chunk goes alone: whoever refuses a later one has lost the
 * transfer, and did not just hear of it in the wrong order. */
static void out_fill (struct shard *self, struct snapshot_out *out)
{
    maitre_assert (out->acked <= out->next);
    uint64_t window = out->acked == 0 ? 1 : SNAPSHOT_WINDOW_CHUNKS;
    while (!out->read_last && out->next < out->acked + window) {
        if (!chunk_read (self, out)) {
            out->broken = true;
            return;
        }
        chunk_emit (self, out, out->next++);
        out->sent_ms = self->now_ms;
    }
}

void shard_snapshot_begin (struct shard *self, uint64_t replica, uint32_t node)
{
    maitre_assert (replica != 0);
    maitre_assert (replica != self->replica);
    struct snapshot_out *out = out_find (self, replica);
    if (out == NULL)
        out = out_free (self);
    else
        out_close (self, out);
    uint64_t index = 0, term = 0;
    void *source = NULL;
    bool opened = self->snapshot_ops->open (self->snapshot_context, self->shard, &index, &term, &source);
    self->sending++;
    maitre_assert (self->sending <= RAFT_MEMBERS_MAX);
    *out = (struct snapshot_out){.replica = replica,
        .node = node,
        .id = ++self->snapshot_counter,
        .source = source,
        .broken = !opened,
        .index = index,
        .index_term = term,
        .progress_ms = self->now_ms};
    if (!opened)
        return;
    bool known = raft_configuration_at (self->raft, index, &out->members);
    if (PLANTED (R7_SNAPSHOT_UNCOMMITTED))
        out->members = *raft_configuration (self->raft);
    maitre_assert (known); /* the log is never cut beyond what was written back */
    maitre_assert (index <= self->applied);
    /* Written back by a version that did so before the members were known: whoever got it would refuse it. */
    out->broken = out->members.count == 0;
    if (!out->broken)
        out_fill (self, out);
}

static void out_pump (struct shard *self, struct snapshot_out *out)
{
    maitre_assert (out->replica != 0);
    maitre_assert (self->status.role == RAFT_LEADER);
    if (out->broken || self->now_ms >= out->progress_ms + SNAPSHOT_ABANDON_MS) {
        out_end (self, out, false);
        return;
    }
    bool gap = out->repeats == 2; /* later chunks arrive, this one does not */
    if (out->acked < out->next && (gap || self->now_ms >= out->sent_ms + SNAPSHOT_RESEND_MS)) {
        out->repeats += gap;
        for (uint64_t sequence = out->acked; sequence < out->next; sequence++)
            chunk_emit (self, out, sequence);
        out->sent_ms = self->now_ms;
    }
    out_fill (self, out);
}

/* A time of its own, and not the next heartbeat's: a last chunk is taken only by a replica that has nothing else to do in that
 * turn (engine_peers.c), and one that comes with a heartbeat each time would never be. */
uint64_t shard_snapshot_resend_ms (const struct shard *self)
{
    uint64_t due_ms = UINT64_MAX;
    for (size_t i = 0; self->sending > 0 && i < RAFT_MEMBERS_MAX; i++) {
        const struct snapshot_out *out = &self->out[i];
        if (out->replica != 0 && out->acked < out->next && out->sent_ms + SNAPSHOT_RESEND_MS < due_ms)
            due_ms = out->sent_ms + SNAPSHOT_RESEND_MS;
    }
    maitre_assert (self->sending > 0 || due_ms == UINT64_MAX);
    return due_ms;
}

void shard_snapshot_pump (struct shard *self)
{
    for (size_t i = 0; self->sending > 0 && i < RAFT_MEMBERS_MAX && !self->fatal; i++) {
        struct snapshot_out *out = &self->out[i];
        if (out->replica == 0)
            continue;
        if (self->status.role != RAFT_LEADER)
            out_close (self, out);
        else
            out_pump (self, out);
    }
}

void shard_snapshot_acked (struct shard *self, const struct snapshot_ack *ack)
{
    struct snapshot_out *out = ack->from == 0 ? NULL : out_find (self, ack->from);
    if (out == NULL || out->id != ack->snapshot || ack->to != self->replica || self->status.role != RAFT_LEADER)
        return; /* of a transfer that ended */
    if (!ack->ok) {
        out_end (self, out, false);
        return;
    }
    if (ack->installed) {
        out_end (self, out, true);
        return;
    }
    maitre_assert (out->acked <= out->next);
    if (ack->sequence > out->acked && ack->sequence <= out->next) {
        out->acked = ack->sequence;
        out->repeats = 0;
        out->progress_ms = self->now_ms;
    } else if (ack->sequence == out->acked && out->repeats < 2) {
        out->repeats++;
    }
}

bool shard_snapshot_sending (const struct shard *self)
{
    return self->sending > 0;
}

uint64_t shard_snapshot_floor (const struct shard *self)
{
    uint64_t floor = UINT64_MAX;
    for (size_t i = 0; self->sending > 0 && i < RAFT_MEMBERS_MAX; i++) {
        if (self->out[i].replica != 0 && self->out[i].index < floor)
            floor = self->out[i].index;
    }
    return floor;
}

void shard_snapshot_send_close (struct shard *self)
{
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++)
        out_close (self, &self->out[i]);
}

void shard_snapshots_drop (struct shard *self)
{
    shard_snapshot_send_close (self);
    maitre_assert (self->sending == 0);
}
