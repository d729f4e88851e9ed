/* What a start has found of each replica, until its core is made: shared by the files that a start consists of.
 *
 * Room: node/engine, private to engine_recover.c and engine_holes.c. Ownership: engine_recover owns it all.
 */
#ifndef MAITRED_NODE_ENGINE_ENGINE_FOUND_H
#define MAITRED_NODE_ENGINE_ENGINE_FOUND_H

#include "node/engine/engine_internal.h"

struct found {
    struct store_replica row;
    char damage[160]; /* what row.damage says, or why its state cannot be loaded; "" */
    char lost[160];   /* what row.lost says, or why its log does not fit; "" */
    bool unreadable;  /* the state */
    bool suspect;     /* it may have forgotten something */
    uint32_t fresh;   /* the generation that it starts over with */
    uint8_t *config;
    struct table *table;
    struct raft_entry *entries;
    size_t entries_count, entries_size;
};

struct recovery {
    struct engine *engine;
    struct found *found;                 /* by shard */
    struct engine_held_replica *foreign; /* replicas that the map does not give to this node */
    size_t foreign_count;
    bool memory_out; /* not all of the log is in here */
};

/* Puts into the turn that the replica starts over: empty log, empty state of a fresh generation, the configuration that it
 * was founded with. Once the turn is synced: engine_found_emptied. RESOURCE_EXHAUSTED, or what the store says. */
WARN_UNUSED enum status engine_found_reset (
    struct engine *engine, struct found *found, struct store_turn *turn, struct store_error *why);
void engine_found_emptied (struct found *found);

/* Reads the log, and says what it took. False: it cannot be read, error tells. */
WARN_UNUSED bool engine_holes_read (
    struct recovery *recovery, const struct store_recovery *visitor, struct engine_error *error);

/* Turns of the log that rotted: replicas whose logs are broken by it start over, and one synced turn closes the hole. A log
 * without a hole that contradicts its state is noted as damage. False: nothing was changed, error tells. */
WARN_UNUSED bool engine_holes_close (struct recovery *recovery, struct engine_error *error);

#endif
