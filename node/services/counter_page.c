#include "node/services/counter_page.h"

#include "schemas/runtime/assert.h"

_Static_assert(COUNTER_PAGE_BYTES_MAX <= STATE_VALUE_BYTES_MAX, "a page is a value of the state");
_Static_assert(COUNTER_PAGE_HEAD_BYTES + COUNTER_PAGE_BUCKETS * 12 == COUNTER_PAGE_BYTES_MAX, "the fullest page");
_Static_assert(
    COUNTER_PAGE_BUCKETS == 8 * sizeof ((struct counter_page *) NULL)->mask, "a bit of the mask for each bucket");

bool counter_page_parse (struct bytes stored, struct counter_page *page)
{
    struct counter_view view;
    memset (page, 0, sizeof *page);
    if (!counter_view_open (stored, &view))
        return false;
    page->mask = view.mask;
    for (unsigned i = 0; i < view.n; i++) {
        page->held[i] = bytes_get_u32 (view.units + i * 8);
        page->confirmed[i] = bytes_get_u32 (view.units + i * 8 + 4);
    }
    const uint8_t *capacity = view.capacities;
    for (unsigned i = 0; i < COUNTER_PAGE_BUCKETS; i++) {
        if ((view.mask >> i & 1) == 0)
            continue;
        page->capacity[i] = bytes_get_u32 (capacity);
        capacity += 4;
    }
    maitre_assert (capacity == stored.data + stored.len);
    return true;
}

static size_t page_pack (const struct counter_page *page, uint8_t out[COUNTER_PAGE_BYTES_MAX])
{
    unsigned n = COUNTER_PAGE_BUCKETS;
    while (n > 0 && page->held[n - 1] == 0 && page->confirmed[n - 1] == 0)
        n--;
    out[0] = (uint8_t) n;
    bytes_put_u32 (out + 1, page->mask);
    uint8_t *at = out + COUNTER_PAGE_HEAD_BYTES;
    for (unsigned i = 0; i < n; i++, at += 8) {
        bytes_put_u32 (at, page->held[i]);
        bytes_put_u32 (at + 4, page->confirmed[i]);
    }
    for (unsigned i = 0; i < COUNTER_PAGE_BUCKETS; i++) {
        if ((page->mask >> i & 1) == 0)
            continue;
        bytes_put_u32 (at, page->capacity[i]);
        at += 4;
    }
    maitre_assert (
        (size_t) (at - out) == COUNTER_PAGE_HEAD_BYTES + n * 8 + 4 * (size_t) __builtin_popcount (page->mask));
    maitre_assert (n == 0 || page->held[n - 1] != 0 || page->confirmed[n - 1] != 0);
    return (size_t) (at - out);
}

static struct key page_key (const struct id *offer, uint32_t number)
{
    struct key key = key_entity (TABLE_COUNTER, offer);
    key_u32 (&key, number);
    maitre_assert (counter_page_number (key_of (&key)) == number);
    return key;
}

void counter_page_load (struct service_call *call, const struct id *offer, uint32_t number, struct counter_page *page)
{
    maitre_assert (number <= UINT32_MAX / COUNTER_PAGE_BUCKETS);
    struct key key = page_key (offer, number);
    struct bytes stored;
    if (!state_get (call->state, key_of (&key), &stored)) {
        memset (page, 0, sizeof *page);
    } else if (!counter_page_parse (stored, page)) {
        memset (page, 0, sizeof *page);
        service_damage (call);
    }
}

void counter_page_store (
    struct service_call *call, const struct id *offer, uint32_t number, const struct counter_page *page)
{
    maitre_assert (number <= UINT32_MAX / COUNTER_PAGE_BUCKETS);
    uint8_t packed[COUNTER_PAGE_BYTES_MAX];
    size_t len = page_pack (page, packed);
    maitre_assert (len >= COUNTER_PAGE_HEAD_BYTES);
    maitre_assert (len <= COUNTER_PAGE_BYTES_MAX);
    maitre_assert (call->index > 0);
    struct key key = page_key (offer, number);
    if (packed[0] == 0 && page->mask == 0)
        service_remove (call, &key);
    else
        state_put (call->state, key_of (&key), bytes_of (packed, len));
}

void counter_page_range (const struct id *offer, uint32_t from, uint32_t to, struct key *start, struct key *end)
{
    maitre_assert (from <= to);
    *start = page_key (offer, from);
    *end = page_key (offer, to);
    key_after_prefix (end);
}
