/* What the tests of logs that are made anew share: opening, looking for files, and a program that dies in a start. */
#ifndef MAITRED_TEST_SUPPORT_REBUILD_FIXTURE_H
#define MAITRED_TEST_SUPPORT_REBUILD_FIXTURE_H

#include "node/failpoint/failpoint.h"
#include "test/support/store_fixture.h"

#define REBUILD_BULK_BYTES 6000 /* so that a sorted file has several blocks */

static inline const struct store_replica *rebuild_replica_of (const struct fixture_recovered *recovered, uint32_t shard)
{
    return fixture_replica (recovered, shard, 100 + shard);
}

static inline struct store_options rebuild_options_of (bool others)
{
    struct store_options options = fixture_options ();
    options.state_from_others = others;
    return options;
}

static inline enum status rebuild_open_it (
    const char *dir, bool others, struct fixture_recovered *recovered, struct store **store, struct store_error *error)
{
    struct store_options options = rebuild_options_of (others);
    enum status status = store_open (dir, &options, store, NULL, error);
    if (status == STATUS_OK)
        status = fixture_recover (*store, recovered, error);
    if (status != STATUS_OK && *store != NULL)
        store_close (store);
    return status;
}

static inline struct store *rebuild_open_well (const char *dir, struct fixture_recovered *recovered)
{
    struct store *store = NULL;
    struct store_error error = {.text = ""};
    enum status status = rebuild_open_it (dir, true, recovered, &store, &error);
    if (status != STATUS_OK)
        fail_msg ("status %d: %s", status, error.text);
    return store;
}

static inline void rebuild_path_of (const char *dir, const char *name, char path[FIXTURE_PATH_MAX * 2])
{
    snprintf (path, FIXTURE_PATH_MAX * 2, "%s/%s", dir, name);
}

/* The one file of log/ whose name begins or ends so. */
static inline void rebuild_find (const char *dir, const char *part, char path[FIXTURE_PATH_MAX * 2])
{
    char *log = fixture_join (dir, "log");
    DIR *folder = opendir (log);
    assert_non_null (folder);
    struct dirent *item;
    path[0] = 0;
    while ((item = readdir (folder)) != NULL) {
        char *file = fixture_join (log, item->d_name);
        if (strstr (item->d_name, part) != NULL && strlen (file) < FIXTURE_PATH_MAX * 2)
            strcpy (path, file);
        free (file);
    }
    closedir (folder);
    free (log);
    assert_true (path[0] != 0);
}

/* Every entry that is given away is the one that was written, and an index without a gap is in front of it. */
static inline uint64_t rebuild_entries_of (const struct fixture_recovered *recovered, uint32_t shard)
{
    uint64_t last = 0;
    char expected[64];
    for (size_t i = 0; i < recovered->entries_count; i++) {
        const struct fixture_entry *entry = &recovered->entries[i];
        if (entry->shard != shard)
            continue;
        assert_int_equal (entry->index, ++last);
        snprintf (expected, sizeof expected, "payload-%u-%llu", shard, (unsigned long long) last);
        assert_string_equal (entry->payload, expected);
    }
    return last;
}

static inline void rebuild_again (const char *image, const char *dir)
{
    fixture_remove_tree (dir);
    fixture_copy_tree (image, dir);
}

static inline size_t rebuild_size_of (const char *path)
{
    struct stat about;
    assert_int_equal (stat (path, &about), 0);
    return (size_t) about.st_size;
}

/* The program again: begins a start and ends at the point. */
static inline int rebuild_crash_at (const char *dir, const char *setting)
{
    char error[FAILPOINT_ERROR_BYTES];
    struct fixture_recovered recovered = {0};
    struct store *store = NULL;
    struct store_error why;
    if (failpoint_allow (setting, error) != STATUS_OK)
        return 1;
    enum status status = rebuild_open_it (dir, true, &recovered, &store, &why);
    (void) status;
    return 2; /* not passed */
}

#endif
