#include "node/services/order.h"

#include "schemas/runtime/assert.h"

#define P ORDER_PART_PROVIDER
#define C ORDER_PART_CUSTOMER
#define D ORDER_PART_COURIER
#define O ORDER_PART_OPERATOR
#define ROW(event_, from_, to_, parts_, returns_)                                                                      \
    {                                                                                                                  \
        .event = ORDER_EVENT_KIND_##event_, .from = ORDER_STATE_##from_, .to = ORDER_STATE_##to_, .parts = parts_,     \
        .returns_stock = returns_                                                                                      \
    }

/* The diagram of order.h, row by row. */
static const struct order_transition table[] = {
    ROW (ACCEPT, PLACED, ACCEPTED, P | O, false),
    ROW (DECLINE, PLACED, DECLINED, P | O, true),
    ROW (CANCEL, PLACED, CANCELLED, C | O, true),
    ROW (CANCEL, ACCEPTED, CANCELLED, C | P | O, true),
    ROW (CANCEL, PREPARING, CANCELLED, P | O, false),
    ROW (PREPARE, ACCEPTED, PREPARING, P | O, false),
    ROW (READY, PREPARING, READY, P | O, false),
    ROW (PICK_UP, READY, IN_TRANSIT, D | O, false),
    ROW (COLLECT, READY, COLLECTED, P | O, false),
    ROW (DELIVER, IN_TRANSIT, DELIVERED, D | O, false),
    ROW (FAIL, IN_TRANSIT, FAILED, D | O, false),
    ROW (RETURN, DELIVERED, RETURNED, P | C | O, false),
    ROW (RETURN, COLLECTED, RETURNED, P | C | O, false),
    ROW (CLAIM, ACCEPTED, ACCEPTED, ORDER_PART_ANY_COURIER, false),
    ROW (CLAIM, PREPARING, PREPARING, ORDER_PART_ANY_COURIER, false),
    ROW (CLAIM, READY, READY, ORDER_PART_ANY_COURIER, false),
};

#define ROWS (sizeof table / sizeof table[0])

const struct order_transition *order_transition_find (uint64_t event, uint64_t from)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (table[i].event != event || table[i].from != from)
            continue;
        maitre_assert (table[i].parts != 0);
        maitre_assert ((event == ORDER_EVENT_KIND_CLAIM) == (table[i].to == from));
        maitre_assert (
            !table[i].returns_stock || table[i].to == ORDER_STATE_DECLINED || table[i].to == ORDER_STATE_CANCELLED);
        return &table[i];
    }
    return NULL;
}

bool order_event_open_to (uint64_t event, unsigned parts)
{
    for (size_t i = 0; i < ROWS; i++)
        if (table[i].event == event && (table[i].parts & parts) != 0)
            return true;
    return false;
}
