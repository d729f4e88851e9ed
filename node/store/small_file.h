/* Small files that are replaced whole: written beside, synced, renamed, folder synced.
 *
 * Room: node/store, private. Thread safety: one writer a folder and name at a time.
 */
#ifndef MAITRED_NODE_STORE_SMALL_FILE_H
#define MAITRED_NODE_STORE_SMALL_FILE_H

#include <stdbool.h>

#include "node/store/store.h"

/* Replaces dir/name. INTERNAL when the file system refuses at any step, RESOURCE_EXHAUSTED without memory; the old content
 * then stays. */
WARN_UNUSED enum status small_file_write (const char *dir, const char *name, struct bytes content);

/* Allocates *data (free it; a NUL follows the content). NOT_FOUND; DATA_LOSS when it is over size_max; INTERNAL;
 * RESOURCE_EXHAUSTED. */
WARN_UNUSED enum status small_file_read (
    const char *dir, const char *name, size_t size_max, uint8_t **data, size_t *len);

/* Removes dir/name (fine when it is not there) and syncs the folder. INTERNAL. */
WARN_UNUSED enum status small_file_remove (const char *dir, const char *name);

WARN_UNUSED enum status small_file_sync_dir (const char *dir);

/* False only where it is known not to be there: what cannot be looked at is there, so that nobody makes a new one in its
 * place. Takes no memory. */
bool small_file_exists (const char *dir, const char *name);

/* "dir/name" on the heap, NULL when memory is out. */
char *small_file_path (const char *dir, const char *name);

/* Writes one line for a person into error (NULL is fine) and returns status. */
__attribute__ ((format (printf, 3, 4))) enum status store_fail (
    struct store_error *error, enum status status, const char *format, ...);

#endif
