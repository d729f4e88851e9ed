/* What the store's tests share: temporary folders, an open with fixed options, and a record of what recovery hands out. */
#ifndef MAITRED_TEST_SUPPORT_STORE_FIXTURE_H
#define MAITRED_TEST_SUPPORT_STORE_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/store/store_log.h"
#include "node/store/store_state.h"
#include "test/support/plant.h"

#define FIXTURE_PATH_MAX 512
#define FIXTURE_ENTRIES_MAX 20000
#define FIXTURE_REPLICAS_MAX 64

static inline struct store_options fixture_options (void)
{
    return (struct store_options){.cluster = {.b = {0xc1, 1}}, .node = 1, .log_memtable_bytes = 4 * 1024 * 1024};
}

/* A new folder's name under TMPDIR or /tmp (the folder above it exists, it does not). */
static inline void fixture_dir (char dir[FIXTURE_PATH_MAX])
{
    const char *base = getenv ("TMPDIR");
    char above[FIXTURE_PATH_MAX - 16];
    snprintf (above, sizeof above, "%s/maitred-store-XXXXXX", base != NULL && strlen (base) < 400 ? base : "/tmp");
    assert_non_null (mkdtemp (above));
    snprintf (dir, FIXTURE_PATH_MAX, "%s/data", above);
}

/* "a/b" on the heap. */
static inline char *fixture_join (const char *a, const char *b)
{
    size_t size = strlen (a) + strlen (b) + 2;
    char *path = malloc (size);
    assert_non_null (path);
    snprintf (path, size, "%s/%s", a, b);
    return path;
}

static inline void fixture_remove_tree (const char *dir)
{
    DIR *folder = opendir (dir);
    if (folder == NULL)
        return;
    struct dirent *item;
    while ((item = readdir (folder)) != NULL) {
        if (strcmp (item->d_name, ".") == 0 || strcmp (item->d_name, "..") == 0)
            continue;
        char *path = fixture_join (dir, item->d_name);
        if (unlink (path) != 0)
            fixture_remove_tree (path);
        free (path);
    }
    closedir (folder);
    rmdir (dir);
}

static inline void fixture_remove (char dir[FIXTURE_PATH_MAX])
{
    char *slash = strrchr (dir, '/');
    *slash = 0;
    fixture_remove_tree (dir);
}

static inline void fixture_copy_file (const char *from, const char *to)
{
    FILE *in = fopen (from, "rb"), *out = fopen (to, "wb");
    assert_non_null (in);
    assert_non_null (out);
    char buffer[65536];
    size_t n;
    while ((n = fread (buffer, 1, sizeof buffer, in)) > 0)
        assert_int_equal (fwrite (buffer, 1, n, out), n);
    fclose (in);
    assert_int_equal (fclose (out), 0);
}

/* Copies a folder with everything in it. */
static inline void fixture_copy_tree (const char *from, const char *to)
{
    assert_int_equal (mkdir (to, 0700), 0);
    DIR *folder = opendir (from);
    assert_non_null (folder);
    struct dirent *item;
    while ((item = readdir (folder)) != NULL) {
        if (strcmp (item->d_name, ".") == 0 || strcmp (item->d_name, "..") == 0)
            continue;
        char *source = fixture_join (from, item->d_name), *target = fixture_join (to, item->d_name);
        struct stat stat_buffer;
        assert_int_equal (stat (source, &stat_buffer), 0);
        if (S_ISDIR (stat_buffer.st_mode))
            fixture_copy_tree (source, target);
        else
            fixture_copy_file (source, target);
        free (source);
        free (target);
    }
    closedir (folder);
}

/* The newest file of a sub-folder whose name ends so and which is not empty; its size. */
static inline size_t fixture_newest (const char *dir, const char *sub, const char *end, char path[FIXTURE_PATH_MAX * 2])
{
    char *folder_path = fixture_join (dir, sub);
    DIR *folder = opendir (folder_path);
    assert_non_null (folder);
    unsigned long newest = 0;
    size_t size = 0;
    struct dirent *item;
    while ((item = readdir (folder)) != NULL) {
        size_t len = strlen (item->d_name);
        struct stat stat_buffer;
        if (len < strlen (end) || strcmp (item->d_name + len - strlen (end), end) != 0)
            continue;
        char *candidate = fixture_join (folder_path, item->d_name);
        assert_int_equal (stat (candidate, &stat_buffer), 0);
        unsigned long number = strtoul (item->d_name, NULL, 10);
        if (stat_buffer.st_size > 0 && number >= newest) {
            newest = number;
            size = (size_t) stat_buffer.st_size;
            assert_true (strlen (candidate) < FIXTURE_PATH_MAX * 2);
            strcpy (path, candidate);
        }
        free (candidate);
    }
    free (folder_path);
    closedir (folder);
    assert_true (size > 0);
    return size;
}

static inline void fixture_flip_bit (const char *path, size_t offset, unsigned bit)
{
    int fd = open (path, O_RDWR);
    assert_true (fd >= 0);
    uint8_t byte;
    assert_int_equal (pread (fd, &byte, 1, (off_t) offset), 1);
    byte ^= (uint8_t) (1u << bit);
    assert_int_equal (pwrite (fd, &byte, 1, (off_t) offset), 1);
    close (fd);
}

/* ---- recovery ---- */

struct fixture_entry {
    uint32_t shard;
    uint64_t replica, index, term;
    uint32_t type;
    char payload[64]; /* the first bytes, NUL-terminated */
    size_t payload_len;
};

struct fixture_recovered {
    struct store_replica replicas[FIXTURE_REPLICAS_MAX]; /* config points into `configs` */
    char configs[FIXTURE_REPLICAS_MAX][64];
    size_t replicas_count;
    struct fixture_entry *entries;
    size_t entries_count;
    char damage[256];
    char lost[FIXTURE_REPLICAS_MAX][160]; /* what store_replica.lost says; the rows have NULL, or the text here */
};

static inline void fixture_on_replica (void *argument, const struct store_replica *replica)
{
    struct fixture_recovered *recovered = argument;
    assert_true (recovered->replicas_count < FIXTURE_REPLICAS_MAX);
    size_t i = recovered->replicas_count++;
    recovered->replicas[i] = *replica;
    assert_true (replica->config.len < sizeof recovered->configs[i]);
    if (replica->config.len > 0)
        memcpy (recovered->configs[i], replica->config.data, replica->config.len);
    recovered->configs[i][replica->config.len] = 0;
    if (replica->lost != NULL)
        snprintf (recovered->lost[i], sizeof recovered->lost[i], "%s", replica->lost);
    recovered->replicas[i].lost = replica->lost != NULL ? recovered->lost[i] : NULL;
    if (replica->damage != NULL)
        snprintf (recovered->damage, sizeof recovered->damage, "%s", replica->damage);
}

static inline void fixture_on_entry (void *argument, uint32_t shard, uint64_t replica, const struct store_entry *entry)
{
    struct fixture_recovered *recovered = argument;
    assert_true (recovered->entries_count < FIXTURE_ENTRIES_MAX);
    struct fixture_entry *kept = &recovered->entries[recovered->entries_count++];
    *kept = (struct fixture_entry){.shard = shard,
        .replica = replica,
        .index = entry->index,
        .term = entry->term,
        .type = entry->type,
        .payload_len = entry->payload.len};
    size_t len = entry->payload.len < sizeof kept->payload - 1 ? entry->payload.len : sizeof kept->payload - 1;
    if (len > 0)
        memcpy (kept->payload, entry->payload.data, len);
}

static inline enum status fixture_recover (
    struct store *store, struct fixture_recovered *recovered, struct store_error *error)
{
    free (recovered->entries);
    memset (recovered, 0, sizeof *recovered);
    recovered->entries = calloc (FIXTURE_ENTRIES_MAX, sizeof *recovered->entries);
    assert_non_null (recovered->entries);
    struct store_recovery recovery = {.argument = recovered, .replica = fixture_on_replica, .entry = fixture_on_entry};
    return store_log_recover (store, &recovery, error);
}

static inline void fixture_recovered_close (struct fixture_recovered *recovered)
{
    free (recovered->entries);
    recovered->entries = NULL;
}

/* Opens and recovers; fails the test with the store's own words. */
static inline struct store *fixture_open (const char *dir, struct fixture_recovered *recovered)
{
    struct store_options options = fixture_options ();
    struct store_error error = {0};
    struct store *store = NULL;
    enum status status = store_open (dir, &options, &store, NULL, &error);
    if (status == STATUS_OK)
        status = fixture_recover (store, recovered, &error);
    if (status != STATUS_OK)
        fail_msg ("status %d: %s", status, error.text);
    return store;
}

/* A folder, its store and a turn of it; `image` is what kill -9 at some moment left behind. Memory is the caller's. */
struct fixture_rig {
    char dir[FIXTURE_PATH_MAX], image[FIXTURE_PATH_MAX];
    struct fixture_recovered recovered;
    struct store *store;
    struct store_turn *turn;
};

/* Opens it; also again, after fixture_rig_stop. */
static inline void fixture_rig_start (struct fixture_rig *rig, const char *dir)
{
    rig->store = fixture_open (dir, &rig->recovered);
    rig->turn = store_turn_new (rig->store);
    assert_non_null (rig->turn);
}

static inline void fixture_rig_stop (struct fixture_rig *rig)
{
    store_turn_destroy (&rig->turn);
    store_close (&rig->store);
}

/* A new folder, open. */
static inline void fixture_rig_init (struct fixture_rig *rig)
{
    *rig = (struct fixture_rig){.store = NULL};
    fixture_dir (rig->dir);
    fixture_rig_start (rig, rig->dir);
}

/* Copies the folder as it is now, without anything closed, beside it, and closes it then. */
static inline void fixture_rig_kill (struct fixture_rig *rig)
{
    snprintf (rig->image, sizeof rig->image, "%s", rig->dir);
    strcpy (strrchr (rig->image, '/'), "/image");
    fixture_copy_tree (rig->dir, rig->image);
    fixture_rig_stop (rig);
}

/* Removes the folder and its image; the store is closed. */
static inline void fixture_rig_close (struct fixture_rig *rig)
{
    assert_null (rig->store);
    fixture_recovered_close (&rig->recovered);
    fixture_remove (rig->dir);
}

/* The status of open and recover together, with nothing left open. */
static inline enum status fixture_try (
    const char *dir, struct fixture_recovered *recovered, bool *suspect, struct store_error *error)
{
    struct store_options options = fixture_options ();
    struct store *store = NULL;
    enum status status = store_open (dir, &options, &store, NULL, error);
    if (status != STATUS_OK)
        return status;
    status = fixture_recover (store, recovered, error);
    *suspect = store_suspect (store, NULL);
    store_close (&store);
    return status;
}

static inline const struct store_replica *fixture_replica (
    const struct fixture_recovered *recovered, uint32_t shard, uint64_t replica)
{
    for (size_t i = 0; i < recovered->replicas_count; i++) {
        if (recovered->replicas[i].shard == shard && recovered->replicas[i].replica == replica)
            return &recovered->replicas[i];
    }
    return NULL;
}

/* ---- turns ---- */

/* Appends n entries "payload-<shard>-<index>" from `first`. */
static inline void fixture_append (
    struct store_turn *turn, uint32_t shard, uint64_t replica, uint64_t first, size_t n, uint64_t term)
{
    struct store_entry entries[64];
    char payloads[64][48];
    assert_true (n <= 64);
    for (size_t i = 0; i < n; i++) {
        snprintf (payloads[i], sizeof payloads[i], "payload-%u-%llu", shard, (unsigned long long) (first + i));
        entries[i] =
            (struct store_entry){.index = first + i, .term = term, .type = 2, .payload = bytes_text (payloads[i])};
    }
    assert_int_equal (store_turn_append (turn, shard, replica, 0, entries, n), STATUS_OK);
}

static inline void fixture_commit (struct store_turn *turn)
{
    struct store_error error = {0};
    enum status status = store_turn_commit (turn, &error);
    if (status != STATUS_OK)
        fail_msg ("status %d: %s", status, error.text);
    store_turn_reset (turn);
}

/* A replica's beginning: configuration and term. */
static inline void fixture_found (struct store_turn *turn, uint32_t shard, uint64_t replica)
{
    assert_int_equal (store_turn_compact (turn, shard, replica, 0, 0, BYTES_LITERAL ("first config")), STATUS_OK);
    assert_int_equal (store_turn_hard_state (turn, shard, replica, 1, replica), STATUS_OK);
}

/* Runs this program again with the given words, and expects it to end well. Again, not a fork alone: RocksDB's threads
 * do not come along into a fork. The child dies without closing anything, as by kill -9 (fixture_die). */
static inline void fixture_run_again (const char *what, const char *a, const char *b, const char *c)
{
    fflush (NULL);
    pid_t child = fork ();
    assert_true (child >= 0);
    if (child == 0) {
        char self[FIXTURE_PATH_MAX]; /* by its own name: under valgrind the link itself leads to valgrind */
        ssize_t len = readlink ("/proc/self/exe", self, sizeof self - 1);
        self[len > 0 ? len : 0] = 0;
        execl (self, "again", what, a, b, c, (char *) NULL);
        _exit (127);
    }
    int state;
    assert_int_equal (waitpid (child, &state, 0), child);
    assert_true (WIFEXITED (state));
    assert_int_equal (WEXITSTATUS (state), 0);
}

static inline int fixture_die (void)
{
    _exit (0);
}

#endif
