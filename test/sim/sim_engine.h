/* A whole simulated node: what node/engine does around the pure cores, with a simulated network, clock and disk.
 *
 * Room: test/sim. One a living node in services mode; it dies with the process. Frames are packed by the production
 * outbox and decoded strictly, calls find their leader by the production route, membership is the production gossip.
 *   sim_engine.c         its life and its turn
 *   sim_engine_frames.c  frames between nodes, both ways, and whose folder speaks
 *   sim_engine_calls.c   the table of calls: entry, forwarding, answers
 *   sim_place.c          the members that the shards led here should have
 *   sim_engine_gossip.c  membership, leader hints, the clocks of the others, and what must be true of them
 *
 * Invariants
 *  1. A call that a client made gets one answer, or dies with its node.
 *  2. Of a data folder, an incarnation is told only after it was stored, and never goes back (S1).
 *  3. What a node believes of a member never goes back in (incarnation, state) while it runs.
 */
#ifndef MAITRED_TEST_SIM_SIM_ENGINE_H
#define MAITRED_TEST_SIM_SIM_ENGINE_H

#include "node/gossip/gossip.h"
#include "node/transport/transport_outbox.h"
#include "router/route/route.h"
#include "router/route/route_answer.h"
#include "schemas/generated/peer.h"
#include "test/sim/sim_shard.h"

/* As enum transport_section. */
enum sim_section { SIM_RAFT, SIM_ACKS, SIM_CALLS, SIM_REPLIES, SIM_CHUNKS, SIM_NOTICES };

enum sim_packet_tag { SIM_PACKET_FRAME = 1, SIM_PACKET_GOSSIP, SIM_PACKET_LINK };

struct sim_packet {
    uint8_t *data; /* a tag, then bytes; of a client: the message; owned */
    size_t len;
    uint32_t from, client; /* 0: the other */
    bool up;               /* LINK */
};

enum sim_call_source { SIM_CALL_FREE = 0, SIM_CALL_CLIENT, SIM_CALL_PEER };

struct sim_call {
    enum sim_call_source source;
    bool write, started;
    uint32_t generation;
    uint32_t shard, forwarded_to, peer_node;
    const struct method *method;
    uint64_t deadline_ms;
    uint64_t remote_call; /* the client's attempt, or the peer's call */
    uint32_t client;
    struct principal principal;
    struct id request_id;
};

struct sim_belief {
    struct id uuid;
    uint64_t incarnation;
    uint32_t state;
};
#define SIM_BELIEFS_MAX 128

struct sim_engine {
    struct sim *sim;
    struct sim_node *node;
    struct outbox now[SIM_NODES_MAX + 1], bulk[SIM_NODES_MAX + 1];
    struct route_map map;
    struct front_outbox *front;
    struct sim_packet *packets; /* arrived, and not looked at yet */
    size_t packets_count, packets_size;
    struct sim_call *calls;
    size_t calls_count, calls_size, calls_used;
    uint64_t calls_checked_ms;
    struct gossip *gossip;
    uint64_t gossip_next_ms;
    uint64_t wall_base_ms, wall_checked_ms, wall_median_ms;
    bool hints_changed;
    bool disk_full; /* writes are refused, leaderships handed over */
    uint64_t disk_checked_ms;
    struct sim_belief beliefs[SIM_BELIEFS_MAX];
    size_t beliefs_count;
};

/* ---- sim_engine.c ---- */
/* The map of the cluster's first configuration: replica ids 1.. in order of shard and position. */
void sim_engine_found (struct sim *sim);
void sim_engine_open (struct sim *sim, struct sim_node *node);
void sim_engine_close (struct sim *sim, struct sim_node *node);
/* Tells the map who holds a shard. */
enum status sim_engine_map (struct sim_engine *engine, uint32_t shard);
/* What arrives waits for the node's next turn. Takes data over. */
void sim_engine_packet (struct sim *sim, struct sim_node *node, struct sim_packet packet);
/* False: the node died in the middle of its duties. */
bool sim_engine_turn (struct sim *sim, struct sim_node *node, uint64_t now_ms);
uint64_t sim_engine_deadline_ms (const struct sim_engine *engine, uint64_t now_ms);
/* Addresses of the simulated network. */
enum sim_port { SIM_PORT_GOSSIP = 7301, SIM_PORT_CLIENT = 7401 };
#define SIM_ENDPOINT_SIZE 32
void sim_engine_endpoint (uint32_t node, enum sim_port port, char text[SIM_ENDPOINT_SIZE]);
/* Whose address it is; one that nobody ever had fails the run. */
uint32_t sim_engine_node_at (const struct sim *sim, enum sim_port port, struct bytes endpoint);
/* The node's own wall clock. */
uint64_t sim_engine_wall_ms (const struct sim *sim, const struct sim_node *node);

/* ---- sim_engine_frames.c ---- */
void sim_engine_put (struct sim_engine *engine, uint32_t peer, enum sim_section section, const struct codec_type *type,
    const void *value, size_t size);
/* An item that is encoded already. */
void sim_engine_put_bytes (struct sim_engine *engine, uint32_t peer, enum sim_section section, struct bytes item);
void sim_engine_flush (struct sim_engine *engine);
void sim_engine_frame (struct sim_engine *engine, struct bytes frame, uint64_t now_ms);
/* `node` spoke for the folder `uuid`: the first that does is bound to it for good. */
void sim_engine_bind (struct sim_engine *engine, uint32_t node, const struct id *uuid);
bool sim_engine_impostor (const struct sim_engine *engine, uint32_t node, const struct id *uuid);

/* ---- sim_engine_calls.c ---- */
struct sim_asked;
void sim_engine_request (struct sim_engine *engine, uint32_t client, uint64_t attempt, const struct sim_asked *asked,
    uint64_t deadline_ms, uint64_t now_ms);
void sim_engine_call_received (struct sim_engine *engine, uint32_t node, struct bytes item, uint64_t now_ms);
void sim_engine_reply_received (struct sim_engine *engine, uint32_t node, struct bytes item);
void sim_engine_shard_reply (struct sim_engine *engine, const struct shard_reply *reply);
void sim_engine_calls_expire (struct sim_engine *engine, uint64_t now_ms);
void sim_engine_calls_link_lost (struct sim_engine *engine, uint32_t node);
/* The process ends: its clients learn nothing more. */
void sim_engine_calls_lost (struct sim_engine *engine);

/* ---- sim_place.c ---- */
/* The shards that are led here go on towards the members wanted. */
void sim_place_drive (struct sim_engine *engine, uint64_t now_ms);
/* A turn has ended: what it changed of the members. before, members: as they were when it ended. */
void sim_place_noted (
    struct sim_replica *replica, const struct raft_status *before, const struct raft_configuration *members);

/* ---- sim_engine_gossip.c ---- */
void sim_engine_gossip_open (struct sim_engine *engine, uint64_t now_ms);
void sim_engine_gossip_received (struct sim_engine *engine, struct bytes bytes, uint64_t now_ms);
void sim_engine_gossip_tick (struct sim_engine *engine, uint64_t now_ms);
void sim_engine_gossip_link_down (struct sim_engine *engine, uint32_t node, uint64_t now_ms);

/* ---- sim_front.c ---- */
bool sim_front_many (uint32_t client);
void sim_front_send (
    struct sim *sim, const struct sim_node *node, uint32_t client, const uint64_t *attempts, size_t count);
void sim_front_open (struct sim_engine *engine);
void sim_front_reply (struct sim_engine *engine, uint32_t client, uint64_t attempt, const struct route_answer *answer);
void sim_front_flush (struct sim_engine *engine);
void sim_front_close (struct sim_engine *engine);

/* ---- sim_work.c: the clients' end ---- */
struct sim_asked {
    const struct method *method;
    struct principal principal;
    struct id request_id;
    struct bytes body;
};
struct sim_asked sim_shard_asked (struct sim *sim, uint64_t attempt);
struct principal sim_shard_principal (struct sim *sim, uint64_t attempt);
void sim_shard_answer (
    struct sim *sim, uint32_t node, uint32_t client, uint64_t attempt, const struct route_answer *answer);

#endif
