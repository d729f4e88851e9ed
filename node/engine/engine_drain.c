/* A planned stop, a disk that fills up or gets slow: in each case this node hands its leaderships to others. And what must
 * not grow without bound in memory is watched here. */
#include "node/engine/engine_internal.h"

#define DISK_CHECK_MS 1000
#define GIB (UINT64_C (1024) * 1024 * 1024)
#define TRANSFERS_A_TURN 16
#define TRANSFER_AGAIN_MS 10
#define SLOW_DISK_MS 500       /* a batch that takes longer makes the disk slow ... */
#define SLOW_DISK_AGAIN_MS 100 /* ... and one that takes less makes it well again */
#define LOG_MEMORY_BYTES (512 * 1024 * 1024)

uint32_t engine_leads (const struct engine *engine)
{
    uint32_t count = 0;
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        const struct replica *replica = engine->replicas[shard];
        count += replica != NULL && replica->leader_node == engine->config.node;
    }
    return count;
}

void engine_hand_over (struct engine *engine)
{
    uint32_t asked = 0;
    failpoint_pass (FAILPOINT_DRAIN_HAND_OVER);
    for (uint32_t shard = 0; shard <= engine->config.shards && asked < TRANSFERS_A_TURN; shard++) {
        struct replica *replica = engine->replicas[shard];
        if (replica == NULL || replica->leader_node != engine->config.node ||
            route_map_shard (&engine->map, shard)->replicas_count < 2)
            continue;
        struct shard_event event = {.type = SHARD_EVENT_TRANSFER, .transfer_node = 0};
        engine_step (engine, replica, &event);
        asked++;
    }
}

void engine_balance_set (struct engine *engine, bool balance)
{
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        if (engine->replicas[shard] != NULL)
            shard_balance_set (engine->replicas[shard]->core, balance);
    }
}

bool engine_serves (const struct engine *engine)
{
    return engine->ready && !engine->draining && !engine->disk_full;
}

void engine_drain_begin (struct engine *engine)
{
    failpoint_pass (FAILPOINT_DRAIN_BEGIN);
    engine->draining = true;
    engine->ready = false;
    engine->drain_until_ms = engine->now_ms + engine->config.limits.drain_ms;
    event_log (EVENT_LOG_INFO, "draining: leaderships are handed over, calls are finished",
        event_log_u64 ("calls", engine->calls_used), event_log_u64 ("leads", engine_leads (engine)));
    front_stop_accepting (engine->front);
    engine_balance_set (engine, false);
}

bool engine_alone (const struct engine *engine)
{
    for (uint32_t node = 1; node <= engine->config.nodes.node_count; node++) {
        if (node != engine->config.node && transport_link_up (engine->transport, node))
            return false;
    }
    return true;
}

bool engine_drain_over (struct engine *engine)
{
    if (engine->now_ms >= engine->drain_until_ms) {
        event_log (EVENT_LOG_WARN, "not everything could be finished in time",
            event_log_u64 ("calls", engine->calls_used), event_log_u64 ("leads", engine_leads (engine)));
        return true;
    }
    bool led = engine_leads (engine) > 0 && !engine_alone (engine);
    if (led && engine->now_ms >= engine->drain_checked_ms + TRANSFER_AGAIN_MS) {
        engine->drain_checked_ms = engine->now_ms;
        engine_hand_over (engine);
    }
    /* As long as this node leads something it serves: others may not know the new leaders yet. */
    engine->refusing = !led;
    /* A batch that waits for company holds what others led: without it they would wait for the third replica. */
    bool written = engine->at_writer == NULL && store_turn_empty (engine->collecting) && !engine->after_waiting;
    return !led && engine->calls_used == 0 && written;
}

void engine_disk_watch (struct engine *engine)
{
    if (engine->now_ms < engine->disk_checked_ms + DISK_CHECK_MS)
        return;
    engine->disk_checked_ms = engine->now_ms;
    uint64_t free_bytes, total_bytes;
    if (store_disk_free (engine->store, &free_bytes, &total_bytes) != STATUS_OK)
        return;
    uint64_t least = engine->config.limits.disk_free_min_bytes;
    if (least == 0)
        least = total_bytes / 20 < 2 * GIB ? total_bytes / 20 : 2 * GIB;
    bool full = engine->disk_full ? free_bytes < 2 * least : free_bytes < least;
    if (full != engine->disk_full) {
        event_log (full ? EVENT_LOG_ERROR : EVENT_LOG_INFO,
            full ? "the disk is nearly full: writes are refused and leaderships handed over; make room"
                 : "there is room on the disk again",
            event_log_u64 ("free_bytes", free_bytes), event_log_u64 ("least_bytes", least));
        engine->disk_full = full;
        engine_balance_set (engine, !full && !engine->disk_slow && !engine->draining);
    }
    if (full)
        engine_hand_over (engine);
}

/* A leader whose disk stalls holds up everybody's calls; as a follower it holds up nobody. */
void engine_slow_disk_watch (struct engine *engine)
{
    uint64_t waiting_ms = engine->at_writer == NULL ? 0 : (engine->now_us - engine->sealed_us) / 1000;
    bool slow =
        engine->disk_slow ? waiting_ms > 0 || engine->sync_us > SLOW_DISK_AGAIN_MS * 1000 : waiting_ms > SLOW_DISK_MS;
    if (slow != engine->disk_slow) {
        event_log (EVENT_LOG_WARN, slow ? "the disk is slow: leaderships are handed over" : "the disk is quick again",
            event_log_u64 ("waiting_ms", waiting_ms), event_log_u64 ("sync_us", engine->sync_us));
        engine->disk_slow = slow;
        engine_balance_set (engine, !slow && !engine->disk_full && !engine->draining);
    }
    if (slow && !engine_alone (engine))
        engine_hand_over (engine);
}

/* The log is cut behind the write-back, and only what was written back can leave memory: when that falls behind, new
 * writes wait outside (P7). */
void engine_memory_watch (struct engine *engine)
{
    uint64_t log_bytes = 0;
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        struct shard_status status;
        if (engine->replicas[shard] == NULL)
            continue;
        shard_status_get (engine->replicas[shard]->core, &status);
        log_bytes += status.log_bytes;
    }
    bool full = log_bytes > LOG_MEMORY_BYTES || engine->budget.used_bytes > 2 * engine->budget.max_bytes;
    if (full != engine->memory_full)
        event_log (EVENT_LOG_WARN, full ? "memory is full: writes wait for the write-back" : "there is memory again",
            event_log_u64 ("log_bytes", log_bytes), event_log_u64 ("state_bytes", engine->budget.used_bytes));
    engine->memory_full = full;
}
