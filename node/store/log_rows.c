#include "node/store/log_rows.h"

#include <stdlib.h>
#include <string.h>

#include "node/store/pack.h"
#include "schemas/runtime/assert.h"

#define BATCH_HEADER_BYTES 12

enum batch_tag { BATCH_DELETION = 0, BATCH_PUT = 1, BATCH_LOG_DATA = 3, BATCH_RANGE_DELETION = 15 };

/* First place whose key is >= key. */
static size_t place_of (const struct log_rows *rows, struct bytes key)
{
    size_t low = 0, high = rows->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_compare (bytes_of (rows->marks[middle].key, rows->marks[middle].key_len), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct log_rows_mark *find (const struct log_rows *rows, struct bytes key)
{
    size_t place = place_of (rows, key);
    bool found =
        place < rows->count && bytes_equal (bytes_of (rows->marks[place].key, rows->marks[place].key_len), key);
    return found ? &rows->marks[place] : NULL;
}

static struct log_rows_mark *make (struct log_rows *rows, struct bytes key)
{
    if (rows->count == rows->room) {
        size_t room = rows->room == 0 ? 256 : rows->room * 2;
        struct log_rows_mark *grown = realloc (rows->marks, room * sizeof *grown);
        if (grown == NULL)
            return NULL;
        rows->marks = grown;
        rows->room = room;
    }
    size_t place = place_of (rows, key);
    memmove (rows->marks + place + 1, rows->marks + place, (rows->count - place) * sizeof *rows->marks);
    rows->count++;
    rows->marks[place] = (struct log_rows_mark){.key_len = (uint8_t) key.len};
    memcpy (rows->marks[place].key, key.data, key.len);
    return &rows->marks[place];
}

/* What is of a newer format stops the start: it stays. All begin with big-endian numbers: term, then vote; generation; turn. */
bool log_rows_newer (struct bytes key, struct bytes value, struct bytes other)
{
    struct bytes a, b;
    if (pack_unseal (key, value, &a) != STATUS_OK)
        return true;
    if (pack_unseal (key, other, &b) != STATUS_OK)
        return false;
    size_t len = key.data[0] == 'c' ? 8 : a.len;
    if (a.len < len || b.len < len)
        return a.len > b.len;
    return bytes_compare (bytes_of (a.data, len), bytes_of (b.data, len)) > 0;
}

static bool counts_more (const struct log_rows_mark *old, struct bytes key, struct bytes value, uint64_t sequence)
{
    bool grows = key.data[0] == 'h' || key.data[0] == 'g' || key.data[0] == 'm';
    return grows ? log_rows_newer (key, value, bytes_of (old->value, old->value_len)) : sequence >= old->sequence;
}

static void keep_mark (struct log_rows *rows, struct bytes key, struct bytes value, uint64_t sequence)
{
    struct log_rows_mark *mark = find (rows, key);
    if (mark != NULL && !counts_more (mark, key, value, sequence))
        return;
    uint8_t *copy = malloc (value.len);
    if (copy != NULL && mark == NULL)
        mark = make (rows, key);
    if (copy == NULL || mark == NULL) {
        free (copy);
        rows->memory_out = true;
        return;
    }
    memcpy (copy, value.data, value.len);
    free (mark->value);
    mark->value = copy;
    mark->value_len = value.len;
    mark->sequence = sequence;
}

static bool take_turn (struct log_rows *rows, struct bytes key, struct bytes value)
{
    struct pack_part part = {0};
    enum status status = pack_read_part (value, &part);
    uint64_t turn = bytes_get_u64 (key.data + 1);
    bool its_own = part.turn == turn && part.part == bytes_get_u16 (key.data + 9);
    if (status == STATUS_DATA_LOSS || (status == STATUS_OK && !its_own))
        return false;
    if (rows->turns == 0 || turn < rows->turn_first)
        rows->turn_first = turn;
    rows->turns++;
    rows->put (rows->argument, key, value);
    return true;
}

bool log_rows_take (struct log_rows *rows, struct bytes key, struct bytes value, uint64_t sequence)
{
    struct bytes fields;
    if (key.len == PACK_TURN_KEY_BYTES && key.data[0] == 't')
        return take_turn (rows, key, value);
    bool mark = key.len == PACK_MARK_KEY_BYTES || (key.len == 1 && key.data[0] == 'm');
    if (!mark || pack_unseal (key, value, &fields) == STATUS_DATA_LOSS)
        return false;
    keep_mark (rows, key, value, sequence);
    return true;
}

/* ---- batches */

static bool take_slice (struct bytes *in, struct bytes *slice)
{
    uint64_t len = 0;
    size_t at = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        if (at == in->len)
            return false;
        uint8_t byte = in->data[at++];
        len |= (uint64_t) (byte & 127) << shift;
        if (byte < 128)
            break;
    }
    if (len > in->len - at)
        return false;
    *slice = bytes_of (in->data + at, len);
    *in = bytes_of (in->data + at + len, in->len - at - len);
    return true;
}

void log_rows_take_batch (struct log_rows *rows, struct bytes batch)
{
    uint64_t sequence = 0;
    if (batch.len < BATCH_HEADER_BYTES)
        return;
    for (size_t i = 0; i < 8; i++)
        sequence |= (uint64_t) batch.data[i] << (8 * i);
    struct bytes in = bytes_of (batch.data + BATCH_HEADER_BYTES, batch.len - BATCH_HEADER_BYTES), key, value;
    for (; in.len > 0; sequence++) {
        enum batch_tag tag = in.data[0];
        in = bytes_of (in.data + 1, in.len - 1);
        bool pair = tag == BATCH_PUT || tag == BATCH_RANGE_DELETION,
             single = tag == BATCH_DELETION || tag == BATCH_LOG_DATA;
        if (!(pair || single) || !take_slice (&in, &key) || (pair && !take_slice (&in, &value)))
            return; /* none of the store's: nothing behind it can be told apart */
        if (tag == BATCH_PUT && !log_rows_take (rows, key, value, sequence))
            return;
    }
}

/* ---- the end */

static bool removed (const struct log_rows *rows, const struct log_rows_mark *mark)
{
    uint8_t key[PACK_MARK_KEY_BYTES];
    if (mark->key_len != PACK_MARK_KEY_BYTES || strchr ("hcg", mark->key[0]) == NULL)
        return false;
    memcpy (key, mark->key, sizeof key);
    key[0] = 'x';
    return find (rows, bytes_of (key, sizeof key)) != NULL;
}

void log_rows_each_mark (struct log_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        const struct log_rows_mark *mark = &rows->marks[i];
        rows->put (rows->argument, bytes_of (mark->key, mark->key_len), bytes_of (mark->value, mark->value_len));
    }
}

void log_rows_finish (struct log_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        const struct log_rows_mark *mark = &rows->marks[i];
        if (!removed (rows, mark))
            rows->put (rows->argument, bytes_of (mark->key, mark->key_len), bytes_of (mark->value, mark->value_len));
    }
    if (rows->turns > 0 && find (rows, BYTES_LITERAL ("m")) == NULL) {
        uint8_t sealed[1 + 8 + PACK_SUM_BYTES];
        bytes_put_u64 (sealed + 1, rows->turn_first);
        size_t len = pack_seal (BYTES_LITERAL ("m"), sealed, 8);
        rows->put (rows->argument, BYTES_LITERAL ("m"), bytes_of (sealed, len));
    }
}

void log_rows_close (struct log_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        free (rows->marks[i].value);
    free (rows->marks);
    rows->marks = NULL;
    rows->count = rows->room = 0;
}
