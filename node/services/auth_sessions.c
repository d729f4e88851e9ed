/* Login, Refresh, Revoke: the sessions of a user. A session's id is the request id of its login. */
#include "node/services/auth.h"

#include "schemas/runtime/assert.h"

#define REFRESH_BYTES (1 + ID_SIZE + 8)
#define VERDICT_OURS 1

_Static_assert(VERDICT_OURS != 0, "a verdict of zeros is none of ours");
_Static_assert(AUTH_ACCESS_TTL_MS < AUTH_SESSION_TTL_MS, "a session outlives the access that follows from it");

static struct key session_key (const struct id *user, const struct id *session)
{
    return key_pair (TABLE_SESSION, user, session);
}

/* The reply of Login and Refresh; node/identity adds the tokens that follow from it. */
static void reply_session (struct service_call *call, const struct user_record *user, const struct id *session,
    const struct session_record *record)
{
    maitre_assert (record->sequence >= 1);
    maitre_assert (record->issued_ms == call->time_ms);
    struct login_reply reply = {.user = user->user,
        .roles = user->roles,
        .session = *session,
        .sequence = record->sequence,
        .issued_ms = record->issued_ms,
        .access_expires_ms = record->issued_ms + AUTH_ACCESS_TTL_MS};
    service_reply_ok (call, &login_reply_type, &reply);
}

/* ---- Login */

void auth_login_prepare (struct service_call *call, struct services_prepare *prepare, struct bytes *logged_body)
{
    const struct login_request *request = call->request;
    struct bytes normalised;
    struct user_record user;
    if (!auth_normalise (call, request->login, &normalised))
        return;
    bool known = auth_load_user (call, normalised, &user);
    auth_prepare_verify (prepare, known ? &user : NULL, request->password);
    struct login_request logged = *request;
    logged.password = AUTH_NO_SECRET;
    *logged_body = service_encode (call, &login_request_type, &logged);
    maitre_assert (prepare->kind == SERVICES_PREPARE_VERIFY);
    maitre_assert (logged_body->data != call->body.data);
}

bool auth_login_guard (struct service_call *call)
{
    maitre_assert (!call->answered);
    const struct login_request *request = call->request;
    struct user_record user;
    return auth_check_verdict (call, request->login, &user);
}

struct oldest {
    size_t count;
    struct id session;
    bool damaged;
};

static bool visit_session (void *argument, struct bytes key, struct bytes value)
{
    struct oldest *oldest = argument;
    (void) value;
    if (oldest->count++ == 0)
        oldest->damaged = !key_read_id (key, 1 + ID_SIZE, &oldest->session);
    return true;
}

/* Session ids are request ids: in the order of their time. */
static void make_room_for_session (struct service_call *call, const struct id *user)
{
    struct oldest oldest = {0};
    struct key from = key_entity (TABLE_SESSION, user), to = from;
    key_after_prefix (&to);
    state_scan (call->state, key_of (&from), key_of (&to), false, visit_session, &oldest);
    if (oldest.damaged)
        service_damage (call);
    if (oldest.count < AUTH_SESSIONS_MAX || oldest.damaged)
        return;
    maitre_assert (oldest.count > 0);
    struct key key = session_key (user, &oldest.session);
    service_remove (call, &key);
}

/* The guard has verified the caller; a request id stands for at most one session, because a repeat of it is replayed. */
void auth_login_apply (struct service_call *call)
{
    const struct login_request *request = call->request;
    struct user_record user;
    bool verified = auth_check_verdict (call, request->login, &user);
    maitre_assert (verified);
    maitre_assert (call->prepared.data[0] != 0);
    make_room_for_session (call, &user.user);
    struct session_record session = {.sequence = 1, .issued_ms = call->time_ms};
    struct key key = session_key (&user.user, &call->request_id);
    service_store (call, &key, &session_record_type, &session);
    reply_session (call, &user, &call->request_id, &session);
}

/* ---- Refresh */

void auth_refresh_prepare (struct service_call *call, struct services_prepare *prepare, struct bytes *logged_body)
{
    maitre_assert (prepare->kind == SERVICES_PREPARE_NONE);
    const struct refresh_request *request = call->request;
    struct refresh_request logged = *request;
    logged.refresh_token = AUTH_NO_SECRET;
    prepare->kind = SERVICES_PREPARE_REFRESH;
    prepare->password = request->refresh_token;
    *logged_body = service_encode (call, &refresh_request_type, &logged);
    maitre_assert (logged_body->data != call->body.data);
}

static void refuse_token (struct service_call *call)
{
    service_refuse (call, STATUS_UNAUTHENTICATED, "BAD_REFRESH_TOKEN",
        "the refresh token is not the one of this session and sequence; log in again", NULL);
}

/* The request names session and sequence openly, so that they are part of its fingerprint: a record is only replayed to who
 * has the token that it was made for. */
bool auth_refresh_guard (struct service_call *call)
{
    maitre_assert (!call->answered);
    const struct refresh_request *request = call->request;
    if (call->prepared.len != REFRESH_BYTES) {
        service_refuse (call, STATUS_INTERNAL, "NOT_PREPARED",
            "the node proposed this call without having read the token; report this, then try again", NULL);
        return false;
    }
    struct bytes session = bytes_of (call->prepared.data + 1, ID_SIZE);
    if (call->prepared.data[0] == VERDICT_OURS && bytes_equal (session, id_bytes (&request->session)) &&
        bytes_get_u64 (call->prepared.data + 1 + ID_SIZE) == request->sequence)
        return true;
    refuse_token (call);
    return false;
}

/* The user and the live session of a request. False after refusing. */
static bool open_session (struct service_call *call, const struct refresh_request *request, struct user_record *user,
    struct session_record *session)
{
    struct bytes normalised;
    if (!auth_normalise (call, request->login, &normalised))
        return false;
    if (!auth_load_user (call, normalised, user)) {
        refuse_token (call);
        return false;
    }
    maitre_assert (!call->answered);
    struct key key = session_key (&user->user, &request->session);
    if (!service_load (call, &key, &session_record_type, session)) {
        service_refuse (
            call, STATUS_UNAUTHENTICATED, "SESSION_ENDED", "the session was revoked or has ended; log in again", NULL);
        return false;
    }
    return true;
}

void auth_refresh_apply (struct service_call *call)
{
    const struct refresh_request *request = call->request;
    struct user_record user;
    struct session_record session;
    if (!open_session (call, request, &user, &session))
        return;
    struct key key = session_key (&user.user, &request->session);
    if (request->sequence != session.sequence) {
        /* An old token: either the owner's or a thief's, and nobody can tell which. Both must log in again. */
        service_remove (call, &key);
        service_refuse (call, STATUS_UNAUTHENTICATED, "REFRESH_REUSED",
            "this refresh token was used before, so the session has been revoked; log in again", NULL);
        return;
    }
    if (call->time_ms - session.issued_ms > AUTH_SESSION_TTL_MS) {
        service_refuse (
            call, STATUS_UNAUTHENTICATED, "SESSION_ENDED", "the session was not used for too long; log in again", NULL);
        return;
    }
    maitre_assert (session.sequence == request->sequence);
    session.sequence++;
    session.issued_ms = call->time_ms;
    service_store (call, &key, &session_record_type, &session);
    reply_session (call, &user, &request->session, &session);
}

/* ---- Revoke */

void auth_revoke_apply (struct service_call *call)
{
    const struct revoke_sessions_request *request = call->request;
    struct bytes normalised;
    struct user_record user;
    if (!auth_normalise (call, request->login, &normalised))
        return;
    struct id id = auth_user_id (normalised);
    if (!id_equal (&id, &call->principal.id) && !service_is_operator (call)) {
        service_refuse (call, STATUS_PERMISSION_DENIED, "NOT_YOURS",
            "only the user and operators revoke a user's sessions; log in as that user", NULL);
        return;
    }
    if (!auth_load_user (call, normalised, &user)) {
        service_refuse_field (
            call, STATUS_NOT_FOUND, "NO_USER", "there is no user with this login; check its spelling", "login");
        return;
    }
    struct revoke_sessions_reply reply = {.user = user.user};
    reply.revoked = auth_remove_sessions (call, &user.user, request->has_session ? &request->session : NULL);
    maitre_assert (reply.revoked <= AUTH_SESSIONS_MAX);
    maitre_assert (!request->has_session || reply.revoked <= 1);
    service_reply_ok (call, &revoke_sessions_reply_type, &reply);
}
