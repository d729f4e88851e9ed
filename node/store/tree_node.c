#include "node/store/tree_node.h"

#include <string.h>

#include "schemas/runtime/assert.h"

/* The eight bytes of key from `skip`, zero-padded, so that integer order is byte order. */
static uint64_t prefix_of (struct bytes key, size_t skip)
{
    if (key.len >= skip + 8)
        return bytes_get_u64 (key.data + skip);
    uint8_t padded[8] = {0};
    if (key.len > skip)
        memcpy (padded, key.data + skip, key.len - skip);
    return bytes_get_u64 (padded);
}

static bool starts_with (struct bytes key, const uint8_t *common, size_t skip)
{
    return key.len >= skip && memcmp (key.data, common, skip) == 0;
}

/* The lines of prefixes of a node that is about to be searched come together, and not one behind the other. */
static void fetch_prefixes (const struct tree_node *node)
{
    for (unsigned i = 0; i < node->count; i += 64 / sizeof *node->prefix)
        __builtin_prefetch (node->prefix + i);
}

/* First slot in [low, high) whose prefix is >= prefix. The shape lets the compiler use conditional moves. */
static unsigned prefix_lower (const uint64_t *prefixes, unsigned count, uint64_t prefix)
{
    const uint64_t *base = prefixes;
    while (count > 1) {
        unsigned half = count / 2;
        base = base[half - 1] < prefix ? base + half : base;
        count -= half;
    }
    return (unsigned) (base - prefixes) + (count == 1 && *base < prefix);
}

/* The end of the run of equal values that begins at `low`. */
static unsigned run_end (const uint64_t *prefixes, unsigned low, unsigned count)
{
    unsigned high = low + 1;
    while (high < count && prefixes[high] == prefixes[low])
        high++;
    return high;
}

unsigned tree_node_search (const struct tree_node *node, struct bytes key, bool *found)
{
    *found = false;
    fetch_prefixes (node);
    if (node->skip > 0) {
        size_t len = key.len < node->skip ? key.len : node->skip;
        int order = len == 0 ? 0 : memcmp (key.data, node->common, len);
        if (order != 0)
            return order < 0 ? 0 : node->count;
        if (key.len < node->skip)
            return 0;
    }
    uint64_t prefix = prefix_of (key, node->skip);
    unsigned low = prefix_lower (node->prefix, node->count, prefix);
    if (low == node->count || node->prefix[low] != prefix)
        return low;
    uint64_t second = prefix_of (key, node->skip + 8u);
    unsigned high = run_end (node->prefix, low, node->count);
    low += prefix_lower (node->second + low, high - low, second);
    if (low == high || node->second[low] != second)
        return low;
    high = run_end (node->second, low, high);
    /* Alike in both: the whole keys decide. Mostly this is the one entry sought. */
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        int order = bytes_compare (tree_key (node->entry[middle]), key);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void take_prefixes (struct tree_node *node, unsigned slot)
{
    struct bytes key = tree_key (node->entry[slot]);
    node->prefix[slot] = prefix_of (key, node->skip);
    node->second[slot] = prefix_of (key, node->skip + 8u);
}

void tree_node_refit (struct tree_node *node)
{
    size_t skip = 0;
    if (node->count > 1) {
        struct bytes first = tree_key (node->entry[0]), last = tree_key (node->entry[node->count - 1]);
        size_t len = first.len < last.len ? first.len : last.len;
        while (skip < len && skip < TREE_COMMON_MAX && first.data[skip] == last.data[skip])
            skip++;
        memcpy (node->common, first.data, skip);
    }
    node->skip = (uint8_t) skip;
    for (unsigned i = 0; i < node->count; i++)
        take_prefixes (node, i);
}

void tree_node_replace (struct tree_node *node, unsigned slot, struct tree_entry *entry)
{
    maitre_assert (slot < node->count);
    node->entry[slot] = entry;
    if (starts_with (tree_key (entry), node->common, node->skip))
        take_prefixes (node, slot);
    else
        tree_node_refit (node);
}

void tree_node_insert (struct tree_node *node, unsigned slot, struct tree_entry *entry)
{
    maitre_assert (node->count < TREE_SLOTS);
    maitre_assert (slot <= node->count);
    size_t after = node->count - slot;
    memmove (node->prefix + slot + 1, node->prefix + slot, after * sizeof *node->prefix);
    memmove (node->second + slot + 1, node->second + slot, after * sizeof *node->second);
    memmove (node->entry + slot + 1, node->entry + slot, after * sizeof *node->entry);
    node->count++;
    tree_node_replace (node, slot, entry);
}

void tree_node_remove (struct tree_node *node, unsigned slot)
{
    maitre_assert (slot < node->count);
    size_t after = node->count - slot - 1u;
    memmove (node->prefix + slot, node->prefix + slot + 1, after * sizeof *node->prefix);
    memmove (node->second + slot, node->second + slot + 1, after * sizeof *node->second);
    memmove (node->entry + slot, node->entry + slot + 1, after * sizeof *node->entry);
    node->count--;
}

void tree_node_move (struct tree_node *to, unsigned to_slot, struct tree_node *from, unsigned from_slot, unsigned n)
{
    maitre_assert (to->count + n <= TREE_SLOTS);
    maitre_assert (from_slot + n <= from->count);
    memmove (to->entry + to_slot + n, to->entry + to_slot, (to->count - to_slot) * sizeof *to->entry);
    memcpy (to->entry + to_slot, from->entry + from_slot, n * sizeof *to->entry);
    to->count = (uint16_t) (to->count + n);
    memmove (from->entry + from_slot, from->entry + from_slot + n, (from->count - from_slot - n) * sizeof *from->entry);
    from->count = (uint16_t) (from->count - n);
    tree_node_refit (to);
    tree_node_refit (from);
}

void tree_node_check (const struct tree_node *node)
{
    maitre_assert (node->count <= TREE_SLOTS);
    maitre_assert (node->skip <= TREE_COMMON_MAX);
    for (unsigned i = 0; i < node->count; i++) {
        struct bytes key = tree_key (node->entry[i]);
        maitre_assert (starts_with (key, node->common, node->skip));
        maitre_assert (node->prefix[i] == prefix_of (key, node->skip));
        maitre_assert (node->second[i] == prefix_of (key, node->skip + 8u));
        maitre_assert (i == 0 || bytes_compare (tree_key (node->entry[i - 1]), key) < 0);
    }
}
