#include "node/store/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/failpoint/failpoint.h"
#include "node/store/small_file.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/checksum.h"

#define MARK_BYTES 16

static struct id random_id (void)
{
    struct id id = {0};
    while (id_is_zero (&id)) {
        ssize_t n = getrandom (id.b, sizeof id.b, 0);
        maitre_assert (n == (ssize_t) sizeof id.b || (n < 0 && errno == EINTR));
    }
    return id;
}

static enum status make_dir (const char *dir, struct store_error *error)
{
    if (mkdir (dir, 0700) != 0) {
        if (errno == EEXIST)
            return STATUS_OK;
        return store_fail (error, STATUS_INTERNAL,
            "cannot make %s: %s: make the folder above it, or correct data in the configuration", dir,
            strerror (errno));
    }
    char *copy = strdup (dir);
    enum status status = copy == NULL ? STATUS_RESOURCE_EXHAUSTED : small_file_sync_dir (dirname (copy));
    free (copy);
    return status == STATUS_OK ? status : store_fail (error, status, "cannot sync the folder above %s", dir);
}

/* flock, not fcntl: it also holds within a process, and no close of another descriptor lets it go. */
static enum status lock (struct folder *folder, struct store_error *error)
{
    char *path = small_file_path (folder->dir, "LOCK");
    folder->lock_fd = path == NULL ? -1 : open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free (path);
    if (folder->lock_fd < 0)
        return store_fail (error, STATUS_INTERNAL, "cannot open %s/LOCK: %s", folder->dir, strerror (errno));
    if (flock (folder->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        char holder[32] = "";
        ssize_t n = pread (folder->lock_fd, holder, sizeof holder - 1, 0);
        holder[n > 0 ? n : 0] = 0;
        long pid = strtol (holder, NULL, 10);
        close (folder->lock_fd);
        folder->lock_fd = -1;
        return store_fail (error, STATUS_FAILED_PRECONDITION,
            "data folder %s is in use by process %ld: stop that one, or give this node a folder of its own",
            folder->dir, pid);
    }
    char text[32];
    int len = snprintf (text, sizeof text, "%ld\n", (long) getpid ());
    bool written = ftruncate (folder->lock_fd, 0) == 0 && pwrite (folder->lock_fd, text, (size_t) len, 0) == len;
    return written ? STATUS_OK : store_fail (error, STATUS_INTERNAL, "cannot write %s/LOCK", folder->dir);
}

static enum status check_format (struct folder *folder, struct store_error *error)
{
    uint8_t *data;
    size_t len;
    enum status status = small_file_read (folder->dir, "FORMAT", 64, &data, &len);
    if (status == STATUS_NOT_FOUND && folder->read_only)
        return store_fail (error, STATUS_DATA_LOSS, "%s has no FORMAT", folder->dir);
    if (status == STATUS_NOT_FOUND) {
        if (small_file_exists (folder->dir, "IDENTITY") || small_file_exists (folder->dir, "log"))
            return store_fail (error, STATUS_FAILED_PRECONDITION,
                "%s has data but no FORMAT: put that file back, or name another folder", folder->dir);
        char text[32];
        snprintf (text, sizeof text, "maitred-store %d\n", STORE_FORMAT);
        status = small_file_write (folder->dir, "FORMAT", bytes_text (text));
        return status == STATUS_OK ? status : store_fail (error, status, "cannot write %s/FORMAT", folder->dir);
    }
    if (status != STATUS_OK)
        return store_fail (error, status, "cannot read %s/FORMAT", folder->dir);
    unsigned format = 0;
    char end = 0;
    int fields = sscanf ((const char *) data, "maitred-store %9u%c", &format, &end);
    free (data);
    if (fields != 2 || end != '\n' || format == 0)
        return store_fail (error, STATUS_DATA_LOSS, "%s/FORMAT is damaged", folder->dir);
    if (format > STORE_FORMAT)
        return store_fail (error, STATUS_FAILED_PRECONDITION,
            "data folder %s has format %u, this maitred knows up to %d: run a newer one; if none ever ran "
            "here, the file FORMAT is damaged, and the node has to be replaced: maitre node replace N",
            folder->dir, format, STORE_FORMAT);
    return STATUS_OK;
}

static int format_identity (const struct folder *folder, char *out, size_t size)
{
    char cluster[ID_TEXT_LEN + 1], node[ID_TEXT_LEN + 1], storage[ID_TEXT_LEN + 1];
    id_format (&folder->identity.cluster, cluster);
    id_format (&folder->identity.node, node);
    id_format (&folder->identity.storage, storage);
    int len = snprintf (out, size, "cluster %s\nnode %s\nstorage %s\nindex %" PRIu32 "\ndatabases %s\n", cluster, node,
        storage, folder->identity.node_index, folder->ready ? "ready" : "none");
    uint64_t sum = checksum64 (0, bytes_of (out, (size_t) len));
    return len + snprintf (out + len, size - (size_t) len, "checksum %016" PRIx64 "\n", sum);
}

static bool parse_identity (struct folder *folder, const char *text)
{
    char cluster[ID_TEXT_LEN + 1], node[ID_TEXT_LEN + 1], storage[ID_TEXT_LEN + 1], databases[8];
    int fields = sscanf (text, "cluster %32s node %32s storage %32s index %9" SCNu32 " databases %7s", cluster, node,
        storage, &folder->identity.node_index, databases);
    if (fields != 5 || id_parse (bytes_text (cluster), &folder->identity.cluster) != STATUS_OK ||
        id_parse (bytes_text (node), &folder->identity.node) != STATUS_OK ||
        id_parse (bytes_text (storage), &folder->identity.storage) != STATUS_OK)
        return false;
    folder->ready = strcmp (databases, "ready") == 0;
    /* Written again it must be the same to the byte, the checksum included. */
    char again[512];
    format_identity (folder, again, sizeof again);
    return strcmp (again, text) == 0;
}

static enum status check_identity (
    struct folder *folder, const struct store_options *options, struct store_error *error)
{
    uint8_t *data;
    size_t len;
    enum status status = small_file_read (folder->dir, "IDENTITY", 511, &data, &len);
    if (status == STATUS_NOT_FOUND && folder->read_only)
        return store_fail (error, STATUS_DATA_LOSS, "%s has no IDENTITY", folder->dir);
    if (status == STATUS_NOT_FOUND) {
        if (small_file_exists (folder->dir, "log") || small_file_exists (folder->dir, "state"))
            return store_fail (error, STATUS_FAILED_PRECONDITION,
                "%s has data but no IDENTITY: put that file back, or name another folder", folder->dir);
        folder->identity =
            (struct store_identity){.cluster = options->cluster, .node = random_id (), .node_index = options->node};
        return folder_set_ready (folder, false, true, error);
    }
    if (status != STATUS_OK)
        return store_fail (error, status, "cannot read %s/IDENTITY", folder->dir);
    bool parsed = parse_identity (folder, (const char *) data);
    free (data);
    if (!parsed)
        return store_fail (error, STATUS_DATA_LOSS, "%s/IDENTITY is damaged", folder->dir);
    if (folder->read_only)
        return STATUS_OK;
    if (!id_equal (&folder->identity.cluster, &options->cluster)) {
        char theirs[ID_TEXT_LEN + 1], ours[ID_TEXT_LEN + 1];
        id_format (&folder->identity.cluster, theirs);
        id_format (&options->cluster, ours);
        return store_fail (error, STATUS_FAILED_PRECONDITION,
            "data folder %s belongs to cluster %s, not %s: correct data or cluster/nodes in the configuration",
            folder->dir, theirs, ours);
    }
    if (folder->identity.node_index != options->node)
        return store_fail (error, STATUS_FAILED_PRECONDITION,
            "data folder %s belongs to node %" PRIu32 ", not %" PRIu32 ": correct node or data in the configuration",
            folder->dir, folder->identity.node_index, options->node);
    return STATUS_OK;
}

static enum status read_suspect (struct folder *folder, struct store_error *error)
{
    uint8_t *data;
    size_t len;
    enum status status = small_file_read (folder->dir, "SUSPECT", 4096, &data, &len);
    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    folder->suspect = true;
    if (status != STATUS_OK)
        return store_fail (error, status, "cannot read %s/SUSPECT", folder->dir);
    snprintf (folder->reason, sizeof folder->reason, "%s", (const char *) data);
    folder->reason[strcspn (folder->reason, "\n")] = 0;
    free (data);
    return STATUS_OK;
}

static enum status open_mark (struct folder *folder, struct store_error *error)
{
    char *path = small_file_path (folder->dir, "MARK");
    int flags = folder->read_only ? O_RDONLY | O_CLOEXEC : O_RDWR | O_CREAT | O_CLOEXEC;
    folder->mark_fd = path == NULL ? -1 : open (path, flags, 0600);
    free (path);
    if (folder->mark_fd < 0 && folder->read_only)
        return STATUS_OK; /* a hint that is not there */
    if (folder->mark_fd < 0)
        return store_fail (error, STATUS_INTERNAL, "cannot open %s/MARK: %s", folder->dir, strerror (errno));
    uint8_t raw[MARK_BYTES];
    bool whole = pread (folder->mark_fd, raw, sizeof raw, 0) == (ssize_t) sizeof raw &&
                 checksum64 (0, bytes_of (raw, 8)) == bytes_get_u64 (raw + 8);
    folder->mark = whole ? bytes_get_u64 (raw) : 0;
    return STATUS_OK;
}

enum status folder_open (
    struct folder *folder, const char *dir, const struct store_options *options, struct store_error *error)
{
    maitre_assert (!id_is_zero (&options->cluster));
    maitre_assert (options->node > 0);
    *folder = (struct folder){.dir = strdup (dir), .lock_fd = -1, .mark_fd = -1};
    enum status status =
        folder->dir == NULL ? store_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory") : make_dir (dir, error);
    if (status == STATUS_OK)
        status = lock (folder, error);
    if (status == STATUS_OK)
        status = check_format (folder, error);
    if (status == STATUS_OK)
        status = check_identity (folder, options, error);
    if (status == STATUS_OK)
        status = read_suspect (folder, error);
    if (status == STATUS_OK)
        status = open_mark (folder, error);
    if (status != STATUS_OK)
        folder_close (folder);
    return status;
}

enum status folder_inspect (struct folder *folder, const char *dir, struct store_error *error)
{
    *folder = (struct folder){.dir = strdup (dir), .lock_fd = -1, .mark_fd = -1, .read_only = true};
    char *path = folder->dir == NULL ? NULL : small_file_path (dir, "LOCK");
    if (path == NULL)
        return store_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
    folder->lock_fd = open (path, O_RDONLY | O_CLOEXEC);
    free (path);
    if (folder->lock_fd >= 0 && flock (folder->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return store_fail (error, STATUS_FAILED_PRECONDITION, "a node runs on %s: stop it first", dir);
    enum status status = check_format (folder, error);
    if (status == STATUS_OK)
        status = check_identity (folder, NULL, error);
    if (status == STATUS_OK)
        status = read_suspect (folder, error);
    return status == STATUS_OK ? open_mark (folder, error) : status;
}

enum status folder_set_ready (struct folder *folder, bool ready, bool new_storage_id, struct store_error *error)
{
    folder->ready = ready;
    if (new_storage_id)
        folder->identity.storage = random_id ();
    char text[512];
    int len = format_identity (folder, text, sizeof text);
    maitre_assert (len > 0 && (size_t) len < sizeof text);
    enum status status = failpoint (FAILPOINT_IDENTITY_BEFORE)
                             ? STATUS_INTERNAL
                             : small_file_write (folder->dir, "IDENTITY", bytes_of (text, (size_t) len));
    failpoint_pass (FAILPOINT_IDENTITY_AFTER);
    return status == STATUS_OK ? status : store_fail (error, status, "cannot write %s/IDENTITY", folder->dir);
}

static bool move_aside (const struct folder *folder, const char *aside, const char *name)
{
    if (!small_file_exists (folder->dir, name))
        return true;
    char *from = small_file_path (folder->dir, name), *to = small_file_path (aside, name);
    bool moved = from != NULL && to != NULL && rename (from, to) == 0;
    free (from);
    free (to);
    return moved;
}

bool folder_remove_sub (const struct folder *folder, const char *name)
{
    char *path = small_file_path (folder->dir, name);
    DIR *dir = path == NULL ? NULL : opendir (path);
    bool gone = path != NULL && dir == NULL && errno == ENOENT;
    if (dir != NULL) {
        struct dirent *item;
        while ((item = readdir (dir)) != NULL)
            unlinkat (dirfd (dir), item->d_name, 0); /* not . and .., which are folders */
        closedir (dir);
        gone = rmdir (path) == 0;
    }
    free (path);
    return gone;
}

bool folder_rename_sub (const struct folder *folder, const char *from, const char *to)
{
    char *source = small_file_path (folder->dir, from), *target = small_file_path (folder->dir, to);
    bool renamed = source != NULL && target != NULL && rename (source, target) == 0 &&
                   small_file_sync_dir (folder->dir) == STATUS_OK;
    free (source);
    free (target);
    return renamed;
}

enum status folder_make_aside (struct folder *folder, char **aside, struct store_error *error)
{
    char name[32];
    unsigned n = 1;
    do
        snprintf (name, sizeof name, "damaged-%u", n++);
    while (n < 10000 && small_file_exists (folder->dir, name));
    *aside = small_file_path (folder->dir, name);
    if (*aside != NULL && mkdir (*aside, 0700) == 0)
        return STATUS_OK;
    free (*aside);
    *aside = NULL;
    return store_fail (error, STATUS_INTERNAL, "cannot make %s/%s: %s", folder->dir, name, strerror (errno));
}

static enum status set_aside (struct folder *folder, bool log, struct store_error *error)
{
    char *aside;
    enum status status = folder_make_aside (folder, &aside, error);
    if (status != STATUS_OK)
        return status;
    bool moved = (!log || move_aside (folder, aside, "log")) && move_aside (folder, aside, "state") &&
                 small_file_sync_dir (aside) == STATUS_OK && small_file_sync_dir (folder->dir) == STATUS_OK;
    free (aside);
    return moved ? STATUS_OK
                 : store_fail (error, STATUS_INTERNAL, "cannot set the databases of %s aside: %s", folder->dir,
                       strerror (errno));
}

enum status folder_set_aside (struct folder *folder, struct store_error *error)
{
    if (!small_file_exists (folder->dir, "log") && !small_file_exists (folder->dir, "state"))
        return STATUS_OK;
    return set_aside (folder, true, error);
}

enum status folder_set_state_aside (struct folder *folder, struct store_error *error)
{
    return small_file_exists (folder->dir, "state") ? set_aside (folder, false, error) : STATUS_OK;
}

/* The mark without a sync: a disk that refuses syncs may still keep it, and the process may end without a power cut. */
static void leave_unsynced (const struct folder *folder)
{
    char *path = small_file_path (folder->dir, "SUSPECT");
    int fd = path == NULL ? -1 : open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    free (path);
    if (fd < 0)
        return;
    if (write (fd, folder->reason, strlen (folder->reason)) < 0)
        errno = 0; /* an empty mark is a mark */
    close (fd);
}

enum status folder_suspect_set (struct folder *folder, const char *reason)
{
    if (folder->suspect)
        return STATUS_OK;
    snprintf (folder->reason, sizeof folder->reason, "%s", reason);
    folder->reason[strcspn (folder->reason, "\n")] = 0;
    enum status status = failpoint (FAILPOINT_SUSPECT_BEFORE) ? STATUS_INTERNAL
                         : folder->read_only                  ? STATUS_OK
                                             : small_file_write (folder->dir, "SUSPECT", bytes_text (folder->reason));
    failpoint_pass (FAILPOINT_SUSPECT_AFTER);
    if (status != STATUS_OK)
        leave_unsynced (folder);
    folder->suspect = true;
    return status;
}

enum status folder_suspect_clear (struct folder *folder)
{
    enum status status = small_file_remove (folder->dir, "SUSPECT");
    if (status == STATUS_OK) {
        folder->suspect = false;
        folder->reason[0] = 0;
    }
    return status;
}

void folder_mark (struct folder *folder, uint64_t turn)
{
    uint8_t raw[MARK_BYTES];
    bytes_put_u64 (raw, turn);
    bytes_put_u64 (raw + 8, checksum64 (0, bytes_of (raw, 8)));
    if (!failpoint (FAILPOINT_LOG_MARK_BEFORE) && pwrite (folder->mark_fd, raw, sizeof raw, 0) == (ssize_t) sizeof raw)
        folder->mark = turn;
    failpoint_pass (FAILPOINT_LOG_MARK_AFTER);
}

void folder_close (struct folder *folder)
{
    if (folder->mark_fd >= 0)
        close (folder->mark_fd);
    if (folder->lock_fd >= 0)
        close (folder->lock_fd); /* lets the flock go */
    free (folder->dir);
    *folder = (struct folder){.lock_fd = -1, .mark_fd = -1};
}
