#include "node/identity/password_throttle.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"
#include "schemas/runtime/placement_hash.h"

#define LIMIT_MAX 1000000
#define MINUTE_MS 60000
#define NOBODY UINT32_MAX

/* Tokens are counted in 1/60000 of one, so that a rate per minute adds `rate` of them each millisecond, exactly. */
#define TOKEN MINUTE_MS

enum kind { ACCOUNT, ADDRESS };

struct bucket {
    uint64_t name; /* keyed hash of kind and text */
    uint64_t seen_ms;
    uint64_t tokens;
    uint32_t next_in_chain;
    uint32_t newer, older; /* by last use */
    uint8_t kind;
};

struct password_throttle {
    uint32_t burst[2], per_minute[2];
    uint64_t seed;
    uint64_t now_ms;
    uint32_t entries, entries_max;
    uint32_t newest, oldest;
    uint32_t chains_mask;
    uint32_t *chains;
    struct bucket *buckets;
};

static uint32_t or_default (uint32_t value, uint32_t fallback)
{
    return value == 0 ? fallback : value;
}

enum status password_throttle_new (const struct password_throttle_limits *limits, struct password_throttle **throttle)
{
    *throttle = NULL;
    if (limits->account_burst > LIMIT_MAX || limits->account_per_minute > LIMIT_MAX ||
        limits->address_burst > LIMIT_MAX || limits->address_per_minute > LIMIT_MAX || limits->entries_max > LIMIT_MAX)
        return STATUS_INVALID_ARGUMENT;
    struct password_throttle *made = calloc (1, sizeof *made);
    if (made == NULL)
        return STATUS_RESOURCE_EXHAUSTED;
    made->burst[ACCOUNT] = or_default (limits->account_burst, 10);
    made->per_minute[ACCOUNT] = or_default (limits->account_per_minute, 10);
    made->burst[ADDRESS] = or_default (limits->address_burst, 100);
    made->per_minute[ADDRESS] = or_default (limits->address_per_minute, 100);
    made->entries_max = or_default (limits->entries_max, 20000);
    if (made->entries_max < 2)
        made->entries_max = 2; /* one try touches two buckets */
    made->seed = limits->seed;
    made->newest = made->oldest = NOBODY;
    uint32_t chains = 4;
    while (chains < made->entries_max)
        chains *= 2;
    made->chains_mask = chains - 1;
    made->chains = malloc (chains * sizeof *made->chains);
    made->buckets = malloc (made->entries_max * sizeof *made->buckets);
    if (made->chains == NULL || made->buckets == NULL) {
        password_throttle_destroy (&made);
        return STATUS_RESOURCE_EXHAUSTED;
    }
    memset (made->chains, 0xff, chains * sizeof *made->chains);
    *throttle = made;
    return STATUS_OK;
}

void password_throttle_destroy (struct password_throttle **throttle)
{
    if (*throttle == NULL)
        return;
    free ((*throttle)->chains);
    free ((*throttle)->buckets);
    free (*throttle);
    *throttle = NULL;
}

static void unlink_use (struct password_throttle *throttle, uint32_t at)
{
    struct bucket *bucket = &throttle->buckets[at];
    *(bucket->newer == NOBODY ? &throttle->newest : &throttle->buckets[bucket->newer].older) = bucket->older;
    *(bucket->older == NOBODY ? &throttle->oldest : &throttle->buckets[bucket->older].newer) = bucket->newer;
}

static void link_newest (struct password_throttle *throttle, uint32_t at)
{
    struct bucket *bucket = &throttle->buckets[at];
    bucket->newer = NOBODY;
    bucket->older = throttle->newest;
    *(throttle->newest == NOBODY ? &throttle->oldest : &throttle->buckets[throttle->newest].newer) = at;
    throttle->newest = at;
}

static uint32_t find (const struct password_throttle *throttle, enum kind kind, uint64_t name)
{
    uint32_t at = throttle->chains[name & throttle->chains_mask];
    while (at != NOBODY && (throttle->buckets[at].name != name || throttle->buckets[at].kind != kind))
        at = throttle->buckets[at].next_in_chain;
    return at;
}

/* A slot for a new bucket: a fresh one, or that of the bucket used longest ago. */
static uint32_t make_room (struct password_throttle *throttle)
{
    if (throttle->entries < throttle->entries_max)
        return throttle->entries++;
    uint32_t at = throttle->oldest;
    unlink_use (throttle, at);
    uint32_t *link = &throttle->chains[throttle->buckets[at].name & throttle->chains_mask];
    while (*link != at)
        link = &throttle->buckets[*link].next_in_chain;
    *link = throttle->buckets[at].next_in_chain;
    return at;
}

static void refill (const struct password_throttle *throttle, struct bucket *bucket)
{
    uint64_t full = (uint64_t) throttle->burst[bucket->kind] * TOKEN;
    uint64_t rate = throttle->per_minute[bucket->kind];
    uint64_t gone_ms = throttle->now_ms - bucket->seen_ms;
    uint64_t missing = full - bucket->tokens;
    bucket->tokens = gone_ms > missing / rate ? full : bucket->tokens + gone_ms * rate;
    bucket->seen_ms = throttle->now_ms;
}

static uint64_t name_of (const struct password_throttle *throttle, enum kind kind, struct bytes text)
{
    return siphash24 (throttle->seed, (uint64_t) kind, text);
}

/* The bucket of this name, refilled up to now and the newest in use; made full when there was none. */
static struct bucket *touch (struct password_throttle *throttle, enum kind kind, struct bytes text)
{
    uint64_t name = name_of (throttle, kind, text);
    uint32_t at = find (throttle, kind, name);
    if (at == NOBODY) {
        at = make_room (throttle);
        uint32_t *chain = &throttle->chains[name & throttle->chains_mask];
        throttle->buckets[at] = (struct bucket){.name = name,
            .kind = (uint8_t) kind,
            .seen_ms = throttle->now_ms,
            .tokens = (uint64_t) throttle->burst[kind] * TOKEN,
            .next_in_chain = *chain};
        *chain = at;
    } else {
        unlink_use (throttle, at);
        refill (throttle, &throttle->buckets[at]);
    }
    link_newest (throttle, at);
    return &throttle->buckets[at];
}

static uint32_t wait_ms (const struct password_throttle *throttle, const struct bucket *bucket)
{
    if (bucket == NULL || bucket->tokens >= TOKEN)
        return 0;
    uint64_t rate = throttle->per_minute[bucket->kind];
    return (uint32_t) ((TOKEN - bucket->tokens + rate - 1) / rate);
}

enum status password_throttle_try (struct password_throttle *throttle, uint64_t now_ms, struct bytes account,
    struct bytes address, uint32_t *retry_after_ms)
{
    if (now_ms > throttle->now_ms)
        throttle->now_ms = now_ms;
    /* Two touches of a table of at least two: the second cannot evict the first. */
    struct bucket *of_account = touch (throttle, ACCOUNT, account);
    struct bucket *of_address = address.len == 0 ? NULL : touch (throttle, ADDRESS, address);
    uint32_t account_ms = wait_ms (throttle, of_account), address_ms = wait_ms (throttle, of_address);
    *retry_after_ms = account_ms > address_ms ? account_ms : address_ms;
    if (*retry_after_ms > 0)
        return STATUS_RESOURCE_EXHAUSTED;
    of_account->tokens -= TOKEN;
    if (of_address != NULL)
        of_address->tokens -= TOKEN;
    return STATUS_OK;
}

static void give_back (struct password_throttle *throttle, enum kind kind, struct bytes text)
{
    uint32_t at = find (throttle, kind, name_of (throttle, kind, text));
    if (at == NOBODY)
        return;
    struct bucket *bucket = &throttle->buckets[at];
    refill (throttle, bucket);
    uint64_t full = (uint64_t) throttle->burst[kind] * TOKEN;
    bucket->tokens = bucket->tokens + TOKEN > full ? full : bucket->tokens + TOKEN;
}

void password_throttle_succeeded (
    struct password_throttle *throttle, uint64_t now_ms, struct bytes account, struct bytes address)
{
    if (now_ms > throttle->now_ms)
        throttle->now_ms = now_ms;
    give_back (throttle, ACCOUNT, account);
    if (address.len != 0)
        give_back (throttle, ADDRESS, address);
}

uint32_t password_throttle_entries (const struct password_throttle *throttle)
{
    return throttle->entries;
}

void password_throttle_check (const struct password_throttle *throttle)
{
    maitre_assert (throttle->entries <= throttle->entries_max);
    uint32_t seen = 0;
    for (uint32_t at = throttle->newest; at != NOBODY; at = throttle->buckets[at].older) {
        const struct bucket *bucket = &throttle->buckets[at];
        maitre_assert (bucket->tokens <= (uint64_t) throttle->burst[bucket->kind] * TOKEN);
        maitre_assert (bucket->seen_ms <= throttle->now_ms);
        maitre_assert (find (throttle, (enum kind) bucket->kind, bucket->name) == at);
        seen++;
    }
    maitre_assert (seen == throttle->entries);
}
