#include "node/services/auth.h"

#include "schemas/runtime/placement_hash.h"
#include "schemas/runtime/assert.h"

#define VERDICT_BYTES 9
#define VERDICT_RIGHT 1

/* Verified when there is no such user, so that it takes as long: argon2id at our cost of a password that nobody knows. */
#define DUMMY_HASH                                                                                                     \
    BYTES_LITERAL ("$argon2id$v=19$m=19456,t=2,p=1$nGRR08qv5gtxhnwo7kEcTg$VcS0bjWZA84iEL39h2BOZHZmtLzd6f5hRh/"         \
                   "ZErk4X2o")

_Static_assert(USER_RECORD_ENCODED_MAX <= STATE_VALUE_BYTES_MAX, "a user is a value of the state");
_Static_assert(1 + LOGIN_LEN_MAX <= KEY_BYTES_MAX, "a login is a key");
_Static_assert(VERDICT_BYTES == 1 + sizeof (uint64_t), "a verdict is a byte, and the version of what it is about");

struct id auth_user_id (struct bytes normalised_login)
{
    maitre_assert (normalised_login.len >= LOGIN_LEN_MIN);
    maitre_assert (normalised_login.len <= LOGIN_LEN_MAX);
    uint64_t high = siphash24_joined (0, 0, BYTES_LITERAL ("user id, high:"), normalised_login);
    uint64_t low = siphash24_joined (0, 0, BYTES_LITERAL ("user id, low:"), normalised_login);
    struct id id = id_make (high, placement_hash_user (normalised_login), low);
    return id;
}

bool auth_normalise (struct service_call *call, struct bytes login, struct bytes *normalised)
{
    uint8_t *buffer = service_alloc (call, LOGIN_LEN_MAX);
    if (login_normalise (login, buffer, normalised) == STATUS_OK) {
        maitre_assert (normalised->len >= LOGIN_LEN_MIN);
        maitre_assert (normalised->len <= LOGIN_LEN_MAX);
        return true;
    }
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

bool auth_load_user (struct service_call *call, struct bytes normalised, struct user_record *user)
{
    struct key key = user_key (normalised);
    return service_load (call, &key, &user_record_type, user);
}

void auth_store_user (struct service_call *call, const struct user_record *user)
{
    maitre_assert (user->login.len >= LOGIN_LEN_MIN);
    maitre_assert (user->roles <= ROLE_SET_MAX);
    struct key key = user_key (user->login);
    service_store (call, &key, &user_record_type, user);
}

void auth_prepare_verify (struct services_prepare *prepare, const struct user_record *user, struct bytes password)
{
    maitre_assert (prepare->kind == SERVICES_PREPARE_NONE);
    maitre_assert (password.len > 0);
    prepare->kind = SERVICES_PREPARE_VERIFY;
    prepare->password = password;
    prepare->hash = user != NULL ? user->hash : DUMMY_HASH;
    maitre_assert (prepare->hash.len <= PASSWORD_HASH_LEN_MAX);
    prepare->credentials_version = user != NULL ? user->version : AUTH_NOBODY_VERSION;
}

bool auth_check_verdict (struct service_call *call, struct bytes login, struct user_record *user)
{
    struct bytes normalised;
    if (!auth_normalise (call, login, &normalised))
        return false;
    if (call->prepared.len < VERDICT_BYTES) {
        service_refuse (call, STATUS_INTERNAL, "NOT_PREPARED",
            "the node proposed this call without having verified the password; report this, then try again", NULL);
        return false;
    }
    bool known = auth_load_user (call, normalised, user);
    if (call->damaged)
        return false;
    if (bytes_get_u64 (call->prepared.data + 1) != (known ? user->version : AUTH_NOBODY_VERSION)) {
        service_refuse (call, STATUS_ABORTED, "CREDENTIALS_CHANGED",
            "the password was changed meanwhile; try again with the present one", NULL);
        return false;
    }
    if (!known || call->prepared.data[0] != VERDICT_RIGHT) {
        /* The same words whether the login or the password is wrong: neither is told. */
        service_refuse (call, STATUS_UNAUTHENTICATED, "BAD_CREDENTIALS",
            "the login or the password is wrong; check both and try again", NULL);
        return false;
    }
    maitre_assert (bytes_get_u64 (call->prepared.data + 1) == user->version);
    return true;
}

struct gathered {
    struct id ids[AUTH_SESSIONS_MAX];
    size_t count;
    bool damaged;
};

static bool visit_session (void *argument, struct bytes key, struct bytes value)
{
    struct gathered *gathered = argument;
    (void) value;
    if (gathered->count == AUTH_SESSIONS_MAX || !key_read_id (key, 1 + ID_SIZE, &gathered->ids[gathered->count])) {
        gathered->damaged = true;
        return false;
    }
    gathered->count++;
    maitre_assert (gathered->count <= AUTH_SESSIONS_MAX);
    return true;
}

uint64_t auth_remove_sessions (struct service_call *call, const struct id *user, const struct id *only)
{
    struct gathered gathered = {.count = 0};
    struct key from = key_entity (TABLE_SESSION, user), to = from;
    uint64_t removed = 0;
    key_after_prefix (&to);
    state_scan (call->state, key_of (&from), key_of (&to), false, visit_session, &gathered);
    if (gathered.damaged)
        service_damage (call);
    for (size_t i = 0; i < gathered.count && !gathered.damaged; i++) {
        if (only != NULL && !id_equal (only, &gathered.ids[i]))
            continue;
        struct key key = key_pair (TABLE_SESSION, user, &gathered.ids[i]);
        service_remove (call, &key);
        removed++;
    }
    maitre_assert (removed <= gathered.count);
    maitre_assert (only == NULL || removed <= 1);
    return removed;
}
