/* Walking an index for one page of a list. Ids are gathered first and looked up after the scan: a look-up may load from the
 * store, which a scan must not see. */
#include "node/services/service.h"

#include "schemas/runtime/assert.h"

#define BATCH_ROWS 256

struct batch {
    struct id ids[BATCH_ROWS];
    size_t count;
    size_t key_len;
    bool damaged;
};

static bool batch_visit (void *argument, struct bytes key, struct bytes value)
{
    (void) value;
    struct batch *batch = argument;
    if (key.len != batch->key_len) {
        batch->damaged = true;
        return false;
    }
    maitre_assert (batch->count < BATCH_ROWS);
    memcpy (batch->ids[batch->count++].b, key.data + key.len - ID_SIZE, ID_SIZE);
    return batch->count < BATCH_ROWS;
}

/* The next rows of the prefix beyond *after (zero: from its beginning). */
static void next_batch (
    struct service_call *call, const struct key *prefix, bool reverse, const struct id *after, struct batch *batch)
{
    struct key from = *prefix, to = *prefix;
    batch->count = 0;
    batch->key_len = prefix->len + ID_SIZE;
    maitre_assert (batch->key_len < KEY_BYTES_MAX);
    key_after_prefix (&to);
    if (after != NULL && reverse) {
        to = *prefix;
        key_id (&to, after);
    } else if (after != NULL) {
        key_id (&from, after);
        key_bytes (&from, BYTES_LITERAL ("\0"));
    }
    maitre_assert (bytes_compare (key_of (&from), key_of (&to)) <= 0);
    state_scan (call->state, key_of (&from), key_of (&to), reverse, batch_visit, batch);
    if (batch->damaged)
        service_damage (call);
    maitre_assert (batch->count <= BATCH_ROWS);
}

struct bytes service_list (struct service_call *call, const struct service_page *page, const struct key *prefix,
    bool reverse, service_row_visit *visit, void *argument)
{
    maitre_assert (page->limit >= 1);
    maitre_assert (page->limit <= PAGE_SIZE_MAX);
    struct batch *batch = service_alloc (call, sizeof *batch);
    struct id after;
    bool started = key_read_id (page->cursor, 0, &after);
    batch->damaged = false;
    for (size_t scanned = 0;;) {
        next_batch (call, prefix, reverse, started ? &after : NULL, batch);
        for (size_t i = 0; i < batch->count; i++, scanned++) {
            maitre_assert (!started || (id_compare (&batch->ids[i], &after) < 0) == reverse);
            size_t mark = call->arena->used;
            enum service_row row =
                scanned == SERVICE_PAGE_SCANNED_MAX ? SERVICE_ROW_FULL : visit (call, argument, &batch->ids[i]);
            if (row == SERVICE_ROW_FULL)
                return service_page_token (call, page, id_bytes (&after));
            if (row == SERVICE_ROW_SKIPPED)
                call->arena->used = mark;
            after = batch->ids[i];
            started = true;
        }
        if (batch->count < BATCH_ROWS)
            return bytes_of (NULL, 0);
    }
}
