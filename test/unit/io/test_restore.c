/* A node's folder made from a backup: what is in it, what is not, and what is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "node/engine/engine_restore.h"
#include "node/placement/placement.h"
#include "node/raft/raft.h"
#include "test/support/backup_rig.h"

#define NODES 3

static struct backup_rig rig;
static struct world *const w = &rig.world;
static struct backup_bytes *const images = rig.images;
static char *const dir = rig.dir;
static struct engine_config config; /* large */
static const struct id new_cluster = {.b = {0xc2, 9}};

static void configure (uint32_t node)
{
    config =
        (struct engine_config){.node = node, .shards = WORLD_SHARDS, .replication = 2, .nodes = {.node_count = NODES}};
    config.nodes.cluster = new_cluster;
    for (uint32_t i = 0; i < NODES; i++)
        config.nodes.nodes[i].node = i + 1;
    snprintf (config.data, sizeof config.data, "%s/node-%u", rig.above, node);
    engine_config_defaults (&config);
}

static int setup (void **state)
{
    (void) state;
    backup_rig_init (&rig, false);
    configure (1);
    return 0;
}

static int teardown (void **state)
{
    (void) state;
    backup_rig_close (&rig);
    return 0;
}

static void make (void)
{
    struct engine_restored restored;
    struct engine_error error;
    if (!engine_restore (&config, dir, &restored, &error))
        fail_msg ("%s", error.text);
    assert_true (restored.shards > 0);
}

static void refused (enum engine_exit code, const char *words)
{
    struct engine_restored restored;
    struct engine_error error;
    char left[sizeof config.data + 16];
    assert_false (engine_restore (&config, dir, &restored, &error));
    assert_int_equal (error.exit, code);
    if (strstr (error.text, words) == NULL)
        fail_msg ("\"%s\" does not say \"%s\"", error.text, words);
    snprintf (left, sizeof left, "%s.restoring", config.data);
    assert_int_not_equal (access (left, F_OK), 0);
}

/* ---- what a folder holds */

struct found {
    struct store *store;
    struct store_replica rows[WORLD_SHARDS + 1];
    struct raft_configuration members[WORLD_SHARDS + 1];
    unsigned replicas, entries;
};

static void note_replica (void *argument, const struct store_replica *row)
{
    struct found *found = argument;
    found->replicas++;
    found->rows[row->shard] = *row;
    assert_int_equal (raft_configuration_decode (row->config, &found->members[row->shard]), STATUS_OK);
}

static void note_entry (void *argument, uint32_t shard, uint64_t replica, const struct store_entry *entry)
{
    (void) shard;
    (void) replica;
    (void) entry;
    ((struct found *) argument)->entries++;
}

static void open_folder (struct found *found)
{
    struct store_options options = {.cluster = new_cluster, .node = config.node};
    struct store_recovery visitor = {.argument = found, .replica = note_replica, .entry = note_entry};
    struct store_error error;
    bool created;
    *found = (struct found){.replicas = 0};
    assert_int_equal (store_open (config.data, &options, &found->store, &created, &error), STATUS_OK);
    assert_false (created);
    assert_false (store_suspect (found->store, NULL));
    assert_int_equal (store_log_recover (found->store, &visitor, &error), STATUS_OK);
}

static void read_state (const struct found *found, uint32_t shard, struct state_map *map)
{
    const struct store_replica *row = &found->rows[shard];
    struct store_cursor *cursor;
    struct bytes key, value;
    state_map_init (map);
    struct state state = state_map_state (map);
    assert_int_equal (store_cursor_open (found->store, shard, row->replica, row->generation, (struct bytes){0},
                          (struct bytes){0}, false, &cursor),
        STATUS_OK);
    while (store_cursor_next (cursor, &key, &value) == STATUS_OK)
        state_put (&state, key, value);
    store_cursor_close (&cursor);
}

/* The record in files/map; in shard 0 there must be the same. */
static void read_record (struct found *found, struct placement *record)
{
    static uint8_t memory[8192];
    static struct placement_file file;
    uint8_t *content;
    size_t len;
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    assert_int_equal (store_file_get (found->store, "map", &content, &len), STATUS_OK);
    assert_int_equal (
        codec_decode (&placement_file_type, bytes_of (content, len), CODEC_STRICT, &arena, &file, NULL), STATUS_OK);
    free (content);
    assert_true (file.founded);
    assert_true (placement_valid (&file.placement, WORLD_SHARDS));
    *record = file.placement;
    if (found->rows[0].replica == 0)
        return;
    struct state_map map;
    struct placement stored;
    read_state (found, 0, &map);
    struct state state = state_map_state (&map);
    assert_true (services_placement_load (&state, WORLD_SHARDS, &arena, &stored));
    assert_true (stored.epoch == record->epoch && stored.origin == record->origin &&
                 stored.next_replica == record->next_replica && stored.nodes_count == 0 && !stored.has_running);
    state_map_close (&map);
}

static void test_restore__every_node_has_its_part_of_the_same_cluster (void **state)
{
    (void) state;
    struct placement record[NODES];
    struct raft_configuration members[WORLD_SHARDS + 1];
    unsigned held[WORLD_SHARDS + 1] = {0}, with_rows = 0;
    for (uint32_t node = 1; node <= NODES; node++) {
        struct found found;
        configure (node);
        make ();
        open_folder (&found);
        read_record (&found, &record[node - 1]);
        assert_int_equal (found.entries, 0);
        assert_true (record[node - 1].has_origin && record[node - 1].origin == record[0].origin);
        assert_int_equal (record[node - 1].epoch, PLACEMENT_EPOCH_FIRST + 1);
        for (uint32_t shard = 0; shard <= WORLD_SHARDS; shard++) {
            const struct store_replica *row = &found.rows[shard];
            if (row->replica == 0)
                continue;
            assert_true (row->replica >= record[0].origin && row->replica < record[0].next_replica);
            assert_int_equal (row->term, BACKUP_TERM);
            assert_int_equal (row->vote, 0);
            assert_int_equal (row->compact_index, BACKUP_INDEX + shard);
            assert_int_equal (row->compact_term, BACKUP_TERM);
            assert_int_equal (row->applied_index, BACKUP_INDEX + shard);
            assert_int_equal (row->last_index, BACKUP_INDEX + shard);
            assert_null (row->damage);
            if (held[shard]++ == 0)
                members[shard] = found.members[shard];
            assert_memory_equal (&members[shard], &found.members[shard], sizeof members[shard]);
            struct state_map map;
            read_state (&found, shard, &map);
            with_rows += shard == WORLD_SHARD;
            assert_true (shard != WORLD_SHARD || world_hash (map.tree, false) == world_hash (w->map.tree, false));
            state_map_close (&map);
        }
        store_close (&found.store);
    }
    for (uint32_t shard = 0; shard <= WORLD_SHARDS; shard++)
        assert_int_equal (held[shard], 2); /* replication */
    assert_int_equal (with_rows, 2);
}

static uint64_t origin_of_folder (void)
{
    struct found found;
    struct placement record;
    open_folder (&found);
    read_record (&found, &record);
    store_close (&found.store);
    fixture_remove_tree (config.data);
    return record.origin;
}

static void test_restore__replica_ids_are_of_this_backup_in_this_cluster (void **state)
{
    (void) state;
    make ();
    uint64_t origin = origin_of_folder ();
    make ();
    assert_true (origin_of_folder () == origin); /* the same once more is the same */
    backup_bytes_close (&images[2]);
    images[2] = backup_image_bytes (&w->map, 2);
    backup_rig_write (&rig); /* another backup */
    make ();
    assert_true (origin_of_folder () != origin);
}

static void test_restore__a_record_of_replaced_nodes_goes_on_above_its_epoch (void **state)
{
    (void) state;
    struct state_map map;
    struct found found;
    struct placement record = {.epoch = 17, .next_replica = 5000};
    state_map_init (&map);
    struct state system = state_map_state (&map);
    services_placement_put (&system, &record);
    backup_bytes_close (&images[0]);
    images[0] = backup_image_bytes (&map, 0);
    state_map_close (&map);
    backup_rig_write (&rig);
    for (uint32_t node = 1; node <= NODES; node++) { /* whether it holds shard 0 or not */
        configure (node);
        make ();
        open_folder (&found);
        read_record (&found, &record);
        assert_int_equal (record.epoch, 18);
        assert_true (record.origin > 5000);
        store_close (&found.store);
    }
}

static void test_restore__what_does_not_fit_is_refused_and_leaves_nothing (void **state)
{
    (void) state;
    config.shards = WORLD_SHARDS + 1;
    refused (ENGINE_EXIT_FOLDER, "--shards 4");
    configure (1);
    config.nodes.cluster = rig.cluster;
    refused (ENGINE_EXIT_FOLDER, "that was saved");
    configure (1);
    assert_int_equal (mkdir (config.data, 0700), 0);
    make (); /* an empty one is as good as none */
    refused (ENGINE_EXIT_FOLDER, "not empty");
    configure (2);
    images[3].data[images[3].len - 1] ^= 1;
    char name[BACKUP_NAME_BYTES];
    snprintf (name, sizeof name, BACKUP_IMAGE_NAME, 3u);
    backup_file_write (dir, name, images[3].data, images[3].len);
    for (uint32_t node = 2; node <= NODES; node++) { /* whether it holds that shard or not */
        configure (node);
        refused (ENGINE_EXIT_DAMAGE, name);
        assert_int_not_equal (access (config.data, F_OK), 0);
    }
    char path[FIXTURE_PATH_MAX + 32];
    snprintf (path, sizeof path, "%s/" BACKUP_MANIFEST_NAME, dir);
    assert_int_equal (unlink (path), 0);
    refused (ENGINE_EXIT_CONFIG, "no backup");
}

static void test_restore__what_an_ended_one_left_is_not_taken_for_anything (void **state)
{
    (void) state;
    char left[sizeof config.data + 16];
    struct engine_restored restored;
    struct engine_error error;
    snprintf (left, sizeof left, "%s.restoring", config.data);
    assert_int_equal (mkdir (left, 0700), 0);
    assert_false (engine_restore (&config, dir, &restored, &error));
    assert_int_equal (error.exit, ENGINE_EXIT_FOLDER);
    assert_non_null (strstr (error.text, "remove it"));
    assert_int_equal (rmdir (left), 0); /* it was left alone */
    make ();
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (test_restore__every_node_has_its_part_of_the_same_cluster, setup, teardown),
        cmocka_unit_test_setup_teardown (test_restore__replica_ids_are_of_this_backup_in_this_cluster, setup, teardown),
        cmocka_unit_test_setup_teardown (
            test_restore__a_record_of_replaced_nodes_goes_on_above_its_epoch, setup, teardown),
        cmocka_unit_test_setup_teardown (
            test_restore__what_does_not_fit_is_refused_and_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown (
            test_restore__what_an_ended_one_left_is_not_taken_for_anything, setup, teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
