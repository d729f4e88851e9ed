/* The end of each shard's turn: its effects go to the batch, the links, the callers and the router. */
#include <stdlib.h>

#include "node/engine/engine_internal.h"

struct replica *engine_replica (struct engine *engine, uint32_t shard)
{
    return shard <= engine->config.shards ? engine->replicas[shard] : NULL;
}

void engine_step (struct engine *engine, struct replica *replica, struct shard_event *event)
{
    if (replica->dead)
        return;
    event->now_ms = engine->now_ms;
    event->wall_median_ms = engine->wall_median_ms;
    replica->stepped = true;
    shard_step (replica->core, event);
}

uint64_t engine_shards_deadline_ms (const struct engine *engine)
{
    uint64_t deadline_ms = UINT64_MAX;
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        const struct replica *replica = engine->replicas[shard];
        if (replica != NULL && replica->deadline_ms < deadline_ms)
            deadline_ms = replica->deadline_ms;
    }
    return deadline_ms;
}

/* ---- duty 3: into the open batch */

static void halt_on_turn (struct engine *engine, enum status status, uint32_t shard)
{
    if (status != STATUS_OK)
        engine_halt (engine, "shard %u: the turn's batch cannot take its entries (%s): restart with more memory", shard,
            status_name (status));
}

static void append_entries (struct engine *engine, const struct replica *replica, const struct shard_effects *effects)
{
    uint64_t truncate_from = effects->persist.first_index;
    size_t at = 0;
    do {
        size_t count = effects->persist.entries_count - at;
        if (count > RAFT_MESSAGE_ENTRIES_MAX)
            count = RAFT_MESSAGE_ENTRIES_MAX;
        for (size_t i = 0; i < count; i++) {
            const struct raft_entry *from = &effects->persist.entries[at + i];
            engine->store_entries[i] = (struct store_entry){
                .index = from->index, .term = from->term, .type = from->type, .payload = from->payload};
        }
        halt_on_turn (engine,
            store_turn_append (
                engine->collecting, replica->shard, replica->id, truncate_from, engine->store_entries, count),
            replica->shard);
        truncate_from = 0;
        at += count;
    } while (at < effects->persist.entries_count);
}

static void note_suspect (struct engine *engine, struct replica *replica, const struct shard_effects *effects)
{
    if (effects->persist.suspect && !replica->suspect) {
        replica->suspect = true;
        engine->suspects++;
        event_log (EVENT_LOG_WARN, "replica is suspect: its log lacks what a leader remembers",
            event_log_u64 ("shard", replica->shard));
        if (failpoint (FAILPOINT_PERSIST_SUSPECT_BEFORE) ||
            store_suspect_set (engine->store, "a leader remembers more than the log holds") != STATUS_OK)
            engine_halt (engine, "the suspect mark cannot be written");
        failpoint_pass (FAILPOINT_PERSIST_SUSPECT_AFTER);
    }
    if (effects->persist.suspect_cleared && replica->suspect) {
        replica->suspect = false;
        engine->suspects--;
        event_log (EVENT_LOG_INFO, "replica is trusted again", event_log_u64 ("shard", replica->shard));
        if (engine->suspects > 0)
            return;
        if (failpoint (FAILPOINT_PERSIST_TRUST_BEFORE) || store_suspect_clear (engine->store) != STATUS_OK)
            engine_halt (engine, "the suspect mark cannot be removed");
        failpoint_pass (FAILPOINT_PERSIST_TRUST_AFTER);
    }
}

static void carry_out_persist (struct engine *engine, struct replica *replica, const struct shard_effects *effects)
{
    if (effects->persist.sequence == 0)
        return;
    /* A reset was written with the snapshot that asked for it (engine_snapshots.c). */
    if (effects->persist.truncate) {
        failpoint_pass (FAILPOINT_PERSIST_ENTRIES_BEFORE);
        append_entries (engine, replica, effects);
        failpoint_pass (FAILPOINT_PERSIST_ENTRIES_AFTER);
    }
    if (effects->persist.hard_state) {
        failpoint_pass (FAILPOINT_PERSIST_VOTE_BEFORE);
        halt_on_turn (engine,
            store_turn_hard_state (
                engine->collecting, replica->shard, replica->id, effects->persist.term, effects->persist.vote),
            replica->shard);
        failpoint_pass (FAILPOINT_PERSIST_VOTE_AFTER);
    }
    maitre_assert (effects->persist.sequence > replica->collecting);
    replica->collecting = effects->persist.sequence;
}

/* ---- duties 2 and 4: to the peers */

static uint32_t node_of (const struct engine *engine, uint32_t shard, uint64_t replica)
{
    const struct route_shard *route = route_map_shard (&engine->map, shard);
    for (uint32_t i = 0; i < route->replicas_count; i++) {
        if (route->replicas[i].replica == replica)
            return route->replicas[i].node;
    }
    return 0;
}

#define RAFT_MESSAGE_HEAD_BYTES 160
#define RAFT_ENTRY_HEAD_BYTES 40

static void send_message (
    struct engine *engine, const struct replica *replica, const struct raft_message *message, enum transport_lane lane)
{
    uint32_t node = node_of (engine, replica->shard, message->to);
    if (node == 0 || !transport_link_up (engine->transport, node) || failpoint (FAILPOINT_SEND_RAFT_BEFORE))
        return; /* Raft lives with loss */
    size_t size = RAFT_MESSAGE_HEAD_BYTES, len;
    for (uint32_t i = 0; i < message->count; i++)
        size += message->entries[i].payload.len + RAFT_ENTRY_HEAD_BYTES;
    uint8_t *room = transport_reserve (engine->transport, node, lane, TRANSPORT_RAFT, size);
    if (room == NULL)
        return;
    struct raft_wire_message wire;
    raft_codec_to_wire (message, &wire, engine->wire_entries);
    enum status status = codec_encode (&raft_wire_message_type, &wire, room, size, &len);
    maitre_assert (status == STATUS_OK);
    transport_commit (engine->transport, len);
    failpoint_pass (FAILPOINT_SEND_RAFT_AFTER);
}

static void carry_out_sends (struct engine *engine, struct replica *replica, const struct shard_effects *effects)
{
    for (size_t i = 0; i < effects->send_now_count; i++)
        send_message (engine, replica, &effects->send_now[i], TRANSPORT_NOW);
    enum transport_lane lane = effects->after_sequence <= replica->persisted ? TRANSPORT_NOW : TRANSPORT_AFTER;
    for (size_t i = 0; i < effects->send_after_persist_count; i++)
        send_message (engine, replica, &effects->send_after_persist[i], lane);
    if (lane == TRANSPORT_AFTER && effects->send_after_persist_count > 0)
        engine->after_waiting = true;
}

/* ---- duty 7 */

static void send_value (struct engine *engine, uint32_t node, enum transport_lane lane, enum transport_section section,
    const struct codec_type *type, const void *value, size_t size)
{
    size_t len;
    uint8_t *room = node == 0 ? NULL : transport_reserve (engine->transport, node, lane, section, size);
    if (room == NULL)
        return; /* it is sent again after a while */
    enum status status = codec_encode (type, value, room, size, &len);
    maitre_assert (status == STATUS_OK);
    transport_commit (engine->transport, len);
}

static void carry_out_snapshots (
    struct engine *engine, const struct replica *replica, const struct shard_effects *effects)
{
    for (size_t i = 0; i < effects->acks_count; i++) {
        if (failpoint (FAILPOINT_SEND_ACK_BEFORE))
            continue;
        send_value (engine, node_of (engine, replica->shard, effects->acks[i].to), TRANSPORT_NOW, TRANSPORT_ACKS,
            &snapshot_ack_type, &effects->acks[i], SNAPSHOT_ACK_ENCODED_MAX);
        failpoint_pass (FAILPOINT_SEND_ACK_AFTER);
    }
    for (size_t i = 0; i < effects->chunks_count; i++) {
        if (failpoint (FAILPOINT_SEND_CHUNK_BEFORE))
            continue;
        send_value (engine, node_of (engine, replica->shard, effects->chunks[i].to), TRANSPORT_BULK, TRANSPORT_CHUNKS,
            &snapshot_chunk_type, &effects->chunks[i], effects->chunks[i].data.len + 1024);
        failpoint_pass (FAILPOINT_SEND_CHUNK_AFTER);
    }
}

/* ---- duties 5 and 6, and the news */

static void carry_out_replies (struct engine *engine, const struct shard_effects *effects)
{
    for (size_t i = 0; i < effects->replies_count; i++) {
        const struct shard_reply *from = &effects->replies[i];
        struct call *call = engine_call_find (engine, from->token);
        if (call == NULL)
            continue; /* its deadline passed */
        struct route_answer answer = {
            .status = from->reply.status,
            .reason = from->reply.reason,
            .message = from->reply.message,
            .retry_after_ms = from->reply.retry_after_ms,
            .replayed = from->reply.replayed,
            .maybe_applied = from->maybe_applied,
            .leader_node = from->leader_node,
            .body = from->reply.body,
        };
        if (call->method->number == METHOD_NUMBER_CLUSTER_SNAPSHOT_OPEN && answer.status == STATUS_OK)
            engine_backup_confirmed (engine, call);
        else
            engine_call_answer (engine, call, &answer);
    }
    for (size_t i = 0; i < effects->jobs_count; i++)
        engine_hashers_add (engine, &effects->jobs[i]);
}

static void leader_changed (struct engine *engine, struct replica *replica, const struct shard_effects *effects)
{
    bool led = replica->leader_node == engine->config.node;
    replica->leader_node = effects->leader_node;
    replica->leader_term = effects->leader_term;
    bool leads = replica->leader_node == engine->config.node;
    engine->hints_changed = engine->hints_changed || led || leads;
    engine->leaders_changed = true;
    engine->counters.leader_changes++;
    route_map_hint (&engine->map, replica->shard, replica->leader_node, replica->leader_term);
    event_log (EVENT_LOG_DEBUG, "leader", event_log_u64 ("shard", replica->shard),
        event_log_u64 ("leader", replica->leader_node), event_log_u64 ("term", replica->leader_term));
    engine_cluster_leader_changed (engine, replica);
}

static void end_turn (struct engine *engine, struct replica *replica)
{
    struct shard_effects effects;
    replica->stepped = false;
    failpoint_pass (FAILPOINT_APPLY_BEFORE);
    shard_turn_end (replica->core, engine->now_ms, engine->wall_median_ms, &effects);
    if (effects.applied_changed)
        failpoint_pass (FAILPOINT_APPLY_AFTER);
    if (effects.fatal && (table_damaged (replica->table) || replica->read_failed)) {
        replica->dead = true; /* nothing of this turn leaves the node */
        replica->deadline_ms = UINT64_MAX;
        engine_quarantine (engine, replica, effects.fatal_reason);
        return;
    }
    if (effects.fatal) /* a table that failed and is not damaged found no memory */
        engine_halt (engine, "shard %u: %s", replica->shard,
            table_failed (replica->table) ? "there is no memory for its state: give the node more"
                                          : effects.fatal_reason);
    if (replica->unreadable)
        engine_quarantine (engine, replica, "a snapshot of its state cannot be read");
    note_suspect (engine, replica, &effects); /* before anybody hears of it: who forgets it again could vote (R12) */
    carry_out_sends (engine, replica, &effects);
    carry_out_persist (engine, replica, &effects);
    carry_out_snapshots (engine, replica, &effects);
    if (effects.leader_changed)
        leader_changed (engine, replica, &effects);
    if (effects.applied_changed && replica->shard == 0)
        engine_placement_applied (engine);
    carry_out_replies (engine, &effects);
    replica->deadline_ms = shard_deadline_ms (replica->core);
}

void engine_shards_end_turn (struct engine *engine)
{
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        struct replica *replica = engine->replicas[shard];
        if (replica == NULL)
            continue;
        /* Also a shard that something arrived for: one that is busy in every turn would send no heartbeat, and never look
         * whether a quorum still answers it (G2). */
        if (replica->deadline_ms <= engine->now_ms) {
            struct shard_event tick = {.type = SHARD_EVENT_TICK};
            engine_step (engine, replica, &tick);
        }
        if (replica->stepped)
            end_turn (engine, replica);
    }
}
