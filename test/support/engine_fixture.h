/* Whole nodes inside a test: a cluster's files in a temporary folder, engines in threads, a raw client to talk to them. */
#ifndef MAITRED_TEST_SUPPORT_ENGINE_FIXTURE_H
#define MAITRED_TEST_SUPPORT_ENGINE_FIXTURE_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <glob.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <czmq.h>

#include "node/engine/engine.h"
#include "router/front/safe_socket.h"
#include "schemas/generated/common.h"
#include "schemas/generated/methods.h"
#include "schemas/generated/wire.h"
#include "schemas/runtime/placement_hash.h"

#define FIXTURE_NODES_MAX 3
#define FIXTURE_WAIT_MS 60000

struct fixture_node {
    struct engine *engine; /* NULL: down */
    pthread_t thread;
    struct engine_config config;
};

struct fixture {
    char dir[64];
    char admin[512]; /* token */
    uint32_t nodes_count;
    struct fixture_node nodes[FIXTURE_NODES_MAX + 1]; /* by node number */
    zsock_t *clients[FIXTURE_NODES_MAX + 1];
    uint64_t next_call, next_random;
};

/* This process's for as long as it lives: others that ask meanwhile get another one, whether it is bound or not. */
static inline bool fixture_lock_port (uint16_t port)
{
    char path[64];
    snprintf (path, sizeof path, "/tmp/maitred-ports-%u", (unsigned) getuid ());
    (void) mkdir (path, 0700); /* there already, mostly: then the file says what is wrong */
    snprintf (path, sizeof path, "/tmp/maitred-ports-%u/unit-%u", (unsigned) getuid (), port);
    int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true (fd >= 0);
    if (flock (fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    close (fd);
    return false;
}

/* Below the ports that the system gives to connections, and those of scripts/lib/common.sh: a node that is down for a while
 * must find its own free again. */
static inline uint16_t fixture_free_port (void)
{
    static unsigned tries;
    for (;;) {
        struct timespec now;
        clock_gettime (CLOCK_MONOTONIC, &now);
        unsigned mixed = ((unsigned) getpid () * 7919u + (unsigned) now.tv_nsec + ++tries) * 2654435761u;
        int fd = socket (AF_INET, SOCK_STREAM, 0);
        struct sockaddr_in address = {.sin_family = AF_INET,
            .sin_addr = {.s_addr = htonl (INADDR_LOOPBACK)},
            .sin_port = htons ((uint16_t) (2000u + (mixed >> 8) % 8000u))};
        assert_true (fd >= 0);
        bool free_one = fixture_lock_port (ntohs (address.sin_port)) &&
                        bind (fd, (struct sockaddr *) &address, sizeof address) == 0;
        close (fd);
        if (free_one)
            return ntohs (address.sin_port);
    }
}

static inline uint64_t fixture_wall_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static inline uint64_t fixture_mono_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* Makes the files. The caller may change the configurations before it starts nodes. */
static inline void fixture_init (struct fixture *fixture, uint32_t nodes_count, uint32_t shards)
{
    static struct cluster_nodes nodes;
    struct identity_error error;
    memset (fixture, 0, sizeof *fixture);
    memset (&nodes, 0, sizeof nodes);
    safe_socket_prepare ();
    strcpy (fixture->dir, "/tmp/maitred-engine-XXXXXX");
    assert_non_null (mkdtemp (fixture->dir));
    char files[96];
    snprintf (files, sizeof files, "%s/cluster", fixture->dir);
    fixture->nodes_count = nodes.node_count = nodes_count;
    for (uint32_t i = 0; i < nodes_count; i++) {
        struct cluster_member *member = &nodes.nodes[i];
        snprintf (member->client_endpoint, sizeof member->client_endpoint, "tcp://127.0.0.1:%u", fixture_free_port ());
        snprintf (member->peer_endpoint, sizeof member->peer_endpoint, "tcp://127.0.0.1:%u", fixture_free_port ());
        snprintf (member->gossip_endpoint, sizeof member->gossip_endpoint, "tcp://127.0.0.1:%u", fixture_free_port ());
    }
    assert_int_equal (cluster_files_create (files, &nodes, false, fixture_wall_ms (), &error), STATUS_OK);
    char path[128];
    snprintf (path, sizeof path, "%s/admin.token", files);
    FILE *file = fopen (path, "r");
    assert_non_null (file);
    assert_non_null (fgets (fixture->admin, sizeof fixture->admin, file));
    fixture->admin[strcspn (fixture->admin, "\n")] = '\0';
    fclose (file);
    for (uint32_t node = 1; node <= nodes_count; node++) {
        struct engine_config *config = &fixture->nodes[node].config;
        config->node = node;
        config->nodes = nodes;
        config->shards = shards;
        config->limits.password_threads = 1;
        config->limits.drain_ms = 2000;
        snprintf (config->data, sizeof config->data, "%s/data-%u", fixture->dir, node);
        snprintf (config->secret_path, sizeof config->secret_path, "%s/cluster.secret", files);
        engine_config_defaults (config);
        fixture->clients[node] = zsock_new (ZMQ_DEALER);
        zsock_set_linger (fixture->clients[node], 0);
        zsock_set_reconnect_ivl (fixture->clients[node], 10);
        assert_int_equal (
            zmq_connect (zsock_resolve (fixture->clients[node]), nodes.nodes[node - 1].client_endpoint), 0);
    }
}

static inline void *fixture_run (void *engine)
{
    return (void *) (uintptr_t) engine_run (engine);
}

static inline void fixture_start (struct fixture *fixture, uint32_t node)
{
    struct engine_error error;
    struct fixture_node *it = &fixture->nodes[node];
    /* ZeroMQ frees a port some time after its socket was closed. */
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    while (!engine_open (&it->config, &it->engine, &error)) {
        if (error.exit != ENGINE_EXIT_PORT || fixture_mono_ms () > until)
            fail_msg ("%s", error.text);
        zmq_poll (NULL, 0, 5);
    }
    assert_int_equal (pthread_create (&it->thread, NULL, fixture_run, it->engine), 0);
}

/* In order; `at_once` as after a second signal: nothing is handed over. */
static inline void fixture_stop (struct fixture *fixture, uint32_t node, bool at_once)
{
    struct fixture_node *it = &fixture->nodes[node];
    if (it->engine == NULL)
        return;
    engine_stop (it->engine);
    if (at_once)
        engine_stop (it->engine);
    pthread_join (it->thread, NULL);
    engine_close (&it->engine);
}

/* Waits until a node stops by itself. */
static inline enum engine_exit fixture_wait_exit (struct fixture *fixture, uint32_t node)
{
    struct fixture_node *it = &fixture->nodes[node];
    struct timespec until;
    void *code;
    clock_gettime (CLOCK_REALTIME, &until);
    until.tv_sec += FIXTURE_WAIT_MS / 1000;
    assert_int_equal (pthread_timedjoin_np (it->thread, &code, &until), 0);
    engine_close (&it->engine);
    return (enum engine_exit) (uintptr_t) code;
}

static inline void fixture_start_all (struct fixture *fixture)
{
    for (uint32_t node = 1; node <= fixture->nodes_count; node++)
        fixture_start (fixture, node);
}

static inline void fixture_close (struct fixture *fixture)
{
    char command[96];
    for (uint32_t node = 1; node <= fixture->nodes_count; node++) {
        zsock_destroy (&fixture->clients[node]);
        fixture_stop (fixture, node, true);
    }
    snprintf (command, sizeof command, "rm -rf %s", fixture->dir);
    assert_int_equal (system (command), 0);
}

static inline void fixture_rot (const char *path)
{
    FILE *file = fopen (path, "r+");
    assert_non_null (file);
    assert_int_equal (fseek (file, 30, SEEK_SET), 0);
    int byte = fgetc (file);
    assert_int_equal (fseek (file, 30, SEEK_SET), 0);
    assert_int_equal (fputc (byte ^ 4, file), byte ^ 4);
    fclose (file);
}

/* Flips a bit in the first block of a down node's largest state file, which holds data, or of all, some of which begin
 * with what must be read to open the database at all. */
static inline void fixture_rot_state (const struct fixture *fixture, uint32_t node, bool all)
{
    char path[160];
    glob_t found;
    snprintf (path, sizeof path, "%s/data-%u/state/*.sst", fixture->dir, node);
    assert_int_equal (glob (path, 0, NULL, &found), 0);
    size_t largest = 0;
    off_t most = 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct stat status;
        assert_int_equal (stat (found.gl_pathv[i], &status), 0);
        largest = status.st_size > most ? i : largest;
        most = status.st_size > most ? status.st_size : most;
        if (all)
            fixture_rot (found.gl_pathv[i]);
    }
    if (!all)
        fixture_rot (found.gl_pathv[largest]);
    globfree (&found);
}

/* ---- calls */

struct fixture_reply {
    struct reply_header header;
    uint8_t header_bytes[1024];
    uint8_t body[64 * 1024];
    size_t body_len;
};

/* One attempt, raw bytes. False: no answer of this call within wait_ms. */
static inline bool fixture_exchange (struct fixture *fixture, uint32_t node, const struct request_header *from,
    struct bytes body, struct fixture_reply *reply, long wait_ms)
{
    uint8_t bytes[REQUEST_HEADER_ENCODED_MAX];
    size_t len;
    struct request_header header = *from;
    header.protocol = 1;
    header.call = ++fixture->next_call;
    assert_int_equal (codec_encode (&request_header_type, &header, bytes, sizeof bytes, &len), STATUS_OK);
    void *raw = zsock_resolve (fixture->clients[node]);
    if (zmq_send (raw, bytes, len, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return false;
    zmq_send (raw, body.data, body.len, 0);
    uint64_t until = fixture_mono_ms () + (uint64_t) wait_ms;
    for (;;) {
        uint64_t now = fixture_mono_ms ();
        zmq_pollitem_t item = {.socket = raw, .events = ZMQ_POLLIN};
        if (now >= until || zmq_poll (&item, 1, (long) (until - now)) <= 0)
            return false;
        int head = zmq_recv (raw, reply->header_bytes, sizeof reply->header_bytes, 0);
        int tail = zmq_recv (raw, reply->body, sizeof reply->body, 0);
        assert_true (head > 0 && (size_t) head <= sizeof reply->header_bytes);
        assert_true (tail >= 0 && (size_t) tail <= sizeof reply->body);
        reply->body_len = (size_t) tail;
        assert_int_equal (codec_decode (&reply_header_type, bytes_of (reply->header_bytes, (size_t) head), CODEC_STRICT,
                              NULL, &reply->header, NULL),
            STATUS_OK);
        if (reply->header.call == header.call)
            return true;
    }
}

/* A call until it is answered by something else than UNAVAILABLE. `id` may be NULL. */
static inline enum status fixture_call (struct fixture *fixture, uint32_t node, uint32_t method, const struct id *id,
    const void *request, struct fixture_reply *reply)
{
    const struct method *it = method_by_number (method);
    uint8_t *body = malloc (64 * 1024);
    size_t len;
    assert_int_equal (codec_encode (it->request, request, body, 64 * 1024, &len), STATUS_OK);
    struct request_header header = {
        .method = bytes_text (it->name),
        .has_request_id = id != NULL,
        .has_token = true,
        .token = bytes_text (fixture->admin),
    };
    if (id != NULL)
        header.request_id = *id;
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    bool answered;
    do {
        answered = fixture_exchange (fixture, node, &header, bytes_of (body, len), reply, 2000);
        if (answered && reply->header.status == STATUS_UNAVAILABLE)
            zmq_poll (NULL, 0, 5);
    } while (fixture_mono_ms () < until && (!answered || reply->header.status == STATUS_UNAVAILABLE));
    free (body);
    assert_true (answered);
    return (enum status) reply->header.status;
}

static inline bool fixture_reason (const struct fixture_reply *reply, const char *reason)
{
    return reply->header.has_reason && bytes_equal (reply->header.reason, bytes_text (reason));
}

static inline struct id fixture_id (struct fixture *fixture, uint32_t hash)
{
    return id_make (fixture_wall_ms (), hash, ++fixture->next_random);
}

/* ---- what a node says of itself and of others */

/* The leader of a shard by a node's own word; 0: none known. */
static inline uint32_t fixture_leader (
    struct fixture *fixture, uint32_t node, uint32_t shard, struct fixture_reply *reply)
{
    struct where_request where = {.has_shard = true, .shard = shard};
    struct where_reply place;
    uint8_t memory[1024];
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    assert_int_equal (fixture_call (fixture, node, METHOD_NUMBER_CLUSTER_WHERE, NULL, &where, reply), STATUS_OK);
    assert_int_equal (
        codec_decode (&where_reply_type, bytes_of (reply->body, reply->body_len), CODEC_STRICT, &arena, &place, NULL),
        STATUS_OK);
    return (uint32_t) place.leader;
}

/* Until the node says that it leads the shard itself. */
static inline void fixture_make_leader (
    struct fixture *fixture, uint32_t node, uint32_t shard, struct fixture_reply *reply)
{
    struct transfer_leader_request transfer = {.shard = shard, .has_node = true, .node = node};
    uint64_t until = fixture_mono_ms () + FIXTURE_WAIT_MS;
    while (fixture_leader (fixture, node, shard, reply) != node) {
        assert_true (fixture_mono_ms () < until);
        fixture_call (fixture, node, METHOD_NUMBER_CLUSTER_TRANSFER_LEADER, NULL, &transfer, reply);
    }
}

/* All that cluster.Status says, shards too. Good until the next call of this function. */
static inline struct status_reply fixture_status (struct fixture *fixture, uint32_t node, struct fixture_reply *reply)
{
    static uint8_t memory[64 * 1024];
    struct arena arena;
    struct status_request request = {.has_shards = true, .shards = true};
    struct status_reply status;
    arena_init (&arena, memory, sizeof memory);
    assert_int_equal (fixture_call (fixture, node, METHOD_NUMBER_CLUSTER_STATUS, NULL, &request, reply), STATUS_OK);
    assert_int_equal (
        codec_decode (&status_reply_type, bytes_of (reply->body, reply->body_len), CODEC_STRICT, &arena, &status, NULL),
        STATUS_OK);
    return status;
}

/* By health.Check, which a node always answers. */
static inline bool fixture_serves (struct fixture *fixture, uint32_t node, struct fixture_reply *reply)
{
    struct health_request request = {0};
    struct health_reply health;
    assert_int_equal (fixture_call (fixture, node, METHOD_NUMBER_HEALTH_CHECK, NULL, &request, reply), STATUS_OK);
    assert_int_equal (
        codec_decode (&health_reply_type, bytes_of (reply->body, reply->body_len), CODEC_STRICT, NULL, &health, NULL),
        STATUS_OK);
    assert_int_equal (health.node, node);
    assert_true (health.status == HEALTH_STATUS_SERVING || health.status == HEALTH_STATUS_NOT_SERVING);
    return health.status == HEALTH_STATUS_SERVING;
}

/* ---- a provider and an offer to book */

struct fixture_offer {
    uint32_t hash;
    struct id provider, offer;
};

static inline struct fixture_offer fixture_offer_new (
    struct fixture *fixture, uint32_t node, const char *group, uint64_t capacity)
{
    struct fixture_reply *reply = malloc (sizeof *reply);
    struct fixture_offer made = {.hash = placement_hash_group (bytes_text (group))};
    made.provider = fixture_id (fixture, made.hash);
    made.offer = fixture_id (fixture, made.hash);
    struct put_provider_request provider = {.provider = made.provider,
        .kind = PROVIDER_KIND_HOTEL,
        .name = BYTES_LITERAL ("Hotel"),
        .has_group = true,
        .group = bytes_text (group)};
    struct id id = fixture_id (fixture, made.hash);
    assert_int_equal (
        fixture_call (fixture, node, METHOD_NUMBER_CATALOG_PUT_PROVIDER, &id, &provider, reply), STATUS_OK);
    struct put_offer_request offer = {.offer = made.offer,
        .provider = made.provider,
        .kind = OFFER_KIND_ROOM,
        .name = BYTES_LITERAL ("Room"),
        .price_minor = 9900,
        .currency = BYTES_LITERAL ("GBP"),
        .first_bucket = 0,
        .last_bucket = 100000,
        .capacity = capacity};
    id = fixture_id (fixture, made.hash);
    assert_int_equal (fixture_call (fixture, node, METHOD_NUMBER_CATALOG_PUT_OFFER, &id, &offer, reply), STATUS_OK);
    free (reply);
    return made;
}

static inline enum status fixture_book (struct fixture *fixture, uint32_t node, const struct fixture_offer *offer,
    uint64_t bucket, const struct id *id, const struct id *reservation, struct fixture_reply *reply)
{
    struct reserve_item item = {.offer = offer->offer, .first = bucket};
    struct reserve_create_request request = {
        .reservation = *reservation, .mode = RESERVE_MODE_BOOK, .items = &item, .items_count = 1};
    return fixture_call (fixture, node, METHOD_NUMBER_RESERVE_CREATE, id, &request, reply);
}

#endif
