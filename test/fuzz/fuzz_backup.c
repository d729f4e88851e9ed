/* What maitre snapshot verify and restore read: a MANIFEST, and the chunks of an image. Checksums and digests are put right in
 * most inputs, else nothing behind them would ever be reached; chunks are made of what follows, row by row. */
#include <sodium.h>

#include "node/backup/backup.h"
#include "node/store/store_chunk.h"
#include "schemas/runtime/checksum.h"
#include "test/fuzz/fuzz.h"

#define MEMORY_BYTES (BACKUP_MANIFEST_ARENA_MAX + 4096)
#define CHUNKS_MAX 4
#define CHUNK_BYTES (64 * 1024)

/* A copy of its own, so that a read past its end is seen. */
static uint8_t *copy_of (struct bytes in, size_t more)
{
    uint8_t *copy = malloc (in.len + more + 1);
    maitre_assert (copy != NULL);
    if (in.len > 0)
        memcpy (copy, in.data, in.len);
    return copy;
}

/* ---- the manifest */

static void parse (struct bytes file)
{
    static uint8_t *memory;
    struct arena arena;
    struct backup_manifest manifest;
    struct backup_error error = {.text = ""};
    if (memory == NULL)
        memory = malloc (MEMORY_BYTES);
    maitre_assert (memory != NULL);
    arena_init (&arena, memory, MEMORY_BYTES);
    enum status status = backup_parse (file, &arena, &manifest, &error);
    maitre_assert (status == STATUS_OK || status == STATUS_DATA_LOSS || status == STATUS_UNIMPLEMENTED);
    maitre_assert ((status == STATUS_OK) == (error.text[0] == '\0'));
    if (status != STATUS_OK)
        return;
    maitre_assert (manifest.images_count == manifest.shard_count + 1); /* whoever reads on counts on it */
    for (size_t i = 0; i < manifest.images_count; i++)
        maitre_assert (manifest.images[i].digest.len == BACKUP_DIGEST_BYTES && manifest.images[i].shard == i);
}

static void fuzz_manifest (struct fuzz *fuzz, bool made)
{
    static uint8_t out[256 * 1024], memory[256 * 1024];
    struct bytes map = fuzz_rest (fuzz);
    if (made) { /* within all bounds: what is left to be looked at is the sense of it */
        struct arena arena;
        struct backup_manifest manifest;
        struct fuzz from = *fuzz;
        arena_init (&arena, memory, sizeof memory);
        from.at = map.data;
        from.left = map.len;
        from.arena = &arena;
        fuzz_map (&from, &backup_manifest_type, (uint8_t *) &manifest);
        for (size_t i = 0; i < manifest.images_count && fuzz_u8 (&from) % 4 != 0; i++)
            manifest.images[i].shard = i;
        if (fuzz_u8 (&from) % 4 != 0)
            manifest.shard_count = manifest.images_count > 1 ? manifest.images_count - 1 : 1;
        map = fuzz_encode (&backup_manifest_type, &manifest, out, sizeof out);
    }
    uint8_t *file = copy_of (bytes_of (NULL, 0), BACKUP_MAGIC_LEN + map.len + BACKUP_DIGEST_BYTES);
    size_t len = BACKUP_MAGIC_LEN + map.len;
    memcpy (file, BACKUP_MAGIC, BACKUP_MAGIC_LEN);
    if (map.len > 0)
        memcpy (file + BACKUP_MAGIC_LEN, map.data, map.len);
    if (map.len > 0 && map.data[0] == 'n') /* a newer format, or nonsense in its place */
        file[BACKUP_MAGIC_NAME_LEN] = '2';
    crypto_generichash (file + len, BACKUP_DIGEST_BYTES, file, len, NULL, 0);
    parse (bytes_of (file, len + BACKUP_DIGEST_BYTES));
    free (file);
}

/* ---- an image */

static bool take_row (void *argument, struct bytes key, struct bytes value)
{
    uint64_t *sum = argument;
    *sum = checksum64 (checksum64 (*sum, key), value);
    return true;
}

static size_t make_row (struct fuzz *fuzz, uint8_t *out)
{
    static const uint8_t tables[] = {
        1, 2, 16, 17, 18, 19, 24, 25, 32, 33, 34, 35, 36, 48, 49, 50, 51, 52, 64, 65, 66, 67, 80};
    static const uint8_t lens[] = {
        1, 33, 17, 17, 17, 33, 21, 33, 17, 33, 33, 25, 41, 17, 33, 33, 33, 25, 9, 17, 33, 17, 1};
    uint8_t draw = fuzz_u8 (fuzz);
    size_t which = draw % sizeof tables, key_len = lens[which];
    if (draw >= 250)
        key_len = fuzz_u8 (fuzz);
    struct bytes key = fuzz_run (fuzz, key_len > 0 ? key_len - 1 : 0);
    struct bytes value = fuzz_run (fuzz, (size_t) fuzz_below (fuzz, 600));
    bytes_put_u16 (out, (uint16_t) key_len);
    bytes_put_u32 (out + 2, (uint32_t) value.len);
    memset (out + STORE_CHUNK_ROW_BYTES, 0, key_len);
    if (key_len > 0)
        out[STORE_CHUNK_ROW_BYTES] = draw >= 250 ? fuzz_u8 (fuzz) : tables[which];
    if (key.len > 0)
        memcpy (out + STORE_CHUNK_ROW_BYTES + 1, key.data, key.len);
    if (value.len > 0)
        memcpy (out + STORE_CHUNK_ROW_BYTES + key_len, value.data, value.len);
    return STORE_CHUNK_ROW_BYTES + key_len + value.len;
}

static void fuzz_image (struct fuzz *fuzz, bool made)
{
    static uint8_t out[CHUNK_BYTES], *scratch_memory;
    struct arena scratch;
    struct backup_counts counts = {0};
    struct backup_error error;
    uint64_t sum = 0, rows = 0;
    if (scratch_memory == NULL)
        scratch_memory = malloc (backup_row_scratch_bytes ());
    maitre_assert (scratch_memory != NULL);
    arena_init (&scratch, scratch_memory, backup_row_scratch_bytes ());
    struct backup_stream stream = {.shard = 3, .index = 7, .term = 2, .scratch = &scratch};
    for (unsigned i = 0; i < CHUNKS_MAX && fuzz->left > 0; i++) {
        struct store_chunk chunk = {.shard = 3, .number = i, .index = 7, .term = 2};
        size_t len = STORE_CHUNK_HEADER_BYTES;
        uint8_t odd = fuzz_u8 (fuzz);
        if (made) {
            for (unsigned count = fuzz_u8 (fuzz) % 8; chunk.count < count; chunk.count++)
                len += make_row (fuzz, out + len);
            chunk.last = odd % 4 == 0;
            chunk.number += odd == 251;
            chunk.shard += odd == 252;
            chunk.count += odd == 253;
            store_chunk_write_header (out, &chunk);
        } else {
            struct bytes raw = fuzz_run (fuzz, (size_t) fuzz_below (fuzz, 4000));
            len = raw.len;
            if (len > 0)
                memcpy (out, raw.data, len);
        }
        bytes_put_u64 (out + len, checksum64 (0, bytes_of (out, len)));
        uint8_t *copy = copy_of (bytes_of (out, len + STORE_CHUNK_SUM_BYTES), 0);
        enum status status = backup_stream_chunk (
            &stream, bytes_of (copy, len + STORE_CHUNK_SUM_BYTES), take_row, &sum, &counts, &error);
        free (copy);
        maitre_assert (status == STATUS_OK || status == STATUS_DATA_LOSS || status == STATUS_UNIMPLEMENTED);
        maitre_assert (counts.rows >= rows);
        rows = counts.rows;
        if (status != STATUS_OK)
            return;
        maitre_assert (stream.next == i + 1);
    }
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    struct fuzz fuzz = {.at = data, .left = size};
    maitre_assert (sodium_init () >= 0);
    switch (fuzz_u8 (&fuzz) % 5) {
    case 0:
        parse (fuzz_rest (&fuzz));
        break;
    case 1:
        fuzz_manifest (&fuzz, false);
        break;
    case 2:
        fuzz_manifest (&fuzz, true);
        break;
    case 3:
        fuzz_image (&fuzz, false);
        break;
    default:
        fuzz_image (&fuzz, true);
    }
    return 0;
}
