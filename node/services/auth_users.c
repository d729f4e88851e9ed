#include "node/services/auth.h"

#include "node/services/sessions.h"
#include "schemas/runtime/assert.h"
#include "schemas/runtime/placement_hash.h"

#define VERDICT_BYTES 9

_Static_assert(AUTH_NOBODY_VERSION < 1, "the first version of anybody's credentials is not nobody's");

/* A PHC string out of call->prepared. False after refusing. */
static bool read_hash (struct service_call *call, struct bytes hash)
{
    if (hash.len > 0 && hash.len <= PASSWORD_HASH_LEN_MAX && codec_utf8_valid (hash))
        return true;
    service_refuse (call, STATUS_INTERNAL, "NOT_PREPARED",
        "the node proposed this call without a password hash; report this, then try again", NULL);
    return false;
}

/* ---- Register */

static bool login_is_free (struct service_call *call, struct bytes normalised, const struct id *user)
{
    maitre_assert (id_hash (user) == placement_hash_user (normalised));
    struct key id_key = key_entity (TABLE_USER_ID, user);
    struct user_record present;
    /* Two logins with one id: about as likely as two equal random ids, but it must not hand over an account. */
    if (!auth_load_user (call, normalised, &present) && !service_exists (call, &id_key))
        return true;
    service_refuse_field (call, STATUS_ALREADY_EXISTS, "LOGIN_TAKEN",
        "there is a user with this login; log in, or choose another", "login");
    return false;
}

void auth_register_prepare (struct service_call *call, struct services_prepare *prepare, struct bytes *logged_body)
{
    const struct register_request *request = call->request;
    struct bytes normalised;
    if (!auth_normalise (call, request->login, &normalised))
        return;
    struct id user = auth_user_id (normalised);
    if (!login_is_free (call, normalised, &user))
        return; /* before any hashing: a name that is taken stays taken */
    struct register_request logged = *request;
    logged.password = AUTH_NO_SECRET;
    maitre_assert (prepare->kind == SERVICES_PREPARE_NONE);
    maitre_assert (prepare->kind == SERVICES_PREPARE_NONE);
    prepare->kind = SERVICES_PREPARE_HASH;
    prepare->password = request->password;
    *logged_body = service_encode (call, &register_request_type, &logged);
    maitre_assert (logged_body->data != call->body.data);
}

void auth_register_apply (struct service_call *call)
{
    const struct register_request *request = call->request;
    struct bytes normalised;
    if (!auth_normalise (call, request->login, &normalised))
        return;
    struct id id = auth_user_id (normalised);
    if (!login_is_free (call, normalised, &id))
        return;
    if (!read_hash (call, call->prepared))
        return;
    struct user_record user = {.user = id,
        .login = normalised,
        .roles = ROLE_CUSTOMER,
        .hash = call->prepared,
        .version = 1,
        .created_ms = call->time_ms,
        .has_display_name = request->has_display_name,
        .display_name = request->display_name};
    struct key id_key = key_entity (TABLE_USER_ID, &id);
    maitre_assert (id_hash (&user.user) == placement_hash_user (normalised));
    maitre_assert (user.version > AUTH_NOBODY_VERSION);
    auth_store_user (call, &user);
    state_put (call->state, key_of (&id_key), normalised);
    struct register_reply reply = {.user = id, .login = normalised};
    service_reply_ok (call, &register_reply_type, &reply);
}

/* ---- SetRole */

void auth_set_role_apply (struct service_call *call)
{
    const struct set_role_request *request = call->request;
    struct bytes normalised;
    struct user_record user;
    if ((call->principal.roles & ROLE_ADMIN) == 0) {
        service_refuse (call, STATUS_PERMISSION_DENIED, "ADMIN_ONLY",
            "only an administrator gives roles; ask one, or use an administrator's API key", NULL);
        return;
    }
    if (!auth_normalise (call, request->login, &normalised))
        return;
    if (!auth_load_user (call, normalised, &user)) {
        service_refuse_field (call, STATUS_NOT_FOUND, "NO_USER",
            "there is no user with this login; check its spelling, or register it first", "login");
        return;
    }
    user.roles = request->roles;
    maitre_assert (user.roles <= ROLE_SET_MAX);
    maitre_assert ((call->principal.roles & ROLE_ADMIN) != 0);
    auth_store_user (call, &user);
    struct set_role_reply reply = {.user = user.user, .roles = user.roles};
    service_reply_ok (call, &set_role_reply_type, &reply);
}

/* ---- ChangePassword */

void auth_change_password_prepare (
    struct service_call *call, struct services_prepare *prepare, struct bytes *logged_body)
{
    const struct change_password_request *request = call->request;
    struct bytes normalised;
    struct user_record user;
    if (!auth_normalise (call, request->login, &normalised))
        return;
    bool known = auth_load_user (call, normalised, &user);
    auth_prepare_verify (prepare, known ? &user : NULL, call->body);
    prepare->kind = SERVICES_PREPARE_CHANGE;
    struct change_password_request logged = *request;
    logged.old_password = logged.new_password = AUTH_NO_SECRET;
    *logged_body = service_encode (call, &change_password_request_type, &logged);
    maitre_assert (prepare->kind == SERVICES_PREPARE_CHANGE);
    maitre_assert (logged_body->data != call->body.data);
}

/* A repeat comes with a password that is the old one by now: what was decided about it stands, and the reply tells a stranger
 * nothing. */
bool auth_change_password_guard (struct service_call *call)
{
    maitre_assert (!call->answered);
    const struct change_password_request *request = call->request;
    struct request_record record;
    struct user_record user;
    return sessions_find (call, &call->request_id, &call->principal.id, &record) ||
           auth_check_verdict (call, request->login, &user);
}

void auth_change_password_apply (struct service_call *call)
{
    const struct change_password_request *request = call->request;
    struct user_record user;
    if (!auth_check_verdict (call, request->login, &user))
        return;
    maitre_assert (call->prepared.len >= VERDICT_BYTES);
    struct bytes hash = bytes_of (call->prepared.data + VERDICT_BYTES, call->prepared.len - VERDICT_BYTES);
    if (!read_hash (call, hash))
        return;
    user.hash = hash;
    user.version++;
    maitre_assert (!bytes_equal (user.hash, AUTH_NO_SECRET));
    auth_store_user (call, &user);
    (void) auth_remove_sessions (call, &user.user, NULL);
    struct change_password_reply reply = {.user = user.user};
    service_reply_ok (call, &change_password_reply_type, &reply);
}
