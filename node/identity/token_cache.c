#include "node/identity/token_cache.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"

#define NOBODY UINT32_MAX

struct entry {
    uint8_t hash[TOKEN_CACHE_HASH_BYTES];
    struct identity_claims claims;
    uint32_t next_in_chain;
    uint32_t newer, older;
};

struct token_cache {
    uint32_t entries, entries_max;
    uint32_t newest, oldest;
    uint32_t chains_mask;
    uint32_t *chains;
    struct entry *table;
};

struct token_cache *token_cache_new (uint32_t entries_max)
{
    maitre_assert (entries_max > 0);
    struct token_cache *cache = calloc (1, sizeof *cache);
    if (cache == NULL)
        return NULL;
    uint32_t chains = 4;
    while (chains < entries_max)
        chains *= 2;
    cache->entries_max = entries_max;
    cache->newest = cache->oldest = NOBODY;
    cache->chains_mask = chains - 1;
    cache->chains = malloc (chains * sizeof *cache->chains);
    cache->table = malloc (entries_max * sizeof *cache->table);
    if (cache->chains == NULL || cache->table == NULL) {
        token_cache_destroy (&cache);
        return NULL;
    }
    memset (cache->chains, 0xff, chains * sizeof *cache->chains);
    return cache;
}

void token_cache_destroy (struct token_cache **cache)
{
    if (*cache == NULL)
        return;
    free ((*cache)->chains);
    free ((*cache)->table);
    free (*cache);
    *cache = NULL;
}

/* The hash is BLAKE2b's: any of its words spreads evenly. */
static uint32_t *chain_of (const struct token_cache *cache, const uint8_t *hash)
{
    return &cache->chains[bytes_get_u32 (hash) & cache->chains_mask];
}

static uint32_t find (const struct token_cache *cache, const uint8_t *hash)
{
    uint32_t at = *chain_of (cache, hash);
    while (at != NOBODY && memcmp (cache->table[at].hash, hash, TOKEN_CACHE_HASH_BYTES) != 0)
        at = cache->table[at].next_in_chain;
    return at;
}

static void unlink_use (struct token_cache *cache, uint32_t at)
{
    struct entry *entry = &cache->table[at];
    *(entry->newer == NOBODY ? &cache->newest : &cache->table[entry->newer].older) = entry->older;
    *(entry->older == NOBODY ? &cache->oldest : &cache->table[entry->older].newer) = entry->newer;
}

static void link_newest (struct token_cache *cache, uint32_t at)
{
    struct entry *entry = &cache->table[at];
    entry->newer = NOBODY;
    entry->older = cache->newest;
    *(cache->newest == NOBODY ? &cache->oldest : &cache->table[cache->newest].newer) = at;
    cache->newest = at;
}

const struct identity_claims *token_cache_get (struct token_cache *cache, const uint8_t hash[TOKEN_CACHE_HASH_BYTES])
{
    uint32_t at = find (cache, hash);
    if (at == NOBODY)
        return NULL;
    if (cache->newest != at) {
        unlink_use (cache, at);
        link_newest (cache, at);
    }
    return &cache->table[at].claims;
}

void token_cache_put (
    struct token_cache *cache, const uint8_t hash[TOKEN_CACHE_HASH_BYTES], const struct identity_claims *claims)
{
    maitre_assert (find (cache, hash) == NOBODY);
    uint32_t at = cache->entries;
    if (cache->entries < cache->entries_max) {
        cache->entries++;
    } else {
        at = cache->oldest;
        unlink_use (cache, at);
        uint32_t *link = chain_of (cache, cache->table[at].hash);
        while (*link != at)
            link = &cache->table[*link].next_in_chain;
        *link = cache->table[at].next_in_chain;
    }
    struct entry *entry = &cache->table[at];
    memcpy (entry->hash, hash, TOKEN_CACHE_HASH_BYTES);
    entry->claims = *claims;
    uint32_t *chain = chain_of (cache, hash);
    entry->next_in_chain = *chain;
    *chain = at;
    link_newest (cache, at);
}

uint32_t token_cache_entries (const struct token_cache *cache)
{
    return cache->entries;
}

void token_cache_check (const struct token_cache *cache)
{
    uint32_t seen = 0;
    for (uint32_t at = cache->newest; at != NOBODY; at = cache->table[at].older) {
        maitre_assert (find (cache, cache->table[at].hash) == at);
        seen++;
    }
    maitre_assert (seen == cache->entries);
    maitre_assert (cache->entries <= cache->entries_max);
}
