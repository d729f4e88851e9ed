/* The bytes of a backup: what they say, or why they say nothing. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "node/backup/backup_internal.h"
#include "node/store/store_chunk.h"
#include "schemas/runtime/codec.h"

enum status backup_fail (struct backup_error *error, enum status status, const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (error->text, sizeof error->text, format, arguments);
    va_end (arguments);
    return status;
}

/* ---- the manifest */

static enum status check_manifest (const struct backup_manifest *manifest, struct backup_error *error)
{
    if (manifest->images_count != manifest->shard_count + 1)
        return backup_fail (error, STATUS_DATA_LOSS, BACKUP_MANIFEST_NAME " names %zu images of %" PRIu64 " shards",
            manifest->images_count, manifest->shard_count + 1);
    for (size_t i = 0; i < manifest->images_count; i++) {
        const struct backup_image *image = &manifest->images[i];
        if (image->shard != i || image->index == 0 || image->term == 0)
            return backup_fail (
                error, STATUS_DATA_LOSS, BACKUP_MANIFEST_NAME ": image %zu is not that of shard %zu", i, i);
    }
    return STATUS_OK;
}

enum status backup_parse (
    struct bytes file, struct arena *arena, struct backup_manifest *manifest, struct backup_error *error)
{
    uint8_t digest[BACKUP_DIGEST_BYTES];
    struct codec_error why;
    if (file.len < BACKUP_MAGIC_LEN + BACKUP_DIGEST_BYTES ||
        memcmp (file.data, BACKUP_MAGIC, BACKUP_MAGIC_NAME_LEN) != 0)
        return backup_fail (error, STATUS_DATA_LOSS, BACKUP_MANIFEST_NAME " is not that of a backup, or is damaged");
    size_t len = file.len - BACKUP_DIGEST_BYTES;
    crypto_generichash (digest, sizeof digest, file.data, len, NULL, 0);
    if (memcmp (digest, file.data + len, sizeof digest) != 0)
        return backup_fail (error, STATUS_DATA_LOSS, BACKUP_MANIFEST_NAME " is damaged: its digest is another one");
    if (memcmp (file.data, BACKUP_MAGIC, BACKUP_MAGIC_LEN) != 0)
        return backup_fail (error, STATUS_UNIMPLEMENTED, "a newer version made this backup: use that one's maitre");
    struct bytes map = bytes_of (file.data + BACKUP_MAGIC_LEN, len - BACKUP_MAGIC_LEN);
    if (codec_decode (&backup_manifest_type, map, CODEC_STRICT, arena, manifest, &why) != STATUS_OK)
        return backup_fail (
            error, STATUS_DATA_LOSS, BACKUP_MANIFEST_NAME " does not read: %s %s", why.path, why.message);
    return check_manifest (manifest, error);
}

/* ---- rows */

static enum status next_row (struct backup_stream *stream, struct bytes *rows, struct bytes *key, struct bytes *value,
    struct backup_error *error)
{
    struct bytes before = bytes_of (stream->last_key, stream->last_key_len);
    if (!store_chunk_row (rows, key, value))
        return backup_fail (error, STATUS_DATA_LOSS, "shard %u: a row does not read", stream->shard);
    enum backup_row row =
        value->len > STATE_VALUE_BYTES_MAX ? BACKUP_ROW_UNREADABLE : backup_row_look (*key, *value, stream->scratch);
    if (row != BACKUP_ROW_READS)
        return backup_fail (error, STATUS_DATA_LOSS, "shard %u: a row %s", stream->shard,
            row == BACKUP_ROW_UNKNOWN ? "belongs to no table that this version knows" : "is not what its table holds");
    if (stream->any && bytes_compare (before, *key) >= 0)
        return backup_fail (error, STATUS_DATA_LOSS, "shard %u: its rows are not in order", stream->shard);
    stream->any = true;
    stream->last_key_len = key->len;
    memcpy (stream->last_key, key->data, key->len);
    return STATUS_OK;
}

enum status backup_stream_chunk (struct backup_stream *stream, struct bytes in,
    bool (*row) (void *argument, struct bytes key, struct bytes value), void *argument, struct backup_counts *counts,
    struct backup_error *error)
{
    struct store_chunk chunk;
    struct bytes rows, key, value;
    enum status status = store_chunk_read (in, &chunk, &rows);
    if (status == STATUS_UNIMPLEMENTED)
        return backup_fail (error, status, "shard %u: a newer version made this image: use that one", stream->shard);
    if (status != STATUS_OK)
        return backup_fail (error, status, "shard %u: chunk %u is damaged", stream->shard, stream->next);
    if (stream->over || chunk.shard != stream->shard || chunk.number != stream->next || chunk.index != stream->index ||
        chunk.term != stream->term)
        return backup_fail (error, STATUS_DATA_LOSS,
            "shard %u: chunk %u of shard %u at index %" PRIu64 " stands where chunk %u at index %" PRIu64 " should",
            stream->shard, chunk.number, chunk.shard, chunk.index, stream->next, stream->index);
    for (uint32_t i = 0; i < chunk.count; i++) {
        status = next_row (stream, &rows, &key, &value, error);
        if (status != STATUS_OK)
            return status;
        if (counts != NULL)
            backup_count_row (counts, key, value);
        if (row != NULL && !row (argument, key, value))
            return backup_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
    }
    stream->over = chunk.last;
    stream->next++;
    return STATUS_OK;
}
