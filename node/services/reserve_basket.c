#include "node/services/reserve.h"

#include "schemas/runtime/assert.h"

_Static_assert(RESERVATION_ITEMS_COUNT_MAX <= 100, "two digits name an item");
_Static_assert(2 * RESERVATION_ITEMS_COUNT_MAX <= COUNTER_DEMANDS_MAX, "each item may draw on a quota");

/* "items[3]" in the arena. */
static const char *item_field (struct service_call *call, size_t i)
{
    maitre_assert (i < RESERVATION_ITEMS_COUNT_MAX);
    char digits[3] = {(char) ('0' + i / 10), (char) ('0' + i % 10), '\0'};
    return service_text (call, "items[", i < 10 ? digits + 1 : digits, "].offer", NULL, NULL, NULL);
}

static void refuse_item (struct service_call *call, enum status status, const char *reason, const char *message,
    const struct reserve_item *item, size_t i, const uint8_t *state)
{
    const char *field = item_field (call, i);
    struct refusal refusal = {
        .has_field = true,
        .field = bytes_text (field),
        .has_offer = true,
        .offer = item->offer,
        .has_state = state != NULL,
        .state = state != NULL ? *state : 0,
    };
    service_refuse (call, status, reason, message, &refusal);
}

/* Only the provider's side may book what needs its approval: there is nobody else to ask. */
static bool may_book (struct service_call *call, const struct offer_head *head)
{
    return !head->approval || service_acts_for_others (call) || service_owns_provider (call, &head->provider);
}

static bool check_item (struct service_call *call, const struct reserve_item *item, size_t i, struct offer_head *head)
{
    if (!service_is_local (call, &item->offer)) {
        refuse_item (call, STATUS_UNIMPLEMENTED, "CROSS_SHARD",
            "the items are on different shards, which is not possible yet; make one reservation per provider", item, i,
            NULL);
        return false;
    }
    if (!offer_open (call, &item->offer, head)) {
        refuse_item (call, STATUS_NOT_FOUND, "NO_OFFER", "there is no such offer; check the id", item, i, NULL);
        return false;
    }
    if (head->state != OFFER_STATE_OPEN) {
        refuse_item (call, STATUS_FAILED_PRECONDITION, "CLOSED",
            "the offer is not open for booking now; choose another, or wait until it opens", item, i, &head->state);
        return false;
    }
    if (!may_book (call, head)) {
        refuse_item (call, STATUS_FAILED_PRECONDITION, "NEEDS_APPROVAL",
            "the provider books this offer itself; ask the provider", item, i, NULL);
        return false;
    }
    maitre_assert (id_equal (&head->offer, &item->offer));
    maitre_assert (head->state == OFFER_STATE_OPEN);
    return true;
}

static bool check_quota (
    struct service_call *call, const struct reserve_item *item, size_t i, const struct offer_head *head)
{
    struct offer_head quota;
    if (id_is_zero (&head->quota))
        return true;
    if (!offer_head_load (call, &head->quota, &quota)) {
        service_damage (call);
        return false;
    }
    maitre_assert (id_equal (&quota.offer, &head->quota));
    if (quota.state == OFFER_STATE_OPEN)
        return true;
    refuse_item (call, STATUS_FAILED_PRECONDITION, "CLOSED",
        "the quota that the offer draws on is not open now; choose another, or wait until it opens", item, i,
        &quota.state);
    return false;
}

/* Adds price x quantity x count: false past 64 bits. */
static bool add_price (struct reserve_basket *basket, size_t i)
{
    const struct reserve_item *item = &basket->items[i];
    uint64_t units = (uint64_t) reserve_item_quantity (item) * reserve_item_count (item);
    maitre_assert (units >= 1);
    maitre_assert (units <= UINT64_C (1000000) * COUNTER_RUN_BUCKETS_MAX);
    uint64_t price = 0;
    basket->prices_minor[i] = basket->heads[i].price_minor;
    return !__builtin_mul_overflow (units, basket->prices_minor[i], &price) &&
           !__builtin_add_overflow (basket->total_minor, price, &basket->total_minor);
}

bool reserve_basket_open (
    struct service_call *call, const struct reserve_item *items, size_t count, struct reserve_basket *basket)
{
    maitre_assert (count >= 1 && count <= RESERVATION_ITEMS_COUNT_MAX);
    basket->items = items;
    basket->count = count;
    basket->total_minor = 0;
    for (size_t i = 0; i < count; i++) {
        struct offer_head *head = &basket->heads[i];
        if (!check_item (call, &items[i], i, head) || !check_quota (call, &items[i], i, head))
            return false;
        if (memcmp (head->currency, basket->heads[0].currency, sizeof head->currency) != 0) {
            refuse_item (call, STATUS_INVALID_ARGUMENT, "CURRENCY_MIXED",
                "the offers have different currencies; make one reservation for each", &items[i], i, NULL);
            return false;
        }
        if (!add_price (basket, i)) {
            refuse_item (call, STATUS_INVALID_ARGUMENT, "TOTAL_TOO_LARGE",
                "the total is larger than can be charged; make several reservations", &items[i], i, NULL);
            return false;
        }
    }
    maitre_assert (!call->answered);
    maitre_assert (basket->count == count);
    return true;
}

/* ---- where would it have fitted? */

struct search {
    struct counter_demand demands[COUNTER_DEMANDS_MAX];
    size_t demands_count;
    struct counter_own own[COUNTER_DEMANDS_MAX];
    size_t own_count;
};

static void demand (struct search *search, const struct offer_head *head, uint32_t quantity)
{
    maitre_assert (quantity >= 1);
    for (size_t i = 0; i < search->demands_count; i++) {
        if (!id_equal (&search->demands[i].head.offer, &head->offer))
            continue;
        search->demands[i].quantity += quantity;
        return;
    }
    maitre_assert (search->demands_count < COUNTER_DEMANDS_MAX);
    search->demands[search->demands_count++] = (struct counter_demand){.head = *head, .quantity = quantity};
}

static bool demand_item (
    struct service_call *call, struct search *search, const struct offer_head *head, uint32_t quantity)
{
    struct offer_head quota;
    demand (search, head, quantity);
    if (id_is_zero (&head->quota))
        return true;
    if (!offer_head_load (call, &head->quota, &quota))
        return false;
    maitre_assert (search->demands_count >= 1);
    demand (search, &quota, quantity);
    return true;
}

/* A reservation that is being moved may stay where it is. */
static bool add_own (struct service_call *call, struct search *search, const struct reservation *own)
{
    for (size_t i = 0; own != NULL && i < own->items_count; i++) {
        const struct reserve_item *item = &own->items[i];
        struct offer_head head;
        if (!offer_head_load (call, &item->offer, &head))
            return false;
        maitre_assert (search->own_count + 2 <= COUNTER_DEMANDS_MAX);
        struct counter_own units = {
            head.offer, (uint32_t) item->first, reserve_item_count (item), reserve_item_quantity (item)};
        search->own[search->own_count++] = units;
        units.offer = head.quota;
        if (!id_is_zero (&head.quota))
            search->own[search->own_count++] = units;
    }
    return true;
}

static bool same_range (const struct reserve_item *a, const struct reserve_item *b)
{
    return a->first == b->first && reserve_item_count (a) == reserve_item_count (b);
}

static bool touches (
    const struct offer_head *head, const struct reserve_item *item, const struct counter_shortage *shortage)
{
    maitre_assert (shortage->verdict == COUNTER_SOLD_OUT);
    return (id_equal (&head->offer, &shortage->offer) || id_equal (&head->quota, &shortage->offer)) &&
           shortage->bucket >= item->first && shortage->bucket - item->first < reserve_item_count (item);
}

/* Items that all ask for the same buckets (the hotel and the band) move together; otherwise those that ask for the
 * bucket that was short do. */
static bool earliest_free (struct service_call *call, const struct reserve_basket *basket,
    const struct counter_shortage *shortage, const struct reservation *own, uint32_t *found)
{
    maitre_assert (basket->count >= 1);
    maitre_assert (shortage->verdict == COUNTER_SOLD_OUT);
    struct search *search = service_zero (call, sizeof *search);
    bool together = true;
    for (size_t i = 1; i < basket->count; i++)
        together = together && same_range (&basket->items[0], &basket->items[i]);
    const struct reserve_item *first = together ? &basket->items[0] : NULL;
    for (size_t i = 0; i < basket->count; i++) {
        const struct reserve_item *item = &basket->items[i];
        if (!together && !touches (&basket->heads[i], item, shortage))
            continue;
        if (first == NULL)
            first = item;
        if (!demand_item (call, search, &basket->heads[i], reserve_item_quantity (item)))
            return false;
    }
    if (first == NULL || !add_own (call, search, own))
        return false;
    maitre_assert (search->demands_count >= 1);
    maitre_assert (search->own_count <= COUNTER_DEMANDS_MAX);
    return counter_search (call, search->demands, search->demands_count, search->own, search->own_count, 0,
        reserve_item_count (first), found);
}

bool reserve_basket_take (struct service_call *call, const struct reserve_basket *basket, struct counter_plan *plan,
    enum reserve_state state, const struct reservation *own)
{
    maitre_assert (state == RESERVE_STATE_HELD || state == RESERVE_STATE_CONFIRMED);
    maitre_assert (own == NULL || own->state == state);
    bool held = state == RESERVE_STATE_HELD;
    for (size_t i = 0; i < basket->count && !(PLANTED (HALF_A_BASKET) && i > 0); i++) {
        const struct reserve_item *item = &basket->items[i];
        int32_t units = (int32_t) reserve_item_quantity (item);
        maitre_assert (units >= 1);
        counter_plan_add (
            plan, &basket->heads[i], item->first, reserve_item_count (item), held ? units : 0, held ? 0 : units);
    }
    struct counter_shortage shortage;
    if (call->damaged || counter_plan_check (plan, &shortage) == COUNTER_FITS)
        return !call->damaged;
    maitre_assert (shortage.verdict != COUNTER_FITS);
    uint32_t found = 0;
    bool elsewhere =
        shortage.verdict == COUNTER_SOLD_OUT && earliest_free (call, basket, &shortage, own, &found) && !call->damaged;
    counter_refuse (call, &shortage, elsewhere ? &found : NULL);
    return false;
}
