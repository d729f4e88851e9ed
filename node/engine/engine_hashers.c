/* Password work (argon2id, 32 ms of a core) off the reactor, behind a bounded queue. */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <sodium.h>

#include "node/engine/engine_internal.h"

static enum identity_job job_of (enum services_prepare_kind kind)
{
    switch (kind) {
    case SERVICES_PREPARE_HASH:
        return IDENTITY_JOB_HASH;
    case SERVICES_PREPARE_CHANGE:
        return IDENTITY_JOB_CHANGE;
    case SERVICES_PREPARE_REFRESH:
        return IDENTITY_JOB_REFRESH;
    case SERVICES_PREPARE_VERIFY:
    case SERVICES_PREPARE_NONE:
    case SERVICES_PREPARE_DONE:
        break; /* the last two are never jobs */
    }
    return IDENTITY_JOB_VERIFY;
}

static void run_job (const struct identity *identity, struct password_job *job)
{
    job->status = identity_prepare (identity, job_of (job->kind), bytes_of (job->password, job->password_len),
        bytes_of (job->hash, job->hash_len), job->credentials_version, job->prepared, &job->prepared_len, NULL);
    sodium_memzero (job->password, sizeof job->password);
}

static void *hash_passwords (void *argument)
{
    struct hashers *hashers = argument;
    pthread_mutex_lock (&hashers->lock);
    while (!hashers->stop) {
        struct password_job *job = hashers->waiting_first;
        if (job == NULL) {
            pthread_cond_wait (&hashers->wake, &hashers->lock);
            continue;
        }
        hashers->waiting_first = job->next;
        if (hashers->waiting_first == NULL)
            hashers->waiting_last = NULL;
        hashers->waiting_count--;
        pthread_mutex_unlock (&hashers->lock);
        run_job (hashers->identity, job);
        pthread_mutex_lock (&hashers->lock);
        job->next = NULL;
        if (hashers->done_last != NULL)
            hashers->done_last->next = job;
        else
            hashers->done_first = job;
        hashers->done_last = job;
        uint64_t one = 1;
        ssize_t written = write (hashers->event_fd, &one, sizeof one);
        (void) written;
    }
    pthread_mutex_unlock (&hashers->lock);
    return NULL;
}

enum status engine_hashers_start (struct engine *engine)
{
    struct hashers *hashers = &engine->hashers;
    pthread_mutex_init (&hashers->lock, NULL);
    pthread_cond_init (&hashers->wake, NULL);
    hashers->identity = engine->identity;
    hashers->event_fd = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (hashers->event_fd < 0)
        return STATUS_RESOURCE_EXHAUSTED;
    for (uint32_t i = 0; i < engine->config.limits.password_threads; i++) {
        if (pthread_create (&hashers->threads[i], NULL, hash_passwords, hashers) != 0)
            return STATUS_RESOURCE_EXHAUSTED;
        pthread_setname_np (hashers->threads[i], "hasher");
        hashers->threads_count++;
    }
    return STATUS_OK;
}

static void free_jobs (struct password_job *job)
{
    while (job != NULL) {
        struct password_job *next = job->next;
        sodium_memzero (job->password, sizeof job->password);
        free (job->logged);
        free (job);
        job = next;
    }
}

void engine_hashers_stop (struct engine *engine)
{
    struct hashers *hashers = &engine->hashers;
    if (hashers->threads_count == 0)
        return;
    pthread_mutex_lock (&hashers->lock);
    hashers->stop = true;
    pthread_cond_broadcast (&hashers->wake);
    pthread_mutex_unlock (&hashers->lock);
    for (uint32_t i = 0; i < hashers->threads_count; i++)
        pthread_join (hashers->threads[i], NULL);
    hashers->threads_count = 0;
    free_jobs (hashers->waiting_first);
    free_jobs (hashers->done_first);
    close (hashers->event_fd);
}

static struct password_job *copy_job (const struct shard_prepare_job *from)
{
    if (from->prepare.password.len > PASSWORD_JOB_BYTES || from->prepare.hash.len > PASSWORD_JOB_BYTES)
        return NULL;
    struct password_job *job = calloc (1, sizeof *job);
    if (job == NULL)
        return NULL;
    job->logged = malloc (from->logged_body.len + 1);
    if (job->logged == NULL) {
        free (job);
        return NULL;
    }
    job->token = from->token;
    job->kind = from->prepare.kind;
    job->credentials_version = from->prepare.credentials_version;
    job->password_len = from->prepare.password.len;
    memcpy (job->password, from->prepare.password.data, job->password_len);
    job->hash_len = from->prepare.hash.len;
    if (job->hash_len > 0)
        memcpy (job->hash, from->prepare.hash.data, job->hash_len);
    job->logged_len = from->logged_body.len;
    if (job->logged_len > 0)
        memcpy (job->logged, from->logged_body.data, job->logged_len);
    return job;
}

void engine_hashers_add (struct engine *engine, const struct shard_prepare_job *from)
{
    struct hashers *hashers = &engine->hashers;
    struct call *call = engine_call_find (engine, from->token);
    if (call == NULL)
        return;
    call->started = false; /* nothing is proposed before the job comes back */
    pthread_mutex_lock (&hashers->lock);
    bool room = hashers->waiting_count < engine->config.limits.password_queue;
    pthread_mutex_unlock (&hashers->lock);
    struct password_job *job = room ? copy_job (from) : NULL;
    if (job == NULL) {
        engine_call_refuse (engine, call, STATUS_RESOURCE_EXHAUSTED, "PASSWORD_QUEUE_FULL",
            "too many passwords wait to be checked; wait and send the same request id again", 200);
        return;
    }
    pthread_mutex_lock (&hashers->lock);
    if (hashers->waiting_last != NULL)
        hashers->waiting_last->next = job;
    else
        hashers->waiting_first = job;
    hashers->waiting_last = job;
    hashers->waiting_count++;
    pthread_cond_signal (&hashers->wake);
    pthread_mutex_unlock (&hashers->lock);
}

static void resume_call (struct engine *engine, const struct password_job *job)
{
    struct call *call = engine_call_find (engine, job->token);
    if (call == NULL)
        return;
    struct replica *replica = engine_replica (engine, call->shard);
    if (job->status != STATUS_OK || replica == NULL) {
        engine_call_refuse (engine, call, STATUS_RESOURCE_EXHAUSTED, "NO_MEMORY",
            "the password could not be checked for want of memory; send the same request id again", 200);
        return;
    }
    call->started = true;
    struct shard_event event = {.type = SHARD_EVENT_CALL,
        .call = {.token = job->token,
            .method = call->method,
            .principal = call->principal,
            .request_id = call->request_id,
            .body = bytes_of (job->logged, job->logged_len),
            .prepared = bytes_of (job->prepared, job->prepared_len),
            .logged_body = bytes_of (job->logged, job->logged_len),
            .deadline_ms = call->deadline_ms}};
    engine_step (engine, replica, &event);
}

void engine_hashers_completed (struct engine *engine)
{
    struct hashers *hashers = &engine->hashers;
    uint64_t count;
    if (read (hashers->event_fd, &count, sizeof count) != sizeof count)
        return;
    pthread_mutex_lock (&hashers->lock);
    struct password_job *done = hashers->done_first;
    hashers->done_first = hashers->done_last = NULL;
    pthread_mutex_unlock (&hashers->lock);
    for (const struct password_job *job = done; job != NULL; job = job->next)
        resume_call (engine, job);
    free_jobs (done);
}
