/* A handle of libmaitre on nodes that a test speaks for: what the tests of the client share. */
#ifndef MAITRED_TEST_SUPPORT_CLIENT_RIG_H
#define MAITRED_TEST_SUPPORT_CLIENT_RIG_H

#include <maitre.h>
#include <time.h>

#include "test/support/fake_node.h"

static inline uint64_t now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* A handle on up to two nodes; `change` may be NULL. */
static inline struct maitre *client_of (
    const struct fake_node *first, const struct fake_node *second, const struct maitre_options *change)
{
    struct maitre_options options;
    struct maitre *client = NULL;
    char endpoints[160];
    maitre_options_init (&options);
    options.attempt_ms = options.deadline_ms =
        60000; /* a late answer is no reason for anything, unless a test says so */
    if (change != NULL)
        options = *change;
    snprintf (endpoints, sizeof endpoints, "%s%s%s", first->endpoint, second != NULL ? "," : "",
        second != NULL ? second->endpoint : "");
    options.endpoints = endpoints;
    assert_int_equal (maitre_new (&options, &client, NULL), MAITRE_OK);
    assert_non_null (client);
    return client;
}

static inline void wait_connected (struct maitre *client, uint32_t count)
{
    uint32_t connected = 0;
    for (uint64_t end = now_ms () + 60000; now_ms () < end && connected < count; maitre_nodes (client, &connected))
        maitre_process (client, 1);
    assert_int_equal (connected, count);
}

static const uint8_t empty_map[] = {0xa0};
static const struct maitre_bytes no_fields = {empty_map, 1};

/* A booking of one slot; every field but the offer is a constant. */
static inline enum maitre_status book (struct maitre *client, struct maitre_reserved *result)
{
    struct maitre_id provider = maitre_id_provider (client, NULL);
    struct maitre_item item = {.offer = maitre_id_beside (client, &provider), .first = 7};
    struct maitre_reserve request = {.mode = MAITRE_BOOK, .items = &item, .items_count = 1};
    return maitre_reserve_create (client, &request, result);
}

/* What a script saw of its requests. */
struct seen {
    struct id request_ids[16];
    uint64_t calls[16];
    uint32_t count;
    char token[64];
    uint64_t remaining_ms;
    struct reserve_create_request create;
    struct reserve_item item;
};

static inline void note (struct seen *seen, const struct fake_request *request)
{
    if (seen->count < 16) {
        seen->request_ids[seen->count] = request->header.request_id;
        seen->calls[seen->count++] = request->header.call;
    }
    snprintf (seen->token, sizeof seen->token, "%.*s", (int) request->header.token.len,
        (const char *) request->header.token.data);
    seen->remaining_ms = request->header.remaining_ms;
}

/* What a callback was told. */
struct answered {
    uint32_t count;
    enum maitre_status status;
    bool maybe_applied;
    uint32_t node;
    bool inside_refused;
};

static inline void count_answer (struct maitre *client, uint64_t call, const struct maitre_reply *reply, void *user)
{
    struct answered *answered = user;
    (void) client;
    assert_int_not_equal (call, 0);
    answered->count++;
    answered->status = reply->status;
    answered->maybe_applied = reply->maybe_applied;
    answered->node = reply->node;
}

#endif
