/* The working state of one shard as the services see it: an ordered map from bytes to bytes.
 *
 * Room: node/services, pure (an interface only). It arrives with the event; in the engine it is node/store's bounded
 * memory table over RocksDB, in test/sim and unit tests the same ordered tree without a store behind it.
 * Thread safety: none, one shard is stepped by one thread at a time.
 *
 * Invariants
 *   1. A value handed out by get or scan is borrowed: it is valid until the next put or delete on the same state.
 *   2. put and delete copy what they are given.
 *   3. A state that could not read or load (damage, a failed disk) latches `failed`; from then on nothing that the step
 *      produced may leave the node (P9). A bounded cache never fails for want of memory alone: it evicts.
 *   4. scan visits keys in ascending (or, reversed, descending) byte order within [from, to).
 */
#ifndef MAITRED_NODE_SERVICES_STATE_H
#define MAITRED_NODE_SERVICES_STATE_H

#include "schemas/runtime/bytes.h"

#define STATE_KEY_BYTES_MAX 256
#define STATE_VALUE_BYTES_MAX (256 * 1024)

/* Returns false to stop the scan. The visitor must not put or delete. */
typedef bool state_visit (void *argument, struct bytes key, struct bytes value);

struct state_ops {
    bool (*get) (void *context, struct bytes key, struct bytes *value);
    void (*scan) (void *context, struct bytes from, struct bytes to, bool reverse, state_visit *visit, void *argument);
    void (*put) (void *context, struct bytes key, struct bytes value);
    void (*remove) (void *context, struct bytes key);
    bool (*failed) (void *context);
};

struct state {
    const struct state_ops *ops;
    void *context;
};

/* True and the value (borrowed, invariant 1) when the key is there; false when it is not. */
static inline bool state_get (struct state *state, struct bytes key, struct bytes *value)
{
    return state->ops->get (state->context, key, value);
}

/* Visits [from, to) in order until the visitor returns false; an empty `to` means up to the end. */
static inline void state_scan (
    struct state *state, struct bytes from, struct bytes to, bool reverse, state_visit *visit, void *argument)
{
    state->ops->scan (state->context, from, to, reverse, visit, argument);
}

static inline void state_put (struct state *state, struct bytes key, struct bytes value)
{
    state->ops->put (state->context, key, value);
}

/* Removing a key that is not there is allowed. */
static inline void state_remove (struct state *state, struct bytes key)
{
    state->ops->remove (state->context, key);
}

/* True once a read could not be answered from damaged or failing storage (invariant 3). */
static inline bool state_failed (struct state *state)
{
    return state->ops->failed (state->context);
}

#endif
