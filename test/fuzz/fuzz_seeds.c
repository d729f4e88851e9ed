/* Writes valid messages as a starting corpus for the targets that read CBOR: fuzz_seeds FOLDER makes FOLDER/codec,
 * FOLDER/call, FOLDER/peer and FOLDER/gossip, each in the form that its target reads. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "schemas/generated/gossip.h"
#include "schemas/generated/methods.h"
#include "schemas/generated/peer.h"
#include "schemas/generated/raft.h"
#include "schemas/generated/schema_text.h"
#include "schemas/generated/shard.h"
#include "schemas/generated/wire.h"
#include "test/support/codec_random.h"

#define MEMORY_SIZE (8u << 20)
#define OUT_SIZE (1u << 20)
#define SEEDS_PER_TYPE 2

static uint8_t *memory, *out;
static struct arena arena;
static uint64_t value[2048];

static void write_file (const char *folder, const char *target, const char *name, int number, size_t len)
{
    char path[4096];
    snprintf (path, sizeof path, "%s/%s", folder, target);
    mkdir (path, 0755);
    snprintf (path, sizeof path, "%s/%s/%s-%d", folder, target, name, number);
    FILE *file = fopen (path, "wb");
    if (file == NULL || fwrite (out, 1, len, file) != len || fclose (file) != 0) {
        fprintf (stderr, "fuzz_seeds: cannot write %s: give a folder that exists\n", path);
        exit (1);
    }
}

/* A random message of the type at out + at; its length. */
static size_t put (size_t at, const struct codec_type *type, uint64_t seed)
{
    size_t len = 0;
    maitre_assert (type->size <= sizeof value);
    struct codec_random random = {.state = seed, .arena = &arena, .length_max = (size_t) seed + 1};
    codec_random_map (&random, type, (uint8_t *) value);
    enum status status = codec_encode (type, value, out + at, OUT_SIZE - at, &len);
    maitre_assert (status == STATUS_OK);
    return len;
}

/* One frame with an item in each of its arrays. */
static size_t put_frame (uint64_t seed)
{
    static const struct codec_type *const types[] = {&raft_wire_message_type, &snapshot_ack_type, &forward_call_type,
        &forward_reply_type, &snapshot_chunk_type, &folder_notice_type};
    struct bytes items[6];
    for (size_t i = 0; i < 6; i++) {
        size_t len = put (0, types[i], seed + i);
        items[i] = bytes_of (arena_copy (&arena, out, len), len);
    }
    struct peer_frame frame = {.from = 2,
        .raft = &items[0],
        .raft_count = 1,
        .acks = &items[1],
        .acks_count = 1,
        .calls = &items[2],
        .calls_count = 1,
        .replies = &items[3],
        .replies_count = 1,
        .chunks = &items[4],
        .chunks_count = 1,
        .notices = &items[5],
        .notices_count = 1};
    size_t len = 0;
    enum status status = codec_encode (&peer_frame_type, &frame, out + 1, OUT_SIZE - 1, &len);
    maitre_assert (status == STATUS_OK);
    return len;
}

/* The header of a call of that method at out + 2, its length in front. */
static size_t put_call (const struct method *method)
{
    struct request_header header = {
        .protocol = 1, .call = 7, .method = bytes_text (method->name), .has_request_id = true};
    size_t len = 0;
    enum status status = codec_encode (&request_header_type, &header, out + 2, 255, &len);
    maitre_assert (status == STATUS_OK && len < 256);
    out[0] = 0;
    out[1] = (uint8_t) len;
    return 2 + len;
}

int main (int argc, char **argv)
{
    memory = malloc (MEMORY_SIZE);
    out = malloc (OUT_SIZE);
    if (argc != 2 || memory == NULL || out == NULL) {
        fprintf (stderr, "usage: fuzz_seeds FOLDER\n");
        return 2;
    }
    for (int seed = 0; seed < SEEDS_PER_TYPE; seed++) {
        for (size_t i = 0; i < codec_types_count; i++) {
            arena_init (&arena, memory, MEMORY_SIZE);
            bytes_put_u16 (out, (uint16_t) i);
            write_file (argv[1], "codec", codec_types[i]->name, seed, 2 + put (2, codec_types[i], (uint64_t) seed));
        }
        for (size_t i = 0; i < METHOD_COUNT; i++) {
            arena_init (&arena, memory, MEMORY_SIZE);
            size_t head = put_call (&methods[i]);
            write_file (argv[1], "call", methods[i].name, seed, head + put (head, methods[i].request, (uint64_t) seed));
        }
        arena_init (&arena, memory, MEMORY_SIZE);
        out[0] = 0;
        write_file (argv[1], "peer", "frame", seed, 1 + put_frame ((uint64_t) seed));
        out[0] = 0;
        write_file (argv[1], "gossip", "message", seed, 1 + put (1, &gossip_message_type, (uint64_t) seed));
    }
    free (memory);
    free (out);
    return 0;
}
