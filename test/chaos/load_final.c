/* --final: what became of every write without an answer, then everything once more. Each question is an operation of the
 * history like any other; one that fails is asked again.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/load.h"

#define FINAL_CLIENTS 64
#define FINAL_FIRST_CLIENT 100000
#define FINAL_DEADLINE_MS 5000
#define PAUSE_NS UINT64_C (50000000)

struct final {
    struct load_lane lane; /* the first: a lane is how clients find it */
    struct load_call *calls;
    size_t count, room, next, done;
    size_t *again; /* a stack of those to be asked again */
    size_t again_count;
    size_t at[FINAL_CLIENTS]; /* by client */
    uint64_t until_ns;
};

static struct final *final_of (struct load_client *client)
{
    return (struct final *) client->lane;
}

static struct load_call *add (struct final *final)
{
    if (final->count == final->room) {
        final->room = final->room == 0 ? 1024 : final->room * 2;
        final->calls = realloc (final->calls, final->room * sizeof *final->calls);
        maitre_assert (final->calls != NULL);
    }
    final->calls[final->count] = (struct load_call){.final = true, .deadline_ms = FINAL_DEADLINE_MS};
    return &final->calls[final->count++];
}

static bool parse_id (const char *text, struct id *id)
{
    return id_parse (bytes_text (text), id) == STATUS_OK;
}

/* ---- what to ask */

static bool is_order (const struct history_op *op)
{
    return op->f == HISTORY_ORDER || op->f == HISTORY_ADVANCE;
}

static bool plan_outcomes (struct final *final, const struct history *history)
{
    bool *known = calloc (history->ids.count + 1, sizeof *known);
    maitre_assert (known != NULL);
    for (size_t i = 0; i < history->ops_count; i++) {
        const struct history_op *op = &history->ops[i];
        bool said = op->end == HISTORY_OK || op->end == HISTORY_REFUSED;
        if (said && op->f == HISTORY_OUTCOME)
            known[op->of] = true;
    }
    bool fine = true;
    for (size_t i = 0; i < history->ops_count && fine; i++) {
        const struct history_op *op = &history->ops[i];
        if (op->end != HISTORY_UNKNOWN || op->id == HISTORY_NONE || op->f == HISTORY_OUTCOME || known[op->id])
            continue;
        known[op->id] = true;
        struct load_call *call = add (final);
        call->f = HISTORY_OUTCOME;
        call->of_f = (enum history_f) op->f;
        call->of_order = is_order (op);
        fine = parse_id (history->ids.texts[op->id], &call->of);
    }
    free (known);
    return fine;
}

static bool plan_entities (struct final *final, const struct history *history)
{
    bool *orders = calloc (history->entities.count + 1, sizeof *orders);
    bool fine = true;
    maitre_assert (orders != NULL);
    for (size_t i = 0; i < history->ops_count; i++)
        if (history->ops[i].entity != HISTORY_NONE && is_order (&history->ops[i]))
            orders[history->ops[i].entity] = true;
    for (uint32_t i = 0; i < history->entities.count && fine; i++) {
        struct load_call *call = add (final);
        call->f = HISTORY_READ;
        call->of_order = orders[i];
        fine = parse_id (history->entities.texts[i], &call->entity);
    }
    free (orders);
    return fine;
}

struct bucket {
    uint32_t offer, bucket;
};

static int by_bucket (const void *a, const void *b)
{
    const struct bucket *x = a, *y = b;
    if (x->offer != y->offer)
        return x->offer < y->offer ? -1 : 1;
    return x->bucket < y->bucket ? -1 : x->bucket > y->bucket;
}

/* Up to 16 buckets of one offer a call. */
static bool plan_counters (struct final *final, const struct history *history)
{
    struct bucket *buckets = calloc (history->items_count + 1, sizeof *buckets);
    size_t count = 0;
    bool fine = true;
    maitre_assert (buckets != NULL);
    for (size_t i = 0; i < history->items_count; i++)
        buckets[count++] = (struct bucket){history->items[i].offer, history->items[i].first};
    qsort (buckets, count, sizeof *buckets, by_bucket);
    struct load_call *call = NULL;
    for (size_t i = 0; i < count && fine; i++) {
        if (i > 0 && by_bucket (&buckets[i - 1], &buckets[i]) == 0)
            continue;
        if (call == NULL || call->items_count == LOAD_CALL_ITEMS || buckets[i].offer != buckets[i - 1].offer) {
            call = add (final);
            call->f = HISTORY_CHECK;
        }
        struct load_item *item = &call->items[call->items_count++];
        *item = (struct load_item){.bucket = buckets[i].bucket, .count = 1, .quantity = 1};
        fine = parse_id (history->offers[buckets[i].offer].id, &item->offer);
    }
    free (buckets);
    return fine;
}

static bool plan_lists (struct final *final, const struct history *history)
{
    bool *listed = calloc (history->customers.count + 1, sizeof *listed), fine = true;
    maitre_assert (listed != NULL);
    for (size_t i = 0; i < history->ops_count && fine; i++) {
        const struct history_op *op = &history->ops[i];
        if (op->f != HISTORY_LIST || listed[op->customer])
            continue;
        listed[op->customer] = true;
        struct load_call *call = add (final);
        call->f = HISTORY_LIST;
        fine = op->customer < history->customer_ids_count &&
               parse_id (history->customer_ids[op->customer], &call->customer);
    }
    free (listed);
    return fine;
}

/* ---- asking */

static bool choose (struct load_client *client, struct load_call *call)
{
    struct final *final = final_of (client);
    size_t at;
    if (final->again_count > 0)
        at = final->again[--final->again_count];
    else if (final->next < final->count)
        at = final->next++;
    else
        return false;
    final->at[client->number - FINAL_FIRST_CLIENT] = at;
    *call = final->calls[at];
    if (call->f == HISTORY_OUTCOME) {
        struct maitre_id of = load_id_out (&call->of), id = maitre_id_beside (client->handle, &of);
        call->request = load_id_in (&id);
    }
    return true;
}

static void learn (struct load_client *client, const struct load_call *call, const struct load_answer *answer)
{
    struct final *final = final_of (client);
    (void) call;
    if (answer->end == HISTORY_OK || answer->end == HISTORY_REFUSED) {
        final->done++;
    } else {
        final->again[final->again_count++] = final->at[client->number - FINAL_FIRST_CLIENT];
        client->due_ns = history_now_ns () + PAUSE_NS;
    }
    if (final->done == final->count || history_now_ns () >= final->until_ns)
        atomic_store (&client->lane->load->stop, true);
}

/* All calls that were planned since the last time; false: some have no answer. */
static bool ask (struct final *final)
{
    struct load *load = final->lane.load;
    if (final->done == final->count)
        return true;
    final->again = realloc (final->again, (final->count + FINAL_CLIENTS) * sizeof *final->again);
    maitre_assert (final->again != NULL);
    load_lane_run (&final->lane);
    bool fine = final->done == final->count;
    if (fine)
        atomic_store (&load->stop, false);
    return fine;
}

static void write_marker (struct load *load)
{
    struct history_text *line = malloc (sizeof *line);
    maitre_assert (line != NULL);
    history_text_clear (line);
    history_put_text (line, "type", "info");
    history_put_text (line, "f", "final");
    history_write (&load->writer, line);
    free (line);
}

static void take_names (struct load *load, const struct history *history)
{
    struct id id;
    for (uint32_t i = 0; i < history->offer_names.count; i++)
        if (parse_id (history->offers[i].id, &id))
            load_name (&load->names, &id, history->offer_names.texts[i]);
    for (uint32_t i = 0; i < history->customer_ids_count; i++)
        if (parse_id (history->customer_ids[i], &id))
            load_name (&load->names, &id, history->customers.texts[i]);
}

static bool ask_all (struct final *final, const struct history *history)
{
    if (!plan_outcomes (final, history)) {
        fprintf (stderr, "chaos_load: the history has ids that are none\n");
        return false;
    }
    size_t outcomes = final->count;
    if (!ask (final))
        return false;
    if (!plan_entities (final, history) || !plan_counters (final, history) || !plan_lists (final, history)) {
        fprintf (stderr, "chaos_load: the history has ids that are none\n");
        return false;
    }
    bool fine = ask (final);
    if (fine)
        write_marker (final->lane.load);
    fprintf (stderr, "chaos_load: asked for %zu outcomes, read %zu of %zu things\n", outcomes, final->done - outcomes,
        final->count - outcomes);
    return fine;
}

int load_final (struct load *load)
{
    struct history history;
    struct final *final = calloc (1, sizeof *final);
    bool fine = history_read (&history, load->path);
    maitre_assert (final != NULL);
    if (!fine)
        fprintf (stderr, "chaos_load: %s: line %llu: %s\n", load->path, (unsigned long long) history.error_line,
            history.error);
    if (fine && !history_writer_open (&load->writer, load->path, true)) {
        fprintf (stderr, "chaos_load: %s: %s\n", load->path, strerror (errno));
        fine = false;
    }
    if (fine) {
        load->pace = 0;
        load->began_ns = history_now_ns ();
        for (size_t i = 0; i < history.ops_count; i++)
            if (history.ops[i].number >= atomic_load (&load->ops))
                atomic_store (&load->ops, history.ops[i].number + 1);
        take_names (load, &history);
        load_lane_open (load, &final->lane, 0, FINAL_CLIENTS, FINAL_FIRST_CLIENT);
        final->lane.choose = choose;
        final->lane.learn = learn;
        final->until_ns = history_now_ns () + load->seconds * UINT64_C (1000000000);
        for (uint32_t i = 0; i < LOAD_HANDLES; i++)
            fine = (final->lane.handles[i] = load_handle ()) != NULL && fine;
        fine = fine && ask_all (final, &history);
        load_lane_close (&final->lane);
        history_writer_close (&load->writer);
        fine = fine && !load->writer.broken;
    }
    history_close (&history);
    free (final->calls);
    free (final->again);
    free (final);
    return fine ? 0 : 1;
}
