/* What a client does next. All clients of a lane are in one arena, so that they reach for the same few things at once.
 */
#include <stdlib.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/load.h"

#define DEADLINE_MS 2500
#define PINNED_DEADLINE_MS 1200
#define PHASE_NS UINT64_C (500000000)

static struct id fresh_id (struct load_client *client, const struct id *beside)
{
    struct maitre_id parent = load_id_out (beside), id = maitre_id_beside (client->handle, &parent);
    return load_id_in (&id);
}

static bool chance (struct load_client *client, unsigned percent)
{
    return load_draw (client->lane, 100) < percent;
}

/* ---- arenas */

static enum load_workload workload_now (const struct load_client *client)
{
    const struct load *load = client->lane->load;
    uint64_t phase = (history_now_ns () - load->began_ns) / PHASE_NS;
    return load->order[(phase + client->lane->number) % load->workloads_count];
}

/* The lane's arena for the workload; a used up one is replaced as soon as another is ready. */
static struct load_arena *arena_now (struct load_client *client)
{
    struct load_lane *lane = client->lane;
    enum load_workload workload = workload_now (client);
    struct load_arena **arena = &lane->arenas[workload];
    if (*arena == NULL || (*arena)->calls_left == 0) {
        pthread_mutex_lock (&lane->load->handing);
        if (lane->next[workload] != NULL) {
            free (*arena);
            *arena = lane->next[workload];
            lane->next[workload] = NULL;
        }
        pthread_mutex_unlock (&lane->load->handing);
    }
    return *arena;
}

static const struct load_offer *any_offer (struct load_client *client)
{
    return &client->arena->offers[load_draw (client->lane, client->arena->offers_count)];
}

static const struct id *any_customer (struct load_client *client)
{
    return &client->arena->customers[load_draw (client->lane, client->arena->customers_count)].id;
}

/* One of the things that the arena's clients know of, or NULL. */
static const struct load_thing *any_thing (struct load_client *client)
{
    const struct load_arena *arena = client->arena;
    uint32_t kept = arena->things_count < LOAD_THINGS ? arena->things_count : LOAD_THINGS;
    return kept == 0 ? NULL : &arena->things[load_draw (client->lane, kept)];
}

static void set_item (struct load_call *call, const struct load_offer *offer, uint32_t bucket, uint32_t quantity)
{
    call->items[call->items_count++] = (struct load_item){
        .offer = offer->id, .provider = offer->provider, .bucket = bucket, .count = 1, .quantity = quantity};
}

static uint32_t any_bucket (struct load_client *client, const struct load_offer *offer)
{
    return (uint32_t) load_draw (client->lane, offer->last + 1);
}

/* ---- calls */

static void make_book (struct load_client *client, struct load_call *call)
{
    const struct load_offer *offer = any_offer (client);
    call->f = HISTORY_BOOK;
    call->mode = chance (client, 25) ? RESERVE_MODE_HOLD : RESERVE_MODE_BOOK;
    call->entity = fresh_id (client, &offer->id);
    call->customer = *any_customer (client);
    set_item (call, offer, any_bucket (client, offer), 1);
}

static void set_pair (struct load_client *client, struct load_call *call)
{
    const struct load_offer *hotel = &client->arena->offers[load_draw (client->lane, 2)],
                            *band = &client->arena->offers[2 + load_draw (client->lane, 2)];
    uint32_t slot = any_bucket (client, hotel);
    set_item (call, hotel, slot, 1);
    set_item (call, band, slot, 1);
}

static void make_pair (struct load_client *client, struct load_call *call)
{
    call->f = HISTORY_BOOK;
    call->mode = RESERVE_MODE_BOOK;
    call->entity = fresh_id (client, &client->arena->offers[0].id);
    call->customer = *any_customer (client);
    set_pair (client, call);
}

static void make_unique (struct load_client *client, struct load_call *call)
{
    const struct load_offer *offer = any_offer (client);
    call->f = HISTORY_BOOK;
    call->mode = RESERVE_MODE_BOOK;
    call->entity = fresh_id (client, &offer->id);
    call->customer = *any_customer (client);
    set_item (call, offer, client->arena->sequence++, 1);
}

static void make_place (struct load_client *client, struct load_call *call)
{
    uint32_t lines = 1 + (uint32_t) load_draw (client->lane, client->arena->offers_count);
    call->f = HISTORY_ORDER;
    call->entity = fresh_id (client, &client->arena->offers[0].provider);
    call->customer = *any_customer (client);
    for (uint32_t i = 0; i < lines; i++)
        set_item (call, &client->arena->offers[i], 0, 1 + (uint32_t) load_draw (client->lane, 2));
}

static void make_stock (struct load_client *client, struct load_call *call)
{
    call->f = HISTORY_STOCK;
    call->capacity = 2 + (uint32_t) load_draw (client->lane, 10);
    set_item (call, any_offer (client), 0, 1);
}

static void make_check (struct load_client *client, struct load_call *call)
{
    call->f = HISTORY_CHECK;
    if (client->arena->workload == LOAD_PAIRS) {
        set_pair (client, call);
        return;
    }
    const struct load_offer *offer = any_offer (client);
    uint32_t bucket = any_bucket (client, offer);
    set_item (call, offer, bucket, 1);
    if (offer->last > 0 && client->arena->workload != LOAD_SET && chance (client, 50))
        set_item (call, offer, (bucket + 1) % (offer->last + 1), 1);
}

static void make_list (struct load_client *client, struct load_call *call)
{
    call->f = HISTORY_LIST;
    call->customer = *any_customer (client);
}

/* Something with a thing that is known; false: there is none yet. */
static bool on_thing (struct load_client *client, struct load_call *call, enum history_f f)
{
    const struct load_thing *thing = any_thing (client);
    if (thing == NULL)
        return false;
    call->f = f;
    call->entity = thing->id;
    call->of_order = thing->of_order;
    if (f == HISTORY_MOVE && client->arena->workload == LOAD_PAIRS) {
        set_pair (client, call);
    } else if (f == HISTORY_MOVE) {
        const struct load_offer *offer = any_offer (client);
        set_item (call, offer, any_bucket (client, offer), 1);
    }
    return true;
}

/* Events that lead on, mostly; some that the state forbids. */
static bool make_advance (struct load_client *client, struct load_call *call)
{
    static const uint8_t next[13][3] = {{1, 3, 2}, {1, 3, 2}, {4, 3, 4}, {2, 3, 1}, {3, 1, 3}, {1, 1, 1}, {5, 3, 5},
        {6, 7, 6}, {8, 9, 8}, {10, 7, 10}, {10, 8, 10}, {9, 10, 9}, {10, 3, 1}};
    const struct load_thing *thing = any_thing (client);
    if (thing == NULL || !thing->of_order)
        return false;
    call->f = HISTORY_ADVANCE;
    call->entity = thing->id;
    call->event = next[thing->state < 13 ? thing->state : 0][load_draw (client->lane, 3)];
    call->expect = chance (client, 50) ? (uint32_t) thing->version : 0;
    return true;
}

/* ---- workloads */

static bool choose_slots (struct load_client *client, struct load_call *call)
{
    uint64_t dice = load_draw (client->lane, 100);
    if (dice < 40)
        return make_book (client, call), true;
    if (dice < 58)
        return on_thing (client, call, HISTORY_CANCEL);
    if (dice < 70)
        return on_thing (client, call, HISTORY_MOVE);
    if (dice < 75)
        return on_thing (client, call, HISTORY_CONFIRM);
    if (dice < 80)
        return on_thing (client, call, HISTORY_RELEASE);
    if (dice < 90)
        return on_thing (client, call, HISTORY_READ);
    return make_check (client, call), true;
}

static bool choose_pairs (struct load_client *client, struct load_call *call)
{
    uint64_t dice = load_draw (client->lane, 100);
    if (dice < 50)
        return make_pair (client, call), true;
    if (dice < 70)
        return on_thing (client, call, HISTORY_CANCEL);
    if (dice < 78)
        return on_thing (client, call, HISTORY_MOVE);
    if (dice < 85)
        return on_thing (client, call, HISTORY_READ);
    return make_check (client, call), true;
}

static bool choose_orders (struct load_client *client, struct load_call *call)
{
    uint64_t dice = load_draw (client->lane, 100);
    if (dice < 40)
        return make_place (client, call), true;
    if (dice < 75)
        return make_advance (client, call);
    if (dice < 82)
        return make_stock (client, call), true;
    if (dice < 90)
        return on_thing (client, call, HISTORY_READ);
    return make_check (client, call), true;
}

static bool choose_reads (struct load_client *client, struct load_call *call)
{
    uint64_t dice = load_draw (client->lane, 100);
    if (dice < 12)
        return make_book (client, call), true;
    if (dice < 22)
        return on_thing (client, call, HISTORY_MOVE);
    if (dice < 30)
        return on_thing (client, call, HISTORY_CANCEL);
    if (dice < 75)
        return on_thing (client, call, HISTORY_READ);
    if (dice < 90)
        return make_check (client, call), true;
    return make_list (client, call), true;
}

/* Another body under the same request id: it must be refused. */
static void change_body (struct load_client *client, struct load_call *call)
{
    if (call->f != HISTORY_BOOK) {
        call->f = call->f == HISTORY_CANCEL ? HISTORY_RELEASE : HISTORY_CANCEL;
        call->items_count = 0;
    } else if (chance (client, 50)) {
        call->note = (uint8_t) (call->note + 1);
    } else {
        const struct load_offer *offer = &client->arena->offers[0];
        call->items[0].bucket = (call->items[0].bucket + 1) % (offer->last + 1);
        call->entity = fresh_id (client, &offer->id);
    }
}

static bool choose_once (struct load_client *client, struct load_call *call)
{
    struct load_arena *arena = client->arena;
    uint32_t kept = arena->recent_count < LOAD_RECENT ? arena->recent_count : LOAD_RECENT;
    uint64_t dice = load_draw (client->lane, 100);
    if (dice < 60 && kept > 0) {
        *call = arena->recent[load_draw (client->lane, kept)];
        call->node = chance (client, 70) ? 1 + (uint32_t) load_draw (client->lane, client->lane->load->nodes) : 0;
        if (dice < 10)
            change_body (client, call);
        return true;
    }
    if (dice < 63 && kept > 0) {
        const struct load_call *asked = &arena->recent[load_draw (client->lane, kept)];
        call->f = HISTORY_OUTCOME;
        call->of = asked->request;
        call->of_f = asked->f;
        return true;
    }
    if (dice < 67 && kept > 0) { /* the same reservation under another request id: it is there already */
        *call = arena->recent[load_draw (client->lane, kept)];
        memset (&call->request, 0, sizeof call->request);
        return true;
    }
    if (dice < 85)
        return make_book (client, call), true;
    if (dice < 92)
        return on_thing (client, call, HISTORY_CANCEL);
    return on_thing (client, call, HISTORY_READ);
}

static bool choose_set (struct load_client *client, struct load_call *call)
{
    if (chance (client, 92))
        return make_unique (client, call), true;
    return on_thing (client, call, HISTORY_READ);
}

/* What became of a write without answer: asks, or sends it again. */
static bool pay_debt (struct load_client *client, struct load_call *call)
{
    struct load_arena *arena = client->arena;
    if (arena->debts_count == 0 || !chance (client, 30))
        return false;
    uint64_t at = load_draw (client->lane, arena->debts_count);
    struct load_call debt = arena->debts[at];
    arena->debts[at] = arena->debts[--arena->debts_count];
    if (debt.f == HISTORY_OUTCOME || chance (client, 50)) {
        *call = debt;
        return true;
    }
    call->f = HISTORY_OUTCOME;
    call->of = debt.request;
    call->of_f = debt.f;
    call->of_order = debt.f == HISTORY_ORDER || debt.f == HISTORY_ADVANCE;
    return true;
}

bool load_choose (struct load_client *client, struct load_call *call)
{
    static bool (*const workloads[LOAD_WORKLOADS]) (struct load_client *, struct load_call *) = {
        [LOAD_SLOTS] = choose_slots,
        [LOAD_PAIRS] = choose_pairs,
        [LOAD_ORDERS] = choose_orders,
        [LOAD_ONCE] = choose_once,
        [LOAD_SET] = choose_set,
        [LOAD_READS] = choose_reads,
    };
    struct load_arena *arena = arena_now (client);
    client->arena = arena;
    if (arena == NULL || arena->calls_left == 0)
        return false;
    if (!pay_debt (client, call) && !workloads[arena->workload](client, call))
        return false;
    arena->calls_left--;
    client->arena_number = arena->number;
    call->workload = arena->workload;
    if (id_is_zero (&call->request) && load_is_write (call->f))
        call->request = fresh_id (client, &arena->offers[0].id);
    if (call->node == 0 && call->f != HISTORY_LIST && chance (client, 10))
        call->node = 1 + (uint32_t) load_draw (client->lane, client->lane->load->nodes);
    call->deadline_ms = call->node != 0 ? PINNED_DEADLINE_MS : DEADLINE_MS;
    if (arena->workload == LOAD_ONCE && load_is_write (call->f) && call->f != HISTORY_OUTCOME) {
        arena->recent[arena->recent_count++ % LOAD_RECENT] = *call;
        arena->recent[(arena->recent_count - 1) % LOAD_RECENT].node = 0;
    }
    return true;
}

static struct load_thing *thing_of (struct load_arena *arena, const struct id *id)
{
    uint32_t kept = arena->things_count < LOAD_THINGS ? arena->things_count : LOAD_THINGS;
    for (uint32_t i = 0; i < kept; i++)
        if (id_equal (&arena->things[i].id, id))
            return &arena->things[i];
    return NULL;
}

void load_learn (struct load_client *client, const struct load_call *call, const struct load_answer *answer)
{
    struct load_arena *arena = client->lane->arenas[call->workload];
    if (arena == NULL || client->arena_number != arena->number)
        return; /* its arena has been replaced meanwhile */
    bool makes = call->f == HISTORY_BOOK || call->f == HISTORY_ORDER;
    if (answer->end == HISTORY_UNKNOWN && arena->debts_count < LOAD_DEBTS) {
        arena->debts[arena->debts_count] = *call;
        arena->debts[arena->debts_count++].node = 0;
    }
    struct load_thing *thing = thing_of (arena, &call->entity);
    if (thing == NULL && makes && (answer->end == HISTORY_OK || answer->end == HISTORY_UNKNOWN)) {
        thing = &arena->things[arena->things_count++ % LOAD_THINGS];
        *thing = (struct load_thing){
            .id = call->entity, .customer = call->customer, .of_order = call->f == HISTORY_ORDER, .state = 1};
    }
    if (thing != NULL && answer->state != 0 && call->f != HISTORY_OUTCOME) {
        thing->state = answer->state;
        thing->version = answer->version;
    }
}
