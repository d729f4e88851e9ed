#include "node/store/tree.h"

#include <stdlib.h>
#include <string.h>

#include "node/store/tree_node.h"
#include "schemas/runtime/assert.h"

/* What malloc keeps beside each block, taken as a constant so that accounts agree on every machine. */
#define BLOCK_OVERHEAD 16

/* What was sought last, by a hash of its key: a command reads a row before it writes it, and the same few rows (an offer, its
 * counters) come again with every booking. Entries never move, so a remembered one is right until it is freed. */
#define MEMO_SLOTS 128

struct memo {
    uint32_t tags[MEMO_SLOTS]; /* more of the hash: what was not sought is told apart without a look at the entry */
    struct tree_entry *entries[MEMO_SLOTS]; /* direct-mapped; NULL: nothing remembered */
};

struct tree {
    struct tree_node *root;
    size_t count, bytes;
    struct memo *memo;
};

/* The way from the root to a leaf: inner nodes and the child taken in each. */
struct tree_path {
    struct tree_inner *inner[TREE_DEPTH_MAX];
    unsigned child[TREE_DEPTH_MAX];
    unsigned depth;
};

static struct tree_inner *as_inner (struct tree_node *node)
{
    maitre_assert (node->level > 0);
    return (struct tree_inner *) (void *) node;
}

static struct tree_leaf *as_leaf (struct tree_node *node)
{
    maitre_assert (node->level == 0);
    return (struct tree_leaf *) (void *) node;
}

static size_t node_bytes (unsigned level)
{
    return (level == 0 ? sizeof (struct tree_leaf) : sizeof (struct tree_inner)) + BLOCK_OVERHEAD;
}

static struct tree_node *node_new (unsigned level)
{
    struct tree_node *node = malloc (level == 0 ? sizeof (struct tree_leaf) : sizeof (struct tree_inner));
    if (node == NULL)
        return NULL;
    node->count = 0;
    node->skip = 0;
    node->level = (uint8_t) level;
    if (level == 0)
        as_leaf (node)->prev = as_leaf (node)->next = NULL;
    return node;
}

static bool value_inside (const struct tree_entry *entry)
{
    return entry->value == entry->key + entry->key_len;
}

static size_t entry_bytes (const struct tree_entry *entry)
{
    size_t bytes = sizeof *entry + entry->key_len + entry->value_room + BLOCK_OVERHEAD;
    return value_inside (entry) ? bytes : bytes + BLOCK_OVERHEAD;
}

static struct tree_entry *entry_new (struct bytes key, size_t value_len)
{
    size_t size = sizeof (struct tree_entry) + key.len + value_len;
    size_t rounded = (size + 15) & ~(size_t) 15;
    struct tree_entry *entry = malloc (rounded);
    if (entry == NULL)
        return NULL;
    *entry = (struct tree_entry){.key_len = (uint16_t) key.len};
    if (key.len > 0)
        memcpy (entry->key, key.data, key.len);
    entry->value = entry->key + key.len;
    entry->value_room = (uint32_t) (rounded - sizeof *entry - key.len);
    return entry;
}

static void entry_free (struct tree_entry *entry)
{
    if (!value_inside (entry))
        free (entry->value);
    free (entry);
}

/* Spreads keys that differ in any byte; never stored, so it may change. */
static uint64_t memo_hash (struct bytes key)
{
    uint64_t mix = key.len * UINT64_C (0x9e3779b97f4a7c15);
    size_t at = 0;
    for (; at + 8 <= key.len; at += 8) {
        uint64_t word;
        memcpy (&word, key.data + at, 8);
        mix = (mix ^ word) * UINT64_C (0xff51afd7ed558ccd);
        mix ^= mix >> 32;
    }
    for (; at < key.len; at++)
        mix = (mix ^ key.data[at]) * UINT64_C (0x100000001b3);
    return mix ^ (mix >> 29);
}

static struct tree_entry *memo_find (const struct tree *tree, uint64_t hash, struct bytes key)
{
    struct tree_entry *entry = tree->memo->entries[hash % MEMO_SLOTS];
    if (entry == NULL || tree->memo->tags[hash % MEMO_SLOTS] != (uint32_t) (hash >> 32))
        return NULL;
    return bytes_equal (tree_key (entry), key) ? entry : NULL;
}

static void memo_put (const struct tree *tree, uint64_t hash, struct tree_entry *entry)
{
    tree->memo->entries[hash % MEMO_SLOTS] = entry;
    tree->memo->tags[hash % MEMO_SLOTS] = (uint32_t) (hash >> 32);
}

struct tree *tree_new (void)
{
    struct tree *tree = malloc (sizeof *tree);
    struct tree_node *root = node_new (0);
    struct memo *memo = calloc (1, sizeof *memo);
    if (tree == NULL || root == NULL || memo == NULL) {
        free (tree);
        free (root);
        free (memo);
        return NULL;
    }
    *tree = (struct tree){.root = root, .bytes = node_bytes (0), .memo = memo};
    return tree;
}

static void node_free (struct tree_node *node)
{
    if (node->level == 0) {
        for (unsigned i = 0; i < node->count; i++)
            entry_free (node->entry[i]);
    } else {
        for (unsigned i = 0; i <= node->count; i++)
            node_free (as_inner (node)->child[i]); /* depth is bounded by TREE_DEPTH_MAX */
    }
    free (node);
}

void tree_destroy (struct tree **tree)
{
    if (*tree == NULL)
        return;
    node_free ((*tree)->root);
    free ((*tree)->memo);
    free (*tree);
    *tree = NULL;
}

/* The child of an inner node under which key belongs: separators are the first keys of what is right of them. */
static unsigned child_of (const struct tree_node *node, struct bytes key)
{
    bool found;
    unsigned slot = tree_node_search (node, key, &found);
    return found ? slot + 1 : slot;
}

static struct tree_leaf *descend (const struct tree *tree, struct bytes key, struct tree_path *path)
{
    struct tree_node *node = tree->root;
    path->depth = 0;
    while (node->level > 0) {
        maitre_assert (path->depth < TREE_DEPTH_MAX);
        unsigned child = child_of (node, key);
        path->inner[path->depth] = as_inner (node);
        path->child[path->depth++] = child;
        node = as_inner (node)->child[child];
    }
    return as_leaf (node);
}

static struct tree_entry *locate (const struct tree *tree, struct bytes key)
{
    struct tree_node *node = tree->root;
    while (node->level > 0)
        node = as_inner (node)->child[child_of (node, key)];
    bool found;
    unsigned slot = tree_node_search (node, key, &found);
    return found ? node->entry[slot] : NULL;
}

struct tree_entry *tree_find (const struct tree *tree, struct bytes key)
{
    uint64_t hash = memo_hash (key);
    struct tree_entry *entry = memo_find (tree, hash, key);
    if (entry != NULL)
        return entry;
    entry = locate (tree, key);
    if (entry != NULL)
        memo_put (tree, hash, entry);
    return entry;
}

/* Adds (separator, right) behind child `at` of an inner node with a free slot. */
static void inner_add (struct tree_inner *inner, unsigned at, struct tree_entry *separator, struct tree_node *right)
{
    memmove (inner->child + at + 2, inner->child + at + 1, (inner->node.count - at) * sizeof *inner->child);
    inner->child[at + 1] = right;
    tree_node_insert (&inner->node, at, separator);
}

/* Moves the upper part of a full inner node into `right`; returns the separator between both, which leaves the node. */
static struct tree_entry *inner_split (struct tree_inner *inner, struct tree_inner *right)
{
    unsigned keep = TREE_SLOTS / 2;
    struct tree_entry *separator = inner->node.entry[keep];
    memcpy (right->child, inner->child + keep + 1, (TREE_SLOTS - keep) * sizeof *right->child);
    tree_node_move (&right->node, 0, &inner->node, keep + 1, TREE_SLOTS - keep - 1);
    tree_node_remove (&inner->node, keep);
    tree_node_refit (&inner->node);
    return separator;
}

/* Splits a full leaf before an insert at `slot`. Keys that only ever grow leave three quarters behind, not a half. */
static void leaf_split (struct tree_leaf *leaf, struct tree_leaf *right, unsigned slot)
{
    bool grows = slot == TREE_SLOTS && leaf->next == NULL;
    unsigned keep = grows ? TREE_SLOTS - TREE_SLOTS_MIN : TREE_SLOTS / 2;
    tree_node_move (&right->node, 0, &leaf->node, keep, TREE_SLOTS - keep);
    right->prev = leaf;
    right->next = leaf->next;
    if (leaf->next != NULL)
        leaf->next->prev = right;
    leaf->next = right;
}

/* Nodes for every split that one insert below `path` can need, so that running out of memory changes nothing. */
static bool spare_nodes (const struct tree_path *path, struct tree_node *spare[TREE_DEPTH_MAX + 2], unsigned *n)
{
    unsigned level = 0, depth = path->depth;
    *n = 0;
    spare[(*n)++] = node_new (level++);
    while (depth > 0 && path->inner[depth - 1]->node.count == TREE_SLOTS) {
        spare[(*n)++] = node_new (level++);
        depth--;
    }
    if (depth == 0)
        spare[(*n)++] = node_new (level); /* a new root */
    bool all = true;
    for (unsigned i = 0; i < *n; i++)
        all = all && spare[i] != NULL;
    for (unsigned i = 0; !all && i < *n; i++)
        free (spare[i]);
    return all;
}

/* Hands a split up the path: `right` goes behind the child that was descended into, splitting parents that are full. */
static void split_up (struct tree *tree, struct tree_path *path, struct tree_entry *separator, struct tree_node *right,
    struct tree_node **spare)
{
    while (path->depth > 0) {
        struct tree_inner *parent = path->inner[--path->depth];
        unsigned at = path->child[path->depth];
        if (parent->node.count < TREE_SLOTS) {
            inner_add (parent, at, separator, right);
            return;
        }
        struct tree_inner *upper = as_inner (*spare++);
        tree->bytes += node_bytes (1);
        struct tree_entry *middle = inner_split (parent, upper);
        if (at <= parent->node.count)
            inner_add (parent, at, separator, right);
        else
            inner_add (upper, at - parent->node.count - 1, separator, right);
        separator = middle;
        right = &upper->node;
    }
    struct tree_inner *root = as_inner (*spare);
    tree->bytes += node_bytes (1);
    root->child[0] = tree->root;
    inner_add (root, 0, separator, right);
    tree->root = &root->node;
}

struct tree_entry *tree_insert (struct tree *tree, struct bytes key, size_t value_len, bool *made)
{
    maitre_assert (key.len <= UINT16_MAX);
    maitre_assert (value_len <= UINT32_MAX / 2);
    uint64_t hash = memo_hash (key);
    struct tree_entry *entry = memo_find (tree, hash, key);
    *made = false;
    if (entry != NULL)
        return entry;
    struct tree_path path;
    struct tree_leaf *leaf = descend (tree, key, &path);
    bool found;
    unsigned slot = tree_node_search (&leaf->node, key, &found);
    *made = !found;
    if (found)
        return leaf->node.entry[slot];

    entry = entry_new (key, value_len);
    struct tree_node *spare[TREE_DEPTH_MAX + 2];
    unsigned spares = 0;
    bool full = leaf->node.count == TREE_SLOTS;
    if (entry == NULL || (full && !spare_nodes (&path, spare, &spares))) {
        free (entry);
        return NULL;
    }
    tree->count++;
    tree->bytes += entry_bytes (entry);
    memo_put (tree, hash, entry);
    if (!full) {
        tree_node_insert (&leaf->node, slot, entry);
        return entry;
    }
    struct tree_leaf *right = as_leaf (spare[0]);
    tree->bytes += node_bytes (0);
    leaf_split (leaf, right, slot);
    if (slot <= leaf->node.count)
        tree_node_insert (&leaf->node, slot, entry);
    else
        tree_node_insert (&right->node, slot - leaf->node.count, entry);
    split_up (tree, &path, right->node.entry[0], &right->node, spare + 1);
    return entry;
}

bool tree_set_value (struct tree *tree, struct tree_entry *entry, struct bytes value)
{
    maitre_assert (value.len <= UINT32_MAX / 2);
    if (value.len > entry->value_room) {
        size_t room = (value.len + 15) & ~(size_t) 15;
        uint8_t *block = malloc (room);
        if (block == NULL)
            return false;
        memcpy (block, value.data, value.len);
        tree->bytes -= entry_bytes (entry);
        if (!value_inside (entry))
            free (entry->value);
        entry->value = block;
        entry->value_room = (uint32_t) room;
        tree->bytes += entry_bytes (entry);
    } else if (value.len > 0) {
        memmove (entry->value, value.data, value.len);
    }
    entry->value_len = (uint32_t) value.len;
    return true;
}

/* The first entry of the subtree left its leaf: the one separator that names it must name its successor. */
static void rename_separator (struct tree_path *path, struct tree_entry *first)
{
    for (unsigned depth = path->depth; depth > 0; depth--) {
        unsigned child = path->child[depth - 1];
        if (child > 0) {
            tree_node_replace (&path->inner[depth - 1]->node, child - 1, first);
            return;
        }
    }
}

/* Joins child at + 1 into child at of an inner node. */
static void join (struct tree *tree, struct tree_inner *parent, unsigned at)
{
    struct tree_node *left = parent->child[at], *right = parent->child[at + 1];
    if (left->level == 0) {
        struct tree_leaf *gone = as_leaf (right);
        tree_node_move (left, left->count, right, 0, right->count);
        as_leaf (left)->next = gone->next;
        if (gone->next != NULL)
            gone->next->prev = as_leaf (left);
    } else {
        memcpy (as_inner (left)->child + left->count + 1, as_inner (right)->child,
            (right->count + 1u) * sizeof (struct tree_node *));
        tree_node_insert (left, left->count, parent->node.entry[at]);
        tree_node_move (left, left->count, right, 0, right->count);
    }
    tree->bytes -= node_bytes (right->level);
    free (right);
    memmove (parent->child + at + 1, parent->child + at + 2, (parent->node.count - at - 1u) * sizeof *parent->child);
    tree_node_remove (&parent->node, at);
}

/* Moves entries between children at and at + 1 of an inner node until both hold about as many. */
static void balance (struct tree_inner *parent, unsigned at)
{
    struct tree_node *left = parent->child[at], *right = parent->child[at + 1];
    unsigned target = (left->count + right->count) / 2u;
    if (left->level == 0) {
        if (left->count < target)
            tree_node_move (left, left->count, right, 0, target - left->count);
        else
            tree_node_move (right, 0, left, target, left->count - target);
        tree_node_replace (&parent->node, at, right->entry[0]);
        return;
    }
    struct tree_node **lower = as_inner (left)->child, **upper = as_inner (right)->child;
    while (left->count < target) {
        tree_node_insert (left, left->count, parent->node.entry[at]);
        lower[left->count] = upper[0];
        memmove (upper, upper + 1, right->count * sizeof *upper);
        tree_node_replace (&parent->node, at, right->entry[0]);
        tree_node_remove (right, 0);
    }
    while (left->count > target) {
        tree_node_insert (right, 0, parent->node.entry[at]);
        memmove (upper + 1, upper, right->count * sizeof *upper);
        upper[0] = lower[left->count];
        tree_node_replace (&parent->node, at, left->entry[left->count - 1]);
        tree_node_remove (left, left->count - 1u);
    }
}

/* Restores invariant 2 from the leaf upwards. */
static void refill (struct tree *tree, struct tree_path *path, struct tree_node *node)
{
    while (path->depth > 0 && node->count < TREE_SLOTS_MIN) {
        struct tree_inner *parent = path->inner[--path->depth];
        unsigned child = path->child[path->depth], at = child > 0 ? child - 1 : 0;
        struct tree_node *left = parent->child[at], *right = parent->child[at + 1];
        /* An inner join also takes the separator in. */
        if (left->count + right->count + (left->level > 0) <= TREE_SLOTS)
            join (tree, parent, at);
        else
            balance (parent, at);
        node = &parent->node;
    }
    while (tree->root->level > 0 && tree->root->count == 0) {
        struct tree_node *old = tree->root;
        tree->root = as_inner (old)->child[0];
        tree->bytes -= node_bytes (old->level);
        free (old);
    }
}

bool tree_remove (struct tree *tree, struct bytes key)
{
    struct tree_path path;
    struct tree_leaf *leaf = descend (tree, key, &path);
    bool found;
    unsigned slot = tree_node_search (&leaf->node, key, &found);
    if (!found)
        return false;
    struct tree_entry *entry = leaf->node.entry[slot];
    uint64_t hash = memo_hash (key);
    if (tree->memo->entries[hash % MEMO_SLOTS] == entry)
        tree->memo->entries[hash % MEMO_SLOTS] = NULL;
    tree_node_remove (&leaf->node, slot);
    if (slot == 0 && leaf->node.count > 0)
        rename_separator (&path, leaf->node.entry[0]);
    refill (tree, &path, &leaf->node);
    tree->count--;
    tree->bytes -= entry_bytes (entry);
    entry_free (entry); /* last: key may be the entry's own */
    return true;
}

size_t tree_count (const struct tree *tree)
{
    return tree->count;
}

size_t tree_bytes (const struct tree *tree)
{
    return tree->bytes;
}

void tree_seek (const struct tree *tree, struct bytes key, struct tree_cursor *cursor)
{
    struct tree_path path;
    bool found;
    struct tree_leaf *leaf = descend (tree, key, &path);
    cursor->leaf = leaf;
    cursor->slot = tree_node_search (&leaf->node, key, &found);
}

void tree_seek_end (const struct tree *tree, struct tree_cursor *cursor)
{
    struct tree_node *node = tree->root;
    while (node->level > 0)
        node = as_inner (node)->child[node->count];
    cursor->leaf = as_leaf (node);
    cursor->slot = node->count;
}

struct tree_entry *tree_next (struct tree_cursor *cursor)
{
    struct tree_leaf *leaf = cursor->leaf;
    while (cursor->slot >= leaf->node.count) {
        if (leaf->next == NULL)
            return NULL;
        leaf = leaf->next;
        *cursor = (struct tree_cursor){.leaf = leaf};
    }
    return leaf->node.entry[cursor->slot++];
}

struct tree_entry *tree_prev (struct tree_cursor *cursor)
{
    struct tree_leaf *leaf = cursor->leaf;
    while (cursor->slot == 0) {
        if (leaf->prev == NULL)
            return NULL;
        leaf = leaf->prev;
        *cursor = (struct tree_cursor){.leaf = leaf, .slot = leaf->node.count};
    }
    return leaf->node.entry[--cursor->slot];
}

/* Checks a subtree; returns its first entry and adds up what it holds. */
static struct tree_entry *check_node (
    const struct tree *tree, struct tree_node *node, size_t *count, size_t *bytes, struct tree_leaf **previous)
{
    tree_node_check (node);
    maitre_assert (node == tree->root || node->count >= TREE_SLOTS_MIN);
    *bytes += node_bytes (node->level);
    if (node->level == 0) {
        struct tree_leaf *leaf = as_leaf (node);
        maitre_assert (leaf->prev == *previous);
        maitre_assert (*previous == NULL || (*previous)->next == leaf);
        *previous = leaf;
        *count += node->count;
        for (unsigned i = 0; i < node->count; i++)
            *bytes += entry_bytes (node->entry[i]);
        return node->count > 0 ? node->entry[0] : NULL;
    }
    struct tree_inner *inner = as_inner (node);
    struct tree_entry *first = NULL;
    for (unsigned i = 0; i <= node->count; i++) {
        maitre_assert (inner->child[i]->level + 1 == node->level);
        struct tree_entry *child_first = check_node (tree, inner->child[i], count, bytes, previous);
        maitre_assert (i == 0 || node->entry[i - 1] == child_first);
        first = i == 0 ? child_first : first;
    }
    return first;
}

void tree_check (const struct tree *tree)
{
    size_t count = 0, bytes = 0;
    struct tree_leaf *last = NULL;
    check_node (tree, tree->root, &count, &bytes, &last);
    maitre_assert (last->next == NULL);
    maitre_assert (count == tree->count);
    maitre_assert (bytes == tree->bytes);
    for (unsigned i = 0; i < MEMO_SLOTS; i++) {
        struct tree_entry *entry = tree->memo->entries[i];
        if (entry == NULL)
            continue;
        uint64_t hash = memo_hash (tree_key (entry));
        maitre_assert (hash % MEMO_SLOTS == i && tree->memo->tags[i] == (uint32_t) (hash >> 32));
        maitre_assert (locate (tree, tree_key (entry)) == entry);
    }
}
