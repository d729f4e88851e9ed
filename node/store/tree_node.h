/* Nodes of the tree: sorted entries with sixteen bytes of each key beside them, and the search within one node.
 *
 * Room: node/store, library `tree`, pure; private to the tree. A lookup touches the lines of prefixes a level and then one
 * entry. Keys of one table share long beginnings (an offer's id before each of its dates), so a node keeps what all its keys
 * have in common once, and takes the eight bytes behind it, and the eight behind those for keys that are alike in the first
 * (a customer's id before each reservation's): an entry of its own is a cache miss that only the last comparison may cost.
 *
 * Invariants
 *   1. Entries ascend strictly; entry[i]'s key starts with common[0, skip), prefix[i] are the 8 bytes behind that and
 *      second[i] the 8 behind those, zero-padded.
 *   2. In an inner node entry[i] is the first entry of the subtree of child[i + 1] (not owned).
 */
#ifndef MAITRED_NODE_STORE_TREE_NODE_H
#define MAITRED_NODE_STORE_TREE_NODE_H

#include "node/store/tree.h"

#define TREE_SLOTS 64
#define TREE_SLOTS_MIN (TREE_SLOTS / 4)
#define TREE_COMMON_MAX 28
#define TREE_DEPTH_MAX 16

struct tree_node {
    uint16_t count;
    uint8_t skip;
    uint8_t level; /* 0: leaf */
    uint8_t common[TREE_COMMON_MAX];
    uint64_t prefix[TREE_SLOTS];
    uint64_t second[TREE_SLOTS];
    struct tree_entry *entry[TREE_SLOTS];
};

struct tree_leaf {
    struct tree_node node;
    struct tree_leaf *prev, *next;
};

struct tree_inner {
    struct tree_node node;
    struct tree_node *child[TREE_SLOTS + 1];
};

/* The first slot whose key is >= key (count when there is none); *found when it is equal. */
unsigned tree_node_search (const struct tree_node *node, struct bytes key, bool *found);

/* Puts an entry into a node with a free slot, at its place in the order. */
void tree_node_insert (struct tree_node *node, unsigned slot, struct tree_entry *entry);

/* Replaces the entry of a slot by one that fits the order there. */
void tree_node_replace (struct tree_node *node, unsigned slot, struct tree_entry *entry);

void tree_node_remove (struct tree_node *node, unsigned slot);

/* Moves n entries from a slot of one node to a slot of another (both orders stay right), and refits both. */
void tree_node_move (struct tree_node *to, unsigned to_slot, struct tree_node *from, unsigned from_slot, unsigned n);

/* Takes the longest common beginning again, after the set of entries has changed. */
void tree_node_refit (struct tree_node *node);

/* Asserts invariant 1. */
void tree_node_check (const struct tree_node *node);

#endif
