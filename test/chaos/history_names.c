/* Texts to small numbers: an open hash table over the texts.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/history.h"

static uint64_t hash_of (struct bytes text)
{
    uint64_t hash = UINT64_C (0xcbf29ce484222325);
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ text.data[i]) * UINT64_C (0x100000001b3);
    return hash ^ (hash >> 29);
}

/* Each text stands behind its length. */
static struct bytes text_of (const struct history_names *names, uint32_t number)
{
    uint32_t len;
    memcpy (&len, names->texts[number] - sizeof len, sizeof len);
    return bytes_of ((const uint8_t *) names->texts[number], len);
}

static uint32_t *slot_of (const struct history_names *names, struct bytes text)
{
    uint32_t at = (uint32_t) hash_of (text) & (names->slots_count - 1);
    while (names->slots[at] != HISTORY_NONE && !bytes_equal (text_of (names, names->slots[at]), text))
        at = (at + 1) & (names->slots_count - 1);
    return &names->slots[at];
}

static void grow (struct history_names *names)
{
    names->room = names->room == 0 ? 64 : names->room * 2;
    names->texts = realloc (names->texts, names->room * sizeof *names->texts);
    free (names->slots);
    names->slots_count = names->room * 2;
    names->slots = malloc (names->slots_count * sizeof *names->slots);
    maitre_assert (names->texts != NULL && names->slots != NULL);
    memset (names->slots, 0xff, names->slots_count * sizeof *names->slots);
    for (uint32_t i = 0; i < names->count; i++)
        *slot_of (names, text_of (names, i)) = i;
}

uint32_t history_name_find (const struct history_names *names, struct bytes text)
{
    return names->count == 0 ? HISTORY_NONE : *slot_of (names, text);
}

uint32_t history_name (struct history_names *names, struct bytes text)
{
    if (names->count == names->room)
        grow (names);
    uint32_t *slot = slot_of (names, text);
    if (*slot != HISTORY_NONE)
        return *slot;
    uint32_t len = (uint32_t) text.len;
    char *copy = malloc (sizeof len + text.len + 1);
    maitre_assert (copy != NULL);
    memcpy (copy, &len, sizeof len);
    if (text.len > 0)
        memcpy (copy + sizeof len, text.data, text.len);
    copy[sizeof len + text.len] = '\0';
    names->texts[names->count] = copy + sizeof len;
    *slot = names->count;
    return names->count++;
}

void history_names_close (struct history_names *names)
{
    for (uint32_t i = 0; i < names->count; i++)
        free (names->texts[i] - sizeof (uint32_t));
    free (names->texts);
    free (names->slots);
    *names = (struct history_names){0};
}
