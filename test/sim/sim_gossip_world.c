/* The simulated world: processes, folders, clocks and the network between them. */
#include "test/sim/sim_gossip.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/checksum.h"

static uint64_t next_random (struct sim_world *world)
{
    uint64_t x = world->random_state += UINT64_C (0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C (0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t sim_random_below (struct sim_world *world, uint64_t bound)
{
    return next_random (world) % bound;
}

bool sim_chance (struct sim_world *world, uint32_t per_mille)
{
    return sim_random_below (world, 1000) < per_mille;
}

void sim_fail (const struct sim_world *world, const char *what)
{
    fprintf (stderr, "seed %" PRIu64 " at %" PRIu64 " ms with %u nodes: %s\n", world->seed, world->now_ms,
        world->nodes_count, what);
    abort ();
}

void sim_note (struct sim_world *world, const char *what, uint64_t a, uint64_t b, uint64_t c)
{
    const uint64_t words[] = {world->now_ms, a, b, c};
    world->hash = checksum64 (world->hash, bytes_of (words, sizeof words));
    world->hash = checksum64 (world->hash, bytes_text (what));
    if (world->trace)
        printf ("%8" PRIu64 " %s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", world->now_ms, what, a, b, c);
}

struct id sim_random_id (struct sim_world *world)
{
    struct id id;
    bytes_put_u64 (id.b, next_random (world));
    bytes_put_u64 (id.b + 8, next_random (world));
    return id;
}

void sim_world_init (struct sim_world *world, uint64_t seed, bool trace)
{
    memset (world, 0, sizeof *world);
    world->seed = seed;
    world->random_state = seed;
    world->trace = trace;
    world->nodes_count = 2 + (uint32_t) sim_random_below (world, sim_chance (world, 250) ? SIM_NODES_MAX - 1 : 7);
    world->now_ms = 1000000;
    world->delay_ms_max = 5;
    world->effects = gossip_effects_new ();
    if (world->effects == NULL)
        abort ();
    gossip_config_default (&world->tunables);
    world->tunables.cluster = sim_random_id (world);
    for (uint32_t i = 0; i < world->nodes_count; i++)
        world->nodes[i].uuid = sim_random_id (world);
}

void sim_world_close (struct sim_world *world)
{
    for (uint32_t i = 0; i < world->nodes_count; i++)
        gossip_destroy (&world->nodes[i].gossip);
    for (size_t i = 0; i < world->packets_count; i++)
        free (world->packets[i].bytes);
    free (world->packets);
    gossip_effects_destroy (&world->effects);
}

/* ---- packets */

static bool packet_before (const struct sim_packet *a, const struct sim_packet *b)
{
    return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->number < b->number);
}

static void push_packet (struct sim_world *world, struct sim_packet packet)
{
    if (world->packets_count == world->packets_room) {
        world->packets_room = world->packets_room == 0 ? 256 : world->packets_room * 2;
        world->packets = realloc (world->packets, world->packets_room * sizeof packet);
        if (world->packets == NULL)
            abort ();
    }
    packet.number = world->packets_sent++;
    size_t at = world->packets_count++;
    while (at > 0 && packet_before (&packet, &world->packets[(at - 1) / 2])) {
        world->packets[at] = world->packets[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    world->packets[at] = packet;
}

static struct sim_packet pop_packet (struct sim_world *world)
{
    struct sim_packet top = world->packets[0];
    struct sim_packet last = world->packets[--world->packets_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= world->packets_count)
            break;
        if (child + 1 < world->packets_count && packet_before (&world->packets[child + 1], &world->packets[child]))
            child++;
        if (!packet_before (&world->packets[child], &last))
            break;
        world->packets[at] = world->packets[child];
        at = child;
    }
    if (world->packets_count > 0)
        world->packets[at] = last;
    return top;
}

static void send_copy (struct sim_world *world, uint32_t to, const uint8_t *bytes, size_t len)
{
    struct sim_packet packet = {
        .at_ms = world->now_ms + 1 + sim_random_below (world, world->delay_ms_max),
        .to = to,
        .len = len,
        .bytes = malloc (len),
    };
    if (packet.bytes == NULL)
        abort ();
    memcpy (packet.bytes, bytes, len);
    push_packet (world, packet);
}

static void endpoint_of (uint32_t node, char text[32])
{
    snprintf (text, 32, "tcp://10.0.0.%u:7301", node + 1);
}

static uint32_t node_at (const struct sim_world *world, struct bytes endpoint)
{
    for (uint32_t i = 0; i < world->nodes_count; i++) {
        char text[32];
        endpoint_of (i, text);
        if (bytes_equal (endpoint, bytes_text (text)))
            return i;
    }
    sim_fail (world, "a message to an address that nobody ever had");
}

static void transmit (struct sim_world *world, uint32_t from, const struct gossip_send *send)
{
    static uint8_t bytes[GOSSIP_MESSAGE_ENCODED_MAX];
    size_t len = 0;
    if (codec_encode (&gossip_message_type, send->message, bytes, sizeof bytes, &len) != STATUS_OK)
        sim_fail (world, "a message that does not encode");
    if (len > GOSSIP_MESSAGE_BYTES_MAX)
        sim_fail (world, "a message that is too large");
    struct sim_node *node = &world->nodes[from];
    node->sent++;
    node->sent_bytes += len;
    if (len > world->bytes_max)
        world->bytes_max = len;
    sim_oracle_sent (world, node, send->message);
    uint32_t to = node_at (world, send->endpoint);
    sim_note (world, "send", from * 100 + to, send->message->kind, len);
    if (world->cut[from][to] || sim_chance (world, world->loss_per_mille))
        return;
    send_copy (world, to, bytes, len);
    if (sim_chance (world, world->duplicate_per_mille))
        send_copy (world, to, bytes, len);
}

void sim_inject (struct sim_world *world, uint32_t to, const struct gossip_message *message)
{
    static uint8_t bytes[GOSSIP_MESSAGE_ENCODED_MAX];
    size_t len = 0;
    if (codec_encode (&gossip_message_type, message, bytes, sizeof bytes, &len) != STATUS_OK)
        sim_fail (world, "an injected message that does not encode");
    sim_note (world, "inject", to, message->kind, len);
    send_copy (world, to, bytes, len);
}

/* ---- processes */

static void step (struct sim_world *world, uint32_t index, struct gossip_event *event)
{
    struct sim_node *node = &world->nodes[index];
    event->now_ms = world->now_ms - node->boot_ms + 5;
    event->wall_ms = (uint64_t) (1700000000000 + (int64_t) world->now_ms + node->wall_skew_ms);
    gossip_step (node->gossip, event, world->effects);
    gossip_check (node->gossip);
    const struct gossip_output *output = gossip_effects_output (world->effects);
    if (output->persist) /* duty 1, before any send */
        node->stored_incarnation = output->persist_incarnation;
    sim_oracle_step (world, node, output);
    for (size_t i = 0; i < output->sends_count; i++)
        transmit (world, index, &output->sends[i]);
    node->tick_at_ms = output->next_tick_ms + node->boot_ms - 5 + sim_random_below (world, 20);
    if (node->leaving && gossip_left (node->gossip)) {
        sim_note (world, "left", index, 0, 0);
        gossip_destroy (&node->gossip);
    }
}

void sim_start (struct sim_world *world, uint32_t index)
{
    struct sim_node *node = &world->nodes[index];
    if (node->gossip != NULL)
        return;
    char endpoint[32], texts[SIM_NODES_MAX][32];
    endpoint_of (index, endpoint);
    struct gossip_config config = world->tunables;
    config.uuid = node->uuid;
    config.node = index + 1;
    config.incarnation = ++node->stored_incarnation;
    config.seed = next_random (world);
    config.gossip_endpoint = config.peer_endpoint = config.client_endpoint = bytes_text (endpoint);
    if (gossip_new (&config, &node->gossip) != STATUS_OK)
        sim_fail (world, "no gossip");
    node->leaving = false;
    node->paused_until_ms = 0;
    node->boot_ms = world->now_ms - sim_random_below (world, 1000000);
    sim_oracle_boot (world, node);
    sim_note (world, "start", index, config.incarnation, node->folders);
    /* Everybody is told the same three seeds: the first ones of the configuration. */
    struct bytes seeds[3];
    size_t seeds_count = world->nodes_count < 3 ? world->nodes_count : 3;
    for (uint32_t i = 0; i < seeds_count; i++) {
        endpoint_of (i, texts[i]);
        seeds[i] = bytes_text (texts[i]);
    }
    struct gossip_event event = {.type = GOSSIP_JOIN, .seeds = seeds, .seeds_count = seeds_count};
    step (world, index, &event);
}

void sim_kill (struct sim_world *world, uint32_t index)
{
    struct sim_node *node = &world->nodes[index];
    if (node->gossip == NULL)
        return;
    sim_note (world, "kill", index, 0, 0);
    gossip_destroy (&node->gossip);
    for (uint32_t peer = 0; world->link_hints && peer < world->nodes_count; peer++)
        sim_link_down (world, peer, index);
}

void sim_leave (struct sim_world *world, uint32_t index)
{
    struct sim_node *node = &world->nodes[index];
    if (node->gossip == NULL || node->leaving)
        return;
    sim_note (world, "leave", index, 0, 0);
    node->leaving = true;
    struct gossip_event event = {.type = GOSSIP_LEAVE};
    step (world, index, &event);
}

/* A lost disk: what runs next at this address is somebody else (S3). */
void sim_wipe (struct sim_world *world, uint32_t index)
{
    struct sim_node *node = &world->nodes[index];
    sim_kill (world, index);
    node->uuid = sim_random_id (world);
    node->stored_incarnation = node->told_incarnation = 0;
    node->folders++;
}

void sim_link_down (struct sim_world *world, uint32_t index, uint32_t peer)
{
    struct sim_node *node = &world->nodes[index];
    if (node->gossip == NULL || index == peer || node->paused_until_ms > world->now_ms)
        return;
    sim_note (world, "link down", index, peer, 0);
    struct gossip_event event = {.type = GOSSIP_LINK_DOWN, .uuid = world->nodes[peer].uuid};
    step (world, index, &event);
}

void sim_cut (struct sim_world *world, uint32_t from, uint32_t to, bool cut)
{
    if (world->cut[from][to] == cut)
        return;
    sim_note (world, cut ? "cut" : "mend", from, to, 0);
    world->cut[from][to] = cut;
}

static void deliver (struct sim_world *world, struct sim_packet *packet)
{
    static uint64_t memory[GOSSIP_MESSAGE_ARENA_MAX / sizeof (uint64_t) + 2];
    struct sim_node *node = &world->nodes[packet->to];
    if (node->gossip == NULL)
        return;
    if (node->paused_until_ms > world->now_ms) { /* the socket keeps it */
        packet->at_ms = node->paused_until_ms + 1;
        push_packet (world, *packet);
        packet->bytes = NULL;
        return;
    }
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    struct gossip_message message;
    if (codec_decode (&gossip_message_type, bytes_of (packet->bytes, packet->len), CODEC_STRICT, &arena, &message,
            NULL) != STATUS_OK)
        sim_fail (world, "a message that does not decode");
    struct gossip_event event = {.type = GOSSIP_RECEIVE, .message = &message};
    step (world, packet->to, &event);
}

/* The running node whose tick is due next, or nodes_count. */
static uint32_t next_ticker (const struct sim_world *world, uint64_t *at_ms)
{
    uint32_t best = world->nodes_count;
    for (uint32_t i = 0; i < world->nodes_count; i++) {
        const struct sim_node *node = &world->nodes[i];
        if (node->gossip == NULL)
            continue;
        uint64_t tick_ms = node->tick_at_ms > node->paused_until_ms ? node->tick_at_ms : node->paused_until_ms;
        if (best < world->nodes_count && tick_ms >= *at_ms)
            continue;
        best = i;
        *at_ms = tick_ms;
    }
    return best;
}

void sim_run (struct sim_world *world, uint64_t duration_ms)
{
    uint64_t end_ms = world->now_ms + duration_ms;
    for (;;) {
        uint64_t tick_ms = UINT64_MAX;
        uint32_t ticker = next_ticker (world, &tick_ms);
        bool packet_first = world->packets_count > 0 && world->packets[0].at_ms <= tick_ms;
        uint64_t at_ms = packet_first ? world->packets[0].at_ms : tick_ms;
        if (at_ms > end_ms)
            break;
        if (at_ms > world->now_ms)
            world->now_ms = at_ms;
        if (packet_first) {
            struct sim_packet packet = pop_packet (world);
            deliver (world, &packet);
            free (packet.bytes);
        } else {
            struct gossip_event event = {.type = GOSSIP_TICK};
            step (world, ticker, &event);
        }
    }
    world->now_ms = end_ms;
}
