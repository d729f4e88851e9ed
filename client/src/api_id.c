/* Ids for users of the library.
 */
#include "schemas/runtime/checksum.h"

#include "client/src/client.h"

struct maitre_id maitre_id_provider (struct maitre *client, const char *group)
{
    struct id id = id_make (client_wall_ms (), 0, client_random (client));
    uint32_t hash =
        group != NULL && group[0] != '\0' ? placement_hash_group (bytes_text (group)) : placement_hash_provider (&id);
    id = id_make (id_time_ms (&id), hash, bytes_get_u64 (id.b + 8));
    return client_id_out (&id);
}

struct maitre_id maitre_id_beside (struct maitre *client, const struct maitre_id *parent)
{
    struct id id = id_make (client_wall_ms (), maitre_id_hash (parent), client_random (client));
    return client_id_out (&id);
}

struct maitre_id maitre_id_random (struct maitre *client)
{
    struct id id = id_make (client_wall_ms (), (uint32_t) client_random (client), client_random (client));
    return client_id_out (&id);
}

struct maitre_id maitre_id_derive (uint64_t time_ms, const struct maitre_id *parent, const char *name)
{
    uint64_t sum = checksum64 (0, bytes_text (name));
    uint32_t hash = parent != NULL ? maitre_id_hash (parent) : (uint32_t) checksum64 (1, bytes_text (name));
    struct id id = id_make (time_ms, hash, sum);
    return client_id_out (&id);
}

struct maitre_id maitre_id_derive_provider (uint64_t time_ms, const char *group, const char *name)
{
    struct id id = id_make (time_ms, 0, checksum64 (0, bytes_text (name)));
    uint32_t hash =
        group != NULL && group[0] != '\0' ? placement_hash_group (bytes_text (group)) : placement_hash_provider (&id);
    id = id_make (time_ms, hash, bytes_get_u64 (id.b + 8));
    return client_id_out (&id);
}

bool maitre_id_is_zero (const struct maitre_id *id)
{
    struct id in = client_id_in (id);
    return id_is_zero (&in);
}

bool maitre_id_equal (const struct maitre_id *a, const struct maitre_id *b)
{
    return memcmp (a->b, b->b, sizeof a->b) == 0;
}

void maitre_id_format (const struct maitre_id *id, char text[MAITRE_ID_TEXT_SIZE])
{
    struct id in = client_id_in (id);
    id_format (&in, text);
}

enum maitre_status maitre_id_parse (const char *text, struct maitre_id *id)
{
    struct id out;
    if (text == NULL || id_parse (bytes_text (text), &out) != STATUS_OK)
        return MAITRE_INVALID_ARGUMENT;
    *id = client_id_out (&out);
    return MAITRE_OK;
}

uint32_t maitre_id_hash (const struct maitre_id *id)
{
    struct id in = client_id_in (id);
    return id_hash (&in);
}
