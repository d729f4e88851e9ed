/* The inside of a table, shared by its files. Room: node/store, private.
 *
 * An entry's marks (tree.h): mark[0] its phase, mark[1] its flags. `epoch` counts write-backs: an entry is in the current
 * list of changed entries when it is dirty with the table's epoch, in the list of the running write-back when it is dirty
 * with the epoch before. So begin and done cost nothing, however many entries they concern.
 */
#ifndef MAITRED_NODE_STORE_TABLE_INTERNAL_H
#define MAITRED_NODE_STORE_TABLE_INTERNAL_H

#include "node/store/table.h"
#include "node/store/tree.h"

enum table_phase { TABLE_CLEAN = 0, TABLE_DIRTY = 1, TABLE_COPIED = 2 };

#define TABLE_TOMBSTONE 1 /* the key is known not to be there */
#define TABLE_WARM 2      /* used since the eviction's hand passed */

struct table_list {
    struct tree_entry *first, *last;
};

struct table {
    struct store *store;
    struct table_budget *budget;
    uint32_t shard, generation;
    uint64_t replica;
    struct tree *tree;
    struct state state;
    bool complete, failed;
    bool damaged;                             /* failed, because the store could not be read */
    uint32_t epoch;                           /* of entries that change now */
    uint32_t durable;                         /* copied entries of this epoch or an earlier one are clean */
    struct table_list dirty, pending, graves; /* graves: copied tombstones, which leave once they are durable */
    struct store_batch *batch;                /* of the running write-back, NULL once it is handed over */
    bool writing;
    uint64_t writing_index, written_index;
    size_t dirty_bytes;
    uint64_t changes;                  /* entries that came or went: cursors of before are dead */
    size_t counted_bytes;              /* what the budget counts for this table */
    uint8_t hand[STATE_KEY_BYTES_MAX]; /* the eviction looks from this key on */
    size_t hand_len;
    bool warming;
    uint8_t warm[STATE_KEY_BYTES_MAX + 1]; /* all below this key is in the tree, or known not to be there */
    size_t warm_len;
};

/* Adds an entry at the end, or takes one out. */
void table_list_add (struct table_list *list, struct tree_entry *entry);
void table_list_drop (struct table_list *list, struct tree_entry *entry);

/* True when nothing of the entry would be lost with it. */
bool table_entry_clean (const struct table *table, const struct tree_entry *entry);

static inline bool table_entry_there (const struct tree_entry *entry)
{
    return (entry->mark[1] & TABLE_TOMBSTONE) == 0;
}

/* Remembers in the tree what the store says of a key that the tree does not hold. NULL latches `failed`. */
struct tree_entry *table_remember (struct table *table, struct bytes key, struct bytes value, bool there);

/* Makes an entry changeable: saves the version that a running write-back still has to copy, and lists it as dirty. */
void table_touch (struct table *table, struct tree_entry *entry);

/* Takes an entry out of the tree. */
void table_forget (struct table *table, struct tree_entry *entry);

/* Removes up to max graves that are durable. */
void table_reap (struct table *table, size_t max);

/* Brings the budget up to date. */
void table_count_bytes (struct table *table);

/* state.h's scan (table_scan.c). */
void table_scan (void *context, struct bytes from, struct bytes to, bool reverse, state_visit *visit, void *argument);

#endif
