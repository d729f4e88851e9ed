/* Failpoints: named places where a test may end, delay or fail this process.
 *
 * Room: node/failpoint, not pure (it ends the process, sleeps, keeps its settings in the process). It uses schemas/runtime
 * alone; node/{store,identity,transport,engine} use it, and no pure room does: what a pure core asks for is carried out by
 * the engine, and that is where the points stand. Ownership: none. Thread safety: all, but failpoint_allow comes before
 * other threads.
 *
 * A point is one line: failpoint (FAILPOINT_X) where the caller has a way to fail, failpoint_pass (FAILPOINT_X) elsewhere.
 *
 * A setting is  ACTION[,CONDITION ...]:
 *   off                    nothing                          once             the first time only
 *   crash                  kill -9 itself                   after:N          not the first N times
 *   exit[:CODE]            _exit; 70                        every:N          each N-th time
 *   panic                  a failed assertion               chance:P[:SEED]  P in a hundred
 *   delay:MS               sleeps
 *   error[:EIO|ENOSPC|...] the operation fails so
 *   drop                   the message is lost
 *
 * Invariants
 *   1. Where nothing is allowed (the default) a point is one load and one branch that is never taken, and no setting is taken.
 *   2. error and drop are refused at points whose caller could not fail: a point never lies about what was done.
 */
#ifndef MAITRED_NODE_FAILPOINT_FAILPOINT_H
#define MAITRED_NODE_FAILPOINT_FAILPOINT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/runtime/bytes.h"
#include "schemas/runtime/status.h"

enum failpoint_may { FAILPOINT_PASS, FAILPOINT_ERROR, FAILPOINT_DROP };

enum failpoint_id {
#define POINT(id, ...) FAILPOINT_##id,
#include "node/failpoint/failpoint_points.h"
#undef POINT
    FAILPOINT_COUNT
};

#define FAILPOINT_NAME_BYTES_MAX 48
#define FAILPOINT_SETTING_BYTES_MAX 80
#define FAILPOINT_ERROR_BYTES 256

/* One point as it stands. Texts are static but for setting. */
struct failpoint_row {
    const char *name, *when, *what;
    enum failpoint_may may;
    uint64_t hits;  /* times passed since points were allowed */
    uint64_t fired; /* of those, times it did something */
    char setting[FAILPOINT_SETTING_BYTES_MAX + 1];
};

extern atomic_bool failpoint_armed;

/* The slow part of the two below; not to be called by others. */
bool failpoint_hit (enum failpoint_id id);

/* Passes the point. True: the caller fails as the operation would fail by itself; errno says how. */
static inline bool failpoint (enum failpoint_id id)
{
    return __builtin_expect (atomic_load_explicit (&failpoint_armed, memory_order_relaxed), 0) && failpoint_hit (id);
}

/* The same where the caller has no way to fail. */
static inline void failpoint_pass (enum failpoint_id id)
{
    (void) failpoint (id);
}

/* Allows points in this process and takes settings: "name=setting;name=setting"; NULL or "": none.
 * INVALID_ARGUMENT: error says what is wrong, and nothing is allowed. */
WARN_UNUSED enum status failpoint_allow (const char *settings, char error[FAILPOINT_ERROR_BYTES]);

/* Sets one point. NOT_FOUND: no such point; INVALID_ARGUMENT: no such setting, or not at this point; FAILED_PRECONDITION:
 * points are not allowed here. error says what to do. */
WARN_UNUSED enum status failpoint_set (struct bytes name, struct bytes setting, char error[FAILPOINT_ERROR_BYTES]);

/* Forbids them again and forgets settings and counts (for tests). */
void failpoint_forbid (void);

void failpoint_row (enum failpoint_id id, struct failpoint_row *row);

/* What an injected error reads like, in memory that free () takes, as RocksDB's texts are; aborts without memory. */
char *failpoint_text (enum failpoint_id id);

const char *failpoint_may_name (enum failpoint_may may); /* "pass", "error", "drop" */

#endif
