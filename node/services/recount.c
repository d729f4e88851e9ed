#include "node/services/recount.h"

#include <stdlib.h>

#include "node/services/auth.h"
#include "node/services/catalog.h"
#include "node/services/counter_page.h"
#include "node/services/order.h"
#include "node/services/reserve.h"
#include "node/services/sessions.h"
#include "schemas/runtime/assert.h"

#define TABLES_MAX 32

/* The parts of the check: one line per service. */
static service_recount *const services[] = {
    sessions_recount, auth_recount, catalog_recount, reserve_recount, order_recount};

_Static_assert(sizeof services / sizeof *services <= TABLES_MAX, "each part names tables");

/* A counter (tag, offer, bucket), a usage or an index row, with what it counts. */
struct row {
    uint8_t key[60];
    uint32_t len;
    uint64_t held, confirmed;
};

_Static_assert(1 + ID_SIZE + 8 + ID_SIZE <= 60, "the longest index key fits a row");

struct rows {
    struct row *rows;
    size_t count, room;
};

struct recount {
    struct service_call *call;
    struct rows expected, actual;
    uint8_t index_tables[TABLES_MAX];
    size_t index_tables_count;
    char *drift;
    size_t drift_size;
    bool clean;
};

/* ---- reports */

void recount_drift (struct recount *recount, const char *what, const struct id *id)
{
    if (!recount->clean)
        return;
    recount->clean = false;
    char text[ID_TEXT_LEN + 1] = "";
    if (id != NULL)
        id_format (id, text);
    const char *parts[] = {what, id != NULL ? ": " : "", text};
    size_t len = 0;
    for (size_t i = 0; i < 3; i++) {
        for (const char *c = parts[i]; *c != '\0' && len + 1 < recount->drift_size; c++)
            recount->drift[len++] = *c;
    }
    maitre_assert (recount->drift_size == 0 || len < recount->drift_size);
    if (recount->drift_size > 0)
        recount->drift[len] = '\0';
}

static void row_drift (struct recount *recount, const struct row *row)
{
    maitre_assert (row->len >= 1 + ID_SIZE);
    struct id id;
    memcpy (id.b, row->key + 1, ID_SIZE);
    const char *what = "an index row is missing, or stands for nothing";
    if (row->key[0] == TABLE_COUNTER)
        what = "a counter differs from what its reservations and orders keep";
    else if (row->key[0] == TABLE_USAGE)
        what = "a customer's usage differs from what his reservations and orders keep";
    recount_drift (recount, what, &id);
}

/* ---- rows: gathered, sorted, merged, compared */

static struct row *row_add (struct rows *rows, struct bytes key)
{
    if (rows->count == rows->room) {
        rows->room = rows->room > 0 ? rows->room * 2 : 256;
        rows->rows = realloc (rows->rows, rows->room * sizeof *rows->rows);
        maitre_assert (rows->rows != NULL);
    }
    maitre_assert (rows->count < rows->room);
    struct row *row = &rows->rows[rows->count++];
    maitre_assert (key.len <= sizeof row->key);
    *row = (struct row){.len = (uint32_t) key.len};
    memcpy (row->key, key.data, key.len);
    return row;
}

static int row_compare (const struct row *a, const struct row *b)
{
    return bytes_compare (bytes_of (a->key, a->len), bytes_of (b->key, b->len));
}

/* Merge sort, bottom up. */
static void rows_sort (struct rows *rows)
{
    struct row *from = rows->rows, *to = malloc ((rows->count + 1) * sizeof *to);
    maitre_assert (to != NULL);
    for (size_t width = 1; width < rows->count; width *= 2) {
        for (size_t start = 0; start < rows->count; start += 2 * width) {
            size_t middle = start + width < rows->count ? start + width : rows->count;
            size_t end = start + 2 * width < rows->count ? start + 2 * width : rows->count;
            size_t a = start, b = middle;
            for (size_t out = start; out < end; out++)
                to[out] = a < middle && (b == end || row_compare (&from[a], &from[b]) <= 0) ? from[a++] : from[b++];
        }
        struct row *swap = from;
        from = to;
        to = swap;
    }
    free (to);
    rows->rows = from;
    maitre_assert (rows->count < 2 || row_compare (&rows->rows[0], &rows->rows[rows->count - 1]) <= 0);
}

/* One row per key: counts are summed, index rows named twice are one. */
static void rows_merge (struct rows *rows)
{
    size_t kept = 0;
    for (size_t i = 0; i < rows->count; i++) {
        if (kept > 0 && row_compare (&rows->rows[kept - 1], &rows->rows[i]) == 0) {
            rows->rows[kept - 1].held += rows->rows[i].held;
            rows->rows[kept - 1].confirmed += rows->rows[i].confirmed;
        } else {
            rows->rows[kept++] = rows->rows[i];
        }
    }
    maitre_assert (kept <= rows->count);
    maitre_assert ((kept > 0) == (rows->count > 0));
    rows->count = kept;
}

static void compare_rows (struct recount *recount)
{
    const struct rows *expected = &recount->expected, *actual = &recount->actual;
    size_t i = 0;
    for (; i < expected->count && i < actual->count; i++) {
        const struct row *a = &expected->rows[i], *b = &actual->rows[i];
        maitre_assert (i == 0 || row_compare (&expected->rows[i - 1], a) < 0);
        int order = row_compare (a, b);
        if (order != 0 || a->held != b->held || a->confirmed != b->confirmed) {
            row_drift (recount, order <= 0 ? a : b);
            return;
        }
    }
    if (i < expected->count)
        row_drift (recount, &expected->rows[i]);
    else if (i < actual->count)
        row_drift (recount, &actual->rows[i]);
}

/* ---- what should be there */

static void expect_units (struct recount *recount, const struct id *counter, uint64_t first, uint64_t count,
    uint64_t held, uint64_t confirmed, const struct id *customer)
{
    maitre_assert (count >= 1);
    maitre_assert (held == 0 || confirmed == 0);
    for (uint64_t bucket = first; bucket < first + count; bucket++) {
        struct key key = key_entity (TABLE_COUNTER, counter);
        key_u32 (&key, (uint32_t) bucket);
        struct row *row = row_add (&recount->expected, key_of (&key));
        row->held = held;
        row->confirmed = confirmed;
    }
    struct key key = key_pair (TABLE_USAGE, counter, customer);
    row_add (&recount->expected, key_of (&key))->held = (held + confirmed) * count;
}

void recount_units (struct recount *recount, const struct id *offer, uint64_t first, uint64_t count, uint64_t held,
    uint64_t confirmed, const struct id *customer)
{
    maitre_assert (count >= 1);
    maitre_assert (held == 0 || confirmed == 0);
    struct offer_head head;
    if (!offer_head_load (recount->call, offer, &head)) {
        recount_drift (recount, "units are kept of an offer that is not there", offer);
        return;
    }
    expect_units (recount, offer, first, count, held, confirmed, customer);
    if (!id_is_zero (&head.quota))
        expect_units (recount, &head.quota, first, count, held, confirmed, customer);
}

void recount_index (struct recount *recount, const struct key *key)
{
    maitre_assert (key->len > 1);
    row_add (&recount->expected, key_of (key));
}

void recount_index_table (struct recount *recount, enum table table)
{
    maitre_assert (recount->index_tables_count < TABLES_MAX);
    recount->index_tables[recount->index_tables_count++] = (uint8_t) table;
}

/* ---- what is there */

static bool gather_visit (void *argument, struct bytes key, struct bytes value)
{
    (void) value;
    struct rows *ids = argument;
    row_add (ids, key);
    return true;
}

static bool index_visit (void *argument, struct bytes key, struct bytes value)
{
    struct recount *recount = argument;
    if (value.len > 0)
        recount_drift (recount, "an index row has a value", NULL);
    row_add (&recount->actual, key);
    return true;
}

static bool usage_visit (void *argument, struct bytes key, struct bytes value)
{
    struct recount *recount = argument;
    if (value.len != 8)
        recount_drift (recount, "a usage does not read", NULL);
    else
        row_add (&recount->actual, key)->held = bytes_get_u64 (value.data);
    return true;
}

static bool page_visit (void *argument, struct bytes key, struct bytes value)
{
    struct recount *recount = argument;
    struct counter_page page;
    if (key.len != 1 + ID_SIZE + 4 || !counter_page_parse (value, &page)) {
        recount_drift (recount, "a page of counters does not read", NULL);
        return true;
    }
    uint32_t base = counter_page_number (key) * COUNTER_PAGE_BUCKETS;
    for (unsigned i = 0; i < COUNTER_PAGE_BUCKETS; i++) {
        if (page.held[i] == 0 && page.confirmed[i] == 0)
            continue;
        struct key bucket = {.len = 0};
        key_bytes (&bucket, bytes_of (key.data, 1 + ID_SIZE));
        key_u32 (&bucket, base + i);
        maitre_assert (page.held[i] > 0 || page.confirmed[i] > 0);
        struct row *row = row_add (&recount->actual, key_of (&bucket));
        row->held = page.held[i];
        row->confirmed = page.confirmed[i];
    }
    return true;
}

static void scan_table (struct state *state, uint8_t table, state_visit *visit, void *argument)
{
    struct key from = key_table ((enum table) table), to = from;
    key_after_prefix (&to);
    state_scan (state, key_of (&from), key_of (&to), false, visit, argument);
}

void recount_each (struct service_call *call, struct recount *recount, enum table table,
    void (*row) (struct service_call *call, struct recount *recount, const struct id *id))
{
    struct rows ids = {0};
    scan_table (call->state, (uint8_t) table, gather_visit, &ids);
    for (size_t i = 0; i < ids.count; i++) {
        size_t mark = call->arena->used;
        struct id id;
        if (ids.rows[i].len == 1 + ID_SIZE && key_read_id (bytes_of (ids.rows[i].key, ids.rows[i].len), 1, &id))
            row (call, recount, &id);
        else
            recount_drift (recount, "a key has the wrong length", NULL);
        maitre_assert (mark <= call->arena->used);
        call->arena->used = mark;
    }
    free (ids.rows);
}

/* ---- stock: invariant 5 of services.h */

static void check_stock (struct recount *recount)
{
    for (size_t i = 0; i < recount->actual.count; i++) {
        const struct row *row = &recount->actual.rows[i];
        if (row->key[0] != TABLE_COUNTER)
            continue;
        struct id offer;
        memcpy (offer.b, row->key + 1, ID_SIZE);
        uint32_t bucket = bytes_get_u32 (row->key + 1 + ID_SIZE);
        struct offer_head head;
        struct counter_bucket units;
        if (!offer_head_load (recount->call, &offer, &head) || !offer_has_range (&head, bucket, 1)) {
            recount_drift (recount, "a bucket is counted that no offer has", &offer);
            continue;
        }
        maitre_assert (id_equal (&head.offer, &offer));
        counter_read (recount->call, &head, bucket, 1, &units);
        if ((uint64_t) units.held + units.confirmed > units.total)
            recount_drift (recount, "a bucket has more held and confirmed than its capacity and overbooking", &offer);
    }
}

static void check_all (struct recount *recount)
{
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        services[i](recount->call, recount);
    struct state *state = recount->call->state;
    scan_table (state, TABLE_COUNTER, page_visit, recount);
    scan_table (state, TABLE_USAGE, usage_visit, recount);
    for (size_t i = 0; i < recount->index_tables_count; i++)
        scan_table (state, recount->index_tables[i], index_visit, recount);
    rows_sort (&recount->expected);
    rows_merge (&recount->expected);
    rows_sort (&recount->actual);
    compare_rows (recount);
    check_stock (recount);
    if (recount->call->damaged)
        recount_drift (recount, "stored data does not read", NULL);
}

bool services_check_in (
    const struct services_config *config, struct state *state, struct arena *arena, char *drift, size_t drift_size)
{
    maitre_assert (arena->size - arena->used >= SERVICES_CHECK_ARENA_BYTES);
    struct services_reply reply = {0};
    struct service_meta meta;
    struct service_call call = {.config = config, .state = state, .arena = arena, .reply = &reply, .meta = &meta};
    struct recount recount = {.call = &call, .drift = drift, .drift_size = drift_size, .clean = true};
    if (drift_size > 0)
        drift[0] = '\0';
    if (sessions_meta_load (state, &meta))
        check_all (&recount);
    else
        recount_drift (&recount, "the bookkeeping row does not read", NULL);
    free (recount.expected.rows);
    free (recount.actual.rows);
    return recount.clean;
}

bool services_check (const struct services_config *config, struct state *state, char *drift, size_t drift_size)
{
    struct arena arena;
    uint8_t *memory = malloc (SERVICES_CHECK_ARENA_BYTES);
    maitre_assert (memory != NULL);
    arena_init (&arena, memory, SERVICES_CHECK_ARENA_BYTES);
    bool clean = services_check_in (config, state, &arena, drift, drift_size);
    free (memory);
    return clean;
}
