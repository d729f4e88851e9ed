/* Damage in the state on the disk while the node runs: the replicas concerned leave service and start over, the others go
 * on, and the state database is made anew, for RocksDB cannot take a bad block out.
 *
 *   sound --damage--> damaged --not the leader any more, or HAND_OVER_MS--> dead --database exchanged--> empty, suspect
 *
 * The database: NONE --damage--> COPYING (the flusher copies what is good) --> COPIED (leaderships are handed over, transfers
 * and readers end) --exchange--> NONE. Meanwhile nothing is written back, received or sent as a snapshot, all else goes on.
 *
 * What a replica promised about its log goes with it, so it comes back as after a loss: suspect, under a new session, with
 * its term and vote (R12). Its leader fills it by entries or a snapshot. Where the core met the damage itself there is no
 * hand-over: it is dead at once, and the others elect. Where the disk has no room for the copy the node halts, and its next
 * start tries.
 */
#include "node/engine/engine_internal.h"

#define HAND_OVER_MS 3000
#define HAND_OVER_AGAIN_MS 10

static bool has_peers (const struct engine *engine, const struct replica *replica)
{
    return route_map_shard (&engine->map, replica->shard)->replicas_count > 1;
}

void engine_quarantine (struct engine *engine, struct replica *replica, const char *why)
{
    if (replica->damaged)
        return;
    engine->counters.damages++;
    engine_state_failed (engine); /* should this process end before it is over */
    if (!has_peers (engine, replica) && replica->dead)
        engine_halt (engine, "shard %u: %s, and no other node has it", replica->shard, why);
    if (!has_peers (engine, replica)) {
        event_log (EVENT_LOG_ERROR,
            "state on the disk is damaged, and no other node has it: it is served as long as it is in memory",
            event_log_u64 ("shard", replica->shard), event_log_text ("why", why));
        store_state_hold (engine->store);
        return;
    }
    event_log (EVENT_LOG_WARN,
        "state is damaged: the replica leaves service and is filled anew by its leader; check the disk",
        event_log_u64 ("shard", replica->shard), event_log_text ("why", why));
    replica->damaged = true;
    replica->damaged_ms = engine->now_ms;
    engine->quarantined++;
    engine_flush_forget (engine, replica); /* its table may lack what it could not read */
    shard_balance_set (replica->core, false);
    engine_mend_begin (engine);
}

/* The leaderships of damaged replicas; all of them before the exchange, for that stops the reactor for a while. */
static bool hand_over (struct engine *engine, struct replica *replica)
{
    bool leads = !replica->dead && replica->leader_node == engine->config.node;
    if (!leads || engine_alone (engine) || engine->now_ms >= replica->damaged_ms + HAND_OVER_MS)
        return false;
    if (engine->now_ms >= engine->handed_ms + HAND_OVER_AGAIN_MS) {
        struct shard_event event = {.type = SHARD_EVENT_TRANSFER, .transfer_node = 0};
        engine_step (engine, replica, &event);
    }
    return true;
}

static bool hand_over_all (struct engine *engine)
{
    if (engine_leads (engine) == 0 || engine_alone (engine) || engine->now_ms >= engine->mend_copied_ms + HAND_OVER_MS)
        return false;
    if (engine->now_ms >= engine->handed_ms + HAND_OVER_AGAIN_MS) {
        engine->handed_ms = engine->now_ms;
        engine_hand_over (engine);
    }
    return true;
}

static void take_out (struct engine *engine, struct replica *replica)
{
    replica->dead = true;
    replica->stepped = false;
    replica->deadline_ms = UINT64_MAX;
    if (replica->leader_node == engine->config.node)
        engine->hints_changed = true;
    replica->leader_node = 0;
    route_map_hint (&engine->map, replica->shard, 0, replica->leader_term);
    shard_snapshots_drop (replica->core); /* nobody steps it any more, and the exchange waits for its readers */
    engine_calls_shard_lost (engine, replica->shard);
}

static void start_over (struct engine *engine, struct replica *replica)
{
    struct engine_error error;
    engine_writer_wait (engine);
    if (!engine_replica_start_over (engine, replica, &error))
        engine_halt (engine, "shard %u: its damaged state cannot be replaced: %s", replica->shard, error.text);
    engine->quarantined--;
    engine->counters.quarantines++;
    event_log (EVENT_LOG_WARN, "replica is empty and waits for its leader", event_log_u64 ("shard", replica->shard),
        event_log_u64 ("after_ms", engine->now_ms - replica->damaged_ms));
    replica->deadline_ms = engine->now_ms;
    shard_balance_set (replica->core, !engine->disk_full && !engine->disk_slow && !engine->draining);
    for (uint32_t node = 1; node <= engine->config.nodes.node_count; node++) {
        struct shard_event event = {.type = SHARD_EVENT_LINK, .link = {.node = node, .up = false}};
        if (node != engine->config.node && !transport_link_up (engine->transport, node))
            engine_step (engine, replica, &event);
    }
}

/* ---- the database */

void engine_mend_begin (struct engine *engine)
{
    if (engine->mending != MEND_NONE)
        return;
    store_state_hold (engine->store);
    engine_state_failed (engine);
    event_log (EVENT_LOG_WARN, "the state database is made anew from what can be read: check the disk",
        event_log_u64 ("damaged", engine->quarantined));
    engine->mending = MEND_COPYING;
    engine_flush_mend (engine);
}

void engine_mend_copied (struct engine *engine, struct store_mend *mend)
{
    engine->mend = mend;
    engine->mending = MEND_COPIED;
    engine->mend_copied_ms = engine->now_ms;
    engine_balance_set (engine, false);
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        struct replica *replica = engine->replicas[shard];
        if (replica == NULL || !store_mend_damaged (mend, shard, replica->id))
            continue;
        if (!has_peers (engine, replica))
            engine_halt (engine, "shard %u: its state on the disk is damaged, and no other node has it", shard);
        engine_quarantine (engine, replica, "its state on the disk is damaged");
    }
}

static void exchange (struct engine *engine)
{
    struct store_error error;
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        if (engine->replicas[shard] != NULL)
            engine_import_end (engine->replicas[shard]); /* its next chunk is refused */
    }
    if (!engine_scrub_idle (engine) || !store_mend_may_exchange (engine->mend))
        return; /* a transfer that is about to end */
    uint64_t begun_us = engine_clock_us ();
    if (store_mend_exchange (engine->mend, &error) != STATUS_OK)
        engine_halt (engine, "the state database cannot be exchanged: %s", error.text);
    store_mend_close (&engine->mend);
    engine->mending = MEND_NONE;
    engine->scrub_asked = false;
    engine_state_mended (engine);
    engine_balance_set (engine, !engine->disk_full && !engine->disk_slow && !engine->draining);
    event_log (
        EVENT_LOG_INFO, "the state database is new", event_log_u64 ("exchange_us", engine_clock_us () - begun_us));
    engine_flush_again (engine);
}

/* ---- */

void engine_quarantine_step (struct engine *engine)
{
    if (engine->quarantined == 0 && engine->mending != MEND_COPIED)
        return;
    bool waiting = false;
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        struct replica *replica = engine->replicas[shard];
        if (replica == NULL || !replica->damaged)
            continue;
        if (hand_over (engine, replica))
            waiting = true;
        else
            take_out (engine, replica);
    }
    if (engine->mending == MEND_COPIED && !hand_over_all (engine) && !waiting)
        exchange (engine);
    for (uint32_t shard = 0; engine->mending == MEND_NONE && shard <= engine->config.shards; shard++) {
        struct replica *replica = engine->replicas[shard];
        if (replica != NULL && replica->damaged && replica->dead && !engine_replica_unwritten (replica))
            start_over (engine, replica);
    }
}
