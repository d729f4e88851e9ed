/* Checks the data folder of a stopped node and says what is wrong, who mends it, and what a person has to do.
 *
 * Room: node/store. Thread safety: one call a process at a time. Nothing in the folder is changed. Source: design.md "Disk".
 */
#ifndef MAITRED_NODE_STORE_STORE_VERIFY_H
#define MAITRED_NODE_STORE_STORE_VERIFY_H

#include "node/store/store.h"

enum store_verify_kind {
    STORE_VERIFY_NOTE,     /* no damage: what the next start will do */
    STORE_VERIFY_MENDED,   /* damage that the next start mends, from the log or from the other nodes */
    STORE_VERIFY_OPERATOR, /* damage with which a node does not start: `todo` is for a person */
};

struct store_verify_finding {
    enum store_verify_kind kind;
    const char *where; /* file or folder below the data folder */
    const char *what;
    const char *todo;
};

struct store_verify_visitor {
    void *argument;
    void (*finding) (void *argument, const struct store_verify_finding *finding);
    void (*progress) (void *argument, const char *what, uint64_t done, uint64_t total); /* NULL: silent */
};

struct store_verify_totals {
    struct store_identity identity;
    uint64_t turns, log_bytes, entries, replicas; /* of the log */
    uint64_t rows, row_bytes;                     /* of the state */
    uint32_t notes, mended, operators;            /* findings */
};

/* OK: sound (notes at most). DATA_LOSS: something is damaged; the findings say what. NOT_FOUND: `dir` is no data folder.
 * FAILED_PRECONDITION: a node runs on it, or a newer version made it. INTERNAL: the disk or memory refuse. With the last
 * three error tells, and what was found until then stays found. */
WARN_UNUSED enum status store_verify (const char *dir, const struct store_verify_visitor *visitor,
    struct store_verify_totals *totals, struct store_error *error);

#endif
