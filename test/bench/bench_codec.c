/* What the codec costs: encode and decode of a ten-field map, of a request header and of a reservation. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "schemas/generated/reserve.h"
#include "schemas/generated/wire.h"
#include "schemas/runtime/checksum.h"

#define ROUNDS 1000000

static double now_ns (void)
{
    struct timespec time;
    clock_gettime (CLOCK_MONOTONIC, &time);
    return (double) time.tv_sec * 1e9 + (double) time.tv_nsec;
}

static void must (enum status status)
{
    if (status != STATUS_OK) {
        fprintf (stderr, "bench_codec: %s\n", status_name (status));
        exit (1);
    }
}

static void run (
    const char *what, const struct codec_type *type, const void *value, uint8_t *memory, size_t memory_size)
{
    static uint8_t out[65536];
    size_t len = 0;
    struct arena arena;
    uint64_t back[256];
    arena_init (&arena, memory, memory_size);
    double start = now_ns ();
    for (int i = 0; i < ROUNDS; i++)
        must (codec_encode (type, value, out, sizeof out, &len));
    double encoded = now_ns ();
    for (int i = 0; i < ROUNDS; i++) {
        arena_reset (&arena);
        must (codec_decode (type, bytes_of (out, len), CODEC_STRICT, &arena, back, NULL));
    }
    double decoded = now_ns ();
    for (int i = 0; i < ROUNDS; i++) {
        arena_reset (&arena);
        must (codec_decode (type, bytes_of (out, len), CODEC_LENIENT, &arena, back, NULL));
    }
    double lenient = now_ns ();
    printf ("%-16s %4zu bytes  encode %6.0f ns  decode %6.0f ns  lenient %6.0f ns\n", what, len,
        (encoded - start) / ROUNDS, (decoded - encoded) / ROUNDS, (lenient - decoded) / ROUNDS);
}

static void run_checksum (void)
{
    static uint8_t data[65536];
    uint64_t sum = 0;
    double start = now_ns ();
    for (int i = 0; i < 10000; i++)
        sum = checksum64 (sum, bytes_of (data, sizeof data));
    double took = now_ns () - start;
    printf ("checksum64       %.1f GB/s (%016llx)\n", 10000.0 * sizeof data / took, (unsigned long long) sum);
}

int main (void)
{
    static uint8_t memory[65536];
    struct id id = id_make (1700000000000, 0x12345678, 42);
    struct reply_header reply = {.protocol = 1,
        .call = 123456,
        .status = 5,
        .has_reason = true,
        .reason = BYTES_LITERAL ("SOLD_OUT"),
        .has_message = true,
        .message = BYTES_LITERAL ("try another day"),
        .has_retry_after_ms = true,
        .retry_after_ms = 250,
        .has_map_epoch = true,
        .map_epoch = 77,
        .has_more = true,
        .has_replayed = true,
        .replayed = true,
        .has_shard = true,
        .shard = 12};
    struct request_header request = {.protocol = 1,
        .call = 9,
        .method = BYTES_LITERAL ("reserve.Create"),
        .has_request_id = true,
        .request_id = id,
        .has_remaining_ms = true,
        .remaining_ms = 5000};
    struct reserve_item items[2] = {{.offer = id, .first = 19000, .has_count = true, .count = 3}, {.offer = id}};
    struct reserve_create_request create = {.reservation = id,
        .mode = RESERVE_MODE_HOLD,
        .items = items,
        .items_count = 2,
        .has_hold_ttl_ms = true,
        .hold_ttl_ms = 600000};
    run ("ten fields", &reply_header_type, &reply, memory, sizeof memory);
    run ("request_header", &request_header_type, &request, memory, sizeof memory);
    run ("reserve.Create", &reserve_create_request_type, &create, memory, sizeof memory);
    run_checksum ();
    return 0;
}
