/* cluster.InjectFault: failpoints of this node, for tests. Admins alone, where the configuration allows faults. */
#include <stdio.h>

#include "node/engine/engine_internal.h"

/* Texts of the rows, which the reply borrows from the engine's arena. */
static struct fault_point *take_rows (struct engine *engine, size_t count)
{
    struct fault_point *rows = arena_alloc (&engine->arena, count * sizeof *rows);
    maitre_assert (rows != NULL);
    return rows;
}

static void fill_row (struct engine *engine, enum failpoint_id id, struct fault_point *row)
{
    struct failpoint_row from;
    failpoint_row (id, &from);
    size_t len = strlen (from.setting);
    char *setting = arena_copy (&engine->arena, from.setting, len);
    maitre_assert (setting != NULL);
    *row = (struct fault_point){.name = bytes_text (from.name),
        .setting = bytes_of (setting, len),
        .hits = from.hits,
        .fired = from.fired,
        .may = bytes_text (failpoint_may_name (from.may)),
        .what = bytes_text (from.what)};
}

/* All points, or the one that was set. */
static void answer_rows (struct engine *engine, struct call *call, const struct inject_fault_request *request)
{
    bool all = !request->has_point || (request->has_list && request->list);
    struct inject_fault_reply reply = {.node = engine->config.node, .points = take_rows (engine, FAILPOINT_COUNT)};
    for (unsigned id = 0; id < FAILPOINT_COUNT; id++) {
        struct fault_point *row = &reply.points[reply.points_count];
        fill_row (engine, (enum failpoint_id) id, row);
        reply.points_count += all || bytes_equal (row->name, request->point);
    }
    engine_call_answer_value (engine, call, &reply);
}

void engine_faults_answer (struct engine *engine, struct call *call, const struct inject_fault_request *request)
{
    char error[FAILPOINT_ERROR_BYTES];
    if ((call->principal.roles & ROLE_ADMIN) == 0) {
        engine_call_refuse (
            engine, call, STATUS_PERMISSION_DENIED, "ADMIN_ONLY", "injecting faults takes the role admin", 0);
        return;
    }
    if (!engine->config.faults) {
        engine_call_refuse (engine, call, STATUS_FAILED_PRECONDITION, "FAULTS_OFF",
            "this node takes no faults: tests start it with faults = 1 in its configuration", 0);
        return;
    }
    if (request->node != engine->config.node) {
        engine_call_refuse (engine, call, STATUS_INVALID_ARGUMENT, "WRONG_NODE",
            "a fault is injected into the node that is asked: ask that node itself", 0);
        return;
    }
    if (request->has_point != request->has_action) {
        engine_call_refuse (engine, call, STATUS_INVALID_ARGUMENT, "BAD_REQUEST",
            "a point and its action come together; neither of them lists the points", 0);
        return;
    }
    if (!request->has_point) {
        answer_rows (engine, call, request);
        return;
    }
    enum status status = failpoint_set (request->point, request->action, error);
    if (status != STATUS_OK) {
        const char *reason = status == STATUS_NOT_FOUND          ? "NO_FAILPOINT"
                             : status == STATUS_INVALID_ARGUMENT ? "BAD_ACTION"
                                                                 : "FAULTS_OFF";
        engine_call_refuse (engine, call, status, reason, error, 0);
        return;
    }
    char name[FAILPOINT_NAME_BYTES_MAX + 1], action[FAILPOINT_SETTING_BYTES_MAX + 1];
    snprintf (name, sizeof name, "%.*s", (int) request->point.len, (const char *) request->point.data);
    snprintf (action, sizeof action, "%.*s", (int) request->action.len, (const char *) request->action.data);
    event_log (EVENT_LOG_WARN, "failpoint set", event_log_text ("point", name), event_log_text ("action", action),
        event_log_id ("by", &call->principal.id));
    answer_rows (engine, call, request);
}
