/* Ids of offers and customers to the short names that the history has for them.
 */
#include <stdlib.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/load.h"

static size_t slot_of (const struct load_names *names, const struct id *id)
{
    size_t at = (size_t) bytes_get_u64 (id->b + 8) * 31 + bytes_get_u32 (id->b + 2);
    for (at &= names->size - 1; names->rows[at].name[0] != '\0' && !id_equal (&names->rows[at].id, id);)
        at = (at + 1) & (names->size - 1);
    return at;
}

static void grow (struct load_names *names)
{
    struct load_names old = *names;
    names->size = old.size == 0 ? 1024 : old.size * 2;
    names->rows = calloc (names->size, sizeof *names->rows);
    maitre_assert (names->rows != NULL);
    for (size_t i = 0; i < old.size; i++)
        if (old.rows[i].name[0] != '\0')
            names->rows[slot_of (names, &old.rows[i].id)] = old.rows[i];
    free (old.rows);
}

void load_name (struct load_names *names, const struct id *id, const char *name)
{
    pthread_mutex_lock (&names->lock);
    if (names->count * 2 >= names->size)
        grow (names);
    size_t at = slot_of (names, id);
    names->count += names->rows[at].name[0] == '\0' ? 1 : 0;
    names->rows[at].id = *id;
    snprintf (names->rows[at].name, sizeof names->rows[at].name, "%s", name);
    pthread_mutex_unlock (&names->lock);
}

void load_name_of (struct load_names *names, const struct id *id, char out[LOAD_NAME_MAX + 16])
{
    pthread_mutex_lock (&names->lock);
    size_t at = names->size > 0 ? slot_of (names, id) : 0;
    if (names->size > 0 && names->rows[at].name[0] != '\0')
        snprintf (out, LOAD_NAME_MAX, "%s", names->rows[at].name);
    else
        id_format (id, out);
    pthread_mutex_unlock (&names->lock);
}
