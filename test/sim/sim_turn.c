/* One turn of a node: step what arrived, then the caller's duties of raft.h, in their order. */
#include "test/sim/sim_engine.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"

static enum status receive (struct sim *sim, struct sim_replica *replica, struct sim_input *input)
{
    struct raft_message message;
    sim_duty_message (sim, replica, input, &message);
    input->event.message = &message;
    sim_promise_heard (sim, replica, &message);
    return raft_step (replica->raft, &input->event, &sim->effects);
}

/* ---- inputs ---- */

static void wait_for (struct sim_replica *replica, uint64_t op, uint64_t index, uint64_t term)
{
    sim_grow (&replica->waiting, &replica->waiting_size, replica->waiting_count, sizeof *replica->waiting);
    replica->waiting[replica->waiting_count++] = (struct sim_waiting){.op = op, .index = index, .term = term};
}

static void propose (struct sim *sim, struct sim_replica *replica, struct sim_input *input)
{
    uint8_t payload[SIM_COMMAND_BYTES] = {0};
    bytes_put_u64 (payload, input->op);
    struct bytes bytes = bytes_of (payload, sizeof payload);
    input->event.payloads = &bytes;
    input->event.payloads_count = 1;
    struct raft_status before;
    raft_status (replica->raft, &before);
    if (raft_step (replica->raft, &input->event, &sim->effects) != STATUS_OK) {
        sim->oracle.counts.refused++;
        sim_client_done (sim, input->op, replica, 0, false);
        return;
    }
    sim_promise_proposed (sim, replica, &before);
    wait_for (replica, input->op, sim->effects.proposed_index, sim->effects.proposed_term);
}

static void restore (struct sim *sim, struct sim_replica *replica, struct sim_input *input)
{
    struct sim_write *install = input->install;
    input->event.index = install->index;
    input->event.term = install->index_term;
    input->event.configuration = &install->configuration;
    replica->installing = false;
    if (install->index > replica->machine.applied) {
        replica->machine = install->state;
        sim->oracle.counts.restores++;
        sim_oracle_installed (sim, replica);
        sim_promise_installed (sim, replica, install->index, &install->configuration);
    }
    enum status status = raft_step (replica->raft, &input->event, &sim->effects);
    maitre_assert (status == STATUS_OK);
    struct sim_snapshot reply = {.from = install->from, .to = replica->replica, .index = install->index, .ok = true};
    uint32_t sender = sim_node_of (sim, install->from);
    sim_queue_push (&sim->queue, (struct sim_happening){
                                     .time_us = sim->time_us + 300,
                                     .kind = SIM_SENT,
                                     .node = sender,
                                     .epoch = sim->nodes[sender].epoch,
                                     .data = sim_copy (&reply, sizeof reply),
                                     .len = sizeof reply,
                                 });
}

static void configure (struct sim *sim, struct sim_replica *replica, struct sim_input *input)
{
    struct raft_configuration members = *raft_configuration (replica->raft);
    struct raft_status before;
    raft_status (replica->raft, &before);
    input->event.configuration = &input->configuration;
    if (raft_step (replica->raft, &input->event, &sim->effects) != STATUS_OK)
        return;
    sim->oracle.counts.changes++;
    sim_promise_configured (sim, replica, &before, &members, &input->configuration);
}

static void step_input (struct sim *sim, struct sim_replica *replica, struct sim_input *input, uint64_t now_ms)
{
    enum status status = STATUS_OK;
    input->event.now_ms = now_ms;
    switch (input->event.type) {
    case RAFT_RECEIVE:
        status = receive (sim, replica, input);
        if (status != STATUS_OK)
            sim_fail (sim, "node %u shard %u calls a correct message impossible", replica->node->index, replica->shard);
        break;
    case RAFT_PROPOSE:
        propose (sim, replica, input);
        break;
    case RAFT_READ:
        input->event.read_id = input->op;
        sim->ops[input->op - 1].asked_us = sim->time_us;
        if (raft_step (replica->raft, &input->event, &sim->effects) != STATUS_OK)
            sim_client_done (sim, input->op, replica, 0, false);
        break;
    case RAFT_RESTORE:
        restore (sim, replica, input);
        break;
    case RAFT_PERSISTED:
        replica->persisted_sequence = input->event.sequence;
        status = raft_step (replica->raft, &input->event, &sim->effects);
        maitre_assert (status == STATUS_OK);
        break;
    case RAFT_CONFIGURE:
        configure (sim, replica, input);
        break;
    default:
        status = raft_step (replica->raft, &input->event, &sim->effects);
        break;
    }
    free (input->data);
    free (input->install);
    raft_check (replica->raft);
}

/* ---- duties ---- */

static void persist (struct sim *sim, struct sim_replica *replica)
{
    const struct raft_effects *effects = &sim->effects;
    sim_duty_suspect (sim, replica, effects->suspect_cleared, effects->became_suspect);
    if (effects->persist.sequence == 0)
        return;
    struct sim_write what = {
        .sequence = effects->persist.sequence,
        .hard_state = effects->persist.hard_state,
        .term = effects->persist.term,
        .vote = effects->persist.vote,
        .commit = effects->persist.commit,
        .entries = effects->persist.entries,
        .first = effects->persist.first,
        .reset = effects->persist.reset,
        .index = effects->persist.reset_index,
        .index_term = effects->persist.reset_term,
    };
    bool some = effects->persist.entries && effects->persist.last >= effects->persist.first;
    size_t count = some ? (size_t) (effects->persist.last - effects->persist.first + 1) : 0;
    sim_duty_persist (sim, replica, &what, some ? raft_entry (replica->raft, what.first) : NULL, count);
}

static void answer (struct sim *sim, struct sim_replica *replica)
{
    size_t kept = 0;
    for (size_t i = 0; i < replica->waiting_count; i++) {
        struct sim_waiting waiting = replica->waiting[i];
        if (waiting.index > replica->machine.applied) {
            replica->waiting[kept++] = waiting;
            continue;
        }
        bool ok = true;
        if (waiting.term != 0) /* a write: is it really this entry that was applied there? */
            ok = raft_term_at (replica->raft, waiting.index) == waiting.term;
        uint64_t index = waiting.term != 0 ? waiting.index : replica->machine.applied;
        sim_client_done (sim, waiting.op, replica, index, ok);
    }
    replica->waiting_count = kept;
}

static void apply (struct sim *sim, struct sim_replica *replica)
{
    for (uint64_t i = sim->effects.apply_first; i <= sim->effects.apply_last; i++) {
        const struct raft_entry *entry = raft_entry (replica->raft, i);
        if (!entry)
            sim_fail (sim, "entry %lu to apply is not in the log", (unsigned long) i);
        sim_machine_apply (&replica->machine, entry);
        sim_oracle_applied (sim, replica, entry);
    }
    for (size_t i = 0; i < sim->effects.reads_count; i++) {
        const struct raft_read_result *read = &sim->effects.reads[i];
        if (read->ok)
            sim_promise_read (sim, replica, sim->ops[read->read_id - 1].asked_us);
        if (read->ok)
            wait_for (replica, read->read_id, read->index, 0);
        else
            sim_client_done (sim, read->read_id, replica, 0, false);
    }
    answer (sim, replica);
}

static void start_snapshots (struct sim *sim, struct sim_replica *replica)
{
    for (size_t i = 0; i < sim->effects.snapshots_count; i++) {
        uint64_t to = sim->effects.snapshots[i].replica;
        struct sim_snapshot snapshot = {
            .shard = replica->shard,
            .from = replica->replica,
            .to = to,
            .index = replica->stored->state.applied,
            .term = replica->stored->state.applied_term,
            .state = replica->stored->state,
            .ok = true,
        };
        bool known = raft_configuration_at (replica->raft, snapshot.index, &snapshot.configuration);
        if (!known)
            sim_fail (sim, "shard %u: the log was cut beyond the written state", replica->shard);
        sim->oracle.counts.snapshots++;
        sim_trace (sim, "%u.%u sends a snapshot at %lu to %lu", replica->node->index, replica->shard,
            (unsigned long) snapshot.index, (unsigned long) to);
        sim_net_snapshot (sim, replica->node->index, sim_node_of (sim, to), &snapshot);
    }
}

static void write_back (struct sim *sim, struct sim_replica *replica, uint64_t now_ms)
{
    if (now_ms < replica->state_due_ms || replica->state_writing || !(sim->families & (SIM_COMPACT | SIM_SMALL)))
        return;
    replica->state_due_ms = now_ms + sim_between (sim, 100, 3000);
    replica->state_writing = true;
    sim_disk_write (replica->node, SIM_WRITE_STATE, replica->replica)->state = replica->machine;
    uint64_t written = replica->stored->state.applied;
    uint64_t slack = sim_below (sim, 30);
    if (written <= slack)
        return;
    struct raft_status status;
    raft_status (replica->raft, &status);
    uint64_t index = written - slack;
    if (index <= status.snapshot_index || index > status.applied)
        return;
    struct sim_write *write = sim_disk_write (replica->node, SIM_WRITE_COMPACT, replica->replica);
    write->index = index;
    write->index_term = raft_term_at (replica->raft, index);
    bool known = raft_configuration_at (replica->raft, index, &write->configuration);
    maitre_assert (known);
    raft_compact (replica->raft, index);
}

static void notice (struct sim *sim, struct sim_replica *replica)
{
    if (!sim_duty_notice (sim, replica))
        return;
    size_t kept = 0; /* writes whose outcome this replica will not learn soon */
    for (size_t i = 0; i < replica->waiting_count; i++) {
        if (replica->waiting[i].term == 0)
            replica->waiting[kept++] = replica->waiting[i];
        else
            sim_client_done (sim, replica->waiting[i].op, replica, 0, false);
    }
    replica->waiting_count = kept;
}

static void step_simple (struct sim *sim, struct sim_replica *replica, enum raft_event_type type, uint64_t now_ms)
{
    struct raft_event event = {.type = type, .now_ms = now_ms, .index = replica->machine.applied};
    enum status status = raft_step (replica->raft, &event, &sim->effects);
    maitre_assert (status == STATUS_OK);
    raft_check (replica->raft);
}

/* False: the node died in the middle of its duties. */
static bool turn (struct sim *sim, struct sim_replica *replica, uint64_t now_ms)
{
    raft_effects_reset (&sim->effects);
    sim_promise_begin (replica);
    struct sim_input *inputs = replica->inputs;
    size_t count = replica->inputs_count;
    replica->inputs = NULL;
    replica->inputs_count = 0;
    replica->inputs_size = 0;
    for (size_t i = 0; i < count; i++)
        step_input (sim, replica, &inputs[i], now_ms);
    free (inputs);
    if (now_ms >= raft_deadline_ms (replica->raft))
        step_simple (sim, replica, RAFT_TICK, now_ms);
    step_simple (sim, replica, RAFT_TURN_END, now_ms);
    notice (sim, replica);
    sim_promise_turn (sim, replica, sim->effects.send_now, sim->effects.send_now_count, now_ms);

    unsigned dies = sim_duty_dies (sim, sim->effects.persist.hard_state || sim->effects.persist.reset);
    if (dies == 1)
        return false;
    persist (sim, replica);
    if (dies == 2)
        return false;
    for (size_t i = 0; i < sim->effects.send_now_count; i++)
        sim_duty_send (sim, replica, &sim->effects.send_now[i]);
    if (dies == 3)
        return false;
    for (size_t i = 0; i < sim->effects.send_after_count; i++)
        sim_duty_hold (sim, replica, &sim->effects.send_after_persist[i], sim->effects.after_sequence);
    apply (sim, replica);
    start_snapshots (sim, replica);
    if (dies == 4)
        return false;
    sim_duty_release (sim, replica);
    write_back (sim, replica, now_ms);
    raft_effects_reset (&sim->effects);
    step_simple (sim, replica, RAFT_APPLIED, now_ms);
    return true;
}

static uint64_t deadline_of (const struct sim *sim, const struct sim_replica *replica)
{
    return sim->options.services ? sim_shard_deadline_ms (replica) : raft_deadline_ms (replica->raft);
}

/* False: the node died in the middle of its duties. */
static bool turn_of_all (struct sim *sim, struct sim_node *node, uint64_t now_ms)
{
    if (node->engine)
        return sim_engine_turn (sim, node, now_ms);
    for (size_t i = 0; i < node->replicas_count; i++) {
        struct sim_replica *replica = node->replicas[i];
        bool due = replica->inputs_count > 0 || now_ms >= deadline_of (sim, replica);
        if (due && !turn (sim, replica, now_ms))
            return false;
    }
    return true;
}

void sim_node_turn (struct sim *sim, struct sim_node *node)
{
    if (sim->time_us < node->paused_until_us) {
        sim_node_wake (sim, node, node->paused_until_us - sim->time_us);
        return;
    }
    uint64_t now_ms = sim_node_now_ms (sim, node);
    uint64_t next_ms = UINT64_MAX;
    node->wake_us = 0;
    if (!turn_of_all (sim, node, now_ms)) {
        sim_disk_start (sim, node); /* what was handed to the disk may be on its way */
        sim_fault_dies (sim, node);
        return;
    }
    for (size_t i = 0; i < node->replicas_count; i++) {
        uint64_t deadline_ms = deadline_of (sim, node->replicas[i]);
        if (deadline_ms < next_ms)
            next_ms = deadline_ms;
    }
    if (node->engine && sim_engine_deadline_ms (node->engine, now_ms) < next_ms)
        next_ms = sim_engine_deadline_ms (node->engine, now_ms);
    sim_promise_idle (sim, node);
    sim_disk_start (sim, node);
    uint64_t wait_us = next_ms <= now_ms ? 1000 : (next_ms - now_ms) * 1000;
    if (wait_us > 1000 * 1000)
        wait_us = 1000 * 1000;
    sim_node_wake (sim, node, wait_us);
}
