/* A client's call as the node takes it: the header frame, the call id salvaged from a broken one, the method, the body,
 * its route, and the form that is logged. */
#include "router/front/front.h"
#include "schemas/generated/methods.h"
#include "schemas/generated/wire.h"
#include "test/fuzz/fuzz.h"

#define MEMORY_SIZE (32u << 20)
#define OUT_SIZE (2u << 20)

static uint8_t *memory, *out, *again;
static uint64_t request[2048], back[2048];

static void prepare (void)
{
    if (memory != NULL)
        return;
    memory = malloc (MEMORY_SIZE);
    out = malloc (OUT_SIZE);
    again = malloc (OUT_SIZE);
    maitre_assert (memory != NULL && out != NULL && again != NULL);
}

/* What a header says of itself, salvaged or decoded, is the same. */
static bool check_header (struct bytes in, struct request_header *header)
{
    struct codec_error error;
    uint64_t call = 0;
    bool salvaged = front_salvage_call (in, &call);
    if (codec_decode (&request_header_type, in, CODEC_LENIENT, NULL, header, &error) != STATUS_OK) {
        maitre_assert (error.message != NULL && strnlen (error.path, sizeof error.path) < sizeof error.path);
        return false;
    }
    maitre_assert (!salvaged || call == header->call);
    maitre_assert (header->method.len >= 1 && header->method.len <= 64);
    return true;
}

static void check_body (const struct method *method, struct bytes body)
{
    struct arena arena;
    struct codec_error error;
    size_t len = 0, again_len = 0;
    uint32_t hash = 0, back_hash = 0;
    maitre_assert (method->request->size <= sizeof request && method->request->encoded_max <= OUT_SIZE);
    arena_init (&arena, memory, (size_t) method->request->arena_max);
    enum status status = codec_decode (method->request, body, CODEC_LENIENT, &arena, request, &error);
    maitre_assert (status == STATUS_OK || status == STATUS_INVALID_ARGUMENT); /* arena_max always suffices */
    if (status != STATUS_OK)
        return;
    enum status routed = method_routing_hash (method, request, &hash);
    status = codec_encode_explained (method->request, request, out, OUT_SIZE, &len, &error);
    maitre_assert (status == STATUS_OK);
    /* What another node or a replay reads of it is the same call, and goes to the same shard. */
    arena_init (&arena, memory + MEMORY_SIZE / 2, (size_t) method->request->arena_max);
    status = codec_decode (method->request, bytes_of (out, len), CODEC_STRICT, &arena, back, &error);
    maitre_assert (status == STATUS_OK);
    maitre_assert (method_routing_hash (method, back, &back_hash) == routed && hash == back_hash);
    status = codec_encode_redacted (method->request, back, again, OUT_SIZE, &again_len);
    maitre_assert (status == STATUS_OK && again_len <= len);
    maitre_assert (method->request->has_secret || bytes_equal (bytes_of (out, len), bytes_of (again, again_len)));
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    struct fuzz fuzz = {.at = data, .left = size};
    struct request_header header;
    prepare ();
    uint8_t choice = fuzz_u8 (&fuzz);
    if (choice % 2 == 0) {
        struct bytes head = fuzz_run (&fuzz, fuzz_below (&fuzz, 256));
        if (!check_header (head, &header))
            return 0;
        const struct method *method = method_by_name (header.method);
        if (method != NULL)
            check_body (method, fuzz_rest (&fuzz));
        return 0;
    }
    const struct method *method = &methods[fuzz_below (&fuzz, METHOD_COUNT)];
    if (choice % 4 == 1) {
        check_body (method, fuzz_rest (&fuzz));
        return 0;
    }
    struct arena arena;
    arena_init (&arena, memory, MEMORY_SIZE / 2);
    fuzz.arena = &arena;
    fuzz_map (&fuzz, method->request, (uint8_t *) request);
    uint8_t *made = arena_alloc (&arena, OUT_SIZE);
    maitre_assert (made != NULL);
    struct bytes body = fuzz_encode (method->request, request, made, OUT_SIZE);
    uint8_t *exact = malloc (body.len);
    maitre_assert (exact != NULL);
    memcpy (exact, body.data, body.len);
    for (size_t n = fuzz_below (&fuzz, 4); n > 0; n--) /* a little off */
        exact[fuzz_below (&fuzz, body.len)] = fuzz_u8 (&fuzz);
    check_body (method, bytes_of (exact, body.len));
    free (exact);
    return 0;
}
