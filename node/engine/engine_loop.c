/* The reactor: one turn after another. */
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "node/engine/engine_internal.h"

#define POLL_MS_MAX 50
#define SLOW_TICK_MS 100
#define GOODBYE_MS_MAX 200
#define LOAD_WINDOW_US 2000
#define BATCH_MS_MAX 1 /* a batch waits no longer for company */
#define LEADERLESS_MS_MAX 1000
#define REFUSED_KEYS_MS 10000

static bool any_stepped (const struct engine *engine)
{
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        if (engine->replicas[shard] != NULL && engine->replicas[shard]->stepped)
            return true;
    }
    return false;
}

static long patience_ms (const struct engine *engine)
{
    if (engine->fanouts != NULL || any_stepped (engine) || engine->flush_building < engine->flushing_count ||
        engine->warming)
        return 0;
    bool waiting = engine->at_writer == NULL && !store_turn_empty (engine->collecting);
    uint64_t until_ms = engine->now_ms + (waiting ? BATCH_MS_MAX : POLL_MS_MAX);
    uint64_t shards_ms = engine_shards_deadline_ms (engine);
    if (shards_ms < until_ms)
        until_ms = shards_ms;
    if (engine->gossip_next_ms < until_ms)
        until_ms = engine->gossip_next_ms;
    if (engine->calls_used > 0 && engine->calls_checked_ms + 20 < until_ms)
        until_ms = engine->calls_checked_ms + 20;
    return until_ms > engine->now_ms ? (long) (until_ms - engine->now_ms) : 0;
}

static void fill_wait (struct engine *engine)
{
    zmq_pollitem_t items[ENGINE_NODES_MAX + 2];
    struct engine_wait *wait = &engine->wait;
    size_t count = transport_poll_items (engine->transport, items, ENGINE_NODES_MAX + 2);
    for (size_t i = 0; i < count; i++)
        engine_wait_add (wait, i == 0 ? WAIT_FRAMES : i == 1 ? WAIT_GOSSIP : WAIT_LINKS, items[i].socket, -1);
    engine_wait_add (wait, WAIT_CALLS, front_socket (engine->front), -1);
    engine_wait_add (wait, WAIT_CLIENTS, front_monitor_socket (engine->front), -1);
    engine_wait_add (wait, WAIT_OTHER, NULL, engine->writer.event_fd);
    engine_wait_add (wait, WAIT_OTHER, NULL, engine->flusher.event_fd);
    engine_wait_add (wait, WAIT_OTHER, NULL, engine->hashers.event_fd);
    engine_wait_add (wait, WAIT_OTHER, NULL, engine->stop_fd);
}

/* An election, or a leadership that is handed over, is no reason to be taken out of service: calls wait that long. */
static void note_ready (struct engine *engine)
{
    bool led = true;
    for (uint32_t shard = 0; shard <= engine->config.shards && led; shard++)
        led = engine_leader (engine, shard) != 0;
    if (led)
        engine->led_ms = engine->now_ms;
    if (led && !engine->ready && !engine->draining) {
        engine->ready = true;
        event_log (EVENT_LOG_INFO, "ready: every shard has a leader",
            event_log_u64 ("after_ms", engine->now_ms - engine->started_ms));
    } else if (engine->ready && engine->now_ms - engine->led_ms > LEADERLESS_MS_MAX) {
        engine->ready = false;
        event_log (EVENT_LOG_WARN, "not ready: a shard has no leader that can be reached");
    }
}

/* Rarely, since anybody may try. */
static void note_refused_keys (struct engine *engine)
{
    if (engine->zap == NULL || engine->now_ms < engine->refused_keys_ms + REFUSED_KEYS_MS)
        return;
    struct zap_refusal last;
    uint64_t refused = zap_refused_last (engine->zap, &last);
    if (refused == engine->refused_keys)
        return;
    event_log (EVENT_LOG_WARN,
        last.peer ? "a key that nodes.conf does not list was refused at a node's port: compare nodes.conf and key files"
                  : "a key that is not this cluster's was refused at the clients' port: give the client cluster.client",
        event_log_text ("from", last.address), event_log_u64 ("refused", refused - engine->refused_keys));
    engine->refused_keys = refused;
    engine->refused_keys_ms = engine->now_ms;
}

static void slow_tick (struct engine *engine)
{
    if (engine->now_ms < engine->slow_tick_ms + SLOW_TICK_MS)
        return;
    engine->slow_tick_ms = engine->now_ms;
    front_tick (engine->front);
    engine_disk_watch (engine);
    engine_slow_disk_watch (engine);
    engine_memory_watch (engine);
    engine_policy_watch (engine);
    engine_revoked_poll (engine);
    engine_peers_tick (engine);
    engine_placement_tick (engine);
    engine_replace_tick (engine);
    engine_scrub_tick (engine);
    note_ready (engine);
    note_refused_keys (engine);
    engine_metrics_publish (engine);
}

/* How much there is to do lately, in messages a millisecond. */
static void note_load (struct engine *engine)
{
    uint64_t elapsed_us = engine->now_us - engine->load_since_us;
    if (elapsed_us < LOAD_WINDOW_US)
        return;
    engine->load_per_ms = (uint32_t) ((engine->load_per_ms + engine->work * 1000 / elapsed_us) / 2);
    engine->load_since_us = engine->now_us;
    engine->work = 0;
}

static void send_replies (struct engine *engine)
{
    if (front_flush (engine->front))
        engine_wait_again (&engine->wait, WAIT_CALLS);
}

static void turn (struct engine *engine)
{
    engine->now_us = engine_clock_us ();
    engine->now_ms = engine->now_us / 1000;
    engine->counters.turns++;
    engine_writer_completed (engine);
    engine_hashers_completed (engine);
    engine_flush_completed (engine);
    engine_peers_events (engine);
    engine_peers_drain (engine);
    engine_gossip_drain (engine);
    engine_gossip_tick (engine);
    engine_requests_drain (engine);
    engine_fanouts_pump (engine);
    engine_calls_expire (engine);
    engine_flush_step (engine);
    engine_backups_step (engine);
    engine_warm_step (engine);
    slow_tick (engine);
    engine_shards_end_turn (engine);
    engine_calls_moved (engine);
    send_replies (engine);
    transport_flush (engine->transport); /* before the batch: the followers write while this node does */
    if (engine_writer_submit (engine))
        transport_flush (engine->transport);
    engine_quarantine_step (engine);
    send_replies (engine); /* of calls to a shard that was just taken out of service */
    note_load (engine);
}

/* True when the node has to stop now. */
static bool stopping (struct engine *engine)
{
    if (engine->exit != ENGINE_EXIT_OK)
        return true;
    int requests = atomic_load (&engine->stop_requests);
    if (requests == 0)
        return false;
    uint64_t count;
    ssize_t got = read (engine->stop_fd, &count, sizeof count);
    (void) got;
    if (!engine->draining)
        engine_drain_begin (engine);
    return requests > 1 || engine_drain_over (engine);
}

static void poll_and_turn (struct engine *engine, long patience)
{
    if (!engine_wait_poll (&engine->wait, patience))
        engine_halt (engine, "sockets cannot be polled: %s", strerror (errno));
    turn (engine);
}

/* The others should hear that this node left, and not have to find out. Calls that still come in are refused at once:
 * their clients go elsewhere without waiting for the connection to end. */
static void say_goodbye (struct engine *engine)
{
    uint64_t until_ms = engine->now_ms + GOODBYE_MS_MAX;
    engine->refusing = true;
    engine_gossip_leave (engine);
    while (!gossip_left (engine->gossip) && engine->now_ms < until_ms)
        poll_and_turn (engine, 5);
    zmq_poll (NULL, 0, 5); /* ZeroMQ's thread sends the last of it */
}

enum engine_exit engine_run (struct engine *engine)
{
    fill_wait (engine);
    engine->now_us = engine_clock_us ();
    engine->now_ms = engine->now_us / 1000;
    prctl (PR_SET_TIMERSLACK, 1000ul); /* short pauses are to be short */
    failpoint_pass (FAILPOINT_START_RUN);
    engine_gossip_join (engine);
    event_log (EVENT_LOG_INFO, "node runs", event_log_text ("clients", front_endpoint (engine->front)),
        event_log_u64 ("replicas", engine->replicas_count), event_log_text ("version", engine->config.version));
    while (!stopping (engine))
        poll_and_turn (engine, patience_ms (engine));
    failpoint_pass (FAILPOINT_DRAIN_OVER);
    if (engine->exit == ENGINE_EXIT_OK) /* nobody listens to an impostor */
        say_goodbye (engine);
    event_log (EVENT_LOG_INFO, "node stops");
    return engine->exit;
}
