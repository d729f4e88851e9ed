/* What the rows of an image are, by their keys (node/services/keys.h). Room: node/backup, pure. */
#ifndef MAITRED_NODE_BACKUP_ROWS_H
#define MAITRED_NODE_BACKUP_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "schemas/runtime/arena.h"
#include "schemas/runtime/bytes.h"

struct backup_counts {
    uint64_t rows, bytes; /* of keys and values */
    uint64_t providers, offers, reservations, orders, users, api_keys, records;
};

enum backup_row {
    BACKUP_ROW_READS,
    BACKUP_ROW_UNKNOWN,    /* its key is of no table that this version knows */
    BACKUP_ROW_UNREADABLE, /* its value is not what that table holds */
};

/* Looks at one row by itself; how rows belong together services_check tells. scratch: backup_row_scratch_bytes () at least. */
enum backup_row backup_row_look (struct bytes key, struct bytes value, struct arena *scratch);
size_t backup_row_scratch_bytes (void);

/* Of a row that reads. */
void backup_count_row (struct backup_counts *counts, struct bytes key, struct bytes value);

#endif
