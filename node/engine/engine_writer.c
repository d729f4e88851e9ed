/* The writer: one thread that commits one batch at a time, synced, while the reactor collects the next. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "node/engine/engine_internal.h"

#define LOAD_INLINE 6        /* messages a millisecond */
#define BATCH_SPACING_US 700 /* from one batch to the next */
#define SYNC_INLINE_US 1500  /* a slower disk is never waited for by the reactor */

static void *write_batches (void *argument)
{
    struct writer *writer = argument;
    pthread_mutex_lock (&writer->lock);
    while (!writer->stop) {
        if (writer->work == NULL || writer->done) {
            pthread_cond_wait (&writer->wake, &writer->lock);
            continue;
        }
        struct store_turn *work = writer->work;
        pthread_mutex_unlock (&writer->lock);
        enum status status = store_turn_commit (work, &writer->error);
        pthread_mutex_lock (&writer->lock);
        writer->status = status;
        writer->done = true;
        pthread_cond_broadcast (&writer->wake);
        uint64_t one = 1;
        ssize_t written = write (writer->event_fd, &one, sizeof one);
        (void) written; /* a counter that is set already wakes the reactor as well */
    }
    pthread_mutex_unlock (&writer->lock);
    return NULL;
}

enum status engine_writer_start (struct engine *engine)
{
    struct writer *writer = &engine->writer;
    pthread_mutex_init (&writer->lock, NULL);
    pthread_cond_init (&writer->wake, NULL);
    writer->event_fd = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
    for (int i = 0; i < 2; i++)
        engine->turns[i] = store_turn_new (engine->store);
    engine->install = store_turn_new (engine->store);
    if (writer->event_fd < 0 || engine->turns[0] == NULL || engine->turns[1] == NULL || engine->install == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    engine->collecting = engine->turns[0];
    if (pthread_create (&writer->thread, NULL, write_batches, writer) != 0)
        return STATUS_RESOURCE_EXHAUSTED;
    pthread_setname_np (writer->thread, "writer");
    writer->running = true;
    return STATUS_OK;
}

void engine_writer_stop (struct engine *engine)
{
    struct writer *writer = &engine->writer;
    if (writer->running) {
        engine_writer_wait (engine);
        pthread_mutex_lock (&writer->lock);
        writer->stop = true;
        pthread_cond_broadcast (&writer->wake);
        pthread_mutex_unlock (&writer->lock);
        pthread_join (writer->thread, NULL);
        writer->running = false;
        close (writer->event_fd);
    }
    for (int i = 0; i < 2; i++)
        store_turn_destroy (&engine->turns[i]);
    store_turn_destroy (&engine->install);
}

void engine_writer_wait (struct engine *engine)
{
    struct writer *writer = &engine->writer;
    pthread_mutex_lock (&writer->lock);
    while (writer->work != NULL && !writer->done)
        pthread_cond_wait (&writer->wake, &writer->lock);
    pthread_mutex_unlock (&writer->lock);
}

bool engine_replica_unwritten (const struct replica *replica)
{
    return replica->collecting != 0 || replica->sealed != 0 || replica->cut_collecting || replica->cut_sealed;
}

static void note_persisted (struct engine *engine)
{
    failpoint_pass (FAILPOINT_TURN_RELEASE_BEFORE);
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        struct replica *replica = engine->replicas[shard];
        if (replica != NULL)
            replica->cut_sealed = false;
        if (replica == NULL || replica->sealed == 0)
            continue;
        replica->persisted = replica->sealed;
        replica->sealed = 0;
        struct shard_event event = {.type = SHARD_EVENT_PERSISTED, .persist_sequence = replica->persisted};
        engine_step (engine, replica, &event);
    }
    transport_release (engine->transport);
    failpoint_pass (FAILPOINT_TURN_RELEASE_AFTER);
}

static void note_committed (struct engine *engine, enum status status, const struct store_error *error)
{
    if (status != STATUS_OK)
        engine_halt (engine, "the log could not be written: %s", error->text);
    uint64_t spent_us = engine_clock_us () - engine->sealed_us;
    engine->counters.batches++;
    engine->counters.batch_us += spent_us;
    engine->sync_us = (engine->sync_us * 7 + spent_us) / 8;
    store_turn_reset (engine->at_writer);
    engine->at_writer = NULL;
    note_persisted (engine);
}

void engine_writer_completed (struct engine *engine)
{
    struct writer *writer = &engine->writer;
    if (engine->at_writer == NULL)
        return;
    pthread_mutex_lock (&writer->lock);
    bool done = writer->done;
    enum status status = writer->status;
    if (done) {
        writer->work = NULL;
        writer->done = false;
    }
    pthread_mutex_unlock (&writer->lock);
    if (!done)
        return;
    uint64_t count;
    ssize_t got = read (writer->event_fd, &count, sizeof count);
    (void) got;
    note_committed (engine, status, &writer->error);
}

static void seal (struct engine *engine)
{
    for (uint32_t shard = 0; shard <= engine->config.shards; shard++) {
        struct replica *replica = engine->replicas[shard];
        if (replica == NULL)
            continue;
        replica->sealed = replica->collecting;
        replica->collecting = 0;
        replica->cut_sealed = replica->cut_collecting;
        replica->cut_collecting = false;
    }
    engine->at_writer = engine->collecting;
    engine->collecting = engine->collecting == engine->turns[0] ? engine->turns[1] : engine->turns[0];
    engine->sealed_us = engine_clock_us ();
}

/* A sync costs the processor a tenth of a millisecond however much it carries, so under load batches are spaced. */
static bool too_early (const struct engine *engine)
{
    return engine->load_per_ms >= LOAD_INLINE && engine_clock_us () - engine->sealed_us < BATCH_SPACING_US;
}

bool engine_writer_submit (struct engine *engine)
{
    struct writer *writer = &engine->writer;
    bool empty = store_turn_empty (engine->collecting);
    if (engine->at_writer != NULL || (empty && !engine->after_waiting) || (!empty && too_early (engine)))
        return false;
    transport_seal (engine->transport);
    engine->after_waiting = false;
    if (empty) {
        /* What waited was asked behind a batch that is synced by now. */
        transport_release (engine->transport);
        return true;
    }
    seal (engine);
    failpoint_pass (FAILPOINT_TURN_SUBMIT_BEFORE);
    if (engine->load_per_ms < LOAD_INLINE && engine->sync_us < SYNC_INLINE_US) {
        /* With little to do the two changes of thread cost more than the reactor gains from not waiting. */
        enum status status = store_turn_commit (engine->at_writer, &writer->error);
        note_committed (engine, status, &writer->error);
        return true;
    }
    pthread_mutex_lock (&writer->lock);
    maitre_assert (writer->work == NULL && !writer->done);
    writer->work = engine->at_writer;
    pthread_cond_broadcast (&writer->wake);
    pthread_mutex_unlock (&writer->lock);
    return false;
}
