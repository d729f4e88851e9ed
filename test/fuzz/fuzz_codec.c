/* libFuzzer target of the codec: the first two bytes choose the type, the rest is the message.
 *
 * What lenient accepts must encode; strict must read that back; encoding again must give the same bytes. What strict
 * accepts of the input itself must encode to the input itself.
 */
#include <stdlib.h>

#include "schemas/generated/schema_text.h"
#include "schemas/runtime/assert.h"

#define MEMORY_SIZE (32u << 20)
#define OUT_SIZE (1u << 20)
#define VALUE_SIZE 16384

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static uint8_t *memory, *back_memory, *out, *again;
static uint64_t value[VALUE_SIZE / 8], back[VALUE_SIZE / 8];

static void prepare (void)
{
    if (memory != NULL)
        return;
    memory = malloc (MEMORY_SIZE);
    back_memory = malloc (MEMORY_SIZE);
    out = malloc (OUT_SIZE);
    again = malloc (OUT_SIZE);
    maitre_assert (memory != NULL && back_memory != NULL && out != NULL && again != NULL);
}

static void check_strict (const struct codec_type *type, struct bytes in)
{
    struct arena arena;
    struct codec_error error;
    size_t len = 0;
    arena_init (&arena, memory, MEMORY_SIZE);
    if (codec_decode (type, in, CODEC_STRICT, &arena, value, &error) != STATUS_OK) {
        maitre_assert (error.message != NULL);
        return;
    }
    maitre_assert (codec_encode (type, value, out, OUT_SIZE, &len) == STATUS_OK);
    maitre_assert (bytes_equal (bytes_of (out, len), in));
}

static void check_lenient (const struct codec_type *type, struct bytes in)
{
    struct arena arena, back_arena;
    size_t len = 0, again_len = 0, count = 0;
    struct codec_print prints[CODEC_FIELDS_MAX];
    arena_init (&arena, memory, MEMORY_SIZE);
    arena_init (&back_arena, back_memory, MEMORY_SIZE);
    if (codec_decode (type, in, CODEC_LENIENT, &arena, value, NULL) != STATUS_OK)
        return;
    maitre_assert (arena.used <= type->arena_max);
    maitre_assert (codec_encode (type, value, out, OUT_SIZE, &len) == STATUS_OK);
    maitre_assert (len <= in.len && len <= type->encoded_max);
    maitre_assert (codec_decode (type, bytes_of (out, len), CODEC_STRICT, &back_arena, back, NULL) == STATUS_OK);
    maitre_assert (codec_encode (type, back, again, OUT_SIZE, &again_len) == STATUS_OK);
    maitre_assert (bytes_equal (bytes_of (out, len), bytes_of (again, again_len)));
    maitre_assert (codec_fingerprint (type, value, out, OUT_SIZE, prints, CODEC_FIELDS_MAX, &count) == STATUS_OK);
    maitre_assert (codec_encode_redacted (type, value, out, OUT_SIZE, &len) == STATUS_OK);
    arena_reset (&back_arena);
    maitre_assert (codec_decode (type, bytes_of (out, len), CODEC_REDACTED, &back_arena, back, NULL) == STATUS_OK);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    if (size < 2)
        return -1;
    prepare ();
    const struct codec_type *type = codec_types[bytes_get_u16 (data) % codec_types_count];
    maitre_assert (type->size <= VALUE_SIZE);
    struct bytes in = bytes_of (data + 2, size - 2);
    check_strict (type, in);
    check_lenient (type, in);
    return 0;
}
