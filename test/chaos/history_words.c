/* The words of a history, and what they stand for.
 */
#include <string.h>

#include "test/chaos/history.h"

static const char *const f_names[HISTORY_F_COUNT] = {
    "book", "confirm", "release", "cancel", "move", "read", "check", "list", "order", "advance", "stock", "outcome"};
static const char *const reserve_states[] = {"none", "held", "confirmed", "released", "expired", "cancelled"};
static const char *const order_states[] = {"none", "placed", "accepted", "declined", "cancelled", "expired",
    "preparing", "ready", "in_transit", "collected", "delivered", "failed", "returned"};
static const char *const events[] = {"none", "accept", "decline", "cancel", "prepare", "ready", "pick_up", "collect",
    "deliver", "fail", "return", "claim"};

#define COUNT(array) (sizeof (array) / sizeof (array)[0])

const char *history_f_name (enum history_f f)
{
    return f < HISTORY_F_COUNT ? f_names[f] : NULL;
}

const char *history_event_name (unsigned event)
{
    return event < COUNT (events) ? events[event] : NULL;
}

const char *history_state_name (bool of_order, unsigned state)
{
    if (of_order)
        return state < COUNT (order_states) ? order_states[state] : NULL;
    return state < COUNT (reserve_states) ? reserve_states[state] : NULL;
}

const char *history_reason (uint64_t result)
{
    switch (history_code (result)) {
    case CODE_NONE:
        return "no answer";
    case CODE_OK:
        return "ok";
    case CODE_SOLD_OUT:
        return "SOLD_OUT";
    case CODE_USER_LIMIT:
        return "USER_LIMIT";
    case CODE_OUT_OF_RANGE:
        return "OUT_OF_RANGE";
    case CODE_EXISTS:
        return "EXISTS";
    case CODE_NOT_FOUND:
        return "NOT_FOUND";
    case CODE_STATE:
        return "its state forbids it";
    case CODE_STALE:
        return "STALE_VERSION";
    case CODE_BELOW_COMMITTED:
        return "BELOW_COMMITTED";
    case CODE_KEY_REUSED:
        return "KEY_REUSED";
    case CODE_FENCED:
        return "FENCED";
    case CODE_STRANGE:
        return "a refusal that makes no sense";
    }
    return "?";
}
