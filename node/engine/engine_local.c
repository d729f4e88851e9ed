/* What the entry node answers itself: health, who am I, the schema, and the cluster as it sees it. */
#include <stdio.h>

#include "node/engine/engine_internal.h"
#include "schemas/generated/schema_text.h"

static void answer_health (struct engine *engine, struct call *call)
{
    struct health_reply reply = {
        .status = engine_serves (engine) ? HEALTH_STATUS_SERVING : HEALTH_STATUS_NOT_SERVING,
        .node = engine->config.node,
    };
    engine_call_answer_value (engine, call, &reply);
}

static void answer_who (struct engine *engine, struct call *call)
{
    const struct identity_claims *claims = &engine->claims;
    struct who_reply reply = {
        .principal = call->principal.id,
        .roles = call->principal.roles,
        .kind = call->principal.kind,
        .has_expires_ms = claims->expires_ms != 0,
        .expires_ms = claims->expires_ms,
        .has_name = claims->name[0] != '\0',
        .name = bytes_text (claims->name),
    };
    engine_call_answer_value (engine, call, &reply);
}

static const char *class_name (enum method_class class)
{
    switch (class) {
    case METHOD_WRITE:
        return "write";
    case METHOD_READ:
        return "read";
    case METHOD_LOCAL:
        return "local";
    case METHOD_SYSTEM_READ:
        return "system-read";
    case METHOD_SYSTEM_WRITE:
        return "system-write";
    case METHOD_FANOUT:
        return "fanout";
    }
    return "?";
}

static void answer_schema (struct engine *engine, struct call *call)
{
    struct reflect_method rows[METHOD_COUNT];
    char routes[METHOD_COUNT][65];
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        const struct method *method = &methods[i];
        const char *kind = method->route == ROUTE_ID ? "id:" : method->route == ROUTE_LOGIN ? "login:" : "none";
        snprintf (routes[i], sizeof routes[i], "%s%s", kind, method->route_path);
        rows[i] = (struct reflect_method){
            .name = bytes_text (method->name),
            .number = method->number,
            .request = bytes_text (method->request->name),
            .reply = bytes_text (method->reply->name),
            .class = bytes_text (class_name (method->class)),
            .route = bytes_text (routes[i]),
        };
    }
    struct reflect_reply reply = {.cddl = bytes_text (schema_text), .methods = rows, .methods_count = METHOD_COUNT};
    engine_call_answer_value (engine, call, &reply);
}

void engine_local (struct engine *engine, struct call *call, struct bytes body)
{
    switch (call->method->number) {
    case METHOD_NUMBER_HEALTH_CHECK:
        answer_health (engine, call);
        return;
    case METHOD_NUMBER_AUTH_WHO_AM_I:
        answer_who (engine, call);
        return;
    case METHOD_NUMBER_REFLECT_SCHEMA:
        answer_schema (engine, call);
        return;
    default:
        break;
    }
    if (!engine_cluster_answer (engine, call, body))
        engine_call_refuse (engine, call, STATUS_UNIMPLEMENTED, "NO_SUCH_METHOD",
            "this node cannot answer that yet; reflect.Schema lists what it knows", 0);
}
