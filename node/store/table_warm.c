/* A table that comes into memory while it is used: what a snapshot brought is served at once, however much it is.
 *
 * Right because of invariants 1 and 3: what the store does not have as it should be is in the tree, as a change or a mark. So a
 * key that the tree does not hold is as the store says at that moment, and each step asks anew.
 */
#include "node/store/store_state.h"
#include "node/store/table_internal.h"
#include "schemas/runtime/assert.h"

void table_warm_begin (struct table *table)
{
    maitre_assert (table->store != NULL && !table->complete);
    maitre_assert (tree_count (table->tree) == 0);
    table->warming = true;
    table->warm_len = 0;
}

/* The next step begins behind this key: the least key above it ends in one zero byte more. */
static void go_behind (struct table *table, struct bytes key)
{
    maitre_assert (key.len <= STATE_KEY_BYTES_MAX);
    if (key.len > 0)
        memcpy (table->warm, key.data, key.len);
    table->warm[key.len] = 0;
    table->warm_len = key.len + 1;
}

bool table_warm_step (struct table *table, size_t max)
{
    struct store_cursor *cursor;
    struct bytes key, value;
    if (!table->warming || table->failed)
        return true;
    enum status status = store_cursor_open (table->store, table->shard, table->replica, table->generation,
        bytes_of (table->warm, table->warm_len), (struct bytes){0}, false, &cursor);
    if (status != STATUS_OK) {
        table->failed = true;
        return true;
    }
    for (; max > 0 && (status = store_cursor_next (cursor, &key, &value)) == STATUS_OK; max--) {
        if (table->budget != NULL && table->budget->used_bytes > table->budget->max_bytes) {
            table->warming = false;
            break;
        }
        go_behind (table, key);
        if (tree_find (table->tree, key) == NULL && table_remember (table, key, value, true) == NULL)
            break; /* failed */
    }
    store_cursor_close (&cursor);
    if (status == STATUS_NOT_FOUND) {
        table->warming = false;
        table->complete = true;
    } else if (status != STATUS_OK) {
        table->failed = table->damaged = true;
    }
    return !table->warming || table->failed;
}
