/* Write-back: changed state goes to the state database in rounds, then the log is cut behind it.
 *
 * A round: choose replicas -> copy their changes, a slice a turn -> one atomic write on the flusher's thread -> tell the
 * tables, cut the logs. The log keeps more than it must (shard_log_cut): the last seconds or a share of LOG_BYTES_KEPT, so that
 * a follower that was away for a few seconds is fed from the log and not by a snapshot.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "node/engine/engine_internal.h"

#define CHECK_MS 50
#define RETRY_MS 1000 /* after the disk had no room */
#define SWEEP_MS 1000 /* from one sweep to the next: a node that comes back takes in snapshots of many shards */
#define ENTRIES_A_TURN 1024
#define REPLICAS_A_ROUND 16
#define LOG_BYTES_HOT (8 * 1024 * 1024)   /* of one replica, not written back yet: that is done at once */
#define LOG_BYTES_KEPT (64 * 1024 * 1024) /* of all replicas, for followers that were away; flush_bytes at most ... */
#define LOG_KEPT_SHARE 2                  /* ... and a single one has no more than half of it */
#define LOG_DISK_FACTOR 4                 /* times flush_bytes of log on disk: whoever holds the oldest turn is cut */
#define EVICT_VISITS 8192

/* ---- the thread */

static void *write_state (void *argument)
{
    struct engine *engine = argument;
    struct flusher *flusher = &engine->flusher;
    pthread_mutex_lock (&flusher->lock);
    while (!flusher->stop) {
        bool idle = flusher->batches_count == 0 && !flusher->sweep && !flusher->mend;
        if (idle || flusher->done) {
            pthread_cond_wait (&flusher->wake, &flusher->lock);
            continue;
        }
        /* What is handed over while this job runs belongs to the next one. */
        bool round = flusher->batches_count > 0, mend = flusher->mend && !round;
        bool left = flusher->sweep, sweep = left && !mend; /* a copy that is about to take its place needs none */
        flusher->sweep = false;
        pthread_mutex_unlock (&flusher->lock);
        enum status status = STATUS_OK;
        if (mend) /* the reactor keeps imports away meanwhile: it must not wait for this */
            status = store_mend_copy (engine->store, &flusher->mended, &flusher->error);
        pthread_mutex_lock (&flusher->disk);
        if (round)
            status = store_state_write (engine->store, flusher->batches, flusher->batches_count, &flusher->error);
        if (status == STATUS_OK && sweep) {
            status = store_state_sweep (engine->store, 16, &left, &flusher->error);
            if (status == STATUS_DATA_LOSS) {
                /* What is swept is nobody's; whose state lies beside it is found by the scrubber. */
                store_state_hold (engine->store);
                status = STATUS_OK;
            }
        }
        pthread_mutex_unlock (&flusher->disk);
        pthread_mutex_lock (&flusher->lock);
        flusher->left |= left || (sweep && status == STATUS_RESOURCE_EXHAUSTED);
        if (!round && !mend && (status == STATUS_OK || status == STATUS_RESOURCE_EXHAUSTED))
            continue; /* nobody waits for a sweep, and what it had no room for is left */
        flusher->status = status;
        flusher->done = true;
        flusher->mend = flusher->mend && !mend;
        uint64_t one = 1;
        ssize_t written = write (flusher->event_fd, &one, sizeof one);
        (void) written;
    }
    pthread_mutex_unlock (&flusher->lock);
    return NULL;
}

enum status engine_flusher_start (struct engine *engine)
{
    struct flusher *flusher = &engine->flusher;
    pthread_mutex_init (&flusher->lock, NULL);
    pthread_mutex_init (&flusher->disk, NULL);
    pthread_cond_init (&flusher->wake, NULL);
    flusher->event_fd = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
    engine->flushing = calloc (REPLICAS_A_ROUND, sizeof *engine->flushing);
    engine->flush_batches = calloc (REPLICAS_A_ROUND, sizeof *engine->flush_batches);
    if (flusher->event_fd < 0 || engine->flushing == NULL || engine->flush_batches == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    flusher->sweep = true; /* what an interrupted import or a removed replica left behind */
    if (pthread_create (&flusher->thread, NULL, write_state, engine) != 0)
        return STATUS_RESOURCE_EXHAUSTED;
    pthread_setname_np (flusher->thread, "flusher");
    flusher->running = true;
    return STATUS_OK;
}

void engine_flusher_stop (struct engine *engine)
{
    struct flusher *flusher = &engine->flusher;
    if (flusher->running) {
        pthread_mutex_lock (&flusher->lock);
        flusher->stop = true;
        pthread_cond_broadcast (&flusher->wake);
        pthread_mutex_unlock (&flusher->lock);
        pthread_join (flusher->thread, NULL);
        flusher->running = false;
        close (flusher->event_fd);
    }
    store_mend_close (&flusher->mended);
    store_mend_close (&engine->mend);
    for (size_t i = 0; i < engine->flush_batches_count; i++)
        store_batch_destroy (&engine->flush_batches[i]);
    free (engine->flush_batches);
    free (engine->flushing);
    engine->flush_batches = NULL;
    engine->flushing = NULL;
}

/* ---- choosing */

static bool begin (struct engine *engine, struct replica *replica, const struct shard_status *status)
{
    uint64_t term;
    struct raft_configuration members;
    if (replica->import != NULL || replica->damaged || table_write_back_running (replica->table) ||
        !shard_log_point (replica->core, status->applied_index, &term, &members) || members.count == 0)
        return false; /* where nobody's members are known yet nobody can begin: the next entry that has them comes first */
    if (table_write_back_begin (replica->table, status->applied_index, term) != STATUS_OK)
        return false;
    failpoint_pass (FAILPOINT_FLUSH_BEGIN);
    replica->flushed_ms = engine->now_ms;
    replica->swept = engine->flush_sweep;
    engine->flushing[engine->flushing_count++] = replica;
    return true;
}

static void cut_log (struct engine *engine, struct replica *replica, uint64_t index)
{
    uint64_t term;
    struct raft_configuration members;
    uint8_t config[RAFT_CONFIGURATION_BYTES_MAX];
    if (index <= replica->compacted || !shard_log_point (replica->core, index, &term, &members) || members.count == 0)
        return;
    size_t len = raft_configuration_encode (&members, config);
    failpoint_pass (FAILPOINT_PERSIST_CUT_BEFORE);
    if (store_turn_compact (engine->collecting, replica->shard, replica->id, index, term, bytes_of (config, len)) !=
        STATUS_OK)
        engine_halt (engine, "shard %u: its log cannot be cut for want of memory", replica->shard);
    failpoint_pass (FAILPOINT_PERSIST_CUT_AFTER);
    replica->cut_collecting = true;
    replica->compacted = index;
    engine->counters.compactions++;
    struct shard_event event = {.type = SHARD_EVENT_COMPACT, .compact_index = index};
    engine_step (engine, replica, &event);
}

static void choose (struct engine *engine)
{
    struct store_log_usage usage;
    store_log_usage (engine->store, &usage);
    /* So much log asks for one sweep over all replicas, each once: under load there is always something new to write, and
     * a file for every few bookings would keep the disk from syncing the log. */
    if (usage.bytes > engine->turn_bytes_flushed + engine->config.limits.flush_bytes) {
        engine->flush_sweep++;
        engine->turn_bytes_flushed = usage.bytes;
    }
    bool too_much = usage.bytes > engine->config.limits.flush_bytes * LOG_DISK_FACTOR;
    uint32_t count = engine->config.shards + 1;
    for (uint32_t i = 0; i < count && engine->flushing_count < REPLICAS_A_ROUND; i++) {
        uint32_t shard = (engine->flush_next_shard + i) % count;
        struct replica *replica = engine->replicas[shard];
        if (replica == NULL)
            continue;
        struct shard_status status;
        shard_status_get (replica->core, &status);
        bool oldest = too_much && usage.replica == replica->id && usage.shard == shard;
        if ((oldest || engine->log_damaged) && status.applied_index == replica->written)
            cut_log (engine, replica, replica->written);
        if (status.applied_index <= replica->written)
            continue;
        bool due = engine->now_ms >= replica->flushed_ms + engine->config.limits.flush_ms;
        bool changed = table_dirty_bytes (replica->table) > 0;
        bool swept = replica->swept == engine->flush_sweep;
        bool wanted = replica->wanted > replica->written;
        if (wanted || (due && changed) || (!swept && changed) || oldest ||
            shard_log_bytes (replica->core, replica->written) > LOG_BYTES_HOT)
            begin (engine, replica, &status);
    }
    engine->flush_next_shard = (engine->flush_next_shard + REPLICAS_A_ROUND) % count;
    if (usage.bytes < engine->turn_bytes_flushed)
        engine->turn_bytes_flushed = usage.bytes;
}

/* ---- copying, a slice a turn */

static void hand_over (struct engine *engine)
{
    struct flusher *flusher = &engine->flusher;
    if (engine->mending != MEND_NONE) {
        engine->flush_again = true;
        return;
    }
    failpoint_pass (FAILPOINT_FLUSH_HAND_OVER);
    pthread_mutex_lock (&flusher->lock);
    flusher->batches = engine->flush_batches;
    flusher->batches_count = engine->flush_batches_count;
    pthread_cond_signal (&flusher->wake);
    pthread_mutex_unlock (&flusher->lock);
}

static void copy_slice (struct engine *engine)
{
    struct replica *replica = engine->flushing[engine->flush_building];
    struct store_batch *batch = NULL;
    if (replica != NULL) {
        if (!table_write_back_step (replica->table, ENTRIES_A_TURN, &batch)) {
            if (table_failed (replica->table))
                engine_halt (engine, "shard %u: its state cannot be copied for want of memory", replica->shard);
            return;
        }
        engine->flush_batches[engine->flush_batches_count++] = batch;
        engine->counters.flush_bytes += store_batch_bytes (batch);
    }
    engine->flush_building++;
    if (engine->flush_building < engine->flushing_count)
        return;
    if (engine->flush_batches_count > 0)
        hand_over (engine);
    else
        engine->flushing_count = engine->flush_building = 0;
}

static bool receiving (const struct engine *engine)
{
    bool any = false;
    for (uint32_t shard = 0; shard <= engine->config.shards && !any; shard++)
        any = engine->replicas[shard] != NULL && engine->replicas[shard]->import != NULL;
    return any;
}

/* Old state goes while the node runs, not only at a start: each snapshot that is taken in leaves a whole copy of its shard
 * behind. Between rounds, for one under way may still write to what a snapshot has replaced. */
static void sweep (struct engine *engine)
{
    struct flusher *flusher = &engine->flusher;
    if (engine->now_ms < engine->swept_ms + SWEEP_MS || receiving (engine))
        return;
    pthread_mutex_lock (&flusher->lock);
    bool wanted = engine->old_state || flusher->left;
    flusher->left = false;
    flusher->sweep |= wanted;
    if (wanted)
        pthread_cond_signal (&flusher->wake);
    pthread_mutex_unlock (&flusher->lock);
    if (wanted)
        engine->swept_ms = engine->now_ms;
    engine->old_state = false;
}

static void evict (struct engine *engine)
{
    if (engine->budget.used_bytes <= engine->budget.max_bytes)
        return;
    struct replica *largest = NULL;
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        struct replica *replica = engine->replicas[shard];
        if (replica != NULL && (largest == NULL || table_bytes (replica->table) > table_bytes (largest->table)))
            largest = replica;
    }
    if (largest != NULL)
        engine->counters.evicted_bytes +=
            table_evict (largest->table, engine->budget.used_bytes - engine->budget.max_bytes, EVICT_VISITS);
}

void engine_flush_step (struct engine *engine)
{
    if (engine->flush_building < engine->flushing_count) {
        copy_slice (engine);
        return;
    }
    if (engine->flush_retry_ms != 0) {
        if (engine->now_ms < engine->flush_retry_ms)
            return;
        engine->flush_retry_ms = 0;
        hand_over (engine); /* the same batches once more */
        return;
    }
    if (engine->mending != MEND_NONE || engine->flushing_count > 0 ||
        engine->now_ms < engine->flush_checked_ms + CHECK_MS)
        return;
    engine->flush_checked_ms = engine->now_ms;
    evict (engine);
    sweep (engine);
    engine->flush_building = 0;
    choose (engine);
}

/* ---- done */

/* Of what all logs may keep, the share of one: as much as it has of all that there is. */
static uint64_t kept_bytes (const struct engine *engine, const struct replica *self)
{
    uint64_t all = 0, own = 0;
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        const struct replica *replica = engine->replicas[shard];
        uint64_t bytes = replica == NULL ? 0 : shard_log_bytes (replica->core, 0);
        all += bytes;
        own += replica == self ? bytes : 0;
    }
    uint64_t budget = engine->config.limits.flush_bytes;
    budget = budget < LOG_BYTES_KEPT ? budget : LOG_BYTES_KEPT;
    if (all <= budget / LOG_KEPT_SHARE)
        return all;
    uint64_t share = (uint64_t) ((double) budget * (double) own / (double) all);
    return share < budget / LOG_KEPT_SHARE ? share : budget / LOG_KEPT_SHARE;
}

static void finish_replica (struct engine *engine, struct replica *replica, const struct store_batch *batch)
{
    table_write_back_done (replica->table);
    replica->written = store_batch_applied_index (batch);
    struct store_log_usage usage;
    store_log_usage (engine->store, &usage);
    bool close = engine->log_damaged || usage.bytes > engine->config.limits.flush_bytes * LOG_DISK_FACTOR;
    uint64_t cut = shard_log_cut (replica->core, &replica->log_keep, replica->written, kept_bytes (engine, replica),
        engine->config.limits.flush_ms, engine->now_ms);
    cut_log (engine, replica, close ? replica->written : cut);
}

/* Nothing of the files was live, and the log still has all of it. Meanwhile the disk counts as full: no entries, no
 * writes. */
static void no_room (struct engine *engine)
{
    if (!engine->flush_no_room)
        event_log (EVENT_LOG_ERROR, "no room to write the state back: it is tried again; make room on the disk",
            event_log_text ("why", engine->flusher.error.text));
    engine->flush_no_room = true;
    engine->flush_retry_ms = engine->now_ms + RETRY_MS;
    engine->disk_checked_ms = 0;
}

void engine_flush_completed (struct engine *engine)
{
    struct flusher *flusher = &engine->flusher;
    uint64_t count;
    if (read (flusher->event_fd, &count, sizeof count) != sizeof count)
        return;
    pthread_mutex_lock (&flusher->lock);
    bool done = flusher->done;
    bool round = flusher->batches_count > 0;
    bool mended = done && !round && engine->mending == MEND_COPYING && !flusher->mend;
    struct store_mend *mend = flusher->mended;
    enum status status = flusher->status;
    flusher->done = false;
    flusher->mended = NULL;
    flusher->batches_count = 0;
    flusher->batches = NULL;
    pthread_cond_signal (&flusher->wake);
    pthread_mutex_unlock (&flusher->lock);
    if (!done)
        return;
    if (status == STATUS_DATA_LOSS && round) {
        /* A compaction met damage, and the database takes nothing more: the round waits for another one. */
        event_log (EVENT_LOG_WARN, "the state database is damaged", event_log_text ("why", flusher->error.text));
        engine->flush_again = true;
        engine_mend_begin (engine);
        return;
    }
    if (status == STATUS_RESOURCE_EXHAUSTED && round) {
        no_room (engine);
        return;
    }
    if (status != STATUS_OK) {
        engine_state_failed (engine);
        engine_halt (engine, "the state database could not be written: %s", flusher->error.text);
    }
    if (mended)
        engine_mend_copied (engine, mend);
    if (!round)
        return;
    failpoint_pass (FAILPOINT_FLUSH_DONE_BEFORE);
    engine->flush_no_room = false;
    engine->counters.flushes++;
    for (size_t i = 0; i < engine->flushing_count; i++) {
        struct replica *replica = engine->flushing[i];
        for (size_t at = 0; replica != NULL && at < engine->flush_batches_count; at++) {
            if (store_batch_shard (engine->flush_batches[at]) == replica->shard)
                finish_replica (engine, replica, engine->flush_batches[at]);
        }
    }
    for (size_t i = 0; i < engine->flush_batches_count; i++)
        store_batch_destroy (&engine->flush_batches[i]);
    engine->flush_batches_count = 0;
    engine->flushing_count = engine->flush_building = 0;
    failpoint_pass (FAILPOINT_FLUSH_DONE_AFTER);
}

void engine_flush_forget (struct engine *engine, const struct replica *replica)
{
    for (size_t i = 0; i < engine->flushing_count; i++) {
        if (engine->flushing[i] == replica)
            engine->flushing[i] = NULL;
    }
}

void engine_flush_mend (struct engine *engine)
{
    struct flusher *flusher = &engine->flusher;
    pthread_mutex_lock (&flusher->lock);
    flusher->mend = true;
    pthread_cond_signal (&flusher->wake);
    pthread_mutex_unlock (&flusher->lock);
}

void engine_flush_again (struct engine *engine)
{
    if (!engine->flush_again)
        return;
    engine->flush_again = false;
    /* What a damaged replica changed last must not stand there alone, as if it were all. */
    size_t kept = 0;
    for (size_t i = 0; i < engine->flush_batches_count; i++) {
        struct store_batch *batch = engine->flush_batches[i];
        const struct replica *replica = engine_replica (engine, store_batch_shard (batch));
        if (replica->damaged || replica->generation != store_batch_generation (batch))
            store_batch_destroy (&batch);
        else
            engine->flush_batches[kept++] = batch;
    }
    engine->flush_batches_count = kept;
    if (kept > 0)
        hand_over (engine);
    else
        engine->flushing_count = engine->flush_building = 0;
}
