#include "router/front/zap.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <czmq.h>

#include "router/front/safe_socket.h"
#include "schemas/runtime/assert.h"

struct zap_key {
    uint8_t key[ZAP_KEY_BYTES];
    char name[ZAP_NAME_BYTES_MAX + 1];
    enum zap_domain domain;
};

struct zap {
    pthread_mutex_t lock; /* of keys, keys_count, any, last */
    struct zap_key keys[ZAP_KEYS_MAX];
    size_t keys_count;
    bool any[ZAP_DOMAINS];
    atomic_uint_fast64_t refused;
    struct zap_refusal last;
    zactor_t *actor;
    /* Written by the actor before it signals that it is ready; atomic for ThreadSanitizer, which cannot see the signal. */
    atomic_bool bound;
};

static const char *const domain_names[ZAP_DOMAINS] = {"client", "peer"};

const char *zap_domain_name (enum zap_domain domain)
{
    maitre_assert (domain < ZAP_DOMAINS);
    return domain_names[domain];
}

static struct zap_key *find_key (struct zap *zap, enum zap_domain domain, const uint8_t *key)
{
    for (size_t i = 0; i < zap->keys_count; i++) {
        if (zap->keys[i].domain == domain && memcmp (zap->keys[i].key, key, ZAP_KEY_BYTES) == 0)
            return &zap->keys[i];
    }
    return NULL;
}

/* One question, without its request id: version, request id, domain, address, identity, mechanism, credentials. */
struct zap_question {
    uint8_t version[8], id[64], domain[16], address[ZAP_ADDRESS_BYTES_MAX], mechanism[16], key[ZAP_KEY_BYTES];
    size_t version_len, id_len, domain_len, address_len, mechanism_len, key_len;
    bool well_formed;
};

static void take_frame (zmq_msg_t *frame, uint8_t *out, size_t out_size, size_t *out_len, bool *fits)
{
    size_t size = zmq_msg_size (frame);
    if (size > out_size) {
        *fits = false;
        size = out_size;
    }
    memcpy (out, zmq_msg_data (frame), size);
    *out_len = size;
}

static bool receive_question (void *socket, struct zap_question *question)
{
    memset (question, 0, sizeof *question);
    bool fits = true;
    size_t count = 0;
    bool more = true;
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init (&frame);
        if (zmq_msg_recv (&frame, socket, count == 0 ? ZMQ_DONTWAIT : 0) < 0) {
            zmq_msg_close (&frame);
            return false;
        }
        if (count == 0)
            take_frame (&frame, question->version, sizeof question->version, &question->version_len, &fits);
        else if (count == 1)
            take_frame (&frame, question->id, sizeof question->id, &question->id_len, &fits);
        else if (count == 2)
            take_frame (&frame, question->domain, sizeof question->domain, &question->domain_len, &fits);
        else if (count == 3)
            take_frame (&frame, question->address, sizeof question->address, &question->address_len, &fits);
        else if (count == 5)
            take_frame (&frame, question->mechanism, sizeof question->mechanism, &question->mechanism_len, &fits);
        else if (count == 6)
            take_frame (&frame, question->key, sizeof question->key, &question->key_len, &fits);
        more = zmq_msg_more (&frame);
        zmq_msg_close (&frame);
        count++;
    }
    question->well_formed = fits && count == 7 && question->key_len == ZAP_KEY_BYTES && question->mechanism_len == 5 &&
                            memcmp (question->mechanism, "CURVE", 5) == 0;
    return true;
}

static bool judge (struct zap *zap, const struct zap_question *question, char *name)
{
    if (!question->well_formed)
        return false;
    enum zap_domain domain = 0;
    while (domain < ZAP_DOMAINS && (strlen (domain_names[domain]) != question->domain_len ||
                                       memcmp (domain_names[domain], question->domain, question->domain_len) != 0))
        domain++;
    if (domain == ZAP_DOMAINS)
        return false;
    bool allowed = false;
    pthread_mutex_lock (&zap->lock);
    const struct zap_key *key = find_key (zap, domain, question->key);
    if (key != NULL || zap->any[domain]) {
        strcpy (name, key != NULL ? key->name : "any");
        allowed = true;
    }
    pthread_mutex_unlock (&zap->lock);
    return allowed;
}

static void note_refusal (struct zap *zap, const struct zap_question *question)
{
    const char *peer = domain_names[ZAP_PEER];
    pthread_mutex_lock (&zap->lock);
    zap->last.peer =
        question->domain_len == strlen (peer) && memcmp (question->domain, peer, question->domain_len) == 0;
    memcpy (zap->last.address, question->address, question->address_len);
    zap->last.address[question->address_len] = '\0';
    pthread_mutex_unlock (&zap->lock);
    atomic_fetch_add (&zap->refused, 1);
}

static void answer (void *socket, const struct zap_question *question, bool allowed, const char *name)
{
    const char *code = allowed ? "200" : "400";
    const char *text = allowed ? "OK" : "this key is not on the list";
    zmq_send (socket, "1.0", 3, ZMQ_SNDMORE);
    zmq_send (socket, question->id, question->id_len, ZMQ_SNDMORE);
    zmq_send (socket, code, 3, ZMQ_SNDMORE);
    zmq_send (socket, text, strlen (text), ZMQ_SNDMORE);
    zmq_send (socket, name, strlen (name), ZMQ_SNDMORE);
    zmq_send (socket, "", 0, 0);
}

static void actor (zsock_t *pipe, void *argument)
{
    struct zap *zap = argument;
    zsock_t *handler = zsock_new (ZMQ_REP);
    zap->bound = handler != NULL && zmq_bind (zsock_resolve (handler), "inproc://zeromq.zap.01") == 0;
    zsock_signal (pipe, 0);
    while (zap->bound) {
        zmq_pollitem_t items[2] = {
            {.socket = zsock_resolve (pipe), .events = ZMQ_POLLIN},
            {.socket = zsock_resolve (handler), .events = ZMQ_POLLIN},
        };
        if (zmq_poll (items, 2, -1) < 0 && errno != EINTR)
            break;
        if (items[0].revents & ZMQ_POLLIN)
            break; /* the only thing ever said on the pipe is $TERM */
        struct zap_question question;
        while (receive_question (items[1].socket, &question)) {
            char name[ZAP_NAME_BYTES_MAX + 1] = "";
            bool allowed = judge (zap, &question, name);
            if (!allowed)
                note_refusal (zap, &question);
            answer (items[1].socket, &question, allowed, name);
        }
    }
    zsock_destroy (&handler);
}

enum status zap_new (struct zap **out)
{
    safe_socket_prepare ();
    struct zap *zap = calloc (1, sizeof *zap);
    if (zap == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    pthread_mutex_init (&zap->lock, NULL);
    zap->actor = zactor_new (actor, zap);
    if (zap->actor == NULL || !zap->bound) {
        enum status status = zap->actor == NULL ? STATUS_RESOURCE_EXHAUSTED : STATUS_FAILED_PRECONDITION;
        zap_destroy (&zap);
        return status;
    }
    *out = zap;
    return STATUS_OK;
}

void zap_destroy (struct zap **self_p)
{
    struct zap *zap = *self_p;
    if (zap == NULL)
        return;
    zactor_destroy (&zap->actor);
    pthread_mutex_destroy (&zap->lock);
    free (zap);
    *self_p = NULL;
}

enum status zap_allow (struct zap *zap, enum zap_domain domain, const uint8_t key[ZAP_KEY_BYTES], const char *name)
{
    maitre_assert (domain < ZAP_DOMAINS);
    maitre_assert (strlen (name) >= 1 && strlen (name) <= ZAP_NAME_BYTES_MAX);
    enum status status = STATUS_OK;
    pthread_mutex_lock (&zap->lock);
    struct zap_key *slot = find_key (zap, domain, key);
    if (slot == NULL && zap->keys_count < ZAP_KEYS_MAX)
        slot = &zap->keys[zap->keys_count++];
    if (slot != NULL) {
        slot->domain = domain;
        memcpy (slot->key, key, ZAP_KEY_BYTES);
        strcpy (slot->name, name);
    } else {
        status = STATUS_RESOURCE_EXHAUSTED;
    }
    pthread_mutex_unlock (&zap->lock);
    return status;
}

void zap_forbid (struct zap *zap, enum zap_domain domain, const uint8_t key[ZAP_KEY_BYTES])
{
    maitre_assert (domain < ZAP_DOMAINS);
    pthread_mutex_lock (&zap->lock);
    struct zap_key *slot = find_key (zap, domain, key);
    if (slot != NULL)
        *slot = zap->keys[--zap->keys_count];
    pthread_mutex_unlock (&zap->lock);
}

void zap_allow_any (struct zap *zap, enum zap_domain domain)
{
    maitre_assert (domain < ZAP_DOMAINS);
    pthread_mutex_lock (&zap->lock);
    zap->any[domain] = true;
    pthread_mutex_unlock (&zap->lock);
}

uint64_t zap_refused (const struct zap *zap)
{
    return atomic_load (&zap->refused);
}

uint64_t zap_refused_last (struct zap *zap, struct zap_refusal *last)
{
    pthread_mutex_lock (&zap->lock);
    *last = zap->last;
    pthread_mutex_unlock (&zap->lock);
    return zap_refused (zap);
}
