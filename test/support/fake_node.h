/* A node that says what a test tells it to: a ROUTER in a thread of its own, and a script that answers each request.
 *
 * Room: test/support. Ownership: the test owns the struct; fake_node_start / fake_node_stop. Thread safety: the script
 * runs in the node's thread; what it shares with the test must be atomic.
 */
#ifndef MAITRED_TEST_SUPPORT_FAKE_NODE_H
#define MAITRED_TEST_SUPPORT_FAKE_NODE_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "schemas/generated/common.h"
#include "schemas/generated/methods.h"
#include "schemas/generated/wire.h"
#include "schemas/runtime/placement_hash.h"

#define FAKE_NODES_MAX 4
#define FAKE_FRAMES_MAX 67 /* the identity, 32 calls, and two too many */

struct fake_node;

struct fake_request {
    struct request_header header; /* borrows from the frame */
    struct bytes body;
    uint32_t number; /* counts the requests of this node, from 1 */
};

struct fake_answer {
    bool silent;                   /* no answer at all */
    struct reply_header header;    /* protocol and call are filled in */
    const struct codec_type *type; /* of value; NULL: an empty body */
    const void *value;
    struct bytes body; /* instead of a value: encoded already */
    const char *raw;   /* instead of a header: these bytes as the only or first frame */
    size_t raw_len;
    int frames;       /* 0: two, as it should be */
    bool stray_frame; /* a message of one frame goes out just before */
};

typedef void fake_script (struct fake_node *node, const struct fake_request *request, struct fake_answer *answer);

struct fake_node {
    char endpoint[64];
    fake_script *script;
    void *user;
    const struct fake_node *const *cluster; /* what cluster.Ring says; NULL: UNIMPLEMENTED */
    uint32_t cluster_count;
    uint32_t leader;                         /* node number that leads every shard, 0: unknown */
    uint32_t shard_count;                    /* of the ring */
    char curve_public[41], curve_secret[41]; /* "" without CURVE */
    bool many;                               /* says that it takes several calls in one message */
    void *context, *socket;
    pthread_t thread;
    _Atomic bool stop;
    _Atomic uint32_t requests; /* all but cluster.Ring */
    _Atomic uint32_t
        bad_requests;          /* half a call, or a header that does not decode; several calls where many is not said */
    _Atomic uint32_t messages; /* of requests but cluster.Ring */
    _Atomic uint32_t calls_most;       /* in one of them */
    _Alignas(8) uint8_t storage[4096]; /* for values that a script makes */
};

/* The ring as this node tells it: one row per shard. */
static inline void fake_node_ring (
    const struct fake_node *node, struct ring_reply *ring, struct cluster_node *nodes, struct cluster_shard *shards)
{
    for (uint32_t i = 0; i < node->cluster_count; i++)
        nodes[i] = (struct cluster_node){.node = i + 1,
            .state = NODE_STATE_ALIVE,
            .client_endpoint = bytes_text (node->cluster[i]->endpoint),
            .peer_endpoint = BYTES_LITERAL ("")};
    for (uint32_t i = 0; i <= node->shard_count; i++)
        shards[i] = (struct cluster_shard){.shard = i, .leader = node->leader};
    *ring = (struct ring_reply){.epoch = 1,
        .shard_count = node->shard_count,
        .nodes = nodes,
        .nodes_count = node->cluster_count,
        .shards = shards,
        .shards_count = node->shard_count + 1};
}

static inline void fake_node_reply (
    struct fake_node *node, zmq_msg_t *identity, const struct fake_request *request, struct fake_answer *answer)
{
    static const size_t room = 256 * 1024;
    uint8_t header[REPLY_HEADER_ENCODED_MAX];
    uint8_t *body = malloc (room);
    size_t header_len = 0, body_len = 0;
    answer->header.protocol = 1;
    answer->header.call = request->header.call;
    answer->header.has_many = answer->header.many = node->many && request->header.has_many && request->header.many;
    bool fine =
        body != NULL &&
        codec_encode (&reply_header_type, &answer->header, header, sizeof header, &header_len) == STATUS_OK &&
        (answer->type == NULL || codec_encode (answer->type, answer->value, body, room, &body_len) == STATUS_OK);
    if (!fine) {
        fprintf (stderr, "fake_node: the script's answer does not encode\n");
        abort ();
    }
    int frames = answer->frames != 0 ? answer->frames : 2;
    if (answer->stray_frame) {
        zmq_msg_t stray;
        zmq_msg_init (&stray);
        zmq_msg_copy (&stray, identity);
        zmq_msg_send (&stray, node->socket, ZMQ_SNDMORE);
        zmq_send (node->socket, "stray", 5, 0);
    }
    zmq_msg_t copy;
    zmq_msg_init (&copy);
    zmq_msg_copy (&copy, identity);
    zmq_msg_send (&copy, node->socket, ZMQ_SNDMORE);
    for (int i = 0; i < frames; i++) {
        const void *data = i == 0 ? header : answer->body.len > 0 ? answer->body.data : body;
        size_t len = i == 0 ? header_len : answer->body.len > 0 ? answer->body.len : body_len;
        if (i == 0 && answer->raw != NULL) {
            data = answer->raw;
            len = answer->raw_len;
        }
        zmq_send (node->socket, data, len, i + 1 < frames ? ZMQ_SNDMORE : 0);
    }
    free (body);
}

static inline void fake_node_serve (struct fake_node *node, zmq_msg_t *identity, zmq_msg_t *header, zmq_msg_t *body)
{
    struct fake_request request = {.body = bytes_of (zmq_msg_data (body), zmq_msg_size (body))};
    struct fake_answer answer = {0};
    struct cluster_node nodes[FAKE_NODES_MAX];
    struct cluster_shard shards[65];
    struct ring_reply ring;
    if (codec_decode (&request_header_type, bytes_of (zmq_msg_data (header), zmq_msg_size (header)), CODEC_STRICT, NULL,
            &request.header, NULL) != STATUS_OK) {
        node->bad_requests++;
        return;
    }
    if (bytes_equal (request.header.method, BYTES_LITERAL ("cluster.Ring"))) {
        if (node->cluster == NULL) {
            answer.header.status = STATUS_UNIMPLEMENTED;
        } else {
            fake_node_ring (node, &ring, nodes, shards);
            answer.type = &ring_reply_type;
            answer.value = &ring;
        }
    } else {
        request.number = ++node->requests;
        node->script (node, &request, &answer);
    }
    if (!answer.silent)
        fake_node_reply (node, identity, &request, &answer);
}

static inline void *fake_node_run (void *argument)
{
    struct fake_node *node = argument;
    while (!node->stop) {
        zmq_msg_t frames[FAKE_FRAMES_MAX];
        int count = 0;
        zmq_pollitem_t item = {.socket = node->socket, .events = ZMQ_POLLIN};
        if (zmq_poll (&item, 1, 10) <= 0)
            continue;
        for (bool more = true; more && count < FAKE_FRAMES_MAX; count++) {
            zmq_msg_init (&frames[count]);
            more = zmq_msg_recv (&frames[count], node->socket, 0) >= 0 && zmq_msg_more (&frames[count]);
        }
        uint32_t calls = (uint32_t) (count - 1) / 2, before = node->requests;
        if (count % 2 == 0 || calls == 0 || calls > (node->many ? 32u : 1u))
            node->bad_requests++;
        else
            for (uint32_t i = 0; i < calls; i++)
                fake_node_serve (node, &frames[0], &frames[1 + 2 * i], &frames[2 + 2 * i]);
        node->messages += node->requests > before;
        if (calls > node->calls_most)
            node->calls_most = calls;
        for (int i = 0; i < count; i++)
            zmq_msg_close (&frames[i]);
    }
    zmq_close (node->socket);
    return NULL;
}

/* Binds to a free port, or again to node->endpoint when that is set; false when it cannot. */
static inline bool fake_node_start (struct fake_node *node, fake_script *script, void *user)
{
    int linger = 0;
    size_t size = sizeof node->endpoint;
    node->script = script;
    node->user = user;
    node->stop = false;
    node->shard_count = node->shard_count != 0 ? node->shard_count : 8;
    node->context = zmq_ctx_new ();
    node->socket = zmq_socket (node->context, ZMQ_ROUTER);
    zmq_setsockopt (node->socket, ZMQ_LINGER, &linger, sizeof linger);
    if (node->curve_secret[0] != '\0') {
        int server = 1;
        zmq_setsockopt (node->socket, ZMQ_CURVE_SERVER, &server, sizeof server);
        zmq_setsockopt (node->socket, ZMQ_CURVE_SECRETKEY, node->curve_secret, sizeof node->curve_secret);
    }
    if (zmq_bind (node->socket, node->endpoint[0] != '\0' ? node->endpoint : "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt (node->socket, ZMQ_LAST_ENDPOINT, node->endpoint, &size) != 0)
        return false;
    return pthread_create (&node->thread, NULL, fake_node_run, node) == 0;
}

/* Closes the socket, as a kill would: connections break, nothing more is answered. */
static inline void fake_node_stop (struct fake_node *node)
{
    if (node->context == NULL)
        return;
    node->stop = true;
    pthread_join (node->thread, NULL);
    zmq_ctx_term (node->context);
    node->context = NULL;
}

/* The same, and waits until ZeroMQ has told a client's monitor of it. */
static inline bool fake_node_stop_seen (struct fake_node *node, void *monitor)
{
    struct pollfd told = {.events = POLLIN};
    size_t size = sizeof told.fd;
    bool watched = zmq_getsockopt (monitor, ZMQ_FD, &told.fd, &size) == 0;
    fake_node_stop (node);
    return watched && poll (&told, 1, 60000) == 1;
}

/* Says OK to every method that a bench or a shell needs. */
static inline void fake_node_friendly (
    struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    static const struct health_reply health = {.status = HEALTH_STATUS_SERVING, .node = 1};
    const struct method *method = method_by_name (request->header.method);
    if (method == NULL) {
        answer->header.status = STATUS_UNIMPLEMENTED;
        return;
    }
    answer->type = method->reply;
    answer->value = node->storage;
    memset (node->storage, 0, sizeof node->storage);
    struct reserve_reply *reserved = (struct reserve_reply *) (void *) node->storage;
    struct put_reply *put = (struct put_reply *) (void *) node->storage;
    if (method->reply == &reserve_reply_type) {
        *reserved = (struct reserve_reply){.state = RESERVE_STATE_CONFIRMED, .version = 1};
    } else if (method->reply == &put_reply_type) {
        put->version = 1;
    } else if (method->reply == &health_reply_type) {
        answer->value = &health;
    } else {
        answer->type = NULL;
        answer->header.status = STATUS_UNIMPLEMENTED;
    }
}

#endif
