/* What the files of the room share. Room: node/backup, private. */
#ifndef MAITRED_NODE_BACKUP_INTERNAL_H
#define MAITRED_NODE_BACKUP_INTERNAL_H

#include <stdarg.h>

#include "node/backup/backup.h"

/* Writes one line for a person and returns status. */
__attribute__ ((format (printf, 3, 4))) enum status backup_fail (
    struct backup_error *error, enum status status, const char *format, ...);

#endif
