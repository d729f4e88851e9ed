/* The files of a backup. Each is read twice: for its digest, and then, believed, for what it says. */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "node/backup/backup_internal.h"
#include "node/services/services.h"
#include "node/store/store_state.h"

#define PATH_BYTES 4200
#define READ_BYTES (256 * 1024)
#define LENGTH_BYTES 4
#define CHUNK_BYTES_MAX (STORE_CHUNK_BYTES_MAX + STATE_VALUE_BYTES_MAX + 4096)
#define MANIFEST_BYTES_MAX (BACKUP_MAGIC_LEN + BACKUP_MANIFEST_ENCODED_MAX + BACKUP_DIGEST_BYTES)
#define RECORDS_MAX 1000000
#define RECORD_TTL_MS 86400000

struct backup {
    char *dir;
    uint8_t *file; /* the manifest's bytes */
    size_t file_len;
    uint8_t *memory;
    struct backup_manifest manifest;
};

/* ---- the manifest */

static enum status read_manifest (struct backup *backup, struct backup_error *error)
{
    char path[PATH_BYTES];
    if (snprintf (path, sizeof path, "%s/" BACKUP_MANIFEST_NAME, backup->dir) >= (int) sizeof path)
        return backup_fail (error, STATUS_NOT_FOUND, "the folder's name is too long");
    FILE *file = fopen (path, "rbe");
    if (file == NULL && (errno == ENOENT || errno == ENOTDIR))
        return backup_fail (
            error, STATUS_NOT_FOUND, "%s is no backup: it has no file " BACKUP_MANIFEST_NAME, backup->dir);
    if (file == NULL)
        return backup_fail (error, STATUS_INTERNAL, "%s cannot be read: %s", path, strerror (errno));
    backup->file_len = fread (backup->file, 1, MANIFEST_BYTES_MAX + 1, file);
    bool bad = ferror (file) != 0;
    int why = errno;
    fclose (file);
    if (bad)
        return backup_fail (error, STATUS_INTERNAL, "%s cannot be read: %s", path, strerror (why));
    if (backup->file_len > MANIFEST_BYTES_MAX)
        return backup_fail (error, STATUS_DATA_LOSS, BACKUP_MANIFEST_NAME " is longer than a manifest can be");
    struct arena arena;
    arena_init (&arena, backup->memory, BACKUP_MANIFEST_ARENA_MAX + 64);
    return backup_parse (bytes_of (backup->file, backup->file_len), &arena, &backup->manifest, error);
}

enum status backup_open (const char *dir, struct backup **out, struct backup_error *error)
{
    struct backup *backup = calloc (1, sizeof *backup);
    if (backup == NULL)
        return backup_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
    backup->dir = strdup (dir);
    backup->file = malloc (MANIFEST_BYTES_MAX + 1);
    backup->memory = malloc (BACKUP_MANIFEST_ARENA_MAX + 64);
    enum status status = backup->dir == NULL || backup->file == NULL || backup->memory == NULL || sodium_init () < 0
                             ? backup_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory")
                             : read_manifest (backup, error);
    if (status != STATUS_OK)
        backup_close (&backup);
    else
        *out = backup;
    return status;
}

void backup_close (struct backup **backup_at)
{
    struct backup *backup = *backup_at;
    if (backup == NULL)
        return;
    free (backup->dir);
    free (backup->file);
    free (backup->memory);
    free (backup);
    *backup_at = NULL;
}

const struct backup_manifest *backup_manifest (const struct backup *backup)
{
    return &backup->manifest;
}

const uint8_t *backup_digest (const struct backup *backup)
{
    return backup->file + backup->file_len - BACKUP_DIGEST_BYTES;
}

/* ---- images */

static FILE *open_image (const struct backup *backup, uint32_t shard, struct backup_error *error, enum status *status)
{
    char path[PATH_BYTES];
    snprintf (path, sizeof path, "%s/" BACKUP_IMAGE_NAME, backup->dir, shard);
    FILE *file = fopen (path, "rbe");
    *status = STATUS_OK;
    if (file == NULL && errno == ENOENT)
        *status = backup_fail (error, STATUS_DATA_LOSS, BACKUP_IMAGE_NAME " is missing", shard);
    else if (file == NULL)
        *status = backup_fail (error, STATUS_INTERNAL, "%s cannot be read: %s", path, strerror (errno));
    return file;
}

static enum status check_digest (
    FILE *file, const struct backup_image *image, uint8_t *buffer, struct backup_error *error)
{
    uint8_t digest[BACKUP_DIGEST_BYTES];
    crypto_generichash_state state;
    uint64_t bytes = 0;
    size_t len;
    uint32_t shard = (uint32_t) image->shard;
    crypto_generichash_init (&state, NULL, 0, sizeof digest);
    while ((len = fread (buffer, 1, READ_BYTES, file)) > 0) {
        crypto_generichash_update (&state, buffer, len);
        bytes += len;
    }
    if (ferror (file))
        return backup_fail (error, STATUS_INTERNAL, BACKUP_IMAGE_NAME " cannot be read: %s", shard, strerror (errno));
    crypto_generichash_final (&state, digest, sizeof digest);
    if (bytes != image->bytes)
        return backup_fail (error, STATUS_DATA_LOSS,
            BACKUP_IMAGE_NAME " has %" PRIu64 " bytes, but the manifest says %" PRIu64, shard, bytes, image->bytes);
    if (memcmp (digest, image->digest.data, sizeof digest) != 0)
        return backup_fail (error, STATUS_DATA_LOSS, BACKUP_IMAGE_NAME " is damaged: its digest is another one", shard);
    return STATUS_OK;
}

enum status backup_check_file (const struct backup *backup, uint32_t shard, struct backup_error *error)
{
    enum status status;
    FILE *file = open_image (backup, shard, error, &status);
    if (file == NULL)
        return status;
    uint8_t *buffer = malloc (READ_BYTES);
    status = buffer == NULL ? backup_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory")
                            : check_digest (file, &backup->manifest.images[shard], buffer, error);
    free (buffer);
    fclose (file);
    return status;
}

static bool put_row (void *argument, struct bytes key, struct bytes value)
{
    struct state *state = argument;
    state_put (state, key, value);
    return !state_failed (state);
}

static enum status read_chunks (FILE *file, struct backup_stream *stream, uint8_t *buffer, struct state *state,
    struct backup_counts *counts, struct backup_error *error)
{
    uint8_t length[LENGTH_BYTES];
    enum status status = STATUS_OK;
    size_t got;
    while (status == STATUS_OK && (got = fread (length, 1, sizeof length, file)) > 0) {
        size_t len = got == sizeof length ? bytes_get_u32 (length) : 0;
        if (len == 0 || len > CHUNK_BYTES_MAX || fread (buffer, 1, len, file) != len)
            return backup_fail (error, STATUS_DATA_LOSS, BACKUP_IMAGE_NAME " ends within a chunk", stream->shard);
        status = backup_stream_chunk (stream, bytes_of (buffer, len), put_row, state, counts, error);
    }
    if (status == STATUS_OK && !stream->over)
        return backup_fail (error, STATUS_DATA_LOSS, BACKUP_IMAGE_NAME " has no last chunk", stream->shard);
    return status;
}

static enum status recount (
    const struct backup *backup, uint32_t shard, struct state *state, struct backup_error *error)
{
    struct services_config config = {.shard = shard,
        .shard_count = (uint32_t) backup->manifest.shard_count,
        .records_max = RECORDS_MAX,
        .record_ttl_ms = RECORD_TTL_MS};
    char drift[200];
    if (services_check (&config, state, drift, sizeof drift))
        return STATUS_OK;
    return backup_fail (error, STATUS_DATA_LOSS, BACKUP_IMAGE_NAME " is not sound: %s", shard, drift);
}

enum status backup_load (const struct backup *backup, uint32_t shard, struct state *state, struct backup_counts *counts,
    struct backup_error *error)
{
    const struct backup_image *image = &backup->manifest.images[shard];
    size_t scratch_bytes = backup_row_scratch_bytes ();
    struct arena scratch;
    struct backup_stream stream = {.shard = shard, .index = image->index, .term = image->term, .scratch = &scratch};
    enum status status;
    FILE *file = open_image (backup, shard, error, &status);
    if (file == NULL)
        return status;
    uint8_t *buffer = malloc (CHUNK_BYTES_MAX), *memory = malloc (scratch_bytes);
    if (buffer == NULL || memory == NULL)
        status = backup_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
    if (status == STATUS_OK) {
        arena_init (&scratch, memory, scratch_bytes);
        status = check_digest (file, image, buffer, error);
        rewind (file);
    }
    if (status == STATUS_OK)
        status = read_chunks (file, &stream, buffer, state, counts, error);
    free (buffer);
    free (memory);
    fclose (file);
    return status == STATUS_OK ? recount (backup, shard, state, error) : status;
}
