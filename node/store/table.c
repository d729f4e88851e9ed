#include "node/store/table.h"

#include <stdlib.h>

#include "node/store/store_state.h"
#include "node/store/table_internal.h"
#include "schemas/runtime/assert.h"

void table_list_add (struct table_list *list, struct tree_entry *entry)
{
    entry->prev = list->last;
    entry->next = NULL;
    if (list->last != NULL)
        list->last->next = entry;
    else
        list->first = entry;
    list->last = entry;
}

void table_list_drop (struct table_list *list, struct tree_entry *entry)
{
    if (entry->prev != NULL)
        entry->prev->next = entry->next;
    else
        list->first = entry->next;
    if (entry->next != NULL)
        entry->next->prev = entry->prev;
    else
        list->last = entry->prev;
    entry->prev = entry->next = NULL;
}

void table_count_bytes (struct table *table)
{
    size_t bytes = tree_bytes (table->tree);
    if (table->budget != NULL)
        table->budget->used_bytes += bytes - table->counted_bytes; /* wraps and comes back when it shrank */
    table->counted_bytes = bytes;
}

bool table_entry_clean (const struct table *table, const struct tree_entry *entry)
{
    if (entry->mark[0] == TABLE_COPIED)
        return entry->epoch <= table->durable;
    return entry->mark[0] == TABLE_CLEAN;
}

void table_forget (struct table *table, struct tree_entry *entry)
{
    bool gone = tree_remove (table->tree, tree_key (entry));
    maitre_assert (gone);
    table->changes++;
}

void table_reap (struct table *table, size_t max)
{
    for (; max > 0 && table->graves.first != NULL && table->graves.first->epoch <= table->durable; max--) {
        struct tree_entry *entry = table->graves.first;
        maitre_assert (entry->mark[0] == TABLE_COPIED);
        table_list_drop (&table->graves, entry);
        table_forget (table, entry);
    }
    table_count_bytes (table);
}

/* Copies an entry into the running write-back's batch. */
static void save (struct table *table, struct tree_entry *entry)
{
    enum status status = table_entry_there (entry)
                             ? store_batch_put (table->batch, tree_key (entry), tree_value (entry))
                             : store_batch_remove (table->batch, tree_key (entry));
    if (status != STATUS_OK)
        table->failed = true; /* the batch lacks a change: it must never be written */
}

void table_touch (struct table *table, struct tree_entry *entry)
{
    bool tombstone = !table_entry_there (entry);
    if (entry->mark[0] == TABLE_DIRTY && entry->epoch == table->epoch)
        return;
    if (entry->mark[0] == TABLE_DIRTY) {
        maitre_assert (table->batch != NULL);
        save (table, entry);
        table_list_drop (&table->pending, entry);
    } else if (entry->mark[0] == TABLE_COPIED && tombstone) {
        table_list_drop (&table->graves, entry);
    }
    entry->mark[0] = TABLE_DIRTY;
    entry->epoch = table->epoch;
    table_list_add (&table->dirty, entry);
}

struct tree_entry *table_remember (struct table *table, struct bytes key, struct bytes value, bool there)
{
    bool made;
    struct tree_entry *entry = tree_insert (table->tree, key, value.len, &made);
    if (entry == NULL || !tree_set_value (table->tree, entry, value)) {
        table->failed = true;
        return NULL;
    }
    maitre_assert (made);
    entry->mark[0] = TABLE_CLEAN;
    entry->mark[1] = there ? TABLE_WARM : TABLE_WARM | TABLE_TOMBSTONE;
    table->changes++;
    table_count_bytes (table);
    return entry;
}

/* Asks the store about a key that the tree does not hold. */
static struct tree_entry *load (struct table *table, struct bytes key)
{
    uint8_t *value;
    size_t value_len;
    enum status status =
        store_state_get (table->store, table->shard, table->replica, table->generation, key, &value, &value_len);
    if (status == STATUS_NOT_FOUND) /* a table that will soon be complete needs no such marks */
        return table->warming ? NULL : table_remember (table, key, (struct bytes){0}, false);
    if (status != STATUS_OK) {
        table->failed = table->damaged = true;
        return NULL;
    }
    struct tree_entry *entry = table_remember (table, key, bytes_of (value, value_len), true);
    free (value);
    return entry;
}

static bool get (void *context, struct bytes key, struct bytes *value)
{
    struct table *table = context;
    struct tree_entry *entry = tree_find (table->tree, key);
    if (entry == NULL && !table->complete && !table->failed)
        entry = load (table, key);
    if (entry == NULL)
        return false;
    entry->mark[1] |= TABLE_WARM;
    if (!table_entry_there (entry))
        return false;
    *value = tree_value (entry);
    return true;
}

static void put (void *context, struct bytes key, struct bytes value)
{
    struct table *table = context;
    maitre_assert (key.len <= STATE_KEY_BYTES_MAX);
    maitre_assert (value.len <= STATE_VALUE_BYTES_MAX);
    bool made;
    struct tree_entry *entry = tree_insert (table->tree, key, value.len, &made);
    if (entry == NULL) {
        table->failed = true;
        return;
    }
    table->changes += made;
    table_touch (table, entry); /* saves the old version, if a write-back wants it, before it goes */
    if (!tree_set_value (table->tree, entry, value))
        table->failed = true;
    entry->mark[1] = TABLE_WARM;
    table->dirty_bytes += key.len + value.len;
    table_count_bytes (table);
}

static void discard (void *context, struct bytes key)
{
    struct table *table = context;
    maitre_assert (key.len <= STATE_KEY_BYTES_MAX);
    struct tree_entry *entry = tree_find (table->tree, key);
    if (entry == NULL && table->complete)
        return;
    if (entry == NULL)
        entry = table_remember (table, key, (struct bytes){0}, false); /* the store may have it */
    else if (!table_entry_there (entry))
        return; /* known not to be there, or on its way out */
    if (entry == NULL)
        return;
    if (table->store == NULL) { /* nobody has to be told: no tombstone */
        table_list_drop (&table->dirty, entry);
        table_forget (table, entry);
        table_count_bytes (table);
        return;
    }
    table_touch (table, entry);
    bool kept = tree_set_value (table->tree, entry, (struct bytes){0});
    maitre_assert (kept);
    entry->mark[1] = TABLE_WARM | TABLE_TOMBSTONE;
    table->dirty_bytes += key.len;
    table_count_bytes (table);
}

static bool failed (void *context)
{
    return ((const struct table *) context)->failed;
}

static const struct state_ops ops = {.get = get, .scan = table_scan, .put = put, .remove = discard, .failed = failed};

struct table *table_new (struct store *store, struct table_budget *budget, uint32_t shard, uint64_t replica,
    uint32_t generation, bool complete)
{
    maitre_assert (store != NULL || complete);
    struct table *table = calloc (1, sizeof *table);
    struct tree *tree = tree_new ();
    if (table == NULL || tree == NULL) {
        free (table);
        tree_destroy (&tree);
        return NULL;
    }
    *table = (struct table){.store = store,
        .budget = budget,
        .shard = shard,
        .generation = generation,
        .replica = replica,
        .tree = tree,
        .complete = complete,
        .epoch = 1};
    table->state = (struct state){.ops = &ops, .context = table};
    table_count_bytes (table);
    return table;
}

void table_destroy (struct table **table_at)
{
    struct table *table = *table_at;
    if (table == NULL)
        return;
    if (table->budget != NULL)
        table->budget->used_bytes -= table->counted_bytes;
    store_batch_destroy (&table->batch);
    tree_destroy (&table->tree);
    free (table);
    *table_at = NULL;
}

struct state *table_state (struct table *table)
{
    return &table->state;
}

bool table_complete (const struct table *table)
{
    return table->complete;
}

bool table_failed (const struct table *table)
{
    return table->failed;
}

bool table_damaged (const struct table *table)
{
    return table->damaged;
}

size_t table_count (const struct table *table)
{
    return tree_count (table->tree);
}

size_t table_bytes (const struct table *table)
{
    return tree_bytes (table->tree);
}

size_t table_dirty_bytes (const struct table *table)
{
    return table->dirty_bytes;
}

uint64_t table_written_index (const struct table *table)
{
    return table->written_index;
}

static void check_entry (const struct table *table, const struct tree_entry *entry, size_t *listed)
{
    maitre_assert (entry->mark[0] <= TABLE_COPIED);
    maitre_assert (table_entry_there (entry) || entry->value_len == 0);
    if (entry->mark[0] == TABLE_DIRTY) {
        maitre_assert (entry->epoch == table->epoch || (table->writing && entry->epoch + 1 == table->epoch));
        (*listed)++;
    } else if (entry->mark[0] == TABLE_COPIED) {
        maitre_assert (entry->epoch < table->epoch);
        *listed += !table_entry_there (entry);
    }
    /* Without a store behind it, a complete table has no use for tombstones that nobody has to be told of. */
    maitre_assert (table_entry_there (entry) || !table->complete || entry->mark[0] != TABLE_CLEAN);
}

void table_check (struct table *table)
{
    tree_check (table->tree);
    maitre_assert (table->counted_bytes == tree_bytes (table->tree));
    size_t listed = 0, found = 0;
    struct tree_cursor cursor;
    tree_seek (table->tree, (struct bytes){0}, &cursor);
    for (struct tree_entry *entry = tree_next (&cursor); entry != NULL; entry = tree_next (&cursor))
        check_entry (table, entry, &listed);
    const struct table_list *lists[] = {&table->dirty, &table->pending, &table->graves};
    for (size_t i = 0; i < 3; i++) {
        for (struct tree_entry *entry = lists[i]->first; entry != NULL; entry = entry->next) {
            maitre_assert (entry->next != NULL ? entry->next->prev == entry : lists[i]->last == entry);
            found++;
        }
    }
    maitre_assert (found == listed);
}
