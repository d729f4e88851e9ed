/* Which node leads which shard: the cluster's ring when it is known, corrected by the hints of every reply. A wrong
 * entry costs a hop, never a wrong answer.
 */
#include <stdlib.h>

#include "client/src/client.h"

#define MAP_RETRY_US 1000000  /* after the ring could not be had */
#define MAP_REFRESH_US 200000 /* at most so often on news of a newer epoch */
#define MAP_DEADLINE_MS 2000
#define DOUBTED_EVERY 8   /* failures of a call: then a doubted node is asked rather than the one that just refused, */
#define DOUBTED_RARELY 32 /* and then rather than any other; by then a leader would have been elected */

uint32_t client_map_shard (const struct maitre *client, const struct call *call)
{
    if (client->map.shard_count == 0 || call->method == NULL)
        return UINT32_MAX;
    if (call->method->class == METHOD_SYSTEM_READ || call->method->class == METHOD_SYSTEM_WRITE)
        return 0;
    if (call->method->route == ROUTE_NONE || !call->has_request_id)
        return UINT32_MAX;
    return placement_shard (id_hash (&call->request_id), client->map.shard_count);
}

uint32_t client_map_endpoint (const struct maitre *client, struct bytes endpoint)
{
    for (uint32_t i = 0; i < client->node_count; i++)
        if (bytes_equal (endpoint, bytes_text (client->nodes[i].endpoint)))
            return i;
    return UINT32_MAX;
}

bool client_map_hint (struct maitre *client, uint32_t shard, uint32_t node_index)
{
    if (shard > client->map.shard_count || client->map.leaders == NULL || node_index >= client->node_count ||
        client->map.leaders[shard] == node_index + 1)
        return false;
    client->map.leaders[shard] = (uint16_t) (node_index + 1);
    return true;
}

static struct client_node *pinned (struct maitre *client, uint32_t number)
{
    for (uint32_t i = 0; i < client->node_count; i++)
        if (client->nodes[i].number == number)
            return client->nodes[i].up ? &client->nodes[i] : NULL;
    return NULL;
}

/* The next one in turn that is up and doubted, or not, but for that one. */
static struct client_node *in_turn (struct maitre *client, uint32_t *next, uint32_t avoid, bool doubted)
{
    for (uint32_t i = 0; i < client->node_count; i++) {
        uint32_t at = (*next + i) % client->node_count;
        struct client_node *node = &client->nodes[at];
        if (!node->up || at == avoid || node->doubted != doubted)
            continue;
        *next = (at + 1) % client->node_count;
        return node;
    }
    return NULL;
}

struct client_node *client_map_choose (struct maitre *client, const struct call *call)
{
    if (call->pinned != 0)
        return pinned (client, call->pinned);
    uint32_t avoid = call->avoid_last && call->node != 0 ? call->node - 1 : UINT32_MAX;
    struct client_node *last = avoid != UINT32_MAX && client->nodes[avoid].up ? &client->nodes[avoid] : NULL;
    struct client_node *node = NULL;
    /* A doubted one costs an attempt's time, most likely: who answers is asked first, and who just refused is better if it
     * answered at all. But not for ever: what a doubted one was asked, or its answer, may have been lost. */
    if (call->failures % DOUBTED_RARELY == DOUBTED_RARELY - 1)
        node = in_turn (client, &client->next_doubted, avoid, true);
    uint32_t shard = client_map_shard (client, call);
    if (node == NULL && shard != UINT32_MAX && client->map.leaders[shard] != 0) {
        uint32_t leader = client->map.leaders[shard] - 1u;
        if (leader != avoid && client->nodes[leader].up && !client->nodes[leader].doubted)
            return &client->nodes[leader];
    }
    if (node == NULL)
        node = in_turn (client, &client->next_node, avoid, false);
    bool answered = last != NULL && !last->doubted;
    if (node == NULL && (!answered || call->failures % DOUBTED_EVERY == DOUBTED_EVERY - 1))
        node = in_turn (client, &client->next_doubted, avoid, true);
    return node != NULL ? node : last;
}

static bool number_taken (const struct maitre *client, uint32_t number)
{
    for (uint32_t i = 0; i < client->node_count; i++)
        if (client->nodes[i].number == number)
            return true;
    return false;
}

/* A list of endpoints numbers its nodes by position: the cluster knows better. */
static void renumber (struct maitre *client, const struct ring_reply *ring)
{
    if (!client->numbers_guessed)
        return;
    client->numbers_guessed = false;
    for (uint32_t i = 0; i < client->node_count; i++) {
        client->nodes[i].number = 0;
        for (size_t k = 0; k < ring->nodes_count; k++)
            if (bytes_equal (ring->nodes[k].client_endpoint, bytes_text (client->nodes[i].endpoint)))
                client->nodes[i].number = (uint32_t) ring->nodes[k].node;
    }
}

/* Nodes that joined after the client file was written. With CURVE their keys are not known: they are left out. A number
 * that is taken means that the file calls the same node by another name. */
static void add_nodes (struct maitre *client, const struct ring_reply *ring)
{
    for (size_t i = 0; client->client_public[0] == '\0' && i < ring->nodes_count; i++) {
        const struct cluster_node *node = &ring->nodes[i];
        if (node->client_endpoint.len == 0 || node->state != NODE_STATE_ALIVE ||
            number_taken (client, (uint32_t) node->node) ||
            client_map_endpoint (client, node->client_endpoint) != UINT32_MAX)
            continue;
        if (client_file_add (client, (uint32_t) node->node, node->client_endpoint, bytes_of (NULL, 0)) != STATUS_OK)
            continue;
        struct client_node *added = &client->nodes[client->node_count - 1];
        if (client_node_open (client, added) != STATUS_OK || client_loop_watch (client, added) != STATUS_OK) {
            client_node_close (added);
            client->node_count--;
        }
    }
}

/* Index + 1 of the node that the ring calls by this number, 0: not known. */
static uint16_t index_of (const struct maitre *client, const struct ring_reply *ring, uint64_t number)
{
    for (size_t i = 0; number != 0 && i < ring->nodes_count; i++) {
        if (ring->nodes[i].node != number)
            continue;
        uint32_t at = client_map_endpoint (client, ring->nodes[i].client_endpoint);
        for (uint32_t k = 0; at == UINT32_MAX && k < client->node_count; k++)
            if (client->nodes[k].number == number)
                at = k;
        return at == UINT32_MAX ? 0 : (uint16_t) (at + 1);
    }
    return 0;
}

static bool install (struct maitre *client, const struct ring_reply *ring)
{
    renumber (client, ring);
    add_nodes (client, ring);
    if (client->map.shard_count != ring->shard_count) {
        uint16_t *leaders = calloc (ring->shard_count + 1, sizeof *leaders);
        if (leaders == NULL)
            return false;
        free (client->map.leaders);
        client->map.leaders = leaders;
        client->map.shard_count = (uint32_t) ring->shard_count;
    }
    client->map.epoch = ring->epoch;
    for (size_t i = 0; i < ring->shards_count; i++) {
        const struct cluster_shard *shard = &ring->shards[i];
        uint16_t leader = index_of (client, ring, shard->leader);
        if (shard->shard <= client->map.shard_count && leader != 0)
            client->map.leaders[shard->shard] = leader;
    }
    return true;
}

static void ring_came (struct maitre *client, uint64_t number, const struct maitre_reply *reply, void *user)
{
    (void) number;
    (void) user;
    client->map.asking = false;
    client->map.answered = true;
    bool fine = false;
    void *room = reply->status == MAITRE_OK ? malloc (RING_REPLY_ARENA_MAX) : NULL;
    if (room != NULL) {
        struct arena arena;
        struct ring_reply ring;
        arena_init (&arena, room, RING_REPLY_ARENA_MAX);
        fine = codec_decode (&ring_reply_type, bytes_of (reply->body.data, reply->body.len), CODEC_LENIENT, &arena,
                   &ring, NULL) == STATUS_OK &&
               install (client, &ring);
        free (room);
    }
    if (fine) /* the node that a call names may be one that is up already, under a number that was guessed */
        client_retry_waiting (client, client_now_us ());
    client->map.ask_again_us = fine ? 0 : client_now_us () + MAP_RETRY_US;
}

void client_map_tick (struct maitre *client, uint64_t now_us)
{
    if (client->map.asking || client->map.ask_again_us == 0 || now_us < client->map.ask_again_us)
        return;
    static const uint8_t empty_map[] = {0xa0};
    struct maitre_call_options options = {.size = sizeof options, .deadline_ms = MAP_DEADLINE_MS};
    struct call_start start = {.method = method_by_number (METHOD_NUMBER_CLUSTER_RING),
        .name = "cluster.Ring",
        .body = {empty_map, sizeof empty_map},
        .options = &options,
        .own = true,
        .answer = ring_came};
    if (client_call_start (client, &start, NULL) == STATUS_OK)
        client->map.asking = true;
    else
        client->map.ask_again_us = now_us + MAP_RETRY_US;
}

void client_map_epoch (struct maitre *client, uint64_t epoch, uint64_t now_us)
{
    if (client->map.shard_count != 0 && epoch > client->map.epoch && client->map.ask_again_us == 0)
        client->map.ask_again_us = now_us + MAP_REFRESH_US;
}
