/* Writes a few valid messages of every type as a starting corpus of fuzz_codec: fuzz_seeds FOLDER. */
#include <stdio.h>
#include <stdlib.h>

#include "schemas/generated/schema_text.h"
#include "test/support/codec_random.h"

#define MEMORY_SIZE (8u << 20)
#define OUT_SIZE (1u << 20)
#define SEEDS_PER_TYPE 4

int main (int argc, char **argv)
{
    uint8_t *memory = malloc (MEMORY_SIZE), *out = malloc (OUT_SIZE);
    static uint64_t value[2048];
    if (argc != 2 || memory == NULL || out == NULL)
        return 2;
    for (size_t i = 0; i < codec_types_count; i++) {
        for (uint64_t seed = 0; seed < SEEDS_PER_TYPE; seed++) {
            struct arena arena;
            char path[4096];
            size_t len = 0;
            maitre_assert (codec_types[i]->size <= sizeof value);
            arena_init (&arena, memory, MEMORY_SIZE);
            struct codec_random random = {.state = seed, .arena = &arena, .length_max = (size_t) seed};
            codec_random_map (&random, codec_types[i], (uint8_t *) value);
            if (codec_encode (codec_types[i], value, out + 2, OUT_SIZE - 2, &len) != STATUS_OK)
                return 1;
            bytes_put_u16 (out, (uint16_t) i);
            snprintf (path, sizeof path, "%s/%s-%d", argv[1], codec_types[i]->name, (int) seed);
            FILE *file = fopen (path, "wb");
            if (file == NULL || fwrite (out, 1, len + 2, file) != len + 2 || fclose (file) != 0)
                return 1;
        }
    }
    free (memory);
    free (out);
    return 0;
}
