/* What the tests of backups share: a world of services with bookings, its images, and a folder with a backup of them.
 *
 * Ownership: one rig a test program (`rig`), made anew for each test. Chunks are small, so that an image has several.
 */
#ifndef MAITRED_TEST_SUPPORT_BACKUP_RIG_H
#define MAITRED_TEST_SUPPORT_BACKUP_RIG_H

#include "test/support/backup_fixture.h"
#include "test/support/services_world.h"
#include "test/support/store_fixture.h"

struct backup_rig {
    struct world world;
    struct id cluster;
    char above[FIXTURE_PATH_MAX], dir[FIXTURE_PATH_MAX]; /* `dir`, the backup, is in `above` */
    struct backup_bytes images[WORLD_SHARDS + 1];
};

/* The images as they are now, with a manifest that fits them. */
static inline void backup_rig_write (const struct backup_rig *rig)
{
    backup_write (rig->dir, &rig->cluster, rig->images, WORLD_SHARDS);
}

/* One booking of one unit, and where it says so a hold of two. */
static inline void backup_rig_init (struct backup_rig *rig, bool with_hold)
{
    rig->cluster = (struct id){.b = {0xc1, 2, 3}};
    world_init (&rig->world);
    struct id provider = world_provider (&rig->world);
    struct id offer = world_offer (&rig->world, &provider, 10);
    struct principal alice = world_principal (100, ROLE_CUSTOMER);
    if (with_hold)
        world_take (&rig->world, &alice, RESERVE_MODE_HOLD, &offer, 5, 2);
    world_take (&rig->world, &alice, RESERVE_MODE_BOOK, &offer, 40, 1);
    for (uint32_t shard = 0; shard <= WORLD_SHARDS; shard++)
        rig->images[shard] = backup_image_bytes (shard == WORLD_SHARD ? &rig->world.map : NULL, shard);
    fixture_dir (rig->dir);
    snprintf (rig->above, sizeof rig->above, "%s", rig->dir);
    *strrchr (rig->above, '/') = '\0';
    backup_rig_write (rig);
}

static inline void backup_rig_close (struct backup_rig *rig)
{
    for (uint32_t shard = 0; shard <= WORLD_SHARDS; shard++)
        backup_bytes_close (&rig->images[shard]);
    world_close (&rig->world);
    fixture_remove_tree (rig->above);
}

#endif
