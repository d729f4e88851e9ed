/* An ordered map from short keys to values: a B+ tree whose nodes compare eight-byte key prefixes first.
 *
 * Room: node/store, library `tree`, pure (malloc, realloc, free and mem* only), so that test/sim and unit tests use it
 * too. Ownership: the tree owns its entries; key and value bytes are copied in. Thread safety: none.
 *
 * Invariants
 *   1. Keys ascend strictly within and across leaves; every leaf is at the same depth.
 *   2. Every node but the root holds at least a quarter of its slots.
 *   3. An entry does not move while it is in the tree: its key and value stay where they are until it is changed.
 */
#ifndef MAITRED_NODE_STORE_TREE_H
#define MAITRED_NODE_STORE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/runtime/bytes.h"

struct tree;

struct tree_entry {
    uint8_t *value; /* within the entry while it fits, else a block of its own */
    uint32_t value_len;
    uint32_t value_room;
    uint16_t key_len;
    uint8_t mark[2];                /* the user's; 0 in a new entry */
    uint32_t epoch;                 /* the user's; 0 in a new entry */
    struct tree_entry *prev, *next; /* the user's list links; NULL in a new entry */
    uint8_t key[];                  /* then room for a value */
};

/* NULL when memory is out. destroy frees all entries and nulls. */
struct tree *tree_new (void);
void tree_destroy (struct tree **tree);

/* The entry of `key`, or NULL. */
struct tree_entry *tree_find (const struct tree *tree, struct bytes key);

/* The entry of `key`, made with an empty value (and room for value_len bytes) when it was not there (*made).
 * key: 0..65535 bytes. NULL when memory is out; the tree is then unchanged. */
struct tree_entry *tree_insert (struct tree *tree, struct bytes key, size_t value_len, bool *made);

/* Replaces the value (value may be the entry's own). False when memory is out; the old value then stays. */
bool tree_set_value (struct tree *tree, struct tree_entry *entry, struct bytes value);

/* Takes the entry of `key` out and frees it. False when it was not there. Cursors die. */
bool tree_remove (struct tree *tree, struct bytes key);

static inline struct bytes tree_key (const struct tree_entry *entry)
{
    return (struct bytes){.data = entry->key, .len = entry->key_len};
}

static inline struct bytes tree_value (const struct tree_entry *entry)
{
    return (struct bytes){.data = entry->value, .len = entry->value_len};
}

/* A place between entries. Valid until the next insert or remove. */
struct tree_cursor {
    void *leaf;
    uint32_t slot;
};

/* Stands before the first entry whose key is >= key (an empty key: before the first of all), or after the last. */
void tree_seek (const struct tree *tree, struct bytes key, struct tree_cursor *cursor);
void tree_seek_end (const struct tree *tree, struct tree_cursor *cursor);

/* Steps over the next (previous) entry and returns it; NULL at the end (beginning). */
struct tree_entry *tree_next (struct tree_cursor *cursor);
struct tree_entry *tree_prev (struct tree_cursor *cursor);

size_t tree_count (const struct tree *tree);
size_t tree_bytes (const struct tree *tree); /* memory of nodes and entries, estimated the same way on every machine */

/* Asserts the invariants. O(n). */
void tree_check (const struct tree *tree);

#endif
