/* A follower that missed what the others cut off their logs: what the tests of snapshots share. */
#ifndef MAITRED_TEST_SUPPORT_SHARD_SNAPSHOT_RIG_H
#define MAITRED_TEST_SUPPORT_SHARD_SNAPSHOT_RIG_H

#include "test/support/shard_world.h"

static struct shard_world world, *const w = &world;
static struct id offer;
static uint32_t behind; /* the node that needs a snapshot */

static inline uint64_t book (uint32_t node)
{
    return shard_world_book (w, node, &offer, 5, RESERVE_MODE_BOOK, NULL);
}

static inline void book_many (unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_int_equal (shard_world_wait (w, book (shard_world_elect (w)))->status, STATUS_OK);
}

/* Lets a follower miss 30 bookings that the others cut off their logs; it is then started again, but not yet heard. */
static inline void leave_behind (uint32_t nodes)
{
    shard_world_init (w, &(struct shard_world_options){.nodes = nodes});
    offer = shard_world_offer (w, 100000);
    w->chunk_bytes = 512;
    behind = shard_world_leader (w) % nodes + 1;
    shard_world_crash (w, behind);
    book_many (30);
    shard_world_run (w, 100);
    for (uint32_t node = 1; node <= nodes; node++) {
        if (node != behind)
            shard_world_write_back (w, node, 0);
    }
    shard_world_run (w, 20);
    book_many (3);
    w->no_links = true; /* its first word is the answer to a heartbeat */
    shard_world_start (w, behind);
    w->no_links = false;
}

static inline int set_up (void **state)
{
    (void) state;
    leave_behind (3);
    return 0;
}

static inline int set_up_five (void **state)
{
    (void) state;
    leave_behind (5);
    return 0;
}

static inline int tear_down (void **state)
{
    (void) state;
    shard_world_close (w);
    return 0;
}

static inline bool caught_up (void)
{
    return w->nodes[behind].shard != NULL && w->nodes[behind].installs > 0 &&
           shard_world_status (w, behind).applied_index >= 34;
}

static inline void wait_until (bool (*done) (void), unsigned ms)
{
    for (unsigned i = 0; i < ms && !done (); i++)
        shard_world_run (w, 1);
    assert_true (done ());
}

static inline bool receiving (void)
{
    return w->nodes[behind].receiving && w->nodes[behind].incoming.len > 1500;
}

/* Slow enough to act in the middle of a transfer. */
static inline void slow_down (void)
{
    w->delay_ms = 30;
    wait_until (receiving, 10000);
}

static inline void settle (uint64_t expected)
{
    shard_world_settle (w);
    assert_int_equal (shard_world_bucket (w, behind, &offer, 5).confirmed, expected);
    for (uint32_t node = 1; node <= w->options.nodes; node++) {
        assert_int_equal (w->nodes[node].snapshots_open, 0);
        assert_false (w->nodes[node].receiving);
    }
}

#endif
