/* Key files on disk: read only when nobody else can, written whole or not at all.
 *
 * Room: node/identity (files). Ownership: text that is handed out is the caller's to free with identity_file_free,
 * which wipes it. Thread safety: no shared state.
 *
 * Invariants
 *  1. A file that holds a secret is created with mode 0600 and is never accepted when its group or others may touch it.
 *  2. A file appears under its name only when it is complete and synced (written aside, then renamed).
 */
#ifndef MAITRED_NODE_IDENTITY_IDENTITY_FILE_H
#define MAITRED_NODE_IDENTITY_IDENTITY_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "schemas/runtime/bytes.h"
#include "schemas/runtime/status.h"

#define IDENTITY_PATH_SIZE 1024
#define IDENTITY_FILE_BYTES_MAX (256 * 1024)

/* For people: what went wrong and, last, what to do about it. Never holds a secret. */
struct identity_error {
    char text[IDENTITY_PATH_SIZE + 256];
};

/* Fills *error (which may be NULL) as printf does, cut to its size. */
__attribute__ ((format (printf, 2, 3))) void identity_error_set (struct identity_error *error, const char *format, ...);

/* directory + "/" + name. INVALID_ARGUMENT: longer than a path may be. */
WARN_UNUSED enum status identity_file_path (
    char path[IDENTITY_PATH_SIZE], const char *directory, const char *name, struct identity_error *error);

/* Reads the whole file into fresh memory, NUL-terminated behind *len bytes; the caller frees it with
 * identity_file_free. A `secret` file must be a regular file whose mode has no bit for group or others: else
 * PERMISSION_DENIED, and the error names the chmod to run. NOT_FOUND: there is none. INVALID_ARGUMENT: larger than
 * IDENTITY_FILE_BYTES_MAX. UNAVAILABLE: it cannot be read. RESOURCE_EXHAUSTED. */
WARN_UNUSED enum status identity_file_read (
    const char *path, bool secret, char **text, size_t *len, struct identity_error *error);

/* Wipes and frees what identity_file_read gave; *text becomes NULL. */
void identity_file_free (char **text, size_t len);

/* Writes and syncs the file, mode 0600 when secret, else 0644. ALREADY_EXISTS: there is one (nothing is overwritten).
 * UNAVAILABLE: it cannot be written. */
WARN_UNUSED enum status identity_file_write (
    const char *path, bool secret, struct bytes content, struct identity_error *error);

#endif
