#include "node/store/store_verify.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/store/store_internal.h"
#include "node/store/wal.h"
#include "schemas/runtime/checksum.h"

#define PROGRESS_ROWS 10000

#define FROM_PEERS "start the node while a majority of the others runs: they fill it"
#define FILLED_ANEW                                                                                                    \
    "start the node while a majority of the others runs: its leader fills it; a cluster of one node cannot"
#define LOST_DISK "the node does not start: see \"A disk that is lost or damaged\" in node/README.md"

struct verify {
    const struct store_verify_visitor *visitor;
    struct store_verify_totals *totals;
    struct store *store;
    char *temporary, *rebuilt; /* where what can be saved of a rotten log is looked at; and of one that does not open */
};

__attribute__ ((format (printf, 5, 6))) static void found (
    struct verify *verify, enum store_verify_kind kind, const char *where, const char *todo, const char *format, ...)
{
    char what[sizeof ((struct store_error *) NULL)->text];
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (what, sizeof what, format, arguments);
    va_end (arguments);
    struct store_verify_finding finding = {.kind = kind, .where = where, .what = what, .todo = todo};
    verify->totals->notes += kind == STORE_VERIFY_NOTE;
    verify->totals->mended += kind == STORE_VERIFY_MENDED;
    verify->totals->operators += kind == STORE_VERIFY_OPERATOR;
    verify->visitor->finding (verify->visitor->argument, &finding);
}

static void progress (struct verify *verify, const char *what, uint64_t done, uint64_t total)
{
    if (verify->visitor->progress != NULL)
        verify->visitor->progress (verify->visitor->argument, what, done, total);
}

/* ---- the small files */

static const char *file_todo (const char *name)
{
    if (strcmp (name, "peers") == 0)
        return "was no other node emptied meanwhile? then remove this file and start";
    if (strcmp (name, "mend") == 0)
        return "nothing: the next start reads all state because of it";
    return LOST_DISK;
}

static void check_file (struct verify *verify, const char *name)
{
    char where[STORE_FILE_NAME_LEN_MAX + 16];
    uint8_t *data = NULL;
    size_t len;
    snprintf (where, sizeof where, "files/%.*s", STORE_FILE_NAME_LEN_MAX, name);
    if (strchr (name, '.') != NULL) { /* NAME.new: of a write that a crash ended */
        found (verify, STORE_VERIFY_NOTE, where, "nothing", "left over from a write that did not end");
        return;
    }
    enum status status = store_file_get (verify->store, name, &data, &len);
    free (data);
    if (status != STATUS_OK)
        found (verify, strcmp (name, "mend") == 0 ? STORE_VERIFY_MENDED : STORE_VERIFY_OPERATOR, where,
            file_todo (name), status == STATUS_DATA_LOSS ? "its checksum is wrong" : "it cannot be read");
    else if (strcmp (name, "mend") == 0 && len > 0)
        found (verify, STORE_VERIFY_MENDED, where, FROM_PEERS, "a read of the state failed while the node ran");
}

static void check_files (struct verify *verify)
{
    static const char *const needed[] = {"shape", "incarnation"};
    DIR *folder = opendir (verify->store->files_dir);
    struct dirent *item;
    while (folder != NULL && (item = readdir (folder)) != NULL) {
        if (item->d_name[0] != '.')
            check_file (verify, item->d_name);
    }
    if (folder != NULL)
        closedir (folder);
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        char where[32];
        snprintf (where, sizeof where, "files/%s", needed[i]);
        if (verify->store->folder.ready && !small_file_exists (verify->store->files_dir, needed[i]))
            found (verify, STORE_VERIFY_OPERATOR, where, LOST_DISK, "it is missing");
    }
}

static void check_marks (struct verify *verify)
{
    const struct folder *folder = &verify->store->folder;
    if (folder->suspect)
        found (verify, STORE_VERIFY_NOTE, "SUSPECT", "nothing: its replicas vote again once leaders have filled them",
            "the folder is suspect: %s", folder->reason);
    if (!folder->ready)
        found (verify, STORE_VERIFY_NOTE, "IDENTITY", "nothing: a start makes the databases anew",
            "the folder was never made whole, or was set aside");
    if (small_file_exists (folder->dir, "damaged-log"))
        found (verify, STORE_VERIFY_NOTE, "damaged-log", "remove it when all is well",
            "a damaged log that an earlier start made anew");
    for (unsigned n = 1; n < 100; n++) {
        char name[32];
        snprintf (name, sizeof name, "damaged-%u", n);
        if (small_file_exists (folder->dir, name))
            found (verify, STORE_VERIFY_NOTE, name, "remove it when all is well",
                "a damaged database that an earlier start set aside");
    }
}

/* ---- the log */

static char *temporary_dir (void)
{
    const char *base = getenv ("TMPDIR");
    char *dir = small_file_path (base != NULL && base[0] != 0 ? base : "/tmp", "maitred-verify-XXXXXX");
    if (dir != NULL && mkdtemp (dir) == NULL) {
        free (dir);
        return NULL;
    }
    return dir;
}

static void remove_temporary (const char *dir)
{
    DIR *folder = opendir (dir);
    struct dirent *item;
    while (folder != NULL && (item = readdir (folder)) != NULL)
        unlinkat (dirfd (folder), item->d_name, 0); /* not . and .., which are folders */
    if (folder != NULL)
        closedir (folder);
    rmdir (dir);
}

static bool link_rest (const char *from, const char *into)
{
    char *source = realpath (from, NULL);
    DIR *folder = source == NULL ? NULL : opendir (source);
    struct dirent *item;
    bool fine = folder != NULL;
    while (fine && (item = readdir (folder)) != NULL) {
        char *target = small_file_path (source, item->d_name), *name = small_file_path (into, item->d_name);
        fine = target != NULL && name != NULL && (symlink (target, name) == 0 || errno == EEXIST);
        free (target);
        free (name);
    }
    if (folder != NULL)
        closedir (folder);
    free (source);
    return fine;
}

/* The log as a start would have it: what can be saved of damaged files beside links to the others, in a folder elsewhere. */
static enum status view_salvaged (struct verify *verify, struct store_error *error)
{
    struct store *store = verify->store;
    struct wal_salvaged salvaged;
    verify->temporary = temporary_dir ();
    if (verify->temporary == NULL)
        return store_fail (error, STATUS_INTERNAL, "no folder for what can be saved of the log: %s", strerror (errno));
    enum status status = wal_salvage (store->log_dir, verify->temporary, &salvaged, error);
    if (status == STATUS_OK && !link_rest (store->log_dir, verify->temporary))
        status = store_fail (error, STATUS_INTERNAL, "%s cannot be filled: %s", verify->temporary, strerror (errno));
    if (status == STATUS_OK) {
        free (store->log_dir);
        store->log_dir = strdup (verify->temporary);
        store->salvaged = salvaged.end_lost ? STORE_SALVAGED_END : STORE_SALVAGED_MIDDLE;
    }
    return status == STATUS_OK && store->log_dir == NULL
               ? store_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory")
               : status;
}

/* False: it cannot be read any further. */
static bool check_wal (struct verify *verify, enum status *status, struct store_error *error)
{
    struct wal_report report;
    char where[32];
    *status = wal_inspect (verify->store->log_dir, &report, error);
    if (*status != STATUS_OK)
        return false;
    snprintf (where, sizeof where, "log/%06" PRIu64 ".log", report.file);
    verify->store->wal_torn = report.condition == WAL_TORN;
    if (report.condition == WAL_TORN)
        found (verify, STORE_VERIFY_NOTE, where,
            "nothing: the next start cuts it, and its replicas are suspect for a while",
            "a torn end: whole up to byte %" PRIu64 " of %" PRIu64 ", as a power loss leaves it", report.offset,
            report.size);
    if (report.condition == WAL_ROT)
        found (verify, STORE_VERIFY_MENDED, where, FROM_PEERS,
            "damaged behind byte %" PRIu64 " of %" PRIu64 ", and valid records follow: synced turns rotted",
            report.offset, report.size);
    if (report.condition == WAL_ROT)
        *status = view_salvaged (verify, error);
    return *status == STATUS_OK;
}

static void note_replica (void *argument, const struct store_replica *replica)
{
    struct verify *verify = argument;
    verify->totals->replicas++;
    if (replica->lost != NULL) {
        char where[48];
        snprintf (where, sizeof where, "log/ shard %" PRIu32, replica->shard);
        found (verify, STORE_VERIFY_MENDED, where, FILLED_ANEW, "%s: the start empties this replica", replica->lost);
    }
    if (replica->damage != NULL && verify->store->state.db != NULL) {
        char where[48];
        snprintf (where, sizeof where, "state/ shard %" PRIu32, replica->shard);
        found (verify, STORE_VERIFY_MENDED, where, FROM_PEERS, "%s", replica->damage);
    }
}

static void note_entry (void *argument, uint32_t shard, uint64_t replica, const struct store_entry *entry)
{
    struct verify *verify = argument;
    (void) shard;
    (void) replica;
    (void) entry;
    verify->totals->entries++;
}

static enum status read_log (struct verify *verify, struct store_error *why)
{
    struct store *store = verify->store;
    struct store_recovery recovery = {.argument = verify, .replica = note_replica, .entry = note_entry};
    enum status status = database_open_log (store, false, why);
    if (status == STATUS_OK && verify->rebuilt == NULL)
        status = log_unlisted_check (store, why);
    return status == STATUS_OK ? store_log_recover (store, &recovery, why) : status;
}

/* As a start does: from what is left of its files, or from nothing. */
static enum status read_rebuilt (struct verify *verify, bool left, struct store_error *why)
{
    struct store *store = verify->store;
    database_close (&store->log);
    store_log_forget (store);
    if (verify->rebuilt != NULL)
        remove_temporary (verify->rebuilt);
    free (verify->rebuilt);
    verify->rebuilt = temporary_dir ();
    char *damaged = store->log_dir, *made = verify->rebuilt == NULL ? NULL : strdup (verify->rebuilt);
    if (made == NULL)
        return store_fail (why, STATUS_INTERNAL, "no folder for what is left of the log: %s", strerror (errno));
    enum status status = store_rebuild_view (store, made, left, why);
    store->log_dir = made;
    store->salvaged = STORE_SALVAGED_END;
    verify->totals->replicas = verify->totals->entries = 0;
    if (status == STATUS_OK)
        status = read_log (verify, why);
    free (made);
    store->log_dir = damaged;
    return status;
}

/* Every checksum, the numbers of the turns without gaps, each replica's chain of entries, marks and terms. */
static void check_log (struct verify *verify)
{
    struct store *store = verify->store;
    struct store_error why = {.text = ""};
    bool suspect = store->folder.suspect, there = small_file_exists (store->log_dir, "CURRENT");
    progress (verify, "log", 0, 0);
    enum status status = there ? read_log (verify, &why)
                               : store_fail (&why, STATUS_DATA_LOSS, "log/CURRENT is missing: its index is lost");
    bool rebuilt = status == STATUS_DATA_LOSS;
    if (rebuilt) {
        found (verify, STORE_VERIFY_MENDED, "log/", FILLED_ANEW, "%s: the start makes it anew from what is left of it",
            why.text);
        status = read_rebuilt (verify, true, &why);
    }
    if (rebuilt && status == STATUS_DATA_LOSS) {
        found (verify, STORE_VERIFY_MENDED, "log/", FILLED_ANEW,
            "%s: nothing of it can be gone on with, and the start empties all replicas", why.text);
        status = read_rebuilt (verify, false, &why);
    }
    if (status != STATUS_OK) {
        found (verify, STORE_VERIFY_OPERATOR, "log/",
            status == STATUS_FAILED_PRECONDITION ? "run the newer version" : LOST_DISK, "%s", why.text);
        return;
    }
    if (!rebuilt && store_log_check_dropped (store, &why) != STATUS_OK)
        found (verify, STORE_VERIFY_MENDED, "log/", "start the node: it makes the log anew, and nothing is lost", "%s",
            why.text);
    verify->totals->turns = store->turn_last + 1 - store->turn_first;
    verify->totals->log_bytes = store->log_bytes;
    progress (verify, "log", store->log_bytes, store->log_bytes);
    struct store_hole hole;
    if (store_log_holed (store, &hole) && hole.turns == 0)
        found (verify, STORE_VERIFY_MENDED, "log/", FROM_PEERS,
            "which turns are lost is not known: %" PRIu32 " replicas may have lost their newest entries, %" PRIu32
            " start over; none votes before a leader has looked after it",
            hole.doubtful + hole.certain, hole.broken);
    else if (store_log_holed (store, &hole))
        found (verify, STORE_VERIFY_MENDED, "log/", FROM_PEERS,
            "of turns %" PRIu64 " to %" PRIu64 " %" PRIu64 " rotted: %" PRIu32
            " replicas prove that they lost nothing, %" PRIu32 " may have lost their newest entries, %" PRIu32
            " start over; none votes before a leader has looked after it",
            hole.turn_first, hole.turn_last, hole.turns, hole.certain, hole.doubtful, hole.broken);
    else if (!suspect && store->folder.suspect)
        found (verify, STORE_VERIFY_MENDED, "log/", FROM_PEERS, "%s", store->folder.reason);
}

/* ---- the state */

static enum status read_replica (struct verify *verify, const struct registry_record *record)
{
    struct store_cursor *cursor;
    struct bytes key, value;
    uint64_t index, term;
    enum status status =
        store_state_applied (verify->store, record->shard, record->replica, record->generation, &index, &term);
    if (status == STATUS_OK)
        status = store_cursor_open (verify->store, record->shard, record->replica, record->generation,
            (struct bytes){0}, (struct bytes){0}, false, &cursor);
    if (status != STATUS_OK)
        return status;
    while ((status = store_cursor_next (cursor, &key, &value)) == STATUS_OK) {
        verify->totals->rows++;
        verify->totals->row_bytes += key.len + value.len;
        if (verify->totals->rows % PROGRESS_ROWS == 0)
            progress (verify, "state", verify->totals->rows, 0);
    }
    store_cursor_close (&cursor);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* What nobody reads any more may stop a compaction all the same. */
static enum status read_everything (struct verify *verify, struct store_error *error)
{
    struct store *store = verify->store;
    rocksdb_iterator_t *iterator = rocksdb_create_iterator (store->state.db, store->state.read);
    for (rocksdb_iter_seek_to_first (iterator); rocksdb_iter_valid (iterator); rocksdb_iter_next (iterator))
        continue;
    char *failed = NULL;
    rocksdb_iter_get_error (iterator, &failed);
    rocksdb_iter_destroy (iterator);
    return failed == NULL ? STATUS_OK : database_fail (error, "what no replica uses cannot be read", failed);
}

static void check_state (struct verify *verify)
{
    struct store *store = verify->store;
    struct store_error why = {.text = ""};
    uint32_t damaged = 0;
    for (size_t i = 0; i < store->registry.count; i++) {
        const struct registry_record *record = store->registry.records[i];
        char where[48];
        snprintf (where, sizeof where, "state/ shard %" PRIu32, record->shard);
        enum status status = record->removed ? STATUS_OK : read_replica (verify, record);
        progress (verify, "state", i + 1, store->registry.count);
        damaged += status != STATUS_OK;
        if (status != STATUS_OK)
            found (verify, STORE_VERIFY_MENDED, where, FROM_PEERS, "its state cannot be read back from the disk (%s)",
                status_name (status));
    }
    if (damaged == 0 && read_everything (verify, &why) != STATUS_OK)
        found (verify, STORE_VERIFY_MENDED, "state/", "nothing: a start, or the first compaction, makes it anew", "%s",
            why.text);
}

static enum status check_databases (struct verify *verify, struct store_error *error)
{
    struct store *store = verify->store;
    struct store_error why = {.text = ""};
    enum status status = STATUS_OK;
    if (!store->folder.ready)
        return STATUS_OK;
    if (small_file_exists (store->folder.dir, "state-old"))
        found (verify, STORE_VERIFY_NOTE, "state-old/", "nothing: the next start puts it back",
            "the mending of the state was interrupted");
    if (database_open_state (store, false, &why) != STATUS_OK) {
        database_close (&store->state);
        found (verify, STORE_VERIFY_MENDED, "state/", FROM_PEERS, "%s", why.text);
    }
    if (small_file_exists (store->folder.dir, "log-old"))
        found (verify, STORE_VERIFY_NOTE, "log-old/",
            "nothing: the next start goes on with it, or keeps it as damaged-log",
            "the making anew of the log was interrupted");
    if (store_rebuild_asked (store, &why))
        found (verify, STORE_VERIFY_MENDED, "REBUILD", "start the node: it makes the log anew", "%s", why.text);
    if (check_wal (verify, &status, error))
        check_log (verify);
    if (status == STATUS_OK && store->recovered && store->state.db != NULL)
        check_state (verify);
    return status;
}

enum status store_verify (const char *dir, const struct store_verify_visitor *visitor,
    struct store_verify_totals *totals, struct store_error *error)
{
    *totals = (struct store_verify_totals){0};
    error->text[0] = 0;
    if (!small_file_exists (dir, "FORMAT") && !small_file_exists (dir, "IDENTITY") && !small_file_exists (dir, "log"))
        return store_fail (error, STATUS_NOT_FOUND, "%s is no data folder of a node", dir);
    struct store *store = calloc (1, sizeof *store);
    if (store == NULL)
        return store_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
    struct verify verify = {.visitor = visitor, .totals = totals, .store = store};
    pthread_mutex_init (&store->lock, NULL);
    pthread_mutex_init (&store->sweeping, NULL);
    enum status status = folder_inspect (&store->folder, dir, error);
    bool interrupted = small_file_exists (dir, "log-old") && !small_file_exists (dir, "log");
    store->log_dir = small_file_path (dir, interrupted ? "log-old" : "log");
    store->state_dir = small_file_path (dir, "state");
    store->files_dir = small_file_path (dir, "files");
    if (store->log_dir == NULL || store->state_dir == NULL || store->files_dir == NULL)
        status = store_fail (error, STATUS_RESOURCE_EXHAUSTED, "out of memory");
    totals->identity = store->folder.identity;
    if (status == STATUS_DATA_LOSS) {
        found (&verify, STORE_VERIFY_OPERATOR, strstr (error->text, "FORMAT") != NULL ? "FORMAT" : "IDENTITY",
            "put that file back; without it the folder belongs to nobody", "%s", error->text);
        error->text[0] = 0;
        store->folder.ready = true;
        status = STATUS_OK;
    }
    if (status == STATUS_OK) {
        check_marks (&verify);
        check_files (&verify);
        status = check_databases (&verify, error);
    }
    store_close (&store);
    if (verify.temporary != NULL)
        remove_temporary (verify.temporary);
    if (verify.rebuilt != NULL)
        remove_temporary (verify.rebuilt);
    free (verify.rebuilt);
    free (verify.temporary);
    bool damaged = totals->mended > 0 || totals->operators > 0;
    return status != STATUS_OK ? status : damaged ? STATUS_DATA_LOSS : STATUS_OK;
}
