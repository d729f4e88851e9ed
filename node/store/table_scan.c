/* Reading a range: from the tree alone, or from the tree after it has been filled from the store, piece by piece. */
#include "node/store/store_state.h"
#include "node/store/table_internal.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/checksum.h"

/* Keys taken from the store at a time: most scans stop early, so the first piece is small. */
#define PIECE_FIRST 16
#define PIECE_MAX 256

/* A range on its way: what is left of it. Of bounds that a visited entry gave, the key belongs to the entry, which stays
 * where it is for as long as nothing is removed. */
struct range {
    struct bytes from, to; /* [from, to), an empty `to`: up to the end */
    bool past;             /* `from` itself was visited (forward) */
    bool reverse;
};

static bool before_end (const struct range *range, struct bytes key)
{
    return range->to.len == 0 || bytes_compare (key, range->to) < 0;
}

static bool after_begin (const struct range *range, struct bytes key)
{
    int order = bytes_compare (key, range->from);
    return range->past ? order > 0 : order >= 0;
}

static void seek (const struct table *table, const struct range *range, struct tree_cursor *cursor)
{
    if (!range->reverse)
        tree_seek (table->tree, range->from, cursor);
    else if (range->to.len == 0)
        tree_seek_end (table->tree, cursor);
    else
        tree_seek (table->tree, range->to, cursor);
}

/* The next entry of the range, and the range behind it; NULL at its end. */
static struct tree_entry *step (
    const struct table *table, struct range *range, struct tree_cursor *cursor, uint64_t *changes)
{
    if (*changes != table->changes)
        seek (table, range, cursor); /* a get in the visitor brought an entry in: the cursor is dead */
    *changes = table->changes;
    struct tree_entry *entry = range->reverse ? tree_prev (cursor) : tree_next (cursor);
    while (entry != NULL && !range->reverse && !after_begin (range, tree_key (entry)))
        entry = tree_next (cursor);
    if (entry == NULL)
        return NULL;
    if (range->reverse ? !after_begin (range, tree_key (entry)) : !before_end (range, tree_key (entry)))
        return NULL;
    if (range->reverse) {
        range->to = tree_key (entry);
    } else {
        range->from = tree_key (entry);
        range->past = true;
    }
    return entry;
}

/* Visits what the tree holds of a range. False when the visitor has had enough. */
static bool visit_tree (struct table *table, struct range *range, state_visit *visit, void *argument)
{
    struct tree_cursor cursor;
    uint64_t changes = table->changes;
    seek (table, range, &cursor);
    struct tree_entry *entry;
    while ((entry = step (table, range, &cursor, &changes)) != NULL) {
        entry->mark[1] |= TABLE_WARM;
        if (table_entry_there (entry) && !visit (argument, tree_key (entry), tree_value (entry)))
            return false;
        /* An empty key cannot bound a reverse range (an empty `to` means the end), and nothing lies before it. */
        if (range->reverse && range->to.len == 0)
            return false;
    }
    return true;
}

/* Brings up to n keys of the store's range into the tree. *reached is the last one's entry when more may follow, NULL
 * when the store has no more. False: the store failed. */
static bool fill (struct table *table, struct store_cursor *cursor, size_t n, struct tree_entry **reached)
{
    *reached = NULL;
    for (size_t i = 0; i < n; i++) {
        struct bytes key, value;
        enum status status = store_cursor_next (cursor, &key, &value);
        if (status == STATUS_NOT_FOUND) {
            *reached = NULL;
            return true;
        }
        if (status != STATUS_OK) {
            table->failed = table->damaged = true;
            return false;
        }
        struct tree_entry *entry = tree_find (table->tree, key);
        if (entry == NULL)
            entry = table_remember (table, key, value, true);
        if (entry == NULL)
            return false;
        *reached = entry;
    }
    return true;
}

/* Piece by piece: between two keys that the store gave one after the other, the tree is complete. */
static void scan_filling (struct table *table, struct range *whole, state_visit *visit, void *argument)
{
    struct store_cursor *cursor;
    enum status status = store_cursor_open (
        table->store, table->shard, table->replica, table->generation, whole->from, whole->to, whole->reverse, &cursor);
    if (status != STATUS_OK) {
        table->failed = true;
        return;
    }
    size_t n = PIECE_FIRST;
    struct tree_entry *reached;
    bool more = true;
    while (more && fill (table, cursor, n, &reached)) {
        struct range piece = *whole;
        if (reached != NULL && whole->reverse) {
            piece.from = tree_key (reached); /* the reached key itself is in: reverse ranges include `from` */
            whole->to = piece.from;
        } else if (reached != NULL) {
            piece.to = tree_key (reached); /* the reached key comes with the next piece */
            whole->from = piece.to;
            whole->past = false;
        }
        /* Nothing lies before the empty key, and it is no bound for a range. */
        more = reached != NULL && (tree_key (reached).len > 0 || !whole->reverse);
        if (piece.to.len == 0 && reached != NULL && !whole->reverse)
            continue;
        more = visit_tree (table, &piece, visit, argument) && more;
        n = n < PIECE_MAX ? n * 2 : n;
    }
    store_cursor_close (&cursor);
}

void table_scan (void *context, struct bytes from, struct bytes to, bool reverse, state_visit *visit, void *argument)
{
    struct table *table = context;
    struct range range = {.from = from, .to = to, .reverse = reverse};
    if (table->failed || (to.len > 0 && bytes_compare (from, to) >= 0))
        return;
    if (table->complete)
        visit_tree (table, &range, visit, argument);
    else
        scan_filling (table, &range, visit, argument);
}

/* ---- the whole content, without bringing it into memory ---- */

static uint64_t hash_row (uint64_t hash, struct bytes key, struct bytes value)
{
    uint8_t lens[8];
    bytes_put_u32 (lens, (uint32_t) key.len);
    bytes_put_u32 (lens + 4, (uint32_t) value.len);
    return checksum64 (checksum64 (checksum64 (hash, bytes_of (lens, sizeof lens)), key), value);
}

uint64_t table_hash (struct table *table)
{
    struct store_cursor *cursor = NULL;
    struct bytes key = {0}, value = {0};
    enum status status = STATUS_NOT_FOUND;
    if (!table->complete) {
        status = store_cursor_open (table->store, table->shard, table->replica, table->generation, (struct bytes){0},
            (struct bytes){0}, false, &cursor);
        if (status == STATUS_OK)
            status = store_cursor_next (cursor, &key, &value);
    }
    struct tree_cursor place;
    tree_seek (table->tree, (struct bytes){0}, &place);
    struct tree_entry *entry = tree_next (&place);
    uint64_t hash = 0;
    /* A merge: where both have a key, the tree is newer. */
    while (entry != NULL || status == STATUS_OK) {
        int order = entry == NULL ? 1 : status != STATUS_OK ? -1 : bytes_compare (tree_key (entry), key);
        if (order <= 0 && table_entry_there (entry))
            hash = hash_row (hash, tree_key (entry), tree_value (entry));
        if (order > 0)
            hash = hash_row (hash, key, value);
        if (order >= 0)
            status = store_cursor_next (cursor, &key, &value);
        if (order <= 0)
            entry = tree_next (&place);
    }
    if (status != STATUS_NOT_FOUND)
        table->failed = true;
    store_cursor_close (&cursor);
    return hash;
}
