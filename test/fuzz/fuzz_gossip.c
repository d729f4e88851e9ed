/* Gossip under datagrams that anybody of the cluster might send: raw ones as they come off the wire, and well-formed ones
 * about members that this node knows. Its invariants hold after every step, and what it answers encodes. */
#include "node/gossip/gossip.h"
#include "test/fuzz/fuzz.h"

#define SELF 1
#define MEMBERS 8
#define STEPS_MAX 60

struct rig {
    struct gossip *gossip;
    struct gossip_effects *effects;
    uint64_t now_ms;
    uint64_t incarnation; /* stored */
    unsigned steps;
};

static struct id ids[MEMBERS + 1]; /* the last one is the cluster's */
static uint8_t *memory, *out;
static const char *const endpoints[] = {"tcp://10.0.0.1:7601", "tcp://10.0.0.2:7601", "tcp://10.0.0.3:7601"};

static void prepare (void)
{
    if (memory != NULL)
        return;
    memory = malloc (2 * GOSSIP_MESSAGE_ARENA_MAX);
    out = malloc (GOSSIP_MESSAGE_BYTES_MAX);
    maitre_assert (memory != NULL && out != NULL);
    for (size_t i = 0; i <= MEMBERS; i++)
        ids[i].b[ID_SIZE - 1] = (uint8_t) (i + 1);
}

/* Everything that leaves must fit the wire and pass for strict there. */
static void check_output (struct rig *rig)
{
    const struct gossip_output *output = gossip_effects_output (rig->effects);
    if (++rig->steps % 16 == 0) /* it looks at every hint: the end of the input has another one */
        gossip_check (rig->gossip);
    maitre_assert (!output->persist || output->persist_incarnation > rig->incarnation);
    if (output->persist)
        rig->incarnation = output->persist_incarnation;
    for (size_t i = 0; i < output->sends_count; i++) {
        struct gossip_message back;
        struct arena arena;
        struct bytes sent = fuzz_encode (&gossip_message_type, output->sends[i].message, out, GOSSIP_MESSAGE_BYTES_MAX);
        arena_init (&arena, memory + GOSSIP_MESSAGE_ARENA_MAX, GOSSIP_MESSAGE_ARENA_MAX);
        enum status status = codec_decode (&gossip_message_type, sent, CODEC_STRICT, &arena, &back, NULL);
        maitre_assert (status == STATUS_OK);
    }
    for (size_t i = 0; i < output->notices_count; i++) {
        const struct gossip_notice *notice = &output->notices[i];
        maitre_assert (notice->type != GOSSIP_NOTICE_HINT || notice->shard < GOSSIP_SHARDS_MAX);
        maitre_assert (notice->type != GOSSIP_NOTICE_MEMBER || notice->after <= GOSSIP_LEFT);
    }
    maitre_assert (gossip_members_count (rig->gossip) <= GOSSIP_MEMBERS_MAX);
}

static void step (struct rig *rig, struct gossip_event event)
{
    event.now_ms = rig->now_ms;
    event.wall_ms = UINT64_C (1700000000000) + rig->now_ms;
    gossip_step (rig->gossip, &event, rig->effects);
    check_output (rig);
}

static void receive (struct rig *rig, struct bytes datagram)
{
    struct gossip_message message;
    struct arena arena;
    arena_init (&arena, memory, GOSSIP_MESSAGE_ARENA_MAX);
    enum status status = codec_decode (&gossip_message_type, datagram, CODEC_STRICT, &arena, &message, NULL);
    maitre_assert (status != STATUS_RESOURCE_EXHAUSTED);
    if (status == STATUS_OK)
        step (rig, (struct gossip_event){.type = GOSSIP_RECEIVE, .message = &message});
}

static void receive_made (struct rig *rig, struct fuzz *fuzz)
{
    static uint8_t made_memory[256 * 1024], made[GOSSIP_MESSAGE_BYTES_MAX];
    struct gossip_message message;
    struct arena arena;
    arena_init (&arena, made_memory, sizeof made_memory);
    fuzz->arena = &arena;
    fuzz->ids = ids;
    fuzz->ids_count = MEMBERS;
    fuzz_map (fuzz, &gossip_message_type, (uint8_t *) &message);
    message.cluster = ids[MEMBERS];
    if (fuzz_u8 (fuzz) % 8 != 0) { /* one of the endpoints that are somebody's */
        struct bytes endpoint = bytes_text (endpoints[fuzz_below (fuzz, 3)]);
        message.self.gossip_endpoint = message.self.peer_endpoint = message.self.client_endpoint = endpoint;
    }
    struct bytes datagram = fuzz_encode (&gossip_message_type, &message, made, sizeof made);
    receive (rig, datagram);
}

static void own_step (struct rig *rig, struct fuzz *fuzz, uint8_t kind)
{
    struct bytes seeds[2];
    struct gossip_lead lead;
    uint64_t epoch;
    uint8_t draw;
    switch (kind) {
    case 0:
        rig->now_ms += fuzz_below (fuzz, 65536);
        step (rig, (struct gossip_event){.type = GOSSIP_TICK});
        break;
    case 1:
        step (rig, (struct gossip_event){.type = GOSSIP_LINK_DOWN, .uuid = ids[fuzz_below (fuzz, MEMBERS)]});
        break;
    case 2:
        seeds[0] = bytes_text (endpoints[fuzz_below (fuzz, 3)]);
        seeds[1] = fuzz_run (fuzz, fuzz_below (fuzz, 128));
        step (rig, (struct gossip_event){.type = GOSSIP_JOIN, .seeds = seeds, .seeds_count = 2});
        break;
    case 3:
        step (rig, (struct gossip_event){.type = GOSSIP_FORGET, .uuid = ids[fuzz_below (fuzz, MEMBERS)]});
        break;
    case 4:
        draw = fuzz_u8 (fuzz);
        lead = (struct gossip_lead){
            .shard = draw < 250 ? draw % 32 : (uint32_t) fuzz_below (fuzz, 5000), .term = fuzz_u8 (fuzz)};
        gossip_set_local_hints (rig->gossip, &lead, 1);
        break;
    case 5:
        step (rig, (struct gossip_event){.type = GOSSIP_LEAVE});
        (void) gossip_left (rig->gossip);
        break;
    case 6:
        epoch = gossip_ring_epoch (rig->gossip);
        gossip_set_ring_epoch (rig->gossip, fuzz_u8 (fuzz));
        maitre_assert (gossip_ring_epoch (rig->gossip) >= epoch);
        (void) gossip_wall_median_ms (
            rig->gossip, rig->now_ms, fuzz_u8 (fuzz)); /* a liar of two may move it anywhere */
        break;
    default:
        rig->now_ms = gossip_effects_output (rig->effects)->next_tick_ms;
        step (rig, (struct gossip_event){.type = GOSSIP_TICK});
    }
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    struct fuzz fuzz = {.at = data, .left = size};
    struct gossip_config config;
    prepare ();
    gossip_config_default (&config);
    config.cluster = ids[MEMBERS];
    config.uuid = ids[SELF - 1];
    config.node = SELF;
    config.incarnation = 1;
    config.seed = 42;
    config.gossip_endpoint = config.peer_endpoint = config.client_endpoint = bytes_text (endpoints[0]);
    static struct gossip_effects *effects; /* large, and emptied by every step */
    if (effects == NULL)
        effects = gossip_effects_new ();
    struct rig rig = {.effects = effects, .now_ms = 100000, .incarnation = 1};
    if (rig.effects == NULL || gossip_new (&config, &rig.gossip) != STATUS_OK)
        abort ();
    if (fuzz_u8 (&fuzz) == 0) {
        receive (&rig, fuzz_rest (&fuzz));
    } else {
        step (&rig, (struct gossip_event){.type = GOSSIP_TICK});
        for (int i = 0; i < STEPS_MAX && fuzz.left > 0; i++) {
            uint8_t kind = fuzz_u8 (&fuzz);
            if (kind % 2 == 0)
                receive_made (&rig, &fuzz);
            else
                own_step (&rig, &fuzz, kind / 2 % 10);
        }
    }
    gossip_check (rig.gossip);
    gossip_destroy (&rig.gossip);
    return 0;
}
