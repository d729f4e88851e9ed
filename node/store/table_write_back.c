/* Between memory and the state database: loading, writing back, evicting. */
#include "node/store/store_state.h"
#include "node/store/table_internal.h"
#include "schemas/runtime/assert.h"

enum status table_load_all (struct table *table)
{
    maitre_assert (table->store != NULL);
    maitre_assert (tree_count (table->tree) == 0);
    uint64_t term;
    enum status status = store_state_applied (
        table->store, table->shard, table->replica, table->generation, &table->written_index, &term);
    if (status != STATUS_OK)
        return status;
    struct store_cursor *cursor;
    status = store_cursor_open (table->store, table->shard, table->replica, table->generation, (struct bytes){0},
        (struct bytes){0}, false, &cursor);
    if (status != STATUS_OK)
        return status;
    struct bytes key, value;
    while ((status = store_cursor_next (cursor, &key, &value)) == STATUS_OK) {
        if (table->budget != NULL && table->budget->used_bytes > table->budget->max_bytes)
            break;
        if (table_remember (table, key, value, true) == NULL) {
            status = STATUS_RESOURCE_EXHAUSTED;
            break;
        }
    }
    store_cursor_close (&cursor);
    table->complete = status == STATUS_NOT_FOUND;
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status table_write_back_begin (struct table *table, uint64_t applied_index, uint64_t applied_term)
{
    maitre_assert (table->store != NULL);
    if (table->writing)
        return STATUS_FAILED_PRECONDITION;
    maitre_assert (table->pending.first == NULL);
    maitre_assert (applied_index >= table->written_index);
    table->batch = store_batch_new (table->shard, table->replica, table->generation, applied_index, applied_term);
    if (table->batch == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    table->pending = table->dirty;
    table->dirty = (struct table_list){0};
    table->dirty_bytes = 0;
    table->epoch++;
    table->writing = true;
    table->writing_index = applied_index;
    return STATUS_OK;
}

bool table_write_back_step (struct table *table, size_t max, struct store_batch **batch)
{
    maitre_assert (table->writing);
    maitre_assert (table->batch != NULL);
    table_reap (table, max);
    for (; max > 0 && table->pending.first != NULL; max--) {
        struct tree_entry *entry = table->pending.first;
        maitre_assert (entry->mark[0] == TABLE_DIRTY && entry->epoch + 1 == table->epoch);
        if (entry->next != NULL)
            __builtin_prefetch (entry->next); /* the list is in the order of change: each entry is a cache miss */
        bool there = table_entry_there (entry);
        enum status status = there ? store_batch_put (table->batch, tree_key (entry), tree_value (entry))
                                   : store_batch_remove (table->batch, tree_key (entry));
        if (status != STATUS_OK) {
            table->failed = true;
            return false;
        }
        table_list_drop (&table->pending, entry);
        entry->mark[0] = TABLE_COPIED;
        if (!there)
            table_list_add (&table->graves, entry);
    }
    if (table->pending.first != NULL || table->failed)
        return false;
    *batch = table->batch;
    table->batch = NULL;
    return true;
}

void table_write_back_done (struct table *table)
{
    maitre_assert (table->writing);
    maitre_assert (table->batch == NULL);
    table->writing = false;
    table->written_index = table->writing_index;
    table->durable = table->epoch - 1;
}

bool table_write_back_running (const struct table *table)
{
    return table->writing;
}

static void set_hand (struct table *table, struct bytes key)
{
    table->hand_len = key.len;
    if (key.len > 0)
        memcpy (table->hand, key.data, key.len);
}

/* The entry at the hand, which moves behind it; NULL after the last one (the hand goes back to the first). */
static struct tree_entry *under_hand (struct table *table, struct tree_cursor *cursor)
{
    struct tree_entry *entry = tree_next (cursor);
    if (entry == NULL) {
        table->hand_len = 0;
        tree_seek (table->tree, (struct bytes){0}, cursor);
    }
    return entry;
}

size_t table_evict (struct table *table, size_t bytes, size_t visit_max)
{
    if (table->store == NULL)
        return 0;
    size_t before = tree_bytes (table->tree);
    table_reap (table, visit_max);
    struct tree_cursor cursor;
    tree_seek (table->tree, bytes_of (table->hand, table->hand_len), &cursor);
    for (size_t visited = 0; visited < visit_max && before - tree_bytes (table->tree) < bytes; visited++) {
        struct tree_entry *entry = under_hand (table, &cursor);
        if (entry == NULL)
            continue;
        bool grave = entry->mark[0] == TABLE_COPIED && !table_entry_there (entry);
        if (!table_entry_clean (table, entry) || grave)
            continue;
        if ((entry->mark[1] & TABLE_WARM) != 0) {
            entry->mark[1] = (uint8_t) (entry->mark[1] & ~TABLE_WARM);
            continue;
        }
        set_hand (table, tree_key (entry));
        table_forget (table, entry);
        table->complete = table->warming = false;
        tree_seek (table->tree, bytes_of (table->hand, table->hand_len), &cursor);
    }
    struct tree_entry *next = tree_next (&cursor);
    set_hand (table, next != NULL ? tree_key (next) : (struct bytes){0});
    table_count_bytes (table);
    return before > tree_bytes (table->tree) ? before - tree_bytes (table->tree) : 0;
}
