/* What preload_chaos.so does to the process that it was loaded into, switched while that runs: a file of exactly this
 * size, mapped by both sides. All zero: nothing at all.
 *
 * Room: test/support. Thread safety: every field is an atomic of its own; whoever writes needs no lock.
 */
#ifndef PRELOAD_CHAOS_H
#define PRELOAD_CHAOS_H

#include <stdatomic.h>
#include <stdint.h>

#define PRELOAD_CHAOS_ENVIRONMENT "MAITRED_CHAOS_FILE"

struct preload_chaos {
    /* The wall clock: real time + offset + drift * (real time - since), all clocks that can be set, never the monotonic. */
    _Atomic int64_t offset_ns, drift_ppm, drift_since_ns;
    _Atomic uint64_t sync_delay_us; /* of every fsync and fdatasync under a path with "data" in it */
    _Atomic uint64_t sync_fail;     /* 1: they fail with EIO, and go on failing while this is set */
    /* Counted here: that the library is in the way, and that what was asked for took place. */
    _Atomic uint64_t clock_calls, sync_calls, sync_delayed, sync_failed;
};

#endif
