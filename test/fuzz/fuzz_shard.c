/* A replica that is being filled: snapshot chunks and acknowledgements in any order, of any transfer, from anybody, between
 * its own ticks and a leader's heartbeats. Its invariants hold, and what it hands to the disk is a stream that makes sense. */
#include "node/raft/raft_codec.h"
#include "node/shard/shard.h"
#include "schemas/generated/shard.h"
#include "schemas/runtime/checksum.h"
#include "test/fuzz/fuzz.h"
#include "test/support/state_map.h"

#define SHARD 1
#define SELF 11
#define STEPS_MAX 100

struct rig {
    struct shard *shard;
    struct state_map map;
    uint64_t now_ms;
    bool receiving, dead;
    uint64_t index; /* of the snapshot that is coming in */
    uint64_t written,
        written_term; /* the state that can be sent: of the last snapshot that came in, else the first entry's */
};

static uint8_t *scratch_memory, *arena_memory, *wire;
static struct arena scratch;

static bool open_none (void *context, uint32_t shard, uint64_t *index, uint64_t *term, void **snapshot)
{
    struct rig *rig = context;
    (void) shard;
    *index = rig->written;
    *term = rig->written_term;
    *snapshot = context;
    return true;
}

static bool next_none (void *context, void *snapshot, uint8_t *out, size_t size, size_t *len, bool *last)
{
    maitre_assert (context == snapshot && size > 0);
    out[0] = 0;
    *len = 1;
    *last = true;
    return true;
}

static void close_none (void *context, void *snapshot)
{
    maitre_assert (context == snapshot);
}

static bool begin (void *context, uint32_t shard, uint64_t replica, uint64_t index, uint64_t term)
{
    struct rig *rig = context;
    maitre_assert (!rig->receiving && shard == SHARD && replica == SELF && index > 0 && term > 0);
    rig->receiving = true;
    rig->index = index;
    return true;
}

static enum status chunk (void *context, uint32_t shard, struct bytes data)
{
    struct rig *rig = context;
    maitre_assert (rig->receiving && shard == SHARD);
    return data.len > 0 && data.data[0] == 0xff ? STATUS_INVALID_ARGUMENT : STATUS_OK;
}

static bool finish (
    void *context, uint32_t shard, uint64_t index, uint64_t term, const struct raft_configuration *members)
{
    struct rig *rig = context;
    maitre_assert (rig->receiving && shard == SHARD && index == rig->index && term > 0);
    maitre_assert (members->count > 0 && raft_configuration_valid (members));
    rig->receiving = false;
    rig->written = index; /* the log may begin there from now on */
    rig->written_term = term;
    return true;
}

static void abandon (void *context, uint32_t shard)
{
    struct rig *rig = context;
    maitre_assert (rig->receiving && shard == SHARD);
    rig->receiving = false;
}

static const struct shard_snapshot_ops ops = {.open = open_none,
    .next = next_none,
    .close = close_none,
    .begin = begin,
    .chunk = chunk,
    .finish = finish,
    .abort = abandon};

static void end_turn (struct rig *rig)
{
    struct shard_effects effects;
    shard_turn_end (rig->shard, rig->now_ms, 0, &effects);
    if (effects.fatal) {
        rig->dead = true;
        return;
    }
    for (size_t i = 0; i < effects.acks_count; i++)
        fuzz_encode (&snapshot_ack_type, &effects.acks[i], wire, 1u << 20);
    for (size_t i = 0; i < effects.chunks_count; i++)
        fuzz_encode (&snapshot_chunk_type, &effects.chunks[i], wire, 1u << 20);
    uint64_t sequence = effects.persist.sequence;
    if (sequence != 0)
        shard_step (rig->shard,
            &(struct shard_event){.type = SHARD_EVENT_PERSISTED, .now_ms = rig->now_ms, .persist_sequence = sequence});
    shard_check (rig->shard);
}

/* Everything goes the way of the wire: only what decodes arrives. */
static bool arrive (const struct codec_type *type, const void *made, void *value)
{
    struct arena arena;
    struct bytes sent = fuzz_encode (type, made, wire, 1u << 20);
    arena_init (&arena, arena_memory + (1u << 19), 1u << 19);
    enum status status = codec_decode (type, sent, CODEC_STRICT, &arena, value, NULL);
    maitre_assert (status == STATUS_OK);
    return true;
}

static void receive_chunk (struct rig *rig, struct fuzz *fuzz)
{
    struct snapshot_chunk made, came;
    struct shard_status status;
    shard_status_get (rig->shard, &status);
    fuzz_map (fuzz, &snapshot_chunk_type, (uint8_t *) &made);
    uint8_t draw = fuzz_u8 (fuzz);
    made.shard = SHARD;
    made.to = draw % 32 == 31 ? made.to : SELF;
    made.from = 21 + 10 * (draw / 32 % 2);
    made.term = draw % 16 == 15 ? made.term : status.term;
    made.snapshot %= 3;
    made.sequence %= 4;
    if (draw % 8 != 7)
        made.index = status.applied_index + made.index % 8;
    if (draw % 4 != 3) {
        made.index_term = 1 + made.index_term % (made.term > 0 ? made.term : 1);
        made.checksum = checksum64 (made.sequence, made.data);
    }
    if (arrive (&snapshot_chunk_type, &made, &came))
        shard_step (rig->shard,
            &(struct shard_event){.type = SHARD_EVENT_SNAPSHOT_CHUNK, .now_ms = rig->now_ms, .chunk = &came});
}

static void receive_ack (struct rig *rig, struct fuzz *fuzz)
{
    struct snapshot_ack made, came;
    fuzz_map (fuzz, &snapshot_ack_type, (uint8_t *) &made);
    made.shard = SHARD;
    made.to = SELF;
    made.from = 21;
    if (arrive (&snapshot_ack_type, &made, &came))
        shard_step (
            rig->shard, &(struct shard_event){.type = SHARD_EVENT_SNAPSHOT_ACK, .now_ms = rig->now_ms, .ack = &came});
}

/* Mostly what makes this replica a follower or a leader of some term. */
static void receive_raft (struct rig *rig, struct fuzz *fuzz)
{
    struct shard_status status;
    shard_status_get (rig->shard, &status);
    uint8_t draw = fuzz_u8 (fuzz);
    struct raft_message message = {.shard = SHARD,
        .type = (uint8_t) (1 + draw % 9),
        .from = 21 + 10 * (draw / 16 % 2),
        .to = SELF,
        .term = status.term + draw / 32 % 3,
        .session = 1,
        .index = fuzz_u8 (fuzz) % 4,
        .commit = fuzz_u8 (fuzz) % 4,
        .hint = fuzz_u8 (fuzz) % 4};
    message.log_term = message.index == 0 ? 0 : 1 + draw % 2;
    shard_step (rig->shard, &(struct shard_event){.type = SHARD_EVENT_RAFT, .now_ms = rig->now_ms, .raft = &message});
}

static void prepare (void)
{
    if (wire != NULL)
        return;
    wire = malloc (1u << 20);
    arena_memory = malloc (1u << 20);
    scratch_memory = malloc (SHARD_SCRATCH_BYTES);
    maitre_assert (wire != NULL && arena_memory != NULL && scratch_memory != NULL);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    struct arena arena;
    struct fuzz fuzz = {.at = data, .left = size, .arena = &arena};
    struct rig rig = {.now_ms = 1000, .written = 1, .written_term = 1};
    struct raft_configuration members = {0};
    prepare ();
    arena_init (&scratch, scratch_memory, SHARD_SCRATCH_BYTES);
    state_map_init (&rig.map);
    for (uint32_t node = 1; node <= 3; node++)
        raft_configuration_set (
            &members, (struct raft_member){.replica = 10 * node + 1, .node = node, .rank = 1, .roles = RAFT_VOTER});
    struct raft_stored stored = {.term = 3, .configuration = &members};
    struct shard_config config = {
        .services = {.shard = SHARD, .shard_count = 1, .records_max = 1000, .record_ttl_ms = 86400000},
        .raft = {.shard = SHARD, .replica = SELF, .session = 1},
        .stored = &stored,
        .state = state_map_state (&rig.map),
        .scratch = &scratch,
        .snapshot_ops = &ops,
        .snapshot_context = &rig};
    if (shard_new (&config, rig.now_ms, &rig.shard) != STATUS_OK)
        abort ();
    for (int i = 0; i < STEPS_MAX && fuzz.left > 0 && !rig.dead; i++) {
        uint8_t kind = fuzz_u8 (&fuzz);
        arena_init (&arena, arena_memory, 1u << 19);
        if (kind % 8 < 4)
            receive_chunk (&rig, &fuzz);
        else if (kind % 8 == 4)
            receive_ack (&rig, &fuzz);
        else if (kind % 8 == 5)
            receive_raft (&rig, &fuzz);
        else
            rig.now_ms += kind;
        shard_step (rig.shard, &(struct shard_event){.type = SHARD_EVENT_TICK, .now_ms = rig.now_ms});
        end_turn (&rig);
    }
    shard_destroy (&rig.shard);
    state_map_close (&rig.map);
    return 0;
}
