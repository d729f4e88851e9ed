/* A shard's whole state as bytes: what the disk of a test world holds of it, and what its snapshots carry.
 *
 * Per entry, in key order: key length and value length (4 bytes each), key, value. The same state gives the same bytes.
 * Ownership: a zeroed image is empty; state_image_close frees.
 */
#ifndef MAITRED_TEST_SUPPORT_STATE_IMAGE_H
#define MAITRED_TEST_SUPPORT_STATE_IMAGE_H

#include <stdlib.h>
#include <string.h>

#include "test/support/state_map.h"

struct state_image {
    uint8_t *data;
    size_t len, size;
    uint64_t index, term; /* of the last entry applied in it, where the world keeps them here */
};

static inline void state_image_close (struct state_image *image)
{
    free (image->data);
    *image = (struct state_image){0};
}

static inline void state_image_append (struct state_image *image, const void *data, size_t len)
{
    if (image->len + len > image->size) {
        image->size = 2 * (image->len + len);
        image->data = realloc (image->data, image->size);
        maitre_assert (image->data != NULL);
    }
    if (len > 0)
        memcpy (image->data + image->len, data, len);
    image->len += len;
}

/* The caller closes what this returns. */
static inline struct state_image state_image_of (const struct state_map *map)
{
    struct state_image image = {0};
    struct tree_cursor cursor;
    const struct tree_entry *entry;
    tree_seek (map->tree, bytes_of (NULL, 0), &cursor);
    while ((entry = tree_next (&cursor)) != NULL) {
        uint8_t head[8];
        bytes_put_u32 (head, entry->key_len);
        bytes_put_u32 (head + 4, entry->value_len);
        state_image_append (&image, head, sizeof head);
        state_image_append (&image, entry->key, entry->key_len);
        state_image_append (&image, entry->value, entry->value_len);
    }
    return image;
}

/* Replaces all that the map holds. */
static inline void state_image_load (const struct state_image *image, struct state_map *map)
{
    state_map_close (map);
    state_map_init (map);
    for (size_t at = 0; at < image->len;) {
        maitre_assert (image->len - at >= 8);
        uint32_t key_len = bytes_get_u32 (image->data + at), value_len = bytes_get_u32 (image->data + at + 4);
        maitre_assert (image->len - at - 8 >= (size_t) key_len + value_len);
        const uint8_t *key = image->data + at + 8;
        state_map_put (map, bytes_of (key, key_len), bytes_of (key + key_len, value_len));
        at += 8 + (size_t) key_len + value_len;
    }
}

#endif
