/* The data folder without its databases: lock, format, identity, suspect mark, turn mark.
 *
 * Room: node/store, private. Thread safety: folder_mark by the writer thread, the rest by one thread at a time.
 *
 * Invariants
 *   1. The lock is held from a successful folder_open to folder_close.
 *   2. An identity is `ready` only once both databases exist: while it is not, whatever lies in log/ and state/ belongs to
 *      nobody and is set aside.
 */
#ifndef MAITRED_NODE_STORE_FOLDER_H
#define MAITRED_NODE_STORE_FOLDER_H

#include <stdatomic.h>

#include "node/store/store.h"

struct folder {
    char *dir;
    int lock_fd, mark_fd;
    struct store_identity identity;
    bool ready;
    bool read_only;      /* folder_inspect: nothing is ever written */
    atomic_bool suspect; /* the writer thread may set it while others look */
    char reason[256];
    uint64_t mark; /* last turn known to be synced, 0 when unknown */
};

/* Locks, checks format and identity (makes both in a new folder), reads the marks. The statuses of store_open. */
WARN_UNUSED enum status folder_open (
    struct folder *folder, const char *dir, const struct store_options *options, struct store_error *error);

/* Locks and reads what there is, and changes nothing. FAILED_PRECONDITION: a node runs on it, or a newer format. DATA_LOSS:
 * FORMAT or IDENTITY is missing or damaged. Close it in any case. */
WARN_UNUSED enum status folder_inspect (struct folder *folder, const char *dir, struct store_error *error);

/* Removes a folder of files alone; true when it is not there. */
bool folder_remove_sub (const struct folder *folder, const char *name);

/* Gives a folder in it another name, and syncs. False: errno tells. */
bool folder_rename_sub (const struct folder *folder, const char *from, const char *to);

/* Makes the next free damaged-N; *aside is its path, on the heap. INTERNAL. */
WARN_UNUSED enum status folder_make_aside (struct folder *folder, char **aside, struct store_error *error);

/* Sets log/ and state/ aside into damaged-N/ where they exist. INTERNAL. */
WARN_UNUSED enum status folder_set_aside (struct folder *folder, struct store_error *error);

/* Sets state/ alone aside where it exists. INTERNAL. */
WARN_UNUSED enum status folder_set_state_aside (struct folder *folder, struct store_error *error);

/* Writes the identity with the given readiness; a new storage id when asked. INTERNAL. */
WARN_UNUSED enum status folder_set_ready (
    struct folder *folder, bool ready, bool new_storage_id, struct store_error *error);

WARN_UNUSED enum status folder_suspect_set (struct folder *folder, const char *reason);
WARN_UNUSED enum status folder_suspect_clear (struct folder *folder);

/* Notes a synced turn, without a sync and without a failure: it is a hint that may only lag. */
void folder_mark (struct folder *folder, uint64_t turn);

void folder_close (struct folder *folder);

#endif
