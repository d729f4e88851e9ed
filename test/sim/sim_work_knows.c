/* What must be true of each thing, given what was acknowledged; what was only tried may or may not have happened. */
#include "test/sim/sim_work.h"

#include "schemas/generated/catalog.h"
#include "schemas/generated/order.h"
#include "schemas/generated/reserve.h"

static bool tried (const struct work_thing *thing, enum work_act act)
{
    return (thing->tried & UINT32_C (1) << act) != 0;
}

static bool done (const struct work_thing *thing, enum work_act act)
{
    return (thing->done & UINT32_C (1) << act) != 0;
}

static uint64_t possible_order (const struct work_thing *thing)
{
    if (done (thing, WORK_CALL_OFF))
        return work_bit (ORDER_STATE_CANCELLED);
    if (done (thing, WORK_DECLINE))
        return work_bit (ORDER_STATE_DECLINED);
    bool accepted = done (thing, WORK_ACCEPT);
    uint64_t states = work_bit (accepted ? ORDER_STATE_ACCEPTED : ORDER_STATE_PLACED);
    if (tried (thing, WORK_ACCEPT))
        states |= work_bit (ORDER_STATE_ACCEPTED);
    if (tried (thing, WORK_DECLINE) && !accepted)
        states |= work_bit (ORDER_STATE_DECLINED);
    if (tried (thing, WORK_CALL_OFF))
        states |= work_bit (ORDER_STATE_CANCELLED);
    return states;
}

static uint64_t possible_booking (const struct work_thing *thing)
{
    if (done (thing, WORK_RELEASE))
        return work_bit (RESERVE_STATE_RELEASED);
    if (done (thing, WORK_CANCEL))
        return work_bit (RESERVE_STATE_CANCELLED);
    bool confirmed = thing->book || done (thing, WORK_CONFIRM);
    uint64_t states = confirmed ? work_bit (RESERVE_STATE_CONFIRMED)
                                : work_bit (RESERVE_STATE_HELD) | work_bit (RESERVE_STATE_EXPIRED);
    if (tried (thing, WORK_CONFIRM))
        states |= work_bit (RESERVE_STATE_CONFIRMED);
    if (tried (thing, WORK_RELEASE) && !confirmed)
        states |= work_bit (RESERVE_STATE_RELEASED);
    if (tried (thing, WORK_CANCEL))
        states |= work_bit (RESERVE_STATE_CANCELLED);
    return states;
}

/* API keys: 1 valid, 2 revoked. */
static uint64_t possible_key (const struct work_thing *thing)
{
    if (done (thing, WORK_REVOKE))
        return work_bit (2);
    return work_bit (1) | (tried (thing, WORK_REVOKE) ? work_bit (2) : 0);
}

uint64_t work_possible (const struct work_thing *thing)
{
    return thing->kind == WORK_ORDER     ? possible_order (thing)
           : thing->kind == WORK_BOOKING ? possible_booking (thing)
                                         : possible_key (thing);
}

/* ---- what surely stands, in sum ---- */

static bool stands (const struct work_thing *thing)
{
    if (!thing->created || thing->moving)
        return false;
    if (thing->kind == WORK_ORDER)
        return (possible_order (thing) & ~(work_bit (ORDER_STATE_PLACED) | work_bit (ORDER_STATE_ACCEPTED))) == 0;
    return thing->kind == WORK_BOOKING && possible_booking (thing) == work_bit (RESERVE_STATE_CONFIRMED);
}

void work_unsure (struct sim *sim, struct work_thing *thing)
{
    struct work_shard *shard = &work_of (sim)->shards[thing->shard];
    if (!thing->sure)
        return;
    thing->sure = false;
    if (thing->kind == WORK_ORDER) {
        shard->stock_sure -= thing->quantity;
    } else {
        shard->slots[thing->bucket].sure -= thing->quantity;
        shard->customers_sure[thing->customer] -= thing->quantity;
    }
}

/* A read under way may show any state that was possible at some moment of it: accepted, where the order was called off since. */
static void widen_reads (struct sim *sim, const struct work_thing *thing)
{
    struct sim_work *work = work_of (sim);
    size_t place = (size_t) (thing - work->things) + 1;
    for (size_t i = 0; i < work->attempts_count; i++) {
        struct work_attempt *attempt = &work->attempts[i];
        if (attempt->pending && attempt->must != 0 && work->requests[attempt->request - 1].thing == place)
            attempt->must |= work_possible (thing);
    }
    work_list_widen (work, place);
}

void work_learnt (struct sim *sim, struct work_thing *thing)
{
    widen_reads (sim, thing);
    struct work_shard *shard = &work_of (sim)->shards[thing->shard];
    thing->sure = stands (thing);
    if (!thing->sure) {
        if (thing->kind == WORK_BOOKING)
            shard->slots[thing->bucket].disturbed++;
        return;
    }
    if (thing->kind == WORK_ORDER) {
        shard->stock_sure += thing->quantity;
        if (shard->stock_sure > WORK_STOCK)
            sim_fail (sim, "shard %u: %lu units are ordered of a stock of %d", thing->shard,
                (unsigned long) shard->stock_sure, WORK_STOCK);
        return;
    }
    struct work_slot *slot = &shard->slots[thing->bucket];
    slot->sure += thing->quantity;
    shard->customers_sure[thing->customer] += thing->quantity;
    if (slot->sure > WORK_CAPACITY)
        sim_fail (sim, "shard %u: slot %lu is given %lu times, %d is all there is", thing->shard,
            (unsigned long) thing->bucket, (unsigned long) slot->sure, WORK_CAPACITY);
    if (shard->customers_sure[thing->customer] > WORK_LIMIT)
        sim_fail (sim, "shard %u: customer %lu has %lu bookings, %d are allowed", thing->shard,
            (unsigned long) thing->customer, (unsigned long) shard->customers_sure[thing->customer], WORK_LIMIT);
}

/* ---- reads ---- */

static struct arena scratch (void)
{
    static uint64_t memory[16384];
    struct arena arena;
    arena_init (&arena, memory, sizeof memory);
    return arena;
}

uint64_t work_state_in (struct sim *sim, const struct work_thing *thing, struct bytes body, uint64_t *bucket)
{
    struct arena arena = scratch ();
    *bucket = 0;
    if (thing->kind == WORK_ORDER) {
        struct order_get_reply value;
        if (codec_decode (&order_get_reply_type, body, CODEC_STRICT, &arena, &value, NULL) != STATUS_OK)
            sim_fail (sim, "a reply to order.Get does not decode");
        return value.order.state;
    }
    struct reserve_get_reply value;
    if (codec_decode (&reserve_get_reply_type, body, CODEC_STRICT, &arena, &value, NULL) != STATUS_OK)
        sim_fail (sim, "a reply to reserve.Get does not decode");
    *bucket = value.reservation.items[0].first;
    return value.reservation.state;
}

static uint64_t bucket_asked (struct sim *sim, const struct work_request *request)
{
    struct arena arena = scratch ();
    struct avail_check_request value;
    if (codec_decode (&avail_check_request_type, bytes_of (request->body, request->body_len), CODEC_STRICT, &arena,
            &value, NULL) != STATUS_OK)
        sim_fail (sim, "a request of avail.Check does not decode");
    return value.queries[0].first;
}

void work_note_read (struct sim *sim, struct work_attempt *attempt)
{
    struct sim_work *work = work_of (sim);
    const struct work_request *request = &work->requests[attempt->request - 1];
    if (request->act == WORK_CHECK) {
        attempt->bucket = bucket_asked (sim, request);
        const struct work_slot *slot = &work->shards[request->shard].slots[attempt->bucket];
        attempt->sure = slot->sure;
        attempt->disturbed = slot->disturbed;
        return;
    }
    const struct work_thing *thing = &work->things[request->thing - 1];
    attempt->must = thing->created ? work_possible (thing) : 0;
    attempt->moves = thing->moving ? UINT64_MAX : thing->moves;
}

static void check_slot (
    struct sim *sim, uint32_t shard, const struct work_attempt *attempt, const struct route_answer *answer)
{
    struct arena arena = scratch ();
    struct avail_check_reply value;
    if (answer->status != STATUS_OK)
        sim_fail (sim, "shard %u: an acknowledged offer is gone: %s", shard, status_name (answer->status));
    if (codec_decode (&avail_check_reply_type, answer->body, CODEC_STRICT, &arena, &value, NULL) != STATUS_OK ||
        value.rows_count != 1)
        sim_fail (sim, "a reply to avail.Check does not decode");
    const struct avail_row *row = &value.rows[0];
    if (row->total != WORK_CAPACITY || row->held + row->confirmed > row->total)
        sim_fail (sim, "shard %u: slot %lu: %lu held and %lu confirmed of %lu", shard, (unsigned long) row->bucket,
            (unsigned long) row->held, (unsigned long) row->confirmed, (unsigned long) row->total);
    const struct work_slot *slot = &work_of (sim)->shards[shard].slots[attempt->bucket];
    if (slot->disturbed == attempt->disturbed && row->confirmed < attempt->sure)
        sim_fail (sim, "shard %u: slot %lu shows %lu confirmed, %lu had been acknowledged before it was asked", shard,
            (unsigned long) row->bucket, (unsigned long) row->confirmed, (unsigned long) attempt->sure);
}

void work_check_read (struct sim *sim, const struct work_attempt *attempt, const struct route_answer *answer)
{
    struct sim_work *work = work_of (sim);
    const struct work_request *request = &work->requests[attempt->request - 1];
    if (request->act == WORK_CHECK) {
        check_slot (sim, request->shard, attempt, answer);
        return;
    }
    const struct work_thing *thing = &work->things[request->thing - 1];
    if (attempt->must == 0) {
        if (answer->status == STATUS_OK && thing->refused)
            sim_fail (sim, "shard %u: what was refused is there", thing->shard);
        return;
    }
    if (answer->status != STATUS_OK)
        sim_fail (sim, "shard %u: what was acknowledged is gone: %s", thing->shard, status_name (answer->status));
    uint64_t bucket, state = work_state_in (sim, thing, answer->body, &bucket);
    /* What is done now may have been under way then. */
    uint64_t now = attempt->must | work_possible (thing);
    if (!(now & work_bit (state)))
        sim_fail (sim, "shard %u: a %s is in state %lu, which contradicts what was acknowledged (%lx)", thing->shard,
            thing->kind == WORK_ORDER ? "order" : "reservation", (unsigned long) state, (unsigned long) now);
    bool settled = attempt->moves == thing->moves && !thing->moving;
    if (thing->kind == WORK_BOOKING && settled && bucket != thing->bucket)
        sim_fail (sim, "shard %u: a reservation is in slot %lu, and was acknowledged in %lu", thing->shard,
            (unsigned long) bucket, (unsigned long) thing->bucket);
}
