/* A shard's state in memory for tests: the ordered tree of node/store behind `struct state`, with nothing behind it.
 *
 * Ownership: state_map_init / state_map_close. Like the engine's table, a scan must not be changed or loaded under: state_map_scan
 * asserts it.
 */
#ifndef MAITRED_TEST_SUPPORT_STATE_MAP_H
#define MAITRED_TEST_SUPPORT_STATE_MAP_H

#include "node/services/state.h"
#include "node/store/tree.h"
#include "schemas/runtime/assert.h"

struct state_map {
    struct tree *tree;
    bool scanning;
    bool fails; /* set it to make the state report damaged storage */
};

static inline bool state_map_get (void *context, struct bytes key, struct bytes *value)
{
    struct state_map *map = context;
    maitre_assert (key.len <= STATE_KEY_BYTES_MAX);
    maitre_assert (!map->scanning);
    const struct tree_entry *entry = tree_find (map->tree, key);
    if (entry == NULL)
        return false;
    *value = tree_value (entry);
    return true;
}

static inline void state_map_scan (
    void *context, struct bytes from, struct bytes to, bool reverse, state_visit *visit, void *argument)
{
    struct state_map *map = context;
    struct tree_cursor cursor;
    const struct tree_entry *entry;
    maitre_assert (!map->scanning);
    map->scanning = true;
    if (!reverse) {
        tree_seek (map->tree, from, &cursor);
        while ((entry = tree_next (&cursor)) != NULL && (to.len == 0 || bytes_compare (tree_key (entry), to) < 0) &&
               visit (argument, tree_key (entry), tree_value (entry)))
            ;
    } else {
        if (to.len == 0)
            tree_seek_end (map->tree, &cursor);
        else
            tree_seek (map->tree, to, &cursor);
        while ((entry = tree_prev (&cursor)) != NULL && bytes_compare (tree_key (entry), from) >= 0 &&
               visit (argument, tree_key (entry), tree_value (entry)))
            ;
    }
    map->scanning = false;
}

static inline void state_map_put (void *context, struct bytes key, struct bytes value)
{
    struct state_map *map = context;
    maitre_assert (!map->scanning);
    maitre_assert (key.len <= STATE_KEY_BYTES_MAX && value.len <= STATE_VALUE_BYTES_MAX);
    bool made = false;
    struct tree_entry *entry = tree_insert (map->tree, key, value.len, &made);
    maitre_assert (entry != NULL);
    bool set = tree_set_value (map->tree, entry, value);
    maitre_assert (set);
}

static inline void state_map_remove (void *context, struct bytes key)
{
    struct state_map *map = context;
    maitre_assert (!map->scanning);
    (void) tree_remove (map->tree, key);
}

static inline bool state_map_failed (void *context)
{
    return ((struct state_map *) context)->fails;
}

static inline void state_map_init (struct state_map *map)
{
    *map = (struct state_map){.tree = tree_new ()};
    maitre_assert (map->tree != NULL);
}

static inline void state_map_close (struct state_map *map)
{
    tree_destroy (&map->tree);
}

static inline struct state state_map_state (struct state_map *map)
{
    static const struct state_ops ops = {
        .get = state_map_get,
        .scan = state_map_scan,
        .put = state_map_put,
        .remove = state_map_remove,
        .failed = state_map_failed,
    };
    return (struct state){.ops = &ops, .context = map};
}

#endif
