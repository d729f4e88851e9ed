#include "node/services/hold.h"

#include "node/services/counter.h"
#include "node/services/reserve.h"
#include "node/services/sessions.h"
#include "schemas/runtime/assert.h"

_Static_assert(
    HOLD_EXPIRE_ROWS_MAX *ID_SIZE <= SERVICES_ARENA_BYTES_MIN / 2, "the rows of one entry leave room to expire them");

/* ---- the two indexes */

static struct key due_key (uint64_t expires_ms, const struct id *reservation)
{
    struct key key = key_table (TABLE_HOLD_DUE);
    key_u64 (&key, expires_ms);
    key_id (&key, reservation);
    maitre_assert (key.len == 1 + 8 + ID_SIZE);
    return key;
}

static struct key counter_key (const struct id *offer, uint64_t expires_ms, const struct id *reservation)
{
    struct key key = key_entity (TABLE_COUNTER_HOLD, offer);
    key_u64 (&key, expires_ms);
    key_id (&key, reservation);
    maitre_assert (key.len == 1 + ID_SIZE + 8 + ID_SIZE);
    return key;
}

/* Calls `row` with every row of a held reservation, those of one counter perhaps more than once. */
static void each_row (struct service_call *call, const struct reservation *reservation,
    void (*row) (struct service_call *call, void *argument, const struct key *key), void *argument)
{
    maitre_assert (reservation->items_count >= 1);
    maitre_assert (reservation->items_count <= RESERVATION_ITEMS_COUNT_MAX);
    struct key key = due_key (reservation->hold_expires_ms, &reservation->reservation);
    row (call, argument, &key);
    for (size_t i = 0; i < reservation->items_count; i++) {
        struct offer_head head;
        if (!offer_head_load (call, &reservation->items[i].offer, &head)) {
            service_damage (call);
            return;
        }
        key = counter_key (&head.offer, reservation->hold_expires_ms, &reservation->reservation);
        row (call, argument, &key);
        if (id_is_zero (&head.quota))
            continue;
        key = counter_key (&head.quota, reservation->hold_expires_ms, &reservation->reservation);
        row (call, argument, &key);
    }
}

static void row_mark (struct service_call *call, void *argument, const struct key *key)
{
    (void) argument;
    service_mark (call, key);
}

static void row_remove (struct service_call *call, void *argument, const struct key *key)
{
    (void) argument;
    service_remove (call, key);
}

static void row_recount (struct service_call *call, void *argument, const struct key *key)
{
    (void) call;
    recount_index (argument, key);
}

static bool first_visit (void *argument, struct bytes key, struct bytes value)
{
    (void) value;
    if (key.len == 1 + 8 + ID_SIZE)
        *(uint64_t *) argument = bytes_get_u64 (key.data + 1);
    return false;
}

uint64_t hold_first_due (struct state *state)
{
    uint64_t first = UINT64_MAX;
    struct key from = key_table (TABLE_HOLD_DUE), to = from;
    key_after_prefix (&to);
    maitre_assert (bytes_compare (key_of (&from), key_of (&to)) < 0);
    state_scan (state, key_of (&from), key_of (&to), false, first_visit, &first);
    return first;
}

void hold_add (struct service_call *call, const struct reservation *reservation)
{
    maitre_assert (reservation->state == RESERVE_STATE_HELD);
    each_row (call, reservation, row_mark, NULL);
    if (reservation->hold_expires_ms < call->meta->next_deadline_ms)
        call->meta->next_deadline_ms = reservation->hold_expires_ms;
    maitre_assert (call->meta->next_deadline_ms <= reservation->hold_expires_ms);
}

void hold_remove (struct service_call *call, const struct reservation *reservation)
{
    maitre_assert (reservation->state == RESERVE_STATE_HELD);
    each_row (call, reservation, row_remove, NULL);
    if (reservation->hold_expires_ms == call->meta->next_deadline_ms)
        call->meta->next_deadline_ms = hold_first_due (call->state);
}

void hold_recount (struct service_call *call, const struct reservation *reservation, struct recount *recount)
{
    each_row (call, reservation, row_recount, recount);
}

/* ---- expiry */

void hold_expire (struct service_call *call, struct reservation *reservation)
{
    maitre_assert (reservation->state == RESERVE_STATE_HELD);
    static const struct id nobody = {0};
    struct counter_plan *plan = counter_plan_new (call, &reservation->customer);
    if (!reserve_plan_items (call, plan, reservation, -1))
        return;
    counter_plan_commit (plan);
    if (PLANTED (HOLD_EXPIRES_TWICE))
        counter_plan_commit (plan);
    hold_remove (call, reservation);
    reserve_enter (call, reservation, RESERVE_STATE_EXPIRED, &nobody);
    reserve_store (call, reservation);
    maitre_assert (reservation->state == RESERVE_STATE_EXPIRED);
}

struct due {
    struct id *ids;
    size_t count, max;
    bool damaged;
};

static bool due_visit (void *argument, struct bytes key, struct bytes value)
{
    (void) value;
    struct due *due = argument;
    if (key.len < 1 + 8 + ID_SIZE) {
        due->damaged = true;
        return false;
    }
    maitre_assert (due->count < due->max);
    memcpy (due->ids[due->count++].b, key.data + key.len - ID_SIZE, ID_SIZE);
    return due->count < due->max;
}

static size_t pages_of (const struct reservation *reservation)
{
    size_t pages = 0;
    for (size_t i = 0; i < reservation->items_count; i++)
        pages += reserve_item_count (&reservation->items[i]) / COUNTER_PAGE_BUCKETS + 2;
    maitre_assert (pages >= 2 * reservation->items_count);
    return pages;
}

/* Expires the holds of the rows in [from, to). */
static void expire_rows (struct service_call *call, const struct key *from, const struct key *to)
{
    maitre_assert (bytes_compare (key_of (from), key_of (to)) < 0);
    size_t mark = call->arena->used;
    struct due due = {.max = HOLD_EXPIRE_ROWS_MAX};
    due.ids = service_alloc (call, due.max * sizeof *due.ids);
    state_scan (call->state, key_of (from), key_of (to), false, due_visit, &due);
    if (due.damaged)
        service_damage (call);
    maitre_assert (due.count <= HOLD_EXPIRE_ROWS_MAX);
    size_t pages = 0;
    for (size_t i = 0; i < due.count && pages < HOLD_EXPIRE_PAGES_MAX && !call->damaged; i++) {
        size_t row_mark_used = call->arena->used;
        struct reservation reservation;
        if (!reserve_load (call, &due.ids[i], &reservation) || reservation.state != RESERVE_STATE_HELD) {
            service_damage (call);
            break;
        }
        pages += pages_of (&reservation);
        hold_expire (call, &reservation);
        maitre_assert (call->damaged || reservation.state == RESERVE_STATE_EXPIRED);
        maitre_assert (row_mark_used <= call->arena->used);
        call->arena->used = row_mark_used;
    }
    call->arena->used = mark;
}

void hold_expire_shard (struct service_call *call, uint64_t cut_ms)
{
    maitre_assert (cut_ms <= call->time_ms);
    struct key from = key_table (TABLE_HOLD_DUE), to = from;
    key_u64 (&to, cut_ms);
    key_after_prefix (&to);
    expire_rows (call, &from, &to);
}

void hold_expire_counter (struct service_call *call, const struct id *offer)
{
    maitre_assert (call->index > 0);
    struct key from = key_entity (TABLE_COUNTER_HOLD, offer), to = from;
    key_u64 (&to, call->time_ms);
    key_after_prefix (&to);
    expire_rows (call, &from, &to);
}
