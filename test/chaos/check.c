/* A whole history: its parts one by one, then the sums.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/runtime/assert.h"
#include "test/chaos/check.h"

#define SHRINK_NS UINT64_C (20000000000)

static enum search_verdict judge (struct check_world *world, struct search *search, const struct check_part *part,
    struct search_op *ops, uint64_t deadline_ns, uint64_t *states)
{
    const struct search_model model = check_world_model (world);
    const struct search_bounds bounds = {.deadline_ns = deadline_ns};
    for (uint32_t i = 0; i < part->count; i++) {
        const struct history_op *op = &world->history->ops[part->ops[i]];
        ops[i] = (struct search_op){
            .begin = op->begin_ns, .end = op->end_ns, .tag = part->ops[i], .loose = op->end == HISTORY_UNKNOWN};
    }
    return search_run (search, &model, ops, part->count, &bounds, NULL, states);
}

static void count_ops (const struct history *history, struct check_report *report)
{
    bool *read = calloc (history->entities.count + 1, sizeof *read);
    bool *asked = calloc (history->ids.count + 1, sizeof *asked);
    maitre_assert (read != NULL && asked != NULL);
    for (size_t i = 0; i < history->ops_count; i++) {
        const struct history_op *op = &history->ops[i];
        bool said = op->end == HISTORY_OK || op->end == HISTORY_REFUSED;
        report->by_end[op->end]++;
        if (op->f == HISTORY_READ && op->final && said)
            read[op->entity] = true;
        if (said && op->of != HISTORY_NONE)
            asked[op->of] = true;
        else if (said && op->id != HISTORY_NONE)
            asked[op->id] = true;
    }
    for (size_t i = 0; i < history->ops_count; i++)
        if (history->ops[i].end == HISTORY_UNKNOWN && history->ops[i].id != HISTORY_NONE && asked[history->ops[i].id])
            report->resolved++;
    for (uint32_t i = 0; i < history->entities.count; i++)
        report->entities_read += read[i] ? 1 : 0;
    report->entities = history->entities.count;
    free (read);
    free (asked);
}

static struct check_violation *next_violation (struct check_report *report)
{
    report->verdict = SEARCH_VIOLATION;
    report->violations_total++;
    if (report->violations_count == CHECK_VIOLATIONS_MAX)
        return NULL;
    return &report->violations[report->violations_count++];
}

static void judge_parts (
    struct check_world *world, const struct check_options *options, uint64_t began_ns, struct check_report *report)
{
    struct check_parts parts;
    struct search *search = search_new ();
    struct search_op *ops = malloc ((world->history->ops_count + 1) * sizeof *ops);
    uint64_t deadline_ns = options->limit_ns > 0 ? began_ns + options->limit_ns : 0;
    maitre_assert (ops != NULL);
    check_split (world, &parts);
    report->parts = parts.count;
    for (size_t p = 0; p < parts.count; p++) {
        const struct check_part *part = &parts.parts[p];
        report->largest_part = part->count > report->largest_part ? part->count : report->largest_part;
        enum search_verdict verdict = judge (world, search, part, ops, deadline_ns, &report->states);
        if (verdict == SEARCH_UNDECIDED) {
            report->undecided++;
            report->verdict = report->verdict == SEARCH_FINE ? SEARCH_UNDECIDED : report->verdict;
        }
        struct check_violation *violation = verdict == SEARCH_VIOLATION ? next_violation (report) : NULL;
        if (violation == NULL)
            continue;
        check_shrink (world, search, part, SHRINK_NS, violation);
        check_headline (world->history, violation);
    }
    check_parts_close (&parts);
    search_destroy (&search);
    free (ops);
}

const char *check_nothing (const struct history *history)
{
    if (history->lines == 0)
        return history->torn ? "it has not one whole line" : "it is empty";
    if (!history->begun)
        return "it has no line of a run";
    return history->ops_count == 0 ? "it has not one operation" : NULL;
}

void check_history (struct history *history, const struct check_options *options, struct check_report *report)
{
    struct check_world world;
    struct check_violation violation;
    uint64_t began_ns = history_now_ns ();
    *report = (struct check_report){0};
    count_ops (history, report);
    if (check_world_open (&world, history))
        judge_parts (&world, options, began_ns, report);
    else
        report->verdict = SEARCH_UNDECIDED;
    check_world_close (&world);
    if (check_sums (history, &violation)) {
        struct check_violation *to = next_violation (report);
        if (to != NULL)
            *to = violation;
        else
            free (violation.ops);
    }
    report->incomplete = report->verdict == SEARCH_FINE && !history->final && !options->part;
    report->seconds = (double) (history_now_ns () - began_ns) / 1e9;
}

void check_report_close (struct check_report *report)
{
    for (size_t i = 0; i < report->violations_count; i++)
        free (report->violations[i].ops);
    *report = (struct check_report){0};
}
