/* Place and its dry run, Quote: the same prices, the same stock. */
#include "node/services/order.h"

#include "schemas/runtime/assert.h"

_Static_assert(
    ORDER_LINES_COUNT_MAX *UINT64_C (100000) <= UINT64_MAX / MINOR_UNITS_MAX, "the dearest order has a total");
_Static_assert(ORDER_LINES_COUNT_MAX <= 100, "two digits name a line");

/* "lines[12].offer" */
static const char *line_field (struct service_call *call, size_t line, const char *member)
{
    maitre_assert (line < ORDER_LINES_COUNT_MAX);
    char digits[3] = {0};
    if (line >= 10)
        digits[0] = (char) ('0' + line / 10);
    digits[line >= 10] = (char) ('0' + line % 10);
    return service_text (call, "lines[", digits, "].", member, NULL, NULL);
}

static void refuse_line (struct service_call *call, enum status status, const char *reason, const char *message,
    const struct order_line *lines, size_t line, const char *member)
{
    const char *field = line_field (call, line, member);
    struct refusal refusal = {
        .has_field = true, .field = bytes_text (field), .has_offer = true, .offer = lines[line].offer};
    service_refuse (call, status, reason, message, &refusal);
}

/* Reads the offer of every line (open: a command that will move its stock), fills in buckets and prices. An order is of one
 * provider and one currency. False after refusing. */
static bool read_lines (struct service_call *call, const struct id *provider, struct order_line *lines, size_t count,
    bool open, struct offer_head *heads)
{
    maitre_assert (count >= 1);
    maitre_assert (count <= ORDER_LINES_COUNT_MAX);
    for (size_t i = 0; i < count; i++) {
        struct offer_head *head = &heads[i];
        if (!(open ? offer_open : offer_head_load) (call, &lines[i].offer, head)) {
            refuse_line (call, STATUS_NOT_FOUND, "NO_OFFER",
                "the provider has no such offer; read the list of its offers again", lines, i, "offer");
            return false;
        }
        if (!id_equal (&head->provider, provider)) {
            refuse_line (call, STATUS_INVALID_ARGUMENT, "WRONG_PROVIDER",
                "the offer is another provider's; place one order with each provider", lines, i, "offer");
            return false;
        }
        if (memcmp (head->currency, heads[0].currency, sizeof head->currency) != 0) {
            refuse_line (call, STATUS_INVALID_ARGUMENT, "CURRENCY_MIXED",
                "the offers are priced in different currencies; place one order in each", lines, i, "offer");
            return false;
        }
        if (!lines[i].has_bucket) {
            lines[i].has_bucket = true;
            lines[i].bucket = head->first;
        }
        if (!offer_has_range (head, lines[i].bucket, 1)) {
            struct counter_shortage shortage = {
                .verdict = COUNTER_OUT_OF_RANGE, .offer = head->offer, .bucket = (uint32_t) lines[i].bucket};
            counter_refuse (call, &shortage, NULL);
            return false;
        }
    }
    return true;
}

/* Largest possible: 64 lines of 100,000 units at 10^12, which is 6.4 * 10^18 and fits. */
static uint64_t line_minor (const struct offer_head *head, uint64_t quantity)
{
    return head->price_minor * quantity;
}

static struct order_line *copy_lines (struct service_call *call, const struct order_line *lines, size_t count)
{
    maitre_assert (count >= 1);
    maitre_assert (count <= ORDER_LINES_COUNT_MAX);
    struct order_line *copy = service_alloc (call, count * sizeof *copy);
    memcpy (copy, lines, count * sizeof *copy);
    return copy;
}

/* ---- Place */

static bool check_header (struct service_call *call, const struct order_place_request *request)
{
    struct key provider = key_entity (TABLE_PROVIDER, &request->provider);
    struct order present;
    if (id_hash (&request->order) != id_hash (&request->provider)) {
        service_refuse_field (call, STATUS_INVALID_ARGUMENT, "WRONG_PLACEMENT",
            "the order's id has not the placement hash of its provider; make the id with it", "order");
        return false;
    }
    if (request->has_customer && !id_equal (&request->customer, &call->principal.id) &&
        !service_acts_for_others (call)) {
        service_refuse_field (call, STATUS_PERMISSION_DENIED, "NOT_FOR_OTHERS",
            "only staff, operators and API keys order for others; leave the customer out", "customer");
        return false;
    }
    if (order_load (call, &request->order, &present)) {
        struct refusal refusal = {.has_field = true,
            .field = BYTES_LITERAL ("order"),
            .has_state = true,
            .state = present.state,
            .has_version = true,
            .version = present.version};
        service_refuse (call, STATUS_ALREADY_EXISTS, "EXISTS",
            "there is an order with this id; read it, or make a new id for a new order", &refusal);
        return false;
    }
    if (call->damaged)
        return false;
    if (!service_exists (call, &provider)) {
        service_refuse_field (
            call, STATUS_NOT_FOUND, "NO_PROVIDER", "there is no such provider; check the id", "provider");
        return false;
    }
    maitre_assert (!call->answered);
    return true;
}

/* The state of the offer, or of the quota that it draws on when that one is not open. */
static uint64_t menu_state (struct service_call *call, const struct offer_head *head)
{
    struct offer_head quota;
    if (head->state != OFFER_STATE_OPEN || id_is_zero (&head->quota))
        return head->state;
    if (offer_head_load (call, &head->quota, &quota))
        return quota.state;
    service_damage (call); /* offers are never deleted */
    maitre_assert (call->damaged);
    return OFFER_STATE_CLOSED;
}

static void refuse_closed (struct service_call *call, const struct id *offer, size_t line, uint64_t state)
{
    maitre_assert (state != OFFER_STATE_OPEN);
    const char *field = line_field (call, line, "offer");
    struct refusal refusal = {.has_field = true,
        .field = bytes_text (field),
        .has_offer = true,
        .offer = *offer,
        .has_state = true,
        .state = state};
    service_refuse (call, STATUS_FAILED_PRECONDITION, "CLOSED",
        "the offer is not open at present; order something else, or wait until it is open again", &refusal);
}

/* What the menu says now: nothing paused or closed, and the prices that the customer was shown. */
static bool check_menu (
    struct service_call *call, const struct order_line *lines, size_t count, const struct offer_head *heads)
{
    maitre_assert (count >= 1);
    for (size_t i = 0; i < count; i++) {
        uint64_t state = menu_state (call, &heads[i]);
        if (state != OFFER_STATE_OPEN) {
            refuse_closed (call, &lines[i].offer, i, state);
            return false;
        }
        if (lines[i].has_unit_price_minor && lines[i].unit_price_minor != heads[i].price_minor) {
            refuse_line (call, STATUS_ABORTED, "PRICE_CHANGED",
                "the price is another one now; show the present price, then order at it", lines, i, "unit_price_minor");
            return false;
        }
    }
    return true;
}

static bool take_stock (struct service_call *call, const struct id *customer, const struct order_line *lines,
    size_t count, const struct offer_head *heads)
{
    struct counter_shortage shortage;
    struct counter_plan *plan = counter_plan_new (call, customer);
    for (size_t i = 0; i < count; i++)
        counter_plan_add (plan, &heads[i], lines[i].bucket, 1, 0, (int32_t) lines[i].quantity);
    if (counter_plan_check (plan, &shortage) != COUNTER_FITS && !PLANTED (STOCK_OVERSOLD)) {
        counter_refuse (call, &shortage, NULL);
        return false;
    }
    maitre_assert (!call->answered);
    counter_plan_commit (plan);
    return true;
}

static uint64_t accept_by (uint64_t now_ms, const struct offer_head *heads, size_t count)
{
    maitre_assert (count >= 1);
    maitre_assert (count <= ORDER_LINES_COUNT_MAX);
    uint64_t ttl_ms = 0;
    for (size_t i = 0; i < count; i++)
        if (heads[i].hold_ttl_ms != 0 && (ttl_ms == 0 || heads[i].hold_ttl_ms < ttl_ms))
            ttl_ms = heads[i].hold_ttl_ms;
    return ttl_ms == 0 ? 0 : now_ms + ttl_ms;
}

static void put_order (struct service_call *call, struct order *order)
{
    maitre_assert (order->keeps_stock);
    maitre_assert (order->history_count == 0);
    maitre_assert (order->version == 0);
    struct key customer = key_pair (TABLE_CUSTOMER_ORDER, &order->customer, &order->order);
    struct key provider = key_pair (TABLE_PROVIDER_ORDER, &order->provider, &order->order);
    order_change (call, order, ORDER_STATE_PLACED, &call->principal.id, bytes_of (NULL, 0));
    maitre_assert (order->version == 1);
    maitre_assert (order->state == ORDER_STATE_PLACED);
    order_store (call, order);
    order_due_add (call, order);
    service_mark (call, &customer);
    service_mark (call, &provider);
}

void order_place_apply (struct service_call *call)
{
    const struct order_place_request *request = call->request;
    if (!check_header (call, request))
        return;
    size_t count = request->lines_count;
    struct order_line *lines = copy_lines (call, request->lines, count);
    struct offer_head *heads = service_alloc (call, count * sizeof *heads);
    if (!read_lines (call, &request->provider, lines, count, true, heads) || !check_menu (call, lines, count, heads))
        return;
    struct order order = {.order = request->order,
        .provider = request->provider,
        .customer = request->has_customer ? request->customer : call->principal.id,
        .lines = lines,
        .lines_count = count,
        .currency = bytes_of (heads[0].currency, sizeof heads[0].currency),
        .created_ms = call->time_ms,
        .has_address = request->has_address,
        .address = request->address,
        .has_note = request->has_note,
        .note = request->note,
        .actor = call->principal.id,
        .keeps_stock = true};
    if (!take_stock (call, &order.customer, lines, count, heads) || call->damaged)
        return;
    for (size_t i = 0; i < count; i++) {
        lines[i].has_unit_price_minor = true;
        lines[i].unit_price_minor = heads[i].price_minor;
        order.total_minor += line_minor (&heads[i], lines[i].quantity);
    }
    order.accept_by_ms = accept_by (call->time_ms, heads, count);
    order.has_accept_by_ms = order.accept_by_ms != 0;
    maitre_assert (id_hash (&order.order) == id_hash (&order.provider));
    maitre_assert (order.has_accept_by_ms == (order.accept_by_ms != 0));
    maitre_assert (!order.has_courier);
    put_order (call, &order);
    struct order_reply reply = {.order = order.order,
        .state = order.state,
        .version = order.version,
        .has_total_minor = true,
        .total_minor = order.total_minor,
        .has_currency = true,
        .currency = order.currency};
    service_reply_ok (call, &order_reply_type, &reply);
}

/* ---- Quote */

static uint32_t free_units (struct service_call *call, const struct offer_head *head, uint64_t bucket)
{
    struct counter_bucket now;
    counter_read (call, head, (uint32_t) bucket, 1, &now);
    uint64_t taken = (uint64_t) now.held + now.confirmed;
    return taken >= now.total ? 0 : (uint32_t) (now.total - taken);
}

/* Units that all lines together want of one counter's bucket: an item may stand twice. */
static uint64_t demand (const struct order_line *lines, size_t count, const struct offer_head *heads,
    const struct id *counter, uint64_t bucket)
{
    maitre_assert (count <= ORDER_LINES_COUNT_MAX);
    uint64_t units = 0;
    for (size_t i = 0; i < count; i++)
        if (lines[i].bucket == bucket && (id_equal (&heads[i].offer, counter) || id_equal (&heads[i].quota, counter)))
            units += lines[i].quantity;
    return units;
}

static void quote_line (struct service_call *call, const struct order_line *lines, size_t count,
    const struct offer_head *heads, size_t i, struct order_quote_line *out)
{
    maitre_assert (i < count);
    maitre_assert (lines[i].has_bucket);
    const struct offer_head *head = &heads[i];
    const uint64_t bucket = lines[i].bucket;
    uint32_t available = free_units (call, head, bucket);
    bool fits = demand (lines, count, heads, &head->offer, bucket) <= available;
    struct offer_head quota;
    if (!id_is_zero (&head->quota) && offer_head_load (call, &head->quota, &quota)) {
        uint32_t left = offer_has_range (&quota, bucket, 1) ? free_units (call, &quota, bucket) : 0;
        fits = fits && demand (lines, count, heads, &quota.offer, bucket) <= left;
        available = left < available ? left : available;
    }
    maitre_assert (demand (lines, count, heads, &head->offer, bucket) >= lines[i].quantity);
    *out = (struct order_quote_line){.offer = head->offer,
        .quantity = lines[i].quantity,
        .unit_price_minor = head->price_minor,
        .line_minor = line_minor (head, lines[i].quantity),
        .available = available,
        .orderable = fits && menu_state (call, head) == OFFER_STATE_OPEN};
}

void order_quote_read (struct service_call *call)
{
    const struct order_quote_request *request = call->request;
    size_t count = request->lines_count;
    struct order_line *lines = copy_lines (call, request->lines, count);
    struct offer_head *heads = service_alloc (call, count * sizeof *heads);
    if (!read_lines (call, &request->provider, lines, count, false, heads))
        return;
    struct order_quote_reply reply = {.lines = service_alloc (call, count * sizeof *reply.lines),
        .lines_count = count,
        .currency = bytes_of (heads[0].currency, sizeof heads[0].currency),
        .orderable = true};
    for (size_t i = 0; i < count; i++) {
        quote_line (call, lines, count, heads, i, &reply.lines[i]);
        reply.total_minor += reply.lines[i].line_minor;
        reply.orderable = reply.orderable && reply.lines[i].orderable;
    }
    maitre_assert (reply.lines_count >= 1);
    maitre_assert (!call->answered);
    service_reply_ok (call, &order_quote_reply_type, &reply);
}
