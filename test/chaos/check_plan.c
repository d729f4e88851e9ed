/* What an operation takes and gives back, summed per counter and per customer before it is judged.
 */
#include "schemas/runtime/assert.h"
#include "test/chaos/check.h"

void check_plan_open (struct check_plan *plan, uint32_t customer)
{
    plan->demands_count = plan->uses_count = 0;
    plan->customer = customer;
}

uint32_t check_basket_size (const struct history *history, uint32_t basket)
{
    uint32_t end =
        basket + 1 < history->baskets.count ? history->basket_at[basket + 1] : (uint32_t) history->items_count;
    return end - history->basket_at[basket];
}

static struct check_demand *demand_of (
    struct check_world *world, struct check_plan *plan, uint32_t offer, uint32_t bucket)
{
    for (size_t i = 0; i < plan->demands_count; i++)
        if (plan->demands[i].offer == offer && plan->demands[i].bucket == bucket)
            return &plan->demands[i];
    maitre_assert (plan->demands_count < CHECK_PLAN_MAX);
    plan->demands[plan->demands_count] = (struct check_demand){
        .cell = check_cell_find (world, CELL_COUNTER, offer, bucket), .offer = offer, .bucket = bucket};
    return &plan->demands[plan->demands_count++];
}

static struct check_use *use_of (struct check_world *world, struct check_plan *plan, uint32_t offer)
{
    for (size_t i = 0; i < plan->uses_count; i++)
        if (plan->uses[i].offer == offer)
            return &plan->uses[i];
    maitre_assert (plan->uses_count < sizeof plan->uses / sizeof plan->uses[0]);
    uint32_t cell = HISTORY_NONE;
    if (world->history->offers[offer].limit > 0)
        cell = check_cell_find (world, CELL_USAGE, offer, plan->customer);
    plan->uses[plan->uses_count] = (struct check_use){.cell = cell, .offer = offer};
    return &plan->uses[plan->uses_count++];
}

void check_plan_add (struct check_world *world, struct check_plan *plan, uint32_t basket, bool held, int sign)
{
    const struct history *history = world->history;
    const struct history_item *items = history->items + history->basket_at[basket];
    for (uint32_t i = 0; i < check_basket_size (history, basket); i++) {
        int64_t units = (int64_t) items[i].quantity * sign;
        for (uint32_t n = 0; n < items[i].count; n++) {
            struct check_demand *demand = demand_of (world, plan, items[i].offer, items[i].first + n);
            demand->held += held ? units : 0;
            demand->confirmed += held ? 0 : units;
            demand->given -= units < 0 ? units : 0;
        }
        struct check_use *use = use_of (world, plan, items[i].offer);
        use->units += units * items[i].count;
        use->given -= units < 0 ? units * items[i].count : 0;
    }
}

static uint64_t judge_limits (struct check_world *world, const struct check_plan *plan)
{
    for (size_t i = 0; i < plan->uses_count; i++) {
        const struct check_use *use = &plan->uses[i];
        if (use->cell == HISTORY_NONE || use->units <= 0 || world->without_limits)
            continue;
        int64_t limit = world->history->offers[use->offer].limit, used = (int64_t) world->cells[use->cell];
        if (used + use->units <= limit)
            continue;
        int64_t left = limit - used + use->given;
        left = left > 0 ? left : 0;
        return HISTORY_RESULT (CODE_USER_LIMIT, 0, (uint64_t) (use->offer & 0xffff) << 24 | (left & 0xffffff));
    }
    return 0;
}

static int64_t taken (uint64_t counter)
{
    return (int64_t) ((counter >> 20 & CHECK_UNITS_MAX) + (counter & CHECK_UNITS_MAX));
}

/* Offers in the order of their first demand, the lowest bucket first. */
static uint64_t judge_stock (struct check_world *world, const struct check_plan *plan)
{
    for (size_t i = 0; i < plan->uses_count; i++) {
        const struct check_demand *lowest = NULL;
        for (size_t k = 0; k < plan->demands_count; k++) {
            const struct check_demand *demand = &plan->demands[k];
            int64_t more = demand->held + demand->confirmed;
            if (demand->offer != plan->uses[i].offer || more <= 0)
                continue;
            uint64_t counter = world->cells[demand->cell];
            if (taken (counter) + more > (int64_t) (counter >> 40) &&
                (lowest == NULL || demand->bucket < lowest->bucket))
                lowest = demand;
        }
        if (lowest == NULL)
            continue;
        uint64_t counter = world->cells[lowest->cell];
        int64_t left = (int64_t) (counter >> 40) - taken (counter) + lowest->given;
        left = left > 0 ? left : 0;
        return HISTORY_RESULT (
            CODE_SOLD_OUT, lowest->bucket, (uint64_t) (lowest->offer & 0xffff) << 24 | (left & 0xffffff));
    }
    return 0;
}

uint64_t check_plan_judge (struct check_world *world, const struct check_plan *plan)
{
    for (size_t i = 0; i < plan->demands_count; i++) {
        const struct check_demand *demand = &plan->demands[i];
        const struct history_offer *offer = &world->history->offers[demand->offer];
        if (demand->bucket < offer->first || demand->bucket > offer->last)
            return HISTORY_RESULT (CODE_OUT_OF_RANGE, 0, 0);
    }
    uint64_t refusal = judge_limits (world, plan);
    return refusal != 0 ? refusal : judge_stock (world, plan);
}

void check_plan_commit (struct check_world *world, const struct check_plan *plan)
{
    for (size_t i = 0; i < plan->demands_count; i++) {
        const struct check_demand *demand = &plan->demands[i];
        uint64_t counter = world->cells[demand->cell];
        int64_t confirmed = (int64_t) (counter >> 20 & CHECK_UNITS_MAX) + demand->confirmed;
        int64_t held = (int64_t) (counter & CHECK_UNITS_MAX) + demand->held;
        maitre_assert (confirmed >= 0 && held >= 0 && confirmed <= CHECK_UNITS_MAX && held <= CHECK_UNITS_MAX);
        check_cell_set (world, demand->cell, CHECK_COUNTER (counter >> 40, confirmed, held));
    }
    for (size_t i = 0; i < plan->uses_count; i++) {
        const struct check_use *use = &plan->uses[i];
        if (use->cell == HISTORY_NONE)
            continue;
        maitre_assert ((int64_t) world->cells[use->cell] + use->units >= 0);
        check_cell_set (world, use->cell, (uint64_t) ((int64_t) world->cells[use->cell] + use->units));
    }
}
