/* call.Outcome: what became of a request whose reply was lost. Asking fences what has not happened. */
#include "node/services/sessions.h"

#include "schemas/runtime/assert.h"

/* What an answer puts around the body that it tells of. */
#define OUTCOME_AROUND_BYTES_MAX (OUTCOME_REPLY_ENCODED_MAX - 65536)

_Static_assert(LOGIN_REPLY_ENCODED_MAX + OUTCOME_AROUND_BYTES_MAX <= SESSIONS_REPLY_BYTES_MAX,
    "an answer about the longest reply is one that a record may hold");

static void answer (struct service_call *call, enum outcome_state state, const struct request_record *record)
{
    maitre_assert ((record != NULL) == (state == OUTCOME_STATE_APPLIED));
    maitre_assert (record == NULL || !sessions_is_fence (record));
    struct outcome_reply reply = {.state = state};
    if (record != NULL) {
        reply.has_status = true;
        reply.status = record->status;
        reply.has_reason = record->has_reason;
        reply.reason = record->reason;
        /* An answer within an answer within an answer would outgrow what a record may hold. */
        reply.has_body = record->has_body && record->method != METHOD_NUMBER_CALL_OUTCOME;
        reply.body = record->body;
    }
    service_reply_ok (call, &outcome_reply_type, &reply);
}

void sessions_outcome_apply (struct service_call *call)
{
    const struct outcome_request *request = call->request;
    const struct id *principal = request->has_principal ? &request->principal : &call->principal.id;
    /* Another's outcomes may hold what that other alone may see. */
    if (!id_equal (principal, &call->principal.id) && !service_is_operator (call)) {
        service_refuse_field (call, STATUS_PERMISSION_DENIED, "NOT_YOURS",
            "only an operator may ask for another principal's outcome; leave principal out to ask for your own",
            "principal");
        return;
    }
    if (id_equal (&request->request_id, &call->request_id) && id_equal (principal, &call->principal.id)) {
        service_refuse_field (call, STATUS_INVALID_ARGUMENT, "ASKS_ABOUT_ITSELF",
            "a question cannot be about its own request id; make a new id for the question", "request_id");
        return;
    }
    struct request_record record;
    if (sessions_find (call, &request->request_id, principal, &record)) {
        if (sessions_is_fence (&record))
            answer (call, OUTCOME_STATE_FENCED, NULL);
        else
            answer (call, OUTCOME_STATE_APPLIED, &record);
        return;
    }
    if (sessions_too_old (call, &request->request_id)) {
        answer (call, OUTCOME_STATE_TOO_OLD, NULL);
        return;
    }
    /* A fence far in the future would outlive every other record. */
    if (sessions_ahead (call, &request->request_id)) {
        service_refuse_field (call, STATUS_INVALID_ARGUMENT, "REQUEST_FROM_FUTURE",
            "that request id's time is more than 10 minutes ahead of the cluster, no call with it was or will be "
            "accepted now",
            "request_id");
        return;
    }
    maitre_assert (!call->answered);
    maitre_assert (!id_equal (&request->request_id, &call->request_id) || !id_equal (principal, &call->principal.id));
    sessions_fence (call, &request->request_id, principal);
    answer (call, OUTCOME_STATE_FENCED, NULL);
}
