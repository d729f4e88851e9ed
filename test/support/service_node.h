/* A fake node with the real services behind it: one shard for all users and the system shard, in memory, no log.
 *
 * Room: test/support. For tests of the command line and the replays without a cluster. Every caller is an API key with
 * all roles; passwords are not hashed. It can lose answers after it applied them, and refuse work, at random.
 */
#ifndef MAITRED_TEST_SUPPORT_SERVICE_NODE_H
#define MAITRED_TEST_SUPPORT_SERVICE_NODE_H

#include <time.h>

#include "node/services/services.h"
#include "test/support/fake_node.h"
#include "test/support/state_map.h"

struct service_node {
    struct fake_node node;
    const struct fake_node *cluster[1];
    struct state_map maps[2];
    struct state states[2];
    struct services_config configs[2];
    struct arena arena;
    uint64_t index, random;
    _Atomic uint32_t lose_percent; /* answers that are lost after the call was applied, and as many refused before */
    struct services_reply reply;
    uint8_t body[512 * 1024];
};

static inline uint64_t service_node_now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static inline bool service_node_unlucky (struct service_node *service)
{
    uint64_t z = (service->random += UINT64_C (0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    return (z ^ (z >> 29)) % 100 < service->lose_percent;
}

static inline void service_node_write (struct service_node *service, const struct method *method,
    const struct id *request_id, struct bytes body, struct principal *principal)
{
    static uint8_t payload[600 * 1024];
    unsigned at = method->class == METHOD_SYSTEM_WRITE ? 0 : 1;
    struct services_prepare prepare = {0};
    struct bytes logged = body;
    uint8_t prepared[600] = "x:";
    size_t prepared_len = 0, payload_len = 0;
    services_prepare (&service->configs[at], &service->states[at], method, principal, request_id, body, &service->arena,
        &prepare, &logged, &service->reply);
    if (prepare.kind == SERVICES_PREPARE_DONE)
        return;
    if (prepare.kind == SERVICES_PREPARE_HASH || prepare.kind == SERVICES_PREPARE_VERIFY) {
        memcpy (prepared + 2, prepare.password.data, prepare.password.len);
        prepared_len = prepare.password.len + 2;
    }
    if (prepare.kind == SERVICES_PREPARE_VERIFY) {
        bool right = bytes_equal (prepare.hash, bytes_of (prepared, prepared_len));
        prepared[0] = right ? 1 : 0;
        bytes_put_u64 (prepared + 1, prepare.credentials_version);
        prepared_len = 9;
    }
    if (services_encode_command (method, principal, request_id, service_node_now_ms (), logged,
            bytes_of (prepared, prepared_len), payload, sizeof payload, &payload_len) != STATUS_OK ||
        services_apply (&service->configs[at], &service->states[at], bytes_of (payload, payload_len), ++service->index,
            &service->arena, &service->reply) != STATUS_OK)
        abort ();
}

static inline void service_node_call (
    struct service_node *service, const struct fake_request *request, const struct method *method)
{
    static uint8_t scratch[4 * 1024 * 1024];
    struct principal principal = {.id = {.b = {7}}, .kind = PRINCIPAL_KIND_API_KEY, .roles = 31};
    struct arena arena;
    struct codec_error why;
    size_t len = 0;
    arena_init (&arena, scratch, sizeof scratch);
    arena_reset (&service->arena);
    void *value = arena_alloc (&arena, method->request->size);
    service->reply = (struct services_reply){.status = STATUS_INVALID_ARGUMENT, .reason = "BAD_REQUEST"};
    if (value == NULL ||
        codec_decode (method->request, request->body, CODEC_LENIENT, &arena, value, &why) != STATUS_OK ||
        codec_encode (method->request, value, service->body, sizeof service->body, &len) != STATUS_OK)
        return;
    struct bytes body = bytes_of (service->body, len);
    if (method->class == METHOD_WRITE || method->class == METHOD_SYSTEM_WRITE) {
        service_node_write (service, method, &request->header.request_id, body, &principal);
    } else {
        unsigned at = method->class == METHOD_SYSTEM_READ ? 0 : 1;
        services_read (&service->configs[at], &service->states[at], method, &principal, body, service_node_now_ms (),
            &service->arena, &service->reply);
    }
}

static inline void service_node_local (
    struct service_node *service, const struct method *method, struct fake_answer *answer)
{
    static struct cluster_node nodes[1];
    static struct status_reply status;
    static struct health_reply health;
    nodes[0] = (struct cluster_node){
        .node = 1, .state = NODE_STATE_ALIVE, .client_endpoint = bytes_text (service->node.endpoint)};
    status = (struct status_reply){.node = 1,
        .version = bytes_text ("test"),
        .shard_count = 1,
        .nodes = nodes,
        .nodes_count = 1,
        .has_healthy = true,
        .healthy = true};
    health = (struct health_reply){.status = HEALTH_STATUS_SERVING, .node = 1};
    answer->type = method->reply;
    answer->header.status = STATUS_OK;
    if (method->number == METHOD_NUMBER_CLUSTER_STATUS) {
        answer->value = &status;
    } else if (method->number == METHOD_NUMBER_HEALTH_CHECK) {
        answer->value = &health;
    } else {
        answer->type = NULL;
        answer->header.status = STATUS_UNIMPLEMENTED;
    }
}

static inline void service_node_script (
    struct fake_node *node, const struct fake_request *request, struct fake_answer *answer)
{
    struct service_node *service = node->user;
    const struct method *method = method_by_name (request->header.method);
    if (method == NULL || method->class == METHOD_LOCAL) {
        answer->header.status = STATUS_UNIMPLEMENTED;
        if (method != NULL)
            service_node_local (service, method, answer);
        return;
    }
    if (service_node_unlucky (service)) {
        answer->header.status = STATUS_UNAVAILABLE;
        return;
    }
    service_node_call (service, request, method);
    answer->silent = service_node_unlucky (service);
    answer->header.status = service->reply.status;
    answer->header.has_replayed = answer->header.replayed = service->reply.replayed;
    answer->header.has_reason = service->reply.reason != NULL;
    if (service->reply.reason != NULL)
        answer->header.reason = bytes_text (service->reply.reason);
    answer->header.has_message = service->reply.message != NULL;
    if (service->reply.message != NULL)
        answer->header.message = bytes_text (service->reply.message);
    answer->body = service->reply.body;
}

static inline bool service_node_start (struct service_node *service)
{
    size_t arena_size = SERVICES_ARENA_BYTES_MIN + 4096;
    arena_init (&service->arena, malloc (arena_size), arena_size);
    for (unsigned i = 0; i < 2; i++) {
        state_map_init (&service->maps[i]);
        service->states[i] = state_map_state (&service->maps[i]);
        service->configs[i] =
            (struct services_config){.shard = i, .shard_count = 1, .records_max = 1000000, .record_ttl_ms = 86400000};
    }
    service->cluster[0] = &service->node;
    service->node.cluster = service->cluster;
    service->node.cluster_count = service->node.leader = service->node.shard_count = 1;
    return service->arena.base != NULL && fake_node_start (&service->node, service_node_script, service);
}

static inline void service_node_stop (struct service_node *service)
{
    fake_node_stop (&service->node);
    free (service->arena.base);
    state_map_close (&service->maps[0]);
    state_map_close (&service->maps[1]);
}

#endif
