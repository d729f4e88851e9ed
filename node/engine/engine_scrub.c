/* The scrubber: reads all state and log at rest in the background, so that rot is found while other replicas are well.
 *
 * A pass: each replica's state, one after the other, then the log; a job at a time goes to the thread, which reads it in
 * pieces at the configured rate. Damage in a state puts its replica into quarantine. Damage in the log is repaired from
 * memory, which holds every entry that is still needed: it is written anew, and cut behind a write-back of all.
 */
#include <errno.h>
#include <time.h>

#include "node/engine/engine_internal.h"

#define PIECE_BYTES (128 * 1024)
#define LOG_JOB(engine) ((engine)->config.shards + 1)

/* ---- the thread */

/* Waits for as long as reading so much may take; false when it is to stop. Lock not held. */
static bool pace (struct engine *engine, uint64_t bytes)
{
    struct scrubber *scrubber = &engine->scrubber;
    uint64_t ns = bytes * 1000000 / (engine->config.limits.scrub_bytes_per_s / 1000 + 1);
    struct timespec until;
    clock_gettime (CLOCK_MONOTONIC, &until);
    ns += (uint64_t) until.tv_nsec;
    until.tv_sec += (time_t) (ns / 1000000000);
    until.tv_nsec = (long) (ns % 1000000000);
    pthread_mutex_lock (&scrubber->lock);
    scrubber->bytes += bytes;
    while (!scrubber->stop && !scrubber->cancel &&
           pthread_cond_timedwait (&scrubber->wake, &scrubber->lock, &until) != ETIMEDOUT)
        continue;
    bool stop = scrubber->stop || scrubber->cancel;
    pthread_mutex_unlock (&scrubber->lock);
    return !stop;
}

static enum status read_state (struct engine *engine, struct store_error *error)
{
    const struct scrubber *scrubber = &engine->scrubber; /* the job stays as it is until it is done */
    struct store_scrub_place place = {0};
    enum status status = STATUS_OK;
    bool over = false;
    uint64_t bytes = 0;
    while (status == STATUS_OK && !over) {
        status = store_state_scrub (engine->store, scrubber->shard, scrubber->replica, scrubber->generation, &place,
            PIECE_BYTES, &bytes, &over, error);
        if (!pace (engine, bytes))
            return STATUS_OK;
    }
    return status;
}

static enum status read_log (struct engine *engine, struct store_error *error)
{
    uint64_t turn = 0, bytes = 0;
    bool over = false;
    enum status status = store_log_scrub_files (engine->store, error);
    while (status == STATUS_OK && !over) {
        status = store_log_scrub (engine->store, &turn, PIECE_BYTES, &bytes, &over, error);
        if (!pace (engine, bytes))
            return STATUS_OK;
    }
    struct store_error renewing;
    if (status == STATUS_DATA_LOSS && store_log_renew (engine->store, &renewing) != STATUS_OK)
        *error = renewing;
    return status;
}

static void *scrub (void *argument)
{
    struct engine *engine = argument;
    struct scrubber *scrubber = &engine->scrubber;
    pthread_mutex_lock (&scrubber->lock);
    while (!scrubber->stop) {
        if (!scrubber->busy) {
            pthread_cond_wait (&scrubber->wake, &scrubber->lock);
            continue;
        }
        pthread_mutex_unlock (&scrubber->lock);
        struct store_error error = {.text = ""};
        if (scrubber->begins)
            store_state_cool (engine->store);
        enum status status = scrubber->log ? read_log (engine, &error) : read_state (engine, &error);
        pthread_mutex_lock (&scrubber->lock);
        scrubber->status = status;
        scrubber->error = error;
        scrubber->busy = false;
    }
    pthread_mutex_unlock (&scrubber->lock);
    return NULL;
}

enum status engine_scrubber_start (struct engine *engine)
{
    struct scrubber *scrubber = &engine->scrubber;
    pthread_condattr_t attributes;
    pthread_mutex_init (&scrubber->lock, NULL);
    pthread_condattr_init (&attributes);
    pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
    pthread_cond_init (&scrubber->wake, &attributes);
    pthread_condattr_destroy (&attributes);
    engine->scrub_begun_ms = engine->now_ms;
    if (pthread_create (&scrubber->thread, NULL, scrub, engine) != 0)
        return STATUS_RESOURCE_EXHAUSTED;
    pthread_setname_np (scrubber->thread, "scrubber");
    scrubber->running = true;
    return STATUS_OK;
}

void engine_scrubber_stop (struct engine *engine)
{
    struct scrubber *scrubber = &engine->scrubber;
    if (!scrubber->running)
        return;
    pthread_mutex_lock (&scrubber->lock);
    scrubber->stop = true;
    pthread_cond_broadcast (&scrubber->wake);
    pthread_mutex_unlock (&scrubber->lock);
    pthread_join (scrubber->thread, NULL);
    scrubber->running = false;
}

/* ---- the reactor */

static void note_log_damage (struct engine *engine, const char *why)
{
    struct store_log_usage usage;
    store_log_usage (engine->store, &usage);
    engine->counters.damages++;
    engine->log_damaged = true;
    engine->log_damaged_turn = usage.turn_last;
    engine->flush_sweep++; /* all is written back, and the log cut close behind it */
    event_log (EVENT_LOG_WARN, "the log on the disk is damaged: it is written anew from memory; check the disk",
        event_log_text ("why", why));
}

static void take_result (struct engine *engine, enum status status, const char *why)
{
    const struct scrubber *scrubber = &engine->scrubber;
    struct replica *replica = scrubber->log ? NULL : engine_replica (engine, scrubber->shard);
    if (status == STATUS_OK)
        return;
    if (scrubber->log)
        note_log_damage (engine, why);
    else if (replica != NULL && replica->id == scrubber->replica && replica->generation == scrubber->generation)
        engine_quarantine (engine, replica, why);
}

static bool next_job (struct engine *engine)
{
    struct scrubber *scrubber = &engine->scrubber;
    uint32_t last = LOG_JOB (engine);
    if (engine->scrub_next > last) {
        engine->counters.scrub_passes++;
        engine->scrub_over_ms = engine->now_ms;
        engine->scrub_next = 0;
    }
    scrubber->begins = engine->scrub_next == 0;
    if (scrubber->begins) {
        if (engine->now_ms < engine->scrub_begun_ms + engine->config.limits.scrub_ms)
            return false;
        engine->scrub_begun_ms = engine->now_ms;
    }
    while (engine->scrub_next < last && engine_replica (engine, engine->scrub_next) == NULL)
        engine->scrub_next++;
    scrubber->log = engine->scrub_next == last;
    scrubber->shard = engine->scrub_next++;
    if (!scrubber->log) {
        const struct replica *replica = engine_replica (engine, scrubber->shard);
        scrubber->replica = replica->id;
        scrubber->generation = replica->generation;
    }
    return true;
}

bool engine_scrub_idle (struct engine *engine)
{
    struct scrubber *scrubber = &engine->scrubber;
    pthread_mutex_lock (&scrubber->lock);
    scrubber->cancel = engine->mending != MEND_NONE;
    if (scrubber->cancel)
        pthread_cond_signal (&scrubber->wake);
    bool busy = scrubber->busy;
    pthread_mutex_unlock (&scrubber->lock);
    return !busy;
}

void engine_scrub_tick (struct engine *engine)
{
    struct scrubber *scrubber = &engine->scrubber;
    struct store_log_usage usage;
    if (engine->log_damaged) {
        store_log_usage (engine->store, &usage);
        engine->log_damaged = usage.turn_first <= engine->log_damaged_turn && usage.bytes > 0;
    }
    if (!engine_scrub_idle (engine) || engine->draining || engine->mending != MEND_NONE)
        return;
    if (engine->scrub_asked)
        take_result (engine, scrubber->status, scrubber->error.text);
    engine->scrub_asked = next_job (engine);
    if (!engine->scrub_asked)
        return;
    pthread_mutex_lock (&scrubber->lock);
    scrubber->busy = true;
    pthread_cond_signal (&scrubber->wake);
    pthread_mutex_unlock (&scrubber->lock);
}
