/* What the store reads back from its databases and what snapshots bring: packed turns, marks, chunks, and what recovery
 * makes of changes to the log. Checksums are put right first, else nothing behind them would ever be reached. */
#include "node/store/pack.h"
#include "node/store/registry.h"
#include "node/store/store_chunk.h"
#include "schemas/runtime/checksum.h"
#include "test/fuzz/fuzz.h"

#define CHANGES_MAX 64

/* A copy of its own for each value, so that a read past its end is seen. */
static uint8_t *copy_of (struct bytes in)
{
    uint8_t *copy = malloc (in.len > 0 ? in.len : 1);
    maitre_assert (copy != NULL);
    if (in.len > 0)
        memcpy (copy, in.data, in.len);
    return copy;
}

/* The checksum at the end of a value, made right. */
static void mend_sum (uint8_t *value, size_t len, uint64_t seed)
{
    if (len >= PACK_SUM_BYTES)
        bytes_put_u64 (value + len - PACK_SUM_BYTES, checksum64 (seed, bytes_of (value, len - PACK_SUM_BYTES)));
}

/* The entries' own checksums: walks a part as far as it goes and puts them right, in the memory behind `body`. */
static void mend_entries (uint8_t *value, struct bytes body, uint32_t groups)
{
    struct pack_group group;
    for (uint32_t g = 0; g < groups && pack_read_group (&body, &group) == STATUS_OK; g++) {
        for (uint32_t i = 0; i < group.count; i++) {
            struct bytes before = body;
            struct store_entry entry;
            if (pack_read_entry (&body, &group, group.first_index + i, &entry) == STATUS_OK)
                continue;
            if (before.len < PACK_ENTRY_BYTES)
                return;
            size_t len = bytes_get_u32 (before.data + 9);
            if (len > before.len - PACK_ENTRY_BYTES)
                return;
            entry = (struct store_entry){.index = group.first_index + i,
                .term = bytes_get_u64 (before.data),
                .type = before.data[8],
                .payload = bytes_of (before.data + PACK_ENTRY_BYTES, len)};
            pack_write_entry (value + (before.data - value), group.shard, group.replica, &entry);
            body = bytes_of (before.data + PACK_ENTRY_BYTES + len, before.len - PACK_ENTRY_BYTES - len);
        }
    }
}

static void fuzz_part (struct bytes in, bool mend)
{
    uint8_t *value = copy_of (in);
    struct pack_part part;
    if (mend && in.len >= PACK_HEADER_BYTES + PACK_SUM_BYTES) {
        bytes_put_u16 (value, PACK_FORMAT);
        bytes_put_u16 (value + 6, 0);
        bytes_put_u32 (value + 20, (uint32_t) (in.len - PACK_HEADER_BYTES - PACK_SUM_BYTES));
        mend_entries (value, bytes_of (value + PACK_HEADER_BYTES, in.len - PACK_HEADER_BYTES - PACK_SUM_BYTES),
            bytes_get_u32 (value + 16));
        mend_sum (value, in.len, 0);
    }
    if (pack_read_part (bytes_of (value, in.len), &part) == STATUS_OK) {
        uint8_t header[PACK_HEADER_BYTES];
        pack_write_header (header, &part, (uint32_t) part.body.len);
        maitre_assert (memcmp (header, value, sizeof header) == 0);
        struct bytes body = part.body;
        struct pack_group group;
        for (uint32_t g = 0; g < part.groups && pack_read_group (&body, &group) == STATUS_OK; g++) {
            uint8_t group_bytes[PACK_GROUP_BYTES], entry_bytes[PACK_ENTRY_BYTES];
            pack_write_group (group_bytes, &group);
            maitre_assert (memcmp (group_bytes, body.data - PACK_GROUP_BYTES, sizeof group_bytes) == 0);
            struct store_entry entry;
            for (uint32_t i = 0; i < group.count; i++) {
                const uint8_t *at = body.data;
                if (pack_read_entry (&body, &group, group.first_index + i, &entry) != STATUS_OK)
                    break;
                pack_write_entry (entry_bytes, group.shard, group.replica, &entry);
                maitre_assert (memcmp (entry_bytes, at, sizeof entry_bytes) == 0);
                maitre_assert (entry.payload.data + entry.payload.len <= value + in.len);
            }
        }
    }
    free (value);
}

static void fuzz_mark (struct fuzz *fuzz, bool mend)
{
    uint8_t key[PACK_MARK_KEY_BYTES];
    pack_mark_key (key, (char) fuzz_u8 (fuzz), fuzz_u8 (fuzz), fuzz_u8 (fuzz));
    struct bytes in = fuzz_rest (fuzz), fields;
    uint8_t *value = copy_of (in);
    if (mend)
        mend_sum (value, in.len, checksum64 (0, bytes_of (key, sizeof key)));
    if (pack_unseal (bytes_of (key, sizeof key), bytes_of (value, in.len), &fields) == STATUS_OK) {
        uint8_t *back = malloc (in.len);
        maitre_assert (back != NULL);
        memcpy (back + 1, fields.data, fields.len);
        maitre_assert (pack_seal (bytes_of (key, sizeof key), back, fields.len) == in.len);
        maitre_assert (memcmp (back, value, in.len) == 0);
        free (back);
    }
    free (value);
}

static void fuzz_chunk (struct bytes in, bool mend)
{
    uint8_t *value = copy_of (in);
    struct store_chunk chunk;
    struct bytes rows, key, row;
    if (mend && in.len >= 2) {
        bytes_put_u16 (value, STORE_CHUNK_FORMAT);
        mend_sum (value, in.len, 0);
    }
    if (store_chunk_read (bytes_of (value, in.len), &chunk, &rows) == STATUS_OK) {
        uint8_t header[STORE_CHUNK_HEADER_BYTES];
        store_chunk_write_header (header, &chunk);
        maitre_assert (memcmp (header, value, sizeof header) == 0);
        for (uint32_t i = 0; i < chunk.count; i++) {
            bool fits = store_chunk_row (&rows, &key, &row);
            maitre_assert (fits); /* the reader promised it */
            maitre_assert (key.data >= value && row.data + row.len <= value + in.len);
        }
        maitre_assert (rows.len == 0);
    }
    free (value);
}

static struct registry_change make_change (struct fuzz *fuzz, bool loose)
{
    uint8_t kind = fuzz_u8 (fuzz);
    enum registry_kind kinds[] = {
        REGISTRY_APPEND, REGISTRY_RESET, REGISTRY_HARD_STATE, REGISTRY_COMPACT, REGISTRY_INSTALL, REGISTRY_REMOVE};
    struct registry_change change = {
        .kind = kinds[kind % (loose ? 2 : 6)], /* marks are read from places of their own */
        .shard = kind / 6 % 2,
        .replica = 1 + kind / 12 % 3};
    change.group = fuzz_u8 (fuzz);
    change.count = change.group % 8;
    change.first_index = fuzz_in (fuzz, change.count > 0 || change.kind == REGISTRY_RESET, UINT64_MAX / 2);
    change.truncate_from = change.group / 8 % 2 == 0 ? 0 : fuzz_in (fuzz, 1, UINT64_MAX / 2);
    change.term = change.vote = change.index_term = fuzz_u8 (fuzz);
    change.generation = (uint32_t) change.term;
    change.index = fuzz_in (fuzz, 0, UINT64_MAX / 2);
    if (change.kind == REGISTRY_COMPACT || change.kind == REGISTRY_INSTALL) {
        change.config_len = 8;
        change.config = calloc (1, change.config_len);
        maitre_assert (change.config != NULL);
    }
    return change;
}

/* The groups of a log as recovery meets them (`loose`), whatever stands in them; or turns of this life, tried first. */
static void fuzz_registry (struct fuzz *fuzz)
{
    struct registry registry = {0};
    bool loose = fuzz_u8 (fuzz) % 2 != 0;
    for (uint64_t turn = 1; turn <= CHANGES_MAX && fuzz->left > 0; turn++) {
        struct registry_change change = make_change (fuzz, loose);
        if (loose) {
            (void) !registry_apply (&registry, &change, turn, true);
        } else if (registry_try (&registry, &change, 1, NULL) == STATUS_OK) {
            bool fits = registry_apply (&registry, &change, turn, false);
            maitre_assert (fits); /* what passed the trial is synced by now: it must go in */
            registry_check (&registry);
        }
        free (change.config); /* NULL when it was taken over */
        maitre_assert (registry_oldest_turn (&registry, turn + 1, NULL) <= turn + 1);
        const struct registry_record *record = registry_find (&registry, change.shard, change.replica);
        const struct registry_run *run = record == NULL ? NULL : registry_run_of (record, change.index);
        maitre_assert (run == NULL || run->first_index <= change.index);
    }
    registry_close (&registry);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    struct fuzz fuzz = {.at = data, .left = size};
    uint8_t choice = fuzz_u8 (&fuzz);
    bool mend = choice >= 32;
    switch (choice % 4) {
    case 0:
        fuzz_part (fuzz_rest (&fuzz), mend);
        break;
    case 1:
        fuzz_mark (&fuzz, mend);
        break;
    case 2:
        fuzz_chunk (fuzz_rest (&fuzz), mend);
        break;
    default:
        fuzz_registry (&fuzz);
    }
    return 0;
}
