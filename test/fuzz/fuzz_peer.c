/* Frames and datagrams between nodes, down to Raft's messages and configurations: what strict reading accepts is exactly
 * what this node would have written. */
#include "node/raft/raft_codec.h"
#include "schemas/generated/gossip.h"
#include "schemas/generated/log.h"
#include "schemas/generated/peer.h"
#include "schemas/generated/shard.h"
#include "test/fuzz/fuzz.h"

#define ITEM_ARENA_BYTES (2u << 20)
#define OUT_SIZE (4u << 20)

/* The sections of a frame in order, and what the items of each are. */
static const struct codec_type *const section_types[] = {&raft_wire_message_type, &snapshot_ack_type,
    &forward_call_type, &forward_reply_type, &snapshot_chunk_type, &folder_notice_type};

static uint8_t *frame_memory, *item_memory, *out, *wire_out;
static uint64_t value[256];

static void prepare (void)
{
    if (frame_memory != NULL)
        return;
    frame_memory = malloc (PEER_FRAME_ARENA_MAX);
    item_memory = malloc (ITEM_ARENA_BYTES);
    out = malloc (OUT_SIZE);
    wire_out = malloc (OUT_SIZE);
    maitre_assert (frame_memory != NULL && item_memory != NULL && out != NULL && wire_out != NULL);
}

static void check_configuration (struct bytes payload)
{
    struct raft_configuration configuration;
    uint8_t back[RAFT_CONFIGURATION_BYTES_MAX];
    if (raft_configuration_decode (payload, &configuration) != STATUS_OK)
        return;
    maitre_assert (raft_configuration_valid (&configuration));
    maitre_assert (bytes_equal (bytes_of (back, raft_configuration_encode (&configuration, back)), payload));
}

static void check_raft (const struct raft_wire_message *wire, struct bytes in)
{
    static struct raft_entry entries[RAFT_MESSAGE_ENTRIES_MAX];
    static struct raft_wire_entry wire_entries[RAFT_MESSAGE_ENTRIES_MAX];
    struct raft_message message;
    struct raft_wire_message back;
    size_t len = 0;
    if (raft_codec_from_wire (wire, &message, entries) != STATUS_OK)
        return;
    for (uint32_t i = 0; i < message.count; i++)
        if (entries[i].type == RAFT_ENTRY_CONFIGURATION)
            check_configuration (entries[i].payload);
    raft_codec_to_wire (&message, &back, wire_entries);
    enum status status = codec_encode (&raft_wire_message_type, &back, wire_out, OUT_SIZE, &len);
    maitre_assert (status == STATUS_OK && bytes_equal (bytes_of (wire_out, len), in));
}

static void check_item (const struct codec_type *type, struct bytes in)
{
    struct arena arena;
    struct codec_error error;
    size_t len = 0;
    arena_init (&arena, item_memory, ITEM_ARENA_BYTES);
    maitre_assert (type->size <= sizeof value && type->arena_max <= ITEM_ARENA_BYTES);
    if (codec_decode (type, in, CODEC_STRICT, &arena, value, &error) != STATUS_OK) {
        maitre_assert (error.message != NULL);
        return;
    }
    enum status status = codec_encode (type, value, out, OUT_SIZE, &len);
    maitre_assert (status == STATUS_OK && bytes_equal (bytes_of (out, len), in));
    if (type == &raft_wire_message_type)
        check_raft ((const struct raft_wire_message *) value, in);
}

static void check_frame (struct bytes in)
{
    struct peer_frame frame;
    struct arena arena;
    arena_init (&arena, frame_memory, PEER_FRAME_ARENA_MAX);
    enum status status = codec_decode (&peer_frame_type, in, CODEC_STRICT, &arena, &frame, NULL);
    maitre_assert (status != STATUS_RESOURCE_EXHAUSTED); /* the transport's arena is as large as this one */
    if (status != STATUS_OK)
        return;
    const struct bytes *const items[] = {
        frame.raft, frame.acks, frame.calls, frame.replies, frame.chunks, frame.notices};
    const size_t counts[] = {frame.raft_count, frame.acks_count, frame.calls_count, frame.replies_count,
        frame.chunks_count, frame.notices_count};
    for (size_t section = 0; section < sizeof counts / sizeof *counts; section++)
        for (size_t i = 0; i < counts[section]; i++)
            check_item (section_types[section], items[section][i]);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    static uint64_t made[256];
    static uint8_t encoded[64 * 1024], memory[64 * 1024];
    struct arena arena;
    struct fuzz fuzz = {.at = data, .left = size, .arena = &arena};
    prepare ();
    arena_init (&arena, memory, sizeof memory);
    uint8_t choice = fuzz_u8 (&fuzz);
    if (choice % 4 == 0) {
        check_frame (fuzz_rest (&fuzz));
    } else if (choice % 4 == 1) {
        check_item (section_types[fuzz_below (&fuzz, 6)], fuzz_rest (&fuzz));
    } else if (choice % 4 == 2) {
        check_configuration (fuzz_rest (&fuzz));
        check_item (&gossip_message_type, fuzz_rest (&fuzz));
    } else {
        const struct codec_type *type = section_types[fuzz_below (&fuzz, 6)];
        fuzz_map (&fuzz, type, (uint8_t *) made);
        struct bytes item = fuzz_encode (type, made, encoded, sizeof encoded);
        for (size_t n = fuzz_below (&fuzz, 3); n > 0; n--)
            encoded[fuzz_below (&fuzz, item.len)] = fuzz_u8 (&fuzz);
        check_item (type, item);
    }
    return 0;
}
