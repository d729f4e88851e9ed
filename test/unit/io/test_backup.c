/* Backups as files: what was written comes back, and whatever is not as it was written is noticed, byte by byte. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/backup/backup.h"
#include "test/support/backup_rig.h"

static struct backup_rig rig;
static struct world *const w = &rig.world;
static struct backup_bytes *const images = rig.images;
static char *const dir = rig.dir;

static int setup (void **state)
{
    (void) state;
    backup_rig_init (&rig, true);
    return 0;
}

static int teardown (void **state)
{
    (void) state;
    backup_rig_close (&rig);
    return 0;
}

/* As verify does: the manifest, then the images from first to last. The first thing that is wrong. */
static enum status look_at (uint32_t first, uint32_t last, struct backup_counts *counts, uint64_t *hash, char why[512])
{
    struct backup *backup = NULL;
    struct backup_error error = {.text = ""};
    enum status status = backup_open (dir, &backup, &error);
    for (uint32_t shard = first; status == STATUS_OK && shard <= last; shard++) {
        struct state_map map;
        state_map_init (&map);
        struct state state = state_map_state (&map);
        status = backup_load (backup, shard, &state, counts, &error);
        if (status == STATUS_OK)
            assert_int_equal (backup_check_file (backup, shard, &error), STATUS_OK);
        if (shard == WORLD_SHARD && hash != NULL)
            *hash = world_hash (map.tree, false);
        state_map_close (&map);
    }
    backup_close (&backup);
    if (why != NULL)
        snprintf (why, 512, "%s", error.text);
    assert_int_equal (status == STATUS_OK, error.text[0] == '\0');
    return status;
}

static enum status look (struct backup_counts *counts, uint64_t *hash, char why[512])
{
    return look_at (0, WORLD_SHARDS, counts, hash, why);
}

/* Only what one file says: the manifest's (behind the images') stands in front of all. */
static enum status look_at_file (uint32_t file)
{
    return look_at (file, file <= WORLD_SHARDS ? file : 0, NULL, NULL, NULL);
}

static void expect (enum status wanted, const char *words)
{
    char why[512];
    assert_int_equal (look (NULL, NULL, why), wanted);
    if (strstr (why, words) == NULL)
        fail_msg ("\"%s\" does not say \"%s\"", why, words);
}

static void test_backup__comes_back_row_by_row (void **state)
{
    (void) state;
    struct backup_counts counts = {0};
    uint64_t hash = 0;
    assert_int_equal (look (&counts, &hash, NULL), STATUS_OK);
    assert_int_equal (hash, world_hash (w->map.tree, false));
    assert_int_equal (counts.rows, tree_count (w->map.tree));
    assert_int_equal (counts.providers, 1);
    assert_int_equal (counts.offers, 1);
    assert_int_equal (counts.reservations, 2);
    assert_int_equal (counts.orders, 0);
    assert_true (counts.records > 0);
    assert_true (images[WORLD_SHARD].len > 3 * BACKUP_CHUNK_ROWS * 20); /* several chunks */
}

static void each_name (uint32_t file, char name[BACKUP_NAME_BYTES])
{
    snprintf (name, BACKUP_NAME_BYTES, BACKUP_IMAGE_NAME, file);
    if (file > WORLD_SHARDS)
        snprintf (name, BACKUP_NAME_BYTES, BACKUP_MANIFEST_NAME);
}

static void test_backup__every_flipped_byte_is_noticed (void **state)
{
    (void) state;
    char name[BACKUP_NAME_BYTES];
    for (uint32_t file = 0; file <= WORLD_SHARDS + 1; file++) {
        each_name (file, name);
        struct backup_bytes content = backup_file_read (dir, name);
        for (size_t at = 0; at < content.len; at++) {
            content.data[at] ^= (uint8_t) (1u << at % 8);
            backup_file_write (dir, name, content.data, content.len);
            if (look_at_file (file) != STATUS_DATA_LOSS)
                fail_msg ("byte %zu of %s was flipped, and nobody noticed", at, name);
            content.data[at] ^= (uint8_t) (1u << at % 8);
        }
        backup_file_write (dir, name, content.data, content.len);
        backup_bytes_close (&content);
    }
    assert_int_equal (look (NULL, NULL, NULL), STATUS_OK);
}

static void test_backup__every_other_length_is_noticed (void **state)
{
    (void) state;
    char name[BACKUP_NAME_BYTES];
    for (uint32_t file = 0; file <= WORLD_SHARDS + 1; file++) {
        each_name (file, name);
        struct backup_bytes content = backup_file_read (dir, name);
        for (size_t len = 0; len < content.len; len++) {
            backup_file_write (dir, name, content.data, len);
            if (look_at_file (file) != STATUS_DATA_LOSS)
                fail_msg ("%s was cut to %zu bytes, and nobody noticed", name, len);
        }
        backup_bytes_add (&content, "", 1);
        backup_file_write (dir, name, content.data, content.len);
        assert_int_equal (look_at_file (file), STATUS_DATA_LOSS);
        backup_file_write (dir, name, content.data, content.len - 1);
        backup_bytes_close (&content);
    }
    assert_int_equal (look (NULL, NULL, NULL), STATUS_OK);
}

static void test_backup__a_missing_or_exchanged_image_is_noticed (void **state)
{
    (void) state;
    char path[FIXTURE_PATH_MAX + 32];
    snprintf (path, sizeof path, "%s/shard-0003", dir);
    assert_int_equal (unlink (path), 0);
    expect (STATUS_DATA_LOSS, "shard-0003 is missing");
    backup_file_write (dir, "shard-0003", images[2].data, images[2].len);
    expect (STATUS_DATA_LOSS, "shard-0003");
}

static void test_backup__no_backup_and_a_newer_one (void **state)
{
    (void) state;
    struct backup_bytes content = backup_file_read (dir, BACKUP_MANIFEST_NAME);
    content.data[BACKUP_MAGIC_NAME_LEN] = '2';
    backup_file_write (dir, BACKUP_MANIFEST_NAME, content.data, content.len);
    expect (STATUS_DATA_LOSS, "damaged"); /* of that number: it has to be intact to be believed */
    size_t len = content.len - BACKUP_DIGEST_BYTES;
    crypto_generichash (content.data + len, BACKUP_DIGEST_BYTES, content.data, len, NULL, 0);
    backup_file_write (dir, BACKUP_MANIFEST_NAME, content.data, content.len);
    expect (STATUS_UNIMPLEMENTED, "newer");
    backup_bytes_close (&content);
    char path[FIXTURE_PATH_MAX + 32];
    snprintf (path, sizeof path, "%s/" BACKUP_MANIFEST_NAME, dir);
    assert_int_equal (unlink (path), 0);
    expect (STATUS_NOT_FOUND, "no backup");
}

/* ---- with every digest right: what the bytes say is looked at as well */

static void write_with (uint32_t shard, struct backup_bytes image)
{
    backup_bytes_close (&images[shard]);
    images[shard] = image;
    backup_rig_write (&rig);
}

static struct backup_bytes chunk_of (struct store_chunk chunk, const struct backup_bytes *rows)
{
    struct backup_bytes image = {0};
    backup_chunk_add (&image, &chunk, rows);
    return image;
}

static void test_backup__chunks_must_be_the_shards_own_and_whole (void **state)
{
    (void) state;
    static const struct backup_bytes none = {0};
    const struct store_chunk good = {.shard = 2, .index = BACKUP_INDEX + 2, .term = BACKUP_TERM, .last = true};
    struct store_chunk chunk = good;
    write_with (2, chunk_of (chunk, &none));
    assert_int_equal (look (NULL, NULL, NULL), STATUS_OK); /* what is varied below is good */
    chunk.shard = 3;
    write_with (2, chunk_of (chunk, &none));
    expect (STATUS_DATA_LOSS, "of shard 3");
    chunk = good;
    chunk.index++;
    write_with (2, chunk_of (chunk, &none));
    expect (STATUS_DATA_LOSS, "at index 43");
    chunk = good;
    chunk.term++;
    write_with (2, chunk_of (chunk, &none));
    expect (STATUS_DATA_LOSS, "stands where");
    chunk = good;
    chunk.number = 1;
    write_with (2, chunk_of (chunk, &none));
    expect (STATUS_DATA_LOSS, "chunk 1");
    chunk = good;
    chunk.last = false;
    write_with (2, chunk_of (chunk, &none));
    expect (STATUS_DATA_LOSS, "no last chunk");
    struct backup_bytes twice = chunk_of (good, &none);
    chunk = good;
    chunk.number = 1;
    backup_chunk_add (&twice, &chunk, &none);
    write_with (2, twice);
    expect (STATUS_DATA_LOSS, "stands where");
    write_with (2, (struct backup_bytes){0});
    expect (STATUS_DATA_LOSS, "no last chunk");
}

static const struct tree_entry *provider_row (void)
{
    struct key from = key_table (TABLE_PROVIDER);
    struct tree_cursor cursor;
    tree_seek (w->map.tree, key_of (&from), &cursor);
    const struct tree_entry *entry = tree_next (&cursor);
    assert_int_equal (entry->key[0], TABLE_PROVIDER);
    return entry;
}

static void test_backup__rows_must_be_in_order_and_of_a_known_table (void **state)
{
    (void) state;
    static const uint8_t provider[17] = {TABLE_PROVIDER, 1}, other[17] = {TABLE_PROVIDER, 2}, strange[17] = {99};
    const struct store_chunk chunk = {
        .shard = 2, .index = BACKUP_INDEX + 2, .term = BACKUP_TERM, .last = true, .count = 2};
    struct backup_bytes rows = {0};
    backup_row_add (&rows, bytes_of (other, 17), tree_value (provider_row ()));
    backup_row_add (&rows, bytes_of (provider, 17), tree_value (provider_row ()));
    write_with (2, chunk_of (chunk, &rows));
    expect (STATUS_DATA_LOSS, "order");
    rows.len = 0;
    backup_row_add (&rows, bytes_of (provider, 17), tree_value (provider_row ()));
    backup_row_add (&rows, bytes_of (provider, 17), tree_value (provider_row ()));
    write_with (2, chunk_of (chunk, &rows));
    expect (STATUS_DATA_LOSS, "order");
    rows.len = 0;
    backup_row_add (&rows, bytes_of (provider, 17), tree_value (provider_row ()));
    backup_row_add (&rows, bytes_of (strange, 17), BYTES_LITERAL ("x"));
    write_with (2, chunk_of (chunk, &rows));
    expect (STATUS_DATA_LOSS, "no table");
    rows.len = 0;
    backup_row_add (&rows, bytes_of (provider, 16), BYTES_LITERAL ("x"));
    backup_row_add (&rows, bytes_of (other, 17), BYTES_LITERAL ("x"));
    write_with (2, chunk_of (chunk, &rows));
    expect (STATUS_DATA_LOSS, "no table");
    rows.len = 0;
    backup_row_add (&rows, bytes_of (provider, 17), BYTES_LITERAL ("x"));
    backup_row_add (&rows, bytes_of (other, 17), BYTES_LITERAL ("x"));
    write_with (2, chunk_of (chunk, &rows));
    expect (STATUS_DATA_LOSS, "not what its table holds"); /* in order, known, and nonsense */
    backup_bytes_close (&rows);
}

/* Each value cut short or given an end that nothing knows, in turn. */
static void test_backup__every_misshapen_row_is_noticed (void **state)
{
    (void) state;
    size_t count = tree_count (w->map.tree);
    for (size_t bad = 0; bad < 2 * count; bad++) {
        struct state_map part;
        struct tree_cursor cursor;
        const struct tree_entry *entry;
        uint8_t value[STATE_VALUE_BYTES_MAX / 64];
        state_map_init (&part);
        struct state all = state_map_state (&part);
        tree_seek (w->map.tree, bytes_of (NULL, 0), &cursor);
        for (size_t i = 0; (entry = tree_next (&cursor)) != NULL; i++) {
            size_t len = entry->value_len;
            assert_true (len < sizeof value);
            memcpy (value, entry->value, len);
            value[len] = 0;
            if (i == bad / 2)
                len = bad % 2 == 0 || len == 0 ? len + 1 : len - 1;
            state_put (&all, tree_key (entry), bytes_of (value, len));
        }
        write_with (WORLD_SHARD, backup_image_bytes (&part, WORLD_SHARD));
        state_map_close (&part);
        if (look_at_file (WORLD_SHARD) != STATUS_DATA_LOSS)
            fail_msg ("the value of row %zu has another length, and nobody noticed", bad / 2);
    }
}

/* Each row taken away in turn: the books do not come out any more. */
static void test_backup__every_missing_row_is_noticed (void **state)
{
    (void) state;
    size_t count = tree_count (w->map.tree);
    for (size_t skip = 0; skip < count; skip++) {
        struct state_map part;
        struct tree_cursor cursor;
        const struct tree_entry *entry;
        state_map_init (&part);
        struct state all = state_map_state (&part);
        tree_seek (w->map.tree, bytes_of (NULL, 0), &cursor);
        for (size_t i = 0; (entry = tree_next (&cursor)) != NULL; i++) {
            if (i != skip)
                state_put (&all, tree_key (entry), tree_value (entry));
        }
        write_with (WORLD_SHARD, backup_image_bytes (&part, WORLD_SHARD));
        state_map_close (&part);
        if (look_at_file (WORLD_SHARD) != STATUS_DATA_LOSS)
            fail_msg ("row %zu is missing, and nobody noticed", skip);
    }
}

static void test_backup__a_manifest_that_cannot_be_is_refused (void **state)
{
    (void) state;
    uint8_t memory[4096];
    struct arena arena;
    struct backup_manifest manifest;
    struct backup_error error;
    struct backup_image rows[2] = {
        {.shard = 0, .index = 1, .term = 1, .node = 1}, {.shard = 1, .index = 1, .term = 1, .node = 1}};
    static const uint8_t digest[BACKUP_DIGEST_BYTES];
    uint8_t out[1024];
    for (int variant = 0; variant < 6; variant++) {
        struct backup_manifest from = {.shard_count = 1, .nodes = 1, .images = rows, .images_count = 2};
        rows[0].digest = rows[1].digest = bytes_of (digest, sizeof digest);
        rows[0].shard = variant == 1;
        rows[1].shard = variant != 2;
        rows[1].index = variant != 3;
        rows[1].term = variant != 4;
        from.images_count = variant == 5 ? 1 : 2;
        size_t len = 0;
        memcpy (out, BACKUP_MAGIC, BACKUP_MAGIC_LEN);
        assert_int_equal (codec_encode (&backup_manifest_type, &from, out + BACKUP_MAGIC_LEN, 512, &len), STATUS_OK);
        len += BACKUP_MAGIC_LEN;
        crypto_generichash (out + len, BACKUP_DIGEST_BYTES, out, len, NULL, 0);
        arena_init (&arena, memory, sizeof memory);
        enum status status = backup_parse (bytes_of (out, len + BACKUP_DIGEST_BYTES), &arena, &manifest, &error);
        assert_int_equal (status, variant == 0 ? STATUS_OK : STATUS_DATA_LOSS);
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (test_backup__comes_back_row_by_row, setup, teardown),
        cmocka_unit_test_setup_teardown (test_backup__every_flipped_byte_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown (test_backup__every_other_length_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown (test_backup__a_missing_or_exchanged_image_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown (test_backup__no_backup_and_a_newer_one, setup, teardown),
        cmocka_unit_test_setup_teardown (test_backup__chunks_must_be_the_shards_own_and_whole, setup, teardown),
        cmocka_unit_test_setup_teardown (test_backup__rows_must_be_in_order_and_of_a_known_table, setup, teardown),
        cmocka_unit_test_setup_teardown (test_backup__every_misshapen_row_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown (test_backup__every_missing_row_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown (test_backup__a_manifest_that_cannot_be_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
