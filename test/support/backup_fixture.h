/* Small backups for tests: images of what states hold, and their manifest, with right digests.
 *
 * Ownership: the folder is the caller's (fixture_remove_tree). Chunks are small, so that an image has several.
 */
#ifndef MAITRED_TEST_SUPPORT_BACKUP_FIXTURE_H
#define MAITRED_TEST_SUPPORT_BACKUP_FIXTURE_H

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "node/store/store_chunk.h"
#include "schemas/generated/backup.h"
#include "schemas/runtime/backup_format.h"
#include "schemas/runtime/checksum.h"
#include "test/support/state_map.h"

#define BACKUP_SHARDS_MAX 8
#define BACKUP_INDEX 40 /* of shard 0; each next one's is one higher */
#define BACKUP_TERM 3
#define BACKUP_CHUNK_ROWS 5

/* A growing run of bytes. */
struct backup_bytes {
    uint8_t *data;
    size_t len, room;
};

static inline void backup_bytes_add (struct backup_bytes *bytes, const void *data, size_t len)
{
    if (bytes->len + len > bytes->room) {
        bytes->room = 2 * (bytes->len + len);
        bytes->data = realloc (bytes->data, bytes->room);
        maitre_assert (bytes->data != NULL);
    }
    if (len > 0)
        memcpy (bytes->data + bytes->len, data, len);
    bytes->len += len;
}

static inline void backup_bytes_close (struct backup_bytes *bytes)
{
    free (bytes->data);
    *bytes = (struct backup_bytes){0};
}

/* A whole chunk: header, rows, checksum. */
static inline void backup_chunk_add (
    struct backup_bytes *image, const struct store_chunk *chunk, const struct backup_bytes *rows)
{
    struct backup_bytes out = {0};
    uint8_t head[STORE_CHUNK_HEADER_BYTES], number[8];
    store_chunk_write_header (head, chunk);
    backup_bytes_add (&out, head, sizeof head);
    backup_bytes_add (&out, rows->data, rows->len);
    bytes_put_u64 (number, checksum64 (0, bytes_of (out.data, out.len)));
    backup_bytes_add (&out, number, sizeof number);
    bytes_put_u32 (number, (uint32_t) out.len);
    backup_bytes_add (image, number, 4);
    backup_bytes_add (image, out.data, out.len);
    backup_bytes_close (&out);
}

static inline void backup_row_add (struct backup_bytes *rows, struct bytes key, struct bytes value)
{
    uint8_t head[STORE_CHUNK_ROW_BYTES];
    bytes_put_u16 (head, (uint16_t) key.len);
    bytes_put_u32 (head + 2, (uint32_t) value.len);
    backup_bytes_add (rows, head, sizeof head);
    backup_bytes_add (rows, key.data, key.len);
    backup_bytes_add (rows, value.data, value.len);
}

/* The image of a state (NULL: an empty one); the caller closes it. */
static inline struct backup_bytes backup_image_bytes (const struct state_map *map, uint32_t shard)
{
    struct backup_bytes image = {0}, rows = {0};
    struct store_chunk chunk = {.shard = shard, .index = BACKUP_INDEX + shard, .term = BACKUP_TERM};
    struct tree_cursor cursor = {0};
    const struct tree_entry *entry = NULL;
    if (map != NULL) {
        tree_seek (map->tree, bytes_of (NULL, 0), &cursor);
        entry = tree_next (&cursor);
    }
    do {
        rows.len = 0;
        chunk.count = 0;
        for (; entry != NULL && chunk.count < BACKUP_CHUNK_ROWS; entry = tree_next (&cursor), chunk.count++)
            backup_row_add (&rows, tree_key (entry), tree_value (entry));
        chunk.last = entry == NULL;
        backup_chunk_add (&image, &chunk, &rows);
        chunk.number++;
    } while (!chunk.last);
    backup_bytes_close (&rows);
    return image;
}

static inline void backup_file_write (const char *dir, const char *name, const void *data, size_t len)
{
    char path[600];
    snprintf (path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen (path, "wb");
    maitre_assert (file != NULL);
    maitre_assert (fwrite (data, 1, len, file) == len);
    maitre_assert (fclose (file) == 0);
}

static inline struct backup_bytes backup_file_read (const char *dir, const char *name)
{
    char path[600];
    uint8_t buffer[4096];
    struct backup_bytes out = {0};
    size_t len;
    snprintf (path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen (path, "rb");
    maitre_assert (file != NULL);
    while ((len = fread (buffer, 1, sizeof buffer, file)) > 0)
        backup_bytes_add (&out, buffer, len);
    fclose (file);
    return out;
}

/* Writes the images and a manifest that fits them. */
static inline void backup_write (
    const char *dir, const struct id *cluster, const struct backup_bytes *images, uint32_t shard_count)
{
    static struct backup_image rows[BACKUP_SHARDS_MAX];
    static uint8_t digests[BACKUP_SHARDS_MAX][BACKUP_DIGEST_BYTES], out[BACKUP_SHARDS_MAX * 128 + 256];
    struct backup_manifest manifest = {.cluster = *cluster,
        .shard_count = shard_count,
        .nodes = 3,
        .begun_ms = 1750000000000,
        .ended_ms = 1750000001000,
        .version = BYTES_LITERAL ("0.1.0"),
        .images = rows,
        .images_count = shard_count + 1};
    maitre_assert (shard_count < BACKUP_SHARDS_MAX && sodium_init () >= 0);
    mkdir (dir, 0700);
    for (uint32_t shard = 0; shard <= shard_count; shard++) {
        char name[BACKUP_NAME_BYTES];
        snprintf (name, sizeof name, BACKUP_IMAGE_NAME, shard);
        backup_file_write (dir, name, images[shard].data, images[shard].len);
        crypto_generichash (digests[shard], BACKUP_DIGEST_BYTES, images[shard].data, images[shard].len, NULL, 0);
        rows[shard] = (struct backup_image){.shard = shard,
            .index = BACKUP_INDEX + shard,
            .term = BACKUP_TERM,
            .log_time_ms = 1750000000500,
            .bytes = images[shard].len,
            .digest = bytes_of (digests[shard], BACKUP_DIGEST_BYTES),
            .node = 1};
    }
    size_t len = 0;
    memcpy (out, BACKUP_MAGIC, BACKUP_MAGIC_LEN);
    enum status status = codec_encode (
        &backup_manifest_type, &manifest, out + BACKUP_MAGIC_LEN, sizeof out - BACKUP_MAGIC_LEN - 32, &len);
    maitre_assert (status == STATUS_OK);
    len += BACKUP_MAGIC_LEN;
    crypto_generichash (out + len, BACKUP_DIGEST_BYTES, out, len, NULL, 0);
    backup_file_write (dir, BACKUP_MANIFEST_NAME, out, len + BACKUP_DIGEST_BYTES);
}

#endif
