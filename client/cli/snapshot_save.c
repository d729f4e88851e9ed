/* maitre snapshot save DIR: one image of each shard, read from the node that leads it, while the cluster goes on.
 *
 * Everything is written into a folder beside DIR, synced, and takes its name at the very end: DIR is a whole backup or not
 * there. A transfer whose node goes away is begun again where the shard is led then; a change of leader alone disturbs none. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "schemas/generated/backup.h"
#include "schemas/generated/cluster.h"
#include "schemas/runtime/backup_format.h"

#define RATE_MIB 8
#define WAIT_S 60
#define CALL_MS 10000
#define LOOK_MS 100
#define SHOW_MS 5000
#define PATH_BYTES 4096
#define MIB (1024.0 * 1024.0)

struct save {
    struct cli *cli;
    struct maitre *client;
    char dir[PATH_BYTES - 64], temporary[PATH_BYTES];
    int folder; /* the temporary one, opened; -1: none yet */
    struct id id, cluster;
    uint32_t shard_count, nodes;
    struct backup_image *images; /* [0 .. shard_count] */
    char version[41];
    uint64_t bytes, read_bytes, begun_ms, wall_begun_ms, rate, wait_ms, moved_ms, shown_ms;
    uint64_t restarts;
    bool terminal;
    const char *why; /* the last failure that is tried again; static or the client's */
    char why_text[600];
};

static volatile sig_atomic_t interrupted;

static void on_signal (int number)
{
    (void) number;
    interrupted = 1;
}

static int help (bool asked)
{
    fputs (
        "maitre snapshot save DIR [--rate MIB] [--wait SECONDS] [options]\n\n"
        "Backs the running cluster up into DIR, which must not exist or be empty. Of each shard it holds everything "
        "that "
        "was\n"
        "acknowledged before the save began; each shard is an image of its own moment, as strict as its log. Writes go "
        "on.\n"
        "Takes the role admin: the files (mode 0600) hold everybody's data and password hashes.\n\n"
        "  --rate MIB      read no more than that a second (8)\n"
        "  --wait SECONDS  how long a shard may be out of reach (60): then it is given up, and nothing is left\n\n"
        "Exit codes: 0 saved, 1 it could not be written, 2 usage, 4 DIR is not empty, 6 a shard was out of reach, 7 "
        "not "
        "allowed\n\n"
        "Example: maitre snapshot save /backup/2026-11-20 && maitre snapshot verify /backup/2026-11-20\n",
        asked ? stdout : stderr);
    return asked ? CLI_OK : CLI_USAGE;
}

static uint64_t clock_ms (clockid_t clock)
{
    struct timespec now;
    clock_gettime (clock, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static uint64_t now_ms (void)
{
    return clock_ms (CLOCK_MONOTONIC);
}

static void pause_ms (uint64_t ms)
{
    struct timespec pause = {.tv_sec = (time_t) (ms / 1000), .tv_nsec = (long) (ms % 1000) * 1000000};
    nanosleep (&pause, NULL);
}

static void show (struct save *save, uint32_t shard, bool last)
{
    uint64_t now = now_ms ();
    if (!last && now < save->shown_ms + (save->terminal ? 200 : SHOW_MS))
        return;
    save->shown_ms = now;
    double seconds = (double) (now - save->begun_ms + 1) / 1000;
    fprintf (stderr, "%sshard %u of 0 to %u: %.1f MiB in all, %.1f MiB/s%s", save->terminal ? "\r\033[K" : "", shard,
        save->shard_count, (double) save->bytes / MIB, (double) save->bytes / MIB / seconds,
        save->terminal && !last ? "" : "\n");
}

/* ---- the folder */

static int open_folder (struct save *save)
{
    struct stat about;
    DIR *folder = opendir (save->dir);
    if (folder == NULL && errno != ENOENT)
        return cli_complain (CLI_FAILED, "%s cannot be a backup's folder: %s", save->dir, strerror (errno));
    if (folder != NULL) {
        int count = 0;
        while (count < 3 && readdir (folder) != NULL)
            count++;
        closedir (folder);
        if (count > 2)
            return cli_complain (CLI_CONFLICT, "%s is not empty: give each backup a new folder", save->dir);
    }
    snprintf (save->temporary, sizeof save->temporary, "%s.partial-%ld", save->dir, (long) getpid ());
    if (mkdir (save->temporary, 0700) != 0)
        return cli_complain (CLI_FAILED, "%s cannot be made: %s", save->temporary, strerror (errno));
    save->folder = open (save->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (save->folder < 0 || fstat (save->folder, &about) != 0)
        return cli_complain (CLI_FAILED, "%s cannot be opened: %s", save->temporary, strerror (errno));
    return CLI_OK;
}

static void image_name (uint32_t shard, char name[BACKUP_NAME_BYTES])
{
    snprintf (name, BACKUP_NAME_BYTES, BACKUP_IMAGE_NAME, shard);
}

/* Leaves nothing of a save that came to nothing. */
static void drop_folder (struct save *save)
{
    char name[BACKUP_NAME_BYTES];
    if (save->folder < 0)
        return;
    for (uint32_t shard = 0; save->images != NULL && shard <= save->shard_count; shard++) {
        image_name (shard, name);
        unlinkat (save->folder, name, 0);
    }
    unlinkat (save->folder, BACKUP_MANIFEST_NAME, 0);
    close (save->folder);
    rmdir (save->temporary);
}

static bool write_all (int file, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t written = write (file, data, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        data += written;
        len -= (size_t) written;
    }
    return true;
}

static int sync_parent (const struct save *save)
{
    char path[PATH_BYTES];
    snprintf (path, sizeof path, "%s", save->dir);
    char *slash = strrchr (path, '/');
    if (slash == NULL)
        snprintf (path, sizeof path, ".");
    else
        slash[slash == path] = '\0';
    int folder = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = folder >= 0 && fsync (folder) == 0;
    if (folder >= 0)
        close (folder);
    return synced ? CLI_OK : cli_complain (CLI_FAILED, "%s cannot be synced: %s", path, strerror (errno));
}

static int write_manifest (struct save *save)
{
    struct backup_manifest manifest = {.cluster = save->cluster,
        .shard_count = save->shard_count,
        .nodes = save->nodes,
        .begun_ms = save->wall_begun_ms,
        .ended_ms = clock_ms (CLOCK_REALTIME),
        .version = bytes_text (save->version),
        .images = save->images,
        .images_count = save->shard_count + 1};
    if (manifest.ended_ms < manifest.begun_ms)
        manifest.ended_ms = manifest.begun_ms;
    size_t room = BACKUP_MAGIC_LEN + BACKUP_MANIFEST_ENCODED_MAX + BACKUP_DIGEST_BYTES, len = 0;
    uint8_t *bytes = malloc (room);
    if (bytes == NULL)
        return cli_complain (CLI_FAILED, "out of memory");
    memcpy (bytes, BACKUP_MAGIC, BACKUP_MAGIC_LEN);
    enum status status =
        codec_encode (&backup_manifest_type, &manifest, bytes + BACKUP_MAGIC_LEN, BACKUP_MANIFEST_ENCODED_MAX, &len);
    len += BACKUP_MAGIC_LEN;
    crypto_generichash (bytes + len, BACKUP_DIGEST_BYTES, bytes, len, NULL, 0);
    int file = openat (save->folder, BACKUP_MANIFEST_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written = status == STATUS_OK && file >= 0 && write_all (file, bytes, len + BACKUP_DIGEST_BYTES) &&
                   fsync (file) == 0 && fsync (save->folder) == 0;
    int why = errno;
    if (file >= 0 && close (file) != 0)
        written = false;
    free (bytes);
    if (!written)
        return cli_complain (
            CLI_FAILED, "%s/%s cannot be written: %s", save->temporary, BACKUP_MANIFEST_NAME, strerror (why));
    if (rename (save->temporary, save->dir) != 0)
        return cli_complain (CLI_FAILED, "%s cannot be renamed: %s", save->temporary, strerror (errno));
    return sync_parent (save);
}

/* ---- one shard */

enum step { STEP_DONE, STEP_AGAIN, STEP_FAILED };

/* What another node, or a moment later, may answer otherwise. */
static enum step failed (struct save *save, bool reading, int *code)
{
    const struct maitre_error *error = maitre_error (save->client);
    snprintf (save->why_text, sizeof save->why_text, "%s: %s", error->reason, error->message);
    switch (error->status) {
    case MAITRE_PERMISSION_DENIED:
    case MAITRE_UNAUTHENTICATED:
    case MAITRE_UNIMPLEMENTED:
        *code = cli_failed (save->cli, error);
        return STEP_FAILED;
    case MAITRE_INVALID_ARGUMENT:
        if (reading)
            return STEP_AGAIN;
        *code = cli_failed (save->cli, error);
        return STEP_FAILED;
    default:
        return STEP_AGAIN;
    }
}

static uint32_t leader_of (struct save *save, uint32_t shard)
{
    struct where_request request = {.has_shard = true, .shard = shard};
    struct where_reply *reply;
    struct maitre_call_options options;
    maitre_call_options_init (&options);
    options.deadline_ms = CALL_MS;
    if (cli_ask (save->client, METHOD_NUMBER_CLUSTER_WHERE, &request, &options, (void **) &reply) != MAITRE_OK)
        return 0;
    uint32_t leader = (uint32_t) reply->leader;
    free (reply);
    return leader;
}

static enum step open_image (struct save *save, uint32_t shard, int *code)
{
    struct backup_image *image = &save->images[shard];
    struct snapshot_open_request request = {.save = save->id, .shard = shard};
    struct snapshot_open_reply *reply;
    struct maitre_call_options options;
    uint32_t leader = leader_of (save, shard);
    if (leader == 0) {
        snprintf (save->why_text, sizeof save->why_text, "it has no leader that can be reached");
        return STEP_AGAIN;
    }
    maitre_call_options_init (&options);
    options.deadline_ms = CALL_MS;
    options.attempts_max = 1;
    options.node = leader;
    if (cli_ask (save->client, METHOD_NUMBER_CLUSTER_SNAPSHOT_OPEN, &request, &options, (void **) &reply) != MAITRE_OK)
        return failed (save, false, code);
    bool same = id_equal (&reply->cluster, &save->cluster) && reply->shard_count == save->shard_count;
    *image = (struct backup_image){
        .shard = shard, .index = reply->index, .term = reply->term, .log_time_ms = reply->log_time_ms, .node = leader};
    snprintf (
        save->version, sizeof save->version, "%.*s", (int) reply->version.len, (const char *) reply->version.data);
    free (reply);
    if (same)
        return STEP_DONE;
    *code = cli_complain (
        CLI_FAILED, "node %u belongs to another cluster than the others: correct the client file", leader);
    return STEP_FAILED;
}

/* No faster than asked: what was read so far may have taken no less time than this. */
static void keep_pace (const struct save *save)
{
    uint64_t due_ms = save->begun_ms + save->read_bytes * 1000 / save->rate, now = now_ms ();
    if (due_ms > now)
        pause_ms (due_ms - now);
}

static enum step read_image (struct save *save, uint32_t shard, int file, int *code)
{
    struct backup_image *image = &save->images[shard];
    struct snapshot_read_request request = {.save = save->id, .shard = shard};
    struct maitre_call_options options;
    crypto_generichash_state digest;
    crypto_generichash_init (&digest, NULL, 0, BACKUP_DIGEST_BYTES);
    maitre_call_options_init (&options);
    options.deadline_ms = CALL_MS;
    options.node = (uint32_t) image->node;
    for (bool last = false; !last; request.piece++) {
        struct snapshot_read_reply *reply;
        if (interrupted) {
            *code = cli_complain (CLI_FAILED, "interrupted");
            return STEP_FAILED;
        }
        if (cli_ask (save->client, METHOD_NUMBER_CLUSTER_SNAPSHOT_READ, &request, &options, (void **) &reply) !=
            MAITRE_OK)
            return failed (save, true, code);
        bool same = reply->index == image->index;
        bool written = same && write_all (file, reply->data.data, reply->data.len);
        if (same && !written)
            *code = cli_complain (CLI_FAILED, "%s cannot be written: %s", save->temporary, strerror (errno));
        crypto_generichash_update (&digest, reply->data.data, reply->data.len);
        image->bytes += reply->data.len;
        save->bytes += reply->data.len;
        save->read_bytes += reply->data.len;
        last = reply->last;
        free (reply);
        if (!same)
            return STEP_AGAIN;
        if (!written)
            return STEP_FAILED;
        save->moved_ms = now_ms ();
        show (save, shard, false);
        keep_pace (save);
    }
    static uint8_t digests[BACKUP_MANIFEST_IMAGES_COUNT_MAX][BACKUP_DIGEST_BYTES];
    crypto_generichash_final (&digest, digests[shard], BACKUP_DIGEST_BYTES);
    image->digest = bytes_of (digests[shard], BACKUP_DIGEST_BYTES);
    return STEP_DONE;
}

/* It ends by itself too, after a while. */
static void close_image (struct save *save, uint32_t shard)
{
    struct snapshot_close_request request = {.save = save->id, .shard = shard};
    struct snapshot_close_reply *reply;
    struct maitre_call_options options;
    maitre_call_options_init (&options);
    options.deadline_ms = 1000;
    options.attempts_max = 1;
    options.node = (uint32_t) save->images[shard].node;
    if (cli_ask (save->client, METHOD_NUMBER_CLUSTER_SNAPSHOT_CLOSE, &request, &options, (void **) &reply) == MAITRE_OK)
        free (reply);
}

static enum step try_shard (struct save *save, uint32_t shard, int file, int *code)
{
    uint64_t before = save->bytes;
    enum step step = open_image (save, shard, code);
    if (step != STEP_DONE)
        return step;
    step = read_image (save, shard, file, code);
    close_image (save, shard);
    if (step == STEP_AGAIN) {
        save->bytes = before;
        save->restarts++;
    }
    return step;
}

static int save_shard (struct save *save, uint32_t shard)
{
    char name[BACKUP_NAME_BYTES];
    int code = CLI_OK;
    image_name (shard, name);
    int file = openat (save->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return cli_complain (CLI_FAILED, "%s/%s cannot be made: %s", save->temporary, name, strerror (errno));
    save->moved_ms = now_ms ();
    enum step step;
    while ((step = try_shard (save, shard, file, &code)) == STEP_AGAIN) {
        if (now_ms () >= save->moved_ms + save->wait_ms) {
            code = cli_complain (CLI_UNAVAILABLE, "shard %u was out of reach for %u s (%s): nothing is saved", shard,
                (unsigned) (save->wait_ms / 1000), save->why_text);
            break;
        }
        if (interrupted || ftruncate (file, 0) != 0 || lseek (file, 0, SEEK_SET) != 0) {
            code = cli_complain (
                CLI_FAILED, "%s/%s: %s", save->temporary, name, interrupted ? "interrupted" : strerror (errno));
            break;
        }
        pause_ms (LOOK_MS);
    }
    if (step == STEP_DONE && fsync (file) != 0)
        code = cli_complain (CLI_FAILED, "%s/%s cannot be synced: %s", save->temporary, name, strerror (errno));
    if (close (file) != 0 && code == CLI_OK)
        code = cli_complain (CLI_FAILED, "%s/%s cannot be written: %s", save->temporary, name, strerror (errno));
    return code;
}

/* ---- all */

static int look (struct save *save)
{
    struct maitre_cluster cluster;
    enum maitre_status status = maitre_cluster_status (save->client, 0, &cluster);
    if (status != MAITRE_OK)
        return cli_failed (save->cli, maitre_error (save->client));
    save->cluster = cli_id_in (&cluster.cluster);
    save->shard_count = cluster.shard_count;
    save->nodes = cluster.nodes;
    save->images = calloc (save->shard_count + 1, sizeof *save->images);
    if (save->images == NULL || save->shard_count + 1 > BACKUP_MANIFEST_IMAGES_COUNT_MAX)
        return cli_complain (CLI_FAILED, "out of memory");
    return CLI_OK;
}

static void finish (const struct save *save)
{
    char cluster[ID_TEXT_LEN + 1];
    double seconds = (double) (now_ms () - save->begun_ms + 1) / 1000, mib = (double) save->bytes / MIB;
    id_format (&save->cluster, cluster);
    if (!save->cli->json) {
        printf ("%s: %u shards, %.1f MiB in %.1f s; check it with maitre snapshot verify %s\n", save->dir,
            save->shard_count + 1, mib, seconds, save->dir);
        return;
    }
    json_t *object = json_object ();
    json_object_set_new (object, "backup", json_string (save->dir));
    json_object_set_new (object, "cluster", json_string (cluster));
    json_object_set_new (object, "shards", json_integer (save->shard_count + 1));
    json_object_set_new (object, "bytes", json_integer ((json_int_t) save->bytes));
    json_object_set_new (object, "seconds", json_real (seconds));
    json_object_set_new (object, "mib_per_s", json_real (mib / seconds));
    json_object_set_new (object, "restarts", json_integer ((json_int_t) save->restarts));
    cli_print_json (object);
}

static int run (struct save *save)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction (SIGINT, &action, NULL);
    sigaction (SIGTERM, &action, NULL);
    randombytes_buf (save->id.b, ID_SIZE);
    save->begun_ms = now_ms ();
    save->wall_begun_ms = clock_ms (CLOCK_REALTIME);
    int code = look (save);
    if (code == CLI_OK)
        code = open_folder (save);
    for (uint32_t shard = 0; code == CLI_OK && shard <= save->shard_count; shard++)
        code = save_shard (save, shard);
    if (code == CLI_OK)
        show (save, save->shard_count, true);
    if (code == CLI_OK)
        code = write_manifest (save);
    if (code == CLI_OK)
        finish (save);
    else
        drop_folder (save);
    return code;
}

int cli_snapshot_save (struct cli *cli)
{
    bool bad = false;
    struct save save = {.cli = cli, .folder = -1, .terminal = isatty (STDERR_FILENO) == 1};
    save.rate = cli_take_number (cli, "--rate", RATE_MIB, 1, 100000, &bad) * 1024 * 1024;
    save.wait_ms = cli_take_number (cli, "--wait", WAIT_S, 1, 1000000, &bad) * 1000;
    if (cli->help)
        return help (true);
    size_t len = cli->argc == 2 ? strlen (cli->argv[1]) : 0;
    while (len > 1 && cli->argv[1][len - 1] == '/')
        len--;
    if (bad || len == 0 || len >= sizeof save.dir || cli->argv[1][0] == '-')
        return help (false);
    if (cli->node != 0)
        return cli_complain (CLI_USAGE, "save asks the node that leads each shard; leave --node away");
    memcpy (save.dir, cli->argv[1], len);
    if (sodium_init () < 0)
        return cli_complain (CLI_FAILED, "libsodium cannot be started");
    int code = CLI_OK;
    save.client = cli_client (cli, 4, &code);
    if (save.client == NULL)
        return code;
    code = run (&save);
    maitre_destroy (&save.client);
    free (save.images);
    return code;
}
