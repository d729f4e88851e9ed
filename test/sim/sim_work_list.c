/* Lists over all shards: a customer's reservations, page by page and part by part, as the fan-out of a node asks for them.
 *
 * A list is linearizable part by part (P2): whatever had been acknowledged when a shard's part was begun is in it, once; what
 * was refused is not; and each row is in a state that the reservation may have had between question and answer.
 */
#include "test/sim/sim_work.h"

#include <stdlib.h>
#include <string.h>

#include "node/services/services.h"
#include "schemas/generated/reserve.h"

/* A reservation as the list under way must show it, or may. */
struct work_row {
    size_t thing; /* its place + 1 */
    uint64_t may; /* states, by what was known since this page was asked */
    bool expected, seen;
};

/* One list at a time for each customer: invariants as above. */
struct work_list {
    uint32_t shard; /* whose part is under way; 0: none, it begins with the first */
    uint64_t attempt;
    bool begun; /* the part */
    uint8_t token[SERVICES_PAGE_TOKEN_BYTES_MAX];
    size_t token_len;
    struct work_row *rows;
    size_t rows_count, rows_size;
};

static struct work_row *row_of (struct work_list *list, size_t thing)
{
    for (size_t i = 0; i < list->rows_count; i++)
        if (list->rows[i].thing == thing)
            return &list->rows[i];
    sim_grow (&list->rows, &list->rows_size, list->rows_count, sizeof *list->rows);
    list->rows[list->rows_count] = (struct work_row){.thing = thing};
    return &list->rows[list->rows_count++];
}

/* What is known at this moment of everything that the part may show. */
static void look_around (struct sim *sim, struct work_list *list, uint64_t customer)
{
    const struct sim_work *work = work_of (sim);
    for (size_t place = 1; place <= work->things_count; place++) {
        const struct work_thing *thing = &work->things[place - 1];
        if (thing->kind != WORK_BOOKING || thing->shard != list->shard || thing->customer != customer)
            continue;
        struct work_row *row = row_of (list, place);
        row->may = work_possible (thing);
        row->expected = row->expected || (!list->begun && thing->created);
    }
}

void work_list_widen (struct sim_work *work, size_t thing)
{
    struct work_list *list = work->lists ? &work->lists[work->things[thing - 1].customer] : NULL;
    for (size_t i = 0; list && i < list->rows_count; i++)
        if (list->rows[i].thing == thing)
            list->rows[i].may |= work_possible (&work->things[thing - 1]);
}

static struct work_list *list_of (struct sim *sim, uint64_t customer)
{
    struct sim_work *work = work_of (sim);
    if (!work->lists)
        work->lists = calloc (WORK_CUSTOMERS, sizeof *work->lists);
    maitre_assert (work->lists != NULL);
    return &work->lists[customer];
}

/* ---- asking */

static struct principal principal_of (uint64_t customer)
{
    return (struct principal){
        .id = id_make (1, 1, 100 + customer), .kind = PRINCIPAL_KIND_USER, .roles = ROLE_CUSTOMER};
}

static void begin_part (struct work_list *list, uint32_t shard, const struct principal *who, uint64_t page_size)
{
    struct reserve_list_request value = {.has_page_size = true, .page_size = page_size};
    list->shard = shard;
    list->begun = false;
    list->rows_count = 0;
    list->token_len = services_page_begin (work_method (WORK_LIST), who, &value, shard, list->token);
}

size_t work_list_ask (struct sim *sim)
{
    struct sim_work *work = work_of (sim);
    uint64_t customer = sim_below (sim, WORK_CUSTOMERS);
    struct work_list *list = list_of (sim, customer);
    struct principal who = principal_of (customer);
    if (list->attempt != 0 && work->attempts[list->attempt - 1].pending)
        return 0; /* the page is still asked for */
    if (list->shard == 0)
        begin_part (list, 1, &who, 1);
    struct reserve_list_request value = {
        .has_page_size = true,
        .page_size = sim_between (sim, 1, 12),
        .has_page_token = true,
        .page_token = bytes_of (list->token, list->token_len),
    };
    size_t place = work_request_new (sim, WORK_LIST, list->shard, 0, &who, &value);
    work->requests[place - 1].customer = customer;
    list->attempt = 0; /* work_list_noted */
    return place;
}

void work_list_noted (struct sim *sim, uint64_t token)
{
    struct sim_work *work = work_of (sim);
    const struct work_request *request = &work->requests[work->attempts[token - 1].request - 1];
    struct work_list *list = list_of (sim, request->customer);
    list->attempt = token;
    look_around (sim, list, request->customer);
    list->begun = true;
}

/* ---- answers */

static size_t find_thing (const struct sim_work *work, const struct id *id)
{
    for (size_t place = work->things_count; place > 0; place--)
        if (id_equal (&work->things[place - 1].id, id))
            return place;
    return 0;
}

static void check_row (struct sim *sim, struct work_list *list, uint64_t customer, const struct reservation *shown)
{
    struct sim_work *work = work_of (sim);
    size_t place = find_thing (work, &shown->reservation);
    const struct work_thing *thing = place == 0 ? NULL : &work->things[place - 1];
    if (!thing || thing->shard != list->shard || thing->customer != customer || thing->refused)
        sim_fail (sim, "shard %u: a list shows a reservation that %s", list->shard,
            !thing           ? "nobody asked for"
            : thing->refused ? "was refused"
                             : "is another shard's or customer's");
    size_t known = list->rows_count;
    struct work_row *row = row_of (list, place);
    if (row->seen)
        sim_fail (sim, "shard %u: a list shows a reservation twice", list->shard);
    row->seen = true;
    uint64_t may = row->may | work_possible (thing);
    if (known == list->rows_count && !(may & work_bit (shown->state)))
        sim_fail (sim,
            "shard %u: a list shows a reservation in state %lu, which contradicts what was acknowledged (%lx)",
            list->shard, (unsigned long) shown->state, (unsigned long) may);
}

static void end_part (struct sim *sim, struct work_list *list, const struct principal *who)
{
    for (size_t i = 0; i < list->rows_count; i++)
        if (list->rows[i].expected && !list->rows[i].seen)
            sim_fail (sim, "shard %u: a list lacks a reservation that had been acknowledged before it was begun",
                list->shard);
    sim->oracle.counts.lists++;
    begin_part (list, list->shard + 1 < sim->shards_count ? list->shard + 1 : 1, who, 1);
}

void work_list_answered (
    struct sim *sim, uint64_t token, const struct work_request *request, const struct route_answer *answer)
{
    static uint64_t memory[65536];
    struct work_list *list = list_of (sim, request->customer);
    struct arena arena;
    struct reserve_list_reply value;
    arena_init (&arena, memory, sizeof memory);
    maitre_assert (token == list->attempt);
    if (answer->status != STATUS_OK)
        sim_fail (sim, "shard %u: a list is refused: %s %s", list->shard, status_name (answer->status),
            answer->reason ? answer->reason : "");
    if (codec_decode (&reserve_list_reply_type, answer->body, CODEC_STRICT, &arena, &value, NULL) != STATUS_OK)
        sim_fail (sim, "a reply to reserve.List does not decode");
    for (size_t i = 0; i < value.reservations_count; i++)
        check_row (sim, list, request->customer, &value.reservations[i]);
    uint32_t shard;
    if (!value.has_page_token || value.page_token.len == 0) {
        end_part (sim, list, &request->who);
        return;
    }
    if (services_page_shard (value.page_token, &shard) != STATUS_OK || shard != list->shard)
        sim_fail (sim, "shard %u: a page's token leads elsewhere", list->shard);
    maitre_assert (value.page_token.len <= sizeof list->token);
    memcpy (list->token, value.page_token.data, value.page_token.len);
    list->token_len = value.page_token.len;
}

void work_lists_close (struct sim_work *work)
{
    for (size_t i = 0; work->lists && i < WORK_CUSTOMERS; i++)
        free (work->lists[i].rows);
    free (work->lists);
}
