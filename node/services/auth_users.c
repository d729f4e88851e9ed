#include "node/services/auth.h"

#include "schemas/runtime/assert.h"
#include "schemas/runtime/placement_hash.h"

#define PREPARED_LOGIN_BYTES 9
#define VERDICT_RIGHT 1

/* What the logged body has in the place of a password: the contract wants at least one character. */
#define NO_PASSWORD BYTES_LITERAL ("-")

/* Verified when there is no such user, so that it takes as long: argon2id at our cost of a password that nobody knows. */
#define DUMMY_HASH                                                                                                     \
    BYTES_LITERAL ("$argon2id$v=19$m=19456,t=2,p=1$nGRR08qv5gtxhnwo7kEcTg$VcS0bjWZA84iEL39h2BOZHZmtLzd6f5hRh/"         \
                   "ZErk4X2o")

struct id auth_user_id (struct bytes normalised_login)
{
    uint64_t high = siphash24_joined (0, 0, BYTES_LITERAL ("user id, high:"), normalised_login);
    uint64_t low = siphash24_joined (0, 0, BYTES_LITERAL ("user id, low:"), normalised_login);
    return id_make (high, placement_hash_user (normalised_login), low);
}

/* The stored spelling of a login, in the arena. False after refusing. */
static bool normalise (struct service_call *call, struct bytes login, struct bytes *normalised)
{
    uint8_t *buffer = service_alloc (call, LOGIN_LEN_MAX);
    if (login_normalise (login, buffer, normalised) == STATUS_OK)
        return true;
    service_refuse_field (call, STATUS_INVALID_ARGUMENT, "BAD_LOGIN",
        "a login has 3 to 64 bytes without control characters, spaces around it not counted; choose another", "login");
    return false;
}

static struct key user_key (struct bytes normalised)
{
    struct key key = key_table (TABLE_USER);
    key_bytes (&key, normalised);
    return key;
}

static bool load_user (struct service_call *call, struct bytes normalised, struct user_record *user)
{
    struct key key = user_key (normalised);
    return service_load (call, &key, &user_record_type, user);
}

/* ---- Register */

static bool login_is_free (struct service_call *call, struct bytes normalised, const struct id *user)
{
    struct key key = user_key (normalised), id_key = key_entity (TABLE_USER_ID, user);
    /* Two logins with one id: about as likely as two equal random ids, but it must not hand over an account. */
    if (!service_exists (call, &key) && !service_exists (call, &id_key))
        return true;
    service_refuse_field (call, STATUS_ALREADY_EXISTS, "LOGIN_TAKEN",
        "there is a user with this login; log in, or choose another", "login");
    return false;
}

void auth_register_prepare (struct service_call *call, struct services_prepare *prepare, struct bytes *logged_body)
{
    const struct register_request *request = call->request;
    struct bytes normalised;
    if (!normalise (call, request->login, &normalised))
        return;
    struct id user = auth_user_id (normalised);
    if (!login_is_free (call, normalised, &user))
        return; /* before any hashing: a name that is taken stays taken */
    struct register_request logged = *request;
    logged.password = NO_PASSWORD;
    prepare->kind = SERVICES_PREPARE_HASH;
    prepare->password = request->password;
    *logged_body = service_encode (call, &register_request_type, &logged);
}

void auth_register_apply (struct service_call *call)
{
    const struct register_request *request = call->request;
    struct bytes normalised;
    if (!normalise (call, request->login, &normalised))
        return;
    struct id id = auth_user_id (normalised);
    if (!login_is_free (call, normalised, &id))
        return;
    if (call->prepared.len == 0 || call->prepared.len > PASSWORD_HASH_LEN_MAX || !codec_utf8_valid (call->prepared)) {
        service_refuse (call, STATUS_INTERNAL, "NOT_PREPARED",
            "the node proposed a registration without a password hash; report this, then try again", NULL);
        return;
    }
    struct user_record user = {.user = id,
        .login = normalised,
        .roles = ROLE_CUSTOMER,
        .hash = call->prepared,
        .version = 1,
        .created_ms = call->time_ms,
        .has_display_name = request->has_display_name,
        .display_name = request->display_name};
    struct key key = user_key (normalised), id_key = key_entity (TABLE_USER_ID, &id);
    service_store (call, &key, &user_record_type, &user);
    state_put (call->state, key_of (&id_key), normalised);
    struct register_reply reply = {.user = id, .login = normalised};
    service_reply_ok (call, &register_reply_type, &reply);
}

/* ---- Login */

void auth_login_prepare (struct service_call *call, struct services_prepare *prepare, struct bytes *logged_body)
{
    const struct login_request *request = call->request;
    struct bytes normalised;
    struct user_record user;
    if (!normalise (call, request->login, &normalised))
        return;
    bool known = load_user (call, normalised, &user);
    struct login_request logged = *request;
    logged.password = NO_PASSWORD;
    prepare->kind = SERVICES_PREPARE_VERIFY;
    prepare->password = request->password;
    prepare->hash = known ? user.hash : DUMMY_HASH;
    prepare->credentials_version = known ? user.version : 0;
    *logged_body = service_encode (call, &login_request_type, &logged);
}

/* The same words whether the login or the password is wrong: neither is told. */
static void refuse_credentials (struct service_call *call)
{
    service_refuse (call, STATUS_UNAUTHENTICATED, "BAD_CREDENTIALS",
        "the login or the password is wrong; check both and try again", NULL);
}

bool auth_login_guard (struct service_call *call)
{
    const struct login_request *request = call->request;
    struct bytes normalised;
    struct user_record user;
    if (!normalise (call, request->login, &normalised))
        return false;
    if (call->prepared.len != PREPARED_LOGIN_BYTES) {
        service_refuse (call, STATUS_INTERNAL, "NOT_PREPARED",
            "the node proposed a login without its verdict; report this, then try again", NULL);
        return false;
    }
    bool known = load_user (call, normalised, &user);
    if (call->damaged)
        return false;
    uint64_t verified = bytes_get_u64 (call->prepared.data + 1);
    if (verified != (known ? user.version : 0)) {
        service_refuse (call, STATUS_ABORTED, "CREDENTIALS_CHANGED",
            "the password was changed meanwhile; log in again with the present one", NULL);
        return false;
    }
    if (!known || call->prepared.data[0] != VERDICT_RIGHT) {
        refuse_credentials (call);
        return false;
    }
    return true;
}

static struct key session_key (const struct id *user, const struct id *session)
{
    return key_pair (TABLE_SESSION, user, session);
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
    struct key key = session_key (user, &oldest.session);
    service_remove (call, &key);
}

/* The guard has verified the caller; a request id stands for at most one session, because a repeat of it is replayed. */
void auth_login_apply (struct service_call *call)
{
    const struct login_request *request = call->request;
    struct bytes normalised;
    struct user_record user;
    bool known = normalise (call, request->login, &normalised) && load_user (call, normalised, &user);
    maitre_assert (known);
    make_room_for_session (call, &user.user);
    struct session_record session = {.sequence = 1, .issued_ms = call->time_ms};
    struct key key = session_key (&user.user, &call->request_id);
    service_store (call, &key, &session_record_type, &session);
    struct login_reply reply = {.user = user.user,
        .roles = user.roles,
        .session = call->request_id,
        .sequence = session.sequence,
        .issued_ms = session.issued_ms,
        .access_expires_ms = call->time_ms + AUTH_ACCESS_TTL_MS};
    service_reply_ok (call, &login_reply_type, &reply);
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
    if (!normalise (call, request->login, &normalised))
        return;
    if (!load_user (call, normalised, &user)) {
        service_refuse_field (call, STATUS_NOT_FOUND, "NO_USER",
            "there is no user with this login; check its spelling, or register it first", "login");
        return;
    }
    user.roles = request->roles;
    struct key key = user_key (normalised);
    service_store (call, &key, &user_record_type, &user);
    struct set_role_reply reply = {.user = user.user, .roles = user.roles};
    service_reply_ok (call, &set_role_reply_type, &reply);
}
