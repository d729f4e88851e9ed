/* From a call to its reply: which calls wait, for what, and who is told when the leadership is gone. */
#include <stdlib.h>

#include "node/shard/shard_internal.h"

/* ---- replies ---- */

static struct shard_reply *reply_add (struct shard *self, uint64_t token)
{
    output_reserve (&self->replies, &self->replies_size, self->replies_count + 1, sizeof *self->replies);
    maitre_assert (self->replies_count < self->replies_size);
    struct shard_reply *reply = &self->replies[self->replies_count++];
    *reply = (struct shard_reply){.token = token, .leader_node = self->status.leader_node};
    return reply;
}

/* The reply borrows from the scratch arena, which the next call overwrites: keep what it points to. */
static void reply_copy (struct shard *self, uint64_t token, const struct services_reply *from)
{
    struct shard_reply *reply = reply_add (self, token);
    reply->reply = *from;
    reply->reply.reason = output_text (&self->output, from->reason);
    reply->reply.message = output_text (&self->output, from->message);
    reply->reply.body = output_copy (&self->output, from->body);
}

static void reply_refuse (
    struct shard *self, uint64_t token, enum status status, const char *reason, const char *message, bool maybe_applied)
{
    maitre_assert (status != STATUS_OK);
    maitre_assert (reason[0] != '\0');
    maitre_assert (message[0] != '\0');
    struct shard_reply *reply = reply_add (self, token);
    reply->reply = (struct services_reply){.status = status, .reason = reason, .message = message};
    reply->maybe_applied = maybe_applied;
}

static void refuse_not_leader (struct shard *self, uint64_t token)
{
    reply_refuse (self, token, STATUS_UNAVAILABLE, "NOT_LEADER",
        "this node does not lead the shard; send the same request id to the node that the reply names, or again here",
        false);
}

static void refuse_too_large (struct shard *self, uint64_t token)
{
    reply_refuse (self, token, STATUS_INVALID_ARGUMENT, "TOO_LARGE",
        "the request is larger than a log entry may be; send a smaller one", false);
}

static void refuse_full (struct shard *self, uint64_t token)
{
    reply_refuse (self, token, STATUS_RESOURCE_EXHAUSTED, "SHARD_BUSY",
        "too many calls are in flight in this shard; slow down and send the same request id again", false);
    maitre_assert (self->replies_count > 0);
    self->replies[self->replies_count - 1].reply.retry_after_ms = 50;
}

/* ---- waiting calls ---- */

uint32_t shard_calls_count (const struct shard *self)
{
    return self->waiting_used + (uint32_t) self->proposed_count;
}

static uint8_t *copy_into (uint8_t *memory, struct bytes *field)
{
    if (field->len != 0)
        memcpy (memory, field->data, field->len);
    field->data = memory;
    return memory + field->len;
}

static size_t call_bytes (const struct shard_call *call)
{
    return call->body.len + call->prepared.len + call->logged_body.len;
}

static struct waiting_call *waiting_add (struct shard *self, const struct shard_call *call, enum waiting_kind kind)
{
    maitre_assert (kind != WAITING_FREE);
    if (self->waiting_free == 0) {
        size_t old = self->waiting_size;
        output_reserve (&self->waiting, &self->waiting_size, old + 1, sizeof *self->waiting);
        for (size_t i = self->waiting_size; i > old; i--) {
            self->waiting[i - 1] = (struct waiting_call){.next = self->waiting_free};
            self->waiting_free = (uint32_t) i;
        }
    }
    struct waiting_call *waiting = &self->waiting[self->waiting_free - 1];
    maitre_assert (waiting->kind == WAITING_FREE);
    maitre_assert (self->waiting_used < self->waiting_size);
    self->waiting_free = waiting->next;
    self->waiting_used++;
    size_t size = call_bytes (call);
    if (size > waiting->memory_size) {
        waiting->memory = realloc (waiting->memory, size);
        maitre_assert (waiting->memory != NULL);
        waiting->memory_size = size;
    }
    self->waiting_bytes += size;
    maitre_assert (self->waiting_bytes <= SHARD_WAITING_BYTES_MAX);
    if (call->deadline_ms != 0 && call->deadline_ms < self->waiting_deadline_ms)
        self->waiting_deadline_ms = call->deadline_ms;
    waiting->kind = kind;
    waiting->next = 0;
    waiting->call = *call;
    uint8_t *memory = copy_into (waiting->memory, &waiting->call.body);
    memory = copy_into (memory, &waiting->call.prepared);
    memory = copy_into (memory, &waiting->call.logged_body);
    maitre_assert ((size_t) (memory - waiting->memory) == size);
    return waiting;
}

static uint32_t waiting_number (const struct shard *self, const struct waiting_call *waiting)
{
    maitre_assert (waiting >= self->waiting);
    maitre_assert (waiting < self->waiting + self->waiting_size);
    return (uint32_t) (waiting - self->waiting) + 1;
}

static void waiting_remove (struct shard *self, struct waiting_call *waiting)
{
    maitre_assert (waiting->kind != WAITING_FREE);
    maitre_assert (self->waiting_used > 0);
    maitre_assert (waiting->kind != WAITING_STATE || self->state_waiting > 0);
    maitre_assert (self->waiting_bytes >= call_bytes (&waiting->call));
    self->state_waiting -= waiting->kind == WAITING_STATE;
    self->waiting_bytes -= call_bytes (&waiting->call);
    if (waiting->memory_size > WAITING_MEMORY_KEPT) {
        free (waiting->memory);
        waiting->memory = NULL;
        waiting->memory_size = 0;
    }
    waiting->kind = WAITING_FREE;
    waiting->generation++;
    waiting->next = self->waiting_free;
    self->waiting_free = waiting_number (self, waiting);
    self->waiting_used--;
}

/* ---- writes ---- */

static bool is_read (const struct method *method)
{
    return method->class == METHOD_READ || method->class == METHOD_SYSTEM_READ || method->class == METHOD_FANOUT;
}

bool shard_ready (const struct shard *self)
{
    return self->status.role == RAFT_LEADER && !self->status.transferring && self->applied >= self->ready_index &&
           log_time_ready (&self->log_time, self->wall_median_ms);
}

static void proposed_push (struct shard *self, uint64_t index, uint64_t term, uint64_t token)
{
    maitre_assert (index > self->applied);
    maitre_assert (term == self->status.term);
    if (self->proposed_count == self->proposed_size) {
        size_t size = self->proposed_size == 0 ? 16 : self->proposed_size * 2;
        struct proposed_call *ring = malloc (size * sizeof *ring);
        maitre_assert (ring != NULL);
        for (size_t i = 0; i < self->proposed_count; i++)
            ring[i] = self->proposed[(self->proposed_first + i) % self->proposed_size];
        free (self->proposed);
        self->proposed = ring;
        self->proposed_size = size;
        self->proposed_first = 0;
    }
    maitre_assert (self->proposed_count < self->proposed_size);
    size_t at = (self->proposed_first + self->proposed_count++) % self->proposed_size;
    self->proposed[at] = (struct proposed_call){.index = index, .term = term, .token = token};
}

static void propose (struct shard *self, const struct shard_call *call, struct bytes logged_body)
{
    maitre_assert (shard_ready (self));
    size_t size = logged_body.len + call->prepared.len + 256;
    uint8_t *payload = output_alloc (&self->output, size);
    size_t len = 0;
    uint64_t time_ms = log_time_stamp (&self->log_time, self->now_ms, self->wall_median_ms);
    enum status status = services_encode_command (
        call->method, &call->principal, &call->request_id, time_ms, logged_body, call->prepared, payload, size, &len);
    if (status != STATUS_OK) {
        refuse_too_large (self, call->token);
        return;
    }
    maitre_assert (len > 0);
    maitre_assert (len <= size);
    struct bytes bytes = bytes_of (payload, len);
    struct raft_event event = {.type = RAFT_PROPOSE, .payloads = &bytes, .payloads_count = 1};
    status = shard_raft_step (self, &event);
    if (status == STATUS_OK)
        proposed_push (self, self->raft_effects.proposed_index, self->raft_effects.proposed_term, call->token);
    else if (status == STATUS_RESOURCE_EXHAUSTED)
        refuse_full (self, call->token);
    else if (status == STATUS_INVALID_ARGUMENT)
        refuse_too_large (self, call->token);
    else
        refuse_not_leader (self, call->token);
}

static void write_start (struct shard *self, const struct shard_call *call)
{
    maitre_assert (!is_read (call->method));
    if (call->prepared.len != 0) {
        propose (self, call, call->logged_body);
        return;
    }
    struct services_prepare prepare = {.kind = SERVICES_PREPARE_NONE};
    struct services_reply reply = {.status = STATUS_OK};
    struct bytes logged_body = call->body;
    arena_reset (self->scratch);
    services_prepare (&self->services, &self->state, call->method, &call->principal, &call->request_id, call->body,
        self->scratch, &prepare, &logged_body, &reply);
    switch (prepare.kind) {
    case SERVICES_PREPARE_NONE:
        propose (self, call, logged_body);
        return;
    case SERVICES_PREPARE_DONE:
        reply_copy (self, call->token, &reply);
        return;
    case SERVICES_PREPARE_HASH:
    case SERVICES_PREPARE_VERIFY:
    case SERVICES_PREPARE_CHANGE:
    case SERVICES_PREPARE_REFRESH:
        break;
    }
    maitre_assert (prepare.kind != SERVICES_PREPARE_NONE);
    maitre_assert (prepare.password.len > 0);
    output_reserve (&self->jobs, &self->jobs_size, self->jobs_count + 1, sizeof *self->jobs);
    prepare.password = output_copy (&self->output, prepare.password);
    prepare.hash = output_copy (&self->output, prepare.hash);
    self->jobs[self->jobs_count++] = (struct shard_prepare_job){
        .token = call->token, .prepare = prepare, .logged_body = output_copy (&self->output, logged_body)};
}

void shard_calls_start (struct shard *self, const struct shard_call *call)
{
    if (self->status.role != RAFT_LEADER) {
        refuse_not_leader (self, call->token);
        return;
    }
    if (shard_calls_count (self) >= self->calls_max ||
        self->waiting_bytes + call_bytes (call) > SHARD_WAITING_BYTES_MAX) {
        refuse_full (self, call->token);
        return;
    }
    maitre_assert (self->waiting_bytes + call_bytes (call) <= SHARD_WAITING_BYTES_MAX);
    if (!is_read (call->method)) {
        if (shard_ready (self) && self->ready_first == 0) {
            write_start (self, call);
            return;
        }
        /* A leader of some milliseconds, or one that hands over: soon it is known who decides this. */
        struct waiting_call *waiting = waiting_add (self, call, WAITING_READY);
        uint32_t number = waiting_number (self, waiting);
        if (self->ready_first == 0)
            self->ready_first = number;
        else
            self->waiting[self->ready_last - 1].next = number;
        self->ready_last = number;
        return;
    }
    struct waiting_call *waiting = waiting_add (self, call, WAITING_ROUND);
    uint64_t read_id = ((uint64_t) waiting->generation << 32) | waiting_number (self, waiting);
    maitre_assert (waiting->kind == WAITING_ROUND);
    maitre_assert ((uint32_t) read_id >= 1);
    struct raft_event event = {.type = RAFT_READ, .read_id = read_id};
    enum status status = shard_raft_step (self, &event);
    if (status == STATUS_OK)
        return;
    waiting = &self->waiting[(uint32_t) read_id - 1];
    maitre_assert (waiting->kind == WAITING_ROUND);
    waiting_remove (self, waiting);
    if (status == STATUS_RESOURCE_EXHAUSTED)
        refuse_full (self, call->token);
    else
        refuse_not_leader (self, call->token);
}

void shard_calls_release_ready (struct shard *self)
{
    while (self->ready_first != 0 && shard_ready (self)) {
        struct waiting_call *waiting = &self->waiting[self->ready_first - 1];
        maitre_assert (waiting->kind == WAITING_READY);
        self->ready_first = waiting->next;
        if (self->ready_first == 0)
            self->ready_last = 0;
        write_start (self, &waiting->call); /* which makes nothing wait, so that the slot stays where it is */
        waiting_remove (self, waiting);
    }
}

void shard_calls_applied (struct shard *self, uint64_t index, uint64_t term, const struct services_reply *reply)
{
    maitre_assert (index == self->applied + 1);
    while (self->proposed_count > 0) {
        struct proposed_call *first = &self->proposed[self->proposed_first];
        maitre_assert (self->proposed_count <= self->proposed_size);
        if (first->index > index)
            return;
        self->proposed_first = (self->proposed_first + 1) % self->proposed_size;
        self->proposed_count--;
        if (first->index == index && first->term == term)
            reply_copy (self, first->token, reply);
        else /* another entry committed in its place: it never will */
            refuse_not_leader (self, first->token);
    }
}

/* ---- reads ---- */

static void read_serve (struct shard *self, struct waiting_call *waiting)
{
    maitre_assert (waiting->kind == WAITING_ROUND || waiting->kind == WAITING_STATE);
    maitre_assert (waiting->kind != WAITING_STATE || waiting->index <= self->applied);
    struct services_reply reply = {.status = STATUS_OK};
    arena_reset (self->scratch);
    services_read (&self->services, &self->state, waiting->call.method, &waiting->call.principal, waiting->call.body,
        log_time_now (&self->log_time, self->now_ms, self->wall_median_ms), self->scratch, &reply);
    reply_copy (self, waiting->call.token, &reply);
    waiting_remove (self, waiting);
}

void shard_calls_read_result (struct shard *self, const struct raft_read_result *result)
{
    uint32_t number = (uint32_t) result->read_id;
    maitre_assert (number >= 1);
    maitre_assert (number <= self->waiting_size);
    struct waiting_call *waiting = &self->waiting[number - 1];
    if (waiting->kind != WAITING_ROUND || waiting->generation != (uint32_t) (result->read_id >> 32))
        return; /* answered when the leadership was lost */
    maitre_assert (is_read (waiting->call.method));
    if (!result->ok) {
        uint64_t token = waiting->call.token;
        waiting_remove (self, waiting);
        refuse_not_leader (self, token);
        return;
    }
    if (self->applied >= result->index) {
        read_serve (self, waiting);
        return;
    }
    maitre_assert (result->index <= self->status.commit);
    waiting->kind = WAITING_STATE;
    waiting->index = result->index;
    self->state_waiting++;
}

void shard_calls_serve_reads (struct shard *self)
{
    for (size_t i = 0; i < self->waiting_size && self->state_waiting > 0; i++) {
        struct waiting_call *waiting = &self->waiting[i];
        if (waiting->kind != WAITING_STATE || waiting->index > self->applied)
            continue;
        read_serve (self, waiting);
    }
    maitre_assert (self->state_waiting <= self->waiting_used);
}

/* ---- deadlines ---- */

/* Takes a call that waits for a ready leader out of the order of arrival. */
static void ready_unlink (struct shard *self, const struct waiting_call *waiting)
{
    maitre_assert (waiting->kind == WAITING_READY);
    maitre_assert (self->ready_first != 0);
    uint32_t number = waiting_number (self, waiting), before = 0;
    for (uint32_t at = self->ready_first; at != number; at = self->waiting[at - 1].next) {
        maitre_assert (at != 0); /* it is in the list */
        before = at;
    }
    if (before == 0)
        self->ready_first = waiting->next;
    else
        self->waiting[before - 1].next = waiting->next;
    if (self->ready_last == number)
        self->ready_last = before;
}

void shard_calls_expire (struct shard *self)
{
    if (self->now_ms < self->waiting_deadline_ms)
        return;
    self->waiting_deadline_ms = UINT64_MAX;
    for (size_t i = 0; i < self->waiting_size; i++) {
        struct waiting_call *waiting = &self->waiting[i];
        uint64_t token = waiting->call.token, deadline_ms = waiting->call.deadline_ms;
        if (waiting->kind == WAITING_FREE || deadline_ms == 0)
            continue;
        if (self->now_ms < deadline_ms) {
            if (deadline_ms < self->waiting_deadline_ms)
                self->waiting_deadline_ms = deadline_ms;
            continue;
        }
        if (waiting->kind == WAITING_READY)
            ready_unlink (self, waiting);
        waiting_remove (self, waiting);
        reply_refuse (self, token, STATUS_DEADLINE_EXCEEDED, "DEADLINE",
            "the shard's leader could not be sure in time; nothing was changed, send the same request id again", false);
    }
    maitre_assert (self->waiting_deadline_ms > self->now_ms);
}

/* ---- the end of a leadership ---- */

void shard_calls_leadership_lost (struct shard *self)
{
    for (; self->proposed_count > 0 && !PLANTED (X1_REPLY_OF_ANOTHER); self->proposed_count--) {
        uint64_t token = self->proposed[self->proposed_first].token;
        self->proposed_first = (self->proposed_first + 1) % self->proposed_size;
        reply_refuse (self, token, STATUS_UNAVAILABLE, "LEADER_LOST",
            "this node lost the shard's leadership before the call was decided; send the same request id again", true);
    }
    self->ready_first = self->ready_last = 0;
    for (size_t i = 0; i < self->waiting_size; i++) {
        struct waiting_call *waiting = &self->waiting[i];
        if (waiting->kind != WAITING_READY && waiting->kind != WAITING_ROUND)
            continue; /* a WAITING_STATE read was confirmed while this node led: its answer stays right */
        uint64_t token = waiting->call.token;
        waiting_remove (self, waiting);
        refuse_not_leader (self, token);
    }
    maitre_assert (self->ready_first == 0);
    maitre_assert (self->waiting_used == self->state_waiting);
}

void shard_calls_close (struct shard *self)
{
    for (size_t i = 0; i < self->waiting_size; i++)
        free (self->waiting[i].memory);
    free (self->waiting);
    free (self->proposed);
}

void shard_calls_check (const struct shard *self)
{
    maitre_assert (self->proposed_count <= self->proposed_size);
    uint64_t last = 0;
    for (size_t i = 0; i < self->proposed_count; i++) {
        const struct proposed_call *call = &self->proposed[(self->proposed_first + i) % self->proposed_size];
        maitre_assert (call->index > last);
        maitre_assert (call->index > self->applied);
        last = call->index;
    }
    maitre_assert (self->waiting_used <= self->waiting_size);
    maitre_assert (self->state_waiting <= self->waiting_used);
    uint32_t used = 0, state_waiting = 0, ready_waiting = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < self->waiting_size; i++) {
        used += self->waiting[i].kind != WAITING_FREE;
        bytes += self->waiting[i].kind != WAITING_FREE ? call_bytes (&self->waiting[i].call) : 0;
        state_waiting += self->waiting[i].kind == WAITING_STATE;
        ready_waiting += self->waiting[i].kind == WAITING_READY;
    }
    maitre_assert (used == self->waiting_used);
    maitre_assert (bytes == self->waiting_bytes);
    maitre_assert (state_waiting == self->state_waiting);
    maitre_assert ((self->ready_first == 0) == (self->ready_last == 0));
    maitre_assert (self->waiting_bytes <= SHARD_WAITING_BYTES_MAX);
    maitre_assert (shard_calls_count (self) <= self->calls_max);
    uint32_t ready = 0, last_ready = 0;
    for (uint32_t at = self->ready_first; at != 0; at = self->waiting[at - 1].next, ready++) {
        maitre_assert (self->waiting[at - 1].kind == WAITING_READY);
        last_ready = at;
    }
    maitre_assert (last_ready == self->ready_last);
    maitre_assert (ready == ready_waiting);
}
